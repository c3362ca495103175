"""Each minute: what sessions are due for. It decides nothing."""

from datetime import timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from recado import clock, session_sweep


def handler(_: dict[str, Any], context: LambdaContext) -> None:
    session_sweep.run(clock.now, lambda: timedelta(milliseconds=context.get_remaining_time_in_millis()))
