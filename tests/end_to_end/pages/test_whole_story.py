"""A school's day from its roster to its CSV, as the director, a guardian and a handset have it, on the real pages."""

import csv
import io
import re
import zipfile
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from playwright.sync_api import Page, Route, expect

from local.api import Api, Key
from tests.end_to_end.conftest import Stack
from tests.end_to_end.pages.conftest import Visitor

SCHOOL = "escuela-del-cuento"
CODE = "20688"
PATIENCE = 60_000
TEXT = "Mañana no hay clases: se cortó el agua. Volvemos el miércoles."
SAID = "Gracias por avisar, ¿y el comedor?"

type Visit = Callable[..., Visitor]

CLASSES = [
    ("curso-1a", "1° Básico A", "homeroom", "01", "cuento"),
    ("curso-2a", "2° Básico A", "homeroom", "02", "cuento"),
]
# Each child with its course and its guardian, and the guardian's number as schools write them.
FAMILIES = [
    ("Ana", "Soto", "curso-1a", "Rosa", "9 5555 7101"),
    ("Benjamín", "Lagos", "curso-1a", "Hugo", "+56 9 5555 7102"),
    ("Catalina", "Vera", "curso-1a", "Paola", "955557103"),
    ("Diego", "Mora", "curso-2a", "Elena", "9-5555-7104"),
]


def test_a_school_from_its_roster_to_its_csv(stack: Stack, visit: Visit) -> None:
    key = _school(stack)
    page = _enter(stack, visit, key, "director", "people/imports").page

    # 1. The roster: one row is bad and said so, the others become people.
    _import(page)

    # 2. A guardian wants no SMS, and says so herself (L10).
    guardian = _enter(stack, visit, key, "guardian", "inbox", person="apo-1")
    guardian.page.get_by_role("button", name="Dejar de recibir SMS").click()
    expect(guardian.page.get_by_text("Listo: no recibirá más SMS del colegio.")).to_be_visible()

    # 3. The director writes to the whole school; accents make each text two, and one key takes them away.
    page.get_by_role("link", name="Escribir", exact=True).click()
    page.get_by_label("Qué es").select_option("classes_cancelled")
    page.get_by_label("Texto", exact=True).fill(TEXT + " " + "Traer botella. " * 3)
    page.get_by_role("checkbox", name="Todo el colegio").check()
    page.get_by_role("button", name=re.compile(r"Quitar \d tildes? ahorra 3 créditos")).click()
    expect(page.locator(".send-bar p.tabular")).to_contain_text("3 créditos · quedan", timeout=PATIENCE)
    page.get_by_role("button", name="No reciben SMS 1").click()
    red = page.locator(".recipients .red-number")  # L9: colour, icon and words
    expect(red).to_have_text(" +56 9 5555 7101 · no recibe SMS")
    expect(red.locator("svg")).to_be_visible()

    # 4. She sends it, and watches the bar reach its end.
    page.get_by_role("button", name="Revisar y enviar").click()
    page.get_by_role("button", name="Enviar por 3 créditos").click()
    page.wait_for_url("**/*#/messages/*")
    expect(page.locator(".figure")).to_have_text("3 de 3 entregados", timeout=PATIENCE)
    expect(page.get_by_role("img", name=re.compile("Destinatarios según su estado.*Entregado: 3"))).to_be_visible()

    # 5. A handset answers, and it is there without reloading.
    received = Api(stack.handsets.url).need("GET", f"/handsets/{quote('+56955557104')}")["texts"]
    assert "Manana" not in received[-1]["text"], "ñ costs nothing and stays"
    assert received[-1]["text"].startswith("Mañana no hay clases: se corto el agua.")
    Api(stack.handsets.url).need("POST", f"/handsets/{quote('+56955557104')}/replies", body={"to": CODE, "text": SAID})
    answers = page.get_by_role("region", name="Respuestas a este mensaje")
    expect(answers).to_contain_text(SAID, timeout=PATIENCE)
    expect(answers).to_contain_text("Elena Mora")

    # 6. And the CSV has a line for everybody, with what became of each.
    with page.expect_download() as download:
        page.get_by_role("button", name="Descargar CSV").click()
    rows = list(csv.reader(io.StringIO(Path(download.value.path()).read_text("utf-8-sig")), delimiter=";"))
    assert {row[1]: row[2] for row in rows[1:]} == {
        "Hugo Lagos": "delivered",
        "Paola Vera": "delivered",
        "Elena Mora": "delivered",
        "Rosa Soto": "opted_out",
    }


# --- steps ---------------------------------------------------------------------------------------------------------


def _school(stack: Stack) -> Key:
    """A school that has a code, a key and credits, and nobody in it."""
    operator = stack.operator.token("operator", "test", datetime.now(UTC))

    def need(path: str, **body: str) -> dict[str, str]:
        return dict(stack.api.need("POST", path, operator, body, idempotency_key=f"story-{path}"))

    need(
        "/operator/schools", id=SCHOOL, name="Escuela del Cuento", country="CL", time_zone="America/Santiago", code=CODE
    )
    secret = need(f"/operator/schools/{SCHOOL}/keys", key_id="p")["secret"]
    need(f"/operator/schools/{SCHOOL}/bags", bag="domestic-2000")
    return Key(SCHOOL, "p", secret)


def _enter(stack: Stack, visit: Visit, key: Key, role: str, view: str, person: str | None = None) -> Visitor:
    """Whoever the portal says, at a view."""

    def give(route: Route) -> None:
        (asked,) = parse_qs(urlsplit(route.request.url).query)["role"]
        assert asked == role
        token = key.token(role, role, datetime.now(UTC), person=person)
        route.fulfill(json={"token": token}, headers={"Access-Control-Allow-Origin": "*"})

    visitor = visit()
    visitor.page.route("**/token?*", give)
    visitor.page.goto(f"{stack.pages_url}/index.html?as={role}#/{view}")
    visitor.page.get_by_role("heading", level=1).wait_for()
    return visitor


def _roster() -> bytes:
    """Families of a child and a guardian, in two courses; and a guardian's row that cannot be used."""
    users = [("sourcedId", "enabledUser", "orgSourcedIds", "role", "givenName", "familyName", "sms", "agentSourcedIds")]
    enrolled = [("sourcedId", "classSourcedId", "schoolSourcedId", "userSourcedId", "role")]
    for place, (child, family, course, guardian, number) in enumerate(FAMILIES, 1):
        users.append((f"est-{place}", "true", "cuento", "student", child, family, "", f"apo-{place}"))
        users.append((f"apo-{place}", "true", "cuento", "guardian", guardian, family, number, ""))
        enrolled.append((f"m-{place}", course, "cuento", f"est-{place}", "student"))
    users.append(("", "true", "cuento", "guardian", "Nadie", "Sin Código", "9 5555 7199", ""))
    files: dict[str, Iterable[tuple[str, ...]]] = {
        "orgs.csv": [("sourcedId", "name", "type"), ("cuento", "Escuela del Cuento", "school")],
        "classes.csv": [("sourcedId", "title", "classType", "grades", "schoolSourcedId"), *CLASSES],
        "users.csv": users,
        "enrollments.csv": enrolled,
    }
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        for name, rows in files.items():
            table = io.StringIO()
            csv.writer(table).writerows(rows)
            opened.writestr(name, table.getvalue())
    return archive.getvalue()


def _import(page: Page) -> None:
    chosen = {"name": "nómina.zip", "mimeType": "application/zip", "buffer": _roster()}
    page.locator("input[type=file]").set_input_files(chosen)  # type: ignore[arg-type]  # a TypedDict of the three
    expect(page.get_by_text("Todavía no ha cambiado nada.")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("table", name="Filas que no se usaron").get_by_role("row")).to_have_count(2)
    page.get_by_role("button", name="Aplicar la nómina").click()
    page.get_by_role("button", name="Sí, aplicar").click()
    expect(page.get_by_text("La aplicó director")).to_be_visible(timeout=PATIENCE)
