"""DynamoDB's units: how big an item is, and what reading or writing it is billed.

Source: Amazon DynamoDB Developer Guide, "Capacity unit consumption", "Item sizes and formats", "Transactions".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

WRITE_UNIT_BYTES = 1024
READ_UNIT_BYTES = 4096
ELEMENT_BYTES = 1  # each element of a list or a map, besides itself
CONTAINER_BYTES = 3

type Item = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Index:
    """A secondary index. `projected` None: every attribute."""

    keys: frozenset[str]
    projected: frozenset[str] | None

    def entry(self, item: Item | None, table_keys: Iterable[str]) -> dict[str, Any] | None:
        """What the index holds of an item; None when the item lacks one of its keys."""
        if item is None or not self.keys <= item.keys():
            return None
        if self.projected is None:
            return dict(item)
        wanted = self.keys | self.projected | set(table_keys)
        return {name: value for name, value in item.items() if name in wanted}


def size_of(item: Item) -> int:
    """Bytes of an item: names and values."""
    return sum(len(name.encode()) + _size_of_value(value) for name, value in item.items())


def write_units(before: Item | None, after: Item | None, *, in_transaction: bool = False) -> int:
    """One write: the larger of what was and what is, in whole KB; the whole item, however little of it changed."""
    largest = max(size_of(before or {}), size_of(after or {}))
    units = max(1, ceil(largest / WRITE_UNIT_BYTES))
    return 2 * units if in_transaction else units


def index_write_units(index: Index, table_keys: Iterable[str], before: Item | None, after: Item | None) -> int:
    """What a write of the table costs in one of its indexes: nothing when its entry stays the same."""
    table_keys = tuple(table_keys)
    was, is_now = index.entry(before, table_keys), index.entry(after, table_keys)
    if was == is_now:
        return 0
    if was is not None and is_now is not None and any(was[key] != is_now[key] for key in index.keys):
        return write_units(was, None) + write_units(None, is_now)  # it moves: one deletion, one put
    return write_units(was, is_now)


def read_units(sizes: Iterable[int], *, is_consistent: bool, in_transaction: bool = False) -> float:
    """Items read one by one; one that is not there is billed as the smallest."""
    units = sum(max(1, ceil(size / READ_UNIT_BYTES)) for size in sizes)
    if in_transaction:
        return 2.0 * units
    return float(units) if is_consistent else units / 2


def query_units(sizes: Iterable[int], *, is_consistent: bool) -> float:
    """A page of a query: all that was read together, in whole units."""
    return read_units([sum(sizes)], is_consistent=is_consistent)


def _size_of_value(value: Mapping[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            size = len(content.encode())
        case "N":
            size = _size_of_number(content)
        case "B":
            size = len(content)
        case "SS" | "NS" | "BS":
            size = sum(_size_of_value({kind[0]: one}) for one in content)
        case "L":
            size = CONTAINER_BYTES + sum(ELEMENT_BYTES + _size_of_value(one) for one in content)
        case "M":
            size = CONTAINER_BYTES + sum(
                ELEMENT_BYTES + len(name.encode()) + _size_of_value(content[name]) for name in content
            )
        case _:  # BOOL, NULL
            size = 1
    return size


def _size_of_number(digits: str) -> int:
    """About one byte for two significant digits and one more; one for a minus."""
    plain = digits.lstrip("-")
    significant = plain.replace(".", "").strip("0")
    return (len(significant) + 1) // 2 + 1 + (1 if digits.startswith("-") else 0)
