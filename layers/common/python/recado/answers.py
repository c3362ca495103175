"""What recado itself answers a handset's word or text with, free of charge; and what a reply owes after its commit.

A page of one text is put in the reply's own transaction, with a row that says what is still to be done; then it is
done, and whatever was not is done by the minute's run. Only STOP's confirmation passes the block (`dispatch.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from recado import events, log
from recado.events import NewEvent
from recado.ids import new_id
from recado.page_jobs import job_of
from recado.queues import put_jobs
from recado.rules import answer_words, segments
from recado.rules.answer_words import Said
from recado.rules.audience import is_reply_cause
from recado.rules.country_time import local_day
from recado.rules.credit_bags import Zone
from recado.rules.event_types import Data, EventType
from recado.rules.opt_out_words import Word
from recado.rules.phone_numbers import country_of
from recado.rules.school_records import is_sandbox
from recado.session_handsets import SCHOOL, SUBSCRIBERS
from recado.settings import SETTINGS
from recado.tables import notices, opt_outs, owed_replies, pages
from recado.tables import schools as school_table
from recado.tables.base import Transaction
from recado.tables.owed_replies import Owed
from recado.tables.pages import Page, PageKind, PageRecipient, PageRef

LIFE = timedelta(minutes=5)  # an answer that has not gone out by then goes out no more
ANSWERS_PER_DAY = 5  # to one handset, from all codes: two machines that answer each other stop
ROWS_LIFE = timedelta(days=2)  # then DynamoDB tidies what a death left
LOOK_AFTER = timedelta(minutes=1)
OWED_MAX = 200  # of one shard in one run; the next minute takes the rest

SAID_TO: Mapping[Word, Said] = {Word.STOP: Said.STOPPED, Word.START: Said.STARTED, Word.HELP: Said.HELP}


class Enough(Exception):  # not an error: a limit
    """The handset was answered often enough today: what it asked for is done all the same, and not said."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One text to one handset from one code, over that code's carrier, in the name of these schools."""

    said: Said
    handset: str
    code: str
    carrier: str
    schools: tuple[str, ...]
    text: str


def compose(said: Said, heard: str, handset: str, code: str, carrier: str, schools: Sequence[str]) -> Answer:
    """The answer to what was heard, in the language of its word or of the handset's country."""
    language = answer_words.language_of(heard, country_of(handset))
    names = {school.id: school.name for school in school_table.list_schools_by_id(schools)} if schools else {}
    said_by = [names.get(school, school) for school in schools if school != SCHOOL]
    return Answer(said, handset, code, carrier, tuple(schools), answer_words.answer(said, language, said_by))


def add(write: Transaction, answer: Answer, now: datetime) -> PageRef:
    """Its page as part of a transaction, refused as Enough when the handset had its answers today."""
    kind = PageKind.CONFIRMATION if answer.said is Said.STOPPED else PageKind.ANSWER
    ref = PageRef(kind, answer.schools[0], new_id(), str(int((now + LIFE).timestamp())), 0)
    expires_at = int((now + ROWS_LIFE).timestamp())
    is_tried = is_sandbox(answer.schools[0])  # its handsets are nobody's
    notices.count_answer(
        write,
        f"{answer.schools[0]}#{answer.handset}" if is_tried else answer.handset,
        local_day(country_of(answer.handset) or SUBSCRIBERS.home, now),
        answers_max=ANSWERS_PER_DAY,
        expires_at=expires_at,
        refused=Enough(),
    )
    parts = segments.count_segments(answer.text)
    recipient = PageRecipient(answer.handset, (), Zone.DOMESTIC, parts, answer.code)
    pages.create_own_text(
        write,
        ref,
        recipient,
        answer.text,
        in_name_of=answer.schools,
        carrier=answer.carrier,
        expires_at=expires_at,
        refused=RuntimeError("a new page cannot be there"),
    )
    return ref


def owe(write: Transaction, key: str, told: Sequence[Mapping[str, Any]], page: PageRef | None, now: datetime) -> None:
    """What is to be done after the commit, as part of it; nothing when there is nothing."""
    if told or page is not None:
        job = job_of(page, 1) if page else None
        owed_replies.owe(write, Owed(key, now + LOOK_AFTER, tuple(told), job))


def event(school_id: str, event_type: EventType, cause: str, at: datetime, data: Data) -> dict[str, Any]:
    """An event as it is owed."""
    return {"school": school_id, "type": event_type.value, "cause": cause, "at": at.isoformat(), "data": dict(data)}


def carry_out(key: str) -> None:
    """Does what a reply owes, if it owes anything. What fails is left to the minute's run: the reply was taken."""
    try:
        owed = owed_replies.find_owed(key)
        if owed is not None and owed.parts is None:
            carry_out_owed(owed)
    except Exception as error:  # noqa: BLE001  # logged by class; the row is still there
        log.trouble("reply_not_followed_up", error)


def carry_out_owed(owed: Owed) -> None:
    """Puts the answer's job, raises the events, and forgets it. Each may be done again: it changes nothing.

    The answer first, which is for five minutes only. One event that cannot be raised keeps no other; it raises.
    """
    if owed.page is not None:
        put_jobs(SETTINGS.sessions_queue_url, [dict(owed.page)], group=owed.page["item"])
        log.outcome("answer_put", answer=owed.page["item"])
    failed: Exception | None = None
    for one in owed.events:
        new = NewEvent(EventType(one["type"]), one["cause"], datetime.fromisoformat(one["at"]), one["data"])
        try:
            events.raise_event(one["school"], new)
        except Exception as error:  # noqa: BLE001  # raised below, when the others have been told
            failed = error
    if failed is not None:
        raise failed
    owed_replies.forget_owed(owed.key, look_at=owed.look_at)


def give_up_at(ref: PageRef) -> datetime:
    """Until when an answer may be spoken: its page's plan says so."""
    return datetime.fromtimestamp(int(ref.plan), UTC)


def is_silenced(page: Page) -> bool:
    """Whether an answer must not be spoken as things are now; read consistently, after the claim (invariant 4).

    A confirmation is the proof of a block, and is spoken only while there is one; any other answer is not spoken to
    who is blocked by everybody it speaks for.
    """
    number = page.recipients[0].number
    blocked = [
        any(is_reply_cause(cause) for cause in opt_outs.find_causes(school_id, number)) for school_id in page.in_name_of
    ]
    return not any(blocked) if page.ref.kind is PageKind.CONFIRMATION else all(blocked)
