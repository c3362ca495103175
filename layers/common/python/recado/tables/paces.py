"""Until when each sender's time is given away: a row a carrier and number, written under the version that was read."""

from datetime import datetime

from pynamodb.attributes import NumberAttribute, UnicodeAttribute, UTCDateTimeAttribute
from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.condition import Condition

from recado.rules.pace import Booked
from recado.tables.base import RoutesMeta, Row, update_if


class _PaceRow(Row):
    class Meta(RoutesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    version = NumberAttribute(default=0)
    until = UTCDateTimeAttribute(null=True)
    urgent_until = UTCDateTimeAttribute(null=True)


def read_booked(carrier: str, sender: str) -> tuple[Booked, int]:
    """What is given away of a sender's time, consistently, and the row's version (0: there is none)."""
    try:
        row = _PaceRow.get(*_key(carrier, sender), consistent_read=True)
    except DoesNotExist:
        return Booked(), 0
    return Booked(row.until, row.urgent_until), int(row.version)


def save_booked(carrier: str, sender: str, booked: Booked, *, was: int) -> bool:
    """Writes it over the version that was read; False when somebody else booked meanwhile.

    A lost answer looks like that too: then a piece of the sender's time stays unused, and nobody is said twice.
    """
    values: dict[str, datetime | None] = {"until": booked.until, "urgent_until": booked.urgent_until}
    actions = [_PaceRow.version.set(was + 1)]
    actions += [getattr(_PaceRow, name).set(value) for name, value in values.items() if value is not None]
    expected: Condition = _PaceRow.version == was if was else _PaceRow.pk.does_not_exist()
    return update_if(_PaceRow(*_key(carrier, sender)), actions, expected)


def _key(carrier: str, sender: str) -> tuple[str, str]:
    return f"PACE#{carrier}#{sender}", "p"
