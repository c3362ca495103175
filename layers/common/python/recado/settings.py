"""The environment, read once. A missing name fails by name; nothing else in recado reads `os.environ`."""

import os
from dataclasses import dataclass, fields
from datetime import timedelta


class MissingSetting(RuntimeError):
    """A variable that template.yaml declares is not in the environment."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Every variable of `Globals.Function.Environment` in template.yaml, lower-cased. docs/settings.md says more."""

    ledger_table: str
    people_table: str
    messages_table: str
    sessions_table: str
    routes_table: str
    urgent_queue_url: str
    bulk_queue_url: str
    sessions_queue_url: str
    receipts_queue_url: str
    plans_queue_url: str
    roster_queue_url: str
    import_bucket: str
    master_secret_path: str
    carrier: str
    carrier_url: str
    carrier_dedupe_hours: int
    carrier_credentials_path: str
    carrier_configuration_set: str
    carrier_part_price_max: str
    public_url: str
    countries: str
    session_country: str
    token_life_seconds_max: int
    quarantine_seconds: int
    session_handsets_max: int
    wave_size: int
    audience_max: int
    delivery_retention_days: int
    inbox_retention_days: int
    requests_per_minute_max: int

    @property
    def country_codes(self) -> tuple[str, ...]:
        """ISO 3166 codes of the countries with short codes, e.g. ("CL", "DO")."""
        return tuple(code.strip() for code in self.countries.split(","))

    @property
    def quarantine(self) -> timedelta:
        """Q: how long a released (handset, code) pair serves nobody."""
        return timedelta(seconds=self.quarantine_seconds)


def read_settings(environment: dict[str, str]) -> Settings:
    """Raises MissingSetting with the names that are missing, or ValueError for a number that is none."""
    missing = [field.name.upper() for field in fields(Settings) if field.name.upper() not in environment]
    if missing:
        raise MissingSetting(f"not in the environment: {', '.join(missing)}")
    values = {
        field.name: int(environment[field.name.upper()]) if field.type is int else environment[field.name.upper()]
        for field in fields(Settings)
    }
    return Settings(**values)  # type: ignore[arg-type]  # the types follow the fields


SETTINGS = read_settings(dict(os.environ))
