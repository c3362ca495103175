"""A text that a handset wrote to schools, whatever the code: what it changes, tells and is answered with, at once.

Every text happens once, by its cause. What it owes is written with it, and carried out afterwards.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from recado import answers, session_counts
from recado.answers import Answer, Enough
from recado.rules import opt_out_words
from recado.rules.answer_words import Said
from recado.rules.audience import REPLIED_STOP, is_reply_cause, reply_cause
from recado.rules.event_types import EventType
from recado.rules.opt_out_words import Word
from recado.tables import opt_outs, pages
from recado.tables.base import Transaction
from recado.tables.opt_outs import Note
from recado.tables.pages import PageKind
from recado.tables.replies import Reply

REPLY_LIFE = timedelta(days=400)
ROWS_LIFE = timedelta(days=8)  # of what waits, was seen or was joined: longer than any carrier asks again
ATTEMPTS_MAX = 5
MOMENT = timedelta(microseconds=1)

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
class Heard:
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
class Follows:
    """What follows from a text: opt-outs that change with it, what is told of it, what it is answered with."""

    notes: tuple[tuple[str, str, tuple[Note, ...]], ...] = ()  # school, number, what changes
    told: tuple[Mapping[str, Any], ...] = ()
    answer: Answer | None = None


class SeenBefore(Exception):  # a signal between two steps here
    """This carrier's reply id has been kept already."""


class Moved(Exception):  # a signal between two steps here
    """Somebody else came between reading and writing."""


def count(country: str, key: str, outcome: Outcome, now: datetime) -> None:
    """Adds a reply to its day's sums: reached a school, waits, or reached nobody."""
    counted = {
        Outcome.TO_SCHOOL: "school_replies",
        Outcome.WAITING: "school_waiting",
        Outcome.UNROUTED: "school_unrouted",
    }.get(outcome)
    if counted is not None:
        session_counts.count(country, key, now, **{counted: 1})


def follow(heard: Heard, word: Word | None, schools: Sequence[str], kept: Reply | None, now: datetime) -> Follows:
    """What a text changes, tells and is answered with; its word, if it is one, is said to these schools."""
    told = [received(kept, now)] if kept is not None else []
    if word is None or not schools:
        return Follows(told=tuple(told))
    if word is Word.HELP:
        return Follows(told=tuple(told), answer=answer_of(Said.HELP, heard, schools))
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
    answer = answer_of(answers.SAID_TO[word], heard, named) if named else None
    return Follows(tuple(notes), tuple(told), answer)


def commit(key: str, follows: Follows, now: datetime, write_all: Callable[[Transaction, bool], None]) -> None:
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


def answered_by(reference: str | None, handset: str, schools: Sequence[str] | None) -> tuple[str, str] | None:
    """The school and message that a carrier says are answered, if that message went to this very handset."""
    found = pages.read_reference(reference or "")
    if found is None or found[0].kind is not PageKind.MESSAGE or (schools and found[0].school_id not in schools):
        return None
    page = pages.find_page(found[0])
    if page is None or found[1] >= len(page.recipients) or page.recipients[found[1]].number != handset:
        return None
    return found[0].school_id, found[0].item


def reply_of(heard: Heard, school_id: str, message: str | None, word: Word | None) -> Reply:
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


def received(reply: Reply, now: datetime) -> dict[str, Any]:
    data = {"reply": reply.id, "message": reply.message, "word": reply.word}
    return answers.event(reply.school_id, EventType.REPLY_RECEIVED, f"reply#{reply.id}", now, data)


def answer_of(said: Said, heard: Heard, schools: Sequence[str]) -> Answer:
    return answers.compose(said, heard.text, heard.handset, heard.code, heard.speaks, schools)


def expires_at_of(now: datetime, life: timedelta) -> int:
    return int((now + life).timestamp())
