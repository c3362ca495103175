"""A portal imports a roster over HTTP: a signed address, the upload, the diff, and the worker behind the queue."""

import time
from typing import Any
from urllib.request import Request, urlopen

import pytest

from local.demo.make_roster import DEMO
from local.demo_school import roster_zip
from tests.end_to_end.conftest import Stack

WAIT_SECONDS = 60


def put(address: str, content: bytes) -> None:
    with urlopen(Request(address, data=content, method="PUT")) as answer:  # noqa: S310  # the emulator's address
        assert answer.status == 200


def wait_for_state(stack: Stack, import_id: str, state: str) -> dict[str, Any]:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        seen: dict[str, Any] = stack.api.need("GET", f"/imports/{import_id}", stack.token())
        if seen["state"] == state:
            return seen
        assert seen["state"] in ("waiting_for_upload", "checking", "applying"), seen
        time.sleep(0.2)
    pytest.fail(f"the import was not {state} within {WAIT_SECONDS} s")


def test_a_portal_uploads_the_same_zip_again_and_nobody_changes(stack: Stack) -> None:
    begun = stack.api.need("POST", "/imports", stack.token(), {}, idempotency_key="import-1")
    put(begun["uploads"][0]["url"], roster_zip())
    ready = wait_for_state(stack, begun["id"], "ready")

    stack.api.need("POST", f"/imports/{begun['id']}/apply", stack.token(), {})
    done = wait_for_state(stack, begun["id"], "done")

    assert ready["counts"] == {"new": 0, "changed": 0, "unchanged": 755, "gone": 0}
    assert (done["applied_by"], done["progress"]["total"]) == ("directora", 0)


def test_a_portal_uploads_file_by_file_sees_the_diff_and_discards_it(stack: Stack) -> None:
    files = ["orgs.csv", "classes.csv", "users.csv", "enrollments.csv"]
    begun = stack.api.need("POST", "/imports", stack.token(), {"files": files}, idempotency_key="import-2")
    for upload in begun["uploads"]:
        content = (DEMO / "oneroster" / upload["file"]).read_bytes()
        put(
            upload["url"],
            content.replace(b"guardian-007,", b"guardian-x07,") if upload["file"] == "users.csv" else content,
        )
    ready = wait_for_state(stack, begun["id"], "ready")

    changes = stack.api.need("GET", f"/imports/{begun['id']}/changes?kind=guardians", stack.token())["changes"]
    discarded = stack.api.need("POST", f"/imports/{begun['id']}/discard", stack.token(), {})

    assert (ready["kinds"]["guardians"]["new"], ready["kinds"]["guardians"]["gone"]) == (1, 1)
    assert {(one["change"], one["id"]) for one in changes} >= {("new", "guardian-x07"), ("gone", "guardian-007")}
    assert discarded["state"] == "discarded"
