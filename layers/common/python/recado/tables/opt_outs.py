"""Who does not want SMS: one row per school and number with its causes, and a note of every change (who, when, why).

Causes only come and go one by one, so that a reply and the school's office never overwrite each other.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import batched

from pynamodb.attributes import BooleanAttribute, UnicodeAttribute, UnicodeSetAttribute, UTCDateTimeAttribute

from recado.rules.audience import PERSON_CAUSE
from recado.tables.base import PeopleMeta, Refused, Row, Transaction

BATCH_GET_MAX = 100  # DynamoDB's limit


class NotedAlready(Exception):  # not an error: this very change has been made
    """A change of this cause at this moment is in the notes."""


@dataclass(frozen=True, slots=True)
class Note:
    """One change of a number's causes."""

    cause: str
    added: bool
    by: str
    at: datetime
    reason: str


class _OptOutRow(Row):
    class Meta(PeopleMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    causes = UnicodeSetAttribute(null=True)


class _NoteRow(Row):
    class Meta(PeopleMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    cause = UnicodeAttribute()
    added = BooleanAttribute()
    by = UnicodeAttribute()
    at = UTCDateTimeAttribute()
    reason = UnicodeAttribute()


def person_cause(person_id: str) -> str:
    """The cause that a person's own switch is."""
    return PERSON_CAUSE + person_id


def find_causes(school_id: str, number: str) -> frozenset[str]:
    """A number's causes, consistently; none when nobody opted out."""
    return list_causes(school_id, [number])[number]


def list_causes(school_id: str, numbers: Iterable[str]) -> dict[str, frozenset[str]]:
    """The causes of each number, consistently."""
    causes: dict[str, frozenset[str]] = dict.fromkeys(numbers, frozenset())
    for batch in batched(sorted(causes), BATCH_GET_MAX, strict=False):
        keys = [(_pk(school_id, number), "optout") for number in batch]
        for row in _OptOutRow.batch_get(keys, consistent_read=True):
            causes[row.pk.removeprefix(_pk(school_id, ""))] = frozenset(row.causes or ())
    return causes


def change_cause(write: Transaction, school_id: str, number: str, *notes: Note) -> None:
    """Adds or takes away causes, all or none of them added, and notes each. Refused as NotedAlready when it was made
    before.
    """
    for note in notes:
        _put_note(write, school_id, number, note, lambda _: NotedAlready())
    causes = {note.cause for note in notes}
    is_added = all(note.added for note in notes)
    change = _OptOutRow.causes.add(causes) if is_added else _OptOutRow.causes.delete(causes)
    # Expects nothing: one cause coming or going is right whatever else is there, and opting out must never be refused.
    condition = _OptOutRow.pk.exists() | _OptOutRow.pk.does_not_exist()
    write.update(_OptOutRow(_pk(school_id, number), "optout"), [change], condition, lambda _: NotedAlready())


def list_notes(school_id: str, number: str, *, limit: int) -> list[Note]:
    """The latest changes of a number's causes, newest first."""
    found = _NoteRow.query(
        _pk(school_id, number), _NoteRow.sk.startswith("note#"), scan_index_forward=False, limit=limit
    )
    return [Note(row.cause, row.added, row.by, row.at, row.reason) for row in found]


def _put_note(write: Transaction, school_id: str, number: str, note: Note, refused: Refused) -> None:
    row = _NoteRow(
        _pk(school_id, number),
        f"note#{note.at:%Y-%m-%dT%H:%M:%S.%fZ}#{note.cause}#{'on' if note.added else 'off'}",
        cause=note.cause,
        added=note.added,
        by=note.by,
        at=note.at,
        reason=note.reason,
    )
    write.put(row, _NoteRow.pk.does_not_exist(), refused)


def _pk(school_id: str, number: str) -> str:
    return f"S#{school_id}#N#{number}"
