"""A school's people and groups: who they are, who receives SMS, and who an audience is made of.

Must never show one school another's people: the school is the caller's, from the token.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from recado.access import Caller
from recado.errors import NotAllowed, NotFound, StillRunning
from recado.rules import roles
from recado.rules.audience import Audience, Member, is_blocked, is_in
from recado.tables import groups as group_table
from recado.tables import opt_outs as opt_out_table
from recado.tables import people as people_table
from recado.tables.base import Transaction
from recado.tables.groups import Group
from recado.tables.opt_outs import Note, NotedAlready
from recado.tables.people import Person, PersonChanged, SmsSwitch
from recado.tables.schools import School

PAGE = 100
SWITCH_ATTEMPTS_MAX = 5


@dataclass(frozen=True, slots=True)
class PersonSeen:
    """A person as the school's office sees them. `opted_out`: their number shows in red (L9), whatever the cause."""

    person: Person
    opted_out: bool


def list_groups(caller: Caller) -> list[Group]:
    """Every group of the school: levels, grades and courses, each with who is in it."""
    _check_may_see(caller)
    return group_table.list_groups(caller.school_id)


def list_people(caller: Caller, group_id: str | None, cursor: str | None) -> tuple[list[PersonSeen], str | None]:
    """A page of a group's people (None: everybody's), by id, and the next page's cursor. Raises NotFound."""
    _check_may_see(caller)
    school_id = caller.school_id
    if group_id is None:
        people, following = people_table.list_people(school_id, limit=PAGE, after=cursor)
        return _seen(school_id, people), following
    if group_table.find_group(school_id, group_id) is None:
        raise NotFound("There is no such group")
    ids, following = group_table.list_member_ids(school_id, group_id, limit=PAGE, after=cursor)
    # A member's row may outlive a killed import; the person's own record decides.
    people = [one for one in people_table.list_people_by_id(school_id, ids) if _is_in(one, group_id)]
    return _seen(school_id, people), following


def get_person(caller: Caller, person_id: str) -> PersonSeen:
    """One person's record. Raises NotFound, also for another school's."""
    _check_may_see(caller)
    return _seen(caller.school_id, [_get(caller.school_id, person_id)])[0]


def set_sms(caller: Caller, person_id: str, *, allowed: bool, reason: str, now: datetime) -> PersonSeen:
    """Switches a person's SMS on or off on their record (L8). What the number itself replied stays in force.

    Raises NotAllowed, NotFound, StillRunning when the record keeps changing underneath.
    """
    # 1. May they?
    if not roles.may_edit_people(caller.role):
        raise NotAllowed

    for _ in range(SWITCH_ATTEMPTS_MAX):
        # 2. Nothing to do if it is so already: the first who, when and why stay.
        person = _get(caller.school_id, person_id)
        if person.sms_allowed == allowed:
            break

        # 3. The switch on the person and the cause on their number: both or neither.
        switch = SmsSwitch(allowed, caller.subject, now, reason)
        try:
            with Transaction() as write:
                people_table.save_switch(write, caller.school_id, person, switch)
                if person.record.number is not None:
                    cause = opt_out_table.person_cause(person.id)
                    note = Note(cause, added=not allowed, by=caller.subject, at=now, reason=reason)
                    opt_out_table.change_cause(write, caller.school_id, person.record.number, note)
        except (PersonChanged, NotedAlready):
            continue
        break
    else:
        raise StillRunning("The record is being changed", retry_after_seconds=1)

    return get_person(caller, person_id)


def list_audience_members(school: School, audience: Audience) -> Iterator[Member]:
    """Everybody of an audience, equal numbers next to each other. Opt-outs are not asked here (see opt_outs.py)."""
    members = people_table.list_members(school.id, school.shards) if audience.who else _named(school, audience.people)
    return (member for member in members if is_in(audience, member))


def _named(school: School, person_ids: Iterable[str]) -> Iterator[Member]:
    """Individuals only: asked for by name instead of reading the whole school."""
    records = [
        person.record for person in people_table.list_people_by_id(school.id, person_ids) if person.left_at is None
    ]
    for one in sorted(records, key=lambda record: (record.number or people_table.NO_NUMBER, record.id)):
        yield Member(one.id, one.role, one.groups, one.number, one.number_problem)


def _get(school_id: str, person_id: str) -> Person:
    person = people_table.find_person(school_id, person_id)
    if person is None:
        raise NotFound("There is no such person")
    return person


def _is_in(person: Person, group_id: str) -> bool:
    return person.left_at is None and group_id in person.record.groups


def _seen(school_id: str, people: Sequence[Person]) -> list[PersonSeen]:
    numbers = {person.record.number for person in people if person.record.number is not None}
    causes = opt_out_table.list_causes(school_id, numbers)
    return [
        PersonSeen(
            person,
            opted_out=not person.sms_allowed or is_blocked(causes.get(person.record.number or "", ()), [person.id]),
        )
        for person in people
    ]


def _check_may_see(caller: Caller) -> None:
    """Records hold everybody's numbers: for those in charge only."""
    if not roles.may_edit_people(caller.role):
        raise NotAllowed
