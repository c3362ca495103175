"""Vonage's Messages API v1, channel `sms`. One text per call, over kept-alive connections.

It knows no id that makes a text safe to repeat: an ambiguous answer is Unknown, for ever.
Its `client_ref` holds 100 characters, and our references may be longer: accepted texts get lookup rows as well.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from recado.carriers.outgoing_calls import ID_LENGTH_MAX, Heard, each, post, refused_or_unknown, taken
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
    Unknown,
)
from recado.rules.delivery_states import WHOLE_MESSAGE, Receipt
from recado.rules.phone_numbers import is_e164

ECHOES_REFERENCE = False
NEEDS_CREDENTIALS = True  # user: API key; password: API secret; signing_secrets: the signature secret
DEDUPES = False
API = "https://api.nexmo.com"  # unless CarrierUrl names another, e.g. that of a region
CLIENT_REF_LENGTH_MAX = 100
TEXT_SENT_LENGTH_MAX = 1000  # "limited to 1000 characters"
TTL_SECONDS_MIN, TTL_SECONDS_MAX = 20, 604_800
SIGNED_AGO_MAX = timedelta(hours=24)  # it delivers again for a day, and does not say that it signs anew
CLOCKS_APART = timedelta(minutes=5)
TEXT_LENGTH_MAX = 2000

# The code at the end of an error's `type` (developer.vonage.com/en/api-errors/messages) → what it means when a text is
# handed over. What has no row goes by its HTTP status.
ERRORS = {
    "1000": RefusedBecause.FOR_NOW,  # throttled
    "1100": RefusedBecause.FOR_NOW,  # it could not hand the text over: not submitted
    "1241": RefusedBecause.FOR_NOW,  # too many to that number
    "1170": RefusedBecause.WRONG_NUMBER,  # no valid number
    "1040": RefusedBecause.WRONG_NUMBER,  # an unknown prefix
    "1050": RefusedBecause.BLOCKED,  # the number is barred
    "1240": RefusedBecause.BLOCKED,  # the recipient has said STOP
    "1090": RefusedBecause.BLOCKED,  # too long: no number's fault, and no other text's
    "1010": RefusedBecause.ROUTE,  # something is missing
    "1020": RefusedBecause.ROUTE,  # something is not valid, and it does not say what, as below
    "1060": RefusedBecause.ROUTE,  # our account is barred
    "1070": RefusedBecause.ROUTE,  # our credit is used up
    "1080": RefusedBecause.ROUTE,  # our account may not send by this API
    "1120": RefusedBecause.ROUTE,  # the sender is not allowed there
    "1130": RefusedBecause.ROUTE,  # the time to live is none
    "1140": RefusedBecause.ROUTE,  # our account may not do that
    "1150": RefusedBecause.ROUTE,  # the message class is none
    "1160": RefusedBecause.ROUTE,  # the account reaches listed numbers only
}
INTERNAL_ERROR = "1030"  # whatever its HTTP status: it may have been taken
# The one member of ours that `invalid_parameters` names → whose fault it is.
PARAMETERS = {
    "to": RefusedBecause.WRONG_NUMBER,  # it is no number
    "text": RefusedBecause.BLOCKED,  # no number's fault, and no other text's
}

# `status` of a status webhook → its receipt; None: no news yet. Failures go by the code of their `error`, below.
STATUSES: dict[str, Receipt | None] = {
    "submitted": None,  # at the phone carrier
    "delivered": Receipt.DELIVERED,  # on the handset, as the phone carrier says
    "read": Receipt.DELIVERED,  # other channels' only
    "rejected": Receipt.UNREACHABLE,  # Vonage, or the phone carrier, did not take it
    "undeliverable": Receipt.UNREACHABLE,  # it did not reach the handset
}
FAILURES = frozenset({"rejected", "undeliverable"})
# The code of a failure → its receipt. What has no row, or no code, is `unreachable`: it may be tried once more.
FAILED = {
    "1040": Receipt.WRONG_NUMBER,  # an unknown prefix
    "1050": Receipt.BLOCKED,  # barred
    "1170": Receipt.WRONG_NUMBER,  # no valid number
    "1180": Receipt.UNREACHABLE,  # off or out of coverage
    "1190": Receipt.WRONG_NUMBER,  # no longer in use
    "1200": Receipt.UNREACHABLE,  # the number has changed its carrier
    "1210": Receipt.BLOCKED,  # taken for spam
    "1220": Receipt.UNREACHABLE,  # busy
    "1230": Receipt.UNREACHABLE,  # trouble of the network
    "1240": Receipt.BLOCKED,  # the recipient has said STOP
    "1250": Receipt.UNREACHABLE,  # no way there
    "1260": Receipt.UNREACHABLE,  # no way to the handset
    "1270": Receipt.BLOCKED,  # an age limit of the phone carrier's
    "1280": Receipt.BLOCKED,  # the phone carrier bars it
    "1290": Receipt.UNREACHABLE,  # the recipient's credit is used up
    "1300": Receipt.WRONG_NUMBER,  # nobody in that network
    "1330": Receipt.UNREACHABLE,  # the phone carrier does not say
    "1360": Receipt.UNREACHABLE,  # its time was over first
}


def send(texts: Sequence[Outgoing], account: Account, may_start: Callable[[], bool]) -> list[Answer]:
    """Posts each text once; answers one for one, in order. Threads are joined before it returns."""
    if not account.user or not account.password:
        return [Refused(RefusedBecause.ROUTE, "no_credentials")] * len(texts)
    basic = base64.b64encode(f"{account.user}:{account.password}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/json", "Accept": "application/json"}
    return each(texts, may_start, lambda text: _send(text, account, headers))


def verify(headers: Headers, body: bytes, account: Account, now: datetime) -> bool:
    """Whether a webhook is this account's (Vonage, signed webhooks): a JWT, HS256, that names the body's SHA-256."""
    found = {name.lower(): value for name, value in headers.items()}
    scheme, _, token = found.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return False
    digest = hashlib.sha256(body).hexdigest()
    return any(_holds(token, secret, digest, account.user, now) for secret in account.secrets_from_carrier)


def read_replies(body: bytes) -> list[IncomingReply]:
    """The reply of a verified inbound webhook; none for what is not a text. Raises BadWebhook."""
    item = _item(body)
    if item.get("channel") != "sms":
        raise BadWebhook("/channel")
    handset = f"+{_text(item, 'from', 20).removeprefix('+')}"
    if not is_e164(handset):
        raise BadWebhook("/from")
    if not item.get("text"):
        return []
    return [
        IncomingReply(
            id=_text(item, "message_uuid", ID_LENGTH_MAX),
            handset=handset,
            code=_code(_text(item, "to", 20)),
            text=_text(item, "text", TEXT_LENGTH_MAX),
            sent_at=_moment(item.get("timestamp")),
        )
    ]


def read_receipts(body: bytes, query: str = "") -> list[IncomingReceipt]:
    """The receipt of a verified status webhook, or none when it is no news. Raises BadWebhook."""
    item = _item(body)
    status = item.get("status")
    if not isinstance(status, str) or status not in STATUSES:
        raise BadWebhook("/status")
    state = FAILED.get(_error_code(item.get("error")), STATUSES[status]) if status in FAILURES else STATUSES[status]
    if state is None:
        return []
    at = _moment(item.get("timestamp"))
    if isinstance(item.get("client_ref"), str) and item["client_ref"]:
        return [IncomingReceipt(state, WHOLE_MESSAGE, reference=item["client_ref"], at=at)]
    return [IncomingReceipt(state, WHOLE_MESSAGE, carrier_id=_text(item, "message_uuid", ID_LENGTH_MAX), at=at)]


def _send(text: Outgoing, account: Account, headers: Mapping[str, str]) -> Answer:
    sender = text.sender or account.sender
    if not sender:
        return Refused(RefusedBecause.ROUTE, "no_sender")
    if len(text.text) > TEXT_SENT_LENGTH_MAX:  # asked, it would refuse the parameters: as if the route were bad
        return Refused(RefusedBecause.BLOCKED, "text_too_long")
    message = {
        "message_type": "text",
        "channel": "sms",
        "to": text.to.removeprefix("+"),
        "from": sender.removeprefix("+"),
        "text": text.text,
        "ttl": min(max(text.validity_seconds, TTL_SECONDS_MIN), TTL_SECONDS_MAX),
    }
    if len(text.reference) <= CLIENT_REF_LENGTH_MAX:
        message["client_ref"] = text.reference
    heard = post(f"{account.url or API}/v1/messages", json.dumps(message).encode(), headers)
    return _answer(heard) if isinstance(heard, Heard) else heard


def _answer(heard: Heard) -> Answer:
    found = heard.as_json()
    document = found if isinstance(found, dict) else {}
    if heard.status < 300:
        return taken(document.get("message_uuid"), heard.trouble or "not_understood")
    by_status, code = refused_or_unknown(heard.status), _error_code(document)
    if isinstance(by_status, Unknown):
        return by_status
    if code == INTERNAL_ERROR:
        return Unknown(code)
    because = PARAMETERS.get(_invalid_parameter(document)) or ERRORS.get(code, by_status.because)
    return Refused(because, code or str(heard.status))


def _error_code(error: Any) -> str:
    """The four digits at the end of an error's `type`, or else its title; empty when it has neither."""
    if not isinstance(error, Mapping):
        return ""
    for said in (str(error.get("type", "")).rpartition("#")[2], str(error.get("title", ""))):
        if len(said) == 4 and said.isascii() and said.isdecimal():
            return said
    return ""


def _invalid_parameter(error: Mapping[str, Any]) -> str:
    """The name of the one parameter that is not valid; empty where several are, or it does not say."""
    named = error.get("invalid_parameters")
    if not isinstance(named, list) or len(named) != 1 or not isinstance(named[0], Mapping):
        return ""
    return str(named[0].get("name", ""))


def _holds(token: str, secret: str, digest: str, api_key: str, now: datetime) -> bool:
    try:
        claims = jwt.decode(token, secret, algorithms=["HS256"], options={"verify_iat": False, "verify_exp": False})
        signed_at = datetime.fromtimestamp(float(claims["iat"]), UTC)
    except (jwt.InvalidTokenError, KeyError, TypeError, ValueError, OverflowError, OSError):
        return False
    if not now - SIGNED_AGO_MAX <= signed_at <= now + CLOCKS_APART or claims.get("api_key") != api_key:
        return False
    named = str(claims.get("payload_hash", "")).encode("utf-8", "replace")
    return hmac.compare_digest(named, digest.encode())


def _item(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadWebhook("/") from error
    if not isinstance(found, dict):
        raise BadWebhook("/")
    return found


def _text(item: Mapping[str, Any], name: str, length_max: int) -> str:
    value = item.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= length_max:
        raise BadWebhook(f"/{name}")
    return value.encode("utf-8", "replace").decode()


def _code(to: str) -> str:
    """A number as E.164; a short code as it is: it has fewer digits than any number."""
    return f"+{to.removeprefix('+')}" if is_e164(f"+{to.removeprefix('+')}") else to


def _moment(value: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise BadWebhook("/timestamp")
        return moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadWebhook("/timestamp") from error
