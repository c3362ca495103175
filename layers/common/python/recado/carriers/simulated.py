"""The line of sandboxes: it answers by the number (`rules/test_numbers.py`) and opens no connection, ever.

What a carrier would report later is said by `read_reports`; whoever owns the line puts it on the queue with its delay.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from recado.carriers.speech import (
    NOT_STARTED_CODE,
    Accepted,
    Account,
    Answer,
    Headers,
    IncomingReceipt,
    IncomingReply,
    Outgoing,
    Refused,
    RefusedBecause,
    Unknown,
)
from recado.rules.delivery_states import WHOLE_MESSAGE, Receipt
from recado.rules.test_numbers import Behaviour, answer_of, behaviour_of

ECHOES_REFERENCE = True
NEEDS_CREDENTIALS = False
CODE = "00000"  # what its handsets answer to; no country gives out such a code

# Behaviour → the answer at the hand-over. Every other is accepted.
REFUSALS = {
    Behaviour.WRONG_NUMBER_AT_ONCE: RefusedBecause.WRONG_NUMBER,  # charged, as with any carrier (L12)
    Behaviour.BLOCKED_AT_ONCE: RefusedBecause.BLOCKED,  # not charged
}
# Behaviour → its receipt and after how many seconds it comes. Every other gets none.
RECEIPTS = {
    Behaviour.DELIVERED: (Receipt.DELIVERED, 1),
    Behaviour.UNREACHABLE: (Receipt.UNREACHABLE, 5),
    Behaviour.WRONG_NUMBER_LATER: (Receipt.WRONG_NUMBER, 2),
    Behaviour.BLOCKED_LATER: (Receipt.BLOCKED, 2),
    Behaviour.SLOW: (Receipt.DELIVERED, 60),
    Behaviour.BUSY_ONCE: (Receipt.DELIVERED, 1),
    Behaviour.REPLIES_STOP: (Receipt.DELIVERED, 1),
    Behaviour.REPLIES: (Receipt.DELIVERED, 1),
}
REPLY_AFTER_SECONDS = 3


@dataclass(frozen=True, slots=True)
class Report:
    """What comes back after so many seconds: a receipt, or (`receipt` None) an answer of the handset."""

    delay_seconds: int
    reference: str
    receipt: IncomingReceipt | None


def send(
    texts: Sequence[Outgoing], account: Account, may_start: Callable[[], bool], *, attempt: int = 1
) -> list[Answer]:
    """Answers one for one, in order, by the number alone. `attempt` 1: a page's first job, which finds some busy."""
    if not may_start():
        return [Refused(RefusedBecause.FOR_NOW, NOT_STARTED_CODE)] * len(texts)
    return [_answer(text, attempt) for text in texts]


def verify(headers: Headers, body: bytes, account: Account, now: datetime) -> bool:
    """Never over HTTP: nobody but the line itself speaks for a sandbox's handsets."""
    return False


def read_replies(body: bytes) -> list[IncomingReply]:
    """None: there is no webhook to read."""
    return []


def read_receipts(body: bytes, query: str = "") -> list[IncomingReceipt]:
    """None: there is no webhook to read."""
    return []


def read_reports(texts: Sequence[Outgoing], answers: Sequence[Answer]) -> Iterable[Report]:
    """What will come back for the texts that were accepted."""
    for text, answer in zip(texts, answers, strict=True):
        if not isinstance(answer, Accepted):
            continue
        behaviour = behaviour_of(text.to)
        if behaviour in RECEIPTS:
            state, delay = RECEIPTS[behaviour]
            yield Report(delay, text.reference, IncomingReceipt(state, WHOLE_MESSAGE, reference=text.reference))
        if answer_of(text.to) is not None:
            yield Report(REPLY_AFTER_SECONDS, text.reference, None)


def reply_to(reference: str, handset: str, now: datetime) -> IncomingReply | None:
    """What the handset answers to the text of this reference; None for one that answers nothing."""
    words = answer_of(handset)
    if words is None:
        return None
    return IncomingReply(id=reference, handset=handset, code=CODE, text=words, sent_at=now, in_reply_to=reference)


def _answer(text: Outgoing, attempt: int) -> Answer:
    behaviour = behaviour_of(text.to)
    if behaviour in REFUSALS:
        return Refused(REFUSALS[behaviour], behaviour.value)
    if behaviour is Behaviour.NO_ANSWER:
        return Unknown(behaviour.value)
    if behaviour is Behaviour.BUSY_ONCE and attempt == 1:
        return Refused(RefusedBecause.FOR_NOW, behaviour.value)
    return Accepted(f"test-{text.reference}")
