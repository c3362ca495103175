"""Opt-outs and imports, told to the portal once for each real change, in the transaction that makes it (L8, L10)."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from pynamodb.exceptions import PynamoDBException

from recado import directory, imports, own_record, people_edits, roster_import
from recado.access import Caller
from recado.errors import OptedOutThemselves
from recado.rules.event_types import EventType
from recado.rules.import_states import ZIP, ImportState
from recado.rules.person_records import RecordEdit
from recado.rules.roles import Role
from recado.tables import events as table
from recado.tables import opt_outs, people, schools
from recado.tables.base import Transaction
from recado.tables.events import Event
from recado.tables.imports import Import
from recado.tables.schools import Contract, School
from tests import rosters
from tests.conftest import jobs_on
from tests.faults import Fault, faults, meanwhile
from tests.rosters import FILES, edited
from tests.worlds import NOON, TestClock

SCHOOL = School("aromos", "Escuela Los Aromos", "CL", "America/Santiago", "", Contract.ACTIVE, 1, NOON)
DIRECTOR = Caller(SCHOOL.id, Role.DIRECTOR, "directora")
GUARDIAN = Caller(SCHOOL.id, Role.GUARDIAN, "app-g1", "g1")
NUMBER, NEW_NUMBER = "+56955550101", "+56955550177"
TIME = timedelta(minutes=10)

type Change = tuple[str | None, int, str]  # person, opted out, by whom


@pytest.fixture
def clock(aws: None, monkeypatch: pytest.MonkeyPatch) -> TestClock:
    rosters.one_after_the_other(monkeypatch)
    with Transaction() as write:
        schools.create_school(write, SCHOOL, AssertionError("a new table"))
    clock = TestClock()
    applied(clock, "first")
    return clock


def uploaded(clock: TestClock, key: str, files: dict[str, str] = FILES) -> Import:
    one = imports.create_import(DIRECTOR, (ZIP,), key, clock(), is_first=True)
    rosters.put(f"imports/{SCHOOL.id}/{one.id}/{ZIP}", rosters.zipped(files))
    return roster_import.note_upload(SCHOOL.id, one.id, ZIP, clock, lambda: TIME)


def applied(clock: TestClock, key: str, files: dict[str, str] = FILES) -> Import:
    one = uploaded(clock, key, files)
    imports.apply_import(DIRECTOR, one.id, clock(), confirm_gone=True)
    jobs_on("RosterQueue")
    return roster_import.work(SCHOOL.id, one.id, clock, lambda: TIME)


def told(*types: EventType) -> list[Event]:
    return [event for event in table.list_events(SCHOOL.id, after=0, limit=100) if event.type in types]


def opt_outs_told() -> list[Change]:
    return [
        (event.data["person"], event.data["opted_out"], event.data["by"])  # type: ignore[misc]
        for event in told(EventType.OPT_OUT_CHANGED)
    ]


def switch(clock: TestClock, *, allowed: bool) -> None:
    directory.set_sms(DIRECTOR, "g1", allowed=allowed, reason="asked", now=clock())


def switch_own(clock: TestClock, *, allowed: bool) -> None:
    own_record.set_own_sms(GUARDIAN, allowed=allowed, reason="", now=clock())


# --- opt-outs ---------------------------------------------------------------------------------------------------------


def test_switching_off_on_the_record_is_told_once_however_often_it_is_asked_L8(clock: TestClock) -> None:
    for _ in range(3):
        switch(clock, allowed=False)

    assert opt_outs_told() == [("g1", 1, "school")]
    (event,) = told(EventType.OPT_OUT_CHANGED)
    assert event.data == {"person": "g1", "reply": None, "opted_out": 1, "by": "school"}


def test_switching_off_and_on_again_is_told_twice_L8(clock: TestClock) -> None:
    switch(clock, allowed=False)
    clock.move(minutes=1)
    switch(clock, allowed=True)
    switch(clock, allowed=True)

    assert opt_outs_told() == [("g1", 1, "school"), ("g1", 0, "school")]


def test_who_switches_themselves_off_is_told_as_theirs_L10(clock: TestClock) -> None:
    switch_own(clock, allowed=False)
    with pytest.raises(OptedOutThemselves):
        switch(clock, allowed=True)

    assert opt_outs_told() == [("g1", 1, "person")]


def test_their_own_word_after_the_offices_changes_nothing_that_is_told_L10(clock: TestClock) -> None:
    switch(clock, allowed=False)
    clock.move(minutes=1)
    switch_own(clock, allowed=False)

    assert opt_outs_told() == [("g1", 1, "school")]
    found = people.find_person(SCHOOL.id, "g1")
    assert found is not None
    assert found.switch is not None
    assert found.switch.is_own


@pytest.mark.parametrize("kinds", [("lost",), ("applied",), ("lost", "applied"), ("applied",) * 3, ("lost",) * 3])
def test_a_switch_is_told_once_whatever_is_lost_L8(clock: TestClock, kinds: tuple[Fault, ...]) -> None:
    with faults("TransactWriteItems", *kinds):
        try:
            switch(clock, allowed=False)
        except PynamoDBException:
            switch(clock, allowed=False)  # whoever asked asks again

    assert opt_outs_told() == [("g1", 1, "school")]


def test_two_who_switch_at_the_same_moment_tell_it_once_L8(clock: TestClock) -> None:
    with meanwhile("TransactWriteItems", lambda: switch(clock, allowed=False)):
        switch(clock, allowed=False)

    assert opt_outs_told() == [("g1", 1, "school")]


def by_the_office(clock: TestClock) -> None:
    people_edits.change_person(DIRECTOR, "g1", RecordEdit(typed_number="9 5555 0177"), clock())


def by_themselves(clock: TestClock) -> None:
    own_record.set_own_number(GUARDIAN, "9 5555 0177", clock())


def by_an_import(clock: TestClock) -> None:
    applied(clock, "second", edited(("955550101", "955550177")))


@pytest.mark.parametrize(
    ("change", "who"), [(by_the_office, "school"), (by_themselves, "person"), (by_an_import, "school")]
)
def test_an_opt_out_that_a_number_takes_along_is_told_L8(
    clock: TestClock, change: Callable[[TestClock], None], who: str
) -> None:
    switch(clock, allowed=False)
    clock.move(minutes=1)

    change(clock)

    assert opt_outs_told() == [("g1", 1, "school"), ("g1", 1, who)]
    assert opt_outs.find_causes(SCHOOL.id, NUMBER) == set()
    assert opt_outs.find_causes(SCHOOL.id, NEW_NUMBER) == {opt_outs.person_cause("g1")}


@pytest.mark.parametrize("change", [by_the_office, by_themselves, by_an_import])
def test_a_number_without_an_opt_out_takes_none_along(clock: TestClock, change: Callable[[TestClock], None]) -> None:
    change(clock)

    assert opt_outs_told() == []


def test_whoever_is_erased_stays_opted_out_and_nothing_is_told_L8(clock: TestClock) -> None:
    switch(clock, allowed=False)

    people_edits.remove_person(DIRECTOR, "g1", clock(), erase=True)

    assert opt_outs_told() == [("g1", 1, "school")]
    assert opt_outs.find_causes(SCHOOL.id, NUMBER) == {opt_outs.person_cause("g1")}


def test_an_import_of_the_same_roster_tells_of_no_opt_out_L8(clock: TestClock) -> None:
    switch(clock, allowed=False)

    applied(clock, "second")

    assert opt_outs_told() == [("g1", 1, "school")]


# --- imports ----------------------------------------------------------------------------------------------------------

OF_IMPORTS = (EventType.IMPORT_READY, EventType.IMPORT_APPLIED, EventType.IMPORT_FAILED)
FIGURES = {"people_new": 0, "people_changed": 1, "people_gone": 1, "bad_rows": 0}
NEXT = edited(("Rosa", "Rosa María"), ("t1,teacher,Iván,Núñez,955550102,\n", ""), ("7b,t1,teacher\n", ""))


def of_imports() -> list[Event]:
    return told(*OF_IMPORTS)[2:]  # the first roster was ready, and applied


def test_an_import_tells_when_it_is_ready_and_when_it_is_applied(clock: TestClock) -> None:
    one = applied(clock, "second", NEXT)

    ready, done = of_imports()

    assert (ready.type, ready.data) == (EventType.IMPORT_READY, {"import": one.id, **FIGURES})
    assert (done.type, done.data) == (EventType.IMPORT_APPLIED, {"import": one.id, **FIGURES})


def test_a_roster_that_cannot_be_used_is_told_as_failed(clock: TestClock) -> None:
    one = uploaded(clock, "second", {**FILES, "users.csv": "sourcedId\n"})

    (event,) = of_imports()

    assert one.state is ImportState.REFUSED
    assert event.type is EventType.IMPORT_FAILED
    assert event.data == {"import": one.id, "code": one.problems[0].code, "problems": len(one.problems)}


def test_files_that_never_come_are_told_as_failed_once(clock: TestClock) -> None:
    one = imports.create_import(DIRECTOR, (ZIP,), "second", clock(), is_first=True)
    clock.move(minutes=20)
    for _ in range(3):
        roster_import.work(SCHOOL.id, one.id, clock, lambda: TIME)

    (event,) = of_imports()

    assert event.data == {"import": one.id, "code": "not_uploaded", "problems": 1}


def test_a_discarded_import_tells_nothing_more(clock: TestClock) -> None:
    one = uploaded(clock, "second", NEXT)
    imports.discard_import(DIRECTOR, one.id, clock())

    assert [event.type for event in of_imports()] == [EventType.IMPORT_READY]


@pytest.mark.parametrize("kind", ["lost", "applied"])
def test_an_import_killed_at_any_transaction_is_told_once(clock: TestClock, kind: Fault) -> None:
    one = imports.create_import(DIRECTOR, (ZIP,), "second", clock(), is_first=True)
    rosters.put(f"imports/{SCHOOL.id}/{one.id}/{ZIP}", rosters.zipped(NEXT))

    killed = 0
    for attempt in range(8):
        with faults("TransactWriteItems", *[None] * attempt, kind, kind, kind) as attempts:
            try:
                roster_import.note_upload(SCHOOL.id, one.id, ZIP, clock, lambda: TIME)
            except PynamoDBException:
                killed += 1
        clock.move(minutes=2)  # the lease of whoever died is over
        if kind not in attempts:
            break
    assert [event.type for event in of_imports()] == [EventType.IMPORT_READY]
    for attempt in range(12):
        with faults("TransactWriteItems", *[None] * attempt, kind, kind, kind):
            try:
                imports.apply_import(DIRECTOR, one.id, clock(), confirm_gone=True)
                roster_import.work(SCHOOL.id, one.id, clock, lambda: TIME)
            except PynamoDBException:
                killed += 1
        clock.move(minutes=2)

    assert killed
    assert imports.get_import(DIRECTOR, one.id).state is ImportState.DONE
    assert [event.type for event in of_imports()] == [EventType.IMPORT_READY, EventType.IMPORT_APPLIED]
