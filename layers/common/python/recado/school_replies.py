"""What handsets write to a school's code, or to one that schools share; and what replies owe, each minute."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from recado import answers, heard_texts, log, shared_codes
from recado.carriers.speech import IncomingReply
from recado.clock import Clock
from recado.errors import StillRunning
from recado.heard_texts import ATTEMPTS_MAX, MOMENT, REPLY_LIFE, Heard, Moved, Outcome, SeenBefore
from recado.rules.carrier_times import believed
from recado.rules.reply_parts import Part, text_of
from recado.tables import owed_replies, replies
from recado.tables.base import Transaction
from recado.tables.opt_outs import NotedAlready
from recado.tables.owed_replies import Owed
from recado.tables.replies import Growing, Reply
from recado.tables.short_codes import ShortCode

REPLY_AGE_MAX = timedelta(days=7)  # a reply of before is not believed its time
MINUTE = timedelta(minutes=1)
STOP_BEFORE = timedelta(seconds=5)


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
        outcome = shared_codes.take_part(code, carrier, reply, reply.part, now)
    else:
        heard = Heard(f"{carrier}#{reply.id}", reply.handset, code.code, reply.text, sent_at, code.carrier)
        outcome = shared_codes.take(code, heard, reply.in_reply_to, now)
    if code.school is None or reply.part is None or reply.part.number == 1:  # a text in parts is one
        heard_texts.count(code.country, f"{carrier}#{reply.id}", outcome, now)
    return outcome


def take_answer(carrier: str, reply: IncomingReply, now: datetime) -> Outcome:
    """Brings a reply to the sandbox whose text the simulated line says is answered, or to nobody: whatever its code."""
    answered = _answered(reply, None)
    if answered is None:
        return Outcome.UNROUTED
    school_id, message = answered
    return _to_school(school_id, message, carrier, carrier, reply, now)


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
    if shared_codes.show_parts(owed.parts, now):
        owed_replies.forget_owed(owed.key, look_at=owed.look_at)


def _to_school(
    school_id: str, message: str | None, carrier: str, speaks: str, reply: IncomingReply, now: datetime
) -> Outcome:
    """Keeps the reply; STOP suppresses and ALTA takes back what STOP did, in the same transaction (L8, L10)."""
    if reply.part is not None:
        return _part_to_school(school_id, message, carrier, speaks, reply, reply.part, now)
    heard = Heard(f"{carrier}#{reply.id}", reply.handset, reply.code, reply.text, reply.sent_at, speaks)
    kept = heard_texts.reply_of(heard, school_id, message, heard.word)
    for attempt in range(ATTEMPTS_MAX):
        at = now + attempt * MOMENT
        follows = heard_texts.follow(heard, heard.word, (school_id,), kept, at)

        def write_all(write: Transaction, _: bool, at: datetime = at) -> None:
            replies.create_reply(
                write, kept, expires_at=heard_texts.expires_at_of(at, REPLY_LIFE), seen_before=SeenBefore()
            )

        try:
            heard_texts.commit(heard.cause, follows, at, write_all)
        except SeenBefore:
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
        heard = Heard(
            f"{carrier}#{reply.id}#{part.number}" if seen is None or is_new else seen.reply_id,
            reply.handset,
            reply.code,
            text_of(parts, part.of),
            reply.sent_at if seen is None or is_new else seen.received_at,
            speaks,
            is_whole=len(parts) == part.of,
        )
        kept = heard_texts.reply_of(heard, school_id, message, heard.word)
        follows = heard_texts.follow(heard, heard.word, (school_id,), kept, at)
        growing = Growing(parts, kept.cause, kept.received_at)

        # 2. The part once, the message as it was read, and what the school is shown: together.
        write_all = partial(_write_part, school_id, carrier, reply, part, kept, growing, seen, at)
        try:
            heard_texts.commit(key, follows, at, write_all)
        except SeenBefore:
            answers.carry_out(key)
            return Outcome.DUPLICATE
        except (Moved, NotedAlready):
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
    expires_at = heard_texts.expires_at_of(now, REPLY_LIFE)
    cause = f"{carrier}#{reply.id}"
    replies.note_part(write, school_id, cause, part, expires_at=expires_at, seen_before=SeenBefore())
    replies.save_growing(write, kept, carrier, part, growing, seen=seen, expires_at=expires_at, refused=Moved())


def _answered(reply: IncomingReply, schools: Sequence[str] | None) -> tuple[str, str] | None:
    return heard_texts.answered_by(reply.in_reply_to, reply.handset, schools)
