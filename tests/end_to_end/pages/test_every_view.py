# ruff: noqa: E501  # scripts for the browser, a thought a line
"""What holds for every page and every view of the console: large text, keyboard, colours, languages, nothing from elsewhere.

The views are those that `console.js` names: a new one is looked at without being listed here.
"""

import json
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import Browser, Page, Response, Route, expect

from local.api import Api
from local.demo_school import SCHOOL_NAME
from local.run import console_settings
from tests.end_to_end.conftest import Stack
from tests.end_to_end.pages.conftest import NARROW, WIDE, Visitor
from tests.end_to_end.test_stack import wait_for
from tools.publish_console import content_security_policy

ROOT = Path(__file__).parent.parent.parent.parent
CONSOLE = ROOT / "console"
TRICK = "<img src=x onerror=\"document.title='run'\"><b>Ñandú</b>"
PERSON = "trick-person"
PAOLA = "guardian-007"
SHIFT_MAX = 0.1  # Core Web Vitals' "good"
TABS_MAX = 400
VIEW = re.compile(r'^  (\w+): \{ element: "[\w-]+", roles: (IN_CHARGE|\[.*\]) \},$', re.MULTILINE)
PARTS = {  # what a view shows further in; `{message}` is one that was sent
    "messages": ["{message}", "{message}/gate"],
    "people": ["one/guardian-007", "unreachable", "imports", "imports/demo"],
}
SPANISH = re.compile(
    r"\b(el|los|las|del|para|con|por|que|una|más|sus|hay|usted|ustedes|mensajes?|respuestas?|todavía|ninguno|colegio|"
    r"personas?|créditos?|enviar|guardar|quitar|cargando|buscar)\b|[¡¿]|ción\b",
    re.IGNORECASE,
)


def view_names() -> dict[str, str]:
    """Each view of console.js, and whom of the demo it is opened as."""
    source = (CONSOLE / "console.js").read_text(encoding="utf-8")
    found = {name: "director" if roles == "IN_CHARGE" else "guardian" for name, roles in VIEW.findall(source)}
    assert len(found) == source.count('element: "recado-'), "a view of console.js is written in another way"
    return found


def addresses() -> dict[str, str]:
    """By a name for the test's own name."""
    found = {"enter": "index.html", "interactive": "interactive.html"}
    for name, who in view_names().items():
        for part in ["", *PARTS.get(name, [])]:
            found[f"{name}/{part}".rstrip("/")] = f"index.html?as={who}#/{name}/{part}".rstrip("/")
    return found


@dataclass
class Shown:
    """A page somebody looks at, with what it asked for."""

    stack: Stack
    visitor: Visitor
    address: str
    requests: list[str] = field(default_factory=list)
    answers: list[Response] = field(default_factory=list)

    @property
    def page(self) -> Page:
        return self.visitor.page

    def open(self, **query: str) -> None:
        """As if for the first time."""
        address = urlsplit(self.address)
        asked = "&".join(filter(None, [address.query, *(f"{name}={value}" for name, value in query.items())]))
        self.page.goto("about:blank")
        self.page.goto(
            f"{self.stack.pages_url}/{address.path}?{asked}" + (f"#{address.fragment}" if address.fragment else "")
        )
        settle(self.page)


def settle(page: Page) -> None:
    """Until what it shows first is there."""
    page.get_by_role("heading", level=1).first.wait_for()
    page.wait_for_load_state("networkidle")
    page.wait_for_function("() => !document.querySelector('[aria-busy=true]')")


@pytest.fixture(scope="module")
def sent(stack: Stack) -> Iterator[str]:
    """A message with signs of markup, to somebody with such a name, in the message centre too, and an answer to it."""
    token = stack.token()
    course = stack.api.need("GET", f"/people/{PAOLA}", token)["students"][0]
    person = {"id": PERSON, "role": "guardian", "given_name": TRICK, "family_name": "Prueba", "number": "9 5555 0191"}
    stack.api.need("POST", "/people", token, person | {"students": [course]}, uuid.uuid4().hex)
    audience = {"people": [PERSON, PAOLA]}
    body = {"text": TRICK, "category": "classes_cancelled", "audience": audience, "channels": ["sms", "inbox"]}
    made = stack.api.need("POST", "/messages", token, body | {"send": "now"}, uuid.uuid4().hex)
    stack.api.need(
        "POST",
        "/messages",
        token,
        {"text": "Borrador", "category": "other_alert", "audience": audience},
        uuid.uuid4().hex,
    )
    wait_for(lambda: _is_sent(stack, made["id"]), "the message")
    reply = {"to": "20600", "text": TRICK}
    Api(stack.handsets.url).need("POST", f"/handsets/{quote('+56955550191')}/replies", body=reply)
    wait_for(lambda: stack.api.need("GET", "/replies", token)["replies"], "the reply")
    yield made["id"]
    # The school is every test's: nobody else is to count one guardian more.
    stack.api.need("DELETE", f"/people/{PERSON}", token, idempotency_key=uuid.uuid4().hex)


@pytest.fixture(scope="module", params=list(addresses().values()), ids=list(addresses()))
def shown(request: pytest.FixtureRequest, stack: Stack, browser: Browser, sent: str) -> Iterator[Shown]:
    """One page for all that only looks at it."""
    with opened(stack, browser, request.param.format(message=sent)) as found:
        yield found


class opened:  # noqa: N801  # used as a function
    def __init__(self, stack: Stack, browser: Browser, address: str, **options: Any) -> None:
        context = browser.new_context(
            viewport={"width": 1280, "height": 800}, locale="es-CL", timezone_id="America/Santiago", **options
        )
        self.shown = Shown(stack, Visitor(context), address)

    def __enter__(self) -> Shown:
        page = self.shown.page
        page.on("request", lambda one: self.shown.requests.append(one.url))
        page.on("response", lambda one: self.shown.answers.append(one))
        self.shown.open(lang="es")
        return self.shown

    def __exit__(self, *trouble: object) -> None:
        troubles = self.shown.visitor.troubles
        self.shown.visitor.context.close()
        if trouble[0] is None:
            assert not troubles, troubles


# --- large text, spaced text

# Adopted, as the policy lets no page have a style of its own made from outside.
STYLE = """(text) => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(text);
  document.adoptedStyleSheets = text ? [sheet] : [];
}"""
LARGE = ":root { font-size: 200% !important; }"
SPACED = """* { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important; }
p { margin-bottom: 2em !important; }"""  # WCAG 2.2, 1.4.12

CROWDED = """() => {
  const said = (one) => `${one.tagName.toLowerCase()}.${one.className.baseVal ?? one.className} "${(one.textContent || one.value || "").trim().slice(0, 40)}"`;
  const wide = document.documentElement.clientWidth;
  const isHeardOnly = (one) => one.closest(".heard, .skip, thead") && getComputedStyle(one.closest(".heard, .skip, thead")).position === "absolute";
  const floats = (one) => {
    for (let up = one; up; up = up.parentElement) if (["sticky", "fixed"].includes(getComputedStyle(up).position)) return true;
    return false;
  };
  const found = [];
  if (document.documentElement.scrollWidth > wide) found.push(`the page is ${document.documentElement.scrollWidth} wide of ${wide}`);
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    const one = node.parentElement;
    if (!node.textContent.trim() || isHeardOnly(one) || !one.checkVisibility() || ["OPTION", "NOSCRIPT"].includes(one.tagName)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const boxes = [...range.getClientRects()].filter((box) => box.width > 1 && box.height > 1);
    if (boxes.length === 0) continue;
    // Cut off: beyond the window, or beyond a box that hides what is beyond it (one that scrolls hides nothing).
    for (const box of boxes) {
      if (box.right > wide + 1 || box.left < -1) found.push(`beyond the window: ${said(one)}`);
      for (let up = one; up && up !== document.body; up = up.parentElement) {
        const { overflowX, overflowY } = getComputedStyle(up);
        const edge = up.getBoundingClientRect();
        if (["hidden", "clip"].includes(overflowX) && (box.right > edge.right + 1.5 || box.left < edge.left - 1.5)) found.push(`cut off: ${said(one)}`);
        if (["hidden", "clip"].includes(overflowY) && (box.bottom > edge.bottom + 3 || box.top < edge.top - 3)) found.push(`cut off: ${said(one)}`);
        if ([overflowX, overflowY].some((way) => ["auto", "scroll"].includes(way))) break;
      }
    }
    const scroller = one.closest(".bubble, .recipients, .message-text, .asked-text");
    if (!floats(one) && !scroller) texts.push({ one, boxes });
  }
  for (const button of document.querySelectorAll("button, a.button, .tag, summary")) {
    if (!button.checkVisibility() || isHeardOnly(button)) continue;
    if (button.scrollWidth > button.clientWidth + 1 && getComputedStyle(button).display !== "inline") found.push(`wider than its button: ${said(button)}`);
  }
  const meet = (one, other) => Math.min(one.right, other.right) - Math.max(one.left, other.left) > 2 && Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > Math.min(one.height, other.height) * 0.35;
  texts.forEach((text, at) => {
    for (const other of texts.slice(at + 1)) {
      if (text.one.contains(other.one) || other.one.contains(text.one)) continue;
      if (text.boxes.some((box) => other.boxes.some((otherBox) => meet(box, otherBox)))) found.push(`over each other: ${said(text.one)} and ${said(other.one)}`);
    }
  });
  return [...new Set(found)].slice(0, 12);
}"""


@pytest.mark.parametrize("width", [1280, 640, 320])
@pytest.mark.parametrize("style", [LARGE, SPACED], ids=["large", "spaced"])
def test_with_large_or_spaced_text_nothing_is_cut_off_or_lies_over_another(
    shown: Shown, style: str, width: int
) -> None:
    page = shown.page
    page.set_viewport_size({"width": width, "height": 800})
    page.evaluate(STYLE, style)
    try:
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        crowded = page.evaluate(CROWDED)
        assert not crowded, "\n".join(crowded)
    finally:
        page.evaluate(STYLE, "")
        page.set_viewport_size(WIDE)  # type: ignore[arg-type]  # a TypedDict of the two


def test_text_is_as_large_as_somebody_set_it_in_their_browser(stack: Stack, sent: str) -> None:
    """No size of text is in pixels, so a browser's own setting counts."""
    sizes = re.compile(r"(?:^|[{;\s])font(?:-size)?:[^;}]*\d(?:px|pt)", re.MULTILINE)

    found = {str(path.relative_to(CONSOLE)): sizes.findall(path.read_text()) for path in CONSOLE.rglob("*.css")}

    assert {name: what for name, what in found.items() if what} == {}


# --- nothing moves under whoever reads

WATCH = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const one of list.getEntries()) {
    if (one.hadRecentInput) continue;
    const what = one.sources.map(({ node, previousRect: a, currentRect: b }) => `${node?.nodeName}.${node?.className ?? ""} ${a.y | 0}+${a.height | 0} to ${b.y | 0}+${b.height | 0}`);
    window.shifts.push({ value: one.value, what });
  }
}).observe({ type: "layout-shift", buffered: true });
// An API that takes its time, and each answer another time.
const real = window.fetch;
let asked = 0;
window.fetch = async (...request) => {
  if (String(request[0]).includes("/v1/")) {
    asked += 1;
    await new Promise((done) => setTimeout(done, 120 * ((asked * 2) % 5) + 60));
  }
  return real(...request);
};
"""


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("address", addresses().values(), ids=addresses().keys())
def test_nothing_moves_while_a_slow_api_answers(
    stack: Stack, visit: Callable[..., Visitor], sent: str, address: str, size: dict[str, int]
) -> None:
    visitor = visit(viewport=size)
    visitor.page.add_init_script(WATCH)

    Shown(stack, visitor, address.format(message=sent)).open()
    visitor.page.wait_for_timeout(300)

    shifts = visitor.page.evaluate("() => window.shifts")
    total = sum(one["value"] for one in shifts)
    assert total < SHIFT_MAX, json.dumps(shifts, indent=1)


# --- by keyboard alone

CONTROLS = """() => {
  const all = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")].filter((one) => one.tabIndex >= 0 && !one.disabled && one.checkVisibility({ visibilityProperty: true }) && one.getClientRects().length > 0);
  const kept = all.filter((one) => {
    if (one.type !== "radio") return true; // a group of them is one stop
    const group = all.filter((other) => other.type === "radio" && other.name === one.name);
    return one === (group.find((other) => other.checked) ?? group[0]);
  });
  window.controls = kept;
  return kept.map((one) => `${one.tagName.toLowerCase()} ${one.id || one.getAttribute("aria-label") || one.textContent.trim().slice(0, 50)}`);
}"""
# Some views put the focus on their heading as they come.
FROM_THE_TOP = """() => {
  document.body.tabIndex = -1;
  document.body.focus();
  document.body.removeAttribute("tabindex");
}"""
WHERE = """() => {
  const one = document.activeElement;
  if (one === document.body || one === null) return null;
  const looks = ["", "::after", "::before"].map((part) => getComputedStyle(one, part || null));
  const isSeen = looks.some((look) => (look.outlineStyle !== "none" && parseFloat(look.outlineWidth) >= 2) || look.boxShadow !== "none");
  const box = one.getBoundingClientRect();
  // On the button within a date the browser draws its own ring, and the input itself has no focus.
  const isWithin = ["date", "datetime-local"].includes(one.type) && !one.matches(":focus");
  return { at: window.controls.indexOf(one), isSeen: isSeen || isWithin, isInSight: box.bottom > 0 && box.top < innerHeight, said: one.outerHTML.slice(0, 120) };
}"""


def test_tab_goes_to_every_control_in_order_and_each_shows_that_it_is_there(shown: Shown) -> None:
    page = shown.page
    shown.open(lang="es")
    controls = page.evaluate(CONTROLS)
    page.evaluate(FROM_THE_TOP)

    visited: list[int] = []
    for _ in range(TABS_MAX):
        page.keyboard.press("Tab")
        where = page.evaluate(WHERE)
        if where is None or (visited and where["at"] == 0 and visited[-1] != 0):
            break  # it is out again
        assert where["at"] >= 0, f"focus on what is no control of the page: {where['said']}"
        assert where["isSeen"], f"focus cannot be seen: {where['said']}"
        assert where["isInSight"], f"focus is out of sight: {where['said']}"
        if not visited or visited[-1] != where["at"]:  # parts of a date are stops of one control
            visited.append(where["at"])
    else:
        pytest.fail(f"Tab does not come out of it: {controls}")

    assert [controls[at] for at in visited] == controls


def test_the_first_tab_skips_to_the_content(shown: Shown) -> None:
    page = shown.page
    shown.open(lang="es")
    page.evaluate(FROM_THE_TOP)

    skip = page.get_by_role("link", name="Ir al contenido")
    if shown.address == "index.html":  # nobody has entered yet: there are no sections to skip
        expect(page.get_by_role("navigation")).to_have_count(0)
        return
    page.keyboard.press("Tab")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")

    expect(page.get_by_role("main")).to_be_focused()
    page.evaluate(CONTROLS)
    if page.evaluate("() => window.controls.some((one) => one.closest('main'))"):
        page.keyboard.press("Tab")
        assert page.evaluate("() => document.activeElement.closest('main') !== null")


# --- colours, movement


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_in_the_dark_axe_finds_nothing(shown: Shown, size: dict[str, int]) -> None:
    shown.page.emulate_media(color_scheme="dark")
    shown.page.set_viewport_size(size)  # type: ignore[arg-type]  # a TypedDict of the two
    try:
        shown.visitor.check_accessible()
    finally:
        shown.page.emulate_media(color_scheme="light")
        shown.page.set_viewport_size(WIDE)  # type: ignore[arg-type]


# What is chosen looks different from what is not; what can be pressed has an edge; a bar differs from its ground.
UNSEEN = """() => {
  const found = [];
  const look = (one) => { const { outlineStyle, outlineWidth, borderTopColor, borderTopWidth, backgroundColor, color, boxShadow, textDecorationLine } = getComputedStyle(one); return JSON.stringify({ outline: outlineStyle === "none" ? "" : outlineStyle + outlineWidth, borderTopColor, borderTopWidth, backgroundColor, color, boxShadow, textDecorationLine }); };
  for (const name of ["aria-current", "aria-pressed", "aria-selected"]) {
    for (const chosen of document.querySelectorAll(`[${name}]:not([${name}=false])`)) {
      if (!chosen.checkVisibility()) continue;
      const others = [...chosen.parentElement.children].filter((one) => one !== chosen && one.tagName === chosen.tagName && (one.getAttribute(name) ?? "false") === "false");
      if (others.some((one) => look(one) === look(chosen))) found.push(`chosen and not look the same: ${chosen.outerHTML.slice(0, 100)}`);
    }
  }
  for (const one of document.querySelectorAll(".button, .input, .tag, .panel, dialog")) {
    const { borderTopWidth, borderTopStyle } = getComputedStyle(one);
    if (one.checkVisibility() && (borderTopStyle === "none" || parseFloat(borderTopWidth) < 1)) found.push(`no edge: ${one.outerHTML.slice(0, 100)}`);
  }
  for (const bar of document.querySelectorAll(".progress > span, .segment > span, .share > span")) {
    if (getComputedStyle(bar).backgroundColor === getComputedStyle(bar.parentElement).backgroundColor) found.push(`a bar as its ground: ${bar.parentElement.outerHTML.slice(0, 100)}`);
  }
  return found;
}"""


def test_with_colours_forced_states_can_still_be_told_apart(shown: Shown) -> None:
    shown.page.emulate_media(forced_colors="active")
    try:
        assert shown.page.evaluate("() => matchMedia('(forced-colors: active)').matches")
        assert shown.page.evaluate(UNSEEN) == []
    finally:
        shown.page.emulate_media(forced_colors="none")


def test_whoever_wants_no_movement_gets_none(shown: Shown) -> None:
    shown.page.emulate_media(reduced_motion="reduce")
    try:
        moving = shown.page.evaluate(
            """() => [...document.querySelectorAll("body *")].filter((one) => {
              const { animationName, transitionDuration } = getComputedStyle(one);
              return animationName !== "none" || transitionDuration.split(",").some((time) => parseFloat(time) > 0);
            }).map((one) => one.outerHTML.slice(0, 100))"""
        )
        assert moving == []
        assert shown.page.evaluate("() => document.getAnimations().length") == 0
    finally:
        shown.page.emulate_media(reduced_motion="no-preference")


# --- nothing from elsewhere


def test_only_its_own_origin_is_asked_and_the_policy_says_so(shown: Shown) -> None:
    settings = shown.page.evaluate("async () => (await fetch('settings.json')).json()")
    made = console_settings(shown.stack.handsets.url, settings["live_url"])

    origins = {f"{urlsplit(url).scheme}://{urlsplit(url).netloc}" for url in shown.requests if url != "about:blank"}

    own = shown.stack.emulator.endpoint_url
    portal = shown.stack.handsets.url  # the demo school's, which gives the token
    assert own in origins
    assert origins <= ({own} if "interactive" in shown.address else {own, portal})
    policy = shown.page.locator('meta[http-equiv="Content-Security-Policy"]')
    expect(policy).to_have_attribute("content", content_security_policy(made))


# --- in English

# What the page itself says: not what people wrote, nor their names, which the API answered.
SAID = """(data) => {
  const parts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const one = walker.currentNode.parentElement;
    if (one.closest("noscript, [lang=es]:not(html)")) continue;
    parts.push(walker.currentNode.textContent);
  }
  for (const one of document.querySelectorAll("[aria-label], [title], [placeholder], [alt], [aria-valuetext]")) {
    if (one.closest("[lang=es]:not(html)")) continue;
    for (const name of ["aria-label", "title", "placeholder", "alt", "aria-valuetext"]) parts.push(one.getAttribute(name) ?? "");
  }
  return [document.title, ...parts].map((one) => one.trim()).filter(Boolean);
}"""
OWN_WORDS = {"meaning", "advice", "explanation", "title", "detail", "pays", "international", "because"}


def test_in_english_no_word_of_spanish_is_left_and_the_page_says_its_language(shown: Shown) -> None:
    page = shown.page
    shown.open(lang="es")
    assert page.evaluate("document.documentElement.lang") == "es"
    shown.answers.clear()
    try:
        page.get_by_role("button", name="EN", exact=True).click()
        page.wait_for_function("() => document.documentElement?.lang === 'en'")
        settle(page)

        shown.visitor.check_accessible()
        written = sorted(_written(shown.answers), key=len, reverse=True)
        left = []
        for said in page.evaluate(SAID):
            own = said.replace(SCHOOL_NAME, " ")
            for one in written:
                own = own.replace(one, " ")
            if SPANISH.search(own):
                left.append(said)
        assert left == []
    finally:
        shown.open(lang="es")


# --- text is text


def test_what_people_write_is_shown_as_they_wrote_it(stack: Stack, visit: Callable[..., Visitor], sent: str) -> None:
    visitor = visit()
    page = visitor.page
    enter = f"{stack.pages_url}/index.html?as=director"
    page.route("**/v1/credits/statement?*", _with_explanation)

    # 1. While it is written, and the name of whom it is for.
    page.goto(f"{enter}#/write")
    page.get_by_label("Qué es").select_option("meeting")
    page.get_by_label("Texto").first.fill(f"{TRICK} {{estudiante}}")
    page.get_by_label("Agregar o dejar fuera a una persona").fill("Prueba")
    expect(page.locator(".found")).to_contain_text(TRICK)
    page.locator(".found").get_by_role("button").first.click()
    expect(page.locator(".preview .bubble")).to_contain_text(TRICK)
    _expect_no_markup(page)

    # 2. Sent; and whoever it went to.
    for place in ("messages", f"messages/{sent}", f"messages/{sent}/gate", "replies", "credits"):
        page.goto("about:blank")
        page.goto(f"{enter}#/{place}")
        settle(page)
        expect(page.get_by_role("main")).to_contain_text(TRICK)
        _expect_no_markup(page)

    # 3. Received.
    page.goto(f"{stack.pages_url}/index.html?as=guardian#/inbox")
    settle(page)
    expect(page.get_by_role("main")).to_contain_text(TRICK)
    page.get_by_role("listitem").filter(has_text=TRICK).first.get_by_role("button", name="Quitar").click()
    expect(page.get_by_role("dialog")).to_contain_text(TRICK)
    _expect_no_markup(page)


def _expect_no_markup(page: Page) -> None:
    assert page.locator("img[src=x]").count() == 0
    assert page.locator("main b").count() == 0
    assert page.title() != "run"


def _with_explanation(route: Route) -> None:
    answer = route.fetch()
    body = answer.json()
    for one in body["entries"]:
        one["explanation"] = TRICK
    route.fulfill(response=answer, json=body)


def _written(answers: list[Response]) -> set[str]:
    """Everything the API answered that is not the product's own words."""
    found: set[str] = set()

    def look(value: Any, name: str = "") -> None:
        if isinstance(value, dict):
            for key, one in value.items():
                look(one, key)
        elif isinstance(value, list):
            for one in value:
                look(one, name)
        elif isinstance(value, str) and value and name not in OWN_WORDS:
            found.update(filter(None, (value.strip(), *(line.strip() for line in value.split("\n")))))

    for answer in answers:
        if "/v1/" in answer.url and "json" in answer.headers.get("content-type", ""):
            look(answer.json())
    return {one for one in found if len(one) > 1}


def _is_sent(stack: Stack, message_id: str) -> bool:
    found = stack.api.need("GET", f"/messages/{message_id}", stack.token())
    return bool(found["state"] == "sent" and found["message_centre"]["put"])
