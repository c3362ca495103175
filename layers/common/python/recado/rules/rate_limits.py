"""How many requests a school may make in a minute, and what is said of it in the answer's headers.

Source: draft-ietf-httpapi-ratelimit-headers (`RateLimit-Policy`, `RateLimit`). A window is a minute of the clock.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

WINDOW_SECONDS = 60
POLICY = "school"


@dataclass(frozen=True, slots=True)
class Quota:
    """`remaining` requests until the window ends in `resets_in_seconds` (1 to 60)."""

    limit: int
    remaining: int
    resets_in_seconds: int
    is_over: bool


def window_of(now: datetime) -> str:
    """The window that this moment is in, as part of a key: `2026-11-23T12:00Z`."""
    return f"{now.astimezone(UTC):%Y-%m-%dT%H:%MZ}"


def quota_after(count: int, limit: int, now: datetime) -> Quota:
    """Where a school stands after its `count`-th request (from 1) of the window; over when it is past the limit."""
    return Quota(limit, max(0, limit - count), WINDOW_SECONDS - now.second, count > limit)


def policy_header(quota: Quota) -> str:
    """`RateLimit-Policy`: the name, the quota, and the window in seconds."""
    return f'"{POLICY}";q={quota.limit};w={WINDOW_SECONDS}'


def limit_header(quota: Quota) -> str:
    """`RateLimit`: the policy's name, what remains, and in how many seconds it is whole again."""
    return f'"{POLICY}";r={quota.remaining};t={quota.resets_in_seconds}'
