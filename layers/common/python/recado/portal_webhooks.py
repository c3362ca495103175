"""A school's webhook as those in charge set it: its address, what it wants to hear of, its secrets, its log, replays.

It must never store a secret, nor show one twice unasked. What was told is brought by `portal_events.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import batched

from recado import events, ids, log, portal_events, webhook_secrets
from recado.access import Caller
from recado.errors import (
    FieldProblem,
    IdempotencyKeyReused,
    InvalidRequest,
    NotAllowed,
    NotFound,
    WrongState,
)
from recado.events import NewEvent
from recado.idempotency import LIFE, fingerprint
from recado.rules.event_types import EventType
from recado.rules.public_addresses import BadAddress, read_web_address
from recado.rules.roles import IN_CHARGE
from recado.rules.webhook_deliveries import DELIVERY_ID, DeliveryState, WebhookState, delivery_id, event_number
from recado.settings import SETTINGS
from recado.tables import events as event_table
from recado.tables import portal_webhooks as table
from recado.tables import webhook_deliveries as deliveries
from recado.tables.base import Transaction
from recado.tables.events import Event
from recado.tables.portal_webhooks import Secret, Webhook
from recado.tables.webhook_deliveries import Delivery

OVERLAP_DEFAULT = timedelta(hours=24)  # how long the old secret still signs after a rotation
OVERLAP_MAX = timedelta(days=7)
BUSY = "It is being changed by somebody else at this moment; ask again"
SECRETS_MAX = 3  # that sign at once
ATTEMPTS_MAX = 5  # each one lost means that somebody else wrote
REPLAY_MAX = 500  # events of one request
REPLAY_READ_MAX = 5_000  # events looked at for them
REPLAY_BATCH = 40
LOG_READ_MAX = 1_000  # deliveries looked at for one page of one state
TIMES_DIFFER_BY = timedelta(minutes=10)  # events are numbered as they are written, a little after they happened


class _Moved(Exception):  # a signal between two steps here
    """Somebody else wrote between our reading and our writing."""


@dataclass(frozen=True, slots=True)
class Saved:
    """`secret`: in words, for whoever made the webhook; None: it was there."""

    webhook: Webhook
    secret: str | None


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many are on their way again, how many were so already; `following`: where to go on, None: that was all."""

    begun: int
    pending: int
    following: int | None


# --- the webhook --------------------------------------------------------------------------------------------


def get_webhook(caller: Caller) -> Webhook:
    """Raises NotFound when the school has none."""
    _check(caller)
    return _webhook(caller.school_id)


def save_webhook(
    caller: Caller, url: str, wanted: Sequence[EventType] | None, *, request_key: str | None, now: datetime
) -> Saved:
    """Makes the school's webhook, which hears of what happens from now on; or changes its address and what it hears of.

    The secret stays the same through a change. Asked for again with the same request's key, a webhook that was made by
    it shows its secret again. Raises InvalidRequest.
    """
    _check(caller)
    _check_url(url)
    made_for = fingerprint(request_key) if request_key else None
    types = None if wanted is None else tuple(dict.fromkeys(wanted))
    for _ in range(ATTEMPTS_MAX):
        before = table.find_webhook(caller.school_id)
        try:
            if before is None or before.state is WebhookState.DELETED:
                return _create(caller, url, types, before, made_for, now)
            return _change(caller, url, types, before, made_for, now)
        except _Moved:
            continue
    raise WrongState(BUSY)


def delete_webhook(caller: Caller, now: datetime) -> None:
    """Nothing more is brought to the portal, what is pending included. Raises NotFound."""
    _check(caller)
    for _ in range(ATTEMPTS_MAX):
        before = _webhook(caller.school_id)
        gone = replace(
            before, state=WebhookState.DELETED, state_since=now, because=None, changed_at=now, changed_by=caller.subject
        )
        try:
            with Transaction() as write:
                table.save_webhook(write, caller.school_id, gone, before, attend_at=None, moved=_Moved())
                event_table.tell_no_more(write, caller.school_id, _Moved())
        except _Moved:
            continue
        log.outcome("portal_webhook_deleted", school=caller.school_id)
        return
    raise WrongState(BUSY)


def enable_webhook(caller: Caller, now: datetime) -> Webhook:
    """Switches a webhook on again: it goes on where it stopped, so nothing is lost. Raises NotFound."""
    _check(caller)
    for _ in range(ATTEMPTS_MAX):
        before = _webhook(caller.school_id)
        if before.state is WebhookState.ENABLED:
            return before
        on = replace(
            before, state=WebhookState.ENABLED, state_since=now, because=None, changed_at=now, changed_by=caller.subject
        )
        counter = event_table.get_counter(caller.school_id)
        try:
            with Transaction() as write:
                table.save_webhook(write, caller.school_id, on, before, attend_at=now, moved=_Moved())
                event_table.tell(write, caller.school_id, counter, now, _Moved())
        except _Moved:
            continue
        events.tell_portal(caller.school_id)
        log.outcome("portal_webhook_enabled", school=caller.school_id)
        return _webhook(caller.school_id)
    raise WrongState(BUSY)


def rotate_secret(caller: Caller, overlap: timedelta, *, request_key: str | None, now: datetime) -> Saved:
    """A new secret; those before sign for `overlap` more, and not longer than they would have.

    Once however often the same request asks. Raises NotFound; WrongState while too many secrets sign.
    """
    _check(caller)
    made_for = fingerprint(request_key) if request_key else None
    for _ in range(ATTEMPTS_MAX):
        before = _webhook(caller.school_id)
        newest = before.secrets[-1]
        if _is_made_by(newest, made_for, now):
            return Saved(before, _words(caller.school_id, newest))
        until = now + overlap
        kept = tuple(
            replace(one, until=until if one.until is None else min(one.until, until))
            for one in before.secrets
            if one.signs(now)
        )
        kept = tuple(one for one in kept if one.signs(now))
        if len(kept) >= SECRETS_MAX:
            raise WrongState(f"{SECRETS_MAX} secrets sign already; wait for one to end, or rotate without an overlap")
        new = webhook_secrets.new_secret(newest.number + 1, made_for, now)
        after = replace(before, secrets=(*kept, new), changed_at=now, changed_by=caller.subject)
        try:
            with Transaction() as write:
                table.save_webhook(write, caller.school_id, after, before, attend_at=None, moved=_Moved())
        except _Moved:
            continue
        log.outcome("portal_secret_rotated", school=caller.school_id, number=new.number)
        return Saved(_webhook(caller.school_id), _words(caller.school_id, new))
    raise WrongState(BUSY)


def send_test(caller: Caller, *, request_key: str | None, now: datetime) -> Delivery:
    """A `webhook.test`, brought at once, before whatever waits and despite a pause. Raises NotFound, WrongState."""
    _check(caller)
    webhook = _enabled(caller.school_id)
    cause = f"webhook.test#{fingerprint(request_key) if request_key else ids.new_id()}"
    events.raise_event(caller.school_id, NewEvent(EventType.WEBHOOK_TEST, cause, now, {"by": caller.subject}))
    event = events.find_event(caller.school_id, cause)
    if event is None:  # a key of months ago
        raise IdempotencyKeyReused
    _begin(caller.school_id, webhook, [event], begun_for=None, now=now, again=False)
    events.tell_portal(caller.school_id)
    return _delivery(caller.school_id, event.number, now)


# --- the log ------------------------------------------------------------------------------------------------


def list_deliveries(
    caller: Caller, *, state: DeliveryState | None, after: str | None, limit: int, now: datetime
) -> tuple[list[Delivery], str | None]:
    """A page of the log, the newest event first, and the cursor of the next page (None: no more).

    Of one state: a page may be short, or empty, and there may be more all the same.
    """
    _check(caller)
    before = event_number(after) if after else None
    webhook = table.find_webhook(caller.school_id)
    wanted = LOG_READ_MAX if state else limit
    read = deliveries.list_deliveries(caller.school_id, now, limit=wanted + 1, before=before)
    seen = [_as_it_stands(one, webhook) for one in read[:wanted]]
    found = [one for one in seen if state in (None, one.state)][:limit]
    last = found[-1] if len(found) == limit else (seen[-1] if seen else None)
    is_more = last is not None and read[-1].number < last.number
    return found, delivery_id(caller.school_id, last.number) if last and is_more else None


def get_delivery(caller: Caller, found: str, now: datetime) -> Delivery:
    """Raises NotFound."""
    _check(caller)
    return _delivery(caller.school_id, _number(caller.school_id, found), now)


# --- again --------------------------------------------------------------------------------------------------


def replay_delivery(caller: Caller, found: str, *, request_key: str | None, now: datetime) -> Delivery:
    """Brings an event once more, under the id it always had. Raises NotFound; WrongState while it is pending, or the
    webhook is off.
    """
    _check(caller)
    number = _number(caller.school_id, found)
    one = _delivery(caller.school_id, number, now)
    webhook = _enabled(caller.school_id)
    event = event_table.get_event(caller.school_id, number)
    if event is None:
        raise NotFound("The event is no longer kept")
    begun_for = fingerprint(f"{number}|{request_key}") if request_key else None
    if begun_for is not None and one.begun_for == begun_for:
        return one
    if one.state is DeliveryState.PENDING:
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
    """Brings events once more, from a number or a moment on, REPLAY_MAX at a time; those too that were never brought.

    `states`: only of these. Raises NotFound, InvalidRequest, WrongState when the webhook is off.
    """
    _check(caller)
    if (start is None) == (since is None):
        raise InvalidRequest(fields=[FieldProblem("/from", "ambiguous", "Either `from` or `since`")])
    webhook = _enabled(caller.school_id)
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


def _check(caller: Caller) -> None:
    if caller.role not in IN_CHARGE:
        raise NotAllowed("Only directors and administrative staff see to the school's webhook")


def _check_url(url: str) -> None:
    try:
        read_web_address(url, loopback=SETTINGS.portal_webhook_loopback == "true")
    except BadAddress as error:
        raise InvalidRequest(fields=[FieldProblem("/url", error.code, error.detail)]) from error


def _webhook(school_id: str) -> Webhook:
    found = table.find_webhook(school_id)
    if found is None or found.state is WebhookState.DELETED:
        raise NotFound("The school has no webhook")
    return found


def _enabled(school_id: str) -> Webhook:
    found = _webhook(school_id)
    if found.state is not WebhookState.ENABLED:
        raise WrongState("The webhook is switched off; enable it first")
    return found


def _words(school_id: str, secret: Secret) -> str:
    found = webhook_secrets.find_secret(school_id, secret)
    if found is None:
        raise NotFound("The master secret this secret hung from is gone")
    return found


def _is_made_by(secret: Secret, request: str | None, now: datetime) -> bool:
    """Whether this very request made it, and its answer was lost: a key stands for a request for so long."""
    return request is not None and secret.made_for == request and now < secret.made_at + LIFE


def _create(
    caller: Caller,
    url: str,
    types: tuple[EventType, ...] | None,
    before: Webhook | None,
    made_for: str | None,
    now: datetime,
) -> Saved:
    # A webhook after another one: its secrets and its epoch go on counting, so that none comes twice.
    number = before.secrets[-1].number + 1 if before else 1
    counter = event_table.get_counter(caller.school_id)
    secret = webhook_secrets.new_secret(number, made_for, now)
    new = Webhook(
        url=url,
        events=types,
        state=WebhookState.ENABLED,
        state_since=now,
        because=None,
        created_at=now,
        changed_at=now,
        changed_by=caller.subject,
        epoch=before.epoch + 1 if before else 1,
        version=0,
        secrets=(secret,),
        cursor=counter.latest,
    )
    with Transaction() as write:
        table.save_webhook(write, caller.school_id, new, before, attend_at=None, moved=_Moved())
        event_table.tell(write, caller.school_id, counter, None, _Moved())
    log.outcome("portal_webhook_made", school=caller.school_id, epoch=new.epoch)
    return Saved(_webhook(caller.school_id), _words(caller.school_id, secret))


def _change(
    caller: Caller,
    url: str,
    types: tuple[EventType, ...] | None,
    before: Webhook,
    made_for: str | None,
    now: datetime,
) -> Saved:
    newest = before.secrets[-1]
    secret = _words(caller.school_id, newest) if _is_made_by(newest, made_for, now) else None
    if (url, types) == (before.url, before.events):
        return Saved(before, secret)
    after = replace(before, url=url, events=types, changed_at=now, changed_by=caller.subject)
    with Transaction() as write:
        attend_at = now if url != before.url and after.state is WebhookState.ENABLED else None
        table.save_webhook(write, caller.school_id, after, before, attend_at=attend_at, moved=_Moved())
    if attend_at is not None:
        events.tell_portal(caller.school_id)  # what failed at the address before is tried at this one
    log.outcome("portal_webhook_changed", school=caller.school_id)
    return Saved(_webhook(caller.school_id), secret)


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
    """What was pending for a webhook that is deleted is brought to nobody."""
    is_over = webhook is None or webhook.state is WebhookState.DELETED or webhook.epoch != one.epoch
    if one.state is DeliveryState.PENDING and is_over:
        return replace(one, state=DeliveryState.FAILED, next_at=None)
    return one


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
                if stands and (stands.state is DeliveryState.PENDING or (begun_for and stands.begun_for == begun_for)):
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
                webhook = _enabled(school_id)
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
