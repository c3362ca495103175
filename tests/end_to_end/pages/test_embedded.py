"""A view inside a page of somebody else's: the reference portal embeds and links one; who may not gets nothing."""

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Frame, Page, Route, expect

from tests.end_to_end import test_reference_portal
from tests.end_to_end.conftest import Stack
from tests.end_to_end.pages.conftest import PATIENCE_MS, SCREENSHOTS, WIDE, Visitor
from tests.end_to_end.test_reference_portal import Portal
from tools.publish_console import ConsoleSettings, publish
from tools.view_pages import views

expect.set_options(timeout=PATIENCE_MS)
BUCKET = "console"
WAIT_MS = 10_000  # console/lib/parent.js
UNDELIVERED = "does not match the recipient window"  # what Chromium notes of a message to another origin
PHONE = {"width": 320, "height": 640}

whole_portal = test_reference_portal.whole_portal  # a fixture: the one that the README starts

type Visit = Callable[..., Visitor]


@contextmanager
def told(stack: Stack, **changed: Any) -> Iterator[None]:
    """The pages, published with other settings; and as they were afterwards."""
    s3 = stack.aws.client("s3")
    kept = json.loads(s3.get_object(Bucket=BUCKET, Key="settings.json")["Body"].read())
    before = ConsoleSettings(**(kept | {"parents": tuple(kept["parents"])}))
    publish(s3, BUCKET, replace(before, **changed))
    try:
        yield
    finally:
        publish(s3, BUCKET, before)


@pytest.fixture
def embedding(stack: Stack, whole_portal: Portal) -> Iterator[Portal]:
    """The portal of examples/, allowed to embed."""
    with told(stack, parents=("https://elsewhere.example", whole_portal.url)):
        yield whole_portal


# --- the portal of examples/ ------------------------------------------------------------------------------------------


def test_the_portal_embeds_writing_and_a_message_goes_out(stack: Stack, embedding: Portal, visit: Visit) -> None:
    visitor = visit()
    page, frame = _open(visitor, f"{embedding.url}/pages/write")
    text = f"Se suspende el taller de hoy. {uuid.uuid4().hex[:6]}"

    # 1. The view alone, as high as it is, without anything of the console around it.
    expect(frame.get_by_role("heading", level=1)).to_be_visible()
    assert frame.get_by_role("banner").count() == 0
    assert frame.get_by_role("navigation").count() == 0
    expect(page.get_by_role("link", name="Escribir", exact=True)).to_have_attribute("aria-current", "page")
    frame.get_by_label("Qué es").select_option("classes_cancelled")
    frame.locator("textarea").first.fill(text)
    for branch in ("Educación Básica", "7° Básico"):
        frame.get_by_role("button", name=f"Mostrar lo que hay en {branch}", exact=True).click()
    frame.get_by_role("checkbox", name="7° Básico B").check()
    expect(frame.get_by_text("22 créditos · quedan").first).to_be_visible()
    _check_not_scrolling(page, frame)
    _take_pictures(visitor, frame, "embedded-write")

    # 2. The last look opens where the person looks, however high the frame is.
    page.set_viewport_size({"width": 1280, "height": 500})
    frame.get_by_role("button", name="Revisar y enviar").click()
    dialog = frame.get_by_role("dialog", name="Confirmar el envío")
    expect(dialog).to_be_visible()
    _check_seen(page, dialog.get_by_role("heading").first)
    page.screenshot(path=SCREENSHOTS / "embedded-confirm.png")
    send = dialog.get_by_role("button", name="Enviar por 22 créditos")
    send.click()

    # 3. The frame goes on to the message by itself, and the portal's menu follows.
    expect(page.get_by_role("link", name="Mensajes", exact=True)).to_have_attribute("aria-current", "page")
    expect(frame.get_by_text(text).first).to_be_visible()
    sent = [one for one in stack.api.need("GET", "/messages", stack.token())["messages"] if one["text"] == text]
    assert [one["recipients"] for one in sent] == [22]
    _check_not_scrolling(page, frame)


def test_a_token_that_is_too_old_is_asked_for_once_and_what_was_asked_is_answered(
    embedding: Portal, visit: Visit
) -> None:
    visitor = visit()
    page, handed = visitor.page, list[str]()
    page.on("request", lambda asked: handed.append(asked.url) if asked.url.endswith("/token") else None)
    refused = []

    def expire(route: Route) -> None:
        if len(handed) > 1:
            route.continue_()
        else:
            refused.append(route.request.url)
            route.fulfill(status=401, content_type="application/problem+json", body='{"code": "not_authenticated"}')

    page.route("**/v1/**", expire)
    _, frame = _open(visitor, f"{embedding.url}/pages/write")

    expect(frame.get_by_role("button", name="Mostrar lo que hay en Educación Básica")).to_be_visible()
    assert len(refused) > 1  # several at the same time
    assert handed == [f"{embedding.url}/token"] * 2
    visitor.forgive_failed_loads()


@pytest.mark.parametrize("view", [one for one in views() if one not in ("write", "inbox")])
def test_each_view_of_a_schools_office_opens_by_itself(embedding: Portal, visit: Visit, view: str) -> None:
    visitor = visit(color_scheme="dark")

    page, frame = _open(visitor, f"{embedding.url}/pages/{view}")

    expect(frame.get_by_role("heading", level=1)).to_have_count(1)
    expect(frame.locator(f"recado-{view}")).to_be_visible()
    expect(frame.locator("[aria-busy=true]")).to_have_count(0)
    _check_not_scrolling(page, frame)
    _check_accessible(frame)
    visitor.check_accessible()


def test_a_link_of_the_portal_opens_the_view_with_the_portals_session(
    stack: Stack,
    whole_portal: Portal,
    visit: Visit,
) -> None:
    """In a window of its own the page asks the portal's token address, with its cookies."""
    with told(stack, token_url=f"{whole_portal.url}/token", demo=False):
        visitor = visit()
        visitor.page.goto(f"{whole_portal.url}/pages/credits")
        with visitor.context.expect_page() as opening:
            visitor.page.get_by_role("link", name="Abrir en una pestaña propia").click()
        page = opening.value

        expect(page.get_by_role("heading", level=1, name="Créditos")).to_be_visible()
        assert page.url == f"{stack.pages_url}/credits.html"
        assert page.get_by_role("navigation").count() == 0  # of the other views
        page.get_by_role("button", name="EN").click()
        expect(page.get_by_role("heading", level=1, name="Credits")).to_be_visible()
        page.goto(f"{stack.pages_url}/inbox.html")
        expect(page.get_by_text("This section cannot be seen with your session.")).to_be_visible()


# --- pages that are not the portal ------------------------------------------------------------------------------------

# It keeps what it hears, and says what a test has it say.
PARENT = """<!doctype html><html lang="es"><title>Un portal</title><script>
  const heard = [], tokens = []
  addEventListener("message", ({ data, origin, source }) => {
    heard.push({ ...data, origin })
    if (data.type === "recado.token_wanted" && tokens.length) {
      source.postMessage({ type: "recado.token", token: tokens.length > 1 ? tokens.shift() : tokens[0] }, origin)
    }
  })
  const tell = (message) => document.querySelector("iframe").contentWindow.postMessage(message, "*")
  const say = (token) => tell({ type: "recado.token", token })
</script>
<link rel="icon" href="data:,">
<main><h1>Un portal</h1><iframe title="recado" width="100%" height="500"></iframe></main>"""
SIBLING = """<!doctype html><script>
  const say = (token) => parent.frames[0].postMessage({ type: "recado.token", token }, "*")
</script>"""


class Elsewhere(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = (SIBLING if self.path == "/sibling" else PARENT).encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """It has nothing to say."""


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """Of a page on another port: really served, for Chromium lets none from elsewhere embed one of this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_page_that_may_not_embed_hears_nothing_gives_nothing_and_is_named(
    stack: Stack, visit: Visit, origin: str
) -> None:
    visitor = visit()
    page, frame, asked = _embed(visitor, stack, origin, "credits")

    expect(frame.get_by_text("Esta página está dentro de otra que no tiene permiso para mostrarla")).to_be_visible()
    expect(frame.get_by_text(origin)).to_be_visible()
    page.evaluate("(token) => say(token)", stack.token())
    visitor.take_picture("embedded-not-allowed", full_page=False)

    assert page.evaluate("heard") == []
    assert asked == []
    expect(frame.locator("recado-credits")).to_have_count(0)


def test_where_nobody_may_embed_the_page_says_so_at_once(stack: Stack, visit: Visit, origin: str) -> None:
    with told(stack, parents=()):
        visitor = visit()
        page, frame, asked = _embed(visitor, stack, origin, "inbox")

        expect(frame.get_by_text("no tiene permiso para mostrarla")).to_be_visible()
        assert page.evaluate("heard") == []
        assert asked == []


def test_a_portal_that_answers_late_is_heard_and_until_then_the_page_says_what_is_missing(
    stack: Stack, visit: Visit, origin: str
) -> None:
    with told(stack, parents=(origin,)):
        visitor = visit()
        visitor.page.clock.install()
        page, frame, asked = _embed(visitor, stack, origin, "credits")
        expect(frame.get_by_text("Cargando…")).to_be_visible()
        page.wait_for_function("heard.some((one) => one.type === 'recado.token_wanted')")
        page.clock.fast_forward(WAIT_MS)
        expect(frame.get_by_text("El portal no entregó su sesión.")).to_be_visible()
        expect(frame.get_by_role("button", name="Intentar otra vez")).to_be_visible()
        assert asked == []

        page.evaluate("(token) => say(token)", stack.token())

        expect(frame.get_by_role("heading", level=1, name="Créditos")).to_be_visible()
        heard = page.evaluate("heard")
        assert {one["origin"] for one in heard} == {stack.emulator.endpoint_url}
        assert {one["type"] for one in heard} == {"recado.token_wanted", "recado.height", "recado.shown"}
        assert len([one for one in heard if one["type"] == "recado.token_wanted"]) > 1  # it may have missed the first
        assert all(set(one) <= {"type", "origin", "height", "view", "path"} for one in heard)  # and no token of ours


def test_only_the_page_around_it_is_believed_not_another_frame_of_the_same_origin(
    stack: Stack, visit: Visit, origin: str
) -> None:
    with told(stack, parents=(origin,)):
        visitor = visit()
        page, frame, asked = _embed(visitor, stack, origin, "credits")
        page.evaluate(
            "() => new Promise((done) => { const one = document.createElement('iframe'); one.onload = done;"
            " one.src = '/sibling'; document.body.append(one) }).then(() => null)"
        )
        page.wait_for_function("heard.some((one) => one.type === 'recado.token_wanted')")
        sibling = next(one for one in page.frames if one.url.endswith("/sibling"))
        sibling.wait_for_load_state()

        sibling.evaluate("(token) => say(token)", stack.token())
        page.evaluate("say(7)")
        page.evaluate("tell(null)")

        expect(frame.get_by_text("Cargando…")).to_be_visible()
        assert asked == []
        page.evaluate("(token) => say(token)", stack.token())
        expect(frame.get_by_role("heading", level=1, name="Créditos")).to_be_visible()


@pytest.mark.parametrize("is_allowed", [True, False])
def test_a_browser_that_does_not_say_who_embeds_delivers_to_who_may_only(
    stack: Stack, visit: Visit, origin: str, is_allowed: bool
) -> None:
    with told(stack, parents=("https://elsewhere.example", *([origin] if is_allowed else []))):
        visitor = visit()
        visitor.page.clock.install()
        visitor.page.route("**/lib/parent.js", _without_ancestors)
        page, frame, asked = _embed(visitor, stack, origin, "credits", stack.token())

        if is_allowed:
            expect(frame.get_by_role("heading", level=1, name="Créditos")).to_be_visible()
        else:
            # It has asked, and its wait has begun: the browser notes what it did not deliver.
            for _ in range(PATIENCE_MS // 100):
                if any(UNDELIVERED in one for one in visitor.troubles):
                    break
                page.wait_for_timeout(100)
            page.evaluate("(token) => say(token)", stack.token())
            page.clock.fast_forward(WAIT_MS)
            expect(frame.get_by_text("El portal no entregó su sesión.")).to_be_visible()
            assert asked == []
            assert page.evaluate("heard") == []
        visitor.troubles[:] = [one for one in visitor.troubles if UNDELIVERED not in one]


def test_somebody_elses_token_is_not_used_for_what_this_one_saw_and_wrote(
    stack: Stack, visit: Visit, origin: str
) -> None:
    """The portal has signed another person in meanwhile: one browser, two people."""
    with told(stack, parents=(origin,)):
        visitor = visit()
        first, other = stack.token(), stack.token(subject="otra")
        page, frame, _ = _embed(visitor, stack, origin, "messages", first)
        expect(frame.get_by_role("heading", level=1, name="Mensajes")).to_be_visible()
        page.evaluate("(token) => { tokens[0] = token }", other)
        used = []

        def expire(route: Route) -> None:
            used.append(route.request.headers["authorization"])
            route.fulfill(status=401, content_type="application/problem+json", body='{"code": "not_authenticated"}')

        page.route("**/v1/**", expire)
        frame.evaluate("location.hash = '#/credits'")

        expect(frame.get_by_text("Su sesión en el portal terminó").first).to_be_visible()
        assert set(used) == {f"Bearer {first}"}
        visitor.forgive_failed_loads()


def test_the_page_of_sessions_says_how_high_it_is(stack: Stack, visit: Visit, origin: str) -> None:
    with told(stack, parents=(origin,)):
        visitor = visit()
        page, frame, _ = _embed(visitor, stack, origin, "interactive")

        expect(frame.get_by_role("heading", level=1)).to_be_visible()
        page.wait_for_function("heard.some((one) => one.type === 'recado.height' && one.height > 500)")
        assert {one["type"] for one in page.evaluate("heard")} == {"recado.height"}


# --- helpers ----------------------------------------------------------------------------------------------------------


def _open(visitor: Visitor, address: str) -> tuple[Page, Frame]:
    visitor.page.goto(address)
    return visitor.page, _frame_of(visitor.page)


def _frame_of(page: Page) -> Frame:
    frame = page.query_selector("iframe").content_frame()  # type: ignore[union-attr]
    assert frame is not None
    return frame


def _embed(visitor: Visitor, stack: Stack, origin: str, view: str, *tokens: str) -> tuple[Page, Frame, list[str]]:
    """A page at this origin with this view in its frame; and what the API was asked since."""
    asked: list[str] = []
    visitor.page.on("request", lambda request: asked.append(request.url) if "/v1/" in request.url else None)
    page = visitor.page
    page.goto(f"{origin}/")
    page.evaluate("(given) => { tokens.push(...given) }", list(tokens))
    page.evaluate(
        "(address) => { document.querySelector('iframe').src = address }", f"{stack.pages_url}/{view}.html?lang=es"
    )
    return page, _frame_of(page), asked


def _without_ancestors(route: Route) -> None:
    """The module as a browser without `location.ancestorOrigins` runs it."""
    text = route.fetch().text()
    assert "location.ancestorOrigins?.[0]" in text
    route.fulfill(content_type="text/javascript", body=text.replace("location.ancestorOrigins?.[0]", "undefined"))


def _check_not_scrolling(page: Page, frame: Frame) -> None:
    """The frame is as high as its page, and no higher than that by much."""
    page.wait_for_function(
        "(height) => Math.abs(document.querySelector('iframe').clientHeight - height) <= 1",
        arg=max(320, frame.evaluate("Math.ceil(document.body.getBoundingClientRect().height)")),
    )
    assert frame.evaluate("document.documentElement.scrollHeight <= document.documentElement.clientHeight")


def _check_seen(page: Page, located: Any) -> None:
    box, size = located.bounding_box(), page.viewport_size
    assert size is not None
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= size["height"]


def _check_accessible(frame: Frame) -> None:
    found = Axe().run(frame)
    assert found.violations_count == 0, found.generate_report()


def _take_pictures(visitor: Visitor, frame: Frame, name: str) -> None:
    """The portal's page and recado's in it are each looked at."""
    visitor.page.evaluate("scrollTo(0, 0)")
    visitor.take_picture(name, full_page=False)
    visitor.page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    _check_accessible(frame)
    assert frame.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    visitor.page.set_viewport_size(WIDE)  # type: ignore[arg-type]
