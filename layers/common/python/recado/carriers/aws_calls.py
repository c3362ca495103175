"""How a carrier of AWS's is asked: once, for the SDK's own retries send twice, and what its errors mean.

Must never take a lost answer for a refusal: what may have been taken is Unknown.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)

from recado.carriers.outgoing_calls import CONNECTIONS, refused_or_unknown, taken
from recado.carriers.speech import (
    CONNECT_SECONDS_MAX,
    READ_SECONDS_MAX,
    Answer,
    Refused,
    RefusedBecause,
    Unknown,
)

# Raised before a byte of the request has left: certainly not taken.
NOT_CONNECTED = (ConnectTimeoutError, EndpointConnectionError)
# Likewise, and it is ours to mend.
NOT_SAID = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError, ParamValidationError)
# What every service of AWS's may say (botocore's `_retry.json`): it had no room for the request …
THROTTLED = frozenset(
    {
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttled",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
# … or it gave up waiting for the rest of it, with a 4xx although it is no refusal.
GAVE_UP = frozenset({"RequestTimeout", "RequestTimeoutException"})
CODE_LENGTH_MAX = 40


def asked_once() -> Config:
    """Of a client that never asks again. Make it before the threads: boto3 makes none safely on several at once."""
    return Config(
        retries={"total_max_attempts": 1, "mode": "standard"},
        connect_timeout=CONNECT_SECONDS_MAX,
        read_timeout=READ_SECONDS_MAX,
        max_pool_connections=CONNECTIONS,
    )


def ask(call: Callable[[], Mapping[str, Any]], refused: Callable[[Mapping[str, Any]], Answer]) -> Answer:
    """What one call comes to: by its `MessageId`, or by `refused` of AWS's error response."""
    try:
        answer = call()
    except NOT_CONNECTED as error:
        return Refused(RefusedBecause.FOR_NOW, type(error).__name__)
    except NOT_SAID as error:
        return Refused(RefusedBecause.ROUTE, type(error).__name__)
    except ClientError as error:
        return refused(error.response)
    except BotoCoreError as error:  # read timeout, connection closed: it may have been taken
        return Unknown(type(error).__name__)
    return taken(answer.get("MessageId"), "no_message_id")


def by_status(response: Mapping[str, Any], code: str) -> Refused | Unknown:
    """What an error means that has no row: by its HTTP status, for a 4xx was certainly not taken."""
    code = code[:CODE_LENGTH_MAX]
    if code in THROTTLED:
        return Refused(RefusedBecause.FOR_NOW, code)
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code in GAVE_UP or not isinstance(status, int):
        return Unknown(code)
    return replace(refused_or_unknown(status), code=code)
