"""/credits as a director's portal sees it, and as a teacher's does not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from recado import schools
from recado.access import Caller
from recado.rules.credit_bags import CATALOGUE, Zone
from recado.rules.roles import Role
from recado.tables import ledger
from recado.tables.base import Transaction
from recado.tables.ledger import Entry
from recado.tables.schools import Contract, School
from tests.apps import call, load_event

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
        "accounts": [{"zone": "domestic", "contract": "active", "available": 493, "held": 7, "captured": 0}]
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
                "message_id": "m1",
                "bag": None,
                "at": "2026-11-23T12:01:00Z",
                "by": "u-17",
                "available": -7,
                "held": 7,
                "captured": 0,
            },
            {
                "cause": bought.cause,
                "kind": "purchase",
                "message_id": None,
                "bag": "domestic-500",
                "at": "2026-11-23T12:00:00Z",
                "by": "soporte-1",
                "available": 500,
                "held": 0,
                "captured": 0,
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


@pytest.mark.parametrize("query", [{"zone": "mars"}, {"limit": "0"}, {"limit": "101"}, {"limit": "many"}])
def test_a_query_out_of_range_is_refused_by_its_field(query: dict[str, str]) -> None:
    status, body = call("credits", with_query(load_event("credits_statement"), **query))

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


@pytest.mark.parametrize("name", ["credits_balances", "credits_statement", "credits_refund_refused"])
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
