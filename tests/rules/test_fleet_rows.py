"""Numbers and ranges of the fleet list, as the operator writes them (C3)."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.rules.fleet_rows import FleetEntry, RowProblem, is_within, merge, read_entry


@pytest.mark.parametrize("typed", ["809 555 0101", "(809) 555-0101", "1-809-555-0101", "+18095550101", "'+18095550101"])
def test_a_number_is_read_as_people_type_it(typed: str) -> None:
    assert read_entry(typed, "", "", "DO") == FleetEntry("+18095550101")


def test_a_range_is_read_from_its_two_ends() -> None:
    found = read_entry("", "809 555 0000", "1 809 555 9999", "DO")

    assert found == FleetEntry("+18095550000", "+18095559999")


def test_a_range_of_one_number_is_that_number() -> None:
    assert read_entry("", "809 555 0101", "809 555 0101", "DO") == FleetEntry("+18095550101")


@pytest.mark.parametrize(
    ("number", "first", "last", "column", "reason"),
    [
        ("", "", "", "number", "missing"),
        (" ", " ", " ", "number", "missing"),
        ("12", "", "", "number", "not_a_number"),
        ("809 555 01O1", "", "", "number", "not_a_number"),
        ("+1 212 555 0100", "", "", "number", "other_country"),  # shares +1
        ("+56 9 1234 5678", "", "", "number", "other_country"),
        ("809 555 0101", "809 555 0000", "", "number", "ambiguous"),
        ("", "809 555 0000", "", "to", "missing"),
        ("", "", "809 555 0000", "from", "missing"),
        ("", "x", "809 555 0000", "from", "not_a_number"),
        ("", "809 555 0000", "+56 9 1234 5678", "to", "other_country"),
        ("", "809 555 0001", "809 555 0000", "to", "before_from"),
        ("", "809 000 0000", "809 100 0000", "to", "too_many_numbers"),
    ],
)
def test_what_is_neither_a_number_nor_a_range_is_refused_by_its_column(
    number: str, first: str, last: str, column: str, reason: str
) -> None:
    assert read_entry(number, first, last, "DO") == RowProblem(column, reason)


def test_a_range_may_have_a_million_numbers() -> None:
    assert read_entry("", "809 200 0000", "809 299 9999", "DO") == FleetEntry("+18092000000", "+18092999999")


def test_the_ends_of_a_range_are_equally_long() -> None:
    # Germany has numbers of several lengths.
    assert read_entry("", "+49 30 123456", "+49 30 1234567", "DE") == RowProblem("to", "other_length")


NUMBERS = st.integers(100, 160).map(lambda number: f"+1{number}")
RANGES = st.tuples(NUMBERS, st.integers(0, 9)).map(
    lambda one: FleetEntry(one[0], f"+{int(one[0]) + one[1]}" if one[1] else None)
)


@given(entries=st.lists(RANGES, max_size=12), number=NUMBERS)
def test_a_number_is_within_the_merged_ranges_exactly_when_one_of_them_has_it(
    entries: list[FleetEntry], number: str
) -> None:
    merged = merge(entries)

    has_it = any(int(one.first) <= int(number) <= int(one.last or one.first) for one in entries)

    assert is_within(merged, number) == any(one.covers(number) for one in entries) == has_it
    assert all(end < begin for (_, end), (begin, _) in pairwise(merged))


def test_a_number_of_another_length_is_in_no_range() -> None:
    entry = FleetEntry("+18095550000", "+18095559999")

    assert not is_within(merge([entry]), "+1809555500")
    assert not entry.covers("+180955550001")
