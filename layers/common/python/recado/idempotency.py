"""Once per Idempotency-Key: same key and body, same answer; the ids that follow from the key carry a lost one on."""

import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from recado.errors import IdempotencyKeyReused, NotAllowed, RecadoError, StillRunning
from recado.tables import idempotency as table
from recado.tables.idempotency import KeyUse

LEASE = timedelta(seconds=30)
LIFE = timedelta(hours=24)

type Answer = dict[str, Any]
type Work = Callable[[bool], Answer]


def once(scope: str, key: str, body: Any, now: datetime, work: Work, *, keep_answer: bool = True) -> Answer:
    """Does `work` at most once at a time and answers the same again for a day.

    `work(is_first)` is told whether the key was never seen: then whatever its derived ids name already exists from
    more than a day ago (IdempotencyKeyReused is its answer to give). `keep_answer=False` (anonymous callers: an answer
    holds a token) lets the same key do the work again, which must then find what it made.
    Raises IdempotencyKeyReused for another body, StillRunning while another request is at it.
    """
    body_hash = _hash(body)
    lease_until = now + LEASE

    # 1. Take the key, or find out whose it is.
    is_first = table.create_use(scope, key, body_hash, lease_until, now, LIFE)
    if not is_first:
        use = table.find_use(scope, key, now)
        if use is None:
            raise StillRunning(retry_after_seconds=1)  # it expired between two reads
        if use.body_hash != body_hash:
            raise IdempotencyKeyReused
        if use.answer is not None:
            return use.answer
        is_first = _take_over(scope, key, use, lease_until, now)

    # 2. Do the work; a refusal gives the key back, a death leaves it to whoever comes after the lease.
    try:
        answer = work(is_first)
    except IdempotencyKeyReused:
        # The key is from more than a day ago. Asked once more it must be first again, or it would pass as a repeat.
        table.forget_use(scope, key, lease_until=lease_until)
        raise
    except RecadoError as error:
        if isinstance(error, NotAllowed) and is_first:
            table.forget_use(scope, key, lease_until=lease_until)  # whoever may not do it has written nothing (L2)
            raise
        table.give_back(scope, key, lease_until=lease_until, now=now)
        raise

    # 3. Keep the answer. If the lease is gone, somebody else is carrying the same ids to the same end.
    if keep_answer:
        table.save_answer(scope, key, answer, lease_until=lease_until)
    else:
        table.give_back(scope, key, lease_until=lease_until, now=now)
    return answer


def fingerprint(key: str) -> str:
    """A request's key as part of a cause: short, and without separators, whatever the caller wrote."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _take_over(scope: str, key: str, use: KeyUse, lease_until: datetime, now: datetime) -> bool:
    """Takes a use that nobody is at any more; True when it was ours already. Raises StillRunning."""
    # Our own put may have been retried by the SDK after its answer was lost: then the lease is exactly ours.
    if use.lease_until == lease_until:
        return True
    if now < use.lease_until:
        raise StillRunning(retry_after_seconds=max(1, round((use.lease_until - now).total_seconds())))
    if not table.take_over(scope, key, seen=use.lease_until, lease_until=lease_until):
        raise StillRunning(retry_after_seconds=1)
    return False


def _hash(body: Any) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
