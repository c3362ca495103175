"""The carriers of a simulated day: they take, refuse, are busy, lose answers, dedupe or not, and report when they like.

One is the normal one, one may stand by; each falls ill and recovers on its own. What they decide for a handset or a
text they decide by the day's own chance; what they heard goes to the page watch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

from recado.carriers.speech import (
    CONNECT_SECONDS_MAX,
    READ_SECONDS_MAX,
    Accepted,
    Answer,
    Line,
    Outgoing,
    Refused,
    RefusedBecause,
    Unknown,
)
from recado.lines import Lines
from recado.rules.carrier_routes import Way
from tests.simulation.baton import Killed
from tests.simulation.facts import Speech, Violation
from tests.simulation.page_watch import RECEIPTS

if TYPE_CHECKING:
    from tests.simulation.school_day import Run, SchoolDay

STANDBY = "standby"
ILLNESSES = ("busy", "barred", "lost", "answers lost", "slow", "mixed")
PATIENCE = timedelta(seconds=CONNECT_SECONDS_MAX + READ_SECONDS_MAX)


class SimulatedCarrier:
    def __init__(self, day: SchoolDay, dedupe_hours: int) -> None:
        self.day = day
        self.name = "first"  # not `simulated`: that is the line of sandboxes, whose receipts a school does not get
        self.dedupe_hours = dedupe_hours
        self.echoes_reference = not day.is_on(0.3)
        self.takes_whole_waves = day.is_on(0.5)
        self.has_standby = day.is_on(0.6)
        self.illness: dict[str, str] = {}  # by carrier's name
        self._wrong: set[str] = set()
        self._blocked: set[str] = set()
        self._taken: dict[tuple[str, str], tuple[datetime, str]] = {}  # by carrier and reference: when, and its id
        self._ids = count(1)

    def choose_handsets(self, numbers: Sequence[str]) -> None:
        self._wrong = {number for number in numbers if self.day.is_on(0.1)}
        self._blocked = {number for number in numbers if self.day.is_on(0.1)}

    def be_another(self) -> None:
        """The school's texts go through another carrier from now on: it knows no reference of the first one's."""
        self.name = "other"

    def fall_ill(self) -> None:
        """For some minutes, or for hours; mostly the normal one."""
        name = STANDBY if self.has_standby and self.day.is_on(0.25) else self.name
        self.illness[name] = self.day.random.choice(ILLNESSES)
        self.day.note(f"{name} is {self.illness[name]}")
        self.day.after_a_while(10, self.day.random.choice((60, 300, 9000)), lambda: self.recover(name))

    def begin_ill(self) -> None:
        """The normal one takes nothing when the day begins, for a minute or ten."""
        name = self.name
        self.illness[name] = self.day.random.choice(("busy", "barred"))
        self.day.after_a_while(60, 600, lambda: self.recover(name))

    def recover(self, name: str) -> None:
        self.illness.pop(name, None)
        self.day.note(f"{name} is well")

    def dedupe_of(self, carrier: str) -> timedelta:
        """How long a carrier knows a reference. The one that stands by never does."""
        return timedelta() if carrier == STANDBY else timedelta(hours=self.dedupe_hours)

    def lines(self, run: Run) -> Lines:
        first = self.name
        ways = (Way(first), Way(STANDBY)) if self.has_standby else (Way(first),)
        run.carriers = tuple(way.carrier for way in ways)
        return Lines(
            lambda *_: ways,
            lambda name: self._line(run, name, first) if name else None,
            parts_per_second=lambda way: self.day.pace if way.carrier != STANDBY else None,
        )

    def _line(self, run: Run, name: str, first: str) -> Line:
        def speak(texts: Sequence[Outgoing], may_start: Callable[[], bool]) -> list[Answer]:
            run.carrier = name
            try:
                if name == STANDBY:
                    self._watch(lambda: self.day.standby.before(texts, first))
                if self.takes_whole_waves:
                    answers = self._exchange(run, texts, may_start)
                else:
                    answers = [self._exchange(run, [text], may_start)[0] for text in texts]
                self.day.standby.after(run, name, texts, answers)
                return answers
            finally:
                run.speaking_until = None

        return Line(name, speak, int(self.dedupe_of(name).total_seconds()) // 3600, self.echoes_reference)

    def _watch(self, look: Callable[[], None]) -> None:
        try:
            look()
        except Violation as violation:
            self.day.violation = self.day.violation or violation
            raise Killed from violation

    def _exchange(self, run: Run, texts: Sequence[Outgoing], may_start: Callable[[], bool]) -> list[Answer]:
        """One request and its answer: for a wave, or for one text."""
        day, ill = self.day, self._symptom(run.carrier)
        if not may_start():
            return [Refused(RefusedBecause.FOR_NOW, "not_started")] * len(texts)
        run.speaking_until = day.now + PATIENCE
        if ill == "busy" or day.is_on(day.weather.trouble * 0.1):
            return [Refused(RefusedBecause.FOR_NOW, "not_connected")] * len(texts)
        day.breathe(run, "before it speaks")
        is_lost = ill == "lost" or day.is_on(day.weather.trouble * 0.08)
        speeches = [self._hear(run, text, is_lost=is_lost, is_barred=ill == "barred") for text in texts]
        day.advance(day.seconds(5, 9) if ill == "slow" else day.seconds(0.05, 3))
        day.breathe(run, "after it spoke")
        is_late = ill == "answers lost" or day.now >= run.speaking_until or day.is_on(day.weather.trouble * 0.08)
        for speech in speeches:
            speech.answer = Unknown("late") if is_late else speech.verdict
        day.step += 1
        return [speech.verdict if not is_late else Unknown("late") for speech in speeches]

    def _symptom(self, carrier: str) -> str:
        ill = self.illness.get(carrier, "")
        return self.day.random.choice(("", *ILLNESSES[:-1])) if ill == "mixed" else ill

    def _hear(self, run: Run, text: Outgoing, *, is_lost: bool, is_barred: bool) -> Speech:
        day = self.day
        day.step += 1
        try:
            page, index, claim = day.pages.check_speech(run, text, run.carrier)
            is_taken, is_fresh, verdict = self._decide(run.carrier, text, is_lost=is_lost, is_barred=is_barred)
            speech = Speech(
                page, index, text.reference, text.to, run.carrier, run, claim.step, is_taken, is_fresh, verdict
            )
            day.pages.note_speech(speech)
        except Violation as violation:
            day.violation = day.violation or violation
            raise Killed from violation
        day.note(f"carrier hears {text.reference} {text.to}: {verdict}{' (taken)' if is_taken else ''}")
        if is_fresh:
            self._plan_receipts((page, index), run.carrier, text)
        if day.is_on(0.1):
            has_got_it = isinstance(verdict, Accepted | Unknown) and day.pages.stays_with_its_carrier(page)
            others = {"first", "other", STANDBY} - {run.carrier} if has_got_it else set[str]()
            self._plan_lie((page, index), text, day.random.choice(("rival", *sorted(others))))
        return speech

    def _decide(self, carrier: str, text: Outgoing, *, is_lost: bool, is_barred: bool) -> tuple[bool, bool, Answer]:
        """Whether the handset has it now, whether that is new, and what the carrier answers."""
        if is_lost:
            return False, False, Unknown("lost")
        if is_barred:
            return False, False, Refused(RefusedBecause.ROUTE, "told so")
        day, trouble = self.day, self.day.weather.trouble
        if day.is_on(trouble * 0.25):
            because = RefusedBecause.ROUTE if day.is_on(0.2) else RefusedBecause.FOR_NOW
            return False, False, Refused(because, "told so")
        if text.to in self._wrong:
            return False, False, Refused(RefusedBecause.WRONG_NUMBER, "no_such_subscriber")
        if text.to in self._blocked:
            return False, False, Refused(RefusedBecause.BLOCKED, "barred")
        if day.is_on(trouble * 0.1):
            return False, False, Unknown("not_in_answer")
        known_at, carrier_id = self._taken.get((carrier, text.reference), (None, ""))
        is_known = known_at is not None and day.now - known_at < self.dedupe_of(carrier)
        if not is_known:
            carrier_id = f"c{next(self._ids)}"
            self._taken[carrier, text.reference] = (day.now, carrier_id)
        answer = Unknown("not_in_answer") if day.is_on(trouble * 0.1) else Accepted(carrier_id)
        return True, not is_known, answer

    def _plan_receipts(self, place: tuple[str, int], carrier: str, text: Outgoing) -> None:
        day = self.day
        if day.is_on(0.25):
            return  # lost
        reference = text.reference if self.echoes_reference else None
        carrier_id = None if self.echoes_reference else self._taken[carrier, text.reference][1]
        state = day.random.choice(("delivered", "delivered", "unreachable", "wrong_number", "blocked"))
        day.facts.reports.add((*place, carrier, state))
        reported = [int(day.now.timestamp())] if place[1] % 2 else []  # a job of before has no time
        job: dict[str, Any] = {"carrier": carrier, "receipts": [[reference, carrier_id, state, 0, *reported]]}
        for _ in range(day.random.choice((1, 1, 2))):
            day.after_a_while(0, day.random.choice((2, 60, 600)), lambda: day.bring_receipt(place, job))

    def _plan_lie(self, place: tuple[str, int], text: Outgoing, carrier: str) -> None:
        """A carrier that has not got it, and perhaps refused it, reports of a text whose reference it knows."""
        day = self.day
        state = day.random.choice(RECEIPTS)
        day.facts.reports.add((*place, carrier, state))
        job: dict[str, Any] = {"carrier": carrier, "receipts": [[text.reference, None, state, 0]]}
        day.after_a_while(0, day.random.choice((2, 60, 600)), lambda: day.take_receipt(job))
