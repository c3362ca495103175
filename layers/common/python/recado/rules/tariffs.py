"""What a message written on a handset costs its owner (C6).

Source: the operator's published price, RD$1.00 plus taxes (ITBIS 18 %, ISC 10 %, CDT 2 %, each on the price itself);
ISO 4217 for currencies and their smallest unit. Must never invent a price: a country without a tariff has no rate.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from types import MappingProxyType

from recado.errors import FieldProblem, InvalidRequest

# ISO 4217: digits of the smallest unit. A currency that is not here is refused: a new one is a new line.
MINOR_DIGITS: Mapping[str, int] = MappingProxyType({"CLP": 0, "DOP": 2, "EUR": 2, "USD": 2})
PRICE = re.compile(r"(0|[1-9][0-9]{0,5})(\.[0-9]{1,2})?")
SHARE = re.compile(r"0(\.[0-9]{1,4})?|1(\.0{1,4})?")
TAX_NAME = re.compile(r"[A-Z0-9][A-Z0-9 ._-]{0,15}")  # capitals: it heads a column among our own small ones
TAXES_MAX = 10
AHEAD_MAX = timedelta(days=2 * 366)


@dataclass(frozen=True, slots=True)
class Tariff:
    """In force from the beginning of `valid_from`, a day of the country's, until that of the next tariff."""

    valid_from: date
    currency: str  # ISO 4217
    price: Decimal
    taxes: tuple[tuple[str, Decimal], ...]  # name and share of the price


@dataclass(frozen=True, slots=True)
class Rating:
    currency: str
    price: Decimal
    taxes: tuple[tuple[str, Decimal], ...]  # name and amount
    total: Decimal


# As published. Later prices are announced by the operator, as rows; what was rated stays as it was.
TARIFFS: Mapping[str, tuple[Tariff, ...]] = MappingProxyType(
    {
        "DO": (
            Tariff(
                valid_from=date(2020, 1, 1),
                currency="DOP",
                price=Decimal("1.00"),
                taxes=(("ITBIS", Decimal("0.18")), ("ISC", Decimal("0.10")), ("CDT", Decimal("0.02"))),
            ),
        ),
    }
)


def in_force(tariffs: Iterable[Tariff], on: date) -> Tariff | None:
    """The tariff of a day of the country's: the last one that has begun; None before the first."""
    begun = [tariff for tariff in tariffs if tariff.valid_from <= on]
    return max(begun, key=lambda tariff: tariff.valid_from, default=None)


def rate(tariffs: Iterable[Tariff], on: date) -> Rating | None:
    """The rating of one handset message on a day of the country's; None where no tariff is in force."""
    tariff = in_force(tariffs, on)
    return rate_by(tariff) if tariff is not None else None


def rate_by(tariff: Tariff) -> Rating:
    """The rating of one handset message under this tariff.

    Each tax is taken on the price alone (never on another tax) and rounded by itself, half up, to the currency's
    smallest unit; the total is the sum of what is printed.
    """
    unit = Decimal(1).scaleb(-MINOR_DIGITS[tariff.currency])
    price = tariff.price.quantize(unit, rounding=ROUND_HALF_UP)
    taxes = tuple((name, (tariff.price * share).quantize(unit, rounding=ROUND_HALF_UP)) for name, share in tariff.taxes)
    return Rating(tariff.currency, price, taxes, price + sum(amount for _, amount in taxes))


def tax_names(tariffs: Iterable[Tariff], first: date, last: date) -> tuple[str, ...]:
    """The taxes of every tariff in force on some day from `first` to `last`, each once, in the order they came in."""
    ordered = sorted(tariffs, key=lambda tariff: tariff.valid_from)
    opening = in_force(ordered, first)
    during = [tariff for tariff in ordered if tariff is opening or first < tariff.valid_from <= last]
    return tuple(dict.fromkeys(name for tariff in during for name, _ in tariff.taxes))


def read_tariff(valid_from: date, currency: str, price: str, taxes: Iterable[tuple[str, str]]) -> Tariff:
    """A tariff as the operator writes it. Raises InvalidRequest with every field that cannot be accepted."""
    problems = []
    digits = MINOR_DIGITS.get(currency)
    if digits is None:
        problems.append(FieldProblem("/currency", "unknown", f"One of {', '.join(sorted(MINOR_DIGITS))}"))
    if PRICE.fullmatch(price) is None:
        problems.append(FieldProblem("/price", "malformed", "Up to six digits and two decimals, e.g. 1.00"))
    elif digits is not None and len(price.partition(".")[2].rstrip("0")) > digits:
        problems.append(FieldProblem("/price", "too_fine", f"{currency} has {digits} decimals"))
    found: dict[str, Decimal] = {}
    for place, (name, share) in enumerate(taxes):
        if TAX_NAME.fullmatch(name) is None:
            detail = "1 to 16 capitals, digits, blanks and . _ -"
            problems.append(FieldProblem(f"/taxes/{place}/name", "malformed", detail))
        elif name in found:
            problems.append(FieldProblem(f"/taxes/{place}/name", "duplicate", "Each tax once"))
        if SHARE.fullmatch(share) is None:
            problems.append(FieldProblem(f"/taxes/{place}/share", "malformed", "0 to 1 with four decimals, e.g. 0.18"))
        else:
            found[name] = Decimal(share)
    if len(found) > TAXES_MAX:
        problems.append(FieldProblem("/taxes", "too_many", f"At most {TAXES_MAX}"))
    if problems:
        raise InvalidRequest(fields=problems)
    return Tariff(valid_from, currency, Decimal(price), tuple(found.items()))
