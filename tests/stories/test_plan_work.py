"""Large audiences, planned in the background: what is shown is what goes out, once, whatever happens to the workers."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest

from recado import (
    background_plans,
    estimates,
    messages,
    orders,
    page_jobs,
    plan_work,
    planning,
    records,
    scheduling,
    sending,
)
from recado.drafts import NewMessage
from recado.errors import ChangedMeanwhile, WrongState
from recado.estimates import Estimate
from recado.rules.message_states import Channel, MessageState
from recado.rules.oneroster import RosterPerson
from recado.settings import SETTINGS
from recado.tables import messages as message_table
from recado.tables import pages, people, plannings, schools
from recado.tables.messages import Message
from recado.tables.pages import PageKind, PageRef
from recado.tables.plannings import Planning, Purpose
from tests.conftest import jobs_on
from tests.faults import faults
from tests.worlds import (
    COURSE,
    DIRECTOR,
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
    opt_out,
    suspend,
    work_all,
)

LARGE = 3  # people; more are planned in the background
PEOPLE = 7
_owners = count(1)


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    small = replace(SETTINGS, audience_max=LARGE)
    monkeypatch.setattr(planning, "SETTINGS", small)
    for module in (background_plans, scheduling):
        monkeypatch.setattr(module, "SETTINGS", small)
    monkeypatch.setattr(planning, "CHUNK", 2)
    monkeypatch.setattr(pages, "PAGE_SIZE", 2)


@pytest.fixture
def clock(aws: None) -> TestClock:
    create_school(domestic=100)
    add_guardians(PEOPLE)
    return TestClock()


def worker(clock: TestClock, *seconds_left: float) -> plan_work.Worker:
    """A worker; `seconds_left` is what each look at its time says, the last one for ever."""
    left = list(seconds_left or (300.0,))
    return plan_work.Worker(
        owner=f"p{next(_owners)}",
        clock=clock,
        time_left=lambda: timedelta(seconds=left.pop(0) if len(left) > 1 else left[0]),
    )


def work_plans(clock: TestClock) -> int:
    """Works the jobs of the plans queue until none is left; returns how many."""
    worked = 0
    while bodies := jobs_on("PlansQueue"):
        for body in bodies:
            plan_work.work(plan_work.read_job(body), worker(clock))
            worked += 1
    return worked


def estimate(clock: TestClock, new: NewMessage | None = None) -> Estimate:
    return estimates.estimate(DIRECTOR, new or alert(send=False), clock(), state=None, limit=100, cursor=0)


def estimate_of(clock: TestClock, message_id: str) -> Estimate:
    return estimates.estimate_of(DIRECTOR, message_id, clock(), state=None, limit=100, cursor=0)


def planned_estimate(clock: TestClock, new: NewMessage | None = None) -> Estimate:
    """A large estimate, made."""
    begun = estimate(clock, new)
    work_plans(clock)
    return estimate_of(clock, begun.message.id)


def send(clock: TestClock, message_id: str, digest: str | None = None) -> Message:
    return messages.send(DIRECTOR, message_id, None, clock(), digest=digest)


def find(message_id: str) -> Message:
    return records.get_message(SCHOOL, message_id)


def planning_of(message_id: str) -> Planning:
    found = plannings.find_planning(SCHOOL, message_id)
    assert found is not None
    return found


def numbers_in(message: Message, plan: str | None = None, count_of_pages: int | None = None) -> list[str]:
    refs = (
        PageRef(PageKind.MESSAGE, message.school_id, message.id, plan or message.plan or "", page)
        for page in range(count_of_pages if count_of_pages is not None else message.pages)
    )
    return [one.number for page in pages.list_pages(refs) for one in page.recipients]


# --- an estimate is a plan --------------------------------------------------------------------------------------------


def test_a_large_estimate_answers_how_far_it_is_and_then_what_it_comes_to(clock: TestClock) -> None:
    begun = estimate(clock)
    work_plans(clock)
    made = estimate_of(clock, begun.message.id)

    assert begun.totals is None
    assert begun.progress is not None
    assert begun.progress.people == 0
    assert made.totals is not None
    assert (made.totals.people, made.totals.credits) == (PEOPLE, {"domestic": PEOPLE})
    assert made.valid_until == clock() + timedelta(minutes=15)
    assert figures() == (100, 0, 0)


@pytest.mark.parametrize("channels", [("sms",), ("sms", "inbox"), ("inbox",)])
@pytest.mark.parametrize("limit", [1, 3, 100])
def test_the_people_of_a_large_estimate_are_listed_page_by_page_as_those_of_a_small_one_L3_L9(
    clock: TestClock, monkeypatch: pytest.MonkeyPatch, channels: tuple[str, ...], limit: int
) -> None:
    add_guardian(20, number=mobile(1))  # shares it
    add_guardian(21, number=None)
    opt_out(mobile(2), "reply")
    new = replace(alert(send=False), channels=channels)
    message_id = planned_estimate(clock, new).message.id

    listed: dict[str | None, list[tuple[str, str, str | None, bool]]] = {}
    for state in (None, "sendable", "opted_out", "duplicate_of", "inbox_only"):
        listed[state], cursor = [], 0
        for _ in range(30):
            page = estimates.estimate_of(DIRECTOR, message_id, clock(), state=state, limit=limit, cursor=cursor)
            listed[state] += [(row.person_id, row.state, row.duplicate_of, row.has_copy) for row in page.rows]
            if page.next is None:
                break
            cursor = int(page.next)

    monkeypatch.setattr(planning, "SETTINGS", SETTINGS)
    small = estimate(clock, new)
    everybody = [(row.person_id, row.state, row.duplicate_of, row.has_copy) for row in small.rows]
    assert len(everybody) == PEOPLE + 2
    assert sorted(listed[None]) == sorted(everybody)
    for state in ("sendable", "opted_out", "duplicate_of", "inbox_only"):
        assert sorted(listed[state]) == sorted(one for one in everybody if one[1] == state)


def test_a_send_within_fifteen_minutes_takes_the_very_plan(clock: TestClock) -> None:
    made = planned_estimate(clock)
    plan = planning_of(made.message.id).plan
    clock.move(minutes=14, seconds=59)

    assert made.totals is not None
    sent = send(clock, made.message.id, made.totals.seal)

    assert (sent.state, sent.plan) == (MessageState.SENDING, plan)
    assert jobs_on("PlansQueue") == []
    assert figures() == (100 - PEOPLE, PEOPLE, 0)
    assert sorted(numbers_in(sent)) == [mobile(one) for one in range(PEOPLE)]


def test_what_changed_since_the_estimate_is_for_the_check_at_dispatch(clock: TestClock) -> None:  # L8
    made = planned_estimate(clock)
    opt_out(mobile(3), "reply", clock())
    carrier = FakeCarrier()

    send(clock, made.message.id)
    work_all(carrier, clock)

    assert sorted(carrier.numbers_heard()) == [mobile(one) for one in range(PEOPLE) if one != 3]
    assert figures() == (100 - PEOPLE + 1, 0, PEOPLE - 1)


def test_after_fifteen_minutes_it_is_planned_anew(clock: TestClock) -> None:
    made = planned_estimate(clock)
    plan = planning_of(made.message.id).plan
    clock.move(minutes=15)

    asked = send(clock, made.message.id)
    work_plans(clock)

    assert asked.state is MessageState.PLANNING
    assert find(made.message.id).state is MessageState.SENDING
    assert find(made.message.id).plan != plan


def test_after_an_edit_it_is_planned_anew(clock: TestClock) -> None:
    made = planned_estimate(clock)
    messages.edit(DIRECTOR, made.message.id, alert(text="Mañana sí hay clases.", send=False), clock())

    assert estimate_of(clock, made.message.id).totals is None
    assert send(clock, made.message.id).state is MessageState.PLANNING
    work_plans(clock)
    assert find(made.message.id).state is MessageState.SENDING


def test_two_requests_that_take_the_same_estimate_are_one_message(clock: TestClock) -> None:
    made = planned_estimate(clock)
    school = records.get_school(SCHOOL)
    draft = find(made.message.id)
    send(clock, draft.id)

    again = sending.accept(school, draft, orders.Order("otra"), clock(), is_new=False)

    assert again == find(draft.id)
    assert figures() == (100 - PEOPLE, PEOPLE, 0)


def test_whoever_wanted_to_schedule_what_was_just_sent_is_told_so(clock: TestClock) -> None:
    made = planned_estimate(clock)
    school = records.get_school(SCHOOL)
    draft = find(made.message.id)
    send(clock, draft.id)

    with pytest.raises(ChangedMeanwhile):
        sending.accept(school, draft, orders.Order("otra", clock() + timedelta(hours=1)), clock(), is_new=False)


def test_an_estimate_whose_job_is_lost_is_taken_up_by_whoever_looks(clock: TestClock) -> None:
    begun = estimate(clock)
    jobs_on("PlansQueue")  # lost

    estimate_of(clock, begun.message.id)
    at_once = jobs_on("PlansQueue")
    clock.move(seconds=31)
    estimate_of(clock, begun.message.id)
    estimate_of(clock, begun.message.id)

    assert at_once == []
    assert work_plans(clock) == 1
    assert estimate_of(clock, begun.message.id).totals is not None


def test_looking_at_the_estimate_of_a_message_that_is_being_sent_never_puts_another_plan_in_its_place(
    clock: TestClock,
) -> None:
    message = create(alert(), clock)
    clock.move(hours=2)  # nothing ran

    estimate_of(clock, message.id)
    work_plans(clock)

    assert planning_of(message.id).purpose is Purpose.SEND
    assert find(message.id).state is MessageState.SENDING


# --- a long way ---------------------------------------------------------------------------------------------------


def add_person(place: int, role: str, number: str | None, *, problem: bool, shards: int, groups: frozenset[str]) -> str:
    person = RosterPerson(
        id=f"{role}{place:03}",
        role=role,
        given_name="Rosa" if place % 2 else "Inés María",
        family_name=f"Muñoz {place}",
        number=None if problem else number,
        typed_number=number or "",
        number_problem=problem,
        groups=groups,
        students=frozenset(),
        guardians=frozenset(),
    )
    assert people.create_person(SCHOOL, shards, person)
    return person.id


def test_a_long_stretch_of_others_is_no_reason_to_lose_the_lease(
    clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in range(10, 20):  # whoever comes first in the order of numbers, and is not meant
        add_person(place, "teacher", f"+5680000{place:04}", problem=False, shards=1, groups=frozenset({COURSE}))
    message = create(alert(), clock)
    noted: list[str] = []
    real = plannings.note_progress

    def note(found: Planning, owner: str, place: str, *rest: object) -> bool:
        noted.append(place)
        return real(found, owner, place, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(plannings, "note_progress", note)
    monkeypatch.setattr(plan_work, "NOTED_AFTER", timedelta())
    work_plans(clock)

    assert sum(place.startswith("0/+568") for place in noted) == 5
    assert find(message.id).state is MessageState.SENDING


# --- sending ----------------------------------------------------------------------------------------------------------


def test_a_large_send_without_an_estimate_is_planned_and_goes_out(clock: TestClock) -> None:
    carrier = FakeCarrier()

    message = create(alert(), clock)
    work_plans(clock)
    work_all(carrier, clock)

    assert message.state is MessageState.PLANNING
    assert [one["act"] for one in find(message.id).history][:3] == ["created", "asked_to_send", "sent"]
    assert sorted(carrier.numbers_heard()) == [mobile(one) for one in range(PEOPLE)]
    assert find(message.id).state is MessageState.SENT
    assert figures() == (100 - PEOPLE, 0, PEOPLE)


def test_pressing_send_again_while_it_is_planned_changes_nothing(clock: TestClock) -> None:
    message = create(alert(), clock)
    again = send(clock, message.id)
    repeated = create(alert(), clock, key="key-2")

    assert again == find(message.id)
    assert repeated.id != message.id
    assert len(jobs_on("PlansQueue")) == 2


def test_a_large_send_beyond_the_credits_is_a_draft_again_that_says_what_is_missing(clock: TestClock) -> None:
    message = create(alert(text="x" * 153 * 9), clock)  # 9 parts each
    add_guardians_from(PEOPLE, 6)
    work_plans(clock)

    found = find(message.id)
    assert found.state is MessageState.DRAFT
    assert found.refusal is not None
    assert found.refusal["code"] == "not_enough_credits"
    assert found.refusal["members"]["missing"] == 9 * (PEOPLE + 6) - 100
    assert (found.attend_at, found.accepted_at, found.sent_by) == (None, None, None)
    assert figures() == (100, 0, 0)
    assert jobs_on("BulkQueue") == []


def add_guardians_from(first: int, how_many: int) -> None:
    for position in range(first, first + how_many):
        add_guardian(position)


def test_a_draft_that_was_refused_is_sent_when_the_reason_is_gone(clock: TestClock) -> None:
    suspend()
    message = create(alert(send=False), clock)
    for one in range(PEOPLE):
        opt_out(mobile(one), "reply", clock())
    school = schools.find_school(SCHOOL)
    assert school is not None
    sending._plan_later(message, orders.Order("directora"), clock(), is_new=False)
    work_plans(clock)
    refused = find(message.id)

    add_guardians_from(50, 1)

    assert refused.refusal is not None
    assert refused.refusal["code"] == "nobody_to_reach"
    assert refused.state is MessageState.DRAFT


def test_a_contract_suspended_while_it_is_planned_refuses_it(clock: TestClock) -> None:  # L5
    message = create(alert(), clock)
    suspend()
    work_plans(clock)

    found = find(message.id)
    assert found.state is MessageState.DRAFT
    assert found.refusal is not None
    assert found.refusal["code"] == "contract_suspended"
    assert figures() == (100, 0, 0)


def test_a_digest_that_no_longer_fits_refuses_it(clock: TestClock) -> None:
    made = planned_estimate(clock)
    assert made.totals is not None
    clock.move(minutes=20)
    opt_out(mobile(1), "reply", clock())

    send(clock, made.message.id, made.totals.seal)
    work_plans(clock)

    found = find(made.message.id)
    assert found.state is MessageState.DRAFT
    assert found.refusal is not None
    assert found.refusal["code"] == "plan_changed"
    assert found.refusal["members"]["now"]["by_state"] == {"sendable": PEOPLE - 1, "opted_out": 1}


def test_a_message_sent_again_to_more_people_than_can_be_named_is_refused(
    clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = create(alert(), clock)
    work_plans(clock)
    messages.stop(DIRECTOR, first.id, clock())
    work_all(FakeCarrier(), clock)
    again = messages.create_again(DIRECTOR, first.id, ["stopped"], "again-1", clock(), key_is_first=True)

    sending._plan_later(again, orders.Order("directora"), clock(), is_new=False)
    work_plans(clock)

    found = find(again.id)
    assert found.refusal is not None
    assert (found.state, found.refusal["code"]) == (MessageState.DRAFT, "audience_too_large")


def test_cancelling_while_it_is_planned_costs_nothing_and_sends_nothing(clock: TestClock) -> None:
    message = create(alert(), clock)

    cancelled = messages.cancel(DIRECTOR, message.id, clock())
    work_plans(clock)
    clock.move(minutes=5)
    attend(clock)

    assert cancelled.state is MessageState.CANCELLED
    assert find(message.id).state is MessageState.CANCELLED
    assert find(message.id).plan is None
    assert figures() == (100, 0, 0)
    assert jobs_on("BulkQueue") == []


def test_cancelled_between_the_last_page_and_the_hold_it_stays_cancelled(
    clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = create(alert(), clock)
    real = plannings.finish_planning

    def finish(*arguments: object, **named: object) -> bool:
        made = real(*arguments, **named)  # type: ignore[arg-type]
        messages.cancel(DIRECTOR, message.id, clock())
        return made

    monkeypatch.setattr(plannings, "finish_planning", finish)
    work_plans(clock)

    assert find(message.id).state is MessageState.CANCELLED
    assert figures() == (100, 0, 0)


def test_a_message_asked_for_before_a_long_outage_is_not_sent_after_its_time(clock: TestClock) -> None:
    message = create(alert(), clock)
    jobs = jobs_on("PlansQueue")

    clock.move(hours=24)
    for body in jobs:
        plan_work.work(plan_work.read_job(body), worker(clock))

    found = find(message.id)
    assert found.state is MessageState.CANCELLED
    assert found.history[-1]["act"] == "expired"
    assert figures() == (100, 0, 0)


# --- workers ----------------------------------------------------------------------------------------------------------


def test_two_jobs_at_once_are_one_plan(clock: TestClock, monkeypatch: pytest.MonkeyPatch) -> None:
    message = create(alert(), clock)
    (body,) = jobs_on("PlansQueue")
    job = plan_work.read_job(body)
    real, others = planning.list_chunks, list[str]()

    def meet(*arguments: object, **named: object) -> Iterator[planning.Chunk]:
        for chunk in real(*arguments, **named):  # type: ignore[arg-type]
            if not others:
                others.append("once")
                plan_work.work(job, worker(clock))  # while the first one is at it
            yield chunk

    monkeypatch.setattr(planning, "list_chunks", meet)
    plan_work.work(job, worker(clock))

    assert find(message.id).plan == job.plan
    assert sorted(numbers_in(find(message.id))) == [mobile(one) for one in range(PEOPLE)]
    assert figures() == (100 - PEOPLE, PEOPLE, 0)
    assert len(jobs_on("BulkQueue")) == find(message.id).pages


def test_a_lost_job_is_taken_up_within_a_minute_and_a_half(clock: TestClock) -> None:
    message = create(alert(), clock)
    jobs_on("PlansQueue")  # lost

    clock.move(seconds=31)
    attend(clock)
    work_plans(clock)

    assert find(message.id).state is MessageState.SENDING


def test_whoever_comes_after_a_worker_that_died_begins_again_under_another_number(clock: TestClock) -> None:
    message = create(alert(), clock)
    (body,) = jobs_on("PlansQueue")
    job = plan_work.read_job(body)
    found = planning_of(message.id)
    assert plannings.take_planning(found, "dead", clock() + plan_work.LEASE)

    clock.move(seconds=59)
    plan_work.work(job, worker(clock))
    still = planning_of(message.id)
    clock.move(seconds=2)
    plan_work.work(job, worker(clock))

    assert (still.plan, still.owner) == (job.plan, "dead")
    assert find(message.id).plan not in (None, job.plan)
    assert figures() == (100 - PEOPLE, PEOPLE, 0)


def test_a_worker_whose_lease_is_over_harms_nobody_when_it_goes_on(
    clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = create(alert(), clock)
    (body,) = jobs_on("PlansQueue")
    job = plan_work.read_job(body)
    real, halted = planning.list_chunks, list[str]()

    def halt(*arguments: object, **named: object) -> Iterator[planning.Chunk]:
        for chunk in real(*arguments, **named):  # type: ignore[arg-type]
            if not halted:
                halted.append("once")
                clock.move(seconds=61)
                opt_out(mobile(0), "reply", clock())  # and the world goes on
                plan_work.work(job, worker(clock))
            yield chunk

    monkeypatch.setattr(planning, "list_chunks", halt)
    plan_work.work(job, worker(clock))
    carrier = FakeCarrier()
    work_all(carrier, clock)

    assert find(message.id).plan != job.plan
    assert sorted(carrier.numbers_heard()) == [mobile(one) for one in range(1, PEOPLE)]
    assert figures() == (100 - PEOPLE + 1, 0, PEOPLE - 1)


def test_a_worker_that_read_where_the_plan_was_a_moment_too_early_leaves_it_alone(clock: TestClock) -> None:
    message = create(alert(), clock)
    seen = planning_of(message.id)
    plan_work.work(plan_work.Job("plan", SCHOOL, message.id, seen.plan), worker(clock, 300.0, 0.0))

    assert planning_of(message.id).lease_until is None
    assert not plannings.take_planning(seen, "late", clock() + plan_work.LEASE)


def test_of_two_workers_that_saw_nobody_at_it_one_takes_it(clock: TestClock) -> None:
    seen = planning_of(create(alert(), clock).id)
    until = clock() + plan_work.LEASE

    taken = [plannings.take_planning(seen, owner, until) for owner in ("one", "two")]

    assert taken == [True, False]
    assert planning_of(seen.message_id).owner == "one"


def test_somebody_who_comes_to_a_number_that_had_its_turn_makes_no_second_text(clock: TestClock) -> None:
    message = create(alert(), clock)
    job = plan_work.Job("plan", SCHOOL, message.id, planning_of(message.id).plan)
    plan_work.work(job, worker(clock, 0.0))  # two people, and handed on
    add_guardian(99, number=mobile(1))
    plan_work.work(job, worker(clock))

    assert sorted(numbers_in(find(message.id))) == [mobile(one) for one in range(PEOPLE)]
    assert figures() == (100 - PEOPLE, PEOPLE, 0)


def test_whoever_looks_at_a_draft_while_it_is_sent_does_not_take_the_orders_place(
    clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = planned_estimate(clock).message
    read = find(draft.id)
    clock.move(minutes=16)  # too old to be taken
    send(clock, draft.id)

    background_plans.begin_planning(read, Purpose.ESTIMATE, clock())  # as it was read, before it was sent
    work_plans(clock)

    assert find(draft.id).state is MessageState.SENDING


@pytest.mark.parametrize("operation", ["UpdateItem", "TransactWriteItems", "BatchWriteItem", "PutItem"])
@pytest.mark.parametrize("kind", ["lost", "applied"])
def test_a_lost_request_or_answer_makes_no_second_plan(clock: TestClock, operation: str, kind: str) -> None:
    message = create(alert(), clock)
    (body,) = jobs_on("PlansQueue")
    for broken in range(1, 5):
        with faults(operation, *[None] * (broken - 1), kind):  # type: ignore[arg-type]
            plan_work.work(plan_work.read_job(body), worker(clock))

    carrier = FakeCarrier()
    work_all(carrier, clock)
    for _ in range(3):
        clock.move(seconds=61)
        attend(clock)
        work_plans(clock)
        work_all(carrier, clock)

    assert sorted(carrier.numbers_heard()) == [mobile(one) for one in range(PEOPLE)]
    assert find(message.id).state is MessageState.SENT
    assert figures() == (100 - PEOPLE, 0, PEOPLE)


# --- scheduled --------------------------------------------------------------------------------------------------------


def scheduled(clock: TestClock, *, hours: float = 2) -> Message:
    message = create(alert(send_at=clock() + timedelta(hours=hours)), clock)
    work_plans(clock)
    return find(message.id)


def test_a_large_scheduled_message_is_planned_ahead_and_exchanged_when_due(clock: TestClock) -> None:
    message = scheduled(clock)
    assert message.send_at is not None
    add_guardians_from(PEOPLE, 2)

    clock.now = message.send_at - timedelta(minutes=16)
    attend(clock)
    too_early = jobs_on("PlansQueue")
    clock.move(minutes=1)
    attend(clock)
    work_plans(clock)
    before = figures()
    clock.now = message.send_at
    attend(clock)

    found = find(message.id)
    assert message.state is MessageState.SCHEDULED
    assert too_early == []
    assert before == (100 - PEOPLE, PEOPLE, 0)
    assert (found.state, found.recipients) == (MessageState.SENDING, PEOPLE + 2)
    assert figures() == (100 - PEOPLE - 2, PEOPLE + 2, 0)


def test_the_held_plan_goes_out_when_the_new_one_is_not_ready(clock: TestClock) -> None:
    message = scheduled(clock)
    assert message.send_at is not None
    add_guardians_from(PEOPLE, 2)

    clock.now = message.send_at - timedelta(minutes=15)
    attend(clock)
    jobs_on("PlansQueue")  # lost, all of them
    clock.now = message.send_at
    attend(clock)

    found = find(message.id)
    assert (found.state, found.plan) == (MessageState.SENDING, message.plan)
    assert figures() == (100 - PEOPLE, PEOPLE, 0)


def test_a_plan_ahead_whose_job_is_lost_is_taken_up_in_time(clock: TestClock) -> None:
    message = scheduled(clock)
    assert message.send_at is not None
    add_guardians_from(PEOPLE, 2)

    clock.now = message.send_at - timedelta(minutes=15)
    attend(clock)
    jobs_on("PlansQueue")  # lost
    clock.move(seconds=61)
    attend(clock)
    work_plans(clock)
    clock.now = message.send_at
    attend(clock)

    assert find(message.id).recipients == PEOPLE + 2


def test_a_plan_ahead_of_a_time_that_was_moved_is_not_taken(clock: TestClock) -> None:
    message = scheduled(clock)
    assert message.send_at is not None
    clock.now = message.send_at - timedelta(minutes=15)
    attend(clock)
    work_plans(clock)
    ahead = planning_of(message.id)

    later = message.send_at + timedelta(hours=3)
    messages.send(DIRECTOR, message.id, later, clock())
    add_guardians_from(PEOPLE, 1)
    clock.now = later - timedelta(minutes=14)
    attend(clock)
    work_plans(clock)
    clock.now = later
    attend(clock)

    assert ahead.purpose is Purpose.RELEASE
    assert find(message.id).plan != ahead.plan
    assert find(message.id).recipients == PEOPLE + 1


def test_a_plan_ahead_of_what_was_edited_is_not_taken(clock: TestClock) -> None:
    message = scheduled(clock)
    assert message.send_at is not None
    clock.now = message.send_at - timedelta(minutes=15)
    attend(clock)
    work_plans(clock)
    assert planning_of(message.id).purpose is Purpose.RELEASE

    edited = alert(text="Sí hay clases.", audience={"people": ["g00002"]}, send=False)
    messages.edit(DIRECTOR, message.id, edited, clock())
    clock.now = message.send_at
    attend(clock)
    carrier = FakeCarrier()
    work_all(carrier, clock)

    assert [(text.to, text.text) for text in carrier.heard] == [(mobile(2), "Sí hay clases.")]
    assert figures() == (99, 0, 1)


def test_a_plan_ahead_that_the_credits_do_not_reach_leaves_the_held_one(clock: TestClock) -> None:
    message = scheduled(clock)
    assert message.send_at is not None
    add_guardians_from(PEOPLE, 95)

    clock.now = message.send_at - timedelta(minutes=15)
    attend(clock)
    work_plans(clock)
    clock.now = message.send_at
    attend(clock)

    assert (find(message.id).state, find(message.id).plan) == (MessageState.SENDING, message.plan)
    assert figures() == (100 - PEOPLE, PEOPLE, 0)


# --- editing and rescheduling -----------------------------------------------------------------------------------------


def small(clock: TestClock, *, hours: float = 2) -> Message:
    audience = {"people": ["g00000", "g00001"]}
    return create(alert(audience=audience, send_at=clock() + timedelta(hours=hours)), clock)


def test_an_edit_exchanges_the_hold(clock: TestClock) -> None:
    message = small(clock)
    edited = messages.edit(
        DIRECTOR, message.id, alert(text="x" * 161, audience={"people": ["g00002"]}, send=False), clock()
    )

    assert (edited.state, edited.revision) == (MessageState.SCHEDULED, 1)
    assert edited.plan != message.plan
    assert figures() == (98, 2, 0)  # one person, two parts


@pytest.mark.parametrize("kind", ["lost", "applied"])
def test_an_edit_whose_answer_is_lost_is_made_once(clock: TestClock, kind: str) -> None:
    message = small(clock)
    with faults("TransactWriteItems", kind):  # type: ignore[arg-type]
        edited = messages.edit(DIRECTOR, message.id, alert(audience={"people": ["g00002"]}, send=False), clock())

    assert edited == find(message.id)
    assert figures() == (99, 1, 0)


def test_an_edit_of_what_has_just_been_cancelled_is_told_so(clock: TestClock) -> None:
    message = small(clock)
    messages.cancel(DIRECTOR, message.id, clock())
    school = records.get_school(SCHOOL)
    edited = replace(message, text="otra cosa", revision=1)

    with pytest.raises(WrongState):
        scheduling.replace_scheduled(school, message, edited, "directora", clock())

    assert find(message.id).state is MessageState.CANCELLED
    assert figures() == (100, 0, 0)


def test_cancelling_what_has_just_gone_out_under_another_plan_is_told_so(clock: TestClock) -> None:
    message = create(alert(audience={"people": ["g00000", "g00001"]}, send_at=clock() + timedelta(hours=2)), clock)
    opt_out(mobile(1), "reply", clock())
    clock.move(hours=2)
    attend(clock)

    with pytest.raises(WrongState):
        scheduling.cancel(message, "directora", clock())

    assert find(message.id).state is MessageState.SENDING
    assert figures() == (99, 1, 0)


def test_a_release_that_read_the_message_before_it_was_moved_does_nothing(clock: TestClock) -> None:
    message = small(clock)
    clock.move(hours=2)
    messages.send(DIRECTOR, message.id, clock() + timedelta(hours=5), clock())

    scheduling.release_due(message, clock())

    assert find(message.id).state is MessageState.SCHEDULED
    assert jobs_on("BulkQueue") == []


def test_a_message_put_off_beyond_the_life_of_its_pages_is_planned_anew(
    clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "SETTINGS", replace(SETTINGS, delivery_retention_days=30))
    message = small(clock)

    soon = messages.send(DIRECTOR, message.id, clock() + timedelta(days=20), clock())
    late = messages.send(DIRECTOR, message.id, clock() + timedelta(days=300), clock())

    assert soon.plan == message.plan
    assert late.plan != message.plan
    assert late.send_at == clock() + timedelta(days=300)
    end = pages.find_end(PageRef(PageKind.MESSAGE, SCHOOL, message.id, late.plan or "", 0))
    assert end == clock() + timedelta(days=330)
    assert figures() == (98, 2, 0)


# --- the message centre -----------------------------------------------------------------------------------------------


def test_a_message_for_the_message_centre_goes_to_who_is_there_when_it_is_due(clock: TestClock) -> None:  # L4
    new = replace(alert(audience={"who": ["guardians"]}, send_at=clock() + timedelta(hours=2)), channels=("inbox",))
    message = create(new, clock)
    work_plans(clock)
    add_guardians_from(PEOPLE, 1)

    clock.move(hours=1, minutes=46)
    attend(clock)
    work_plans(clock)
    clock.move(minutes=14)
    attend(clock)

    assert find(message.id).copies == PEOPLE + 1
    assert Channel.SMS not in find(message.id).channels


# --- many jobs --------------------------------------------------------------------------------------------------------


def test_many_jobs_are_put_by_a_worker_and_go_on_from_where_it_died(
    clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_jobs, "JOBS_AT_ONCE_MAX", 1)
    monkeypatch.setattr(page_jobs, "NOTE_EVERY", 1)
    message = create(alert(), clock)
    (body,) = jobs_on("PlansQueue")
    plan_work.work(plan_work.read_job(body), worker(clock))
    (body,) = jobs_on("PlansQueue")
    assert json.loads(body)["kind"] == "enqueue"
    real = message_table.note_enqueued

    def die(found: Message, put: int, *rest: object) -> bool:
        real(found, put, *rest)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(message_table, "note_enqueued", die)
        with pytest.raises(KeyboardInterrupt):
            plan_work.work(plan_work.read_job(body), worker(clock))
    half = find(message.id)
    clock.move(seconds=61)
    attend(clock)
    work_plans(clock)
    carrier = FakeCarrier()
    work_all(carrier, clock)

    assert (half.pages_enqueued, half.pages) == (1, 4)
    assert sorted(carrier.numbers_heard()) == [mobile(one) for one in range(PEOPLE)]
    assert find(message.id).state is MessageState.SENT


def test_a_job_to_enqueue_a_plan_that_is_not_the_messages_is_dropped(clock: TestClock) -> None:
    message = create(alert(), clock)
    work_plans(clock)
    jobs_on("BulkQueue")

    plan_work.work(plan_work.Job("enqueue", SCHOOL, message.id, "other"), worker(clock))
    plan_work.work(plan_work.Job("plan", SCHOOL, message.id, "other"), worker(clock))
    plan_work.work(plan_work.Job("plan", SCHOOL, "nothing", "other"), worker(clock))

    assert jobs_on("BulkQueue") == []
