"""What carriers share when they call out: one bounded HTTP POST, and a call per text on threads that are joined.

It must never ask twice, follow a redirect, read without an end, or wait longer for an answer than READ_SECONDS_MAX.
"""

import json
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, LocationValueError

from recado.carriers.call_watch import Watch
from recado.carriers.speech import (
    CONNECT_SECONDS_MAX,
    NOT_STARTED_CODE,
    READ_SECONDS_MAX,
    Accepted,
    Account,
    Answer,
    Outgoing,
    Refused,
    RefusedBecause,
    Unknown,
)
from recado.rules.segments import count_segments

ANSWER_BYTES_MAX = 1024 * 1024
ID_LENGTH_MAX = 128
CONNECTIONS = 20  # kept alive per host, and texts spoken at once
NOT_STARTED = Refused(RefusedBecause.FOR_NOW, NOT_STARTED_CODE)


@dataclass(frozen=True, slots=True)
class Heard:
    """A status with its body; the body is empty when it was too large, and where `trouble` says why it broke off."""

    status: int
    body: bytes
    trouble: str = ""

    def as_json(self) -> Any:
        """The body as JSON; None for what is none, and where a name stands twice: which of the two was meant?"""
        try:
            return json.loads(self.body, object_pairs_hook=_object)
        except (ValueError, RecursionError):
            return None


def each(texts: Sequence[Outgoing], may_start: Callable[[], bool], call: Callable[[Outgoing], Answer]) -> list[Answer]:
    """One call per text, at once; answers one for one, in order. Every thread is joined before it returns."""

    def speak(text: Outgoing) -> Answer:
        if not may_start():
            return NOT_STARTED
        try:
            return call(text)
        except Exception as error:  # noqa: BLE001  # one text's defect must not lose the answers of the others
            return Unknown(type(error).__name__)

    with ThreadPoolExecutor(max_workers=max(1, min(CONNECTIONS, len(texts)))) as threads:
        return list(threads.map(speak, texts))


def post(url: str, body: bytes, headers: Mapping[str, str]) -> Heard | Refused | Unknown:
    """What was answered; Refused when not a byte was taken; Unknown when it may have been."""
    if not url.lower().startswith(("https://", "http://")):  # urllib3 would read a bare name as one of http
        return Refused(RefusedBecause.ROUTE, "not_an_address")
    timeout = urllib3.Timeout(connect=CONNECT_SECONDS_MAX, read=READ_SECONDS_MAX)
    try:
        response = _POOL.request(
            "POST", url, body=body, headers=headers, timeout=timeout, redirect=False, preload_content=False
        )
    except LocationValueError:
        return Refused(RefusedBecause.ROUTE, "not_an_address")
    except _NotConnected as error:
        return error.refused
    except HTTPError as error:  # read timeout, connection closed half-way: it may have been taken
        return Unknown(type(error).__name__)
    return _read(response)


def refused_or_unknown(status: int) -> Refused | Unknown:
    """What a status other than success means where the carrier's own table has no better word."""
    if status == 429:  # Too Many Requests
        return Refused(RefusedBecause.FOR_NOW, "429")
    # It may have taken it: before it failed, before it pointed to where the outcome stands (303), or it has yet to say.
    if status in (303, 408) or status < 300 or status >= 500:
        return Unknown(str(status))
    return Refused(RefusedBecause.ROUTE, str(status))  # it refuses us, not a recipient


def taken(carrier_id: Any, otherwise: str) -> Accepted | Unknown:
    """Accepted under the carrier's id; Unknown, with `otherwise`, for what is none: it becomes the key of a row."""
    is_id = isinstance(carrier_id, str) and 0 < len(carrier_id) <= ID_LENGTH_MAX and carrier_id.isascii()
    return Accepted(carrier_id) if is_id else Unknown(otherwise)


def price_max(text: str, account: Account) -> Decimal | None:
    """What this text may cost at most, in USD with four decimals: the setting is for one part. None: no limit."""
    if account.part_price_max is None:
        return None
    return (account.part_price_max * count_segments(text)).quantize(Decimal("0.0001"), ROUND_HALF_UP)


class _NotConnected(HTTPError):
    """Whatever went wrong before the connection stood, TLS's first words included: not a byte of a text was said."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.code)
        self.refused = refused


class _Watched:
    """A connection whose whole answer is watched, from when the request is out until `_read` has its body."""

    sock: socket.socket
    close: Callable[[], None]

    def connect(self) -> None:
        try:
            super().connect()  # type: ignore[misc]  # the connection's own
        except LocationValueError:
            raise
        except ssl.SSLCertVerificationError as error:
            raise _NotConnected(Refused(RefusedBecause.ROUTE, "certificate")) from error
        except (OSError, HTTPError) as error:
            raise _NotConnected(Refused(RefusedBecause.FOR_NOW, "not_connected")) from error

    def getresponse(self) -> urllib3.HTTPResponse:
        watch = Watch(self.sock, READ_SECONDS_MAX)
        try:
            response: urllib3.HTTPResponse = super().getresponse()  # type: ignore[misc]  # the connection's own
        except BaseException:
            watch.end()
            raise
        response.watch = watch  # type: ignore[attr-defined]  # ours
        if response.status < 200:  # the answer proper is yet to come: whoever had the connection next would take it
            self.close()
        return response


class _Http(urllib3.HTTPConnectionPool):
    ConnectionCls = type("_WatchedHttp", (_Watched, HTTPConnection), {})


class _Https(urllib3.HTTPSConnectionPool):
    ConnectionCls = type("_WatchedHttps", (_Watched, HTTPSConnection), {})


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _new_pool() -> urllib3.PoolManager:
    pool = urllib3.PoolManager(maxsize=CONNECTIONS, retries=False)  # asking again is a decision, and not this file's
    pool.pool_classes_by_scheme = {"http": _Http, "https": _Https}
    return pool


_POOL = _new_pool()  # made before any thread asks for it; its connections are kept alive between calls


def _read(response: urllib3.BaseHTTPResponse) -> Heard:
    watch: Watch = response.watch  # type: ignore[attr-defined]  # set when it was opened
    try:
        body = response.read(ANSWER_BYTES_MAX + 1)
    except HTTPError as error:
        response.close()
        return Heard(response.status, b"", "too_slow" if watch.is_over else type(error).__name__)
    finally:
        watch.end()
    if len(body) > ANSWER_BYTES_MAX:
        response.close()
        return Heard(response.status, b"", "too_large")
    if watch.is_over:  # in the last moment: all was read, and the connection is shut
        response.close()
    else:
        response.release_conn()
    return Heard(response.status, body)
