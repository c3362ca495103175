"""The price of a message from a handset (C6)."""

from datetime import date
from decimal import Decimal

from recado.rules.tariffs import TARIFFS, Rating, Tariff, rate, rate_by


def test_a_dominican_message_costs_one_peso_plus_each_tax_on_the_peso() -> None:
    taxes = (("ITBIS", Decimal("0.18")), ("ISC", Decimal("0.10")), ("CDT", Decimal("0.02")))

    assert rate("DO", date(2026, 11, 23)) == Rating("DOP", Decimal("1.00"), taxes, Decimal("1.30"))


def test_a_country_without_a_published_tariff_is_not_rated() -> None:
    assert rate("CL", date(2026, 11, 23)) is None


def test_nothing_is_rated_before_the_first_tariff() -> None:
    first = TARIFFS["DO"][0].valid_from

    assert rate("DO", first) is not None
    assert rate("DO", first.replace(year=first.year - 1)) is None


def test_each_tax_is_rounded_half_up_by_itself() -> None:
    tariff = Tariff(date(2026, 1, 1), "DOP", Decimal("0.25"), (("ITBIS", Decimal("0.18")), ("ISC", Decimal("0.10"))))

    rating = rate_by(tariff)

    # 0.045 and 0.025: half up, where half to even would give 0.04 and 0.02, and rounding the sum 0.07.
    assert rating.taxes == (("ITBIS", Decimal("0.05")), ("ISC", Decimal("0.03")))
    assert rating.total == Decimal("0.33")
