"""/templates as a school's portal uses it; nobody but those who send, and never another school's."""

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from recado import clock
from tests.apps import call, load_event

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
EVENTS = [
    "templates_created",
    "templates_list",
    "templates_one",
    "templates_first_version",
    "templates_versions",
    "templates_changed",
    "templates_archived",
    "templates_preview",
]
OTHERS = ["teacher", "staff", "guardian", "student", "operator"]
TEXT = "Estimada familia de {estudiante}: mañana no hay clases por falta de agua."


@pytest.fixture(autouse=True)
def at_noon(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    move_clock(monkeypatch)


def move_clock(monkeypatch: pytest.MonkeyPatch, **step: float) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW + timedelta(**step))


def asked(name: str, body: dict[str, Any] | None = None, *, key: str | None = None, **change: Any) -> dict[str, Any]:
    """An event of events/, with some fields of its body changed, another Idempotency-Key, another caller."""
    event = load_event(name)
    if body is not None:
        event["body"] = json.dumps(json.loads(event["body"]) | body)
    if key is not None:
        event["headers"]["Idempotency-Key"] = key
    event["requestContext"]["authorizer"] |= change
    return event


def with_query(event: dict[str, Any], **query: str) -> dict[str, Any]:
    multi = {name: [value] for name, value in query.items()}
    return event | {"queryStringParameters": query, "multiValueQueryStringParameters": multi}


def create() -> dict[str, Any]:
    status, made = call("templates", load_event("templates_created"))
    assert status == 201
    return dict(made)


def rows() -> list[dict[str, Any]]:
    return list(boto3.client("dynamodb").scan(TableName="PeopleTable")["Items"])


def template_rows() -> list[dict[str, Any]]:
    return [row for row in rows() if "TEMPLATE#" in row["pk"]["S"] + row["sk"]["S"]]


def problems(body: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["field"], one["code"]) for one in body["errors"]]


def test_a_saved_text_is_a_template_of_version_1() -> None:
    made = create()

    assert made == {
        "id": made["id"],
        "version": 1,
        "newest_version": 1,
        "name": "Suspensión de clases",
        "text": TEXT,
        "category": "classes_cancelled",
        "drop_accents": False,
        "fields": ["student"],
        "segments": 1,
        "saved_by": "directora",
        "saved_at": "2026-11-23T12:00:00Z",
        "created_by": "directora",
        "created_at": "2026-11-23T12:00:00Z",
        "archived_by": None,
        "archived_at": None,
    }
    assert call("templates", load_event("templates_one")) == (200, made)
    assert call("templates", load_event("templates_list")) == (200, {"templates": [made], "next": None})


def test_the_same_request_makes_one_template_and_is_answered_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    made = create()
    move_clock(monkeypatch, minutes=5)

    assert call("templates", load_event("templates_created")) == (201, made)
    assert len(template_rows()) == 2  # the current row and its version


def test_the_same_key_for_another_text_is_refused_today_and_after_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    create()

    for days in (0, 2):
        move_clock(monkeypatch, days=days)
        status, body = call("templates", asked("templates_created", {"text": "Otra cosa"}))
        assert (status, body["code"]) == (422, "idempotency_key_reused")
    assert call("templates", load_event("templates_one"))[1]["text"] == TEXT


def test_a_template_needs_an_idempotency_key() -> None:
    status, body = call("templates", asked("templates_created", key=""))

    assert (status, body["code"]) == (400, "idempotency_key_missing")
    assert rows() == []


def test_a_change_is_a_new_version_and_the_old_one_stays_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    made = create()
    move_clock(monkeypatch, hours=1)

    status, changed = call("templates", asked("templates_changed", subject="inspectora"))

    assert status == 200
    assert (changed["version"], changed["saved_by"], changed["created_by"]) == (2, "inspectora", "directora")
    assert changed["text"] == "Estimada familia de {estudiante}: el lunes no hay clases."
    assert call("templates", load_event("templates_one")) == (200, changed)
    assert call("templates", load_event("templates_first_version")) == (200, made | {"newest_version": 2})
    _, listed = call("templates", load_event("templates_versions"))
    assert [(one["version"], one["text"]) for one in listed["versions"]] == [(2, changed["text"]), (1, TEXT)]


def test_a_change_that_is_sent_again_makes_no_further_version() -> None:
    create()

    assert call("templates", load_event("templates_changed")) == call("templates", load_event("templates_changed"))
    assert call("templates", load_event("templates_one"))[1]["version"] == 2


def test_somebody_elses_change_is_not_overwritten_unseen() -> None:
    create()
    call("templates", load_event("templates_changed"))

    status, body = call("templates", asked("templates_changed", {"text": "Mañana sí hay clases."}))

    assert (status, body["code"], body["version"]) == (409, "changed_meanwhile", 2)
    assert call("templates", load_event("templates_one"))[1]["version"] == 2


def test_a_version_that_does_not_exist_yet_cannot_be_changed() -> None:
    create()

    status, body = call("templates", asked("templates_changed", {"version": 2}))

    assert (status, body["code"]) == (409, "changed_meanwhile")


def test_an_archived_template_is_not_offered_and_stays_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    create()
    assert call("templates", load_event("templates_archived")) == (204, "")
    move_clock(monkeypatch, hours=1)

    assert call("templates", load_event("templates_archived")) == (204, "")  # archived already is done
    assert call("templates", load_event("templates_list")) == (200, {"templates": [], "next": None})
    status, found = call("templates", load_event("templates_one"))
    assert (status, found["archived_at"], found["archived_by"]) == (200, "2026-11-23T12:00:00Z", "directora")
    assert call("templates", load_event("templates_first_version"))[0] == 200
    status, body = call("templates", load_event("templates_changed"))
    assert (status, body["code"]) == (409, "wrong_state")


def test_templates_are_listed_page_by_page_without_those_archived() -> None:
    made = [call("templates", asked("templates_created", key=f"key-{number}"))[1]["id"] for number in range(7)]
    archived = load_event("templates_archived")
    call("templates", archived | {"pathParameters": {"template_id": made[3]}, "path": f"/templates/{made[3]}"})

    found: list[str] = []
    query = {"limit": "2"}
    while True:
        status, page = call("templates", with_query(load_event("templates_list"), **query))
        assert status == 200
        assert len(page["templates"]) <= 2
        found += [one["id"] for one in page["templates"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]

    assert found == sorted(set(made) - {made[3]})


def test_versions_are_listed_page_by_page() -> None:
    create()
    for version in range(1, 5):
        call("templates", asked("templates_changed", {"text": f"Texto {version}", "version": version}))

    _, first = call("templates", with_query(load_event("templates_versions"), limit="3"))
    _, second = call("templates", with_query(load_event("templates_versions"), limit="3", cursor=str(first["next"])))

    assert [one["version"] for one in first["versions"]] == [5, 4, 3]
    assert [one["version"] for one in second["versions"]] == [2, 1]
    assert second["next"] is None


def test_a_preview_says_what_is_sent_and_what_it_costs_and_writes_nothing() -> None:
    status, found = call("templates", load_event("templates_preview"))

    assert status == 200
    assert found == {
        "text": "Reunión de 7° básico B: esperamos a apoderado/a el martes.",
        "encoding": "UCS-2",
        "units": 58,
        "segments": 1,
        "without_accents": {"encoding": "UCS-2", "units": 58, "segments": 1},
        "costly_characters": ["ó", "°", "á"],
        "fields": ["course", "guardian"],
        "missing": ["guardian"],
        "problems": [],
    }
    assert rows() == []


def test_a_preview_drops_accents_and_joins_names() -> None:
    body = {
        "text": "Sesión de {estudiante}",
        "drop_accents": True,
        "values": {"student": ["Sofía", "Íñigo"], "course": [], "guardian": []},
    }

    _, found = call("templates", asked("templates_preview", body))

    assert (found["text"], found["encoding"], found["costly_characters"]) == ("Sesion de Sofia e Iñigo", "GSM-7", [])


@pytest.mark.parametrize(
    ("text", "problem"),
    [("", "empty"), ("Hola {nombre}", "unknown_field"), ("x" * 1600, "too_long"), ("a\u202eb", "direction_control")],
)
def test_a_text_that_cannot_be_sent_yet_is_measured_and_says_why(text: str, problem: str) -> None:
    status, found = call("templates", asked("templates_preview", {"text": text}))

    assert status == 200
    assert [(one["field"], one["code"]) for one in found["problems"]] == [("/text", problem)]


def test_everything_that_is_wrong_is_named_at_once_and_nothing_is_written() -> None:
    status, body = call("templates", load_event("templates_with_wrong_fields"))

    assert (status, body["code"]) == (422, "invalid_request")
    assert problems(body) == [("/name", "empty"), ("/text", "unknown_field")]
    assert template_rows() == []


@pytest.mark.parametrize("name", ["templates_created", "templates_changed"])
@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"name": ""}, ("/name", "empty")),
        ({"name": "x" * 101}, ("/name", "string_too_long")),
        ({"name": "a\nb"}, ("/name", "control_character")),
        ({"name": "a\x00b"}, ("/name", "control_character")),
        ({"name": "a\u202eb"}, ("/name", "control_character")),
        ({"name": None}, ("/name", "string_type")),
        ({"name": "\ud800"}, ("/name", "not_unicode")),
        ({"text": ""}, ("/text", "empty")),
        ({"text": " \n "}, ("/text", "empty")),
        ({"text": "a\x00b"}, ("/text", "control_character")),
        ({"text": "\ud83d"}, ("/text", "not_unicode")),
        ({"text": "x" * 1531}, ("/text", "too_long")),
        ({"text": "x" * 5001}, ("/text", "string_too_long")),
        ({"text": "{student}" * 11}, ("/text", "too_many_fields")),
        ({"text": ["a"]}, ("/text", "string_type")),
        ({"category": "urgent"}, ("/category", "enum")),
        ({"drop_accents": "yes"}, ("/drop_accents", "bool_type")),
        ({"colour": "red"}, ("/colour", "extra_forbidden")),
    ],
)
def test_a_wrong_field_is_refused_and_nothing_is_written(
    name: str, body: dict[str, Any], problem: tuple[str, str]
) -> None:
    create()
    before = template_rows()

    status, answer = call("templates", asked(name, body, key="another"))

    assert (status, answer["code"]) == (422, "invalid_request")
    assert problems(answer) == [problem]
    assert template_rows() == before


@pytest.mark.parametrize("version", [0, -1, "1", 1.5, True, None, 10**9])
def test_a_wrong_version_is_refused(version: Any) -> None:
    create()

    status, body = call("templates", asked("templates_changed", {"version": version}))

    assert (status, body["code"]) == (422, "invalid_request")
    assert [field for field, _ in problems(body)] == ["/version"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"text": "x" * 5001}, "/text"),
        ({"text": None}, "/text"),
        ({"drop_accents": 1}, "/drop_accents"),
        ({"values": {"student": ["x" * 201]}}, "/values/student/0"),
        ({"values": {"course": ["x"] * 21}}, "/values/course"),
        ({"values": {"guardian": "Ana"}}, "/values/guardian"),
        ({"values": {"teacher": ["Ana"]}}, "/values/teacher"),
        ({"values": None}, "/values"),
        ({"name": "x"}, "/name"),
    ],
)
def test_a_wrong_field_of_a_preview_is_refused(body: dict[str, Any], field: str) -> None:
    status, answer = call("templates", asked("templates_preview", body))

    assert (status, answer["code"]) == (422, "invalid_request")
    assert [one for one, _ in problems(answer)] == [field]


@pytest.mark.parametrize(
    ("name", "query", "field"),
    [
        ("templates_list", {"limit": "0"}, "/query/limit"),
        ("templates_list", {"limit": "101"}, "/query/limit"),
        ("templates_list", {"cursor": "#"}, "/query/cursor"),
        ("templates_list", {"cursor": "x" * 65}, "/query/cursor"),
        ("templates_versions", {"limit": "x"}, "/query/limit"),
        ("templates_versions", {"cursor": "0"}, "/query/cursor"),
        ("templates_one", {"version": "0"}, "/query/version"),
        ("templates_one", {"version": "x"}, "/query/version"),
    ],
)
def test_a_wrong_parameter_is_refused(name: str, query: dict[str, str], field: str) -> None:
    status, body = call("templates", with_query(load_event(name), **query))

    assert (status, body["code"]) == (422, "invalid_request")
    assert [one for one, _ in problems(body)] == [field]


def test_a_megabyte_of_text_is_too_large() -> None:
    status, body = call("templates", asked("templates_created", {"text": "x" * 1_000_000}))

    assert (status, body["code"]) == (413, "too_large")
    assert rows() == []


@pytest.mark.parametrize("role", OTHERS)
@pytest.mark.parametrize("name", EVENTS)
def test_only_directors_and_administrators_use_templates_L2(name: str, role: str) -> None:
    status, body = call("templates", asked(name, role=role))

    assert (status, body["code"]) == (403, "not_allowed")
    assert rows() == []


def test_a_teacher_saves_nothing_not_even_the_use_of_a_key() -> None:
    status, body = call("templates", load_event("templates_refused_to_a_teacher"))

    assert (status, body["code"]) == (403, "not_allowed")
    assert rows() == []


def test_an_administrator_may_do_all_a_director_may() -> None:
    statuses = [call("templates", asked(name, role="administrator"))[0] for name in EVENTS]

    assert statuses == [201, 200, 200, 200, 200, 200, 204, 200]


@pytest.mark.parametrize("name", [name for name in EVENTS if load_event(name)["pathParameters"]])
def test_another_schools_template_is_not_found_and_not_changed(name: str) -> None:
    create()
    before = template_rows()

    status, body = call("templates", asked(name, school="liceo-1"))

    assert (status, body["code"]) == (404, "not_found")
    assert template_rows() == before


def test_another_schools_templates_are_not_listed() -> None:
    create()

    assert call("templates", asked("templates_list", school="liceo-1")) == (200, {"templates": [], "next": None})


def test_a_version_that_is_not_there_is_not_found() -> None:
    create()

    status, body = call("templates", with_query(load_event("templates_one"), version="2"))

    assert (status, body["code"]) == (404, "not_found")


def test_no_log_line_holds_a_text_or_a_name(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.INFO):
        create()
        call("templates", asked("templates_preview", {"text": "Hola {estudiante}", "values": {"student": ["Sofía"]}}))
        call("templates", asked("templates_created", {"text": "Un secreto {nombre}"}, key="another"))

    logged = caplog.text + capsys.readouterr().out + "".join(str(record.__dict__) for record in caplog.records)
    assert "request_answered" in logged
    assert [one for one in ("Estimada", "Sofía", "Hola", "secreto", "Suspensión") if one in logged] == []
