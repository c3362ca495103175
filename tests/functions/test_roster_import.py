"""The import's function as S3 calls it."""

import io
import os
import zipfile
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

import boto3
import pytest

from recado.tables import imports, people, schools
from recado.tables.base import Transaction
from recado.tables.imports import ImportState
from recado.tables.schools import Contract, School
from tests.apps import load_app, load_event

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
FILES = {
    "orgs.csv": "sourcedId,name,type\naromos,Escuela Los Aromos,school\n",
    "classes.csv": "sourcedId,title,grades,classType\n7b,7° Básico B,07,homeroom\n",
    "users.csv": (
        "sourcedId,role,givenName,familyName,sms,agentSourcedIds\n"
        "s1,student,Lautaro,Soto,,g1\n"
        "g1,guardian,Rosa,Catrileo,9 5555 0101,\n"
        "g2,guardian,,Huenchumán,9 5555 0102,\n"
    ),
    "enrollments.csv": "classSourcedId,userSourcedId,role\n7b,s1,student\n",
}


@pytest.fixture
def school(aws: None) -> None:
    with Transaction() as write:
        one = School("aromos", "Escuela Los Aromos", "CL", "America/Santiago", "", Contract.ACTIVE, 1, NOW)
        schools.create_school(write, one, AssertionError("a new table"))


def uploaded(key: str, content: bytes) -> dict[str, Any]:
    bucket = os.environ["IMPORT_BUCKET"]
    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=content)
    named = {"bucket": {"name": bucket}, "object": {"key": quote_plus(key, safe="/"), "size": len(content)}}
    return {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": named}]}


def zipped() -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        for name, text in FILES.items():
            opened.writestr(name, text)
    return archive.getvalue()


def test_an_uploaded_zip_is_imported(school: None) -> None:
    load_app("roster_import").handler(uploaded("imports/aromos/i-1.zip", zipped()), None)

    result = imports.find_import("aromos", "i-1")
    assert result is not None
    assert (result.state, result.counts["new"], result.bad_rows_count) == (ImportState.DONE, 2, 1)


def test_a_zip_of_a_sandbox_is_imported_there_and_not_into_the_school(school: None) -> None:
    with Transaction() as write:
        one = School("aromos~test", "Prueba", "CL", "America/Santiago", "", Contract.ACTIVE, 1, NOW)
        schools.create_school(write, one, AssertionError("a new table"), is_listed=False)

    load_app("roster_import").handler(uploaded("imports/aromos~test/i1.zip", zipped()), None)

    assert people.find_person("aromos~test", "g1") is not None
    assert people.find_person("aromos", "g1") is None


def test_the_same_event_twice_imports_once(school: None) -> None:
    event = uploaded("imports/aromos/i-1.zip", zipped())
    load_app("roster_import").handler(event, None)
    first = imports.find_import("aromos", "i-1")

    load_app("roster_import").handler(event, None)

    assert imports.find_import("aromos", "i-1") == first


def test_what_is_no_zip_is_refused_in_the_result(school: None) -> None:
    load_app("roster_import").handler(uploaded("imports/aromos/i-1.zip", b"sourcedId;role\n"), None)

    result = imports.find_import("aromos", "i-1")
    assert result is not None
    assert (result.state, [one.code for one in result.problems]) == (ImportState.REFUSED, ["not_a_zip"])


def test_a_key_that_names_no_school_imports_nothing(school: None) -> None:
    for path in ("aromos/../other/i", "aromos/i 1", "i", "nobody/i"):
        load_app("roster_import").handler(uploaded(f"imports/{path}.zip", zipped()), None)

    assert list(people.list_everybody("aromos")) == list(people.list_everybody("nobody")) == []


def test_no_number_and_no_name_reaches_the_log(school: None, caplog: pytest.LogCaptureFixture) -> None:
    load_app("roster_import").handler(uploaded("imports/aromos/i-1.zip", zipped()), None)

    logged = "".join(repr(vars(line)) for line in caplog.records)

    assert "roster_imported" in logged
    for secret in ("5555", "Catrileo", "Huenchumán", "Rosa"):
        assert secret not in logged


def test_an_event_of_s3_names_the_school_and_the_import(aws: None) -> None:
    event = load_event("roster_import_uploaded")
    with Transaction() as write:
        one = School("los-aromos", "Escuela Los Aromos", "CL", "America/Santiago", "", Contract.ACTIVE, 1, NOW)
        schools.create_school(write, one, AssertionError("a new table"))
    uploaded(event["Records"][0]["s3"]["object"]["key"], zipped())

    load_app("roster_import").handler(event, None)

    result = imports.find_import("los-aromos", "2026-11-23")
    assert result is not None
    assert result.state is ImportState.DONE
