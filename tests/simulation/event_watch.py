"""What a portal is told: every end of a message once, in the very write that ends it, under numbers without a gap.

It reads the raw rows and knows the events from the guide of the API alone.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.facts import Violation
from tests.simulation.memory_dynamodb import Item, Key
from tests.simulation.money_watch import ZONES, MoneyWatch
from tests.simulation.wires import Aws

TOLD_OF = {
    ("sending", "sent"): "message.sent",
    ("stopping", "stopped"): "message.sent",
    ("scheduled", "cancelled"): "message.cancelled",
    ("planning", "cancelled"): "message.cancelled",
    ("planning", "draft"): "message.refused",
}
OF_MESSAGES = frozenset(TOLD_OF.values())

type Told = tuple[str, str]  # which event, of which message


@dataclass
class EventWatch:
    aws: Aws
    table: str
    money: MoneyWatch
    states: dict[tuple[str, str], str] = field(default_factory=dict)  # message → its state
    latest: dict[str, int] = field(default_factory=dict)  # school → its latest number
    known: dict[Key, Item] = field(default_factory=dict)

    def saw(self, keys: list[Key]) -> None:
        """After a write to Messages and its like: what it ended, and what it tells, are the same."""
        ended: list[Told] = []
        told: list[Told] = []
        for pk, sk in sorted(keys, key=lambda key: key[1] != "message"):  # what it tells of comes first
            row = self.aws.row(self.table, (pk, sk))
            if row is not None and sk == "message":
                ended += self._end_of(pk, row)
            if row is not None and pk.endswith("#EV") and sk != "counter":
                told += self._tell(pk, sk, row)
        if sorted(ended) != sorted(told):
            raise Violation(f"{ended} came to its end, and {told} is told")

    def check_end(self) -> None:
        """When nothing is on its way any more: the counter is the latest number, and no number is left out."""
        for school, latest in self.latest.items():
            rows = [key for key in self.aws.rows(self.table) if key[0] == f"S#{school}#EV" and key[1] != "counter"]
            counter = self.aws.row(self.table, (f"S#{school}#EV", "counter"))
            if counter is None or (int(counter["latest"]["N"]), len(rows)) != (latest, latest):
                raise Violation(f"{school} has {len(rows)} events, the latest is {latest}, its counter {counter}")

    def _end_of(self, pk: str, row: Item) -> list[Told]:
        _, school, _, message = pk.split("#")
        before, after = self.states.get((school, message), ""), row["state"]["S"]
        self.states[school, message] = after
        event = TOLD_OF.get((before, after))
        return [(event, message)] if event else []

    def _tell(self, pk: str, sk: str, row: Item) -> list[Told]:
        if (pk, sk) in self.known:  # this write was refused
            if self.known[pk, sk] != row:
                raise Violation(f"event {sk} of {pk} was written over")
            return []
        self.known[pk, sk] = dict(row)
        school, number = pk.split("#")[1], int(sk)
        if number != self.latest.get(school, 0) + 1:
            raise Violation(f"{school} hears {number} after {self.latest.get(school, 0)}")
        self.latest[school] = number
        event, data = row["type"]["S"], json.loads(row["data"]["S"])
        if event not in OF_MESSAGES:
            return []
        if event == "message.sent":
            self._check_sent(school, data)
        return [(event, data["message"])]

    def _check_sent(self, school: str, data: Mapping[str, Any]) -> None:
        captured = self.money.captured_for(school, data["message"])
        said = {zone: data[f"captured_{zone}"] for zone in ZONES}
        if said != {zone: captured.get(zone, 0) for zone in ZONES}:
            raise Violation(f"{data['message']} is told to have cost {said}, and cost {captured}")
        if data["state"] != self.states[school, data["message"]]:
            raise Violation(f"{data['message']} is told to be {data['state']}")
