"""What an import does to one person: what the roster owns is replaced, what it does not know about is kept."""

from dataclasses import replace
from enum import StrEnum

from recado.rules.oneroster import Roster, RosterPerson


class Change(StrEnum):
    NEW = "new"
    CHANGED = "changed"  # includes who had gone and is back
    UNCHANGED = "unchanged"
    GONE = "gone"


def record_after(before: RosterPerson | None, roster: Roster, person_id: str) -> RosterPerson:
    """The person's record after the import.

    Where a bad row may hide a course or a family, the former groups stay besides the new ones: an alert too many is
    better than a family that is not alerted.
    """
    after = roster.people[person_id]
    if before is None or not (person_id in roster.incomplete or before.students & roster.unread):
        return after
    return replace(
        after,
        groups=after.groups | before.groups,
        guardians=after.guardians | before.guardians,
        students=after.students | before.students,
    )


def is_gone(roster: Roster, person_id: str) -> bool:
    """Whether a bulk roster says that somebody it does not name has left."""
    return person_id not in roster.people and person_id not in roster.unread


def record_of_gone(before: RosterPerson) -> RosterPerson:
    """Whoever left keeps name, number and family, and is in no group."""
    return replace(before, groups=frozenset())
