"""Replies on own and shared codes when everything goes wrong: deliveries twice and together, answers lost, deaths.

Held against what handsets wrote and what carriers were told, by the raw rows: no text at a school that it does not
provably belong to, never at two; STOP binds once it was answered; nobody is asked twice for one conversation.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from recado import answers, dispatch, inbound, school_replies
from recado.carriers.speech import Accepted, Answer, IncomingReply, Line, Outgoing, Refused, RefusedBecause, Unknown
from recado.rules.credit_bags import Zone
from recado.rules.reply_parts import Part
from recado.settings import SETTINGS
from recado.tables import pages, short_codes
from recado.tables.pages import PageKind, PageRecipient, PageRef
from recado.tables.short_codes import Purpose, ShortCode
from tests.simulation import small_day
from tests.simulation.baton import Actor, End
from tests.simulation.small_day import SmallDay
from tests.simulation.wires import SQS, Aws, MemoryAws, memory_aws
from tests.worlds import NOON, add_guardian, create_school, lines_of, mobile

SEEDS = int(os.environ.get("RECADO_SEEDS", "120"))
ONLY = os.environ.get("RECADO_SEED")
STEPS_MAX = 20_000
A, B, C = "colegio-a", "colegio-b", "colegio-c"
SHARED, OWN = "30000", "20600"
BOTH, ONE, NONE = mobile(1), mobile(2), mobile(3)  # in the directories of A and B, of A, of nobody
KNOWN: Mapping[str, tuple[str, ...]] = {BOTH: (A, B), ONE: (A,), NONE: ()}
WORDS = ("STOP", "baja", "ALTA", "AYUDA")
DIGITS = ("1", "2", "3")
KEPT = timedelta(hours=72)
SANTIAGO = ZoneInfo("America/Santiago")


@pytest.fixture(scope="module")
def memory() -> Iterator[MemoryAws]:
    with memory_aws() as found:
        yield found


@dataclass
class Written:
    """What a handset wrote, and how far its carrier is with bringing it."""

    id: str
    handset: str
    code: str
    text: str
    answers: str | None  # the school whose text the carrier says is answered
    reference: str | None
    at: datetime
    part: Part | None = None
    began: int | None = None  # the step at which it was first brought
    done: int | None = None  # at which it was first answered
    deliveries: int = 1

    @property
    def concerned(self) -> tuple[str, ...]:
        if self.code == OWN:
            return (C,)
        return tuple(sorted({*KNOWN[self.handset], *([self.answers] if self.answers else [])}))

    @property
    def school(self) -> str | None:
        """Whose it provably is."""
        if self.code == OWN:
            return C
        known = KNOWN[self.handset]
        return self.answers or (known[0] if len(known) == 1 else None)


@dataclass
class Asked:
    at: datetime
    is_chosen: bool = False


class Day(SmallDay):
    """Three handsets write to a shared and to an own code; carriers bring it, and the minute's run looks after it."""

    lost, dies, request_takes = 0.03, 0.02, timedelta(milliseconds=7)

    def __init__(self, seed: int, aws: Aws) -> None:
        super().__init__(seed, aws, NOON)
        self.written: list[Written] = []
        self.jobs: list[str] = []
        self.heard: list[tuple[int, Outgoing]] = []
        self.asked: dict[str, Asked] = {}
        self.questions: set[str] = set()
        self.had_choice: set[str] = set()
        for school_id, code in ((A, ""), (B, ""), (C, OWN)):
            create_school(school_id, code=code, domestic=None)
        assert short_codes.create_code(ShortCode("CL", SHARED, "signed_webhook", Purpose.SCHOOLS))
        assert short_codes.create_code(ShortCode("CL", OWN, "signed_webhook", Purpose.SCHOOLS, school=C))
        for handset, schools in KNOWN.items():
            for school_id in schools:
                add_guardian(int(handset[-4:]), school_id=school_id)
        self.references: dict[tuple[str, str], str] = {}
        for school_id in (A, B):
            ref = PageRef(PageKind.MESSAGE, school_id, f"m-{school_id}", "p", 0)
            everybody = [PageRecipient(one, ("g",), Zone.DOMESTIC, 1) for one in KNOWN]
            pages.create_pages([(ref, everybody)], expires_at=2_000_000_000)
            for index, handset in enumerate(KNOWN):
                self.references[school_id, handset] = ref.reference(index)

    def clock(self) -> datetime:
        return self.now

    # --- the weather ---

    def after(self, operation: str, asked: Mapping[str, Any]) -> None:
        if operation == SQS:
            self.jobs += [entry["MessageBody"] for entry in asked["Entries"]]
        super().after(operation, asked)

    # --- what must hold at every step ---

    def look(self) -> None:
        rows = self.aws.rows(SETTINGS.messages_table)
        by_cause = {f"signed_webhook#{one.id}": one for one in self.written}
        shown: Counter[str] = Counter()
        for (pk, _), row in rows.items():
            if pk.startswith("S#") and pk.endswith("#R"):
                shown[row["reply_id"]["S"]] += 1
                self._look_at_shown(pk.split("#")[1], row, by_cause)
        if max(shown.values(), default=1) > 1:
            self.violation = "a text is shown twice"
        self._look_at_questions(rows)
        for one in self._binding_stops():
            for school_id in one.concerned:
                causes = self.aws.row(SETTINGS.people_table, (f"S#{school_id}#N#{one.handset}", "optout")) or {}
                if f"reply#{one.code}" not in causes.get("causes", {}).get("SS", []):
                    self.violation = f"{one.id} was answered and does not bind at {school_id}"

    def _look_at_shown(self, school_id: str, row: Mapping[str, Any], by_cause: Mapping[str, Written]) -> None:
        cause, text = row["reply_id"]["S"], row["text"]["S"].rstrip("…")
        one = by_cause.get(cause) or next((one for one in self.written if one.part and one.text == text), None)
        if one is None or text != one.text:
            self.violation = "a text that nobody wrote"
            return
        if row["number"]["S"] != one.handset or row["code"]["S"] != one.code:
            self.violation = "another's text"
        elif one.school is None:
            place = KNOWN[one.handset].index(school_id) + 1 if school_id in KNOWN[one.handset] else 0
            is_chosen = any(
                other.text == str(place) and other.handset == one.handset and other.began is not None
                for other in self.written
            )
            if not place or not is_chosen or "sent_on_at" not in row:
                self.violation = f"{one.id} is shown at {school_id}, which nobody chose"
        elif one.school != school_id:
            self.violation = f"{one.id} is shown at {school_id}"

    def _look_at_questions(self, rows: Mapping[tuple[str, str], Any]) -> None:
        waits = {pk.split("#")[3] for pk, sk in rows if pk.startswith("UNROUTED#") and sk == "choice"}
        for handset in self.had_choice - waits:
            if handset in self.asked:
                self.asked[handset].is_chosen = True
        self.had_choice = waits
        for (pk, sk), row in self.aws.rows(SETTINGS.sessions_table).items():
            if sk != "manifest" or pk in self.questions or "Responda 1" not in row["text"]["S"]:
                continue
            self.questions.add(pk)
            handset = json.loads(row["recipients"]["S"])[0][0]
            before = self.asked.get(handset)
            if before is not None and not before.is_chosen and self.now < before.at + KEPT - timedelta(seconds=5):
                self.violation = f"{handset} is asked twice for one conversation"
            self.asked[handset] = Asked(self.now)

    def _binding_stops(self) -> list[Written]:
        """STOPs that were answered, and that no ALTA can have undone."""
        binding = []
        for one in self.written:
            if one.text not in ("STOP", "baja") or one.done is None or one.began is None:
                continue
            starts = [
                other
                for other in self.written
                if other.text == "ALTA" and (other.handset, other.code) == (one.handset, one.code)
            ]
            if all(other.began is None or (other.done is not None and other.done < one.began) for other in starts):
                binding.append(one)
        return binding

    # --- who acts ---

    def bring(self, one: Written) -> None:
        one.began = one.began if one.began is not None else self.step
        reply = IncomingReply(one.id, one.handset, one.code, one.text, one.at, one.reference, one.part)
        inbound.take_reply("signed_webhook", reply, self.clock)
        one.done = one.done if one.done is not None else self.step

    def work(self, body: str) -> None:
        began = self.step
        # A STOP from whom no directory has binds at the school whose text it answered, if any, and at no other.
        silenced = [(one.handset, one.code, school) for one in self._binding_stops() for school in one.concerned]

        def speak(texts: Sequence[Outgoing], may_start: Callable[[], bool]) -> list[Answer]:
            return [self._hear(text, began, silenced) for text in texts]

        worker = dispatch.Worker(
            f"w{self.step}",
            self.clock,
            lambda: timedelta(seconds=90),
            lambda: 0.0,
            lines_of(Line("signed_webhook", speak, 0, True)),
        )
        dispatch.work_page(dispatch.read_job(body), worker)

    def _hear(self, text: Outgoing, began: int, silenced: Sequence[tuple[str, str, str]]) -> Answer:
        if self.is_on(0.1):
            return Refused(RefusedBecause.FOR_NOW, "busy")
        if any(other.reference == text.reference for _, other in self.heard):
            self.violation = "an answer is said twice"
        kind, school = text.reference.split(".")[:2]
        if (text.to, text.sender, school) in silenced and kind != "c":
            self.violation = "who said STOP is spoken to"
        self.heard.append((began, text))
        return Unknown("lost") if self.is_on(0.1) else Accepted(f"c{len(self.heard)}")

    def take_up(self) -> None:
        school_replies.take_up(self.clock)

    # --- the day ---

    def _write_some(self) -> None:
        for _ in range(self.random.randrange(1, 6)):
            number = len(self.written)
            handset = self.random.choice((BOTH, BOTH, BOTH, ONE, NONE))
            code = OWN if self.chance(0.25) else SHARED
            text = f"texto {number}"
            if self.chance(0.4):
                text = self.random.choice(WORDS)
            elif self.chance(0.4):
                text = self.random.choice(DIGITS)
            school = self.random.choice((A, B)) if code == SHARED and self.chance(0.15) else None
            reference = self.references[school, handset] if school else None
            one = Written(f"r{number}", handset, code, text, school, reference, self.now)
            if text.startswith("texto") and self.chance(0.15):
                one.part = Part(1, 2, f"g{number}")
            one.deliveries = self.random.choice((1, 1, 2, 3))
            self.written.append(one)

    def play(self) -> None:
        for _ in range(self.random.randrange(2, 6)):
            self._write_some()
            self._work_off()
            if self.chance(0.6):
                self.now += self.random.choice(
                    (timedelta(seconds=70), timedelta(minutes=6), timedelta(hours=20), timedelta(hours=71), KEPT)
                )
        self._end()

    def _work_off(self) -> None:  # noqa: C901  # who may act next, in one place
        owed = [one for one in self.written if one.done is None for _ in range(one.deliveries)]
        self.random.shuffle(owed)
        working: list[tuple[Actor, Written | str | None]] = []
        runs = 3
        while owed or working or self.jobs:
            assert self.step < STEPS_MAX, "it does not end"
            if owed and (not working or self.chance(0.2)):
                one = owed.pop()
                working.append((self.actor(f"{one.id} {one.text} of {one.handset[-1]}", partial(self.bring, one)), one))
            elif self.jobs and (not working or self.chance(0.2)):
                body = self.jobs.pop(self.random.randrange(len(self.jobs)))
                if self.chance(0.2):
                    self.jobs.append(body)  # the queue brings it twice
                working.append((self.actor("a job", partial(self.work, body)), body))
            elif runs and self.chance(0.05):
                runs -= 1
                working.append((self.actor("the minute's run", self.take_up), None))
            if not working:
                continue
            actor, what = self.random.choice(working)
            self.let(actor)
            if actor.end is None:
                continue
            working.remove((actor, what))
            self.note(f"{actor.name}: {actor.end} {actor.where() if actor.error else ''}")
            if actor.end is End.FAILED and isinstance(actor.error, AssertionError | KeyError | TypeError):
                raise actor.error
            if actor.end is not End.DONE and isinstance(what, Written):
                owed.append(what)  # the carrier had no answer: it brings it again
            elif actor.end is not End.DONE and isinstance(what, str):
                self.now += timedelta(seconds=40)  # the queue shows it again when the lease is over
                self.jobs.append(what)

    def _end(self) -> None:
        self.is_calm = True
        for _ in range(4):
            self.now += timedelta(minutes=2)
            self.take_up()
            while self.jobs:
                self.work(self.jobs.pop())
        messages = self.aws.rows(SETTINGS.messages_table)
        assert [pk for pk, _ in messages if pk.startswith("OWED#")] == [], "something is still owed"
        open_pages = [pk for pk, _ in self.aws.rows(SETTINGS.sessions_table) if pk.startswith(("A#", "C#"))]
        assert len(open_pages) == 0 or all(self._is_forgotten(pk) for pk in open_pages), "an answer is left lying"
        shown = [row for (pk, _), row in messages.items() if pk.startswith("S#") and pk.endswith("#R")]
        told = Counter(
            json.loads(row["data"]["S"])["reply"]
            for (pk, _), row in messages.items()
            if pk.endswith("#EV") and "type" in row and row["type"]["S"] == "reply.received"
        )
        assert len(told) == len(shown), "not every reply was told of"
        assert max(told.values(), default=1) == 1, "told twice"
        there = {row["reply_id"]["S"] for row in shown}
        for one in self.written:
            if one.school is not None and one.part is None and not (one.text in WORDS and one.school is None):
                cause = f"signed_webhook#{one.id}"
                is_choice = one.text in DIGITS and one.handset == BOTH
                assert cause in there or is_choice, f"{one.id} is lost"
        days = Counter(
            (text.to, datetime.fromtimestamp(int(text.reference.split(".")[3]) - 300, UTC).astimezone(SANTIAGO).date())
            for _, text in self.heard
        )
        assert max(days.values(), default=0) <= answers.ANSWERS_PER_DAY, "too many answers on one day"

    def _is_forgotten(self, pk: str) -> bool:
        """A page whose closing worker died for good has ended all the same."""
        state = self.aws.row(SETTINGS.sessions_table, (pk, "state"))
        return state is None or not state["is_open"]["BOOL"]


@pytest.mark.parametrize("seed", [int(ONLY)] if ONLY else range(SEEDS))
def test_days_of_replies_in_bad_weather_break_no_promise(seed: int, memory: MemoryAws) -> None:
    memory.clear()
    small_day.play(Day(seed, memory), seed, "tests/simulation/test_replies.py")
