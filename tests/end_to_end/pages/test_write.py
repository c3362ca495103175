"""A director writes a message: text, for whom, what it costs, the last look; and what can go wrong on the way."""

import random
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, Route, expect

from local.api import Key
from recado.rules import texts
from recado.rules.plain_words import CATEGORIES, Language
from recado.rules.segments import measure
from tests.end_to_end.conftest import Stack
from tests.end_to_end.pages.conftest import NARROW, SCREENSHOTS, WIDE, Visitor

SANTIAGO = ZoneInfo("America/Santiago")
TEXT = "Mañana jueves a las 19:00 hay reunión de apoderados. Habrá elección de directiva."
PATIENCE = 20_000

type Visit = Callable[..., Visitor]


def test_every_word_is_there_in_both_languages(stack: Stack, visit: Visit) -> None:
    visitor = _enter(stack, visit)

    found = visitor.page.evaluate(
        """async () => {
          const { WORDS } = await import("./views/write/words.js");
          const kind = (one) => typeof one;
          const names = (said) => Object.entries(said).map(([name, word]) => `${name} ${kind(word)}`).sort();
          const all = Object.values(WORDS).flatMap(Object.values);
          return [names(WORDS.es), names(WORDS.en), all.filter((one) => one === "").length];
        }"""
    )

    assert found[0] == found[1]
    assert found[2] == 0


def test_the_meter_measures_as_the_api_does(stack: Stack, visit: Visit) -> None:
    visitor = _enter(stack, visit)
    dice = random.Random(7)  # noqa: S311  # texts, not secrets
    alphabet = [
        *"abcño áíóúé €[]{}~^|\\\f\n¡¿°“”😀👍ñÑüÁÍÓÚ",
        "\u0301",
        "n\u0303",
        "\u00ad",
        "\r\n",
        "{curso}",
        "{Estudiante}",
        "{apoderado}",
        "{nada}",
    ]
    written = [
        "".join(dice.choices(alphabet, k=dice.choice([1, 5, 69, 70, 71, 134, 152, 160, 161, 306, 400])))
        for _ in range(400)
    ]
    written += ["a" * 152 + "€" + "b" * 20, "á" * 66 + "😀" + "b" * 10, "", "a" * 160, "a" * 161]

    found = visitor.page.evaluate(
        """async (written) => {
          const { meter } = await import("./views/write/texts.js");
          return written.map((text) => [false, true].map((withoutAccents) => {
            const size = meter(text, { withoutAccents });
            return [size.encoding, size.units, size.segments];
          }));
        }""",
        written,
    )

    for text, said in zip(written, found, strict=True):
        kept = texts.compose(text)
        sizes = [measure(texts._fill(kept, texts.EMPTY, drop)) for drop in (False, True)]
        assert said == [[one.encoding.value, one.units, one.segments] for one in sizes], ascii(text)


def test_a_category_says_at_once_what_the_api_says_of_it(stack: Stack, visit: Visit) -> None:
    visitor = _enter(stack, visit)

    for category, words in CATEGORIES.items():
        visitor.page.get_by_label("Qué es").select_option(category.value)
        expect(visitor.page.locator("#category-advice")).to_contain_text(words.advice.say(Language.ES))


def test_a_director_calls_a_course_together(stack: Stack, visit: Visit) -> None:
    visitor = _enter(stack, visit)
    page = visitor.page
    _picture(visitor, "write-empty")

    # 1. The text costs double for its accents, and one key takes them away.
    _compose(page)
    _choose_7b(page)
    key = page.get_by_role("button", name="Quitar 3 tildes ahorra 22 créditos")
    key.wait_for()
    expect(page.get_by_text("2 SMS por persona")).to_be_visible()
    key.click()
    back = page.get_by_role("button", name="Volver a poner las tildes")
    expect(back).to_be_focused()
    expect(page.get_by_text("1 SMS por persona", exact=True)).to_be_visible()
    back.click()
    page.get_by_role("button", name="Quitar 3 tildes ahorra 22 créditos").click()
    expect(page.locator(".bubble")).to_have_text(TEXT.replace("ó", "o").replace("á", "a").replace("Manana", "Mañana"))

    # 2. What will happen: figures, and why each of the others gets none.
    expect(_bar(page)).to_contain_text("22 créditos · quedan")
    page.get_by_role("button", name="No reciben SMS 1").click()
    red = page.locator(".recipients .red-number")
    expect(red).to_have_text(" +56 9 5555 0101 · no recibe SMS")
    expect(red.locator("svg")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="Rosa Catrileo Muñoz")).to_be_visible()
    _picture(visitor, "write-result", "#result-title")
    page.get_by_role("button", name="Sin número 2").click()
    expect(page.locator(".recipients li").first).to_contain_text("La ficha no tiene número de teléfono.")
    expect(page.locator(".recipients .red-number")).to_have_count(0)

    # 3. The last look says the same, and exactly that is held.
    balance = _available(stack)
    page.get_by_role("button", name="Revisar y enviar").click()
    dialog = page.get_by_role("dialog", name="Confirmar el envío")
    expect(dialog).to_contain_text(f"{_es(balance)} − 22 = {_es(balance - 22)}")
    expect(dialog).to_contain_text("No reciben SMS: 1")
    _picture(visitor, "write-confirm")
    dialog.get_by_role("button", name="Enviar por 22 créditos").dblclick()
    page.wait_for_url("**/*#/messages/*")
    sent = _message(stack, page)
    assert sent["credits_held"] == {"domestic": 22}
    assert sent["recipients"] == 22
    assert sent["drop_accents"]
    assert sent["skipped"]["opted_out"] == 1
    assert _available(stack) == balance - 22
    assert [one["id"] for one in _messages(stack) if one["text"] == TEXT] == [sent["id"]]


def test_fields_go_in_at_the_caret_and_are_read_as_a_recipient_reads_them(stack: Stack, visit: Visit) -> None:
    visitor = _enter(stack, visit)
    page = visitor.page
    _compose(page, "Estimado , mañana no hay clases.", "classes_cancelled")
    page.get_by_label("Texto", exact=True).press("Control+Home")
    for _ in range(len("Estimado ")):
        page.keyboard.press("ArrowRight")

    page.get_by_role("button", name="Insertar {apoderado}").click()

    expect(page.get_by_label("Texto", exact=True)).to_have_value("Estimado {apoderado}, mañana no hay clases.")
    expect(page.get_by_label("Texto", exact=True)).to_be_focused()
    _choose_7b(page)
    expect(page.get_by_text("Así lo lee Paola Sepúlveda Cáceres")).to_be_visible(timeout=PATIENCE)
    expect(page.locator(".bubble")).to_have_text("Estimado Paola Sepúlveda Cáceres, mañana no hay clases.")


def test_the_tree_says_what_is_chosen_in_part_and_people_come_and_go(stack: Stack, visit: Visit) -> None:
    page = _enter(stack, visit).page
    _open_tree(page)
    page.get_by_role("checkbox", name="7° Básico 63").check()
    expect(page.get_by_role("checkbox", name="7° Básico B")).to_be_checked()
    expect(page.locator("#audience-sentence")).to_have_text("Apoderados de 7° Básico.")
    page.get_by_role("checkbox", name="7° Básico A").uncheck()
    expect(page.locator("#audience-sentence")).to_have_text("Apoderados de 7° Básico B.")
    assert page.get_by_role("checkbox", name="Educación Básica").evaluate("(box) => box.indeterminate")

    page.get_by_role("checkbox", name="Todo el colegio").check()
    page.get_by_role("checkbox", name="Educación Media").uncheck()
    expect(page.locator("#audience-sentence")).to_have_text("Apoderados de Educación Básica y Educación Parvularia.")
    page.get_by_role("checkbox", name="Educación Básica").uncheck()
    page.get_by_role("checkbox", name="Educación Parvularia").uncheck()
    expect(page.locator("#audience-sentence")).to_have_text("Todavía nadie.")

    search = page.get_by_label("Agregar o dejar fuera a una persona")
    search.fill("catrileo")
    expect(page.locator(".found .red-number").first).to_contain_text("no recibe SMS")
    page.get_by_role("button", name="Agregar a Rosa Catrileo Muñoz").click()
    expect(page.locator("#audience-sentence")).to_have_text("1 persona elegida.")
    search.fill("paola sep")
    page.get_by_role("button", name="Dejar fuera a Paola Sepúlveda Cáceres").click()
    page.get_by_text("Dejar fuera un grupo").first.click()
    page.get_by_label("Dejar fuera un grupo").select_option(label="8° Básico A")
    page.locator("details", has_text="Elija un grupo").get_by_role("button", name="Dejar fuera").click()
    expect(page.locator("#audience-sentence")).to_have_text("1 persona elegida, menos 8° Básico A y 1 persona.")
    page.get_by_role("button", name="Quitar Paola Sepúlveda Cáceres de la lista").click()
    page.get_by_role("button", name="Quitar 8° Básico A de la lista").click()
    expect(page.locator("#audience-sentence")).to_have_text("1 persona elegida.")


def test_an_everyday_notice_costs_nothing_unless_somebody_says_so(stack: Stack, visit: Visit) -> None:
    visitor = _enter(stack, visit)
    page = visitor.page
    asked: list[Any] = []
    page.on("request", lambda one: asked.append(one.post_data_json) if "/v1/messages/estimate" in one.url else None)
    _compose(page, "Mañana: día del libro.", "notice")
    _choose_7b(page)

    # Not worked out, not sent, until it is said which way (L1).
    expect(page.get_by_text("elegir cómo va el aviso")).to_be_visible()
    _picture(visitor, "write-notice", "#what-title")
    page.get_by_role("button", name="Revisar y enviar").press("Enter")
    expect(page.get_by_role("button", name="Enviarlo gratis por el centro de mensajes")).to_be_focused()
    assert asked == []

    page.get_by_role("checkbox", name="Enviarlo igual por SMS").check()
    expect(_bar(page)).to_contain_text("22 créditos", timeout=PATIENCE)
    assert [one["confirm_notice_by_sms"] for one in asked] == [True]

    page.get_by_role("button", name="Enviarlo gratis por el centro de mensajes").click()
    expect(_bar(page)).to_have_text("Gratis, por el centro de mensajes", timeout=PATIENCE)
    balance = _available(stack)
    page.get_by_role("button", name="Revisar y enviar").click()
    page.get_by_role("button", name="Enviar gratis").click()
    page.wait_for_url("**/*#/messages/*")
    sent = _message(stack, page)
    assert sent["channels"] == ["inbox"]
    assert sent["message_centre"]["copies"] == 31
    assert _available(stack) == balance


def test_whoever_opts_out_between_the_figures_and_the_sending_is_told_of(stack: Stack, visit: Visit) -> None:
    visitor = _enter(stack, visit)
    page = visitor.page
    _compose(page, "Reunión hoy a las 18:00.", "meeting")
    _choose_7b(page)
    expect(_bar(page)).to_contain_text("22 créditos", timeout=PATIENCE)
    page.get_by_role("button", name="Revisar y enviar").click()
    dialog = page.get_by_role("dialog", name="Confirmar el envío")
    _switch_sms(stack, "guardian-007", allowed=False)
    try:
        dialog.get_by_role("button", name="Enviar por 22 créditos").click()

        expect(dialog.get_by_role("alert")).to_contain_text("Créditos: antes 22, ahora 21.", timeout=PATIENCE)
        expect(dialog.get_by_role("alert")).to_contain_text("Paola Sepúlveda Cáceres: recibe el SMS → no recibe SMS")
        _picture(visitor, "write-changed")
        dialog.get_by_role("button", name="Enviar por 21 créditos").click()
        page.wait_for_url("**/*#/messages/*")
        assert _message(stack, page)["credits_held"] == {"domestic": 21}
    finally:
        _switch_sms(stack, "guardian-007", allowed=True)
    _forget(visitor, "409")


def test_an_answer_that_is_lost_sends_nothing_twice(stack: Stack, visit: Visit) -> None:
    visitor = _enter(stack, visit)
    page = visitor.page
    keys: list[str | None] = []

    def lose_the_first(route: Route) -> None:
        keys.append(route.request.headers.get("idempotency-key"))
        if len(keys) == 1:
            route.fetch()  # it arrives and is done; the answer does not
            route.abort()
        else:
            route.continue_()

    page.route("**/v1/messages", lose_the_first)
    text = "Hoy no hay clases por un corte de agua."
    _compose(page, text, "classes_cancelled")
    _choose_7b(page)
    expect(_bar(page)).to_contain_text("22 créditos", timeout=PATIENCE)
    page.get_by_role("button", name="Revisar y enviar").click()
    page.get_by_role("button", name="Enviar por 22 créditos").click()
    again = page.get_by_role("button", name="Intentar ese envío otra vez")
    expect(again).to_be_focused()
    _picture(visitor, "write-no-answer")

    # Closed and changed meanwhile, it is still that very sending which is asked again.
    page.keyboard.press("Escape")
    expect(page.get_by_label("Texto", exact=True)).to_have_value(text)
    page.get_by_label("Texto", exact=True).fill(text + " Y otra cosa.")
    page.get_by_role("button", name="Revisar y enviar").click()
    again.click()

    page.wait_for_url("**/*#/messages/*")
    assert len(keys) == 2
    assert keys[0] == keys[1]
    assert keys[0]
    assert [one["text"] for one in _messages(stack) if one["text"].startswith(text)] == [text]
    _forget(visitor, "ERR_FAILED")


def test_a_network_that_fails_loses_nothing(stack: Stack, visit: Visit) -> None:
    visitor = _enter(stack, visit)
    page = visitor.page
    page.route("**/v1/messages/estimate*", lambda route: route.abort())
    _compose(page)
    _choose_7b(page)

    expect(page.get_by_role("alert").filter(has_text="No hubo respuesta")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_label("Texto", exact=True)).to_have_value(TEXT)
    page.unroute("**/v1/messages/estimate*")
    page.get_by_role("button", name="Intentar otra vez").click()
    expect(_bar(page)).to_contain_text("44 créditos", timeout=PATIENCE)
    _forget(visitor, "ERR_FAILED")


def test_too_many_requests_are_asked_again_by_themselves(stack: Stack, visit: Visit) -> None:
    visitor = _enter(stack, visit)
    page = visitor.page
    count = 0

    def refuse_once(route: Route) -> None:
        nonlocal count
        count += 1
        if count > 1:
            route.continue_()
            return
        problem = {"title": "…", "status": 429, "code": "too_many_requests"}
        route.fulfill(
            status=429, json=problem, headers={"Retry-After": "2", "content-type": "application/problem+json"}
        )

    page.route("**/v1/messages/estimate*", refuse_once)
    _compose(page)
    _choose_7b(page)

    expect(page.get_by_role("alert").filter(has_text="Inténtelo en 2 s")).to_be_visible(timeout=PATIENCE)
    expect(_bar(page)).to_contain_text("44 créditos", timeout=PATIENCE)
    _forget(visitor, "429")


def test_a_message_waits_for_its_time_on_the_schools_clock(stack: Stack, visit: Visit) -> None:
    # Somebody who looks from another time zone: the school's clock counts, not theirs.
    visitor = _enter(stack, visit, timezone_id="Asia/Tokyo")
    page = visitor.page
    _compose(page, "Pasado mañana: reunión.", "meeting")
    _choose_7b(page)
    page.get_by_role("radio", name="A una hora").check()
    expect(page.get_by_text("Según el reloj del colegio (America/Santiago).")).to_be_visible()
    at = (datetime.now(SANTIAGO) + timedelta(days=2)).strftime("%Y-%m-%dT09:30")
    field = page.get_by_label("Día y hora")
    field.fill("2020-01-01T08:00")
    expect(_bar(page)).to_contain_text("22 créditos", timeout=PATIENCE)
    page.get_by_role("button", name="Revisar y programar").click()
    expect(page.get_by_role("alert").filter(has_text="Esa hora ya pasó")).to_be_visible()
    field.fill(at)
    _picture(visitor, "write-later", "#how-title")
    page.get_by_role("button", name="Revisar y programar").click()
    expect(page.get_by_role("dialog")).to_contain_text("09:30 (America/Santiago)")
    page.get_by_role("button", name="Programar por 22 créditos").click()
    page.wait_for_url("**/*#/messages/*")
    scheduled = _message(stack, page)
    assert scheduled["state"] == "scheduled"
    assert scheduled["send_at_local"].startswith(at)

    # It is changed, and its hold with it.
    page.goto(f"{stack.pages_url}/index.html?as=director#/write/{scheduled['id']}")
    page.get_by_role("heading", name="Mensaje programado").wait_for()
    expect(page.get_by_label("Día y hora")).to_have_value(at)
    page.get_by_label("Texto", exact=True).fill("Pasado mañana: reunión a las nueve.")
    expect(_bar(page)).to_contain_text("22 créditos", timeout=PATIENCE)
    page.get_by_label("Día y hora").fill(at.replace("09:30", "10:00"))
    page.get_by_role("button", name="Revisar los cambios").click()
    page.get_by_role("button", name="Guardar los cambios").click()
    page.wait_for_url("**/*#/messages/*")
    changed = _message(stack, page)
    assert changed["text"] == "Pasado mañana: reunión a las nueve."
    assert changed["send_at_local"].startswith(at.replace("09:30", "10:00"))
    assert changed["credits_held"] == {"domestic": 22}
    stack.api.need("POST", f"/messages/{scheduled['id']}/cancel", stack.token())


@pytest.mark.parametrize("is_gap", [True, False])
def test_an_hour_that_is_not_there_or_comes_twice_is_told(stack: Stack, visit: Visit, is_gap: bool) -> None:
    visitor = _enter(stack, visit)
    page = visitor.page
    at = _next_change(is_gap)
    _compose(page, "Reunión de madrugada.", "meeting")
    _choose_7b(page)
    page.get_by_role("radio", name="A una hora").check()
    page.get_by_label("Día y hora").fill(at)
    expect(_bar(page)).to_contain_text("22 créditos", timeout=PATIENCE)
    page.get_by_role("button", name="Revisar y programar").click()
    page.get_by_role("button", name="Programar por 22 créditos").click()

    page.get_by_role("button", name="Usar esa hora" if is_gap else "La segunda").click()
    page.get_by_role("button", name="Revisar y programar").click()
    page.get_by_role("button", name="Programar por 22 créditos").click()
    page.wait_for_url("**/*#/messages/*")
    scheduled = _message(stack, page)
    if is_gap:
        assert scheduled["send_at_local"] > at
    else:
        assert scheduled["send_at_local"].startswith(at)
        second = datetime.fromisoformat(at).replace(tzinfo=SANTIAGO, fold=1)
        assert datetime.fromisoformat(scheduled["send_at"]) == second.astimezone(UTC)
    stack.api.need("POST", f"/messages/{scheduled['id']}/cancel", stack.token())
    _forget(visitor, "422")


@pytest.fixture
def quiet_now(stack: Stack) -> Iterator[datetime]:
    """The school is quiet from an hour ago until about an hour from now; yields that end."""
    now = datetime.now(SANTIAGO)
    until = now + timedelta(hours=1)
    _set_quiet(stack, {"from": f"{now - timedelta(hours=1):%H:%M}", "until": f"{until:%H:%M}"})
    yield until
    _set_quiet(stack, None)


def test_quiet_hours_offer_the_next_time_at_a_press(stack: Stack, visit: Visit, quiet_now: datetime) -> None:
    visitor = _enter(stack, visit)
    page = visitor.page
    _compose(page, "Reunión el lunes.", "meeting")
    _choose_7b(page)
    expect(_bar(page)).to_contain_text("22 créditos", timeout=PATIENCE)
    page.get_by_role("button", name="Revisar y enviar").click()
    page.get_by_role("button", name="Enviar por 22 créditos").click()
    offered = page.get_by_role("button", name="Programar para el")
    expect(offered).to_be_focused()
    _picture(visitor, "write-quiet")
    offered.click()
    page.get_by_role("button", name="Programar por 22 créditos").click()
    page.wait_for_url("**/*#/messages/*")
    scheduled = _message(stack, page)
    assert scheduled["send_at_local"].startswith(f"{quiet_now:%Y-%m-%dT%H:%M}")
    stack.api.need("POST", f"/messages/{scheduled['id']}/cancel", stack.token())
    _forget(visitor, "409")


def test_a_draft_is_kept_found_again_and_never_overwritten_unseen(stack: Stack, visit: Visit) -> None:
    visitor = _enter(stack, visit)
    page = visitor.page
    text = "Paseo de fin de año: aviso con detalles."
    _compose(page, text, "meeting")
    page.get_by_role("button", name="Guardar borrador").click()
    expect(page.get_by_role("alert").filter(has_text="de qué cursos")).to_be_visible()
    _choose_7b(page)
    page.get_by_role("button", name="Guardar borrador").click()
    expect(page.get_by_text("Borrador guardado.")).to_be_visible()
    page.wait_for_url("**/*#/write/*")
    draft = page.url.rpartition("/")[2]
    _forget(visitor, "422")

    page.reload()
    page.get_by_role("heading", name="Borrador", exact=True).wait_for()
    expect(page.get_by_label("Texto", exact=True)).to_have_value(text)
    expect(page.locator("#audience-sentence")).to_have_text("Apoderados de 7° Básico B.")
    expect(_bar(page)).to_contain_text("22 créditos", timeout=PATIENCE)

    # Somebody else changes it meanwhile.
    other = {"text": "Otro texto.", "category": "meeting", "audience": {"who": ["guardians"], "groups": ["course-7b"]}}
    stack.api.need("PUT", f"/messages/{draft}", stack.token(), other)
    page.get_by_label("Texto", exact=True).fill(text + " Gracias.")
    expect(page.get_by_text("Otra persona cambió este mensaje").first).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_label("Texto", exact=True)).to_have_value(text + " Gracias.")
    _picture(visitor, "write-conflict", "#result-title")
    page.get_by_role("button", name="Guardar lo mío encima").first.click()
    expect(_bar(page)).to_contain_text("22 créditos", timeout=PATIENCE)
    assert stack.api.need("GET", f"/messages/{draft}", stack.token())["text"] == text + " Gracias."
    page.get_by_role("button", name="Revisar y enviar").click()
    page.get_by_role("button", name="Enviar por 22 créditos").click()
    page.wait_for_url("**/*#/messages/*")
    assert _message(stack, page)["id"] == draft
    _forget(visitor, "409")


def test_a_draft_for_whom_it_did_not_reach_is_looked_at_and_not_changed(stack: Stack, visit: Visit) -> None:
    audience = {"who": ["guardians"], "groups": ["course-7b"]}
    first = {"text": "Hoy se sale a las 13:00.", "category": "meeting", "audience": audience, "send": "now"}
    sent = stack.api.need("POST", "/messages", stack.token(), first, idempotency_key="write-again-1")
    again = {"states": ["no_number"]}
    path = f"/messages/{sent['id']}/again"
    draft = stack.api.need("POST", path, stack.token(), again, idempotency_key="write-again-2")
    page = visit().page

    page.goto(f"{stack.pages_url}/index.html?as=director#/write/{draft['id']}")

    expect(page.get_by_text("A quienes no les llegó el mensaje anterior.")).to_be_visible()
    expect(page.get_by_label("Texto", exact=True)).to_have_attribute("readonly", "")
    expect(page.get_by_role("button", name="Guardar borrador")).to_have_count(0)
    expect(page.get_by_role("button", name="Sin número 2")).to_be_visible(timeout=PATIENCE)
    kept = stack.api.need("GET", f"/messages/{draft['id']}", stack.token())
    assert kept["revision"] == draft["revision"]
    assert kept["audience"]["again_of"] == [sent["id"]]


def test_a_large_audience_says_how_far_it_is_and_stays_one_draft(stack: Stack, visit: Visit) -> None:
    visitor = _enter(stack, visit)
    page = visitor.page
    before = len(_messages(stack))
    _compose(page, "Mañana no hay clases.", "classes_cancelled")
    page.get_by_role("checkbox", name="Todo el colegio").check()

    expect(_bar(page)).to_contain_text("créditos · quedan", timeout=60_000)
    expect(page.get_by_text("Borrador guardado.")).to_be_visible()
    cost = int("".join(filter(str.isdigit, _bar(page).inner_text().partition(" · ")[0])))
    assert cost > 120
    page.get_by_label("Texto", exact=True).fill("Mañana no hay clases en la tarde.")
    expect(_bar(page)).to_have_text("Todavía no se puede enviar.")
    expect(_bar(page)).to_contain_text("créditos · quedan", timeout=60_000)
    assert len(_messages(stack)) == before + 1
    page.get_by_role("button", name="Siguientes").click()
    expect(page.get_by_role("button", name="Anteriores")).to_be_visible(timeout=PATIENCE)


def test_a_school_without_credits_writes_by_the_message_centre(stack: Stack, visit: Visit) -> None:
    key = _school_without_bag(stack)
    visitor = visit()
    page = visitor.page
    _leave_out_other_views(page)
    token = key.token("director", "directora", datetime.now(UTC))
    page.route(
        "**/token*", lambda route: route.fulfill(json={"token": token}, headers={"Access-Control-Allow-Origin": "*"})
    )
    page.goto(f"{stack.pages_url}/index.html?as=director#/write")
    _compose(page, "Hoy no hay clases.", "classes_cancelled")
    page.get_by_role("checkbox", name="Todo el colegio").check()

    expect(page.get_by_role("alert").filter(has_text="El colegio no tiene créditos de SMS")).to_be_visible(
        timeout=PATIENCE
    )
    _picture(visitor, "write-no-bag", "#result-title")
    page.get_by_role("button", name="Enviar por el centro de mensajes, gratis").click()
    expect(_bar(page)).to_have_text("Gratis, por el centro de mensajes", timeout=PATIENCE)
    page.get_by_role("button", name="Revisar y enviar").click()
    page.get_by_role("button", name="Enviar gratis").click()
    page.wait_for_url("**/*#/messages/*")
    sent = stack.api.need("GET", f"/messages/{page.url.rpartition('/')[2]}", token)
    assert sent["message_centre"]["copies"] == 1

    # With the contract suspended no SMS goes out; the message centre still does (L4, L5).
    operator = stack.operator.token("operator", "test", datetime.now(UTC))
    stack.api.need(
        "PUT",
        "/operator/schools/sin-bolsa/contract",
        operator,
        {"contract": "suspended"},
        idempotency_key="write-contract",
    )
    page.goto(f"{stack.pages_url}/index.html?as=director&again=1#/write")
    expect(page.get_by_text("El contrato del colegio está suspendido")).to_be_visible()


def test_leaving_with_unsaved_text_asks_first(stack: Stack, visit: Visit) -> None:
    page = _enter(stack, visit).page
    _compose(page)
    page.get_by_role("link", name="Créditos").click()
    asked = page.get_by_role("dialog", name="Hay texto sin guardar")
    asked.get_by_role("button", name="Quedarme aquí").click()
    expect(page.get_by_label("Texto", exact=True)).to_have_value(TEXT)
    assert page.url.endswith("#/write")

    page.get_by_role("link", name="Créditos").click()
    asked.get_by_role("button", name="Salir sin guardar").click()
    page.wait_for_url("**/*#/credits")
    expect(page.get_by_label("Texto", exact=True)).to_have_count(0)


def test_a_text_that_cannot_be_sent_says_why(stack: Stack, visit: Visit) -> None:
    visitor = _enter(stack, visit)
    page = visitor.page
    _choose_7b(page)
    _compose(page, "Hola {nombre}.", "meeting")

    expect(page.locator("#text-problem")).to_contain_text("Los campos son {estudiante}", timeout=PATIENCE)
    expect(page.get_by_label("Texto", exact=True)).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Texto", exact=True).fill("Hola. " * 300)
    expect(page.get_by_text("Es demasiado largo: como máximo 10 SMS por persona.")).to_be_visible()
    _forget(visitor, "422")


def test_a_text_is_saved_as_a_template_and_used(stack: Stack, visit: Visit) -> None:
    page = _enter(stack, visit).page
    _compose(page, "Mañana {curso} no tiene clases.", "classes_cancelled")
    page.get_by_text("Plantillas").click()
    page.get_by_label("Guardar este texto como plantilla").fill("Sin clases")
    page.get_by_role("button", name="Guardar plantilla").click()
    expect(page.get_by_text("Plantilla «Sin clases» guardada.")).to_be_visible()
    page.get_by_label("Texto", exact=True).fill("Otra cosa.")
    page.get_by_label("Usar una plantilla").select_option(label="Sin clases")
    page.get_by_role("button", name="Usar", exact=True).click()
    expect(page.get_by_label("Texto", exact=True)).to_have_value("Mañana {curso} no tiene clases.")
    page.get_by_role("button", name="Recuperar lo escrito").click()
    expect(page.get_by_label("Texto", exact=True)).to_have_value("Otra cosa.")


def test_it_all_works_by_keyboard_alone(stack: Stack, visit: Visit) -> None:
    page = _enter(stack, visit, viewport=NARROW).page
    page.get_by_label("Qué es").focus()
    page.keyboard.type("Reu")
    _tab_to(page, "#text")
    page.keyboard.type("Reunión el viernes.")
    _tab_to(page, '[aria-label="Mostrar lo que hay en Educación Básica"]')
    page.keyboard.press("Enter")
    _tab_to(page, '[aria-label="Mostrar lo que hay en 7° Básico"]')
    page.keyboard.press("Enter")
    _tab_to(page, "li:has(> label:has-text('7° Básico B')) input")
    page.keyboard.press("Space")
    expect(_bar(page)).to_contain_text("22 créditos", timeout=PATIENCE)
    _tab_to(page, ".send-bar .main")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/*#/messages/*")
    assert _message(stack, page)["text"] == "Reunión el viernes."


def test_it_is_accessible_in_the_dark_and_with_large_text(stack: Stack, visit: Visit) -> None:
    visitor = _enter(stack, visit, color_scheme="dark")
    page = visitor.page
    _compose(page)
    _choose_7b(page)
    expect(_bar(page)).to_contain_text("44 créditos", timeout=PATIENCE)
    _picture(visitor, "write-dark")
    page.evaluate("document.documentElement.style.fontSize = '32px'")
    visitor.check_accessible()
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]


# --- steps ---------------------------------------------------------------------------------------------------------


def _enter(stack: Stack, visit: Visit, **options: object) -> Visitor:
    visitor = visit(**options)
    _leave_out_other_views(visitor.page)
    visitor.page.goto(f"{stack.pages_url}/index.html?as=director#/write")
    visitor.page.get_by_role("heading", name="Para quiénes").wait_for()
    return visitor


def _leave_out_other_views(page: Page) -> None:
    """Where a message goes to afterwards is another view's, with tests of its own: here its place stays empty."""

    def leave_out(route: Route) -> None:
        name = route.request.url.rpartition("/")[2].removesuffix(".js")
        element = f"customElements.define('recado-{name}', class extends HTMLElement {{}});"
        route.fulfill(content_type="text/javascript", body=element)

    page.route(re.compile(r"/views/(messages|credits)\.js$"), leave_out)


def _picture(visitor: Visitor, name: str, at: str | None = None) -> None:
    """What is in the window, wide and narrow, each looked at by axe; `at`: what it is scrolled to."""
    page = visitor.page
    for suffix, size in (("", WIDE), ("-320", NARROW)):
        page.set_viewport_size(size)  # type: ignore[arg-type]  # a TypedDict of the two
        visitor.check_accessible()
        if at is not None:
            page.locator(at).first.evaluate("(element) => element.scrollIntoView({ block: 'start' })")
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"{name}{suffix}.png")
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]


def _compose(page: Page, text: str = TEXT, category: str = "meeting") -> None:
    page.get_by_label("Qué es").select_option(category)
    page.get_by_label("Texto", exact=True).fill(text)


def _open_tree(page: Page) -> None:
    page.get_by_role("button", name="Mostrar lo que hay en Educación Básica").click()
    page.get_by_role("button", name="Mostrar lo que hay en 7° Básico").click()


def _choose_7b(page: Page) -> None:
    _open_tree(page)
    page.get_by_role("checkbox", name="7° Básico B").check()


def _bar(page: Page) -> Any:
    return page.locator(".send-bar p.tabular")


def _tab_to(page: Page, selector: str) -> None:
    """As far as Tab goes, at most once around the page."""
    place = page.locator(selector)
    for _ in range(150):
        if place.evaluate("(element) => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not reach {selector}")


def _next_change(is_gap: bool) -> str:
    """Half an hour into the next gap of Santiago's clocks, or into the hour that comes twice."""
    moment = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    for _ in range(364 * 24):
        before, after = (one.astimezone(SANTIAGO).utcoffset() for one in (moment, moment + timedelta(hours=1)))
        assert before is not None
        assert after is not None
        change = (moment + timedelta(hours=1)).replace(tzinfo=None)
        if is_gap and after > before:
            return (change + before + timedelta(minutes=30)).isoformat(timespec="minutes")
        if not is_gap and after < before:
            return (change + after + timedelta(minutes=30)).isoformat(timespec="minutes")
        moment += timedelta(hours=1)
    raise AssertionError("clocks that do not change")


def _message(stack: Stack, page: Page) -> Any:
    return stack.api.need("GET", f"/messages/{page.url.rpartition('/')[2]}", stack.token())


def _messages(stack: Stack) -> list[Any]:
    return list(stack.api.need("GET", "/messages?limit=100", stack.token())["messages"])


def _available(stack: Stack) -> int:
    return int(stack.api.need("GET", "/credits", stack.token())["summary"]["available"])


def _es(number: int) -> str:
    return f"{number:,}".replace(",", ".")


def _switch_sms(stack: Stack, person: str, *, allowed: bool) -> None:
    stack.api.need("PUT", f"/people/{person}/sms", stack.token(), {"allowed": allowed, "reason": "prueba"})


def _set_quiet(stack: Stack, quiet: dict[str, str] | None) -> None:
    version = stack.api.need("GET", "/school", stack.token())["settings"]["version"]
    low = {"domestic": None, "international": None}
    body = {"quiet_hours": quiet, "low_balance": low, "language": "es", "version": version}
    stack.api.need("PUT", "/school/settings", stack.token(), body)


def _school_without_bag(stack: Stack) -> Key:
    operator = stack.operator.token("operator", "test", datetime.now(UTC))
    school = {"id": "sin-bolsa", "name": "Escuela sin bolsa", "country": "CL", "time_zone": "America/Santiago"}
    stack.api.need("POST", "/operator/schools", operator, school, idempotency_key="write-school")
    made = stack.api.need(
        "POST", "/operator/schools/sin-bolsa/keys", operator, {"key_id": "p"}, idempotency_key="write-key"
    )
    key = Key("sin-bolsa", "p", made["secret"])
    person = {"role": "guardian", "given_name": "Ana", "family_name": "Soto", "number": "+56955550177"}
    stack.api.need(
        "POST", "/people", key.token("director", "directora", datetime.now(UTC)), person, idempotency_key="write-person"
    )
    return key


def _forget(visitor: Visitor, expected: str) -> None:
    """The browser itself reports a request that failed or was refused; it was meant to be, and must have been."""
    found = [one for one in visitor.troubles if "Failed to load resource" in one and expected in one]
    assert found, visitor.troubles
    visitor.troubles[:] = [one for one in visitor.troubles if one not in found]
