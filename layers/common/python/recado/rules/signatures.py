"""Every secret, token and id that is derived from the master secret instead of being stored.

Must never let two uses share bytes: each has its own label, and no part may contain the separator.
Must never compare a token in a way that tells how much of it was right.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Literal

SEPARATOR = "|"
ID_LENGTH = 26  # a letter that tells the kind, and 25 base32 characters: 125 bits

TOKEN = re.compile(r"s([0-9]{1,9})\.[A-Za-z0-9_-]{43}")


def derive(master: bytes, label: str, *parts: str) -> bytes:
    """HMAC-SHA256 (RFC 2104) of `label|part|part`: 32 bytes. ValueError for an ambiguous part or an empty master."""
    if not master:
        raise ValueError("the master secret is empty")
    if any(SEPARATOR in word for word in (label, *parts)):
        raise ValueError("a label or part contains the separator")
    return hmac.digest(master, SEPARATOR.join((label, *parts)).encode(), "sha256")


def portal_key_secret(master: bytes, school_id: str, kid: str) -> str:
    """The secret a school signs its portal tokens with (HS256): 43 characters of base64url."""
    return _base64url(derive(master, "portal-key", school_id, kid))


def session_token(master: bytes, session_id: str, master_version: int) -> str:
    """What opens one session (C2: there is no account): `s<version>.<base64url>`."""
    return f"s{master_version}.{_base64url(derive(master, 'session', session_id))}"


def read_token_version(token: str) -> int | None:
    """Which master signed this token; None when it has not the form of a session's token."""
    found = TOKEN.fullmatch(token)
    return int(found[1]) if found else None


def is_session_token(masters: Mapping[int, bytes], session_id: str, token: str) -> bool:
    """True when the token is this session's under a master that is still live. Any two strings may be asked."""
    version = read_token_version(token)
    if version is None or version not in masters:
        return False
    try:
        expected = session_token(masters[version], session_id, version)
    except ValueError:  # an id from a URL may be anything; one that cannot be derived was never given out
        return False
    return hmac.compare_digest(expected.encode(), token.encode())


def message_id(master: bytes, school_id: str, key: str) -> str:
    """The id of the message a school asks for under this Idempotency-Key: the same key gives the same id, always."""
    return _id("m", derive(master, "message", school_id, _fingerprint(key)))


def session_id(master: bytes, key: str) -> str:
    """The id of the session an anonymous Idempotency-Key opens."""
    return _id("s", derive(master, "session-id", _fingerprint(key)))


def source_token(master: bytes, source: str) -> str:
    """What stands for an anonymous caller's connection wherever something is counted for it: it cannot be read back."""
    return _base64url(derive(master, "session-source", source))


def text_token(master: bytes, text: str) -> str:
    """What stands for a text whose repetitions are counted."""
    return _base64url(derive(master, "session-text", _fingerprint(text)))


def holder_token(master: bytes, source: str, number: str) -> str:
    """What stands for a source's sessions with one handset."""
    return _base64url(derive(master, "session-holder", source, number))


def webhook_secret(master: bytes, carrier: str, direction: Literal["to_carrier", "from_carrier"]) -> str:
    """The secret of one direction of a carrier's webhooks (Standard Webhooks: `whsec_`, base64 of 24 to 64 bytes)."""
    return "whsec_" + base64.b64encode(derive(master, "carrier-webhook", carrier, direction)).decode()


def portal_webhook_secret(master: bytes, school_id: str, number: int) -> str:
    """The n-th secret that a school's webhook is signed with (Standard Webhooks: `whsec_`, base64 of 32 bytes)."""
    return "whsec_" + base64.b64encode(derive(master, "portal-webhook", school_id, str(number))).decode()


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _id(kind: str, value: bytes) -> str:
    return kind + base64.b32encode(value).decode().lower()[: ID_LENGTH - 1]


def _fingerprint(key: str) -> str:
    # A key is the caller's own text: its hash may hold a separator's worth of anything and still be one part.
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
