"""A school's credits: who sees them, when a balance is low, and how a bag is asked for."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from pynamodb.exceptions import TransactWriteError

from recado import credits, messages, schools  # noqa: A004  # the school's word
from recado.access import Caller
from recado.errors import ContractSuspended, IdempotencyKeyReused, InvalidRequest, NotAllowed, RefundRefused
from recado.rules.credit_bags import CATALOGUE, Zone
from recado.rules.event_types import EventType
from recado.rules.roles import Role
from recado.rules.school_settings import SchoolSettings
from recado.tables import events, ledger, school_settings
from recado.tables.base import Transaction
from recado.tables.events import Event
from recado.tables.ledger import Account, Entry
from recado.tables.schools import Contract
from tests import worlds
from tests.faults import Fault, faults
from tests.worlds import DIRECTOR, NOON, SCHOOL, TEACHER, TestClock

LATER = NOON + timedelta(minutes=5)
OPERATOR = Caller("platform", Role.OPERATOR, "soporte-1")

pytestmark = pytest.mark.usefixtures("aws")


def set_threshold(domestic: int | None, international: int | None = None) -> None:
    wanted = {Zone.DOMESTIC: domestic, Zone.INTERNATIONAL: international}
    found = school_settings.find_settings(SCHOOL)
    settings = SchoolSettings(
        low_balance={zone: count for zone, count in wanted.items() if count is not None},
        version=found.version + 1,
        changed_by="directora",
        changed_at=NOON,
    )
    assert school_settings.save_settings(SCHOOL, settings)


def hold(credits_held: int, number: int = 1, zone: Zone = Zone.DOMESTIC) -> None:
    entry = Entry(zone, f"hold#m{number}#p", NOON, "directora", -credits_held, credits_held, 0, {})
    with Transaction() as write:
        ledger.hold(write, SCHOOL, entry)


def release(credits_held: int, number: int = 1, captured: int = 0) -> None:
    entry = Entry(Zone.DOMESTIC, f"close#m{number}#p", NOON, "", credits_held - captured, -credits_held, captured, {})
    with Transaction() as write:
        ledger.close_hold(write, SCHOOL, entry)


def sell(bag: str = "domestic-500", key: str = "r-1", at: datetime = LATER) -> Entry:
    order = schools.read_order(bag, None, None)
    return schools.sell_bag(OPERATOR, SCHOOL, order, request_key=key, now=at, is_first=True)


def told(*types: EventType) -> list[Event]:
    wanted = types or (EventType.BALANCE_LOW, EventType.BALANCE_RESTORED)
    return [event for event in events.list_events(SCHOOL, after=0, limit=100) if event.type in wanted]


def low_since(zone: Zone = Zone.DOMESTIC) -> datetime | None:
    account = ledger.find_account(SCHOOL, zone)
    assert account is not None
    return account.low_since


# --- balances ---


def test_a_school_that_never_bought_abroad_has_no_account_there() -> None:  # L13
    worlds.create_school(domestic=10)

    (balance,) = credits.list_balances(DIRECTOR)

    assert balance.account == Account(Zone.DOMESTIC, 10, 0, 0, "active")
    assert balance.threshold is None


def test_what_was_bought_is_what_is_available_held_and_captured_together() -> None:
    worlds.create_school(domestic=10)
    hold(6, 1)
    hold(2, 2)
    release(6, 1, captured=5)

    (balance,) = credits.list_balances(DIRECTOR)

    assert (balance.account.available, balance.account.held, balance.account.captured) == (3, 2, 5)
    assert balance.account.bought == 10


def test_only_those_in_charge_see_balances_ask_for_bags_or_for_a_refund() -> None:  # L2
    for caller in (TEACHER, OPERATOR, replace(TEACHER, role=Role.GUARDIAN, person_id="g1")):
        with pytest.raises(NotAllowed):
            credits.list_balances(caller)
        with pytest.raises(NotAllowed):
            credits.request_bag(caller, "domestic-500", request_key="k", now=NOON, is_first=True)
        with pytest.raises(NotAllowed):
            credits.refuse_refund(caller)


def test_a_refund_is_always_refused() -> None:  # L6
    with pytest.raises(RefundRefused, match="not refundable"):
        credits.refuse_refund(DIRECTOR)


def test_everybody_of_a_school_may_read_the_catalogue() -> None:  # L7
    assert credits.list_bags(TEACHER) == CATALOGUE


# --- a low balance ---


def test_a_balance_that_falls_below_the_threshold_is_told_once_L5() -> None:
    worlds.create_school(domestic=100)
    set_threshold(90)
    hold(10)
    credits.note_balance(SCHOOL, NOON)
    assert told() == []  # at the threshold it is not below it

    hold(1, 2)
    for minute in range(3):
        credits.note_balance(SCHOOL, NOON + timedelta(minutes=minute))

    (event,) = told()
    assert (event.type, event.at) == (EventType.BALANCE_LOW, NOON)
    assert event.data == {"zone": "domestic", "available": 89, "threshold": 90}
    assert low_since() == NOON


def test_a_balance_that_comes_back_is_told_once_and_a_second_fall_is_told_again() -> None:
    worlds.create_school(domestic=100)
    set_threshold(90)
    hold(20, 1)
    credits.note_balance(SCHOOL, NOON)

    release(20, 1)
    credits.note_balance(SCHOOL, LATER)
    credits.note_balance(SCHOOL, LATER)
    hold(30, 2)
    credits.note_balance(SCHOOL, LATER + timedelta(minutes=1))

    assert [(event.type, event.data["available"]) for event in told()] == [
        (EventType.BALANCE_LOW, 80),
        (EventType.BALANCE_RESTORED, 100),
        (EventType.BALANCE_LOW, 70),
    ]


def test_a_bag_that_is_sold_restores_the_balance_by_itself_L7() -> None:
    worlds.create_school(domestic=10)
    set_threshold(50)
    credits.note_balance(SCHOOL, NOON)

    sell("domestic-500")

    assert [event.type for event in told()] == [EventType.BALANCE_LOW, EventType.BALANCE_RESTORED]
    assert low_since() is None


def test_a_bag_too_small_leaves_the_balance_low_and_tells_nothing_more() -> None:
    worlds.create_school(domestic=10)
    set_threshold(1_000)
    credits.note_balance(SCHOOL, NOON)

    sell("domestic-500")

    assert [event.type for event in told()] == [EventType.BALANCE_LOW]
    assert low_since() == NOON


def test_each_zone_is_low_by_itself_and_one_without_an_account_never_is_L13() -> None:
    worlds.create_school(domestic=100, international=5)
    set_threshold(50, 10)

    credits.note_balance(SCHOOL, NOON)

    assert [event.data["zone"] for event in told()] == ["international"]


def test_without_an_account_nothing_is_low() -> None:  # L4: a school without bags hears nothing of credits
    worlds.create_school(domestic=None)
    set_threshold(50, 10)

    credits.note_balance(SCHOOL, NOON)

    assert told() == []


def test_a_threshold_that_is_taken_away_ends_what_was_low() -> None:
    worlds.create_school(domestic=10)
    set_threshold(50)
    credits.note_balance(SCHOOL, NOON)

    set_threshold(None)
    credits.note_balance(SCHOOL, LATER)

    assert [event.data["threshold"] for event in told()] == [50, None]
    assert low_since() is None


@pytest.mark.parametrize("kinds", [("lost",), ("applied",), ("lost", "applied"), ("applied", "applied")])
def test_a_crossing_is_told_once_whatever_is_lost(kinds: tuple[Fault, ...]) -> None:
    worlds.create_school(domestic=10)
    set_threshold(50)

    with faults("TransactWriteItems", *kinds):
        credits.note_balance(SCHOOL, NOON)
    credits.note_balance(SCHOOL, LATER)

    assert [event.at for event in told()] == [NOON]


def test_whoever_died_before_telling_is_made_up_for_by_whoever_asks_next() -> None:
    worlds.create_school(domestic=10)
    set_threshold(50)
    with faults("TransactWriteItems", "lost", "lost", "lost"), pytest.raises(TransactWriteError):
        credits.note_balance(SCHOOL, NOON)
    assert (told(), low_since()) == ([], None)

    credits.note_balance(SCHOOL, LATER)

    assert [event.at for event in told()] == [LATER]


def test_two_who_notice_at_the_same_moment_tell_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    worlds.create_school(domestic=10)
    set_threshold(50)
    find_account = ledger.find_account
    between: list[str] = []

    def find_then_lose(school_id: str, zone: Zone) -> Account | None:
        found = find_account(school_id, zone)
        if not between:  # between our reading and our writing the other one notices too
            between.append("noticed")
            credits.note_balance(SCHOOL, NOON - timedelta(seconds=1))
        return found

    monkeypatch.setattr(ledger, "find_account", find_then_lose)

    credits.note_balance(SCHOOL, NOON)

    assert len(told()) == 1


def test_a_balance_that_rises_between_reading_and_writing_is_not_told_as_low(monkeypatch: pytest.MonkeyPatch) -> None:
    worlds.create_school(domestic=10)
    set_threshold(50)
    find_account = ledger.find_account
    between: list[str] = []

    def find_then_sell(school_id: str, zone: Zone) -> Account | None:
        found = find_account(school_id, zone)
        if not between:
            between.append("sold")
            worlds.buy(SCHOOL, Zone.DOMESTIC, 500)
        return found

    monkeypatch.setattr(ledger, "find_account", find_then_sell)

    credits.note_balance(SCHOOL, NOON)

    assert (told(), low_since()) == ([], None)


def test_money_moves_on_whether_or_not_a_balance_is_low(caplog: pytest.LogCaptureFixture) -> None:
    clock = TestClock()
    worlds.create_school(domestic=10)
    set_threshold(9)
    ids = worlds.add_guardians(3)

    worlds.create(worlds.alert(audience={"who": [], "people": ids}), clock)
    credits.note_balance(SCHOOL, clock())

    assert worlds.figures() == (7, 3, 0)
    assert [event.data["available"] for event in told()] == [7]
    (line,) = [record.__dict__["facts"] for record in caplog.records if record.getMessage() == "balance_low"]
    assert line == {"school": SCHOOL, "zone": "domestic", "available": 7, "threshold": 9}


def test_a_school_with_too_many_events_at_once_still_spends_its_credits(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    worlds.create_school(domestic=10)
    set_threshold(50)
    monkeypatch.setattr(events, "get_counter", lambda _: events.Counter(7))  # never the number that is there

    credits.note_balance(SCHOOL, NOON)

    assert (told(), low_since()) == ([], None)
    assert "balance_not_noted" in caplog.text


# --- what a message moved ---


def test_a_messages_movements_are_found_by_the_message_of_both_zones_and_no_others_L13() -> None:
    clock = TestClock()
    worlds.create_school(domestic=10, international=10)
    home, abroad = worlds.add_guardian(1), worlds.add_guardian(2, number="+18095551234")
    message = worlds.create(
        worlds.alert(send_at=NOON + timedelta(days=1), audience={"who": [], "people": [home, abroad]}), clock
    )
    other = worlds.create(worlds.alert(audience={"who": [], "people": [home]}), clock, key="key-2")
    clock.move(minutes=1)
    messages.cancel(DIRECTOR, message.id, clock())

    entries = credits.statement_of_message(SCHOOL, message.id)

    assert [(entry.zone.value, entry.cause.partition("#")[0]) for entry in entries] == [
        ("domestic", "hold"),
        ("international", "hold"),
        ("domestic", "close"),
        ("international", "close"),
    ]
    assert sum(entry.available for entry in entries) == 0
    assert len(credits.statement_of_message(SCHOOL, other.id)) == 1
    assert credits.statement_of_message(SCHOOL, message.id[:-1]) == []  # the beginning of an id is another id
    assert credits.statement_of_message("another", message.id) == []  # invariant 7


# --- bags ---


def test_asking_for_a_bag_is_told_and_moves_nothing_L7() -> None:
    worlds.create_school(domestic=10)

    asked = credits.request_bag(DIRECTOR, "international-100", request_key="k", now=NOON, is_first=True)

    assert (asked.bag.id, asked.at, asked.by) == ("international-100", NOON, "directora")
    assert worlds.figures() == (10, 0, 0)
    (event,) = told(EventType.BAG_REQUESTED)
    assert event.data == {"bag": "international-100", "zone": "international", "credits": 100, "by": "directora"}
    assert schools.list_requests(OPERATOR, SCHOOL) == [asked]


def test_asking_again_with_the_same_key_is_the_same_wish() -> None:
    worlds.create_school()
    first = credits.request_bag(DIRECTOR, "domestic-500", request_key="k", now=NOON, is_first=True)

    again = credits.request_bag(DIRECTOR, "domestic-500", request_key="k", now=LATER, is_first=False)

    assert again == first
    assert len(told(EventType.BAG_REQUESTED)) == 1


@pytest.mark.parametrize("kinds", [("lost",), ("applied",), ("applied", "applied")])
def test_a_wish_is_kept_once_whatever_is_lost(kinds: tuple[Fault, ...]) -> None:
    worlds.create_school()

    with faults("TransactWriteItems", *kinds):
        credits.request_bag(DIRECTOR, "domestic-500", request_key="k", now=NOON, is_first=True)

    assert len(told(EventType.BAG_REQUESTED)) == 1


def test_a_key_of_days_ago_or_for_another_bag_asks_for_nothing() -> None:
    worlds.create_school()
    credits.request_bag(DIRECTOR, "domestic-500", request_key="k", now=NOON, is_first=True)

    with pytest.raises(IdempotencyKeyReused):
        credits.request_bag(DIRECTOR, "domestic-500", request_key="k", now=NOON + timedelta(days=3), is_first=True)
    with pytest.raises(IdempotencyKeyReused):
        credits.request_bag(DIRECTOR, "domestic-2000", request_key="k", now=LATER, is_first=False)

    assert len(told(EventType.BAG_REQUESTED)) == 1


@pytest.mark.parametrize("bag", ["", "gold", "domestic-501", "DOMESTIC-500", "domestic-500\0"])
def test_a_bag_that_is_not_in_the_catalogue_cannot_be_asked_for(bag: str) -> None:
    worlds.create_school()

    with pytest.raises(InvalidRequest):
        credits.request_bag(DIRECTOR, bag, request_key="k", now=NOON, is_first=True)

    assert told(EventType.BAG_REQUESTED) == []


def test_a_suspended_school_buys_and_keeps_what_it_bought_L5() -> None:
    worlds.create_school(domestic=10)
    schools.set_contract(OPERATOR, SCHOOL, Contract.SUSPENDED, NOON)

    sell("domestic-500")
    sell("international-100", key="r-2")

    assert [(one.account.contract, one.account.available) for one in credits.list_balances(DIRECTOR)] == [
        ("suspended", 510),
        ("suspended", 100),
    ]
    assert [event.data["bag"] for event in told(EventType.BAG_PURCHASED)] == ["domestic-500", "international-100"]


def test_a_sale_is_told_once_however_often_it_is_asked() -> None:
    worlds.create_school(domestic=10)
    entry = sell()

    order = schools.read_order("domestic-500", None, None)
    schools.sell_bag(OPERATOR, SCHOOL, order, request_key="r-1", now=LATER + timedelta(minutes=1), is_first=False)

    (event,) = told(EventType.BAG_PURCHASED)
    assert event.data == {"zone": "domestic", "credits": 500, "bag": "domestic-500", "cause": entry.cause}
    assert event.at == LATER


def test_two_first_bags_of_a_zone_sold_at_the_same_moment_are_both_there_L13(monkeypatch: pytest.MonkeyPatch) -> None:
    worlds.create_school()
    find_account = ledger.find_account
    between: list[str] = []

    def find_then_lose(school_id: str, zone: Zone) -> Account | None:
        found = find_account(school_id, zone)
        if not between and zone is Zone.INTERNATIONAL:  # another one opens the account before we do
            between.append("sold")
            sell("international-100", key="theirs")
        return found

    monkeypatch.setattr(ledger, "find_account", find_then_lose)

    sell("international-1000", key="ours")

    account = find_account(SCHOOL, Zone.INTERNATIONAL)
    assert account is not None
    assert account.available == 1_100
    assert len(told(EventType.BAG_PURCHASED)) == 2


# --- the contract ---


def test_a_hold_is_not_exchanged_for_a_larger_one_while_the_contract_is_suspended_L5() -> None:
    worlds.create_school(domestic=10)
    hold(2)
    schools.set_contract(OPERATOR, SCHOOL, Contract.SUSPENDED, NOON)
    closing = Entry(Zone.DOMESTIC, "close#m1#p", LATER, "", 2, -2, 0, {})
    opening = Entry(Zone.DOMESTIC, "hold#m1#q", LATER, "directora", -3, 3, 0, {})

    with pytest.raises(ContractSuspended), Transaction() as write:
        ledger.replace_hold(write, SCHOOL, closing, opening)

    assert worlds.figures() == (8, 2, 0)


def test_an_account_is_never_given_a_contract_that_has_changed_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    worlds.create_school(domestic=10)
    schools.set_contract(OPERATOR, SCHOOL, Contract.SUSPENDED, NOON)
    with Transaction() as write:  # an account that somebody's death left behind
        ledger.set_contract(write, SCHOOL, Zone.DOMESTIC, "active")
    list_accounts = ledger.list_accounts
    between: list[str] = []

    def list_then_activate(school_id: str) -> list[Account]:
        found = list_accounts(school_id)
        if not between:  # between what the aligning read and what it writes, the school is made active
            between.append("active")
            schools.set_contract(OPERATOR, SCHOOL, Contract.ACTIVE, LATER)
        return found

    monkeypatch.setattr(ledger, "list_accounts", list_then_activate)
    transactions: list[str] = []
    set_contract = ledger.set_contract

    def note(write: Transaction, school_id: str, zone: Zone, contract: str) -> None:
        transactions.append(contract)
        set_contract(write, school_id, zone, contract)

    monkeypatch.setattr(ledger, "set_contract", note)

    schools.set_contract(OPERATOR, SCHOOL, Contract.SUSPENDED, NOON)

    (account,) = list_accounts(SCHOOL)
    assert account.contract == "active"
    assert transactions == ["active", "suspended"]  # the second was refused: the contract it was read from is gone


def test_a_contract_that_changes_is_told_and_says_since_when_L5() -> None:
    worlds.create_school()

    suspended = schools.set_contract(OPERATOR, SCHOOL, Contract.SUSPENDED, NOON)
    again = schools.set_contract(OPERATOR, SCHOOL, Contract.SUSPENDED, LATER)
    active = schools.set_contract(OPERATOR, SCHOOL, Contract.ACTIVE, LATER)

    assert (suspended.contract_since, again.contract_since, active.contract_since) == (NOON, NOON, LATER)
    found = told(EventType.CONTRACT_SUSPENDED, EventType.CONTRACT_ACTIVE)
    assert [(event.type.value, event.at) for event in found] == [
        ("contract.suspended", NOON),
        ("contract.active", LATER),
    ]


@pytest.mark.parametrize("kinds", [("lost",), ("applied",), ("lost", "applied"), ("applied", "applied")])
def test_a_contract_is_suspended_once_whatever_is_lost(kinds: tuple[Fault, ...]) -> None:
    worlds.create_school()

    with faults("TransactWriteItems", *kinds):
        school = schools.set_contract(OPERATOR, SCHOOL, Contract.SUSPENDED, NOON)

    assert (school.contract, school.contract_since) == (Contract.SUSPENDED, NOON)
    assert len(told(EventType.CONTRACT_SUSPENDED)) == 1
    assert [account.contract for account in ledger.list_accounts(SCHOOL)] == ["suspended"]
