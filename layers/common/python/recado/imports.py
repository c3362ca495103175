"""A school's roster imports, as its office runs them: ask for an upload, see what would change, apply or discard it.

It must never read a roster nor change a person: that is the worker's (roster_import.py), which a job wakes.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import product

from recado import import_files, log
from recado.access import Caller
from recado.errors import (
    FieldProblem,
    IdempotencyKeyReused,
    ImportRunning,
    InvalidRequest,
    ManyWouldGo,
    NotAllowed,
    NotFound,
    StillRunning,
    WrongState,
)
from recado.events import NewEvent
from recado.queues import put_jobs
from recado.rules import import_states, roles, roster_diff
from recado.rules.event_types import EventType
from recado.rules.import_states import ZIP, ImportState
from recado.rules.oneroster import BadRow
from recado.rules.roster_changes import Change
from recado.rules.roster_diff import LISTED, Difference, Kind
from recado.settings import SETTINGS
from recado.tables import imports as table
from recado.tables.base import Transaction
from recado.tables.imports import Import

PAGE = 100
LIST_PAGE = 20
UPLOAD_TIME = timedelta(minutes=15)
LOOK_AGAIN = timedelta(seconds=30)  # less than a minute: each minute's run looks
ATTEMPTS_MAX = 5
OWED_MAX = 1000  # imports that one minute's run looks at; the next takes the rest


class _Moved(Exception):  # not an error: read again
    """Somebody else wrote the import in between."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the portal PUTs one file."""

    file: str
    url: str


def create_import(caller: Caller, files: Sequence[str], request_key: str, now: datetime, *, is_first: bool) -> Import:
    """Begins an import that waits for its files. Raises NotAllowed, InvalidRequest, IdempotencyKeyReused."""
    check_caller(caller)
    import_states.check_files(files)
    new = Import(
        id=_id(caller.school_id, request_key),
        state=ImportState.WAITING_FOR_UPLOAD,
        started_at=now,
        started_by=caller.subject,
        files=tuple(files),
        upload_until=now + UPLOAD_TIME,
    )
    try:
        with Transaction() as write:
            table.create_import(write, caller.school_id, new, _Moved())
            # Also when no word of the upload ever comes: then it is looked whether the files are there.
            table.owe(write, caller.school_id, new.id, now + UPLOAD_TIME + LOOK_AGAIN)
    except _Moved:
        found = get_import(caller, new.id)
        # There already: our own write whose answer was lost, a repeat, or a key of more than a day ago.
        if found.files != new.files or (is_first and found.started_at != now):
            raise IdempotencyKeyReused from None
        return found
    return new


def list_addresses(caller: Caller, one: Import, now: datetime) -> list[Address]:
    """Where to put the files that are not there yet, signed until the upload's time is over."""
    seconds = int((one.upload_until - now).total_seconds()) if one.upload_until else 0
    if one.state is not ImportState.WAITING_FOR_UPLOAD or seconds <= 0:
        return []
    return [
        Address(file, import_files.upload_address(caller.school_id, one.id, file, seconds))
        for file in one.files
        if file not in one.uploaded
    ]


def get_import(caller: Caller, import_id: str) -> Import:
    """Where an import stands. Raises NotFound, also for another school's."""
    check_caller(caller)
    found = table.find_import(caller.school_id, import_id)
    if found is None:
        raise NotFound("There is no such import")
    return found


def list_imports(caller: Caller, cursor: str | None) -> tuple[list[Import], str | None]:
    """A page of the school's imports, newest first, and the next page's cursor."""
    check_caller(caller)
    return table.list_imports(caller.school_id, limit=LIST_PAGE, before=cursor)


def list_differences(
    caller: Caller, import_id: str, kind: Kind | None, change: Change | None, cursor: str | None
) -> tuple[list[Difference], str | None]:
    """A page of what would change (or did), by kind and change, and the next page's cursor.

    Raises NotFound, also when it is kept no longer; WrongState while there is no diff; InvalidRequest for a cursor that
    is none of this list's.
    """
    one = get_import(caller, import_id)
    if one.state is ImportState.DISCARDED:
        raise NotFound("The import was discarded, and what it found with it")
    if change is not None and change not in LISTED:
        raise InvalidRequest(fields=[FieldProblem("/query/change", "not_listed", "new, changed or gone")])
    if not one.counts:
        raise WrongState(f"The import is {one.state.value}; there is no diff")
    places = list(product([kind] if kind else Kind, [change] if change else LISTED))
    place, position = _read_cursor(cursor, places)
    found: list[Difference] = []
    for at in places[places.index(place) :]:
        total = one.counts.get(at[0].value, {}).get(at[1].value, 0)
        while position < total:
            page, start = divmod(position, import_files.PAGE)
            some = import_files.list_differences(caller.school_id, one.id, *at, page)
            taken = some[start : start + PAGE - len(found)]
            found += taken
            position += len(taken)
            if len(found) == PAGE or not taken:
                return found, _following(places, at, position, one)
        position = 0
    return found, None


def list_bad_rows(caller: Caller, import_id: str, start: int = 0) -> tuple[list[BadRow], int | None]:
    """A page of the rows that were not used, from this one on, and where the next page starts. Raises NotFound."""
    one = get_import(caller, import_id)
    if one.state is ImportState.DISCARDED:
        raise NotFound("The import was discarded, and what it found with it")
    if not one.bad_rows_count:
        return [], None
    found = import_files.list_bad_rows(caller.school_id, one.id)
    return found[start : start + PAGE], start + PAGE if len(found) > start + PAGE else None


def list_all_bad_rows(caller: Caller, import_id: str) -> list[BadRow]:
    """All that are kept of them, for a file. Raises NotFound."""
    found: list[BadRow] = []
    start: int | None = 0
    while start is not None:
        some, start = list_bad_rows(caller, import_id, start)
        found += some
    return found


def check_import(caller: Caller, import_id: str, now: datetime) -> Import:
    """Says that all files are there. Asked again it is the same. Raises NotFound, WrongState naming what is missing."""
    one = get_import(caller, import_id)
    if one.state is not ImportState.WAITING_FOR_UPLOAD:
        if one.state.has_ended:
            raise WrongState(f"The import is {one.state.value}")
        return one
    missing = sorted(set(one.files) - import_files.list_uploaded(caller.school_id, one.id))
    if missing:
        raise WrongState("Not all files are there", members={"missing": missing})
    begin_check(caller.school_id, one, now)
    wake(caller.school_id, one.id)
    return get_import(caller, import_id)


def apply_import(caller: Caller, import_id: str, now: datetime, *, confirm_gone: bool) -> Import:
    """Has the import applied. Asked again it is the same.

    Raises NotFound, WrongState, ManyWouldGo when nobody confirmed that so many leave, ImportRunning while another
    import of the school is applied, StillRunning when the import keeps changing underneath.
    """
    one = get_import(caller, import_id)
    if import_states.is_applied_already(one.state):
        wake(caller.school_id, one.id)  # whoever asked first may have died before this
        return one
    gone = roster_diff.people_counts(one.counts)[Change.GONE.value]
    if import_states.would_go_unasked(gone, one.here) and not confirm_gone:
        raise ManyWouldGo(members={"gone": gone, "of": one.here})
    after = replace(
        one,
        state=ImportState.APPLYING,
        applied_by=caller.subject,
        applied_at=now,
        gone_confirmed=confirm_gone,
        attempts=0,
    )
    try:
        with Transaction() as write:
            after = table.save_import_in(write, caller.school_id, after, one, _Moved())
            table.lock(write, caller.school_id, one.id, ImportRunning("Another import of the school is being applied"))
            table.owe(write, caller.school_id, one.id, now + LOOK_AGAIN)
    except _Moved:
        found = get_import(caller, import_id)
        if not import_states.is_applied_already(found.state):
            raise StillRunning("The import is being changed", retry_after_seconds=1) from None
        after = found
    wake(caller.school_id, one.id)
    return after


def discard_import(caller: Caller, import_id: str, now: datetime) -> Import:
    """Ends an import without applying it and deletes its files and what they said. Asked again it is the same.

    Raises NotFound, WrongState once it is being applied, StillRunning when it keeps changing underneath.
    """
    one = get_import(caller, import_id)
    if not import_states.is_discarded_already(one.state):
        after = replace(
            one,
            state=ImportState.DISCARDED,
            discarded_by=caller.subject,
            finished_at=now,
            owner=None,
            lease_until=None,
        )
        try:
            with Transaction() as write:
                table.save_import_in(write, caller.school_id, after, one, _Moved())
                table.owe(write, caller.school_id, one.id, now + LOOK_AGAIN)
        except _Moved:
            raise StillRunning("The import is being changed", retry_after_seconds=1) from None
    tidy(caller.school_id, get_import(caller, import_id))
    return get_import(caller, import_id)


# --- for the worker and the minute's run --------------------------------------------------------------------


def begin_check(school_id: str, one: Import, now: datetime) -> bool:
    """All files of an import are there: it is to be compared. False when somebody else said so."""
    after = replace(one, state=ImportState.CHECKING, uploaded=one.files)
    try:
        with Transaction() as write:
            table.save_import_in(write, school_id, after, one, _Moved())
            table.owe(write, school_id, one.id, now + LOOK_AGAIN)
    except _Moved:
        return False
    return True


def create_at_once(school_id: str, import_id: str, now: datetime) -> None:
    """Begins the import of a zip that the operator has put there, to be applied without being asked; only once."""
    new = Import(import_id, ImportState.CHECKING, now, started_by="operator", at_once=True, files=(ZIP,))
    try:
        with Transaction() as write:
            table.create_import(write, school_id, new, _Moved())
            table.owe(write, school_id, import_id, now + LOOK_AGAIN)
    except _Moved:
        return


def tidy(school_id: str, one: Import) -> None:
    """Deletes what an ended import needs no more: the uploads, and of a discarded one all that they said."""
    if not one.state.has_ended:
        return
    if not one.at_once:  # the operator's own zip is the operator's to delete
        import_files.delete_uploads(school_id, one.id)
    if one.state is ImportState.DISCARDED:
        import_files.delete_differences(school_id, one.id)
    table.forget_owed(school_id, one.id)


def wake(school_id: str, import_id: str) -> None:
    """Puts a job for the worker. A job too many is dropped by whoever gets it."""
    put_jobs(SETTINGS.roster_queue_url, [{"school": school_id, "import": import_id}], group=school_id)


def take_up(now: datetime) -> int:
    """Each minute: a fresh job for every import that owes a step and that nobody is at; returns how many."""
    taken_up = 0
    for school_id, import_id, seen in table.list_owed(now, limit=OWED_MAX):
        one = table.find_import(school_id, import_id)
        if one is None or one.state is ImportState.READY:
            table.forget_owed(school_id, import_id, seen=seen)
            continue
        is_nobody_at_it = one.lease_until is None or one.lease_until <= now
        pause = LOOK_AGAIN * 2 ** min(one.attempts, ATTEMPTS_MAX) if is_nobody_at_it else LOOK_AGAIN
        if table.move_owed(school_id, import_id, seen=seen, look_at=now + pause) and is_nobody_at_it:
            wake(school_id, import_id)
            log.outcome("import_taken_up", school=school_id, import_id=import_id, state=one.state.value)
            taken_up += 1
    return taken_up


def told(event_type: EventType, one: Import, now: datetime, **facts: str | int | None) -> NewEvent:
    """What a portal is told of a step of an import. Its row changes with it, under its version: once."""
    return NewEvent(event_type, None, now, {"import": one.id, **facts})


def figures(one: Import) -> dict[str, int]:
    """What a comparison found, in figures: people by what becomes of them, and rows that are not used."""
    people = roster_diff.people_counts(one.counts)
    return {f"people_{change.value}": people[change.value] for change in LISTED} | {"bad_rows": one.bad_rows_count}


def failed(refused: Import, now: datetime) -> NewEvent:
    """The event of an import that could not be used as a whole: the first problem's code, and how many there are."""
    code = refused.problems[0].code if refused.problems else None
    return told(EventType.IMPORT_FAILED, refused, now, code=code, problems=len(refused.problems))


# --- the steps ----------------------------------------------------------------------------------------------


def check_caller(caller: Caller) -> None:
    """A roster holds everybody's numbers: for those in charge only. Raises NotAllowed."""
    if not roles.may_edit_people(caller.role):
        raise NotAllowed


def _id(school_id: str, request_key: str) -> str:
    # A key is the caller's own text: its hash is short, and the same for every repeat.
    return f"i{hashlib.sha256(f'import|{school_id}|{request_key}'.encode()).hexdigest()[:25]}"


type _Place = tuple[Kind, Change]


def _read_cursor(cursor: str | None, places: Sequence[_Place]) -> tuple[_Place, int]:
    if cursor is None:
        return places[0], 0
    kind, _, rest = cursor.partition(".")
    change, _, position = rest.partition(".")
    for place in places:
        if (place[0].value, place[1].value) == (kind, change) and position.isdecimal() and len(position) < 9:
            return place, int(position)
    raise InvalidRequest(fields=[FieldProblem("/query/cursor", "unknown", "`next` of the page before")])


def _following(places: Sequence[_Place], place: _Place, position: int, one: Import) -> str | None:
    """The cursor of what comes after this position; None at the end."""
    counts = one.counts
    if position < counts.get(place[0].value, {}).get(place[1].value, 0):
        return f"{place[0].value}.{place[1].value}.{position}"
    for kind, change in places[places.index(place) + 1 :]:
        if counts.get(kind.value, {}).get(change.value, 0):
            return f"{kind.value}.{change.value}.0"
    return None
