"""Webhooks of carriers, and what AWS brings itself (an SNS topic's two-way replies). It verifies, then hands on."""

import base64
import gzip
import json
from typing import Annotated, Any
from urllib.parse import urlencode

from aws_lambda_powertools.event_handler.openapi.params import Path
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, Field

from recado import clock, inbound, log, web
from recado.carriers import end_user_messaging, sns
from recado.carriers.speech import PATH, BadWebhook

app = web.resolver()

CarrierName = Annotated[str, Path(min_length=1, max_length=40, pattern=r"^[a-z0-9_]+$")]
SNS = "sns"
EVENTS_CARRIER = "end_user_messaging"


class RepliesTaken(BaseModel):
    """How many replies were taken; where they went is nobody's business but their addressee's."""

    taken: int


class ReceiptsTaken(BaseModel):
    """How many receipts were put on their queue, and where the others stand that are not as the format says."""

    taken: int
    malformed: list[str] = Field(description="JSON pointers; what stands there was not taken", max_length=1000)


@app.post("/carriers/<carrier>/replies", summary="A carrier brings what handsets answered", tags=["carriers"])
def take_replies(carrier: CarrierName) -> RepliesTaken:
    return RepliesTaken(taken=len(inbound.take_replies(carrier, _headers(carrier, "replies"), _body(), clock.now)))


@app.post("/carriers/<carrier>/receipts", summary="A carrier reports what became of texts", tags=["carriers"])
def take_receipts(carrier: CarrierName) -> ReceiptsTaken:
    taken, malformed = inbound.take_receipts(carrier, _headers(carrier, "receipts"), _body(), clock.now)
    return ReceiptsTaken(taken=taken, malformed=malformed)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any] | None:
    if "awslogs" in event:
        _take_delivery_log(event)
        return None
    if "Records" in event:
        _take_topic(event)
        return None
    return web.answer(app, event, context)


def _headers(carrier: str, kind: str) -> dict[str, str]:
    """The headers, and what was asked for: the route without what AWS puts before it, the query as we write it."""
    event = app.current_event.raw_event
    query = event.get("multiValueQueryStringParameters") or event.get("queryStringParameters") or {}
    path = f"/carriers/{carrier}/{kind}" + (f"?{urlencode(query, doseq=True)}" if query else "")
    return {**(event.get("headers") or {}), PATH: path}


def _body() -> bytes:
    raw = app.current_event.raw_event.get("body") or ""
    return base64.b64decode(raw) if app.current_event.raw_event.get("isBase64Encoded") else raw.encode()


def _take_topic(event: dict[str, Any]) -> None:
    """Two-way replies and events of texts; AWS invoked us by the topic's permission: there is no signature to check.

    A reply that fails keeps no other from its place: the whole fails when all were tried. AWS brings the event again:
    what was taken is known by its id, and after three tries it lies in the queue for what could not be placed.
    """
    failed: Exception | None = None
    for record in event["Records"]:
        body = json.dumps(record["Sns"]).encode()
        if end_user_messaging.is_event(body):
            _take_event(body)
            continue
        try:
            for reply in sns.read_replies(body):
                inbound.take_reply(SNS, reply, clock.now)
        except Exception as error:  # noqa: BLE001  # raised below, when the others have been taken
            log.trouble("reply_not_taken", error, carrier=SNS)
            failed = error
    if failed is not None:
        raise failed


def _take_event(body: bytes) -> None:
    try:
        receipts = end_user_messaging.read_receipts(body)
    except BadWebhook as error:
        log.trouble("receipt_not_understood", error, carrier=EVENTS_CARRIER)
        return
    inbound.queue_receipts(EVENTS_CARRIER, receipts, clock.now())


def _take_delivery_log(event: dict[str, Any]) -> None:
    """SNS's delivery log through a subscription filter: base64 of gzip of JSON."""
    document = json.loads(gzip.decompress(base64.b64decode(event["awslogs"]["data"])))
    receipts = []
    for line in document.get("logEvents", []):
        try:
            receipts.extend(sns.read_receipts(line["message"].encode()))
        except BadWebhook as error:
            log.trouble("receipt_not_understood", error, carrier=SNS)
    inbound.queue_receipts(SNS, receipts, clock.now())
