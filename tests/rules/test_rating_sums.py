"""Sums of rated messages: whatever the mix and wherever it is cut, they are what its lines come to (C6)."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.rules import rating_rows
from recado.rules.csv_cells import Cell
from recado.rules.rating_sums import RatingSum, add_up, merge, read_sums, write_sums
from recado.rules.tariffs import TAX_NAME, Rating

ZONE = ZoneInfo("America/Santo_Domingo")
NAMES = ("carrier", "id", "+18095550101", "44101")
TAXES = ("CDT", "ISC", "ITBIS")
AMOUNTS = st.integers(0, 10**8).map(lambda cents: Decimal(cents).scaleb(-2))


@st.composite
def ratings(draw: st.DrawFn) -> Rating:
    price = draw(AMOUNTS)
    taxes = tuple((name, draw(AMOUNTS)) for name in draw(st.lists(st.sampled_from(TAXES), unique=True)))
    return Rating(draw(st.sampled_from(("DOP", "USD"))), price, taxes, price + sum(amount for _, amount in taxes))


MIXES = st.lists(st.none() | ratings(), max_size=30)


def cells(column: str, lines: list[list[Cell]], currency: str | None) -> Decimal:
    heads = rating_rows.header(TAXES)
    own = [line for line in lines if line[heads.index("currency")] == currency]
    return sum((Decimal(str(line[heads.index(column)] or 0)) for line in own), Decimal(0))


@given(MIXES)
def test_the_totals_of_a_file_are_the_sums_of_its_lines_for_any_mix_C6(mix: list[Rating | None]) -> None:
    moment = datetime(2026, 11, 23, 12, tzinfo=UTC)
    lines = [rating_rows.line(TAXES, ZONE, moment, NAMES, one) for one in mix]

    totals = list(rating_rows.total_lines(TAXES, add_up(mix)))

    for column in ("messages", "price", *TAXES, "total"):
        for currency in ("DOP", "USD", None):
            assert cells(column, totals, currency) == cells(column, lines, currency)


@given(MIXES, st.integers(0, 30))
def test_a_sum_carried_over_a_page_is_the_sum_of_both_pages(mix: list[Rating | None], cut: int) -> None:
    carried = read_sums(json.loads(json.dumps(write_sums(add_up(mix[:cut])))))

    assert as_amounts(add_up(mix[cut:], carried)) == as_amounts(add_up(mix))
    assert as_amounts(merge([*add_up(mix[cut:]), *carried])) == as_amounts(add_up(mix))


def as_amounts(sums: tuple[RatingSum, ...]) -> list[tuple[object, ...]]:
    """Without the order of taxes, which is that of their first message."""
    return [(one.currency, one.count, one.price, sorted(one.taxes), one.total) for one in sums]


def test_what_has_no_tariff_is_counted_apart_and_nothing_is_owed_for_it() -> None:
    rated = Rating("DOP", Decimal("1.00"), (("ITBIS", Decimal("0.18")),), Decimal("1.18"))

    assert add_up([rated, None, rated, None, None]) == (
        RatingSum("DOP", 2, Decimal("2.00"), (("ITBIS", Decimal("0.36")),), Decimal("2.36")),
        RatingSum(None, 3),
    )


def test_a_file_of_nothing_has_a_total_of_nothing() -> None:
    (line,) = rating_rows.total_lines(("ITBIS",), ())

    assert line == ["TOTAL", None, None, None, None, 0, None, None, None, None]
    assert len(line) == len(rating_rows.header(("ITBIS",)))


def test_a_tax_of_no_tariff_is_not_left_out_in_silence() -> None:
    rated = Rating("DOP", Decimal(1), (("ISC", Decimal("0.10")),), Decimal("1.10"))

    with pytest.raises(rating_rows.UnknownTax):
        rating_rows.line(("ITBIS",), ZONE, datetime(2026, 11, 23, 12, tzinfo=UTC), NAMES, rated)


def test_no_tax_can_have_the_name_of_another_column() -> None:
    assert [name for name in rating_rows.header(()) if TAX_NAME.fullmatch(name)] == []


@pytest.mark.parametrize(
    "written",
    [
        None,
        {},
        [[]],
        [["DOP", 1, "1.00", [], "1.00"]] * 9,
        [["XXX", 1, "1.00", [], "1.00"]],
        [["DOP", -1, "1.00", [], "1.00"]],
        [["DOP", 1, "NaN", [], "1.00"]],
        [["DOP", 1, "1.00", [["=x", "1"]], "1.00"]],
        [["DOP", 1, "1.00", [["A"]], "1.00"]],
        [["DOP", 1, "1" * 99, [], "1.00"]],
    ],
)
def test_what_is_no_sum_is_refused(written: object) -> None:
    with pytest.raises(ValueError):
        read_sums(written)
