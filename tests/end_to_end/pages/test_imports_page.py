"""A roster brought by dropping it: upload, changes, bad rows, apply or discard. Each test has a school of its own."""

import base64
import csv
import gzip
import io
import json
import re
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Request, Route, expect

from local.api import Key
from recado.import_files import ARCHIVE_BYTES_MAX
from recado.rules.bad_row_words import REASONS
from recado.rules.import_states import ZIP, ImportState
from recado.rules.oneroster import BAD_ROWS_KEPT, FILES_READ, REQUIRED_COLUMNS
from recado.rules.roster_diff import GROUP_FIELDS, PERSON_FIELDS
from recado.rules.roster_zip import FILE_BYTES_MAX
from tests.end_to_end.conftest import Stack
from tests.end_to_end.pages.conftest import NARROW, SCREENSHOTS, Visitor
from tests.end_to_end.test_imports import put

PATIENCE = 30_000
expect.set_options(timeout=PATIENCE)

type Visit = Callable[..., Visitor]


USER_COLUMNS = (
    *("sourcedId", "enabledUser", "orgSourcedIds", "role"),
    *("givenName", "familyName", "sms", "agentSourcedIds"),
)


@dataclass(frozen=True)
class Roster:
    """Families of a student and a guardian, by number; `moved`: in 5B; `numbers`: other than the family's own."""

    families: tuple[int, ...]
    moved: frozenset[int] = frozenset()
    numbers: dict[int, str] = field(default_factory=dict)
    bad_rows: int = 0

    def files(self) -> dict[str, bytes]:
        users = [("staff-01", "teacher", "Teresa", "Lagos", "9 5555 6900", "")]
        users += [(f"student-{n:03}", "student", f"Nombre{n}", "Rojas", "", f"guardian-{n:03}") for n in self.families]
        users += [
            (f"guardian-{n:03}", "guardian", "Rosa", f"Rojas {n}", self.numbers.get(n, f"9 5555 6{n:03}"), "")
            for n in self.families
        ]
        users += [(f"bad-{n}", "wizard", "Merlín", "Silva", "", "") for n in range(self.bad_rows)]
        enrolled = [("course-5b" if n in self.moved else "course-5a", f"student-{n:03}") for n in self.families]
        rows: dict[str, list[tuple[str, ...]]] = {
            "orgs.csv": [("sourcedId", "name", "type"), ("school", "Colegio Los Coigües", "school")],
            "classes.csv": [
                ("sourcedId", "title", "classType", "grades", "schoolSourcedId"),
                ("course-5a", "5° Básico A", "homeroom", "05", "school"),
                ("course-5b", "5° Básico B", "homeroom", "05", "school"),
            ],
            "users.csv": [
                USER_COLUMNS,
                *((one, "true", "school", role, given, family, sms, of) for one, role, given, family, sms, of in users),
            ],
            "enrollments.csv": [
                ("sourcedId", "classSourcedId", "schoolSourcedId", "userSourcedId", "role"),
                *((f"e-{person}", course, "school", person, "student") for course, person in enrolled),
            ],
        }  # fmt: skip
        return {name: _csv(some) for name, some in rows.items()}

    def zip(self) -> bytes:
        return _zip(self.files())


FAMILIES = Roster(tuple(range(1, 31)))
# One family more and one fewer, a number corrected, a student in another course, and two rows that are none.
NEXT = Roster(tuple(n for n in range(1, 32) if n != 30), frozenset({3}), {1: "9 5555 6801"}, bad_rows=2)


@dataclass(frozen=True)
class School:
    """A school of one test, whose pages are entered with its own tokens."""

    stack: Stack
    key: Key

    def ask(self, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        token = self.key.token("director", "directora", datetime.now(UTC))
        return self.stack.api.need(method, path, token, body, key)

    def begin(self, roster: Roster) -> str:
        """Uploads it as a portal does, and waits until it is compared."""
        begun = self.ask("POST", "/imports", {}, uuid.uuid4().hex)
        put(begun["uploads"][0]["url"], roster.zip())
        return self.wait(begun["id"], "ready")["id"]  # type: ignore[no-any-return]

    def apply(self, roster: Roster) -> str:
        made = self.begin(roster)
        self.ask("POST", f"/imports/{made}/apply", {})
        self.wait(made, "done")
        return made

    def wait(self, import_id: str, state: str) -> dict[str, Any]:
        for _ in range(300):
            seen: dict[str, Any] = self.ask("GET", f"/imports/{import_id}")
            if seen["state"] == state:
                return seen
            self.stack.aws.client("sts").get_caller_identity()  # gives the emulator a moment
        pytest.fail(f"not {state}: {seen['state']}")

    def enter(self, visitor: Visitor, where: str = "people/imports", lang: str = "es") -> Page:
        page = visitor.page
        page.route("**/token?*", lambda route: route.fulfill(json=self.new_token(), headers=_CORS))
        page.goto(f"{self.stack.pages_url}/index.html?as=director&lang={lang}#/{where}")
        page.get_by_role("heading", level=1).wait_for()
        return page

    def new_token(self) -> dict[str, str]:
        return {"token": self.key.token("director", "directora", datetime.now(UTC))}


_CORS = {"Access-Control-Allow-Origin": "*"}


@pytest.fixture
def school(stack: Stack) -> School:
    operator = stack.operator.token("operator", "support", datetime.now(UTC))
    name = f"imports-{uuid.uuid4().hex[:8]}"
    made = {"id": name, "name": "Colegio Los Coigües", "country": "CL", "time_zone": "America/Santiago", "code": ""}
    stack.api.need("POST", "/operator/schools", operator, made, f"{name}-school")
    secret = stack.api.need("POST", f"/operator/schools/{name}/keys", operator, {}, f"{name}-key")
    return School(stack, Key(name, secret["key_id"], secret["secret"]))


# --- rules ---------------------------------------------------------------------------------------------------------


def test_every_word_is_there_in_both_languages(stack: Stack, visit: Visit) -> None:
    page = visit().page
    page.goto(f"{stack.pages_url}/index.html?as=director#/people/imports")

    spanish, english, words = page.evaluate(
        """async () => {
          const { WORDS } = await import("./views/people/imports/words.js");
          const names = (said) => Object.entries(said).map(([name, word]) => `${name} ${typeof word}`).sort();
          return [names(WORDS.es), names(WORDS.en), [WORDS.es, WORDS.en].map((one) => JSON.parse(JSON.stringify(one)))];
        }"""
    )

    assert spanish == english
    assert all(word for one in words for word in one.values())
    names = {one.split()[0] for one in spanish}
    assert {state.value for state in ImportState} <= names
    assert {f"field_{one}" for one in (*PERSON_FIELDS, *GROUP_FIELDS, "returned")} <= names
    for place, said in enumerate(words):
        assert {name: words_of[place] for name, words_of in REASONS.items()} == {
            name.removeprefix("r_"): word for name, word in said.items() if name.startswith("r_")
        }


def test_every_reason_for_refusing_a_roster_has_its_words(stack: Stack, visit: Visit) -> None:
    """The codes are in the source of what reads a roster: none may be shown as a code."""
    root = Path(__file__).parents[3] / "layers" / "common" / "python" / "recado"
    files = ("rules/csv_rows.py", "rules/roster_zip.py", "rules/oneroster.py", "import_files.py", "roster_import.py")
    raised = re.compile(r'(?:_problem|_refused|FieldProblem)\([^"\n]*?(?:""|f?"[^"]*"|\w+), "(\w+)", ')
    codes = {code for file in files for code in raised.findall((root / file).read_text())}
    page = visit().page
    page.goto(f"{stack.pages_url}/index.html?as=director#/people/imports")

    names = page.evaluate("""async () => Object.keys((await import("./views/people/imports/words.js")).WORDS.es)""")

    assert len(codes) > 12
    assert {f"p_{code}" for code in codes} <= set(names)


def test_the_page_looks_for_the_files_and_bounds_that_the_worker_looks_for(stack: Stack, visit: Visit) -> None:
    page = visit().page
    page.goto(f"{stack.pages_url}/index.html?as=director#/people/imports")

    files = page.evaluate("""async () => ({ ...(await import("./views/people/imports/files.js")) })""")

    assert (files["ZIP"], files["ZIP_BYTES_MAX"], files["CSV_BYTES_MAX"]) == (ZIP, ARCHIVE_BYTES_MAX, FILE_BYTES_MAX)
    assert set(files["NEEDED"]) == set(REQUIRED_COLUMNS)
    assert set(files["READ"]) == FILES_READ
    assert page.request.get(f"{stack.pages_url}/views/people/imports/rows.js").text().count(f"KEPT = {BAD_ROWS_KEPT};")


# --- to begin ------------------------------------------------------------------------------------------------------


def test_a_school_without_imports_is_told_so(school: School, visit: Visit) -> None:
    visitor = visit()
    page = school.enter(visitor)

    expect(page.get_by_text("Todavía no se ha importado ninguna nómina")).to_be_visible()
    visitor.take_picture("imports-empty")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"nomina.pdf": b"%PDF"}, "nomina.pdf no es un archivo ZIP ni CSV"),
        ({"nomina.xlsx": b"PK\x03\x04"}, "nomina.xlsx es una planilla"),
        ({"roster.zip": b"Rar!..."}, "roster.zip se llama ZIP, pero no lo es por dentro"),
        ({"roster.zip": b""}, "roster.zip está vacío"),
        ({"users.csv": b"sourcedId\n"}, "Falta orgs.csv, classes.csv, enrollments.csv"),
        ({"roster.zip": b"PK\x03\x04", "users.csv": b"x"}, "Un ZIP se sube solo"),
        ({"users.csv": b"x", "USERS.CSV": b"x"}, "users.csv viene más de una vez"),
        ({}, "No se recibió ningún archivo"),
    ],
)
def test_what_cannot_be_a_roster_is_said_before_anything_is_sent(
    school: School, visit: Visit, files: dict[str, bytes], said: str
) -> None:
    visitor = visit()
    page = school.enter(visitor)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.method) if request.method != "GET" else None)

    _drop(page, files)

    expect(page.get_by_role("alert")).to_contain_text(said)
    assert asked == []
    if "nomina.pdf" in files:
        visitor.take_picture("imports-wrong-file")


def test_a_zip_larger_than_what_is_read_is_said_before_anything_is_sent(school: School, visit: Visit) -> None:
    page = school.enter(visit())

    said = page.evaluate(
        """async (bytes) => {
          const { choose } = await import("./views/people/imports/files.js");
          const file = new File(["PK"], "roster.zip");
          Object.defineProperty(file, "size", { value: bytes + 5_000_000 });
          return (await choose([file])).problems;
        }""",
        ARCHIVE_BYTES_MAX,
    )

    assert said == ["roster.zip pesa 104,8 MB, y el máximo son 100 MB."]


# --- the whole story -----------------------------------------------------------------------------------------------


def test_a_dropped_roster_is_compared_looked_at_and_applied(school: School, visit: Visit) -> None:
    school.apply(FAMILIES)
    visitor = visit()
    page = school.enter(visitor)
    expect(page.get_by_role("row").filter(has_text="Aplicada")).to_be_visible()

    # Dropped; it goes up, and is compared by itself.
    _drop(page, {"nomina 2026.zip": NEXT.zip()})
    page.wait_for_url(re.compile("#/people/imports/i"))
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    expect(page.get_by_text("Todavía no ha cambiado nada.")).to_be_visible()

    # What it would change, as a bar, a table and one by one.
    expect(
        page.get_by_role("img", name=re.compile(r"Nuevas: 2; Cambian: \d+; Siguen igual: \d+; Se van: 2"))
    ).to_be_visible()
    counts = page.get_by_role("table", name="Qué cambiaría")
    expect(counts.get_by_role("row").filter(has_text="Estudiantes").get_by_role("cell")).to_have_text(
        ["1", "1", "28", "1"]
    )
    changes = page.get_by_role("table", name="Los cambios, uno por uno")
    page.get_by_label("Mostrar de").select_option("guardians")
    page.get_by_label("Qué pasa").select_option("changed")
    expect(changes.locator("tbody tr")).to_have_count(2)
    expect(changes.get_by_role("row").filter(has_text="Rosa Rojas 1")).to_contain_text(
        "teléfono: +56 9 5555 6001 → +56 9 5555 6801"
    )
    expect(changes.get_by_role("row").filter(has_text="Rosa Rojas 3")).to_contain_text("cursos")
    page.get_by_label("Qué pasa").select_option("gone")
    expect(changes.get_by_role("row")).to_have_count(2)
    expect(changes).to_contain_text("Rosa Rojas 30")
    expect(page.get_by_text("1 de 1 cambio")).to_be_visible()
    page.get_by_label("Mostrar de").select_option("staff")
    expect(page.get_by_text("No hay cambios así.")).to_be_visible()
    page.get_by_label("Mostrar de").select_option("")
    page.get_by_label("Qué pasa").select_option("")
    expect(page.get_by_text("7 de 7 cambios")).to_be_visible()
    expect(changes.locator("tbody tr")).to_have_count(7)

    # Rows that were not used, and their file.
    rows = page.get_by_role("table", name="Filas que no se usaron")
    expect(rows.get_by_role("row")).to_have_count(3)
    expect(rows).to_contain_text("El rol no se conoce")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Descargar CSV").click()
    text = Path(waiting.value.path()).read_text("utf-8-sig")
    assert [row[3] for row in csv.reader(io.StringIO(text))][1:] == ["unknown_role", "unknown_role"]
    _picture(visitor, "imports-ready")
    _picture(visitor, "imports-changes", at="#changes-title")

    # Applied, after a last look.
    page.get_by_role("button", name="Aplicar la nómina").click()
    dialog = page.get_by_role("dialog", name="¿Aplicar esta nómina?")
    expect(dialog).to_contain_text(re.compile(r"2 personas nuevas, \d+ cambian, 2 se van"))
    visitor.take_picture("imports-apply", full_page=False)
    dialog.get_by_role("button", name="Sí, aplicar").click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_text("La aplicó directora")).to_be_visible()
    expect(page.get_by_role("heading", name="Qué cambió")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    visitor.take_picture("imports-done", full_page=False)
    assert school.ask("GET", "/people/guardian-001")["number"] == "+56955556801"
    assert school.ask("GET", "/people/student-031")["given_name"] == "Nombre31"

    page.get_by_role("link", name="Todas las importaciones").click()
    expect(page.get_by_role("row").filter(has_text="Aplicada")).to_have_count(2)
    expect(page.get_by_role("row").nth(1)).to_contain_text("2 nuevas")
    visitor.take_picture("imports-list")


def test_csv_files_are_dropped_together_and_what_is_not_read_stays_here(school: School, visit: Visit) -> None:
    page = school.enter(visit())
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "PUT" else None)

    _drop(page, {**FAMILIES.files(), "demographics.csv": b"sourcedId\nstudent-001\n", "courses.csv": b"sourcedId\n"})

    expect(page.get_by_text("Todavía no ha cambiado nada.")).to_be_visible()
    assert sorted(re.findall(r"/(\w+\.csv)\?", " ".join(sent))) == sorted(FAMILIES.files())


def test_by_keyboard_alone_a_roster_is_chosen_and_discarded(school: School, visit: Visit) -> None:
    school.apply(FAMILIES)
    page = school.enter(visit())
    page.on("filechooser", lambda _: None)  # from now on: the browser is told to leave it to us, which takes a moment
    choose = page.get_by_role("button", name="Elegir archivos")
    _tab_to(page, "Elegir archivos")
    expect(choose).to_be_focused()
    with page.expect_file_chooser() as waiting:
        page.keyboard.press("Enter")
    waiting.value.set_files({"name": "nomina.zip", "mimeType": "application/zip", "buffer": NEXT.zip()})
    expect(page.get_by_text("Todavía no ha cambiado nada.")).to_be_visible()
    expect(page.get_by_role("table", name="Los cambios, uno por uno")).to_be_visible()
    expect(page.get_by_role("table", name="Filas que no se usaron")).to_be_visible()
    import_id = page.url.rpartition("/")[2]

    _tab_to(page, "Descartar")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="¿Descartar esta nómina?")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name="Descartar")).to_be_focused()
    page.keyboard.press("Enter")
    _tab_to(page, "Sí, descartar")
    page.keyboard.press("Space")

    expect(page.get_by_text("La descartó directora")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    assert school.ask("GET", f"/imports/{import_id}")["state"] == "discarded"
    assert school.ask("GET", "/people/guardian-001")["number"] == "+56955556001"


def test_a_zip_that_is_no_roster_is_refused_in_plain_words(school: School, visit: Visit) -> None:
    visitor = visit()
    page = school.enter(visitor)

    _drop(page, {"fotos.zip": _zip({"foto.jpg": b"jpg", "users.csv": b"sourcedId,givenName\n1,Ana\n"})})

    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Falta el archivo orgs.csv.")
    expect(alert).to_contain_text("¿Es una nómina completa en formato OneRoster?")
    expect(alert).to_contain_text("no cambió nada")
    visitor.take_picture("imports-refused")
    page.get_by_role("link", name="Subir otra nómina").click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("No se pudo usar")


def test_a_roster_that_lets_most_go_asks_twice(school: School, visit: Visit) -> None:
    school.apply(FAMILIES)
    made = school.begin(replace(FAMILIES, families=(1, 2, 3)))
    visitor = visit()
    page = school.enter(visitor, f"people/imports/{made}")
    keys: list[str] = []
    page.on("request", lambda one: _note_key(keys, one))

    page.get_by_role("button", name="Aplicar la nómina").click()
    page.get_by_role("button", name="Sí, aplicar").click()
    dialog = page.get_by_role("dialog", name="Se iría más de la mitad del colegio")
    expect(dialog).to_contain_text("no nombra a 54 de las 61 personas")
    visitor.take_picture("imports-many-would-go", full_page=False)
    dialog.get_by_role("button", name="Volver sin cambios").click()
    expect(page.get_by_role("button", name="Aplicar la nómina")).to_be_focused()
    assert school.ask("GET", f"/imports/{made}")["state"] == "ready"

    page.get_by_role("button", name="Aplicar la nómina").click()
    page.get_by_role("button", name="Sí, aplicar").click()
    dialog.get_by_role("button", name="Sí, 54 personas se van").click()

    expect(page.get_by_text("La aplicó directora")).to_be_visible()
    assert len(set(keys)) == len(keys) - 1  # the refused one was the same, the confirmed one another
    visitor.expect_trouble("409")


# --- what goes wrong -----------------------------------------------------------------------------------------------


def test_an_upload_that_breaks_off_is_sent_again_without_choosing_the_file(school: School, visit: Visit) -> None:
    visitor = visit()
    page = school.enter(visitor)
    puts: list[str] = []

    def lose_first(route: Route) -> None:
        if route.request.method != "PUT":
            route.fallback()
            return
        puts.append(route.request.url)
        if len(puts) == 1:
            route.abort()
        else:
            route.continue_()

    page.route(re.compile(r"roster\.zip"), lose_first)
    _drop(page, {"nomina.zip": FAMILIES.zip()})
    expect(page.get_by_role("alert")).to_contain_text("La carga se cortó")
    visitor.take_picture("imports-lost")

    page.get_by_role("button", name="Subir otra vez").click()

    expect(page.get_by_text("Todavía no ha cambiado nada.")).to_be_visible()
    assert len(puts) == 2
    assert len(school.ask("GET", "/imports")["imports"]) == 1
    visitor.expect_trouble("ERR_FAILED")


def test_a_lost_answer_to_begin_is_asked_again_with_the_same_key(school: School, visit: Visit) -> None:
    visitor = visit()
    page = school.enter(visitor)
    keys = visitor.lose_first_answer("**/v1/imports", "POST")

    _drop(page, {"nomina.zip": FAMILIES.zip()})
    expect(page.get_by_role("alert")).to_contain_text("No hubo respuesta")
    page.get_by_role("button", name="Intentar otra vez").click()

    expect(page.get_by_text("Todavía no ha cambiado nada.")).to_be_visible()
    assert (len(keys), len(set(keys))) == (2, 1)
    assert len(school.ask("GET", "/imports")["imports"]) == 1
    visitor.expect_trouble("ERR_FAILED")


def test_an_address_whose_time_is_over_is_begun_anew_with_the_file_at_hand(school: School, visit: Visit) -> None:
    visitor = visit()
    page = school.enter(visitor)
    refused: list[str] = []

    def refuse_first(route: Route) -> None:
        refused.append(route.request.url)
        if len(refused) == 1:
            route.fulfill(status=403, body="<Error><Code>AccessDenied</Code></Error>")
        else:
            route.continue_()

    def expired(route: Route) -> None:
        """The same import a quarter of an hour later."""
        if route.request.method != "POST" or len(refused) != 1:
            route.fallback()
            return
        answer = route.fetch()
        if route.request.headers["idempotency-key"] in keys:
            answered = answer.json() | {"uploads": [], "upload_until": "2026-01-01T00:00:00Z"}
            route.fulfill(response=answer, json=answered)
            return
        route.fulfill(response=answer)

    keys: list[str] = []
    page.on("request", lambda one: _note_key(keys, one) if not refused else None)
    page.route(re.compile(r"roster\.zip"), refuse_first)
    page.route("**/v1/imports", expired)
    _drop(page, {"nomina.zip": FAMILIES.zip()})
    expect(page.get_by_role("alert")).to_contain_text("El almacén no aceptó el archivo (403)")
    first = page.url
    page.get_by_role("button", name="Subir otra vez").click()
    expect(page.get_by_text("El plazo de 15 minutos para subir el archivo terminó.")).to_be_visible()
    visitor.take_picture("imports-expired")

    page.get_by_role("button", name="Comenzar de nuevo").click()

    expect(page.get_by_text("Todavía no ha cambiado nada.")).to_be_visible()
    assert page.url != first
    visitor.expect_trouble("403")


def test_files_that_are_not_there_after_all_are_sent_again(school: School, visit: Visit) -> None:
    visitor = visit()
    page = school.enter(visitor)
    # The upload is answered, and yet nothing arrives; the page says after ten seconds that all is there, and hears no.
    page.route(re.compile(r"roster\.zip"), lambda route: route.fulfill(status=200), times=1)
    _drop(page, {"nomina.zip": FAMILIES.zip()})
    expect(page.get_by_text("Archivo recibido.")).to_be_visible()

    page.get_by_role("button", name="Subir otra vez").click()

    expect(page.get_by_text("Todavía no ha cambiado nada.")).to_be_visible()
    visitor.expect_trouble("409")


def test_an_upload_that_came_too_late_is_begun_anew(school: School, visit: Visit) -> None:
    visitor = visit()
    page = school.enter(visitor)
    page.route(re.compile(r"roster\.zip"), lambda route: route.abort(), times=1)
    _drop(page, {"nomina.zip": FAMILIES.zip()})
    expect(page.get_by_role("button", name="Subir otra vez")).to_be_visible()
    late = page.url.rpartition("/")[2]
    problems = [{"field": "roster.zip", "code": "not_uploaded", "detail": ""}]
    refused = school.ask("GET", f"/imports/{late}") | {"state": "refused", "problems": problems}
    page.route(f"**/v1/imports/{late}", lambda route: route.fulfill(json=refused))
    expect(page.get_by_text("roster.zip no llegó a tiempo")).to_be_visible()

    page.get_by_role("button", name="Comenzar de nuevo").click()

    expect(page.get_by_text("Todavía no ha cambiado nada.")).to_be_visible()
    assert page.url.rpartition("/")[2] != late
    visitor.expect_trouble("ERR_FAILED")


def test_a_lost_answer_to_apply_is_asked_again_with_the_same_key(school: School, visit: Visit) -> None:
    school.apply(FAMILIES)
    made = school.begin(NEXT)
    ready = school.ask("GET", f"/imports/{made}")
    visitor = visit()
    page = school.enter(visitor, f"people/imports/{made}")
    keys = visitor.lose_first_answer("**/apply", "POST")
    # Nor does the page hear of it otherwise, before it is asked for again.
    page.route(f"**/v1/imports/{made}", lambda route: route.fulfill(json=ready) if len(keys) < 2 else route.continue_())
    page.get_by_role("button", name="Aplicar la nómina").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Sí, aplicar").click()
    expect(dialog.get_by_role("alert")).to_contain_text("No hubo respuesta")

    dialog.get_by_role("button", name="Sí, aplicar").click()

    expect(page.get_by_text("La aplicó directora")).to_be_visible()
    assert (len(keys), len(set(keys))) == (2, 1)
    visitor.expect_trouble("ERR_FAILED")


def test_whoever_does_not_press_again_sees_that_it_was_done(school: School, visit: Visit) -> None:
    made = school.begin(FAMILIES)
    visitor = visit()
    page = school.enter(visitor, f"people/imports/{made}")
    visitor.lose_first_answer("**/apply", "POST")
    page.get_by_role("button", name="Aplicar la nómina").click()
    page.get_by_role("button", name="Sí, aplicar").click()

    expect(page.get_by_text("La aplicó directora")).to_be_visible()

    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_text("alguien más")).to_have_count(0)
    visitor.expect_trouble("ERR_FAILED")


def test_what_somebody_else_has_done_meanwhile_is_shown_as_it_is(school: School, visit: Visit) -> None:
    made = school.begin(FAMILIES)
    visitor = visit()
    page = school.enter(visitor, f"people/imports/{made}")
    page.get_by_role("button", name="Aplicar la nómina").click()
    school.ask("POST", f"/imports/{made}/discard")

    page.get_by_role("button", name="Sí, aplicar").click()

    expect(page.get_by_text("La descartó directora")).to_be_visible()
    expect(page.get_by_text("alguien más aplicó o descartó esta nómina").first).to_be_visible()
    visitor.expect_trouble("409")


def test_while_another_roster_is_applied_this_one_stays(school: School, visit: Visit) -> None:
    made = school.begin(FAMILIES)
    visitor = visit()
    page = school.enter(visitor, f"people/imports/{made}")
    problem = {"code": "import_running", "title": "Another roster is being applied", "status": 409}
    page.route("**/apply", lambda route: _refuse(route, 409, problem), times=1)
    page.get_by_role("button", name="Aplicar la nómina").click()
    page.get_by_role("button", name="Sí, aplicar").click()

    expect(page.get_by_role("dialog")).to_contain_text("Otra nómina del colegio se está aplicando")

    page.get_by_role("button", name="Sí, aplicar").click()
    expect(page.get_by_text("La aplicó directora")).to_be_visible()
    visitor.expect_trouble("409")


def test_too_many_requests_are_waited_for(school: School, visit: Visit) -> None:
    visitor = visit()
    made = school.begin(FAMILIES)
    asked: list[str] = []
    problem = {"code": "too_many_requests", "title": "", "status": 429}

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        _refuse(route, 429, problem, {"Retry-After": "30"})

    visitor.page.route(f"**/v1/imports/{made}", refuse)
    page = school.enter(visitor, f"people/imports/{made}")

    expect(page.get_by_role("alert")).to_contain_text("Inténtelo en 30 s.")
    page.wait_for_timeout(6_000)  # longer than the pause after any other error
    assert len(asked) == 1
    page.unroute(f"**/v1/imports/{made}")
    page.get_by_role("button", name="Intentar otra vez").click()
    expect(page.get_by_text("Todavía no ha cambiado nada.")).to_be_visible()
    visitor.expect_trouble("429")


def test_an_import_that_is_not_there_is_said_in_words(school: School, visit: Visit) -> None:
    visitor = visit()
    page = school.enter(visitor, "people/imports/nada")

    expect(page.get_by_text("Esa importación no existe en su colegio")).to_be_visible()
    visitor.expect_trouble("404")


def test_an_upload_of_another_window_is_left_to_it_or_given_up(school: School, visit: Visit) -> None:
    begun = school.ask("POST", "/imports", {}, uuid.uuid4().hex)
    visitor = visit()
    page = school.enter(visitor, f"people/imports/{begun['id']}")
    expect(page.get_by_text("Si lo está subiendo en otra ventana, déjela abierta.")).to_be_visible()
    visitor.check_accessible()

    page.get_by_role("button", name="Cancelar la carga").click()

    expect(page.get_by_text("La descartó directora")).to_be_visible()


# --- how it looks --------------------------------------------------------------------------------------------------


def test_how_far_it_is_is_said_at_each_step(school: School, visit: Visit) -> None:
    made = school.begin(FAMILIES)
    real = school.ask("GET", f"/imports/{made}")
    visitor = visit()
    shown = real | {"state": "applying", "progress": {"step": "writing", "done": 25, "total": 61}}
    visitor.page.route(f"**/v1/imports/{made}", lambda route: route.fulfill(json=shown))
    page = school.enter(visitor, f"people/imports/{made}")

    expect(page.get_by_text("Aplicando: 25 de 61 personas")).to_be_visible()
    expect(page.get_by_role("progressbar", name="Avance")).to_have_attribute("value", "25")
    visitor.take_picture("imports-applying", full_page=False)
    shown["state"], shown["progress"] = "checking", {"step": "reading", "done": 3_400_000, "total": 0}
    expect(page.get_by_text("Leyendo la nómina: 3,2 MB")).to_be_visible()
    assert page.get_by_role("progressbar", name="Avance").get_attribute("value") is None
    expect(page.get_by_role("table", name="Qué cambiaría")).to_be_hidden()


def test_the_share_of_the_upload_is_shown_while_it_goes(school: School, visit: Visit) -> None:
    visitor = visit()
    page = school.enter(visitor)
    slow = visitor.context.new_cdp_session(page)
    slow.send("Network.enable")
    slow.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 200_000},
    )
    # Nobody reads what else is in a zip, but it takes its time.
    _drop(page, {"nomina.zip": _zip(FAMILIES.files() | {"foto.bin": uuid.uuid4().bytes * 65_000}, zipfile.ZIP_STORED)})

    expect(page.get_by_text(re.compile(r"Subiendo nomina\.zip: .* de 1 MB \([1-9]\d* %\)"))).to_be_visible()
    expect(page.get_by_role("progressbar", name="Avance de la carga")).to_be_visible()
    visitor.take_picture("imports-uploading")
    # Another section meanwhile: the upload goes on, and is found again.
    here = page.url
    page.get_by_role("link", name="Créditos").click()
    expect(page.get_by_role("heading", level=1, name="Créditos")).to_be_visible()
    page.goto(here)
    expect(page.get_by_text("Todavía no ha cambiado nada.")).to_be_visible()


def test_it_is_as_good_in_the_dark_and_in_english(school: School, visit: Visit) -> None:
    school.apply(FAMILIES)
    made = school.begin(NEXT)
    visitor = visit(color_scheme="dark", locale="en-GB")
    page = school.enter(visitor, f"people/imports/{made}", lang="en")
    expect(page.get_by_role("table", name="The changes, one by one")).to_be_visible()
    expect(page.get_by_role("table", name="Rows that were not used")).to_be_visible()

    _picture(visitor, "imports-dark")


def test_text_twice_as_large_still_fits(school: School, visit: Visit) -> None:
    school.apply(FAMILIES)
    made = school.begin(NEXT)
    visitor = visit()
    for where in (f"people/imports/{made}", "people/imports"):
        page = school.enter(visitor, where)
        expect(page.get_by_role("table").last).to_be_visible()
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        page.set_viewport_size({"width": 640, "height": 800})
        visitor.check_accessible()
        page.set_viewport_size(NARROW)  # type: ignore[arg-type]
        visitor.check_accessible()


def test_the_pages_cost_less_than_fifty_kilobytes(school: School, visit: Visit) -> None:
    """Compressed, as CloudFront sends them; the emulator does not compress."""
    made = school.begin(FAMILIES)
    page = visit().page
    sizes: list[int] = []
    page.on("response", lambda one: sizes.append(len(gzip.compress(one.body()))) if "/console/" in one.url else None)

    page.route("**/token?*", lambda route: route.fulfill(json=school.new_token(), headers=_CORS))
    page.goto(f"{school.stack.pages_url}/index.html?as=director#/people/imports/{made}")
    expect(page.get_by_role("table", name="Los cambios, uno por uno")).to_be_visible()

    assert len(sizes) > 20
    assert sum(sizes) < 50_000


def test_nothing_jumps_while_it_comes(school: School, visit: Visit) -> None:
    school.apply(FAMILIES)
    made = school.begin(NEXT)
    visitor = visit()
    visitor.page.add_init_script(
        """window.shifted = 0;
        new PerformanceObserver((list) => {
          for (const one of list.getEntries()) if (!one.hadRecentInput) window.shifted += one.value;
        }).observe({ type: "layout-shift", buffered: true });"""
    )
    page = school.enter(visitor, f"people/imports/{made}")
    expect(page.get_by_role("table", name="Los cambios, uno por uno")).to_be_visible()
    expect(page.get_by_role("table", name="Filas que no se usaron")).to_be_visible()
    page.wait_for_timeout(500)

    assert page.evaluate("window.shifted") < 0.01


def test_many_changes_come_page_by_page_and_focus_goes_on(school: School, visit: Visit) -> None:
    made = school.begin(replace(FAMILIES, families=tuple(range(1, 121))))
    page = school.enter(visit(), f"people/imports/{made}")
    rows = page.get_by_role("table", name="Los cambios, uno por uno").locator("tbody tr")
    expect(rows).to_have_count(100)
    expect(page.get_by_text(re.compile(r"^100 de 2\d\d cambios"))).to_be_visible()

    page.get_by_role("button", name="Ver más").press("Enter")

    expect(rows).to_have_count(200)
    expect(rows.nth(100)).to_be_focused()


# --- steps ---------------------------------------------------------------------------------------------------------


def _csv(rows: list[tuple[str, ...]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _zip(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _drop(page: Page, files: dict[str, bytes]) -> None:
    """As somebody drags files from their desktop onto the page."""
    encoded = {name: base64.b64encode(content).decode() for name, content in files.items()}
    transfer = page.evaluate_handle(
        """(files) => {
          const transfer = new DataTransfer();
          for (const [name, content] of Object.entries(files)) {
            transfer.items.add(new File([Uint8Array.from(atob(content), (one) => one.charCodeAt(0))], name));
          }
          // What a folder leaves of itself.
          if (!transfer.items.length) Object.defineProperty(transfer, "types", { value: ["Files"] });
          return transfer;
        }""",
        encoded,
    )
    place = page.locator(".drop")
    place.dispatch_event("dragover", {"dataTransfer": transfer})
    expect(place).to_contain_text("Suelte para subir")
    place.dispatch_event("drop", {"dataTransfer": transfer})


def _tab_to(page: Page, name: str) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement?.textContent.trim()") == name:
            return
    pytest.fail(f"no way to {name!r} by Tab")


def _picture(visitor: Visitor, name: str, at: str | None = None) -> None:
    """As `take_picture`, of what is in sight: the whole page is as long as its list of changes."""
    for suffix, size in (("", {"width": 1280, "height": 960}), ("-320", {"width": 320, "height": 1200})):
        visitor.page.set_viewport_size(size)  # type: ignore[arg-type]  # a TypedDict of the two
        visitor.check_accessible()
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        top = visitor.page.locator(at).evaluate("(one) => one.offsetTop - 40") if at else 0
        visitor.page.evaluate("(top) => window.scrollTo(0, top)", top)
        visitor.page.screenshot(path=SCREENSHOTS / f"{name}{suffix}.png")
    visitor.page.set_viewport_size({"width": 1280, "height": 800})


def _note_key(keys: list[str], request: Request) -> None:
    if request.method == "POST":
        keys.append(request.headers["idempotency-key"])


def _refuse(route: Route, status: int, problem: dict[str, Any], headers: dict[str, str] | None = None) -> None:
    body = json.dumps(problem)
    route.fulfill(status=status, headers=headers or {}, content_type="application/problem+json", body=body)
