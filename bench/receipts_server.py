"""DynamoDB and SQS as far as receipts ask them, in memory and in a process of their own; each answer takes as long as
AWS's (bench/sweep_server.py has the latencies). Loopback only.

It prints its port and ends when its input does. GET /figures says what was asked and billed; GET /queue gives the jobs
that were put since, and forgets them.
"""

import json
import math
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, override

from botocore.exceptions import ClientError

from bench.sweep_server import MEDIAN_SECONDS, SEED, SIGMA
from bench.units import read_units, size_of, write_units
from tests.simulation.memory_dynamodb import MemoryDynamoDB, key_of


class MeteredDynamoDB(MemoryDynamoDB):
    """Adds up what each call would be billed, and the units of each page."""

    def __init__(self) -> None:
        super().__init__({"MessagesTable": {}})
        self.calls: Counter[str] = Counter()
        self.units: Counter[str] = Counter()
        self.of_pages: Counter[str] = Counter()
        self.largest_row = 0

    @override
    def apply(self, operation: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        self.calls[operation] += 1
        if operation != "UpdateItem":
            answer = super().apply(operation, asked)
            if operation == "BatchGetItem":
                for rows in answer["Responses"].values():
                    self.units["read"] += int(read_units(map(size_of, rows), is_consistent=True))
            return answer
        key = key_of(asked["Key"])
        before = self.row(asked["TableName"], key)
        try:
            return super().apply(operation, asked)
        finally:  # a refused write is billed too
            after = self.row(asked["TableName"], key)
            units = write_units(before, after)
            self.units["write"] += units
            self.of_pages[key[0]] += units
            self.largest_row = max(self.largest_row, size_of(after or {}))


class Queue:
    """SQS: takes batches, and counts what it would bill (64 KB a request)."""

    def __init__(self) -> None:
        self.jobs: list[tuple[str, int]] = []
        self.requests = 0

    def put(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        entries = asked["Entries"]
        self.jobs += [(one["MessageBody"], int(one["DelaySeconds"])) for one in entries]
        self.requests += math.ceil(sum(len(one["MessageBody"]) for one in entries) / 65_536)
        return {"Successful": [{"Id": one["Id"], "MessageId": one["Id"]} for one in entries], "Failed": []}

    def take(self) -> list[tuple[str, int]]:
        taken, self.jobs = self.jobs, []
        return taken


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(MeteredDynamoDB(), Queue()))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"port {server.server_port}", flush=True)
    sys.stdin.read()


def _handler(dynamodb: MeteredDynamoDB, queue: Queue) -> type[BaseHTTPRequestHandler]:
    one_at_a_time = threading.Lock()
    chance = random.Random(SEED)  # noqa: S311  # the same latencies every time

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            came, status = time.perf_counter(), 200
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            target = self.headers["X-Amz-Target"]
            with one_at_a_time:
                lasts = chance.lognormvariate(math.log(MEDIAN_SECONDS), SIGMA)
                try:
                    is_queue = target.startswith("AmazonSQS")
                    answer = queue.put(asked) if is_queue else dynamodb.apply(target.rpartition(".")[2], asked)
                except ClientError as error:
                    status, answer = 400, {"__type": f"x#{error.response['Error']['Code']}", "Message": "refused"}
            time.sleep(max(0.0, came + lasts - time.perf_counter()))
            self._say(status, answer)

        def do_GET(self) -> None:
            with one_at_a_time:
                if self.path == "/queue":
                    return self._say(200, queue.take())
                most = max(dynamodb.of_pages.values(), default=0)
                figures = {"calls": dynamodb.calls, "units": dynamodb.units, "sqs_requests": queue.requests}
                return self._say(200, figures | {"most_of_a_page": most, "largest_row": dynamodb.largest_row})

        def _say(self, status: int, answer: Any) -> None:
            body = json.dumps(answer).encode()
            self.wfile.write(f"HTTP/1.1 {status} .\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


if __name__ == "__main__":
    main()
