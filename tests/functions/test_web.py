"""What every function answers when something is wrong: problem+json, and not a word of anybody's data."""

import json
from typing import Annotated, Any, cast

import pytest
from aws_lambda_powertools.event_handler.exceptions import BadRequestError
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, Field

from recado import web
from recado.errors import NotEnoughCredits, StillRunning
from tests.apps import Context, load_event

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
