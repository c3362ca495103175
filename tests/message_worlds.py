"""Families, staff, inboxes and quiet hours for tests of messages; the small school itself is in worlds.py."""

from dataclasses import replace
from datetime import datetime, time
from typing import Any

from recado import estimates, people_records, records
from recado.access import Caller
from recado.drafts import NewMessage
from recado.estimates import Estimate
from recado.rules.oneroster import RosterGroup, RosterPerson
from recado.rules.quiet_hours import QuietHours
from recado.rules.school_settings import SchoolSettings
from recado.tables import groups, inbox, people, school_settings
from recado.tables.groups import Group
from tests.worlds import COURSE, DIRECTOR, NOON, SCHOOL, TestClock, alert

OTHER_COURSE = "course-8a"
FOREIGN = "+34600000001"
AT_NIGHT = datetime(2026, 11, 24, 3, 30, tzinfo=NOON.tzinfo)  # half past midnight in Santiago


def add_course(group_id: str = OTHER_COURSE, name: str = "8° Básico A", school_id: str = SCHOOL) -> None:
    assert groups.save_group(school_id, Group(RosterGroup(group_id, "course", name, None), {}), None)


def add_person(
    person_id: str,
    role: str = "guardian",
    *,
    name: str = "Rosa",
    number: str | None = None,
    typed: str | None = None,
    problem: bool = False,
    courses: tuple[str, ...] = (COURSE,),
    students: tuple[str, ...] = (),
    guardians: tuple[str, ...] = (),
    school_id: str = SCHOOL,
) -> str:
    person = RosterPerson(
        id=person_id,
        role=role,
        given_name=name,
        family_name="Muñoz",
        number=number,
        typed_number=typed if typed is not None else number or "",
        number_problem=problem,
        groups=frozenset(courses),
        students=frozenset(students),
        guardians=frozenset(guardians),
    )
    assert people.create_person(school_id, 1, person)
    return person_id


def change_person(person_id: str, *, left_at: datetime | None = None, school_id: str = SCHOOL, **changes: Any) -> None:
    """As an import would: a number corrected, another course, somebody gone."""
    before = people.find_person(school_id, person_id)
    assert before is not None
    after = replace(before, record=replace(before.record, **changes), left_at=left_at)
    assert people_records.save_person(records.get_school(school_id), before, after, by="roster", at=NOON)


def set_quiet_hours(start: str = "21:00", end: str = "07:00", school_id: str = SCHOOL) -> None:
    quiet = QuietHours(time.fromisoformat(start), time.fromisoformat(end))
    settings = SchoolSettings(quiet_hours=quiet, version=1, changed_by="directora", changed_at=NOON)
    assert school_settings.save_settings(school_id, settings)


def to(*channels: str, new: NewMessage | None = None, **changes: Any) -> NewMessage:
    """An alert by these ways."""
    return replace(new or alert(), channels=channels, **changes)


def estimated(
    new: NewMessage,
    clock: TestClock,
    *,
    state: str | None = None,
    limit: int = 100,
    cursor: int = 0,
    caller: Caller = DIRECTOR,
) -> Estimate:
    return estimates.estimate(caller, new, clock(), state=state, limit=limit, cursor=cursor)


def digest_of(new: NewMessage, clock: TestClock) -> str:
    found = estimated(new, clock).totals
    assert found is not None
    return found.seal


def copies_of(person_id: str, now: datetime = NOON, school_id: str = SCHOOL) -> list[str]:
    """The texts in a person's inbox, newest first."""
    return [kept.copy.text for kept in inbox.list_copies(school_id, person_id, now, limit=100)]
