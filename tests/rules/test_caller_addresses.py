"""Whose address counts: nobody chooses their own."""

import pytest

from recado.rules.caller_addresses import caller_address

SECRET = "s" * 32
SEEN = "192.0.2.1"


def test_the_cdn_says_whose_request_it_is() -> None:
    headers = {"x-recado-edge": SECRET, "x-recado-viewer": "203.0.113.9"}

    assert caller_address(SEEN, headers, SECRET) == "203.0.113.9"


def test_an_address_of_version_6_is_written_one_way() -> None:
    headers = {"x-recado-edge": SECRET, "x-recado-viewer": "2001:DB8:0:0::1"}

    assert caller_address(SEEN, headers, SECRET) == "2001:db8::1"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-recado-viewer": "203.0.113.9"},
        {"x-recado-edge": "another", "x-recado-viewer": "203.0.113.9"},
        {"x-recado-edge": "ñ", "x-recado-viewer": "203.0.113.9"},
        {"x-recado-edge": SECRET},
        {"x-recado-edge": SECRET, "x-recado-viewer": "somebody"},
        {"x-forwarded-for": "203.0.113.9"},
    ],
)
def test_nobody_else_is_believed(headers: dict[str, str]) -> None:
    assert caller_address(SEEN, headers, SECRET) == SEEN


def test_without_a_secret_an_empty_header_proves_nothing() -> None:
    assert caller_address(SEEN, {"x-recado-edge": "", "x-recado-viewer": "203.0.113.9"}, "") == SEEN
