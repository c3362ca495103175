"""What every function answers when something is wrong: problem+json, and not a word of anybody's data."""

import json
from typing import Annotated, Any, cast

import boto3
import pytest
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.exceptions import BadRequestError
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, Field

from recado import web
from recado.errors import NotAllowed, NotEnoughCredits, StillRunning
from tests.apps import Context, load_app, load_event

SECRET = "Ana Soto +56912345678"
CONTEXT = cast("LambdaContext", Context())


class Asked(web.RequestModel):
    text: str = Field(max_length=10)


class Told(BaseModel):
    number: int


app = web.resolver()


@app.post("/credits/refunds")
def tell(body: Asked) -> Told:
    acts: dict[str, Exception] = {
        "defect": RuntimeError(f"{SECRET} broke it"),
        "short": NotEnoughCredits(members={"missing": {"domestic": 3}}),
        "busy": StillRunning(retry_after_seconds=7),
        "service": BadRequestError(SECRET),
    }
    if body.text in acts:
        raise acts[body.text]
    wrong: Any = {"number": SECRET}
    return cast("Told", wrong) if body.text == "shape" else Told(number=1)


class Either(web.RequestModel):
    at: int


class Choosing(web.RequestModel):
    which: Either | bool


@app.post("/choices")
def choose(body: Choosing) -> dict[str, bool]:
    return {"chosen": body.which is not None}


@app.get("/credits")
def read(limit: Annotated[int, Query(ge=1)] = 1) -> dict[str, Any]:
    return {"limit": limit, "asked": web.idempotent_request(app)}


def post(body: str, **headers: str) -> tuple[int, dict[str, Any], dict[str, list[str]]]:
    event = load_event("credits_refund_refused") | {"body": body}
    answered = web.answer(app, event | {"headers": event["headers"] | headers}, CONTEXT)
    assert answered["multiValueHeaders"]["Content-Type"] == [
        "application/json" if answered["statusCode"] == 200 else "application/problem+json"
    ]
    return answered["statusCode"], json.loads(answered["body"]), answered["multiValueHeaders"]


def call_raw(function: str, event: dict[str, Any]) -> dict[str, Any]:
    answered: dict[str, Any] = load_app(function).handler(event, Context())
    return answered


def asking(text: str) -> str:
    return json.dumps({"text": text})


def test_a_good_request_is_answered() -> None:
    assert post(asking("hola"))[:2] == (200, {"number": 1})


@pytest.mark.parametrize("text", ["defect", "shape"])
def test_a_defect_of_ours_says_nothing_of_itself_in_answer_or_log(text: str, caplog: pytest.LogCaptureFixture) -> None:
    status, body, _ = post(asking(text))

    assert (status, body["code"]) == (500, "internal_error")
    logged = str([vars(record) for record in caplog.records]) + caplog.text
    assert "request_failed" in logged
    assert SECRET not in json.dumps(body) + logged


def test_a_refusal_carries_what_helps_the_caller() -> None:
    status, body, _ = post(asking("short"))

    assert (status, body["code"], body["missing"]) == (402, "not_enough_credits", {"domestic": 3})


def test_a_refusal_for_now_says_when_to_come_back() -> None:
    status, _, headers = post(asking("busy"))

    assert (status, headers["Retry-After"]) == (409, ["7"])


def test_an_error_of_the_framework_says_nothing_but_its_kind() -> None:
    status, body, _ = post(asking("service"))

    assert (status, body["code"]) == (400, "bad_request")
    assert SECRET not in json.dumps(body)


def test_every_wrong_field_is_named_and_its_value_never_repeated(caplog: pytest.LogCaptureFixture) -> None:
    status, body, _ = post(json.dumps({"text": SECRET, "numbers": [SECRET]}))

    assert (status, body["code"]) == (422, "invalid_request")
    assert [one["field"] for one in body["errors"]] == ["/text", "/numbers"]
    assert SECRET not in json.dumps(body) + caplog.text


@pytest.mark.parametrize("body", ["{", "", "hola", "[" * 100_000, '{"text": "\\ud800"}', "[]", "null"])
def test_a_body_that_is_no_object_is_refused(body: str) -> None:
    status, answered, _ = post(body)

    assert (status, answered["code"]) == (422, "invalid_request")


@pytest.mark.parametrize("media_type", ["text/plain", "multipart/form-data", "Multipart/form-data; boundary=x"])
def test_a_body_of_another_kind_is_refused(media_type: str) -> None:
    status, body, _ = post(asking("hola"), **{"Content-Type": media_type})

    assert (status, body["code"]) == (415, "unsupported_media_type")


def test_a_body_is_measured_in_bytes() -> None:
    status, body, _ = post(asking("ñ" * (web.BODY_BYTES_MAX // 2)).encode().decode("unicode_escape"))

    assert (status, body["code"]) == (413, "too_large")


def test_a_field_of_several_shapes_is_named_as_it_was_sent() -> None:
    event = load_event("credits_refund_refused") | {"resource": "/choices", "path": "/choices"}

    named = {
        body: [one["field"] for one in json.loads(web.answer(app, event | {"body": body}, CONTEXT)["body"])["errors"]]
        for body in ('{"which": {"at": "x"}}', '{"which": {"at": 1, "more": 2}}', '{"which": {}}', '{"which": []}')
    }

    assert [set(fields) for fields in named.values()] == [
        {"/which/at", "/which"},
        {"/which/more", "/which"},
        {"/which/at", "/which"},
        {"/which"},
    ]


def test_a_wrong_query_is_named() -> None:
    event = load_event("credits_balances")
    event |= {"queryStringParameters": {"limit": "0"}, "multiValueQueryStringParameters": {"limit": ["0"]}}

    answered = web.answer(app, event, CONTEXT)

    assert answered["statusCode"] == 422
    assert json.loads(answered["body"])["errors"][0]["field"] == "/query/limit"


def test_a_route_that_is_not_there_is_not_found() -> None:
    event = load_event("credits_balances") | {"path": "/nothing"}

    answered = web.answer(app, event, CONTEXT)

    assert (answered["statusCode"], json.loads(answered["body"])["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ('{"text": "a", "text": "b"}', "/text", "duplicate_name"),
        ('{"text": "a\\u0000"}', "/text", "control_character"),
        ('{"text": NaN}', "/", "json_invalid"),
        ('{"text": 1e999}', "/", "number_too_large"),
        ('{"text": ' + "1" * 5000 + "}", "/", "number_too_large"),
        ('{"text": ' + "[" * 50 + "]" * 50 + "}", "/text" + "/0" * 15, "too_deep"),
        ('{"' + "n" * 5000 + '": 1, "text": "a"}', "/" + "n" * 63 + "…", "extra_forbidden"),
    ],
)
def test_what_a_body_may_not_be_is_named_by_its_place(body: str, field: str, code: str) -> None:
    status, answered, _ = post(body)

    assert (status, answered["code"]) == (422, "invalid_request")
    assert (answered["errors"][0]["field"], answered["errors"][0]["code"]) == (field, code)


@pytest.mark.parametrize("body", ["/w==", "!!", "8J+"])
def test_a_body_that_is_not_utf8_is_refused(body: str) -> None:
    event = load_event("credits_refund_refused") | {"body": body, "isBase64Encoded": True}

    answered = web.answer(app, event, CONTEXT)

    assert (answered["statusCode"], json.loads(answered["body"])["code"]) == (422, "invalid_request")


def test_a_form_is_no_json() -> None:
    status, body, _ = post("text=hola", **{"Content-Type": "application/x-www-form-urlencoded"})

    assert (status, body["code"]) == (415, "unsupported_media_type")


def test_a_million_letters_and_two_hundred_thousand_names_are_too_large() -> None:
    for body in (asking("a" * 1_000_000), json.dumps({"text": "a", "people": [f"p{n}" for n in range(200_000)]})):
        status, answered, _ = post(body)

        assert (status, answered["code"]) == (413, "too_large")


def test_of_a_thousand_wrong_fields_the_first_hundred_are_named() -> None:
    status, body, _ = post(json.dumps({"text": "a"} | {f"x{n}": n for n in range(1000)}))

    assert (status, len(body["errors"]), body["errors_count"]) == (422, 100, 1000)


@pytest.mark.parametrize(
    "changes",
    [
        {"path": "/credits/" + "x" * 2000},
        {"multiValueHeaders": {"X-Long": ["x" * 20_000]}},
        {"multiValueQueryStringParameters": {"limit": ["1" * 3000]}},
        {"multiValueQueryStringParameters": {f"p{n}": ["1"] for n in range(30)}},
    ],
)
def test_a_path_a_header_and_a_query_have_bounds(changes: dict[str, Any]) -> None:
    answered = web.answer(app, load_event("credits_balances") | changes, CONTEXT)

    assert (answered["statusCode"], json.loads(answered["body"])["code"]) == (413, "too_large")


def test_a_parameter_nobody_knows_is_named() -> None:
    event = load_event("credits_balances")
    event |= {"queryStringParameters": {"limt": "1"}, "multiValueQueryStringParameters": {"limt": ["1"]}}

    answered = web.answer(app, event, CONTEXT)

    assert answered["statusCode"] == 422
    assert json.loads(answered["body"])["errors"][0]["field"] == "/query/limt"


# --- what every answer carries ---


@pytest.mark.parametrize("text", ["hola", "short", "defect"])
def test_every_answer_has_its_requests_id_and_is_kept_nowhere(text: str) -> None:
    _, body, headers = post(asking(text))

    request_id = load_event("credits_refund_refused")["requestContext"]["requestId"]
    assert headers["X-Request-Id"] == [request_id]
    assert (headers["X-Content-Type-Options"], headers["Cache-Control"]) == (["nosniff"], ["no-store"])
    assert body.get("instance") == (None if text == "hola" else f"urn:request:{request_id}")


def test_a_portals_own_id_of_the_request_comes_back_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    _, _, headers = post(asking("hola"), **{"x-request-id": "portal-7.a_b~c"})

    assert headers["X-Correlation-Id"] == ["portal-7.a_b~c"]
    assert vars(caplog.records[-1])["facts"]["correlation"] == "portal-7.a_b~c"


@pytest.mark.parametrize("sent", ["", "a b", "a\r\nSet-Cookie: x", "ñ", "x" * 129])
def test_an_id_that_is_none_is_not_repeated(sent: str, caplog: pytest.LogCaptureFixture) -> None:
    _, _, headers = post(asking("hola"), **{"X-Request-Id": sent})

    assert "X-Correlation-Id" not in headers
    assert vars(caplog.records[-1])["facts"]["correlation"] is None


def test_the_route_says_itself_how_long_its_answer_may_be_kept() -> None:
    answered = call_raw("about", load_event("about_openapi"))

    assert answered["multiValueHeaders"]["Cache-Control"] == ["public, max-age=300"]


# --- the school's minute ---


def counted(event: dict[str, Any], **counts: str) -> dict[str, Any]:
    event["requestContext"]["authorizer"] |= {"limit": "3000", "remaining": "17", "resets": "31"} | counts
    return event


def test_an_answer_says_what_is_left_of_the_schools_minute() -> None:
    answered = web.answer(app, counted(load_event("credits_balances")), CONTEXT)

    assert answered["statusCode"] == 200
    assert answered["multiValueHeaders"]["RateLimit-Policy"] == ['"school";q=3000;w=60']
    assert answered["multiValueHeaders"]["RateLimit"] == ['"school";r=17;t=31']


def test_past_the_limit_nothing_is_done_and_the_answer_says_when_to_come_back() -> None:
    event = counted(load_event("credits_balances"), remaining="0", over="yes")

    answered = web.answer(app, event, CONTEXT)

    headers = answered["multiValueHeaders"]
    assert (answered["statusCode"], json.loads(answered["body"])["code"]) == (429, "too_many_requests")
    assert (headers["Retry-After"], headers["RateLimit"]) == (["31"], ['"school";r=0;t=31'])


def test_where_nothing_was_counted_nothing_is_said() -> None:
    assert "RateLimit" not in web.answer(app, load_event("credits_balances"), CONTEXT)["multiValueHeaders"]


# --- an Idempotency-Key where the route does not read it itself ---


def put(body: str, key: str | None = "k-1", **authorizer: str) -> tuple[int, Any]:
    event = load_event("directory_sms_off") | {"body": body, "resource": "/things/{thing}", "path": "/things/7"}
    event |= {"pathParameters": {"thing": "7"}}
    event["headers"] |= {"Idempotency-Key": key} if key else {}
    event["requestContext"]["authorizer"] |= authorizer
    answered = web.answer(app, event, CONTEXT)
    text = answered["body"]
    return answered["statusCode"], json.loads(text) if text.startswith("{") else text


done: list[str] = []


@app.put("/things/<thing>")
def change(thing: str, body: Asked) -> Response[Any]:
    done.append(body.text)
    match body.text:
        case "refused":
            raise NotEnoughCredits
        case "forbidden":
            raise NotAllowed
        case "broken":
            raise RuntimeError
        case "secret":
            return Response(200, "application/json", json.dumps({"secret": "s3cret", "times": len(done)}))
        case "large":
            return Response(200, "application/json", json.dumps({"text": "a" * 400_000}))
        case "page":
            return Response(200, "text/plain", f"time {len(done)}")
        case "empty":
            return Response(204)
    return Response(200, "application/json", json.dumps({"thing": thing, "times": len(done)}))


@pytest.fixture
def times(aws: None) -> list[str]:
    done.clear()
    return done


@pytest.mark.parametrize("text", ["plain", "empty"])
def test_the_same_write_is_done_once_and_answered_the_same(text: str, times: list[str]) -> None:
    assert put(asking(text)) == put(asking(text))
    assert times == [text]


def test_without_a_key_a_write_is_done_each_time(times: list[str]) -> None:
    put(asking("plain"), None)
    put(asking("plain"), None)

    assert len(times) == 2


def test_the_same_key_with_another_body_or_by_somebody_else_is_refused(times: list[str]) -> None:
    put(asking("plain"))

    assert put(asking("other"))[1]["code"] == "idempotency_key_reused"
    assert put(asking("plain"), subject="another")[1]["code"] == "idempotency_key_reused"
    assert put(asking("plain"), role="teacher")[1]["code"] == "idempotency_key_reused"
    assert times == ["plain"]


def test_after_a_refusal_the_key_may_be_used_again(times: list[str]) -> None:
    assert put(asking("refused")) == put(asking("refused"))
    assert times == ["refused", "refused"]


def test_who_may_not_do_it_has_written_nothing_L2(times: list[str]) -> None:
    assert put(asking("forbidden"))[0] == 403

    assert boto3.client("dynamodb").scan(TableName="PeopleTable")["Items"] == []


def test_while_nobody_knows_what_was_done_the_key_is_busy(times: list[str]) -> None:
    assert put(asking("broken"))[0] == 500

    status, body = put(asking("broken"))

    assert (status, body["code"]) == (409, "still_running")
    assert times == ["broken"]


@pytest.mark.parametrize("text", ["secret", "large", "page"])
def test_an_answer_that_is_a_secret_too_large_or_no_json_is_not_kept_and_worked_out_again(
    text: str, times: list[str]
) -> None:
    first, again = put(asking(text)), put(asking(text))

    assert (first[0], again[0]) == (200, 200)
    assert times == [text, text]
    assert "s3cret" not in str(boto3.client("dynamodb").scan(TableName="PeopleTable")["Items"])


@pytest.mark.parametrize("key", ["ñ", "a|b", "x" * 300])
def test_a_key_that_is_none_is_refused_and_nothing_done(key: str, times: list[str]) -> None:
    status, body = put(asking("plain"), key)

    assert (status, body["errors"][0]["field"]) == (422, "Idempotency-Key")
    assert times == []


def test_the_base_path_of_a_domain_changes_nothing() -> None:
    event = load_event("credits_balances") | {"path": "/v1/credits"}

    assert web.answer(app, event, CONTEXT)["statusCode"] == 200


def test_equal_bodies_to_two_routes_or_two_messages_are_two_requests() -> None:
    event = load_event("credits_balances")
    asked = [
        json.loads(web.answer(app, event | changes, CONTEXT)["body"])["asked"]
        for changes in (
            {},
            {"resource": "/messages/{message_id}/send"},
            {"pathParameters": {"message_id": "m1"}},
            {"pathParameters": {"message_id": "m2"}},
        )
    ]

    assert all(asked.count(one) == 1 for one in asked)
