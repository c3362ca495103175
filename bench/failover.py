"""A carrier goes bad and recovers, on the emulator: a timeline, and whether every promise held meanwhile.

`python -m bench.failover` brings a stack up on free ports, makes `sns` stand by for `signed_webhook` (the simulated
handsets), sends messages all the time, and has the first carrier answer 429 for a while. It ends by itself, within
three minutes; it exits with 1 if something did not hold. `--json` prints the same for a program to read.
"""

import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local.handsets.faults import read_faults
from tests.end_to_end.conftest import Stack, bring_up

SECONDS_MAX = 180
BAD_SECONDS = 25
SEND_EACH_SECONDS = 3.0
LOST_ANSWERS_SHARE = 0.2
CALM_SECONDS = 6
AFTER_SECONDS = 10
SETTLED_SECONDS = 8.0
STANDBY_CODE = "20690"
FIRST, STANDBY = "signed_webhook", "sns"
AUDIENCE = {"who": ["guardians", "students", "staff"]}
ENDED = ("sent", "stopped", "cancelled")


@dataclass(slots=True)
class Run:
    """What was seen, in seconds since the sending began."""

    stack: Stack
    began: float
    timeline: list[tuple[float, str]] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    circuit: str = "closed"
    is_quiet: bool = False

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def note(self, what: str) -> None:
        by_carrier = handed_over(self.stack)
        line = f"{what}; handed over: {by_carrier[FIRST]} by {FIRST}, {by_carrier[STANDBY]} by {STANDBY}"
        self.timeline.append((round(self.seconds, 1), line))
        if not self.is_quiet:
            print(f"{self.seconds:7.1f} s  {line}", flush=True)


def main() -> int:
    is_quiet = "--json" in sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder, bring_up(Path(folder)) as stack:
        _stand_by(stack)
        run = Run(stack, time.monotonic(), is_quiet=is_quiet)
        _play(run)
        checks = _check(run)
    if is_quiet:
        json.dump({"timeline": run.timeline, "messages": len(run.messages), "checks": checks}, sys.stdout)
    else:
        for name, problem in checks.items():
            print(f"{'ok    ' if not problem else 'FAILED'}  {name}{f': {problem}' if problem else ''}")
    return 1 if any(checks.values()) else 0


def _stand_by(stack: Stack) -> None:
    """The route and the standby's code; credits enough; nothing else is told to recado."""
    operator = _operator(stack)
    api = stack.api
    code = {"country": "CL", "code": STANDBY_CODE, "purpose": "schools", "carrier": STANDBY}
    api.need("POST", "/operator/short-codes", operator, code, "failover-code")
    ways = [{"carrier": FIRST}, {"carrier": STANDBY, "sender": STANDBY_CODE}]
    api.need("PUT", "/operator/routes/CL/any", operator, {"ways": ways}, "failover-route")
    school = stack.school.school_id
    api.need("POST", f"/operator/schools/{school}/bags", operator, {"bag": "domestic-10000"}, "failover-bag")


def _play(run: Run) -> None:
    run.note("everything works")
    _send_for(run, CALM_SECONDS)

    # 1. It answers 429 to every wave: nothing is taken, and it says so.
    _set_faults(run, busy_share=1.0, for_seconds=BAD_SECONDS)
    run.note(f"{FIRST} answers 429, for {BAD_SECONDS} s")
    _send_until(run, lambda: run.circuit != "closed", "the circuit did not open")
    _send_for(run, BAD_SECONDS)

    # 2. It has recovered by itself; recado finds out by probes.
    run.note(f"{FIRST} has recovered")
    _send_until(run, lambda: run.circuit == "closed", "the circuit did not close")
    _send_for(run, AFTER_SECONDS)

    # 3. Some answers are lost: it may have taken them, so nobody else may be asked.
    _set_faults(run, lose_answers_share=LOST_ANSWERS_SHARE)
    run.note(f"{FIRST} loses one answer of {round(1 / LOST_ANSWERS_SHARE)}")
    _send_for(run, AFTER_SECONDS)
    _set_faults(run)
    run.note("nothing is sent any more")
    _wait_for_the_end(run)
    run.note("every message has ended")


def _send_for(run: Run, seconds: float) -> None:
    until = run.seconds + seconds
    while run.seconds < until:
        _send_and_look(run)


def _send_until(run: Run, is_so: Callable[[], bool], otherwise: str) -> None:
    while not is_so():
        if run.seconds > SECONDS_MAX:
            raise RuntimeError(otherwise)
        _send_and_look(run)


def _send_and_look(run: Run) -> None:
    number = len(run.messages)
    body = {"text": f"Aviso {number} del simulacro.", "category": "meeting", "audience": AUDIENCE, "send": "now"}
    made = run.stack.api.need("POST", "/messages", run.stack.token(), body, f"failover-{number}")
    run.messages.append(made["id"])
    until = time.monotonic() + SEND_EACH_SECONDS
    while time.monotonic() < until:
        _look(run)
        time.sleep(0.5)


def _look(run: Run) -> None:
    carriers = run.stack.api.need("GET", "/operator/carriers", _operator(run.stack))["carriers"]
    (seen,) = [one for one in carriers if one["carrier"] == FIRST]
    states = {line["country"]: line["state"] for line in seen["lines"]}
    now = states.get("CL", "closed")
    if now != run.circuit:
        run.note(f"the circuit of {FIRST} in CL: {run.circuit} → {now}")
        run.circuit = now


def _wait_for_the_end(run: Run) -> None:
    waiting = list(run.messages)
    while waiting:
        if run.seconds > SECONDS_MAX:
            raise RuntimeError(f"{len(waiting)} messages have not ended")
        token = run.stack.token()
        waiting = [one for one in waiting if run.stack.api.need("GET", f"/messages/{one}", token)["state"] not in ENDED]
        time.sleep(1.0)
    # The handsets look at SNS now and then, and what they show has receipts.
    before = None
    while (now := handed_over(run.stack)) != before and run.seconds < SECONDS_MAX:
        before = now
        time.sleep(SETTLED_SECONDS)


# --- What must have held --------------------------------------------------------------------------------------------


def _check(run: Run) -> dict[str, str]:
    """What is wrong with each promise; empty: it held."""
    texts = _texts(run)
    reported = Counter[str]()
    twice, wrong = 0, 0
    for place, message in enumerate(run.messages):
        shown = texts[f"Aviso {place} del simulacro."]
        twice += sum(count - 1 for count in shown.values())
        for one in _recipients(run, message):
            reported[one["state"]] += 1
            is_there = one["number"] in shown
            must = {"delivered": True, "sent": True, "unreachable": True}.get(one["state"])
            wrong += must is not None and must is not is_there
    run.note(f"recipients by state: {dict(reported)}")
    by_carrier = handed_over(run.stack)
    return {
        "the standby took texts": "" if by_carrier[STANDBY] else "none",
        "no handset was told anything twice": f"{twice} times" if twice else "",
        "what the recipients' list says is what the handsets have": f"{wrong} do not agree" if wrong else "",
        "every text has ended": f"{reported['queued'] + reported['sending']} have not"
        if reported["queued"] + reported["sending"]
        else "",
        "money adds up": _money(run),
        "no dead-letter queue has a message": _dead_letters(run.stack),
    }


def _texts(run: Run) -> dict[str, Counter[str]]:
    """How often each text is on each handset."""
    found: dict[str, Counter[str]] = {f"Aviso {place} del simulacro.": Counter() for place in range(len(run.messages))}
    for row in run.stack.handsets.carrier.phones.list_handsets():
        for text in run.stack.handsets.carrier.phones.inbox(row["number"])["texts"]:
            if text["text"] in found:
                found[text["text"]][row["number"]] += 1
    return found


def handed_over(stack: Stack) -> Counter[str]:
    """Texts on the handsets by the carrier that brought them: the standby's come from its own code."""
    found = Counter[str]()
    for row in stack.handsets.carrier.phones.list_handsets():
        for text in stack.handsets.carrier.phones.inbox(row["number"])["texts"]:
            if text["text"].startswith("Aviso "):
                found[STANDBY if text["code"] == STANDBY_CODE else FIRST] += 1
    return found


def _recipients(run: Run, message: str) -> list[dict[str, Any]]:
    found, cursor = list[dict[str, Any]](), ""
    while True:
        page = run.stack.api.need("GET", f"/messages/{message}/recipients?limit=100{cursor}", run.stack.token())
        found += [one for one in page["recipients"] if one["state"] not in ("opted_out", "duplicate_of")]
        if page["next"] is None:
            return [one for one in found if one.get("number")]
        cursor = f"&cursor={page['next']}"


def _money(run: Run) -> str:
    """Purchases by the statement, and what is there by the account."""
    school = run.stack.school.school_id
    statement = run.stack.api.need("GET", f"/operator/schools/{school}/statement?kind=purchase", _operator(run.stack))
    bought = sum(entry["available"] for entry in statement["entries"])
    balances = run.stack.api.need("GET", "/credits", run.stack.token())["accounts"]
    (there,) = [one for one in balances if one["zone"] == statement["zone"]]
    total = there["available"] + there["held"] + there["captured"]
    if total == bought and not there["held"]:
        return ""
    return f"{bought} bought, {total} there, {there['held']} of them held"


def _dead_letters(stack: Stack) -> str:
    sqs, full = stack.aws.client("sqs"), list[str]()
    for url in sqs.list_queues().get("QueueUrls", []):
        if "Dead" in url:
            name = "ApproximateNumberOfMessages"
            count = int(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name])
            full += [f"{count} in {url.rpartition('/')[2]}"] if count else []
    return ", ".join(full)


def _set_faults(run: Run, **faults: float) -> None:
    run.stack.handsets.carrier.set_faults(read_faults(faults))


def _operator(stack: Stack) -> str:
    return stack.operator.token("operator", "operadora", datetime.now(UTC))


if __name__ == "__main__":
    sys.exit(main())
