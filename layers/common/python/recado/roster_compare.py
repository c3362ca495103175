"""What a roster would change in a directory: read and compared, nothing written."""

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import IO, override

from recado import import_files
from recado.import_holds import Hold
from recado.rules import roster_diff
from recado.rules.audience import WHO_OF_ROLE, Who
from recado.rules.custom_groups import custom_among, is_custom_group
from recado.rules.import_states import ImportState
from recado.rules.number_corrections import record_after_correction
from recado.rules.oneroster import Roster, read_roster
from recado.rules.roster_changes import (
    Change,
    MadeByHand,
    Source,
    is_gone,
    record_after,
    record_by_hand_after,
    record_of_gone,
)
from recado.rules.roster_diff import Counts, Difference, Kind
from recado.tables import groups as group_table
from recado.tables import people as people_table
from recado.tables.imports import Progress
from recado.tables.people import Person

COMPARED = 500  # people compared between two looks at it
READ_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Write:
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
        """Also when nobody sees a difference: whom a search does not find yet, a correction that counts no more."""
        return self.after != self.before or self.after.words != self.after.wanted_words


@dataclass(frozen=True, slots=True)
class Plan:
    """What applying a roster would do. `writes`: whoever comes or changes, then whoever goes; `members`: who is in each
    group in the end; `counts` by kind and change; `here`: the roster's people who are there now."""

    writes: Sequence[Write]
    members: Mapping[str, Mapping[str, Who]]
    counts: Counts
    here: int
    by_hand: MadeByHand

    @property
    def gone(self) -> int:
        return roster_diff.people_counts(self.counts)[Change.GONE.value]


def read(hold: Hold) -> tuple[Roster, dict[str, str]]:
    """The roster and what its files were. Raises InvalidRequest, UploadChanged."""
    etags: dict[str, str] = {}
    read = [0]

    def count(size: int) -> None:
        read[0] += size
        if hold.one.state is ImportState.CHECKING:
            hold.keep(Progress("reading", read[0]))
        else:
            hold.keep(hold.one.progress)

    with import_files.open_uploads(hold.school.id, hold.one, etags) as files:
        counted = {name: io.BufferedReader(_Counted(stream, count), READ_BYTES) for name, stream in files.items()}
        return read_roster(counted, hold.school.country, hold.one.started_at.date()), etags


class _Counted(io.RawIOBase):
    """Says how much of a stream has been read."""

    def __init__(self, inner: IO[bytes], count: Callable[[int], None]) -> None:
        super().__init__()
        self._inner, self._count = inner, count

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: "bytearray | memoryview", /) -> int:  # type: ignore[override]  # narrower on purpose
        piece = self._inner.read(len(buffer))
        buffer[: len(piece)] = piece
        self._count(len(piece))
        return len(piece)


def compare(hold: Hold, roster: Roster, show: Callable[[Difference], None]) -> Plan:
    """What the roster changes in the directory as it is now; each difference is shown once."""
    school_id, at = hold.school.id, hold.one.applied_at or hold.one.started_at
    everybody = {}
    for person in people_table.list_everybody(school_id):
        everybody[person.id] = person
        if len(everybody) % COMPARED == 0:
            hold.keep(_comparing(hold, len(everybody)))
    groups = {group.record.id: group.record for group in group_table.list_groups(school_id)}
    by_hand = _find_by_hand(groups.keys(), everybody.values())

    counts = roster_diff.no_counts()
    members: dict[str, dict[str, Who]] = {group_id: {} for group_id in groups.keys() | roster.groups.keys()}
    coming: list[Write] = []
    going: list[Write] = []
    for position, person_id in enumerate(sorted(everybody.keys() | roster.people.keys())):
        if position % COMPARED == 0:
            hold.keep(_comparing(hold, position))
        one = plan_write(everybody.get(person_id), roster, by_hand, person_id, at)
        _count_and_show(one, counts, show)
        if one.after.left_at is None:
            for group_id in one.after.record.groups:
                members.setdefault(group_id, {})[person_id] = WHO_OF_ROLE[one.after.record.role]
        if one.is_to_be_made:
            (going if one.change is Change.GONE else coming).append(one)
    for group_id in sorted(members):
        gone = group_id not in roster.groups and not is_custom_group(group_id) and not members[group_id]
        after = None if gone else roster.groups.get(group_id, groups.get(group_id))
        found = roster_diff.group_difference(groups.get(group_id), after)
        counts[Kind.GROUPS.value][(found.change if found else Change.UNCHANGED).value] += 1
        if found is not None:
            show(found)
    here = sum(1 for one in everybody.values() if one.left_at is None and one.source is Source.ROSTER)
    return Plan([*coming, *going], members, counts, here, by_hand)


def _comparing(hold: Hold, people: int) -> Progress:
    is_writing = hold.one.state is ImportState.APPLYING
    return hold.one.progress if is_writing else Progress("comparing", people)


def _count_and_show(one: Write, counts: dict[str, dict[str, int]], show: Callable[[Difference], None]) -> None:
    """Who had left before and is not back is neither counted nor shown."""
    if one.after.left_at is not None and one.change is not Change.GONE:
        return
    counts[roster_diff.kind_of(one.after.record).value][one.change.value] += 1
    before = one.before
    if one.change is not Change.UNCHANGED:
        left_at = before.left_at if before else None
        show(roster_diff.person_difference(before.record if before else None, one.after.record, one.change, left_at))


def _find_by_hand(group_ids: Iterable[str], everybody: Iterable[Person]) -> MadeByHand:
    """What the school made itself, which no import takes away."""
    return MadeByHand(
        groups=custom_among(group_ids),
        people={
            person.id: person.record
            for person in everybody
            if person.source is Source.SCHOOL and person.left_at is None
        },
    )


def plan_write(before: Person | None, roster: Roster, by_hand: MadeByHand, person_id: str, now: datetime) -> Write:
    """How one person is to be; they are in the roster, in the directory, or in both."""
    if before is None:
        return Write(None, Person(roster.people[person_id], switch=None, left_at=None, version=0))
    if person_id in roster.people:
        said = record_after(before.record, roster, person_id, by_hand)
        record, correction = record_after_correction(said, before.correction)
        after = replace(before, record=record, correction=correction, left_at=None, source=Source.ROSTER)
        return Write(before, replace(after, erased_at=None))
    if before.left_at is not None:
        return Write(before, before)
    if before.source is Source.SCHOOL:
        return Write(before, replace(before, record=record_by_hand_after(before.record, roster, by_hand)))
    if is_gone(roster, person_id):
        return Write(before, replace(before, record=record_of_gone(before.record), left_at=now))
    return Write(before, before)


def memberships(hold: Hold, roster: Roster, plan: Plan) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """(group, person) to add and to take away, group by group: also what a killed import left of them is healed."""
    added: list[tuple[str, str]] = []
    removed: list[tuple[str, str]] = []
    for group_id in sorted(plan.members.keys() | roster.groups.keys()):
        wanted = plan.members.get(group_id, {})
        there = set(group_table.list_all_member_ids(hold.school.id, group_id))
        added += [(group_id, person_id) for person_id in wanted.keys() - there]
        removed += [(group_id, person_id) for person_id in there - wanted.keys()]
        hold.keep(hold.one.progress)
    # By person: a batch is then spread over the partitions of many groups.
    return sorted(added, key=_by_person), sorted(removed, key=_by_person)


def _by_person(membership: tuple[str, str]) -> tuple[str, str]:
    return membership[1], membership[0]
