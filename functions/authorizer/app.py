"""Who is calling: answers API Gateway with a policy for this one request. Denies by default; never logs a token."""

from typing import Any, NoReturn

from aws_lambda_powertools.utilities.typing import LambdaContext

from recado import access, clock, log, request_limit
from recado.errors import NotAuthenticated

type Event = dict[str, Any]
type Answer = dict[str, Any]


class Unauthorized(Exception):  # API Gateway reads its words, not its name
    """What a REST API answers as 401. Its message must be this word alone: any other is answered as our defect, 500."""


def handler(event: Event, _: LambdaContext) -> Answer:
    route = str(event.get("resource") or "")
    try:
        if (event.get("requestContext") or {}).get("eventType") == "CONNECT":
            return _socket_answer(event)
        token = access.read_bearer(event.get("headers"))
        if access.is_session_route(route):
            session_id = str((event.get("pathParameters") or {}).get("session_id") or "")
            return _session_answer(event, session_id, token)
        return _portal_answer(event, route, token)
    except NotAuthenticated:
        _refuse(event)


def _socket_answer(event: Event) -> Answer:
    """A browser sets no header on a socket, so its query says what the header would."""
    query = event.get("queryStringParameters") or {}
    return _session_answer(event, str(query.get("session") or ""), str(query.get("token") or ""))


def _session_answer(event: Event, session_id: str, token: str) -> Answer:
    if not access.is_session_token(session_id, token):
        raise NotAuthenticated
    _note("token_accepted", event, session=session_id)
    return _policy(event, is_allowed=True, principal=session_id, context={"session": session_id})


def _portal_answer(event: Event, route: str, token: str) -> Answer:
    now = clock.now()
    caller = access.read_portal_token(token, now)
    quota = request_limit.count_request(caller, now)
    is_allowed = access.may_open(caller, route)
    _note("token_accepted" if is_allowed else "token_denied", event, school=caller.school_id, key=caller.key_id)
    context = {
        "school": caller.school_id,
        "role": caller.role.value,
        "subject": caller.subject,
        "person": caller.person_id or "",
        "key": caller.key_id,
    }
    if quota is not None:  # here alone it is counted; the function that answers says it, or refuses (`web.answer`)
        context |= {
            "limit": str(quota.limit),
            "remaining": str(quota.remaining),
            "resets": str(quota.resets_in_seconds),
        }
        context |= {"over": "yes"} if quota.is_over else {}
    return _policy(event, is_allowed=is_allowed, principal=caller.subject, context=context)


def _policy(event: Event, *, is_allowed: bool, principal: str, context: dict[str, str]) -> Answer:
    statement = {
        "Action": "execute-api:Invoke",
        "Effect": "Allow" if is_allowed else "Deny",  # Deny is answered as 403
        "Resource": event["methodArn"],  # this request only: nothing is cached
    }
    document = {"Version": "2012-10-17", "Statement": [statement]}
    return {"principalId": principal, "policyDocument": document, "context": context}


def _refuse(event: Event) -> NoReturn:
    _note("token_refused", event)
    raise Unauthorized("Unauthorized") from None


def _note(name: str, event: Event, **facts: str) -> None:
    about = event.get("requestContext") or {}
    route = event.get("resource") or about.get("routeKey")  # a socket has no resource
    log.outcome(name, route=route, method=event.get("httpMethod"), request=about.get("requestId"), **facts)
