"""The school's people as a director sees them: looked for, one of them, their SMS, those without a usable number."""

import csv
import io
import re
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from playwright.sync_api import Page, Route, expect

from local.api import Api
from recado.rules.audience import SkipReason
from recado.rules.roles import Role
from tests.end_to_end.conftest import Stack
from tests.end_to_end.pages.conftest import NARROW, PATIENCE_MS, SCREENSHOTS, WIDE, Visitor

expect.set_options(timeout=PATIENCE_MS)


type Visit = Callable[..., Visitor]


def test_every_word_is_there_in_both_languages(stack: Stack, visit: Visit) -> None:
    visitor = _enter(stack, visit, "people")

    spanish, english, empty = visitor.words_of("./views/people/directory_words.js")

    assert spanish == english
    assert empty == 0
    needed = {*SkipReason} & {SkipReason.NO_NUMBER, SkipReason.UNUSABLE_NUMBER} | {*Role} - {Role.OPERATOR}
    assert {one.value for one in needed} <= {name.split()[0] for name in spanish}


def test_people_are_found_by_name_number_course_and_kind(stack: Stack, visit: Visit) -> None:
    mark = _mark()
    made = _make(stack, "Zulema", mark, number="9 5555 7741")
    visitor = _enter(stack, visit, "people")
    page = visitor.page
    rows = page.get_by_role("table", name="Personas").locator("tbody tr")
    expect(rows).to_have_count(100)
    expect(page.get_by_text("Las primeras 100; hay más.")).to_be_visible()

    page.get_by_label("Buscar por nombre o número").fill(mark.upper())
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text(f"Zulema {mark}")
    expect(rows.first).to_contain_text("+56 9 5555 7741")
    page.get_by_label("Buscar por nombre o número").fill("5557741")
    expect(rows.filter(has_text=mark)).to_have_count(1)
    assert mark not in page.url

    page.get_by_label("Quién es").select_option("student")
    expect(page.get_by_text("Nadie calza con lo que busca.")).to_be_visible()
    page.get_by_label("Buscar por nombre o número").fill("")
    page.get_by_label("Curso o grupo").select_option(label="7° Básico B")
    of_course = _people(stack, "group=course-7b&role=student")
    expect(rows).to_have_count(len(of_course))
    expect(rows.filter(has_not_text="Estudiante")).to_have_count(0)
    page.get_by_label("Buscar por nombre o número").fill("a")
    expect(page.get_by_text("Escriba al menos 2 letras o 3 dígitos.")).to_be_visible()

    # A record and back: what was looked for is still there, and in no address.
    page.get_by_label("Buscar por nombre o número").fill("")
    expect(rows).to_have_count(len(of_course))
    rows.first.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    page.get_by_role("link", name="Todas las personas").click()
    expect(rows).to_have_count(len(of_course))
    expect(page.get_by_role("link", name="Importar nómina")).to_have_attribute("href", "#/people/imports")
    _remove(stack, made["id"])


def test_whoever_opted_out_is_red_and_whoever_has_no_number_is_grey_with_why_L9(stack: Stack, visit: Visit) -> None:
    mark = _mark()
    red = _make(stack, "Rosa", mark, number="9 5555 7742")
    wrong = _make(stack, "Gris", mark, number="12-34")
    none = _make(stack, "Nada", mark)
    _switch(stack, red["id"], allowed=False)
    visitor = _enter(stack, visit, "people")
    page = visitor.page
    rows = page.get_by_role("table", name="Personas").locator("tbody tr")

    page.get_by_label("Buscar por nombre o número").fill(mark)

    expect(rows).to_have_count(3)
    number = rows.filter(has_text="Rosa").locator(".red-number")
    expect(number).to_contain_text("+56 9 5555 7742 · no recibe SMS")
    expect(number.locator("svg")).to_have_count(1)
    expect(rows.filter(has_text="Gris").locator(".skipped")).to_contain_text("El número no sirve: 12-34")
    expect(rows.filter(has_text="Nada").locator(".skipped")).to_contain_text("Sin número")
    _picture(visitor, "people-search")
    page.emulate_media(color_scheme="dark")
    _picture(visitor, "people-search-dark")
    for one in (red, wrong, none):
        _remove(stack, one["id"])


def test_the_pages_of_a_long_list_follow_and_focus_goes_on(stack: Stack, visit: Visit) -> None:
    page = _enter(stack, visit, "people").page
    rows = page.get_by_role("table", name="Personas").locator("tbody tr")
    expect(rows).to_have_count(100)

    page.get_by_role("button", name="Ver más").press("Enter")

    expect(rows).to_have_count(200)
    expect(rows.nth(100).get_by_role("link")).to_be_focused()


def test_sms_is_switched_off_and_on_with_who_and_why_L8(stack: Stack, visit: Visit) -> None:
    mark = _mark()
    student = _make(stack, "Benjamín", mark, role="student", groups=["course-7b"])
    made = _make(stack, "Elena", mark, number="9 5555 7743", students=[student["id"]])
    visitor = _enter(stack, visit, f"people/one/{made['id']}")
    page = visitor.page
    panel = page.get_by_role("region", name="Número y SMS")
    expect(panel.locator(".tag")).to_have_text("Recibe SMS")
    _picture(visitor, "people-one")

    panel.get_by_role("button", name="Dejar de enviarle SMS").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Dejar de enviarle SMS").click()
    expect(dialog.get_by_text("Escriba el motivo.")).to_be_visible()
    expect(dialog.get_by_label("Motivo")).to_be_focused()
    _picture(visitor, "people-switch")
    dialog.get_by_label("Motivo").fill("Lo pidió por teléfono")
    dialog.get_by_role("button", name="Dejar de enviarle SMS").click()

    expect(dialog).to_have_count(0)
    expect(page.get_by_text("Listo: no se le envían más SMS.")).to_be_visible()
    expect(panel).to_contain_text("Lo desactivó demo-director")
    expect(panel).to_contain_text("Motivo: Lo pidió por teléfono")
    expect(panel.locator(".red-number")).to_contain_text("no recibe SMS")
    history = page.get_by_role("region", name="Cuándo y por qué no recibe SMS")
    expect(history).to_contain_text("SMS desactivados por demo-director")
    expect(history).to_contain_text("Motivo: Lo pidió por teléfono")
    expect(panel.get_by_role("button", name="Volver a enviarle SMS")).to_be_focused()
    _picture(visitor, "people-off")

    # Who writes to her sees the same number red, and that nobody is reached.
    page.goto(f"{stack.pages_url}/index.html?as=director#/write")
    page.get_by_label("Agregar o dejar fuera a una persona").fill(mark)
    found = page.locator(".found li").filter(has_text=mark)
    expect(found.locator(".red-number")).to_contain_text("no recibe SMS")
    found.get_by_role("button", name=f"Agregar a Elena {mark}").click()
    page.get_by_label("Qué es").select_option("meeting")
    page.get_by_label("Texto", exact=True).fill("Reunión el martes a las 19:00.")
    red = page.locator(".recipients li").filter(has_text=mark).locator(".red-number")
    expect(red).to_contain_text("no recibe SMS")

    again = _enter(stack, visit, f"people/one/{made['id']}").page
    again.get_by_role("button", name="Volver a enviarle SMS").click()
    again.get_by_label("Motivo").fill("Lo volvió a pedir")
    again.get_by_role("dialog").get_by_role("button", name="Volver a enviarle SMS").click()
    expect(again.get_by_text("Listo: vuelve a recibir SMS.")).to_be_visible()
    expect(again.get_by_role("region", name="Número y SMS").locator(".tag")).to_have_text("Recibe SMS")
    expect(again.get_by_role("region", name="Cuándo y por qué no recibe SMS").get_by_role("listitem")).to_have_count(2)
    assert stack.api.need("GET", f"/people/{made['id']}", stack.token())["opted_out"] is False
    for one in (made, student):
        _remove(stack, one["id"])


def test_what_the_person_or_their_handset_decided_the_school_cannot_change_L10(stack: Stack, visit: Visit) -> None:
    own = _make(stack, "Olga", _mark(), number="9 5555 7744")
    token = stack.token("guardian", "olga", own["id"])
    stack.api.need("PUT", "/me/sms", token, {"allowed": False, "reason": "Uso el portal"})
    stopped = _make(stack, "Sara", _mark(), number="9 5555 7745")
    _reply(stack, "+56955557745", "STOP")
    _until(lambda: stack.api.need("GET", f"/people/{stopped['id']}", stack.token())["replied_stop"])

    page = _enter(stack, visit, f"people/one/{own['id']}").page
    panel = page.get_by_role("region", name="Número y SMS")
    expect(panel).to_contain_text("solo ella puede volver a activarlo")
    expect(panel).to_contain_text("Lo desactivó la misma persona")
    expect(panel.get_by_role("button", name="Volver a enviarle SMS")).to_have_count(0)

    visitor = _enter(stack, visit, f"people/one/{stopped['id']}")
    panel = visitor.page.get_by_role("region", name="Número y SMS")
    expect(panel).to_contain_text("hasta que se responda ALTA desde el mismo teléfono")
    expect(panel.get_by_role("button", name=re.compile("SMS"))).to_have_count(0)
    expect(visitor.page.get_by_text("Respondió STOP desde su teléfono")).to_be_visible()
    _picture(visitor, "people-stop")
    _reply(stack, "+56955557745", "ALTA")
    _until(lambda: not stack.api.need("GET", f"/people/{stopped['id']}", stack.token())["replied_stop"])
    for one in (own, stopped):
        _remove(stack, one["id"])


def test_a_switch_whose_answer_is_lost_is_pressed_again_with_the_same_key(stack: Stack, visit: Visit) -> None:
    made = _make(stack, "Pilar", _mark(), number="9 5555 7746")
    visitor = _enter(stack, visit, f"people/one/{made['id']}")
    page = visitor.page
    keys = visitor.lose_first_answer("**/sms")
    page.get_by_role("button", name="Dejar de enviarle SMS").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Motivo").fill("Lo pidió")
    dialog.get_by_role("button", name="Dejar de enviarle SMS").click()
    expect(dialog.get_by_role("alert")).to_contain_text("No hubo respuesta")
    expect(dialog.get_by_label("Motivo")).to_have_value("Lo pidió")
    dialog.get_by_role("button", name="Dejar de enviarle SMS").click()

    expect(dialog).to_have_count(0)
    assert len(keys) == 2
    assert len(set(keys)) == 1
    expect(page.get_by_role("region", name="Cuándo y por qué no recibe SMS").get_by_role("listitem")).to_have_count(1)
    visitor.expect_trouble("ERR_FAILED")
    _remove(stack, made["id"])


def test_a_number_is_corrected_and_one_that_does_not_serve_is_said_at_its_field(stack: Stack, visit: Visit) -> None:
    made = _make(stack, "Nora", _mark(), number="9 5555 7747")
    visitor = _enter(stack, visit, f"people/one/{made['id']}")
    page = visitor.page
    panel = page.get_by_role("region", name="Número y SMS")
    panel.get_by_role("button", name="Corregir número").click()
    dialog = page.get_by_role("dialog")
    field = dialog.get_by_label("Número de teléfono")
    expect(field).to_be_focused()

    field.fill("9 55 7748")
    field.press("Enter")
    expect(dialog.get_by_text("no es un número que reciba SMS")).to_be_visible()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()
    _picture(visitor, "people-number")
    field.fill("9 5555 7748")
    field.press("Enter")

    expect(dialog).to_have_count(0)
    expect(page.get_by_text("Número guardado.")).to_be_visible()
    expect(panel).to_contain_text("+56 9 5555 7748")
    expect(panel.get_by_role("button", name="Corregir número")).to_be_focused()
    changes = page.get_by_role("region", name="Cambios de número")
    expect(changes).to_contain_text("de +56 9 5555 7747 a 9 55 7748")
    expect(changes.get_by_role("listitem").first).to_contain_text("de 9 55 7748 a +56 9 5555 7748")
    _remove(stack, made["id"])


def test_what_the_api_refuses_of_a_number_is_said_at_its_field(stack: Stack, visit: Visit) -> None:
    made = _make(stack, "Inés", _mark(), number="9 5555 7749")
    visitor = _enter(stack, visit, f"people/one/{made['id']}")
    page = visitor.page
    page.get_by_role("button", name="Corregir número").click()
    field = page.get_by_label("Número de teléfono")

    field.fill("9 5555\u200b 7750")
    field.press("Enter")

    expect(page.get_by_role("dialog").get_by_text("Tiene caracteres que no se pueden mostrar.")).to_be_visible()
    expect(field).to_have_attribute("aria-invalid", "true")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Corregir número")).to_be_focused()
    assert stack.api.need("GET", f"/people/{made['id']}", stack.token())["number"] == "+56955557749"
    visitor.expect_trouble("422", "400")
    _remove(stack, made["id"])


def test_somebody_is_added_by_hand_once_whatever_becomes_of_the_answer(stack: Stack, visit: Visit) -> None:
    mark = _mark()
    student = _make(stack, "Alumno", mark, role="student", groups=["course-7b"])
    visitor = _enter(stack, visit, "people")
    page = visitor.page
    page.get_by_label("Buscar por nombre o número").fill(mark)
    expect(page.get_by_role("table", name="Personas").locator("tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Agregar persona").click()
    dialog = page.get_by_role("dialog", name="Agregar persona")
    expect(dialog.get_by_label("Quién es")).to_be_focused()

    dialog.get_by_role("button", name="Guardar").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Revise lo marcado.")
    expect(dialog.get_by_text("Falta.")).to_have_count(3)
    _picture(visitor, "people-add")
    dialog.get_by_label("Quién es").select_option("guardian")
    dialog.get_by_label("Nombres").fill("Teresa")
    dialog.get_by_label("Apellidos").fill(mark)
    dialog.get_by_label("Número de teléfono").fill("9 5555 7751")
    dialog.get_by_label("Estudiantes a su cargo").fill(mark)
    dialog.get_by_role("button", name=f"Agregar a Alumno {mark}").click()
    expect(dialog.get_by_role("button", name=f"Quitar a Alumno {mark}")).to_be_visible()
    expect(dialog.get_by_text("Falta.")).to_have_count(0)
    expect(dialog.get_by_role("alert")).to_have_count(0)
    _picture(visitor, "people-add-guardian")
    keys = visitor.lose_first_answer("**/v1/people", "POST")
    dialog.get_by_role("button", name="Guardar").click()
    expect(dialog.get_by_role("alert")).to_contain_text("No hubo respuesta")
    dialog.get_by_role("button", name="Guardar").click()

    expect(page.get_by_role("heading", level=1, name=f"Teresa {mark}")).to_be_focused()
    assert len(keys) == 2
    assert len(set(keys)) == 1
    family = page.get_by_role("region", name="Familia")
    expect(family.get_by_role("link", name=f"Alumno {mark}")).to_be_visible()
    expect(family).to_contain_text("7° Básico B")
    assert len(_people(stack, f"q={mark}&role=guardian")) == 1
    visitor.expect_trouble("ERR_FAILED")

    # The student's own record shows her, with her number.
    family.get_by_role("link", name=f"Alumno {mark}").click()
    family = page.get_by_role("region", name="Familia")
    expect(family.get_by_role("listitem").filter(has_text=f"Teresa {mark}")).to_contain_text("+56 9 5555 7751")
    for one in (*_people(stack, f"q={mark}&role=guardian"), student):
        _remove(stack, one["id"])


def test_whoever_was_added_without_an_answer_is_not_added_again_after_a_correction(stack: Stack, visit: Visit) -> None:
    mark = _mark()
    visitor = _enter(stack, visit, "people")
    page = visitor.page
    page.get_by_role("button", name="Agregar persona").click()
    dialog = page.get_by_role("dialog", name="Agregar persona")
    dialog.get_by_label("Quién es").select_option("staff")
    dialog.get_by_label("Nombres").fill("Dos")
    dialog.get_by_label("Apellidos").fill(mark)

    def lose_answer(route: Route) -> None:
        route.fetch()
        route.abort()

    page.route(
        "**/v1/people", lambda route: lose_answer(route) if route.request.method == "POST" else route.continue_()
    )
    dialog.get_by_role("button", name="Guardar").click()
    expect(dialog.get_by_role("alert")).to_contain_text("No hubo respuesta")
    page.unroute("**/v1/people")
    dialog.get_by_label("Nombres").fill("Dora")
    dialog.get_by_role("button", name="Guardar").click()

    expect(dialog.get_by_role("alert")).to_contain_text("Ya se había agregado")
    dialog.get_by_role("link", name="Ver la ficha").click()
    expect(page.get_by_role("heading", level=1, name=f"Dos {mark}")).to_be_focused()
    (made,) = _people(stack, f"q={mark}")
    visitor.expect_trouble("ERR_FAILED", "409")
    _remove(stack, made["id"])


def test_a_large_family_is_read_in_part_and_kept_whole(stack: Stack, visit: Visit) -> None:
    made = _make(stack, "Hogar", _mark(), number="9 5555 7756")
    family = [f"alumno-{count:02}" for count in range(45)]
    visitor = visit()
    page = visitor.page
    asked: list[str] = []
    sent: list[Any] = []

    def answer(route: Route) -> None:
        if route.request.method == "PATCH":
            sent.append(route.request.post_data_json)
        route.fulfill(json=made | {"students": family})

    def answer_of_family(route: Route) -> None:
        asked.append(route.request.url)
        one = route.request.url.rpartition("/")[2]
        route.fulfill(json=made | {"id": one, "role": "student", "given_name": one, "students": []})

    page.route(f"**/v1/people/{made['id']}", answer)
    page.route("**/v1/people/alumno-*", answer_of_family)
    _enter(stack, lambda: visitor, f"people/one/{made['id']}")
    expect(page.get_by_text("Y 5 más, que aquí no se muestran.")).to_be_visible()
    assert len(asked) == 40

    page.get_by_role("button", name="Editar ficha").click()
    page.get_by_role("button", name=re.compile("^Quitar a alumno-03")).click()
    page.get_by_role("button", name="Guardar").click()
    expect(page.get_by_text("Ficha guardada.")).to_be_visible()
    assert [sorted(one["students"]) for one in sent] == [[one for one in family if one != "alumno-03"]]
    _remove(stack, made["id"])


def test_a_record_is_edited_and_says_only_what_is_another(stack: Stack, visit: Visit) -> None:
    mark = _mark()
    made = _make(stack, "Marta", mark, role="teacher", groups=["course-7b"], number="9 5555 7752")
    visitor = _enter(stack, visit, f"people/one/{made['id']}")
    page = visitor.page
    page.get_by_role("button", name="Editar ficha").click()
    dialog = page.get_by_role("dialog", name="Editar ficha")
    dialog.get_by_label("Nombres").fill("Marta Luz")
    dialog.get_by_role("checkbox", name="7° Básico A").check()

    with page.expect_request(f"**/v1/people/{made['id']}") as asked:
        dialog.get_by_role("button", name="Guardar").click()

    assert asked.value.post_data_json == {"given_name": "Marta Luz", "groups": ["course-7a", "course-7b"]}
    expect(page.get_by_role("heading", level=1, name=f"Marta Luz {mark}")).to_be_visible()
    expect(page.get_by_text("Ficha guardada.")).to_be_visible()
    expect(page.get_by_role("region", name="Cursos y grupos")).to_contain_text("7° Básico A")
    expect(page.get_by_role("button", name="Editar ficha")).to_be_focused()
    _remove(stack, made["id"])


def test_somebody_is_taken_out_and_their_data_erased(stack: Stack, visit: Visit) -> None:
    mark = _mark()
    made = _make(stack, "Celia", mark, number="9 5555 7753")
    visitor = _enter(stack, visit, f"people/one/{made['id']}")
    page = visitor.page
    page.get_by_role("button", name="Sacar del colegio").click()
    dialog = page.get_by_role("dialog", name=f"¿Sacar a Celia {mark}?")
    expect(dialog.get_by_role("button", name="Volver sin cambios")).to_be_focused()
    _picture(visitor, "people-remove")
    dialog.get_by_role("button", name="Sí, sacar").click()

    expect(dialog).to_have_count(0)
    expect(page.get_by_text("Ya no está en el colegio desde")).to_be_visible()
    expect(page.get_by_role("button", name="Editar ficha")).to_have_count(0)
    assert _people(stack, f"q={mark}") == []

    page.get_by_role("button", name="Borrar sus datos").click()
    page.get_by_role("button", name="Sí, borrar").click()
    expect(page.get_by_role("heading", level=1, name="Ficha borrada")).to_be_visible()
    expect(page.get_by_role("button", name="Borrar sus datos")).to_be_hidden()
    found = stack.api.need("GET", f"/people/{made['id']}", stack.token())
    assert (found["given_name"], found["number"]) == ("", None)


def test_without_a_usable_number_is_listed_by_course_and_printed_L14(stack: Stack, visit: Visit) -> None:
    mark = _mark()
    made = _make(stack, "Falta", mark, role="student", groups=["course-7b"], number="55")
    visitor = _enter(stack, visit, "people")
    page = visitor.page
    page.get_by_role("link", name="Sin número que sirva").click()

    course = page.get_by_role("table", name="7° Básico B")
    expect(course).to_be_visible(timeout=PATIENCE_MS)
    listed = _unreachable(stack)
    expect(page.get_by_text(f"{len(listed)} personas sin número que sirva.")).to_be_visible()
    of_course = [one for one in listed if "7° Básico B" in one["groups"]]
    expect(course.locator("tbody tr")).to_have_count(len(of_course))
    expect(course.get_by_role("row").filter(has_text=mark)).to_contain_text("El número no sirve: 55")
    counts = page.get_by_role("table", name="Cuántas por curso").get_by_role("row", name="7° Básico B")
    wrong = sum(one["reason"] == "unusable_number" for one in of_course)
    expect(counts).to_have_text(f"7° Básico B{len(of_course) - wrong}{wrong}{len(of_course)}")
    _picture(visitor, "people-unreachable")

    page.get_by_label("Curso o grupo").select_option(label="7° Básico B")
    expect(page.get_by_role("table")).to_have_count(1)
    page.get_by_label("Quién es").select_option("guardian")
    expect(course.locator("tbody tr")).to_have_count(sum(one["role"] == "guardian" for one in of_course))
    expect(page.get_by_text("El CSV no distingue quién es")).to_be_visible()
    page.emulate_media(media="print")
    expect(page.get_by_role("button", name="Imprimir")).to_be_hidden()
    expect(page.get_by_role("navigation")).to_be_hidden()
    expect(page.get_by_text("Número correcto").last).to_be_visible()
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.set_viewport_size({"width": 720, "height": 700})
    page.screenshot(path=SCREENSHOTS / "people-unreachable-print.png")
    page.emulate_media(media="screen")
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]

    with page.expect_download() as waiting:
        page.get_by_role("button", name="Descargar CSV").click()
    download = waiting.value
    assert download.suggested_filename == "sin-numero.csv"
    rows = list(csv.reader(io.StringIO(Path(download.path()).read_text("utf-8-sig"))))
    assert rows[0][0] == "grupo"
    assert len(rows) - 1 == len(of_course)
    expect(page.get_by_text("1 archivo descargado.")).to_be_visible()
    _remove(stack, made["id"])


def test_families_are_asked_once_to_check_their_data_L14(stack: Stack, visit: Visit) -> None:
    visitor = _enter(stack, visit, "people/unreachable")
    page = visitor.page
    page.get_by_role("table", name="7° Básico B").wait_for(timeout=PATIENCE_MS)
    page.get_by_label("Curso o grupo").select_option(label="7° Básico B")
    page.get_by_label("Quién es").select_option("guardian")
    keys = visitor.lose_first_request("**/data-check")
    opener = page.get_by_role("button", name="Pedir que revisen sus datos")
    opener.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("A los apoderados y estudiantes de 7° Básico B")
    _picture(visitor, "people-check")
    dialog.get_by_role("button", name="Sí, pedirlo").click()
    expect(dialog.get_by_role("alert")).to_contain_text("No hubo respuesta")

    dialog.get_by_role("button", name="Sí, pedirlo").click()

    expect(dialog).to_have_count(0)
    expect(opener).to_be_focused()
    assert len(keys) == 2
    assert len(set(keys)) == 1
    address = page.get_by_role("link", name="Ver el mensaje").get_attribute("href") or ""
    made = stack.api.need("GET", f"/messages/{address.rpartition('/')[2]}", stack.token())
    assert made["channels"] == ["inbox"]
    assert made["audience"]["groups"] == ["course-7b"]
    visitor.expect_trouble("ERR_FAILED")


def test_a_file_in_parts_is_fetched_to_its_end(stack: Stack, visit: Visit) -> None:
    visitor = _enter(stack, visit, "people/unreachable")
    page = visitor.page
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url.partition("?")[2])
        link = {"Link": '<?lang=es&cursor=0.abc>; rel="next"'} if len(asked) == 1 else {}
        route.fulfill(status=200, headers=link, content_type="text/csv", body="grupo\n")

    page.route("**/unreachable.csv*", answer)
    page.get_by_role("button", name="Descargar CSV").click()

    expect(page.get_by_text("2 archivos descargados.")).to_be_visible()
    assert asked == ["lang=es", "lang=es&cursor=0.abc"]


def test_a_network_that_fails_and_too_many_requests_are_said_and_tried_again(stack: Stack, visit: Visit) -> None:
    visitor = visit()
    page = visitor.page
    page.route("**/v1/people", lambda route: route.abort(), times=1)
    _enter(stack, lambda: visitor, "people")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("No hubo respuesta")
    alert.get_by_role("button", name="Intentar otra vez").click()
    expect(alert).to_have_count(0)
    expect(page.get_by_role("table", name="Personas")).to_be_visible()

    page.route(
        "**/v1/people?*",
        lambda route: route.fulfill(
            status=429,
            headers={"Retry-After": "7"},
            content_type="application/problem+json",
            body='{"code": "too_many_requests"}',
        ),
        times=1,
    )
    page.get_by_label("Buscar por nombre o número").fill("maria")
    expect(alert).to_contain_text("Inténtelo en 7 s.")
    expect(page.get_by_label("Buscar por nombre o número")).to_have_value("maria")
    alert.get_by_role("button", name="Intentar otra vez").click()
    expect(alert).to_have_count(0)
    expect(page.get_by_role("table", name="Personas")).to_be_visible()
    visitor.expect_trouble("ERR_FAILED", "429")


def test_a_person_who_is_not_there_is_said_in_words(stack: Stack, visit: Visit) -> None:
    visitor = _enter(stack, visit, "people/one/nadie")

    expect(visitor.page.get_by_text("Esa persona no existe en su colegio.")).to_be_visible()
    visitor.expect_trouble("404")


def test_a_teacher_is_not_offered_it_and_the_api_refuses(stack: Stack, visit: Visit) -> None:
    page = visit().page

    page.goto(f"{stack.pages_url}/index.html?as=teacher#/people")

    page.get_by_role("heading", level=1).wait_for()
    expect(page.get_by_role("link", name="Personas")).to_have_count(0)
    expect(page.locator("recado-people")).to_have_count(0)
    teacher = stack.token("teacher", "profesora", "staff-05")
    for path in ("/people", "/people/unreachable", "/people/guardian-001", "/people/guardian-001/opt-outs"):
        assert stack.api.call("GET", path, teacher).status == 403
    body = {"allowed": False, "reason": "no"}
    assert stack.api.call("PUT", "/people/guardian-001/sms", teacher, body).status == 403


def test_it_all_works_by_keyboard_alone(stack: Stack, visit: Visit) -> None:
    mark = _mark()
    made = _make(stack, "Tecla", mark, number="9 5555 7754")
    page = _enter(stack, visit, "people").page
    page.get_by_role("table", name="Personas").wait_for()

    _tab_to(page, "#people-q")
    page.keyboard.type(mark)
    expect(page.get_by_role("table", name="Personas").locator("tbody tr")).to_have_count(1)
    _tab_to(page, ".people-name")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name=f"Tecla {mark}")).to_be_focused()
    _tab_to(page, '[data-act="switch"]')
    page.keyboard.press("Enter")
    page.keyboard.type("Sin ratón")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Listo: no se le envían más SMS.")).to_be_visible()
    expect(page.get_by_role("button", name="Volver a enviarle SMS")).to_be_focused()
    assert stack.api.need("GET", f"/people/{made['id']}", stack.token())["sms"]["reason"] == "Sin ratón"
    _remove(stack, made["id"])


def test_it_is_accessible_in_the_dark_in_english_and_with_large_text(stack: Stack, visit: Visit) -> None:
    mark = _mark()
    made = _make(stack, "Noche", mark, number="9 5555 7755")
    _switch(stack, made["id"], allowed=False)
    visitor = visit(color_scheme="dark")
    page = visitor.page
    page.goto(f"{stack.pages_url}/index.html?as=director&lang=en#/people/one/{made['id']}")
    expect(page.get_by_role("heading", level=1, name=f"Noche {mark}")).to_be_focused()
    expect(page.get_by_role("region", name="Number and SMS")).to_contain_text("receives no SMS")
    expect(page.get_by_role("region", name="When and why they receive no SMS")).to_contain_text("SMS switched off")
    _picture(visitor, "people-one-dark")

    for place, there in (
        (f"people/one/{made['id']}", page.get_by_role("heading", level=1, name=f"Noche {mark}")),
        ("people", page.get_by_role("table", name="People")),
        ("people/unreachable", page.get_by_role("table", name="7° Básico B")),
    ):
        page.goto(f"{stack.pages_url}/index.html?as=director&lang=en#/{place}")
        expect(there).to_be_visible(timeout=PATIENCE_MS)
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        for size in ({"width": 640, "height": 800}, NARROW):
            page.set_viewport_size(size)  # type: ignore[arg-type]
            visitor.check_accessible()
        page.evaluate("document.documentElement.style.fontSize = ''")
        page.set_viewport_size(WIDE)  # type: ignore[arg-type]
    _remove(stack, made["id"])


def test_nothing_moves_under_ones_finger_while_it_loads(stack: Stack, visit: Visit) -> None:
    guardian = _people(stack, "group=course-7b&role=guardian")[0]
    visitor = visit()
    page = visitor.page
    page.add_init_script(
        """window.moved = 0;
        new PerformanceObserver((list) => {
          for (const one of list.getEntries()) if (!one.hadRecentInput) window.moved += one.value;
        }).observe({ type: "layout-shift", buffered: true });"""
    )
    for where, there in (
        ("people", page.get_by_role("table", name="Personas")),
        (f"people/one/{guardian['id']}", page.get_by_role("region", name="Cambios de número").get_by_text("número")),
        ("people/unreachable", page.get_by_role("table", name="7° Básico B")),
    ):
        page.goto("about:blank")
        page.goto(f"{stack.pages_url}/index.html?as=director#/{where}")
        there.first.wait_for()
        assert page.evaluate("window.moved") < 0.02, where


def test_the_list_costs_less_than_a_hundred_kilobytes(stack: Stack, visit: Visit) -> None:
    page = _enter(stack, visit, "people").page
    page.get_by_role("table", name="Personas").wait_for()

    sizes = page.evaluate(
        """() => performance.getEntriesByType("resource").filter((one) => one.name.includes("/console/"))
          .map((one) => one.encodedBodySize)"""
    )

    assert len(sizes) > 10
    assert sum(sizes) < 100_000


# --- what they share -----------------------------------------------------------------------------------------------


def _enter(stack: Stack, visit: Visit, where: str) -> Visitor:
    visitor = visit()
    visitor.page.goto(f"{stack.pages_url}/index.html?as=director#/{where}")
    visitor.page.get_by_role("heading", level=1).wait_for()
    return visitor


def _mark() -> str:
    """A family name of one test's own people: letters only, as names have."""
    return "Zz" + "".join(chr(ord("a") + int(digit, 16)) for digit in uuid.uuid4().hex[:8])


def _make(stack: Stack, given: str, family: str, role: str = "guardian", **more: Any) -> dict[str, Any]:
    body = {"role": role, "given_name": given, "family_name": family} | more
    made: dict[str, Any] = stack.api.need("POST", "/people", stack.token(), body, idempotency_key=uuid.uuid4().hex)
    return made


def _remove(stack: Stack, person: str) -> None:
    stack.api.need("DELETE", f"/people/{person}?erase=true", stack.token())


def _switch(stack: Stack, person: str, *, allowed: bool) -> None:
    stack.api.need("PUT", f"/people/{person}/sms", stack.token(), {"allowed": allowed, "reason": "Lo pidió"})


def _people(stack: Stack, query: str) -> list[dict[str, Any]]:
    answer = stack.api.need("GET", f"/people?{query}", stack.token())
    assert answer["next"] is None
    found: list[dict[str, Any]] = answer["people"]
    return found


def _unreachable(stack: Stack) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = ""
    for _ in range(20):
        answer = stack.api.need("GET", f"/people/unreachable{cursor}", stack.token())
        found += answer["people"]
        if answer["next"] is None:
            return found
        cursor = f"?cursor={quote(answer['next'])}"
    raise AssertionError("pages without an end")


def _reply(stack: Stack, number: str, text: str) -> None:
    Api(stack.handsets.url).need("POST", f"/handsets/{quote(number)}/replies", body={"to": "20600", "text": text})


def _until(holds: Callable[[], bool], patience_seconds: float = 20) -> None:
    for _ in range(int(patience_seconds / 0.25)):
        if holds():
            return
        time.sleep(0.25)
    raise AssertionError("it did not come about")


def _tab_to(page: Page, selector: str) -> None:
    """As far as Tab goes, at most once around the page."""
    place = page.locator(selector).first
    for _ in range(150):
        if place.evaluate("(element) => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not reach {selector}")


def _picture(visitor: Visitor, name: str) -> None:
    """What is in the window, wide and narrow, each looked at by axe."""
    page = visitor.page
    for suffix, size in (("", {"width": 1280, "height": 900}), ("-320", {"width": 320, "height": 1000})):
        page.set_viewport_size(size)  # type: ignore[arg-type]  # a TypedDict of the two
        visitor.check_accessible()
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.evaluate("window.scrollTo(0, 0)")
        page.screenshot(path=SCREENSHOTS / f"{name}{suffix}.png")
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]
