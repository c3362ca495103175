"""Brings a school's directory to what a OneRoster zip says. Applying it twice, or after being killed, ends the same.

It must never touch what the roster does not own: a person's SMS switch and a number's opt-out survive every import.
"""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import IO

from recado import people_records
from recado.aws import client
from recado.clock import Clock
from recado.errors import FieldProblem, InvalidRequest, NotFound
from recado.rules.audience import WHO_OF_ROLE, Who
from recado.rules.custom_groups import custom_among, is_custom_group
from recado.rules.number_corrections import record_after_correction
from recado.rules.oneroster import FILES_READ, Roster, read_roster
from recado.rules.roster_changes import (
    Change,
    MadeByHand,
    Source,
    is_gone,
    record_after,
    record_by_hand_after,
    record_of_gone,
)
from recado.rules.roster_zip import open_roster
from recado.settings import SETTINGS
from recado.tables import groups as group_table
from recado.tables import imports as import_table
from recado.tables import people as people_table
from recado.tables import schools as school_table
from recado.tables.groups import Group
from recado.tables.imports import Import, ImportState
from recado.tables.people import Person
from recado.tables.schools import School

BAD_ROWS_SHOWN = 100
WRITE_ATTEMPTS_MAX = 5
ROSTER = "roster"  # who changed it, in the notes of numbers and opt-outs
CHUNK_BYTES = 1024 * 1024
ARCHIVE_BYTES_MAX = 100 * CHUNK_BYTES  # compressed


class RowKeepsChangingError(RuntimeError):
    """Somebody else wrote the same row each time; the import is tried again as a whole."""


@dataclass(frozen=True, slots=True)
class _Write:
    """One person's row as it was read and as it is to be."""

    before: Person | None
    after: Person

    @property
    def change(self) -> Change:
        if self.before is None:
            return Change.NEW
        if (self.after.record, self.after.left_at) == (self.before.record, self.before.left_at):
            return Change.UNCHANGED
        return Change.GONE if self.after.left_at is not None else Change.CHANGED

    @property
    def is_to_be_made(self) -> bool:
        """Also when nobody sees a difference: whom no search finds yet, a correction that the roster caught up."""
        return self.after != self.before or self.after.words != self.after.wanted_words


def import_roster(school_id: str, import_id: str, key: str, clock: Clock) -> Import:
    """Reads the zip at `key` of the import bucket and applies it; an import that has ended is left as it is.

    A roster that cannot be read as a whole ends `refused` and changes nothing. Raises NotFound: no such school.
    """
    # 1. Whose import is it, and has it not ended before?
    school = school_table.find_school(school_id)
    if school is None:
        raise NotFound("There is no such school")
    import_table.create_import(school_id, import_id, clock())
    begun = import_table.find_import(school_id, import_id)
    if begun is None or begun.state is not ImportState.RUNNING:
        return _get(school_id, import_id)

    # 2. All of it is read before anything is written.
    now = clock()
    try:
        with _uploaded(key) as archive, open_roster(archive, FILES_READ) as files:
            roster = read_roster(files, school.country, now.date())
    except InvalidRequest as refusal:
        refused = Import(import_id, ImportState.REFUSED, begun.started_at, problems=refusal.fields)
        import_table.save_result(school_id, refused, clock())
        return _get(school_id, import_id)

    # 3. What differs. Memberships are read too, so that an import heals whatever a killed one left of them.
    before = {person.id: person for person in people_table.list_everybody(school_id)}
    by_hand = _find_by_hand(school_id, before)
    writes = _plan_writes(before, roster, by_hand, now)
    members = _members_of(writes)
    members_before = _members_before(school_id, roster)

    # 4. Into groups and searches before the records say so, out of groups after: killed in between, nobody is missing.
    _create_groups(school_id, roster)
    group_table.save_memberships(school_id, added=members.keys() - members_before, removed=())
    people_table.save_words(school_id, (one.after.record for one in writes if one.before is None))
    for one in writes:
        _save_person(school, roster, by_hand, one, now)
    group_table.save_memberships(school_id, added=(), removed=members_before - members.keys())
    _settle_groups(school_id, roster, Counter((group_id, who) for (group_id, _), who in members.items()))

    # 5. Say what became of it.
    done = Import(
        id=import_id,
        state=ImportState.DONE,
        started_at=begun.started_at,
        counts=_count(writes),
        bad_rows=roster.bad_rows[:BAD_ROWS_SHOWN],
        bad_rows_count=roster.bad_rows_count,
    )
    import_table.save_result(school_id, done, clock())
    return _get(school_id, import_id)


def _plan_writes(before: Mapping[str, Person], roster: Roster, by_hand: MadeByHand, now: datetime) -> list[_Write]:
    """Everybody of the directory and the roster, by id, those who stay as they are included."""
    return [
        _plan_write(before.get(person_id), roster, by_hand, person_id, now)
        for person_id in sorted(before.keys() | roster.people.keys())
    ]


def _find_by_hand(school_id: str, before: Mapping[str, Person]) -> MadeByHand:
    """What the school made itself, which no import takes away."""
    return MadeByHand(
        groups=custom_among(group.record.id for group in group_table.list_groups(school_id)),
        people={
            person.id: person.record
            for person in before.values()
            if person.source is Source.SCHOOL and person.left_at is None
        },
    )


def _plan_write(before: Person | None, roster: Roster, by_hand: MadeByHand, person_id: str, now: datetime) -> _Write:
    """How one person is to be; they are in the roster, in the directory, or in both."""
    if before is None:
        return _Write(None, Person(roster.people[person_id], switch=None, left_at=None, version=0))
    if person_id in roster.people:
        said = record_after(before.record, roster, person_id, by_hand)
        record, correction = record_after_correction(said, before.correction)
        after = replace(before, record=record, correction=correction, left_at=None, source=Source.ROSTER)
        return _Write(before, replace(after, erased_at=None))
    if before.left_at is not None:
        return _Write(before, before)
    if before.source is Source.SCHOOL:
        return _Write(before, replace(before, record=record_by_hand_after(before.record, roster, by_hand)))
    if is_gone(roster, person_id):
        return _Write(before, replace(before, record=record_of_gone(before.record), left_at=now))
    return _Write(before, before)


def _members_of(writes: Iterable[_Write]) -> dict[tuple[str, str], Who]:
    """Who is in which group in the end, by (group, person); whoever left is in none."""
    return {
        (group_id, one.after.id): WHO_OF_ROLE[one.after.record.role]
        for one in writes
        if one.after.left_at is None
        for group_id in one.after.record.groups
    }


def _members_before(school_id: str, roster: Roster) -> set[tuple[str, str]]:
    group_ids = {group.record.id for group in group_table.list_groups(school_id)} | roster.groups.keys()
    return {
        (group_id, person_id)
        for group_id in group_ids
        for person_id in group_table.list_all_member_ids(school_id, group_id)
    }


def _count(writes: Iterable[_Write]) -> dict[str, int]:
    """How many of each change; who had gone before is not counted again."""
    counts = Counter(one.change for one in writes if one.after.left_at is None or one.change is Change.GONE)
    return {change.value: counts[change] for change in Change}


def _save_person(school: School, roster: Roster, by_hand: MadeByHand, planned: _Write, now: datetime) -> None:
    """Writes one record if its row is as it was read; else it is read and planned again."""
    one, person_id = planned, planned.after.id
    for _ in range(WRITE_ATTEMPTS_MAX):
        if not one.is_to_be_made or _is_saved(school, one, now):
            return
        one = _plan_write(people_table.find_person(school.id, person_id), roster, by_hand, person_id, now)
    raise RowKeepsChangingError(person_id)


def _is_saved(school: School, one: _Write, now: datetime) -> bool:
    if one.before is None:
        return people_table.create_person(school.id, school.shards, one.after.record, words_are_there=True)
    return people_records.save_person(school, one.before, one.after, by=ROSTER, at=now)


def _create_groups(school_id: str, roster: Roster) -> None:
    known = {group.record.id for group in group_table.list_groups(school_id)}
    for record in roster.groups.values():
        if record.id not in known:
            group_table.save_group(school_id, Group(record, dict.fromkeys(Who, 0)), before=None)


def _settle_groups(school_id: str, roster: Roster, members: Counter[tuple[str, Who]]) -> None:
    """Names and counts as they are now; a group that no roster names goes once nobody is in it, but for custom ones.

    Refused means that another import has settled it in between: the later one's word stands.
    """
    for before in group_table.list_groups(school_id):
        record = roster.groups.get(before.record.id, before.record)
        after = replace(before, record=record, members={who: members[record.id, who] for who in Who})
        is_left_over = record.id not in roster.groups and not is_custom_group(record.id)
        if is_left_over and not any(after.members.values()):
            group_table.delete_group(school_id, before)
        elif after != before:
            group_table.save_group(school_id, after, before)


def _get(school_id: str, import_id: str) -> Import:
    found = import_table.find_import(school_id, import_id)
    if found is None:
        raise NotFound("There is no such import")
    return found


@contextmanager
def _uploaded(key: str) -> Iterator[IO[bytes]]:
    """The zip, copied off S3: reading a zip jumps about in it."""
    body = client("s3").get_object(Bucket=SETTINGS.import_bucket, Key=key)["Body"]
    with tempfile.TemporaryFile() as archive:
        count = 0
        for chunk in body.iter_chunks(CHUNK_BYTES):
            count += len(chunk)
            if count > ARCHIVE_BYTES_MAX:
                detail = f"A roster may have {ARCHIVE_BYTES_MAX // 1024 // 1024} MB"
                raise InvalidRequest("The roster cannot be read", fields=[FieldProblem("", "file_too_large", detail)])
            archive.write(chunk)
        archive.seek(0)
        yield archive
