"""Whom no SMS reaches for want of a number (L14): listed for the office, with whose family they are."""

from dataclasses import dataclass

from recado.access import Caller
from recado.errors import FieldProblem, InvalidRequest, NotAllowed, NotFound
from recado.rules import roles
from recado.rules.audience import SkipReason
from recado.tables import groups as group_table
from recado.tables import people as people_table
from recado.tables import schools as school_table
from recado.tables.people import Person

CSV_ROWS_MAX = 2000  # of one file
ROWS_MAX = 2000  # of the index, read for one page
STUDENTS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Unreachable:
    """`groups` are names: the one asked for, or all of theirs that people choose. `students`: whose guardian it is."""

    person: Person
    reason: SkipReason
    groups: tuple[str, ...]
    students: tuple[str, ...]


def list_unreachable(
    caller: Caller, group_id: str | None, cursor: str | None, *, limit: int
) -> tuple[list[Unreachable], str | None]:
    """A page of people without a usable number and the next page's cursor; a page may be short and not the last.

    Raises NotAllowed, NotFound for a group, InvalidRequest for a cursor.
    """
    # 1. Who may, and where to go on.
    if not roles.may_edit_people(caller.role):
        raise NotAllowed
    school = school_table.find_school(caller.school_id)
    groups = {group.record.id: group for group in group_table.list_groups(caller.school_id) if not group.is_closing}
    if school is None or (group_id is not None and group_id not in groups):
        raise NotFound("There is no such group")
    shard, after = _read_cursor(cursor, school.shards)

    # 2. The index has them next to each other; whether they still are is asked of their own rows.
    ids: list[str] = []
    read = 0
    while shard < school.shards and len(ids) < limit and read < ROWS_MAX:
        members, after = people_table.list_unreachable(school.id, shard, limit=limit - len(ids), after=after)
        ids += [one.person_id for one in members if group_id is None or group_id in one.groups]
        read += len(members)
        shard += after is None
    people = [
        one
        for one in people_table.list_people_by_id(school.id, ids)
        if one.left_at is None and one.record.number is None and (group_id is None or group_id in one.record.groups)
    ]

    # 3. Names of their students and groups.
    student_ids = {student_id for one in people for student_id in sorted(one.record.students)[:STUDENTS_SHOWN]}
    students = {one.id: one for one in people_table.list_people_by_id(school.id, student_ids)}
    names = {
        found.record.id: found.record.name
        for found in groups.values()
        if found.record.kind in ("course", "custom") or found.record.id == group_id
    }
    listed = [
        Unreachable(
            person=one,
            reason=SkipReason.UNUSABLE_NUMBER if one.record.number_problem else SkipReason.NO_NUMBER,
            groups=(names[group_id],)
            if group_id is not None
            else tuple(sorted(names[found] for found in one.record.groups if found in names)),
            students=tuple(
                full_name(students[found])
                for found in sorted(one.record.students)[:STUDENTS_SHOWN]
                if found in students
            ),
        )
        for one in people
    ]
    return listed, f"{shard}.{after or ''}" if shard < school.shards else None


def full_name(person: Person) -> str:
    return f"{person.record.given_name} {person.record.family_name}".strip()


def _read_cursor(cursor: str | None, shards: int) -> tuple[int, str | None]:
    if cursor is None:
        return 0, None
    shard, point, after = cursor.partition(".")
    if not point or not shard.isdecimal() or len(shard) > 1 or int(shard) >= shards:
        raise InvalidRequest(fields=[FieldProblem("/query/cursor", "malformed", "Not a cursor of this list")])
    return int(shard), after or None
