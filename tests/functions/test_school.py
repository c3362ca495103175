"""/school and /events as a director's portal sees them, and as a teacher's does not."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from recado import clock, events, schools
from recado.access import Caller
from recado.events import NewEvent
from recado.rules.event_types import EventType
from recado.rules.roles import Role
from recado.tables import school_settings
from recado.tables import schools as table
from recado.tables.base import Transaction
from recado.tables.schools import Contract, School
from tests.apps import call, load_event

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
OPERATOR = Caller("platform", Role.OPERATOR, "soporte-1")
LICEO = School("liceo-1", "Liceo Uno", "CL", "America/Santiago", "44101", Contract.ACTIVE, 1, NOW)
ROUTES = ["school_seen", "school_settings_changed", "school_events"]


@pytest.fixture(autouse=True)
def school(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    schools.create_school(OPERATOR, LICEO, is_first=True)


def changed(**fields: Any) -> dict[str, Any]:
    """The event of a change, with other fields in its body (None for a field leaves it out, where it says so)."""
    event = load_event("school_settings_changed")
    return event | {"body": json.dumps(json.loads(event["body"]) | fields)}


def with_query(event: dict[str, Any], **query: str) -> dict[str, Any]:
    multi = {name: [value] for name, value in query.items()}
    return event | {"queryStringParameters": query, "multiValueQueryStringParameters": multi}


def test_a_school_sees_what_it_is_and_its_settings() -> None:
    status, body = call("school", load_event("school_seen"))

    assert status == 200
    assert body == {
        "id": "liceo-1",
        "name": "Liceo Uno",
        "country": "CL",
        "time_zone": "America/Santiago",
        "code": "44101",
        "contract": "active",
        "contract_since": "2026-11-23T12:00:00Z",
        "is_sandbox": False,
        "settings": {
            "quiet_hours": None,
            "low_balance": {"domestic": None, "international": None},
            "language": "es",
            "version": 0,
            "changed_by": None,
            "changed_at": None,
        },
    }


def test_a_suspended_school_sees_since_when_L5() -> None:
    schools.set_contract(OPERATOR, "liceo-1", Contract.SUSPENDED, NOW.replace(hour=15))

    _, body = call("school", load_event("school_seen"))

    assert (body["contract"], body["contract_since"]) == ("suspended", "2026-11-23T15:00:00Z")


def test_settings_are_changed_and_read_back() -> None:
    status, body = call("school", load_event("school_settings_changed"))

    assert status == 200
    assert body == {
        "quiet_hours": {"from": "21:30", "until": "07:00"},
        "low_balance": {"domestic": 100, "international": None},
        "language": "es",
        "version": 1,
        "changed_by": "u-17",
        "changed_at": "2026-11-23T12:00:00Z",
    }
    assert call("school", load_event("school_seen"))[1]["settings"] == body


def test_asking_the_same_again_changes_nothing_more() -> None:
    first = call("school", load_event("school_settings_changed"))

    assert call("school", load_event("school_settings_changed")) == first


def test_whoever_saw_an_older_version_is_refused() -> None:
    call("school", load_event("school_settings_changed"))

    status, body = call("school", changed(language="en"))

    assert (status, body["code"], body["version"]) == (409, "changed_meanwhile", 1)
    assert call("school", changed(language="en", version=1))[0] == 200


def test_every_wrong_field_is_refused_by_its_name_and_nothing_is_written() -> None:
    status, body = call("school", load_event("school_settings_with_wrong_fields"))

    assert (status, body["code"]) == (422, "invalid_request")
    assert [error["field"] for error in body["errors"]] == ["/language"]
    assert school_settings.find_settings("liceo-1").version == 0


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"quiet_hours": {"from": "25:00", "until": "07:00"}}, "/quiet_hours/from"),
        ({"quiet_hours": {"from": "21:30", "until": "7"}}, "/quiet_hours/until"),
        ({"quiet_hours": {"from": "21:30:00", "until": "07:00"}}, "/quiet_hours/from"),
        ({"quiet_hours": {"from": "21:30"}}, "/quiet_hours/until"),
        ({"quiet_hours": {"from": "07:00", "until": "07:00"}}, "/quiet_hours/until"),
        ({"quiet_hours": {"from": "21:30", "until": "07:00", "days": "all"}}, "/quiet_hours/days"),
        ({"quiet_hours": "21:30-07:00"}, "/quiet_hours"),
        ({"quiet_hours": {"from": 21, "until": "07:00"}}, "/quiet_hours/from"),
        ({"low_balance": {"domestic": 0, "international": None}}, "/low_balance/domestic"),
        ({"low_balance": {"domestic": None, "international": -5}}, "/low_balance/international"),
        ({"low_balance": {"domestic": 10**9, "international": None}}, "/low_balance/domestic"),
        ({"low_balance": {"domestic": "100", "international": None}}, "/low_balance/domestic"),
        ({"low_balance": {"domestic": 1.5, "international": None}}, "/low_balance/domestic"),
        ({"low_balance": {"domestic": True, "international": None}}, "/low_balance/domestic"),
        ({"low_balance": {"domestic": 5}}, "/low_balance/international"),
        ({"low_balance": None}, "/low_balance"),
        ({"low_balance": {"domestic": 5, "international": 5, "mars": 5}}, "/low_balance/mars"),
        ({"language": "fr"}, "/language"),
        ({"language": None}, "/language"),
        ({"version": -1}, "/version"),
        ({"version": "1"}, "/version"),
        ({"version": None}, "/version"),
        ({"contract": "active"}, "/contract"),
        ({"name": "Otro Liceo"}, "/name"),
    ],
)
def test_each_field_says_what_it_refuses_and_nothing_is_written(fields: dict[str, Any], where: str) -> None:
    status, body = call("school", changed(**fields))

    assert (status, body["code"]) == (422, "invalid_request")
    assert [error["field"] for error in body["errors"]] == [where]
    assert school_settings.find_settings("liceo-1").version == 0


@pytest.mark.parametrize("name", ["quiet_hours", "low_balance", "language", "version"])
def test_a_field_that_is_left_out_is_not_taken_for_none(name: str) -> None:
    event = load_event("school_settings_changed")
    body = json.loads(event["body"])
    del body[name]

    status, answered = call("school", event | {"body": json.dumps(body)})

    assert (status, [error["field"] for error in answered["errors"]]) == (422, [f"/{name}"])


def test_events_are_read_in_order_from_where_the_portal_was() -> None:
    for number in range(3):
        events.raise_event("liceo-1", NewEvent(EventType.MESSAGE_SENT, f"m{number}", NOW, {"message": f"m{number}"}))
    events.raise_event("liceo-2", NewEvent(EventType.MESSAGE_SENT, "m9", NOW, {"message": "m9"}))

    _, first = call("school", with_query(load_event("school_events"), limit="2"))
    _, second = call("school", with_query(load_event("school_events"), after=str(first["next"])))

    assert [event["number"] for event in first["events"] + second["events"]] == [1, 2, 3]
    assert first["events"][0] == {
        "number": 1,
        "type": "message.sent",
        "at": "2026-11-23T12:00:00Z",
        "data": {"message": "m0"},
    }
    assert (first["more"], second["more"], second["next"]) == (True, False, 3)


def test_a_change_of_the_threshold_is_told_at_once_L5() -> None:
    order = schools.read_order("domestic-500", None, None)
    schools.sell_bag(OPERATOR, "liceo-1", order, request_key="r", now=NOW, is_first=True)

    call("school", changed(low_balance={"domestic": 600, "international": None}))

    _, body = call("school", load_event("school_events"))
    assert [event["type"] for event in body["events"]] == ["bag.purchased", "balance.low"]
    _, low = call("school", with_query(load_event("school_events"), type="balance.low"))
    assert [event["data"] for event in low["events"]] == [{"zone": "domestic", "available": 500, "threshold": 600}]


@pytest.mark.parametrize(
    "query", [{"after": "-1"}, {"after": "x"}, {"limit": "0"}, {"limit": "101"}, {"type": "gossip"}]
)
def test_a_query_out_of_range_is_refused_by_its_field(query: dict[str, str]) -> None:
    status, body = call("school", with_query(load_event("school_events"), **query))

    assert (status, body["code"]) == (422, "invalid_request")
    assert body["errors"][0]["field"] == f"/query/{next(iter(query))}"


@pytest.mark.parametrize("name", ROUTES)
@pytest.mark.parametrize("role", ["teacher", "staff", "guardian", "student", "operator"])
def test_only_directors_and_administrators_get_in_and_nothing_is_written_L2(name: str, role: str) -> None:
    event = load_event(name)
    event["requestContext"]["authorizer"]["role"] = role

    status, body = call("school", event)

    assert (status, body["code"]) == (403, "not_allowed")
    assert school_settings.find_settings("liceo-1").version == 0


def test_a_teacher_is_refused() -> None:
    assert call("school", load_event("school_refused_to_a_teacher"))[0] == 403


def test_another_school_sees_and_changes_its_own_only() -> None:  # invariant 7
    schools.create_school(
        OPERATOR, School("liceo-2", "Dos", "DO", "America/Santo_Domingo", "", Contract.ACTIVE, 1, NOW), is_first=True
    )
    event = load_event("school_settings_changed")
    event["requestContext"]["authorizer"]["school"] = "liceo-2"

    call("school", event)

    assert school_settings.find_settings("liceo-1").version == 0
    assert school_settings.find_settings("liceo-2").version == 1


def test_a_sandbox_says_so() -> None:
    with Transaction() as write:
        table.create_school(write, replace(LICEO, id="liceo-1~test"), AssertionError("there"))
    event = load_event("school_seen")
    event["requestContext"]["authorizer"]["school"] = "liceo-1~test"

    assert call("school", event)[1]["is_sandbox"] is True
