"""A school's imports from the upload to the end: what is shown is what is applied, once, and nobody has to remember."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from recado import directory, import_files, imports, roster_import
from recado.access import Caller
from recado.errors import (
    IdempotencyKeyReused,
    ImportRunning,
    InvalidRequest,
    ManyWouldGo,
    NotAllowed,
    NotFound,
    WrongState,
)
from recado.rules import import_states
from recado.rules.import_states import ZIP, ImportState
from recado.rules.oneroster import RosterPerson
from recado.rules.roles import Role
from recado.rules.roster_changes import Change
from recado.rules.roster_diff import Difference, Kind, people_counts
from recado.tables import imports as table
from recado.tables import opt_outs, people, schools
from recado.tables.base import Transaction, shared_connection
from recado.tables.imports import Import
from recado.tables.people import Person
from recado.tables.schools import Contract, School
from tests import rosters
from tests.conftest import jobs_on
from tests.faults import faults
from tests.rosters import FILES, edited
from tests.worlds import NOON, TestClock

SCHOOL = School("aromos", "Escuela Los Aromos", "CL", "America/Santiago", "", Contract.ACTIVE, 1, NOON)
OTHER = School("otra", "Escuela Otra", "CL", "America/Santiago", "", Contract.ACTIVE, 1, NOON)
DIRECTOR = Caller(SCHOOL.id, Role.DIRECTOR, "directora")
TEACHER = Caller(SCHOOL.id, Role.TEACHER, "profesora")
STRANGER = Caller(OTHER.id, Role.DIRECTOR, "otro")
CSV_FILES = tuple(sorted(FILES))
ALL_TIME = timedelta(minutes=10)


@pytest.fixture
def clock(aws: None, monkeypatch: pytest.MonkeyPatch) -> TestClock:
    rosters.one_after_the_other(monkeypatch)
    for school in (SCHOOL, OTHER):
        with Transaction() as write:
            schools.create_school(write, school, AssertionError("a new table"))
    return TestClock(NOON)


def begin(clock: TestClock, files: tuple[str, ...] = (ZIP,), key: str = "k1") -> Import:
    return imports.create_import(DIRECTOR, files, key, clock(), is_first=True)


def note(one: Import, file: str, clock: TestClock, left: timedelta = ALL_TIME) -> Import:
    return roster_import.note_upload(SCHOOL.id, one.id, file, clock, lambda: left)


def uploaded(clock: TestClock, files: dict[str, str] = FILES, key: str = "k1") -> Import:
    """An import whose zip has arrived and been compared."""
    one = begin(clock, key=key)
    rosters.put(f"imports/{SCHOOL.id}/{one.id}/{ZIP}", rosters.zipped(files))
    return note(one, ZIP, clock)


def work_all(clock: TestClock, left: timedelta = ALL_TIME) -> int:
    """Does what the queue's jobs say, until there is none."""
    worked = 0
    while bodies := jobs_on("RosterQueue"):
        for job in map(json.loads, bodies):
            roster_import.work(job["school"], job["import"], clock, lambda: left)
            worked += 1
    return worked


def applied(clock: TestClock, files: dict[str, str] = FILES, key: str = "k1", *, confirm: bool = False) -> Import:
    one = uploaded(clock, files, key)
    imports.apply_import(DIRECTOR, one.id, clock(), confirm_gone=confirm)
    work_all(clock)
    return imports.get_import(DIRECTOR, one.id)


def person(person_id: str) -> Person:
    found = people.find_person(SCHOOL.id, person_id)
    assert found is not None
    return found


def differences(one: Import, kind: Kind | None = None, change: Change | None = None) -> list[Difference]:
    found, cursor = imports.list_differences(DIRECTOR, one.id, kind, change, None)
    while cursor is not None:
        some, cursor = imports.list_differences(DIRECTOR, one.id, kind, change, cursor)
        found += some
    return found


def ids(found: list[Difference]) -> list[str]:
    return [one.id for one in found]


@contextmanager
def dying_at(write: int) -> Iterator[None]:
    """The n-th write from here on is the last thing a worker lives to see."""
    count = 0

    def before(request: Any, **_: Any) -> None:
        nonlocal count
        operation = request.headers["X-Amz-Target"].decode().partition(".")[2]
        count += operation in ("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems")
        if count == write:
            raise Killed

    events = shared_connection().client.meta.events
    events.register_first("before-send.dynamodb", before)
    try:
        yield
    finally:
        events.unregister("before-send.dynamodb", before)


class Killed(BaseException):
    """The worker is dead: nothing of ours may catch this."""


# --- asking for an upload ---------------------------------------------------------------------------------------------


def test_an_import_waits_for_its_upload_and_says_where_it_goes(clock: TestClock) -> None:
    one = begin(clock)

    (address,) = imports.list_addresses(DIRECTOR, one, clock())
    assert one.state is ImportState.WAITING_FOR_UPLOAD
    assert address.file == ZIP
    assert f"/imports/{SCHOOL.id}/{one.id}/{ZIP}?" in address.url
    assert "X-Amz-Expires=900" in address.url


def test_the_addresses_end_with_the_uploads_time(clock: TestClock) -> None:
    one = begin(clock)

    clock.move(minutes=10)
    assert "X-Amz-Expires=300" in imports.list_addresses(DIRECTOR, one, clock())[0].url
    clock.move(minutes=5)
    assert imports.list_addresses(DIRECTOR, one, clock()) == []


def test_the_same_key_is_the_same_import_and_an_old_one_is_refused(clock: TestClock) -> None:
    first = begin(clock)

    assert imports.create_import(DIRECTOR, (ZIP,), "k1", clock(), is_first=False) == first
    assert begin(clock, key="k2").id != first.id
    clock.move(days=2)
    with pytest.raises(IdempotencyKeyReused):
        begin(clock)


def test_an_import_whose_answer_was_lost_is_begun_once(clock: TestClock) -> None:
    with faults("TransactWriteItems", "applied"):
        one = begin(clock)

    assert imports.list_imports(DIRECTOR, None) == ([one], None)


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ((ZIP, "users.csv"), "not_a_roster_file"),
        (("demographics.csv", *CSV_FILES), "not_a_roster_file"),
        (("../users.csv", *CSV_FILES), "not_a_roster_file"),
        (("users.csv", "orgs.csv"), "missing_file"),
        ((*CSV_FILES, "users.csv"), "repeated"),
        (("Users.CSV",), "not_a_roster_file"),
    ],
)
def test_files_that_make_no_roster_are_not_asked_for(clock: TestClock, files: tuple[str, ...], code: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        begin(clock, files)

    assert code in {one.code for one in refused.value.fields}
    assert imports.list_imports(DIRECTOR, None) == ([], None)


def test_only_those_in_charge_import(clock: TestClock) -> None:
    one = uploaded(clock)

    asked: list[Callable[[], object]] = [
        lambda: imports.create_import(TEACHER, (ZIP,), "k9", clock(), is_first=True),
        lambda: imports.list_imports(TEACHER, None),
        lambda: imports.get_import(TEACHER, one.id),
        lambda: imports.list_differences(TEACHER, one.id, None, None, None),
        lambda: imports.list_bad_rows(TEACHER, one.id),
        lambda: imports.check_import(TEACHER, one.id, clock()),
        lambda: imports.apply_import(TEACHER, one.id, clock(), confirm_gone=True),
        lambda: imports.discard_import(TEACHER, one.id, clock()),
    ]

    for ask in asked:
        with pytest.raises(NotAllowed):
            ask()


def test_another_schools_import_is_not_there(clock: TestClock) -> None:
    one = uploaded(clock)

    asked: list[Callable[[], object]] = [
        lambda: imports.get_import(STRANGER, one.id),
        lambda: imports.list_differences(STRANGER, one.id, None, None, None),
        lambda: imports.list_bad_rows(STRANGER, one.id),
        lambda: imports.check_import(STRANGER, one.id, clock()),
        lambda: imports.apply_import(STRANGER, one.id, clock(), confirm_gone=True),
        lambda: imports.discard_import(STRANGER, one.id, clock()),
    ]

    for ask in asked:
        with pytest.raises(NotFound):
            ask()
    assert imports.list_imports(STRANGER, None) == ([], None)
    assert imports.get_import(DIRECTOR, one.id).state is ImportState.READY


def test_imports_are_listed_newest_first_in_pages(clock: TestClock) -> None:
    made = []
    for number in range(25):
        made.append(begin(clock, key=f"k{number}").id)
        clock.move(seconds=1)

    first, cursor = imports.list_imports(DIRECTOR, None)
    second, end = imports.list_imports(DIRECTOR, cursor)

    assert [one.id for one in first + second] == made[::-1]
    assert (len(first), end) == (20, None)


# --- the diff ---------------------------------------------------------------------------------------------------------


def test_an_uploaded_zip_is_compared_and_changes_nothing(clock: TestClock) -> None:
    one = uploaded(clock)

    assert one.state is ImportState.READY
    assert people_counts(one.counts) == {"new": 5, "changed": 0, "unchanged": 0, "gone": 0}
    assert one.counts["students"]["new"] == 2
    assert one.counts["groups"]["new"] == 7
    assert list(people.list_everybody(SCHOOL.id)) == []
    assert table.list_owed(NOON + timedelta(days=1), limit=5) == []


def test_a_roster_uploaded_file_by_file_is_compared_with_the_last_one(clock: TestClock) -> None:
    one = begin(clock, CSV_FILES)
    states = []
    for file in CSV_FILES:
        rosters.put(f"imports/{SCHOOL.id}/{one.id}/{file}", FILES[file].encode())
        states.append(note(one, file, clock).state)

    assert states == [ImportState.WAITING_FOR_UPLOAD] * 3 + [ImportState.READY]
    assert len(differences(one, Kind.GUARDIANS)) == 2


def test_checking_says_which_files_are_missing_and_then_compares(clock: TestClock) -> None:
    one = begin(clock, CSV_FILES)
    for file in CSV_FILES[:3]:
        rosters.put(f"imports/{SCHOOL.id}/{one.id}/{file}", FILES[file].encode())

    with pytest.raises(WrongState) as refused:
        imports.check_import(DIRECTOR, one.id, clock())
    rosters.put(f"imports/{SCHOOL.id}/{one.id}/{CSV_FILES[3]}", FILES[CSV_FILES[3]].encode())
    checking = imports.check_import(DIRECTOR, one.id, clock())
    work_all(clock)

    assert refused.value.members == {"missing": [CSV_FILES[3]]}
    assert checking.state is ImportState.CHECKING
    assert imports.check_import(DIRECTOR, one.id, clock()).state is ImportState.READY


def test_a_diff_says_who_is_new_changed_and_gone_and_in_what(clock: TestClock) -> None:
    applied(clock)
    one = uploaded(
        clock,
        edited(
            ("g1,guardian,Rosa,Catrileo,955550101", "g1,guardian,Rosa María,Catrileo,955550177"),
            ("g2,guardian,Hugo,Ibáñez,12345,s1\n", "g3,guardian,Ana,Peña,955550103,s2\n"),
            ("ka,Kínder A,KG,homeroom\n", "ka,Kínder Azul,KG,homeroom\n"),
        ),
        "k2",
    )

    (changed,) = differences(one, Kind.GUARDIANS, Change.CHANGED)
    assert (changed.id, changed.fields) == ("g1", ("given_name", "number", "typed_number"))
    assert (changed.number_before, changed.number_after) == ("+56955550101", "+56955550177")
    assert ids(differences(one, Kind.GUARDIANS, Change.NEW)) == ["g3"]
    assert ids(differences(one, Kind.GUARDIANS, Change.GONE)) == ["g2"]
    assert [(found.id, found.fields) for found in differences(one, Kind.GROUPS)] == [("ka", ("name",))]
    assert ids(differences(one, change=Change.CHANGED)) == ["s1", "s2", "g1", "ka"]
    assert one.counts["staff"] == {"new": 0, "changed": 0, "unchanged": 1, "gone": 0}


def test_a_diff_is_read_in_pages_across_kinds(clock: TestClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "PAGE", 2)
    monkeypatch.setattr(import_files, "PAGE", 2)
    one = uploaded(clock)

    first, cursor = imports.list_differences(DIRECTOR, one.id, None, None, None)

    assert (ids(first), cursor) == (["s1", "s2"], "guardians.new.0")
    assert ids(differences(one))[:5] == ["s1", "s2", "g1", "g2", "t1"]
    assert len(differences(one)) == 12
    for wrong in ("guardians.unchanged.0", "nobody.new.0", "students.new.x", "students.new"):
        with pytest.raises(InvalidRequest):
            imports.list_differences(DIRECTOR, one.id, None, None, wrong)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "not_a_zip"),
        (b"sourcedId;role\n", "not_a_zip"),
        (rosters.zipped({"../users.csv": "x"}), "unsafe_name"),
        (rosters.zipped({"/etc/users.csv": "x"}), "unsafe_name"),
        (rosters.zipped({f"{number}.csv": "x" for number in range(21)}), "too_many_files"),
        (
            rosters.zipped({**FILES, "users.csv": FILES["users.csv"].encode() + b"x" * (51 * 1024 * 1024)}),
            "file_too_large",
        ),
        (rosters.zipped({**FILES, "users.csv": FILES["users.csv"].encode("utf-16")}), "not_utf_8"),
        (rosters.zipped({**FILES, "users.csv": "\0" * 1000}), "missing_column"),
        (rosters.zipped({**FILES, "users.csv": ""}), "empty"),
        (rosters.zipped({"users.csv": FILES["users.csv"]}), "missing_file"),
        (rosters.zipped({**FILES, "manifest.csv": "propertyName,value\nfile.users,delta\n"}), "not_bulk"),
    ],
)
def test_a_roster_that_cannot_be_used_is_refused_and_changes_nothing(
    clock: TestClock, content: bytes, code: str
) -> None:
    one = begin(clock)
    rosters.put(f"imports/{SCHOOL.id}/{one.id}/{ZIP}", content)

    refused = note(one, ZIP, clock)

    assert refused.state is ImportState.REFUSED
    assert code in {problem.code for problem in refused.problems}
    assert list(people.list_everybody(SCHOOL.id)) == []
    assert rosters.stored() == []
    with pytest.raises(WrongState):
        imports.apply_import(DIRECTOR, one.id, clock(), confirm_gone=True)


def test_an_upload_larger_than_a_roster_may_be_is_refused_unread(
    clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_files, "ARCHIVE_BYTES_MAX", 100)

    assert [problem.code for problem in uploaded(clock).problems] == ["file_too_large"]


def test_a_file_that_nobody_asked_for_is_not_read(clock: TestClock) -> None:
    one = begin(clock)

    for import_id, file in ((one.id, "users.csv"), ("nothing", ZIP)):
        with pytest.raises(NotFound):
            roster_import.note_upload(SCHOOL.id, import_id, file, clock, lambda: ALL_TIME)
    assert imports.get_import(DIRECTOR, one.id).uploaded == ()


# --- applying ---------------------------------------------------------------------------------------------------------


def test_an_applied_import_is_done_and_its_upload_deleted(clock: TestClock) -> None:
    one = uploaded(clock)

    asked = imports.apply_import(DIRECTOR, one.id, clock(), confirm_gone=False)
    work_all(clock)

    done = imports.get_import(DIRECTOR, one.id)
    assert (asked.state, asked.applied_by, asked.applied_at) == (ImportState.APPLYING, "directora", NOON)
    assert (done.state, done.progress.done, done.progress.total) == (ImportState.DONE, 5, 5)
    assert person("g1").record.groups >= {"7b", "ka"}
    assert len(differences(one)) == 12
    assert not any(key.startswith("imports/") for key in rosters.stored())


def test_applying_twice_changes_nothing(clock: TestClock) -> None:
    one = applied(clock)
    version = person("g1").version

    again = imports.apply_import(DIRECTOR, one.id, clock(), confirm_gone=False)
    work_all(clock)

    assert again == imports.get_import(DIRECTOR, one.id) == one
    assert person("g1").version == version


def test_an_apply_whose_answer_was_lost_is_applied_once(clock: TestClock) -> None:
    one = uploaded(clock)

    with faults("TransactWriteItems", "applied"):
        asked = imports.apply_import(DIRECTOR, one.id, clock(), confirm_gone=False)
    work_all(clock)

    assert asked.state is ImportState.APPLYING
    assert imports.get_import(DIRECTOR, one.id).state is ImportState.DONE


def test_two_imports_of_one_school_are_not_applied_at_once(clock: TestClock) -> None:
    first, second = uploaded(clock), uploaded(clock, edited(("Rosa", "Otra")), "k2")
    imports.apply_import(DIRECTOR, first.id, clock(), confirm_gone=False)

    with pytest.raises(ImportRunning):
        imports.apply_import(DIRECTOR, second.id, clock(), confirm_gone=False)
    work_all(clock)
    imports.apply_import(DIRECTOR, second.id, clock(), confirm_gone=False)
    work_all(clock)

    assert person("g1").record.given_name == "Otra"


def test_an_operators_zip_waits_for_the_import_that_runs(clock: TestClock) -> None:
    first = uploaded(clock)
    imports.apply_import(DIRECTOR, first.id, clock(), confirm_gone=False)
    rosters.put(f"imports/{SCHOOL.id}/op.zip", rosters.zipped(edited(("Rosa", "Otra"))))

    waiting = roster_import.import_roster(SCHOOL.id, "op", clock, lambda: ALL_TIME)
    roster_import.work(SCHOOL.id, first.id, clock, lambda: ALL_TIME)
    clock.move(minutes=1)
    imports.take_up(clock())
    work_all(clock)

    assert waiting.state is ImportState.WAITING
    assert imports.get_import(DIRECTOR, "op").state is ImportState.DONE
    assert person("g1").record.given_name == "Otra"


def test_a_person_changed_since_the_diff_keeps_what_the_roster_does_not_own(clock: TestClock) -> None:
    applied(clock)
    one = uploaded(clock, edited(("Rosa,Catrileo,955550101", "Rosa María,Catrileo,955550177")), "k2")
    directory.set_sms(DIRECTOR, "g1", allowed=False, reason="asked", now=clock())

    imports.apply_import(DIRECTOR, one.id, clock(), confirm_gone=False)
    work_all(clock)

    assert (person("g1").record.given_name, person("g1").sms_allowed) == ("Rosa María", False)
    assert opt_outs.find_causes(SCHOOL.id, "+56955550177") == {"person#g1"}  # L8 survives every import


def test_files_that_are_not_those_compared_are_not_applied(clock: TestClock) -> None:
    one = uploaded(clock)
    rosters.put(f"imports/{SCHOOL.id}/{one.id}/{ZIP}", rosters.zipped(edited(("Rosa", "Otra"))))

    imports.apply_import(DIRECTOR, one.id, clock(), confirm_gone=False)
    work_all(clock)

    refused = imports.get_import(DIRECTOR, one.id)
    assert [problem.code for problem in refused.problems] == ["upload_changed"]
    assert list(people.list_everybody(SCHOOL.id)) == []
    assert applied(clock, key="k2").state is ImportState.DONE  # and the school's next one is not kept waiting


def test_a_diff_that_is_not_there_cannot_be_applied(clock: TestClock) -> None:
    one = begin(clock)

    with pytest.raises(WrongState):
        imports.apply_import(DIRECTOR, one.id, clock(), confirm_gone=True)
    with pytest.raises(WrongState):
        imports.list_differences(DIRECTOR, one.id, None, None, None)


# --- many would go ----------------------------------------------------------------------------------------------------


def add_people(count: int) -> None:
    for number in range(count):
        record = RosterPerson(
            f"old{number}", "guardian", "Ana", "Soto", None, "", False, frozenset(), frozenset(), frozenset()
        )
        assert people.create_person(SCHOOL.id, 1, record)


def test_half_of_a_school_goes_only_when_somebody_confirms_it(clock: TestClock) -> None:
    add_people(21)
    one = uploaded(clock)

    with pytest.raises(ManyWouldGo) as refused:
        imports.apply_import(DIRECTOR, one.id, clock(), confirm_gone=False)
    still = imports.get_import(DIRECTOR, one.id).state
    imports.apply_import(DIRECTOR, one.id, clock(), confirm_gone=True)
    work_all(clock)

    assert refused.value.members == {"gone": 21, "of": 21}
    assert still is ImportState.READY
    assert person("old0").left_at == NOON


def test_an_operators_zip_that_would_empty_the_school_waits_for_the_school(clock: TestClock) -> None:
    add_people(21)
    rosters.put(f"imports/{SCHOOL.id}/op.zip", rosters.zipped())

    found = roster_import.import_roster(SCHOOL.id, "op", clock, lambda: ALL_TIME)

    assert found.state is ImportState.READY
    assert person("old0").left_at is None


def test_people_who_came_since_the_diff_do_not_go_unasked(clock: TestClock) -> None:
    one = uploaded(clock)
    add_people(30)

    imports.apply_import(DIRECTOR, one.id, clock(), confirm_gone=False)
    work_all(clock)

    asked_again = imports.get_import(DIRECTOR, one.id)
    assert (asked_again.state, people_counts(asked_again.counts)["gone"]) == (ImportState.READY, 30)
    assert len(differences(asked_again, change=Change.GONE)) == 30
    imports.apply_import(DIRECTOR, one.id, clock(), confirm_gone=True)
    work_all(clock)
    assert imports.get_import(DIRECTOR, one.id).state is ImportState.DONE


@pytest.mark.parametrize(("gone", "here", "asks"), [(20, 20, False), (21, 42, False), (22, 43, True), (21, 21, True)])
def test_more_than_twenty_and_more_than_half_are_many(gone: int, here: int, asks: bool) -> None:
    assert import_states.would_go_unasked(gone, here) is asks


# --- discarding -------------------------------------------------------------------------------------------------------


def test_a_discarded_import_leaves_no_file_behind(clock: TestClock) -> None:
    one = uploaded(clock)

    discarded = imports.discard_import(DIRECTOR, one.id, clock())

    assert (discarded.state, discarded.discarded_by, discarded.finished_at) == (
        ImportState.DISCARDED,
        "directora",
        NOON,
    )
    assert imports.discard_import(DIRECTOR, one.id, clock()) == discarded
    assert rosters.stored() == []
    assert table.list_owed(NOON + timedelta(days=1), limit=5) == []
    with pytest.raises(NotFound):
        imports.list_bad_rows(DIRECTOR, one.id)
    with pytest.raises(NotFound):
        imports.list_differences(DIRECTOR, one.id, None, None, None)


def test_an_import_being_applied_is_not_discarded(clock: TestClock) -> None:
    one = uploaded(clock)
    imports.apply_import(DIRECTOR, one.id, clock(), confirm_gone=False)

    with pytest.raises(WrongState):
        imports.discard_import(DIRECTOR, one.id, clock())
    work_all(clock)
    with pytest.raises(WrongState):
        imports.discard_import(DIRECTOR, one.id, clock())


def test_what_a_dead_request_discarded_is_deleted_all_the_same(clock: TestClock) -> None:
    one = uploaded(clock)
    with pytest.raises(Killed), dying_at(2):  # the second is the last: its files are deleted by then, but not its debt
        imports.discard_import(DIRECTOR, one.id, clock())
    rosters.put(f"imports/{SCHOOL.id}/{one.id}/{ZIP}", b"left over")

    clock.move(minutes=1)
    imports.take_up(clock())
    work_all(clock)

    assert rosters.stored() == []
    assert table.list_owed(NOON + timedelta(days=1), limit=5) == []


# --- workers die ------------------------------------------------------------------------------------------------------


def test_a_worker_that_dies_at_any_write_is_followed_within_three_minutes(clock: TestClock) -> None:
    """Invariant 8, and nobody is missing meanwhile: their record and their group say the same."""
    files = edited(
        ("Rosa,Catrileo,955550101", "Rosa María,Catrileo,955550177"), ("g2,guardian,Hugo,Ibáñez,12345,s1\n", "")
    )
    for write in range(1, 40):
        key = f"k{write}"
        one = uploaded(clock, files if write % 2 else FILES, key)
        imports.apply_import(DIRECTOR, one.id, clock(), confirm_gone=False)
        jobs_on("RosterQueue")
        try:
            with dying_at(write):
                roster_import.work(SCHOOL.id, one.id, clock, lambda: ALL_TIME)
        except Killed:
            pass
        else:
            assert write > 8
            break
        for _ in range(3):
            clock.move(minutes=1)
            imports.take_up(clock())
            work_all(clock)
        assert imports.get_import(DIRECTOR, one.id).state is ImportState.DONE, f"killed before write {write}"
        assert table.list_owed(clock() + timedelta(days=1), limit=5) == []
        assert person("g1").record.given_name == ("Rosa María" if write % 2 else "Rosa")
    else:
        pytest.fail("it was never over")


def test_whoever_is_at_it_is_left_alone(clock: TestClock) -> None:
    one = uploaded(clock)
    imports.apply_import(DIRECTOR, one.id, clock(), confirm_gone=False)
    with pytest.raises(Killed), dying_at(3):
        roster_import.work(SCHOOL.id, one.id, clock, lambda: ALL_TIME)

    clock.move(seconds=59)  # for all anybody knows it lives
    imports.take_up(clock())
    found = roster_import.work(SCHOOL.id, one.id, clock, lambda: ALL_TIME)

    assert found.state is ImportState.APPLYING
    assert list(people.list_everybody(SCHOOL.id)) == []


def test_a_worker_short_of_time_hands_on_to_a_fresh_one(clock: TestClock) -> None:
    one = uploaded(clock)
    imports.apply_import(DIRECTOR, one.id, clock(), confirm_gone=False)
    jobs_on("RosterQueue")

    roster_import.work(SCHOOL.id, one.id, clock, lambda: timedelta(seconds=30))

    assert imports.get_import(DIRECTOR, one.id).state is ImportState.APPLYING
    assert work_all(clock) == 1
    assert imports.get_import(DIRECTOR, one.id).state is ImportState.DONE


def test_a_worker_who_lost_its_lease_writes_nothing_more(clock: TestClock) -> None:
    one = uploaded(clock)
    imports.apply_import(DIRECTOR, one.id, clock(), confirm_gone=False)

    def slow() -> timedelta:
        clock.move(seconds=50)  # longer than a lease is good for writing
        return ALL_TIME

    roster_import.work(SCHOOL.id, one.id, clock, slow)

    assert imports.get_import(DIRECTOR, one.id).state is ImportState.APPLYING
    assert list(people.list_everybody(SCHOOL.id)) == []


def test_an_upload_whose_word_was_lost_is_found_when_its_time_is_over(clock: TestClock) -> None:
    there, missing = begin(clock), begin(clock, CSV_FILES, "k2")
    rosters.put(f"imports/{SCHOOL.id}/{there.id}/{ZIP}", rosters.zipped())

    clock.move(minutes=16)
    imports.take_up(clock())
    work_all(clock)

    assert imports.get_import(DIRECTOR, there.id).state is ImportState.READY
    refused = imports.get_import(DIRECTOR, missing.id)
    assert refused.state is ImportState.REFUSED
    assert {(problem.field, problem.code) for problem in refused.problems} == {
        (file, "not_uploaded") for file in CSV_FILES
    }


def test_a_roster_that_kills_whoever_reads_it_is_given_up(clock: TestClock) -> None:
    one = begin(clock)
    rosters.put(f"imports/{SCHOOL.id}/{one.id}/{ZIP}", rosters.zipped())
    with pytest.raises(Killed), dying_at(3):
        note(one, ZIP, clock)

    for _ in range(imports.ATTEMPTS_MAX + 1):
        clock.move(hours=1)
        imports.take_up(clock())
        try:
            with dying_at(2):
                work_all(clock)
        except Killed:
            continue

    clock.move(hours=1)
    imports.take_up(clock())
    work_all(clock)
    assert [problem.code for problem in imports.get_import(DIRECTOR, one.id).problems] == ["gave_up"]
