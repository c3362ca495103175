"""The conformance script: what keeps the page passes, and who breaks one of its sentences is told which."""

import json
import random
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from local.handsets.server import Setup, handsets
from tests.carriers.dialects import FROM_CARRIER, TO_CARRIER
from tests.carriers.stub_server import Asked, Said, StubServer, hang_up, say, stub_server
from tools import carrier_conformance
from tools.carrier_conformance import CHECKS, DEDUPES, Endpoint, ask_all, main

ROOT = Path(__file__).parent.parent.parent
HANDSET = "+56900000001"
BUSY = "busy"

SIGNATURES = {"another secret's signature is refused", "a changed body is refused", "what is not signed is refused"}
TIMES = {"an old timestamp is refused", "a timestamp to come is refused"}
NO_WAVES = {"what is no JSON is refused, and not with 5xx", "what is no wave is refused, and not with 5xx"}
EVERYTHING = {check.name for check in (*CHECKS, DEDUPES)}

# What a carrier does wrong → the checks that must fail, and no others.
BREAKS: dict[str, set[str]] = {
    "nothing": set(),
    BUSY: {"an answer uses the words of the table", DEDUPES.name},  # nothing can be seen of one who takes nothing
    "takes any signature": SIGNATURES,
    "takes any time": TIMES,
    "looks at the first signature only": {"one right signature among others is enough"},
    "answers 500 to what it cannot read": NO_WAVES,
    "takes what it cannot read": NO_WAVES,
    "forgets references": {DEDUPES.name},
    "leaves the last text out": {
        "a wave is answered one for one",
        "a reference of 256 characters comes back whole",
        "one number that is none spoils no wave",
        "a text without a sender is taken",
        "members nobody knows are ignored",
        "a wave of 100 is taken",
    },
    "cuts references": {"a reference of 256 characters comes back whole"},
    "has words of its own": {"an answer uses the words of the table"},
    "gives no ids": {"an answer uses the words of the table"},
    "takes 50 at most": {"a wave of 100 is taken"},
    "refuses a wave for one number": {
        "one number that is none spoils no wave",
        "an answer uses the words of the table",
    },
    "knows no other members": {"members nobody knows are ignored"},
    "wants a sender": {"a text without a sender is taken"},
}


class Stub:
    """A carrier that keeps the whole page but for one habit."""

    def __init__(self, habit: str) -> None:
        self._habit = habit
        self._taken: dict[str, str] = {}
        self._lock = threading.Lock()

    def __call__(self, request: BaseHTTPRequestHandler, asked: Asked) -> None:
        say(request, self._answer(asked))

    def _answer(self, asked: Asked) -> Said:
        if not self._is_signed(asked):
            return Said(401)
        if self._habit == BUSY:
            return Said(429)
        try:
            document = json.loads(asked.body)
            messages = document["messages"]
        except (ValueError, TypeError, KeyError):
            status = {"answers 500 to what it cannot read": 500, "takes what it cannot read": 200}
            return Said(status.get(self._habit, 400))
        if self._habit == "takes 50 at most" and len(messages) > 50:
            return Said(413)
        if self._habit == "refuses a wave for one number" and any(one["to"] == "+999" for one in messages):
            return Said(400)
        if self._habit == "knows no other members" and (len(document) > 2 or any(len(one) > 5 for one in messages)):
            return Said(400)
        with self._lock:
            items = [self._item(message) for message in messages]
        if self._habit == "leaves the last text out":
            items.pop()
        return Said(200, json.dumps({"messages": items}).encode())

    def _is_signed(self, asked: Asked) -> bool:
        headers = {name.lower(): value for name, value in asked.headers.items()}
        if self._habit == "takes any time":  # signs what it was given as if it had just come
            given = headers.get("webhook-signature", "")
            at = datetime.fromtimestamp(int(headers.get("webhook-timestamp", "0")), UTC)
            return given != "" and Webhook(TO_CARRIER).sign(headers["webhook-id"], at, asked.body.decode()) in given
        if self._habit == "looks at the first signature only":
            headers["webhook-signature"] = headers.get("webhook-signature", "").split(" ")[0]
        try:
            Webhook(TO_CARRIER).verify(asked.body, headers, json_parse=False)
        except (WebhookVerificationError, ValueError) as error:
            return self._habit == "takes any signature" and "timestamp" not in str(error).lower()
        return True

    def _item(self, message: dict[str, Any]) -> dict[str, str]:
        reference = message["reference"]
        said = reference[:100] if self._habit == "cuts references" else reference
        if message["to"] == "+999":
            word = "perhaps" if self._habit == "has words of its own" else "refused"
            return {"reference": said, "status": word, "reason": "wrong_number"}
        if self._habit == "wants a sender" and not message["from"]:
            return {"reference": said, "status": "refused", "reason": "blocked"}
        if self._habit == "forgets references" or reference not in self._taken:
            self._taken[reference] = f"c-{len(self._taken)}-{random.random()}"  # noqa: S311  # not a secret
        carrier_id = "" if self._habit == "gives no ids" else self._taken[reference]
        return {"reference": said, "status": "accepted", "id": carrier_id}


@pytest.fixture
def server() -> Iterator[StubServer]:
    with stub_server() as told:
        yield told


def failed(url: str) -> set[str]:
    return {one.check.name for one in ask_all(Endpoint(url, TO_CARRIER, HANDSET), dedupes=True) if one.problem}


@pytest.mark.parametrize("habit", BREAKS)
def test_who_breaks_one_sentence_fails_by_its_name_and_by_no_other(server: StubServer, habit: str) -> None:
    server.behave = Stub(habit)

    assert failed(server.url) == BREAKS[habit]


def test_every_check_fails_somebody() -> None:
    slow = {"20 texts are answered in time"}  # the test below

    assert set().union(*BREAKS.values()) | slow == EVERYTHING


def test_who_does_not_answer_in_time_fails_and_is_not_waited_for(
    server: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrier_conformance, "ANSWER_SECONDS_MAX", 0.1)
    gate = threading.Event()

    def drip(request: BaseHTTPRequestHandler, _: Asked) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not gate.wait(0.03):
            request.wfile.write(b"X-Drip: 1\r\n")

    server.behave = drip

    found = failed(server.url)
    gate.set()

    assert found == EVERYTHING


@pytest.mark.parametrize(
    "behave",
    [
        lambda request, _: say(request, Said(302)),
        lambda request, _: say(request, Said(200, b"x" * 3_000_000)),
        lambda request, _: say(request, Said(200, b"[" * 100_000)),
        lambda request, _: hang_up(request),
    ],
)
def test_whatever_an_endpoint_does_the_script_ends_with_a_table(
    server: StubServer, behave: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    server.behave = behave

    assert main(["--url", server.url, "--secret", TO_CARRIER, "--to", HANDSET]) in (1, 2)


def test_the_simulated_handsets_keep_the_whole_page() -> None:
    with handsets(Setup("http://127.0.0.1:9/v1", TO_CARRIER, FROM_CARRIER)) as running:
        assert failed(f"{running.url}/send") == set()


def test_it_runs_alone_says_each_rule_and_ends_with_its_exit_code(server: StubServer) -> None:
    for habit, code in (("nothing", 0), ("takes any time", 1)):
        server.behave = Stub(habit)
        command = [sys.executable, "-m", "tools.carrier_conformance", "--url", server.url, "--secret", "-"]
        command += ["--to", HANDSET, "--dedupe-hours", "24"]

        ran = subprocess.run(
            command, cwd=ROOT, input=TO_CARRIER, capture_output=True, text=True, check=False, timeout=60
        )

        assert (ran.returncode, ran.stderr) == (code, "")
        assert len(re.findall(r"^  (?:pass|FAIL) ", ran.stdout, re.MULTILINE)) == len(CHECKS) + 1
        assert ("docs/carrier_format.md" in ran.stdout) is (code == 1)
        assert TO_CARRIER not in ran.stdout


@pytest.mark.parametrize(
    ("url", "secret"), [("http://127.0.0.1:1/", TO_CARRIER), ("no address", TO_CARRIER), ("http://127.0.0.1:1/", "x!")]
)
def test_where_nobody_answers_it_says_so(url: str, secret: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--url", url, "--secret", secret, "--to", HANDSET]) == 2


def test_it_sends_a_bounded_number_of_texts(server: StubServer) -> None:
    server.behave = Stub("nothing")
    endpoint = Endpoint(server.url, TO_CARRIER, HANDSET)

    ask_all(endpoint, dedupes=True)

    assert endpoint.texts <= 150
    assert len(server.seen) <= 25


def test_every_sentence_it_rests_on_stands_on_the_page() -> None:
    page = " ".join((ROOT / "docs/carrier_format.md").read_text().split())

    assert [check.name for check in (*CHECKS, DEDUPES) if " ".join(check.rule.split()) not in page] == []


def test_it_imports_nothing_but_the_standard_library_and_the_signatures() -> None:
    found = re.findall(r"^(?:from|import) (\w+)", (ROOT / "tools/carrier_conformance.py").read_text(), re.MULTILINE)

    assert {name for name in found if name not in sys.stdlib_module_names} == {"standardwebhooks"}
