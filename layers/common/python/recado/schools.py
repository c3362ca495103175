"""What the platform's staff do: schools, contracts and bags. Nothing here is open to a school itself.

It must never return credits (L6), nor touch a sandbox by its own id: a sandbox follows its school.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from recado import credit_statement, credits, events, idempotency, log, sandboxes  # noqa: A004  # the school's word
from recado.access import Caller
from recado.credit_statement import Line, Question
from recado.credits import BagRequest, Balance
from recado.errors import AlreadyExists, FieldProblem, IdempotencyKeyReused, InvalidRequest, NotAllowed, NotFound
from recado.events import NewEvent
from recado.rules import school_records
from recado.rules.credit_bags import Zone, find_bag
from recado.rules.event_types import EventType
from recado.rules.roles import Role
from recado.settings import SETTINGS
from recado.tables import ledger, short_codes
from recado.tables import schools as table
from recado.tables.base import Transaction
from recado.tables.ledger import AlreadyEntered, Entry
from recado.tables.schools import Contract, School
from recado.tables.short_codes import Purpose, ShortCode

CREDITS_MAX = 100_000_000  # of one bag: a slip of the finger, not a limit of the ledger
ALIGNMENTS_MAX = 5
REQUESTS_MAX = 100


@dataclass(frozen=True, slots=True)
class Order:
    """A bag of the catalogue, or as many credits as support agreed on with the school (L7, L13)."""

    zone: Zone
    credits: int
    bag_id: str | None


class _Moved(Exception):  # a signal between two steps here
    """The account or the contract is no longer as it was read."""


def check_caller(caller: Caller) -> None:
    """Raises NotAllowed for everybody but the platform's staff; every act below asks it too."""
    if caller.role is not Role.OPERATOR:
        raise NotAllowed


# --- schools and their contracts ----------------------------------------------------------------------------


def create_school(caller: Caller, school: School, *, is_first: bool) -> School:
    """A new school with its domestic account. Raises InvalidRequest, AlreadyExists.

    `is_first`: nobody asked for this before; else a school that is there, and says the same, is the one asked for.
    """
    check_caller(caller)
    _check_record(school)

    # 1. Is it there already? Then it is the one asked for, or the id is taken.
    found = table.find_school(school.id)
    if found is not None:
        return _the_one_asked_for(found, school, is_first=is_first)

    # 2. Its own code, so that what families answer finds the school. Before the school: a code that is taken is
    #    refused, and a code that was added for a school that then does not come stays reserved for its id.
    if school.code:
        _reserve_code(school)

    # 3. The school and the account its bags go to.
    try:
        with Transaction() as write:
            table.create_school(write, school, taken=AlreadyExists("A school of this id is there already"))
            ledger.create_account(write, school.id, Zone.DOMESTIC)
            _check_code(write, school)
    except AlreadyExists:
        found = table.find_school(school.id)
        if found is None:
            raise  # it was its code that somebody removed just now
        return _the_one_asked_for(found, school, is_first=is_first)
    return school


def get_school(caller: Caller, school_id: str) -> School:
    """Raises NotFound."""
    check_caller(caller)
    return _school(school_id)


def list_schools(caller: Caller, *, limit: int, cursor: str | None) -> tuple[list[School], str | None]:
    """A page of the schools, by id, and the cursor of the next one (None: no more). Sandboxes are not listed."""
    check_caller(caller)
    return table.list_schools(limit=limit, after=cursor)


def change_school(caller: Caller, school_id: str, changes: Mapping[str, str], now: datetime) -> School:
    """Changes a school's name, time zone or code ("": one that schools share). Its sandbox follows in name and zone.

    A code it had stays reserved for it: families go on answering the texts that came from there.
    Raises NotFound, InvalidRequest, AlreadyExists for a code that serves otherwise.
    """
    check_caller(caller)
    before = _school(school_id)
    changed = replace(before, **changes)  # type: ignore[arg-type]  # three of its texts
    if not changes:
        raise _wrong("/", "empty", "Nothing to change: name, time_zone or code")
    _check_record(changed)

    # 1. The new code first: one that is taken is refused, and nothing has changed.
    if changes.get("code"):
        _reserve_code(changed)

    # 2. The school; then its sandbox, if it has one. What families still answer to a code that schools share may be
    #    for it, for a while.
    leaves_shared = {"shared_until": now} if changes.get("code") and not before.code else {}
    with Transaction() as write:
        table.change_school(write, school_id, {**changes, **leaves_shared}, missing=NotFound("There is no such school"))
        if changes.get("code"):
            _check_code(write, changed)
    followed = {name: value for name, value in changes.items() if name != "code"}
    for one in _school_and_sandbox(school_id)[1:]:
        if followed:
            with Transaction() as write:
                table.change_school(write, one, sandboxes.named(followed), missing=NotFound())
    return _school(school_id)


def set_contract(caller: Caller, school_id: str, contract: Contract, now: datetime) -> School:
    """Suspends a school or makes it active again: its credits freeze and thaw, none is lost (L5). Raises NotFound.

    Its sandbox follows.
    """
    check_caller(caller)
    _school(school_id)
    for one in _school_and_sandbox(school_id):
        _set_contract(one, contract, now)
    return _school(school_id)


# --- bags ---------------------------------------------------------------------------------------------------


def read_order(bag_id: str | None, zone: Zone | None, credits: int | None) -> Order:  # noqa: A002
    """What is bought: a bag by its id, or credits of a zone. Raises InvalidRequest for neither or both."""
    if bag_id is not None:
        bag = find_bag(bag_id)
        if zone is not None or credits is not None:
            raise _wrong("/bag", "ambiguous", "A bag by its id, or a zone and credits; not both")
        if bag is None:
            raise _wrong("/bag", "unknown", "No such bag in the catalogue")
        return Order(bag.zone, bag.credits, bag.id)
    if zone is None or credits is None:
        raise _wrong("/bag", "missing", "A bag by its id, or a zone and credits")
    if not 0 < credits <= CREDITS_MAX:
        raise _wrong("/credits", "range", f"1 to {CREDITS_MAX}")
    return Order(zone, credits, None)


def sell_bag(caller: Caller, school_id: str, order: Order, *, request_key: str, now: datetime, is_first: bool) -> Entry:
    """Adds a bag's credits, once however often it is asked: its entry is keyed by the request (L5, L6).

    Raises NotFound; IdempotencyKeyReused for a request's key that bought something more than a day ago.
    """
    check_caller(caller)
    _school(school_id)
    entry = Entry(
        zone=order.zone,
        cause=f"purchase#{idempotency.fingerprint(request_key)}",
        at=now,
        by=caller.subject,
        available=order.credits,
        held=0,
        captured=0,
        facts={"bag": order.bag_id} if order.bag_id else {},
    )

    # The credits; the first bag of a zone opens its account (L13). Made already: it is our own write whose answer was
    # lost, a repeat, or a key of long ago.
    try:
        _purchase(school_id, entry)
    except AlreadyEntered:
        found = ledger.find_entry(school_id, order.zone, entry.cause)
        is_ours = found is not None and replace(found, by=entry.by) == replace(entry, at=found.at)
        if found is None or not is_ours or (is_first and found.at != now):
            raise IdempotencyKeyReused from None
        entry = found
    credits.note_balance(school_id, now)
    return entry


def list_balances(caller: Caller, school_id: str) -> list[Balance]:
    """A school's accounts. Raises NotFound."""
    check_caller(caller)
    _school(school_id)
    return credits.balances_of(school_id)


def list_statement(
    caller: Caller, school_id: str, question: Question, *, limit: int, cursor: str | None, now: datetime
) -> tuple[list[Line], str | None]:
    """A page of a school's movements, newest first, and the cursor of the next one. Raises NotFound."""
    check_caller(caller)
    _school(school_id)
    return credit_statement.page_of(school_id, question, limit=limit, cursor=cursor, now=now)


def list_requests(caller: Caller, school_id: str) -> list[BagRequest]:
    """The bags a school asked for lately, newest first. Raises NotFound."""
    check_caller(caller)
    _school(school_id)
    return credits.list_requests(school_id, limit=REQUESTS_MAX)


# --- the steps ----------------------------------------------------------------------------------------------


def _set_contract(school_id: str, contract: Contract, now: datetime) -> None:
    # 1. The contract, the accounts' copies of it, and the portal's notice. One that is so already is not told again.
    if _any_school(school_id).contract is not contract:
        event_type = EventType.CONTRACT_ACTIVE if contract is Contract.ACTIVE else EventType.CONTRACT_SUSPENDED
        told = NewEvent(event_type, f"contract#{contract.value}#{now.isoformat()}", now, {})
        try:
            events.commit(school_id, told, partial(_change_contract, school_id, contract, now))
        except _Moved:
            log.outcome("contract_was_so_already", school=school_id)  # somebody else's, or our own with its answer lost
        else:
            log.outcome("contract_changed", school=school_id, contract=contract.value)

    # 2. An account that was opened at that very moment; or one left behind by somebody who died here.
    _align_accounts(school_id)


def _school(school_id: str) -> School:
    """A school by an id that somebody named: never a sandbox."""
    if not school_records.SCHOOL_ID.fullmatch(school_id):
        raise NotFound("There is no such school")
    return _any_school(school_id)


def _any_school(school_id: str) -> School:
    found = table.find_school(school_id)
    if found is None:
        raise NotFound("There is no such school")
    return found


def _school_and_sandbox(school_id: str) -> list[str]:
    """The school first, then its sandbox if it has one."""
    sandbox = school_records.sandbox_of(school_id)
    return [school_id, sandbox] if table.find_school(sandbox) is not None else [school_id]


def _check_record(school: School) -> None:
    problems = school_records.find_problems(
        school.id, school.name, school.country, school.time_zone, school.code, school.shards
    )
    if not problems and school.code and school.country not in SETTINGS.country_codes:
        problems.append(FieldProblem("/code", "no_codes", "There are no short codes in this country"))
    if problems:
        raise InvalidRequest(fields=problems)


def _the_one_asked_for(found: School, asked: School, *, is_first: bool) -> School:
    # The same moment: our own write, tried again by the SDK after its answer was lost.
    is_repeat = not is_first or found.created_at == asked.created_at
    if (
        not is_repeat
        or replace(found, created_at=asked.created_at, contract=asked.contract, contract_since=None) != asked
    ):
        raise AlreadyExists("A school of this id is there already")
    return found


def _reserve_code(school: School) -> None:
    code = ShortCode(school.country, school.code, SETTINGS.carrier, Purpose.SCHOOLS, school.id)
    if short_codes.create_code(code):
        return
    found = short_codes.find_code(school.country, school.code)
    if found is None or (found.purpose, found.school) != (Purpose.SCHOOLS, school.id):
        raise _code_taken()


def _check_code(write: Transaction, school: School) -> None:
    """The school's own code is still its own when the school says so: it may be removed while nobody sends from it."""
    if school.code:
        short_codes.check_is_schools(write, school.country, school.code, school.id, refused=_code_taken())


def _code_taken() -> AlreadyExists:
    return AlreadyExists(fields=[FieldProblem("/code", "taken", "The code is in the pool already")])


def _purchase(school_id: str, entry: Entry) -> None:
    figures = {
        "zone": entry.zone.value,
        "credits": entry.available,
        "bag": entry.facts.get("bag"),
        "cause": entry.cause,
    }
    told = NewEvent(EventType.BAG_PURCHASED, f"{entry.zone.value}#{entry.cause}", entry.at, figures)
    for _ in range(ALIGNMENTS_MAX):
        try:
            events.commit(school_id, told, partial(_enter_purchase, school_id, entry))
        except _Moved:
            continue  # somebody else's first bag, or the contract changed, this moment
        return
    raise RuntimeError("the account does not come to rest")


def _enter_purchase(school_id: str, entry: Entry, write: Transaction) -> None:
    if ledger.find_account(school_id, entry.zone) is not None:
        ledger.purchase(write, school_id, entry)
        return
    contract = _school(school_id).contract
    ledger.open_account(write, school_id, entry, contract=contract.value, taken=_Moved())
    table.check_contract(write, school_id, contract, moved=_Moved())


def _change_contract(school_id: str, contract: Contract, now: datetime, write: Transaction) -> None:
    table.set_contract(write, school_id, contract, now, refused=_Moved())
    for account in ledger.list_accounts(school_id):
        ledger.set_contract(write, school_id, account.zone, contract.value)


def _align_accounts(school_id: str) -> None:
    """Gives every account the school's contract: one opened while the contract changed was not in the list above."""
    for _ in range(ALIGNMENTS_MAX):
        contract = _any_school(school_id).contract
        behind = [one for one in ledger.list_accounts(school_id) if one.contract != contract.value]
        if not behind:
            return
        try:
            with Transaction() as write:
                # Without this check a contract that changed just now would leave accounts with the one before.
                table.check_contract(write, school_id, contract, moved=_Moved())
                for account in behind:
                    ledger.set_contract(write, school_id, account.zone, contract.value)
        except _Moved:
            continue
    raise RuntimeError("the contract does not come to rest")


def _wrong(field: str, code: str, detail: str) -> InvalidRequest:
    return InvalidRequest(fields=[FieldProblem(field, code, detail)])
