"""Clients of AWS, made once per process and only when first used."""

from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from recado.settings import SETTINGS

# Writes here are idempotent (a job twice is one page worked once), so the SDK may retry; carriers have their own.
_CONFIG = Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 3, "mode": "standard"})
# Addresses signed for others: with the current signature, and in the bucket's own region instead of a redirect to it.
# In us-east-1, too: the pages' policy names one origin (UploadsUrl in template.yaml), and that of old is another.
_S3_CONFIG = _CONFIG.merge(
    Config(signature_version="s3v4", s3={"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"})
)

# A frame is worth one short attempt: what it says is there to be read.
_SOCKETS_CONFIG = Config(
    connect_timeout=0.3, read_timeout=0.7, retries={"total_max_attempts": 1}, max_pool_connections=16
)


@cache
def client(service: str) -> Any:
    """A boto3 client, e.g. `client("sqs")`."""
    return boto3.client(service, config=_S3_CONFIG if service == "s3" else _CONFIG)


@cache
def sockets_client() -> Any:
    """The boto3 client that posts frames to open sockets."""
    endpoint_url = SETTINGS.live_endpoint_url
    return boto3.client("apigatewaymanagementapi", endpoint_url=endpoint_url, config=_SOCKETS_CONFIG)
