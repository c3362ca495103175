"""When an interactive session is over (C7), by the clock of the function that asks.

Must never be left to DynamoDB's TTL, which deletes hours late: every read and write of a session asks here.
"""

from datetime import datetime, timedelta

IDLE_LIMIT = timedelta(minutes=5)  # C7: the operator's published limit
LONGEST_SESSION = timedelta(hours=8)  # extending is not for ever: a drained short code has to become free


def is_idle(last_activity_at: datetime, now: datetime) -> bool:
    """True from the very moment five minutes have passed with nothing sent and nothing received."""
    return now - last_activity_at >= IDLE_LIMIT


def is_over(opened_at: datetime, last_activity_at: datetime, now: datetime) -> bool:
    """True when the session is idle or has lasted as long as one may."""
    return is_idle(last_activity_at, now) or now - opened_at >= LONGEST_SESSION


def ends_at(opened_at: datetime, last_activity_at: datetime) -> datetime:
    """The first moment at which the session is over if nothing more happens."""
    return min(last_activity_at + IDLE_LIMIT, opened_at + LONGEST_SESSION)
