"""Jobs about schools' portals: what happened is brought to them. It decides nothing."""

import json
import random
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from recado import clock, ids, log, portal_events, recipient_events

type Job = Mapping[str, Any]


def tell(job: Job, context: LambdaContext) -> None:
    worker = portal_events.Worker(
        owner=ids.new_id(),
        clock=clock.now,
        time_left=lambda: timedelta(milliseconds=context.get_remaining_time_in_millis()),
        jitter=random.random,
    )
    portal_events.work(job["school"], worker)


def tell_recipients(job: Job, _: LambdaContext) -> None:
    recipient_events.tell(recipient_events.read_job(job), clock.now())


# By the job's `kind`.
WORK: Mapping[str, Callable[[Job, LambdaContext], None]] = {"events": tell, "recipients": tell_recipients}


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    failed = [record["messageId"] for record in event["Records"] if not _is_worked(record["body"], context)]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _is_worked(body: str, context: LambdaContext) -> bool:
    try:
        job = json.loads(body)
        WORK[job["kind"]](job, context)
    except Exception as error:  # noqa: BLE001  # reported to SQS by its id: it comes again, in the end to the DLQ
        log.trouble("portal_job_failed", error)
        return False
    return True
