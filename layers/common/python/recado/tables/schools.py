"""A school's own row: its contract, country, time zone and the code its texts come from."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pynamodb.attributes import NumberAttribute, UnicodeAttribute, UTCDateTimeAttribute

from recado.tables.base import PeopleMeta, Row, Transaction


class Contract(StrEnum):
    ACTIVE = "active"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True)
class School:
    """`shards`: over how many partitions its people are spread (1 for an ordinary school)."""

    id: str
    name: str
    country: str
    time_zone: str
    code: str
    contract: Contract
    shards: int
    created_at: datetime
    contract_since: datetime | None = None  # None: since the school was created


class SchoolRow(Row):
    class Meta(PeopleMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    name = UnicodeAttribute()
    country = UnicodeAttribute()
    time_zone = UnicodeAttribute()
    code = UnicodeAttribute()
    contract = UnicodeAttribute()
    shards = NumberAttribute()
    created_at = UTCDateTimeAttribute()
    contract_since = UTCDateTimeAttribute(null=True)


def find_school(school_id: str) -> School | None:
    try:
        row = SchoolRow.get(f"S#{school_id}", "CONTRACT", consistent_read=True)
    except SchoolRow.DoesNotExist:
        return None
    return School(
        school_id,
        row.name,
        row.country,
        row.time_zone,
        row.code,
        Contract(row.contract),
        int(row.shards),
        row.created_at,
        row.contract_since,
    )


def create_school(write: Transaction, school: School, taken: Exception) -> None:
    row = SchoolRow(
        f"S#{school.id}",
        "CONTRACT",
        name=school.name,
        country=school.country,
        time_zone=school.time_zone,
        code=school.code,
        contract=school.contract.value,
        shards=school.shards,
        created_at=school.created_at,
    )
    write.put(row, SchoolRow.pk.does_not_exist(), lambda _: taken)


def set_contract(write: Transaction, school_id: str, contract: Contract, at: datetime, refused: Exception) -> None:
    """Changes the contract at a moment; refused when there is no such school, or the contract is that already."""
    write.update(
        SchoolRow(f"S#{school_id}", "CONTRACT"),
        [SchoolRow.contract.set(contract.value), SchoolRow.contract_since.set(at)],
        SchoolRow.pk.exists() & (SchoolRow.contract != contract.value),
        lambda _: refused,
    )


def check_contract(write: Transaction, school_id: str, contract: Contract, moved: Exception) -> None:
    """Makes a transaction depend on the contract being what was read."""
    condition = SchoolRow.contract == contract.value
    write.check(SchoolRow, f"S#{school_id}", "CONTRACT", condition, lambda _: moved)
