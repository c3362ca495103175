"""A small school's roster for the tests of imports, in its bucket on moto."""

import io
import os
import zipfile
from collections.abc import Mapping

import boto3
import pytest

from recado import roster_writing

FILES = {
    "orgs.csv": "sourcedId,name,type\naromos,Escuela Los Aromos,school\n",
    "classes.csv": "sourcedId,title,grades,classType\n7b,7° Básico B,07,homeroom\nka,Kínder A,KG,homeroom\n",
    "users.csv": (
        "sourcedId,role,givenName,familyName,sms,agentSourcedIds\n"
        "s1,student,Lautaro,Soto,,g1\n"
        "s2,student,Emilia,Soto,,g1\n"
        "g1,guardian,Rosa,Catrileo,955550101,\n"
        "g2,guardian,Hugo,Ibáñez,12345,s1\n"
        "t1,teacher,Iván,Núñez,955550102,\n"
    ),
    "enrollments.csv": "classSourcedId,userSourcedId,role\n7b,s1,student\nka,s2,student\n7b,t1,teacher\n",
}


def edited(*changes: tuple[str, str]) -> dict[str, str]:
    """The roster after some edits of its files, each of which must have something to change."""
    files = dict(FILES)
    for old, new in changes:
        (file,) = [name for name, text in files.items() if old in text]
        files[file] = files[file].replace(old, new)
    return files


def zipped(files: Mapping[str, str | bytes] = FILES) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return archive.getvalue()


def put(key: str, content: bytes) -> None:
    boto3.client("s3").put_object(Bucket=os.environ["IMPORT_BUCKET"], Key=key, Body=content)


def stored() -> list[str]:
    """Everything in the bucket."""
    found = boto3.client("s3").list_objects_v2(Bucket=os.environ["IMPORT_BUCKET"])
    return [entry["Key"] for entry in found.get("Contents", [])]


def one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """moto copies its tables while others write to them."""
    monkeypatch.setattr(roster_writing, "WRITERS", 1)
    monkeypatch.setattr(roster_writing, "MEMBERSHIP_WRITERS", 1)
