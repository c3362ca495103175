"""Stands where recado would and looks at what a carrier sends there: receipts and replies by docs/carrier_format.md.

Standard library and `standardwebhooks` only. It answers as recado does, but for the first receipts: those it says it
has not taken, to see them again. It keeps no text and no number.
"""

import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from tools.carrier_checks import Problem
from tools.carrier_endpoint import shown

BODY_BYTES_MAX = 256 * 1024
ITEMS_MAX = 1000
STATUSES = ("delivered", "unreachable", "wrong_number", "blocked")
PARTS_MAX = 15
NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
AHEAD_MAX, AGO_MAX = timedelta(minutes=5), timedelta(days=7)
HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
LOOK_EACH_SECONDS = 0.1


@dataclass
class Seen:
    """What has come. Each list is of words, one for each thing that was wrong; a place is a JSON pointer."""

    references: set[str] = field(default_factory=set)
    replies: int = 0
    elsewhere: list[str] = field(default_factory=list)
    unsigned: list[str] = field(default_factory=list)
    malformed: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)  # receipts that came again with another time
    not_taken: tuple[str, bytes] | None = None  # the id and the body that were answered 503
    came_again: str | None = None  # with which id


class Listener:
    """`answer` says to a POST what recado would, and remembers what was wrong with it."""

    def __init__(self, secret: str, port: int = 0) -> None:
        self.port = port
        self._webhook = Webhook(secret)
        self._lock = threading.Lock()
        self._times: dict[tuple[Any, ...], Any] = {}
        self.seen = Seen()

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
        kind = path.partition("?")[0].rpartition("/")[2]
        with self._lock:
            if kind not in ("receipts", "replies"):
                self.seen.elsewhere.append(f"a POST to {shown(path)}")
                return 404, {}
            if len(body) > BODY_BYTES_MAX:
                self.seen.malformed.append(f"{len(body)} bytes of {kind}")
                return 413, {}
            if problem := self._signature_problem(headers, body):
                self.seen.unsigned.append(problem)
                return 401, {}
            return self._take(kind, headers["webhook-id"], body)

    def wait(self, references: set[str], seconds: float) -> None:
        """Until each has its receipt and what was not taken has come again, or the time is over."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with self._lock:
                if references <= self.seen.references and self.seen.came_again is not None:
                    return
            time.sleep(LOOK_EACH_SECONDS)

    def _signature_problem(self, headers: Mapping[str, str], body: bytes) -> Problem:
        if missing := [name for name in HEADERS if not headers.get(name)]:
            return f"without {' and '.join(missing)}"
        try:
            self._webhook.verify(body, dict(headers), json_parse=False)
        except (WebhookVerificationError, ValueError) as error:
            return str(error)
        return None

    def _take(self, kind: str, webhook_id: str, body: bytes) -> tuple[int, dict[str, Any]]:
        items = _items(kind, body)
        if isinstance(items, str):
            self.seen.malformed.append(items)
            return 422, {}
        problems = [
            (place, problem)
            for place, item in ((f"/{kind}/{index}", one) for index, one in enumerate(items))
            if (problem := (_receipt_problem if kind == "receipts" else _reply_problem)(item))
        ]
        self.seen.malformed += [f"{place}{problem}" for place, problem in problems]
        if problems and (kind == "replies" or len(problems) == len(items)):
            return 422, {}
        if kind == "replies":
            self.seen.replies += len(items)
            return 200, {"taken": len(items)}
        bad = {place for place, _ in problems}
        return self._take_receipts(
            [one for i, one in enumerate(items) if f"/receipts/{i}" not in bad], webhook_id, body
        )

    def _take_receipts(self, receipts: list[Any], webhook_id: str, body: bytes) -> tuple[int, dict[str, Any]]:
        if self.seen.not_taken is None and receipts:
            self.seen.not_taken = (webhook_id, body)
            return 503, {}
        if self.seen.not_taken is not None and body == self.seen.not_taken[1]:
            self.seen.came_again = webhook_id
        for receipt in receipts:
            self.seen.references.add(receipt["reference"])
            key = (receipt["reference"], receipt["status"], receipt.get("part", 0))
            if self._times.setdefault(key, receipt.get("at")) != receipt.get("at"):
                self.seen.moved.append(f"a receipt of {shown(receipt['reference'])}")
        return 200, {"taken": len(receipts)}


@contextmanager
def listening(port: int, secret: str) -> Iterator[Listener]:
    """On every address of this machine; port 0 takes a free one (`listener.port`)."""
    listener = Listener(secret)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "0")
            body = self.rfile.read(min(int(length), BODY_BYTES_MAX + 1) if length.isdecimal() else 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, document = listener.answer(self.path, headers, body)
            data = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            if len(body) > BODY_BYTES_MAX:  # the rest of it was not read
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
            """Nothing: an address may hold a reference."""

    server = ThreadingHTTPServer(("", port), Handler)
    server.daemon_threads = True
    listener.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": LOOK_EACH_SECONDS})
    thread.start()
    try:
        yield listener
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# --- what is asked of it ----------------------------------------------------------------------------------------------


def receipts_came(seen: Seen, ours: set[str]) -> Problem:
    if seen.references & ours:
        return None
    return (
        "none came" if not seen.references and seen.not_taken is None else "none came of the texts that were accepted"
    )


def came_to_their_address(seen: Seen, _: set[str]) -> Problem:
    return _first(seen.elsewhere)


def all_were_signed(seen: Seen, _: set[str]) -> Problem:
    return _first(seen.unsigned)


def all_were_as_the_page_says(seen: Seen, _: set[str]) -> Problem:
    return _first(seen.malformed)


def references_were_ours(seen: Seen, ours: set[str]) -> Problem:
    others = sorted(seen.references - ours)
    return f"{len(others)} that were not accepted from here, e.g. {shown(others[0])}" if others else None


def came_again_as_they_were(seen: Seen, _: set[str]) -> Problem:
    if seen.not_taken is None:
        return "nothing came that could have come again"
    if seen.came_again is None:
        return "what was answered 503 did not come again, or not with the same body"
    return None if seen.came_again == seen.not_taken[0] else "it came again with another webhook-id"


def kept_their_time(seen: Seen, _: set[str]) -> Problem:
    return _first(seen.moved)


def _first(words: list[str]) -> Problem:
    if not words:
        return None
    return words[0] if len(words) == 1 else f"{words[0]}, and {len(words) - 1} more"


def _items(kind: str, body: bytes) -> list[Any] | str:
    """The items, or what is wrong with the whole."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return f"{kind} that are no JSON in UTF-8"
    if not isinstance(document, dict) or document.get("type") != kind:
        return f'no {{"type": "{kind}"}}'
    items = document.get(kind)
    if not isinstance(items, list):
        return f"/{kind} is no list"
    return items if len(items) <= ITEMS_MAX else f"{len(items)} {kind} in one POST"


def _receipt_problem(item: Any) -> Problem:
    if not isinstance(item, dict):
        return " is no object"
    if not _is_text(item.get("reference"), 1, 256):
        return "/reference is no text of 1 to 256 characters"
    if item.get("status") not in STATUSES:
        return f"/status is {shown(item.get('status'))}"
    if not _is_count(item.get("part", 0), 0, PARTS_MAX):
        return f"/part is {shown(item.get('part'))}"
    return _time_problem("/at", item["at"]) if item.get("at") is not None else None


def _reply_problem(item: Any) -> Problem:
    if not isinstance(item, dict):
        return " is no object"
    for name, least, most in (("id", 1, 128), ("from", 1, 20), ("to", 1, 20), ("text", 0, 2000)):
        if not _is_text(item.get(name), least, most):
            return f"/{name} is no text of {least} to {most} characters"
    if not NUMBER.fullmatch(item["from"]):
        return "/from is not E.164"
    of = item.get("parts", 1)
    if not _is_count(of, 1, PARTS_MAX) or not _is_count(item.get("part", 1), 1, of):
        return "/parts or /part is no number of parts"
    if of > 1 and not _is_text(item.get("group"), 1, 128):
        return "/group is no text of 1 to 128 characters"
    return _time_problem("/received_at", item.get("received_at"))


def _time_problem(place: str, value: Any) -> Problem:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return f"{place} is no time of ISO 8601"
    if moment.tzinfo is None:
        return f"{place} has no offset"
    ahead = moment - datetime.now(UTC)
    return None if -AGO_MAX <= ahead <= AHEAD_MAX else f"{place} is not believed: it is not now"


def _is_text(value: Any, least: int, most: int) -> bool:
    return isinstance(value, str) and least <= len(value) <= most


def _is_count(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
