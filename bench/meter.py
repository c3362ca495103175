"""Counts what AWS would bill for each call of the real code, by a hook in botocore, over moto. It changes no call.

moto's own figures are not used: items are looked at before and after each write, and priced by bench/units.py.
"""

import contextlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from botocore import handlers
from moto.backends import get_backend

from bench.units import Index, Item, index_write_units, query_units, read_units, size_of, write_units

ACCOUNT, REGION = "123456789012", "us-east-1"
SQS_REQUEST_BYTES = 64 * 1024
CONTEXT_KEY = "recado_bench"


class NotMetered(Exception):
    """The code made a call of a kind that this bench cannot price yet: teach it in meter.py."""


@dataclass
class Bill:
    """What one step used."""

    calls: Counter[str] = field(default_factory=Counter)
    write_units: float = 0
    read_units: float = 0
    sqs_requests: int = 0
    sqs_fair_sends: int = 0
    invocations: Counter[str] = field(default_factory=Counter)
    api_requests: int = 0
    carrier_posts: int = 0
    log_bytes: int = 0

    @property
    def aws_calls(self) -> int:
        return sum(self.calls.values())


@dataclass(frozen=True)
class _Write:
    """One item that a call writes. `kind`: Put, Update, Delete or ConditionCheck."""

    kind: str
    table: str
    key: dict[str, Any]
    before: Item | None


class Meter:
    """Bills what happens inside `step`; what happens outside (setting up, looking) is nobody's."""

    def __init__(self, indexes: dict[str, list[Index]], keys: dict[str, tuple[str, ...]]) -> None:
        self._indexes = indexes
        self._keys = keys
        self._bill: Bill | None = None

    @contextlib.contextmanager
    def step(self, bill: Bill) -> Iterator[None]:
        self._bill = bill
        try:
            yield
        finally:
            self._bill = None

    def install(self) -> None:
        """From now on every client that is made reports here; moto finds its way in by the same list."""
        handlers.BUILTIN_HANDLERS.append(("before-call", self._before))
        handlers.BUILTIN_HANDLERS.append(("after-call", self._after))

    def _before(self, model: Any, params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        if self._bill is None:
            return
        service = str(model.service_model.service_name)
        body = json.loads(params["body"]) if params.get("body") else {}
        writes = self._writes(model.name, body) if service == "dynamodb" else []
        context[CONTEXT_KEY] = (service, body, writes)

    def _after(self, model: Any, parsed: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        if self._bill is None or CONTEXT_KEY not in context:
            return
        service, body, writes = context.pop(CONTEXT_KEY)
        bill = self._bill
        bill.calls[f"{service} {model.name}"] += 1
        if service == "dynamodb":
            is_refused = "Error" in parsed
            bill.write_units += sum(self._written(one, model.name, is_refused=is_refused) for one in writes)
            bill.read_units += 0 if writes else self._read(model.name, body, parsed)
        elif service == "sqs":
            entries = body.get("Entries", [body])
            content = sum(len(str(entry.get("MessageBody", "")).encode()) for entry in entries)
            requests = max(1, ceil(content / SQS_REQUEST_BYTES))
            bill.sqs_requests += requests
            bill.sqs_fair_sends += requests if any("MessageGroupId" in entry for entry in entries) else 0
        elif service != "ssm":  # standard parameters are free
            raise NotMetered(f"{service} {model.name}")

    def _writes(self, operation: str, body: dict[str, Any]) -> list[_Write]:
        match operation:
            case "PutItem" | "UpdateItem" | "DeleteItem":
                return [self._write(operation.removesuffix("Item"), body)]
            case "BatchWriteItem":
                asked = [
                    (kind.removesuffix("Request"), {"TableName": table} | request)
                    for table, items in body["RequestItems"].items()
                    for item in items
                    for kind, request in item.items()
                ]
                return [self._write(kind, request) for kind, request in asked]
            case "TransactWriteItems":
                return [self._write(kind, one[kind]) for one in body["TransactItems"] for kind in one]
            case _:
                return []

    def _write(self, kind: str, request: dict[str, Any]) -> _Write:
        table = request["TableName"]
        whole = request.get("Key") or request["Item"]
        key = {name: whole[name] for name in self._keys[table]}
        return _Write(kind, table, key, _find(table, key))

    def _written(self, write: _Write, operation: str, *, is_refused: bool) -> float:
        after = write.before if is_refused else _find(write.table, write.key)
        units = write_units(write.before, after, in_transaction=operation == "TransactWriteItems")
        indexes = self._indexes[write.table]
        return units + sum(index_write_units(one, self._keys[write.table], write.before, after) for one in indexes)

    def _read(self, operation: str, body: dict[str, Any], parsed: dict[str, Any]) -> float:
        match operation:
            case "GetItem":
                found = parsed.get("Item")
                return read_units([size_of(found) if found else 0], is_consistent=body.get("ConsistentRead", False))
            case "BatchGetItem":
                return sum(
                    self._batch_read(asked, parsed.get("Responses", {}).get(table, []))
                    for table, asked in body["RequestItems"].items()
                )
            case "Query":
                if parsed["ScannedCount"] != parsed["Count"] or "ProjectionExpression" in body:
                    raise NotMetered("a query that reads more than it answers")
                sizes = [size_of(item) for item in parsed["Items"]]
                return query_units(sizes, is_consistent=body.get("ConsistentRead", False))
            case _:
                raise NotMetered(f"dynamodb {operation}")

    def _batch_read(self, asked: dict[str, Any], found: list[Item]) -> float:
        sizes = [size_of(item) for item in found] + [0] * (len(asked["Keys"]) - len(found))
        return read_units(sizes, is_consistent=asked.get("ConsistentRead", False))


def _find(table: str, key: dict[str, Any]) -> Item | None:
    """An item as moto holds it, without a call that would be counted."""
    found = get_backend("dynamodb")[ACCOUNT][REGION].get_item(table, key)
    return None if found is None else found.to_json()["Attributes"]
