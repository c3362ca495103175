"""The message centre: one copy per person and message (immutable), and one mark for what was read or put away.

A copy and its mark end in the same second (`expires_at`), which every read asks: a count never waits for TTL.
"""

import random
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import batched

from pynamodb.attributes import NumberAttribute, UnicodeAttribute, UTCDateTimeAttribute
from pynamodb.exceptions import PutError
from pynamodb.expressions.update import Action

from recado.rules.message_states import Category
from recado.tables.base import PeopleMeta, Row, Transaction

BATCH_MAX = 25  # DynamoDB's limit of one BatchWriteItem
TRANSACTION_MAX = 100  # DynamoDB's limit
BATCH_ATTEMPTS_MAX = 5
COPIES_LOOKED_AT_ONCE = 50  # a message that is opened is mostly a late one
AFTER_ALL = "~"  # sorts after every id


@dataclass(frozen=True, slots=True)
class InboxCopy:
    """A message as one person reads it. `at` orders the inbox and is part of the key: the same at each delivery."""

    person_id: str
    message_id: str
    category: Category
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Kept:
    """A copy as it is stored; past `expires_at` (seconds since 1970) nobody sees it any more."""

    copy: InboxCopy
    expires_at: int

    @property
    def place(self) -> str:
        """Where it stands in its inbox; later ones sort after earlier ones."""
        return _place(self.copy.at, self.copy.message_id)


@dataclass(frozen=True, slots=True)
class Mark:
    """What its reader did with a copy. A copy with a mark is not unread, whichever of the two it is."""

    read_at: datetime | None
    hidden_at: datetime | None


class _CopyRow(Row):
    class Meta(PeopleMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    message_id = UnicodeAttribute()
    category = UnicodeAttribute()
    text = UnicodeAttribute()
    at = UTCDateTimeAttribute()
    expires_at = NumberAttribute()


class _MarkRow(Row):
    class Meta(PeopleMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    read_at = UTCDateTimeAttribute(null=True)
    hidden_at = UTCDateTimeAttribute(null=True)
    expires_at = NumberAttribute()


def create_copies(school_id: str, copies: Iterable[InboxCopy], *, life: timedelta) -> None:
    """Writes copies, each ending `life` after its own `at`. Raises PutError; what was written by then stays.

    Unconditional on purpose: key and content follow from the message alone, so that writing a copy again changes
    nothing. Marks are rows of their own, which this never touches.
    """
    # One request must not name a key twice.
    rows = {
        (copy.person_id, copy.at, copy.message_id): _CopyRow(
            _pk(school_id, copy.person_id),
            f"C#{_place(copy.at, copy.message_id)}",
            message_id=copy.message_id,
            category=copy.category.value,
            text=copy.text,
            at=copy.at,
            expires_at=int((copy.at + life).timestamp()),
        )
        for copy in copies
    }
    for batch in batched(rows.values(), BATCH_MAX, strict=False):
        _put_batch(batch)


def list_copies(
    school_id: str,
    person_id: str,
    now: datetime,
    *,
    limit: int,
    before: str | None = None,
    until: datetime | None = None,
) -> list[Kept]:
    """At most `limit` copies of one person that have not ended, newest first, consistently.

    `before` leaves out that place and whatever is later, `until` whatever is later than that moment.
    """
    last = min(before or AFTER_ALL, f"{_moment(until)}#{AFTER_ALL}" if until else AFTER_ALL)
    found = _CopyRow.query(
        _pk(school_id, person_id),
        _CopyRow.sk.between("C#", f"C#{last}"),
        _CopyRow.expires_at > int(now.timestamp()),
        scan_index_forward=False,
        consistent_read=True,
        limit=limit + 1,
        page_size=limit + 1,
    )
    return [_kept(person_id, row) for row in found if row.sk != f"C#{before}"][:limit]


def find_copy(school_id: str, person_id: str, message_id: str, now: datetime) -> Kept | None:
    """One person's copy of a message; looked for from the newest on, for its key begins with its time."""
    found = _CopyRow.query(
        _pk(school_id, person_id),
        _CopyRow.sk.startswith("C#"),
        (_CopyRow.message_id == message_id) & (_CopyRow.expires_at > int(now.timestamp())),
        scan_index_forward=False,
        consistent_read=True,
        limit=1,
        page_size=COPIES_LOOKED_AT_ONCE,
    )
    return next((_kept(person_id, row) for row in found), None)


def list_marks(school_id: str, person_id: str, copies: Sequence[Kept]) -> Mapping[str, Mark]:
    """The marks of copies that follow each other in an inbox, by place; unmarked ones are left out."""
    if not copies:
        return {}
    places = sorted(one.place for one in copies)
    found = _MarkRow.query(
        _pk(school_id, person_id), _MarkRow.sk.between(f"R#{places[0]}", f"R#{places[-1]}"), consistent_read=True
    )
    return {row.sk.removeprefix("R#"): Mark(row.read_at, row.hidden_at) for row in found}


def save_read(school_id: str, copies: Sequence[Kept], now: datetime) -> None:
    """Marks copies as read. No condition: the first moment stays, and the order of marks makes no difference."""
    for batch in batched(copies, TRANSACTION_MAX, strict=False):
        with Transaction() as write:
            for one in batch:
                actions = _first(_MarkRow.read_at, now, one)
                write.update(_mark_row(school_id, one), actions, None, _never_refused)


def save_hidden(school_id: str, one: Kept, now: datetime) -> None:
    """Puts a copy away, for its reader only. No condition: the first moment stays."""
    _mark_row(school_id, one).update(actions=_first(_MarkRow.hidden_at, now, one))


def count_unmarked(school_id: str, person_id: str, now: datetime) -> int:
    """How many copies nobody has read or put away, consistently.

    Counted each time, so that it cannot drift. Between the two queries the reader may do one thing more: then it is
    one off, once. Each mark has its copy (both end together), so that the difference is what is left.
    """
    pk, is_kept = _pk(school_id, person_id), int(now.timestamp())
    copies = _CopyRow.count(pk, _CopyRow.sk.startswith("C#"), _CopyRow.expires_at > is_kept, consistent_read=True)
    marks = _MarkRow.count(pk, _MarkRow.sk.startswith("R#"), _MarkRow.expires_at > is_kept, consistent_read=True)
    return max(0, copies - marks)


def _pk(school_id: str, person_id: str) -> str:
    return f"S#{school_id}#I#{person_id}"


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def _place(at: datetime, message_id: str) -> str:
    return f"{_moment(at)}#{message_id}"


def _mark_row(school_id: str, one: Kept) -> _MarkRow:
    return _MarkRow(_pk(school_id, one.copy.person_id), f"R#{one.place}")


def _first(attribute: UTCDateTimeAttribute, now: datetime, one: Kept) -> list[Action]:
    """The moment, unless there is one already; and the end, which is the copy's own."""
    return [attribute.set(attribute | now), _MarkRow.expires_at.set(one.expires_at)]


def _never_refused(_: object) -> Exception:
    return AssertionError("a write without a condition was refused")


def _kept(person_id: str, row: _CopyRow) -> Kept:
    copy = InboxCopy(person_id, row.message_id, Category(row.category), row.text, row.at)
    return Kept(copy, int(row.expires_at))


def _put_batch(rows: Sequence[_CopyRow]) -> None:
    """One BatchWriteItem; whatever DynamoDB leaves unprocessed is asked again, with growing pauses, a few times."""
    for attempt in range(BATCH_ATTEMPTS_MAX):
        try:
            with _CopyRow.batch_write() as batch:
                for row in rows:
                    batch.save(row)
        except PutError as error:
            # PynamoDB names a cause when the request failed; none when rows were left after its own second try.
            if error.cause is not None or attempt == BATCH_ATTEMPTS_MAX - 1:
                raise
            time.sleep(random.uniform(0.02, 0.05) * 2**attempt)  # noqa: S311  # spreads contenders, hides nothing
        else:
            return
