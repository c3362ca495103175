"""A school's sandbox: a school of its own that its test keys open, with test credits and a directory to try things on.

What it must never do: reach a carrier, or move a credit of the school. Its texts go over `lines.py`'s simulated line.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from recado import log
from recado.rules import test_numbers
from recado.rules.audience import Who
from recado.rules.credit_bags import Zone
from recado.rules.oneroster import RosterGroup, RosterPerson
from recado.rules.school_records import sandbox_of
from recado.tables import groups, ledger, people
from recado.tables import schools as table
from recado.tables.base import Transaction
from recado.tables.groups import Group
from recado.tables.ledger import AlreadyEntered, Entry
from recado.tables.schools import School

CREDITS = 100_000  # of each zone, once; nothing is charged for them
COURSE = "curso-de-prueba"
COURSE_NAME = "Curso de prueba"
NAME_ENDING = " (prueba)"
ATTEMPTS_MAX = 5

# What the people of the demo directory are called, so that a list of them reads as the table of magic numbers.
FAMILY_NAMES: Mapping[test_numbers.Behaviour, str] = {
    test_numbers.Behaviour.DELIVERED: "Entregado",
    test_numbers.Behaviour.UNREACHABLE: "Fuera de Alcance",
    test_numbers.Behaviour.WRONG_NUMBER_AT_ONCE: "Número Errado",
    test_numbers.Behaviour.WRONG_NUMBER_LATER: "Número Errado Después",
    test_numbers.Behaviour.BLOCKED_AT_ONCE: "Bloqueado",
    test_numbers.Behaviour.BLOCKED_LATER: "Bloqueado Después",
    test_numbers.Behaviour.NO_ANSWER: "Sin Respuesta del Operador",
    test_numbers.Behaviour.SLOW: "Lento",
    test_numbers.Behaviour.BUSY_ONCE: "Ocupado una Vez",
    test_numbers.Behaviour.NO_RECEIPT: "Sin Aviso de Entrega",
    test_numbers.Behaviour.REPLIES_STOP: "Responde STOP",
    test_numbers.Behaviour.REPLIES: "Responde",
}


class _Moved(Exception):  # a signal between two steps here
    """The sandbox is there, or the school's contract is not what was read."""


def create_sandbox(school: School, by: str, now: datetime) -> None:
    """Makes the school's sandbox; one that is there is left as it is, whatever has been tried in it since."""
    sandbox_id = sandbox_of(school.id)
    for _ in range(ATTEMPTS_MAX):
        if table.find_school(sandbox_id) is not None:
            return

        # 1. The directory first: the school's own row says that all is there, so whoever dies here begins again.
        _create_directory(sandbox_id, school.country)

        # 2. The sandbox with both accounts and their test credits, as the school's contract is now.
        current = table.find_school(school.id) or school
        sandbox = replace(current, id=sandbox_id, name=current.name + NAME_ENDING, code="", shards=1, created_at=now)
        try:
            with Transaction() as write:
                table.create_school(write, sandbox, _Moved(), is_listed=False)
                table.check_contract(write, school.id, current.contract, moved=_Moved())
                for zone in Zone:
                    entry = Entry(zone, "purchase#test", now, by, CREDITS, 0, 0, {"test": True})
                    ledger.open_account(write, sandbox_id, entry, contract=current.contract.value, taken=_Moved())
        except (_Moved, AlreadyEntered):
            continue
        log.outcome("sandbox_created", school=school.id)
        return
    raise RuntimeError("the sandbox does not come to rest")


def named(changes: Mapping[str, str]) -> dict[str, str]:
    """Changes of a school as its sandbox takes them: its name says what it is."""
    return {name: value + NAME_ENDING if name == "name" else value for name, value in changes.items()}


def _create_directory(sandbox_id: str, country: str) -> None:
    """Everybody and their course; whoever is there already stays."""
    everybody = list(_people(country))
    for person in everybody:
        people.create_person(sandbox_id, 1, person)
    members = [(group_id, person.id) for person in everybody for group_id in person.groups]
    groups.save_memberships(sandbox_id, added=members, removed=())
    counts = {Who.STUDENTS: len(test_numbers.MAGIC), Who.GUARDIANS: len(test_numbers.MAGIC), Who.STAFF: 1}
    groups.save_group(sandbox_id, Group(RosterGroup(COURSE, "course", COURSE_NAME, None), counts), None)


def _people(country: str) -> Iterator[RosterPerson]:
    """A guardian of each magic number with a student of theirs, who has none, and a teacher."""
    for digits, behaviour in test_numbers.MAGIC.items():
        name, number = FAMILY_NAMES[behaviour], test_numbers.number_for(country, digits)
        guardian, student = f"apoderado-{digits}", f"estudiante-{digits}"
        yield _person(guardian, "guardian", "Apoderado", name, number, students={student})
        yield _person(student, "student", "Estudiante", name, None, guardians={guardian})
    yield _person("docente", "teacher", "Docente", "de Prueba", test_numbers.number_for(country, "12"))


def _person(
    person_id: str,
    role: str,
    given_name: str,
    family_name: str,
    number: str | None,
    *,
    students: set[str] | None = None,
    guardians: set[str] | None = None,
) -> RosterPerson:
    return RosterPerson(
        id=person_id,
        role=role,
        given_name=given_name,
        family_name=family_name,
        number=number,
        typed_number=number or "",
        number_problem=False,
        groups=frozenset({COURSE}),
        guardians=frozenset(guardians or ()),
        students=frozenset(students or ()),
    )
