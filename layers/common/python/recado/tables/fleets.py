"""Handsets whose plan bars short codes (C3): they receive and cannot answer. One row a number, kept by the operator."""

from collections.abc import Iterable
from itertools import batched

from pynamodb.attributes import UnicodeAttribute

from recado.tables.base import RoutesMeta, Row, put_if

BATCH_GET_MAX = 100  # DynamoDB's limit


class _FleetRow(Row):
    class Meta(RoutesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)


def create_member(country: str, number: str) -> bool:
    """Lists a handset as one that cannot answer; False when it is listed already."""
    return put_if(_FleetRow(_pk(country), number), _FleetRow.pk.does_not_exist())


def list_members(country: str, numbers: Iterable[str]) -> frozenset[str]:
    """Those of the numbers that cannot answer."""
    keys = [(_pk(country), number) for number in sorted(set(numbers))]
    return frozenset(
        row.sk
        for batch in batched(keys, BATCH_GET_MAX, strict=False)
        for row in _FleetRow.batch_get(list(batch), consistent_read=True)
    )


def _pk(country: str) -> str:
    return f"FLEET#{country}"
