"""The message centre's routes as API Gateway calls them: one's own inbox, and nobody else's (L4)."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from recado import clock, inbox
from recado.rules.message_states import Category
from recado.rules.roles import Role
from recado.tables.inbox import InboxCopy
from tests import apps

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SCHOOL = "los-aromos"
OWN, ANOTHERS = "m7b1c9e0a4d2f", "m5e5f0a1b2c3d"
TEXT = "<b>Mañana</b> no hay clases 🙂 \u200fשלום"
READ = f"/inbox/{OWN}/read"
NEVER = {"id": OWN, "category": "meeting", "text": TEXT, "at": "2026-11-23T12:00:00Z", "read_at": None}
MALFORMED = [
    ("GET", "/inbox", {"limit": "0"}, None, "/query/limit"),
    ("GET", "/inbox", {"limit": "101"}, None, "/query/limit"),
    ("GET", "/inbox", {"limit": "many"}, None, "/query/limit"),
    ("GET", "/inbox", {"unread": "perhaps"}, None, "/query/unread"),
    ("GET", "/inbox", {"cursor": ""}, None, "/query/cursor"),
    ("GET", "/inbox", {"cursor": "x" * 900}, None, "/query/cursor"),
    ("GET", "/inbox", {"cursor": "2026-11-23T12:00:00.000000Z#m1"}, None, "/query/cursor"),
    ("GET", "/inbox", {"cursor": "2026-11-23T12:00:00.000000Z~m1\n"}, None, "/query/cursor"),
    ("GET", "/inbox", {"cursor": "2026-11-23T12:00:00.000000Z~"}, None, "/query/cursor"),
    ("GET", "/inbox/" + "m" * 65, None, None, "/path/message_id"),
    ("PUT", "/inbox/" + "m" * 65 + "/read", None, None, "/path/message_id"),
    ("DELETE", "/inbox/" + "m" * 65, None, None, "/path/message_id"),
    ("PUT", "/inbox/read", None, {}, "/until"),
    ("PUT", "/inbox/read", None, {"until": None}, "/until"),
    ("PUT", "/inbox/read", None, {"until": ""}, "/until"),
    ("PUT", "/inbox/read", None, {"until": "2026-11-23T12:00:00"}, "/until"),
    ("PUT", "/inbox/read", None, {"until": "2026-11-23T12:05:01Z"}, "/until"),
    ("PUT", "/inbox/read", None, {"until": "9999-12-31T23:59:59-14:00"}, "/until"),
    ("PUT", "/inbox/read", None, {"until": "\u0000"}, "/until"),
    ("PUT", "/inbox/read", None, {"until": ["2026-11-23T12:00:00Z"]}, "/until"),
    ("PUT", "/inbox/read", None, {"until": 1e300}, "/until"),
    ("PUT", "/inbox/read", None, {"until": "2026-11-23T12:00:00Z", "person": "g00002"}, "/person"),
]
ROUTES = [
    ("GET", "/inbox"),
    ("GET", "/inbox/unread"),
    ("GET", f"/inbox/{OWN}"),
    ("PUT", READ),
    ("PUT", "/inbox/read"),
    ("DELETE", f"/inbox/{OWN}"),
]


@pytest.fixture(autouse=True)
def delivered(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    inbox.deliver_copies(
        SCHOOL,
        [
            InboxCopy("g00001", OWN, Category.MEETING, TEXT, NOW),
            InboxCopy("g00002", ANOTHERS, Category.NOTICE, "Traiga su libreta", NOW),
        ],
    )


def call(
    method: str,
    path: str,
    *,
    role: str = "guardian",
    person: str = "g00001",
    school: str = SCHOOL,
    query: dict[str, str] | None = None,
    body: Any = None,
) -> tuple[int, Any]:
    event = {
        "httpMethod": method,
        "path": path,
        "resource": path,
        "headers": {"content-type": "application/json"},
        "queryStringParameters": query,
        "multiValueQueryStringParameters": {name: [value] for name, value in query.items()} if query else None,
        "body": None if body is None else json.dumps(body),
        "isBase64Encoded": False,
        "requestContext": {
            "requestId": "r1",
            "authorizer": {"school": school, "role": role, "subject": "u-17", "person": person, "key": "k1"},
        },
    }
    return apps.call("inbox", event)


def ask(
    method: str, path: str, *, role: str = "guardian", person: str = "g00001", school: str = SCHOOL
) -> tuple[int, Any]:
    body = {"until": NOW.isoformat()} if path == "/inbox/read" else None
    return call(method, path, role=role, person=person, school=school, body=body)


def test_a_message_is_shown_as_the_text_it_is() -> None:
    assert call("GET", "/inbox") == (200, {"messages": [NEVER], "next": None})
    assert call("GET", f"/inbox/{OWN}") == (200, NEVER)


def test_a_message_is_unread_until_it_is_marked_and_then_stays_read() -> None:
    assert call("GET", "/inbox/unread") == (200, {"unread": 1, "is_capped": False})

    status, answer = call("PUT", READ)

    assert (status, answer["read_at"]) == (200, "2026-11-23T12:00:00Z")
    assert call("GET", "/inbox") == (200, {"messages": [answer], "next": None})
    assert call("GET", "/inbox", query={"unread": "true"}) == (200, {"messages": [], "next": None})
    assert call("GET", "/inbox/unread") == (200, {"unread": 0, "is_capped": False})


def test_everything_up_to_a_moment_is_marked_in_one_request() -> None:
    inbox.deliver_copies(SCHOOL, [InboxCopy("g00001", "m2", Category.NOTICE, "x", NOW + timedelta(minutes=1))])

    assert call("PUT", "/inbox/read", body={"until": "2026-11-23T09:00:00-03:00"}) == (200, {"marked": 1})
    assert call("GET", "/inbox/unread")[1]["unread"] == 1


def test_a_message_put_away_is_gone_and_putting_it_away_again_is_no_error() -> None:
    assert call("DELETE", f"/inbox/{OWN}") == (204, "")
    assert call("DELETE", f"/inbox/{OWN}") == (204, "")

    assert call("GET", "/inbox") == (200, {"messages": [], "next": None})
    for method, path in (("GET", f"/inbox/{OWN}"), ("PUT", READ)):
        status, answer = call(method, path)
        assert (status, answer["code"]) == (404, "not_found")


def test_a_cursor_as_it_came_leads_on_and_fits_in_an_address_unescaped() -> None:
    copies = [InboxCopy("g00001", f"m{n}", Category.NOTICE, "x", NOW - timedelta(minutes=n)) for n in range(1, 5)]
    inbox.deliver_copies(SCHOOL, copies)
    found: list[str] = []
    query = {"limit": "2"}

    while True:
        _, answer = call("GET", "/inbox", query=query)
        found += [one["id"] for one in answer["messages"]]
        if answer["next"] is None:
            break
        assert not set(answer["next"]) & set("#%&+?/ ")
        query = {"limit": "2", "cursor": answer["next"]}

    assert found == [OWN, "m1", "m2", "m3", "m4"]


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("role", [role.value for role in Role])
def test_which_role_opens_which_route_of_the_message_centre(role: str, method: str, path: str) -> None:
    status, answer = ask(method, path, role=role)

    if role == "operator":
        assert (status, answer["code"]) == (403, "not_allowed")
    else:
        assert status in (200, 204)


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("role", ["director", "administrator", "teacher", "staff"])
def test_a_token_that_names_nobody_is_told_so(role: str, method: str, path: str) -> None:
    status, answer = ask(method, path, role=role, person="")

    assert (status, answer["code"]) == (403, "token_names_nobody")


@pytest.mark.parametrize(("method", "path"), [(m, p.replace(OWN, ANOTHERS)) for m, p in ROUTES if OWN in p])
@pytest.mark.parametrize("role", ["director", "guardian"])
def test_another_persons_message_is_not_found_whatever_the_role(role: str, method: str, path: str) -> None:
    status, answer = ask(method, path, role=role)

    assert (status, answer["code"]) == (404, "not_found")
    assert call("GET", "/inbox", person="g00002")[1]["messages"][0]["read_at"] is None


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_the_same_person_id_in_another_school_finds_nothing(method: str, path: str) -> None:
    status, answer = ask(method, path, school="otra")

    if OWN in path:
        assert (status, answer["code"]) == (404, "not_found")
    else:
        assert answer in ({"messages": [], "next": None}, {"unread": 0, "is_capped": False}, {"marked": 0})
    assert call("GET", "/inbox") == (200, {"messages": [NEVER], "next": None})


@pytest.mark.parametrize(("method", "path", "query", "body", "field"), MALFORMED)
def test_a_wrong_field_is_named_and_nothing_is_marked(
    method: str, path: str, query: dict[str, str] | None, body: Any, field: str
) -> None:
    status, answer = call(method, path, query=query, body=body)

    assert (status, answer["code"]) == (422, "invalid_request")
    assert [one["field"] for one in answer["errors"]] == [field]
    assert call("GET", "/inbox/unread") == (200, {"unread": 1, "is_capped": False})


@pytest.mark.parametrize("message_id", ["m 1", "m%231", "m#1", "ñ", "m~1", "%00", "..%2f"])
def test_what_no_message_can_be_called_is_not_found_or_refused(message_id: str) -> None:
    assert call("GET", f"/inbox/{message_id}")[0] in (404, 422)


def test_the_first_moment_there_is_marks_nothing() -> None:
    assert call("PUT", "/inbox/read", body={"until": "0001-01-01T00:00:00+14:00"}) == (200, {"marked": 0})


def test_no_text_and_no_person_reaches_the_log(caplog: pytest.LogCaptureFixture) -> None:
    for method, path in ROUTES:
        ask(method, path)

    logged = "".join(repr(vars(line)) for line in caplog.records)

    assert "request_answered" in logged
    for secret in ("Mañana", "no hay clases", "g00001"):
        assert secret not in logged


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ("inbox_list", 200),
        ("inbox_list_unread", 200),
        ("inbox_unread", 200),
        ("inbox_message", 200),
        ("inbox_message_read", 200),
        ("inbox_all_read", 200),
        ("inbox_message_hidden", 204),
        ("inbox_message_of_another_person", 404),
        ("inbox_refused_without_person", 403),
        ("inbox_all_read_with_wrong_fields", 422),
    ],
)
def test_each_event_is_answered(event: str, status: int) -> None:
    assert apps.call("inbox", apps.load_event(event))[0] == status
