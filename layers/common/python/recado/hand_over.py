"""A claimed wave is spoken over its line, and the answers become letters. It claims nothing and writes no page.

Nobody who opted out before their wave's claim is spoken to (invariant 4), and no request outlives the lease.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from recado import answers, circuits
from recado.carriers.speech import (
    CONNECT_SECONDS_MAX,
    NOT_STARTED_CODE,
    READ_SECONDS_MAX,
    Accepted,
    Answer,
    Line,
    Outgoing,
    Refused,
    RefusedBecause,
    Unknown,
)
from recado.clock import Clock
from recado.errands import Errand, May, find_errand
from recado.rules import retry_delay, texts
from recado.rules.asked_carriers import take_back, write_ranges
from recado.rules.audience import is_blocked
from recado.rules.circuits import Evidence
from recado.rules.delivery_states import Letter
from recado.rules.texts import EMPTY
from recado.tables import lookups, opt_outs
from recado.tables.pages import Page, PageKind, PageRef, PageState

COME_BACK_AFTER = timedelta(seconds=2)
SPEAKING_MAX = timedelta(seconds=CONNECT_SECONDS_MAX + READ_SECONDS_MAX + 1)
LOOKUP_LIFE = timedelta(days=4)  # receipts come for three
ROUTE_PAUSE = timedelta(seconds=60)
EMERGENCY_ATTEMPTS_MAX = 4  # 80 s at most: waiting for a circuit has raised the job's number

# How a refusal of one recipient is written down. The other reasons are no outcome: the text is tried again.
REFUSED_LETTERS = {RefusedBecause.WRONG_NUMBER: Letter.WRONG_NUMBER, RefusedBecause.BLOCKED: Letter.BLOCKED}


@dataclass(frozen=True, slots=True)
class Wave:
    """Who is spoken to, over which line and from which sender. `is_again`: asked before, with the same references."""

    indices: tuple[int, ...]
    line: Line
    sender: str
    country: str
    is_again: bool = False
    era: int = 0
    stands_alone: bool = False  # no other carrier might take it
    parts_per_second: float | None = None  # how fast its sender may go


@dataclass(frozen=True, slots=True)
class Spoken:
    """A wave's outcomes as a state not yet written, what was allowed then, and whether somebody must come back."""

    state: PageState
    errand: Errand
    come_back_after: timedelta | None
    evidence: Evidence = Evidence()  # noqa: RUF009  # frozen
    not_taken: tuple[int, ...] = ()  # asked now, and refused for now or for the route


def speak(
    page: Page, claimed: PageState, wave: Wave, before: Errand, clock: Clock, jitter: Callable[[], float]
) -> Spoken:
    """Asks once more who may be spoken to, speaks, and turns the answers into letters."""
    # 1. After the claim, consistently: stopped meanwhile, over, or opted out (invariant 4)?
    errand = find_errand(page.ref, page, clock()) or replace(before, may=May.EXPIRE)
    if errand.may is not May.SPEAK:
        unspoken = Letter.STOPPED if errand.may is May.STOP else Letter.EXPIRED
        letter = Letter.UNKNOWN if wave.is_again else unspoken
        state = claimed.with_letters(dict.fromkeys(wave.indices, letter))
        return Spoken(_taken_back(state, wave, wave.indices), errand, None)
    out = _opted_out(page, wave.indices)
    state = claimed.with_letters(dict.fromkeys(out, Letter.UNKNOWN if wave.is_again else Letter.OPTED_OUT))
    state = _taken_back(state, wave, out)

    # 2. Speak, and start nothing that could outlive the lease.
    speaking = [index for index in wave.indices if index not in out]
    start_until = (claimed.wave_until or clock()) - SPEAKING_MAX
    outgoing = [_outgoing(page, index, errand, wave.sender, clock()) for index in speaking]
    began = clock()
    answers = wave.line.speak(outgoing, lambda: clock() < start_until) if outgoing else []
    took = clock() - began
    if len(answers) != len(speaking):
        raise RuntimeError("the carrier did not answer one for one")

    # 3. Who can be found again only by the carrier's id gets a row first: a receipt may be on its way.
    if not wave.line.echoes_reference:
        _keep_lookups(page.ref, wave.line, speaking, answers, clock())
    attempts_max = EMERGENCY_ATTEMPTS_MAX if errand.is_emergency else state.job
    attempt = max(1, min(state.job, attempts_max))
    after, pause = _outcomes(
        state, wave, speaking, answers, clock(), lambda: retry_delay.delay_seconds(attempt, jitter())
    )
    return Spoken(after, errand, pause, circuits.evidence_of(answers, took), _not_taken(speaking, answers))


def _opted_out(page: Page, wave: Sequence[int]) -> list[int]:
    """Those of a wave who must not be spoken to, read consistently."""
    if page.ref.kind in (PageKind.ANSWER, PageKind.CONFIRMATION):
        return list(wave) if answers.is_silenced(page) else []
    causes = opt_outs.list_causes(page.ref.school_id, [page.recipients[index].number for index in wave])
    return [i for i in wave if is_blocked(causes[page.recipients[i].number], page.recipients[i].person_ids or ("",))]


def _outgoing(page: Page, index: int, errand: Errand, sender: str, now: datetime) -> Outgoing:
    recipient = page.recipients[index]
    validity = max(1, int((errand.give_up_at - now).total_seconds()))
    # What somebody wrote on the web is nobody's message with fields: it goes out as it is.
    is_composed = errand.message is not None
    text = texts.text_for(errand.text, recipient.values or EMPTY, errand.drop_accents) if is_composed else errand.text
    return Outgoing(page.ref.reference(index), recipient.number, recipient.code or sender, text, validity)


def _keep_lookups(ref: PageRef, line: Line, speaking: Sequence[int], answers: Sequence[Answer], now: datetime) -> None:
    references = {
        answer.carrier_id: ref.reference(index)
        for index, answer in zip(speaking, answers, strict=True)
        if isinstance(answer, Accepted)
    }
    lookups.create_lookups(line.name, references, expires_at=int((now + LOOKUP_LIFE).timestamp()))


def _outcomes(
    state: PageState,
    wave: Wave,
    speaking: Sequence[int],
    answers: Sequence[Answer],
    now: datetime,
    delay_seconds: Callable[[], int],
) -> tuple[PageState, timedelta | None]:
    """The answers as letters, and after which pause somebody must come back for who was not taken."""
    letters: dict[int, Letter] = {}
    refusals = dict(state.refusals or {})
    pauses: list[timedelta] = []
    lease_over = (state.wave_until or now) - now + COME_BACK_AFTER
    for index, answer in zip(speaking, answers, strict=True):
        match answer:
            case Accepted():
                letters[index] = Letter.ACCEPTED
            case Unknown() if wave.line.dedupe_hours:
                pauses.append(lease_over)  # stays claimed: after the lease it is asked again, with the same reference
            case Unknown():
                letters[index] = Letter.UNKNOWN
            case Refused(because, code) if because in REFUSED_LETTERS:
                letters[index] = REFUSED_LETTERS[because]
                refusals[str(index)] = code
            case Refused(because, _):
                pause = timedelta(seconds=delay_seconds())
                pause = max(pause, ROUTE_PAUSE) if because is RefusedBecause.ROUTE else pause
                if wave.is_again:
                    pause = max(pause, lease_over)  # stays claimed: not taken now, but perhaps the time before
                else:
                    letters[index] = Letter.PLANNED
                pauses.append(pause)
    handed = [index for index in speaking if letters.get(index) in (Letter.ACCEPTED, Letter.UNKNOWN)]
    hand_overs = (*state.hand_overs, (now.isoformat(), write_ranges(handed))) if handed else state.hand_overs
    after = replace(state.with_letters(letters), refusals=refusals or None, hand_overs=hand_overs)
    after = _taken_back(after, wave, [index for index, letter in letters.items() if letter is Letter.PLANNED])
    return after, max(pauses) if pauses else None


def _taken_back(state: PageState, wave: Wave, indices: Sequence[int]) -> PageState:
    """The wave's carrier has not got these: what it reports of them is not believed. Asked again it may have."""
    if wave.is_again or not indices or state.asked is None:
        return state
    return replace(state, asked=take_back(state.asked, wave.line.name, indices))


def _not_taken(speaking: Sequence[int], answers: Sequence[Answer]) -> tuple[int, ...]:
    """Whom the carrier was asked to write to, and surely did not. Those not started were not asked for."""
    return tuple(
        index
        for index, answer in zip(speaking, answers, strict=True)
        if isinstance(answer, Refused) and answer.because not in REFUSED_LETTERS and answer.code != NOT_STARTED_CODE
    )
