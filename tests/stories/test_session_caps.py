"""Free and anonymous means attacked: what nobody gets more of than the caps allow, and what a refusal leaves behind."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

import pytest
from moto.core.botocore_stubber import BotocoreStubber

from recado import session_caps, sessions
from recado.errors import InvalidRequest, NoHandsetReachable, RecadoError, SessionEnded, SessionLimitReached
from recado.rules.session_caps import Limit, past_windows_of, step_of, windows_of
from recado.session_replies import ReplyOutcome
from recado.tables import caps as table
from recado.tables import opt_outs, routes
from tests.conftest import all_tables
from tests.faults import Fault, faults
from tests.session_worlds import (
    ANA,
    HELLO,
    LUIS,
    UPDATES_OF_BOOKING,
    WANDA,
    Killed,
    address_of,
    answer,
    changed_settings,
    create_codes,
    deliver,
    id_of,
    just_before,
    kill,
    of_talks,
    open_session,
    rows_of,
    say,
    sweep,
    words_of,
)
from tests.worlds import NOON, FakeCarrier, TestClock, opt_out

pytestmark = pytest.mark.usefixtures("aws")

HOME = "203.0.113.24"
LONG = "Ganaste un premio, llama ya al 809 555 9999"  # long enough to be counted
type Changes = Callable[..., None]


@pytest.fixture
def clock() -> TestClock:
    create_codes(*(f"441{place:02}" for place in range(16)))
    return TestClock()


@pytest.fixture
def carrier() -> FakeCarrier:
    return FakeCarrier()


@pytest.fixture
def caps() -> Iterator[Changes]:
    with ExitStack() as stack:
        yield lambda **changes: stack.enter_context(changed_settings(**changes))


@pytest.fixture
def one_request_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """moto keeps its tables in plain dicts; DynamoDB does not mind threads. Between requests they interleave."""
    real, lock = BotocoreStubber.__call__, Lock()

    def locked(*args: Any, **kwargs: Any) -> Any:
        with lock:
            return real(*args, **kwargs)

    monkeypatch.setattr(BotocoreStubber, "__call__", locked)


def limit_of(act: Callable[[], object]) -> tuple[str, int | None]:
    """Which cap refuses this, and after how many seconds to try again."""
    with pytest.raises(SessionLimitReached) as refused:
        act()
    assert refused.value.code == "session_limit_reached"
    return refused.value.members["limit"], refused.value.retry_after_seconds


def used(limit: Limit, subject: str) -> int:
    """What is counted now, at the least of the windows' beginning: all of it."""
    return max(table.find_uses(limit, subject).values(), default=0)


def everything_used(*names: str, numbers: tuple[str, ...] = (ANA, LUIS, WANDA)) -> dict[str, int]:
    """All that is counted for these web users, these handsets and everybody."""
    sources = {name: session_caps.source_of(address_of(name)) for name in names}
    found = {"all": used(Limit.RECIPIENTS, "all")}
    found |= {number: used(Limit.HANDSET_TEXTS, number) for number in numbers}
    for name, source in sources.items():
        found[f"{name} opened"] = used(Limit.SOURCE_SESSIONS, source)
        found[f"{name} to"] = used(Limit.SOURCE_RECIPIENTS, source)
    return {name: count for name, count in found.items() if count}


def refusals(session_id: str, clock: TestClock, number: int | None = None) -> list[tuple[str, str, datetime | None]]:
    found = sessions.get_opening(session_id, clock(), number).refused
    return [(one.typed, one.reason.value, one.retry_at) for one in found]


# --- A handset


def test_a_handset_hears_no_more_than_its_cap_whoever_writes_to_it(
    clock: TestClock, carrier: FakeCarrier, caps: Changes
) -> None:
    caps(handset_texts_per_hour_max=2)
    open_session(clock, name="1")
    open_session(clock, name="2")

    assert limit_of(lambda: open_session(clock, name="3")) == ("handset_texts", 70 * 60)

    assert [text.to for text in deliver(carrier, clock)] == [ANA, ANA]
    assert rows_of(id_of("3")) == {}
    assert open_session(clock, LUIS, name="3")


def test_one_handset_over_its_cap_is_refused_alone_with_the_moment_to_try_again(
    clock: TestClock, carrier: FakeCarrier, caps: Changes
) -> None:
    caps(handset_texts_per_hour_max=1)
    open_session(clock, ANA, name="1")
    deliver(carrier, clock)

    session_id = open_session(clock, ANA, LUIS, name="2")

    assert [text.to for text in deliver(carrier, clock)] == [LUIS]
    assert refusals(session_id, clock) == [(ANA, "too_many_texts", NOON + timedelta(minutes=70))]
    # Nothing is counted for whoever was refused: neither for the source nor for everybody.
    assert everything_used("2") == {"all": 2, ANA: 1, LUIS: 1, "2 opened": 1, "2 to": 1}


def test_in_an_open_session_a_handset_over_its_cap_is_refused_by_name_and_the_others_hear(
    clock: TestClock, carrier: FakeCarrier, caps: Changes
) -> None:
    caps(handset_texts_per_hour_max=2)
    open_session(clock, ANA, name="other")
    session_id = open_session(clock, ANA, LUIS)
    deliver(carrier, clock)

    say(session_id, clock)

    assert [text.to for text in deliver(carrier, clock)] == [LUIS]
    assert refusals(session_id, clock, 2) == [(ANA, "too_many_texts", NOON + timedelta(minutes=70))]
    assert refusals(session_id, clock, 1) == []
    assert everything_used() == {"all": 4, ANA: 2, LUIS: 2}


def test_when_all_handsets_of_a_session_are_over_their_cap_nothing_is_said_until_they_are_not(
    clock: TestClock, carrier: FakeCarrier, caps: Changes
) -> None:
    caps(handset_texts_per_hour_max=1)
    session_id = open_session(clock)
    deliver(carrier, clock)
    before = everything_used("2")

    assert limit_of(lambda: say(session_id, clock)) == ("handset_texts", 70 * 60)

    assert words_of(session_id, clock) == [HELLO]
    assert everything_used("2") == before
    while clock() < NOON + timedelta(minutes=70):
        clock.move(minutes=4)
        sessions.extend(session_id, clock)
    say(session_id, clock, is_first=False)
    assert [text.text for text in deliver(carrier, clock)] == ["¿Y a las 6?"]


def test_an_hour_does_not_begin_anew_with_the_clocks(clock: TestClock, caps: Changes) -> None:
    caps(handset_texts_per_hour_max=1)
    clock.now = NOON - timedelta(seconds=1)
    open_session(clock, name="1")

    clock.now = NOON
    assert limit_of(lambda: open_session(clock, name="2")) == ("handset_texts", 60 * 60)

    clock.now = NOON + timedelta(minutes=60) - timedelta(microseconds=1)
    assert limit_of(lambda: open_session(clock, name="2")) == ("handset_texts", 1)
    clock.now = NOON + timedelta(minutes=60)
    assert open_session(clock, name="2", is_first=False) == id_of("2")


# --- A source


def test_a_source_writes_to_no_more_than_its_cap_and_others_go_on(clock: TestClock, caps: Changes) -> None:
    caps(source_recipients_per_hour_max=3, sessions_per_source_and_handset=4)
    open_session(clock, ANA, LUIS, name="1", address=HOME)

    assert limit_of(lambda: open_session(clock, ANA, LUIS, name="2", address=HOME)) == ("source_recipients", 70 * 60)
    assert open_session(clock, WANDA, name="3", address=HOME)
    assert limit_of(lambda: open_session(clock, ANA, name="4", address=HOME))[0] == "source_recipients"

    assert open_session(clock, ANA, LUIS, name="5", address="203.0.113.25")


def test_a_source_opens_no_more_sessions_than_its_cap(clock: TestClock, caps: Changes) -> None:
    caps(source_sessions_per_hour_max=2)
    open_session(clock, ANA, name="1", address="2001:db8:1:2::1")
    open_session(clock, LUIS, name="2", address="2001:db8:1:2:ffff::1")

    refused = limit_of(lambda: open_session(clock, WANDA, name="3", address="2001:db8:1:2::3"))

    assert refused == ("source_sessions", 70 * 60)
    assert open_session(clock, WANDA, name="4", address="2001:db8:1:3::3")


def test_saying_more_counts_for_the_source_that_says_it(clock: TestClock, carrier: FakeCarrier, caps: Changes) -> None:
    caps(source_recipients_per_hour_max=2)
    session_id = open_session(clock, address=HOME)
    deliver(carrier, clock)
    say(session_id, clock, name="2", address=HOME)
    deliver(carrier, clock)

    assert limit_of(lambda: say(session_id, clock, name="3", address=HOME)) == ("source_recipients", 70 * 60)

    assert say(session_id, clock, name="3", address="203.0.113.25", is_first=False) == session_id


def test_texts_with_links_reach_fewer(clock: TestClock, carrier: FakeCarrier, caps: Changes) -> None:
    caps(source_link_recipients_per_hour_max=2)
    open_session(clock, ANA, LUIS, name="1", address=HOME, text="mira bit.ly/a")

    refused = limit_of(lambda: open_session(clock, WANDA, name="2", address=HOME, text="mira bit.ly/b"))

    assert refused == ("source_link_recipients", 70 * 60)
    assert open_session(clock, WANDA, name="2", address=HOME, text="mira esto", is_first=False)


@pytest.mark.parametrize(
    ("text", "numbers", "field", "code"),
    [
        ("bit.ly/a y bit.ly/b", [ANA], "/text", "too_many_links"),
        ("bit.ly/a", [ANA, LUIS, WANDA], "/to", "too_many_for_a_link"),
    ],
)
def test_too_many_links_or_too_many_numbers_for_one_are_a_wrong_field_and_take_nothing(
    clock: TestClock, caps: Changes, text: str, numbers: list[str], field: str, code: str
) -> None:
    caps(source_link_recipients_per_hour_max=2)

    with pytest.raises(InvalidRequest) as refused:
        open_session(clock, *numbers, text=text)

    assert [(one.field, one.code) for one in refused.value.fields] == [(field, code)]
    assert rows_of(id_of("1")) == {}
    assert everything_used("1") == {}


def test_links_can_be_barred(clock: TestClock, carrier: FakeCarrier, caps: Changes) -> None:
    session_id = open_session(clock)
    deliver(carrier, clock)
    caps(links_per_text_max=0)

    with pytest.raises(InvalidRequest):
        say(session_id, clock, text="mira bit.ly/a")

    assert words_of(session_id, clock) == [HELLO]


# --- A session


def test_a_session_says_no_more_than_its_cap_and_another_may_be_opened_at_its_end(
    clock: TestClock, carrier: FakeCarrier, caps: Changes
) -> None:
    caps(session_texts_max=2)
    session_id = open_session(clock)
    deliver(carrier, clock)
    say(session_id, clock, name="2")
    deliver(carrier, clock)
    clock.move(minutes=1)
    before = everything_used("3")

    assert limit_of(lambda: say(session_id, clock, ANA, name="3")) == ("session_texts", 4 * 60)

    assert everything_used("3") == before
    clock.move(minutes=4)
    assert say(session_id, clock, ANA, name="3", is_first=False) == id_of("3")


# --- Everybody


def test_everybody_together_writes_to_no_more_than_the_stop(clock: TestClock, caps: Changes) -> None:
    caps(recipients_per_hour_max=3)
    open_session(clock, ANA, LUIS, name="1")

    assert limit_of(lambda: open_session(clock, ANA, LUIS, name="2")) == ("recipients", 70 * 60)

    assert everything_used("2") == {"all": 2, ANA: 1, LUIS: 1}
    assert open_session(clock, WANDA, name="3")


def test_one_text_reaches_no_more_than_its_cap_from_however_many_addresses(clock: TestClock, caps: Changes) -> None:
    caps(same_text_recipients_per_hour_max=3)
    for place, number in enumerate((ANA, LUIS, WANDA)):
        open_session(clock, number, name=str(place), text=LONG)

    spelt = "GANASTE un prémio - llama ya al 829-555-0000!!"
    assert limit_of(lambda: open_session(clock, ANA, name="4", text=spelt)) == ("same_text_recipients", 70 * 60)

    assert open_session(clock, ANA, name="5", text="Mañana no hay clases, me avisaron")
    assert [open_session(clock, LUIS, name=f"hola {place}", text="Feliz cumpleaños") for place in range(4)]


# --- What a refusal gives back, and what a death costs


def test_a_refused_request_gives_back_all_it_had_taken(clock: TestClock, caps: Changes) -> None:
    caps(handset_texts_per_hour_max=1)
    open_session(clock, ANA, LUIS, name="1")
    before = everything_used("1", "2")

    assert limit_of(lambda: open_session(clock, ANA, LUIS, name="2", text=LONG))[0] == "handset_texts"

    assert everything_used("1", "2") == before


def test_for_a_handset_without_a_free_code_nothing_is_counted(aws: None, carrier: FakeCarrier) -> None:
    create_codes("44101")
    clock = TestClock()
    open_session(clock, ANA, name="1")

    open_session(clock, ANA, LUIS, name="2")
    with pytest.raises(NoHandsetReachable):
        open_session(clock, ANA, name="3")

    assert everything_used("2", "3") == {"all": 2, ANA: 1, LUIS: 1, "2 opened": 1, "2 to": 1}


def test_what_cannot_be_given_back_stays_counted_and_the_refusal_is_the_same(
    clock: TestClock, caps: Changes, caplog: pytest.LogCaptureFixture
) -> None:
    caps(recipients_per_hour_max=1)
    open_session(clock, ANA, name="1")

    # Two were taken, the third is refused; then each attempt to give back is lost, three of each.
    lost: list[Fault | None] = ["lost"] * 6
    with faults("UpdateItem", None, None, None, *lost):
        assert limit_of(lambda: open_session(clock, LUIS, name="2"))[0] == "recipients"

    assert everything_used("2") == {"all": 1, ANA: 1, "2 opened": 1, "2 to": 1}
    assert [record.message for record in caplog.records].count("session_use_not_given_back") == 2


def test_a_lost_answer_counts_at_most_twice(clock: TestClock) -> None:
    with faults("UpdateItem", "applied"):
        open_session(clock, name="1")

    assert everything_used("1") == {"all": 1, ANA: 1, "1 opened": 2, "1 to": 1}


@pytest.mark.parametrize("nth", range(1, UPDATES_OF_BOOKING + 1))
def test_who_dies_while_booking_has_taken_that_and_their_request_goes_on(
    clock: TestClock, carrier: FakeCarrier, nth: int
) -> None:
    with just_before("UpdateItem", kill, nth=nth), pytest.raises(Killed):
        open_session(clock, name="1")
    assert rows_of(id_of("1")) == {}

    open_session(clock, name="1", is_first=False)

    assert [text.to for text in deliver(carrier, clock)] == [ANA]
    taken = [2 if place < nth else 1 for place in range(1, 5)]
    assert everything_used("1") == dict(zip(["1 opened", "1 to", "all", ANA], taken, strict=True))


@pytest.mark.parametrize(
    ("operation", "nth"), [("TransactWriteItems", 2), ("UpdateItem", 5), ("TransactWriteItems", 3)]
)
def test_an_opening_that_is_carried_on_takes_nothing_again(
    clock: TestClock, carrier: FakeCarrier, operation: str, nth: int
) -> None:
    with just_before(operation, kill, nth=nth), pytest.raises(Killed):
        open_session(clock, name="1")

    open_session(clock, name="1", is_first=False)

    assert [text.to for text in deliver(carrier, clock)] == [ANA]
    assert everything_used("1") == {"all": 1, ANA: 1, "1 opened": 1, "1 to": 1}


def test_a_text_that_was_said_and_never_answered_is_carried_on_to_the_same_handsets_and_takes_nothing(
    clock: TestClock, carrier: FakeCarrier, caps: Changes
) -> None:
    caps(handset_texts_per_hour_max=2)
    open_session(clock, ANA, name="other")
    session_id = open_session(clock, ANA, LUIS, WANDA)
    deliver(carrier, clock)
    opt_out(WANDA, "reply", school_id="web")
    with just_before("BatchWriteItem", kill), pytest.raises(Killed):
        say(session_id, clock)
    before = everything_used("2")
    opt_outs_undone = "ALTA"
    text = next(one for one in carrier.heard if one.to == WANDA)
    assert answer(text, opt_outs_undone, clock) is ReplyOutcome.TO_SESSION

    say(session_id, clock, is_first=False)

    assert [text.to for text in of_talks(deliver(carrier, clock))] == [LUIS]
    assert everything_used("2") == before
    assert [(typed, reason) for typed, reason, _ in refusals(session_id, clock, 2)] == [
        (WANDA, "opted_out"),
        (ANA, "too_many_texts"),
    ]


def test_a_text_that_finds_another_going_out_gives_back_what_it_took(clock: TestClock, carrier: FakeCarrier) -> None:
    session_id = open_session(clock)
    deliver(carrier, clock)
    before = everything_used("2")

    # Between its booking and its own write the same session says something else.
    other = just_before("TransactWriteItems", lambda: say(session_id, clock, name="other"), nth=1)
    with other, pytest.raises(RecadoError) as refused:
        say(session_id, clock, name="2")

    assert refused.value.code == "still_sending"
    assert everything_used("2") == before | {"all": 2, ANA: 2}


def test_a_text_into_a_session_that_ends_meanwhile_gives_back_what_it_took(
    clock: TestClock, carrier: FakeCarrier
) -> None:
    session_id = open_session(clock)
    deliver(carrier, clock)
    before = everything_used("2")

    ends = just_before("TransactWriteItems", lambda: sessions.end(session_id, clock), nth=1)
    with ends, pytest.raises(SessionEnded):
        say(session_id, clock, name="2")

    assert everything_used("2") == before


def test_a_text_that_was_noted_stays_counted_whatever_became_of_it(clock: TestClock, carrier: FakeCarrier) -> None:
    session_id = open_session(clock)
    deliver(carrier, clock)

    with just_before("BatchWriteItem", lambda: sessions.end(session_id, clock), nth=1), pytest.raises(SessionEnded):
        say(session_id, clock, ANA, name="2")

    assert everything_used("2") == {"all": 2, ANA: 2, "2 to": 1}


# --- At the very cap


@pytest.mark.usefixtures("one_request_at_a_time")
@pytest.mark.parametrize(
    ("cap", "limit"),
    [
        ("handset_texts_per_hour_max", "handset_texts"),
        ("source_sessions_per_hour_max", "source_sessions"),
        ("source_recipients_per_hour_max", "source_recipients"),
    ],
)
def test_of_many_at_once_at_the_very_cap_exactly_so_many_pass(
    clock: TestClock, caps: Changes, cap: str, limit: str
) -> None:
    caps(**{cap: 4, "sessions_per_source_and_handset": 16})
    by_handset = limit == "handset_texts"

    def ask(place: int) -> str:
        number = ANA if by_handset else f"+1809556{place:04}"
        try:
            return open_session(clock, number, name=str(place), address=None if by_handset else HOME)
        except SessionLimitReached as error:
            return str(error.members["limit"])

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(ask, range(12)))

    assert answers.count(limit) == 8
    assert len({one for one in answers if one != limit}) == 4


@pytest.mark.usefixtures("one_request_at_a_time")
def test_of_many_sessions_with_one_text_at_once_exactly_so_many_recipients_pass(
    clock: TestClock, caps: Changes
) -> None:
    caps(same_text_recipients_per_hour_max=5)

    def ask(place: int) -> bool:
        numbers = [f"+1809556{place:04}", f"+1829556{place:04}"]
        try:
            open_session(clock, *numbers, name=str(place), text=f"{LONG} {place}")
        except SessionLimitReached:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        passed = sum(pool.map(ask, range(8)))

    assert passed == 2  # two recipients each, and a fifth place that none of them fits into


# --- The pool


def test_a_source_has_one_session_with_a_handset_and_another_when_that_has_ended(
    clock: TestClock, carrier: FakeCarrier
) -> None:
    mine = open_session(clock, ANA, name="1", address=HOME)
    deliver(carrier, clock)

    assert limit_of(lambda: open_session(clock, ANA, name="2", address=HOME)) == ("handset_sessions", 5 * 60)
    other = open_session(clock, ANA, LUIS, name="3", address=HOME)

    assert refusals(other, clock) == [(ANA, "too_many_sessions", None)]
    assert open_session(clock, ANA, name="4", address="203.0.113.25")
    sessions.end(mine, clock)
    assert open_session(clock, ANA, name="5", address=HOME)


def test_what_its_user_writes_right_after_the_end_opens_another_before_any_sweep(
    clock: TestClock, carrier: FakeCarrier
) -> None:
    # C7, C8: the route of the session that ended is still held; it does not count.
    session_id = open_session(clock, ANA, name="1", address=HOME)
    (first,) = deliver(carrier, clock)
    clock.move(minutes=5)

    say(session_id, clock, ANA, name="2", address=HOME)

    (second,) = deliver(carrier, clock)
    assert second.sender != first.sender


@pytest.mark.parametrize(
    ("codes", "wanted", "sessions_at_once"), [(16, 4, 4), (16, 9, 4), (16, 2, 2), (9, 4, 2), (3, 4, 1)]
)
def test_a_source_never_holds_more_than_a_quarter_of_a_handsets_pool_and_always_may_hold_one(
    aws: None, caps: Changes, codes: int, wanted: int, sessions_at_once: int
) -> None:
    create_codes(*(f"441{place:02}" for place in range(codes)))
    caps(sessions_per_source_and_handset=wanted)
    clock = TestClock()
    for place in range(sessions_at_once):
        open_session(clock, ANA, name=str(place), address=HOME)

    assert limit_of(lambda: open_session(clock, ANA, name="last", address=HOME))[0] == "handset_sessions"

    assert open_session(clock, ANA, name="somebody else")


def test_a_flood_of_sessions_from_one_address_leaves_the_handsets_pool_to_others(
    clock: TestClock, caps: Changes
) -> None:
    caps(sessions_per_source_and_handset=4)
    numbers = (ANA, LUIS, WANDA)
    for place in range(10):
        try:
            open_session(clock, *numbers, name=str(place), address=HOME)
        except SessionLimitReached:
            assert place >= 4

    assert [len(routes.list_routes(number)) for number in numbers] == [4, 4, 4]
    assert sessions.get_opening(open_session(clock, *numbers, name="other"), clock()).refused == ()


def test_of_two_claims_of_one_source_in_the_same_moment_one_is_refused(clock: TestClock, carrier: FakeCarrier) -> None:
    outcomes: list[str] = []

    def other() -> None:
        outcomes.append(open_session(clock, ANA, name="2", address=HOME))

    # The other opens its session, from beginning to end, when the first has looked and not yet claimed.
    with just_before("TransactWriteItems", other, nth=2):
        assert limit_of(lambda: open_session(clock, ANA, name="1", address=HOME))[0] == "handset_sessions"

    assert outcomes == [id_of("2")]
    assert [route.session_id for route in routes.list_routes(ANA)] == [id_of("2")]


@pytest.mark.usefixtures("one_request_at_a_time")
def test_of_many_claims_of_one_source_at_once_exactly_so_many_are_given(clock: TestClock, caps: Changes) -> None:
    caps(sessions_per_source_and_handset=3)

    def ask(place: int) -> str:
        try:
            return open_session(clock, ANA, name=str(place), address=HOME)
        except RecadoError as error:
            return error.code

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8)))

    refused = [one for one in answers if one in ("session_limit_reached", "session_busy")]
    assert len(answers) - len(refused) <= 3
    assert len(routes.list_routes(ANA)) <= 3
    assert "session_limit_reached" in refused


def test_a_claim_whose_answer_was_lost_is_one_claim(clock: TestClock, carrier: FakeCarrier) -> None:
    with faults("TransactWriteItems", None, "applied"):
        session_id = open_session(clock, ANA, name="1", address=HOME)

    (route,) = routes.list_routes(ANA)
    assert route.session_id == session_id
    assert [text.sender for text in deliver(carrier, clock)] == [route.code]
    assert limit_of(lambda: open_session(clock, ANA, name="2", address=HOME))[0] == "handset_sessions"
    sessions.end(session_id, clock)
    assert open_session(clock, ANA, name="2", address=HOME, is_first=False)


def test_a_claim_of_the_only_code_whose_answer_was_lost_is_no_refusal(aws: None, carrier: FakeCarrier) -> None:
    create_codes("44101")
    clock = TestClock()

    with faults("TransactWriteItems", None, "applied"):
        open_session(clock)

    assert [text.sender for text in deliver(carrier, clock)] == ["44101"]


# --- Opting out


def test_who_said_stop_since_the_opening_is_refused_by_name(clock: TestClock, carrier: FakeCarrier) -> None:
    session_id = open_session(clock, ANA, LUIS)
    text = deliver(carrier, clock)[0]
    answer(text, "BAJA", clock)

    say(session_id, clock)

    assert [one.to for one in of_talks(deliver(carrier, clock))] == [LUIS]
    assert refusals(session_id, clock, 2) == [(ANA, "opted_out", None)]
    assert everything_used("2")["2 to"] == 1


def test_when_all_have_said_stop_nothing_is_said_and_each_is_named(clock: TestClock, carrier: FakeCarrier) -> None:
    session_id = open_session(clock)
    (text,) = deliver(carrier, clock)
    answer(text, "STOP", clock)
    before = everything_used("2")

    with pytest.raises(NoHandsetReachable) as refused:
        say(session_id, clock)

    assert refused.value.members["refused"] == [{"number": ANA, "reason": "opted_out", "retry_at": None}]
    assert words_of(session_id, clock) == [HELLO, "STOP"]
    assert everything_used("2") == before


def test_a_stop_between_the_saying_and_the_wave_is_still_obeyed(clock: TestClock, carrier: FakeCarrier) -> None:
    # Invariant 4
    session_id = open_session(clock)
    (text,) = deliver(carrier, clock)
    say(session_id, clock)

    answer(text, "STOP", clock)

    assert of_talks(deliver(carrier, clock)) == []


def test_bloquear_stops_everything_from_the_web_and_alta_takes_it_back(clock: TestClock, carrier: FakeCarrier) -> None:
    mine, yours = open_session(clock, name="1"), open_session(clock, ANA, LUIS, name="2")
    text = deliver(carrier, clock)[0]
    say(yours, clock, name="3")

    assert answer(text, "¡Bloquear!", clock) is ReplyOutcome.TO_SESSION

    # What waits, what is said now, and what is opened: by anybody.
    assert [one.to for one in of_talks(deliver(carrier, clock))] == [LUIS]
    with pytest.raises(NoHandsetReachable):
        say(mine, clock, name="4")
    with pytest.raises(NoHandsetReachable):
        open_session(clock, name="5")
    clock.move(seconds=1)
    assert answer(text, "ALTA", clock, reply_id="r2") is ReplyOutcome.TO_SESSION
    say(mine, clock, name="4", is_first=False)
    assert [one.to for one in of_talks(deliver(carrier, clock))] == [ANA]


def test_a_sentence_with_bloquear_is_an_answer_like_any_other(clock: TestClock, carrier: FakeCarrier) -> None:
    open_session(clock)
    (text,) = deliver(carrier, clock)

    answer(text, "te voy a bloquear", clock)

    assert opt_outs.find_causes("web", ANA) == frozenset()


# --- What is kept


def test_no_address_and_no_text_lies_in_any_table_or_log(
    clock: TestClock, carrier: FakeCarrier, caps: Changes, caplog: pytest.LogCaptureFixture
) -> None:
    caps(source_sessions_per_hour_max=2)
    addresses = (HOME, "2001:db8:1:2::1")
    for name, address in zip("12", addresses, strict=True):
        sessions.end(open_session(clock, name=name, address=address, text=f"mira bit.ly/a {LONG}"), clock)
    sweep(clock)
    with pytest.raises(SessionLimitReached):
        [open_session(clock, LUIS, name=f"more {place}", address=HOME) for place in range(2)]

    kept = str({name: rows for name, rows in all_tables().items() if name != "SessionsTable"})
    logged = "".join(str(vars(record)) for record in caplog.records)

    assert "CAP#source_recipients#" in kept
    assert "session_limit_reached" in logged
    for secret in (*addresses, "2001:db8:1:2", "premio", "ganasteunpremio", "bit.ly"):
        assert secret not in kept.casefold()
        assert secret not in logged.casefold()
    for number in (ANA, LUIS):
        assert number not in logged


def test_rows_of_caps_go_when_they_count_no_more_and_do_not_grow(clock: TestClock) -> None:
    source = session_caps.source_of(HOME)
    for _ in range(40):
        step = step_of(clock())
        assert table.add_uses(
            Limit.SOURCE_SESSIONS,
            source,
            1,
            maximum=9,
            windows=windows_of(step),
            past=past_windows_of(step),
            expires_at=1,
        )
        clock.move(minutes=10)

    assert len(table.find_uses(Limit.SOURCE_SESSIONS, source)) == 7


def test_a_use_that_could_never_fit_is_refused_even_where_nothing_was_counted(aws: None) -> None:
    assert not table.add_uses("recipients", "all", 3, maximum=2, windows=[1, 2], past=[], expires_at=1)

    assert table.find_uses("recipients", "all") == {}


def test_what_was_never_counted_cannot_be_given_back(aws: None) -> None:
    assert not table.take_back_uses("recipients", "all", 1, windows=[1, 2])

    assert table.find_uses("recipients", "all") == {}
