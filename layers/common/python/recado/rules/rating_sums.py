"""What rated messages come to: counts and amounts, by currency; what no tariff was in force for is counted apart.

A sum is carried from page to page in a cursor, so it can be written down and read again. Money is never a float.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from recado.rules.tariffs import MINOR_DIGITS, TAX_NAME, TAXES_MAX, Rating

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class RatingSum:
    """What `count` messages come to; `currency` is None for those without a tariff, and nothing is owed for them."""

    currency: str | None
    count: int
    price: Decimal = ZERO
    taxes: tuple[tuple[str, Decimal], ...] = ()  # name and amount
    total: Decimal = ZERO


def add_up(ratings: Iterable[Rating | None], to: Iterable[RatingSum] = ()) -> tuple[RatingSum, ...]:
    """The sums with these ratings added, by currency; what has no tariff is last."""
    return merge([*to, *(_sum_of(one) for one in ratings)])


def merge(sums: Iterable[RatingSum]) -> tuple[RatingSum, ...]:
    """Sums of the same currency as one."""
    counts: dict[str | None, int] = {}
    amounts: dict[str | None, tuple[Decimal, Decimal]] = {}
    taxes: dict[str | None, dict[str, Decimal]] = {}
    for one in sums:
        counts[one.currency] = counts.get(one.currency, 0) + one.count
        price, total = amounts.get(one.currency, (ZERO, ZERO))
        amounts[one.currency] = (price + one.price, total + one.total)
        owed = taxes.setdefault(one.currency, {})
        for name, amount in one.taxes:
            owed[name] = owed.get(name, ZERO) + amount
    return tuple(
        RatingSum(
            currency, counts[currency], amounts[currency][0], tuple(taxes[currency].items()), amounts[currency][1]
        )
        for currency in sorted(counts, key=lambda name: (name is None, name or ""))
    )


def write_sums(sums: Iterable[RatingSum]) -> list[Any]:
    """The sums as JSON."""
    return [
        [one.currency, one.count, str(one.price), [[name, str(amount)] for name, amount in one.taxes], str(one.total)]
        for one in sums
    ]


def read_sums(written: Any) -> tuple[RatingSum, ...]:
    """What `write_sums` wrote. Raises ValueError for anything else."""
    if not isinstance(written, list) or len(written) > len(MINOR_DIGITS) + 1:
        raise ValueError("not sums")
    return tuple(_read_sum(one) for one in written)


def _sum_of(rating: Rating | None) -> RatingSum:
    if rating is None:
        return RatingSum(None, 1)
    return RatingSum(rating.currency, 1, rating.price, rating.taxes, rating.total)


def _read_sum(written: Any) -> RatingSum:
    if not isinstance(written, list) or len(written) != 5:
        raise ValueError("not a sum")
    currency, count, price, taxes, total = written
    is_known = currency is None or currency in MINOR_DIGITS
    if not is_known or not isinstance(count, int) or not isinstance(taxes, list) or count < 0:
        raise ValueError("not a sum")
    return RatingSum(
        currency, count, _amount(price), tuple(_tax(one) for one in taxes[: 4 * TAXES_MAX]), _amount(total)
    )


def _tax(written: Sequence[Any]) -> tuple[str, Decimal]:
    if not isinstance(written, list) or len(written) != 2:
        raise ValueError("not a tax")
    name, amount = written
    if not isinstance(name, str) or TAX_NAME.fullmatch(name) is None:
        raise ValueError("not a tax")
    return name, _amount(amount)


def _amount(written: Any) -> Decimal:
    if not isinstance(written, str) or len(written) > 20 or not written.replace(".", "", 1).isdecimal():
        raise ValueError("not an amount")
    return Decimal(written)
