"""What students, guardians and staff see and change themselves (L10, L14): their own record and nobody else's.

Must never take an id from the request: whose record it is, the token says.
"""

from dataclasses import replace
from datetime import datetime

from recado import directory, people_records
from recado.access import Caller
from recado.directory import PersonSeen
from recado.errors import FieldProblem, InvalidRequest, NotAllowed, NotFound, StillRunning
from recado.people_records import SELF
from recado.rules import person_records, roles
from recado.rules.number_corrections import correct, record_with_number
from recado.rules.roster_changes import Source
from recado.tables import people as people_table
from recado.tables import schools as school_table
from recado.tables.people import Person, SmsSwitch

ATTEMPTS_MAX = 5


def get_own(caller: Caller) -> PersonSeen:
    """The caller's own record. Raises NotFound when the token names nobody who is there."""
    return directory.see(caller.school_id, [_own(caller)])[0]


def set_own_sms(caller: Caller, *, allowed: bool, reason: str, now: datetime) -> PersonSeen:
    """Switches the caller's own SMS (L10). What their handset replied stays in force until it replies ALTA."""
    return directory.switch_sms(caller.school_id, _own(caller).id, SmsSwitch(allowed, SELF, now, reason, is_own=True))


def set_own_number(caller: Caller, typed: str, now: datetime) -> PersonSeen:
    """Corrects the caller's own number, or takes it away ("") (L14); it stays until the roster's own entry changes.

    Raises NotAllowed for staff, whose numbers are the office's, InvalidRequest for one that cannot be used.
    """
    if not roles.may_correct_own_number(caller.role):
        raise NotAllowed
    school = school_table.find_school(caller.school_id)
    if school is None:
        raise NotFound("There is no such school")
    problems = person_records.find_number_problems("/number", typed)
    if problems:
        raise InvalidRequest(fields=problems)
    for _ in range(ATTEMPTS_MAX):
        person = _own(caller)
        record = record_with_number(person.record, typed.strip(), school.country)
        if record.number_problem:
            detail = "A telephone number, with its country code if it is of another country"
            raise InvalidRequest(fields=[FieldProblem("/number", "unusable_number", detail)])
        correction = person.correction
        if person.source is Source.ROSTER:
            correction = correct(person.record, record, correction, SELF, now)
        after = replace(person, record=record, correction=correction)
        if record == person.record or people_records.save_person(school, person, after, by=SELF, at=now):
            return get_own(caller)
    raise StillRunning("The record is being changed", retry_after_seconds=1)


def _own(caller: Caller) -> Person:
    person = people_table.find_person(caller.school_id, caller.person_id) if caller.person_id else None
    if person is None or person.left_at is not None:
        raise NotFound("There is no record of yours here")
    return person
