"""When a portal is called again, and when no more: by the deliveries' own times and by the portal's answers as a whole.

Delays: Standard Webhooks, `spec/standard-webhooks.md`, "Deliverability and reliability": each is waited after the
attempt before, so that the tenth is 75 h 35 min 5 s after the first.
"""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

DELAYS = tuple(
    timedelta(seconds=seconds)
    for seconds in (0, 5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
)
ATTEMPTS_MAX = len(DELAYS)
JITTER = 0.1  # of a wait, added: those that failed together do not come together
RETRY_AFTER_MAX = timedelta(hours=1)  # a portal may ask for a pause, not for never
FAILED_ROUNDS_BEFORE_PAUSE = 3
PAUSE_FIRST = timedelta(minutes=1)
PAUSE_MAX = timedelta(minutes=15)
FAILING_MAX = timedelta(days=5)  # of nothing but failures: over a long weekend somebody may still mend it
SILENCE_MAX = timedelta(hours=48)  # longer than any wait between two attempts: nobody has called, and nothing is known
GONE = 410
ASKS_FOR_PAUSE = frozenset({429, 503})


def next_attempt(tries: int, now: datetime, jitter: float, retry_after: timedelta | None = None) -> datetime | None:
    """When to try again after `tries` failed attempts; None: that was the last. `jitter` in [0, 1).

    `retry_after`, what the portal asked for, only ever makes it later, and by no more than RETRY_AFTER_MAX.
    """
    if tries >= ATTEMPTS_MAX:
        return None
    wait = DELAYS[tries]
    wait += wait * JITTER * jitter
    if retry_after is not None:
        wait = max(wait, min(retry_after, RETRY_AFTER_MAX))
    return now + wait


def pause_after(failed_rounds: int) -> timedelta:
    """How long a portal is left alone that failed so often in a row; zero below the limit."""
    over = failed_rounds - FAILED_ROUNDS_BEFORE_PAUSE
    if over < 0:
        return timedelta()
    return min(PAUSE_FIRST * (1 << min(over, 10)), PAUSE_MAX)


def failing_from(since: datetime | None, last: datetime | None, now: datetime) -> datetime:
    """Since when only failures came, after one more; `last`: the one before. Days without a call are no failures."""
    is_broken_off = since is None or last is None or now - last >= SILENCE_MAX
    return now if is_broken_off or since is None else since


def is_given_up(failing_since: datetime | None, now: datetime) -> bool:
    """Whether nothing but failures came for so long that the webhook is switched off."""
    return failing_since is not None and now - failing_since >= FAILING_MAX


def read_retry_after(text: str | None, now: datetime) -> timedelta | None:
    """RFC 9110 §10.2.3: seconds, or a date. None for what is neither, or in the past."""
    if text is None or len(text) > 40:
        return None
    if text.strip().isdecimal() and text.isascii():
        return timedelta(seconds=min(int(text), 10**9))
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    wait = (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
    return wait if wait > timedelta() else None


def reason_of(status: int) -> str:
    """A status other than success, as a word for the log of deliveries."""
    if 300 <= status < 400:
        return "redirect"  # never followed
    return {GONE: "gone", 429: "too_many_requests"}.get(status, "status")
