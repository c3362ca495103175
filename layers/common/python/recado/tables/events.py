"""A school's events, numbered without gaps in the order of their commits: who has read up to a number missed nothing.

An event is written once per cause, alone or in the transaction of what it tells of.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pynamodb.attributes import JSONAttribute, NumberAttribute, UnicodeAttribute, UTCDateTimeAttribute

from recado.rules.event_types import Data, EventType
from recado.tables.base import MessagesMeta, Refused, Row, Transaction

KEPT = timedelta(days=90)
COUNTER = "counter"  # after every number


@dataclass(frozen=True, slots=True)
class Event:
    """`number` is its place among the school's events, from 1."""

    number: int
    type: EventType
    at: datetime
    data: Data


class _EventRow(Row):
    class Meta(MessagesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    type = UnicodeAttribute()
    at = UTCDateTimeAttribute()
    data = JSONAttribute()
    expires_at = NumberAttribute()


class _CauseRow(Row):
    class Meta(MessagesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    number = NumberAttribute()
    expires_at = NumberAttribute()


class _CounterRow(Row):
    class Meta(MessagesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    latest = NumberAttribute()


def count_events(school_id: str) -> int:
    """How many events the school ever had: the number of the latest."""
    try:
        return int(_CounterRow.get(_pk(school_id), COUNTER, consistent_read=True).latest)
    except _CounterRow.DoesNotExist:
        return 0


def find_event(school_id: str, cause: str) -> Event | None:
    """The event of this cause, if it had one."""
    try:
        number = int(_CauseRow.get(f"{_pk(school_id)}#CAUSE", cause, consistent_read=True).number)
        return _event(_EventRow.get(_pk(school_id), _sk(number), consistent_read=True))
    except (_CauseRow.DoesNotExist, _EventRow.DoesNotExist):
        return None


def create_events(
    write: Transaction,
    school_id: str,
    events: Sequence[tuple[Event, str | None]],
    *,
    raised: Callable[[str], Exception],
    moved: Exception,
) -> None:
    """Adds events under their numbers, one after the other, each with its cause if it has one of its own.

    Refused as `raised` when a cause had its event, as `moved` when the first number is not the next one any more.
    """
    for event, cause in events:
        expires_at = int((event.at + KEPT).timestamp())
        if cause is not None:
            write.put(
                _CauseRow(f"{_pk(school_id)}#CAUSE", cause, number=event.number, expires_at=expires_at),
                _CauseRow.pk.does_not_exist(),
                _always(raised(cause)),
            )
        row = _EventRow(
            _pk(school_id),
            _sk(event.number),
            type=event.type.value,
            at=event.at,
            data=dict(event.data),
            expires_at=expires_at,
        )
        write.put(row, _EventRow.pk.does_not_exist(), lambda _: moved)
    before, last = events[0][0].number - 1, events[-1][0].number
    write.update(
        _CounterRow(_pk(school_id), COUNTER),
        [_CounterRow.latest.set(last)],
        _CounterRow.latest == before if before else _CounterRow.pk.does_not_exist(),
        lambda _: moved,
    )


def list_events(school_id: str, *, after: int, limit: int) -> list[Event]:
    """A page of the school's events after this number, oldest first."""
    found = _EventRow.query(
        _pk(school_id),
        _EventRow.sk.between(_sk(after + 1), _sk(10**12 - 1)),
        limit=limit,
        page_size=limit,
        consistent_read=True,
    )
    return [_event(row) for row in found]


def list_latest(school_id: str, *, limit: int) -> list[Event]:
    """The school's latest events, newest first."""
    found = _EventRow.query(
        _pk(school_id), _EventRow.sk < COUNTER, scan_index_forward=False, limit=limit, page_size=limit
    )
    return [_event(row) for row in found]


def _always(error: Exception) -> Refused:
    return lambda _: error


def _pk(school_id: str) -> str:
    return f"S#{school_id}#EV"


def _sk(number: int) -> str:
    return f"{number:012}"


def _event(row: _EventRow) -> Event:
    return Event(int(row.sk), EventType(row.type), row.at, row.data)
