"""What handsets write to a code that schools share: to the school it provably belongs to, or kept until the handset has
said whose it is. STOP, ALTA and AYUDA are obeyed at every school that may write from there.

Must never be shown to two schools, nor to "the last that sent" (`rules/reply_routes.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from recado import answers, heard_texts, log
from recado.carriers.speech import IncomingReply
from recado.errors import StillRunning
from recado.heard_texts import (
    ATTEMPTS_MAX,
    MOMENT,
    REPLY_LIFE,
    ROWS_LIFE,
    Add,
    Follows,
    Heard,
    Moved,
    Outcome,
    SeenBefore,
)
from recado.rules import reply_parts, reply_routes
from recado.rules.answer_words import Said
from recado.rules.opt_out_words import Word
from recado.rules.reply_parts import Part
from recado.rules.reply_routes import Kind, still_counts
from recado.rules.school_records import is_sandbox
from recado.settings import SETTINGS
from recado.tables import owed_replies, people, replies, short_codes
from recado.tables import schools as school_table
from recado.tables import waiting_replies as waiting_table
from recado.tables.base import Transaction
from recado.tables.opt_outs import NotedAlready
from recado.tables.owed_replies import Owed
from recado.tables.replies import Reply
from recado.tables.schools import School
from recado.tables.short_codes import ShortCode
from recado.tables.waiting_replies import Choice, Conversation, Parts, Waiting

WAITING_MAX = 20  # texts of one conversation: all go on in one transaction, four writes each
SCHOOLS_MAX = 50  # whose directories are looked at for one number
CONCERNED_MAX = 20  # schools whose opt-out one word changes: four writes each at most
HOLDERS_MAX = 100  # people of one school on one number


def take(code: ShortCode, heard: Heard, reference: str | None, now: datetime) -> Outcome:
    for attempt in range(ATTEMPTS_MAX):
        try:
            return _take_whole(code, heard, reference, now + attempt * MOMENT, lambda _: None)
        except (Moved, NotedAlready):
            continue
    raise StillRunning(retry_after_seconds=1)


def take_part(code: ShortCode, carrier: str, reply: IncomingReply, part: Part, now: datetime) -> Outcome:
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
            expires_at = heard_texts.expires_at_of(at, ROWS_LIFE)
            waiting_table.save_parts(
                write, conversation, part, parts, seen=seen, expires_at=expires_at, refused=Moved()
            )
            if parts.joining.waiting:
                owed_replies.owe(write, _owed_parts(conversation, part, parts, carrier))

        try:
            if taken.line is None:
                with Transaction() as write:
                    expires_at = heard_texts.expires_at_of(at, ROWS_LIFE)
                    waiting_table.note_seen(write, conversation, cause, expires_at=expires_at, seen_before=SeenBefore())
                    also(write)
                return Outcome.PART
            heard = Heard(
                cause,
                reply.handset,
                code.code,
                taken.line.text,
                taken.line.at,
                code.carrier,
                is_whole=not taken.line.is_partial,
            )
            return _take_whole(code, heard, told if taken.is_new else parts.answered, at, also)
        except SeenBefore:
            return Outcome.DUPLICATE
        except (Moved, NotedAlready):
            continue
    raise StillRunning(retry_after_seconds=1)


def show_parts(whose: Mapping[str, Any], now: datetime) -> bool:
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
    heard = Heard(cause, conversation.handset, code.code, taken.line.text, taken.line.at, code.carrier, is_whole=False)

    def also(write: Transaction) -> None:
        after = Parts(taken.joining, seen.answered)
        expires_at = heard_texts.expires_at_of(now, ROWS_LIFE)
        waiting_table.save_parts(write, conversation, part, after, seen=seen, expires_at=expires_at, refused=Moved())

    try:
        outcome = _take_whole(code, heard, seen.answered, now, also)
    except (Moved, NotedAlready):
        return False
    heard_texts.count(code.country, cause, outcome, now)
    return True


def _take_whole(code: ShortCode, heard: Heard, reference: str | None, now: datetime, also: Add) -> Outcome:
    """One attempt. `also` are writes that belong to it. Raises Moved, NotedAlready: read again."""
    # 1. Whose may it be?
    conversation = Conversation(code.country, code.code, heard.handset)
    answered = heard_texts.answered_by(reference, heard.handset, None)
    if answered is not None and is_sandbox(answered[0]):
        answered = None  # no carrier brings what is a sandbox's
    candidates = _candidates(code, heard.handset, now)
    goes_to = reply_routes.destination(None, answered[0] if answered else None, candidates)
    message = answered[1] if answered else None

    def first(write: Transaction) -> None:
        waiting_table.note_seen(
            write,
            conversation,
            heard.cause,
            expires_at=heard_texts.expires_at_of(now, ROWS_LIFE),
            seen_before=SeenBefore(),
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
        heard_texts.commit(heard.cause, Follows(), now, lambda write, _: first(write))
    except SeenBefore:
        answers.carry_out(heard.cause)
        return Outcome.DUPLICATE
    return Outcome.UNROUTED


def _take_word(
    conversation: Conversation,
    heard: Heard,
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
    kept = heard_texts.reply_of(heard, shown, message, word) if shown else None
    follows = heard_texts.follow(heard, word, schools, kept, now)

    def write_all(write: Transaction, _: bool) -> None:
        first(write)
        if kept is not None:
            replies.create_reply(
                write, kept, expires_at=heard_texts.expires_at_of(now, REPLY_LIFE), seen_before=SeenBefore()
            )
        if schools and word is not Word.HELP:
            waiting_table.change_stopped(write, conversation, schools, added=word is Word.STOP)

    heard_texts.commit(heard.cause, follows, now, write_all)
    if kept is not None:
        return Outcome.TO_SCHOOL
    return Outcome.OBEYED if schools else Outcome.UNROUTED


def _chosen(heard: Heard, choice: Choice | None, waiting: Sequence[Waiting], now: datetime) -> str | None:
    """The school that this text chooses, if the handset was asked, may still say so, and something waits."""
    if choice is None or not choice.is_asked or now >= choice.until or not waiting or not heard.is_whole:
        return None
    return reply_routes.read_choice(heard.text, choice.schools)


def _send_on(
    conversation: Conversation,
    heard: Heard,
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
        waiting_table.delete_choice(write, conversation, choice, Moved())
        for one, reply in zip(waiting, kept, strict=True):
            waiting_table.delete_waiting(write, conversation, one, Moved())
            replies.create_reply(
                write, reply, expires_at=heard_texts.expires_at_of(now, REPLY_LIFE), seen_before=Moved()
            )

    heard_texts.commit(heard.cause, Follows(told=tuple(heard_texts.received(one, now) for one in kept)), now, write_all)
    for one in kept:
        heard_texts.count(conversation.country, one.cause, Outcome.TO_SCHOOL, now)
    return Outcome.CHOSEN


def _keep(heard: Heard, school_id: str, message: str | None, now: datetime, first: Add) -> Outcome:
    kept = heard_texts.reply_of(heard, school_id, message, None)

    def write_all(write: Transaction, _: bool) -> None:
        first(write)
        replies.create_reply(
            write, kept, expires_at=heard_texts.expires_at_of(now, REPLY_LIFE), seen_before=SeenBefore()
        )

    heard_texts.commit(heard.cause, Follows(told=(heard_texts.received(kept, now),)), now, write_all)
    return Outcome.TO_SCHOOL


def _wait(
    conversation: Conversation,
    heard: Heard,
    schools: tuple[str, ...],
    seen: Choice | None,
    waiting: Sequence[Waiting],
    now: datetime,
    first: Add,
) -> Outcome:
    """Shown to nobody; the handset is asked whose it is, once while its choice lasts."""
    is_asked = seen is not None and seen.is_asked and now < seen.until
    choice = seen if seen is not None and is_asked else Choice(schools, now + reply_routes.KEPT, False, 0)
    question = None if is_asked else heard_texts.answer_of(Said.CHOOSE, heard, schools)
    text = Waiting(heard.cause, heard.text, heard.at, now + reply_routes.KEPT)

    def write_all(write: Transaction, is_answered: bool) -> None:
        first(write)
        after = replace(choice, is_asked=choice.is_asked or is_answered, waiting=len(waiting) + 1)
        expires_at = heard_texts.expires_at_of(now, ROWS_LIFE)
        waiting_table.save_choice(write, conversation, after, seen=seen, expires_at=expires_at, refused=Moved())
        waiting_table.create_waiting(write, conversation, text, expires_at=expires_at, refused=Moved())

    heard_texts.commit(heard.cause, Follows(answer=question), now, write_all)
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
