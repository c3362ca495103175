"""Writing a person's record, whoever changes it: imports, the school's office, the person.

One transaction holds the row, the words that find it, the note of a changed number, and the opt-out that goes with it.
"""

from datetime import datetime
from functools import partial

from recado import events
from recado.events import NewEvent
from recado.rules.event_types import EventType
from recado.tables import number_changes as number_change_table
from recado.tables import opt_outs as opt_out_table
from recado.tables import people as people_table
from recado.tables.base import Transaction
from recado.tables.number_changes import NumberChange
from recado.tables.opt_outs import Note, NotedAlready
from recado.tables.people import Person, PersonChanged
from recado.tables.schools import School

SELF = "self"  # who changed it, when the person did


def save_person(school: School, before: Person, after: Person, *, by: str, at: datetime) -> bool:
    """Makes one person's record what `after` says; False when the row is no longer as it was read: read again."""
    if after.wanted_words == before.words and not _is_number_changed(before, after):
        return people_table.save_person(school.id, school.shards, before, after)
    try:
        told = moved_opt_out(before, after, by=by, at=at)
        save = partial(save_person_in, school=school, before=before, after=after, by=by, at=at)
        if told is None:
            with Transaction() as write:
                save(write)
        else:
            events.commit(school.id, told, save)
    except (PersonChanged, NotedAlready):
        return False
    return True


def moved_opt_out(before: Person, after: Person, *, by: str, at: datetime) -> NewEvent | None:
    """What a portal is told when a changed number takes its person's opt-out along; None: there is none, or no change.

    Opted out they stay: what is new is the number that it binds.
    """
    if before.record.number == after.record.number or after.sms_allowed:
        return None
    return opt_out_event(before.id, opted_out=True, is_own=by == SELF, at=at)


def opt_out_event(person_id: str, *, opted_out: bool, is_own: bool, at: datetime) -> NewEvent:
    """What a portal is told of a person's opt-out. Their row changes with it, under its version: once."""
    facts = {"person": person_id, "reply": None, "opted_out": int(opted_out), "by": "person" if is_own else "school"}
    return NewEvent(EventType.OPT_OUT_CHANGED, None, at, facts)


def save_person_in(write: Transaction, school: School, before: Person, after: Person, *, by: str, at: datetime) -> None:
    """The same as part of a transaction: a changed number is noted and takes the person's opt-out with it.

    Refused as PersonChanged when the row is no longer as it was read, NotedAlready when this very opt-out was moved
    before.
    """
    people_table.save_person_in(write, school.id, school.shards, before, after)
    if not _is_number_changed(before, after):
        return
    old, new = before.record, after.record
    change = NumberChange(at, by, old.number, old.typed_number, new.number, new.typed_number)
    number_change_table.create_change(write, school.id, before.id, before.version + 1, change)
    if old.number == new.number or after.sms_allowed:
        return
    cause = opt_out_table.person_cause(before.id)
    for number, is_new in ((old.number, False), (new.number, True)):
        if number is not None:
            note = Note(cause, added=is_new, by=by, at=at, reason="number_changed")
            opt_out_table.change_cause(write, school.id, number, note)


def _is_number_changed(before: Person, after: Person) -> bool:
    """Another number, or something else that is none; the same number typed otherwise is no change."""
    old, new = before.record, after.record
    return old.number != new.number or (new.number is None and old.typed_number != new.typed_number)
