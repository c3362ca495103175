"""Importing a roster on moto: what it owns, what it leaves alone, and that it may die at any write."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import batched
from pathlib import Path
from typing import Any

import boto3
import pytest

from recado import custom_groups, directory, imports, own_record, people_edits
from recado.access import Caller
from recado.directory import PeopleFilter
from recado.errors import OptedOutThemselves
from recado.people_edits import NewPerson
from recado.roster_import import import_roster
from recado.rules.audience import Audience, Who, is_in
from recado.rules.import_states import ImportState
from recado.rules.person_records import RecordEdit
from recado.rules.roles import Role
from recado.rules.roster_changes import Source
from recado.rules.roster_diff import people_counts
from recado.tables import groups, opt_outs, people, schools
from recado.tables import imports as import_table
from recado.tables.base import Transaction, shared_connection
from recado.tables.imports import Import
from recado.tables.people import Person
from recado.tables.schools import Contract, School
from tests import rosters
from tests.rosters import FILES, edited

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SCHOOL = School("aromos", "Escuela Los Aromos", "CL", "America/Santiago", "", Contract.ACTIVE, 1, NOW)
DIRECTOR = Caller(SCHOOL.id, Role.DIRECTOR, "staff-01")
DEMO = Path(__file__).parents[2] / "local" / "demo" / "oneroster"


@pytest.fixture
def school(aws: None, monkeypatch: pytest.MonkeyPatch) -> School:
    rosters.one_after_the_other(monkeypatch)
    with Transaction() as write:
        schools.create_school(write, SCHOOL, AssertionError("a new table"))
    return SCHOOL


def run(import_id: str, files: Mapping[str, str | bytes] = FILES, now: datetime = NOW) -> Import:
    rosters.put(f"imports/{SCHOOL.id}/{import_id}.zip", rosters.zipped(files))
    return run_again(import_id, now)


def run_again(import_id: str, now: datetime) -> Import:
    """Whoever takes up an import, or is called a second time for one."""
    return import_roster(SCHOOL.id, import_id, lambda: now, lambda: timedelta(minutes=10))


def counts(result: Import) -> dict[str, int]:
    return people_counts(result.counts)


def person(person_id: str) -> Person:
    found = people.find_person(SCHOOL.id, person_id)
    assert found is not None
    return found


def switch_off(person_id: str) -> None:
    directory.set_sms(DIRECTOR, person_id, allowed=False, reason="asked", now=NOW)


def members(group_id: str) -> list[str]:
    found, following = directory.list_people(DIRECTOR, PeopleFilter(group_id), None)
    assert following is None
    return [one.person.id for one in found]


def audience_ids(*who: Who) -> list[str]:
    audience = Audience(frozenset(who))
    return [one.person_id for one in directory.list_audience_members(SCHOOL, audience) if is_in(audience, one)]


def missing_members() -> list[tuple[str, str]]:
    """People whose record names a group that does not list them."""
    return [
        (group_id, one.id)
        for one in people.list_everybody(SCHOOL.id)
        for group_id in one.record.groups
        if one.id not in set(groups.list_all_member_ids(SCHOOL.id, group_id))
    ]


def snapshot() -> list[dict[str, Any]]:
    """Every row of the table but those of the imports themselves."""
    rows: list[dict[str, Any]] = boto3.client("dynamodb").scan(TableName=os.environ["PEOPLE_TABLE"])["Items"]
    kept = [row for row in rows if "IMPORT" not in row["pk"]["S"] + row["sk"]["S"]]
    for row in kept:
        for value in row.values():
            if "SS" in value:
                value["SS"] = sorted(value["SS"])
    return sorted(kept, key=lambda row: (row["pk"]["S"], row["sk"]["S"]))


WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"})


@contextmanager
def watching(on_write: Callable[[str, int], None]) -> Iterator[None]:
    """Calls a function with each write's name and number, before it is sent."""
    events = shared_connection().client.meta.events
    count = 0

    def before(request: Any, **_: Any) -> None:
        nonlocal count
        operation = request.headers["X-Amz-Target"].decode().partition(".")[2]
        if operation in WRITES:
            count += 1
            on_write(operation, count)

    events.register_first("before-send.dynamodb", before)
    try:
        yield
    finally:
        events.unregister("before-send.dynamodb", before)


def restore(rows: list[dict[str, Any]]) -> None:
    """Makes the table what it was."""
    client, table = boto3.client("dynamodb"), os.environ["PEOPLE_TABLE"]
    keys = client.scan(TableName=table, ProjectionExpression="pk, sk")["Items"]
    requests = [{"DeleteRequest": {"Key": key}} for key in keys] + [{"PutRequest": {"Item": row}} for row in rows]
    for some in [*batched(requests[: len(keys)], 25, strict=False), *batched(requests[len(keys) :], 25, strict=False)]:
        client.batch_write_item(RequestItems={table: list(some)})


class Killed(BaseException):
    """The worker is dead: nothing of ours may catch this."""


def killer(kill_at: int) -> Callable[[str, int], None]:
    def kill(_: str, number: int) -> None:
        if number == kill_at:
            raise Killed

    return kill


def test_an_import_brings_people_groups_and_memberships(school: School) -> None:
    result = run("i1")

    assert result.state is ImportState.DONE
    assert counts(result) == {"new": 5, "changed": 0, "unchanged": 0, "gone": 0}
    assert person("g1").record.groups == {"7b", "ka", "grade-07", "grade-kg", "level-basica", "level-parvularia"} | {
        "school-aromos"
    }
    assert (person("g2").record.number, person("g2").record.typed_number) == (None, "12345")
    assert members("7b") == ["g1", "g2", "s1", "t1"]
    assert members("ka") == ["g1", "s2"]
    (course,) = [one for one in directory.list_groups(DIRECTOR) if one.record.id == "7b"]
    assert course.members == {Who.STUDENTS: 1, Who.GUARDIANS: 2, Who.STAFF: 1}


def test_importing_the_same_again_writes_nothing_but_its_own_result(school: School) -> None:
    run("i1")
    before = snapshot()
    written: Counter[str] = Counter()

    with watching(lambda operation, _: written.update([operation])):
        result = run("i2", now=NOW + timedelta(days=1))

    assert counts(result) == {"new": 0, "changed": 0, "unchanged": 5, "gone": 0}
    assert "BatchWriteItem" not in written
    assert "PutItem" not in written
    assert snapshot() == before


def test_an_import_that_has_ended_is_not_run_again(school: School) -> None:
    first = run("i1")

    again = run("i1", edited(("Rosa", "Otra")), now=NOW + timedelta(hours=1))

    assert again == first
    assert person("g1").record.given_name == "Rosa"


def test_what_changed_is_changed_and_nothing_else(school: School) -> None:
    run("i1")
    untouched = person("s1")

    result = run("i2", edited(("Rosa,Catrileo", "Rosa María,Catrileo"), ("ka,s2", "7b,s2")))

    assert counts(result) == {"new": 0, "changed": 2, "unchanged": 3, "gone": 0}
    assert person("g1").record.given_name == "Rosa María"
    assert person("s1") == untouched
    assert members("ka") == []
    assert members("7b") == ["g1", "g2", "s1", "s2", "t1"]


def test_whoever_a_bulk_roster_does_not_name_has_left_and_is_kept(school: School) -> None:
    run("i1")

    result = run("i2", edited(("g2,guardian,Hugo,Ibáñez,12345,s1\n", ""), ("t1,teacher,Iván,Núñez,955550102,\n", "")))

    assert counts(result) == {"new": 0, "changed": 1, "unchanged": 2, "gone": 2}  # s1 has one guardian less
    assert person("t1").left_at == NOW
    assert person("t1").record.number == "+56955550102"
    assert members("7b") == ["g1", "s1"]
    assert audience_ids(Who.GUARDIANS, Who.STAFF) == ["g1"]
    assert people.list_owners("+56955550102", limit=5) == [(SCHOOL.id, "t1")]
    assert counts(run("i3", edited(("g2,guardian,Hugo,Ibáñez,12345,s1\n", ""))))["gone"] == 0


def test_whoever_comes_back_is_there_again(school: School) -> None:
    run("i1")
    run("i2", edited(("t1,teacher,Iván,Núñez,955550102,\n", "")))

    result = run("i3")

    assert counts(result) == {"new": 0, "changed": 1, "unchanged": 4, "gone": 0}
    assert person("t1").left_at is None
    assert "t1" in members("7b")
    assert audience_ids(Who.STAFF) == ["t1"]


def test_somebody_whose_row_is_bad_has_not_left(school: School) -> None:
    run("i1")

    result = run("i2", edited(("g1,guardian,Rosa,", "g1,guardian,,")))

    assert (counts(result)["gone"], result.bad_rows_count) == (0, 1)
    bad_rows, _ = imports.list_bad_rows(DIRECTOR, "i2")
    assert [(row.file, row.line, row.column, row.reason) for row in bad_rows] == [
        ("users.csv", 4, "givenName", "missing_value")
    ]
    assert person("g1").left_at is None
    assert "g1" in members("7b")


def test_a_bad_row_takes_nobody_out_of_a_course(school: School) -> None:
    run("i1")

    run("i2", edited(("7b,s1,student", '7b,s1,"student')))

    assert {"s1", "g1", "g2"} <= set(members("7b"))


def test_sms_switched_off_survives_every_import(school: School) -> None:
    run("i1")
    switch_off("g1")

    run("i2", edited(("Rosa", "Rosa María"), ("ka,s2", "7b,s2")))
    run("i3", edited(("g1,guardian,Rosa,Catrileo,955550101,\n", "")))
    run("i4")

    assert not person("g1").sms_allowed
    assert opt_outs.find_causes(SCHOOL.id, "+56955550101") == {"person#g1"}


def test_a_changed_number_takes_its_opt_out_along_and_leaves_the_others(school: School) -> None:
    shared = ("955550102", "955550101")  # the teacher has the guardian's handset
    run("i1", edited(shared))
    switch_off("g1")
    switch_off("t1")

    run("i2", edited(("g1,guardian,Rosa,Catrileo,955550101", "g1,guardian,Rosa,Catrileo,955550177"), shared))

    assert opt_outs.find_causes(SCHOOL.id, "+56955550177") == {"person#g1"}
    assert opt_outs.find_causes(SCHOOL.id, "+56955550101") == {"person#t1"}
    assert [(note.added, note.by, note.reason) for note in opt_outs.list_notes(SCHOOL.id, "+56955550177", limit=5)] == [
        (True, "roster", "number_changed")
    ]


def test_an_opt_out_without_a_number_binds_the_number_that_comes(school: School) -> None:
    run("i1")
    switch_off("g2")

    run("i2", edited(("12345", "955550188")))

    assert opt_outs.find_causes(SCHOOL.id, "+56955550188") == {"person#g2"}


def test_a_group_that_no_roster_names_goes_when_nobody_is_in_it(school: School) -> None:
    run("i1")

    run("i2", edited(("ka,Kínder A,KG,homeroom\n", ""), ("ka,s2", "7b,s2"), ("7° Básico B", "7° B")))

    found = {one.record.id: one.record.name for one in directory.list_groups(DIRECTOR)}
    assert found.keys() == {"7b", "grade-07", "level-basica", "school-aromos"}
    assert found["7b"] == "7° B"


def test_a_roster_that_cannot_be_read_is_refused_and_changes_nothing(school: School) -> None:
    run("i1")
    before = snapshot()

    result = run("i2", edited(("sourcedId,role,", "sourcedId,rol,")))

    assert result.state is ImportState.REFUSED
    assert [(one.field, one.code) for one in result.problems] == [("users.csv/role", "missing_column")]
    assert snapshot() == before


def test_bad_rows_are_listed_in_pages_and_only_the_first_thousand_are_kept(school: School) -> None:
    result = run("i1", {**FILES, "enrollments.csv": FILES["enrollments.csv"] + "8z,s1,student\n" * 1150})

    first, following = imports.list_bad_rows(DIRECTOR, "i1")
    last, end = imports.list_bad_rows(DIRECTOR, "i1", 950)
    assert result.bad_rows_count == 1150
    assert (len(first), following, len(last), end) == (100, 100, 50, None)
    assert len(imports.list_all_bad_rows(DIRECTOR, "i1")) == 1000


def test_an_import_killed_at_any_write_is_finished_by_running_it_again(school: School) -> None:
    run("i1")
    switch_off("g1")
    start = snapshot()
    files = edited(
        ("g1,guardian,Rosa,Catrileo,955550101", "g1,guardian,Rosa,Catrileo,955550177"),
        ("g2,guardian,Hugo,Ibáñez,12345,s1\n", "g3,guardian,Ana,Peña,955550103,s2\n"),
        ("ka,Kínder A,KG,homeroom\n", "kb,Kínder B,KG,homeroom\n"),
        ("ka,s2", "kb,s2"),
    )
    written: Counter[str] = Counter()
    with watching(lambda operation, _: written.update([operation])):
        run("whole", files)
    wanted = snapshot()

    for kill_at in range(1, written.total() + 1):
        restore(start)
        with pytest.raises(Killed), watching(killer(kill_at)):
            run("killed", files)
        assert missing_members() == [], f"killed before write {kill_at}"
        has_begun = import_table.find_import(SCHOOL.id, "killed") is not None
        assert run_again("killed", NOW + timedelta(minutes=2 if has_begun else 0)).state is ImportState.DONE
        assert snapshot() == wanted, f"killed before write {kill_at}"
        assert import_table.list_owed(NOW + timedelta(days=1), limit=10) == []

    assert written["TransactWriteItems"] >= 2  # a changed number with its opt-out, and who is gone with their words
    assert written["PutItem"] >= 2


def test_an_import_heals_what_another_left_of_the_memberships(school: School) -> None:
    run("i1")
    wanted = snapshot()
    groups.save_memberships(SCHOOL.id, added=[("7b", "s2"), ("7b", "nobody")], removed=[("7b", "s1")])
    assert members("7b") == ["g1", "g2", "t1"]

    assert counts(run("i2"))["unchanged"] == 5

    assert snapshot() == wanted


def test_the_demo_school_is_imported_whole(school: School) -> None:
    files = {path.name: path.read_bytes() for path in DEMO.glob("*.csv")}

    result = run("demo", files)

    assert (result.state, result.bad_rows_count) == (ImportState.DONE, 0)
    assert counts(result)["new"] == 755
    assert {one.record.name for one in directory.list_groups(DIRECTOR)} >= {"7° Básico B", "Kínder A", "2° Medio A"}
    assert len(audience_ids(Who.STUDENTS)) == 340


def test_the_import_of_no_school_is_nobodys(aws: None) -> None:
    with pytest.raises(Exception, match="no such school"):
        import_roster("nobody", "i1", lambda: NOW, lambda: timedelta(minutes=10))

    assert import_table.find_import("nobody", "i1") is None
    assert groups.list_groups("nobody") == []


# --- what the school made itself ----------------------------------------------------------------------------


def by_hand(person_id: str, role: str, **edit: Any) -> Person:
    new = NewPerson(person_id, RecordEdit(role, "Paz", "Rojas", **edit))
    return people_edits.create_person(DIRECTOR, new, f"key-{person_id}", NOW, is_first=True)


def custom_group(*person_ids: str) -> str:
    return custom_groups.create_group(DIRECTOR, "Coro", person_ids, "key-group", is_first=True).record.id


def group_counts(group_id: str) -> tuple[int, ...]:
    found = groups.find_group(SCHOOL.id, group_id)
    assert found is not None
    return tuple(found.members[who] for who in Who)


def test_a_custom_group_survives_imports_with_who_is_in_it_and_their_count(school: School) -> None:
    run("i1")
    group_id = custom_group("s1", "g2")

    assert counts(run("i2"))["unchanged"] == 5
    assert counts(run("i3", edited(("s1,student,Lautaro,Soto", "s1,student,Lautaro,Díaz"))))["changed"] == 1

    assert (members(group_id), group_counts(group_id)) == (["g2", "s1"], (1, 1, 0))
    assert person("s1").record.groups >= {group_id, "7b"}


def test_an_empty_custom_group_is_not_tidied_away(school: School) -> None:
    run("i1")
    group_id = custom_group()

    run("i2")

    assert groups.find_group(SCHOOL.id, group_id) is not None


def test_whoever_is_gone_and_back_is_back_in_their_custom_group(school: School) -> None:
    run("i1")
    group_id = custom_group("g2", "s1")

    run("i2", edited(("g2,guardian,Hugo,Ibáñez,12345,s1\n", "")))
    assert (members(group_id), group_counts(group_id)) == (["s1"], (1, 0, 0))
    run("i3")

    assert (members(group_id), group_counts(group_id)) == (["g2", "s1"], (1, 1, 0))


def test_a_custom_group_deleted_while_somebody_was_gone_does_not_come_back_with_them(school: School) -> None:
    run("i1")
    group_id = custom_group("g2")
    run("i2", edited(("g2,guardian,Hugo,Ibáñez,12345,s1\n", "")))
    custom_groups.delete_group(DIRECTOR, group_id, lambda: timedelta(seconds=20))

    run("i3")

    assert group_id not in person("g2").record.groups
    assert groups.find_group(SCHOOL.id, group_id) is None


def test_people_made_by_hand_survive_imports_and_keep_their_family(school: School) -> None:
    run("i1")
    by_hand("s9", "student", groups=("ka",), guardians=("g1",))
    by_hand("g9", "guardian", students=("s1", "s9"))
    before = person("g1").record

    result = run("i2")

    assert (counts(result)["gone"], counts(result)["changed"]) == (0, 0)
    assert person("g1").record == before
    assert person("g1").record.students == {"s1", "s2", "s9"}
    assert person("s9").left_at is None
    assert person("g9").record.groups >= {"7b", "ka", "grade-07", "grade-kg"}
    assert missing_members() == []


def test_a_guardian_made_by_hand_follows_a_student_of_the_roster_to_another_course(school: School) -> None:
    run("i1")
    by_hand("g9", "guardian", students=("s1",))

    run("i2", edited(("7b,s1", "ka,s1")))

    assert "ka" in person("g9").record.groups
    assert "7b" not in person("g9").record.groups
    assert members("ka") == ["g1", "g2", "g9", "s1", "s2"]


def test_a_student_of_the_roster_who_is_gone_is_no_longer_anybodys_by_hand(school: School) -> None:
    run("i1")
    by_hand("g9", "guardian", students=("s1", "s2"))

    run("i2", edited(("s1,student,Lautaro,Soto,,g1\n", ""), ("7b,s1,student\n", "")))

    assert person("g9").record.students == {"s2"}
    assert "7b" not in person("g9").record.groups


def test_whom_the_roster_names_later_is_the_rosters(school: School) -> None:
    run("i1")
    by_hand("g3", "guardian", typed_number="955550199")

    run("i2", edited(("g2,guardian,Hugo,Ibáñez,12345,s1\n", "g2,guardian,Hugo,Ibáñez,12345,s1\ng3,guardian,Ana,X,,\n")))
    assert (person("g3").source, person("g3").record.number) == (Source.ROSTER, None)

    run("i3")
    assert person("g3").left_at == NOW


def test_a_corrected_number_stays_until_the_roster_says_another_L14(school: School) -> None:
    run("i1")
    guardian = Caller(SCHOOL.id, Role.GUARDIAN, "u-1", "g1")
    own_record.set_own_number(guardian, "9 5555 0177", NOW)

    run("i2", edited(("g1,guardian,Rosa,Catrileo,955550101", "g1,guardian,Rosa María,Catrileo,+56 9 5555 0101")))
    assert (person("g1").record.number, person("g1").record.given_name) == ("+56955550177", "Rosa María")

    run("i3", edited(("g1,guardian,Rosa,Catrileo,955550101", "g1,guardian,Rosa,Catrileo,955550188")))
    assert (person("g1").record.number, person("g1").correction) == ("+56955550188", None)
    changes, _ = directory.list_number_changes(DIRECTOR, "g1", None)
    assert [(one.by, one.before, one.after) for one in changes] == [
        ("roster", "+56955550177", "+56955550188"),
        ("self", "+56955550101", "+56955550177"),
    ]


def test_a_number_that_the_office_corrected_stays_as_well_also_where_the_roster_has_none(school: School) -> None:
    run("i1")
    for person_id, typed in (("g2", "955550166"), ("s1", "955550155"), ("t1", "")):
        people_edits.change_person(DIRECTOR, person_id, RecordEdit(typed_number=typed), NOW)

    run("i2")

    assert [person(one).record.number for one in ("g2", "s1", "t1")] == ["+56955550166", "+56955550155", None]


def test_a_roster_that_has_caught_up_with_a_correction_is_in_force_again(school: School) -> None:
    run("i1")
    people_edits.change_person(DIRECTOR, "g1", RecordEdit(typed_number="955550177"), NOW)

    run("i2", edited(("g1,guardian,Rosa,Catrileo,955550101", "g1,guardian,Rosa,Catrileo,955550177")))

    assert (person("g1").record.number, person("g1").correction) == ("+56955550177", None)


def test_what_people_chose_themselves_survives_imports_with_a_corrected_number_L10(school: School) -> None:
    run("i1")
    guardian = Caller(SCHOOL.id, Role.GUARDIAN, "u-1", "g1")
    own_record.set_own_sms(guardian, allowed=False, reason="", now=NOW)
    own_record.set_own_number(guardian, "955550177", NOW)

    run("i2", edited(("g1,guardian,Rosa,Catrileo,955550101", "g1,guardian,Rosa,Catrileo,955550188")))

    assert directory.get_person(DIRECTOR, "g1").opted_out
    assert opt_outs.find_causes(SCHOOL.id, "+56955550188") == {"person#g1"}
    assert opt_outs.find_causes(SCHOOL.id, "+56955550177") == frozenset()
    with pytest.raises(OptedOutThemselves):
        directory.set_sms(DIRECTOR, "g1", allowed=True, reason="x", now=NOW)


def test_what_the_office_says_otherwise_of_names_and_courses_the_roster_takes_back(school: School) -> None:
    run("i1")
    people_edits.change_person(DIRECTOR, "s1", RecordEdit(given_name="Otro", groups=("ka",)), NOW)
    assert person("s1").record.groups >= {"ka"}

    run("i2")

    assert (person("s1").record.given_name, "7b" in person("s1").record.groups) == ("Lautaro", True)
    assert members("ka") == ["g1", "s2"]


def test_imported_people_are_found_by_name_and_no_longer_by_a_former_one(school: School) -> None:
    run("i1")

    def found(query: str) -> list[str]:
        return [one.person.id for one in directory.list_people(DIRECTOR, PeopleFilter(query=query), None)[0]]

    assert (found("catrileo"), found("ibanez"), found("0102")) == (["g1"], ["g2"], ["t1"])
    run("i2", edited(("g2,guardian,Hugo,Ibáñez,12345,s1\n", ""), ("t1,teacher,Iván,Núñez", "t1,teacher,Iván,Peña")))
    assert (found("ibanez"), found("nunez"), found("pena")) == ([], [], ["t1"])


def test_a_person_of_before_there_was_a_search_is_found_after_the_next_import(school: School) -> None:
    run("i1")
    table = boto3.resource("dynamodb").Table(os.environ["PEOPLE_TABLE"])
    for row in table.scan()["Items"]:
        if "#W#" in row["pk"]:
            table.delete_item(Key={"pk": row["pk"], "sk": row["sk"]})
        elif "words" in row:
            table.update_item(Key={"pk": row["pk"], "sk": row["sk"]}, UpdateExpression="REMOVE words")

    assert counts(run("i2"))["unchanged"] == 5

    assert [one.person.id for one in directory.list_people(DIRECTOR, PeopleFilter(query="rosa"), None)[0]] == ["g1"]


def test_a_roster_may_not_name_a_custom_group(school: School) -> None:
    result = run("i1", edited(("ka,Kínder A", "custom-ka,Kínder A"), ("ka,s2", "custom-ka,s2")))

    assert result.bad_rows_count == 2
    assert [(row.column, row.reason) for row in imports.list_all_bad_rows(DIRECTOR, "i1")] == [
        ("sourcedId", "reserved_id"),
        ("classSourcedId", "unknown_class"),
    ]
