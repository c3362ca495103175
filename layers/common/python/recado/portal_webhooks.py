"""A school's webhook as those in charge set it: its address, what it wants to hear of, its secrets.

It must never store a secret, nor show one twice unasked. Its log: `portal_deliveries.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from recado import events, log, webhook_secrets
from recado.access import Caller
from recado.errors import (
    FieldProblem,
    InvalidRequest,
    NotAllowed,
    NotFound,
    WrongState,
)
from recado.idempotency import LIFE, fingerprint
from recado.rules.event_types import EventType
from recado.rules.public_addresses import BadAddress, read_web_address
from recado.rules.roles import IN_CHARGE
from recado.rules.webhook_deliveries import WebhookState
from recado.settings import SETTINGS
from recado.tables import events as event_table
from recado.tables import portal_webhooks as table
from recado.tables.base import Transaction
from recado.tables.portal_webhooks import Secret, Webhook

OVERLAP_DEFAULT = timedelta(hours=24)  # how long the old secret still signs after a rotation
OVERLAP_MAX = timedelta(days=7)
BUSY = "It is being changed by somebody else at this moment; ask again"
SECRETS_MAX = 3  # that sign at once
ATTEMPTS_MAX = 5  # each one lost means that somebody else wrote


class _Moved(Exception):  # a signal between two steps here
    """Somebody else wrote between our reading and our writing."""


@dataclass(frozen=True, slots=True)
class Saved:
    """`secret`: in words, for whoever made the webhook; None: it was there."""

    webhook: Webhook
    secret: str | None


# --- the webhook --------------------------------------------------------------------------------------------


def check_in_charge(caller: Caller) -> None:
    """Raises NotAllowed."""
    if caller.role not in IN_CHARGE:
        raise NotAllowed("Only directors and administrative staff see to the school's webhook")


def get_webhook(caller: Caller) -> Webhook:
    """Raises NotFound when the school has none."""
    check_in_charge(caller)
    return _webhook(caller.school_id)


def get_enabled(school_id: str) -> Webhook:
    """Raises NotFound; WrongState when it is switched off."""
    found = _webhook(school_id)
    if found.state is not WebhookState.ENABLED:
        raise WrongState("The webhook is switched off; enable it first")
    return found


def save_webhook(
    caller: Caller, url: str, wanted: Sequence[EventType] | None, *, request_key: str | None, now: datetime
) -> Saved:
    """Makes the school's webhook, which hears of what happens from now on; or changes its address and what it hears of.

    The secret stays the same through a change. Asked for again with the same request's key, a webhook that was made by
    it shows its secret again. Raises InvalidRequest.
    """
    check_in_charge(caller)
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
    check_in_charge(caller)
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
    check_in_charge(caller)
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
    check_in_charge(caller)
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


# --- the steps ----------------------------------------------------------------------------------------------


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
