"""Sessions in bad weather and in a crowd: requests lost, answers lost, workers killed at any step, and others who act
between any two requests of one (C7 to C9, invariants 5, 6 and 8).

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
from recado import dispatch, session_sweep, web
from recado.carriers.speech import Answer, Outgoing
from recado.errors import SessionBusy
from recado.sessions import ReplyOutcome
from recado.settings import SETTINGS
from recado.tables.base import shared_connection
from tests.apps import Context, load_app
from tests.conftest import jobs_on
from tests.session_worlds import ANA, LUIS, Killed, answer_to, create_codes, id_of, key_of
from tests.worlds import NOON, FakeCarrier, TestClock, worker

SEEDS = range(16)
STEPS = 32
IDLE = timedelta(minutes=5)
LONGEST = timedelta(hours=8)
HANDSETS = (ANA, LUIS)
CODES = ("44101", "44102", "44103", "44104")
WEB_USERS = 3
MOMENTS = timedelta(seconds=10)
CROWD = 0.15  # how often somebody else comes between two requests
BAD_WEATHER = (Killed, PynamoDBException, BotoCoreError)


class Weather:
    """Between us and AWS: a request that never arrives, an answer that is lost, a death before or after one.

    And in a crowd: somebody else, who acts from beginning to end just before a request arrives.
    """

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.is_bad = False
        self.is_crowded = False
        self.somebody_else: Callable[[], None] = lambda: None
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

    @contextmanager
    def fair(self) -> Iterator[None]:
        before, (self.is_bad, self.is_crowded) = (self.is_bad, self.is_crowded), (False, False)
        try:
            yield
        finally:
            self.is_bad, self.is_crowded = before

    def _before(self, request: Any, **_: Any) -> None:
        if self.is_crowded and self.chance.random() < CROWD:
            with self.fair():
                self.somebody_else()
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

    def may_just_have_lived(self, now: datetime) -> bool:
        """Between asking whether a session lives and speaking for it others may act, for moments."""
        ended = self.ended or min(self.perhaps_active + IDLE, self.opened + LONGEST)
        return now - ended < MOMENTS

    def earliest_end(self) -> datetime:
        known = (self.ended, self.perhaps_ended, self.active + IDLE, self.opened + LONGEST)
        return min(moment for moment in known if moment is not None)


@dataclass
class Asked:
    """A request that has no answer yet; the same is asked again."""

    key: str
    event: dict[str, Any]
    session: str | None
    text: str


@dataclass
class WebUser:
    session: str | None = None
    handsets: tuple[str, ...] = ()
    asked: Asked | None = None
    is_asking: bool = False


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
    inbox: set[tuple[str, str]] = field(default_factory=set)
    counter: int = 0
    dispatch_died: bool = False
    dynamodb: Any = field(default_factory=lambda: boto3.resource("dynamodb"))

    def __post_init__(self) -> None:
        self.weather.somebody_else = self.somebody_else
        self.carrier.answer = self.a_text_arrives

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
        self.weather.is_bad = self.chance.random() < 0.4
        self.weather.is_crowded = self.chance.random() < 0.5
        try:
            act()
        finally:
            self.weather.is_bad = self.weather.is_crowded = False
        self.check_rows()

    def somebody_else(self) -> None:
        acts: list[tuple[Callable[[], None], int]] = [
            (self.somebody_asks, 35),
            (self.somebody_ends, 15),
            (self.a_handset_answers, 15),
            (self.a_moment_passes, 15),
            (self.sweep, 5),
            (self.work, 5),
            (self.somebody_extends, 5),
        ]
        self.chance.choices([act for act, _ in acts], [weight for _, weight in acts])[0]()

    def a_moment_passes(self) -> None:
        self.clock.move(seconds=self.chance.choice((0.001, 1)))

    def time_passes(self) -> None:
        quarantine = SETTINGS.quarantine_seconds
        steps = (1, 7, 31, 60, 119, 180, 299, 300, 301, quarantine - 301, quarantine, quarantine + 300)
        self.clock.move(seconds=self.chance.choices(steps, (9, 9, 9, 9, 5, 5, 4, 4, 4, 2, 3, 2))[0])

    def somebody_asks(self) -> None:
        idle = [user for user in self.users if not user.is_asking]
        if not idle:
            return
        user = self.chance.choice(idle)
        if user.asked is None and self.chance.random() < 0.3:
            user.session = None  # the page is closed, and opened again
        asked = user.asked or self.next_request(user)
        user.asked, user.is_asking = asked, True
        self.clock.move(microseconds=1)  # no two requests come in the same moment
        opened = id_of(asked.key)
        self.note_perhaps(asked.session)
        self.note_perhaps(opened)
        status, body = self.ask(asked.event)
        user.is_asking = False
        self.note_perhaps(asked.session)
        self.note_opened(opened)
        self.note_perhaps(opened)
        if status == 201:
            user.asked = None
            self.note_answered(user, asked, body)
        elif status == 410:
            user.asked = user.session = None
            self.note_ended(opened if asked.session is None else asked.session)
        elif status in (409, 422, 503):
            user.asked = asked if body["code"] in ("still_running", "session_busy") else None

    def next_request(self, user: WebUser) -> Asked:
        self.counter += 1
        key = f"{self.seed}-{self.counter}"
        handsets = user.handsets if user.session else self.chance.choice([(ANA,), (LUIS,), HANDSETS])
        body: dict[str, Any] = {"text": f"texto {key}"}
        if user.session is None or self.chance.random() < 0.7:
            body["to"] = list(handsets)
        path = "/sessions" if user.session is None else "/sessions/{session_id}/messages"
        return Asked(
            key, self.event("POST", path, user.session, body=body, key=key_of(key)), user.session, body["text"]
        )

    def work(self) -> None:
        for body in jobs_on("SessionsQueue"):
            try:
                dispatch.work_page(dispatch.read_job(body), worker(self.carrier, self.clock))
            except BAD_WEATHER:
                # SQS would give the job again; here the sweeper's fresh job is the one that must do.
                self.dispatch_died = True

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
        self.note_perhaps(expected)
        before = self.sessions_with(words)
        if (handset, code, words) not in self.replies:
            self.replies.append((handset, code, words))
        try:
            outcome = answer_to(handset, code, words, self.clock, reply_id=words.replace(" ", "-"))
        except (*BAD_WEATHER, SessionBusy):
            outcome = None
        self.note_perhaps(expected)
        stored = self.sessions_with(words)

        # Invariant 5: it lies in one session at most, the one that wrote last on that code, and never moves.
        assert len(stored) <= 1, "a reply in two sessions"
        for session_id in stored - before:
            assert self.seen[session_id].may_live(now), "a reply reached a session that had ended"
            if session_id != expected and expected is not None:
                rested = self.clock() - self.seen[expected].earliest_end()
                assert rested >= SETTINGS.quarantine, "a reply reached another session"
            self.seen[session_id].active = max(self.seen[session_id].active, now)
            self.note_perhaps(session_id)
        if outcome is ReplyOutcome.TO_SESSION:
            assert stored, "a reply that was said to be delivered is nowhere"
        if outcome is ReplyOutcome.LATE and expected is not None:
            assert not self.seen[expected].must_live(self.clock()), "a reply to a living session was dropped"

    def somebody_reads(self) -> None:
        user = self.chance.choice(self.users)
        if user.session is None:
            return
        session_id, now = user.session, self.clock()
        there = [words for _, _, words in self.replies if session_id in self.sessions_with(words)]
        status, body = self.ask(self.event("GET", "/sessions/{session_id}/messages", session_id))
        if status == 200:
            assert self.seen[session_id].may_live(now), "read at or after the end"
            shown = [one["text"] for one in body["messages"] if one["direction"] == "in"]
            assert set(there) <= set(shown)
            assert all(self.sessions_with(words) == {session_id} for words in shown), "somebody else's words"
        elif status == 410:
            self.note_ended(session_id)
            self.leave(session_id)

    def somebody_extends(self) -> None:
        user = self.chance.choice(self.users)
        if user.session is None:
            return
        session_id, now = user.session, self.clock()
        self.note_perhaps(session_id)
        status, _ = self.ask(self.event("POST", "/sessions/{session_id}/extend", session_id))
        if status == 200:
            assert self.seen[session_id].may_live(now), "extended at or after the end"
            self.seen[session_id].active = max(self.seen[session_id].active, now)
        elif status == 410:
            self.note_ended(session_id)
            self.leave(session_id)
        self.note_perhaps(session_id)

    def somebody_ends(self) -> None:
        user = self.chance.choice(self.users)
        if user.session is None:
            return
        session_id, seen = user.session, self.seen[user.session]
        seen.perhaps_ended = seen.perhaps_ended or self.clock()
        status, _ = self.ask(self.event("DELETE", "/sessions/{session_id}", session_id))
        if status == 204:
            seen.ended = seen.ended or self.clock()
            self.leave(session_id)

    def leave(self, session_id: str) -> None:
        """Its user knows that it has ended. What they are asking just now goes on."""
        for user in self.users:
            if user.session == session_id:
                user.session = None
                user.asked = user.asked if user.is_asking else None

    def sweep(self) -> None:
        faults = self.weather.faults
        try:
            swept = session_sweep.run(self.clock, lambda: timedelta(seconds=55))
        except BAD_WEATHER:
            return
        assert swept.is_done
        assert swept.failed == 0 or self.weather.faults > faults, "a sweep failed in good weather"

    # --- What must be true

    def note_answered(self, user: WebUser, asked: Asked, body: dict[str, Any]) -> None:
        session_id = body["id"]
        assert session_id in (asked.session, id_of(asked.key))
        seen = self.seen[session_id]
        assert seen.may_live(self.clock()), "said in a session that had ended"
        if asked.session not in (None, session_id):
            self.note_ended(asked.session)
        handsets = tuple(one["number"] for one in body["handsets"])
        self.promised[asked.text] = (session_id, handsets)
        user.session, user.handsets = session_id, handsets
        # Asked again under its key a text is not said again: it is no activity then.
        seen.active = max(seen.active, min(self.clock(), datetime.fromisoformat(body["expires_at"]) - IDLE))

    def note_perhaps(self, session_id: str | None) -> None:
        """Something may have happened to the session, now."""
        if session_id in self.seen and self.seen[session_id].may_live(self.clock()):
            self.seen[session_id].perhaps_active = self.clock()

    def note_opened(self, session_id: str) -> None:
        """A session is one from its first text on; its user may have had no answer yet. It is opened once."""
        if session_id not in self.seen:
            for row in self.rows("SessionsTable"):
                if (row["pk"], row["sk"]) == (f"X#{session_id}", "session") and row["says"]:
                    opened = datetime.strptime(row["opened_at"], "%Y-%m-%dT%H:%M:%S.%f%z")
                    self.seen[session_id] = Seen(opened, opened, self.clock())

    def note_ended(self, session_id: str | None) -> None:
        if session_id in self.seen:
            assert not self.seen[session_id].must_live(self.clock()), "ended before its five minutes"
            self.seen[session_id].ended = self.seen[session_id].ended or self.clock()

    def a_text_arrives(self, text: Outgoing) -> Answer | None:
        session_id, handset, code = text.reference.split(".")[2], text.to, text.sender
        with self.weather.fair():
            self.note_opened(session_id)
        seen = self.seen[session_id]
        assert seen.may_just_have_lived(self.clock()), "a text of a session that had ended"
        # C8: whoever had this handset on this code before has ended, one quarantine ago.
        for other in self.threads[handset, code]:
            if other != session_id:
                rested = self.clock() - self.seen[other].earliest_end()
                assert rested >= SETTINGS.quarantine, "a code serves a handset before its quarantine is over"
        if session_id not in self.threads[handset, code]:
            self.threads[handset, code].append(session_id)
        assert (handset, text.text) not in self.inbox, "a text went out twice"
        self.inbox.add((handset, text.text))
        return None

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
            heard = {handset for handset, words in self.inbox if words == text}
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
            # Not by its handler: that one is held to the policies of one function, and here others come between.
            answered = web.answer(load_app("sessions").app, event, Context())  # type: ignore[arg-type]
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
    create_codes(*CODES[: 2 + seed % 3])

    with world.weather.between(shared_connection().client, aws_clients.client("sqs")):
        for _ in range(STEPS):
            world.step()
        world.settle()
