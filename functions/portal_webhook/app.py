"""/portal-webhook: where a school's portal wants to be told of what happens, its secret, the log, and once more."""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response, content_types
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import AwareDatetime, BaseModel, Field

from recado import clock, portal_deliveries, portal_webhooks, web
from recado.portal_deliveries import Counts
from recado.rules.event_types import EventType
from recado.rules.plain_words import Language
from recado.rules.public_addresses import LENGTH_MAX
from recado.rules.webhook_deliveries import (
    DELIVERY_ID,
    DeliveryState,
    DisabledBecause,
    WebhookState,
)
from recado.rules.webhook_deliveries import (
    delivery_id as id_of,
)
from recado.rules.webhook_words import say_reason
from recado.tables.portal_webhooks import Webhook
from recado.tables.webhook_deliveries import Attempt, Delivery

app = web.resolver()

OVERLAP_SECONDS_MAX = int(portal_webhooks.OVERLAP_MAX.total_seconds())
OVERLAP_SECONDS = int(portal_webhooks.OVERLAP_DEFAULT.total_seconds())
DeliveryId = Annotated[str, Path(pattern=f"^{DELIVERY_ID.pattern}$", description="also its `webhook-id`")]
StateFilter = Annotated[DeliveryState | None, Query(alias="state", description="only these; a page may be short")]
TypeFilter = Annotated[EventType | None, Query(alias="type", description="only events of this type")]
LanguageQuery = Annotated[Language, Query(alias="lang", description="of the words for people: es or en")]
After = Annotated[
    str | None, Query(alias="after", pattern=f"^{DELIVERY_ID.pattern}$", description="`next` of the page before")
]
Limit = Annotated[int, Query(ge=1, le=100, description="deliveries on a page")]
TAGS = ["portal webhook"]
NONE: dict[int, OpenAPIResponse] = {404: {"description": "`not_found`: the school has no webhook"}}
NO_DELIVERY: dict[int, OpenAPIResponse] = {404: {"description": "`not_found`"}}
OFF: dict[int, OpenAPIResponse] = {409: {"description": "`wrong_state`: the webhook is switched off"}}
BUSY: dict[int, OpenAPIResponse] = {409: {"description": "`wrong_state`: being delivered, or the webhook is off"}}
MANY: dict[int, OpenAPIResponse] = {409: {"description": "`wrong_state`: too many secrets sign at once"}}
OFTEN: dict[int, OpenAPIResponse] = {429: {"description": "`too_many_requests`: ten tests in a minute"}}
MADE: dict[int, OpenAPIResponse] = {201: {"description": "It was made: `secret` is shown, this once"}}


class WebhookRequest(web.RequestModel):
    url: str = Field(description=f"https, a name of the public internet, at most {LENGTH_MAX} characters")
    events: list[EventType] | None = Field(
        default=None, min_length=1, max_length=50, description="the types it is told of; null: all"
    )


class SecretRequest(web.RequestModel):
    overlap_seconds: int = Field(
        default=OVERLAP_SECONDS,
        strict=True,
        ge=0,
        le=OVERLAP_SECONDS_MAX,
        description="how long the secret before still signs; 0: it ends now",
    )


class ReplayRequest(web.RequestModel):
    start: Annotated[int | None, Field(alias="from", strict=True, ge=1, le=10**11)] = Field(
        default=None, description="from this event's number on"
    )
    since: AwareDatetime | None = Field(default=None, description="or from this moment on, with its offset")
    events: list[EventType] | None = Field(default=None, min_length=1, max_length=50, description="only these types")
    states: list[DeliveryState] | None = Field(
        default=None, min_length=1, max_length=3, description="only what stands so; null: also what was never brought"
    )


class SecretView(BaseModel):
    number: int
    made_at: datetime
    signs_until: datetime | None = Field(description="null: until another one is made")


class WebhookView(BaseModel):
    url: str
    events: list[EventType] | None = Field(description="null: all")
    state: WebhookState
    state_since: datetime
    because: DisabledBecause | None = Field(description="why it is disabled")
    created_at: datetime
    changed_at: datetime
    changed_by: str
    secrets: list[SecretView] = Field(description="those that sign, the newest last; never what they are")
    event: int = Field(description="the number of the last event that was taken up")
    failing_since: datetime | None = Field(description="since when every call has failed; null: it takes them")
    paused_until: datetime | None = Field(description="until when it is left alone after failures")


class CountsView(BaseModel):
    pending: int = Field(description="on their way, or waiting for the next attempt")
    retrying: int = Field(description="those of them that were not taken at least once")
    delivered: int
    failed: int = Field(description="given up: `POST /portal-webhook/replay` brings them again")
    not_taken_up: int = Field(description="events that happened since, wanted or not")


class WebhookStateView(WebhookView):
    deliveries: CountsView = Field(description="of the latest 1,000, of the last 30 days")


class NewWebhookView(WebhookView):
    secret: str | None = Field(description="`whsec_…`; shown to whoever makes the webhook, and never again")


class NewSecretView(BaseModel):
    secret: str = Field(description="`whsec_…`; shown this once")
    secrets: list[SecretView]


class AttemptView(BaseModel):
    at: datetime
    status: int | None = Field(description="of the answer; null: there was none")
    reason: str = Field(description="empty when it was taken; else why not, e.g. timeout")
    meaning: str = Field(description="the same in plain words, and where to look")
    took_ms: int
    size: int = Field(description="bytes of the answer's body, as far as read; the body itself is not kept")


class DeliveryView(BaseModel):
    id: str = Field(description="the `webhook-id`: the same at each attempt and each replay")
    number: int = Field(description="of the event")
    type: EventType
    state: DeliveryState
    created_at: datetime = Field(description="when it happened")
    begun_at: datetime = Field(description="when it was last begun")
    begun: int = Field(description="how often it was begun: 1, and one more with each replay")
    tries: int = Field(description="failed attempts since then")
    next_at: datetime | None = Field(description="when it is tried next; null: it is not")
    done_at: datetime | None
    last_attempt: AttemptView | None


class DeliveryDetailView(DeliveryView):
    attempts: list[AttemptView] = Field(description="oldest first; the last 30")


class DeliveryList(BaseModel):
    deliveries: list[DeliveryView] = Field(description="the newest event first; kept for 30 days")
    next: str | None = Field(description="to be sent as `after`; null: no more")


class ReplayedView(BaseModel):
    begun: int = Field(description="how many are on their way again")
    pending: int = Field(description="how many were so already")
    next: int | None = Field(description="to be sent as `from` for the rest; null: that was all")


@app.get("/portal-webhook", summary="The school's webhook, without its secret", tags=TAGS, responses=NONE)
def get_webhook() -> WebhookStateView:
    caller = web.caller(app)
    found = portal_webhooks.get_webhook(caller)
    counts = portal_deliveries.count_deliveries(caller, found, clock.now())
    return WebhookStateView(**_webhook_view(found), deliveries=_counts(counts))


@app.put("/portal-webhook", summary="Make the school's webhook, or change it", tags=TAGS, responses=MADE)
def save_webhook(body: WebhookRequest) -> Response[NewWebhookView]:
    saved = portal_webhooks.save_webhook(
        web.caller(app), body.url, body.events, request_key=web.header(app, "Idempotency-Key"), now=clock.now()
    )
    status = HTTPStatus.CREATED if saved.secret else HTTPStatus.OK
    view = NewWebhookView(**_webhook_view(saved.webhook), secret=saved.secret)
    return Response(status_code=int(status), content_type=content_types.APPLICATION_JSON, body=view)


@app.delete("/portal-webhook", summary="Tell the portal nothing more", tags=TAGS, status_code=204, responses=NONE)
def delete_webhook() -> Response[None]:
    portal_webhooks.delete_webhook(web.caller(app), clock.now())
    return Response(status_code=int(HTTPStatus.NO_CONTENT))


@app.post(
    "/portal-webhook/secret",
    summary="A new secret; the one before signs a while longer",
    tags=TAGS,
    status_code=201,
    responses=NONE | MANY,
)
def rotate_secret(body: SecretRequest) -> NewSecretView:
    overlap = timedelta(seconds=body.overlap_seconds)
    saved = portal_webhooks.rotate_secret(
        web.caller(app), overlap, request_key=web.header(app, "Idempotency-Key"), now=clock.now()
    )
    return NewSecretView(secret=saved.secret or "", secrets=_secrets(saved.webhook))


@app.post(
    "/portal-webhook/test",
    summary="A `webhook.test` to the portal, at once",
    tags=TAGS,
    status_code=202,
    responses=NONE | OFF | OFTEN,
)
def send_test(language: LanguageQuery = Language.ES) -> DeliveryDetailView:
    key = web.header(app, "Idempotency-Key")
    return _detail(portal_deliveries.send_test(web.caller(app), request_key=key, now=clock.now()), language)


@app.post(
    "/portal-webhook/enable", summary="Switch it on again: it goes on where it stopped", tags=TAGS, responses=NONE
)
def enable_webhook() -> WebhookView:
    return WebhookView(**_webhook_view(portal_webhooks.enable_webhook(web.caller(app), clock.now())))


@app.post(
    "/portal-webhook/replay",
    summary="Events once more, from a number or a moment on, up to 500",
    tags=TAGS,
    status_code=202,
    responses=NONE | OFF,
)
def replay(body: ReplayRequest) -> ReplayedView:
    done = portal_deliveries.replay(
        web.caller(app),
        start=body.start,
        since=body.since,
        wanted=body.events,
        states=body.states,
        request_key=web.header(app, "Idempotency-Key"),
        now=clock.now(),
    )
    return ReplayedView(begun=done.begun, pending=done.pending, next=done.following)


@app.get("/portal-webhook/deliveries", summary="What was brought to the portal, and what was not", tags=TAGS)
def list_deliveries(
    limit: Limit = 50,
    state: StateFilter = None,
    event_type: TypeFilter = None,
    after: After = None,
    language: LanguageQuery = Language.ES,
) -> DeliveryList:
    caller = web.caller(app)
    found, following = portal_deliveries.list_deliveries(
        caller, state=state, event_type=event_type, after=after, limit=limit, now=clock.now()
    )
    views = [DeliveryView(**_view(caller.school_id, one, language)) for one in found]
    return DeliveryList(deliveries=views, next=following)


@app.get(
    "/portal-webhook/deliveries/<delivery_id>", summary="A delivery with its attempts", tags=TAGS, responses=NO_DELIVERY
)
def get_delivery(delivery_id: DeliveryId, language: LanguageQuery = Language.ES) -> DeliveryDetailView:
    return _detail(portal_deliveries.get_delivery(web.caller(app), delivery_id, clock.now()), language)


@app.post(
    "/portal-webhook/deliveries/<delivery_id>/replay",
    summary="An event once more, under its id",
    tags=TAGS,
    status_code=202,
    responses=NO_DELIVERY | BUSY,
)
def replay_delivery(delivery_id: DeliveryId, language: LanguageQuery = Language.ES) -> DeliveryDetailView:
    key = web.header(app, "Idempotency-Key")
    found = portal_deliveries.replay_delivery(web.caller(app), delivery_id, request_key=key, now=clock.now())
    return _detail(found, language)


def _webhook_view(one: Webhook) -> dict[str, Any]:
    return {
        "url": one.url,
        "events": None if one.events is None else list(one.events),
        "state": one.state,
        "state_since": one.state_since,
        "because": one.because,
        "created_at": one.created_at,
        "changed_at": one.changed_at,
        "changed_by": one.changed_by,
        "secrets": _secrets(one),
        "event": one.cursor,
        "failing_since": one.failing_since,
        "paused_until": one.paused_until,
    }


def _secrets(one: Webhook) -> list[SecretView]:
    now = clock.now()
    return [
        SecretView(number=secret.number, made_at=secret.made_at, signs_until=secret.until)
        for secret in one.secrets
        if secret.signs(now)
    ]


def _counts(one: Counts) -> CountsView:
    return CountsView(
        pending=one.pending,
        retrying=one.retrying,
        delivered=one.delivered,
        failed=one.failed,
        not_taken_up=one.not_taken_up,
    )


def _detail(one: Delivery, language: Language) -> DeliveryDetailView:
    found = _view(web.caller(app).school_id, one, language)
    return DeliveryDetailView(**found, attempts=[_attempt(attempt, language) for attempt in one.attempts])


def _view(school_id: str, one: Delivery, language: Language) -> dict[str, Any]:
    return {
        "id": id_of(school_id, one.number),
        "number": one.number,
        "type": one.type,
        "state": one.state,
        "created_at": one.created_at,
        "begun_at": one.begun_at,
        "begun": one.begun,
        "tries": one.tries,
        "next_at": one.next_at,
        "done_at": one.done_at,
        "last_attempt": _attempt(one.attempts[-1], language) if one.attempts else None,
    }


def _attempt(one: Attempt, language: Language) -> AttemptView:
    return AttemptView(
        at=one.at,
        status=one.status,
        reason=one.reason,
        meaning=say_reason(one.reason, one.status, language),
        took_ms=one.took_ms,
        size=one.size,
    )


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return web.answer(app, event, context)
