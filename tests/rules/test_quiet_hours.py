"""Quiet hours by the school's clocks, also on the nights they change (L1)."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.rules.quiet_hours import QuietHours, is_quiet, next_allowed

SANTIAGO = ZoneInfo("America/Santiago")
MADRID = ZoneInfo("Europe/Madrid")
ZONES = (SANTIAGO, MADRID, ZoneInfo("America/Santo_Domingo"), ZoneInfo("Australia/Lord_Howe"))
NIGHT = QuietHours(time(21, 30), time(7, 0))
SIESTA = QuietHours(time(13, 0), time(15, 0))
FIRST, LAST = datetime.fromisoformat("2026-01-01"), datetime.fromisoformat("2028-01-01")

clock_times = st.builds(time, st.integers(0, 23), st.integers(0, 59))
windows = st.tuples(clock_times, clock_times).filter(lambda two: two[0] != two[1]).map(lambda two: QuietHours(*two))
# Half of them near a change of clocks.
near_changes = st.builds(
    lambda change, seconds: change + timedelta(seconds=seconds),
    st.sampled_from(
        [
            datetime(2026, 4, 5, 3, tzinfo=UTC),
            datetime(2026, 9, 6, 4, tzinfo=UTC),
            datetime(2027, 4, 4, 3, tzinfo=UTC),
            datetime(2027, 9, 5, 4, tzinfo=UTC),
            datetime(2026, 3, 29, 1, tzinfo=UTC),
            datetime(2026, 10, 25, 1, tzinfo=UTC),
        ]
    ),
    st.integers(-100_000, 100_000),
)
moments = st.one_of(near_changes, st.datetimes(FIRST, LAST, timezones=st.just(UTC)))


def at(text: str, zone: ZoneInfo = SANTIAGO) -> datetime:
    """A moment by the school's clocks."""
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def shown(moment: datetime, zone: ZoneInfo = SANTIAGO) -> str:
    return moment.astimezone(zone).isoformat()


@pytest.mark.parametrize("moment", ["2026-11-23T07:00", "2026-11-23T12:00", "2026-11-23T21:29:59.999999"])
def test_outside_the_quiet_hours_the_moment_itself_is_allowed(moment: str) -> None:
    assert next_allowed(at(moment), SANTIAGO, NIGHT) == at(moment)


@pytest.mark.parametrize(
    ("moment", "allowed"),
    [
        ("2026-11-23T21:30", "2026-11-24T07:00:00-03:00"),
        ("2026-11-23T23:59:59", "2026-11-24T07:00:00-03:00"),
        ("2026-11-24T00:00", "2026-11-24T07:00:00-03:00"),
        ("2026-11-24T06:59:59.999999", "2026-11-24T07:00:00-03:00"),
        ("2026-12-31T22:00", "2027-01-01T07:00:00-03:00"),
        ("2026-04-04T22:00", "2026-04-05T07:00:00-04:00"),  # the night that is an hour longer
        ("2026-09-05T22:00", "2026-09-06T07:00:00-03:00"),  # the night that is an hour shorter
    ],
)
def test_a_window_over_midnight_ends_in_the_morning(moment: str, allowed: str) -> None:
    assert shown(next_allowed(at(moment), SANTIAGO, NIGHT)) == allowed


def test_a_window_within_a_day_ends_that_day() -> None:
    assert shown(next_allowed(at("2026-11-23T14:10"), SANTIAGO, SIESTA)) == "2026-11-23T15:00:00-03:00"
    assert next_allowed(at("2026-11-23T15:00"), SANTIAGO, SIESTA) == at("2026-11-23T15:00")


def test_an_end_that_the_clocks_leave_out_is_the_first_minute_after() -> None:
    until_half_past_midnight = QuietHours(time(22, 0), time(0, 30))

    allowed = next_allowed(at("2026-09-05T23:00"), SANTIAGO, until_half_past_midnight)

    assert shown(allowed) == "2026-09-06T01:00:00-03:00"


def test_an_hour_that_comes_twice_is_quiet_twice() -> None:
    until_half_past_eleven = QuietHours(time(20, 0), time(23, 30))
    second_eleven = datetime(2026, 4, 5, 3, 10, tzinfo=UTC)  # 23:10 for the second time

    first = next_allowed(at("2026-04-04T22:00"), SANTIAGO, until_half_past_eleven)
    second = next_allowed(second_eleven, SANTIAGO, until_half_past_eleven)

    assert shown(first) == "2026-04-04T23:30:00-03:00"
    assert shown(second) == "2026-04-04T23:30:00-04:00"


def test_all_day_but_one_minute_that_the_clocks_leave_out_waits_for_the_next_day() -> None:
    nearly_always = QuietHours(time(0, 31), time(0, 30))

    allowed = next_allowed(at("2026-09-05T23:00"), SANTIAGO, nearly_always)

    assert shown(allowed) == "2026-09-07T00:30:00-03:00"


def test_the_answer_is_in_utc() -> None:
    assert next_allowed(at("2026-11-23T12:00"), SANTIAGO, NIGHT).tzinfo is UTC
    assert next_allowed(at("2026-11-23T22:00"), SANTIAGO, NIGHT).tzinfo is UTC


def test_quiet_hours_without_a_span_are_none() -> None:
    with pytest.raises(ValueError, match="end when they start"):
        QuietHours(time(7, 0), time(7, 0))


@given(moments, st.sampled_from(ZONES), windows)
def test_what_is_allowed_is_not_quiet_and_everything_before_it_is(
    moment: datetime, zone: ZoneInfo, quiet: QuietHours
) -> None:
    allowed = next_allowed(moment, zone, quiet)

    assert allowed >= moment
    assert not is_quiet(allowed, zone, quiet)
    assert next_allowed(allowed, zone, quiet) == allowed
    waited = moment
    while waited < allowed:
        assert is_quiet(waited, zone, quiet)
        waited += timedelta(minutes=7)
    if allowed != moment:
        assert is_quiet(allowed - timedelta(microseconds=1), zone, quiet)


@given(moments, st.sampled_from(ZONES), windows)
def test_nobody_waits_for_longer_than_two_days(moment: datetime, zone: ZoneInfo, quiet: QuietHours) -> None:
    assert next_allowed(moment, zone, quiet) - moment <= timedelta(days=2, hours=1)
