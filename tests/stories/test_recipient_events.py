"""What became of a message's recipients, told to the portal: gathered, each change once, whatever is lost."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pynamodb.exceptions import PynamoDBException

from recado import events, message_reports, messages, receipts, recipient_events
from recado.carriers.speech import Answer, Outgoing, Refused, RefusedBecause
from recado.events import EventsBusy
from recado.rules.delivery_states import Receipt
from recado.rules.event_types import PEOPLE_SHOWN_MAX, RECIPIENTS_BYTES_MAX, EventType, size_of
from recado.rules.message_states import Category
from recado.tables import events as event_table
from recado.tables import messages as message_table
from recado.tables import pages, told_recipients
from recado.tables.messages import Message
from recado.tables.pages import PageKind, PageRef
from recado.tables.told_recipients import Lot
from tests.faults import Fault, faults, meanwhile
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
    mobile,
    work_all,
)

GUARDIANS = 5
PAGE = 2

type Change = tuple[str, str]  # recipient, state


@pytest.fixture
def clock(aws: None, monkeypatch: pytest.MonkeyPatch) -> TestClock:
    monkeypatch.setattr(pages, "PAGE_SIZE", PAGE)
    monkeypatch.setattr(recipient_events, "is_wanted", lambda _: True)
    create_school()
    add_guardians(GUARDIANS)
    return TestClock()


@pytest.fixture(autouse=True)
def put(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The jobs on the queue, whose delay no test waits for."""
    found: list[dict[str, Any]] = []

    def put_jobs(queue_url: str, jobs: Iterable[dict[str, Any]], *, group: str, delay_seconds: int) -> None:
        assert queue_url.endswith("PortalEventsQueue")
        assert (group, delay_seconds) == (SCHOOL, 12)
        found.extend(jobs)

    monkeypatch.setattr(recipient_events, "put_jobs", put_jobs)
    return found


type Jobs = list[dict[str, Any]]


def tell_all(put: Jobs, clock: TestClock) -> int:
    """What the worker does once the jobs' delay is over; returns how many jobs there were."""
    jobs = [put.pop(0) for _ in range(len(put))]
    clock.move(seconds=12)
    for job in jobs:
        recipient_events.tell(recipient_events.read_job(job), clock())
    return len(jobs)


def told() -> list[Change]:
    """Every change that was told, in order."""
    found: list[Change] = []
    for event in event_table.list_events(SCHOOL, after=0, limit=1000):
        if event.type is EventType.RECIPIENTS_CHANGED:
            entries = event.data["recipients"]
            assert isinstance(entries, list)
            found += [(one["recipient"], one["state"]) for one in entries]
    return found


def sent(clock: TestClock, carrier: FakeCarrier | None = None, category: Category = Category.MEETING) -> Message:
    message = create(alert(category=category), clock)
    work_all(carrier or FakeCarrier(), clock)
    found = message_table.find_message(SCHOOL, message.id)
    assert found is not None
    return found


def ref_of(message: Message, page: int) -> PageRef:
    return PageRef(PageKind.MESSAGE, SCHOOL, message.id, message.plan or "", page)


def report(message: Message, page: int, index: int, state: Receipt, clock: TestClock) -> None:
    reference = ref_of(message, page).reference(index)
    job = {"carrier": "fake", "receipts": [[reference, "", state.value, 0, int(clock().timestamp())]]}
    assert receipts.add_receipts([job], clock=clock).again == []


def lot_of(message: Message) -> Lot:
    return told_recipients.lot_of(SCHOOL, message.id, message.plan or "", 0)


ALL_SENT = [(f"t.{page}.{index}", "sent") for page, index in ((0, 0), (0, 1), (1, 0), (1, 1), (2, 0))]


def test_the_pages_of_a_message_are_told_together_when_they_have_gone_out(clock: TestClock, put: Jobs) -> None:
    message = sent(clock)

    assert tell_all(put, clock) == 1  # three pages closed, one lot, one job

    assert told() == ALL_SENT
    found = [
        event
        for event in event_table.list_events(SCHOOL, after=0, limit=10)
        if event.type is EventType.RECIPIENTS_CHANGED
    ]
    assert [event.data["page"] for event in found] == [0, 1, 2]
    first = found[0].data
    assert first["message"] == message.id
    assert first["recipients"] == [
        {"recipient": "t.0.0", "people": ["g00000"], "state": "sent"},
        {"recipient": "t.0.1", "people": ["g00001"], "state": "sent"},
    ]


def test_what_a_recipient_is_called_finds_it_in_the_list(clock: TestClock, put: Jobs) -> None:
    message = sent(clock)
    tell_all(put, clock)

    for recipient, state in told():
        (line,), _ = message_reports.list_lines(DIRECTOR, message.id, clock(), state=None, limit=1, cursor=recipient)
        assert (line.id, line.state) == (recipient, state)


def test_a_receipt_is_told_once_and_a_job_too_many_tells_nothing(clock: TestClock, put: Jobs) -> None:
    message = sent(clock)
    tell_all(put, clock)
    before = told()

    report(message, 1, 1, Receipt.DELIVERED, clock)
    report(message, 1, 1, Receipt.DELIVERED, clock)
    assert tell_all(put, clock) == 1
    for _ in range(3):
        assert recipient_events.tell(lot_of(message), clock()) == 0

    assert told()[len(before) :] == [("t.1.1", "delivered")]


def test_changes_gather_while_a_job_is_on_its_way(clock: TestClock, put: Jobs) -> None:
    message = sent(clock)
    tell_all(put, clock)
    before = told()

    for index in range(PAGE):
        report(message, 0, index, Receipt.DELIVERED, clock)
        clock.move(seconds=3)
    report(message, 2, 0, Receipt.UNREACHABLE, clock)

    assert tell_all(put, clock) == 1
    assert told()[len(before) :] == [("t.0.0", "delivered"), ("t.0.1", "delivered"), ("t.2.0", "unreachable")]


def test_a_state_that_changes_again_is_told_again(clock: TestClock, put: Jobs) -> None:
    message = sent(clock)
    tell_all(put, clock)
    before = told()
    report(message, 0, 0, Receipt.UNREACHABLE, clock)
    tell_all(put, clock)

    report(message, 0, 0, Receipt.DELIVERED, clock)
    tell_all(put, clock)

    assert told()[len(before) :] == [("t.0.0", "unreachable"), ("t.0.0", "delivered")]


def test_that_a_text_waits_is_not_told(clock: TestClock) -> None:
    def not_now(text: Outgoing) -> Answer | None:
        return Refused(RefusedBecause.FOR_NOW, "busy") if text.to == mobile(1) else None

    message = sent(clock, FakeCarrier(not_now))

    assert recipient_events.tell(lot_of(message), clock()) == 4

    assert ("t.0.0", "sent") in told()
    assert "t.0.1" not in [recipient for recipient, _ in told()]


def test_a_school_without_a_webhook_that_wants_it_is_told_nothing_and_nothing_is_asked(
    clock: TestClock, put: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipient_events, "is_wanted", lambda _: False)

    message = sent(clock)
    report(message, 0, 0, Receipt.DELIVERED, clock)
    clock.move(minutes=2)
    attend(clock)

    assert put == []
    assert recipient_events.tell(lot_of(message), clock()) == 0
    assert told() == []


def test_after_three_days_what_is_only_sent_is_told_as_unknown(clock: TestClock, put: Jobs) -> None:
    message = sent(clock)
    report(message, 0, 0, Receipt.DELIVERED, clock)
    tell_all(put, clock)
    before = told()

    clock.now = NOON + timedelta(hours=72, minutes=1)
    attend(clock)
    tell_all(put, clock)

    assert told()[len(before) :] == [(f"t.{place}", "unknown") for place in ("0.1", "1.0", "1.1", "2.0")]
    assert before[0] == ("t.0.0", "delivered")


def test_what_nobody_lived_to_ask_for_is_made_up_for_by_the_minutes_run(
    clock: TestClock, put: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object, **__: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(recipient_events, "put_jobs", dies)
        sent(clock)  # every page closed, and not one job put
    assert put == []

    clock.move(minutes=1)
    attend(clock)
    tell_all(put, clock)

    assert told() == ALL_SENT


def test_the_last_look_comes_again_until_all_is_told(clock: TestClock, put: Jobs) -> None:
    message = sent(clock)
    tell_all(put, clock)

    clock.now = NOON + timedelta(hours=74)
    attend(clock)
    put.clear()  # lost
    clock.move(minutes=6)
    attend(clock)
    tell_all(put, clock)
    clock.move(minutes=6)
    attend(clock)

    assert sorted(told()[len(ALL_SENT) :]) == [(one, "unknown") for one, _ in ALL_SENT]
    found = message_table.find_message(SCHOOL, message.id)
    assert found is not None
    assert found.attend_at is None


@pytest.mark.parametrize("operation", ["BatchGetItem", "GetItem", "TransactWriteItems"])
@pytest.mark.parametrize("kind", ["lost", "applied"])
def test_a_teller_killed_at_any_request_loses_nothing_and_tells_nothing_twice(
    clock: TestClock, operation: str, kind: Fault
) -> None:
    message = sent(clock)

    killed = 0
    for attempt in range(10):  # at its first request of the kind, its second, and so on
        with faults(operation, *[None] * attempt, kind, kind, kind) as attempts:
            try:
                recipient_events.tell(lot_of(message), clock())
            except PynamoDBException:
                killed += 1
        if kind not in attempts:
            break
    recipient_events.tell(lot_of(message), clock())

    assert killed
    assert told() == ALL_SENT
    numbers = [event.number for event in event_table.list_events(SCHOOL, after=0, limit=100)]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_receipt_that_comes_while_it_is_told_is_told_by_the_next(clock: TestClock) -> None:
    message = sent(clock)

    with meanwhile("TransactWriteItems", lambda: report(message, 0, 0, Receipt.DELIVERED, clock)):
        recipient_events.tell(lot_of(message), clock())
    clock.move(seconds=12)
    recipient_events.tell(lot_of(message), clock())

    assert told() == [*ALL_SENT, ("t.0.0", "delivered")]


def test_two_who_tell_at_the_same_moment_tell_it_once(clock: TestClock) -> None:
    message = sent(clock)

    with meanwhile("TransactWriteItems", lambda: recipient_events.tell(lot_of(message), clock())):
        recipient_events.tell(lot_of(message), clock())

    assert told() == ALL_SENT


def test_whoever_read_earlier_never_tells_what_was_before(clock: TestClock) -> None:
    message = sent(clock)

    def somebody_tells_more() -> None:
        report(message, 0, 0, Receipt.DELIVERED, clock)
        recipient_events.tell(lot_of(message), clock())

    with meanwhile("TransactWriteItems", somebody_tells_more):
        recipient_events.tell(lot_of(message), clock())

    assert told() == [("t.0.0", "delivered"), *ALL_SENT[1:]]


def test_a_school_with_too_many_events_at_once_is_told_later(clock: TestClock, monkeypatch: pytest.MonkeyPatch) -> None:
    message = sent(clock)
    with monkeypatch.context() as patch:
        patch.setattr(events, "ATTEMPTS_MAX", 0)
        with pytest.raises(EventsBusy):
            recipient_events.tell(lot_of(message), clock())

    recipient_events.tell(lot_of(message), clock())

    assert told() == ALL_SENT


def test_a_page_of_handsets_that_many_share_is_told_in_events_that_are_short_enough(clock: TestClock) -> None:
    for position in range(60):
        add_guardian(100 + position, number=mobile(1))
    message = sent(clock)

    recipient_events.tell(lot_of(message), clock())

    found = [
        event.data["recipients"]
        for event in event_table.list_events(SCHOOL, after=0, limit=100)
        if event.type is EventType.RECIPIENTS_CHANGED
    ]
    shared = [one for entries in found if isinstance(entries, list) for one in entries if one["recipient"] == "t.0.1"]
    assert [len(one["people"]) for one in shared] == [PEOPLE_SHOWN_MAX]
    assert all(isinstance(entries, list) and size_of(entries) <= RECIPIENTS_BYTES_MAX for entries in found)


def test_a_job_of_a_plan_that_is_not_the_messages_is_dropped(clock: TestClock) -> None:
    message = sent(clock)

    assert recipient_events.tell(replace(lot_of(message), plan="another"), clock()) == 0
    assert recipient_events.tell(replace(lot_of(message), message_id="nobodys"), clock()) == 0
    assert told() == []


def test_a_stopped_message_tells_who_was_not_spoken_to(clock: TestClock, put: Jobs) -> None:
    message = create(alert(category=Category.MEETING), clock)
    messages.stop(DIRECTOR, message.id, clock())
    work_all(FakeCarrier(), clock)

    tell_all(put, clock)

    assert told() == [(one, "stopped") for one, _ in ALL_SENT]


def test_receipts_that_leave_no_time_ask_for_nothing_and_the_minutes_run_makes_up_for_it(
    clock: TestClock, put: Jobs
) -> None:
    message = sent(clock)
    tell_all(put, clock)
    job = {
        "carrier": "fake",
        "receipts": [[ref_of(message, 0).reference(0), "", "delivered", 0, int(NOON.timestamp())]],
    }

    found = receipts.add_receipts([job], lambda: timedelta(seconds=10), clock)
    assert (found.again, found.pages, put) == ([], 1, [])

    clock.move(hours=2)
    attend(clock)
    tell_all(put, clock)
    assert told()[len(ALL_SENT) :] == [("t.0.0", "delivered")]


def test_a_worker_that_dies_while_it_asks_has_put_back_what_waits_for_its_row(
    clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Died(BaseException):
        pass

    def die(*_: object) -> None:
        raise Died

    put_back: list[str] = []
    monkeypatch.setattr(recipient_events, "ask", die)
    monkeypatch.setattr(receipts, "put_jobs", lambda *_, group, **__: put_back.append(group))
    early = {"carrier": "sns", "receipts": [[None, "sns-1", "delivered", 0, int(NOON.timestamp())]]}

    with pytest.raises(Died):
        receipts.add_receipts([early], clock=clock)

    assert put_back == ["sns"]
