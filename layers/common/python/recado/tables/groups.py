"""A school's groups and who is in each. A member's row says nothing but that they are: people.py has the rest."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from recado.rules.audience import Who
from recado.rules.oneroster import RosterGroup
from recado.tables.base import PeopleMeta, Row, Transaction, delete_if, put_if, update_if


class GroupChanged(Exception):  # not an error: read again
    """The group is gone, or somebody else changed it in between."""


@dataclass(frozen=True, slots=True)
class Group:
    """`members`: how many of each kind are in it. `is_closing`: it is being deleted, and nobody comes in any more."""

    record: RosterGroup
    members: Mapping[Who, int]
    is_closing: bool = False


class _GroupRow(Row):
    class Meta(PeopleMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    kind = UnicodeAttribute()
    name = UnicodeAttribute()
    parent = UnicodeAttribute(null=True)
    students = NumberAttribute(null=True)
    guardians = NumberAttribute(null=True)
    staff = NumberAttribute(null=True)
    closing = BooleanAttribute(null=True)


_COUNTS: Mapping[Who, NumberAttribute] = {
    Who.STUDENTS: _GroupRow.students,
    Who.GUARDIANS: _GroupRow.guardians,
    Who.STAFF: _GroupRow.staff,
}


class _MemberRow(Row):
    class Meta(PeopleMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)


def find_group(school_id: str, group_id: str) -> Group | None:
    try:
        return _group(_GroupRow.get(*_key(school_id, group_id), consistent_read=True))
    except _GroupRow.DoesNotExist:
        return None


def list_groups(school_id: str) -> list[Group]:
    """Every group, by id: some hundreds at most."""
    return [_group(row) for row in _GroupRow.query(f"S#{school_id}", _GroupRow.sk.startswith("G#"))]


def save_group(school_id: str, group: Group, before: Group | None) -> bool:
    """Writes a group's name, place and counts; False when it is no longer `before` (None: when it is there already)."""
    record = group.record
    if before is None:
        row = _GroupRow(*_key(school_id, record.id), kind=record.kind, name=record.name, parent=record.parent)
        for who, attribute in _COUNTS.items():
            setattr(row, attribute.attr_name, group.members.get(who, 0))
        return put_if(row, _GroupRow.pk.does_not_exist())
    actions: list[Action] = [
        _GroupRow.kind.set(record.kind),
        _GroupRow.name.set(record.name),
        _GroupRow.parent.remove() if record.parent is None else _GroupRow.parent.set(record.parent),
        *(attribute.set(group.members.get(who, 0)) for who, attribute in _COUNTS.items()),
    ]
    return update_if(_GroupRow(*_key(school_id, record.id)), actions, _as_read(before))


def delete_group(school_id: str, group: Group) -> bool:
    """Deletes a group that no roster names any more; False when it is no longer as it was read."""
    return delete_if(_GroupRow(*_key(school_id, group.record.id)), _as_read(group))


def rename_group(school_id: str, group_id: str, name: str) -> bool:
    """False when the group is gone, or going."""
    condition = _GroupRow.pk.exists() & _GroupRow.closing.does_not_exist()
    return update_if(_GroupRow(*_key(school_id, group_id)), [_GroupRow.name.set(name)], condition)


def close_group(school_id: str, group_id: str) -> bool:
    """From now on nobody comes in, and its members can be taken out in peace; False when it is gone."""
    return update_if(_GroupRow(*_key(school_id, group_id)), [_GroupRow.closing.set(True)], _GroupRow.pk.exists())


def delete_closed_group(school_id: str, group_id: str) -> bool:
    """Deletes a group whose members have been taken out; False when it is gone already."""
    return delete_if(_GroupRow(*_key(school_id, group_id)), _GroupRow.closing == True)  # noqa: E712  # PynamoDB's


def add_to_counts(
    write: Transaction, school_id: str, group_id: str, change: Mapping[Who, int], *, joining: bool
) -> None:
    """Counts people in and out of a group, in the transaction that writes them; refused as GroupChanged: it is gone.

    `joining`: somebody comes in, which a group that is closing refuses too.
    """
    condition = _GroupRow.pk.exists()
    if joining:
        condition &= _GroupRow.closing.does_not_exist()
    actions: list[Action] = [attribute.add(change.get(who, 0)) for who, attribute in _COUNTS.items()]
    write.update(_GroupRow(*_key(school_id, group_id)), actions, condition, lambda _: GroupChanged(group_id))


def list_member_ids(
    school_id: str, group_id: str, *, limit: int, after: str | None = None
) -> tuple[list[str], str | None]:
    """A page of a group's people, by id, and the cursor of the next page (None: no more)."""
    condition = _MemberRow.sk.between(f"P#{after or ''}", "P#~")  # ids are ASCII below "~"
    found = _MemberRow.query(f"S#{school_id}#G#{group_id}", condition, limit=limit + 2)
    ids = [row.sk.removeprefix("P#") for row in found if row.sk != f"P#{after}"]
    return ids[:limit], ids[limit - 1] if len(ids) > limit else None


def list_all_member_ids(school_id: str, group_id: str) -> Iterator[str]:
    """Everybody of a group, consistently, in pages; for imports."""
    for row in _MemberRow.query(f"S#{school_id}#G#{group_id}", _MemberRow.sk.startswith("P#"), consistent_read=True):
        yield row.sk.removeprefix("P#")


def save_memberships(school_id: str, added: Iterable[tuple[str, str]], removed: Iterable[tuple[str, str]]) -> None:
    """Puts (group, person) into groups and takes them out.

    Without conditions: a member's row is nothing but its key, so writing it twice changes nothing, and the person's
    own row, written under its version, decides: readers ask it too.
    """
    with _MemberRow.batch_write() as batch:
        for group_id, person_id in removed:
            batch.delete(_MemberRow(*_member_key(school_id, group_id, person_id)))
        for group_id, person_id in added:
            batch.save(_MemberRow(*_member_key(school_id, group_id, person_id)))


def put_member(write: Transaction, school_id: str, group_id: str, person_id: str) -> None:
    """Puts a person into a group, in the transaction that writes their row, which decides (see save_memberships)."""
    write.put(_MemberRow(*_member_key(school_id, group_id, person_id)), _anyhow(), lambda _: GroupChanged(group_id))


def delete_member(write: Transaction, school_id: str, group_id: str, person_id: str) -> None:
    """Takes a person out of a group, in the transaction that writes their row, which decides."""
    write.delete(_MemberRow(*_member_key(school_id, group_id, person_id)), _anyhow(), lambda _: GroupChanged(group_id))


def _key(school_id: str, group_id: str) -> tuple[str, str]:
    return f"S#{school_id}", f"G#{group_id}"


def _member_key(school_id: str, group_id: str, person_id: str) -> tuple[str, str]:
    return f"S#{school_id}#G#{group_id}", f"P#{person_id}"


def _anyhow() -> Condition:
    always: Condition = _MemberRow.pk.exists() | _MemberRow.pk.does_not_exist()
    return always


def _as_read(group: Group) -> Condition:
    condition: Condition = _GroupRow.name == group.record.name
    for who, attribute in _COUNTS.items():
        count = group.members.get(who, 0)
        # A row of before counts were numbers has none: it counts as nobody until an import has counted.
        is_equal: Condition = attribute == count
        condition &= (is_equal | attribute.does_not_exist()) if count == 0 else is_equal
    return condition


def _group(row: _GroupRow) -> Group:
    record = RosterGroup(row.sk.removeprefix("G#"), row.kind, row.name, row.parent)
    members = {who: int(getattr(row, attribute.attr_name) or 0) for who, attribute in _COUNTS.items()}
    return Group(record, members, bool(row.closing))
