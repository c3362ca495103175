"""What handsets write to a code that schools share: what was seen, what waits for a choice, and parts of long texts.

One conversation is a handset and a code; what writes to one that waits names the `revision` it read. Nobody's school
ever reads here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from pynamodb.attributes import (
    BooleanAttribute,
    JSONAttribute,
    NumberAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
    UTCDateTimeAttribute,
)

from recado.rules.reply_parts import Joining, Part
from recado.tables.base import MessagesMeta, Row, Transaction


@dataclass(frozen=True, slots=True)
class Conversation:
    """Who writes, in E.164, to which code, spelt as in the pool."""

    country: str
    code: str
    handset: str


@dataclass(frozen=True, slots=True)
class Choice:
    """What a handset may choose until then, in this order; `is_asked`: it was asked. `waiting` counts its texts."""

    schools: tuple[str, ...]
    until: datetime
    is_asked: bool
    waiting: int
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """A text that waits until then; `reply_id` is `<carrier>#<its id>`."""

    reply_id: str
    text: str
    received_at: datetime
    until: datetime


class _ChoiceRow(Row):
    class Meta(MessagesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    schools = JSONAttribute()
    until = UTCDateTimeAttribute()
    is_asked = BooleanAttribute()
    waiting = NumberAttribute()
    revision = NumberAttribute()
    expires_at = NumberAttribute()


class _WaitingRow(Row):
    class Meta(MessagesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    reply_id = UnicodeAttribute()
    text = UnicodeAttribute()
    received_at = UTCDateTimeAttribute()
    until = UTCDateTimeAttribute()
    expires_at = NumberAttribute()


class _ConversationSeenRow(Row):
    class Meta(MessagesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    expires_at = NumberAttribute()


class _StoppedRow(Row):
    class Meta(MessagesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    schools = UnicodeSetAttribute(null=True)


class _SharedPartsRow(Row):
    class Meta(MessagesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    waiting = JSONAttribute()
    shown = JSONAttribute()
    since = UTCDateTimeAttribute()
    at = UTCDateTimeAttribute()
    answered = UnicodeAttribute(null=True)
    revision = NumberAttribute()
    expires_at = NumberAttribute()


@dataclass(frozen=True, slots=True)
class Parts:
    """A long text as far as it has come; `answered` is the reference that any of its parts told."""

    joining: Joining
    answered: str | None
    revision: int = 0


def note_seen(write: Transaction, one: Conversation, reply_id: str, *, expires_at: int, seen_before: Exception) -> None:
    """Notes that a text, or a part, came; refused as `seen_before` when it came already, wherever it went then."""
    row = _ConversationSeenRow(f"{_pk(one)}#SEEN", reply_id, expires_at=expires_at)
    write.put(row, _ConversationSeenRow.pk.does_not_exist(), lambda _: seen_before)


def find_choice(one: Conversation) -> Choice | None:
    """What the handset may choose, consistently; whether that is over is for whoever asks to see."""
    try:
        row = _ChoiceRow.get(_pk(one), "choice", consistent_read=True)
    except _ChoiceRow.DoesNotExist:
        return None
    return Choice(tuple(row.schools), row.until, bool(row.is_asked), int(row.waiting), int(row.revision))


def save_choice(
    write: Transaction, one: Conversation, choice: Choice, *, seen: Choice | None, expires_at: int, refused: Exception
) -> None:
    """Writes what may be chosen over what was seen of it, as part of a transaction."""
    row = _ChoiceRow(
        _pk(one),
        "choice",
        schools=list(choice.schools),
        until=choice.until,
        is_asked=choice.is_asked,
        waiting=choice.waiting,
        revision=seen.revision + 1 if seen else 1,
        expires_at=expires_at,
    )
    condition = _ChoiceRow.revision == seen.revision if seen else _ChoiceRow.pk.does_not_exist()
    write.put(row, condition, lambda _: refused)


def delete_choice(write: Transaction, one: Conversation, seen: Choice, refused: Exception) -> None:
    """The choice is made, as part of a transaction."""
    write.delete(_ChoiceRow(_pk(one), "choice"), _ChoiceRow.revision == seen.revision, lambda _: refused)


def list_waiting(one: Conversation, *, limit: int) -> list[Waiting]:
    """What waits, the oldest first, consistently; also what has waited too long and was not tidied yet."""
    rows = _WaitingRow.query(
        _pk(one), _WaitingRow.sk.startswith("w#"), consistent_read=True, limit=limit, page_size=limit
    )
    return [Waiting(row.reply_id, row.text, row.received_at, row.until) for row in rows]


def create_waiting(
    write: Transaction, one: Conversation, waiting: Waiting, *, expires_at: int, refused: Exception
) -> None:
    """A text comes to wait, as part of a transaction."""
    row = _WaitingRow(
        _pk(one),
        _place(waiting),
        reply_id=waiting.reply_id,
        text=waiting.text,
        received_at=waiting.received_at,
        until=waiting.until,
        expires_at=expires_at,
    )
    write.put(row, _WaitingRow.pk.does_not_exist(), lambda _: refused)


def delete_waiting(write: Transaction, one: Conversation, waiting: Waiting, refused: Exception) -> None:
    """A text waits no more, as part of a transaction."""
    write.delete(_WaitingRow(_pk(one), _place(waiting)), _WaitingRow.pk.exists(), lambda _: refused)


def find_stopped(one: Conversation) -> frozenset[str]:
    """The schools that this handset's STOP at this code binds, consistently."""
    try:
        return frozenset(_StoppedRow.get(_pk(one), "stopped", consistent_read=True).schools or ())
    except _StoppedRow.DoesNotExist:
        return frozenset()


def change_stopped(write: Transaction, one: Conversation, school_ids: Iterable[str], *, added: bool) -> None:
    """Schools come to it or go from it, as part of a transaction whose other writes make it happen once."""
    schools = set(school_ids)
    change = _StoppedRow.schools.add(schools) if added else _StoppedRow.schools.delete(schools)
    # Expects nothing: one school coming or going is right whatever else is there, as in tables/opt_outs.py.
    condition = _StoppedRow.pk.exists() | _StoppedRow.pk.does_not_exist()
    row = _StoppedRow(_pk(one), "stopped")
    write.update(row, [change], condition, lambda _: RuntimeError("who stopped cannot be refused"))


def find_parts(one: Conversation, part: Part) -> Parts | None:
    """What has come of the long text that a part belongs to, consistently."""
    try:
        row = _SharedPartsRow.get(_pk(one), _parts_place(part), consistent_read=True)
    except _SharedPartsRow.DoesNotExist:
        return None
    waiting: Mapping[str, str] = row.waiting
    joining = Joining(
        of=part.of,
        waiting=MappingProxyType({int(number): text for number, text in waiting.items()}),
        since=row.since,
        at=row.at,
        shown=frozenset(int(number) for number in row.shown),
    )
    return Parts(joining, row.answered, int(row.revision))


def save_parts(
    write: Transaction,
    one: Conversation,
    part: Part,
    parts: Parts,
    *,
    seen: Parts | None,
    expires_at: int,
    refused: Exception,
) -> None:
    """Writes a long text over what was seen of it, as part of a transaction. Once shown it holds no text."""
    row = _SharedPartsRow(
        _pk(one),
        _parts_place(part),
        waiting={str(number): text for number, text in parts.joining.waiting.items()},
        shown=sorted(parts.joining.shown),
        since=parts.joining.since,
        at=parts.joining.at,
        answered=parts.answered,
        revision=seen.revision + 1 if seen else 1,
        expires_at=expires_at,
    )
    condition = _SharedPartsRow.revision == seen.revision if seen else _SharedPartsRow.pk.does_not_exist()
    write.put(row, condition, lambda _: refused)


def _pk(one: Conversation) -> str:
    return f"UNROUTED#{one.country}#{one.code}#{one.handset}"


def _place(waiting: Waiting) -> str:
    return f"w#{waiting.received_at:%Y-%m-%dT%H:%M:%S.%fZ}#{waiting.reply_id}"


def _parts_place(part: Part) -> str:
    return f"r#{part.of}#{part.group}"
