"""What comes back from handsets: each message to the session that holds (handset, code) at that moment, once (C9).

Whose session is not open reaches nobody; STOP binds all the same. Activity is always by our own clock.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from recado import answers, fleets, live, log, session_counts, session_notices, tariffs
from recado.answers import Enough
from recado.clock import Clock
from recado.errors import SessionBusy, SessionEnded
from recado.rules import idle_timeout, opt_out_words, reply_parts
from recado.rules.audience import REPLIED_STOP
from recado.rules.carrier_times import believed
from recado.rules.opt_out_words import Word
from recado.rules.phone_numbers import country_of
from recado.rules.reply_parts import Line, Part
from recado.rules.short_codes import quarantine_ends_at
from recado.session_handsets import SCHOOL, SUBSCRIBERS
from recado.sessions import TOUCHES_MAX, expires_at, get_open_session
from recado.settings import SETTINGS
from recado.tables import opt_outs, ratings, routes
from recado.tables import reply_parts as parts_table
from recado.tables import sessions as table
from recado.tables import short_codes as code_table
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


NOBODY = (ReplyOutcome.LATE, ReplyOutcome.UNROUTED)
OBEYED = 0  # the part that is noted of a message that reached nobody and was obeyed


@dataclass(frozen=True, slots=True)
class HandsetReply:
    """What a handset wrote to a code, or with `part` only a part of it. `id` is the carrier's, `sent_at` its time."""

    handset: str
    code: str
    text: str
    carrier: str
    id: str
    sent_at: datetime
    part: Part | None = None


class _Moved(Exception):  # a signal between two steps here
    """The session's row is not as it was read: somebody else was active, or it has ended."""


class _SeenBefore(Exception):  # a signal between two steps here
    """This id has a row already."""


def take_reply(reply: HandsetReply, clock: Clock) -> ReplyOutcome:
    """Brings a handset's message to the session that holds (handset, code) now, once, or to nobody (C9).

    Raises SessionBusy when others kept writing to the session: the carrier delivers it again.
    """
    outcome = _deliver(reply, clock)
    if outcome in NOBODY:
        # Delivered again after the end of whoever took it: that is no late reply.
        if ratings.is_taken(reply.carrier, reply.id, reply.part.number if reply.part else None):
            return ReplyOutcome.DUPLICATE
        now, country = clock(), country_of(reply.handset) or SUBSCRIBERS.home
        if reply.part is None or reply.part.number == 1:  # a message in parts is one
            session_counts.count(country, reply.id, now, **{outcome.value: 1})
        # What reached nobody may still be a STOP, and that binds whether or not anybody is there to read it.
        is_obeyed = _obey_word(reply, clock)
        if outcome is ReplyOutcome.LATE and not is_obeyed:
            session_notices.answer_late(reply.handset, reply.code, clock)
    return outcome


def _deliver(reply: HandsetReply, clock: Clock) -> ReplyOutcome:
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
        if fleets.find_barred([reply.handset]):
            return ReplyOutcome.UNROUTED

        # 2. Rated, counted as activity and stored, or none of it.
        try:
            _store_reply(session, reply, now)
        except _SeenBefore:
            if reply.part is None and opt_out_words.read_word(reply.text) is not None:
                answers.carry_out(_key(reply))
            return ReplyOutcome.DUPLICATE
        except (_Moved, NotedAlready):
            continue
        return ReplyOutcome.TO_SESSION
    raise SessionBusy(retry_after_seconds=1)


def _store_reply(session: Session, reply: HandsetReply, now: datetime) -> None:
    at = believed(reply.sent_at, not_before=session.opened_at, not_after=now, otherwise=now)
    store = _store_whole if reply.part is None else _store_part
    try:
        shown = store(session, reply, at, now, is_answered=True)
    except Enough:
        shown = store(session, reply, at, now, is_answered=False)
    if shown is not None and opt_out_words.read_word(shown.text) is not None:
        answers.carry_out(_key(reply))
    if shown is not None:
        live.tell_message(session.id, shown, now)


def _store_whole(session: Session, reply: HandsetReply, at: datetime, now: datetime, *, is_answered: bool) -> Text:
    with Transaction() as write:
        # Its refusal is asked first: a reply that has its rating is done, whatever became of the session since.
        ratings.create_rating(write, _rated(reply, now), seen_before=_SeenBefore())
        table.hear(
            write,
            session,
            now,
            opened_after=now - idle_timeout.LONGEST_SESSION,
            is_answer=True,
            refused=_Moved(),
        )
        return _write_line(write, session, reply, Line(reply.text, at, is_partial=False), now, is_answered=is_answered)


def _store_part(
    session: Session, reply: HandsetReply, at: datetime, now: datetime, *, is_answered: bool
) -> Text | None:
    """A part of a long message: activity like a whole one; its line when the last has come, rated with the first."""
    part = reply.part
    if part is None:
        raise RuntimeError("no part of a message")
    key = parts_table.key_of(reply.handset, reply.code, part)
    # Read after the session: whoever changes a message changes its session, too, and then ours is not as it was seen.
    seen = parts_table.find_joining(session.id, key)
    taken = reply_parts.take(seen.joining if seen else None, part, reply.text, at, now)
    shown: Text | None = None
    with Transaction() as write:
        ratings.note_seen(write, reply.carrier, reply.id, part.number, seen_before=_SeenBefore())
        if taken.is_new:
            ratings.create_rating(write, _rated(reply, now, part.of), seen_before=_SeenBefore())
        table.hear(
            write,
            session,
            now,
            opened_after=now - idle_timeout.LONGEST_SESSION,
            is_answer=taken.is_new,
            look_at=now + reply_parts.PATIENCE if taken.joining.waiting else None,
            refused=_Moved(),
        )
        parts_table.save_joining(
            write, session.id, key, taken.joining, seen=seen, expires_at=expires_at(session), refused=_Moved()
        )
        if taken.line is not None:
            shown = _write_line(write, session, reply, taken.line, now, is_answered=is_answered)
    return shown


def _write_line(
    write: Transaction, session: Session, reply: HandsetReply, line: Line, now: datetime, *, is_answered: bool
) -> Text:
    """The transcript's next line, as it will be shown, and what it asks for if it is an opt-out word as a whole."""
    text = Text(
        session.seq + 1, Direction.IN, line.text, line.at, reply.handset, reply.code, is_partial=line.is_partial
    )
    table.create_text(write, session.id, text, expires_at=expires_at(session), refused=_Moved())
    word = None if line.is_partial else opt_out_words.read_word(line.text)
    _obey(write, reply, line.text, word, now, is_answered=is_answered)
    return text


def _rated(reply: HandsetReply, now: datetime, parts: int = 1) -> RatedReply:
    country = country_of(reply.handset) or ""  # and so the code's: a handset is given one of its own country's
    return RatedReply(
        carrier=reply.carrier,
        reply_id=reply.id,
        country=country,
        number=reply.handset,
        code=reply.code,
        rated_at=now,
        rating=tariffs.rate(country, now),
        parts=parts,
    )


def _obey_word(reply: HandsetReply, clock: Clock) -> bool:
    """Obeys an opt-out word that reached nobody, once. True: it is one. A part of a message is none.

    It is answered only while nobody can be given the pair, which then rests anew: what is written to the answer, too,
    reaches nobody.
    """
    word = None if reply.part is not None else opt_out_words.read_word(reply.text)
    if word is None:
        return False
    is_answered = True
    for _ in range(TOUCHES_MAX):
        now = clock()
        route = session_notices.find_ended(reply.handset, reply.code, now) if is_answered else None
        try:
            with Transaction() as write:
                ratings.note_seen(write, reply.carrier, reply.id, OBEYED, seen_before=_SeenBefore())
                _obey(write, reply, reply.text, word, now, is_answered=route is not None)
                if route is not None and route.free_at is not None:
                    until = quarantine_ends_at(now, SETTINGS.quarantine)
                    routes.rest_anew(write, reply.handset, route, now, rests_until=until, refused=_Moved())
        except (_SeenBefore, NotedAlready):
            break
        except (Enough, _Moved):
            is_answered = False  # obeyed all the same
            continue
        log.outcome("late_opt_out_word_obeyed", word=word.value)
        break
    answers.carry_out(_key(reply))
    return True


def _obey(
    write: Transaction,
    reply: HandsetReply,
    text: str,
    word: Word | None,
    now: datetime,
    *,
    is_answered: bool,
) -> None:
    """What a word changes and is answered with, as part of a transaction. Codes of sessions are all one: one cause."""
    if word is None:
        return
    if word is not Word.HELP:
        note = Note(REPLIED_STOP, word is Word.STOP, "handset", now, "reply")
        opt_outs.change_cause(write, SCHOOL, reply.handset, note)
    code = code_table.find_code(country_of(reply.handset) or "", reply.code)
    if is_answered and code is not None:
        said = answers.SAID_TO[word]
        answer = answers.compose(said, text, reply.handset, reply.code, code.carrier, (SCHOOL,))
        answers.owe(write, _key(reply), (), answers.add(write, answer, now), now)


def _key(reply: HandsetReply) -> str:
    part = f"#{reply.part.number}/{reply.part.of}" if reply.part else ""
    return f"{reply.carrier}#{reply.id}{part}"
