"""Messages as a director sees them: the list, one message on its way, its recipients, what may be done, the gate."""

import csv
import io
import re
import time
import unicodedata
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, Route, expect

from local.api import Api
from recado.rules.audience import SkipReason
from recado.rules.delivery_states import RecipientState
from recado.rules.message_states import Category
from tests.end_to_end.conftest import Stack
from tests.end_to_end.pages.conftest import NARROW, SCREENSHOTS, Visitor

PATIENCE = 30_000
GUARDIANS_OF_7B: dict[str, Any] = {"who": ["guardians"], "groups": ["course-7b"]}

type Visit = Callable[..., Visitor]


@pytest.fixture(autouse=True)
def _calm_carrier(stack: Stack) -> Iterator[None]:
    yield
    _tell_carrier(stack)


def test_every_word_is_there_in_both_languages(stack: Stack, visit: Visit) -> None:
    visitor = _enter(stack, visit, "messages")

    spanish, english, empty = visitor.words_of("./views/messages/words.js")

    assert spanish == english
    assert empty == 0
    needed = {*RecipientState, *SkipReason, *Category}
    assert {one.value for one in needed} <= {name.split()[0] for name in spanish}


def test_every_state_of_a_recipient_has_its_place_in_the_bar(stack: Stack, visit: Visit) -> None:
    visitor = _enter(stack, visit, "messages")

    states = visitor.page.evaluate('async () => (await import("./views/messages/figures.js")).STATES')

    assert sorted(states) == sorted(one.value for one in RecipientState)


def test_a_school_without_messages_is_told_so(stack: Stack, visit: Visit) -> None:
    visitor = visit()
    _answer(visitor.page, "**/v1/messages?*", {"messages": [], "next": None})

    _enter(stack, lambda: visitor, "messages")

    expect(visitor.page.get_by_text("Todavía no hay mensajes.")).to_be_visible()
    visitor.take_picture("messages-empty")


def test_a_message_on_its_way_is_watched_to_its_end(stack: Stack, visit: Visit) -> None:
    _tell_carrier(stack, receipts_delay_seconds=3, unreachable_share=0.2, refuse_share=0.15)
    visitor = _enter(stack, visit, "messages")
    page = visitor.page
    made = _send(stack, "watched", "Mañana no hay clases por falta de agua.\nVolvemos el viernes.")

    # The list learns of it by itself.
    card = page.get_by_role("listitem").filter(has=page.locator(f'a[href="#/messages/{made["id"]}"]'))
    expect(card).to_be_visible(timeout=PATIENCE)
    expect(card).to_contain_text("Mañana no hay clases por falta de agua.")
    expect(card).not_to_contain_text("Volvemos")
    card.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Suspensión de clases")

    # What came out of it: the demo's course has one guardian of every kind.
    final = _settled(stack, made["id"])
    delivered = final["counts"]["delivered"]
    expect(page.locator(".figure")).to_have_text(f"{delivered} de {made['recipients']} entregados", timeout=PATIENCE)
    legend = page.locator(".pattern-legend").first
    said = page.get_by_role("img", name=re.compile("Destinatarios según su estado"))
    for state, count in final["counts"].items():
        expect(said).to_have_attribute("aria-label", re.compile(rf": {count}(;|$)"))
        assert state
    expect(legend).to_contain_text(f"Entregado{delivered}")
    page.get_by_text("Ver las cifras en una tabla").click()
    last_row = page.get_by_role("table", name="Cómo fue llegando").get_by_role("row").last
    expect(last_row).to_contain_text(str(delivered))
    credits_table = page.get_by_role("table", name="Créditos")
    expect(credits_table).to_contain_text("Nacional")
    captured = final["credits_captured"]["domestic"]
    row = f"Nacional 0 {captured} {made['credits_held']['domestic'] - captured}"
    expect(credits_table.get_by_role("row", name=row)).to_be_visible()
    expect(page.get_by_text("directora lo envió")).to_be_visible()
    page.get_by_text("Ver las cifras en una tabla").click()
    _picture(visitor, "messages-one")
    page.get_by_role("link", name="Todos los mensajes").click()
    expect(card).to_contain_text(f"{delivered} de {made['recipients']} entregados")


def test_recipients_are_filtered_and_searched(stack: Stack, visit: Visit) -> None:
    made = _send(stack, "searched", "Reunión el martes a las 19:00.")
    _settled(stack, made["id"])
    lines = _lines(stack, made["id"])
    red = next(one for one in lines if one["is_red"])
    delivered = next(one for one in lines if one["state"] == "delivered" and one["people"][0]["name"])
    visitor = _enter(stack, visit, f"messages/{made['id']}")
    page = visitor.page
    rows = page.get_by_role("table", name="Destinatarios").locator("tbody tr")

    page.get_by_label("Estado", exact=True).select_option("opted_out")
    expect(rows).to_have_count(sum(one["state"] == "opted_out" for one in lines))
    number = rows.filter(has_text=red["people"][0]["name"]).locator(".red-number")
    expect(number).to_contain_text("no recibe SMS")
    expect(number.locator("svg")).to_have_count(1)
    _picture(visitor, "messages-filtered", at="section:has(#recipients-state)")

    page.get_by_label("Estado", exact=True).select_option("")
    name = delivered["people"][0]["name"]
    page.get_by_label("Buscar por nombre o número").fill(_without_accents(name).upper())
    expect(rows).to_have_count(
        sum(any(_without_accents(name) == _without_accents(two["name"]) for two in one["people"]) for one in lines)
    )
    expect(rows.first).to_contain_text(name)
    page.get_by_label("Buscar por nombre o número").fill(delivered["number"][-6:])
    expect(rows.filter(has_text=name)).to_have_count(1)
    page.get_by_label("Buscar por nombre o número").fill("nadie se llama así")
    expect(page.get_by_text("Nadie con ese nombre o número.")).to_be_visible()


def test_the_csv_is_the_apis_own(stack: Stack, visit: Visit) -> None:
    made = _send(stack, "csv", "Aviso para el archivo.")
    _settled(stack, made["id"])
    page = _enter(stack, visit, f"messages/{made['id']}").page

    with page.expect_download() as waiting:
        page.get_by_role("button", name="Descargar CSV").click()

    download = waiting.value
    assert download.suggested_filename == f"{made['id']}.csv"
    text = Path(download.path()).read_text("utf-8-sig")
    found = list(csv.reader(io.StringIO(text), delimiter=";"))
    assert found[0][0] == "número"
    assert len(found) - 1 == len(_lines(stack, made["id"]))
    expect(page.get_by_text("1 archivo descargado.")).to_be_visible()


def test_a_file_in_parts_is_fetched_to_its_end(stack: Stack, visit: Visit) -> None:
    made = _send(stack, "csv-parts", "Aviso en dos archivos.")
    _settled(stack, made["id"])
    visitor = _enter(stack, visit, f"messages/{made['id']}")
    page = visitor.page
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        is_first = "cursor=" not in route.request.url
        link = (
            {"Link": f'</v1/messages/{made["id"]}/recipients.csv?cursor=t.1.0&lang=es>; rel="next"'} if is_first else {}
        )
        route.fulfill(status=200, headers=link, content_type="text/csv", body="número\n")

    page.route("**/recipients.csv*", answer)
    page.get_by_role("button", name="Descargar CSV").click()

    expect(page.get_by_text("2 archivos descargados.")).to_be_visible()
    assert len(asked) == 2


def test_a_message_is_stopped_in_flight(stack: Stack, visit: Visit) -> None:
    _tell_carrier(stack, not_now_share=1.0)
    made = _send(stack, "stopped", "Esto se va a detener.")
    visitor = _enter(stack, visit, f"messages/{made['id']}")
    page = visitor.page
    opener = page.get_by_role("button", name="Detener el envío")

    # By keyboard alone: opened, left, opened again.
    opener.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="¿Detener el envío?")
    expect(dialog).to_contain_text("los créditos del resto vuelven")
    _picture(visitor, "messages-stop")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(opener).to_be_focused()

    # The answer is lost: nobody knows whether it was done, so the same is asked with the same key.
    keys = visitor.lose_first_answer("**/stop")
    page.keyboard.press("Enter")
    dialog.get_by_role("button", name="Sí, detener").click()
    expect(dialog.get_by_role("alert")).to_contain_text("No hubo respuesta")
    dialog.get_by_role("button", name="Sí, detener").click()
    expect(dialog).to_have_count(0, timeout=PATIENCE)
    assert len(set(keys)) == 1
    assert len(keys) == 2

    expect(page.locator("header .tag").filter(has_text="Detenido")).to_be_visible(timeout=PATIENCE)
    expect(page.locator(".pattern-legend").first).to_contain_text("Detenido antes de salir", timeout=PATIENCE)
    row = f"Nacional 0 0 {made['credits_held']['domestic']}"
    expect(page.get_by_role("table", name="Créditos").get_by_role("row", name=row)).to_be_visible(timeout=PATIENCE)
    _picture(visitor, "messages-stopped")
    visitor.expect_trouble("ERR_FAILED")

    # And again to those whom it did not reach.
    page.get_by_role("button", name=re.compile(r"^Enviar otra vez a \d+")).click()
    page.wait_for_url(re.compile("#/write/"))
    again = stack.api.need("GET", f"/messages/{page.url.rpartition('/')[2]}", stack.token())
    assert again["state"] == "draft"
    assert again["text"] == made["text"]


def test_a_scheduled_message_is_moved_and_cancelled(stack: Stack, visit: Visit) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=2)
    made = _send(stack, "scheduled", "Sale después.", at=tomorrow.strftime("%Y-%m-%dT15:00"))
    visitor = _enter(stack, visit, f"messages/{made['id']}")
    page = visitor.page
    expect(page.locator("header .tag")).to_have_text("Programado")

    page.get_by_role("button", name="Cambiar la hora").click()
    field = page.get_by_label(re.compile("Nueva fecha y hora"))
    expect(field).to_have_value(tomorrow.strftime("%Y-%m-%dT15:00"))
    field.fill("2020-01-01T10:00")
    page.get_by_role("button", name="Guardar la hora").click()
    expect(page.get_by_role("dialog").get_by_role("alert").last).to_contain_text("Esa hora no sirve")
    expect(field).to_have_attribute("aria-invalid", "true")
    _picture(visitor, "messages-move")
    field.fill(tomorrow.strftime("%Y-%m-%dT17:30"))
    page.get_by_role("button", name="Guardar la hora").click()
    expect(page.get_by_text(re.compile("Hora cambiada: saldrá .*17:30"))).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_contain_text("17:30")
    visitor.expect_trouble("422", "400")

    page.get_by_role("button", name="Cancelar el mensaje").click()
    page.get_by_role("button", name="Sí, cancelarlo").click()
    expect(page.locator("header .tag")).to_have_text("Cancelado", timeout=PATIENCE)
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    assert stack.api.need("GET", f"/messages/{made['id']}", stack.token())["state"] == "cancelled"
    page.get_by_role("link", name="Todos los mensajes").click()
    expect(page.locator(".message-card").first).to_contain_text("Cancelado")
    expect(page.get_by_text(re.compile(r"\d+ de \d+ entregados")).first).to_be_visible()
    _picture(visitor, "messages-list")


def test_what_somebody_else_has_stopped_is_shown_as_it_is(stack: Stack, visit: Visit) -> None:
    later = (datetime.now(UTC) + timedelta(days=3)).strftime("%Y-%m-%dT15:00")
    made = _send(stack, "overtaken", "Otra persona lo cancela antes.", at=later)
    visitor = _enter(stack, visit, f"messages/{made['id']}")
    page = visitor.page
    page.get_by_role("button", name="Cambiar la hora").click()
    stack.api.need("POST", f"/messages/{made['id']}/cancel", stack.token())

    page.get_by_role("button", name="Guardar la hora").click()

    expect(page.get_by_role("dialog")).to_contain_text("el mensaje siguió su camino")
    page.get_by_role("button", name="Volver sin cambios").click()
    expect(page.locator("header .tag")).to_have_text("Cancelado", timeout=PATIENCE)
    visitor.expect_trouble("409")


def test_the_list_for_the_gate_is_printed_by_course(stack: Stack, visit: Visit) -> None:
    made = _send(stack, "gate", "Hoy se suspenden las clases a las 12:00 por corte de agua.")
    _settled(stack, made["id"])
    lines = _lines(stack, made["id"])
    visitor = _enter(stack, visit, f"messages/{made['id']}")
    page = visitor.page
    page.get_by_role("link", name="Lista para la puerta").click()

    course = page.get_by_role("table", name="7° Básico B")
    expect(course).to_be_visible(timeout=PATIENCE)
    missing = {
        two["name"] for one in lines if one["state"] not in ("delivered", "duplicate_of") for two in one["people"]
    }
    delivered = {two["name"] for one in lines if one["state"] == "delivered" for two in one["people"]}
    said = page.locator(".gate").inner_text()
    assert missing, "the demo's course has families whom SMS does not reach"
    assert all(name in said for name in missing)
    assert not [name for name in delivered - missing if re.search(rf"^{re.escape(name)}( de|$)", said, re.MULTILINE)]
    expect(course.get_by_text(re.compile("^ ?de ")).first).to_be_visible()
    _picture(visitor, "messages-gate")
    page.emulate_media(media="print")
    expect(page.get_by_role("button", name="Imprimir")).to_be_hidden()
    expect(page.get_by_role("navigation")).to_be_hidden()
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.set_viewport_size({"width": 720, "height": 1000})
    page.screenshot(path=SCREENSHOTS / "messages-gate-print.png")


def test_without_a_network_what_is_there_stays_and_comes_up_to_date_by_itself(stack: Stack, visit: Visit) -> None:
    _tell_carrier(stack, receipts_delay_seconds=4)
    made = _send(stack, "network", "Con la red a tropezones.")
    visitor = _enter(stack, visit, f"messages/{made['id']}")
    page = visitor.page
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    search = page.get_by_label("Buscar por nombre o número")
    search.focus()

    page.route(f"**/v1/messages/{made['id']}?*", lambda route: route.abort())
    expect(page.get_by_text("No se pudo actualizar.")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("Con la red a tropezones.")).to_be_visible()
    _picture(visitor, "messages-no-network")
    page.unroute(f"**/v1/messages/{made['id']}?*")

    final = _settled(stack, made["id"])
    expect(page.locator(".figure")).to_contain_text(f"{final['counts']['delivered']} de", timeout=PATIENCE)
    expect(page.get_by_text("No se pudo actualizar.")).to_be_hidden()
    expect(search).to_be_focused()
    visitor.expect_trouble("ERR_FAILED")


def test_too_many_requests_are_said_and_tried_again(stack: Stack, visit: Visit) -> None:
    visitor = visit()
    visitor.page.route(
        "**/v1/messages?*",
        lambda route: route.fulfill(
            status=429,
            headers={"Retry-After": "7"},
            content_type="application/problem+json",
            body='{"code": "too_many_requests"}',
        ),
        times=1,
    )
    _enter(stack, lambda: visitor, "messages")

    alert = visitor.page.get_by_role("alert")
    expect(alert).to_contain_text("Inténtelo en 7 s.")
    alert.get_by_role("button", name="Intentar otra vez").click()
    expect(alert).to_have_count(0)
    visitor.expect_trouble("429")


def test_a_message_that_is_not_there_is_said_in_words(stack: Stack, visit: Visit) -> None:
    visitor = _enter(stack, visit, "messages/nada")

    expect(visitor.page.get_by_text("Ese mensaje no existe en su colegio.")).to_be_visible()
    visitor.expect_trouble("404")


def test_the_list_costs_less_than_a_hundred_kilobytes(stack: Stack, visit: Visit) -> None:
    page = _enter(stack, visit, "messages").page
    page.locator(".message-card, .empty").first.wait_for()

    sizes = page.evaluate(
        """() => performance.getEntriesByType("resource").filter((one) => one.name.includes("/console/"))
          .map((one) => one.encodedBodySize)"""
    )

    assert len(sizes) > 10
    assert sum(sizes) < 100_000


def test_nothing_is_asked_while_nobody_looks(stack: Stack, visit: Visit) -> None:
    _tell_carrier(stack, receipts_delay_seconds=600)
    made = _send(stack, "hidden", "Nadie mira.")
    page = _enter(stack, visit, f"messages/{made['id']}").page
    page.locator(".figure").wait_for()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    page.evaluate(
        """() => {
          Object.defineProperty(document, "hidden", { configurable: true, get: () => true });
          document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    page.wait_for_timeout(1_000)  # what was on its way
    asked.clear()
    page.wait_for_timeout(6_000)  # three turns
    assert asked == []

    with page.expect_request(f"**/v1/messages/{made['id']}?*"):
        page.evaluate("() => { delete document.hidden; document.dispatchEvent(new Event('visibilitychange')); }")


def test_older_messages_come_on_demand_and_focus_goes_on(stack: Stack, visit: Visit) -> None:
    for count in range(22):
        _draft(stack, f"older-{count}", f"Borrador {count}.")
    visitor = _enter(stack, visit, "messages")
    page = visitor.page
    cards = page.locator(".message-card")
    expect(cards).to_have_count(20)

    page.get_by_role("button", name="Ver más").press("Enter")

    expect(cards.nth(20).get_by_role("link")).to_be_focused()
    page.get_by_label("Mostrar").select_option("draft")
    expect(cards.filter(has_text="Borrador 0.")).to_be_visible()
    assert page.locator(".message-card .tag", has_text=re.compile("^(?!Borrador)")).count() == 0


def test_it_is_as_good_in_the_dark(stack: Stack, visit: Visit) -> None:
    made = _send(stack, "dark", "De noche también se lee.")
    _settled(stack, made["id"])
    visitor = _enter(stack, lambda: visit(color_scheme="dark"), f"messages/{made['id']}")
    expect(visitor.page.get_by_role("table", name="Destinatarios")).to_be_visible()

    _picture(visitor, "messages-dark")


def test_text_twice_as_large_still_fits(stack: Stack, visit: Visit) -> None:
    made = _send(stack, "large", "Con letras grandes.")
    _settled(stack, made["id"])
    visitor = _enter(stack, visit, f"messages/{made['id']}")
    expect(visitor.page.get_by_role("table", name="Destinatarios")).to_be_visible()

    visitor.page.evaluate("document.documentElement.style.fontSize = '200%'")
    visitor.page.set_viewport_size({"width": 640, "height": 800})
    visitor.check_accessible()
    visitor.page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    visitor.check_accessible()


# --- replies -------------------------------------------------------------------------------------------------------


def test_a_reply_appears_by_itself_and_says_whose_it_is(stack: Stack, visit: Visit) -> None:
    made = _send(stack, "replied", "¿Vienen a la reunión del jueves?")
    _settled(stack, made["id"])
    delivered = [one for one in _lines(stack, made["id"]) if one["state"] == "delivered"]
    line, other = delivered[0], delivered[1]
    of_message = _enter(stack, visit, f"messages/{made['id']}")
    visitor = _enter(stack, visit, "replies")
    page = visitor.page
    expect(page.get_by_role("heading", level=1, name="Respuestas")).to_be_visible()

    expect(
        page.locator("recado-replies").get_by_text("Todavía no hay respuestas.").or_(page.locator(".reply-card").first)
    ).to_be_visible()
    _reply(stack, line["number"], "Sí, vamos los dos.")
    card = page.get_by_role("listitem").filter(has_text="Sí, vamos los dos.")
    expect(card).to_be_visible(timeout=PATIENCE)
    expect(card).to_contain_text(line["people"][0]["name"])
    expect(page.get_by_text(re.compile("respuestas? nuevas?"))).to_be_visible()
    answers = of_message.page.get_by_role("region", name="Respuestas a este mensaje")
    expect(answers).to_contain_text("Sí, vamos los dos.", timeout=PATIENCE)
    expect(answers).to_contain_text(line["people"][0]["name"])

    _reply(stack, other["number"], "STOP")
    expect(page.get_by_text("Pidió no recibir más SMS").first).to_be_visible(timeout=PATIENCE)
    _picture(visitor, "replies")
    of_message.check_accessible()
    _reply(stack, other["number"], "ALTA")
    expect(page.get_by_text("Pidió volver a recibir SMS").first).to_be_visible(timeout=PATIENCE)


def test_a_school_without_replies_is_told_so(stack: Stack, visit: Visit) -> None:
    visitor = visit()
    _answer(visitor.page, "**/v1/replies?*", {"replies": [], "next": None})

    _enter(stack, lambda: visitor, "replies")

    expect(visitor.page.get_by_text("Todavía no hay respuestas.")).to_be_visible()
    visitor.take_picture("replies-empty")


def test_older_replies_come_on_demand_and_are_kept_when_newer_come(stack: Stack, visit: Visit) -> None:
    visitor = visit()
    page = visitor.page
    everything = [
        {"id": f"c#{one:03}", "number": "+56955550199", "code": "20600", "text": f"Texto {one}", "word": None,
         "received_at": (datetime(2026, 3, 1, tzinfo=UTC) + timedelta(minutes=one)).isoformat()}
        for one in range(70)
    ]  # fmt: skip

    def answer(route: Route) -> None:
        found = re.search(r"before=(\d+)", route.request.url)
        end = int(found[1]) if found else len(everything)
        shown = everything[max(0, end - 30) : end][::-1]
        route.fulfill(json={"replies": shown, "next": str(end - 30) if end > 30 else None})

    page.route("**/v1/replies?*", answer)
    _enter(stack, lambda: visitor, "replies")
    cards = page.locator(".reply-card")
    expect(cards).to_have_count(30)
    page.get_by_role("button", name="Ver más").click()
    expect(cards).to_have_count(60)
    expect(cards.nth(30)).to_be_focused()
    everything.append(everything[-1] | {"id": "c#new", "text": "La más nueva", "received_at": "2026-03-02T12:00:00Z"})
    expect(cards.first).to_contain_text("La más nueva", timeout=PATIENCE)
    expect(cards).to_have_count(61)
    expect(cards.nth(31)).to_be_focused()
    page.get_by_role("button", name="Ver más").click()
    expect(cards).to_have_count(71)
    expect(page.get_by_role("button", name="Ver más")).to_be_hidden()


# --- what they share -----------------------------------------------------------------------------------------------


def _enter(stack: Stack, visit: Visit, where: str) -> Visitor:
    visitor = visit()
    visitor.page.goto(f"{stack.pages_url}/index.html?as=director#/{where}")
    visitor.page.get_by_role("heading", level=1).wait_for()
    return visitor


def _send(stack: Stack, key: str, text: str, at: str | None = None) -> dict[str, Any]:
    body = {
        "text": text,
        "category": "classes_cancelled",
        "audience": GUARDIANS_OF_7B,
        "send": {"at": at} if at else "now",
    }
    made: dict[str, Any] = stack.api.need("POST", "/messages", stack.token(), body, idempotency_key=f"messages-{key}")
    return made


def _draft(stack: Stack, key: str, text: str) -> None:
    body = {"text": text, "category": "other_alert", "audience": GUARDIANS_OF_7B}
    stack.api.need("POST", "/messages", stack.token(), body, idempotency_key=f"messages-{key}")


def _settled(stack: Stack, message_id: str) -> dict[str, Any]:
    """The message as soon as every text that gets a receipt has it."""
    deadline = datetime.now(UTC) + timedelta(seconds=60)
    before: Any = None
    same = 0
    while datetime.now(UTC) < deadline:
        seen: dict[str, Any] = stack.api.need("GET", f"/messages/{message_id}", stack.token())
        same = (
            same + 1 if seen["counts"] == before and seen["state"] == "sent" and seen["counts"].get("delivered") else 0
        )
        before = seen["counts"]
        if same >= 8:
            return seen
        time.sleep(0.4)
    raise AssertionError(f"not settled: {before}")


def _lines(stack: Stack, message_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = ""
    for _ in range(20):
        answer = stack.api.need("GET", f"/messages/{message_id}/recipients?limit=100{cursor}", stack.token())
        found += answer["recipients"]
        if answer["next"] is None:
            return found
        cursor = f"&cursor={quote(answer['next'])}"
    raise AssertionError("pages without an end")


def _reply(stack: Stack, number: str, text: str) -> None:
    Api(stack.handsets.url).need("POST", f"/handsets/{quote(number)}/replies", body={"to": "20600", "text": text})


def _tell_carrier(stack: Stack, **faults: float | bool) -> None:
    Api(stack.handsets.url).need("PUT", "/faults", body=faults)


def _answer(page: Page, address: str, body: Any) -> None:
    page.route(address, lambda route: route.fulfill(json=body))


def _without_accents(text: str) -> str:
    return "".join(one for one in unicodedata.normalize("NFD", text) if not unicodedata.combining(one)).lower()


def _picture(visitor: Visitor, name: str, at: str = "main") -> None:
    """As `take_picture`, of what is in sight: a message's whole page is as long as its list of recipients."""
    for suffix, size in (("", {"width": 1280, "height": 960}), ("-320", {"width": 320, "height": 1200})):
        visitor.page.set_viewport_size(size)  # type: ignore[arg-type]  # a TypedDict of the two
        visitor.check_accessible()
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        top = 0 if at == "main" else visitor.page.locator(at).evaluate("(one) => one.offsetTop - 20")
        visitor.page.evaluate("(top) => window.scrollTo(0, top)", top)
        visitor.page.screenshot(path=SCREENSHOTS / f"{name}{suffix}.png")
    visitor.page.set_viewport_size({"width": 1280, "height": 800})
