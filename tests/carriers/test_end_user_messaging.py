"""AWS End User Messaging's own: its request and errors held to botocore's service model, its events as AWS writes them.

What every carrier must do is in `test_every_carrier.py`.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber

from recado.carriers import end_user_messaging
from recado.carriers.speech import Accepted, Account, Answer, BadWebhook, Outgoing, Refused, RefusedBecause, Unknown
from recado.rules.delivery_states import Receipt
from tests.conftest import resources

SERVICE = "pinpoint-sms-voice-v2"
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TEXT = Outgoing("m.los-aromos.mabc.qj2xk.0.17", "+56900000001", "+56200000001", "Hola ñandú", 600)
REQUEST = {
    "DestinationPhoneNumber": "+56900000001",
    "OriginationIdentity": "+56200000001",
    "MessageBody": "Hola ñandú",
    "MessageType": "TRANSACTIONAL",
    "TimeToLive": 600,
    "Context": {"reference": "m.los-aromos.mabc.qj2xk.0.17"},
}
DESTINATION = [{"Name": "DestinationPhoneNumber", "Message": "+56900000001 is no number"}]


@pytest.fixture
def stubber() -> Iterator[Stubber]:
    end_user_messaging._client.cache_clear()
    with Stubber(end_user_messaging._client()) as found:
        yield found
        found.assert_no_pending_responses()
    end_user_messaging._client.cache_clear()


def model() -> Any:
    return botocore.session.get_session().get_service_model(SERVICE)


def reasons_of(exception: str) -> set[str]:
    """Every `Reason` that the model lists for an exception."""
    shape = model().shape_for(exception)
    return set(shape.members["Reason"].enum) if "Reason" in shape.members else set()


def send(text: Outgoing = TEXT, account: Account | None = None) -> Answer:
    [answer] = end_user_messaging.send([text], account or Account(), lambda: True)
    return answer


def send_refused(stubber: Stubber, exception: str, **members: Any) -> Answer:
    stubber.add_client_error("send_text_message", exception, modeled_fields=members)
    return send()


def test_a_text_is_sent_with_our_reference_its_validity_and_its_sender(stubber: Stubber) -> None:
    stubber.add_response("send_text_message", {"MessageId": "id-1"}, REQUEST)

    assert send() == Accepted("id-1")


def test_a_text_without_a_sender_names_none_so_that_aws_chooses(stubber: Stubber) -> None:
    expected = {name: value for name, value in REQUEST.items() if name != "OriginationIdentity"}
    stubber.add_response("send_text_message", {"MessageId": "id-1"}, expected)

    assert send(replace(TEXT, sender="")) == Accepted("id-1")


def test_the_configuration_set_and_the_price_of_all_parts_go_along(stubber: Stubber) -> None:
    long_text = "x" * 161
    expected = REQUEST | {"ConfigurationSetName": "recado", "MaxPrice": "0.1000", "MessageBody": long_text}
    stubber.add_response("send_text_message", {"MessageId": "id-1"}, expected)

    account = Account(configuration_set="recado", part_price_max=Decimal("0.05"))

    assert send(replace(TEXT, text=long_text), account) == Accepted("id-1")


@pytest.mark.parametrize(("validity", "seconds"), [(1, 5), (5, 5), (600, 600), (259_200, 259_200), (400_000, 259_200)])
def test_the_time_to_live_is_within_what_the_service_takes(stubber: Stubber, validity: int, seconds: int) -> None:
    shape = model().shape_for("TimeToLive")
    stubber.add_response("send_text_message", {"MessageId": "id-1"}, REQUEST | {"TimeToLive": seconds})

    assert send(replace(TEXT, validity_seconds=validity)) == Accepted("id-1")
    assert shape.metadata["min"] <= seconds <= shape.metadata["max"]


@pytest.mark.parametrize("price", ["0", "0.05", "12", "99.9999"])
@pytest.mark.parametrize("parts", [1, 10])
def test_a_price_is_written_as_the_service_reads_it(price: str, parts: int) -> None:
    text = replace(TEXT, text="x" * (153 * parts if parts > 1 else 1))

    written = end_user_messaging._request(text, Account(part_price_max=Decimal(price)))["MaxPrice"]

    whole, _, decimals = written.partition(".")
    metadata = model().shape_for("MaxPrice").metadata
    assert metadata["min"] <= len(written) <= metadata["max"]
    assert len(whole) <= 2  # [0-9]{0,2}\.[0-9]{1,5}
    assert 1 <= len(decimals) <= 5
    assert (whole + decimals).isdecimal()


def test_an_answer_without_an_id_is_not_believed(stubber: Stubber) -> None:
    stubber.add_response("send_text_message", {}, REQUEST)

    assert send() == Unknown("no_message_id")


@pytest.mark.parametrize(
    ("exception", "members", "expected"),
    [
        ("ThrottlingException", {}, Refused(RefusedBecause.FOR_NOW, "ThrottlingException")),
        ("AccessDeniedException", {"Reason": "ACCOUNT_DISABLED"}, Refused(RefusedBecause.ROUTE, "ACCOUNT_DISABLED")),
        ("AccessDeniedException", {}, Refused(RefusedBecause.ROUTE, "AccessDeniedException")),
        (
            "ResourceNotFoundException",
            {"ResourceType": "phone-number", "ResourceId": "+56200000001"},
            Refused(RefusedBecause.ROUTE, "ResourceNotFoundException"),
        ),
        (
            "ServiceQuotaExceededException",
            {"Reason": "MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT"},
            Refused(RefusedBecause.ROUTE, "MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT"),
        ),
        (
            "ConflictException",
            {"Reason": "DESTINATION_PHONE_NUMBER_OPTED_OUT"},
            Refused(RefusedBecause.BLOCKED, "DESTINATION_PHONE_NUMBER_OPTED_OUT"),
        ),
        (
            "ConflictException",
            {"Reason": "DESTINATION_PHONE_NUMBER_NOT_VERIFIED"},
            Refused(RefusedBecause.ROUTE, "DESTINATION_PHONE_NUMBER_NOT_VERIFIED"),
        ),
        ("ConflictException", {"Reason": "KEYWORD_MISMATCH"}, Refused(RefusedBecause.ROUTE, "KEYWORD_MISMATCH")),
        (
            "ValidationException",
            {"Reason": "INVALID_PARAMETER", "Fields": DESTINATION},
            Refused(RefusedBecause.WRONG_NUMBER, "INVALID_PARAMETER"),
        ),
        (
            "ValidationException",
            {"Reason": "INVALID_PARAMETER", "Fields": [{"Name": "OriginationIdentity", "Message": "x"}]},
            Refused(RefusedBecause.ROUTE, "INVALID_PARAMETER"),
        ),
        (
            "ValidationException",
            {"Reason": "FIELD_VALIDATION_FAILED", "Fields": [{"Name": "MessageBody", "Message": "x"}]},
            Refused(RefusedBecause.BLOCKED, "FIELD_VALIDATION_FAILED"),
        ),
        ("ValidationException", {"Reason": "CANNOT_PARSE"}, Refused(RefusedBecause.ROUTE, "CANNOT_PARSE")),
        (
            "ValidationException",
            {"Reason": "PRICE_OVER_THRESHOLD"},
            Refused(RefusedBecause.BLOCKED, "PRICE_OVER_THRESHOLD"),
        ),
        ("ValidationException", {"Reason": "OTHER"}, Refused(RefusedBecause.ROUTE, "OTHER")),
        ("ValidationException", {}, Refused(RefusedBecause.ROUTE, "ValidationException")),
        ("SomethingNew", {}, Refused(RefusedBecause.ROUTE, "SomethingNew")),
    ],
)
def test_an_exception_means_what_the_table_says(
    stubber: Stubber, exception: str, members: dict[str, Any], expected: Answer
) -> None:
    assert send_refused(stubber, exception, **members) == expected


@pytest.mark.parametrize("exception", ["InternalServerException", "SomethingNew"])
def test_an_exception_without_a_row_is_ambiguous_where_its_status_is(stubber: Stubber, exception: str) -> None:
    stubber.add_client_error("send_text_message", exception, http_status_code=500)

    assert send() == Unknown(exception)


def test_every_exception_and_reason_of_the_table_is_in_the_services_model() -> None:
    named = {shape.name for shape in model().operation_model("SendTextMessage").error_shapes}
    signing = {"UnrecognizedClientException", "InvalidSignatureException", "ExpiredTokenException"}

    for exception, reason in end_user_messaging.ERRORS:
        assert exception in named | signing
        assert not reason or reason in reasons_of(exception), reason


def test_every_exception_of_the_model_is_in_the_table_or_ambiguous_on_purpose() -> None:
    named = {shape.name for shape in model().operation_model("SendTextMessage").error_shapes}

    assert named - {exception for exception, _ in end_user_messaging.ERRORS} == {"InternalServerException"}


def test_who_sends_may_send_from_this_account_only() -> None:
    policies = resources("AWS::Serverless::Function")["Dispatch"]["Policies"]
    statements = [
        one for policy in policies for one in policy["Statement"] if "sms-voice:SendTextMessage" in one["Action"]
    ]

    assert [one["Resource"] for one in statements] == [
        [{"Fn::Sub": "arn:${AWS::Partition}:sms-voice:${AWS::Region}:${AWS::AccountId}:*"}]
    ]


def test_a_refusals_code_never_says_a_number(stubber: Stubber) -> None:
    answer = send_refused(stubber, "ValidationException", Reason="INVALID_PARAMETER", Fields=DESTINATION)

    assert "+56900000001" not in repr(answer)


def test_the_client_never_retries() -> None:
    end_user_messaging._client.cache_clear()

    assert end_user_messaging._client().meta.config.retries["total_max_attempts"] == 1


def test_a_webhook_over_http_is_never_awss() -> None:
    assert not end_user_messaging.verify({}, b"{}", Account(), NOON)


# --- events -----------------------------------------------------------------------------------------------------------


def record(message: Any) -> bytes:
    return json.dumps({"Message": json.dumps(message), "Timestamp": "2026-11-23T12:00:00.123Z"}).encode()


def event(kind: str = "TEXT_DELIVERED", **changes: Any) -> bytes:
    """A text's event, as the service's documentation shows it."""
    found = {
        "eventType": kind,
        "eventVersion": "1.0",
        "eventTimestamp": 1795435200123,
        "isFinal": True,
        "originationPhoneNumber": "+56200000001",
        "destinationPhoneNumber": "+56900000001",
        "messageId": "6c0c3c64-0000-4000-8000-00000000c0de",
        "messageStatus": "DELIVERED",
        "context": {"reference": TEXT.reference},
        "totalMessageParts": 1,
        "totalMessagePrice": 0.0512,
    }
    return record(found | changes)


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        ("TEXT_DELIVERED", Receipt.DELIVERED),
        ("TEXT_UNREACHABLE", Receipt.UNREACHABLE),
        ("TEXT_CARRIER_UNREACHABLE", Receipt.UNREACHABLE),
        ("TEXT_TTL_EXPIRED", Receipt.UNREACHABLE),
        ("TEXT_INVALID", Receipt.WRONG_NUMBER),
        ("TEXT_INVALID_MESSAGE", Receipt.BLOCKED),
        ("TEXT_BLOCKED", Receipt.BLOCKED),
        ("TEXT_CARRIER_BLOCKED", Receipt.BLOCKED),
        ("TEXT_SPAM", Receipt.BLOCKED),
        ("TEXT_PROTECT_BLOCKED", Receipt.BLOCKED),
    ],
)
def test_an_event_is_a_receipt_by_our_reference_with_its_time(kind: str, state: Receipt) -> None:
    [receipt] = end_user_messaging.read_receipts(event(kind))

    assert (receipt.reference, receipt.carrier_id, receipt.state, receipt.part) == (TEXT.reference, None, state, 0)
    assert receipt.at == NOON.replace(microsecond=123000)


@pytest.mark.parametrize("kind", ["TEXT_QUEUED", "TEXT_PENDING", "TEXT_SENT", "TEXT_SUCCESSFUL", "TEXT_UNKNOWN"])
def test_an_event_that_proves_nothing_about_the_handset_is_no_receipt(kind: str) -> None:
    assert end_user_messaging.read_receipts(event(kind)) == []


def test_every_event_of_a_text_that_the_model_knows_is_in_the_table() -> None:
    known = {name for name in model().shape_for("EventType").enum if name.startswith("TEXT_")} - {"TEXT_ALL"}

    assert end_user_messaging.EVENTS.keys() == known


@pytest.mark.parametrize("at", [None, "soon", 1e300, True])
def test_a_receipt_is_not_lost_for_a_time_that_is_none(at: Any) -> None:
    [receipt] = end_user_messaging.read_receipts(event(eventTimestamp=at))

    assert receipt.state is Receipt.DELIVERED


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (event("TEXT_NEW"), "/Message/eventType"),
        (event("VOICE_COMPLETED"), "/Message/eventType"),
        (event([]), "/Message/eventType"),  # type: ignore[arg-type]
        (event(context=None), "/Message/context/reference"),
        (event(context={}), "/Message/context/reference"),
        (event(context=[]), "/Message/context/reference"),
        (event(context={"reference": 7}), "/Message/context/reference"),
        (record([]), "/Message/eventType"),
        (b"{}", "/Message/eventType"),
    ],
)
def test_an_event_that_is_none_of_ours_is_refused_by_its_place(body: bytes, place: str) -> None:
    with pytest.raises(BadWebhook) as refused:
        end_user_messaging.read_receipts(body)

    assert refused.value.place == place


def test_an_event_and_a_reply_are_told_apart_on_one_topic() -> None:
    reply = {"originationNumber": "+18095550142", "messageBody": "eventType", "inboundMessageId": "i-1"}

    assert end_user_messaging.is_event(event())
    assert [end_user_messaging.is_event(body) for body in (record(reply), record(7), b"{}", b"[", b"7")] == [False] * 5


def test_a_reply_is_read_as_that_of_any_number_of_awss() -> None:
    payload = {
        "originationNumber": "+18095550142",
        "destinationNumber": "+18295550100",
        "messageBody": "Llego en 10 min",
        "inboundMessageId": "i-1",
    }

    [reply] = end_user_messaging.read_replies(record(payload))

    assert (reply.id, reply.handset, reply.code, reply.text) == (
        "i-1",
        "+18095550142",
        "+18295550100",
        "Llego en 10 min",
    )
