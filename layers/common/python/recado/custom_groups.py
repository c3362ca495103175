"""Groups that the school makes itself. A group's count moves in the transaction that moves its people.

Must never touch a group of the roster's, nor write anything of a list in which somebody is unknown.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import batched

from recado.access import Caller
from recado.errors import (
    AlreadyExists,
    FieldProblem,
    IdempotencyKeyReused,
    InvalidRequest,
    NotAllowed,
    NotFound,
    StillRunning,
    WrongState,
)
from recado.rules import person_records, roles
from recado.rules.audience import WHO_OF_ROLE, Who
from recado.rules.custom_groups import CUSTOM_KIND, CUSTOM_PREFIX, custom_among, is_custom_group
from recado.rules.oneroster import RosterGroup
from recado.tables import groups as group_table
from recado.tables import people as people_table
from recado.tables import schools as school_table
from recado.tables.base import Transaction
from recado.tables.groups import Group, GroupChanged
from recado.tables.people import Person, PersonChanged
from recado.tables.schools import School

LIST_MAX = 1000  # people of one request
GROUPS_MAX = 1000  # of one school
CHUNK = 40  # people of one transaction: two rows each, and the group's
ATTEMPTS_MAX = 5
TIME_KEPT = timedelta(seconds=5)  # for the answer


@dataclass(frozen=True, slots=True)
class MemberChanges:
    """Who comes in and who goes out. `with_guardians`: the guardians of the students named do the same."""

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    with_guardians: bool = False


def check_caller(caller: Caller) -> None:
    """Raises NotAllowed for everybody but those in charge; every act below asks it too."""
    if not roles.may_edit_people(caller.role):
        raise NotAllowed


def create_group(caller: Caller, name: str, people: Sequence[str], request_key: str, *, is_first: bool) -> Group:
    """A new custom group; its id follows from the request's key: asked again, it is the same group.

    Raises InvalidRequest, AlreadyExists for a repeat that says something else, WrongState when there are too many.
    """
    check_caller(caller)
    school = _school(caller.school_id)
    clean = _clean_name(name)
    changes = MemberChanges(add=tuple(people))
    _read_people(school.id, changes, add_field="/people")

    group_id = CUSTOM_PREFIX + hashlib.sha256(f"{school.id}|{request_key}".encode()).hexdigest()[:20]
    found = group_table.find_group(school.id, group_id)
    if found is not None and is_first:
        raise IdempotencyKeyReused
    if found is not None and (found.record.name != clean or found.is_closing):
        raise AlreadyExists("A group of this id is there already")
    if found is None:
        if len(custom_among(group.record.id for group in group_table.list_groups(school.id))) >= GROUPS_MAX:
            raise WrongState(f"A school may have {GROUPS_MAX} groups of its own")
        record = RosterGroup(group_id, CUSTOM_KIND, clean, None)
        group_table.save_group(school.id, Group(record, dict.fromkeys(Who, 0)), before=None)
    return change_members(caller, group_id, changes)


def rename_group(caller: Caller, group_id: str, name: str) -> Group:
    """Raises InvalidRequest, NotFound, WrongState for a group of the roster's."""
    check_caller(caller)
    clean = _clean_name(name)
    _get(caller.school_id, group_id)
    if not group_table.rename_group(caller.school_id, group_id, clean):
        raise NotFound("There is no such group")
    return _get(caller.school_id, group_id)


def change_members(caller: Caller, group_id: str, changes: MemberChanges) -> Group:
    """Takes people in and out; who is in already, or out, stays so, and doing it twice is doing it once.

    Nothing is written when somebody is unknown (InvalidRequest, by position). Raises NotFound, WrongState for a group
    of the roster's, StillRunning when records keep changing: what was done by then is done, a repeat does the rest.
    """
    check_caller(caller)
    school = _school(caller.school_id)
    _get(school.id, group_id)
    people = _read_people(school.id, changes)
    adding, removing = set(changes.add), set(changes.remove)
    if changes.with_guardians:
        for named in (adding, removing):
            named |= {guardian_id for one in set(named) for guardian_id in people[one].record.guardians}
    for is_in, named in ((False, removing - adding), (True, adding)):
        for chunk in batched(sorted(named), CHUNK, strict=False):
            _move(school, group_id, chunk, is_in=is_in)
    return _get(school.id, group_id)


def delete_group(caller: Caller, group_id: str, time_left: Callable[[], timedelta]) -> None:
    """Deletes a custom group: from now on nobody comes in, then everybody is taken out, a chunk at a time.

    Raises NotFound, WrongState, StillRunning when it takes longer than a request may: asked again, it goes on.
    """
    check_caller(caller)
    school = _school(caller.school_id)
    _get(school.id, group_id, closing_too=True)
    if not group_table.close_group(school.id, group_id):
        return
    for chunk in batched(group_table.list_all_member_ids(school.id, group_id), CHUNK, strict=False):
        if time_left() < TIME_KEPT:
            raise StillRunning("The group is being emptied", retry_after_seconds=1)
        _move(school, group_id, chunk, is_in=False)
    group_table.delete_closed_group(school.id, group_id)


def _move(school: School, group_id: str, person_ids: Iterable[str], *, is_in: bool) -> None:
    """Puts a chunk of people into the group or takes them out: their rows, the members' and the count, or nothing."""
    wanted = list(person_ids)
    for _ in range(ATTEMPTS_MAX):
        people = people_table.list_people_by_id(school.id, wanted)
        # Whoever left comes into nothing, and is still taken out of what they would come back to.
        placed = [one for one in people if one.left_at is None]
        moved = [one for one in (placed if is_in else people) if (group_id in one.record.groups) != is_in]
        counts = Counter(WHO_OF_ROLE[one.record.role] for one in moved if one.left_at is None)
        change = {who: count if is_in else -count for who, count in counts.items()}
        try:
            with Transaction() as write:
                for one in moved:
                    groups = one.record.groups
                    after = groups | {group_id} if is_in else groups - {group_id}
                    people_table.save_groups_in(write, school.id, one, after)
                for person_id in [one.id for one in placed] if is_in else wanted:
                    put_or_delete = group_table.put_member if is_in else group_table.delete_member
                    put_or_delete(write, school.id, group_id, person_id)
                if change:
                    group_table.add_to_counts(write, school.id, group_id, change, joining=is_in)
        except PersonChanged:
            continue
        except GroupChanged as gone:
            raise NotFound("There is no such group") from gone
        return
    raise StillRunning("The records are being changed", retry_after_seconds=1)


def _read_people(school_id: str, changes: MemberChanges, add_field: str = "/add") -> dict[str, Person]:
    """Everybody named, by id. Raises InvalidRequest for each who is not there, and who is in both lists."""
    for field, ids in ((add_field, changes.add), ("/remove", changes.remove)):
        problems = person_records.find_list_problems(field, ids, LIST_MAX)
        if problems:
            raise InvalidRequest(fields=problems)
    people = {one.id: one for one in people_table.list_people_by_id(school_id, {*changes.add, *changes.remove})}
    here = {one.id for one in people.values() if one.left_at is None}
    problems = [
        FieldProblem(f"{field}/{position}", "unknown_person", "There is no such person")
        for field, ids, known in ((add_field, changes.add, here), ("/remove", changes.remove, people.keys()))
        for position, person_id in enumerate(ids)
        if person_id not in known
    ]
    removed = set(changes.remove)
    problems += [
        FieldProblem(f"/add/{position}", "in_both_lists", "To be added and to be removed")
        for position, person_id in enumerate(changes.add)
        if person_id in removed
    ]
    if problems:
        raise InvalidRequest(fields=problems)
    return people


def _clean_name(name: str) -> str:
    problems = person_records.find_name_problems("/name", name)
    if problems:
        raise InvalidRequest(fields=problems)
    return person_records.clean_name(name)


def _get(school_id: str, group_id: str, *, closing_too: bool = False) -> Group:
    group = group_table.find_group(school_id, group_id)
    if group is None or (group.is_closing and not closing_too):
        raise NotFound("There is no such group")
    if not is_custom_group(group_id):
        raise WrongState("This group belongs to the roster")
    return group


def _school(school_id: str) -> School:
    school = school_table.find_school(school_id)
    if school is None:
        raise NotFound("There is no such school")
    return school
