"""From when a price may be, and when a day is over (C6)."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.errors import InvalidRequest
from recado.rules.country_time import ZONES, local_day
from recado.rules.rating_days import (
    DAYS_MAX,
    LEAD,
    SETTLED_AFTER,
    begins_at,
    is_settled,
    may_change,
    read_days,
    read_valid_from,
)
from recado.tariffs import TARIFFS_SECONDS

TOMORROW = date(2026, 11, 24)
MIDNIGHT = datetime(2026, 11, 24, 4, tzinfo=UTC)  # in Santo Domingo
INSTANT = timedelta(microseconds=1)


def code_of(text: str, now: datetime) -> str:
    with pytest.raises(InvalidRequest) as refused:
        read_valid_from(text, "DO", now)
    return refused.value.fields[0].code


def test_a_day_begins_at_the_countrys_midnight() -> None:
    assert begins_at("DO", TOMORROW) == MIDNIGHT
    assert begins_at("DO", date(2028, 2, 29)) == datetime(2028, 2, 29, 4, tzinfo=UTC)


def test_where_clocks_go_forward_at_midnight_the_day_begins_when_they_do() -> None:
    begin = begins_at("CL", date(2026, 9, 6))

    assert local_day("CL", begin) == date(2026, 9, 6)
    assert local_day("CL", begin - INSTANT) == date(2026, 9, 5)


@given(st.sampled_from(sorted(ZONES)), st.dates(date(2015, 1, 1), date(2040, 12, 31)))
def test_the_beginning_of_a_day_is_its_first_moment_in_every_country(country: str, day: date) -> None:
    begin = begins_at(country, day)

    assert local_day(country, begin) == day
    assert local_day(country, begin - INSTANT) == day - timedelta(days=1)


def test_a_price_is_for_a_day_after_today_by_the_countrys_clocks() -> None:
    evening = datetime(2026, 11, 24, 1, tzinfo=UTC)  # still the 23rd in Santo Domingo

    assert read_valid_from("2026-11-24", "DO", evening) == TOMORROW
    assert code_of("2026-11-23", evening) == "too_soon"
    assert code_of("2020-01-01", evening) == "too_soon"
    assert code_of("2026-11-24", MIDNIGHT) == "too_soon"


def test_a_price_begins_later_than_any_process_believes_an_old_list() -> None:
    assert may_change("DO", TOMORROW, MIDNIGHT - LEAD)
    assert not may_change("DO", TOMORROW, MIDNIGHT - LEAD + INSTANT)
    # A request of half a minute, and clocks a second apart.
    assert timedelta(seconds=TARIFFS_SECONDS + 30 + 1) < LEAD


def test_a_slip_of_the_pen_in_the_year_is_told() -> None:
    assert code_of("2062-11-24", MIDNIGHT) == "too_late"
    assert code_of("2027-02-29", MIDNIGHT) == "malformed"
    assert read_valid_from("2028-02-29", "DO", MIDNIGHT) == date(2028, 2, 29)


def test_a_day_is_settled_some_minutes_after_the_countrys_midnight() -> None:
    today = TOMORROW - timedelta(days=1)

    assert not is_settled("DO", today, MIDNIGHT + SETTLED_AFTER - INSTANT)
    assert is_settled("DO", today, MIDNIGHT + SETTLED_AFTER)


def test_both_days_of_a_question_are_included() -> None:
    assert read_days("2028-02-28", "2028-03-01") == (date(2028, 2, 28), date(2028, 2, 29), date(2028, 3, 1))
    assert len(read_days("2026-10-01", "2026-10-31")) == DAYS_MAX


@pytest.mark.parametrize(
    ("first", "last", "problem"),
    [
        ("2026-11-02", "2026-11-01", "/query/to before_from"),
        ("2026-10-01", "2026-11-01", "/query/to too_many"),
        ("2026-02-30", "2026-03-01", "/query/from malformed"),
        ("2026-11-01", "20261102", "/query/to malformed"),
        ("0001-01-01", "0001-01-02", "/query/from malformed"),
    ],
)
def test_a_question_that_cannot_be_answered_says_which_field(first: str, last: str, problem: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_days(first, last)

    assert [f"{one.field} {one.code}" for one in refused.value.fields] == [problem]
