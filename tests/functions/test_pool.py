"""/operator/short-codes and /operator/fleets as the platform's staff use them, and that no one else gets in."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from recado import clock, fleets, web
from recado.rules.fleet_rows import FleetEntry
from recado.tables import fleets as fleet_table
from tests.apps import Context, call, load_app, load_event
from tests.conftest import all_tables

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
NUMBER = {"number": "+18095550101", "from": None, "to": None}
RANGE = {"number": None, "from": "+18095550000", "to": "+18095559999"}
ALL = [
    "pool_code_added",
    "pool_codes",
    "pool_capacity",
    "pool_code_draining",
    "pool_code_paced",
    "pool_code_removed",
    "pool_fleet",
    "pool_fleet_number_added",
    "pool_fleet_imported",
    "pool_fleet_exported",
    "pool_fleet_looked_up",
    "pool_fleet_number_removed",
]


@pytest.fixture(autouse=True)
def at_noon(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    move_clock(monkeypatch)


def move_clock(monkeypatch: pytest.MonkeyPatch, **step: float) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW + timedelta(**step))


def with_query(name: str, **query: str) -> dict[str, Any]:
    return load_event(name) | {
        "queryStringParameters": query,
        "multiValueQueryStringParameters": {key: [value] for key, value in query.items()},
    }


def listed() -> list[FleetEntry]:
    return fleet_table.list_entries("DO", limit=1000)[0]


# --- short codes ---


def test_a_short_code_is_added_listed_drained_and_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    status, added = call("pool", load_event("pool_code_added"))
    found = call("pool", load_event("pool_codes"))
    drained = call("pool", load_event("pool_code_draining"))
    drained_at, removable_at = "2026-11-23T12:00:00Z", "2026-11-23T21:01:00Z"

    assert status == 201
    assert (added["carrier"], added["purpose"], added["state"]) == ("signed_webhook", "sessions", "free")
    assert found == (200, {"codes": [added]})
    assert drained == (200, added | {"state": "draining", "drained_at": drained_at, "removable_at": removable_at})

    response = load_app("pool").handler(load_event("pool_code_removed"), Context())
    problem = json.loads(response["body"])
    assert (response["statusCode"], problem["code"]) == (409, "wrong_state")
    assert datetime.fromisoformat(problem["removable_at"]) == datetime.fromisoformat(removable_at)
    assert response["multiValueHeaders"]["Retry-After"] == [str(9 * 3600 + 60)]

    move_clock(monkeypatch, hours=9, minutes=1)
    assert call("pool", load_event("pool_code_removed")) == (204, "")
    _, after = call("pool", load_event("pool_codes"))
    gone = {"state": "removed", "drained_at": drained_at, "removed_at": removable_at}
    assert after == {"codes": [added | gone]}
    assert call("pool", load_event("pool_code_draining"))[0] == 409


def test_the_pace_of_a_schools_code_is_set_and_taken_back() -> None:
    paced = load_event("pool_code_paced")
    assert call("pool", paced)[0] == 404
    code = {"country": "CL", "code": "20611", "purpose": "schools"}
    call("pool", load_event("pool_code_added") | {"body": json.dumps(code)})

    status, found = call("pool", paced)
    _, after = call("pool", paced | {"body": '{"parts_per_second": null}'})

    assert (status, found["parts_per_second"]) == (200, 10)
    assert after == found | {"parts_per_second": None}
    assert call("pool", paced | {"body": '{"parts_per_second": 0.01}'})[0] == 422
    assert call("pool", paced | {"body": "{}"})[0] == 422


def test_a_code_of_sessions_has_no_pace() -> None:
    event = load_event("pool_code_added")
    with_pace = json.dumps(json.loads(event["body"]) | {"parts_per_second": 5})

    status, problem = call("pool", event | {"body": with_pace})

    assert (status, problem["errors"][0]["field"]) == (422, "/parts_per_second")


def test_the_list_of_codes_is_narrowed() -> None:
    call("pool", load_event("pool_code_added"))

    assert call("pool", with_query("pool_codes", carrier="sns"))[1] == {"codes": []}
    assert len(call("pool", with_query("pool_codes", purpose="sessions", state="free"))[1]["codes"]) == 1
    assert call("pool", with_query("pool_codes", state="gone"))[0] == 422


def test_a_code_that_is_added_needs_an_idempotency_key_and_is_added_once() -> None:
    event = load_event("pool_code_added")
    without = event | {"headers": {key: value for key, value in event["headers"].items() if "Idempotency" not in key}}

    assert call("pool", without)[1]["code"] == "idempotency_key_missing"
    assert call("pool", event) == call("pool", event)


def test_the_capacity_is_told_with_the_codes_that_a_wish_needs() -> None:
    call("pool", load_event("pool_code_added"))

    status, found = call("pool", load_event("pool_capacity"))
    _, long_ones = call("pool", with_query("pool_capacity", country="DO", session_seconds="28800"))

    assert status == 200
    assert found == {
        "country": "DO",
        "carrier": "signed_webhook",
        "carriers": ["signed_webhook"],
        "codes_free": 1,
        "codes_draining": 0,
        "quarantine_seconds": 3600,
        "session_seconds": 300,
        "sessions_per_hour": 0,  # one code serves a handset once
        "sessions_per_day": 0,
        "wanted": {"sessions_per_hour": 12, "sessions_per_day": None, "codes_needed": 13, "codes_missing": 12},
    }
    assert (long_ones["session_seconds"], long_ones["wanted"]) == (28800, None)


# --- fleet lists ---


def test_a_number_and_a_range_are_listed_looked_up_and_removed_C3() -> None:
    assert call("pool", load_event("pool_fleet_number_added")) == (200, NUMBER)
    assert call("pool", load_event("pool_fleet_range_added")) == (200, RANGE)
    assert call("pool", load_event("pool_fleet_range_added")) == (200, RANGE)

    assert call("pool", load_event("pool_fleet")) == (200, {"entries": [RANGE, NUMBER], "next": None})
    looked_up = load_event("pool_fleet_looked_up")
    found = {"number": "+18095550101", "is_barred": True, "entries": [NUMBER, RANGE]}
    assert call("pool", looked_up) == (200, found)
    # Without its plus, for those who cannot put one into a path.
    bare = looked_up | {"path": looked_up["path"].replace("+", ""), "pathParameters": {"country": "DO", "number": "1"}}
    assert call("pool", bare) == (200, found)

    assert call("pool", load_event("pool_fleet_range_removed")) == (204, "")
    assert call("pool", load_event("pool_fleet_number_removed")) == (204, "")
    assert call("pool", looked_up) == (200, {"number": "+18095550101", "is_barred": False, "entries": []})
    assert listed() == []


def test_a_range_the_wrong_way_round_is_refused_by_its_field() -> None:
    status, problem = call("pool", load_event("pool_fleet_with_wrong_fields"))

    assert (status, problem["code"]) == (422, "invalid_request")
    assert [(one["field"], one["code"]) for one in problem["errors"]] == [("/to", "before_from")]


def test_a_file_is_taken_its_bad_rows_are_named_and_again_it_changes_nothing_C3() -> None:
    first = call("pool", load_event("pool_fleet_imported"))
    again = call("pool", load_event("pool_fleet_imported"))

    bad = {"bad": 1, "bad_rows": [{"line": 4, "column": "number", "reason": "not_a_number"}]}
    assert first == (200, {"added": 2, "there_already": 0} | bad)
    assert again == (200, {"added": 0, "there_already": 2} | bad)
    assert listed() == [FleetEntry("+18095550000", "+18095559999"), FleetEntry("+18095550101")]


def test_a_file_in_base64_is_the_same_file() -> None:
    event = load_event("pool_fleet_imported")
    event |= {"body": base64.b64encode(event["body"].encode()).decode(), "isBase64Encoded": True}

    assert call("pool", event)[1]["added"] == 2
    assert call("pool", event | {"body": "¿?"})[0] == 422


def test_what_is_exported_can_be_imported_again_and_is_no_formula_to_a_spreadsheet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    call("pool", load_event("pool_fleet_imported"))
    before = listed()

    status, text = call("pool", load_event("pool_fleet_exported"))

    assert status == 200
    assert text == "\ufeffnumber,from,to\r\n,'+18095550000,'+18095559999\r\n'+18095550101,,\r\n"
    for entry in before:
        assert fleet_table.delete_entry("DO", entry)
    assert call("pool", load_event("pool_fleet_imported") | {"body": text})[1]["added"] == 2
    assert listed() == before

    monkeypatch.setattr(load_app("pool"), "CSV_ROWS_MAX", 1)
    response = load_app("pool").handler(load_event("pool_fleet_exported"), Context())
    assert response["body"].count("\n") == 2
    (link,) = response["multiValueHeaders"]["Link"]
    cursor = link.removeprefix("<?cursor=").removesuffix('>; rel="next"')
    assert "'+18095550101" in call("pool", with_query("pool_fleet_exported", cursor=cursor))[1]


@pytest.mark.parametrize("media_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", ""])
def test_a_file_that_does_not_say_that_it_is_csv_is_refused(media_type: str) -> None:
    event = load_event("pool_fleet_imported")
    event["headers"] |= {"Content-Type": media_type}

    assert call("pool", event)[1]["code"] == "unsupported_media_type"
    assert listed() == []


@pytest.mark.parametrize("name", ["pool_fleet_number_added", "pool_code_added"])
def test_csv_where_json_is_taken_is_refused(name: str) -> None:
    event = load_event(name)
    event["headers"] |= {"Content-Type": "text/csv"}

    assert call("pool", event)[1]["code"] == "unsupported_media_type"


def test_a_file_may_be_larger_than_any_other_body_but_not_any_size() -> None:
    event = load_event("pool_fleet_imported")
    row = "8095550101,,\r\n"
    largest = "number,from,to\r\n" + row * (web.CSV_BYTES_MAX // len(row) - 3)

    taken = call("pool", event | {"body": "number,from,to\r\n" + row * 19_000})
    too_many = call("pool", event | {"body": largest})
    too_large = call("pool", event | {"body": largest + row * 10})
    json_as_large = call("pool", load_event("pool_fleet_number_added") | {"body": " " * (web.BODY_BYTES_MAX + 1)})

    assert len(row) * 19_000 > web.BODY_BYTES_MAX
    assert taken == (200, {"added": 1, "there_already": 18_999, "bad": 0, "bad_rows": []})
    assert (too_many[0], too_many[1]["detail"]) == (
        413,
        f"A file may have {fleets.IMPORT_ROWS_MAX:,} rows; send it in parts",
    )
    assert (too_large[0], too_large[1]["detail"]) == (413, f"The body may have {web.CSV_BYTES_MAX} bytes")
    assert json_as_large[0] == 413


@pytest.mark.parametrize("role", ["director", "administrator", "teacher", "guardian"])
@pytest.mark.parametrize("name", ALL)
def test_nobody_of_a_school_gets_in_and_nothing_is_written(name: str, role: str) -> None:
    event = load_event(name)
    event["requestContext"]["authorizer"] |= {"role": role, "school": "liceo-1"}

    status, body = call("pool", event)

    assert (status, body["code"]) == (403, "not_allowed")
    assert [rows for rows in all_tables().values() if rows] == []


def test_a_director_is_refused() -> None:
    assert call("pool", load_event("pool_refused_to_a_director"))[0] == 403
    assert listed() == []
