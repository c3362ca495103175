"""What an import does to one person: what the roster owns is replaced, what it does not know about is kept."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from recado.rules.custom_groups import custom_among
from recado.rules.oneroster import Roster, RosterPerson


class Change(StrEnum):
    NEW = "new"
    CHANGED = "changed"  # includes who had gone and is back
    UNCHANGED = "unchanged"
    GONE = "gone"


class Source(StrEnum):
    """Who says that a person is at the school."""

    ROSTER = "roster"
    SCHOOL = "school"  # made by hand: no import marks them as gone


@dataclass(frozen=True, slots=True)
class MadeByHand:
    """What the school made itself: its custom groups, and the records of the people that no roster ever named."""

    groups: frozenset[str] = frozenset()
    people: Mapping[str, RosterPerson] = field(default_factory=dict)


def record_after(before: RosterPerson | None, roster: Roster, person_id: str, by_hand: MadeByHand) -> RosterPerson:
    """The person's record after the import, before their own correction of the number is looked at.

    Custom groups stay, and so does family made by hand, whose courses a guardian inherits. Where a bad row may hide a
    course or a family, the former groups stay besides the new ones: an alert too many is better than a family that is
    not alerted.
    """
    after = roster.people[person_id]
    if before is None:
        return after
    after = _with_what_is_by_hand(before, after, by_hand)
    if not (person_id in roster.incomplete or before.students & roster.unread):
        return after
    return replace(
        after,
        groups=after.groups | inherited_groups(before),
        guardians=after.guardians | before.guardians,
        students=after.students | before.students,
    )


def record_by_hand_after(before: RosterPerson, roster: Roster, by_hand: MadeByHand) -> RosterPerson:
    """The record of somebody made by hand after the import: a guardian follows their students to other courses.

    Who is neither in the roster nor made by hand is no longer anybody's student or guardian.
    """
    known = roster.people.keys() | by_hand.people.keys() | roster.unread
    after = replace(before, guardians=before.guardians & known, students=before.students & known)
    custom = before.groups & by_hand.groups
    if not before.students or before.students & roster.unread:
        return replace(after, groups=custom | inherited_groups(before))
    records = (roster.people.get(student_id) or by_hand.people[student_id] for student_id in after.students)
    return replace(after, groups=custom.union(*(inherited_groups(record) for record in records)))


def inherited_groups(record: RosterPerson) -> frozenset[str]:
    """Which of a student's groups guardians are in too: all but custom ones, which hold whom they were given."""
    return record.groups - custom_among(record.groups)


def is_gone(roster: Roster, person_id: str) -> bool:
    """Whether a bulk roster says that somebody it does not name has left."""
    return person_id not in roster.people and person_id not in roster.unread


def record_of_gone(before: RosterPerson) -> RosterPerson:
    """Whoever left keeps name, number and family, and is in no group.

    Custom groups stay on the record for the day they are back; nobody who left is listed or written to.
    """
    return replace(before, groups=custom_among(before.groups))


def _with_what_is_by_hand(before: RosterPerson, after: RosterPerson, by_hand: MadeByHand) -> RosterPerson:
    students = before.students & by_hand.people.keys() if after.role == "guardian" else frozenset[str]()
    guardians = before.guardians & by_hand.people.keys() if after.role == "student" else frozenset[str]()
    inherited = (inherited_groups(by_hand.people[student_id]) for student_id in students)
    return replace(
        after,
        groups=(after.groups | (before.groups & by_hand.groups)).union(*inherited),
        students=after.students | students,
        guardians=after.guardians | guardians,
    )
