"""Which short code a session takes for a handset, and for how long a released one rests (C8, C9).

Must never offer the code the handset used last, however long ago: so a pool of one code serves each handset
once and then refuses it for good. Offering is not having: only the conditional write of the route decides.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil

from recado.rules.idle_timeout import LONGEST_SESSION

REMOVAL_MARGIN = timedelta(seconds=60)  # a claim under way when the draining began, and the sweeper's minute
CODES_MIN = 2  # with one, the code a handset used last is its only one

SHARE_OF_ONE_SOURCE = 4  # a quarter


class CodeState(StrEnum):
    FREE = "free"
    DRAINING = "draining"  # sessions that hold it go on; nobody claims it
    REMOVED = "removed"  # given to nobody until it is added again


@dataclass(frozen=True, slots=True)
class Code:
    code: str
    country: str
    carrier: str
    state: CodeState


@dataclass(frozen=True, slots=True)
class Route:
    """One handset's last use of one code. `free_at` is None while a session holds it, opened by `source`.

    `noticed_at`: when the handset was told that this use has ended (C9), if it was. A notice makes the pair rest more,
    and is no use: `free_before_notice` is the `free_at` of the use itself.
    """

    code: str
    session_id: str | None
    free_at: datetime | None
    claimed_at: datetime
    source: str | None = None
    noticed_at: datetime | None = None
    free_before_notice: datetime | None = None


def order_of_claim(
    codes: Iterable[Code], routes: Iterable[Route], now: datetime, carriers: Sequence[str] = ()
) -> list[str]:
    """The codes a new session may try for the handset of these routes, best first: never used, then longest unused.

    Those of the first of `carriers` come before the next one's: that orders them, and leaves none out. A session that
    repeats its opening looks for a route of its own first: what is held is left out here.
    """
    codes = tuple(codes)
    used = {route.code: route for route in routes}
    last = _last_used(used.values())
    never_used = []
    rested: list[tuple[datetime, str]] = []
    for code in _free(codes):
        route = used.get(code)
        if route is None:
            never_used.append(code)
        elif code != last and route.free_at is not None and route.free_at <= now:
            rested.append((route.free_at, code))
    ranks = {code.code: carriers.index(code.carrier) for code in codes if code.carrier in carriers}
    return sorted(never_used + [code for _, code in sorted(rested)], key=lambda code: ranks.get(code, len(carriers)))


def free_from(codes: Iterable[Code], routes: Iterable[Route], now: datetime) -> datetime | None:
    """When the handset can next be given a code, as known now; `now` when it can already.

    None when no moment is known: every other code is held by a session that may go on, or there is no other code.
    """
    codes, routes = tuple(codes), tuple(routes)
    if order_of_claim(codes, routes, now):
        return now
    free, last = set(_free(codes)), _last_used(routes)
    return min(
        (route.free_at for route in routes if route.code in free and route.code != last and route.free_at is not None),
        default=None,
    )


def sessions_of_one_source(codes: Iterable[Code], wanted: int) -> int:
    """How many sessions of one source may hold a handset at once: `wanted`, but never more than a quarter of its pool.

    At least one: whoever has no session with the handset may open one.
    """
    return max(1, min(wanted, len(_free(codes)) // SHARE_OF_ONE_SOURCE))


def quarantine_ends_at(released_at: datetime, quarantine: timedelta) -> datetime:
    """When a released code may be claimed again for the same handset: its `free_at`."""
    return released_at + quarantine


def removable_at(drained_at: datetime, quarantine: timedelta) -> datetime:
    """When a draining code can be removed: whoever claimed it has ended, and the pair has rested.

    A session opened before the draining began may claim it a moment later, for its worker had read the pool already;
    it ends at the latest one longest session after it opened, and is released within the sweeper's minute.
    """
    return drained_at + LONGEST_SESSION + quarantine + REMOVAL_MARGIN


def sessions_per_handset(codes: int, period: timedelta, quarantine: timedelta, session: timedelta) -> float:
    """How many sessions of this length a pool can give one handset in this period, at most and for good.

    Each session takes a code out for its own length and the quarantine, so a handset is refused exactly when as many
    sessions as there are codes began within that time. With two codes or more, the last used one's rest costs nothing:
    when it has rested, so has the other. One code serves each handset once (C8).
    """
    cycle = _cycle(quarantine, session)
    return codes * (period / cycle) if codes >= CODES_MIN else 0.0


def codes_needed(sessions: float, period: timedelta, quarantine: timedelta, session: timedelta) -> int:
    """The fewest codes that give one handset this many sessions in each such period."""
    wanted = sessions * (_cycle(quarantine, session) / period)
    return max(CODES_MIN, ceil(wanted - wanted * 1e-12))  # what a float adds is no session


def _cycle(quarantine: timedelta, session: timedelta) -> timedelta:
    if quarantine <= timedelta(0) or session < timedelta(0):
        raise ValueError("a quarantine has a length")
    return quarantine + session


def _free(codes: Iterable[Code]) -> list[str]:
    return sorted(code.code for code in codes if code.state is CodeState.FREE)


def _last_used(routes: Iterable[Route]) -> str | None:
    # By the end of its use, not its beginning: of two sessions at once, the one that ended last is the one
    # whose user may write again. What is held is in use this moment.
    latest = max(routes, key=_end_of_use, default=None)
    return latest.code if latest else None


def _end_of_use(route: Route) -> tuple[bool, datetime, datetime, str]:
    rested = route.free_before_notice or route.free_at
    return (route.free_at is None, rested or route.claimed_at, route.claimed_at, route.code)
