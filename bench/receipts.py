"""A burst of receipts: from carriers' POSTs and SNS's delivery log through the queue to the sets of their pages.

`python -m bench.receipts [receipts] [jobs a batch]` prints JSON; by default of 100,000, shared equally by the workers
that template.yaml lets work at once. The real functions; DynamoDB and SQS are another process that answers as late as
AWS would (bench/receipts_server.py). At the end the state of every recipient is compared with a model that knows
nothing of sets.
"""

import base64
import contextlib
import gzip
import json
import os
import random
import sys
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import batched
from pathlib import Path
from typing import Any

from standardwebhooks import Webhook

from bench.dispatch import become, load
from bench.other_process import server
from bench.roster import Peak
from tests import conftest  # sets the environment: before anything of recado

ROOT = Path(__file__).parent.parent
RECEIPTS = 100_000
MASTER_SECRET = b"master-secret-for-a-bench"
RECIPIENTS = 100  # of a page
POST_MAX = 1_000  # receipts of one POST: docs/carrier_format.md
LOG_LINES = 100  # of one event of SNS's delivery log: assumed
LONG_EVERY, SNS_EVERY, TWICE_EVERY, EARLY_EVERY = 10, 5, 10, 100
BATCH_BYTES_MAX = 6_000_000  # of one invocation
PROCESSOR_MEGABYTES = 1769  # AWS gives a whole processor to so much memory
WORKERS_AT_FIRST = 5  # Lambda begins with so many batches of a queue at once
START_SECONDS = 2.0  # assumed: a batch's way through the queue, and a cold start
WRITES_A_SECOND_AT_FIRST = 4_000  # of a new on-demand table, and until it is warmed
WRITES_A_SECOND_OF_A_PAGE = 1_000  # of one partition
STATES = ("delivered", "delivered", "delivered", "delivered", "unreachable", "wrong_number", "blocked")

type Result = dict[str, Any]


@dataclass(frozen=True)
class Said:
    """One receipt, as a carrier sends it."""

    page: int
    index: int
    part: int
    state: str
    at: datetime


class Context:
    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    aws_request_id = "bench"
    function_name = "receipts"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:receipts"

    def get_remaining_time_in_millis(self) -> int:
        return int(1000 * (self._until - time.monotonic()))


def main() -> None:
    words = [int(word) for word in sys.argv[1:]]
    receipts, jobs = [*words, *(RECEIPTS, 0)[len(words) :]]
    with server("bench.receipts_server") as url:
        become({name: os.environ[name] for name in conftest.environment()}, url)
        with _silence():
            found = measure(receipts, url, jobs)
    json.dump(found, sys.stdout)


def measure(receipts: int, url: str, jobs_a_batch: int = 0) -> Result:
    """Raises RuntimeError when a state is not the model's, or anything was dropped. 0: the workers' equal share."""
    from recado import access

    access._masters = {"read": (float("inf"), {1: MASTER_SECRET})}  # noqa: SLF001  # instead of SSM
    chance = random.Random(1)  # noqa: S311  # the same burst every time
    burst = _burst(receipts, chance)
    pages = 1 + max(one.page for one in burst)
    _write_pages(pages)
    early = _write_lookups(burst)
    function = conftest.resources("AWS::Serverless::Function")
    gather = function["Receipts"]["Events"]["Gather"]["Properties"]
    workers = int(gather["ScalingConfig"]["MaximumConcurrency"])

    # 1. The carriers' side: POSTs, and SNS's log.
    webhook = _post(burst)
    jobs = [body for body, _ in _taken(url)]
    before = _figures(url)

    # 2. The queue gives them to so many workers, in no order.
    chance.shuffle(jobs)
    share = jobs_a_batch or min(int(gather["BatchSize"]), -(-len(jobs) // workers))
    seconds, cpu, gathered = _gather_all(list(_batches(jobs, share)))
    put_back = _taken(url)

    # 3. What was early comes again, when its lookup row is there.
    early()
    _gather_all(list(_batches([body for body, _ in put_back], share)))
    if _taken(url):
        raise RuntimeError("receipts still wait for their lookup rows")
    figures = _figures(url)
    _compare(burst, pages)

    units = figures["units"]
    calls: Counter[str] = Counter[str](figures["calls"]) - Counter[str](before["calls"])
    processor = min(1.0, function["Receipts"].get("MemorySize", 512) / PROCESSOR_MEGABYTES)
    of_batch = max(max(seconds), max(cpu) / processor)
    rounds = -(-len(seconds) // workers) + (1 if workers > WORKERS_AT_FIRST else 0)
    of_webhook = webhook["processor_seconds"] / min(1.0, 512 / PROCESSOR_MEGABYTES)
    return {
        "receipts": len(burst),
        "pages": pages,
        "posts": webhook["posts"],
        "log_events": webhook["log_events"],
        "webhook": {
            "processor_seconds": webhook["processor_seconds"],
            "receipts_a_second_of_one_on_lambda": len(burst) / of_webhook,
        },
        "queue": {
            "messages": len(jobs),
            "requests_to_put_them": before["sqs_requests"],
            "kilobytes": sum(map(len, jobs)) / 1000,
            "put_back": sum(len(json.loads(body)["receipts"]) for body, _ in put_back),
        },
        "workers": {
            "batches": len(seconds),
            "at_once": workers,
            "seconds_of_the_slowest_batch": max(seconds),
            "processor_seconds": sum(cpu),
            "processor_microseconds_a_receipt": 1e6 * sum(cpu) / len(burst),
            "peak_megabytes": gathered["peak"],
            "seconds_of_one_on_lambda": of_batch,
        },
        "per_receipt": {
            "write_units": units["write"] / len(burst),
            "read_units": units["read"] / len(burst),
            "updates": calls["UpdateItem"] / len(burst),
        },
        "write_units": units["write"],
        "most_write_units_of_a_page": figures["most_of_a_page"],
        "largest_row_bytes": figures["largest_row"],
        "absorbed": {
            "seconds_until_the_last": START_SECONDS + gather["MaximumBatchingWindowInSeconds"] + rounds * of_batch,
            "seconds_at_4000_write_units_a_second": units["write"] / WRITES_A_SECOND_AT_FIRST,
            "seconds_of_the_busiest_page": figures["most_of_a_page"] / WRITES_A_SECOND_OF_A_PAGE,
        },
    }


# --- the burst -----------------------------------------------------------------------------------------------------


def _burst(receipts: int, chance: random.Random) -> list[Said]:
    """So many, of as many texts: some of each part, some contradicting, some twice, in no order."""
    from tests.worlds import NOON

    found = list[Said]()
    unique = receipts * TWICE_EVERY // (TWICE_EVERY + 1)
    place = 0
    while len(found) < unique:
        page, index = divmod(place, RECIPIENTS)
        place += 1
        if chance.random() < 0.02:
            continue  # nobody reports
        parts = (1, 2) if page % LONG_EVERY == 0 else (0,)
        for part in parts:
            at = NOON + timedelta(seconds=chance.randrange(600))
            found.append(Said(page, index, part, chance.choice(STATES), at))
            if chance.random() < 0.05:  # found out later, and said
                found.append(Said(page, index, part, "delivered", at + timedelta(seconds=30)))
    found += chance.sample(found, receipts - len(found))
    chance.shuffle(found)
    return found


def _is_sns(page: int) -> bool:
    return page % SNS_EVERY == 3


def _carrier_id(page: int, index: int) -> str:
    return f"34d9b400-0000-5444-{page:04x}-{index:012x}"


def _refs(pages: int) -> list[Any]:
    from recado.tables.pages import PageKind, PageRef

    return [PageRef(PageKind.MESSAGE, "los-aromos", "m" + "a" * 25, "p1", page) for page in range(pages)]


def _write_pages(pages: int) -> None:
    """All handed over, and nothing heard of."""
    from recado.at_once import for_each
    from recado.rules.asked_carriers import NOBODY, ask
    from recado.rules.credit_bags import Zone
    from recado.rules.delivery_states import Letter
    from recado.tables import pages as table

    def write(ref: Any) -> None:
        segments = 2 if ref.page % LONG_EVERY == 0 else 1
        people = [
            table.PageRecipient(
                f"+56{900_000_000 + RECIPIENTS * ref.page + index}", (f"g{index}",), Zone.DOMESTIC, segments
            )
            for index in range(RECIPIENTS)
        ]
        table.create_pages([(ref, people)], expires_at=2_000_000_000)
        page = table.find_page(ref)
        if page is None:
            raise RuntimeError("a page is not there")
        carrier = "sns" if _is_sns(ref.page) else "signed_webhook"
        taken = replace(page.state, carrier=carrier, asked=ask(NOBODY, carrier, range(RECIPIENTS)))
        table.save_state(ref, taken.with_letters(dict.fromkeys(range(RECIPIENTS), Letter.ACCEPTED)), was=page.state)

    for_each(write, _refs(pages))


def _write_lookups(burst: Sequence[Said]) -> Callable[[], None]:
    """Lookup rows of what SNS carries; those that are late are written by what is returned."""
    from recado.at_once import for_each
    from recado.tables import lookups

    refs = _refs(1 + max(one.page for one in burst))
    texts = sorted({(one.page, one.index) for one in burst if _is_sns(one.page)})

    def write(lot: Sequence[tuple[int, int]]) -> None:
        found = {_carrier_id(page, index): refs[page].reference(index) for page, index in lot}
        lookups.create_lookups("sns", found, expires_at=2_000_000_000)

    late = texts[::EARLY_EVERY]
    for_each(write, list(batched(sorted(set(texts) - set(late)), 25, strict=False)))
    return lambda: write(late)


def _post(burst: Sequence[Said]) -> Result:
    """Each carrier by its own door, as fast as one function takes it."""
    inbound = load("inbound")
    refs = _refs(1 + max(one.page for one in burst))
    posts = [
        _signed([_item(refs[one.page].reference(one.index), one) for one in lot])
        for lot in batched((one for one in burst if not _is_sns(one.page)), POST_MAX, strict=False)
    ]
    logs = [_logged(lot) for lot in batched((one for one in burst if _is_sns(one.page)), LOG_LINES, strict=False)]
    inbound.handler(_signed([]), Context(28))  # what is made by the first request
    cpu = time.process_time()
    for event in posts:
        answered = inbound.handler(event, Context(28))
        if answered["statusCode"] != 200:
            raise RuntimeError(f"a POST was answered {answered['statusCode']}")
    for event in logs:
        inbound.handler(event, Context(28))
    return {"posts": len(posts), "log_events": len(logs), "processor_seconds": time.process_time() - cpu}


def _item(reference: str, one: Said) -> Result:
    return {"reference": reference, "status": one.state, "part": one.part, "at": one.at.isoformat()}


def _signed(items: Sequence[Result]) -> Result:
    from recado.rules.signatures import webhook_secret

    body, now = json.dumps({"type": "receipts", "receipts": items}), datetime.now().astimezone()
    secret = webhook_secret(MASTER_SECRET, "signed_webhook", "from_carrier")
    headers = {
        "webhook-id": "w",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("w", now, body),
    }
    event: Result = json.loads((ROOT / "events" / "inbound_receipts.json").read_text())
    return event | {"body": body, "headers": headers}


# What SNS says of each state; its log has no parts.
SNS_SAYS = {
    "delivered": ("SUCCESS", "Message has been accepted by phone"),
    "unreachable": ("FAILURE", "Phone is currently unreachable/unavailable"),
    "wrong_number": ("FAILURE", "Invalid phone number"),
    "blocked": ("FAILURE", "Phone has blocked SMS"),
}


def _logged(lot: Sequence[Said]) -> Result:
    lines = []
    for one in lot:
        status, said = SNS_SAYS[one.state]
        notification = {"messageId": _carrier_id(one.page, one.index), "timestamp": f"{one.at:%Y-%m-%d %H:%M:%S.000}"}
        lines.append(
            {
                "message": json.dumps(
                    {"notification": notification, "delivery": {"providerResponse": said}, "status": status}
                )
            }
        )
    return {"awslogs": {"data": base64.b64encode(gzip.compress(json.dumps({"logEvents": lines}).encode())).decode()}}


# --- the queue -----------------------------------------------------------------------------------------------------


def _batches(jobs: Sequence[str], share: int) -> Iterator[list[str]]:
    """What one invocation gets: at most `share` jobs, and 6 MB."""
    batch, size = list[str](), 0
    for body in jobs:
        if batch and (len(batch) == share or size + len(body) + 500 > BATCH_BYTES_MAX):
            yield batch
            batch, size = [], 0
        batch.append(body)
        size += len(body) + 500  # what a record has besides its body
    if batch:
        yield batch


def _gather_all(batches: Sequence[Sequence[str]]) -> tuple[list[float], list[float], Result]:
    """One after the other, each alone: seconds and processor seconds of each."""
    function, seconds, processor = load("receipts"), list[float](), list[float]()
    with Peak() as peak:
        for batch in batches:
            records = [{"messageId": str(place), "body": body} for place, body in enumerate(batch)]
            began, cpu = time.perf_counter(), time.process_time()
            answered = function.handler({"Records": records}, Context(600))
            seconds.append(time.perf_counter() - began)
            processor.append(time.process_time() - cpu)
            if answered["batchItemFailures"]:
                raise RuntimeError("jobs came again")
    return seconds, processor, {"peak": peak.megabytes}


# --- what it has come to -------------------------------------------------------------------------------------------


def _compare(burst: Sequence[Said], pages: int) -> None:
    from recado.rules.delivery_states import state_of
    from recado.tables.pages import list_states

    said: dict[tuple[int, int], set[tuple[int, str]]] = defaultdict(set)
    for one in burst:
        said[one.page, one.index].add((0 if _is_sns(one.page) else one.part, one.state))
    seen = 0
    for ref, state, receipts in list_states(_refs(pages)):
        sets = {name.value: found for name, found in receipts.items()}
        for index in range(RECIPIENTS):
            is_long = ref.page % LONG_EVERY == 0
            found = state_of(state.letters[index], index, 2 if is_long else 1, sets)
            if found.value != (expected := _expected(said[ref.page, index], is_long=is_long)):
                raise RuntimeError(f"recipient {index} of page {ref.page} is {found.value} and should be {expected}")
            seen += 1
    if seen != pages * RECIPIENTS:
        raise RuntimeError(f"of {pages * RECIPIENTS} recipients {seen} were there")


def _expected(said: set[tuple[int, str]], *, is_long: bool) -> str:
    """By the words of docs/carrier_format.md, for a text that was handed over."""
    arrived = {part for part, state in said if state == "delivered"}
    if 0 in arrived or (is_long and {1, 2} <= arrived) or (not is_long and 1 in arrived):
        return "delivered"
    for worse in ("wrong_number", "blocked", "unreachable"):
        if worse in {state for _, state in said}:
            return worse
    return "sent"


# --- the other process ---------------------------------------------------------------------------------------------


def _figures(url: str) -> Result:
    with urllib.request.urlopen(f"{url}/figures", timeout=30) as answer:  # noqa: S310  # loopback
        found: Result = json.load(answer)
    return found


def _taken(url: str) -> list[tuple[str, int]]:
    with urllib.request.urlopen(f"{url}/queue", timeout=30) as answer:  # noqa: S310  # loopback
        found: list[tuple[str, int]] = json.load(answer)
    return found


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # the log lines
        yield


if __name__ == "__main__":
    main()
