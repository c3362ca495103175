"""Brings a school's directory to what a roster says: compares, and applies when told. Twice, or killed, ends the same.

It must never touch what the roster does not own: a person's SMS switch and a number's opt-out survive every import.
There is no cursor: what a killed or slow worker has done shows in the rows, and whoever goes on finds the rest.
"""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from recado import events, import_files, import_holds, imports, log, roster_compare, roster_writing
from recado.clock import Clock
from recado.errors import FieldProblem, InvalidRequest, NotFound
from recado.events import NewEvent
from recado.import_files import UploadChanged
from recado.import_holds import Hold, LostHold, OutOfTime, TimeLeft
from recado.roster_compare import Plan
from recado.roster_writing import RowKeepsChangingError, Writing
from recado.rules import import_states
from recado.rules.event_types import EventType
from recado.rules.import_states import ImportState
from recado.rules.oneroster import Roster
from recado.tables import imports as table
from recado.tables import schools as school_table
from recado.tables.base import Transaction
from recado.tables.imports import Import, Progress

UPLOAD_ATTEMPTS_MAX = 20  # files of one import that arrive at the same moment write the same row


class _Moved(Exception):  # not an error: read again
    """Somebody else wrote the import in between."""


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
    except OutOfTime:
        _hand_on(hold)
    except LostHold:
        log.outcome("import_lost", school=school_id, import_id=import_id)

    # 3. What an ended one needs no more.
    one = _get(school_id, import_id)
    imports.tidy(school_id, one)
    return one


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


def _take(school_id: str, import_id: str, clock: Clock, time_left: TimeLeft) -> Hold | None:
    one, school, now = _get(school_id, import_id), school_table.find_school(school_id), clock()
    is_held = one.lease_until is not None and now < one.lease_until
    if school is None or is_held or one.state in (ImportState.READY, ImportState.WAITING_FOR_UPLOAD):
        return None
    taken = replace(one, owner=secrets.token_hex(8), lease_until=now + import_holds.LEASE, attempts=one.attempts + 1)
    saved = table.save_import(school_id, taken, one)
    return None if saved is None else Hold(school, saved, clock, time_left)


def _step(hold: Hold) -> None:
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


def _compare_and_show(hold: Hold) -> None:
    """What would change is kept for the school to see; an operator's own zip goes on by itself."""
    if hold.one.attempts > imports.ATTEMPTS_MAX:
        raise InvalidRequest(fields=[FieldProblem("", "gave_up", "Reading it failed again and again")])
    roster, etags = roster_compare.read(hold)
    plan = _show(hold, roster)
    is_asked = hold.one.at_once and not import_states.would_go_unasked(plan.gone, plan.here)
    if is_asked:
        hold.save(**_shown(roster, plan), etags=etags, state=ImportState.WAITING, applied_at=hold.one.started_at)
        return
    _let_the_school_decide(hold, **_shown(roster, plan), etags=etags)


def _show(hold: Hold, roster: Roster) -> Plan:
    pages = import_files.Pages(hold.school.id, hold.one.id)
    plan = roster_compare.compare(hold, roster, pages.add)
    pages.finish()
    import_files.save_bad_rows(hold.school.id, hold.one.id, roster.bad_rows)
    return plan


def _shown(roster: Roster, plan: Plan) -> dict[str, Any]:
    return {"counts": plan.counts, "here": plan.here, "bad_rows_count": roster.bad_rows_count}


def _let_the_school_decide(hold: Hold, *, unlock: bool = False, **changes: Any) -> None:
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
            table.unlock(write, hold.school.id, one.id, LostHold())

    hold.commit(one, imports.told(EventType.IMPORT_READY, one, hold.clock(), **imports.figures(one)), save)


def _begin_applying(hold: Hold) -> None:
    """One import of a school at a time; the others wait and are looked at again."""
    try:
        with Transaction() as write:
            after = hold.save_in(write, state=ImportState.APPLYING, lease_until=hold.clock() + import_holds.LEASE)
            table.lock(write, hold.school.id, hold.one.id, _Moved())
    except _Moved:
        hold.save(owner=None, lease_until=None, attempts=0)
        return
    hold.one = after


def _apply(hold: Hold) -> None:
    # 1. The same files as were compared, against the directory as it is now.
    roster, _ = roster_compare.read(hold)
    plan = roster_compare.compare(hold, roster, lambda _: None)
    is_first = hold.one.progress.step != "writing"
    if is_first and not hold.one.gone_confirmed and import_states.would_go_unasked(plan.gone, plan.here):
        # The directory has changed since somebody said yes: they are asked again.
        _let_the_school_decide(hold, unlock=True, **_shown(roster, _show(hold, roster)))
        return

    # 2. Into groups before the records say so and out of them after: killed in between, nobody is missing.
    writing = Writing(hold, len(plan.writes), is_first=is_first)
    roster_writing.create_groups(hold.school.id, roster)
    added, removed = roster_compare.memberships(hold, roster, plan)
    writing.add_memberships(added)
    writing.save_people(roster, plan)
    writing.remove_memberships(removed)
    roster_writing.settle_groups(hold.school.id, roster, plan.members)

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


def _refuse(hold: Hold, problems: Sequence[FieldProblem]) -> None:
    refused = replace(
        hold.one,
        state=ImportState.REFUSED,
        problems=tuple(problems),
        finished_at=hold.clock(),
        owner=None,
        lease_until=None,
    )
    _end(hold, refused, imports.failed(refused, hold.clock()))


def _end(hold: Hold, ended: Import, told: NewEvent) -> None:
    def save(write: Transaction) -> None:
        hold.put(write, ended)
        if ended.applied_at is not None:
            table.unlock(write, hold.school.id, ended.id, LostHold())

    hold.commit(ended, told, save)


def _hand_on(hold: Hold) -> None:
    """To a fresh run of the function, with all its time."""
    hold.save(owner=None, lease_until=None, attempts=0)
    imports.wake(hold.school.id, hold.one.id)


def _get(school_id: str, import_id: str) -> Import:
    found = table.find_import(school_id, import_id)
    if found is None:
        raise NotFound("There is no such import")
    return found
