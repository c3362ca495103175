"""Brings a school's events to its portal: taken up in order, called until they are taken, or listed as failed.

One worker a school at a time, by a lease on its webhook. What it did not come to is marked, and looked after each
minute. It must never call a webhook that is not enabled, nor keep or log what a portal answered but its status.
"""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from recado import events, log, webhook_secrets
from recado.carriers import portal_calls
from recado.carriers.portal_calls import Call, Heard
from recado.clock import Clock
from recado.events import NewEvent
from recado.queues import DELAY_SECONDS_MAX
from recado.rules.event_types import EventType
from recado.rules.webhook_deliveries import DeliveryState, DisabledBecause, WebhookState, body_of, delivery_id
from recado.rules.webhook_retries import (
    ASKS_FOR_PAUSE,
    GONE,
    RETRY_AFTER_MAX,
    failing_from,
    is_given_up,
    next_attempt,
    pause_after,
)
from recado.settings import SETTINGS
from recado.tables import events as event_table
from recado.tables import portal_webhooks as table
from recado.tables import webhook_deliveries as deliveries
from recado.tables.base import Transaction
from recado.tables.portal_webhooks import Webhook
from recado.tables.webhook_deliveries import Attempt, Delivery, Due

JOB = timedelta(seconds=20)  # no call begins later: the next school's turn
LEASE = timedelta(seconds=50)  # JOB, a call of 15 s, and what is written after it
STOP_BEFORE = timedelta(seconds=20)  # the end of the function's time
AT_ONCE = 8  # calls to one portal
TAKE_UP_MAX = 40  # events of one transaction: two rows each
TAKE_UPS_MAX = 5  # of them before the next calls
DUE_MAX = 50  # schools of one shard that a minute looks after; the next minute takes the rest
LOOK_AGAIN = timedelta(minutes=2)  # at a school whose job was put and did not come to anything
LET_GO_MAX = 5

type Post = Callable[[Call], Heard]


class NotLetGo(RuntimeError):
    """Others keep saying that there is more to do: the lease ends by itself, and the queue brings the job again."""


class _Moved(Exception):  # a signal between two steps here
    """Something is not as it was read: somebody else was quicker, or the webhook was changed."""


@dataclass(frozen=True, slots=True)
class Worker:
    """Who works, by which clock, until when; `post` speaks to the portal."""

    owner: str
    clock: Clock
    time_left: Callable[[], timedelta]
    jitter: Callable[[], float]
    post: Post = portal_calls.post


@dataclass(frozen=True, slots=True)
class _Round:
    """What a round of calls came to: `begun` of `due` places; `mine` as it is after it."""

    mine: Webhook
    begun: int
    goes_on: bool


def take_up_due(now: datetime) -> int:
    """Each minute: a job for each school that is owed something and has no one at it; returns how many."""
    schools = [
        school
        for shard in table.shards()
        for school in table.take_due(shard, now, look_again=now + LOOK_AGAIN, limit=DUE_MAX)
    ]
    for school_id in dict.fromkeys(schools):
        events.tell_portal(school_id)
    if schools:
        log.outcome("portals_taken_up", schools=len(set(schools)))
    return len(set(schools))


def work(school_id: str, worker: Worker) -> int:
    """One school's turn; returns how many calls were made."""
    # 1. Nobody else works for it. Who does looks at everything that is owed before it lets go.
    mine = _claim(school_id, worker)
    if mine is None:
        return 0

    # 2. New events into the order, then calls, until nothing is due or the turn is over.
    began, calls, more = worker.clock(), 0, True
    while more and _has_time(worker, began):
        mine, is_behind = _take_up(school_id, mine)
        done = _call_due(school_id, mine, worker)
        if done is None:  # switched off, changed hands, or deleted: nothing of it is ours any more
            return calls
        mine, calls = done.mine, calls + done.begun
        more = done.goes_on or is_behind

    # 3. Let go, and say when to look again.
    _let_go(school_id, mine, worker)
    log.outcome("portal_told", school=school_id, calls=calls)
    return calls


# --- the lease ----------------------------------------------------------------------------------------------


def _claim(school_id: str, worker: Worker) -> Webhook | None:
    found, now = table.find_webhook(school_id), worker.clock()
    if found is None or found.state is not WebhookState.ENABLED:
        return None
    if found.lease_until is not None and found.lease_until > now:
        return None
    mine = replace(found, owner=worker.owner, lease_until=now + LEASE)
    if found.owner is not None:
        # Whoever had it and died may have died of this very portal: it counts as a round that failed.
        failed_rounds = found.failed_rounds + 1
        until = max(found.paused_until or now, now + pause_after(failed_rounds))
        mine = replace(mine, failed_rounds=failed_rounds, paused_until=until if until > now else None)
    return table.claim(school_id, found, mine)


def _has_time(worker: Worker, began: datetime) -> bool:
    return worker.clock() < began + JOB and worker.time_left() > STOP_BEFORE


def _let_go(school_id: str, mine: Webhook, worker: Worker) -> None:
    for _ in range(LET_GO_MAX):
        # 1. The webhook first: who pokes it after this has written what is due before.
        found = table.find_webhook(school_id)
        if found is None or not _is_same(found, mine):
            return
        # 2. When is there something to do? At once, if there are events that nobody has taken up.
        now = worker.clock()
        at = _next_due(school_id, found)
        if not event_table.end_attention(school_id, found.cursor):
            at = now
        wakes = at is not None and (at - now).total_seconds() <= DELAY_SECONDS_MAX
        if at is not None and found.wake_at is not None and now < found.wake_at <= at:
            wakes = False  # a job for then is on its way
        found = replace(found, wake_at=at if wakes else found.wake_at)

        # 3. A job for then, if SQS can wait so long; what it cannot, or loses, is the minute's.
        if not table.release(school_id, found, attend_at=at):
            continue
        if wakes and at is not None:
            events.tell_portal(school_id, delay_seconds=math.ceil(max(0.0, (at - now).total_seconds())))
        if event_table.get_counter(school_id).latest > found.cursor:  # whose job came while we were letting go
            events.tell_portal(school_id)
        return
    raise NotLetGo(school_id)


def _next_due(school_id: str, mine: Webhook) -> datetime | None:
    """When the next call is to be made; None: no more is owed."""
    tests = deliveries.list_due(school_id, mine.epoch, limit=1, tests=True)
    others = deliveries.list_due(school_id, mine.epoch, limit=1, tests=False)
    times = [one.at for one in tests]
    times += [max(one.at, mine.paused_until or one.at) for one in others]
    return min(times, default=None)


def _is_same(found: Webhook, mine: Webhook) -> bool:
    return (found.owner, found.epoch, found.state) == (mine.owner, mine.epoch, WebhookState.ENABLED)


# --- from events to deliveries ------------------------------------------------------------------------------


def _take_up(school_id: str, mine: Webhook) -> tuple[Webhook, bool]:
    """The webhook with its cursor moved on, and whether there are more events by now."""
    for _ in range(TAKE_UPS_MAX):
        found = event_table.list_events(school_id, after=mine.cursor, limit=TAKE_UP_MAX)
        if not found:
            # Numbers that were given and have no event: switched off for so long that it is no longer kept.
            latest = event_table.get_counter(school_id).latest
            if latest <= mine.cursor:
                return mine, False
            found = event_table.list_events(school_id, after=mine.cursor, limit=TAKE_UP_MAX)
        cursor = found[-1].number if found else latest
        wanted = [event for event in found if mine.wants(event.type)]
        there = deliveries.find_deliveries(school_id, [event.number for event in wanted])
        try:
            with Transaction() as write:
                table.move_cursor(write, school_id, mine, cursor, _Moved())
                for event in wanted:
                    if event.number not in there:  # a test, or a replay, was quicker
                        deliveries.begin(write, school_id, first_delivery(event, mine), None, _Moved())
        except _Moved:
            now_is = table.find_webhook(school_id)
            if now_is is None or not _is_same(now_is, mine):
                return mine, False
            mine = replace(mine, cursor=now_is.cursor, events=now_is.events)
            continue
        mine = replace(mine, cursor=cursor)
    return mine, True


def first_delivery(event: event_table.Event, webhook: Webhook, *, begun_for: str | None = None) -> Delivery:
    """What an event is to be told by, due at once: since it happened."""
    return Delivery(
        number=event.number,
        type=event.type,
        state=DeliveryState.PENDING,
        epoch=webhook.epoch,
        created_at=event.at,
        begun_at=event.at,
        begun=1,
        begun_for=begun_for,
        next_at=event.at,
    )


# --- calls --------------------------------------------------------------------------------------------------


def _call_due(school_id: str, mine: Webhook, worker: Worker) -> _Round | None:
    """A round of calls at once. None: the webhook is not ours to call any more."""
    # 1. The webhook as it is now: it may have been switched off, or moved.
    found = table.find_webhook(school_id)
    if found is None or not _is_same(found, mine):
        return None
    mine = found
    now = worker.clock()
    secrets = webhook_secrets.signing_secrets(school_id, mine, now)
    if not secrets:
        disable(school_id, mine, DisabledBecause.SECRET_GONE, now)
        return None

    # 2. What is due. A portal that only fails is asked one thing at a time, and left alone in between.
    limit = AT_ONCE if not mine.failed_rounds else 1
    due = deliveries.list_due(school_id, mine.epoch, limit=limit, tests=True)
    if mine.paused_until is None or mine.paused_until <= now:
        due += deliveries.list_due(school_id, mine.epoch, limit=limit, tests=False)
    due = [one for one in due if one.at <= now][:limit]
    pending = _pending(school_id, mine, due)
    if not pending:
        return _Round(mine, 0, goes_on=bool(due))

    # 3. The calls, each on a thread of its own that is joined, and what they came to.
    calls = [_call(school_id, one, mine, secrets, now) for one in pending]
    heard = _post_all([one for one in calls if one is not None], worker)
    answers = iter(heard)
    told = [(one, next(answers) if call is not None else None) for one, call in zip(pending, calls, strict=True)]
    for one, answer in told:
        _keep(school_id, one, answer, now, worker)

    # 4. What it says of the portal. One that is gone, or has been failing for days, is not called again.
    learnt = _learn(mine, heard, worker.clock())
    because = _end_of(learnt, heard, worker.clock())
    if because is not None and disable(school_id, learnt, because, worker.clock()):
        return None
    if learnt != mine:
        table.note_failing(school_id, learnt)  # refused: it has another address by now, and failed nothing yet
    return _Round(learnt, len(heard), goes_on=True)


def _pending(school_id: str, mine: Webhook, due: Sequence[Due]) -> list[Delivery]:
    """The deliveries of these places; a place that none has is forgotten."""
    there = deliveries.find_deliveries(school_id, [one.number for one in due])
    pending = []
    for place in due:
        one = there.get(place.number)
        if one is None or one.state is not DeliveryState.PENDING or one.epoch != mine.epoch or one.next_at != place.at:
            deliveries.forget_due(school_id, mine.epoch, place)
        else:
            pending.append(one)
    return pending


def _call(school_id: str, one: Delivery, mine: Webhook, secrets: Sequence[str], now: datetime) -> Call | None:
    event = event_table.get_event(school_id, one.number)
    if event is None:
        return None
    body = body_of(school_id, event.number, event.type.value, event.at, event.data)
    is_local = SETTINGS.portal_webhook_loopback == "true"
    return Call(mine.url, delivery_id(school_id, one.number), body, tuple(secrets), now, is_local)


def _post_all(calls: Sequence[Call], worker: Worker) -> list[Heard]:
    if not calls:
        return []
    with ThreadPoolExecutor(max_workers=len(calls)) as threads:
        return list(threads.map(worker.post, calls))


def _keep(school_id: str, one: Delivery, heard: Heard | None, began: datetime, worker: Worker) -> None:
    """Writes an attempt down; one that somebody else wrote down is theirs."""
    after = _after(one, heard, began, worker)
    try:
        with Transaction() as write:
            deliveries.save_attempt(write, school_id, after, one, _Moved())
    except _Moved:
        return
    if after.state is DeliveryState.FAILED:
        log.outcome("portal_delivery_failed", school=school_id, number=one.number, tries=after.tries)


def _after(one: Delivery, heard: Heard | None, began: datetime, worker: Worker) -> Delivery:
    now = worker.clock()
    if heard is None:  # the event is no longer kept
        attempt = Attempt(began, None, "event_gone", 0, 0)
        attempts = (*one.attempts, attempt)
        return replace(one, state=DeliveryState.FAILED, next_at=None, done_at=now, attempts=attempts)
    attempt = Attempt(began, heard.status, heard.reason, heard.took_ms, heard.size)
    one = replace(one, attempts=(*one.attempts, attempt))
    if heard.is_success:
        return replace(one, state=DeliveryState.DELIVERED, next_at=None, done_at=now)
    wait = heard.retry_after if heard.status in ASKS_FOR_PAUSE else None
    following = next_attempt(one.tries + 1, now, worker.jitter(), wait)
    if one.type is EventType.WEBHOOK_TEST:  # whoever asked for it looks now, and asks for another
        following = None
    if following is None:
        return replace(one, state=DeliveryState.FAILED, tries=one.tries + 1, next_at=None, done_at=now)
    return replace(one, tries=one.tries + 1, next_at=following)


# --- what is learnt of a portal -----------------------------------------------------------------------------


def _learn(mine: Webhook, heard: Sequence[Heard], now: datetime) -> Webhook:
    if not heard:
        return mine
    asked = [one.retry_after for one in heard if one.retry_after is not None and one.status in ASKS_FOR_PAUSE]
    until = now + min(max(asked), RETRY_AFTER_MAX) if asked else None
    if any(one.is_success for one in heard):
        return replace(mine, failed_rounds=0, failing_since=None, failed_at=None, paused_until=until)
    failed_rounds = mine.failed_rounds + 1
    pause = pause_after(failed_rounds)
    if pause:
        until = max(until or now, now + pause)
    since = failing_from(mine.failing_since, mine.failed_at, now)
    return replace(mine, failed_rounds=failed_rounds, failing_since=since, failed_at=now, paused_until=until)


def _end_of(mine: Webhook, heard: Sequence[Heard], now: datetime) -> DisabledBecause | None:
    if any(one.status == GONE for one in heard):
        return DisabledBecause.GONE
    return DisabledBecause.FAILING if is_given_up(mine.failing_since, now) else None


def disable(school_id: str, seen: Webhook, because: DisabledBecause, now: datetime) -> bool:
    """Switches a webhook off, with what is pending kept as it is, and says so in the school's events; False when its
    settings were changed meanwhile: the answer was of the address before.
    """
    off = replace(seen, state=WebhookState.DISABLED, because=because, state_since=now)
    told = NewEvent(EventType.WEBHOOK_DISABLED, None, now, {"because": because.value})

    def switch_off(write: Transaction) -> None:
        table.save_webhook(write, school_id, off, seen, attend_at=None, moved=_Moved())

    try:
        events.commit_all(school_id, [told], switch_off, told_no_more=True)
    except _Moved:
        return False
    log.outcome("portal_webhook_disabled", school=school_id, because=because.value)
    return True
