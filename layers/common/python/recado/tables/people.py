"""A school's people: what the roster or the school says of them, their SMS switch, a number corrected here.

Whoever left keeps the row without the audience's index and without words; the index of numbers keeps finding them.
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import batched
from typing import Any

from pynamodb.attributes import (
    BooleanAttribute,
    NumberAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
    UTCDateTimeAttribute,
)
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.indexes import GlobalSecondaryIndex, IncludeProjection, KeysOnlyProjection

from recado.rules.audience import Member
from recado.rules.name_search import words_of
from recado.rules.number_corrections import Correction
from recado.rules.oneroster import RosterPerson
from recado.rules.roster_changes import Source
from recado.rules.school_records import is_sandbox
from recado.tables import words
from recado.tables.base import BaseMeta, PeopleMeta, Row, Transaction, put_if, update_if

NO_NUMBER = "-"  # sorts after every "+…"
BATCH_GET_MAX = 100  # DynamoDB's limit


class PersonChanged(Exception):  # not an error: read again
    """Somebody else wrote the person's row in between."""


@dataclass(frozen=True, slots=True)
class SmsSwitch:
    """SMS switched on or off on the person's record (L8): by whom, when and why. `is_own`: by the person (L10)."""

    allowed: bool
    by: str
    at: datetime
    reason: str
    is_own: bool = False


@dataclass(frozen=True, slots=True)
class Person:
    """`record` is what is in force, `switch` (None: never touched) the school's; `version` guards every write.

    `correction`: a number corrected here, over what the roster says. `words`: those whose rows find this person.
    """

    record: RosterPerson
    switch: SmsSwitch | None
    left_at: datetime | None
    version: int
    source: Source = Source.ROSTER
    correction: Correction | None = None
    words: frozenset[str] = frozenset()
    erased_at: datetime | None = None

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def sms_allowed(self) -> bool:
        return self.switch is None or self.switch.allowed

    @property
    def wanted_words(self) -> frozenset[str]:
        """The words that a search is to find them under: none once they have left."""
        return words_of(self.record) if self.left_at is None else frozenset()


class _ByNumberIndex(GlobalSecondaryIndex[Any]):
    """Who is there, in the order of their numbers, without opt-outs: those would be stale."""

    class Meta(BaseMeta):
        index_name = "ByNumber"
        projection = IncludeProjection(["role", "groups", "number", "number_problem", "left_at"])

    by_number_pk = UnicodeAttribute(hash_key=True)
    by_number_sk = UnicodeAttribute(range_key=True)


class _NumberIndex(GlobalSecondaryIndex[Any]):
    """Whose handset is this? In every school, and also of those who left."""

    class Meta(BaseMeta):
        index_name = "Number"
        projection = KeysOnlyProjection()

    number = UnicodeAttribute(hash_key=True)
    school_person = UnicodeAttribute(range_key=True)


class _PersonRow(Row):
    class Meta(PeopleMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    role = UnicodeAttribute()
    given_name = UnicodeAttribute()
    family_name = UnicodeAttribute()
    number = UnicodeAttribute(null=True)
    typed_number = UnicodeAttribute(null=True)
    number_problem = BooleanAttribute()
    groups = UnicodeSetAttribute(null=True)
    guardians = UnicodeSetAttribute(null=True)
    students = UnicodeSetAttribute(null=True)
    by_number_pk = UnicodeAttribute(null=True)
    by_number_sk = UnicodeAttribute(null=True)
    school_person = UnicodeAttribute(null=True)
    left_at = UTCDateTimeAttribute(null=True)
    sms_allowed = BooleanAttribute(null=True)
    sms_by = UnicodeAttribute(null=True)
    sms_at = UTCDateTimeAttribute(null=True)
    sms_reason = UnicodeAttribute(null=True)
    sms_own = BooleanAttribute(null=True)
    source = UnicodeAttribute(null=True)  # none: the roster
    corrected_number = UnicodeAttribute(null=True)
    corrected_typed_number = UnicodeAttribute(null=True)
    corrected_by = UnicodeAttribute(null=True)
    corrected_at = UTCDateTimeAttribute(null=True)
    roster_number = UnicodeAttribute(null=True)
    roster_typed_number = UnicodeAttribute(null=True)
    words = UnicodeSetAttribute(null=True)
    erased_at = UTCDateTimeAttribute(null=True)
    version = NumberAttribute()
    by_number = _ByNumberIndex()
    number_index = _NumberIndex()


def find_person(school_id: str, person_id: str) -> Person | None:
    try:
        row = _PersonRow.get(*_key(school_id, person_id), consistent_read=True)
    except _PersonRow.DoesNotExist:
        return None
    return _person(row)


def list_people(school_id: str, *, limit: int, after: str | None = None) -> tuple[list[Person], str | None]:
    """A page by id, those who left included, and the cursor of the next page (None: no more)."""
    condition = _PersonRow.sk.between(f"P#{after or ''}", "P#~")  # ids are ASCII below "~"
    found = _PersonRow.query(f"S#{school_id}", condition, limit=limit + 2)
    people = [_person(row) for row in found if row.sk != f"P#{after}"]
    return people[:limit], people[limit - 1].id if len(people) > limit else None


def list_unreachable(
    school_id: str, shard: int, *, limit: int, after: str | None = None
) -> tuple[list[Member], str | None]:
    """A page of those of a shard who have no number that can be used, by id, and the next page's cursor."""
    first = f"{NO_NUMBER}#{after or ''}"
    condition = _PersonRow.by_number_sk.between(first, f"{NO_NUMBER}#~")
    found = _PersonRow.by_number.query(f"S#{school_id}#{shard}", condition, limit=limit + 2)
    members = [_member(row) for row in found if row.by_number_sk != first]
    return members[:limit], members[limit - 1].person_id if len(members) > limit else None


def list_everybody(school_id: str) -> Iterator[Person]:
    """Everybody the school ever had, consistently, in pages; for imports."""
    for row in _PersonRow.query(f"S#{school_id}", _PersonRow.sk.startswith("P#"), consistent_read=True):
        yield _person(row)


def list_people_by_id(school_id: str, person_ids: Iterable[str]) -> list[Person]:
    """Those of the ids that exist, sorted by id; whoever left included."""
    found = [
        _person(row)
        for batch in batched(sorted(set(person_ids)), BATCH_GET_MAX, strict=False)
        for row in _PersonRow.batch_get([_key(school_id, person_id) for person_id in batch], consistent_read=True)
    ]
    return sorted(found, key=lambda person: person.id)


def place_of(member: Member, shards: int) -> str:
    """Where somebody stands in the order of `list_members`: `<shard>/<number>#<person>`."""
    shard = zlib.crc32((member.number or member.person_id).encode()) % shards
    return f"{shard}/{member.number or NO_NUMBER}#{member.person_id}"


def place_behind(member: Member, shards: int) -> str:
    """The place behind somebody and everybody on their number, also who comes to it later: it has had its turn."""
    place = place_of(member, shards)
    return f"{place.partition('#')[0]}#~" if member.number else place  # ids are ASCII below "~"


def list_members(school_id: str, shards: int, after: str | None = None) -> Iterator[Member]:
    """Everybody who is there, equal numbers next to each other: by shard, number, person. Eventually consistent.

    `after` is a place (`place_of`): those behind it.
    """
    first, _, key = (after or "0/").partition("/")
    for shard in range(int(first), shards):
        behind = _ByNumberIndex.by_number_sk > key if key and shard == int(first) else None
        for row in _PersonRow.by_number.query(f"S#{school_id}#{shard}", range_key_condition=behind):
            yield _member(row)


def list_owners(number: str, *, limit: int) -> list[tuple[str, str]]:
    """Whose handset a number is, in any school: (school, person), those who left included."""
    found = _PersonRow.number_index.query(number, limit=limit)
    return [(school_id, person_id) for row in found for _, school_id, person_id in [row.school_person.split("#")]]


def list_schools_of(number: str, *, limit: int) -> list[str]:
    """The schools whose directory has a number, or had it: at most `limit`, by id. One query a school and one more."""
    found: list[str] = []
    after = "S#"
    while len(found) < limit:
        rows = list(_PersonRow.number_index.query(number, _NumberIndex.school_person > after, limit=1, page_size=1))
        if not rows:
            break
        found.append(rows[0].school_person.split("#")[1])
        after = f"S#{found[-1]}#~"  # ids are ASCII below "~": behind everybody of that school
    return found


def list_holders(school_id: str, number: str, *, limit: int) -> list[Person]:
    """People of a school whose number it is, those who left included, as they are now; at most `limit`."""
    of_school = _NumberIndex.school_person.startswith(f"S#{school_id}#")
    rows = _PersonRow.number_index.query(number, of_school, limit=limit, page_size=limit)
    ids = [row.school_person.split("#")[2] for row in rows]
    return [person for person in list_people_by_id(school_id, ids) if person.record.number == number]


def create_person(
    school_id: str,
    shards: int,
    record: RosterPerson,
    source: Source = Source.ROSTER,
    *,
    words_are_there: bool = False,
) -> bool:
    """Writes somebody new; False when the id is taken. `words_are_there`: save_words was called for them before."""
    person = Person(record, None, None, 0, source)
    if not words_are_there:
        save_words(school_id, [record])
    return put_if(_new_row(school_id, shards, person), _PersonRow.pk.does_not_exist())


def save_words(school_id: str, records: Iterable[RosterPerson]) -> None:
    """Writes the words of people who are about to be created: killed in between, nobody is missing from a search."""
    words.save_words(school_id, ((word, record.id) for record in records for word in words_of(record)))


def create_person_in(write: Transaction, school_id: str, shards: int, person: Person) -> None:
    """Somebody new with their words as part of a transaction, refused as PersonChanged when the id is taken."""
    write.put(_new_row(school_id, shards, person), _PersonRow.pk.does_not_exist(), _changed)
    words.change_words(write, school_id, person.id, added=person.wanted_words, removed=())


def save_person(school_id: str, shards: int, before: Person, after: Person) -> bool:
    """Makes a person's row what `after` says; False when it is no longer as it was read. Not for changed words.

    What the row holds besides is other stories' and stays.
    """
    assert after.wanted_words == before.words, "changed words are written in a transaction"  # noqa: S101
    return update_if(
        _PersonRow(*_key(school_id, before.id)), _actions(school_id, shards, before, after), _as_read(before)
    )


def save_person_in(write: Transaction, school_id: str, shards: int, before: Person, after: Person) -> None:
    """The same as part of a transaction, with the words that find them; refused as PersonChanged."""
    actions = _actions(school_id, shards, before, after)
    write.update(_PersonRow(*_key(school_id, before.id)), actions, _as_read(before), _changed)
    wanted = after.wanted_words
    words.change_words(write, school_id, before.id, added=wanted - before.words, removed=before.words - wanted)


def save_groups_in(write: Transaction, school_id: str, before: Person, group_ids: frozenset[str]) -> None:
    """Sets the groups and nothing else, as part of a transaction; refused as PersonChanged."""
    found = set(group_ids)
    actions: list[Action] = [
        _PersonRow.groups.set(found) if found else _PersonRow.groups.remove(),
        _PersonRow.version.set(before.version + 1),
    ]
    write.update(_PersonRow(*_key(school_id, before.id)), actions, _as_read(before), _changed)


def save_switch(write: Transaction, school_id: str, before: Person, switch: SmsSwitch) -> None:
    """Sets the SMS switch and nothing else; refused as PersonChanged."""
    actions: list[Action] = [
        _PersonRow.sms_allowed.set(switch.allowed),
        _PersonRow.sms_by.set(switch.by),
        _PersonRow.sms_at.set(switch.at),
        _PersonRow.sms_reason.set(switch.reason),
        _PersonRow.sms_own.set(switch.is_own),
        _PersonRow.version.set(before.version + 1),
    ]
    write.update(_PersonRow(*_key(school_id, before.id)), actions, _as_read(before), _changed)


def _key(school_id: str, person_id: str) -> tuple[str, str]:
    return f"S#{school_id}", f"P#{person_id}"


def _as_read(before: Person) -> Condition:
    return _PersonRow.version == before.version


def _member(row: _PersonRow) -> Member:
    return Member(
        person_id=row.sk.removeprefix("P#"),
        role=row.role,
        groups=frozenset(row.groups or ()),
        number=row.number,
        number_problem=row.number_problem,
    )


def _new_row(school_id: str, shards: int, person: Person) -> _PersonRow:
    after = replace(person, version=1, words=person.wanted_words)
    values = {name: value for name, value in _values(school_id, shards, after).items() if value is not None}
    return _PersonRow(*_key(school_id, person.id), **values)


def _actions(school_id: str, shards: int, before: Person, after: Person) -> list[Action]:
    after = replace(after, version=before.version + 1, words=after.wanted_words)
    actions: list[Action] = []
    for name, value in _values(school_id, shards, after).items():
        attribute = _PersonRow.get_attributes()[name]
        actions.append(attribute.remove() if value is None else attribute.set(value))
    return actions


def _changed(_: dict[str, Any] | None) -> Exception:
    return PersonChanged()


def _values(school_id: str, shards: int, person: Person) -> Mapping[str, Any]:
    """Every attribute of a person's own; None where there is nothing, which in DynamoDB is no attribute."""
    record, switch, correction = person.record, person.switch, person.correction
    is_here = person.left_at is None
    shard = zlib.crc32((record.number or record.id).encode()) % shards
    return {
        "role": record.role,
        "given_name": record.given_name,
        "family_name": record.family_name,
        "number": record.number,
        "typed_number": record.typed_number or None,
        "number_problem": record.number_problem,
        "groups": set(record.groups) or None,
        "guardians": set(record.guardians) or None,
        "students": set(record.students) or None,
        "by_number_pk": f"S#{school_id}#{shard}" if is_here else None,
        "by_number_sk": f"{record.number or NO_NUMBER}#{record.id}" if is_here else None,
        # A sandbox's people own no handset: what a real one answers must never be taken for theirs.
        "school_person": None if is_sandbox(school_id) else f"S#{school_id}#{record.id}",
        "left_at": person.left_at,
        "sms_allowed": switch.allowed if switch else None,
        "sms_by": switch.by if switch else None,
        "sms_at": switch.at if switch else None,
        "sms_reason": switch.reason if switch else None,
        "sms_own": True if switch and switch.is_own else None,
        "source": None if person.source is Source.ROSTER else person.source.value,
        "corrected_number": correction.number if correction else None,
        "corrected_typed_number": correction.typed_number if correction else None,
        "corrected_by": correction.by if correction else None,
        "corrected_at": correction.at if correction else None,
        "roster_number": correction.roster_number if correction else None,
        "roster_typed_number": correction.roster_typed_number if correction else None,
        "words": set(person.words) or None,
        "erased_at": person.erased_at,
        "version": person.version,
    }


def _person(row: _PersonRow) -> Person:
    switch = correction = None
    if row.sms_allowed is not None and row.sms_at is not None:
        switch = SmsSwitch(row.sms_allowed, row.sms_by or "", row.sms_at, row.sms_reason or "", bool(row.sms_own))
    if row.corrected_at is not None:
        correction = Correction(
            number=row.corrected_number,
            typed_number=row.corrected_typed_number or "",
            by=row.corrected_by or "",
            at=row.corrected_at,
            roster_number=row.roster_number,
            roster_typed_number=row.roster_typed_number or "",
        )
    record = RosterPerson(
        id=row.sk.removeprefix("P#"),
        role=row.role,
        given_name=row.given_name,
        family_name=row.family_name,
        number=row.number,
        typed_number=row.typed_number or "",
        number_problem=row.number_problem,
        groups=frozenset(row.groups or ()),
        guardians=frozenset(row.guardians or ()),
        students=frozenset(row.students or ()),
    )
    return Person(
        record=record,
        switch=switch,
        left_at=row.left_at,
        version=int(row.version),
        source=Source(row.source or Source.ROSTER),
        correction=correction,
        words=frozenset(row.words or ()),
        erased_at=row.erased_at,
    )
