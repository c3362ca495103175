"""Turns an audience into a plan: who gets the text, who is skipped and why, what it costs, and the pages of it.

The estimate and the hold are this same function of the same audience, whether it is a course or a ministry: read in the
order of numbers, some people at a time. It moves no money and sends nothing.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime, timedelta
from itertools import batched, groupby, islice
from typing import Any
from zlib import crc32

from recado import directory
from recado.errors import AudienceTooLarge, NobodyToReach, NotEnoughCredits
from recado.rules import audience as audiences
from recado.rules import delivery_states, texts
from recado.rules.audience import DUPLICATE, Audience, Member, Recipient, Resolution, Skipped, Who
from recado.rules.credit_bags import Zone, missing_credits
from recado.rules.message_states import Channel
from recado.rules.segments import Encoding, Size
from recado.rules.texts import EMPTY, Field, FieldValues
from recado.settings import SETTINGS
from recado.tables import groups, ledger, opt_outs, pages, people, skipped
from recado.tables import messages as message_table
from recado.tables.estimates import ShownPerson
from recado.tables.messages import COPY_PAGES, Message
from recado.tables.pages import PageKind, PageReader, PageRecipient, PageRef
from recado.tables.people import Person
from recado.tables.schools import School

COSTLY_MAX = 30  # characters shown
WIDE_LOOKED_AT = 5  # texts of a chunk whose costly characters are looked for
CHUNK = 100  # people resolved at a time: what one BatchGetItem reads of their opt-outs
AGAIN_MAX = 20  # times that a message was sent again before, as far as anybody looks back
READ_MAX = 50_000  # people read while somebody waits for the answer, whether or not they are of the audience


class LargeAudience(Exception):  # a signal to the stories above
    """More people than can be planned while somebody waits: to be planned in the background."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some of an audience, resolved. `plain` are the sizes without á í ó ú; `place` is where the next one begins."""

    people: int
    recipients: tuple[PageRecipient, ...]
    sizes: tuple[Size, ...]
    plain: tuple[Size, ...]
    skipped: tuple[Skipped, ...]
    copies: tuple[PageReader, ...]
    filled: Mapping[str, int]
    place: str
    costly: str = ""


@dataclass(frozen=True, slots=True)
class Totals:
    """What a plan comes to, so far or in the end. Credits are per zone; `seal` is the digest.

    `costly` are characters that force UCS-2, names and courses included (some of them: COSTLY_MAX).
    `credits_plain` is the price without á í ó ú; `wide` are texts in UCS-2; `filled` are recipients for whom a field
    says a neutral word.
    """

    seal: str
    people: int = 0
    recipients: int = 0
    duplicates: int = 0
    copies: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    credits: Mapping[str, int] = field(default_factory=dict)
    credits_plain: Mapping[str, int] = field(default_factory=dict)
    segments_most: int = 0
    segments_least: int = 0
    plain_most: int = 0
    wide: int = 0
    filled: Mapping[str, int] = field(default_factory=dict)
    costly: str = ""
    pages: int = 0
    copy_pages: int = 0
    lots: int = 0

    def plus(self, chunk: Chunk) -> "Totals":
        """With some more people. How many pages that makes is for whoever writes them to say."""
        segments = [one.segments for one in chunk.recipients]
        return replace(
            self,
            seal=audiences.next_seal(
                self.seal,
                [(one.number, one.person_ids, one.zone.value, one.segments) for one in chunk.recipients],
                [(one.person_id, one.reason.value) for one in chunk.skipped],
                [one.person_id for one in chunk.copies],
            ),
            people=self.people + chunk.people,
            recipients=self.recipients + len(chunk.recipients),
            duplicates=self.duplicates + sum(len(one.person_ids) - 1 for one in chunk.recipients),
            copies=self.copies + len(chunk.copies),
            skipped=_sum(self.skipped, Counter(one.reason.value for one in chunk.skipped)),
            credits=_sum(self.credits, _credits(chunk.recipients, chunk.sizes)),
            credits_plain=_sum(self.credits_plain, _credits(chunk.recipients, chunk.plain)),
            segments_most=max([self.segments_most, *segments]),
            segments_least=min([*segments, *([self.segments_least] if self.recipients else [])], default=0),
            plain_most=max([self.plain_most, *(one.segments for one in chunk.plain)]),
            wide=self.wide + sum(one.encoding is Encoding.UCS_2 for one in chunk.sizes),
            filled=_sum(self.filled, chunk.filled),
            costly="".join(dict.fromkeys(self.costly + chunk.costly))[:COSTLY_MAX],
        )

    def by_state(self) -> dict[str, int]:
        """Everybody of the audience by what becomes of them: sendable, duplicate_of, inbox_only, or why not."""
        counts = {audiences.SENDABLE: self.recipients, DUPLICATE: self.duplicates, **self.skipped}
        counts[audiences.INBOX_ONLY] = self.people - sum(counts.values())
        return {state: count for state, count in counts.items() if count}

    @property
    def needed(self) -> dict[Zone, int]:
        """Credits to hold."""
        return {Zone(zone): count for zone, count in self.credits.items() if count}

    def to_row(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def of_row(row: Mapping[str, Any]) -> "Totals":
        known = {one.name for one in fields(Totals)}
        return Totals(**{name: value for name, value in row.items() if name in known})


@dataclass(frozen=True)
class Plan:
    """One attempt at planning. `chunks` are there while nothing is written; a large plan is written as it is made."""

    id: str
    totals: Totals
    chunks: tuple[Chunk, ...] | None = None

    @property
    def digest(self) -> str:
        return self.totals.seal

    def states(self) -> dict[str, ShownPerson]:
        """What is shown of each person, of a plan in memory."""
        found: dict[str, ShownPerson] = {}
        for chunk in self.chunks or ():
            for recipient in chunk.recipients:
                first, *others = recipient.person_ids
                mark = crc32(recipient.number.encode())
                found[first] = (audiences.SENDABLE, recipient.segments, mark)
                found |= dict.fromkeys(others, (DUPLICATE, 0, mark))
            found |= {one.person_id: (one.reason.value, 0, 0) for one in chunk.skipped}
            for reader in chunk.copies:
                found.setdefault(reader.person_id, (audiences.INBOX_ONLY, 0, 0))
        return found


def audience_of(stored: Mapping[str, Sequence[str]]) -> Audience:
    """The audience as a message row keeps it."""
    return Audience(
        who=frozenset(Who(who) for who in stored.get("who", [])),
        groups=frozenset(stored.get("groups", [])),
        people=frozenset(stored.get("people", [])),
        minus_people=frozenset(stored.get("minus_people", [])),
        minus_groups=frozenset(stored.get("minus_groups", [])),
        again_of=next(iter(stored.get("again_of", [])), None),
        again_states=frozenset(stored.get("again_states", [])),
    )


def make_plan(school: School, message: Message, plan_id: str, now: datetime) -> Plan:
    """Resolves a message's audience as it is now, in memory. Raises LargeAudience: then `list_chunks` is for it."""
    totals, chunks = first_totals(message), list[Chunk]()
    for chunk in list_chunks(school, message, now, read_max=READ_MAX):
        if not chunk.people:
            continue
        chunks.append(chunk)
        totals = totals.plus(chunk)
        if totals.people > SETTINGS.audience_max:
            raise LargeAudience
    return Plan(plan_id, totals, tuple(chunks))


def first_totals(message: Message) -> Totals:
    """Before anybody has been read."""
    seal = audiences.first_seal(
        message.text,
        message.category.value,
        message.channels,
        drop_accents=message.drop_accents,
        inbox_for_unreachable=message.inbox_for_unreachable,
    )
    return Totals(seal)


def list_chunks(
    school: School, message: Message, now: datetime, after: str | None = None, *, read_max: int | None = None
) -> Iterator[Chunk]:
    """A message's audience as it is now, resolved some at a time, in the order of numbers; `after` is a chunk's place.

    Of a large school also chunks of nobody come, so that whoever reads a long stretch of others can say that they live.
    Raises LargeAudience after `read_max` people read; AudienceTooLarge when a message sent again has more people than
    can be named.
    """
    audience = _named_again(school, audience_of(message.audience), now)
    resolver = _Resolver(school, message, audience)
    for members in _lots_of_members(directory.list_audience_members(school, audience, after), read_max):
        yield resolver.resolve(members)


def _lots_of_members(members: Iterable[Member], read_max: int | None) -> Iterator[list[Member]]:
    """Lots of some CHUNK members, never parting equal numbers."""
    lot: list[Member] = []
    read = 0
    for number, sharing in groupby(members, key=lambda member: member.number):
        # Who has no number shares it with nobody: all of them would be one group.
        for some in batched(sharing, CHUNK, strict=False) if number is None else (tuple(sharing),):
            lot += some
            read += len(some)
            if read_max is not None and read > read_max:
                raise LargeAudience
            if len(lot) >= CHUNK:
                yield lot
                lot = []
    if lot:
        yield lot


class _Resolver:
    """Resolves members lot by lot, for one message. Which zones have an account is read once."""

    def __init__(self, school: School, message: Message, audience: Audience) -> None:
        self._school = school
        self._message = message
        self._audience = audience
        self._meant = _first_audience(school.id, message)
        self._fields = texts.list_fields(message.text)
        self._zones = frozenset(account.zone for account in ledger.list_accounts(school.id))
        self._is_sms = Channel.SMS in message.channels
        self._course_names: dict[str, str] | None = None

    def resolve(self, lot: Sequence[Member]) -> Chunk:
        members = [member for member in lot if audiences.is_in(self._audience, member)]
        place = people.place_behind(lot[-1], self._school.shards)
        if not members:
            return Chunk(0, (), (), (), (), (), {}, place)
        resolution = self._recipients(members) if self._is_sms else Resolution((), ())
        readers = self._readers(members, resolution)
        values = self._values([*(one.person_ids for one in resolution.recipients), *((one,) for one in readers)])
        recipients, sizes, plain = self._priced(resolution.recipients, values)
        missing = (texts.missing_fields(self._message.text, one.values or EMPTY) for one in recipients)
        return Chunk(
            people=len(members),
            recipients=recipients,
            sizes=sizes,
            plain=plain,
            skipped=resolution.skipped,
            copies=tuple(PageReader(one, values.get((one,))) for one in readers),
            filled=Counter(one.value for found in missing for one in found) if self._fields else {},
            place=place,
            costly="".join(self._costly(recipients, sizes)),
        )

    def _costly(self, recipients: Sequence[PageRecipient], sizes: Sequence[Size]) -> Iterator[str]:
        """What makes texts UCS-2, names and courses included; some of those that are so are looked at."""
        wide = (one for one, size in zip(recipients, sizes, strict=True) if size.encoding is Encoding.UCS_2)
        for one in islice(wide, WIDE_LOOKED_AT if self._fields else 1):
            text = texts.text_for(self._message.text, one.values or EMPTY, self._message.drop_accents)
            yield from texts.costly_characters(text)

    def _recipients(self, members: Sequence[Member]) -> Resolution:
        numbers = {member.number for member in members if member.number and not member.number_problem}
        causes = opt_outs.list_causes(self._school.id, numbers)
        return audiences.resolve(members, lambda number: causes[number], self._school.country, self._zones)

    def _readers(self, members: Sequence[Member], resolution: Resolution) -> list[str]:
        """Who gets a copy in the message centre: everybody, or whom SMS cannot reach, or nobody."""
        if Channel.INBOX in self._message.channels:
            return sorted(member.person_id for member in members)
        return sorted(one.person_id for one in resolution.skipped) if self._message.inbox_for_unreachable else []

    def _priced(
        self, recipients: Sequence[Recipient], values: Mapping[tuple[str, ...], FieldValues]
    ) -> tuple[tuple[PageRecipient, ...], tuple[Size, ...], tuple[Size, ...]]:
        said = [values.get(one.person_ids) for one in recipients]
        text, drops = self._message.text, self._message.drop_accents
        sizes = tuple(texts.price_of(text, one or EMPTY, drops) for one in said)
        plain = sizes if drops else tuple(texts.price_of(text, one or EMPTY, True) for one in said)
        priced = tuple(
            PageRecipient(one.number, one.person_ids, one.zone, size.segments, values=found)
            for one, size, found in zip(recipients, sizes, said, strict=True)
        )
        return priced, sizes, plain

    def _values(self, sharing: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], FieldValues]:
        """What the fields say to each lot of people who share a text; nothing is read for a text without fields."""
        if not self._fields:
            return {}
        own = _by_id(self._school.id, (one for lot in sharing for one in lot))
        family = {one for person in own.values() for one in person.record.students}
        if Field.GUARDIAN in self._fields:
            family |= {one for person in own.values() for one in person.record.guardians}
        known = own | _by_id(self._school.id, family - own.keys())
        return {lot: self._values_of([own[one] for one in lot if one in own], known) for lot in sharing}

    def _values_of(self, sharing: Sequence[Person], known: Mapping[str, Person]) -> FieldValues:
        students = [one for person in sharing for one in self._students_of(person, known)]
        guardians = [person for person in sharing if person.record.role == "guardian"]
        if not guardians:
            guardians = [known[one] for person in sharing for one in sorted(person.record.guardians) if one in known]
        in_courses = students or sharing
        courses = [name for person in in_courses for name in self._courses_of(person)]
        return FieldValues(
            students=tuple(dict.fromkeys(one.record.given_name for one in students)),
            courses=tuple(dict.fromkeys(courses)),
            guardians=tuple(dict.fromkeys(f"{one.record.given_name} {one.record.family_name}" for one in guardians)),
        )

    def _students_of(self, person: Person, known: Mapping[str, Person]) -> list[Person]:
        """The students a text to somebody is about: themselves, or their children whom the audience means."""
        if person.record.role == "student":
            return [person]
        children = [known[one] for one in sorted(person.record.students) if one in known]
        present = [one for one in children if one.left_at is None]
        meant = [one for one in present if self._is_meant(one)]
        return sorted(meant or present, key=lambda one: (one.record.given_name, one.id))

    def _is_meant(self, student: Person) -> bool:
        if student.id in self._meant.minus_people or student.record.groups & self._meant.minus_groups:
            return False
        return not self._meant.groups or bool(student.record.groups & self._meant.groups)

    def _courses_of(self, person: Person) -> list[str]:
        if Field.COURSE not in self._fields:
            return []
        if self._course_names is None:
            found = groups.list_groups(self._school.id)
            self._course_names = {one.record.id: one.record.name for one in found if one.record.kind == "course"}
        return sorted(self._course_names[one] for one in person.record.groups if one in self._course_names)


class PageWriter:
    """Writes a plan's pages as its people come, a hundred to a page; `flush` writes what is left of the last ones.

    They count for nothing until a transaction makes the plan the message's.
    """

    def __init__(self, message: Message, plan_id: str, totals: Totals, now: datetime) -> None:
        due = max(now, message.send_at or now)
        self._message = message
        self._plan = plan_id
        self._pages, self._copy_pages, self._lots = totals.pages, totals.copy_pages, totals.lots
        self._expires_at = int((due + timedelta(days=SETTINGS.delivery_retention_days)).timestamp())
        self._recipients: list[PageRecipient] = []
        self._readers: list[PageReader] = []
        self._skipped: list[Skipped] = []

    def add(self, chunk: Chunk) -> None:
        self._recipients += chunk.recipients
        self._readers += chunk.copies
        self._skipped += chunk.skipped
        self._write(least=pages.PAGE_SIZE)

    def flush(self, totals: Totals) -> Totals:
        """The totals with the pages that were written."""
        self._write(least=1)
        return replace(totals, pages=self._pages, copy_pages=self._copy_pages, lots=self._lots)

    def _write(self, least: int) -> None:
        texts_cut, self._recipients = _cut(self._recipients, pages.PAGE_SIZE, least)
        copies_cut, self._readers = _cut(self._readers, pages.PAGE_SIZE, least)
        lots, self._skipped = _cut(self._skipped, skipped.LOT, least)
        if texts_cut:
            refs = (self._ref(self._pages + place) for place in range(len(texts_cut)))
            self._pages += pages.create_pages(zip(refs, texts_cut, strict=True), expires_at=self._expires_at)
        if copies_cut:
            refs = (self._ref(COPY_PAGES + self._copy_pages + place) for place in range(len(copies_cut)))
            self._copy_pages += pages.create_copy_pages(zip(refs, copies_cut, strict=True), expires_at=self._expires_at)
        if lots:
            skipped.create_lots(
                self._message.school_id,
                self._message.id,
                self._plan,
                self._lots,
                lots,
                expires_at=self._expires_at,
            )
            self._lots += len(lots)

    def _ref(self, page: int) -> PageRef:
        return PageRef(PageKind.MESSAGE, self._message.school_id, self._message.id, self._plan, page)


def write_pages(message: Message, plan: Plan, now: datetime) -> Totals:
    """Writes a plan that is in memory, and returns its totals with how many pages that made."""
    writer = PageWriter(message, plan.id, first_totals(message), now)
    for chunk in plan.chunks or ():
        writer.add(chunk)
    return writer.flush(plan.totals)


def require_reach(school_id: str, totals: Totals, held: Mapping[str, int] | None = None) -> None:
    """Refuses a plan that reaches nobody, or that the credits do not reach: says how many are missing per zone.

    `held` are credits that the message itself holds and would give back.
    """
    if not totals.recipients and not totals.copies:
        raise NobodyToReach(members={"skipped": dict(totals.skipped)})
    own = held or {}
    accounts = ledger.list_accounts(school_id)
    available = {account.zone: account.available + own.get(account.zone.value, 0) for account in accounts}
    missing = missing_credits(totals.needed, available)
    if missing:
        raise not_enough(totals.needed, available, missing)


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


def _named_again(school: School, audience: Audience, now: datetime) -> Audience:
    """The audience of a message sent again: the people of those recipients of the first one who are in these states."""
    if audience.again_of is None:
        return audience
    found: set[str] = set()
    for person_id in list_people_in_states(school.id, audience.again_of, audience.again_states, now):
        found.add(person_id)
        if len(found) > SETTINGS.audience_max:
            raise AudienceTooLarge(members={"limit": SETTINGS.audience_max})
    return replace(audience, who=frozenset(), groups=frozenset(), people=frozenset(found))


def _first_audience(school_id: str, message: Message) -> Audience:
    """The audience somebody chose: of a message sent again, that of the first one, whose children it was about."""
    audience = audience_of(message.audience)
    for _ in range(AGAIN_MAX):
        first = message_table.find_message(school_id, audience.again_of) if audience.again_of else None
        if first is None:
            break
        audience = audience_of(first.audience)
    return audience


def list_people_in_states(school_id: str, message_id: str, states: frozenset[str], now: datetime) -> Iterator[str]:
    """Whose text of a message is in one of these states now, and whom it skipped for one of these reasons."""
    message = message_table.find_message(school_id, message_id)
    if message is None or message.plan is None:
        return
    is_patience_over = delivery_states.is_patience_over(message.send_at or message.accepted_at, now)
    refs = (PageRef(PageKind.MESSAGE, school_id, message_id, message.plan, page) for page in range(message.pages))
    for page in pages.list_pages(refs):
        sets = {name.value: found for name, found in page.receipts.items()}
        for index, recipient in enumerate(page.recipients):
            state = delivery_states.state_of(page.state.letters[index], index, recipient.segments, sets)
            if delivery_states.shown_state(state, is_patience_over=is_patience_over).value in states:
                yield from recipient.person_ids
    for _, lot in skipped.list_lots(school_id, message_id, message.plan, lots=message.lots):
        yield from (one.person_id for one in lot if one.reason.value in states)


def _by_id(school_id: str, person_ids: Iterable[str]) -> dict[str, Person]:
    return {person.id: person for person in people.list_people_by_id(school_id, person_ids)}


def _cut[T](waiting: list[T], size: int, least: int) -> tuple[list[list[T]], list[T]]:
    """Lots of `size`, and what is left: the last lot too if it has at least `least`."""
    lots = [list(lot) for lot in batched(waiting, size, strict=False)]
    left = lots.pop() if lots and len(lots[-1]) < min(size, max(least, 1)) else []
    return lots, left


def _credits(recipients: Sequence[PageRecipient], sizes: Sequence[Size]) -> Counter[str]:
    needed: Counter[str] = Counter()
    for recipient, size in zip(recipients, sizes, strict=True):
        needed[recipient.zone.value] += size.segments
    return needed


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}}
