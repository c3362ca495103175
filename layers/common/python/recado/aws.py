"""Clients of AWS, made once per process and only when first used."""

from functools import cache
from typing import Any

import boto3
from botocore.config import Config

# Writes here are idempotent (a job twice is one page worked once), so the SDK may retry; carriers have their own.
_CONFIG = Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 3, "mode": "standard"})


@cache
def client(service: str) -> Any:
    """A boto3 client, e.g. `client("sqs")`."""
    return boto3.client(service, config=_CONFIG)
