"""What carriers tell us: a reply goes to the one place it belongs or nowhere, a receipt to its queue.

Verified before anything is read; what fails its signature changes nothing. Never "the last that sent".
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import batched
from typing import Any

from recado import carrier_credentials, log, recipient_events, session_replies
from recado.access import master_secrets
from recado.carriers import REGISTRY
from recado.carriers.speech import PATH, Account, BadWebhook, Headers, IncomingReceipt, IncomingReply
from recado.clock import Clock
from recado.clock import now as now_in_utc
from recado.errors import BadSignature, FieldProblem, InvalidRequest, NotFound, StillRunning
from recado.queues import put_jobs
from recado.rules import opt_out_words, signatures
from recado.rules.audience import REPLIED_STOP
from recado.rules.carrier_times import believed
from recado.rules.delivery_states import Receipt, receipt_member
from recado.rules.opt_out_words import Word
from recado.rules.phone_numbers import read_number
from recado.rules.receipt_times import time_member
from recado.rules.reply_parts import Part, text_of
from recado.session_handsets import SUBSCRIBERS
from recado.session_replies import HandsetReply
from recado.settings import SETTINGS
from recado.tables import lookups, opt_outs, pages, replies, short_codes
from recado.tables.base import Transaction
from recado.tables.opt_outs import Note, NotedAlready
from recado.tables.pages import PageKind, PageRef
from recado.tables.replies import Growing, Reply
from recado.tables.short_codes import Purpose, ShortCode

REPLY_LIFE = timedelta(days=400)
REPLY_AGE_MAX = timedelta(days=7)  # a reply of before is not believed its time
JOIN_ATTEMPTS_MAX = 5
RECEIPT_AGE_MAX = timedelta(days=7)  # carriers report for three days
CLOCKS_APART = timedelta(minutes=5)
RECEIPTS_PER_JOB = 100  # SQS bills by 64 KB, and a receipt is some 90 bytes


class Outcome(StrEnum):
    """Where a reply went. `late` and `unrouted` reached nobody; they are counted, never shown."""

    TO_SESSION = "to_session"
    TO_SCHOOL = "to_school"
    DUPLICATE = "duplicate"
    LATE = "late"
    UNROUTED = "unrouted"


class _SeenBefore(Exception):  # a signal between two steps here
    """This carrier's reply id has been kept already."""


class _Moved(Exception):  # a signal between two steps here
    """Another part of the same message came between reading and writing."""


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


def take_receipts(carrier: str, headers: Headers, body: bytes, clock: Clock) -> int:
    """A carrier's webhook of receipts: put on their queue, to be gathered by page. Returns how many."""
    _verify(carrier, headers, body, clock())
    try:
        found: list[IncomingReceipt] = REGISTRY[carrier].read_receipts(body, headers.get(PATH, "").partition("?")[2])
    except BadWebhook as error:
        raise InvalidRequest(fields=[FieldProblem(error.place, "malformed", "Not as the format says")]) from error
    return queue_receipts(carrier, found, clock())


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
    code = _find_code(reply)
    # From here on the code is spelt as in the pool.
    reply = reply if code is None else replace(reply, code=code.code)
    if code is None:
        outcome = Outcome.UNROUTED
    elif code.purpose is Purpose.SESSIONS:
        outcome = _to_session(carrier, reply, clock)
    elif code.school is not None:
        outcome = _to_school(code.school, carrier, reply, clock())
    else:
        outcome = _by_reference(carrier, reply, clock())
    log.outcome("reply_taken", carrier=carrier, outcome=outcome.value)
    return outcome


def take_answer(carrier: str, reply: IncomingReply, now: datetime) -> Outcome:
    """Brings a reply to the school whose text the carrier says is answered, or to nobody: whatever its code."""
    outcome = _by_reference(carrier, reply, now)
    log.outcome("reply_taken", carrier=carrier, outcome=outcome.value)
    return outcome


def add_receipts(jobs: Iterable[dict[str, Any]], clock: Clock = now_in_utc) -> list[int]:
    """Adds a batch of queued receipts to their pages' sets, gathered by page; returns the positions to try again.

    Again: a job with a carrier's id that has no lookup row yet; what it had besides is added, now and once more.
    Dropped: what names no page of ours. A job of before has four fields a receipt, and nobody knows its time.
    """
    members: dict[PageRef, dict[Receipt, set[int]]] = defaultdict(lambda: defaultdict(set))
    times: dict[PageRef, dict[int, int]] = defaultdict(dict)  # the earliest of each recipient's part
    again: set[int] = set()
    dropped = 0
    for position, job in enumerate(jobs):
        for reference, carrier_id, state, part, *reported in job["receipts"]:
            ours = reference or lookups.find_reference(job["carrier"], carrier_id)
            if ours is None:
                again.add(position)
                continue
            found = pages.read_reference(ours)
            if found is None:
                dropped += 1
                continue
            ref, index = found
            member = receipt_member(index, int(part))
            members[ref][Receipt(state)].add(member)
            if reported and ref.kind is PageKind.MESSAGE:  # a session's texts have no report
                time = time_member(datetime.fromtimestamp(reported[0], UTC), index, int(part))
                times[ref][member] = min(time, times[ref].get(member, time))
    for ref, states in members.items():
        if not pages.add_receipts(ref, states, times[ref].values()):
            dropped += sum(len(found) for found in states.values())
    recipient_events.ask(members, clock())
    log.outcome("receipts_added", pages=len(members), dropped=dropped, again=len(again))
    return sorted(again)


def code_spellings(code: str) -> tuple[str, ...]:
    """How the operator may have written the code that a carrier names: as it is, or with or without the plus."""
    digits = code.removeprefix("+")
    return tuple(dict.fromkeys((code, digits, f"+{digits}")))


def _settings_of(carrier: str) -> Account:
    limit = SETTINGS.carrier_part_price_max
    return Account(
        url=SETTINGS.carrier_url if carrier == SETTINGS.carrier else "",
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


def _find_code(reply: IncomingReply) -> ShortCode | None:
    """The code that was answered: the same digits may be two codes in two countries, so the handset's comes first."""
    handset = read_number(reply.handset, SUBSCRIBERS.home)
    own = [handset.region] if handset and handset.region in SETTINGS.country_codes else []
    for country in dict.fromkeys((*own, *SETTINGS.country_codes)):
        for spelling in code_spellings(reply.code):
            found = short_codes.find_code(country, spelling)
            if found is not None:
                return found
    return None


def _to_session(carrier: str, reply: IncomingReply, clock: Clock) -> Outcome:
    found = HandsetReply(reply.handset, reply.code, reply.text, carrier, reply.id, reply.sent_at, reply.part)
    taken = session_replies.take_reply(found, clock)
    return Outcome(taken.value)


def _by_reference(carrier: str, reply: IncomingReply, now: datetime) -> Outcome:
    """On a code that schools share: the school of the message the carrier says is answered, or nobody."""
    answered = pages.read_reference(reply.in_reply_to or "")
    page = pages.find_page(answered[0]) if answered else None
    if answered is None or page is None or page.ref.kind is not PageKind.MESSAGE:
        return Outcome.UNROUTED
    if answered[1] >= len(page.recipients) or page.recipients[answered[1]].number != reply.handset:
        return Outcome.UNROUTED
    return _to_school(answered[0].school_id, carrier, reply, now)


def _to_school(school_id: str, carrier: str, reply: IncomingReply, now: datetime) -> Outcome:
    """Keeps the reply; STOP suppresses and ALTA takes back what STOP did, in the same transaction (L8, L10)."""
    # The list of a school is read by these times, newest first.
    sent_at = believed(reply.sent_at, not_before=now - REPLY_AGE_MAX, not_after=now, otherwise=now)
    if reply.part is not None:
        return _part_to_school(school_id, carrier, replace(reply, sent_at=sent_at), reply.part, now)
    word = opt_out_words.read_word(reply.text)
    kept = Reply(
        school_id=school_id,
        id=f"{carrier}#{reply.id}",
        number=reply.handset,
        code=reply.code,
        text=reply.text,
        received_at=sent_at,
        word=word.value if word else None,
    )
    try:
        with Transaction() as write:
            replies.create_reply(write, kept, expires_at=_reply_expires_at(now), seen_before=_SeenBefore())
            _obey(write, school_id, reply.handset, word, now)
    except (_SeenBefore, NotedAlready):
        return Outcome.DUPLICATE
    return Outcome.TO_SCHOOL


def _part_to_school(school_id: str, carrier: str, reply: IncomingReply, part: Part, now: datetime) -> Outcome:
    """One reply that grows with each of its parts: shown from the first on, with a sign where others are missing.

    An opt-out word counts only as the whole message. Raises StillRunning when others keep
    writing to the same message.
    """
    for _ in range(JOIN_ATTEMPTS_MAX):
        # 1. What is there of this message; a part that is there already begins another one.
        seen = replies.find_growing(school_id, carrier, reply.handset, reply.code, part)
        is_new = seen is None or part.number in seen.parts
        parts = {part.number: reply.text} if seen is None or is_new else {**seen.parts, part.number: reply.text}
        word = opt_out_words.read_word(text_of(parts, part.of)) if len(parts) == part.of else None
        kept = Reply(
            school_id=school_id,
            id=f"{carrier}#{reply.id}#{part.number}" if seen is None or is_new else seen.reply_id,
            number=reply.handset,
            code=reply.code,
            text=text_of(parts, part.of),
            received_at=reply.sent_at if seen is None or is_new else seen.received_at,
            word=word.value if word else None,
        )

        # 2. The part once, the message as it was read, and what the school is shown: together.
        growing = Growing(parts, kept.id, kept.received_at)
        try:
            with Transaction() as write:
                expires_at = _reply_expires_at(now)
                replies.note_part(
                    write, school_id, f"{carrier}#{reply.id}", part, expires_at=expires_at, seen_before=_SeenBefore()
                )
                replies.save_growing(
                    write, kept, carrier, part, growing, seen=seen, expires_at=expires_at, refused=_Moved()
                )
                _obey(write, school_id, reply.handset, word, now)
        except (_SeenBefore, NotedAlready):
            return Outcome.DUPLICATE
        except _Moved:
            continue
        return Outcome.TO_SCHOOL
    raise StillRunning(retry_after_seconds=1)


def _obey(write: Transaction, school_id: str, handset: str, word: Word | None, now: datetime) -> None:
    if word in (Word.STOP, Word.START):
        opt_outs.change_cause(write, school_id, handset, Note(REPLIED_STOP, word is Word.STOP, "handset", now, "reply"))


def _reply_expires_at(now: datetime) -> int:
    return int((now + REPLY_LIFE).timestamp())
