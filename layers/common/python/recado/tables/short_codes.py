"""The pool of short codes: one row a code, with its one purpose, its carrier and its state.

A code serves sessions or schools, never both; what it was created for it stays until it is removed and added again.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pynamodb.attributes import NumberAttribute, UnicodeAttribute, UTCDateTimeAttribute

from recado.rules.short_codes import CodeState
from recado.tables.base import RoutesMeta, Row, Transaction, put_if, update_if


class Purpose(StrEnum):
    SESSIONS = "sessions"
    SCHOOLS = "schools"


@dataclass(frozen=True, slots=True)
class ShortCode:
    """`school` is set on a school's own code; a code that schools share has none.

    `parts_per_second` is how fast messages of schools may leave by it; None: as fast as its carrier takes them.
    """

    country: str
    code: str
    carrier: str
    purpose: Purpose
    school: str | None = None
    state: CodeState = CodeState.FREE
    drained_at: datetime | None = None
    removed_at: datetime | None = None
    parts_per_second: float | None = None


class _CodeRow(Row):
    class Meta(RoutesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    carrier = UnicodeAttribute()
    purpose = UnicodeAttribute()
    school = UnicodeAttribute(null=True)
    state = UnicodeAttribute()
    drained_at = UTCDateTimeAttribute(null=True)
    removed_at = UTCDateTimeAttribute(null=True)
    parts_per_second = NumberAttribute(null=True)


def create_code(code: ShortCode) -> bool:
    """Adds a code to its country's pool, also one that was removed; False when it is there, whatever for."""
    row = _CodeRow(
        _pk(code.country),
        code.code,
        carrier=code.carrier,
        purpose=code.purpose.value,
        school=code.school,
        state=code.state.value,
        drained_at=code.drained_at,
        parts_per_second=code.parts_per_second,
    )
    return put_if(row, _CodeRow.pk.does_not_exist() | (_CodeRow.state == CodeState.REMOVED.value))


def find_code(country: str, code: str) -> ShortCode | None:
    try:
        return _short_code(_CodeRow.get(_pk(country), code, consistent_read=True))
    except _CodeRow.DoesNotExist:
        return None


def list_codes(country: str) -> list[ShortCode]:
    """Every code of a country, in their own order: a pool is tens of codes, not thousands."""
    return [_short_code(row) for row in _CodeRow.query(_pk(country), consistent_read=True)]


def drain_code(country: str, code: str, now: datetime) -> bool:
    """Stops new claims of a code; False when there is none. The first moment of draining stays."""
    row = _CodeRow(_pk(country), code)
    changes = [_CodeRow.state.set(CodeState.DRAINING.value), _CodeRow.drained_at.set(now)]
    if update_if(row, changes, _CodeRow.pk.exists() & (_CodeRow.state == CodeState.FREE.value)):
        return True
    return find_code(country, code) is not None


def set_pace(country: str, code: str, parts_per_second: float | None) -> bool:
    """How fast messages may leave by a code from now on; False when there is no such code, or it was removed."""
    pace = _CodeRow.parts_per_second
    changes = [pace.remove() if parts_per_second is None else pace.set(parts_per_second)]
    condition = _CodeRow.pk.exists() & (_CodeRow.state != CodeState.REMOVED.value)
    return update_if(_CodeRow(_pk(country), code), changes, condition)


def remove_code(
    write: Transaction, country: str, code: str, now: datetime, *, drained_until: datetime, refused: Exception
) -> None:
    """Takes a code out of the pool; refused unless it is draining since `drained_until` or earlier."""
    changes = [_CodeRow.state.set(CodeState.REMOVED.value), _CodeRow.removed_at.set(now)]
    condition = (_CodeRow.state == CodeState.DRAINING.value) & (_CodeRow.drained_at <= drained_until)
    write.update(_CodeRow(_pk(country), code), changes, condition, lambda _: refused)


def check_is_schools(write: Transaction, country: str, code: str, school_id: str, refused: Exception) -> None:
    """Makes a transaction depend on the code being this school's own, and not removed."""
    is_own = (_CodeRow.purpose == Purpose.SCHOOLS.value) & (_CodeRow.school == school_id)
    condition = is_own & (_CodeRow.state != CodeState.REMOVED.value)
    write.check(_CodeRow, _pk(country), code, condition, lambda _: refused)


def _pk(country: str) -> str:
    return f"CODES#{country}"


def _short_code(row: _CodeRow) -> ShortCode:
    return ShortCode(
        country=row.pk.removeprefix(_pk("")),
        code=row.sk,
        carrier=row.carrier,
        purpose=Purpose(row.purpose),
        school=row.school,
        state=CodeState(row.state),
        drained_at=row.drained_at,
        removed_at=row.removed_at,
        parts_per_second=float(row.parts_per_second) if row.parts_per_second is not None else None,
    )
