"""What happened in sessions, by the day: sums only, never a number or a text.

Best effort. Rows are only ever added to, and no condition makes an addition happen once: one whose answer was lost may
count twice, a death just before it counts never.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import date
from zlib import crc32

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import PynamoDBException

from recado.tables.base import RoutesMeta, Row

SHARDS = 16  # a busy day is added to in as many partitions


class NotCounted(Exception):
    """The row could not be added to, or the answer was lost; what went wrong is the cause."""


@dataclass(frozen=True, slots=True)
class DayCounts:
    """One day's sums. `texts`, `handsets` and `replies` are of its `sessions`; what is `late` or `unrouted` was written
    by handsets and reached nobody; `refused` are numbers that a session was not allowed to write to. `school_replies`
    reached a school (also by a choice), `school_waiting` waited for a choice, `school_unrouted` reached nobody.
    """

    day: date
    sessions: int = 0
    texts: int = 0
    handsets: int = 0
    replies: int = 0
    late: int = 0
    unrouted: int = 0
    refused: int = 0
    school_replies: int = 0
    school_waiting: int = 0
    school_unrouted: int = 0


class _CountsRow(Row):
    class Meta(RoutesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    sessions = NumberAttribute(null=True)
    texts = NumberAttribute(null=True)
    handsets = NumberAttribute(null=True)
    replies = NumberAttribute(null=True)
    late = NumberAttribute(null=True)
    unrouted = NumberAttribute(null=True)
    refused = NumberAttribute(null=True)
    school_replies = NumberAttribute(null=True)
    school_waiting = NumberAttribute(null=True)
    school_unrouted = NumberAttribute(null=True)


_COUNTERS = {
    name: getattr(_CountsRow, name)
    for name in (
        "sessions",
        "texts",
        "handsets",
        "replies",
        "late",
        "unrouted",
        "refused",
        "school_replies",
        "school_waiting",
        "school_unrouted",
    )
}


def shard_of(key: str) -> int:
    """Which shard a session, or whatever else is counted, adds to."""
    return crc32(key.encode()) % SHARDS


def add_counts(
    country: str,
    day: date,
    shard: int,
    *,
    sessions: int = 0,
    texts: int = 0,
    handsets: int = 0,
    replies: int = 0,
    late: int = 0,
    unrouted: int = 0,
    refused: int = 0,
    school_replies: int = 0,
    school_waiting: int = 0,
    school_unrouted: int = 0,
) -> None:
    """Adds to a day; the first addition makes its row. Raises NotCounted."""
    counts = {
        "sessions": sessions,
        "texts": texts,
        "handsets": handsets,
        "replies": replies,
        "late": late,
        "unrouted": unrouted,
        "refused": refused,
        "school_replies": school_replies,
        "school_waiting": school_waiting,
        "school_unrouted": school_unrouted,
    }
    additions = [_COUNTERS[name].add(count) for name, count in counts.items() if count]
    if not additions:
        return
    try:
        _CountsRow(_pk(country, shard), day.isoformat()).update(actions=additions)
    except PynamoDBException as error:
        raise NotCounted from error


def list_counts(country: str, first_day: date, last_day: date) -> list[DayCounts]:
    """The sums of each day from the first to the last on which anything was counted, in their order."""
    sums: dict[date, Counter[str]] = {}
    days = _CountsRow.sk.between(first_day.isoformat(), last_day.isoformat())
    for shard in range(SHARDS):
        for row in _CountsRow.query(_pk(country, shard), days, consistent_read=True):
            found = {name: int(getattr(row, name) or 0) for name in _COUNTERS}
            sums.setdefault(date.fromisoformat(row.sk), Counter()).update(found)
    return [DayCounts(day, **sums[day]) for day in sorted(sums)]


def _pk(country: str, shard: int) -> str:
    return f"COUNTS#{country}#{shard}"
