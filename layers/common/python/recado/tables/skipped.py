"""Whom a plan skips, and why: in lots of at most 100, written once with the plan, read for reports (L11)."""

from collections.abc import Iterator, Sequence

from pynamodb.attributes import JSONAttribute, NumberAttribute, UnicodeAttribute

from recado.rules.audience import Skipped, SkipReason
from recado.tables.base import MessagesMeta, Row

LOT = 100


class _SkippedRow(Row):
    class Meta(MessagesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    skipped = JSONAttribute()
    expires_at = NumberAttribute()


def _pk(school_id: str, message_id: str, plan: str) -> str:
    return f"S#{school_id}#M#{message_id}#{plan}#skipped"


def create_lots(
    school_id: str, message_id: str, plan: str, first: int, lots: Sequence[Sequence[Skipped]], *, expires_at: int
) -> None:
    """Writes lots from number `first` on; unconditional, as a plan's pages are: only this attempt writes here."""
    with _SkippedRow.batch_write() as batch:
        for number, lot in enumerate(lots, start=first):
            packed = [[one.person_id, one.reason.value] for one in lot]
            batch.save(
                _SkippedRow(_pk(school_id, message_id, plan), f"{number:06}", skipped=packed, expires_at=expires_at)
            )


def list_lots(
    school_id: str, message_id: str, plan: str, *, first: int = 0, lots: int
) -> Iterator[tuple[int, tuple[Skipped, ...]]]:
    """The lots of a plan that has so many, from number `first` on; a plan that was tried and left may have more."""
    if first >= lots:
        return
    condition = _SkippedRow.sk.between(f"{first:06}", f"{lots - 1:06}")
    for row in _SkippedRow.query(_pk(school_id, message_id, plan), condition, consistent_read=True):
        yield int(row.sk), tuple(Skipped(person_id, SkipReason(reason)) for person_id, reason in row.skipped)
