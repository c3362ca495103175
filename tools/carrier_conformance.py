"""Asks a carrier's endpoint what docs/carrier_format.md says, and tells which sentence of it does not hold.

Standard library and `standardwebhooks` only, so that a carrier can run it alone. It sends texts to the handset it is
given, a bounded number of times, and never waits longer than recado would.
"""

import argparse
import http.client
import json
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from standardwebhooks import Webhook

ANSWER_SECONDS_MAX = 10.0
ANSWER_BYTES_MAX = 1024 * 1024
LARGE_WAVE = 100
TOO_OLD = timedelta(minutes=6)
OTHER_SECRET = "whsec_" + "b3RoZXItc2VjcmV0LW9mLW5vYm9keS0zMi1ieXRlcyE="  # nobody's, to sign wrongly with
REASONS = ("wrong_number", "blocked", "try_later")
NO_NUMBER = "+999"
SHOWN_MAX = 60

# The sentences of docs/carrier_format.md that a check rests on.
ONE_BY_ONE = "`200` and one item per text, in any order"
ECHO = "You must echo it in the answer and in receipts"
WORDS = "| `accepted` | | handed over; `id` is yours | yes |"
EMPTY_FROM = "Empty when the school has no code of its own and its country's schools share none: take a number of yours"
IGNORED = "Members that are not named here are\nignored in both directions"
UP_TO_100 = "take up to 100"
TEN_SECONDS = "waits 10 s for the answer"
SIGNATURE = "A POST whose signature or timestamp does not hold must be answered `4xx`, and nothing of it\ntaken"
FIVE_MINUTES = "must refuse a timestamp more than 5 minutes away from its own clock in\neither direction"
ANY_SIGNATURE = "must accept the POST if *any* of the given signatures is right"
NO_5XX = "So answer `5xx` only when you do not know"
SAME_ANSWER = "a reference you have taken must get the\nsame answer again"


@dataclass(frozen=True, slots=True)
class Got:
    """What was answered. `document` is None for what is no JSON object, `status` 0 where nothing was answered."""

    status: int
    document: dict[str, Any] | None
    seconds: float
    trouble: str = ""

    def words(self) -> str:
        return self.trouble or f"answered {self.status}"


@dataclass
class Endpoint:
    url: str
    secret: str
    to: str
    run: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    texts: int = 0

    def message(self, **changes: Any) -> dict[str, Any]:
        self.texts += 1
        found = {
            "reference": f"conformance.{self.run}.{self.texts}",
            "to": self.to,
            "from": "20600",
            "text": f"Prueba {self.texts}: mañana no hay clases.",
            "validity_seconds": 600,
        }
        return found | changes

    def send(self, messages: Sequence[dict[str, Any]], **more: Any) -> Got:
        body = json.dumps({"type": "messages.send", "messages": list(messages)} | more, ensure_ascii=False)
        return self.post(body.encode(), self.signed(body))

    def signed(self, body: str, *, secret: str = "", ago: timedelta = timedelta()) -> dict[str, str]:
        webhook_id, at = f"conformance_{uuid.uuid4().hex}", datetime.now(UTC) - ago
        return {
            "Content-Type": "application/json",
            "webhook-id": webhook_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": Webhook(secret or self.secret).sign(webhook_id, at, body),
        }

    def post(self, body: bytes, headers: dict[str, str]) -> Got:
        parts = urlsplit(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=ANSWER_SECONDS_MAX)
        watch = threading.Timer(ANSWER_SECONDS_MAX, lambda: _shut(connection))  # a timeout begins anew with every byte
        began = time.monotonic()
        watch.start()
        try:
            connection.request("POST", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), body, headers)
            response = connection.getresponse()
            data = response.read(ANSWER_BYTES_MAX + 1)
        except (OSError, http.client.HTTPException) as error:
            took = time.monotonic() - began
            return Got(0, None, took, "no answer in time" if took >= ANSWER_SECONDS_MAX else type(error).__name__)
        finally:
            watch.cancel()
            watch.join()
            connection.close()
        took = time.monotonic() - began
        if took >= ANSWER_SECONDS_MAX:  # cut off while it was read: what came is no answer
            return Got(0, None, took, "no answer in time")
        return Got(response.status, _document(data), took)


type Problem = str | None


@dataclass(frozen=True, slots=True)
class Check:
    """`ask` says what is wrong, or None."""

    name: str
    rule: str
    ask: Callable[[Endpoint], Problem]


def answers_a_wave(endpoint: Endpoint) -> Problem:
    return _wave_problem(endpoint, [endpoint.message() for _ in range(3)])


def answers_a_long_reference(endpoint: Endpoint) -> Problem:
    message = endpoint.message()
    return _wave_problem(endpoint, [message | {"reference": message["reference"].ljust(256, "x")}])


def answers_within_a_wave_of_mixed_numbers(endpoint: Endpoint) -> Problem:
    return _wave_problem(endpoint, [endpoint.message(), endpoint.message(to=NO_NUMBER), endpoint.message()])


def answers_a_text_without_a_sender(endpoint: Endpoint) -> Problem:
    return _wave_problem(endpoint, [endpoint.message(**{"from": ""})], accepted=True)


def answers_with_members_it_does_not_know(endpoint: Endpoint) -> Problem:
    return _wave_problem(endpoint, [endpoint.message(later={"a": 1})], later=True)


def answers_a_large_wave(endpoint: Endpoint) -> Problem:
    return _wave_problem(endpoint, [endpoint.message() for _ in range(LARGE_WAVE)])


def answers_in_time(endpoint: Endpoint) -> Problem:
    got = endpoint.send([endpoint.message() for _ in range(20)])
    return got.words() if got.status == 0 or got.seconds > ANSWER_SECONDS_MAX else None


def uses_the_words(endpoint: Endpoint) -> Problem:
    got = endpoint.send([endpoint.message(), endpoint.message(to=NO_NUMBER)])
    for item in _items(got):
        if item.get("status") == "accepted":
            if not isinstance(item.get("id"), str) or not item["id"]:
                return "an accepted text has no id"
        elif item.get("status") != "refused" or item.get("reason") not in REASONS:
            return f"{_shown(item.get('status'))} with {_shown(item.get('reason'))} is not in the table"
    return None if _items(got) else got.words()


def refuses_another_secrets_signature(endpoint: Endpoint) -> Problem:
    body = json.dumps({"type": "messages.send", "messages": [endpoint.message()]})
    return _refused(endpoint.post(body.encode(), endpoint.signed(body, secret=OTHER_SECRET)))


def refuses_a_changed_body(endpoint: Endpoint) -> Problem:
    body = json.dumps({"type": "messages.send", "messages": [endpoint.message()]})
    return _refused(endpoint.post(body.replace("600", "601").encode(), endpoint.signed(body)))


def refuses_what_is_not_signed(endpoint: Endpoint) -> Problem:
    body = json.dumps({"type": "messages.send", "messages": [endpoint.message()]})
    return _refused(endpoint.post(body.encode(), {"Content-Type": "application/json"}))


def refuses_an_old_timestamp(endpoint: Endpoint) -> Problem:
    body = json.dumps({"type": "messages.send", "messages": [endpoint.message()]})
    return _refused(endpoint.post(body.encode(), endpoint.signed(body, ago=TOO_OLD)))


def refuses_a_timestamp_to_come(endpoint: Endpoint) -> Problem:
    body = json.dumps({"type": "messages.send", "messages": [endpoint.message()]})
    return _refused(endpoint.post(body.encode(), endpoint.signed(body, ago=-TOO_OLD)))


def takes_one_right_signature_among_others(endpoint: Endpoint) -> Problem:
    body = json.dumps({"type": "messages.send", "messages": [endpoint.message()]})
    headers = endpoint.signed(body)
    wrong = Webhook(OTHER_SECRET).sign(headers["webhook-id"], datetime.now(UTC), body)
    headers["webhook-signature"] = f"{wrong} {headers['webhook-signature']}"
    got = endpoint.post(body.encode(), headers)
    return None if got.status in (200, 429) else got.words()


def refuses_what_is_no_json(endpoint: Endpoint) -> Problem:
    return _refused(
        endpoint.post(b'{"type": "messages.send", "mess', endpoint.signed('{"type": "messages.send", "mess'))
    )


def refuses_what_is_no_wave(endpoint: Endpoint) -> Problem:
    return _refused(endpoint.post(b"[7]", endpoint.signed("[7]")))


def answers_the_same_twice(endpoint: Endpoint) -> Problem:
    wave = [endpoint.message() for _ in range(3)]
    first, second = (_by_reference(endpoint.send(wave)) for _ in range(2))
    for reference, item in first.items():
        if item.get("status") == "accepted" and second.get(reference) != item:
            return "a reference that was taken got another answer the second time"
    taken = [item for item in first.values() if item.get("status") == "accepted"]
    return None if taken else "nothing was accepted, so nothing could be asked again"


CHECKS = (
    Check("a wave is answered one for one", ONE_BY_ONE, answers_a_wave),
    Check("a reference of 256 characters comes back whole", ECHO, answers_a_long_reference),
    Check("one number that is none spoils no wave", ONE_BY_ONE, answers_within_a_wave_of_mixed_numbers),
    Check("an answer uses the words of the table", WORDS, uses_the_words),
    Check("a text without a sender is taken", EMPTY_FROM, answers_a_text_without_a_sender),
    Check("members nobody knows are ignored", IGNORED, answers_with_members_it_does_not_know),
    Check("a wave of 100 is taken", UP_TO_100, answers_a_large_wave),
    Check("20 texts are answered in time", TEN_SECONDS, answers_in_time),
    Check("another secret's signature is refused", SIGNATURE, refuses_another_secrets_signature),
    Check("a changed body is refused", SIGNATURE, refuses_a_changed_body),
    Check("what is not signed is refused", SIGNATURE, refuses_what_is_not_signed),
    Check("an old timestamp is refused", FIVE_MINUTES, refuses_an_old_timestamp),
    Check("a timestamp to come is refused", FIVE_MINUTES, refuses_a_timestamp_to_come),
    Check("one right signature among others is enough", ANY_SIGNATURE, takes_one_right_signature_among_others),
    Check("what is no JSON is refused, and not with 5xx", NO_5XX, refuses_what_is_no_json),
    Check("what is no wave is refused, and not with 5xx", NO_5XX, refuses_what_is_no_wave),
)
DEDUPES = Check("a reference asked twice has one answer", SAME_ANSWER, answers_the_same_twice)


@dataclass(frozen=True, slots=True)
class Result:
    check: Check
    problem: Problem


def ask_all(endpoint: Endpoint, *, dedupes: bool) -> list[Result]:
    """Every check in order, each with a request or two."""
    return [Result(check, check.ask(endpoint)) for check in (*CHECKS, *([DEDUPES] if dedupes else []))]


def main(arguments: Sequence[str] | None = None) -> int:
    """0: all hold; 1: some do not; 2: there is no such endpoint."""
    asked = _read_arguments(arguments)
    from_stdin = asked.secret == "-"  # noqa: S105  # a sign, no secret
    secret = sys.stdin.readline().strip() if from_stdin else asked.secret
    endpoint = Endpoint(asked.url, secret, asked.to)
    try:
        Webhook(secret)
        is_there = endpoint.post(b"{}", {}).status != 0
    except (ValueError, RuntimeError):
        print("That is no address, or no secret (whsec_ and base64).", file=sys.stderr)
        return 2
    if not is_there:
        print("Nobody answers there.", file=sys.stderr)
        return 2
    results = ask_all(endpoint, dedupes=asked.dedupe_hours > 0)
    for result in results:
        print(_line(result))
    if not asked.dedupe_hours:
        print(f"  --   {DEDUPES.name}: not asked, for --dedupe-hours is 0")
    failed = sum(result.problem is not None for result in results)
    print(f"{len(results) - failed} of {len(results)} hold; {endpoint.texts} texts to {asked.to}")
    return 1 if failed else 0


def _read_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="carrier_conformance", description=__doc__)
    parser.add_argument("--url", required=True, help="the endpoint that takes waves")
    parser.add_argument("--secret", required=True, help="to_carrier, whsec_…; - reads it from standard input")
    parser.add_argument("--to", required=True, help="the handset that gets the texts, E.164: a test handset")
    parser.add_argument("--dedupe-hours", type=int, default=0, help="how long references are remembered; 0: not at all")
    return parser.parse_args(arguments)


def _line(result: Result) -> str:
    said = " ".join(result.check.rule.split())
    if result.problem is None:
        return f"  pass {result.check.name}"
    return f"  FAIL {result.check.name}: {result.problem}\n         docs/carrier_format.md: “{said}”"


def _wave_problem(
    endpoint: Endpoint, wave: Sequence[dict[str, Any]], *, accepted: bool = False, **more: Any
) -> Problem:
    """One item per text, by its reference; 429 is an answer too, for who is busy."""
    got = endpoint.send(wave, **more)
    if got.status == 429:
        return None
    if got.status != 200:
        return got.words()
    found = _by_reference(got)
    missing = [message for message in wave if message["reference"] not in found]
    if missing:
        return f"{len(missing)} of {len(wave)} texts are not in the answer"
    if accepted and any(item.get("reason") in ("wrong_number", "blocked") for item in found.values()):
        return "it was refused for good"
    return None


def _refused(got: Got) -> Problem:
    return None if 400 <= got.status < 500 else got.words()


def _by_reference(got: Got) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for item in _items(got):
        found.setdefault(str(item.get("reference")), item)
    return found


def _items(got: Got) -> list[dict[str, Any]]:
    items = (got.document or {}).get("messages")
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _shut(connection: http.client.HTTPConnection) -> None:
    try:
        if connection.sock is not None:
            socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)
    except OSError:
        return  # closed already


def _document(data: bytes) -> dict[str, Any] | None:
    if len(data) > ANSWER_BYTES_MAX:
        return None
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _shown(value: object) -> str:
    return repr(value)[:SHOWN_MAX]


if __name__ == "__main__":
    sys.exit(main())
