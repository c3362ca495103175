"""What a school's portal has been told of the recipients of a lot: some pages of a message that lie next to each other.

Written only under its version, together with the events that tell it: each change is told once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import batched

from pynamodb.attributes import JSONAttribute, NumberAttribute, UnicodeAttribute, UTCDateTimeAttribute

from recado.tables.base import MessagesMeta, Row, Transaction, update_if

LOT = 8  # pages: their letters fit into one kilobyte, and their events into one transaction
KEPT = timedelta(days=8)  # after the last change: a message's receipts are followed for three days
BATCH_GET_MAX = 100  # DynamoDB's limit


@dataclass(frozen=True, slots=True)
class Lot:
    """Pages `first` to `first + LOT - 1` of a plan of a message."""

    school_id: str
    message_id: str
    plan: str
    first: int

    @property
    def pages(self) -> range:
        return range(self.first, self.first + LOT)


@dataclass(frozen=True, slots=True)
class Told:
    """`letters` by page (rules/told_states.py); a page that is not there has been told nothing of.

    `asked_until`: a job that is to look has been put, and has not begun before then.
    """

    letters: Mapping[int, str] = field(default_factory=dict)
    version: int = 0
    asked_until: datetime | None = None


class _ToldRow(Row):
    class Meta(MessagesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    letters: JSONAttribute = JSONAttribute(null=True)
    version = NumberAttribute(default=0)
    asked_until = UTCDateTimeAttribute(null=True)
    expires_at = NumberAttribute()


def lot_of(school_id: str, message_id: str, plan: str, page: int) -> Lot:
    """The lot that a page is in."""
    return Lot(school_id, message_id, plan, page - page % LOT)


def list_told(lots: Sequence[Lot]) -> dict[Lot, Told]:
    """What has been told of each of these lots, consistently."""
    found: dict[Lot, Told] = dict.fromkeys(lots, Told())
    by_key = {_key(lot): lot for lot in lots}
    for keys in batched(by_key, BATCH_GET_MAX, strict=False):
        for row in _ToldRow.batch_get(list(keys), consistent_read=True):
            letters = {int(page): letters for page, letters in (row.letters or {}).items()}
            found[by_key[row.pk, row.sk]] = Told(letters, int(row.version), row.asked_until)
    return found


def ask(lot: Lot, now: datetime, *, until: datetime) -> bool:
    """Says that a job will look at this lot after `until`; False when one will anyhow."""
    is_unasked = _ToldRow.asked_until.does_not_exist() | (_ToldRow.asked_until <= now)
    actions = [_ToldRow.asked_until.set(until), _ToldRow.expires_at.set(_end(now))]
    return update_if(_ToldRow(*_key(lot)), actions, is_unasked)


def save_told(
    write: Transaction, lot: Lot, letters: Mapping[int, str], now: datetime, *, was: Told, moved: Exception
) -> None:
    """Notes what is told in the transaction that tells it. Refused as `moved` when somebody else told something."""
    actions = [
        _ToldRow.letters.set({str(page): told for page, told in sorted(letters.items())}),
        _ToldRow.version.set(was.version + 1),
        _ToldRow.expires_at.set(_end(now)),
    ]
    untold = _ToldRow.version.does_not_exist()
    write.update(
        _ToldRow(*_key(lot)), actions, _ToldRow.version == was.version if was.version else untold, lambda _: moved
    )


def lots_of(pages: Iterable[tuple[str, str, str, int]]) -> list[Lot]:
    """The lots of pages, each once. A page is a school, a message, a plan and a number."""
    return list(dict.fromkeys(lot_of(*page) for page in pages))


def _end(now: datetime) -> int:
    return int((now + KEPT).timestamp())


def _key(lot: Lot) -> tuple[str, str]:
    return f"S#{lot.school_id}#M#{lot.message_id}#{lot.plan}#{lot.first}", "told"
