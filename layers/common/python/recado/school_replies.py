"""What handsets write to a school's code, or to one that schools share: to the school it provably belongs to, or kept
until the handset has said whose it is. STOP, ALTA and AYUDA are obeyed at every school that may write from there.

Must never be shown to two schools, nor to "the last that sent" (`rules/reply_routes.py`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any

from recado import answers, log, session_counts
from recado.answers import Answer, Enough
from recado.carriers.speech import IncomingReply
from recado.clock import Clock
from recado.errors import StillRunning
from recado.rules import opt_out_words, reply_parts, reply_routes
from recado.rules.answer_words import Said
from recado.rules.audience import REPLIED_STOP, is_reply_cause, reply_cause
from recado.rules.carrier_times import believed
from recado.rules.event_types import EventType
from recado.rules.opt_out_words import Word
from recado.rules.reply_parts import Part, text_of
from recado.rules.reply_routes import Kind, still_counts
from recado.rules.school_records import is_sandbox
from recado.settings import SETTINGS
from recado.tables import opt_outs, owed_replies, pages, people, replies, short_codes
from recado.tables import schools as school_table
from recado.tables import waiting_replies as waiting_table
from recado.tables.base import Transaction
from recado.tables.opt_outs import Note, NotedAlready
from recado.tables.owed_replies import Owed
from recado.tables.pages import PageKind
from recado.tables.replies import Growing, Reply
from recado.tables.schools import School
from recado.tables.short_codes import ShortCode
from recado.tables.waiting_replies import Choice, Conversation, Parts, Waiting

REPLY_LIFE = timedelta(days=400)
REPLY_AGE_MAX = timedelta(days=7)  # a reply of before is not believed its time
ROWS_LIFE = timedelta(days=8)  # of what waits, was seen or was joined: longer than any carrier asks again
ATTEMPTS_MAX = 5
MOMENT = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
STOP_BEFORE = timedelta(seconds=5)
WAITING_MAX = 20  # texts of one conversation: all go on in one transaction, four writes each
SCHOOLS_MAX = 50  # whose directories are looked at for one number
CONCERNED_MAX = 20  # schools whose opt-out one word changes: four writes each at most
HOLDERS_MAX = 100  # people of one school on one number

type Add = Callable[[Transaction], None]


class Outcome(StrEnum):
    """Where a reply went. `late` and `unrouted` reached nobody; they are counted, never shown."""

    TO_SESSION = "to_session"
    TO_SCHOOL = "to_school"
    WAITING = "waiting"  # until the handset says whose it is
    CHOSEN = "chosen"  # it was the digit that says so
    OBEYED = "obeyed"  # a word said to several schools, and shown to none
    PART = "part"  # of a long one, whose other parts are still to come
    DUPLICATE = "duplicate"
    LATE = "late"
    UNROUTED = "unrouted"


@dataclass(frozen=True, slots=True)
class _Heard:
    """A whole text as a handset wrote it. `cause` makes it happen once; `speaks` is whose line answers go over."""

    cause: str
    handset: str
    code: str
    text: str
    at: datetime
    speaks: str
    is_whole: bool = True

    @property
    def word(self) -> Word | None:
        return opt_out_words.read_word(self.text) if self.is_whole else None


@dataclass(frozen=True, slots=True)
class _Follows:
    """What follows from a text: opt-outs that change with it, what is told of it, what it is answered with."""

    notes: tuple[tuple[str, str, tuple[Note, ...]], ...] = ()  # school, number, what changes
    told: tuple[Mapping[str, Any], ...] = ()
    answer: Answer | None = None


class _SeenBefore(Exception):  # a signal between two steps here
    """This carrier's reply id has been kept already."""


class _Moved(Exception):  # a signal between two steps here
    """Somebody else came between reading and writing."""


def take_reply(code: ShortCode, carrier: str, reply: IncomingReply, clock: Clock) -> Outcome:
    """Takes one reply to a school's or a shared code, once. Raises StillRunning when others keep coming between."""
    now = clock()
    # The list of a school is read by these times, newest first.
    sent_at = believed(reply.sent_at, not_before=now - REPLY_AGE_MAX, not_after=now, otherwise=now)
    reply = replace(reply, code=code.code, sent_at=sent_at)
    if code.school is not None:
        answered = _answered(reply, (code.school,))
        outcome = _to_school(code.school, answered[1] if answered else None, carrier, code.carrier, reply, now)
    elif reply.part is not None:
        outcome = _part_on_shared(code, carrier, reply, reply.part, now)
    else:
        heard = _Heard(f"{carrier}#{reply.id}", reply.handset, code.code, reply.text, sent_at, code.carrier)
        outcome = _on_shared(code, heard, reply.in_reply_to, now)
    if code.school is None or reply.part is None or reply.part.number == 1:  # a text in parts is one
        count(code.country, f"{carrier}#{reply.id}", outcome, now)
    return outcome


def take_answer(carrier: str, reply: IncomingReply, now: datetime) -> Outcome:
    """Brings a reply to the sandbox whose text the simulated line says is answered, or to nobody: whatever its code."""
    answered = _answered(reply, None)
    if answered is None:
        return Outcome.UNROUTED
    school_id, message = answered
    return _to_school(school_id, message, carrier, carrier, reply, now)


def count(country: str, key: str, outcome: Outcome, now: datetime) -> None:
    """Adds a reply to its day's sums: reached a school, waits, or reached nobody."""
    counted = {
        Outcome.TO_SCHOOL: "school_replies",
        Outcome.WAITING: "school_waiting",
        Outcome.UNROUTED: "school_unrouted",
    }.get(outcome)
    if counted is not None:
        session_counts.count(country, key, now, **{counted: 1})


def take_up(clock: Clock, time_left: Callable[[], timedelta] = lambda: MINUTE) -> int:
    """Each minute: what replies owe and nobody lived to do; and parts that waited long enough for the others.

    What there is no time left for is the next minute's.
    """
    done = 0
    for shard in range(owed_replies.SHARDS):
        for owed in owed_replies.list_owed(shard, clock(), limit=answers.OWED_MAX):
            if time_left() < STOP_BEFORE:
                log.outcome("owed_replies_out_of_time", replies=done)
                return done
            look_at = clock() + answers.LOOK_AFTER
            if not owed_replies.move_owed(owed, look_at):
                continue
            try:
                _take_up_one(replace(owed, look_at=look_at), clock())
            except Exception as error:  # noqa: BLE001  # one that cannot be done must not keep the others waiting
                log.trouble("owed_reply_failed", error)
                continue
            done += 1
    if done:
        log.outcome("owed_replies_taken_up", replies=done)
    return done


def _take_up_one(owed: Owed, now: datetime) -> None:
    if owed.parts is None:
        answers.carry_out_owed(owed)
        return
    if _show_parts(owed.parts, now):
        owed_replies.forget_owed(owed.key, look_at=owed.look_at)


# --- A code that schools share --------------------------------------------------------------------------------------


def _on_shared(code: ShortCode, heard: _Heard, reference: str | None, now: datetime) -> Outcome:
    for attempt in range(ATTEMPTS_MAX):
        try:
            return _take_whole(code, heard, reference, now + attempt * MOMENT, lambda _: None)
        except (_Moved, NotedAlready):
            continue
    raise StillRunning(retry_after_seconds=1)


def _take_whole(code: ShortCode, heard: _Heard, reference: str | None, now: datetime, also: Add) -> Outcome:
    """One attempt. `also` are writes that belong to it. Raises _Moved, NotedAlready: read again."""
    # 1. Whose may it be?
    conversation = Conversation(code.country, code.code, heard.handset)
    answered = _answered_by(reference, heard.handset, None)
    if answered is not None and is_sandbox(answered[0]):
        answered = None  # no carrier brings what is a sandbox's
    candidates = _candidates(code, heard.handset, now)
    goes_to = reply_routes.destination(None, answered[0] if answered else None, candidates)
    message = answered[1] if answered else None

    def first(write: Transaction) -> None:
        waiting_table.note_seen(
            write, conversation, heard.cause, expires_at=_expires_at(now, ROWS_LIFE), seen_before=_SeenBefore()
        )
        also(write)

    # 2. A word, a choice, a text of one school, of several, or of none.
    try:
        word = heard.word
        if word is not None:
            concerned = reply_routes.concerned(None, answered[0] if answered else None, candidates)
            shown = goes_to.schools[0] if goes_to.kind is Kind.SCHOOL else None
            return _take_word(conversation, heard, word, concerned, shown, message, now, first)
        choice = waiting_table.find_choice(conversation)
        waiting = _still_waiting(conversation, now)
        chosen = _chosen(heard, choice, waiting, now) if answered is None else None
        if chosen is not None and choice is not None:
            return _send_on(conversation, heard, chosen, choice, waiting, now, first)
        if goes_to.kind is Kind.SCHOOL:
            return _keep(heard, goes_to.schools[0], message, now, first)
        if goes_to.kind is Kind.CHOOSE and len(waiting) < WAITING_MAX:
            return _wait(conversation, heard, goes_to.schools, choice, waiting, now, first)
        _commit(heard.cause, _Follows(), now, lambda write, _: first(write))
    except _SeenBefore:
        answers.carry_out(heard.cause)
        return Outcome.DUPLICATE
    return Outcome.UNROUTED


def _take_word(
    conversation: Conversation,
    heard: _Heard,
    word: Word,
    concerned: Sequence[str],
    shown: str | None,
    message: str | None,
    now: datetime,
    first: Add,
) -> Outcome:
    """STOP binds at once at every school that may have written; ALTA takes back what STOP at this code did."""
    stopped = waiting_table.find_stopped(conversation) if word is Word.START else frozenset()
    schools = sorted({*concerned, *stopped})
    if len(schools) > CONCERNED_MAX:
        log.trouble("too_many_schools_for_a_word", schools=len(schools))
    schools = schools[:CONCERNED_MAX]
    kept = _reply(heard, shown, message, word) if shown else None
    follows = _follow(heard, word, schools, kept, now)

    def write_all(write: Transaction, _: bool) -> None:
        first(write)
        if kept is not None:
            replies.create_reply(write, kept, expires_at=_expires_at(now, REPLY_LIFE), seen_before=_SeenBefore())
        if schools and word is not Word.HELP:
            waiting_table.change_stopped(write, conversation, schools, added=word is Word.STOP)

    _commit(heard.cause, follows, now, write_all)
    if kept is not None:
        return Outcome.TO_SCHOOL
    return Outcome.OBEYED if schools else Outcome.UNROUTED


def _chosen(heard: _Heard, choice: Choice | None, waiting: Sequence[Waiting], now: datetime) -> str | None:
    """The school that this text chooses, if the handset was asked, may still say so, and something waits."""
    if choice is None or not choice.is_asked or now >= choice.until or not waiting or not heard.is_whole:
        return None
    return reply_routes.read_choice(heard.text, choice.schools)


def _send_on(
    conversation: Conversation,
    heard: _Heard,
    school_id: str,
    choice: Choice,
    waiting: Sequence[Waiting],
    now: datetime,
    first: Add,
) -> Outcome:
    """All that waits becomes that school's, once, with the time when it was written."""
    kept = [
        Reply(
            school_id,
            one.reply_id,
            conversation.handset,
            conversation.code,
            one.text,
            one.received_at,
            sent_on_at=now,
        )
        for one in waiting
    ]

    def write_all(write: Transaction, _: bool) -> None:
        first(write)
        waiting_table.delete_choice(write, conversation, choice, _Moved())
        for one, reply in zip(waiting, kept, strict=True):
            waiting_table.delete_waiting(write, conversation, one, _Moved())
            replies.create_reply(write, reply, expires_at=_expires_at(now, REPLY_LIFE), seen_before=_Moved())

    _commit(heard.cause, _Follows(told=tuple(_received(one, now) for one in kept)), now, write_all)
    for one in kept:
        count(conversation.country, one.cause, Outcome.TO_SCHOOL, now)
    return Outcome.CHOSEN


def _keep(heard: _Heard, school_id: str, message: str | None, now: datetime, first: Add) -> Outcome:
    kept = _reply(heard, school_id, message, None)

    def write_all(write: Transaction, _: bool) -> None:
        first(write)
        replies.create_reply(write, kept, expires_at=_expires_at(now, REPLY_LIFE), seen_before=_SeenBefore())

    _commit(heard.cause, _Follows(told=(_received(kept, now),)), now, write_all)
    return Outcome.TO_SCHOOL


def _wait(
    conversation: Conversation,
    heard: _Heard,
    schools: tuple[str, ...],
    seen: Choice | None,
    waiting: Sequence[Waiting],
    now: datetime,
    first: Add,
) -> Outcome:
    """Shown to nobody; the handset is asked whose it is, once while its choice lasts."""
    is_asked = seen is not None and seen.is_asked and now < seen.until
    choice = seen if seen is not None and is_asked else Choice(schools, now + reply_routes.KEPT, False, 0)
    question = None if is_asked else _answer(Said.CHOOSE, heard, schools)
    text = Waiting(heard.cause, heard.text, heard.at, now + reply_routes.KEPT)

    def write_all(write: Transaction, is_answered: bool) -> None:
        first(write)
        after = replace(choice, is_asked=choice.is_asked or is_answered, waiting=len(waiting) + 1)
        expires_at = _expires_at(now, ROWS_LIFE)
        waiting_table.save_choice(write, conversation, after, seen=seen, expires_at=expires_at, refused=_Moved())
        waiting_table.create_waiting(write, conversation, text, expires_at=expires_at, refused=_Moved())

    _commit(heard.cause, _Follows(answer=question), now, write_all)
    return Outcome.WAITING


def _still_waiting(conversation: Conversation, now: datetime) -> list[Waiting]:
    found = waiting_table.list_waiting(conversation, limit=10 * WAITING_MAX)
    return [one for one in found if now < one.until][:WAITING_MAX]


def _candidates(code: ShortCode, handset: str, now: datetime) -> list[str]:
    """The schools that use the code and have the number in their directory; who left lately still counts."""
    ids = people.list_schools_of(handset, limit=SCHOOLS_MAX)
    if len(ids) == SCHOOLS_MAX:
        log.trouble("number_of_too_many_schools", schools=len(ids))
    using = [school.id for school in school_table.list_schools_by_id(ids) if _uses(school, code, now)]
    return [one for one in using if _has_number(one, handset, now)]


def _uses(school: School, code: ShortCode, now: datetime) -> bool:
    """Whether a school's texts come, or came lately, from a code that its country's schools share.

    Of another carrier than its own code's: any school's may, when that one takes over.
    """
    if school.country != code.country:
        return False
    has_left = school.shared_until is not None and still_counts(school.shared_until, now)
    if not school.code or has_left:
        return True
    own = short_codes.find_code(school.country, school.code)
    return code.carrier != (own.carrier if own is not None else SETTINGS.carrier)


def _has_number(school_id: str, handset: str, now: datetime) -> bool:
    holders = people.list_holders(school_id, handset, limit=HOLDERS_MAX)
    return any(still_counts(one.left_at, now) for one in holders)


# --- Long texts on a shared code ------------------------------------------------------------------------------------


def _part_on_shared(code: ShortCode, carrier: str, reply: IncomingReply, part: Part, now: datetime) -> Outcome:
    """Joined first: where it belongs is asked of the whole text, once, when the last part has come."""
    conversation = Conversation(code.country, code.code, reply.handset)
    cause = f"{carrier}#{reply.id}#{part.number}/{part.of}"
    for attempt in range(ATTEMPTS_MAX):
        at = now + attempt * MOMENT
        seen = waiting_table.find_parts(conversation, part)
        taken = reply_parts.take(seen.joining if seen else None, part, reply.text, reply.sent_at, now)
        told = seen.answered if seen else None
        parts = Parts(taken.joining, reply.in_reply_to if taken.is_new else reply.in_reply_to or told)

        def also(write: Transaction, seen: Parts | None = seen, parts: Parts = parts, at: datetime = at) -> None:
            expires_at = _expires_at(at, ROWS_LIFE)
            waiting_table.save_parts(
                write, conversation, part, parts, seen=seen, expires_at=expires_at, refused=_Moved()
            )
            if parts.joining.waiting:
                owed_replies.owe(write, _owed_parts(conversation, part, parts, carrier))

        try:
            if taken.line is None:
                with Transaction() as write:
                    expires_at = _expires_at(at, ROWS_LIFE)
                    waiting_table.note_seen(
                        write, conversation, cause, expires_at=expires_at, seen_before=_SeenBefore()
                    )
                    also(write)
                return Outcome.PART
            heard = _Heard(
                cause,
                reply.handset,
                code.code,
                taken.line.text,
                taken.line.at,
                code.carrier,
                is_whole=not taken.line.is_partial,
            )
            return _take_whole(code, heard, told if taken.is_new else parts.answered, at, also)
        except _SeenBefore:
            return Outcome.DUPLICATE
        except (_Moved, NotedAlready):
            continue
    raise StillRunning(retry_after_seconds=1)


def _owed_parts(conversation: Conversation, part: Part, parts: Parts, carrier: str) -> Owed:
    whose = {
        "country": conversation.country,
        "code": conversation.code,
        "handset": conversation.handset,
        "of": part.of,
        "group": part.group,
        "carrier": carrier,
    }
    key = f"parts#{conversation.country}#{conversation.code}#{conversation.handset}#{part.of}#{part.group}"
    return Owed(key, parts.joining.since + reply_parts.PATIENCE, parts=whose)


def _show_parts(whose: Mapping[str, Any], now: datetime) -> bool:
    """Takes what has come of a long text as it is; False when it is to be looked at again."""
    conversation = Conversation(whose["country"], whose["code"], whose["handset"])
    part = Part(1, int(whose["of"]), whose["group"])
    seen = waiting_table.find_parts(conversation, part)
    code = short_codes.find_code(conversation.country, conversation.code)
    if seen is None or code is None or not seen.joining.waiting:
        return True
    if not reply_parts.is_overdue(seen.joining.since, now):
        return False
    taken = reply_parts.give_up(seen.joining)
    if taken.line is None:
        return True
    cause = f"{whose['carrier']}#{part.group}#{part.of}#{seen.revision}"
    heard = _Heard(cause, conversation.handset, code.code, taken.line.text, taken.line.at, code.carrier, is_whole=False)

    def also(write: Transaction) -> None:
        after = Parts(taken.joining, seen.answered)
        expires_at = _expires_at(now, ROWS_LIFE)
        waiting_table.save_parts(write, conversation, part, after, seen=seen, expires_at=expires_at, refused=_Moved())

    try:
        outcome = _take_whole(code, heard, seen.answered, now, also)
    except (_Moved, NotedAlready):
        return False
    count(code.country, cause, outcome, now)
    return True


# --- A school's own code --------------------------------------------------------------------------------------------


def _to_school(
    school_id: str, message: str | None, carrier: str, speaks: str, reply: IncomingReply, now: datetime
) -> Outcome:
    """Keeps the reply; STOP suppresses and ALTA takes back what STOP did, in the same transaction (L8, L10)."""
    if reply.part is not None:
        return _part_to_school(school_id, message, carrier, speaks, reply, reply.part, now)
    heard = _Heard(f"{carrier}#{reply.id}", reply.handset, reply.code, reply.text, reply.sent_at, speaks)
    kept = _reply(heard, school_id, message, heard.word)
    for attempt in range(ATTEMPTS_MAX):
        at = now + attempt * MOMENT
        follows = _follow(heard, heard.word, (school_id,), kept, at)

        def write_all(write: Transaction, _: bool, at: datetime = at) -> None:
            replies.create_reply(write, kept, expires_at=_expires_at(at, REPLY_LIFE), seen_before=_SeenBefore())

        try:
            _commit(heard.cause, follows, at, write_all)
        except _SeenBefore:
            answers.carry_out(heard.cause)
            return Outcome.DUPLICATE
        except NotedAlready:
            continue
        return Outcome.TO_SCHOOL
    raise StillRunning(retry_after_seconds=1)


def _part_to_school(
    school_id: str,
    message: str | None,
    carrier: str,
    speaks: str,
    reply: IncomingReply,
    part: Part,
    now: datetime,
) -> Outcome:
    """One reply that grows with each of its parts: shown from the first on, with a sign where others are missing.

    An opt-out word counts only as the whole message. Raises StillRunning when others keep
    writing to the same message.
    """
    key = f"{carrier}#{reply.id}#{part.number}/{part.of}"
    for attempt in range(ATTEMPTS_MAX):
        at = now + attempt * MOMENT
        # 1. What is there of this message; a part that is there already begins another one.
        seen = replies.find_growing(school_id, carrier, reply.handset, reply.code, part)
        is_new = seen is None or part.number in seen.parts
        parts = {part.number: reply.text} if seen is None or is_new else {**seen.parts, part.number: reply.text}
        heard = _Heard(
            f"{carrier}#{reply.id}#{part.number}" if seen is None or is_new else seen.reply_id,
            reply.handset,
            reply.code,
            text_of(parts, part.of),
            reply.sent_at if seen is None or is_new else seen.received_at,
            speaks,
            is_whole=len(parts) == part.of,
        )
        kept = _reply(heard, school_id, message, heard.word)
        follows = _follow(heard, heard.word, (school_id,), kept, at)
        growing = Growing(parts, kept.cause, kept.received_at)

        # 2. The part once, the message as it was read, and what the school is shown: together.
        write_all = partial(_write_part, school_id, carrier, reply, part, kept, growing, seen, at)
        try:
            _commit(key, follows, at, write_all)
        except _SeenBefore:
            answers.carry_out(key)
            return Outcome.DUPLICATE
        except (_Moved, NotedAlready):
            continue
        return Outcome.TO_SCHOOL
    raise StillRunning(retry_after_seconds=1)


def _write_part(
    school_id: str,
    carrier: str,
    reply: IncomingReply,
    part: Part,
    kept: Reply,
    growing: Growing,
    seen: Growing | None,
    now: datetime,
    write: Transaction,
    _: bool,
) -> None:
    expires_at = _expires_at(now, REPLY_LIFE)
    cause = f"{carrier}#{reply.id}"
    replies.note_part(write, school_id, cause, part, expires_at=expires_at, seen_before=_SeenBefore())
    replies.save_growing(write, kept, carrier, part, growing, seen=seen, expires_at=expires_at, refused=_Moved())


# --- What follows ---------------------------------------------------------------------------------------------------


def _follow(heard: _Heard, word: Word | None, schools: Sequence[str], kept: Reply | None, now: datetime) -> _Follows:
    """What a text changes, tells and is answered with; its word, if it is one, is said to these schools."""
    told = [_received(kept, now)] if kept is not None else []
    if word is None or not schools:
        return _Follows(told=tuple(told))
    if word is Word.HELP:
        return _Follows(told=tuple(told), answer=_answer(Said.HELP, heard, schools))
    is_stop = word is Word.STOP
    own = reply_cause(heard.code)
    causes = {school_id: opt_outs.find_causes(school_id, heard.handset) for school_id in schools}
    notes: list[tuple[str, str, tuple[Note, ...]]] = []
    for school_id in schools:
        # Always, also what seems to be so already: it may have changed since it was read, and a STOP is never left out.
        changes = [Note(own, is_stop, "handset", now, "reply")]
        if not is_stop and REPLIED_STOP in causes[school_id]:  # of before causes told the code
            changes.append(Note(REPLIED_STOP, False, "handset", now, "reply"))
        notes.append((school_id, heard.handset, tuple(changes)))
    left = {school_id: causes[school_id] - {own, REPLIED_STOP} for school_id in schools}
    back = [one for one in schools if not any(is_reply_cause(cause) for cause in left[one])]
    changed = [
        one
        for one in (schools if is_stop else back)
        if any(is_reply_cause(cause) for cause in causes[one]) is not is_stop
    ]
    for school_id in changed:
        data = {
            "person": None,
            "reply": kept.id if kept is not None and kept.school_id == school_id else None,
            "opted_out": int(is_stop),
            "by": "handset",
        }
        told.append(answers.event(school_id, EventType.OPT_OUT_CHANGED, f"opt_out#{heard.cause}", now, data))
    named = schools if is_stop else back
    answer = _answer(answers.SAID_TO[word], heard, named) if named else None
    return _Follows(tuple(notes), tuple(told), answer)


def _answer(said: Said, heard: _Heard, schools: Sequence[str]) -> Answer:
    return answers.compose(said, heard.text, heard.handset, heard.code, heard.speaks, schools)


def _received(reply: Reply, now: datetime) -> dict[str, Any]:
    data = {"reply": reply.id, "message": reply.message, "word": reply.word}
    return answers.event(reply.school_id, EventType.REPLY_RECEIVED, f"reply#{reply.id}", now, data)


def _commit(key: str, follows: _Follows, now: datetime, write_all: Callable[[Transaction, bool], None]) -> None:
    """The text, the opt-outs it changes, the page of its answer and what it owes: one transaction. Then what it owes.

    A handset that had enough answers today is obeyed all the same. Raises what `write_all` is refused with.
    """
    for answer in (follows.answer, None):
        try:
            with Transaction() as write:
                write_all(write, answer is not None)
                for school_id, number, changes in follows.notes:
                    opt_outs.change_cause(write, school_id, number, *changes)
                page = answers.add(write, answer, now) if answer is not None else None
                answers.owe(write, key, follows.told, page, now)
        except Enough:
            continue
        break
    answers.carry_out(key)


def _answered(reply: IncomingReply, schools: Sequence[str] | None) -> tuple[str, str] | None:
    return _answered_by(reply.in_reply_to, reply.handset, schools)


def _answered_by(reference: str | None, handset: str, schools: Sequence[str] | None) -> tuple[str, str] | None:
    """The school and message that a carrier says are answered, if that message went to this very handset."""
    found = pages.read_reference(reference or "")
    if found is None or found[0].kind is not PageKind.MESSAGE or (schools and found[0].school_id not in schools):
        return None
    page = pages.find_page(found[0])
    if page is None or found[1] >= len(page.recipients) or page.recipients[found[1]].number != handset:
        return None
    return found[0].school_id, found[0].item


def _reply(heard: _Heard, school_id: str, message: str | None, word: Word | None) -> Reply:
    return Reply(
        school_id,
        heard.cause,
        heard.handset,
        heard.code,
        heard.text,
        heard.at,
        word=word.value if word else None,
        message=message,
    )


def _expires_at(now: datetime, life: timedelta) -> int:
    return int((now + life).timestamp())
