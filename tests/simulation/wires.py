"""Between recado and AWS: every attempt at a call passes a gate that may pause it, lose it, lose its answer, or kill.

Two AWS: moto behind botocore's own retries, and the one in memory, which retries as botocore does and never sleeps.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import unquote

import pytest
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NotConnected
from botocore.retries.quota import RetryQuota
from moto import mock_aws
from moto.backends import get_backend
from moto.dynamodb.models.dynamo_type import DynamoType

from recado import access, aws, queues, sockets
from recado.tables import base
from tests import conftest
from tests.simulation.memory_dynamodb import Item, Key, MemoryDynamoDB

DYNAMODB_ATTEMPTS = 1 + base.RETRIES_MAX  # PynamoDB's clients, timeouts included
SQS_ATTEMPTS = 3  # recado.aws: total_max_attempts
SQS = "SendMessageBatch"
POST = "PostToConnection"  # recado.aws: one attempt


class Gate(Protocol):
    """Told of every attempt, before it is sent and after it was applied. It raises what the caller is to see."""

    def before(self, operation: str, asked: Mapping[str, Any]) -> None: ...

    def after(self, operation: str, asked: Mapping[str, Any]) -> None: ...


class Aws(Protocol):
    """The rows as they are, read past the wire: for checking only."""

    gate: Gate | None

    def row(self, table: str, key: Key) -> Item | None: ...

    def rows(self, table: str) -> Mapping[Key, Item]: ...

    def clear(self) -> None: ...


class MemoryAws:
    """Stands where PynamoDB's and recado's botocore clients stand."""

    def __init__(self) -> None:
        self.gate: Gate | None = None
        self.dynamodb = MemoryDynamoDB(_indexes())
        self.row, self.rows, self.clear = self.dynamodb.row, self.dynamodb.rows, self.dynamodb.clear
        self._request_signer = None  # PynamoDB asks for it

    def _make_api_call(self, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        return self._attempt(operation, asked, DYNAMODB_ATTEMPTS)

    def send_message_batch(self, **asked: Any) -> dict[str, Any]:
        return self._attempt(SQS, asked, SQS_ATTEMPTS)

    def post_to_connection(self, **asked: Any) -> dict[str, Any]:
        return self._attempt(POST, asked, 1)

    def _attempt(self, operation: str, asked: dict[str, Any], attempts: int) -> dict[str, Any]:
        while True:
            attempts -= 1
            try:
                return self._pass(operation, asked)
            except (HTTPClientError, NotConnected):
                if not attempts:
                    raise

    def _pass(self, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        if self.gate is not None:
            self.gate.before(operation, asked)
        answer, refusal = dict[str, Any](), None
        try:
            answer = {} if operation in (SQS, POST) else self.dynamodb.apply(operation, asked)
        except ClientError as error:  # an answer like another: it may be lost on its way
            refusal = error
        if self.gate is not None:
            self.gate.after(operation, asked)
        if refusal is not None:
            raise refusal
        return answer


class MotoAws:
    """botocore's clients with the gate as their first and last `before-send` handler; moto answers in between."""

    def __init__(self) -> None:
        self.gate: Gate | None = None
        self._events = [
            client.meta.events for client in (base.shared_connection().client, aws.client("sqs"), aws.sockets_client())
        ]
        for events in self._events:
            events.register_first("before-send", self._before)
            events.register_last("before-send", self._after)

    def let_go(self) -> None:
        """The clients outlive it."""
        for events in self._events:
            events.unregister("before-send", self._before)
            events.unregister("before-send", self._after)

    def row(self, table: str, key: Key) -> Item | None:
        found = self._table(table).get_item(*(DynamoType({"S": part}) for part in key))
        return found.to_json()["Attributes"] if found is not None and found.attrs else None

    def rows(self, table: str) -> dict[Key, Item]:
        items = [item.to_json()["Attributes"] for item in self._table(table).all_items()]
        return {(item["pk"]["S"], item["sk"]["S"]): item for item in items}

    def clear(self) -> None:
        for name in _indexes():
            self._table(name).items.clear()
        for queue in get_backend("sqs")[conftest.SUBSTITUTES["${AWS::AccountId}"]]["us-east-1"].queues.values():
            queue._messages.clear()

    def _table(self, name: str) -> Any:
        return get_backend("dynamodb")[conftest.SUBSTITUTES["${AWS::AccountId}"]]["us-east-1"].tables[name]

    def _before(self, request: Any, **_: Any) -> None:
        if self.gate is not None:
            self.gate.before(*_read(request))

    def _after(self, request: Any, **_: Any) -> None:
        if self.gate is not None:
            self.gate.after(*_read(request))


@contextmanager
def memory_aws() -> Iterator[MemoryAws]:
    with pytest.MonkeyPatch.context() as patch:
        _forget_clients()
        found = MemoryAws()
        patch.setattr(base.shared_connection(), "_client", found)
        patch.setattr(queues, "client", lambda _: found)
        patch.setattr(sockets, "sockets_client", lambda: found)
        yield found
    _forget_clients()


@contextmanager
def moto_aws() -> Iterator[MotoAws]:
    with mock_aws(), pytest.MonkeyPatch.context() as patch:
        # What the SDK allows itself of retries is a client's, and the clients outlive a day.
        patch.setattr(RetryQuota, "acquire", lambda *_: True)
        access.forget()
        conftest.create_resources()
        found = MotoAws()
        yield found
        found.let_go()
    access.forget()


def _forget_clients() -> None:
    """Each model asks for the shared client again."""
    for model in conftest.all_rows(base.Row):
        model._connection = None


def _read(request: Any) -> tuple[str, dict[str, Any]]:
    if "@connections" in request.url:
        return POST, {"ConnectionId": unquote(request.url.rpartition("/")[2]), "Data": request.body}
    target = request.headers["X-Amz-Target"]
    operation = (target.decode() if isinstance(target, bytes) else target).rsplit(".", 1)[1]
    asked: dict[str, Any] = json.loads(request.body)
    asked.pop("ClientRequestToken", None)  # moto ignores it; so the memory has none, and entries must do without
    return operation, asked


def _indexes() -> dict[str, dict[str, Key]]:
    """Each table's indexes, as template.yaml has them."""
    return {
        name: {
            one["IndexName"]: (one["KeySchema"][0]["AttributeName"], one["KeySchema"][1]["AttributeName"])
            for one in properties.get("GlobalSecondaryIndexes", ())
        }
        for name, properties in conftest.resources("AWS::DynamoDB::Table").items()
    }
