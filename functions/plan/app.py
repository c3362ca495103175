"""Jobs of the plans queue: large audiences are planned, many page jobs are put. It decides nothing."""

from datetime import timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from recado import clock, ids, log, plan_work


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    failed = [record["messageId"] for record in event["Records"] if not _is_worked(record["body"], context)]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _is_worked(body: str, context: LambdaContext) -> bool:
    worker = plan_work.Worker(
        owner=ids.new_id(),
        clock=clock.now,
        time_left=lambda: timedelta(milliseconds=context.get_remaining_time_in_millis()),
    )
    try:
        plan_work.work(plan_work.read_job(body), worker)
    except Exception as error:  # noqa: BLE001  # reported to SQS by its id: it comes again, in the end to the DLQ
        log.trouble("plan_job_failed", error)
        return False
    return True
