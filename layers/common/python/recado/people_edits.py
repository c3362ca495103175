"""Records made, changed and removed by the school's office: people of no roster, and what a roster does not say yet.

Must never leave a guardian out of a student's courses: whoever's family or courses change takes their guardians along.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from recado import events, idempotency, people_records
from recado.access import Caller
from recado.errors import (
    AlreadyExists,
    FieldProblem,
    IdempotencyKeyReused,
    InvalidRequest,
    NotAllowed,
    NotFound,
    StillRunning,
)
from recado.rules import person_records, roles
from recado.rules.audience import WHO_OF_ROLE, Who
from recado.rules.number_corrections import correct, record_with_number
from recado.rules.oneroster import RosterGroup, RosterPerson
from recado.rules.person_records import RecordEdit
from recado.rules.roster_changes import Source
from recado.tables import groups as group_table
from recado.tables import number_changes as number_change_table
from recado.tables import people as people_table
from recado.tables import schools as school_table
from recado.tables.base import Transaction
from recado.tables.groups import GroupChanged
from recado.tables.opt_outs import NotedAlready
from recado.tables.people import Person, PersonChanged
from recado.tables.schools import School

ATTEMPTS_MAX = 5
TRANSACTION_MAX = 100  # DynamoDB's limit


@dataclass(frozen=True, slots=True)
class NewPerson:
    """`id` None: one is derived from the request's key. The edit says the rest, role and names at least."""

    id: str | None
    edit: RecordEdit


@dataclass(frozen=True, slots=True)
class _Change:
    """One person's row as it was read (None: nobody) and as it is to be.

    `is_touched`: written even if it stays as it is, so that two students who leave a course at once do not both leave
    their guardian there for the other's sake. `is_erasure`: neither noted nor moving the opt-out that is to stay.
    """

    before: Person | None
    after: Person
    is_touched: bool = False
    is_erasure: bool = False


def check_caller(caller: Caller) -> None:
    """Raises NotAllowed for everybody but those in charge; every act below asks it too."""
    if not roles.may_edit_people(caller.role):
        raise NotAllowed


def create_person(caller: Caller, new: NewPerson, request_key: str, now: datetime, *, is_first: bool) -> Person:
    """Somebody that no roster names, or who left and is back. Raises InvalidRequest, AlreadyExists, StillRunning.

    `is_first`: nobody asked for this before; else somebody who is there, and says the same, is the one asked for.
    """
    check_caller(caller)
    school = _school(caller.school_id)
    _refuse([*_id_problems(new.id), *person_records.find_problems(new.edit)])
    person_id = new.id or f"p-{idempotency.fingerprint(f'{school.id}|{request_key}')[:20]}"

    for _ in range(ATTEMPTS_MAX):
        # 1. Is the id taken? Then it is the one asked for, or somebody else's; whoever left is back under their own.
        found = people_table.find_person(school.id, person_id)
        blank = Person(_blank(person_id), switch=None, left_at=None, version=0, source=Source.SCHOOL)
        if found is not None and (found.left_at is None or new.id is None):
            return _the_one_asked_for(school, found, new, is_first=is_first)
        if found is not None:
            blank = replace(found, record=_blank(person_id), left_at=None, erased_at=None, correction=None)
            blank = replace(blank, source=Source.SCHOOL)

        # 2. The record with its family; then all of it or nothing.
        changes = _plan(school, blank, new.edit, caller.subject, now)
        changes = [replace(change, before=found) if change.after.id == person_id else change for change in changes]
        if _is_written(school, changes, caller.subject, now):
            return _get(school.id, person_id)
        is_first = False  # refused: what is there now may be this very request's, whose answer was lost
    raise StillRunning("The record is being changed", retry_after_seconds=1)


def change_person(caller: Caller, person_id: str, edit: RecordEdit, now: datetime) -> Person:
    """Changes what the edit names and leaves the rest as it is, whoever else writes in between.

    Raises InvalidRequest, NotFound (also who left), StillRunning. What the roster says of names, role, courses and
    family comes back with its next import; a corrected number stays until the roster's own changes.
    """
    check_caller(caller)
    school = _school(caller.school_id)
    _refuse(person_records.find_problems(edit))
    for _ in range(ATTEMPTS_MAX):
        person = _get(school.id, person_id)
        changes = _plan(school, person, edit, caller.subject, now)
        if _is_written(school, changes, caller.subject, now):
            return _get(school.id, person_id)
    raise StillRunning("The record is being changed", retry_after_seconds=1)


def remove_person(caller: Caller, person_id: str, now: datetime, *, erase: bool) -> None:
    """Takes somebody out of every group and audience at once; their opt-out stays and binds (L8). Raises NotFound.

    `erase`: names, numbers and family go too. What stays is the id, the role, the SMS switch, and the opt-outs' notes
    on the number. Asked again, it changes nothing.
    """
    check_caller(caller)
    school = _school(caller.school_id)
    for _ in range(ATTEMPTS_MAX):
        # 1. Whose family were they? Their guardians are no longer in their courses.
        person = people_table.find_person(school.id, person_id)
        if person is None:
            raise NotFound("There is no such person")
        if _is_removed(person, erase=erase):
            break
        edit = RecordEdit(students=(), guardians=())
        changes = [] if person.left_at is not None else _plan(school, person, edit, caller.subject, now)
        family = [change for change in changes if change.after.id != person_id]

        # 2. The person themselves, with their family's rows or not at all.
        removal = _Change(person, _removed(person, now, erase=erase), is_erasure=erase)
        if _is_written(school, [removal, *family], caller.subject, now):
            break
    else:
        raise StillRunning("The record is being changed", retry_after_seconds=1)

    # 3. The history of numbers last: it is not reached any more, and a repeat comes back for it.
    if erase:
        number_change_table.delete_changes(school.id, person_id)


def _plan(school: School, person: Person, edit: RecordEdit, by: str, now: datetime) -> list[_Change]:
    """How this person and their family are to be. Raises InvalidRequest for what does not fit the school as it is."""
    groups = {group.record.id: group.record for group in group_table.list_groups(school.id) if not group.is_closing}
    before, record = person.record, _edited(person.record, edit, school.country)
    family_ids = before.students | before.guardians | record.students | record.guardians
    family = {one.id: one for one in people_table.list_people_by_id(school.id, family_ids)}
    _refuse(_link_problems(record, edit, family) + _group_problems(record, edit, groups))
    if edit.groups is not None or not before.role:
        record = replace(record, groups=person_records.groups_chosen(before, edit.groups or (), groups))

    # The person's own courses follow from their students, if they are a guardian.
    if record.students or before.students:
        students = [family[one].record for one in record.students if one in family]
        record = replace(record, groups=person_records.guardian_groups(record, students, groups))
    correction = person.correction
    if edit.typed_number is not None and person.source is Source.ROSTER:
        correction = correct(before, record, correction, by, now)
    changes = [_Change(person, replace(person, record=record, correction=correction))]

    # Whoever is linked or no longer linked; guardians of a student follow to other courses.
    here = {one.id: one for one in family.values() if one.left_at is None}
    for student_id in sorted((before.students ^ record.students) & here.keys()):
        student = here[student_id]
        guardians = _toggled(student.record.guardians, person.id, is_in=student_id in record.students)
        changes.append(_Change(student, replace(student, record=replace(student.record, guardians=guardians))))
    is_moved = record.groups != before.groups
    moved = before.guardians | record.guardians if is_moved else before.guardians ^ record.guardians
    for guardian_id in sorted(moved & here.keys()):
        guardian = here[guardian_id]
        is_linked = guardian_id in record.guardians
        after = replace(guardian.record, students=_toggled(guardian.record.students, person.id, is_in=is_linked))
        others = people_table.list_people_by_id(school.id, after.students - {person.id})
        students = [one.record for one in others if one.left_at is None] + ([record] if is_linked else [])
        after = replace(after, groups=person_records.guardian_groups(after, students, groups))
        changes.append(_Change(guardian, replace(guardian, record=after), is_touched=True))
    return changes


def _edited(before: RosterPerson, edit: RecordEdit, country: str) -> RosterPerson:
    record = replace(
        before,
        role=before.role if edit.role is None else edit.role,
        given_name=before.given_name if edit.given_name is None else person_records.clean_name(edit.given_name),
        family_name=before.family_name if edit.family_name is None else person_records.clean_name(edit.family_name),
        students=before.students if edit.students is None else frozenset(edit.students),
        guardians=before.guardians if edit.guardians is None else frozenset(edit.guardians),
    )
    return record if edit.typed_number is None else record_with_number(record, edit.typed_number.strip(), country)


def _link_problems(record: RosterPerson, edit: RecordEdit, family: Mapping[str, Person]) -> list[FieldProblem]:
    """Guardians have students and students guardians, who are there; nobody else has either."""
    problems: list[FieldProblem] = []
    for field, asked, kept, holder, role in (
        ("/students", edit.students, record.students, "guardian", "student"),
        ("/guardians", edit.guardians, record.guardians, "student", "guardian"),
    ):
        if kept and record.role != holder:
            place = "/role" if asked is None else field
            problems.append(FieldProblem(place, "wrong_role", f"Only a {holder} has {field[1:]}"))
            continue
        for position, person_id in enumerate(asked or ()):
            linked = family.get(person_id)
            if linked is None or linked.left_at is not None or person_id == record.id:
                problems.append(FieldProblem(f"{field}/{position}", "unknown_person", "There is no such person"))
            elif linked.record.role != role:
                problems.append(FieldProblem(f"{field}/{position}", "wrong_role", f"Not a {role}"))
    return problems


def _group_problems(record: RosterPerson, edit: RecordEdit, groups: Mapping[str, RosterGroup]) -> list[FieldProblem]:
    problems: list[FieldProblem] = []
    for position, group_id in enumerate(edit.groups or ()):
        group = groups.get(group_id)
        if group is None:
            problems.append(FieldProblem(f"/groups/{position}", "unknown_group", "There is no such group"))
        elif not person_records.may_be_chosen(group):
            detail = "Courses and custom groups only: the rest follows from the course"
            problems.append(FieldProblem(f"/groups/{position}", "wrong_kind", detail))
        elif record.students and group.kind == "course" and group_id not in record.groups:
            detail = "A guardian is in their students' courses"
            problems.append(FieldProblem(f"/groups/{position}", "inherited", detail))
    return problems


def _is_written(school: School, changes: Sequence[_Change], by: str, now: datetime) -> bool:
    """Writes all of the changes or none; False when something is no longer as it was read."""
    changed = [change for change in changes if change.is_touched or change.before != change.after]
    before = Counter(place for change in changed for place in _places(change.before))
    after = Counter(place for change in changed for place in _places(change.after))
    pairs_before = {(group_id, person_id) for group_id, _, person_id in before}
    pairs_after = {(group_id, person_id) for group_id, _, person_id in after}
    known = {group.record.id for group in group_table.list_groups(school.id)}

    # Into groups before the records say so and out of them after: killed in between, nobody is missing.
    group_table.save_memberships(school.id, added=pairs_after - pairs_before, removed=())
    told = [
        people_records.moved_opt_out(change.before, change.after, by=by, at=now)
        for change in changed
        if change.before is not None and not change.is_erasure
    ]
    told_of = [one for one in told if one is not None]

    def save(write: Transaction) -> None:
        for change in changed:
            if change.before is None:
                people_table.create_person_in(write, school.id, school.shards, change.after)
            elif change.is_erasure:
                people_table.save_person_in(write, school.id, school.shards, change.before, change.after)
            else:
                people_records.save_person_in(write, school, change.before, change.after, by=by, at=now)
        for group_id, counted in _counted(before, after).items():
            if group_id in known:
                joining = any(count > 0 for count in counted.values())
                group_table.add_to_counts(write, school.id, group_id, counted, joining=joining)
        if len(write) + events.writes_of(told_of) > TRANSACTION_MAX:
            _refuse([FieldProblem("/", "too_much_at_once", "Change family and groups one after the other")])

    try:
        if told_of:
            events.commit_all(school.id, told_of, save)
        else:
            with Transaction() as write:
                save(write)
    except (PersonChanged, NotedAlready, GroupChanged):
        return False
    group_table.save_memberships(school.id, added=(), removed=pairs_before - pairs_after)
    return True


def _places(person: Person | None) -> list[tuple[str, Who, str]]:
    """(group, kind, person) of everywhere somebody is counted; whoever left is nowhere."""
    if person is None or person.left_at is not None:
        return []
    return [(group_id, WHO_OF_ROLE[person.record.role], person.id) for group_id in sorted(person.record.groups)]


def _counted(before: Counter[tuple[str, Who, str]], after: Counter[tuple[str, Who, str]]) -> dict[str, dict[Who, int]]:
    """How many more (or fewer) of each kind are in each group that changes."""
    counts: dict[str, Counter[Who]] = {}
    for places, step in ((before - after, -1), (after - before, 1)):
        for group_id, who, _ in places:
            counts.setdefault(group_id, Counter())[who] += step
    return {group_id: dict(found) for group_id, found in sorted(counts.items())}


def _removed(person: Person, now: datetime, *, erase: bool) -> Person:
    record = replace(person.record, groups=frozenset(), students=frozenset(), guardians=frozenset())
    left = replace(person, record=record, left_at=person.left_at or now)
    if not erase:
        return left
    nameless = replace(record, given_name="", family_name="", number=None, typed_number="", number_problem=False)
    return replace(left, record=nameless, correction=None, erased_at=person.erased_at or now)


def _is_removed(person: Person, *, erase: bool) -> bool:
    return person.left_at is not None and not person.record.groups and (person.erased_at is not None or not erase)


def _the_one_asked_for(school: School, found: Person, new: NewPerson, *, is_first: bool) -> Person:
    """Asked again after an answer that was lost, the person who is there is the one asked for, if they say the same."""
    if is_first and new.id is None:
        raise IdempotencyKeyReused
    says_the_same = found.left_at is None and _says(found.record, new.edit, school.country)
    if is_first or not says_the_same:
        raise AlreadyExists("A person of this id is there already")
    return found


def _says(record: RosterPerson, edit: RecordEdit, country: str) -> bool:
    return replace(_edited(record, edit, country), groups=record.groups) == record


def _toggled(ids: frozenset[str], person_id: str, *, is_in: bool) -> frozenset[str]:
    return ids | {person_id} if is_in else ids - {person_id}


def _blank(person_id: str) -> RosterPerson:
    nobody: frozenset[str] = frozenset()
    return RosterPerson(person_id, "", "", "", None, "", False, nobody, nobody, nobody)


def _id_problems(person_id: str | None) -> list[FieldProblem]:
    if person_id is None:
        return []
    if not person_records.PERSON_ID.fullmatch(person_id):
        return [FieldProblem("/id", "malformed", "1 to 64 of A-Z a-z 0-9 . _ -")]
    if person_id in person_records.RESERVED_IDS:
        return [FieldProblem("/id", "reserved", "This id is a word of the API's own")]
    return []


def _refuse(problems: Iterable[FieldProblem]) -> None:
    found = list(problems)
    if found:
        raise InvalidRequest(fields=found)


def _get(school_id: str, person_id: str) -> Person:
    person = people_table.find_person(school_id, person_id)
    if person is None or person.left_at is not None:
        raise NotFound("There is no such person")
    return person


def _school(school_id: str) -> School:
    school = school_table.find_school(school_id)
    if school is None:
        raise NotFound("There is no such school")
    return school
