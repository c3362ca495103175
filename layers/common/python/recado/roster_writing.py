"""Writes what a roster changes: people, memberships and groups, several rows at a time, each as it was read."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from itertools import batched

from recado import people_records, roster_compare
from recado.import_holds import Hold
from recado.roster_compare import Plan, Write
from recado.rules.audience import Who
from recado.rules.custom_groups import is_custom_group
from recado.rules.oneroster import Roster
from recado.rules.roster_changes import (
    MadeByHand,
)
from recado.tables import groups as group_table
from recado.tables import people as people_table
from recado.tables.groups import Group
from recado.tables.imports import Progress
from recado.tables.schools import School

WRITE_ATTEMPTS_MAX = 5
ROSTER = "roster"  # who changed it, in the notes of numbers and opt-outs
WRITERS = 8  # what one partition of DynamoDB takes, where all people of a school are
MEMBERSHIP_WRITERS = 4
SOME = 25  # people one writer takes at a time; after each round it is looked at the clock
MEMBERSHIP_BATCH = 500


class RowKeepsChangingError(RuntimeError):
    """Somebody else wrote the same row each time; the import is taken up again as a whole."""


class Writing:
    """Writes in batches, several rows at a time; between batches it looks at the clock and says how far it is."""

    def __init__(self, hold: Hold, left: int, *, is_first: bool) -> None:
        self._hold = hold
        self.total = left if is_first else max(hold.one.progress.total, left)
        self._done = self.total - left
        hold.save(progress=self._progress())

    def save_people(self, roster: Roster, plan: Plan) -> None:
        hold = self._hold
        at = hold.one.applied_at or hold.one.started_at

        def save(some: Sequence[Write]) -> None:
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


def _save_person(school: School, roster: Roster, by_hand: MadeByHand, planned: Write, at: datetime) -> None:
    """Writes one record if its row is as it was read; else it is read and planned again."""
    one, person_id = planned, planned.after.id
    for _ in range(WRITE_ATTEMPTS_MAX):
        if not one.is_to_be_made or _is_saved(school, one, at):
            return
        one = roster_compare.plan_write(people_table.find_person(school.id, person_id), roster, by_hand, person_id, at)
    raise RowKeepsChangingError(person_id)


def _is_saved(school: School, one: Write, at: datetime) -> bool:
    if one.before is None:
        return people_table.create_person(school.id, school.shards, one.after.record, words_are_there=True)
    return people_records.save_person(school, one.before, one.after, by=ROSTER, at=at)


def create_groups(school_id: str, roster: Roster) -> None:
    known = {group.record.id for group in group_table.list_groups(school_id)}
    for record in roster.groups.values():
        if record.id not in known:
            group_table.save_group(school_id, Group(record, dict.fromkeys(Who, 0)), before=None)


def settle_groups(school_id: str, roster: Roster, members: Mapping[str, Mapping[str, Who]]) -> None:
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
