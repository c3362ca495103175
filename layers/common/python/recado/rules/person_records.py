"""What a record made or changed by hand may say, and what a group's place in the school means for its people. Pure."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from recado.errors import FieldProblem
from recado.rules.audience import WHO_OF_ROLE
from recado.rules.custom_groups import custom_among, is_custom_group
from recado.rules.oneroster import RosterGroup, RosterPerson
from recado.rules.roster_changes import inherited_groups

PERSON_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
RESERVED_IDS = frozenset({"unreachable", "unreachable.csv"})  # words of the API's own paths
NAME_LENGTH_MAX = 100
TYPED_NUMBER_LENGTH_MAX = 40
FAMILY_MAX = 20  # students of one guardian, guardians of one student
GROUPS_MAX = 30  # of one person
PARENTS_MAX = 10  # course, grade, level, school: deeper is a circle


@dataclass(frozen=True, slots=True)
class RecordEdit:
    """What a record is to say; None leaves it as it is. `typed_number` "" takes the number away."""

    role: str | None = None
    given_name: str | None = None
    family_name: str | None = None
    typed_number: str | None = None
    groups: tuple[str, ...] | None = None
    students: tuple[str, ...] | None = None
    guardians: tuple[str, ...] | None = None


def find_problems(edit: RecordEdit) -> list[FieldProblem]:
    """Every field that cannot be accepted whoever the person is; none when the record may say this."""
    problems: list[FieldProblem] = []
    for field, name in (("/given_name", edit.given_name), ("/family_name", edit.family_name)):
        problems += [] if name is None else find_name_problems(field, name)
    if edit.role is not None and edit.role not in WHO_OF_ROLE:
        problems.append(FieldProblem("/role", "unknown", f"One of {', '.join(sorted(WHO_OF_ROLE))}"))
    if edit.typed_number is not None:
        problems += find_number_problems("/number", edit.typed_number)
    for field, ids, most in (
        ("/groups", edit.groups, GROUPS_MAX),
        ("/students", edit.students, FAMILY_MAX),
        ("/guardians", edit.guardians, FAMILY_MAX),
    ):
        problems += [] if ids is None else find_list_problems(field, ids, most)
    return problems


def find_name_problems(field: str, name: str) -> list[FieldProblem]:
    """A name is shown and ends up in texts: it has letters, and nothing that does not print."""
    if not name.strip() or len(name) > NAME_LENGTH_MAX:
        return [FieldProblem(field, "length", f"1 to {NAME_LENGTH_MAX} characters")]
    if not name.isprintable():
        return [FieldProblem(field, "not_printable", "No control or invisible characters")]
    return []


def find_number_problems(field: str, typed: str) -> list[FieldProblem]:
    """What is typed as a number is kept even when it cannot be used, so it must be fit to be shown."""
    if len(typed) > TYPED_NUMBER_LENGTH_MAX:
        return [FieldProblem(field, "length", f"At most {TYPED_NUMBER_LENGTH_MAX} characters")]
    if not typed.isprintable():
        return [FieldProblem(field, "not_printable", "No control or invisible characters")]
    return []


def find_reason_problems(field: str, reason: str) -> list[FieldProblem]:
    """Why somebody's SMS was switched is kept as proof and shown: lines of it, and nothing that does not print."""
    if not "".join(reason.splitlines()).isprintable() or "\x00" in reason:
        return [FieldProblem(field, "not_printable", "No control or invisible characters")]
    return []


def find_list_problems(field: str, ids: tuple[str, ...], most: int) -> list[FieldProblem]:
    """Ids of people or groups: not too many, each once and well formed."""
    if len(ids) > most:
        return [FieldProblem(field, "too_many", f"At most {most}")]
    malformed = [place for place, one in enumerate(ids) if not PERSON_ID.fullmatch(one)]
    twice = [place for place, one in enumerate(ids) if one in ids[:place]]
    return [
        *(FieldProblem(f"{field}/{place}", "malformed", "1 to 64 of A-Z a-z 0-9 . _ -") for place in malformed),
        *(FieldProblem(f"{field}/{place}", "duplicate", "It is in the list already") for place in twice),
    ]


def clean_name(name: str) -> str:
    """NFC, one space between words."""
    return " ".join(unicodedata.normalize("NFC", name).split())


def groups_chosen(record: RosterPerson, chosen: Iterable[str], groups: Mapping[str, RosterGroup]) -> frozenset[str]:
    """The groups of somebody who is put into these courses and custom groups: with the grade, level and school above.

    Courses that stay as they are leave what the roster says besides them, as a student's own grade.
    """
    asked = frozenset(chosen)
    custom, courses = custom_among(asked), asked - custom_among(asked)
    kept = inherited_groups(record)
    if kept and courses == {one for one in kept if one in groups and groups[one].kind == "course"}:
        return custom | kept
    return custom.union(*(_with_parents(course, groups) for course in courses), the_school(groups))


def the_school(groups: Mapping[str, RosterGroup]) -> frozenset[str]:
    """The group of everybody, when there is just one such."""
    schools = frozenset(group.id for group in groups.values() if group.kind == "school")
    return schools if len(schools) == 1 else frozenset()


def guardian_groups(
    guardian: RosterPerson, students: Iterable[RosterPerson], groups: Mapping[str, RosterGroup]
) -> frozenset[str]:
    """A guardian's own custom groups, and whatever their students are in but for those."""
    found = custom_among(guardian.groups).union(*(inherited_groups(student) for student in students))
    return found | the_school(groups)


def may_be_chosen(group: RosterGroup) -> bool:
    """Whether people are put into it by hand: grade, level and school follow from the course."""
    return group.kind == "course" or is_custom_group(group.id)


def _with_parents(group_id: str, groups: Mapping[str, RosterGroup]) -> frozenset[str]:
    found: list[str] = []
    place: str | None = group_id
    while place is not None and place in groups and place not in found and len(found) < PARENTS_MAX:
        found.append(place)
        place = groups[place].parent
    return frozenset(found)
