"""A school's messages: draft, send, schedule, cancel, stop, settle. Money moves here and nowhere else for a message.

Every step that writes is keyed by its cause, so repeating it, after a lost answer or a death, changes nothing.
"""

import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from recado import ids, log, planning
from recado.access import Caller, first_master
from recado.errors import (
    ContractSuspended,
    FieldProblem,
    IdempotencyKeyReused,
    InvalidRequest,
    NotAllowed,
    NotAllowedToSend,
    NotFound,
    NoticeNeedsConfirming,
    RecadoError,
    WrongState,
)
from recado.planning import Plan
from recado.queues import put_jobs
from recado.rules import delivery_states, message_states, roles, segments, signatures
from recado.rules.credit_bags import Zone
from recado.rules.delivery_states import RecipientState
from recado.rules.message_states import Category, MessageState
from recado.rules.short_codes import CodeState
from recado.settings import SETTINGS
from recado.tables import groups, ledger, pages, replies, schools, short_codes
from recado.tables import messages as table
from recado.tables.base import Transaction
from recado.tables.ledger import AlreadyEntered, CreditsShort, Entry
from recado.tables.messages import Message
from recado.tables.pages import PageKind, PageRef
from recado.tables.replies import Reply
from recado.tables.schools import Contract, School
from recado.tables.short_codes import Purpose

SEGMENTS_MAX = 10  # a text of more parts arrives torn on many handsets; carriers refuse it
SCHEDULE_AHEAD_MAX = timedelta(days=365)
LOOK_AGAIN = timedelta(seconds=30)  # well before the attention run's next minute, or it would miss every other one
SUSPENDED_LOOK_AGAIN = timedelta(minutes=15)
RECEIPTS_PATIENCE = timedelta(hours=72)  # carriers report for three days; after that `sent` is `unknown`
SETTLE_ATTEMPTS_MAX = 3


class _Moved(Exception):  # a signal between two steps here
    """The message's state or plan is no longer what was read."""


@dataclass(frozen=True, slots=True)
class NewMessage:
    """What a portal asks for. `send_at` None with `send`: now."""

    text: str
    category: Category
    audience: Mapping[str, list[str]]
    channels: tuple[str, ...]
    notice_confirmed: bool
    send: bool
    send_at: datetime | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message and what became of its recipients: how many are in each state."""

    message: Message
    counts: Mapping[RecipientState, int]


def create(caller: Caller, new: NewMessage, key: str, now: datetime, *, key_is_first: bool) -> Message:
    """Makes a draft, or sends or schedules in one go. The id follows from the key: asking again finds the same."""
    # 1. Who may (L2).
    _require_sender(caller)
    school = _school(caller.school_id)

    # 2. Made before, by a request whose answer was lost? Then carry that one on, whatever has changed since.
    message_id = signatures.message_id(first_master(), school.id, key)
    found = table.find_message(school.id, message_id)
    if found is not None and key_is_first:
        raise IdempotencyKeyReused
    draft = found or _new_draft(school, message_id, new, caller.subject, now)

    # 3. A draft is only kept; anything else goes out or waits for its time.
    if new.send:
        return _send(school, draft, new.send_at, caller.subject, now, is_new=found is None)
    if found is None and not table.create_message(draft):
        return get(school.id, message_id)
    return draft


def send(caller: Caller, message_id: str, send_at: datetime | None, now: datetime) -> Message:
    """Sends or schedules a draft. One that is on its way already is answered as it is: nobody pays twice."""
    _require_sender(caller)
    message = get(caller.school_id, message_id)
    _check_notice(message.category, confirmed=message.notice_confirmed)
    return _send(_school(caller.school_id), message, send_at, caller.subject, now, is_new=False)


def cancel(caller: Caller, message_id: str, now: datetime) -> Message:
    """Cancels a scheduled message and gives its credits back; cancelled already is answered as it is."""
    _require_sender(caller)
    message = get(caller.school_id, message_id)
    if message.state is MessageState.CANCELLED:
        return message
    if message.state is not MessageState.SCHEDULED:
        raise WrongState(f"A message that is {message.state.value} cannot be cancelled")
    return _cancel(message, caller.subject, now)


def stop(caller: Caller, message_id: str, now: datetime) -> Message:
    """Stops a message in flight: no wave claimed after this has answered is spoken. It moves no money by itself."""
    _require_sender(caller)
    message = get(caller.school_id, message_id)
    if message.state in (MessageState.STOPPING, MessageState.STOPPED):
        return message
    if message.state is not MessageState.SENDING:
        raise WrongState(f"A message that is {message.state.value} cannot be stopped")
    stopping = replace(message, state=MessageState.STOPPING, cancelled_by=caller.subject, attend_at=now)
    try:
        with Transaction() as write:
            table.save_message(write, stopping, was=message, refused=_Moved())
    except _Moved:
        found = get(caller.school_id, message_id)
        if found.state not in (MessageState.STOPPING, MessageState.STOPPED):
            raise WrongState(f"A message that is {found.state.value} cannot be stopped") from None
        return found
    return stopping


def get(school_id: str, message_id: str) -> Message:
    """Raises NotFound, also for what belongs to another school (invariant 7)."""
    message = table.find_message(school_id, message_id)
    if message is None:
        raise NotFound
    return message


def get_delivery(caller: Caller, message_id: str, now: datetime) -> Delivery:
    """A message with its recipients counted per state, as its pages say now."""
    if not roles.may_read_messages(caller.role):
        raise NotAllowed
    message = get(caller.school_id, message_id)
    return Delivery(message, _count(message, now))


def list_recent(caller: Caller, *, limit: int, before: datetime | None) -> list[Message]:
    """The school's messages, newest first."""
    if not roles.may_read_messages(caller.role):
        raise NotAllowed
    return table.list_messages(caller.school_id, limit=limit, before=before)


def list_replies(caller: Caller, *, limit: int, before: str | None) -> tuple[list[Reply], str | None]:
    """What families answered, newest first, and the cursor of the next page."""
    if not roles.may_read_messages(caller.role):
        raise NotAllowed
    return replies.list_replies(caller.school_id, limit=limit, before=before)


def enqueue(message: Message, now: datetime) -> None:
    """Puts the jobs that are not on the queue yet; a page enqueued twice is worked once."""
    jobs = (
        job_of(PageRef(PageKind.MESSAGE, message.school_id, message.id, message.plan or "", page), 1)
        for page in range(message.pages_enqueued, message.pages)
    )
    put_jobs(queue_of(message.category), jobs, group=message.school_id)
    table.note_enqueued(message, message.pages, now + LOOK_AGAIN)


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


def release_due(message: Message, now: datetime) -> None:
    """A scheduled message whose time has come: planned again, its hold exchanged, its jobs enqueued."""
    if message.state is not MessageState.SCHEDULED:
        return  # released already: planned again now, it would go out twice

    # 1. Too old after an outage, or a suspended contract: it waits, and in the end gives its credits back.
    if message.give_up_at is not None and now >= message.give_up_at:
        _cancel(message, "expired", now)
        return
    school = schools.find_school(message.school_id)
    if school is None or school.contract is not Contract.ACTIVE:
        table.move_attention(message, now + SUSPENDED_LOOK_AGAIN)
        return

    # 2. People move and numbers change: the audience as it is now, unless nothing changed or credits do not reach.
    plan = _replan(school, message)
    sending = replace(message, state=MessageState.SENDING, accepted_at=now, pages_enqueued=0, attend_at=now)
    if plan is None:
        _exchange(message, sending, None, now)
    else:
        page_count = planning.write_pages(message, plan, now)
        planned = _planned(sending, plan, page_count)
        try:
            _exchange(message, planned, plan, now)
        except CreditsShort:
            _exchange(message, sending, None, now)  # what was held goes out, minus whoever opted out meanwhile

    # 3. Out it goes, whoever won the exchange.
    released = get(message.school_id, message.id)
    if released.state is MessageState.SENDING:
        enqueue(released, now)
        log.outcome("message_released", school=message.school_id, message=message.id, pages=released.pages)


def settle(school_id: str, message_id: str, now: datetime) -> bool:
    """Closes the hold once every page is closed: captures what the carrier took, releases the rest. True: settled."""
    for _ in range(SETTLE_ATTEMPTS_MAX):
        # 1. Are all its pages closed?
        message = table.find_message(school_id, message_id)
        if message is None or message.state not in (MessageState.SENDING, MessageState.STOPPING):
            return message is not None and message.state in message_states.FINAL
        totals = table.read_totals(school_id, message_id, pages=message.pages)
        if totals.pages_closed < message.pages:
            return False
        # 2. One transaction: the message ends, each account's hold closes.
        after = MessageState.SENT if message.state is MessageState.SENDING else MessageState.STOPPED
        captured = {zone.value: totals.captured[zone] for zone in Zone if zone.value in message.held}
        ended = replace(message, state=after, captured=captured, finished_at=now, attend_at=None)
        try:
            _close(message, ended, captured, now)
        except _Moved:
            continue  # stopped in this very moment: read again
        except AlreadyEntered:
            return True
        log.outcome("message_settled", school=school_id, message=message_id, state=after.value, pages=message.pages)
        return True
    return False


def _send(
    school: School, message: Message, send_at: datetime | None, by: str, now: datetime, *, is_new: bool
) -> Message:
    # On its way already (a lost answer, an impatient finger): finish what is owed, answer what is.
    if message.state is not MessageState.DRAFT:
        if message.send_at != send_at or message.state in (MessageState.CANCELLED, MessageState.STOPPED):
            raise WrongState(f"The message is {message.state.value}")
        if message.state is MessageState.SENDING and message.pages_enqueued < message.pages:
            enqueue(message, now)
        return message
    try:
        return _accept(school, message, send_at, by, now, is_new=is_new)
    except RecadoError:
        found = table.find_message(school.id, message.id)
        if found is None or found.state is MessageState.DRAFT:
            raise
        # Refused only because another request for this very message was quicker.
        return _send(school, found, send_at, by, now, is_new=False)


def _accept(
    school: School, message: Message, send_at: datetime | None, by: str, now: datetime, *, is_new: bool
) -> Message:
    # 1. May it go out at all?
    if school.contract is not Contract.ACTIVE:
        raise ContractSuspended
    _check_time(send_at, now)

    # 2. Plan it; refuse what reaches nobody or what the credits do not reach.
    plan = planning.make_plan(school, message, ids.new_id())
    _check_people(message, plan)
    planning.require_reach(school.id, plan)
    after = MessageState.SENDING if send_at is None else MessageState.SCHEDULED
    start = send_at or now
    accepted = replace(
        message,
        state=after,
        sender=_sender_of(school),
        sent_by=by,
        accepted_at=now,
        send_at=send_at,
        give_up_at=start + message_states.default_expires_after(message.category),
        attend_at=now + LOOK_AGAIN if send_at is None else send_at,
    )
    planned = _planned(accepted, plan, planning.write_pages(accepted, plan, now))

    # 3. One transaction makes the plan the message's: its state, each account, each entry. All or nothing.
    try:
        _hold(None if is_new else message, planned, plan, now)
    except AlreadyEntered:
        pass  # our own, and its answer was lost
    except _Moved:
        return get(school.id, message.id)  # another request won; it enqueues
    except CreditsShort:
        planning.require_reach(school.id, plan)  # says how many are missing now
        raise WrongState("Credits moved at the same moment; try again") from None

    # 4. The jobs; from here on the attention run takes up whatever does not move.
    log.outcome(
        "message_accepted",
        school=school.id,
        message=message.id,
        state=after.value,
        recipients=planned.recipients,
        pages=planned.pages,
    )
    if after is MessageState.SENDING:
        enqueue(planned, now)
    return planned


def _new_draft(school: School, message_id: str, new: NewMessage, by: str, now: datetime) -> Message:
    # Composed: a decomposed ñ would leave GSM-7 and cost double, and look the same.
    text = unicodedata.normalize("NFC", new.text)
    _check_text(text)
    _check_notice(new.category, confirmed=new.notice_confirmed)
    _check_audience(school.id, new.audience)
    return Message(
        school_id=school.id,
        id=message_id,
        state=MessageState.DRAFT,
        category=new.category,
        text=text,
        channels=new.channels,
        audience=new.audience,
        notice_confirmed=new.notice_confirmed,
        created_by=by,
        created_at=now,
    )


def _planned(message: Message, plan: Plan, page_count: int) -> Message:
    return replace(
        message,
        plan=plan.id,
        pages=page_count,
        pages_enqueued=0,
        recipients=len(plan.resolution.recipients),
        segments=plan.segments,
        skipped=plan.skipped,
        held={zone.value: count for zone, count in plan.needed.items()},
        digest=plan.digest,
    )


def _hold(was: Message | None, planned: Message, plan: Plan, now: datetime) -> None:
    with Transaction() as write:
        for zone, count in plan.needed.items():
            ledger.hold(write, planned.school_id, _hold_entry(planned, zone, count, now))
        table.save_message(write, planned, was=was, refused=_Moved())


def _close(was: Message, ended: Message, captured: Mapping[str, int], now: datetime) -> None:
    with Transaction() as write:
        for zone, held in was.held.items():
            ledger.close_hold(write, was.school_id, _close_entry(was, Zone(zone), held, captured.get(zone, 0), now))
        table.save_message(write, ended, was=was, refused=_Moved())


def _exchange(was: Message, sending: Message, plan: Plan | None, now: datetime) -> None:
    """scheduled → sending; with a new plan the old hold is closed with nothing captured and the new one taken."""
    try:
        with Transaction() as write:
            for zone in Zone if plan is not None else ():
                held, needed = was.held.get(zone.value, 0), plan.needed.get(zone, 0) if plan else 0
                closing = _close_entry(was, zone, held, 0, now)
                opening = _hold_entry(sending, zone, needed, now)
                if held and needed:
                    ledger.replace_hold(write, was.school_id, closing, opening)
                elif held:
                    ledger.close_hold(write, was.school_id, closing)
                elif needed:
                    ledger.hold(write, was.school_id, opening)
            table.save_message(write, sending, was=was, refused=_Moved())
    except (_Moved, AlreadyEntered):
        pass  # done by somebody else, or by us with the answer lost: the caller reads what is


def _replan(school: School, message: Message) -> Plan | None:
    """A new plan when it differs from the held one, reaches somebody, and can be made; None: keep the held one."""
    try:
        plan = planning.make_plan(school, message, ids.new_id())
    except RecadoError as error:
        log.trouble("replanning_refused", error, school=school.id, message=message.id)
        return None
    if plan.digest == message.digest or not plan.resolution.recipients:
        return None
    return plan


def _cancel(message: Message, by: str, now: datetime) -> Message:
    cancelled = replace(
        message, state=MessageState.CANCELLED, cancelled_by=by, finished_at=now, attend_at=None, captured={}
    )
    try:
        _close(message, cancelled, {}, now)
    except AlreadyEntered:
        return get(message.school_id, message.id)
    except _Moved:
        found = get(message.school_id, message.id)
        raise WrongState(f"A message that is {found.state.value} cannot be cancelled") from None
    log.outcome("message_cancelled", school=message.school_id, message=message.id)
    return cancelled


def _hold_entry(message: Message, zone: Zone, count: int, now: datetime) -> Entry:
    cause = f"hold#{message.id}#{message.plan}"
    return Entry(zone, cause, now, message.sent_by or "", -count, count, 0, {"message": message.id})


def _close_entry(message: Message, zone: Zone, held: int, captured: int, now: datetime) -> Entry:
    if not 0 <= captured <= held:
        raise RuntimeError("more captured than was held")  # a defect: never write it
    cause = f"close#{message.id}#{message.plan}"
    return Entry(zone, cause, now, "", held - captured, -held, captured, {"message": message.id})


def _count(message: Message, now: datetime) -> dict[RecipientState, int]:
    if message.plan is None:
        return {}
    if message.state is MessageState.SCHEDULED:
        return {RecipientState.QUEUED: message.recipients}
    if message.state is MessageState.CANCELLED:
        return {RecipientState.NOT_SENT: message.recipients}
    refs = [
        PageRef(PageKind.MESSAGE, message.school_id, message.id, message.plan, page) for page in range(message.pages)
    ]
    counts: Counter[RecipientState] = Counter()
    for _, state, receipts in pages.list_states(refs):
        parts = [message.segments] * len(state.letters)
        counts.update(
            delivery_states.count_states(state.letters, parts, {name.value: found for name, found in receipts.items()})
        )
    if message.accepted_at is not None and now - (message.send_at or message.accepted_at) >= RECEIPTS_PATIENCE:
        counts[RecipientState.UNKNOWN] += counts.pop(RecipientState.SENT, 0)
    return {state: count for state, count in counts.items() if count}


def _school(school_id: str) -> School:
    school = schools.find_school(school_id)
    if school is None:
        raise NotFound("There is no such school")
    return school


def _sender_of(school: School) -> str:
    """The code a school's texts come from: its own, else one its country's schools share; "" where there is none."""
    if school.code:
        return school.code
    shared = (
        code.code
        for code in short_codes.list_codes(school.country)
        if code.purpose is Purpose.SCHOOLS and code.school is None and code.state is CodeState.FREE
    )
    return next(shared, "")


def _require_sender(caller: Caller) -> None:
    if not roles.may_send(caller.role):
        raise NotAllowedToSend


def _check_text(text: str) -> None:
    if not text.strip():
        raise InvalidRequest(fields=[FieldProblem("/text", "empty", "A message needs a text")])
    # Cc: control characters; Cs: half a surrogate pair, which no encoding can carry.
    if any(unicodedata.category(one) in ("Cc", "Cs") and one not in "\n\r" for one in text):
        raise InvalidRequest(fields=[FieldProblem("/text", "control_character", "Control characters cannot be sent")])
    found = segments.measure(text).segments
    if found > SEGMENTS_MAX:
        detail = f"It takes {found} segments; {SEGMENTS_MAX} are the most"
        raise InvalidRequest(fields=[FieldProblem("/text", "too_long", detail)])


def _check_notice(category: Category, *, confirmed: bool) -> None:
    if category is Category.NOTICE and not confirmed:
        raise NoticeNeedsConfirming(
            "Send it to the message centre, free, or confirm with confirm_notice_by_sms: true",
            members={"message_centre_credits": 0},
        )


def _check_time(send_at: datetime | None, now: datetime) -> None:
    if send_at is None:
        return
    if send_at <= now:
        raise InvalidRequest(fields=[FieldProblem("/send/at", "in_the_past", "The time has passed")])
    if send_at > now + SCHEDULE_AHEAD_MAX:
        raise InvalidRequest(fields=[FieldProblem("/send/at", "too_far", "At most 365 days ahead")])


def _check_audience(school_id: str, audience: Mapping[str, list[str]]) -> None:
    """A group that does not exist is a mistake to be told, not an audience of nobody."""
    problems = [
        FieldProblem(f"/audience/{field}/{position}", "no_such_group", "The school has no such group")
        for field in ("groups", "minus_groups")
        for position, group_id in enumerate(audience.get(field, []))
        if groups.find_group(school_id, group_id) is None
    ]
    if problems:
        raise InvalidRequest(fields=problems)


def _check_people(message: Message, plan: Plan) -> None:
    """Somebody named who is not there is a mistake to be told, not a text that silently goes nowhere."""
    known = {person_id for one in plan.resolution.recipients for person_id in one.person_ids}
    known |= {one.person_id for one in plan.resolution.skipped}
    excepted = set(message.audience.get("minus_people", []))
    problems = [
        FieldProblem(f"/audience/people/{position}", "no_such_person", "The school has no such person")
        for position, person_id in enumerate(message.audience.get("people", []))
        if person_id not in known | excepted
    ]
    if problems and not message.audience.get("minus_groups"):
        raise InvalidRequest(fields=problems)
