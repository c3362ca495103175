"""/inbox: the message centre, as the person reads it whom the token names; free, and nobody else's (L4)."""

from datetime import datetime
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import AwareDatetime, BaseModel, Field

from recado import clock, inbox, web
from recado.inbox import Item
from recado.rules.message_states import Category

app = web.resolver()

ID = "[A-Za-z0-9._-]{1,64}"
MOMENT = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{6}Z"
MessageId = Annotated[str, Path(pattern=f"^{ID}$")]
Limit = Annotated[int, Query(ge=1, le=100, description="messages on a page")]
UnreadOnly = Annotated[bool, Query(alias="unread", description="only what is unread; such a page may be short")]
Cursor = Annotated[str | None, Query(pattern=f"^{MOMENT}~{ID}$", description="`next` of the page before")]
TAGS = ["inbox"]
NOT_FOUND: dict[int, OpenAPIResponse] = {404: {"description": "`not_found`: no such message in this inbox"}}


class InboxMessage(BaseModel):
    id: str = Field(description="the message's id, the same in everybody's inbox")
    category: Category
    text: str = Field(description="as written for this person; it is text, never markup: show it as such")
    at: datetime = Field(description="when the school sent it")
    read_at: datetime | None = Field(description="when it was first marked as read; null: unread")


class InboxPage(BaseModel):
    messages: list[InboxMessage] = Field(description="newest first")
    next: str | None = Field(description="cursor of the next page; null: no more")


class UnreadView(BaseModel):
    unread: int = Field(description="how many messages are unread, up to 100")
    is_capped: bool = Field(description="true: there are more than 100")


class ReadUntil(web.RequestModel):
    until: AwareDatetime = Field(description="with its offset; `at` of the newest message that was shown")


class MarkedRead(BaseModel):
    marked: int = Field(description="how many messages became read")


@app.get("/inbox", summary="One's own messages, newest first (L4)", tags=TAGS)
def list_inbox(limit: Limit = 20, cursor: Cursor = None, unread_only: UnreadOnly = False) -> InboxPage:
    before = cursor.replace("~", "#") if cursor else None
    items, following = inbox.list_inbox(
        web.caller(app), clock.now(), limit=limit, before=before, unread_only=unread_only
    )
    return InboxPage(messages=[_view(item) for item in items], next=following and following.replace("#", "~"))


@app.get("/inbox/unread", summary="How many of one's own messages are unread", tags=TAGS)
def count_unread() -> UnreadView:
    found = inbox.count_unread(web.caller(app), clock.now())
    return UnreadView(unread=found.count, is_capped=found.is_capped)


@app.put("/inbox/read", summary="Mark one's own messages as read, up to a moment", tags=TAGS)
def mark_all_read(body: ReadUntil) -> MarkedRead:
    return MarkedRead(marked=inbox.mark_all_read(web.caller(app), body.until, clock.now()))


@app.get("/inbox/<message_id>", summary="One of one's own messages", tags=TAGS, responses=NOT_FOUND)
def get_message(message_id: MessageId) -> InboxMessage:
    return _view(inbox.get_item(web.caller(app), message_id, clock.now()))


@app.put("/inbox/<message_id>/read", summary="Mark a message as read", tags=TAGS, responses=NOT_FOUND)
def mark_read(message_id: MessageId) -> InboxMessage:
    return _view(inbox.mark_read(web.caller(app), message_id, clock.now()))


@app.delete(
    "/inbox/<message_id>",
    summary="Put a message away, for its reader only",
    tags=TAGS,
    status_code=204,
    responses=NOT_FOUND,
)
def hide(message_id: MessageId) -> Response[None]:
    inbox.hide(web.caller(app), message_id, clock.now())
    return Response(status_code=204)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return web.answer(app, event, context)


def _view(item: Item) -> InboxMessage:
    return InboxMessage(
        id=item.copy.message_id,
        category=item.copy.category,
        text=item.copy.text,
        at=item.copy.at,
        read_at=item.read_at,
    )
