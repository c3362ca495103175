"""The signed webhook carrier against a real server that misbehaves in every way of the retry table."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from standardwebhooks import Webhook

from recado.carriers import signed_webhook
from recado.carriers.speech import (
    Accepted,
    Account,
    BadWebhook,
    Outgoing,
    Refused,
    RefusedBecause,
    Unknown,
)
from recado.rules.delivery_states import Receipt
from recado.rules.reply_parts import Part

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TO_CARRIER = "whsec_dG8tY2Fycmllci1zZWNyZXQtMzItYnl0ZXMtbG9uZyE="
FROM_CARRIER = "whsec_ZnJvbS1jYXJyaWVyLXNlY3JldC0zMi1ieXRlcy1sIQ=="
TEXTS = [Outgoing(f"m.s.id.p.0.{i}", f"+5690000000{i}", "20600", "Hola ñandú", 60) for i in range(3)]

type Reply = Callable[[BaseHTTPRequestHandler, dict[str, Any]], None]


@dataclass
class Server:
    """A carrier's server: `reply` answers, `seen` keeps each request's headers and body."""

    url: str = ""
    reply: Reply = lambda request, body: accept_all(request, body)
    seen: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


def answer(request: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
    request.send_response(status)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


def accept_all(request: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
    items = [
        {"reference": one["reference"], "status": "accepted", "id": f"c-{index}"}
        for index, one in enumerate(body["messages"])
    ]
    answer(request, 200, json.dumps({"messages": items}).encode())


def answer_items(items: list[Any]) -> Reply:
    return lambda request, _: answer(request, 200, json.dumps({"messages": items}).encode())


def answer_status(status: int, body: bytes = b"") -> Reply:
    return lambda request, _: answer(request, status, body)


def close_without_answer(request: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
    request.connection.shutdown(socket.SHUT_RDWR)
    request.close_connection = True


@pytest.fixture
def server() -> Iterator[Server]:
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.seen.append((dict(self.headers.items()), body))
            told.reply(self, json.loads(body))

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    told.url = f"http://127.0.0.1:{http.server_port}/send"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    signed_webhook._pool.cache_clear()
    yield told
    signed_webhook._pool.cache_clear()
    http.shutdown()
    http.server_close()
    thread.join()


def account(url: str) -> Account:
    return Account(url, (TO_CARRIER,), (FROM_CARRIER,))


def send(url: str) -> list[Any]:
    return signed_webhook.send(TEXTS, account(url), lambda: True)


def test_a_wave_is_one_signed_post_and_each_text_has_its_answer(server: Server) -> None:
    answers = send(server.url)

    assert answers == [Accepted("c-0"), Accepted("c-1"), Accepted("c-2")]
    [(headers, body)] = server.seen
    document = Webhook(TO_CARRIER).verify(body, headers)
    assert document["messages"][0] == {
        "reference": "m.s.id.p.0.0",
        "to": "+56900000000",
        "from": "20600",
        "text": "Hola ñandú",
        "validity_seconds": 60,
    }


def test_during_a_change_of_secret_both_signatures_go_out(server: Server) -> None:
    signed_webhook.send(TEXTS, Account(server.url, (FROM_CARRIER, TO_CARRIER), ()), lambda: True)

    [(headers, body)] = server.seen
    for secret in (TO_CARRIER, FROM_CARRIER):
        Webhook(secret).verify(body, headers)


def test_every_post_has_its_own_webhook_id_for_receivers_drop_ids_they_have_seen(server: Server) -> None:
    send(server.url)
    send(server.url)

    first, second = (headers["webhook-id"] for headers, _ in server.seen)
    assert first != second


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (answer_status(429), [Refused(RefusedBecause.FOR_NOW, "429")] * 3),
        (answer_status(500), [Unknown("500")] * 3),
        (answer_status(503), [Unknown("503")] * 3),
        (answer_status(408), [Unknown("408")] * 3),
        (answer_status(401), [Refused(RefusedBecause.ROUTE, "401")] * 3),
        (answer_status(404), [Refused(RefusedBecause.ROUTE, "404")] * 3),
        (answer_status(302), [Refused(RefusedBecause.ROUTE, "302")] * 3),
        (close_without_answer, [Unknown("ProtocolError")] * 3),
        (answer_status(200, b"<html>ok</html>"), [Unknown("not_in_answer")] * 3),
        (answer_status(200, b"[]"), [Unknown("not_in_answer")] * 3),
        (answer_status(200, b'{"messages": [7]}'), [Unknown("not_in_answer")] * 3),
        (answer_status(200, b"[" * 100_000), [Unknown("not_in_answer")] * 3),
    ],
)
def test_an_answer_for_the_whole_wave_means_the_same_for_each_text(
    server: Server, reply: Reply, expected: list[Any]
) -> None:
    server.reply = reply

    assert send(server.url) == expected
    assert len(server.seen) == 1, "never asked twice by itself"


def test_each_text_is_answered_for_itself(server: Server) -> None:
    server.reply = answer_items(
        [
            {"reference": "m.s.id.p.0.2", "status": "refused", "reason": "try_later"},
            {"reference": "m.s.id.p.0.0", "status": "refused", "reason": "wrong_number", "code": "E7"},
            {"reference": "m.s.id.p.0.1", "status": "refused", "reason": "blocked"},
        ]
    )

    assert send(server.url) == [
        Refused(RefusedBecause.WRONG_NUMBER, "E7"),
        Refused(RefusedBecause.BLOCKED, ""),
        Refused(RefusedBecause.FOR_NOW, ""),
    ]


def test_missing_strange_doubled_and_foreign_items_are_told_apart(server: Server) -> None:
    server.reply = answer_items(
        [
            {"reference": "m.s.id.p.0.0", "status": "accepted", "id": "first"},
            {"reference": "m.s.id.p.0.0", "status": "refused", "reason": "blocked"},
            {"reference": "somebody-elses", "status": "accepted", "id": "x"},
            {"reference": "m.s.id.p.0.1", "status": "perhaps"},
        ]
    )

    assert send(server.url) == [Accepted("first"), Unknown("not_understood"), Unknown("not_in_answer")]


def test_a_slow_answer_is_unknown_for_it_may_have_been_taken(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()

    def wait_then_accept(request: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        gate.wait(5)
        close_without_answer(request, body)

    server.reply = wait_then_accept
    monkeypatch.setattr(signed_webhook, "READ_SECONDS_MAX", 0.05)

    answers = send(server.url)
    gate.set()

    assert answers == [Unknown("ReadTimeoutError")] * 3


def test_a_refused_connection_was_not_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        answers = send(f"http://127.0.0.1:{taken.getsockname()[1]}/send")

    assert answers == [Refused(RefusedBecause.FOR_NOW, "not_connected")] * 3


def test_nothing_starts_after_its_time(server: Server) -> None:
    answers = signed_webhook.send(TEXTS, account(server.url), lambda: False)

    assert answers == [Refused(RefusedBecause.FOR_NOW, "not_started")] * 3
    assert server.seen == []


def signed(body: str, *, secret: str = FROM_CARRIER, at: datetime = NOON) -> dict[str, str]:
    return {
        "Webhook-Id": "w1",
        "Webhook-Timestamp": str(int(at.timestamp())),
        "Webhook-Signature": Webhook(secret).sign("w1", at, body),
    }


def verify(headers: dict[str, str], body: str) -> bool:
    return signed_webhook.verify(headers, body.encode(), account(""), NOON)


def test_a_signature_of_the_independent_library_holds() -> None:
    assert verify(signed('{"a": "ñ"}'), '{"a": "ñ"}')


@pytest.mark.parametrize(
    "headers",
    [
        signed("{}", secret=TO_CARRIER),
        signed("{} "),
        signed("{}", at=NOON - timedelta(minutes=5, seconds=1)),
        signed("{}", at=NOON + timedelta(minutes=5, seconds=1)),
        signed("{}") | {"Webhook-Id": "w2"},
        signed("{}") | {"Webhook-Timestamp": str(int(NOON.timestamp()) + 1)},
        signed("{}") | {"Webhook-Timestamp": "soon"},
        signed("{}") | {"Webhook-Timestamp": "9" * 400},
        signed("{}") | {"Webhook-Signature": "v1"},
        signed("{}") | {"Webhook-Signature": "v1,"},
        signed("{}") | {"Webhook-Signature": "v1,%%%"},
        signed("{}") | {"Webhook-Signature": ""},
        signed("{}") | {"Webhook-Signature": signed("{}")["Webhook-Signature"].replace("v1,", "v2,")},
        {},
    ],
)
def test_whatever_does_not_hold_is_refused(headers: dict[str, str]) -> None:
    assert not verify(headers, "{}")


def test_one_good_signature_among_others_is_enough_while_a_secret_changes() -> None:
    headers = signed("{}")
    headers["Webhook-Signature"] = f"v1a,xyz v1,AAAA {headers['Webhook-Signature']}"

    assert verify(headers, "{}")


def test_a_body_that_is_no_text_is_refused() -> None:
    assert not signed_webhook.verify(signed("{}"), b"\xff\xfe", account(""), NOON)


def reply_item(**changes: Any) -> dict[str, Any]:
    item = {
        "id": "r-1",
        "from": "+56912345678",
        "to": "20600",
        "text": "ok",
        "received_at": "2026-11-23T09:00:00-03:00",
    }
    return item | changes


def test_a_reply_is_read_with_its_time_in_utc() -> None:
    body = json.dumps({"type": "replies", "replies": [reply_item(in_reply_to="m.x")]}).encode()

    [reply] = signed_webhook.read_replies(body)

    assert (reply.id, reply.handset, reply.code, reply.text) == ("r-1", "+56912345678", "20600", "ok")
    assert reply.sent_at == NOON
    assert reply.in_reply_to == "m.x"


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({}, None),
        ({"part": 1, "parts": 1, "group": "g"}, None),
        ({"part": 2, "parts": 3, "group": "g"}, Part(2, 3, "g")),
        ({"part": 15, "parts": 15, "group": "#/|\x00"}, Part(15, 15, "#/|\x00")),
    ],
)
def test_a_part_of_a_long_reply_says_which_of_how_many(changes: dict[str, Any], part: Part | None) -> None:
    [reply] = signed_webhook.read_replies(json.dumps({"type": "replies", "replies": [reply_item(**changes)]}).encode())

    assert reply.part == part


@pytest.mark.parametrize(
    ("item", "place"),
    [
        (reply_item(id=""), "/replies/0/id"),
        (reply_item(id=7), "/replies/0/id"),
        (reply_item(**{"from": "912345678"}), "/replies/0/from"),
        (reply_item(text="x" * 2001), "/replies/0/text"),
        (reply_item(received_at="yesterday"), "/replies/0/received_at"),
        (reply_item(received_at="2026-11-23T09:00:00"), "/replies/0/received_at"),
        (reply_item(received_at="9999-12-31T23:59:59-14:00"), "/replies/0/received_at"),
        (reply_item(parts=0), "/replies/0/parts"),
        (reply_item(parts=16), "/replies/0/parts"),
        (reply_item(parts=True), "/replies/0/parts"),
        (reply_item(parts="2"), "/replies/0/parts"),
        (reply_item(part=0, parts=2, group="g"), "/replies/0/part"),
        (reply_item(part=3, parts=2, group="g"), "/replies/0/part"),
        (reply_item(part=2), "/replies/0/part"),
        (reply_item(part=1, parts=2), "/replies/0/group"),
        (reply_item(part=1, parts=2, group="x" * 129), "/replies/0/group"),
        ("text", "/replies/0"),
    ],
)
def test_a_reply_that_is_not_the_formats_is_refused_by_its_place(item: Any, place: str) -> None:
    with pytest.raises(BadWebhook) as refused:
        signed_webhook.read_replies(json.dumps({"type": "replies", "replies": [item]}).encode())

    assert refused.value.place == place


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"type":"replies"}', b'{"type":"receipts","receipts":{}}', b"[" * 100_000]
)
def test_a_document_that_is_none_is_refused(body: bytes) -> None:
    for read in (signed_webhook.read_replies, signed_webhook.read_receipts):
        with pytest.raises(BadWebhook):
            read(body)


@pytest.mark.parametrize("state", list(Receipt))
def test_every_receipt_state_of_the_format_is_read(state: Receipt) -> None:
    body = {"type": "receipts", "receipts": [{"reference": "m.x", "status": state.value, "part": 2}]}

    [receipt] = signed_webhook.read_receipts(json.dumps(body).encode())

    assert (receipt.reference, receipt.state, receipt.part, receipt.at) == ("m.x", state, 2, None)


@pytest.mark.parametrize(
    ("at", "found"), [("2026-11-23T09:00:00-03:00", NOON), ("2026-11-23T12:00:00Z", NOON), (None, None)]
)
def test_a_receipt_may_say_when_it_was(at: str | None, found: datetime | None) -> None:
    body = {"type": "receipts", "receipts": [{"reference": "m.x", "status": "delivered", "at": at}]}

    [receipt] = signed_webhook.read_receipts(json.dumps(body).encode())

    assert receipt.at == found


@pytest.mark.parametrize(
    ("item", "place"),
    [
        ({"reference": "m", "status": "perhaps"}, "/receipts/0/status"),
        ({"status": "delivered"}, "/receipts/0/reference"),
        ({"reference": "m", "status": "delivered", "part": 16}, "/receipts/0/part"),
        ({"reference": "m", "status": "delivered", "part": True}, "/receipts/0/part"),
        ({"reference": "m", "status": "delivered", "at": ""}, "/receipts/0/at"),
        ({"reference": "m", "status": "delivered", "at": 1795435200}, "/receipts/0/at"),
        ({"reference": "m", "status": "delivered", "at": "2026-11-23T12:00:00"}, "/receipts/0/at"),
        ({"reference": "m", "status": "delivered", "at": "0001-01-01T00:00:00+14:00"}, "/receipts/0/at"),
        (None, "/receipts/0"),
    ],
)
def test_a_receipt_that_is_not_the_formats_is_refused_by_its_place(item: Any, place: str) -> None:
    with pytest.raises(BadWebhook) as refused:
        signed_webhook.read_receipts(json.dumps({"type": "receipts", "receipts": [item]}).encode())

    assert refused.value.place == place
