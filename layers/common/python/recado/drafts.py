"""A message as somebody composes it: what it may say, by which ways, to whom. Nothing here costs or sends anything."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from recado.errors import FieldProblem, InvalidRequest, NoticeNeedsConfirming
from recado.rules import texts
from recado.rules.delivery_states import RecipientState
from recado.rules.message_states import Category, Channel, MessageState
from recado.tables import groups, people
from recado.tables import messages as table
from recado.tables.messages import HISTORY_MAX, Message
from recado.tables.schools import School

# Whom "send it again" means when it does not say: those who surely have not got it, and may yet.
NOT_REACHED = (
    RecipientState.UNREACHABLE.value,
    RecipientState.EXPIRED.value,
    RecipientState.NOT_SENT.value,
    RecipientState.STOPPED.value,
)


@dataclass(frozen=True, slots=True)
class NewMessage:
    """What a portal asks for. `send_at` None with `send`: now. `digest` is of the estimate that was shown."""

    text: str
    category: Category
    audience: Mapping[str, list[str]]
    channels: tuple[str, ...]
    notice_confirmed: bool
    send: bool
    send_at: datetime | None
    drop_accents: bool = False
    inbox_for_unreachable: bool = False
    expires_after_minutes: int | None = None
    template: Mapping[str, str | int] | None = None
    digest: str | None = None
    despite_quiet_hours: bool = False

    def at(self, send_at: datetime) -> "NewMessage":
        """The same, to go out then."""
        return replace(self, send_at=send_at)


def compose(school: School, message_id: str, new: NewMessage, by: str, now: datetime) -> Message:
    """The draft somebody asks for. Raises InvalidRequest, NoticeNeedsConfirming."""
    text = texts.compose(new.text)
    if Channel.SMS in new.channels:
        texts.check_text(text, drop_accents=new.drop_accents)
    else:
        texts.check_words(text)  # a screen has no segments
    check_notice(new.category, new.channels, confirmed=new.notice_confirmed)
    _check_audience(school.id, new.audience)
    return Message(
        school_id=school.id,
        id=message_id,
        state=MessageState.DRAFT,
        category=new.category,
        text=text,
        channels=tuple(dict.fromkeys(new.channels)),
        audience=new.audience,
        notice_confirmed=new.notice_confirmed,
        drop_accents=new.drop_accents,
        inbox_for_unreachable=new.inbox_for_unreachable and Channel.SMS in new.channels,
        template=new.template,
        expires_after_minutes=new.expires_after_minutes,
        created_by=by,
        created_at=now,
        history=({"act": "created", "by": by, "at": now.isoformat()},),
    )


def edited(message: Message, school: School, new: NewMessage, by: str, now: datetime) -> Message:
    """The message as it is to be, with what has been done to it kept."""
    draft = compose(school, message.id, new, message.created_by, message.created_at)
    return replace(
        message,
        category=draft.category,
        text=draft.text,
        channels=draft.channels,
        audience=draft.audience,
        notice_confirmed=draft.notice_confirmed,
        drop_accents=draft.drop_accents,
        inbox_for_unreachable=draft.inbox_for_unreachable,
        template=draft.template,
        expires_after_minutes=draft.expires_after_minutes,
        revision=message.revision + 1,
        refusal=None,
        history=history_with(message, "edited", by, now),
    )


def history_with(message: Message, act: str, by: str, now: datetime) -> tuple[Mapping[str, str], ...]:
    """What was done to a message, with one thing more; of very many the oldest are forgotten, but not the creation."""
    history = (*message.history, {"act": act, "by": by, "at": now.isoformat()})
    return history if len(history) <= HISTORY_MAX else (history[0], *history[-HISTORY_MAX + 1 :])


def check_notice(category: Category, channels: tuple[str, ...], *, confirmed: bool) -> None:
    """L1: an everyday notice costs credits by SMS only when its sender says so. Raises NoticeNeedsConfirming."""
    if category is Category.NOTICE and Channel.SMS in channels and not confirmed:
        raise NoticeNeedsConfirming(
            "Send it to the message centre, free, or confirm with confirm_notice_by_sms: true",
            members={"message_centre_credits": 0},
        )


def _check_audience(school_id: str, audience: Mapping[str, list[str]]) -> None:
    """Somebody or a group that is not there is a mistake to be told, not an audience of nobody."""
    has_groups = audience.get("groups") or audience.get("minus_groups")
    there = {group.record.id for group in groups.list_groups(school_id)} if has_groups else set()
    problems = [
        FieldProblem(f"/audience/{field}/{position}", "no_such_group", "The school has no such group")
        for field in ("groups", "minus_groups")
        for position, group_id in enumerate(audience.get(field, []))
        if group_id not in there
    ]
    named = audience.get("people", [])
    known = {person.id for person in people.list_people_by_id(school_id, named) if person.left_at is None}
    problems += [
        FieldProblem(f"/audience/people/{position}", "no_such_person", "The school has no such person")
        for position, person_id in enumerate(named)
        if person_id not in known
    ]
    problems += [
        FieldProblem("/audience/again_of", "no_such_message", "The school has sent no such message")
        for message_id in audience.get("again_of", [])
        if (found := table.find_message(school_id, message_id)) is None or found.plan is None
    ]
    if not any(audience.get(field) for field in ("who", "people", "again_of")):
        problems.append(FieldProblem("/audience", "nobody", "Say who: students, guardians, staff, or people"))
    if problems:
        raise InvalidRequest(fields=problems)
