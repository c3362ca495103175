"""Which codes new sessions of a country may claim, and whose first: by the country's route, as texts of schools go.

It must never offer a code of a carrier that neither the route nor the stack names: what is said there goes nowhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from recado import circuits
from recado.rules.carrier_routes import SESSIONS, find_route
from recado.rules.short_codes import CodeState
from recado.settings import SETTINGS
from recado.tables import carrier_routes, short_codes
from recado.tables.short_codes import Purpose, ShortCode


@dataclass(frozen=True, slots=True)
class SessionPool:
    """`carriers` in the order of the route; those of `codes` that drain are there too."""

    country: str
    carriers: tuple[str, ...]
    codes: tuple[ShortCode, ...]


def find_pool(country: str) -> SessionPool:
    """The codes of the route's carriers; where they have none free, or there is no route, of the stack's."""
    found = [code for code in short_codes.list_codes(country) if code.purpose is Purpose.SESSIONS]
    route = find_route(carrier_routes.list_routes(is_consistent=False), country, SESSIONS)
    carriers = tuple(way.carrier for way in route.ways) if route is not None else ()
    if not any(code.carrier in carriers and code.state is CodeState.FREE for code in found):
        carriers = (SETTINGS.carrier,)
    return SessionPool(country, carriers, tuple(code for code in found if code.carrier in carriers))


def whose_first(pool: SessionPool, now: datetime) -> Sequence[str]:
    """The pool's carriers, those last that are left alone just now: a text from their codes would wait."""
    with_codes = {code.carrier for code in pool.codes if code.state is CodeState.FREE}
    if len(with_codes) < 2:  # nobody to prefer, and nothing to read
        return pool.carriers
    return sorted(pool.carriers, key=lambda carrier: circuits.is_open(carrier, pool.country, now))
