"""A carrier goes bad and recovers, on the emulator: a timeline, and whether every promise held meanwhile.

`python -m bench failover` brings a stack up on free ports, makes `sns` stand by for `signed_webhook` (the simulated
handsets), sends a message of some four hundred texts every few seconds, and has the first carrier answer 429 for a
while, later lose answers. The run ends within three minutes of the first message; it exits with 1 if something did
not hold. `python -m bench.failover` says each line as it happens, `--json` prints it for a program to read.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from bench.timeline import check_lines, line_of
from local.api import Api
from local.deploy import physical_id
from local.handsets.sns import PUBLISHED
from local.run import STACK
from tests.end_to_end.conftest import Stack, bring_up

SECONDS_MAX = 180
BAD_SECONDS = 25
SEND_EACH_SECONDS = 4.0
LOOK_SECONDS = 1.0
LOST_ANSWERS_SHARE = 0.2
CALM_SECONDS = 6
AFTER_SECONDS = 10
SETTLED_SECONDS = 4.0  # of nothing new: late receipts, and texts that nobody should have sent
MESSAGES_MAX = 30  # what the credits are for
BAGS = 2  # of 10,000
STANDBY_CODE = "20690"
FIRST, STANDBY = "signed_webhook", "sns"
AUDIENCE = {"who": ["guardians", "students", "staff"]}
TEXT = "Aviso {} del simulacro."
ON_HANDSETS = {"sent", "delivered"}
MAY_BE_ON_HANDSETS = ON_HANDSETS | {"unknown"}
CHARGED = MAY_BE_ON_HANDSETS | {"wrong_number"}

type Shown = dict[str, list[dict[str, Any]]]  # number -> what its handset shows of one message


@dataclass(slots=True)
class Run:
    """What was seen, in seconds since the sending began."""

    stack: Stack
    began: float
    is_quiet: bool = False
    timeline: list[dict[str, Any]] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    circuit: str = "closed"
    changes: int = 0  # of the circuit, that were noted
    after_closing: int = 0  # the first message that was sent when it had closed
    lossy_from: int = 0  # the first message whose answers may have been lost
    finished: set[str] = field(default_factory=set)  # ids of messages of which nothing more is expected

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def note(self, what: str) -> None:
        by_carrier, pages = handed_over(self.stack), open_pages(self.stack)
        self.timeline.append(
            {"seconds": round(self.seconds, 1), "what": what, "handed_over": dict(by_carrier), "open_pages": pages}
        )
        if not self.is_quiet:
            print(line_of(self.timeline[-1]), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.failover", description="A carrier goes bad and recovers.")
    parser.add_argument("--json", action="store_true", help="one JSON document at the end")
    is_quiet = parser.parse_args().json
    with tempfile.TemporaryDirectory() as folder, bring_up(Path(folder), AudienceMax="1000") as stack:
        _stand_by(stack)
        run = Run(stack, time.monotonic(), is_quiet=is_quiet)
        _play(run)
        checks = _check(run)
    if is_quiet:
        json.dump({"timeline": run.timeline, "messages": len(run.messages), "checks": checks}, sys.stdout)
    else:
        print("\n".join(check_lines(checks)))
    return 1 if any(checks.values()) else 0


def _stand_by(stack: Stack) -> None:
    """The route and the standby's code; credits enough; nothing else is told to recado."""
    operator, api = _operator(stack), stack.api
    code = {"country": "CL", "code": STANDBY_CODE, "purpose": "schools", "carrier": STANDBY}
    api.need("POST", "/operator/short-codes", operator, code, "failover-code")
    ways = [{"carrier": FIRST}, {"carrier": STANDBY, "sender": STANDBY_CODE}]
    api.need("PUT", "/operator/routes/CL/any", operator, {"ways": ways}, "failover-route")
    for number in range(BAGS):
        place = f"/operator/schools/{stack.school.school_id}/bags"
        api.need("POST", place, operator, {"bag": "domestic-10000"}, f"failover-bag-{number}")


def _play(run: Run) -> None:
    run.note("everything works")
    _send_for(run, CALM_SECONDS)
    _wait(run, lambda: _have_ended(run, {"delivered"}), "not every text was delivered")
    run.note("every text so far is delivered")

    # 1. It answers 429 to every wave: nothing is taken, and it says so.
    _set_faults(run, busy_share=1.0, for_seconds=BAD_SECONDS)
    bad_until = run.seconds + BAD_SECONDS
    run.note(f"{FIRST} answers 429, for {BAD_SECONDS} s")
    _send_until(run, lambda: run.circuit != "closed", "the circuit did not open")
    _send_for(run, bad_until - run.seconds)

    # 2. It has recovered by itself; recado finds out by probes.
    run.note(f"{FIRST} has recovered, and nobody was told")
    _send_until(run, lambda: run.circuit == "closed", "the circuit did not close")
    run.after_closing = len(run.messages)
    _send_for(run, AFTER_SECONDS)
    _wait(run, lambda: _have_ended(run, {"delivered"}), "not every text was delivered")
    run.note("every text so far is delivered")

    # 3. Some answers are lost, and no receipt comes: it may have taken them, so nobody else may be asked.
    run.lossy_from = len(run.messages)
    _set_faults(run, lose_answers_share=LOST_ANSWERS_SHARE, no_receipts=True)
    run.note(f"{FIRST} loses one answer in {round(1 / LOST_ANSWERS_SHARE)}, and no receipt comes")
    _send_for(run, AFTER_SECONDS)
    _wait(run, lambda: _have_ended(run, MAY_BE_ON_HANDSETS), "not every text has ended")
    _set_faults(run)
    time.sleep(SETTLED_SECONDS)
    _look(run)
    run.note("every message has ended")


def _send_for(run: Run, seconds: float) -> None:
    until = run.seconds + seconds
    while run.seconds < until:
        _send_and_look(run)


def _send_until(run: Run, is_so: Callable[[], bool], otherwise: str) -> None:
    while not is_so():
        if run.seconds > SECONDS_MAX or len(run.messages) == MESSAGES_MAX:
            raise RuntimeError(f"{otherwise} within {run.seconds:.0f} s and {len(run.messages)} messages")
        _send_and_look(run)


def _send_and_look(run: Run) -> None:
    number = len(run.messages)
    body = {"text": TEXT.format(number), "category": "meeting", "audience": AUDIENCE, "send": "now"}
    run.messages.append(run.stack.api.need("POST", "/messages", run.stack.token(), body, f"failover-{number}"))
    until = time.monotonic() + SEND_EACH_SECONDS
    while time.monotonic() < until:
        _look(run)
        time.sleep(LOOK_SECONDS)


def _wait(run: Run, is_so: Callable[[], bool], otherwise: str) -> None:
    """What does not come is found by the checks, too; they say more."""
    while not is_so():
        if run.seconds > SECONDS_MAX:
            run.note(f"{otherwise} within {SECONDS_MAX} s")
            return
        _look(run)
        time.sleep(LOOK_SECONDS)


def _look(run: Run) -> None:
    """Notes each change of the circuit, also one that came and went between two looks."""
    carriers = run.stack.api.need("GET", "/operator/carriers", _operator(run.stack))["carriers"]
    (seen,) = [one for one in carriers if one["carrier"] == FIRST]
    changes = [one for one in reversed(seen["transitions"]) if one["circuit"]["country"] == "CL"]
    for one in changes[run.changes :]:
        run.circuit = one["circuit"]["state"]
        run.note(f"the circuit of {FIRST} in CL: {one['before']} → {run.circuit}")
    run.changes = len(changes)


def _have_ended(run: Run, states: set[str]) -> bool:
    """Whether every message is done and its texts are all in one of these states."""
    for message in run.messages:
        if message["id"] in run.finished:
            continue
        seen = run.stack.api.need("GET", f"/messages/{message['id']}", run.stack.token())
        if seen["state"] != "sent" or not seen["counts"].keys() <= states:
            return False
        run.finished.add(message["id"])
    return True


# --- What must have held --------------------------------------------------------------------------------------------


def _check(run: Run) -> dict[str, str]:
    """What is wrong with each promise; empty: it held."""
    shown = [_shown(run.stack, TEXT.format(place)) for place in range(len(run.messages))]
    listed = [_recipients(run, message["id"]) for message in run.messages]
    before, lossy = listed[: run.lossy_from], listed[run.lossy_from :]
    by_state = Counter(one["state"] for recipients in listed for one in recipients)
    unknown = sum(one["state"] == "unknown" for recipients in lossy for one in recipients)
    back = sum(text["code"] != STANDBY_CODE for one in shown[run.after_closing : run.lossy_from] for text in _all(one))
    run.note(f"by state: {', '.join(f'{count} {state}' for state, count in sorted(by_state.items()))}")
    return {
        f"{STANDBY} took texts while {FIRST} did not": "" if handed_over(run.stack)[STANDBY] else "none",
        f"{FIRST} takes texts again": "" if back else "none",
        "every text of before answers were lost is delivered": _others(before, {"delivered"}),
        "every other text is sent, delivered or unknown": _others(lossy, MAY_BE_ON_HANDSETS),
        "some answers were lost, and their texts stay unknown": "" if unknown else "none",
        "no handset was told anything twice": _times(sum(len(texts) - 1 for one in shown for texts in one.values())),
        "no carrier was asked twice for one text": _times(
            sum(text["times_asked"] - 1 for one in shown for text in _all(one))
        ),
        "the recipients' list says what the handsets have": _compare(listed, shown),
        "each message is charged for what was or may have been taken": _charges(run, listed),
        "purchases = available + held + captured, and nothing is held": _money(run),
        "every dead-letter queue is empty": _dead_letters(run.stack),
    }


def _shown(stack: Stack, text: str) -> Shown:
    found: Shown = {}
    phones = stack.handsets.carrier.phones
    for row in phones.list_handsets():
        texts = [one for one in phones.inbox(row["number"])["texts"] if one["text"] == text]
        if texts:
            found[row["number"]] = texts
    return found


def _all(shown: Shown) -> Iterator[dict[str, Any]]:
    for texts in shown.values():
        yield from texts


def _recipients(run: Run, message: str) -> list[dict[str, Any]]:
    """Those who were to get a text; whoever was skipped has no zone."""
    found, cursor = list[dict[str, Any]](), ""
    while True:
        page = run.stack.api.need("GET", f"/messages/{message}/recipients?limit=100{cursor}", run.stack.token())
        found += [one for one in page["recipients"] if one["zone"] is not None]
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"


def _others(listed: list[list[dict[str, Any]]], states: set[str]) -> str:
    others = Counter(one["state"] for recipients in listed for one in recipients if one["state"] not in states)
    if not any(listed):
        return "there are none"
    return ", ".join(f"{count} {state}" for state, count in sorted(others.items()))


def _times(count: int) -> str:
    return f"{count} times" if count else ""


def _compare(listed: list[list[dict[str, Any]]], shown: list[Shown]) -> str:
    """Both ways: who is said to have it has it, and who has it is said to have it, or perhaps to have it."""
    missing = extra = 0
    for recipients, one in zip(listed, shown, strict=True):
        missing += len({each["number"] for each in recipients if each["state"] in ON_HANDSETS} - one.keys())
        extra += len(one.keys() - {each["number"] for each in recipients if each["state"] in MAY_BE_ON_HANDSETS})
    return f"{missing} are on no handset, {extra} on one that has none by the list" if missing or extra else ""


def _charges(run: Run, listed: list[list[dict[str, Any]]]) -> str:
    wrong = 0
    for message, recipients in zip(run.messages, listed, strict=True):
        seen = run.stack.api.need("GET", f"/messages/{message['id']}", run.stack.token())
        due = sum(one["segments"] for one in recipients if one["state"] in CHARGED)
        wrong += sum((seen["credits_captured"] or {}).values()) != due
    return f"{wrong} messages are not" if wrong else ""


def _money(run: Run) -> str:
    """Purchases by the statement, and what is there by the account."""
    place = f"/operator/schools/{run.stack.school.school_id}"
    statement = run.stack.api.need("GET", f"{place}/statement?kind=purchase", _operator(run.stack))
    if statement["next"] is not None or len(statement["entries"]) != BAGS + 1:  # and the demo school's own
        return f"{len(statement['entries'])} purchases were found"
    bought = sum(entry["available"] for entry in statement["entries"])
    accounts = run.stack.api.need("GET", "/credits", run.stack.token())["accounts"]
    (there,) = [one for one in accounts if one["zone"] == statement["zone"]]
    total = there["available"] + there["held"] + there["captured"]
    if total == bought and not there["held"]:
        return ""
    return f"{bought} bought, {total} there, {there['held']} of them held"


def _dead_letters(stack: Stack) -> str:
    resources = stack.aws.client("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
    queues = {
        one["LogicalResourceId"]: one["PhysicalResourceId"]
        for one in resources
        if one["ResourceType"] == "AWS::SQS::Queue" and one["LogicalResourceId"].endswith("Dead")
    }
    counted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    full = list[str]()
    for name, url in sorted(queues.items()):
        found = stack.aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=counted)["Attributes"]
        count = sum(int(found[one]) for one in counted)
        full += [f"{count} in {name}"] if count else []
    return ", ".join(full) if queues else "there is none"


# --- What the stack and the carriers say -----------------------------------------------------------------------------


def handed_over(stack: Stack) -> Counter[str]:
    """Texts that each carrier has taken, by the carriers themselves: the handsets see SNS's a little later."""
    found, phones = Counter({FIRST: 0, STANDBY: 0}), stack.handsets.carrier.phones
    for row in phones.list_handsets():
        texts = phones.inbox(row["number"])["texts"]
        found[FIRST] += sum(one["direction"] == "received" and one["code"] != STANDBY_CODE for one in texts)
    with urlopen(f"{stack.emulator.endpoint_url}{PUBLISHED}", timeout=30) as answer:  # noqa: S310  # the emulator's
        found[STANDBY] = sum(len(texts) for texts in json.load(answer)["sms_messages"].values())
    return found


def open_pages(stack: Stack) -> int:
    pages = (
        stack.aws.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=physical_id(stack.aws, STACK, "MessagesTable"),
            FilterExpression="is_open = :open",
            ExpressionAttributeValues={":open": {"BOOL": True}},
            Select="COUNT",
        )
    )
    return sum(page["Count"] for page in pages)


def _set_faults(run: Run, **faults: float | bool) -> None:
    Api(run.stack.handsets.url).need("PUT", "/faults", body=faults)


def _operator(stack: Stack) -> str:
    return stack.operator.token("operator", "operadora", datetime.now(UTC))


if __name__ == "__main__":
    sys.exit(main())
