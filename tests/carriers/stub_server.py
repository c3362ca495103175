"""A carrier's server on loopback that does as it is told: answers, lies, dawdles, drips, hangs up."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NAME = "stub server"  # of its threads, so that a test can tell them from the carrier's own


@dataclass(frozen=True, slots=True)
class Asked:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Said:
    status: int
    body: bytes = b""
    content_type: str = "application/json"


type Behave = Callable[[BaseHTTPRequestHandler, Asked], None]


@dataclass
class StubServer:
    """`behave` is done to each request; `seen` keeps them."""

    url: str = ""
    behave: Behave = lambda request, _: say(request, Said(500))
    seen: list[Asked] = field(default_factory=list)


def say(request: BaseHTTPRequestHandler, said: Said) -> None:
    request.send_response(said.status)
    request.send_header("Content-Type", said.content_type)
    request.send_header("Content-Length", str(len(said.body)))
    request.end_headers()
    request.wfile.write(said.body)


def hang_up(request: BaseHTTPRequestHandler) -> None:
    request.connection.shutdown(socket.SHUT_RDWR)
    request.close_connection = True


def reset(request: BaseHTTPRequestHandler) -> None:
    """As a server that dies does: no farewell, a reset."""
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.connection.close()
    request.close_connection = True


def hang_up_half_way(request: BaseHTTPRequestHandler, said: Said) -> None:
    request.send_response(said.status)
    request.send_header("Content-Type", said.content_type)
    request.send_header("Content-Length", str(len(said.body)))
    request.end_headers()
    request.wfile.write(said.body[: len(said.body) // 2])
    request.wfile.flush()
    hang_up(request)


@contextmanager
def stub_server() -> Iterator[StubServer]:
    told = StubServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            threading.current_thread().name = NAME
            super().setup()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked = Asked(self.path, dict(self.headers.items()), body)
            told.seen.append(asked)
            told.behave(self, asked)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that has gone is what some tests are about."""

    http = Server(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, name=NAME)
    thread.start()
    try:
        yield told
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
