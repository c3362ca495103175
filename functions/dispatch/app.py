"""Page jobs from the queues: each one is worked, or comes back. It decides nothing."""

import random
from datetime import timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from recado import clock, dispatch, ids, lines, log


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    failed = [record["messageId"] for record in event["Records"] if not _is_worked(record["body"], context)]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _is_worked(body: str, context: LambdaContext) -> bool:
    try:
        job = dispatch.read_job(body)
        worker = dispatch.Worker(
            owner=ids.new_id(),
            clock=clock.now,
            time_left=lambda: timedelta(milliseconds=context.get_remaining_time_in_millis()),
            jitter=random.random,
            lines=lines.lines_for(job.ref, job.number, clock.now),
        )
        dispatch.work_page(job, worker)
    except Exception as error:  # noqa: BLE001  # reported to SQS by its id: it comes again, in the end to the DLQ
        log.trouble("page_job_failed", error)
        return False
    return True
