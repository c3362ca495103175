"""DynamoDB, S3 and SQS as far as an import asks them, in memory and in a process of their own. Loopback only.

Conditions hold as in the simulation's DynamoDB, which it is; only its queries are made for large tables. It prints its
port, and ends when its input does.
"""

import json
import sys
import threading
from bisect import bisect_right
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, override
from urllib.parse import parse_qs, unquote, urlsplit

from botocore.exceptions import ClientError

from bench.partitioned_rows import PartitionedRows
from tests.simulation.memory_dynamodb import Item, MemoryDynamoDB, _names_and_values, _test

PAGE = 1000  # rows of one answer: DynamoDB's is 1 MB
NOT_FOUND = b"<Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>"


class LargeDynamoDB(MemoryDynamoDB):
    """Queries read one partition, in pages."""

    def __init__(self) -> None:
        super().__init__({"PeopleTable": {}})
        self.tables["PeopleTable"].rows = PartitionedRows()

    @override
    def _query(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        rows = self.tables[asked["TableName"]].rows
        if not isinstance(rows, PartitionedRows) or "IndexName" in asked:
            raise NotImplementedError("an index")
        names, values = _names_and_values(asked)
        place = asked["KeyConditionExpression"].split("=")[1].split()[0].strip("()")
        pk = values[place]["S"]
        keys = rows.partitions[pk]
        start = bisect_right(keys, asked["ExclusiveStartKey"]["sk"]["S"]) if "ExclusiveStartKey" in asked else 0
        is_wanted = _test(asked["KeyConditionExpression"])
        limit, found = min(asked.get("Limit", PAGE), PAGE), list[Item]()
        for sk in keys[start:]:
            row = rows[pk, sk]
            if is_wanted(row, names, values):
                found.append(row)
            if len(found) == limit:
                break
        answer: dict[str, Any] = {"Items": found, "Count": len(found), "ScannedCount": len(found)}
        if len(found) == limit:
            answer["LastEvaluatedKey"] = {name: found[-1][name] for name in ("pk", "sk")}
        return answer


class Objects:
    """S3: put, get, list, delete."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        url = urlsplit(path)
        _, _, key = unquote(url.path).lstrip("/").partition("/")
        if method == "PUT":
            self._objects[key] = body
            return 200, b""
        if method == "DELETE":
            self._objects.pop(key, None)
            return 204, b""
        if not key:
            prefix = parse_qs(url.query).get("prefix", [""])[0]
            keys = "".join(f"<Contents><Key>{one}</Key></Contents>" for one in self._objects if one.startswith(prefix))
            return 200, f"<ListBucketResult><IsTruncated>false</IsTruncated>{keys}</ListBucketResult>".encode()
        found = self._objects.get(key)
        return (404, NOT_FOUND) if found is None else (200, found)


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(LargeDynamoDB(), Objects()))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()


def _handler(dynamodb: LargeDynamoDB, objects: Objects) -> type[BaseHTTPRequestHandler]:  # noqa: C901  # one route each
    one_at_a_time = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked, target = self._body(), self.headers["X-Amz-Target"]
            if target.startswith("AmazonSQS"):
                return self._say(200, json.dumps({"Successful": [], "Failed": []}).encode())
            try:
                with one_at_a_time:
                    answer = json.dumps(dynamodb.apply(target.rpartition(".")[2], json.loads(asked))).encode()
            except ClientError as error:
                refusal = {"__type": f"x#{error.response['Error']['Code']}", "Message": "refused"}
                reasons = {name: error.response[name] for name in ("CancellationReasons",) if name in error.response}
                return self._say(400, json.dumps(refusal | reasons).encode())
            return self._say(200, answer)

        def do_PUT(self) -> None:
            self._say(*objects.answer("PUT", self.path, self._body()))

        def do_GET(self) -> None:
            self._say(*objects.answer("GET", self.path, b""))

        def do_DELETE(self) -> None:
            self._say(*objects.answer("DELETE", self.path, b""))

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") == "chunked":
                return self._chunks()
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def _chunks(self) -> bytes:
            """A body with its checksum behind it, as botocore sends files."""
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return body

        def _say(self, status: int, body: bytes) -> None:
            head = f'HTTP/1.1 {status} .\r\nETag: "{len(body)}"\r\nContent-Length: {len(body)}\r\n\r\n'
            self.wfile.write(head.encode() + body)  # at once: two writes would wait for an acknowledgement

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


if __name__ == "__main__":
    main()
