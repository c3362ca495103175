"""Queued receipts, gathered by page and added to their sets."""

import json
from typing import Any

from recado import inbound


def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    records = event["Records"]
    again = inbound.add_receipts([json.loads(record["body"]) for record in records])
    # Not back at once: the queue shows them again after its visibility timeout, and gives up after its receive count.
    return {"batchItemFailures": [{"itemIdentifier": records[position]["messageId"]} for position in again]}
