"""Whose subscribers sessions write to, as the operator set it (C2)."""

import pytest

from recado.rules.phone_numbers import Number
from recado.rules.subscribers import read_subscribers

WITH_CODES = ("CL", "DO")
ANA = Number("+18095550101", "DO")
LUIS = Number("+18295550102", "DO")
HUGO = Number("+56912345678", "CL")
PAT = Number("+12125550100", "US")


def test_every_number_of_the_countries_is_a_subscribers_when_no_prefix_is_set_C2() -> None:
    found = read_subscribers("DO, CL", "", WITH_CODES)

    assert [found.includes(one) for one in (ANA, LUIS, HUGO, PAT)] == [True, True, True, False]
    assert found.home == "DO"


def test_with_prefixes_only_numbers_that_begin_so_are_subscribers_C2() -> None:
    found = read_subscribers("DO", "+1809,+1849", WITH_CODES)

    assert [found.includes(one) for one in (ANA, LUIS, HUGO, PAT)] == [True, False, False, False]


def test_a_prefix_lets_no_other_country_in_that_shares_the_code_C2() -> None:
    assert not read_subscribers("DO", "+1", WITH_CODES).includes(PAT)


def test_a_country_named_twice_is_one() -> None:
    assert read_subscribers("DO,DO", "+1809,+1809", WITH_CODES).countries == ("DO",)


@pytest.mark.parametrize(
    ("countries", "prefixes", "setting"),
    [
        ("", "", "SESSION_COUNTRIES"),
        (" , ", "", "SESSION_COUNTRIES"),
        ("XX", "", "SESSION_COUNTRIES"),
        ("do", "", "SESSION_COUNTRIES"),
        ("DO;CL", "", "SESSION_COUNTRIES"),
        ("PE", "", "SESSION_COUNTRIES"),  # a country, but without short codes
        ("DO", "1809", "SUBSCRIBER_PREFIXES"),
        ("DO", "+1 809", "SUBSCRIBER_PREFIXES"),
        ("DO", "+0", "SUBSCRIBER_PREFIXES"),
        ("DO", "+", "SUBSCRIBER_PREFIXES"),
        ("DO", "+1809x", "SUBSCRIBER_PREFIXES"),
        ("DO", "+569", "SUBSCRIBER_PREFIXES"),  # no Dominican number
        ("DO,CL", "+1809", "SUBSCRIBER_PREFIXES"),  # and so no Chilean one
    ],
)
def test_what_cannot_be_meant_is_refused_by_the_settings_name(countries: str, prefixes: str, setting: str) -> None:
    with pytest.raises(ValueError, match=f"^{setting}: "):
        read_subscribers(countries, prefixes, WITH_CODES)
