"""How many requests a school made in a window: one row, only ever added to; the sum it answers decides."""

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import PynamoDBException

from recado.tables.base import RoutesMeta, Row


class NotCounted(Exception):
    """The row could not be added to, or the answer was lost; what went wrong is the cause."""


class _CountRow(Row):
    class Meta(RoutesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    requests = NumberAttribute(null=True)
    expires_at = NumberAttribute(null=True)


def add_request(school_id: str, window: str, *, expires_at: int) -> int:
    """Counts one request and answers how many there were with it. Raises NotCounted.

    Without a condition: an addition commutes, and the first makes the row. One that is repeated by the SDK after a lost
    answer counts twice, which costs nobody more than a request.
    """
    row = _CountRow(f"REQUESTS#{school_id}", window)
    try:
        row.update(actions=[_CountRow.requests.add(1), _CountRow.expires_at.set(expires_at)])
    except PynamoDBException as error:
        raise NotCounted from error
    return int(row.requests or 0)
