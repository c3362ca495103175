"""A school's events: once per cause, in order, none left out by whoever asks from time to time (L5, L7)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pynamodb.exceptions import TransactWriteError

from recado import events
from recado.access import Caller
from recado.errors import NotAllowed
from recado.events import AlreadyRaised, NewEvent
from recado.rules.credit_bags import Zone
from recado.rules.event_types import EventType
from recado.rules.roles import Role
from recado.tables import events as table
from recado.tables import ledger
from recado.tables.base import Transaction
from recado.tables.events import Counter, Event
from tests import worlds
from tests.conftest import client
from tests.faults import Fault, faults

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DIRECTOR = Caller("liceo-1", Role.DIRECTOR, "u-17")

pytestmark = pytest.mark.usefixtures("aws")


def new(cause: str, event_type: EventType = EventType.MESSAGE_SENT, **data: str | int | None) -> NewEvent:
    return NewEvent(event_type, cause, NOW, data)


def all_events(school_id: str = "liceo-1") -> list[Event]:
    return table.list_events(school_id, after=0, limit=100)


def test_an_event_is_kept_with_its_number_its_figures_and_an_end() -> None:
    events.raise_event("liceo-1", new("m1", message="m1", delivered=3, failed=None))

    assert all_events() == [
        Event(1, EventType.MESSAGE_SENT, NOW, {"message": "m1", "delivered": 3, "failed": None}),
    ]
    rows = client("dynamodb").scan(TableName="MessagesTable")["Items"]
    in_90_days = str(int((NOW + timedelta(days=90)).timestamp()))
    assert {row["expires_at"]["N"] for row in rows if "expires_at" in row} == {in_90_days}
    assert len(rows) == 3  # the event, its cause, and the counter, which stays


def test_a_cause_has_one_event_however_often_it_is_raised() -> None:
    for _ in range(3):
        events.raise_event("liceo-1", new("m1"))
    events.raise_event("liceo-1", new("m2"))

    assert [event.number for event in all_events()] == [1, 2]


@pytest.mark.parametrize("kinds", [("lost",), ("applied",), ("lost", "applied"), ("applied", "applied")])
def test_a_lost_answer_makes_no_second_event(kinds: tuple[Fault, ...]) -> None:
    with faults("TransactWriteItems", *kinds):
        events.raise_event("liceo-1", new("m1"))
    events.raise_event("liceo-1", new("m2"))

    assert [event.number for event in all_events()] == [1, 2]


def test_an_event_that_died_before_it_was_written_is_raised_by_whoever_asks_again() -> None:
    with faults("TransactWriteItems", "lost", "lost", "lost"), pytest.raises(TransactWriteError):
        events.raise_event("liceo-1", new("m1"))

    events.raise_event("liceo-1", new("m1"))

    assert len(all_events()) == 1


def test_two_events_of_one_moment_take_two_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    count = table.get_counter
    between: list[Counter] = []

    def count_then_lose(school_id: str) -> Counter:
        found = count(school_id)
        if not between:  # between our reading and our writing somebody else's event takes the number
            between.append(found)
            events.raise_event(school_id, new("theirs"))
        return found

    monkeypatch.setattr(table, "get_counter", count_then_lose)

    events.raise_event("liceo-1", new("ours"))

    assert [event.number for event in all_events()] == [1, 2]
    assert events.find_event("liceo-1", "theirs") == all_events()[0]
    assert events.find_event("liceo-1", "ours") == all_events()[1]


def test_an_event_and_what_it_tells_of_are_written_both_or_neither() -> None:
    worlds.create_school("liceo-1", domestic=None)
    opening: Callable[[Transaction], None] = lambda write: ledger.create_account(  # noqa: E731  # one line, twice
        write, "liceo-1", Zone.DOMESTIC
    )
    events.commit("liceo-1", new("opened"), opening)

    with pytest.raises(ledger.AlreadyEntered):  # what it tells of is refused: no event
        events.commit("liceo-1", new("opened-again"), opening)
    with pytest.raises(AlreadyRaised):  # the event is refused: nothing of the rest
        events.commit(
            "liceo-1",
            new("opened"),
            lambda write: ledger.create_account(write, "liceo-1", Zone.INTERNATIONAL),
        )

    assert [event.number for event in all_events()] == [1]
    assert [account.zone for account in ledger.list_accounts("liceo-1")] == [Zone.DOMESTIC]


def test_a_portal_that_asks_again_from_where_it_was_sees_each_event_once() -> None:
    seen, after = [], 0
    for number in range(7):
        events.raise_event("liceo-1", new(f"m{number}"))
        if number % 3 == 0:
            page, after, _ = events.list_events(DIRECTOR, after=after, limit=2)
            seen += [event.number for event in page]
    more = True
    while more:
        page, after, more = events.list_events(DIRECTOR, after=after, limit=2)
        seen += [event.number for event in page]

    assert seen == [1, 2, 3, 4, 5, 6, 7]
    assert events.list_events(DIRECTOR, after=after, limit=2) == ([], 7, False)


def test_events_of_one_type_are_found_among_others_and_the_cursor_goes_on_behind_them() -> None:
    for number in range(6):
        events.raise_event(
            "liceo-1", new(f"m{number}", EventType.BALANCE_LOW if number % 3 == 1 else EventType.MESSAGE_SENT)
        )

    first = events.list_events(DIRECTOR, after=0, limit=1, event_type=EventType.BALANCE_LOW)
    second = events.list_events(DIRECTOR, after=first[1], limit=1, event_type=EventType.BALANCE_LOW)
    third = events.list_events(DIRECTOR, after=second[1], limit=1, event_type=EventType.BALANCE_LOW)

    assert [event.number for event in first[0] + second[0]] == [2, 5]
    assert (first[1], first[2]) == (2, True)
    assert third == ([], 6, False)


def test_a_rare_type_among_more_events_than_are_read_at_once_is_reached_in_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events, "READ_MAX", 2)
    for number in range(5):
        events.raise_event(
            "liceo-1", new(f"m{number}", EventType.IMPORT_READY if number == 4 else EventType.MESSAGE_SENT)
        )

    steps, after, more, found = 0, 0, True, list[int]()
    while more:
        page, after, more = events.list_events(DIRECTOR, after=after, limit=5, event_type=EventType.IMPORT_READY)
        found += [event.number for event in page]
        steps += 1

    assert (steps, found) == (3, [5])


def test_a_school_sees_its_own_events_only() -> None:  # invariant 7
    events.raise_event("liceo-2", new("m1"))

    assert events.list_events(DIRECTOR, after=0, limit=10) == ([], 0, False)


@pytest.mark.parametrize("role", [Role.TEACHER, Role.STAFF, Role.GUARDIAN, Role.STUDENT, Role.OPERATOR])
def test_only_those_in_charge_read_events(role: Role) -> None:
    with pytest.raises(NotAllowed):
        events.list_events(Caller("liceo-1", role, "u-1", "p1"), after=0, limit=10)


@pytest.mark.parametrize("data", [{"text": "x" * 201}, {f"f{number}": number for number in range(21)}])
def test_an_event_carries_no_text(data: dict[str, Any]) -> None:
    with pytest.raises(RuntimeError, match="ids and figures"):
        events.raise_event("liceo-1", new("m1", **data))

    assert all_events() == []
