"""The simulated carrier, over real HTTP on a free port, with a recado that only listens."""

import http.client
import json
import random
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from local.handsets.faults import Faults, FaultsError, read_faults
from local.handsets.phones import Answer, Phones, Text
from local.handsets.server import Running, Setup, handsets
from local.handsets.webhooks import RETRY_DELAYS, Outbox, Receipt, Told

TO_CARRIER = "whsec_" + "dG8tY2Fycmllci10by1jYXJyaWVyLTAx"
FROM_CARRIER = "whsec_" + "ZnJvbS1jYXJyaWVyLWZyb20tY2Fycmll"
MARIA = "+56900000001"
WAIT_SECONDS = 5


@dataclass
class Post:
    path: str
    body: dict[str, Any]
    is_signed: bool


@dataclass
class Listener:
    """Stands where recado's webhooks are: keeps what arrives, answers what it is told to."""

    statuses: list[int] = field(default_factory=list)  # answers to the first posts; then 202
    posts: list[Post] = field(default_factory=list)
    url: str = ""
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, count: int) -> list[Post]:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.posts) >= count, WAIT_SECONDS), "recado was not called"
            return list(self.posts)


@contextmanager
def listening(*statuses: int) -> Iterator[Listener]:
    listener = Listener(list(statuses))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            verified = Webhook(FROM_CARRIER).verify(body, dict(self.headers))
            with listener.arrived:
                status = listener.statuses.pop(0) if listener.statuses else 202
                listener.posts.append(Post(self.path, json.loads(body), verified is not None))
                listener.arrived.notify_all()
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield listener
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def carrier(recado: Listener, state_file: Path | None = None) -> Iterator[Running]:
    setup = Setup(recado.url, TO_CARRIER, FROM_CARRIER, state_file=state_file)
    with handsets(setup, dice=random.Random(7)) as running:  # noqa: S311  # dice, not secrets
        yield running


@pytest.fixture
def recado() -> Iterator[Listener]:
    with listening() as listener:
        yield listener


@pytest.fixture
def running(recado: Listener) -> Iterator[Running]:
    with carrier(recado) as started:
        yield started


@dataclass(frozen=True)
class Got:
    status: int
    body: Any
    headers: dict[str, str]


def call(running: Running, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> Got:
    host, port = running.url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=WAIT_SECONDS)
    try:
        content = body if isinstance(body, str) else json.dumps(body)
        sent = {"content-type": "application/json"} | (headers or {})
        connection.request(method, path, content.encode() if body is not None else None, sent)
        response = connection.getresponse()
        answered = response.read().decode()
        is_json = "json" in response.headers.get("content-type", "")
        return Got(response.status, json.loads(answered) if is_json else answered, dict(response.headers))
    finally:
        connection.close()


def wave(*messages: tuple[str, str, str]) -> str:
    return json.dumps(
        {
            "type": "messages.send",
            "messages": [
                {"reference": reference, "to": number, "from": "20600", "text": text, "validity_seconds": 300}
                for reference, number, text in messages
            ],
        }
    )


def signed(body: str, at: datetime | None = None, secret: str = TO_CARRIER) -> dict[str, str]:
    at = at or datetime.now(UTC)
    webhook_id = f"w-{uuid.uuid4().hex}"
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(webhook_id, at, body),
    }


def send(running: Running, *messages: tuple[str, str, str]) -> Got:
    body = wave(*messages)
    return call(running, "POST", "/send", body, signed(body))


def texts_of(running: Running, number: str = MARIA) -> list[dict[str, Any]]:
    texts: list[dict[str, Any]] = call(running, "GET", f"/handsets/{number.replace('+', '%2B')}").body["texts"]
    return texts


# --- taking a wave ---


def test_a_signed_wave_is_answered_per_message_and_shown(running: Running) -> None:
    got = send(running, ("m.0.0", MARIA, "Reunión a las 19:00"), ("m.0.1", "no number", "x"))

    first, second = got.body["messages"]
    assert (first["reference"], first["status"]) == ("m.0.0", "accepted")
    assert first["id"].startswith("c-")
    assert second == {"reference": "m.0.1", "status": "refused", "reason": "wrong_number", "code": "EC_NOT_A_NUMBER"}
    assert [(text["code"], text["text"]) for text in texts_of(running)] == [("20600", "Reunión a las 19:00")]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda headers: headers | {"webhook-signature": "v1,AAAA"},
        lambda headers: headers | {"webhook-signature": "nonsense"},
        lambda headers: headers | {"webhook-id": "another"},
        lambda _: {},
    ],
)
def test_a_wave_whose_signature_does_not_hold_changes_nothing(
    running: Running, spoil: Callable[[dict[str, str]], dict[str, str]]
) -> None:
    body = wave(("m.0.0", MARIA, "hola"))

    got = call(running, "POST", "/send", body, spoil(signed(body)))

    assert (got.status, got.body["code"]) == (401, "bad_signature")
    assert got.headers["Content-Type"].startswith("application/problem+json")
    assert call(running, "GET", "/handsets").body == []


def test_a_wave_signed_with_the_other_directions_secret_is_refused(running: Running) -> None:
    body = wave(("m.0.0", MARIA, "hola"))

    got = call(running, "POST", "/send", body, signed(body, secret=FROM_CARRIER))

    assert got.status == 401


def test_a_wave_with_an_old_timestamp_is_refused(running: Running) -> None:
    body = wave(("m.0.0", MARIA, "hola"))

    got = call(running, "POST", "/send", body, signed(body, at=datetime.now(UTC) - timedelta(minutes=6)))

    assert got.status == 401
    assert texts_of(running) == []


def test_a_wave_with_a_wrong_field_is_refused_whole_and_names_it(running: Running) -> None:
    body = wave(("m.0.0", MARIA, "hola"), ("m.0.1", MARIA, ""))

    got = call(running, "POST", "/send", body, signed(body))

    assert (got.status, got.body["errors"][0]["field"]) == (400, "messages[1].text")
    assert texts_of(running) == []


def test_the_same_reference_again_gets_the_same_answer_and_is_shown_once(running: Running) -> None:
    first = send(running, ("m.0.0", MARIA, "hola"))

    second = send(running, ("m.0.0", MARIA, "hola"))

    assert second.body == first.body
    assert [(text["text"], text["times_asked"]) for text in texts_of(running)] == [("hola", 2)]


def test_the_same_reference_twice_in_one_wave_is_one_text_and_one_receipt(running: Running, recado: Listener) -> None:
    send(running, ("m.0.0", MARIA, "hola"), ("m.0.0", MARIA, "hola"))

    posts = recado.wait_for(1)
    assert len(posts[0].body["receipts"]) == 1
    assert len(texts_of(running)) == 1


def test_parts_are_counted_as_the_network_cuts_them(running: Running, recado: Listener) -> None:
    send(running, ("m.0.0", MARIA, "a" * 161))

    assert texts_of(running)[0]["parts"] == 2
    assert recado.wait_for(1)[0].body["receipts"][0]["parts"] == 2


# --- receipts and replies ---


def test_receipts_come_back_signed_and_speak_for_the_whole_text(running: Running, recado: Listener) -> None:
    send(running, ("m.0.0", MARIA, "hola"), ("m.0.1", "+56900000002", "hola"))

    post = recado.wait_for(1)[0]
    assert post.path == "/v1/carriers/signed_webhook/receipts"
    assert post.is_signed
    assert post.body["type"] == "receipts"
    assert [(r["reference"], r["status"], r["part"]) for r in post.body["receipts"]] == [
        ("m.0.0", "delivered", 0),
        ("m.0.1", "delivered", 0),
    ]


def test_a_receipt_that_recado_does_not_take_is_sent_again_under_the_same_id() -> None:
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    asked: list[str] = []
    outbox = Outbox(_Refusing(asked), clock=lambda: now)  # type: ignore[arg-type]  # it only needs post_receipts
    outbox.add([Receipt("m.0.0", "delivered", 1, "2026-11-23T12:00:00Z")], due=now)

    outbox.send_due()
    assert outbox.send_due() == 0, "the second attempt waits"
    for delay in RETRY_DELAYS:
        now += delay
        outbox.send_due()
    now += timedelta(days=1)

    assert outbox.send_due() == 0, "the attempts are bounded"
    assert len(asked) == 1 + len(RETRY_DELAYS)
    assert len(set(asked)) == 1
    assert outbox.counts() == {"waiting": 0, "sent": 0, "given_up": 1}


class _Refusing:
    def __init__(self, asked: list[str]) -> None:
        self._asked = asked

    def post_receipts(self, webhook_id: str, _: list[Receipt]) -> Told:
        self._asked.append(webhook_id)
        return Told(None if len(self._asked) % 2 else 500, "")


def test_a_receipt_refused_once_arrives_at_the_second_attempt() -> None:
    with listening(500) as recado, carrier(recado) as running:
        send(running, ("m.0.0", MARIA, "hola"))

        first, second = recado.wait_for(2)
        assert first.body == second.body


def test_an_answer_on_a_handset_reaches_recado_signed(running: Running, recado: Listener) -> None:
    got = call(running, "POST", "/handsets/%2B56900000001/replies", {"to": "20600", "text": "Sí, voy"})

    post = recado.wait_for(1)[0]
    reply = post.body["replies"][0]
    assert post.path == "/v1/carriers/signed_webhook/replies"
    assert (reply["from"], reply["to"], reply["text"]) == (MARIA, "20600", "Sí, voy")
    assert reply["id"] == got.body["id"]
    assert datetime.fromisoformat(reply["received_at"]).tzinfo is not None
    assert (got.status, got.body["status"]) == (200, 202)
    assert [(text["direction"], text["answer"]) for text in texts_of(running)] == [("sent", "HTTP 202")]


def test_the_page_is_told_when_recado_refuses_a_reply() -> None:
    with listening(401) as recado, carrier(recado) as running:
        got = call(running, "POST", "/handsets/%2B56900000001/replies", {"to": "20600", "text": "hola"})

        assert (got.status, got.body["taken"], got.body["status"]) == (502, False, 401)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/handsets/56900000001/replies", {"to": "20600", "text": "x"}, "number"),
        ("/handsets/%2B56900000001/replies", {"to": "20 600", "text": "x"}, "to"),
        ("/handsets/%2B56900000001/replies", {"to": "20600", "text": ""}, "text"),
        ("/handsets/%2B56900000001/replies", ["20600"], "to"),
    ],
)
def test_a_reply_that_cannot_be_sent_names_its_field(
    running: Running, recado: Listener, path: str, body: object, field: str
) -> None:
    got = call(running, "POST", path, body)

    assert (got.status, got.body["errors"][0]["field"]) == (400, field)
    assert recado.posts == []


# --- faults ---


def set_faults(running: Running, **faults: object) -> None:
    assert call(running, "PUT", "/faults", faults).status == 200


def test_a_failing_carrier_takes_nothing(running: Running) -> None:
    set_faults(running, fail_share=1)

    got = send(running, ("m.0.0", MARIA, "hola"))

    assert got.status == 500
    assert texts_of(running) == []


def test_a_lost_answer_leaves_the_text_on_the_handset_and_asking_again_shows_it_once(running: Running) -> None:
    set_faults(running, lose_answers_share=1)
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        send(running, ("m.0.0", MARIA, "hola"))
    set_faults(running)

    got = send(running, ("m.0.0", MARIA, "hola"))

    assert got.body["messages"][0]["status"] == "accepted"
    assert [(text["text"], text["times_asked"]) for text in texts_of(running)] == [("hola", 2)]


def test_receipts_twice_are_the_same_receipts_in_two_posts(running: Running, recado: Listener) -> None:
    set_faults(running, receipts_twice=True)

    send(running, ("m.0.0", MARIA, "hola"))

    first, second = recado.wait_for(2)
    assert first.body == second.body


def test_no_receipts_owes_none(running: Running) -> None:
    set_faults(running, no_receipts=True)

    send(running, ("m.0.0", MARIA, "hola"))

    assert call(running, "GET", "/health").body["receipts"] == {"waiting": 0, "sent": 0, "given_up": 0}


def test_delayed_receipts_wait(running: Running, recado: Listener) -> None:
    set_faults(running, receipts_delay_seconds=3600)

    send(running, ("m.0.0", MARIA, "hola"))

    assert call(running, "GET", "/health").body["receipts"]["waiting"] == 1
    assert recado.posts == []


def test_refused_texts_are_not_shown_and_stay_refused(running: Running) -> None:
    set_faults(running, refuse_share=1)
    first = send(running, ("m.0.0", MARIA, "hola"))
    set_faults(running)

    second = send(running, ("m.0.0", MARIA, "hola"))

    assert first.body["messages"][0]["status"] == "refused"
    assert first.body["messages"][0]["reason"] in {"wrong_number", "blocked"}
    assert second.body == first.body
    assert texts_of(running) == []


def test_not_now_may_be_taken_when_asked_later(running: Running) -> None:
    set_faults(running, not_now_share=1)
    first = send(running, ("m.0.0", MARIA, "hola"))
    set_faults(running)

    second = send(running, ("m.0.0", MARIA, "hola"))

    assert (first.body["messages"][0]["status"], first.body["messages"][0]["reason"]) == ("refused", "try_later")
    assert second.body["messages"][0]["status"] == "accepted"


def test_an_unreachable_handset_shows_nothing_and_its_receipt_says_so(running: Running, recado: Listener) -> None:
    set_faults(running, unreachable_share=1)

    send(running, ("m.0.0", MARIA, "hola"))

    assert recado.wait_for(1)[0].body["receipts"][0]["status"] == "unreachable"
    assert texts_of(running) == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"slow_seconds": -1}, "slow_seconds"),
        ({"slow_seconds": 61}, "slow_seconds"),
        ({"fail_share": 1.01}, "fail_share"),
        ({"fail_share": float("nan")}, "fail_share"),
        ({"fail_share": "0.5"}, "fail_share"),
        ({"fail_share": True}, "fail_share"),
        ({"receipts_twice": 1}, "receipts_twice"),
        ({"sloww_seconds": 1}, "sloww_seconds"),
        ([], "body"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused_by_name(body: object, field: str) -> None:
    with pytest.raises(FaultsError) as refused:
        read_faults(body)

    assert refused.value.field == field


@pytest.mark.parametrize(("fault", "status"), [("busy_share", 429), ("barred_share", 403)])
def test_a_wave_that_is_not_taken_says_so_and_shows_nothing(running: Running, fault: str, status: int) -> None:
    set_faults(running, **{fault: 1})

    refused = send(running, ("m.0.0", MARIA, "hola"))
    set_faults(running)
    taken = send(running, ("m.0.0", MARIA, "hola"))

    assert (refused.status, taken.status) == (status, 200)
    assert [text["times_asked"] for text in texts_of(running)] == [1]


def test_faults_of_a_while_end_by_themselves(running: Running) -> None:
    set_faults(running, busy_share=1, for_seconds=0.000001)

    assert send(running, ("m.0.0", MARIA, "hola")).status == 200
    assert call(running, "GET", "/faults").body == Faults().as_json()


def test_wrong_faults_answer_400_and_leave_the_faults_as_they_were(running: Running) -> None:
    set_faults(running, slow_seconds=0.01)

    got = call(running, "PUT", "/faults", {"slow_seconds": "much"})

    assert (got.status, got.body["errors"][0]["field"]) == (400, "slow_seconds")
    assert call(running, "GET", "/faults").body == Faults(slow_seconds=0.01).as_json()


def test_the_same_dice_give_the_same_faults() -> None:
    outcomes = []
    for _ in range(2):
        with listening() as recado, carrier(recado) as running:
            set_faults(running, refuse_share=0.5, no_receipts=True)
            got = send(running, *((f"m.0.{index}", MARIA, "hola") for index in range(40)))
            outcomes.append([message["status"] for message in got.body["messages"]])

    assert outcomes[0] == outcomes[1]
    assert set(outcomes[0]) == {"accepted", "refused"}


# --- the page's side ---


def test_unread_counts_go_up_with_texts_and_to_zero_when_read(running: Running) -> None:
    send(running, ("m.0.0", MARIA, "uno"), ("m.0.1", MARIA, "dos"))
    before = call(running, "GET", "/handsets").body[0]

    call(running, "POST", "/handsets/%2B56900000001/read")

    assert (before["number"], before["unread"], before["last"]["text"]) == (MARIA, 2, "dos")
    assert call(running, "GET", "/handsets").body[0]["unread"] == 0


def test_a_new_text_reaches_an_open_page_live(running: Running) -> None:
    host, port = running.url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=WAIT_SECONDS)
    connection.request("GET", "/events")
    stream = connection.getresponse()
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert stream.readline() == b"retry: 1000\n"

    send(running, ("m.0.0", MARIA, "hola\nqué tal"))

    assert stream.readline() == b"\n"
    assert stream.readline() == b"event: text\n"
    told = json.loads(stream.readline().removeprefix(b"data: "))
    assert (told["number"], told["unread"], told["text"]["text"]) == (MARIA, 1, "hola\nqué tal")
    connection.close()


def test_the_page_loads_nothing_from_elsewhere(running: Running) -> None:
    page = call(running, "GET", "/")

    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    for path in ("/", "/handsets.js", "/handsets.css", "/favicon.svg"):
        got = call(running, "GET", path)
        assert got.status == 200
        assert "http:" not in got.body.replace("http://www.w3.org/2000/svg", "")
        assert "https:" not in got.body


def test_another_hosts_name_is_refused(running: Running) -> None:
    got = call(running, "GET", "/handsets", headers={"host": "evil.example:4580"})

    assert (got.status, got.body["code"]) == (403, "not_loopback")


def test_a_body_that_is_not_declared_json_is_refused(running: Running, recado: Listener) -> None:
    got = call(
        running,
        "POST",
        "/handsets/%2B56900000001/replies",
        '{"to": "20600", "text": "x"}',
        {"content-type": "text/plain"},
    )

    assert got.status == 415
    assert recado.posts == []


def test_what_the_handsets_hold_survives_a_restart(recado: Listener, tmp_path: Path) -> None:
    file = tmp_path / "handsets.json"
    with carrier(recado, file) as running:
        first = send(running, ("m.0.0", MARIA, "hola"))

    with carrier(recado, file) as running:
        again = send(running, ("m.0.0", MARIA, "hola"))

        assert again.body == first.body
        assert [(text["text"], text["times_asked"]) for text in texts_of(running)] == [("hola", 2)]
        assert call(running, "GET", "/handsets").body[0]["unread"] == 1


def test_a_save_that_breaks_leaves_the_old_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "handsets.json"
    phones = Phones()
    phones.receive(MARIA, Text("c-1", "received", "20600", "hola", "2026-11-23T12:00:00Z", 1, "m.0.0"))
    phones.save(file)
    before = file.read_bytes()
    phones.remember_answer("m.0.1", Answer("accepted", id="c-2"))

    def full_disk(_: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="no space"):
        phones.save(file)

    assert file.read_bytes() == before
    assert phones.is_changed()
