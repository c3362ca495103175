"""The page of sessions: people without an account, each at a browser, and the handsets they write to (C1 to C9)."""

import gzip
import json
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Page, Route, WebSocketRoute, expect

from local.api import ApiError
from recado.rules.segments import count_segments
from tests.end_to_end.conftest import Stack
from tests.end_to_end.pages.conftest import Visitor
from tests.end_to_end.test_interactive_sessions import (
    FIVE_MINUTES,
    Web,
    make_older,
    new_key,
    operator,
    reply,
    rows_left,
    texts_on,
)
from tests.end_to_end.test_stack import wait_for

ROOT = Path(__file__).parent.parent.parent.parent
BOX = "Aquí recibirás tu respuesta"
FOUR_MINUTES = timedelta(minutes=4, seconds=5)  # then less than one is left, of five
PATIENCE_MS = 40_000  # replies come through functions that start at their first call, on a machine with much to do
expect.set_options(timeout=PATIENCE_MS)

type Visit = Callable[..., Visitor]


@dataclass
class Talk:
    """Somebody at the page, and what a test needs to know of it that they do not see."""

    stack: Stack
    visitor: Visitor
    session: dict[str, Any]

    @property
    def page(self) -> Page:
        return self.visitor.page

    @property
    def numbers(self) -> Locator:
        return self.page.get_by_label("Números de celular")

    @property
    def text(self) -> Locator:
        return self.page.get_by_label("Tu mensaje")

    @property
    def box(self) -> Locator:
        return self.page.get_by_role("region", name=BOX)

    @property
    def lines(self) -> Locator:
        return self.page.get_by_role("log").get_by_role("listitem")

    def enter(self, fragment: str = "") -> "Talk":
        self.page.goto(f"{self.stack.pages_url}/interactive.html{fragment}")
        self.text.wait_for()
        return self

    def send(self) -> None:
        self.page.get_by_role("button", name="Enviar").click()

    def open(self, *numbers: str, text: str = "¿Vienes a las 5?") -> None:
        self.numbers.fill(", ".join(numbers))
        self.text.fill(text)
        self.send_and_hear()

    def send_and_hear(self) -> None:
        """Sends and keeps what the API answered."""
        with self.page.expect_response(re.compile(r"/v1/sessions(/[a-z2-7]+/messages)?$")) as asked:
            self.send()
        self.session = asked.value.json()
        assert asked.value.status == 201, self.session

    def wait_for_turn(self) -> None:
        expect(self.page.get_by_role("button", name="Enviar")).to_have_attribute("aria-disabled", "false")

    def code(self, number: str) -> str:
        found: str = next(one["code"] for one in self.session["handsets"] if one["number"] == number)
        return found

    def answer(self, number: str, text: str) -> None:
        """The handset answers, when it has got the text."""
        wait_for(lambda: [code for code, _ in texts_on(self.stack, number) if code == self.code(number)], "the text")
        reply(self.stack, number, self.code(number), text)

    def look_again(self) -> None:
        """As if the tab had been behind another: the page reads."""
        self.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    def end_by_time(self) -> None:
        """As if five minutes had passed at the service, and then on this page."""
        make_older(self.stack, Web(self.stack, self.session), FIVE_MINUTES)


@pytest.fixture(scope="module", autouse=True)
def _inbound_has_started(stack: Stack) -> None:
    """A handset waits ten seconds for its reply to be taken; the function's first may take longer."""

    def is_taken() -> bool:
        try:
            reply(stack, "+18495559999", "20701", "nadie lee esto")
        except ApiError:
            return False
        return True

    wait_for(is_taken, "a reply to be taken", 90)


@pytest.fixture
def talk(stack: Stack, visit: Visit) -> Callable[..., Talk]:
    def come(**options: object) -> Talk:
        visitor = visit(**options)
        visitor.context.set_default_timeout(PATIENCE_MS)
        return Talk(stack, visitor, {})

    return come


@pytest.fixture
def number() -> str:
    """A handset that nobody has written to yet."""
    return f"+1849555{secrets.randbelow(10_000):04}"


def spelt(number: str) -> str:
    """As people read it: +1 849 555 0101."""
    return f"+1 {number[2:5]} {number[5:8]} {number[8:]}"


def memory_of(page: Page) -> str:
    """All that the page's JavaScript can still reach, as a heap snapshot: every string of it is in there."""
    inspector = page.context.new_cdp_session(page)
    pieces: list[str] = []
    inspector.on("HeapProfiler.addHeapSnapshotChunk", lambda said: pieces.append(said["chunk"]))
    inspector.send("HeapProfiler.enable")
    inspector.send("HeapProfiler.collectGarbage")
    inspector.send("HeapProfiler.takeHeapSnapshot", {"reportProgress": False})
    inspector.detach()
    return "".join(pieces)


def refusing(status: int, code: str, retry_after: int | None = None, **members: object) -> Callable[[Route], None]:
    """A route that answers so, as the service does."""
    body = {"type": "about:blank", "title": code, "status": status, "code": code} | members
    headers = {"Content-Type": "application/problem+json"} | ({"Retry-After": str(retry_after)} if retry_after else {})
    return lambda route: route.fulfill(status=status, headers=headers, body=json.dumps(body))


# --- a talk


def test_two_people_write_to_one_handset_and_each_reads_its_own_answer_without_reloading_C4(
    stack: Stack, talk: Callable[..., Talk], number: str
) -> None:
    ana, luis = talk().enter(), talk().enter()
    expect(ana.page.get_by_role("heading", name=BOX, exact=True)).to_be_visible()
    ana.visitor.take_picture("interactive-empty")
    ana.open(number, text="Soy Ana. ¿Vienes?")
    luis.open(number, text="Soy Luis. ¿Vienes?")
    expect(ana.box.get_by_text("En vivo")).to_be_visible()

    ana.answer(number, "Sí, Ana <b>voy</b> 😀")
    luis.answer(number, "No, Luis")

    expect(ana.lines).to_have_count(2)
    expect(ana.lines.last).to_contain_text("Sí, Ana <b>voy</b> 😀")
    expect(ana.lines.last).to_contain_text(spelt(number))
    expect(luis.lines.last).to_contain_text("No, Luis")
    expect(luis.lines).to_have_count(2)
    assert ana.page.locator(".heard").get_by_text(f"Respuesta de {spelt(number)}: Sí, Ana").count() == 1


def test_a_talk_with_several_shows_who_answered_and_who_only_receives_C3(
    stack: Stack, talk: Callable[..., Talk], number: str
) -> None:
    other, barred = (f"+1829556{secrets.randbelow(10_000):04}" for _ in range(2))
    stack.api.need("POST", "/operator/fleets/DO", operator(stack), {"number": barred}, idempotency_key=new_key())
    ana = talk().enter()

    ana.open(number, other, barred, text="Reunión hoy a las 7. ¿Quién viene?")
    ana.wait_for_turn()
    ana.answer(number, "Yo voy, llego a las 7 en punto.")
    expect(ana.lines).to_have_count(2)
    ana.answer(other, "No puedo hoy")

    expect(ana.lines).to_have_count(3)
    marked = ana.page.get_by_role("listitem").filter(has_text=spelt(barred))
    expect(marked).to_contain_text("solo recibe")
    expect(ana.page.get_by_text("solo recibe")).to_have_count(1)
    ana.visitor.take_picture("interactive-talk")

    # The next goes to one of them only.
    for one in (other, barred):
        ana.page.get_by_role("checkbox", name=spelt(one)).uncheck()
    ana.text.fill("Gracias, te espero")
    ana.send_and_hear()
    wait_for(lambda: len(texts_on(stack, number)) == 2, "the second text")
    assert [len(texts_on(stack, one)) for one in (other, barred)] == [1, 1]
    stack.api.call("DELETE", f"/operator/fleets/DO/{quote(barred)}", operator(stack))


def test_it_looks_as_well_in_the_dark(talk: Callable[..., Talk], number: str) -> None:
    ana = talk(color_scheme="dark").enter()

    ana.open(number, text="¿Todo bien?")
    ana.answer(number, "Todo bien, ¿y tú?")
    expect(ana.lines).to_have_count(2)
    ana.wait_for_turn()

    ana.visitor.take_picture("interactive-dark")


def test_one_message_at_a_time_and_what_is_typed_meanwhile_stays_C5(
    stack: Stack, talk: Callable[..., Talk], number: str
) -> None:
    ana = talk().enter()
    ana.numbers.fill(number)
    ana.text.fill("Uno.")
    held: list[Route] = []
    ana.page.route("**/v1/sessions", lambda route: held.append(route))
    ana.send()
    expect(ana.page.get_by_role("button", name="Enviando…")).to_be_visible()

    def asked() -> list[Route]:
        ana.page.wait_for_timeout(50)  # the browser is heard only while it is asked something
        return held

    wait_for(asked, "the request")
    ana.text.press("End")
    ana.text.press_sequentially(" Y dos")
    ana.text.press("Control+Enter")
    held[0].continue_()

    expect(ana.lines).to_have_count(1)
    expect(ana.text).to_have_value("Y dos")
    assert len(held) == 1, "the second press asks nothing"
    ana.wait_for_turn()
    ana.send_and_hear()
    expect(ana.lines).to_have_count(2)
    wait_for(lambda: [text for _, text in texts_on(stack, number)] == ["Uno.", "Y dos"], "both texts, in order")


def test_a_reply_that_comes_late_stands_where_it_was_said(talk: Callable[..., Talk], number: str) -> None:
    ana = talk().enter()
    line = {"text": "x", "number": number, "code": "20741", "is_partial": False}
    moments = [(1, "out", "12:00:00Z"), (2, "in", "12:00:20Z"), (3, "in", "12:00:10.5Z"), (4, "in", "12:00:20Z")]
    messages = [
        line | {"seq": seq, "direction": direction, "at": f"2026-01-01T{at}", "text": f"línea {seq}"}
        for seq, direction, at in moments
    ]
    messages[3]["is_partial"] = True
    said = {"messages": messages, "next_after": 4, "is_sending": False}

    def answer(route: Route) -> None:
        later = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
        is_first = "after=0" in route.request.url
        route.fulfill(json=said | {"expires_at": later, "messages": messages if is_first else []})

    ana.page.route("**/messages?after=*", answer)
    ana.page.route_web_socket(re.compile("/live"), lambda _: None)
    ana.open(number)

    expect(ana.lines).to_have_count(4)
    assert [re.search(r"línea \d", one)[0] for one in ana.lines.all_text_contents()] == [  # type: ignore[index]
        "línea 1",
        "línea 3",
        "línea 2",
        "línea 4",
    ]
    expect(ana.lines.last).to_contain_text("Incompleto")


# --- until when


def test_the_end_is_counted_by_the_services_clock_announced_at_a_minute_and_put_off_by_one_key_C7(
    stack: Stack, talk: Callable[..., Talk], number: str
) -> None:
    ana = talk()
    ana.page.clock.install(time=datetime(2020, 2, 3, 4, 5, tzinfo=UTC))  # years behind
    ahead = [timedelta()]

    def later(route: Route) -> None:
        """As if the service's clock had gone on by so much, until five more minutes are asked for."""
        if route.request.url.endswith("/extend"):
            ahead[0] = timedelta()
        answer = route.fetch()
        said = parsedate_to_datetime(answer.headers["date"]) + ahead[0]
        route.fulfill(response=answer, headers=answer.headers | {"date": format_datetime(said, usegmt=True)})

    ana.page.route("**/v1/sessions/*/*", later)
    ana.enter()
    ana.open(number)
    ana.wait_for_turn()
    left = ana.page.get_by_role("timer")
    expect(left).to_contain_text(re.compile(r"Termina en (5:00|4:5\d)"))
    urgent = ana.page.locator("[aria-live=assertive]")
    expect(urgent).to_be_empty()

    ahead[0] = FOUR_MINUTES
    ana.look_again()

    expect(left).to_contain_text(re.compile(r"En 0:\d\d esto se borra"))
    expect(urgent).to_contain_text("tecla F2")
    ana.text.focus()
    ana.visitor.take_picture("interactive-warning")
    expect(left).to_contain_text(re.compile(r"En 0:\d\d esto se borra"))
    with ana.page.expect_response("**/extend") as asked:
        ana.text.press("F2")
    assert asked.value.status == 200
    assert asked.value.json()["expires_at"] > ana.session["expires_at"]
    expect(left).to_contain_text(re.compile(r"Termina en (5:00|4:5\d)"))
    expect(urgent).to_be_empty()
    expect(ana.text).to_be_focused()


def test_at_the_end_page_and_memory_hold_no_word_of_the_talk_and_the_next_text_comes_from_another_code_C7_C8(
    stack: Stack, talk: Callable[..., Talk], number: str
) -> None:
    mine, theirs = f"pregunta{secrets.token_hex(8)}", f"respuesta{secrets.token_hex(8)}"
    ana = talk().enter()
    ana.open(number, text=f"Una {mine}")
    ana.answer(number, f"Una {theirs}")
    expect(ana.lines).to_have_count(2)
    token, code = ana.session["token"], ana.code(number)
    before = memory_of(ana.page)
    assert all(word in before for word in (mine, theirs, token)), "the snapshot would not show what is left"
    ana.text.fill("¿Sigues ahí?")

    ana.end_by_time()
    ana.look_again()

    expect(ana.box.get_by_role("heading", name="La conversación terminó y se borró")).to_be_visible()
    expect(ana.box).to_contain_text("desde otro número")
    assert not [word for word in (mine, theirs, token) if word in ana.page.content()]
    after = memory_of(ana.page)
    assert not [name for name, word in (("mine", mine), ("theirs", theirs), ("token", token)) if word in after]
    ana.visitor.take_picture("interactive-ended")

    # Who goes on writing finds numbers and draft where they were.
    expect(ana.text).to_have_value("¿Sigues ahí?")
    ana.page.keyboard.press("Control+z")
    assert mine not in ana.text.input_value()
    ana.send_and_hear()
    expect(ana.page.get_by_text("tu mensaje les llega desde otro número que el de antes")).to_be_visible()
    assert ana.code(number) != code
    wait_for(lambda: (ana.code(number), "¿Sigues ahí?") in texts_on(stack, number), "the text from the other code")
    expect(ana.lines).to_have_count(1)
    # Who was not told by the socket first was told by the read.
    ana.visitor.troubles[:] = [one for one in ana.visitor.troubles if "410 (Gone)" not in one]


def test_a_page_that_hears_nothing_ends_by_its_own_count(talk: Callable[..., Talk], number: str) -> None:
    ana = talk()
    ana.page.clock.install()
    ana.enter()
    ana.open(number, text="secreto-uno")
    ana.wait_for_turn()
    ana.page.route("**/v1/**", lambda route: route.abort())

    ana.page.clock.fast_forward(5 * 60 * 1000 + 2000)

    expect(ana.page.get_by_role("heading", name="La conversación terminó y se borró")).to_be_visible()
    assert "secreto-uno" not in ana.page.content()
    expect(ana.page.get_by_role("button", name=f"Quitar {spelt(number)}")).to_be_visible()
    ana.page.clock.fast_forward(5 * 60 * 1000 + 2000)
    expect(ana.page.get_by_role("button", name=f"Quitar {spelt(number)}")).to_have_count(0)
    assert spelt(number) not in ana.page.content()
    ana.visitor.troubles.clear()  # requests that were broken off, as they should be


def test_ending_it_now_ends_it_for_the_handset_too_and_leaves_no_number(
    stack: Stack, talk: Callable[..., Talk], number: str
) -> None:
    ana = talk().enter()
    ana.open(number)
    ana.wait_for_turn()

    with ana.page.expect_response(lambda answer: answer.request.method == "DELETE") as asked:
        ana.page.get_by_role("button", name="Terminar ahora").click()

    assert asked.value.status == 204
    expect(ana.page.get_by_role("heading", name=BOX)).to_be_focused()
    expect(ana.box).to_contain_text("La terminaste tú")
    assert spelt(number) not in ana.page.content()
    assert number not in ana.page.content()
    wait_for(lambda: rows_left(stack, Web(stack, ana.session)) == ["session"], "the words to be gone")


def test_who_leaves_the_page_ends_the_talk_and_back_or_reload_bring_nothing_of_it(
    stack: Stack, talk: Callable[..., Talk], number: str
) -> None:
    ana = talk().enter()
    ana.open(number, text="secreto-dos")
    ana.answer(number, "secreto-tres")
    expect(ana.lines).to_have_count(2)
    ana.text.fill("secreto-cuatro")

    ana.page.goto(f"{stack.pages_url}/index.html")
    wait_for(lambda: rows_left(stack, Web(stack, ana.session)) == ["session"], "the session to be over")
    ana.page.go_back()
    ana.text.wait_for()
    assert "secreto" not in ana.page.content()
    expect(ana.text).to_have_value("")
    expect(ana.numbers).to_have_value("")

    ana.open(number, text="secreto-cinco")
    ana.page.reload()
    ana.text.wait_for()
    assert "secreto" not in ana.page.content()
    expect(ana.text).to_have_value("")


# --- what goes wrong


def test_refused_numbers_are_named_with_reason_and_moment_and_can_be_taken_off(
    stack: Stack, talk: Callable[..., Talk], number: str
) -> None:
    opted_out = Talk(stack, talk().visitor, {}).enter()
    opted_out.open(number)
    opted_out.answer(number, "BLOQUEAR")
    ana = talk().enter()
    at = (datetime.now(UTC) + timedelta(minutes=12)).isoformat()
    ana.numbers.fill(f"{number}, 305 555 0101,")
    ana.text.fill("¿Hola?")
    ana.send()

    expect(ana.page.get_by_role("heading", name="No salió para 2 números")).to_be_visible()
    refused = ana.page.get_by_role("listitem")
    expect(refused.filter(has_text="pidió no recibir mensajes desde la web")).to_contain_text(spelt(number))
    expect(refused.filter(has_text="no es un celular de esta compañía")).to_contain_text("+1 305 555 0101")
    expect(ana.text).to_have_value("¿Hola?")
    ana.visitor.troubles.clear()  # 422
    ana.page.get_by_role("button", name="Quitar estos de la lista").click()
    expect(ana.numbers).to_be_focused()
    expect(ana.page.get_by_role("button", name=re.compile("^Quitar \\+"))).to_have_count(0)

    # Those that pass with time say when.
    reasons = ["no_short_code_free", "too_many_texts", "too_many_sessions"]
    members = [
        {"number": f"809555010{place}", "reason": reason, "retry_at": at if place < 2 else None}
        for place, reason in enumerate(reasons)
    ]
    ana.page.route("**/v1/sessions", refusing(422, "no_handset_reachable", 700, refused=members))
    ana.numbers.fill("809 555 0100 809 555 0101 809 555 0102")
    ana.send()
    expect(refused.filter(has_text="no hay un número libre")).to_contain_text("(en 12 minutos)")
    expect(refused.filter(has_text="demasiados mensajes en la última hora")).to_contain_text("Prueba a partir de las")
    expect(refused.filter(has_text="ya hay una conversación abierta")).to_contain_text("(en 5 minutos)")
    ana.visitor.take_picture("interactive-refused")
    ana.visitor.troubles.clear()  # 422 as it was told


def test_some_refused_and_some_reached_are_told_apart(talk: Callable[..., Talk], number: str) -> None:
    ana = talk().enter()

    ana.open(number, "12345678901", text="¿Vienes?")

    expect(ana.page.get_by_role("heading", name="No salió para 1 número")).to_be_visible()
    expect(ana.lines).to_have_count(1)
    expect(ana.page.get_by_text("Hablas con")).to_be_visible()


LIMITS = [
    ("source_sessions", "ya se abrieron demasiadas conversaciones"),
    ("source_recipients", "ya se enviaron demasiados mensajes en"),
    ("source_link_recipients", "demasiados mensajes con enlaces"),
    ("same_text_recipients", "este mismo texto ya se envió"),
    ("recipients", "entre todos ya se envió lo máximo"),
    ("handset_texts", "a estos números ya les llegaron"),
    ("handset_sessions", "ya hay conversaciones abiertas con estos números"),
]


def test_every_limit_is_told_in_plain_words_with_when_to_try_again_and_the_text_stays(
    talk: Callable[..., Talk], number: str
) -> None:
    ana = talk().enter()
    ana.numbers.fill(number)
    ana.text.fill("¿Hola?")
    alert = ana.page.locator(".composing").get_by_role("alert")
    cases = [
        *((429, "session_limit_reached", 1200, words, {"limit": limit}) for limit, words in LIMITS),
        (429, "too_many_requests", 240, "Llegaron demasiadas solicitudes desde tu conexión", {}),
        (503, "captcha_unavailable", 30, "no responde en este momento", {}),
        (403, "captcha_required", None, "comprobar que eres una persona", {}),
        (500, "internal_error", None, "Algo falló de nuestro lado", {"instance": "urn:request:7b1c"}),
    ]
    for status, code, retry_after, words, members in cases:
        ana.page.route("**/v1/sessions", refusing(status, code, retry_after, **members))
        ana.send()
        expect(alert.filter(has_text=words)).to_be_visible()
        if retry_after:
            expect(alert.filter(has_text=words)).to_contain_text(
                {1200: "(en 20 minutos)", 240: "(en 4 minutos)", 30: "en 30 segundos"}[retry_after]
            )
        expect(ana.text).to_have_value("¿Hola?")
        ana.page.unroute("**/v1/sessions")
    ana.visitor.take_picture("interactive-limit")
    ana.visitor.troubles.clear()  # the refusals above


def test_a_full_session_offers_another_with_the_same(stack: Stack, talk: Callable[..., Talk], number: str) -> None:
    ana = talk().enter()
    ana.open(number, text="uno")
    ana.wait_for_turn()
    code = ana.code(number)
    ana.page.route("**/messages", refusing(429, "session_limit_reached", 280, limit="session_texts"))
    ana.text.fill("dos")
    ana.send()

    ana.page.get_by_role("button", name="Empezar otra con lo mismo").click()
    expect(ana.text).to_have_value("dos")
    ana.send_and_hear()

    assert ana.code(number) != code
    ana.visitor.troubles.clear()  # the 429


def test_what_passes_by_itself_is_waited_for_with_the_same_key(
    stack: Stack, talk: Callable[..., Talk], number: str
) -> None:
    ana = talk().enter()
    ana.open(number, text="uno")
    ana.wait_for_turn()
    keys: list[str] = []

    def sometimes(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) < 3:
            refusing(*((409, "still_sending", 1) if len(keys) == 1 else (503, "session_busy", 1)))(route)
        else:
            route.continue_()

    ana.page.route("**/messages", sometimes)
    ana.text.fill("dos")
    ana.send()

    expect(ana.lines).to_have_count(2)
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert len(keys[0]) >= 22
    ana.visitor.troubles.clear()  # 409, 503


def test_a_failing_network_keeps_the_text_and_asks_again_with_the_same_key_so_that_it_goes_out_once(
    stack: Stack, talk: Callable[..., Talk], number: str
) -> None:
    ana = talk().enter()
    ana.numbers.fill(number)
    ana.text.fill("¿Llegó?")
    keys: list[str] = []

    def lose(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            route.abort()  # the request is lost
        elif len(keys) == 2:
            route.fetch()  # it is done
            route.abort()  # and its answer is lost
        else:
            route.continue_()

    ana.page.route("**/v1/sessions", lose)
    for _ in range(2):
        ana.send()
        expect(ana.page.get_by_role("alert").filter(has_text="Tu texto sigue aquí")).to_be_visible()
        expect(ana.text).to_have_value("¿Llegó?")
    ana.send_and_hear()

    assert len(keys) == 3
    assert len(set(keys)) == 1
    expect(ana.lines).to_have_count(1)
    ana.answer(number, "Una vez")
    assert [text for _, text in texts_on(stack, number) if text == "¿Llegó?"] == ["¿Llegó?"]
    ana.visitor.troubles.clear()  # what was aborted


def test_where_no_socket_opens_the_page_asks_and_the_answer_arrives_all_the_same(
    talk: Callable[..., Talk], number: str
) -> None:
    ana = talk().enter()
    ana.page.route_web_socket(re.compile("/live"), lambda socket: socket.close())

    ana.open(number)
    expect(ana.box.get_by_text("Reviso cada 2 s")).to_be_visible()
    ana.answer(number, "Por fin")

    expect(ana.lines.last).to_contain_text("Por fin")


def test_a_socket_that_breaks_comes_back_and_what_was_missed_is_read(talk: Callable[..., Talk], number: str) -> None:
    ana = talk().enter()
    sockets: list[WebSocketRoute] = []

    def pass_on(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        socket.connect_to_server()

    ana.page.route_web_socket(re.compile("/live"), pass_on)
    ana.open(number)
    expect(ana.box.get_by_text("En vivo")).to_be_visible()

    sockets[0].close()
    ana.answer(number, "Mientras tanto")

    expect(ana.lines.last).to_contain_text("Mientras tanto")
    expect(ana.box.get_by_text("En vivo")).to_be_visible()
    assert len(sockets) >= 2


def test_a_frame_that_is_missing_is_noticed_by_the_next(talk: Callable[..., Talk], number: str) -> None:
    ana = talk().enter()
    lost: list[str] = []

    def lose_the_first_reply(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()

        def pass_on(frame: str | bytes) -> None:
            if not lost and "la primera" in str(frame):
                lost.append(str(frame))
            else:
                socket.send(frame)

        server.on_message(pass_on)

    ana.page.route_web_socket(re.compile("/live"), lose_the_first_reply)
    ana.open(number)
    expect(ana.box.get_by_text("En vivo")).to_be_visible()
    ana.wait_for_turn()

    ana.answer(number, "la primera")
    ana.answer(number, "la segunda")

    expect(ana.lines).to_have_count(3)
    expect(ana.lines.nth(1)).to_contain_text("la primera")
    assert len(lost) == 1


# --- numbers, text, keys, words


def test_numbers_are_read_from_lists_as_people_paste_them_and_each_is_there_once(talk: Callable[..., Talk]) -> None:
    ana = talk().enter()

    ana.numbers.fill("809-555-0101, (829) 555-0102;+1 849 555 0103")
    ana.page.get_by_role("button", name="Agregar").click()
    chips = ana.page.get_by_role("list", name="Números a los que vas a escribir").get_by_role("listitem")
    expect(chips).to_have_text(["+1 809 555 0101", "+1 829 555 0102", "+1 849 555 0103"])
    ana.numbers.evaluate(
        """(input, text) => {
          const data = new DataTransfer();
          data.setData("text", text);
          input.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
        }""",
        "1 809 555 0101\n809 555 0104 8095550105\nEnrique",
    )
    expect(chips).to_have_count(5)
    expect(ana.numbers).to_have_value("Enrique")
    expect(ana.page.get_by_role("alert").filter(has_text="«Enrique» no parece un número")).to_be_visible()
    expect(ana.numbers).to_have_attribute("aria-invalid", "true")

    ana.page.get_by_role("button", name="Quitar +1 829 555 0102").click()
    expect(chips).to_have_count(4)
    expect(ana.page.get_by_role("button", name="Quitar +1 849 555 0103")).to_be_focused()


@pytest.mark.parametrize(
    ("pasted", "keys"),
    [
        ("8095550101 8295550102", ["+18095550101", "+18295550102"]),
        ("+44 7911 123456 809 555 0101", ["+447911123456", "+18095550101"]),
        ("1-809-555-0101", ["+18095550101"]),
        ("011 34 600 111 222", ["+34600111222"]),
        ("٨٠٩", []),  # Arabic-Indic digits: no digits here
        ("８０９５５５０１０１", ["+18095550101"]),  # full-width
        ("1-800-FLOWERS", []),
        ("", []),
    ],
)
def test_a_list_is_taken_apart(talk: Callable[..., Talk], pasted: str, keys: list[str]) -> None:
    ana = talk().enter()

    found = ana.page.evaluate(
        "async (text) => (await import('./views/interactive/numbers.js')).readList(text, 'DO')", pasted
    )

    assert [one["key"] for one in found["numbers"]] == keys


def test_a_thousand_numbers_are_enough_and_one_more_stays_in_the_field(talk: Callable[..., Talk]) -> None:
    ana = talk().enter()
    listed = [f"809556{place:04}" for place in range(1001)]

    ana.numbers.fill(",".join(listed))

    expect(ana.page.get_by_role("alert").filter(has_text="como máximo 1000 números")).to_be_visible()
    expect(ana.numbers).to_have_value("8095561000")
    expect(ana.page.locator(".chip")).to_have_count(1000)
    assert ana.page.locator(".chip button:not([tabindex])").count() == 1, "one stop for Tab, not a thousand"


def test_the_text_is_measured_as_it_is_typed_and_too_long_a_one_is_not_sent(
    talk: Callable[..., Talk], number: str
) -> None:
    ana = talk().enter()
    ana.text.fill("ñandú")
    expect(ana.page.locator("#message-meter")).to_contain_text("1 de 10 partes · quedan 65 caracteres")
    expect(ana.page.locator("#message-meter")).to_contain_text("ú")
    long = "a" * 1531
    assert count_segments(long) == 11
    ana.text.fill(long)
    ana.numbers.fill(number)

    ana.send()

    expect(ana.text).to_be_focused()
    expect(ana.text).to_have_attribute("aria-invalid", "true")
    expect(ana.page.get_by_role("alert").filter(has_text="son 11 partes y el máximo es 10")).to_be_visible()
    ana.text.fill(" ")
    ana.send()
    expect(ana.page.get_by_role("alert").filter(has_text="Falta el mensaje")).to_be_visible()
    ana.text.fill("mira http://uno.do y http://dos.do")
    ana.send()
    expect(ana.page.get_by_role("alert").filter(has_text="demasiados enlaces")).to_be_visible()
    ana.visitor.troubles.clear()  # the 422


def test_with_the_keyboard_alone_one_writes_reads_goes_on_and_ends(talk: Callable[..., Talk], number: str) -> None:
    ana = talk().enter()
    page = ana.page
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Ir al contenido")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(ana.numbers).to_be_focused()
    page.keyboard.type(f"{number},809 555 0199,")
    page.keyboard.press("Backspace")
    page.keyboard.press("Delete")
    expect(page.get_by_role("button", name=re.compile("^Quitar \\+"))).to_have_count(1)
    tab_to(ana.text, page)
    page.keyboard.type("Sin ratón")
    with page.expect_response("**/v1/sessions") as asked:
        page.keyboard.press("Control+Enter")
    ana.session = asked.value.json()
    expect(ana.lines).to_have_count(1)
    expect(ana.text).to_be_focused()
    ana.answer(number, "Te leo")
    expect(ana.lines).to_have_count(2)
    tab_to(page.get_by_role("button", name="Seguir 5 minutos más"), page, back=True)
    with page.expect_response("**/extend"):
        page.keyboard.press("Enter")
    tab_to(page.get_by_role("button", name="Terminar ahora"), page)
    page.keyboard.press("Space")
    expect(page.get_by_role("heading", name=BOX)).to_be_focused()


def tab_to(wanted: Locator, page: Page, *, back: bool = False) -> None:
    for _ in range(20):
        page.keyboard.press("Shift+Tab" if back else "Tab")
        if wanted.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError("Tab does not get there")


def test_the_language_changes_in_the_middle_of_a_talk_and_nothing_is_lost(
    talk: Callable[..., Talk], number: str
) -> None:
    ana = talk().enter()
    ana.open(number, text="Hola")
    ana.answer(number, "Hola a ti")
    expect(ana.lines).to_have_count(2)
    ana.text.fill("a medias")

    ana.page.get_by_role("button", name="EN", exact=True).click()

    expect(ana.page.get_by_role("heading", name="You will receive your reply here")).to_be_visible()
    expect(ana.lines).to_have_count(2)
    expect(ana.page.get_by_label("Your message", exact=True)).to_have_value("a medias")
    assert ana.page.evaluate("document.documentElement.lang") == "en"
    ana.page.get_by_role("button", name="Send").click()
    expect(ana.lines).to_have_count(3)


def test_every_word_is_there_in_both_languages(talk: Callable[..., Talk]) -> None:
    ana = talk().enter()

    kinds = ana.page.evaluate(
        """async () => {
          const { DICTIONARY } = await import("./views/interactive/words.js");
          const kind = ([name, word]) => [name, typeof word === "function" ? word.length : "text"];
          return Object.values(DICTIONARY).map((said) => Object.fromEntries(Object.entries(said).map(kind)));
        }"""
    )
    files = [ROOT / "console/interactive.js", *(ROOT / "console/views").glob("interactive*.js")]
    files += (ROOT / "console/views/interactive").glob("*.js")
    asked = {name for file in files for name in re.findall(r"""\bt\("(\w+)"[,)]""", file.read_text())}

    assert kinds[0] == kinds[1]
    assert len(asked) > 60
    assert asked <= kinds[0].keys()


def test_a_link_may_bring_numbers_and_never_a_text_and_they_leave_the_address(
    stack: Stack, talk: Callable[..., Talk]
) -> None:
    ana = talk().enter("#to=8095550101,+18295550102,<b>x</b>,pásame&text=Dame%20tu%20clave")

    chips = ana.page.get_by_role("list", name="Números a los que vas a escribir").get_by_role("listitem")
    expect(chips).to_have_text(["+1 809 555 0101", "+1 829 555 0102"])
    expect(ana.page.get_by_text("Estos números vienen del enlace que abriste")).to_be_visible()
    expect(ana.text).to_have_value("")
    assert ana.page.url == f"{stack.pages_url}/interactive.html"


@contextmanager
def their_server(page: str) -> Iterator[str]:
    """The operator's own, another origin than the pages'."""

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_the_operators_page_links_to_it_and_embeds_it(stack: Stack, talk: Callable[..., Talk]) -> None:
    ana = talk()
    example = (ROOT / "examples/operator_link.html").read_text().replace("https://recado.example", stack.pages_url)
    with their_server(example) as theirs:
        ana.page.goto(theirs)
        frame = ana.page.frame_locator("iframe")
        expect(frame.get_by_role("heading", name=BOX)).to_be_visible()
        ana.page.get_by_role("link", name="Envío de Minimensaje a un número").click()
        expect(ana.page.get_by_role("button", name="Quitar +1 809 555 0101")).to_be_visible()


def test_the_page_may_ask_its_own_origin_and_the_sockets_and_nothing_else(
    stack: Stack, talk: Callable[..., Talk]
) -> None:
    ana = talk().enter()

    policy = ana.page.locator("meta[http-equiv='Content-Security-Policy']").get_attribute("content") or ""

    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == "'self'"
    sockets = stack.emulator.endpoint_url.replace("http", "ws", 1)
    assert rules["connect-src"].split() == ["'self'", stack.handsets.url, sockets]  # the demo portal's tokens, too


def test_where_a_captcha_is_asked_for_the_page_says_that_it_has_none(talk: Callable[..., Talk]) -> None:
    ana = talk()
    settings = {"handsets_max": 10, "segments_max": 10, "idle_seconds": 300, "countries": ["DO"]}
    ana.page.route("**/sessions/settings", lambda route: route.fulfill(json=settings | {"captcha_site_key": "k"}))

    ana.enter()

    expect(ana.page.get_by_text("esta página todavía no tiene cómo mostrar esa prueba")).to_be_visible()


def test_without_the_service_the_page_says_so_and_tries_again(talk: Callable[..., Talk]) -> None:
    ana = talk()
    ana.page.route("**/sessions/settings", lambda route: route.abort())
    ana.page.goto(f"{ana.stack.pages_url}/interactive.html")
    expect(ana.page.get_by_role("alert")).to_contain_text("Revisa tu conexión")
    ana.page.unroute("**/sessions/settings")

    ana.page.get_by_role("button", name="Probar otra vez").click()

    ana.text.wait_for()
    ana.visitor.troubles.clear()  # the request that was broken off


def test_the_first_view_is_light(talk: Callable[..., Talk]) -> None:
    ana = talk()
    sizes: list[int] = []
    ana.page.on("response", lambda answer: sizes.append(len(gzip.compress(answer.body()))))

    ana.enter()

    assert len(sizes) > 10
    assert sum(sizes) < 60_000, "bytes, as they go over the wire"
