"""Puts jobs on SQS queues. A job names rows by id; it never carries a text or a number."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from recado.aws import client

BATCH_MAX = 10  # SQS: entries per SendMessageBatch
BATCH_BYTES_MAX = 256 * 1024  # SQS takes 1 MiB in all, and not long ago this
DELAY_SECONDS_MAX = 900  # SQS: longest DelaySeconds


class QueueRefused(RuntimeError):
    """SQS did not take a job; the caller's own retry or the attention run puts it again."""


def put_jobs(
    queue_url: str, jobs: Iterable[dict[str, Any]], *, group: str, delay_seconds: int = 0, attempts_max: int = 3
) -> int:
    """Puts jobs in batches and returns how many; `group` (the school) makes the queue fair. Raises QueueRefused."""
    count = 0
    for batch in _batches(jobs):
        _put_batch(queue_url, batch, group, min(max(delay_seconds, 0), DELAY_SECONDS_MAX), attempts_max)
        count += len(batch)
    return count


def _batches(jobs: Iterable[dict[str, Any]]) -> Iterator[list[str]]:
    """As many at a time as SQS takes, by number and by bytes; one that is larger goes alone."""
    batch, size = list[str](), 0
    for job in jobs:
        body = json.dumps(job, separators=(",", ":"))  # ASCII: as many bytes as characters
        if batch and (len(batch) == BATCH_MAX or size + len(body) > BATCH_BYTES_MAX):
            yield batch
            batch, size = [], 0
        batch.append(body)
        size += len(body)
    if batch:
        yield batch


def _put_batch(queue_url: str, bodies: Sequence[str], group: str, delay_seconds: int, attempts_max: int) -> None:
    entries = [
        {
            "Id": str(position),
            "MessageBody": body,
            "DelaySeconds": delay_seconds,
            "MessageGroupId": group,
        }
        for position, body in enumerate(bodies)
    ]
    for _ in range(attempts_max):
        failed = {
            one["Id"] for one in client("sqs").send_message_batch(QueueUrl=queue_url, Entries=entries).get("Failed", [])
        }
        entries = [entry for entry in entries if entry["Id"] in failed]
        if not entries:
            return
    raise QueueRefused(f"{len(entries)} jobs not taken")
