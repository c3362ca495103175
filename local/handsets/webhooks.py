"""What the simulated carrier tells recado: signed posts (Standard Webhooks), receipts in batches with bounded retries.

Receipts leave from a thread of their own, never from the request that took the text.
"""

import heapq
import http.client
import itertools
import json
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Literal
from urllib.parse import urlsplit

from standardwebhooks import Webhook

TIMEOUT_SECONDS = 10
BATCH_MAX = 100
GATHER = timedelta(seconds=0.15)  # receipts that fall due together travel together
RETRY_DELAYS = tuple(timedelta(seconds=seconds) for seconds in (0.5, 1, 2, 5, 10, 20))

type Clock = Callable[[], datetime]
type ReceiptStatus = Literal["delivered", "unreachable", "wrong_number", "blocked"]


@dataclass(frozen=True, slots=True)
class Receipt:
    reference: str
    status: ReceiptStatus
    parts: int
    at: str  # ISO 8601, UTC
    part: int = 0  # 0 speaks for the whole text

    def as_json(self) -> dict[str, Any]:
        return {
            "reference": self.reference,
            "status": self.status,
            "part": self.part,
            "parts": self.parts,
            "at": self.at,
        }


@dataclass(frozen=True, slots=True)
class Told:
    """What recado answered to a post; `status` is None when it was not reached."""

    status: int | None
    body: str

    @property
    def is_taken(self) -> bool:
        return self.status is not None and HTTPStatus(self.status).is_success


class Recado:
    """Where signed posts go."""

    def __init__(self, api_url: str, secret: str, clock: Clock) -> None:
        self._base = urlsplit(api_url.rstrip("/"))
        self._webhook = Webhook(secret)
        self._clock = clock

    def post_receipts(self, webhook_id: str, receipts: Sequence[Receipt]) -> Told:
        return self._post(webhook_id, "receipts", [receipt.as_json() for receipt in receipts])

    def post_reply(self, webhook_id: str, reply: Mapping[str, str]) -> Told:
        return self._post(webhook_id, "replies", [dict(reply)])

    def _post(self, webhook_id: str, kind: Literal["receipts", "replies"], items: list[dict[str, Any]]) -> Told:
        body = json.dumps({"type": kind, kind: items}, ensure_ascii=False)
        now = self._clock()
        headers = {
            "content-type": "application/json",
            "webhook-id": webhook_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._webhook.sign(webhook_id, now.astimezone(UTC), body),
        }
        connection = http.client.HTTPConnection(self._base.hostname or "", self._base.port, timeout=TIMEOUT_SECONDS)
        try:
            path = f"{self._base.path}/carriers/signed_webhook/{kind}"
            connection.request("POST", path, body.encode(), headers)
            response = connection.getresponse()
            return Told(response.status, response.read().decode("utf-8", "replace"))
        except (OSError, http.client.HTTPException):
            return Told(None, "")
        finally:
            connection.close()


@dataclass(order=True, slots=True)
class _Batch:
    due: datetime
    number: int
    id: str = field(compare=False)
    receipts: list[Receipt] = field(compare=False)
    attempts: int = field(compare=False, default=0)


class Outbox:
    """Receipts on their way to recado. `send_due` is what its thread does, and what a test may call itself."""

    def __init__(self, recado: Recado, clock: Clock) -> None:
        self._recado = recado
        self._clock = clock
        self._batches: list[_Batch] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._sent = 0
        self._given_up = 0

    def add(self, receipts: Sequence[Receipt], due: datetime) -> None:
        with self._changed:
            for some in itertools.batched(receipts, BATCH_MAX, strict=False):
                batch = _Batch(due, next(self._numbers), f"rc-{uuid.uuid4().hex}", list(some))
                heapq.heappush(self._batches, batch)
            self._changed.notify()

    def counts(self) -> dict[str, int]:
        with self._changed:
            waiting = sum(len(batch.receipts) for batch in self._batches)
            return {"waiting": waiting, "sent": self._sent, "given_up": self._given_up}

    def send_due(self) -> int:
        """Sends what is due; what recado does not take is put back for later. Returns the number of posts."""
        posts = 0
        while (batch := self._take_due()) is not None:
            posts += 1
            told = self._recado.post_receipts(batch.id, batch.receipts)
            with self._changed:
                if told.is_taken:
                    self._sent += len(batch.receipts)
                elif batch.attempts < len(RETRY_DELAYS):
                    due = self._clock() + RETRY_DELAYS[batch.attempts]
                    heapq.heappush(self._batches, replace(batch, due=due, attempts=batch.attempts + 1))
                else:
                    self._given_up += len(batch.receipts)
        return posts

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="receipts", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(TIMEOUT_SECONDS + 1)

    def _take_due(self) -> _Batch | None:
        with self._changed:
            if self._stopping or not self._batches or self._batches[0].due > self._clock():
                return None
            return heapq.heappop(self._batches)

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._stopping:
                    return
                self._changed.wait(self._seconds_to_next())
                if self._stopping:
                    return
            self.send_due()

    def _seconds_to_next(self) -> float | None:
        if not self._batches:
            return None
        return max(0.0, (self._batches[0].due - self._clock()).total_seconds())
