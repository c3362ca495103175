"""HTTP, once for all functions: a resolver with validation, problem+json (RFC 9457), the caller, the Idempotency-Key.

It translates and decides nothing. An answer must never carry an exception's own text: only RecadoError speaks.
"""

import json
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.exceptions import ServiceError
from aws_lambda_powertools.event_handler.openapi.exceptions import (
    RequestUnsupportedContentType,
    RequestValidationError,
)
from aws_lambda_powertools.shared.json_encoder import Encoder
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict

from recado import log
from recado.access import Caller
from recado.errors import (
    FieldProblem,
    IdempotencyKeyMissing,
    InvalidRequest,
    NotAuthenticated,
    NotFound,
    RecadoError,
    TooLarge,
    UnsupportedMediaType,
)
from recado.rules.roles import Role

PROBLEM_JSON = "application/problem+json"
BODY_BYTES_MAX = 256 * 1024
KEY_LENGTH_MAX = 255


class RequestModel(BaseModel):
    """The shape of a request: what is not named is refused."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=False)


def resolver() -> APIGatewayRestResolver:
    """A resolver that speaks problem+json for everything that goes wrong."""
    # AWS puts the base path of a custom domain before the path; the emulator does not.
    app = APIGatewayRestResolver(
        strip_prefixes=["/v1"],
        enable_validation=True,
        response_validation_error_http_code=HTTPStatus.INTERNAL_SERVER_ERROR,  # our own wrong shape is not the caller's
        json_body_deserializer=_read_json,
        serializer=_write_json,
    )

    @app.exception_handler(RecadoError)  # type: ignore[untyped-decorator]
    def refuse(error: RecadoError) -> Response[str]:
        return problem(error)

    @app.exception_handler(RequestValidationError)  # type: ignore[untyped-decorator]
    def refuse_shape(error: RequestValidationError) -> Response[str]:
        return problem(InvalidRequest(fields=[_field_problem(one) for one in error.errors()]))

    @app.exception_handler(RequestUnsupportedContentType)  # type: ignore[untyped-decorator]
    def refuse_media_type(_: RequestUnsupportedContentType) -> Response[str]:
        return problem(UnsupportedMediaType())

    @app.not_found
    def refuse_route(_: Exception) -> Response[str]:
        return problem(NotFound("There is no such route"))

    @app.exception_handler(ServiceError)  # type: ignore[untyped-decorator]
    def refuse_service(error: ServiceError) -> Response[str]:
        return _problem(error.status_code, "bad_request", HTTPStatus(error.status_code).phrase)

    # Everything else is a defect of ours. Caught here, or Powertools would log its words, which may be somebody's.
    @app.exception_handler(Exception)  # type: ignore[untyped-decorator]
    def admit(error: Exception) -> Response[str]:
        return _defect(error, app.current_event.raw_event)

    return app


def answer(app: APIGatewayRestResolver, event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """One request, one answer, one log line; a defect answers 500 and says nothing of itself."""
    try:
        _check_body(event)
        answered: dict[str, Any] = app.resolve(event, context)
        answered["body"] = answered.get("body") or ""  # the emulator fails at null, as a 204 has it; AWS takes either
    except RecadoError as error:
        answered = _raw(problem(error))
    except Exception as error:  # noqa: BLE001  # the last net: API Gateway would show the exception's text
        answered = _raw(_defect(error, event))
    log.outcome(
        "request_answered",
        method=event.get("httpMethod"),
        route=event.get("resource"),
        status=answered["statusCode"],
        request=(event.get("requestContext") or {}).get("requestId"),
    )
    return answered


def caller(app: APIGatewayRestResolver) -> Caller:
    """Who the authorizer found; the school comes from here and from nowhere else (invariant 7)."""
    found = app.current_event.raw_event["requestContext"].get("authorizer") or {}
    if "school" not in found:
        raise NotAuthenticated
    return Caller(
        school_id=found["school"],
        role=Role(found["role"]),
        subject=found.get("subject", ""),
        person_id=found.get("person") or None,
        key_id=found.get("key", ""),
    )


def header(app: APIGatewayRestResolver, name: str) -> str | None:
    """A request header, whatever its case."""
    headers = app.current_event.raw_event.get("headers") or {}
    return next((value for key, value in headers.items() if key.lower() == name.lower()), None)


def idempotency_key(app: APIGatewayRestResolver, *, length_min: int = 1) -> str:
    """The request's Idempotency-Key, with or without the quotes of the draft standard."""
    found = (header(app, "Idempotency-Key") or "").strip()
    key = found[1:-1] if len(found) > 1 and found[0] == found[-1] == '"' else found
    if not key:
        raise IdempotencyKeyMissing
    if not length_min <= len(key) <= KEY_LENGTH_MAX or not (key.isascii() and key.isprintable()) or "|" in key:
        detail = f"{length_min} to {KEY_LENGTH_MAX} printable ASCII characters without '|'"
        raise InvalidRequest(fields=[FieldProblem("Idempotency-Key", "malformed", detail)])
    return key


def json_body(app: APIGatewayRestResolver) -> dict[str, Any]:
    """The body as it came, parsed: what the idempotency row compares."""
    try:
        found: dict[str, Any] = _read_json(app.current_event.decoded_body or "{}")
    except ValueError as error:  # a route that reads no body has not looked at it before
        raise InvalidRequest(fields=[FieldProblem("/", "json_invalid", "The body is not JSON")]) from error
    return found


def idempotent_request(app: APIGatewayRestResolver) -> dict[str, Any]:
    """What an Idempotency-Key stands for: also the route and its parameters, for `{}` to one is not `{}` to another."""
    event = app.current_event.raw_event
    return {
        "route": f"{event.get('httpMethod')} {event.get('resource')}",
        "parameters": event.get("pathParameters") or {},
        "body": json_body(app),
    }


def problem(error: RecadoError) -> Response[str]:
    """A RecadoError as application/problem+json."""
    members = dict(error.members)
    if error.fields:
        members["errors"] = [{"field": f.field, "code": f.code, "detail": f.detail} for f in error.fields]
    headers = {"Retry-After": str(error.retry_after_seconds)} if error.retry_after_seconds is not None else None
    return _problem(error.status, error.code, error.title, error.detail, members, headers)


def _write_json(body: Any) -> str:
    """Accents as they are: people read these answers in terminals and logs."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False, cls=Encoder)


def _read_json(text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise json.JSONDecodeError("nested too deep", "", 0) from error


def _check_body(event: dict[str, Any]) -> None:
    if len((event.get("body") or "").encode(errors="surrogatepass")) > BODY_BYTES_MAX:
        raise TooLarge(f"The body may have {BODY_BYTES_MAX} bytes")
    headers = event.get("headers") or {}
    media_types = [str(value).lower() for name, value in headers.items() if name.lower() == "content-type"]
    if any(media_type.startswith("multipart/") for media_type in media_types):
        raise UnsupportedMediaType  # Powertools would read it as a form, and fail at one without boundary


def _defect(error: Exception, event: dict[str, Any]) -> Response[str]:
    log.trouble("request_failed", error, route=event.get("resource"), method=event.get("httpMethod"))
    return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "Something went wrong here")


def _problem(
    status: int,
    code: str,
    title: str,
    detail: str | None = None,
    members: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> Response[str]:
    document: dict[str, Any] = {"type": "about:blank", "title": title, "status": int(status), "code": code}
    if detail and detail != title:
        document["detail"] = detail
    body = _write_json(document | (members or {}))
    extra: dict[str, str | list[str]] = dict(headers or {})
    return Response(status_code=int(status), content_type=PROBLEM_JSON, body=body, headers=extra)


def _raw(response: Response[str]) -> dict[str, Any]:
    headers = {"Content-Type": [PROBLEM_JSON]} | {key: [str(value)] for key, value in response.headers.items()}
    return {
        "statusCode": response.status_code,
        "body": response.body,
        "isBase64Encoded": False,
        "multiValueHeaders": headers,
    }


def _field_problem(found: dict[str, Any]) -> FieldProblem:
    # `input` is left out on purpose: it may be somebody's number.
    is_json = found["type"] != "json_invalid"  # its place is a position, not a field
    place = [str(part) for part in found["loc"] if part != "body"] if is_json else []
    return FieldProblem("/" + "/".join(place), str(found["type"]), str(found["msg"]))
