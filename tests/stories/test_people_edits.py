"""People made, changed and removed by hand, and what an import leaves of it (L8, L14)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from recado import custom_groups, directory, own_record, people_edits
from recado.access import Caller
from recado.custom_groups import MemberChanges
from recado.directory import PeopleFilter
from recado.errors import (
    AlreadyExists,
    IdempotencyKeyReused,
    InvalidRequest,
    NotAllowed,
    NotFound,
    OptedOutThemselves,
    StillRunning,
)
from recado.people_edits import NewPerson
from recado.rules.audience import Audience, Who
from recado.rules.oneroster import RosterGroup, RosterPerson
from recado.rules.person_records import RecordEdit
from recado.rules.roles import Role
from recado.rules.roster_changes import Source
from recado.tables import groups, number_changes, opt_outs, people, schools, words
from recado.tables.base import Transaction
from recado.tables.groups import Group
from recado.tables.people import Person
from recado.tables.schools import Contract, School
from tests.faults import faults

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
SCHOOL = School("aromos", "Escuela Los Aromos", "CL", "America/Santiago", "", Contract.ACTIVE, 1, NOW)
OTHER = School("other", "Otra", "CL", "America/Santiago", "", Contract.ACTIVE, 1, NOW)
DIRECTOR = Caller(SCHOOL.id, Role.DIRECTOR, "directora")
STRANGER = Caller(OTHER.id, Role.DIRECTOR, "otra")
NUMBER, NUMBER_2 = "+56955550101", "+56955550177"
GROUPS = (
    RosterGroup("school-1", "school", "Escuela", None),
    RosterGroup("level-basica", "level", "Básica", "school-1"),
    RosterGroup("grade-07", "grade", "7°", "level-basica"),
    RosterGroup("grade-08", "grade", "8°", "level-basica"),
    RosterGroup("7b", "course", "7° B", "grade-07"),
    RosterGroup("8a", "course", "8° A", "grade-08"),
)
IN_7B = frozenset({"7b", "grade-07", "level-basica", "school-1"})
IN_8A = frozenset({"8a", "grade-08", "level-basica", "school-1"})


@pytest.fixture
def school(aws: None) -> School:
    for one in (SCHOOL, OTHER):
        with Transaction() as write:
            schools.create_school(write, one, AssertionError("a new table"))
    for record in GROUPS:
        groups.save_group(SCHOOL.id, Group(record, dict.fromkeys(Who, 0)), before=None)
    return SCHOOL


def create(
    person_id: str | None = None,
    *,
    role: str = "guardian",
    key: str | None = None,
    name: str = "Rosa",
    is_first: bool = True,
    caller: Caller = DIRECTOR,
    number: str = "",
    in_groups: tuple[str, ...] = (),
    students: tuple[str, ...] = (),
    guardians: tuple[str, ...] = (),
) -> Person:
    edit = RecordEdit(role, name, "Catrileo Muñoz", number, in_groups, students, guardians)
    key = key or f"key-{person_id}"
    return people_edits.create_person(caller, NewPerson(person_id, edit), key, NOW, is_first=is_first)


def from_roster(person_id: str, role: str = "guardian", number: str | None = NUMBER, in_group: str = "7b") -> Person:
    record = RosterPerson(
        person_id, role, "Hugo", "Ibáñez", number, number or "", False, frozenset({in_group}), frozenset(), frozenset()
    )
    assert people.create_person(SCHOOL.id, 1, record)
    groups.save_memberships(SCHOOL.id, added=[(in_group, person_id)], removed=())
    return person(person_id)


def change(person_id: str, edit: RecordEdit, caller: Caller = DIRECTOR, now: datetime = LATER) -> Person:
    return people_edits.change_person(caller, person_id, edit, now)


def person(person_id: str) -> Person:
    found = people.find_person(SCHOOL.id, person_id)
    assert found is not None
    return found


def counts(group_id: str) -> tuple[int, int, int]:
    found = groups.find_group(SCHOOL.id, group_id)
    assert found is not None
    return found.members[Who.STUDENTS], found.members[Who.GUARDIANS], found.members[Who.STAFF]


def members(group_id: str) -> list[str]:
    return [one.person.id for one in directory.list_people(DIRECTOR, PeopleFilter(group_id), None)[0]]


def audience(*group_ids: str) -> set[str]:
    asked = Audience(frozenset({Who.STUDENTS, Who.GUARDIANS, Who.STAFF}), frozenset(group_ids))
    return {one.person_id for one in directory.list_audience_members(SCHOOL, asked)}


def found_by(query: str) -> list[str]:
    return [one.person.id for one in directory.list_people(DIRECTOR, PeopleFilter(query=query), None)[0]]


def problems(act: Callable[[], object]) -> list[tuple[str, str]]:
    with pytest.raises(InvalidRequest) as refusal:
        act()
    return [(one.field, one.code) for one in refusal.value.fields]


def test_somebody_made_by_hand_is_in_their_course_and_what_is_above_it(school: School) -> None:
    made = create("s1", role="student", in_groups=("7b",), number="9 5555 0101")

    assert (made.source, made.record.number, made.record.typed_number) == (Source.SCHOOL, NUMBER, "9 5555 0101")
    assert made.record.groups == IN_7B
    assert [counts(one) for one in sorted(IN_7B)] == [(1, 0, 0)] * 4
    assert members("7b") == ["s1"]
    assert audience("grade-07") == {"s1"}


def test_a_guardian_is_in_their_students_courses_and_follows_them_to_others(school: School) -> None:
    create("s1", role="student", in_groups=("7b",))
    create("s2", role="student", in_groups=("8a",))

    guardian = create("g1", students=("s1", "s2"))
    assert guardian.record.groups == IN_7B | IN_8A
    assert person("s1").record.guardians == {"g1"}

    change("s1", RecordEdit(groups=("8a",)))
    assert person("g1").record.groups == IN_8A
    assert (counts("7b"), counts("8a")) == ((0, 0, 0), (2, 1, 0))
    assert (members("7b"), members("8a")) == ([], ["g1", "s1", "s2"])

    change("s2", RecordEdit(guardians=()))
    assert person("g1").record.students == {"s1"}
    assert not person("s2").record.guardians
    change("g1", RecordEdit(students=()))
    assert person("g1").record.groups == {"school-1"}
    assert not person("s1").record.guardians


def test_a_number_that_cannot_be_used_is_kept_as_it_was_typed_L14(school: School) -> None:
    made = create("g1", number="12345")

    assert (made.record.number, made.record.typed_number, made.record.number_problem) == (None, "12345", True)


def test_each_wrong_field_is_named_and_nothing_is_written(school: School) -> None:
    create("s1", role="student")
    create("g1")
    for edit, wrong in (
        (RecordEdit("boss", "Rosa", "Soto"), ("/role", "unknown")),
        (RecordEdit("guardian", " ", "Soto"), ("/given_name", "length")),
        (RecordEdit("guardian", "R\x00sa", "Soto"), ("/given_name", "not_printable")),
        (RecordEdit("guardian", "\ud800", "Soto"), ("/given_name", "not_printable")),
        (RecordEdit("guardian", "Rosa", "S" * 101), ("/family_name", "length")),
        (RecordEdit("guardian", "Rosa", "Soto", "9" * 41), ("/number", "length")),
        (RecordEdit("guardian", "Rosa", "Soto", "9\n1"), ("/number", "not_printable")),
        (RecordEdit("student", "Rosa", "Soto", groups=("nowhere",)), ("/groups/0", "unknown_group")),
        (RecordEdit("student", "Rosa", "Soto", groups=("grade-07",)), ("/groups/0", "wrong_kind")),
        (RecordEdit("student", "Rosa", "Soto", groups=("7b", "7b")), ("/groups/1", "duplicate")),
        (RecordEdit("student", "Rosa", "Soto", groups=("7 b",)), ("/groups/0", "malformed")),
        (RecordEdit("student", "Rosa", "Soto", groups=tuple(f"c{n}" for n in range(31))), ("/groups", "too_many")),
        (RecordEdit("guardian", "Rosa", "Soto", students=("nobody",)), ("/students/0", "unknown_person")),
        (RecordEdit("guardian", "Rosa", "Soto", students=("g1",)), ("/students/0", "wrong_role")),
        (RecordEdit("guardian", "Rosa", "Soto", students=("new",)), ("/students/0", "unknown_person")),
        (RecordEdit("teacher", "Rosa", "Soto", students=("s1",)), ("/students", "wrong_role")),
        (RecordEdit("guardian", "Rosa", "Soto", guardians=("g1",)), ("/guardians", "wrong_role")),
        (RecordEdit("guardian", "Rosa", "Soto", groups=("7b",), students=("s1",)), ("/groups/0", "inherited")),
    ):
        new = NewPerson("new", edit)
        assert problems(lambda new=new: people_edits.create_person(DIRECTOR, new, "k", NOW, is_first=True)) == [  # type: ignore[misc]
            wrong
        ], edit
    for person_id, code in (("a b", "malformed"), ("x" * 65, "malformed"), ("unreachable.csv", "reserved")):
        assert problems(lambda person_id=person_id: create(person_id)) == [("/id", code)]  # type: ignore[misc]
    assert people.find_person(SCHOOL.id, "new") is None
    assert person("s1").version == 1


def test_a_repeat_of_the_same_request_is_the_same_person_and_other_words_are_not(school: School) -> None:
    first = create(key="k1")

    assert first.id.startswith("p-")
    assert create(key="k1", is_first=False) == first
    with pytest.raises(AlreadyExists):
        create(key="k1", name="Otra", is_first=False)
    with pytest.raises(IdempotencyKeyReused):
        create(key="k1")
    create("g1")
    with pytest.raises(AlreadyExists):
        create("g1")


def test_a_changed_number_is_noted_and_takes_the_opt_out_with_it_L8(school: School) -> None:
    create("g1", number=NUMBER)
    directory.set_sms(DIRECTOR, "g1", allowed=False, reason="asked", now=NOW)

    change("g1", RecordEdit(typed_number=NUMBER_2))

    assert opt_outs.find_causes(SCHOOL.id, NUMBER) == frozenset()
    assert opt_outs.find_causes(SCHOOL.id, NUMBER_2) == {"person#g1"}
    (noted,), _ = directory.list_number_changes(DIRECTOR, "g1", None)
    assert (noted.by, noted.at, noted.before, noted.after) == ("directora", LATER, NUMBER, NUMBER_2)
    assert [(one.number, one.note.added) for one in directory.list_opt_out_notes(DIRECTOR, "g1")] == [
        (NUMBER_2, True),
        (NUMBER, False),
        (NUMBER, True),
    ]


def test_numbers_are_listed_a_page_at_a_time_newest_first(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "PAGE", 2)
    create("g1", number="+56955550100")
    for position in range(1, 6):
        change("g1", RecordEdit(typed_number=f"+5695555010{position}"), now=NOW + timedelta(minutes=position))

    first, cursor = directory.list_number_changes(DIRECTOR, "g1", None)
    second, cursor = directory.list_number_changes(DIRECTOR, "g1", cursor)
    third, end = directory.list_number_changes(DIRECTOR, "g1", cursor)

    assert [one.after[-1] for page in (first, second, third) for one in page if one.after] == ["5", "4", "3", "2", "1"]
    assert end is None


def test_the_same_number_typed_otherwise_is_no_change_of_number(school: School) -> None:
    create("g1", number="9 5555 0101")

    assert change("g1", RecordEdit(typed_number=NUMBER)).record.typed_number == NUMBER
    assert number_changes.list_changes(SCHOOL.id, "g1", limit=5) == ([], None)


def test_two_who_edit_at_once_lose_nothing(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    create("g1", number=NUMBER)
    read, meanwhile = people.find_person, [RecordEdit(family_name="Soto")]

    def read_then_edit(school_id: str, person_id: str) -> Person | None:
        found = read(school_id, person_id)
        if meanwhile:
            change("g1", meanwhile.pop())
        return found

    monkeypatch.setattr(people, "find_person", read_then_edit)
    change("g1", RecordEdit(given_name="Ana"))

    assert (person("g1").record.given_name, person("g1").record.family_name) == ("Ana", "Soto")
    assert found_by("ana soto") == ["g1"]
    assert found_by("catrileo") == []


def test_two_students_who_leave_a_course_at_once_take_their_guardian_along(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    create("s1", role="student", in_groups=("7b",))
    create("s2", role="student", in_groups=("7b",))
    create("g1", students=("s1", "s2"))
    read, meanwhile = people.list_people_by_id, ["s2"]

    def read_then_edit(school_id: str, person_ids: set[str]) -> list[Person]:
        found = read(school_id, person_ids)
        if meanwhile and "s2" in person_ids:
            change(meanwhile.pop(), RecordEdit(groups=("8a",)))
        return found

    monkeypatch.setattr(people, "list_people_by_id", read_then_edit)
    change("s1", RecordEdit(groups=("8a",)))

    assert person("g1").record.groups == IN_8A
    assert (counts("7b"), counts("8a")) == ((0, 0, 0), (2, 1, 0))


def test_a_record_that_never_holds_still_is_refused(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    create("g1")
    read = people.find_person

    def read_then_write(school_id: str, person_id: str) -> Person | None:
        found = read(school_id, person_id)
        assert found is not None
        assert people.save_person(school_id, 1, found, found)
        return found

    monkeypatch.setattr(people, "find_person", read_then_write)
    with pytest.raises(StillRunning):
        change("g1", RecordEdit(given_name="Ana"))


@pytest.mark.parametrize("kind", ["lost", "applied"])
def test_an_answer_that_is_lost_changes_a_number_once(school: School, kind: str) -> None:
    create("g1", number=NUMBER)
    directory.set_sms(DIRECTOR, "g1", allowed=False, reason="asked", now=NOW)

    with faults("TransactWriteItems", kind):  # type: ignore[arg-type]
        change("g1", RecordEdit(typed_number=NUMBER_2))

    assert opt_outs.find_causes(SCHOOL.id, NUMBER_2) == {"person#g1"}
    assert len(number_changes.list_changes(SCHOOL.id, "g1", limit=5)[0]) == 1


@pytest.mark.parametrize("kind", ["lost", "applied"])
def test_an_answer_that_is_lost_counts_a_new_person_once(school: School, kind: str) -> None:
    with faults("TransactWriteItems", kind):  # type: ignore[arg-type]
        create("s1", role="student", in_groups=("7b",))

    assert counts("7b") == (1, 0, 0)
    assert person("s1").version == 1


def test_whoever_is_removed_is_in_no_group_audience_or_search_and_stays_opted_out_L8(school: School) -> None:
    create("s1", role="student", in_groups=("7b",))
    create("g1", number=NUMBER, students=("s1",))
    directory.set_sms(DIRECTOR, "g1", allowed=False, reason="asked", now=NOW)

    people_edits.remove_person(DIRECTOR, "g1", LATER, erase=False)
    people_edits.remove_person(DIRECTOR, "g1", LATER, erase=False)

    assert (members("7b"), counts("7b"), audience()) == (["s1"], (1, 0, 0), {"s1"})
    assert found_by("rosa") == ["s1"]
    assert not person("s1").record.guardians
    assert (person("g1").left_at, person("g1").record.given_name) == (LATER, "Rosa")
    assert opt_outs.find_causes(SCHOOL.id, NUMBER) == {"person#g1"}
    with pytest.raises(NotFound):
        change("g1", RecordEdit(given_name="Ana"))


def test_a_removed_students_guardian_is_no_longer_in_the_course(school: School) -> None:
    create("s1", role="student", in_groups=("7b",))
    create("g1", students=("s1",))

    people_edits.remove_person(DIRECTOR, "s1", LATER, erase=False)

    assert not person("g1").record.students
    assert person("g1").record.groups == {"school-1"}
    assert counts("7b") == (0, 0, 0)


def test_erasing_leaves_the_id_the_switch_and_the_opt_out_and_nothing_personal(school: School) -> None:
    create("g1", number=NUMBER)
    change("g1", RecordEdit(typed_number=NUMBER_2))
    directory.set_sms(DIRECTOR, "g1", allowed=False, reason="asked", now=NOW)

    people_edits.remove_person(DIRECTOR, "g1", LATER, erase=True)

    gone = person("g1")
    record = gone.record
    assert (record.given_name, record.family_name, record.number, record.typed_number) == ("", "", None, "")
    assert (gone.erased_at, gone.sms_allowed, gone.words) == (LATER, False, frozenset())
    assert words.list_found(SCHOOL.id, "rosa", limit=5) == ([], None)
    assert number_changes.list_changes(SCHOOL.id, "g1", limit=5) == ([], None)
    assert opt_outs.find_causes(SCHOOL.id, NUMBER_2) == {"person#g1"}
    assert people.list_owners(NUMBER_2, limit=5) == []


def test_whoever_left_can_be_erased_later_and_can_come_back_opted_out(school: School) -> None:
    create("g1", number=NUMBER)
    directory.set_sms(DIRECTOR, "g1", allowed=False, reason="asked", now=NOW)
    people_edits.remove_person(DIRECTOR, "g1", LATER, erase=False)
    people_edits.remove_person(DIRECTOR, "g1", LATER, erase=True)
    assert person("g1").erased_at == LATER

    back = create("g1", number=NUMBER_2)

    assert (back.left_at, back.erased_at, back.sms_allowed) == (None, None, False)
    assert opt_outs.find_causes(SCHOOL.id, NUMBER_2) == {"person#g1"}
    assert found_by("rosa") == ["g1"]


def test_another_schools_people_are_not_there(school: School) -> None:
    create("g1")
    for act in (
        lambda: change("g1", RecordEdit(given_name="X"), caller=STRANGER),
        lambda: people_edits.remove_person(STRANGER, "g1", NOW, erase=True),
        lambda: directory.list_number_changes(STRANGER, "g1", None),
        lambda: directory.list_opt_out_notes(STRANGER, "g1"),
    ):
        with pytest.raises(NotFound):
            act()
    students = RecordEdit("guardian", "A", "B", students=("g1",))
    new = NewPerson("g9", students)
    assert problems(lambda: people_edits.create_person(STRANGER, new, "k", NOW, is_first=True)) == [
        ("/students/0", "unknown_person")
    ]
    assert person("g1").version == 1


def test_only_those_in_charge_edit_people(school: School) -> None:
    create("g1")
    for role in set(Role) - {Role.DIRECTOR, Role.ADMINISTRATOR}:
        caller = Caller(SCHOOL.id, role, "somebody", "g1")
        for act in (
            lambda who: create("g2", caller=who),
            lambda who: change("g1", RecordEdit(given_name="X"), caller=who),
            lambda who: people_edits.remove_person(who, "g1", NOW, erase=False),
            lambda who: custom_groups.create_group(who, "A", (), "k", is_first=True),
            lambda who: custom_groups.rename_group(who, "custom-1", "A"),
            lambda who: custom_groups.change_members(who, "custom-1", MemberChanges()),
            lambda who: custom_groups.delete_group(who, "custom-1", lambda: timedelta(seconds=20)),
        ):
            with pytest.raises(NotAllowed):
                act(caller)
    assert person("g1").version == 1


# --- a person's own record ----------------------------------------------------------------------------------


def own(person_id: str | None = "g1", role: Role = Role.GUARDIAN, school_id: str = SCHOOL.id) -> Caller:
    return Caller(school_id, role, "u-1", person_id)


@pytest.mark.parametrize("role", [Role.GUARDIAN, Role.STUDENT, Role.TEACHER, Role.STAFF])
def test_people_opt_out_themselves_and_in_again_L10(school: School, role: Role) -> None:
    create("g1", number=NUMBER, role=role.value)

    out = own_record.set_own_sms(own(role=role), allowed=False, reason="", now=NOW)
    assert (out.opted_out, out.person.switch and out.person.switch.by) == (True, "self")
    assert opt_outs.find_causes(SCHOOL.id, NUMBER) == {"person#g1"}

    assert not own_record.set_own_sms(own(role=role), allowed=True, reason="", now=LATER).opted_out
    assert [note.by for note in opt_outs.list_notes(SCHOOL.id, NUMBER, limit=5)] == ["self", "self"]


def test_the_office_cannot_switch_on_what_the_person_switched_off_L10(school: School) -> None:
    create("g1", number=NUMBER)
    own_record.set_own_sms(own(), allowed=False, reason="no más", now=NOW)

    with pytest.raises(OptedOutThemselves):
        directory.set_sms(DIRECTOR, "g1", allowed=True, reason="needed", now=LATER)

    assert directory.get_person(DIRECTOR, "g1").opted_out


def test_a_persons_own_no_outweighs_that_the_office_had_switched_them_off_before_L10(school: School) -> None:
    create("g1", number=NUMBER)
    directory.set_sms(DIRECTOR, "g1", allowed=False, reason="wrong number", now=NOW)
    own_record.set_own_sms(own(), allowed=False, reason="", now=LATER)

    with pytest.raises(OptedOutThemselves):
        directory.set_sms(DIRECTOR, "g1", allowed=True, reason="x", now=LATER)

    assert opt_outs.find_causes(SCHOOL.id, NUMBER) == {"person#g1"}


def test_the_office_may_switch_off_whoever_switched_themselves_on(school: School) -> None:
    create("g1", number=NUMBER)
    directory.set_sms(DIRECTOR, "g1", allowed=False, reason="x", now=NOW)
    own_record.set_own_sms(own(), allowed=True, reason="", now=NOW + timedelta(minutes=1))

    assert directory.set_sms(DIRECTOR, "g1", allowed=False, reason="x", now=LATER).opted_out
    assert not directory.set_sms(DIRECTOR, "g1", allowed=True, reason="x", now=LATER + timedelta(hours=1)).opted_out


def test_what_the_handset_replied_stays_until_it_replies_alta(school: School) -> None:
    create("g1", number=NUMBER)
    with Transaction() as write:
        opt_outs.change_cause(write, SCHOOL.id, NUMBER, opt_outs.Note("reply", True, "handset", NOW, "reply"))

    seen = own_record.set_own_sms(own(), allowed=True, reason="", now=LATER)

    assert (seen.person.sms_allowed, seen.opted_out, seen.replied_stop) == (True, True, True)


def test_families_correct_their_own_number_L14(school: School) -> None:
    from_roster("g1")
    directory.set_sms(DIRECTOR, "g1", allowed=False, reason="asked", now=NOW)

    seen = own_record.set_own_number(own(), "9 5555 0177", LATER)

    assert (seen.person.record.number, seen.opted_out) == (NUMBER_2, True)
    assert seen.person.correction is not None
    assert (seen.person.correction.by, seen.person.correction.roster_number) == ("self", NUMBER)
    assert opt_outs.find_causes(SCHOOL.id, NUMBER_2) == {"person#g1"}
    assert opt_outs.find_causes(SCHOOL.id, NUMBER) == frozenset()
    (noted,), _ = directory.list_number_changes(DIRECTOR, "g1", None)
    assert (noted.by, noted.after) == ("self", NUMBER_2)


def test_an_own_number_must_be_usable_or_none_L14(school: School) -> None:
    from_roster("g1")

    for typed in ("12345", "no tengo", "9 5555 0101 / 9 5555 0177"):
        assert problems(lambda typed=typed: own_record.set_own_number(own(), typed, NOW)) == [  # type: ignore[misc]
            ("/number", "unusable_number")
        ]
    assert problems(lambda: own_record.set_own_number(own(), "9" * 41, NOW)) == [("/number", "length")]
    assert person("g1").record.number == NUMBER

    assert own_record.set_own_number(own(), "", NOW).person.record.number is None


def test_own_records_are_nobody_elses(school: School) -> None:
    create("g1", number=NUMBER)
    create("t1", number=NUMBER, role="teacher")
    acts: list[Callable[[Caller], object]] = [
        own_record.get_own,
        lambda who: own_record.set_own_sms(who, allowed=False, reason="", now=NOW),
        lambda who: own_record.set_own_number(who, NUMBER_2, NOW),
    ]
    for caller in (own(None), own("nobody"), own("g1", school_id=OTHER.id)):
        for act in acts:
            with pytest.raises(NotFound):
                act(caller)
    with pytest.raises(NotAllowed):
        own_record.set_own_number(own("t1", Role.TEACHER), NUMBER_2, NOW)
    people_edits.remove_person(DIRECTOR, "g1", NOW, erase=False)
    with pytest.raises(NotFound):
        own_record.get_own(own())


def test_a_number_that_two_correct_at_once_is_one_of_the_two(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    from_roster("g1")
    read, meanwhile = people.find_person, ["+56955550188"]

    def read_then_edit(school_id: str, person_id: str) -> Person | None:
        found = read(school_id, person_id)
        if meanwhile:
            change("g1", RecordEdit(typed_number=meanwhile.pop()))
        return found

    monkeypatch.setattr(people, "find_person", read_then_edit)
    own_record.set_own_number(own(), NUMBER_2, LATER + timedelta(minutes=1))

    changes, _ = number_changes.list_changes(SCHOOL.id, "g1", limit=5)
    assert [(one.before, one.after) for one in changes] == [("+56955550188", NUMBER_2), (NUMBER, "+56955550188")]
    found = person("g1")
    assert found.correction is not None
    assert (found.record.number, found.correction.roster_number) == (NUMBER_2, NUMBER)
