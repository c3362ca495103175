"""docs/api.md and docs/errors.md say what the code does."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from recado import access, errors, web
from recado.errors import RecadoError
from recado.rules import json_bodies, signatures
from recado.rules.roles import Role
from recado.settings import SETTINGS
from recado.web import BODY_BYTES_MAX, KEY_LENGTH_MAX
from tests.apps import ROOT
from tests.tokens import MASTER, create_key

ERRORS = (ROOT / "docs/errors.md").read_text()
API = (ROOT / "docs/api.md").read_text()
NOT_IN_THE_TREE = {("bad_request", 400), ("internal_error", 500)}  # what web.py says of itself


def kinds(kind: type[RecadoError] = RecadoError) -> Iterator[type[RecadoError]]:
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from kinds(child)


def test_every_code_is_in_the_table_with_its_status_and_no_other_is() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", ERRORS, re.MULTILINE)

    assert {(code, int(status)) for code, status in rows} == {
        (one.code, one.status) for one in kinds()
    } | NOT_IN_THE_TREE
    assert len(rows) == len(set(rows))


def test_every_code_is_in_the_tree_drawn_in_errors_py() -> None:
    drawn = re.findall(r"^\W*(\w+) +(\d{3}) (\w+)", errors.__doc__ or "", re.MULTILINE)

    assert {(name, int(status), code) for name, status, code in drawn} == {
        (one.__name__, one.status, one.code) for one in kinds()
    }


@pytest.mark.usefixtures("aws")
def test_the_token_of_the_guide_holds() -> None:
    create_key("liceo-1", "k1")
    (code,) = re.findall(r"```python\n(.*?)```", API, re.DOTALL)
    names: dict[str, Any] = {
        "SCHOOL_ID": "liceo-1",
        "KEY_ID": "k1",
        "SECRET": signatures.portal_key_secret(MASTER, "liceo-1", "k1"),
    }

    exec(code, names)  # noqa: S102  # our own page

    assert access.read_portal_token(names["token"], datetime.now(UTC)).role is Role.DIRECTOR


def test_the_figures_of_the_guide_are_the_codes() -> None:
    assert f"at most {BODY_BYTES_MAX // 1024} KiB" in API
    assert f"1 to {KEY_LENGTH_MAX} printable" in API
    assert f"at most {SETTINGS.token_life_seconds_max // 60} minutes apart" in API
    assert f"may be {int(access.CLOCK_SKEW.total_seconds())} s ahead" in API
    assert f"make {SETTINGS.requests_per_minute_max} requests in a minute" in API
    assert f"{json_bodies.DEPTH_MAX} levels of arrays" in API
    assert f"{json_bodies.ITEMS_MAX:,} items" in API
    assert f"numbers of {json_bodies.DIGITS_MAX} digits" in API
    assert f"| path | {web.PATH_LENGTH_MAX} characters |" in API
    assert f"{web.QUERY_PARAMETERS_MAX} parameters, each with its name {web.QUERY_LENGTH_MAX} characters" in API
    assert f"| headers | {web.HEADERS_LENGTH_MAX} characters" in API
    assert f"larger than\n  {web.KEPT_ANSWER_BYTES_MAX // 1024} KB" in API
