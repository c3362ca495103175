"""A delivery of an event to a school's portal: its id, its body, what states it and its webhook have."""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

DELIVERY_ID = re.compile(r"w[0-9]{12}[a-z2-7]{13}")
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"


class WebhookState(StrEnum):
    ENABLED = "enabled"
    DISABLED = "disabled"
    DELETED = "deleted"  # its row stays, so that no secret and no number of it comes twice


class DisabledBecause(StrEnum):
    GONE = "gone"  # the portal answered 410
    FAILING = "failing"  # days of nothing but failures
    SECRET_GONE = "secret_gone"  # noqa: S105  # the master secret that its secrets hung from is no more: it needs a new one


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


def delivery_id(school_id: str, number: int) -> str:
    """The `webhook-id` of a school's event: the same at each attempt and each replay, and no other event's of any
    school. It hangs from no secret, so that it outlives them.
    """
    digest = hashlib.sha256(f"{school_id}|{number}".encode()).digest()
    return f"w{number:012}" + "".join(_BASE32[byte % 32] for byte in digest[:13])


def event_number(found: str) -> int:
    """The number of the event within an id of this form."""
    return int(found[1:13])


def body_of(school_id: str, number: int, event_type: str, at: datetime, data: Mapping[str, Any]) -> str:
    """What is posted: the same bytes at each attempt (Standard Webhooks: type, timestamp, data)."""
    document = {
        "type": event_type,
        "timestamp": at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "school": school_id,
        "number": number,
        "data": dict(data),
    }
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)
