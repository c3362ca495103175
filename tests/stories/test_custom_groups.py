"""Groups that the school makes itself: who is in them, how many, and that the roster's are left alone (L3)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from recado import custom_groups, directory, people_edits
from recado.access import Caller
from recado.custom_groups import MemberChanges
from recado.directory import PeopleFilter
from recado.errors import AlreadyExists, IdempotencyKeyReused, InvalidRequest, NotFound, StillRunning, WrongState
from recado.rules.audience import Audience, Who
from recado.rules.oneroster import RosterGroup, RosterPerson
from recado.rules.roles import Role
from recado.tables import groups, people, schools
from recado.tables.base import Transaction
from recado.tables.groups import Group
from recado.tables.people import Person
from recado.tables.schools import Contract, School
from tests.faults import faults

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SCHOOL = School("aromos", "Escuela Los Aromos", "CL", "America/Santiago", "", Contract.ACTIVE, 1, NOW)
OTHER = School("other", "Otra", "CL", "America/Santiago", "", Contract.ACTIVE, 1, NOW)
DIRECTOR = Caller(SCHOOL.id, Role.DIRECTOR, "directora")
NOBODY: frozenset[str] = frozenset()


@pytest.fixture
def school(aws: None) -> School:
    for one in (SCHOOL, OTHER):
        with Transaction() as write:
            schools.create_school(write, one, AssertionError("a new table"))
    groups.save_group(SCHOOL.id, Group(RosterGroup("7b", "course", "7° B", None), {}), before=None)
    return SCHOOL


def add(person_id: str, role: str = "student", guardians: frozenset[str] = NOBODY) -> str:
    record = RosterPerson(person_id, role, "Ana", "Soto", None, "", False, NOBODY, guardians, NOBODY)
    assert people.create_person(SCHOOL.id, 1, record)
    return person_id


def create(*person_ids: str, name: str = "Coro", key: str = "k1", is_first: bool = True) -> Group:
    return custom_groups.create_group(DIRECTOR, name, person_ids, key, is_first=is_first)


def change(group_id: str, *, add: tuple[str, ...] = (), remove: tuple[str, ...] = (), families: bool = False) -> Group:
    return custom_groups.change_members(DIRECTOR, group_id, MemberChanges(add, remove, families))


def delete(group_id: str, seconds_left: float = 20) -> None:
    custom_groups.delete_group(DIRECTOR, group_id, lambda: timedelta(seconds=seconds_left))


def members(group_id: str) -> list[str]:
    return [one.person.id for one in directory.list_people(DIRECTOR, PeopleFilter(group_id), None)[0]]


def groups_of(person_id: str) -> frozenset[str]:
    found = people.find_person(SCHOOL.id, person_id)
    assert found is not None
    return found.record.groups


def audience(group_id: str) -> list[str]:
    asked = Audience(frozenset({Who.STUDENTS, Who.GUARDIANS}), frozenset({group_id}))
    return [one.person_id for one in directory.list_audience_members(SCHOOL, asked)]


def problems(act: Callable[[], object]) -> list[tuple[str, str]]:
    with pytest.raises(InvalidRequest) as refusal:
        act()
    return [(one.field, one.code) for one in refusal.value.fields]


def test_a_custom_group_is_an_audience_like_any_other_L3(school: School) -> None:
    made = create(add("s1"), add("g1", "guardian"), name="  Coro   de 7° ")

    assert made.record.id.startswith("custom-")
    assert (made.record.kind, made.record.name, made.record.parent) == ("custom", "Coro de 7°", None)
    assert made.members == {Who.STUDENTS: 1, Who.GUARDIANS: 1, Who.STAFF: 0}
    assert audience(made.record.id) == members(made.record.id) == ["g1", "s1"]
    assert made in directory.list_groups(DIRECTOR)


def test_people_come_in_and_go_out_and_twice_is_once(school: School) -> None:
    group_id = create().record.id
    for one in ("s1", "s2", "s3"):
        add(one)

    change(group_id, add=("s1", "s2"))
    assert change(group_id, add=("s2", "s3"), remove=("s1",)).members[Who.STUDENTS] == 2
    assert change(group_id, add=("s2",), remove=("s1",)).members[Who.STUDENTS] == 2

    assert members(group_id) == ["s2", "s3"]
    assert groups_of("s1") == NOBODY


def test_guardians_come_along_when_asked_for(school: School) -> None:
    group_id = create().record.id
    add("g1", "guardian")
    add("s1", guardians=frozenset({"g1"}))

    assert change(group_id, add=("s1",)).members[Who.GUARDIANS] == 0
    assert change(group_id, add=("s1",), families=True).members[Who.GUARDIANS] == 1
    assert change(group_id, remove=("s1",), families=True).members == dict.fromkeys(Who, 0)


def test_an_unknown_person_is_named_by_position_and_nothing_is_written(school: School) -> None:
    group_id = create(add("s1")).record.id
    add("s2")

    assert problems(lambda: change(group_id, add=("s2", "nobody", "who"), remove=("s1", "x"))) == [
        ("/add/1", "unknown_person"),
        ("/add/2", "unknown_person"),
        ("/remove/1", "unknown_person"),
    ]
    assert problems(lambda: change(group_id, add=("s2",), remove=("s2",))) == [("/add/0", "in_both_lists")]
    assert problems(lambda: change(group_id, add=("s2", "s2"))) == [("/add/1", "duplicate")]
    assert problems(lambda: change(group_id, add=("P#1",))) == [("/add/0", "malformed")]
    assert problems(lambda: change(group_id, add=tuple(f"s{n}" for n in range(1001)))) == [("/add", "too_many")]
    assert problems(lambda: create("nobody", key="k2")) == [("/people/0", "unknown_person")]
    assert members(group_id) == ["s1"]
    assert len(directory.list_groups(DIRECTOR)) == 2


def test_a_name_must_be_there_and_printable(school: School) -> None:
    group_id = create().record.id
    for name, code in (("", "length"), (" ", "length"), ("x" * 101, "length"), ("a\x00b", "not_printable")):
        assert problems(lambda name=name: create(name=name, key="k2")) == [("/name", code)]  # type: ignore[misc]
        assert problems(lambda name=name: custom_groups.rename_group(DIRECTOR, group_id, name)) == [  # type: ignore[misc]
            ("/name", code)
        ]


def test_a_repeat_makes_no_second_group(school: School) -> None:
    made = create(add("s1"))

    assert create("s1", is_first=False) == made
    with pytest.raises(AlreadyExists):
        create("s1", name="Otro", is_first=False)
    with pytest.raises(IdempotencyKeyReused):
        create("s1")


def test_a_group_of_the_rosters_is_left_alone(school: School) -> None:
    add("s1")
    for act in (
        lambda: change("7b", add=("s1",)),
        lambda: custom_groups.rename_group(DIRECTOR, "7b", "X"),
        lambda: delete("7b"),
    ):
        with pytest.raises(WrongState):
            act()
    assert groups_of("s1") == NOBODY


def test_another_schools_group_is_not_there(school: School) -> None:
    group_id = create(add("s1")).record.id
    stranger = Caller(OTHER.id, Role.DIRECTOR, "otra")
    for act in (
        lambda: custom_groups.rename_group(stranger, group_id, "X"),
        lambda: custom_groups.change_members(stranger, group_id, MemberChanges(remove=("s1",))),
        lambda: custom_groups.delete_group(stranger, group_id, lambda: timedelta(seconds=20)),
        lambda: directory.list_people(stranger, PeopleFilter(group_id), None),
    ):
        with pytest.raises(NotFound):
            act()
    assert members(group_id) == ["s1"]


def test_renaming_keeps_who_is_in_it(school: School) -> None:
    made = create(add("s1"))

    renamed = custom_groups.rename_group(DIRECTOR, made.record.id, "Banda")

    assert (renamed.record.name, renamed.members) == ("Banda", made.members)


def test_a_deleted_group_leaves_nobody_in_it(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(custom_groups, "CHUNK", 2)
    ids = [add(f"s{position}") for position in range(5)]
    group_id = create(*ids).record.id
    people_edits.remove_person(DIRECTOR, "s4", NOW, erase=False)

    delete(group_id)

    assert groups.find_group(SCHOOL.id, group_id) is None
    assert list(groups.list_all_member_ids(SCHOOL.id, group_id)) == []
    assert [groups_of(one) for one in ids] == [NOBODY] * 5
    with pytest.raises(NotFound):
        delete(group_id)


def test_a_large_group_is_deleted_in_several_requests_and_closed_meanwhile(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(custom_groups, "CHUNK", 2)
    ids = [add(f"s{position}") for position in range(5)]
    group_id = create(*ids).record.id
    left = [20, 20, 1]

    with pytest.raises(StillRunning):
        custom_groups.delete_group(DIRECTOR, group_id, lambda: timedelta(seconds=left.pop(0)))

    assert len(list(groups.list_all_member_ids(SCHOOL.id, group_id))) == 1
    assert [group.record.id for group in directory.list_groups(DIRECTOR)] == ["7b"]
    with pytest.raises(NotFound):
        change(group_id, add=("s0",))
    delete(group_id)
    assert groups.find_group(SCHOOL.id, group_id) is None


@pytest.mark.parametrize("kind", ["lost", "applied"])
def test_an_answer_that_is_lost_counts_nobody_twice(school: School, kind: str) -> None:
    group_id = create().record.id
    add("s1")

    with faults("TransactWriteItems", kind):  # type: ignore[arg-type]
        assert change(group_id, add=("s1",)).members[Who.STUDENTS] == 1
    with faults("TransactWriteItems", kind):  # type: ignore[arg-type]
        assert change(group_id, remove=("s1",)).members[Who.STUDENTS] == 0


def test_who_is_moved_by_two_at_once_is_counted_once(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    group_id = create().record.id
    add("s1")
    read, meanwhile = people.list_people_by_id, [1, 1]

    def read_then_move(school_id: str, person_ids: list[str]) -> list[Person]:
        found = read(school_id, person_ids)
        if len(meanwhile) == 1:
            meanwhile.pop()
            change(group_id, add=("s1",))
        elif meanwhile:
            meanwhile.pop()  # the first reading only checks that they exist
        return found

    monkeypatch.setattr(people, "list_people_by_id", read_then_move)
    assert change(group_id, add=("s1",)).members[Who.STUDENTS] == 1
