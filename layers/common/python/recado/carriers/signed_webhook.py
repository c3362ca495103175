"""Our own open carrier format: a wave of texts per POST, an answer per text; replies and receipts by signed webhook.

Signatures are Standard Webhooks, both ways (spec/standard-webhooks.md). docs/carrier_format.md is the whole contract.
It must never ask twice by itself: an ambiguous answer is Unknown, and dispatch decides.
"""

import base64
import binascii
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from standardwebhooks import Webhook

from recado.carriers.outgoing_calls import NOT_STARTED, Heard, post, refused_or_unknown
from recado.carriers.speech import (
    Accepted,
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
    storable,
)
from recado.ids import new_id
from recado.rules.delivery_states import PARTS_MAX, Receipt
from recado.rules.phone_numbers import is_e164
from recado.rules.reply_parts import Part

ECHOES_REFERENCE = True
NEEDS_CREDENTIALS = False  # its secrets follow from the master secret
DEDUPES = True  # by our reference, for CARRIER_DEDUPE_HOURS
TOLERANCE = timedelta(minutes=5)  # Standard Webhooks: "timestamp … within some allowable tolerance", 5 minutes
ITEMS_MAX = 1000
STAMP_LENGTH_MAX = 11  # digits: years after 5000 are no time of a webhook's, and after 9999 no time at all
CODE_LENGTH_MAX = 40
TEXT_LENGTH_MAX = 2000
GROUP_LENGTH_MAX = 128

# `reason` of a refused text → what it means here.
REASONS = {
    "wrong_number": RefusedBecause.WRONG_NUMBER,  # no such subscriber: final, and charged (L12)
    "blocked": RefusedBecause.BLOCKED,  # the carrier or the subscriber bars it: final, not charged
    "try_later": RefusedBecause.FOR_NOW,  # too busy: not taken, ask again later
}
# `status` of a receipt → ours. All are final at the carrier.
RECEIPTS = {
    "delivered": Receipt.DELIVERED,  # on the handset
    "unreachable": Receipt.UNREACHABLE,  # off or out of coverage until the validity ended
    "wrong_number": Receipt.WRONG_NUMBER,  # found out after accepting
    "blocked": Receipt.BLOCKED,  # the carrier or the subscriber bars it
}


def send(texts: Sequence[Outgoing], account: Account, may_start: Callable[[], bool]) -> list[Answer]:
    """Posts a wave; answers one for one, in order. Not started in time, not connected: refused for now."""
    if not may_start():
        return [NOT_STARTED] * len(texts)
    body = json.dumps({"type": "messages.send", "messages": [_message(text) for text in texts]}, ensure_ascii=False)
    # A new id each time: a receiver may drop an id it has seen, and texts refused for now come again in other waves.
    headers = _signed(f"wave_{new_id()}", body, account.secrets_to_carrier)
    heard = post(account.url, body.encode(), headers)
    return _answers(texts, heard) if isinstance(heard, Heard) else [heard] * len(texts)


def verify(headers: Headers, body: bytes, account: Account, now: datetime) -> bool:
    """Whether a webhook is this carrier's and fresh (Standard Webhooks: `id.timestamp.body`, 5 minutes)."""
    found = {name.lower(): value for name, value in headers.items()}
    webhook_id, stamp = found.get("webhook-id", ""), found.get("webhook-timestamp", "")
    if not webhook_id or not (stamp.isascii() and stamp.isdecimal()) or len(stamp) > STAMP_LENGTH_MAX:
        return False
    sent_at = datetime.fromtimestamp(int(stamp), UTC)
    if abs(now - sent_at) > TOLERANCE:
        return False
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return False
    expected = [
        _signature_bytes(Webhook(secret).sign(webhook_id, sent_at, text)) for secret in account.secrets_from_carrier
    ]
    given = [_signature_bytes(one) for one in found.get("webhook-signature", "").split(" ")]
    return any(hmac.compare_digest(mine, theirs) for mine in expected if mine for theirs in given if theirs)


def read_replies(body: bytes) -> list[IncomingReply]:
    """The replies of a verified webhook. Raises BadWebhook."""
    return [_reply(item, f"/replies/{index}") for index, item in enumerate(_items(body, "replies"))]


def read_receipts(body: bytes, query: str = "") -> list[IncomingReceipt | BadWebhook]:
    """The receipts of a verified webhook, and for each that is malformed where: it keeps no other from being taken.

    Raises BadWebhook when the whole is none.
    """
    found: list[IncomingReceipt | BadWebhook] = []
    for index, item in enumerate(_items(body, "receipts")):
        try:
            found.append(_receipt(item, f"/receipts/{index}"))
        except BadWebhook as error:
            found.append(error)
    return found


def _message(text: Outgoing) -> dict[str, Any]:
    return {
        "reference": text.reference,
        "to": text.to,
        "from": text.sender,
        "text": text.text,
        "validity_seconds": text.validity_seconds,
    }


def _signed(webhook_id: str, body: str, secrets: Sequence[str]) -> dict[str, str]:
    sent_at = datetime.now(UTC)
    return {
        "Content-Type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(webhook_id, sent_at, body) for secret in secrets),
    }


def _answers(texts: Sequence[Outgoing], heard: Heard) -> list[Answer]:
    if heard.status >= 300:
        return [refused_or_unknown(heard.status)] * len(texts)
    given = _answers_by_reference(heard.as_json())
    return [given.get(text.reference) or Unknown(heard.trouble or "not_in_answer") for text in texts]


def _answers_by_reference(document: Any) -> dict[str, Answer]:
    """What was answered, by reference. Of two items the first counts, unless only one of them says it was not taken."""
    found: dict[str, Answer] = {}
    items = document.get("messages") if isinstance(document, dict) else None
    for item in items if isinstance(items, list) else ():
        if not isinstance(item, dict) or not isinstance(item.get("reference"), str):
            continue
        reference, answer = item["reference"], _answer(item)
        first = found.setdefault(reference, answer)
        if isinstance(first, Refused) != isinstance(answer, Refused):
            found[reference] = Unknown("contradicted")
    return found


def _answer(item: Mapping[str, Any]) -> Answer:
    if item.get("status") == "accepted":
        return Accepted(str(item.get("id", "")))
    because = REASONS.get(str(item.get("reason")))
    if item.get("status") != "refused" or because is None:
        return Unknown("not_understood")
    code = item.get("code")
    return Refused(because, code[:CODE_LENGTH_MAX] if isinstance(code, str) else "")


def _signature_bytes(signature: str) -> bytes | None:
    version, _, encoded = signature.partition(",")
    if version != "v1":
        return None
    try:
        return base64.b64decode(encoded, validate=True) or None
    except (binascii.Error, ValueError):
        return None


def _items(body: bytes, kind: str) -> list[Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadWebhook("/") from error
    items = document.get(kind) if isinstance(document, dict) and document.get("type") == kind else None
    if not isinstance(items, list) or len(items) > ITEMS_MAX:
        raise BadWebhook(f"/{kind}")
    return items


def _reply(item: Any, place: str) -> IncomingReply:
    if not isinstance(item, dict):
        raise BadWebhook(place)
    handset, code = _text(item, "from", place, 20), _text(item, "to", place, 20)
    if not is_e164(handset):
        raise BadWebhook(f"{place}/from")
    answered = item.get("in_reply_to")
    return IncomingReply(
        id=_text(item, "id", place, 128),
        handset=handset,
        code=code,
        text=_text(item, "text", place, TEXT_LENGTH_MAX, length_min=0),  # people do send nothing
        sent_at=_moment(item.get("received_at"), f"{place}/received_at"),
        in_reply_to=answered if isinstance(answered, str) else None,
        part=_part(item, place),
    )


def _part(item: Mapping[str, Any], place: str) -> Part | None:
    """Which part of a long message this is; None for a whole one: without `parts`, or with one part only."""
    of = item.get("parts", 1)
    if not _is_count(of) or of > PARTS_MAX:
        raise BadWebhook(f"{place}/parts")
    number = item.get("part", 1)
    if not _is_count(number) or number > of:
        raise BadWebhook(f"{place}/part")
    return Part(number, of, _text(item, "group", place, GROUP_LENGTH_MAX)) if of > 1 else None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _receipt(item: Any, place: str) -> IncomingReceipt:
    if not isinstance(item, dict):
        raise BadWebhook(place)
    state = RECEIPTS.get(str(item.get("status")))
    if state is None:
        raise BadWebhook(f"{place}/status")
    part = item.get("part", 0)
    if not isinstance(part, int) or isinstance(part, bool) or not 0 <= part <= PARTS_MAX:
        raise BadWebhook(f"{place}/part")
    at = _moment(item["at"], f"{place}/at") if item.get("at") is not None else None
    return IncomingReceipt(state=state, part=part, reference=_text(item, "reference", place, 256), at=at)


def _text(item: Mapping[str, Any], name: str, place: str, length_max: int, *, length_min: int = 1) -> str:
    value = item.get(name)
    if not isinstance(value, str) or not length_min <= len(value) <= length_max:
        raise BadWebhook(f"{place}/{name}")
    return storable(value)  # a reply is not lost for half a character


def _moment(value: Any, place: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise BadWebhook(place)
        return moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError) as error:  # overflow: the first and last hours there are
        raise BadWebhook(place) from error
