"""What carriers tell us: a reply goes to the one place it belongs or nowhere, a receipt to its queue.

Verified before anything is read; what fails its signature changes nothing. Never "the last that sent".
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import batched

from recado import carrier_credentials, heard_texts, log, school_replies, session_replies
from recado.access import master_secrets
from recado.carriers import REGISTRY, may_bring_replies
from recado.carriers.speech import PATH, Account, BadWebhook, Headers, IncomingReceipt, IncomingReply
from recado.clock import Clock
from recado.errors import BadSignature, FieldProblem, InvalidRequest, NotFound
from recado.heard_texts import Outcome
from recado.queues import put_jobs
from recado.rules import signatures
from recado.rules.carrier_times import believed
from recado.rules.phone_numbers import read_number
from recado.session_handsets import SUBSCRIBERS
from recado.session_replies import HandsetReply
from recado.settings import SETTINGS
from recado.tables import short_codes
from recado.tables.short_codes import Purpose, ShortCode

RECEIPT_AGE_MAX = timedelta(days=7)  # carriers report for three days
CLOCKS_APART = timedelta(minutes=5)
RECEIPTS_PER_JOB = 100  # SQS bills by 64 KB, and a receipt is some 90 bytes


def account_of(carrier: str) -> Account:
    """A carrier's account, from settings and the master secret; both live versions hold, the newest first.

    One that has an account with us has its own secrets instead, from SSM. Raises KeyError for one not registered.
    """
    if REGISTRY[carrier].NEEDS_CREDENTIALS:
        return carrier_credentials.add_to(_settings_of(carrier), carrier)
    masters = [master for _, master in sorted(master_secrets().items(), reverse=True)]
    return replace(
        _settings_of(carrier),
        secrets_to_carrier=tuple(signatures.webhook_secret(master, carrier, "to_carrier") for master in masters),
        secrets_from_carrier=tuple(signatures.webhook_secret(master, carrier, "from_carrier") for master in masters),
    )


def take_replies(carrier: str, headers: Headers, body: bytes, clock: Clock) -> list[Outcome]:
    """A carrier's webhook of replies. Raises NotFound, BadSignature, InvalidRequest; then nothing has changed."""
    _verify(carrier, headers, body, clock())
    try:
        found: list[IncomingReply] = REGISTRY[carrier].read_replies(body)
    except BadWebhook as error:
        raise InvalidRequest(fields=[FieldProblem(error.place, "malformed", "Not as the format says")]) from error
    return [take_reply(carrier, reply, clock) for reply in found]


def take_receipts(carrier: str, headers: Headers, body: bytes, clock: Clock) -> tuple[int, list[str]]:
    """A carrier's webhook of receipts: put on their queue, to be gathered by page.

    Returns how many, and the places of those that are malformed: they keep no others from being taken. Raises as
    `take_replies` when there is none among them that can be taken.
    """
    _verify(carrier, headers, body, clock())
    try:
        read = REGISTRY[carrier].read_receipts(body, headers.get(PATH, "").partition("?")[2])
    except BadWebhook as error:
        raise InvalidRequest(fields=[FieldProblem(error.place, "malformed", "Not as the format says")]) from error
    found = [one for one in read if isinstance(one, IncomingReceipt)]
    malformed = [one.place for one in read if isinstance(one, BadWebhook)]
    if malformed and not found:
        raise InvalidRequest(fields=[FieldProblem(one, "malformed", "Not as the format says") for one in malformed])
    if malformed:
        log.outcome("receipts_malformed", carrier=carrier, malformed=len(malformed), taken=len(found))
    return queue_receipts(carrier, found, clock()), malformed


def queue_receipts(carrier: str, found: Sequence[IncomingReceipt], now: datetime, *, delay_seconds: int = 0) -> int:
    """Puts receipts on their queue; what a carrier reports of nothing of ours is counted and dropped there."""
    jobs = [
        {"carrier": carrier, "receipts": [_packed(receipt, now) for receipt in batch]}
        for batch in batched(found, RECEIPTS_PER_JOB, strict=False)
    ]
    put_jobs(SETTINGS.receipts_queue_url, jobs, group=carrier, delay_seconds=delay_seconds)
    return len(found)


def take_reply(carrier: str, reply: IncomingReply, clock: Clock) -> Outcome:
    """Brings one reply to the session or school it provably belongs to, once."""
    code = _find_code(carrier, reply)
    if code is None:
        outcome = Outcome.UNROUTED
        heard_texts.count(_home_of(reply), f"{carrier}#{reply.id}", outcome, clock())
    elif code.purpose is Purpose.SESSIONS:
        outcome = _to_session(carrier, replace(reply, code=code.code), clock)  # spelt as in the pool
    else:
        outcome = school_replies.take_reply(code, carrier, reply, clock)
    log.outcome("reply_taken", carrier=carrier, outcome=outcome.value)
    return outcome


def code_spellings(code: str) -> tuple[str, ...]:
    """How the operator may have written the code that a carrier names: as it is, or with or without the plus."""
    digits = code.removeprefix("+")
    return tuple(dict.fromkeys((code, digits, f"+{digits}")))


def _settings_of(carrier: str) -> Account:
    limit = SETTINGS.carrier_part_price_max
    return Account(
        url=SETTINGS.url_of(carrier),
        public_url=SETTINGS.public_url,
        configuration_set=SETTINGS.carrier_configuration_set,
        part_price_max=Decimal(limit) if limit else None,
    )


def _packed(receipt: IncomingReceipt, now: datetime) -> list[str | int | None]:
    at = int(_reported_at(receipt, now).timestamp())
    return [receipt.reference, receipt.carrier_id, receipt.state.value, receipt.part, at]


def _reported_at(receipt: IncomingReceipt, now: datetime) -> datetime:
    """When the carrier says it was, or now: a clock that is wrong must not say that a text came before it went."""
    return believed(receipt.at, not_before=now - RECEIPT_AGE_MAX, not_after=now + CLOCKS_APART, otherwise=now)


def _verify(carrier: str, headers: Headers, body: bytes, now: datetime) -> None:
    if carrier not in REGISTRY:
        raise NotFound("There is no such carrier")
    if not REGISTRY[carrier].verify(headers, body, account_of(carrier), now):
        raise BadSignature


def _find_code(carrier: str, reply: IncomingReply) -> ShortCode | None:
    """The code that was answered: the same digits may be two codes in two countries, so the handset's comes first.

    A carrier brings what was written to its own codes; of another's it says nothing that could be believed.
    """
    for country in dict.fromkeys((_home_of(reply), *SETTINGS.country_codes)):
        for spelling in code_spellings(reply.code):
            found = short_codes.find_code(country, spelling)
            if found is not None and may_bring_replies(carrier, found.carrier):
                return found
    return None


def _home_of(reply: IncomingReply) -> str:
    """The handset's country, if it has codes; else the first that has."""
    handset = read_number(reply.handset, SUBSCRIBERS.home)
    return handset.region if handset and handset.region in SETTINGS.country_codes else SETTINGS.country_codes[0]


def _to_session(carrier: str, reply: IncomingReply, clock: Clock) -> Outcome:
    found = HandsetReply(reply.handset, reply.code, reply.text, carrier, reply.id, reply.sent_at, reply.part)
    taken = session_replies.take_reply(found, clock)
    return Outcome(taken.value)
