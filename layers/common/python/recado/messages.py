"""A school's messages as its people ask for them: draft, edit, send, schedule, cancel, stop, send again, look.

Who may is decided here; what that does to credits and jobs is `sending.py`'s and `scheduling.py`'s.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from recado import drafts, orders, page_jobs, scheduling, sending, templates
from recado.access import Caller, first_master
from recado.drafts import NewMessage
from recado.errors import (
    ChangedMeanwhile,
    FieldProblem,
    IdempotencyKeyReused,
    InvalidRequest,
    NotAllowed,
    NotAllowedToSend,
    NotFound,
    RecadoError,
    WrongState,
)
from recado.orders import Order
from recado.records import get_message, get_school
from recado.rules import message_states, roles, signatures
from recado.rules.message_states import Category, Channel, MessageState
from recado.tables import groups, replies, school_settings
from recado.tables import messages as table
from recado.tables.messages import Message
from recado.tables.replies import Reply, ReplyFilter
from recado.tables.schools import School

DATA_CHECK_TEXTS = {
    "es": "Por favor, revise en la intranet que su número de teléfono y sus demás datos estén al día, y corríjalos si "
    "cambiaron: así el colegio puede avisarle a tiempo.",
    "en": "Please check in the intranet that your phone number and your other data are up to date, and correct them if "
    "they have changed: then the school can tell you in time.",
}
CURSOR = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}\+00:00#[A-Za-z0-9]{1,64}")
ON_ITS_WAY = (MessageState.PLANNING, MessageState.SENDING, MessageState.STOPPING, MessageState.SENT)


def create(caller: Caller, new: NewMessage, key: str, now: datetime, *, key_is_first: bool) -> Message:
    """Makes a draft, or sends or schedules in one go. The id follows from the key: asking again finds the same."""
    # 1. Who may (L2).
    require_sender(caller)
    school = get_school(caller.school_id)

    # 2. Made before, by a request whose answer was lost? Then carry that one on, whatever has changed since.
    message_id = signatures.message_id(first_master(), school.id, key)
    found = table.find_message(school.id, message_id)
    if found is not None and key_is_first:
        raise IdempotencyKeyReused
    if found is None:
        orders.check_time(new.send_at, now, "/send/at")
    draft = found or drafts.compose(school, message_id, new, caller.subject, now)

    # 3. A draft is only kept; anything else goes out or waits for its time.
    if new.send:
        order = Order(caller.subject, new.send_at, new.digest, new.despite_quiet_hours)
        return _send(school, draft, order, now, is_new=found is None)
    if found is None and not table.create_message(draft):
        return get_message(school.id, message_id)
    return draft


def create_again(
    caller: Caller, message_id: str, states: Sequence[str], key: str, now: datetime, *, key_is_first: bool
) -> Message:
    """A draft of the same message for whom it did not reach: its own estimate, its own price. Raises WrongState."""
    require_sender(caller)
    first = get_message(caller.school_id, message_id)
    if first.plan is None or first.state not in (*message_states.FINAL, MessageState.SENDING, MessageState.STOPPING):
        raise WrongState(f"A message that is {first.state.value} has reached nobody yet: there is no again")
    new = NewMessage(
        text=first.text,
        category=first.category,
        audience={"again_of": [message_id], "again_states": sorted(set(states) or drafts.NOT_REACHED)},
        channels=tuple(first.channels),
        notice_confirmed=first.notice_confirmed,
        send=False,
        send_at=None,
        drop_accents=first.drop_accents,
        inbox_for_unreachable=False,
        template=first.template,
    )
    return create(caller, new, key, now, key_is_first=key_is_first)


def create_data_check(caller: Caller, group_id: str, key: str, now: datetime, *, key_is_first: bool) -> Message:
    """Asks a group's students and guardians, in their message centre and for nothing, to check their data (L14)."""
    require_sender(caller)
    if groups.find_group(caller.school_id, group_id) is None:
        raise NotFound("There is no such group")
    language = school_settings.find_settings(caller.school_id).language
    new = NewMessage(
        text=DATA_CHECK_TEXTS[language.value],
        category=Category.NOTICE,
        audience={"who": ["guardians", "students"], "groups": [group_id]},
        channels=(Channel.INBOX.value,),
        notice_confirmed=False,
        send=True,
        send_at=None,
    )
    return create(caller, new, key, now, key_is_first=key_is_first)


def content_of(
    caller: Caller,
    text: str | None,
    category: Category | None,
    template: tuple[str, int | None] | None,
    *,
    drop_accents: bool,
) -> tuple[str, Category, Mapping[str, str | int] | None, bool]:
    """Text, category, which version of which template, and whether accents are dropped: as said, or as it says."""
    require_sender(caller)
    if template is None:
        if text is None or category is None:
            raise RuntimeError("the request's shape asks for both")
        return text, category, None, drop_accents
    template_id, version = template
    try:
        found = templates.get_version(caller.school_id, template_id, version)
    except NotFound:
        raise InvalidRequest(
            fields=[FieldProblem("/template", "no_such_template", "The school has no such template or version")]
        ) from None
    if found.archived_at is not None:
        raise InvalidRequest(fields=[FieldProblem("/template", "archived", "This template is not offered any more")])
    made_from: dict[str, str | int] = {"id": found.id, "version": found.version}
    return found.text, category or found.category, made_from, drop_accents or found.drop_accents


def edit(caller: Caller, message_id: str, new: NewMessage, now: datetime, *, revision: int | None = None) -> Message:
    """Changes a draft, or what a scheduled message is to say and to whom: then its hold is exchanged for a new one.

    With `revision`, only the message as it was when its editor looked at it.
    """
    # 1. Who may, and is it still what they looked at?
    require_sender(caller)
    message = get_message(caller.school_id, message_id)
    if message.state not in (MessageState.DRAFT, MessageState.SCHEDULED):
        raise WrongState(f"A message that is {message.state.value} cannot be changed")
    if revision is not None and revision != message.revision:
        raise ChangedMeanwhile
    school = get_school(caller.school_id)
    edited = drafts.edited(message, school, new, caller.subject, now)

    # 2. A scheduled one takes a new plan and hold with it.
    if message.state is MessageState.SCHEDULED:
        return scheduling.replace_scheduled(school, message, edited, caller.subject, now)
    if table.change_message(edited, was=message):
        return edited
    found = get_message(caller.school_id, message_id)
    if found != edited:  # else the change was made, and its answer lost
        raise ChangedMeanwhile
    return found


def send(
    caller: Caller,
    message_id: str,
    send_at: datetime | None,
    now: datetime,
    *,
    digest: str | None = None,
    despite_quiet_hours: bool = False,
) -> Message:
    """Sends or schedules a draft; a scheduled one goes out now, or at another time.

    One that is on its way already is answered as it is: nobody pays twice.
    """
    require_sender(caller)
    message = get_message(caller.school_id, message_id)
    drafts.check_notice(message.category, message.channels, confirmed=message.notice_confirmed)
    school = get_school(caller.school_id)
    order = Order(caller.subject, send_at, digest, despite_quiet_hours)
    if message.state is MessageState.SCHEDULED and message.send_at != send_at:
        moved = scheduling.reschedule(school, message, order, now)
        if send_at is None:
            scheduling.release_due(moved, now)
        return get_message(school.id, message_id)
    if message.state is MessageState.PLANNING and message.send_at != send_at:
        raise WrongState("It is being planned for another time; wait until it is scheduled, then move it")
    if message.state in ON_ITS_WAY and send_at is None:
        return _push(message, now)
    return _send(school, message, order, now, is_new=False)


def cancel(caller: Caller, message_id: str, now: datetime) -> Message:
    """Cancels a scheduled message and gives its credits back; cancelled already is answered as it is."""
    require_sender(caller)
    message = get_message(caller.school_id, message_id)
    if message.state is MessageState.CANCELLED:
        return message
    if message.state not in (MessageState.SCHEDULED, MessageState.PLANNING):
        raise WrongState(f"A message that is {message.state.value} cannot be cancelled")
    return scheduling.cancel(message, caller.subject, now)


def stop(caller: Caller, message_id: str, now: datetime) -> Message:
    """Stops a message in flight: no wave claimed after this has answered is spoken. It moves no money by itself."""
    require_sender(caller)
    message = get_message(caller.school_id, message_id)
    if message.state in (MessageState.STOPPING, MessageState.STOPPED):
        return message
    if message.state is not MessageState.SENDING:
        raise WrongState(f"A message that is {message.state.value} cannot be stopped")
    stopping = replace(
        message,
        state=MessageState.STOPPING,
        stopped_by=caller.subject,
        attend_at=now,
        history=drafts.history_with(message, "stopped", caller.subject, now),
    )
    if table.change_message(stopping, was=message):
        return stopping
    found = get_message(caller.school_id, message_id)
    if found.state not in (MessageState.STOPPING, MessageState.STOPPED):
        raise WrongState(f"A message that is {found.state.value} cannot be stopped")
    return found


def list_recent(caller: Caller, *, limit: int, before: str | None) -> tuple[list[Message], str | None]:
    """The school's messages, newest first, and the cursor of the next page (None: no more)."""
    require_reader(caller)
    if before is not None and not _is_place(before):
        raise InvalidRequest(fields=[FieldProblem("/query/before", "malformed", "`next` of the page before")])
    _check_cursor(before)
    return table.list_messages(caller.school_id, limit=limit, before=before)


def list_replies(
    caller: Caller, wanted: ReplyFilter = replies.ANY, *, limit: int, before: str | None
) -> tuple[list[Reply], str | None]:
    """What families answered, newest first, and the cursor of the next page; with a filter a page may be short."""
    require_reader(caller)
    if wanted.since and wanted.until and wanted.until <= wanted.since:
        raise InvalidRequest(fields=[FieldProblem("/query/until", "range", "After `since`")])
    if before is not None and not _is_place(before):
        raise InvalidRequest(fields=[FieldProblem("/query/before", "malformed", "`next` of the page before")])
    return replies.list_replies(caller.school_id, wanted=wanted, limit=limit, before=before)


def get_reply(caller: Caller, reply_id: str) -> Reply:
    """One of them. Raises NotFound, also for another school's."""
    require_reader(caller)
    found = replies.find_reply(caller.school_id, reply_id)
    if found is None:
        raise NotFound("There is no such reply")
    return found


def _is_place(before: str) -> bool:
    """Whether it is a cursor of the list: a moment and an id."""
    moment, _, message_id = before.partition("#")
    try:
        return message_id != "" and datetime.fromisoformat(moment).tzinfo is not None
    except ValueError:
        return False


def require_sender(caller: Caller) -> None:
    """L2. Raises NotAllowedToSend."""
    if not roles.may_send(caller.role):
        raise NotAllowedToSend


def require_reader(caller: Caller) -> None:
    if not roles.may_read_messages(caller.role):
        raise NotAllowed


def _send(school: School, message: Message, order: Order, now: datetime, *, is_new: bool) -> Message:
    # On its way already (a lost answer, an impatient finger): finish what is owed, answer what is.
    if message.state is not MessageState.DRAFT:
        if message.send_at != order.send_at or message.state in (MessageState.CANCELLED, MessageState.STOPPED):
            raise WrongState(f"The message is {message.state.value}")
        return _push(message, now)
    try:
        return sending.accept(school, message, order, now, is_new=is_new)
    except RecadoError:
        found = table.find_message(school.id, message.id)
        if found is None or found.state is MessageState.DRAFT:
            raise
        # Refused only because another request for this very message was quicker.
        return _send(school, found, order, now, is_new=False)


def _check_cursor(before: str | None) -> None:
    """Raises InvalidRequest for what was never the `next` of a list of messages."""
    try:
        if before is None or (CURSOR.fullmatch(before) and datetime.fromisoformat(before.partition("#")[0])):
            return
    except ValueError:  # 31 February
        pass
    raise InvalidRequest(fields=[FieldProblem("/query/before", "malformed", "`next` of the page before")])


def _push(message: Message, now: datetime) -> Message:
    if message.state is MessageState.SENDING and message.pages_enqueued < message.all_pages:
        page_jobs.enqueue(message, now)
    return message
