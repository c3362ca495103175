"""A school's groups and who is in each. A member's row says nothing but that they are: people.py has the rest."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pynamodb.attributes import JSONAttribute, UnicodeAttribute

from recado.rules.audience import Who
from recado.rules.oneroster import RosterGroup
from recado.tables.base import PeopleMeta, Row, delete_if, put_if


@dataclass(frozen=True, slots=True)
class Group:
    """`members`: how many of each kind were in it after the last import."""

    record: RosterGroup
    members: Mapping[Who, int]


class _GroupRow(Row):
    class Meta(PeopleMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    kind = UnicodeAttribute()
    name = UnicodeAttribute()
    parent = UnicodeAttribute(null=True)
    members: JSONAttribute = JSONAttribute()


class _MemberRow(Row):
    class Meta(PeopleMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)


def find_group(school_id: str, group_id: str) -> Group | None:
    try:
        return _group(_GroupRow.get(f"S#{school_id}", f"G#{group_id}"))
    except _GroupRow.DoesNotExist:
        return None


def list_groups(school_id: str) -> list[Group]:
    """Every group, by id: some hundreds at most."""
    return [_group(row) for row in _GroupRow.query(f"S#{school_id}", _GroupRow.sk.startswith("G#"))]


def save_group(school_id: str, group: Group, before: Group | None) -> bool:
    """Writes a group as the import has it; False when it is no longer `before` (None: when it is there already)."""
    row = _GroupRow(
        f"S#{school_id}",
        f"G#{group.record.id}",
        kind=group.record.kind,
        name=group.record.name,
        parent=group.record.parent,
        members=_counts(group),
    )
    if before is None:
        return put_if(row, _GroupRow.pk.does_not_exist())
    return put_if(row, (_GroupRow.name == before.record.name) & (_GroupRow.members == _counts(before)))


def delete_group(school_id: str, group: Group) -> bool:
    """Deletes a group that no roster names any more; False when it is no longer as it was read."""
    condition = (_GroupRow.name == group.record.name) & (_GroupRow.members == _counts(group))
    return delete_if(_GroupRow(f"S#{school_id}", f"G#{group.record.id}"), condition)


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
            batch.delete(_MemberRow(f"S#{school_id}#G#{group_id}", f"P#{person_id}"))
        for group_id, person_id in added:
            batch.save(_MemberRow(f"S#{school_id}#G#{group_id}", f"P#{person_id}"))


def _counts(group: Group) -> dict[str, int]:
    return {who.value: group.members.get(who, 0) for who in Who}


def _group(row: _GroupRow) -> Group:
    counts: dict[str, Any] = row.members
    record = RosterGroup(row.sk.removeprefix("G#"), row.kind, row.name, row.parent)
    return Group(record, {who: int(counts.get(who.value, 0)) for who in Who})
