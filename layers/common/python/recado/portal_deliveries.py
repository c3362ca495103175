"""What was brought to a school's portal: the log, a test, and once more what is asked for again.

It must never bring an event under another id than it always had. The calls are made by `portal_events.py`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import batched

from recado import events, ids, log, portal_events
from recado.access import Caller
from recado.errors import (
    FieldProblem,
    IdempotencyKeyReused,
    InvalidRequest,
    NotFound,
    TooManyRequests,
    WrongState,
)
from recado.events import NewEvent
from recado.idempotency import fingerprint
from recado.portal_webhooks import ATTEMPTS_MAX, BUSY, check_in_charge, get_enabled
from recado.rules.event_types import EventType
from recado.rules.webhook_deliveries import DELIVERY_ID, DeliveryState, WebhookState, delivery_id, event_number
from recado.tables import events as event_table
from recado.tables import portal_webhooks as table
from recado.tables import webhook_deliveries as deliveries
from recado.tables.base import Transaction
from recado.tables.events import Event
from recado.tables.portal_webhooks import Webhook
from recado.tables.webhook_deliveries import Delivery, Standing

LOG_READ_MAX = 1_000  # deliveries looked at for one page of one state or type, and counted
TESTS_MAX = 10  # in TESTS_SPAN: each is a call to an address that the school chose
TESTS_SPAN = timedelta(minutes=1)
TESTS_READ = 200  # events looked at for them
REPLAY_MAX = 500  # events of one request
REPLAY_READ_MAX = 5_000  # events looked at for them
REPLAY_BATCH = 30  # of one transaction: three rows each
TIMES_DIFFER_BY = timedelta(minutes=10)  # events are numbered as they are written, a little after they happened


class _Moved(Exception):  # a signal between two steps here
    """Somebody else wrote between our reading and our writing."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Of the newest LOG_READ_MAX deliveries. `retrying`: those of `pending` that were not taken at least once.

    `not_taken_up`: events that happened since; nobody has looked yet whether they are wanted.
    """

    pending: int
    retrying: int
    delivered: int
    failed: int
    not_taken_up: int


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many are on their way again, how many were so already; `following`: where to go on, None: that was all."""

    begun: int
    pending: int
    following: int | None


# --- a test ----------------------------------------------------------------------------------------------------------


def send_test(caller: Caller, *, request_key: str | None, now: datetime) -> Delivery:
    """A `webhook.test`, brought at once, before whatever waits and despite a pause. Raises NotFound, WrongState;
    TooManyRequests after TESTS_MAX of them.
    """
    check_in_charge(caller)
    webhook = get_enabled(caller.school_id)
    cause = f"webhook.test#{fingerprint(request_key) if request_key else ids.new_id()}"
    event = events.find_event(caller.school_id, cause)
    if event is None:
        _check_tests(caller.school_id, now)
        events.raise_event(caller.school_id, NewEvent(EventType.WEBHOOK_TEST, cause, now, {"by": caller.subject}))
        event = events.find_event(caller.school_id, cause)
    if event is None:  # a key of months ago
        raise IdempotencyKeyReused
    _begin(caller.school_id, webhook, [event], begun_for=None, now=now, again=False)
    events.tell_portal(caller.school_id)
    return _delivery(caller.school_id, event.number, now)


# --- the log ------------------------------------------------------------------------------------------------


def list_deliveries(
    caller: Caller,
    *,
    state: DeliveryState | None,
    after: str | None,
    limit: int,
    now: datetime,
    event_type: EventType | None = None,
) -> tuple[list[Delivery], str | None]:
    """A page of the log, the newest event first, and the cursor of the next page (None: no more).

    Of one state or type: a page may be short, or empty, and there may be more all the same.
    """
    check_in_charge(caller)
    before = event_number(after) if after else None
    webhook = table.find_webhook(caller.school_id)
    wanted = LOG_READ_MAX if state or event_type else limit
    read = deliveries.list_deliveries(caller.school_id, now, limit=wanted + 1, before=before)
    seen = [_as_it_stands(one, webhook) for one in read[:wanted]]
    found = [one for one in seen if state in (None, one.state) and event_type in (None, one.type)][:limit]
    last = found[-1] if len(found) == limit else (seen[-1] if seen else None)
    is_more = last is not None and read[-1].number < last.number
    return found, delivery_id(caller.school_id, last.number) if last and is_more else None


def count_deliveries(caller: Caller, webhook: Webhook, now: datetime) -> Counts:
    """How the school's portal stands."""
    check_in_charge(caller)
    found = deliveries.list_standings(caller.school_id, now, limit=LOG_READ_MAX)
    states = [_state_of(one, webhook) for one in found]
    return Counts(
        pending=states.count(DeliveryState.PENDING),
        retrying=sum(
            state is DeliveryState.PENDING and one.tries > 0 for one, state in zip(found, states, strict=True)
        ),
        delivered=states.count(DeliveryState.DELIVERED),
        failed=states.count(DeliveryState.FAILED),
        not_taken_up=max(0, event_table.get_counter(caller.school_id).latest - webhook.cursor),
    )


def get_delivery(caller: Caller, found: str, now: datetime) -> Delivery:
    """Raises NotFound."""
    check_in_charge(caller)
    return _delivery(caller.school_id, _number(caller.school_id, found), now)


# --- again --------------------------------------------------------------------------------------------------


def replay_delivery(caller: Caller, found: str, *, request_key: str | None, now: datetime) -> Delivery:
    """Brings an event once more, under the id it always had; one that waits for its next attempt is brought now.

    Raises NotFound; WrongState while it is due already, or the webhook is off.
    """
    check_in_charge(caller)
    number = _number(caller.school_id, found)
    one = _delivery(caller.school_id, number, now)
    webhook = get_enabled(caller.school_id)
    event = event_table.get_event(caller.school_id, number)
    if event is None:
        raise NotFound("The event is no longer kept")
    begun_for = fingerprint(f"{number}|{request_key}") if request_key else None
    if begun_for is not None and one.begun_for == begun_for:
        return one
    if _is_due(one, now):
        raise WrongState("It is being delivered")
    _begin(caller.school_id, webhook, [event], begun_for=begun_for, now=now, again=True)
    events.tell_portal(caller.school_id)
    return _delivery(caller.school_id, number, now)


def replay(
    caller: Caller,
    *,
    start: int | None,
    since: datetime | None,
    wanted: Sequence[EventType] | None,
    states: Sequence[DeliveryState] | None,
    request_key: str | None,
    now: datetime,
) -> Replayed:
    """Brings events once more, from a number or a moment on, REPLAY_MAX at a time; those too that were never brought,
    and at once those that wait for their next attempt.

    `states`: only of these. Raises NotFound, InvalidRequest, WrongState when the webhook is off.
    """
    check_in_charge(caller)
    if (start is None) == (since is None):
        raise InvalidRequest(fields=[FieldProblem("/from", "ambiguous", "Either `from` or `since`")])
    webhook = get_enabled(caller.school_id)
    first = start if start is not None else _first_since(caller.school_id, since or now)
    begun_for = fingerprint(f"replay|{request_key}") if request_key else None

    # 1. The events, in order; each is looked at once.
    begun, pending, looked, at = 0, 0, 0, first - 1
    while True:
        page = event_table.list_events(caller.school_id, after=at, limit=REPLAY_BATCH)
        if not page:
            following = None
            break
        if looked + len(page) > REPLAY_READ_MAX or begun + pending + len(page) > REPLAY_MAX:
            following = page[0].number
            break
        chosen = [
            event
            for event in page
            if webhook.wants(event.type)
            and (wanted is None or event.type in wanted)
            and (since is None or event.at >= since)
        ]

        # 2. Those of the states asked for, unless they are on their way.
        new, there = _begin(caller.school_id, webhook, chosen, begun_for=begun_for, now=now, again=True, states=states)
        begun, pending, looked, at = begun + new, pending + there, looked + len(page), page[-1].number

    if begun:
        events.tell_portal(caller.school_id)
    log.outcome("portal_replay", school=caller.school_id, begun=begun, pending=pending)
    return Replayed(begun, pending, following)


# --- the steps ----------------------------------------------------------------------------------------------


def _check_tests(school_id: str, now: datetime) -> None:
    latest = event_table.list_latest(school_id, limit=TESTS_READ)
    tests = [event for event in latest if event.type is EventType.WEBHOOK_TEST and event.at > now - TESTS_SPAN]
    if len(tests) >= TESTS_MAX:
        wait = tests[TESTS_MAX - 1].at + TESTS_SPAN - now
        seconds = max(1, math.ceil(wait.total_seconds()))
        raise TooManyRequests(f"At most {TESTS_MAX} tests a minute", retry_after_seconds=seconds)


def _number(school_id: str, found: str) -> int:
    """Raises NotFound for an id that is no event's of this school."""
    if not DELIVERY_ID.fullmatch(found) or delivery_id(school_id, event_number(found)) != found:
        raise NotFound("There is no such delivery")
    return event_number(found)


def _delivery(school_id: str, number: int, now: datetime) -> Delivery:
    found = deliveries.find_delivery(school_id, number, now)
    if found is None:
        raise NotFound("There is no such delivery")
    return _as_it_stands(found, table.find_webhook(school_id))


def _as_it_stands(one: Delivery, webhook: Webhook | None) -> Delivery:
    state = _state_of(one, webhook)
    return one if state is one.state else replace(one, state=state, next_at=None)


def _state_of(one: Delivery | Standing, webhook: Webhook | None) -> DeliveryState:
    """What was pending for a webhook that is deleted is brought to nobody."""
    is_over = webhook is None or webhook.state is WebhookState.DELETED or webhook.epoch != one.epoch
    return DeliveryState.FAILED if one.state is DeliveryState.PENDING and is_over else one.state


def _is_due(one: Delivery, now: datetime) -> bool:
    """Whether somebody is at it, or will be next."""
    return one.state is DeliveryState.PENDING and one.next_at is not None and one.next_at <= now


def _begin(
    school_id: str,
    webhook: Webhook,
    found: Sequence[Event],
    *,
    begun_for: str | None,
    now: datetime,
    again: bool,
    states: Sequence[DeliveryState] | None = None,
) -> tuple[int, int]:
    """Puts deliveries of these events into the order; how many were put now, and how many were there already."""
    begun = pending = 0
    for some in batched(found, REPLAY_BATCH, strict=False):
        for _ in range(ATTEMPTS_MAX):
            there = deliveries.find_deliveries(school_id, [event.number for event in some])
            new, waiting = [], 0
            for event in some:
                one = there.get(event.number)
                stands = _as_it_stands(one, webhook) if one else None
                if stands and (_is_due(stands, now) or (begun_for and stands.begun_for == begun_for)):
                    waiting += 1
                elif (stands is None or again) and (states is None or (stands and stands.state in states)):
                    new.append((_again(event, one, webhook, begun_for, now), one))
            try:
                if new:
                    with Transaction() as write:
                        table.poke(write, school_id, webhook, now, _Moved())
                        for after, before in new:
                            deliveries.begin(write, school_id, after, before, _Moved())
            except _Moved:
                webhook = get_enabled(school_id)
                continue
            begun, pending = begun + len(new), pending + waiting
            break
        else:
            raise WrongState(BUSY)
    return begun, pending


def _again(event: Event, before: Delivery | None, webhook: Webhook, begun_for: str | None, now: datetime) -> Delivery:
    new = replace(portal_events.first_delivery(event, webhook, begun_for=begun_for), begun_at=now, next_at=now)
    if before is None:
        return new
    return replace(new, created_at=before.created_at, begun=before.begun + 1, attempts=before.attempts)


def _first_since(school_id: str, since: datetime) -> int:
    """The number of about the first event of this moment: by halves, for their numbers follow their times."""
    low, high = 1, event_table.get_counter(school_id).latest + 1
    while low < high:
        middle = (low + high) // 2
        event = event_table.get_event(school_id, middle)
        if event is None or event.at < since - TIMES_DIFFER_BY:  # none: no longer kept
            low = middle + 1
        else:
            high = middle
    return low
