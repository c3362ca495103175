"""Which of a text's ways is open now, what carriers answered, and who decides on it: the workers, after their waves.

Whatever goes wrong here is logged and costs nobody an outcome: a page goes on as if nothing had been known.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from recado import log
from recado.carriers.speech import NOT_STARTED_CODE, Accepted, Answer, Refused, RefusedBecause, Unknown
from recado.rules import circuits as rules
from recado.rules.carrier_routes import ANY, Way
from recado.rules.circuits import Circuit, CircuitState, Evidence
from recado.tables import circuits as table

KEPT = timedelta(seconds=1)
EVIDENCE_LIFE = timedelta(days=7)
TRANSITION_LIFE = timedelta(days=90)
GATHERED_MOST = timedelta(seconds=10)  # good waves wait so long for their page's end


@dataclass(frozen=True, slots=True)
class Chosen:
    """The way a wave takes, in which era of its circuit; with `probe` it tries the carrier, a few texts at a time."""

    way: Way
    era: int
    probe: Circuit | None = None


@dataclass(frozen=True, slots=True)
class NoneOpen:
    """No way is open. `moments`: when each may be tried again; None for one that is held by hand."""

    moments: tuple[datetime | None, ...]


def choose(ways: Sequence[Way], country: str, *, is_emergency: bool, owner: str, now: datetime) -> Chosen | NoneOpen:
    """The first way that is open; or one before it that is due to be tried again, when nobody else tries it.

    An emergency tries nothing while another way is open; when none is, it tries sooner.
    """
    found = [_find(way.carrier, country, now) for way in ways]
    first_open = next((place for place, one in enumerate(found) if _is_closed(one)), len(ways))
    moments: list[datetime | None] = []
    for way, (whole, circuit) in zip(ways[:first_open], found[:first_open], strict=True):
        if whole.is_held or circuit.is_held or circuit.state is CircuitState.CLOSED:
            moments.append(None)
            continue
        hurries = is_emergency and first_open == len(ways)
        if is_emergency and not hurries:
            continue
        if rules.may_probe(circuit, now, is_emergency=hurries):
            probe = _take_probe(circuit, owner, now)
            if probe is not None:
                return Chosen(way, circuit.era, probe)
            moments.append(now + rules.PROBE_LEASE)
        else:
            moments.append(rules.probe_from(circuit, is_emergency=hurries))
    if first_open < len(ways):
        return Chosen(ways[first_open], found[first_open][1].era)
    return NoneOpen(tuple(moments))


def conclude(probe: Circuit | None, evidence: Evidence, now: datetime) -> None:
    """What a probe's answers make of its circuit; refused when its lease was over and somebody else decided."""
    if probe is not None:
        _change(rules.probed(probe, evidence, now), was=probe, now=now)


@dataclass(slots=True)
class Tally:
    """What one worker's waves were answered, until it is written: a good wave costs no write of its own."""

    is_watched: bool
    _kept: dict[tuple[str, str, int, bool], Evidence] = field(default_factory=dict)
    _since: datetime | None = None

    def add(
        self,
        carrier: str,
        country: str,
        era: int,
        evidence: Evidence,
        now: datetime,
        *,
        stands_alone: bool = False,
    ) -> None:
        if self.is_watched and evidence.waves:
            key = (carrier, country, era, stands_alone)
            self._kept[key] = self._kept.get(key, Evidence()) + evidence
            self._since = self._since or now

    def is_due(self, now: datetime) -> bool:
        return self._since is not None and now - self._since >= GATHERED_MOST

    def write(self, now: datetime) -> None:
        """Written after the wave's outcomes are, so that dying or failing here costs nobody one."""
        kept, self._kept, self._since = self._kept, {}, None
        expires_at = int((now + EVIDENCE_LIFE).timestamp())
        for (carrier, country, era, stands_alone), evidence in kept.items():
            try:
                table.add_evidence(carrier, country, era, now, evidence, expires_at=expires_at)
                if evidence.bad:
                    _decide(carrier, country, era, now, stands_alone=stands_alone)
            except Exception as error:  # noqa: BLE001  # whatever it is, the page goes on
                log.trouble("carrier_evidence_lost", error, carrier=carrier, country=country)


def evidence_of(answers: Sequence[Answer], took: timedelta) -> Evidence:
    """A wave's answers, counted. What was not started says nothing of the carrier."""
    counts = dict.fromkeys(rules.COUNTED, 0)
    is_slow = took >= rules.SLOW
    for answer in answers:
        match answer:
            case Accepted():
                counts["slow" if is_slow else "accepted"] += 1
            case Unknown():
                counts["unknown"] += 1
            case Refused(RefusedBecause.ROUTE, _):
                counts["route"] += 1
            case Refused(RefusedBecause.FOR_NOW, code):
                counts["for_now"] += code != NOT_STARTED_CODE
            case Refused():
                counts["slow" if is_slow else "refused"] += 1
    counts["waves"] = 1 if any(counts.values()) else 0
    return Evidence(**counts)


def is_open(carrier: str, country: str, now: datetime) -> bool:
    """Whether texts are kept away from a carrier, by rule or by hand."""
    return not _is_closed(_find(carrier, country, now))


def forget() -> None:
    """Reads circuits anew the next time; for tests, and after a change."""
    _kept.clear()


_kept: dict[str, tuple[datetime, dict[str, Circuit]]] = {}


def _find(carrier: str, country: str, now: datetime) -> tuple[Circuit, Circuit]:
    """The whole carrier's circuit, opened by hand alone, and that of its line to a country; at most a second old."""
    read_at, found = _kept.get(carrier, (None, dict[str, Circuit]()))
    if read_at is None or not timedelta() <= now - read_at < KEPT:
        try:
            found = {one.country: one for one in table.list_circuits(carrier, is_consistent=False)}
        except Exception as error:  # noqa: BLE001  # what was known before holds on: no wave's outcomes are lost for this
            log.trouble("circuits_unreadable", error, carrier=carrier)
        _kept[carrier] = (now, found)
    return found.get(ANY, Circuit(carrier, ANY)), found.get(country, Circuit(carrier, country))


def _is_closed(found: tuple[Circuit, Circuit]) -> bool:
    return all(one.state is CircuitState.CLOSED for one in found)


def _take_probe(circuit: Circuit, owner: str, now: datetime) -> Circuit | None:
    taken = rules.probing(circuit, owner, now)
    return taken if _change(taken, was=circuit, now=now) else None


def _decide(carrier: str, country: str, era: int, now: datetime, *, stands_alone: bool) -> None:
    circuit = table.find_circuit(carrier, country)
    if circuit.state is not CircuitState.CLOSED or circuit.era != era:
        _kept.pop(carrier, None)
        return
    steps = table.list_evidence(carrier, country, era, now - rules.WINDOW)
    latest = [step.evidence for step in steps if step.at >= rules.step_of(now) - rules.STEP]  # this one and the last
    found = rules.summed(step.evidence for step in steps)
    opened = rules.opened(circuit, found, now, latest, stands_alone=stands_alone)
    if opened is not None:
        _change(opened, was=circuit, now=now)


def _change(changed: Circuit, *, was: Circuit, now: datetime) -> bool:
    _kept.pop(changed.carrier, None)
    try:
        is_changed = save(changed, was=was, now=now)
    except Exception as error:  # noqa: BLE001  # nobody knows whether it is written: the next reader sees
        log.trouble("circuit_not_changed", error, carrier=changed.carrier, country=changed.country)
        return False
    return is_changed


def save(changed: Circuit, *, was: Circuit, now: datetime) -> bool:
    """One change of a circuit, logged when it is made; False when somebody else was quicker."""
    expires_at = int((now + TRANSITION_LIFE).timestamp())
    if not table.save_circuit(changed, was=was, now=now, expires_at=expires_at):
        return False
    if changed.state is not was.state or changed.is_held != was.is_held:
        log.outcome(
            "circuit_changed",
            carrier=changed.carrier,
            country=changed.country,
            before=was.state.value,
            after=changed.state.value,
            held=changed.is_held,
            openings=changed.openings,
            **{f"of_{name}": count for name, count in (changed.decided_on or {}).items()},
        )
    return True
