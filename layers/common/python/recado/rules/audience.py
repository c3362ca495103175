"""Who receives a message, on which number, and who is skipped and why (L3, L8, L9, L11, L13).

One SMS per number, however many people share it. What is resolved here is what is shown, confirmed and held:
the digest binds them. Must never let a person who opted out pass as a recipient.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import batched, groupby
from types import MappingProxyType

from recado.rules.credit_bags import Zone
from recado.rules.phone_numbers import zone_of

REPLIED_STOP = "reply"  # the cause of an opt-out that binds everybody on the number
PERSON_CAUSE = "person#"  # and of one that binds one person


class Who(StrEnum):
    STUDENTS = "students"
    GUARDIANS = "guardians"
    STAFF = "staff"


WHO_OF_ROLE: Mapping[str, Who] = MappingProxyType(
    {
        "student": Who.STUDENTS,
        "guardian": Who.GUARDIANS,
        "teacher": Who.STAFF,
        "staff": Who.STAFF,
        "administrator": Who.STAFF,
        "director": Who.STAFF,
    }
)


class SkipReason(StrEnum):
    NO_NUMBER = "no_number"
    UNUSABLE_NUMBER = "unusable_number"
    OPTED_OUT = "opted_out"
    NO_INTERNATIONAL_BAG = "no_international_bag"


@dataclass(frozen=True, slots=True)
class Member:
    person_id: str
    role: str
    groups: frozenset[str]
    number: str | None  # E.164
    number_problem: bool  # something was entered, and it cannot be used


@dataclass(frozen=True, slots=True)
class Audience:
    """Who, in which groups (none: the whole school), and these people besides; minus the exceptions."""

    who: frozenset[Who]
    groups: frozenset[str] = frozenset()
    people: frozenset[str] = frozenset()
    minus_people: frozenset[str] = frozenset()
    minus_groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Recipient:
    number: str
    person_ids: tuple[str, ...]  # sorted: everybody of the audience on this number who has not opted out
    zone: Zone
    segments: int


@dataclass(frozen=True, slots=True)
class Skipped:
    person_id: str
    reason: SkipReason


@dataclass(frozen=True, slots=True)
class Resolution:
    recipients: tuple[Recipient, ...]  # by number
    skipped: tuple[Skipped, ...]  # by person


def is_in(audience: Audience, member: Member) -> bool:
    """Whether the person belongs to the audience. An exception outweighs everything, being named included."""
    if member.person_id in audience.minus_people or member.groups & audience.minus_groups:
        return False
    if member.person_id in audience.people:
        return True
    if WHO_OF_ROLE.get(member.role) not in audience.who:
        return False
    return not audience.groups or bool(member.groups & audience.groups)


def is_blocked(causes: Collection[str], person_ids: Collection[str]) -> bool:
    """Whether a number may not be spoken to: it replied STOP, or every audience member on it opted out (L8, L10).

    A session's handset belongs to no person: only a STOP blocks it.
    """
    everybody_out = bool(person_ids) and all(PERSON_CAUSE + person_id in causes for person_id in person_ids)
    return REPLIED_STOP in causes or everybody_out


def resolve(
    members: Iterable[Member],
    opted_out: Callable[[str], frozenset[str]],
    country: str,
    zones: Collection[Zone],
    segments: int,
) -> Resolution:
    """The recipients of one text of `segments` parts among the members of an audience, and everybody skipped.

    Equal numbers come next to each other (ValueError if not). `opted_out` gives a number's causes, `zones` are those
    with an account. Domestic recipients stay without one: the hold says how many credits are missing.
    """
    recipients: dict[str, Recipient] = {}
    skipped: list[Skipped] = []
    reachable: list[Member] = []
    for member in members:
        reason = _number_missing(member)
        if reason is None:
            reachable.append(member)
        else:
            skipped.append(Skipped(member.person_id, reason))
    for number, sharing in groupby(reachable, key=lambda member: member.number or ""):
        if number in recipients:
            raise ValueError("equal numbers are not next to each other")
        person_ids = {member.person_id for member in sharing}
        causes = opted_out(number)
        out = {person_id for person_id in person_ids if is_blocked(causes, (person_id,))}
        skipped.extend(Skipped(person_id, SkipReason.OPTED_OUT) for person_id in out)
        zone = zone_of(number, country)
        if person_ids == out:
            continue
        if zone is Zone.INTERNATIONAL and zone not in zones:
            skipped.extend(Skipped(person_id, SkipReason.NO_INTERNATIONAL_BAG) for person_id in person_ids - out)
            continue
        recipients[number] = Recipient(number, tuple(sorted(person_ids - out)), zone, segments)
    return Resolution(
        recipients=tuple(recipients[number] for number in sorted(recipients)),
        skipped=tuple(sorted(skipped, key=lambda one: (one.person_id, one.reason))),
    )


def credits_needed(recipients: Iterable[Recipient]) -> dict[Zone, int]:
    """Credits per zone, one a segment; zones without recipients are left out."""
    needed: dict[Zone, int] = {}
    for recipient in recipients:
        needed[recipient.zone] = needed.get(recipient.zone, 0) + recipient.segments
    return needed


def digest(text: str, category: str, channels: Iterable[str], resolution: Resolution) -> str:
    """What the sender confirms: SHA-256 (hex) over the text, its category and channels, and everybody's state."""
    confirmed = {
        "text": text,
        "category": category,
        "channels": sorted(set(channels)),
        "recipients": sorted(
            (one.number, sorted(one.person_ids), one.zone.value, one.segments) for one in resolution.recipients
        ),
        "skipped": sorted((one.person_id, one.reason.value) for one in resolution.skipped),
    }
    return hashlib.sha256(json.dumps(confirmed, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def pages_of(recipients: Sequence[Recipient], size: int = 100) -> list[tuple[Recipient, ...]]:
    """The recipients cut into pages, one job each; the last may be shorter."""
    return list(batched(recipients, size, strict=False))


def _number_missing(member: Member) -> SkipReason | None:
    if member.number_problem:
        return SkipReason.UNUSABLE_NUMBER
    return None if member.number else SkipReason.NO_NUMBER
