import io
from collections.abc import Mapping
from datetime import date

import pytest

from recado.errors import InvalidRequest
from recado.rules import oneroster
from recado.rules.oneroster import Roster, RosterGroup, read_roster

TODAY = date(2026, 11, 23)
FILES = {
    "orgs.csv": "sourcedId,name,type\naromos,Escuela Los Aromos,school\n",
    "classes.csv": (
        "sourcedId,title,grades,classType\n"
        "7b,7° Básico B,07,homeroom\n"
        "ka,Kínder A,KG,homeroom\n"
        "chess,Taller de Ajedrez,07,scheduled\n"
    ),
    "users.csv": (
        "sourcedId,orgSourcedIds,role,givenName,familyName,sms,phone,agentSourcedIds,grades\n"
        "s1,aromos,student,Lautaro,Soto,,,g1,07\n"
        "s2,aromos,student,Emilia,Soto,,,,KG\n"
        "g1,aromos,guardian,Rosa,Catrileo,9 5555 0101,,s2,\n"
        "t1,aromos,teacher,Iván,Núñez,955550102,,,\n"
    ),
    "enrollments.csv": (
        "sourcedId,classSourcedId,userSourcedId,role,endDate\n"
        "e1,7b,s1,student,\n"
        "e2,ka,s2,student,\n"
        "e3,7b,t1,teacher,\n"
        "e4,chess,s1,student,\n"
    ),
}


def read(files: Mapping[str, str | bytes]) -> Roster:
    streams = {
        name: io.BytesIO(content if isinstance(content, bytes) else content.encode()) for name, content in files.items()
    }
    return read_roster(streams, "CL", TODAY)


def with_rows(file: str, *lines: str) -> Roster:
    return read(FILES | {file: FILES[file] + "".join(f"{line}\n" for line in lines)})


def with_user(line: str) -> Roster:
    return with_rows("users.csv", line)


def bad(roster: Roster) -> list[tuple[str, int, str, str]]:
    return [(row.file, row.line, row.column, row.reason) for row in roster.bad_rows]


def problems(files: Mapping[str, str | bytes]) -> set[tuple[str, str]]:
    with pytest.raises(InvalidRequest) as refused:
        read(files)
    return {(one.field, one.code) for one in refused.value.fields}


def test_a_clean_roster_has_no_bad_rows() -> None:
    roster = read(FILES)

    assert (roster.bad_rows, roster.bad_rows_count) == ((), 0)
    assert roster.people.keys() == {"s1", "s2", "g1", "t1"}


def test_a_student_is_in_their_course_grade_level_and_school() -> None:
    assert read(FILES).people["s1"].groups == {"7b", "grade-07", "level-basica", "school-aromos"}


def test_guardians_are_in_all_their_students_groups() -> None:
    guardian = read(FILES).people["g1"]

    assert guardian.groups == {
        *("7b", "grade-07", "level-basica"),
        *("ka", "grade-kg", "level-parvularia"),
        "school-aromos",
    }


def test_families_are_read_from_either_side() -> None:
    people = read(FILES).people

    assert people["g1"].students == {"s1", "s2"}
    assert people["s1"].guardians == people["s2"].guardians == {"g1"}
    assert people["t1"].students == people["t1"].guardians == frozenset()


def test_staff_are_in_the_groups_of_the_courses_they_teach() -> None:
    assert read(FILES).people["t1"].groups == {"7b", "grade-07", "level-basica", "school-aromos"}


def test_a_class_that_is_no_homeroom_is_no_group() -> None:
    roster = read(FILES)

    assert "chess" not in roster.groups
    assert "chess" not in roster.people["s1"].groups


def test_groups_have_spanish_names_and_parents() -> None:
    groups = read(FILES).groups

    assert groups["7b"] == RosterGroup("7b", "course", "7° Básico B", "grade-07")
    assert groups["grade-07"] == RosterGroup("grade-07", "grade", "7° Básico", "level-basica")
    assert groups["grade-kg"] == RosterGroup("grade-kg", "grade", "Kínder", "level-parvularia")
    assert groups["level-basica"] == RosterGroup("level-basica", "level", "Educación Básica", "school-aromos")
    assert groups["school-aromos"] == RosterGroup("school-aromos", "school", "Escuela Los Aromos", None)
    assert len(groups) == 7


@pytest.mark.parametrize(
    ("code", "name", "level"),
    [
        ("PK", "Prekínder", "level-parvularia"),
        ("01", "1° Básico", "level-basica"),
        ("08", "8° Básico", "level-basica"),
        ("09", "1° Medio", "level-media"),
        ("12", "4° Medio", "level-media"),
    ],
)
def test_chiles_grades_follow_onerosters_codes(code: str, name: str, level: str) -> None:
    groups = with_user(f"s3,aromos,student,Ana,Soto,,,,{code}").groups

    assert groups[f"grade-{code.lower()}"] == RosterGroup(f"grade-{code.lower()}", "grade", name, level)


def test_a_grade_that_excel_shortened_is_the_same_grade() -> None:
    assert "grade-07" in with_user("s3,aromos,student,Ana,Soto,,,,7").people["s3"].groups


def test_a_student_without_a_grade_has_their_courses() -> None:
    files = FILES | {"users.csv": FILES["users.csv"].replace(",g1,07\n", ",g1,\n")}

    assert read(files).people["s1"].groups >= {"grade-07", "level-basica"}


@pytest.mark.parametrize(
    ("roster_role", "ours"),
    [
        ("student", "student"),
        ("guardian", "guardian"),
        ("parent", "guardian"),
        ("relative", "guardian"),
        ("teacher", "teacher"),
        ("aide", "staff"),
        ("proctor", "staff"),
        ("Administrator", "administrator"),
    ],
)
def test_every_role_of_oneroster_is_one_of_ours(roster_role: str, ours: str) -> None:
    assert with_user(f"x1,aromos,{roster_role},Ana,Soto,,,,").people["x1"].role == ours


@pytest.mark.parametrize(
    ("sms", "phone", "number", "typed", "is_problem"),
    [
        ("9 5555 0101", "", "+56955550101", "9 5555 0101", False),
        ("56955550101", "", "+56955550101", "56955550101", False),
        ("+1 809-555-0101", "", "+18095550101", "+1 809-555-0101", False),
        ("", "+56 9 5555-0101", "+56955550101", "+56 9 5555-0101", False),
        ("no tiene", "955550101", "+56955550101", "955550101", False),
        ("no tiene", "", None, "no tiene", True),
        ("", "12345", None, "12345", True),
        ("", "", None, "", False),
    ],
)
def test_the_number_is_taken_from_sms_and_then_from_phone(
    sms: str, phone: str, number: str | None, typed: str, is_problem: bool
) -> None:
    person = with_user(f"x1,aromos,guardian,Ana,Soto,{sms},{phone},,").people["x1"]

    assert (person.number, person.typed_number, person.number_problem) == (number, typed, is_problem)


def test_names_are_kept_as_written_without_what_does_not_print() -> None:
    person = with_user("x1,aromos,guardian,  Begon\u0303a \x07 ,De  la\tPeña,,,,").people["x1"]

    assert (person.given_name, person.family_name) == ("Begoña", "De la Peña")


def test_quoted_lists_are_read_however_they_were_quoted() -> None:
    roster = with_rows(
        "users.csv", 'g2,aromos,parent,Ana,Soto,,,"s1, s2",', 'g3,aromos,parent,Eva,Soto,,,"""s1"",""s2""",'
    )

    assert roster.people["g2"].students == roster.people["g3"].students == {"s1", "s2"}


def test_an_excel_file_in_spanish_reads_the_same() -> None:
    excel = {name: ("\ufeff" + text.replace(",", ";")).replace("\n", "\r\n") for name, text in FILES.items()}
    latin = {name: text.replace(",", ";").encode("cp1252") for name, text in FILES.items()}

    assert read(excel) == read(latin) == read(FILES)


def test_a_cut_off_row_is_listed_and_its_person_is_not_taken_for_gone() -> None:
    roster = with_rows("users.csv", "g2,aromos,guardian,Ana", "g3,aromos,guardian,Eva,Soto,955550109,,s1,")

    assert bad(roster) == [("users.csv", 6, "familyName", "missing_columns")]
    assert roster.unread == {"g2"}
    assert "g3" in roster.people


@pytest.mark.parametrize(
    ("line", "column", "reason"),
    [
        (",aromos,guardian,Ana,Soto,,,,", "sourcedId", "missing_value"),
        ("a b,aromos,guardian,Ana,Soto,,,,", "sourcedId", "invalid_id"),
        ("P#1,aromos,guardian,Ana,Soto,,,,", "sourcedId", "invalid_id"),
        ("x" * 65 + ",aromos,guardian,Ana,Soto,,,,", "sourcedId", "invalid_id"),
        ("x1,aromos,boss,Ana,Soto,,,,", "role", "unknown_role"),
        ("x1,aromos,guardian,,Soto,,,,", "givenName", "missing_value"),
        ("x1,aromos,guardian,Ana,\x07,,,,", "familyName", "missing_value"),
        ("x1,aromos,guardian,Ana,Soto,+569\0,,,", "sms", "nul_byte"),
        ("x1,aromos,guardian,Ana," + "o" * 1001 + ",,,,", "familyName", "field_too_long"),
    ],
)
def test_a_bad_person_is_listed_and_left_out(line: str, column: str, reason: str) -> None:
    roster = with_user(line)

    assert bad(roster) == [("users.csv", 6, column, reason)]
    assert roster.people == read(FILES).people


def test_of_two_rows_with_one_id_the_first_counts() -> None:
    roster = with_user("g1,aromos,guardian,Otra,Persona,955550199,,,")

    assert bad(roster) == [("users.csv", 6, "sourcedId", "duplicate_id")]
    assert roster.people["g1"].given_name == "Rosa"


def test_an_unknown_grade_is_listed_and_the_student_kept() -> None:
    roster = with_user("s3,aromos,student,Ana,Soto,,,,15")

    assert bad(roster) == [("users.csv", 6, "grades", "unknown_grade")]
    assert roster.people["s3"].groups == {"school-aromos"}


@pytest.mark.parametrize(
    ("line", "reason", "column"),
    [
        ("g2,aromos,guardian,Ana,Soto,,,nobody,", "unknown_person", "agentSourcedIds"),
        ("g2,aromos,guardian,Ana,Soto,,,t1,", "wrong_role", "agentSourcedIds"),
        ("g2,aromos,guardian,Ana,Soto,,,g1,", "wrong_role", "agentSourcedIds"),
        ("g2,aromos,guardian,Ana,Soto,,,g2,", "wrong_role", "agentSourcedIds"),
    ],
)
def test_a_family_that_cannot_be_is_listed(line: str, reason: str, column: str) -> None:
    roster = with_user(line)

    assert bad(roster) == [("users.csv", 6, column, reason)]
    assert roster.people["g2"].students == frozenset()


@pytest.mark.parametrize(
    ("line", "column", "reason"),
    [
        ("e9,8z,s1,student,", "classSourcedId", "unknown_class"),
        ("e9,7b,nobody,student,", "userSourcedId", "unknown_person"),
        ("e9,7b,t1,student,", "role", "wrong_role"),
        ("e9,7b,s2,teacher,", "role", "wrong_role"),
        ("e9,7b,g1,student,", "role", "wrong_role"),
        ("e9,7b,s2,boss,", "role", "unknown_role"),
        ("e9,7b,s2", "role", "missing_columns"),
    ],
)
def test_a_bad_enrolment_is_listed_and_adds_nobody(line: str, column: str, reason: str) -> None:
    roster = with_rows("enrollments.csv", line)

    assert bad(roster) == [("enrollments.csv", 6, column, reason)]
    assert roster.people == read(FILES).people


def test_an_enrolment_that_has_ended_puts_nobody_in_a_course() -> None:
    roster = with_rows("enrollments.csv", "e5,7b,s2,student,2026-11-22", "e6,7b,s2,student,2026-11-23")
    ended = with_rows("enrollments.csv", "e5,7b,s2,student,2026-11-22", "e6,7b,s2,student,")

    assert "7b" in roster.people["s2"].groups
    assert "7b" in ended.people["s2"].groups
    assert "7b" not in with_rows("enrollments.csv", "e5,7b,s2,student,2026-11-22").people["s2"].groups


def test_an_end_that_excel_rewrote_keeps_the_enrolment() -> None:
    assert "7b" in with_rows("enrollments.csv", "e5,7b,s2,student,22-11-2026").people["s2"].groups


def test_who_has_a_bad_enrolment_is_incomplete_and_so_are_their_guardians() -> None:
    assert with_rows("enrollments.csv", "e9,8z,s2,student,").incomplete == {"s2", "g1"}
    assert with_rows("enrollments.csv", 'e9,7b,s2,"student').incomplete == {"s2", "g1"}
    assert read(FILES).incomplete == frozenset()


def test_the_guardian_of_an_unread_student_is_incomplete() -> None:
    roster = read(FILES | {"users.csv": FILES["users.csv"].replace("s2,aromos,student,Emilia,", "s2,aromos,student,,")})

    assert roster.unread == {"s2"}
    assert roster.incomplete == {"g1"}
    assert bad(roster) == [("users.csv", 3, "givenName", "missing_value")]


def test_rows_to_be_deleted_are_as_if_they_were_not_there() -> None:
    users = FILES["users.csv"].replace("sourcedId,", "status,sourcedId,", 1).replace("\ng1", "\ntobedeleted,g1")
    users = users.replace("\ns", "\n,s").replace("\nt1", "\n,t1")

    roster = read(FILES | {"users.csv": users})

    assert roster.people.keys() == {"s1", "s2", "t1"}
    assert roster.unread == frozenset()


@pytest.mark.parametrize("class_id", ["grade-07", "level-basica", "school-aromos", "custom-brigade"])
def test_a_class_may_not_pass_for_another_kind_of_group(class_id: str) -> None:
    roster = with_rows("classes.csv", f"{class_id},Falso,07,homeroom")

    assert bad(roster) == [("classes.csv", 5, "sourcedId", "reserved_id")]
    assert roster.groups == read(FILES).groups


def test_unknown_columns_are_ignored() -> None:
    users = FILES["users.csv"].replace("sourcedId,", "favouriteColour,sourcedId,", 1)
    users = "".join(line if line.startswith("fav") else f"verde,{line}" for line in users.splitlines(keepends=True))

    assert read(FILES | {"users.csv": users}) == read(FILES)


def test_every_missing_file_and_column_is_named_at_once() -> None:
    files = dict(FILES) | {"users.csv": "sourcedId,role,familyName\n", "classes.csv": "sourcedId,title\n"}
    del files["orgs.csv"]

    assert problems(files) == {
        ("orgs.csv", "missing_file"),
        ("users.csv/givenName", "missing_column"),
        ("classes.csv/classType", "missing_column"),
    }


def test_a_delta_is_refused_because_it_would_make_everybody_else_gone() -> None:
    manifest = "propertyName,value\nmanifest.version,1.0\nfile.users,delta\nfile.results,absent\n"

    assert problems(FILES | {"manifest.csv": manifest}) == {("manifest.csv", "not_bulk")}
    assert read(FILES | {"manifest.csv": manifest.replace("delta", "bulk")}) == read(FILES)


def test_a_roster_of_nobody_is_refused() -> None:
    assert problems(FILES | {"users.csv": FILES["users.csv"].splitlines()[0]}) == {("users.csv", "nobody")}


def test_demographics_are_never_read() -> None:
    streams = {name: io.BytesIO(text.encode()) for name, text in FILES.items()}
    demographics = io.BytesIO(b"sourcedId,birthDate\ns1,2014-05-01\n")

    roster = read_roster(streams | {"demographics.csv": demographics}, "CL", TODAY)

    assert len(roster.people) == 4
    assert demographics.tell() == 0


def test_bad_rows_without_end_are_counted_and_not_kept() -> None:
    roster = with_rows("enrollments.csv", *(["e,8z,s1,student,"] * 1500))

    assert len(roster.bad_rows) == 1000
    assert roster.bad_rows_count == 1500


def test_a_bad_row_never_carries_a_value() -> None:
    roster = with_user("x1,aromos,guardian,,Huenchumán,+56955550777,,,")

    assert "Huenchumán" not in repr(roster.bad_rows)
    assert "0777" not in repr(roster.bad_rows)


# --- OneRoster 1.2 ----------------------------------------------------------------------------------------------------

FILES_1_2 = FILES | {
    "users.csv": (
        "sourcedId,enabledUser,username,givenName,familyName,preferredGivenName,preferredFamilyName,sms,phone,"
        "agentSourcedIds,grades,primaryOrgSourcedId\n"
        "s1,true,s1,Lautaro,Soto,,,,,g1,07,aromos\n"
        "s2,true,s2,Emilia,Soto,,,,,,KG,aromos\n"
        "g1,true,g1,Rosa,Catrileo,,,9 5555 0101,,s2,,\n"
        "t1,true,t1,Iván,Núñez,,,955550102,,,,\n"
    ),
    "roles.csv": (
        "sourcedId,userSourcedId,roleType,role,beginDate,endDate,orgSourcedId\n"
        "r1,s1,primary,student,,,aromos\n"
        "r2,s2,primary,student,,,aromos\n"
        "r3,g1,primary,parent,,,aromos\n"
        "r4,t1,primary,teacher,,,aromos\n"
    ),
}


def read_1_2(*, users: tuple[str, ...] = (), roles: tuple[str, ...] = ()) -> Roster:
    added = {"users.csv": users, "roles.csv": roles}
    return read(
        FILES_1_2 | {file: FILES_1_2[file] + "".join(f"{line}\n" for line in rows) for file, rows in added.items()}
    )


def test_a_roster_of_1_2_says_the_same_as_one_of_1_1() -> None:
    assert read_1_2() == read(FILES)


@pytest.mark.parametrize(
    ("roster_role", "ours"),
    [
        ("principal", "director"),
        ("siteAdministrator", "director"),
        ("districtAdministrator", "administrator"),
        ("systemAdministrator", "administrator"),
        ("counselor", "staff"),
        ("aide", "staff"),
        ("proctor", "staff"),
        ("teacher", "teacher"),
        ("relative", "guardian"),
        ("student", "student"),
    ],
)
def test_every_role_of_1_2_is_one_of_ours(roster_role: str, ours: str) -> None:
    roster = read_1_2(users=("x1,true,x1,Ana,Soto,,,,,,,",), roles=(f"r9,x1,primary,{roster_role},,,aromos",))

    assert roster.people["x1"].role == ours
    assert roster.people["x1"].groups == {"school-aromos"}


@pytest.mark.parametrize(
    ("roles", "ours"),
    [
        (("r8,x1,secondary,principal,,,aromos", "r9,x1,primary,teacher,,,aromos"), "teacher"),
        (("r8,x1,primary,parent,,,aromos", "r9,x1,primary,teacher,,,aromos"), "teacher"),
        (("r8,x1,primary,teacher,,2026-11-22,aromos", "r9,x1,secondary,parent,,,aromos"), "guardian"),
    ],
)
def test_of_several_roles_the_primary_one_in_force_counts(roles: tuple[str, ...], ours: str) -> None:
    assert read_1_2(users=("x1,true,x1,Ana,Soto,,,,,,,",), roles=roles).people["x1"].role == ours


def test_preferred_names_are_used_where_there_are_any() -> None:
    roster = read_1_2(
        users=("x1,true,x1,María Rosa,Soto,Mari,Catrileo,,,,,",), roles=("r9,x1,primary,parent,,,aromos",)
    )

    assert (roster.people["x1"].given_name, roster.people["x1"].family_name) == ("Mari", "Catrileo")


def test_a_users_school_is_the_primary_one_and_those_of_their_roles() -> None:
    files = FILES_1_2 | {
        "orgs.csv": FILES["orgs.csv"] + "anexo,Anexo Los Aromos,school\n",
        "users.csv": FILES_1_2["users.csv"] + "x1,true,x1,Ana,Soto,,,,,,,anexo\n",
        "roles.csv": FILES_1_2["roles.csv"] + "r9,x1,primary,teacher,,,aromos\n",
    }

    assert read(files).people["x1"].groups == {"school-anexo", "school-aromos"}


@pytest.mark.parametrize(
    ("roles", "found"),
    [
        ((), ("users.csv", 6, "role", "missing_value")),
        (("r9,x1,primary,boss,,,aromos",), ("roles.csv", 6, "role", "unknown_role")),
        (('r9,x1,primary,"teacher,,,aromos',), ("roles.csv", 6, "", "malformed")),
        (("r9,x1,primary",), ("roles.csv", 6, "role", "missing_columns")),
    ],
)
def test_whoever_has_no_role_that_can_be_used_is_listed_and_not_taken_for_gone(
    roles: tuple[str, ...], found: tuple[str, int, str, str]
) -> None:
    roster = read_1_2(users=("x1,true,x1,Ana,Soto,,,,,,,",), roles=roles)

    assert found in bad(roster)
    assert roster.unread == {"x1"}


def test_a_role_of_nobody_is_listed() -> None:
    roster = read_1_2(roles=("r9,nobody,primary,teacher,,,aromos", "r8,,primary,teacher,,,aromos"))

    assert bad(roster) == [
        ("roles.csv", 7, "userSourcedId", "missing_value"),
        ("roles.csv", 6, "userSourcedId", "unknown_person"),
    ]


def test_a_role_beside_the_name_is_enough_without_roles_and_outweighs_them() -> None:
    files = FILES | {"roles.csv": "userSourcedId,role\nt1,principal\n"}

    assert read(files).people["t1"].role == "teacher"
    assert problems(FILES_1_2 | {"roles.csv": "userSourcedId\n"}) == {("roles.csv/role", "missing_column")}
    assert problems({name: text for name, text in FILES_1_2.items() if name != "roles.csv"}) == {
        ("users.csv/role", "missing_column")
    }


def test_a_delta_of_roles_is_refused_too() -> None:
    manifest = "propertyName,value\nfile.users,bulk\nfile.roles,delta\n"

    assert problems(FILES_1_2 | {"manifest.csv": manifest}) == {("manifest.csv", "not_bulk")}


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["=1+1", "+SUMA(A1)", "-2", "@cmd", "O'Higgins"])
def test_what_looks_like_a_formula_is_a_name_like_any_other(name: str) -> None:
    assert with_user(f"x1,aromos,guardian,{name},Soto,,,,").people["x1"].given_name == name


@pytest.mark.parametrize("typed", ["5,69555E+10", "#¡NUM!", "=SUMA(A1)", "'955550101x"])
def test_a_number_that_a_spreadsheet_broke_is_a_problem_and_not_guessed(typed: str) -> None:
    person = with_user(f'x1,aromos,guardian,Ana,Soto,"{typed}",,,').people["x1"]

    assert (person.number, person.number_problem) == (None, True)


@pytest.mark.parametrize("typed", ["0955550101", "955550101", "+56955550101", "56955550101.0", "00 56 9 5555 0101"])
def test_a_zero_or_plus_that_a_spreadsheet_dropped_changes_nothing(typed: str) -> None:
    assert with_user(f"x1,aromos,guardian,Ana,Soto,{typed},,,").people["x1"].number == "+56955550101"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_refused_as_a_whole(encoding: str) -> None:
    codes = {code for _, code in problems(FILES | {"users.csv": FILES["users.csv"].encode(encoding)})}

    assert codes <= {"not_utf_8", "missing_column"}
    assert codes


def test_families_in_a_circle_are_read_without_end_or_error() -> None:
    roster = with_rows(
        "users.csv",
        "g8,aromos,guardian,Ana,Soto,,,g9,",
        "g9,aromos,guardian,Eva,Soto,,,g8,",
        "s9,aromos,student,A,B,,,s9,",
    )

    assert [reason for *_, reason in bad(roster)] == ["wrong_role"] * 3
    assert roster.people["s9"].guardians == roster.people["g8"].students == frozenset()


def test_two_hundred_thousand_rows_of_garbage_are_counted_and_the_rest_is_used() -> None:
    garbage = b'\x00\xff\xfe;;;,,,"\n' * 200_000

    roster = read(FILES | {"enrollments.csv": FILES["enrollments.csv"].encode() + garbage})

    assert (len(roster.bad_rows), roster.bad_rows_count) == (1000, 200_000)
    assert roster.people.keys() == {"s1", "s2", "g1", "t1"}


def test_a_roster_of_too_many_people_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oneroster, "PEOPLE_MAX", 3)

    assert problems(FILES) == {("users.csv", "too_many_people")}
