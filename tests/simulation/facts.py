"""What happened to the simulated school, as seen from outside: who asked for what, when it began, when it was answered.

Nothing here is read from recado. Moments are steps: the world counts everything that happens, one after the other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from recado.carriers.speech import Answer
from tests.simulation.baton import Actor


class Violation(AssertionError):
    """Something that must always hold does not."""


@dataclass
class Span:
    """From the step at which something began to the one at which it was answered well (None: nobody knows)."""

    began: int
    acked: int | None = None


@dataclass(frozen=True)
class Person:
    id: str
    school: str
    number: str | None
    name: str


@dataclass(frozen=True)
class Wording:
    """What a message says at one time, to whom and by which ways. Its text is no other wording's."""

    text: str
    people: frozenset[str] | None  # None: every guardian
    channels: tuple[str, ...] = ("sms",)
    for_unreachable: bool = False  # whom no SMS reaches gets a copy

    def heard_by(self, names: Sequence[str]) -> str:
        """What they read; two or more share a number."""
        return self.text.replace(
            "{apoderado}", " y ".join([*([", ".join(names[:-1])] if names[1:] else []), names[-1]])
        )

    def segments(self, names: Sequence[str]) -> int:
        """3GPP TS 23.040: 160 or 153 a part; 70 or 67 where a letter is not of the alphabet of GSM."""
        length, is_wide = len(self.heard_by(names)), "á" in self.text
        whole, part = (70, 67) if is_wide else (160, 153)
        return 1 if length <= whole else -(-length // part)


@dataclass
class Asked:
    """A message a director asked for. `send_at` is what its row says; `times` and `wordings` are what anybody asked."""

    school: str
    key: str
    is_emergency: bool
    wordings: list[Wording]
    times: list[datetime] = field(default_factory=list)
    hurried_at: datetime | None = None  # since when somebody wants it to go out now
    movers: dict[Actor, datetime | None] = field(default_factory=dict)  # who asks for which time; None: now
    send_at: datetime | None = None
    first_pressed_at: datetime | None = None
    on_its_way: bool = False  # somebody was told so
    is_refused: bool = False  # it had to be planned first, and then was a draft again
    stop: Span | None = None
    cancel: Span | None = None
    ordered_at: datetime | None = None  # when its row said that it waits for its plan
    accepted_at: datetime | None = None  # when its row first said so
    accepted_step: int | None = None

    @property
    def life(self) -> timedelta:
        """How long it is worth handing over (protocols: `expires_after`)."""
        return timedelta(hours=1) if self.is_emergency else timedelta(hours=24)

    @property
    def gives_up_from(self) -> datetime:
        start = self.send_at or self.first_pressed_at
        assert start is not None, "nobody has asked for it to go out"
        return start + self.life

    @property
    def gives_up_until(self) -> datetime | None:
        start = self.send_at or self.accepted_at
        return start + self.life if start else None


@dataclass
class Purchase:
    zone: str
    credits: int
    span: Span


@dataclass
class Switching:
    """One change of one cause of an opt-out."""

    school: str
    number: str
    cause: str
    is_out: bool
    span: Span


@dataclass
class Speech:
    """A text that went to the carrier. `is_taken`: the handset has it. `answer` None: nobody heard the answer."""

    page: str
    index: int
    reference: str
    number: str
    carrier: str
    actor: Actor
    claimed: int
    is_taken: bool
    is_fresh: bool  # taken now, and not known from before by its reference
    verdict: Answer
    answer: Answer | None = None


@dataclass
class Facts:
    """Everything that went in and came out."""

    asked: dict[str, Asked] = field(default_factory=dict)  # by each of its texts
    wordings: dict[str, Wording] = field(default_factory=dict)  # by text
    people: dict[tuple[str, str], tuple[Person, Span]] = field(default_factory=dict)  # by school and id
    purchases: dict[str, list[Purchase]] = field(default_factory=dict)  # by school
    switchings: list[Switching] = field(default_factory=list)
    contracts: dict[str, list[tuple[bool, Span]]] = field(default_factory=dict)  # by school: suspended, or active again
    speeches: list[Speech] = field(default_factory=list)
    receipts: dict[tuple[str, int], list[Span]] = field(default_factory=dict)  # by page and index
    reports: set[tuple[str, int, str, str]] = field(default_factory=set)  # page, index, carrier, state: true or not

    def names(self, school: str, people: Iterable[str]) -> list[str]:
        """How they are called, in the order of their ids."""
        return [self.people[school, one][0].name for one in sorted(people)]

    def is_surely_out(self, school: str, number: str, people: Iterable[str], step: int) -> bool:
        """Whether everybody must know by `step` that this number hears nothing more."""
        causes = [f"person#{one}" for one in people]
        all_out = bool(causes) and all(self._is_surely(school, number, cause, step) for cause in causes)
        return all_out or self._is_surely(school, number, "reply", step)

    def may_be_out(self, school: str, number: str, people: Sequence[str], step: int) -> bool:
        """Whether somebody may rightly think so by `step`."""
        begun = {
            one.cause
            for one in self.switchings
            if (one.school, one.number) == (school, number) and one.is_out and one.span.began < step
        }
        return "reply" in begun or all(f"person#{one}" in begun for one in people)

    def bought(self, school: str, zone: str) -> tuple[int, int]:
        """Credits surely bought, and at most bought."""
        mine = [one for one in self.purchases.get(school, ()) if one.zone == zone]
        return sum(one.credits for one in mine if one.span.acked is not None), sum(one.credits for one in mine)

    def is_surely_suspended(self, school: str, since: int) -> bool:
        """Whether the contract was suspended before `since`, and nobody has begun to make it active again."""
        changes = self.contracts.get(school, ())
        return _surely(
            [span for is_off, span in changes if is_off], [span for is_off, span in changes if not is_off], since
        )

    def _is_surely(self, school: str, number: str, cause: str, step: int) -> bool:
        mine = [one for one in self.switchings if (one.school, one.number, one.cause) == (school, number, cause)]
        return _surely([one.span for one in mine if one.is_out], [one.span for one in mine if not one.is_out], step)


def _surely(made: list[Span], undone: list[Span], step: int) -> bool:
    """Whether something was made before `step`, and no undoing can have come after it."""
    before = [span for span in made if span.acked is not None and span.acked < step]
    if not before:
        return False
    last = max(before, key=lambda span: span.began)
    return not any(span.acked is None or span.acked > last.began for span in undone)
