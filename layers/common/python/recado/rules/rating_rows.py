"""The billing file of handset messages: its columns, a line for each message, and its totals. Pure.

Each tax has a column of its own under its own name, in capitals; ours are small. Numbers are in it by purpose.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from recado.rules.csv_cells import Cell
from recado.rules.rating_sums import RatingSum
from recado.rules.school_time import show_local
from recado.rules.tariffs import Rating

BEFORE_TAXES = ("rated_at", "carrier", "reply_id", "number", "code", "messages", "currency", "price")
AFTER_TAXES = ("total",)
TOTAL = "TOTAL"


class UnknownTax(RuntimeError):
    """A message was rated with a tax of no tariff of its day: a published tariff was taken out of the code."""


def header(taxes: Sequence[str]) -> list[str]:
    return [*BEFORE_TAXES, *taxes, *AFTER_TAXES]


def line(
    taxes: Sequence[str],
    zone: ZoneInfo,
    rated_at: datetime,
    names: tuple[str, str, str, str],
    rating: Rating | None,
) -> list[Cell]:
    """A message; `names` are carrier, reply id, number and code. Without a tariff its amounts are empty."""
    before: list[Cell] = [show_local(rated_at, zone), *names, 1]
    if rating is None:
        return [*before, *_nothing(taxes)]
    return [*before, rating.currency, *_amounts(taxes, rating.price, rating.taxes, rating.total)]


def total_lines(taxes: Sequence[str], sums: Sequence[RatingSum]) -> Iterator[list[Cell]]:
    """A line for each currency, and one without currency for messages that no tariff was in force for."""
    for one in sums or [RatingSum(None, 0)]:
        before: list[Cell] = [TOTAL, None, None, None, None, one.count]
        if one.currency is None:
            yield [*before, *_nothing(taxes)]
        else:
            yield [*before, one.currency, *_amounts(taxes, one.price, one.taxes, one.total)]


def _nothing(taxes: Sequence[str]) -> list[Cell]:
    return [None] * (len(taxes) + 3)


def _amounts(
    taxes: Sequence[str], price: Decimal, owed: Sequence[tuple[str, Decimal]], total: Decimal
) -> Iterator[Cell]:
    found = dict(owed)
    if not found.keys() <= set(taxes):
        raise UnknownTax
    yield str(price)
    yield from (str(found[name]) if name in found else None for name in taxes)
    yield str(total)
