"""A scheduled message until it goes out: moved, changed, cancelled, released when its time comes."""

from dataclasses import replace
from datetime import datetime, timedelta

from recado import (
    background_plans,
    credits,  # noqa: A004  # the school's word
    drafts,
    holds,
    ids,
    log,
    orders,
    page_jobs,
    planning,
    records,
)
from recado.errors import AudienceTooLarge, ChangedMeanwhile, ContractSuspended, RecadoError, WrongState
from recado.holds import Moved
from recado.orders import Order
from recado.planning import LargeAudience, Plan, Totals
from recado.rules.event_types import EventType
from recado.rules.message_states import Channel, MessageState
from recado.settings import SETTINGS
from recado.tables import messages as table
from recado.tables import pages, plannings, schools
from recado.tables.ledger import AlreadyEntered, CreditsShort
from recado.tables.messages import Message
from recado.tables.pages import PageKind, PageRef
from recado.tables.plannings import Purpose
from recado.tables.schools import Contract, School

SUSPENDED_LOOK_AGAIN = timedelta(minutes=15)
CANCEL_ATTEMPTS_MAX = 3
PAGES_NEEDED_FOR = timedelta(days=4)  # after a message's time: receipts come for three days


def reschedule(school: School, message: Message, order: Order, now: datetime) -> Message:
    """Moves a scheduled message to another time; what is held stays held.

    Put off for so long that the rows of its plan would be gone by then, it is planned anew.
    """
    orders.check_time(order.send_at, now)
    orders.check_quiet_hours(school, message, order, now)
    if order.send_at is None:
        orders.check_contract(school, message)
    if order.digest is not None:
        orders.check_digest(message, order, _plan_as_it_is(school, message, now))
    start = order.send_at or now
    give_up_at = start + orders.life_of(message)
    moved = replace(
        message,
        send_at=start,
        give_up_at=give_up_at,
        attend_at=background_plans.attend_at(start, now, is_large=background_plans.is_planned_ahead(message)),
        despite_quiet_hours=order.by if order.despite_quiet_hours else None,
        revision=message.revision + 1,  # whoever is just releasing it for the old time must read it again
        history=drafts.history_with(message, "rescheduled", order.by, now),
    )
    until = pages.find_end(_first_page(message))
    if until is None or until < give_up_at + PAGES_NEEDED_FOR:
        return replace_scheduled(school, message, moved, order.by, now)
    if table.change_message(moved, was=message):
        return moved
    found = records.get_message(message.school_id, message.id)
    if found != moved:  # else the change was made, and its answer lost
        raise WrongState(f"The message is {found.state.value}, or somebody else has just changed it")
    return found


def replace_scheduled(school: School, message: Message, edited: Message, by: str, now: datetime) -> Message:
    """A scheduled message says something else, or to others: a new plan, whose hold takes the place of the old one."""
    orders.check_contract(school, edited)
    order = Order(by, message.send_at, despite_quiet_hours=edited.despite_quiet_hours is not None)
    orders.check_quiet_hours(school, edited, order, now)  # what was an emergency may have become a meeting
    try:
        plan = planning.make_plan(school, edited, ids.new_id(), now)
    except LargeAudience:
        detail = "An audience as large as this cannot be changed while it waits: cancel it, and schedule it again"
        raise AudienceTooLarge(detail, members={"limit": SETTINGS.audience_max}) from None
    holds.require_reach_with(message, plan.totals)
    start = edited.send_at or now
    timed = replace(
        edited,
        give_up_at=start + orders.life_of(edited),
        attend_at=background_plans.attend_at(start, now, is_large=False),
        sent_by=by,
    )
    planned = holds.with_plan(timed, plan, planning.write_pages(timed, plan, now))
    try:
        holds.exchange(message, planned, plan.totals, now)
    except (AlreadyEntered, Moved):
        # The old hold is closed: by our own change whose answer was lost, or by another change, release or cancel.
        found = records.get_message(message.school_id, message.id)
        if found.plan == planned.plan:
            return found
        if found.state is MessageState.SCHEDULED:
            raise ChangedMeanwhile from None
        raise WrongState(f"A message that is {found.state.value} cannot be changed") from None
    except CreditsShort:
        holds.require_reach_with(message, plan.totals)
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
            history=drafts.history_with(message, "cancelled" if by != orders.SYSTEM else "expired", by, now),
        )
        because = "asked" if by != orders.SYSTEM else "expired"
        told = holds.told_of(message, EventType.MESSAGE_CANCELLED, now, because=because)
        try:
            holds.close(message, cancelled, {}, now, told)
        except (Moved, AlreadyEntered):
            # Our own, and its answer was lost; or an edit or the release has closed this hold for another plan's.
            found = records.get_message(message.school_id, message.id)
            if found.state is MessageState.CANCELLED:
                return found
            if by == orders.SYSTEM:
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
        history=drafts.history_with(message, "released", orders.SYSTEM, now),
    )
    try:
        if plan is None:
            holds.exchange(message, sending, None, now)
        else:
            totals = plan.totals if plan.chunks is None else planning.write_pages(message, plan, now)
            holds.exchange(message, holds.with_plan(sending, plan, totals), totals, now)
    except CreditsShort:
        holds.exchange_held(message, sending, now)  # what was held goes out, minus whoever opted out meanwhile
    except ContractSuspended:
        table.move_attention(message, now + SUSPENDED_LOOK_AGAIN)  # in this very moment
        return
    except (Moved, AlreadyEntered):
        pass  # done by somebody else, or by us with the answer lost: what is there is read below

    # 3. Out it goes, whoever won the exchange.
    released = records.get_message(message.school_id, message.id)
    if released.state is MessageState.SENDING:
        page_jobs.enqueue(released, now)
        log.outcome("message_released", school=message.school_id, message=message.id, pages=released.all_pages)
    credits.note_balance(message.school_id, now)


def _is_put_off(message: Message, school: School | None, now: datetime) -> bool:
    """Whether a scheduled message does not go out now: too old after an outage, too early, its contract suspended."""
    if message.give_up_at is not None and now >= message.give_up_at:
        cancel(message, orders.SYSTEM, now)
        return True
    if message.send_at is not None and now < message.send_at:
        look_at = background_plans.attend_at(message.send_at, now, is_large=background_plans.is_planned_ahead(message))
        if look_at <= now and background_plans.begin_planning(message, Purpose.RELEASE, now).done_at is None:
            return True  # until it is made it is looked at again and again: whoever plans it may die
        table.move_attention(message, look_at if look_at > now else message.send_at)
        return True
    if school is None or (Channel.SMS in message.channels and school.contract is not Contract.ACTIVE):
        table.move_attention(message, now + SUSPENDED_LOOK_AGAIN)
        return True
    return False


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
        found.started_at + background_plans.PLAN_AHEAD + background_plans.ADOPTED_WITHIN
    )
    return Plan(found.plan, Totals.of_row(found.totals)) if is_for_this else None


def _first_page(message: Message) -> PageRef:
    number = next(message.page_numbers(), 0)
    return PageRef(PageKind.MESSAGE, message.school_id, message.id, message.plan or "", number)
