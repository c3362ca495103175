"""Page jobs from the queues: each one is worked, or comes back. It decides nothing."""

import random
from datetime import timedelta
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from recado import carriers, clock, dispatch, ids, inbound, log
from recado.carriers.speech import Line
from recado.settings import SETTINGS


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    failed = [record["messageId"] for record in event["Records"] if not _is_worked(record["body"], context)]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _is_worked(body: str, context: LambdaContext) -> bool:
    worker = dispatch.Worker(
        owner=ids.new_id(),
        clock=clock.now,
        time_left=lambda: timedelta(milliseconds=context.get_remaining_time_in_millis()),
        jitter=random.random,
        line=_line(),
    )
    try:
        dispatch.work_page(dispatch.read_job(body), worker)
    except Exception as error:  # noqa: BLE001  # reported to SQS by its id: it comes again, in the end to the DLQ
        log.trouble("page_job_failed", error)
        return False
    return True


@cache
def _line() -> Line:
    return carriers.line(SETTINGS.carrier, inbound.account_of(SETTINGS.carrier), SETTINGS.carrier_dedupe_hours)
