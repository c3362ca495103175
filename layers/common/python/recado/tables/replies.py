"""What families answered to a school, in the order it came. Written once per carrier reply id."""

from dataclasses import dataclass
from datetime import datetime

from pynamodb.attributes import NumberAttribute, UnicodeAttribute, UTCDateTimeAttribute

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


def create_reply(write: Transaction, reply: Reply, *, expires_at: int, seen_before: Exception) -> None:
    """Keeps a reply, as part of a transaction that is refused as `seen_before` when this id came already.

    Its row by id comes first: the row by time alone could not tell a second delivery with another clock.
    """
    write.put(
        _SeenRow(f"S#{reply.school_id}#R#SEEN", reply.id, expires_at=expires_at),
        _SeenRow.pk.does_not_exist(),
        lambda _: seen_before,
    )
    row = _ReplyRow(
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
    write.put(row, _ReplyRow.pk.does_not_exist(), lambda _: seen_before)


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
