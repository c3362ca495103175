"""Amazon SNS `Publish` to a phone number. One text per call, spoken concurrently over kept-alive connections.

`sns:Publish` takes no idempotency token and the SDK's own retries send twice: here it never retries.
SNS does not echo our reference: each accepted text gets a lookup row (`ECHOES_REFERENCE`).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import boto3

from recado.carriers import aws_calls
from recado.carriers.outgoing_calls import ID_LENGTH_MAX, each, price_max
from recado.carriers.speech import (
    Account,
    Answer,
    BadWebhook,
    Headers,
    IncomingReceipt,
    IncomingReply,
    Outgoing,
    Refused,
    RefusedBecause,
    storable,
)
from recado.rules.delivery_states import WHOLE_MESSAGE, Receipt
from recado.rules.phone_numbers import is_e164

ECHOES_REFERENCE = False
NEEDS_CREDENTIALS = False  # the function's own role
DEDUPES = False

# Error codes of Publish (SNS API reference, "Publish" and "Common errors"; service model 2010-03-31) → what each means
# here. What has no row goes by its HTTP status.
ERRORS = {
    "InvalidParameter": RefusedBecause.WRONG_NUMBER,  # when its message names the number, as below; else ours to mend
    "ParameterValueInvalid": RefusedBecause.WRONG_NUMBER,  # likewise
    "OptedOut": RefusedBecause.BLOCKED,  # the number is on the account's opt-out list
    "Throttling": RefusedBecause.FOR_NOW,  # too many requests
    "ThrottledException": RefusedBecause.FOR_NOW,  # likewise
    "Throttled": RefusedBecause.FOR_NOW,  # likewise
    "AuthorizationError": RefusedBecause.ROUTE,  # our role may not publish
    "AccessDenied": RefusedBecause.ROUTE,  # likewise
    "AccessDeniedException": RefusedBecause.ROUTE,  # likewise
    "InvalidClientTokenId": RefusedBecause.ROUTE,  # our key is none
    "SignatureDoesNotMatch": RefusedBecause.ROUTE,  # our secret is not right
    "ExpiredToken": RefusedBecause.ROUTE,  # our session is over
    "UserError": RefusedBecause.ROUTE,  # the account may not send texts, or not from this region
    "ValidationException": RefusedBecause.ROUTE,  # a parameter, and it does not say which
}
# What those that are about a parameter say of it, in their message → what it means; without a row it is ours to mend.
PARAMETERS = {
    "PhoneNumber": RefusedBecause.WRONG_NUMBER,  # "Invalid parameter: PhoneNumber Reason: … is not valid to publish to"
    "Message too long": RefusedBecause.BLOCKED,  # more than 1,600 characters: no number's fault
}
BY_PARAMETER = frozenset({"InvalidParameter", "ParameterValueInvalid"})

# `status` of the delivery log, and for a failure the sentence in `providerResponse` ("Viewing Amazon CloudWatch metrics
# and logs for SMS deliveries", reasons) → its receipt; the first that stands in it holds. Without a row: unreachable.
DELIVERED, FAILED = "SUCCESS", "FAILURE"
SENTENCES = {
    "opted out": Receipt.BLOCKED,  # "Phone number is opted out", also with the number itself
    "phone has blocked sms": Receipt.BLOCKED,  # the subscriber takes none; also said of the first opt-out
    "blocked as spam": Receipt.BLOCKED,  # taken for spam by the phone carrier
    "has blocked this message": Receipt.BLOCKED,  # the phone carrier bars it
    "on a blocked list": Receipt.BLOCKED,  # of the destination or the phone
    "blacklisted": Receipt.BLOCKED,  # what those lists were called before
    "exceed max price": Receipt.BLOCKED,  # dearer than MaxPrice: our own rule
    "message body is invalid": Receipt.BLOCKED,  # no number's fault
    "invalid phone number": Receipt.WRONG_NUMBER,  # no such number
    "unreachable/unavailable": Receipt.UNREACHABLE,  # the phone, or its carrier
    "unknown error": Receipt.UNREACHABLE,  # "Unknown error attempting to reach phone"
    "no quota left": Receipt.UNREACHABLE,  # the account's spend limit of the month
}
# Fields of a two-way message that a reply is made of, their shortest and their longest.
TWO_WAY = {
    "inboundMessageId": (1, ID_LENGTH_MAX),
    "originationNumber": (1, 20),
    "destinationNumber": (1, 20),
    "messageBody": (0, 5000),
}


def send(texts: Sequence[Outgoing], account: Account, may_start: Callable[[], bool]) -> list[Answer]:
    """Publishes each text once; answers one for one, in order. Threads are joined before it returns."""
    client = _client()  # before the threads: boto3 makes no client safely on several at once
    return each(texts, may_start, lambda text: _publish(client, text, account))


def verify(headers: Headers, body: bytes, account: Account, now: datetime) -> bool:
    """Never over HTTP: SNS and CloudWatch Logs invoke the function themselves, by the permissions in the template."""
    return False


def read_replies(body: bytes) -> list[IncomingReply]:
    """The reply in one two-way message of an SNS topic (AWS End User Messaging, two-way payload). Raises BadWebhook.

    `body` is the SNS record, `{"Message": "<json>", "Timestamp": …}`: order is by that timestamp, not by arrival.
    A long message comes whole: the payload has no field for parts.
    """
    try:
        record = json.loads(body)
        payload = json.loads(record["Message"])
        sent_at = datetime.fromisoformat(record["Timestamp"])
        fields = [payload[name] for name in TWO_WAY]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadWebhook("/Message") from error
    if sent_at.tzinfo is None:
        raise BadWebhook("/Timestamp")
    for name, value in zip(TWO_WAY, fields, strict=True):
        if not isinstance(value, str) or not TWO_WAY[name][0] <= len(value) <= TWO_WAY[name][1]:
            raise BadWebhook(f"/Message/{name}")
    reply_id, handset, code, text = map(storable, fields)
    if not is_e164(handset):
        raise BadWebhook("/Message/originationNumber")
    return [IncomingReply(reply_id, handset, code, text, sent_at.astimezone(UTC))]


def read_receipts(body: bytes, query: str = "") -> list[IncomingReceipt]:
    """The receipt in one line of SNS's delivery log in CloudWatch. Raises BadWebhook."""
    try:
        line = json.loads(body)
        carrier_id = line["notification"]["messageId"]
        status, said = line["status"], str(line["delivery"].get("providerResponse", ""))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadWebhook("/") from error
    if not isinstance(carrier_id, str) or not 0 < len(carrier_id) <= ID_LENGTH_MAX:
        raise BadWebhook("/notification/messageId")
    if status not in (DELIVERED, FAILED):
        raise BadWebhook("/status")
    state = Receipt.DELIVERED if status == DELIVERED else _failure(said)
    return [IncomingReceipt(state, WHOLE_MESSAGE, carrier_id=carrier_id, at=_reported_at(line))]


@cache
def _client() -> Any:
    return boto3.client("sns", config=aws_calls.asked_once())


def _publish(client: Any, text: Outgoing, account: Account) -> Answer:
    attributes = {"AWS.SNS.SMS.SMSType": {"DataType": "String", "StringValue": "Transactional"}}
    if text.sender:
        attributes["AWS.MM.SMS.OriginationNumber"] = {"DataType": "String", "StringValue": text.sender}
    if (limit := price_max(text.text, account)) is not None:  # USD for the whole text
        attributes["AWS.SNS.SMS.MaxPrice"] = {"DataType": "Number", "StringValue": str(limit)}
    return aws_calls.ask(
        lambda: client.publish(PhoneNumber=text.to, Message=text.text, MessageAttributes=attributes), _refused
    )


def _refused(response: Mapping[str, Any]) -> Answer:
    error = response.get("Error", {})
    code = str(error.get("Code", ""))
    if code in BY_PARAMETER:
        said = str(error.get("Message", ""))
        return Refused(_first(PARAMETERS, said) or RefusedBecause.ROUTE, code)
    return Refused(ERRORS[code], code) if code in ERRORS else aws_calls.by_status(response, code)


def _reported_at(line: dict[str, Any]) -> datetime | None:
    """When the handset, or else the phone carrier, had answered: the log gives the start (UTC) and how long it took.

    None when it does not say: a receipt is not lost for that.
    """
    delivery = line["delivery"]
    try:
        began = datetime.fromisoformat(line["notification"]["timestamp"]).replace(tzinfo=UTC)
        took = delivery.get("dwellTimeMsUntilDeviceAck", delivery.get("dwellTimeMs", 0))
        return began + timedelta(milliseconds=took)
    except (ValueError, TypeError, KeyError, OverflowError):
        return None


def _failure(said: str) -> Receipt:
    return _first(SENTENCES, said.lower()) or Receipt.UNREACHABLE


def _first[T](table: Mapping[str, T], said: str) -> T | None:
    """The row of the first words that stand in what was said."""
    return next((meaning for words, meaning in table.items() if words in said), None)
