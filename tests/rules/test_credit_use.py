"""Weeks by the school's clocks, and for how long credits reach (L5)."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.rules.credit_use import DAYS_LEFT_MAX, PACE_SPAN, count_weeks, days_left, start_of

SANTIAGO = ZoneInfo("America/Santiago")
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)  # a Monday
LONG_AGO = NOON - timedelta(days=400)
DAY = timedelta(days=1)

moments = st.integers(0, 60 * 24 * 3600).map(lambda seconds: NOON - timedelta(seconds=seconds))
spendings = st.lists(st.tuples(moments, st.integers(0, 500)), max_size=30)


def test_weeks_are_iso_weeks_also_over_the_end_of_the_year() -> None:
    weeks = count_weeks([], SANTIAGO, datetime(2027, 1, 5, 12, tzinfo=UTC), 3)

    assert [(week.name, week.starts_on) for week in weeks] == [
        ("2026-W52", date(2026, 12, 21)),
        ("2026-W53", date(2026, 12, 28)),
        ("2027-W01", date(2027, 1, 4)),
    ]


def test_a_week_begins_on_monday_by_the_schools_clocks_whatever_their_offset_then() -> None:
    assert start_of(NOON, SANTIAGO, 1) == datetime(2026, 11, 23, 3, tzinfo=UTC)  # -03:00
    assert start_of(NOON, SANTIAGO, 20) == datetime(2026, 7, 13, 4, tzinfo=UTC)  # -04:00


@given(spendings, st.integers(1, 53))
def test_every_credit_of_the_weeks_is_in_one_of_them_and_no_other_is(
    spent: list[tuple[datetime, int]], weeks: int
) -> None:
    counted = count_weeks(spent, SANTIAGO, NOON, weeks)

    start = start_of(NOON, SANTIAGO, weeks)
    assert len(counted) == weeks
    assert sum(week.captured for week in counted) == sum(count for moment, count in spent if moment >= start)


def test_days_left_are_what_is_there_by_what_is_spent_a_day() -> None:
    assert days_left(100, [(NOON - DAY, 28)], LONG_AGO, NOON) == 100  # one a day
    assert days_left(100, [(NOON - DAY, 56), (NOON - PACE_SPAN, 1_000)], LONG_AGO, NOON) == 50
    assert days_left(0, [(NOON - DAY, 56)], LONG_AGO, NOON) == 0
    assert days_left(100_000_000, [(NOON, 1)], LONG_AGO, NOON) == DAYS_LEFT_MAX


def test_a_young_account_is_measured_by_the_days_it_had() -> None:
    assert days_left(100, [(NOON - DAY, 20)], NOON - 10 * DAY, NOON) == 50  # two a day


@pytest.mark.parametrize(
    ("spent", "first_at"),
    [
        ([], LONG_AGO),
        ([(NOON, 0)], LONG_AGO),
        ([(NOON - 29 * DAY, 50)], LONG_AGO),
        ([(NOON + DAY, 50)], LONG_AGO),
        ([(NOON - DAY, 50)], NOON - 6 * DAY),
        ([(NOON - DAY, 50)], None),
    ],
)
def test_without_a_pace_nothing_is_said(spent: list[tuple[datetime, int]], first_at: datetime | None) -> None:
    assert days_left(100, spent, first_at, NOON) is None


@given(st.integers(0, 10**8), spendings)
def test_days_left_is_never_negative_and_never_endless(available: int, spent: list[tuple[datetime, int]]) -> None:
    found = days_left(available, spent, LONG_AGO, NOON)

    assert found is None or 0 <= found <= DAYS_LEFT_MAX
