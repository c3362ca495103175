"""The billing file and the totals of handset messages: page by page, over shards, days and ties (C6)."""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recado import rating_reports
from recado.access import Caller
from recado.errors import InvalidRequest, NotAllowed, NotFound
from recado.rating_reports import RatingFile, Totals
from recado.rules import tariffs as rules
from recado.rules.rating_sums import add_up
from recado.rules.roles import Role
from recado.tables import ratings
from recado.tables.base import Transaction
from recado.tables.ratings import DAY_SHARDS, RatedReply
from tests.conftest import client
from tests.session_worlds import answer, create_codes, deliver, open_session
from tests.worlds import DIRECTOR, NOON, FakeCarrier, TestClock

OPERATOR = Caller("platform", Role.OPERATOR, "ana")
LATER = datetime(2026, 12, 1, 12, tzinfo=UTC)
FIRST, LAST = "2026-11-22", "2026-11-24"
PESO = rules.rate_by(rules.TARIFFS["DO"][0])
DAY_BEGINS = datetime(2026, 11, 23, 4, tzinfo=UTC)


@pytest.fixture(autouse=True)
def tables(aws: None) -> None:
    create_codes()


def rated(reply_id: str, at: datetime, *, country: str = "DO", is_priced: bool = True) -> RatedReply:
    reply = RatedReply("signed_webhook", reply_id, country, "+18095550101", "44101", at, PESO if is_priced else None)
    with Transaction() as write:
        ratings.create_rating(write, reply, seen_before=AssertionError("twice"))
    return reply


def pages(limit: int, first: str = FIRST, last: str = LAST, country: str = "DO") -> Iterator[RatingFile]:
    cursor = None
    for _ in range(100):
        page = rating_reports.list_file(OPERATOR, country, first, last, limit=limit, cursor=cursor, now=LATER)
        yield page
        cursor = page.following
        if cursor is None:
            return
    raise AssertionError("no end")


def totals(limit: int = 1000, first: str = FIRST, last: str = LAST, now: datetime = LATER) -> list[Totals]:
    found, cursor = [], None
    for _ in range(100):
        found.append(rating_reports.get_totals(OPERATOR, "DO", first, last, limit=limit, cursor=cursor, now=now))
        cursor = found[-1].following
        if cursor is None:
            return found
    raise AssertionError("no end")


def a_few_days() -> list[RatedReply]:
    """Of three local days: each shard, some in the same moment, some without a tariff, in the order of the file."""
    moments = [DAY_BEGINS + timedelta(hours=hours) for hours in (-20, -1, 0, 0, 0, 5, 23, 24, 24, 40)]
    made = [
        rated(f"r-{number:02}{shard}", moment, is_priced=number % 3 > 0)
        for number, moment in reversed(list(enumerate(moments)))
        for shard in reversed(range(3))
    ]
    assert len({row["day_shard"]["S"] for row in ledger()}) > DAY_SHARDS
    return sorted(made, key=lambda one: (one.rated_at, one.carrier, one.reply_id))


def ledger() -> list[dict[str, dict[str, str]]]:
    found: list[dict[str, dict[str, str]]] = client("dynamodb").scan(TableName="LedgerTable")["Items"]
    return found


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 7, 29, 30, 31])
def test_the_pages_of_a_file_are_every_message_once_in_order_and_their_totals_the_sum_C6(limit: int) -> None:
    made = a_few_days()

    found = list(pages(limit))

    assert [one for page in found for one in page.lines] == made
    assert [len(page.lines) for page in found[:-1]] == [limit] * (len(found) - 1)
    assert found[-1].sums == add_up(one.rating for one in made)
    assert len(found) == -(-len(made) // limit)


@pytest.mark.parametrize("limit", [1, 4, 30, 1000])
def test_totals_are_those_of_the_days_and_their_sum_the_files_C6(limit: int) -> None:
    made = a_few_days()

    found = totals(limit)

    days = [day for page in found for day in page.days]
    assert [day.day.isoformat() for day in days] == ["2026-11-22", "2026-11-23", "2026-11-24"]
    assert [sum(one.count for one in day.sums) for day in days] == [6, 15, 9]
    assert found[-1].sums == add_up(one.rating for one in made) == list(pages(1000))[-1].sums
    assert add_up((), (one for day in days for one in day.sums)) == found[-1].sums


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 71), st.booleans()), max_size=25), st.integers(1, 9), st.randoms())
def test_the_totals_are_the_sum_of_the_lines_for_any_mix_and_any_pages_C6(
    mix: list[tuple[int, bool]], limit: int, chance: random.Random
) -> None:
    for row in ledger():
        client("dynamodb").delete_item(TableName="LedgerTable", Key={"pk": row["pk"], "sk": row["sk"]})
    for number, (hours, is_priced) in enumerate(mix):
        rated(f"{chance.random()}{number}", DAY_BEGINS + timedelta(hours=hours - 24), is_priced=is_priced)

    found = list(pages(limit))

    lines = [one.rating for page in found for one in page.lines]
    assert len(lines) == len(mix)
    assert sum(one.count for one in found[-1].sums) == len(mix)
    assert sum((one.total for one in found[-1].sums), Decimal(0)) == sum(
        (one.total for one in lines if one), Decimal(0)
    )
    assert totals(limit)[-1].sums == found[-1].sums


@pytest.mark.parametrize("limit", [5, 40])
def test_messages_of_one_moment_are_in_the_order_of_their_ids_on_every_page(
    limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [f"r-{number:02}" for number in range(40)]
    for reply_id in ids:
        rated(reply_id, NOON)
    index = ratings._RatingRow.by_day
    query = index.query
    # DynamoDB keeps no order among rows of the same moment; moto has that of their keys.
    monkeypatch.setattr(index, "query", lambda *asked, **more: reversed(list(query(*asked, **more))))

    assert [one.reply_id for page in pages(limit) for one in page.lines] == ids


def test_a_day_is_the_countrys_from_midnight_to_midnight_and_no_other_countrys_rows_are_in_it() -> None:
    instant = timedelta(microseconds=1)
    rated("before", DAY_BEGINS - instant)
    rated("first", DAY_BEGINS)
    rated("last", DAY_BEGINS + timedelta(days=1) - instant)
    rated("after", DAY_BEGINS + timedelta(days=1))
    rated("chilean", DAY_BEGINS + timedelta(hours=3), country="CL")

    assert [one.reply_id for page in pages(10, "2026-11-23", "2026-11-23") for one in page.lines] == ["first", "last"]
    chilean = pages(10, "2026-11-23", "2026-11-23", "CL")
    assert [one.reply_id for page in chilean for one in page.lines] == ["chilean"]


def test_a_reply_that_is_delivered_twice_is_one_line() -> None:
    clock, carrier = TestClock(NOON), FakeCarrier()
    open_session(clock)
    (text,) = deliver(carrier, clock)
    for _ in range(2):
        answer(text, "sí", clock)
        clock.move(seconds=5)

    (page,) = pages(10)

    assert [one.reply_id for one in page.lines] == ["r1"]
    assert [(one.count, str(one.total)) for one in page.sums] == [(1, "1.30")]


def test_closed_days_are_the_same_whenever_they_are_asked_for() -> None:
    a_few_days()
    first = list(pages(7))
    rated("today", LATER)

    assert list(pages(7)) == first


def test_a_day_that_may_still_grow_is_in_no_file_and_said_to_be_open_in_the_totals() -> None:
    rated("r", NOON)
    almost = DAY_BEGINS + timedelta(days=1, minutes=9)

    with pytest.raises(InvalidRequest) as refused:
        rating_reports.list_file(OPERATOR, "DO", FIRST, "2026-11-23", limit=10, cursor=None, now=almost)
    (page,) = totals(first=FIRST, last="2026-11-24", now=almost)
    later = rating_reports.list_file(
        OPERATOR, "DO", FIRST, "2026-11-23", limit=10, cursor=None, now=almost + timedelta(minutes=1)
    )

    assert [(one.field, one.code) for one in refused.value.fields] == [("/query/to", "still_open")]
    assert [day.is_closed for day in page.days] == [True, False, False]
    assert [one.reply_id for one in later.lines] == ["r"]


def test_a_cursor_is_of_its_own_question_only() -> None:
    a_few_days()
    cursor = next(pages(3)).following
    assert cursor is not None

    for first, last, asked in (
        (FIRST, "2026-11-23", cursor),
        (FIRST, LAST, cursor[:-4]),
        (FIRST, LAST, "x"),
        (FIRST, LAST, "W10"),
        (FIRST, LAST, "¿?"),
    ):
        with pytest.raises(InvalidRequest) as refused:
            rating_reports.list_file(OPERATOR, "DO", first, last, limit=3, cursor=asked, now=LATER)
        assert refused.value.fields[0].field == "/query/cursor"


def test_the_columns_are_the_taxes_of_the_days_that_are_asked_for() -> None:
    (page,) = pages(10)

    assert page.taxes == ("ITBIS", "ISC", "CDT")
    assert next(pages(10, country="CL")).taxes == ()


def test_a_single_message_is_found_by_its_carrier_and_id_whatever_is_in_it() -> None:
    made = rated("a#b/c ñ", NOON)

    assert rating_reports.get_rating(OPERATOR, "signed_webhook", "a#b/c ñ") == made
    assert next(pages(10)).lines == [replace(made)]
    with pytest.raises(NotFound):
        rating_reports.get_rating(OPERATOR, "signed_webhook", "a#b")


def test_reports_are_the_platforms_staffs_alone() -> None:
    for act in (
        lambda: rating_reports.list_file(DIRECTOR, "DO", FIRST, LAST, limit=1, cursor=None, now=LATER),
        lambda: rating_reports.get_totals(DIRECTOR, "DO", FIRST, LAST, limit=1, cursor=None, now=LATER),
        lambda: rating_reports.get_rating(DIRECTOR, "signed_webhook", "r"),
    ):
        with pytest.raises(NotAllowed):
            act()
