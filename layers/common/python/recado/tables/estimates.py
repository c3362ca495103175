"""What an estimate showed, by its digest: read only when a send no longer fits it, to say what has changed since."""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pynamodb.attributes import BinaryAttribute, JSONAttribute, NumberAttribute, UnicodeAttribute

from recado.tables.base import MessagesMeta, Row, put_if

LIFE = timedelta(days=1)
PACKED_BYTES_MAX = 300_000  # under DynamoDB's 400 KB; ten thousand people take some 60 KB

# One person's state, the segments of their text, and the CRC-32 of its number (0: none).
type ShownPerson = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class ShownEstimate:
    """`said` is the seal of what it says and by which ways, before anybody was added."""

    said: str
    by_state: Mapping[str, int]
    credits: Mapping[str, int]
    people: Mapping[str, ShownPerson]


class _EstimateRow(Row):
    class Meta(MessagesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    said = UnicodeAttribute()
    by_state = JSONAttribute()
    credits = JSONAttribute()
    packed = BinaryAttribute(legacy_encoding=False)
    expires_at = NumberAttribute()


def create_estimate(school_id: str, digest: str, shown: ShownEstimate, now: datetime) -> bool:
    """Keeps what was shown; False when it is there already, or too large to be kept."""
    packed = zlib.compress(json.dumps(shown.people, separators=(",", ":")).encode())
    if len(packed) > PACKED_BYTES_MAX:
        return False
    row = _EstimateRow(
        f"S#{school_id}#ESTIMATES",
        digest,
        said=shown.said,
        by_state=dict(shown.by_state),
        credits=dict(shown.credits),
        packed=packed,
        expires_at=int((now + LIFE).timestamp()),
    )
    return put_if(row, _EstimateRow.pk.does_not_exist())


def find_estimate(school_id: str, digest: str) -> ShownEstimate | None:
    try:
        row = _EstimateRow.get(f"S#{school_id}#ESTIMATES", digest, consistent_read=True)
    except _EstimateRow.DoesNotExist:
        return None
    people = {one: (str(a), int(b), int(c)) for one, (a, b, c) in json.loads(zlib.decompress(row.packed)).items()}
    return ShownEstimate(row.said, row.by_state, row.credits, people)
