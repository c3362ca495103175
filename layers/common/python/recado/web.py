"""HTTP, once for all functions: validation, problem+json (RFC 9457), the caller, keys, bounds and headers.

It translates and decides nothing. An answer must never carry an exception's own text: only RecadoError speaks.
"""

import base64
import json
import re
from collections.abc import Callable, Sequence
from functools import cache
from http import HTTPStatus
from types import CodeType, FunctionType
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.api_gateway import Route
from aws_lambda_powertools.event_handler.exceptions import ServiceError
from aws_lambda_powertools.event_handler.openapi.exceptions import (
    RequestUnsupportedContentType,
    RequestValidationError,
)
from aws_lambda_powertools.shared.json_encoder import Encoder
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict

from recado import clock, idempotency, log
from recado.access import Caller
from recado.errors import (
    FieldProblem,
    IdempotencyKeyMissing,
    InvalidRequest,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    RecadoError,
    TooLarge,
    TooManyRequests,
    UnsupportedMediaType,
)
from recado.rules.json_bodies import read_json, shown
from recado.rules.rate_limits import Quota, limit_header, policy_header
from recado.rules.roles import Role

PROBLEM_JSON = "application/problem+json"
CSV = "text/csv"
BODY_BYTES_MAX = 256 * 1024
CSV_BYTES_MAX = 1024 * 1024  # of a route that takes a file
PATH_LENGTH_MAX = 1024
HEADERS_LENGTH_MAX = 16 * 1024  # API Gateway takes 10 KiB
QUERY_PARAMETERS_MAX = 20
QUERY_LENGTH_MAX = 2048  # of one name and its value
KEY_LENGTH_MAX = 255
KEPT_ANSWER_BYTES_MAX = 300 * 1024  # a row of DynamoDB's has 400 KB
SECRET_MEMBERS = frozenset({"secret", "token"})  # an answer that has one is stored nowhere
ERRORS_MAX = 100  # of one problem document
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
CORRELATION_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}")


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
        json_body_deserializer=read_json,
        serializer=_write_json,
    )

    @app.exception_handler(RecadoError)  # type: ignore[untyped-decorator]
    def refuse(error: RecadoError) -> Response[str]:
        return problem(error)

    @app.exception_handler(RequestValidationError)  # type: ignore[untyped-decorator]
    def refuse_shape(error: RequestValidationError) -> Response[str]:
        body = app.current_event.json_body if any(one["loc"][:1] == ("body",) for one in error.errors()) else None
        return problem(InvalidRequest(fields=[_field_problem(one, body) for one in error.errors()]))

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
    quota = _quota(event)
    try:
        route = _route_of(app, event)
        _check_quota(quota)
        _check_sizes(route, event)
        _check_route(route, event)
        answered = _answer_once(app, event, context)
    except RecadoError as error:
        answered = _raw(problem(error))
    except Exception as error:  # noqa: BLE001  # the last net: API Gateway would show the exception's text
        answered = _raw(_defect(error, event))
    _finish(answered, event, quota)
    log.outcome(
        "request_answered",
        method=event.get("httpMethod"),
        route=event.get("resource"),
        status=answered["statusCode"],
        request=_request_id(event),
        correlation=_correlation_id(event),
    )
    return answered


def caller(app: APIGatewayRestResolver) -> Caller:
    """Who the authorizer found; the school comes from here and from nowhere else (invariant 7)."""
    return _caller(app.current_event.raw_event)


def header(app: APIGatewayRestResolver, name: str) -> str | None:
    """A request header, whatever its case."""
    return _header(app.current_event.raw_event, name)


def idempotency_key(app: APIGatewayRestResolver, *, length_min: int = 1) -> str:
    """The request's Idempotency-Key, with or without the quotes of the draft standard."""
    key = _read_key(app.current_event.raw_event, length_min)
    if key is None:
        raise IdempotencyKeyMissing
    return key


def asks_for_key(function: Callable[..., Any]) -> bool:
    """Whether a handler, or a function of its own file that it calls, reads the Idempotency-Key itself."""
    return _asks_for("idempotency_key", function, frozenset()) if isinstance(function, FunctionType) else False


def takes_csv(function: Callable[..., Any]) -> bool:
    """Whether a handler, or a function of its own file that it calls, reads a CSV instead of JSON."""
    return _asks_for("csv_body", function, frozenset()) if isinstance(function, FunctionType) else False


def csv_body(app: APIGatewayRestResolver) -> bytes:
    """The file as it came. Raises UnsupportedMediaType for whatever does not say that it is text/csv."""
    event = app.current_event.raw_event
    media_type = (_header(event, "Content-Type") or "").partition(";")[0].strip().lower()
    if media_type != CSV:
        raise UnsupportedMediaType("The body must be text/csv")
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return str(body).encode(errors="replace")
    try:
        return base64.b64decode(body, validate=True)
    except ValueError as error:
        raise InvalidRequest(fields=[FieldProblem("/", "malformed", "The body is not base64")]) from error


def json_body(app: APIGatewayRestResolver) -> dict[str, Any]:
    """The body as it came, parsed: what the idempotency row compares."""
    found: dict[str, Any] = read_json(app.current_event.decoded_body or "{}")
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
        named = error.fields[:ERRORS_MAX]
        members["errors"] = [{"field": f.field, "code": f.code, "detail": f.detail} for f in named]
        members |= {"errors_count": len(error.fields)} if len(error.fields) > ERRORS_MAX else {}
    headers = {"Retry-After": str(error.retry_after_seconds)} if error.retry_after_seconds is not None else None
    return _problem(error.status, error.code, error.title, error.detail, members, headers)


def _write_json(body: Any) -> str:
    """Accents as they are: people read these answers in terminals and logs."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False, cls=Encoder)


# --- the request's bounds -----------------------------------------------------------------------------------


def _check_quota(quota: Quota | None) -> None:
    if quota is not None and quota.is_over:
        detail = f"At most {quota.limit} requests a minute"
        raise TooManyRequests(detail, retry_after_seconds=quota.resets_in_seconds)


def _check_sizes(route: Route | None, event: dict[str, Any]) -> None:
    """What API Gateway bounds too, and the emulator does not; before anything is read."""
    body = (event.get("body") or "").encode(errors="surrogatepass")
    bytes_max = CSV_BYTES_MAX if route is not None and takes_csv(route.func) else BODY_BYTES_MAX
    if (len(body) * 3 // 4 if event.get("isBase64Encoded") else len(body)) > bytes_max:
        raise TooLarge(f"The body may have {bytes_max} bytes")
    if len(str(event.get("path") or "")) > PATH_LENGTH_MAX:
        raise TooLarge(f"The path may have {PATH_LENGTH_MAX} characters")
    headers = event.get("multiValueHeaders") or {}
    if sum(len(name) + len(value) for name, values in headers.items() for value in values or ()) > HEADERS_LENGTH_MAX:
        raise TooLarge(f"The headers may have {HEADERS_LENGTH_MAX} characters")
    query = event.get("multiValueQueryStringParameters") or {}
    values = [(name, value) for name, found in query.items() for value in found or ()]
    if len(values) > QUERY_PARAMETERS_MAX or any(len(name) + len(value) > QUERY_LENGTH_MAX for name, value in values):
        raise TooLarge(f"The query may have {QUERY_PARAMETERS_MAX} parameters of {QUERY_LENGTH_MAX} characters")


def _check_route(route: Route | None, event: dict[str, Any]) -> None:
    """What a route's own description allows: names in the query, and a body of JSON in UTF-8."""
    if route is None:
        return
    known = {field.alias for field in route.dependant.query_params}
    given = {**(event.get("queryStringParameters") or {}), **(event.get("multiValueQueryStringParameters") or {})}
    unknown = [name for name in given if name not in known] if _authorizer(event) else []
    if unknown:  # a public page may be reached by any link; of an API's own parameter a slip of the pen must be told
        problems = [FieldProblem(f"/query/{shown(name)}", "extra_forbidden", "No such parameter") for name in unknown]
        raise InvalidRequest(fields=problems)
    media_type = (_header(event, "Content-Type") or "").lower()
    # Powertools would read them as forms, and fail at one without boundary.
    if media_type.startswith("multipart/") or (route.dependant.body_params and "form-urlencoded" in media_type):
        raise UnsupportedMediaType
    if route.dependant.body_params and event.get("isBase64Encoded"):
        try:
            base64.b64decode(event.get("body") or "", validate=True).decode()
        except ValueError as error:
            raise InvalidRequest(fields=[FieldProblem("/", "json_invalid", "The body is not UTF-8")]) from error


# --- the Idempotency-Key of a write that does not read it itself --------------------------------------------


class _Passed(Exception):
    """An answer on its way past `idempotency.once`."""

    def __init__(self, answered: dict[str, Any]) -> None:
        super().__init__()
        self.answered = answered


class _Refused(_Passed, NotAllowed):
    """A refusal: the key is forgotten, as if it had never been asked."""


class _NotKept(_Passed, RecadoError):
    """Done, and its answer is not to be kept: the key is given back, for this request only."""


class _Defective(_Passed):
    """Nobody knows what was done: the key's lease stays."""


def _answer_once(app: APIGatewayRestResolver, event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Done once and answered the same, where a write comes with a key and its route does not see to it itself.

    Sessions and carriers are left out: what they may send twice is told by the session's own row or the carrier's id.
    """
    route, authorizer = _route_of(app, event), _authorizer(event)
    is_write = event.get("httpMethod") in WRITES and "school" in authorizer
    if route is None or not is_write or _header(event, "Idempotency-Key") is None or asks_for_key(route.func):
        return _resolve(app, event, context)
    key = _read_key(event, 1)
    if key is None:
        return _resolve(app, event, context)
    asked = {
        "route": f"{event.get('httpMethod')} {event.get('resource')}",
        "parameters": event.get("pathParameters") or {},
        "query": event.get("multiValueQueryStringParameters") or {},
        "body": event.get("body") or "",
        "by": [authorizer.get(name) for name in ("role", "subject", "person")],  # an answer is not for other eyes
    }

    def work(_: bool) -> dict[str, Any]:  # idempotency.Work's shape
        answered = _resolve(app, event, context)
        if answered["statusCode"] >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise _Defective(answered)
        if answered["statusCode"] >= HTTPStatus.BAD_REQUEST:
            raise _Refused(answered)
        if not _is_to_be_kept(answered):
            raise _NotKept(answered)
        return answered

    try:
        return idempotency.once(_caller(event).school_id, key, asked, clock.now(), work)
    except _Passed as passed:
        return passed.answered


def _resolve(app: APIGatewayRestResolver, event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    answered: dict[str, Any] = app.resolve(event, context)
    answered["body"] = answered.get("body") or ""  # the emulator fails at null, as a 204 has it; AWS takes either
    return answered


def _is_to_be_kept(answered: dict[str, Any]) -> bool:
    """JSON or nothing, not too large for a row, and no secret: an answer that is not kept is worked out again."""
    body = answered["body"]
    if len(json.dumps(answered).encode()) > KEPT_ANSWER_BYTES_MAX:
        return False
    if not body:
        return True
    try:
        document = json.loads(body)
    except ValueError:
        return False
    return not (isinstance(document, dict) and SECRET_MEMBERS & document.keys())


def _asks_for(name: str, function: FunctionType, seen: frozenset[str]) -> bool:
    names = _names(function.__code__)
    if name in names:
        return True
    called = (function.__globals__.get(one) for one in names - seen)
    own = [one for one in called if isinstance(one, FunctionType) and one.__module__ == function.__module__]
    return any(_asks_for(name, one, seen | {one.__name__}) for one in own)


def _names(code: CodeType) -> set[str]:
    inner = (const for const in code.co_consts if isinstance(const, CodeType))
    return set(code.co_names).union(*(_names(one) for one in inner))


# --- what every answer carries ------------------------------------------------------------------------------


def _finish(answered: dict[str, Any], event: dict[str, Any], quota: Quota | None) -> None:
    """Ids to ask support about, what remains of the school's minute, and that nobody keeps or guesses at an answer."""
    request_id, correlation_id = _request_id(event), _correlation_id(event)
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
    headers |= {"X-Request-Id": request_id} if request_id else {}
    headers |= {"X-Correlation-Id": correlation_id} if correlation_id else {}
    if quota is not None:
        headers |= {"RateLimit-Policy": policy_header(quota), "RateLimit": limit_header(quota)}
    own = {name.lower() for name in answered["multiValueHeaders"]}
    answered["multiValueHeaders"] |= {name: [value] for name, value in headers.items() if name.lower() not in own}
    if answered["multiValueHeaders"].get("Content-Type") == [PROBLEM_JSON] and request_id:
        answered["body"] = _write_json(json.loads(answered["body"]) | {"instance": f"urn:request:{request_id}"})


def _quota(event: dict[str, Any]) -> Quota | None:
    """What the authorizer counted, if it did; it counts the requests of portals only."""
    found = _authorizer(event)
    if "limit" not in found:
        return None
    return Quota(int(found["limit"]), int(found["remaining"]), int(found["resets"]), "over" in found)


def _request_id(event: dict[str, Any]) -> str | None:
    return (event.get("requestContext") or {}).get("requestId")


def _correlation_id(event: dict[str, Any]) -> str | None:
    """The portal's own id of the request, if it is one."""
    found = _header(event, "X-Request-Id")
    return found if found and CORRELATION_ID.fullmatch(found) else None


# --- parts of the event -------------------------------------------------------------------------------------


def _caller(event: dict[str, Any]) -> Caller:
    found = _authorizer(event)
    if "school" not in found:
        raise NotAuthenticated
    return Caller(
        school_id=found["school"],
        role=Role(found["role"]),
        subject=found.get("subject", ""),
        person_id=found.get("person") or None,
        key_id=found.get("key", ""),
    )


def _authorizer(event: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (event.get("requestContext") or {}).get("authorizer") or {}
    return found


def _header(event: dict[str, Any], name: str) -> str | None:
    headers = event.get("headers") or {}
    return next((value for key, value in headers.items() if key.lower() == name.lower()), None)


def _read_key(event: dict[str, Any], length_min: int) -> str | None:
    found = (_header(event, "Idempotency-Key") or "").strip()
    key = found[1:-1] if len(found) > 1 and found[0] == found[-1] == '"' else found
    if not key:
        return None
    if not length_min <= len(key) <= KEY_LENGTH_MAX or not (key.isascii() and key.isprintable()) or "|" in key:
        detail = f"{length_min} to {KEY_LENGTH_MAX} printable ASCII characters without '|'"
        raise InvalidRequest(fields=[FieldProblem("Idempotency-Key", "malformed", detail)])
    return key


def _route_of(app: APIGatewayRestResolver, event: dict[str, Any]) -> Route | None:
    return _routes(app).get((str(event.get("httpMethod")), str(event.get("resource"))))


@cache
def _routes(app: APIGatewayRestResolver) -> dict[tuple[str, str], Route]:
    found = [*app._static_routes, *app._dynamic_routes]  # noqa: SLF001  # it offers no other list
    return {(route.method, route.openapi_path): route for route in found}


# --- problems -----------------------------------------------------------------------------------------------


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


def _field_problem(found: dict[str, Any], body: Any) -> FieldProblem:
    # `input` is left out on purpose: it may be somebody's number.
    is_json = found["type"] != "json_invalid"  # its place is a position, not a field
    where, *parts = found["loc"] if is_json else ("body",)
    place = _place(parts, body, found["type"]) if where == "body" else [where, *parts]
    words = str(found["msg"]).removeprefix("Value error, ")  # pydantic's own words before ours
    return FieldProblem("/" + "/".join(shown(str(part)) for part in place), str(found["type"]), words)


def _place(parts: Sequence[str | int], body: Any, kind: str) -> list[str | int]:
    """The place as it is in the body: pydantic also names which of several shapes it tried there."""
    place: list[str | int] = []
    for number, part in enumerate(parts):
        is_there = (isinstance(body, dict) and part in body) or (isinstance(body, list) and isinstance(part, int))
        if is_there:
            body = body[part]
        if is_there or (kind == "missing" and number == len(parts) - 1):
            place.append(part)
    return place
