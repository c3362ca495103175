"""When a receipt was reported, as one number of a set: repeated, early and late ones are added in any order.

A member is `epoch seconds × 1600 + receipt member` (100 recipients of a page, 16 parts each): members sort by time.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from recado.rules.delivery_states import read_member, receipt_member

RECIPIENTS_MAX = 100  # of one page
MEMBERS_PER_SECOND = RECIPIENTS_MAX * 16


def time_member(at: datetime, index: int, part: int) -> int:
    """The number that says: at this second (UTC, cut off), this part of this recipient was reported.

    Raises ValueError for a moment without an offset or before 1970, and for what is no recipient or part of a page.
    """
    if at.tzinfo is None:
        raise ValueError("a moment without an offset")
    seconds = int(at.timestamp() // 1)
    if seconds < 0 or index >= RECIPIENTS_MAX:
        raise ValueError("before 1970, or no such recipient")
    return seconds * MEMBERS_PER_SECOND + receipt_member(index, part)


def read_time_member(member: int) -> tuple[datetime, int, int]:
    """(moment in UTC, index, part) of such a number."""
    seconds, rest = divmod(member, MEMBERS_PER_SECOND)
    return datetime.fromtimestamp(seconds, UTC), *read_member(rest)


def first_reported(members: Iterable[int], index: int) -> datetime | None:
    """The earliest moment at which anything was reported of this recipient, whichever part; None: never."""
    own = [member for member in members if member % MEMBERS_PER_SECOND // 16 == index]
    return read_time_member(min(own))[0] if own else None
