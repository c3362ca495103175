"""Faults between us and DynamoDB: a request that never arrives, one that is applied and whose answer is lost, and one
before which somebody else is quicker."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import pytest
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

from recado.tables.base import shared_connection

type Fault = Literal["lost", "applied"]


@contextmanager
def faults(operation: str, *kinds: Fault | None) -> Iterator[list[str]]:
    """The n-th attempt at this operation meets the n-th fault, the SDK's own second tries included; later ones none.

    Gives the list of attempts as they happen. moto is one handler of `before-send` among others: who raises before it
    loses the request, who raises after it loses the answer.
    """
    left, attempts = list(kinds), list[str]()
    fault: list[Fault | None] = [None]

    def before(request: Any, **_: Any) -> None:
        name = request.headers.get("X-Amz-Target", b"")
        name = (name.decode() if isinstance(name, bytes) else name).rpartition(".")[2]
        fault[0] = left.pop(0) if name == operation and left else None
        if name == operation:
            attempts.append(fault[0] or "arrived")
        if fault[0] == "lost":
            raise ConnectTimeoutError(endpoint_url=request.url)

    def after(request: Any, **_: Any) -> None:
        if fault[0] == "applied":
            raise ReadTimeoutError(endpoint_url=request.url)

    events = shared_connection().client.meta.events
    events.register_first("before-send", before)
    events.register_last("before-send", after)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(time, "sleep", lambda _: None)  # the SDK's pauses between attempts
            yield attempts
    finally:
        events.unregister("before-send", before)
        events.unregister("before-send", after)


@contextmanager
def meanwhile(operation: str, act: Callable[[], object]) -> Iterator[None]:
    """Just before the first request of this operation arrives, somebody else does something, all of it."""
    left = [act]

    def before(request: Any, **_: Any) -> None:
        name = request.headers.get("X-Amz-Target", b"")
        name = (name.decode() if isinstance(name, bytes) else name).rpartition(".")[2]
        if name == operation and left:
            left.pop()()

    events = shared_connection().client.meta.events
    events.register_first("before-send", before)
    try:
        yield
    finally:
        events.unregister("before-send", before)
