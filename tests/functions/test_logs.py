"""What the log must never say, and what every answer says: the main flows, through authorizer and functions.

Each text, number, name and token of the flows is looked for in whatever was logged or printed.
"""

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from recado import clock, lines
from recado.carriers import portal_calls
from recado.carriers.portal_calls import Heard
from recado.rules import signatures
from tests import rosters
from tests.apps import Context, load_app, load_event
from tests.conftest import MASTER_SECRET, jobs_on
from tests.gateway import ask, routes
from tests.route_table import NOBODY, ONLY_SIGNED, PERSON, TABLE, World, build_world, token_of
from tests.tokens import MASTER
from tests.worlds import SCHOOL, FakeCarrier, TestClock, mobile

type Logged = Callable[[], str]

# What the flows below say of people, by what it is: none of it may be in a log line, in whole or by its telling part.
ROSTER = {
    "a guardian's name in a roster": "Catrileo",
    "the same, as JSON escapes it": "Ib\\u00e1",
    "a student's name in a roster": "Lautaro",
    "a number in a roster": "955550101",
    "a group's name in a roster": "Kínder",
}
EDITS = {
    "a name by hand": "Huenchumán",
    "a name by hand, as JSON escapes it": "Huenchum\\u00e1n",
    "a number by hand": "55550188",
    "a number of one's own": "55550199",
    "what nobody can dial": "777-no-tengo",
    "why a switch was moved": "cambió de colegio",
    "a custom group's name": "Coro de primavera",
}
MESSAGES = {
    "a message's text": "zapatillas",
    "a text that was refused": "pantuflas",
    "a recipient's number": mobile(0).removeprefix("+569"),
    "a family's reply": "Gracias",
    "an opt-out word": "STOP",
    "a signature of a carrier": "WO/P2bCXnfmR0aARqxI5H9Z5mEpmUli7WjiKvlk2RS8",
}
FLEET = {
    "a number of the fleet list": "5550188",
    "a number of its file": "5550199",
    "a bad row of its file": "777-no-tengo",
    "the end of a range": "5559977",
}
WRONG = {"a field's name that is none": "secreto_1", "a value that is refused": "secreto_2", "a query": "secreto_3"}


class LongContext(Context):
    def get_remaining_time_in_millis(self) -> int:
        return 600_000


@pytest.fixture
def moment(aws: None, monkeypatch: pytest.MonkeyPatch) -> TestClock:
    found = TestClock()
    monkeypatch.setattr(clock, "now", found)
    return found


@pytest.fixture
def world(moment: TestClock, monkeypatch: pytest.MonkeyPatch) -> World:
    rosters.one_after_the_other(monkeypatch)
    return build_world(moment)


@pytest.fixture
def logged(world: World, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> Logged:
    """Everything that was logged or printed since, records in full."""
    caplog.clear()
    caplog.set_level(logging.INFO)
    capsys.readouterr()

    def read() -> str:
        printed = capsys.readouterr()
        return caplog.text + printed.out + printed.err + "".join(repr(vars(record)) for record in caplog.records)

    return read


def found_in(text: str, secrets: dict[str, str]) -> list[str]:
    return [what for what, secret in secrets.items() if secret.casefold() in text.casefold()]


def do(world: World, moment: TestClock, route: str, who: str = "director", **changes: Any) -> Any:
    """One request that must be taken, a second after the one before; the answer's body."""
    moment.move(seconds=1)
    answer = ask(world.request(route, **changes), token_of(who, moment))
    assert 200 <= answer.status < 300, (route, answer.body)
    return answer.body


def run_jobs(function: str, queue: str) -> None:
    """Works a queue until it is empty: a worker hands on what it has no time for."""
    while bodies := jobs_on(queue):
        records = [
            {"messageId": f"j-{number}", "body": body, "attributes": {"ApproximateReceiveCount": "1"}}
            for number, body in enumerate(bodies)
        ]
        event = {"Records": [record | {"eventSource": "aws:sqs"} for record in records]}
        assert not load_app(function).handler(event, LongContext()).get("batchItemFailures")


def test_a_roster_says_nothing_of_its_people_to_the_log(world: World, moment: TestClock, logged: Logged) -> None:
    begun = do(world, moment, "POST /imports")["id"]
    rosters.put(f"imports/{SCHOOL}/{begun}/roster.zip", rosters.zipped())
    do(world, moment, "POST /imports/{import_id}/check", parameters={"import_id": begun})
    run_jobs("roster_import", "RosterQueue")
    for part in ("changes", "bad-rows", "bad-rows.csv"):
        do(world, moment, f"GET /imports/{{import_id}}/{part}", parameters={"import_id": begun}, query={})
    do(world, moment, "POST /imports/{import_id}/apply", parameters={"import_id": begun}, body={"confirm_gone": True})
    run_jobs("roster_import", "RosterQueue")

    written = logged()
    assert do(world, moment, "GET /imports/{import_id}", parameters={"import_id": begun})["state"] == "done"
    assert "roster_import" in written
    assert found_in(written, ROSTER) == []


def test_edits_of_records_say_nothing_of_anybody_to_the_log(world: World, moment: TestClock, logged: Logged) -> None:
    ana = {"role": "guardian", "given_name": "Ana", "family_name": "Huenchumán", "number": "+56955550188"}
    made = do(world, moment, "POST /people", body=ana)["id"]
    do(world, moment, "PATCH /people/{person_id}", parameters={"person_id": made}, body={"number": "777-no-tengo"})
    do(world, moment, "PUT /people/{person_id}/sms", body={"allowed": False, "reason": "cambió de colegio"})
    do(world, moment, "PUT /me/number", "guardian", body={"number": "+56955550199"})
    do(world, moment, "PUT /me/sms", "guardian", body={"allowed": False, "reason": "cambió de colegio"})
    do(world, moment, "POST /groups", body={"name": "Coro de primavera", "people": [PERSON, made]})
    for query in ({"q": "Huenchumán"}, {"q": "55550199"}):
        do(world, moment, "GET /people", query=query)
    do(world, moment, "DELETE /people/{person_id}", parameters={"person_id": made}, query={"erase": "true"})

    written = logged()
    assert written.count("request_answered") > 8
    assert found_in(written, EDITS) == []


def test_a_webhook_says_neither_its_address_nor_its_secret_nor_what_it_brings_to_the_log(
    world: World, moment: TestClock, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Heard:
        raise OSError("no way to portal.huerfanos.cl")

    monkeypatch.setattr(portal_calls, "_ask", fail)
    body = {"url": "https://portal.huerfanos.cl/recado?token=pantano", "events": None}
    changed = do(world, moment, "PUT /portal-webhook", body=body)
    secret = do(world, moment, "POST /portal-webhook/secret")["secret"]
    do(world, moment, "POST /portal-webhook/test")
    do(world, moment, "POST /portal-webhook/replay", body={"from": 1})
    run_jobs("portal_events", "PortalEventsQueue")
    log = do(world, moment, "GET /portal-webhook/deliveries", query={})["deliveries"]

    written = logged()
    assert changed["url"] == body["url"]
    assert {one["last_attempt"]["reason"] for one in log if one["last_attempt"]} == {"hung_up"}
    assert "portal_told" in written
    hidden = {"its address": "huerfanos", "its query": "pantano", "its secret": secret.removeprefix("whsec_")}
    assert found_in(written, hidden | {"a signature": "v1,"}) == []


def test_a_message_and_what_comes_back_say_nothing_to_the_log(
    world: World, moment: TestClock, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    carrier = FakeCarrier()
    monkeypatch.setattr(lines, "_carriers_line", lambda _name: carrier.line())
    body = {name: value for name, value in TABLE["POST /messages"].body.items() if name != "send"}
    do(world, moment, "POST /messages/estimate", body=body | {"text": "Traer zapatillas."})
    do(world, moment, "POST /messages", body=body | {"text": "Traer zapatillas.", "send": "now"})
    refused = body | {"text": "Traer pantuflas.\x00", "send": "now"}
    assert ask(world.request("POST /messages", body=refused), token_of("director", moment)).status == 422
    for job in ("BulkQueue", "UrgentQueue"):
        run_jobs("dispatch", job)
    for event in ("inbound_reply", "inbound_reply_stop", "inbound_reply_wrong_signature", "inbound_receipts"):
        load_app("inbound").handler(load_event(event), Context())
    load_app("receipts").handler(load_event("receipts_batch"), Context())

    written = logged()
    assert any("zapatillas" in text.text for text in carrier.heard)
    assert do(world, moment, "GET /replies", query={})["replies"] != []
    assert "page_closed" in written
    assert found_in(written, MESSAGES) == []


def test_the_fleet_list_says_nothing_of_its_numbers_to_the_log(world: World, moment: TestClock, logged: Logged) -> None:
    token, dominican = token_of("operator", moment), {"country": "DO"}
    of_number = dominican | {"number": "+18095550188"}
    asked: list[tuple[str, dict[str, str], dict[str, Any]]] = [
        ("POST /operator/fleets/{country}", dominican, {"body": {"number": "809 555 0188"}}),
        ("POST /operator/fleets/{country}", dominican, {"body": {"from": "8095559000", "to": "8095559977"}}),
        ("POST /operator/fleets/{country}", dominican, {"body": {"from": "8095559977", "to": "8095559000"}}),
        ("POST /operator/fleets/{country}/list.csv", dominican, {"body": "number\n8095550199\n777-no-tengo\n"}),
        ("GET /operator/fleets/{country}", dominican, {}),
        ("GET /operator/fleets/{country}/list.csv", dominican, {}),
        ("GET /operator/fleets/{country}/{number}", of_number, {}),
        ("DELETE /operator/fleets/{country}/{number}", of_number, {}),
        ("DELETE /operator/fleets/{country}/{number}", of_number, {"query": {"to": "777-no-tengo"}}),
    ]
    statuses = [ask(world.request(route, parameters=ids, **more), token).status for route, ids, more in asked]

    written = logged()
    assert statuses == [200, 200, 422, 200, 200, 200, 200, 204, 422]
    assert "fleet_list_imported" in written
    assert found_in(written, FLEET) == []


def test_no_token_that_holds_or_does_not_is_in_the_log(world: World, moment: TestClock, logged: Logged) -> None:
    good = str(token_of("director", moment))
    header, claims, signature = good.split(".")
    session = signatures.session_token(MASTER, "s" + "b" * 25, 1)
    secret = signatures.portal_key_secret(MASTER, SCHOOL, "k1")
    wrong = [f"{header}.{claims}.{signature[::-1]}", f"{header}.{claims}.", "x" * 40, session, secret]

    assert ask(world.request("GET /messages"), good).status == 200
    for token in wrong:
        assert ask(world.request("GET /messages"), token).status in (401, 403)
    made = ask(world.request("POST /operator/schools/{school_id}/keys"), token_of("operator", moment)).body["secret"]

    written = logged()
    parts = [header, claims, signature, made, MASTER_SECRET, *wrong]
    assert "authorizer" in written or "refused" in written
    assert [part for part in parts if part and part in written] == []


def test_a_refusal_repeats_nothing_in_its_answer_or_the_log(world: World, moment: TestClock, logged: Logged) -> None:
    said = ""
    for route, row in TABLE.items():
        if row.roles == ONLY_SIGNED or "session" in row.roles:
            continue
        token = token_of(min(row.roles), moment)
        wrong: dict[str, Any] = {"query": {"secreto_3" if row.query else "limit": "secreto_3"}}
        if row.body is not None:
            wrong = {"body": {name: ["secreto_2", {"secreto_1": "secreto_2"}] for name in row.body}}
        answer = ask(world.request(route, **wrong), token)
        assert answer.status < 500, route
        said += json.dumps(answer.body) if answer.status == 422 else ""

    written = logged()
    assert "request_answered" in written
    assert found_in(written, WRONG) == []
    assert "secreto_2" not in said


# --- what every answer carries -----------------------------------------------------------------------------


@pytest.mark.parametrize("folder", sorted({route.folder for route in routes().values()}))
def test_every_answer_names_its_request_and_is_neither_kept_nor_guessed_at(
    folder: str, world: World, moment: TestClock
) -> None:
    """Good or refused, of each route of this function."""
    for name, route in routes().items():
        if route.folder != folder:
            continue
        roles = TABLE[name].roles
        token = token_of(min(roles), moment) if roles and NOBODY not in roles else None
        for changes in ({}, {"query": {"unknown": "1"}}, {"body": "{"}):
            answer = ask(world.request(name, **changes), token)

            assert answer.status < 500, name
            sent = {key.lower(): value for key, value in answer.headers.items()}
            assert len(sent["x-request-id"]) == 1, (name, changes)
            assert sent["x-content-type-options"] == ["nosniff"], (name, changes)
            assert len(sent["cache-control"]) == 1, (name, changes)
            is_public_page = (folder == "about" or name == "GET /sessions/settings") and answer.status == 200
            assert is_public_page or sent["cache-control"] == ["no-store"], (name, changes)


def test_what_is_looked_for_in_the_log_of_a_roster_stands_in_it() -> None:
    """Or the flow above would look for what nobody said."""
    said = "".join(rosters.FILES.values())

    assert [what for what, text in ROSTER.items() if "\\u" not in text and text not in said] == []
