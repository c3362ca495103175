"""The five idle minutes of C7, to the microsecond, and the longest session."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from recado.rules.idle_timeout import IDLE_LIMIT, LONGEST_SESSION, ends_at, is_idle, is_over

NINE = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
spans = st.timedeltas(timedelta(0), timedelta(hours=9))


def test_a_session_is_idle_at_five_minutes_and_not_an_instant_before() -> None:
    assert not is_idle(NINE, NINE + timedelta(minutes=5) - INSTANT)
    assert is_idle(NINE, NINE + timedelta(minutes=5))
    assert is_idle(NINE, NINE + timedelta(minutes=6))


def test_a_clock_that_lags_behind_the_last_activity_ends_nothing() -> None:
    assert not is_idle(NINE, NINE - timedelta(seconds=1))


def test_a_busy_session_is_over_after_eight_hours() -> None:
    eight_later = NINE + timedelta(hours=8)

    assert not is_over(NINE, eight_later - timedelta(minutes=1), eight_later - INSTANT)
    assert is_over(NINE, eight_later - timedelta(minutes=1), eight_later)


def test_a_session_ends_at_whichever_limit_comes_first() -> None:
    assert ends_at(NINE, NINE) == NINE + timedelta(minutes=5)
    assert ends_at(NINE, NINE + timedelta(hours=7, minutes=58)) == NINE + timedelta(hours=8)
    assert (timedelta(minutes=5), timedelta(hours=8)) == (IDLE_LIMIT, LONGEST_SESSION)


@given(spans, spans)
def test_a_session_is_over_exactly_from_its_end_on(busy_for: timedelta, later: timedelta) -> None:
    last_activity_at = NINE + busy_for
    now = last_activity_at + later

    assert is_over(NINE, last_activity_at, now) == (now >= ends_at(NINE, last_activity_at))
