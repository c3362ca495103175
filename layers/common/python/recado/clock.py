"""The one place that reads the time. Stories take `now` or a clock as an argument; only handlers call `now()`."""

from collections.abc import Callable
from datetime import UTC, datetime

type Clock = Callable[[], datetime]


def now() -> datetime:
    """The current moment, aware, in UTC."""
    return datetime.now(UTC)
