"""The directory's routes as API Gateway calls them."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from recado.rules.audience import Who
from recado.rules.oneroster import RosterGroup, RosterPerson
from recado.tables import groups, people
from recado.tables.groups import Group
from tests import apps

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
            "role": "guardian",
            "given_name": "Rosa",
            "family_name": "Catrileo Muñoz",
            "number": NUMBER,
            "typed_number": "9 5555 0101",
            "number_problem": False,
            "opted_out": False,
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
        ("directory_person", 200),
        ("directory_person_not_found", 404),
        ("directory_sms_off", 200),
        ("directory_sms_off_refused_to_a_teacher", 403),
    ],
)
def test_each_event_is_answered(aws: None, event: str, status: int) -> None:
    groups.save_group("los-aromos", Group(RosterGroup("course-7b", "course", "7° Básico B", None), {}), before=None)
    people.create_person("los-aromos", 1, RECORD)

    assert apps.call("directory", apps.load_event(event))[0] == status
