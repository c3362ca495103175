"""A carrier's endpoint as recado speaks to it: signed waves, as patient as recado is, each answer as it can be read.

Standard library and `standardwebhooks` only: the conformance script's hands.
"""

import http.client
import itertools
import json
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from standardwebhooks import Webhook

ANSWER_SECONDS_MAX = 10.0
ANSWER_BYTES_MAX = 1024 * 1024
BUSY_SECONDS = 5.0  # recado comes again "after 5 s or more"
BUSY_MAX = 6  # times in a whole run that one who is busy is waited for


@dataclass(frozen=True, slots=True)
class Got:
    """What was answered. `document` is None for what is no JSON object, `status` 0 where nothing was answered.

    `trouble` says why there is no answer, or why nothing can be read from it.
    """

    status: int
    document: dict[str, Any] | None
    seconds: float
    trouble: str = ""

    @property
    def items(self) -> list[dict[str, Any]]:
        found = (self.document or {}).get("messages")
        return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []

    def by_reference(self) -> dict[str, dict[str, Any]]:
        """The first item of each reference."""
        found: dict[str, dict[str, Any]] = {}
        for item in self.items:
            found.setdefault(str(item.get("reference")), item)
        return found

    def words(self) -> str:
        if not self.status:
            return self.trouble
        said = f"answered {self.status}"
        if self.status == 429:
            return f"{said}, however often it was asked again"
        if 300 <= self.status < 400:
            return f"{said}, and recado follows no redirect"
        return f"{said}, and {self.trouble}" if self.trouble and self.status < 300 else said


@dataclass
class Endpoint:
    url: str
    secret: str
    to: str
    run: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    texts: int = 0  # that were made for the handset
    accepted: set[str] = field(default_factory=set)  # the references that it said it took
    waits_left: int = BUSY_MAX
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def message(self, **changes: Any) -> dict[str, Any]:
        number = next(self._numbers)
        found: dict[str, Any] = {
            "reference": f"conformance.{self.run}.{number}",
            "to": self.to,
            "from": "20600",
            "text": f"Prueba {number}: mañana no hay clases.",
            "validity_seconds": 600,
        }
        found |= changes
        self.texts += found["to"] == self.to
        return found

    def send(self, messages: Sequence[dict[str, Any]], **more: Any) -> Got:
        """A wave; the same again, as recado would, where the answer is "not now", until the run's waits are used up."""
        body = wave(messages, **more)
        got = self.post(body.encode(), self.signed(body))
        while _is_busy(got) and self.waits_left > 0:
            self.waits_left -= 1
            time.sleep(BUSY_SECONDS)
            got = self.post(body.encode(), self.signed(body))
        return got

    def signed(self, body: str, *, secret: str = "", ago: timedelta = timedelta()) -> dict[str, str]:
        webhook_id, at = f"conformance_{uuid.uuid4().hex}", datetime.now(UTC) - ago
        return {
            "Content-Type": "application/json",
            "webhook-id": webhook_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": Webhook(secret or self.secret).sign(webhook_id, at, body),
        }

    def post(self, body: bytes, headers: dict[str, str]) -> Got:
        connection = self.connection()
        try:
            return self.post_over(connection, body, headers)
        finally:
            connection.close()

    def connection(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        return kind(parts.hostname or "", parts.port, timeout=ANSWER_SECONDS_MAX)

    def post_over(self, connection: http.client.HTTPConnection, body: bytes, headers: dict[str, str]) -> Got:
        parts = urlsplit(self.url)
        watch = threading.Timer(ANSWER_SECONDS_MAX, lambda: _shut(connection))  # a timeout begins anew with every byte
        began = time.monotonic()
        watch.start()
        try:
            connection.request("POST", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), body, headers)
            response = connection.getresponse()
            data = response.read(ANSWER_BYTES_MAX + 1)
        except (OSError, http.client.HTTPException) as error:
            took = time.monotonic() - began
            is_late = took >= ANSWER_SECONDS_MAX
            return Got(0, None, took, _late() if is_late else f"gave no whole answer ({type(error).__name__})")
        finally:
            watch.cancel()
            watch.join()
        took = time.monotonic() - began
        if took >= ANSWER_SECONDS_MAX:  # cut off while it was read: what came is no answer
            return Got(0, None, took, _late())
        coding = response.getheader("Content-Encoding", "identity")
        if coding != "identity":
            return Got(response.status, None, took, f"its body is compressed ({coding[:20]!r}), which nobody asked for")
        got = _read(response.status, data, took)
        if got.status == 200:
            taken = (item.get("reference") for item in got.items if item.get("status") == "accepted")
            self.accepted.update(reference for reference in taken if isinstance(reference, str))
        return got


def wave(messages: Sequence[dict[str, Any]], **more: Any) -> str:
    return json.dumps({"type": "messages.send", "messages": list(messages)} | more, ensure_ascii=False)


def shown(value: object) -> str:
    return repr(value)[:60]


def _is_busy(got: Got) -> bool:
    """Nothing of it was taken: all of the wave, or a text of it, is to come again later."""
    return got.status == 429 or any(item.get("reason") == "try_later" for item in got.items)


def _late() -> str:
    return f"gave no answer within {ANSWER_SECONDS_MAX:g} s"


def _read(status: int, data: bytes, took: float) -> Got:
    if len(data) > ANSWER_BYTES_MAX:
        return Got(status, None, took, "its body is larger than 1 MiB")
    try:
        found = json.loads(data, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        said = "an object in its body has a name twice" if "twice" in str(error) else "its body is no JSON in UTF-8"
        return Got(status, None, took, said)
    if not isinstance(found, dict) or not isinstance(found.get("messages"), list):
        return Got(status, None, took, "its body is no object with `messages`, a list")
    return Got(status, found, took)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("twice")
    return found


def _shut(connection: http.client.HTTPConnection) -> None:
    try:
        if connection.sock is not None:
            socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)
    except OSError:
        return  # closed already
