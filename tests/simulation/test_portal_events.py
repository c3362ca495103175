"""A school's day with its webhook, killed at each request to AWS once: before it arrives, and after it was applied.

Whatever died is asked for again, as a portal, SQS or the next minute would; in the end nothing wanted is missing.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any, Literal

import pytest

from recado import access, events, portal_deliveries, portal_events, portal_webhooks
from recado.carriers.portal_calls import Call, Heard
from recado.errors import NotFound
from recado.events import NewEvent
from recado.rules.event_types import EventType
from recado.rules.webhook_deliveries import DeliveryState, WebhookState, delivery_id
from recado.tables import events as event_table
from recado.tables import portal_webhooks as table
from tests.simulation.wires import MemoryAws, memory_aws
from tests.worlds import DIRECTOR, SCHOOL, TestClock

URL = "https://portal.escuela.cl/recado"
MINUTES_MAX = 60 * 40


class Killed(BaseException):
    """Passes every `except Exception`: the process is gone."""


@dataclass
class Gate:
    """Kills at the n-th request, before or after it is applied; None: counts only. Keeps the jobs SQS was given."""

    at: int | None = None
    when: Literal["before", "after"] = "before"
    seen: int = 0
    jobs: list[str] = field(default_factory=list)

    def before(self, _: str, __: Mapping[str, Any]) -> None:
        self.seen += 1
        if self.when == "before" and self.seen == self.at:
            raise Killed

    def after(self, _: str, asked: Mapping[str, Any]) -> None:
        self.jobs += [one["MessageBody"] for one in asked.get("Entries", ())]
        if self.when == "after" and self.seen == self.at:
            raise Killed


@dataclass
class School:
    """What a portal does through a day, and what it heard."""

    aws: MemoryAws
    gate: Gate
    clock: TestClock = field(default_factory=TestClock)
    heard: list[tuple[Call, int]] = field(default_factory=list)
    is_off: bool = False
    owners: Iterator[int] = field(default_factory=lambda: count(1))

    def post(self, call: Call) -> Heard:
        assert not self.is_off, "called while it was switched off"
        number = json.loads(call.body)["number"]
        tried = sum(json.loads(one.body)["number"] == number for one, _ in self.heard)
        status = 500 if number % 3 == 0 and tried == 0 else 200
        self.heard.append((call, status))
        return Heard(status, "" if status == 200 else "status")

    def surely(self, act: Callable[[], object]) -> None:
        """Asked until it is answered, as a client does that heard nothing."""
        for _ in range(3):
            try:
                act()
            except Killed:
                continue
            return
        raise AssertionError("killed more than once")

    def work_all(self) -> None:
        """Every job that is waiting; one whose worker died comes back when its lease is over."""
        self.surely(self._work_waiting)

    def _work_waiting(self) -> None:
        while self.gate.jobs:
            job = self.gate.jobs[0]
            worker = portal_events.Worker(
                f"w{next(self.owners)}", self.clock, lambda: timedelta(seconds=55), lambda: 0.0, self.post
            )
            portal_events.work(json.loads(job)["school"], worker)
            self.gate.jobs.pop(0)

    def minute(self) -> None:
        self.clock.move(minutes=1)
        self.surely(lambda: portal_events.take_up_due(self.clock()))
        self.work_all()

    def settle(self) -> None:
        """Minutes pass until nothing is owed; jobs that were put for later come with the minute's."""
        for _ in range(MINUTES_MAX):
            self.minute()
            if not self.owes():
                return
        raise AssertionError("something is owed for ever")

    def state(self) -> str:
        """Read past the gate."""
        row = self.aws.row("MessagesTable", (f"S#{SCHOOL}#WEBHOOK", "webhook"))
        assert row is not None
        return str(row["state"]["S"])

    def owes(self) -> bool:
        rows = self.aws.rows("MessagesTable")
        return any("attend_at" in row for (pk, _), row in rows.items() if pk.startswith(f"S#{SCHOOL}#"))

    def happen(self, number: int) -> None:
        new = NewEvent(EventType.MESSAGE_SENT, f"m{number}", self.clock(), {"message": f"m{number}"})
        self.surely(lambda: events.raise_event(SCHOOL, new))


@contextmanager
def school(gate: Gate) -> Iterator[School]:
    with memory_aws() as aws:
        aws.clear()
        aws.gate = gate
        yield School(aws, gate)


def ordinary_day(one: School) -> None:
    one.happen(1)
    one.surely(lambda: portal_webhooks.save_webhook(DIRECTOR, URL, None, request_key="k", now=one.clock()))
    one.happen(2)
    one.work_all()
    one.happen(3)  # fails at first
    one.happen(4)
    one.surely(lambda: portal_webhooks.rotate_secret(DIRECTOR, timedelta(hours=1), request_key="r", now=one.clock()))
    one.work_all()
    one.surely(
        lambda: portal_deliveries.replay(
            DIRECTOR, start=3, since=None, wanted=None, states=None, request_key="w", now=one.clock()
        )
    )
    one.surely(lambda: portal_deliveries.send_test(DIRECTOR, request_key="t", now=one.clock()))
    one.settle()
    one.surely(
        lambda: portal_deliveries.replay_delivery(DIRECTOR, delivery_id(SCHOOL, 2), request_key="p", now=one.clock())
    )
    one.surely(
        lambda: portal_deliveries.replay(
            DIRECTOR, start=1, since=None, wanted=None, states=None, request_key="q", now=one.clock()
        )
    )
    one.settle()


def check_day(one: School) -> None:
    one.gate.at = None
    found, _ = portal_deliveries.list_deliveries(DIRECTOR, state=None, after=None, limit=100, now=one.clock())
    assert {delivery.number: delivery.state for delivery in found} == dict.fromkeys(
        range(1, 6), DeliveryState.DELIVERED
    )
    taken: dict[int, list[str]] = {}
    for call, status in one.heard:
        if status == 200:
            taken.setdefault(json.loads(call.body)["number"], []).append(call.delivery_id)
    assert {number: set(ids) for number, ids in taken.items()} == {
        number: {delivery_id(SCHOOL, number)} for number in range(1, 6)
    }, "an event under another id, or none"
    assert len(taken[2]) >= 2, "the replays"
    counter = event_table.get_counter(SCHOOL)
    webhook = table.find_webhook(SCHOOL)
    assert webhook is not None
    assert (webhook.cursor, counter.is_marked, webhook.owner) == (counter.latest, False, None)
    assert [secret.number for secret in webhook.secrets] == [1, 2], "one rotation, however often it was asked"


def day_that_is_switched_off(one: School) -> None:
    one.surely(lambda: portal_webhooks.save_webhook(DIRECTOR, URL, None, request_key="k", now=one.clock()))
    one.happen(1)
    one.work_all()
    gone = True

    def post(call: Call) -> Heard:
        assert one.state() == WebhookState.ENABLED, "called while it was switched off"
        one.heard.append((call, 410 if gone else 200))
        return Heard(410, "gone") if gone else Heard(200)

    one.post = post  # type: ignore[method-assign]
    one.happen(2)
    for _ in range(5):
        one.minute()
    calls = len(one.heard)
    assert one.state() == WebhookState.DISABLED
    one.happen(3)
    for _ in range(10):
        one.minute()
    assert len(one.heard) == calls, "called after 410"
    gone = False
    one.surely(lambda: portal_webhooks.enable_webhook(DIRECTOR, one.clock()))
    one.settle()


def check_switched(one: School) -> None:
    one.gate.at = None
    found, _ = portal_deliveries.list_deliveries(DIRECTOR, state=None, after=None, limit=100, now=one.clock())
    told = [delivery.type for delivery in found]
    assert {delivery.number: delivery.state for delivery in found} == dict.fromkeys(
        range(1, 5), DeliveryState.DELIVERED
    )
    assert told.count(EventType.WEBHOOK_DISABLED) == 1


def day_that_is_deleted(one: School) -> None:
    one.surely(lambda: portal_webhooks.save_webhook(DIRECTOR, URL, None, request_key="k", now=one.clock()))
    one.happen(1)
    one.work_all()
    one.happen(2)

    def delete() -> None:
        with suppress(NotFound):  # deleted by the request whose answer was lost
            portal_webhooks.delete_webhook(DIRECTOR, one.clock())

    one.surely(delete)
    one.is_off = True
    one.happen(3)
    for _ in range(3):
        one.minute()
    one.is_off = False
    one.surely(lambda: portal_webhooks.save_webhook(DIRECTOR, URL, None, request_key="k2", now=one.clock()))
    one.happen(4)
    one.settle()


def check_deleted(one: School) -> None:
    one.gate.at = None
    taken = {json.loads(call.body)["number"] for call, _ in one.heard}
    assert 4 in taken
    assert taken & {3} == set(), "what happened while there was none"
    webhook = table.find_webhook(SCHOOL)
    assert webhook is not None
    assert [secret.number for secret in webhook.secrets] == [2], "a secret came twice"


DAYS = {
    "ordinary": (ordinary_day, check_day),
    "switched off": (day_that_is_switched_off, check_switched),
    "deleted": (day_that_is_deleted, check_deleted),
}


@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_request_it_comes_to_the_same_end(
    day: str, when: Literal["before", "after"], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "master_secrets", lambda *_: {1: b"m" * 32})
    live, check = DAYS[day]
    with school(Gate()) as calm:
        live(calm)
        check(calm)
        requests = calm.gate.seen

    assert requests > 50, "this day asks for little"
    for at in range(1, requests + 1):
        with school(Gate(at, when)) as one:
            try:
                live(one)
                check(one)
            except BaseException:
                print(f"killed {when} request {at} of {requests}")  # noqa: T201
                raise
