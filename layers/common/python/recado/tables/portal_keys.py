"""Keys that portals and the operator sign tokens with. The secret is derived, never stored."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pynamodb.attributes import NumberAttribute, UnicodeAttribute, UTCDateTimeAttribute

from recado.tables.base import PeopleMeta, Row, put_if, update_if


class KeyKind(StrEnum):
    PORTAL = "portal"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class PortalKey:
    school_id: str
    key_id: str
    kind: KeyKind
    master_version: int
    not_after: datetime | None
    revoked_at: datetime | None

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


def find_key(school_id: str, key_id: str) -> PortalKey | None:
    """A key's row, consistently: a key revoked a moment ago is revoked."""
    try:
        row = _KeyRow.get(f"S#{school_id}", f"KEY#{key_id}", consistent_read=True)
    except _KeyRow.DoesNotExist:
        return None
    return PortalKey(school_id, key_id, KeyKind(row.kind), int(row.master_version), row.not_after, row.revoked_at)


def create_key(key: PortalKey) -> bool:
    """Writes a new key; False when the id is taken."""
    row = _KeyRow(
        f"S#{key.school_id}",
        f"KEY#{key.key_id}",
        kind=key.kind.value,
        master_version=key.master_version,
        not_after=key.not_after,
    )
    return put_if(row, _KeyRow.pk.does_not_exist())


def revoke_key(school_id: str, key_id: str, now: datetime) -> bool:
    """Revokes a key; False when there is none. The first moment of revoking stays."""
    row = _KeyRow(f"S#{school_id}", f"KEY#{key_id}")
    if update_if(row, [_KeyRow.revoked_at.set(now)], _KeyRow.pk.exists() & _KeyRow.revoked_at.does_not_exist()):
        return True
    return find_key(school_id, key_id) is not None
