"""API Gateway's side of sockets: what each connection was told, and what a frame meets on its way.

It stands on the wire, behind botocore: attempts, time limits and errors are those of the real client.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

from recado import live
from recado.aws import sockets_client

type Frame = dict[str, Any]
type Meets = Literal["gone", "refused", "unreachable", "slow", "dead"]

STATUS = {"gone": (410, "GoneException"), "refused": (429, "LimitExceededException")}
PLACE = "/live/@connections/"


class Dead(BaseException):
    """Whoever posts dies here."""


class Pages:
    """`told` holds every frame by its connection; `meets` says what happens to a connection's frames."""

    def __init__(self) -> None:
        self.told: dict[str, list[Frame]] = defaultdict(list)
        self.meets: dict[str, Meets] = {}
        self.attempts: list[str] = []

    def kinds(self, connection: str) -> list[str]:
        return [frame["type"] for frame in self.told[connection]]

    def take(self, request: Any, **_: Any) -> AWSResponse:
        address = urlsplit(request.url)
        assert (address.scheme, address.path[: len(PLACE)]) == ("https", PLACE)
        connection = unquote(address.path.removeprefix(PLACE))
        self.attempts.append(connection)
        meets = self.meets.get(connection)
        match meets:
            case "unreachable":
                raise ConnectTimeoutError(endpoint_url=request.url)
            case "slow":
                raise ReadTimeoutError(endpoint_url=request.url)
            case "dead":
                raise Dead
            case "gone" | "refused":
                status, name = STATUS[meets]
                return _answer(request.url, status, {"x-amzn-ErrorType": name})
        self.told[connection].append(json.loads(request.body))
        return _answer(request.url, 200, {})


@contextmanager
def open_pages() -> Iterator[Pages]:
    """Takes every frame posted meanwhile."""
    live.forget()
    pages, events = Pages(), sockets_client().meta.events
    events.register_first("before-send", pages.take)
    try:
        yield pages
    finally:
        events.unregister("before-send", pages.take)
        live.forget()


class _Raw(BytesIO):
    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


def _answer(url: str, status: int, headers: dict[str, str]) -> AWSResponse:
    return AWSResponse(url, status, headers, _Raw(b"{}" if status >= 400 else b""))
