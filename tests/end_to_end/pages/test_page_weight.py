"""What a first visit brings over the wire, page by page: under the budget, and no module waits for another."""

import pytest
from playwright.sync_api import Browser

from bench.page_weight import BUDGET_BYTES, FRONT, Weight, weigh_with
from tests.end_to_end.conftest import Stack
from tools.view_pages import views


@pytest.fixture(scope="module")
def weights(stack: Stack, browser: Browser) -> dict[str, Weight]:
    return weigh_with(browser, stack)


@pytest.mark.parametrize("page", [FRONT, *views()])
def test_the_first_view_of_each_page_is_under_100_kb(weights: dict[str, Weight], page: str) -> None:
    assert weights[page].received <= BUDGET_BYTES
    assert weights[page].raw > weights[page].received  # it was compressed


@pytest.mark.parametrize("page", [FRONT, *views()])
def test_a_page_names_every_module_of_its_first_view(weights: dict[str, Weight], page: str) -> None:
    assert weights[page].late == ()
