"""A carrier goes bad: who stands by takes over, nothing ambiguous changes carrier, and the first one comes back."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from moto.backends import get_backend

from recado import carrier_routes, carriers, circuits, dispatch, lines, message_reports
from recado.access import Caller
from recado.carriers.speech import Answer, Outgoing, Refused, RefusedBecause, Unknown
from recado.lines import Lines
from recado.records import get_message
from recado.rules import circuits as rules
from recado.rules.carrier_routes import ANY, Way
from recado.rules.circuits import CircuitState, Evidence
from recado.rules.delivery_states import RecipientState
from recado.rules.message_states import Category, MessageState
from recado.rules.roles import Role
from recado.rules.school_records import sandbox_of
from recado.rules.short_codes import CodeState
from recado.tables import circuits as table
from recado.tables import short_codes
from recado.tables.pages import PageKind, PageRef
from recado.tables.short_codes import Purpose, ShortCode
from tests.conftest import all_tables, jobs_on
from tests.faults import faults
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
    lines_of,
    work_all,
    worker,
)

pytestmark = pytest.mark.usefixtures("aws")

STAFF = Caller("platform", Role.OPERATOR, "soporte")


class Killed(BaseException):
    """The worker dies here: nothing of it runs on."""


class Pair:
    """A normal carrier and one that stands by."""

    def __init__(self, *, dedupe_hours: int = 0) -> None:
        self.normal, self.standby = FakeCarrier(), FakeCarrier()
        self.dedupe_hours = dedupe_hours

    def lines(self) -> Lines:
        normal = self.normal.line(dedupe_hours=self.dedupe_hours)
        return lines_of(normal, type(normal)("standby", self.standby.speak, 0, echoes_reference=True))

    def work(self, clock: TestClock, *bodies: str) -> int:
        found = list(bodies) or jobs_on("UrgentQueue") + jobs_on("BulkQueue")
        for body in found:
            dispatch.work_page(dispatch.read_job(body), worker(self.normal, clock, lines=self.lines()))
        return len(found)


def refuse(because: RefusedBecause) -> Callable[[Outgoing], Answer | None]:
    return lambda _: Refused(because, "told so")


def note(asked: list[str], name: str = "") -> Callable[[Outgoing], Answer | None]:
    """Takes nothing, and writes down who was asked, or whom."""

    def answer(text: Outgoing) -> Answer:
        asked.append(name or text.to)
        return Refused(RefusedBecause.FOR_NOW, "not_connected")

    return answer


def lose(_: Outgoing) -> Answer:
    return Unknown("ReadTimeoutError")


def circuit(carrier: str = "fake", country: str = "CL") -> rules.Circuit:
    return table.find_circuit(carrier, country)


def open_circuit(clock: TestClock, carrier: str = "fake") -> None:
    tally = circuits.Tally(is_watched=True)
    tally.add(carrier, "CL", circuit(carrier).era, Evidence(unknown=20, waves=1), clock())
    tally.write(clock())
    assert circuit(carrier).state is CircuitState.OPEN


def waiting_jobs(queue: str = "BulkQueue") -> list[tuple[str, float]]:
    """(body, seconds of its delay) of what waits on a queue, which it leaves."""
    found = get_backend("sqs")["123456789012"]["us-east-1"].queues[queue]
    jobs = [(one.body, (one.delayed_until - float(one.sent_timestamp or 0)) / 1000) for one in found._messages]
    found._messages.clear()
    return jobs


def next_jobs(clock: TestClock) -> list[str]:
    """The jobs that wait, when the last of them is due."""
    jobs = waiting_jobs() + waiting_jobs("UrgentQueue")
    clock.move(seconds=max([0.0, *(delay for _, delay in jobs)]))  # moto says of one without a delay: since 1970
    return [body for body, _ in jobs]


# --- who takes over ---


def test_a_carrier_that_refuses_most_is_left_and_who_stands_by_takes_the_rest_at_once() -> None:
    create_school()
    add_guardians(50)
    clock, pair = TestClock(), Pair()
    pair.normal.answer = refuse(RefusedBecause.ROUTE)
    create(alert(), clock)

    pair.work(clock)

    assert (len(pair.normal.heard), len(pair.standby.heard)) == (0, 50)
    assert circuit().state is CircuitState.OPEN
    assert figures() == (950, 0, 50)


def test_what_is_ambiguous_is_unknown_and_never_goes_to_another_carrier() -> None:
    create_school()
    add_guardians(50)
    clock, pair = TestClock(), Pair()
    pair.normal.answer = lose
    message = create(alert(), clock)

    pair.work(clock)

    heard = pair.normal.numbers_heard() + pair.standby.numbers_heard()
    assert len(heard) == len(set(heard)) == 50
    assert len(pair.normal.heard) == 20
    counts = message_reports.get_delivery(DIRECTOR, message.id, NOON).counts
    assert counts == {RecipientState.UNKNOWN: 20, RecipientState.SENT: 30}


def test_an_emergencys_ambiguous_texts_do_not_change_carrier_either() -> None:
    create_school()
    add_guardians(30)
    clock, pair = TestClock(), Pair()
    pair.normal.answer = lose
    create(alert(category=Category.EMERGENCY), clock)

    pair.work(clock)

    assert len(pair.normal.heard) + len(pair.standby.heard) == 30


@pytest.mark.parametrize(("has_standby", "state"), [(False, CircuitState.CLOSED), (True, CircuitState.OPEN)])
def test_a_carrier_that_takes_some_and_is_busy_for_the_rest_is_left_only_for_another(
    has_standby: bool, state: CircuitState
) -> None:
    create_school()
    add_guardians(60)
    clock, pair, turns = TestClock(), Pair(), count()
    pair.normal.answer = lambda _: None if next(turns) % 10 == 0 else Refused(RefusedBecause.FOR_NOW, "429")
    create(alert(), clock)

    for _ in range(4):
        if has_standby:
            pair.work(clock, *next_jobs(clock))
        else:
            for body in next_jobs(clock):
                dispatch.work_page(dispatch.read_job(body), worker(pair.normal, clock))

    assert (circuit().state, bool(circuit().version)) == (state, has_standby)


def test_a_carrier_without_another_that_takes_nothing_is_left_for_a_while() -> None:
    create_school()
    add_guardians(20)
    clock, carrier = TestClock(), FakeCarrier(answer=refuse(RefusedBecause.FOR_NOW))
    create(alert(), clock)

    work_all(carrier, clock)

    assert circuit().state is CircuitState.OPEN


def test_a_slow_carrier_is_left_and_what_it_took_is_sent() -> None:
    create_school()
    add_guardians(50)
    clock, pair = TestClock(), Pair()
    pair.normal.before = lambda: clock.move(seconds=6)
    message = create(alert(), clock)

    pair.work(clock)

    assert (len(pair.normal.heard), len(pair.standby.heard)) == (20, 30)
    assert message_reports.get_delivery(DIRECTOR, message.id, NOON).counts == {RecipientState.SENT: 50}


def test_a_country_whose_route_is_refused_does_not_close_the_others() -> None:
    create_school(international=50)
    add_guardians(20)
    for place in range(20):
        add_guardian(100 + place, number=f"+3460000{place:04}")
    clock, carrier = TestClock(), FakeCarrier()
    carrier.answer = lambda text: Refused(RefusedBecause.ROUTE, "x") if text.to.startswith("+34") else None
    create(alert(), clock)

    for body in jobs_on("BulkQueue"):
        dispatch.work_page(dispatch.read_job(body), worker(carrier, clock))

    assert sum(number.startswith("+56") for number in carrier.numbers_heard()) == 20
    assert (circuit(country="ES").state, circuit().state) == (CircuitState.OPEN, CircuitState.CLOSED)


def test_wrong_numbers_leave_no_carrier() -> None:
    create_school()
    add_guardians(40)
    clock, pair = TestClock(), Pair()
    pair.normal.answer = refuse(RefusedBecause.WRONG_NUMBER)
    create(alert(), clock)

    pair.work(clock)

    assert circuit().state is CircuitState.CLOSED
    assert pair.standby.heard == []


# --- probes ---


def test_an_open_carrier_is_tried_with_a_few_texts_and_trusted_again_after_two_good_probes() -> None:
    create_school()
    add_guardians(60)
    clock, pair = TestClock(), Pair()
    open_circuit(clock)
    clock.move(seconds=31)
    create(alert(), clock)

    pair.work(clock)

    assert circuit().state is CircuitState.CLOSED
    assert (len(pair.normal.heard), len(pair.standby.heard)) == (60, 0)
    moves = [(one.before, one.circuit.state) for one in reversed(table.list_transitions("fake", limit=50))]
    assert moves == [
        (CircuitState.CLOSED, CircuitState.OPEN),
        (CircuitState.OPEN, CircuitState.HALF_OPEN),
        (CircuitState.HALF_OPEN, CircuitState.HALF_OPEN),
        (CircuitState.HALF_OPEN, CircuitState.HALF_OPEN),
        (CircuitState.HALF_OPEN, CircuitState.CLOSED),
    ]


def test_a_bad_probe_costs_five_texts_a_wait_and_the_rest_goes_over_who_stands_by() -> None:
    create_school()
    add_guardians(60)
    clock, pair = TestClock(), Pair()
    open_circuit(clock)
    clock.move(seconds=31)
    pair.normal.answer = lose
    create(alert(), clock)

    pair.work(clock)

    assert (len(pair.normal.heard), len(pair.standby.heard)) == (5, 55)
    found = circuit()
    assert (found.state, found.openings, found.next_probe_at) == (
        CircuitState.OPEN,
        2,
        clock() + timedelta(seconds=60),
    )


def test_while_one_worker_probes_no_other_does() -> None:
    create_school()
    add_guardians(200)
    clock, pair = TestClock(), Pair()
    open_circuit(clock)
    clock.move(seconds=31)
    create(alert(), clock)
    [first, second] = jobs_on("BulkQueue")
    other = Pair()

    def come_in_between() -> None:
        pair.normal.before = lambda: None
        circuits.forget()
        other.work(clock, second)

    pair.normal.before = come_in_between
    pair.work(clock, first)

    assert (len(other.normal.heard), len(other.standby.heard)) == (0, 100)
    assert (len(pair.normal.heard), len(pair.standby.heard)) == (100, 0)


def test_of_two_workers_that_read_the_same_open_circuit_one_takes_the_probe() -> None:
    clock = TestClock()
    open_circuit(clock)
    clock.move(seconds=31)
    seen = circuit()

    taken = []
    for owner in ("w1", "w2"):
        clock.move(seconds=1)
        taken.append(circuits.save(rules.probing(seen, owner, clock()), was=seen, now=clock()))

    assert taken == [True, False]
    assert circuit().by == "w1"


def test_a_prober_that_dies_keeps_the_circuit_for_its_lease_and_no_longer() -> None:
    create_school()
    add_guardians(10)
    clock, dead, pair = TestClock(), Pair(), Pair()
    open_circuit(clock)
    clock.move(seconds=31)
    message = create(alert(), clock)
    [job] = jobs_on("BulkQueue")

    def die() -> None:
        raise Killed

    dead.normal.before = die
    with pytest.raises(Killed):
        dead.work(clock, job)
    clock.move(seconds=32)
    assert circuits.choose((Way("fake"),), "CL", is_emergency=True, owner="w", now=clock()) == circuits.NoneOpen(
        (circuit().probe_until,)
    )
    clock.move(seconds=15)
    pair.work(clock, job)

    counts = message_reports.get_delivery(DIRECTOR, message.id, NOON).counts
    assert counts == {RecipientState.UNKNOWN: 5, RecipientState.SENT: 5}
    assert len(pair.normal.heard) == 5
    assert pair.standby.heard == []


def test_an_emergency_tries_nobody_while_another_carrier_is_open() -> None:
    create_school()
    add_guardians(10)
    clock, pair = TestClock(), Pair()
    open_circuit(clock)
    clock.move(minutes=5)
    create(alert(category=Category.EMERGENCY), clock)

    pair.work(clock)

    assert (len(pair.normal.heard), len(pair.standby.heard)) == (0, 10)


def test_with_all_carriers_open_an_emergency_tries_after_ten_seconds() -> None:
    create_school()
    add_guardians(10)
    clock, pair = TestClock(), Pair()
    open_circuit(clock)
    open_circuit(clock, "standby")
    create(alert(category=Category.EMERGENCY), clock)

    pair.work(clock)
    [(body, delay)] = waiting_jobs("UrgentQueue")
    clock.move(seconds=delay)
    pair.work(clock, body)

    assert round(delay) == 10
    assert len(pair.normal.heard) == 10


# --- asked again ---


def test_a_deduping_carriers_open_wave_waits_for_its_carrier_and_is_asked_there_only() -> None:
    create_school()
    add_guardians(10)
    clock, pair = TestClock(), Pair(dedupe_hours=24)
    pair.normal.answer = lose
    message = create(alert(), clock)

    pair.work(clock)
    assert circuit().state is CircuitState.OPEN
    for _ in range(4):  # its pauses are longer than a wave's lease now
        pair.work(clock, *next_jobs(clock))
    asked = len(pair.normal.heard)
    pair.normal.answer = lambda _: None
    while jobs := next_jobs(clock):
        pair.work(clock, *jobs)

    assert pair.standby.heard == []
    assert len(pair.normal.heard) == asked + 10
    assert len({one.reference for one in pair.normal.heard}) == 10
    assert message_reports.get_delivery(DIRECTOR, message.id, NOON).counts == {RecipientState.SENT: 10}


def test_after_ten_minutes_the_others_of_the_page_go_on_and_the_asked_again_are_unknown() -> None:
    create_school()
    add_guardians(50)
    clock, pair = TestClock(), Pair(dedupe_hours=24)
    pair.normal.answer = lose
    message = create(alert(), clock)

    pair.work(clock)
    while jobs := next_jobs(clock):
        pair.work(clock, *jobs)

    assert clock() - NOON < timedelta(minutes=25)
    assert len(pair.standby.heard) == 30
    counts = message_reports.get_delivery(DIRECTOR, message.id, NOON).counts
    assert counts == {RecipientState.UNKNOWN: 20, RecipientState.SENT: 30}


# --- outages ---


def test_hours_without_any_carrier_lose_no_page_burn_no_job_and_everything_goes_out_after_them() -> None:
    create_school()
    add_guardians(250)
    clock, pair = TestClock(), Pair()
    pair.normal.answer = pair.standby.answer = refuse(RefusedBecause.FOR_NOW)
    message = create(alert(), clock)
    worked, longest = pair.work(clock), timedelta()

    while clock() < NOON + timedelta(hours=6):
        before = clock()
        worked += pair.work(clock, *next_jobs(clock))
        attend(clock)
        longest = max(longest, clock() - before)
    pair.normal.answer = pair.standby.answer = lambda _: None
    recovered = clock()
    while get_message(SCHOOL, message.id).state is not MessageState.SENT:
        worked += pair.work(clock, *next_jobs(clock))
        attend(clock)
        assert clock() < recovered + timedelta(minutes=30)

    assert sorted(pair.normal.numbers_heard() + pair.standby.numbers_heard()) == sorted(
        f"+5690000{place:04}" for place in range(250)
    )
    assert figures() == (750, 0, 250)
    assert longest <= timedelta(minutes=15)
    assert worked < 1000
    for queue in ("BulkQueueDead", "UrgentQueueDead"):
        assert jobs_on(queue) == []


def test_an_outage_longer_than_the_message_releases_what_nobody_took() -> None:
    create_school()
    add_guardians(150)
    clock, pair = TestClock(), Pair()
    pair.normal.answer = pair.standby.answer = refuse(RefusedBecause.FOR_NOW)
    message = create(alert(), clock)
    pair.work(clock)

    while get_message(SCHOOL, message.id).state is not MessageState.SENT:
        pair.work(clock, *next_jobs(clock))
        attend(clock)
        assert clock() < NOON + timedelta(hours=25)

    assert message_reports.get_delivery(DIRECTOR, message.id, NOON).counts == {RecipientState.EXPIRED: 150}
    assert figures() == (1000, 0, 0)


def test_pages_that_wait_for_the_same_probe_come_back_at_different_times() -> None:
    due, end = NOON + timedelta(minutes=5), NOON + timedelta(hours=24)
    found = {rules.wait_until([due], NOON, tenth / 10, is_emergency=False, give_up_at=end) for tenth in range(10)}

    assert len(found) == 10
    assert max(found) - min(found) >= timedelta(seconds=50)


# --- what is not known ---


@pytest.mark.parametrize("fails", ["add_evidence", "find_circuit", "list_evidence", "save_circuit", "list_circuits"])
def test_evidence_and_circuits_that_cannot_be_written_or_read_cost_no_outcome(
    fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_school()
    add_guardians(50)
    clock, pair, failed = TestClock(), Pair(), list[str]()
    pair.normal.answer = lose
    message = create(alert(), clock)

    def fail(*_: object, **__: object) -> None:
        failed.append(fails)
        raise ConnectionError(fails)

    monkeypatch.setattr(table, fails, fail)
    pair.work(clock)

    assert failed
    counts = message_reports.get_delivery(DIRECTOR, message.id, NOON).counts
    assert set(counts) <= {RecipientState.UNKNOWN, RecipientState.SENT}
    heard = pair.normal.numbers_heard() + pair.standby.numbers_heard()
    assert len(heard) == len(set(heard)) == sum(counts.values()) == 50
    assert counts[RecipientState.UNKNOWN] == len(pair.normal.heard)
    assert figures() == (950, 0, 50)


@pytest.mark.parametrize("fails", ["ways", "named"])
def test_a_route_or_an_account_that_cannot_be_read_between_two_waves_costs_no_outcome(fails: str) -> None:
    create_school()
    add_guardians(40)
    clock, pair = TestClock(), Pair()
    refused = iter(range(40))
    pair.normal.answer = lambda _: Refused(RefusedBecause.BLOCKED, "told so") if next(refused) < 5 else None
    create(alert(), clock)
    [job] = jobs_on("BulkQueue")
    whole, asked = pair.lines(), count(1)

    def fail_later(*arguments: str) -> Any:
        if next(asked) > 1:
            raise ConnectionError("not to be read now")
        return getattr(whole, fails)(*arguments)

    failing = replace(whole, ways=fail_later) if fails == "ways" else replace(whole, named=fail_later)
    with pytest.raises(ConnectionError):
        dispatch.work_page(dispatch.read_job(job), worker(pair.normal, clock, lines=failing))
    clock.move(minutes=9)  # the queue shows the same job again
    pair.work(clock, job)

    heard = pair.normal.numbers_heard() + pair.standby.numbers_heard()
    assert len(heard) == len(set(heard)) == 35
    assert figures() == (965, 0, 35)


def test_an_emergency_looks_again_soon_while_somebody_else_tries_the_only_carrier() -> None:
    create_school()
    add_guardians(10)
    clock, carrier = TestClock(), FakeCarrier()
    open_circuit(clock)
    clock.move(seconds=11)
    create(alert(category=Category.EMERGENCY), clock)
    assert circuits.save(rules.probing(circuit(), "other", clock()), was=circuit(), now=clock())
    circuits.forget()

    [job] = jobs_on("UrgentQueue")
    dispatch.work_page(dispatch.read_job(job), worker(carrier, clock))
    [(_, delay)] = waiting_jobs("UrgentQueue")

    assert delay <= 15


def test_late_evidence_of_before_an_opening_does_not_open_a_circuit_that_closed_again() -> None:
    create_school()
    add_guardians(40)
    clock, pair = TestClock(), Pair()
    late = circuits.Tally(is_watched=True)
    late.add("fake", "CL", 0, Evidence(unknown=40, waves=2), clock())
    open_circuit(clock)
    clock.move(seconds=31)
    create(alert(), clock)
    pair.work(clock)
    assert circuit().state is CircuitState.CLOSED

    late.write(clock())

    assert circuit().state is CircuitState.CLOSED


def test_a_healthy_page_costs_one_write_of_evidence() -> None:
    create_school()
    add_guardians(100)
    clock, pair = TestClock(), Pair()
    create(alert(), clock)

    with faults("UpdateItem") as updates:
        pair.work(clock)

    rows = [row for row in all_tables()["RoutesTable"] if row["pk"]["S"].startswith("EVIDENCE#")]
    assert [(row["accepted"]["N"], row["waves"]["N"]) for row in rows] == [("100", "5")]
    assert len(updates) <= 8


# --- routes ---


def test_without_a_route_a_text_goes_over_the_stacks_carrier_from_the_schools_own_code() -> None:
    found = lines.lines_for(PageRef(PageKind.MESSAGE, SCHOOL, "m", "p", 0), 1, TestClock())

    assert found.ways("CL", "meeting", "20600") == (Way("signed_webhook", "20600"),)


def test_the_country_counts_before_the_category_and_each_carrier_has_its_own_sender() -> None:
    create_school()
    clock = TestClock()
    assert short_codes.create_code(ShortCode("CL", "20600", "sns", Purpose.SCHOOLS, SCHOOL, CodeState.FREE))
    ways = [Way("signed_webhook", "20699"), Way("sns")]
    carrier_routes.set_route(STAFF, "CL", ANY, ways, NOON)
    carrier_routes.set_route(STAFF, ANY, "meeting", [Way("twilio")], NOON)
    carrier_routes.set_route(STAFF, "CL", "emergency", [Way("sns"), Way("vonage")], NOON)
    found = lines.lines_for(PageRef(PageKind.MESSAGE, SCHOOL, "m", "p", 0), 1, clock).ways

    assert found("CL", "meeting", "20600") == (Way("signed_webhook", "20699"), Way("sns", "20600"))
    assert found("CL", "emergency", "") == (Way("sns"), Way("vonage"))
    assert found("ES", "meeting", "20600") == (Way("twilio"),)
    assert found("ES", "notice", "20600") == (Way("signed_webhook", "20600"),)


def test_a_changed_route_is_in_force_within_seconds() -> None:
    clock = TestClock()
    found = lines.lines_for(PageRef(PageKind.MESSAGE, SCHOOL, "m", "p", 0), 1, clock).ways
    assert found("CL", "meeting", "") == (Way("signed_webhook"),)

    carrier_routes.set_route(STAFF, "CL", ANY, [Way("sns")], clock())
    clock.move(seconds=6)

    assert found("CL", "meeting", "") == (Way("sns"),)


def test_what_is_held_by_hand_takes_no_text_and_who_stands_by_does() -> None:
    create_school()
    add_guardians(5)
    clock, pair = TestClock(), Pair()
    was = circuit(country=ANY)
    assert circuits.save(rules.held(was, "soporte", "mantenimiento", NOON), was=was, now=NOON)
    create(alert(), clock)

    pair.work(clock)

    assert (len(pair.normal.heard), len(pair.standby.heard)) == (0, 5)


def test_sandboxes_pages_and_those_of_sessions_have_one_line_each() -> None:
    clock = TestClock()
    sandbox = lines.lines_for(PageRef(PageKind.MESSAGE, sandbox_of(SCHOOL), "m", "p", 0), 1, clock)
    session = lines.lines_for(PageRef(PageKind.SESSION, "web", "x", "1", 0), 1, clock)
    carrier_routes.set_route(STAFF, ANY, ANY, [Way("sns")], clock())

    assert session.ways("DO", "", "") == (Way("signed_webhook"),)
    assert session.is_watched
    assert sandbox.ways("CL", "", "") == (Way(carriers.SIMULATED),)
    assert not sandbox.is_watched


# --- a few texts: no circuit opens for them in time ---


def seconds_until_out(pair: Pair, clock: TestClock, texts: int, *, jobs_max: int = 40) -> float:
    """How long until this many texts were taken by anybody, with every job worked when it is due."""
    began = clock()
    for _ in range(jobs_max):
        pair.work(clock, *next_jobs(clock))
        if len(pair.normal.heard) + len(pair.standby.heard) >= texts:
            return (clock() - began).total_seconds()
    raise AssertionError("not out")


@pytest.mark.parametrize("because", [RefusedBecause.FOR_NOW, RefusedBecause.ROUTE])
def test_a_small_emergency_that_the_first_carrier_does_not_take_goes_over_the_next_at_once(
    because: RefusedBecause,
) -> None:
    create_school()
    add_guardians(3)
    clock, pair = TestClock(), Pair()
    pair.normal.answer = refuse(because)
    create(alert(category=Category.EMERGENCY), clock)

    assert seconds_until_out(pair, clock, 3) == 0, "seconds"
    assert circuit().state is CircuitState.CLOSED
    assert figures() == (997, 0, 3)


def test_of_an_emergency_a_busy_carrier_keeps_what_it_takes_and_only_the_rest_is_passed_on() -> None:
    create_school()
    add_guardians(60)
    clock, pair, turns = TestClock(), Pair(), count()
    pair.normal.answer = lambda _: Refused(RefusedBecause.FOR_NOW, "429") if next(turns) % 5 == 0 else None
    create(alert(category=Category.EMERGENCY), clock)

    pair.work(clock)

    assert (len(pair.normal.heard), len(pair.standby.heard)) == (48, 12)
    assert circuit().state is CircuitState.CLOSED
    assert figures() == (940, 0, 60)


def test_a_carrier_that_is_down_is_asked_once_a_job_for_an_emergencys_page() -> None:
    create_school()
    add_guardians(60)
    clock, pair, asked = TestClock(), Pair(), list[str]()
    pair.normal.answer = note(asked)
    create(alert(category=Category.EMERGENCY), clock)

    pair.work(clock)

    assert len(asked) == 20  # one wave of the three
    assert len(pair.standby.heard) == 60


def test_an_emergency_that_nobody_takes_asks_both_again_after_the_short_pause() -> None:
    create_school()
    add_guardians(3)
    clock, pair = TestClock(), Pair()
    asked: list[str] = []
    pair.normal.answer = note(asked, "normal")
    pair.standby.answer = note(asked, "standby")
    create(alert(category=Category.EMERGENCY), clock)
    pair.work(clock)

    ((_, delay),) = jobs = waiting_jobs("UrgentQueue")
    clock.move(seconds=delay)
    pair.standby.answer = lambda _: None
    pair.work(clock, jobs[0][0])

    assert delay == pytest.approx(5, abs=0.1)
    assert asked == ["normal"] * 3 + ["standby"] * 3 + ["normal"] * 3
    assert len(pair.standby.heard) == 3
    assert figures() == (997, 0, 3)


def test_an_emergency_that_the_open_carrier_does_not_take_tries_the_one_that_was_left() -> None:
    create_school()
    add_guardians(3)
    clock, pair = TestClock(), Pair()
    open_circuit(clock)
    pair.standby.answer = refuse(RefusedBecause.FOR_NOW)
    clock.move(seconds=11)  # an emergency's pause is over, the circuit's own is not
    create(alert(category=Category.EMERGENCY), clock)

    pair.work(clock)

    assert len(pair.normal.heard) == 3
    assert circuit().state is CircuitState.HALF_OPEN


def test_what_may_have_been_taken_keeps_all_of_its_wave_at_a_carrier_that_dedupes() -> None:
    create_school()
    add_guardians(4)
    clock, pair, turns = TestClock(), Pair(dedupe_hours=24), count()
    pair.normal.answer = lambda _: Unknown("ReadTimeout") if next(turns) % 2 else Refused(RefusedBecause.FOR_NOW, "429")
    create(alert(category=Category.EMERGENCY), clock)
    pair.work(clock)
    assert not pair.standby.heard

    pair.normal.answer = lambda _: None
    pair.work(clock, *next_jobs(clock))

    heard = [text.reference for text in pair.normal.heard]
    assert len(set(heard)) == 4
    assert not pair.standby.heard
    assert figures() == (996, 0, 4)


def test_an_ordinary_text_waits_for_a_busy_carrier_but_not_until_it_expires() -> None:
    create_school()
    add_guardians(40)
    clock, pair = TestClock(), Pair()
    stubborn = "+56900000003"
    pair.normal.answer = lambda text: Refused(RefusedBecause.FOR_NOW, "later") if text.to == stubborn else None
    message = create(alert(), clock)

    took = seconds_until_out(pair, clock, 40)

    assert pair.standby.numbers_heard() == [stubborn]
    assert took == pytest.approx(635, abs=1)  # 5 + 10 + … + 320 s
    assert circuit().state is CircuitState.CLOSED
    assert message_reports.get_delivery(DIRECTOR, message.id, clock()).counts == {RecipientState.SENT: 40}


def test_a_worker_that_dies_between_two_carriers_leaves_an_emergency_to_the_next_job() -> None:
    create_school()
    add_guardians(3)
    clock, pair, asked = TestClock(), Pair(), list[str]()
    pair.normal.answer = note(asked)

    def die() -> None:
        raise Killed

    pair.standby.before = die
    create(alert(category=Category.EMERGENCY), clock)
    (job,) = jobs_on("UrgentQueue")
    with pytest.raises(Killed):
        pair.work(clock, job)
    pair.standby.before = lambda: None

    clock.move(seconds=40)
    pair.work(clock, job)

    assert len(set(pair.standby.numbers_heard())) == len(pair.standby.heard) == 3
    assert len(asked) == 6  # once by each worker
    assert figures() == (997, 0, 3)
