"""Quiet hours: when a school's everyday texts do not go out, by the clocks where the school is.

Must never ask about the category: an emergency does not wait, and whoever calls knows that.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
LONGEST_WAIT = timedelta(days=3)  # the longest window, a day less a minute, twice over, and a change of clocks


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `start` (quiet) until `end` (not quiet any more), to the minute; over midnight when `end` is the earlier."""

    start: time
    end: time

    def __post_init__(self) -> None:
        if self.start == self.end:
            raise ValueError("quiet hours that end when they start are none, or all day")


def is_quiet(moment: datetime, zone: ZoneInfo, quiet: QuietHours) -> bool:
    """Whether the clocks of `zone` stand within the quiet hours at this moment."""
    clock = moment.astimezone(zone).time()
    if quiet.start < quiet.end:
        return quiet.start <= clock < quiet.end
    return clock >= quiet.start or clock < quiet.end


def next_allowed(moment: datetime, zone: ZoneInfo, quiet: QuietHours) -> datetime:
    """The first moment from this one on that is not quiet, in UTC: the moment itself when it is allowed.

    When clocks go back over the end, the hour that comes again counts again; when they go forward over it, the first
    minute after the gap is the first that is allowed.
    """
    candidate = moment.astimezone(UTC)
    if not is_quiet(candidate, zone, quiet):
        return candidate
    # Minute by minute: windows and changes of clocks fall on whole minutes, and no case of theirs is left out.
    candidate = candidate.replace(second=0, microsecond=0) + MINUTE
    for _ in range(LONGEST_WAIT // MINUTE):
        if not is_quiet(candidate, zone, quiet):
            return candidate
        candidate += MINUTE
    raise RuntimeError("quiet hours that never end")
