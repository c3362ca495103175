"""How many credits a school spends a week, and for how long what it has reaches (L5: it never expires).

Weeks are ISO 8601's, from Monday, by the clocks where the school is.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

WEEK = timedelta(days=7)
PACE_SPAN = timedelta(days=28)
SHORTEST_SPAN = timedelta(days=7)  # of a school's history: less says nothing about its pace
DAYS_LEFT_MAX = 3_650  # "ten years or more"


@dataclass(frozen=True, slots=True)
class Week:
    """`name` as ISO 8601 writes it (2026-W48); `starts_on` its Monday; `captured`: credits spent."""

    name: str
    starts_on: date
    captured: int


def start_of(now: datetime, zone: ZoneInfo, weeks: int) -> datetime:
    """The moment, in UTC, at which the first of these weeks began; the last of them is the week of `now`."""
    monday = _monday(now.astimezone(zone).date()) - (weeks - 1) * WEEK
    return datetime.combine(monday, time(), tzinfo=zone).astimezone(UTC)


def count_weeks(spent: Iterable[tuple[datetime, int]], zone: ZoneInfo, now: datetime, weeks: int) -> list[Week]:
    """Credits spent in each of the last weeks, oldest first, from moments with credits; what is older is left out."""
    by_monday: Counter[date] = Counter()
    for moment, captured in spent:
        by_monday[_monday(moment.astimezone(zone).date())] += captured
    last = _monday(now.astimezone(zone).date())
    mondays = [last - number * WEEK for number in reversed(range(weeks))]
    return [Week(f"{monday:%G-W%V}", monday, by_monday[monday]) for monday in mondays]


def days_left(
    available: int, spent: Iterable[tuple[datetime, int]], first_at: datetime | None, now: datetime
) -> int | None:
    """For how many days the credits reach at the pace of the last 28 days; None when no pace can be told.

    `first_at`: when the account had its first movement; of a younger account the days there were are counted, seven at
    least. Nothing spent is no pace.
    """
    span = min(PACE_SPAN, now - first_at) if first_at is not None else timedelta()
    captured = sum(count for moment, count in spent if now - PACE_SPAN < moment <= now)
    if span < SHORTEST_SPAN or captured <= 0:
        return None
    return min(int(available * span.total_seconds() / captured / timedelta(days=1).total_seconds()), DAYS_LEFT_MAX)


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())
