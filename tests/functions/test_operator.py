"""/operator as the platform's staff use it; and that no one else gets in, and no secret is kept."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import boto3
import pytest

from recado import access, clock, credits  # noqa: A004  # the school's word
from recado.rules.credit_bags import Zone
from recado.rules.roles import Role
from recado.tables import ledger, portal_keys, session_counts, short_codes
from tests.apps import call, load_event
from tests.tokens import mint

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
CREATING = [
    "operator_school_created",
    "operator_key_created",
    "operator_test_key_created",
    "operator_key_rotated",
    "operator_bag_sold",
]


@pytest.fixture(autouse=True)
def at_noon(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    move_clock(monkeypatch)


def move_clock(monkeypatch: pytest.MonkeyPatch, **step: float) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW + timedelta(**step))


def with_key(event: dict[str, Any], key: str | None) -> dict[str, Any]:
    headers = {name: value for name, value in event["headers"].items() if name.lower() != "idempotency-key"}
    return event | {"headers": headers | ({"Idempotency-Key": key} if key else {})}


def create_school() -> None:
    assert call("operator", with_key(load_event("operator_school_created"), "the-school"))[0] == 201


def available(zone: Zone = Zone.DOMESTIC) -> int:
    account = ledger.find_account("liceo-1", zone)
    return account.available if account else 0


def rows_of(table: str) -> list[dict[str, Any]]:
    return list(boto3.client("dynamodb").scan(TableName=table)["Items"])


def test_a_school_is_created_and_found_again() -> None:
    status, created = call("operator", load_event("operator_school_created"))

    assert status == 201
    assert created == {
        "id": "liceo-1",
        "name": "Liceo Uno",
        "country": "CL",
        "time_zone": "America/Santiago",
        "code": "44101",
        "contract": "active",
        "shards": 1,
        "created_at": "2026-11-23T12:00:00Z",
    }
    assert call("operator", load_event("operator_school")) == (200, created)


def test_every_wrong_field_of_a_school_is_named_at_once() -> None:
    status, body = call("operator", load_event("operator_school_with_wrong_fields"))

    assert (status, body["code"]) == (422, "invalid_request")
    assert [one["field"] for one in body["errors"]] == ["/id", "/name", "/country", "/time_zone", "/code"]


def test_a_school_that_is_not_there_is_not_found() -> None:
    status, body = call("operator", load_event("operator_school"))

    assert (status, body["code"]) == (404, "not_found")


def test_a_new_key_is_shown_with_a_secret_that_signs_tokens_which_hold() -> None:
    create_school()

    status, made = call("operator", load_event("operator_key_created"))

    assert status == 201
    token = mint("liceo-1", NOW, made["key_id"], algorithm=made["algorithm"], secret=made["secret"])
    assert access.read_portal_token(token, NOW).school_id == "liceo-1"


def test_a_secret_is_stored_nowhere() -> None:
    create_school()

    _, made = call("operator", load_event("operator_key_created"))

    assert made["secret"] not in str(rows_of("PeopleTable"))
    assert made["key_id"] in str(rows_of("PeopleTable"))


def test_the_same_request_for_a_key_is_answered_with_the_same_key() -> None:
    create_school()

    assert call("operator", load_event("operator_key_created")) == call("operator", load_event("operator_key_created"))


def test_a_key_can_be_named_and_given_an_end() -> None:
    create_school()
    event = load_event("operator_key_created") | {"body": '{"key_id": "main", "not_after": "2026-12-31T00:00:00Z"}'}

    status, made = call("operator", event)

    assert (status, made["key_id"]) == (201, "main")
    key = portal_keys.find_key("liceo-1", "main")
    assert key is not None
    assert key.not_after == datetime(2026, 12, 31, tzinfo=UTC)


def test_a_name_that_is_taken_is_refused_and_its_secret_not_shown() -> None:
    create_school()
    event = load_event("operator_key_created") | {"body": '{"key_id": "main"}'}
    call("operator", with_key(event, "one"))

    for _ in range(2):  # asking once more does not help
        status, body = call("operator", with_key(event, "two"))

        assert (status, body["code"]) == (409, "already_exists")


def test_a_schools_keys_are_listed_without_their_secrets() -> None:
    create_school()
    _, made = call("operator", load_event("operator_key_created"))

    status, body = call("operator", load_event("operator_keys"))

    assert (status, body["next"]) == (200, None)
    assert body["keys"] == [
        {
            "id": made["key_id"],
            "kind": "portal",
            "created_at": "2026-11-23T12:00:00Z",
            "created_by": "u-17",
            "not_after": None,
            "revoked_at": None,
            "replaced_by": None,
            "master_version": 1,
        }
    ]
    assert made["secret"] not in str(body)


def test_a_key_is_rotated_once_and_the_old_one_holds_a_while_longer() -> None:
    create_school()
    call("operator", load_event("operator_key_created") | {"body": '{"key_id": "k1"}'})

    answers = [call("operator", load_event("operator_key_rotated")) for _ in range(2)]

    assert answers[0] == answers[1]
    status, made = answers[0]
    assert status == 201
    token = mint("liceo-1", NOW, made["key_id"], secret=made["secret"])
    assert access.read_portal_token(token, NOW).key_id == made["key_id"]
    old = portal_keys.find_key("liceo-1", "k1")
    assert old is not None
    assert (old.not_after, old.replaced_by) == (NOW + timedelta(hours=2), made["key_id"])
    assert made["secret"] not in str(rows_of("PeopleTable"))


@pytest.mark.parametrize("seconds", ["-1", "2592001", '"a day"', "null", "1.5"])
def test_an_overlap_is_between_nothing_and_thirty_days(seconds: str) -> None:
    create_school()
    call("operator", load_event("operator_key_created") | {"body": '{"key_id": "k1"}'})

    event = load_event("operator_key_rotated") | {"body": f'{{"overlap_seconds": {seconds}}}'}
    status, body = call("operator", event)

    assert (status, body["errors"][0]["field"]) == (422, "/overlap_seconds")
    assert len(call("operator", load_event("operator_keys"))[1]["keys"]) == 1


def test_a_test_key_opens_the_sandbox_which_comes_with_it() -> None:
    create_school()

    status, made = call("operator", load_event("operator_test_key_created"))

    assert (status, made["kind"]) == (201, "test")
    token = mint("liceo-1", NOW, made["key_id"], secret=made["secret"])
    assert access.read_portal_token(token, NOW).school_id == "liceo-1~test"
    account = ledger.find_account("liceo-1~test", Zone.DOMESTIC)
    assert account is not None
    assert account.available == 100_000


def test_no_route_of_the_operators_takes_a_sandboxs_id() -> None:
    create_school()
    call("operator", load_event("operator_test_key_created"))
    before = rows_of("PeopleTable"), rows_of("LedgerTable"), rows_of("RoutesTable")
    created = load_event("operator_school_created")
    created["body"] = created["body"].replace("liceo-1", "liceo-2~test")

    answers = [call("operator", with_key(created, "x"))]
    for name in ("operator_school", "operator_school_changed", "operator_keys", "operator_bag_sold"):
        event = load_event(name)
        event["path"] = event["path"].replace("liceo-1", "liceo-1~test")
        event["pathParameters"] |= {"school_id": "liceo-1~test"}
        answers.append(call("operator", event))
    code = load_event("pool_code_added")
    code["body"] = '{"country": "CL", "code": "44999", "purpose": "schools", "school": "liceo-1~test"}'
    answers.append(call("pool", with_key(code, "y")))

    assert {status for status, _ in answers} <= {404, 422}
    kept = [row for row in rows_of("PeopleTable") if not row["pk"]["S"].startswith("IDEM#")]
    assert kept == [row for row in before[0] if not row["pk"]["S"].startswith("IDEM#")]
    assert (rows_of("LedgerTable"), rows_of("RoutesTable")) == before[1:]


def test_schools_are_listed_page_by_page() -> None:
    create_school()
    for number in (2, 3):
        other = load_event("operator_school_created")
        other["body"] = other["body"].replace("liceo-1", f"liceo-{number}").replace("44101", f"4410{number}")
        assert call("operator", with_key(other, f"school-{number}"))[0] == 201

    status, page = call("operator", load_event("operator_schools"))
    event = load_event("operator_schools")
    query = {"limit": "2", "cursor": page["next"]}
    event |= {"queryStringParameters": query}
    event |= {"multiValueQueryStringParameters": {name: [value] for name, value in query.items()}}
    _, rest = call("operator", event)

    assert (status, [one["id"] for one in page["schools"]]) == (200, ["liceo-1", "liceo-2"])
    assert ([one["id"] for one in rest["schools"]], rest["next"]) == (["liceo-3"], None)


def test_a_school_is_changed_in_what_is_named() -> None:
    create_school()

    status, changed = call("operator", load_event("operator_school_changed"))

    assert (status, changed["name"], changed["code"]) == (200, "Liceo Uno Bicentenario", "44101")
    assert call("operator", load_event("operator_school")) == (200, changed)


@pytest.mark.parametrize(
    "body", ["{}", '{"name": null}', '{"country": "DO"}', '{"time_zone": "Marte"}', '{"code": "x"}']
)
def test_a_change_of_nothing_or_to_nothing_is_refused(body: str) -> None:
    create_school()
    before = call("operator", load_event("operator_school"))

    status, answered = call("operator", load_event("operator_school_changed") | {"body": body})

    assert (status, answered["code"]) == (422, "invalid_request")
    assert call("operator", load_event("operator_school")) == before


def test_a_revoked_key_is_revoked_and_the_answer_is_empty() -> None:
    create_school()
    call("operator", load_event("operator_key_created") | {"body": '{"key_id": "k1"}'})

    status, body = call("operator", load_event("operator_key_revoked"))

    assert (status, body) == (204, "")
    key = portal_keys.find_key("liceo-1", "k1")
    assert key is not None
    assert key.revoked_at == NOW


def test_a_bag_is_sold_once_however_often_it_is_asked() -> None:  # L5
    create_school()

    answers = [call("operator", load_event("operator_bag_sold")) for _ in range(3)]

    assert answers[0] == answers[1] == answers[2]
    status, purchase = answers[0]
    assert status == 201
    assert (purchase["credits"], purchase["bag"], purchase["by"]) == (500, "domestic-500", "u-17")
    assert available() == 500


def test_the_same_key_for_another_school_is_refused_and_sells_nothing_there() -> None:
    create_school()
    other = load_event("operator_school_created")
    other["body"] = other["body"].replace("liceo-1", "liceo-2").replace("44101", "44102")
    assert call("operator", with_key(other, "other"))[0] == 201
    call("operator", load_event("operator_bag_sold"))
    elsewhere = load_event("operator_bag_sold")
    elsewhere |= {"path": "/operator/schools/liceo-2/bags", "pathParameters": {"school_id": "liceo-2"}}

    status, body = call("operator", elsewhere)

    assert (status, body["code"]) == (422, "idempotency_key_reused")
    found = ledger.find_account("liceo-2", Zone.DOMESTIC)
    assert found is not None
    assert found.available == 0


def test_a_key_of_days_ago_sells_nothing_however_often_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    create_school()
    call("operator", load_event("operator_bag_sold"))
    move_clock(monkeypatch, days=3)

    for _ in range(3):
        status, body = call("operator", load_event("operator_bag_sold"))

        assert (status, body["code"]) == (422, "idempotency_key_reused")
    assert available() == 500


def test_credits_are_sold_by_zone_and_number_too() -> None:  # L13
    create_school()
    event = load_event("operator_bag_sold") | {"body": '{"zone": "international", "credits": 40}'}

    status, purchase = call("operator", event)

    assert (status, purchase["bag"]) == (201, None)
    assert available(Zone.INTERNATIONAL) == 40


@pytest.mark.parametrize("body", ["{}", '{"bag": "gold"}', '{"zone": "domestic", "credits": -1}', '{"credits": 5}'])
def test_an_order_of_no_bag_is_refused(body: str) -> None:
    create_school()

    status, answered = call("operator", load_event("operator_bag_sold") | {"body": body})

    assert (status, answered["code"]) == (422, "invalid_request")
    assert available() == 0


def test_a_contract_is_suspended() -> None:  # L5
    create_school()
    call("operator", load_event("operator_bag_sold"))

    status, school = call("operator", load_event("operator_contract_suspended"))

    assert (status, school["contract"]) == (200, "suspended")
    (account,) = ledger.list_accounts("liceo-1")
    assert (account.contract, account.available) == ("suspended", 500)


def test_the_platforms_staff_see_a_schools_balances_and_statement_even_while_it_is_suspended() -> None:  # L5
    create_school()
    call("operator", load_event("operator_bag_sold"))
    call("operator", load_event("operator_contract_suspended"))

    status, balances = call("operator", load_event("operator_balances"))
    _, statement = call("operator", load_event("operator_statement"))

    assert status == 200
    assert balances["summary"] == {"bought": 500, "available": 500, "held": 0, "captured": 0}
    assert balances["accounts"][0]["contract"] == "suspended"
    assert [entry["explanation"] for entry in statement["entries"]] == [
        "Compra de la bolsa «Bolsa básica»: 500 créditos."
    ]


def test_a_schools_wishes_for_bags_are_seen_newest_first() -> None:  # L7
    create_school()
    for minute, bag in enumerate(("domestic-500", "international-100")):
        caller = access.Caller("liceo-1", Role.DIRECTOR, "u-17")
        at = NOW + timedelta(minutes=minute)
        credits.request_bag(caller, bag, request_key=bag, now=at, is_first=True)

    status, body = call("operator", load_event("operator_bag_requests"))

    assert status == 200
    assert [(one["bag"], one["charged"]) for one in body["requests"]] == [("international-100", 0), ("domestic-500", 0)]


@pytest.mark.parametrize("name", ["operator_balances", "operator_statement", "operator_bag_requests"])
def test_the_credits_of_a_school_that_is_not_there_are_not_found(name: str) -> None:
    status, body = call("operator", load_event(name))

    assert (status, body["code"]) == (404, "not_found")


def test_what_sessions_were_used_for_is_listed_by_the_day() -> None:
    session_counts.add_counts("DO", date(2026, 11, 22), 3, sessions=2, texts=3, handsets=4, replies=5)
    session_counts.add_counts("DO", date(2026, 11, 21), 3, sessions=9)

    answer = call("operator", load_event("operator_session_counts"))

    counts = {"sessions": 2, "texts": 3, "handsets": 4, "replies": 5, "late": 0, "unrouted": 0, "refused": 0}
    counts |= {"school_replies": 0, "school_waiting": 0, "school_unrouted": 0}
    assert answer == (200, {"country": "DO", "days": [{"day": "2026-11-22"} | counts]})


@pytest.mark.parametrize(("first", "last"), [("2026-11-23", "2026-11-22"), ("2025-11-23", "2026-11-24")])
def test_days_are_asked_for_in_their_order_and_at_most_a_year_of_them(first: str, last: str) -> None:
    event = load_event("operator_session_counts")
    query = event["queryStringParameters"] | {"from": first, "to": last}
    event |= {"queryStringParameters": query}
    event |= {"multiValueQueryStringParameters": {name: [value] for name, value in query.items()}}

    status, body = call("operator", event)

    assert (status, body["code"], [one["field"] for one in body["errors"]]) == (422, "invalid_request", ["/query/to"])


@pytest.mark.parametrize("name", CREATING)
def test_what_creates_needs_an_idempotency_key(name: str) -> None:
    create_school()
    before = rows_of("LedgerTable"), rows_of("RoutesTable")

    status, body = call("operator", with_key(load_event(name), None))

    assert (status, body["code"]) == (400, "idempotency_key_missing")
    assert (rows_of("LedgerTable"), rows_of("RoutesTable")) == before


@pytest.mark.parametrize("role", ["director", "administrator", "teacher", "guardian"])
@pytest.mark.parametrize(
    "name",
    [
        *CREATING,
        "operator_school",
        "operator_schools",
        "operator_school_changed",
        "operator_keys",
        "operator_key_revoked",
        "operator_contract_suspended",
        "operator_balances",
        "operator_statement",
        "operator_bag_requests",
        "operator_session_counts",
    ],
)
def test_nobody_of_a_school_gets_in_and_nothing_is_written(name: str, role: str) -> None:
    event = load_event(name)
    event["requestContext"]["authorizer"] |= {"role": role, "school": "liceo-1"}

    status, body = call("operator", event)

    assert (status, body["code"]) == (403, "not_allowed")
    assert rows_of("PeopleTable") == rows_of("LedgerTable") == rows_of("RoutesTable") == []


def test_a_director_is_refused() -> None:
    create_school()

    assert call("operator", load_event("operator_refused_to_a_director"))[0] == 403
    assert short_codes.list_codes("DO") == []
