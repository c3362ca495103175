"""Counts a school's requests by the minute. A counter that fails must never fail the request it counts."""

from datetime import datetime, timedelta

from recado import log
from recado.access import Caller
from recado.rules import rate_limits
from recado.rules.rate_limits import Quota
from recado.rules.roles import Role
from recado.settings import SETTINGS
from recado.tables import request_counts
from recado.tables.request_counts import NotCounted

COUNTS_LIFE = timedelta(hours=1)


def count_request(caller: Caller, now: datetime) -> Quota | None:
    """Where the school stands with this request; a sandbox has a count of its own.

    None: not limited (the platform's staff), or not counted.
    """
    if caller.role is Role.OPERATOR:
        return None
    window = rate_limits.window_of(now)
    if _over.get(caller.school_id) == window:  # a flood must not reach the row, which takes some 1,000 a second
        return rate_limits.quota_after(SETTINGS.requests_per_minute_max + 1, SETTINGS.requests_per_minute_max, now)
    expires_at = int((now + COUNTS_LIFE).timestamp())
    try:
        count = request_counts.add_request(caller.school_id, window, expires_at=expires_at)
    except NotCounted as error:
        log.trouble("request_not_counted", error.__cause__, school=caller.school_id)
        return None
    quota = rate_limits.quota_after(count, SETTINGS.requests_per_minute_max, now)
    if quota.is_over:
        _over[caller.school_id] = window
    return quota


def forget() -> None:
    """Forgets who was over."""
    _over.clear()


_over: dict[str, str] = {}  # school → the window it was over in: a window's count only grows
