"""Queued receipts, gathered by page and added to their sets; and what simulated handsets of sandboxes answer."""

import json
from datetime import timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from recado import clock, lines, log, receipts


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    records = event["Records"]
    jobs = [_read(record["body"]) for record in records]
    gathered = receipts.add_receipts(jobs, lambda: timedelta(milliseconds=context.get_remaining_time_in_millis()))
    again = set(gathered.again)
    again |= {position for position, job in enumerate(jobs) if not _are_replies_taken(job)}
    # Not back at once: the queue shows them again after its visibility timeout, and gives up after its receive count.
    return {"batchItemFailures": [{"itemIdentifier": records[position]["messageId"]} for position in sorted(again)]}


def _read(body: str) -> dict[str, Any]:
    """What is no JSON is an empty job: it comes again alone, until the queue gives it up."""
    try:
        job: dict[str, Any] = json.loads(body)
    except ValueError:
        return {}
    return job


def _are_replies_taken(job: dict[str, Any]) -> bool:
    try:
        lines.take_replies(job, clock.now())
    except Exception as error:  # noqa: BLE001  # a sandbox must not hold up the receipts of schools: it comes alone again
        log.trouble("sandbox_reply_failed", error)
        return False
    return True
