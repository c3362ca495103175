"""Rows of an in-memory DynamoDB that is asked for one partition of many: its sort keys stand in order."""

from bisect import insort
from collections import defaultdict
from typing import Any, override

from tests.simulation.memory_dynamodb import Item, Key


class PartitionedRows(dict[Key, Item]):
    """The rows of a table, and the sort keys of each partition in order."""

    def __init__(self) -> None:
        super().__init__()
        self.partitions: defaultdict[str, list[str]] = defaultdict(list)

    @override
    def __setitem__(self, key: Key, item: Item) -> None:
        if key not in self:
            insort(self.partitions[key[0]], key[1])
        super().__setitem__(key, item)

    @override
    def pop(self, key: Key, *default: Any) -> Any:
        if key in self:
            self.partitions[key[0]].remove(key[1])
        return super().pop(key, *default)
