"""Which ways a text may take: the carriers of its route in order, each with its sender, and how fast that one may go.

What is known of routes and codes is kept for seconds. Which of the carriers is open is for `circuits` to say.
"""

from datetime import datetime, timedelta

from recado import log
from recado.rules.carrier_routes import Route, Way, find_route
from recado.settings import SETTINGS
from recado.tables import carrier_routes, short_codes
from recado.tables.short_codes import ShortCode

ROUTES_KEPT = timedelta(seconds=5)
CODES_KEPT = timedelta(seconds=60)

_kept_routes: dict[str, tuple[datetime, list[Route]]] = {}
_kept_codes: dict[tuple[str, tuple[str, ...]], tuple[datetime, ShortCode | None]] = {}


def forget() -> None:
    """Reads routes and codes anew the next time; for tests."""
    _kept_routes.clear()
    _kept_codes.clear()


def ways_of(country: str, category: str, own: str, now: datetime) -> tuple[Way, ...]:
    """By the routes of the platform's staff; without one over the stack's carrier. `own`: what the message names."""
    route = find_route(_routes(now), country, category)
    if route is None:
        return (Way(SETTINGS.carrier, own),)
    owner = _carrier_of(own, SETTINGS.country_codes, now) if own else ""
    return tuple(Way(way.carrier, own) if own and way.carrier == owner else way for way in route.ways)


def ways_of_code(country: str, own: str, now: datetime) -> tuple[Way, ...]:
    """Whatever the stack's carrier is by now: another would refuse the code, or answers to it would reach nobody."""
    return (Way(_carrier_of(own, (country,), now) if own else SETTINGS.carrier, own),)


def parts_per_second(way: Way, now: datetime) -> float | None:
    """How fast texts may leave by this way; None: as fast as its carrier takes them."""
    code = _code(way.sender, SETTINGS.country_codes, now) if way.sender else None
    return code.parts_per_second if code is not None and code.carrier == way.carrier else None


def _routes(now: datetime) -> list[Route]:
    read_at, found = _kept_routes.get("", (None, list[Route]()))
    if read_at is None or not timedelta() <= now - read_at < ROUTES_KEPT:
        try:
            found = carrier_routes.list_routes(is_consistent=False)
        except Exception as error:  # those known before hold on: no wave's outcomes are lost for this
            if read_at is None:
                raise  # nothing is known, and nothing was spoken yet
            log.trouble("routes_unreadable", error)
        _kept_routes[""] = (now, found)
    return found


def _carrier_of(code: str, countries: tuple[str, ...], now: datetime) -> str:
    """Whose a code of one of these pools is. One that is in none was taken from the stack's carrier."""
    found = _code(code, countries, now)
    return found.carrier if found is not None else SETTINGS.carrier


def _code(code: str, countries: tuple[str, ...], now: datetime) -> ShortCode | None:
    read_at, known = _kept_codes.get((code, countries), (None, None))
    if read_at is not None and timedelta() <= now - read_at < CODES_KEPT:
        return known
    found = (short_codes.find_code(country, code) for country in countries)
    known = next((one for one in found if one is not None), None)
    _kept_codes[code, countries] = (now, known)
    return known
