"""Which recipient a carrier's own id stands for: only for carriers that do not echo our reference (SNS)."""

from collections.abc import Mapping

from pynamodb.attributes import NumberAttribute, UnicodeAttribute

from recado.tables.base import MessagesMeta, Row


class _LookupRow(Row):
    class Meta(MessagesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    reference = UnicodeAttribute()
    expires_at = NumberAttribute()


def create_lookups(carrier: str, references: Mapping[str, str], *, expires_at: int) -> None:
    """Writes carrier id → our reference. Unconditional: a carrier's id is new, and its retry writes the same."""
    with _LookupRow.batch_write() as batch:
        for carrier_id, reference in references.items():
            batch.save(_LookupRow(f"LOOKUP#{carrier}#{carrier_id}", "l", reference=reference, expires_at=expires_at))


def find_reference(carrier: str, carrier_id: str) -> str | None:
    """Our reference of a carrier's id; None when it is not there (yet)."""
    try:
        return _LookupRow.get(f"LOOKUP#{carrier}#{carrier_id}", "l", consistent_read=True).reference
    except _LookupRow.DoesNotExist:
        return None
