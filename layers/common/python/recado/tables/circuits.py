"""Circuits of carriers: how each stands, what it was decided on minute by minute, and how it came there.

A circuit changes only under the version it was read with, together with the row that remembers the change.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pynamodb.attributes import (
    BooleanAttribute,
    JSONAttribute,
    NumberAttribute,
    UnicodeAttribute,
    UTCDateTimeAttribute,
)

from recado.rules.circuits import COUNTED, STEP, Circuit, CircuitState, Evidence, step_of
from recado.tables.base import RoutesMeta, Row, Transaction

STEPS_A_MINUTE = timedelta(minutes=1) // STEP
_NAMES = ("era", "since", "openings", "next_probe_at", "probe_until", "good_probes", "is_held", "by", "why")


@dataclass(frozen=True, slots=True)
class Answered:
    """What a carrier answered in one step (`rules/circuits.py`) of one era, or in one minute."""

    at: datetime
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Transition:
    """A circuit as one change left it."""

    at: datetime
    before: CircuitState
    circuit: Circuit


class _Moved(Exception):  # a signal between two steps here
    """The circuit is no longer as it was read."""


class _CircuitRow(Row):
    class Meta(RoutesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    state = UnicodeAttribute()
    version = NumberAttribute()
    era = NumberAttribute(null=True)
    since = UTCDateTimeAttribute(null=True)
    openings = NumberAttribute(null=True)
    next_probe_at = UTCDateTimeAttribute(null=True)
    probe_until = UTCDateTimeAttribute(null=True)
    good_probes = NumberAttribute(null=True)
    is_held = BooleanAttribute(null=True)
    by = UnicodeAttribute(null=True)
    why = UnicodeAttribute(null=True)
    decided_on = JSONAttribute(null=True)
    # of a transition
    country = UnicodeAttribute(null=True)
    before = UnicodeAttribute(null=True)
    at = UTCDateTimeAttribute(null=True)
    expires_at = NumberAttribute(null=True)


class _EvidenceRow(Row):
    class Meta(RoutesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    accepted = NumberAttribute(null=True)
    refused = NumberAttribute(null=True)
    for_now = NumberAttribute(null=True)
    route = NumberAttribute(null=True)
    unknown = NumberAttribute(null=True)
    slow = NumberAttribute(null=True)
    waves = NumberAttribute(null=True)
    at = UTCDateTimeAttribute()
    expires_at = NumberAttribute()


def list_circuits(carrier: str, *, is_consistent: bool) -> list[Circuit]:
    """A carrier's circuits, one a country it was spoken to for; one that is not there has never been open."""
    rows = _CircuitRow.query(_pk(carrier), _CircuitRow.sk.startswith("c#"), consistent_read=is_consistent)
    return [_circuit(carrier, row.sk.removeprefix("c#"), row) for row in rows]


def find_circuit(carrier: str, country: str) -> Circuit:
    try:
        row = _CircuitRow.get(_pk(carrier), f"c#{country}", consistent_read=True)
    except _CircuitRow.DoesNotExist:
        return Circuit(carrier, country)
    return _circuit(carrier, country, row)


def save_circuit(changed: Circuit, *, was: Circuit, now: datetime, expires_at: int) -> bool:
    """Writes a circuit over the version that was read, and the change beside it; False when another was quicker."""
    values = {name: getattr(changed, name) for name in _NAMES}
    values |= {"state": changed.state.value, "version": changed.version}
    values["decided_on"] = dict(changed.decided_on) if changed.decided_on else None
    row = _CircuitRow(_pk(changed.carrier), f"c#{changed.country}", **values)
    seen = _CircuitRow.pk.does_not_exist() if was.version == 0 else _CircuitRow.version == was.version
    story = _CircuitRow(
        _pk(changed.carrier),
        f"t#{now.isoformat(timespec='milliseconds')}#{changed.country}#{changed.version}",
        country=changed.country,
        before=was.state.value,
        at=now,
        expires_at=expires_at,
        **values,
    )
    try:
        with Transaction() as write:
            write.put(row, seen, lambda _: _Moved())
            write.put(story, _CircuitRow.pk.does_not_exist(), lambda _: _Moved())
    except _Moved:
        return False
    return True


def list_transitions(carrier: str, *, limit: int) -> list[Transition]:
    """The latest changes of a carrier's circuits, newest first."""
    rows = _CircuitRow.query(
        _pk(carrier), _CircuitRow.sk.startswith("t#"), scan_index_forward=False, limit=limit, consistent_read=True
    )
    return [
        Transition(row.at or row.since, CircuitState(row.before), _circuit(carrier, row.country or "", row))
        for row in rows
    ]


def add_evidence(carrier: str, country: str, era: int, at: datetime, evidence: Evidence, *, expires_at: int) -> None:
    """Adds to the step's row. Without a condition: an addition commutes, and the first makes the row.

    One that the SDK repeats after a lost answer counts twice, which at worst opens a circuit a little early.
    """
    step = step_of(at)
    row = _EvidenceRow(_evidence_pk(carrier, country), _evidence_sk(era, step))
    counts = [getattr(_EvidenceRow, name).add(count) for name, count in evidence.as_counts().items() if count]
    row.update(actions=[*counts, _EvidenceRow.at.set(step), _EvidenceRow.expires_at.set(expires_at)])


def list_evidence(carrier: str, country: str, era: int, since: datetime) -> list[Answered]:
    """An era's steps from `since` on."""
    first = _evidence_sk(era, step_of(since))
    rows = _EvidenceRow.query(
        _evidence_pk(carrier, country), _EvidenceRow.sk.between(first, _evidence_sk(era, None)), consistent_read=True
    )
    return [_answered(row) for row in rows]


def list_minutes(carrier: str, country: str, *, limit: int) -> list[Answered]:
    """The latest minutes with any answer, whatever their era, newest first."""
    rows = _EvidenceRow.query(
        _evidence_pk(carrier, country),
        _EvidenceRow.sk.startswith("m#"),
        scan_index_forward=False,
        limit=limit * (STEPS_A_MINUTE + 1),  # a minute may have steps of two eras
        consistent_read=True,
    )
    minutes: dict[datetime, Evidence] = {}
    for step in map(_answered, rows):
        minute = step.at.replace(second=0)
        minutes[minute] = minutes.get(minute, Evidence()) + step.evidence
    return [Answered(minute, evidence) for minute, evidence in minutes.items()][:limit]


def _pk(carrier: str) -> str:
    return f"CIRCUITS#{carrier}"


def _evidence_pk(carrier: str, country: str) -> str:
    return f"EVIDENCE#{carrier}#{country}"


def _evidence_sk(era: int, step: datetime | None) -> str:
    """Eras follow each other, and their steps: the order of the key is the order of time. None: after the last."""
    return f"m#{era:010}#{f'{step:%Y-%m-%dT%H:%M:%S}' if step else '~'}"


def _answered(row: _EvidenceRow) -> Answered:
    return Answered(row.at, Evidence(*(int(getattr(row, name) or 0) for name in COUNTED)))


def _circuit(carrier: str, country: str, row: _CircuitRow) -> Circuit:
    return Circuit(
        carrier=carrier,
        country=country,
        state=CircuitState(row.state),
        version=int(row.version),
        era=int(row.era or 0),
        since=row.since,
        openings=int(row.openings or 0),
        next_probe_at=row.next_probe_at,
        probe_until=row.probe_until,
        good_probes=int(row.good_probes or 0),
        is_held=bool(row.is_held),
        by=row.by or "",
        why=row.why or "",
        decided_on=row.decided_on,
    )
