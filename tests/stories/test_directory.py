"""The directory on moto: who sees what, the SMS switch (L8), and the members of an audience in order."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from recado import directory
from recado.access import Caller
from recado.directory import PeopleFilter
from recado.errors import NotAllowed, NotFound, StillRunning
from recado.rules.audience import Audience, Who, is_in
from recado.rules.oneroster import RosterGroup, RosterPerson
from recado.rules.roles import Role
from recado.tables import groups, opt_outs, people
from recado.tables.base import Transaction
from recado.tables.groups import Group
from recado.tables.opt_outs import Note
from recado.tables.people import SmsSwitch
from recado.tables.schools import Contract, School

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SCHOOL = School("aromos", "Escuela Los Aromos", "CL", "America/Santiago", "", Contract.ACTIVE, 1, NOW)
WIDE = School("wide", "Colegio Ancho", "CL", "America/Santiago", "", Contract.ACTIVE, 4, NOW)
DIRECTOR = Caller("aromos", Role.DIRECTOR, "staff-01")
NUMBER = "+56955550101"


def record(person_id: str, role: str = "guardian", number: str | None = NUMBER, group: str = "7b") -> RosterPerson:
    return RosterPerson(
        id=person_id,
        role=role,
        given_name="Rosa",
        family_name="Catrileo",
        number=number,
        typed_number=number or "",
        number_problem=False,
        groups=frozenset({group}),
        guardians=frozenset(),
        students=frozenset(),
    )


def add(records: Iterable[RosterPerson], school: School = SCHOOL) -> None:
    found = list(records)
    for group_id in sorted({group_id for one in found for group_id in one.groups}):
        group = Group(RosterGroup(group_id, "course", group_id.upper(), None), dict.fromkeys(Who, 0))
        groups.save_group(school.id, group, before=None)
    for one in found:
        assert people.create_person(school.id, school.shards, one)
    groups.save_memberships(school.id, added=[(g, one.id) for one in found for g in one.groups], removed=())


def save(before: people.Person, after: people.Person) -> None:
    with Transaction() as write:
        people.save_person_in(write, SCHOOL.id, 1, before, after)


def switch(person_id: str, *, allowed: bool, reason: str = "asked", now: datetime = NOW) -> None:
    directory.set_sms(DIRECTOR, person_id, allowed=allowed, reason=reason, now=now)


def ids_of(audience: Audience, school: School = SCHOOL) -> list[str]:
    return [one.person_id for one in directory.list_audience_members(school, audience) if is_in(audience, one)]


def test_switching_sms_off_marks_the_person_and_their_number_at_once(aws: None) -> None:
    add([record("g1")])

    seen = directory.set_sms(DIRECTOR, "g1", allowed=False, reason="asked at the meeting", now=NOW)

    assert seen.opted_out
    assert seen.person.switch == SmsSwitch(False, "staff-01", NOW, "asked at the meeting")
    assert opt_outs.find_causes("aromos", NUMBER) == {"person#g1"}
    assert opt_outs.list_notes("aromos", NUMBER, limit=5) == [
        Note("person#g1", True, "staff-01", NOW, "asked at the meeting")
    ]


def test_switching_sms_on_again_frees_the_number(aws: None) -> None:
    add([record("g1")])
    switch("g1", allowed=False)

    seen = directory.set_sms(DIRECTOR, "g1", allowed=True, reason="asked again", now=NOW + timedelta(days=1))

    assert not seen.opted_out
    assert opt_outs.find_causes("aromos", NUMBER) == frozenset()
    assert [note.added for note in opt_outs.list_notes("aromos", NUMBER, limit=5)] == [False, True]


def test_switching_to_what_it_is_keeps_the_first_who_and_why(aws: None) -> None:
    add([record("g1")])
    switch("g1", allowed=False, reason="first")

    switch("g1", allowed=False, reason="second", now=NOW + timedelta(days=1))

    person = directory.get_person(DIRECTOR, "g1").person
    assert person.switch == SmsSwitch(False, "staff-01", NOW, "first")
    assert len(opt_outs.list_notes("aromos", NUMBER, limit=5)) == 1


def test_one_of_a_couple_who_opts_out_does_not_silence_the_other(aws: None) -> None:
    add([record("g1"), record("g2")])

    switch("g1", allowed=False)

    assert directory.get_person(DIRECTOR, "g1").opted_out
    assert not directory.get_person(DIRECTOR, "g2").opted_out


def test_the_office_cannot_take_back_what_the_handset_replied(aws: None) -> None:
    add([record("g1")])
    switch("g1", allowed=False)
    with Transaction() as write:
        opt_outs.change_cause(write, "aromos", NUMBER, Note("reply", True, "handset", NOW, "BAJA"))

    seen = directory.set_sms(DIRECTOR, "g1", allowed=True, reason="asked", now=NOW + timedelta(days=1))

    assert seen.person.sms_allowed
    assert seen.opted_out
    assert opt_outs.find_causes("aromos", NUMBER) == {"reply"}


def test_somebody_without_a_number_can_be_switched_off(aws: None) -> None:
    add([record("g1", number=None)])

    assert directory.set_sms(DIRECTOR, "g1", allowed=False, reason="asked", now=NOW).opted_out


def test_a_switch_that_meets_an_import_is_made_on_the_new_number(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    add([record("g1")])
    read = people.find_person
    imported = False

    def read_then_import(school_id: str, person_id: str) -> people.Person | None:
        nonlocal imported
        person = read(school_id, person_id)
        if person is not None and not imported:
            imported = True
            save(person, replace(person, record=record("g1", number="+56955550177")))
        return person

    monkeypatch.setattr(people, "find_person", read_then_import)
    switch("g1", allowed=False)

    assert opt_outs.find_causes("aromos", NUMBER) == frozenset()
    assert opt_outs.find_causes("aromos", "+56955550177") == {"person#g1"}


def test_a_record_that_never_holds_still_is_refused_and_not_written(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    add([record("g1")])
    read = people.find_person

    def read_then_write(school_id: str, person_id: str) -> people.Person | None:
        person = read(school_id, person_id)
        assert person is not None
        save(person, person)
        return person

    monkeypatch.setattr(people, "find_person", read_then_write)
    with pytest.raises(StillRunning):
        switch("g1", allowed=False)

    assert opt_outs.find_causes("aromos", NUMBER) == frozenset()


def test_only_those_in_charge_see_and_change_records(aws: None) -> None:
    add([record("g1")])

    for role in (Role.TEACHER, Role.STAFF, Role.GUARDIAN, Role.STUDENT, Role.OPERATOR):
        caller = Caller("aromos", role, "somebody")
        for refused in (
            lambda who: directory.list_groups(who),
            lambda who: directory.list_people(who, PeopleFilter(), None),
            lambda who: directory.list_number_changes(who, "g1", None),
            lambda who: directory.list_opt_out_notes(who, "g1"),
            lambda who: directory.get_person(who, "g1"),
            lambda who: directory.set_sms(who, "g1", allowed=False, reason="x", now=NOW),
        ):
            with pytest.raises(NotAllowed):
                refused(caller)
    assert directory.get_person(DIRECTOR, "g1").person.sms_allowed


def test_another_schools_people_and_groups_are_not_there(aws: None) -> None:
    add([record("g1")])
    stranger = Caller("wide", Role.DIRECTOR, "staff-01")

    assert directory.list_groups(stranger) == []
    assert directory.list_people(stranger, PeopleFilter(), None) == ([], None)
    with pytest.raises(NotFound):
        directory.get_person(stranger, "g1")
    with pytest.raises(NotFound):
        directory.list_people(stranger, PeopleFilter("7b"), None)
    with pytest.raises(NotFound):
        directory.set_sms(stranger, "g1", allowed=False, reason="x", now=NOW)


def pages_of(group: str | None) -> list[list[str]]:
    pages: list[list[str]] = []
    cursor = None
    while not pages or cursor is not None:
        page, cursor = directory.list_people(DIRECTOR, PeopleFilter(group), cursor)
        pages.append([one.person.id for one in page])
    return pages


def test_pages_give_everybody_once_in_order(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "PAGE", 2)
    add([record("x1", group="one")])
    add([record(f"x{position}", group="four") for position in range(2, 6)])
    add([record(f"x{position}", group="three") for position in range(6, 9)])

    assert pages_of("one") == [["x1"]]
    assert pages_of("four") == [["x2", "x3"], ["x4", "x5"]]
    assert pages_of("three") == [["x6", "x7"], ["x8"]]
    assert pages_of(None) == [["x1", "x2"], ["x3", "x4"], ["x5", "x6"], ["x7", "x8"]]


def test_whoever_left_is_on_no_list_and_in_no_audience(aws: None) -> None:
    add([record("g1"), record("g2")])
    person = directory.get_person(DIRECTOR, "g1").person
    save(person, replace(person, left_at=NOW))

    page, _ = directory.list_people(DIRECTOR, PeopleFilter(), None)

    assert [one.person.id for one in page] == ["g2"]
    assert ids_of(Audience(frozenset({Who.GUARDIANS}))) == ["g2"]
    assert ids_of(Audience(frozenset(), people=frozenset({"g1", "g2"}))) == ["g2"]


@pytest.mark.parametrize("school", [SCHOOL, WIDE], ids=["one-shard", "four-shards"])
def test_equal_numbers_meet_whatever_the_shard(aws: None, school: School) -> None:
    numbers = [f"+5695555{position:04}" for position in range(12)]
    add([record(f"{child}-{number[1:]}", number=number) for child in "ab" for number in numbers], school)
    add([record("nobody", number=None)], School("x", "", "CL", "", "", Contract.ACTIVE, 1, NOW))

    audience = Audience(frozenset({Who.GUARDIANS}))

    members = [one for one in directory.list_audience_members(school, audience) if is_in(audience, one)]

    found = [member.number for member in members]
    assert len(found) == 24
    assert found[::2] == found[1::2]
    assert sorted(set(filter(None, found))) == numbers


def test_an_audience_is_who_in_which_groups_and_individuals(aws: None) -> None:
    add([record("g1"), record("g2", group="8a"), record("s1", role="student"), record("t1", role="teacher")])

    assert ids_of(Audience(frozenset({Who.GUARDIANS}), groups=frozenset({"7b"}))) == ["g1"]
    assert set(ids_of(Audience(frozenset({Who.GUARDIANS, Who.STAFF})))) == {"g1", "g2", "t1"}
    assert set(ids_of(Audience(frozenset({Who.STUDENTS}), people=frozenset({"g2"})))) == {"s1", "g2"}


def test_individuals_come_in_the_order_of_their_numbers(aws: None) -> None:
    add([record("c", number="+56955550101"), record("a", number=None), record("b", number="+56955550102")])
    everybody = frozenset({"a", "b", "c", "unknown"})

    assert ids_of(Audience(frozenset(), people=everybody)) == ["c", "b", "a"]
    assert ids_of(Audience(frozenset(), people=everybody, minus_people=frozenset({"b"}))) == ["c", "a"]


def test_whose_handset_a_number_is_is_known_in_every_school(aws: None) -> None:
    add([record("g1"), record("g2")])
    add([record("p9")], WIDE)

    assert sorted(people.list_owners(NUMBER, limit=10)) == [("aromos", "g1"), ("aromos", "g2"), ("wide", "p9")]
    assert people.list_owners("+56955559999", limit=10) == []
