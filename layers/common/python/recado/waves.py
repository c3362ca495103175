"""Who of a page is spoken to next, and over which line: a wave is of one carrier and one country, so that its circuit
and its page's row say the truth about all of it.

What is ambiguous is never given to another carrier; only what nobody took goes to the one that stands by.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from recado import circuits
from recado.carriers.speech import Line
from recado.circuits import Chosen
from recado.errands import Errand
from recado.hand_over import Spoken, Wave
from recado.lines import Lines
from recado.rules import circuits as rules
from recado.rules import pace
from recado.rules.carrier_routes import REST_OF_COUNTRY, Way, may_pass_by
from recado.rules.circuits import Circuit
from recado.rules.credit_bags import Zone
from recado.rules.delivery_states import Letter
from recado.rules.phone_numbers import country_of
from recado.tables.pages import Page, PageKind, PageState

RESIGNED_AFTER = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Again:
    """Who was perhaps spoken to: asked again over `line`, which knows their references; None: over any (emergency)."""

    indices: tuple[int, ...] = ()
    line: Line | None = None

    def without(self, spoken: Sequence[int]) -> "Again":
        return replace(self, indices=tuple(index for index in self.indices if index not in spoken))

    def only(self, left: Sequence[int]) -> "Again":
        return replace(self, indices=tuple(index for index in self.indices if index in left))


@dataclass(frozen=True, slots=True)
class Passed:
    """Which carriers did not take whom, in this job: others are asked first. `due`: when those are asked once more."""

    carriers: Mapping[int, frozenset[str]] = field(default_factory=dict)
    due: datetime | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """A wave; with `probe`, one that tries its carrier."""

    wave: Wave
    probe: Circuit | None


@dataclass(frozen=True, slots=True)
class Wait:
    """No line is open for anybody of the page."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks for a wave: which worker, at which moment, with which chance."""

    owner: str
    now: datetime
    jitter: Callable[[], float]
    wave_size: int


def next_wave(
    page: Page, state: PageState, again: Again, passed: Passed, errand: Errand, lines: Lines, asker: Asker
) -> Planned | Wait:
    """The next wave of a page where somebody is still to be spoken to."""
    moments: list[datetime | None] = []
    if again.indices and again.line is not None:
        found = _ask_again(page, again, again.line, errand, lines, asker, moments)
        if found is not None:
            return found
        if not errand.is_emergency:
            return _wait(moments, passed, errand, asker)
    waiting = again.indices or tuple(state.indices(Letter.PLANNED))
    for some in _groups(page, waiting, passed, errand, lines):
        ways = [way for way in some.ways if way.carrier not in some.passed]
        chosen = _choose(ways, some.country, errand, lines, asker, moments) if ways else None
        line = lines.named(chosen.way.carrier) if chosen is not None else None
        if chosen is None or line is None:
            continue
        size = rules.PROBE_SIZE if chosen.probe is not None else asker.wave_size
        indices = tuple(some.members[: min(size, asker.wave_size)])
        rate = lines.parts_per_second(chosen.way)
        if rate is not None:
            indices = indices[: pace.texts_at_once([page.recipients[index].segments for index in indices], rate)]
        wave = Wave(
            indices,
            line,
            chosen.way.sender,
            some.country,
            is_again=bool(again.indices),
            era=chosen.era,
            stands_alone=len(some.ways) == 1,
            parts_per_second=rate,
        )
        return Planned(wave, chosen.probe)
    return _wait(moments, passed, errand, asker)


def pass_by(
    page: Page, spoken: Spoken, wave: Wave, again: Again, passed: Passed, errand: Errand, lines: Lines, now: datetime
) -> Passed | None:
    """Whom the next carrier may have at once, although the circuit of this one is closed. None: the page waits.

    An emergency's, and those who have come back so often that waiting has not helped. Only what this carrier did not
    take. `again`: who is still to be asked again; of a dead worker's emergency anybody may be. Where others of the wave
    stay claimed, they are their carrier's, and the page's row can remember no other.
    """
    state = spoken.state
    free = {*spoken.not_taken, *again.indices} if again.line is None else set[int]()
    if not spoken.not_taken or not free.issuperset(state.indices(Letter.CLAIMED)) or spoken.come_back_after is None:
        return None
    if not may_pass_by(state.job, is_emergency=errand.is_emergency):
        return None
    # Of an emergency's the others do not ask a carrier that took none of these.
    took_none = spoken.evidence.answers == len(spoken.not_taken)
    others = [*state.indices(Letter.PLANNED), *again.indices] if took_none and errand.is_emergency else []
    whom = sorted({*spoken.not_taken, *others})
    carriers = dict(passed.carriers)
    for some in _groups(page, whom, passed, errand, lines):
        if some.country == wave.country and any(way.carrier == wave.line.name for way in some.ways):
            carriers |= dict.fromkeys(some.members, some.passed | {wave.line.name})
    due = now + spoken.come_back_after
    after = Passed(carriers, min(passed.due, due) if passed.due else due)
    has_another = any(
        way.carrier not in some.passed
        for some in _groups(page, spoken.not_taken, after, errand, lines)
        for way in some.ways
    )
    return after if has_another else None


def may_resign(page: Page, state: PageState, again: Again, errand: Errand, lines: Lines, now: datetime) -> bool:
    """Whether waiting for the carrier that knows the references only keeps from others what they could have.

    For a while it waits in any case; and for as long as it likes where nobody of the page could go out meanwhile.
    """
    if not again.indices or now < (state.spoken_at or now) + RESIGNED_AFTER:
        return False
    return any(
        not circuits.is_open(way.carrier, some.country, now)
        for some in _groups(page, state.indices(Letter.PLANNED), Passed(), errand, lines)
        for way in some.ways
    )


def _ask_again(
    page: Page,
    again: Again,
    line: Line,
    errand: Errand,
    lines: Lines,
    asker: Asker,
    moments: list[datetime | None],
) -> Planned | None:
    """With the sender it would have today: the reference and the text are what a carrier knows it by."""
    country = _country(page, again.indices[0])
    ways = lines.ways(country, errand.category, page.recipients[again.indices[0]].code or errand.sender)
    way = next((one for one in ways if one.carrier == line.name), Way(line.name, errand.sender))
    chosen = _choose((way,), country, errand, lines, asker, moments)
    if chosen is None:
        return None
    wave = Wave(again.indices, line, way.sender, country, is_again=True, era=chosen.era, stands_alone=len(ways) == 1)
    return Planned(wave, chosen.probe)


def _choose(
    ways: Sequence[Way],
    country: str,
    errand: Errand,
    lines: Lines,
    asker: Asker,
    moments: list[datetime | None],
) -> Chosen | None:
    if not lines.is_watched:
        return Chosen(ways[0], 0)
    found = circuits.choose(ways, country, is_emergency=errand.is_emergency, owner=asker.owner, now=asker.now)
    if isinstance(found, Chosen):
        return found
    moments += found.moments
    return None


def _wait(moments: Sequence[datetime | None], passed: Passed, errand: Errand, asker: Asker) -> Wait:
    """Until a carrier is to be tried, or whoever did not take something is to be asked once more."""
    if passed.due is not None and not moments:
        return Wait(passed.due)
    until = rules.wait_until(
        moments, asker.now, asker.jitter(), is_emergency=errand.is_emergency, give_up_at=errand.give_up_at
    )
    return Wait(min(until, passed.due) if passed.due is not None else until)


@dataclass(frozen=True, slots=True)
class _Group:
    """Those of a page who could go out together: numbers of one country with the same ways, tried the same."""

    country: str
    ways: tuple[Way, ...]
    passed: frozenset[str]
    members: list[int]


def _groups(page: Page, indices: Sequence[int], passed: Passed, errand: Errand, lines: Lines) -> list[_Group]:
    """In the order in which they appear. The code that a recipient is written to from may be another carrier's."""
    found: dict[tuple[str, tuple[Way, ...], frozenset[str]], list[int]] = {}
    ways: dict[tuple[str, str], tuple[Way, ...]] = {}
    home: dict[Zone, str] = {}  # a message's domestic numbers are all of its school's country
    for index in indices:
        recipient = page.recipients[index]
        is_home = page.ref.kind is PageKind.MESSAGE and recipient.zone is Zone.DOMESTIC
        country = home.get(recipient.zone) if is_home else None
        if country is None:
            country = _country(page, index)
        if is_home:
            home[recipient.zone] = country
        place = (country, recipient.code or errand.sender)
        if place not in ways:
            ways[place] = lines.ways(country, errand.category, place[1])
        key = (country, ways[place], passed.carriers.get(index, frozenset()))
        found.setdefault(key, []).append(index)
    return [_Group(*key, members) for key, members in found.items()]


def _country(page: Page, index: int) -> str:
    return country_of(page.recipients[index].number) or REST_OF_COUNTRY
