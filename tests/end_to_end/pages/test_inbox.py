"""A guardian at her message centre: reads, marks, says whether she wants SMS (L10); the director sees it red (L9)."""

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.end_to_end.conftest import Stack
from tests.end_to_end.pages.conftest import PATIENCE_MS, Visitor
from tests.end_to_end.test_stack import wait_for

expect.set_options(timeout=PATIENCE_MS)
PAOLA = "guardian-007"  # of the demo's portal
NUMBER = "+56955550102"

type Visit = Callable[..., Visitor]


@pytest.fixture(autouse=True)
def _her_number_again(stack: Stack) -> Iterator[None]:
    yield
    token = stack.token("guardian", "demo-guardian", PAOLA)
    stack.api.need("PUT", "/me/number", token, {"number": NUMBER}, uuid.uuid4().hex)


def test_every_word_is_there_in_both_languages(stack: Stack, visit: Visit) -> None:
    spanish, english, empty = _enter(stack, visit).words_of("./views/inbox/words.js")

    assert spanish == english
    assert empty == 0


def test_a_guardian_reads_opts_out_and_the_director_sees_her_number_red_L10(
    stack: Stack, visit: Callable[..., Visitor]
) -> None:
    text = f"Traer cartulina <i>roja</i> {uuid.uuid4().hex[:6]}"
    audience = {"who": ["guardians"], "groups": ["course-7b"]}
    body = {"text": text, "category": "notice", "channels": ["inbox"], "audience": audience, "send": "now"}
    stack.api.need("POST", "/messages", stack.token(), body, uuid.uuid4().hex)
    guardian = visit()
    page = guardian.page
    _wait_for_copies(stack, text)
    page.goto(f"{stack.pages_url}/index.html?as=guardian#/inbox")
    item = page.get_by_role("listitem").filter(has_text=text)  # with its signs: text, never markup
    expect(item.get_by_text("Sin leer")).to_be_visible()
    guardian.take_picture("inbox", full_page=False)

    item.get_by_role("button", name="Marcar como leído").press("Enter")
    expect(item.get_by_text("Sin leer")).to_have_count(0)
    page.get_by_role("button", name="Dejar de recibir SMS").click()
    expect(page.get_by_text("Listo: no recibirá más SMS del colegio.")).to_be_visible()

    director = visit()
    director.page.goto(f"{stack.pages_url}/index.html?as=director#/write")
    director.page.get_by_label("Agregar o dejar fuera a una persona").fill("paola sepúlveda")
    red = director.page.locator(".found .red-number")
    expect(red).to_contain_text("no recibe SMS")
    expect(red).to_contain_text("5555 0102")
    page.get_by_role("button", name="Volver a recibir SMS").click()
    expect(page.get_by_text("Listo: volverá a recibir los SMS del colegio.")).to_be_visible()


def test_a_switch_that_was_not_answered_is_said_and_the_same_request_is_sent_again(
    stack: Stack, visit: Callable[..., Visitor]
) -> None:
    visitor = visit(color_scheme="dark")
    page = visitor.page
    page.goto(f"{stack.pages_url}/index.html?as=guardian#/inbox")
    keys = visitor.lose_first_request("**/v1/me/sms")
    page.get_by_role("button", name="Dejar de recibir SMS").click()
    expect(page.get_by_role("alert")).to_contain_text("No hubo respuesta")
    visitor.take_picture("inbox-no-answer", full_page=False)

    page.get_by_role("button", name="Dejar de recibir SMS").click()
    expect(page.get_by_text("Listo: no recibirá más SMS del colegio.")).to_be_visible()

    assert len(set(keys)) == 1
    page.get_by_role("button", name="Volver a recibir SMS").click()
    expect(page.get_by_text("Listo: volverá a recibir los SMS del colegio.")).to_be_visible()
    visitor.forgive_failed_loads()


def test_a_teacher_is_offered_their_own_messages_and_nothing_of_the_schools(
    stack: Stack, visit: Callable[..., Visitor]
) -> None:
    page = visit().page

    page.goto(f"{stack.pages_url}/index.html?as=teacher#/write")

    page.get_by_role("heading", level=1, name="Mis mensajes").wait_for()
    assert page.get_by_role("navigation").get_by_role("link").all_inner_texts() == ["Mis mensajes"]


def test_a_message_is_put_away_after_a_question_and_focus_goes_on_to_the_next(stack: Stack, visit: Visit) -> None:
    mark = uuid.uuid4().hex[:6]
    texts = [f"Reunión {mark} {name}" for name in ("uno", "dos")]
    for text in texts:
        body = {"text": text, "category": "notice", "channels": ["inbox"], "audience": {"people": [PAOLA]}}
        stack.api.need("POST", "/messages", stack.token(), body | {"send": "now"}, uuid.uuid4().hex)
        _wait_for_copies(stack, text)
    visitor = _enter(stack, visit)
    page = visitor.page
    items = page.get_by_role("listitem").filter(has_text=mark)
    expect(items).to_have_count(2)

    # 1. Back is back: nothing was asked of the API, and focus is where it was.
    opener = items.first.get_by_role("button", name="Quitar el mensaje")
    opener.press("Enter")
    dialog = page.get_by_role("dialog", name="¿Quitar este mensaje?")
    expect(dialog).to_contain_text(texts[1])
    visitor.take_picture("inbox-put-away", full_page=False)
    dialog.press("Escape")
    expect(opener).to_be_focused()
    expect(items).to_have_count(2)

    # 2. An answer that was lost: it is said where one looks, and asked again with the same key.
    keys = visitor.lose_first_request("**/v1/inbox/*")
    opener.click()
    dialog.get_by_role("button", name="Sí, quitar").click()
    expect(dialog.get_by_role("alert")).to_contain_text("No hubo respuesta")
    dialog.get_by_role("button", name="Sí, quitar").press("Enter")
    expect(page.get_by_text("Mensaje quitado.")).to_be_visible()
    expect(items).to_have_count(1)
    expect(items.first).to_contain_text(texts[0])
    expect(items.first).to_be_focused()
    asked = keys[:2]  # then it counts what is unread
    assert asked[0] is not None
    assert len(set(asked)) == 1

    # 3. It stays away; the other is there still.
    token = stack.token("guardian", "demo-guardian", PAOLA)
    there = [one["text"] for one in stack.api.need("GET", "/inbox", token)["messages"]]
    assert texts[0] in there
    assert texts[1] not in there
    visitor.forgive_failed_loads()


def test_the_last_of_a_page_is_put_away_and_older_ones_come(stack: Stack, visit: Visit) -> None:
    visitor = visit()
    page = visitor.page
    pages = {
        "": {"messages": [_message("new")], "next": "older"},
        "again": {"messages": [_message("old")], "next": None},
    }
    left = [pages[""], pages["again"], {"messages": [], "next": None}]
    page.route("**/v1/inbox?*", lambda route: route.fulfill(json=left.pop(0)))
    page.route("**/v1/inbox/new", lambda route: route.fulfill(status=204))
    page.route("**/v1/inbox/old", lambda route: route.fulfill(status=204))
    _enter(stack, lambda: visitor)

    for text in ("Texto new", "Texto old"):
        item = page.get_by_role("listitem").filter(has_text=text)
        item.get_by_role("button", name="Quitar el mensaje").click()
        page.get_by_role("button", name="Sí, quitar").click()
        expect(page.get_by_role("dialog")).to_have_count(0)

    empty = page.get_by_text("Aquí no hay mensajes de su colegio.")
    expect(empty).to_be_visible()
    expect(empty).to_be_focused()
    visitor.take_picture("inbox-empty", full_page=False)


def test_a_guardian_corrects_her_number_by_keyboard_alone_L14(stack: Stack, visit: Visit) -> None:
    visitor = _enter(stack, visit)
    page = visitor.page
    page.get_by_role("button", name="Corregir mi número").press("Enter")
    field = page.get_by_label("Su número de celular")
    expect(field).to_be_focused()
    expect(field).to_have_value("+56 9 5555 0102")

    # 1. What cannot be used is said at the field, where focus stays.
    for typed, words in (
        ("12345", "Ese número no se puede usar para SMS."),
        ("", "Escriba su número"),
        ("9 5555\u200b0177", "Tiene un carácter que no se ve."),
    ):
        field.fill(typed)
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text(words)
        expect(field).to_be_focused()
        expect(field).to_have_attribute("aria-invalid", "true")
    visitor.take_picture("inbox-number", full_page=False)

    # 2. A good one, whose answer was lost, is sent again with the same key.
    keys = visitor.lose_first_request("**/v1/me/number")
    field.fill("9 5555 0177")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("No hubo respuesta")
    expect(field).to_have_value("9 5555 0177")
    page.get_by_role("button", name="Guardar").press("Enter")
    expect(page.get_by_text("Listo: su número es +56 9 5555 0177.")).to_be_visible()
    expect(page.get_by_role("button", name="Corregir mi número")).to_be_focused()
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert _me(stack)["number"] == "+56955550177"

    # 3. And takes it away, after a question.
    page.get_by_role("button", name="Corregir mi número").press("Enter")
    page.get_by_role("button", name="Quitar mi número").press("Enter")
    dialog = page.get_by_role("dialog", name="¿Quitar su número?")
    dialog.get_by_role("button", name="Sí, quitar mi número").press("Enter")
    expect(page.get_by_text("Listo: su ficha quedó sin número.")).to_be_visible()
    expect(page.get_by_role("button", name="Agregar mi número")).to_be_focused()
    expect(page.get_by_text("Su ficha no tiene un número de teléfono")).to_be_visible()
    assert _me(stack)["number"] is None
    visitor.forgive_failed_loads()


def test_of_staff_the_office_keeps_the_numbers(stack: Stack, visit: Visit) -> None:
    page = visit().page

    page.goto(f"{stack.pages_url}/index.html?as=teacher#/inbox")

    page.get_by_role("button", name="Dejar de recibir SMS").wait_for()
    expect(page.get_by_role("button", name="Corregir mi número")).to_have_count(0)


@pytest.mark.parametrize(
    ("by", "is_replied", "words"),
    [
        ("self", False, "Usted mismo dejó de recibir SMS: jue, 26 nov, 06:30."),
        ("school", False, "El colegio dejó de enviarle SMS: jue, 26 nov, 06:30. Usted puede volver a recibirlos."),
        ("self", True, "Desde este número se respondió que no quiere más SMS."),
        (None, True, "responda ALTA desde el mismo teléfono"),
        (None, False, "Otra persona que usa este mismo número pidió no recibir SMS"),
    ],
)
def test_who_put_sms_off_is_told_plainly_L10(
    stack: Stack, visit: Visit, by: str | None, is_replied: bool, words: str
) -> None:
    visitor = visit()
    sms = {"allowed": by is None, "changed_by": by, "changed_at": "2026-11-26T09:30:00Z" if by else None}

    def answer(route: Route) -> None:
        route.fulfill(json=_me(stack) | {"opted_out": True, "replied_stop": is_replied, "sms": sms})

    visitor.page.route("**/v1/me", answer)

    _enter(stack, lambda: visitor)

    expect(visitor.page.get_by_text(words)).to_be_visible()
    expect(visitor.page.get_by_text("No recibo SMS", exact=True)).to_be_visible()
    if by == "school":
        visitor.take_picture("inbox-off", full_page=False)


def _enter(stack: Stack, visit: Visit) -> Visitor:
    visitor = visit()
    visitor.page.goto(f"{stack.pages_url}/index.html?as=guardian#/inbox")
    _sms(visitor.page).wait_for()
    return visitor


def _sms(page: Page) -> Locator:
    return page.get_by_role("heading", name="¿Recibir también por SMS?")


def _message(name: str) -> dict[str, Any]:
    return {"id": name, "category": "notice", "text": f"Texto {name}", "at": _NOW, "read_at": _NOW}


def _me(stack: Stack) -> dict[str, Any]:
    found: dict[str, Any] = stack.api.need("GET", "/me", stack.token("guardian", "demo-guardian", PAOLA))
    return found


def _wait_for_copies(stack: Stack, text: str) -> None:
    """They are put there by a worker."""
    token = stack.token("guardian", "demo-guardian", PAOLA)
    inbox = wait_for(lambda: [one for one in _inbox(stack, token) if one["text"] == text], "the copy")
    assert inbox


def _inbox(stack: Stack, token: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stack.api.need("GET", "/inbox", token)["messages"]
    return found


_NOW = datetime.now(UTC).isoformat()
