"""A school's own row: its contract, country, time zone and the code its texts come from."""

from collections.abc import Iterable, Mapping
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
    """`shards`: over how many partitions its people are spread (1 for an ordinary school).

    `shared_until`: until when its texts came from codes that schools share, before it had its own; None: never, or yet.
    """

    id: str
    name: str
    country: str
    time_zone: str
    code: str
    contract: Contract
    shards: int
    created_at: datetime
    contract_since: datetime | None = None  # None: since the school was created
    shared_until: datetime | None = None


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
    shared_until = UTCDateTimeAttribute(null=True)


class _ListedRow(Row):
    """One for each school, in one partition, so that they can be listed by id. A sandbox has none."""

    class Meta(PeopleMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)


LISTED = "SCHOOLS"


def find_school(school_id: str) -> School | None:
    try:
        return _school(SchoolRow.get(f"S#{school_id}", "CONTRACT", consistent_read=True))
    except SchoolRow.DoesNotExist:
        return None


def list_schools(*, limit: int, after: str | None = None) -> tuple[list[School], str | None]:
    """A page of the schools, by id, and the cursor of the next page (None: no more). `limit`: at most 100."""
    condition = _ListedRow.sk > after if after else None
    ids = [row.sk for row in _ListedRow.query(LISTED, condition, consistent_read=True, limit=limit + 1)]
    keys = [(f"S#{school_id}", "CONTRACT") for school_id in ids[:limit]]
    found = [_school(row) for row in SchoolRow.batch_get(keys, consistent_read=True)]
    return sorted(found, key=lambda school: school.id), ids[limit - 1] if len(ids) > limit else None


def create_school(write: Transaction, school: School, taken: Exception, *, is_listed: bool = True) -> None:
    """Writes a new school; `is_listed=False` for a sandbox, which is nobody's to look up."""
    if is_listed:
        write.put(_ListedRow(LISTED, school.id), _ListedRow.pk.does_not_exist(), lambda _: taken)
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


def change_school(
    write: Transaction, school_id: str, changes: Mapping[str, str | datetime], missing: Exception
) -> None:
    """Sets `name`, `time_zone`, `code` or `shared_until`; whoever comes last wins, field by field."""
    actions = [getattr(SchoolRow, name).set(value) for name, value in changes.items()]
    write.update(SchoolRow(f"S#{school_id}", "CONTRACT"), actions, SchoolRow.pk.exists(), lambda _: missing)


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


def check_code_is_another(write: Transaction, school_id: str, code: str, refused: Exception) -> None:
    """Makes a transaction depend on the school not sending from this code."""
    condition = SchoolRow.pk.does_not_exist() | (SchoolRow.code != code)
    write.check(SchoolRow, f"S#{school_id}", "CONTRACT", condition, lambda _: refused)


def list_schools_by_id(school_ids: Iterable[str]) -> list[School]:
    """Those of at most 100 ids that exist, sorted by id."""
    keys = [(f"S#{school_id}", "CONTRACT") for school_id in sorted(set(school_ids))]
    found = [_school(row) for row in SchoolRow.batch_get(keys, consistent_read=True)] if keys else []
    return sorted(found, key=lambda school: school.id)


def _school(row: SchoolRow) -> School:
    return School(
        id=row.pk.removeprefix("S#"),
        name=row.name,
        country=row.country,
        time_zone=row.time_zone,
        code=row.code,
        contract=Contract(row.contract),
        shards=int(row.shards),
        created_at=row.created_at,
        contract_since=row.contract_since,
        shared_until=row.shared_until,
    )
