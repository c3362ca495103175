import pytest

from recado.rules import person_records
from recado.rules.custom_groups import custom_among, is_custom_group
from recado.rules.oneroster import RosterGroup, RosterPerson
from recado.rules.person_records import RecordEdit, find_problems, groups_chosen, guardian_groups, may_be_chosen

NOBODY: frozenset[str] = frozenset()
GROUPS = {
    one.id: one
    for one in (
        RosterGroup("school-1", "school", "Escuela", None),
        RosterGroup("grade-07", "grade", "7°", "school-1"),
        RosterGroup("7b", "course", "7° B", "grade-07"),
        RosterGroup("multi", "course", "1° a 6°", None),
        RosterGroup("loop", "course", "X", "pool"),
        RosterGroup("pool", "grade", "Y", "loop"),
        RosterGroup("custom-1", "custom", "Coro", None),
    )
}


def record(*groups: str, role: str = "student") -> RosterPerson:
    return RosterPerson("p1", role, "Ana", "Soto", None, "", False, frozenset(groups), NOBODY, NOBODY)


def test_an_edit_of_nothing_and_a_good_one_have_no_problems() -> None:
    assert find_problems(RecordEdit()) == []
    assert find_problems(RecordEdit("guardian", "Ana María", "O'Higgins", "", ("7b",), (), ())) == []


def test_all_problems_are_named_at_once() -> None:
    edit = RecordEdit("boss", "", "a\u202eb", "9" * 41, ("", "ok"), ("x", "x"), tuple(f"g{n}" for n in range(21)))

    assert [(one.field, one.code) for one in find_problems(edit)] == [
        ("/given_name", "length"),
        ("/family_name", "not_printable"),
        ("/role", "unknown"),
        ("/number", "length"),
        ("/groups/0", "malformed"),
        ("/students/1", "duplicate"),
        ("/guardians", "too_many"),
    ]


@pytest.mark.parametrize(
    ("reason", "is_fine"), [("", True), ("dos\nlíneas", True), ("a\x00", False), ("\x1b[1m", False)]
)
def test_a_reason_may_have_lines_and_no_controls(reason: str, is_fine: bool) -> None:
    assert (person_records.find_reason_problems("/reason", reason) == []) is is_fine


def test_a_course_brings_what_is_above_it_and_the_school() -> None:
    assert groups_chosen(record(), ["7b", "custom-1"], GROUPS) == {"7b", "grade-07", "school-1", "custom-1"}
    assert groups_chosen(record(), ["multi"], GROUPS) == {"multi", "school-1"}
    assert groups_chosen(record(), ["loop"], GROUPS) == {"loop", "pool", "school-1"}
    assert groups_chosen(record(), [], GROUPS) == {"school-1"}


def test_courses_that_stay_leave_what_the_roster_says_besides_them() -> None:
    own_grade = record("multi", "grade-03", "school-1", "custom-1")

    assert groups_chosen(own_grade, ["multi"], GROUPS) == {"multi", "grade-03", "school-1"}


def test_a_guardian_is_in_their_students_groups_but_for_custom_ones() -> None:
    guardian = record("old", "custom-2", role="guardian")

    assert guardian_groups(guardian, [record("7b", "custom-1"), record("multi")], GROUPS) == {
        "custom-2",
        "7b",
        "multi",
        "school-1",
    }


def test_people_are_put_into_courses_and_custom_groups_only() -> None:
    assert [one for one, group in GROUPS.items() if may_be_chosen(group)] == ["7b", "multi", "loop", "custom-1"]
    assert is_custom_group("custom-")
    assert not is_custom_group("Custom-1")
    assert custom_among(["7b", "custom-1"]) == {"custom-1"}
