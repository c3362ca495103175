"""Credits, as a director sees them: what there is, for how long, what moved it, which bags can be asked for."""

import csv
import io
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Route, expect

from tests.end_to_end.conftest import Stack
from tests.end_to_end.pages.conftest import PATIENCE_MS, Visitor
from tests.end_to_end.test_stack import wait_for

expect.set_options(timeout=PATIENCE_MS)
CLOCKS = "Días completos, según el reloj del colegio (America/Santiago)."
SANTIAGO = ZoneInfo("America/Santiago")
ZONES = ["America/Santiago", "America/Santo_Domingo", "America/Havana", "Pacific/Kiritimati", "Pacific/Niue", "UTC"]

type Visit = Callable[..., Visitor]


def test_every_word_is_there_in_both_languages(stack: Stack, visit: Visit) -> None:
    spanish, english, empty = _enter(stack, visit).words_of("./views/credits/words.js")

    assert spanish == english
    assert empty == 0


def test_a_day_begins_when_the_schools_clocks_say_so_also_where_there_is_no_midnight(
    stack: Stack, visit: Visit
) -> None:
    page = _enter(stack, visit).page
    days = [date(2026, 1, 1) + timedelta(days=count) for count in range(730)]
    # Chile's spring begins at one o'clock; Havana's autumn has midnight twice, of which the first counts.
    begun = {zone: [datetime(one.year, one.month, one.day, tzinfo=ZoneInfo(zone)) for one in days] for zone in ZONES}

    found = page.evaluate(
        """async ([days, zones]) => {
          const { beginOf } = await import("./lib/days.js");
          return Object.fromEntries(zones.map((zone) => [zone, days.map((day) => beginOf(day, zone))]));
        }""",
        [[one.isoformat() for one in days], ZONES],
    )

    for zone, expected in begun.items():
        assert [datetime.fromisoformat(one) for one in found[zone]] == [one.astimezone(UTC) for one in expected], zone
    assert page.evaluate('async () => (await import("./lib/days.js")).dayAfter("2028-02-28")') == "2028-02-29"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_balance_movements_and_bags_are_the_apis(stack: Stack, visit: Callable[..., Visitor], scheme: str) -> None:
    _send(stack)
    wait_for(lambda: _account(stack)["captured"], "a credit that is spent")
    visitor = visit(color_scheme=scheme)
    page = visitor.page

    page.goto(f"{stack.pages_url}/index.html?as=director#/credits")

    account = _account(stack)
    shown = f"{account['available']:,}".replace(",", ".")
    expect(page.get_by_label("Nacionales").first).to_contain_text(shown)
    expect(page.get_by_role("table").last).to_contain_text("Reserva de 1 crédito")
    expect(page.get_by_role("heading", name="Bolsa básica")).to_be_visible()
    expect(page.get_by_role("img", name="Gráfico de barras de 12 semanas")).to_be_visible()
    visitor.take_picture("credits" if scheme == "light" else "credits-dark", full_page=False)


def test_a_bag_is_asked_for_once_whatever_becomes_of_the_answer(stack: Stack, visit: Callable[..., Visitor]) -> None:
    visitor = visit()
    page = visitor.page
    page.goto(f"{stack.pages_url}/index.html?as=director#/credits")
    bag = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="Bolsa básica")).first
    keys = visitor.lose_first_request("**/v1/credits/bags/requests")
    bag.get_by_role("button", name="Pedir esta bolsa").click()
    expect(page.get_by_role("alert")).to_contain_text("No hubo respuesta")

    bag.get_by_role("button", name="Pedir esta bolsa").press("Enter")

    expect(page.get_by_text("no se ha cobrado nada")).to_be_visible()
    assert len(keys) == 2
    assert len(set(keys)) == 1
    visitor.forgive_failed_loads()


def test_movements_are_narrowed_by_the_schools_days_and_by_kind(stack: Stack, visit: Visit) -> None:
    _send(stack)
    visitor = _enter(stack, visit)
    page = visitor.page
    rows = page.get_by_role("table", name="Movimientos").get_by_role("row")
    expect(rows.nth(1)).to_be_visible()
    today = datetime.now(SANTIAGO).date()

    # 1. A kind: only such movements.
    page.get_by_label("Tipo").select_option("purchase")
    expect(rows.nth(1)).to_contain_text("Compra de la bolsa")
    expect(page.get_by_text("Reserva de 1 crédito")).to_have_count(0)

    # 2. Days: the whole last one, too, by the clocks of the school wherever the reader is.
    page.get_by_label("Desde el día").fill(today.isoformat())
    with page.expect_request("**/v1/credits/statement?*") as asked:
        page.get_by_label("Hasta el día").fill(today.isoformat())
        page.get_by_label("Hasta el día").blur()
    query = parse_qs(urlsplit(asked.value.url).query)
    assert _moment(query["from"][0]) == _midnight(today)
    assert _moment(query["to"][0]) == _midnight(today + timedelta(days=1))
    expect(rows.nth(1)).to_contain_text("Compra de la bolsa")
    expect(page.get_by_text("1 movimiento.", exact=True)).to_be_visible()
    page.locator("#statement").evaluate("(one) => one.scrollIntoView()")
    visitor.take_picture("credits-filtered", full_page=False)

    # 3. Days without any, and days the wrong way round, which the field says and nobody is asked.
    for name, days in (("Desde el día", 40), ("Hasta el día", 30)):
        page.get_by_label(name).fill((today - timedelta(days=days)).isoformat())
    expect(page.get_by_text("No hay movimientos así.")).to_be_visible()
    page.get_by_label("Hasta el día").fill((today - timedelta(days=50)).isoformat())
    wrong = page.get_by_label("Hasta el día")
    expect(wrong).to_have_attribute("aria-invalid", "true")
    expect(wrong).to_have_accessible_description("Este día es anterior a «Desde el día». " + CLOCKS)
    page.get_by_role("button", name="Descargar CSV").click()
    expect(wrong).to_be_focused()

    # 4. And all of them again.
    page.get_by_role("button", name="Quitar los filtros").press("Enter")
    expect(page.get_by_label("Tipo")).to_be_focused()
    expect(wrong).to_have_attribute("aria-invalid", "false")
    expect(page.get_by_text("Reserva de 1 crédito").first).to_be_visible()


def test_each_zone_has_its_own_movements(stack: Stack, visit: Visit) -> None:
    visitor = visit()
    account = _account(stack)
    abroad = account | {"zone": "international"}
    visitor.page.route("**/v1/credits", lambda route: route.fulfill(json={"accounts": [account, abroad]}))
    page = _enter(stack, lambda: visitor).page

    page.get_by_label("Zona").select_option("Internacionales")

    expect(page.get_by_text("Todavía no hay movimientos.")).to_be_visible()
    page.get_by_label("Zona").select_option("Nacionales")
    expect(page.get_by_role("table", name="Movimientos: Nacionales")).to_be_visible()


def test_the_file_has_what_is_asked_for_and_nothing_else(stack: Stack, visit: Visit) -> None:
    _send(stack)
    page = _enter(stack, visit).page
    today = datetime.now(SANTIAGO).date()
    page.get_by_label("Tipo").select_option("hold")
    page.get_by_label("Desde el día").fill(today.isoformat())

    with page.expect_download() as downloading:
        page.get_by_role("button", name="Descargar CSV").press("Enter")
    expect(page.get_by_text("Archivo descargado.")).to_be_visible()

    assert downloading.value.suggested_filename == f"recado-movimientos-nacionales-{today}.csv"
    rows = list(csv.DictReader(io.StringIO(downloading.value.path().read_text(encoding="utf-8-sig"))))
    path = f"/credits/statement?kind=hold&limit=100&from={quote(_midnight(today).isoformat())}"
    entries = stack.api.need("GET", path, stack.token())["entries"]
    assert entries
    assert [one["Explicación"] for one in rows] == [one["explanation"] for one in entries]


def test_a_long_file_is_every_part_of_it_and_a_broken_one_says_so(stack: Stack, visit: Visit) -> None:
    _send(stack)
    visitor = _enter(stack, visit)
    page = visitor.page
    asked: list[dict[str, Any]] = []

    def short(route: Route) -> None:
        """The API's own parts, of one row each; the third request is lost."""
        query = parse_qs(urlsplit(route.request.url).query)
        asked.append(query)
        if len(asked) == 3:
            route.abort()
        else:
            route.continue_(url=route.request.url if "limit" in query else f"{route.request.url}&limit=1")

    page.route("**/v1/credits/statement.csv?*", short)
    names: list[str] = []
    page.on("download", lambda one: names.append(one.suggested_filename))
    page.get_by_role("button", name="Descargar CSV").click()
    expect(page.get_by_text("La descarga quedó incompleta.")).to_be_visible()
    assert asked[1]["zone"] == asked[0]["zone"]
    assert asked[1]["cursor"] != asked[2]["cursor"]

    visitor.forgive_failed_loads()
    assert names[0].endswith("-1.csv")


def test_of_two_questions_the_later_one_counts_in_whatever_order_they_are_answered(stack: Stack, visit: Visit) -> None:
    _send(stack)
    page = _enter(stack, visit).page
    expect(page.get_by_role("table", name="Movimientos")).to_be_visible()
    held: list[Route] = []
    page.route("**/v1/credits/statement?*kind=hold*", lambda route: held.append(route))

    page.get_by_label("Tipo").select_option("hold")
    page.get_by_label("Tipo").select_option("purchase")
    expect(page.get_by_role("table", name="Movimientos").get_by_role("row").nth(1)).to_contain_text("Compra")

    for one in held:  # it had been given up
        one.fulfill(json={"zone": "domestic", "entries": [], "next": None})
    expect(page.get_by_role("table", name="Movimientos").get_by_role("row").nth(1)).to_contain_text("Compra")


def test_too_many_questions_are_told_with_their_seconds_and_what_was_there_can_be_asked_again(
    stack: Stack, visit: Visit
) -> None:
    visitor = _enter(stack, visit)
    page = visitor.page
    refusal = {"code": "too_many_requests", "title": "Too many requests", "status": 429}
    page.route(
        "**/v1/credits/statement?*", lambda route: route.fulfill(status=429, json=refusal, headers={"Retry-After": "7"})
    )
    page.get_by_label("Tipo").select_option("hold")
    expect(page.get_by_role("alert").filter(has_text="Inténtelo en 7 s.")).to_be_visible()

    page.unroute("**/v1/credits/statement?*")
    page.get_by_role("button", name="Intentar otra vez").click()

    expect(page.get_by_text("Reserva de 1 crédito").first).to_be_visible()
    visitor.forgive_failed_loads()


def _enter(stack: Stack, visit: Visit) -> Visitor:
    visitor = visit()
    visitor.page.goto(f"{stack.pages_url}/index.html?as=director#/credits")
    visitor.page.get_by_label("Tipo").wait_for()
    return visitor


def _send(stack: Stack) -> None:
    audience = {"people": ["guardian-007"]}
    body = {"text": f"Cobro {uuid.uuid4().hex[:6]}", "category": "meeting", "audience": audience, "send": "now"}
    stack.api.need("POST", "/messages", stack.token(), body, uuid.uuid4().hex)


def _account(stack: Stack) -> dict[str, Any]:
    (found,) = stack.api.need("GET", "/credits", stack.token())["accounts"]
    account: dict[str, Any] = found
    return account


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=SANTIAGO)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
