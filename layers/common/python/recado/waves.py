"""Who of a page is spoken to next, and over which line: a wave is of one carrier and one country, so that its circuit
and its page's row say the truth about all of it.

What is ambiguous is never given to another carrier; only what nobody took goes to the one that stands by.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from recado import circuits
from recado.carriers.speech import Line
from recado.circuits import Chosen
from recado.errands import Errand
from recado.hand_over import Wave
from recado.lines import Lines
from recado.rules import circuits as rules
from recado.rules import pace
from recado.rules.carrier_routes import REST_OF_COUNTRY, Way
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


def next_wave(page: Page, state: PageState, again: Again, errand: Errand, lines: Lines, asker: Asker) -> Planned | Wait:
    """The next wave of a page where somebody is still to be spoken to."""
    moments: list[datetime | None] = []
    if again.indices and again.line is not None:
        found = _ask_again(page, again, again.line, errand, lines, asker, moments)
        if found is not None:
            return found
        if not errand.is_emergency:
            return _wait(moments, errand, asker)
    waiting = again.indices or tuple(state.indices(Letter.PLANNED))
    for country, members in _by_country(page, waiting):
        ways = lines.ways(country, errand.category, errand.sender)
        chosen = _choose(ways, country, errand, lines, asker, moments)
        line = lines.named(chosen.way.carrier) if chosen is not None else None
        if chosen is None or line is None:
            continue
        size = rules.PROBE_SIZE if chosen.probe is not None else asker.wave_size
        indices = tuple(members[: min(size, asker.wave_size)])
        rate = lines.parts_per_second(chosen.way)
        if rate is not None:
            indices = indices[: pace.texts_at_once([page.recipients[index].segments for index in indices], rate)]
        wave = Wave(
            indices,
            line,
            chosen.way.sender,
            country,
            is_again=bool(again.indices),
            era=chosen.era,
            stands_alone=len(ways) == 1,
            parts_per_second=rate,
        )
        return Planned(wave, chosen.probe)
    return _wait(moments, errand, asker)


def may_resign(page: Page, state: PageState, again: Again, errand: Errand, lines: Lines, now: datetime) -> bool:
    """Whether waiting for the carrier that knows the references only keeps from others what they could have.

    For a while it waits in any case; and for as long as it likes where nobody of the page could go out meanwhile.
    """
    if not again.indices or now < (state.spoken_at or now) + RESIGNED_AFTER:
        return False
    return any(
        not circuits.is_open(way.carrier, country, now)
        for country, _ in _by_country(page, state.indices(Letter.PLANNED))
        for way in lines.ways(country, errand.category, errand.sender)
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
    ways = lines.ways(country, errand.category, errand.sender)
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


def _wait(moments: Sequence[datetime | None], errand: Errand, asker: Asker) -> Wait:
    return Wait(
        rules.wait_until(
            moments, asker.now, asker.jitter(), is_emergency=errand.is_emergency, give_up_at=errand.give_up_at
        )
    )


def _by_country(page: Page, indices: Sequence[int]) -> Iterator[tuple[str, list[int]]]:
    """In the order in which they appear."""
    found: dict[str, list[int]] = {}
    home: dict[Zone, str] = {}  # a message's domestic numbers are all of its school's country
    for index in indices:
        zone = page.recipients[index].zone
        is_home = page.ref.kind is PageKind.MESSAGE and zone is Zone.DOMESTIC
        country = home.get(zone) if is_home else None
        if country is None:
            country = _country(page, index)
        if is_home:
            home[zone] = country
        found.setdefault(country, []).append(index)
    yield from found.items()


def _country(page: Page, index: int) -> str:
    return country_of(page.recipients[index].number) or REST_OF_COUNTRY
