"""What became of a message: lines and their reasons (L9, L11, L12), figures, the statement, and sending it again."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from recado import estimates, message_reports, messages, receipts, records
from recado.carriers.speech import Answer, Outgoing, Refused, RefusedBecause
from recado.errors import InvalidRequest, NotAllowed, NotAllowedToSend, NotFound, PlanChanged, WrongState
from recado.message_reports import Line
from recado.rules.credit_bags import Zone
from recado.rules.delivery_states import RecipientState
from recado.rules.message_states import MessageState
from recado.rules.roles import Role
from recado.tables import progress
from recado.tables.messages import Message
from recado.tables.progress import POINTS_MAX
from tests.faults import faults
from tests.message_worlds import FOREIGN, change_person, estimated
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
    create,
    create_school,
    figures,
    mobile,
    opt_out,
    work_all,
)

pytestmark = pytest.mark.usefixtures("aws")


def lines(message: Message, state: str | None = None, at: datetime = NOON) -> list[Line]:
    return message_reports.list_lines(DIRECTOR, message.id, at, state=state, limit=100, cursor=None)[0]


def states(message: Message, at: datetime = NOON) -> dict[str, str]:
    return {line.people[0].person_id: line.state for line in lines(message, at=at)}


def counts(message: Message, at: datetime = NOON) -> dict[RecipientState, int]:
    return dict(message_reports.get_delivery(DIRECTOR, message.id, at).counts)


def report(carrier: FakeCarrier, number: str, status: str, at: datetime = NOON) -> None:
    reference = next(text.reference for text in carrier.heard if text.to == number)
    job = {"carrier": "fake", "receipts": [[reference, None, status, 0, int(at.timestamp())]]}
    assert receipts.add_receipts([job]).again == []


def refuses(number: str, because: RefusedBecause) -> Callable[[Outgoing], Answer | None]:
    return lambda text: Refused(because, "E42") if text.to == number else None


# --- lines ------------------------------------------------------------------------------------------------------


def test_each_recipient_has_a_line_with_what_became_of_them_and_whoever_was_skipped_is_last_L11() -> None:
    create_school()
    add_guardians(3)
    add_guardian(3, number=None)
    add_guardian(4, number=FOREIGN)
    add_guardian(5)
    opt_out(mobile(5), "person#g00005")
    clock, carrier = TestClock(), FakeCarrier(answer=refuses(mobile(1), RefusedBecause.WRONG_NUMBER))
    message = create(alert(), clock)
    work_all(carrier, clock)
    report(carrier, mobile(0), "delivered")

    found = lines(message)

    assert [(line.people[0].person_id, line.state) for line in found[:3]] == [
        ("g00000", "delivered"),
        ("g00001", "wrong_number"),
        ("g00002", "sent"),
    ]
    assert {line.people[0].person_id: line.state for line in found[3:]} == {
        "g00003": "no_number",
        "g00004": "no_international_bag",
        "g00005": "opted_out",
    }
    assert found[1].code == "E42"
    assert [(one.name, one.role) for one in found[0].people] == [("Rosa Muñoz 0", "guardian")]


def test_whoever_opted_out_is_listed_with_the_number_that_is_shown_red_L9() -> None:
    create_school()
    add_guardians(2)
    opt_out(mobile(1), "person#g00001")
    message = create(alert(), TestClock())

    [line] = lines(message, "opted_out")

    assert (line.number, line.segments, line.zone) == (mobile(1), 0, None)


def test_a_wrong_number_costs_and_a_blocked_one_does_not_L12() -> None:
    create_school()
    add_guardians(2)
    clock, carrier = TestClock(), FakeCarrier()

    def answer(text: Outgoing) -> Answer:
        because = RefusedBecause.WRONG_NUMBER if text.to == mobile(0) else RefusedBecause.BLOCKED
        return Refused(because, "told so")

    carrier.answer = answer
    message = create(alert(), clock)
    work_all(carrier, clock)

    assert counts(message) == {RecipientState.WRONG_NUMBER: 1, RecipientState.BLOCKED: 1}
    assert figures() == (999, 0, 1)


def test_a_line_says_when_it_was_handed_over_and_when_the_carrier_reported_first() -> None:
    create_school()
    add_guardians(1)
    clock, carrier = TestClock(), FakeCarrier()
    message = create(alert(), clock)
    clock.move(seconds=40)
    work_all(carrier, clock)
    report(carrier, mobile(0), "delivered", NOON + timedelta(minutes=3))
    report(carrier, mobile(0), "delivered", NOON + timedelta(minutes=2))

    [line] = lines(message)

    assert (line.handed_over_at, line.reported_at) == (NOON + timedelta(seconds=40), NOON + timedelta(minutes=2))


def test_everybody_who_shares_a_number_is_on_its_one_line() -> None:
    create_school()
    add_guardian(1)
    add_guardian(2, number=mobile(1))
    message = create(alert(), TestClock())

    [line] = lines(message)

    assert [one.person_id for one in line.people] == ["g00001", "g00002"]


@pytest.mark.parametrize(("state", "expected"), [("sent", 3), ("no_number", 1), ("delivered", 0), ("nonsense", 0)])
def test_lines_of_one_state_are_those_and_no_others(state: str, expected: int) -> None:
    create_school()
    add_guardians(3)
    add_guardian(3, number=None)
    clock = TestClock()
    message = create(alert(), clock)
    work_all(FakeCarrier(), clock)

    assert len(lines(message, state)) == expected


@pytest.mark.parametrize(("limit", "start"), [(1, 103), (30, 0), (100, 0)])
def test_lines_are_read_page_by_page_without_a_gap_or_a_repeat(limit: int, start: int) -> None:
    create_school()
    add_guardians(105)
    add_guardian(105, number=None)
    add_guardian(106, number=None)
    message = create(alert(), TestClock())

    seen: list[str] = []
    cursor: str | None = f"t.{start // 100}.{start % 100}"
    while cursor is not None:
        found, cursor = message_reports.list_lines(DIRECTOR, message.id, NOON, state=None, limit=limit, cursor=cursor)
        seen += [line.people[0].person_id for line in found]

    assert seen == [f"g{position:05}" for position in range(start, 107)]


@pytest.mark.parametrize(
    "cursor", ["", "x", "t", "t.1", "t.1.", "t.-1.0", "u.0.0", "t.0.0.0", "t.٣.0", "s..", "t.0.1#"]
)
def test_a_cursor_that_was_never_given_is_refused(cursor: str) -> None:
    create_school()
    add_guardians(1)
    message = create(alert(), TestClock())

    with pytest.raises(InvalidRequest) as refused:
        message_reports.list_lines(DIRECTOR, message.id, NOON, state=None, limit=1, cursor=cursor)

    assert [(one.field, one.code) for one in refused.value.fields] == [("/query/cursor", "malformed")]


@pytest.mark.parametrize("cursor", ["t.999999999999.0", "s.999999999999.0", "t.0.99999"])
def test_a_cursor_behind_the_end_shows_nobody_twice(cursor: str) -> None:
    create_school()
    add_guardians(1)
    message = create(alert(), TestClock())

    found, following = message_reports.list_lines(DIRECTOR, message.id, NOON, state=None, limit=1, cursor=cursor)

    assert (found, following) == ([], None)


def test_a_draft_has_no_lines_yet() -> None:
    create_school()
    add_guardians(1)

    assert lines(create(alert(send=False), TestClock())) == []


def test_of_a_cancelled_message_nobody_was_written_to() -> None:
    create_school()
    add_guardians(1)
    clock = TestClock()
    message = create(alert(send_at=NOON + timedelta(hours=1)), clock)
    assert states(message) == {"g00000": "queued"}

    messages.cancel(DIRECTOR, message.id, clock())

    assert (states(message), counts(message)) == ({"g00000": "not_sent"}, {RecipientState.NOT_SENT: 1})


def test_what_was_sent_and_never_reported_is_unknown_after_72_hours() -> None:
    create_school()
    add_guardians(2)
    clock, carrier = TestClock(), FakeCarrier()
    message = create(alert(), clock)
    work_all(carrier, clock)
    report(carrier, mobile(0), "delivered")

    assert set(states(message, NOON + timedelta(hours=71)).values()) == {"delivered", "sent"}
    assert set(states(message, NOON + timedelta(hours=72)).values()) == {"delivered", "unknown"}


def test_the_file_has_every_line_and_says_where_the_next_file_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    create_school()
    add_guardians(5)
    message = create(alert(), TestClock())
    monkeypatch.setattr(message_reports, "CSV_LINES_MAX", 3)

    first, following = message_reports.list_csv_lines(DIRECTOR, message.id, NOON, cursor=None)
    second, end = message_reports.list_csv_lines(DIRECTOR, message.id, NOON, cursor=following)

    assert [line.number for line in (*first, *second)] == [mobile(position) for position in range(5)]
    assert (len(first), end) == (3, None)


@pytest.mark.parametrize("role", [Role.GUARDIAN, Role.STUDENT])
def test_families_see_no_report_and_another_school_finds_none(role: Role) -> None:
    create_school()
    create_school("otra-escuela")
    add_guardians(1)
    message = create(alert(), TestClock())
    family = type(DIRECTOR)(SCHOOL, role, "x", "g00000")
    stranger = type(DIRECTOR)("otra-escuela", Role.DIRECTOR, "x")

    for caller, error in ((family, NotAllowed), (stranger, NotFound)):
        with pytest.raises(error):
            message_reports.get_delivery(caller, message.id, NOON)
        with pytest.raises(error):
            message_reports.list_lines(caller, message.id, NOON, state=None, limit=1, cursor=None)
        with pytest.raises(error):
            message_reports.list_csv_lines(caller, message.id, NOON, cursor=None)
        with pytest.raises(error):
            message_reports.get_statement(caller, message.id)


# --- figures ----------------------------------------------------------------------------------------------------


def test_the_statement_of_a_message_sums_to_what_it_cost() -> None:
    create_school(international=10)
    add_guardians(3)
    add_guardian(3, number=FOREIGN)
    clock, carrier = TestClock(), FakeCarrier(answer=refuses(mobile(0), RefusedBecause.BLOCKED))
    message = create(alert(), clock)
    work_all(carrier, clock)

    entries = message_reports.get_statement(DIRECTOR, message.id).entries

    by_zone = {
        zone: tuple(
            sum(getattr(entry, name) for entry in entries if entry.zone is zone)
            for name in ("available", "held", "captured")
        )
        for zone in Zone
    }
    assert by_zone == {Zone.DOMESTIC: (-2, 0, 2), Zone.INTERNATIONAL: (-1, 0, 1)}


def test_a_draft_has_moved_no_credits() -> None:
    create_school()
    add_guardians(1)

    assert message_reports.get_statement(DIRECTOR, create(alert(send=False), TestClock()).id).entries == []


def test_the_attention_run_keeps_the_counts_as_they_grow() -> None:
    create_school()
    add_guardians(2)
    clock, carrier = TestClock(), FakeCarrier()
    message = create(alert(), clock)
    clock.move(minutes=1)
    attend(clock)
    work_all(carrier, clock)
    clock.move(minutes=1)
    attend(clock)
    report(carrier, mobile(0), "delivered")
    clock.move(minutes=2)
    attend(clock)

    kept = message_reports.get_delivery(DIRECTOR, message.id, clock()).progress

    assert kept is not None
    assert [dict(found) for _, found in kept.points] == [{"queued": 2}, {"sent": 2}, {"delivered": 1, "sent": 1}]


def test_the_curve_has_at_most_120_points_over_three_days_and_then_nobody_looks_any_more() -> None:
    create_school()
    add_guardians(2)
    clock, carrier = TestClock(), FakeCarrier()
    message = create(alert(), clock)
    work_all(carrier, clock)

    looks = 0
    while (look_at := records.get_message(SCHOOL, message.id).attend_at) is not None and looks <= POINTS_MAX:
        clock.now = look_at
        looks += attend(clock)
        if looks == 60:
            report(carrier, mobile(0), "delivered", clock())

    kept = progress.find_progress(SCHOOL, message.id)
    assert kept is not None
    assert len(kept.points) <= POINTS_MAX
    assert looks <= POINTS_MAX
    assert clock() - NOON >= timedelta(hours=72)
    assert kept.counts == {"delivered": 1, "unknown": 1}


# --- again ------------------------------------------------------------------------------------------------------


def again(message: Message, clock: TestClock, *states: str, key: str = "key-again") -> Message:
    return messages.create_again(DIRECTOR, message.id, states, key, clock(), key_is_first=True)


def sent_with_outcomes(clock: TestClock, carrier: FakeCarrier) -> Message:
    """0 delivered, 1 unreachable, 2 wrong number, 3 without a number."""
    create_school()
    add_guardians(3)
    add_guardian(3, number=None)
    carrier.answer = refuses(mobile(2), RefusedBecause.WRONG_NUMBER)
    message = create(alert(), clock)
    work_all(carrier, clock)
    report(carrier, mobile(0), "delivered")
    report(carrier, mobile(1), "unreachable")
    carrier.heard.clear()
    return records.get_message(SCHOOL, message.id)


def test_sent_again_it_goes_only_to_those_it_did_not_reach() -> None:
    clock, carrier = TestClock(), FakeCarrier()
    first = sent_with_outcomes(clock, carrier)

    draft = again(first, clock)
    sent = messages.send(DIRECTOR, draft.id, None, clock())
    work_all(carrier, clock)

    assert (draft.state, draft.text, draft.category) == (MessageState.DRAFT, first.text, first.category)
    assert draft.id != first.id
    assert (carrier.numbers_heard(), sent.held) == ([mobile(1)], {"domestic": 1})


def test_the_states_that_are_asked_for_are_the_ones_who_get_it_again_at_their_number_of_now() -> None:
    clock, carrier = TestClock(), FakeCarrier()
    first = sent_with_outcomes(clock, carrier)
    change_person("g00002", number=mobile(62))
    change_person("g00003", number=mobile(63))

    draft = again(first, clock, "wrong_number", "no_number")
    messages.send(DIRECTOR, draft.id, None, clock())
    work_all(carrier, clock)

    assert sorted(carrier.numbers_heard()) == [mobile(62), mobile(63)]


def test_sending_again_has_its_own_estimate_that_costs_nothing_to_look_at() -> None:
    clock, carrier = TestClock(), FakeCarrier()
    first = sent_with_outcomes(clock, carrier)
    before = figures()
    draft = again(first, clock, "unreachable", "no_number")

    found = estimates.estimate_of(DIRECTOR, draft.id, clock(), state=None, limit=10, cursor=0)

    assert found.totals is not None
    assert (found.totals.by_state(), found.totals.credits) == ({"sendable": 1, "no_number": 1}, {"domestic": 1})
    assert figures() == before


def test_who_opted_out_since_is_not_written_to_again() -> None:
    clock, carrier = TestClock(), FakeCarrier()
    first = sent_with_outcomes(clock, carrier)
    opt_out(mobile(1), "reply")
    draft = again(first, clock, "unreachable", "wrong_number")

    messages.send(DIRECTOR, draft.id, None, clock())
    work_all(carrier, clock)

    assert carrier.numbers_heard() == []
    assert [line.state for line in lines(draft, "opted_out")] == ["opted_out"]


def test_a_message_that_reached_nobody_yet_has_no_again() -> None:
    create_school()
    add_guardians(1)
    clock = TestClock()
    for key, new in (("k1", alert(send=False)), ("k2", alert(send_at=NOON + timedelta(hours=1)))):
        message = create(new, clock, key=key)
        with pytest.raises(WrongState):
            again(message, clock)


def test_asking_twice_for_one_again_makes_one_draft() -> None:
    clock, carrier = TestClock(), FakeCarrier()
    first = sent_with_outcomes(clock, carrier)

    with faults("UpdateItem", "applied"):
        draft = again(first, clock)
    second = messages.create_again(DIRECTOR, first.id, [], "key-again", clock(), key_is_first=False)

    assert draft.id == second.id


def test_a_teacher_and_another_school_send_nothing_again_L2() -> None:
    clock, carrier = TestClock(), FakeCarrier()
    first = sent_with_outcomes(clock, carrier)
    create_school("otra-escuela")
    stranger = type(DIRECTOR)("otra-escuela", Role.DIRECTOR, "x")

    with pytest.raises(NotAllowedToSend):
        messages.create_again(TEACHER, first.id, [], "k", clock(), key_is_first=True)
    with pytest.raises(NotFound):
        messages.create_again(stranger, first.id, [], "k", clock(), key_is_first=True)


def test_an_estimate_of_everybody_is_not_confused_with_one_of_those_not_reached() -> None:
    clock, carrier = TestClock(), FakeCarrier()
    first = sent_with_outcomes(clock, carrier)
    everybody = estimated(alert(), clock).totals
    draft = again(first, clock)

    assert everybody is not None
    with pytest.raises(PlanChanged):
        messages.send(DIRECTOR, draft.id, None, clock(), digest=everybody.seal)
