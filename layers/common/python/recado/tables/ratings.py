"""What each message from a handset costs its owner (C6). The row of a carrier's reply id is also what makes it one.

It holds no text. The amounts are as they were on the day: a later tariff changes nothing here.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby, islice
from typing import Any
from zlib import crc32

from pynamodb.attributes import JSONAttribute, NumberAttribute, UnicodeAttribute, UTCDateTimeAttribute
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex

from recado.rules.country_time import local_day
from recado.rules.tariffs import Rating
from recado.tables.base import BaseMeta, LedgerMeta, Row, Transaction

DAY_SHARDS = 8  # a busy day's rows are spread over these
QUERY_PAGE = 500


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


class _ByDayIndex(GlobalSecondaryIndex[Any]):
    class Meta(BaseMeta):
        index_name = "ByDay"
        projection = AllProjection()

    day_shard = UnicodeAttribute(hash_key=True)
    rated_at = UTCDateTimeAttribute(range_key=True)


class _RatingRow(Row):
    class Meta(LedgerMeta):
        pass

    by_day = _ByDayIndex()

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
        day_shard=_day_shard(reply.country, local_day(reply.country, reply.rated_at), _shard_of(reply.reply_id)),
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
        return _rated(_RatingRow.get(*_key(carrier, reply_id), consistent_read=True))
    except _RatingRow.DoesNotExist:
        return None


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


def list_day(
    country: str, day: date, *, begin: datetime | None = None, skip: int = 0, limit: int
) -> Iterator[RatedReply]:
    """At most `limit` of what was rated on a day of the country's, by time, then carrier and id.

    From `begin` on, without the first `skip` of that very moment. Read from an index, so the last seconds may miss.
    """
    shards = [_list_shard(_day_shard(country, day, shard), begin) for shard in range(DAY_SHARDS)]
    return islice(heapq.merge(*shards, key=_place), skip, skip + limit)


def _list_shard(day_shard: str, begin: datetime | None) -> Iterator[RatedReply]:
    condition = _ByDayIndex.rated_at >= begin if begin is not None else None
    rows = _RatingRow.by_day.query(day_shard, range_key_condition=condition, page_size=QUERY_PAGE)
    # An index keeps no order among rows of the same moment.
    for _, together in groupby(map(_rated, rows), key=lambda reply: reply.rated_at):
        yield from sorted(together, key=_place)


def _place(reply: RatedReply) -> tuple[datetime, str, str]:
    return reply.rated_at, reply.carrier, reply.reply_id


def _shard_of(reply_id: str) -> int:
    return crc32(reply_id.encode()) % DAY_SHARDS


def _day_shard(country: str, day: date, shard: int) -> str:
    return f"{country}#{day:%Y-%m-%d}#{shard}"


def _key(carrier: str, reply_id: str) -> tuple[str, str]:
    return f"RATE#{carrier}#{reply_id}", "r"


def _rated(row: _RatingRow) -> RatedReply:
    _, carrier, reply_id = row.pk.split("#", 2)
    parts = int(row.parts or 1)
    return RatedReply(carrier, reply_id, row.country, row.number, row.code, row.rated_at, _rating(row), parts)


def _part_key(part: int) -> str:
    return f"p#{part:02}"


def _rating(row: _RatingRow) -> Rating | None:
    if row.currency is None or row.price is None or row.total is None:
        return None
    taxes = tuple((str(name), Decimal(amount)) for name, amount in row.taxes or ())
    return Rating(row.currency, Decimal(row.price), taxes, Decimal(row.total))
