"""/sessions: somebody on the web writes to handsets and reads their answers. It translates; it decides nothing."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response, content_types
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, Field

from recado import captcha, clock, idempotency, sessions, web
from recado.access import newest_master
from recado.errors import NotFound
from recado.rules import idle_timeout, session_texts, signatures
from recado.rules.caller_addresses import caller_address
from recado.session_handsets import SUBSCRIBERS
from recado.session_views import TranscriptLine, line_of
from recado.settings import SETTINGS
from recado.tables.sessions import Handset, NotReached, RefusedNumber

app = web.resolver()

SCOPE = "web"  # of the Idempotency-Keys of everybody who has no account
KEY_LENGTH_MIN = 22  # 128 bits in base64: the session's id follows from it, and nobody may guess another's
POLL_SECONDS = 2
SETTINGS_KEPT_FOR = "public, max-age=300"
TAGS = ["sessions"]
ENDED: dict[int, OpenAPIResponse] = {410: {"description": "`session_ended`: after 5 minutes without a message (C7)"}}
NOBODY: dict[int, OpenAPIResponse] = {
    422: {"description": "`no_handset_reachable`: each number with its reason; or `invalid_request`"}
}
NO_PERSON: dict[int, OpenAPIResponse] = {
    403: {"description": "`captcha_required`, `captcha_failed`: opened with a CAPTCHA's solution, where one is set"},
    503: {"description": "`captcha_unavailable`: its provider does not answer; `session_busy`"},
}
LIMITED: dict[int, OpenAPIResponse] = {429: {"description": "`session_limit_reached`: `limit` says which cap"}}
STILL_SENDING: dict[int, OpenAPIResponse] = {409: {"description": "`still_sending`: one message at a time (C5)"}}

SessionId = Annotated[str, Path(pattern=r"^[a-z2-7]{26}$")]
Numbers = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=32)]],
    Field(min_length=1, description="as people type them", examples=[["809 555 0101", "+1 829 555 0102"]]),
]
Captcha = Annotated[
    str | None,
    Field(min_length=1, max_length=4096, description="a solution, where `GET /sessions/settings` names a site key"),
]
MessageText = Annotated[str, Field(max_length=2000, examples=["¿Vienes a las 5?"])]


class SessionRequest(web.RequestModel):
    """A first text, and whom it goes to (C5)."""

    text: MessageText
    to: Numbers
    captcha: Captcha = None


class SayRequest(web.RequestModel):
    """The next text. `to`: only these handsets of the session; and whom to write to should it have ended."""

    text: MessageText
    to: Numbers | None = None
    captcha: Captcha = None


class HandsetView(BaseModel):
    """`typed` as the user wrote it; `code` is the short code the text comes from. C3: not every handset can answer."""

    number: str
    typed: str
    code: str
    can_answer: bool


class RefusedNumberView(BaseModel):
    number: str
    reason: NotReached
    retry_at: datetime | None


class SessionView(BaseModel):
    """`token` opens this session and no other, as `Authorization: Bearer …`; it is not shown again anywhere else."""

    id: str
    token: str
    handsets: list[HandsetView]
    refused: list[RefusedNumberView]
    expires_at: datetime = Field(description="when the session ends if nothing is sent or received")
    live_url: str | None = Field(
        description="where its page opens a socket, with `?session=<id>&token=<token>`; null: nowhere, only ask",
        examples=["wss://a1b2c3d4e5.execute-api.us-east-1.amazonaws.com/live"],
    )


class Transcript(BaseModel):
    """In the order of `seq`; ask again with `after` = `next_after`. A reply that came late has a higher `seq` than what
    was said after it, and an earlier `at`.
    """

    messages: list[TranscriptLine]
    next_after: int
    is_sending: bool = Field(description="C5: the next text can be sent when this one has gone out")
    expires_at: datetime


class SessionExtended(BaseModel):
    expires_at: datetime


class SessionSettings(BaseModel):
    """What a page must know before it opens a session."""

    handsets_max: int = Field(description="numbers one session may hold")
    segments_max: int = Field(description="segments of one text")
    idle_seconds: int = Field(description="a session ends so long after its last message (C7)")
    countries: list[str] = Field(description="ISO 3166-1 alpha-2: whose subscribers can be written to (C2)")
    captcha_site_key: str | None = Field(description="for the CAPTCHA's widget; null: no solution is asked for")


@app.post(
    "/sessions",
    status_code=HTTPStatus.CREATED,
    summary="Open a session: a text to handsets, each from a short code of its own",
    tags=TAGS,
    responses=NOBODY | NO_PERSON | LIMITED,
)
def open_session(body: SessionRequest) -> Response[SessionView]:
    key, address = web.idempotency_key(app, length_min=KEY_LENGTH_MIN), _address()

    def work(is_first: bool) -> dict[str, Any]:  # idempotency.Work's shape
        said = sessions.open_session(
            body.text,
            body.to,
            key,
            clock.now,
            address=address,
            key_is_first=is_first,
            require_person=_asker(body.captcha),
        )
        return {"session_id": said.session_id}

    # Nothing is kept: asked again, the work finds its session, or that it has ended.
    answer = idempotency.once(SCOPE, key, _asked(), clock.now(), work, keep_answer=False)
    return _created(answer["session_id"])


@app.get("/sessions/settings", summary="What a page must know before it opens a session", tags=TAGS)
def get_settings() -> Response[SessionSettings]:
    settings = SessionSettings(
        handsets_max=SETTINGS.session_handsets_max,
        segments_max=session_texts.SEGMENTS_MAX,
        idle_seconds=int(idle_timeout.IDLE_LIMIT.total_seconds()),
        countries=list(SUBSCRIBERS.countries),
        captcha_site_key=SETTINGS.captcha_site_key if SETTINGS.captcha_verify_url else None,
    )
    headers: dict[str, str | list[str]] = {"Cache-Control": SETTINGS_KEPT_FOR}
    return Response(
        status_code=HTTPStatus.OK, content_type=content_types.APPLICATION_JSON, body=settings, headers=headers
    )


@app.post(
    "/sessions/<session_id>/messages",
    status_code=HTTPStatus.CREATED,
    summary="Send the next text; after the end, with numbers, in another session on other codes (C8)",
    tags=TAGS,
    responses=ENDED | NOBODY | NO_PERSON | STILL_SENDING | LIMITED,
)
def say(session_id: SessionId, body: SayRequest) -> Response[SessionView]:
    _check_token_of(session_id)
    key, address = web.idempotency_key(app, length_min=KEY_LENGTH_MIN), _address()

    def work(is_first: bool) -> dict[str, Any]:  # idempotency.Work's shape
        said = sessions.say(
            session_id,
            body.text,
            body.to,
            key,
            clock.now,
            address=address,
            key_is_first=is_first,
            require_person=_asker(body.captcha),
        )
        return {"session_id": said.session_id, "text": said.number}

    # Only ids are kept, without the token: the same key never says a text twice, however late it comes again.
    asked = {"session_id": session_id, "say": _asked()}
    answer = idempotency.once(SCOPE, key, asked, clock.now(), work)
    return _created(answer["session_id"], answer.get("text"))


@app.get(
    "/sessions/<session_id>/messages",
    summary="What was said and answered since `after`",
    tags=TAGS,
    responses=ENDED,
)
def read(session_id: SessionId, after: Annotated[int, Query(ge=0, le=99_999_998)] = 0) -> Response[Transcript]:
    _check_token_of(session_id)
    found = sessions.read(session_id, after, clock.now)
    transcript = Transcript(
        messages=[line_of(text) for text in found.texts],
        next_after=found.next_after,
        is_sending=found.is_sending,
        expires_at=found.ends_at,
    )
    headers: dict[str, str | list[str]] = {"Retry-After": str(POLL_SECONDS)}
    return Response(
        status_code=HTTPStatus.OK, content_type=content_types.APPLICATION_JSON, body=transcript, headers=headers
    )


@app.post("/sessions/<session_id>/extend", summary="Five more minutes without a message", tags=TAGS, responses=ENDED)
def extend(session_id: SessionId) -> SessionExtended:
    _check_token_of(session_id)
    return SessionExtended(expires_at=sessions.extend(session_id, clock.now))


@app.delete(
    "/sessions/<session_id>",
    status_code=HTTPStatus.NO_CONTENT,
    summary="End the session now; its messages vanish",
    tags=TAGS,
)
def end(session_id: SessionId) -> Response[None]:
    _check_token_of(session_id)
    sessions.end(session_id, clock.now)
    return Response(status_code=HTTPStatus.NO_CONTENT)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return web.answer(app, event, context)


def _check_token_of(session_id: str) -> None:
    """The authorizer says which session the token opens; any other is not there."""
    authorizer = app.current_event.raw_event["requestContext"].get("authorizer") or {}
    if authorizer.get("session") != session_id:
        raise NotFound


def _asked() -> dict[str, Any]:
    """What the key stands for. Not a solution, which can be used once: the same request may come with another."""
    return {name: value for name, value in web.json_body(app).items() if name != "captcha"}


def _asker(solution: str | None) -> Callable[[], None]:
    return partial(captcha.require_person, solution, _address())


def _address() -> str:
    """The caller's address: as API Gateway saw it, or as our own CDN says; never a header that anybody can write."""
    event = app.current_event.raw_event
    identity = event["requestContext"].get("identity") or {}
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    return caller_address(identity.get("sourceIp") or "", headers, SETTINGS.edge_secret)


def _created(session_id: str, text_number: int | None = None) -> Response[SessionView]:
    opening = sessions.get_opening(session_id, clock.now(), text_number)
    version, master = newest_master()
    view = SessionView(
        id=session_id,
        token=signatures.session_token(master, session_id, version),
        handsets=[_handset(one) for one in opening.handsets],
        refused=[_refused(one) for one in opening.refused],
        expires_at=opening.ends_at,
        live_url=SETTINGS.live_url or None,
    )
    headers: dict[str, str | list[str]] = {"Location": f"/v1/sessions/{session_id}/messages"}
    return Response(
        status_code=HTTPStatus.CREATED, content_type=content_types.APPLICATION_JSON, body=view, headers=headers
    )


def _handset(one: Handset) -> HandsetView:
    return HandsetView(number=one.number, typed=one.typed, code=one.code or "", can_answer=one.can_answer)


def _refused(one: RefusedNumber) -> RefusedNumberView:
    return RefusedNumberView(number=one.typed, reason=one.reason, retry_at=one.retry_at)
