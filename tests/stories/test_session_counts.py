"""What is kept of sessions: sums by the day, without a number or a text (C7)."""

from datetime import UTC, date, datetime

import boto3
import pytest

from recado import session_counts
from recado.tables.session_counts import SHARDS, DayCounts, add_counts, list_counts, shard_of
from tests.faults import faults

pytestmark = pytest.mark.usefixtures("aws")

MONDAY, TUESDAY = date(2026, 11, 23), date(2026, 11, 24)


def test_a_days_counts_are_the_sum_of_its_shards() -> None:
    add_counts("DO", MONDAY, 0, sessions=1, texts=2, handsets=3)
    add_counts("DO", MONDAY, 15, sessions=1, replies=4, late=5, unrouted=6, refused=7)
    add_counts("DO", MONDAY, 15, sessions=1)

    [found] = list_counts("DO", MONDAY, MONDAY)

    assert found == DayCounts(MONDAY, sessions=3, texts=2, handsets=3, replies=4, late=5, unrouted=6, refused=7)


def test_counts_are_listed_by_country_and_between_two_days() -> None:
    for day in (date(2026, 11, 22), TUESDAY, MONDAY, date(2026, 11, 25)):
        add_counts("DO", day, 3, sessions=1)
    add_counts("CL", MONDAY, 3, sessions=9)

    assert [(one.day, one.sessions) for one in list_counts("DO", MONDAY, TUESDAY)] == [(MONDAY, 1), (TUESDAY, 1)]


def test_what_counts_nothing_writes_nothing() -> None:
    add_counts("DO", MONDAY, 3)

    assert boto3.resource("dynamodb").Table("RoutesTable").scan()["Items"] == []


def test_what_is_counted_is_spread_over_all_shards() -> None:
    assert {shard_of(f"session-{number}") for number in range(500)} == set(range(SHARDS))


def test_something_is_counted_on_the_day_of_the_countrys_clocks() -> None:
    assert session_counts.count("DO", "a-session", datetime(2026, 11, 24, 3, 59, tzinfo=UTC), late=1)

    assert list_counts("DO", MONDAY, TUESDAY) == [DayCounts(MONDAY, late=1)]


def test_a_count_that_fails_fails_nobody() -> None:
    with faults("UpdateItem", "lost", "lost", "lost"):
        assert not session_counts.count("DO", "a-session", datetime(2026, 11, 24, tzinfo=UTC), late=1)
