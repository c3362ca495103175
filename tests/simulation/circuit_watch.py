"""Circuits: one version after the other, one probe at a time, open only on evidence, closed only by good probes.

It reads the raw rows and knows the figures from carriers_and_routes.md alone.
"""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.simulation.facts import Violation
from tests.simulation.memory_dynamodb import Item, Key
from tests.simulation.wires import Aws

SKEW = timedelta(seconds=1)
PROBE_LEASE = timedelta(seconds=45)
PAUSE_MOST = timedelta(minutes=10)
MOVES = {
    ("closed", "open"),
    ("open", "half_open"),
    ("half_open", "half_open"),
    ("half_open", "open"),
    ("half_open", "closed"),
}


@dataclass
class CircuitWatch:
    aws: Aws
    table: str
    now: Callable[[], datetime]
    answers_min: int
    waves_min: int
    rows: dict[Key, Item] = field(default_factory=dict)
    moves: Counter[tuple[str, str]] = field(default_factory=Counter)

    def saw(self, keys: list[Key]) -> None:
        for key in keys:
            if key[0].startswith("CIRCUITS#") and key[1].startswith("c#"):
                self._saw_circuit(key)

    def _saw_circuit(self, key: Key) -> None:
        row = self.aws.row(self.table, key)
        if row is None:
            raise Violation(f"{key} was deleted")
        before = self.rows.get(key)
        version, was = int(row["version"]["N"]), int(before["version"]["N"]) if before else 0
        if version == was:
            return
        move = (before["state"]["S"] if before else "closed", row["state"]["S"])
        self.rows[key] = row
        self.moves[move] += 1
        if version != was + 1 or move not in MOVES:
            raise Violation(f"{key}: version {was} became {version}, {move}")
        self._check_probe(key, before, row)
        self._check_reason(key, move, row)
        if not any(pk == key[0] and sk.startswith("t#") and sk.endswith(f"#{version}") for pk, sk in self._all()):
            raise Violation(f"{key}: nobody remembers how it came to version {version}")

    def _check_probe(self, key: Key, before: Item | None, row: Item) -> None:
        """A probe is one worker's: the next begins when it has answered, or is dead."""
        until, until_before = _moment(row, "probe_until"), _moment(before or {}, "probe_until")
        is_taken = until is not None and until != until_before
        if is_taken and until_before is not None and self.now() + SKEW < until_before:
            raise Violation(f"{key}: two probes at a time")
        if until is not None and until > self.now() + PROBE_LEASE + SKEW:
            raise Violation(f"{key}: a probe until {until}")
        next_at = _moment(row, "next_probe_at")
        if next_at is not None and next_at > self.now() + PAUSE_MOST + SKEW:
            raise Violation(f"{key}: nobody tries it until {next_at}")

    def _check_reason(self, key: Key, move: tuple[str, str], row: Item) -> None:
        found = json.loads(row["decided_on"]["S"]) if "decided_on" in row else {}
        bad = sum(found.get(name, 0) for name in ("for_now", "route", "unknown", "slow"))
        answers = bad + found.get("accepted", 0) + found.get("refused", 0)
        if move == ("closed", "open"):
            is_enough = 2 * bad >= answers if answers >= self.answers_min else bad == answers > 0
            if not is_enough or (answers < self.answers_min and found["waves"] < self.waves_min):
                raise Violation(f"{key} opens on {found}")
        if move == ("half_open", "closed") and not (answers and 2 * bad < answers):
            raise Violation(f"{key} closes on {found}")
        if move == ("half_open", "open") and 2 * bad < answers:
            raise Violation(f"{key} opens again on {found}")

    def _all(self) -> list[Key]:
        return list(self.aws.rows(self.table))


def _moment(row: Item, name: str) -> datetime | None:
    return datetime.fromisoformat(row[name]["S"]) if name in row else None
