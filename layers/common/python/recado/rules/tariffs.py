"""What a message written on a handset costs its owner (C6).

Source: the operator's published price, RD$1.00 plus taxes (ITBIS 18 %, ISC 10 %, CDT 2 %, each on the price itself).
Must never invent a price: a country without a published tariff has no rate.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from types import MappingProxyType

CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Tariff:
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


# A new price is a new line with its own day: what was rated before it stays as it was.
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


def rate(country: str, on: date) -> Rating | None:
    """The rating of one handset message on a day; None where no tariff is in force.

    Each tax is taken on the price alone (never on another tax) and rounded by itself, half up, to the cent; the total
    is the sum of what is printed.
    """
    in_force = [tariff for tariff in TARIFFS.get(country, ()) if tariff.valid_from <= on]
    if not in_force:
        return None
    return rate_by(max(in_force, key=lambda tariff: tariff.valid_from))


def rate_by(tariff: Tariff) -> Rating:
    """The rating of one handset message under this tariff."""
    taxes = tuple((name, (tariff.price * share).quantize(CENT, rounding=ROUND_HALF_UP)) for name, share in tariff.taxes)
    return Rating(tariff.currency, tariff.price, taxes, tariff.price + sum(amount for _, amount in taxes))
