"""The life of a message and its money (L1, L2, L3, L5, L11, L13)."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from recado import message_reports, messages, planning, records, scheduling
from recado.carriers.speech import Refused, RefusedBecause
from recado.drafts import NewMessage
from recado.errors import (
    ContractSuspended,
    IdempotencyKeyReused,
    InvalidRequest,
    NobodyToReach,
    NotAllowedToSend,
    NotEnoughCredits,
    NotFound,
    NoticeNeedsConfirming,
    WrongState,
)
from recado.rules.credit_bags import Zone
from recado.rules.delivery_states import RecipientState
from recado.rules.message_states import Category, MessageState
from recado.tables import ledger, short_codes
from recado.tables import messages as message_table
from recado.tables.messages import Message
from recado.tables.short_codes import Purpose, ShortCode
from tests.conftest import jobs_on
from tests.worlds import (
    DIRECTOR,
    NOON,
    SCHOOL,
    TEACHER,
    FakeCarrier,
    TestClock,
    add_guardian,
    add_guardians,
    alert,
    attend,
    buy,
    create,
    create_school,
    figures,
    mobile,
    opt_out,
    suspend,
    work_all,
)

pytestmark = pytest.mark.usefixtures("aws")


def test_an_alert_reaches_every_guardian_and_captures_what_the_carrier_took() -> None:
    create_school(domestic=100)
    add_guardians(45)
    clock, carrier = TestClock(), FakeCarrier()

    message = create(alert(), clock)
    work_all(carrier, clock)

    assert sorted(carrier.numbers_heard()) == [mobile(position) for position in range(45)]
    assert figures() == (55, 0, 45)
    assert records.get_message(SCHOOL, message.id).state is MessageState.SENT
    assert message_reports.get_delivery(DIRECTOR, message.id, NOON).counts == {RecipientState.SENT: 45}


def test_credits_are_held_from_the_moment_of_sending() -> None:
    create_school(domestic=100)
    add_guardians(3)

    create(alert(), TestClock())

    assert figures() == (97, 3, 0)


def test_a_teacher_may_not_send_and_nothing_is_written_L2() -> None:
    create_school(domestic=100)
    add_guardians(3)

    with pytest.raises(NotAllowedToSend):
        create(alert(), TestClock(), caller=TEACHER)

    assert figures() == (100, 0, 0)
    assert message_table.list_messages(SCHOOL, limit=10) == ([], None)
    assert jobs_on("BulkQueue") == []


def test_a_school_without_credits_is_told_how_many_are_missing() -> None:
    create_school(domestic=2)
    add_guardians(5)

    with pytest.raises(NotEnoughCredits) as refused:
        create(alert(), TestClock())

    assert refused.value.members["missing"] == 3
    assert refused.value.members["zones"] == {"domestic": {"needed": 5, "available": 2, "missing": 3}}
    assert message_table.list_messages(SCHOOL, limit=10) == ([], None)
    assert figures() == (2, 0, 0)


def test_a_school_that_never_bought_a_bag_is_told_how_many_are_missing() -> None:
    create_school(domestic=None)
    add_guardians(2)

    with pytest.raises(NotEnoughCredits) as refused:
        create(alert(), TestClock())

    assert refused.value.members["missing"] == 2


def test_one_sms_a_number_even_when_two_guardians_share_it() -> None:
    create_school()
    add_guardian(1, number=mobile(1))
    add_guardian(2, number=mobile(1))
    clock, carrier = TestClock(), FakeCarrier()

    create(alert(), clock)
    work_all(carrier, clock)

    assert carrier.numbers_heard() == [mobile(1)]
    assert figures() == (999, 0, 1)


def test_people_without_a_number_or_opted_out_are_skipped_counted_and_not_charged_L11() -> None:
    create_school(domestic=10)
    add_guardians(2)
    add_guardian(10, number=None)
    add_guardian(11, number=None, problem=True)
    out = add_guardian(12)
    opt_out(mobile(12), f"person#{out}")

    message = create(alert(), TestClock())

    assert message.recipients == 2
    assert message.skipped == {"no_number": 1, "unusable_number": 1, "opted_out": 1}
    assert figures() == (8, 2, 0)


def test_a_foreign_number_is_skipped_without_an_international_bag_L13() -> None:
    create_school(domestic=10)
    add_guardians(1)
    add_guardian(2, number="+12125550123")

    message = create(alert(), TestClock())

    assert message.skipped == {"no_international_bag": 1}
    assert message.held == {"domestic": 1}


def test_a_foreign_number_is_paid_from_the_international_bag_L13() -> None:
    create_school(domestic=10, international=5)
    add_guardians(1)
    add_guardian(2, number="+18095550142")
    clock, carrier = TestClock(), FakeCarrier()

    create(alert(), clock)
    work_all(carrier, clock)

    assert figures() == (9, 0, 1)
    assert figures(zone=Zone.INTERNATIONAL) == (4, 0, 1)


def test_a_zone_that_is_short_refuses_the_whole_message() -> None:
    create_school(domestic=10, international=0)
    add_guardians(1)
    add_guardian(2, number="+18095550142")

    with pytest.raises(NotEnoughCredits) as refused:
        create(alert(), TestClock())

    assert refused.value.members["zones"]["international"]["missing"] == 1
    assert figures() == (10, 0, 0)


def test_an_accent_makes_the_text_cost_two_segments_and_both_are_held() -> None:
    create_school(domestic=10)
    add_guardians(1)

    message = create(alert(text="á" * 71), TestClock())

    assert message.segments == 2
    assert figures() == (8, 2, 0)


def test_a_decomposed_letter_costs_what_it_looks_like() -> None:
    create_school(domestic=10)
    add_guardians(1)

    message = create(alert(text="man\u0303ana " * 10), TestClock())

    assert (message.segments, message.text) == (1, "ma\u00f1ana " * 10)


def test_a_draft_holds_nothing_until_it_is_sent() -> None:
    create_school(domestic=10)
    add_guardians(2)
    clock = TestClock()

    draft = create(alert(send=False), clock)
    assert (draft.state, figures()) == (MessageState.DRAFT, (10, 0, 0))
    sent = messages.send(DIRECTOR, draft.id, None, clock())

    assert sent.state is MessageState.SENDING
    assert figures() == (8, 2, 0)


def test_pressing_send_twice_pays_once() -> None:
    create_school(domestic=10)
    add_guardians(2)
    clock, carrier = TestClock(), FakeCarrier()
    draft = create(alert(send=False), clock)

    messages.send(DIRECTOR, draft.id, None, clock())
    messages.send(DIRECTOR, draft.id, None, clock())
    work_all(carrier, clock)

    assert len(carrier.heard) == 2
    assert figures() == (8, 0, 2)


def test_whoever_presses_send_at_the_same_moment_is_not_told_that_the_credits_are_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create_school(domestic=2)
    add_guardians(2)
    clock = TestClock()
    draft = create(alert(send=False), clock)
    made, plan = planning.make_plan, []

    def plan_late(*arguments: Any) -> Any:
        # The second press has read the draft; the first one sends it now, and takes all credits.
        monkeypatch.setattr(planning, "make_plan", made)
        plan.append(messages.send(DIRECTOR, draft.id, None, clock()).plan)
        return made(*arguments)

    monkeypatch.setattr(planning, "make_plan", plan_late)
    second = messages.send(DIRECTOR, draft.id, None, clock())

    assert [second.plan] == plan
    assert second.state is MessageState.SENDING
    assert figures() == (0, 2, 0)


def test_the_same_key_after_its_row_has_expired_is_refused() -> None:
    create_school()
    add_guardians(1)
    clock = TestClock()
    create(alert(), clock, key="again")

    with pytest.raises(IdempotencyKeyReused):
        create(alert(), clock, key="again")


def test_a_request_carried_on_after_its_worker_died_finds_its_message() -> None:
    create_school(domestic=10)
    add_guardians(1)
    clock = TestClock()
    first = create(alert(), clock, key="again")

    again = messages.create(DIRECTOR, alert(), "again", clock(), key_is_first=False)

    assert again.id == first.id
    assert figures() == (9, 1, 0)


def test_a_scheduled_message_goes_out_at_its_minute_and_not_before() -> None:
    create_school(domestic=10)
    add_guardians(2)
    clock, carrier = TestClock(), FakeCarrier()
    message = create(alert(send_at=NOON + timedelta(minutes=1)), clock)
    assert (message.state, figures()) == (MessageState.SCHEDULED, (8, 2, 0))

    clock.move(seconds=59)
    assert attend(clock) == 0
    clock.move(seconds=1)
    assert attend(clock) == 1
    work_all(carrier, clock)

    assert len(carrier.heard) == 2
    assert figures() == (8, 0, 2)


def test_a_scheduled_message_goes_to_who_is_there_when_it_is_due() -> None:
    create_school(domestic=10)
    add_guardians(1)
    clock, carrier = TestClock(), FakeCarrier()
    create(alert(send_at=NOON + timedelta(hours=1)), clock)
    add_guardian(7)

    clock.move(hours=1)
    attend(clock)
    work_all(carrier, clock)

    assert sorted(carrier.numbers_heard()) == [mobile(0), mobile(7)]
    assert figures() == (8, 0, 2)


def test_a_due_message_that_a_slow_run_releases_under_the_next_one_goes_out_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create_school(domestic=10)
    add_guardians(2)
    busy = Refused(RefusedBecause.FOR_NOW, "told so")
    clock, carrier = TestClock(), FakeCarrier(answer=lambda text: busy if text.to == mobile(1) else None)
    message = create(alert(send_at=NOON + timedelta(hours=1)), clock)
    move = message_table.move_attention

    def move_while_the_slow_run_ends(seen: Message, attend_at: datetime) -> bool:
        monkeypatch.setattr(message_table, "move_attention", move)
        is_moved = move(seen, attend_at)
        scheduling.release_due(seen, clock())
        work_all(carrier, clock)
        add_guardian(7)
        return is_moved

    monkeypatch.setattr(message_table, "move_attention", move_while_the_slow_run_ends)
    clock.move(hours=1)
    attend(clock)
    work_all(carrier, clock)

    assert carrier.numbers_heard() == [mobile(0)]
    assert records.get_message(SCHOOL, message.id).state is MessageState.SENDING
    assert figures() == (8, 2, 0)


def test_a_scheduled_message_whose_new_plan_is_too_dear_goes_out_as_it_was_held() -> None:
    create_school(domestic=1)
    add_guardians(1)
    clock, carrier = TestClock(), FakeCarrier()
    create(alert(send_at=NOON + timedelta(hours=1)), clock)
    add_guardian(7)

    clock.move(hours=1)
    attend(clock)
    work_all(carrier, clock)

    assert carrier.numbers_heard() == [mobile(0)]
    assert figures() == (0, 0, 1)


def test_cancelling_a_scheduled_message_returns_its_credits() -> None:
    create_school(domestic=10)
    add_guardians(2)
    clock = TestClock()
    message = create(alert(send_at=NOON + timedelta(hours=1)), clock)

    cancelled = messages.cancel(DIRECTOR, message.id, clock())

    assert cancelled.state is MessageState.CANCELLED
    assert figures() == (10, 0, 0)
    clock.move(hours=2)
    assert attend(clock) == 0


def test_cancelling_twice_returns_credits_once() -> None:
    create_school(domestic=10)
    add_guardians(2)
    clock = TestClock()
    message = create(alert(send_at=NOON + timedelta(hours=1)), clock)

    messages.cancel(DIRECTOR, message.id, clock())
    messages.cancel(DIRECTOR, message.id, clock())

    assert figures() == (10, 0, 0)


def test_a_message_on_its_way_cannot_be_cancelled() -> None:
    create_school()
    add_guardians(1)
    clock = TestClock()
    message = create(alert(), clock)

    with pytest.raises(WrongState):
        messages.cancel(DIRECTOR, message.id, clock())


def test_stopping_in_flight_releases_what_was_not_spoken() -> None:
    create_school(domestic=100)
    add_guardians(50)
    clock, carrier = TestClock(), FakeCarrier()
    message = create(alert(), clock)
    # The carrier's first wave is being spoken when the director stops.
    carrier.before = lambda: None if carrier.heard else messages.stop(DIRECTOR, message.id, clock())

    work_all(carrier, clock)

    assert len(carrier.heard) == 20
    assert figures() == (80, 0, 20)
    assert records.get_message(SCHOOL, message.id).state is MessageState.STOPPED
    counts = message_reports.get_delivery(DIRECTOR, message.id, NOON).counts
    assert counts == {RecipientState.SENT: 20, RecipientState.STOPPED: 30}


def test_a_suspended_contract_refuses_to_send_and_keeps_the_credits_L5() -> None:
    create_school(domestic=10)
    add_guardians(1)
    suspend()

    with pytest.raises(ContractSuspended):
        create(alert(), TestClock())

    assert figures() == (10, 0, 0)


def test_a_message_due_while_the_contract_is_suspended_waits_and_in_the_end_returns_its_credits_L5() -> None:
    create_school(domestic=10)
    add_guardians(1)
    clock = TestClock()
    message = create(alert(send_at=NOON + timedelta(hours=1)), clock)
    suspend()

    clock.move(hours=1)
    attend(clock)
    assert (records.get_message(SCHOOL, message.id).state, figures()) == (MessageState.SCHEDULED, (9, 1, 0))
    clock.move(hours=24)
    attend(clock)

    assert records.get_message(SCHOOL, message.id).state is MessageState.CANCELLED
    assert figures() == (10, 0, 0)


def test_a_message_due_during_an_outage_goes_out_when_the_system_is_back() -> None:
    create_school(domestic=10)
    add_guardians(1)
    clock, carrier = TestClock(), FakeCarrier()
    create(alert(send_at=NOON + timedelta(hours=1)), clock)

    clock.move(hours=5)
    attend(clock)
    work_all(carrier, clock)

    assert len(carrier.heard) == 1


def test_an_everyday_notice_by_sms_asks_for_confirmation_and_names_the_message_centre_L1() -> None:
    create_school()
    add_guardians(1)

    with pytest.raises(NoticeNeedsConfirming) as refused:
        create(alert(category=Category.NOTICE), TestClock())
    confirmed = create(alert(category=Category.NOTICE, notice_confirmed=True), TestClock())

    assert refused.value.members == {"message_centre_credits": 0}
    assert confirmed.state is MessageState.SENDING


def test_an_audience_nobody_of_which_can_be_reached_is_refused() -> None:
    create_school()
    add_guardian(1, number=None)

    with pytest.raises(NobodyToReach) as refused:
        create(alert(), TestClock())

    assert refused.value.members["skipped"] == {"no_number": 1}


@pytest.mark.parametrize(
    ("new", "field", "code"),
    [
        (alert(text="  \n "), "/text", "empty"),
        (alert(text="hola\x00"), "/text", "control_character"),
        (alert(text="hola \ud83d"), "/text", "control_character"),
        (alert(text="a" * 1531), "/text", "too_long"),
        (alert(send_at=NOON), "/send/at", "in_the_past"),
        (alert(send_at=NOON + timedelta(days=365, seconds=1)), "/send/at", "too_far"),
        (alert(audience={"who": ["guardians"], "groups": ["nope"]}), "/audience/groups/0", "no_such_group"),
        (alert(audience={"people": ["nobody"]}), "/audience/people/0", "no_such_person"),
    ],
)
def test_a_message_that_cannot_be_is_refused_by_its_field(new: NewMessage, field: str, code: str) -> None:
    create_school()
    add_guardians(1)

    with pytest.raises(InvalidRequest) as refused:
        create(new, TestClock())

    assert [(problem.field, problem.code) for problem in refused.value.fields] == [(field, code)]


def test_another_schools_message_does_not_exist() -> None:
    create_school()
    add_guardians(1)
    create_school("otra-escuela")
    message = create(alert(), TestClock())

    with pytest.raises(NotFound):
        records.get_message("otra-escuela", message.id)


def test_every_movement_of_credits_has_its_cause() -> None:
    create_school(domestic=10)
    add_guardians(2)
    clock, carrier = TestClock(), FakeCarrier()
    message = create(alert(), clock)
    work_all(carrier, clock)
    buy(SCHOOL, Zone.DOMESTIC, 5)

    entries, cursor = ledger.list_entries(SCHOOL, Zone.DOMESTIC, limit=10)

    causes = {entry.cause for entry in entries}
    assert {f"hold#{message.id}#{message.plan}", f"close#{message.id}#{message.plan}"} < causes
    assert len(entries) == 4
    assert cursor is None
    totals = [sum(getattr(entry, name) for entry in entries) for name in ("available", "held", "captured")]
    assert tuple(totals) == figures()


def test_the_statement_is_read_page_by_page_without_a_gap() -> None:
    create_school(domestic=10)
    for _ in range(4):
        buy(SCHOOL, Zone.DOMESTIC, 1)

    seen, cursor = ledger.list_entries(SCHOOL, Zone.DOMESTIC, limit=2)
    while cursor:
        more, cursor = ledger.list_entries(SCHOOL, Zone.DOMESTIC, limit=2, before=cursor)
        seen += more

    assert len({entry.cause for entry in seen}) == len(seen) == 5


def test_sent_without_a_receipt_for_three_days_is_unknown() -> None:
    create_school()
    add_guardians(1)
    clock, carrier = TestClock(), FakeCarrier()
    message = create(alert(), clock)
    work_all(carrier, clock)

    counts = message_reports.get_delivery(DIRECTOR, message.id, NOON + timedelta(hours=72)).counts

    assert counts == {RecipientState.UNKNOWN: 1}


@pytest.mark.parametrize(
    ("own", "shared", "sender"), [("20600", "30000", "20600"), ("", "30000", "30000"), ("", None, "")]
)
def test_texts_come_from_the_schools_own_code_else_from_one_that_schools_share(
    own: str, shared: str | None, sender: str
) -> None:
    create_school(code=own)
    add_guardians(1)
    if shared:
        assert short_codes.create_code(ShortCode("CL", shared, "signed_webhook", Purpose.SCHOOLS))
    assert short_codes.create_code(ShortCode("CL", "20000", "signed_webhook", Purpose.SESSIONS))
    clock, carrier = TestClock(), FakeCarrier()

    create(alert(), clock)
    work_all(carrier, clock)

    assert [text.sender for text in carrier.heard] == [sender]
