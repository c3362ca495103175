"""Each minute: the next step of whatever is owed."""

from datetime import timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from recado import attention, clock, imports, portal_events, school_replies


def handler(_: dict[str, Any], context: LambdaContext) -> None:
    def time_left() -> timedelta:
        return timedelta(milliseconds=context.get_remaining_time_in_millis())

    attention.run(clock.now, time_left)
    imports.take_up(clock.now())
    portal_events.take_up_due(clock.now())
    school_replies.take_up(clock.now, time_left)
