"""A single write that meets somebody else's transaction: DynamoDB refuses it without having made it."""

import io
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from pynamodb.exceptions import UpdateError

from recado import credits, events, sessions  # noqa: A004  # the school's word
from recado.events import EventsBusy, NewEvent
from recado.rules.credit_bags import Zone
from recado.rules.event_types import EventType
from recado.rules.school_settings import SchoolSettings
from recado.rules.short_codes import CodeState
from recado.tables import school_settings, short_codes
from recado.tables.base import CONFLICT_ATTEMPTS_MAX, shared_connection
from tests.session_worlds import COUNTRY, create_codes, open_session
from tests.worlds import NOON, SCHOOL, TestClock, create_school

CONFLICT = {
    "__type": "com.amazonaws.dynamodb.v20120810#TransactionConflictException",
    "message": "Transaction is ongoing for the item",
}


CANCELLED = {
    "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
    "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons [TransactionConflict]",
    "CancellationReasons": [{"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}] * 10,
}


@contextmanager
def conflicts(operation: str, times: int, answer: object = CONFLICT) -> Iterator[list[str]]:
    """The first attempts at this operation meet a transaction. Gives the list of attempts as they happen."""
    attempts: list[str] = []

    def meet(request: Any, **_: Any) -> AWSResponse | None:
        name = request.headers.get("X-Amz-Target", b"")
        if not (name.decode() if isinstance(name, bytes) else name).endswith(operation):
            return None
        attempts.append("met" if len(attempts) < times else "arrived")
        body = io.BytesIO(json.dumps(answer).encode())
        body.stream = lambda **_: iter([body.getvalue()])  # type: ignore[attr-defined]
        return AWSResponse(request.url, 400, {}, body) if attempts[-1] == "met" else None

    events = shared_connection().client.meta.events
    events.register_first("before-send", meet)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(time, "sleep", lambda _: None)
            yield attempts
    finally:
        events.unregister("before-send", meet)


@pytest.fixture(autouse=True)
def pool(aws: None) -> None:
    create_codes()


def test_a_write_that_meets_a_transaction_is_made_after_it() -> None:
    with conflicts("UpdateItem", 2) as attempts:
        assert short_codes.drain_code(COUNTRY, "44101", NOON)

    assert attempts == ["met", "met", "arrived"]
    drained = short_codes.find_code(COUNTRY, "44101")
    assert drained is not None
    assert drained.state is CodeState.DRAINING


def test_extending_a_session_while_a_reply_is_stored_is_no_error() -> None:
    clock = TestClock()
    session_id = open_session(clock)

    with conflicts("UpdateItem", 1):
        assert sessions.extend(session_id, clock) > clock()


def test_a_row_that_is_never_free_is_an_error_and_not_a_refusal() -> None:
    with conflicts("UpdateItem", 1000) as attempts, pytest.raises(UpdateError):
        short_codes.drain_code(COUNTRY, "44101", NOON)

    assert len(attempts) == CONFLICT_ATTEMPTS_MAX


def test_events_that_find_their_row_in_use_each_time_are_told_so_and_not_as_a_defect() -> None:
    told = NewEvent(EventType.BAG_REQUESTED, "c1", NOON, {"bag": "domestic-500"})
    with conflicts("TransactWriteItems", 1000, CANCELLED) as attempts, pytest.raises(EventsBusy):
        events.raise_event(SCHOOL, told)

    assert len(attempts) == CONFLICT_ATTEMPTS_MAX
    events.raise_event(SCHOOL, told)
    assert events.find_event(SCHOOL, "c1") is not None, "nothing was written before"


def test_a_balance_that_cannot_be_told_at_this_moment_fails_nothing() -> None:
    create_school()
    settings = SchoolSettings(low_balance={Zone.DOMESTIC: 5_000}, version=1, changed_by="directora", changed_at=NOON)
    assert school_settings.save_settings(SCHOOL, settings)
    with conflicts("TransactWriteItems", 1000, CANCELLED) as attempts:
        credits.note_balance(SCHOOL, NOON)

    assert attempts
