"""What web users and handsets know of sessions, independently of their rows, and all that may meet a request on its
way: it is lost, its answer is lost, the worker dies, or somebody else acts first.

A promise that does not hold raises Broken, which no `except Exception` on its way can turn into an answer.
"""

import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

import pytest
from botocore.exceptions import BotoCoreError, ConnectTimeoutError, ReadTimeoutError
from pynamodb.exceptions import PynamoDBException

from recado import (
    access,
    dispatch,
    live,
    pool,
    rating_reports,
    session_notices,
    session_sockets,
    session_sweep,
    tariffs,
    web,
)
from recado import clock as clock_module
from recado.access import Caller
from recado.carriers.speech import Answer, Outgoing
from recado.errors import SessionBusy, SessionEnded, WrongState
from recado.rules.reply_parts import Part
from recado.rules.roles import Role
from recado.session_replies import ReplyOutcome
from recado.settings import SETTINGS
from recado.tables import sessions as session_table
from recado.tables.short_codes import Purpose, ShortCode
from tests.apps import Context, load_app
from tests.session_worlds import CARRIER, COUNTRY, address_of, answer_to, changed_settings, id_of, key_of
from tests.simulation.baton import Killed
from tests.simulation.wires import POST, SQS, Aws
from tests.tokens import MASTER
from tests.worlds import NOON, FakeCarrier, TestClock, worker

IDLE = timedelta(minutes=5)
LONGEST = timedelta(hours=8)
HOUR = timedelta(hours=1)
UNTIL_REMOVABLE = LONGEST + SETTINGS.quarantine + timedelta(seconds=60)
MOMENTS = timedelta(seconds=10)
SKEW = timedelta(seconds=1)  # clocks of two functions differ by less
OPERATOR = Caller("platform", Role.OPERATOR, "soporte-1", key_id="op")
PING = '{"type": "ping"}'
BAD_WEATHER = (Killed, PynamoDBException, BotoCoreError)

type Act = Callable[[], None]
type Plan = Callable[[int, str], Meets]  # of the n-th request, and its operation
type Meets = Literal["lost", "applied", "dead"] | Act | None


@contextmanager
def moved_clock() -> Iterator[TestClock]:
    """Everybody has the clock that the world moves, the SDK tries again at once, there is a master secret, and sessions
    lie in two shards.
    """
    clock = TestClock(NOON)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock_module, "now", clock)
        patch.setattr(time, "sleep", lambda _: None)
        patch.setattr(live, "SILENCE_SECONDS", 0.0)  # measured by the machine's own clock
        patch.setattr(session_table, "DUE_SHARDS", 2)  # each is asked by a request, and each request meets something
        patch.setattr(access, "_masters", {"read": (float("inf"), {1: MASTER})})
        patch.setattr(session_notices, "SETTINGS", replace(SETTINGS, late_reply_notice="es"))
        patch.setattr(tariffs, "_lists", {})  # each world reads its own, and may die there
        yield clock


@dataclass(frozen=True)
class Caps:
    """So small that a crowd reaches them. In any hour, but for `at_once`."""

    handset_texts: int
    source_recipients: int
    source_sessions: int
    at_once: int  # open sessions of one source with one handset; the pools here are too small for a quarter of them


@contextmanager
def capped(caps: Caps) -> Iterator[None]:
    """Everybody's settings say so."""
    small = changed_settings(
        handset_texts_per_hour_max=caps.handset_texts,
        source_recipients_per_hour_max=caps.source_recipients,
        source_sessions_per_hour_max=caps.source_sessions,
        sessions_per_source_and_handset=caps.at_once,
    )
    with small:
        yield


class Broken(BaseException):
    """A promise that does not hold."""


def require(holds: object, promise: str) -> None:
    if not holds:
        raise Broken(f"not so: {promise}")


def _good_weather(_: int, __: str) -> Meets:
    return None


class Weather:
    """The gate between us and AWS. A plan says what each request meets; jobs that got through wait in `jobs`, those of
    the sweeper in `sweeps` and, put for later in its minute, in `looks`.
    """

    def __init__(self) -> None:
        self.count = 0
        self.faults = 0
        self.jobs: list[str] = []
        self.page_is_told: Callable[[str, dict[str, Any]], None] = lambda *_: None
        self.sweeps: list[str] = []
        self.looks: list[str] = []
        self._plan: Plan = _good_weather
        self._meets: Meets = None

    @contextmanager
    def planned(self, plan: Plan) -> Iterator[None]:
        self._plan, self.count = plan, 0
        try:
            yield
        finally:
            self._plan = _good_weather

    def before(self, operation: str, _: Mapping[str, Any]) -> None:
        self.count += 1
        meets = self._plan(self.count, operation)
        if callable(meets):
            # Somebody else, from beginning to end and in good weather.
            plan, count, self._plan = self._plan, self.count, _good_weather
            try:
                meets()
            finally:
                self._plan, self.count = plan, count
            meets = None
        self._meets = meets
        self.faults += meets is not None
        if meets == "lost":
            raise ConnectTimeoutError(endpoint_url="https://aws.test")

    def after(self, operation: str, asked: Mapping[str, Any]) -> None:
        if operation == SQS:
            for entry in asked["Entries"]:
                self._queue(asked["QueueUrl"], entry["DelaySeconds"]).append(entry["MessageBody"])
        if operation == POST:
            self.page_is_told(asked["ConnectionId"], json.loads(asked["Data"]))
        if self._meets == "applied":
            raise ReadTimeoutError(endpoint_url="https://aws.test")
        if self._meets == "dead":
            raise Killed

    def _queue(self, url: str, delay_seconds: int) -> list[str]:
        if url != SETTINGS.sweeps_queue_url:
            return self.jobs
        return self.looks if delay_seconds else self.sweeps


@dataclass
class Seen:
    """What is known of one session from outside. `active` is certain, `perhaps_active` may have been."""

    opened: datetime
    active: datetime
    perhaps_active: datetime
    ended: datetime | None = None
    perhaps_ended: datetime | None = None

    def must_live(self, now: datetime) -> bool:
        is_ended = self.ended is not None or self.perhaps_ended is not None
        return not is_ended and now < min(self.active + IDLE, self.opened + LONGEST)

    def may_live(self, now: datetime) -> bool:
        is_ended = self.ended is not None and self.ended <= now  # what ended later may have lived
        return not is_ended and now < min(self.perhaps_active + IDLE, self.opened + LONGEST)

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
    address: str


@dataclass
class WebUser:
    """Without an address of their own they are somewhere else each time."""

    address: str | None = None
    session: str | None = None
    handsets: tuple[str, ...] = ()
    asked: Asked | None = None
    is_asking: bool = False


@dataclass
class LongReply:
    """A message that a carrier brings in parts; each text of a part stands nowhere else."""

    name: str
    handset: str
    code: str
    chunks: tuple[str, ...]
    group: str
    reached: set[str] = field(default_factory=set)

    def named_alike(self, other: "LongReply") -> bool:
        mine, its = ((one.handset, one.code, one.group, len(one.chunks)) for one in (self, other))
        return mine == its


@dataclass
class World:
    """Web users, handsets, the carrier between them, and what all of them have seen."""

    name: str
    clock: TestClock
    weather: Weather
    aws: Aws
    users: list[WebUser] = field(default_factory=lambda: [WebUser(), WebUser(), WebUser()])
    caps: Caps | None = None
    carrier: FakeCarrier = field(default_factory=FakeCarrier)
    seen: dict[str, Seen] = field(default_factory=dict)
    threads: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    replies: list[tuple[str, str, str]] = field(default_factory=list)
    long_replies: list[LongReply] = field(default_factory=list)
    notices: dict[tuple[str, str, str], datetime] = field(default_factory=dict)
    promised: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    inbox: set[tuple[str, str]] = field(default_factory=set)
    addresses: dict[str, str] = field(default_factory=dict)
    answered: list[Asked] = field(default_factory=list)
    said: list[tuple[datetime, str, str]] = field(default_factory=list)
    limited: set[str] = field(default_factory=set)
    counter: int = 0
    dispatch_died: bool = False
    pages: dict[str, str] = field(default_factory=dict)
    told: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        tariffs.forget()  # its first reply reads them, and may die there
        self.carrier.answer = self._text_arrives
        self.weather.page_is_told = self._page_is_told

    # --- What happens

    def ask(self, user: WebUser, handsets: Sequence[str] = (), *, names_them: bool = True) -> None:
        """Opens, says, or asks again what has no answer yet."""
        if user.is_asking:
            return
        asked = user.asked or self._next_request(user, tuple(handsets), names_them=names_them)
        user.asked, user.is_asking = asked, True
        self.clock.move(microseconds=1)  # no two requests come in the same moment
        opened = id_of(asked.key)
        self._note_perhaps(asked.session, opened)
        status, body = self._request(asked.event)
        user.is_asking = False
        self._note_opened(opened)
        self._note_perhaps(asked.session, opened)
        if status == 201:
            user.asked = None
            self._note_answered(user, asked, body)
        elif status == 410:
            user.asked = user.session = None
            self._note_ended(opened if asked.session is None else asked.session)
        elif status == 429:
            # Half of them come back with the same request, the others give up.
            user.asked = asked if self.counter % 2 else None
            require(self.caps is not None, "nobody is refused for a cap that is far away")
            self.limited.add(body["limit"])
        elif status in (409, 422, 503):
            user.asked = asked if body["code"] in ("still_running", "session_busy") else None

    def ask_what_was_answered(self, asked: Asked) -> None:
        """The request that opened a session comes once more: a page is loaded again, or somebody tries it on."""
        opened = id_of(asked.key)
        self._note_perhaps(opened)
        status, _ = self._request(asked.event)
        self._note_perhaps(opened)
        if status == 410:
            self._note_ended(opened)

    def work(self) -> None:
        """Works the jobs that wait. One that its worker's death leaves is left to the sweeper's fresh job."""
        while self.weather.jobs:
            job = self.weather.jobs.pop(0)
            try:
                dispatch.work_page(dispatch.read_job(job), worker(self.carrier, self.clock))
            except BAD_WEATHER:
                self.dispatch_died = True
            # A job that is put back for later comes later.
            if job in self.weather.jobs:
                break

    def answer(self, handset: str, code: str) -> None:
        self.counter += 1
        self.take_reply(handset, code, f"respuesta-{self.name}-{self.counter}")

    def take_reply(self, handset: str, code: str, words: str) -> None:
        now = self.clock()
        thread = self.threads.get((handset, code), [])
        expected = thread[-1] if thread else None
        self._note_perhaps(expected)
        before, was_rated, faults = self._sessions_with(words), words in self._rated(), self.weather.faults
        listening = self._listening(expected)
        if (handset, code, words) not in self.replies:
            self.replies.append((handset, code, words))
        outcome = self._bring(expected, lambda: answer_to(handset, code, words, self.clock, reply_id=words))
        stored = self._sessions_with(words)
        require(len(self._lines_with(words)) <= 1, "a reply is shown once")
        self._check_where(expected, before, stored, outcome, now)
        # C6: rated with its line or not at all, and what reaches nobody costs nothing.
        is_rated = words in self._rated()
        require(is_rated or not stored, "a reply that a session took is rated")
        require(is_rated or not was_rated, "a rating stays")
        if outcome in (ReplyOutcome.LATE, ReplyOutcome.UNROUTED):
            require(is_rated == was_rated, "a reply that reaches nobody is not rated")
        if outcome is ReplyOutcome.TO_SESSION:
            self._require_told(listening, words, faults)

    def answer_in_parts(self, handset: str, code: str, parts: int, group: str) -> None:
        """Somebody writes a long message; its parts are brought one by one."""
        self.counter += 1
        name = f"{self.name}-{self.counter}"
        chunks = tuple(f"<{name}.{number}>" for number in range(1, parts + 1))
        self.long_replies.append(LongReply(name, handset, code, chunks, group))

    def take_part(self, long: LongReply, number: int) -> None:
        now, chunk = self.clock(), long.chunks[number - 1]
        thread = self.threads.get((long.handset, long.code), [])
        expected = thread[-1] if thread else None
        self._note_perhaps(expected)
        before = self._sessions_with_part(chunk)
        part = Part(number, len(long.chunks), long.group)

        def bring() -> ReplyOutcome:
            reply_id = f"{long.name}-{number}"
            return answer_to(long.handset, long.code, chunk, self.clock, reply_id=reply_id, part=part)

        outcome = self._bring(expected, bring)
        stored = self._sessions_with_part(chunk)
        require(sum(self._parts_in(row).count(chunk) for row in self._rows_of_parts()) <= 1, "a part lies in one place")
        self._check_where(expected, before, stored, outcome, now)
        long.reached |= stored
        rated = [row for row in self.rows("LedgerTable") if f"#{long.name}-" in row["pk"] and row["sk"] == "r"]
        # Parts of two messages that a careless carrier gives one name are told apart by their numbers only.
        is_alone = sum(one.named_alike(long) for one in self.long_replies) == 1
        require(len(rated) <= len(long.reached) or not is_alone, "a message in parts is rated once")

    def _bring(self, expected: str | None, bring: Callable[[], ReplyOutcome]) -> ReplyOutcome | None:
        outcome = None
        try:
            outcome = bring()
        except (*BAD_WEATHER, SessionBusy):
            self._note_perhaps(expected)
        self._note_perhaps(expected)
        return outcome

    def _check_where(
        self, expected: str | None, before: set[str], stored: set[str], outcome: ReplyOutcome | None, now: datetime
    ) -> None:
        """Invariant 5: it lies in one session at most, the one that wrote last on that code, and never moves."""
        require(len(stored) <= 1, "a reply lies in one session")
        require(not before - stored or not stored, "a reply never moves")
        for session_id in stored - before:
            self._note_opened(session_id, needs_text=False)
            require(self.seen[session_id].may_live(now), "a reply reaches no session that has ended")
            if session_id != expected and expected is not None:
                rested = self.clock() - self.seen[expected].earliest_end()
                require(rested + SKEW >= SETTINGS.quarantine, "a reply reaches nobody but whom it answers")
            self.seen[session_id].active = max(self.seen[session_id].active, now)
            self._note_perhaps(session_id)
        if outcome is ReplyOutcome.TO_SESSION:
            is_over = expected is not None and not self.seen[expected].must_live(self.clock())
            require(stored or is_over, "a reply that was delivered is there")
        if outcome is ReplyOutcome.LATE and expected is not None:
            require(not self.seen[expected].must_live(self.clock() + SKEW), "a reply to a living session reaches it")

    def listen(self, user: WebUser) -> None:
        """Another page of the user's opens its socket. It is no activity."""
        if user.session is None:
            return
        session_id, connection = user.session, f"page-{len(self.pages)}"
        self.pages[connection] = session_id
        try:
            session_sockets.join(session_id, connection, self.clock)
        except SessionEnded:
            self._leave(session_id)
        except (*BAD_WEATHER, SessionBusy):
            return

    def ping(self, connection: str) -> None:
        """Nor is this; the answer may be lost."""
        try:
            session_sockets.answer(self.pages[connection], connection, PING, self.clock)
        except (*BAD_WEATHER, SessionBusy):
            return

    def hang_up(self, connection: str) -> None:
        """API Gateway tells of it, perhaps in vain."""
        try:
            session_sockets.leave(self.pages[connection], connection)
        except (*BAD_WEATHER, SessionBusy):
            return

    def read(self, user: WebUser) -> None:
        if user.session is None:
            return
        session_id, now = user.session, self.clock()
        there = [words for _, _, words in self.replies if session_id in self._sessions_with(words)]
        status, body = self._request(self._event("GET", "/sessions/{session_id}/messages", session_id))
        if status == 200:
            require(self.seen[session_id].may_live(now), "nothing is read at or after the end")
            shown = [one["text"] for one in body["messages"] if one["direction"] == "in"]
            require(set(there) <= set(shown), "what came in is shown")
            require(all(self._sessions_with(words) == {session_id} for words in shown), "nobody reads others' words")
        elif status == 410:
            self._leave(session_id)

    def extend(self, user: WebUser) -> None:
        if user.session is None:
            return
        session_id, now = user.session, self.clock()
        self._note_perhaps(session_id)
        status, _ = self._request(self._event("POST", "/sessions/{session_id}/extend", session_id))
        if status == 200:
            require(self.seen[session_id].may_live(now), "nothing is extended at or after the end")
            self.seen[session_id].active = max(self.seen[session_id].active, now)
        elif status == 410:
            self._leave(session_id)
        self._note_perhaps(session_id)

    def end(self, user: WebUser) -> None:
        if user.session is None:
            return
        self.clock.move(microseconds=1)  # whoever is at it just now began before
        session_id, seen = user.session, self.seen[user.session]
        seen.perhaps_ended = seen.perhaps_ended or self.clock()
        status, _ = self._request(self._event("DELETE", "/sessions/{session_id}", session_id))
        if status == 204:
            self._leave(session_id)

    def minute(self) -> None:
        """The sweeper's minute puts its jobs; what was left of the last minute's is forgotten."""
        self.weather.sweeps.clear()
        self.weather.looks.clear()
        with suppress(*BAD_WEATHER):
            session_sweep.run(self.clock)

    def sweep(self) -> None:
        """The minute, and its jobs for now."""
        self.minute()
        while self.weather.sweeps:
            self.sweep_shard(self.weather.sweeps.pop(0))

    def sweep_shard(self, job: str) -> None:
        faults = self.weather.faults
        try:
            swept = session_sweep.work(session_sweep.read_job(job), self.clock, lambda: timedelta(seconds=55))
        except BAD_WEATHER:
            return
        require(swept.is_done, "a sweep has time")
        require(swept.failed == 0 or self.weather.faults > faults, "a sweep does not fail in good weather")

    def change_pool(self, code: str) -> None:
        """The operator drains a free code, removes one that drains if it may go, and adds one that has gone."""
        before, now = self._pool_row(code), self.clock()
        try:
            if before["state"] == "free":
                pool.drain_code(OPERATOR, COUNTRY, code, now)
            elif before["state"] == "draining":
                pool.remove_code(OPERATOR, COUNTRY, code, now)
            else:
                pool.add_code(OPERATOR, ShortCode(COUNTRY, code, CARRIER, Purpose.SESSIONS))
        except BAD_WEATHER:
            pass
        except WrongState:
            require(now < _moment(before["drained_at"]) + UNTIL_REMOVABLE, "a code that has drained may go")
        if before["state"] == "draining" and self._pool_row(code)["state"] == "removed":
            for (_, used), sessions in self.threads.items():
                for session_id in sessions if used == code else ():
                    rested = now - self.seen[session_id].earliest_end()
                    require(not self.seen[session_id].may_live(now), "a code goes when nobody lives on it")
                    require(rested + SKEW >= SETTINGS.quarantine, "a code goes when it has rested")

    def settle(self) -> None:
        """Good weather: what was accepted goes on its way, and what has ended leaves nothing."""
        for _ in range(3):
            self.clock.move(seconds=61)
            self.sweep()
            self.work()
        now = self.clock()
        living = [session_id for session_id, seen in self.seen.items() if seen.must_live(now)]
        for text, (session_id, handsets) in self.promised.items():
            heard = {handset for handset, words in self.inbox if words == text}
            require(heard <= set(handsets), "a text goes to whom it was said")
            is_owed = session_id in living and not self.dispatch_died
            require(heard or not is_owed, "a text that was accepted arrives")
        waiting = [row for row in self._rows_of_parts() if row["sk"].startswith("r#") and row["waiting"] != "{}"]
        require(not {row["pk"].removeprefix("X#") for row in waiting} & set(living), "what came is shown in the end")
        for session_id in living:
            status, body = self._request(self._event("GET", "/sessions/{session_id}/messages", session_id))
            require((status, body["is_sending"]) == (200, False), "after its text a session may say the next")
        self.clock.move(seconds=600)
        self.sweep()
        left = self._session_rows()
        require({row["sk"] for row in left} <= {"session"}, "no word of a session outlives it")
        require(not any("check_at" in row for row in left), "nobody looks at what has ended")
        require(not self.held(), "no code is held for what has ended")
        self._check_bill()

    def check_rows(self) -> None:
        """What is true at any moment, whoever died."""
        found = self._session_rows()
        sessions = {row["pk"]: row for row in found if row["sk"] == "session"}
        require({row["pk"] for row in found} <= set(sessions), "rows lie under a session's own row")
        living = {pk.removeprefix("X#") for pk, row in sessions.items() if "check_at" in row}
        require(set(self.held()) <= living, "no code is held by what is gone")

    def _session_rows(self) -> list[dict[str, Any]]:
        """What is a session's own: beside it lie notices until they are spoken, or tidied after a death."""
        found = self.rows("SessionsTable")
        for row in found:
            require(row["pk"].startswith("X#") or "expires_at" in row, "what is no session's own is tidied")
        return [row for row in found if row["pk"].startswith("X#")]

    def rows(self, table: str) -> list[dict[str, Any]]:
        """What lies in a table, read past the weather."""
        return [
            {name: next(iter(value.values())) for name, value in row.items()} for row in self.aws.rows(table).values()
        ]

    # --- What it costs (C6)

    def _rated(self) -> set[str]:
        """The words of every reply that is rated; they are its id here, too."""
        found = [row["pk"] for row in self.rows("LedgerTable") if row["pk"].startswith("RATE#") and row["sk"] == "r"]
        return {pk.split("#", 2)[2] for pk in found}

    def _check_bill(self) -> None:
        """The totals of the days are a peso and its taxes for each reply that is rated, each once."""
        days = [f"{NOON + timedelta(days=number):%Y-%m-%d}" for number in (-1, 20)]
        found = rating_reports.get_totals(OPERATOR, "DO", *days, limit=1000, cursor=None, now=self.clock())
        billed = [(one.currency, one.count, str(one.total)) for one in found.sums]
        count = len(self._rated())
        require(billed == ([("DOP", count, f"{count * 1.3:.2f}")] if count else []), "each reply is billed once")

    # --- What is seen

    def _page_is_told(self, connection: str, frame: dict[str, Any]) -> None:
        session_id, now = self.pages[connection], self.clock()
        self.told[connection].append(frame)
        if frame["type"] in ("ended", "replaced"):
            is_over = not self.seen[session_id].must_live(now)
            require(frame["type"] == "replaced" or is_over, "no page is told of an end that has not come")
            return
        require(self.seen[session_id].may_just_have_lived(now), "no page is told anything after the end")
        if frame["type"] == "message":
            found = self._sessions_with(frame["message"]["text"])
            require(found <= {session_id}, "a page is told of its own session only")
            require(found or not self.seen[session_id].must_live(now), "a page is told of what is there")

    def _listening(self, session_id: str | None) -> set[str]:
        row = self.aws.rows("SessionsTable").get((f"X#{session_id}", "session"), {})
        return {one["S"] for one in row.get("sockets", {"L": []})["L"]}

    def _require_told(self, listening: set[str], words: str, faults: int) -> None:
        """In good weather every page that listened, and still does, was told of these words."""
        if self.weather.faults > faults:
            return
        for connection in listening & self._listening(next(iter({self.pages[one] for one in listening}), None)):
            said = [frame["message"]["text"] for frame in self.told[connection] if frame["type"] == "message"]
            require(words in said, "whoever listens is told of a reply")

    def _note_answered(self, user: WebUser, asked: Asked, body: dict[str, Any]) -> None:
        session_id = body["id"]
        require(session_id in (asked.session, id_of(asked.key)), "a key opens its own session")
        seen = self.seen[session_id]
        require(seen.may_live(self.clock()), "nothing is said in a session that has ended")
        if asked.session not in (None, session_id):
            self._note_ended(asked.session)
        handsets = tuple(one["number"] for one in body["handsets"])
        self.promised[asked.text] = (session_id, handsets)
        if asked.session is None:
            self.answered.append(asked)
        user.session, user.handsets = session_id, handsets
        # Asked again under its key a text is not said again: it is no activity then.
        seen.active = max(seen.active, min(self.clock(), datetime.fromisoformat(body["expires_at"]) - IDLE))

    def _note_perhaps(self, *session_ids: str | None) -> None:
        """Something may have happened to these sessions, now."""
        for session_id in session_ids:
            if session_id in self.seen and self.seen[session_id].may_live(self.clock()):
                self.seen[session_id].perhaps_active = self.clock()

    def _note_opened(self, session_id: str, *, needs_text: bool = True) -> None:
        """A session is one from its first text on; its user may have had no answer yet. It is opened once."""
        row = self.aws.rows("SessionsTable").get((f"X#{session_id}", "session"))
        if session_id not in self.seen and row is not None and (row["says"]["N"] != "0" or not needs_text):
            opened = _moment(row["opened_at"]["S"])
            self.seen[session_id] = Seen(opened, opened, self.clock())

    def _note_ended(self, session_id: str | None) -> None:
        if session_id in self.seen:
            seen = self.seen[session_id]
            require(not seen.must_live(self.clock()), "no session ends before its five minutes")
            seen.ended = seen.ended or self.clock()

    def _leave(self, session_id: str) -> None:
        """Its user knows that it has ended. What they are asking just now goes on."""
        self._note_ended(session_id)
        for user in self.users:
            if user.session == session_id:
                user.session = None
                user.asked = user.asked if user.is_asking else None

    def _text_arrives(self, text: Outgoing) -> Answer | None:
        if text.reference.startswith("n."):
            self._notice_arrives(text)
            return None
        session_id, handset, code = text.reference.split(".")[2], text.to, text.sender
        self._note_opened(session_id)
        require(self.seen[session_id].may_just_have_lived(self.clock()), "no text comes from a session that has ended")
        # C8: whoever had this handset on this code before has ended, one quarantine ago.
        for other in self.threads[handset, code]:
            if other != session_id:
                rested = self.clock() - self.seen[other].earliest_end()
                require(rested + SKEW >= SETTINGS.quarantine, "a code rests before it serves its handset again")
        for (told, by, whose), at in self.notices.items():
            if (told, by) == (handset, code) and whose != session_id:
                rested = self.clock() - at + session_notices.LIFE
                require(rested + SKEW >= SETTINGS.quarantine, "a code rests after a notice, too")
        if session_id not in self.threads[handset, code]:
            row = self._pool_row(code)
            is_in_time = (
                row["state"] == "draining" and _moment(row["drained_at"]) + SKEW >= self.seen[session_id].opened
            )
            require(row["state"] == "free" or is_in_time, "no session that opens later has a code that drains")
            self.threads[handset, code].append(session_id)
        require((handset, text.text) not in self.inbox, "a text goes out once")
        self.inbox.add((handset, text.text))
        self.said.append((self._said_at(session_id, text), handset, self.addresses[text.text]))
        if self.caps is not None:
            self._keeps_to(self.caps, handset, self.addresses[text.text])
        return None

    def _notice_arrives(self, text: Outgoing) -> None:
        """C9: whoever answered a talk that has ended is told so once, from the code it was on."""
        route = self.aws.row("RoutesTable", (f"H#{text.to}", text.sender)) or {}
        ended = (text.to, text.sender, route["session_id"]["S"])
        require(ended not in self.notices, "a notice goes out once")
        seen = self.seen.get(ended[-1])
        is_held = "free_at" not in route and seen is not None and seen.must_live(self.clock())
        require(not is_held, "a notice says what is true")
        self.notices[ended] = self.clock()

    def _keeps_to(self, caps: Caps, handset: str, address: str) -> None:
        """Whoever died, nobody gets more than the caps; they may well get less."""
        to_handset = sorted(moment for moment, other, _ in self.said if other == handset)
        require(_is_within(to_handset, caps.handset_texts), "no handset hears more than its cap an hour")
        from_source = sorted(moment for moment, _, other in self.said if other == address)
        require(_is_within(from_source, caps.source_recipients), "no source writes to more than its cap an hour")
        opened = {
            session_id: seen.opened
            for session_id, seen in self.seen.items()
            if self.addresses.get(session_id) == address
        }
        require(_is_within(sorted(opened.values()), caps.source_sessions), "no source opens more than its cap an hour")
        writing = {one for (other, _), found in self.threads.items() if other == handset for one in found}
        at_once = [one for one in writing & set(opened) if self.seen[one].must_live(self.clock() + SKEW)]
        require(len(at_once) <= caps.at_once, "no source holds a handset more often at once than it may")

    def _said_at(self, session_id: str, text: Outgoing) -> datetime:
        """When it was booked: a session's first text with its opening, any other within the request that said it."""
        rows = self.aws.rows("SessionsTable")
        if text.reference.split(".")[3] == "1":
            moment = rows[f"X#{session_id}", "session"]["opened_at"]["S"]
        else:
            moment = next(
                row["at"]["S"] for row in rows.values() if row.get("text", {}).get("S") == text.text and "at" in row
            )
        return datetime.strptime(moment, "%Y-%m-%dT%H:%M:%S.%f%z")

    # --- How it is asked

    def _next_request(self, user: WebUser, handsets: tuple[str, ...], *, names_them: bool) -> Asked:
        self.counter += 1
        key, text = f"{self.name}-{self.counter}", f"texto-{self.name}-{self.counter}"
        body: dict[str, Any] = {"text": text}
        if user.session is None or names_them:
            body["to"] = list(user.handsets if user.session else handsets)
        path = "/sessions" if user.session is None else "/sessions/{session_id}/messages"
        address = user.address or address_of(key)
        self.addresses[text] = self.addresses[id_of(key)] = address
        event = self._event("POST", path, user.session, body=body, key=key_of(key), address=address)
        return Asked(key, event, user.session, text, address)

    def _request(self, event: dict[str, Any]) -> tuple[int, Any]:
        faults = self.weather.faults
        try:
            # Not by its handler: that one is held to the policies of one function, and here others come between.
            answered = web.answer(load_app("sessions").app, event, Context())  # type: ignore[arg-type]
        except Killed:
            return 500, {}
        require(answered["statusCode"] != 500 or self.weather.faults > faults, "no defect in good weather")
        return answered["statusCode"], json.loads(answered["body"] or "{}")

    def _event(
        self,
        method: str,
        resource: str,
        session_id: str | None,
        *,
        body: Any = None,
        key: str | None = None,
        address: str = "192.0.2.1",
    ) -> dict[str, Any]:
        return {
            "resource": resource,
            "path": resource.replace("{session_id}", session_id or ""),
            "httpMethod": method,
            "headers": {"content-type": "application/json"} | ({"idempotency-key": key} if key else {}),
            "queryStringParameters": None,
            "multiValueQueryStringParameters": None,
            "pathParameters": {"session_id": session_id} if session_id else None,
            "requestContext": {
                "requestId": "r",
                "authorizer": {"session": session_id} if session_id else None,
                "identity": {"sourceIp": address},
            },
            "body": json.dumps(body) if body is not None else None,
            "isBase64Encoded": False,
        }

    def _sessions_with(self, words: str) -> set[str]:
        """In whose transcript the words are."""
        return {row["pk"].removeprefix("X#") for row in self._lines_with(words)}

    def _lines_with(self, words: str) -> list[dict[str, Any]]:
        lines = [row for row in self.rows("SessionsTable") if row["sk"].startswith("t#")]
        return [row for row in lines if row["text"] == words]

    def _rows_of_parts(self) -> list[dict[str, Any]]:
        """Lines, and parts that wait for others."""
        return [row for row in self.rows("SessionsTable") if row["sk"].startswith(("t#", "r#"))]

    def _parts_in(self, row: dict[str, Any]) -> str:
        return str(row["text"] if row["sk"].startswith("t#") else row["waiting"])

    def _sessions_with_part(self, chunk: str) -> set[str]:
        return {row["pk"].removeprefix("X#") for row in self._rows_of_parts() if chunk in self._parts_in(row)}

    def _pool_row(self, code: str) -> dict[str, Any]:
        (row,) = (row for row in self.rows("RoutesTable") if row["pk"] == f"CODES#{COUNTRY}" and row["sk"] == code)
        return row

    def held(self) -> list[str]:
        """The sessions that hold a code of a handset."""
        found = [row for row in self.rows("RoutesTable") if row["pk"].startswith("H#")]
        return [row["session_id"] for row in found if "free_at" not in row]


def _is_within(moments: Sequence[datetime], most: int) -> bool:
    """Whether no hour holds more of these moments; a request that was said moments after it was booked counts then."""
    return all(later - first >= HOUR - MOMENTS for first, later in zip(moments, moments[most:], strict=False))


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z")


class Crowd:
    """A world in which anybody does anything at any time, by chance."""

    def __init__(self, world: World, chance: random.Random, handsets: Sequence[str], codes: Sequence[str]) -> None:
        self.world = world
        self.chance = chance
        self.handsets = tuple(handsets)
        self.codes = tuple(codes)

    def step(self) -> None:
        is_bad, is_crowded = self.chance.random() < 0.4, self.chance.random() < 0.5

        def plan(_: int, __: str) -> Meets:
            if is_crowded and self.chance.random() < 0.15:
                return self._somebody_else()
            faults: list[Meets] = [None, "lost", "applied", "dead"]
            return self.chance.choices(faults, (88, 4, 4, 4))[0] if is_bad else None

        act = self._somebody()
        with self.world.weather.planned(plan):
            act()
        self.world.check_rows()

    def _somebody(self) -> Act:
        acts: dict[Act, int] = {
            self._time: 30,
            self._ask: 30,
            self.world.work: 25,
            self._answer: 20,
            self._answer_again: 5,
            self._answer_in_parts: 6,
            self._part_comes: 20,
            lambda: self.world.read(self._user()): 10,
            lambda: self.world.listen(self._user()): 8,
            self._some_page: 6,
            lambda: self.world.extend(self._user()): 4,
            lambda: self.world.end(self._user()): 3,
            self.world.sweep: 9,
            self.world.minute: 3,
            self._look: 6,
            self._operator: 6,
        }
        return self.chance.choices(list(acts), list(acts.values()))[0]

    def _somebody_else(self) -> Act:
        acts: dict[Act, int] = {
            self._ask: 35,
            lambda: self.world.end(self._user()): 15,
            self._answer: 15,
            self._part_comes: 10,
            self._moment: 15,
            self.world.sweep: 5,
            self._look: 5,
            self.world.work: 5,
            lambda: self.world.change_pool(self.chance.choice(self.codes)): 10,
            lambda: self.world.extend(self._user()): 5,
            lambda: self.world.listen(self._user()): 5,
        }
        return self.chance.choices(list(acts), list(acts.values()))[0]

    def _time(self) -> None:
        rest = SETTINGS.quarantine_seconds
        steps = {
            1: 9,
            7: 9,
            31: 9,
            60: 9,
            119: 5,
            180: 5,
            299: 4,
            300: 4,
            301: 4,
            rest - 301: 2,
            rest: 3,
            rest + 300: 2,
        }
        self.world.clock.move(seconds=self.chance.choices(list(steps), list(steps.values()))[0])

    def _operator(self) -> None:
        if self.chance.random() < 0.3:
            self.world.clock.move(seconds=UNTIL_REMOVABLE.total_seconds())
        self.world.change_pool(self.chance.choice(self.codes))

    def _moment(self) -> None:
        self.world.clock.move(seconds=self.chance.choice((0.001, 1)))

    def _user(self) -> WebUser:
        return self.chance.choice(self.world.users)

    def _ask(self) -> None:
        user = self._user()
        if user.asked is None and self.chance.random() < 0.3:
            user.session = None  # the page is closed, and opened again
        some = self.handsets if self.chance.random() < 0.3 else (self.chance.choice(self.handsets),)
        self.world.ask(user, some, names_them=self.chance.random() < 0.7)

    def _answer(self) -> None:
        if self.world.threads:
            handset, code = self.chance.choice(sorted(self.world.threads))
            self.world.answer(handset, code if self.chance.random() < 0.9 else self.chance.choice(self.codes))

    def _some_page(self) -> None:
        if self.world.pages:
            connection = self.chance.choice(list(self.world.pages))
            self.chance.choice((self.world.ping, self.world.ping, self.world.hang_up))(connection)

    def _look(self) -> None:
        """One of the sweeper's jobs comes: in any order, any number of times, or never."""
        waiting = [*self.world.weather.sweeps, *self.world.weather.looks]
        if waiting:
            self.world.sweep_shard(self.chance.choice(waiting))

    def _answer_again(self) -> None:
        if self.world.replies:
            self.world.take_reply(*self.chance.choice(self.world.replies))

    def _answer_in_parts(self) -> None:
        if self.world.threads:
            handset, code = self.chance.choice(sorted(self.world.threads))
            # Three names of groups: careless carriers use them again.
            group = f"g{self.chance.randrange(3)}"
            self.world.answer_in_parts(handset, code, self.chance.choice((2, 2, 3)), group)

    def _part_comes(self) -> None:
        """Any part of one of the last messages: in any order, again, or never."""
        if self.world.long_replies:
            long = self.chance.choice(self.world.long_replies[-3:])
            self.world.take_part(long, self.chance.randrange(len(long.chunks)) + 1)
