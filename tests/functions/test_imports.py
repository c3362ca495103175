"""/imports as a portal uses it, through API Gateway's events."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from recado import clock, imports, roster_import
from recado.tables import imports as table
from recado.tables import people, schools
from recado.tables.base import Transaction
from recado.tables.schools import Contract, School
from tests import rosters
from tests.apps import call, load_event

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SCHOOL = "los-aromos"
FILES = rosters.edited(("g2,guardian,Hugo,Ibáñez,", "g2,guardian,,Huenchumán,"))


@pytest.fixture(autouse=True)
def school(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    rosters.one_after_the_other(monkeypatch)
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(imports, "_id", lambda *_: "i-2026")  # the id that the events name
    for school_id in (SCHOOL, "otra"):
        with Transaction() as write:
            one = School(school_id, "Escuela Los Aromos", "CL", "America/Santiago", "", Contract.ACTIVE, 1, NOW)
            schools.create_school(write, one, AssertionError("a new table"))


def ask(name: str, **changes: Any) -> tuple[int, Any]:
    return call("imports", load_event(name) | changes)


def upload() -> None:
    """What the portal does between beginning and looking."""
    rosters.put(f"imports/{SCHOOL}/i-2026/roster.zip", rosters.zipped(FILES))
    roster_import.note_upload(SCHOOL, "i-2026", "roster.zip", clock.now, lambda: timedelta(minutes=10))


def begun_and_uploaded() -> None:
    assert ask("imports_begun")[0] == 201
    upload()


def test_a_begun_import_says_where_to_put_the_zip() -> None:
    status, answer = ask("imports_begun")

    assert (status, answer["state"], answer["files"]) == (201, "waiting_for_upload", ["roster.zip"])
    assert answer["upload_until"].startswith("2026-11-23T12:15:00")
    assert urlsplit(answer["uploads"][0]["url"]).path.endswith("/imports/los-aromos/i-2026/roster.zip")


def test_the_same_request_again_is_the_same_import_with_addresses_that_are_kept_nowhere() -> None:
    _, first = ask("imports_begun")

    status, again = ask("imports_begun")

    assert (status, again["id"], len(again["uploads"])) == (201, first["id"], 1)
    assert "X-Amz-Signature" not in json.dumps(table.find_import(SCHOOL, "i-2026"), default=str)


def test_a_roster_may_come_file_by_file() -> None:
    status, answer = ask("imports_begun_file_by_file")

    assert status == 201
    assert [one["file"] for one in answer["uploads"]] == answer["files"]
    assert "roles.csv" in answer["files"]


def test_wrong_files_are_named_all_at_once_and_nothing_is_begun() -> None:
    status, answer = ask("imports_begun_with_wrong_files")

    assert (status, answer["code"]) == (422, "invalid_request")
    assert {(one["field"], one["code"]) for one in answer["errors"]} == {
        ("/files/0", "not_a_roster_file"),
        ("/files/1", "not_a_roster_file"),
    }
    assert ask("imports_list")[1] == {"imports": [], "next": None}


@pytest.mark.parametrize(
    "body",
    [
        {"files": []},
        {"files": ["roster.zip"] * 21},
        {"files": "roster.zip"},
        {"files": [1]},
        {"files": None},
        {"file": ["roster.zip"]},
        [],
        {"files": ["roster.zip\0"]},
        {"files": ["x" * 200_000]},
    ],
)
def test_a_body_that_is_no_request_is_refused(body: Any) -> None:
    status, answer = ask("imports_begun", body=json.dumps(body))

    assert (status, answer["code"]) == (422, "invalid_request")
    assert "x" * 100 not in json.dumps(answer)
    assert table.find_import(SCHOOL, "i-2026") is None


@pytest.mark.parametrize(
    "body", [{"confirm_gone": "true"}, {"confirm_gone": 1}, {"confirm": True}, {"confirm_gone": None}]
)
def test_a_confirmation_that_is_none_is_refused(body: Any) -> None:
    begun_and_uploaded()

    assert ask("imports_applied", body=json.dumps(body))[0] == 422
    assert ask("imports_seen")[1]["state"] == "ready"


@pytest.mark.parametrize(
    ("event", "query"),
    [
        ("imports_changes", {"kind": "everybody"}),
        ("imports_changes", {"change": "x"}),
        ("imports_changes", {"change": "unchanged"}),
        ("imports_changes", {"cursor": "students.new"}),
        ("imports_changes", {"cursor": "students.new.999999999"}),
        ("imports_changes", {"kind": "staff", "cursor": "students.new.0"}),
        ("imports_bad_rows", {"cursor": "-1"}),
        ("imports_bad_rows", {"cursor": "1234567"}),
        ("imports_bad_rows_file", {"lang": "fr"}),
        ("imports_list", {"cursor": "S#otra"}),
    ],
)
def test_a_query_that_is_none_is_refused(event: str, query: dict[str, str]) -> None:
    begun_and_uploaded()
    lists = {name: [value] for name, value in query.items()}

    status, answer = ask(event, queryStringParameters=query, multiValueQueryStringParameters=lists)

    assert (status, answer["code"]) == (422, "invalid_request")


def test_a_teacher_begins_no_import_and_nothing_is_written() -> None:
    status, answer = ask("imports_refused_to_a_teacher")

    assert (status, answer["code"]) == (403, "not_allowed")
    assert table.find_import(SCHOOL, "i-2026") is None


def test_an_import_is_seen_compared_applied_and_done() -> None:
    begun_and_uploaded()

    status, ready = ask("imports_seen")
    applied, applying = ask("imports_applied")
    roster_import.work(SCHOOL, "i-2026", clock.now, lambda: timedelta(minutes=10))
    _, done = ask("imports_seen")

    assert (status, ready["state"], ready["uploads"]) == (200, "ready", [])
    assert (ready["counts"]["new"], ready["kinds"]["students"]["new"], ready["bad_rows_count"]) == (4, 2, 1)
    assert (applied, applying["state"], applying["applied_by"]) == (202, "applying", "directora")
    assert (done["state"], done["progress"]) == ("done", {"step": "writing", "done": 4, "total": 4})
    assert len(list(people.list_everybody(SCHOOL))) == 4


def test_changes_are_listed_by_kind_and_change() -> None:
    begun_and_uploaded()

    status, answer = ask("imports_changes")

    assert status == 200
    assert answer == {
        "changes": [
            {
                "kind": "guardians",
                "change": "new",
                "id": "g1",
                "name": "Rosa Catrileo",
                "fields": [],
                "number_before": None,
                "number_after": None,
            }
        ],
        "next": None,
    }


def test_bad_rows_are_listed_and_handed_out_as_a_file() -> None:
    begun_and_uploaded()

    _, listed = ask("imports_bad_rows")
    status, file = ask("imports_bad_rows_file")

    assert listed["bad_rows"] == [{"file": "users.csv", "line": 5, "column": "givenName", "reason": "missing_value"}]
    assert status == 200
    assert file == (
        "\ufeffarchivo,línea,columna,código,motivo\r\nusers.csv,5,givenName,missing_value,Falta el valor\r\n"
    )


def test_bad_rows_can_be_read_in_english() -> None:
    begun_and_uploaded()

    _, file = ask(
        "imports_bad_rows_file", queryStringParameters={"lang": "en"}, multiValueQueryStringParameters={"lang": ["en"]}
    )

    assert "users.csv,5,givenName,missing_value,The value is missing\r\n" in file


def test_checking_names_the_files_that_are_missing() -> None:
    ask("imports_begun")

    status, answer = ask("imports_checked")

    assert (status, answer["code"], answer["missing"]) == (409, "wrong_state", ["roster.zip"])
    rosters.put(f"imports/{SCHOOL}/i-2026/roster.zip", rosters.zipped(FILES))
    assert ask("imports_checked")[1]["state"] == "checking"


def test_a_discarded_import_cannot_be_applied() -> None:
    begun_and_uploaded()

    status, answer = ask("imports_discarded")

    assert (status, answer["state"], answer["discarded_by"]) == (200, "discarded", "directora")
    assert ask("imports_applied")[1]["code"] == "wrong_state"
    assert ask("imports_changes")[0] == 404


@pytest.mark.parametrize(
    "event",
    [
        "imports_seen",
        "imports_changes",
        "imports_bad_rows",
        "imports_bad_rows_file",
        "imports_checked",
        "imports_applied",
        "imports_discarded",
    ],
)
def test_another_schools_import_answers_404(event: str) -> None:
    begun_and_uploaded()
    other = load_event(event)
    other["requestContext"]["authorizer"]["school"] = "otra"

    assert call("imports", other)[0] == 404
    assert ask("imports_seen")[1]["state"] == "ready"


def test_no_number_and_no_name_reaches_the_log(caplog: pytest.LogCaptureFixture) -> None:
    begun_and_uploaded()
    for event in ("imports_seen", "imports_changes", "imports_bad_rows_file", "imports_applied"):
        ask(event)

    logged = "".join(repr(vars(line)) for line in caplog.records)

    assert "request_answered" in logged
    for secret in ("5555", "Catrileo", "Huenchumán", "Rosa", "X-Amz"):
        assert secret not in logged
