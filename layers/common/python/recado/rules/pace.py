"""How fast texts leave one sender: a number takes so many parts a second, and what comes faster is told to come later.

Times of pages are booked no further ahead than HORIZON, so that an emergency, a stop or another pace finds little that
was promised already; the rest waits in its message and costs nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import accumulate

HORIZON = timedelta(seconds=75)  # whoever waits is looked at each minute
AT_ONCE = timedelta(seconds=1)  # a wave is what its sender takes in this time, or one text
AHEAD_MAX = timedelta(milliseconds=500)
LATENESS = 1.1  # jobs come a moment after their time: a page takes a tenth longer than its parts do
RATE_MIN, RATE_MAX = 0.1, 10_000


@dataclass(frozen=True, slots=True)
class Booked:
    """Until when a sender's time is given away: to anybody, and to emergencies among themselves. None: never was."""

    until: datetime | None = None
    urgent_until: datetime | None = None


def book(
    booked: Booked, now: datetime, each: timedelta, pages: int, *, is_urgent: bool
) -> tuple[Booked, list[datetime]]:
    """When up to `pages` pages start, one after the other; none further ahead than HORIZON, so perhaps none at all.

    `each` is how long a page takes. Emergencies wait for emergencies only. What they take, everybody else's next
    booking waits for.
    """
    first = max(now, (booked.urgent_until if is_urgent else booked.until) or now)
    starts: list[datetime] = []
    while len(starts) < pages and first + len(starts) * each <= now + HORIZON:
        starts.append(first + len(starts) * each)
    if not starts:
        return booked, starts
    takes = len(starts) * each
    if is_urgent:
        return Booked(max(now, booked.until or now) + takes, first + takes), starts
    return replace(booked, until=first + takes), starts


def page_takes(parts: float, parts_per_second: float) -> timedelta:
    """How long a sender is busy with so many parts."""
    return timedelta(seconds=parts / parts_per_second * LATENESS)


def texts_at_once(parts: Sequence[int], parts_per_second: float) -> int:
    """How many of these texts, in their order, may be said in one go: what AT_ONCE takes, and one in any case."""
    room = parts_per_second * AT_ONCE.total_seconds()
    return max(1, sum(total <= room for total in accumulate(parts)))


def pause_after(parts: int, took: timedelta, parts_per_second: float) -> timedelta | None:
    """How long to wait once so many parts were said in that time; None: go on."""
    ahead = timedelta(seconds=parts / parts_per_second) - took
    return ahead if ahead > AHEAD_MAX else None
