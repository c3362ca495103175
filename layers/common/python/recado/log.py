"""One JSON line per outcome, with ids and counts. It must never carry a text, a number, a token or an event."""

from aws_lambda_powertools import Logger

_logger = Logger(service="recado", log_uncaught_exceptions=False)


def outcome(name: str, **facts: str | int | float | bool | None) -> None:
    """Says that something ended well: `name` in snake_case, `facts` are ids and counts."""
    _logger.info(name, extra={"facts": facts})


def trouble(name: str, error: BaseException | None = None, **facts: str | int | float | bool | None) -> None:
    """Says that something went wrong. Of an error only its class is logged: its words may hold personal data."""
    _logger.error(name, extra={"facts": {**facts, "error": type(error).__name__ if error else None}})
