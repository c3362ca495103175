"""When a carrier's line to a country is left alone, tried again and trusted again: a circuit that opens and closes.

closed ─(enough answers, half of them slow or failed)→ open ─(its pause is over: one probe at a time)→ half-open
half-open ─(enough good probes)→ closed; ─(a bad one)→ open, for longer. Values in, values out; `now` is an argument.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

WINDOW = timedelta(minutes=5)
STEP = timedelta(seconds=15)  # evidence is added up in steps of the clock
ANSWERS_MIN = 10
STEP_ANSWERS_MIN = 20  # in one step: else thousands of good answers of minutes ago would outvote an outage for minutes
STEP_WAVES_MIN = 3
SHARE_MAX = 0.5  # of slow and failed answers
WAVES_WITHOUT_GOOD_MAX = 4  # small schools: fewer than ten answers, and not one of them good
SLOW = timedelta(seconds=5)  # handing a wave over; it is done in well under one when all is well
PROBES_NEEDED = 2
PROBE_SIZE = 5  # texts at risk at a time
PROBE_LEASE = timedelta(seconds=45)  # a wave's own lease is 30 s: whoever is silent for longer is dead
PAUSE_LEAST = timedelta(seconds=30)
PAUSE_MOST = timedelta(minutes=10)  # below SQS' longest delay, jitter included
EMERGENCY_PAUSE = timedelta(seconds=10)
FORGIVEN_AFTER = timedelta(minutes=15)  # closed for so long, the next opening is a first one again
JITTER_MOST = timedelta(seconds=60)


class CircuitState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Evidence:
    """How a carrier answered, each answer counted in one place. `waves` were handed over together."""

    accepted: int = 0
    refused: int = 0  # for good: the number's fault, not the carrier's
    for_now: int = 0
    route: int = 0
    unknown: int = 0
    slow: int = 0  # came well, but late
    waves: int = 0

    @property
    def good(self) -> int:
        return self.accepted + self.refused

    @property
    def bad(self) -> int:
        return self.for_now + self.route + self.unknown + self.slow

    @property
    def answers(self) -> int:
        return self.good + self.bad

    def __add__(self, other: "Evidence") -> "Evidence":
        return Evidence(*(getattr(self, name) + getattr(other, name) for name in COUNTED))

    def as_counts(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in COUNTED}


COUNTED = ("accepted", "refused", "for_now", "route", "unknown", "slow", "waves")


@dataclass(frozen=True, slots=True)
class Circuit:
    """Of one carrier and country. `era` is the version that closed it last: evidence belongs to one era only.

    `openings` counts those that followed each other closely. A probe is one worker's until `probe_until`.
    `is_held`: open by hand; `by` and `why` say who and what for, or which evidence decided.
    """

    carrier: str
    country: str
    state: CircuitState = CircuitState.CLOSED
    version: int = 0
    era: int = 0
    since: datetime | None = None
    openings: int = 0
    next_probe_at: datetime | None = None
    probe_until: datetime | None = None
    good_probes: int = 0
    is_held: bool = False
    by: str = ""
    why: str = ""
    decided_on: Mapping[str, int] | None = None


def summed(found: Iterable[Evidence]) -> Evidence:
    return sum(found, Evidence())


def is_bad(evidence: Evidence) -> bool:
    """Whether what was seen is reason enough to leave a carrier alone."""
    if evidence.answers >= ANSWERS_MIN:
        return evidence.bad >= SHARE_MAX * evidence.answers
    return evidence.waves >= WAVES_WITHOUT_GOOD_MAX and evidence.bad > 0 and evidence.good == 0


def is_bad_step(evidence: Evidence) -> bool:
    """Whether one step alone is reason enough, however good the minutes before it were."""
    is_enough = evidence.answers >= STEP_ANSWERS_MIN and evidence.waves >= STEP_WAVES_MIN
    return is_enough and evidence.bad >= SHARE_MAX * evidence.answers


def opened(
    circuit: Circuit,
    evidence: Evidence,
    now: datetime,
    latest: Iterable[Evidence] = (),
    *,
    stands_alone: bool = False,
) -> Circuit | None:
    """The circuit opened by the evidence of its window and era, or of a latest step; None: it stays closed.

    Where nobody stands by, one that takes some and is busy for the rest goes on: each page waits for itself, and a
    pause for all would only leave a slow carrier idle.
    """
    if circuit.state is not CircuitState.CLOSED:
        return None
    if stands_alone and evidence.good:
        evidence = replace(evidence, for_now=0)
        latest = [replace(one, for_now=0) if one.good else one for one in latest]
    reason = evidence if is_bad(evidence) else next(filter(is_bad_step, latest), None)
    if reason is None:
        return None
    is_close = circuit.since is not None and now - circuit.since < FORGIVEN_AFTER
    return _opened(circuit, circuit.openings + 1 if is_close else 1, reason, now)


def step_of(at: datetime) -> datetime:
    """When the step of a moment began."""
    seconds = int(STEP.total_seconds())
    return at.replace(second=at.second // seconds * seconds, microsecond=0)


def may_probe(circuit: Circuit, now: datetime, *, is_emergency: bool = False) -> bool:
    """Whether somebody may try the carrier now: nobody else does, and the pause is over (an emergency's is short)."""
    return probe_from(circuit, is_emergency=is_emergency) <= now and not circuit.is_held


def probe_from(circuit: Circuit, *, is_emergency: bool = False) -> datetime:
    """From when on a probe may be taken, if nothing changes. Of one that is open or half-open."""
    if circuit.state is CircuitState.HALF_OPEN:
        return circuit.probe_until or _long_ago(circuit)
    pause_over = circuit.next_probe_at or _long_ago(circuit)
    return min(pause_over, _long_ago(circuit) + EMERGENCY_PAUSE) if is_emergency else pause_over


def probing(circuit: Circuit, by: str, now: datetime) -> Circuit:
    """The circuit with a probe taken: until it answers, or its lease is over, nobody else takes one."""
    return replace(
        circuit,
        state=CircuitState.HALF_OPEN,
        version=circuit.version + 1,
        since=circuit.since if circuit.state is CircuitState.HALF_OPEN else now,
        good_probes=circuit.good_probes if circuit.state is CircuitState.HALF_OPEN else 0,
        next_probe_at=None,
        probe_until=now + PROBE_LEASE,
        by=by,
        why="probe",
        decided_on=None,
    )


def probed(circuit: Circuit, evidence: Evidence, now: datetime) -> Circuit:
    """What a probe's answers make of the circuit. One that spoke to nobody proves nothing, and the next may try."""
    if evidence.answers == 0:
        return replace(circuit, version=circuit.version + 1, probe_until=None)
    if evidence.bad >= SHARE_MAX * evidence.answers:
        return _opened(circuit, circuit.openings + 1, evidence, now)
    if circuit.good_probes + 1 < PROBES_NEEDED:
        return replace(
            circuit,
            version=circuit.version + 1,
            probe_until=None,
            good_probes=circuit.good_probes + 1,
            why="good_probe",
        )
    return _closed(circuit, "good_probes", evidence.as_counts(), now)


def held(circuit: Circuit, by: str, why: str, now: datetime) -> Circuit:
    """Open until somebody lets it go; no probe is taken."""
    return replace(
        circuit,
        state=CircuitState.OPEN,
        version=circuit.version + 1,
        since=now,
        next_probe_at=None,
        probe_until=None,
        good_probes=0,
        is_held=True,
        by=by,
        why=why,
        decided_on=None,
    )


def let_go(circuit: Circuit, by: str, why: str, now: datetime, *, is_whole_carrier: bool) -> Circuit:
    """Let go by hand: a probe is due at once. Of the whole carrier nothing is known, so its lines decide themselves."""
    if is_whole_carrier:
        return replace(_closed(circuit, why, None, now), by=by)
    return replace(
        circuit,
        version=circuit.version + 1,
        since=now,
        next_probe_at=now,
        probe_until=None,
        is_held=False,
        openings=0,
        by=by,
        why=why,
        decided_on=None,
    )


def wait_until(
    moments: Sequence[datetime | None], now: datetime, jitter: float, *, is_emergency: bool, give_up_at: datetime
) -> datetime:
    """When whoever finds no line looks again: at the next probe, spread, in ten minutes at the latest.

    An emergency looks each ten seconds: somebody else's probe may be good long before its lease is over. None among
    the moments is a line held by hand. `jitter` is in [0, 1).
    """
    known = [moment for moment in moments if moment is not None]
    soonest = max(now + timedelta(seconds=1), min(known, default=now + PAUSE_LEAST * 2))
    pause = min(soonest - now, EMERGENCY_PAUSE if is_emergency else PAUSE_MOST)
    spread = min(pause, EMERGENCY_PAUSE / 2 if is_emergency else JITTER_MOST)
    return max(min(now + pause + jitter * spread, give_up_at), now + timedelta(seconds=1))


def _opened(circuit: Circuit, openings: int, evidence: Evidence, now: datetime) -> Circuit:
    pause = min(PAUSE_LEAST * 2 ** min(openings - 1, 10), PAUSE_MOST)
    return replace(
        circuit,
        state=CircuitState.OPEN,
        version=circuit.version + 1,
        since=now,
        openings=openings,
        next_probe_at=now + pause,
        probe_until=None,
        good_probes=0,
        by="rule",
        why="evidence" if circuit.state is CircuitState.CLOSED else "bad_probe",
        decided_on=evidence.as_counts(),
    )


def _closed(circuit: Circuit, why: str, decided_on: Mapping[str, int] | None, now: datetime) -> Circuit:
    return replace(
        circuit,
        state=CircuitState.CLOSED,
        version=circuit.version + 1,
        era=circuit.version + 1,
        since=now,
        next_probe_at=None,
        probe_until=None,
        good_probes=0,
        is_held=False,
        by="rule",
        why=why,
        decided_on=decided_on,
    )


def _long_ago(circuit: Circuit) -> datetime:
    """Since when it is as it is; one that never changed is closed, and is asked nothing here."""
    if circuit.since is None:
        raise ValueError("a circuit that was never open has no probe")
    return circuit.since
