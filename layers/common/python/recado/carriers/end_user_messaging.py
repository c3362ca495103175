"""AWS End User Messaging (`pinpoint-sms-voice-v2`, `SendTextMessage`). One text per call, over kept-alive connections.

The operation takes no idempotency token and the SDK's own retries send twice: here it never retries.
Our reference travels in `Context` and comes back in every event of the text.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import boto3

from recado.carriers import aws_calls, sns
from recado.carriers.outgoing_calls import each, price_max
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
)
from recado.rules.delivery_states import WHOLE_MESSAGE, Receipt

ECHOES_REFERENCE = True
NEEDS_CREDENTIALS = False  # the function's own role
DEDUPES = False
REPLIES_COME_BY = "sns"  # one topic brings what handsets write to any number of the account
OURS = "reference"  # the name of our reference in `Context`
# Bounds of `TimeToLive` and `MaxPrice` in botocore's service model (pinpoint-sms-voice-v2, 2022-03-31).
TTL_SECONDS_MIN, TTL_SECONDS_MAX = 5, 259_200
PRICE_MAX = Decimal("99.9999")

# Exceptions of SendTextMessage, and `Reason` of those that have one (service model as above) → what they mean here.
# A pair comes first, then the exception alone (""); what is in neither goes by its HTTP status.
ERRORS = {
    ("ThrottlingException", ""): RefusedBecause.FOR_NOW,  # too many requests, or parts a second of the number
    ("AccessDeniedException", ""): RefusedBecause.ROUTE,  # our role, a disabled account, or one of too bad a name
    ("ResourceNotFoundException", ""): RefusedBecause.ROUTE,  # the number, pool or configuration set is not ours
    ("ServiceQuotaExceededException", ""): RefusedBecause.ROUTE,  # the month's spend limit is reached
    ("ConflictException", "DESTINATION_PHONE_NUMBER_OPTED_OUT"): RefusedBecause.BLOCKED,  # on the opt-out list
    # Our protect configuration bars the number by name …
    ("ConflictException", "DESTINATION_PHONE_NUMBER_BLOCKED_BY_PROTECT_NUMBER_OVERRIDE"): RefusedBecause.BLOCKED,
    # … or the whole country.
    ("ConflictException", "DESTINATION_COUNTRY_BLOCKED_BY_PROTECT_CONFIGURATION"): RefusedBecause.ROUTE,
    ("ConflictException", "DESTINATION_PHONE_NUMBER_NOT_VERIFIED"): RefusedBecause.ROUTE,  # we are in the sandbox
    ("ConflictException", "NO_ORIGINATION_IDENTITIES_FOUND"): RefusedBecause.ROUTE,  # nothing to send from there
    ("ConflictException", ""): RefusedBecause.ROUTE,  # the sender: not active, another message type, a keyword, …
    ("ValidationException", "CANNOT_PARSE"): RefusedBecause.ROUTE,  # unless `Fields` names one of those below
    ("ValidationException", "INVALID_PARAMETER"): RefusedBecause.ROUTE,  # likewise
    ("ValidationException", "FIELD_VALIDATION_FAILED"): RefusedBecause.ROUTE,  # likewise
    ("ValidationException", "MAXIMUM_SIZE_EXCEEDED"): RefusedBecause.ROUTE,  # likewise
    ("ValidationException", "PRICE_OVER_THRESHOLD"): RefusedBecause.BLOCKED,  # dearer than MaxPrice: our own rule
    ("ValidationException", "DESTINATION_COUNTRY_BLOCKED"): RefusedBecause.ROUTE,  # not a country of the account's
    ("ValidationException", ""): RefusedBecause.ROUTE,  # the country, sender, channel or parameters: ours to mend
    # The SDK signs; what AWS says of a signature that is not right has no shape in the model.
    ("UnrecognizedClientException", ""): RefusedBecause.ROUTE,  # our key is none
    ("InvalidSignatureException", ""): RefusedBecause.ROUTE,  # our secret or our clock is not right
    ("ExpiredTokenException", ""): RefusedBecause.ROUTE,  # our session is over
}
# The field that a ValidationException of one of these reasons names → whose fault it is; the first holds.
FIELDS = {
    "DestinationPhoneNumber": RefusedBecause.WRONG_NUMBER,  # it is no number
    "MessageBody": RefusedBecause.BLOCKED,  # the text is not valid: no number's fault, and no other text's
}
BY_FIELD = frozenset({"CANNOT_PARSE", "INVALID_PARAMETER", "FIELD_VALIDATION_FAILED", "MAXIMUM_SIZE_EXCEEDED"})

# `eventType` of a text's event → its receipt; None: no news yet. TEXT_SENT is in the model and never comes.
EVENTS: dict[str, Receipt | None] = {
    "TEXT_QUEUED": None,  # on its way inside AWS
    "TEXT_PENDING": None,  # at the phone carrier, not on the handset yet
    "TEXT_SENT": None,  # handed to the phone carrier
    "TEXT_SUCCESSFUL": None,  # the phone carrier took it. In some countries the last word; it proves no handset
    "TEXT_DELIVERED": Receipt.DELIVERED,  # on the handset
    "TEXT_UNKNOWN": None,  # AWS does not know: nor do we
    "TEXT_UNREACHABLE": Receipt.UNREACHABLE,  # off, or out of coverage
    "TEXT_CARRIER_UNREACHABLE": Receipt.UNREACHABLE,  # the phone carrier has trouble
    "TEXT_TTL_EXPIRED": Receipt.UNREACHABLE,  # its time was over first
    "TEXT_INVALID": Receipt.WRONG_NUMBER,  # the destination is not valid
    "TEXT_INVALID_MESSAGE": Receipt.BLOCKED,  # the text is not valid: no number's fault
    "TEXT_BLOCKED": Receipt.BLOCKED,  # the handset, or a rule of AWS's
    "TEXT_CARRIER_BLOCKED": Receipt.BLOCKED,  # the phone carrier bars it
    "TEXT_SPAM": Receipt.BLOCKED,  # taken for spam by the phone carrier
    "TEXT_PROTECT_BLOCKED": Receipt.BLOCKED,  # our own protect configuration
}


def send(texts: Sequence[Outgoing], account: Account, may_start: Callable[[], bool]) -> list[Answer]:
    """Sends each text once; answers one for one, in order. Threads are joined before it returns."""
    client = _client()  # before the threads: boto3 makes no client safely on several at once
    return each(texts, may_start, lambda text: _send(client, text, account))


def verify(headers: Headers, body: bytes, account: Account, now: datetime) -> bool:
    """Never over HTTP: its topic invokes the function itself, by the permission in the template."""
    return False


def read_replies(body: bytes) -> list[IncomingReply]:
    """The reply in one two-way message of an SNS topic: the payload is the same whoever sent. Raises BadWebhook."""
    return sns.read_replies(body)


def is_event(body: bytes) -> bool:
    """Whether an SNS record holds a text's event, and not a reply: both may come over one topic."""
    try:
        return "eventType" in json.loads(json.loads(body)["Message"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


def read_receipts(body: bytes, query: str = "") -> list[IncomingReceipt]:
    """The receipt in one event (configuration set → SNS), or none when it is no news. Raises BadWebhook.

    `body` is the SNS record, `{"Message": "<json>", …}`. An event without our reference is somebody else's text.
    """
    try:
        event = json.loads(json.loads(body)["Message"])
        state, context = EVENTS[event["eventType"]], event.get("context")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadWebhook("/Message/eventType") from error
    reference = context.get(OURS) if isinstance(context, Mapping) else None
    if not isinstance(reference, str) or not reference:
        raise BadWebhook(f"/Message/context/{OURS}")
    if state is None:
        return []
    return [IncomingReceipt(state, WHOLE_MESSAGE, reference=reference, at=_moment(event.get("eventTimestamp")))]


@cache
def _client() -> Any:
    return boto3.client("pinpoint-sms-voice-v2", config=aws_calls.asked_once())


def _send(client: Any, text: Outgoing, account: Account) -> Answer:
    return aws_calls.ask(lambda: client.send_text_message(**_request(text, account)), _refused)


def _request(text: Outgoing, account: Account) -> dict[str, Any]:
    request = {
        "DestinationPhoneNumber": text.to,
        "MessageBody": text.text,
        "MessageType": "TRANSACTIONAL",
        "TimeToLive": min(max(text.validity_seconds, TTL_SECONDS_MIN), TTL_SECONDS_MAX),
        "Context": {OURS: text.reference},
    }
    if sender := text.sender or account.sender:
        request["OriginationIdentity"] = sender
    if account.configuration_set:
        request["ConfigurationSetName"] = account.configuration_set
    if (limit := price_max(text.text, account)) is not None:
        request["MaxPrice"] = str(min(limit, PRICE_MAX))
    return request


def _refused(response: Mapping[str, Any]) -> Answer:
    """An error as its table says. Its code is the reason, or else the exception's name: never a field's words."""
    name, reason = str(response.get("Error", {}).get("Code", "")), str(response.get("Reason", ""))
    code = (reason or name)[: aws_calls.CODE_LENGTH_MAX]
    because = ERRORS.get((name, reason), ERRORS.get((name, "")))
    if because and reason in BY_FIELD:
        named = {one.get("Name") for one in response.get("Fields") or ()}
        because = next((fault for field, fault in FIELDS.items() if field in named), because)
    return Refused(because, code) if because else aws_calls.by_status(response, code)


def _moment(milliseconds: Any) -> datetime | None:
    """When it happened; None where the event does not say: a receipt is not lost for that."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
