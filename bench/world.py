"""One school on moto and one message to its guardians, sent by the real functions: what the benches have in common.

The tables, queues and events are those of the tests. Import it before anything of recado: it sets the environment.
"""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from moto import mock_aws

from tests import apps, conftest  # nothing yet that reads the settings

HOST = "127.0.0.1"
SEGMENTS = 1
PAGE_SECONDS = 90.0


class Context(apps.Context):
    """What Lambda tells `dispatch`, whose time limit is the longest."""

    def get_remaining_time_in_millis(self) -> int:
        return int(PAGE_SECONDS * 1000)


class CarrierServer:
    """Takes every text of every wave, in a thread of this process, and remembers the references.

    From its start on it is the carrier of recado's settings, which are read once: start it first, and one only.
    """

    def __init__(self) -> None:
        self.references: list[str] = []
        self.posts = 0
        self._server = ThreadingHTTPServer((HOST, 0), self._handler())
        threading.Thread(target=self._server.serve_forever, name="carrier", daemon=True).start()
        os.environ["CARRIER_URL"] = f"http://{HOST}:{self._server.server_port}/send"

    def forget(self) -> None:
        self.references, self.posts = [], 0

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        carrier = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                wave = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                references = [text["reference"] for text in wave["messages"]]
                carrier.references += references
                carrier.posts += 1
                answered = [{"reference": one, "status": "accepted", "id": f"c-{one}"} for one in references]
                body = json.dumps({"messages": answered}).encode()
                head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                self.wfile.write(head.encode() + body)  # at once: two writes would wait for an acknowledgement

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


@contextmanager
def school(guardians: int) -> Iterator[None]:
    """moto with one school, its credits, its key and this many guardians in one course, each with a handset."""
    from recado import access
    from tests import tokens, worlds

    with mock_aws():
        access.forget()
        conftest.create_resources()
        worlds.create_school(domestic=guardians * SEGMENTS)
        tokens.create_key(worlds.SCHOOL)
        worlds.add_guardians(guardians)
        yield
    access.forget()


def request_event() -> dict[str, Any]:
    """`POST /messages`, now, to the guardians of the course."""
    return apps.load_event("send_now")


def authorizer_event() -> dict[str, Any]:
    """The question API Gateway asks before it, with a token in force."""
    from recado import clock
    from tests import tokens
    from tests.worlds import SCHOOL

    event = apps.load_event("authorizer_portal_token")
    token = tokens.mint(SCHOOL, clock.now() - timedelta(seconds=1))
    event["headers"]["Authorization"] = f"Bearer {token}"
    return event


def receipts_event(references: list[str]) -> dict[str, Any]:
    """A signed webhook: these texts were delivered."""
    from standardwebhooks import Webhook

    from recado import clock
    from recado.rules import signatures
    from tests import tokens

    at = clock.now()
    receipts = [{"reference": one, "status": "delivered", "part": 0, "at": at.isoformat()} for one in references]
    body = json.dumps({"type": "receipts", "receipts": receipts})
    secret = signatures.webhook_secret(tokens.MASTER, "signed_webhook", "from_carrier")
    event = apps.load_event("inbound_receipts")
    event["body"] = body
    event["headers"] |= {
        "webhook-id": "wh_bench",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign("wh_bench", at, body),
    }
    return event


def queue_event(bodies: list[str]) -> dict[str, Any]:
    """What Lambda hands over from a queue."""
    (record, *_) = apps.load_event("dispatch_page")["Records"]
    return {"Records": [record | {"messageId": str(position), "body": body} for position, body in enumerate(bodies)]}


def call(function: str, event: dict[str, Any]) -> Any:
    """One invocation, as Lambda makes it."""
    return apps.load_app(function).handler(event, Context())
