"""Messages and replies over HTTP: parse, one story call, shape the answer. It decides nothing."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler import Response, content_types
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from recado import clock, idempotency, messages, web
from recado.messages import NewMessage
from recado.rules.audience import Who
from recado.rules.delivery_states import RecipientState
from recado.rules.message_states import Category, MessageState
from recado.tables.messages import Message

app = web.resolver()

MessageId = Annotated[str, Path(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9]+$")]
Ids = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]], Field(max_length=1000)
]


class AudienceRequest(web.RequestModel):
    """Who receives it (L3): kinds of people in these groups (none: the whole school), people besides, minus some."""

    who: list[Who] = Field(default_factory=list, max_length=3, examples=[["guardians"]])
    groups: Ids = Field(default_factory=list, examples=[["course-7b"]])
    people: Ids = Field(default_factory=list)
    minus_people: Ids = Field(default_factory=list)
    minus_groups: Ids = Field(default_factory=list)


class SendAt(web.RequestModel):
    """A time with its offset, at most 365 days ahead."""

    at: AwareDatetime


class MessageRequest(web.RequestModel):
    """A message to be made: a draft without `send`."""

    text: str = Field(max_length=5000, examples=["Mañana no hay clases por falta de agua."])
    category: Category
    audience: AudienceRequest
    channels: list[Literal["sms"]] = Field(default=["sms"], min_length=1, max_length=1)
    confirm_notice_by_sms: bool = Field(default=False, description="L1: an everyday notice goes by SMS only with this")
    send: Literal["now"] | SendAt | None = None


class SendRequest(web.RequestModel):
    """When a draft goes out."""

    send: Literal["now"] | SendAt = "now"


class MessageView(BaseModel):
    """A message as its school sees it. `credits` are per zone; `counts` are recipients per state."""

    model_config = ConfigDict(extra="forbid")

    id: str
    state: MessageState
    category: Category
    text: str
    audience: dict[str, list[str]]
    channels: list[str]
    created_by: str
    created_at: datetime
    sent_by: str | None
    accepted_at: datetime | None
    send_at: datetime | None
    expires_at: datetime | None
    finished_at: datetime | None
    cancelled_by: str | None
    recipients: int
    segments: int
    skipped: dict[str, int]
    credits_held: dict[str, int]
    credits_captured: dict[str, int] | None
    digest: str | None
    counts: dict[RecipientState, int] | None = None


class MessageList(BaseModel):
    """Newest first; `next` is the cursor of the next page."""

    messages: list[MessageView]
    next: str | None


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


@app.post(
    "/messages", status_code=201, summary="Make a message: a draft, or sent or scheduled at once", tags=["messages"]
)
def create_message(body: MessageRequest) -> Response[MessageView]:
    caller, now, key = web.caller(app), clock.now(), web.idempotency_key(app)
    new = NewMessage(
        text=body.text,
        category=body.category,
        audience={name: found for name, found in body.audience.model_dump(mode="json").items() if found},
        channels=tuple(body.channels),
        notice_confirmed=body.confirm_notice_by_sms,
        send=body.send is not None,
        send_at=_moment(body.send),
    )

    def work(is_first: bool) -> dict[str, Any]:  # idempotency.Work's shape
        return _view(messages.create(caller, new, key, now, key_is_first=is_first)).model_dump(mode="json")

    answer = idempotency.once(caller.school_id, key, web.json_body(app), now, work)
    view = MessageView.model_validate(answer)
    headers: dict[str, str | list[str]] = {"Location": f"/v1/messages/{view.id}"}
    return Response(status_code=201, content_type=content_types.APPLICATION_JSON, body=view, headers=headers)


@app.get("/messages", summary="The school's messages, newest first", tags=["messages"])
def list_messages(
    limit: Annotated[int, Query(ge=1, le=100)] = 20, before: Annotated[AwareDatetime | None, Query()] = None
) -> MessageList:
    found = messages.list_recent(web.caller(app), limit=limit, before=before)
    after = f"{found[-1].created_at:%Y-%m-%dT%H:%M:%S.%fZ}" if len(found) == limit else None
    return MessageList(messages=[_view(message) for message in found], next=after)


@app.get("/messages/<message_id>", summary="One message, with its recipients counted per state", tags=["messages"])
def get_message(message_id: MessageId) -> MessageView:
    delivery = messages.get_delivery(web.caller(app), message_id, clock.now())
    return _view(delivery.message).model_copy(update={"counts": dict(delivery.counts)})


@app.post("/messages/<message_id>/send", summary="Send or schedule a draft", tags=["messages"])
def send_message(message_id: MessageId, body: SendRequest) -> MessageView:
    return _view(messages.send(web.caller(app), message_id, _moment(body.send), clock.now()))


@app.post("/messages/<message_id>/cancel", summary="Cancel a scheduled message; its credits return", tags=["messages"])
def cancel_message(message_id: MessageId) -> MessageView:
    return _view(messages.cancel(web.caller(app), message_id, clock.now()))


@app.post("/messages/<message_id>/stop", summary="Stop a message in flight", tags=["messages"])
def stop_message(message_id: MessageId) -> MessageView:
    return _view(messages.stop(web.caller(app), message_id, clock.now()))


@app.get("/replies", summary="What families answered, newest first", tags=["replies"])
def list_replies(
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    before: Annotated[str | None, Query(min_length=1, max_length=300)] = None,
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


def _moment(send: Literal["now"] | SendAt | None) -> datetime | None:
    return send.at.astimezone(UTC) if isinstance(send, SendAt) else None


def _view(message: Message) -> MessageView:
    return MessageView(
        id=message.id,
        state=message.state,
        category=message.category,
        text=message.text,
        audience={name: list(found) for name, found in message.audience.items()},
        channels=list(message.channels),
        created_by=message.created_by,
        created_at=message.created_at,
        sent_by=message.sent_by,
        accepted_at=message.accepted_at,
        send_at=message.send_at,
        expires_at=message.give_up_at,
        finished_at=message.finished_at,
        cancelled_by=message.cancelled_by,
        recipients=message.recipients,
        segments=message.segments,
        skipped=dict(message.skipped),
        credits_held=dict(message.held),
        credits_captured=dict(message.captured) if message.finished_at else None,
        digest=message.digest,
    )
