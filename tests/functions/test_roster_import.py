"""The import's function as S3 and its queue call it."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

import pytest

from recado import clock, imports
from recado.access import Caller
from recado.rules.import_states import ImportState
from recado.rules.roles import Role
from recado.rules.roster_diff import people_counts
from recado.tables import imports as table
from recado.tables import people, schools
from recado.tables.base import Transaction
from recado.tables.imports import Import
from recado.tables.schools import Contract, School
from tests import rosters
from tests.apps import Context, load_app, load_event
from tests.conftest import jobs_on

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SCHOOLS = ("aromos", "los-aromos")
DIRECTOR = Caller("los-aromos", Role.DIRECTOR, "directora")
FILES = rosters.edited(("g2,guardian,Hugo,Ibáñez,", "g2,guardian,,Huenchumán,"))


class LongContext(Context):
    def get_remaining_time_in_millis(self) -> int:
        return 600_000


@pytest.fixture(autouse=True)
def school(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    rosters.one_after_the_other(monkeypatch)
    monkeypatch.setattr(clock, "now", lambda: NOW)
    for school_id in SCHOOLS:
        with Transaction() as write:
            one = School(school_id, "Escuela Los Aromos", "CL", "America/Santiago", "", Contract.ACTIVE, 1, NOW)
            schools.create_school(write, one, AssertionError("a new table"))


def uploaded(key: str, content: bytes) -> dict[str, Any]:
    rosters.put(key, content)
    named = {"object": {"key": quote_plus(key, safe="/"), "size": len(content)}}
    return {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": named}]}


def handle(event: dict[str, Any]) -> Any:
    return load_app("roster_import").handler(event, LongContext())


def find(school_id: str, import_id: str) -> Import:
    found = table.find_import(school_id, import_id)
    assert found is not None
    return found


def test_a_zip_of_a_sandbox_is_imported_there_and_not_into_the_school() -> None:
    with Transaction() as write:
        one = School("aromos~test", "Prueba", "CL", "America/Santiago", "", Contract.ACTIVE, 1, NOW)
        schools.create_school(write, one, AssertionError("a new table"), is_listed=False)

    handle(uploaded("imports/aromos~test/i1.zip", rosters.zipped(FILES)))

    assert people.find_person("aromos~test", "g1") is not None
    assert people.find_person("aromos", "g1") is None


def test_a_zip_of_the_operators_is_imported_at_once() -> None:
    handle(uploaded("imports/aromos/i-1.zip", rosters.zipped(FILES)))

    result = find("aromos", "i-1")
    assert (result.state, people_counts(result.counts)["new"], result.bad_rows_count) == (ImportState.DONE, 4, 1)
    assert rosters.stored()[-1] == "imports/aromos/i-1.zip"  # it stays: the operator put it there


def test_the_same_event_twice_imports_once() -> None:
    event = uploaded("imports/aromos/i-1.zip", rosters.zipped())
    handle(event)
    first = find("aromos", "i-1")

    handle(event)

    assert find("aromos", "i-1") == first


def test_what_is_no_zip_is_refused_in_the_result() -> None:
    handle(uploaded("imports/aromos/i-1.zip", b"sourcedId;role\n"))

    result = find("aromos", "i-1")
    assert (result.state, [one.code for one in result.problems]) == (ImportState.REFUSED, ["not_a_zip"])


@pytest.mark.parametrize(
    "path",
    [
        "aromos/../other/i.zip",
        "aromos/i 1.zip",
        "i.zip",
        "nobody/i.zip",
        "aromos/i-1/roster.zip",
        "aromos/i-1/x/roster.zip",
        "aromos/i-1/ROSTER.ZIP",
    ],
)
def test_a_key_that_names_no_school_or_nothing_asked_for_imports_nothing(path: str) -> None:
    handle(uploaded(f"imports/{path}", rosters.zipped()))

    assert list(people.list_everybody("aromos")) == list(people.list_everybody("nobody")) == []


def test_no_number_and_no_name_reaches_the_log(caplog: pytest.LogCaptureFixture) -> None:
    handle(uploaded("imports/aromos/i-1.zip", rosters.zipped(FILES)))

    logged = "".join(repr(vars(line)) for line in caplog.records)

    assert "roster_import" in logged
    for secret in ("5555", "Catrileo", "Huenchumán", "Rosa"):
        assert secret not in logged


def test_an_event_of_s3_names_the_school_and_the_import() -> None:
    event = load_event("roster_import_uploaded")
    uploaded(event["Records"][0]["s3"]["object"]["key"], rosters.zipped())

    handle(event)

    assert find("los-aromos", "2026-11-23").state is ImportState.DONE


def test_an_upload_that_was_asked_for_is_compared_and_a_job_applies_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "_id", lambda *_: "i-2026")
    imports.create_import(DIRECTOR, ("roster.zip",), "k1", NOW, is_first=True)
    event = load_event("roster_import_asked_for")
    uploaded(event["Records"][0]["s3"]["object"]["key"], rosters.zipped())

    handle(event)
    ready = find("los-aromos", "i-2026").state
    imports.apply_import(DIRECTOR, "i-2026", NOW, confirm_gone=False)
    (job,) = jobs_on("RosterQueue")
    owed = load_event("roster_import_owed")

    assert owed["Records"][0]["body"] == job
    assert handle(owed) == {"batchItemFailures": []}
    assert (ready, find("los-aromos", "i-2026").state) == (ImportState.READY, ImportState.DONE)


def test_a_job_of_an_import_that_is_not_there_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    assert handle(load_event("roster_import_owed")) == {"batchItemFailures": []}
    assert "roster_job_of_nothing" in caplog.text


def test_an_import_that_stands_still_is_taken_up_by_the_minutes_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "_id", lambda *_: "i-2026")
    imports.create_import(DIRECTOR, ("roster.zip",), "k1", NOW, is_first=True)
    rosters.put("imports/los-aromos/i-2026/roster.zip", rosters.zipped())
    monkeypatch.setattr(clock, "now", lambda: NOW.replace(hour=13))

    load_app("attention").handler(load_event("attention_minute"), LongContext())

    assert jobs_on("RosterQueue") == [load_event("roster_import_owed")["Records"][0]["body"]]
