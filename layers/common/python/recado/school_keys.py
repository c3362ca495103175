"""The keys a school's portal signs tokens with: made, listed, rotated and revoked by the platform's staff.

It must never store a key's secret: a secret is derived each time it is shown.
"""

from datetime import datetime, timedelta

from recado import access, idempotency, log, sandboxes, schools
from recado.access import Caller
from recado.errors import AlreadyExists, FieldProblem, IdempotencyKeyReused, InvalidRequest, NotFound, WrongState
from recado.rules import signatures
from recado.tables import portal_keys as table
from recado.tables.base import Transaction
from recado.tables.portal_keys import KeyKind, PortalKey

OVERLAP_DEFAULT = timedelta(hours=24)  # how long the old key still holds after a rotation
OVERLAP_MAX = timedelta(days=30)


class _Made(Exception):  # a signal between two steps here
    """The new key is there already: made by this request before, or by one of long ago."""


def create_key(
    caller: Caller,
    school_id: str,
    *,
    kind: KeyKind = KeyKind.PORTAL,
    key_id: str | None = None,
    not_after: datetime | None = None,
    request_key: str,
    now: datetime,
    is_first: bool = True,
) -> PortalKey:
    """A new key for a school's portal; with a first test key the school's sandbox is made.

    Asked again with the same request's key it is the same key. Raises NotFound, InvalidRequest, AlreadyExists for an id
    that is taken, IdempotencyKeyReused for a request's key of more than a day ago.
    """
    school = schools.get_school(caller, school_id)
    _check_end(not_after, now)
    if kind is KeyKind.TEST:
        sandboxes.create_sandbox(school, caller.subject, now)
    made_for = idempotency.fingerprint(request_key)
    key = _new_key(caller, school_id, key_id or f"k{made_for}", kind, not_after, made_for, now)
    if table.create_key(key):
        log.outcome("key_created", school=school_id, key=key.key_id, kind=kind.value)
        return key

    # Taken: by this very request, whose answer was lost; by a request of long ago; or by somebody else's key, whose
    # secret is not shown a second time.
    found = table.find_key(school_id, key.key_id)
    if found is None or found.made_for != made_for or found.kind is not kind or found.revoked_at is not None:
        raise AlreadyExists("A key of this id is there already")
    if is_first and found.created_at != now:
        raise IdempotencyKeyReused
    return found


def list_keys(caller: Caller, school_id: str, *, limit: int, cursor: str | None) -> tuple[list[PortalKey], str | None]:
    """A page of a school's keys, by id, and the cursor of the next one (None: no more). Raises NotFound."""
    schools.get_school(caller, school_id)
    return table.list_keys(school_id, limit=limit, after=cursor)


def rotate_key(
    caller: Caller,
    school_id: str,
    key_id: str,
    *,
    overlap: timedelta = OVERLAP_DEFAULT,
    not_after: datetime | None = None,
    request_key: str,
    now: datetime,
    is_first: bool = True,
) -> PortalKey:
    """A new key of the same kind; the old one holds for `overlap` more, and not longer than it would have.

    Both or neither, and once however often it is asked. Raises NotFound, WrongState for a key that is revoked, over or
    rotated already, IdempotencyKeyReused for a request's key of more than a day ago.
    """
    # 1. The key as it is.
    schools.get_school(caller, school_id)
    _check_end(not_after, now)
    old = table.find_key(school_id, key_id)
    if old is None:
        raise NotFound("There is no such key")

    # 2. The new key and the old one's end, in one transaction. The new id follows from the old one and the request.
    made_for = idempotency.fingerprint(f"{key_id}|{request_key}")
    new = _new_key(caller, school_id, f"k{made_for}", old.kind, not_after, made_for, now)
    until = now + overlap if old.not_after is None else min(old.not_after, now + overlap)
    over = WrongState("The key is revoked, over or rotated already")
    try:
        with Transaction() as write:
            table.replace_key(write, old, new, until=until, now=now, made=_Made(), over=over)
    except _Made:
        found = table.find_key(school_id, new.key_id)
        if found is None or (is_first and found.created_at != now):
            raise IdempotencyKeyReused from None
        return found
    log.outcome("key_rotated", school=school_id, key=key_id, new_key=new.key_id)
    return new


def read_secret(caller: Caller, school_id: str, key_id: str, master_version: int) -> str:
    """The secret of a key, derived: to be shown once, to whoever made the key."""
    schools.check_caller(caller)
    master = access.master_secrets(master_version).get(master_version)
    if master is None:
        raise NotFound("The master secret this key hung from is gone")
    return signatures.portal_key_secret(master, school_id, key_id)


def revoke_key(caller: Caller, school_id: str, key_id: str, now: datetime) -> None:
    """Ends a key: no token of it holds from half a minute later at the latest. Raises NotFound."""
    schools.get_school(caller, school_id)
    if not table.revoke_key(school_id, key_id, now):
        raise NotFound("There is no such key")
    log.outcome("key_revoked", school=school_id, key=key_id)


def _new_key(
    caller: Caller,
    school_id: str,
    key_id: str,
    kind: KeyKind,
    not_after: datetime | None,
    made_for: str,
    now: datetime,
) -> PortalKey:
    version, _ = access.newest_master()
    return PortalKey(
        school_id,
        key_id,
        kind,
        version,
        not_after,
        revoked_at=None,
        created_at=now,
        created_by=caller.subject,
        made_for=made_for,
    )


def _check_end(not_after: datetime | None, now: datetime) -> None:
    if not_after is not None and not_after <= now:
        raise InvalidRequest(fields=[FieldProblem("/not_after", "in_the_past", "The time has passed")])
