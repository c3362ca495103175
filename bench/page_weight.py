"""What each page brings over the wire until its first view stands, in a real Chromium with an empty cache.

`python -m bench page_weight` brings a stack up on free ports, and a door before it that does on loopback what
CloudFront does: text of 1,000 bytes and more goes out compressed, and every answer has a distribution's headers. Bodies
are counted as Chromium received them, headers as HTTP/2 packs them. Exits with 1 if a page is over the budget.
"""

import gzip
import json
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hpack import Encoder
from playwright.sync_api import Browser, Page, sync_playwright

from local.emulator import HOST
from tests.end_to_end.conftest import Stack, bring_up
from tools.find_chromium import find_chromium
from tools.publish_console import ConsoleSettings, content_security_policy
from tools.view_pages import views

BUDGET_BYTES = 100_000
COMPRESSED_FROM_BYTES = 1_000  # CloudFront compresses files from there
GZIP_LEVEL = 6  # zlib's own default; CloudFront also speaks Brotli, which is smaller
TEXTUAL = ("text/", "application/json", "application/problem+json", "image/svg+xml")
FRONT = "interactive"
AS_GUARDIAN = frozenset({"inbox"})  # the others are the office's
PATIENCE_MS = 60_000  # a function's first call on the emulator takes seconds
WAIT_SECONDS = 60
PAGES, API = "/console", "/v1"
FRAMES_BYTES = 18  # HTTP/2: one frame of headers and one of data, 9 bytes each
AT_ONCE = "link[rel=modulepreload], script[src]"
# What S3 and CloudFront put on each answer beside the emulator's own headers, as long as theirs are.
DISTRIBUTION_HEADERS = {
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": content_security_policy(ConsoleSettings("https://portal.escuela.cl/token"))
    + "; frame-ancestors 'self' https://portal.escuela.cl",
    "X-Amz-Server-Side-Encryption": "AES256",
    "Vary": "Accept-Encoding",
    "X-Cache": "Miss from cloudfront",
    "Via": "1.1 0123456789abcdef0123456789abcdef.cloudfront.net (CloudFront)",
    "X-Amz-Cf-Pop": "SCL50-P1",
    "X-Amz-Cf-Id": "0123456789abcdef0123456789abcdef0123456789abcdef01234567",
}


@dataclass(frozen=True)
class Weight:
    """Of one page. Bytes: `raw` are the bodies as they are; `received` is compressed and with headers; of that the
    headers, and what the API answered. `late`: modules that the page does not name: they wait for another to be read.
    """

    requests: int
    raw: int
    received: int
    headers: int
    api: int
    late: tuple[str, ...]


def main() -> int:
    with tempfile.TemporaryDirectory() as folder, bring_up(Path(folder)) as stack:
        weights = weigh_all(stack)
    result = {"budget_bytes": BUDGET_BYTES, "pages": {name: asdict(one) for name, one in weights.items()}}
    json.dump(result, sys.stdout)
    return 0 if all(one.received <= BUDGET_BYTES for one in weights.values()) else 1


def weigh_all(stack: Stack) -> dict[str, Weight]:
    with sync_playwright() as playwright:
        # As root (in a container) Chromium has no sandbox of its own; pages of ours only are opened.
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        try:
            return weigh_with(browser, stack)
        finally:
            browser.close()


def weigh_with(browser: Browser, stack: Stack) -> dict[str, Weight]:
    with front_door(stack.emulator.endpoint_url, stack.handsets.url) as door:
        return {name: _weigh(browser, door, name) for name in (FRONT, *views())}


def _weigh(browser: Browser, door: str, name: str) -> Weight:
    context = browser.new_context(locale="es-CL")  # nothing in its cache
    context.set_default_timeout(PATIENCE_MS)
    try:
        page, load = context.new_page(), _Load()
        load.listen(page)
        person = "" if name == FRONT else "?as=guardian" if name in AS_GUARDIAN else "?as=director"
        page.goto(f"{door}{PAGES}/{name}.html{person}")
        page.locator(f"recado-{name} h1").wait_for()
        page.locator("[aria-busy=true]").first.wait_for(state="detached")
        page.wait_for_load_state("networkidle")
        return load.weight(page)
    finally:
        context.close()


class _Load:
    """What Chromium says of each request of a page, as it comes."""

    def __init__(self) -> None:
        self.paths: dict[str, str] = {}
        self.raw: dict[str, int] = {}
        self.body: dict[str, int] = {}  # compressed
        self.ended: dict[str, int] = {}  # with headers as HTTP/1.1 has them
        self.headers: dict[str, int] = {}
        self._encoder = Encoder()  # HTTP/2 says a header again by its number

    def listen(self, page: Page) -> None:
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.on("Network.requestWillBeSent", self._asked)
        session.on("Network.responseReceived", self._answered)
        session.on("Network.dataReceived", self._came)
        session.on("Network.loadingFinished", self._ended)

    def weight(self, page: Page) -> Weight:
        if not (self.ended.keys() == self.body.keys() == self.paths.keys()):
            raise RuntimeError("an answer did not come whole")
        if any(size < self.body[one] for one, size in self.ended.items()):
            raise RuntimeError("Chromium received less than was sent")
        received = {one: self.headers[one] + size for one, size in self.body.items()}
        found: list[str] = page.eval_on_selector_all(
            AT_ONCE, "(all) => all.map((one) => new URL(one.href || one.src).pathname)"
        )
        return Weight(
            requests=len(received),
            raw=sum(self.raw.values()),
            received=sum(received.values()),
            headers=sum(self.headers.values()),
            api=sum(size for one, size in received.items() if self.paths[one].startswith(API)),
            late=tuple(path for path in self.paths.values() if path.endswith(".js") and path not in found),
        )

    def _asked(self, event: dict[str, Any]) -> None:
        address = urlsplit(event["request"]["url"])
        if address.scheme.startswith("http"):
            self.paths[event["requestId"]] = address.path

    def _answered(self, event: dict[str, Any]) -> None:
        if event["requestId"] not in self.paths:
            return  # the browser's own picture of a control, e.g. the calendar in a date's field
        answer = event["response"]
        headers = {name.lower(): value for name, value in answer["headers"].items()}
        self.body[event["requestId"]] = int(headers["content-length"])
        self.headers[event["requestId"]] = FRAMES_BYTES + len(
            self._encoder.encode({":status": str(answer["status"]), **headers})
        )

    def _came(self, event: dict[str, Any]) -> None:
        self.raw[event["requestId"]] = self.raw.get(event["requestId"], 0) + event["dataLength"]

    def _ended(self, event: dict[str, Any]) -> None:
        if event["requestId"] in self.paths:
            self.ended[event["requestId"]] = event["encodedDataLength"]


# --- the door: the emulator as CloudFront would hand it out -----------------------------------------------------------


@contextmanager
def front_door(emulator_url: str, handsets_url: str) -> Iterator[str]:
    """Its address. The demo portal's token is behind it, too, so that a page there may ask for it."""

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._forward(b"")

        def do_POST(self) -> None:
            self._forward(self.rfile.read(int(self.headers["Content-Length"])))

        def _forward(self, asked: bytes) -> None:
            target = urlsplit(handsets_url if self.path.startswith("/token") else emulator_url)
            kept = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in ("host", "accept-encoding", "connection")
            }
            connection = HTTPConnection(target.netloc, timeout=WAIT_SECONDS)
            connection.request(self.command, self.path, asked or None, kept)
            answer = connection.getresponse()
            body = answer.read().replace(
                f"{handsets_url}/token".encode(), f"http://{self.headers['Host']}/token".encode()
            )
            connection.close()
            headers = {
                name: value
                for name, value in answer.getheaders()
                if name.lower() not in ("content-length", "connection", "transfer-encoding")
            }
            content_type = answer.getheader("Content-Type", "")
            if len(body) >= COMPRESSED_FROM_BYTES and content_type.startswith(TEXTUAL):
                body = gzip.compress(body, GZIP_LEVEL)
                headers["Content-Encoding"] = "gzip"
            self.send_response_only(answer.status)
            for name, value in {**headers, **DISTRIBUTION_HEADERS, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """What is asked is counted in the browser."""

    with ThreadingHTTPServer((HOST, 0), Door) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{HOST}:{server.server_address[1]}"
        server.shutdown()


if __name__ == "__main__":
    sys.exit(main())
