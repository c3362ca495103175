"""On which day of a country something happened."""

from datetime import UTC, date, datetime

from recado.rules.country_time import ZONES, local_day, zone_of


def test_a_dominican_day_begins_four_hours_after_the_day_of_utc() -> None:
    assert local_day("DO", datetime(2026, 11, 26, 3, 59, 59, tzinfo=UTC)) == date(2026, 11, 25)
    assert local_day("DO", datetime(2026, 11, 26, 4, 0, tzinfo=UTC)) == date(2026, 11, 26)


def test_a_chilean_day_follows_its_summer() -> None:
    assert local_day("CL", datetime(2026, 7, 2, 3, 30, tzinfo=UTC)) == date(2026, 7, 1)
    assert local_day("CL", datetime(2026, 12, 2, 3, 30, tzinfo=UTC)) == date(2026, 12, 2)


def test_a_country_without_a_zone_of_its_own_has_days_in_utc() -> None:
    assert local_day("PE", datetime(2026, 11, 26, 3, 59, tzinfo=UTC)) == date(2026, 11, 26)


def test_every_zone_that_is_named_exists() -> None:
    assert {country: zone_of(country).key for country in ZONES} == dict(ZONES)
