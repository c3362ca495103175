"""Plans made in the background are those that would have been made in memory, and survive their workers.

On the DynamoDB in memory: any school, any cut, and a death at each call of AWS.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recado import (
    access,
    attention,
    background_plans,
    messages,
    page_jobs,
    plan_work,
    planning,
    records,
    scheduling,
)
from recado.planning import Totals
from recado.rules.message_states import MessageState
from recado.rules.oneroster import RosterPerson
from recado.settings import SETTINGS
from recado.tables import messages as message_table
from recado.tables import pages, people, plannings, schools, skipped
from recado.tables.messages import COPY_PAGES
from recado.tables.pages import PageKind, PageRef
from recado.tables.plannings import Planning, Purpose
from recado.tables.schools import School
from tests.simulation.baton import Killed
from tests.simulation.wires import SQS, MemoryAws, memory_aws
from tests.worlds import (
    COURSE,
    DIRECTOR,
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
)

LARGE = 3
_owners = count(1)


@pytest.fixture(scope="module")
def memory() -> Iterator[MemoryAws]:
    with memory_aws() as found, pytest.MonkeyPatch.context() as patch:
        patch.setattr(access, "_masters", {"read": (float("inf"), {1: b"master-secret-for-simulated-plans"})})
        yield found


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    small = replace(SETTINGS, audience_max=LARGE)
    monkeypatch.setattr(planning, "SETTINGS", small)
    for module in (background_plans, scheduling):
        monkeypatch.setattr(module, "SETTINGS", small)
    monkeypatch.setattr(planning, "CHUNK", 2)
    monkeypatch.setattr(pages, "PAGE_SIZE", 2)
    monkeypatch.setattr(attention, "ATTENTION_SHARDS", 1)
    monkeypatch.setattr(message_table, "ATTENTION_SHARDS", 1)


def worker(clock: TestClock, *seconds_left: float) -> plan_work.Worker:
    """A worker; `seconds_left` is what each look at its time says, the last one for ever."""
    left = list(seconds_left or (300.0,))
    return plan_work.Worker(
        owner=f"p{next(_owners)}",
        clock=clock,
        time_left=lambda: timedelta(seconds=left.pop(0) if len(left) > 1 else left[0]),
    )


def planning_of(message_id: str) -> Planning:
    found = plannings.find_planning(SCHOOL, message_id)
    assert found is not None
    return found


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


def a_school(shards: int, *, international: int | None) -> School:
    school = create_school(domestic=100, international=international)
    found = schools.find_school(SCHOOL)
    assert found is not None
    return replace(school, shards=shards)


PERSON = st.tuples(
    st.sampled_from(["guardian", "guardian", "guardian", "teacher"]),
    st.sampled_from(
        [mobile(1), mobile(2), mobile(3), mobile(4), mobile(5), "+18095550142", "+12125550123", None, None]
    ),
    st.booleans(),
    st.sampled_from(["", "", "", "reply", "own"]),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    everybody=st.lists(PERSON, min_size=LARGE + 1, max_size=14),
    shards=st.integers(1, 8),
    chunk=st.integers(1, 5),
    page_size=st.integers(1, 4),
    handed_on=st.lists(st.booleans(), max_size=12),
    noted=st.booleans(),
    channels=st.sampled_from([("sms",), ("inbox",), ("sms", "inbox")]),
    for_unreachable=st.booleans(),
    international=st.sampled_from([None, 5]),
    text=st.sampled_from(["Mañana no hay clases.", "{apoderado}: mañana no hay clases. " + "x" * 120]),
)
def test_the_background_makes_the_plan_that_would_have_been_made_in_memory(
    memory: MemoryAws,
    monkeypatch: pytest.MonkeyPatch,
    everybody: list[tuple[str, str | None, bool, str]],
    shards: int,
    chunk: int,
    page_size: int,
    handed_on: list[bool],
    noted: bool,
    channels: tuple[str, ...],
    for_unreachable: bool,
    international: int | None,
    text: str,
) -> None:
    memory.clear()
    clock = TestClock()
    school = a_school(shards, international=international)
    monkeypatch.setattr(records, "get_school", lambda _: school)
    monkeypatch.setattr(plan_work, "NOTED_AFTER", timedelta() if noted else timedelta(hours=1))
    for place, (role, number, problem, out) in enumerate(everybody):
        person = add_person(
            place, role, number, problem=problem and number is not None, shards=shards, groups=frozenset({COURSE})
        )
        if number is not None and out:
            opt_out(number, "reply" if out == "reply" else f"person#{person}", clock() + timedelta(seconds=place))
    new = alert(text=text, send=False, audience={"who": ["guardians"], "groups": [COURSE]})
    new = replace(new, channels=channels, inbox_for_unreachable=for_unreachable)
    draft = create(new, clock)

    monkeypatch.setattr(planning, "CHUNK", 100)  # in memory, at once
    monkeypatch.setattr(planning, "SETTINGS", SETTINGS)
    in_memory = planning.make_plan(school, draft, "memory", clock())
    monkeypatch.setattr(planning, "CHUNK", chunk)
    monkeypatch.setattr(pages, "PAGE_SIZE", page_size)
    begun = background_plans.begin_planning(draft, Purpose.ESTIMATE, clock())
    for is_short in [*handed_on, False]:
        left = worker(clock, 300.0, 0.0) if is_short else worker(clock)
        plan_work.work(plan_work.Job("plan", SCHOOL, draft.id, begun.plan), left)
        clock.move(seconds=1)
    made = planning_of(draft.id)
    assert made.totals is not None
    totals = Totals.of_row(made.totals)

    # The same totals and digest.
    assert made.done_at is not None
    assert made.plan == begun.plan
    assert replace(totals, pages=0, copy_pages=0, lots=0) == in_memory.totals
    # The same recipients, each number once; the same copies, each person once; the same skipped.
    found = [
        one
        for page in pages.list_pages(
            PageRef(PageKind.MESSAGE, SCHOOL, draft.id, made.plan, page) for page in range(totals.pages)
        )
        for one in page.recipients
    ]
    planned = [one for chunk in in_memory.chunks or () for one in chunk.recipients]
    assert found == planned
    assert max(Counter(one.number for one in found).values(), default=1) == 1
    copies = [
        one
        for page in pages.list_pages(
            PageRef(PageKind.MESSAGE, SCHOOL, draft.id, made.plan, COPY_PAGES + page)
            for page in range(totals.copy_pages)
        )
        for one in page.readers
    ]
    by_id = sorted((one for chunk in in_memory.chunks or () for one in chunk.copies), key=lambda one: one.person_id)
    assert sorted(copies, key=lambda one: one.person_id) == by_id
    assert max(Counter(one.person_id for one in copies).values(), default=1) == 1
    lots = [one for _, lot in skipped.list_lots(SCHOOL, draft.id, made.plan, lots=totals.lots) for one in lot]
    assert Counter(lots) == Counter(one for chunk in in_memory.chunks or () for one in chunk.skipped)


@pytest.mark.parametrize("shards", [2, 8])
def test_the_digest_is_of_the_audience_and_not_of_who_else_is_at_the_school(memory: MemoryAws, shards: int) -> None:
    memory.clear()
    clock = TestClock()
    school = a_school(shards, international=None)
    course = frozenset({COURSE})
    for place in range(3):
        add_person(place, "guardian", mobile(place), problem=False, shards=shards, groups=course)
    draft = create(alert(send=False, audience={"who": ["guardians"]}), clock)
    before = planning.make_plan(school, draft, "one", clock())

    for place in range(10, 15):
        add_person(place, "teacher", mobile(place), problem=False, shards=shards, groups=course)

    assert planning.make_plan(school, draft, "two", clock()).digest == before.digest


# --- deaths -----------------------------------------------------------------------------------------------------------


class Deaths:
    """A gate that takes jobs off the wire, and kills whoever makes the n-th call (0: nobody), before or after it."""

    def __init__(self, kill_at: int, *, is_applied: bool) -> None:
        self.kill_at = kill_at
        self.is_applied = is_applied
        self.calls = 0
        self.is_armed = True
        self.jobs: list[tuple[str, str]] = []  # queue and body

    def before(self, *_: object) -> None:
        self.calls += self.is_armed
        if self.is_armed and self.calls == self.kill_at and not self.is_applied:
            raise Killed

    def after(self, operation: str, asked: Mapping[str, Any]) -> None:
        if operation == SQS:
            self.jobs += [(asked["QueueUrl"], entry["MessageBody"]) for entry in asked["Entries"]]
        if self.is_armed and self.calls == self.kill_at and self.is_applied:
            raise Killed

    def take(self, queue_url: str) -> list[str]:
        found = [body for url, body in self.jobs if url == queue_url]
        self.jobs = [one for one in self.jobs if one[0] != queue_url]
        return found


def live(gate: Deaths, clock: TestClock, carrier: FakeCarrier, *, is_short: bool) -> None:
    """Works what is on the queues once; whoever is killed takes their job along. Pages have deaths of their own."""
    for body in gate.take(SETTINGS.plans_queue_url):
        with suppress(Killed):
            plan_work.work(plan_work.read_job(body), worker(clock, *([300.0, 300.0, 0.0] if is_short else [])))
    gate.is_armed = False
    for queue in (SETTINGS.bulk_queue_url, SETTINGS.urgent_queue_url):
        work_all(carrier, clock, bodies=gate.take(queue))
    gate.is_armed = True


@pytest.mark.parametrize("is_applied", [False, True])
@pytest.mark.parametrize("is_short", [False, True])
@pytest.mark.parametrize("is_estimated", [False, True])
def test_a_worker_that_dies_at_any_call_leaves_one_plan_one_text_a_number_and_right_money(
    memory: MemoryAws, monkeypatch: pytest.MonkeyPatch, *, is_applied: bool, is_short: bool, is_estimated: bool
) -> None:
    monkeypatch.setattr(plan_work, "NOTED_AFTER", timedelta())
    monkeypatch.setattr(page_jobs, "JOBS_AT_ONCE_MAX", 2)
    monkeypatch.setattr(page_jobs, "NOTE_EVERY", 2)
    deaths = 0
    while True:
        memory.gate = None
        memory.clear()
        clock, carrier = TestClock(), FakeCarrier()
        create_school(domestic=100)
        add_guardians(7)
        gate = memory.gate = Deaths(0, is_applied=is_applied)
        message = create(alert(send=not is_estimated), clock)
        if is_estimated:
            background_plans.begin_planning(message, Purpose.ESTIMATE, clock())
        gate.calls, gate.kill_at = 0, deaths + 1
        for _ in range(12):
            gate.is_armed = False
            is_sent = records.get_message(SCHOOL, message.id).state is MessageState.SENT
            gate.is_armed = True
            if is_sent:
                break
            live(gate, clock, carrier, is_short=is_short)
            live(gate, clock, carrier, is_short=is_short)
            clock.move(seconds=61)
            with suppress(Killed):
                if is_estimated and planning_of(message.id).done_at is not None:
                    messages.send(DIRECTOR, message.id, None, clock())
                elif is_estimated:
                    background_plans.begin_planning(records.get_message(SCHOOL, message.id), Purpose.ESTIMATE, clock())
                attend(clock)
        was_killed = gate.calls >= gate.kill_at
        memory.gate = None
        found = records.get_message(SCHOOL, message.id)
        where = f"death at call {deaths + 1}"
        assert found.state is MessageState.SENT, where
        assert sorted(text.to for text in carrier.heard) == [mobile(one) for one in range(7)], where
        assert figures() == (93, 0, 7), where
        entries = [key for key in memory.rows(SETTINGS.ledger_table) if key[1].startswith("E#hold")]
        assert len(entries) == 1, where
        if not was_killed:
            break
        deaths += 1
    assert deaths > 40
