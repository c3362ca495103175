"""A school's people. What the roster owns is one half of the row, what the school decides here is the other.

Whoever left keeps the row without the audience's index; the index of numbers keeps finding them.
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
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
from recado.rules.oneroster import RosterPerson
from recado.rules.school_records import is_sandbox
from recado.tables.base import BaseMeta, PeopleMeta, Refused, Row, Transaction, put_if, update_if

NO_NUMBER = "-"  # sorts after every "+…"
BATCH_GET_MAX = 100  # DynamoDB's limit


@dataclass(frozen=True, slots=True)
class SmsSwitch:
    """SMS switched on or off on the person's record (L8): by whom, when and why."""

    allowed: bool
    by: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Person:
    """`record` is the roster's; `switch` (None: never touched) and `left_at` are ours. `version` guards every write."""

    record: RosterPerson
    switch: SmsSwitch | None
    left_at: datetime | None
    version: int

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def sms_allowed(self) -> bool:
        return self.switch is None or self.switch.allowed


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
    version = NumberAttribute()
    by_number = _ByNumberIndex()
    number_index = _NumberIndex()


# What an import sets; everything else on the row is the school's own or another story's, and stays.
_ROSTER_OWNED = (
    _PersonRow.role,
    _PersonRow.given_name,
    _PersonRow.family_name,
    _PersonRow.number,
    _PersonRow.typed_number,
    _PersonRow.number_problem,
    _PersonRow.groups,
    _PersonRow.guardians,
    _PersonRow.students,
    _PersonRow.by_number_pk,
    _PersonRow.by_number_sk,
    _PersonRow.school_person,
    _PersonRow.left_at,
)


def find_person(school_id: str, person_id: str) -> Person | None:
    try:
        row = _PersonRow.get(*_key(school_id, person_id), consistent_read=True)
    except _PersonRow.DoesNotExist:
        return None
    return _person(row)


def list_people(school_id: str, *, limit: int, after: str | None = None) -> tuple[list[Person], str | None]:
    """A page of those who have not left, by id, and the cursor of the next page (None: no more)."""
    condition = _PersonRow.sk.between(f"P#{after or ''}", "P#~")  # ids are ASCII below "~"
    found = _PersonRow.query(f"S#{school_id}", condition, _PersonRow.left_at.does_not_exist(), limit=limit + 2)
    people = [_person(row) for row in found if row.sk != f"P#{after}"]
    return people[:limit], people[limit - 1].id if len(people) > limit else None


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
            yield Member(
                person_id=row.sk.removeprefix("P#"),
                role=row.role,
                groups=frozenset(row.groups or ()),
                number=row.number,
                number_problem=row.number_problem,
            )


def list_owners(number: str, *, limit: int) -> list[tuple[str, str]]:
    """Whose handset a number is, in any school: (school, person), those who left included."""
    found = _PersonRow.number_index.query(number, limit=limit)
    return [(school_id, person_id) for row in found for _, school_id, person_id in [row.school_person.split("#")]]


def create_person(school_id: str, shards: int, record: RosterPerson) -> bool:
    """Writes somebody new; False when the id is taken."""
    values = _values(school_id, shards, record, None)
    row = _PersonRow(*_key(school_id, record.id), version=1, **values)
    return put_if(row, _PersonRow.pk.does_not_exist())


def save_record(school_id: str, shards: int, before: Person, record: RosterPerson, left_at: datetime | None) -> bool:
    """Sets what the roster owns and nothing else; False when the row is no longer as it was read."""
    actions = _record_actions(school_id, shards, before, record, left_at)
    return update_if(_PersonRow(*_key(school_id, before.id)), actions, _as_read(before))


def save_record_in(
    write: Transaction,
    school_id: str,
    shards: int,
    before: Person,
    record: RosterPerson,
    left_at: datetime | None,
    refused: Refused,
) -> None:
    """The same as one write of a transaction: a changed number takes its opt-out with it."""
    actions = _record_actions(school_id, shards, before, record, left_at)
    write.update(_PersonRow(*_key(school_id, before.id)), actions, _as_read(before), refused)


def save_switch(write: Transaction, school_id: str, before: Person, switch: SmsSwitch, refused: Refused) -> None:
    """Sets the SMS switch and nothing else."""
    actions: list[Action] = [
        _PersonRow.sms_allowed.set(switch.allowed),
        _PersonRow.sms_by.set(switch.by),
        _PersonRow.sms_at.set(switch.at),
        _PersonRow.sms_reason.set(switch.reason),
        _PersonRow.version.set(before.version + 1),
    ]
    write.update(_PersonRow(*_key(school_id, before.id)), actions, _as_read(before), refused)


def _key(school_id: str, person_id: str) -> tuple[str, str]:
    return f"S#{school_id}", f"P#{person_id}"


def _as_read(before: Person) -> Condition:
    return _PersonRow.version == before.version


def _values(school_id: str, shards: int, record: RosterPerson, left_at: datetime | None) -> Mapping[str, Any]:
    """The roster-owned attributes; None where there is nothing, which in DynamoDB is no attribute."""
    is_here = left_at is None
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
        "left_at": left_at,
    }


def _record_actions(
    school_id: str, shards: int, before: Person, record: RosterPerson, left_at: datetime | None
) -> list[Action]:
    values = _values(school_id, shards, record, left_at)
    actions: list[Action] = []
    for attribute in _ROSTER_OWNED:
        value = values[attribute.attr_name]
        actions.append(attribute.remove() if value is None else attribute.set(value))
    return [*actions, _PersonRow.version.set(before.version + 1)]


def _person(row: _PersonRow) -> Person:
    switch = None
    if row.sms_allowed is not None and row.sms_at is not None:
        switch = SmsSwitch(row.sms_allowed, row.sms_by or "", row.sms_at, row.sms_reason or "")
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
    return Person(record, switch, row.left_at, int(row.version))
