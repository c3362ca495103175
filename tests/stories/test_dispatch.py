"""Pages in leased waves: deaths, lost answers, doubles, refusals, opt-outs (invariants 3, 4 and 8)."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from moto.backends import get_backend

from recado import dispatch, message_reports, messages, page_jobs, records, sending
from recado.carriers.speech import Answer, Outgoing, Refused, RefusedBecause, Unknown
from recado.rules.delivery_states import Receipt, RecipientState
from recado.rules.message_states import Category, MessageState
from recado.tables import lookups, pages
from recado.tables.pages import PageKind, PageRef
from tests.conftest import jobs_on
from tests.worlds import (
    DIRECTOR,
    NOON,
    SCHOOL,
    FakeCarrier,
    TestClock,
    add_guardians,
    alert,
    attend,
    create,
    create_school,
    figures,
    mobile,
    opt_out,
    work_all,
    worker,
)

pytestmark = pytest.mark.usefixtures("aws")


class Killed(BaseException):
    """The worker dies here: nothing of it runs on."""


def kill() -> None:
    raise Killed


def delayed_jobs(queue: str = "BulkQueue") -> list[tuple[int, int]]:
    """(job number, delay in seconds) of every job on a queue, those that wait included."""
    waiting = get_backend("sqs")["123456789012"]["us-east-1"].queues[queue]._messages
    return [
        (int(json.loads(one.body)["job"]), round((one.delayed_until - float(one.sent_timestamp or 0)) / 1000))
        for one in waiting
        if one.delayed
    ]


def refuse(because: RefusedBecause) -> Callable[[Outgoing], Answer | None]:
    return lambda _: Refused(because, "told so")


def test_a_job_delivered_twice_speaks_once() -> None:
    create_school()
    add_guardians(30)
    clock, carrier = TestClock(), FakeCarrier()
    create(alert(), clock)
    jobs = jobs_on("BulkQueue")

    work_all(carrier, clock, bodies=jobs * 2)

    assert len(carrier.heard) == 30


def test_a_second_worker_within_the_lease_goes_away_and_comes_back() -> None:
    create_school()
    add_guardians(5)
    clock, carrier, other = TestClock(), FakeCarrier(), FakeCarrier()
    create(alert(), clock)
    [job] = jobs_on("BulkQueue")
    carrier.before = lambda: work_all(other, clock, bodies=[job])

    work_all(carrier, clock, bodies=[job])

    assert (len(carrier.heard), len(other.heard)) == (5, 0)
    assert figures() == (995, 0, 5)


def test_a_worker_killed_before_it_spoke_leaves_its_wave_unknown_and_the_rest_goes_out() -> None:
    create_school()
    add_guardians(50)
    clock, carrier = TestClock(), FakeCarrier()
    message = create(alert(), clock)
    [job] = jobs_on("BulkQueue")

    with pytest.raises(Killed):
        work_all(FakeCarrier(before=kill), clock, bodies=[job])
    clock.move(seconds=32)
    work_all(carrier, clock, bodies=[job])

    counts = message_reports.get_delivery(DIRECTOR, message.id, NOON).counts
    assert counts == {RecipientState.UNKNOWN: 20, RecipientState.SENT: 30}
    assert figures() == (950, 0, 50)


def test_a_worker_killed_after_it_spoke_sends_nobody_a_second_text() -> None:
    create_school()
    add_guardians(25)
    clock, carrier = TestClock(), FakeCarrier()
    create(alert(), clock)
    [job] = jobs_on("BulkQueue")

    def die_after_the_last(text: Outgoing) -> Answer | None:
        if text.to != mobile(19):
            return None
        carrier.heard.append(text)
        raise Killed

    carrier.answer = die_after_the_last
    with pytest.raises(Killed):
        work_all(carrier, clock, bodies=[job])
    carrier.answer = lambda _: None
    clock.move(seconds=32)
    work_all(carrier, clock, bodies=[job])

    assert sorted(carrier.numbers_heard()) == [mobile(position) for position in range(25)]


def test_an_emergency_whose_worker_died_is_sent_again() -> None:
    create_school()
    add_guardians(3)
    clock, carrier = TestClock(), FakeCarrier()
    create(alert(category=Category.EMERGENCY), clock)
    [job] = jobs_on("UrgentQueue")

    with pytest.raises(Killed):
        work_all(FakeCarrier(before=kill), clock, bodies=[job])
    clock.move(seconds=32)
    work_all(carrier, clock, bodies=[job])

    assert len(carrier.heard) == 3
    assert figures() == (997, 0, 3)


def test_a_carrier_that_dedupes_is_asked_again_with_the_same_references() -> None:
    create_school()
    add_guardians(3)
    clock, carrier = TestClock(), FakeCarrier()
    dead = FakeCarrier(before=kill)
    message = create(alert(), clock)
    [job] = jobs_on("BulkQueue")

    with pytest.raises(Killed):
        work_all(dead, clock, bodies=[job], line=dead.line(dedupe_hours=24))
    clock.move(seconds=32)
    work_all(carrier, clock, bodies=[job], line=carrier.line(dedupe_hours=24))

    ref = PageRef(PageKind.MESSAGE, SCHOOL, message.id, message.plan or "", 0)
    assert [text.reference for text in carrier.heard] == [ref.reference(index) for index in range(3)]
    assert message_reports.get_delivery(DIRECTOR, message.id, NOON).counts == {RecipientState.SENT: 3}


def test_somebody_who_opted_out_is_not_asked_again_and_stays_unknown() -> None:
    create_school()
    add_guardians(2)
    clock, carrier = TestClock(), FakeCarrier()
    dead = FakeCarrier(before=kill)
    message = create(alert(), clock)
    [job] = jobs_on("BulkQueue")

    with pytest.raises(Killed):
        work_all(dead, clock, bodies=[job], line=dead.line(dedupe_hours=24))
    opt_out(mobile(0), "reply")
    clock.move(seconds=32)
    work_all(carrier, clock, bodies=[job], line=carrier.line(dedupe_hours=24))

    assert carrier.numbers_heard() == [mobile(1)]
    counts = message_reports.get_delivery(DIRECTOR, message.id, NOON).counts
    assert counts == {RecipientState.UNKNOWN: 1, RecipientState.SENT: 1}


def test_who_was_perhaps_spoken_to_is_not_called_unsent_when_the_carrier_is_busy_the_second_time() -> None:
    create_school()
    add_guardians(1)
    clock = TestClock()
    carrier = FakeCarrier(answer=lambda _: Unknown("ReadTimeoutError"))  # taken, and the answer lost
    message = create(alert(), clock)
    [job] = jobs_on("BulkQueue")

    work_all(carrier, clock, bodies=[job], line=carrier.line(dedupe_hours=24))
    carrier.answer = refuse(RefusedBecause.FOR_NOW)
    clock.move(seconds=33)
    work_all(carrier, clock, bodies=[job.replace('"job":1', '"job":2')], line=carrier.line(dedupe_hours=24))
    messages.stop(DIRECTOR, message.id, clock())
    clock.move(seconds=33)
    work_all(carrier, clock, bodies=[job.replace('"job":1', '"job":3')], line=carrier.line(dedupe_hours=24))

    assert message_reports.get_delivery(DIRECTOR, message.id, NOON).counts == {RecipientState.UNKNOWN: 1}
    assert figures() == (999, 0, 1)


def test_an_emergency_stopped_after_its_worker_died_is_unknown_not_unsent() -> None:
    create_school()
    add_guardians(2)
    clock, carrier = TestClock(), FakeCarrier()
    message = create(alert(category=Category.EMERGENCY), clock)
    [job] = jobs_on("UrgentQueue")

    with pytest.raises(Killed):
        work_all(FakeCarrier(before=kill), clock, bodies=[job])
    messages.stop(DIRECTOR, message.id, clock())
    clock.move(seconds=32)
    work_all(carrier, clock, bodies=[job])

    assert carrier.heard == []
    assert message_reports.get_delivery(DIRECTOR, message.id, NOON).counts == {RecipientState.UNKNOWN: 2}
    assert figures() == (998, 0, 2)


def test_a_receipt_for_a_dead_workers_wave_proves_that_it_was_taken() -> None:
    create_school()
    add_guardians(2)
    clock, carrier = TestClock(), FakeCarrier()
    message = create(alert(), clock)
    [job] = jobs_on("BulkQueue")

    with pytest.raises(Killed):
        work_all(FakeCarrier(before=kill), clock, bodies=[job])
    ref = PageRef(PageKind.MESSAGE, SCHOOL, message.id, message.plan or "", 0)
    assert pages.add_receipts(ref, {Receipt.DELIVERED: [0]})
    clock.move(seconds=32)
    work_all(carrier, clock, bodies=[job])

    page = pages.find_page(ref)
    assert page is not None
    assert page.state.letters == "SU"


def test_an_ambiguous_answer_is_unknown_charged_and_never_sent_again() -> None:
    create_school()
    add_guardians(2)
    clock = TestClock()
    carrier = FakeCarrier(answer=lambda _: Unknown("ReadTimeoutError"))
    message = create(alert(category=Category.EMERGENCY), clock)

    work_all(carrier, clock)
    clock.move(minutes=5)
    attend(clock)
    work_all(carrier, clock)

    assert len(carrier.heard) == 2
    assert message_reports.get_delivery(DIRECTOR, message.id, NOON).counts == {RecipientState.UNKNOWN: 2}
    assert figures() == (998, 0, 2)


def test_a_wrong_number_is_charged_and_a_blocked_one_is_not_L12() -> None:
    create_school()
    add_guardians(2)
    clock = TestClock()
    reasons = {mobile(0): RefusedBecause.WRONG_NUMBER, mobile(1): RefusedBecause.BLOCKED}
    message = create(alert(), clock)

    work_all(FakeCarrier(answer=lambda text: Refused(reasons[text.to], "x")), clock)

    counts = message_reports.get_delivery(DIRECTOR, message.id, NOON).counts
    assert counts == {RecipientState.WRONG_NUMBER: 1, RecipientState.BLOCKED: 1}
    assert figures() == (999, 0, 1)


def test_what_a_busy_carrier_does_not_take_goes_out_by_a_fresh_delayed_job() -> None:
    create_school()
    add_guardians(2)
    clock, carrier = TestClock(), FakeCarrier(answer=refuse(RefusedBecause.FOR_NOW))
    create(alert(), clock)
    [job] = jobs_on("BulkQueue")

    work_all(carrier, clock, bodies=[job])
    assert delayed_jobs() == [(2, 5)]
    carrier.answer = lambda _: None
    work_all(carrier, clock, bodies=[job])  # the old job, delivered once more: dropped
    assert carrier.heard == []
    clock.move(seconds=6)
    work_all(carrier, clock, bodies=[job.replace('"job":1', '"job":2')])

    assert len(carrier.heard) == 2
    assert figures() == (998, 0, 2)


def test_a_refused_route_waits_a_minute_and_costs_nothing() -> None:
    create_school()
    add_guardians(2)
    clock, carrier = TestClock(), FakeCarrier(answer=refuse(RefusedBecause.ROUTE))
    create(alert(), clock)
    [job] = jobs_on("BulkQueue")

    work_all(carrier, clock, bodies=[job])

    assert delayed_jobs() == [(2, 60)]
    assert figures() == (998, 2, 0)


def test_near_its_time_limit_a_worker_hands_the_page_on() -> None:
    create_school()
    add_guardians(3)
    clock, carrier = TestClock(), FakeCarrier()
    create(alert(), clock)
    [job] = jobs_on("BulkQueue")

    work_all(carrier, clock, bodies=[job], seconds_left=20)
    [fresh] = jobs_on("BulkQueue")
    assert carrier.heard == []
    work_all(carrier, clock, bodies=[fresh])

    assert len(carrier.heard) == 3


def test_somebody_who_opts_out_after_sending_and_before_their_wave_is_not_spoken_to() -> None:
    create_school()
    add_guardians(3)
    clock, carrier = TestClock(), FakeCarrier()
    message = create(alert(), clock)

    opt_out(mobile(1), "person#g00001")
    work_all(carrier, clock)

    assert carrier.numbers_heard() == [mobile(0), mobile(2)]
    assert message_reports.get_delivery(DIRECTOR, message.id, NOON).counts[RecipientState.OPTED_OUT] == 1
    assert figures() == (998, 0, 2)


def test_what_is_not_handed_over_before_it_expires_is_released() -> None:
    create_school()
    add_guardians(3)
    clock, carrier = TestClock(), FakeCarrier()
    message = create(alert(category=Category.EMERGENCY), clock)

    clock.move(hours=1)
    work_all(carrier, clock)

    assert carrier.heard == []
    assert message_reports.get_delivery(DIRECTOR, message.id, NOON).counts == {RecipientState.EXPIRED: 3}
    assert figures() == (1000, 0, 0)


def test_a_page_of_a_plan_that_is_not_the_messages_speaks_to_nobody() -> None:
    create_school()
    add_guardians(1)
    clock, carrier = TestClock(), FakeCarrier()
    message = create(alert(send_at=NOON + timedelta(hours=1)), clock)
    old = page_jobs.job_of(PageRef(PageKind.MESSAGE, SCHOOL, message.id, message.plan or "", 0), 1)

    work_all(carrier, clock, bodies=[json.dumps(old)])

    assert carrier.heard == []


def test_a_worker_killed_between_the_message_and_its_jobs_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    create_school()
    add_guardians(3)
    clock, carrier = TestClock(), FakeCarrier()
    with monkeypatch.context() as patch:
        patch.setattr(page_jobs, "put_jobs", lambda *_, **__: kill())
        with pytest.raises(Killed):
            create(alert(), clock)
    assert jobs_on("BulkQueue") == []

    clock.move(minutes=1)
    assert attend(clock) == 1
    work_all(carrier, clock)

    assert len(carrier.heard) == 3
    assert figures() == (997, 0, 3)


def test_a_worker_killed_mid_wave_is_replaced_within_three_minutes() -> None:
    create_school()
    add_guardians(30)
    clock, carrier = TestClock(), FakeCarrier()
    message = create(alert(), clock)
    with pytest.raises(Killed):
        work_all(FakeCarrier(before=kill), clock)  # and its job with it

    for _ in range(3):
        clock.move(minutes=1)
        attend(clock)
        work_all(carrier, clock)

    assert records.get_message(SCHOOL, message.id).state is MessageState.SENT
    counts = message_reports.get_delivery(DIRECTOR, message.id, NOON).counts
    assert counts == {RecipientState.UNKNOWN: 20, RecipientState.SENT: 10}


def test_a_message_going_out_is_looked_at_every_minute_even_when_a_minute_comes_a_little_early() -> None:
    create_school()
    add_guardians(1)
    clock = TestClock()
    create(alert(), clock)

    attended = []
    for seconds in (61, 59, 61, 59):
        clock.move(seconds=seconds)
        attended.append(attend(clock))

    assert attended == [1, 1, 1, 1]


def test_a_worker_killed_between_the_last_page_and_settling_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    create_school()
    add_guardians(3)
    clock, carrier = TestClock(), FakeCarrier()
    message = create(alert(), clock)
    with monkeypatch.context() as patch:
        patch.setattr(sending, "settle", lambda *_: kill())
        with pytest.raises(Killed):
            work_all(carrier, clock)
    assert figures() == (997, 3, 0)

    clock.move(minutes=1)
    attend(clock)

    assert figures() == (997, 0, 3)
    assert records.get_message(SCHOOL, message.id).state is MessageState.SENT


def test_a_page_that_kills_every_worker_is_given_up_after_its_time_and_released() -> None:
    create_school()
    add_guardians(3)
    clock = TestClock()
    message = create(alert(category=Category.EMERGENCY), clock)
    jobs_on("UrgentQueue")  # taken by workers that die before they can write anything

    clock.move(hours=1, minutes=11)
    attend(clock)

    assert records.get_message(SCHOOL, message.id).state is MessageState.SENT
    assert message_reports.get_delivery(DIRECTOR, message.id, NOON).counts == {RecipientState.NOT_SENT: 3}
    assert figures() == (1000, 0, 0)


def test_a_carrier_that_does_not_echo_references_gets_a_lookup_row_for_each_accepted_text() -> None:
    create_school()
    add_guardians(2)
    clock, carrier = TestClock(), FakeCarrier()
    message = create(alert(), clock)

    work_all(carrier, clock, line=carrier.line(echoes_reference=False))

    ref = PageRef(PageKind.MESSAGE, SCHOOL, message.id, message.plan or "", 0)
    found = lookups.find_references("fake", ["c-1", "c-2", "c-3"])
    assert found == {"c-1": ref.reference(0), "c-2": ref.reference(1)}


def test_no_request_starts_so_late_that_it_could_outlive_the_lease() -> None:
    create_school()
    add_guardians(2)
    clock, carrier = TestClock(), FakeCarrier()
    carrier.before = lambda: clock.move(seconds=18)
    create(alert(), clock)
    [job] = jobs_on("BulkQueue")

    work_all(carrier, clock, bodies=[job])

    assert carrier.heard == []
    assert delayed_jobs() == [(2, 5)]


def test_a_big_message_is_settled_once_over_all_its_pages() -> None:
    create_school(domestic=500)
    add_guardians(250)
    clock, carrier = TestClock(), FakeCarrier()
    message = create(alert(), clock)
    jobs = jobs_on("BulkQueue")

    work_all(carrier, clock, bodies=[*reversed(jobs), *jobs])

    assert message.pages == 3
    assert len(carrier.heard) == 250
    assert figures() == (250, 0, 250)


def test_a_job_that_is_none_fails_and_names_nothing() -> None:
    with pytest.raises((KeyError, ValueError)):
        dispatch.read_job("{}")


def test_an_older_job_is_dropped() -> None:
    create_school()
    add_guardians(2)
    clock, carrier = TestClock(), FakeCarrier()
    message = create(alert(), clock)
    ref = PageRef(PageKind.MESSAGE, SCHOOL, message.id, message.plan or "", 0)
    assert pages.raise_job(ref, seen=1)

    dispatch.work_page(dispatch.Job(ref, 1), worker(carrier, clock))

    assert carrier.heard == []
