"""The message centre (L4): every person's own copies of what the school sent, free, whatever the school has paid for.

A person reads their own inbox and nobody else's. It must never ask for credits, a contract, a number or an opt-out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from recado.access import Caller
from recado.errors import FieldProblem, InvalidRequest, NobodysInbox, NotAllowed, NotFound
from recado.rules import roles
from recado.rules.oneroster import ID
from recado.settings import SETTINGS
from recado.tables import inbox as table
from recado.tables.inbox import InboxCopy, Kept

UNREAD_SHOWN_MAX = 100  # more is "100+": nobody counts further
LOOKED_AT_MAX = 500  # copies that one page looks at; whoever asks goes on from there
MARKED_AT_ONCE_MAX = 10_000  # copies that one request looks at to mark them: more than anybody has
COPIES_PER_STEP = 100
CLOCKS_APART = timedelta(minutes=5)
NOT_HERE = "There is no such message in this inbox"
FIRST_MOMENT = datetime(2000, 1, 1, tzinfo=UTC)  # nothing was sent before


@dataclass(frozen=True, slots=True)
class Unread:
    """How many are unread; capped: at least so many."""

    count: int
    is_capped: bool


@dataclass(frozen=True, slots=True)
class Item:
    """A copy as its reader sees it."""

    copy: InboxCopy
    read_at: datetime | None


def deliver_copies(school_id: str, copies: Sequence[InboxCopy]) -> None:
    """Puts copies into their people's inboxes. Again it changes nothing: nothing becomes unread, nobody has two.

    `at` must be the message's own moment, the same at each delivery. 100 copies take four requests. Raises
    PynamoDB's PutError when a batch was not taken; deliver all of them again.
    """
    table.create_copies(school_id, copies, life=timedelta(days=SETTINGS.inbox_retention_days))


def list_inbox(
    caller: Caller, now: datetime, *, limit: int, before: str | None, unread_only: bool
) -> tuple[list[Item], str | None]:
    """A page of one's own inbox, newest first, and where the next begins (None: the end).

    A page of unread ones may be short although there are more: at most LOOKED_AT_MAX copies are looked at.
    """
    person_id = _own(caller)
    step = COPIES_PER_STEP if unread_only else limit + 1
    items: list[Item] = []
    for _ in range(0, LOOKED_AT_MAX, step):
        copies = table.list_copies(caller.school_id, person_id, now, limit=step, before=before)
        marks = table.list_marks(caller.school_id, person_id, copies)
        for one in copies:
            mark = marks.get(one.place)
            if mark is None or (mark.hidden_at is None and not unread_only):
                if len(items) == limit:
                    return items, before
                items.append(Item(one.copy, mark.read_at if mark else None))
            before = one.place
        if len(copies) < step:
            return items, None
    return items, before


def count_unread(caller: Caller, now: datetime) -> Unread:
    """How many of one's own messages are unread."""
    count = table.count_unmarked(caller.school_id, _own(caller), now)
    return Unread(min(count, UNREAD_SHOWN_MAX), is_capped=count > UNREAD_SHOWN_MAX)


def get_item(caller: Caller, message_id: str, now: datetime) -> Item:
    """One message of one's own inbox; looking at it here does not mark it. Raises NotFound."""
    _, item = _get(caller, message_id, now)
    return item


def mark_read(caller: Caller, message_id: str, now: datetime) -> Item:
    """Marks one message as read; the first time stays. Raises NotFound."""
    one, item = _get(caller, message_id, now)
    if item.read_at is not None:
        return item
    table.save_read(caller.school_id, [one], now)
    return Item(one.copy, now)


def mark_all_read(caller: Caller, until: datetime, now: datetime) -> int:
    """Marks what is in the inbox now, up to that moment, and returns how many were unread.

    One by one and not by a line in time: a message that arrives late, with an earlier moment, has been read by nobody.
    """
    person_id = _own(caller)
    if until > now + CLOCKS_APART:
        raise InvalidRequest(fields=[FieldProblem("/until", "in_the_future", "A moment that has passed")])
    marked, before = 0, None
    for _ in range(0, MARKED_AT_ONCE_MAX if until >= FIRST_MOMENT else 0, COPIES_PER_STEP):
        copies = table.list_copies(caller.school_id, person_id, now, limit=COPIES_PER_STEP, before=before, until=until)
        marks = table.list_marks(caller.school_id, person_id, copies)
        unread = [one for one in copies if one.place not in marks]
        table.save_read(caller.school_id, unread, now)
        marked += len(unread)
        if len(copies) < COPIES_PER_STEP:
            break
        before = copies[-1].place
    return marked


def hide(caller: Caller, message_id: str, now: datetime) -> None:
    """Puts a message away, for its reader only; away already is no error. Raises NotFound."""
    person_id = _own(caller)
    one = table.find_copy(caller.school_id, person_id, message_id, now)
    if one is None:
        raise NotFound(NOT_HERE)
    table.save_hidden(caller.school_id, one, now)


def _get(caller: Caller, message_id: str, now: datetime) -> tuple[Kept, Item]:
    person_id = _own(caller)
    one = table.find_copy(caller.school_id, person_id, message_id, now)
    if one is None:
        raise NotFound(NOT_HERE)
    mark = table.list_marks(caller.school_id, person_id, [one]).get(one.place)
    if mark is not None and mark.hidden_at is not None:
        raise NotFound(NOT_HERE)
    return one, Item(one.copy, mark.read_at if mark else None)


def _own(caller: Caller) -> str:
    """Whose inbox this caller reads: that of the person their token names, whatever their role."""
    if not roles.has_inbox(caller.role):
        raise NotAllowed
    if caller.person_id is None or not ID.fullmatch(caller.person_id):
        raise NobodysInbox
    return caller.person_id
