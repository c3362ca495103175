"""What comes back from handsets: each message to the session that holds (handset, code) at that moment, once (C9).

Whose session is not open reaches nobody; STOP binds all the same. Activity is always by our own clock.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from recado import log
from recado.clock import Clock
from recado.errors import SessionBusy, SessionEnded
from recado.rules import idle_timeout, opt_out_words, tariffs
from recado.rules.audience import REPLIED_STOP
from recado.rules.opt_out_words import Word
from recado.session_handsets import SCHOOL
from recado.sessions import ROWS_LIFE, TOUCHES_MAX, get_open_session
from recado.tables import fleets, opt_outs, ratings, routes
from recado.tables import sessions as table
from recado.tables.base import Transaction
from recado.tables.opt_outs import Note, NotedAlready
from recado.tables.ratings import RatedReply
from recado.tables.sessions import Direction, Session, Text


class ReplyOutcome(StrEnum):
    """Where a handset's message went. Only the first reached anybody."""

    TO_SESSION = "to_session"
    DUPLICATE = "duplicate"
    LATE = "late"  # C9
    UNROUTED = "unrouted"  # C3: a handset that cannot answer


@dataclass(frozen=True, slots=True)
class _Reply:
    handset: str
    code: str
    text: str
    carrier: str
    id: str
    sent_at: datetime


class _Moved(Exception):  # a signal between two steps here
    """The session's row is not as it was read: somebody else was active, or it has ended."""


class _SeenBefore(Exception):  # a signal between two steps here
    """This id has a row already."""


def take_reply(
    handset: str, code: str, text: str, carrier: str, reply_id: str, sent_at: datetime, clock: Clock
) -> ReplyOutcome:
    """Brings a handset's message to the session that holds (handset, code) now, once, or to nobody (C9).

    Raises SessionBusy when others kept writing to the session: the carrier delivers it again.
    """
    reply = _Reply(handset, code, text, carrier, reply_id, sent_at)
    outcome = _deliver(reply, clock)
    # What reached nobody may still be a STOP, and that binds whether or not anybody is there to read it.
    if outcome in (ReplyOutcome.LATE, ReplyOutcome.UNROUTED):
        _obey_word(reply)
    return outcome


def _deliver(reply: _Reply, clock: Clock) -> ReplyOutcome:
    for _ in range(TOUCHES_MAX):
        # 1. Who holds the pair, and is that session still there, by a fresh clock?
        now = clock()
        route = routes.find_route(reply.handset, reply.code)
        if route is None or route.session_id is None or route.free_at is not None:
            return ReplyOutcome.LATE
        try:
            session = get_open_session(route.session_id, now)
        except SessionEnded:
            return ReplyOutcome.LATE
        if fleets.list_members(session.country, [reply.handset]):
            return ReplyOutcome.UNROUTED

        # 2. Rated, counted as activity and stored, or none of it.
        try:
            _store_reply(session, reply, now)
        except (_SeenBefore, NotedAlready):
            return ReplyOutcome.DUPLICATE
        except _Moved:
            continue
        return ReplyOutcome.TO_SESSION
    raise SessionBusy(retry_after_seconds=1)


def _store_reply(session: Session, reply: _Reply, now: datetime) -> None:
    rated = RatedReply(
        carrier=reply.carrier,
        reply_id=reply.id,
        country=session.country,
        number=reply.handset,
        code=reply.code,
        rated_at=now,
        rating=tariffs.rate(session.country, now.date()),
    )
    line = Text(session.seq + 1, Direction.IN, reply.text, reply.sent_at, reply.handset, reply.code)
    note = _note_of(reply)
    with Transaction() as write:
        # Its refusal is asked first: a reply that has its rating is done, whatever became of the session since.
        ratings.create_rating(write, rated, seen_before=_SeenBefore())
        table.hear(write, session, now, opened_after=now - idle_timeout.LONGEST_SESSION, refused=_Moved())
        table.create_text(write, session.id, line, expires_at=_expires_at(session), refused=_Moved())
        if note is not None:
            opt_outs.change_cause(write, SCHOOL, reply.handset, note)


def _obey_word(reply: _Reply) -> None:
    note = _note_of(reply)
    if note is None:
        return
    try:
        with Transaction() as write:
            opt_outs.change_cause(write, SCHOOL, reply.handset, note)
    except NotedAlready:
        return
    log.outcome("late_opt_out_word_obeyed", added=note.added)


def _note_of(reply: _Reply) -> Note | None:
    word = opt_out_words.read_word(reply.text)
    if word not in (Word.STOP, Word.START):
        return None
    # At the carrier's time: the same message delivered again is the same note.
    return Note(REPLIED_STOP, word is Word.STOP, "handset", reply.sent_at, "reply")


def _expires_at(session: Session) -> int:
    return int((session.opened_at + ROWS_LIFE).timestamp())
