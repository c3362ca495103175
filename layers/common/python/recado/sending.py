"""A message's way out: its plan becomes its own, its credits are held, its jobs are put; in the end its hold is closed.

Credits of a message move here and nowhere else. Every step is keyed by its cause: repeating it changes nothing.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import batched, islice
from typing import Any
from zoneinfo import ZoneInfo

from recado import credits, drafts, events, ids, log, planning  # noqa: A004  # the school's word
from recado.clock import Clock
from recado.errors import (
    AudienceTooLarge,
    ChangedMeanwhile,
    ContractSuspended,
    FieldProblem,
    InvalidRequest,
    NotFound,
    PlanChanged,
    QuietHoursNow,
    RecadoError,
    WrongState,
)
from recado.events import EventsBusy, NewEvent
from recado.planning import LargeAudience, Plan, Totals
from recado.queues import put_jobs
from recado.rules import message_states
from recado.rules.credit_bags import Zone
from recado.rules.event_types import EventType
from recado.rules.message_states import Category, Channel, MessageState
from recado.rules.quiet_hours import next_allowed
from recado.rules.school_time import show_local
from recado.rules.short_codes import CodeState
from recado.settings import SETTINGS
from recado.tables import estimates, ledger, pages, plannings, school_settings, schools, short_codes
from recado.tables import messages as table
from recado.tables.base import Transaction
from recado.tables.estimates import ShownEstimate, ShownPerson
from recado.tables.ledger import AlreadyEntered, CreditsShort, Entry
from recado.tables.messages import Message
from recado.tables.pages import PageKind, PageRef
from recado.tables.plannings import Planning, Purpose
from recado.tables.schools import Contract, School
from recado.tables.short_codes import Purpose as CodePurpose

SCHEDULE_AHEAD_MAX = timedelta(days=365)
LOOK_AGAIN = timedelta(seconds=30)  # well before the attention run's next minute, or it would miss every other one
SUSPENDED_LOOK_AGAIN = timedelta(minutes=15)
SETTLE_ATTEMPTS_MAX = 3
CANCEL_ATTEMPTS_MAX = 3
ADOPTED_WITHIN = timedelta(minutes=15)  # how long a large estimate is the plan that a send takes
PLANNING_MAX = timedelta(hours=1)  # what is not made by then is begun anew when somebody asks
JOB_AGAIN = timedelta(seconds=30)  # a planning that nobody is at by then has lost its job
PLAN_AHEAD = timedelta(minutes=15)  # a large scheduled audience is planned again so long before its time
PAGES_NEEDED_FOR = timedelta(days=4)  # after a message's time: receipts come for three days
JOBS_AT_ONCE_MAX = 500  # page jobs put while somebody waits; more are put in the background
NOTE_EVERY = 1000  # page jobs after which it is noted how far they are
CHANGES_SHOWN_MAX = 20
FIRST_LOOK_AT_RECEIPTS = timedelta(minutes=1)
SYSTEM = "recado"  # who did what nobody asked for at that moment


class _Moved(Exception):  # a signal between two steps here
    """The message's state, plan or revision is no longer what was read."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked of a message: to go out now (`send_at` None) or at a time, as it was shown (`digest`)."""

    by: str
    send_at: datetime | None = None
    digest: str | None = None
    despite_quiet_hours: bool = False

    def to_row(self) -> dict[str, Any]:
        send_at = self.send_at.isoformat() if self.send_at else None
        return {"by": self.by, "send_at": send_at, "digest": self.digest, "despite": self.despite_quiet_hours}

    @staticmethod
    def of_row(row: Mapping[str, Any]) -> "Order":
        send_at = datetime.fromisoformat(row["send_at"]) if row["send_at"] else None
        return Order(row["by"], send_at, row["digest"], bool(row["despite"]))


# --- a draft goes out ----------------------------------------------------------------------------------------------


def accept(school: School, message: Message, order: Order, now: datetime, *, is_new: bool) -> Message:
    """draft → sending or scheduled; or planning, when its audience is too large to be planned while somebody waits.

    Raises ContractSuspended, QuietHoursNow, PlanChanged, NobodyToReach, NotEnoughCredits, InvalidRequest.
    """
    # 1. May it go out at all, then?
    _check_contract(school, message)
    check_time(order.send_at, now)
    _check_quiet_hours(school, message, order, now)

    # 2. Its plan: the large estimate of a moment ago, or one made now.
    plan = _adopted_plan(message, order, now)
    if plan is None:
        try:
            plan = planning.make_plan(school, message, ids.new_id(), now)
        except LargeAudience:
            return _plan_later(message, order, now, is_new=is_new)
    return _accept_plan(school, message, order, plan, now, is_new=is_new)


def accept_planned(message: Message, made: Planning, now: datetime) -> None:
    """A plan made in the background becomes the message's; or the message is a draft again, and says why."""
    if message.state is not MessageState.PLANNING or made.done_at is None or made.revision != message.revision:
        return
    order = Order.of_row(made.order)
    try:
        if is_too_late(message, now):
            cancel(message, SYSTEM, now)
            return
        if made.refusal is not None or made.totals is None:
            _give_back(message, made.refusal or {}, now)
            return
        plan = Plan(made.plan, Totals.of_row(made.totals))
        _accept_plan(get_school(message.school_id), message, order, plan, now, is_new=False)
    except EventsBusy:
        raise  # no refusal: tried again
    except RecadoError as error:
        _give_back(message, refusal_of(error), now)


def is_too_late(message: Message, now: datetime) -> bool:
    """Whether a message that waits for its plan is not worth handing over any more."""
    return now >= (message.send_at or message.accepted_at or now) + _life(message)


def refusal_of(error: RecadoError) -> dict[str, Any]:
    """A refusal as a row keeps it, to be shown when somebody looks."""
    return {
        "code": error.code,
        "title": error.title,
        "status": int(error.status),
        "detail": error.detail,
        "members": error.members,
        "errors": [{"field": one.field, "code": one.code, "detail": one.detail} for one in error.fields],
    }


def begin_planning(message: Message, purpose: Purpose, now: datetime) -> Planning:
    """Has a large audience planned in the background; one that is being planned, or was a moment ago, goes on."""
    found = plannings.find_planning(message.school_id, message.id)
    if found is not None and found.purpose is Purpose.SEND:
        # Sent since the message was read? Its row and this one are written together, so that a draft read now is none
        # that waits for what was found, and nobody who sends it after this leaves that in its place.
        message = get_message(message.school_id, message.id)
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


# --- a scheduled message -------------------------------------------------------------------------------------------


def reschedule(school: School, message: Message, order: Order, now: datetime) -> Message:
    """Moves a scheduled message to another time; what is held stays held.

    Put off for so long that the rows of its plan would be gone by then, it is planned anew.
    """
    check_time(order.send_at, now)
    _check_quiet_hours(school, message, order, now)
    if order.send_at is None:
        _check_contract(school, message)
    if order.digest is not None:
        _check_digest(message, order, _plan_as_it_is(school, message, now))
    start = order.send_at or now
    give_up_at = start + _life(message)
    moved = replace(
        message,
        send_at=start,
        give_up_at=give_up_at,
        attend_at=_attend_at(start, now, is_large=_is_planned_ahead(message)),
        despite_quiet_hours=order.by if order.despite_quiet_hours else None,
        revision=message.revision + 1,  # whoever is just releasing it for the old time must read it again
        history=drafts.history_with(message, "rescheduled", order.by, now),
    )
    until = pages.find_end(_first_page(message))
    if until is None or until < give_up_at + PAGES_NEEDED_FOR:
        return replace_scheduled(school, message, moved, order.by, now)
    if table.change_message(moved, was=message):
        return moved
    found = get_message(message.school_id, message.id)
    if found != moved:  # else the change was made, and its answer lost
        raise WrongState(f"The message is {found.state.value}, or somebody else has just changed it")
    return found


def replace_scheduled(school: School, message: Message, edited: Message, by: str, now: datetime) -> Message:
    """A scheduled message says something else, or to others: a new plan, whose hold takes the place of the old one."""
    _check_contract(school, edited)
    order = Order(by, message.send_at, despite_quiet_hours=edited.despite_quiet_hours is not None)
    _check_quiet_hours(school, edited, order, now)  # what was an emergency may have become a meeting
    try:
        plan = planning.make_plan(school, edited, ids.new_id(), now)
    except LargeAudience:
        detail = "An audience as large as this cannot be changed while it waits: cancel it, and schedule it again"
        raise AudienceTooLarge(detail, members={"limit": SETTINGS.audience_max}) from None
    _require_reach_with(message, plan.totals)
    start = edited.send_at or now
    timed = replace(
        edited, give_up_at=start + _life(edited), attend_at=_attend_at(start, now, is_large=False), sent_by=by
    )
    planned = _planned(timed, plan, planning.write_pages(timed, plan, now))
    try:
        _exchange(message, planned, plan.totals, now)
    except (AlreadyEntered, _Moved):
        # The old hold is closed: by our own change whose answer was lost, or by another change, release or cancel.
        found = get_message(message.school_id, message.id)
        if found.plan == planned.plan:
            return found
        if found.state is MessageState.SCHEDULED:
            raise ChangedMeanwhile from None
        raise WrongState(f"A message that is {found.state.value} cannot be changed") from None
    except CreditsShort:
        _require_reach_with(message, plan.totals)
        raise WrongState("Credits moved at the same moment; try again") from None
    credits.note_balance(school.id, now)
    return planned


def cancel(message: Message, by: str, now: datetime) -> Message:
    """scheduled → cancelled, its credits given back; raises WrongState when it has gone out meanwhile."""
    for _ in range(CANCEL_ATTEMPTS_MAX):
        cancelled = replace(
            message,
            state=MessageState.CANCELLED,
            cancelled_by=by,
            finished_at=now,
            attend_at=None,
            captured={},
            history=drafts.history_with(message, "cancelled" if by != SYSTEM else "expired", by, now),
        )
        because = "asked" if by != SYSTEM else "expired"
        told = _told(message, EventType.MESSAGE_CANCELLED, now, because=because)
        try:
            _close(message, cancelled, {}, now, told)
        except (_Moved, AlreadyEntered):
            # Our own, and its answer was lost; or an edit or the release has closed this hold for another plan's.
            found = get_message(message.school_id, message.id)
            if found.state is MessageState.CANCELLED:
                return found
            if by == SYSTEM:
                return found  # perhaps it was moved, and is not too late any more: looked at again in a minute
            if found.state not in (MessageState.SCHEDULED, MessageState.PLANNING):
                raise WrongState(f"A message that is {found.state.value} cannot be cancelled") from None
            message = found
            continue
        credits.note_balance(message.school_id, now)
        log.outcome("message_cancelled", school=message.school_id, message=message.id)
        return cancelled
    raise WrongState("The message keeps changing; try again")


def release_due(message: Message, now: datetime) -> None:
    """A scheduled message whose time has come: planned again, its hold exchanged, its jobs enqueued.

    A large one is looked at some time before, so that its new plan is there in time.
    """
    if message.state is not MessageState.SCHEDULED:
        return  # released already: planned again now, it would go out twice

    # 1. It waits, or in the end gives its credits back; a large one is planned in time.
    school = schools.find_school(message.school_id)
    if _is_put_off(message, school, now) or school is None:
        return

    # 2. People move and numbers change: the audience as it is now, unless nothing changed or credits do not reach.
    plan = _replan(school, message, now)
    sending = replace(
        message,
        state=MessageState.SENDING,
        accepted_at=now,
        pages_enqueued=0,
        attend_at=now,
        history=drafts.history_with(message, "released", SYSTEM, now),
    )
    try:
        if plan is None:
            _exchange(message, sending, None, now)
        else:
            totals = plan.totals if plan.chunks is None else planning.write_pages(message, plan, now)
            _exchange(message, _planned(sending, plan, totals), totals, now)
    except CreditsShort:
        _exchange_held(message, sending, now)  # what was held goes out, minus whoever opted out meanwhile
    except ContractSuspended:
        table.move_attention(message, now + SUSPENDED_LOOK_AGAIN)  # in this very moment
        return
    except (_Moved, AlreadyEntered):
        pass  # done by somebody else, or by us with the answer lost: what is there is read below

    # 3. Out it goes, whoever won the exchange.
    released = get_message(message.school_id, message.id)
    if released.state is MessageState.SENDING:
        enqueue(released, now)
        log.outcome("message_released", school=message.school_id, message=message.id, pages=released.all_pages)
    credits.note_balance(message.school_id, now)


# --- jobs ----------------------------------------------------------------------------------------------------------


def enqueue(message: Message, now: datetime, *, clock: Clock | None = None) -> None:
    """Puts the jobs that are not on the queue yet; a page enqueued twice is worked once.

    Many are put by a worker, who brings a clock: it takes a while, and nobody is to take it up meanwhile.
    """
    if message.all_pages - message.pages_enqueued > JOBS_AT_ONCE_MAX and clock is None:
        job = {"kind": "enqueue", "school": message.school_id, "item": message.id, "plan": message.plan or ""}
        put_jobs(SETTINGS.plans_queue_url, [job], group=message.school_id)
        return
    put = message.pages_enqueued
    for numbers in batched(islice(message.page_numbers(), put, None), NOTE_EVERY, strict=False):
        refs = (PageRef(PageKind.MESSAGE, message.school_id, message.id, message.plan or "", page) for page in numbers)
        put_jobs(queue_of(message.category), (job_of(ref, 1) for ref in refs), group=message.school_id)
        put += len(numbers)
        if not table.note_enqueued(message, put, (clock() if clock else now) + LOOK_AGAIN):
            return  # stopped meanwhile, or somebody else is at it: the attention run goes on from what is there


def queue_of(category: Category) -> str:
    """Emergencies never wait behind a meeting's invitation."""
    return SETTINGS.urgent_queue_url if message_states.is_emergency(category) else SETTINGS.bulk_queue_url


def job_of(ref: PageRef, number: int) -> dict[str, str | int]:
    """A page's job: names rows, carries no text and no number."""
    return {
        "kind": ref.kind.value,
        "school": ref.school_id,
        "item": ref.item,
        "plan": ref.plan,
        "page": ref.page,
        "job": number,
    }


def settle(school_id: str, message_id: str, now: datetime) -> bool:
    """Closes the hold once every page is closed: captures what the carrier took, releases the rest. True: settled."""
    for _ in range(SETTLE_ATTEMPTS_MAX):
        # 1. Are all its pages closed?
        message = table.find_message(school_id, message_id)
        if message is None or message.state not in (MessageState.SENDING, MessageState.STOPPING):
            return message is not None and message.state in message_states.FINAL
        totals = table.read_totals(school_id, message_id, pages=message.all_pages)
        if totals.pages_closed < message.all_pages:
            return False
        # 2. One transaction: the message ends, each account's hold closes, and the portal is told.
        after = MessageState.SENT if message.state is MessageState.SENDING else MessageState.STOPPED
        captured = {zone.value: totals.captured[zone] for zone in Zone if zone.value in message.held}
        ended = replace(
            message,
            state=after,
            captured=captured,
            finished_at=now,
            attend_at=now + FIRST_LOOK_AT_RECEIPTS if message.recipients else None,
            history=drafts.history_with(message, "finished", SYSTEM, now),
        )
        sums = {f"captured_{zone.value}": captured.get(zone.value, 0) for zone in Zone}
        told = _told(message, EventType.MESSAGE_SENT, now, state=after.value, **sums)
        try:
            _close(message, ended, captured, now, told)
        except _Moved:
            continue  # stopped in this very moment: read again
        except AlreadyEntered:
            return True
        log.outcome("message_settled", school=school_id, message=message_id, state=after.value, pages=message.all_pages)
        credits.note_balance(school_id, now)
        return True
    return False


# --- what others look up -------------------------------------------------------------------------------------------


def get_message(school_id: str, message_id: str) -> Message:
    """Raises NotFound, also for what belongs to another school (invariant 7)."""
    message = table.find_message(school_id, message_id)
    if message is None:
        raise NotFound
    return message


def get_school(school_id: str) -> School:
    school = schools.find_school(school_id)
    if school is None:
        raise NotFound("There is no such school")
    return school


def check_time(send_at: datetime | None, now: datetime, field: str = "/at") -> None:
    """Raises InvalidRequest for a time that has passed or is too far ahead."""
    if send_at is None:
        return
    if send_at <= now:
        raise InvalidRequest(fields=[FieldProblem(field, "in_the_past", "The time has passed")])
    if send_at > now + SCHEDULE_AHEAD_MAX:
        raise InvalidRequest(fields=[FieldProblem(field, "too_far", "At most 365 days ahead")])


# --- the steps -----------------------------------------------------------------------------------------------------


def _accept_plan(school: School, message: Message, order: Order, plan: Plan, now: datetime, *, is_new: bool) -> Message:
    # 1. Is it what was shown? Refuse what reaches nobody or what the credits do not reach.
    _check_digest(message, order, plan)
    planning.require_reach(school.id, plan.totals)
    # What had to be planned first is of the moment when it was asked for.
    asked_at = message.accepted_at if message.state is MessageState.PLANNING else None
    start = order.send_at or asked_at or now
    after = MessageState.SENDING if order.send_at is None else MessageState.SCHEDULED
    accepted = replace(
        message,
        state=after,
        sender=_sender_of(school),
        sent_by=order.by,
        accepted_at=now,
        send_at=order.send_at,
        give_up_at=start + _life(message),
        despite_quiet_hours=order.by if order.despite_quiet_hours else None,
        refusal=None,
        history=drafts.history_with(message, "sent" if order.send_at is None else "scheduled", order.by, now),
    )
    totals = plan.totals if plan.chunks is None else planning.write_pages(accepted, plan, now)
    planned = _planned(accepted, plan, totals)
    is_large = plan.chunks is None
    attend_at = now + LOOK_AGAIN if order.send_at is None else _attend_at(start, now, is_large=is_large)
    planned = replace(planned, attend_at=attend_at)

    # 2. One transaction makes the plan the message's: its state, each account, each entry. All or nothing.
    try:
        _hold(None if is_new else message, planned, plan.totals, now)
    except (_Moved, AlreadyEntered):
        # Our own, and its answer was lost; or another request won, perhaps with the very plan that both took over.
        planned = _found_instead(message, planned)
    except CreditsShort:
        planning.require_reach(school.id, plan.totals)  # says how many are missing now
        raise WrongState("Credits moved at the same moment; try again") from None

    # 3. The jobs; from here on the attention run takes up whatever does not move.
    log.outcome(
        "message_accepted",
        school=school.id,
        message=message.id,
        state=planned.state.value,
        recipients=planned.recipients,
        copies=planned.copies,
        pages=planned.all_pages,
    )
    if planned.state is MessageState.SENDING and planned.pages_enqueued < planned.all_pages:
        enqueue(planned, now)
    credits.note_balance(school.id, now)
    return planned


def _found_instead(message: Message, planned: Message) -> Message:
    """What is there instead of the message that was read. Raises ChangedMeanwhile when it is not what was asked for."""
    found = get_message(message.school_id, message.id)
    if found.state is MessageState.DRAFT or found.revision != planned.revision:
        raise ChangedMeanwhile
    if found.send_at != planned.send_at:
        raise ChangedMeanwhile("Another request, for another time, was quicker")
    return found


def _plan_later(message: Message, order: Order, now: datetime, *, is_new: bool) -> Message:
    waiting = replace(
        message,
        state=MessageState.PLANNING,
        sent_by=order.by,
        accepted_at=now,
        send_at=order.send_at,
        attend_at=now + LOOK_AGAIN,
        refusal=None,
        history=drafts.history_with(message, "asked_to_send", order.by, now),
    )
    found = plannings.find_planning(message.school_id, message.id)
    begun = Planning(
        message.school_id,
        message.id,
        ids.new_id(),
        message.revision,
        Purpose.SEND,
        now,
        order=order.to_row(),
        job_until=now + JOB_AGAIN,
    )
    try:
        with Transaction() as write:
            table.save_message(write, waiting, was=None if is_new else message, refused=_Moved())
            plannings.create_planning_in(write, begun, was=found, refused=_Moved())
    except _Moved:
        return _found_instead(message, waiting)
    put_planning_job(begun)
    log.outcome("message_to_be_planned", school=message.school_id, message=message.id)
    return waiting


def _give_back(message: Message, refusal: Mapping[str, Any], now: datetime) -> None:
    """planning → draft: nothing was held. Refused means that somebody was quicker; what is there stands."""
    draft = replace(
        message,
        state=MessageState.DRAFT,
        sent_by=None,
        accepted_at=None,
        send_at=None,
        attend_at=None,
        refusal=dict(refusal),
        history=drafts.history_with(message, "refused", SYSTEM, now),
    )
    code = str(refusal.get("code", "unknown"))
    # No cause of its own: asked to go out again, it may be refused again; the message's state lets it happen once.
    told = NewEvent(EventType.MESSAGE_REFUSED, None, now, {"message": message.id, "code": code})
    try:
        events.commit(
            message.school_id, told, lambda write: table.save_message(write, draft, was=message, refused=_Moved())
        )
    except _Moved:
        return
    log.outcome("message_refused", school=message.school_id, message=message.id, code=code)


def _is_put_off(message: Message, school: School | None, now: datetime) -> bool:
    """Whether a scheduled message does not go out now: too old after an outage, too early, its contract suspended."""
    if message.give_up_at is not None and now >= message.give_up_at:
        cancel(message, SYSTEM, now)
        return True
    if message.send_at is not None and now < message.send_at:
        look_at = _attend_at(message.send_at, now, is_large=_is_planned_ahead(message))
        if look_at <= now and begin_planning(message, Purpose.RELEASE, now).done_at is None:
            return True  # until it is made it is looked at again and again: whoever plans it may die
        table.move_attention(message, look_at if look_at > now else message.send_at)
        return True
    if school is None or (Channel.SMS in message.channels and school.contract is not Contract.ACTIVE):
        table.move_attention(message, now + SUSPENDED_LOOK_AGAIN)
        return True
    return False


def _adopted_plan(message: Message, order: Order, now: datetime) -> Plan | None:
    """A large estimate that a send may take as it is: the same text and audience, made a moment ago."""
    found = plannings.find_planning(message.school_id, message.id)
    if found is None or found.purpose is not Purpose.ESTIMATE or found.done_at is None or found.totals is None:
        return None
    # Its pages were written to last as if they went out then: a message for another month is planned anew.
    is_soon = order.send_at is None or order.send_at <= now + timedelta(days=1)
    return Plan(found.plan, Totals.of_row(found.totals)) if is_soon and is_fresh(found, message, now) else None


def _plan_as_it_is(school: School, message: Message, now: datetime) -> Plan:
    """What a scheduled message would be if it were planned now; of a large audience, what it was planned as."""
    try:
        return planning.make_plan(school, message, ids.new_id(), now)
    except LargeAudience:
        return Plan(message.plan or "", Totals(message.digest or ""))


def _replan(school: School, message: Message, now: datetime) -> Plan | None:
    """A new plan when it differs from the held one and can be made, be it that nobody is left; None: keep that one."""
    try:
        plan = _release_plan(message)
        if plan is None and message.people <= SETTINGS.audience_max:
            plan = planning.make_plan(school, message, ids.new_id(), now)
    except (RecadoError, LargeAudience) as error:
        log.trouble("replanning_refused", error, school=school.id, message=message.id)
        return None
    return None if plan is None or plan.digest == message.digest else plan


def _release_plan(message: Message) -> Plan | None:
    """What was planned in the background for this release, if it is there in time."""
    found = plannings.find_planning(message.school_id, message.id)
    if found is None or found.purpose is not Purpose.RELEASE or found.done_at is None or found.totals is None:
        return None
    is_for_this = found.revision == message.revision and (message.send_at or found.started_at) <= (
        found.started_at + PLAN_AHEAD + ADOPTED_WITHIN
    )
    return Plan(found.plan, Totals.of_row(found.totals)) if is_for_this else None


def _is_planned_ahead(message: Message) -> bool:
    """Whether it has to be planned in the background: as many people, or as many to be read, as before."""
    is_large = message.people > SETTINGS.audience_max
    return is_large or plannings.find_planning(message.school_id, message.id) is not None


def _attend_at(start: datetime, now: datetime, *, is_large: bool) -> datetime:
    """When the attention run is to look at a scheduled message."""
    return max(now, start - PLAN_AHEAD) if is_large else start


def _first_page(message: Message) -> PageRef:
    number = next(message.page_numbers(), 0)
    return PageRef(PageKind.MESSAGE, message.school_id, message.id, message.plan or "", number)


def _life(message: Message) -> timedelta:
    return message_states.expires_after(message.category, message.expires_after_minutes)


def _planned(message: Message, plan: Plan, totals: Totals) -> Message:
    return replace(
        message,
        plan=plan.id,
        pages=totals.pages,
        copy_pages=totals.copy_pages,
        lots=totals.lots,
        pages_enqueued=0,
        people=totals.people,
        recipients=totals.recipients,
        copies=totals.copies,
        segments=totals.segments_most,
        segments_least=totals.segments_least,
        skipped=dict(totals.skipped),
        duplicates=totals.duplicates,
        held={zone: count for zone, count in totals.credits.items() if count},
        digest=totals.seal,
    )


def _hold(was: Message | None, planned: Message, totals: Totals, now: datetime) -> None:
    with Transaction() as write:
        for zone, count in totals.needed.items():
            ledger.hold(write, planned.school_id, _hold_entry(planned, zone, count, now))
        table.save_message(write, planned, was=was, refused=_Moved())


def _close(was: Message, ended: Message, captured: Mapping[str, int], now: datetime, told: NewEvent) -> None:
    """Ends a message, its holds and what its portal waits to hear, all or none. Raises _Moved, AlreadyEntered."""

    def close(write: Transaction) -> None:
        for zone, held in was.held.items():
            ledger.close_hold(write, was.school_id, _close_entry(was, Zone(zone), held, captured.get(zone, 0), now))
        table.save_message(write, ended, was=was, refused=_Moved())

    events.commit(was.school_id, told, close)


def _told(message: Message, event_type: EventType, now: datetime, **facts: str | int | None) -> NewEvent:
    """The event of a message's end: it has one of each kind at most."""
    return NewEvent(event_type, f"{event_type.value}#{message.id}", now, {"message": message.id, **facts})


def _exchange(was: Message, becomes: Message, totals: Totals | None, now: datetime) -> None:
    """One transaction: with a new plan the old hold is closed with nothing captured and the new one taken.

    Raises _Moved, AlreadyEntered, CreditsShort, ContractSuspended.
    """
    with Transaction() as write:
        for zone in Zone if totals is not None else ():
            held, needed = was.held.get(zone.value, 0), totals.needed.get(zone, 0) if totals else 0
            closing = _close_entry(was, zone, held, 0, now)
            opening = _hold_entry(becomes, zone, needed, now)
            if held and needed:
                ledger.replace_hold(write, was.school_id, closing, opening)
            elif held:
                ledger.close_hold(write, was.school_id, closing)
            elif needed:
                ledger.hold(write, was.school_id, opening)
        table.save_message(write, becomes, was=was, refused=_Moved())


def _exchange_held(was: Message, sending: Message, now: datetime) -> None:
    with suppress(_Moved):  # done by somebody else, or by us with the answer lost
        _exchange(was, sending, None, now)


def _require_reach_with(message: Message, totals: Totals) -> None:
    """As `require_reach`, with what the message itself holds counted as available."""
    planning.require_reach(message.school_id, totals, held=message.held)


def _hold_entry(message: Message, zone: Zone, count: int, now: datetime) -> Entry:
    cause = f"hold#{message.id}#{message.plan}"
    return Entry(zone, cause, now, message.sent_by or "", -count, count, 0, {"message": message.id})


def _close_entry(message: Message, zone: Zone, held: int, captured: int, now: datetime) -> Entry:
    if not 0 <= captured <= held:
        raise RuntimeError("more captured than was held")  # a defect: never write it
    cause = f"close#{message.id}#{message.plan}"
    return Entry(zone, cause, now, "", held - captured, -held, captured, {"message": message.id})


def _check_contract(school: School, message: Message) -> None:
    """The message centre costs nothing, so it stays open (L4)."""
    if Channel.SMS in message.channels and school.contract is not Contract.ACTIVE:
        raise ContractSuspended


def _check_quiet_hours(school: School, message: Message, order: Order, now: datetime) -> None:
    """Only a text wakes people up; an emergency may."""
    quiet = school_settings.find_settings(school.id).quiet_hours
    if quiet is None or order.despite_quiet_hours or Channel.SMS not in message.channels:
        return
    if message_states.is_emergency(message.category):
        return
    zone, moment = ZoneInfo(school.time_zone), order.send_at or now
    allowed = next_allowed(moment, zone, quiet)
    if allowed > moment:
        raise QuietHoursNow(
            "Schedule it for the next allowed time, or send it with despite_quiet_hours: true",
            members={"next_allowed_at": allowed.isoformat(), "next_allowed_at_local": show_local(allowed, zone)},
        )


def _check_digest(message: Message, order: Order, plan: Plan) -> None:
    """What was shown is what goes out, or nothing does. Raises PlanChanged, which says what has changed."""
    if order.digest is None or order.digest == plan.digest:
        return
    shown = estimates.find_estimate(message.school_id, order.digest)
    raise PlanChanged(members=_what_changed(shown, message, plan))


def _what_changed(shown: ShownEstimate | None, message: Message, plan: Plan) -> dict[str, Any]:
    """What is now, and beside it what was shown: figures, and some of the people of whom something is different."""
    is_now = {"digest": plan.digest, "by_state": plan.totals.by_state(), "credits": dict(plan.totals.credits)}
    if shown is None:
        return {"now": is_now}
    before, after = shown.people, plan.states()
    moved = [one for one in sorted(before.keys() | after.keys()) if before.get(one) != after.get(one)]
    people = [{"id": one, **_difference(before.get(one), after.get(one))} for one in moved[:CHANGES_SHOWN_MAX]]
    was = {"by_state": dict(shown.by_state), "credits": dict(shown.credits)}
    says_else = shown.said != planning.first_totals(message).seal
    return {
        "now": is_now,
        "shown": was,
        "content_changed": says_else,
        "people_changed": len(moved),
        "people": people,
    }


def _difference(before: ShownPerson | None, after: ShownPerson | None) -> dict[str, Any]:
    """A person's state then and now (None: not of the audience), and what it is that differs."""
    was, then, now = ("state", "segments", "number"), before or (None, 0, 0), after or (None, 0, 0)
    changed = [name for name, one, other in zip(was, then, now, strict=True) if one != other]
    return {"was": then[0], "is": now[0], "changed": changed}


def _sender_of(school: School) -> str:
    """The code a school's texts come from: its own, else one its country's schools share; "" where there is none."""
    if school.code:
        return school.code
    shared = (
        code.code
        for code in short_codes.list_codes(school.country)
        if code.purpose is CodePurpose.SCHOOLS and code.school is None and code.state is CodeState.FREE
    )
    return next(shared, "")
