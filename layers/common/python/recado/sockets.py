"""Frames to the sockets of pages, by API Gateway's management API: one short attempt each. It must never wait long."""

from enum import StrEnum
from http import HTTPStatus

from botocore.exceptions import BotoCoreError, ClientError

from recado import log
from recado.aws import sockets_client


class Posted(StrEnum):
    """What became of a frame. `gone`: the page has left. `silent`: nobody answers there, for anybody."""

    DONE = "done"
    GONE = "gone"
    REFUSED = "refused"
    SILENT = "silent"


def post(connection: str, frame: bytes) -> Posted:
    """Posts one frame to one connection; never raises for what AWS or the way there does."""
    try:
        sockets_client().post_to_connection(ConnectionId=connection, Data=frame)
    except ClientError as error:
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == HTTPStatus.GONE:
            return Posted.GONE
        log.trouble("frame_refused", error)
        return Posted.REFUSED
    except BotoCoreError as error:
        log.trouble("frame_not_posted", error)
        return Posted.SILENT
    return Posted.DONE
