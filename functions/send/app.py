"""Messages and replies over HTTP: parse, one story call, shape the answer. It decides nothing."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from aws_lambda_powertools.event_handler import Response, content_types
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict, Field, model_validator

from recado import clock, estimates, idempotency, message_reports, messages, sending, web
from recado.access import Caller
from recado.drafts import NewMessage
from recado.estimates import Estimate, PreviewRow
from recado.message_reports import Line
from recado.rules import csv_cells, message_states, plain_words
from recado.rules.audience import DUPLICATE, INBOX_ONLY, SENDABLE, SkipReason, Who
from recado.rules.csv_cells import Separator
from recado.rules.delivery_states import RecipientState
from recado.rules.message_states import Category, Channel, MessageState
from recado.rules.plain_words import Charged, Language, Meaning
from recado.rules.school_time import read_local, show_local
from recado.tables.ledger import Account
from recado.tables.messages import Message

app = web.resolver()

TAGS = ["messages"]
ID = r"^[A-Za-z0-9._-]+$"
MessageId = Annotated[str, Path(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9]+$")]
GroupId = Annotated[str, Path(min_length=1, max_length=64, pattern=ID)]
Limit = Annotated[int, Query(ge=1, le=100, description="how many on a page")]
LanguageQuery = Annotated[Language, Query(alias="lang", description="of the words for people: es or en")]
LINE_STATES = "|".join(sorted({*RecipientState, *SkipReason}))
PREVIEW_STATES = "|".join((SENDABLE, DUPLICATE, INBOX_ONLY, *SkipReason))
StateQuery = Annotated[
    str | None,
    Query(pattern=f"^({LINE_STATES})$", description="only recipients in this state, or skipped for this reason"),
]
PreviewState = Annotated[
    str | None,
    Field(default=None, pattern=f"^({PREVIEW_STATES})$", description="only people in this state"),
]
Cursor = Annotated[
    str | None, Query(max_length=200, pattern=r"^[A-Za-z0-9.:#+_-]+$", description="`next` of the page before")
]
Ids = Annotated[list[Annotated[str, Field(min_length=1, max_length=64, pattern=ID)]], Field(max_length=1000)]
CSV: dict[int, OpenAPIResponse] = {
    200: {"description": "CSV in UTF-8", "content": {"text/csv": {"schema": {"type": "string"}}}}
}
LATER: dict[int, OpenAPIResponse] = {
    202: {"description": "The audience is large: it is planned in the background; ask again where `Location` says"}
}
Digest = Annotated[
    str | None,
    Field(
        default=None,
        pattern=r"^[0-9a-f]{64}$",
        description="of the estimate that was shown: exactly that goes out, or 409 `plan_changed`",
    ),
]
Moment = Annotated[
    str,
    Field(
        min_length=16,
        max_length=40,
        description="ISO 8601, at most 365 days ahead; without an offset it is the school's own time",
        examples=["2026-12-01T08:00", "2026-12-01T08:00:00-03:00"],
    ),
]


class AudienceRequest(web.RequestModel):
    """Who receives it (L3): kinds of people in these groups (none: the whole school), people besides, minus some."""

    who: list[Who] = Field(default_factory=list, max_length=3, examples=[["guardians"]])
    groups: Ids = Field(default_factory=list, examples=[["course-7b"]])
    people: Ids = Field(default_factory=list)
    minus_people: Ids = Field(default_factory=list)
    minus_groups: Ids = Field(default_factory=list)


class SendAt(web.RequestModel):
    """When a message is to go out."""

    at: Moment


class TemplateRef(web.RequestModel):
    """A saved template; its current version unless one is named."""

    id: str = Field(min_length=1, max_length=64, pattern=ID)
    version: int | None = Field(default=None, ge=1, le=1_000_000)


class MessageContent(web.RequestModel):
    """What a message says, by which ways, to whom."""

    text: str | None = Field(
        default=None,
        max_length=5000,
        description="may have {student}, {course}, {guardian}; or name a template",
        examples=["Mañana no hay clases por falta de agua."],
    )
    template: TemplateRef | None = None
    category: Category | None = Field(default=None, description="left out: the template's")
    audience: AudienceRequest
    channels: list[Channel] = Field(default=[Channel.SMS], min_length=1, max_length=2)
    inbox_for_unreachable: bool = Field(
        default=False, description="whom SMS cannot reach get a copy in the message centre, free"
    )
    drop_accents: bool = Field(default=False, description="send plain vowels for á í ó ú, which cost; never touches ñ")
    confirm_notice_by_sms: bool = Field(default=False, description="L1: an everyday notice goes by SMS only with this")
    expires_after_minutes: int | None = Field(
        default=None,
        ge=int(message_states.EXPIRES_AFTER_LEAST.total_seconds() // 60),
        le=int(message_states.EXPIRES_AFTER_MOST.total_seconds() // 60),
        description="how long it is worth handing over; left out: 24 hours, an emergency 1 hour",
    )

    @model_validator(mode="after")
    def says_something(self) -> "MessageContent":
        if (self.text is None) == (self.template is None):
            raise ValueError("Say a text or a template, one of them")
        if self.template is None and self.category is None:
            raise ValueError("Say a category; only a template has its own")
        return self


class MessageRequest(MessageContent):
    """A message to be made: a draft without `send`."""

    send: Literal["now"] | SendAt | None = None
    digest: Digest
    despite_quiet_hours: bool = Field(default=False, description="recorded with who said so")


class MessageEdit(MessageContent):
    """A draft, or a scheduled message, as it is to be."""

    revision: int | None = Field(
        default=None, ge=0, le=1_000_000, description="`revision` as it was read: refused if it is another"
    )


class EstimateRequest(MessageContent):
    """A message that is not there yet, and which of its people to show."""

    state: PreviewState
    limit: int = Field(default=20, ge=1, le=estimates.PREVIEW_MAX)
    cursor: int = Field(default=0, ge=0, le=10_000_000)


class EstimatePage(web.RequestModel):
    """Which of its people to show."""

    state: PreviewState
    limit: int = Field(default=20, ge=1, le=estimates.PREVIEW_MAX)
    cursor: int = Field(default=0, ge=0, le=10_000_000)


class SendRequest(web.RequestModel):
    """A draft goes out now."""

    digest: Digest
    despite_quiet_hours: bool = False


class ScheduleRequest(web.RequestModel):
    """A draft, or a scheduled message, is to go out then."""

    at: Moment
    digest: Digest
    despite_quiet_hours: bool = False


class AgainRequest(web.RequestModel):
    """Whom it did not reach: states of recipients, or reasons why some were skipped."""

    states: list[RecipientState | SkipReason] = Field(
        default_factory=list, max_length=12, description="left out: unreachable, expired, not_sent, stopped"
    )


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
    received_at: datetime
    word: str | None


class ReplyList(BaseModel):
    """Newest first; `next` is the cursor of the next page."""

    replies: list[ReplyView]
    next: str | None


# --- make, edit ----------------------------------------------------------------------------------------------------


@app.post(
    "/messages",
    status_code=201,
    summary="Make a message: a draft, or sent or scheduled at once",
    tags=TAGS,
    responses=LATER,
)
def create_message(body: MessageRequest) -> Response[MessageView]:
    caller, now, key = web.caller(app), clock.now(), web.idempotency_key(app)
    messages.require_sender(caller)  # before anything is written, the key's own row included
    new = _new(caller, body, send=body.send is not None, digest=body.digest, despite=body.despite_quiet_hours)
    if isinstance(body.send, SendAt):
        new = new.at(read_local(body.send.at, _zone(caller), "/send/at"))

    def work(is_first: bool) -> dict[str, Any]:  # idempotency.Work's shape
        return _view(messages.create(caller, new, key, now, key_is_first=is_first)).model_dump(mode="json")

    answer = idempotency.once(caller.school_id, key, web.json_body(app), now, work)
    return _answer(MessageView.model_validate(answer), 201)


@app.put("/messages/<message_id>", summary="Change a draft or a scheduled message", tags=TAGS)
def edit_message(message_id: MessageId, body: MessageEdit) -> MessageView:
    caller = web.caller(app)
    new = _new(caller, body)
    return _view(messages.edit(caller, message_id, new, clock.now(), revision=body.revision))


@app.post(
    "/messages/<message_id>/again",
    status_code=201,
    summary="Make a draft of it for whom it did not reach",
    tags=TAGS,
)
def send_again(message_id: MessageId, body: AgainRequest) -> Response[MessageView]:
    caller, now, key = web.caller(app), clock.now(), web.idempotency_key(app)
    messages.require_sender(caller)
    states = [one.value for one in body.states]

    def work(is_first: bool) -> dict[str, Any]:  # idempotency.Work's shape
        made = messages.create_again(caller, message_id, states, key, now, key_is_first=is_first)
        return _view(made).model_dump(mode="json")

    answer = idempotency.once(caller.school_id, key, web.idempotent_request(app), now, work)
    return _answer(MessageView.model_validate(answer), 201)


@app.post(
    "/groups/<group_id>/data-check",
    status_code=201,
    summary="Ask the people of a group, in the message centre, to check their own data (L14)",
    tags=["directory"],
)
def ask_data_check(group_id: GroupId) -> Response[MessageView]:
    caller, now, key = web.caller(app), clock.now(), web.idempotency_key(app)
    messages.require_sender(caller)

    def work(is_first: bool) -> dict[str, Any]:  # idempotency.Work's shape
        made = messages.create_data_check(caller, group_id, key, now, key_is_first=is_first)
        return _view(made).model_dump(mode="json")

    answer = idempotency.once(caller.school_id, key, web.idempotent_request(app), now, work)
    return _answer(MessageView.model_validate(answer), 201)


# --- estimates -----------------------------------------------------------------------------------------------------


@app.post(
    "/messages/estimate", summary="What a message would cost, and whom it would reach", tags=TAGS, responses=LATER
)
def estimate(body: EstimateRequest, language: LanguageQuery = Language.ES) -> Response[EstimateView]:
    caller = web.caller(app)
    messages.require_sender(caller)
    found = estimates.estimate(
        caller, _new(caller, body), clock.now(), state=body.state, limit=body.limit, cursor=body.cursor
    )
    return _answer_estimate(found, language)


@app.post(
    "/messages/<message_id>/estimate",
    summary="What a draft would cost, and whom it would reach; how far that is, when its audience is large",
    tags=TAGS,
    responses=LATER,
)
def estimate_draft(
    message_id: MessageId, body: EstimatePage, language: LanguageQuery = Language.ES
) -> Response[EstimateView]:
    found = estimates.estimate_of(
        web.caller(app), message_id, clock.now(), state=body.state, limit=body.limit, cursor=body.cursor
    )
    return _answer_estimate(found, language)


# --- send, stop ----------------------------------------------------------------------------------------------------


@app.post(
    "/messages/<message_id>/send", summary="Send a draft, or a scheduled message, now", tags=TAGS, responses=LATER
)
def send_message(message_id: MessageId, body: SendRequest) -> Response[MessageView]:
    sent = messages.send(
        web.caller(app),
        message_id,
        None,
        clock.now(),
        digest=body.digest,
        despite_quiet_hours=body.despite_quiet_hours,
    )
    return _answer(_view(sent), 200)


@app.post(
    "/messages/<message_id>/schedule",
    summary="Schedule a draft; move a scheduled message to another time",
    tags=TAGS,
    responses=LATER,
)
def schedule_message(message_id: MessageId, body: ScheduleRequest) -> Response[MessageView]:
    caller = web.caller(app)
    messages.require_sender(caller)
    scheduled = messages.send(
        caller,
        message_id,
        read_local(body.at, _zone(caller), "/at"),
        clock.now(),
        digest=body.digest,
        despite_quiet_hours=body.despite_quiet_hours,
    )
    return _answer(_view(scheduled), 200)


@app.post("/messages/<message_id>/cancel", summary="Cancel a scheduled message; its credits return", tags=TAGS)
def cancel_message(message_id: MessageId) -> MessageView:
    return _view(messages.cancel(web.caller(app), message_id, clock.now()))


@app.post("/messages/<message_id>/stop", summary="Stop a message in flight", tags=TAGS)
def stop_message(message_id: MessageId) -> MessageView:
    return _view(messages.stop(web.caller(app), message_id, clock.now()))


# --- look ----------------------------------------------------------------------------------------------------------


@app.get("/messages", summary="The school's messages, newest first", tags=TAGS)
def list_messages(limit: Limit = 20, before: Cursor = None, language: LanguageQuery = Language.ES) -> MessageList:
    caller = web.caller(app)
    found, following = messages.list_recent(caller, limit=limit, before=before)
    zone = _zone(caller)
    return MessageList(messages=[_view(message, language, zone) for message in found], next=following)


@app.get("/messages/<message_id>", summary="One message, with its recipients counted per state", tags=TAGS)
def get_message(message_id: MessageId, language: LanguageQuery = Language.ES) -> MessageView:
    found = message_reports.get_delivery(web.caller(app), message_id, clock.now())
    points = found.progress.points if found.progress is not None else ()
    view = _view(found.message, language)
    return view.model_copy(
        update={
            "counts": dict(found.counts),
            "counted_at": found.counted_at,
            "curve": [Point(at=datetime.fromisoformat(at), counts=dict(counts)) for at, counts in points],
            "message_centre": view.message_centre.model_copy(update={"put": found.copies_put}),
        }
    )


@app.get("/messages/<message_id>/recipients", summary="A message's recipients and whom it skipped", tags=TAGS)
def list_recipients(
    message_id: MessageId,
    state: StateQuery = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    language: LanguageQuery = Language.ES,
) -> RecipientList:
    found, following = message_reports.list_lines(
        web.caller(app), message_id, clock.now(), state=state, limit=limit, cursor=cursor
    )
    return RecipientList(recipients=[_recipient_view(line, language) for line in found], next=following)


@app.get(
    "/messages/<message_id>/recipients.csv",
    summary="The same as CSV, 10,000 lines a file; `Link` names the next",
    tags=TAGS,
    responses=CSV,
)
def get_recipients_csv(
    message_id: MessageId,
    cursor: Cursor = None,
    language: LanguageQuery = Language.ES,
    separator: Annotated[Separator, Query()] = Separator.COMMA,
) -> Response[str]:
    lines, following = message_reports.list_csv_lines(web.caller(app), message_id, clock.now(), cursor=cursor)
    text = csv_cells.csv_text(CSV_HEADERS[language], (_csv_row(line, language) for line in lines), separator)
    headers: dict[str, str | list[str]] = {"Content-Disposition": f'attachment; filename="{message_id}.csv"'}
    if following is not None:
        query = f"cursor={following}&lang={language.value}&separator={separator.value}"
        headers["Link"] = f'</v1/messages/{message_id}/recipients.csv?{query}>; rel="next"'
    return Response(200, "text/csv; charset=utf-8", text, headers)


@app.get("/messages/<message_id>/statement", summary="What a message cost, each movement with its cause", tags=TAGS)
def get_statement(message_id: MessageId, language: LanguageQuery = Language.ES) -> MessageStatement:
    found = message_reports.get_statement(web.caller(app), message_id)
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


@app.get("/replies", summary="What families answered, newest first", tags=["replies"])
def list_replies(
    limit: Limit = 50, before: Annotated[str | None, Query(min_length=1, max_length=300)] = None
) -> ReplyList:
    found, after = messages.list_replies(web.caller(app), limit=limit, before=before)
    views = [
        ReplyView(
            id=reply.id,
            number=reply.number,
            code=reply.code,
            text=reply.text,
            received_at=reply.received_at,
            word=reply.word,
        )
        for reply in found
    ]
    return ReplyList(replies=views, next=after)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return web.answer(app, event, context)


# --- shapes --------------------------------------------------------------------------------------------------------

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
    ),
}


def _new(
    caller: Caller, body: MessageContent, *, send: bool = False, digest: str | None = None, despite: bool = False
) -> NewMessage:
    text, category, template, drops = messages.content_of(
        caller,
        body.text,
        body.category,
        (body.template.id, body.template.version) if body.template else None,
        drop_accents=body.drop_accents,
    )
    return NewMessage(
        text=text,
        category=category,
        audience={name: found for name, found in body.audience.model_dump(mode="json").items() if found},
        channels=tuple(one.value for one in body.channels),
        notice_confirmed=body.confirm_notice_by_sms,
        send=send,
        send_at=None,
        drop_accents=drops,
        inbox_for_unreachable=body.inbox_for_unreachable,
        expires_after_minutes=body.expires_after_minutes,
        template=template,
        digest=digest,
        despite_quiet_hours=despite,
    )


def _zone(caller: Caller) -> ZoneInfo:
    return ZoneInfo(sending.get_school(caller.school_id).time_zone)


def _answer(view: MessageView, status: int) -> Response[MessageView]:
    headers: dict[str, str | list[str]] = {"Location": f"/v1/messages/{view.id}"}
    if view.state is MessageState.PLANNING:
        status = 202
        headers["Retry-After"] = "2"
    return Response(status_code=status, content_type=content_types.APPLICATION_JSON, body=view, headers=headers)


def _answer_estimate(found: Estimate, language: Language) -> Response[EstimateView]:
    headers: dict[str, str | list[str]] = {}
    if found.is_kept:
        headers["Location"] = f"/v1/messages/{found.message.id}/estimate"
    is_ready = found.totals is not None
    if not is_ready:
        headers["Retry-After"] = "2"
    return Response(
        status_code=200 if is_ready else 202,
        content_type=content_types.APPLICATION_JSON,
        body=_estimate_view(found, language),
        headers=headers,
    )


def _view(message: Message, language: Language = Language.ES, school_zone: ZoneInfo | None = None) -> MessageView:
    zone = school_zone or ZoneInfo(sending.get_school(message.school_id).time_zone)
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


def _estimate_view(found: Estimate, language: Language) -> EstimateView:
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


def _recipient_view(line: Line, language: Language) -> RecipientView:
    meaning = _meaning_of(line)
    return RecipientView(
        people=[NamedPerson(id=one.person_id, name=one.name, role=one.role) for one in line.people],
        number=line.number,
        state=line.state,
        is_red=line.state == RecipientState.OPTED_OUT.value,
        meaning=meaning.words.say(language),
        advice=meaning.advice.say(language),
        is_final=meaning.is_final,
        charged=meaning.charged.value,
        code=line.code,
        zone=line.zone.value if line.zone else None,
        segments=line.segments,
        handed_over_at=line.handed_over_at,
        reported_at=line.reported_at,
    )


def _csv_row(line: Line, language: Language) -> tuple[str | int | None, ...]:
    view = _recipient_view(line, language)
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
    )
