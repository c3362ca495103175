"""Queued receipts, gathered by page and added to their sets; and what simulated handsets of sandboxes answer."""

import json
from typing import Any

from recado import clock, inbound, lines, log


def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    records = event["Records"]
    jobs = [json.loads(record["body"]) for record in records]
    again = set(inbound.add_receipts(jobs))
    again |= {position for position, job in enumerate(jobs) if not _are_replies_taken(job)}
    # Not back at once: the queue shows them again after its visibility timeout, and gives up after its receive count.
    return {"batchItemFailures": [{"itemIdentifier": records[position]["messageId"]} for position in sorted(again)]}


def _are_replies_taken(job: dict[str, Any]) -> bool:
    try:
        lines.take_replies(job, clock.now())
    except Exception as error:  # noqa: BLE001  # a sandbox must not hold up the receipts of schools: it comes alone again
        log.trouble("sandbox_reply_failed", error)
        return False
    return True
