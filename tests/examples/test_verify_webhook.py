"""examples/verify_webhook.js, run by node, believes what the standard's own library has signed, and nothing else.

Node is not among what the project needs: without it these are skipped, and pytest's summary says so.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

FILE = Path(__file__).parent.parent.parent / "examples" / "verify_webhook.js"
SECRET = "whsec_cmVjYWRvLXJlY2Fkby1yZWNhZG8tcmVjYWRvLTEyMzQ="
ANOTHER = "whsec_YW5vdGhlci1hbm90aGVyLWFub3RoZXItYW5vdGhlcg=="
BODY = json.dumps({"type": "message.sent", "data": {"message": "m1", "state": "sent"}, "school": "año"}).encode()


@dataclass(frozen=True)
class Told:
    """The program, listening."""

    port: int
    process: subprocess.Popen[str]

    def post(self, headers: dict[str, str], body: bytes = BODY) -> int:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("POST", "/recado", body, headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def end(self) -> list[str]:
        """What it has printed; it is over then."""
        self.process.terminate()
        printed, _ = self.process.communicate(timeout=10)
        return printed.splitlines()


@pytest.fixture
def told() -> Iterator[Told]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on this machine: examples/verify_webhook.js was not tried")
    process = subprocess.Popen(
        [node, str(FILE), "0"],
        env={"RECADO_WEBHOOK_SECRET": SECRET, "PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline().split()
        assert said[:2] == ["listening", "on"], said
        yield Told(int(said[2]), process)
    finally:
        process.kill()
        process.wait()


def signed(
    *, webhook_id: str = "w1", secret: str = SECRET, age: timedelta = timedelta(0), body: bytes = BODY
) -> dict[str, str]:
    at = datetime.now(UTC) - age
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(webhook_id, at, body.decode()),
    }


def test_what_the_library_signs_is_believed_and_done_once(told: Told) -> None:
    statuses = [told.post(signed()), told.post(signed()), told.post(signed(webhook_id="w2"))]

    assert statuses == [204, 204, 204]
    assert told.end() == ['message.sent {"message":"m1","state":"sent"}'] * 2


def test_while_a_secret_changes_one_signature_that_holds_is_enough(told: Told) -> None:
    ours, theirs = signed(), signed(secret=ANOTHER)
    both = ours | {"webhook-signature": f"{theirs['webhook-signature']} {ours['webhook-signature']}"}

    assert told.post(both) == 204


@pytest.mark.parametrize(
    "change",
    [
        {"secret": ANOTHER},
        {"age": timedelta(minutes=6)},
        {"age": timedelta(minutes=-6)},
        {"body": BODY + b" "},
    ],
)
def test_what_is_not_signed_as_it_stands_and_lately_is_refused(told: Told, change: dict[str, Any]) -> None:
    assert told.post(signed(**change)) == 401
    assert told.end() == []


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
@pytest.mark.parametrize("value", [None, "", "v1,", "v1a,AAAA", "soon"])
def test_a_header_that_lacks_or_says_something_else_is_refused(told: Told, name: str, value: str | None) -> None:
    headers = {key: one for key, one in (signed() | {name: value}).items() if one is not None}

    assert told.post(headers) == 401


def test_a_body_that_never_ends_is_cut_off(told: Told) -> None:
    with pytest.raises((ConnectionError, OSError)):
        told.post(signed(), b"x" * (8 * 1024 * 1024))
    assert told.post(signed()) == 204
