"""Times as a school writes and reads them, on the days its clocks change (scheduled alerts, L1)."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.errors import InvalidRequest
from recado.rules.school_time import read_local, show_local

SANTIAGO = ZoneInfo("America/Santiago")
MADRID = ZoneInfo("Europe/Madrid")
SANTO_DOMINGO = ZoneInfo("America/Santo_Domingo")
EASTER = ZoneInfo("Pacific/Easter")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")  # half an hour
APIA = ZoneInfo("Pacific/Apia")  # left out a whole day: 30 December 2011
FIRST, LAST = datetime.fromisoformat("2026-01-01"), datetime.fromisoformat("2028-01-01")
ZONES = (SANTIAGO, MADRID, SANTO_DOMINGO, EASTER, LORD_HOWE)
moments = st.datetimes(FIRST, LAST, timezones=st.just(UTC))


def read(text: str, zone: ZoneInfo) -> datetime | str:
    """The moment, or the code of the refusal."""
    try:
        return read_local(text, zone)
    except InvalidRequest as refused:
        return refused.fields[0].code


def problem_of(text: str, zone: ZoneInfo) -> tuple[str, str]:
    with pytest.raises(InvalidRequest) as refused:
        read_local(text, zone, "/send/at")
    assert refused.value.fields[0].field == "/send/at"
    return refused.value.fields[0].code, refused.value.fields[0].detail


@pytest.mark.parametrize(
    ("text", "zone", "moment"),
    [
        ("2026-11-23T08:00", SANTIAGO, "2026-11-23T11:00:00+00:00"),  # summer, -03:00
        ("2026-06-15T08:00", SANTIAGO, "2026-06-15T12:00:00+00:00"),  # winter, -04:00
        ("2027-06-15T08:00:30", SANTIAGO, "2027-06-15T12:00:30+00:00"),
        ("2026-07-01T08:00", SANTO_DOMINGO, "2026-07-01T12:00:00+00:00"),  # -04:00 all year
        ("2026-12-01T08:00", SANTO_DOMINGO, "2026-12-01T12:00:00+00:00"),
        ("2026-07-01T08:00", MADRID, "2026-07-01T06:00:00+00:00"),
        ("2026-11-23T08:00:00.5", SANTIAGO, "2026-11-23T11:00:00.500000+00:00"),
    ],
)
def test_a_time_without_offset_is_the_schools(text: str, zone: ZoneInfo, moment: str) -> None:
    assert read_local(text, zone).isoformat() == moment


@pytest.mark.parametrize("text", ["2026-11-23T11:00Z", "2026-11-23T08:00-03:00", "2026-11-23T12:00:00.000+01:00"])
def test_a_time_with_an_offset_is_that_moment_wherever_the_school_is(text: str) -> None:
    assert read_local(text, MADRID) == datetime(2026, 11, 23, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "zone", "gap_end"),
    [
        ("2026-09-06T00:00", SANTIAGO, "2026-09-06T01:00:00-03:00"),
        ("2026-09-06T00:59:59", SANTIAGO, "2026-09-06T01:00:00-03:00"),
        ("2027-09-05T00:30", SANTIAGO, "2027-09-05T01:00:00-03:00"),
        ("2026-09-05T22:30", EASTER, "2026-09-05T23:00:00-05:00"),
        ("2026-03-29T02:30", MADRID, "2026-03-29T03:00:00+02:00"),
        ("2027-03-28T02:00", MADRID, "2027-03-28T03:00:00+02:00"),
        ("2026-10-04T02:15", LORD_HOWE, "2026-10-04T02:30:00+11:00"),
        ("2011-12-30T12:00", APIA, "2011-12-31T00:00:00+14:00"),
    ],
)
def test_a_time_that_the_clocks_leave_out_is_refused_with_the_first_one_after(
    text: str, zone: ZoneInfo, gap_end: str
) -> None:
    code, detail = problem_of(text, zone)

    assert code == "no_such_local_time"
    assert detail.endswith(f" {gap_end}")


@pytest.mark.parametrize(
    ("text", "zone", "offsets"),
    [
        ("2026-04-04T23:00", SANTIAGO, "-03:00 or -04:00"),
        ("2026-04-04T23:59:59", SANTIAGO, "-03:00 or -04:00"),
        ("2027-04-03T23:30", SANTIAGO, "-03:00 or -04:00"),
        ("2026-10-25T02:30", MADRID, "+02:00 or +01:00"),
        ("2027-10-31T02:00", MADRID, "+02:00 or +01:00"),
    ],
)
def test_a_time_that_comes_twice_is_refused_with_both_offsets(text: str, zone: ZoneInfo, offsets: str) -> None:
    code, detail = problem_of(text, zone)

    assert code == "ambiguous_local_time"
    assert detail.endswith(f": {offsets}")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-04-04T22:59:59", "2026-04-05T01:59:59+00:00"),  # before the hour that comes twice
        ("2026-04-05T00:00", "2026-04-05T04:00:00+00:00"),  # after it
        ("2026-09-05T23:59:59", "2026-09-06T03:59:59+00:00"),  # before the gap
        ("2026-09-06T01:00", "2026-09-06T04:00:00+00:00"),  # after it
    ],
)
def test_the_seconds_around_a_change_are_read(text: str, moment: str) -> None:
    assert read_local(text, SANTIAGO).isoformat() == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tomorrow",
        "2026-11-23",
        "2026-W48-1T08:00",
        "20261123T080000",
        "2026-11-23 08:00",
        "2026-11-23T08",
        "2026-11-23T24:00",
        "2026-02-30T08:00",
        "2026-11-23T08:00:60",
        "2026-11-23T08:00+25:00",
        "0001-01-01T00:00+14:00",
        "9999-12-31T23:59-10:00",
        "0000-01-01T00:00",
        "２026-11-23T08:00",
        "2026-11-23T08:00\n",
        "2026-11-23T08:00\0",
        "2026-11-23T08:00:00.1234567",
        "9" * 10_000,
    ],
)
def test_what_is_no_moment_is_refused_in_few_words(text: str) -> None:
    code, detail = problem_of(text, SANTIAGO)

    assert code == "malformed"
    assert len(detail) < 100


@given(moments, st.sampled_from(ZONES))
def test_what_is_shown_is_read_as_the_same_second(moment: datetime, zone: ZoneInfo) -> None:
    assert read_local(show_local(moment, zone), zone) == moment.replace(microsecond=0)


@given(moments, st.sampled_from(ZONES))
def test_what_the_clocks_show_is_read_as_that_moment_or_refused_as_coming_twice(
    moment: datetime, zone: ZoneInfo
) -> None:
    shown = show_local(moment, zone)[:19]

    assert read(shown, zone) in (moment.replace(microsecond=0), "ambiguous_local_time")


@given(st.datetimes(FIRST, LAST), st.sampled_from(ZONES))
def test_a_time_is_read_so_that_the_clocks_show_it_then_or_it_is_refused(written: datetime, zone: ZoneInfo) -> None:
    text = written.replace(microsecond=0).isoformat()

    found = read(text, zone)

    shown = show_local(found, zone)[:19] if isinstance(found, datetime) else found
    assert shown in (text, "ambiguous_local_time", "no_such_local_time")


def test_what_is_refused_in_2026_is_an_hour_in_spring_and_an_hour_in_autumn() -> None:
    half_hours = [FIRST + number * timedelta(minutes=30) for number in range(365 * 48)]

    refused = [
        (found, f"{written:%m-%d %H}")
        for written in half_hours
        if isinstance(found := read(written.isoformat(), SANTIAGO), str)
    ]

    assert refused == [("ambiguous_local_time", "04-04 23")] * 2 + [("no_such_local_time", "09-06 00")] * 2
