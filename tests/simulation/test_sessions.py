"""Sessions in bad weather: requests lost, answers lost, workers killed at any step (C7 to C9, invariants 5, 6 and 8).

What is true is kept by a model that knows only what the web users and the handsets saw, and when. A failing seed is
the test's own name: `-k seed-17` plays it again.
"""

import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ConnectTimeoutError, ReadTimeoutError
from pynamodb.exceptions import PynamoDBException

from recado import aws as aws_clients
from recado import clock as clock_module
from recado import dispatch, session_sweep
from recado.errors import SessionBusy
from recado.sessions import ReplyOutcome
from recado.settings import SETTINGS
from recado.tables.base import shared_connection
from tests.apps import Context, load_app
from tests.conftest import jobs_on
from tests.session_worlds import ANA, CODES, LUIS, Killed, answer_to, create_codes, id_of, key_of
from tests.worlds import NOON, FakeCarrier, TestClock, worker

SEEDS = range(16)
STEPS = 40
IDLE = timedelta(minutes=5)
LONGEST = timedelta(hours=8)
HANDSETS = (ANA, LUIS)
WEB_USERS = 3
BAD_WEATHER = (Killed, PynamoDBException, BotoCoreError)


class Weather:
    """Between us and AWS: a request that never arrives, an answer that is lost, a death before or after one."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.is_bad = False
        self.fault: str | None = None
        self.faults = 0

    @contextmanager
    def between(self, *clients: Any) -> Iterator[None]:
        for client in clients:
            client.meta.events.register_first("before-send", self._before)
            client.meta.events.register_last("before-send", self._after)
        try:
            yield
        finally:
            for client in clients:
                client.meta.events.unregister("before-send", self._before)
                client.meta.events.unregister("before-send", self._after)

    def _before(self, request: Any, **_: Any) -> None:
        faults = [None, "lost", "applied", "dead", "dead after"]
        self.fault = self.chance.choices(faults, (88, 4, 4, 2, 2))[0] if self.is_bad else None
        self.faults += self.fault is not None
        if self.fault == "lost":
            raise ConnectTimeoutError(endpoint_url=request.url)
        if self.fault == "dead":
            raise Killed

    def _after(self, request: Any, **_: Any) -> None:
        if self.fault == "applied":
            raise ReadTimeoutError(endpoint_url=request.url)
        if self.fault == "dead after":
            raise Killed


@dataclass
class Seen:
    """What is known of one session from outside. `active` is certain, `perhaps_active` may have been."""

    opened: datetime
    active: datetime
    perhaps_active: datetime
    ended: datetime | None = None
    perhaps_ended: datetime | None = None

    def must_live(self, now: datetime) -> bool:
        return (
            self.ended is None and self.perhaps_ended is None and now < min(self.active + IDLE, self.opened + LONGEST)
        )

    def may_live(self, now: datetime) -> bool:
        return self.ended is None and now < min(self.perhaps_active + IDLE, self.opened + LONGEST)

    def earliest_end(self) -> datetime:
        known = (self.ended, self.perhaps_ended, self.active + IDLE, self.opened + LONGEST)
        return min(moment for moment in known if moment is not None)


@dataclass
class Asked:
    """A request that has no answer yet; the same is asked again."""

    key: str
    event: dict[str, Any]
    session: str | None
    handsets: tuple[str, ...]
    text: str


@dataclass
class WebUser:
    session: str | None = None
    handsets: tuple[str, ...] = ()
    asked: Asked | None = None


@dataclass
class World:
    seed: int
    chance: random.Random
    clock: TestClock
    weather: Weather
    carrier: FakeCarrier = field(default_factory=FakeCarrier)
    users: list[WebUser] = field(default_factory=lambda: [WebUser() for _ in range(WEB_USERS)])
    seen: dict[str, Seen] = field(default_factory=dict)
    threads: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    replies: list[tuple[str, str, str]] = field(default_factory=list)
    promised: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)
    counter: int = 0
    dispatch_died: bool = False
    dynamodb: Any = field(default_factory=lambda: boto3.resource("dynamodb"))

    # --- What happens

    def step(self) -> None:
        acts: list[tuple[Callable[[], None], int]] = [
            (self.time_passes, 30),
            (self.somebody_asks, 30),
            (self.work, 25),
            (self.a_handset_answers, 20),
            (self.an_answer_comes_twice, 5),
            (self.somebody_reads, 10),
            (self.somebody_extends, 4),
            (self.somebody_ends, 3),
            (self.sweep, 12),
        ]
        (act,) = self.chance.choices([act for act, _ in acts], [weight for _, weight in acts])
        self.weather.is_bad = self.chance.random() < 0.5
        try:
            act()
        finally:
            self.weather.is_bad = False
        self.check_rows()

    def time_passes(self) -> None:
        quarantine = SETTINGS.quarantine_seconds
        steps = (1, 7, 31, 60, 119, 180, 299, 300, 301, quarantine - 301, quarantine, quarantine + 300)
        self.clock.move(seconds=self.chance.choices(steps, (9, 9, 9, 9, 5, 5, 4, 4, 4, 1, 1, 1))[0])

    def somebody_asks(self) -> None:
        user = self.chance.choice(self.users)
        asked = user.asked or self.next_request(user)
        user.asked = asked
        self.clock.move(microseconds=1)  # no two requests come in the same moment
        now = self.clock()
        opened = id_of(asked.key)
        status, body = self.ask(asked.event)
        self.note_perhaps(asked.session, now)
        self.note_perhaps(opened, now)
        self.note_opened(opened, now)
        if status == 201:
            user.asked = None
            self.note_answered(user, asked, body, now)
        elif status == 410:
            user.asked = None
            self.note_ended(opened if asked.session is None else asked.session, now)
            user.session = None
        elif status in (409, 422):
            user.asked = asked if body["code"] == "still_running" else None

    def next_request(self, user: WebUser) -> Asked:
        self.counter += 1
        key = f"{self.seed}-{self.counter}"
        text = f"texto {key}"
        handsets = user.handsets if user.session else self.chance.choice([(ANA,), (LUIS,), HANDSETS])
        body: dict[str, Any] = {"text": text}
        if user.session is None or self.chance.random() < 0.7:
            body["numbers"] = list(handsets)
        self.ids.append(id_of(key))
        path = "/sessions" if user.session is None else "/sessions/{session_id}/messages"
        event = self.event("POST", path, user.session, body=body, key=key_of(key))
        return Asked(key, event, user.session, handsets, text)

    def work(self) -> None:
        heard = len(self.carrier.heard)
        for body in jobs_on("SessionsQueue"):
            try:
                dispatch.work_page(dispatch.read_job(body), worker(self.carrier, self.clock))
            except BAD_WEATHER:
                # SQS would give the job again; here the sweeper's fresh job is the one that must do.
                self.dispatch_died = True
        for text in self.carrier.heard[heard:]:
            self.check_arrival(text.reference.split(".")[2], text.to, text.sender)

    def a_handset_answers(self) -> None:
        if not self.threads:
            return
        handset, code = self.chance.choice(sorted(self.threads))
        if self.chance.random() < 0.1:
            code = self.chance.choice(CODES)
        self.counter += 1
        self.take_reply(handset, code, f"respuesta {self.seed}-{self.counter}")

    def an_answer_comes_twice(self) -> None:
        if self.replies:
            self.take_reply(*self.chance.choice(self.replies))

    def take_reply(self, handset: str, code: str, words: str) -> None:
        now = self.clock()
        thread = self.threads.get((handset, code), [])
        expected = thread[-1] if thread else None
        before = self.sessions_with(words)
        try:
            outcome = answer_to(handset, code, words, self.clock, reply_id=words.replace(" ", "-"))
        except (*BAD_WEATHER, SessionBusy):
            outcome = None
        stored = self.sessions_with(words)
        if (handset, code, words) not in self.replies:
            self.replies.append((handset, code, words))

        # Invariant 5: it lies in one session at most, and never moves.
        assert len(stored) <= 1, "a reply in two sessions"
        for session_id in stored - before:
            assert self.seen[session_id].may_live(now), "a reply reached a session that had ended"
            self.check_thread(session_id, expected, now)
            self.seen[session_id].active = self.seen[session_id].perhaps_active = now
        if outcome is ReplyOutcome.TO_SESSION:
            assert stored, "a reply that was said to be delivered is nowhere"
        if outcome is ReplyOutcome.LATE and expected in self.seen:
            assert not self.seen[expected].must_live(now), "a reply to a living session was dropped"
            self.note_ended_if_it_must(expected, now)
        if outcome is None and expected in self.seen:
            self.note_perhaps(expected, now)

    def somebody_reads(self) -> None:
        user = self.chance.choice(self.users)
        if user.session is None:
            return
        now = self.clock()
        event = self.event("GET", "/sessions/{session_id}/messages", user.session)
        status, body = self.ask(event)
        if status == 200:
            assert self.seen[user.session].may_live(now), "read at or after the end"
            mine = [words for _, _, words in self.replies if user.session in self.sessions_with(words)]
            shown = [one["text"] for one in body["messages"] if one["direction"] == "in"]
            assert sorted(shown) == sorted(mine)
        elif status == 410:
            self.note_ended(user.session, now)
            user.session = user.asked = None

    def somebody_extends(self) -> None:
        user = self.chance.choice(self.users)
        if user.session is None:
            return
        now = self.clock()
        status, _ = self.ask(self.event("POST", "/sessions/{session_id}/extend", user.session))
        if status == 200:
            assert self.seen[user.session].may_live(now), "extended at or after the end"
            self.seen[user.session].active = self.seen[user.session].perhaps_active = now
        elif status == 410:
            self.note_ended(user.session, now)
            user.session = user.asked = None
        else:
            self.note_perhaps(user.session, now)

    def somebody_ends(self) -> None:
        user = self.chance.choice(self.users)
        if user.session is None:
            return
        now, seen = self.clock(), self.seen[user.session]
        status, _ = self.ask(self.event("DELETE", "/sessions/{session_id}", user.session))
        if status == 204:
            seen.ended = seen.ended or now
            user.session = user.asked = None
        else:
            seen.perhaps_ended = seen.perhaps_ended or now

    def sweep(self) -> None:
        faults = self.weather.faults
        try:
            swept = session_sweep.run(self.clock, lambda: timedelta(seconds=55))
        except BAD_WEATHER:
            return
        assert swept.is_done
        assert swept.failed == 0 or self.weather.faults > faults, "a sweep failed in good weather"

    # --- What must be true

    def note_answered(self, user: WebUser, asked: Asked, body: dict[str, Any], now: datetime) -> None:
        session_id, opened = body["session_id"], id_of(asked.key)
        assert session_id in (asked.session, opened)
        assert self.seen[session_id].may_live(now), "said in a session that had ended"
        if asked.session not in (None, session_id):
            self.note_ended(asked.session, now)
        # Asked again under its key a text is not said again, so only its first time is sure to be activity.
        self.promised[asked.text] = (session_id, tuple(one["number"] for one in body["handsets"]))
        user.session, user.handsets = session_id, tuple(one["number"] for one in body["handsets"])
        expires_at = datetime.fromisoformat(body["expires_at"])
        self.seen[session_id].active = max(self.seen[session_id].active, min(now, expires_at - IDLE))

    def note_perhaps(self, session_id: str | None, now: datetime) -> None:
        if session_id in self.seen and self.seen[session_id].may_live(now):
            self.seen[session_id].perhaps_active = now

    def note_opened(self, session_id: str, now: datetime) -> None:
        """A session is one from its first text on; its user may have had no answer yet. It is opened once."""
        if session_id not in self.seen:
            for row in self.rows("SessionsTable"):
                if (row["pk"], row["sk"]) == (f"X#{session_id}", "session") and row["says"]:
                    self.seen[session_id] = Seen(now, now, now)

    def note_ended(self, session_id: str | None, now: datetime) -> None:
        if session_id in self.seen:
            assert not self.seen[session_id].must_live(now), "ended before its five minutes"
            self.seen[session_id].ended = self.seen[session_id].ended or now

    def note_ended_if_it_must(self, session_id: str, now: datetime) -> None:
        if not self.seen[session_id].may_live(now):
            self.seen[session_id].ended = self.seen[session_id].ended or now

    def check_arrival(self, session_id: str, handset: str, code: str) -> None:
        """C8: whoever had this handset on this code before has ended, one quarantine ago."""
        now = self.clock()
        for other in self.threads[handset, code]:
            if other != session_id:
                rested = now - self.seen[other].earliest_end()
                assert rested >= SETTINGS.quarantine, "a code serves a handset before its quarantine is over"
        assert self.seen[session_id].may_live(now), "a text of a session that had ended"
        if session_id not in self.threads[handset, code]:
            self.threads[handset, code].append(session_id)
        texts = [(text.text, text.to) for text in self.carrier.heard]
        assert len(texts) == len(set(texts)), "a text went out twice"

    def check_thread(self, session_id: str, expected: str | None, now: datetime) -> None:
        """Invariant 5: the handset's owner answers whoever wrote last on that code; within a quarantine nobody else."""
        if session_id != expected and expected is not None:
            assert now >= self.seen[expected].earliest_end() + SETTINGS.quarantine, "a reply reached another session"

    def check_rows(self) -> None:
        rows = self.rows("SessionsTable")
        with_row = {row["pk"] for row in rows if row["sk"] == "session"}
        assert {row["pk"] for row in rows} <= with_row, "rows of a session that has no row of its own"
        held: dict[tuple[str, str], str] = {}
        for row in self.rows("RoutesTable"):
            if row["pk"].startswith("H#") and "free_at" not in row:
                held[row["pk"], row["sk"]] = row["session_id"]
        living = {row["pk"].removeprefix("X#") for row in rows if row["sk"] == "session" and "check_at" in row}
        assert set(held.values()) <= living, "a code is held by a session that is gone"

    def settle(self) -> None:
        """Good weather: what was accepted goes on its way, and what has ended leaves nothing."""
        for _ in range(2):
            self.clock.move(seconds=61)
            self.sweep()
            self.work()
        now = self.clock()
        for text, (session_id, handsets) in self.promised.items():
            heard = {one.to for one in self.carrier.heard if one.text == text}
            if self.seen[session_id].must_live(now) and not self.dispatch_died:
                assert heard <= set(handsets)
                assert heard, "a text that was accepted went nowhere"
        for session_id in self.seen:
            if self.seen[session_id].must_live(now):
                status, body = self.ask(self.event("GET", "/sessions/{session_id}/messages", session_id))
                assert (status, body["is_sending"]) == (200, False)
        self.clock.move(seconds=3600)
        self.sweep()
        left = self.rows("SessionsTable")
        assert {row["sk"] for row in left} <= {"session"}, "words of a session outlive it"
        assert not any("check_at" in row or ANA in str(row) for row in left)
        assert all("free_at" in row for row in self.rows("RoutesTable") if row["pk"].startswith("H#"))

    # --- How it is asked

    def ask(self, event: dict[str, Any]) -> tuple[int, Any]:
        faults = self.weather.faults
        try:
            answered = load_app("sessions").handler(event, Context())
        except Killed:
            return 500, {}
        assert answered["statusCode"] != 500 or self.weather.faults > faults, "a defect in good weather"
        return answered["statusCode"], json.loads(answered["body"] or "{}")

    def event(
        self, method: str, resource: str, session_id: str | None, *, body: Any = None, key: str | None = None
    ) -> dict[str, Any]:
        path = resource.replace("{session_id}", session_id or "")
        return {
            "resource": resource,
            "path": path,
            "httpMethod": method,
            "headers": {"content-type": "application/json"} | ({"idempotency-key": key} if key else {}),
            "queryStringParameters": None,
            "multiValueQueryStringParameters": None,
            "pathParameters": {"session_id": session_id} if session_id else None,
            "requestContext": {"requestId": "r", "authorizer": {"session": session_id} if session_id else None},
            "body": json.dumps(body) if body is not None else None,
            "isBase64Encoded": False,
        }

    def sessions_with(self, words: str) -> set[str]:
        """In whose transcript the words are."""
        texts = [row for row in self.rows("SessionsTable") if row["sk"].startswith("t#")]
        return {row["pk"].removeprefix("X#") for row in texts if row["text"] == words}

    def rows(self, table: str) -> list[dict[str, Any]]:
        """What lies in a table, read past the weather."""
        found: list[dict[str, Any]] = self.dynamodb.Table(table).scan(ConsistentRead=True)["Items"]
        return found


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> TestClock:
    """The SDK tries again at once, and everybody has the clock that the world moves."""
    clock = TestClock(NOON)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setattr(clock_module, "now", clock)
    return clock


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"seed-{seed}")
def test_no_fault_and_no_death_breaks_a_promise(aws: None, quick: TestClock, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  # the same worlds every time
    world = World(seed, chance, quick, Weather(chance))
    create_codes(*CODES[: 2 + seed % 2])

    with world.weather.between(shared_connection().client, aws_clients.client("sqs")):
        for _ in range(STEPS):
            world.step()
        world.settle()
