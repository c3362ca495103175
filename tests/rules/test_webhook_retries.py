"""When a portal is called again, and when no more (Standard Webhooks)."""

from datetime import UTC, datetime, timedelta

import pytest

from recado.rules import webhook_retries as rule
from recado.rules.webhook_deliveries import DELIVERY_ID, body_of, delivery_id, event_number

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("jitter", [0.0, 0.5, 0.999])
def test_the_last_attempt_is_about_a_day_after_the_first(jitter: float) -> None:
    at, attempts = NOW, 1
    while (following := rule.next_attempt(attempts, at, jitter)) is not None:
        assert following > at
        at, attempts = following, attempts + 1

    assert attempts == 10
    assert timedelta(hours=24) <= at - NOW <= timedelta(hours=26.5)


def test_without_jitter_they_are_the_standards_times() -> None:
    at, times = NOW, [timedelta()]
    for tries in range(1, 10):
        following = rule.next_attempt(tries, at, 0.0)
        assert following is not None
        at = following
        times.append(at - NOW)

    assert tuple(times) == rule.SINCE_FIRST


def test_a_portal_may_ask_for_later_but_not_for_sooner_nor_for_never() -> None:
    assert rule.next_attempt(1, NOW, 0.0, timedelta(minutes=2)) == NOW + timedelta(minutes=2)
    assert rule.next_attempt(3, NOW, 0.0, timedelta(seconds=1)) == NOW + timedelta(minutes=25)
    assert rule.next_attempt(1, NOW, 0.0, timedelta(days=30)) == NOW + timedelta(hours=1)
    assert rule.next_attempt(10, NOW, 0.0, timedelta(hours=1)) is None


def test_pauses_grow_and_end() -> None:
    pauses = [rule.pause_after(rounds) / timedelta(minutes=1) for rounds in (0, 1, 2, 3, 4, 5, 6, 7, 8, 10**6)]

    assert pauses == [0, 0, 0, 1, 2, 4, 8, 15, 15, 15]


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
