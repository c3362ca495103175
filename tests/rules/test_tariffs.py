"""The price of a message from a handset (C6)."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.errors import InvalidRequest
from recado.rules.tariffs import MINOR_DIGITS, TARIFFS, Rating, Tariff, rate, rate_by, read_tariff, tax_names

TODAY = date(2026, 11, 23)
OF_DO = TARIFFS["DO"]


def tariff(price: str, *shares: str, currency: str = "DOP", valid_from: date = TODAY) -> Tariff:
    taxes = tuple((f"T{number}", Decimal(share)) for number, share in enumerate(shares))
    return Tariff(valid_from, currency, Decimal(price), taxes)


def amounts(found: Rating) -> list[str]:
    return [str(amount) for _, amount in found.taxes]


def problems(price: str = "1.00", currency: str = "DOP", taxes: list[tuple[str, str]] | None = None) -> list[str]:
    with pytest.raises(InvalidRequest) as refused:
        read_tariff(TODAY, currency, price, taxes or [])
    return [f"{one.field} {one.code}" for one in refused.value.fields]


def test_a_dominican_message_costs_one_peso_plus_each_tax_on_the_peso_C6() -> None:
    taxes = (("ITBIS", Decimal("0.18")), ("ISC", Decimal("0.10")), ("CDT", Decimal("0.02")))

    assert rate(OF_DO, TODAY) == Rating("DOP", Decimal("1.00"), taxes, Decimal("1.30"))


def test_a_country_without_a_tariff_is_not_rated() -> None:
    assert "CL" not in TARIFFS
    assert rate((), TODAY) is None


def test_nothing_is_rated_before_the_first_tariff() -> None:
    first = OF_DO[0].valid_from

    assert rate(OF_DO, first) is not None
    assert rate(OF_DO, first.replace(year=first.year - 1)) is None


def test_a_tariff_is_in_force_from_its_own_day_whatever_the_order_they_are_listed_in() -> None:
    leap = tariff("2.00", valid_from=date(2028, 2, 29))

    prices = [rate((leap, *OF_DO), day) for day in (date(2028, 2, 28), date(2028, 2, 29), date(2028, 3, 1))]

    assert [one.price for one in prices if one] == [Decimal("1.00"), Decimal("2.00"), Decimal("2.00")]


def test_each_tax_is_rounded_half_up_by_itself() -> None:
    # 0.045 and 0.025: half up, where half to even would give 0.04 and 0.02, and rounding the sum 0.07.
    found = rate_by(tariff("0.25", "0.18", "0.10"))

    assert amounts(found) == ["0.05", "0.03"]
    assert found.total == Decimal("0.33")


def test_half_a_cent_is_a_cent_and_a_hair_less_is_none() -> None:
    assert amounts(rate_by(tariff("0.05", "0.10", "0.0999"))) == ["0.01", "0.00"]  # 0.005, 0.004995
    assert amounts(rate_by(tariff("1.00", "0.0049", "0.0050", "0.0051"))) == ["0.00", "0.01", "0.01"]


def test_a_currency_without_cents_is_rounded_to_whole_units() -> None:
    found = rate_by(tariff("50", "0.19", currency="CLP"))  # 9.5

    assert (str(found.price), amounts(found), str(found.total)) == ("50", ["10"], "60")


PRICES = st.decimals(min_value=0, max_value=999999, places=2)
SHARES = st.lists(st.decimals(min_value=0, max_value=1, places=4), max_size=10)


@given(PRICES, SHARES, st.sampled_from(sorted(MINOR_DIGITS)))
def test_the_total_is_the_sum_of_what_is_printed_and_no_tax_is_off_by_more_than_half_a_unit(
    price: Decimal, shares: list[Decimal], currency: str
) -> None:
    made = tariff(str(price), *map(str, shares), currency=currency)
    found = rate_by(made)
    half = Decimal("0.5").scaleb(-MINOR_DIGITS[currency])

    printed = [Decimal(text) for text in (str(found.price), *amounts(found))]

    assert sum(printed) == found.total
    assert all(-one.as_tuple().exponent == MINOR_DIGITS[currency] for one in printed)  # type: ignore[operator]
    assert all(abs(tax - price * share) <= half for (_, tax), share in zip(found.taxes, shares, strict=True))


def test_a_tariff_is_read_as_it_was_written_and_priced_the_same() -> None:
    taxes = [("ITBIS", "0.18"), ("ISC", "0.10"), ("CDT", "0.02")]

    assert rate_by(read_tariff(TODAY, "DOP", "1.00", taxes)) == rate(OF_DO, TODAY)


def test_every_field_of_a_tariff_that_cannot_be_accepted_is_named_at_once() -> None:
    taxes = [("ITBIS", "1.1"), ("itbis", "0.1"), ("ISC", "0.10"), ("ISC", "0.00001")]

    assert problems("1.005", "XXX", taxes) == [
        "/currency unknown",
        "/price malformed",
        "/taxes/0/share malformed",
        "/taxes/1/name malformed",
        "/taxes/3/name duplicate",
        "/taxes/3/share malformed",
    ]


@pytest.mark.parametrize("price", ["", "-1", "1,00", "1e3", "01", "1234567", ".5", "٣", "1.", "NaN"])
def test_a_price_that_is_not_plain_is_refused(price: str) -> None:
    assert problems(price) == ["/price malformed"]


def test_a_price_finer_than_its_currency_is_refused() -> None:
    assert problems("50.5", "CLP") == ["/price too_fine"]
    assert rate_by(read_tariff(TODAY, "CLP", "50.0", [])).total == 50


def test_a_formula_is_no_tax() -> None:
    assert problems(taxes=[("=SUM(A1)", "0.1")]) == ["/taxes/0/name malformed"]


def test_the_taxes_of_some_days_are_those_of_every_tariff_in_force_on_one_of_them() -> None:
    def one(day: int, *names: str) -> Tariff:
        return Tariff(date(2026, 11, day), "DOP", Decimal(1), tuple((name, Decimal(0)) for name in names))

    listed = (one(20, "B", "C"), one(1, "OLD"), one(10, "A", "B"), one(30, "NEW"))

    assert tax_names(listed, date(2026, 11, 12), date(2026, 11, 29)) == ("A", "B", "C")
    assert tax_names(listed, date(2026, 11, 10), date(2026, 11, 10)) == ("A", "B")
    assert tax_names(listed, date(2026, 10, 1), date(2026, 10, 31)) == ()
