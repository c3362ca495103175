"""Messages and replies, as a director sees them: what became of each text, live, and what can still be done."""

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.end_to_end.conftest import Stack
from tests.end_to_end.pages.conftest import PATIENCE_MS, Visitor

AUDIENCE = {"who": ["guardians"], "groups": ["course-7b"]}
PAOLA = "+56955550102"
MOMENT_MS = 40_000

expect.set_options(timeout=PATIENCE_MS)


def send(stack: Stack, text: str, **more: Any) -> str:
    body = {"text": text, "category": "meeting", "audience": AUDIENCE, "send": "now"} | more
    made: str = stack.api.need("POST", "/messages", stack.token(), body, uuid.uuid4().hex)["id"]
    return made


def enter(stack: Stack, visit: Callable[..., Visitor], where: str, **options: object) -> tuple[Visitor, Page]:
    visitor = visit(**options)
    visitor.page.goto(f"{stack.pages_url}/index.html?as=director#/{where}")
    visitor.page.get_by_role("heading", level=1).wait_for()
    return visitor, visitor.page


def test_a_message_is_followed_to_its_end_and_its_reply_appears_without_a_reload(
    stack: Stack, visit: Callable[..., Visitor]
) -> None:
    text = f"Reunión de seguimiento {uuid.uuid4().hex[:6]}"
    message = send(stack, text)

    visitor, page = enter(stack, visit, "messages")
    page.get_by_role("link", name=text).click()

    expect(page.get_by_text("textos con resultado")).to_have_count(1, timeout=MOMENT_MS)
    expect(page.locator(".legend")).to_contain_text("llegaron", timeout=MOMENT_MS)
    expect(page.locator(".tag").filter(has_text="enviado")).to_be_visible(timeout=MOMENT_MS)
    told = stack.handsets.carrier.reply(PAOLA, "20600", "<b>Ahí estaré</b>", None)
    assert told["taken"]
    expect(page.get_by_text("<b>Ahí estaré</b>")).to_be_visible(timeout=MOMENT_MS)  # text, never markup
    expect(page.locator(".recipient").filter(has_text="El mensaje llegó al teléfono.")).not_to_have_count(0)
    visitor.take_picture("messages-one", full_page=False)
    assert stack.api.need("GET", f"/messages/{message}", stack.token())["state"] == "sent"


def test_who_gets_no_sms_is_red_with_words_and_the_others_say_why_L9(
    stack: Stack, visit: Callable[..., Visitor]
) -> None:
    message = send(stack, f"Aviso rojo {uuid.uuid4().hex[:6]}")
    _, page = enter(stack, visit, f"messages/{message}")

    page.get_by_label("Mostrar").select_option("opted_out")

    person = page.locator(".recipient").filter(has_text="Rosa Catrileo")
    expect(person.locator(".red-number")).to_contain_text("no recibe SMS")
    expect(page.locator(".recipient")).to_have_count(1)
    page.get_by_label("Mostrar").select_option("")
    page.get_by_label("Buscar por nombre o número en la lista").fill("5555 0102")
    expect(page.locator(".recipient").filter(has_text="Paola Sepúlveda")).to_have_count(1)
    expect(page.locator(".recipient").filter(has_not_text="Paola Sepúlveda")).to_have_count(0)
    page.get_by_label("Buscar por nombre o número en la lista").fill("nadie así")
    expect(page.get_by_text("Nadie en esta lista.")).to_be_visible()


def test_a_scheduled_message_is_cancelled_after_a_question_and_only_then(
    stack: Stack, visit: Callable[..., Visitor]
) -> None:
    later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3 * 86_400))
    draft = send(stack, f"Programado {uuid.uuid4().hex[:6]}", send=None)
    stack.api.need("POST", f"/messages/{draft}/schedule", stack.token(), {"at": later}, uuid.uuid4().hex)
    visitor, page = enter(stack, visit, f"messages/{draft}")
    visitor.take_picture("messages-scheduled", full_page=False)

    page.get_by_role("button", name="Cancelar el envío programado").click()
    page.get_by_role("button", name="No, dejarlo como está").click()
    assert stack.api.need("GET", f"/messages/{draft}", stack.token())["state"] == "scheduled"
    page.get_by_role("button", name="Cancelar el envío programado").press("Enter")
    page.get_by_role("button", name="Sí").press("Enter")

    expect(page.locator(".tag").filter(has_text="cancelado")).to_be_visible()
    assert stack.api.need("GET", f"/messages/{draft}", stack.token())["state"] == "cancelled"


def test_the_list_of_recipients_is_downloaded_and_can_be_printed(
    stack: Stack, visit: Callable[..., Visitor], tmp_path: Path
) -> None:
    message = send(stack, f"Para la reja {uuid.uuid4().hex[:6]}")
    _, page = enter(stack, visit, f"messages/{message}")
    page.get_by_text("Paola Sepúlveda").wait_for()

    with page.expect_download() as waiting:
        page.get_by_role("button", name="Descargar CSV").click()
    waiting.value.save_as(tmp_path / "list.csv")
    page.emulate_media(media="print")

    assert "Paola Sepúlveda" in (tmp_path / "list.csv").read_text("utf-8-sig")
    expect(page.get_by_role("navigation")).to_be_hidden()
    expect(page.get_by_role("button", name="Imprimir")).to_be_hidden()
    expect(page.get_by_text("Paola Sepúlveda")).to_be_visible()


def test_a_failing_network_is_said_and_asked_again_and_429_waits(stack: Stack, visit: Callable[..., Visitor]) -> None:
    visitor, page = enter(stack, visit, "replies")
    page.route("**/v1/messages?*", lambda route: route.abort())
    page.get_by_role("link", name="Mensajes").click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("No hubo respuesta")

    page.unroute("**/v1/messages?*")
    page.route("**/v1/messages?*", too_many)
    alert.get_by_role("button", name="Intentar otra vez").click()
    expect(page.get_by_role("alert")).to_contain_text("7 s")
    page.unroute("**/v1/messages?*")
    page.get_by_role("button", name="Intentar otra vez").click()

    page.get_by_role("table").wait_for()
    visitor.troubles[:] = [one for one in visitor.troubles if "Failed to load resource" not in one]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_lists_look_right_in_both_themes(stack: Stack, visit: Callable[..., Visitor], scheme: str) -> None:
    send(stack, f"Lista {uuid.uuid4().hex[:6]}")
    visitor, page = enter(stack, visit, "messages", color_scheme=scheme)
    page.get_by_role("table").wait_for()
    visitor.take_picture("messages-list" if scheme == "light" else "messages-list-dark", full_page=False)

    page.get_by_role("link", name="Respuestas").click()

    page.get_by_role("heading", level=1, name="Respuestas").wait_for()
    visitor.take_picture("replies" if scheme == "light" else "replies-dark", full_page=False)


def too_many(route: Route) -> None:
    route.fulfill(status=429, headers={"Retry-After": "7"}, json={"code": "too_many_requests", "status": 429})
