"""Scheduled messages: when they may be asked for, moved, changed and cancelled, and what happens when they are due."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from recado import messages
from recado.errors import (
    ChangedMeanwhile,
    ContractSuspended,
    InvalidRequest,
    NotEnoughCredits,
    QuietHoursNow,
    RecadoError,
    WrongState,
)
from recado.rules.credit_bags import Zone
from recado.rules.message_states import Category, MessageState
from recado.tables import ledger
from recado.tables import messages as message_table
from recado.tables.messages import Message
from tests.faults import faults, meanwhile
from tests.message_worlds import AT_NIGHT, add_person, change_person, copies_of, set_quiet_hours, to
from tests.worlds import (
    DIRECTOR,
    NOON,
    SCHOOL,
    FakeCarrier,
    TestClock,
    add_guardian,
    add_guardians,
    alert,
    attend,
    create,
    create_school,
    figures,
    mobile,
    suspend,
    work_all,
)

pytestmark = pytest.mark.usefixtures("aws")

AN_HOUR = NOON + timedelta(hours=1)


def scheduled(clock: TestClock, at: datetime = AN_HOUR, **changes: object) -> Message:
    return create(replace(alert(send_at=at), **changes), clock)  # type: ignore[arg-type]  # a test's own fields


def saved(message: Message) -> Message:
    found = message_table.find_message(SCHOOL, message.id)
    assert found is not None
    return found


def edit(message: Message, text: str, clock: TestClock) -> Message:
    return messages.edit(DIRECTOR, message.id, alert(text=text), clock())


@pytest.fixture
def clock() -> TestClock:
    create_school(domestic=10)
    add_guardians(2)
    return TestClock()


# --- moved ------------------------------------------------------------------------------------------------------


def test_moving_a_scheduled_message_keeps_its_hold_and_says_who_moved_it(clock: TestClock) -> None:
    message = scheduled(clock)

    moved = messages.send(DIRECTOR, message.id, AN_HOUR + timedelta(hours=3), clock())

    assert (moved.state, moved.send_at, moved.plan) == (MessageState.SCHEDULED, NOON + timedelta(hours=4), message.plan)
    assert moved.give_up_at == NOON + timedelta(hours=28)
    assert [one["act"] for one in moved.history] == ["created", "scheduled", "rescheduled"]
    assert figures() == (8, 2, 0)


@pytest.mark.parametrize("hours", [-0.5, 3])
def test_a_moved_message_goes_out_at_its_new_time_and_not_at_its_old_one(clock: TestClock, hours: float) -> None:
    carrier = FakeCarrier()
    message = scheduled(clock)
    new_time = AN_HOUR + timedelta(hours=hours)
    messages.send(DIRECTOR, message.id, new_time, clock())

    clock.now = min(AN_HOUR, new_time) - timedelta(seconds=1)
    attend(clock)
    assert work_all(carrier, clock) == 0
    clock.now = new_time
    attend(clock)
    work_all(carrier, clock)

    assert sorted(carrier.numbers_heard()) == [mobile(0), mobile(1)]
    assert figures() == (8, 0, 2)


def test_scheduling_for_the_time_it_has_changes_nothing(clock: TestClock) -> None:
    message = scheduled(clock)

    assert messages.send(DIRECTOR, message.id, AN_HOUR, clock()) == message


def test_a_scheduled_message_is_sent_now_with_the_credits_it_holds(clock: TestClock) -> None:
    carrier = FakeCarrier()
    message = scheduled(clock)

    sent = messages.send(DIRECTOR, message.id, None, clock())
    work_all(carrier, clock)

    assert (sent.state, len(carrier.heard), figures()) == (MessageState.SENDING, 2, (8, 0, 2))
    clock.now = AN_HOUR
    attend(clock)
    assert (work_all(carrier, clock), saved(message).state) == (0, MessageState.SENT)


def test_a_scheduled_message_is_not_sent_now_while_the_contract_is_suspended_L5(clock: TestClock) -> None:
    message = scheduled(clock)
    suspend()

    with pytest.raises(ContractSuspended):
        messages.send(DIRECTOR, message.id, None, clock())

    assert saved(message) == message


def test_moving_whose_answer_was_lost_is_done_once(clock: TestClock) -> None:
    message = scheduled(clock)

    with faults("UpdateItem", "applied"):
        moved = messages.send(DIRECTOR, message.id, AN_HOUR + timedelta(hours=1), clock())

    assert saved(message) == moved
    assert [one["act"] for one in moved.history].count("rescheduled") == 1


@pytest.mark.parametrize("state", [MessageState.CANCELLED, MessageState.SENDING])
def test_what_does_not_wait_any_more_is_not_moved(clock: TestClock, state: MessageState) -> None:
    message = scheduled(clock)
    if state is MessageState.CANCELLED:
        messages.cancel(DIRECTOR, message.id, clock())
    else:
        messages.send(DIRECTOR, message.id, None, clock())

    with pytest.raises(WrongState):
        messages.send(DIRECTOR, message.id, AN_HOUR + timedelta(hours=1), clock())


# --- changed ----------------------------------------------------------------------------------------------------


def test_changing_a_scheduled_message_exchanges_its_hold(clock: TestClock) -> None:
    carrier = FakeCarrier()
    message = scheduled(clock)

    edited = edit(message, "a" * 161, clock)

    assert (edited.state, edited.send_at, figures()) == (MessageState.SCHEDULED, AN_HOUR, (6, 4, 0))
    clock.now = AN_HOUR
    attend(clock)
    work_all(carrier, clock)
    assert {text.text for text in carrier.heard} == {"a" * 161}
    assert figures() == (6, 0, 4)
    assert {entry.cause for entry in ledger.list_entries(SCHOOL, Zone.DOMESTIC, limit=20)[0]} >= {
        f"hold#{message.id}#{message.plan}",
        f"close#{message.id}#{message.plan}",
        f"hold#{message.id}#{edited.plan}",
        f"close#{message.id}#{edited.plan}",
    }


def test_a_change_that_the_credits_do_not_reach_leaves_the_message_and_its_hold_as_they_were(clock: TestClock) -> None:
    message = scheduled(clock)

    with pytest.raises(NotEnoughCredits) as refused:
        edit(message, "a" * 900, clock)

    assert refused.value.members["missing"] == 2
    assert (saved(message), figures()) == (message, (8, 2, 0))


def test_a_change_counts_the_credits_that_the_message_itself_gives_back(clock: TestClock) -> None:
    message = scheduled(clock)

    edited = edit(message, "a" * 700, clock)

    assert (edited.held, figures()) == ({"domestic": 10}, (0, 10, 0))


def test_a_change_to_the_message_centre_alone_gives_the_credits_back_L4(clock: TestClock) -> None:
    message = scheduled(clock)

    edited = messages.edit(DIRECTOR, message.id, to("inbox"), clock())

    assert (edited.state, edited.held, edited.copies, figures()) == (MessageState.SCHEDULED, {}, 2, (10, 0, 0))
    clock.now = AN_HOUR
    attend(clock)
    work_all(FakeCarrier(), clock)
    assert copies_of("g00000", clock()) == [alert().text]


def test_a_change_whose_answer_was_lost_is_made_once(clock: TestClock) -> None:
    message = scheduled(clock)

    with faults("TransactWriteItems", "applied"):
        edited = edit(message, "a" * 161, clock)

    assert (saved(message), figures()) == (edited, (6, 4, 0))


def test_of_two_changes_at_the_same_moment_one_is_told(clock: TestClock) -> None:
    message = scheduled(clock)

    with meanwhile("TransactWriteItems", lambda: edit(message, "Primera", clock)), pytest.raises(ChangedMeanwhile):
        edit(message, "Segunda", clock)

    assert (saved(message).text, figures()) == ("Primera", (8, 2, 0))


def test_cancelling_what_is_just_being_changed_cancels_what_it_has_become(clock: TestClock) -> None:
    message = scheduled(clock)

    with meanwhile("TransactWriteItems", lambda: edit(message, "Primera", clock)):
        cancelled = messages.cancel(DIRECTOR, message.id, clock())

    assert (cancelled.text, saved(message).state, figures()) == ("Primera", MessageState.CANCELLED, (10, 0, 0))


def test_changing_what_is_just_being_cancelled_is_refused(clock: TestClock) -> None:
    message = scheduled(clock)

    def cancel() -> Message:
        return messages.cancel(DIRECTOR, message.id, clock())

    with meanwhile("TransactWriteItems", cancel), pytest.raises(WrongState):
        edit(message, "Segunda", clock)

    assert (saved(message).state, figures()) == (MessageState.CANCELLED, (10, 0, 0))


def test_a_cancellation_whose_answer_was_lost_returns_the_credits_once(clock: TestClock) -> None:
    message = scheduled(clock)

    with faults("TransactWriteItems", "applied"):
        cancelled = messages.cancel(DIRECTOR, message.id, clock())

    assert (cancelled.state, cancelled.cancelled_by, figures()) == (MessageState.CANCELLED, "directora", (10, 0, 0))


# --- due, and somebody acts in the same moment ------------------------------------------------------------------

type Act = Callable[[Message, TestClock], object]


def move_on(message: Message, clock: TestClock) -> object:
    return messages.send(DIRECTOR, message.id, clock() + timedelta(hours=2), clock())


def change(message: Message, clock: TestClock) -> object:
    return edit(message, "Cambio de último minuto", clock)


def cancel(message: Message, clock: TestClock) -> object:
    return messages.cancel(DIRECTOR, message.id, clock())


@pytest.mark.parametrize(
    ("act", "state", "held"),
    [(move_on, MessageState.SCHEDULED, 2), (change, MessageState.SCHEDULED, 2), (cancel, MessageState.CANCELLED, 0)],
)
def test_whoever_acts_before_the_release_is_written_wins(
    clock: TestClock, act: Act, state: MessageState, held: int
) -> None:
    message = scheduled(clock)
    clock.now = AN_HOUR

    # An unchanged plan moves no money: its release is one write of the message, in a transaction of one.
    with meanwhile("TransactWriteItems", lambda: act(message, clock)):
        attend(clock)

    assert (saved(message).state, figures()) == (state, (10 - held, held, 0))
    assert work_all(FakeCarrier(), clock) == 0


def test_what_was_changed_at_the_last_moment_goes_out_as_it_was_changed(clock: TestClock) -> None:
    carrier = FakeCarrier()
    message = scheduled(clock)
    clock.now = AN_HOUR
    with meanwhile("TransactWriteItems", lambda: change(message, clock)):
        attend(clock)

    clock.move(minutes=1)
    attend(clock)
    work_all(carrier, clock)

    assert {text.text for text in carrier.heard} == {"Cambio de último minuto"}
    assert len(carrier.heard) == 2


@pytest.mark.parametrize(
    ("act", "operation"), [(move_on, "UpdateItem"), (change, "TransactWriteItems"), (cancel, "TransactWriteItems")]
)
def test_whoever_acts_after_the_release_is_told_and_it_goes_out_once(
    clock: TestClock, act: Act, operation: str
) -> None:
    carrier = FakeCarrier()
    message = scheduled(clock)
    clock.now = AN_HOUR

    with meanwhile(operation, lambda: attend(clock)), pytest.raises(RecadoError) as refused:
        act(message, clock)
    work_all(carrier, clock)

    assert refused.value.code in ("wrong_state", "changed_meanwhile")
    assert {text.text for text in carrier.heard} == {alert().text}
    assert (len(carrier.heard), figures()) == (2, (8, 0, 2))


def test_two_attention_runs_release_a_message_once(clock: TestClock) -> None:
    carrier = FakeCarrier()
    scheduled(clock)
    clock.now = AN_HOUR

    with meanwhile("TransactWriteItems", lambda: attend(clock)):
        attend(clock)
    work_all(carrier, clock)

    assert (len(carrier.heard), figures()) == (2, (8, 0, 2))


def test_a_release_whose_answer_was_lost_goes_out_once(clock: TestClock) -> None:
    carrier = FakeCarrier()
    scheduled(clock)
    add_guardian(2)
    clock.now = AN_HOUR

    with faults("TransactWriteItems", "applied"):
        attend(clock)
    work_all(carrier, clock)

    assert (len(carrier.heard), figures()) == (3, (7, 0, 3))


# --- due: the audience as it is then ----------------------------------------------------------------------------


def test_when_it_is_due_the_audience_is_the_one_of_then(clock: TestClock) -> None:
    carrier = FakeCarrier()
    scheduled(clock)
    change_person("g00000", number=mobile(50))
    change_person("g00001", left_at=NOON)
    add_guardian(2)
    clock.now = AN_HOUR

    attend(clock)
    work_all(carrier, clock)

    assert sorted(carrier.numbers_heard()) == [mobile(2), mobile(50)]
    assert figures() == (8, 0, 2)


def test_when_everybody_has_left_nobody_is_written_to_and_the_credits_return(clock: TestClock) -> None:
    carrier = FakeCarrier()
    message = scheduled(clock)
    for person_id in ("g00000", "g00001"):
        change_person(person_id, left_at=NOON)
    clock.now = AN_HOUR

    attend(clock)
    clock.move(minutes=1)
    attend(clock)
    work_all(carrier, clock)

    assert (carrier.heard, saved(message).state, figures()) == ([], MessageState.SENT, (10, 0, 0))


def test_when_the_credits_do_not_reach_for_more_people_what_was_held_goes_out(clock: TestClock) -> None:
    carrier = FakeCarrier()
    scheduled(clock)
    create(alert(text="a" * 600), clock, key="key-2")
    add_guardian(2)
    add_guardian(3)
    work_all(FakeCarrier(), clock)
    clock.now = AN_HOUR

    attend(clock)
    work_all(carrier, clock)

    assert sorted(carrier.numbers_heard()) == [mobile(0), mobile(1)]


def test_in_the_message_centre_too_whoever_came_since_gets_a_copy_and_whoever_left_none_L4(clock: TestClock) -> None:
    create(to("inbox", new=alert(send_at=AN_HOUR)), clock)
    change_person("g00000", left_at=NOON)
    add_person("newcomer")
    clock.now = AN_HOUR

    attend(clock)
    work_all(FakeCarrier(), clock)

    assert [len(copies_of(one, clock())) for one in ("g00000", "g00001", "newcomer")] == [0, 1, 1]


# --- outages ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("minutes_late", "is_heard"), [(0, True), (29, True), (30, False), (600, False)])
def test_what_was_due_during_an_outage_goes_out_unless_it_is_older_than_it_is_worth(
    clock: TestClock, minutes_late: int, is_heard: bool
) -> None:
    carrier = FakeCarrier()
    message = scheduled(clock, expires_after_minutes=30)
    clock.now = AN_HOUR + timedelta(minutes=minutes_late)

    attend(clock)
    work_all(carrier, clock)

    assert (len(carrier.heard) == 2) is is_heard
    assert saved(message).state is (MessageState.SENT if is_heard else MessageState.CANCELLED)
    assert figures() == ((8, 0, 2) if is_heard else (10, 0, 0))


def test_an_expired_message_says_that_nobody_cancelled_it(clock: TestClock) -> None:
    message = scheduled(clock, expires_after_minutes=30)
    clock.now = AN_HOUR + timedelta(hours=1)

    attend(clock)

    assert (saved(message).cancelled_by, saved(message).history[-1]["act"]) == ("recado", "expired")


def test_what_is_moved_in_the_moment_it_expires_waits_for_its_new_time(clock: TestClock) -> None:
    message = scheduled(clock, expires_after_minutes=30)
    clock.now = AN_HOUR + timedelta(hours=1)

    with meanwhile("TransactWriteItems", lambda: move_on(message, clock)):
        attend(clock)

    assert (saved(message).state, saved(message).send_at) == (MessageState.SCHEDULED, clock() + timedelta(hours=2))
    assert figures() == (8, 2, 0)


# --- when -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (NOON, "in_the_past"),
        (NOON - timedelta(days=400), "in_the_past"),
        (NOON + timedelta(days=365, seconds=1), "too_far"),
        (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), "too_far"),
    ],
)
def test_a_time_that_cannot_be_is_refused_for_a_draft_and_for_a_scheduled_message(
    clock: TestClock, at: datetime, code: str
) -> None:
    draft = create(alert(send=False), clock)
    message = create(alert(send_at=AN_HOUR), clock, key="key-2")

    for message_id in (draft.id, message.id):
        with pytest.raises(InvalidRequest) as refused:
            messages.send(DIRECTOR, message_id, at, clock())
        assert [(one.field, one.code) for one in refused.value.fields] == [("/at", code)]


def test_a_year_ahead_is_not_too_far(clock: TestClock) -> None:
    assert scheduled(clock, NOON + timedelta(days=365)).state is MessageState.SCHEDULED


# --- quiet hours ------------------------------------------------------------------------------------------------


def test_in_quiet_hours_a_send_is_refused_with_the_next_time_in_utc_and_on_the_schools_clocks(clock: TestClock) -> None:
    set_quiet_hours()
    clock.now = AT_NIGHT

    with pytest.raises(QuietHoursNow) as refused:
        create(alert(), clock)

    assert refused.value.members == {
        "next_allowed_at": "2026-11-24T10:00:00+00:00",
        "next_allowed_at_local": "2026-11-24T07:00:00-03:00",
    }
    assert (figures(), messages.list_recent(DIRECTOR, limit=1, before=None)) == ((10, 0, 0), ([], None))


def test_a_time_within_quiet_hours_is_refused_by_day_too(clock: TestClock) -> None:
    set_quiet_hours()
    message = scheduled(clock)

    with pytest.raises(QuietHoursNow):
        create(alert(send_at=AT_NIGHT), clock, key="key-2")
    with pytest.raises(QuietHoursNow):
        messages.send(DIRECTOR, message.id, AT_NIGHT, clock())

    assert saved(message) == message


def test_the_next_allowed_time_is_accepted(clock: TestClock) -> None:
    set_quiet_hours()
    clock.now = AT_NIGHT
    with pytest.raises(QuietHoursNow) as refused:
        create(alert(), clock)

    at = datetime.fromisoformat(refused.value.members["next_allowed_at"])

    assert create(alert(send_at=at), clock).state is MessageState.SCHEDULED


def test_who_sent_despite_quiet_hours_is_on_the_message(clock: TestClock) -> None:
    set_quiet_hours()
    clock.now = AT_NIGHT

    message = create(replace(alert(), despite_quiet_hours=True), clock)

    assert (message.state, saved(message).despite_quiet_hours) == (MessageState.SENDING, "directora")


@pytest.mark.parametrize("category", [Category.EMERGENCY, Category.ENVIRONMENTAL_EMERGENCY])
def test_an_emergency_does_not_wait_for_the_morning(clock: TestClock, category: Category) -> None:
    set_quiet_hours()
    clock.now = AT_NIGHT

    assert create(alert(category=category), clock).state is MessageState.SENDING


def test_the_message_centre_wakes_nobody_L4(clock: TestClock) -> None:
    set_quiet_hours()
    clock.now = AT_NIGHT

    assert create(to("inbox"), clock).state is MessageState.SENDING


def test_an_emergency_scheduled_at_night_does_not_become_a_meeting_at_night(clock: TestClock) -> None:
    set_quiet_hours()
    message = create(alert(category=Category.EMERGENCY, send_at=AT_NIGHT), clock)

    with pytest.raises(QuietHoursNow):
        messages.edit(DIRECTOR, message.id, alert(category=Category.MEETING), clock())

    assert saved(message) == message


def test_without_quiet_hours_a_school_sends_at_night(clock: TestClock) -> None:
    clock.now = AT_NIGHT

    assert create(alert(), clock).state is MessageState.SENDING
