"""A message's way out: its plan becomes its own, its credits are held, its jobs put; in the end its hold is closed."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from recado import (
    background_plans,
    credits,  # noqa: A004  # the school's word
    drafts,
    events,
    holds,
    ids,
    log,
    orders,
    page_jobs,
    planning,
    records,
    scheduling,
)
from recado.errors import ChangedMeanwhile, RecadoError, WrongState
from recado.events import EventsBusy, NewEvent
from recado.holds import Moved
from recado.orders import Order
from recado.planning import LargeAudience, Plan, Totals
from recado.rules import message_states
from recado.rules.credit_bags import Zone
from recado.rules.event_types import EventType
from recado.rules.message_states import MessageState
from recado.rules.short_codes import CodeState
from recado.tables import messages as table
from recado.tables import plannings, short_codes
from recado.tables.base import Transaction
from recado.tables.ledger import AlreadyEntered, CreditsShort
from recado.tables.messages import Message
from recado.tables.plannings import Planning, Purpose
from recado.tables.schools import School
from recado.tables.short_codes import Purpose as CodePurpose

SETTLE_ATTEMPTS_MAX = 3
FIRST_LOOK_AT_RECEIPTS = timedelta(minutes=1)


def accept(school: School, message: Message, order: Order, now: datetime, *, is_new: bool) -> Message:
    """draft → sending or scheduled; or planning, when its audience is too large to be planned while somebody waits.

    Raises ContractSuspended, QuietHoursNow, PlanChanged, NobodyToReach, NotEnoughCredits, InvalidRequest.
    """
    # 1. May it go out at all, then?
    orders.check_contract(school, message)
    orders.check_time(order.send_at, now)
    orders.check_quiet_hours(school, message, order, now)

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
            scheduling.cancel(message, orders.SYSTEM, now)
            return
        if made.refusal is not None or made.totals is None:
            _give_back(message, made.refusal or {}, now)
            return
        plan = Plan(made.plan, Totals.of_row(made.totals))
        _accept_plan(records.get_school(message.school_id), message, order, plan, now, is_new=False)
    except EventsBusy:
        raise  # no refusal: tried again
    except RecadoError as error:
        _give_back(message, refusal_of(error), now)


def is_too_late(message: Message, now: datetime) -> bool:
    """Whether a message that waits for its plan is not worth handing over any more."""
    return now >= (message.send_at or message.accepted_at or now) + orders.life_of(message)


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
            history=drafts.history_with(message, "finished", orders.SYSTEM, now),
        )
        sums = {f"captured_{zone.value}": captured.get(zone.value, 0) for zone in Zone}
        told = holds.told_of(message, EventType.MESSAGE_SENT, now, state=after.value, **sums)
        try:
            holds.close(message, ended, captured, now, told)
        except Moved:
            continue  # stopped in this very moment: read again
        except AlreadyEntered:
            return True
        log.outcome("message_settled", school=school_id, message=message_id, state=after.value, pages=message.all_pages)
        credits.note_balance(school_id, now)
        return True
    return False


def _accept_plan(school: School, message: Message, order: Order, plan: Plan, now: datetime, *, is_new: bool) -> Message:
    # 1. Is it what was shown? Refuse what reaches nobody or what the credits do not reach.
    orders.check_digest(message, order, plan)
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
        give_up_at=start + orders.life_of(message),
        despite_quiet_hours=order.by if order.despite_quiet_hours else None,
        refusal=None,
        history=drafts.history_with(message, "sent" if order.send_at is None else "scheduled", order.by, now),
    )
    totals = plan.totals if plan.chunks is None else planning.write_pages(accepted, plan, now)
    planned = holds.with_plan(accepted, plan, totals)
    is_large = plan.chunks is None
    attend_at = (
        now + page_jobs.LOOK_AGAIN
        if order.send_at is None
        else background_plans.attend_at(start, now, is_large=is_large)
    )
    planned = replace(planned, attend_at=attend_at)

    # 2. One transaction makes the plan the message's: its state, each account, each entry. All or nothing.
    try:
        holds.hold(None if is_new else message, planned, plan.totals, now)
    except (Moved, AlreadyEntered):
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
        page_jobs.enqueue(planned, now)
    credits.note_balance(school.id, now)
    return planned


def _found_instead(message: Message, planned: Message) -> Message:
    """What is there instead of the message that was read. Raises ChangedMeanwhile when it is not what was asked for."""
    found = records.get_message(message.school_id, message.id)
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
        attend_at=now + page_jobs.LOOK_AGAIN,
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
        job_until=now + background_plans.JOB_AGAIN,
    )
    try:
        with Transaction() as write:
            table.save_message(write, waiting, was=None if is_new else message, refused=Moved())
            plannings.create_planning_in(write, begun, was=found, refused=Moved())
    except Moved:
        return _found_instead(message, waiting)
    background_plans.put_planning_job(begun)
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
        history=drafts.history_with(message, "refused", orders.SYSTEM, now),
    )
    code = str(refusal.get("code", "unknown"))
    # No cause of its own: asked to go out again, it may be refused again; the message's state lets it happen once.
    told = NewEvent(EventType.MESSAGE_REFUSED, None, now, {"message": message.id, "code": code})
    try:
        events.commit(
            message.school_id, told, lambda write: table.save_message(write, draft, was=message, refused=Moved())
        )
    except Moved:
        return
    log.outcome("message_refused", school=message.school_id, message=message.id, code=code)


def _adopted_plan(message: Message, order: Order, now: datetime) -> Plan | None:
    """A large estimate that a send may take as it is: the same text and audience, made a moment ago."""
    found = plannings.find_planning(message.school_id, message.id)
    if found is None or found.purpose is not Purpose.ESTIMATE or found.done_at is None or found.totals is None:
        return None
    # Its pages were written to last as if they went out then: a message for another month is planned anew.
    is_soon = order.send_at is None or order.send_at <= now + timedelta(days=1)
    return (
        Plan(found.plan, Totals.of_row(found.totals))
        if is_soon and background_plans.is_fresh(found, message, now)
        else None
    )


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
