"""The directory's routes as API Gateway calls them."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

import boto3
import pytest

from recado import unreachable
from recado.rules.audience import Who
from recado.rules.oneroster import RosterGroup, RosterPerson
from recado.rules.roles import Role
from recado.tables import groups, people
from recado.tables.groups import Group
from tests import apps
from tests.worlds import create_school

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
NUMBER = "+56955550101"
RECORD = RosterPerson(
    id="guardian-001",
    role="guardian",
    given_name="Rosa",
    family_name="Catrileo Muñoz",
    number=NUMBER,
    typed_number="9 5555 0101",
    number_problem=False,
    groups=frozenset({"course-7b"}),
    guardians=frozenset(),
    students=frozenset({"student-001"}),
)


@pytest.fixture
def school(aws: None) -> str:
    group = Group(RosterGroup("course-7b", "course", "7° Básico B", "grade-07"), {Who.GUARDIANS: 1})
    groups.save_group("aromos", group, before=None)
    people.create_person("aromos", 1, RECORD)
    groups.save_memberships("aromos", added=[("course-7b", RECORD.id)], removed=())
    return "aromos"


def call(
    method: str,
    path: str,
    *,
    role: str = "director",
    school: str = "aromos",
    query: dict[str, str] | None = None,
    body: Any = None,
) -> tuple[int, dict[str, Any]]:
    event = {
        "httpMethod": method,
        "path": path,
        "resource": path,
        "headers": {"content-type": "application/json"},
        "queryStringParameters": query,
        "multiValueQueryStringParameters": {name: [value] for name, value in query.items()} if query else None,
        "body": None if body is None else json.dumps(body),
        "isBase64Encoded": False,
        "requestContext": {
            "requestId": "r1",
            "authorizer": {"school": school, "role": role, "subject": "staff-01", "person": "", "key": "k1"},
        },
    }
    answer = apps.load_app("directory").handler(event, apps.Context())
    return answer["statusCode"], json.loads(answer["body"])


def test_groups_are_listed_with_who_is_in_them(school: str) -> None:
    assert call("GET", "/groups") == (
        200,
        {
            "groups": [
                {
                    "id": "course-7b",
                    "kind": "course",
                    "name": "7° Básico B",
                    "parent": "grade-07",
                    "students": 0,
                    "guardians": 1,
                    "staff": 0,
                }
            ]
        },
    )


def test_a_groups_people_are_listed_with_their_numbers(school: str) -> None:
    status, answer = call("GET", "/people", query={"group": "course-7b"})

    assert (status, answer["next"]) == (200, None)
    assert answer["people"] == [
        {
            "id": "guardian-001",
            "source": "roster",
            "role": "guardian",
            "given_name": "Rosa",
            "family_name": "Catrileo Muñoz",
            "number": NUMBER,
            "typed_number": "9 5555 0101",
            "number_problem": False,
            "number_corrected_by": None,
            "opted_out": False,
            "replied_stop": False,
            "sms": {"allowed": True, "changed_by": None, "changed_at": None, "reason": None},
            "groups": ["course-7b"],
            "guardians": [],
            "students": ["student-001"],
            "left_at": None,
        }
    ]


def test_sms_is_switched_off_on_the_record(school: str) -> None:
    body = {"allowed": False, "reason": "Lo pidió en la reunión"}

    status, answer = call("PUT", "/people/guardian-001/sms", body=body)

    assert (status, answer["opted_out"], answer["sms"]["allowed"]) == (200, True, False)
    assert (answer["sms"]["changed_by"], answer["sms"]["reason"]) == ("staff-01", "Lo pidió en la reunión")
    assert call("GET", "/people/guardian-001") == (200, answer)


def test_a_wrong_switch_is_refused_by_field_and_changes_nothing(school: str) -> None:
    for body, field in (
        ({"allowed": "no", "reason": "x"}, "/allowed"),
        ({"allowed": False}, "/reason"),
        ({"allowed": False, "reason": ""}, "/reason"),
        ({"allowed": False, "reason": "x" * 501}, "/reason"),
        ({"allowed": False, "reason": "x", "number": "1"}, "/number"),
    ):
        status, answer = call("PUT", "/people/guardian-001/sms", body=body)

        assert (status, answer["code"]) == (422, "invalid_request")
        assert [one["field"] for one in answer["errors"]] == [field]
    assert call("GET", "/people/guardian-001")[1]["opted_out"] is False


def test_a_teacher_is_refused_and_nothing_is_written(school: str) -> None:
    body = {"allowed": False, "reason": "x"}

    status, answer = call("PUT", "/people/guardian-001/sms", role="teacher", body=body)

    assert (status, answer["code"]) == (403, "not_allowed")
    assert call("GET", "/people/guardian-001")[1]["opted_out"] is False


def test_what_belongs_to_another_school_is_not_found(school: str) -> None:
    for path in ("/people/guardian-001", "/people/nobody"):
        status, answer = call("GET", path, school="other")

        assert (status, answer["code"]) == (404, "not_found")


def test_a_malformed_id_or_cursor_is_refused(school: str) -> None:
    assert call("GET", "/people", query={"cursor": "P#1 or more"})[0] == 422
    assert call("GET", "/people/" + "x" * 65)[0] == 422


def test_no_number_and_no_name_reaches_the_log(school: str, caplog: pytest.LogCaptureFixture) -> None:
    call("PUT", "/people/guardian-001/sms", body={"allowed": False, "reason": "motivo privado"})
    call("GET", "/people", query={"group": "course-7b"})

    logged = "".join(repr(vars(line)) for line in caplog.records)

    assert "request_answered" in logged
    for secret in (NUMBER, NUMBER[1:], "5555 0101", "Catrileo", "motivo privado"):
        assert secret not in logged


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ("directory_groups", 200),
        ("directory_people", 200),
        ("directory_people_found", 200),
        ("directory_person", 200),
        ("directory_person_not_found", 404),
        ("directory_person_created", 201),
        ("directory_person_created_with_wrong_fields", 422),
        ("directory_person_created_refused_to_a_teacher", 403),
        ("directory_person_changed", 200),
        ("directory_person_removed", 204),
        ("directory_person_erased", 204),
        ("directory_person_numbers", 200),
        ("directory_person_opt_outs", 200),
        ("directory_unreachable", 200),
        ("directory_unreachable_csv", 200),
        ("directory_group_created", 201),
        ("directory_group_renamed", 200),
        ("directory_group_of_the_roster_refused", 409),
        ("directory_group_members", 200),
        ("directory_group_members_unknown", 422),
        ("directory_group_deleted", 204),
        ("directory_me", 200),
        ("directory_my_sms_off", 200),
        ("directory_my_number", 200),
        ("directory_my_number_unusable", 422),
        ("directory_sms_off", 200),
        ("directory_sms_off_refused_to_a_teacher", 403),
    ],
)
def test_each_event_is_answered(los_aromos: None, event: str, status: int) -> None:
    assert apps.call("directory", apps.load_event(event))[0] == status


def test_the_office_is_refused_to_switch_on_what_a_person_switched_off_L10(los_aromos: None) -> None:
    assert apps.call("directory", apps.load_event("directory_my_sms_off"))[1]["sms"]["changed_by"] == "self"

    status, answer = apps.call("directory", apps.load_event("directory_sms_on_refused"))

    assert (status, answer["code"]) == (409, "opted_out_by_person")


@pytest.fixture
def los_aromos(aws: None) -> None:
    create_school("los-aromos")
    create_school("other")
    groups.save_group("los-aromos", Group(RosterGroup("custom-coro", "custom", "Coro", None), {}), before=None)
    assert groups.save_group("los-aromos", Group(RosterGroup("7b", "course", "7° B", None), {}), before=None)
    people.create_person("los-aromos", 1, RECORD)
    people.create_person("los-aromos", 1, replace(RECORD, id="teacher-001", role="teacher", students=frozenset()))
    people.create_person("other", 1, replace(RECORD, id="guardian-900"))


# Every route of this function: method, path, body, and whom it lets in.
OFFICE = {"director", "administrator"}
FAMILIES = {"guardian", "student"}
ANYBODY_NAMED = OFFICE | FAMILIES | {"teacher", "staff"}
PERSON = {"role": "guardian", "given_name": "Paz", "family_name": "Rojas"}
ROUTES: list[tuple[str, str, Any, set[str]]] = [
    ("GET", "/groups", None, OFFICE),
    ("POST", "/groups", {"name": "Coro"}, OFFICE),
    ("PATCH", "/groups/custom-coro", {"name": "Coro"}, OFFICE),
    ("DELETE", "/groups/custom-coro", None, OFFICE),
    ("POST", "/groups/custom-coro/members", {"add": ["guardian-001"]}, OFFICE),
    ("GET", "/people", None, OFFICE),
    ("POST", "/people", PERSON, OFFICE),
    ("GET", "/people/unreachable", None, OFFICE),
    ("GET", "/people/unreachable.csv", None, OFFICE),
    ("GET", "/people/guardian-001", None, OFFICE),
    ("PATCH", "/people/guardian-001", {"given_name": "Paz"}, OFFICE),
    ("DELETE", "/people/guardian-001", None, OFFICE),
    ("PUT", "/people/guardian-001/sms", {"allowed": False, "reason": "x"}, OFFICE),
    ("GET", "/people/guardian-001/numbers", None, OFFICE),
    ("GET", "/people/guardian-001/opt-outs", None, OFFICE),
    ("GET", "/me", None, ANYBODY_NAMED),
    ("PUT", "/me/sms", {"allowed": False}, ANYBODY_NAMED),
    ("PUT", "/me/number", {"number": "9 5555 0177"}, FAMILIES),
]


keys = count(1)


def ask(
    method: str, path: str, body: Any = None, *, role: str = "director", school: str = "los-aromos", **more: Any
) -> tuple[int, Any]:
    """One request as the authorizer lets it through, with a person's claim, and a key where one is needed."""
    event = apps.load_event("directory_person_created")
    path, _, query = path.partition("?")
    event |= {"httpMethod": method, "path": path, "resource": path, "pathParameters": None}
    found = dict(one.split("=") for one in query.split("&")) if query else None
    event["queryStringParameters"] = found
    event["multiValueQueryStringParameters"] = {name: [value] for name, value in found.items()} if found else None
    event["body"] = None if body is None else body if isinstance(body, str) else json.dumps(body)
    event["headers"]["idempotency-key"] = more.get("key", f"key-{next(keys)}")
    event["requestContext"]["authorizer"] |= {"role": role, "school": school, "person": more.get("person", "")}
    return apps.call("directory", event)


def rows() -> int:
    return len(boto3.client("dynamodb").scan(TableName=os.environ["PEOPLE_TABLE"])["Items"])


@pytest.mark.parametrize(("method", "path", "body", "allowed"), ROUTES)
def test_each_route_is_open_to_its_roles_and_no_other(
    los_aromos: None, method: str, path: str, body: Any, allowed: set[str]
) -> None:
    before = rows()
    for role in sorted({str(one) for one in Role} - {"operator"} - allowed):
        status, answer = ask(method, path, body, role=role, person="guardian-001")
        assert (status, answer["code"]) == (403, "not_allowed"), role
        assert rows() == before
    for role in sorted(allowed):
        if method != "DELETE" or role == "director":
            assert ask(method, path, body, role=role, person="guardian-001")[0] in (200, 201, 204), role


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [(method, path, body) for method, path, body, _ in ROUTES if "guardian-001" in path or "custom-" in path],
)
def test_another_schools_ids_are_not_found(los_aromos: None, method: str, path: str, body: Any) -> None:
    before = rows()

    status, answer = ask(method, path, body, school="other")

    assert (status, answer["code"]) == (404, "not_found")
    assert rows() == before


def test_another_schools_group_filters_nothing(los_aromos: None) -> None:
    for path in ("/people", "/people/unreachable", "/people/unreachable.csv"):
        assert ask("GET", f"{path}?group=custom-coro", school="other")[0] == 404


def test_nobody_reaches_anothers_record_by_naming_it(los_aromos: None) -> None:
    for person in ("guardian-900", "nobody", ""):
        assert ask("GET", "/me", role="guardian", person=person)[0] == 404
        assert ask("PUT", "/me/number", {"number": NUMBER}, role="guardian", person=person)[0] == 404
    assert ask("PUT", "/me/sms", {"allowed": False, "id": "x"}, role="guardian", person="guardian-001")[0] == 422


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "/people", PERSON | {"id": "a b"}, "/id"),
        ("POST", "/people", PERSON | {"id": "unreachable"}, "/id"),
        ("POST", "/people", PERSON | {"id": 7}, "/id"),
        ("POST", "/people", PERSON | {"role": "operator"}, "/role"),
        ("POST", "/people", PERSON | {"given_name": "\u0000"}, "/given_name"),
        ("POST", "/people", PERSON | {"family_name": "x" * 101}, "/family_name"),
        ("POST", "/people", PERSON | {"family_name": None}, "/family_name"),
        ("POST", "/people", PERSON | {"number": "9" * 41}, "/number"),
        ("POST", "/people", PERSON | {"number": 955550101}, "/number"),
        ("POST", "/people", PERSON | {"groups": ["nowhere"]}, "/groups/0"),
        ("POST", "/people", PERSON | {"groups": "7b"}, "/groups"),
        ("POST", "/people", PERSON | {"students": ["x"] * 1001}, "/students"),
        ("POST", "/people", PERSON | {"students": ["x" * 65]}, "/students/0"),
        ("POST", "/people", PERSON | {"guardians": ["guardian-001"]}, "/guardians"),
        ("POST", "/people", PERSON | {"opted_out": False}, "/opted_out"),
        ("POST", "/people", {"role": "guardian", "given_name": "Paz"}, "/family_name"),
        ("PATCH", "/people/guardian-001", {"role": ""}, "/role"),
        ("PATCH", "/people/guardian-001", {"role": "student"}, "/role"),
        ("PATCH", "/people/guardian-001", {"given_name": " "}, "/given_name"),
        ("PATCH", "/people/guardian-001", {"family_name": None}, "/family_name"),
        ("PATCH", "/people/guardian-001", {"number": "\n"}, "/number"),
        ("PATCH", "/people/guardian-001", {"groups": ["grade-07"]}, "/groups/0"),
        ("PATCH", "/people/guardian-001", {"students": ["nobody"]}, "/students/0"),
        ("PATCH", "/people/guardian-001", {"guardians": ["x"]}, "/guardians"),
        ("PATCH", "/people/guardian-001", {"id": "other"}, "/id"),
        ("DELETE", "/people/guardian-001?erase=perhaps", None, "/query/erase"),
        ("PUT", "/people/guardian-001/sms", {"allowed": False, "reason": "a\u0000b"}, "/reason"),
        ("GET", "/people/guardian-001/numbers?cursor=x", None, "/query/cursor"),
        ("GET", "/people?q=", None, "/query/q"),
        ("GET", "/people?q=12", None, "/query/q"),
        ("GET", "/people?q=" + "x" * 101, None, "/query/q"),
        ("GET", "/people?q=ana&cursor=x", None, "/query/cursor"),
        ("GET", "/people?role=boss", None, "/query/role"),
        ("GET", "/people?group=a%20b", None, "/query/group"),
        ("GET", "/people/unreachable?cursor=9.x", None, "/query/cursor"),
        ("GET", "/people/unreachable.csv?lang=fr", None, "/query/lang"),
        ("POST", "/groups", {"name": ""}, "/name"),
        ("POST", "/groups", {"name": "x", "people": ["nobody"]}, "/people/0"),
        ("POST", "/groups", {"name": "x", "kind": "course"}, "/kind"),
        ("PATCH", "/groups/custom-coro", {"name": "a\tb"}, "/name"),
        ("PATCH", "/groups/custom-coro", {}, "/name"),
        ("POST", "/groups/custom-coro/members", {"add": ["nobody"]}, "/add/0"),
        ("POST", "/groups/custom-coro/members", {"remove": [5]}, "/remove/0"),
        ("POST", "/groups/custom-coro/members", {"add": ["x"] * 1001}, "/add"),
        ("POST", "/groups/custom-coro/members", {"with_guardians": "yes"}, "/with_guardians"),
    ],
)
def test_each_wrong_field_is_refused_by_name_and_nothing_is_written(
    los_aromos: None, method: str, path: str, body: Any, field: str
) -> None:
    person = people.find_person("los-aromos", "guardian-001")

    status, answer = ask(method, path, body)

    assert (status, answer["code"]) == (422, "invalid_request")
    assert [one["field"] for one in answer["errors"]] == [field]
    assert people.find_person("los-aromos", "guardian-001") == person
    assert len(groups.list_groups("los-aromos")) == 3


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/me/number", {"number": "12345"}, "/number"),
        ("/me/number", {"number": "9" * 41}, "/number"),
        ("/me/number", {}, "/number"),
        ("/me/number", {"number": 955550101}, "/number"),
        ("/me/number", {"number": NUMBER, "person": "x"}, "/person"),
        ("/me/sms", {"allowed": 0}, "/allowed"),
        ("/me/sms", {"allowed": False, "reason": "x" * 501}, "/reason"),
        ("/me/sms", {"allowed": False, "reason": "\u001b"}, "/reason"),
        ("/me/sms", {}, "/allowed"),
    ],
)
def test_each_wrong_field_of_ones_own_record_is_refused_by_name(
    los_aromos: None, path: str, body: Any, field: str
) -> None:
    status, answer = ask("PUT", path, body, role="guardian", person="guardian-001")

    assert (status, [one["field"] for one in answer["errors"]]) == (422, [field])
    assert people.find_person("los-aromos", "guardian-001").version == 1  # type: ignore[union-attr]


def test_people_and_groups_need_an_idempotency_key_and_are_made_once(los_aromos: None) -> None:
    for path, body in (("/people", PERSON), ("/groups", {"name": "Coro 2"})):
        assert ask("POST", path, body, key="")[1]["code"] == "idempotency_key_missing"
        first = ask("POST", path, body, key=f"key {path}")
        before = rows()
        assert ask("POST", path, body, key=f"key {path}") == first
        assert rows() == before
        assert ask(
            "POST", path, body | {"name": "x"} if path == "/groups" else PERSON | {"given_name": "X"}, key=f"key {path}"
        )[1]["code"] == ("idempotency_key_reused")


def test_a_change_keeps_what_it_does_not_name_and_null_takes_the_number_away(los_aromos: None) -> None:
    status, answer = ask("PATCH", "/people/guardian-001", {"given_name": "Rosa María"})
    assert (status, answer["given_name"], answer["family_name"]) == (200, "Rosa María", "Catrileo Muñoz")
    assert (answer["number"], answer["number_corrected_by"]) == (NUMBER, None)

    _, answer = ask("PATCH", "/people/guardian-001", {"number": None})
    assert (answer["number"], answer["typed_number"], answer["number_corrected_by"]) == (None, "", "directora")

    _, history = ask("GET", "/people/guardian-001/numbers")
    assert [(one["by"], one["number_before"], one["number_after"]) for one in history["changes"]] == [
        ("directora", NUMBER, None)
    ]


def test_the_proof_of_opt_outs_says_who_when_and_why(los_aromos: None) -> None:
    ask("PUT", "/people/guardian-001/sms", {"allowed": False, "reason": "en la reunión"})

    (note,) = ask("GET", "/people/guardian-001/opt-outs")[1]["notes"]

    assert (note["cause"], note["opted_out"], note["by"]) == ("switch", True, "directora")
    assert (note["number"], note["reason"]) == (NUMBER, "en la reunión")


def test_whom_no_sms_reaches_is_a_spreadsheet_in_which_nothing_is_a_formula_L14(los_aromos: None) -> None:
    formula = replace(RECORD, id="g2", given_name="=1+1", number=None, typed_number="+56 9", number_problem=True)
    people.create_person("los-aromos", 1, formula)

    status, text = ask("GET", "/people/unreachable.csv?group=course-7b")

    assert status == 200
    assert text.startswith("\ufeffgrupo,nombre,rol,motivo,número escrito,estudiantes\r\n")
    assert text.splitlines()[1] == "7° Básico B,'=1+1 Catrileo Muñoz,apoderado,el número no se puede usar,'+56 9,"
    assert ask("GET", "/people/unreachable.csv?lang=en")[1].startswith("\ufeffgroup,name,role,reason")
    (one,) = ask("GET", "/people/unreachable")[1]["people"]
    assert (one["id"], one["reason"], one["typed_number"]) == ("g2", "unusable_number", "+56 9")


def test_a_long_spreadsheet_names_where_the_rest_is(los_aromos: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unreachable, "CSV_ROWS_MAX", 1)
    for person_id in ("g2", "g3"):
        people.create_person("los-aromos", 1, replace(RECORD, id=person_id, number=None, typed_number=""))
    event = apps.load_event("directory_unreachable_csv")

    answer = apps.load_app("directory").handler(event, apps.Context())

    assert answer["multiValueHeaders"]["Link"] == ['<?group=course-7b&cursor=0.g2>; rel="next"']
    assert answer["multiValueHeaders"]["Content-Type"] == ["text/csv; charset=utf-8"]


def test_nothing_of_a_new_number_reaches_the_log(los_aromos: None, caplog: pytest.LogCaptureFixture) -> None:
    ask("PATCH", "/people/guardian-001", {"number": "9 5555 0177", "given_name": "Filomena"})
    ask("PUT", "/me/number", {"number": "9 5555 0188"}, role="guardian", person="guardian-001")
    ask("GET", "/people?q=filomena")
    ask("GET", "/people/guardian-001/numbers")

    logged = "".join(repr(vars(line)) for line in caplog.records)

    assert "request_answered" in logged
    for secret in ("55550177", "5555 0177", "55550188", "5555 0188", "ilomena"):
        assert secret not in logged
