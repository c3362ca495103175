"""Whose plan bars short codes (C3), as the operator writes it: numbers one by one, and ranges of numbers.

Must never repeat what was written: a number is somebody's. Numbers are read as people type them, in their country.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from recado.rules.phone_numbers import read_number

RANGE_NUMBERS_MAX = 1_000_000  # a slip of the finger would bar a whole area
COLUMNS = ("number", "from", "to")

type Place = tuple[int, str]  # digits of one length are in their order


@dataclass(frozen=True, slots=True, order=True)
class FleetEntry:
    """E.164: one number, or with `last` every number from `first` to it, of the same country and length."""

    first: str
    last: str | None = None

    def covers(self, number: str) -> bool:
        """Whether this is the number, or it is in the range."""
        return _place(self.first) <= _place(number) <= _place(self.last or self.first)


@dataclass(frozen=True, slots=True)
class RowProblem:
    """What is wrong with an entry: its column, or '' for the whole, and a stable code."""

    column: str
    reason: str


def read_entry(number: str, first: str, last: str, country: str) -> FleetEntry | RowProblem:
    """The entry that the three texts mean, of which a number or both ends of a range are filled in.

    A range of one number is that number. Any other country's number is refused: it is on that country's list.
    """
    if number.strip():
        if first.strip() or last.strip():
            return RowProblem("number", "ambiguous")
        found = _read(number, "number", country)
        return found if isinstance(found, RowProblem) else FleetEntry(found)
    if not first.strip():
        return RowProblem("from" if last.strip() else "number", "missing")
    if not last.strip():
        return RowProblem("to", "missing")
    begin = _read(first, "from", country)
    if isinstance(begin, RowProblem):
        return begin
    end = _read(last, "to", country)
    if isinstance(end, RowProblem):
        return end
    return _range(begin, end)


def merge(entries: Iterable[FleetEntry]) -> list[tuple[Place, Place]]:
    """The same numbers as ranges apart from each other, in order: what `is_within` searches."""
    merged: list[tuple[Place, Place]] = []
    for begin, end in sorted((_place(one.first), _place(one.last or one.first)) for one in entries):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((begin, end))
    return merged


def is_within(merged: Sequence[tuple[Place, Place]], number: str) -> bool:
    """Whether one of the merged ranges has the number."""
    place = _place(number)
    found = bisect_right(merged, place, key=lambda one: one[0])
    return found > 0 and place <= merged[found - 1][1]


def _read(raw: str, column: str, country: str) -> str | RowProblem:
    number = read_number(raw, country)
    if number is None:
        return RowProblem(column, "not_a_number")
    return number.e164 if number.region == country else RowProblem(column, "other_country")


def _range(begin: str, end: str) -> FleetEntry | RowProblem:
    if len(begin) != len(end):
        return RowProblem("to", "other_length")
    size = int(end) - int(begin) + 1
    if size < 1:
        return RowProblem("to", "before_from")
    if size > RANGE_NUMBERS_MAX:
        return RowProblem("to", "too_many_numbers")
    return FleetEntry(begin, end) if size > 1 else FleetEntry(begin)


def _place(number: str) -> Place:
    return len(number), number
