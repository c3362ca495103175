"""A message's own row and its counter rows. `attend_at` is there as long as the message owes a next step.

Every change names the state and the plan it changes; a lost answer is recognised by the ledger's entry, not here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zlib import crc32

from pynamodb.attributes import JSONAttribute, NumberAttribute, UnicodeAttribute, UTCDateTimeAttribute
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection

from recado.rules.credit_bags import Zone
from recado.rules.message_states import Category, MessageState, may_move
from recado.tables.base import BaseMeta, MessagesMeta, Row, Transaction, update_if

ATTENTION_SHARDS = 16
COUNTERS_MAX = 16
PAGES_PER_COUNTER = 64
COPY_PAGES = 1_000_000  # the first number of a page of copies: a hundred million texts come before
HISTORY_MAX = 50


@dataclass(frozen=True, slots=True)
class Message:
    """`held` and `captured` are credits per zone, `skipped` people per reason, `plan` the attempt that counts.

    `revision` grows with every edit; `history` is who did what when; `refusal` why planning in the background failed.
    `segments` are those of the longest text, `segments_least` of the shortest; `copies` go to the message centre;
    `lots` are rows of people skipped.
    """

    school_id: str
    id: str
    state: MessageState
    category: Category
    text: str
    channels: tuple[str, ...]
    audience: Mapping[str, Sequence[str]]
    created_by: str
    created_at: datetime
    revision: int = 0
    notice_confirmed: bool = False
    drop_accents: bool = False
    inbox_for_unreachable: bool = False
    template: Mapping[str, Any] | None = None
    expires_after_minutes: int | None = None
    despite_quiet_hours: str | None = None
    history: Sequence[Mapping[str, str]] = ()
    sender: str = ""
    sent_by: str | None = None
    accepted_at: datetime | None = None
    send_at: datetime | None = None
    give_up_at: datetime | None = None
    plan: str | None = None
    pages: int = 0
    copy_pages: int = 0
    pages_enqueued: int = 0
    lots: int = 0
    people: int = 0
    recipients: int = 0
    copies: int = 0
    segments: int = 0
    segments_least: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    duplicates: int = 0
    held: Mapping[str, int] = field(default_factory=dict)
    captured: Mapping[str, int] = field(default_factory=dict)
    digest: str | None = None
    finished_at: datetime | None = None
    cancelled_by: str | None = None
    stopped_by: str | None = None
    refusal: Mapping[str, Any] | None = None
    attend_at: datetime | None = None

    @property
    def all_pages(self) -> int:
        """Pages of texts and pages of copies: how many have to be closed before it has ended."""
        return self.pages + self.copy_pages

    def page_numbers(self) -> Iterator[int]:
        """The numbers of its pages, texts first. Copies are counted from COPY_PAGES on, so that neither has to wait
        for the other to be counted while a large audience is planned."""
        yield from range(self.pages)
        yield from range(COPY_PAGES, COPY_PAGES + self.copy_pages)


@dataclass(frozen=True, slots=True)
class PageTotals:
    """What a message's closed pages come to: how many, and credits captured per zone."""

    pages_closed: int
    captured: Mapping[Zone, int]


class _AttentionIndex(GlobalSecondaryIndex[Any]):
    class Meta(BaseMeta):
        index_name = "Attention"
        projection = KeysOnlyProjection()

    attend_shard = NumberAttribute(hash_key=True)
    attend_at = UTCDateTimeAttribute(range_key=True)


class _BySchoolIndex(GlobalSecondaryIndex[Any]):
    class Meta(BaseMeta):
        index_name = "BySchool"
        projection = KeysOnlyProjection()

    school = UnicodeAttribute(hash_key=True)
    created_at = UTCDateTimeAttribute(range_key=True)


class _MessageRow(Row):
    class Meta(MessagesMeta):
        pass

    attention = _AttentionIndex()
    by_school = _BySchoolIndex()

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    school = UnicodeAttribute()
    state = UnicodeAttribute()
    category = UnicodeAttribute()
    text = UnicodeAttribute()
    channels = JSONAttribute()
    audience = JSONAttribute()
    created_by = UnicodeAttribute()
    created_at = UTCDateTimeAttribute()
    revision = NumberAttribute(default=0)
    notice_confirmed = NumberAttribute(default=0)
    drop_accents = NumberAttribute(default=0)
    inbox_for_unreachable = NumberAttribute(default=0)
    template = JSONAttribute(null=True)
    expires_after_minutes = NumberAttribute(null=True)
    despite_quiet_hours = UnicodeAttribute(null=True)
    history = JSONAttribute(default=list)
    sender = UnicodeAttribute(default="")
    sent_by = UnicodeAttribute(null=True)
    accepted_at = UTCDateTimeAttribute(null=True)
    send_at = UTCDateTimeAttribute(null=True)
    give_up_at = UTCDateTimeAttribute(null=True)
    plan = UnicodeAttribute(null=True)
    pages = NumberAttribute(default=0)
    copy_pages = NumberAttribute(default=0)
    pages_enqueued = NumberAttribute(default=0)
    lots = NumberAttribute(default=0)
    people = NumberAttribute(default=0)
    recipients = NumberAttribute(default=0)
    copies = NumberAttribute(default=0)
    segments = NumberAttribute(default=0)
    segments_least = NumberAttribute(default=0)
    skipped = JSONAttribute(default=dict)
    duplicates = NumberAttribute(default=0)
    held = JSONAttribute(default=dict)
    captured = JSONAttribute(default=dict)
    digest = UnicodeAttribute(null=True)
    finished_at = UTCDateTimeAttribute(null=True)
    cancelled_by = UnicodeAttribute(null=True)
    stopped_by = UnicodeAttribute(null=True)
    refusal = JSONAttribute(null=True)
    attend_shard = NumberAttribute(null=True)
    attend_at = UTCDateTimeAttribute(null=True)


class _CounterRow(Row):
    class Meta(MessagesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    pages_closed = NumberAttribute(default=0)
    domestic = NumberAttribute(default=0)
    international = NumberAttribute(default=0)


_CAPTURED = {Zone.DOMESTIC: _CounterRow.domestic, Zone.INTERNATIONAL: _CounterRow.international}
_KEYS = frozenset({"pk", "sk", "school", "attend_shard"})
_FLAGS = ("notice_confirmed", "drop_accents", "inbox_for_unreachable")
_COUNTS = (
    "revision",
    "pages",
    "copy_pages",
    "pages_enqueued",
    "lots",
    "people",
    "recipients",
    "copies",
    "segments",
    "segments_least",
    "duplicates",
)


def _pk(school_id: str, message_id: str) -> str:
    return f"S#{school_id}#M#{message_id}"


def attention_shard(message_id: str) -> int:
    """Which of the 16 shards of the attention index a message is in."""
    return crc32(message_id.encode()) % ATTENTION_SHARDS


def find_message(school_id: str, message_id: str) -> Message | None:
    """A message, consistently."""
    try:
        row = _MessageRow.get(_pk(school_id, message_id), "message", consistent_read=True)
    except _MessageRow.DoesNotExist:
        return None
    return _message(row)


def list_messages(school_id: str, *, limit: int, before: str | None = None) -> tuple[list[Message], str | None]:
    """A page of a school's messages, newest first, and the cursor of the next one (None: no more).

    The cursor is a moment and an id, for two messages may be of one moment.
    """
    moment, _, last_id = (before or "").partition("#")
    condition = _BySchoolIndex.created_at <= datetime.fromisoformat(moment) if moment else None
    rows = _MessageRow.by_school.query(
        school_id, range_key_condition=condition, scan_index_forward=False, page_size=limit + 2
    )
    # Of one moment the index gives no order that lasts: the cursor's own moment is passed over by id.
    keys: list[tuple[str, str, str]] = []
    for row in rows:
        place = f"{row.created_at:%Y-%m-%dT%H:%M:%S.%f+00:00}"
        if moment and place == moment and row.pk <= _pk(school_id, last_id):
            continue
        if len(keys) > limit and place != keys[-1][2]:
            break
        keys.append((row.pk, row.sk, place))
    keys.sort(key=lambda one: one[0])
    keys.sort(key=lambda one: one[2], reverse=True)
    shown = keys[:limit]
    found = {row.pk: _message(row) for row in _MessageRow.batch_get([(pk, sk) for pk, sk, _ in shown])} if shown else {}
    last = f"{shown[-1][2]}#{shown[-1][0].rpartition('#')[2]}" if len(keys) > limit else None
    return [found[pk] for pk, _, _ in shown if pk in found], last


def list_due(shard: int, now: datetime, *, limit: int) -> Iterator[tuple[str, str]]:
    """(school, message) of one shard whose `attend_at` has come, the longest overdue first."""
    for row in _MessageRow.attention.query(
        shard, range_key_condition=_AttentionIndex.attend_at <= now, limit=limit, page_size=min(limit, 1000)
    ):
        _, school_id, _, message_id = row.pk.split("#")
        yield school_id, message_id


def create_message(message: Message) -> bool:
    """Writes a draft; False when the id is taken."""
    row = _MessageRow(_pk(message.school_id, message.id), "message")
    return update_if(row, _actions(message), _MessageRow.pk.does_not_exist())


def save_message(write: Transaction, message: Message, *, was: Message | None, refused: Exception) -> None:
    """Writes a message whose state or plan moves, as part of a transaction; `was` None: it must not exist."""
    _check_move(message, was)
    row = _MessageRow(_pk(message.school_id, message.id), "message")
    write.update(row, _actions(message), _expected(was), lambda _: refused)


def change_message(message: Message, *, was: Message) -> bool:
    """Writes a message by itself, where no credits move; False when it is no longer in that state, plan and revision.

    A lost answer looks like a refusal: whoever is refused reads again.
    """
    _check_move(message, was)
    return update_if(_MessageRow(_pk(message.school_id, message.id), "message"), _actions(message), _expected(was))


def note_enqueued(message: Message, pages_enqueued: int, attend_at: datetime) -> bool:
    """Keeps how far the jobs of this plan are enqueued, and when to look again."""
    row = _MessageRow(_pk(message.school_id, message.id), "message")
    actions = [_MessageRow.pages_enqueued.set(pages_enqueued), _MessageRow.attend_at.set(attend_at)]
    return update_if(row, actions, _expected(message))


def move_attention(message: Message, attend_at: datetime) -> bool:
    """Takes a due message: moves its `attend_at` on, if it is still what was seen. False: somebody else took it."""
    row = _MessageRow(_pk(message.school_id, message.id), "message")
    condition = _MessageRow.attend_at == message.attend_at
    return update_if(row, [_MessageRow.attend_at.set(attend_at)], condition)


def end_attention(message: Message, attend_at: datetime | None) -> bool:
    """Of a message that has ended: when its receipts are counted again, or never. False: it has changed since."""
    row = _MessageRow(_pk(message.school_id, message.id), "message")
    if attend_at is not None:
        return update_if(row, [_MessageRow.attend_at.set(attend_at)], _expected(message))
    return update_if(row, [_MessageRow.attend_at.remove(), _MessageRow.attend_shard.remove()], _expected(message))


def count_page(
    write: Transaction, school_id: str, message_id: str, *, pages: int, page: int, captured: Mapping[Zone, int]
) -> None:
    """Adds a page that closes to its counter row; only ever together with the closing of that page."""
    row = _CounterRow(_pk(school_id, message_id), f"C#{page % counters_of(pages)}")
    actions: list[Action] = [_CounterRow.pages_closed.add(1)]
    actions += [_CAPTURED[zone].add(count) for zone, count in captured.items() if count]
    # Any counter row will do: the page's own condition, in the same transaction, makes it happen once.
    always = _CounterRow.pk.exists() | _CounterRow.pk.does_not_exist()
    write.update(row, actions, always, lambda _: RuntimeError("a counter row cannot be refused"))


def read_totals(school_id: str, message_id: str, *, pages: int) -> PageTotals:
    """The sum of a message's counter rows, consistently."""
    keys = [(_pk(school_id, message_id), f"C#{shard}") for shard in range(counters_of(pages))]
    rows = list(_CounterRow.batch_get(keys, consistent_read=True))
    captured = {
        Zone.DOMESTIC: sum(int(row.domestic) for row in rows),
        Zone.INTERNATIONAL: sum(int(row.international) for row in rows),
    }
    return PageTotals(sum(int(row.pages_closed) for row in rows), captured)


def counters_of(pages: int) -> int:
    """Over how many counter rows a message's pages are counted."""
    return min(COUNTERS_MAX, pages // PAGES_PER_COUNTER + 1)


def _check_move(message: Message, was: Message | None) -> None:
    if was is not None and not may_move(was.state, message.state):
        raise RuntimeError(f"a message never goes from {was.state.value} to {message.state.value}")


def _expected(was: Message | None) -> Condition:
    if was is None:
        return _MessageRow.pk.does_not_exist()
    plan = _MessageRow.plan == was.plan if was.plan else _MessageRow.plan.does_not_exist()
    expected: Condition = (_MessageRow.state == was.state.value) & (_MessageRow.revision == was.revision) & plan
    return expected


def _actions(message: Message) -> list[Action]:
    actions: list[Action] = [_MessageRow.school.set(message.school_id)]
    shard = attention_shard(message.id) if message.attend_at else None
    actions.append(_MessageRow.attend_shard.set(shard) if shard is not None else _MessageRow.attend_shard.remove())
    for name in _MessageRow.get_attributes():
        if name in _KEYS:
            continue
        attribute, value = getattr(_MessageRow, name), _stored(getattr(message, name))
        actions.append(attribute.remove() if value is None else attribute.set(value))
    return actions


def _stored(value: Any) -> Any:
    if isinstance(value, MessageState | Category):
        return value.value
    if isinstance(value, bool):
        return int(value)
    return list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value


def _message(row: _MessageRow) -> Message:
    _, school_id, _, message_id = row.pk.split("#")
    values = {name: getattr(row, name) for name in _MessageRow.get_attributes() if name not in _KEYS}
    values |= {
        "state": MessageState(row.state),
        "category": Category(row.category),
        "channels": tuple(row.channels),
        "history": tuple(row.history),
    }
    for name in _FLAGS:
        values[name] = bool(values[name])
    for name in _COUNTS:
        values[name] = int(values[name])
    if values["expires_after_minutes"] is not None:
        values["expires_after_minutes"] = int(values["expires_after_minutes"])
    return Message(school_id=school_id, id=message_id, **values)
