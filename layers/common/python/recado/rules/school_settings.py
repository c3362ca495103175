"""What a school decides about itself: quiet hours, when its credits are low, the language it is spoken to in."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from types import MappingProxyType

from recado.errors import FieldProblem, InvalidRequest
from recado.rules.credit_bags import Zone
from recado.rules.plain_words import Language
from recado.rules.quiet_hours import QuietHours

CLOCK_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
THRESHOLD_MAX = 100_000_000  # credits: as many as the largest bag that is ever sold


@dataclass(frozen=True, slots=True)
class SchoolSettings:
    """`low_balance`: credits per zone below which the balance counts as low. Version 0: nobody has set anything yet."""

    quiet_hours: QuietHours | None = None
    low_balance: Mapping[Zone, int] = field(default_factory=lambda: MappingProxyType({}))
    language: Language = Language.ES
    version: int = 0
    changed_by: str | None = None
    changed_at: datetime | None = None


def read_quiet_hours(start: str, end: str) -> QuietHours:
    """Quiet hours written as HH:MM, 24 hours. Raises InvalidRequest for what is no time, and for no span."""
    problems = [
        FieldProblem(place, "malformed", "HH:MM, from 00:00 to 23:59")
        for place, text in (("/quiet_hours/from", start), ("/quiet_hours/until", end))
        if not CLOCK_TIME.fullmatch(text)
    ]
    if not problems and start == end:
        problems = [FieldProblem("/quiet_hours/until", "empty_span", "Later or earlier than `from`; null for none")]
    if problems:
        raise InvalidRequest(fields=problems)
    return QuietHours(time.fromisoformat(start), time.fromisoformat(end))


def read_thresholds(asked: Mapping[Zone, int | None]) -> dict[Zone, int]:
    """The thresholds that are set; None is no threshold. Raises InvalidRequest for those out of range."""
    problems = [
        FieldProblem(f"/low_balance/{zone.value}", "range", f"1 to {THRESHOLD_MAX} credits, or null")
        for zone, count in asked.items()
        if count is not None and not 1 <= count <= THRESHOLD_MAX
    ]
    if problems:
        raise InvalidRequest(fields=problems)
    return {zone: count for zone, count in asked.items() if count is not None}
