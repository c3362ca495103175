"""Sessions on moto: a pool of short codes, handsets, somebody on the web, and the carrier between them."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any
from zlib import crc32

import boto3
import pytest

from recado import dispatch, session_caps, session_handsets, session_replies, session_sweep, sessions
from recado.carriers.speech import Outgoing
from recado.rules import signatures
from recado.rules.reply_parts import Part
from recado.session_replies import HandsetReply, ReplyOutcome
from recado.settings import SETTINGS
from recado.tables import routes, short_codes
from recado.tables.base import Transaction, shared_connection
from recado.tables.pages import PageKind
from recado.tables.short_codes import Purpose, ShortCode
from tests.conftest import jobs_on
from tests.tokens import MASTER
from tests.worlds import FakeCarrier, TestClock, worker

COUNTRY = "DO"
CARRIER = "signed_webhook"
CODES = ("44101", "44102", "44103")
ANA = "+18095550101"
LUIS = "+18295550102"
WANDA = "+18495550103"
HELLO = "¿Vienes a las 5?"
UPDATES_OF_BOOKING = 4  # of an opening to one handset: the source's sessions and recipients, everybody's, the handset's


def create_codes(*codes: str) -> None:
    for code in codes or CODES:
        assert short_codes.create_code(ShortCode(COUNTRY, code, CARRIER, Purpose.SESSIONS))


def key_of(name: str) -> str:
    """An Idempotency-Key as an anonymous page would make one."""
    return f"key-of-a-page-{name:0>10}"


def id_of(name: str) -> str:
    """The id of the session that this key opens."""
    return signatures.session_id(MASTER, key_of(name))


def address_of(name: str) -> str:
    """Where whoever has this key sits: everybody somewhere else."""
    return str(ip_address("10.0.0.0") + crc32(name.encode()) % 2**24)


def open_session(
    clock: TestClock,
    *numbers: str,
    name: str = "1",
    text: str = HELLO,
    address: str | None = None,
    is_first: bool = True,
) -> str:
    said = sessions.open_session(
        text, numbers or (ANA,), key_of(name), clock, address=address or address_of(name), key_is_first=is_first
    )
    return said.session_id


def say(
    session_id: str,
    clock: TestClock,
    *numbers: str,
    name: str = "2",
    text: str = "¿Y a las 6?",
    address: str | None = None,
    is_first: bool = True,
) -> str:
    said = sessions.say(
        session_id,
        text,
        numbers or None,
        key_of(name),
        clock,
        address=address or address_of(name),
        key_is_first=is_first,
    )
    return said.session_id


def answer(text: Outgoing, words: str, clock: TestClock, *, reply_id: str = "r1") -> ReplyOutcome:
    """The handset's owner answers a text that arrived, to the code it came from."""
    return answer_to(text.to, text.sender, words, clock, reply_id=reply_id)


def answer_to(
    handset: str, code: str, words: str, clock: TestClock, *, reply_id: str = "r1", part: Part | None = None
) -> ReplyOutcome:
    reply = HandsetReply(handset, code, words, CARRIER, reply_id, sent_at=clock(), part=part)
    return session_replies.take_reply(reply, clock)


def deliver(carrier: FakeCarrier, clock: TestClock) -> list[Outgoing]:
    """Works every waiting job of sessions; returns the texts that handsets show because of it."""
    before = len(carrier.heard)
    for body in jobs_on("SessionsQueue"):
        dispatch.work_page(dispatch.read_job(body), worker(carrier, clock))
    return carrier.heard[before:]


def of_talks(texts: Iterable[Outgoing]) -> list[Outgoing]:
    """Without what recado itself answers to STOP, ALTA and AYUDA."""
    own = (PageKind.ANSWER, PageKind.CONFIRMATION)
    return [one for one in texts if PageKind(one.reference.partition(".")[0]) not in own]


def sweep(clock: TestClock, *, minutes_left: float = 1.0) -> session_sweep.Swept:
    """A minute's run and its jobs whose moment has come; the sum of what they did."""
    session_sweep.run(clock)
    shards = [session_sweep.read_job(body) for body in jobs_on("SweepsQueue")]
    swept = [session_sweep.work(shard, clock, lambda: timedelta(minutes=minutes_left)) for shard in shards]
    return session_sweep.Swept(
        ended=sum(one.ended for one in swept),
        kept=sum(one.kept for one in swept),
        failed=sum(one.failed for one in swept),
        is_done=all(one.is_done for one in swept),
    )


def words_of(session_id: str, clock: TestClock) -> list[str]:
    """What the web page shows."""
    return [text.text for text in sessions.read(session_id, 0, clock).texts]


def rows_of(session_id: str) -> dict[str, dict[str, Any]]:
    """Everything the Sessions table keeps under a session's key, as it lies there."""
    found = boto3.resource("dynamodb").Table("SessionsTable").scan(ConsistentRead=True)["Items"]
    return {row["sk"]: row for row in found if row["pk"] == f"X#{session_id}"}


def route_row(handset: str, code: str) -> dict[str, Any]:
    """A route, as it lies in the table."""
    found = boto3.resource("dynamodb").Table("RoutesTable").get_item(Key={"pk": f"H#{handset}", "sk": code})
    item: dict[str, Any] = found.get("Item", {})
    return item


@contextmanager
def changed_settings(**changes: int) -> Iterator[None]:
    """Everybody's caps are these."""
    small = replace(SETTINGS, **changes)  # type: ignore[arg-type]  # they are the caps, all of them whole numbers
    with pytest.MonkeyPatch.context() as patch:
        for module in (session_caps, session_handsets, sessions):
            patch.setattr(module, "SETTINGS", small)
        yield


def claim_pair(handset: str, code: str, session_id: str, now: datetime) -> None:
    """A session takes a pair that is free; AssertionError when it is not."""
    with Transaction() as write:
        refused = AssertionError("the pair is not free")
        routes.claim_route(write, handset, code, session_id, "a-source", now, held=refused, taken=refused)


class Killed(BaseException):
    """The worker dies here: nothing of it runs on."""


def kill() -> None:
    raise Killed


@contextmanager
def just_before(operation: str, act: Callable[[], object], *, nth: int | None = None) -> Iterator[None]:
    """Lets something happen just before the n-th request of this operation (None: each) reaches DynamoDB.

    What `act` itself asks of DynamoDB does not count.
    """
    seen, is_acting = 0, False

    def before(request: Any, **_: Any) -> None:
        nonlocal seen, is_acting
        name = request.headers.get("X-Amz-Target", b"")
        name = (name.decode() if isinstance(name, bytes) else name).rpartition(".")[2]
        if name != operation or is_acting:
            return
        seen += 1
        if nth in (None, seen):
            is_acting = True
            try:
                act()
            finally:
                is_acting = False

    events = shared_connection().client.meta.events
    events.register_first("before-send.dynamodb", before)
    try:
        yield
    finally:
        events.unregister("before-send.dynamodb", before)
