"""Portal tokens as a school's portal would mint them, and any wrong ones."""

import base64
from datetime import datetime, timedelta
from typing import Any

import jwt

from recado.rules import signatures
from recado.tables import portal_keys
from recado.tables.portal_keys import KeyKind, PortalKey
from tests.conftest import MASTER_SECRET

MASTER = base64.b64decode(MASTER_SECRET)


def create_key(school_id: str, key_id: str = "k1", kind: KeyKind = KeyKind.PORTAL, master_version: int = 1) -> None:
    assert portal_keys.create_key(PortalKey(school_id, key_id, kind, master_version, None, None))


def claims_of(school_id: str, now: datetime, **changes: Any) -> dict[str, Any]:
    """A director's claims for five minutes, with changes; a change to None leaves that claim out."""
    claims = {
        "iss": school_id,
        "sub": "u-17",
        "role": "director",
        "iat": int(now.timestamp()),
        "exp": int((now + timedelta(minutes=5)).timestamp()),
    } | changes
    return {name: value for name, value in claims.items() if value is not None}


def mint(
    school_id: str,
    now: datetime,
    key_id: str = "k1",
    *,
    algorithm: str = "HS256",
    secret: str | bytes | None = None,
    **changes: Any,
) -> str:
    if secret is None:
        secret = signatures.portal_key_secret(MASTER, school_id, key_id)
    return jwt.encode(claims_of(school_id, now, **changes), secret, algorithm=algorithm, headers={"kid": key_id})
