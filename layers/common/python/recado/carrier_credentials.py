"""The accounts that carriers have given us: one SecureString of SSM a carrier, read once a minute, never logged.

A parameter that is missing or malformed leaves the account without credentials: its carrier then refuses by name.
"""

import json
import time
from dataclasses import replace
from typing import Any

from recado import log
from recado.aws import client
from recado.carriers.speech import Account
from recado.settings import SETTINGS

KEPT_SECONDS = 60.0


def add_to(account: Account, carrier: str) -> Account:
    """The account with its user, password, own sender and the secrets its webhooks are signed with."""
    found = _read(carrier)
    secrets = found.get("signing_secrets")
    return replace(
        account,
        user=_text(found.get("user")),
        password=_text(found.get("password")),
        sender=_text(found.get("sender")),
        secrets_from_carrier=tuple(filter(None, map(_text, secrets))) if isinstance(secrets, list) else (),
    )


def forget() -> None:
    """Reads them anew the next time; for tests."""
    _kept.clear()


_kept: dict[str, tuple[float, dict[str, Any]]] = {}


def _read(carrier: str) -> dict[str, Any]:
    read_at, found = _kept.get(carrier, (float("-inf"), {}))
    if time.monotonic() - read_at > KEPT_SECONDS:
        found = _parameter(carrier)
        _kept[carrier] = (time.monotonic(), found)
    return found


def _parameter(carrier: str) -> dict[str, Any]:
    name = f"{SETTINGS.carrier_credentials_path}/{carrier}"
    answer = client("ssm").get_parameters(Names=[name], WithDecryption=True)
    for parameter in answer["Parameters"]:
        try:
            found = json.loads(parameter["Value"])
        except ValueError:
            continue
        if isinstance(found, dict):
            return found
    log.trouble("carrier_credentials_missing", carrier=carrier)
    return {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
