"""The CAPTCHA hook: asked of a provider on this machine, once for each session, and nobody in when it does not say."""

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest

from recado import captcha, clock
from recado.settings import SETTINGS
from tests.apps import Context, call, load_app, load_event
from tests.conftest import all_tables, client
from tests.session_worlds import create_codes, deliver, sweep
from tests.worlds import FakeCarrier, TestClock

SECRET = "secret-of-the-site"
SOLUTION = "0.solution-of-a-widget"
GOOD = b'{"success": true, "hostname": "mensajes.example"}'
ADDRESS = "203.0.113.24"

type Reply = Callable[[BaseHTTPRequestHandler], None]


def says(body: bytes, status: int = 200, **headers: str) -> Reply:
    def reply(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    return reply


@dataclass
class Provider:
    """Answers each question as it is told, and remembers what it was asked."""

    port: int = 0
    reply: Reply = field(default_factory=lambda: says(GOOD))
    asked: list[dict[str, list[str]]] = field(default_factory=list)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"])).decode()
        self.asked.append(parse_qs(body))
        self.reply(request)


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    found = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.answer(self)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.port = server.server_port
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    set_address(monkeypatch, f"http://127.0.0.1:{found.port}/siteverify")
    yield found
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def moment(aws: None, monkeypatch: pytest.MonkeyPatch) -> TestClock:
    moment = TestClock()
    monkeypatch.setattr(clock, "now", moment)
    create_codes()
    client("ssm").put_parameter(Name=SETTINGS.captcha_secret_path, Value=SECRET, Type="SecureString")
    return moment


def set_address(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setattr(captcha, "SETTINGS", replace(SETTINGS, captcha_verify_url=address))


def open_one(**body: Any) -> tuple[int, Any]:
    event = load_event("sessions_opened_with_a_captcha")
    asked = {name: value for name, value in (json.loads(event["body"]) | body).items() if value is not None}
    return call("sessions", event | {"body": json.dumps(asked)})


def nothing_is_written() -> bool:
    return not any(all_tables()[table] for table in ("SessionsTable", "PeopleTable")) and all(
        row["pk"]["S"].startswith("CODES#") for row in all_tables()["RoutesTable"]
    )


def test_without_a_provider_no_solution_is_asked_for() -> None:
    assert SETTINGS.captcha_verify_url == ""
    assert open_one(captcha=None)[0] == 201


def test_a_good_solution_opens_a_session_and_is_put_to_the_provider_in_the_common_form(provider: Provider) -> None:
    assert open_one()[0] == 201

    assert provider.asked == [{"secret": [SECRET], "response": [SOLUTION], "remoteip": [ADDRESS]}]


def test_without_a_solution_nothing_is_written_and_nobody_is_asked(provider: Provider) -> None:
    status, body = open_one(captcha=None)

    assert (status, body["code"]) == (403, "captcha_required")
    assert provider.asked == []
    assert nothing_is_written()


def test_a_solution_that_the_provider_refuses_opens_nothing_and_another_one_may_come_with_the_same_key(
    provider: Provider,
) -> None:
    provider.reply = says(b'{"success": false, "error-codes": ["timeout-or-duplicate"]}')
    status, body = open_one()
    is_clean = nothing_is_written()
    provider.reply = says(GOOD)

    assert (status, body["code"], is_clean) == (403, "captcha_failed", True)
    assert open_one(captcha="another")[0] == 201


def test_a_repeat_of_what_opened_its_session_needs_no_second_solution(provider: Provider, moment: TestClock) -> None:
    first = open_one()
    provider.reply = says(b'{"success": false, "error-codes": ["timeout-or-duplicate"]}')
    moment.move(seconds=10)

    assert [open_one(), open_one(captcha="another"), open_one(captcha=None)] == [first] * 3
    assert len(provider.asked) == 1


def test_what_is_wrong_anyway_uses_up_no_solution(provider: Provider) -> None:
    assert open_one(text="")[0] == 422
    assert open_one(to=["12"])[0] == 422
    assert open_one(captcha="x" * 4097)[0] == 422

    assert provider.asked == []


def say(session_id: str, token_of: dict[str, Any], **body: Any) -> tuple[int, Any]:
    event = load_event("sessions_said_with_numbers")
    event["pathParameters"] = {"session_id": session_id}
    event["requestContext"]["authorizer"] = token_of
    return call("sessions", event | {"body": json.dumps(json.loads(event["body"]) | body)})


def test_a_text_that_opens_another_session_needs_a_solution_and_one_in_its_session_none(
    provider: Provider, moment: TestClock
) -> None:
    _, opened = open_one()
    token_of = {"session": opened["id"]}
    deliver(FakeCarrier(), moment)
    within, _ = say(opened["id"], token_of)
    deliver(FakeCarrier(), moment)
    moment.move(minutes=6)
    sweep(moment)

    event = load_event("sessions_said_with_numbers")
    event["headers"]["Idempotency-Key"] = "pagina-after-the-end-00000001"
    event["pathParameters"], event["requestContext"]["authorizer"] = {"session_id": opened["id"]}, token_of
    without = call("sessions", event)
    body = json.dumps(json.loads(event["body"]) | {"captcha": "fresh"})
    with_one = call("sessions", event | {"body": body})
    again = call("sessions", event)

    assert within == 201
    assert (without[0], without[1]["code"]) == (403, "captcha_required")
    assert with_one[0] == 201
    assert with_one[1]["id"] != opened["id"]
    assert again == with_one
    assert [one["response"] for one in provider.asked] == [[SOLUTION], ["fresh"]]


def hang_up(request: BaseHTTPRequestHandler) -> None:
    request.connection.shutdown(socket.SHUT_RDWR)


UNHEARD: dict[str, Reply] = {
    "garbage": says(b"<html>"),
    "deep": says(b"[" * 8000),
    "no object": says(b"[true]"),
    "no word": says(b"{}"),
    "truthy": says(b'{"success": "true"}'),
    "not UTF-8": says(b"\xff\xfe"),
    "huge": says(b'{"success": true, "x": "' + b"x" * 20_000 + b'"}'),
    "redirect": says(b"", 302, Location="http://127.0.0.1:9/elsewhere"),
    "good words with a redirect": says(GOOD, 307, Location="/siteverify"),
    "error": says(GOOD, 500),
    "our secret is wrong": says(b'{"success": false, "error-codes": ["invalid-input-secret"]}'),
    "hangs up": hang_up,
}


@pytest.mark.parametrize("what", UNHEARD)
def test_when_the_provider_does_not_say_nobody_is_let_in(provider: Provider, what: str) -> None:
    provider.reply = UNHEARD[what]
    event = load_event("sessions_opened_with_a_captcha")

    answered = load_app("sessions").handler(event, Context())

    assert (answered["statusCode"], json.loads(answered["body"])["code"]) == (503, "captcha_unavailable")
    assert answered["multiValueHeaders"]["Retry-After"] == ["5"]
    assert len(provider.asked) == 1
    assert not all_tables()["SessionsTable"]


def test_a_provider_that_is_silent_or_not_there_lets_nobody_in(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = threading.Event()

    def say_nothing(_: BaseHTTPRequestHandler) -> None:
        done.wait(30)

    provider.reply = say_nothing
    monkeypatch.setattr(captcha, "READ_SECONDS_MAX", 0.05)
    captcha._pool.cache_clear()

    silent = open_one()
    done.set()
    set_address(monkeypatch, "http://127.0.0.1:9/siteverify")
    absent = open_one()
    captcha._pool.cache_clear()

    assert [(status, body["code"]) for status, body in (silent, absent)] == [(503, "captcha_unavailable")] * 2


def test_an_answer_that_only_trickles_in_is_not_waited_for(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    real, passed = time.monotonic, [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: real() + passed[0])
    read = captcha._read

    def late(answer: Any, deadline: float) -> bytes | None:
        passed[0] += captcha.ANSWER_SECONDS_MAX  # as if each byte had come just in time
        return read(answer, deadline)

    monkeypatch.setattr(captcha, "_read", late)

    status, body = open_one()

    assert (status, body["code"]) == (503, "captcha_unavailable")


@pytest.mark.parametrize(
    "address", ["http://captcha.example/verify", "ftp://127.0.0.1/x", "//x", "https://a:b@captcha.example/"]
)
def test_a_solution_never_goes_out_unencrypted(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_address(monkeypatch, address)

    assert open_one()[0] == 500
    assert not all_tables()["SessionsTable"]


def test_without_the_sites_secret_nobody_is_let_in(provider: Provider) -> None:
    client("ssm").delete_parameter(Name=SETTINGS.captcha_secret_path)

    assert open_one()[0] == 500
    assert provider.asked == []


def test_neither_solution_nor_secret_nor_address_is_logged(
    provider: Provider, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    provider.reply = says(b'{"success": false}')
    open_one(captcha="x.not-good")
    for reply in UNHEARD.values():
        provider.reply = reply
        open_one()

    printed = capsys.readouterr()
    ours = [record for record in caplog.records if not record.name.startswith("botocore")]
    logged = printed.out + printed.err + "".join(repr(vars(record)) for record in ours)
    assert "captcha_unavailable" in logged
    assert [one for one in (SOLUTION, "x.not-good", SECRET, ADDRESS) if one in logged] == []


def test_a_page_knows_before_it_opens_a_session_what_it_must(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = load_app("sessions")
    monkeypatch.setattr(
        app, "SETTINGS", replace(SETTINGS, captcha_verify_url="https://captcha.example", captcha_site_key="key-1")
    )

    answered = app.handler(load_event("sessions_settings"), Context())

    assert answered["statusCode"] == 200
    assert answered["multiValueHeaders"]["Cache-Control"] == ["public, max-age=300"]
    assert json.loads(answered["body"]) == {
        "handsets_max": 1000,
        "segments_max": 10,
        "idle_seconds": 300,
        "countries": ["DO"],
        "captcha_site_key": "key-1",
    }


def test_without_a_captcha_a_page_is_told_of_none() -> None:
    assert call("sessions", load_event("sessions_settings"))[1]["captcha_site_key"] is None
