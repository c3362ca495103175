"""A school's own clock: moments as people write them where the school is, and as they are shown there.

Must never guess: a time that does not exist, or comes twice, when clocks change, is refused with what to write instead.
"""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from recado.errors import FieldProblem, InvalidRequest

# ISO 8601, extended, to the minute at least; Python's own reader would also take weeks, basic forms and bare dates.
MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?"
    r"(?P<offset>Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])?"
)
SECOND = timedelta(seconds=1)


def read_local(text: str, zone: ZoneInfo, field: str = "/at") -> datetime:
    """The moment meant, in UTC. With an offset it is that moment; without one, the time on the school's clocks.

    Raises InvalidRequest for `field`: `malformed`; `no_such_local_time` (clocks go forward over it: the detail names
    the first moment after the gap); `ambiguous_local_time` (clocks go back over it: the detail names both offsets).
    """
    found = MOMENT.fullmatch(text)
    try:
        written = datetime.fromisoformat(text) if found else None
        if written is not None and written.tzinfo is not None:
            return written.astimezone(UTC)
        return _from_clocks(written, zone, field) if written is not None else _malformed(field)
    except (ValueError, OverflowError):  # 31 February; the first and the last day of the calendar
        return _malformed(field)


def show_local(moment: datetime, zone: ZoneInfo) -> str:
    """The moment as the school's clocks show it, to the second, ISO 8601 with its offset."""
    return moment.astimezone(zone).isoformat(timespec="seconds")


def _from_clocks(written: datetime, zone: ZoneInfo, field: str) -> datetime:
    # PEP 495: where clocks change, fold 0 reads a time by the offset before the change, fold 1 by the one after.
    first, second = (written.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    before, after = first.utcoffset(), second.utcoffset()
    if before is None or after is None:
        raise RuntimeError("a zone without offsets")
    if before < after:
        gap_end = show_local(_change_between(written - after, written - before, zone), zone)
        detail = f"Clocks go forward over this time; the first one after it is {gap_end}"
        raise InvalidRequest(fields=[FieldProblem(field, "no_such_local_time", detail)])
    if before > after:
        offsets = " or ".join(f"{one:%:z}" for one in (first, second))
        detail = f"Clocks go back and this time comes twice; say which by its offset: {offsets}"
        raise InvalidRequest(fields=[FieldProblem(field, "ambiguous_local_time", detail)])
    return first.astimezone(UTC)


def _change_between(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The first second, of two moments in UTC without a zone, at which the later one's offset holds."""

    def offset_at(moment: datetime) -> timedelta | None:
        return moment.replace(tzinfo=UTC).astimezone(zone).utcoffset()

    before, goal = before.replace(microsecond=0), offset_at(after)
    after = after.replace(microsecond=0)
    while after - before > SECOND:  # halves at most a day of seconds
        middle = before + (after - before) // 2
        middle = middle.replace(microsecond=0)
        if offset_at(middle) == goal:
            after = middle
        else:
            before = middle
    return after.replace(tzinfo=UTC)


def _malformed(field: str) -> datetime:
    detail = "ISO 8601, e.g. 2026-11-23T08:00 (the school's time) or 2026-11-23T08:00:00-03:00"
    raise InvalidRequest(fields=[FieldProblem(field, "malformed", detail)])
