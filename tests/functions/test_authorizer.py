"""The authorizer: which policy API Gateway gets, with which context; and that no token reaches a log."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from recado import clock, request_limit
from recado.rules import signatures
from recado.settings import SETTINGS
from recado.tables import portal_keys
from recado.tables.portal_keys import KeyKind, PortalKey
from tests.apps import Context, load_app, load_event
from tests.conftest import resources
from tests.faults import Fault, faults
from tests.tokens import MASTER, create_key, mint

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)  # when the tokens of events/authorizer_*.json were minted
SCHOOL = "liceo-1"


@pytest.fixture(autouse=True)
def keys(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    create_key(SCHOOL, "k1")
    create_key("platform", "op", KeyKind.OPERATOR)


def ask(event: dict[str, Any]) -> dict[str, Any]:
    answered: dict[str, Any] = load_app("authorizer").handler(event, Context())
    return answered


def effect(event: dict[str, Any]) -> str:
    (statement,) = ask(event)["policyDocument"]["Statement"]
    return str(statement["Effect"])


def with_token(event: dict[str, Any], token: str) -> dict[str, Any]:
    name = next((name for name in event["headers"] if name.lower() == "authorization"), "Authorization")
    return event | {"headers": event["headers"] | {name: f"Bearer {token}"}}


def is_unauthorized(event: dict[str, Any]) -> bool:
    try:
        ask(event)
    except Exception as error:  # noqa: BLE001  # exactly what API Gateway looks at: the words, not the class
        return str(error) == "Unauthorized"
    return False


def test_a_portals_token_opens_this_one_request_for_its_school() -> None:
    event = load_event("authorizer_portal_token")

    answered = ask(event)

    assert answered == {
        "principalId": "u-17",
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [{"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": event["methodArn"]}],
        },
        "context": {
            "school": SCHOOL,
            "role": "director",
            "subject": "u-17",
            "person": "",
            "key": "k1",
            "limit": "3000",
            "remaining": "2999",
            "resets": "60",
        },
    }


def test_the_base_path_in_the_path_and_lower_case_headers_change_nothing() -> None:
    plain, other = load_event("authorizer_portal_token"), load_event("authorizer_base_path_in_path")
    assert "authorization" in other["headers"]
    assert other["path"] != plain["path"]

    contexts = [ask(one)["context"] for one in (plain, other)]
    assert [context.pop("remaining") for context in contexts] == ["2999", "2998"]
    assert contexts[0] == contexts[1]


def test_every_value_of_the_context_is_a_text() -> None:
    event = with_token(load_event("authorizer_portal_token"), mint(SCHOOL, NOW, role="guardian", person="g-4"))

    context = ask(event)["context"]

    assert context["person"] == "g-4"
    assert all(isinstance(value, str) for value in context.values())


def test_a_sessions_token_opens_its_session_and_names_no_school() -> None:
    event = load_event("authorizer_session_token")

    answered = ask(event)

    assert answered["context"] == {"session": event["pathParameters"]["session_id"]}
    assert effect(event) == "Allow"


def test_a_sessions_token_opens_no_other_session() -> None:
    event = load_event("authorizer_session_token")
    event["pathParameters"]["session_id"] = "s" + "a" * 25

    assert is_unauthorized(event)


def test_a_sessions_token_opens_nothing_but_sessions() -> None:
    token = load_event("authorizer_session_token")["headers"]["authorization"].removeprefix("Bearer ")

    assert is_unauthorized(with_token(load_event("authorizer_portal_token"), token))
    assert is_unauthorized(with_token(load_event("authorizer_operator_token"), token))


def test_a_sessions_token_in_the_query_opens_a_socket_of_its_session_and_of_no_other() -> None:
    event = load_event("authorizer_socket")
    query = event["queryStringParameters"]

    answered = ask(event)

    assert answered["context"] == {"session": query["session"]}
    assert answered["policyDocument"]["Statement"][0]["Resource"] == event["methodArn"]
    assert effect(event) == "Allow"
    for wrong in ({"session": "s" + "a" * 25}, {"token": query["token"][:-1] + "A"}, {"token": ""}, {"session": ""}):
        assert is_unauthorized(event | {"queryStringParameters": query | wrong})
    assert is_unauthorized(event | {"queryStringParameters": None})


def test_no_portals_token_opens_a_socket_wherever_it_stands() -> None:
    event, token = load_event("authorizer_socket"), mint(SCHOOL, NOW)
    query = event["queryStringParameters"] | {"token": token}

    assert is_unauthorized(event | {"queryStringParameters": query})
    headers = event["headers"] | {"Authorization": f"Bearer {token}"}
    assert is_unauthorized(event | {"queryStringParameters": query, "headers": headers})


def test_a_token_in_the_query_opens_no_route_of_the_api() -> None:
    socket, route = load_event("authorizer_socket"), load_event("authorizer_session_token")
    del route["headers"]["authorization"]

    assert is_unauthorized(route | {"queryStringParameters": socket["queryStringParameters"]})


@pytest.mark.parametrize(("school_id", "key_id", "role"), [(SCHOOL, "k1", "director"), ("platform", "op", "operator")])
def test_a_portals_token_opens_no_session(school_id: str, key_id: str, role: str) -> None:
    token = mint(school_id, NOW, key_id, role=role)

    assert is_unauthorized(with_token(load_event("authorizer_session_token"), token))


def test_a_session_route_without_its_id_is_refused() -> None:
    event = load_event("authorizer_session_token") | {"pathParameters": None}

    assert is_unauthorized(with_token(event, signatures.session_token(MASTER, "s" + "a" * 25, 1)))


def test_an_operators_token_opens_the_operators_routes_and_no_others() -> None:
    token = mint("platform", NOW, "op", role="operator")

    assert effect(load_event("authorizer_operator_token")) == "Allow"
    assert effect(with_token(load_event("authorizer_portal_token"), token)) == "Deny"


def test_a_portals_token_is_denied_the_operators_routes() -> None:
    assert effect(load_event("authorizer_portal_token_at_the_operators")) == "Deny"


def test_a_request_without_a_token_is_unauthorized() -> None:
    assert is_unauthorized(load_event("authorizer_without_token"))
    assert is_unauthorized(load_event("authorizer_without_token") | {"headers": None})


@pytest.mark.parametrize("changes", [{"resource": None}, {"resource": "", "path": "/messages"}])
def test_a_request_that_matched_no_route_opens_no_session_or_operators_route(changes: dict[str, Any]) -> None:
    operator = load_event("authorizer_operator_token") | changes
    session = load_event("authorizer_session_token") | changes

    assert effect(operator) == "Deny"
    assert is_unauthorized(session)


def rsa_key() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


BAD_TOKENS = [
    "unsigned",
    "expired",
    "too long-lived",
    "from the future",
    "not yet valid",
    "signed with RS256",
    "signed with HS512",
    "unknown role",
    "revoked",
    "rotated out",
    "sandbox named",
    "another school's",
    "without role",
    "unknown key",
    "operator by a portal's key",
    "director by the operator's key",
    "guardian without person",
    "garbage",
    "no token",
]


def bad_tokens() -> dict[str, str]:
    return {
        "unsigned": mint(SCHOOL, NOW, algorithm="none", secret=""),
        "expired": mint(SCHOOL, NOW - timedelta(minutes=6)),
        "too long-lived": mint(SCHOOL, NOW, exp=int((NOW + timedelta(hours=1)).timestamp())),
        "from the future": mint(SCHOOL, NOW + timedelta(minutes=2)),
        "not yet valid": mint(SCHOOL, NOW, nbf=int((NOW + timedelta(minutes=2)).timestamp())),
        "signed with RS256": mint(SCHOOL, NOW, algorithm="RS256", secret=rsa_key()),
        "signed with HS512": mint(SCHOOL, NOW, algorithm="HS512"),
        "unknown role": mint(SCHOOL, NOW, role="principal"),
        "revoked": mint(SCHOOL, NOW, "revoked"),
        "rotated out": mint(SCHOOL, NOW, "rotated"),
        "sandbox named": mint(f"{SCHOOL}~test", NOW),
        "another school's": mint("liceo-2", NOW),
        "without role": mint(SCHOOL, NOW, role=None),
        "unknown key": mint(SCHOOL, NOW, "k9"),
        "operator by a portal's key": mint(SCHOOL, NOW, role="operator"),
        "director by the operator's key": mint("platform", NOW, "op"),
        "guardian without person": mint(SCHOOL, NOW, role="guardian"),
        "garbage": "a.b.c",
        "no token": "x",
    }


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("kind", BAD_TOKENS)
def test_a_token_that_does_not_hold_is_unauthorized(kind: str) -> None:
    create_key(SCHOOL, "revoked")
    portal_keys.revoke_key(SCHOOL, "revoked", NOW)
    portal_keys.create_key(PortalKey(SCHOOL, "rotated", KeyKind.PORTAL, 1, NOW, None))
    assert {*bad_tokens()} == {*BAD_TOKENS}

    assert is_unauthorized(with_token(load_event("authorizer_portal_token"), bad_tokens()[kind]))


def test_what_is_unauthorized_is_answered_as_a_problem() -> None:
    """API Gateway turns the word into this answer: 401, problem+json, a code and the request's id."""
    (api,) = resources("AWS::Serverless::Api").values()
    refusal = api["GatewayResponses"]["UNAUTHORIZED"]
    body = json.loads(refusal["ResponseTemplates"]["application/json"])

    assert (body["status"], body["code"]) == (401, "not_authenticated")
    assert refusal["ResponseParameters"]["Headers"]["Content-Type"] == "'application/problem+json'"
    assert body["instance"] == "urn:request:$context.requestId"


# --- how many requests a school makes ---


def test_the_request_past_the_limit_is_over_and_the_next_minute_is_whole_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_limit, "SETTINGS", replace(SETTINGS, requests_per_minute_max=2))
    event = load_event("authorizer_portal_token")

    contexts = [ask(event)["context"] for _ in range(3)]
    monkeypatch.setattr(clock, "now", lambda: NOW + timedelta(minutes=1))
    after = ask(event)["context"]

    assert [context["remaining"] for context in contexts] == ["1", "0", "0"]
    assert ["over" in context for context in contexts] == [False, False, True]
    assert (after["remaining"], "over" in after) == ("1", False)


def test_whoever_is_over_is_not_counted_again_until_the_minute_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_limit, "SETTINGS", replace(SETTINGS, requests_per_minute_max=1))
    event = load_event("authorizer_portal_token")
    for _ in range(2):
        ask(event)

    with faults("UpdateItem") as attempts:
        assert "over" in ask(event)["context"]

    assert attempts == []


def test_each_school_and_its_sandbox_have_a_count_of_their_own_and_the_operator_none() -> None:
    create_key("liceo-2", "k2")
    create_key(SCHOOL, "test", KeyKind.TEST)
    event = load_event("authorizer_portal_token")
    ask(event)

    others = [ask(with_token(event, mint(school, NOW, key)))["context"] for school, key in
              (("liceo-2", "k2"), (SCHOOL, "test"))]  # fmt: skip
    operator = ask(load_event("authorizer_operator_token"))["context"]

    assert [context["remaining"] for context in others] == ["2999", "2999"]
    assert "limit" not in operator


@pytest.mark.parametrize("fault", ["lost", "applied"])
def test_a_counter_that_fails_fails_no_request_and_is_logged_by_its_class(
    fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    with faults("UpdateItem", fault, fault, fault):
        answered = ask(load_event("authorizer_portal_token"))

    assert answered["policyDocument"]["Statement"][0]["Effect"] == "Allow"
    assert "limit" not in answered["context"]
    trouble = next(record for record in caplog.records if record.getMessage() == "request_not_counted")
    assert vars(trouble)["facts"]["error"] == "UpdateError"


@pytest.mark.parametrize(
    ("event_name", "outcome"),
    [
        ("authorizer_portal_token", "token_accepted"),
        ("authorizer_session_token", "token_accepted"),
        ("authorizer_portal_token_at_the_operators", "token_denied"),
        ("authorizer_without_token", "token_refused"),
    ],
)
def test_each_answer_leaves_one_line_without_the_token(
    event_name: str, outcome: str, caplog: pytest.LogCaptureFixture
) -> None:
    event = load_event(event_name)
    token = next((text for name, text in event["headers"].items() if name.lower() == "authorization"), "Bearer -")[7:]

    is_unauthorized(event)

    (line,) = caplog.records
    assert line.getMessage() == outcome
    assert token == "-" or not any(part in str(vars(line)) for part in token.split("."))
