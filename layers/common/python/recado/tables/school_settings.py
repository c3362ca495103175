"""What a school decided about itself; a school without this row has the defaults."""

from datetime import time

from pynamodb.attributes import NumberAttribute, UnicodeAttribute, UTCDateTimeAttribute

from recado.rules.credit_bags import Zone
from recado.rules.plain_words import Language
from recado.rules.quiet_hours import QuietHours
from recado.rules.school_settings import SchoolSettings
from recado.tables.base import PeopleMeta, Row, put_if


class _SettingsRow(Row):
    class Meta(PeopleMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    quiet_from = UnicodeAttribute(null=True)
    quiet_until = UnicodeAttribute(null=True)
    low_domestic = NumberAttribute(null=True)
    low_international = NumberAttribute(null=True)
    language = UnicodeAttribute()
    version = NumberAttribute()
    changed_by = UnicodeAttribute()
    changed_at = UTCDateTimeAttribute()


def find_settings(school_id: str) -> SchoolSettings:
    """The school's settings; the defaults when it never set any."""
    try:
        row = _SettingsRow.get(f"S#{school_id}", "SETTINGS", consistent_read=True)
    except _SettingsRow.DoesNotExist:
        return SchoolSettings()
    quiet = None
    if row.quiet_from is not None and row.quiet_until is not None:
        quiet = QuietHours(time.fromisoformat(row.quiet_from), time.fromisoformat(row.quiet_until))
    thresholds = {Zone.DOMESTIC: row.low_domestic, Zone.INTERNATIONAL: row.low_international}
    return SchoolSettings(
        quiet_hours=quiet,
        low_balance={zone: int(count) for zone, count in thresholds.items() if count is not None},
        language=Language(row.language),
        version=int(row.version),
        changed_by=row.changed_by,
        changed_at=row.changed_at,
    )


def save_settings(school_id: str, settings: SchoolSettings) -> bool:
    """Writes the whole row over version `settings.version - 1`; False when that is not the version that is there."""
    quiet = settings.quiet_hours
    row = _SettingsRow(
        f"S#{school_id}",
        "SETTINGS",
        quiet_from=f"{quiet.start:%H:%M}" if quiet else None,
        quiet_until=f"{quiet.end:%H:%M}" if quiet else None,
        low_domestic=settings.low_balance.get(Zone.DOMESTIC),
        low_international=settings.low_balance.get(Zone.INTERNATIONAL),
        language=settings.language.value,
        version=settings.version,
        changed_by=settings.changed_by,
        changed_at=settings.changed_at,
    )
    is_first = settings.version == 1
    return put_if(row, _SettingsRow.pk.does_not_exist() if is_first else _SettingsRow.version == settings.version - 1)
