"""Finding people by name and number, and those whom no SMS reaches (L14)."""

from datetime import UTC, datetime

import pytest

from recado import directory, people_edits, unreachable
from recado.access import Caller
from recado.directory import PeopleFilter
from recado.errors import InvalidRequest, NotAllowed, NotFound
from recado.rules.audience import SkipReason
from recado.rules.oneroster import RosterGroup, RosterPerson
from recado.rules.roles import Role
from recado.tables import groups, people, schools, words
from recado.tables.base import Transaction
from recado.tables.groups import Group
from recado.tables.schools import Contract, School

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SCHOOL = School("aromos", "Escuela Los Aromos", "CL", "America/Santiago", "", Contract.ACTIVE, 2, NOW)
DIRECTOR = Caller(SCHOOL.id, Role.DIRECTOR, "directora")
NOBODY: frozenset[str] = frozenset()


@pytest.fixture
def school(aws: None) -> School:
    with Transaction() as write:
        schools.create_school(write, SCHOOL, AssertionError("a new table"))
    for group_id, name in (("7b", "7° B"), ("8a", "8° A")):
        groups.save_group(SCHOOL.id, Group(RosterGroup(group_id, "course", name, None), {}), before=None)
    return SCHOOL


def add(
    person_id: str,
    given: str = "Ana",
    family: str = "Soto",
    *,
    role: str = "guardian",
    number: str | None = None,
    typed: str = "",
    group: str = "7b",
    students: frozenset[str] = NOBODY,
) -> None:
    record = RosterPerson(
        id=person_id,
        role=role,
        given_name=given,
        family_name=family,
        number=number,
        typed_number=typed or number or "",
        number_problem=bool(typed) and number is None,
        groups=frozenset({group}),
        guardians=NOBODY,
        students=students,
    )
    assert people.create_person(SCHOOL.id, SCHOOL.shards, record)


def found(query: str, group: str | None = None, role: str | None = None) -> list[str]:
    listed, following = directory.list_people(DIRECTOR, PeopleFilter(group, role, query), None)
    assert following is None
    return [one.person.id for one in listed]


def test_a_name_is_found_by_how_its_words_begin_whatever_accents_and_case(school: School) -> None:
    add("g1", "Rosa María", "Catrileo Muñoz")
    add("g2", "Rosendo", "Núñez")

    for query in ("rosa", "MUNOZ", "muñoz", "María", "mar cat", "catrileo rosa", "Muñ", "Rosa-María"):
        assert found(query) == ["g1"], query
    assert sorted(found("ros")) == ["g1", "g2"]
    assert found("osa") == found("rosa nunez") == []


def test_a_number_is_found_whole_or_by_its_last_digits_also_one_that_cannot_be_used(school: School) -> None:
    add("g1", number="+56955550101")
    add("g2", typed="12345")

    for query in ("+56 9 5555 0101", "955550101", "0101", "101", "00569 5555-0101"):
        assert found(query) == ["g1"], query
    assert found("2345") == ["g2"]
    assert found("5555") == []


def test_a_person_is_listed_once_however_many_of_their_words_begin_so(school: School) -> None:
    add("g1", "Ana Anabel", "Anaya")

    assert found("an") == ["g1"]


def test_a_search_narrows_to_a_group_and_a_role(school: School) -> None:
    add("g1", group="7b")
    add("g2", group="8a")
    add("t1", group="8a", role="teacher")

    assert found("ana", group="8a") == ["g2", "t1"]
    assert found("ana", group="8a", role="teacher") == ["t1"]
    with pytest.raises(NotFound):
        found("ana", group="nowhere")


def test_people_are_listed_by_role_without_reading_more_than_some_pages(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "PAGE", 2)
    monkeypatch.setattr(directory, "ROUNDS_MAX", 2)
    for position in range(7):
        add(f"p{position}", role="teacher" if position == 6 else "guardian")

    listed: list[str] = []
    cursors: list[str | None] = [None]
    while len(cursors) == 1 or cursors[-1] is not None:
        page, following = directory.list_people(DIRECTOR, PeopleFilter(role="teacher"), cursors[-1])
        listed += [one.person.id for one in page]
        cursors.append(following)

    assert (listed, cursors) == (["p6"], [None, "p3", None])


def test_pages_of_a_search_give_everybody_once(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "PAGE", 2)
    for position in range(5):
        add(f"g{position}", "Ana", f"Soto{position}")

    listed: list[str] = []
    cursor, rounds = None, 0
    while rounds == 0 or cursor is not None:
        page, cursor = directory.list_people(DIRECTOR, PeopleFilter(query="so"), cursor)
        listed += [one.person.id for one in page]
        rounds += 1

    assert listed == [f"g{position}" for position in range(5)]


def test_what_is_no_search_and_no_cursor_is_refused(school: School) -> None:
    for query in ("12", "--", "+", "\x00", "¿?"):
        with pytest.raises(InvalidRequest) as refusal:
            found(query)
        assert [(one.field, one.code) for one in refusal.value.fields] == [("/query/q", "nothing_to_search")]
    for cursor in ("x", "_w", "bXVub3o", "bXVub3ojZzE"):
        with pytest.raises(InvalidRequest) as refusal:
            directory.list_people(DIRECTOR, PeopleFilter(query="rosa"), cursor)
        assert [one.field for one in refusal.value.fields] == ["/query/cursor"]


def test_another_schools_people_are_not_found(school: School) -> None:
    add("g1")

    stranger = Caller("other", Role.DIRECTOR, "otra")

    assert directory.list_people(stranger, PeopleFilter(query="ana"), None) == ([], None)


def test_a_word_whose_person_is_not_there_finds_nobody(school: School) -> None:
    words.save_words(SCHOOL.id, [("ana", "nobody")])
    add("g1", "Rosa", "Ana")
    words.save_words(SCHOOL.id, [("anabel", "g1")])

    assert found("ana") == ["g1"]
    assert found("anab") == []


# --- whom no SMS reaches ------------------------------------------------------------------------------------


def list_unreachable(
    group: str | None = None, cursor: str | None = None, limit: int = 100
) -> tuple[list[tuple[str, SkipReason]], str | None]:
    listed, following = unreachable.list_unreachable(DIRECTOR, group, cursor, limit=limit)
    return [(one.person.id, one.reason) for one in listed], following


def test_people_without_a_usable_number_are_listed_with_the_reason_L14(school: School) -> None:
    add("g1", number="+56955550101")
    add("g2")
    add("g3", typed="12345")
    add("g4", group="8a")
    add("g5")
    people_edits.remove_person(DIRECTOR, "g5", NOW, erase=False)

    everybody, _ = list_unreachable()

    assert sorted(everybody) == [
        ("g2", SkipReason.NO_NUMBER),
        ("g3", SkipReason.UNUSABLE_NUMBER),
        ("g4", SkipReason.NO_NUMBER),
    ]
    assert list_unreachable("8a") == ([("g4", SkipReason.NO_NUMBER)], None)


def test_guardians_without_a_number_show_whose_they_are_L14(school: School) -> None:
    add("s1", "Lautaro", "Soto", role="student", number="+56955550101")
    add("g1", students=frozenset({"s1", "gone"}))

    (one,), _ = unreachable.list_unreachable(DIRECTOR, None, None, limit=10)

    assert (one.students, one.groups, unreachable.full_name(one.person)) == (("Lautaro Soto",), ("7° B",), "Ana Soto")


def test_pages_of_the_unreachable_give_everybody_once_over_all_shards_L14(school: School) -> None:
    for position in range(9):
        add(f"g{position}")

    listed: list[str] = []
    cursor, rounds = None, 0
    while rounds == 0 or cursor is not None:
        page, cursor = list_unreachable(cursor=cursor, limit=2)
        listed += [one for one, _ in page]
        rounds += 1

    assert sorted(listed) == [f"g{position}" for position in range(9)]


def test_who_may_see_the_unreachable_and_of_what(school: School) -> None:
    for role in set(Role) - {Role.DIRECTOR, Role.ADMINISTRATOR}:
        with pytest.raises(NotAllowed):
            unreachable.list_unreachable(Caller(SCHOOL.id, role, "x"), None, None, limit=5)
    with pytest.raises(NotFound):
        list_unreachable("nowhere")
    for cursor in ("x", "2.", "-1.g1", "0", "00.g1"):
        with pytest.raises(InvalidRequest):
            list_unreachable(cursor=cursor)
