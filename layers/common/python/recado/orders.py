"""What is asked of a message, and whether it may go out like that: contract, time, quiet hours, what was shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from recado import planning
from recado.errors import ContractSuspended, FieldProblem, InvalidRequest, PlanChanged, QuietHoursNow
from recado.planning import Plan
from recado.rules import message_states
from recado.rules.message_states import Channel
from recado.rules.quiet_hours import next_allowed
from recado.rules.school_time import show_local
from recado.tables import estimates, school_settings
from recado.tables.estimates import ShownEstimate, ShownPerson
from recado.tables.messages import Message
from recado.tables.schools import Contract, School

SCHEDULE_AHEAD_MAX = timedelta(days=365)
CHANGES_SHOWN_MAX = 20
SYSTEM = "recado"  # who did what nobody asked for at that moment


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked of a message: to go out now (`send_at` None) or at a time, as it was shown (`digest`)."""

    by: str
    send_at: datetime | None = None
    digest: str | None = None
    despite_quiet_hours: bool = False

    def to_row(self) -> dict[str, Any]:
        send_at = self.send_at.isoformat() if self.send_at else None
        return {"by": self.by, "send_at": send_at, "digest": self.digest, "despite": self.despite_quiet_hours}

    @staticmethod
    def of_row(row: Mapping[str, Any]) -> "Order":
        send_at = datetime.fromisoformat(row["send_at"]) if row["send_at"] else None
        return Order(row["by"], send_at, row["digest"], bool(row["despite"]))


def check_time(send_at: datetime | None, now: datetime, field: str = "/at") -> None:
    """Raises InvalidRequest for a time that has passed or is too far ahead."""
    if send_at is None:
        return
    if send_at <= now:
        raise InvalidRequest(fields=[FieldProblem(field, "in_the_past", "The time has passed")])
    if send_at > now + SCHEDULE_AHEAD_MAX:
        raise InvalidRequest(fields=[FieldProblem(field, "too_far", "At most 365 days ahead")])


def check_contract(school: School, message: Message) -> None:
    """The message centre costs nothing, so it stays open (L4)."""
    if Channel.SMS in message.channels and school.contract is not Contract.ACTIVE:
        raise ContractSuspended


def check_quiet_hours(school: School, message: Message, order: Order, now: datetime) -> None:
    """Only a text wakes people up; an emergency may."""
    quiet = school_settings.find_settings(school.id).quiet_hours
    if quiet is None or order.despite_quiet_hours or Channel.SMS not in message.channels:
        return
    if message_states.is_emergency(message.category):
        return
    zone, moment = ZoneInfo(school.time_zone), order.send_at or now
    allowed = next_allowed(moment, zone, quiet)
    if allowed > moment:
        raise QuietHoursNow(
            "Schedule it for the next allowed time, or send it with despite_quiet_hours: true",
            members={"next_allowed_at": allowed.isoformat(), "next_allowed_at_local": show_local(allowed, zone)},
        )


def check_digest(message: Message, order: Order, plan: Plan) -> None:
    """What was shown is what goes out, or nothing does. Raises PlanChanged, which says what has changed."""
    if order.digest is None or order.digest == plan.digest:
        return
    shown = estimates.find_estimate(message.school_id, order.digest)
    raise PlanChanged(members=_what_changed(shown, message, plan))


def life_of(message: Message) -> timedelta:
    return message_states.expires_after(message.category, message.expires_after_minutes)


def _what_changed(shown: ShownEstimate | None, message: Message, plan: Plan) -> dict[str, Any]:
    """What is now, and beside it what was shown: figures, and some of the people of whom something is different."""
    is_now = {"digest": plan.digest, "by_state": plan.totals.by_state(), "credits": dict(plan.totals.credits)}
    if shown is None:
        return {"now": is_now}
    before, after = shown.people, plan.states()
    moved = [one for one in sorted(before.keys() | after.keys()) if before.get(one) != after.get(one)]
    people = [{"id": one, **_difference(before.get(one), after.get(one))} for one in moved[:CHANGES_SHOWN_MAX]]
    was = {"by_state": dict(shown.by_state), "credits": dict(shown.credits)}
    says_else = shown.said != planning.first_totals(message).seal
    return {
        "now": is_now,
        "shown": was,
        "content_changed": says_else,
        "people_changed": len(moved),
        "people": people,
    }


def _difference(before: ShownPerson | None, after: ShownPerson | None) -> dict[str, Any]:
    """A person's state then and now (None: not of the audience), and what it is that differs."""
    was, then, now = ("state", "segments", "number"), before or (None, 0, 0), after or (None, 0, 0)
    changed = [name for name, one, other in zip(was, then, now, strict=True) if one != other]
    return {"was": then[0], "is": now[0], "changed": changed}
