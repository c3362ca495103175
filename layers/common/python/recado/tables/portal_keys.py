"""Keys that portals and the operator sign tokens with. The secret is derived, never stored."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pynamodb.attributes import NumberAttribute, UnicodeAttribute, UTCDateTimeAttribute

from recado.tables.base import PeopleMeta, Row, Transaction, put_if, update_if


class KeyKind(StrEnum):
    PORTAL = "portal"
    TEST = "test"  # opens the school's sandbox, never the school
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class PortalKey:
    """`made_for` is the request that made it (a hash); `replaced_by` the key it was rotated to."""

    school_id: str
    key_id: str
    kind: KeyKind
    master_version: int
    not_after: datetime | None
    revoked_at: datetime | None
    created_at: datetime | None = None
    created_by: str | None = None
    made_for: str | None = None
    replaced_by: str | None = None

    def is_valid(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.not_after is None or now < self.not_after)


class _KeyRow(Row):
    class Meta(PeopleMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    kind = UnicodeAttribute()
    master_version = NumberAttribute()
    not_after = UTCDateTimeAttribute(null=True)
    revoked_at = UTCDateTimeAttribute(null=True)
    created_at = UTCDateTimeAttribute(null=True)
    created_by = UnicodeAttribute(null=True)
    made_for = UnicodeAttribute(null=True)
    replaced_by = UnicodeAttribute(null=True)


def find_key(school_id: str, key_id: str) -> PortalKey | None:
    """A key's row, consistently: a key revoked a moment ago is revoked."""
    try:
        return _key(school_id, _KeyRow.get(f"S#{school_id}", f"KEY#{key_id}", consistent_read=True))
    except _KeyRow.DoesNotExist:
        return None


def list_keys(school_id: str, *, limit: int, after: str | None = None) -> tuple[list[PortalKey], str | None]:
    """A page of a school's keys, by id, and the cursor of the next page (None: no more)."""
    condition = _KeyRow.sk.between(f"KEY#{after or ''}", "KEY#~")  # ids are ASCII below "~"
    found = _KeyRow.query(f"S#{school_id}", condition, consistent_read=True, limit=limit + 2)
    keys = [_key(school_id, row) for row in found if row.sk != f"KEY#{after}"]
    return keys[:limit], keys[limit - 1].key_id if len(keys) > limit else None


def create_key(key: PortalKey) -> bool:
    """Writes a new key; False when the id is taken."""
    return put_if(_row(key), _KeyRow.pk.does_not_exist())


def replace_key(
    write: Transaction,
    old: PortalKey,
    new: PortalKey,
    *,
    until: datetime,
    now: datetime,
    made: Exception,
    over: Exception,
) -> None:
    """Writes the new key and ends the old one at `until`. `made`: the new one is there; `over`: the old one is not in
    force any more, or was replaced before."""
    write.put(_row(new), _KeyRow.pk.does_not_exist(), lambda _: made)
    in_force = _KeyRow.not_after.does_not_exist() | (_KeyRow.not_after > now)
    write.update(
        _KeyRow(f"S#{old.school_id}", f"KEY#{old.key_id}"),
        [_KeyRow.not_after.set(until), _KeyRow.replaced_by.set(new.key_id)],
        _KeyRow.pk.exists() & _KeyRow.revoked_at.does_not_exist() & _KeyRow.replaced_by.does_not_exist() & in_force,
        lambda _: over,
    )


def revoke_key(school_id: str, key_id: str, now: datetime) -> bool:
    """Revokes a key; False when there is none. The first moment of revoking stays."""
    row = _KeyRow(f"S#{school_id}", f"KEY#{key_id}")
    if update_if(row, [_KeyRow.revoked_at.set(now)], _KeyRow.pk.exists() & _KeyRow.revoked_at.does_not_exist()):
        return True
    return find_key(school_id, key_id) is not None


def _row(key: PortalKey) -> _KeyRow:
    return _KeyRow(
        f"S#{key.school_id}",
        f"KEY#{key.key_id}",
        kind=key.kind.value,
        master_version=key.master_version,
        not_after=key.not_after,
        created_at=key.created_at,
        created_by=key.created_by,
        made_for=key.made_for,
    )


def _key(school_id: str, row: _KeyRow) -> PortalKey:
    return PortalKey(
        school_id=school_id,
        key_id=row.sk.removeprefix("KEY#"),
        kind=KeyKind(row.kind),
        master_version=int(row.master_version),
        not_after=row.not_after,
        revoked_at=row.revoked_at,
        created_at=row.created_at,
        created_by=row.created_by,
        made_for=row.made_for,
        replaced_by=row.replaced_by,
    )
