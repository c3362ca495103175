"""Time, memory and calls of planning: an estimate while somebody waits, and large audiences in the background.

`python -m bench.planning [case people]` prints JSON. AWS is a fake in this process that makes up people as they are
read and keeps no page, so that the memory is recado's; each case has a process of its own.
"""

import contextlib
import json
import os
import resource
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from itertools import chain
from typing import Any

from bench.units import query_units, read_units, size_of, write_units
from tests import conftest  # noqa: F401  # first: it sets the environment

CASES = (("estimate", 10_000), ("background", 100_000))
QUERY_BYTES = 1_000_000  # what one Query answers, about
WORKER_SECONDS = 300.0  # template.yaml: Plan.Timeout
SHARDS = 8
SHARES_A_NUMBER = 10  # one in so many is the second on a number
OPTED_OUT = 50  # one in so many
NO_NUMBER = 100
MEGABYTE = 1024 * 1024
EVERYBODY = {"who": ["guardians"]}


def main() -> None:
    if len(sys.argv) > 1:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # the log lines
            measured = measure(sys.argv[1], int(sys.argv[2]))
        json.dump(measured, sys.stdout)
        return
    results = []
    for name, people in CASES:
        ran = subprocess.run(
            [sys.executable, "-m", "bench.planning", name, str(people)], stdout=subprocess.PIPE, check=True
        )
        results.append(json.loads(ran.stdout))
    json.dump({"cases": results}, sys.stdout)


def measure(name: str, people: int) -> dict[str, Any]:
    from tests import worlds

    aws = MadeUpAws(people)
    aws.install()
    build(people)
    worlds.create(worlds.alert(send=False, audience=EVERYBODY), worlds.TestClock(), key="warm")  # what is imported late
    aws.forget()
    rss, began, cpu = _peak(), time.perf_counter(), time.process_time()
    runs, reached = {"estimate": estimate, "background": background}[name](aws)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    return {
        "case": name,
        "people": people,
        "recipients": reached,
        "seconds": seconds,
        "processor_seconds": cpu,
        "peak_megabytes_more": (_peak() - rss) / MEGABYTE,
        "worker_runs": runs,
        "calls": dict(aws.calls),
        "per_recipient": {
            "aws_calls": sum(aws.calls.values()) / reached,
            "read_units": aws.read / reached,
            "write_units": aws.written / reached,
        },
    }


def build(people: int) -> None:
    """A school with its contract, course and credits; its people are made up."""
    from recado.rules.credit_bags import Zone
    from recado.rules.oneroster import RosterGroup
    from recado.tables import groups, schools
    from recado.tables.base import Transaction
    from recado.tables.groups import Group
    from recado.tables.schools import Contract, School
    from tests import worlds

    school = School(
        id=worlds.SCHOOL,
        name="Red de Escuelas",
        country="CL",
        time_zone="America/Santiago",
        code="20600",
        contract=Contract.ACTIVE,
        shards=SHARDS,
        created_at=worlds.NOON,
    )
    with Transaction() as write:
        schools.create_school(write, school, AssertionError("exists"))
    groups.save_group(school.id, Group(RosterGroup(worlds.COURSE, "course", "7° Básico B", None), {}), None)
    worlds.buy(school.id, Zone.DOMESTIC, 10 * people)


def estimate(_: "MadeUpAws") -> tuple[int, int]:
    """As `POST /messages/estimate`."""
    from recado import estimates
    from tests import worlds

    new = worlds.alert(send=False, audience=EVERYBODY)
    found = estimates.estimate(worlds.DIRECTOR, new, worlds.NOON, state=None, limit=100, cursor=0)
    if found.totals is None:
        raise RuntimeError("the audience was too large for an estimate at once")
    return 0, found.totals.recipients


def background(aws: "MadeUpAws") -> tuple[int, int]:
    """From `POST /messages` with send to the last job of a page on its queue."""
    from recado import clock, ids, plan_work, records
    from recado.rules.message_states import MessageState
    from tests import worlds

    message = worlds.create(worlds.alert(audience=EVERYBODY), worlds.TestClock(clock.now()))
    runs = 0
    while (body := aws.take_plan_job()) is not None:
        until = time.monotonic() + WORKER_SECONDS
        worker = plan_work.Worker(ids.new_id(), clock.now, _time_left(until))
        plan_work.work(plan_work.read_job(body), worker)
        runs += 1
    sent = records.get_message(worlds.SCHOOL, message.id)
    if sent.state is not MessageState.SENDING or sent.pages_enqueued != sent.all_pages:
        raise RuntimeError(f"the message is {sent.state.value}")
    return runs, sent.recipients


def _time_left(until: float) -> Callable[[], timedelta]:
    return lambda: timedelta(seconds=until - time.monotonic())


class MadeUpAws:
    """Stands where PynamoDB's and recado's botocore clients stand: no HTTP, no JSON, no waiting."""

    def __init__(self, people: int) -> None:
        from tests.simulation.memory_dynamodb import MemoryDynamoDB
        from tests.simulation.wires import _indexes

        self._people = people
        self._dynamodb = MemoryDynamoDB(_indexes())
        self._plan_jobs: list[str] = []
        self._request_signer = None  # PynamoDB asks for it
        self.forget()

    def forget(self) -> None:
        self.calls: Counter[str] = Counter()
        self.read = 0.0
        self.written = 0

    def install(self) -> None:
        from recado import access, queues
        from recado.tables import base

        setattr(base.shared_connection(), "_client", self)  # noqa: B010  # it is one for PynamoDB's purposes
        setattr(queues, "client", lambda _: self)  # noqa: B010
        access._masters["read"] = (float("inf"), {1: b"master-secret-for-benches-only!!"})  # noqa: SLF001

    def take_plan_job(self) -> str | None:
        return self._plan_jobs.pop(0) if self._plan_jobs else None

    def send_message_batch(self, **asked: Any) -> dict[str, Any]:
        from recado.settings import SETTINGS

        self.calls["SendMessageBatch"] += 1
        if asked["QueueUrl"] == SETTINGS.plans_queue_url:
            self._plan_jobs += [entry["MessageBody"] for entry in asked["Entries"]]
        return {}

    def _make_api_call(self, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        self.calls[operation] += 1
        if operation == "BatchWriteItem":
            return self._drop(asked)
        if operation == "Query" and asked.get("IndexName") == "ByNumber":
            return self._members(asked)
        if operation == "BatchGetItem" and os.environ["PEOPLE_TABLE"] in asked["RequestItems"]:
            return self._opt_outs(asked)
        answer = self._dynamodb.apply(operation, asked)
        if operation in ("GetItem", "Query", "BatchGetItem"):
            self.read += 1
        else:  # some rows a message, whatever its audience: as small ones, twice in a transaction
            self.written += 2 * len(asked["TransactItems"]) if "TransactItems" in asked else 1
        return answer

    def _drop(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        for requests in asked["RequestItems"].values():
            self.written += sum(write_units(None, one["PutRequest"]["Item"]) for one in requests)
        return {"UnprocessedItems": {}}

    def _opt_outs(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """One in OPTED_OUT replied STOP; most have no such row, and are billed all the same."""
        ((table, wanted),) = asked["RequestItems"].items()
        found = []
        for key in wanted["Keys"]:
            number = key["pk"]["S"].rpartition("#")[2]
            if key["sk"]["S"] == "optout" and int(number[1:]) % OPTED_OUT == 0:
                found.append(key | {"causes": {"SS": ["reply"]}})
            elif key["sk"]["S"].startswith("P#"):
                found.append(self._person(key))
        self.read += read_units([100] * len(wanted["Keys"]), is_consistent=bool(wanted.get("ConsistentRead")))
        return {"Responses": {table: found}, "UnprocessedKeys": {}}

    def _person(self, key: Mapping[str, Any]) -> dict[str, Any]:
        number = self._number(int(key["sk"]["S"][3:]))
        names = {"given_name": {"S": "Rosa"}, "family_name": {"S": "Muñoz"}, "version": {"N": "1"}}
        return {**key, **names, **self._facts(number), "typed_number": {"S": number}}

    def _members(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """A page of the index, from where the one before ended."""
        values = [value["S"] for value in asked["ExpressionAttributeValues"].values()]
        pk = next(value for value in values if value.startswith("S#"))
        starts = [value for value in values if not value.startswith("S#")]
        last = asked["ExclusiveStartKey"]["by_number_sk"]["S"] if "ExclusiveStartKey" in asked else None
        after = last or (starts[0] if starts else "")
        rows, size = list[dict[str, Any]](), 0
        for row in self._rows(pk, int(pk.rpartition("#")[2]), after):
            rows.append(row)
            size += size_of(row)
            if size >= QUERY_BYTES:
                break
        self.read += query_units([size], is_consistent=False)
        answer: dict[str, Any] = {"Items": rows, "Count": len(rows), "ScannedCount": len(rows)}
        if size >= QUERY_BYTES:
            names = ("pk", "sk", "by_number_pk", "by_number_sk")
            answer["LastEvaluatedKey"] = {name: rows[-1][name] for name in names}
        return answer

    def _rows(self, pk: str, shard: int, after: str) -> Iterator[dict[str, Any]]:
        """The people of one shard in the order of the index: by number, then those without one."""
        without = self._people // NO_NUMBER
        first = self._place(after) if after.startswith("+") else (self._people - without if after else 0)
        numbered = ((place, self._number(place)) for place in range(first, self._people - without))
        others = ((place, None) for place in range(max(first, self._people - without), self._people))
        for place, number in chain(numbered, others):
            person_id = f"g{place:09}"
            key = f"{number or '-'}#{person_id}"
            if key > after and zlib.crc32((number or person_id).encode()) % SHARDS == shard:
                yield {
                    "pk": {"S": pk.rpartition("#")[0]},
                    "sk": {"S": f"P#{person_id}"},
                    "by_number_pk": {"S": pk},
                    "by_number_sk": {"S": key},
                    **self._facts(number),
                }

    def _facts(self, number: str | None) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "role": {"S": "guardian"},
            "groups": {"SS": ["course-7b"]},
            "number_problem": {"BOOL": False},
        }
        return facts | ({"number": {"S": number}} if number else {})

    def _number(self, place: int) -> str:
        return f"+569{10_000_000 + place - place // SHARES_A_NUMBER:08}"

    def _place(self, key: str) -> int:
        return int(key.rpartition("#g")[2])


def _peak() -> int:
    """The most memory this process has had (Linux: in KB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
