"""What AWS bills for a message, from `POST /messages` to the last receipt: the real functions, counted over moto.

`python -m bench.cost [recipients …]` prints JSON. Prices and what is assumed are in prices.toml.
"""

import contextlib
import io
import json
import random
import sys
import tomllib
from collections import Counter
from collections.abc import Callable
from itertools import batched
from math import ceil
from pathlib import Path
from typing import Any

from bench import world
from bench.meter import Bill, Meter
from bench.units import Index
from tests import conftest

AUDIENCES = (100, 1000)
STEPS = ("accept", "dispatch", "receipts")
PRICES = tomllib.loads(Path(__file__).with_name("prices.toml").read_text())
MILLION = 1_000_000
RECEIVE_MAX = 10  # messages in one ReceiveMessage or DeleteMessageBatch
MEMORY_GIGABYTES = conftest.TEMPLATE["Globals"]["Function"]["MemorySize"] / 1024


def main() -> None:
    meter = Meter(_indexes(), _keys())
    meter.install()
    carrier = world.CarrierServer()
    said = io.StringIO()
    with contextlib.redirect_stdout(said):  # recado's logger keeps the stream that it finds first
        audiences = [int(recipients) for recipients in sys.argv[1:]] or AUDIENCES
        results = {str(recipients): measure(meter, carrier, said, recipients) for recipients in audiences}
    carrier.stop()
    json.dump({"assumed": PRICES["assumed"], "recipients": results}, sys.stdout)


def measure(meter: Meter, carrier: world.CarrierServer, said: io.StringIO, recipients: int) -> dict[str, Any]:
    """Sends one message to this many guardians and follows it to its end."""
    carrier.forget()
    with world.school(recipients):
        bills = {step: Bill() for step in STEPS}
        run = _runner(meter, said)
        _accept(bills["accept"], run)
        _dispatch(bills["dispatch"], run)
        bills["dispatch"].carrier_posts = carrier.posts
        _receipts(bills["receipts"], run, carrier.references)
        _check(recipients, carrier.references)
    per_million = _dollars(bills, recipients)
    return {
        "steps": {step: _summary(bill) for step, bill in bills.items()},
        "per_recipient": _per_recipient(bills, recipients),
        "usd_per_million_recipients": per_million,
    }


def _accept(bill: Bill, run: "Run") -> None:
    bill.api_requests += 1
    run(bill, "authorizer", world.authorizer_event())
    run(bill, "send", world.request_event())


def _dispatch(bill: Bill, run: "Run") -> None:
    for body in conftest.jobs_on("BulkQueue"):
        run(bill, "dispatch", world.queue_event([body]), from_queue=1)


def _receipts(bill: Bill, run: "Run", references: list[str]) -> None:
    mixed = sorted(references)
    random.Random(1).shuffle(mixed)  # noqa: S311  # carriers report in any order
    queued: list[str] = []
    for some in batched(mixed, PRICES["assumed"]["receipts_in_a_webhook"], strict=False):
        bill.api_requests += 1
        run(bill, "inbound", world.receipts_event(list(some)))
        queued += conftest.jobs_on("ReceiptsQueue")  # at once: moto is slow with long queues
    for bodies in batched(queued, PRICES["assumed"]["jobs_in_a_batch"], strict=False):
        run(bill, "receipts", world.queue_event(list(bodies)), from_queue=len(bodies))


type Run = Callable[..., None]


def _runner(meter: Meter, said: io.StringIO) -> Run:
    def run(bill: Bill, function: str, event: dict[str, Any], *, from_queue: int = 0) -> None:
        before = said.tell()
        with meter.step(bill):
            answer = world.call(function, event)
        if answer.get("batchItemFailures") or answer.get("statusCode", 200) >= 300:
            raise RuntimeError(f"{function} did not do its work: {answer}")
        bill.invocations[function] += 1
        bill.log_bytes += len(said.getvalue()[before:].encode()) + PRICES["assumed"]["lambda_log_bytes"]
        bill.sqs_requests += 2 * ceil(from_queue / RECEIVE_MAX)  # Lambda receives and deletes on our bill

    return run


def _check(recipients: int, references: list[str]) -> None:
    """A bench of something that did not happen would be cheap."""
    from recado.rules.credit_bags import Zone
    from recado.tables import ledger
    from tests.worlds import SCHOOL

    account = ledger.find_account(SCHOOL, Zone.DOMESTIC)
    if len(set(references)) != recipients or account is None or (account.held, account.captured) != (0, recipients):
        raise RuntimeError("the message did not reach everybody, or was not settled")


def _summary(bill: Bill) -> dict[str, Any]:
    return {
        "aws_calls": bill.aws_calls,
        "calls": dict(sorted(bill.calls.items())),
        "write_units": bill.write_units,
        "read_units": bill.read_units,
        "sqs_requests": bill.sqs_requests,
        "invocations": dict(bill.invocations),
        "api_requests": bill.api_requests,
        "carrier_posts": bill.carrier_posts,
        "log_bytes": bill.log_bytes,
    }


def _per_recipient(bills: dict[str, Bill], recipients: int) -> dict[str, float]:
    totals = {
        "aws_calls": sum(bill.aws_calls for bill in bills.values()),
        "write_units": sum(bill.write_units for bill in bills.values()),
        "read_units": sum(bill.read_units for bill in bills.values()),
        "sqs_requests": sum(bill.sqs_requests for bill in bills.values()),
        "invocations": sum(bill.invocations.total() for bill in bills.values()),
    }
    return {name: total / recipients for name, total in totals.items()}


def _dollars(bills: dict[str, Bill], recipients: int) -> dict[str, float]:
    price, unit, assumed = PRICES["per_million"], PRICES["per_unit"], PRICES["assumed"]
    dollars: Counter[str] = Counter()
    for bill in bills.values():
        waited = bill.aws_calls * assumed["aws_call_milliseconds"]
        waited += bill.carrier_posts * assumed["carrier_post_milliseconds"]
        dollars["dynamodb_writes"] += bill.write_units * price["dynamodb_write_units"] / MILLION
        dollars["dynamodb_reads"] += bill.read_units * price["dynamodb_read_units"] / MILLION
        dollars["sqs"] += bill.sqs_requests * price["sqs_requests"] / MILLION
        dollars["sqs"] += bill.sqs_fair_sends * price["sqs_fair_sends"] / MILLION
        dollars["lambda_requests"] += bill.invocations.total() * price["lambda_requests"] / MILLION
        dollars["lambda_waiting_assumed"] += waited / 1000 * MEMORY_GIGABYTES * unit["lambda_gigabyte_second"]
        dollars["api"] += bill.api_requests * price["api_requests"] / MILLION
        dollars["logs"] += bill.log_bytes / 1e9 * unit["log_gigabyte"]
    found = {name: amount * MILLION / recipients for name, amount in dollars.items()}
    return found | {"total": sum(found.values())}


def _indexes() -> dict[str, list[Index]]:
    return {
        name: [
            Index(
                keys=frozenset(key["AttributeName"] for key in one["KeySchema"]),
                projected=_projected(one["Projection"]),
            )
            for one in properties.get("GlobalSecondaryIndexes", [])
        ]
        for name, properties in conftest.resources("AWS::DynamoDB::Table").items()
    }


def _projected(projection: dict[str, Any]) -> frozenset[str] | None:
    if projection["ProjectionType"] == "ALL":
        return None
    return frozenset(projection.get("NonKeyAttributes", []))


def _keys() -> dict[str, tuple[str, ...]]:
    return {
        name: tuple(key["AttributeName"] for key in properties["KeySchema"])
        for name, properties in conftest.resources("AWS::DynamoDB::Table").items()
    }


if __name__ == "__main__":
    main()
