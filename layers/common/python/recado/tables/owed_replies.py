"""What a reply still owes after its commit: events, a job for the answer to it, parts to be shown as they are.

One row a reply, put with it and deleted when nothing is owed; in a few partitions that hold nothing else, so that the
minute's run finds all of it without looking further.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zlib import crc32

from pynamodb.attributes import JSONAttribute, UnicodeAttribute, UTCDateTimeAttribute

from recado.tables.base import MessagesMeta, Row, Transaction, delete_if, update_if

SHARDS = 8  # a busy afternoon's replies are written to as many partitions


@dataclass(frozen=True, slots=True)
class Owed:
    """`events` to be raised, `page` whose job is to be put, `parts` to be shown at `look_at`; `key` is the cause."""

    key: str
    look_at: datetime
    events: tuple[Mapping[str, Any], ...] = ()
    page: Mapping[str, Any] | None = None
    parts: Mapping[str, Any] | None = None


class _OwedReplyRow(Row):
    class Meta(MessagesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    look_at = UTCDateTimeAttribute()
    events: JSONAttribute = JSONAttribute(null=True)
    page: JSONAttribute = JSONAttribute(null=True)
    parts: JSONAttribute = JSONAttribute(null=True)


def owe(write: Transaction, owed: Owed) -> None:
    """Says what is owed, in the transaction of its cause, which makes it happen once."""
    # Any row will do: parts of one text owe again with each that comes, and doing it once too often changes nothing.
    always = _OwedReplyRow.pk.exists() | _OwedReplyRow.pk.does_not_exist()
    row = _OwedReplyRow(
        _pk(owed.key),
        owed.key,
        look_at=owed.look_at,
        events=[dict(one) for one in owed.events] or None,
        page=dict(owed.page) if owed.page else None,
        parts=dict(owed.parts) if owed.parts else None,
    )
    write.put(row, always, lambda _: RuntimeError("what is owed cannot be refused"))


def find_owed(key: str) -> Owed | None:
    """What a reply owes, consistently; None: nothing, or nothing any more."""
    try:
        return _owed(_OwedReplyRow.get(_pk(key), key, consistent_read=True))
    except _OwedReplyRow.DoesNotExist:
        return None


def list_owed(shard: int, now: datetime, *, limit: int) -> list[Owed]:
    """What is to be looked at now, of one shard."""
    found: list[Owed] = []
    for row in _OwedReplyRow.query(f"OWED#REPLIES#{shard}", consistent_read=True):
        if row.look_at <= now:
            found.append(_owed(row))
            if len(found) == limit:
                break
    return found


def move_owed(owed: Owed, look_at: datetime) -> bool:
    """Takes the looking at it: False when somebody else did, or nothing is owed any more."""
    row = _OwedReplyRow(_pk(owed.key), owed.key)
    return update_if(row, [_OwedReplyRow.look_at.set(look_at)], _OwedReplyRow.look_at == owed.look_at)


def forget_owed(key: str, *, look_at: datetime | None = None) -> None:
    """Nothing is owed any more; with `look_at`, unless it came to owe something since that was read."""
    condition = _OwedReplyRow.look_at == look_at if look_at else None
    delete_if(_OwedReplyRow(_pk(key), key), condition)


def _pk(key: str) -> str:
    return f"OWED#REPLIES#{crc32(key.encode()) % SHARDS}"


def _owed(row: _OwedReplyRow) -> Owed:
    return Owed(row.sk, row.look_at, tuple(row.events or ()), row.page, row.parts)
