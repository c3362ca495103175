"""A school's credits: who sees them, and what a statement is made of."""

from datetime import UTC, datetime

import pytest

from recado import credits  # noqa: A004  # the school's word
from recado.access import Caller
from recado.errors import InvalidRequest, NotAllowed, RefundRefused
from recado.rules.credit_bags import CATALOGUE, Zone
from recado.rules.roles import Role
from recado.tables import ledger
from recado.tables.base import Transaction
from recado.tables.ledger import Entry

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DIRECTOR = Caller("liceo-1", Role.DIRECTOR, "u-17")
TEACHER = Caller("liceo-1", Role.TEACHER, "u-18")
OPERATOR = Caller("platform", Role.OPERATOR, "soporte-1")

pytestmark = pytest.mark.usefixtures("aws")


def bought(count: int, zone: Zone = Zone.DOMESTIC, school_id: str = "liceo-1") -> list[Entry]:
    entries = [Entry(zone, f"purchase#{number}", NOW, "soporte-1", 10, 0, 0, {}) for number in range(count)]
    with Transaction() as write:
        ledger.create_account(write, school_id, zone)
    for entry in entries:
        with Transaction() as write:
            ledger.purchase(write, school_id, entry)
    return entries


def test_a_school_that_never_bought_abroad_has_no_account_there() -> None:  # L13
    bought(1)

    assert [account.zone for account in credits.list_balances(DIRECTOR)] == [Zone.DOMESTIC]
    assert credits.list_statement(DIRECTOR, Zone.INTERNATIONAL, limit=10, cursor=None) == ([], None)


def test_entries_of_one_moment_are_each_on_one_page_of_the_statement() -> None:
    entries = bought(5)

    seen: list[str] = []
    cursor = None
    for _ in range(3):
        page, cursor = credits.list_statement(DIRECTOR, Zone.DOMESTIC, limit=2, cursor=cursor)
        seen += [entry.cause for entry in page]

    assert cursor is None
    assert sorted(seen) == [entry.cause for entry in entries]


def test_a_page_that_is_exactly_full_is_the_last_one() -> None:
    bought(4)

    _, cursor = credits.list_statement(DIRECTOR, Zone.DOMESTIC, limit=4, cursor=None)

    assert cursor is None


def test_another_schools_cursor_shows_nothing_of_that_school() -> None:  # invariant 7
    bought(3, school_id="liceo-2")
    bought(1)
    other = Caller("liceo-2", Role.DIRECTOR, "u-1")
    _, cursor = credits.list_statement(other, Zone.DOMESTIC, limit=1, cursor=None)
    assert cursor is not None

    page, _ = credits.list_statement(DIRECTOR, Zone.DOMESTIC, limit=10, cursor=cursor)

    assert {entry.cause for entry in page} <= {"purchase#0"}


def test_a_cursor_never_reads_anything_but_the_statement() -> None:
    bought(1)

    with pytest.raises(InvalidRequest):
        credits.list_statement(DIRECTOR, Zone.DOMESTIC, limit=10, cursor="YWNjb3VudA")  # "account"


def test_a_refund_is_always_refused() -> None:  # L6
    with pytest.raises(RefundRefused, match="not refundable"):
        credits.refuse_refund(DIRECTOR)


def test_only_those_in_charge_see_balances_and_statement_or_ask_for_a_refund() -> None:
    for caller in (TEACHER, OPERATOR):
        with pytest.raises(NotAllowed):
            credits.list_balances(caller)
        with pytest.raises(NotAllowed):
            credits.list_statement(caller, Zone.DOMESTIC, limit=10, cursor=None)
        with pytest.raises(NotAllowed):
            credits.refuse_refund(caller)


def test_everybody_of_a_school_may_read_the_catalogue() -> None:  # L7
    assert credits.list_bags(TEACHER) == CATALOGUE
