"""Each minute: the jobs of what sessions are due for; and each of those jobs. It decides nothing."""

from datetime import timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from recado import clock, log, session_sweep


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any] | None:
    if "Records" not in event:
        session_sweep.run(clock.now)
        return None
    failed = [record["messageId"] for record in event["Records"] if not _is_worked(record["body"], context)]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _is_worked(body: str, context: LambdaContext) -> bool:
    try:
        shard = session_sweep.read_job(body)
        session_sweep.work(shard, clock.now, lambda: timedelta(milliseconds=context.get_remaining_time_in_millis()))
    except Exception as error:  # noqa: BLE001  # reported to SQS by its id; the next look is another job
        log.trouble("sweep_job_failed", error)
        return False
    return True
