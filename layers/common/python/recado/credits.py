"""A school's credits: balances, when they are low, the bags there are, and why none is given back.

It must never add or move a credit: bags are sold in `schools.py`, holds are taken and closed with a message.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from recado import events, idempotency, log
from recado.access import Caller
from recado.errors import FieldProblem, IdempotencyKeyReused, InvalidRequest, NotAllowed, RefundRefused
from recado.events import AlreadyRaised, EventsBusy, NewEvent
from recado.rules.credit_bags import CATALOGUE, Bag, Zone, find_bag
from recado.rules.event_types import EventType
from recado.rules.roles import IN_CHARGE, Role
from recado.tables import ledger, school_settings
from recado.tables.base import Transaction
from recado.tables.ledger import Account, Entry

CROSSING_ATTEMPTS_MAX = 3
MESSAGE_ENTRIES_MAX = 200  # a message has one hold and one closing for each time it was planned


class _Moved(Exception):  # a signal between two steps here
    """The balance is no longer as it was read."""


@dataclass(frozen=True, slots=True)
class Balance:
    """An account, and below how many credits the school wants to be told (None: never)."""

    account: Account
    threshold: int | None


@dataclass(frozen=True, slots=True)
class BagRequest:
    """A school's wish for a bag: it costs nothing; support answers it."""

    bag: Bag
    at: datetime
    by: str


def list_balances(caller: Caller) -> list[Balance]:
    """The school's accounts; a zone it never bought a bag for has none (L13)."""
    check_caller(caller)
    return balances_of(caller.school_id)


def balances_of(school_id: str) -> list[Balance]:
    """The same, for whoever has asked already who is calling."""
    thresholds = school_settings.find_settings(school_id).low_balance
    return [Balance(account, thresholds.get(account.zone)) for account in ledger.list_accounts(school_id)]


def statement_of_message(school_id: str, message_id: str) -> list[Entry]:
    """Every movement that a message caused, of both zones, oldest first."""
    entries = [
        entry
        for zone in Zone
        for entry in ledger.list_entries_of_message(school_id, zone, message_id, limit=MESSAGE_ENTRIES_MAX)
    ]
    return sorted(entries, key=lambda entry: (entry.at, entry.cause))


def note_balance(school_id: str, now: datetime) -> None:
    """Tells the portal, once a crossing, that a balance fell below what the school set, or is back above it.

    Asked after whatever moves credits, and never in the way of it. Whoever dies in between is made up for by whoever
    asks next.
    """
    thresholds = school_settings.find_settings(school_id).low_balance
    for zone in Zone:
        _note_zone(school_id, zone, thresholds.get(zone), now)


def list_bags(caller: Caller) -> Sequence[Bag]:
    """The bags a school can ask for, the basic one of each zone first (L7)."""
    if caller.role is Role.OPERATOR:
        raise NotAllowed
    return CATALOGUE


def request_bag(caller: Caller, bag_id: str, *, request_key: str, now: datetime, is_first: bool) -> BagRequest:
    """Asks support for a bag of the catalogue (L7, L13). It charges nothing and adds nothing: selling is support's.

    Raises InvalidRequest; IdempotencyKeyReused for a key that asked for something more than a day ago.
    """
    check_caller(caller)
    bag = find_bag(bag_id)
    if bag is None:
        raise InvalidRequest(fields=[FieldProblem("/bag", "unknown", "No such bag in the catalogue")])
    facts = {"bag": bag.id, "zone": bag.zone.value, "credits": bag.credits, "by": caller.subject}
    cause = f"bag-request#{idempotency.fingerprint(request_key)}"
    wish = NewEvent(EventType.BAG_REQUESTED, cause, now, facts)
    try:
        events.commit(caller.school_id, wish, lambda _: None)
    except AlreadyRaised:
        # Our own whose answer was lost, a repeat, or a key of long ago.
        found = events.find_event(caller.school_id, cause)
        if found is None or found.data["bag"] != bag.id or (is_first and found.at != now):
            raise IdempotencyKeyReused from None
        return BagRequest(bag, found.at, str(found.data["by"]))
    log.outcome("bag_requested", school=caller.school_id, bag=bag.id)
    return BagRequest(bag, now, caller.subject)


def list_requests(school_id: str, *, limit: int) -> list[BagRequest]:
    """The bags a school asked for lately, newest first; those the catalogue no longer has are left out."""
    wishes = events.list_latest(school_id, EventType.BAG_REQUESTED, limit=limit)
    found = ((find_bag(str(wish.data["bag"])), wish) for wish in wishes)
    return [BagRequest(bag, wish.at, str(wish.data["by"])) for bag, wish in found if bag is not None]


def refuse_refund(caller: Caller) -> NoReturn:
    """Says that a bag is not refundable, and why that loses nothing: its credits never expire (L5, L6)."""
    check_caller(caller)
    raise RefundRefused(
        "A bag that was bought is not refundable. Its credits never expire: they can be used as long as the school's "
        "service contract is active, and are kept while it is suspended."
    )


def check_caller(caller: Caller) -> None:
    """Raises NotAllowed for everybody who is not in charge of a school."""
    if caller.role not in IN_CHARGE:
        raise NotAllowed("Only directors and administrative staff see the school's credits")


def _note_zone(school_id: str, zone: Zone, threshold: int | None, now: datetime) -> None:
    for _ in range(CROSSING_ATTEMPTS_MAX):
        account = ledger.find_account(school_id, zone)
        if account is None:
            return
        is_low = threshold is not None and account.available < threshold
        if is_low == (account.low_since is not None):
            return
        figures = {"zone": zone.value, "available": account.available, "threshold": threshold}
        try:
            if threshold is not None and is_low:
                _cross_down(school_id, account, threshold, figures, now)
            else:
                _cross_up(school_id, account, threshold, figures, now)
        except (_Moved, AlreadyRaised):
            continue  # credits moved, or somebody else noted it: read again
        except EventsBusy as error:
            log.trouble("balance_not_noted", error, school=school_id, zone=zone.value)
        return
    # Credits move faster than they are read: whoever moves them asks after us.
    log.outcome("balance_moves", school=school_id, zone=zone.value)


def _cross_down(
    school_id: str, account: Account, threshold: int, figures: Mapping[str, str | int | None], now: datetime
) -> None:
    low = NewEvent(EventType.BALANCE_LOW, f"low#{account.zone.value}#{now.isoformat()}", now, figures)

    def mark(write: Transaction) -> None:
        ledger.mark_low(write, school_id, account.zone, since=now, threshold=threshold, moved=_Moved())

    events.commit(school_id, low, mark)
    log.outcome("balance_low", school=school_id, **figures)


def _cross_up(
    school_id: str,
    account: Account,
    threshold: int | None,
    figures: Mapping[str, str | int | None],
    now: datetime,
) -> None:
    if account.low_since is None:
        raise RuntimeError("a balance that is not low cannot come back")
    cause = f"restored#{account.zone.value}#{account.low_since.isoformat()}"
    restored = NewEvent(EventType.BALANCE_RESTORED, cause, now, figures)

    def clear(write: Transaction) -> None:
        ledger.clear_low(write, school_id, account, threshold=threshold, moved=_Moved())

    events.commit(school_id, restored, clear)
    log.outcome("balance_restored", school=school_id, **figures)
