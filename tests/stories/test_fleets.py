"""The fleet list (C3) as the platform's staff keep it, and as sessions ask it."""

from collections.abc import Callable
from dataclasses import astuple

import pytest
from pynamodb.exceptions import PutError

from recado import fleets, sessions
from recado.access import Caller
from recado.errors import InvalidRequest, NotAllowed, NotFound, RecadoError, TooLarge, WrongState
from recado.fleets import BadRow, Imported
from recado.rules.fleet_rows import FleetEntry
from recado.rules.roles import Role
from recado.session_replies import ReplyOutcome
from recado.tables import fleets as table
from recado.tables import ratings
from tests.conftest import all_tables
from tests.faults import Fault, faults
from tests.session_worlds import ANA, CARRIER, LUIS, answer, create_codes, deliver, open_session, words_of
from tests.worlds import FakeCarrier, TestClock

OPERATOR = Caller("platform", Role.OPERATOR, "soporte-1", key_id="op")
DIRECTOR = Caller("liceo-1", Role.DIRECTOR, "u-17")
BLOCK = FleetEntry("+18095550000", "+18095559999")

pytestmark = pytest.mark.usefixtures("aws")


def add(number: str = "", first: str = "", last: str = "", country: str = "DO") -> FleetEntry:
    return fleets.add_entry(OPERATOR, country, number, first, last)


def listed(country: str = "DO") -> list[FleetEntry]:
    return fleets.list_entries(OPERATOR, country, limit=1000, cursor=None)[0]


def import_csv(text: str, country: str = "DO") -> Imported:
    return fleets.import_csv(OPERATOR, country, text.encode())


def problems_of(error: RecadoError) -> list[tuple[str, str]]:
    return [(one.field, one.code) for one in error.fields]


# --- what sessions do with it ---


def test_a_handset_in_a_range_receives_is_marked_and_what_it_answers_is_neither_shown_nor_rated_C3() -> None:
    create_codes()
    clock, carrier = TestClock(), FakeCarrier()
    add(first="809 555 0000", last="809 555 9999")

    session_id = open_session(clock, ANA, LUIS)
    to_ana, to_luis = deliver(carrier, clock)

    assert [one.can_answer for one in sessions.get_opening(session_id, clock()).handsets] == [False, True]
    assert (to_ana.to, to_luis.to) == (ANA, LUIS)
    assert answer(to_ana, "no me oyen", clock, reply_id="r1") is ReplyOutcome.UNROUTED
    assert answer(to_luis, "voy", clock, reply_id="r2") is ReplyOutcome.TO_SESSION
    assert words_of(session_id, clock)[1:] == ["voy"]
    assert ratings.find_rating(CARRIER, "r1") is None


def test_a_change_of_the_list_counts_at_once_C3() -> None:
    create_codes()
    clock, carrier = TestClock(), FakeCarrier()
    open_session(clock, ANA)
    (text,) = deliver(carrier, clock)

    add(ANA)
    before = answer(text, "uno", clock, reply_id="r1")
    fleets.remove_entry(OPERATOR, "DO", ANA, None)
    after = answer(text, "dos", clock, reply_id="r2")

    assert (before, after) == (ReplyOutcome.UNROUTED, ReplyOutcome.TO_SESSION)


def test_each_number_is_asked_of_its_own_countrys_list_C3() -> None:
    add("9 1234 5678", country="CL")
    add(first="9 2000 0000", last="9 2000 0999", country="CL")
    add(ANA)

    found = fleets.find_barred([ANA, LUIS, "+56912345678", "+56920000500", "+56920001000", "not a number"])

    assert found == {ANA, "+56912345678", "+56920000500"}


# --- added, looked up, removed ---


def test_a_number_is_listed_once_however_it_is_typed() -> None:
    assert [add(typed) for typed in (ANA, "809 555 0101", "(809) 555-0101")] == [FleetEntry(ANA)] * 3

    assert listed() == [FleetEntry(ANA)]


def test_a_number_is_looked_up_with_each_entry_that_bars_it() -> None:
    add(ANA)
    add(first="809 555 0100", last="809 555 0200")
    add(first="809 555 0000", last="809 555 9999")

    found = fleets.look_up(OPERATOR, "DO", "18095550101")

    assert found.number == ANA
    assert found.entries == (FleetEntry(ANA), BLOCK, FleetEntry("+18095550100", "+18095550200"))
    assert fleets.look_up(OPERATOR, "DO", LUIS).entries == ()


def test_an_entry_is_removed_as_it_was_added_and_nothing_else_with_it() -> None:
    add(ANA)
    add(first="809 555 0000", last="809 555 9999")

    fleets.remove_entry(OPERATOR, "DO", "809 555 0000", " 18095559998")  # not this range
    assert listed() == [BLOCK, FleetEntry(ANA)]
    fleets.remove_entry(OPERATOR, "DO", "809 555 0000", " 18095559999")
    assert listed() == [FleetEntry(ANA)]
    fleets.remove_entry(OPERATOR, "DO", "809 555 0101", None)
    assert listed() == []
    fleets.remove_entry(OPERATOR, "DO", "809 555 0101", None)


@pytest.mark.parametrize("fault", ["lost", "applied"])
def test_an_entry_whose_request_or_answer_is_lost_is_there_once_and_goes_once(fault: Fault) -> None:
    with faults("PutItem", fault):
        add(ANA)
    assert listed() == [FleetEntry(ANA)]

    with faults("DeleteItem", fault):
        fleets.remove_entry(OPERATOR, "DO", ANA, None)
    assert listed() == []


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (("", "", ""), ("/number", "missing")),
        (("12", "", ""), ("/number", "not_a_number")),
        (("+1 212 555 0100", "", ""), ("/number", "other_country")),
        (("809 555 0101", "", "809 555 0102"), ("/number", "ambiguous")),
        (("", "809 555 0102", "809 555 0101"), ("/to", "before_from")),
        (("", "809 000 0000", "809 999 9999"), ("/to", "too_many_numbers")),
    ],
)
def test_what_cannot_be_listed_is_refused_by_its_field(entry: tuple[str, str, str], problem: tuple[str, str]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        add(*entry)

    assert problems_of(refused.value) == [problem]
    assert listed() == []


def test_a_number_that_is_looked_up_or_removed_and_is_none_of_the_country_is_refused_by_its_place() -> None:
    acts: list[Callable[[], object]] = [
        lambda: fleets.look_up(OPERATOR, "DO", "+56 9 1234 5678"),
        lambda: fleets.remove_entry(OPERATOR, "DO", "x", None),
        lambda: fleets.remove_entry(OPERATOR, "DO", "809 555 0101", "x"),
    ]

    found = []
    for act in acts:
        with pytest.raises(InvalidRequest) as refused:
            act()
        found += problems_of(refused.value)

    assert found == [("/path/number", "other_country"), ("/path/number", "not_a_number"), ("/query/to", "not_a_number")]


def test_a_country_has_so_many_ranges_and_one_that_is_there_is_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleets, "RANGES_MAX", 1)
    add(first="809 555 0000", last="809 555 9999")

    assert add(first="809 555 0000", last="809 555 9999") == BLOCK
    with pytest.raises(WrongState):
        add(first="829 555 0000", last="829 555 9999")
    add("829 555 0101")

    assert listed() == [BLOCK, FleetEntry("+18295550101")]


# --- the list ---


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6])
def test_the_list_comes_page_by_page_ranges_first_each_entry_once(limit: int) -> None:
    for number in ("8095550101", "8095550102", "8295550103"):
        add(number)
    add(first="829 555 0000", last="829 555 9999")
    add(first="809 555 0000", last="809 555 9999")
    everything = listed()

    pages, cursor = [], None
    while True:
        page, cursor = fleets.list_entries(OPERATOR, "DO", limit=limit, cursor=cursor)
        pages += page
        assert len(page) <= limit
        if cursor is None:
            break

    assert pages == everything
    assert [one.last is not None for one in everything] == [True, True, False, False, False]


@pytest.mark.parametrize("cursor", ["", "x", "1809", "+1809.", "1809.x", "1809.1.2"])
def test_a_cursor_of_something_else_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        fleets.list_entries(OPERATOR, "DO", limit=10, cursor=cursor)

    assert problems_of(refused.value) == [("/query/cursor", "malformed")]


# --- the file ---


FILE = """\
number;from;to
809 555 0101;;
829-555-0102;;
;809 555 0000;809 555 9999
(809) 555 0101;;
"""


def test_a_files_good_rows_are_added_and_its_bad_ones_named_by_line() -> None:
    found = import_csv(
        'number,from,to\n809 555 0101,,\n+56 9 1234 5678,,\n"829,,\n,,\n829 555 0102\n,809 555 0001,809 555 0000\n'
        "nadie,,\n,809 555 0000,809 555 9999\n"
    )

    assert found == Imported(
        added=2,
        there_already=0,
        bad=5,
        bad_rows=(
            BadRow(3, "number", "other_country"),
            BadRow(4, "", "malformed"),
            BadRow(6, "from", "missing_columns"),
            BadRow(7, "to", "before_from"),
            BadRow(8, "number", "not_a_number"),
        ),
    )
    assert listed() == [BLOCK, FleetEntry(ANA)]


def test_the_same_file_again_changes_nothing() -> None:
    first, again = import_csv(FILE), None
    rows = all_tables()

    again = import_csv(FILE)

    assert astuple(first)[:3] == (3, 1, 0)  # the number that stands in it twice is one
    assert astuple(again)[:3] == (0, 4, 0)
    assert all_tables() == rows


def test_a_file_may_have_numbers_only_and_what_a_spreadsheet_makes_of_it() -> None:
    found = import_csv("\ufeffnumber\r\n'+18095550101\r\n18295550102.0\r\n")

    assert (found.added, found.bad) == (2, 0)
    assert listed() == [FleetEntry(ANA), FleetEntry(LUIS)]


@pytest.mark.parametrize("fault", ["lost", "applied"])
def test_a_file_is_completed_when_a_request_or_its_answer_is_lost(fault: Fault) -> None:
    numbers = [f"+1809555{position:04}" for position in range(60)]

    with faults("BatchWriteItem", None, fault):
        found = import_csv("number\n" + "\n".join(numbers))

    assert found.added == 60
    assert listed() == [FleetEntry(number) for number in numbers]


def test_a_file_that_died_half_way_is_completed_by_sending_it_again() -> None:
    numbers = [f"+1809555{position:04}" for position in range(60)]
    text = "number\n" + "\n".join(numbers)
    with faults("BatchWriteItem", None, "lost", "lost", "lost"), pytest.raises(PutError):
        import_csv(text)
    assert 0 < len(listed()) < 60

    found = import_csv(text)

    assert found.added + found.there_already == 60
    assert len(listed()) == 60


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", ("/", "empty")),
        ("8095550101\n8095550102\n", ("/", "columns")),  # a header is needed, or the first number would be lost
        ("from\n8095550101\n", ("/", "columns")),
        ("number,number\n8095550101,8095550102\n", ("/", "columns")),
    ],
)
def test_a_file_whose_columns_are_not_named_is_refused_whole(text: str, problem: tuple[str, str]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        import_csv(text)

    assert problems_of(refused.value) == [problem]
    assert listed() == []


def test_a_file_with_too_many_rows_is_refused_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleets, "IMPORT_ROWS_MAX", 2)

    assert import_csv("number\n8095550101\n8095550102\n").added == 2
    with pytest.raises(TooLarge):
        import_csv("number\n8095550103\n8095550104\n8095550105\n")

    assert len(listed()) == 2


def test_ranges_for_which_there_is_no_room_are_bad_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleets, "RANGES_MAX", 2)
    add(first="809 555 0000", last="809 555 9999")

    found = import_csv(
        "from,to\n8095550000,8095559999\n8095560000,8095569999\n8095570000,8095579999\n8095580000,8095589999\n"
    )

    assert astuple(found)[:3] == (1, 1, 2)
    assert [(one.line, one.reason) for one in found.bad_rows] == [(4, "too_many_ranges"), (5, "too_many_ranges")]
    assert len(listed()) == 2


def test_bad_rows_are_counted_all_and_shown_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleets, "BAD_ROWS_SHOWN", 2)

    found = import_csv("number\n1\n2\n3\n")

    assert (found.bad, [one.line for one in found.bad_rows]) == (3, [2, 3])


# --- who may ---


def test_the_list_is_not_open_to_a_school_and_is_of_countries_with_codes_only() -> None:
    add(ANA)
    acts: list[Callable[[Caller, str], object]] = [
        lambda caller, country: fleets.list_entries(caller, country, limit=10, cursor=None),
        lambda caller, country: fleets.look_up(caller, country, ANA),
        lambda caller, country: fleets.add_entry(caller, country, LUIS, "", ""),
        lambda caller, country: fleets.remove_entry(caller, country, ANA, None),
        lambda caller, country: fleets.import_csv(caller, country, b"number\n8295550102\n"),
    ]

    for act in acts:
        with pytest.raises(NotAllowed):
            act(DIRECTOR, "DO")
        with pytest.raises(NotFound):
            act(OPERATOR, "PE")

    assert listed() == [FleetEntry(ANA)]
    assert table.list_ranges("DO") == []
