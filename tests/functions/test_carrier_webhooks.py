"""Webhooks of carriers that have an account with us, and events of AWS's: through the function, with their secrets."""

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from recado import carrier_credentials, clock, inbound
from recado.settings import SETTINGS
from recado.tables import replies, short_codes
from recado.tables.short_codes import Purpose, ShortCode
from tests.apps import Context, call, load_app, load_event
from tests.conftest import client, jobs_on
from tests.permissions import NotPermitted, as_function
from tests.worlds import NOON, SCHOOL, TestClock, create_school

TOKEN = "auth-token-of-tests"
NAME = f"{SETTINGS.carrier_credentials_path}/twilio"


@pytest.fixture(autouse=True)
def world(aws: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(clock, "now", TestClock())
    monkeypatch.setattr(inbound, "SETTINGS", replace(SETTINGS, public_url="https://api.recado.example/v1"))
    carrier_credentials.forget()
    create_school()
    assert short_codes.create_code(ShortCode("CL", "20600", "twilio", Purpose.SCHOOLS, school=SCHOOL))
    yield
    carrier_credentials.forget()


def put_credentials(value: str) -> None:
    client("ssm").put_parameter(Name=NAME, Value=value, Type="SecureString")


def put_account(**changes: Any) -> None:
    put_credentials(json.dumps({"user": "AC0123456789abcdef", "password": TOKEN} | changes))


def test_a_form_that_twilio_signed_is_a_receipt_by_the_reference_in_its_query() -> None:
    put_account()

    assert call("inbound", load_event("inbound_twilio_receipt")) == (200, {"taken": 1, "malformed": []})

    [job] = jobs_on("ReceiptsQueue")
    [[reference, carrier_id, state, part, _]] = json.loads(job)["receipts"]
    query = load_event("inbound_twilio_receipt")["queryStringParameters"]
    assert (reference, carrier_id, state, part) == (query["reference"], None, "delivered", 0)


def test_a_form_that_twilio_signed_is_a_reply_once_however_often_it_comes() -> None:
    put_account()

    for _ in range(2):
        assert call("inbound", load_event("inbound_twilio_reply")) == (200, {"taken": 1})

    [reply] = replies.list_replies(SCHOOL, limit=10)[0]
    assert (reply.text, reply.number, reply.code, reply.received_at) == (
        "Gracias, ñandú",
        "+56900000000",
        "20600",
        NOON,
    )


@pytest.mark.parametrize("changed", ["query", "body", "other route", "no query", "a header of that name"])
def test_what_twilio_did_not_sign_is_401_and_changes_nothing(changed: str) -> None:
    put_account()
    event = load_event("inbound_twilio_receipt")
    if changed == "query":
        event["multiValueQueryStringParameters"]["reference"] = ["m.x.y.z.0.0"]
    elif changed == "body":
        event["body"] = event["body"].replace("delivered", "undelivered")
    elif changed == "other route":
        event |= {"path": "/carriers/twilio/replies", "resource": "/carriers/{carrier}/replies"}
    elif changed == "no query":
        event |= {"queryStringParameters": None, "multiValueQueryStringParameters": None}
    else:  # who asks for one thing cannot have another checked
        query = event["queryStringParameters"]["reference"]
        event["headers"][":path"] = f"/carriers/twilio/receipts?reference={query}"
        event["multiValueQueryStringParameters"] = {"reference": ["m.x.y.z.0.0"]}

    status, body = call("inbound", event)

    assert (status, body["code"]) == (401, "bad_signature")
    assert jobs_on("ReceiptsQueue") == []


@pytest.mark.parametrize("value", [None, "no JSON", "[]", "7", "{}", '{"password": 7}'])
def test_without_credentials_nothing_of_that_carrier_is_believed(value: str | None) -> None:
    if value is not None:
        put_credentials(value)

    status, body = call("inbound", load_event("inbound_twilio_receipt"))

    assert (status, body["code"]) == (401, "bad_signature")


def test_credentials_are_read_again_after_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    assert call("inbound", load_event("inbound_twilio_receipt"))[0] == 401
    put_account()

    assert call("inbound", load_event("inbound_twilio_receipt"))[0] == 401
    monkeypatch.setattr(carrier_credentials, "KEPT_SECONDS", -1.0)
    assert call("inbound", load_event("inbound_twilio_receipt"))[0] == 200


def test_a_token_signs_its_own_carriers_webhooks_and_no_other_account_does() -> None:
    put_account(password="another-token", signing_secrets=[TOKEN])  # while the token changes

    assert call("inbound", load_event("inbound_twilio_receipt"))[0] == 200
    assert inbound.account_of("signed_webhook").password == ""


def test_who_sends_may_read_the_account_and_nobody_else_has_its_password() -> None:
    put_account(sender="MG0123")

    with as_function("dispatch"):
        account = inbound.account_of("twilio")

    assert (account.user, account.password, account.sender) == ("AC0123456789abcdef", TOKEN, "MG0123")
    assert account.secrets_to_carrier == ()
    carrier_credentials.forget()
    with as_function("send"), pytest.raises(NotPermitted):
        inbound.account_of("twilio")


def test_neither_token_nor_number_nor_text_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    put_account()
    for event in ("inbound_twilio_receipt", "inbound_twilio_reply", "inbound_delivery_event"):
        load_app("inbound").handler(load_event(event), Context())

    written = "".join(repr(vars(record)) for record in caplog.records if record.name == "recado")

    assert "reply_taken" in written
    assert [one for one in (TOKEN, "56900000000", "Gracias", "AC0123") if one in written] == []


def test_an_event_of_awss_on_the_topic_is_a_receipt_by_our_reference() -> None:
    load_app("inbound").handler(load_event("inbound_delivery_event"), Context())

    [job] = jobs_on("ReceiptsQueue")
    reference = json.loads(load_event("inbound_delivery_event")["Records"][0]["Sns"]["Message"])["context"]["reference"]
    at = int(datetime(2026, 11, 23, 12, 0, tzinfo=UTC).timestamp())
    assert json.loads(job) == {"carrier": "end_user_messaging", "receipts": [[reference, None, "delivered", 0, at]]}
    assert replies.list_replies(SCHOOL, limit=10)[0] == []


def test_an_event_of_somebody_elses_text_is_logged_and_holds_up_nobody() -> None:
    event = load_event("inbound_delivery_event")
    foreign = json.loads(json.dumps(event["Records"][0]))
    foreign["Sns"]["Message"] = foreign["Sns"]["Message"].replace('"reference"', '"theirs"')
    event["Records"].insert(0, foreign)

    load_app("inbound").handler(event, Context())

    assert len(jobs_on("ReceiptsQueue")) == 1
