"""Messages and replies over HTTP: parse, one story call, shape the answer. It decides nothing."""

from datetime import datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from aws_lambda_powertools.event_handler import Response, content_types
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import AwareDatetime, Field, model_validator

from recado import clock, estimates, idempotency, message_reports, messages, records, web
from recado.access import Caller
from recado.drafts import NewMessage
from recado.estimates import Estimate
from recado.message_views import (
    CSV_HEADERS,
    EstimateView,
    MessageList,
    MessageStatement,
    MessageView,
    Point,
    RecipientList,
    ReplyList,
    ReplyView,
    csv_row,
    estimate_view,
    message_view,
    recipient_view,
    reply_view,
    statement_view,
)
from recado.rules import csv_cells, message_states
from recado.rules.audience import DUPLICATE, INBOX_ONLY, SENDABLE, SkipReason, Who
from recado.rules.csv_cells import Separator
from recado.rules.delivery_states import RecipientState
from recado.rules.message_states import Category, Channel, MessageState
from recado.rules.opt_out_words import Word
from recado.rules.plain_words import Language
from recado.rules.school_time import read_local
from recado.tables.replies import ReplyFilter

app = web.resolver()

TAGS = ["messages"]
ID = r"^[A-Za-z0-9._-]+$"
MessageId = Annotated[str, Path(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9]+$")]
ReplyId = Annotated[str, Path(min_length=1, max_length=64, pattern=r"^[a-z0-9]+$")]
E164 = r"^\+[1-9][0-9]{6,14}$"
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
        return message_view(messages.create(caller, new, key, now, key_is_first=is_first)).model_dump(mode="json")

    answer = idempotency.once(caller.school_id, key, web.json_body(app), now, work)
    return _answer(MessageView.model_validate(answer), 201)


@app.put("/messages/<message_id>", summary="Change a draft or a scheduled message", tags=TAGS)
def edit_message(message_id: MessageId, body: MessageEdit) -> MessageView:
    caller = web.caller(app)
    new = _new(caller, body)
    return message_view(messages.edit(caller, message_id, new, clock.now(), revision=body.revision))


@app.post(
    "/messages/<message_id>/again",
    status_code=201,
    summary="Make a draft of it for whom it did not reach",
    tags=TAGS,
)
def send_again(message_id: MessageId, body: AgainRequest | None = None) -> Response[MessageView]:
    caller, now, key = web.caller(app), clock.now(), web.idempotency_key(app)
    messages.require_sender(caller)
    states = [one.value for one in body.states] if body else []

    def work(is_first: bool) -> dict[str, Any]:  # idempotency.Work's shape
        made = messages.create_again(caller, message_id, states, key, now, key_is_first=is_first)
        return message_view(made).model_dump(mode="json")

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
        return message_view(made).model_dump(mode="json")

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
    message_id: MessageId, body: EstimatePage | None = None, language: LanguageQuery = Language.ES
) -> Response[EstimateView]:
    page = body or EstimatePage(state=None)
    found = estimates.estimate_of(
        web.caller(app), message_id, clock.now(), state=page.state, limit=page.limit, cursor=page.cursor
    )
    return _answer_estimate(found, language)


# --- send, stop ----------------------------------------------------------------------------------------------------


@app.post(
    "/messages/<message_id>/send", summary="Send a draft, or a scheduled message, now", tags=TAGS, responses=LATER
)
def send_message(message_id: MessageId, body: SendRequest | None = None) -> Response[MessageView]:
    asked = body or SendRequest(digest=None)
    sent = messages.send(
        web.caller(app),
        message_id,
        None,
        clock.now(),
        digest=asked.digest,
        despite_quiet_hours=asked.despite_quiet_hours,
    )
    return _answer(message_view(sent), 200)


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
    return _answer(message_view(scheduled), 200)


@app.post("/messages/<message_id>/cancel", summary="Cancel a scheduled message; its credits return", tags=TAGS)
def cancel_message(message_id: MessageId) -> MessageView:
    return message_view(messages.cancel(web.caller(app), message_id, clock.now()))


@app.post("/messages/<message_id>/stop", summary="Stop a message in flight", tags=TAGS)
def stop_message(message_id: MessageId) -> MessageView:
    return message_view(messages.stop(web.caller(app), message_id, clock.now()))


# --- look ----------------------------------------------------------------------------------------------------------


@app.get("/messages", summary="The school's messages, newest first", tags=TAGS)
def list_messages(limit: Limit = 20, before: Cursor = None, language: LanguageQuery = Language.ES) -> MessageList:
    caller = web.caller(app)
    found, following = messages.list_recent(caller, limit=limit, before=before)
    zone = _zone(caller)
    return MessageList(messages=[message_view(message, language, zone) for message in found], next=following)


@app.get("/messages/<message_id>", summary="One message, with its recipients counted per state", tags=TAGS)
def get_message(message_id: MessageId, language: LanguageQuery = Language.ES) -> MessageView:
    found = message_reports.get_delivery(web.caller(app), message_id, clock.now())
    points = found.progress.points if found.progress is not None else ()
    view = message_view(found.message, language)
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
    return RecipientList(recipients=[recipient_view(line, language) for line in found], next=following)


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
    text = csv_cells.csv_text(CSV_HEADERS[language], (csv_row(line, language) for line in lines), separator)
    headers: dict[str, str | list[str]] = {"Content-Disposition": f'attachment; filename="{message_id}.csv"'}
    if following is not None:
        query = f"cursor={following}&lang={language.value}&separator={separator.value}"
        headers["Link"] = f'</v1/messages/{message_id}/recipients.csv?{query}>; rel="next"'
    return Response(200, "text/csv; charset=utf-8", text, headers)


@app.get("/messages/<message_id>/statement", summary="What a message cost, each movement with its cause", tags=TAGS)
def get_statement(message_id: MessageId, language: LanguageQuery = Language.ES) -> MessageStatement:
    found = message_reports.get_statement(web.caller(app), message_id)
    return statement_view(found, language)


@app.get("/replies", summary="What families answered, newest first", tags=["replies"])
def list_replies(
    limit: Limit = 50,
    before: Annotated[str | None, Query(min_length=1, max_length=300)] = None,
    number: Annotated[str | None, Query(pattern=E164, description="only of this handset, in E.164")] = None,
    code: Annotated[str | None, Query(pattern=r"^\+?[0-9]{3,15}$", description="only to this code")] = None,
    word: Annotated[Word | None, Query(description="only opt-out words of this kind")] = None,
    message: Annotated[
        str | None,
        Query(pattern=r"^[A-Za-z0-9]{1,64}$", description="only answers to this message, where the carrier tells"),
    ] = None,
    since: Annotated[AwareDatetime | None, Query(description="written then or later")] = None,
    until: Annotated[AwareDatetime | None, Query(description="written before that")] = None,
) -> ReplyList:
    wanted = ReplyFilter(number, code, word.value if word else None, message, since, until)
    found, after = messages.list_replies(web.caller(app), wanted, limit=limit, before=before)
    return ReplyList(replies=[reply_view(reply) for reply in found], next=after)


@app.get("/replies/<reply_id>", summary="One reply", tags=["replies"])
def get_reply(reply_id: ReplyId) -> ReplyView:
    return reply_view(messages.get_reply(web.caller(app), reply_id))


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return web.answer(app, event, context)


# --- shapes --------------------------------------------------------------------------------------------------------


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
    return ZoneInfo(records.get_school(caller.school_id).time_zone)


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
        body=estimate_view(found, language),
        headers=headers,
    )
