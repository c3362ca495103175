"""SNS as a carrier, its own: what Publish says, on moto and by error code; replies and delivery log as AWS writes them.

What every carrier must do is in `test_every_carrier.py`.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectTimeoutError, CredentialRetrievalError, NoCredentialsError, ReadTimeoutError
from moto.backends import get_backend

from recado.carriers import sns
from recado.carriers.speech import (
    Accepted,
    Account,
    Answer,
    BadWebhook,
    Outgoing,
    Refused,
    RefusedBecause,
    Unknown,
)
from recado.rules.delivery_states import Receipt

TEXTS = [Outgoing(f"m.s.id.p.0.{i}", f"+5690000000{i}", "+56200000001", "Hola", 60) for i in range(3)]


@pytest.fixture(autouse=True)
def fresh_client(aws: None) -> Iterator[None]:
    sns._client.cache_clear()
    yield
    sns._client.cache_clear()


def send() -> list[Answer]:
    return sns.send(TEXTS, Account(), lambda: True)


def sent() -> list[tuple[Any, ...]]:
    return [tuple(message) for message in get_backend("sns")["123456789012"]["us-east-1"].sms_messages.values()]


def error_answer(code: str, status: int, message: str = "x") -> AWSResponse:
    body = f"<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    response = AWSResponse("https://sns", status, {"Content-Type": "text/xml"}, None)
    response._content = body.encode()
    return response


def test_each_text_is_published_once_and_answered_in_order() -> None:
    answers = send()

    assert all(isinstance(answer, Accepted) and answer.carrier_id for answer in answers)
    assert sorted(message[0] for message in sent()) == [text.to for text in TEXTS]


def test_a_lost_answer_is_unknown_and_the_sdk_does_not_send_a_second_sms() -> None:
    def lose_answer(request: Any, **_: Any) -> None:
        raise ReadTimeoutError(endpoint_url=request.url)

    sns._client().meta.events.register_last("before-send", lose_answer)

    answers = send()

    assert answers == [Unknown("ReadTimeoutError")] * 3
    assert len(sent()) == 3


def test_a_request_that_never_left_is_not_taken() -> None:
    def lose_request(request: Any, **_: Any) -> None:
        raise ConnectTimeoutError(endpoint_url=request.url)

    sns._client().meta.events.register_first("before-send", lose_request)

    assert send() == [Refused(RefusedBecause.FOR_NOW, "ConnectTimeoutError")] * 3
    assert sent() == []


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("OptedOut", 400, Refused(RefusedBecause.BLOCKED, "OptedOut")),
        ("Throttling", 400, Refused(RefusedBecause.FOR_NOW, "Throttling")),
        ("AuthorizationError", 403, Refused(RefusedBecause.ROUTE, "AuthorizationError")),
        ("AccessDenied", 403, Refused(RefusedBecause.ROUTE, "AccessDenied")),
        ("InternalError", 500, Unknown("InternalError")),
        ("ServiceUnavailable", 503, Unknown("ServiceUnavailable")),
        ("SomethingNew", 400, Refused(RefusedBecause.ROUTE, "SomethingNew")),
        ("SomethingNew", 500, Unknown("SomethingNew")),
        ("InvalidSecurity", 403, Refused(RefusedBecause.ROUTE, "InvalidSecurity")),
        ("RequestLimitExceeded", 503, Refused(RefusedBecause.FOR_NOW, "RequestLimitExceeded")),
        ("RequestTimeout", 400, Unknown("RequestTimeout")),
    ],
)
def test_an_error_of_publish_means_what_its_table_says_and_without_a_row_goes_by_its_status(
    code: str, status: int, expected: Answer
) -> None:
    sns._client().meta.events.register_first("before-send", lambda **_: error_answer(code, status))

    assert send() == [expected] * 3


@pytest.mark.parametrize("code", ["InvalidParameter", "ParameterValueInvalid"])
@pytest.mark.parametrize(
    ("message", "because"),
    [
        ("Invalid parameter: PhoneNumber Reason: +5690 is not valid to publish to", RefusedBecause.WRONG_NUMBER),
        ("Invalid parameter: Message too long", RefusedBecause.BLOCKED),
        ("Invalid parameter: The account has no such origination number", RefusedBecause.ROUTE),
        ("Invalid parameter: MaxPrice", RefusedBecause.ROUTE),
    ],
)
def test_a_parameter_that_is_not_valid_is_the_numbers_fault_only_where_it_is_the_number(
    code: str, message: str, because: RefusedBecause
) -> None:
    sns._client().meta.events.register_first("before-send", lambda **_: error_answer(code, 400, message))

    assert send() == [Refused(because, code)] * 3


def test_every_error_of_publish_in_the_services_model_is_certain_unless_it_is_the_services_own() -> None:
    shapes = sns._client().meta.service_model.operation_model("Publish").error_shapes

    for shape in shapes:
        error = shape.metadata["error"]
        answer = sns._refused(
            {
                "Error": {"Code": error["code"], "Message": "x"},
                "ResponseMetadata": {"HTTPStatusCode": error["httpStatusCode"]},
            }
        )
        assert isinstance(answer, Unknown) is (error["code"] == "InternalError"), error["code"]


@pytest.mark.parametrize("error", [CredentialRetrievalError(provider="x", error_msg="x"), NoCredentialsError()])
def test_without_credentials_nothing_was_said(error: Exception) -> None:
    def fail(**_: Any) -> None:
        raise error

    sns._client().meta.events.register_first("before-send", fail)

    assert send() == [Refused(RefusedBecause.ROUTE, type(error).__name__)] * 3


def test_a_text_says_that_it_is_transactional_and_from_which_number() -> None:
    attributes: list[str] = []
    sns._client().meta.events.register_first("before-send", lambda request, **_: attributes.append(request.body))

    send()

    assert all(b"Transactional" in body and b"%2B56200000001" in body for body in map(_bytes, attributes))


@pytest.mark.parametrize(("text", "limit"), [("Hola", b"0.0500"), ("x" * 161, b"0.1000"), ("á" * 71, b"0.1000")])
def test_a_text_costs_no_more_than_its_parts_may(text: str, limit: bytes) -> None:
    bodies: list[Any] = []
    sns._client().meta.events.register_first("before-send", lambda request, **_: bodies.append(request.body))

    sns.send([replace(TEXTS[0], text=text)], Account(part_price_max=Decimal("0.05")), lambda: True)

    [body] = map(_bytes, bodies)
    assert b"AWS.SNS.SMS.MaxPrice" in body
    assert limit in body


def test_what_the_sdk_itself_refuses_was_not_taken_and_is_ours_to_mend() -> None:
    [answer] = sns.send([replace(TEXTS[0], text=7)], Account(), lambda: True)  # type: ignore[arg-type]

    assert answer == Refused(RefusedBecause.ROUTE, "ParamValidationError")


def _bytes(body: Any) -> bytes:
    return body if isinstance(body, bytes) else str(body).encode()


def test_a_webhook_over_http_is_never_sns() -> None:
    assert not sns.verify({}, b"{}", Account(), datetime(2026, 11, 23, tzinfo=UTC))


def two_way(**changes: Any) -> bytes:
    payload = {
        "originationNumber": "+18095550142",
        "destinationNumber": "+18295550100",
        "messageKeyword": "KEYWORD_18295550100",
        "messageBody": "Llego en 10 min",
        "inboundMessageId": "0d1f6a1e-6f0e-5a4b-9f0c-3e0b3c7e9a11",
    }
    return json.dumps({"Message": json.dumps(payload | changes), "Timestamp": "2026-11-23T12:00:00.123Z"}).encode()


def test_a_two_way_reply_is_read_with_the_topics_time() -> None:
    [reply] = sns.read_replies(two_way())

    assert (reply.handset, reply.code, reply.text) == ("+18095550142", "+18295550100", "Llego en 10 min")
    assert reply.sent_at == datetime(2026, 11, 23, 12, 0, 0, 123000, tzinfo=UTC)


def test_a_two_way_reply_without_a_character_is_a_reply() -> None:
    assert [reply.text for reply in sns.read_replies(two_way(messageBody=""))] == [""]


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"Message": "no"}',
        two_way(originationNumber="8095550142"),
        two_way(inboundMessageId=None),
        two_way(inboundMessageId=""),
        two_way(messageBody=None),
        two_way(messageBody={"a": 1}),
        two_way(destinationNumber=44101),
        two_way().replace(b"00.123Z", b"00.123"),
        b"[" * 100_000,
    ],
)
def test_a_two_way_message_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(BadWebhook):
        sns.read_replies(body)


def delivery_line(status: str, said: str) -> bytes:
    return json.dumps(
        {
            "notification": {"messageId": "34d9b400-0000-5444-820d-000000000001"},
            "delivery": {"destination": "+56912345678", "providerResponse": said},
            "status": status,
        }
    ).encode()


@pytest.mark.parametrize(
    ("status", "said", "state"),
    [
        ("SUCCESS", "Message has been accepted by phone carrier", Receipt.DELIVERED),
        ("FAILURE", "+56912345678 is opted out", Receipt.BLOCKED),
        ("FAILURE", "Phone number is opted out", Receipt.BLOCKED),
        ("FAILURE", "Phone has blocked SMS", Receipt.BLOCKED),
        ("FAILURE", "Blocked as spam by phone carrier", Receipt.BLOCKED),
        ("FAILURE", "Phone carrier has blocked this message", Receipt.BLOCKED),
        ("FAILURE", "Destination is on a blocked list", Receipt.BLOCKED),
        ("FAILURE", "Phone is on a blocked list", Receipt.BLOCKED),
        ("FAILURE", "Phone is blacklisted", Receipt.BLOCKED),
        ("FAILURE", "This delivery would exceed max price", Receipt.BLOCKED),
        ("FAILURE", "Message body is invalid", Receipt.BLOCKED),
        ("FAILURE", "Invalid phone number", Receipt.WRONG_NUMBER),
        ("FAILURE", "Phone is currently unreachable/unavailable", Receipt.UNREACHABLE),
        ("FAILURE", "Phone carrier is currently unreachable/unavailable", Receipt.UNREACHABLE),
        ("FAILURE", "Unknown error attempting to reach phone", Receipt.UNREACHABLE),
        ("FAILURE", "No quota left for account", Receipt.UNREACHABLE),
        ("FAILURE", "Something new", Receipt.UNREACHABLE),
        ("FAILURE", "", Receipt.UNREACHABLE),
    ],
)
def test_a_line_of_the_delivery_log_is_a_receipt_by_the_carriers_id(status: str, said: str, state: Receipt) -> None:
    [receipt] = sns.read_receipts(delivery_line(status, said))

    assert (receipt.carrier_id, receipt.reference, receipt.state) == (
        "34d9b400-0000-5444-820d-000000000001",
        None,
        state,
    )


@pytest.mark.parametrize(
    ("started", "took", "at"),
    [
        ("2026-11-23 12:00:00.558", {"dwellTimeMs": 599, "dwellTimeMsUntilDeviceAck": 1344}, "12:00:01.902"),
        ("2026-11-23 12:00:00.558", {"dwellTimeMs": 599}, "12:00:01.157"),
        ("2026-11-23 12:00:00.558", {}, "12:00:00.558"),
        (None, {"dwellTimeMs": 599}, None),
        ("yesterday", {"dwellTimeMs": 599}, None),
        (1795435200000, {}, None),
        ("2026-11-23 12:00:00.558", {"dwellTimeMs": "soon"}, None),
        ("2026-11-23 12:00:00.558", {"dwellTimeMs": 1e300}, None),
    ],
)
def test_a_line_says_when_it_was_reported_or_is_a_receipt_without_a_time(
    started: Any, took: dict[str, Any], at: str | None
) -> None:
    line = json.loads(delivery_line("SUCCESS", ""))
    line["notification"] |= {"timestamp": started}
    line["delivery"] |= took

    [receipt] = sns.read_receipts(json.dumps(line).encode())

    assert receipt.at == (datetime.fromisoformat(f"2026-11-23T{at}Z") if at else None)


LINE = {"notification": {"messageId": "x"}, "delivery": {}, "status": "SUCCESS"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"notification": 7}',
        b'{"notification": {"messageId": "x"}}',
        *(json.dumps(LINE | {"status": status}).encode() for status in ("PENDING", None, 7, ["SUCCESS"])),
        *(json.dumps(LINE | {"notification": {"messageId": one}}).encode() for one in (None, 7, "", "x" * 129)),
    ],
)
def test_a_line_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(BadWebhook):
        sns.read_receipts(body)


def test_the_client_never_retries() -> None:
    config = sns._client().meta.config

    assert config.retries["total_max_attempts"] == 1
    assert boto3.client("sns").meta.config is not config
