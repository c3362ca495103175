"""Brings a school's directory to what a roster says: compares, and applies when told. Twice, or killed, ends the same.

It must never touch what the roster does not own: a person's SMS switch and a number's opt-out survive every import.
There is no cursor: what a killed or slow worker has done shows in the rows, and whoever goes on finds the rest.
"""

import io
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import batched
from typing import IO, Any, override

from recado import events, import_files, imports, log, people_records
from recado.clock import Clock
from recado.errors import FieldProblem, InvalidRequest, NotFound
from recado.events import NewEvent
from recado.import_files import UploadChanged
from recado.rules import import_states, roster_diff
from recado.rules.audience import WHO_OF_ROLE, Who
from recado.rules.custom_groups import custom_among, is_custom_group
from recado.rules.event_types import EventType
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
from recado.tables import imports as table
from recado.tables import people as people_table
from recado.tables import schools as school_table
from recado.tables.base import Transaction
from recado.tables.groups import Group
from recado.tables.imports import Import, Progress
from recado.tables.people import Person
from recado.tables.schools import School

WRITE_ATTEMPTS_MAX = 5
UPLOAD_ATTEMPTS_MAX = 20  # files of one import that arrive at the same moment write the same row
ROSTER = "roster"  # who changed it, in the notes of numbers and opt-outs
LEASE = timedelta(seconds=60)
RENEW_AFTER = timedelta(seconds=15)
LEASE_MARGIN = timedelta(seconds=20)  # a write that starts before it is over by the end of the lease
STOP_BEFORE = timedelta(seconds=60)  # of the function's time: the rest is for a fresh run
WRITERS = 8  # what one partition of DynamoDB takes, where all people of a school are
MEMBERSHIP_WRITERS = 4
SOME = 25  # people one writer takes at a time; after each round it is looked at the clock
COMPARED = 500  # people compared between two looks at it
MEMBERSHIP_BATCH = 500
READ_BYTES = 256 * 1024

type TimeLeft = Callable[[], timedelta]


class RowKeepsChangingError(RuntimeError):
    """Somebody else wrote the same row each time; the import is taken up again as a whole."""


class _LostHold(Exception):  # not an error: whoever has it goes on
    """The import is no longer this worker's."""


class _OutOfTime(Exception):  # not an error: a fresh run goes on
    """The function's time is nearly over."""


class _Moved(Exception):  # not an error: read again
    """Somebody else wrote the import in between."""


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
        """Also when nobody sees a difference: whom a search does not find yet, a correction that counts no more."""
        return self.after != self.before or self.after.words != self.after.wanted_words


@dataclass(frozen=True, slots=True)
class _Plan:
    """What applying a roster would do. `writes`: whoever comes or changes, then whoever goes; `members`: who is in each
    group in the end; `counts` by kind and change; `here`: the roster's people who are there now."""

    writes: Sequence[_Write]
    members: Mapping[str, Mapping[str, Who]]
    counts: Counts
    here: int
    by_hand: MadeByHand

    @property
    def gone(self) -> int:
        return roster_diff.people_counts(self.counts)[Change.GONE.value]


class _Hold:
    """One worker's hold on an import: it renews its lease as it goes, and stops when it has lost it."""

    def __init__(self, school: School, one: Import, clock: Clock, time_left: TimeLeft) -> None:
        self.school, self.one, self.clock, self.time_left = school, one, clock, time_left
        self._renewed_at = clock()

    def save(self, **changes: Any) -> None:
        now = self.clock()
        after = replace(self.one, **{"lease_until": now + LEASE} | changes)
        saved = table.save_import(self.school.id, after, self.one)
        if saved is None:
            raise _LostHold
        self.one, self._renewed_at = saved, now

    def save_in(self, write: Transaction, **changes: Any) -> Import:
        return table.save_import_in(write, self.school.id, replace(self.one, **changes), self.one, _LostHold())

    def put(self, write: Transaction, after: Import) -> None:
        table.save_import_in(write, self.school.id, after, self.one, _LostHold())

    def commit(self, after: Import, told: NewEvent, add: Callable[[Transaction], None]) -> None:
        """A step that the portal hears of, with its event. `add` puts it; its writes may be put several times."""
        events.commit(self.school.id, told, add)
        self.one = replace(after, version=self.one.version + 1)

    def keep(self, progress: Progress, **changes: Any) -> None:
        """Says how far it is, every now and then."""
        if self.clock() - self._renewed_at >= RENEW_AFTER:
            self.save(progress=progress, **changes)

    def check(self) -> None:
        """Before each write: whoever was out for so long that another may be at it writes nothing more."""
        if self.one.lease_until is None or self.clock() > self.one.lease_until - LEASE_MARGIN:
            raise _LostHold

    def check_time(self) -> None:
        if self.time_left() < STOP_BEFORE:
            raise _OutOfTime


# --- what wakes the worker ------------------------------------------------------------------------------------


def import_roster(school_id: str, import_id: str, clock: Clock, time_left: TimeLeft) -> Import:
    """Compares and applies the operator's zip in one go; an import that has ended is left as it is.

    A roster that cannot be read as a whole ends `refused` and changes nothing; one after which most people would be
    gone stays `ready`, for the school to apply or discard. Raises NotFound: no such school.
    """
    if school_table.find_school(school_id) is None:
        raise NotFound("There is no such school")
    imports.create_at_once(school_id, import_id, clock())
    return work(school_id, import_id, clock, time_left)


def note_upload(school_id: str, import_id: str, file: str, clock: Clock, time_left: TimeLeft) -> Import:
    """A file of an import has arrived; with the last one it is compared. Raises NotFound: nobody asked for it."""
    for _ in range(UPLOAD_ATTEMPTS_MAX):
        one = _get(school_id, import_id)
        if one.state is not ImportState.WAITING_FOR_UPLOAD:
            return work(school_id, import_id, clock, time_left)
        if file not in one.files:
            raise NotFound("Nobody asked for this file")
        uploaded = {*one.uploaded, file}
        if uploaded == set(one.files):
            if imports.begin_check(school_id, one, clock()):
                return work(school_id, import_id, clock, time_left)
        elif saved := table.save_import(school_id, replace(one, uploaded=tuple(sorted(uploaded))), one):
            return saved
    raise RowKeepsChangingError(import_id)


def work(school_id: str, import_id: str, clock: Clock, time_left: TimeLeft) -> Import:
    """The next step of an import, as far as it goes; nothing when somebody is at it. Raises NotFound.

    Whatever ends it early, a death included, the minute's run (`imports.take_up`) brings somebody here again.
    """
    # 1. Is there anything to do, and is nobody at it?
    one = _get(school_id, import_id)
    if one.state.has_ended:
        imports.tidy(school_id, one)
        return one
    if one.state is ImportState.WAITING_FOR_UPLOAD and not _may_begin(school_id, one, clock()):
        return _get(school_id, import_id)
    hold = _take(school_id, import_id, clock, time_left)
    if hold is None:
        return _get(school_id, import_id)

    # 2. Compare, apply, or both.
    try:
        _step(hold)
    except _OutOfTime:
        _hand_on(hold)
    except _LostHold:
        log.outcome("import_lost", school=school_id, import_id=import_id)

    # 3. What an ended one needs no more.
    one = _get(school_id, import_id)
    imports.tidy(school_id, one)
    return one


# --- the steps ------------------------------------------------------------------------------------------------


def _may_begin(school_id: str, one: Import, now: datetime) -> bool:
    """An upload whose time is over: perhaps no word came of files that are there."""
    if one.upload_until is None or now < one.upload_until:
        return False
    missing = sorted(set(one.files) - import_files.list_uploaded(school_id, one.id))
    if not missing:
        return imports.begin_check(school_id, one, now)
    problems = tuple(FieldProblem(file, "not_uploaded", "The file did not come in time") for file in missing)
    refused = replace(one, state=ImportState.REFUSED, problems=problems, finished_at=now)
    try:
        events.commit(
            school_id,
            imports.failed(refused, now),
            lambda write: _put(write, school_id, refused, one),
        )
    except _Moved:
        return False
    imports.tidy(school_id, refused)
    return False


def _put(write: Transaction, school_id: str, after: Import, before: Import) -> None:
    table.save_import_in(write, school_id, after, before, _Moved())


def _take(school_id: str, import_id: str, clock: Clock, time_left: TimeLeft) -> _Hold | None:
    one, school, now = _get(school_id, import_id), school_table.find_school(school_id), clock()
    is_held = one.lease_until is not None and now < one.lease_until
    if school is None or is_held or one.state in (ImportState.READY, ImportState.WAITING_FOR_UPLOAD):
        return None
    taken = replace(one, owner=secrets.token_hex(8), lease_until=now + LEASE, attempts=one.attempts + 1)
    saved = table.save_import(school_id, taken, one)
    return None if saved is None else _Hold(school, saved, clock, time_left)


def _step(hold: _Hold) -> None:
    try:
        if hold.one.state is ImportState.CHECKING:
            _compare_and_show(hold)
        if hold.one.state is ImportState.WAITING:
            _begin_applying(hold)
        if hold.one.state is ImportState.APPLYING:
            _apply(hold)
    except InvalidRequest as refusal:
        _refuse(hold, refusal.fields)
    except UploadChanged:
        _refuse(hold, [FieldProblem("", "upload_changed", "The files are not those that were compared")])


def _compare_and_show(hold: _Hold) -> None:
    """What would change is kept for the school to see; an operator's own zip goes on by itself."""
    if hold.one.attempts > imports.ATTEMPTS_MAX:
        raise InvalidRequest(fields=[FieldProblem("", "gave_up", "Reading it failed again and again")])
    roster, etags = _read(hold)
    plan = _show(hold, roster)
    is_asked = hold.one.at_once and not import_states.would_go_unasked(plan.gone, plan.here)
    if is_asked:
        hold.save(**_shown(roster, plan), etags=etags, state=ImportState.WAITING, applied_at=hold.one.started_at)
        return
    _let_the_school_decide(hold, **_shown(roster, plan), etags=etags)


def _show(hold: _Hold, roster: Roster) -> _Plan:
    pages = import_files.Pages(hold.school.id, hold.one.id)
    plan = _compare(hold, roster, pages.add)
    pages.finish()
    import_files.save_bad_rows(hold.school.id, hold.one.id, roster.bad_rows)
    return plan


def _shown(roster: Roster, plan: _Plan) -> dict[str, Any]:
    return {"counts": plan.counts, "here": plan.here, "bad_rows_count": roster.bad_rows_count}


def _let_the_school_decide(hold: _Hold, *, unlock: bool = False, **changes: Any) -> None:
    one = replace(
        hold.one,
        **changes,
        state=ImportState.READY,
        progress=Progress(),
        owner=None,
        lease_until=None,
        attempts=0,
    )

    def save(write: Transaction) -> None:
        hold.put(write, one)
        table.forget_owed_in(write, hold.school.id, one.id)
        if unlock:
            table.unlock(write, hold.school.id, one.id, _LostHold())

    hold.commit(one, imports.told(EventType.IMPORT_READY, one, hold.clock(), **imports.figures(one)), save)


def _begin_applying(hold: _Hold) -> None:
    """One import of a school at a time; the others wait and are looked at again."""
    try:
        with Transaction() as write:
            after = hold.save_in(write, state=ImportState.APPLYING, lease_until=hold.clock() + LEASE)
            table.lock(write, hold.school.id, hold.one.id, _Moved())
    except _Moved:
        hold.save(owner=None, lease_until=None, attempts=0)
        return
    hold.one = after


def _apply(hold: _Hold) -> None:
    # 1. The same files as were compared, against the directory as it is now.
    roster, _ = _read(hold)
    plan = _compare(hold, roster, lambda _: None)
    is_first = hold.one.progress.step != "writing"
    if is_first and not hold.one.gone_confirmed and import_states.would_go_unasked(plan.gone, plan.here):
        # The directory has changed since somebody said yes: they are asked again.
        _let_the_school_decide(hold, unlock=True, **_shown(roster, _show(hold, roster)))
        return

    # 2. Into groups before the records say so and out of them after: killed in between, nobody is missing.
    writing = _Writing(hold, len(plan.writes), is_first=is_first)
    _create_groups(hold.school.id, roster)
    added, removed = _memberships(hold, roster, plan)
    writing.add_memberships(added)
    writing.save_people(roster, plan)
    writing.remove_memberships(removed)
    _settle_groups(hold.school.id, roster, plan.members)

    # 3. Say so, also to the portal, and let the next import of the school begin.
    done = replace(
        hold.one,
        state=ImportState.DONE,
        progress=Progress("writing", writing.total, writing.total),
        finished_at=hold.clock(),
        owner=None,
        lease_until=None,
        attempts=0,
    )
    _end(hold, done, imports.told(EventType.IMPORT_APPLIED, done, hold.clock(), **imports.figures(done)))


def _refuse(hold: _Hold, problems: Sequence[FieldProblem]) -> None:
    refused = replace(
        hold.one,
        state=ImportState.REFUSED,
        problems=tuple(problems),
        finished_at=hold.clock(),
        owner=None,
        lease_until=None,
    )
    _end(hold, refused, imports.failed(refused, hold.clock()))


def _end(hold: _Hold, ended: Import, told: NewEvent) -> None:
    def save(write: Transaction) -> None:
        hold.put(write, ended)
        if ended.applied_at is not None:
            table.unlock(write, hold.school.id, ended.id, _LostHold())

    hold.commit(ended, told, save)


def _hand_on(hold: _Hold) -> None:
    """To a fresh run of the function, with all its time."""
    hold.save(owner=None, lease_until=None, attempts=0)
    imports.wake(hold.school.id, hold.one.id)


# --- reading and comparing ------------------------------------------------------------------------------------


def _read(hold: _Hold) -> tuple[Roster, dict[str, str]]:
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


def _compare(hold: _Hold, roster: Roster, show: Callable[[Difference], None]) -> _Plan:
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
    coming: list[_Write] = []
    going: list[_Write] = []
    for position, person_id in enumerate(sorted(everybody.keys() | roster.people.keys())):
        if position % COMPARED == 0:
            hold.keep(_comparing(hold, position))
        one = _plan_write(everybody.get(person_id), roster, by_hand, person_id, at)
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
    return _Plan([*coming, *going], members, counts, here, by_hand)


def _comparing(hold: _Hold, people: int) -> Progress:
    is_writing = hold.one.state is ImportState.APPLYING
    return hold.one.progress if is_writing else Progress("comparing", people)


def _count_and_show(one: _Write, counts: dict[str, dict[str, int]], show: Callable[[Difference], None]) -> None:
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


def _memberships(hold: _Hold, roster: Roster, plan: _Plan) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
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


# --- writing --------------------------------------------------------------------------------------------------


class _Writing:
    """Writes in batches, several rows at a time; between batches it looks at the clock and says how far it is."""

    def __init__(self, hold: _Hold, left: int, *, is_first: bool) -> None:
        self._hold = hold
        self.total = left if is_first else max(hold.one.progress.total, left)
        self._done = self.total - left
        hold.save(progress=self._progress())

    def save_people(self, roster: Roster, plan: _Plan) -> None:
        hold = self._hold
        at = hold.one.applied_at or hold.one.started_at

        def save(some: Sequence[_Write]) -> None:
            hold.check()
            # Into searches before the records say so: killed in between, nobody is missing there either.
            people_table.save_words(hold.school.id, (one.after.record for one in some if one.before is None))
            for one in some:
                hold.check()
                _save_person(hold.school, roster, plan.by_hand, one, at)

        with ThreadPoolExecutor(WRITERS, thread_name_prefix="people") as threads:
            for batch in batched(plan.writes, SOME * WRITERS, strict=False):
                hold.check_time()
                _all(threads.map(save, batched(batch, SOME, strict=False)))
                self._done += len(batch)
                hold.keep(self._progress(), attempts=0)

    def add_memberships(self, added: Sequence[tuple[str, str]]) -> None:
        school_id = self._hold.school.id
        self._change_memberships(added, lambda some: group_table.save_memberships(school_id, added=some, removed=()))

    def remove_memberships(self, removed: Sequence[tuple[str, str]]) -> None:
        """But for those whose record names the group by now: somebody put them into it meanwhile."""
        school_id = self._hold.school.id

        def remove(some: Sequence[tuple[str, str]]) -> None:
            found = people_table.list_people_by_id(school_id, {person_id for _, person_id in some})
            groups = {one.id: one.record.groups for one in found if one.left_at is None}
            left = [(group_id, person_id) for group_id, person_id in some if group_id not in groups.get(person_id, ())]
            group_table.save_memberships(school_id, added=(), removed=left)

        self._change_memberships(removed, remove)

    def _change_memberships(
        self, memberships: Sequence[tuple[str, str]], change: Callable[[Sequence[tuple[str, str]]], None]
    ) -> None:
        hold = self._hold

        def change_some(some: Sequence[tuple[str, str]]) -> None:
            hold.check()
            change(some)

        with ThreadPoolExecutor(MEMBERSHIP_WRITERS, thread_name_prefix="memberships") as threads:
            for batch in batched(memberships, MEMBERSHIP_BATCH * MEMBERSHIP_WRITERS, strict=False):
                hold.check_time()
                _all(threads.map(change_some, batched(batch, MEMBERSHIP_BATCH, strict=False)))
                hold.keep(self._progress())

    def _progress(self) -> Progress:
        return Progress("writing", self._done, self.total)


def _all(results: Iterator[None]) -> None:
    """Waits for all of them; the first that failed speaks."""
    for _ in results:
        pass


def _save_person(school: School, roster: Roster, by_hand: MadeByHand, planned: _Write, at: datetime) -> None:
    """Writes one record if its row is as it was read; else it is read and planned again."""
    one, person_id = planned, planned.after.id
    for _ in range(WRITE_ATTEMPTS_MAX):
        if not one.is_to_be_made or _is_saved(school, one, at):
            return
        one = _plan_write(people_table.find_person(school.id, person_id), roster, by_hand, person_id, at)
    raise RowKeepsChangingError(person_id)


def _is_saved(school: School, one: _Write, at: datetime) -> bool:
    if one.before is None:
        return people_table.create_person(school.id, school.shards, one.after.record, words_are_there=True)
    return people_records.save_person(school, one.before, one.after, by=ROSTER, at=at)


def _create_groups(school_id: str, roster: Roster) -> None:
    known = {group.record.id for group in group_table.list_groups(school_id)}
    for record in roster.groups.values():
        if record.id not in known:
            group_table.save_group(school_id, Group(record, dict.fromkeys(Who, 0)), before=None)


def _settle_groups(school_id: str, roster: Roster, members: Mapping[str, Mapping[str, Who]]) -> None:
    """Names and counts as they are now; a group that no roster names goes once nobody is in it, but for custom ones.

    Refused means that the school has changed it in between: its word stands until the next import.
    """
    for before in group_table.list_groups(school_id):
        record = roster.groups.get(before.record.id, before.record)
        counted = Counter(members.get(record.id, {}).values())
        after = replace(before, record=record, members={who: counted[who] for who in Who})
        is_left_over = record.id not in roster.groups and not is_custom_group(record.id)
        if is_left_over and not counted:
            group_table.delete_group(school_id, before)
        elif after != before:
            group_table.save_group(school_id, after, before)


def _get(school_id: str, import_id: str) -> Import:
    found = table.find_import(school_id, import_id)
    if found is None:
        raise NotFound("There is no such import")
    return found
