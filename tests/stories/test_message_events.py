"""How a message ended, told to the portal once: sent, stopped, cancelled, expired, or refused after it was taken."""

from dataclasses import replace
from datetime import timedelta

import pytest
from pynamodb.exceptions import PynamoDBException

from recado import background_plans, events, messages, orders, plan_work, planning, scheduling
from recado.events import EventsBusy
from recado.rules.credit_bags import Zone
from recado.rules.event_types import EventType
from recado.rules.message_states import MessageState
from recado.settings import SETTINGS
from recado.tables import events as table
from recado.tables import messages as message_table
from recado.tables.events import Event
from tests.conftest import jobs_on
from tests.faults import Fault, faults
from tests.message_worlds import FOREIGN, add_person, to
from tests.worlds import (
    DIRECTOR,
    NOON,
    SCHOOL,
    FakeCarrier,
    TestClock,
    add_guardians,
    alert,
    attend,
    buy,
    create,
    create_school,
    figures,
    suspend,
    work_all,
)

ENDS = (EventType.MESSAGE_SENT, EventType.MESSAGE_CANCELLED, EventType.MESSAGE_REFUSED)


@pytest.fixture
def clock(aws: None) -> TestClock:
    create_school()
    add_guardians(3)
    return TestClock()


def ends() -> list[Event]:
    return [event for event in table.list_events(SCHOOL, after=0, limit=100) if event.type in ENDS]


def scheduled(clock: TestClock, expires_after_minutes: int | None = None) -> str:
    new = alert(send_at=NOON + timedelta(hours=1))
    return create(replace(new, expires_after_minutes=expires_after_minutes), clock).id


def test_a_message_that_went_out_is_told_with_what_it_cost(clock: TestClock) -> None:
    buy(SCHOOL, Zone.INTERNATIONAL, 10)
    add_person("abroad", number=FOREIGN)
    message = create(alert(), clock)
    work_all(FakeCarrier(), clock)
    work_all(FakeCarrier(), clock)

    (event,) = ends()

    assert (event.type, event.at) == (EventType.MESSAGE_SENT, clock())
    assert event.data == {
        "message": message.id,
        "state": "sent",
        "captured_domestic": 3,
        "captured_international": 1,
    }
    assert events.find_event(SCHOOL, f"message.sent#{message.id}") == event


def test_a_message_that_costs_nothing_is_told_too(clock: TestClock) -> None:  # L4
    create(to("inbox"), clock)
    work_all(FakeCarrier(), clock)

    (event,) = ends()

    assert (event.data["state"], event.data["captured_domestic"]) == ("sent", 0)


def test_a_stopped_message_is_told_as_stopped(clock: TestClock) -> None:
    message = create(alert(), clock)
    messages.stop(DIRECTOR, message.id, clock())
    work_all(FakeCarrier(), clock)

    (event,) = ends()

    assert event.data == {
        "message": message.id,
        "state": "stopped",
        "captured_domestic": 0,
        "captured_international": 0,
    }


def test_cancelling_is_told_once_however_often_it_is_asked(clock: TestClock) -> None:
    message = scheduled(clock)
    for _ in range(3):
        messages.cancel(DIRECTOR, message, clock())

    (event,) = ends()

    assert event.type is EventType.MESSAGE_CANCELLED
    assert event.data == {"message": message, "because": "asked"}


def test_a_message_that_waited_for_too_long_is_told_as_expired(clock: TestClock) -> None:  # L5
    message = scheduled(clock, expires_after_minutes=30)
    suspend()
    for _ in range(8):
        clock.move(minutes=16)
        attend(clock)

    (event,) = ends()

    assert event.type is EventType.MESSAGE_CANCELLED
    assert event.data == {"message": message, "because": "expired"}


def test_a_message_refused_after_it_was_taken_is_told_and_told_again_the_next_time(
    clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = replace(SETTINGS, audience_max=2)
    monkeypatch.setattr(planning, "SETTINGS", small)
    for module in (background_plans, scheduling):
        monkeypatch.setattr(module, "SETTINGS", small)
    message = create(alert(), clock)
    suspend()
    for turn in range(2):
        for body in jobs_on("PlansQueue"):
            worker = plan_work.Worker(owner="p", clock=clock, time_left=lambda: timedelta(minutes=5))
            plan_work.work(plan_work.read_job(body), worker)
        assert len(ends()) == turn + 1
        if not turn:
            found = message_table.find_message(SCHOOL, message.id)
            assert found is not None
            assert found.state is MessageState.DRAFT
            with pytest.MonkeyPatch.context() as patch:  # the contract is back for the moment of asking
                patch.setattr(orders, "check_contract", lambda *_: None)
                messages.send(DIRECTOR, message.id, None, clock())

    assert [event.data for event in ends()] == [{"message": message.id, "code": "contract_suspended"}] * 2


@pytest.mark.parametrize("kind", ["lost", "applied"])
def test_a_settling_killed_at_any_write_is_told_once_with_its_credits(clock: TestClock, kind: Fault) -> None:
    create(alert(), clock)
    bodies = jobs_on("UrgentQueue") + jobs_on("BulkQueue")

    killed = 0
    for attempt in range(5):
        with faults("TransactWriteItems", *[None] * attempt, kind, kind, kind):
            try:
                work_all(FakeCarrier(), clock, bodies=bodies)
            except PynamoDBException:
                killed += 1
        assert len(ends()) == (1 if figures()[1] == 0 else 0)
        clock.move(minutes=1)
    work_all(FakeCarrier(), clock, bodies=bodies)

    assert killed
    assert [event.data["captured_domestic"] for event in ends()] == [3]
    assert figures() == (997, 0, 3)


def test_a_school_with_too_many_events_at_once_settles_a_minute_later(
    clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(alert(), clock)
    with monkeypatch.context() as patch:
        patch.setattr(events, "ATTEMPTS_MAX", 0)
        with pytest.raises(EventsBusy):
            work_all(FakeCarrier(), clock)
    assert figures() == (997, 3, 0)

    clock.move(minutes=1)
    attend(clock)

    assert figures() == (997, 0, 3)
    assert [event.type for event in ends()] == [EventType.MESSAGE_SENT]
