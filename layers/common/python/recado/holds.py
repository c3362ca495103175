"""What a message holds of its school's credits: taken, exchanged for another plan's, closed.

Credits of a message move here and nowhere else. Each entry is keyed by its cause, and is written with the message's
state or not at all: repeating it changes nothing.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from recado import events, planning
from recado.events import NewEvent
from recado.planning import Plan, Totals
from recado.rules.credit_bags import Zone
from recado.rules.event_types import EventType
from recado.tables import ledger
from recado.tables import messages as table
from recado.tables.base import Transaction
from recado.tables.ledger import Entry
from recado.tables.messages import Message


class Moved(Exception):  # a signal between two steps here
    """The message's state, plan or revision is no longer what was read."""


def with_plan(message: Message, plan: Plan, totals: Totals) -> Message:
    """The message as it is once this plan is its own: how many, and what is held of each account."""
    return replace(
        message,
        plan=plan.id,
        pages=totals.pages,
        copy_pages=totals.copy_pages,
        lots=totals.lots,
        pages_enqueued=0,
        people=totals.people,
        recipients=totals.recipients,
        copies=totals.copies,
        segments=totals.segments_most,
        segments_least=totals.segments_least,
        skipped=dict(totals.skipped),
        duplicates=totals.duplicates,
        held={zone: count for zone, count in totals.credits.items() if count},
        digest=totals.seal,
    )


def hold(was: Message | None, planned: Message, totals: Totals, now: datetime) -> None:
    """One transaction: the message's state, and a hold on each account. Raises Moved, AlreadyEntered, CreditsShort."""
    with Transaction() as write:
        for zone, count in totals.needed.items():
            ledger.hold(write, planned.school_id, _hold_entry(planned, zone, count, now))
        table.save_message(write, planned, was=was, refused=Moved())


def close(was: Message, ended: Message, captured: Mapping[str, int], now: datetime, told: NewEvent) -> None:
    """Ends a message, its holds and what its portal waits to hear, all or none. Raises Moved, AlreadyEntered."""

    def close_all(write: Transaction) -> None:
        for zone, held in was.held.items():
            ledger.close_hold(write, was.school_id, _close_entry(was, Zone(zone), held, captured.get(zone, 0), now))
        table.save_message(write, ended, was=was, refused=Moved())

    events.commit(was.school_id, told, close_all)


def exchange(was: Message, becomes: Message, totals: Totals | None, now: datetime) -> None:
    """One transaction: with a new plan the old hold is closed with nothing captured and the new one taken.

    Raises Moved, AlreadyEntered, CreditsShort, ContractSuspended.
    """
    with Transaction() as write:
        for zone in Zone if totals is not None else ():
            held, needed = was.held.get(zone.value, 0), totals.needed.get(zone, 0) if totals else 0
            closing = _close_entry(was, zone, held, 0, now)
            opening = _hold_entry(becomes, zone, needed, now)
            if held and needed:
                ledger.replace_hold(write, was.school_id, closing, opening)
            elif held:
                ledger.close_hold(write, was.school_id, closing)
            elif needed:
                ledger.hold(write, was.school_id, opening)
        table.save_message(write, becomes, was=was, refused=Moved())


def exchange_held(was: Message, sending: Message, now: datetime) -> None:
    """The message goes out with the plan and the hold that it has."""
    with suppress(Moved):  # done by somebody else, or by us with the answer lost
        exchange(was, sending, None, now)


def require_reach_with(message: Message, totals: Totals) -> None:
    """As `require_reach`, with what the message itself holds counted as available."""
    planning.require_reach(message.school_id, totals, held=message.held)


def told_of(message: Message, event_type: EventType, now: datetime, **facts: str | int | None) -> NewEvent:
    """The event of a message's end: it has one of each kind at most."""
    return NewEvent(event_type, f"{event_type.value}#{message.id}", now, {"message": message.id, **facts})


def _hold_entry(message: Message, zone: Zone, count: int, now: datetime) -> Entry:
    cause = f"hold#{message.id}#{message.plan}"
    return Entry(zone, cause, now, message.sent_by or "", -count, count, 0, {"message": message.id})


def _close_entry(message: Message, zone: Zone, held: int, captured: int, now: datetime) -> Entry:
    if not 0 <= captured <= held:
        raise RuntimeError("more captured than was held")  # a defect: never write it
    cause = f"close#{message.id}#{message.plan}"
    return Entry(zone, cause, now, "", held - captured, -held, captured, {"message": message.id})
