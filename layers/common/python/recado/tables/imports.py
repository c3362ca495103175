"""Each roster import: where it stands and who is at it, never a name, a number or a value of the roster.

Besides: the order of a school's imports, which of them changes people now, and which still owe a step.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from pynamodb.attributes import (
    BooleanAttribute,
    JSONAttribute,
    NumberAttribute,
    UnicodeAttribute,
    UTCDateTimeAttribute,
)
from pynamodb.expressions.update import Action

from recado.errors import FieldProblem
from recado.rules.import_states import ImportState
from recado.tables.base import PeopleMeta, Row, Transaction, delete_if, update_if

OWED = "IMPORTS"  # one partition for all schools: a handful of rows, each there while an import owes a step


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a step is: `reading` (bytes), `comparing` and `writing` (people); 0 of `total` where it is not known."""

    step: str = ""
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class Import:
    """`counts` by kind and change, `here` how many of the roster's people there were, both when it was compared.

    `owner` and `lease_until`: who works on it now; `attempts`: how often it was begun without getting any further.
    `etags`: the very files that were compared. `version` guards it all.
    """

    id: str
    state: ImportState
    started_at: datetime
    started_by: str = ""
    at_once: bool = False
    files: tuple[str, ...] = ()
    uploaded: tuple[str, ...] = ()
    upload_until: datetime | None = None
    etags: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    here: int = 0
    problems: tuple[FieldProblem, ...] = ()
    bad_rows_count: int = 0
    progress: Progress = Progress()
    gone_confirmed: bool = False
    applied_by: str | None = None
    applied_at: datetime | None = None
    discarded_by: str | None = None
    finished_at: datetime | None = None
    owner: str | None = None
    lease_until: datetime | None = None
    attempts: int = 0
    version: int = 0


class _ImportRow(Row):
    class Meta(PeopleMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    state = UnicodeAttribute()
    started_at = UTCDateTimeAttribute()
    started_by = UnicodeAttribute(null=True)
    at_once = BooleanAttribute(default=False)
    files: JSONAttribute = JSONAttribute(null=True)
    uploaded: JSONAttribute = JSONAttribute(null=True)
    upload_until = UTCDateTimeAttribute(null=True)
    etags: JSONAttribute = JSONAttribute(null=True)
    counts: JSONAttribute = JSONAttribute(null=True)
    here = NumberAttribute(default=0)
    problems: JSONAttribute = JSONAttribute(null=True)
    bad_rows_count = NumberAttribute(default=0)
    progress: JSONAttribute = JSONAttribute(null=True)
    gone_confirmed = BooleanAttribute(default=False)
    applied_by = UnicodeAttribute(null=True)
    applied_at = UTCDateTimeAttribute(null=True)
    discarded_by = UnicodeAttribute(null=True)
    finished_at = UTCDateTimeAttribute(null=True)
    owner = UnicodeAttribute(null=True)
    lease_until = UTCDateTimeAttribute(null=True)
    attempts = NumberAttribute(default=0)
    version = NumberAttribute(default=0)


class _ImportOrderRow(Row):
    class Meta(PeopleMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)


class _ImportLockRow(Row):
    class Meta(PeopleMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    import_id = UnicodeAttribute()


class _ImportOwedRow(Row):
    class Meta(PeopleMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    look_at = UTCDateTimeAttribute()


def find_import(school_id: str, import_id: str) -> Import | None:
    try:
        row = _ImportRow.get(*_key(school_id, import_id), consistent_read=True)
    except _ImportRow.DoesNotExist:
        return None
    return _import(row)


def list_imports(school_id: str, *, limit: int, before: str | None = None) -> tuple[list[Import], str | None]:
    """A page of a school's imports, newest first, and the cursor of the next page (None: no more)."""
    condition = _ImportOrderRow.sk < before if before else None
    found = list(
        _ImportOrderRow.query(
            f"S#{school_id}#IMPORTS", condition, scan_index_forward=False, limit=limit + 1, page_size=limit + 1
        )
    )
    keys = [_key(school_id, row.sk.partition("#")[2]) for row in found[:limit]]
    rows = {row.sk: _import(row) for row in _ImportRow.batch_get(keys)} if keys else {}
    return [rows[sk] for _, sk in keys if sk in rows], found[limit - 1].sk if len(found) > limit else None


def create_import(write: Transaction, school_id: str, new: Import, taken: Exception) -> None:
    """Writes an import, in its place among the school's, unless its id is taken."""
    row = _ImportRow(*_key(school_id, new.id))
    write.update(row, _actions(new), _ImportRow.pk.does_not_exist(), lambda _: taken)
    order = _ImportOrderRow(f"S#{school_id}#IMPORTS", f"{new.started_at.isoformat()}#{new.id}")
    write.put(order, _ImportOrderRow.pk.does_not_exist(), lambda _: taken)


def save_import(school_id: str, after: Import, before: Import) -> Import | None:
    """Writes an import if it is as it was read, and gives it as it is now; None when somebody else wrote it."""
    after = replace(after, version=before.version + 1)
    row = _ImportRow(*_key(school_id, before.id))
    if update_if(row, _actions(after), _ImportRow.version == before.version):
        return after
    # Our own write, tried again by the SDK after its answer was lost, is refused by what it did itself.
    return after if find_import(school_id, before.id) == after else None


def save_import_in(write: Transaction, school_id: str, after: Import, before: Import, refused: Exception) -> Import:
    """The same as one write of a transaction."""
    after = replace(after, version=before.version + 1)
    row = _ImportRow(*_key(school_id, before.id))
    write.update(row, _actions(after), _ImportRow.version == before.version, lambda _: refused)
    return after


def lock(write: Transaction, school_id: str, import_id: str, taken: Exception) -> None:
    """Makes this import the one that changes the school's people."""
    row = _ImportLockRow(f"S#{school_id}", "IMPORTING", import_id=import_id)
    condition = _ImportLockRow.pk.does_not_exist() | (_ImportLockRow.import_id == import_id)
    write.put(row, condition, lambda _: taken)


def unlock(write: Transaction, school_id: str, import_id: str, refused: Exception) -> None:
    """Lets the next import change them; there is nothing to let go of when it was let go before."""
    condition = _ImportLockRow.pk.does_not_exist() | (_ImportLockRow.import_id == import_id)
    write.delete(_ImportLockRow(f"S#{school_id}", "IMPORTING"), condition, lambda _: refused)


def owe(write: Transaction, school_id: str, import_id: str, look_at: datetime) -> None:
    """Says that an import owes a step and when to look whether somebody is at it."""
    # Any row will do: whoever looks reads the import itself, and looking once too often changes nothing.
    always = _ImportOwedRow.pk.exists() | _ImportOwedRow.pk.does_not_exist()
    row = _ImportOwedRow(OWED, f"{school_id}#{import_id}", look_at=look_at)
    write.put(row, always, lambda _: RuntimeError("an owed step cannot be refused"))


def list_owed(now: datetime, *, limit: int) -> list[tuple[str, str, datetime]]:
    """(school, import, when to look) of the steps to look at now."""
    found: list[tuple[str, str, datetime]] = []
    for row in _ImportOwedRow.query(OWED, consistent_read=True):
        school_id, _, import_id = row.sk.rpartition("#")
        if row.look_at <= now and len(found) < limit:
            found.append((school_id, import_id, row.look_at))
    return found


def move_owed(school_id: str, import_id: str, *, seen: datetime, look_at: datetime) -> bool:
    """Takes the looking at an owed step: False when somebody else did, or it is owed no more."""
    row = _ImportOwedRow(OWED, f"{school_id}#{import_id}")
    return update_if(row, [_ImportOwedRow.look_at.set(look_at)], _ImportOwedRow.look_at == seen)


def forget_owed(school_id: str, import_id: str, *, seen: datetime | None = None) -> None:
    """Says that an import owes nothing any more; with `seen`, unless it has come to owe something since."""
    # Without `seen` for those that have ended: they never owe again, and deleting it twice is deleting it.
    condition = _ImportOwedRow.look_at == seen if seen else None
    delete_if(_ImportOwedRow(OWED, f"{school_id}#{import_id}"), condition)


def forget_owed_in(write: Transaction, school_id: str, import_id: str) -> None:
    """The same together with the step that was owed last."""
    always = _ImportOwedRow.pk.exists() | _ImportOwedRow.pk.does_not_exist()
    row = _ImportOwedRow(OWED, f"{school_id}#{import_id}")
    write.delete(row, always, lambda _: RuntimeError("an owed step cannot be refused"))


_KEYS = frozenset({"pk", "sk"})


def _key(school_id: str, import_id: str) -> tuple[str, str]:
    return f"S#{school_id}", f"IMPORT#{import_id}"


def _actions(one: Import) -> list[Action]:
    actions: list[Action] = []
    for name in _ImportRow.get_attributes():
        if name in _KEYS:
            continue
        attribute, value = getattr(_ImportRow, name), _stored(getattr(one, name))
        actions.append(attribute.remove() if value is None else attribute.set(value))
    return actions


def _stored(value: Any) -> Any:
    if isinstance(value, ImportState):
        return value.value
    if isinstance(value, Progress):
        return asdict(value)
    if isinstance(value, tuple):
        return [asdict(item) if isinstance(item, FieldProblem) else item for item in value]
    return value


def _import(row: _ImportRow) -> Import:
    values = {name: getattr(row, name) for name in _ImportRow.get_attributes() if name not in _KEYS}
    values |= {
        "state": ImportState(row.state),
        "started_by": row.started_by or "",
        "files": tuple(row.files or ()),
        "uploaded": tuple(row.uploaded or ()),
        "etags": row.etags or {},
        "counts": row.counts or {},
        "problems": tuple(FieldProblem(**one) for one in row.problems or ()),
        "progress": Progress(**(row.progress or {})),
    }
    for name in ("here", "bad_rows_count", "attempts", "version"):
        values[name] = int(values[name])
    return Import(id=row.sk.removeprefix("IMPORT#"), **values)
