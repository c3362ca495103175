"""What each message from a handset costs its owner (C6). The row of a carrier's reply id is also what makes it one.

It holds no text. The amounts are as they were on the day: a later tariff changes nothing here.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from zlib import crc32

from pynamodb.attributes import JSONAttribute, NumberAttribute, UnicodeAttribute, UTCDateTimeAttribute

from recado.rules.tariffs import Rating
from recado.tables.base import LedgerMeta, Row, Transaction

DAY_SHARDS = 8  # a busy day's rows are spread over these


@dataclass(frozen=True, slots=True)
class RatedReply:
    """One handset message, and its price; `rating` is None in a country without a tariff.

    `parts`: of how many parts the carrier says it is; they are one message, and rated once.
    """

    carrier: str
    reply_id: str
    country: str
    number: str
    code: str
    rated_at: datetime
    rating: Rating | None
    parts: int = 1


class _RatingRow(Row):
    class Meta(LedgerMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    day_shard = UnicodeAttribute()
    rated_at = UTCDateTimeAttribute()
    country = UnicodeAttribute()
    number = UnicodeAttribute()
    code = UnicodeAttribute()
    parts = NumberAttribute(null=True)
    currency = UnicodeAttribute(null=True)
    price = UnicodeAttribute(null=True)
    taxes = JSONAttribute(null=True)
    total = UnicodeAttribute(null=True)


class _SeenRow(Row):
    class Meta(LedgerMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)


def create_rating(write: Transaction, reply: RatedReply, *, seen_before: Exception) -> None:
    """Rates a reply, as part of a transaction that is refused as `seen_before` when this id was rated already."""
    rating = reply.rating
    row = _RatingRow(
        *_key(reply.carrier, reply.reply_id),
        day_shard=f"{reply.rated_at:%Y-%m-%d}#{crc32(reply.reply_id.encode()) % DAY_SHARDS}",
        rated_at=reply.rated_at,
        country=reply.country,
        number=reply.number,
        code=reply.code,
        parts=reply.parts,
        currency=rating.currency if rating else None,
        price=str(rating.price) if rating else None,
        taxes=[[name, str(amount)] for name, amount in rating.taxes] if rating else None,
        total=str(rating.total) if rating else None,
    )
    write.put(row, _RatingRow.pk.does_not_exist(), lambda _: seen_before)


def find_rating(carrier: str, reply_id: str) -> RatedReply | None:
    """The rating of one reply, consistently."""
    try:
        row = _RatingRow.get(*_key(carrier, reply_id), consistent_read=True)
    except _RatingRow.DoesNotExist:
        return None
    parts = int(row.parts or 1)
    return RatedReply(carrier, reply_id, row.country, row.number, row.code, row.rated_at, _rating(row), parts)


def is_taken(carrier: str, reply_id: str, part: int | None) -> bool:
    """Whether a reply, or this part of one, was taken by a session, consistently."""
    pk, sk = _key(carrier, reply_id)
    try:
        _SeenRow.get(pk, sk if part is None else _part_key(part), consistent_read=True)
    except _SeenRow.DoesNotExist:
        return False
    return True


def note_seen(write: Transaction, carrier: str, reply_id: str, part: int, *, seen_before: Exception) -> None:
    """Notes that a part of a message was taken, as part of a transaction refused as `seen_before` when it was before.

    Part 0 is a message that reached nobody and was obeyed all the same.
    """
    pk, _ = _key(carrier, reply_id)
    write.put(_SeenRow(pk, _part_key(part)), _SeenRow.pk.does_not_exist(), lambda _: seen_before)


def _key(carrier: str, reply_id: str) -> tuple[str, str]:
    return f"RATE#{carrier}#{reply_id}", "r"


def _part_key(part: int) -> str:
    return f"p#{part:02}"


def _rating(row: _RatingRow) -> Rating | None:
    if row.currency is None or row.price is None or row.total is None:
        return None
    taxes = tuple((str(name), Decimal(amount)) for name, amount in row.taxes or ())
    return Rating(row.currency, Decimal(row.price), taxes, Decimal(row.total))
