"""When a portal is called again, and when no more (Standard Webhooks)."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from recado.rules import webhook_retries as rule
from recado.rules.webhook_deliveries import DELIVERY_ID, body_of, delivery_id, event_number

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


# The table of the standard, "Example retry schedule": its columns "Delay" and "Time since start".
SCHEDULE = [
    (timedelta(), timedelta()),
    (timedelta(seconds=5), timedelta(seconds=5)),
    (timedelta(minutes=5), timedelta(minutes=5, seconds=5)),
    (timedelta(minutes=30), timedelta(minutes=35, seconds=5)),
    (timedelta(hours=2), timedelta(hours=2, minutes=35, seconds=5)),
    (timedelta(hours=5), timedelta(hours=7, minutes=35, seconds=5)),
    (timedelta(hours=10), timedelta(hours=17, minutes=35, seconds=5)),
    (timedelta(hours=14), timedelta(hours=31, minutes=35, seconds=5)),
    (timedelta(hours=20), timedelta(hours=51, minutes=35, seconds=5)),
    (timedelta(hours=24), timedelta(hours=75, minutes=35, seconds=5)),
]


def times(jitter: float) -> list[timedelta]:
    """When the attempts are, since the first."""
    at, found = NOW, [timedelta()]
    while (following := rule.next_attempt(len(found), at, jitter)) is not None:
        at = following
        found.append(at - NOW)
    return found


def test_without_jitter_they_are_the_standards_times() -> None:
    assert times(0.0) == [since for _, since in SCHEDULE]


@pytest.mark.parametrize("jitter", [0.5, 0.999])
def test_with_jitter_each_wait_is_a_little_longer_and_they_end_before_the_portal_is_given_up(jitter: float) -> None:
    waits = [after - before for before, after in pairwise(times(jitter))]

    assert [delay < wait <= delay * 1.1 for wait, (delay, _) in zip(waits, SCHEDULE[1:], strict=True)] == [True] * 9
    assert times(jitter)[-1] < rule.FAILING_MAX


def test_a_portal_may_ask_for_later_but_not_for_sooner_nor_for_never() -> None:
    assert rule.next_attempt(1, NOW, 0.0, timedelta(minutes=2)) == NOW + timedelta(minutes=2)
    assert rule.next_attempt(3, NOW, 0.0, timedelta(seconds=1)) == NOW + timedelta(minutes=30)
    assert rule.next_attempt(1, NOW, 0.0, timedelta(days=30)) == NOW + timedelta(hours=1)
    assert rule.next_attempt(10, NOW, 0.0, timedelta(hours=1)) is None


def test_pauses_grow_and_end() -> None:
    pauses = [rule.pause_after(rounds) / timedelta(minutes=1) for rounds in (0, 1, 2, 3, 4, 5, 6, 7, 8, 10**6)]

    assert pauses == [0, 0, 0, 1, 2, 4, 8, 15, 15, 15]


def test_days_without_a_call_are_no_days_of_failures() -> None:
    day = timedelta(days=1)

    assert rule.failing_from(None, None, NOW) == NOW
    assert rule.failing_from(NOW - 3 * day, NOW - day, NOW) == NOW - 3 * day
    assert rule.failing_from(NOW - 60 * day, NOW - 57 * day, NOW) == NOW
    assert max(rule.DELAYS) * (1 + rule.JITTER) < rule.SILENCE_MAX < rule.FAILING_MAX


def test_days_of_failures_are_the_end() -> None:
    assert not rule.is_given_up(None, NOW)
    assert not rule.is_given_up(NOW - timedelta(days=5) + timedelta(seconds=1), NOW)
    assert rule.is_given_up(NOW - timedelta(days=5), NOW)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("120", timedelta(minutes=2)),
        ("0", timedelta()),
        ("Mon, 23 Nov 2026 12:01:00 GMT", timedelta(minutes=1)),
        ("Mon, 23 Nov 2026 11:59:00 GMT", None),
        ("9" * 40, timedelta(seconds=10**9)),
        ("9" * 41, None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_a_retry_after_is_seconds_or_a_date(text: str | None, found: timedelta | None) -> None:
    assert rule.read_retry_after(text, NOW) == found


@pytest.mark.parametrize(
    ("status", "reason"),
    [(302, "redirect"), (410, "gone"), (429, "too_many_requests"), (404, "status"), (500, "status")],
)
def test_a_status_has_a_word(status: int, reason: str) -> None:
    assert rule.reason_of(status) == reason


def test_an_id_is_an_events_of_one_school_and_says_its_number() -> None:
    found = {delivery_id(school, number) for school in ("a", "b", "a~test") for number in range(1, 500)}

    assert len(found) == 3 * 499
    assert all(DELIVERY_ID.fullmatch(one) for one in found)
    assert event_number(delivery_id("a", 12)) == 12
    assert delivery_id("a", 12) == delivery_id("a", 12)
    assert sorted([delivery_id("a", 9), delivery_id("a", 10)]) == [delivery_id("a", 9), delivery_id("a", 10)]


def test_a_body_is_the_same_each_time_and_says_what_the_standard_asks_for() -> None:
    body = body_of("liceo-1", 7, "balance.low", NOW, {"zone": "domestic", "available": 3})

    assert body == (
        '{"type":"balance.low","timestamp":"2026-11-23T12:00:00.000Z","school":"liceo-1","number":7,'
        '"data":{"zone":"domestic","available":3}}'
    )
