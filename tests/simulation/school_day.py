"""A simulated day of a school or two: directors, families, workers, a clock, and everything that goes wrong.

One seed makes one day, always the same. Everybody runs recado's own code; the watches say when something broke.
"""

import heapq
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError

from recado import (
    access,
    attention,
    background_plans,
    circuits,
    directory,
    dispatch,
    estimates,
    idempotency,
    ids,
    log,
    messages,
    page_jobs,
    plan_work,
    planning,
    receipts,
    recipient_events,
    routing,
    scheduling,
    schools,
)
from recado.access import Caller
from recado.drafts import NewMessage
from recado.errors import (
    ContractSuspended,
    IdempotencyKeyReused,
    NobodyToReach,
    NotEnoughCredits,
    RecadoError,
    StillRunning,
)
from recado.rules import circuits as circuit_rules
from recado.rules.credit_bags import Zone
from recado.rules.message_states import Category
from recado.rules.roles import Role
from recado.settings import SETTINGS
from recado.tables import messages as message_table
from recado.tables import opt_outs, pages, short_codes
from recado.tables.base import Transaction
from recado.tables.opt_outs import Note
from recado.tables.schools import Contract
from recado.tables.short_codes import Purpose, ShortCode
from tests import worlds
from tests.simulation.baton import Actor, End, Killed
from tests.simulation.circuit_watch import CircuitWatch
from tests.simulation.event_watch import EventWatch
from tests.simulation.facts import Asked, Facts, Person, Purchase, Span, Switching, Violation, Wording
from tests.simulation.memory_dynamodb import Key, key_of
from tests.simulation.money_watch import MoneyWatch
from tests.simulation.page_watch import PageWatch
from tests.simulation.simulated_carrier import SimulatedCarrier
from tests.simulation.standby_watch import StandbyWatch
from tests.simulation.wires import SQS, Aws

SENDER = "20600"
OPERATOR = Caller("platform", Role.OPERATOR, "soporte")
MASTER_SECRET = b"master-secret-for-simulated-days"
WORKER_LIFE = timedelta(seconds=90)  # template.yaml: Dispatch.Timeout
PLANNER_LIFE = timedelta(seconds=300)  # template.yaml: Plan.Timeout
PLANNER_VISIBILITY = timedelta(seconds=1800)
TELLER_VISIBILITY = timedelta(seconds=360)
CALL_LIFE = timedelta(seconds=6)  # one attempt of the SDK: connecting and reading
REQUEST_LIFE = timedelta(seconds=29)
RUN_LIFE = timedelta(seconds=55)
VISIBILITY = timedelta(seconds=540)
RECEIVES_MAX = 5
TAKEN_UP_WITHIN = timedelta(minutes=3)  # invariant 8
LONGEST_PAUSE = timedelta(seconds=900)
SUSPENDED_PAUSE = timedelta(minutes=15)
STEPS_MAX = 6000
ATTEMPTS_MAX = 3  # of the SDK
UNFINISHED = ("planning", "scheduled", "sending", "stopping")
SHARDS = 2  # of the attention index: 16 queries a simulated minute would be most of the work


@dataclass(frozen=True)
class Weather:
    """How much goes wrong: chances per call, job or text."""

    lost: float
    answer_lost: float
    conflict: float  # of two transactions
    crash: float
    pause: float
    freeze: float
    duplicate: float
    job_lost: float
    trouble: float  # of the carrier
    ambush: float  # that somebody comes in between, just while a worker waits for its answer


CALM = Weather(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
WEATHERS = (
    Weather(0, 0, 0.1, 0, 0.5, 0.02, 0.3, 0, 0.1, 0.15),  # nothing breaks, but everything overlaps
    Weather(0.06, 0.08, 0.1, 0, 0.2, 0.02, 0.1, 0.1, 0.2, 0.05),  # the network
    Weather(0, 0, 0, 0.04, 0.25, 0.05, 0.2, 0.5, 0.2, 0.05),  # workers die
    Weather(0.03, 0.05, 0.05, 0.03, 0.3, 0.05, 0.2, 0.3, 0.4, 0.05),
    Weather(0.06, 0.1, 0.2, 0.06, 0.2, 0.02, 0.1, 0.5, 0.3, 0.03),
    Weather(0, 0, 0, 0.01, 0.1, 0.01, 0.1, 0, 0.8, 0.05),  # a bad day of the carrier's
)


class Run(Actor):
    """An actor with what AWS would know of it: when it started and how long it may last."""

    def __init__(self, name: str, began: int, work: Callable[[], Any], now: datetime, life: timedelta) -> None:
        super().__init__(name, began, work)
        self.started = now
        self.life = life
        self.outlives = False  # a frozen worker that comes back after its time
        self.is_hasty = False  # goes through without a pause
        self.skew = timedelta()
        self.carriers: tuple[str, ...] = ()
        self.speaking_until: datetime | None = None
        self.carrier = ""
        self.last_call: tuple[str, Mapping[str, Any]] | None = None
        self.last_look = 0  # the step of its last call that is not about the Idempotency-Key
        self.failing = ""  # how this call fails, as long as `fails_left`
        self.fails_left = 0


@dataclass
class Job:
    queue: str
    body: str
    receives: int = 0
    is_lost: bool = False


class SchoolDay:
    """Use `play`. `trace` is what happened, line by line."""

    def __init__(self, seed: int, aws: Aws) -> None:
        self.random = Random(seed)  # noqa: S311  # one seed, one day
        self.aws = aws
        self.now = worlds.NOON
        self.step = 0
        self.trace: list[str] = []
        self.violation: BaseException | None = None
        self.facts = Facts()
        self.weather = self.random.choice(WEATHERS)
        self.current: Run | None = None
        self._runs: list[Run] = []
        self._ends: dict[Run, Callable[[Run], None]] = {}
        self._due: list[tuple[datetime, int, Callable[[], None]]] = []
        self._numbers = count(1)
        self._jobs: list[Job] = []
        self._wishes = 0
        self._ambushes = 6
        self.wave_size = self.random.randint(1, 3)
        self.page_size = self.random.randint(1, 4)
        self.is_large = self.is_on(0.4)  # audiences are planned in the background
        self.audience_max = self.random.randint(1, 4) if self.is_large else SETTINGS.audience_max
        self.chunk = self.random.randint(1, 3)
        self.noted_after = self.random.choice((timedelta(), timedelta(seconds=5)))
        self.is_following = self.is_on(0.7)  # the portals want to hear of each recipient
        self.jobs_at_once = self.random.choice((1, 2, 500))
        self.pace = self.random.choice((None, None, None, 0.05, 0.5, 5))  # parts a second of the schools' one sender
        dedupe_hours = self.random.choice((0, 0, 24))
        self.carrier = SimulatedCarrier(self, dedupe_hours)
        self.pages = PageWatch(
            aws,
            self.facts,
            SETTINGS.messages_table,
            SETTINGS.people_table,
            self.carrier.dedupe_of,
            lambda: self.now,
            lambda: self.step,
        )
        # A day has a handful of texts: circuits open on fewer than in life.
        self.answers_min, self.waves_min = self.random.choice(((1, 1), (2, 1), (4, 2), (10, 4)))
        self.circuits = CircuitWatch(aws, SETTINGS.routes_table, lambda: self.now, self.answers_min, self.waves_min)
        self.standby = StandbyWatch(aws, SETTINGS.routes_table, self.pages, lambda: self.now)
        self.money = MoneyWatch(
            aws, self.facts, SETTINGS.ledger_table, self.pages.price_of_plan, self.pages.price_of_outcomes
        )
        self.events = EventWatch(aws, SETTINGS.messages_table, self.money)

    # --- the day ----------------------------------------------------------------------------------------------

    def play(self) -> None:
        """Raises Violation. Afterwards nothing of the day goes on."""
        try:
            with self._in_recado():
                circuits.forget()
                routing.forget()
                self._build()
                self.aws.gate = self
                self._plan_the_day()
                self._live_until_nothing_is_planned()
                self._come_to_rest()
                self._check_end()
        finally:
            self.aws.gate = None
            for run in self._runs:
                run.kill()

    @contextmanager
    def _in_recado(self) -> Iterator[None]:
        """Small waves and pages, ids that follow from the seed, and the log in the trace."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dispatch, "SETTINGS", replace(SETTINGS, wave_size=self.wave_size))
            patch.setattr(pages, "PAGE_SIZE", self.page_size)
            for module in (planning, background_plans, scheduling):
                patch.setattr(module, "SETTINGS", replace(SETTINGS, audience_max=self.audience_max))
            patch.setattr(planning, "CHUNK", self.chunk)
            patch.setattr(plan_work, "NOTED_AFTER", self.noted_after)
            patch.setattr(page_jobs, "JOBS_AT_ONCE_MAX", self.jobs_at_once)
            patch.setattr(page_jobs, "NOTE_EVERY", self.jobs_at_once)
            patch.setattr(attention, "ATTENTION_SHARDS", SHARDS)
            patch.setattr(message_table, "ATTENTION_SHARDS", SHARDS)
            patch.setattr(recipient_events, "is_wanted", lambda _: self.is_following)
            patch.setattr(circuit_rules, "ANSWERS_MIN", self.answers_min)
            patch.setattr(circuit_rules, "WAVES_WITHOUT_GOOD_MAX", self.waves_min)
            patch.setattr(ids, "new_id", lambda _=16: f"i{next(self._numbers)}")
            patch.setattr(access, "_masters", {"read": (float("inf"), {1: MASTER_SECRET})})
            patch.setattr(time, "sleep", lambda _: None)  # pauses between attempts
            patch.setattr(log, "outcome", self._log)
            patch.setattr(log, "trouble", lambda name, error=None, **facts: self._log(name, error=repr(error), **facts))
            yield

    def _log(self, name: str, **facts: Any) -> None:
        self.note(f"{name} {facts}")

    def note(self, what: str) -> None:
        who = self.current.name if self.current else "-"
        self.trace.append(f"{self.now:%d %H:%M:%S.%f} {self.step:5} {who}: {what}")

    def is_on(self, chance: float) -> bool:
        return chance > 0 and self.random.random() < chance

    def seconds(self, least: float, most: float) -> timedelta:
        return timedelta(seconds=self.random.uniform(least, most))

    # --- the gate every AWS call passes -----------------------------------------------------------------------

    def before(self, operation: str, asked: Mapping[str, Any]) -> None:
        run = self._count_step()
        if run is None:
            return
        if run.last_call != (operation, asked):
            run.last_call, run.fails_left = (operation, asked), 0
        if not _is_about_keys(operation, asked):
            run.last_look = self.step
        self.advance(self.seconds(0.002, 0.03))
        is_copying = _is_copying(operation, asked)
        if is_copying:
            run.speaking_until = self.now + CALL_LIFE  # the SDK gives up by then
        self.breathe(run, f"before {operation}")
        if self._is_failing(run, self.weather.lost, "lost"):
            self.note(f"{operation} lost")
            run.speaking_until = None if is_copying else run.speaking_until
            raise ConnectTimeoutError(endpoint_url="simulated")
        if operation == "TransactWriteItems" and self.is_on(self.weather.conflict):
            self.note(f"{operation} meets another")
            raise _conflict(len(asked["TransactItems"]))

    def after(self, operation: str, asked: Mapping[str, Any]) -> None:
        run = self._count_step()
        self._watch(operation, asked, run)
        if run is None:
            return
        self.note(f"{operation} {_short(operation, asked)}")
        self.breathe(run, f"after {operation}")
        if _is_copying(operation, asked):
            run.speaking_until = None
        if self._is_failing(run, self.weather.answer_lost, "answer lost"):
            self.note(f"{operation} answer lost")
            raise ReadTimeoutError(endpoint_url="simulated")

    def _is_failing(self, run: Run, chance: float, how: str) -> bool:
        """Once begun, a failure lasts for some attempts: for one, that the SDK overcomes, or for all it makes."""
        if not run.fails_left and self.is_on(chance):
            run.failing, run.fails_left = how, self.random.choice((1, 1, 2, ATTEMPTS_MAX, ATTEMPTS_MAX))
        if not run.fails_left or run.failing != how:
            return False
        run.fails_left -= 1
        return True

    def _count_step(self) -> Run | None:
        self.step += 1
        return self.current

    def _watch(self, operation: str, asked: Mapping[str, Any], run: Run | None) -> None:
        """Every write is looked at, by the rows it leaves."""
        if operation == SQS:
            for entry in asked["Entries"]:
                job = Job(asked["QueueUrl"], entry["MessageBody"])
                self._put_job(job, timedelta(seconds=int(entry["DelaySeconds"])))
            return
        written = _keys_written(operation, asked)
        try:
            if run is not None:
                self.pages.saw(written.get(SETTINGS.messages_table, []), run)
                self.pages.saw_copies(written.get(SETTINGS.people_table, []), run)
            self.money.saw(written.get(SETTINGS.ledger_table, []))
            self.events.saw(written.get(SETTINGS.messages_table, []))
            self.circuits.saw(written.get(SETTINGS.routes_table, []))
            self.standby.saw(written.get(SETTINGS.routes_table, []))
        except Violation as violation:
            self.violation = self.violation or violation
            raise Killed from violation

    def breathe(self, run: Run, where: str) -> None:
        """Here somebody else may run, or this worker may die."""
        if self.is_on(self.weather.crash / 2):
            self.note(f"dies {where}")
            raise Killed
        if not run.is_hasty and self.is_on(self.weather.pause):
            run.pause()

    # --- time, and who runs -----------------------------------------------------------------------------------

    def advance(self, by: timedelta) -> None:
        """Time passes, but never past the timeout of somebody who is speaking to the carrier."""
        limits = [run.speaking_until for run in self._runs if run.speaking_until is not None]
        self.now = max(self.now, min([self.now + by, *limits]))

    def clock_of(self, run: Run) -> Callable[[], datetime]:
        """Clocks of two workers differ, by less than a second."""
        return lambda: self.now + run.skew

    def at(self, moment: datetime, act: Callable[[], None]) -> None:
        heapq.heappush(self._due, (moment, next(self._numbers), act))

    def after_a_while(self, least: float, most: float, act: Callable[[], None]) -> None:
        self.at(self.now + self.seconds(least, most), act)

    def wish(self, moment: datetime, act: Callable[[], None]) -> None:
        """What a person will do: the day does not end before they have."""

        def fulfil() -> None:
            self._wishes -= 1
            act()

        self._wishes += 1
        self.at(moment, fulfil)

    def wish_soon(self, least: float, most: float, act: Callable[[], None]) -> None:
        self.wish(self.now + self.seconds(least, most), act)

    def start(
        self, name: str, life: timedelta, work: Callable[[Run], Any], on_end: Callable[[Run], None] = lambda _: None
    ) -> Run:
        """Somebody begins; they run when their turn comes."""
        self.step += 1
        run = Run(f"{name}.{next(self._numbers)}", self.step, lambda: work(run), self.now, life)
        run.outlives = self.weather is not CALM and self.is_on(0.25)
        run.skew = timedelta(seconds=self.random.uniform(-0.45, 0.45)) if self.weather is not CALM else timedelta()
        self._runs.append(run)
        self._ends[run] = on_end
        return run

    def _take_turn(self, run: Run) -> None:
        is_over = self.now > run.started + run.life and not run.outlives
        self.current = run
        if is_over:
            run.kill()
        elif run.end is None:
            run.resume()
        self.current = None
        if self.violation is not None:
            raise self.violation
        if run.end is not None:
            self._runs.remove(run)
            self.step += 1
            self.note(f"{run.name} ends: {run.end}{f', {run.where()}' if run.end is End.FAILED else ''}")
            self._ends.pop(run)(run)

    def _live_one_step(self) -> None:
        if self.step > 10 * STEPS_MAX:
            raise Violation("the day does not end")
        hurried = [run for run in self._runs if run.speaking_until is not None and run.speaking_until <= self.now]
        if hurried:
            self._take_turn(self.random.choice(hurried))
            return
        is_something_due = bool(self._due) and self._due[0][0] <= self.now
        if self._runs and not (is_something_due and self.is_on(0.5)):
            if self.is_on(self.weather.freeze):
                self.advance(self.seconds(1, 45))
            run = self.random.choice(self._runs)
            if self._ambushes and run.last_look and self.is_on(self.weather.ambush):
                self._ambushes -= 1
                self._come_in_between(run)
            self._take_turn(run)
        elif is_something_due:
            heapq.heappop(self._due)[2]()
        else:
            self.advance(max(self._due[0][0] - self.now, timedelta()))

    def _live_until_nothing_is_planned(self) -> None:
        end = self.now + self.seconds(20, 300)
        while self.now < end and self.step < STEPS_MAX:
            self._live_one_step()

    # --- jobs -------------------------------------------------------------------------------------------------

    def _put_job(self, job: Job, delay: timedelta) -> None:
        self._jobs.append(job)
        late = self.seconds(0, 90) if self.is_on(self.weather.duplicate) else timedelta()
        self.at(self.now + delay + late, lambda: self._deliver(job))

    def _deliver(self, job: Job) -> None:
        if job.is_lost:
            return
        if self.is_on(self.weather.duplicate):
            self.after_a_while(0, self.random.choice((0, 0, 1, 40)), lambda: self._deliver(job))
        job.receives += 1
        if job.queue == SETTINGS.portal_events_queue_url:
            self._deliver_told(job)
        elif job.queue == SETTINGS.receipts_queue_url:  # put back, for its lookup row
            self.take_receipt(json.loads(job.body))
        elif job.queue == SETTINGS.plans_queue_url:
            for _ in range(2 if self.is_on(self.weather.duplicate) else 1):  # two at the same moment
                self._deliver_plan(job)
        else:
            self._deliver_page(job)

    def _deliver_page(self, job: Job) -> None:
        started = self.now

        def work(run: Run) -> None:
            worker = dispatch.Worker(
                owner=run.name.replace(".", "-"),
                clock=self.clock_of(run),
                time_left=lambda: started + WORKER_LIFE - self.now,
                jitter=self.random.random,
                lines=self.carrier.lines(run),
            )
            dispatch.work_page(dispatch.read_job(job.body), worker)

        def on_end(run: Run) -> None:
            if run.end is End.DONE:
                self.pages.check_done(run)
                owner = run.name.replace(".", "-")
                self.standby.check_done(run, owner, run.carriers, started + WORKER_LIFE - self.now)
            elif job.receives < RECEIVES_MAX and not self.is_on(self.weather.job_lost):
                self.at(max(self.now, started + VISIBILITY), lambda: self._deliver(job))

        self.start("worker", WORKER_LIFE, work, on_end)

    def _deliver_plan(self, job: Job) -> None:
        started = self.now
        # Some have little time, and hand on what they have not done.
        until = started + (PLANNER_LIFE if self.is_on(0.6) else plan_work.TIME_NEEDED + self.seconds(0.01, 0.3))

        def work(run: Run) -> None:
            worker = plan_work.Worker(
                owner=run.name.replace(".", "-"), clock=self.clock_of(run), time_left=lambda: until - self.now
            )
            plan_work.work(plan_work.read_job(job.body), worker)

        def on_end(run: Run) -> None:
            is_to_come = run.end is not End.DONE and job.receives < RECEIVES_MAX
            if is_to_come and not self.is_on(self.weather.job_lost):
                self.at(max(self.now, started + PLANNER_VISIBILITY), lambda: self._deliver(job))

        self.start("planner", PLANNER_LIFE, work, on_end)

    def _deliver_told(self, job: Job) -> None:
        """To one who tells, to two at the same moment, or to nobody, as if every delivery of it had failed."""
        started, asked = self.now, recipient_events.read_job(json.loads(job.body))
        if self.is_on(self.weather.job_lost):
            return

        def on_end(run: Run) -> None:
            if run.end is not End.DONE and job.receives < RECEIVES_MAX and not self.is_on(self.weather.job_lost):
                self.at(max(self.now, started + TELLER_VISIBILITY), lambda: self._deliver(job))

        for _ in range(2 if self.is_on(self.weather.duplicate) else 1):
            self.start("teller", WORKER_LIFE, lambda run: recipient_events.tell(asked, self.clock_of(run)()), on_end)

    def _tick(self) -> None:
        """The clock of the cloud: each minute, more or less."""
        self.after_a_while(57, 63, self._tick)
        started = self.now

        def work(run: Run) -> int:
            return attention.run(self.clock_of(run), lambda: started + RUN_LIFE - self.now)

        self.start("attention", RUN_LIFE, work)

    # --- what a school and its families do --------------------------------------------------------------------

    def _build(self) -> None:
        self.schools = ["los-aromos", *(["el-pinar"] if self.is_on(0.3) else [])]
        numbers = [worlds.mobile(place) for place in range(1, 10)] + ["+18095550142", "+12125550123"]
        for school in self.schools:
            domestic = self.random.choice((self.random.randint(2, 8), self.random.randint(2, 40)))
            international = self.random.choice((None, None, self.random.randint(0, 6)))
            worlds.create_school(school, domestic=domestic, international=international)
            sold = [("domestic", domestic), ("international", international or 0)]
            self.facts.purchases[school] = [Purchase(zone, bought, Span(0, 0)) for zone, bought in sold if bought]
            for place in range(self.random.randint(2, 8)):
                number = self.random.choice(numbers) if not self.is_on(0.08) else None
                person = worlds.add_guardian(place, number=number, school_id=school)
                self.facts.people[school, person] = (_person(person, school, number, place), Span(0, 0))
                if number is not None and self.is_on(0.1):
                    cause = self.random.choice(("reply", f"person#{person}"))
                    worlds.opt_out(number, cause, at=worlds.NOON + timedelta(microseconds=place), school_id=school)
                    self.facts.switchings.append(Switching(school, number, cause, is_out=True, span=Span(0, 0)))
            ledger = self.aws.rows(SETTINGS.ledger_table)
            self.money.saw([key for key in ledger if key[0].startswith(f"S#{school}#")])
        self.carrier.choose_handsets(numbers)
        sender = ShortCode("CL", SENDER, SETTINGS.carrier, Purpose.SCHOOLS, parts_per_second=self.pace)
        assert short_codes.create_code(sender)

    def _plan_the_day(self) -> None:
        self.after_a_while(0, 60, self._tick)
        is_rush = self.is_on(0.25)  # several directors at the same moment, and credits for one of them
        for place in range(3 if is_rush else self.random.randint(1, 3)):
            self._plan_message(place, self.now + self.seconds(0, 1 if is_rush else 90))
        acts: tuple[tuple[float, Callable[[], None]], ...] = (
            (2.0, self._opt_out),
            (0.8, self._buy),
            (0.5, self._suspend),
            (0.6, self._enrol),
            (0.5, self._jump),
            (0.5, self.carrier.be_another),
        )
        for mean, act in acts:
            for _ in range(self.random.choice((0, int(mean), round(2 * mean)))):
                self.wish_soon(0, 240, act)
        for _ in range(self.random.choice((0, 1, 1, 3))):
            self.wish_soon(0, self.random.choice((5, 120)), self.carrier.fall_ill)
        if self.is_on(0.25):
            self.carrier.begin_ill()

    def _plan_message(self, place: int, when: datetime) -> None:
        school = self.random.choice(self.schools)
        asked = Asked(school=school, key=f"aviso-{place}", is_emergency=self.is_on(0.35), wordings=[])
        self._word(asked)
        if self.is_on(0.35):
            asked.times.append((when + self.seconds(20, 400)).replace(microsecond=0))
        is_draft = self.is_on(0.25)
        for _ in range(self.random.choice((1, 1, 2, 3))):
            self.wish(when, lambda: self._press(asked, is_draft=is_draft, tries=4))
            when += self.seconds(0, 2) if self.is_on(0.6) else self.seconds(2, 50)
        if self.is_on(0.35):
            act = self.random.choice((self._stop, self._stop, self._cancel))
            for _ in range(self.random.choice((1, 2))):
                self.wish(when + self.seconds(0, 400 if asked.times else 60), lambda: act(asked))
        if self.is_on(0.5 if asked.times or is_draft else 0.1):
            for _ in range(self.random.choice((1, 2, 3))):
                self._plan_change(asked, when + self.seconds(0, 300 if asked.times else 10))

    def _plan_change(self, asked: Asked, when: datetime) -> None:
        act = self.random.choice((self._edit, self._reschedule, self._hurry))
        self.wish(when, lambda: act(asked))

    def _word(self, asked: Asked) -> Wording:
        """Something new to say, perhaps to others and by other ways."""
        people = sorted(person for own, person in self.facts.people if own == asked.school)
        head = f"Aviso {asked.key[-1]}.{len(asked.wordings)}: "
        rest = ("no hay clases.", "no hay clases.", "á" * 71, "{apoderado}, " + "x" * 128)  # the last: 1 part or 2
        wording = Wording(
            text=head + self.random.choice(rest),
            people=frozenset(self.random.sample(people, self.random.randint(1, len(people))))
            if self.is_on(0.2)
            else None,
            channels=self.random.choice((("sms",), ("sms",), ("sms",), ("sms", "inbox"), ("inbox",))),
            for_unreachable=self.is_on(0.2),
        )
        asked.wordings.append(wording)
        self.facts.wordings[wording.text], self.facts.asked[wording.text] = wording, asked
        return wording

    def _new(self, asked: Asked, wording: Wording, *, send: bool) -> NewMessage:
        who = {"who": ["guardians"], "groups": [worlds.COURSE]}
        return NewMessage(
            text=wording.text,
            category=Category.EMERGENCY if asked.is_emergency else Category.CLASSES_CANCELLED,
            audience=who if wording.people is None else {"people": sorted(wording.people)},
            channels=wording.channels,
            notice_confirmed=False,
            send=send,
            send_at=asked.times[0] if send and asked.times else None,
            inbox_for_unreachable=wording.for_unreachable,
        )

    def _press(self, asked: Asked, *, is_draft: bool, tries: int) -> None:
        """A director presses the button: the same key each time."""
        asked.first_pressed_at = asked.first_pressed_at or self.now
        caller = Caller(asked.school, Role.DIRECTOR, "directora")
        new = self._new(asked, asked.wordings[0], send=not is_draft)

        def work(run: Run) -> dict[str, Any]:
            now = self.clock_of(run)()

            def make(is_first: bool) -> dict[str, Any]:
                message = messages.create(caller, new, asked.key, now, key_is_first=is_first)
                return {"id": message.id, "state": message.state.value}

            return idempotency.once(asked.school, asked.key, [asked.key], now, make)

        def on_end(run: Run) -> None:
            if run.end is End.DONE:
                if is_draft and self.is_on(0.5):
                    self._estimate(asked, run.result["id"], tries)
                elif is_draft:
                    self._send_draft(asked, run.result["id"], tries)
                else:
                    asked.on_its_way = True
                return
            self._perhaps_again(asked, run, tries, lambda: self._press(asked, is_draft=is_draft, tries=tries - 1))

        self.start(f"press {asked.key}", REQUEST_LIFE, work, on_end)

    def _estimate(self, asked: Asked, message_id: str, tries: int) -> None:
        """Somebody looks what it would cost, and sends it a while later, made or not."""
        caller = Caller(asked.school, Role.DIRECTOR, "directora")

        def work(run: Run) -> Any:
            now = self.clock_of(run)()
            return estimates.estimate_of(caller, message_id, now, state=None, limit=10, cursor=0)

        def on_end(run: Run) -> None:
            again = self.is_on(0.5) and tries > 1
            act = self._estimate if again else self._send_draft
            self.wish_soon(0, 20, lambda: act(asked, message_id, tries - again))

        self.start(f"estimate {asked.key}", REQUEST_LIFE, work, on_end)

    def _send_draft(self, asked: Asked, message_id: str, tries: int) -> None:
        caller = Caller(asked.school, Role.DIRECTOR, "directora")
        send_at = asked.times[0] if asked.times else None
        if send_at is None:
            asked.hurried_at = asked.hurried_at or self.now

        def work(run: Run) -> Any:
            return messages.send(caller, message_id, send_at, self.clock_of(run)())

        def on_end(run: Run) -> None:
            if run.end is End.DONE:
                asked.on_its_way = True
                return
            self._perhaps_again(asked, run, tries, lambda: self._send_draft(asked, message_id, tries - 1))

        run = self.start(f"send {asked.key}", REQUEST_LIFE, work, on_end)
        asked.movers[run] = send_at

    def _perhaps_again(self, asked: Asked, run: Run, tries: int, act: Callable[[], None]) -> None:
        """What a person does who got no answer, or no good one."""
        is_no = isinstance(run.error, (NotEnoughCredits, ContractSuspended, NobodyToReach))
        if is_no and asked.accepted_step is not None and asked.accepted_step < run.last_look:
            raise Violation(f"{asked.key} was accepted and then refused: {run.where()}")
        if tries <= 1:
            return
        if isinstance(run.error, StillRunning):
            self.wish_soon(run.error.retry_after_seconds or 1, 32, act)
        elif (not isinstance(run.error, RecadoError) or self.is_on(0.3)) and self.is_on(0.7):
            self.wish_soon(1, 45, act)

    def _stop(self, asked: Asked) -> None:
        self._ask_of(asked, "stop", messages.stop)

    def _cancel(self, asked: Asked) -> None:
        self._ask_of(asked, "cancel", messages.cancel)

    def _edit(self, asked: Asked) -> None:
        """It is to say something else, to others: a draft, or one that waits for its time."""
        message_id = self._id_of(asked)
        if message_id is not None:
            self._start_change(f"edit {asked.key}", asked, self._edited(asked, message_id, self._word(asked)))

    def _edited(self, asked: Asked, message_id: str, wording: Wording) -> Callable[[Caller, datetime], Any]:
        new = self._new(asked, wording, send=False)
        return lambda caller, now: messages.edit(caller, message_id, new, now)

    def _reschedule(self, asked: Asked) -> None:
        message_id = self._id_of(asked)
        if message_id is None:
            return
        moved_to = (self.now + self.seconds(5, 400)).replace(microsecond=len(asked.times) + 1)
        asked.times.append(moved_to)
        run = self._start_change(
            f"reschedule {asked.key}", asked, lambda caller, now: messages.send(caller, message_id, moved_to, now)
        )
        asked.movers[run] = moved_to

    def _hurry(self, asked: Asked) -> None:
        """Send is pressed on what waits for its time."""
        message_id = self._id_of(asked)
        if message_id is None:
            return
        asked.hurried_at = asked.hurried_at or self.now
        run = self._start_change(
            f"hurry {asked.key}", asked, lambda caller, now: messages.send(caller, message_id, None, now)
        )
        asked.movers[run] = None

    def _start_change(self, name: str, asked: Asked, act: Callable[[Caller, datetime], Any]) -> Run:
        caller = Caller(asked.school, Role.DIRECTOR, "directora")
        return self.start(name, REQUEST_LIFE, lambda run: act(caller, self.clock_of(run)()))

    def _id_of(self, asked: Asked) -> str | None:
        for (pk, sk), row in self.aws.rows(SETTINGS.messages_table).items():
            if sk == "message" and self.facts.asked[row["text"]["S"]] is asked:
                return pk.split("#")[3]
        return None

    def _ask_of(self, asked: Asked, name: str, act: Callable[[Caller, str, datetime], Any]) -> None:
        message_id = self._id_of(asked)
        if message_id is None:
            return
        caller = Caller(asked.school, Role.DIRECTOR, "directora")
        span = getattr(asked, name) or Span(self.step)
        setattr(asked, name, span)

        def on_end(run: Run) -> None:
            if run.end is End.DONE:
                span.acked = span.acked or self.step

        self.start(
            f"{name} {asked.key}",
            REQUEST_LIFE,
            lambda run: act(caller, message_id, self.clock_of(run)()),
            on_end,
        )

    def _opt_out(self) -> None:
        """A family switches SMS off, or back on: by replying, or on the person's record."""
        own = [person for person, _ in self.facts.people.values() if person.number is not None]
        if own:
            self._switch(self.random.choice(own), is_out=self.is_on(0.75))

    def _opt_out_now(self) -> None:
        """Somebody whose turn is just coming."""
        waiting = self.pages.waiting(self.wave_size)
        own = [person for person, _ in self.facts.people.values() if (person.school, person.number) in waiting]
        if own:
            self._switch(self.random.choice(own), is_out=True)

    def _switch(self, person: Person, *, is_out: bool) -> None:
        number, is_reply = person.number or "", self.is_on(0.6)
        cause = "reply" if is_reply else f"person#{person.id}"
        switching = Switching(person.school, number, cause, is_out, Span(self.step))
        self.facts.switchings.append(switching)
        caller = Caller(person.school, Role.DIRECTOR, "directora")

        def work(run: Run) -> None:
            now = self.clock_of(run)()
            if not is_reply:
                directory.set_sms(caller, person.id, allowed=not is_out, reason="pidió", now=now)
                return
            with Transaction() as write:
                note = Note(cause, is_out, "handset", now, "reply")
                opt_outs.change_cause(write, person.school, number, note)

        def on_end(run: Run) -> None:
            if run.end is End.DONE:
                switching.span.acked = self.step

        self.start(f"{'out' if is_out else 'in'} {person.school} {number} {cause}", REQUEST_LIFE, work, on_end)

    def _buy(self) -> None:
        school, zone = (
            self.random.choice(self.schools),
            self.random.choice((Zone.DOMESTIC, Zone.DOMESTIC, Zone.INTERNATIONAL)),
        )
        purchase = Purchase(zone.value, self.random.randint(1, 12), Span(self.step))
        self.facts.purchases[school].append(purchase)
        self._pay(school, zone, purchase, f"compra-{next(self._numbers)}")

    def _pay(self, school: str, zone: Zone, purchase: Purchase, key: str) -> None:
        """Asked until it is answered: the operator's staff do not give up."""
        order = schools.read_order(None, zone, purchase.credits)

        def work(run: Run) -> dict[str, Any]:
            now = self.clock_of(run)()

            def sell(is_first: bool) -> dict[str, Any]:
                entry = schools.sell_bag(OPERATOR, school, order, request_key=key, now=now, is_first=is_first)
                return {"cause": entry.cause}

            return idempotency.once("platform", key, [school, purchase.credits], now, sell)

        def on_end(run: Run) -> None:
            if run.end is End.DONE or isinstance(run.error, IdempotencyKeyReused):  # bought with it a day ago
                purchase.span.acked = self.step
            else:
                self.wish_soon(1, 40, lambda: self._pay(school, zone, purchase, key))

        self.start(f"buy {school} {zone.value} {purchase.credits}", REQUEST_LIFE, work, on_end)

    def _suspend(self) -> None:
        if self.weather is CALM:
            return
        school = self.random.choice(self.schools)
        self._set_contract(school, Contract.SUSPENDED)
        self.wish_soon(10, 200, lambda: self._set_contract(school, Contract.ACTIVE))

    def _set_contract(self, school: str, contract: Contract) -> None:
        span = Span(self.step)
        self.facts.contracts.setdefault(school, []).append((contract is Contract.SUSPENDED, span))

        def on_end(run: Run) -> None:
            if run.end is End.DONE:
                span.acked = self.step
            elif contract is Contract.ACTIVE:
                self.wish_soon(1, 30, lambda: self._set_contract(school, contract))

        self.start(
            f"{contract.value} {school}",
            REQUEST_LIFE,
            lambda run: schools.set_contract(OPERATOR, school, contract, self.clock_of(run)()),
            on_end,
        )

    def _enrol(self) -> None:
        """Somebody new in the course: a scheduled message is planned again when it is due."""
        school, place = self.random.choice(self.schools), 100 + next(self._numbers)
        person = _person(f"g{place:05}", school, worlds.mobile(self.random.randint(1, 12)), place)
        span = Span(self.step)
        self.facts.people[school, person.id] = (person, span)

        def on_end(run: Run) -> None:
            if run.end is End.DONE:
                span.acked = self.step

        self.start(
            f"enrol {person.id}",
            REQUEST_LIFE,
            lambda _: worlds.add_guardian(place, number=person.number, school_id=school),
            on_end,
        )

    def _come_in_between(self, waiting: Run) -> None:
        """While somebody waits for an answer of AWS, somebody else does something from its beginning to its end."""
        asked = self.random.choice(list({one.key: one for one in self.facts.asked.values()}.values()))
        worst: dict[str, tuple[Callable[[], None], ...]] = {
            "worker": (self._opt_out_now, self._opt_out_now, lambda: self._stop(asked)),
            "attention": (
                self._suspend,
                lambda: self._stop(asked),
                lambda: self._cancel(asked),
                lambda: self._edit(asked),
                lambda: self._reschedule(asked),
                lambda: self._hurry(asked),
            ),
            "planner": (self._suspend, self._opt_out, self._enrol, lambda: self._cancel(asked)),
            "edit": (lambda: self._cancel(asked), lambda: self._edit(asked), lambda: self._hurry(asked)),
            "hurry": (lambda: self._cancel(asked), lambda: self._edit(asked), lambda: self._reschedule(asked)),
            "press": (self._suspend, self._opt_out, self._buy),
            "send": (self._suspend, self._opt_out, self._buy),
        }
        known = set(self._runs)
        self.random.choice(worst.get(waiting.name.split(".")[0].split(" ")[0], (self._opt_out,)))()
        for run in [one for one in self._runs if one not in known]:
            run.is_hasty = True
            self._take_turn(run)

    def _jump(self) -> None:
        """An outage: nothing runs for a while, and the clock goes on."""
        if self.weather is CALM:
            return
        self.advance(timedelta(minutes=self.random.choice((2, 5, 20, 70, 1500))))
        self.note("the clock has jumped")

    # --- the evening ------------------------------------------------------------------------------------------

    def _come_to_rest(self) -> None:
        """Nothing breaks any more. Everything that was begun must end by itself, soon (invariant 8)."""
        is_power_cut, self.weather = self.weather.crash > 0 and self.is_on(0.6), CALM
        self.note("the power is cut" if is_power_cut else "all is calm")
        self.carrier.illness.clear()
        for job in self._jobs:
            job.is_lost = is_power_cut
        while self._runs:
            run = self.random.choice(self._runs)
            run.outlives = False
            if is_power_cut:
                run.kill()
            self._take_turn(run)
        for school in self.schools:
            self._set_contract(school, Contract.ACTIVE)
        calm_since = self.now
        while (late := self._unfinished()) or self._wishes or self._runs:
            for asked, not_before in late:
                was_suspended = any(is_off for is_off, _ in self.facts.contracts[asked.school])
                pause = SUSPENDED_PAUSE if was_suspended else timedelta()
                moments = (asked.ordered_at, asked.accepted_at, asked.send_at, not_before)
                since = max(calm_since + pause, *(moment for moment in moments if moment is not None))
                self.worst = max(getattr(self, "worst", timedelta()), self.now - since)
                if self.now > since + TAKEN_UP_WITHIN:
                    raise Violation(f"{asked.key} has not ended by {since + TAKEN_UP_WITHIN}")
            self._live_one_step()
        # Whatever is still in a queue changes nothing any more.
        heard, until = len(self.facts.speeches), self.now + timedelta(minutes=12)
        while self.now < until or self._runs:
            self._live_one_step()
        if len(self.facts.speeches) != heard:
            raise Violation("something was spoken after everything had ended")

    def _unfinished(self) -> list[tuple[Asked, datetime]]:
        """Messages that still owe something, and until when they rightly wait: a page, or for their sender's time."""
        found = []
        booked = self.aws.rows(SETTINGS.routes_table).get((f"PACE#{SETTINGS.carrier}#{SENDER}", "p"), {})
        turns = [datetime.fromisoformat(booked[name]["S"]) for name in ("until", "urgent_until") if name in booked]
        rows = self.aws.rows(SETTINGS.messages_table)
        for (pk, sk), row in rows.items():
            if sk != "message" or row["state"]["S"] not in UNFINISHED:
                continue
            waits = [
                datetime.fromisoformat(page["not_before"]["S"])
                for (page_pk, page_sk), page in rows.items()
                if page_sk == "state" and page_pk.startswith(f"{pk}#")
                if "not_before" in page
            ] + turns
            found.append((self.pages.asked_of(row), min(max(waits, default=worlds.NOON), self.now + LONGEST_PAUSE)))
        return found

    def _check_end(self) -> None:
        self.pages.check_end()
        self.money.check_end()
        self.events.check_end()
        if self.is_following:
            self.events.check_recipients(self.pages.recipients())
        for asked in self.facts.asked.values():
            rows = [row for row in self.pages.rows.values() if self.pages.asked_of(row) is asked]
            is_draft = asked.is_refused and [row["state"]["S"] for row in rows] == ["draft"]
            ended = [row["state"]["S"] in ("sent", "stopped", "cancelled") for row in rows]
            if asked.on_its_way and ended != [True] and not is_draft:
                raise Violation(f"{asked.key} was accepted and is {[row['state']['S'] for row in rows]}")

    # --- receipts ---------------------------------------------------------------------------------------------

    def take_receipt(
        self, job: dict[str, Any], span: Span | None = None, tries: int = 4, place: tuple[str, int] | None = None
    ) -> None:
        """The receipts queue brings one; it comes again when it could not be added. `span` is of its first coming."""

        def on_end(run: Run) -> None:
            if run.end is End.DONE and not run.result.again:
                if span is not None and not run.result.waiting:
                    span.acked = self.step
                    if place is not None and not run.result.lost:
                        self.pages.check_receipt(place, job["receipts"][0][2])
            elif tries > 1 and not self.is_on(self.weather.job_lost):
                self.after_a_while(30, 90, lambda: self.take_receipt(job, span, tries - 1, place))

        self.start("receipt", REQUEST_LIFE, lambda run: receipts.add_receipts([job], clock=self.clock_of(run)), on_end)

    def bring_receipt(self, place: tuple[str, int], job: dict[str, Any]) -> None:
        """A carrier's own, of the recipient at `place`."""
        span = Span(self.step)
        self.facts.receipts.setdefault(place, []).append(span)
        self.take_receipt(job, span, place=place)


def _person(person_id: str, school: str, number: str | None, place: int) -> Person:
    return Person(person_id, school, number, f"Rosa Muñoz {place}")


def _is_copying(operation: str, asked: Mapping[str, Any]) -> bool:
    """Whether copies are put into the message centre: people read them, as they hear a text."""
    return operation == "BatchWriteItem" and SETTINGS.people_table in asked["RequestItems"]


def _conflict(size: int) -> ClientError:
    """What DynamoDB answers when another transaction is at one of the rows."""
    reasons = [{"Code": "TransactionConflict", "Message": "Transaction is ongoing"}, *[{"Code": "None"}] * (size - 1)]
    error = {"Code": "TransactionCanceledException", "Message": "Transaction cancelled"}
    return ClientError({"Error": error, "CancellationReasons": reasons}, "TransactWriteItems")


def _is_about_keys(operation: str, asked: Mapping[str, Any]) -> bool:
    key = asked.get("Key") or asked.get("Item") or {}
    return operation in ("GetItem", "PutItem", "UpdateItem", "DeleteItem") and key["pk"]["S"].startswith("IDEM#")


def _keys_written(operation: str, asked: Mapping[str, Any]) -> dict[str, list[Key]]:
    """The rows a write touches, by table."""
    found: dict[str, list[Key]] = {}
    match operation:
        case "UpdateItem" | "DeleteItem":
            found[asked["TableName"]] = [key_of(asked["Key"])]
        case "PutItem":
            found[asked["TableName"]] = [key_of(asked["Item"])]
        case "BatchWriteItem":
            for table, requests in asked["RequestItems"].items():
                found[table] = [key_of(one["PutRequest"]["Item"]) for one in requests if "PutRequest" in one]
        case "TransactWriteItems":
            for one in (write for item in asked["TransactItems"] for write in item.values()):
                found.setdefault(one["TableName"], []).append(key_of(one.get("Item", one.get("Key"))))
    return found


def _short(operation: str, asked: Mapping[str, Any]) -> str:
    """What a call is about, for the trace."""
    if operation == SQS:
        return " ".join(f"{entry['MessageBody']} +{entry['DelaySeconds']}s" for entry in asked["Entries"])
    written = _keys_written(operation, asked)
    if written:
        return " ".join(f"{pk}/{sk}" for keys in written.values() for pk, sk in keys)
    if operation == "GetItem":
        return "/".join(key_of(asked["Key"]))
    if operation == "BatchGetItem":
        keys = (key_of(key) for one in asked["RequestItems"].values() for key in one["Keys"])
        return " ".join(sorted("/".join(key) for key in keys))  # PynamoDB asks in the order of a set
    return f"{asked['TableName']} {asked.get('IndexName', '')}"
