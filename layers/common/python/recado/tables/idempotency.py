"""Which request an Idempotency-Key stands for: its body's hash, who is at it until when, and what was answered."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pynamodb.attributes import JSONAttribute, NumberAttribute, UnicodeAttribute, UTCDateTimeAttribute

from recado.tables.base import PeopleMeta, Row, delete_if, put_if, update_if


@dataclass(frozen=True, slots=True)
class KeyUse:
    body_hash: str
    lease_until: datetime
    answer: dict[str, Any] | None


class _KeyUseRow(Row):
    class Meta(PeopleMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    body_hash = UnicodeAttribute()
    lease_until = UTCDateTimeAttribute()
    answer = JSONAttribute(null=True)
    expires_at = NumberAttribute()


def _pk(scope: str, key: str) -> str:
    return f"IDEM#{scope}#{key}"


def find_use(scope: str, key: str, now: datetime) -> KeyUse | None:
    """The key's row; one past its time counts as gone, whether or not DynamoDB has tidied it."""
    try:
        row = _KeyUseRow.get(_pk(scope, key), "i", consistent_read=True)
    except _KeyUseRow.DoesNotExist:
        return None
    if row.expires_at <= now.timestamp():
        return None
    return KeyUse(row.body_hash, row.lease_until, row.answer)


def create_use(scope: str, key: str, body_hash: str, lease_until: datetime, now: datetime, life: timedelta) -> bool:
    """Takes a key that nobody uses; False when somebody does."""
    row = _KeyUseRow(
        _pk(scope, key),
        "i",
        body_hash=body_hash,
        lease_until=lease_until,
        expires_at=int((now + life).timestamp()),
    )
    return put_if(row, _KeyUseRow.pk.does_not_exist() | (_KeyUseRow.expires_at <= now.timestamp()))


def take_over(scope: str, key: str, *, seen: datetime, lease_until: datetime) -> bool:
    """Takes a key whose lease has run out unanswered; False when somebody else did."""
    condition = (_KeyUseRow.lease_until == seen) & _KeyUseRow.answer.does_not_exist()
    return update_if(_KeyUseRow(_pk(scope, key), "i"), [_KeyUseRow.lease_until.set(lease_until)], condition)


def save_answer(scope: str, key: str, answer: dict[str, Any], *, lease_until: datetime) -> bool:
    """Keeps what was answered; False when the lease is no longer ours."""
    row = _KeyUseRow(_pk(scope, key), "i")
    return update_if(row, [_KeyUseRow.answer.set(answer)], _KeyUseRow.lease_until == lease_until)


def give_back(scope: str, key: str, *, lease_until: datetime, now: datetime) -> bool:
    """Ends a lease after a refusal, so that the same request may be tried again at once."""
    row = _KeyUseRow(_pk(scope, key), "i")
    condition = (_KeyUseRow.lease_until == lease_until) & _KeyUseRow.answer.does_not_exist()
    return update_if(row, [_KeyUseRow.lease_until.set(now)], condition)


def forget_use(scope: str, key: str, *, lease_until: datetime) -> bool:
    """Takes back a use that was not one; False when the lease is no longer ours or it was answered."""
    condition = (_KeyUseRow.lease_until == lease_until) & _KeyUseRow.answer.does_not_exist()
    return delete_if(_KeyUseRow(_pk(scope, key), "i"), condition)
