"""A session's page at the terminal: reads the answer of `POST /sessions` and prints each frame its socket is told.

    curl -s http://127.0.0.1:4566/v1/sessions … | python -m local.live

Tests and the bench listen with it too. The token goes from the answer to the socket and is never printed.
"""

import json
import socket
import sys
import time
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    Request,
    TextMessage,
)

READ_BYTES = 65_536
CONNECT_SECONDS = 30  # the emulator starts a function at its first call
PING_SECONDS = 30

type Frame = dict[str, Any]


class HandshakeRefused(Exception):
    """No socket was opened; `status` is HTTP's."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the socket was refused: {status}")
        self.status = status


class SocketClosed(Exception):
    """The other side has closed the socket."""


class PageSocket:
    """One page's socket. A context manager; frames are read one by one, in the order in which they came."""

    def __init__(self, live_url: str, session_id: str, token: str) -> None:
        """Raises HandshakeRefused, or OSError when nobody is there."""
        address = urlsplit(live_url)
        self._socket = socket.create_connection((address.hostname or "", address.port or 80), CONNECT_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._protocol = WSConnection(ConnectionType.CLIENT)
        self._events: list[Event] = []
        self._text = ""
        target = f"{address.path}?{urlencode({'session': session_id, 'token': token})}"
        self._send(Request(host=address.netloc, target=target))
        found = self._next_event(time.monotonic() + CONNECT_SECONDS)
        if isinstance(found, RejectConnection):
            self._socket.close()
            raise HandshakeRefused(found.status_code)
        if not isinstance(found, AcceptConnection):
            raise SocketClosed

    def say(self, text: str) -> None:
        """Sends one frame, whatever it is."""
        self._send(TextMessage(text))

    def hear(self, seconds: float = 10.0) -> Frame:
        """The next frame. Raises TimeoutError when none comes in time, SocketClosed when none can come."""
        until = time.monotonic() + seconds
        while True:
            found = self._next_event(until)
            if isinstance(found, TextMessage):
                self._text += found.data
                if found.message_finished:
                    frame, self._text = json.loads(self._text), ""
                    return dict(frame)
            elif isinstance(found, Ping):
                self._send(found.response())
            elif isinstance(found, CloseConnection):
                raise SocketClosed

    def close(self) -> None:
        try:
            self._send(CloseConnection(code=1000))
        except OSError:
            pass  # the other side was quicker
        finally:
            self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send(self, event: Event) -> None:
        self._socket.sendall(self._protocol.send(event))

    def _next_event(self, until: float) -> Event:
        while not self._events:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            read = self._socket.recv(READ_BYTES)
            self._protocol.receive_data(read or None)
            self._events.extend(self._protocol.events())
            if not read and not self._events:
                raise SocketClosed
        return self._events.pop(0)


def main() -> int:
    opened = json.load(sys.stdin)
    if not opened.get("live_url"):
        print("This answer names no socket: is it that of POST /sessions?", file=sys.stderr)
        return 1
    try:
        with PageSocket(opened["live_url"], opened["id"], opened["token"]) as page:
            while True:
                try:
                    frame = page.hear(PING_SECONDS)
                except TimeoutError:
                    page.say('{"type": "ping"}')
                    continue
                print(json.dumps(frame, ensure_ascii=False), flush=True)
                if frame["type"] == "ended":
                    return 0
    except HandshakeRefused as error:
        print(error, file=sys.stderr)
        return 1
    except SocketClosed:
        return 0
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
