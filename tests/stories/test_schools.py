"""The platform's staff: schools, keys, contracts, bags, codes; and that a lost answer never sells a bag twice."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pynamodb.exceptions import TransactWriteError

from recado import schools
from recado.access import Caller
from recado.errors import (
    AlreadyExists,
    ContractSuspended,
    IdempotencyKeyReused,
    InvalidRequest,
    NotAllowed,
    NotFound,
)
from recado.rules.credit_bags import Zone
from recado.rules.roles import Role
from recado.tables import ledger, short_codes
from recado.tables.base import Transaction
from recado.tables.ledger import Account, Entry
from recado.tables.schools import Contract, School
from recado.tables.short_codes import Purpose, ShortCode
from tests.faults import Fault, faults

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=3)
OPERATOR = Caller("platform", Role.OPERATOR, "soporte-1", key_id="op")
DIRECTOR = Caller("liceo-1", Role.DIRECTOR, "u-17")
LICEO = School("liceo-1", "Liceo Uno", "CL", "America/Santiago", "44101", Contract.ACTIVE, 1, NOW)

pytestmark = pytest.mark.usefixtures("aws")


def create(school: School = LICEO, *, is_first: bool = True) -> School:
    return schools.create_school(OPERATOR, school, is_first=is_first)


def sell(
    bag: str = "domestic-500", *, request_key: str = "r-1", now: datetime = NOW, is_first: bool = True, **order: Any
) -> Entry:
    asked = schools.read_order(**order) if order else schools.read_order(bag, None, None)
    return schools.sell_bag(OPERATOR, "liceo-1", asked, request_key=request_key, now=now, is_first=is_first)


def available(zone: Zone = Zone.DOMESTIC) -> int:
    account = ledger.find_account("liceo-1", zone)
    assert account is not None
    return account.available


def hold(credits: int, cause: str = "hold#m1#p1", zone: Zone = Zone.DOMESTIC) -> None:  # noqa: A002
    with Transaction() as write:
        ledger.hold(write, "liceo-1", Entry(zone, cause, NOW, "u-17", -credits, credits, 0, {}))


# --- schools ---


def test_a_new_school_has_an_empty_domestic_account_and_none_for_abroad() -> None:  # L13
    create()

    assert schools.get_school(OPERATOR, "liceo-1") == LICEO
    assert ledger.list_accounts("liceo-1") == [Account(Zone.DOMESTIC, 0, 0, 0, "active")]


def test_a_schools_own_code_is_in_the_pool_so_that_replies_find_the_school() -> None:
    create()

    assert short_codes.find_code("CL", "44101") == ShortCode(
        "CL", "44101", "signed_webhook", Purpose.SCHOOLS, "liceo-1"
    )


def test_a_school_without_a_code_of_its_own_adds_none_to_the_pool() -> None:
    create(replace(LICEO, code=""))

    assert short_codes.list_codes("CL") == []


@pytest.mark.parametrize(
    "there",
    [ShortCode("CL", "44101", "sns", Purpose.SESSIONS), ShortCode("CL", "44101", "sns", Purpose.SCHOOLS, "x-2")],
)
def test_a_code_that_serves_otherwise_is_not_given_to_a_school_and_the_school_not_created(there: ShortCode) -> None:
    short_codes.create_code(there)

    with pytest.raises(AlreadyExists) as refused:
        create()

    assert [problem.field for problem in refused.value.fields] == ["/code"]
    assert short_codes.find_code("CL", "44101") == there
    with pytest.raises(NotFound):
        schools.get_school(OPERATOR, "liceo-1")


def test_an_id_that_is_taken_is_refused_and_nothing_changes() -> None:
    create()

    with pytest.raises(AlreadyExists):
        create(replace(LICEO, name="Otro", code="44102", created_at=LATER))

    assert schools.get_school(OPERATOR, "liceo-1") == LICEO
    assert short_codes.find_code("CL", "44102") is None


def test_asking_again_for_the_same_school_finds_it() -> None:
    create()

    assert create(replace(LICEO, created_at=LATER), is_first=False) == LICEO


def test_asking_first_for_a_school_that_is_there_is_refused_even_when_it_says_the_same() -> None:
    create()

    with pytest.raises(AlreadyExists):
        create(replace(LICEO, created_at=LATER))


def test_asking_again_with_other_words_is_refused() -> None:
    create()

    with pytest.raises(AlreadyExists):
        create(replace(LICEO, name="Otro"), is_first=False)


@pytest.mark.parametrize("fault", ["lost", "applied"])
def test_a_school_is_created_though_the_request_or_its_answer_is_lost(fault: Fault) -> None:
    with faults("TransactWriteItems", fault) as attempts:
        created = create()

    assert len(attempts) == 2
    assert created == LICEO
    assert available() == 0


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"id": "Liceo"}, "/id"),
        ({"id": "a"}, "/id"),
        ({"id": "a" * 41}, "/id"),
        ({"id": "a#b"}, "/id"),
        ({"id": "a|b"}, "/id"),
        ({"id": "web"}, "/id"),
        ({"id": "platform"}, "/id"),
        ({"name": " "}, "/name"),
        ({"country": "XX"}, "/country"),
        ({"country": "cl"}, "/country"),
        ({"country": "PE"}, "/code"),  # no short codes there
        ({"time_zone": "America"}, "/time_zone"),
        ({"time_zone": "America/Macondo"}, "/time_zone"),
        ({"time_zone": "../../etc/passwd"}, "/time_zone"),
        ({"time_zone": "right/America/Santiago"}, "/time_zone"),
        ({"time_zone": ""}, "/time_zone"),
        ({"code": "12"}, "/code"),
        ({"code": "COLEGIO"}, "/code"),
        ({"code": "56912345678"}, "/code"),
        ({"shards": 0}, "/shards"),
    ],
)
def test_a_school_with_a_field_that_cannot_be_accepted_is_refused_by_that_field(
    changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        create(replace(LICEO, **changes))

    assert [problem.field for problem in refused.value.fields] == [field]


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "a1"},
        {"id": "a" * 40},
        {"code": "+56912345678"},
        {"time_zone": "UTC"},
        {"time_zone": "America/Argentina/Buenos_Aires"},
        {"country": "DO", "time_zone": "America/Santo_Domingo"},
        {"country": "PE", "code": ""},
    ],
)
def test_schools_at_the_edges_of_what_is_accepted_are_created(changes: dict[str, Any]) -> None:
    school = replace(LICEO, **changes)

    assert create(school) == schools.get_school(OPERATOR, school.id)


def test_schools_are_listed_by_id_page_by_page() -> None:
    for position in (3, 1, 2):
        create(replace(LICEO, id=f"liceo-{position}", code=""))

    first, cursor = schools.list_schools(OPERATOR, limit=2, cursor=None)
    second, end = schools.list_schools(OPERATOR, limit=2, cursor=cursor)

    assert [school.id for school in (*first, *second)] == ["liceo-1", "liceo-2", "liceo-3"]
    assert (cursor, end) == ("liceo-2", None)


def test_a_school_changes_in_what_is_named_and_in_nothing_else() -> None:
    create()

    changed = schools.change_school(
        OPERATOR, "liceo-1", {"name": "Liceo Nuevo", "time_zone": "America/Punta_Arenas"}, NOW
    )

    assert changed == replace(LICEO, name="Liceo Nuevo", time_zone="America/Punta_Arenas")
    assert schools.get_school(OPERATOR, "liceo-1") == changed


def test_a_code_the_school_had_stays_its_own_so_that_late_answers_find_it() -> None:
    create()

    schools.change_school(OPERATOR, "liceo-1", {"code": "44199"}, NOW)

    found = [short_codes.find_code("CL", code) for code in ("44101", "44199")]
    assert [code.school for code in found if code is not None] == ["liceo-1", "liceo-1"]


def test_a_change_that_cannot_be_changes_nothing() -> None:
    create()
    short_codes.create_code(ShortCode("CL", "44102", "sns", Purpose.SESSIONS))
    wrong: list[dict[str, str]] = [{"name": " "}, {"time_zone": "Mars/Base"}, {"code": "x"}, {}]

    for changes in wrong:
        with pytest.raises(InvalidRequest):
            schools.change_school(OPERATOR, "liceo-1", changes, NOW)
    with pytest.raises(AlreadyExists):
        schools.change_school(OPERATOR, "liceo-1", {"name": "Otro", "code": "44102"}, NOW)
    with pytest.raises(NotFound):
        schools.change_school(OPERATOR, "liceo-9", {"name": "Otro"}, NOW)

    assert schools.get_school(OPERATOR, "liceo-1") == LICEO


# --- contracts ---


def test_a_suspended_school_keeps_its_credits_and_cannot_hold_them() -> None:  # L5
    create()
    sell("domestic-500")
    sell("international-100", request_key="r-2")

    schools.set_contract(OPERATOR, "liceo-1", Contract.SUSPENDED, NOW)

    assert (available(), available(Zone.INTERNATIONAL)) == (500, 100)
    for zone in Zone:
        with pytest.raises(ContractSuspended):
            hold(1, zone=zone)


def test_a_school_made_active_again_uses_the_credits_it_had() -> None:  # L5
    create()
    sell("domestic-500")
    schools.set_contract(OPERATOR, "liceo-1", Contract.SUSPENDED, NOW)

    school = schools.set_contract(OPERATOR, "liceo-1", Contract.ACTIVE, NOW)

    hold(500)
    assert school.contract is Contract.ACTIVE
    assert ledger.list_accounts("liceo-1") == [Account(Zone.DOMESTIC, 0, 500, 0, "active")]


def test_a_bag_sold_to_a_suspended_school_is_frozen_too_even_the_first_of_its_zone() -> None:  # L5, L13
    create()
    schools.set_contract(OPERATOR, "liceo-1", Contract.SUSPENDED, NOW)

    sell("international-100")

    assert available(Zone.INTERNATIONAL) == 100
    with pytest.raises(ContractSuspended):
        hold(1, zone=Zone.INTERNATIONAL)


def test_an_account_opened_while_the_school_is_being_suspended_is_suspended_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create()
    list_accounts = ledger.list_accounts
    opened: list[Entry] = []

    def list_then_open(school_id: str) -> list[Account]:
        found = list_accounts(school_id)
        if not opened:  # between what the suspending sees and what it writes, somebody sells the first bag abroad
            opened.append(sell("international-100"))
        return found

    monkeypatch.setattr(ledger, "list_accounts", list_then_open)

    schools.set_contract(OPERATOR, "liceo-1", Contract.SUSPENDED, NOW)

    assert {account.contract for account in list_accounts("liceo-1")} == {"suspended"}
    assert len(list_accounts("liceo-1")) == 2


def test_the_contract_of_a_school_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound):
        schools.set_contract(OPERATOR, "liceo-1", Contract.SUSPENDED, NOW)


# --- bags ---


def test_a_bag_adds_its_credits_and_says_why() -> None:
    create()

    entry = sell("domestic-500")

    assert available() == 500
    assert ledger.list_entries("liceo-1", Zone.DOMESTIC, limit=10)[0] == [entry]
    assert (entry.available, entry.by, entry.at, entry.facts) == (500, "soporte-1", NOW, {"bag": "domestic-500"})
    assert entry.cause.startswith("purchase#")


def test_the_first_international_bag_opens_the_account_for_abroad() -> None:  # L13
    create()

    sell("international-100")

    assert ledger.find_account("liceo-1", Zone.INTERNATIONAL) == Account(Zone.INTERNATIONAL, 100, 0, 0, "active")
    assert available() == 0


def test_credits_that_support_agreed_on_are_sold_without_a_bag_of_the_catalogue() -> None:
    create()

    entry = sell(bag_id=None, zone=Zone.DOMESTIC, credits=777)

    assert available() == 777
    assert entry.facts == {}


@pytest.mark.parametrize(
    ("bag_id", "zone", "credits_asked"),
    [
        (None, None, None),
        ("domestic-501", None, None),
        ("domestic-500", Zone.DOMESTIC, None),
        ("domestic-500", None, 500),
        (None, Zone.DOMESTIC, None),
        (None, None, 500),
        (None, Zone.DOMESTIC, 0),
        (None, Zone.DOMESTIC, -500),
        (None, Zone.DOMESTIC, schools.CREDITS_MAX + 1),
    ],
)
def test_an_order_that_names_no_bag_or_two_is_refused(
    bag_id: str | None, zone: Zone | None, credits_asked: int | None
) -> None:
    with pytest.raises(InvalidRequest):
        schools.read_order(bag_id, zone, credits_asked)


def test_the_same_request_again_sells_nothing_more_and_answers_the_same() -> None:
    create()
    first = sell()

    again = sell(now=NOW + timedelta(minutes=1), is_first=False)

    assert again == first
    assert available() == 500


def test_two_requests_sell_two_bags() -> None:
    create()

    sell(request_key="r-1")
    sell(request_key="r-2")

    assert available() == 1000


def test_a_requests_key_of_days_ago_sells_nothing_and_says_so() -> None:
    create()
    sell()

    with pytest.raises(IdempotencyKeyReused):
        sell(now=LATER, is_first=True)

    assert available() == 500


def test_the_same_request_for_another_bag_sells_nothing_and_says_so() -> None:
    create()
    sell("domestic-500")

    with pytest.raises(IdempotencyKeyReused):
        sell("domestic-2000", is_first=False)

    assert available() == 500


def test_a_school_that_is_not_there_buys_nothing() -> None:
    with pytest.raises(NotFound):
        sell()


@pytest.mark.parametrize("bag", ["domestic-500", "international-100"])
@pytest.mark.parametrize(
    "kinds", [("lost",), ("applied",), ("lost", "applied"), ("applied", "applied"), ("applied", "lost")]
)
def test_credits_are_added_exactly_once_whatever_is_lost(bag: str, kinds: tuple[Fault, ...]) -> None:
    create()
    ledger_of = Zone(bag.partition("-")[0])

    with faults("TransactWriteItems", *kinds) as attempts:
        entry = sell(bag)

    assert attempts[: len(kinds)] == [*kinds]
    assert ledger.list_entries("liceo-1", ledger_of, limit=10)[0] == [entry]
    assert available(ledger_of) == entry.available


def test_a_purchase_that_died_with_its_answer_is_taken_up_and_not_made_again() -> None:
    create()
    with faults("TransactWriteItems", "applied", "lost", "lost", "lost", "lost"), pytest.raises(TransactWriteError):
        sell()
    assert available() == 500  # nobody was told

    entry = sell(now=NOW + timedelta(seconds=31), is_first=False)

    assert entry.at == NOW
    assert available() == 500


def test_a_purchase_that_died_before_it_arrived_is_made_when_asked_again() -> None:
    create()
    with faults("TransactWriteItems", "lost", "lost", "lost", "lost", "lost"), pytest.raises(TransactWriteError):
        sell()
    assert available() == 0

    sell(now=NOW + timedelta(seconds=31), is_first=False)

    assert available() == 500


# --- who may ---


def test_nothing_here_is_open_to_a_school() -> None:
    create()
    order = schools.read_order("domestic-500", None, None)
    acts: list[Callable[[], object]] = [
        lambda: schools.create_school(DIRECTOR, replace(LICEO, id="liceo-2", code=""), is_first=True),
        lambda: schools.get_school(DIRECTOR, "liceo-1"),
        lambda: schools.set_contract(DIRECTOR, "liceo-1", Contract.SUSPENDED, NOW),
        lambda: schools.list_schools(DIRECTOR, limit=10, cursor=None),
        lambda: schools.change_school(DIRECTOR, "liceo-1", {"name": "x"}, NOW),
        lambda: schools.sell_bag(DIRECTOR, "liceo-1", order, request_key="r", now=NOW, is_first=True),
    ]

    for act in acts:
        with pytest.raises(NotAllowed):
            act()

    assert available() == 0
