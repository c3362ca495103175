"""What a portal is told: every end of a message once, in the very write that ends it, under numbers without a gap; and
of each recipient every state once, until in the end what was told last is so.

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

SHOWN = {
    "S": "sent",
    "W": "wrong_number",
    "B": "blocked",
    "U": "unknown",
    "o": "opted_out",
    "r": "stopped",
    "x": "expired",
    "n": "not_sent",
}

type Told = tuple[str, str]  # which event, of which message
type Place = tuple[str, str, str]  # school, message and which of its recipients


@dataclass
class EventWatch:
    aws: Aws
    table: str
    money: MoneyWatch
    states: dict[tuple[str, str], str] = field(default_factory=dict)  # message → its state
    latest: dict[str, int] = field(default_factory=dict)  # school → its latest number
    known: dict[Key, Item] = field(default_factory=dict)
    recipients: dict[Place, str] = field(default_factory=dict)  # what was told last

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

    def check_recipients(self, letters: Mapping[tuple[str, int], str]) -> None:
        """When nothing is on its way any more: everybody's last state has been told. `letters` by page and index."""
        for (page, index), letter in letters.items():
            _, school, _, message, _, number = page.split("#")
            place = (school, message, f"t.{number}.{index}")
            wanted = self._reported(page, index, letter) or SHOWN[letter]
            if self.recipients.get(place) != wanted:
                raise Violation(f"{place} is {wanted}, and told was {self.recipients.get(place)}")

    def _reported(self, page: str, index: int, letter: str) -> str | None:
        """What the carrier's receipts make of it: delivered, or the worst of what was handed over."""
        row: Item = self.aws.row(self.table, (page, "receipts")) or {}
        ranked: tuple[str, ...] = ("delivered", *(("wrong_number", "blocked", "unreachable") if letter in "SU" else ()))
        return next((state for state in ranked if str(index * 16) in row.get(state, {}).get("NS", ())), None)

    def _follow(self, school: str, data: Mapping[str, Any]) -> None:
        for recipient, _, state in data["recipients"]:
            place = (school, data["message"], recipient)
            if recipient.split(".")[1] != str(data["page"]):
                raise Violation(f"{place} is told on page {data['page']}")
            if state in (self.recipients.get(place), "queued", "sending"):
                raise Violation(f"{place} is told to be {state}, again")
            if self.recipients.get(place) == "delivered":
                raise Violation(f"{place} was delivered, and is told to be {state}")
            self.recipients[place] = state

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
        if event == "message.recipients_changed":
            self._follow(school, data)
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
