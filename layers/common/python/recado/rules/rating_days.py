"""Which days of a country's a price may begin on, and which of them have been counted to the end.

Must never let a price begin sooner than every process has heard of it, nor call a day closed that may still grow.
"""

import re
from datetime import UTC, date, datetime, time, timedelta

from recado.errors import FieldProblem, InvalidRequest
from recado.rules.country_time import local_day, zone_of
from recado.rules.tariffs import AHEAD_MAX

# A process believes its list of tariffs for a minute, and a request lives for half a minute at most.
LEAD = timedelta(minutes=10)
# A reply reads its clock, and its row is in the index at most so much later.
SETTLED_AFTER = timedelta(minutes=10)
DAYS_MAX = 31
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def begins_at(country: str, day: date) -> datetime:
    """The first moment of a day by the country's clocks, in UTC; also where clocks go forward at midnight."""
    return datetime.combine(day, time.min, zone_of(country)).astimezone(UTC)


def is_settled(country: str, day: date, now: datetime) -> bool:
    """Whether nothing can be rated on this day any more."""
    return now >= begins_at(country, day + timedelta(days=1)) + SETTLED_AFTER


def may_change(country: str, valid_from: date, now: datetime) -> bool:
    """Whether a price that begins on this day may still be announced, or withdrawn."""
    return valid_from > local_day(country, now) and now + LEAD <= begins_at(country, valid_from)


def read_valid_from(text: str, country: str, now: datetime) -> date:
    """The day a new price begins. Raises InvalidRequest: after today, by the country's clocks, and 10 minutes ahead."""
    day = read_day(text, "/valid_from")
    if not may_change(country, day, now):
        detail = f"A day after today, {local_day(country, now)}, that begins in {LEAD.seconds // 60} minutes or later"
        raise InvalidRequest(fields=[FieldProblem("/valid_from", "too_soon", detail)])
    if day - local_day(country, now) > AHEAD_MAX:
        raise InvalidRequest(fields=[FieldProblem("/valid_from", "too_late", f"At most {AHEAD_MAX.days} days ahead")])
    return day


def read_days(first: str, last: str) -> tuple[date, ...]:
    """The days asked for, both included. Raises InvalidRequest."""
    begin, end = read_day(first, "/query/from"), read_day(last, "/query/to")
    count = (end - begin).days + 1
    if count < 1:
        raise InvalidRequest(fields=[FieldProblem("/query/to", "before_from", "Not before `from`")])
    if count > DAYS_MAX:
        raise InvalidRequest(fields=[FieldProblem("/query/to", "too_many", f"At most {DAYS_MAX} days")])
    return tuple(begin + timedelta(days=number) for number in range(count))


def read_day(text: str, field: str) -> date:
    """A day as YYYY-MM-DD. Raises InvalidRequest for `field`."""
    try:
        day = date.fromisoformat(text) if DAY.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None or not date(2000, 1, 1) <= day < date(2200, 1, 1):
        raise InvalidRequest(fields=[FieldProblem(field, "malformed", "A day, e.g. 2026-11-23")])
    return day
