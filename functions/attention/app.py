"""Each minute: the next step of whatever is owed."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from recado import attention, clock, imports, log, portal_events, school_replies


def handler(_: dict[str, Any], context: LambdaContext) -> None:
    def time_left() -> timedelta:
        return timedelta(milliseconds=context.get_remaining_time_in_millis())

    # One that fails keeps no other waiting; the whole fails when all were tried, so that it shows.
    failed: Exception | None = None
    steps: tuple[Callable[[], int], ...] = (
        lambda: attention.run(clock.now, time_left),
        lambda: imports.take_up(clock.now()),
        lambda: portal_events.take_up_due(clock.now()),
        lambda: school_replies.take_up(clock.now, time_left),
    )
    for step in steps:
        try:
            step()
        except Exception as error:  # noqa: BLE001  # raised below
            log.trouble("minute_step_failed", error)
            failed = error
    if failed is not None:
        raise failed
