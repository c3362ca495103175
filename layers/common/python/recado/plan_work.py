"""Plans large audiences in the background, some people at a time, in the memory of a page; and puts many jobs.

It ends in good order before its time is over and leaves the rest to a fresh job. Whoever comes after a worker that died
begins again under another plan's number: the dead one may still be writing.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from recado import background_plans, ids, log, orders, page_jobs, planning, records, scheduling, sending
from recado.clock import Clock
from recado.errors import RecadoError
from recado.planning import PageWriter, Totals
from recado.rules.message_states import MessageState
from recado.tables import messages as table
from recado.tables import plannings
from recado.tables.messages import Message
from recado.tables.plannings import Planning, Purpose

LEASE = timedelta(seconds=60)
NOTED_AFTER = timedelta(seconds=5)  # progress is written about so often: people look at it
TIME_NEEDED = timedelta(seconds=20)  # for some more people, and leaving in good order
PLANNED_AGAIN = (MessageState.DRAFT, MessageState.PLANNING, MessageState.SCHEDULED)


@dataclass(frozen=True, slots=True)
class Job:
    """`kind` is plan or enqueue."""

    kind: str
    school_id: str
    message_id: str
    plan: str


@dataclass(frozen=True, slots=True)
class Worker:
    owner: str
    clock: Clock
    time_left: Callable[[], timedelta]


def read_job(body: str) -> Job:
    """A job from its queue. Raises ValueError or KeyError for one that is none."""
    found = json.loads(body)
    if found["kind"] not in ("plan", "enqueue"):
        raise ValueError("no such kind of job")
    return Job(found["kind"], found["school"], found["item"], found["plan"])


def work(job: Job, worker: Worker) -> None:
    """Works one job of the plans queue. Twice or late, it changes nothing."""
    message = table.find_message(job.school_id, job.message_id)
    if message is None:
        log.outcome("plan_job_dropped", reason="no_such_message")
    elif job.kind == "enqueue":
        if message.state in (MessageState.SENDING, MessageState.STOPPING) and message.plan == job.plan:
            page_jobs.enqueue(message, worker.clock(), clock=worker.clock)
    else:
        _work_plan(message, job.plan, worker)


def take_up(message: Message, now: datetime) -> None:
    """The attention run's step for a message that waits for its plan: made, it goes out; left, it is begun again."""
    found = plannings.find_planning(message.school_id, message.id)
    if found is None:
        return  # it never began: the message's own row and this one are written together, so it is no draft of ours
    if sending.is_too_late(message, now):
        scheduling.cancel(message, orders.SYSTEM, now)
    elif found.done_at is not None:
        sending.accept_planned(message, found, now)
    else:
        background_plans.push_planning(found, now)


def _work_plan(message: Message, plan: str, worker: Worker) -> None:
    # 1. Is this job still the plan's, and is nobody at it?
    found = plannings.find_planning(message.school_id, message.id)
    if found is None or found.plan != plan or found.revision != message.revision:
        log.outcome("plan_job_dropped", reason="other_plan", message=message.id)
        return
    if message.state not in PLANNED_AGAIN:
        return
    if found.done_at is not None:
        sending.accept_planned(message, found, worker.clock())
        return
    taken = _take(message, found, worker)
    if taken is None:
        return

    # 2. Some people after the other.
    try:
        is_done = _plan_on(message, taken, worker)
    except RecadoError as error:
        is_done = plannings.finish_planning(
            taken, worker.owner, worker.clock(), totals=None, refusal=sending.refusal_of(error)
        )

    # 3. Made: a message that waits for it goes out.
    made = plannings.find_planning(message.school_id, message.id)
    if is_done and made is not None and made.plan == taken.plan and made.purpose is Purpose.SEND:
        sending.accept_planned(message, made, worker.clock())


def _take(message: Message, found: Planning, worker: Worker) -> Planning | None:
    """The planning, ours for a lease; None when somebody is at it."""
    now = worker.clock()
    if found.lease_until is not None:
        if not found.is_left(now):
            background_plans.put_planning_job(found, delay_seconds=int((found.lease_until - now).total_seconds()) + 1)
            return None
        # Its owner died, or has come to a halt and may go on: its pages are its own, ours get another number.
        again = Planning(
            found.school_id,
            found.message_id,
            ids.new_id(),
            found.revision,
            found.purpose,
            found.started_at,
            found.order,
            job_until=now + background_plans.JOB_AGAIN,
        )
        if not plannings.create_planning(again, was=found):
            return None
        log.outcome("planning_begun_again", school=message.school_id, message=message.id)
        found = again
    if plannings.take_planning(found, worker.owner, now + LEASE):
        return found
    # Refused; but perhaps by our own write, whose answer was lost.
    seen = plannings.find_planning(message.school_id, message.id)
    return found if seen is not None and (seen.plan, seen.owner) == (found.plan, worker.owner) else None


def _plan_on(message: Message, taken: Planning, worker: Worker) -> bool:
    """Goes on from where the plan is. True when it is made; False: left to a fresh job, or not ours any more."""
    school = records.get_school(message.school_id)
    totals = Totals.of_row(taken.totals) if taken.totals else planning.first_totals(message)
    writer = PageWriter(message, taken.plan, totals, worker.clock())
    place, noted_at = taken.place, worker.clock()
    for chunk in planning.list_chunks(school, message, worker.clock(), place):
        writer.add(chunk)
        totals, place = totals.plus(chunk), chunk.place
        now = worker.clock()
        if worker.time_left() < TIME_NEEDED:
            left = plannings.note_progress(taken, worker.owner, place, writer.flush(totals).to_row(), None)
            if left:
                background_plans.put_planning_job(taken)
            log.outcome("planning_handed_on", school=school.id, message=message.id, people=totals.people)
            return False
        if now >= noted_at + NOTED_AFTER:
            # Only what is written may be noted: pages that are not full yet are written as they are.
            totals = writer.flush(totals)
            if not plannings.note_progress(taken, worker.owner, place, totals.to_row(), now + LEASE):
                return False
            noted_at = now
    totals = writer.flush(totals)
    log.outcome("planning_made", school=school.id, message=message.id, people=totals.people, pages=totals.pages)
    return plannings.finish_planning(taken, worker.owner, worker.clock(), totals=totals.to_row(), refusal=None)
