"""/credits as a director's portal sees it, and as a teacher's does not."""

import csv
import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest

from recado import credits, schools  # noqa: A004  # the school's word
from recado.access import Caller
from recado.rules.credit_bags import CATALOGUE, Zone
from recado.rules.plain_words import Language
from recado.rules.roles import Role
from recado.rules.school_settings import SchoolSettings
from recado.tables import events, ledger, school_settings
from recado.tables.base import Transaction
from recado.tables.ledger import Entry
from recado.tables.schools import Contract, School
from tests.apps import Context, call, load_app, load_event

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
OPERATOR = Caller("platform", Role.OPERATOR, "soporte-1")
LICEO = School("liceo-1", "Liceo Uno", "CL", "America/Santiago", "", Contract.ACTIVE, 1, NOW)


@pytest.fixture(autouse=True)
def school(aws: None) -> None:
    schools.create_school(OPERATOR, LICEO, is_first=True)
    schools.create_school(OPERATOR, replace(LICEO, id="liceo-2"), is_first=True)


def sell(bag: str, school_id: str = "liceo-1", at: datetime = NOW) -> Entry:
    order = schools.read_order(bag, None, None)
    return schools.sell_bag(OPERATOR, school_id, order, request_key=f"{bag} {at}", now=at, is_first=True)


def hold(credits: int) -> None:  # noqa: A002  # the school's word
    entry = Entry(Zone.DOMESTIC, "hold#m1#p1", NOW + timedelta(minutes=1), "u-17", -credits, credits, 0, {})
    with Transaction() as write:
        ledger.hold(write, "liceo-1", entry)


def by(event: dict[str, Any], role: str) -> dict[str, Any]:
    event["requestContext"]["authorizer"]["role"] = role
    return event


def with_query(event: dict[str, Any], **query: str) -> dict[str, Any]:
    multi = {name: [value] for name, value in query.items()}
    return event | {"queryStringParameters": query, "multiValueQueryStringParameters": multi}


def test_a_director_sees_what_the_school_has_and_nothing_of_another() -> None:
    sell("domestic-500")
    sell("international-100", "liceo-2")
    hold(7)

    status, body = call("credits", load_event("credits_balances"))

    assert status == 200
    assert body == {
        "accounts": [
            {
                "zone": "domestic",
                "contract": "active",
                "bought": 500,
                "available": 493,
                "held": 7,
                "captured": 0,
                "threshold": None,
                "low": False,
                "low_since": None,
            }
        ],
        "summary": {"bought": 500, "available": 493, "held": 7, "captured": 0},
    }


def test_a_suspended_school_sees_its_frozen_credits() -> None:  # L5
    sell("domestic-500")
    schools.set_contract(OPERATOR, "liceo-1", Contract.SUSPENDED, NOW)

    _, body = call("credits", load_event("credits_balances"))

    assert [(one["contract"], one["available"]) for one in body["accounts"]] == [("suspended", 500)]


def test_each_movement_of_the_statement_says_its_cause_newest_first() -> None:
    bought = sell("domestic-500")
    hold(7)

    status, body = call("credits", load_event("credits_statement"))

    assert status == 200
    assert body == {
        "zone": "domestic",
        "next": None,
        "entries": [
            {
                "cause": "hold#m1#p1",
                "kind": "hold",
                "explanation": "Reserva de 7 créditos para un mensaje.",
                "message_id": "m1",
                "bag": None,
                "at": "2026-11-23T12:01:00Z",
                "by": "u-17",
                "available": -7,
                "held": 7,
                "captured": 0,
                "balance": {"available": 493, "held": 7, "captured": 0},
            },
            {
                "cause": bought.cause,
                "kind": "purchase",
                "explanation": "Compra de la bolsa «Bolsa básica»: 500 créditos.",
                "message_id": None,
                "bag": "domestic-500",
                "at": "2026-11-23T12:00:00Z",
                "by": "soporte-1",
                "available": 500,
                "held": 0,
                "captured": 0,
                "balance": {"available": 500, "held": 0, "captured": 0},
            },
        ],
    }


def test_the_statement_is_read_to_its_end_by_its_cursor() -> None:
    sold = [sell("domestic-500", at=NOW + timedelta(minutes=minute)) for minute in range(5)]

    causes, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        query = {"zone": "domestic", "limit": "2"} | ({"cursor": cursor} if cursor else {})
        _, body = call("credits", with_query(load_event("credits_statement"), **query))
        causes += [entry["cause"] for entry in body["entries"]]
        cursor, pages = body["next"], pages + 1

    assert causes == [entry.cause for entry in reversed(sold)]
    assert pages == 3


@pytest.mark.parametrize("cursor", ["account", "YWNjb3VudA", "RSNwdXJjaGFzZQ", "VCM", "%%%", "x" * 599, "VCPDqQ"])
def test_a_cursor_that_is_none_is_refused(cursor: str) -> None:  # account, E#purchase, T#, …
    status, body = call("credits", with_query(load_event("credits_statement"), cursor=cursor))

    assert (status, body["code"]) == (422, "invalid_request")
    assert body["errors"][0]["field"] == "/query/cursor"


@pytest.mark.parametrize("name", ["credits_statement", "credits_statement_csv"])
@pytest.mark.parametrize(
    "query",
    [
        {"zone": "mars"},
        {"limit": "0"},
        {"limit": "10001"},
        {"limit": "many"},
        {"from": "yesterday"},
        {"from": "2026-11-23T12:00:00"},  # without an offset it is no moment
        {"to": "23/11/2026"},
        {"to": "2026-11-01T00:00:00Z", "from": "2026-11-02T00:00:00Z"},
        {"kind": "refund"},
        {"message_id": "m1#p1"},
        {"message_id": "x" * 65},
        {"cursor": "x" * 701},
        {"lang": "fr"},
    ],
)
def test_a_query_out_of_range_is_refused_by_its_field(name: str, query: dict[str, str]) -> None:
    status, body = call("credits", with_query(load_event(name), **query))

    assert (status, body["code"]) == (422, "invalid_request")
    assert body["errors"][0]["field"] == f"/query/{next(iter(query))}"


def test_the_catalogue_starts_with_the_basic_bags_and_says_that_nothing_expires_nor_returns() -> None:  # L5, L6, L7
    status, body = call("credits", load_event("credits_bags"))

    assert status == 200
    assert [bag["id"] for bag in body["bags"]] == [bag.id for bag in CATALOGUE]
    assert (body["expires"], body["refundable"]) == (False, False)


def test_a_refund_is_refused_and_says_why_and_nothing_moves() -> None:  # L6
    sell("domestic-500")

    status, body = call("credits", load_event("credits_refund_refused"))

    assert (status, body["code"]) == (409, "bags_are_not_refundable")
    assert "never expire" in body["detail"]
    assert ledger.list_accounts("liceo-1")[0].available == 500


@pytest.mark.parametrize(
    "name",
    [
        "credits_balances",
        "credits_statement",
        "credits_statement_csv",
        "credits_use",
        "credits_bag_requested",
        "credits_refund_refused",
    ],
)
@pytest.mark.parametrize("role", ["teacher", "staff", "guardian", "student", "operator"])
def test_only_directors_and_administrators_see_the_schools_credits(name: str, role: str) -> None:
    status, body = call("credits", by(load_event(name), role))

    assert (status, body["code"]) == (403, "not_allowed")


def test_a_teacher_is_refused_the_balances() -> None:
    assert call("credits", load_event("credits_balances_refused_to_a_teacher"))[0] == 403


def test_an_administrator_sees_the_schools_credits() -> None:
    assert call("credits", by(load_event("credits_balances"), "administrator"))[0] == 200


def test_without_the_authorizers_word_nobody_sees_anything() -> None:
    event = load_event("credits_balances")
    del event["requestContext"]["authorizer"]

    assert call("credits", event)[0] == 401


def test_a_low_balance_shows_its_threshold_and_since_when_L5() -> None:
    sell("domestic-500")
    settings = SchoolSettings(low_balance={Zone.DOMESTIC: 495}, version=1, changed_by="u-17", changed_at=NOW)
    school_settings.save_settings("liceo-1", settings)
    hold(7)
    credits.note_balance("liceo-1", NOW)

    _, body = call("credits", load_event("credits_balances"))

    (account,) = body["accounts"]
    assert (account["low"], account["low_since"], account["threshold"]) == (True, "2026-11-23T12:00:00Z", 495)


def test_the_statement_is_narrowed_by_time_kind_and_message() -> None:
    sell("domestic-500")
    hold(7)

    def causes(**query: str) -> list[str]:
        _, body = call("credits", with_query(load_event("credits_statement"), **query))
        return [entry["cause"].partition("#")[0] for entry in body["entries"]]

    assert causes(kind="purchase") == ["purchase"]
    assert causes(**{"from": "2026-11-23T12:01:00Z"}) == ["hold"]
    assert causes(to="2026-11-23T09:01:00-03:00") == ["purchase"]
    assert causes(zone="international") == []
    assert causes(message_id="m2") == []


def test_one_messages_movements_are_found() -> None:
    sell("domestic-500")
    hold(7)

    status, body = call("credits", load_event("credits_statement_of_a_message"))

    assert status == 200
    assert [(entry["message_id"], entry["balance"]) for entry in body["entries"]] == [("m1", None)]


def test_the_statement_speaks_the_language_of_the_school_or_the_one_asked_for() -> None:
    sell("domestic-500")
    english = SchoolSettings(language=Language.EN, version=1, changed_by="u-17", changed_at=NOW)
    school_settings.save_settings("liceo-1", english)

    _, own = call("credits", load_event("credits_statement"))
    _, asked = call("credits", with_query(load_event("credits_statement"), lang="es"))

    assert own["entries"][0]["explanation"] == "The bag «Bolsa básica» bought: 500 credits."
    assert asked["entries"][0]["explanation"] == "Compra de la bolsa «Bolsa básica»: 500 créditos."


def csv_of(event: dict[str, Any]) -> tuple[list[list[str]], dict[str, list[str]]]:
    answered = load_app("credits").handler(event, Context())
    assert answered["statusCode"] == 200
    assert answered["multiValueHeaders"]["Content-Type"] == ["text/csv; charset=utf-8"]
    assert answered["body"].startswith("\ufeff")
    return list(csv.reader(io.StringIO(answered["body"][1:]))), answered["multiValueHeaders"]


def test_the_statement_is_read_by_a_spreadsheet_in_spanish() -> None:
    sell("domestic-500")
    hold(7)

    rows, headers = csv_of(load_event("credits_statement_csv"))

    assert rows[0][:5] == ["Fecha (UTC)", "Fecha local", "Zona", "Movimiento", "Explicación"]
    assert rows[1] == [
        "2026-11-23T12:01:00Z",
        "2026-11-23T09:01:00-03:00",
        "nacional",
        "reserva",
        "Reserva de 7 créditos para un mensaje.",
        "m1",
        "",
        "u-17",
        "-7",
        "7",
        "0",
        "493",
        "7",
        "0",
        "hold#m1#p1",
    ]
    assert len(rows) == 3
    assert "Link" not in headers
    assert headers["Content-Disposition"] == ['attachment; filename="statement-domestic.csv"']


def test_the_spreadsheet_is_in_english_where_it_is_asked_for() -> None:
    sell("domestic-500")

    rows, _ = csv_of(with_query(load_event("credits_statement_csv"), lang="en"))

    assert (rows[0][0], rows[1][3]) == ("Date (UTC)", "purchase")


def test_a_formula_in_a_portals_user_id_stays_text() -> None:
    order = schools.read_order("domestic-500", None, None)
    caller = replace(OPERATOR, subject="=HYPERLINK(1)")
    schools.sell_bag(caller, "liceo-1", order, request_key="r", now=NOW, is_first=True)

    rows, _ = csv_of(load_event("credits_statement_csv"))

    assert rows[1][7] == "'=HYPERLINK(1)"


def test_more_rows_than_fit_are_where_the_link_leads() -> None:
    for minute in range(5):
        sell("domestic-500", at=NOW - timedelta(days=400, minutes=minute))

    seen, event, answers = [], with_query(load_event("credits_statement_csv"), zone="domestic", limit="2"), 0
    while True:
        rows, headers = csv_of(event)
        seen += [row[-1] for row in rows[1:]]
        answers += 1
        if "Link" not in headers:
            break
        (link,) = headers["Link"]
        found = re.fullmatch(r'<\?(.+)>; rel="next"', link)
        assert found is not None
        event = with_query(load_event("credits_statement_csv"), **dict(parse_qsl(found[1])))

    assert (answers, len(seen), len(set(seen))) == (3, 5, 5)


def test_ten_thousand_movements_are_one_answer_that_lambda_can_give(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [
        Entry(Zone.DOMESTIC, f"hold#{'m' * 26}#{'p' * 16}", NOW, "u-17" * 9, -1, 1, 0, {"message": "m" * 26})
    ] * 10_000
    monkeypatch.setattr(ledger, "list_entries", lambda *_, **__: (entries, ledger.time_key(entries[0])))

    answered = load_app("credits").handler(load_event("credits_statement_csv"), Context())

    assert answered["body"].count("\n") == 10_001
    assert len(json.dumps(answered).encode()) < 6_000_000


def test_what_was_spent_each_week_is_told() -> None:
    sell("domestic-500")

    status, body = call("credits", load_event("credits_use"))

    assert status == 200
    assert body["time_zone"] == "America/Santiago"
    (account,) = body["accounts"]
    assert (account["zone"], account["days_left"], len(account["weeks"])) == ("domestic", None, 4)
    assert account["weeks"][-1].keys() == {"week", "starts_on", "captured"}


@pytest.mark.parametrize("weeks", ["0", "54", "many"])
def test_weeks_out_of_range_are_refused(weeks: str) -> None:
    status, body = call("credits", with_query(load_event("credits_use"), weeks=weeks))

    assert (status, body["errors"][0]["field"]) == (422, "/query/weeks")


def test_the_catalogue_says_what_a_credit_pays_and_who_sells_abroad() -> None:  # L7, L12, L13
    _, body = call("credits", load_event("credits_bags"))

    assert {bag["zone"] for bag in body["bags"] if bag["sold_by_support"]} == {"international"}
    assert "segmento" in body["pays"]
    assert "soporte" in body["international"]
    assert "support" in call("credits", with_query(load_event("credits_bags"), lang="en"))[1]["international"]


def test_a_bag_is_asked_for_once_and_nothing_is_charged() -> None:  # L7, L13
    answers = [call("credits", load_event("credits_bag_requested")) for _ in range(2)]

    assert answers[0] == answers[1]
    status, body = answers[0]
    assert status == 201
    assert (body["bag"], body["credits"], body["charged"], body["requested_by"]) == (
        "international-100",
        100,
        0,
        "u-17",
    )
    assert [(one.zone, one.available) for one in ledger.list_accounts("liceo-1")] == [(Zone.DOMESTIC, 0)]
    assert len(events.list_events("liceo-1", after=0, limit=10)) == 1


def test_a_bag_that_there_is_not_is_refused_and_not_told() -> None:
    status, body = call("credits", load_event("credits_bag_request_unknown"))

    assert (status, body["errors"][0]["field"]) == (422, "/bag")
    assert events.list_events("liceo-1", after=0, limit=10) == []


@pytest.mark.parametrize("body", ["{}", '{"bag": null}', '{"bag": 5}', '{"bag": "domestic-500", "credits": -5}', "[]"])
def test_a_request_of_another_shape_is_refused(body: str) -> None:
    status, answered = call("credits", load_event("credits_bag_requested") | {"body": body})

    assert (status, answered["code"]) == (422, "invalid_request")
    assert events.list_events("liceo-1", after=0, limit=10) == []


def test_asking_for_a_bag_needs_an_idempotency_key() -> None:
    event = load_event("credits_bag_requested")
    del event["headers"]["Idempotency-Key"]

    assert call("credits", event)[1]["code"] == "idempotency_key_missing"
    assert events.list_events("liceo-1", after=0, limit=10) == []


@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH", "POST"])
@pytest.mark.parametrize("name", ["credits_balances", "credits_statement"])
def test_no_route_takes_a_movement_back_or_writes_one(name: str, method: str) -> None:  # L6
    sell("domestic-500")

    status, _ = call("credits", load_event(name) | {"httpMethod": method, "body": '{"credits": -500}'})

    assert status == 404
    assert ledger.list_accounts("liceo-1")[0].available == 500
