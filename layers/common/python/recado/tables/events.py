"""A school's events, numbered without gaps in the order of their commits: who has read up to a number missed nothing.

An event is written once per cause, alone or in the transaction of what it tells of.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zlib import crc32

from pynamodb.attributes import (
    BooleanAttribute,
    JSONAttribute,
    NumberAttribute,
    UnicodeAttribute,
    UTCDateTimeAttribute,
)
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from recado.rules.event_types import Data, EventType, recipient_entry
from recado.tables.base import MessagesMeta, Refused, Row, Transaction, update_if

KEPT = timedelta(days=90)
COUNTER = "counter"  # after every number
FIRST_SHARD = 100  # of the index `Attention`: those below are messages'
SHARDS = 8
LOOK_AFTER = timedelta(minutes=1)  # an event that nobody has taken up by then is looked after


@dataclass(frozen=True, slots=True)
class Event:
    """`number` is its place among the school's events, from 1."""

    number: int
    type: EventType
    at: datetime
    data: Data


@dataclass(frozen=True, slots=True)
class Counter:
    """`is_told`: a webhook wants to hear of new events; `is_marked`: somebody is to look, and has not yet."""

    latest: int = 0
    is_told: bool = False
    is_marked: bool = False


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
    told = BooleanAttribute(null=True)
    attend_shard = NumberAttribute(null=True)
    attend_at = UTCDateTimeAttribute(null=True)


def get_counter(school_id: str) -> Counter:
    """The number of the school's latest event, and whether somebody is to be told of the next."""
    try:
        row = _CounterRow.get(_pk(school_id), COUNTER, consistent_read=True)
    except _CounterRow.DoesNotExist:
        return Counter()
    return Counter(int(row.latest), bool(row.told), row.attend_at is not None)


def shard_of(school_id: str) -> int:
    """In which shard of the index `Attention` a school's events and its webhook wait."""
    return FIRST_SHARD + crc32(school_id.encode()) % SHARDS


def tell(write: Transaction, school_id: str, seen: Counter, attend_at: datetime | None, moved: Exception) -> None:
    """From the next event on somebody is told; with `attend_at` somebody looks then, for events that were before.

    Refused when there was an event meanwhile.
    """
    actions = [_CounterRow.latest.set(seen.latest), _CounterRow.told.set(True)]
    if attend_at is not None:
        actions += [_CounterRow.attend_shard.set(shard_of(school_id)), _CounterRow.attend_at.set(attend_at)]
    write.update(_CounterRow(_pk(school_id), COUNTER), actions, _is_at(seen.latest), lambda _: moved)


def tell_no_more(write: Transaction, school_id: str, refused: Exception) -> None:
    """Nobody is told of the school's events any more; said twice, it is said."""
    write.update(_CounterRow(_pk(school_id), COUNTER), _no_more(), _CounterRow.pk.exists(), lambda _: refused)


def end_attention(school_id: str, taken_up: int) -> bool:
    """Nobody needs to look any more; False when there is an event after the last that was taken up."""
    actions = [_CounterRow.attend_shard.remove(), _CounterRow.attend_at.remove()]
    return update_if(_CounterRow(_pk(school_id), COUNTER), actions, _CounterRow.latest == taken_up)


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
    counter: Counter,
    raised: Callable[[str], Exception],
    moved: Exception,
    told_no_more: bool = False,
) -> None:
    """Adds events under their numbers, one after the other, each with its cause if it has one of its own, and marks the
    school where a webhook is to be told. Refused as `raised` when a cause had its event, as `moved` when the counter is
    not as it was seen. `told_no_more`: nobody is told of these either, nor of what follows.
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
            data=_packed(event.data),
            expires_at=expires_at,
        )
        write.put(row, _EventRow.pk.does_not_exist(), lambda _: moved)
    first, last = events[0][0], events[-1][0]
    actions: list[Action] = [_CounterRow.latest.set(last.number)]
    if told_no_more:
        actions += _no_more()
    elif counter.is_told and not counter.is_marked:
        actions.append(_CounterRow.attend_shard.set(shard_of(school_id)))
        actions.append(_CounterRow.attend_at.set(first.at + LOOK_AFTER))
    # A mark that was seen must still be there: without it nobody would look at this event.
    told = _CounterRow.told.exists() if counter.is_told else _CounterRow.told.does_not_exist()
    is_as_seen = _is_at(counter.latest) & told
    if counter.is_marked:
        is_as_seen &= _CounterRow.attend_at.exists()
    write.update(_CounterRow(_pk(school_id), COUNTER), actions, is_as_seen, lambda _: moved)


def get_event(school_id: str, number: int) -> Event | None:
    """The event of this number; None when it was never there, or is no longer kept."""
    try:
        return _event(_EventRow.get(_pk(school_id), _sk(number), consistent_read=True))
    except _EventRow.DoesNotExist:
        return None


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


def _no_more() -> list[Action]:
    return [_CounterRow.told.remove(), _CounterRow.attend_shard.remove(), _CounterRow.attend_at.remove()]


def _always(error: Exception) -> Refused:
    return lambda _: error


def _is_at(latest: int) -> Condition:
    is_there: Condition = _CounterRow.latest == latest
    return is_there if latest else _CounterRow.pk.does_not_exist() | is_there


def _pk(school_id: str) -> str:
    return f"S#{school_id}#EV"


def _sk(number: int) -> str:
    return f"{number:012}"


def _packed(data: Data) -> dict[str, Any]:
    """As it is kept: of recipients the values alone. Their names would be half of a row, and a row is paid by size."""
    return {
        name: [list(one.values()) for one in value] if isinstance(value, list) else value
        for name, value in data.items()
    }


def _unpacked(kept: Mapping[str, Any]) -> Data:
    return {
        name: [recipient_entry(*one) for one in value] if isinstance(value, list) else value
        for name, value in kept.items()
    }


def _event(row: _EventRow) -> Event:
    return Event(int(row.sk), EventType(row.type), row.at, _unpacked(row.data))
