"""Plans made in the background, for audiences too large to be planned while somebody waits: begun, pushed, fresh."""

from datetime import datetime, timedelta

from recado import ids, records
from recado.queues import put_jobs
from recado.rules.message_states import MessageState
from recado.settings import SETTINGS
from recado.tables import plannings
from recado.tables.messages import Message
from recado.tables.plannings import Planning, Purpose

ADOPTED_WITHIN = timedelta(minutes=15)  # how long a large estimate is the plan that a send takes
PLANNING_MAX = timedelta(hours=1)  # what is not made by then is begun anew when somebody asks
JOB_AGAIN = timedelta(seconds=30)  # a planning that nobody is at by then has lost its job
PLAN_AHEAD = timedelta(minutes=15)  # a large scheduled audience is planned again so long before its time


def begin_planning(message: Message, purpose: Purpose, now: datetime) -> Planning:
    """Has a large audience planned in the background; one that is being planned, or was a moment ago, goes on."""
    found = plannings.find_planning(message.school_id, message.id)
    if found is not None and found.purpose is Purpose.SEND:
        # Sent since the message was read? Its row and this one are written together, so that a draft read now is none
        # that waits for what was found, and nobody who sends it after this leaves that in its place.
        message = records.get_message(message.school_id, message.id)
    is_same = found is not None and (found.purpose is purpose or message.state is MessageState.PLANNING)
    if found is not None and is_same and is_fresh(found, message, now):
        push_planning(found, now)
        return found
    begun = Planning(
        message.school_id, message.id, ids.new_id(), message.revision, purpose, now, job_until=now + JOB_AGAIN
    )
    if plannings.create_planning(begun, was=found):
        put_planning_job(begun)
        return begun
    return plannings.find_planning(message.school_id, message.id) or begun


def push_planning(found: Planning, now: datetime) -> None:
    """A fresh job for a planning that nobody is at: its job is lost, or its worker dead. Many who look put one."""
    is_waiting = found.job_until is not None and now < found.job_until
    if found.is_left(now) and not is_waiting and plannings.note_job(found, now + JOB_AGAIN):
        put_planning_job(found)


def is_fresh(found: Planning, message: Message, now: datetime) -> bool:
    """Whether it is of the message as it is, and under way, or made so lately that a send may take it."""
    if message.state is MessageState.PLANNING:
        return found.revision == message.revision  # it has been ordered: nothing takes its place
    until = found.started_at + PLANNING_MAX if found.done_at is None else found.done_at + ADOPTED_WITHIN
    return found.revision == message.revision and found.refusal is None and now < until


def put_planning_job(begun: Planning, *, delay_seconds: int = 0) -> None:
    job = {"kind": "plan", "school": begun.school_id, "item": begun.message_id, "plan": begun.plan}
    put_jobs(SETTINGS.plans_queue_url, [job], group=begun.school_id, delay_seconds=delay_seconds)


def is_planned_ahead(message: Message) -> bool:
    """Whether it has to be planned in the background: as many people, or as many to be read, as before."""
    is_large = message.people > SETTINGS.audience_max
    return is_large or plannings.find_planning(message.school_id, message.id) is not None


def attend_at(start: datetime, now: datetime, *, is_large: bool) -> datetime:
    """When the attention run is to look at a scheduled message."""
    return max(now, start - PLAN_AHEAD) if is_large else start
