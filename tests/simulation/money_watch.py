"""Invariants 1 and 2: every credit that was bought is available, held or captured, after every single write.

Reads the raw rows of the Ledger, and adds them up by itself: entries from what was bought, accounts from entries.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.simulation.facts import Facts, Violation
from tests.simulation.memory_dynamodb import Item, Key
from tests.simulation.wires import Aws

FIGURES = ("available", "held", "captured")
ZONES = ("domestic", "international")

type Figures = tuple[int, int, int]
type Price = Callable[[str, str, str, str], int]  # school, message, plan, zone → credits


def figures_of(row: Item) -> Figures:
    available, held, captured = (int(row[name]["N"]) for name in FIGURES)
    return available, held, captured


@dataclass
class MoneyWatch:
    """`price_of_plan` and `price_of_outcomes` are the page watch's: what a plan costs, and what its letters come to."""

    aws: Aws
    facts: Facts
    table: str
    price_of_plan: Price
    price_of_outcomes: Price
    entries: dict[tuple[str, str], dict[str, Figures]] = field(default_factory=lambda: defaultdict(dict))
    open_holds: dict[tuple[str, str], dict[str, tuple[str, int]]] = field(default_factory=lambda: defaultdict(dict))

    def saw(self, keys: list[Key]) -> None:
        """After a write: the rows with these keys may have changed, all at once."""
        fresh = []
        for pk, sk in keys:
            row = self.aws.row(self.table, (pk, sk))
            if row is None or not sk.startswith("E#"):
                continue
            account, cause = self._account_of(pk), sk[2:]
            known = self.entries[account].get(cause)
            if known is not None and known != figures_of(row):
                raise Violation(f"the entry {cause} was written over")
            if known is None:
                fresh.append((account, cause, figures_of(row)))
        # A replaced hold closes and opens in one transaction: closings first.
        for account, cause, figures in sorted(fresh, key=lambda one: not one[1].startswith("close#")):
            self.entries[account][cause] = figures
            self._check_entry(account, cause, figures)
        for account in {self._account_of(pk) for pk, _ in keys if pk.startswith("S#")}:
            self._check_account(account)

    def check_end(self) -> None:
        """When nothing is on its way any more: nothing is held, and the statement says what the entries say."""
        rows = self.aws.rows(self.table)
        for account, entries in self.entries.items():
            if self.open_holds[account]:
                raise Violation(f"held for ever: {self.open_holds[account]}")
            pk = f"S#{account[0]}#A#{account[1]}"
            by_time = {row["cause"]["S"]: figures_of(row) for key, row in rows.items() if _is_line(key, pk)}
            if by_time != entries:
                raise Violation(f"the statement of {account} is not its entries")

    def captured_for(self, school: str, message: str) -> Mapping[str, int]:
        """What was captured for a message, per zone."""
        found: dict[str, int] = {}
        for zone in ZONES:
            for cause, (_, _, captured) in self.entries[school, zone].items():
                if cause.startswith(f"close#{message}#"):
                    found[zone] = found.get(zone, 0) + captured
        return found

    def _check_entry(self, account: tuple[str, str], cause: str, figures: Figures) -> None:
        kind, _, rest = cause.partition("#")
        available, held, captured = figures
        if kind == "purchase":
            if (held, captured) != (0, 0) or available <= 0:
                raise Violation(f"a purchase of {figures}")
            return
        message, plan = rest.split("#")
        holds = self.open_holds[account]
        if kind == "hold":
            price = self.price_of_plan(account[0], message, plan, account[1])
            if message in holds or (available, held, captured) != (-price, price, 0) or not price:
                raise Violation(f"{cause} in {account} is {figures}, costs {price}, held before {holds.get(message)}")
            holds[message] = (plan, price)
            return
        if holds.get(message, ("", 0)) != (plan, -held) or available + captured != -held or captured < 0:
            raise Violation(f"{cause} in {account} closes {figures} of {holds.get(message)}")
        del holds[message]
        owed = self.price_of_outcomes(account[0], message, plan, account[1])
        if captured != owed:
            raise Violation(f"{cause} in {account} captures {captured}, its letters come to {owed}")

    def _check_account(self, account: tuple[str, str]) -> None:
        row = self.aws.row(self.table, (f"S#{account[0]}#A#{account[1]}", "account"))
        if row is None:
            return
        figures = figures_of(row)
        sums = tuple(sum(one[place] for one in self.entries[account].values()) for place in range(3))
        if figures != sums:
            raise Violation(f"{account} says {figures}, its entries {sums}")
        if min(figures) < 0:
            raise Violation(f"{account} is below zero: {figures}")
        surely, at_most = self.facts.bought(*account)
        if not surely <= sum(figures) <= at_most:
            raise Violation(f"{account} comes to {sum(figures)}; bought were {surely} to {at_most}")

    @staticmethod
    def _account_of(pk: str) -> tuple[str, str]:
        _, school, _, zone = pk.split("#")
        return school, zone


def _is_line(key: Key, pk: str) -> bool:
    return key[0] == pk and key[1].startswith("T#")
