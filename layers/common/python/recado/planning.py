"""Turns an audience into a plan: who gets the text, who is skipped and why, what it costs, and the pages of it.

The estimate and the hold are this same function of the same audience; it moves no money and sends nothing.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from recado import directory
from recado.errors import AudienceTooLarge, NobodyToReach, NotEnoughCredits
from recado.rules import audience as audiences
from recado.rules import segments
from recado.rules.audience import Audience, Resolution, Who
from recado.rules.credit_bags import Zone, missing_credits
from recado.settings import SETTINGS
from recado.tables import ledger, opt_outs, pages
from recado.tables.messages import Message
from recado.tables.pages import PageKind, PageRecipient, PageRef
from recado.tables.schools import School


@dataclass(frozen=True, slots=True)
class Plan:
    """One attempt at planning. `needed` is credits per zone, `segments` those of one text."""

    id: str
    resolution: Resolution
    segments: int
    needed: Mapping[Zone, int]
    digest: str

    @property
    def skipped(self) -> dict[str, int]:
        """People skipped, per reason."""
        return dict(Counter(one.reason.value for one in self.resolution.skipped))


def audience_of(stored: Mapping[str, list[str]]) -> Audience:
    """The audience as a message row keeps it."""
    return Audience(
        who=frozenset(Who(who) for who in stored.get("who", [])),
        groups=frozenset(stored.get("groups", [])),
        people=frozenset(stored.get("people", [])),
        minus_people=frozenset(stored.get("minus_people", [])),
        minus_groups=frozenset(stored.get("minus_groups", [])),
    )


def make_plan(school: School, message: Message, plan_id: str) -> Plan:
    """Resolves a message's audience as it is now. Raises AudienceTooLarge."""
    # 1. The people, in the order of their numbers, so that equal numbers meet.
    audience = audience_of({name: list(found) for name, found in message.audience.items()})
    members = []
    for member in directory.list_audience_members(school, audience):
        members.append(member)
        if len(members) > SETTINGS.audience_max:
            raise AudienceTooLarge(members={"limit": SETTINGS.audience_max})

    # 2. Who opted out, and which zones have an account.
    numbers = sorted({member.number for member in members if member.number})
    causes = opt_outs.list_causes(school.id, numbers)
    zones = [account.zone for account in ledger.list_accounts(school.id)]

    # 3. Deduplicated, priced, sealed by the digest.
    size = segments.measure(message.text)
    resolution = audiences.resolve(
        members, lambda number: causes.get(number, frozenset()), school.country, zones, size.segments
    )
    seal = audiences.digest(message.text, message.category.value, message.channels, resolution)
    return Plan(plan_id, resolution, size.segments, audiences.credits_needed(resolution.recipients), seal)


def require_reach(school_id: str, plan: Plan) -> None:
    """Refuses a plan that reaches nobody, or that the credits do not reach: says how many are missing per zone."""
    if not plan.resolution.recipients:
        raise NobodyToReach(members={"skipped": plan.skipped})
    accounts = ledger.list_accounts(school_id)
    available = {account.zone: account.available for account in accounts}
    missing = missing_credits(plan.needed, available)
    if missing:
        raise not_enough(plan.needed, available, missing)


def not_enough(
    needed: Mapping[Zone, int], available: Mapping[Zone, int], missing: Mapping[Zone, int]
) -> NotEnoughCredits:
    """The refusal that says what is needed, there and missing, per zone."""
    zones = {
        zone.value: {"needed": count, "available": available.get(zone, 0), "missing": missing.get(zone, 0)}
        for zone, count in needed.items()
    }
    total = sum(missing.values())
    return NotEnoughCredits(f"{total} credits are missing", members={"missing": total, "zones": zones})


def write_pages(message: Message, plan: Plan, now: datetime) -> int:
    """Writes the plan's pages; they count for nothing until a transaction makes the plan the message's."""
    due = max(now, message.send_at or now)
    expires = due + timedelta(days=SETTINGS.delivery_retention_days)
    return pages.create_pages(
        (
            (
                PageRef(PageKind.MESSAGE, message.school_id, message.id, plan.id, page),
                [PageRecipient(one.number, one.person_ids, one.zone, one.segments) for one in recipients],
            )
            for page, recipients in enumerate(audiences.pages_of(plan.resolution.recipients, pages.PAGE_SIZE))
        ),
        expires_at=int(expires.timestamp()),
    )
