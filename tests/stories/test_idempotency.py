"""Same key and body, same answer; another body, a key in use or a key of long ago: a refusal that stays one."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pynamodb.exceptions import PutError

from recado import idempotency
from recado.errors import IdempotencyKeyReused, NotEnoughCredits, StillRunning
from tests.faults import Fault, faults

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
BODY = {"text": "x"}

pytestmark = pytest.mark.usefixtures("aws")


class Worker:
    """Counts how often it works; what it was told each time is in `firsts`."""

    def __init__(self, act: Callable[[bool], None] = lambda _: None) -> None:
        self.firsts: list[bool] = []
        self.act = act

    def __call__(self, is_first: bool) -> dict[str, Any]:
        self.firsts.append(is_first)
        self.act(is_first)
        return {"number": len(self.firsts)}


def once(work: Worker, *, at: datetime = NOW, body: Any = BODY, scope: str = "s", **more: Any) -> dict[str, Any]:
    return idempotency.once(scope, "k", body, at, work, **more)


def die(_: bool) -> None:
    raise ZeroDivisionError


def test_the_same_request_works_once_and_is_answered_the_same() -> None:
    work = Worker()

    assert once(work) == once(work, at=NOW + timedelta(hours=23)) == {"number": 1}
    assert work.firsts == [True]


def test_the_same_key_of_another_scope_is_another_request() -> None:
    work = Worker()

    once(work, scope="s")
    once(work, scope="t")

    assert work.firsts == [True, True]


def test_another_body_is_refused_and_works_nothing() -> None:
    work = Worker()
    once(work)

    with pytest.raises(IdempotencyKeyReused):
        once(work, body={"text": "y"})

    assert work.firsts == [True]


def test_while_the_first_is_at_it_the_second_is_told_when_to_come_back() -> None:
    with pytest.raises(ZeroDivisionError):
        once(Worker(die))
    second = Worker()

    with pytest.raises(StillRunning) as refused:
        once(second, at=NOW + timedelta(seconds=10))

    assert refused.value.retry_after_seconds == 20
    assert second.firsts == []


def test_what_died_is_carried_on_by_whoever_comes_after_its_lease() -> None:
    with pytest.raises(ZeroDivisionError):
        once(Worker(die))
    second = Worker()

    once(second, at=NOW + timedelta(seconds=30))

    assert second.firsts == [False]


def test_what_was_refused_may_be_asked_again_at_once() -> None:
    def refuse(_: bool) -> None:
        raise NotEnoughCredits

    with pytest.raises(NotEnoughCredits):
        once(Worker(refuse))
    second = Worker()

    once(second, at=NOW + timedelta(seconds=1))

    assert second.firsts == [False]


def test_a_key_of_more_than_a_day_ago_is_first_again() -> None:
    work = Worker()
    once(work)

    once(work, at=NOW + timedelta(hours=24))

    assert work.firsts == [True, True]


def test_a_key_found_to_be_of_long_ago_stays_so_however_often_it_is_asked() -> None:
    def recognise(is_first: bool) -> None:
        if is_first:
            raise IdempotencyKeyReused

    work = Worker(recognise)

    for _ in range(3):
        with pytest.raises(IdempotencyKeyReused):
            once(work)

    assert work.firsts == [True, True, True]


def test_an_answer_that_is_not_kept_is_worked_out_again() -> None:
    work = Worker()

    once(work, keep_answer=False)
    once(work, at=NOW + timedelta(seconds=1), keep_answer=False)

    assert work.firsts == [True, False]


@pytest.mark.parametrize("fault", ["lost", "applied"])
def test_a_lost_answer_of_our_own_does_not_make_us_a_stranger(fault: Fault) -> None:
    work = Worker()

    with faults("PutItem", fault) as attempts:
        once(work)

    assert attempts == [fault, "arrived"]
    assert work.firsts == [True]


@pytest.mark.parametrize("fault", ["lost", "applied"])
def test_the_answer_is_kept_though_the_request_that_keeps_it_is_lost(fault: Fault) -> None:
    work = Worker()

    with faults("UpdateItem", fault) as attempts:
        once(work)

    assert attempts == [fault, "arrived"]
    assert once(work) == {"number": 1}


@pytest.mark.parametrize("fault", ["lost", "applied"])
def test_a_database_that_never_answers_is_an_error_of_its_own_and_no_refusal(fault: Fault) -> None:
    work = Worker()

    with faults("PutItem", fault, fault, fault), pytest.raises(PutError):
        once(work)

    assert work.firsts == []
