"""A school as its directors see it, and what they decide about it: quiet hours, low balance, language."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from recado import credits, log  # noqa: A004  # the school's word
from recado.access import Caller
from recado.errors import ChangedMeanwhile, NotAllowed, NotFound
from recado.rules.credit_bags import Zone
from recado.rules.plain_words import Language
from recado.rules.quiet_hours import QuietHours
from recado.rules.roles import IN_CHARGE
from recado.rules.school_settings import SchoolSettings
from recado.tables import school_settings as table
from recado.tables import schools
from recado.tables.schools import School


@dataclass(frozen=True, slots=True)
class Wanted:
    """Settings as they are to be; `version`: of the settings that whoever asks has seen."""

    quiet_hours: QuietHours | None
    low_balance: Mapping[Zone, int]
    language: Language
    version: int


def get_school(caller: Caller) -> tuple[School, SchoolSettings]:
    """The caller's own school."""
    _only_in_charge(caller)
    school = schools.find_school(caller.school_id)
    if school is None:
        raise NotFound("There is no such school")
    return school, table.find_settings(caller.school_id)


def change_settings(caller: Caller, wanted: Wanted, now: datetime) -> SchoolSettings:
    """Replaces the settings; those that are so already stay as they are, with their version.

    Raises ChangedMeanwhile when somebody else changed them since they were read.
    """
    # 1. Are they so already? Asked again after a lost answer they are.
    _, found = get_school(caller)
    if _is_same(found, wanted):
        credits.note_balance(caller.school_id, now)
        return found

    # 2. Over the version that was seen, or not at all.
    changed = SchoolSettings(
        quiet_hours=wanted.quiet_hours,
        low_balance=dict(wanted.low_balance),
        language=wanted.language,
        version=wanted.version + 1,
        changed_by=caller.subject,
        changed_at=now,
    )
    if found.version != wanted.version or not table.save_settings(caller.school_id, changed):
        latest = table.find_settings(caller.school_id)
        if not _is_same(latest, wanted):  # else it was our own, and its answer was lost
            raise ChangedMeanwhile(members={"version": latest.version})
        changed = latest
    log.outcome("settings_changed", school=caller.school_id, version=changed.version)

    # 3. The threshold may have passed the balance, instead of the other way round.
    credits.note_balance(caller.school_id, now)
    return changed


def _is_same(found: SchoolSettings, wanted: Wanted) -> bool:
    asked = replace(
        found, quiet_hours=wanted.quiet_hours, low_balance=dict(wanted.low_balance), language=wanted.language
    )
    return asked == replace(found, low_balance=dict(found.low_balance))


def _only_in_charge(caller: Caller) -> None:
    if caller.role not in IN_CHARGE:
        raise NotAllowed("Only directors and administrative staff see and change the school's settings")
