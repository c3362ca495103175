"""Clients of the emulator. Its credentials are invented, so that nothing here can ever reach an AWS account."""

from typing import Any

import boto3
from botocore.config import Config

from local.emulator import REGION

_CONFIG = Config(
    connect_timeout=2,
    read_timeout=60,
    retries={"total_max_attempts": 2, "mode": "standard"},
    max_pool_connections=16,
    s3={"addressing_style": "path"},
)


class Aws:
    """One session for one emulator; clients are made when first asked for. Making one reads a large model: keep it."""

    def __init__(self, endpoint_url: str) -> None:
        self.endpoint_url = endpoint_url
        self.session = boto3.Session(
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106  # the emulator takes any
            region_name=REGION,
        )
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self.session.client(service, endpoint_url=self.endpoint_url, config=_CONFIG)
        return self._clients[service]
