"""A page's socket, as API Gateway tells of it: opened, a frame came, closed. It decides nothing; never logs a query."""

from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from recado import clock, log, session_sockets
from recado.errors import NotAuthenticated, RecadoError

type Event = dict[str, Any]


def handler(event: Event, _: LambdaContext) -> dict[str, int]:
    """Its status counts when a socket is opened: any but 200 refuses it."""
    try:
        _take(event)
    except RecadoError as error:
        log.outcome("socket_refused", code=error.code)
        return {"statusCode": error.status}
    except Exception as error:  # noqa: BLE001  # the last net: a page without a socket reads `after=`
        log.trouble("socket_failed", error)
        return {"statusCode": HTTPStatus.INTERNAL_SERVER_ERROR}
    return {"statusCode": HTTPStatus.OK}


def _take(event: Event) -> None:
    about = event["requestContext"]
    session_id = (about.get("authorizer") or {}).get("session")
    if not session_id:
        raise NotAuthenticated
    # By the type of the event, not by its route: a page chooses the route of its frames, by what it writes.
    match about["eventType"]:
        case "CONNECT":
            session_sockets.join(session_id, about["connectionId"], clock.now)
        case "DISCONNECT":
            session_sockets.leave(session_id, about["connectionId"])
        case _:
            session_sockets.answer(session_id, about["connectionId"], event.get("body") or "", clock.now)
