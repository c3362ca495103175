"""/operator/routes and /operator/carriers as the platform's staff use them, and that no one else gets in."""

from datetime import timedelta
from typing import Any

import pytest

from recado import circuits, clock
from recado.rules.circuits import Evidence
from recado.tables import circuits as table
from tests.apps import call, load_event
from tests.conftest import all_tables
from tests.worlds import NOON, TestClock

ALL = [
    "carriers_routes",
    "carriers_route_set",
    "carriers_route_deleted",
    "carriers_seen",
    "carriers_circuit_held",
    "carriers_circuit_let_go",
]
WAYS = [{"carrier": "signed_webhook", "sender": ""}, {"carrier": "sns", "sender": "20611"}]


@pytest.fixture(autouse=True)
def moment(aws: None, monkeypatch: pytest.MonkeyPatch) -> TestClock:
    found = TestClock()
    monkeypatch.setattr(clock, "now", found)
    return found


def under_another_key(name: str) -> dict[str, Any]:
    event = load_event(name)
    event["headers"]["Idempotency-Key"] = f"another-key-for-{name}-once-more"
    event["multiValueHeaders"]["Idempotency-Key"] = [f"another-key-for-{name}-once-more"]
    return event


def seen(carrier: str = "signed_webhook") -> dict[str, Any]:
    status, found = call("carriers", load_event("carriers_seen"))
    assert status == 200
    [one] = [one for one in found["carriers"] if one["carrier"] == carrier]
    return dict(one)


def line_of(found: dict[str, Any], country: str = "CL") -> dict[str, Any]:
    [line] = [one for one in found["lines"] if one["country"] == country]
    return dict(line)


def test_a_route_is_set_listed_and_deleted_and_its_changes_stay(moment: TestClock) -> None:
    status, made = call("carriers", load_event("carriers_route_set"))
    moment.move(minutes=1)
    again = call("carriers", under_another_key("carriers_route_set"))
    listed = call("carriers", load_event("carriers_routes"))
    moment.move(minutes=1)
    deleted = call("carriers", load_event("carriers_route_deleted"))
    deleted_again = call("carriers", under_another_key("carriers_route_deleted"))
    _, after = call("carriers", load_event("carriers_routes"))

    assert (status, made["ways"], made["changed_by"]) == (200, WAYS, "u-17")
    assert again == (200, made)
    assert listed == (200, {"routes": [made], "changes": [made]})
    assert deleted[0] == deleted_again[0] == 204
    assert after["routes"] == []
    assert [(one["ways"], one["changed_at"]) for one in after["changes"]] == [
        ([], "2026-11-23T12:02:00Z"),
        (WAYS, "2026-11-23T12:00:00Z"),
    ]


def test_a_route_names_registered_carriers_once_each_and_senders_that_are_some() -> None:
    status, problem = call("carriers", load_event("carriers_route_with_wrong_fields"))

    assert status == 422
    assert {(one["field"], one["code"]) for one in problem["errors"]} == {
        ("/ways/0/carrier", "unknown"),
        ("/ways/1/sender", "malformed"),
        ("/ways", "twice"),
    }


def test_an_unknown_country_has_no_route() -> None:
    event = load_event("carriers_route_set")
    event["path"] = "/operator/routes/XQ/any"
    event["pathParameters"] = {"country": "XQ", "category": "any"}

    assert call("carriers", event)[0] == 404


def test_a_line_is_held_by_hand_and_let_go_to_be_tried_at_once(moment: TestClock) -> None:
    status, held = call("carriers", load_event("carriers_circuit_held"))
    again = call("carriers", under_another_key("carriers_circuit_held"))
    moment.move(minutes=3)
    _, let_go = call("carriers", load_event("carriers_circuit_let_go"))

    assert (status, held["state"], held["held"], held["by"]) == (200, "open", True, "u-17")
    assert held["why"] == "mantenimiento del operador"
    assert again == (200, held)
    assert (let_go["state"], let_go["held"], let_go["next_probe_at"]) == ("open", False, "2026-11-23T12:03:00Z")
    assert [(one["before"], one["circuit"]["held"]) for one in seen()["transitions"]] == [
        ("open", False),
        ("closed", True),
    ]


def test_a_carrier_that_is_not_registered_has_no_circuit() -> None:
    event = load_event("carriers_circuit_held")
    event["path"] = "/operator/carriers/paloma/circuit"
    event["pathParameters"] = {"carrier": "paloma"}

    assert call("carriers", event)[0] == 404


def test_a_carrier_is_seen_with_its_evidence_and_what_the_rule_decided_on(moment: TestClock) -> None:
    tally = circuits.Tally(is_watched=True)
    tally.add("signed_webhook", "CL", 0, Evidence(accepted=3, unknown=17, waves=1), moment())
    tally.write(moment())
    call("carriers", load_event("carriers_route_set"))

    found = seen()
    line = line_of(found)

    assert found["named_by"] == ["setting", "route"]
    assert found["routes"] == [{"country": "CL", "category": "any", "place": 1}]
    assert (line["state"], line["by"], line["since"]) == ("open", "rule", "2026-11-23T12:00:00Z")
    assert line["next_probe_at"] == "2026-11-23T12:00:30Z"
    assert (line["decided_on"]["unknown"], line["decided_on"]["accepted"]) == (17, 3)
    assert [(one["at"], one["answers"]["unknown"]) for one in line["minutes"]] == [("2026-11-23T12:00:00Z", 17)]
    assert seen("sns")["named_by"] == ["route"]
    assert line_of(found, "DO")["state"] == "closed"


def test_nobody_but_the_operators_staff_gets_in() -> None:
    before = all_tables()

    assert call("carriers", load_event("carriers_refused_to_a_director"))[0] == 403
    for name in ALL:
        event = load_event(name)
        event["requestContext"]["authorizer"] |= {"role": "director", "school": "los-aromos"}
        assert call("carriers", event)[0] == 403, name

    assert all_tables() == before


def test_transitions_are_kept_for_a_while_and_evidence_for_a_week(moment: TestClock) -> None:
    tally = circuits.Tally(is_watched=True)
    tally.add("signed_webhook", "CL", 0, Evidence(unknown=20, waves=1), moment())
    tally.write(moment())

    rows = {row["sk"]["S"][:1]: row for row in all_tables()["RoutesTable"]}

    assert int(rows["m"]["expires_at"]["N"]) == int((NOON + timedelta(days=7)).timestamp())
    assert int(rows["t"]["expires_at"]["N"]) == int((NOON + timedelta(days=90)).timestamp())
    assert "expires_at" not in rows["c"]
    assert table.find_circuit("signed_webhook", "CL").version == 1
