"""Which recipient a carrier's own id stands for: only for carriers that do not echo our reference (SNS)."""

from collections.abc import Mapping, Sequence

from pynamodb.attributes import NumberAttribute, UnicodeAttribute

from recado.tables.base import MessagesMeta, Row

READ_AT_ONCE = 100  # DynamoDB: keys of one BatchGetItem


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
            batch.save(_LookupRow(_pk(carrier, carrier_id), "l", reference=reference, expires_at=expires_at))


def find_references(carrier: str, carrier_ids: Sequence[str]) -> dict[str, str]:
    """Our references of at most READ_AT_ONCE ids of a carrier's; those that are not there (yet) are left out."""
    keys = [(_pk(carrier, carrier_id), "l") for carrier_id in carrier_ids]
    before = len(_pk(carrier, ""))
    return {row.pk[before:]: row.reference for row in _LookupRow.batch_get(keys, consistent_read=True)}


def _pk(carrier: str, carrier_id: str) -> str:
    return f"LOOKUP#{carrier}#{carrier_id}"
