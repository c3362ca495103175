"""What an import would change, said for people: kind, change, and which of their fields. Pure.

It may hold a person's numbers before and after: it is the school's own data, shown to its own office and never logged.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from recado.rules.audience import WHO_OF_ROLE
from recado.rules.oneroster import RosterGroup, RosterPerson
from recado.rules.roster_changes import Change

PERSON_FIELDS = ("role", "given_name", "family_name", "number", "typed_number", "groups", "guardians", "students")
GROUP_FIELDS = ("kind", "name", "parent")
LISTED = (Change.NEW, Change.CHANGED, Change.GONE)  # who stays as they are is only counted


class Kind(StrEnum):
    STUDENTS = "students"
    GUARDIANS = "guardians"
    STAFF = "staff"
    GROUPS = "groups"


PEOPLE = (Kind.STUDENTS, Kind.GUARDIANS, Kind.STAFF)

type Counts = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Difference:
    """One person or group that would change. `fields`: what of a changed one; `returned` when somebody who had left is
    back. The numbers are E.164, both None unless the number is among the fields."""

    kind: Kind
    change: Change
    id: str
    name: str
    fields: tuple[str, ...] = ()
    number_before: str | None = None
    number_after: str | None = None


def kind_of(record: RosterPerson) -> Kind:
    return Kind(WHO_OF_ROLE[record.role].value)


def person_difference(
    before: RosterPerson | None, after: RosterPerson, change: Change, left_at: datetime | None
) -> Difference:
    """What changes of a person; `left_at`: since when they had been gone before."""
    name = f"{after.given_name} {after.family_name}"
    if before is None or change is not Change.CHANGED:
        return Difference(kind_of(after), change, after.id, name)
    fields = [field for field in PERSON_FIELDS if getattr(before, field) != getattr(after, field)]
    fields += ["returned"] if left_at is not None else []
    numbers = (before.number, after.number) if before.number != after.number else (None, None)
    return Difference(kind_of(after), change, after.id, name, tuple(fields), *numbers)


def group_difference(before: RosterGroup | None, after: RosterGroup | None) -> Difference | None:
    """What changes of a group (None before: new; after: gone), or None when nothing does."""
    if before is None or after is None:
        record, change = (after, Change.NEW) if before is None else (before, Change.GONE)
        return None if record is None else Difference(Kind.GROUPS, change, record.id, record.name)
    fields = tuple(field for field in GROUP_FIELDS if getattr(before, field) != getattr(after, field))
    return Difference(Kind.GROUPS, Change.CHANGED, after.id, after.name, fields) if fields else None


def no_counts() -> dict[str, dict[str, int]]:
    """Every kind and change, none of them yet."""
    return {kind.value: {change.value: 0 for change in Change} for kind in Kind}


def people_counts(counts: Counts) -> dict[str, int]:
    """All people together, by change."""
    return {change.value: sum(counts.get(kind.value, {}).get(change.value, 0) for kind in PEOPLE) for change in Change}


def difference_written(one: Difference) -> dict[str, Any]:
    """As it is kept; what is empty is left out."""
    written = {"id": one.id, "name": one.name, "fields": list(one.fields), "before": one.number_before}
    return {name: value for name, value in (written | {"after": one.number_after}).items() if value}


def difference_read(kind: Kind, change: Change, written: Mapping[str, Any]) -> Difference:
    return Difference(
        kind,
        change,
        written["id"],
        written.get("name", ""),
        tuple(written.get("fields", ())),
        written.get("before"),
        written.get("after"),
    )
