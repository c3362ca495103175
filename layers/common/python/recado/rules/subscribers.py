"""Whose subscribers sessions may write to (C2): the countries and number prefixes that the operator set.

Must never start with a list that cannot be meant: an unknown country, or a prefix that no number of theirs has.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

import phonenumbers

from recado.rules.phone_numbers import Number

PREFIX = re.compile(r"\+[1-9][0-9]{0,13}")


@dataclass(frozen=True, slots=True)
class Subscribers:
    """`countries`: ISO 3166-1 alpha-2, at least one. `prefixes`: of E.164 numbers; none: every number of those."""

    countries: tuple[str, ...]
    prefixes: tuple[str, ...]

    @property
    def home(self) -> str:
        """The country in which a number without a country's code is read."""
        return self.countries[0]

    def includes(self, number: Number) -> bool:
        """Whether sessions write to this number."""
        return number.region in self.countries and (not self.prefixes or number.e164.startswith(self.prefixes))


def read_subscribers(countries: str, prefixes: str, with_codes: Collection[str]) -> Subscribers:
    """The settings SESSION_COUNTRIES and SUBSCRIBER_PREFIXES, each separated by commas; the second may be empty.

    `with_codes`: the countries that have short codes. Raises ValueError, which names the setting and what is wrong.
    """
    listed, begun = _list(countries), _list(prefixes)
    if not listed:
        raise ValueError("SESSION_COUNTRIES: at least one country")
    for country in listed:
        if country not in phonenumbers.SUPPORTED_REGIONS:
            raise ValueError(f"SESSION_COUNTRIES: there is no country {country!r} (ISO 3166-1 alpha-2, e.g. DO)")
        if country not in with_codes:
            raise ValueError(f"SESSION_COUNTRIES: {country} has no short codes; COUNTRIES names those that have")
    if begun:
        _check_prefixes(listed, begun)
    return Subscribers(listed, begun)


def _check_prefixes(countries: tuple[str, ...], prefixes: tuple[str, ...]) -> None:
    """Each country has a prefix and each prefix a country; of countries that share a code, as +1, any one will do."""
    dialled = {country: f"+{phonenumbers.country_code_for_region(country)}" for country in countries}
    for prefix in prefixes:
        if not PREFIX.fullmatch(prefix):
            raise ValueError(f"SUBSCRIBER_PREFIXES: {prefix!r} is no beginning of an E.164 number, e.g. +1809")
        if not prefix.startswith(tuple(dialled.values())):
            raise ValueError(f"SUBSCRIBER_PREFIXES: no number of {', '.join(countries)} begins with {prefix}")
    for country, code in dialled.items():
        if not any(prefix.startswith(code) for prefix in prefixes):
            raise ValueError(f"SUBSCRIBER_PREFIXES: no number of {country} could be written to; its begin with {code}")


def _list(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.strip() for one in text.split(",") if one.strip()))
