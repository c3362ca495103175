"""How a message's counts grew: what was counted last, and points of the curve. Written by the attention run only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pynamodb.attributes import JSONAttribute, NumberAttribute, UnicodeAttribute, UTCDateTimeAttribute

from recado.tables.base import MessagesMeta, Row, put_if

POINTS_MAX = 120


@dataclass(frozen=True, slots=True)
class Progress:
    """`points` are (moment, counts), the oldest first, at most POINTS_MAX."""

    plan: str
    counts: Mapping[str, int]
    copies_put: int
    counted_at: datetime
    points: Sequence[tuple[str, Mapping[str, int]]]


class _ProgressRow(Row):
    class Meta(MessagesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    plan = UnicodeAttribute()
    counts = JSONAttribute()
    copies_put = NumberAttribute()
    counted_at = UTCDateTimeAttribute()
    points = JSONAttribute()


def find_progress(school_id: str, message_id: str) -> Progress | None:
    try:
        row = _ProgressRow.get(*_key(school_id, message_id))
    except _ProgressRow.DoesNotExist:
        return None
    points = tuple((moment, counts) for moment, counts in row.points)
    return Progress(row.plan, row.counts, int(row.copies_put), row.counted_at, points)


def note_point(
    school_id: str, message_id: str, plan: str, counts: Mapping[str, int], copies_put: int, now: datetime
) -> bool:
    """Keeps the counts and adds a point; False when somebody has counted since (then theirs stand).

    A point that says what the two before it say takes the later one's place: a curve needs only its corners.
    """
    before = find_progress(school_id, message_id)
    points = list(before.points) if before is not None and before.plan == plan else []
    if len(points) > 1 and points[-1][1] == points[-2][1] == counts:
        points.pop()
    points.append((now.isoformat(), dict(counts)))
    row = _ProgressRow(
        *_key(school_id, message_id),
        plan=plan,
        counts=dict(counts),
        copies_put=copies_put,
        counted_at=now,
        points=[list(one) for one in points[:1] + points[1:][-POINTS_MAX + 1 :]],
    )
    is_as_read = _ProgressRow.pk.does_not_exist() if before is None else _ProgressRow.counted_at == before.counted_at
    return put_if(row, is_as_read)


def _key(school_id: str, message_id: str) -> tuple[str, str]:
    return f"S#{school_id}#M#{message_id}", "progress"
