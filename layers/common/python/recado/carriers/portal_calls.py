"""One signed POST to a school's portal: an address that somebody else chose, so everything about it is bounded.

It must never connect to what is not on the public internet: the name is looked up once, every address it has is asked
about, and the connection goes to one of those. It must never follow a redirect, use a proxy, or keep an answer's body.
"""

import http.client
import queue
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from standardwebhooks import Webhook
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, InvalidHeader

from recado.carriers.call_watch import Watch
from recado.rules.public_addresses import BadAddress, WebAddress, is_loopback, is_public, read_web_address
from recado.rules.webhook_retries import read_retry_after, reason_of

CALL_SECONDS_MAX = 15.0  # of everything: the name, the connection, TLS, the request, the answer
LOOKUP_SECONDS_MAX = 4.0
CONNECT_SECONDS_MAX = 4.0  # to one address
ADDRESSES_MAX = 3  # tried one after the other, as long as none has taken a byte
ANSWER_BYTES_MAX = 64 * 1024
USER_AGENT = "recado-webhooks/1"


@dataclass(frozen=True, slots=True)
class Call:
    """What is posted where. `secrets`: all that hold now; each signs."""

    url: str
    delivery_id: str
    body: str
    secrets: Sequence[str]
    at: datetime
    loopback: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """`status` of the answer; without one, `reason` says why. Sizes in bytes, of an answer's body as far as read."""

    status: int | None
    reason: str = ""
    took_ms: int = 0
    size: int = 0
    retry_after: timedelta | None = None

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class _NotReached(Exception):  # a signal between two steps here
    """Nothing was said to anybody; `args[0]` is the reason."""


def post(call: Call) -> Heard:
    """What the portal answered. It takes CALL_SECONDS_MAX at the longest, and never raises for what a portal does."""
    began = time.monotonic()
    try:
        address = read_web_address(call.url, loopback=call.loopback)
        connection = _connection(address, call.loopback, began + CALL_SECONDS_MAX)
    except BadAddress as error:
        return Heard(None, f"address_{error.code}")
    try:
        heard = _ask(connection, address, call)
    except _NotReached as error:
        heard = Heard(None, str(error.args[0]))
    except (OSError, http.client.HTTPException, HTTPError, ValueError) as error:
        heard = Heard(None, _reason(error, is_over=connection.is_over))
    finally:
        connection.let_go()
    took_ms = round((time.monotonic() - began) * 1000)
    return Heard(heard.status, heard.reason, took_ms, heard.size, heard.retry_after)


def _ask(connection: Any, address: WebAddress, call: Call) -> Heard:
    connection.request(
        "POST",
        address.target,
        body=call.body.encode(),
        headers=_headers(call),
        preload_content=False,
        decode_content=False,
    )
    response = connection.getresponse()
    if connection.is_over:  # cut off in its headers, which reads like their end
        raise _NotReached("timeout")
    retry_after = read_retry_after(response.headers.get("Retry-After"), call.at)
    reason = "" if 200 <= response.status < 300 else reason_of(response.status)
    return Heard(response.status, reason, size=_size(response), retry_after=retry_after)


def _headers(call: Call) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "Connection": "close",
        "webhook-id": call.delivery_id,
        "webhook-timestamp": str(int(call.at.timestamp())),
        "webhook-signature": " ".join(Webhook(one).sign(call.delivery_id, call.at, call.body) for one in call.secrets),
    }


def _size(response: Any) -> int:
    """Reads a body as far as it may go, and forgets it: the status was all the portal had to say."""
    size = 0
    try:
        while size < ANSWER_BYTES_MAX and (piece := response.read(min(8192, ANSWER_BYTES_MAX - size))):
            size += len(piece)
    except (OSError, ValueError, http.client.HTTPException, HTTPError):  # broken off, or no body: it has answered
        return size
    return size


class _Response(http.client.HTTPResponse):
    """An answer after whatever was said before it: 102 and 103 are skipped as 100 is (RFC 9110 §15.2)."""

    def _read_status(self) -> tuple[str, int, str]:
        version, status, reason = super()._read_status()  # type: ignore[misc]  # the library's own, which has no type
        is_before = status in (http.HTTPStatus.PROCESSING, http.HTTPStatus.EARLY_HINTS)
        return version, http.HTTPStatus.CONTINUE if is_before else status, reason


class _Bounded:
    """A connection to an address that was looked at, with one watch over all of it."""

    host: str
    port: int
    loopback: bool
    until: float  # of the monotonic clock
    watch: Watch | None = None
    raw: socket.socket | None = None

    @property
    def is_over(self) -> bool:
        return (self.watch is not None and self.watch.is_over) or time.monotonic() >= self.until

    def _new_conn(self) -> socket.socket:  # urllib3's place for it: before TLS, whose name stays the host's
        sock = _connect(self.host, self.port, self.until, loopback=self.loopback)
        # A second handle of the same connection: TLS takes the first one over before its first word.
        self.raw = sock.dup()
        self.watch = Watch(self.raw, max(0.0, self.until - time.monotonic()))
        return sock

    def let_go(self) -> None:
        if self.watch is not None:
            self.watch.end()
        if self.raw is not None:
            self.raw.close()
        self.close()

    def close(self) -> None:
        super().close()  # type: ignore[misc]  # the connection's own


class _Http(_Bounded, HTTPConnection):
    response_class = _Response


class _Https(_Bounded, HTTPSConnection):
    response_class = _Response


def _connection(address: WebAddress, loopback: bool, until: float) -> _Http | _Https:
    found: _Http | _Https
    if address.scheme == "https":
        found = _Https(address.host, address.port, timeout=CALL_SECONDS_MAX, ssl_context=_tls())
    else:
        found = _Http(address.host, address.port, timeout=CALL_SECONDS_MAX)
    found.loopback, found.until = loopback, until
    return found


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _connect(host: str, port: int, until: float, *, loopback: bool) -> socket.socket:
    # 1. Every address of the name, once: whoever answers otherwise a moment later is not asked again.
    addresses = _look_up(host, port, until)
    if not addresses:
        raise _NotReached("not_resolved")
    if not all(is_public(one) or (loopback and is_loopback(one)) for one in addresses):
        raise _NotReached("address_refused")

    # 2. One of these very addresses.
    for address in addresses[:ADDRESSES_MAX]:
        seconds = min(CONNECT_SECONDS_MAX, until - time.monotonic())
        if seconds <= 0:
            break
        try:
            sock = socket.create_connection((address, port), timeout=seconds)
        except OSError:
            continue
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(max(0.01, until - time.monotonic()))
        return sock
    raise _NotReached("not_connected")


def _look_up(host: str, port: int, until: float) -> list[str]:
    """The addresses of a name, in the resolver's order; none when it has none, or it took too long to say."""
    answers: queue.SimpleQueue[list[str]] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = resolve(host, port)
        except (OSError, UnicodeError):
            found = []
        answers.put(found)

    # The system's resolver cannot be interrupted: it is left behind, and ends by its own limits.
    threading.Thread(target=ask, daemon=True).start()
    try:
        return answers.get(timeout=max(0.0, min(LOOKUP_SECONDS_MAX, until - time.monotonic())))
    except queue.Empty:
        raise _NotReached("lookup_timeout") from None


def resolve(host: str, port: int) -> list[str]:
    """What the system's resolver says."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _reason(error: Exception, *, is_over: bool) -> str:
    if is_over or isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ssl.SSLCertVerificationError) or isinstance(error.__cause__, ssl.SSLCertVerificationError):
        return "certificate"
    if isinstance(error, ssl.SSLError):
        return "tls"
    if isinstance(error, http.client.HTTPException | InvalidHeader) and not isinstance(error, ConnectionError):
        return "not_http"
    return "hung_up"
