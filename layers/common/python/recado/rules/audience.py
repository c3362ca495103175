"""Who receives a message, on which number, and who is skipped and why (L3, L8, L9, L11, L13).

One SMS per number, however many people share it. What is resolved here is what is shown, confirmed and held:
the digest binds them. Must never let a person who opted out pass as a recipient.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from types import MappingProxyType

from recado.rules.credit_bags import Zone
from recado.rules.phone_numbers import zone_of

# The cause of an opt-out that binds everybody on the number: STOP said to a code of sessions, which are all one, or
# to a school before causes told the code.
REPLIED_STOP = "reply"
REPLY_CAUSE = "reply#"  # and this with the code it was said to: ALTA takes back what was said to its own code
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


SEAL_MODULUS = 2**256
SENDABLE = "sendable"  # the state of whoever gets the text
DUPLICATE = "duplicate_of"  # and of whoever shares their number: one SMS a number
INBOX_ONLY = "inbox_only"  # and of everybody, when the message goes to the message centre alone


@dataclass(frozen=True, slots=True)
class Member:
    person_id: str
    role: str
    groups: frozenset[str]
    number: str | None  # E.164
    number_problem: bool  # something was entered, and it cannot be used


@dataclass(frozen=True, slots=True)
class Audience:
    """Who, in which groups (none: the whole school), and these people besides; minus the exceptions.

    `again_of` and `again_states`: instead of all that, whom that message did not reach (in one of these states).
    """

    who: frozenset[Who]
    groups: frozenset[str] = frozenset()
    people: frozenset[str] = frozenset()
    minus_people: frozenset[str] = frozenset()
    minus_groups: frozenset[str] = frozenset()
    again_of: str | None = None
    again_states: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Recipient:
    number: str
    person_ids: tuple[str, ...]  # sorted: everybody of the audience on this number who has not opted out
    zone: Zone


@dataclass(frozen=True, slots=True)
class Skipped:
    person_id: str
    reason: SkipReason


@dataclass(frozen=True, slots=True)
class Resolution:
    recipients: tuple[Recipient, ...]  # in the order of the members
    skipped: tuple[Skipped, ...]


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
    return everybody_out or any(is_reply_cause(cause) for cause in causes)


def is_reply_cause(cause: str) -> bool:
    """Whether the handset itself said so, whichever code it said it to."""
    return cause == REPLIED_STOP or cause.startswith(REPLY_CAUSE)


def reply_cause(code: str) -> str:
    """The cause that a STOP to this code of a school, or of several, is."""
    return REPLY_CAUSE + code


def resolve(
    members: Iterable[Member],
    opted_out: Callable[[str], frozenset[str]],
    country: str,
    zones: Collection[Zone],
) -> Resolution:
    """The recipients among the members of an audience, in the order of the members, and everybody skipped.

    Equal numbers come next to each other (ValueError if not). `opted_out` gives a number's causes, `zones` are those
    with an account. Domestic recipients stay without one: the hold says how many credits are missing.
    """
    recipients: dict[str, Recipient] = {}
    skipped: list[Skipped] = []
    for number, sharing in groupby(_reachable(members, skipped), key=lambda member: member.number or ""):
        if number in recipients:
            raise ValueError("equal numbers are not next to each other")
        person_ids = {member.person_id for member in sharing}
        causes = opted_out(number)
        out = {person_id for person_id in person_ids if is_blocked(causes, (person_id,))}
        skipped.extend(Skipped(person_id, SkipReason.OPTED_OUT) for person_id in sorted(out))
        zone = zone_of(number, country)
        if person_ids == out:
            continue
        left = tuple(sorted(person_ids - out))
        if zone is Zone.INTERNATIONAL and zone not in zones:
            skipped.extend(Skipped(person_id, SkipReason.NO_INTERNATIONAL_BAG) for person_id in left)
            continue
        recipients[number] = Recipient(number, left, zone)
    return Resolution(tuple(recipients.values()), tuple(skipped))


def first_seal(
    text: str, category: str, channels: Iterable[str], *, drop_accents: bool, inbox_for_unreachable: bool
) -> str:
    """The beginning of a digest: SHA-256 (hex) over what is to be said, and how."""
    said = {
        "text": text,
        "category": category,
        "channels": sorted(set(channels)),
        "drop_accents": drop_accents,
        "inbox_for_unreachable": inbox_for_unreachable,
    }
    return _hash(said)


def next_seal(
    seal: str,
    recipients: Iterable[tuple[str, Iterable[str], str, int]],
    skipped: Iterable[tuple[str, str]],
    copies: Iterable[str] = (),
) -> str:
    """The digest so far and some more people: (number, people, zone, segments), (person, reason), who gets a copy.

    What the sender confirms is the last seal: the text, and everybody's state and price. It is a sum (modulo 2^256), so
    that how many were read at a time, in which order, and beside whom who is not meant, makes no difference. It tells
    one audience from another; it is not made to withstand somebody who looks for two of the same sum.
    """
    hashes = [_hash(["text", one[0], sorted(one[1]), *one[2:]]) for one in recipients]
    hashes += [_hash(["skipped", *one]) for one in skipped]
    hashes += [_hash(["copy", one]) for one in copies]
    return f"{sum((int(one, 16) for one in hashes), int(seal, 16)) % SEAL_MODULUS:064x}"


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _reachable(members: Iterable[Member], skipped: list[Skipped]) -> Iterator[Member]:
    """Those with a usable number; the others are noted in `skipped` as they pass."""
    for member in members:
        reason = _number_missing(member)
        if reason is None:
            yield member
        else:
            skipped.append(Skipped(member.person_id, reason))


def _number_missing(member: Member) -> SkipReason | None:
    if member.number_problem:
        return SkipReason.UNUSABLE_NUMBER
    return None if member.number else SkipReason.NO_NUMBER
