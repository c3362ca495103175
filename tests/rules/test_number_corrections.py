from dataclasses import replace
from datetime import UTC, datetime

import pytest

from recado.rules.number_corrections import Correction, correct, record_after_correction, record_with_number
from recado.rules.oneroster import RosterPerson

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
NOBODY: frozenset[str] = frozenset()
ROSTER = RosterPerson("g1", "guardian", "Rosa", "Catrileo", "+56955550101", "955550101", False, NOBODY, NOBODY, NOBODY)
CORRECTION = Correction("+56955550177", "9 5555 0177", "self", NOW, "+56955550101", "955550101")


def test_without_a_correction_the_rosters_number_is_in_force() -> None:
    assert record_after_correction(ROSTER, None) == (ROSTER, None)


def test_a_correction_stays_while_the_roster_says_the_same_L14() -> None:
    corrected = replace(ROSTER, number="+56955550177", typed_number="9 5555 0177")

    assert record_after_correction(ROSTER, CORRECTION) == (corrected, CORRECTION)


def test_the_same_number_written_otherwise_is_no_change_of_the_rosters() -> None:
    assert record_after_correction(replace(ROSTER, typed_number="+56 9 5555 0101"), CORRECTION)[1] == CORRECTION


@pytest.mark.parametrize(
    ("number", "typed"), [("+56955550188", "955550188"), (None, ""), (None, "12345"), ("+56955550177", "955550177")]
)
def test_another_entry_of_the_rosters_is_in_force_again(number: str | None, typed: str) -> None:
    said = replace(ROSTER, number=number, typed_number=typed)

    assert record_after_correction(said, CORRECTION) == (said, None)


def test_an_unusable_entry_that_stays_as_it_was_leaves_the_correction() -> None:
    said = replace(ROSTER, number=None, typed_number="12345", number_problem=True)
    correction = replace(CORRECTION, roster_number=None, roster_typed_number="12345")

    record, kept = record_after_correction(said, correction)

    assert (record.number, record.number_problem, kept) == ("+56955550177", False, correction)


def test_a_number_taken_away_stays_away() -> None:
    taken = replace(CORRECTION, number=None, typed_number="")

    record, _ = record_after_correction(ROSTER, taken)

    assert (record.number, record.typed_number, record.number_problem) == (None, "", False)


def test_a_second_correction_remembers_what_the_roster_said() -> None:
    first = record_with_number(ROSTER, "9 5555 0177", "CL")
    kept = correct(ROSTER, first, None, "self", NOW)
    second = record_with_number(first, "9 5555 0188", "CL")

    assert kept == CORRECTION
    assert correct(first, second, kept, "directora", NOW) == Correction(
        "+56955550188", "9 5555 0188", "directora", NOW, "+56955550101", "955550101"
    )
    assert correct(second, ROSTER, kept, "directora", NOW) is None
