"""Reads a OneRoster 1.1 or 1.2 CSV roster (bulk mode) into people and groups. Pure: streams in, frozen values out.

A bad row is listed and left out; the good ones are kept, and whoever a bad row was about is not taken for gone.
It must never read demographics.csv, nor put a value of the roster into a problem: only file, line, column and reason.
Source: 1EdTech OneRoster 1.1 and 1.2.1 CSV tables (orgs, classes, users, roles, enrollments, manifest).
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from sys import intern
from types import MappingProxyType
from typing import IO

from recado.errors import FieldProblem, InvalidRequest
from recado.rules.csv_rows import CsvRow, CsvTable, UnreadableRow, list_rows, open_table
from recado.rules.custom_groups import CUSTOM_PREFIX
from recado.rules.phone_numbers import read_number

BAD_ROWS_KEPT = 1000  # the rest are only counted: a file of nothing else must not fill the memory
PEOPLE_MAX = 100_000  # of one school: some 300 MB while they are imported
ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

# The files that are read and the columns each must have. Nothing else is opened, demographics.csv above all.
REQUIRED_COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "orgs.csv": ("sourcedId", "name", "type"),
        "classes.csv": ("sourcedId", "title", "classType"),
        "users.csv": ("sourcedId", "givenName", "familyName"),
        "enrollments.csv": ("classSourcedId", "userSourcedId", "role"),
    }
)
MANIFEST = "manifest.csv"
ROLES_FILE = "roles.csv"  # 1.2 only: there a user's role and orgs have left users.csv
ROLES_COLUMNS = ("userSourcedId", "role")
FILES_READ = frozenset(REQUIRED_COLUMNS) | {MANIFEST, ROLES_FILE}
RESERVED_GROUPS = ("grade-", "level-", "school-", CUSTOM_PREFIX)

# OneRoster 1.1 knows no director: whoever runs the school is an `administrator` there; 1.2 has a principal. Who may
# send is decided by the portal's token, never by the roster.
ROLES: Mapping[str, str] = MappingProxyType(
    {
        "student": "student",
        "guardian": "guardian",
        "parent": "guardian",
        "relative": "guardian",  # listed by the school as somebody to tell about the student
        "teacher": "teacher",
        "principal": "director",
        "siteadministrator": "director",
        "administrator": "administrator",
        "districtadministrator": "administrator",
        "systemadministrator": "administrator",
        "aide": "staff",
        "counselor": "staff",
        "proctor": "staff",
    }
)
# Of several roles in 1.2 a primary one counts, and among those the first of these.
ROLE_ORDER = ("student", "director", "administrator", "teacher", "staff", "guardian")
ENROLLMENT_ROLES = frozenset({"student", "teacher", "administrator", "aide", "proctor"})

# Chile's grades by OneRoster's (CEDS) codes: what people call it, and its teaching level. OneRoster has no level.
GRADES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "IT": ("Sala cuna", "parvularia"),
        "PR": ("Nivel medio", "parvularia"),
        "PK": ("Prekínder", "parvularia"),
        "KG": ("Kínder", "parvularia"),
        **{f"{year:02}": (f"{year}° Básico", "basica") for year in range(1, 9)},
        **{f"{year + 8:02}": (f"{year}° Medio", "media") for year in range(1, 5)},
    }
)
LEVELS: Mapping[str, str] = MappingProxyType(
    {"parvularia": "Educación Parvularia", "basica": "Educación Básica", "media": "Educación Media"}
)


@dataclass(frozen=True, slots=True)
class RosterPerson:
    """Somebody of the school as the roster has them. Guardians are in their students' groups; roles tell them apart.

    `number` is E.164; `typed_number` is what the school wrote; `number_problem`: it wrote something, none of it usable.
    """

    id: str
    role: str
    given_name: str
    family_name: str
    number: str | None
    typed_number: str
    number_problem: bool
    groups: frozenset[str]
    guardians: frozenset[str]
    students: frozenset[str]


@dataclass(frozen=True, slots=True)
class RosterGroup:
    """A course (a class of type homeroom), grade, level or school; `parent` is the group that holds it."""

    id: str
    kind: str
    name: str
    parent: str | None


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row, or one column of it, that was not used. It never carries the value."""

    file: str
    line: int
    column: str
    reason: str


@dataclass(frozen=True, slots=True)
class Roster:
    """What a roster says, and whom it cannot be trusted about because of a bad row.

    `unread`: people whose own row is bad, not to be taken for gone. `incomplete`: people who may belong to more groups
    or families than was read, not to be taken out of those they were in.
    """

    people: Mapping[str, RosterPerson]
    groups: Mapping[str, RosterGroup]
    unread: frozenset[str]
    incomplete: frozenset[str]
    bad_rows: tuple[BadRow, ...]
    bad_rows_count: int


@dataclass(frozen=True, slots=True)
class _User:
    line: int
    role: str
    given_name: str
    family_name: str
    number: str | None
    typed_number: str
    number_problem: bool
    grades: tuple[str, ...]
    agents: tuple[str, ...]
    schools: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Class:
    title: str
    grades: tuple[str, ...]
    is_course: bool


@dataclass(slots=True)
class _Roles:
    """What roles.csv says of one user: the best role so far and its rank, the orgs, the lines that say so."""

    role: str | None = None
    rank: tuple[bool, int] = (True, len(ROLE_ORDER))
    schools: tuple[str, ...] = ()
    line: int = 0


@dataclass(slots=True)
class _Findings:
    """The bad rows found so far, bounded, and whom they were about."""

    kept: list[BadRow] = field(default_factory=list)
    count: int = 0
    unread: set[str] = field(default_factory=set)
    incomplete: set[str] = field(default_factory=set)

    def add(self, file: str, line: int, column: str, reason: str) -> None:
        self.count += 1
        if len(self.kept) < BAD_ROWS_KEPT:
            self.kept.append(BadRow(file, line, column, reason))


def read_roster(files: Mapping[str, IO[bytes]], country: str, today: date) -> Roster:
    """Reads a bulk roster; `files` by lower-case name, numbers without a country code are of `country` (ISO 3166).

    Raises InvalidRequest when it cannot be read as a whole: `missing_file`, `missing_column`, `not_bulk`, `empty`,
    `not_utf_8`, `too_many_rows`, `too_many_people`, `nobody`. All missing files and columns are named at once.
    """
    # 1. Is it a bulk roster, with all its files and columns?
    tables = _open_tables(files)
    _check_manifest(files)

    # 2. What each file says, row by row.
    findings = _Findings()
    schools = _read_schools(tables["orgs.csv"], findings)
    classes = _read_classes(tables["classes.csv"], findings)
    roles = _read_roles(tables[ROLES_FILE], today, findings) if ROLES_FILE in tables else None
    users = _read_users(tables["users.csv"], roles, country, findings)
    if not users:
        raise _problem("users.csv", "nobody", "The roster has no readable person")
    enrolled = _read_enrollments(tables["enrollments.csv"], classes, users, today, findings)
    guardians = _read_links(users, findings)

    # 3. Put together: guardians inherit their students' groups, and what is not known about them.
    for student_id in findings.incomplete & guardians.keys():
        findings.incomplete |= guardians[student_id]
    people = _make_people(users, classes, schools, enrolled, guardians)
    return Roster(
        people=people,
        groups=_make_groups(people.values(), classes, schools),
        unread=frozenset(findings.unread - people.keys()),
        incomplete=frozenset(findings.incomplete & people.keys()),
        bad_rows=tuple(findings.kept),
        bad_rows_count=findings.count,
    )


def _open_tables(files: Mapping[str, IO[bytes]]) -> dict[str, CsvTable]:
    tables: dict[str, CsvTable] = {}
    problems: list[FieldProblem] = []
    needed = dict(REQUIRED_COLUMNS) | ({ROLES_FILE: ROLES_COLUMNS} if ROLES_FILE in files else {})
    for file, required in needed.items():
        if file not in files:
            problems.append(FieldProblem(file, "missing_file", f"The roster has no {file}"))
            continue
        tables[file] = open_table(files[file], file)
        if file == "users.csv" and ROLES_FILE not in files:
            required = (*required, "role")
        missing = [column for column in required if column not in tables[file].columns]
        problems += [
            FieldProblem(f"{file}/{column}", "missing_column", f"{file} has no {column}") for column in missing
        ]
    if problems:
        raise InvalidRequest("The roster cannot be read", fields=problems)
    return tables


def _check_manifest(files: Mapping[str, IO[bytes]]) -> None:
    """A delta names only what changed: read as bulk it would make everybody else gone."""
    if MANIFEST not in files:
        return
    for row in list_rows(open_table(files[MANIFEST], MANIFEST)):
        name = row.values.get("propertyName", "").removeprefix("file.") + ".csv"
        if name in FILES_READ and row.values.get("value", "").lower() == "delta":
            raise _problem(MANIFEST, "not_bulk", "Only bulk files can be imported")


def _read_schools(table: CsvTable, findings: _Findings) -> dict[str, str]:
    schools: dict[str, str] = {}
    for row in _rows_with_id(table, findings, schools):
        if row["type"].lower() != "school":
            continue
        if not row["name"] or not ID.fullmatch(school_group(row["sourcedId"])):
            column, reason = ("sourcedId", "invalid_id") if row["name"] else ("name", "missing_value")
            findings.add(table.file, row.line, column, reason)
            continue
        schools[row["sourcedId"]] = _name(row["name"])
    return schools


def _read_classes(table: CsvTable, findings: _Findings) -> dict[str, _Class]:
    classes: dict[str, _Class] = {}
    for row in _rows_with_id(table, findings, classes):
        if not row["title"]:
            findings.add(table.file, row.line, "title", "missing_value")
            continue
        if row["sourcedId"].startswith(RESERVED_GROUPS):
            findings.add(table.file, row.line, "sourcedId", "reserved_id")
            continue
        is_course = row["classType"].lower() == "homeroom"
        grades = _grades(row, table.file, findings) if is_course else ()
        classes[row["sourcedId"]] = _Class(_name(row["title"]), grades, is_course)
    return classes


def _read_roles(table: CsvTable, today: date, findings: _Findings) -> dict[str, _Roles]:
    """Each user's role and orgs in 1.2; a role that ended before today is of the past."""
    roles: dict[str, _Roles] = {}
    for row in list_rows(table):
        user_id = row.values.get("userSourcedId", "")
        if isinstance(row, UnreadableRow):
            findings.add(table.file, row.line, row.column, row.reason)
            continue
        if _is_deleted(row) or _has_ended(row["endDate"], today):
            continue
        role = ROLES.get(row["role"].lower())
        if role is None or not user_id:
            column, reason = ("role", "unknown_role") if role is None else ("userSourcedId", "missing_value")
            findings.add(table.file, row.line, column, reason)
            continue
        found = roles.setdefault(user_id, _Roles(line=row.line))
        rank = (row["roleType"].lower() != "primary", ROLE_ORDER.index(role))
        if rank < found.rank:
            found.role, found.rank = role, rank
        if row["orgSourcedId"]:
            found.schools = tuple(dict.fromkeys((*found.schools, row["orgSourcedId"])))
    return roles


def _read_users(
    table: CsvTable, roles: Mapping[str, _Roles] | None, country: str, findings: _Findings
) -> dict[str, _User]:
    """Everybody, by id; `roles` (None in 1.1) says what users.csv does not."""
    users: dict[str, _User] = {}
    for row in _rows_with_id(table, findings, users, are_people=True):
        if len(users) >= PEOPLE_MAX:
            raise _problem(table.file, "too_many_people", f"A roster may have {PEOPLE_MAX} people")
        listed = (roles or {}).get(row["sourcedId"], _Roles())
        role = ROLES.get(row["role"].lower()) if row["role"] else listed.role
        given_name = _name(row["preferredGivenName"]) or _name(row["givenName"])
        family_name = _name(row["preferredFamilyName"]) or _name(row["familyName"])
        trouble = _user_trouble(row, role, given_name, family_name)
        if role is None or trouble is not None:
            findings.add(table.file, row.line, *(trouble or ("role", "unknown_role")))
            findings.unread.add(row["sourcedId"])
            continue
        number, typed = _number((row["sms"], row["phone"]), country)
        schools = (row["primaryOrgSourcedId"], *_list(row["orgSourcedIds"]), *listed.schools)
        users[row["sourcedId"]] = _User(
            line=row.line,
            role=role,
            given_name=given_name,
            family_name=family_name,
            number=number,
            typed_number=typed,
            number_problem=bool(typed) and number is None,
            grades=_grades(row, table.file, findings) if role == "student" else (),
            agents=_list(row["agentSourcedIds"]),
            schools=tuple(dict.fromkeys(school for school in schools if school)),
        )
    for user_id in sorted((roles or {}).keys() - users.keys() - findings.unread):
        findings.add(ROLES_FILE, (roles or {})[user_id].line, "userSourcedId", "unknown_person")
    return users


def _user_trouble(row: CsvRow, role: str | None, given_name: str, family_name: str) -> tuple[str, str] | None:
    """Why a user cannot be used, as (column, reason)."""
    if role is None:
        return "role", "unknown_role" if row["role"] else "missing_value"
    if not given_name:
        return "givenName", "missing_value"
    if not family_name:
        return "familyName", "missing_value"
    return None


def _read_enrollments(
    table: CsvTable, classes: Mapping[str, _Class], users: Mapping[str, _User], today: date, findings: _Findings
) -> dict[str, set[str]]:
    """The classes of each person; an enrolment that ended before today is of the past."""
    enrolled: defaultdict[str, set[str]] = defaultdict(set)
    for row in list_rows(table):
        user_id = row.values.get("userSourcedId", "")
        trouble = _enrollment_trouble(row, classes, users)
        if trouble is not None:
            if user_id not in findings.unread:  # else the person's own row has been listed already
                findings.add(table.file, row.line, *trouble)
            findings.incomplete.add(user_id)
        elif isinstance(row, CsvRow) and not (_is_deleted(row) or _has_ended(row["endDate"], today)):
            enrolled[user_id].add(intern(row["classSourcedId"]))
    return enrolled


def _enrollment_trouble(
    row: CsvRow | UnreadableRow, classes: Mapping[str, _Class], users: Mapping[str, _User]
) -> tuple[str, str] | None:
    """Why an enrolment cannot be used, as (column, reason)."""
    if isinstance(row, UnreadableRow):
        return row.column, row.reason
    if _is_deleted(row):
        return None
    user, role = users.get(row["userSourcedId"]), row["role"].lower()
    if user is None:
        return "userSourcedId", "unknown_person"
    if row["classSourcedId"] not in classes:
        return "classSourcedId", "unknown_class"
    if role not in ENROLLMENT_ROLES:
        return "role", "unknown_role"
    if user.role == "guardian" or (user.role == "student") != (role == "student"):
        return "role", "wrong_role"
    return None


def _read_links(users: Mapping[str, _User], findings: _Findings) -> dict[str, set[str]]:
    """The guardians of each student. `agentSourcedIds` is seen both ways, and either way is enough."""
    guardians: defaultdict[str, set[str]] = defaultdict(set)
    for user_id, user in users.items():
        for agent_id in user.agents:
            agent = users.get(agent_id)
            if agent is None:
                findings.incomplete.add(user_id)
                if agent_id not in findings.unread:
                    findings.add("users.csv", user.line, "agentSourcedIds", "unknown_person")
            elif (user.role, agent.role) == ("student", "guardian"):
                guardians[user_id].add(agent_id)
            elif (user.role, agent.role) == ("guardian", "student"):
                guardians[agent_id].add(user_id)
            else:
                findings.add("users.csv", user.line, "agentSourcedIds", "wrong_role")
    return guardians


def _make_people(
    users: Mapping[str, _User],
    classes: Mapping[str, _Class],
    schools: Mapping[str, str],
    enrolled: Mapping[str, set[str]],
    guardians: Mapping[str, set[str]],
) -> dict[str, RosterPerson]:
    students: defaultdict[str, set[str]] = defaultdict(set)
    for student_id, guardian_ids in guardians.items():
        for guardian_id in guardian_ids:
            students[guardian_id].add(student_id)
    own = {user_id: _groups_of(user, enrolled.get(user_id, set()), classes, schools) for user_id, user in users.items()}
    return {
        user_id: RosterPerson(
            id=user_id,
            role=user.role,
            given_name=user.given_name,
            family_name=user.family_name,
            number=user.number,
            typed_number=user.typed_number,
            number_problem=user.number_problem,
            groups=own[user_id].union(*(own[student_id] for student_id in students.get(user_id, ()))),
            guardians=frozenset(guardians.get(user_id, ())),
            students=frozenset(students.get(user_id, ())),
        )
        for user_id, user in users.items()
    }


def _groups_of(
    user: _User, enrolled: set[str], classes: Mapping[str, _Class], schools: Mapping[str, str]
) -> frozenset[str]:
    """A student's own grade decides over their course's, which may hold several (multigrade)."""
    courses = {class_id for class_id in enrolled if classes[class_id].is_course}
    grades = set(user.grades) or {grade for class_id in courses for grade in classes[class_id].grades}
    known = [school for school in user.schools if school in schools]
    if not known and len(schools) == 1:
        known = list(schools)
    return frozenset(
        courses
        | {grade_group(grade) for grade in grades}
        | {level_group(GRADES[grade][1]) for grade in grades}
        | {school_group(school) for school in known}
    )


def _make_groups(
    people: Iterable[RosterPerson], classes: Mapping[str, _Class], schools: Mapping[str, str]
) -> dict[str, RosterGroup]:
    """Every course and school, and the grades and levels that somebody or some course is in."""
    courses = {class_id: one for class_id, one in classes.items() if one.is_course}
    used = {group for person in people for group in person.groups}
    grades = [
        grade
        for grade in GRADES
        if grade_group(grade) in used or any(grade in course.grades for course in courses.values())
    ]
    levels = [level for level in LEVELS if any(GRADES[grade][1] == level for grade in grades)]
    school = school_group(next(iter(schools))) if len(schools) == 1 else None
    made = [RosterGroup(school_group(school_id), "school", name, None) for school_id, name in schools.items()]
    made += [RosterGroup(level_group(level), "level", LEVELS[level], school) for level in levels]
    made += [
        RosterGroup(grade_group(grade), "grade", GRADES[grade][0], level_group(GRADES[grade][1])) for grade in grades
    ]
    made += [
        RosterGroup(class_id, "course", one.title, grade_group(one.grades[0]) if len(one.grades) == 1 else None)
        for class_id, one in courses.items()
    ]
    return {group.id: group for group in made}


def grade_group(code: str) -> str:
    return intern(f"grade-{code.lower()}")  # one text for all who are in it, however many


def level_group(level: str) -> str:
    return intern(f"level-{level}")


def school_group(org_id: str) -> str:
    return intern(f"school-{org_id}")


def _rows_with_id(
    table: CsvTable, findings: _Findings, seen: Mapping[str, object], *, are_people: bool = False
) -> Iterator[CsvRow]:
    """Rows to use, with a usable sourcedId that is not in `seen` yet: of two with one id the first counts."""
    for row in list_rows(table):
        row_id = row.values.get("sourcedId", "")
        if isinstance(row, UnreadableRow):
            findings.add(table.file, row.line, row.column, row.reason)
            if are_people:
                findings.unread.add(row_id)
        elif _is_deleted(row):
            continue
        elif not ID.fullmatch(row_id):
            findings.add(table.file, row.line, "sourcedId", "invalid_id" if row_id else "missing_value")
        elif row_id in seen:
            findings.add(table.file, row.line, "sourcedId", "duplicate_id")
        else:
            yield row


def _is_deleted(row: CsvRow) -> bool:
    return row["status"].lower() == "tobedeleted"


def _grades(row: CsvRow, file: str, findings: _Findings) -> tuple[str, ...]:
    """Grade codes in the table's order; Excel makes 7 of 07. An unknown one is listed and left out."""
    found = {code.upper().zfill(2) for code in _list(row["grades"])}
    if found - GRADES.keys():
        findings.add(file, row.line, "grades", "unknown_grade")
    return tuple(grade for grade in GRADES if grade in found)


def _number(typed: Iterable[str], country: str) -> tuple[str | None, str]:
    """The first usable number in E.164 and how it was typed; or None and the first thing typed, '' for nothing."""
    written = [one for one in typed if one]
    for one in written:
        number = read_number(one, country)
        if number is not None:
            return number.e164, one
    return None, written[0] if written else ""


def _list(value: str) -> tuple[str, ...]:
    """`a,b`, also with each item quoted or spaced, in order and once each."""
    items = (item.strip().strip('"').strip() for item in value.split(","))
    return tuple(dict.fromkeys(item for item in items if item))


def _name(text: str) -> str:
    """NFC, one space between words, nothing that does not print: names end up in texts."""
    printable = "".join(
        letter for letter in unicodedata.normalize("NFC", text) if letter.isprintable() or letter == "\t"
    )
    return " ".join(printable.split())


def _has_ended(end_date: str, today: date) -> bool:
    try:
        return date.fromisoformat(end_date[:10]) < today
    except ValueError:
        return False  # none, or one that Excel rewrote: the enrolment itself stands


def _problem(file: str, code: str, detail: str) -> InvalidRequest:
    return InvalidRequest("The roster cannot be read", fields=[FieldProblem(file, code, detail)])
