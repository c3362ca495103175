"""How much of each cap is used: one row a cap and subject, with a counter for each window that is not over.

Counted under the condition that no window passes the cap, in one write: two at once never take the same place.
"""

from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import batched
from operator import and_

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import PynamoDBException
from pynamodb.expressions.condition import Condition

from recado.tables.base import RoutesMeta, Row, Transaction, read_raw, update_if

BATCH_GET_MAX = 100  # DynamoDB's limit


class NotGivenBack(Exception):
    """What was counted stays so, or may: the row could not be written. What went wrong is the cause."""


class Overtaken(Exception):  # not an error: another claim came first
    """The latest claim is not the one that was seen; `latest` is."""

    def __init__(self, latest: str | None) -> None:
        super().__init__("overtaken")
        self.latest = latest


_USES = "uses"
_CLAIMS = "claims"


class _UsesRow(Row):
    """Beside these: `w<first step>`, the uses within the window that begins with that step."""

    class Meta(RoutesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    expires_at = NumberAttribute(null=True)

    @classmethod
    def find_raw(cls, pk: str) -> dict[str, dict[str, str]]:
        """With the counters, which are no attributes of the class."""
        answer = cls._get_connection().get_item(pk, range_key=_USES, consistent_read=True)
        return answer.get("Item") or {}


class _ClaimsRow(Row):
    class Meta(RoutesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    session_id = UnicodeAttribute(null=True)
    expires_at = NumberAttribute(null=True)


def add_uses(
    limit: str,
    subject: str,
    amount: int,
    *,
    maximum: int,
    windows: Sequence[int],
    past: Iterable[int],
    expires_at: int,
) -> bool:
    """Counts a use in every window that holds it and forgets past ones; False when one of them would pass `maximum`.

    Repeated by the SDK after a lost answer it counts twice: rather too much than too little.
    """
    if amount > maximum:  # a window that nobody has counted in would fulfil the condition
        return False
    counters = [_window(first) for first in windows]
    has_room: Condition = reduce(and_, (one.does_not_exist() | (one <= maximum - amount) for one in counters))
    actions = [
        _UsesRow.expires_at.set(expires_at),
        *(counter.add(amount) for counter in counters),
        *(_window(first).remove() for first in past),
    ]
    return update_if(_UsesRow(_pk(limit, subject), _USES), actions, has_room)


def take_back_uses(limit: str, subject: str, amount: int, *, windows: Sequence[int]) -> bool:
    """Takes back what was counted in these windows; False when it is not there any more. Raises NotGivenBack."""
    counters = [_window(first) for first in windows]
    is_there: Condition = reduce(and_, (one >= amount for one in counters))
    try:
        return update_if(_UsesRow(_pk(limit, subject), _USES), [one.add(-amount) for one in counters], is_there)
    except PynamoDBException as error:
        raise NotGivenBack from error


def find_uses(limit: str, subject: str) -> dict[int, int]:
    """The uses of each window, by its first step, consistently."""
    raw = _UsesRow.find_raw(_pk(limit, subject))
    return {int(name[1:]): int(value["N"]) for name, value in raw.items() if name.startswith("w")}


def list_latest_claims(holders: Iterable[str]) -> dict[str, str | None]:
    """The session that claimed last for each holder (a source and a handset), consistently; None: none of late."""
    latest: dict[str, str | None] = dict.fromkeys(holders)
    for batch in batched(sorted(latest), BATCH_GET_MAX, strict=False):
        for row in _ClaimsRow.batch_get([(_pk(_CLAIMS, one), _CLAIMS) for one in batch], consistent_read=True):
            latest[row.pk.removeprefix(_pk(_CLAIMS, ""))] = row.session_id
    return latest


def note_claim(write: Transaction, holder: str, session_id: str, *, seen: str | None, expires_at: int) -> None:
    """Notes a claim in its own transaction. Raises Overtaken unless the latest claim is the one that was seen."""
    is_seen = _ClaimsRow.session_id.does_not_exist() if seen is None else _ClaimsRow.session_id == seen
    changes = [_ClaimsRow.session_id.set(session_id), _ClaimsRow.expires_at.set(expires_at)]
    row = _ClaimsRow(_pk(_CLAIMS, holder), _CLAIMS)
    write.update(row, changes, is_seen, lambda raw: Overtaken(read_raw(_ClaimsRow.session_id, raw)))


def _pk(limit: str, subject: str) -> str:
    return f"CAP#{limit}#{subject}"


def _window(first: int) -> NumberAttribute:
    return NumberAttribute(attr_name=f"w{first}")
