"""A country's own days: by whose clocks what its subscribers did is counted and rated.

Source: IANA time zones. Where a country has several, it is the one that most people live by.
"""

from collections.abc import Mapping
from datetime import date, datetime
from types import MappingProxyType
from zoneinfo import ZoneInfo

# ISO 3166-1 alpha-2 → IANA. A country that is not here has days in UTC: a new one is a new line.
ZONES: Mapping[str, str] = MappingProxyType({"CL": "America/Santiago", "DO": "America/Santo_Domingo"})
OTHERS = "UTC"


def zone_of(country: str) -> ZoneInfo:
    """The zone whose days a country has."""
    return ZoneInfo(ZONES.get(country, OTHERS))


def local_day(country: str, moment: datetime) -> date:
    """The day that a moment, aware, falls on by the country's clocks."""
    return moment.astimezone(zone_of(country)).date()
