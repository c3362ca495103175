"""Which carriers take a text, in which order: by the country of its number and the category of its message."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

ANY = "any"  # the rest of the world; every category; a whole carrier
SESSIONS = "sessions"  # the category of what is said on the web
WAYS_MAX = 4
REST_OF_COUNTRY = "ZZ"  # of a number whose country is not known
PATIENT_ROUNDS = 8  # the pauses before the eighth add up to 10 to 21 minutes


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


def may_pass_by(round_: int, *, is_emergency: bool) -> bool:
    """Whether a text that its carrier did not take may go to the next one at once, although nobody left that carrier.

    `round_` counts the jobs of its page, from 1. An emergency's may; any other waits, for a carrier that is busy takes
    it a moment later, and who stands by costs more; but not until it expires.
    """
    return is_emergency or round_ >= PATIENT_ROUNDS


def has_twice(ways: Sequence[Way]) -> bool:
    """Whether a carrier stands by for itself."""
    return len({way.carrier for way in ways}) != len(ways)
