"""Prices that the operator announced: one row a country and day, written before that day and never changed.

A mistake is deleted and announced anew, while its day is still to come.
"""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from pynamodb.attributes import JSONAttribute, UnicodeAttribute, UTCDateTimeAttribute

from recado.rules.tariffs import Tariff
from recado.tables.base import LedgerMeta, Row, delete_if, put_if


@dataclass(frozen=True, slots=True)
class Announced:
    """A tariff, who announced it and when."""

    country: str
    tariff: Tariff
    at: datetime
    by: str


class _TariffRow(Row):
    class Meta(LedgerMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    currency = UnicodeAttribute()
    price = UnicodeAttribute()
    taxes = JSONAttribute()
    announced_at = UTCDateTimeAttribute()
    announced_by = UnicodeAttribute()


def create_tariff(announced: Announced) -> bool:
    """Writes it; False when the country has a tariff for that day already."""
    row = _TariffRow(
        *_key(announced.country, announced.tariff.valid_from),
        currency=announced.tariff.currency,
        price=str(announced.tariff.price),
        taxes=[[name, str(share)] for name, share in announced.tariff.taxes],
        announced_at=announced.at,
        announced_by=announced.by,
    )
    return put_if(row, _TariffRow.pk.does_not_exist())


def list_tariffs(country: str) -> list[Announced]:
    """All that were announced for a country, by day, those to come included: one a day at most, so never many."""
    return [_announced(country, row) for row in _TariffRow.query(_pk(country), consistent_read=True)]


def find_tariff(country: str, valid_from: date) -> Announced | None:
    try:
        return _announced(country, _TariffRow.get(*_key(country, valid_from), consistent_read=True))
    except _TariffRow.DoesNotExist:
        return None


def delete_tariff(country: str, valid_from: date) -> bool:
    """Takes it away; False when it is not there."""
    return delete_if(_TariffRow(*_key(country, valid_from)), _TariffRow.pk.exists())


def _pk(country: str) -> str:
    return f"TARIFFS#{country}"


def _key(country: str, valid_from: date) -> tuple[str, str]:
    return _pk(country), f"{valid_from:%Y-%m-%d}"


def _announced(country: str, row: _TariffRow) -> Announced:
    taxes = tuple((str(name), Decimal(share)) for name, share in row.taxes)
    tariff = Tariff(date.fromisoformat(row.sk), row.currency, Decimal(row.price), taxes)
    return Announced(country, tariff, row.announced_at, row.announced_by)
