"""examples/verify_webhook.mjs, run by Node, against signatures of the standard's own library."""

import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from standardwebhooks import Webhook

SCRIPT = Path(__file__).parent.parent.parent / "examples" / "verify_webhook.mjs"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SECRET = "whsec_" + "A" * 32
BODY = '{"type":"message.sent","data":{"message":"m1"}}'
AT = datetime(2026, 11, 26, 9, 0, tzinfo=UTC)
PROGRAM = """
import { readFileSync } from "node:fs";
const { verify } = await import(process.argv[1]);
const { body, headers, secret, now } = JSON.parse(readFileSync(0, "utf8"));
try {
  console.log("taken", verify(body, headers, secret, now).type);
} catch (error) {
  console.log("refused", error.message);
}
"""


def run_node(body: str, signatures: str, *, secret: str = SECRET, now: datetime = AT) -> str:
    node = shutil.which("node")
    if node is None:
        pytest.fail("examples/verify_webhook.mjs needs Node to be tested: install it (Debian: apt-get install nodejs).")
    headers = {"webhook-id": "evt_1", "webhook-timestamp": str(int(AT.timestamp())), "webhook-signature": signatures}
    asked = json.dumps({"body": body, "headers": headers, "secret": secret, "now": now.timestamp()})
    command = [node, "--input-type=module", "-e", PROGRAM, str(SCRIPT)]
    return subprocess.run(command, input=asked, capture_output=True, text=True, check=True, timeout=30).stdout.strip()


def sign(secret: str = SECRET) -> str:
    return Webhook(secret).sign("evt_1", AT, BODY)


def test_what_the_standards_library_signed_is_taken() -> None:
    assert run_node(BODY, sign()) == "taken message.sent"


def test_one_of_two_signatures_is_enough_while_the_secret_changes() -> None:
    assert run_node(BODY, f"{sign(OTHER_SECRET)} {sign()}") == "taken message.sent"


@pytest.mark.parametrize(
    ("body", "signatures", "now"),
    [
        (BODY + " ", sign(), AT),
        (BODY, sign(OTHER_SECRET), AT),
        (BODY, "", AT),
        (BODY, "v1,", AT),
        (BODY, sign(), AT + timedelta(minutes=6)),
        (BODY, sign(), AT - timedelta(minutes=6)),
    ],
)
def test_what_was_changed_not_signed_or_is_old_is_refused(body: str, signatures: str, now: datetime) -> None:
    assert run_node(body, signatures, now=now).startswith("refused")
