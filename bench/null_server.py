"""AWS and a carrier that answer at once with what they were told, and remember nothing. Loopback only.

Reads one JSON line from its input (bench/rows.py), prints its port, and ends when its input does.
"""

import json
import sys
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CARRIER_PATH = "/send"
COUNTS_PATH = "/counts"

type Key = tuple[str, str, str]


class NullAws:
    """Reads answer the rows of the beginning, whatever was written since; every write succeeds."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._secret = given["master_secret"]
        self._rows: dict[Key, dict[str, Any]] = {
            (table, row["pk"]["S"], row["sk"]["S"]): row for table, rows in given["tables"].items() for row in rows
        }

    def answer(self, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        operations: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "GetItem": self._get,
            "BatchGetItem": self._get_batch,
            "UpdateItem": lambda asked: {"Attributes": self._find(asked["TableName"], asked["Key"]) or asked["Key"]},
            "Query": lambda _: {"Items": [], "Count": 0, "ScannedCount": 0},  # no routes, and no circuit was ever open
            "TransactWriteItems": lambda _: {},
            "GetParameters": lambda asked: {"Parameters": [{"Name": asked["Names"][0], "Value": self._secret}]},
        }
        return operations[operation](asked)

    def _get(self, asked: dict[str, Any]) -> dict[str, Any]:
        row = self._find(asked["TableName"], asked["Key"])
        return {"Item": row} if row else {}

    def _get_batch(self, asked: dict[str, Any]) -> dict[str, Any]:
        found = {
            table: [row for key in wanted["Keys"] if (row := self._find(table, key))]
            for table, wanted in asked["RequestItems"].items()
        }
        return {"Responses": found, "UnprocessedKeys": {}}

    def _find(self, table: str, key: dict[str, Any]) -> dict[str, Any] | None:
        return self._rows.get((table, key["pk"]["S"], key["sk"]["S"]))


def main() -> None:
    aws = NullAws(json.loads(sys.stdin.readline()))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(aws))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()


def _handler(aws: NullAws) -> type[BaseHTTPRequestHandler]:
    counts: Counter[str] = Counter()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._say(dict(counts))

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == CARRIER_PATH:
                counts["carrier"] += 1
                accepted = [
                    {"reference": one["reference"], "status": "accepted", "id": "c"} for one in asked["messages"]
                ]
                self._say({"messages": accepted})
                return
            counts["aws"] += 1
            self._say(aws.answer(self.headers["X-Amz-Target"].rpartition(".")[2], asked))

        def _say(self, answer: dict[str, Any]) -> None:
            body = json.dumps(answer, separators=(",", ":")).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {len(body)}\r\n\r\n"
            self.wfile.write(head.encode() + body)  # at once: two writes would wait for an acknowledgement

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


if __name__ == "__main__":
    main()
