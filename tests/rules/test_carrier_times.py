"""Which of a carrier's times are believed."""

from datetime import UTC, datetime, timedelta

import pytest

from recado.rules.carrier_times import believed

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (None, NOON),
        (NOON, NOON),
        (NOON + MOMENT, NOON),
        (NOON - timedelta(hours=1), NOON - timedelta(hours=1)),
        (NOON - timedelta(hours=1) - MOMENT, NOON),
        (datetime.min.replace(tzinfo=UTC), NOON),
        (datetime.max.replace(tzinfo=UTC), NOON),
    ],
)
def test_a_time_that_can_be_is_kept_and_any_other_is_the_time_it_came(said: datetime | None, kept: datetime) -> None:
    found = believed(said, not_before=NOON - timedelta(hours=1), not_after=NOON, otherwise=NOON)

    assert found == kept
