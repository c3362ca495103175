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
from standardwebhooks import Webhook

from local.handsets.server import Setup, handsets
from tests.carriers.dialects import FROM_CARRIER, TO_CARRIER
from tests.carriers.stub_server import Asked, Said, StubServer, hang_up, say, stub_server
from tools import carrier_checks, carrier_endpoint
from tools.carrier_conformance import CHECKS, DEDUPES, ask_all, main
from tools.carrier_endpoint import Endpoint

FILES = ("carrier_checks", "carrier_conformance", "carrier_endpoint", "carrier_reports")
ROOT = Path(__file__).parent.parent.parent
HANDSET = "+56900000001"
BUSY = "busy"

SIGNATURES = {"another secret's signature is refused", "a changed body is refused"}
TIMES = {"an old timestamp is refused", "a timestamp to come is refused"}
NO_WAVES = {"what is no JSON is refused, and not with 5xx", "what is no wave is refused, and not with 5xx"}
REMEMBERS = {check.name for check in DEDUPES}
EVERYTHING = {check.name for check in (*CHECKS, *DEDUPES)}
REFUSALS = {
    *SIGNATURES,
    *TIMES,
    *NO_WAVES,
    "what is not signed is refused",
    "a part of a signature is refused",
    "what is no timestamp is refused",
}
ONE_TEXT = {  # that is accepted
    "a text is taken",
    "a text without a sender is taken",
    "other alphabets and emoji are taken",
    "a text of ten parts is taken",
    "a text worth one second is taken",
}
WAVES = {
    *ONE_TEXT,
    "a wave is answered one for one",
    "a reference of 256 characters comes back whole",
    "one number that is none spoils no wave",
    "members nobody knows are ignored",
    "a wave of 100 is taken",
}
NONE_TAKEN = {*REMEMBERS, "a text is told by its reference alone"}
WORDS = "an answer uses the words of the table"
NO_NUMBER = "a number that is none does not come again"
CONNECTION = "a connection is used again"
IN_TIME = "20 texts are answered in time"
SEVERAL = "several waves at once are answered in time"
SIGNED_OTHERWISE = {
    "a timestamp of four minutes is taken",
    "one right signature among others is enough",
    "signatures of other versions are passed over",
}

# What a carrier does wrong → the checks that must fail, and no others.
BREAKS: dict[str, set[str]] = {
    "nothing": set(),
    "takes any signature": {*SIGNATURES, "a part of a signature is refused"},
    "takes what is not signed": {"what is not signed is refused"},
    "takes the beginning of a signature": {"a part of a signature is refused"},
    "takes any time": TIMES,
    "takes two minutes": {"a timestamp of four minutes is taken"},
    "breaks on what is no time": {"what is no timestamp is refused"},
    "looks at the first signature only": SIGNED_OTHERWISE - {"a timestamp of four minutes is taken"},
    "looks at the last signature only": SIGNED_OTHERWISE - {"a timestamp of four minutes is taken"},
    "knows one version only": {"signatures of other versions are passed over"},
    "answers 408 to strangers": REFUSALS - NO_WAVES,
    "answers 429 to strangers": REFUSALS - NO_WAVES,
    "answers 500 to what it cannot read": NO_WAVES,
    "takes what it cannot read": NO_WAVES,
    "is always busy": {*WAVES, WORDS, NO_NUMBER, *NONE_TAKEN},
    "takes nothing now": {*ONE_TEXT, NO_NUMBER, *NONE_TAKEN},
    "answers 202": EVERYTHING - REFUSALS - {WORDS, NO_NUMBER, IN_TIME, *NONE_TAKEN} | REMEMBERS,
    "redirects": EVERYTHING - REFUSALS - {IN_TIME},
    "forgets references": REMEMBERS,
    "refuses what comes again": REMEMBERS,
    "remembers waves": {"a reference has its answer in any wave"},
    "remembers too late": {"a reference asked at once has one answer"},
    "remembers words": {"a text is told by its reference alone"},
    "gives all one id": {"a text is told by its reference alone"},
    "leaves the last text out": {*WAVES, NO_NUMBER, *NONE_TAKEN - {"a reference asked twice has one answer"}},
    "answers twice": WAVES,
    "answers for others": {*WAVES, "a text is told by its reference alone"},
    "answers null": WAVES,
    "answers a list": {*WAVES, WORDS, NO_NUMBER, *NONE_TAKEN},
    "answers a name twice": {*WAVES, WORDS, NO_NUMBER, *NONE_TAKEN},
    "answers in Latin-1": {*WAVES, WORDS, NO_NUMBER, *NONE_TAKEN},
    "cuts references": {"a reference of 256 characters comes back whole"},
    "has words of its own": {WORDS},
    "gives long codes": {WORDS},
    "gives no ids": {WORDS, "a text is told by its reference alone"},
    "gives numbers for ids": {WORDS},
    "takes 50 at most": {"a wave of 100 is taken"},
    "takes 100 KB at most": {"a wave of 100 is taken"},
    "refuses a wave for one number": {
        "one number that is none spoils no wave",
        "a wave of 100 is taken",
        WORDS,
        NO_NUMBER,
        SEVERAL,
        CONNECTION,
    },
    "never decides": {NO_NUMBER},
    "knows no other members": {"members nobody knows are ignored"},
    "wants a sender": {"a text without a sender is taken"},
    "knows GSM-7 only": {"other alphabets and emoji are taken", "a text of ten parts is taken"},
    "takes one part": {"a text of ten parts is taken"},
    "wants a minute": {"a text worth one second is taken"},
    "hangs up after an answer": {CONNECTION},
}


GSM = "@£$¥èéùìòÇØøÅåÆæßÉÄÖÑÜ§¿äöñüà¡"  # besides those of ASCII


class Stub:
    """A carrier that keeps the whole page but for one habit."""

    def __init__(self, habit: str) -> None:
        self._habit = habit
        self._taken: dict[str, str] = {}  # by reference, the words
        self._waves: set[tuple[str, ...]] = set()
        self._lock = threading.Lock()

    def __call__(self, request: BaseHTTPRequestHandler, asked: Asked) -> None:
        say(request, self._answer(asked))
        if self._habit == "hangs up after an answer":
            hang_up(request)

    def _answer(self, asked: Asked) -> Said:
        if self._habit == "breaks on what is no time" and not is_stamp(asked.headers.get("webhook-timestamp", "0")):
            return Said(500)
        if not self._is_signed(asked):
            return Said({"answers 408 to strangers": 408, "answers 429 to strangers": 429}.get(self._habit, 401))
        messages = texts_of(asked.body)
        if not messages:
            status = {"answers 500 to what it cannot read": 500, "takes what it cannot read": 200}
            return Said(status.get(self._habit, 400))
        is_refused = {
            "takes 50 at most": len(messages) > 50,
            "takes 100 KB at most": len(asked.body) > 100 * 1024,
            "refuses a wave for one number": any(one["to"] == "+999" for one in messages),
            "knows no other members": b'"later"' in asked.body,
        }
        if is_refused.get(self._habit):
            return Said(400)
        if self._habit in ("is always busy", "redirects"):
            return Said(429 if self._habit == "is always busy" else 307)
        with self._lock:
            names = tuple(message["reference"] for message in messages)
            is_fresh = self._habit == "forgets references" or (self._habit == "remembers too late" and len(names) == 1)
            items = [self._item(message, names, is_fresh) for message in messages]
            self._waves.add(names)
        return self._said(items)

    def _said(self, items: list[Any]) -> Said:
        document: Any = {"messages": items}
        match self._habit:
            case "leaves the last text out":
                items.pop()
            case "answers twice":
                items += items
            case "answers for others":
                items.append({"reference": "somebody.elses", "status": "accepted", "id": "x"})
            case "answers null":
                items.append(None)
            case "answers a list":
                document = items
            case "answers a name twice":
                return Said(200, json.dumps(document).replace('"status"', '"status": 7, "status"').encode())
            case "answers in Latin-1":
                return Said(200, json.dumps(document | {"note": "ñ"}, ensure_ascii=False).encode("latin-1"))
        return Said(202 if self._habit == "answers 202" else 200, json.dumps(document).encode())

    def _is_signed(self, asked: Asked) -> bool:
        headers = {name.lower(): value for name, value in asked.headers.items()}
        given, stamp = headers.get("webhook-signature", ""), headers.get("webhook-timestamp", "")
        if self._habit == "takes what is not signed" and not given:
            return True
        if not headers.get("webhook-id") or not given or not is_stamp(stamp):
            return False
        at = datetime.fromtimestamp(int(stamp), UTC)
        limit = {"takes any time": 1e9, "takes two minutes": 120}.get(self._habit, 300)
        if abs((datetime.now(UTC) - at).total_seconds()) > limit:
            return False
        right = Webhook(TO_CARRIER).sign(headers["webhook-id"], at, asked.body.decode())
        signatures = given.split(" ")
        if self._habit == "takes any signature":
            return True
        if self._habit == "takes the beginning of a signature":
            return any(right.startswith(one) for one in signatures)
        if self._habit == "looks at the first signature only":
            signatures = signatures[:1]
        if self._habit == "looks at the last signature only":
            signatures = signatures[-1:]
        if self._habit == "knows one version only" and not all(one.startswith("v1,") for one in signatures):
            return False
        return right in signatures

    def _item(self, message: dict[str, Any], wave: tuple[str, ...], is_fresh: bool) -> dict[str, Any]:
        reference, text = message["reference"], message["text"]
        said = reference[:100] if self._habit == "cuts references" else reference
        refused = {"reference": said, "status": "refused", "reason": "blocked"}
        if message["to"] == "+999":
            word = "perhaps" if self._habit == "has words of its own" else "refused"
            reason = "try_later" if self._habit in ("never decides", "takes nothing now") else "wrong_number"
            return refused | {
                "status": word,
                "reason": reason,
                "code": "x" * (41 if self._habit == "gives long codes" else 40),
            }
        is_known = reference in self._taken
        is_barred = {
            "wants a sender": not message["from"],
            "knows GSM-7 only": not all(letter in GSM or " " <= letter <= "~" for letter in text),
            "takes one part": len(text) > 160,
            "wants a minute": message["validity_seconds"] < 60,
            "remembers words": not is_known and text in self._taken.values(),
            "refuses what comes again": is_known,
            "remembers waves": is_known and wave not in self._waves,
        }
        if is_barred.get(self._habit):
            return refused
        if self._habit == "takes nothing now":
            return refused | {"reason": "try_later"}
        self._taken[reference] = text
        return {"reference": said, "status": "accepted", "id": self._id(reference, is_fresh)}

    def _id(self, reference: str, is_fresh: bool) -> Any:
        known: dict[str, Any] = {
            "gives no ids": "",
            "gives all one id": "c",
            "gives numbers for ids": int.from_bytes(reference.encode()),
        }
        fresh = random.random()  # noqa: S311  # not a secret
        return known.get(self._habit, f"c-{reference}-{fresh if is_fresh else 0}")


def is_stamp(stamp: str) -> bool:
    return stamp.isdecimal() and len(stamp) < 12


def texts_of(body: bytes) -> list[Any]:
    """The wave's texts; none for what is no wave."""
    try:
        found = json.loads(body)["messages"]
    except (ValueError, TypeError, KeyError):
        return []
    return found if isinstance(found, list) else []


@pytest.fixture
def server() -> Iterator[StubServer]:
    with stub_server() as told:
        yield told


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrier_endpoint, "BUSY_SECONDS", 0)


def failed(url: str) -> set[str]:
    return {one.check.name for one in ask_all(Endpoint(url, TO_CARRIER, HANDSET), dedupes=True) if one.problem}


@pytest.mark.parametrize("habit", BREAKS)
def test_who_breaks_one_sentence_fails_by_its_name_and_by_no_other(server: StubServer, habit: str) -> None:
    server.behave = Stub(habit)

    assert failed(server.url) == BREAKS[habit]


def test_every_check_fails_somebody_whose_fault_is_in_few() -> None:
    """Or it would not say what is wrong. 20 texts in time: the tests below."""
    few = [names for names in BREAKS.values() if len(names) <= 6]

    assert set().union(*few) | {SEVERAL, IN_TIME} | ONE_TEXT | WAVES == EVERYTHING


def test_who_is_busy_for_a_moment_is_asked_again_as_recado_does(server: StubServer) -> None:
    keeps = Stub("nothing")

    def behave(request: BaseHTTPRequestHandler, asked: Asked) -> None:
        if len(server.seen) in (2, 3):
            say(request, Said(429))
        else:
            keeps(request, asked)

    server.behave = behave

    assert failed(server.url) == set()


def test_who_does_not_answer_in_time_fails_and_is_not_waited_for(
    server: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrier_endpoint, "ANSWER_SECONDS_MAX", 0.1)
    gate = threading.Event()

    def drip(request: BaseHTTPRequestHandler, _: Asked) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not gate.wait(0.03):
            request.wfile.write(b"X-Drip: 1\r\n")

    server.behave = drip

    found = failed(server.url)
    gate.set()

    assert found == EVERYTHING


def test_who_serves_one_after_the_other_fails_where_several_ask(
    server: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrier_endpoint, "ANSWER_SECONDS_MAX", 1.0)
    keeps, gate, first = Stub("nothing"), threading.Event(), threading.Lock()

    def behave(request: BaseHTTPRequestHandler, asked: Asked) -> None:
        is_one_of_several = len(texts_of(asked.body)) == 20 and b'"+999"' in asked.body
        if is_one_of_several and not first.acquire(blocking=False):
            gate.wait(10)
        keeps(request, asked)

    server.behave = behave

    problem = carrier_checks.answers_several_at_once(Endpoint(server.url, TO_CARRIER, HANDSET))
    gate.set()

    assert problem == "one of 4 gave no answer within 1 s"


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
        assert len(re.findall(r"^  (?:pass|FAIL) ", ran.stdout, re.MULTILINE)) == len(CHECKS) + len(DEDUPES)
        assert ran.stdout.count("docs/carrier_format.md: “") == ran.stdout.count("what to do: ") == 2 * code
        assert TO_CARRIER not in ran.stdout


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("http://127.0.0.1:1/", TO_CARRIER),
        ("no address", TO_CARRIER),
        ("http://127.0.0.1:1/", "x!"),
        ("http://127.0.0.1:1/", ""),
    ],
)
def test_where_nobody_answers_it_says_so(url: str, secret: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--url", url, "--secret", secret, "--to", HANDSET]) == 2


def test_a_port_that_is_taken_is_said_so_before_anything_is_sent(
    server: StubServer, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = str(server.url).rpartition(":")[2].partition("/")[0]
    arguments = ["--url", server.url, "--secret", TO_CARRIER, "--to", HANDSET]

    assert main([*arguments, "--listen", taken, "--from-secret", FROM_CARRIER]) == 2
    assert f"port {taken}" in capsys.readouterr().err


def test_it_sends_a_bounded_number_of_texts(server: StubServer) -> None:
    server.behave = Stub("nothing")
    endpoint = Endpoint(server.url, TO_CARRIER, HANDSET)

    results = list(ask_all(endpoint, dedupes=True))

    named = [message["to"] for asked in server.seen for message in texts_of(asked.body)]
    assert all(one.problem is None for one in results)
    assert endpoint.texts <= 70
    assert 150 <= named.count("+999") <= 200
    assert len(server.seen) <= 70


def test_every_sentence_it_rests_on_stands_on_the_page() -> None:
    page = " ".join((ROOT / "docs/carrier_format.md").read_text().split())

    assert [check.name for check in (*CHECKS, *DEDUPES) if " ".join(check.rule.split()) not in page] == []


@pytest.mark.parametrize("name", FILES)
def test_it_imports_nothing_but_the_standard_library_the_signatures_and_its_own_files(name: str) -> None:
    found = re.findall(
        r"^(?:from|import) (\S+)(?: import (\w+))?", (ROOT / f"tools/{name}.py").read_text(), re.MULTILINE
    )

    others = {
        (module, imported) for module, imported in found if module.partition(".")[0] not in sys.stdlib_module_names
    }
    own = {("tools", one) for one in FILES} | {(f"tools.{one}", imported) for one in FILES for _, imported in found}
    assert {module.partition(".")[0] for module, _ in others - own} <= {"standardwebhooks"}
