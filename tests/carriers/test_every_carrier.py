"""The table that every carrier in the registry must pass, each against a real server on loopback that misbehaves.

How its server speaks is in `dialects.py`; what is a carrier's own is tested in its own file.
"""

import itertools
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.carriers import REGISTRY, aws_calls, end_user_messaging, outgoing_calls, sns
from recado.carriers.speech import (
    PATH,
    Accepted,
    Account,
    Answer,
    BadWebhook,
    Outgoing,
    Refused,
    RefusedBecause,
    Unknown,
)
from tests.carriers.dialects import AS_A_WAVE, DIALECTS, Dialect, Fate
from tests.carriers.stub_server import (
    NAME,
    Asked,
    Behave,
    Said,
    StubServer,
    hang_up,
    hang_up_half_way,
    reset,
    say,
    stub_server,
)
from tests.conftest import ROOT, TEMPLATE

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
NUMBERS = [f"+5690000000{index}" for index in range(5)]
TEXTS = [Outgoing(f"m.s.id.p.0.{index}", number, "20600", "Hola ñandú", 60) for index, number in enumerate(NUMBERS)]
SHORT_SECONDS = 0.2
NEVER_SECONDS = 20.0
MODULES_WITH_LIMITS = (outgoing_calls, aws_calls)  # each reads the two limits when it connects


@dataclass
class Line:
    """A carrier of the registry and a stub of its server."""

    module: ModuleType
    dialect: Dialect
    server: StubServer
    account: Account

    def send(self, may_start: Callable[[], bool] = lambda: True) -> list[Answer]:
        answers: list[Answer] = self.module.send(TEXTS, self.account, may_start)
        return answers

    def numbers_asked(self) -> Counter[str]:
        return Counter(number for asked in self.server.seen for number in self.dialect.numbers(asked))


def forget_connections() -> None:
    sns._client.cache_clear()
    end_user_messaging._client.cache_clear()


@pytest.fixture(params=sorted(REGISTRY))
def line(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    dialect = DIALECTS[request.param]
    with stub_server() as server:
        for name, value in dialect.environment.items():
            monkeypatch.setenv(name, value.format(url=server.url))
        forget_connections()
        yield Line(REGISTRY[request.param], dialect, server, dialect.account(server.url))
        forget_connections()


def limit(monkeypatch: pytest.MonkeyPatch, name: str, seconds: float) -> None:
    for module in MODULES_WITH_LIMITS:
        monkeypatch.setattr(module, name, seconds)


def answering(line: Line, fates: Mapping[str, Fate]) -> Behave:
    def behave(request: BaseHTTPRequestHandler, asked: Asked) -> None:
        say(request, line.dialect.answer(asked, [fates.get(one, Fate.ACCEPTED) for one in line.dialect.numbers(asked)]))

    return behave


def kinds(answers: list[Answer]) -> list[str]:
    """What each answer is: `accepted`, `unknown`, or why it was refused."""
    words = {Accepted: "accepted", Unknown: "unknown"}
    return [one.because.value if isinstance(one, Refused) else words[type(one)] for one in answers]


# --- what there must be -----------------------------------------------------------------------------------------------


def test_every_carrier_of_the_registry_is_in_the_table() -> None:
    assert DIALECTS.keys() == REGISTRY.keys()


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_a_carrier_says_how_it_is_found_again_and_whether_it_has_an_account(name: str) -> None:
    assert isinstance(REGISTRY[name].ECHOES_REFERENCE, bool)
    assert isinstance(REGISTRY[name].NEEDS_CREDENTIALS, bool)


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_each_row_of_a_carriers_tables_says_in_a_comment_what_the_carrier_means(name: str) -> None:
    lines = Path(REGISTRY[name].__file__ or "").read_text().splitlines()
    row = re.compile(r"    \S.*: (?:RefusedBecause\.|Receipt\.|None,)")  # of a table at the top of the file

    rows = [(before, line) for before, line in itertools.pairwise(lines) if row.match(line)]

    assert rows
    assert [line for before, line in rows if "  # " not in line and not before.startswith("    # ")] == []


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_a_stack_can_name_the_carrier_and_an_operator_can_read_what_it_needs_and_cannot(name: str) -> None:
    settings, limits = ((ROOT / "docs" / page).read_text() for page in ("settings.md", "known_limits.md"))

    assert name in TEMPLATE["Parameters"]["Carrier"]["AllowedValues"]
    assert f"\n| `{name}` |" in settings.partition("## What each carrier needs")[2]
    assert f"`{name}`" in limits.partition("## Carriers")[2]


type Told = Callable[[Line], Behave]

# --- one answer for all -----------------------------------------------------------------------------------------------


def saying(said: Said) -> Told:
    return lambda _: lambda request, _: say(request, said)


def all_are(fate: Fate) -> Told:
    return lambda line: answering(line, dict.fromkeys(NUMBERS, fate))


def half_an_answer(line: Line) -> Behave:
    def behave(request: BaseHTTPRequestHandler, asked: Asked) -> None:
        hang_up_half_way(request, line.dialect.answer(asked, [Fate.ACCEPTED] * len(line.dialect.numbers(asked))))

    return behave


CASES: dict[str, tuple[Told, str]] = {
    "accepted": (all_are(Fate.ACCEPTED), "accepted"),
    "refused for good, no such number": (all_are(Fate.WRONG_NUMBER), "wrong_number"),
    "refused for good, barred": (all_are(Fate.BLOCKED), "blocked"),
    "refused for now": (all_are(Fate.FOR_NOW), "for_now"),
    "throttled": (lambda line: saying(line.dialect.throttled())(line), "for_now"),
    "our credentials are not right": (lambda line: saying(line.dialect.route_refused())(line), "route"),
    "500 after taking it": (saying(Said(500, b"<html>oops</html>", "text/html")), "unknown"),
    "502 between us": (saying(Said(502)), "unknown"),
    "503 between us": (saying(Said(503, b"busy", "text/plain")), "unknown"),
    "504 between us": (saying(Said(504)), "unknown"),
    "hung up without an answer": (lambda _: lambda request, _: hang_up(request), "unknown"),
    "a reset without an answer": (lambda _: lambda request, _: reset(request), "unknown"),
    "no words with the answer": (saying(Said(204)), "unknown"),
    "sent on to where the outcome stands": (saying(Said(303)), "unknown"),
    "words before the answer, and no answer": (saying(Said(103)), "unknown"),
    "hung up half-way through an answer": (half_an_answer, "unknown"),
    "garbage": (saying(Said(200, b"<html>ok</html>", "text/html")), "unknown"),
    "bytes that are no text": (saying(Said(200, b"\xff\xfe\x00" * 50)), "unknown"),
    "an empty answer": (saying(Said(200)), "unknown"),
    "an answer about something else": (saying(Said(200, b'{"ok": true}')), "unknown"),
    "an answer of another shape": (saying(Said(200, b"[7, null]")), "unknown"),
    "an answer nested without end": (saying(Said(200, b"[" * 100_000)), "unknown"),
    "a huge answer": (saying(Said(200, b'{"x": "' + b"x" * 3_000_000 + b'"}')), "unknown"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_the_carrier_does_to_a_text_is_known_for_what_it_is_and_asked_once(line: Line, case: str) -> None:
    told, expected = CASES[case]
    line.server.behave = told(line)

    answers = line.send()

    assert kinds(answers) == [expected] * len(TEXTS)
    assert line.numbers_asked() == Counter(NUMBERS), "each was asked once, whatever became of it"


def test_an_accepted_text_has_the_carriers_id(line: Line) -> None:
    line.server.behave = answering(line, {})

    assert line.send() == [Accepted(f"c-{number}") for number in NUMBERS]


def test_each_text_has_its_own_answer_in_order_when_some_fail(line: Line) -> None:
    fates = dict(
        zip(NUMBERS, [Fate.ACCEPTED, Fate.BLOCKED, Fate.ACCEPTED, Fate.WRONG_NUMBER, Fate.FOR_NOW], strict=True)
    )
    line.server.behave = answering(line, fates)

    answers = line.send()

    assert kinds(answers) == [fate.value for fate in fates.values()]
    assert line.numbers_asked() == Counter(NUMBERS)


# --- time -------------------------------------------------------------------------------------------------------------


def test_an_answer_that_is_slow_and_within_the_limit_counts(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, "READ_SECONDS_MAX", NEVER_SECONDS)
    everybody_waits = threading.Barrier(1 if line.dialect.texts_per_request == AS_A_WAVE else len(TEXTS))
    accept = answering(line, {})

    def behave(request: BaseHTTPRequestHandler, asked: Asked) -> None:
        everybody_waits.wait(NEVER_SECONDS)  # nobody is answered before all have asked: so they are asked at once
        accept(request, asked)

    line.server.behave = behave

    assert kinds(line.send()) == ["accepted"] * len(TEXTS)


def test_an_answer_that_does_not_come_in_time_is_unknown_for_it_may_have_been_taken(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(monkeypatch, "READ_SECONDS_MAX", SHORT_SECONDS)
    gate = threading.Event()

    def behave(request: BaseHTTPRequestHandler, _: Asked) -> None:
        gate.wait(NEVER_SECONDS)
        hang_up(request)

    line.server.behave = behave
    began = time.monotonic()

    answers = line.send()
    gate.set()

    assert kinds(answers) == ["unknown"] * len(TEXTS)
    assert time.monotonic() - began < NEVER_SECONDS / 2
    assert line.numbers_asked() == Counter(NUMBERS)


def test_who_is_not_connected_in_time_was_not_taken(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, "CONNECT_SECONDS_MAX", SHORT_SECONDS)
    with deaf_address() as url:
        move_to(line, url, monkeypatch)

        assert kinds(line.send()) == ["for_now"] * len(TEXTS)


def test_a_refused_connection_was_not_taken(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        move_to(line, f"http://127.0.0.1:{taken.getsockname()[1]}", monkeypatch)

        assert kinds(line.send()) == ["for_now"] * len(TEXTS)


def move_to(line: Line, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in line.dialect.environment.items():
        monkeypatch.setenv(name, value.format(url=url))
    line.account = line.dialect.account(url)


class deaf_address:  # noqa: N801  # used as a context
    """An address whose queue is full: connections to it are never answered (Linux drops what does not fit)."""

    def __enter__(self) -> str:
        self._server = socket.socket()
        self._server.bind(("127.0.0.1", 0))
        self._server.listen(0)
        self._waiting = [socket.socket() for _ in range(4)]
        for one in self._waiting:
            one.setblocking(False)
            one.connect_ex(self._server.getsockname())
        return f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        for one in (*self._waiting, self._server):
            one.close()


# --- what starts, and what stays --------------------------------------------------------------------------------------


def test_nothing_starts_after_its_time(line: Line) -> None:
    line.server.behave = answering(line, {})

    assert line.send(lambda: False) == [Refused(RefusedBecause.FOR_NOW, "not_started")] * len(TEXTS)
    assert line.server.seen == []


def test_who_had_not_started_when_time_was_up_is_not_spoken_to(line: Line) -> None:
    line.server.behave = answering(line, {})
    questions = itertools.count()

    answers = line.send(lambda: next(questions) < 2)  # time for two questions, then no more

    started = len(TEXTS) if line.dialect.texts_per_request == AS_A_WAVE else 2
    assert Counter(kinds(answers)) == Counter({"accepted": started, "for_now": len(TEXTS) - started})
    assert line.numbers_asked().total() == started


@pytest.mark.parametrize("case", ["accepted", "hung up without an answer", "a huge answer"])
def test_every_thread_is_gone_when_it_returns(line: Line, case: str) -> None:
    line.server.behave = CASES[case][0](line)
    before = {one for one in threading.enumerate() if one.name != NAME}

    line.send()

    assert {one for one in threading.enumerate() if one.name != NAME} <= before


def test_connections_are_kept_for_the_next_wave(line: Line) -> None:
    ports: set[int] = set()
    accept = answering(line, {})

    def behave(request: BaseHTTPRequestHandler, asked: Asked) -> None:
        ports.add(request.client_address[1])
        accept(request, asked)

    line.server.behave = behave
    line.send()
    opened = len(ports)

    for _ in range(3):
        line.send()

    assert len(ports) <= max(opened, len(TEXTS)), "no more connections than texts at once, however many waves"


# --- webhooks ---------------------------------------------------------------------------------------------------------


NESTED = "["  # stands for a hundred thousand of them: Hypothesis would print them all


@pytest.mark.parametrize("name", sorted(REGISTRY))
@given(
    body=st.one_of(
        st.binary(max_size=60),
        st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")),
        st.sampled_from(
            [NESTED.encode(), b"{}", b"[]", b"null", b'{"Message": "[]"}', b'{"Message": "{}"}', b"a=b&a=c"]
        ),
    ),
    header=st.text(st.characters(codec="latin-1"), max_size=60),
)
def test_whatever_a_stranger_sends_is_a_plain_no(name: str, body: bytes, header: str) -> None:
    names = ("webhook-id", "webhook-timestamp", "webhook-signature", "X-Twilio-Signature", "Authorization", PATH)
    account = Account(
        secrets_from_carrier=(DIALECTS["signed_webhook"].account("").secrets_from_carrier[0],),
        password="token",
        public_url="https://api.recado.example/v1",
    )

    assert REGISTRY[name].verify(dict.fromkeys(names, header), body, account, NOON) is False
    assert REGISTRY[name].verify({}, body, account, NOON) is False
    assert REGISTRY[name].verify(dict.fromkeys(names, header), body, Account(), NOON) is False


@pytest.mark.parametrize("name", sorted(REGISTRY))
@given(body=st.one_of(st.binary(max_size=60), st.sampled_from([NESTED.encode(), b"null", b'{"Message": 7}', b"7"])))
def test_what_is_not_the_formats_is_refused_by_name_and_in_no_other_way(name: str, body: bytes) -> None:
    for read in (REGISTRY[name].read_replies, REGISTRY[name].read_receipts):
        with pytest.raises(BadWebhook):
            read(body if body != NESTED.encode() else body * 100_000)


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_an_account_never_shows_its_secrets(name: str) -> None:
    account = DIALECTS[name].account("https://x") if name in DIALECTS else Account()

    shown = repr(account)

    secrets = (
        *account.secrets_from_carrier,
        *account.secrets_to_carrier,
        *([account.password] if account.password else []),
    )
    assert [one for one in secrets if one in shown] == []
