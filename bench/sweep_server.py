"""DynamoDB with sessions that are over, in memory and in a process of its own; each answer takes as long as AWS's.

The rows are those that the real code writes for a few sessions, copied under other ids and numbers. Loopback only. It
prints its port, answers GET with what was asked and billed so far and what is left of the sessions, and ends when its
input does.
"""

import json
import math
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from typing import Any, override

from botocore.exceptions import ClientError

from bench.partitioned_rows import PartitionedRows
from bench.units import Index, index_write_units, query_units, read_units, size_of, write_units
from tests import conftest  # noqa: F401  # first: it sets the environment
from tests.simulation.memory_dynamodb import Item, Key, MemoryDynamoDB, _names_and_values, _test, key_of

SEED = 7
MEDIAN_SECONDS, P99_SECONDS = 0.004, 0.018  # of one call, as Lambda sees it in the same region: assumed
SIGMA = math.log(P99_SECONDS / MEDIAN_SECONDS) / 2.326  # a lognormal's
DUE = Index(frozenset(("due_shard", "check_at")), frozenset())
TABLES: dict[str, dict[str, Key]] = {"SessionsTable": {"Due": ("due_shard", "check_at")}, "RoutesTable": {}}
KEYS = ("pk", "sk")
CODES = tuple(f"44{number}" for number in range(101, 111))
FIRST_NUMBER = 8_095_000_000
SAYS, ANSWERS_A_SAY = 2, 1


class MeteredDynamoDB(MemoryDynamoDB):
    """Queries of a partition look at that partition only; what each call would be billed is added up."""

    def __init__(self) -> None:
        super().__init__(TABLES)
        for table in self.tables.values():
            table.rows = PartitionedRows()
        self.calls: Counter[str] = Counter()
        self.units: Counter[str] = Counter()

    @override
    def apply(self, operation: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        self.calls[operation] += 1
        written = [(table, key, self.row(table, key)) for table, key in _written(operation, asked)]
        try:
            answer = super().apply(operation, asked)
        finally:  # a refused write is billed too
            for table, key, before in written:
                self._bill_write(table, before, self.row(table, key), twice=operation == "TransactWriteItems")
        self._bill_read(operation, asked, answer)
        return answer

    def _bill_write(self, table: str, before: Item | None, after: Item | None, *, twice: bool) -> None:
        self.units[f"{table} write"] += write_units(before, after, in_transaction=twice)
        if table == "SessionsTable":
            self.units["Due write"] += index_write_units(DUE, KEYS, before, after)

    def _bill_read(self, operation: str, asked: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        if operation == "Query":
            name = "Due" if "IndexName" in asked else asked["TableName"]
            whole = [self.row(asked["TableName"], key_of(item)) or {} for item in answer["Items"]]
            sizes = [size_of(item if name == "Due" else row) for item, row in zip(answer["Items"], whole, strict=True)]
            self._add_read(name, query_units(sizes, is_consistent=asked.get("ConsistentRead", False)))
        if operation == "BatchGetItem":
            for table, wanted in asked["RequestItems"].items():
                sizes = [size_of(self.row(table, key_of(key)) or {}) for key in wanted["Keys"]]
                self._add_read(table, read_units(sizes, is_consistent=wanted.get("ConsistentRead", False)))
        if operation == "GetItem":
            size = size_of(answer.get("Item", {}))
            self._add_read(asked["TableName"], read_units([size], is_consistent=asked.get("ConsistentRead", False)))

    def _add_read(self, name: str, units: float) -> None:
        self.units[f"{name} read halves"] += round(2 * units)

    @override
    def _query(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        if "IndexName" in asked:
            answer = super()._query(asked)
            answer["Items"] = [{name: one[name] for name in (*KEYS, *DUE.keys)} for one in answer["Items"]]
            return answer
        # Of one partition, all of it: no session here is larger than a page of DynamoDB's.
        rows = self.tables[asked["TableName"]].rows
        if not isinstance(rows, PartitionedRows) or "Limit" in asked:
            raise NotImplementedError("a limit")
        names, values = _names_and_values(asked)
        place = asked["KeyConditionExpression"].split("=")[1].split()[0].strip("()")
        pk, is_wanted = values[place]["S"], _test(asked["KeyConditionExpression"])
        found = [row for sk in rows.partitions[pk] if is_wanted(row := rows[pk, sk], names, values)]
        wanted = [names.get(name, name) for name in asked.get("ProjectionExpression", "").split(", ") if name]
        items = [{name: row[name] for name in wanted} if wanted else row for row in found]
        return {"Items": items, "Count": len(items), "ScannedCount": len(items)}

    def left(self) -> dict[str, int]:
        """What is still to be done."""
        sessions = self.rows("SessionsTable")
        return {
            "due": sum("check_at" in row for row in sessions.values()),
            "rows": sum(sk != "session" for _, sk in sessions),
            "held": sum(
                pk.startswith("H#") and "free_at" not in row for (pk, _), row in self.rows("RoutesTable").items()
            ),
        }


def _written(operation: str, asked: Mapping[str, Any]) -> Iterator[tuple[str, Key]]:
    if operation in ("PutItem", "UpdateItem", "DeleteItem"):
        yield asked["TableName"], key_of(asked.get("Key") or asked["Item"])
    if operation == "BatchWriteItem":
        for table, requests in asked["RequestItems"].items():
            for one in requests:
                yield table, key_of(one["DeleteRequest"]["Key"])
    if operation == "TransactWriteItems":
        for one in asked["TransactItems"]:
            for write in one.values():
                yield write["TableName"], key_of(write.get("Key") or write["Item"])


# --- sessions that are over --------------------------------------------------------------------------------


def fill(dynamodb: MeteredDynamoDB, handsets: list[int], sessions: int, shard: int) -> None:
    """So many sessions in one shard, in turn with as many handsets as `handsets` says; all are over at NOON + 6 min."""
    shapes = {count: _session_of(count) for count in set(handsets)}
    number = FIRST_NUMBER
    for place, count in zip(range(sessions), cycle(handsets), strict=False):
        session_id, numbers, tables = shapes[count]
        packed = json.dumps(tables).replace(session_id, f"s{place:025}")
        for old in numbers:
            packed = packed.replace(old, f"+1{number}")
            number += 1
        for table, rows in json.loads(packed).items():
            for row in rows:
                if "due_shard" in row:
                    row["due_shard"] = {"N": str(shard)}
                dynamodb.tables[table].rows[key_of(row)] = row


def _session_of(handsets: int) -> tuple[str, list[str], dict[str, list[Item]]]:
    """One session as the real code writes it: texts that went out, and answers."""
    from recado import at_once, dispatch
    from recado.tables.sessions import find_session
    from tests import worlds
    from tests.session_worlds import answer, create_codes, open_session, say
    from tests.simulation.session_model import Weather, moved_clock
    from tests.simulation.wires import memory_aws

    at_once.AT_ONCE = 1  # one after another: that DynamoDB's rows are a plain dict
    numbers = [f"+1809{5_000_000 + number}" for number in range(handsets)]
    with memory_aws() as aws, moved_clock() as clock:
        aws.gate = weather = Weather()
        create_codes(*CODES)
        carrier = worlds.FakeCarrier()
        session_id = ""
        for number in range(SAYS):
            if number == 0:
                session_id = open_session(clock, *numbers, name="bench")
            else:
                say(session_id, clock, name=f"bench-{number}")
            heard = len(carrier.heard)
            while weather.jobs:
                dispatch.work_page(dispatch.read_job(weather.jobs.pop(0)), worlds.worker(carrier, clock))
            for text in carrier.heard[heard:][: ANSWERS_A_SAY * 100]:
                answer(text, "Sí, ahí estaré", clock, reply_id=f"r-{number}-{text.to}")
            clock.move(seconds=10)
        session = find_session(session_id)
        if session is None or session.says != SAYS or session.sending is not None:
            raise RuntimeError("the session is not as it should be")
        of_sessions = [row for key, row in aws.rows("SessionsTable").items() if key[0] == f"X#{session_id}"]
        of_routes = [row for key, row in aws.rows("RoutesTable").items() if key[0].startswith("H#")]
    return session_id, numbers, {"SessionsTable": of_sessions, "RoutesTable": of_routes}


def main() -> None:
    sessions, shard, *handsets = (int(word) for word in sys.argv[1:])
    dynamodb = MeteredDynamoDB()
    # What the real code says while it makes the rows goes to the log, and that to standard output: the port comes last.
    fill(dynamodb, handsets, sessions, shard)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(dynamodb))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"port {server.server_port}", flush=True)
    sys.stdin.read()


def _handler(dynamodb: MeteredDynamoDB) -> type[BaseHTTPRequestHandler]:
    one_at_a_time = threading.Lock()
    chance = random.Random(SEED)  # noqa: S311  # the same latencies every time

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            came = time.perf_counter()
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = 200
            with one_at_a_time:
                lasts = chance.lognormvariate(math.log(MEDIAN_SECONDS), SIGMA)
                try:
                    answer = dynamodb.apply(self.headers["X-Amz-Target"].rpartition(".")[2], asked)
                except ClientError as error:
                    status, answer = 400, {"__type": f"x#{error.response['Error']['Code']}", "Message": "refused"}
            time.sleep(max(0.0, came + lasts - time.perf_counter()))
            self._say(status, answer)

        def do_GET(self) -> None:
            self._say(200, {"calls": dynamodb.calls, "units": dynamodb.units, "left": dynamodb.left()})

        def _say(self, status: int, answer: Mapping[str, Any]) -> None:
            body = json.dumps(answer).encode()
            self.wfile.write(f"HTTP/1.1 {status} .\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


if __name__ == "__main__":
    main()
