"""The headers of the RateLimit draft, and who is over."""

from datetime import UTC, datetime, timedelta, timezone

from recado.rules.rate_limits import limit_header, policy_header, quota_after, window_of

NOW = datetime(2026, 11, 23, 12, 0, 29, tzinfo=UTC)


def test_the_last_request_of_the_quota_is_served_and_the_next_is_over() -> None:
    last, over = quota_after(3000, 3000, NOW), quota_after(3001, 3000, NOW)

    assert (last.is_over, last.remaining) == (False, 0)
    assert (over.is_over, over.remaining) == (True, 0)


def test_the_headers_are_the_drafts() -> None:
    quota = quota_after(1, 3000, NOW)

    assert policy_header(quota) == '"school";q=3000;w=60'
    assert limit_header(quota) == '"school";r=2999;t=31'


def test_a_window_is_a_minute_of_the_clock_wherever_it_is_read() -> None:
    elsewhere = NOW.astimezone(timezone(-timedelta(hours=3)))

    assert window_of(NOW) == window_of(elsewhere) == "2026-11-23T12:00Z"
    assert window_of(NOW + timedelta(seconds=31)) == "2026-11-23T12:01Z"
    assert quota_after(1, 1, NOW.replace(second=59)).resets_in_seconds == 1
    assert quota_after(1, 1, NOW.replace(second=0)).resets_in_seconds == 60
