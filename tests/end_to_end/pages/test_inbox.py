"""A guardian at her message centre: reads, marks, says whether she wants SMS (L10); the director sees it red (L9)."""

import uuid
from collections.abc import Callable

from playwright.sync_api import expect

from tests.end_to_end.conftest import Stack
from tests.end_to_end.pages.conftest import PATIENCE_MS, Visitor

expect.set_options(timeout=PATIENCE_MS)
CALLS_MAX = 60


def test_a_guardian_reads_opts_out_and_the_director_sees_her_number_red_L10(
    stack: Stack, visit: Callable[..., Visitor]
) -> None:
    text = f"Traer cartulina <i>roja</i> {uuid.uuid4().hex[:6]}"
    audience = {"who": ["guardians"], "groups": ["course-7b"]}
    body = {"text": text, "category": "notice", "channels": ["inbox"], "audience": audience, "send": "now"}
    stack.api.need("POST", "/messages", stack.token(), body, uuid.uuid4().hex)
    guardian = visit()
    page = guardian.page
    for _ in range(CALLS_MAX):  # it is put there by a worker
        page.goto(f"{stack.pages_url}/index.html?as=guardian#/inbox")
        page.get_by_text("¿Recibir también por SMS?").wait_for()
        page.locator("recado-inbox [aria-busy]").first.wait_for(state="detached")
        if page.get_by_text(text).count():
            break
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
