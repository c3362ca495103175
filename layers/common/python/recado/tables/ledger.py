"""Credits: one account per school and zone, one entry per movement, keyed by its cause.

An entry and its account change in one transaction or not at all; nothing is read, changed and written back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pynamodb.attributes import JSONAttribute, NumberAttribute, UnicodeAttribute, UTCDateTimeAttribute

from recado.errors import ContractSuspended
from recado.rules.credit_bags import Zone
from recado.tables.base import LedgerMeta, Row, Transaction, read_raw

CONTRACT_ACTIVE = "active"
PAGE_ROWS_MAX = 2_000  # of one call: well under the megabyte that DynamoDB answers at once


class AlreadyEntered(Exception):  # not an error: the cause has had its effect
    """The ledger has an entry of this cause: the movement was made before."""


class CreditsShort(Exception):  # a refusal the story turns into NotEnoughCredits with figures
    """An account has fewer credits available than the hold asks for."""


class HoldNotThere(RuntimeError):
    """An account holds less than is to be closed: a defect, never a caller's mistake."""


@dataclass(frozen=True, slots=True)
class Account:
    """Credits of one zone. available + held + captured = all that was ever bought."""

    zone: Zone
    available: int
    held: int
    captured: int
    contract: str
    low_since: datetime | None = None  # since when fewer are available than the school wants to have

    @property
    def bought(self) -> int:
        return self.available + self.held + self.captured


@dataclass(frozen=True, slots=True)
class Entry:
    """One movement: what happened, its cause, and the change to each of the account's three figures."""

    zone: Zone
    cause: str
    at: datetime
    by: str
    available: int
    held: int
    captured: int
    facts: Mapping[str, Any]


class _AccountRow(Row):
    class Meta(LedgerMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    contract = UnicodeAttribute()
    available = NumberAttribute()
    held = NumberAttribute()
    captured = NumberAttribute()
    low_since = UTCDateTimeAttribute(null=True)


class _EntryRow(Row):
    class Meta(LedgerMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    cause = UnicodeAttribute()
    at = UTCDateTimeAttribute()
    by = UnicodeAttribute()
    available = NumberAttribute()
    held = NumberAttribute()
    captured = NumberAttribute()
    facts = JSONAttribute()


def _account_key(school_id: str, zone: Zone) -> tuple[str, str]:
    return f"S#{school_id}#A#{zone.value}", "account"


def time_key(entry: Entry) -> str:
    """An entry's place in the statement: what `before` takes."""
    return f"T#{entry.at:%Y-%m-%dT%H:%M:%S.%fZ}#{entry.cause}"


def _time_bound(moment: datetime | None) -> str | None:
    # An entry of that very moment has a longer key: it is after this bound.
    return f"T#{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}" if moment is not None else None


def find_account(school_id: str, zone: Zone) -> Account | None:
    try:
        row = _AccountRow.get(*_account_key(school_id, zone), consistent_read=True)
    except _AccountRow.DoesNotExist:
        return None
    return Account(zone, int(row.available), int(row.held), int(row.captured), row.contract, row.low_since)


def list_accounts(school_id: str) -> list[Account]:
    found = (find_account(school_id, zone) for zone in Zone)
    return [account for account in found if account is not None]


def find_entry(school_id: str, zone: Zone, cause: str) -> Entry | None:
    try:
        row = _EntryRow.get(f"S#{school_id}#A#{zone.value}", f"E#{cause}", consistent_read=True)
    except _EntryRow.DoesNotExist:
        return None
    return _entry(zone, row)


def list_entries(
    school_id: str,
    zone: Zone,
    *,
    limit: int,
    before: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
) -> tuple[list[Entry], str | None]:
    """A page of an account's movements, newest first, and the cursor of the next page (None: no more).

    From `start` on, and earlier than `end`; `before` is such a cursor.
    """
    oldest, newest = _time_bound(start) or "T#", min(before or "T#~", _time_bound(end) or "T#~")
    if oldest > newest:
        return [], None
    # `between` includes its ends: one row more is read, and the one the cursor names is left out.
    found = _EntryRow.query(
        _account_key(school_id, zone)[0],
        _EntryRow.sk.between(oldest, newest),
        scan_index_forward=False,
        limit=limit + 2,
        page_size=min(limit + 2, PAGE_ROWS_MAX),
        consistent_read=True,
    )
    rows = [row for row in found if row.sk != before]
    return [_entry(zone, row) for row in rows[:limit]], rows[limit - 1].sk if len(rows) > limit else None


def list_entries_of_message(school_id: str, zone: Zone, message_id: str, *, limit: int) -> list[Entry]:
    """The movements of one account that a message caused, oldest first."""
    pk = _account_key(school_id, zone)[0]
    rows = [
        row
        for kind in ("hold", "close")
        for row in _EntryRow.query(
            pk, _EntryRow.sk.startswith(f"E#{kind}#{message_id}#"), limit=limit, consistent_read=True
        )
    ]
    return sorted((_entry(zone, row) for row in rows), key=lambda entry: (entry.at, entry.cause))


def find_first_entry(school_id: str, zone: Zone) -> Entry | None:
    """The oldest movement of an account."""
    pk = _account_key(school_id, zone)[0]
    rows = list(_EntryRow.query(pk, _EntryRow.sk.between("T#", "T#~"), limit=1, page_size=1))
    return _entry(zone, rows[0]) if rows else None


def create_account(write: Transaction, school_id: str, zone: Zone) -> None:
    """Opens an account with nothing in it; refused as `AlreadyEntered` when there is one."""
    row = _AccountRow(*_account_key(school_id, zone), contract=CONTRACT_ACTIVE, available=0, held=0, captured=0)
    write.put(row, _AccountRow.pk.does_not_exist(), lambda _: AlreadyEntered(zone.value))


def open_account(write: Transaction, school_id: str, entry: Entry, *, contract: str, taken: Exception) -> None:
    """Opens a zone's account with its first purchase. Refused as AlreadyEntered, or as `taken` when there is one."""
    _check_purchase(entry)
    _enter(write, school_id, entry)
    row = _AccountRow(
        *_account_key(school_id, entry.zone), contract=contract, available=entry.available, held=0, captured=0
    )
    write.put(row, _AccountRow.pk.does_not_exist(), lambda _: taken)


def set_contract(write: Transaction, school_id: str, zone: Zone, contract: str) -> None:
    """Freezes or frees an account's credits (L5)."""
    row = _AccountRow(*_account_key(school_id, zone))
    write.update(
        row, [_AccountRow.contract.set(contract)], _AccountRow.pk.exists(), lambda _: HoldNotThere("no account")
    )


def mark_low(
    write: Transaction, school_id: str, zone: Zone, *, since: datetime, threshold: int, moved: Exception
) -> None:
    """Says that fewer than `threshold` credits are available; refused as `moved` when that is said, or not so."""
    write.update(
        _AccountRow(*_account_key(school_id, zone)),
        [_AccountRow.low_since.set(since)],
        _AccountRow.pk.exists() & _AccountRow.low_since.does_not_exist() & (_AccountRow.available < threshold),
        lambda _: moved,
    )


def clear_low(write: Transaction, school_id: str, account: Account, *, threshold: int | None, moved: Exception) -> None:
    """Takes that back (without threshold: whatever is available); refused as `moved` when it is not so any more."""
    is_this_crossing = _AccountRow.low_since == account.low_since
    is_enough = _AccountRow.available >= threshold if threshold is not None else None
    write.update(
        _AccountRow(*_account_key(school_id, account.zone)),
        [_AccountRow.low_since.remove()],
        is_this_crossing if is_enough is None else is_this_crossing & is_enough,
        lambda _: moved,
    )


def purchase(write: Transaction, school_id: str, entry: Entry) -> None:
    """Adds a bag's credits. Refused as `AlreadyEntered` when this purchase was made before."""
    _check_purchase(entry)
    _enter(write, school_id, entry)
    write.update(
        _AccountRow(*_account_key(school_id, entry.zone)),
        [_AccountRow.available.add(entry.available)],
        _AccountRow.pk.exists(),
        lambda _: HoldNotThere("no account"),
    )


def hold(write: Transaction, school_id: str, entry: Entry) -> None:
    """Moves credits from available to held. Refused: AlreadyEntered, ContractSuspended, CreditsShort."""
    _check_hold(entry)
    _enter(write, school_id, entry)
    write.update(
        _AccountRow(*_account_key(school_id, entry.zone)),
        [_AccountRow.available.add(entry.available), _AccountRow.held.add(entry.held)],
        (_AccountRow.contract == CONTRACT_ACTIVE) & (_AccountRow.available >= entry.held),
        _why_no_hold,
    )


def close_hold(write: Transaction, school_id: str, entry: Entry) -> None:
    """Closes a hold once: captured + released = held. Refused as `AlreadyEntered` when it was closed before."""
    _check_closing(entry)
    _enter(write, school_id, entry)
    write.update(
        _AccountRow(*_account_key(school_id, entry.zone)),
        [
            _AccountRow.held.add(entry.held),
            _AccountRow.captured.add(entry.captured),
            _AccountRow.available.add(entry.available),
        ],
        _AccountRow.held >= -entry.held,
        lambda _: HoldNotThere(entry.cause),
    )


def replace_hold(write: Transaction, school_id: str, closing: Entry, opening: Entry) -> None:
    """Closes one hold with nothing captured and takes another, as one change of the account (no two on one row).

    Refused: AlreadyEntered, ContractSuspended, CreditsShort; the first hold then stays.
    """
    _check_hold(opening)
    _check_closing(closing)
    if closing.zone is not opening.zone or closing.captured:
        raise RuntimeError("a hold is exchanged within its zone, with nothing captured")
    _enter(write, school_id, opening)
    _enter(write, school_id, closing)
    change = closing.available + opening.available
    write.update(
        _AccountRow(*_account_key(school_id, opening.zone)),
        [_AccountRow.available.add(change), _AccountRow.held.add(closing.held + opening.held)],
        (_AccountRow.contract == CONTRACT_ACTIVE)
        & (_AccountRow.available >= -change)
        & (_AccountRow.held >= -closing.held),
        _why_no_hold,
    )


def _enter(write: Transaction, school_id: str, entry: Entry) -> None:
    facts: dict[str, Any] = {
        "cause": entry.cause,
        "at": entry.at,
        "by": entry.by,
        "available": entry.available,
        "held": entry.held,
        "captured": entry.captured,
        "facts": dict(entry.facts),
    }
    pk = f"S#{school_id}#A#{entry.zone.value}"
    # The row by cause is the one that makes it happen once; the row by time is for reading the statement.
    write.put(
        _EntryRow(pk, f"E#{entry.cause}", **facts), _EntryRow.pk.does_not_exist(), lambda _: AlreadyEntered(entry.cause)
    )
    write.put(
        _EntryRow(pk, time_key(entry), **facts),
        _EntryRow.pk.does_not_exist(),
        lambda _: AlreadyEntered(entry.cause),
    )


def _check_purchase(entry: Entry) -> None:
    if entry.available <= 0 or entry.held or entry.captured:
        raise RuntimeError("a purchase adds credits and nothing else")


def _check_hold(entry: Entry) -> None:
    if entry.held <= 0 or entry.available != -entry.held or entry.captured:
        raise RuntimeError("a hold moves credits from available to held")


def _check_closing(entry: Entry) -> None:
    if entry.held >= 0 or min(entry.available, entry.captured) < 0 or entry.available + entry.held + entry.captured:
        raise RuntimeError("what is captured and released is what was held")


def _why_no_hold(row: dict[str, Any] | None) -> Exception:
    if row is not None and read_raw(_AccountRow.contract, row) != CONTRACT_ACTIVE:
        return ContractSuspended()
    return CreditsShort()


def _entry(zone: Zone, row: _EntryRow) -> Entry:
    return Entry(zone, row.cause, row.at, row.by, int(row.available), int(row.held), int(row.captured), row.facts)
