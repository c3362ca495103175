"""Handsets whose plan bars short codes (C3): they receive and cannot answer. One row a number or range of numbers.

A row is nothing but its key: writing it twice changes nothing, so many are written without a condition.
"""

from collections.abc import Iterable
from itertools import batched

from pynamodb.attributes import UnicodeAttribute

from recado.rules.fleet_rows import FleetEntry
from recado.tables.base import RoutesMeta, Row, delete_if, put_if

BATCH_GET_MAX = 100  # DynamoDB's limit
BETWEEN = "-"  # the ends of a range


class _FleetRow(Row):
    class Meta(RoutesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)


def create_entry(country: str, entry: FleetEntry) -> bool:
    """Lists a number or range as one that cannot answer; False when exactly this is listed already."""
    return put_if(_row(country, entry), _FleetRow.pk.does_not_exist())


def delete_entry(country: str, entry: FleetEntry) -> bool:
    """Takes exactly this entry off the list; False when it is not there."""
    return delete_if(_row(country, entry), _FleetRow.pk.exists())


def save_entries(country: str, entries: Iterable[FleetEntry]) -> None:
    """Lists them all, 25 a request."""
    with _FleetRow.batch_write() as batch:
        for entry in entries:
            batch.save(_row(country, entry))


def list_members(country: str, numbers: Iterable[str]) -> frozenset[str]:
    """Those of the numbers that are listed by themselves."""
    keys = [(_numbers_pk(country), number) for number in sorted(set(numbers))]
    return frozenset(
        row.sk
        for batch in batched(keys, BATCH_GET_MAX, strict=False)
        for row in _FleetRow.batch_get(list(batch), consistent_read=True)
    )


def list_ranges(country: str) -> list[FleetEntry]:
    """Every range of a country: hundreds at most."""
    return [_entry(row) for row in _FleetRow.query(_ranges_pk(country), consistent_read=True)]


def list_entries(country: str, *, limit: int, after: FleetEntry | None = None) -> tuple[list[FleetEntry], bool]:
    """The next entries, ranges first and then numbers, in their order; and whether there are more."""
    found: list[FleetEntry] = []
    if after is None or after.last is not None:
        found = _next(_ranges_pk(country), after, limit + 1)
        after = None
    if len(found) <= limit:
        found += _next(_numbers_pk(country), after, limit + 1 - len(found))
    return found[:limit], len(found) > limit


def _next(pk: str, after: FleetEntry | None, limit: int) -> list[FleetEntry]:
    condition = _FleetRow.sk > _sk(after) if after else None
    return [_entry(row) for row in _FleetRow.query(pk, condition, consistent_read=True, limit=limit)]


def _row(country: str, entry: FleetEntry) -> _FleetRow:
    return _FleetRow(_numbers_pk(country) if entry.last is None else _ranges_pk(country), _sk(entry))


def _entry(row: _FleetRow) -> FleetEntry:
    first, _, last = row.sk.partition(BETWEEN)
    return FleetEntry(first, last or None)


def _sk(entry: FleetEntry) -> str:
    return entry.first if entry.last is None else f"{entry.first}{BETWEEN}{entry.last}"


def _numbers_pk(country: str) -> str:
    return f"FLEET#{country}"


def _ranges_pk(country: str) -> str:
    return f"FLEET#{country}#RANGES"
