"""What became of each roster import: its state, counts, and the first bad rows (places and reasons, never values)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from pynamodb.attributes import JSONAttribute, NumberAttribute, UnicodeAttribute, UTCDateTimeAttribute

from recado.errors import FieldProblem
from recado.rules.oneroster import BadRow
from recado.tables.base import PeopleMeta, Row, put_if, update_if


class ImportState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    REFUSED = "refused"  # the roster could not be read as a whole; nothing was changed


@dataclass(frozen=True, slots=True)
class Import:
    """`counts` by change (new, changed, unchanged, gone), of the run that finished."""

    id: str
    state: ImportState
    started_at: datetime
    finished_at: datetime | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    problems: Sequence[FieldProblem] = ()
    bad_rows: Sequence[BadRow] = ()
    bad_rows_count: int = 0


class _ImportRow(Row):
    class Meta(PeopleMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    state = UnicodeAttribute()
    started_at = UTCDateTimeAttribute()
    finished_at = UTCDateTimeAttribute(null=True)
    counts: JSONAttribute = JSONAttribute(null=True)
    problems: JSONAttribute = JSONAttribute(null=True)
    bad_rows: JSONAttribute = JSONAttribute(null=True)
    bad_rows_count = NumberAttribute(default=0)


def find_import(school_id: str, import_id: str) -> Import | None:
    try:
        row = _ImportRow.get(*_key(school_id, import_id), consistent_read=True)
    except _ImportRow.DoesNotExist:
        return None
    return Import(
        id=import_id,
        state=ImportState(row.state),
        started_at=row.started_at,
        finished_at=row.finished_at,
        counts=row.counts or {},
        problems=tuple(FieldProblem(**one) for one in row.problems or ()),
        bad_rows=tuple(BadRow(**one) for one in row.bad_rows or ()),
        bad_rows_count=int(row.bad_rows_count),
    )


def create_import(school_id: str, import_id: str, now: datetime) -> bool:
    """Says that an import has begun; False when it had before, which is where a killed one is taken up."""
    row = _ImportRow(*_key(school_id, import_id), state=ImportState.RUNNING.value, started_at=now)
    return put_if(row, _ImportRow.pk.does_not_exist())


def save_result(school_id: str, result: Import, now: datetime) -> bool:
    """Ends a running import; False when it has ended already."""
    return update_if(
        _ImportRow(*_key(school_id, result.id)),
        [
            _ImportRow.state.set(result.state.value),
            _ImportRow.finished_at.set(now),
            _ImportRow.counts.set(dict(result.counts)),
            _ImportRow.problems.set([_plain(one, ("field", "code", "detail")) for one in result.problems]),
            _ImportRow.bad_rows.set([_plain(one, ("file", "line", "column", "reason")) for one in result.bad_rows]),
            _ImportRow.bad_rows_count.set(result.bad_rows_count),
        ],
        _ImportRow.state == ImportState.RUNNING.value,
    )


def _plain(found: FieldProblem | BadRow, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(found, name) for name in names}


def _key(school_id: str, import_id: str) -> tuple[str, str]:
    return f"S#{school_id}", f"IMPORT#{import_id}"
