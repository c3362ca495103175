"""The portal of examples/, by Flask's own client, against recado's functions: what it sends, shows and believes."""

import html
import importlib
import json
import logging
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import jwt
import pytest
from flask.testing import FlaskClient
from standardwebhooks import Webhook
from werkzeug.test import TestResponse

from recado import clock
from recado.rules import signatures
from recado.settings import SETTINGS
from recado.tables import messages as message_table
from tests.apps import Context, load_app
from tests.conftest import jobs_on
from tests.http_gateway import HttpGateway, http_gateway
from tests.message_worlds import add_course, add_person
from tests.tokens import MASTER, create_key
from tests.worlds import (
    COURSE,
    SCHOOL,
    FakeCarrier,
    TestClock,
    add_guardian,
    add_guardians,
    create_school,
    mobile,
    opt_out,
    work_all,
)

PORTAL = "examples.portal"
KEY_SECRET = signatures.portal_key_secret(MASTER, SCHOOL, "k1")
WEBHOOK_SECRET = "whsec_cmVjYWRvLXJlY2Fkby1yZWNhZG8tcmVjYWRvLTEyMzQ="
TEXT = "Mañana <b>no</b> hay clases & punto."
HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')


@pytest.fixture
def recado(aws: None) -> Iterator[HttpGateway]:
    create_school(domestic=100)
    create_key(SCHOOL)
    add_guardians(3)
    with http_gateway() as door:
        yield door


@pytest.fixture
def app(recado: HttpGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    settings = {
        "RECADO_API": recado.url,
        "RECADO_PAGES": "https://recado.example",
        "RECADO_SCHOOL": SCHOOL,
        "RECADO_KEY_ID": "k1",
        "RECADO_KEY_SECRET": KEY_SECRET,
        "RECADO_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "PORTAL_DATABASE": str(tmp_path / "portal.sqlite"),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    module = load()
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    return module


@pytest.fixture
def portal(app: ModuleType) -> FlaskClient:
    return client_of(app)


@pytest.fixture
def whole_portal(app: ModuleType) -> FlaskClient:
    return client_of(load("whole"))


def load(name: str = "app") -> ModuleType:
    """As a process of its own would: it reads its settings when it begins."""
    for one in [found for found in sys.modules if found.startswith(f"{PORTAL}.")]:
        del sys.modules[one]
    return importlib.import_module(f"{PORTAL}.{name}")


def client_of(app: ModuleType) -> FlaskClient:
    flask = app.app
    flask.testing, flask.test_client_class = True, Browser
    client: FlaskClient = flask.test_client()
    return client


class Browser(FlaskClient):
    """Looks where the portal listens."""

    def open(self, *args: Any, **more: Any) -> TestResponse:
        return super().open(*args, **{"base_url": "http://127.0.0.1"} | more)


# --- what a person does -----------------------------------------------------------------------------------------------


def form_of(page: TestResponse) -> dict[str, str]:
    return {name: html.unescape(value) for name, value in HIDDEN.findall(page.text)}


def estimated(portal: FlaskClient, text: str = TEXT, group: str = COURSE) -> TestResponse:
    written = {"group": group, "category": "classes_cancelled", "text": text}
    return portal.post("/estimate", data=form_of(portal.get("/")) | written)


def texts_sent() -> list[str]:
    """Jobs that wait become texts at the carrier."""
    carrier = FakeCarrier()
    work_all(carrier, TestClock(datetime.now(UTC)))
    return carrier.numbers_heard()


# --- sending ----------------------------------------------------------------------------------------------------------


def test_whoever_writes_sees_whom_it_reaches_and_what_it_costs_and_nothing_is_written_yet(portal: FlaskClient) -> None:
    """L9, L11: who opted out is red, with an icon and words; the number with no use is said to be so."""
    opt_out(mobile(1), "person#g00001")
    add_guardian(9, number=None)

    page = estimated(portal)

    assert page.status_code == 200
    assert "2 reciben el SMS" in page.text
    assert "1 no quieren SMS" in page.text
    assert "1 no tienen número" in page.text
    assert "2 créditos nacionales" in page.text
    assert "quedarán 98" in page.text
    assert f'class="red">⛔ {mobile(1)}' in page.text
    assert message_table.list_messages(SCHOOL, limit=10)[0] == []


def test_pressed_twice_reloaded_or_gone_back_to_it_goes_out_once(portal: FlaskClient) -> None:
    form = form_of(estimated(portal))

    sent = [portal.post("/send", data=form) for _ in range(3)]
    page = portal.get(sent[0].location)

    assert {(one.status_code, one.location) for one in sent} == {(303, sent[0].location)}
    assert sorted(texts_sent()) == [mobile(0), mobile(1), mobile(2)]
    assert "no</b>" not in page.text


def test_the_same_form_estimated_again_is_the_same_sending(portal: FlaskClient) -> None:
    first = estimated(portal)
    again = portal.post("/estimate", data=form_of(first))

    places = {portal.post("/send", data=form_of(one)).location for one in (first, again)}

    assert len(places) == 1
    assert len(texts_sent()) == 3


@pytest.mark.parametrize("lost", [1, 2])
def test_an_answer_that_is_lost_is_asked_for_again_with_the_same_key(
    portal: FlaskClient, recado: HttpGateway, lost: int
) -> None:
    form = form_of(estimated(portal))
    recado.lose = lost

    sent = portal.post("/send", data=form)

    assert sent.status_code == 303
    keys = {request.headers["Idempotency-Key"] for request, _ in recado.asked if request.route == "POST /messages"}
    assert len(keys) == 1
    assert recado.routes_asked().count("POST /messages") == lost + 1
    assert len(texts_sent()) == 3


def test_where_nobody_answers_the_page_says_so_and_pressing_again_sends_once(
    portal: FlaskClient, recado: HttpGateway
) -> None:
    form = form_of(estimated(portal))
    recado.lose = 3

    page = portal.post("/send", data=form)
    sent = portal.post("/send", data=form_of(page))

    assert "no saldrá dos veces" in page.text
    assert form_of(page) == form
    assert sent.status_code == 303
    assert len(texts_sent()) == 3


@pytest.mark.parametrize(("status", "code"), [(500, "internal_error"), (503, "internal_error"), (409, "still_running")])
def test_an_answer_that_does_not_know_either_is_not_told_as_a_no(
    app: ModuleType, portal: FlaskClient, monkeypatch: pytest.MonkeyPatch, status: int, code: str
) -> None:
    form = form_of(estimated(portal))
    answer = SimpleNamespace(status_code=status, json=lambda: {"code": code, "title": "?"})
    with monkeypatch.context() as broken:
        broken.setattr(app.requests, "request", lambda *_, **__: answer)
        page = portal.post("/send", data=form)

    assert "no saldrá dos veces" in page.text
    assert "no salió nada" not in page.text
    assert form_of(page) == form


def test_what_changed_since_the_estimate_is_shown_and_not_sent_until_it_is_pressed_anew(portal: FlaskClient) -> None:
    form = form_of(estimated(portal))
    opt_out(mobile(2), "person#g00002", clock.now())

    refused = portal.post("/send", data=form)
    unsent = texts_sent()
    sent = portal.post("/send", data=form_of(refused))

    assert "plan_changed" in refused.text
    assert "Algo cambió" in refused.text
    assert "2 reciben el SMS" in refused.text
    assert unsent == []
    assert sent.status_code == 303
    assert sorted(texts_sent()) == [mobile(0), mobile(1)]


def test_credits_that_do_not_reach_are_said_in_the_apis_words(portal: FlaskClient) -> None:
    add_course("course-big", "Todos")
    for position in range(101):
        add_person(f"p{position}", number=mobile(1000 + position), courses=("course-big",))

    page = portal.post("/send", data=form_of(estimated(portal, group="course-big")))

    assert "not_enough_credits" in page.text
    assert "Faltan 1 créditos nacionales" in page.text
    assert texts_sent() == []


def test_a_field_that_is_refused_is_named(portal: FlaskClient) -> None:
    page = estimated(portal, "Hola {alumnno}")

    assert "/text" in page.text
    assert "invalid_request" in page.text


def test_a_teacher_is_told_that_she_may_not_send(
    app: ModuleType, recado: HttpGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L2."""
    monkeypatch.setenv("PORTAL_ROLE", "teacher")

    client = client_of(load())
    start, page = client.get("/"), estimated(client)

    assert "Su rol no permite ver esto" in start.text
    assert "not_allowed_to_send" in page.text
    assert "Solo la dirección" in page.text


def test_a_large_audience_is_planned_in_the_background_and_its_draft_is_sent_once(
    whole_portal: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recado.planning.SETTINGS", replace(SETTINGS, audience_max=2))

    waiting = estimated(whole_portal)
    make_plans()
    ready = whole_portal.post(action_of(waiting), data=form_of(waiting))
    places = {whole_portal.post(action_of(ready), data=form_of(ready)).location for _ in range(2)}

    assert "Se está calculando" in waiting.text
    assert re.fullmatch(r"/drafts/\w+/estimate", action_of(waiting))
    assert "3 reciben el SMS" in ready.text
    assert len(places) == 1
    make_plans()
    assert len(texts_sent()) == 3


def test_a_draft_whose_answer_is_lost_is_sent_once_by_the_next_press(
    whole_portal: FlaskClient, recado: HttpGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recado.planning.SETTINGS", replace(SETTINGS, audience_max=2))
    waiting = estimated(whole_portal)
    make_plans()
    ready = whole_portal.post(action_of(waiting), data=form_of(waiting))
    recado.lose = 3

    unknown = whole_portal.post(action_of(ready), data=form_of(ready))
    sent = whole_portal.post(action_of(unknown), data=form_of(unknown))

    assert "no saldrá dos veces" in unknown.text
    assert action_of(unknown) == action_of(ready)
    assert sent.status_code == 303
    make_plans()
    assert len(texts_sent()) == 3


def test_the_portal_on_one_screen_says_that_an_audience_is_too_large_for_it(
    portal: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recado.planning.SETTINGS", replace(SETTINGS, audience_max=2))

    page = estimated(portal)
    make_plans()

    assert "Son demasiadas para esta página" in page.text
    assert "<button>" not in page.text
    assert texts_sent() == []


def action_of(page: TestResponse) -> str:
    """Where the page's button leads."""
    found = re.search(r'<form method="post" action="([^"]*)">', page.text)
    assert found is not None
    return found[1]


def make_plans() -> None:
    """What waits to be planned in the background."""
    for body in jobs_on("PlansQueue"):
        record = {"messageId": "m1", "body": body, "attributes": {"ApproximateReceiveCount": "1"}}
        load_app("plan").handler({"Records": [record]}, Context())


# --- tokens and doors -------------------------------------------------------------------------------------------------


def test_each_request_has_a_token_of_five_minutes_signed_with_the_schools_key(
    portal: FlaskClient, recado: HttpGateway
) -> None:
    portal.get("/")

    ((_, token),) = recado.asked
    assert token is not None
    claims = jwt.decode(token, KEY_SECRET, algorithms=["HS256"])
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT", "kid": "k1"}
    assert (claims["iss"], claims["sub"], claims["role"]) == (SCHOOL, "directora", "director")
    assert claims["exp"] - claims["iat"] == 300


def test_recados_pages_are_given_the_token_of_whoever_is_logged_in_and_no_other_origin_can_read_it(
    portal: FlaskClient, whole_portal: FlaskClient
) -> None:
    answer = whole_portal.get("/token", headers={"Origin": "https://evil.example"})

    claims = jwt.decode(answer.get_json()["token"], KEY_SECRET, algorithms=["HS256"])
    assert (claims["iss"], claims["sub"], claims["role"]) == (SCHOOL, "directora", "director")
    assert claims["exp"] - claims["iat"] == 300
    assert answer.headers["Access-Control-Allow-Origin"] == "https://recado.example"
    assert answer.headers["Cache-Control"] == "no-store"
    assert portal.get("/token").status_code == 404


def test_a_page_of_recados_stands_in_a_frame_and_only_recados(whole_portal: FlaskClient, recado: HttpGateway) -> None:
    page, none = whole_portal.get("/pages/write"), whole_portal.get("/pages/..%2Fsettings")

    assert 'src="https://recado.example/write.html?lang=es"' in page.text
    assert "eyJ" not in page.text
    rules = page.headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "frame-src https://recado.example", "frame-ancestors 'none'"} <= set(rules)
    assert none.status_code == 404
    assert recado.asked == []
    begin = whole_portal.get("/")
    assert 'href="/pages/write"' in begin.text
    assert "frame-src" not in begin.headers["Content-Security-Policy"]


def test_text_is_text(portal: FlaskClient) -> None:
    add_course("course-x", "<script>alert(1)</script>")
    add_person("evil", name='<img src=x onerror="x">', number=mobile(77), courses=("course-x",))

    pages = [portal.get("/"), estimated(portal, group="course-x", text="<script>alert(2)</script>")]

    for page in pages:
        assert "<script" not in page.text
        assert "<img" not in page.text
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "&lt;script&gt;alert(2)" in pages[1].text


def test_another_sites_page_cannot_press_the_button(portal: FlaskClient, recado: HttpGateway) -> None:
    form = form_of(estimated(portal))
    before = len(recado.asked)

    answers = [
        portal.post("/send", data=form, headers={"Origin": "https://evil.example"}),
        portal.post("/send", data=form, headers={"Origin": "null"}),
        portal.post("/send", data=form, headers={"Host": "evil.example"}),
    ]

    assert [one.status_code for one in answers] == [403, 403, 400]
    assert len(recado.asked) == before
    assert portal.post("/send", data=form, headers={"Origin": "http://127.0.0.1"}).status_code == 303


def test_an_id_that_is_none_is_asked_of_nobody(whole_portal: FlaskClient, recado: HttpGateway) -> None:
    form = form_of(estimated(whole_portal))
    before = len(recado.asked)

    assert whole_portal.get("/messages/..%2Fcredits").status_code == 404
    assert whole_portal.get("/messages/a%3Fb").status_code == 404
    for act in ("estimate", "send"):
        assert whole_portal.post(f"/drafts/a%3Fb/{act}", data=form).status_code == 404
    assert len(recado.asked) == before


def test_neither_secret_nor_text_nor_number_is_logged(portal: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    stack = (
        "botocore",
        "boto3",
        "pynamodb",
        "moto",
        "recado",
        "aws_lambda_powertools",
    )  # the test's recado, not the portal

    sent = portal.post("/send", data=form_of(estimated(portal)))
    portal.get(sent.location)
    told(portal, event("message.sent"))

    said = [one.getMessage() for one in caplog.records if not one.name.startswith(stack)]
    assert any("/v1/messages/estimate" in one for one in said)
    for secret in (KEY_SECRET, WEBHOOK_SECRET, "no</b>", mobile(0), "eyJ"):
        assert [one for one in said if secret in one] == []


# --- webhooks ---------------------------------------------------------------------------------------------------------


def event(kind: str, **data: Any) -> str:
    return json.dumps({"type": kind, "timestamp": "2026-11-26T12:00:00.000Z", "school": SCHOOL, "data": data})


def told(
    portal: FlaskClient,
    body: str,
    *,
    webhook_id: str = "w1",
    secret: str = WEBHOOK_SECRET,
    age: timedelta = timedelta(0),
    change: Callable[[str], str] = lambda body: body,
) -> int:
    at = datetime.now(UTC) - age
    headers = {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(webhook_id, at, body),
        "Content-Type": "application/json",
    }
    return portal.post("/recado", data=change(body).encode(), headers=headers).status_code


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("message.sent", "El mensaje llegó a su fin"),
        ("message.recipients_changed", "Se sabe más de sus textos"),
        ("reply.received", "Una familia respondió"),
        ("opt_out.changed", "Alguien apagó o encendió sus SMS"),
        ("balance.low", "Quedan pocos créditos"),
        ("import.ready", "La nómina nueva está comparada"),
        ("some.day", "some.day"),
    ],
)
def test_what_recado_tells_is_shown(portal: FlaskClient, kind: str, words: str) -> None:
    status = told(portal, event(kind, message="m1"))

    assert status == 204
    assert words in portal.get("/").text


def test_an_event_that_comes_twice_is_noted_once_also_after_a_restart(portal: FlaskClient) -> None:
    body = event("message.sent", message="m1")

    first = told(portal, body)
    again = told(client_of(load()), body)
    told(portal, body, webhook_id="w2")

    assert (first, again) == (204, 204)
    assert portal.get("/").text.count("El mensaje llegó a su fin") == 2


def test_a_messages_page_shows_whom_it_reached_and_what_was_told(portal: FlaskClient) -> None:
    place = portal.post("/send", data=form_of(estimated(portal))).location

    told(portal, event("message.sent", message=place.rpartition("/")[2]))
    page = portal.get(place)

    assert "El mensaje llegó a su fin" in page.text
    assert mobile(0) in page.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": "whsec_YW5vdGhlci1hbm90aGVyLWFub3RoZXItYW5vdGhlcg=="},
        {"change": lambda body: body.replace("message", "massage")},
        {"change": lambda body: body + " "},
        {"age": timedelta(minutes=6)},
        {"age": timedelta(minutes=-6)},
    ],
)
def test_what_is_not_signed_as_it_stands_and_lately_is_refused(portal: FlaskClient, wrong: dict[str, Any]) -> None:
    assert told(portal, event("message.sent", message="m1"), **wrong) == 401
    assert portal.post("/recado", data="{}").status_code == 401
    assert "El mensaje llegó a su fin" not in portal.get("/").text
