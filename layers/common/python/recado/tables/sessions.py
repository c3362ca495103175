"""A session's own row, its handsets and its transcript, all under one key so that they are deleted together (C7).

The session's row decides: what writes to a session does so under a condition on that row, and on what was seen of it.
Its pages lie under the same key (`tables/pages.py`).
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from zlib import crc32

from pynamodb.attributes import (
    BooleanAttribute,
    JSONAttribute,
    ListAttribute,
    NumberAttribute,
    UnicodeAttribute,
    UTCDateTimeAttribute,
)
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection

from recado.tables.base import BaseMeta, Row, SessionsMeta, Transaction, update_if

DUE_SHARDS = 64  # each has a sweeping worker of its own when many sessions end at once
QUERY_PAGE = 200


class SessionState(StrEnum):
    OPEN = "open"
    CLOSED = "closed"


class Direction(StrEnum):
    """Seen from the web."""

    OUT = "out"
    IN = "in"


@dataclass(frozen=True, slots=True)
class Session:
    """`seq` counts activity, `says` texts, `replies` answers. `sending` is the number of the text going out, on `pages`
    pages, of which `paged` says that all are written; `said_by` is what the latest text was said for. Before
    `joining_since` came no part of a reply that still waits for others; None: nothing waits. `sockets` are the
    connections of its pages, the oldest first.

    Without `check_at` it is buried.
    """

    id: str
    state: SessionState
    opened_at: datetime
    last_activity_at: datetime
    check_at: datetime | None
    seq: int = 0
    says: int = 0
    replies: int = 0
    sending: int | None = None
    pages: int = 0
    paged: int | None = None
    said_by: str | None = None
    joining_since: datetime | None = None
    sockets: tuple[str, ...] = ()

    @property
    def is_open(self) -> bool:
        return self.state is SessionState.OPEN

    @property
    def is_unsaid(self) -> bool:
        """Nothing was said in it, by nobody: a handset may answer an older text before the first one is said."""
        return self.says == 0 and self.replies == 0


class NotReached(StrEnum):
    """Why a session does not write to a number."""

    NOT_A_NUMBER = "not_a_number"
    NOT_A_SUBSCRIBER = "not_a_subscriber"
    OPTED_OUT = "opted_out"
    NO_SHORT_CODE_FREE = "no_short_code_free"
    TOO_MANY_TEXTS = "too_many_texts"
    TOO_MANY_SESSIONS = "too_many_sessions"  # of the same source, with this handset


@dataclass(frozen=True, slots=True)
class Handset:
    """`number` is E.164, `typed` what the user wrote; `code` is the one the session holds, None until it has one."""

    number: str
    typed: str
    can_answer: bool
    code: str | None = None


@dataclass(frozen=True, slots=True)
class RefusedNumber:
    """A number as it was typed, why the session does not write to it, and when to try again if that is known."""

    typed: str
    reason: NotReached
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Handsets:
    """Whom a session writes to. `is_claimed`: every handset here has its code."""

    handsets: tuple[Handset, ...]
    refused: tuple[RefusedNumber, ...]
    is_claimed: bool


@dataclass(frozen=True, slots=True)
class Text:
    """One line of the transcript. `at` is our time for what goes out, the carrier's for what came in.

    `is_partial`: a long reply of which parts are missing.
    """

    seq: int
    direction: Direction
    text: str
    at: datetime
    number: str | None = None
    code: str | None = None
    is_partial: bool = False


class _Other(Exception):
    """The row is not the one that was seen."""


class _DueIndex(GlobalSecondaryIndex[Any]):
    class Meta(BaseMeta):
        index_name = "Due"
        projection = KeysOnlyProjection()

    due_shard = NumberAttribute(hash_key=True)
    check_at = UTCDateTimeAttribute(range_key=True)


class _SessionRow(Row):
    class Meta(SessionsMeta):
        pass

    due = _DueIndex()

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    state = UnicodeAttribute()
    opened_at = UTCDateTimeAttribute()
    last_activity_at = UTCDateTimeAttribute()
    check_at = UTCDateTimeAttribute(null=True)
    due_shard = NumberAttribute(null=True)
    seq = NumberAttribute()
    says = NumberAttribute()
    replies = NumberAttribute(default=0)
    sending = NumberAttribute(null=True)
    pages = NumberAttribute(default=0)
    paged = NumberAttribute(null=True)
    said_by = UnicodeAttribute(null=True)
    joining_since = UTCDateTimeAttribute(null=True)
    sockets: ListAttribute[Any] = ListAttribute(of=UnicodeAttribute, null=True)
    expires_at = NumberAttribute()


class _HandsetsRow(Row):
    class Meta(SessionsMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    handsets = JSONAttribute()
    refused = JSONAttribute()
    is_claimed = BooleanAttribute()
    expires_at = NumberAttribute()


class _TextRow(Row):
    class Meta(SessionsMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    direction = UnicodeAttribute()
    text = UnicodeAttribute()
    at = UTCDateTimeAttribute()
    number = UnicodeAttribute(null=True)
    code = UnicodeAttribute(null=True)
    is_partial = BooleanAttribute(null=True)
    expires_at = NumberAttribute()


class _LeftOutRow(Row):
    class Meta(SessionsMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    refused = JSONAttribute()
    expires_at = NumberAttribute()


class _AnyRow(Row):
    """Whatever lies under a session's key: pages too."""

    class Meta(SessionsMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)


_SESSION = "session"
_HANDSETS = "handsets"


def due_shard(session_id: str) -> int:
    """Which shard of the index a session is in."""
    return crc32(session_id.encode()) % DUE_SHARDS


def find_session(session_id: str) -> Session | None:
    """A session's row, consistently."""
    try:
        return _session(_SessionRow.get(session_key(session_id), _SESSION, consistent_read=True))
    except _SessionRow.DoesNotExist:
        return None


def list_sessions(session_ids: Iterable[str]) -> dict[str, Session]:
    """The rows of those that are there, by id, consistently."""
    keys = [(session_key(session_id), _SESSION) for session_id in session_ids]
    found = (_session(row) for row in _SessionRow.batch_get(keys, consistent_read=True))
    return {session.id: session for session in found}


def find_handsets(session_id: str) -> Handsets | None:
    """A session's handsets, consistently."""
    try:
        return _handsets(_HandsetsRow.get(session_key(session_id), _HANDSETS, consistent_read=True))
    except _HandsetsRow.DoesNotExist:
        return None


def list_handsets(session_ids: Iterable[str]) -> dict[str, Handsets]:
    """The handsets of those sessions that have theirs, by the session's id, consistently."""
    keys = [(session_key(session_id), _HANDSETS) for session_id in session_ids]
    return {_id(row.pk): _handsets(row) for row in _HandsetsRow.batch_get(keys, consistent_read=True)}


def find_left_out(session_id: str, say_number: int) -> tuple[RefusedNumber, ...]:
    """Which of those it was for a text did not go to, consistently."""
    try:
        row = _LeftOutRow.get(session_key(session_id), _left_out_key(say_number), consistent_read=True)
    except _LeftOutRow.DoesNotExist:
        return ()
    return _unpacked_refused(row.refused)


def list_texts(session_id: str, *, after: int, limit: int) -> list[Text]:
    """The transcript from `after` on, in the order it was written, consistently."""
    found = _TextRow.query(
        session_key(session_id), _TextRow.sk.between(_text_key(after + 1), "t#~"), consistent_read=True, limit=limit
    )
    return [
        Text(
            int(row.sk.removeprefix("t#")),
            Direction(row.direction),
            row.text,
            row.at,
            row.number,
            row.code,
            bool(row.is_partial),
        )
        for row in found
    ]


def list_due(shard: int, now: datetime) -> Iterator[str]:
    """Sessions of one shard whose `check_at` has come, the longest overdue first; a page is read when it is needed."""
    for row in _SessionRow.due.query(shard, range_key_condition=_DueIndex.check_at <= now, page_size=QUERY_PAGE):
        yield _id(row.pk)


def has_due(shard: int, until: datetime) -> bool:
    """Whether anybody must look at a session of this shard before then."""
    return any(_SessionRow.due.query(shard, range_key_condition=_DueIndex.check_at <= until, limit=1))


def create_session(
    write: Transaction, session: Session, handsets: Handsets, *, expires_at: int, taken: Exception
) -> None:
    """Writes a new session with the numbers it is to write to, as part of a transaction."""
    row = _SessionRow(
        session_key(session.id),
        _SESSION,
        state=session.state.value,
        opened_at=session.opened_at,
        last_activity_at=session.last_activity_at,
        check_at=session.check_at,
        due_shard=due_shard(session.id),
        seq=session.seq,
        says=session.says,
        replies=session.replies,
        expires_at=expires_at,
    )
    write.put(row, _SessionRow.pk.does_not_exist(), lambda _: taken)
    numbers = _HandsetsRow(
        session_key(session.id),
        _HANDSETS,
        handsets=_packed_handsets(handsets),
        refused=_packed_refused(handsets.refused),
        is_claimed=handsets.is_claimed,
        expires_at=expires_at,
    )
    write.put(numbers, _HandsetsRow.pk.does_not_exist(), lambda _: taken)


def save_handsets(session_id: str, handsets: Handsets) -> bool:
    """Keeps which codes were claimed; False when the session's rows are being deleted."""
    row = _HandsetsRow(session_key(session_id), _HANDSETS)
    changes = [
        _HandsetsRow.handsets.set(_packed_handsets(handsets)),
        _HandsetsRow.refused.set(_packed_refused(handsets.refused)),
        _HandsetsRow.is_claimed.set(handsets.is_claimed),
    ]
    return update_if(row, changes, _HandsetsRow.pk.exists())


def touch(session: Session, now: datetime, *, opened_after: datetime) -> bool:
    """Notes activity; False when the session is closed, too old, or not as it was seen."""
    return update_if(_row(session.id), _activity(session, now), _still(session, opened_after))


def say(
    write: Transaction,
    session: Session,
    now: datetime,
    *,
    opened_after: datetime,
    said_by: str,
    pages: int,
    check_at: datetime,
    refused: Exception,
) -> None:
    """Notes activity and that the next text is going out, one at a time (C5), as part of a transaction."""
    changes = [
        *_activity(session, now),
        _SessionRow.says.set(session.says + 1),
        _SessionRow.sending.set(session.says + 1),
        _SessionRow.pages.set(pages),
        _SessionRow.paged.remove(),
        _SessionRow.said_by.set(said_by),
        _SessionRow.check_at.set(check_at),
    ]
    condition = _still(session, opened_after) & _SessionRow.sending.does_not_exist()
    write.update(_row(session.id), changes, condition, lambda _: refused)


def hear(
    write: Transaction,
    session: Session,
    now: datetime,
    *,
    opened_after: datetime,
    is_answer: bool,
    look_at: datetime | None = None,
    refused: Exception,
) -> None:
    """Notes activity, as part of a transaction that stores a reply, and with `is_answer` one more of them.

    `look_at`: a part that waits is looked at then.
    """
    changes = _activity(session, now)
    if is_answer:
        changes.append(_SessionRow.replies.set(session.replies + 1))
    if look_at is not None:
        changes.append(_SessionRow.joining_since.set(session.joining_since or now))
        changes.append(_SessionRow.check_at.set(min(session.check_at or look_at, look_at)))
    write.update(_row(session.id), changes, _still(session, opened_after), lambda _: refused)


def show(
    write: Transaction, session: Session, joining_since: datetime | None, *, opened_after: datetime, refused: Exception
) -> None:
    """Numbers a line that came without activity, as part of the transaction that writes it."""
    changes = [_SessionRow.seq.set(session.seq + 1), _joining(joining_since)]
    write.update(_row(session.id), changes, _still(session, opened_after), lambda _: refused)


def note_joining(session: Session, joining_since: datetime | None) -> bool:
    """Corrects since when parts wait; False when the session is not as it was seen, or closed."""
    condition = (_SessionRow.state == SessionState.OPEN.value) & (_SessionRow.seq == session.seq)
    return update_if(_row(session.id), [_joining(joining_since)], condition)


def create_text(write: Transaction, session_id: str, text: Text, *, expires_at: int, refused: Exception) -> None:
    """Adds a line to the transcript; only ever together with the activity that numbers it."""
    row = _TextRow(
        session_key(session_id),
        _text_key(text.seq),
        direction=text.direction.value,
        text=text.text,
        at=text.at,
        number=text.number,
        code=text.code,
        is_partial=text.is_partial or None,
        expires_at=expires_at,
    )
    write.put(row, _TextRow.pk.does_not_exist(), lambda _: refused)


def create_left_out(
    write: Transaction,
    session_id: str,
    say_number: int,
    left_out: Sequence[RefusedNumber],
    *,
    expires_at: int,
    refused: Exception,
) -> None:
    """Keeps whom a text does not go to; only ever together with the text."""
    row = _LeftOutRow(
        session_key(session_id), _left_out_key(say_number), refused=_packed_refused(left_out), expires_at=expires_at
    )
    write.put(row, _LeftOutRow.pk.does_not_exist(), lambda _: refused)


def note_paged(session_id: str, say_number: int) -> bool:
    """Says that every page of the text is written: from now on it may be spoken. False: closed, or given up."""
    condition = (_SessionRow.state == SessionState.OPEN.value) & (_SessionRow.sending == say_number)
    return update_if(_row(session_id), [_SessionRow.paged.set(say_number)], condition)


def give_up_saying(session_id: str, say_number: int) -> bool:
    """Forgets a text whose pages were never all written; False when they were, or it is not the one going out."""
    condition = (_SessionRow.sending == say_number) & _SessionRow.paged.does_not_exist()
    return update_if(_row(session_id), [_SessionRow.sending.remove(), _SessionRow.said_by.remove()], condition)


def end_saying(session_id: str, say_number: int) -> bool:
    """Says that the text went out; False when it is not the one going out (any more)."""
    return update_if(_row(session_id), [_SessionRow.sending.remove()], _SessionRow.sending == say_number)


def join(session: Session, connection: str, *, instead_of: Collection[str] = ()) -> bool:
    """Adds a page's connection to an open session; False when it is closed, or its connections are not as seen."""
    kept = [one for one in session.sockets if one not in instead_of]
    condition = (_SessionRow.state == SessionState.OPEN.value) & _sockets_as_seen(session)
    return update_if(_row(session.id), [_SessionRow.sockets.set([*kept, connection])], condition)


def leave(session: Session, connections: Collection[str]) -> bool:
    """Takes connections away, also after the end; False when the session's connections are not as seen."""
    kept = [one for one in session.sockets if one not in connections]
    change = _SessionRow.sockets.set(kept) if kept else _SessionRow.sockets.remove()
    return update_if(_row(session.id), [change], _SessionRow.pk.exists() & _sockets_as_seen(session))


def move_check(session: Session, check_at: datetime) -> bool:
    """Looks at an open session again then; False when its `check_at` is not what was seen, or another part waits."""
    since = _SessionRow.joining_since
    is_seen = since.does_not_exist() if session.joining_since is None else since == session.joining_since
    condition = (_SessionRow.state == SessionState.OPEN.value) & (_SessionRow.check_at == session.check_at) & is_seen
    return update_if(_row(session.id), [_SessionRow.check_at.set(check_at)], condition)


def close(session_id: str, now: datetime) -> bool:
    """Closes an open session, over or not; False when it is not open. From now on somebody must look at it."""
    changes = [_SessionRow.state.set(SessionState.CLOSED.value), _SessionRow.check_at.set(now)]
    return update_if(_row(session_id), changes, _SessionRow.state == SessionState.OPEN.value)


def close_over(session_id: str, *, idle_since: datetime, opened_before: datetime) -> bool:
    """Closes an open session without activity since `idle_since`, or opened before; a reply in between wins: False.

    `check_at` stays: it is never after the end, so what is over is due.
    """
    is_over = (_SessionRow.last_activity_at <= idle_since) | (_SessionRow.opened_at <= opened_before)
    changes = [_SessionRow.state.set(SessionState.CLOSED.value)]
    return update_if(_row(session_id), changes, (_SessionRow.state == SessionState.OPEN.value) & is_over)


def delete_rows(session_id: str) -> int:
    """Deletes everything of a session but its own row: transcript, handsets, pages. Returns how many rows."""
    count = 0
    with _AnyRow.batch_write() as batch:
        for row in _AnyRow.query(session_key(session_id), attributes_to_get=["pk", "sk"], consistent_read=True):
            if row.sk != _SESSION:
                batch.delete(row)
                count += 1
    return count


def look_again(session_id: str, check_at: datetime) -> bool:
    """Has a closed session cleared once more then; False when it is not closed."""
    changes = [_SessionRow.check_at.set(check_at)]
    return update_if(_row(session_id), changes, _SessionRow.state == SessionState.CLOSED.value)


def bury_session(session_id: str) -> Session | None:
    """Leaves of a closed session that it was there: nobody looks at it again, and its id never opens another.

    Returns it as it was at the end; None when somebody else has buried it.
    """
    changes = [
        _SessionRow.check_at.remove(),
        _SessionRow.due_shard.remove(),
        _SessionRow.sending.remove(),
        _SessionRow.paged.remove(),
        _SessionRow.joining_since.remove(),
        _SessionRow.sockets.remove(),
    ]
    row = _row(session_id)
    is_unburied = (_SessionRow.state == SessionState.CLOSED.value) & _SessionRow.check_at.exists()
    return _session(row) if update_if(row, changes, is_unburied) else None


def is_still_unsaid(session: Session) -> bool:
    """Whether this is still the closed session that never sent anything, and not one that its key opened since."""
    found = find_session(session.id)
    return found is not None and not found.is_open and found.is_unsaid and found.opened_at == session.opened_at


def delete_unsaid(session: Session) -> bool:
    """Deletes a closed session that never sent anything, with its handsets, so that its id may open it after all.

    False when it is not there, or another under its id.
    """
    is_closed = (_SessionRow.state == SessionState.CLOSED.value) & (_SessionRow.opened_at == session.opened_at)
    is_unheard = _SessionRow.replies.does_not_exist() | (_SessionRow.replies == 0)
    try:
        with Transaction() as write:
            write.delete(_row(session.id), is_closed & (_SessionRow.says == 0) & is_unheard, lambda _: _Other())
            write.delete(_HandsetsRow(session_key(session.id), _HANDSETS), None, lambda _: _Other())
    except _Other:
        return False
    return True


def session_key(session_id: str) -> str:
    """The key of everything that is a session's own."""
    return f"X#{session_id}"


def _id(pk: str) -> str:
    return pk.removeprefix(session_key(""))


def _text_key(seq: int) -> str:
    return f"t#{seq:08}"


def _left_out_key(say_number: int) -> str:
    return f"l#{say_number:08}"


def _row(session_id: str) -> _SessionRow:
    return _SessionRow(session_key(session_id), _SESSION)


def _session(row: _SessionRow) -> Session:
    return Session(
        id=_id(row.pk),
        state=SessionState(row.state),
        opened_at=row.opened_at,
        last_activity_at=row.last_activity_at,
        check_at=row.check_at,
        seq=int(row.seq),
        says=int(row.says),
        replies=int(row.replies),
        sending=_whole(row.sending),
        pages=int(row.pages),
        paged=_whole(row.paged),
        said_by=row.said_by,
        joining_since=row.joining_since,
        sockets=tuple(row.sockets or ()),
    )


def _handsets(row: _HandsetsRow) -> Handsets:
    return Handsets(
        tuple(Handset(number, typed, bool(can_answer), code) for number, typed, can_answer, code in row.handsets),
        _unpacked_refused(row.refused),
        bool(row.is_claimed),
    )


def _activity(session: Session, now: datetime) -> list[Action]:
    return [
        _SessionRow.seq.set(session.seq + 1),
        _SessionRow.last_activity_at.set(max(session.last_activity_at, now)),
    ]


def _joining(since: datetime | None) -> Action:
    return _SessionRow.joining_since.remove() if since is None else _SessionRow.joining_since.set(since)


def _still(session: Session, opened_after: datetime) -> Condition:
    # Never "not closed": a condition that a deleted row fulfils would write it again.
    is_seen = (_SessionRow.state == SessionState.OPEN.value) & (_SessionRow.seq == session.seq)
    condition: Condition = is_seen & (_SessionRow.opened_at > opened_after)
    return condition


def _sockets_as_seen(session: Session) -> Condition:
    found: Condition = _SessionRow.sockets.does_not_exist()
    return _SessionRow.sockets == list(session.sockets) if session.sockets else found


def _packed_handsets(handsets: Handsets) -> list[list[Any]]:
    return [[one.number, one.typed, one.can_answer, one.code] for one in handsets.handsets]


def _packed_refused(refused: Sequence[RefusedNumber]) -> list[list[Any]]:
    return [[one.typed, one.reason.value, one.retry_at.isoformat() if one.retry_at else None] for one in refused]


def _unpacked_refused(packed: Sequence[Sequence[Any]]) -> tuple[RefusedNumber, ...]:
    return tuple(
        RefusedNumber(typed, NotReached(reason), datetime.fromisoformat(retry_at) if retry_at else None)
        for typed, reason, retry_at in packed
    )


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)
