"""Which code a session takes, by example; then sessions, handsets and replies in any order (invariant 5, C8, C9).

`RECADO_EXAMPLES=20000` plays so many orders, of up to STEPS steps each.
"""

import os
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from recado.rules.idle_timeout import LONGEST_SESSION, is_over
from recado.rules.short_codes import (
    Code,
    CodeState,
    Route,
    codes_needed,
    free_from,
    order_of_claim,
    quarantine_ends_at,
    removable_at,
    sessions_per_handset,
)

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
INSTANT = timedelta(microseconds=1)


def pool(*codes: str, state: CodeState = CodeState.FREE) -> list[Code]:
    return [Code(code, "DO", "signed_webhook", state) for code in codes]


def released(code: str, free_at: datetime) -> Route:
    return Route(code, "an-ended-session", free_at, free_at - 70 * MINUTE)


def held(code: str, since: datetime = NOON - 2 * MINUTE) -> Route:
    return Route(code, "a-session", None, since)


def test_a_new_handset_may_have_any_code_in_a_stable_order() -> None:
    assert order_of_claim(pool("103", "101", "102"), [], NOON) == ["101", "102", "103"]


def test_codes_never_used_come_first_then_the_longest_unused() -> None:
    routes = [
        released("101", NOON - 10 * MINUTE),
        released("102", NOON - 30 * MINUTE),
        released("104", NOON - 20 * MINUTE),
        released("105", NOON - MINUTE),
    ]

    assert order_of_claim(pool("101", "102", "103", "104", "105"), routes, NOON) == ["103", "102", "104", "101"]


def test_a_code_rests_until_the_moment_it_is_free() -> None:
    routes = [released("101", NOON), released("102", NOON + MINUTE)]

    assert order_of_claim(pool("101", "102"), routes, NOON - INSTANT) == []
    assert order_of_claim(pool("101", "102"), routes, NOON) == ["101"]


def test_a_held_code_is_not_offered() -> None:
    assert order_of_claim(pool("101", "102"), [held("101")], NOON) == ["102"]


@pytest.mark.parametrize("state", [CodeState.DRAINING, CodeState.REMOVED])
def test_a_code_that_leaves_the_pool_is_not_offered(state: CodeState) -> None:
    assert order_of_claim(pool("101") + pool("102", state=state), [], NOON) == ["101"]


def test_the_code_a_handset_used_last_is_never_offered_again_C8() -> None:  # C8
    a_year_ago = NOON - timedelta(days=365)

    assert order_of_claim(pool("101"), [released("101", a_year_ago)], NOON) == []
    assert free_from(pool("101"), [released("101", a_year_ago)], NOON) is None


def test_of_two_sessions_at_once_the_one_that_ended_last_used_its_code_last() -> None:
    long_one = Route("101", "s", NOON - MINUTE, claimed_at=NOON - 300 * MINUTE)
    short_one = Route("102", "s", NOON - 2 * MINUTE, claimed_at=NOON - 70 * MINUTE)

    assert order_of_claim(pool("101", "102"), [long_one, short_one], NOON) == ["102"]


def test_a_code_in_use_is_the_last_used_so_the_others_may_be_had() -> None:
    assert order_of_claim(pool("101", "102"), [held("101"), released("102", NOON - MINUTE)], NOON) == ["102"]


def test_of_two_codes_released_together_the_one_claimed_later_was_used_last() -> None:
    earlier = Route("102", "s", NOON - MINUTE, claimed_at=NOON - 80 * MINUTE)
    later = Route("101", "s", NOON - MINUTE, claimed_at=NOON - 70 * MINUTE)

    assert order_of_claim(pool("101", "102"), [later, earlier], NOON) == ["102"]


def test_a_notice_makes_a_code_rest_longer_and_is_no_use_of_it() -> None:
    used_until, told_at = NOON - 50 * MINUTE, NOON - 60 * MINUTE
    noticed = Route("101", "s", NOON, NOON - 90 * MINUTE, noticed_at=told_at, free_before_notice=used_until)

    assert order_of_claim(pool("101", "102"), [noticed, released("102", NOON - 10 * MINUTE)], NOON) == ["101"]


def test_when_to_try_again_is_the_first_code_to_be_free() -> None:
    routes = [released("101", NOON + 9 * MINUTE), released("102", NOON + 5 * MINUTE), held("103")]
    codes = pool("101", "102", "103")

    assert free_from(codes, routes, NOON) == NOON + 5 * MINUTE
    assert order_of_claim(codes, routes, NOON + 5 * MINUTE) == ["102"]


def test_there_is_no_need_to_wait_while_a_code_is_free() -> None:
    assert free_from(pool("101", "102"), [released("101", NOON + MINUTE)], NOON) == NOON


def test_nobody_can_say_when_if_other_sessions_hold_every_other_code() -> None:
    assert free_from(pool("101", "102"), [held("101"), held("102")], NOON) is None
    assert free_from([], [], NOON) is None


def test_a_code_leaving_the_pool_is_not_waited_for() -> None:
    codes = pool("101", state=CodeState.DRAINING) + pool("102")

    assert free_from(codes, [released("101", NOON + MINUTE), held("102")], NOON) is None


def test_a_quarantine_starts_at_the_release() -> None:
    assert quarantine_ends_at(NOON, 60 * MINUTE) == datetime(2026, 11, 23, 13, 0, tzinfo=UTC)


def test_a_draining_code_may_go_when_the_longest_session_has_ended_and_rested_and_a_minute_later() -> None:
    assert removable_at(NOON, 60 * MINUTE) == datetime(2026, 11, 23, 21, 1, tzinfo=UTC)


# ---- how many codes ------------------------------------------------------------------------------------------------

HOUR, DAY = timedelta(hours=1), timedelta(hours=24)


@pytest.mark.parametrize(
    ("codes", "period", "quarantine", "sessions"),
    [
        (5, DAY, DAY - 5 * MINUTE, 5),
        (13, HOUR, 60 * MINUTE, 12),
        (2, HOUR, 55 * MINUTE, 2),
        (1, DAY, MINUTE, 0),
        (0, DAY, MINUTE, 0),
    ],
)
def test_a_pool_gives_a_handset_so_many_sessions(
    codes: int, period: timedelta, quarantine: timedelta, sessions: float
) -> None:
    assert sessions_per_handset(codes, period, quarantine, 5 * MINUTE) == pytest.approx(sessions)


@pytest.mark.parametrize(("sessions", "codes"), [(12, 13), (11.9, 13), (11, 12), (0.1, 2), (0, 2)])
def test_so_many_sessions_an_hour_need_so_many_codes(sessions: float, codes: int) -> None:
    assert codes_needed(sessions, HOUR, 60 * MINUTE, 5 * MINUTE) == codes


MINUTES = st.integers(1, 48 * 60).map(lambda minutes: minutes * MINUTE)


@given(codes=st.integers(2, 500), period=st.sampled_from((HOUR, DAY)), quarantine=MINUTES, session=MINUTES)
def test_codes_and_sessions_are_inverses(
    codes: int, period: timedelta, quarantine: timedelta, session: timedelta
) -> None:
    sessions = sessions_per_handset(codes, period, quarantine, session)

    assert codes_needed(sessions, period, quarantine, session) == codes
    assert codes_needed(sessions * 1.001, period, quarantine, session) == codes + 1


@given(
    codes=st.integers(1, 5),
    quarantine=st.integers(1, 30).map(lambda minutes: minutes * MINUTE),
    session=st.integers(1, 30).map(lambda minutes: minutes * MINUTE),
    gaps=st.lists(st.integers(0, 20).map(lambda minutes: minutes * MINUTE), max_size=40),
)
def test_a_handset_is_refused_exactly_when_as_many_sessions_as_codes_began_within_a_session_and_its_quarantine(
    codes: int, quarantine: timedelta, session: timedelta, gaps: list[timedelta]
) -> None:
    """What the calculator counts with, shown of the order of claim itself: whenever somebody comes."""
    names = [f"10{number}" for number in range(codes)]
    began: list[datetime] = []
    routes: dict[str, Route] = {}
    now = NOON
    for gap in gaps:
        now += gap
        for code, route in routes.items():
            ends_at = route.claimed_at + session
            if route.free_at is None and ends_at <= now:
                routes[code] = Route(code, "s", quarantine_ends_at(ends_at, quarantine), route.claimed_at)

        offered = order_of_claim(pool(*names), routes.values(), now)

        recent = [moment for moment in began if moment > now - session - quarantine]
        assert bool(offered) == (len(recent) < codes and (codes >= 2 or not began))
        if offered:
            routes[offered[0]] = held(offered[0], now)
            began.append(now)


def test_a_quarantine_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError):
        sessions_per_handset(3, DAY, timedelta(0), 5 * MINUTE)


# ---- sessions, handsets and replies in any order -------------------------------------------------------------------

EXAMPLES = int(os.environ.get("RECADO_EXAMPLES", "300"))
STEPS = 60

TEXT_VALIDITY = 5 * MINUTE  # how late a text may still reach its handset
PATIENCE = MINUTE  # how long after the end an answer is promised to reach nobody
REPLY_DELAY = 3 * MINUTE  # the carrier's worst
QUARANTINE = TEXT_VALIDITY + PATIENCE + REPLY_DELAY + timedelta(seconds=2)
LONGEST_REQUEST = timedelta(seconds=29)  # a worker that took longer is dead

HANDSETS = ("ana", "ana", "ana", "beto")  # mostly the same one, so that sessions meet
PAUSES = (INSTANT, timedelta(seconds=20), MINUTE, 4 * MINUTE, 5 * MINUTE - INSTANT, 5 * MINUTE, QUARANTINE)
NOBODY = 0  # who wrote a notice: its answer is meant for no session

# What other workers do between one worker's reading and its writing; a worker this slow is dead, and yet kept out.
MEANWHILE = st.sampled_from(
    ("nothing", "nothing", "another reply", "the same reply", "the end", "the end, and another")
)
MOSTLY = st.sampled_from((True, True, True, False))

type Thread = tuple[str, str]  # handset, code


@dataclass
class SessionRow:
    opened_at: datetime
    last_activity: datetime
    state: str = "open"
    seq: int = 0
    transcript: dict[int, int] = field(default_factory=dict)  # t#<seq>


@dataclass
class RouteRow:
    session: int
    claimed_at: datetime
    free_at: datetime | None = None
    noticed: bool = False
    free_before_notice: datetime | None = None


@dataclass(frozen=True)
class Opening:
    """A session whose handset's routes have been read, and which claims by their order."""

    session: int
    handset: str
    order: tuple[str, ...]
    started_at: datetime


@dataclass(frozen=True)
class Saying:
    """A text whose session has been read, and not yet written."""

    thread: Thread
    session: int
    seq: int
    read_at: datetime


@dataclass(frozen=True)
class Text:
    thread: Thread
    session: int
    sent_at: datetime


@dataclass(frozen=True)
class Reply:
    id: int
    thread: Thread
    meant_for: int
    typed_at: datetime


@dataclass(frozen=True)
class Delivery:
    """A reply whose route and session have been read, and not yet written."""

    reply: Reply
    session: int
    seq: int
    read_at: datetime


@dataclass(frozen=True)
class Closing:
    """A session that was seen over, and not yet closed."""

    session: int
    read_at: datetime


@dataclass(frozen=True)
class Release:
    """A closed session whose routes have been read, and not yet released."""

    session: int
    threads: tuple[Thread, ...]
    read_at: datetime


@dataclass(frozen=True)
class Notice:
    """A late reply whose route has been read, and for which a notice is not yet noted."""

    thread: Thread
    session: int
    free_at: datetime | None
    read_at: datetime


@dataclass
class Use:
    """The witness's own note of one use of a thread; the rules never see it."""

    thread: Thread
    session: int
    began_at: datetime
    ended_at: datetime | None = None
    rested_from: datetime | None = None  # when it was over, or when a notice on it was noted
    is_told: bool = False

    def end_of_use(self) -> tuple[bool, datetime, datetime]:
        return (self.ended_at is None, self.ended_at or self.began_at, self.began_at)


class SessionsOnSharedCodes(RuleBasedStateMachine):
    """The rows and predicates of sessions in two dicts; a witness writes down what people did and saw.

    Whatever reads and then writes is two rules, and anything may happen between them.
    """

    openings = Bundle("openings")
    sayings = Bundle("sayings")
    replies = Bundle("replies")
    deliveries = Bundle("deliveries")
    closings = Bundle("closings")
    releases = Bundle("releases")
    notices = Bundle("notices")
    happened: ClassVar[Counter[str]] = Counter()  # over all orders: that the interesting ones are among them

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.codes = {code.code: code for code in pool("101", "102")}
        self.sessions: dict[int, SessionRow] = {}
        self.routes: dict[Thread, RouteRow] = {}
        self.drained_at: dict[str, datetime] = {}
        self.rated: set[int] = set()
        self.on_the_way: list[Text] = []
        # The witness.
        self.uses: list[Use] = []
        self.threads: dict[Thread, int] = {}  # whose text is the newest one in the phone
        self.opened_at: dict[int, datetime] = {}
        self.active_at: dict[int, datetime] = {}
        self.ended_at: dict[int, datetime] = {}  # by the clock, whether or not anybody has seen it
        self.seen_ended: set[int] = set()
        self.kept: dict[int, list[int]] = {}
        self.told_at: dict[Thread, datetime] = {}
        self.unsaid: set[int] = set()
        self.counted = 0

    def next_id(self) -> int:
        self.counted += 1
        return self.counted

    def is_dead(self, began_at: datetime) -> bool:
        return self.now - began_at > LONGEST_REQUEST

    # Rows, exactly as the tables are written.

    def put_route(self, thread: Thread, session: int) -> bool:
        row = self.routes.get(thread)
        mine = row is not None and row.session == session and row.free_at is None
        if not (row is None or (row.free_at is not None and row.free_at <= self.now) or mine):
            return False
        self.routes[thread] = RouteRow(session, self.now)
        return True

    def touch(self, session: int, seen: int, now: datetime) -> bool:
        row = self.sessions.get(session)
        if row is None or row.state != "open" or row.seq != seen or row.opened_at <= now - LONGEST_SESSION:
            return False
        row.seq, row.last_activity = seen + 1, max(row.last_activity, now)
        return True

    def close(self, session: int, now: datetime) -> None:
        row = self.sessions.get(session)
        if row is not None and row.state == "open" and is_over(row.opened_at, row.last_activity, now):
            row.state = "closed"
            # Invariant 6: none is closed before.
            active_at, opened_at = self.active_at[session], self.opened_at[session]
            assert self.now >= min(active_at + timedelta(seconds=300), opened_at + timedelta(hours=8))
            self.note_seen_ended(session)

    def release(self, session: int, thread: Thread, now: datetime) -> None:
        row = self.routes.get(thread)
        if row is not None and row.session == session and row.free_at is None:
            row.free_at = quarantine_ends_at(now, QUARANTINE)
            use = self.use_of(thread, session)
            use.ended_at = use.rested_from = now

    def note_notice(self, notice: Notice) -> bool:
        row = self.routes.get(notice.thread)
        if row is None or row.session != notice.session or row.noticed or row.free_at != notice.free_at:
            return False
        if row.free_at is not None:
            if row.free_at <= notice.read_at:
                return False
            row.free_before_notice = row.free_at
            row.free_at = quarantine_ends_at(notice.read_at, QUARANTINE)
        row.noticed = True
        return True

    # The witness.

    def use_of(self, thread: Thread, session: int) -> Use:
        return next(use for use in self.uses if (use.thread, use.session, use.ended_at) == (thread, session, None))

    def assert_another_code(self, handset: str, code: str) -> None:
        """C8: not the code used last, and none of a session that ended within the quarantine."""
        before = [use for use in self.uses if use.thread[0] == handset]
        latest = max((use.end_of_use() for use in before), default=None)
        last_used = {use.thread[1] for use in before if use.end_of_use() == latest}
        resting = {
            use.thread[1] for use in before if use.rested_from is None or use.rested_from > self.now - QUARANTINE
        }
        assert last_used != {code}  # two only if they began and ended together
        assert code not in resting

    def note_seen_ended(self, session: int) -> None:
        self.seen_ended.add(session)
        self.ended_at.setdefault(session, self.now)

    def note_ends(self) -> None:
        for session, opened_at in self.opened_at.items():
            end = min(self.active_at[session] + timedelta(seconds=300), opened_at + timedelta(hours=8))
            if self.now >= end:
                self.ended_at.setdefault(session, end)

    @invariant()
    def a_step_was_taken(self) -> None:
        self.happened["step"] += 1

    # What may happen.

    @initialize(codes=st.integers(1, 3))
    def fill_the_pool(self, codes: int) -> None:
        self.codes = {code.code: code for code in pool(*("101", "102", "103")[:codes])}

    @rule(step=st.sampled_from(PAUSES))
    def time_passes(self, step: timedelta) -> None:
        self.now += step
        self.note_ends()

    @rule(target=openings, handset=st.sampled_from(HANDSETS), at_once=MOSTLY)
    def somebody_opens_a_session(self, handset: str, at_once: bool) -> object:
        opening = self.open(self.next_id(), handset, at_once)
        return opening or multiple()

    def open(self, session: int, handset: str, at_once: bool) -> Opening | None:
        self.sessions[session] = SessionRow(self.now, self.now)
        self.unsaid.add(session)
        self.opened_at[session] = self.active_at[session] = self.now
        routes = [
            Route(code, str(row.session), row.free_at, row.claimed_at, free_before_notice=row.free_before_notice)
            for (owner, code), row in self.routes.items()
            if owner == handset
        ]
        order = tuple(order_of_claim(self.codes.values(), routes, self.now))
        opening = Opening(session, handset, order, self.now)
        if not at_once:
            return opening
        self.claim(opening, lives=True)
        return None

    @rule(opening=consumes(openings), lives=MOSTLY)
    def a_slow_opening_goes_on(self, opening: Opening, lives: bool) -> None:
        if not self.is_dead(opening.started_at):
            self.claim(opening, lives)

    @rule(session=st.runner().flatmap(lambda machine: st.sampled_from(sorted(machine.unsaid))))
    @precondition(lambda self: bool(self.unsaid))
    def a_session_that_never_said_anything_and_is_gone_is_opened_again_by_its_key(self, session: int) -> None:
        if session not in self.sessions:
            self.happened["opened again"] += 1
            self.ended_at.pop(session, None)
            self.seen_ended.discard(session)
            self.open(session, "ana", at_once=True)

    def claim(self, opening: Opening, lives: bool) -> None:
        for code in opening.order:
            thread = (opening.handset, code)
            if self.put_route(thread, opening.session):
                self.happened["claimed again" if any(use.thread == thread for use in self.uses) else "claimed"] += 1
                self.assert_another_code(opening.handset, code)
                self.uses.append(Use(thread, opening.session, self.now))
                row = self.sessions.get(opening.session)
                if row is not None and lives:
                    self.write_text(Saying(thread, opening.session, row.seq, self.now), at_once=True)
                return

    @rule(
        target=sayings,
        use=st.runner().flatmap(lambda machine: st.sampled_from(machine.uses)),
        at_once=MOSTLY,
    )
    @precondition(lambda self: bool(self.uses))
    def a_web_user_says_something(self, use: Use, at_once: bool) -> object:
        row = self.sessions.get(use.session)
        if row is None or row.state != "open":
            return multiple()
        if is_over(row.opened_at, row.last_activity, self.now):
            self.close(use.session, self.now)
            return multiple()
        saying = Saying(use.thread, use.session, row.seq, self.now)
        if not at_once:
            return saying
        self.write_text(saying, at_once=True)
        return multiple()

    @rule(saying=consumes(sayings), at_once=MOSTLY)
    def a_slow_text_is_written(self, saying: Saying, at_once: bool) -> None:
        if not self.is_dead(saying.read_at):
            self.write_text(saying, at_once)

    def write_text(self, saying: Saying, at_once: bool) -> None:
        if not self.touch(saying.session, saying.seq, saying.read_at):
            return
        self.unsaid.discard(saying.session)
        self.note_active(saying.session, saying.read_at)
        text = Text(saying.thread, saying.session, self.now)
        if at_once:
            self.threads[text.thread] = text.session
        else:
            self.on_the_way.append(text)

    def note_active(self, session: int, at: datetime) -> None:
        self.active_at[session] = max(self.active_at[session], at)
        self.ended_at.pop(session, None)  # read in time, written a moment after an end that nobody has seen
        self.note_ends()

    @rule()
    @precondition(lambda self: bool(self.on_the_way))
    def a_late_text_reaches_its_handset(self) -> None:
        text = self.on_the_way.pop()
        if self.now - text.sent_at <= TEXT_VALIDITY:
            self.threads[text.thread] = text.session
            if text.session == NOBODY:
                self.told_at[text.thread] = self.now

    @rule(target=replies, thread=st.runner().flatmap(lambda machine: st.sampled_from(sorted(machine.threads))))
    @precondition(lambda self: bool(self.threads))
    def somebody_answers_on_their_handset(self, thread: Thread) -> Reply:
        reply = Reply(self.next_id(), thread, self.threads[thread], self.now)
        self.deliver(reply, "nothing")
        return reply

    @rule(target=replies, thread=st.runner().flatmap(lambda machine: st.sampled_from(sorted(machine.threads))))
    @precondition(lambda self: bool(self.threads))
    def somebody_answers_and_the_carrier_takes_its_time(self, thread: Thread) -> Reply:
        return Reply(self.next_id(), thread, self.threads[thread], self.now)

    @rule(reply=replies, meanwhile=MEANWHILE)  # not consumed: a carrier delivers as often as it likes
    def a_carrier_delivers_a_late_or_repeated_reply(self, reply: Reply, meanwhile: str) -> None:
        self.deliver(reply, meanwhile)

    def deliver(self, reply: Reply, meanwhile: str) -> None:
        delivery = self.read_route(reply)
        if delivery is None:
            return
        if meanwhile == "another reply":
            other = Reply(self.next_id(), reply.thread, self.threads[reply.thread], self.now)
            self.write_reply(Delivery(other, delivery.session, delivery.seq, self.now))
        elif meanwhile == "the same reply":
            self.write_reply(delivery)
        elif meanwhile == "the end":
            self.sessions[delivery.session].state = "closed"
            self.note_seen_ended(delivery.session)
        elif meanwhile == "the end, and another":
            self.a_quarantine_later_somebody_else_opens_a_session(reply.thread[0], QUARANTINE)
        self.write_reply(delivery)

    @rule(target=deliveries, reply=replies)
    def a_reply_is_delivered_and_its_route_is_read(self, reply: Reply) -> object:
        return self.read_route(reply) or multiple()

    def read_route(self, reply: Reply) -> Delivery | None:
        route = self.routes.get(reply.thread)
        row = self.sessions.get(route.session) if route and route.free_at is None else None
        if self.now - reply.typed_at > REPLY_DELAY:
            return None
        if route is None or row is None or row.state != "open":
            self.happened["late"] += 1
            return None
        if is_over(row.opened_at, row.last_activity, self.now):
            self.close(route.session, self.now)
            return None
        return Delivery(reply, route.session, row.seq, self.now)

    @rule(delivery=consumes(deliveries))
    def a_reply_whose_route_was_read_is_written(self, delivery: Delivery) -> None:
        if not self.is_dead(delivery.read_at):
            self.write_reply(delivery)

    def write_reply(self, delivery: Delivery) -> None:
        reply, session = delivery.reply, delivery.session
        if reply.id in self.rated:
            self.happened["duplicate"] += 1
            return
        if not self.touch(session, delivery.seq, delivery.read_at):
            self.happened["overtaken"] += 1
            return
        self.rated.add(reply.id)
        self.happened["reply"] += 1
        self.sessions[session].transcript[delivery.seq + 1] = reply.id
        self.assert_it_reached_the_right_one(delivery)
        self.note_active(session, delivery.read_at)
        self.kept.setdefault(session, []).append(reply.id)
        assert list(self.sessions[session].transcript.values()) == self.kept[session]

    def assert_it_reached_the_right_one(self, delivery: Delivery) -> None:
        """C9: the session that holds the pair at this moment and has not ended; for a prompt answer, the one meant."""
        reply, session = delivery.reply, delivery.session
        assert session not in self.seen_ended
        assert delivery.read_at < self.ended_at.get(session, delivery.read_at + INSTANT)
        assert [use.session for use in self.uses if use.thread == reply.thread and use.ended_at is None] == [session]
        if reply.meant_for == NOBODY:
            assert reply.typed_at > self.told_at[reply.thread] + PATIENCE
        else:
            ended_at = self.ended_at.get(reply.meant_for)
            if ended_at is None or reply.typed_at <= ended_at + PATIENCE:
                assert session == reply.meant_for
        assert not any(reply.id in kept for kept in self.kept.values())

    @rule(target=closings, session=st.runner().flatmap(lambda machine: st.sampled_from(sorted(machine.sessions))))
    @precondition(lambda self: bool(self.sessions))
    def the_sweeper_sees_a_session_that_is_over(self, session: int) -> object:
        row = self.sessions[session]
        if row.state != "open" or not is_over(row.opened_at, row.last_activity, self.now):
            return multiple()
        return Closing(session, self.now)

    @rule(closing=consumes(closings))
    def the_sweeper_closes_it(self, closing: Closing) -> None:
        if not self.is_dead(closing.read_at):
            self.close(closing.session, closing.read_at)

    @rule(session=st.runner().flatmap(lambda machine: st.sampled_from(sorted(machine.sessions))), stays=MOSTLY)
    @precondition(lambda self: bool(self.sessions))
    def its_user_leaves(self, session: int, stays: bool) -> None:
        if stays:
            return
        self.sessions[session].state = "closed"
        self.note_seen_ended(session)

    @rule(code=st.sampled_from(("101", "102", "103")))
    def the_operator_adds_a_code(self, code: str) -> None:
        if code not in self.codes or self.codes[code].state is CodeState.REMOVED:
            self.codes[code] = Code(code, "DO", "signed_webhook", CodeState.FREE)

    @rule(code=st.sampled_from(("101", "102", "103")))
    def the_operator_drains_a_code(self, code: str) -> None:
        if code in self.codes and self.codes[code].state is CodeState.FREE:
            self.codes[code] = Code(code, "DO", "signed_webhook", CodeState.DRAINING)
            self.drained_at[code] = self.now

    @rule(code=st.sampled_from(("101", "102", "103")), waits=MOSTLY)
    def the_operator_removes_a_code(self, code: str, waits: bool) -> None:
        if code not in self.codes or self.codes[code].state is not CodeState.DRAINING:
            return
        moment = removable_at(self.drained_at[code], QUARANTINE)
        # Those who hold it talk on for as long as they are let.
        while waits and self.now < moment:
            for use in self.uses:
                if use.thread[1] == code and use.session not in self.ended_at:
                    self.a_web_user_says_something(use, at_once=True)
            self.time_passes(min(5 * MINUTE - INSTANT, moment - self.now))
        if self.now < moment:
            return
        self.codes[code] = Code(code, "DO", "signed_webhook", CodeState.REMOVED)
        # Whoever claimed it, also from a pool read before the draining began, has ended, and an answer is out of time.
        for use in self.uses:
            if use.thread[1] == code:
                assert self.ended_at[use.session] + QUARANTINE <= self.now

    @rule(target=releases)
    def whoever_clears_reads_the_routes_of_a_closed_session(self) -> object:
        closed = [session for session, row in self.sessions.items() if row.state == "closed"]
        if not closed:
            return multiple()
        held = [thread for thread, row in self.routes.items() if row.session == closed[0] and row.free_at is None]
        return Release(closed[0], tuple(held), self.now)

    @rule(release=consumes(releases))
    def the_routes_are_released_and_the_session_deleted(self, release: Release) -> None:
        if self.is_dead(release.read_at):
            return
        for thread in release.threads:
            self.release(release.session, thread, release.read_at)
        self.sessions.pop(release.session, None)

    @rule()
    def a_whole_minute_of_the_sweeper(self) -> None:
        for session in list(self.sessions):
            self.close(session, self.now)
            if self.sessions[session].state == "closed":
                for thread in list(self.routes):
                    self.release(session, thread, self.now)
                del self.sessions[session]

    @rule(handset=st.sampled_from(HANDSETS), rest=st.sampled_from((QUARANTINE - INSTANT, QUARANTINE)))
    def a_quarantine_later_somebody_else_opens_a_session(self, handset: str, rest: timedelta) -> None:
        self.a_whole_minute_of_the_sweeper()
        self.time_passes(rest)
        self.somebody_opens_a_session(handset, at_once=True)

    @rule(target=notices, reply=replies, at_once=MOSTLY)
    def a_late_reply_is_to_be_answered(self, reply: Reply, at_once: bool) -> object:
        route = self.routes.get(reply.thread)
        if route is None or route.noticed or self.now - reply.typed_at > REPLY_DELAY:
            return multiple()
        row = self.sessions.get(route.session)
        if route.free_at is None and row is not None and row.state == "open":
            return multiple()
        notice = Notice(reply.thread, route.session, route.free_at, self.now)
        if not at_once:
            return notice
        self.say_notice(notice, at_once=True)
        return multiple()

    @rule(thread=st.runner().flatmap(lambda machine: st.sampled_from(sorted(machine.resting()))), twice=MOSTLY)
    @precondition(lambda self: bool(self.resting()))
    def a_reply_in_the_last_moment_of_a_rest_is_answered(self, thread: Thread, twice: bool) -> None:
        route = self.routes[thread]
        assert route.free_at is not None
        self.time_passes(route.free_at - self.now - INSTANT)
        if not route.noticed:
            notice = Notice(thread, route.session, route.free_at, self.now)
            self.say_notice(notice, at_once=True)
            if twice:
                self.say_notice(notice, at_once=True)
        self.time_passes(INSTANT)
        self.somebody_opens_a_session(thread[0], at_once=True)

    def resting(self) -> list[Thread]:
        return [thread for thread, row in self.routes.items() if row.free_at and row.free_at > self.now]

    @rule(notice=consumes(notices), at_once=MOSTLY)
    def a_slow_notice_is_noted_and_goes_out(self, notice: Notice, at_once: bool) -> None:
        if not self.is_dead(notice.read_at):
            self.say_notice(notice, at_once)

    def say_notice(self, notice: Notice, at_once: bool) -> None:
        if not self.note_notice(notice):
            return
        self.happened["notice"] += 1
        use = [use for use in self.uses if (use.thread, use.session) == (notice.thread, notice.session)][-1]
        assert not use.is_told
        use.is_told = True
        use.rested_from = notice.read_at if use.rested_from else None
        self.on_the_way.append(Text(notice.thread, NOBODY, notice.read_at))
        if at_once:
            self.a_late_text_reaches_its_handset()

    @rule(code=st.sampled_from(("101", "102", "103")), state=st.sampled_from((CodeState.FREE, *CodeState, None)))
    def the_operator_changes_the_pool(self, code: str, state: CodeState | None) -> None:
        """Adds it, drains it, removes it, adds it again; None: its row is gone."""
        self.codes.pop(code, None)
        if state is not None:
            self.codes[code] = Code(code, "DO", "signed_webhook", state)
        if state is CodeState.DRAINING:
            self.drained_at[code] = self.now


def test_no_reply_reaches_anybody_but_the_session_that_holds_its_pair_at_its_commit_C9() -> None:
    # Invariant 5, and C8 on the way.
    SessionsOnSharedCodes.happened.clear()

    run_state_machine_as_test(
        SessionsOnSharedCodes,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )

    print(f"{EXAMPLES} orders: {dict(SessionsOnSharedCodes.happened)}")  # noqa: T201  # how long a long run was
    for what in ("claimed", "claimed again", "reply", "late", "duplicate", "overtaken", "notice"):
        assert SessionsOnSharedCodes.happened[what], f"no order had this: {what}"
