"""What families answered to a school, in the order it came. Written once per carrier reply id."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pynamodb.attributes import JSONAttribute, NumberAttribute, UnicodeAttribute, UTCDateTimeAttribute

from recado.rules.reply_parts import Part
from recado.tables.base import MessagesMeta, Row, Transaction


@dataclass(frozen=True, slots=True)
class Reply:
    """`id` is `<carrier>#<the carrier's id>`: the cause, so that the same reply twice is one."""

    school_id: str
    id: str
    number: str
    code: str
    text: str
    received_at: datetime
    word: str | None = None


@dataclass(frozen=True, slots=True)
class Growing:
    """A long message that comes in parts: what is there of it, and which reply shows it. `revision` counts writings."""

    parts: Mapping[int, str]
    reply_id: str
    received_at: datetime
    revision: int = 0


class _ReplyRow(Row):
    class Meta(MessagesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    reply_id = UnicodeAttribute()
    number = UnicodeAttribute()
    code = UnicodeAttribute()
    text = UnicodeAttribute()
    received_at = UTCDateTimeAttribute()
    word = UnicodeAttribute(null=True)
    expires_at = NumberAttribute()


class _SeenRow(Row):
    class Meta(MessagesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    expires_at = NumberAttribute()


class _GrowingRow(Row):
    class Meta(MessagesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    parts = JSONAttribute()
    reply_id = UnicodeAttribute()
    received_at = UTCDateTimeAttribute()
    revision = NumberAttribute()
    expires_at = NumberAttribute()


def create_reply(write: Transaction, reply: Reply, *, expires_at: int, seen_before: Exception) -> None:
    """Keeps a reply, as part of a transaction that is refused as `seen_before` when this id came already.

    Its row by id comes first: the row by time alone could not tell a second delivery with another clock.
    """
    write.put(_seen(reply.school_id, reply.id, expires_at), _SeenRow.pk.does_not_exist(), lambda _: seen_before)
    write.put(_row(reply, expires_at), _ReplyRow.pk.does_not_exist(), lambda _: seen_before)


def note_part(
    write: Transaction, school_id: str, reply_id: str, part: Part, *, expires_at: int, seen_before: Exception
) -> None:
    """Notes that a part came, as part of a transaction that is refused as `seen_before` when it came already."""
    row = _seen(school_id, f"{reply_id}#{part.number}/{part.of}", expires_at)
    write.put(row, _SeenRow.pk.does_not_exist(), lambda _: seen_before)


def find_growing(school_id: str, carrier: str, number: str, code: str, part: Part) -> Growing | None:
    """The message that a part belongs to, as far as it has come, consistently."""
    try:
        row = _GrowingRow.get(*_growing_key(school_id, carrier, number, code, part), consistent_read=True)
    except _GrowingRow.DoesNotExist:
        return None
    parts = {int(key): text for key, text in row.parts.items()}
    return Growing(parts, row.reply_id, row.received_at, int(row.revision))


def save_growing(
    write: Transaction,
    reply: Reply,
    carrier: str,
    part: Part,
    growing: Growing,
    *,
    seen: Growing | None,
    expires_at: int,
    refused: Exception,
) -> None:
    """Writes a message over what was seen of it, and the reply that shows it, as part of a transaction."""
    row = _GrowingRow(
        *_growing_key(reply.school_id, carrier, reply.number, reply.code, part),
        parts={str(number): text for number, text in growing.parts.items()},
        reply_id=reply.id,
        received_at=reply.received_at,
        revision=seen.revision + 1 if seen else 1,
        expires_at=expires_at,
    )
    is_seen = _GrowingRow.revision == seen.revision if seen else _GrowingRow.pk.does_not_exist()
    write.put(row, is_seen, lambda _: refused)
    is_shown = seen is not None and seen.reply_id == reply.id
    condition = _ReplyRow.pk.exists() if is_shown else _ReplyRow.pk.does_not_exist()
    write.put(_row(reply, expires_at), condition, lambda _: refused)


def list_replies(school_id: str, *, limit: int, before: str | None = None) -> tuple[list[Reply], str | None]:
    """A page of a school's replies, newest first, and the cursor of the next (None: no more)."""
    condition = _ReplyRow.sk < before if before else None
    rows = list(
        _ReplyRow.query(f"S#{school_id}#R", condition, scan_index_forward=False, limit=limit + 1, page_size=limit + 1)
    )
    replies = [
        Reply(school_id, row.reply_id, row.number, row.code, row.text, row.received_at, row.word)
        for row in rows[:limit]
    ]
    return replies, rows[limit - 1].sk if len(rows) > limit else None


def _seen(school_id: str, reply_id: str, expires_at: int) -> _SeenRow:
    return _SeenRow(f"S#{school_id}#R#SEEN", reply_id, expires_at=expires_at)


def _growing_key(school_id: str, carrier: str, number: str, code: str, part: Part) -> tuple[str, str]:
    return f"S#{school_id}#R#PARTS", f"{carrier}#{number}#{code}#{part.of}#{part.group}"


def _row(reply: Reply, expires_at: int) -> _ReplyRow:
    return _ReplyRow(
        f"S#{reply.school_id}#R",
        f"{reply.received_at:%Y-%m-%dT%H:%M:%S.%fZ}#{reply.id}",
        reply_id=reply.id,
        number=reply.number,
        code=reply.code,
        text=reply.text,
        received_at=reply.received_at,
        word=reply.word,
        expires_at=expires_at,
    )
