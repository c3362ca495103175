"""Every change of a person's number: who, when, from what to what. Read by the school's office, never logged."""

from dataclasses import dataclass
from datetime import datetime

from pynamodb.attributes import UnicodeAttribute, UTCDateTimeAttribute
from pynamodb.expressions.condition import Condition

from recado.tables.base import PeopleMeta, Row, Transaction, delete_if
from recado.tables.people import PersonChanged


@dataclass(frozen=True, slots=True)
class NumberChange:
    """What was typed, and the number in E.164 when it could be used. `by`: a user's subject, `self` or `roster`."""

    at: datetime
    by: str
    before: str | None
    typed_before: str
    after: str | None
    typed_after: str


class _NumberChangeRow(Row):
    class Meta(PeopleMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    at = UTCDateTimeAttribute()
    by = UnicodeAttribute()
    number_before = UnicodeAttribute(null=True)
    typed_before = UnicodeAttribute(null=True)
    number_after = UnicodeAttribute(null=True)
    typed_after = UnicodeAttribute(null=True)


def create_change(write: Transaction, school_id: str, person_id: str, version: int, change: NumberChange) -> None:
    """Notes a change in the transaction that makes it; `version` is the row's that it makes, so that it is one row."""
    row = _NumberChangeRow(
        _pk(school_id, person_id),
        f"number#{change.at:%Y-%m-%dT%H:%M:%S.%fZ}#{version:010}",
        at=change.at,
        by=change.by,
        number_before=change.before,
        typed_before=change.typed_before or None,
        number_after=change.after,
        typed_after=change.typed_after or None,
    )
    write.put(row, _NumberChangeRow.pk.does_not_exist(), lambda _: PersonChanged())


def list_changes(
    school_id: str, person_id: str, *, limit: int, before: str | None = None
) -> tuple[list[NumberChange], str | None]:
    """A page of a person's changes, newest first, and the cursor of the next page (None: no more)."""
    condition: Condition = _NumberChangeRow.sk.startswith("number#")
    if before is not None:
        condition = _NumberChangeRow.sk.between("number#", f"number#{before}")
    query = _NumberChangeRow.query(_pk(school_id, person_id), condition, scan_index_forward=False, limit=limit + 2)
    rows = [row for row in query if row.sk != f"number#{before}"]
    changes = [
        NumberChange(row.at, row.by, row.number_before, row.typed_before or "", row.number_after, row.typed_after or "")
        for row in rows[:limit]
    ]
    return changes, rows[limit - 1].sk.removeprefix("number#") if len(rows) > limit else None


def delete_changes(school_id: str, person_id: str) -> None:
    """Forgets the numbers of somebody who is erased. Without conditions: gone is gone, however often it is asked."""
    for row in _NumberChangeRow.query(_pk(school_id, person_id), _NumberChangeRow.sk.startswith("number#")):
        delete_if(row, None)


def _pk(school_id: str, person_id: str) -> str:
    return f"S#{school_id}#P#{person_id}"
