"""The environment, read once. A missing name fails by name; nothing else in recado reads `os.environ`."""

import os
import re
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
    sweeps_queue_url: str
    receipts_queue_url: str
    plans_queue_url: str
    roster_queue_url: str
    portal_events_queue_url: str
    portal_webhook_loopback: str
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
    session_countries: str
    subscriber_prefixes: str
    token_life_seconds_max: int
    quarantine_seconds: int
    session_handsets_max: int
    late_reply_notice: str
    handset_texts_per_hour_max: int
    source_sessions_per_hour_max: int
    source_recipients_per_hour_max: int
    source_link_recipients_per_hour_max: int
    same_text_recipients_per_hour_max: int
    recipients_per_hour_max: int
    session_texts_max: int
    links_per_text_max: int
    sessions_per_source_and_handset: int
    wave_size: int
    audience_max: int
    delivery_retention_days: int
    inbox_retention_days: int
    requests_per_minute_max: int
    captcha_verify_url: str
    captcha_site_key: str
    captcha_secret_path: str
    live_url: str
    edge_secret: str

    @property
    def country_codes(self) -> tuple[str, ...]:
        """ISO 3166 codes of the countries with short codes, e.g. ("CL", "DO")."""
        return tuple(code.strip() for code in self.countries.split(","))

    def url_of(self, carrier: str) -> str:
        """Where a carrier is spoken to; empty: its own address.

        CARRIER_URL is the stack's carrier's; or, for several, `name=address,name=address`.
        """
        named = dict(one.split("=", 1) for one in self.carrier_url.split(",") if re.match(r"[a-z0-9_]+=", one))
        if named:
            return named.get(carrier, "")
        return self.carrier_url if carrier == self.carrier else ""

    @property
    def live_endpoint_url(self) -> str:
        """Where frames for open sockets are posted: the sockets' address, by HTTP. Empty: there are no sockets."""
        return self.live_url.replace("ws", "http", 1)

    @property
    def quarantine(self) -> timedelta:
        """Q: how long a released (handset, code) pair serves nobody."""
        return timedelta(seconds=self.quarantine_seconds)


# Less, and a session that is full could never be opened, whenever its user came back.
FULL_SESSION = (
    "source_recipients_per_hour_max",
    "same_text_recipients_per_hour_max",
    "recipients_per_hour_max",
)


def read_settings(environment: dict[str, str]) -> Settings:
    """Raises MissingSetting with the names that are missing, or ValueError for a number that cannot be."""
    missing = [field.name.upper() for field in fields(Settings) if field.name.upper() not in environment]
    if missing:
        raise MissingSetting(f"not in the environment: {', '.join(missing)}")
    values = {
        field.name: int(environment[field.name.upper()]) if field.type is int else environment[field.name.upper()]
        for field in fields(Settings)
    }
    settings = Settings(**values)  # type: ignore[arg-type]  # the types follow the fields
    small = [name.upper() for name in FULL_SESSION if getattr(settings, name) < settings.session_handsets_max]
    if small:
        raise ValueError(f"less than SESSION_HANDSETS_MAX: {', '.join(small)}")
    return settings


SETTINGS = read_settings(dict(os.environ))
