"""Writing a person's record, whoever changes it: imports, the school's office, the person.

One transaction holds the row, the words that find it, the note of a changed number, and the opt-out that goes with it.
"""

from datetime import datetime

from recado.tables import number_changes as number_change_table
from recado.tables import opt_outs as opt_out_table
from recado.tables import people as people_table
from recado.tables.base import Transaction
from recado.tables.number_changes import NumberChange
from recado.tables.opt_outs import Note
from recado.tables.people import Person
from recado.tables.schools import School

SELF = "self"  # who changed it, when the person did


def save_person(write: Transaction, school: School, before: Person, after: Person, *, by: str, at: datetime) -> None:
    """Makes one person's record what `after` says, as part of a transaction.

    A changed number is noted and takes the person's opt-out with it. Refused as PersonChanged when the row is no longer
    as it was read, NotedAlready when this very opt-out was moved before: read again.
    """
    people_table.save_person(write, school.id, school.shards, before, after)
    old, new = before.record, after.record
    if (old.number, old.typed_number if old.number is None else "") != (
        new.number,
        new.typed_number if new.number is None else "",
    ):
        change = NumberChange(at, by, old.number, old.typed_number, new.number, new.typed_number)
        number_change_table.create_change(write, school.id, before.id, before.version + 1, change)
    if old.number == new.number or after.sms_allowed:
        return
    cause = opt_out_table.person_cause(before.id)
    for number, is_new in ((old.number, False), (new.number, True)):
        if number is not None:
            note = Note(cause, added=is_new, by=by, at=at, reason="number_changed")
            opt_out_table.change_cause(write, school.id, number, note)
