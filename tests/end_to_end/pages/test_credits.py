"""Credits, as a director sees them: what there is, for how long, what moved it, which bags can be asked for."""

import uuid
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.end_to_end.conftest import Stack
from tests.end_to_end.pages.conftest import PATIENCE_MS, Visitor

expect.set_options(timeout=PATIENCE_MS)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_balance_movements_and_bags_are_the_apis(stack: Stack, visit: Callable[..., Visitor], scheme: str) -> None:
    audience = {"people": ["guardian-007"]}
    body = {"text": f"Cobro {uuid.uuid4().hex[:6]}", "category": "meeting", "audience": audience, "send": "now"}
    stack.api.need("POST", "/messages", stack.token(), body, uuid.uuid4().hex)
    visitor = visit(color_scheme=scheme)
    page = visitor.page

    page.goto(f"{stack.pages_url}/index.html?as=director#/credits")

    (account,) = stack.api.need("GET", "/credits", stack.token())["accounts"]
    shown = f"{account['available']:,}".replace(",", ".")
    expect(page.get_by_label("Nacionales").first).to_contain_text(shown)
    expect(page.get_by_role("table").last).to_contain_text("Reserva de 1 crédito")
    expect(page.get_by_role("heading", name="Bolsa básica")).to_be_visible()
    expect(page.get_by_role("img", name="Gráfico de barras de 12 semanas")).to_be_visible()
    visitor.take_picture("credits" if scheme == "light" else "credits-dark", full_page=False)


def test_a_bag_is_asked_for_once_whatever_becomes_of_the_answer(stack: Stack, visit: Callable[..., Visitor]) -> None:
    visitor = visit()
    page = visitor.page
    page.goto(f"{stack.pages_url}/index.html?as=director#/credits")
    bag = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="Bolsa básica")).first
    keys = visitor.lose_first_request("**/v1/credits/bags/requests")
    bag.get_by_role("button", name="Pedir esta bolsa").click()
    expect(page.get_by_role("alert")).to_contain_text("No hubo respuesta")

    bag.get_by_role("button", name="Pedir esta bolsa").press("Enter")

    expect(page.get_by_text("no se ha cobrado nada")).to_be_visible()
    assert len(keys) == 2
    assert len(set(keys)) == 1
    visitor.forgive_failed_loads()
