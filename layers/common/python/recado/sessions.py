"""Sessions: somebody on the web, without an account, talks with handsets for as long as they talk (C1–C9).

The session's own row decides, at every read and write. What was once seen ended stays ended; a text or a number
lies nowhere but under the session's own key, and goes with it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from recado import live, log, session_caps, session_counts, session_handsets, session_parts
from recado.access import first_master
from recado.clock import Clock
from recado.errors import IdempotencyKeyReused, RecadoError, SessionBusy, SessionEnded, StillSending
from recado.page_jobs import job_of
from recado.queues import put_jobs
from recado.rules import idle_timeout, segments, signatures
from recado.rules.credit_bags import Zone
from recado.rules.session_texts import read_text
from recado.session_caps import Booking
from recado.session_handsets import SCHOOL, SUBSCRIBERS
from recado.settings import SETTINGS
from recado.tables import pages
from recado.tables import sessions as table
from recado.tables.base import Transaction
from recado.tables.pages import PAGE_SIZE, PageKind, PageRecipient, PageRef
from recado.tables.sessions import Direction, Handset, Handsets, RefusedNumber, Session, SessionState, Text

TEXTS_MAX = 100  # lines of the transcript one read answers
TOUCHES_MAX = 5  # tries at a row that others write to as well
STILL_SENDING_SECONDS = 2
TAKE_UP_AFTER = timedelta(seconds=60)  # a text that has not gone out by then is looked after
ROWS_LIFE = timedelta(days=2)  # then DynamoDB tidies what is left of a session


@dataclass(frozen=True, slots=True)
class Opening:
    """Whom a session writes to, whom not, and when it ends if nothing happens."""

    session_id: str
    handsets: tuple[Handset, ...]
    refused: tuple[RefusedNumber, ...]
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Said:
    """A text: the session it went out in, and its number there."""

    session_id: str
    number: int


@dataclass(frozen=True, slots=True)
class Reading:
    """The transcript after a cursor, and when the session ends if nothing more happens."""

    texts: tuple[Text, ...]
    next_after: int
    is_sending: bool
    ends_at: datetime


class _Moved(Exception):  # a signal between two steps here
    """The session's row is not as it was read: somebody else was active, or it has ended."""


class _SeenBefore(Exception):  # a signal between two steps here
    """This id has a row already."""


# --- The web user


def open_session(
    text: str,
    numbers: Sequence[str],
    key: str,
    clock: Clock,
    *,
    address: str,
    key_is_first: bool,
    require_person: Callable[[], None] = lambda: None,
) -> Said:
    """Opens the session of this Idempotency-Key and sends its first text. `address` is the caller's.

    `require_person` is asked once, before anything is booked or written, and raises when it is to be none. After a
    death the same key carries on where it was. Raises InvalidRequest, NoHandsetReachable, SessionLimitReached,
    IdempotencyKeyReused (a new use of a key that opened a session days ago), SessionEnded (it has ended meanwhile).
    """
    # 1. What is asked, before anything is written.
    text = read_text(text, links_max=SETTINGS.links_per_text_max)
    source = session_caps.source_of(address)
    session_id = signatures.session_id(first_master(), key)
    found = table.find_session(session_id)
    if found is not None and key_is_first:
        raise IdempotencyKeyReused

    # 2. The session's row first, with its numbers: a code is held by something that can be found and closed. What it
    # takes of the caps before that; who carries it on has taken it already.
    booking = None
    if found is None:
        handsets, booking = _create(session_id, text, numbers, source, require_person, clock)
    else:
        get_open_session(session_id, clock())
        handsets = _carry_on(session_id, clock)

    # 3. For each handset a code of its own.
    if not handsets.is_claimed:
        handsets = _claim_codes(session_id, handsets, source, booking, clock)

    # 4. The text.
    return _send_text(session_id, text, handsets.handsets, session_id, clock)


def say(
    session_id: str,
    text: str,
    numbers: Sequence[str] | None,
    key: str,
    clock: Clock,
    *,
    address: str,
    key_is_first: bool,
    require_person: Callable[[], None] = lambda: None,
) -> Said:
    """Sends a text to the session's handsets, or to those named.

    In a session that has ended: another session to the numbers named, on other codes (C7, C8); SessionEnded without.
    Raises StillSending (C5: one message at a time), SessionLimitReached, NoHandsetReachable (all have said STOP),
    InvalidRequest for numbers that are not of this session.
    """
    text = read_text(text, links_max=SETTINGS.links_per_text_max)
    # The id of the session this key would open tells this text from any other.
    said_by = signatures.session_id(first_master(), key)
    try:
        session = get_open_session(session_id, clock())
        chosen = session_handsets.choose(session_id, numbers)
        # Said before, and never answered: it is carried on to the same handsets, and takes nothing again.
        if session.said_by == said_by:
            left_out = table.find_left_out(session_id, session.says)
            return _send_text(session_id, text, chosen, said_by, clock, left_out=left_out)
        return _say_first(session, text, chosen, said_by, session_caps.source_of(address), clock)
    except SessionEnded:
        ended = table.find_session(session_id)
        is_said = ended is not None and ended.said_by == said_by
        if numbers is None or is_said:
            raise
    return open_session(
        text, numbers, key, clock, address=address, key_is_first=key_is_first, require_person=require_person
    )


def get_opening(session_id: str, now: datetime, text_number: int | None = None) -> Opening:
    """Whom an open session writes to; whom not, or not with this text of it. Raises SessionEnded."""
    found = table.find_handsets(session_id)
    left_out = () if text_number is None else table.find_left_out(session_id, text_number)
    session = get_open_session(session_id, now)
    if found is None:
        raise SessionEnded
    return Opening(session_id, found.handsets, (*found.refused, *left_out), _ends_at(session))


def read(session_id: str, after: int, clock: Clock) -> Reading:
    """The transcript after a cursor. Reading is no activity. Raises SessionEnded (C7)."""
    # The words first, then whether they may still be shown: nothing is answered at or after the end.
    texts = table.list_texts(session_id, after=after, limit=TEXTS_MAX)
    session = get_open_session(session_id, clock())
    if session_parts.is_overdue(session, clock()):
        session_parts.show_overdue(session, clock(), expires_at=expires_at(session))
        texts = table.list_texts(session_id, after=after, limit=TEXTS_MAX)
        session = get_open_session(session_id, clock())
    next_after = texts[-1].seq if texts else after
    return Reading(tuple(texts), next_after, session.sending is not None, _ends_at(session))


def extend(session_id: str, clock: Clock) -> datetime:
    """Starts the five minutes again without a message; returns when the session now ends. Raises SessionEnded."""
    for _ in range(TOUCHES_MAX):
        now = clock()
        session = get_open_session(session_id, now)
        if table.touch(session, now, opened_after=now - idle_timeout.LONGEST_SESSION):
            live.tell_extended(session_id, session.seq + 1, now)
            return idle_timeout.ends_at(session.opened_at, max(session.last_activity_at, now))
    raise SessionBusy(retry_after_seconds=1)


def end(session_id: str, clock: Clock) -> None:
    """Ends a session at its user's wish; one that has ended stays so."""
    if table.close(session_id, clock()):
        log.outcome("session_closed", session=session_id, by="user")
    clear(session_id, clock())


# --- The end


def get_open_session(session_id: str, now: datetime) -> Session:
    """The session, if it is still there. Whoever sees its end writes it before saying so: SessionEnded."""
    session = table.find_session(session_id)
    if session is None or close_if_over(session, now):
        if session is not None and session.is_open:  # as it was read: this is who saw the end
            live.tell_ended(session)
        raise SessionEnded
    return session


def close_if_over(session: Session, now: datetime) -> bool:
    """Closes a session that is idle, or has lasted as long as one may. True: it has ended, whoever closed it.

    Refused, yet open: somebody was active between our reading and our writing, and that wins.
    """
    if not session.is_open:
        return True
    if not idle_timeout.is_over(session.opened_at, session.last_activity_at, now):
        return False
    idle_since, opened_before = now - idle_timeout.IDLE_LIMIT, now - idle_timeout.LONGEST_SESSION
    if table.close_over(session.id, idle_since=idle_since, opened_before=opened_before):
        log.outcome("session_closed", session=session.id, by="time")
        return True
    found = table.find_session(session.id)
    return found is None or not found.is_open


def clear(session_id: str, now: datetime) -> None:
    """After the end: its codes go into quarantine and its words vanish (C7, C8). Each step may be repeated."""
    session = table.find_session(session_id)
    if session is None or session.is_open or session.check_at is None:
        return
    clear_closed(session, table.find_handsets(session_id), now)


def clear_closed(session: Session, handsets: Handsets | None, now: datetime) -> None:
    """`clear`, of a session that was seen closed and not yet buried, with its handsets as they were read."""
    live.tell_ended(session)
    # 1. The routes, while the numbers are still known.
    released = session_handsets.release(session, handsets, now)

    # 2. One that never said anything goes whole: its key may open it again, and may have done so by now.
    if session.is_unsaid:
        is_deleted = table.delete_unsaid(session)
        log.outcome("unsaid_session_cleared", session=session.id, released=released, is_deleted=is_deleted)
        return

    # 3. Everything under the session's key, and its own row last.
    deleted = table.delete_rows(session.id)
    written_until = session.last_activity_at + TAKE_UP_AFTER
    if session.sending is not None and session.paged is None and now < written_until:
        table.look_again(session.id, written_until)  # somebody may be writing its pages just now, and die then
    elif (buried := table.bury_session(session.id)) is not None:
        _count(buried, handsets)
    log.outcome("session_cleared", session=session.id, released=released, deleted=deleted)


def _count(session: Session, handsets: Handsets | None) -> None:
    """What is kept of a session: counts, on the day it was opened."""
    session_counts.count(
        SUBSCRIBERS.home,
        session.id,
        session.opened_at,
        sessions=1,
        texts=session.says,
        replies=session.replies,
        handsets=len(handsets.handsets) if handsets else 0,
        refused=len(handsets.refused) if handsets else 0,
    )


# --- A text on its way


def text_went_out(session_id: str, say_number: int, now: datetime) -> bool:
    """Asked when a page of a text has closed: when all have, the next text may be said. True: nothing is going out."""
    session = table.find_session(session_id)
    if session is None or session.sending != say_number:
        return True
    states = list(pages.list_states(page_refs(session)))
    if len(states) < session.pages or any(state.is_open for _, state, _ in states):
        return False
    if table.end_saying(session_id, say_number):
        live.tell_sent(session_id, now)
    log.outcome("session_text_went_out", session=session_id, say=say_number)
    return True


def page_refs(session: Session) -> list[PageRef]:
    """The pages of the text that is going out."""
    return [PageRef(PageKind.SESSION, SCHOOL, session.id, str(session.sending), page) for page in range(session.pages)]


def put_page_jobs(session: Session, jobs: Iterable[tuple[PageRef, int]]) -> None:
    """Puts a job for each page, with its job number."""
    put_jobs(SETTINGS.sessions_queue_url, [job_of(ref, number) for ref, number in jobs], group=session.id)


def _say_first(session: Session, text: str, chosen: Sequence[Handset], said_by: str, source: str, clock: Clock) -> Said:
    # 1. May it be said at all, and to whom?
    now = clock()
    _require_turn(session, now)
    handsets, opted_out = session_handsets.without_opted_out(chosen)
    if not handsets:
        raise session_handsets.nobody(opted_out, now)

    # 2. What it takes of the caps, before anything of it is written.
    booking = session_caps.book(text, handsets, source, now, is_opening=False)
    left_out = (*opted_out, *booking.refused)
    try:
        if not booking.handsets:
            raise session_handsets.nobody(left_out, now)
        return _send_text(session.id, text, chosen, said_by, clock, left_out=left_out)
    except RecadoError:
        found = table.find_session(session.id)
        if found is None or found.said_by != said_by:
            session_caps.give_back(booking)
        raise


def _send_text(
    session_id: str,
    text: str,
    chosen: Sequence[Handset],
    said_by: str,
    clock: Clock,
    *,
    left_out: Sequence[RefusedNumber] = (),
) -> Said:
    # 1. It is the session's next text, or was already before somebody died: then to whom it went then.
    handsets = _without(chosen, left_out)
    session, is_new = _start_saying(session_id, text, len(handsets), said_by, left_out, clock)
    said = Said(session_id, session.says)
    if session.sending is None:
        return said
    if not is_new:
        handsets = _without(chosen, table.find_left_out(session_id, session.says))

    # 2. Its pages. Until the session's row says that all are there nobody speaks them, so they may be written again.
    if session.paged is None:
        size = segments.count_segments(text)
        recipients = [PageRecipient(one.number, (), Zone.DOMESTIC, size, one.code) for one in handsets]
        batches = [recipients[start : start + PAGE_SIZE] for start in range(0, len(recipients), PAGE_SIZE)]
        refs = page_refs(session)
        pages.create_pages(zip(refs, batches, strict=True), expires_at=_expires_at(session.opened_at), text=text)
        if not table.note_paged(session_id, session.sending):
            _require_waiting(session)

    # 3. Their jobs. If they are lost the sweeper puts others.
    put_page_jobs(session, [(ref, 1) for ref in page_refs(session)])
    return said


def _without(handsets: Sequence[Handset], left_out: Sequence[RefusedNumber]) -> list[Handset]:
    not_to = {one.typed for one in left_out}
    return [one for one in handsets if one.typed not in not_to]


def _require_turn(session: Session, now: datetime) -> None:
    if session.says >= SETTINGS.session_texts_max:
        raise session_caps.session_is_full(_ends_at(session), now)
    if session.sending is not None:
        raise StillSending(retry_after_seconds=STILL_SENDING_SECONDS)


def _start_saying(
    session_id: str, text: str, recipients: int, said_by: str, left_out: Sequence[RefusedNumber], clock: Clock
) -> tuple[Session, bool]:
    """The session with this text as the one going out, and whether it is new; no `sending`: it has gone out."""
    page_count = -(-recipients // PAGE_SIZE)
    for _ in range(TOUCHES_MAX):
        now = clock()
        session = get_open_session(session_id, now)
        if session.said_by == said_by:
            return session, False
        if said_by == session_id and session.says > 0 and session.said_by is not None:
            return replace(session, says=1, sending=None), False  # the text that opened it: others went out since
        _require_turn(session, now)
        number, expires_at = session.says + 1, _expires_at(session.opened_at)
        try:
            with Transaction() as write:
                table.say(
                    write,
                    session,
                    now,
                    opened_after=now - idle_timeout.LONGEST_SESSION,
                    said_by=said_by,
                    pages=page_count,
                    check_at=_next_look(session, now),
                    refused=_Moved(),
                )
                line = Text(session.seq + 1, Direction.OUT, text, now)
                table.create_text(write, session_id, line, expires_at=expires_at, refused=_Moved())
                if left_out:
                    table.create_left_out(write, session_id, number, left_out, expires_at=expires_at, refused=_Moved())
        except _Moved:
            continue
        live.tell_message(session_id, line, now)
        log.outcome("session_said", session=session_id, say=number, handsets=recipients, pages=page_count)
        said = replace(session, says=number, sending=number, pages=page_count, paged=None, said_by=said_by)
        return said, True
    raise SessionBusy(retry_after_seconds=1)


def _next_look(session: Session, now: datetime) -> datetime:
    """At a text that is said now; not later than at parts of a reply that wait already."""
    look_at = min(now + TAKE_UP_AFTER, idle_timeout.ends_at(session.opened_at, now))
    return min(look_at, session.check_at) if session.joining_since and session.check_at else look_at


def _require_waiting(session: Session) -> None:
    """The session took no note of the pages: it had before and the answer was lost, or they are for nobody."""
    found = table.find_session(session.id)
    if found is None or not found.is_open:
        table.delete_rows(session.id)  # they came after those who clear it had been here
        raise SessionEnded
    if found.sending != session.sending or found.paged != session.sending:
        raise StillSending(retry_after_seconds=STILL_SENDING_SECONDS)


# --- Opening


def _create(
    session_id: str,
    text: str,
    numbers: Sequence[str],
    source: str,
    require_person: Callable[[], None],
    clock: Clock,
) -> tuple[Handsets, Booking]:
    wanted = session_handsets.read_numbers(numbers)
    if not wanted.handsets:
        raise session_handsets.nobody(wanted.refused, clock())
    require_person()
    now = clock()  # after a provider that may have taken seconds
    booking = session_caps.book(text, wanted.handsets, source, now, is_opening=True)
    wanted = replace(wanted, handsets=booking.handsets, refused=(*wanted.refused, *booking.refused))
    try:
        if not wanted.handsets:
            raise session_handsets.nobody(wanted.refused, now)
        _write_session(session_id, wanted, now)
    except RecadoError:
        session_caps.give_back(booking)
        raise
    log.outcome("session_opened", session=session_id, handsets=len(wanted.handsets), refused=len(wanted.refused))
    return wanted, booking


def _write_session(session_id: str, wanted: Handsets, now: datetime) -> None:
    session = Session(
        id=session_id,
        state=SessionState.OPEN,
        opened_at=now,
        last_activity_at=now,
        check_at=now + TAKE_UP_AFTER,
    )
    try:
        with Transaction() as write:
            table.create_session(write, session, wanted, expires_at=_expires_at(now), taken=_SeenBefore())
    except _SeenBefore as error:
        # Our own write, tried again by the SDK after its answer was lost? Then the moment is exactly ours.
        found = table.find_session(session_id)
        if found is None or found.opened_at != now:
            raise SessionBusy(retry_after_seconds=1) from error


def _carry_on(session_id: str, clock: Clock) -> Handsets:
    """What somebody who died left: the handsets, with their codes or still without."""
    found = table.find_handsets(session_id)
    if found is None:
        raise SessionEnded
    if not found.is_claimed:
        extend(session_id, clock)  # claiming takes seconds, and the session must not end meanwhile
    return found


def _claim_codes(session_id: str, wanted: Handsets, source: str, booking: Booking | None, clock: Clock) -> Handsets:
    claimed = session_handsets.claim_codes(session_id, wanted, source, lambda other: _is_open(other, clock), clock)
    if not claimed.handsets:
        # A code for nobody: nothing of the session remains.
        table.close(session_id, clock())
        clear(session_id, clock())
        if booking is not None:
            session_caps.give_back(booking)
        raise session_handsets.nobody(claimed.refused, clock())
    if booking is not None:
        got_one = {one.number for one in claimed.handsets}
        session_caps.give_back_for(booking, [one for one in wanted.handsets if one.number not in got_one])
    if not table.save_handsets(session_id, claimed):
        # It was cleared meanwhile: what was claimed since is held for nobody.
        session_handsets.release_left(claimed, clock())
        raise SessionEnded
    return claimed


def _is_open(session_id: str, clock: Clock) -> bool:
    try:
        get_open_session(session_id, clock())
    except SessionEnded:
        return False
    return True


def _ends_at(session: Session) -> datetime:
    return idle_timeout.ends_at(session.opened_at, session.last_activity_at)


def _expires_at(opened_at: datetime) -> int:
    return int((opened_at + ROWS_LIFE).timestamp())


def expires_at(session: Session) -> int:
    """When DynamoDB may tidy what is a session's own."""
    return _expires_at(session.opened_at)
