"""How a message, its estimate and its recipients look in an answer, with their reasons in plain words.

It translates and decides nothing.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from recado import records
from recado.estimates import Estimate, PreviewRow
from recado.message_reports import Line, Statement
from recado.rules import plain_words
from recado.rules.audience import SkipReason
from recado.rules.delivery_states import RecipientState
from recado.rules.message_states import Category, MessageState
from recado.rules.plain_words import Charged, Language, Meaning
from recado.rules.school_time import show_local
from recado.tables.ledger import Account
from recado.tables.messages import Message
from recado.tables.replies import Reply

CSV_HEADERS: Mapping[Language, tuple[str, ...]] = {
    Language.ES: (
        "número",
        "personas",
        "estado",
        "explicación",
        "qué hacer",
        "se cobra",
        "segmentos",
        "entregado a la compañía",
        "informado",
        "código",
        "definitivo",
    ),
    Language.EN: (
        "number",
        "people",
        "state",
        "explanation",
        "what to do",
        "charged",
        "segments",
        "handed over at",
        "reported at",
        "code",
        "final",
    ),
}


class Act(BaseModel):
    """What was done to a message."""

    act: str
    by: str = Field(description="the portal's user; `recado` for what nobody did at that moment")
    at: datetime


class MessageCentre(BaseModel):
    """The free way (L4)."""

    copies: int
    put: int | None = Field(default=None, description="copies that are there; with one message only")
    credits: int = Field(default=0, description="it costs nothing")


class Refusal(BaseModel):
    """Why a message that was planned in the background did not go out; it is a draft again."""

    code: str
    title: str
    detail: str | None = None
    members: dict[str, Any] = Field(default_factory=dict)


class Point(BaseModel):
    at: datetime
    counts: dict[str, int]


class MessageView(BaseModel):
    """A message as its school sees it. `credits` are per zone; `counts` are recipients per state."""

    model_config = ConfigDict(extra="forbid")

    id: str
    state: MessageState
    meaning: str = Field(description="the state in plain words")
    revision: int
    category: Category
    text: str
    template: dict[str, Any] | None
    audience: dict[str, list[str]]
    channels: list[str]
    inbox_for_unreachable: bool
    drop_accents: bool
    created_by: str
    created_at: datetime
    sent_by: str | None
    accepted_at: datetime | None
    send_at: datetime | None
    send_at_local: str | None = Field(description="on the school's clocks, with their offset")
    time_zone: str
    expires_at: datetime | None
    finished_at: datetime | None
    cancelled_by: str | None
    stopped_by: str | None
    despite_quiet_hours_by: str | None
    history: list[Act]
    people: int = Field(description="everybody of the audience")
    recipients: int = Field(description="texts: one a number")
    duplicates: int = Field(description="people who share a number with a recipient")
    segments: int = Field(description="of the longest text")
    skipped: dict[str, int]
    credits_held: dict[str, int]
    credits_captured: dict[str, int] | None
    message_centre: MessageCentre
    digest: str | None
    refusal: Refusal | None
    counts: dict[RecipientState, int] | None = None
    counted_at: datetime | None = None
    curve: list[Point] | None = Field(default=None, description="counts over time, at most 120 points")


class MessageList(BaseModel):
    """Newest first; `next` is the cursor of the next page."""

    messages: list[MessageView]
    next: str | None


class PersonInEstimate(BaseModel):
    """One person of the audience and what becomes of them."""

    id: str
    name: str
    role: str
    number: str | None = Field(description="E.164")
    typed_number: str
    state: str = Field(description="sendable, duplicate_of, or why not: opted_out, no_number, …")
    is_red: bool = Field(description="L9: opted out; show the number in red, with an icon and words")
    meaning: str
    duplicate_of: str | None = Field(description="the person whose text this number gets")
    zone: str | None
    segments: int
    has_copy: bool = Field(description="gets a copy in the message centre")


class TextSize(BaseModel):
    """`segments` and `units` are of the text as composed, with neutral words in its fields."""

    encoding: str
    units: int = Field(description="septets of GSM-7, or UTF-16 units")
    segments: int
    segments_least: int | None = Field(description="of the shortest text of the audience")
    segments_most: int | None = Field(description="of the longest")
    in_ucs_2: int | None = Field(description="texts that need UCS-2")
    costly_characters: list[str] = Field(
        description="the characters that force UCS-2, those of names and courses included"
    )
    filled: dict[str, int] = Field(description="recipients for whom a field says a neutral word")


class Price(BaseModel):
    credits: dict[str, int]
    saves: int


class Balance(BaseModel):
    before: int
    after: int = Field(description="below zero: so many are missing")


class PlanProgress(BaseModel):
    """How far a large audience is planned."""

    people: int
    expected: int = Field(description="about so many, by the counts of the groups")
    started_at: datetime
    refusal: Refusal | None


class EstimateView(BaseModel):
    """What a message would cost and whom it would reach. `is_ready` false: see `progress`, ask again."""

    message_id: str | None = Field(description="the draft it is of; null: none was made")
    is_ready: bool
    digest: str | None
    valid_until: datetime | None = Field(description="until then sending takes this very plan; null: it is made anew")
    people: int
    by_state: dict[str, int]
    text: TextSize
    credits: dict[str, int]
    without_accents: Price | None
    balance: dict[str, Balance]
    missing: dict[str, int]
    message_centre: MessageCentre
    advice: str = Field(description="L1: how this category is best sent")
    recipients: list[PersonInEstimate]
    next: int | None
    progress: PlanProgress | None


class NamedPerson(BaseModel):
    id: str
    name: str
    role: str


class RecipientView(BaseModel):
    """A recipient, or somebody who was skipped."""

    id: str = Field(description="of the message's; also a `cursor`: with `limit=1` the page is this one")
    people: list[NamedPerson]
    number: str | None
    state: str
    is_red: bool
    meaning: str
    advice: str
    is_final: bool
    charged: str = Field(description="yes, no or maybe")
    code: str | None = Field(description="the carrier's own word for a refusal")
    zone: str | None
    segments: int
    handed_over_at: datetime | None
    reported_at: datetime | None


class RecipientList(BaseModel):
    """In the order of numbers, the skipped last; `next` is the cursor of the next page."""

    recipients: list[RecipientView]
    next: str | None


class StatementEntry(BaseModel):
    cause: str
    words: str
    zone: str
    at: datetime
    by: str
    available: int
    held: int
    captured: int


class MessageStatement(BaseModel):
    """What a message cost: each movement, and what it comes to per zone."""

    message_id: str
    state: MessageState
    held: dict[str, int]
    captured: dict[str, int]
    released: dict[str, int]
    entries: list[StatementEntry] = Field(description="the oldest first")


class ReplyView(BaseModel):
    """What a family answered, on which code, and the opt-out word it was, if it was one."""

    id: str
    number: str
    code: str
    text: str
    received_at: datetime = Field(description="when it was written, as the carrier says")
    word: str | None = Field(description="stop, start or help when the whole text was such a word")
    message: str | None = Field(description="the message it answers, where the carrier tells")
    sent_on_at: datetime | None = Field(description="when the handset said that it is for this school, if it was asked")


class ReplyList(BaseModel):
    """Newest first; `next` is the cursor of the next page."""

    replies: list[ReplyView]
    next: str | None


def reply_view(reply: Reply) -> ReplyView:
    return ReplyView(
        id=reply.id,
        number=reply.number,
        code=reply.code,
        text=reply.text,
        received_at=reply.received_at,
        word=reply.word,
        message=reply.message,
        sent_on_at=reply.sent_on_at,
    )


def statement_view(found: Statement, language: Language) -> MessageStatement:
    """Each movement in words, and their sums: held, captured and released per zone."""
    sums: dict[str, dict[str, int]] = {"held": {}, "captured": {}, "released": {}}
    for entry in found.entries:
        zone = entry.zone.value
        is_hold = entry.cause.startswith("hold#")
        for name, count in (
            ("held", entry.held),
            ("captured", entry.captured),
            ("released", 0 if is_hold else entry.available),
        ):
            sums[name][zone] = sums[name].get(zone, 0) + count
    entries = [
        StatementEntry(
            cause=one.cause,
            words=words.say(language) if (words := plain_words.explain_cause(one.cause)) else "",
            zone=one.zone.value,
            at=one.at,
            by=one.by,
            available=one.available,
            held=one.held,
            captured=one.captured,
        )
        for one in found.entries
    ]
    return MessageStatement(message_id=found.message.id, state=found.message.state, entries=entries, **sums)


def message_view(
    message: Message, language: Language = Language.ES, school_zone: ZoneInfo | None = None
) -> MessageView:
    zone = school_zone or ZoneInfo(records.get_school(message.school_id).time_zone)
    return MessageView(
        id=message.id,
        state=message.state,
        meaning=plain_words.MESSAGE_STATES[message.state].words.say(language),
        revision=message.revision,
        category=message.category,
        text=message.text,
        template=dict(message.template) if message.template else None,
        audience={name: list(found) for name, found in message.audience.items()},
        channels=list(message.channels),
        inbox_for_unreachable=message.inbox_for_unreachable,
        drop_accents=message.drop_accents,
        created_by=message.created_by,
        created_at=message.created_at,
        sent_by=message.sent_by,
        accepted_at=message.accepted_at,
        send_at=message.send_at,
        send_at_local=show_local(message.send_at, zone) if message.send_at else None,
        time_zone=zone.key,
        expires_at=message.give_up_at,
        finished_at=message.finished_at,
        cancelled_by=message.cancelled_by,
        stopped_by=message.stopped_by,
        despite_quiet_hours_by=message.despite_quiet_hours,
        history=[Act(act=one["act"], by=one["by"], at=datetime.fromisoformat(one["at"])) for one in message.history],
        people=message.people,
        recipients=message.recipients,
        duplicates=message.duplicates,
        segments=message.segments,
        skipped=dict(message.skipped),
        credits_held=dict(message.held),
        credits_captured=dict(message.captured) if message.finished_at else None,
        message_centre=MessageCentre(copies=message.copies),
        digest=message.digest,
        refusal=_refusal_view(message.refusal),
    )


def _refusal_view(refusal: Mapping[str, Any] | None) -> Refusal | None:
    if not refusal:
        return None
    return Refusal(
        code=refusal["code"], title=refusal["title"], detail=refusal.get("detail"), members=refusal.get("members", {})
    )


def estimate_view(found: Estimate, language: Language) -> EstimateView:
    totals, message = found.totals, found.message
    by_zone = dict(totals.credits) if totals else {}
    plain = dict(totals.credits_plain) if totals else {}
    saves = sum(by_zone.values()) - sum(plain.values())
    return EstimateView(
        message_id=message.id if found.is_kept else None,
        is_ready=totals is not None,
        digest=totals.seal if totals else None,
        valid_until=found.valid_until,
        people=totals.people if totals else 0,
        by_state=totals.by_state() if totals else {},
        text=TextSize(
            encoding=found.sample.encoding.value,
            units=found.sample.units,
            segments=found.sample.segments,
            segments_least=totals.segments_least if totals else None,
            segments_most=totals.segments_most if totals else None,
            in_ucs_2=totals.wide if totals else None,
            costly_characters=list(dict.fromkeys((*found.costly_characters, *(totals.costly if totals else ())))),
            filled=dict(totals.filled) if totals else {},
        ),
        credits=by_zone,
        without_accents=Price(credits=plain, saves=saves) if saves else None,
        balance=_balances(found.accounts, by_zone),
        missing=_missing(found.accounts, by_zone),
        message_centre=MessageCentre(copies=totals.copies if totals else 0),
        advice=plain_words.CATEGORIES[message.category].advice.say(language),
        recipients=[_person_view(row, language) for row in found.rows],
        next=int(found.next) if found.next else None,
        progress=PlanProgress(
            people=found.progress.people,
            expected=found.progress.expected,
            started_at=found.progress.started_at,
            refusal=_refusal_view(found.progress.refusal),
        )
        if found.progress
        else None,
    )


def _balances(accounts: Any, by_zone: Mapping[str, int]) -> dict[str, Balance]:
    there: dict[str, Account] = {account.zone.value: account for account in accounts}
    zones = dict.fromkeys([*there, *by_zone])
    return {
        zone: Balance(before=before, after=before - by_zone.get(zone, 0))
        for zone in zones
        for before in [there[zone].available if zone in there else 0]
    }


def _missing(accounts: Any, by_zone: Mapping[str, int]) -> dict[str, int]:
    return {zone: -one.after for zone, one in _balances(accounts, by_zone).items() if one.after < 0}


def _meaning_of(line: Line) -> Meaning:
    """`opted_out` is both: before it was planned they are skipped, after that they are a recipient no more."""
    if line.zone is None and line.state in SkipReason:
        return plain_words.SKIP_REASONS[line.state]
    return plain_words.RECIPIENT_STATES[RecipientState(line.state)]


def _person_view(row: PreviewRow, language: Language) -> PersonInEstimate:
    skipped = plain_words.SKIP_REASONS.get(row.state)
    words = skipped.words if skipped else plain_words.PLANNED_STATES[row.state]
    return PersonInEstimate(
        id=row.person_id,
        name=row.name,
        role=row.role,
        number=row.number,
        typed_number=row.typed_number,
        state=row.state,
        is_red=row.state == SkipReason.OPTED_OUT.value,
        meaning=words.say(language),
        duplicate_of=row.duplicate_of,
        zone=row.zone.value if row.zone else None,
        segments=row.segments,
        has_copy=row.has_copy,
    )


def recipient_view(line: Line, language: Language) -> RecipientView:
    meaning = _meaning_of(line)
    return RecipientView(
        id=line.id,
        people=[NamedPerson(id=one.person_id, name=one.name, role=one.role) for one in line.people],
        number=line.number,
        state=line.state,
        is_red=line.state == RecipientState.OPTED_OUT.value,
        meaning=meaning.words.say(language),
        advice=meaning.advice.say(language),
        is_final=meaning.is_final or (line.is_closed and line.state == RecipientState.UNKNOWN.value),
        charged=meaning.charged.value,
        code=line.code,
        zone=line.zone.value if line.zone else None,
        segments=line.segments,
        handed_over_at=line.handed_over_at,
        reported_at=line.reported_at,
    )


def csv_row(line: Line, language: Language) -> tuple[str | int | None, ...]:
    view = recipient_view(line, language)
    return (
        view.number,
        "; ".join(one.name or one.id for one in view.people),
        view.state,
        view.meaning,
        view.advice,
        plain_words.CHARGED[Charged(view.charged)].say(language),
        view.segments,
        f"{view.handed_over_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if view.handed_over_at else None,
        f"{view.reported_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if view.reported_at else None,
        view.code,
        plain_words.IS_FINAL[view.is_final].say(language),
    )
