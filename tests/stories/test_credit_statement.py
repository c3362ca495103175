"""Each movement with its cause and the balance after it; what is spent a week (L5, L12)."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from recado import credit_statement
from recado.access import Caller
from recado.credit_statement import Figures, Question
from recado.errors import InvalidRequest, NotAllowed, NotFound
from recado.rules.credit_bags import Zone
from recado.rules.ledger_words import Kind
from recado.rules.roles import Role
from recado.tables import ledger
from recado.tables.base import Transaction
from recado.tables.ledger import Account, Entry
from tests import worlds
from tests.worlds import DIRECTOR, NOON, SCHOOL, TEACHER

LATER = NOON + timedelta(days=1)  # long after every entry: all of them are settled
DOMESTIC = Question(Zone.DOMESTIC)

pytestmark = pytest.mark.usefixtures("aws")


def minute(number: int) -> datetime:
    return NOON + timedelta(minutes=number)


def buy(count: int, at: datetime, school_id: str = SCHOOL, zone: Zone = Zone.DOMESTIC) -> None:
    with Transaction() as write:
        ledger.purchase(write, school_id, Entry(zone, f"purchase#{at:%m%dT%H%M}", at, "soporte", count, 0, 0, {}))


def spend(message: str, count: int, captured: int, at: datetime, closed_at: datetime | None = None) -> None:
    hold = Entry(Zone.DOMESTIC, f"hold#{message}#p", at, "directora", -count, count, 0, {"message": message})
    close = Entry(
        Zone.DOMESTIC,
        f"close#{message}#p",
        closed_at or at,
        "",
        count - captured,
        -count,
        captured,
        {"message": message},
    )
    with Transaction() as write:
        ledger.hold(write, SCHOOL, hold)
    with Transaction() as write:
        ledger.close_hold(write, SCHOOL, close)


def a_busy_day() -> None:
    """Bought 100; six messages of 10, each closed half a minute later with as many captured as its number."""
    worlds.create_school(domestic=0)
    buy(100, minute(0))
    for number in range(1, 7):
        spend(f"m{number}", 10, number, minute(number), minute(number) + timedelta(seconds=30))


def walk(question: Question = DOMESTIC, limit: int = 100, now: datetime = LATER) -> list[tuple[str, Figures | None]]:
    """Every page to the end: causes, newest first, with the balance after each."""
    found: list[tuple[str, Figures | None]] = []
    cursor = None
    for _ in range(100):
        lines, cursor = credit_statement.list_statement(DIRECTOR, question, limit=limit, cursor=cursor, now=now)
        assert len(lines) <= limit
        found += [(line.entry.cause, line.balance) for line in lines]
        if cursor is None:
            return found
    raise AssertionError("the statement does not end")


def summed() -> dict[str, Figures]:
    """What each balance has to be, from the oldest entry on."""
    available = held = captured = 0
    found = {}
    for entry in reversed(ledger.list_entries(SCHOOL, Zone.DOMESTIC, limit=1_000)[0]):
        available, held, captured = available + entry.available, held + entry.held, captured + entry.captured
        found[entry.cause] = Figures(available, held, captured)
    return found


def causes(lines: Sequence[tuple[str, Figures | None]]) -> list[str]:
    return [cause for cause, _ in lines]


@pytest.mark.parametrize("limit", [1, 2, 3, 13, 100])
def test_the_balance_after_each_movement_is_the_sum_of_all_until_then(limit: int) -> None:
    a_busy_day()

    lines = walk(limit=limit)

    assert len(lines) == 13
    assert dict(lines) == summed()
    assert lines[0][1] == Figures(79, 0, 21)


def test_a_page_that_is_exactly_full_is_the_last_one() -> None:
    a_busy_day()

    lines, cursor = credit_statement.list_statement(DIRECTOR, DOMESTIC, limit=13, cursor=None, now=LATER)

    assert (len(lines), cursor) == (13, None)


def test_one_kind_is_filtered_out_of_all_and_its_balances_are_right() -> None:
    a_busy_day()

    for kind in Kind:
        lines = walk(Question(Zone.DOMESTIC, kind=kind), limit=2)
        assert dict(lines) == {cause: figures for cause, figures in summed().items() if cause.startswith(kind.value)}


def test_a_kind_far_back_is_reached_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credit_statement, "READ_MAX", 3)
    a_busy_day()

    first, cursor = credit_statement.list_statement(
        DIRECTOR, Question(Zone.DOMESTIC, kind=Kind.PURCHASE), limit=1, cursor=None, now=LATER
    )

    assert (first, cursor is None) == ([], False)
    assert causes(walk(Question(Zone.DOMESTIC, kind=Kind.PURCHASE), limit=1)) == [f"purchase#{minute(0):%m%dT%H%M}"]


@pytest.mark.parametrize("limit", [2, 100])
def test_from_is_included_and_to_is_not_and_earlier_balances_are_told(limit: int) -> None:
    a_busy_day()

    lines = walk(Question(Zone.DOMESTIC, start=minute(2), end=minute(4)), limit=limit)

    assert causes(lines) == ["close#m3#p", "hold#m3#p", "close#m2#p", "hold#m2#p"]
    assert all(summed()[cause] == figures for cause, figures in lines)


def test_an_earlier_day_with_too_much_after_it_is_shown_without_balances(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credit_statement, "NEWER_MAX", 3)
    a_busy_day()

    lines = walk(Question(Zone.DOMESTIC, end=minute(3)), limit=3)

    assert len(lines) == 5
    assert {figures for _, figures in lines} == {None}


def test_a_span_that_ends_before_it_begins_is_refused() -> None:
    a_busy_day()

    with pytest.raises(InvalidRequest) as refused:
        walk(Question(Zone.DOMESTIC, start=minute(3), end=minute(3)))

    assert refused.value.fields[0].field == "/query/to"


def test_one_messages_movements_are_one_page_without_balances() -> None:
    a_busy_day()

    lines = walk(Question(Zone.DOMESTIC, message_id="m3"))

    assert lines == [("close#m3#p", None), ("hold#m3#p", None)]
    assert walk(Question(Zone.DOMESTIC, message_id="m3", kind=Kind.HOLD)) == [("hold#m3#p", None)]
    assert walk(Question(Zone.DOMESTIC, message_id="m3", start=minute(4))) == []
    assert walk(Question(Zone.INTERNATIONAL, message_id="m3")) == []


def test_a_balance_is_not_carried_over_a_movement_that_may_not_have_settled() -> None:
    a_busy_day()
    just_now = minute(6) + timedelta(seconds=40)

    lines = walk(limit=3, now=just_now)

    assert [figures is not None for _, figures in lines] == [True] * 3 + [False] * 10
    assert all(figures in (None, summed()[cause]) for cause, figures in lines)


def test_a_balance_that_moves_while_it_is_read_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    a_busy_day()
    find_account = ledger.find_account
    between: list[str] = []

    def find_then_spend(school_id: str, zone: Zone) -> Account | None:
        found = find_account(school_id, zone)
        if not between:
            between.append("spent")
            spend("m7", 5, 5, minute(7))
        return found

    monkeypatch.setattr(ledger, "find_account", find_then_spend)

    lines = walk()

    assert len(lines) == 15
    assert dict(lines) == summed()


def test_a_balance_that_never_rests_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    a_busy_day()
    find_account = ledger.find_account

    def find_then_spend(school_id: str, zone: Zone) -> Account | None:
        found = find_account(school_id, zone)
        number = found.captured if found else 0
        spend(f"n{number}", 1, 1, minute(7) + timedelta(seconds=number))
        return found

    monkeypatch.setattr(ledger, "find_account", find_then_spend)

    lines = walk()

    assert len(lines) > 13
    assert {figures for _, figures in lines} == {None}


def test_movements_of_one_moment_are_each_on_one_page_of_the_statement() -> None:
    worlds.create_school(domestic=0)
    for number in range(5):
        with Transaction() as write:
            ledger.purchase(write, SCHOOL, Entry(Zone.DOMESTIC, f"purchase#{number}", NOON, "soporte", 10, 0, 0, {}))

    lines = walk(limit=2)

    assert sorted(causes(lines)) == [f"purchase#{number}" for number in range(5)]
    assert [figures.available for _, figures in lines if figures] == [50, 40, 30, 20, 10]


def test_a_school_without_an_account_has_an_empty_statement() -> None:  # L4, L13
    worlds.create_school(domestic=10)

    assert walk(Question(Zone.INTERNATIONAL)) == []


def test_another_schools_cursor_shows_nothing_of_that_school() -> None:  # invariant 7
    a_busy_day()
    worlds.create_school("other", domestic=0, code="")
    for number in range(3):
        buy(1, minute(number), "other")
    other = Caller("other", Role.DIRECTOR, "u-1")
    _, cursor = credit_statement.list_statement(other, DOMESTIC, limit=1, cursor=None, now=LATER)
    assert cursor is not None

    lines, _ = credit_statement.list_statement(DIRECTOR, DOMESTIC, limit=100, cursor=cursor, now=LATER)

    assert {line.entry.cause for line in lines} <= set(summed())


@pytest.mark.parametrize(
    "key", ["account", "E#purchase", "T#", "T#x|1,2", "T#x|1,2,x", "T#x|1,2,3|4,5,6", "T#\n", "T#ñ", "T#x|,,"]
)
def test_a_cursor_never_reads_anything_but_the_statement(key: str) -> None:
    a_busy_day()
    cursor = base64.urlsafe_b64encode(key.encode()).rstrip(b"=").decode()

    with pytest.raises(InvalidRequest) as refused:
        credit_statement.list_statement(DIRECTOR, DOMESTIC, limit=10, cursor=cursor, now=LATER)

    assert refused.value.fields[0].field == "/query/cursor"


def test_only_those_in_charge_read_the_statement_and_the_use() -> None:  # L2
    a_busy_day()
    for caller in (TEACHER, Caller("platform", Role.OPERATOR, "soporte"), Caller(SCHOOL, Role.GUARDIAN, "u", "g1")):
        with pytest.raises(NotAllowed):
            credit_statement.list_statement(caller, DOMESTIC, limit=10, cursor=None, now=LATER)
        with pytest.raises(NotAllowed):
            credit_statement.get_use(caller, weeks=4, now=LATER)


# --- use per week ---


def test_what_was_captured_is_counted_in_the_week_of_the_schools_clocks() -> None:
    worlds.create_school(domestic=1_000)
    spend("sunday", 10, 7, datetime(2026, 11, 23, 2, 59, tzinfo=UTC))  # in Santiago Sunday, 23:59
    spend("monday", 10, 5, datetime(2026, 11, 23, 3, 0, tzinfo=UTC))  # Monday, 00:00
    spend("nothing", 10, 0, NOON)

    zone, (use,) = credit_statement.get_use(DIRECTOR, weeks=3, now=NOON)

    assert zone == "America/Santiago"
    assert [(week.name, week.captured, is_known) for week, is_known in use.weeks] == [
        ("2026-W46", 0, True),
        ("2026-W47", 7, True),
        ("2026-W48", 5, True),
    ]


def test_the_days_left_follow_from_the_last_four_weeks() -> None:
    worlds.create_school(domestic=0)
    buy(1_000, NOON - timedelta(days=200))
    spend("before", 300, 300, NOON - timedelta(days=100))
    spend("lately", 280, 280, NOON - timedelta(days=3))  # 10 a day

    _, (use,) = credit_statement.get_use(DIRECTOR, weeks=1, now=NOON)

    assert use.days_left == 42  # 420 credits


def test_a_school_that_is_new_or_spent_nothing_has_no_pace() -> None:
    worlds.create_school(domestic=100)

    _, (use,) = credit_statement.get_use(DIRECTOR, weeks=1, now=NOON)

    assert use.days_left is None


def test_more_movements_than_are_read_leave_the_older_weeks_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credit_statement, "USE_ENTRIES_MAX", 4)
    worlds.create_school(domestic=1_000)
    for days in (0, 1, 8, 15):
        spend(f"m{days}", 10, 10, NOON - timedelta(days=days))

    _, (use,) = credit_statement.get_use(DIRECTOR, weeks=4, now=NOON)

    assert [(week.captured, is_known) for week, is_known in use.weeks][-1] == (10, True)
    assert [is_known for _, is_known in use.weeks] == [False, False, False, True]
    assert use.days_left is None  # four weeks were not read


def test_a_school_without_bags_has_no_use_and_one_that_is_not_there_is_not_found() -> None:  # L4
    worlds.create_school(domestic=None)

    assert credit_statement.get_use(DIRECTOR, weeks=4, now=NOON) == ("America/Santiago", [])
    with pytest.raises(NotFound):
        credit_statement.get_use(Caller("nowhere", Role.DIRECTOR, "u-1"), weeks=4, now=NOON)
