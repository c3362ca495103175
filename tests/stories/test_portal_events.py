"""What happened is brought to a school's portal, signed, until it is taken, or is listed as failed."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import accumulate, count

import pytest
from standardwebhooks import Webhook as Verifier

from recado import events, portal_deliveries, portal_events, portal_webhooks
from recado.access import Caller
from recado.carriers.portal_calls import Call, Heard
from recado.errors import TooManyRequests, WrongState
from recado.events import NewEvent
from recado.portal_deliveries import Counts
from recado.rules import webhook_retries
from recado.rules.event_types import EventType
from recado.rules.roles import Role
from recado.rules.webhook_deliveries import DeliveryState, DisabledBecause, WebhookState, delivery_id
from recado.tables import events as event_table
from recado.tables import portal_webhooks as table
from recado.tables import webhook_deliveries as deliveries
from recado.tables.webhook_deliveries import Delivery
from tests.conftest import jobs_on
from tests.worlds import DIRECTOR, NOON, SCHOOL, TestClock

URL = "https://portal.escuela.cl/recado"
OK = Heard(204, took_ms=40)
BROKEN = Heard(500, "status", took_ms=40)
OTHERS = Caller("liceo-2", Role.DIRECTOR, "u-2")

pytestmark = pytest.mark.usefixtures("aws")


@dataclass
class Portal:
    """A portal that answers as it is told and remembers every call."""

    clock: TestClock
    answer: Callable[[Call], Heard] = lambda _: OK
    seen: list[Call] = field(default_factory=list)

    def post(self, call: Call) -> Heard:
        self.seen.append(call)
        return self.answer(call)

    def numbers(self) -> list[int]:
        return [json.loads(call.body)["number"] for call in self.seen]


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


@pytest.fixture
def portal(clock: TestClock) -> Portal:
    return Portal(clock)


_owners = count(1)


def worker(portal: Portal, **changes: object) -> portal_events.Worker:
    made = portal_events.Worker(
        owner=f"w{next(_owners)}",
        clock=portal.clock,
        time_left=lambda: timedelta(seconds=55),
        jitter=lambda: 0.0,
        post=portal.post,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def work(portal: Portal, school_id: str = SCHOOL) -> int:
    return portal_events.work(school_id, worker(portal))


def happen(clock: TestClock, *causes: str, school_id: str = SCHOOL, kind: EventType = EventType.MESSAGE_SENT) -> None:
    for cause in causes:
        events.raise_event(school_id, NewEvent(kind, cause, clock(), {"message": cause}))


def make(clock: TestClock, caller: Caller = DIRECTOR, wanted: list[EventType] | None = None) -> str:
    saved = portal_webhooks.save_webhook(caller, URL, wanted, request_key="k1", now=clock())
    assert saved.secret is not None
    return saved.secret


def forget_event(school_id: str, number: int) -> None:
    event_table._EventRow(event_table._pk(school_id), event_table._sk(number)).delete()


def log_of(clock: TestClock, caller: Caller = DIRECTOR) -> list[Delivery]:
    found, following = portal_deliveries.list_deliveries(caller, state=None, after=None, limit=100, now=clock())
    assert following is None
    return found


def states(clock: TestClock) -> dict[int, str]:
    return {one.number: one.state.value for one in reversed(log_of(clock))}


def webhook() -> table.Webhook:
    found = table.find_webhook(SCHOOL)
    assert found is not None
    return found


def test_what_happens_is_brought_signed_to_whoever_asked_for_it(clock: TestClock, portal: Portal) -> None:
    happen(clock, "before")
    secret = make(clock)
    happen(clock, "m1", "m2")

    work(portal)

    assert sorted(portal.numbers()) == [2, 3]  # nothing of what was before
    call = next(one for one in portal.seen if json.loads(one.body)["number"] == 2)
    assert call.url == URL
    assert call.delivery_id == delivery_id(SCHOOL, 2)
    assert json.loads(call.body) == {
        "type": "message.sent",
        "timestamp": "2026-11-23T12:00:00.000Z",
        "school": SCHOOL,
        "number": 2,
        "data": {"message": "m1"},
    }
    assert call.secrets == (secret,)
    assert states(clock) == {2: "delivered", 3: "delivered"}
    assert work(portal) == 0


def test_a_school_without_a_webhook_puts_no_job_and_marks_nothing(clock: TestClock) -> None:
    happen(clock, "m1", "m2")

    assert jobs_on("PortalEventsQueue") == []
    assert portal_events.take_up_due(clock() + timedelta(days=1)) == 0


def test_many_events_of_a_moment_put_one_job(clock: TestClock, portal: Portal) -> None:
    make(clock)

    happen(clock, *(f"m{number}" for number in range(5)))

    assert [json.loads(job) for job in jobs_on("PortalEventsQueue")] == [{"kind": "events", "school": SCHOOL}]


def test_a_lost_job_is_made_up_for_within_minutes(clock: TestClock, portal: Portal) -> None:
    make(clock)
    work(portal)
    happen(clock, "m1")
    jobs_on("PortalEventsQueue")

    clock.move(seconds=61)
    found = portal_events.take_up_due(clock())

    assert found == 1
    assert len(jobs_on("PortalEventsQueue")) == 1
    work(portal)
    assert portal.numbers() == [1]
    clock.move(minutes=5)
    assert portal_events.take_up_due(clock()) == 0, "nothing is owed any more"


def test_only_the_types_that_are_wanted_are_brought_and_a_test_always(clock: TestClock, portal: Portal) -> None:
    make(clock, wanted=[EventType.BALANCE_LOW])
    happen(clock, "m1")
    happen(clock, "b1", kind=EventType.BALANCE_LOW)
    portal_deliveries.send_test(DIRECTOR, request_key=None, now=clock())

    work(portal)

    assert sorted(portal.numbers()) == [2, 3]
    assert json.loads(portal.seen[0].body)["type"] == "webhook.test", "before whatever waits"


def test_a_portal_that_fails_is_called_ten_times_within_days_and_no_more(clock: TestClock, portal: Portal) -> None:
    make(clock)
    portal.answer = lambda _: BROKEN
    happen(clock, "m1")

    called: list[timedelta] = []
    for _ in range(200_000):
        if work(portal):
            called.append(clock() - NOON)
        (one,) = log_of(clock)
        if one.state is DeliveryState.FAILED:
            break
        assert one.next_at is not None
        clock.now = max(one.next_at, webhook().paused_until or one.next_at)

    assert called == list(accumulate(webhook_retries.DELAYS))
    assert len({call.delivery_id for call in portal.seen}) == 1
    assert len({call.body for call in portal.seen}) == 1
    assert [attempt.reason for attempt in one.attempts] == ["status"] * 10
    clock.move(days=3)
    assert work(portal) == 0, "listed, and tried no more"


def test_a_portal_that_is_down_for_thirty_hours_gets_all_of_it_without_asking(clock: TestClock, portal: Portal) -> None:
    make(clock)
    back = NOON + timedelta(hours=30)
    portal.answer = lambda _: BROKEN if clock() < back else OK

    for hour in range(60):
        if clock() < back:
            happen(clock, f"m{hour}")
        while work(portal):
            pass
        clock.move(hours=1)

    assert states(clock) == dict.fromkeys(range(1, 31), "delivered")
    assert webhook().state is WebhookState.ENABLED


def test_what_failed_is_taken_when_the_portal_is_back(clock: TestClock, portal: Portal) -> None:
    make(clock)
    portal.answer = lambda _: BROKEN if clock() < NOON + timedelta(minutes=4) else OK
    happen(clock, "m1", "m2")

    for _ in range(12):
        work(portal)
        clock.move(minutes=1)

    assert states(clock) == {1: "delivered", 2: "delivered"}
    assert webhook().failing_since is None


def test_a_portal_that_is_down_with_thousands_pending_is_asked_one_thing_at_a_time(
    clock: TestClock, portal: Portal
) -> None:
    make(clock)
    portal.answer = lambda _: Heard(None, "timeout", 15_000)
    happen(clock, *(f"m{number}" for number in range(90)))

    for _ in range(30):
        work(portal)
        clock.move(minutes=1)

    assert len(portal.seen) <= portal_events.AT_ONCE + 2 + 10, "eight, then one by one, with longer and longer pauses"
    portal.answer = lambda _: OK
    clock.move(minutes=15)
    while work(portal):
        clock.move(minutes=1)
    clock.move(days=1)
    work(portal)
    assert set(states(clock).values()) == {"delivered"}
    assert len(states(clock)) == 90


def test_tests_are_counted_by_the_minute_and_one_that_was_asked_for_is_answered_again(
    clock: TestClock, portal: Portal
) -> None:
    make(clock)
    for number in range(portal_deliveries.TESTS_MAX):
        first = portal_deliveries.send_test(DIRECTOR, request_key=f"t{number}", now=clock())
        clock.move(seconds=2)

    with pytest.raises(TooManyRequests) as refused:
        portal_deliveries.send_test(DIRECTOR, request_key="one more", now=clock())
    again = portal_deliveries.send_test(DIRECTOR, request_key=f"t{number}", now=clock())
    clock.move(seconds=refused.value.retry_after_seconds or 0)
    later = portal_deliveries.send_test(DIRECTOR, request_key="one more", now=clock())

    assert refused.value.retry_after_seconds == 40
    assert again.number == first.number == portal_deliveries.TESTS_MAX
    assert later.number == portal_deliveries.TESTS_MAX + 1


def test_how_a_portal_stands_is_counted(clock: TestClock, portal: Portal) -> None:
    make(clock)
    happen(clock, "m1", "m2")
    work(portal)
    portal.answer = lambda call: BROKEN if "m3" in call.body else OK
    happen(clock, "m3")
    work(portal)
    happen(clock, "m4", "m5")

    counted = portal_deliveries.count_deliveries(DIRECTOR, webhook(), clock())
    portal_webhooks.delete_webhook(DIRECTOR, clock())
    make_again = portal_webhooks.save_webhook(DIRECTOR, URL, None, request_key="k2", now=clock()).webhook
    after = portal_deliveries.count_deliveries(DIRECTOR, make_again, clock())

    assert counted == Counts(pending=1, retrying=1, delivered=2, failed=0, not_taken_up=2)
    assert after == Counts(pending=0, retrying=0, delivered=2, failed=1, not_taken_up=0)


def test_a_test_goes_out_despite_a_pause_and_ends_it_when_it_is_taken(clock: TestClock, portal: Portal) -> None:
    make(clock)
    portal.answer = lambda _: BROKEN
    happen(clock, *(f"m{number}" for number in range(20)))
    work(portal)
    assert webhook().paused_until is not None
    portal.answer = lambda _: OK
    portal.seen.clear()

    sent = portal_deliveries.send_test(DIRECTOR, request_key="t1", now=clock())
    work(portal)

    assert portal.numbers()[0] == sent.number
    assert len(portal.seen) == 1 + 10, "and what was never tried after it"


def test_410_switches_it_off_and_nothing_goes_out_until_it_is_on(clock: TestClock, portal: Portal) -> None:
    make(clock)
    portal.answer = lambda _: Heard(410, "gone")
    happen(clock, "m1")
    work(portal)
    assert (webhook().state, webhook().because) == (WebhookState.DISABLED, DisabledBecause.GONE)
    portal.seen.clear()
    portal.answer = lambda _: OK
    jobs_on("PortalEventsQueue")

    happen(clock, "m2")
    clock.move(hours=1)

    assert jobs_on("PortalEventsQueue") == []
    assert portal_events.take_up_due(clock()) == 0
    assert work(portal) == 0
    assert portal.seen == []

    portal_webhooks.enable_webhook(DIRECTOR, clock())
    work(portal)
    assert sorted(portal.numbers()) == [1, 2, 3], "it goes on where it stopped"


def test_a_410_of_an_address_that_was_changed_meanwhile_switches_nothing_off(clock: TestClock, portal: Portal) -> None:
    make(clock)
    happen(clock, "m1")

    def answer(call: Call) -> Heard:
        if call.url == URL:
            portal_webhooks.save_webhook(DIRECTOR, f"{URL}/2", None, request_key=None, now=clock())
            return Heard(410, "gone")
        return OK

    portal.answer = answer
    work(portal)
    clock.move(seconds=5)
    work(portal)

    assert webhook().state is WebhookState.ENABLED
    assert [call.url for call in portal.seen] == [URL, f"{URL}/2"]
    assert states(clock) == {1: "delivered"}


def test_days_of_nothing_but_failures_switch_it_off_and_the_portal_sees_why(clock: TestClock, portal: Portal) -> None:
    make(clock)
    portal.answer = lambda _: BROKEN

    for day in range(7):
        happen(clock, f"m{day}")
        for _ in range(4):
            work(portal)
            clock.move(hours=6)

    assert (webhook().state, webhook().because) == (WebhookState.DISABLED, DisabledBecause.FAILING)
    assert webhook().state_since - NOON <= timedelta(days=5, hours=6)


def test_whoever_reads_the_events_sees_that_it_was_switched_off_and_the_portal_once_it_is_on(
    clock: TestClock, portal: Portal
) -> None:
    make(clock)
    portal.answer = lambda _: Heard(410, "gone")
    happen(clock, "m1")
    work(portal)
    happen(clock, "m2")

    found, _, _ = events.list_events(DIRECTOR, after=0, limit=10)
    portal.answer = lambda _: OK
    portal_webhooks.enable_webhook(DIRECTOR, clock())
    clock.move(minutes=1)
    work(portal)

    assert [(one.number, one.type) for one in found] == [
        (1, EventType.MESSAGE_SENT),
        (2, EventType.WEBHOOK_DISABLED),
        (3, EventType.MESSAGE_SENT),
    ]
    assert found[1].data == {"because": "gone"}
    assert sorted(portal.numbers()[1:]) == [1, 2, 3]


def test_a_hiccup_after_a_long_silence_switches_nothing_off(clock: TestClock, portal: Portal) -> None:
    """A server that was being moved as the summer began, and is restarted as it ends."""
    make(clock)
    portal.answer = lambda _: BROKEN
    happen(clock, "m1")
    for _ in range(90):
        work(portal)
        clock.move(hours=1)
    assert states(clock) == {1: "failed"}
    clock.move(days=60)

    happen(clock, "m2")
    work(portal)
    portal.answer = lambda _: OK
    clock.move(minutes=15)
    work(portal)

    assert webhook().state is WebhookState.ENABLED
    assert states(clock) == {2: "delivered"}


def test_a_portal_that_asks_for_a_pause_gets_it_within_bounds(clock: TestClock, portal: Portal) -> None:
    make(clock)
    portal.answer = lambda _: Heard(429, "too_many_requests", retry_after=timedelta(minutes=10))
    happen(clock, "m1", "m2")
    work(portal)
    portal.seen.clear()

    clock.move(minutes=9, seconds=59)
    assert work(portal) == 0
    clock.move(seconds=1)
    portal.answer = lambda _: Heard(503, "status", retry_after=timedelta(days=9))
    work(portal)

    assert len(portal.seen) == 1
    paused = webhook().paused_until
    assert paused is not None
    assert paused - clock() == webhook_retries.RETRY_AFTER_MAX


def test_all_secrets_that_hold_sign_and_no_other(clock: TestClock, portal: Portal) -> None:
    first = make(clock)
    second = portal_webhooks.rotate_secret(DIRECTOR, timedelta(hours=24), request_key="r1", now=clock()).secret
    assert second is not None
    happen(clock, "m1")
    work(portal)
    assert list(portal.seen[-1].secrets) == [second, first]

    clock.move(hours=24)
    happen(clock, "m2")
    work(portal)
    assert list(portal.seen[-1].secrets) == [second]


def test_nothing_of_a_school_goes_to_anothers_portal(clock: TestClock, portal: Portal) -> None:  # invariant 7
    make(clock)
    make(clock, OTHERS)
    happen(clock, "m1", school_id="liceo-2")

    assert work(portal) == 0
    assert work(portal, "liceo-2") == 1
    assert json.loads(portal.seen[0].body)["school"] == "liceo-2"
    assert log_of(clock) == []


def test_a_webhook_that_is_deleted_is_told_nothing_and_a_new_one_nothing_of_before(
    clock: TestClock, portal: Portal
) -> None:
    first = make(clock)
    happen(clock, "m1")
    portal.answer = lambda _: BROKEN
    work(portal)
    portal.seen.clear()
    portal.answer = lambda _: OK

    portal_webhooks.delete_webhook(DIRECTOR, clock())
    happen(clock, "m2")
    clock.move(hours=1)
    assert (work(portal), portal.seen) == (0, [])
    assert states(clock) == {1: "failed"}

    saved = portal_webhooks.save_webhook(DIRECTOR, URL, None, request_key="k2", now=clock())
    assert saved.secret not in (None, first)
    happen(clock, "m3")
    work(portal)
    assert portal.numbers() == [3]


def test_a_delivery_is_brought_once_more_under_its_id(clock: TestClock, portal: Portal) -> None:
    make(clock)
    happen(clock, "m1")
    work(portal)
    clock.move(days=2)

    one = portal_deliveries.replay_delivery(DIRECTOR, delivery_id(SCHOOL, 1), request_key="p1", now=clock())
    again = portal_deliveries.replay_delivery(DIRECTOR, delivery_id(SCHOOL, 1), request_key="p1", now=clock())
    work(portal)

    assert (one.state, again) == (DeliveryState.PENDING, one)
    assert [call.delivery_id for call in portal.seen] == [delivery_id(SCHOOL, 1)] * 2
    assert portal.seen[0].body == portal.seen[1].body
    (found,) = log_of(clock)
    assert (found.begun, len(found.attempts)) == (2, 2)


def test_what_waits_for_its_next_attempt_is_brought_now_by_a_replay(clock: TestClock, portal: Portal) -> None:
    """A portal that was down for a day and is back does not wait for hours more."""
    make(clock)
    portal.answer = lambda _: BROKEN
    happen(clock, "m1", "m2", "m3")
    for _ in range(24 * 3):
        work(portal)
        clock.move(minutes=20)
    waits = {one.number: one.next_at for one in log_of(clock)}
    portal.answer = lambda _: OK
    portal.seen.clear()

    work(portal)
    assert portal.seen == [], "none of them is due"
    one = portal_deliveries.replay_delivery(DIRECTOR, delivery_id(SCHOOL, 1), request_key="p1", now=clock())
    with pytest.raises(WrongState):
        portal_deliveries.replay_delivery(DIRECTOR, delivery_id(SCHOOL, 1), request_key="p2", now=clock())
    rest = portal_deliveries.replay(
        DIRECTOR, start=1, since=None, wanted=None, states=[DeliveryState.PENDING], request_key="p3", now=clock()
    )
    clock.move(minutes=15)
    while work(portal):
        pass

    assert all(at is not None and at > NOON + timedelta(hours=26) for at in waits.values())
    assert (one.begun, one.tries, len(one.attempts)) == (2, 0, 7)
    assert (rest.begun, rest.pending) == (2, 1)
    assert sorted(portal.numbers()) == [1, 2, 3]
    assert states(clock) == dict.fromkeys((1, 2, 3), "delivered")
    assert deliveries.list_due(SCHOOL, webhook().epoch, limit=10, tests=False) == []


def test_a_replay_loses_no_attempt_that_is_written_meanwhile(
    clock: TestClock, portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(clock)
    portal.answer = lambda _: BROKEN
    happen(clock, "m1")
    work(portal)
    real = deliveries.find_deliveries

    def find(school_id: str, numbers: list[int]) -> dict[int, Delivery]:
        found = real(school_id, numbers)
        monkeypatch.setattr(deliveries, "find_deliveries", real)
        clock.move(seconds=5)
        work(portal)
        return found

    asked_at = clock()
    monkeypatch.setattr(deliveries, "find_deliveries", find)
    portal_deliveries.replay(DIRECTOR, start=1, since=None, wanted=None, states=None, request_key="p1", now=asked_at)

    (one,) = log_of(clock)
    assert (one.begun, len(one.attempts)) == (2, 2)


def test_a_test_is_tried_once(clock: TestClock, portal: Portal) -> None:
    make(clock)
    portal.answer = lambda _: BROKEN

    sent = portal_deliveries.send_test(DIRECTOR, request_key="t1", now=clock())
    work(portal)
    found = portal_deliveries.get_delivery(DIRECTOR, delivery_id(SCHOOL, sent.number), clock())

    assert (found.state, found.tries, found.next_at) == (DeliveryState.FAILED, 1, None)
    assert [one.status for one in found.attempts] == [500]


def test_events_that_were_never_brought_are_brought_by_a_replay(clock: TestClock, portal: Portal) -> None:
    happen(clock, *(f"m{number}" for number in range(1, 6)))
    clock.move(hours=1)
    make(clock)
    happen(clock, "m6")
    work(portal)

    done = portal_deliveries.replay(
        DIRECTOR, start=4, since=None, wanted=None, states=None, request_key="p1", now=clock()
    )
    work(portal)

    assert (done.begun, done.pending, done.following) == (3, 0, None)
    assert sorted(portal.numbers()) == [4, 5, 6, 6]
    since = portal_deliveries.replay(
        DIRECTOR, start=None, since=clock(), wanted=None, states=None, request_key="p2", now=clock()
    )
    assert since.begun == 1


def test_a_replay_is_bounded_and_says_where_to_go_on(
    clock: TestClock, portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portal_deliveries, "REPLAY_MAX", 4)
    monkeypatch.setattr(portal_deliveries, "REPLAY_BATCH", 2)
    happen(clock, *(f"m{number}" for number in range(1, 8)))
    make(clock)

    start: int | None = 1
    begun = []
    while start is not None:
        done = portal_deliveries.replay(
            DIRECTOR, start=start, since=None, wanted=None, states=None, request_key=None, now=clock()
        )
        begun.append(done.begun)
        start = done.following
    work(portal)

    assert begun == [4, 3]
    assert sorted(portal.numbers()) == list(range(1, 8))


def test_two_workers_do_not_call_at_once(clock: TestClock, portal: Portal) -> None:
    make(clock)
    happen(clock, "m1")
    inner: list[int] = []

    def answer(_: Call) -> Heard:
        inner.append(work(portal))  # another job of the same school, meanwhile
        return OK

    portal.answer = answer

    work(portal)

    assert inner == [0]
    assert len(portal.seen) == 1


def test_what_a_dead_worker_was_at_is_done_again_when_its_lease_is_over(clock: TestClock, portal: Portal) -> None:
    make(clock)
    happen(clock, "m1")

    class Died(BaseException):
        pass

    def die(_: Call) -> Heard:
        raise Died

    portal.answer = die
    with pytest.raises(Died):
        work(portal)
    portal.answer = lambda _: OK
    assert work(portal) == 0, "its lease holds"
    clock.move(seconds=50)
    jobs_on("PortalEventsQueue")
    assert portal_events.take_up_due(clock()) == 1

    assert work(portal) == 1
    assert len({call.delivery_id for call in portal.seen}) == 1


def test_a_signature_is_what_the_standard_says(clock: TestClock, portal: Portal) -> None:
    secret = make(clock)
    at: datetime = clock()

    signed = Verifier(secret).sign("w1", at, "{}")

    assert signed.startswith("v1,")


def test_events_are_taken_up_once_whatever_their_number(clock: TestClock, portal: Portal) -> None:
    make(clock)
    happen(clock, *(f"m{number}" for number in range(95)))

    while work(portal):
        pass

    assert sorted(portal.numbers()) == list(range(1, 96))
    assert event_table.get_counter(SCHOOL).is_marked is False


def test_events_that_are_no_longer_kept_are_passed_over_and_nobody_asks_for_ever(
    clock: TestClock, portal: Portal
) -> None:
    make(clock)
    portal.answer = lambda _: Heard(410, "gone")
    happen(clock, "m1")
    work(portal)
    happen(clock, "m2", "m3")
    for number in (1, 2, 3, 4):
        forget_event(SCHOOL, number)  # what DynamoDB does after ninety days
    portal.answer = lambda _: OK
    portal_webhooks.enable_webhook(DIRECTOR, clock())
    jobs_on("PortalEventsQueue")

    clock.move(days=100)
    for _ in range(5):
        work(portal)
        clock.move(seconds=1)
    jobs_on("PortalEventsQueue")
    work(portal)

    assert jobs_on("PortalEventsQueue") == [], "nothing is owed"
    clock.move(minutes=5)
    assert portal_events.take_up_due(clock()) == 0
    happen(clock, "m4")
    work(portal)
    assert portal.numbers()[-1] == 5


def test_an_event_whose_job_came_while_another_let_go_waits_for_no_retry(
    clock: TestClock, portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(clock)
    happen(clock, "m1")
    portal.answer = lambda _: Heard(503, "status", retry_after=timedelta(minutes=10))
    release = table.release

    def late(school_id: str, mine: table.Webhook, *, attend_at: datetime | None) -> bool:
        happen(clock, "m2")
        jobs_on("PortalEventsQueue")
        assert work(portal) == 0, "the lease holds"
        monkeypatch.setattr(table, "release", release)
        return release(school_id, mine, attend_at=attend_at)

    monkeypatch.setattr(table, "release", late)
    work(portal)

    assert len(jobs_on("PortalEventsQueue")) == 1, "besides the one in ten minutes, which is not shown yet"
    clock.move(seconds=1)
    portal.answer = lambda _: OK
    assert work(portal) == 0, "the pause is the portal's wish"
    clock.move(minutes=10)
    work(portal)
    assert states(clock) == {1: "delivered", 2: "delivered"}
