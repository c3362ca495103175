"""DynamoDB in memory, as far as recado speaks to it: some twenty times as fast as moto, for searching many worlds.

It must never be believed alone: the same worlds run on moto and must come out the same, call by call.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import Any

from botocore.exceptions import ClientError

type Item = dict[str, Any]  # attribute → {"S": "…"}, as on the wire; never changed in place
type Key = tuple[str, str]
type Values = Mapping[str, Any]
type Test = Callable[[Item, Values, Values], bool]
type Change = Callable[[Item, Values, Values], None]

TOKENS = re.compile(r"[#:][A-Za-z0-9_]+|<>|<=|>=|[=<>(),]|[A-Za-z_]+")
FUNCTIONS = ("attribute_exists", "attribute_not_exists", "begins_with")


@dataclass
class Table:
    """`indexes`: name → (partition key, sort key). Every row has a `pk` and an `sk`."""

    indexes: Mapping[str, Key]
    rows: dict[Key, Item] = field(default_factory=dict)


class MemoryDynamoDB:
    """The operations PynamoDB calls, by the names and with the parameters of the wire."""

    def __init__(self, indexes: Mapping[str, Mapping[str, Key]]) -> None:
        self.tables = {name: Table(own) for name, own in indexes.items()}
        self._operations: dict[str, Callable[[Values], dict[str, Any]]] = {
            "GetItem": self._get,
            "BatchGetItem": self._batch_get,
            "BatchWriteItem": self._batch_write,
            "PutItem": lambda asked: self._write("Put", asked),
            "UpdateItem": lambda asked: self._write("Update", asked),
            "DeleteItem": lambda asked: self._write("Delete", asked),
            "TransactWriteItems": self._transact,
            "Query": self._query,
        }

    def apply(self, operation: str, asked: Values) -> dict[str, Any]:
        """Raises ClientError as botocore would."""
        return self._operations[operation](asked)

    def row(self, table: str, key: Key) -> Item | None:
        return self.tables[table].rows.get(key)

    def rows(self, table: str) -> dict[Key, Item]:
        return self.tables[table].rows

    def clear(self) -> None:
        for table in self.tables.values():
            table.rows.clear()

    def _get(self, asked: Values) -> dict[str, Any]:
        found = self.row(asked["TableName"], key_of(asked["Key"]))
        return {} if found is None else {"Item": dict(found)}

    def _batch_get(self, asked: Values) -> dict[str, Any]:
        answers: dict[str, list[Item]] = {}
        for table, wanted in asked["RequestItems"].items():
            found = (self.row(table, key_of(key)) for key in wanted["Keys"])
            answers[table] = [dict(row) for row in found if row is not None]
        return {"Responses": answers, "UnprocessedKeys": {}}

    def _batch_write(self, asked: Values) -> dict[str, Any]:
        for table, requests in asked["RequestItems"].items():
            for request in requests:
                if "PutRequest" in request:
                    item = request["PutRequest"]["Item"]
                    self.tables[table].rows[key_of(item)] = dict(item)
                else:
                    self.tables[table].rows.pop(key_of(request["DeleteRequest"]["Key"]), None)
        return {"UnprocessedItems": {}}

    def _write(self, kind: str, asked: Values) -> dict[str, Any]:
        if not self._holds(kind, asked):
            refusal = {"Error": {"Code": "ConditionalCheckFailedException", "Message": "The condition did not hold"}}
            raise ClientError(refusal, f"{kind}Item")
        after = self._make(kind, asked)
        return {"Attributes": after} if asked.get("ReturnValues") == "ALL_NEW" and after is not None else {}

    def _transact(self, asked: Values) -> dict[str, Any]:
        writes = [next(iter(one.items())) for one in asked["TransactItems"]]
        reasons = [self._reason(kind, one) for kind, one in writes]
        if any(reason["Code"] != "None" for reason in reasons):
            error = {"Code": "TransactionCanceledException", "Message": "Transaction cancelled"}
            raise ClientError({"Error": error, "CancellationReasons": reasons}, "TransactWriteItems")
        for kind, one in writes:
            self._make(kind, one)
        return {}

    def _reason(self, kind: str, one: Values) -> dict[str, Any]:
        if self._holds(kind, one):
            return {"Code": "None"}
        reason: dict[str, Any] = {"Code": "ConditionalCheckFailed", "Message": "The condition did not hold"}
        before = self.row(one["TableName"], _key_asked(kind, one))
        if before is not None and one.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD":
            reason["Item"] = dict(before)
        return reason

    def _holds(self, kind: str, asked: Values) -> bool:
        condition = asked.get("ConditionExpression")
        row = self.row(asked["TableName"], _key_asked(kind, asked)) or {}
        return condition is None or _test(condition)(row, *_names_and_values(asked))

    def _make(self, kind: str, asked: Values) -> Item | None:
        rows, key = self.tables[asked["TableName"]].rows, _key_asked(kind, asked)
        match kind:
            case "Put":
                rows[key] = dict(asked["Item"])
            case "Delete":
                rows.pop(key, None)
            case "Update":
                changed: Item = dict(rows.get(key) or asked["Key"])
                _change(asked["UpdateExpression"])(changed, *_names_and_values(asked))
                rows[key] = changed
        return dict(rows[key]) if kind == "Update" else None

    def _query(self, asked: Values) -> dict[str, Any]:
        table = self.tables[asked["TableName"]]
        by = table.indexes[asked["IndexName"]] if "IndexName" in asked else ("pk", "sk")
        is_wanted, context = _test(asked["KeyConditionExpression"]), _names_and_values(asked)
        found = [row for row in table.rows.values() if all(name in row for name in by) and is_wanted(row, *context)]
        found.sort(key=lambda row: (_comparable(row[by[1]]), key_of(row)), reverse=not asked.get("ScanIndexForward", 1))
        if "ExclusiveStartKey" in asked:
            places = [key_of(row) for row in found]
            found = found[places.index(key_of(asked["ExclusiveStartKey"])) + 1 :]
        limit = asked.get("Limit", len(found) + 1)
        page = found[:limit]
        is_kept = _test(asked["FilterExpression"]) if "FilterExpression" in asked else lambda *_: True
        kept = [dict(row) for row in page if is_kept(row, *context)]
        answer: dict[str, Any] = {"Count": len(kept), "ScannedCount": len(page)}
        answer["Items"] = [] if asked.get("Select") == "COUNT" else kept
        if len(found) > limit:
            answer["LastEvaluatedKey"] = {name: page[-1][name] for name in {"pk", "sk", *by}}
        return answer


def key_of(item: Values) -> Key:
    return item["pk"]["S"], item["sk"]["S"]


def _key_asked(kind: str, asked: Values) -> Key:
    return key_of(asked["Item"] if kind == "Put" else asked["Key"])


def _names_and_values(asked: Values) -> tuple[Values, Values]:
    return asked.get("ExpressionAttributeNames", {}), asked.get("ExpressionAttributeValues", {})


def _comparable(value: Values) -> Any:
    [(kind, content)] = value.items()
    return Decimal(content) if kind == "N" else content


def _is_less(one: Values | None, other: Values | None) -> bool:
    """DynamoDB compares values of one kind only."""
    return (
        one is not None and other is not None and one.keys() == other.keys() and _comparable(one) < _comparable(other)
    )


def _is_equal(one: Values | None, other: Values | None) -> bool:
    return (
        one is not None and other is not None and one.keys() == other.keys() and _comparable(one) == _comparable(other)
    )


COMPARISONS: Mapping[str, Callable[[Values | None, Values | None], bool]] = {
    "=": _is_equal,
    "<>": lambda one, other: not _is_equal(one, other),
    "<": _is_less,
    ">": lambda one, other: _is_less(other, one),
    "<=": lambda one, other: _is_less(one, other) or _is_equal(one, other),
    ">=": lambda one, other: _is_less(other, one) or _is_equal(one, other),
}


@cache
def _test(expression: str) -> Test:
    """A condition, key condition or filter, made ready once."""
    words = _Words(expression)
    test = _read_or(words)
    words.expect_end()
    return test


class _Words:
    """The words of an expression, one after the other."""

    def __init__(self, expression: str) -> None:
        self._words = TOKENS.findall(expression)
        self._place = 0

    def peek(self) -> str:
        return self._words[self._place] if self._place < len(self._words) else ""

    def take(self, *expected: str) -> str:
        word = self.peek()
        if expected and word not in expected:
            raise NotImplementedError(f"{word} where {expected} was expected")
        self._place += 1
        return word

    def expect_end(self) -> None:
        if self.peek():
            raise NotImplementedError(f"{self.peek()} where the end was expected")


def _read_or(words: _Words) -> Test:
    tests = [_read_and(words)]
    while words.peek() == "OR":
        words.take()
        tests.append(_read_and(words))
    return tests[0] if len(tests) == 1 else lambda row, names, values: any(one(row, names, values) for one in tests)


def _read_and(words: _Words) -> Test:
    tests = [_read_one(words)]
    while words.peek() == "AND":
        words.take()
        tests.append(_read_one(words))
    return tests[0] if len(tests) == 1 else lambda row, names, values: all(one(row, names, values) for one in tests)


def _read_one(words: _Words) -> Test:
    if words.peek() == "(":
        words.take()
        inner = _read_or(words)
        words.take(")")
        return inner
    if words.peek() == "NOT":
        words.take()
        negated = _read_one(words)
        return lambda row, names, values: not negated(row, names, values)
    if words.peek() == "size":
        return _read_size(words)
    if words.peek() in FUNCTIONS:
        return _read_function(words)
    return _read_comparison(words)


def _read_function(words: _Words) -> Test:
    function = words.take()
    words.take("(")
    path = words.take()
    if function == "begins_with":
        words.take(",")
        prefix = words.take()
        words.take(")")
        return lambda row, names, values: row[names[path]]["S"].startswith(values[prefix]["S"])
    words.take(")")
    is_wanted = function == "attribute_exists"
    return lambda row, names, _: (names[path] in row) is is_wanted


def _read_size(words: _Words) -> Test:
    """`size (path) < value`, of a set: how many it has; of none there is, nothing is true."""
    words.take("size")
    words.take("(")
    path = words.take()
    words.take(")")
    words.take("<")
    value = words.take()

    def test(row: Item, names: Values, values: Values) -> bool:
        return names[path] in row and len(row[names[path]]["NS"]) < int(values[value]["N"])

    return test


def _read_comparison(words: _Words) -> Test:
    path, comparison = words.take(), words.take(*COMPARISONS, "BETWEEN")
    first = words.take()
    if comparison == "BETWEEN":
        words.take("AND")
        last = words.take()
        return lambda row, names, values: (
            COMPARISONS[">="](row.get(names[path]), values[first])
            and COMPARISONS["<="](row.get(names[path]), values[last])
        )
    compare = COMPARISONS[comparison]
    return lambda row, names, values: compare(row.get(names[path]), values[first])


@cache
def _change(expression: str) -> Change:
    """An update, made ready once."""
    changes = list(_read_changes(_Words(expression)))

    def change(row: Item, names: Values, values: Values) -> None:
        for one in changes:
            one(row, names, values)

    return change


def _read_changes(words: _Words) -> Iterator[Change]:
    while words.peek():
        clause = words.take("SET", "REMOVE", "ADD", "DELETE")
        while True:
            yield _read_change(clause, words)
            if words.peek() != ",":
                break
            words.take()


def _read_change(clause: str, words: _Words) -> Change:
    path = words.take()
    if clause == "REMOVE":
        return lambda row, names, _: _remove(row, names[path])
    if clause == "SET":
        words.take("=")
    value = words.take()
    if value == "if_not_exists":
        return _read_first(path, words)
    if clause == "SET":
        return lambda row, names, values: row.update({names[path]: values[value]})
    act = _add if clause == "ADD" else _delete
    return lambda row, names, values: act(row, names[path], values[value])


def _read_first(path: str, words: _Words) -> Change:
    """`if_not_exists (path, value)`, of the attribute that is set."""
    words.take("(")
    words.take(path)
    words.take(",")
    value = words.take()
    words.take(")")
    return lambda row, names, values: row.update({names[path]: row.get(names[path], values[value])})


def _remove(row: Item, name: str) -> None:
    row.pop(name, None)


def _add(row: Item, name: str, value: Values) -> None:
    [(kind, content)] = value.items()
    before = row.get(name, {kind: "0" if kind == "N" else []})[kind]
    row[name] = {kind: str(Decimal(before) + Decimal(content)) if kind == "N" else sorted({*before, *content})}


def _delete(row: Item, name: str, value: Values) -> None:
    [(kind, content)] = value.items()
    left = sorted(set(row.get(name, {kind: []})[kind]) - set(content))
    row.pop(name, None)
    if left:
        row[name] = {kind: left}
