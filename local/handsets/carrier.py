"""The simulated carrier: takes waves of texts, shows them on handsets, owes receipts, carries replies.

A reference asked again gets the answer it got, and its text is shown once. Nothing is taken before the signature held.
"""

import random
import re
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from standardwebhooks import Webhook, WebhookVerificationError

from local.handsets.faults import Faults
from local.handsets.phones import Answer, Phones, Text, iso
from local.handsets.sns import PREFIX, Published, Sns
from local.handsets.watchers import Watchers
from local.handsets.webhooks import GATHER, Clock, Outbox, Recado, Receipt
from recado.rules import segments

OWN_NUMBER = "29999"  # what a text comes from that names no code
CODE_LENGTH_MAX = 15
WAVE_MAX = 500
TEXT_LENGTH_MAX = 1_600
REFERENCE_LENGTH_MAX = 256
NUMBER = re.compile(r"\+[1-9][0-9]{7,14}")  # E.164
CODE = re.compile(r"[0-9A-Za-z+]{1,15}")

REFUSED_FOR_GOOD = (("wrong_number", "EC_UNKNOWN_SUBSCRIBER"), ("blocked", "EC_CONTENT_BLOCKED"))


class WaveError(ValueError):
    """A body that is no wave: nothing of it was taken."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field} {detail}")
        self.field = field
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Outgoing:
    reference: str
    number: str
    code: str
    text: str


type Fate = Literal["answered", "busy", "barred", "failed", "answer_lost"]


class Carrier:
    def __init__(
        self,
        *,
        phones: Phones,
        recado: Recado,
        outbox: Outbox,
        watchers: Watchers,
        secret: str,
        clock: Clock,
        dice: random.Random,
        sns: Sns | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.phones = phones
        self.outbox = outbox
        self.watchers = watchers
        self._recado = recado
        self._webhook = Webhook(secret)
        self._clock = clock
        self._dice = dice
        self.sns = sns
        self._sleep = sleep
        self._faults = Faults()
        self._faults_until: datetime | None = None
        self._one_wave = threading.Lock()

    @property
    def faults(self) -> Faults:
        """As it was told; at rest again when it was told for how long."""
        is_over = self._faults_until is not None and self._clock() >= self._faults_until
        return Faults() if is_over else self._faults

    def set_faults(self, faults: Faults) -> None:
        self._faults = faults
        self._faults_until = self._clock() + timedelta(seconds=faults.for_seconds) if faults.for_seconds else None
        self.watchers.tell("faults", faults.as_json())

    def is_signed(self, body: bytes, headers: dict[str, str]) -> bool:
        try:
            self._webhook.verify(body, headers, json_parse=False)
        except (WebhookVerificationError, ValueError):  # the library lets malformed signatures out as ValueError
            return False
        return True

    def take_wave(self, body: object) -> tuple[Fate, list[dict[str, str]]]:
        """What happened to the wave, and the answer per message. Raises WaveError."""
        wave = read_wave(body)
        faults = self.faults
        if faults.slow_seconds:
            self._sleep(faults.slow_seconds)
        with self._one_wave:  # the same reference in two waves at once is still one text
            if self._happens(faults.busy_share):
                return "busy", []
            if self._happens(faults.barred_share):
                return "barred", []
            if self._happens(faults.fail_share):
                return "failed", []
            answers, receipts = self._take(wave, faults)
            fate: Fate = "answer_lost" if self._happens(faults.lose_answers_share) else "answered"
        self._owe(receipts, faults)
        return fate, answers

    def reply(self, number: str, code: str, text: str, in_reply_to: str | None = None) -> dict[str, Any]:
        """Sends what a person wrote on their handset, and says what recado answered.

        What answers a text that came by SNS goes to SNS's topic, which says only whether it took it.
        """
        reply_id = f"r-{uuid.uuid4().hex}"
        at = iso(self._clock())
        reply = {"id": reply_id, "from": number, "to": code, "text": text, "received_at": at}
        if in_reply_to is not None:
            reply["in_reply_to"] = in_reply_to
        answered = in_reply_to or self.phones.last_reference(number, code)
        if self.sns is not None and answered is not None and answered.startswith(PREFIX):
            told = self.sns.bring_answer(number, code, text, answered)
        else:
            told = self._recado.post_reply(f"rp-{uuid.uuid4().hex}", reply)
        answer = f"HTTP {told.status}" if told.status is not None else "not reached"
        sent = Text(reply_id, "sent", code, text, at, segments.count_segments(text), answer=answer)
        self.watchers.tell("text", self.phones.send(number, sent))
        return {"id": reply_id, "taken": told.is_taken, "status": told.status, "body": told.body[:2_000]}

    def show_published(self, text: Published) -> None:
        """A text that SNS took: on its handset, and its receipt in SNS's log."""
        faults = self.faults
        code = text.code or OWN_NUMBER
        receipt = self._show(
            Outgoing(text.reference, text.number, code, text.text), Answer("accepted", id=text.id), faults
        )
        if self.sns is None or faults.no_receipts:
            return
        for _ in range(2 if faults.receipts_twice else 1):
            self.sns.owe(text, receipt.status, self._clock() + timedelta(seconds=faults.receipts_delay_seconds))

    def mark_read(self, number: str) -> None:
        if self.phones.mark_read(number):
            self.watchers.tell("read", {"number": number})

    def _take(self, wave: list[Outgoing], faults: Faults) -> tuple[list[dict[str, str]], list[Receipt]]:
        answers: list[dict[str, str]] = []
        receipts: list[Receipt] = []
        for outgoing in wave:
            answer = self.phones.find_answer(outgoing.reference)
            if answer is None:
                answer = self._decide(outgoing, faults)
                if answer.status == "accepted":
                    receipts.append(self._show(outgoing, answer, faults))
            answers.append(answer.as_json(outgoing.reference))
        return answers, receipts

    def _decide(self, outgoing: Outgoing, faults: Faults) -> Answer:
        if self._happens(faults.not_now_share):
            return Answer("refused", reason="try_later", code="EC_BUSY")  # not kept: asked later, it may be taken
        if not NUMBER.fullmatch(outgoing.number):
            answer = Answer("refused", reason="wrong_number", code="EC_NOT_A_NUMBER")
        elif self._happens(faults.refuse_share):
            reason, code = self._dice.choice(REFUSED_FOR_GOOD)
            answer = Answer("refused", reason=reason, code=code)
        else:
            answer = Answer("accepted", id=f"c-{uuid.uuid4().hex[:16]}")
        self.phones.remember_answer(outgoing.reference, answer)
        return answer

    def _show(self, outgoing: Outgoing, answer: Answer, faults: Faults) -> Receipt:
        parts = segments.count_segments(outgoing.text)
        at = iso(self._clock())
        is_unreachable = self._happens(faults.unreachable_share)
        if not is_unreachable:
            shown = Text(answer.id or "", "received", outgoing.code, outgoing.text, at, parts, outgoing.reference)
            self.watchers.tell("text", self.phones.receive(outgoing.number, shown))
        return Receipt(outgoing.reference, "unreachable" if is_unreachable else "delivered", parts, at)

    def _owe(self, receipts: list[Receipt], faults: Faults) -> None:
        if faults.no_receipts or not receipts:
            return
        due: datetime = self._clock() + GATHER + timedelta(seconds=faults.receipts_delay_seconds)
        for _ in range(2 if faults.receipts_twice else 1):
            self.outbox.add(receipts, due)

    def _happens(self, share: float) -> bool:
        return share > 0 and self._dice.random() < share


def read_wave(body: object) -> list[Outgoing]:
    """Raises WaveError naming the first field that is wrong."""
    if not isinstance(body, Mapping) or body.get("type") != "messages.send":
        raise WaveError("type", "must be messages.send")
    messages = body.get("messages")
    if not isinstance(messages, list) or not 1 <= len(messages) <= WAVE_MAX:
        raise WaveError("messages", f"must be a list of 1 to {WAVE_MAX}")
    return [_read_outgoing(f"messages[{index}]", message) for index, message in enumerate(messages)]


def _read_outgoing(place: str, message: object) -> Outgoing:
    if not isinstance(message, Mapping):
        raise WaveError(place, "must be an object")
    reference = _read_text(place, message, "reference", REFERENCE_LENGTH_MAX)
    number = _read_text(place, message, "to", 40)
    code = message.get("from")
    if code == "":
        code = OWN_NUMBER  # recado names none: the carrier takes one of its own
    elif not isinstance(code, str) or len(code) > CODE_LENGTH_MAX:
        raise WaveError(f"{place}.from", f"must be a text of at most {CODE_LENGTH_MAX} characters")
    text = _read_text(place, message, "text", TEXT_LENGTH_MAX)
    return Outgoing(reference, number, code, text)


def _read_text(place: str, message: Mapping[str, Any], name: str, length_max: int) -> str:
    value = message.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= length_max:
        raise WaveError(f"{place}.{name}", f"must be a text of 1 to {length_max} characters")
    return value
