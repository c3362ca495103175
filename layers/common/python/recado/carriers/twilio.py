"""Twilio's Programmable Messaging, REST API 2010-04-01. One text per call, over kept-alive connections.

`Messages.json` knows no id that makes it safe to repeat: an ambiguous answer is Unknown, for ever.
Our reference travels in the query of the status callback, which Twilio signs. Credentials: docs/settings.md.
"""

import base64
import hmac
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from recado import clock
from recado.carriers.outgoing_calls import Heard, each, post, price_max, refused_or_unknown, taken
from recado.carriers.speech import (
    PATH,
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
from recado.rules.opt_out_words import Word, read_word
from recado.rules.phone_numbers import is_e164

ECHOES_REFERENCE = True
NEEDS_CREDENTIALS = True  # user: the account's SID; password: its auth token; sender: a number or a service (MG…)
DEDUPES = False
API = "https://api.twilio.com"  # unless CarrierUrl names another, e.g. that of a region
SERVICE_PREFIX = "MG"  # a messaging service, which chooses a sender itself
VALIDITY_SECONDS_MAX = 14_400  # error 21624: "between 1 and 14,400 seconds"
REFERENCE_LENGTH_MAX = 256
TEXT_LENGTH_MAX = 2000
FIELDS_MAX = 200
ALGORITHMS = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}

# `code` of an error (twilio.com/docs/api/errors) → what it means here. What has no row goes by its HTTP status.
ERRORS = {
    21211: RefusedBecause.WRONG_NUMBER,  # `To` is not a valid number
    21217: RefusedBecause.WRONG_NUMBER,  # likewise
    21614: RefusedBecause.WRONG_NUMBER,  # `To` is not a mobile number
    21635: RefusedBecause.WRONG_NUMBER,  # `To` is a landline, in a country where Twilio does not try those
    21265: RefusedBecause.WRONG_NUMBER,  # `To` is a short code
    21610: RefusedBecause.BLOCKED,  # the recipient has opted out at Twilio (STOP to this sender)
    21266: RefusedBecause.BLOCKED,  # `To` is our own sender
    21602: RefusedBecause.BLOCKED,  # the text is empty: no number's fault, and no other text's
    21617: RefusedBecause.BLOCKED,  # the text is longer than 1,600 characters: likewise
    20429: RefusedBecause.FOR_NOW,  # too many requests
    21611: RefusedBecause.FOR_NOW,  # the sender's queue is full
    63017: RefusedBecause.FOR_NOW,  # more texts a second than the account may
    63038: RefusedBecause.FOR_NOW,  # the account's texts of the day are used up
    20003: RefusedBecause.ROUTE,  # account or auth token is wrong, or the account is suspended
    21212: RefusedBecause.ROUTE,  # `From` is not a valid number
    21408: RefusedBecause.ROUTE,  # the account may not send to that country
    21601: RefusedBecause.ROUTE,  # `From` is not a number of the account's
    21603: RefusedBecause.ROUTE,  # no `From`
    21606: RefusedBecause.ROUTE,  # `From` is not a number of the account's that can send there
    21608: RefusedBecause.ROUTE,  # a trial account, which reaches verified numbers only
    21609: RefusedBecause.ROUTE,  # the status callback is no address: PublicUrl
    21612: RefusedBecause.ROUTE,  # no way from this `From` to this `To`
    21624: RefusedBecause.ROUTE,  # the validity is none
    21659: RefusedBecause.ROUTE,  # `From` is not Twilio's, or a short code of another country
    21660: RefusedBecause.ROUTE,  # `From` is another account's
    21661: RefusedBecause.ROUTE,  # `From` sends no texts
    21701: RefusedBecause.ROUTE,  # the messaging service does not exist
    21705: RefusedBecause.ROUTE,  # the messaging service's name is none
}

# `MessageStatus` of a status callback → its receipt; None: no news yet. Failures go by their ErrorCode, below.
STATUSES: dict[str, Receipt | None] = {
    "accepted": None,  # a messaging service is choosing the sender
    "scheduled": None,  # for later
    "queued": None,  # the sender is chosen
    "sending": None,  # on its way to the phone carrier
    "partially_delivered": None,  # some parts: not yet the whole
    "sent": None,  # the phone carrier took it; where no handset ever answers that is the last word
    "delivered": Receipt.DELIVERED,  # on the handset, as the phone carrier says
    "read": Receipt.DELIVERED,  # only where a channel tells it
    "canceled": Receipt.UNREACHABLE,  # somebody took it back in Twilio's console
    "undelivered": Receipt.UNREACHABLE,  # the phone carrier, or the handset, did not take it
    "failed": Receipt.UNREACHABLE,  # it never left Twilio
}
FAILURES = frozenset({"undelivered", "failed"})
# `ErrorCode` of a failure → its receipt. What has no row, or no code, is `unreachable`: it may be tried once more.
FAILED = {
    "21610": Receipt.BLOCKED,  # opted out while it was queued
    "30001": Receipt.UNREACHABLE,  # waited too long in Twilio's queue
    "30002": Receipt.UNREACHABLE,  # the account was suspended meanwhile
    "30003": Receipt.UNREACHABLE,  # off or out of coverage
    "30004": Receipt.BLOCKED,  # the phone carrier or the recipient bars it
    "30005": Receipt.WRONG_NUMBER,  # no such subscriber
    "30006": Receipt.WRONG_NUMBER,  # a landline, or a carrier that takes no texts
    "30007": Receipt.BLOCKED,  # filtered
    "30008": Receipt.UNREACHABLE,  # the phone carrier does not say
    "30009": Receipt.UNREACHABLE,  # a part was lost
    "30010": Receipt.BLOCKED,  # dearer than MaxPrice: our own rule
    "30019": Receipt.BLOCKED,  # longer than the phone carrier takes: no number's fault
    "30022": Receipt.UNREACHABLE,  # faster than the phone carrier takes them
    "30032": Receipt.BLOCKED,  # our sender is not verified (United States)
    "30034": Receipt.BLOCKED,  # our sender is not registered (United States)
    "30036": Receipt.UNREACHABLE,  # its validity was over first
    "30450": Receipt.BLOCKED,  # Twilio's own protection against fraud
}

# `OptOutType` of a reply → the word that stands for it: a messaging service has keywords of its own besides ours.
OPT_OUT_TYPES = {"STOP": Word.STOP, "START": Word.START, "HELP": Word.HELP}


def send(texts: Sequence[Outgoing], account: Account, may_start: Callable[[], bool]) -> list[Answer]:
    """Posts each text once; answers one for one, in order. Threads are joined before it returns."""
    if not account.user or not account.password:
        return [Refused(RefusedBecause.ROUTE, "no_credentials")] * len(texts)
    url = f"{account.url or API}/2010-04-01/Accounts/{quote(account.user, safe='')}/Messages.json"
    basic = base64.b64encode(f"{account.user}:{account.password}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"}
    return each(texts, may_start, lambda text: _send(text, account, url, headers))


def verify(headers: Headers, body: bytes, account: Account, now: datetime) -> bool:
    """Whether a webhook is this account's (Twilio, "Validating requests"): an HMAC of address and sorted fields.

    SHA-1 with the auth token or, as a second header says, another with a shared key, one of the signing secrets. The
    address is the public one. There is no time in it: what is written is keyed, so that a repetition adds nothing.
    """
    found = {name.lower(): value for name, value in headers.items()}
    given, path = found.get("x-twilio-signature", "").encode(), found.get(PATH, "")
    tokens = tuple(filter(None, (account.password, *account.secrets_from_carrier)))
    digest = ALGORITHMS.get(_algorithm(found.get("x-twilio-webhooks-signature-settings", "")))
    if not given or not path or not account.public_url or not tokens or digest is None:
        return False
    try:
        fields = "".join(name + value for name, value in sorted(set(_fields(body))))
        texts = [(url + fields).encode() for url in _addresses(account.public_url + path)]
    except ValueError:  # not UTF-8, too many fields, no address
        return False
    expected = [base64.b64encode(hmac.digest(token.encode(), text, digest)) for token in tokens for text in texts]
    return any(hmac.compare_digest(one, given) for one in expected)


def read_replies(body: bytes) -> list[IncomingReply]:
    """The reply of a verified webhook, with the time it came; none for a picture without words. Raises BadWebhook."""
    form = _form(body)
    text = form.get("Body", "")
    if not form.get("MessageSid"):
        raise BadWebhook("/MessageSid")
    if not is_e164(form.get("From", "")):
        raise BadWebhook("/From")
    if not form.get("To"):
        raise BadWebhook("/To")
    if len(text) > TEXT_LENGTH_MAX:
        raise BadWebhook("/Body")
    kind = form.get("OptOutType", "")
    if kind in OPT_OUT_TYPES and read_word(text) is not OPT_OUT_TYPES[kind]:
        text = kind
    if not text:
        return []
    return [IncomingReply(form["MessageSid"], form["From"], form["To"], text, clock.now())]


def read_receipts(body: bytes, query: str = "") -> list[IncomingReceipt]:
    """The receipt of a verified status callback, or none when it is no news. Raises BadWebhook."""
    form = _form(body)
    status = form.get("MessageStatus", "")
    if status not in STATUSES:
        raise BadWebhook("/MessageStatus")
    references = [value for name, value in parse_qsl(query) if name == "reference"]
    if len(references) != 1 or len(references[0]) > REFERENCE_LENGTH_MAX:
        raise BadWebhook("/reference")
    state = STATUSES[status]
    if status in FAILURES:
        state = FAILED.get(form.get("ErrorCode", ""), state)
    return [IncomingReceipt(state, WHOLE_MESSAGE, reference=references[0])] if state else []


def _send(text: Outgoing, account: Account, url: str, headers: Mapping[str, str]) -> Answer:
    sender = text.sender or account.sender
    if not sender:
        return Refused(RefusedBecause.ROUTE, "no_sender")
    form = {
        "To": text.to,
        "MessagingServiceSid" if sender.startswith(SERVICE_PREFIX) else "From": sender,
        "Body": text.text,
        "ValidityPeriod": str(min(text.validity_seconds, VALIDITY_SECONDS_MAX)),
    }
    if account.public_url:
        query = urlencode({"reference": text.reference})
        form["StatusCallback"] = f"{account.public_url}/carriers/twilio/receipts?{query}"
    if (limit := price_max(text.text, account)) is not None:  # USD for the whole text, at most four decimals
        form["MaxPrice"] = str(limit)
    heard = post(url, urlencode(form).encode(), headers)
    return _answer(heard) if isinstance(heard, Heard) else heard


def _answer(heard: Heard) -> Answer:
    found = heard.as_json()
    document = found if isinstance(found, dict) else {}
    if heard.status < 300:
        return taken(document.get("sid"), heard.trouble or "not_understood")
    by_status, code = refused_or_unknown(heard.status), document.get("code")
    if isinstance(by_status, Unknown) or not isinstance(code, int):
        return by_status
    return Refused(ERRORS.get(code, by_status.because), str(code))


def _algorithm(settings: str) -> str:
    """The one that `key=…,algorithm=…` names; without a name it is the auth token's."""
    named = (part.strip().removeprefix("algorithm=") for part in settings.split(",") if "algorithm=" in part)
    return next(named, "").strip().upper() or "HMAC_SHA1"


def _fields(body: bytes) -> list[tuple[str, str]]:
    return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX)


def _form(body: bytes) -> dict[str, Any]:
    try:
        return dict(_fields(body))
    except ValueError as error:
        raise BadWebhook("/") from error


def _addresses(url: str) -> Iterator[str]:
    """The address without its port and with it: Twilio has signed either (its own library tries both)."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    name = host.removesuffix(f":{parts.port}") if parts.port else host
    yield urlunsplit(parts._replace(netloc=name))
    yield urlunsplit(parts._replace(netloc=f"{name}:{parts.port or {'https': 443, 'http': 80}.get(parts.scheme, '')}"))
