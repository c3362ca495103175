"""Which carriers take a text, in which order: by the country of its number and the category of its message."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

ANY = "any"  # the rest of the world; every category; a whole carrier
WAYS_MAX = 4
REST_OF_COUNTRY = "ZZ"  # of a number whose country is not known


@dataclass(frozen=True, slots=True)
class Way:
    """A carrier, and what a text comes from there that has no code of its school's own. Empty: the account's sender."""

    carrier: str
    sender: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """The first of `ways` is the normal one; each that follows stands by for those before it."""

    country: str
    category: str
    ways: tuple[Way, ...]
    changed_by: str
    changed_at: datetime


def find_route(routes: Iterable[Route], country: str, category: str) -> Route | None:
    """The route that says most: the country counts before the category. None: the stack's own carrier."""
    by_key = {(one.country, one.category): one for one in routes}
    keys = ((country, category), (country, ANY), (ANY, category), (ANY, ANY))
    return next((by_key[key] for key in keys if key in by_key), None)


def has_twice(ways: Sequence[Way]) -> bool:
    """Whether a carrier stands by for itself."""
    return len({way.carrier for way in ways}) != len(ways)
