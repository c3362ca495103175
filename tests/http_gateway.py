"""The gateway of tests/gateway.py behind HTTP on loopback, for callers that are programs of their own.

It may lose an answer after the work is done, as networks do.
"""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests import gateway
from tests.gateway import Answer, Request

BASE = "/v1"


@dataclass
class HttpGateway:
    """`asked` are the requests that came; the answers to the next `lose` of them never leave."""

    url: str = ""
    asked: list[tuple[Request, str | None]] = field(default_factory=list)
    lose: int = 0

    def routes_asked(self) -> list[str]:
        return [request.route for request, _ in self.asked]


@contextmanager
def http_gateway() -> Iterator[HttpGateway]:
    door = HttpGateway()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length).decode() if length else None
            headers = {name: value for name, value in self.headers.items() if name.lower() != "authorization"}
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
            request = request_of(self.command, self.path, body, headers)
            door.asked.append((request, token))
            answered = gateway.ask(request, token)
            if door.lose:
                door.lose -= 1
                self.close_connection = True
                return
            self._say(answered)

        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.answer()

        def _say(self, answered: Answer) -> None:
            body = answered.body if isinstance(answered.body, str) else json.dumps(answered.body)
            content = b"" if answered.body is None else body.encode()
            self.send_response(answered.status)
            for name, values in answered.headers.items():
                for value in values:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    door.url = f"http://127.0.0.1:{server.server_port}{BASE}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield door
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def request_of(method: str, address: str, body: str | None, headers: dict[str, str]) -> Request:
    """The template's route that this is. One without placeholders goes first, as at API Gateway."""
    place = urlsplit(address)
    path = place.path.removeprefix(BASE)
    query = dict(parse_qsl(place.query, keep_blank_values=True))
    for route in sorted(gateway.routes(), key=lambda one: one.count("{")):
        verb, _, pattern = route.partition(" ")
        found = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern), path)
        if verb == method and found:
            parameters = {name: unquote(value) for name, value in found.groupdict().items()}
            return Request(route, parameters, query, body, headers)
    raise LookupError(f"no route {method} {pattern}")
