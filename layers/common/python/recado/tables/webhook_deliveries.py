"""What was brought to a school's portal, and what is still to be: one row an event, whatever is tried or tried again.

Besides, as long as it is pending, one row in the order of when it is due. The two are written together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pynamodb.attributes import JSONAttribute, NumberAttribute, UnicodeAttribute, UTCDateTimeAttribute

from recado.rules.event_types import EventType
from recado.rules.webhook_deliveries import DeliveryState, delivery_id
from recado.tables.base import MessagesMeta, Row, Transaction, delete_if

KEPT = timedelta(days=30)  # of the log, since a delivery was last begun
DUE_KEPT = timedelta(days=60)  # of the order: of webhooks that were deleted with something pending
ATTEMPTS_KEPT = 30  # of one delivery: three rounds of ten


@dataclass(frozen=True, slots=True)
class Attempt:
    """`status` of the answer, or None and why there was none; how long it took, how large the answer's body was."""

    at: datetime
    status: int | None
    reason: str
    took_ms: int
    size: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """`tries`: failed attempts since it was last begun. `begun`: how often it was, the first time and replays.

    `begun_for`: whose request began it last. `epoch`: of the webhook it is meant for.
    """

    number: int
    type: EventType
    state: DeliveryState
    epoch: int
    created_at: datetime
    begun_at: datetime
    begun: int
    begun_for: str | None
    next_at: datetime | None
    tries: int = 0
    done_at: datetime | None = None
    attempts: tuple[Attempt, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Standing:
    """Of a delivery, what is counted."""

    state: DeliveryState
    epoch: int
    tries: int


class _DeliveryRow(Row):
    class Meta(MessagesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    number = NumberAttribute()
    type = UnicodeAttribute()
    state = UnicodeAttribute()
    epoch = NumberAttribute()
    created_at = UTCDateTimeAttribute()
    begun_at = UTCDateTimeAttribute()
    begun = NumberAttribute()
    begun_for = UnicodeAttribute(null=True)
    next_at = UTCDateTimeAttribute(null=True)
    tries = NumberAttribute()
    done_at = UTCDateTimeAttribute(null=True)
    attempts = JSONAttribute()
    expires_at = NumberAttribute()


class _DueRow(Row):
    class Meta(MessagesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    expires_at = NumberAttribute()


@dataclass(frozen=True, slots=True)
class Due:
    """A place in the order of a webhook. `is_test`: before all others, and despite a pause."""

    number: int
    at: datetime
    is_test: bool


def find_delivery(school_id: str, number: int, now: datetime) -> Delivery | None:
    """The delivery of this event; None when there is none, or it is no longer kept."""
    try:
        row = _DeliveryRow.get(_pk(school_id), _sk(school_id, number), consistent_read=True)
    except _DeliveryRow.DoesNotExist:
        return None
    return _delivery(row) if row.expires_at > now.timestamp() else None


def find_deliveries(school_id: str, numbers: Sequence[int]) -> dict[int, Delivery]:
    """Those of these events that there are, by number; consistent. At most 100."""
    keys = [(_pk(school_id), _sk(school_id, number)) for number in numbers]
    if not keys:
        return {}
    return {int(row.number): _delivery(row) for row in _DeliveryRow.batch_get(keys, consistent_read=True)}


def begin(write: Transaction, school_id: str, new: Delivery, before: Delivery | None, moved: Exception) -> None:
    """Writes a delivery that is to be made, in its place of the order; `before`: as it was when it is begun again, also
    out of another place.
    """
    row = _DeliveryRow(_pk(school_id), _sk(school_id, new.number))
    condition = _DeliveryRow.pk.does_not_exist()
    if before is not None:
        condition = (
            (_DeliveryRow.begun == before.begun)
            & (_DeliveryRow.state == before.state.value)
            & (_DeliveryRow.tries == before.tries)
        )
    actions = [
        _DeliveryRow.number.set(new.number),
        _DeliveryRow.type.set(new.type.value),
        _DeliveryRow.created_at.set(new.created_at),
        _DeliveryRow.epoch.set(new.epoch),
        _DeliveryRow.begun_at.set(new.begun_at),
        _DeliveryRow.begun.set(new.begun),
        _DeliveryRow.begun_for.set(new.begun_for) if new.begun_for else _DeliveryRow.begun_for.remove(),
        _DeliveryRow.expires_at.set(int((new.begun_at + KEPT).timestamp())),
        *_progress(new),
    ]
    write.update(row, actions, condition, lambda _: moved)
    if before is not None:
        _leave_order(write, school_id, before, new)
    if new.next_at is not None:
        _put_due(write, school_id, new)


def save_attempt(write: Transaction, school_id: str, after: Delivery, before: Delivery, moved: Exception) -> None:
    """Keeps an attempt and moves the delivery in the order, or out of it. Refused when somebody else kept one."""
    row = _DeliveryRow(_pk(school_id), _sk(school_id, before.number))
    condition = (
        (_DeliveryRow.begun == before.begun)
        & (_DeliveryRow.tries == before.tries)
        & (_DeliveryRow.state == DeliveryState.PENDING.value)
    )
    write.update(row, _progress(after), condition, lambda _: moved)
    _leave_order(write, school_id, before, after)
    if after.next_at is not None:
        _put_due(write, school_id, after)


def due_of(one: Delivery) -> Due:
    """The place of a pending delivery in the order."""
    if one.next_at is None:
        raise ValueError("what is not pending is not due")
    return Due(one.number, one.next_at, one.type is EventType.WEBHOOK_TEST)


def list_due(school_id: str, epoch: int, *, limit: int, tests: bool) -> list[Due]:
    """The first places of a webhook's order, due or not: of its tests, or of everything else."""
    first = _DueRow.sk.startswith("0#" if tests else "1#")
    found = _DueRow.query(_due_pk(school_id, epoch), first, limit=limit, page_size=limit, consistent_read=True)
    return [_due(row.sk) for row in found]


def forget_due(school_id: str, epoch: int, due: Due) -> None:
    """Takes a place out of the order that no pending delivery has."""
    delete_if(_DueRow(*_due_key(school_id, epoch, due)), None)


def list_deliveries(school_id: str, now: datetime, *, limit: int, before: int | None = None) -> list[Delivery]:
    """A page of the log before this event's number, newest event first. Those no longer kept are left out."""
    until = f"D#{delivery_id(school_id, before)}" if before is not None else "D#x"
    found = _DeliveryRow.query(
        _pk(school_id),
        _DeliveryRow.sk.between("D#w", until),
        scan_index_forward=False,
        limit=limit + 1,
        page_size=limit + 1,
        consistent_read=True,
    )
    rows = [_delivery(row) for row in found if row.expires_at > now.timestamp()]
    return [one for one in rows if one.number != before][:limit]


def list_standings(school_id: str, now: datetime, *, limit: int) -> list[Standing]:
    """How the newest deliveries stand; a little later than they do."""
    found = _DeliveryRow.query(
        _pk(school_id),
        _DeliveryRow.sk.between("D#w", "D#x"),
        scan_index_forward=False,
        limit=limit,
        page_size=limit,
        attributes_to_get=["state", "epoch", "tries", "expires_at"],
    )
    return [
        Standing(DeliveryState(row.state), int(row.epoch), int(row.tries))
        for row in found
        if row.expires_at > now.timestamp()
    ]


def _leave_order(write: Transaction, school_id: str, before: Delivery, after: Delivery) -> None:
    if before.next_at is None or (before.epoch, before.next_at) == (after.epoch, after.next_at):
        return
    gone = _DueRow(*_due_key(school_id, before.epoch, due_of(before)))
    always = _DueRow.pk.exists() | _DueRow.pk.does_not_exist()
    write.delete(gone, always, lambda _: RuntimeError("leaving the order cannot be refused"))


def _put_due(write: Transaction, school_id: str, one: Delivery) -> None:
    due = due_of(one)
    row = _DueRow(*_due_key(school_id, one.epoch, due), expires_at=int((due.at + DUE_KEPT).timestamp()))
    always = _DueRow.pk.exists() | _DueRow.pk.does_not_exist()
    write.put(row, always, lambda _: RuntimeError("a place in the order cannot be refused"))


def _pk(school_id: str) -> str:
    return f"S#{school_id}#WEBHOOK"


def _sk(school_id: str, number: int) -> str:
    return f"D#{delivery_id(school_id, number)}"


def _due_pk(school_id: str, epoch: int) -> str:
    return f"S#{school_id}#WEBHOOK#{epoch}"


def _due_key(school_id: str, epoch: int, due: Due) -> tuple[str, str]:
    at = due.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return _due_pk(school_id, epoch), f"{0 if due.is_test else 1}#{at}#{due.number:012}"


def _due(sk: str) -> Due:
    first, at, number = sk.split("#")
    return Due(int(number), datetime.fromisoformat(at), first == "0")


def _progress(one: Delivery) -> list[Any]:
    """What changes with each attempt."""
    return [
        _DeliveryRow.state.set(one.state.value),
        _DeliveryRow.tries.set(one.tries),
        _DeliveryRow.attempts.set([_attempt_values(attempt) for attempt in one.attempts[-ATTEMPTS_KEPT:]]),
        _DeliveryRow.next_at.set(one.next_at) if one.next_at else _DeliveryRow.next_at.remove(),
        _DeliveryRow.done_at.set(one.done_at) if one.done_at else _DeliveryRow.done_at.remove(),
    ]


def _attempt_values(one: Attempt) -> dict[str, Any]:
    return {"at": one.at.isoformat(), "status": one.status, "reason": one.reason, "ms": one.took_ms, "size": one.size}


def _attempt(found: Mapping[str, Any]) -> Attempt:
    at = datetime.fromisoformat(found["at"])
    return Attempt(at, found["status"], found["reason"], found["ms"], found["size"])


def _delivery(row: _DeliveryRow) -> Delivery:
    return Delivery(
        number=int(row.number),
        type=EventType(row.type),
        state=DeliveryState(row.state),
        epoch=int(row.epoch),
        created_at=row.created_at,
        begun_at=row.begun_at,
        begun=int(row.begun),
        begun_for=row.begun_for,
        next_at=row.next_at,
        tries=int(row.tries),
        done_at=row.done_at,
        attempts=tuple(_attempt(one) for one in row.attempts),
    )
