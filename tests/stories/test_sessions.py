"""Sessions: C1 to C9 and invariants 5 and 6, by the clock that the tests move."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from threading import Lock
from typing import Any

import boto3
import pytest
from moto.core.botocore_stubber import BotocoreStubber

from recado import session_replies, session_sweep, sessions
from recado.errors import (
    IdempotencyKeyReused,
    InvalidRequest,
    NoHandsetReachable,
    RecadoError,
    SessionBusy,
    SessionEnded,
    StillSending,
)
from recado.rules.fleet_rows import FleetEntry
from recado.rules.short_codes import CodeState
from recado.session_replies import HandsetReply, ReplyOutcome
from recado.settings import SETTINGS
from recado.tables import fleets, opt_outs, ratings, routes, session_counts, short_codes
from recado.tables import sessions as session_table
from recado.tables.base import Transaction
from recado.tables.session_counts import DayCounts
from recado.tables.sessions import Direction, NotReached, Session, SessionState
from recado.tables.short_codes import Purpose, ShortCode
from tests.conftest import jobs_on
from tests.faults import faults
from tests.session_worlds import (
    ANA,
    CARRIER,
    CODES,
    COUNTRY,
    HELLO,
    LUIS,
    UPDATES_OF_BOOKING,
    WANDA,
    Killed,
    answer,
    answer_to,
    claim_pair,
    create_codes,
    deliver,
    id_of,
    just_before,
    key_of,
    kill,
    of_talks,
    open_session,
    route_row,
    rows_of,
    say,
    sweep,
    words_of,
)
from tests.worlds import NOON, FakeCarrier, TestClock, opt_out

pytestmark = pytest.mark.usefixtures("aws")

MOMENT = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock() -> TestClock:
    create_codes()
    return TestClock()


@pytest.fixture
def carrier() -> FakeCarrier:
    return FakeCarrier()


@pytest.fixture
def one_request_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """moto keeps its tables in plain dicts; DynamoDB does not mind threads."""
    real, lock = BotocoreStubber.__call__, Lock()

    def locked(*args: Any, **kwargs: Any) -> Any:
        with lock:
            return real(*args, **kwargs)

    monkeypatch.setattr(BotocoreStubber, "__call__", locked)


def problem_of(error: RecadoError) -> tuple[str, str]:
    (problem,) = error.fields
    return problem.field, problem.code


def refusals_of(error: RecadoError) -> dict[str, str]:
    return {one["number"]: one["reason"] for one in error.members["refused"]}


# --- Opening


def test_opening_sends_the_text_to_each_handset_from_a_code_of_the_pool(clock: TestClock, carrier: FakeCarrier) -> None:
    session_id = open_session(clock, ANA, LUIS)

    arrived = deliver(carrier, clock)

    assert session_id == id_of("1")
    assert [(text.to, text.text) for text in arrived] == [(ANA, HELLO), (LUIS, HELLO)]
    assert {text.sender for text in arrived} <= set(CODES)
    opening = sessions.get_opening(session_id, clock())
    assert [(one.number, one.code) for one in opening.handsets] == [(text.to, text.sender) for text in arrived]
    assert opening.ends_at == NOON + timedelta(minutes=5)


def test_numbers_are_read_as_people_type_them_and_each_handset_gets_one_text(
    clock: TestClock, carrier: FakeCarrier
) -> None:
    session_id = open_session(clock, "809 555 0101", "(809) 555-0101", "1 809 555 0101", "829-555-0102")

    assert [text.to for text in deliver(carrier, clock)] == [ANA, LUIS]
    assert [one.typed for one in sessions.get_opening(session_id, clock()).handsets] == ["809 555 0101", "829-555-0102"]


def test_only_subscribers_of_the_sessions_country_are_written_to(clock: TestClock, carrier: FakeCarrier) -> None:
    # C2: Chile, the United States (which shares +1), and nothing that could be dialled.
    session_id = open_session(clock, ANA, "+56 9 1234 5678", "+1 212 555 0100", "12")

    assert [text.to for text in deliver(carrier, clock)] == [ANA]
    assert [(one.typed, one.reason) for one in sessions.get_opening(session_id, clock()).refused] == [
        ("+56 9 1234 5678", NotReached.NOT_A_SUBSCRIBER),
        ("+1 212 555 0100", NotReached.NOT_A_SUBSCRIBER),
        ("12", NotReached.NOT_A_NUMBER),
    ]


def test_who_said_stop_to_a_session_is_refused_in_the_next(clock: TestClock, carrier: FakeCarrier) -> None:
    opt_out(ANA, "reply", school_id="web")

    session_id = open_session(clock, ANA, LUIS)

    assert [text.to for text in deliver(carrier, clock)] == [LUIS]
    assert [(one.typed, one.reason) for one in sessions.get_opening(session_id, clock()).refused] == [
        (ANA, NotReached.OPTED_OUT)
    ]


def test_a_fleet_handset_receives_and_is_marked_as_one_that_cannot_answer(
    clock: TestClock, carrier: FakeCarrier
) -> None:
    # C3
    assert fleets.create_entry(COUNTRY, FleetEntry(ANA))

    session_id = open_session(clock, ANA, LUIS)

    assert [text.to for text in deliver(carrier, clock)] == [ANA, LUIS]
    assert [one.can_answer for one in sessions.get_opening(session_id, clock()).handsets] == [False, True]


@pytest.mark.usefixtures("one_request_at_a_time")
def test_many_handsets_go_out_in_pages_of_a_hundred_each_with_a_code_C5(clock: TestClock, carrier: FakeCarrier) -> None:
    # C5: to as many people as wanted.
    numbers = [f"+1809556{position:04}" for position in range(101)]

    session_id = open_session(clock, *numbers)

    assert len(jobs := jobs_on("SessionsQueue")) == 2
    assert not any(number in job or HELLO in job for job in jobs for number in numbers)
    session = session_table.find_session(session_id)
    assert session is not None
    sessions.put_page_jobs(session, [(ref, 1) for ref in sessions.page_refs(session)])
    assert sorted(text.to for text in deliver(carrier, clock)) == numbers
    assert all(one.code in CODES for one in sessions.get_opening(session_id, clock()).handsets)


def test_more_numbers_than_a_session_may_hold_are_refused_and_nothing_is_written(clock: TestClock) -> None:
    numbers = [f"+1809556{position:04}" for position in range(SETTINGS.session_handsets_max + 1)]

    with pytest.raises(InvalidRequest) as refused:
        open_session(clock, *numbers)

    assert problem_of(refused.value) == ("/to", "too_many")
    assert rows_of(id_of("1")) == {}


def test_numbers_are_as_long_as_people_type_them_so_that_all_fit_into_one_row(clock: TestClock) -> None:
    # A control character is six bytes of the row's JSON.
    hostile = ["000\x01" + "\x01" * 22 + f"{position:06}" for position in range(SETTINGS.session_handsets_max - 1)]

    with pytest.raises(InvalidRequest) as refused:
        open_session(clock, ANA, "000" + "😀" * 8)
    session_id = open_session(clock, ANA, *hostile)

    assert problem_of(refused.value) == ("/to/1", "too_long")
    assert len(sessions.get_opening(session_id, clock()).refused) == len(hostile)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("  \n ", "empty"),
        ("\u200b\ufeff", "empty"),
        ("a\x00b", "control_characters"),
        ("a\tb", "control_characters"),
        ("á" * 671, "too_long"),
    ],
)
def test_a_text_that_cannot_be_sent_is_refused_and_nothing_is_written(clock: TestClock, text: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        open_session(clock, text=text)

    assert problem_of(refused.value) == ("/text", code)
    assert rows_of(id_of("1")) == {}


def test_ten_segments_are_sent_with_the_line_ends_of_a_browser_made_one(clock: TestClock, carrier: FakeCarrier) -> None:
    open_session(clock, text="á\r\n" + "á" * 668)

    assert [text.text for text in deliver(carrier, clock)] == ["á\n" + "á" * 668]


def test_when_nobody_can_be_written_to_nothing_is_written(clock: TestClock) -> None:
    with pytest.raises(NoHandsetReachable) as refused:
        open_session(clock, "12", "+56 9 1234 5678")

    assert refusals_of(refused.value) == {"12": "not_a_number", "+56 9 1234 5678": "not_a_subscriber"}
    assert refused.value.retry_after_seconds is None
    assert rows_of(id_of("1")) == {}


def test_codes_of_schools_and_codes_that_drain_are_not_claimed(aws: None) -> None:
    clock = TestClock()
    assert short_codes.create_code(ShortCode(COUNTRY, "20600", CARRIER, Purpose.SCHOOLS))
    create_codes("44101")
    assert short_codes.drain_code(COUNTRY, "44101", NOON)

    with pytest.raises(NoHandsetReachable) as refused:
        open_session(clock)

    assert refusals_of(refused.value) == {ANA: "no_short_code_free"}


def test_draining_keeps_its_first_moment_and_knows_which_codes_there_are(clock: TestClock) -> None:
    assert short_codes.drain_code(COUNTRY, CODES[0], NOON)

    assert short_codes.drain_code(COUNTRY, CODES[0], NOON + timedelta(hours=1))

    found = short_codes.find_code(COUNTRY, CODES[0])
    assert found is not None
    assert (found.state, found.drained_at) == (CodeState.DRAINING, NOON)
    assert not short_codes.drain_code(COUNTRY, "99999", NOON)
    assert short_codes.find_code("CL", CODES[0]) is None
    assert [one.code for one in short_codes.list_codes(COUNTRY)] == list(CODES)
    assert not short_codes.create_code(ShortCode(COUNTRY, CODES[0], CARRIER, Purpose.SCHOOLS))


def test_without_a_code_for_anybody_nothing_remains_and_the_refusal_says_when_to_return(aws: None) -> None:
    create_codes("44101", "44102")
    clock = TestClock()
    for name in ("1", "2"):
        sessions.end(open_session(clock, name=name), clock)
        clock.move(minutes=1)

    with pytest.raises(NoHandsetReachable) as refused:
        open_session(clock, name="3")

    # The code used last never serves next: the other is free one quarantine after the first session's end.
    assert refused.value.retry_after_seconds == SETTINGS.quarantine_seconds - 120
    assert refused.value.members["refused"] == [
        {
            "number": ANA,
            "reason": "no_short_code_free",
            "retry_at": (NOON + SETTINGS.quarantine).isoformat(),
        }
    ]
    assert rows_of(id_of("3")) == {}
    clock.move(seconds=refused.value.retry_after_seconds)
    assert open_session(clock, name="3", is_first=False) == id_of("3")


def test_who_gets_no_code_is_refused_and_the_others_go_out(aws: None, carrier: FakeCarrier) -> None:
    create_codes("44101")
    clock = TestClock()
    open_session(clock, ANA, name="1")
    deliver(carrier, clock)

    session_id = open_session(clock, ANA, LUIS, name="2")

    assert [text.to for text in deliver(carrier, clock)] == [LUIS]
    assert [(one.typed, one.reason, one.retry_at) for one in sessions.get_opening(session_id, clock()).refused] == [
        (ANA, NotReached.NO_SHORT_CODE_FREE, None)
    ]


def test_two_web_users_hold_the_same_handset_on_different_codes(clock: TestClock, carrier: FakeCarrier) -> None:
    mine, yours = open_session(clock, name="1"), open_session(clock, name="2")

    first, second = deliver(carrier, clock)

    assert first.sender != second.sender
    assert answer(first, "para el primero", clock, reply_id="r1") is ReplyOutcome.TO_SESSION
    assert answer(second, "para el segundo", clock, reply_id="r2") is ReplyOutcome.TO_SESSION
    assert words_of(mine, clock) == [HELLO, "para el primero"]
    assert words_of(yours, clock) == [HELLO, "para el segundo"]


# --- The same request again


def test_the_same_key_finds_its_session_and_sends_nothing_again(clock: TestClock, carrier: FakeCarrier) -> None:
    session_id = open_session(clock)
    deliver(carrier, clock)

    again = open_session(clock, is_first=False)

    assert again == session_id
    assert deliver(carrier, clock) == []
    assert words_of(session_id, clock) == [HELLO]


def test_the_request_that_opened_a_session_says_its_text_no_second_time_after_others_were_said(
    clock: TestClock, carrier: FakeCarrier
) -> None:
    session_id = open_session(clock)
    deliver(carrier, clock)
    say(session_id, clock)
    deliver(carrier, clock)

    assert open_session(clock, is_first=False) == session_id

    assert deliver(carrier, clock) == []
    assert words_of(session_id, clock) == [HELLO, "¿Y a las 6?"]


def test_the_request_that_opened_a_session_overtaken_by_the_next_text_says_its_own_no_second_time(
    clock: TestClock, carrier: FakeCarrier
) -> None:
    session_id = open_session(clock)
    deliver(carrier, clock)

    with just_before(
        "GetItem", lambda: say(session_id, clock), nth=3
    ):  # its first two reads see the first text as the latest
        assert open_session(clock, is_first=False) == session_id

    assert [text.text for text in deliver(carrier, clock)] == ["¿Y a las 6?"]


def test_a_key_that_opened_a_session_days_ago_is_refused(clock: TestClock) -> None:
    sessions.end(open_session(clock), clock)

    with pytest.raises(IdempotencyKeyReused):
        open_session(clock, is_first=True)


def test_a_key_whose_session_has_ended_never_opens_it_again(clock: TestClock, carrier: FakeCarrier) -> None:
    # Invariant 6: the worker died before it answered, and its user comes back after the end.
    open_session(clock)
    deliver(carrier, clock)
    clock.move(minutes=5)
    sweep(clock)

    with pytest.raises(SessionEnded):
        open_session(clock, is_first=False)

    assert deliver(carrier, clock) == []


def test_a_session_whose_row_was_written_and_whose_answer_was_lost_is_not_taken_for_anothers(
    clock: TestClock, carrier: FakeCarrier
) -> None:
    with faults("TransactWriteItems", "applied", "applied"):
        session_id = open_session(clock)

    assert [text.to for text in deliver(carrier, clock)] == [ANA]
    assert words_of(session_id, clock) == [HELLO]


@pytest.mark.parametrize("operation", ["PutItem", "UpdateItem", "BatchWriteItem"])
def test_an_answer_lost_on_the_way_changes_nothing(clock: TestClock, carrier: FakeCarrier, operation: str) -> None:
    with faults(operation, "applied", "lost"):
        session_id = open_session(clock)

    assert [text.to for text in deliver(carrier, clock)] == [ANA]
    assert sessions.read(session_id, 0, clock).is_sending is False


def test_a_session_carried_on_at_the_last_moment_does_not_end_while_its_codes_are_claimed(
    clock: TestClock, carrier: FakeCarrier
) -> None:
    with just_before("TransactWriteItems", kill, nth=2), pytest.raises(Killed):  # 1 is its own row's
        open_session(clock)
    clock.now = NOON + timedelta(minutes=4, seconds=59)

    with just_before("TransactWriteItems", lambda: clock.move(seconds=2), nth=1):
        session_id = open_session(clock, is_first=False)

    assert [text.to for text in deliver(carrier, clock)] == [ANA]
    assert words_of(session_id, clock) == [HELLO]


def test_a_request_carried_on_finds_the_code_it_had_claimed(clock: TestClock, carrier: FakeCarrier) -> None:
    with just_before("UpdateItem", kill, nth=UPDATES_OF_BOOKING + 1), pytest.raises(Killed):
        open_session(clock)
    (held,) = routes.list_routes(ANA)

    open_session(clock, is_first=False)

    assert [text.sender for text in deliver(carrier, clock)] == [held.code]
    assert len(routes.list_routes(ANA)) == 1


def test_the_same_request_while_its_text_is_spoken_does_not_have_it_spoken_again(
    clock: TestClock, carrier: FakeCarrier
) -> None:
    # Invariant 3: the worker dies after the carrier took the text and before it could write so.
    open_session(clock)
    with just_before("TransactWriteItems", kill, nth=1), pytest.raises(Killed):
        deliver(carrier, clock)

    open_session(clock, is_first=False)

    clock.move(minutes=2)
    deliver(carrier, clock)
    sweep(clock)
    deliver(carrier, clock)
    assert [text.to for text in carrier.heard] == [ANA]


# --- Saying


def test_one_message_at_a_time_C5(clock: TestClock, carrier: FakeCarrier) -> None:
    # C5
    session_id = open_session(clock)

    with pytest.raises(StillSending) as refused:
        say(session_id, clock)

    assert refused.value.retry_after_seconds == 2
    assert sessions.read(session_id, 0, clock).is_sending is True
    deliver(carrier, clock)
    assert sessions.read(session_id, 0, clock).is_sending is False
    assert say(session_id, clock) == session_id


def test_a_second_text_goes_to_the_same_handsets_from_the_same_codes(clock: TestClock, carrier: FakeCarrier) -> None:
    session_id = open_session(clock, ANA, LUIS)
    first = deliver(carrier, clock)

    say(session_id, clock, text="¿Y a las 6?")

    second = deliver(carrier, clock)
    assert [(text.to, text.sender) for text in second] == [(text.to, text.sender) for text in first]
    assert {text.text for text in second} == {"¿Y a las 6?"}
    assert len({text.reference for text in first + second}) == 4


def test_a_text_may_go_to_some_of_the_sessions_handsets(clock: TestClock, carrier: FakeCarrier) -> None:
    session_id = open_session(clock, ANA, LUIS, "12")
    deliver(carrier, clock)

    say(session_id, clock, "829 555 0102", "12")

    assert [text.to for text in deliver(carrier, clock)] == [LUIS]


def test_a_number_that_is_not_of_the_session_is_refused_by_its_place(clock: TestClock, carrier: FakeCarrier) -> None:
    session_id = open_session(clock, ANA)
    deliver(carrier, clock)

    with pytest.raises(InvalidRequest) as refused:
        say(session_id, clock, ANA, WANDA)

    assert problem_of(refused.value) == ("/to/1", "not_in_this_session")
    assert deliver(carrier, clock) == []


def test_only_refused_numbers_reach_nobody(clock: TestClock, carrier: FakeCarrier) -> None:
    session_id = open_session(clock, ANA, "12")
    deliver(carrier, clock)

    with pytest.raises(NoHandsetReachable):
        say(session_id, clock, "12")


def test_the_same_text_said_again_under_its_key_goes_out_once(clock: TestClock, carrier: FakeCarrier) -> None:
    session_id = open_session(clock)
    deliver(carrier, clock)
    with faults("TransactWriteItems", "applied"):
        say(session_id, clock)

    say(session_id, clock, is_first=False)

    assert len(deliver(carrier, clock)) == 1
    assert words_of(session_id, clock) == [HELLO, "¿Y a las 6?"]


def test_after_the_end_a_text_without_numbers_is_refused(clock: TestClock, carrier: FakeCarrier) -> None:
    session_id = open_session(clock)
    deliver(carrier, clock)
    clock.move(minutes=5)

    with pytest.raises(SessionEnded):
        say(session_id, clock)


@pytest.mark.parametrize("is_swept", [False, True])
def test_after_the_end_a_text_with_numbers_opens_another_session_from_another_code(
    clock: TestClock, carrier: FakeCarrier, is_swept: bool
) -> None:
    # C7, C8
    session_id = open_session(clock)
    (first,) = deliver(carrier, clock)
    clock.move(minutes=5)
    if is_swept:
        sweep(clock)

    other_id = say(session_id, clock, ANA)

    (second,) = deliver(carrier, clock)
    assert other_id not in (session_id, "")
    assert (second.to, second.text) == (ANA, "¿Y a las 6?")
    assert second.sender != first.sender
    assert words_of(other_id, clock) == ["¿Y a las 6?"]
    assert answer(first, "tarde", clock) is ReplyOutcome.LATE
    assert words_of(other_id, clock) == ["¿Y a las 6?"]


def test_a_text_that_went_out_before_the_end_is_not_said_again_in_another_session(
    clock: TestClock, carrier: FakeCarrier
) -> None:
    session_id = open_session(clock)
    deliver(carrier, clock)
    say(session_id, clock, ANA)
    deliver(carrier, clock)
    clock.move(minutes=6)
    sweep(clock)

    with pytest.raises(SessionEnded):
        say(session_id, clock, ANA, is_first=False)

    assert deliver(carrier, clock) == []


def test_a_text_whose_session_ends_before_it_is_spoken_reaches_nobody(clock: TestClock, carrier: FakeCarrier) -> None:
    open_session(clock)
    clock.move(minutes=5)

    assert deliver(carrier, clock) == []


# --- Replies


def test_a_reply_shows_once_with_its_number_and_the_carriers_time(clock: TestClock, carrier: FakeCarrier) -> None:
    session_id = open_session(clock)
    (text,) = deliver(carrier, clock)
    clock.move(seconds=30)

    outcomes = [answer(text, "sí", clock), answer(text, "sí", clock)]

    assert outcomes == [ReplyOutcome.TO_SESSION, ReplyOutcome.DUPLICATE]
    out, reply = sessions.read(session_id, 0, clock).texts
    assert (out.direction, out.number) == (Direction.OUT, None)
    assert (reply.direction, reply.text, reply.number, reply.code) == (Direction.IN, "sí", ANA, text.sender)
    assert reply.at == NOON + timedelta(seconds=30)


def test_reading_goes_on_after_what_was_read(clock: TestClock, carrier: FakeCarrier) -> None:
    session_id = open_session(clock)
    (text,) = deliver(carrier, clock)
    first = sessions.read(session_id, 0, clock)
    sessions.extend(session_id, clock)
    answer(text, "sí", clock)

    second = sessions.read(session_id, first.next_after, clock)

    assert [line.text for line in second.texts] == ["sí"]
    third = sessions.read(session_id, second.next_after, clock)
    assert (third.texts, third.next_after) == ((), second.next_after)


def test_an_accepted_reply_is_rated_once_with_its_taxes(clock: TestClock, carrier: FakeCarrier) -> None:
    # C6
    open_session(clock)
    (text,) = deliver(carrier, clock)

    answer(text, "sí", clock)
    clock.move(minutes=1)
    answer(text, "sí", clock)

    found = ratings.find_rating(CARRIER, "r1")
    assert found is not None
    assert found.rating is not None
    assert (found.number, found.code, found.rated_at) == (ANA, text.sender, NOON)
    assert (found.rating.currency, str(found.rating.price), str(found.rating.total)) == ("DOP", "1.00", "1.30")
    assert [(name, str(amount)) for name, amount in found.rating.taxes] == [
        ("ITBIS", "0.18"),
        ("ISC", "0.10"),
        ("CDT", "0.02"),
    ]
    rows = boto3.resource("dynamodb").Table("LedgerTable").scan(IndexName="ByDay")["Items"]
    assert [row["day_shard"].rpartition("#")[0] for row in rows] == ["DO#2026-11-23"]


def test_a_reply_after_the_end_reaches_nobody_and_is_not_rated(clock: TestClock, carrier: FakeCarrier) -> None:
    # C9
    session_id = open_session(clock)
    (text,) = deliver(carrier, clock)
    clock.move(minutes=5)

    assert answer(text, "tarde", clock) is ReplyOutcome.LATE

    assert ratings.find_rating(CARRIER, "r1") is None
    assert "tarde" not in str(rows_of(session_id))


def test_a_reply_to_a_code_that_never_wrote_to_the_handset_reaches_nobody(clock: TestClock) -> None:
    assert answer_to(ANA, CODES[0], "¿quién es?", clock) is ReplyOutcome.LATE


def test_a_reply_within_the_quarantine_reaches_no_later_session_of_the_handset(
    clock: TestClock, carrier: FakeCarrier
) -> None:
    # Invariant 5: other people's sessions with the same handset, until the first code may serve again.
    sessions.end(open_session(clock, name="0"), clock)
    (first,) = [route for route in routes.list_routes(ANA) if route.free_at is not None]
    others = []
    for name in ("1", "2"):
        clock.move(seconds=SETTINGS.quarantine_seconds / 2 - 1)
        others.append(open_session(clock, name=name))

        assert answer_to(ANA, first.code, "tarde", clock, reply_id=f"r{name}") is ReplyOutcome.LATE

    assert "tarde" not in str([rows_of(session_id) for session_id in others])


def test_a_fleet_handsets_reply_is_neither_shown_nor_rated(clock: TestClock, carrier: FakeCarrier) -> None:
    # C3
    assert fleets.create_entry(COUNTRY, FleetEntry(ANA))
    session_id = open_session(clock)
    (text,) = deliver(carrier, clock)

    assert answer(text, "no puedo", clock) is ReplyOutcome.UNROUTED

    assert words_of(session_id, clock) == [HELLO]
    assert ratings.find_rating(CARRIER, "r1") is None


def test_stop_shows_and_ends_the_texts_to_that_handset(clock: TestClock, carrier: FakeCarrier) -> None:
    session_id = open_session(clock, ANA, LUIS)
    text = deliver(carrier, clock)[0]

    assert answer(text, "BAJA", clock) is ReplyOutcome.TO_SESSION

    say(session_id, clock)
    assert [one.to for one in of_talks(deliver(carrier, clock))] == [LUIS]
    clock.move(minutes=1)
    assert answer(text, "ALTA", clock, reply_id="r2") is ReplyOutcome.TO_SESSION
    assert opt_outs.find_causes("web", ANA) == frozenset()


def test_a_stop_that_reaches_nobody_binds_all_the_same_and_its_repetition_does_not_undo_a_later_start(
    clock: TestClock, carrier: FakeCarrier
) -> None:
    open_session(clock)
    (text,) = deliver(carrier, clock)
    clock.move(minutes=6)
    stop_at = TestClock(clock())

    assert answer(text, "STOP", clock) is ReplyOutcome.LATE
    assert opt_outs.find_causes("web", ANA) == {"reply"}

    clock.move(minutes=1)
    answer(text, "ALTA", clock, reply_id="r2")
    answer(text, "STOP", stop_at)
    assert opt_outs.find_causes("web", ANA) == frozenset()


def test_a_reply_that_others_keep_overtaking_is_tried_again_with_a_fresh_clock_and_then_refused(
    clock: TestClock, carrier: FakeCarrier
) -> None:
    session_id = open_session(clock)
    (text,) = deliver(carrier, clock)
    looks = []

    def ticking() -> datetime:
        clock.move(seconds=1)
        looks.append(clock())
        return clock()

    with just_before("TransactWriteItems", lambda: sessions.extend(session_id, clock)), pytest.raises(SessionBusy):
        session_replies.take_reply(HandsetReply(ANA, text.sender, "sí", CARRIER, "r1", NOON), ticking)

    assert len(looks) == 5
    assert words_of(session_id, clock) == [HELLO]
    assert answer(text, "sí", clock) is ReplyOutcome.TO_SESSION


def test_a_reply_that_meets_the_end_while_it_is_being_written_reaches_nobody(
    clock: TestClock, carrier: FakeCarrier
) -> None:
    session_id = open_session(clock)
    (text,) = deliver(carrier, clock)

    with just_before("TransactWriteItems", lambda: session_table.close(session_id, clock()), nth=1):
        outcome = answer(text, "sí", clock)

    assert outcome is ReplyOutcome.LATE
    assert ratings.find_rating(CARRIER, "r1") is None
    assert "sí" not in str(rows_of(session_id))


# --- The end


def test_a_session_lives_until_the_last_moment_and_ends_at_exactly_five_idle_minutes_C7(
    clock: TestClock, carrier: FakeCarrier
) -> None:
    # C7, invariant 6
    session_id = open_session(clock)
    deliver(carrier, clock)

    clock.now = NOON + timedelta(minutes=5) - MOMENT
    assert words_of(session_id, clock) == [HELLO]
    assert sweep(clock).ended == 0
    clock.now = NOON + timedelta(minutes=5)
    with pytest.raises(SessionEnded):
        words_of(session_id, clock)


@pytest.mark.parametrize("activity", ["say", "reply", "extend"])
def test_activity_starts_the_five_minutes_again_and_reading_does_not(
    clock: TestClock, carrier: FakeCarrier, activity: str
) -> None:
    session_id = open_session(clock)
    (text,) = deliver(carrier, clock)
    clock.move(minutes=4)
    if activity == "say":
        say(session_id, clock)
    elif activity == "reply":
        answer(text, "sí", clock)
    else:
        assert sessions.extend(session_id, clock) == NOON + timedelta(minutes=9)
    active_at = clock()

    clock.now = active_at + timedelta(minutes=5) - MOMENT
    assert sessions.read(session_id, 0, clock).ends_at == active_at + timedelta(minutes=5)
    clock.now = active_at + timedelta(minutes=5)
    with pytest.raises(SessionEnded):
        sessions.read(session_id, 0, clock)


@pytest.mark.parametrize("seer", ["read", "say", "extend", "reply", "open", "opening"])
def test_whoever_sees_the_end_writes_it_so_that_no_clock_behind_sees_it_alive(
    clock: TestClock, carrier: FakeCarrier, seer: str
) -> None:
    # Invariant 6: what was once seen ended stays ended.
    session_id = open_session(clock)
    (text,) = deliver(carrier, clock)
    clock.move(minutes=5)

    looks: dict[str, Callable[[], object]] = {
        "read": lambda: sessions.read(session_id, 0, clock),
        "say": lambda: say(session_id, clock),
        "extend": lambda: sessions.extend(session_id, clock),
        "open": lambda: open_session(clock, is_first=False),
        "opening": lambda: sessions.get_opening(session_id, clock()),
    }
    if seer == "reply":
        assert answer(text, "tarde", clock) is ReplyOutcome.LATE
    else:
        with pytest.raises(SessionEnded):
            looks[seer]()

    clock.now = NOON + timedelta(minutes=1)
    with pytest.raises(SessionEnded):
        sessions.read(session_id, 0, clock)
    assert answer(text, "tarde", clock, reply_id="r2") is ReplyOutcome.LATE


def test_a_reply_between_reading_and_closing_wins(clock: TestClock, carrier: FakeCarrier) -> None:
    session_id = open_session(clock)
    (text,) = deliver(carrier, clock)
    seen = session_table.find_session(session_id)
    assert seen is not None
    clock.now = NOON + timedelta(minutes=5) - MOMENT
    answer(text, "sí", clock)

    clock.now = NOON + timedelta(minutes=5)

    assert sessions.close_if_over(seen, clock()) is False
    assert words_of(session_id, clock) == [HELLO, "sí"]


def test_no_session_is_longer_than_eight_hours(clock: TestClock, carrier: FakeCarrier) -> None:
    session_id = open_session(clock)
    deliver(carrier, clock)
    while clock() < NOON + timedelta(hours=7, minutes=56):
        clock.move(minutes=4)
        sessions.extend(session_id, clock)

    assert sessions.read(session_id, 0, clock).ends_at == NOON + timedelta(hours=8)
    clock.now = NOON + timedelta(hours=8)
    with pytest.raises(SessionEnded):
        sessions.extend(session_id, clock)


def test_the_user_may_end_it_at_once_and_its_words_are_gone(clock: TestClock, carrier: FakeCarrier) -> None:
    session_id = open_session(clock)
    (text,) = deliver(carrier, clock)
    answer(text, "sí", clock)

    sessions.end(session_id, clock)
    sessions.end(session_id, clock)

    with pytest.raises(SessionEnded):
        sessions.read(session_id, 0, clock)
    assert list(rows_of(session_id)) == ["session"]
    route = routes.find_route(ANA, text.sender)
    assert route is not None
    assert route.free_at == NOON + SETTINGS.quarantine


# --- The sweeper


def test_the_sweeper_frees_the_codes_and_deletes_every_word_and_number(clock: TestClock, carrier: FakeCarrier) -> None:
    session_id = open_session(clock, ANA, LUIS)
    arrived = deliver(carrier, clock)
    answer(arrived[0], "sí", clock)
    clock.move(minutes=5, seconds=40)

    swept = sweep(clock)

    assert (swept.ended, swept.failed, swept.is_done) == (1, 0, True)
    for text in arrived:
        route = routes.find_route(text.to, text.sender)
        assert route is not None
        assert route.free_at == clock() + SETTINGS.quarantine
    # What stays says only that it was there: no number, no text, and nobody looks at it again.
    (row,) = rows_of(session_id).values()
    assert not {"check_at", "due_shard", "sending"} & set(row)
    assert not any(word in str(row) for word in (ANA, LUIS, HELLO, "sí"))
    assert sweep(clock) == session_sweep.Swept(ended=0, kept=0, failed=0, is_done=True)


def test_the_sweeper_looks_again_exactly_when_a_session_would_end(clock: TestClock, carrier: FakeCarrier) -> None:
    session_id = open_session(clock)
    (text,) = deliver(carrier, clock)
    clock.move(minutes=3)
    answer(text, "sí", clock)

    assert sweep(clock).kept == 1

    session = session_table.find_session(session_id)
    assert session is not None
    assert session.check_at == clock() + timedelta(minutes=5)
    assert sweep(clock).kept == 0


def test_a_sweeper_out_of_time_stops_and_the_next_goes_on(clock: TestClock) -> None:
    for name in "123":
        open_session(clock, f"+1809556000{name}", name=name)
    clock.move(minutes=6)

    assert sweep(clock, minutes_left=0.1) == session_sweep.Swept(ended=0, kept=0, failed=0, is_done=False)
    assert sweep(clock).ended == 3


def test_one_session_that_cannot_be_swept_does_not_keep_the_others(clock: TestClock) -> None:
    broken, _ = open_session(clock, name="1"), open_session(clock, LUIS, name="2")
    boto3.resource("dynamodb").Table("SessionsTable").update_item(
        Key={"pk": f"X#{broken}", "sk": "session"},
        UpdateExpression="REMOVE last_activity_at SET says = :x",
        ExpressionAttributeValues={":x": "x"},
    )
    clock.move(minutes=6)

    swept = sweep(clock)

    assert (swept.ended, swept.failed) == (1, 1)


@pytest.mark.parametrize("operation", ["UpdateItem", "BatchWriteItem", "GetItem", "Query"])
def test_a_sweep_whose_answers_are_lost_ends_the_same(clock: TestClock, carrier: FakeCarrier, operation: str) -> None:
    session_id = open_session(clock)
    (text,) = deliver(carrier, clock)
    clock.move(minutes=6)

    with faults(operation, "applied", None, "applied", "lost"):
        sweep(clock)
    clock.move(minutes=1)
    sweep(clock)

    assert list(rows_of(session_id)) == ["session"]
    route = routes.find_route(ANA, text.sender)
    assert route is not None
    assert route.free_at is not None


def test_what_is_kept_of_a_session_are_counts_on_the_day_it_was_opened_C7(
    clock: TestClock, carrier: FakeCarrier
) -> None:
    clock.now = datetime(2026, 11, 24, 3, 58, tzinfo=UTC)  # the 23rd, by Dominican clocks
    session_id = open_session(clock, ANA, LUIS, "12")
    text, _ = deliver(carrier, clock)
    answer(text, "sí", clock)
    say(session_id, clock)
    deliver(carrier, clock)
    answer(text, "sí, sí", clock, reply_id="r2")
    clock.move(minutes=5)

    sweep(clock)
    sweep(clock)

    counted = session_counts.list_counts(COUNTRY, date(2026, 11, 22), date(2026, 11, 25))
    assert counted == [DayCounts(date(2026, 11, 23), sessions=1, texts=2, handsets=2, replies=2, refused=1)]


def test_a_session_that_its_user_ends_is_counted_once(clock: TestClock, carrier: FakeCarrier) -> None:
    session_id = open_session(clock)

    sessions.end(session_id, clock)
    sessions.end(session_id, clock)
    clock.move(minutes=6)
    sweep(clock)

    (counted,) = session_counts.list_counts(COUNTRY, NOON.date(), NOON.date())
    assert (counted.sessions, counted.texts) == (1, 1)


def test_a_count_that_fails_keeps_no_session_from_being_cleared(clock: TestClock) -> None:
    session_id = open_session(clock)
    clock.move(minutes=6)

    with faults("UpdateItem", None, None, None, "lost", "lost", "lost"):  # closed, released, buried, then counted
        swept = sweep(clock)

    assert (swept.ended, swept.failed) == (1, 0)
    assert list(rows_of(session_id)) == ["session"]
    assert session_counts.list_counts(COUNTRY, NOON.date(), NOON.date()) == []


def test_a_reply_between_the_sweepers_reading_and_its_closing_wins_and_nothing_is_released(
    clock: TestClock, carrier: FakeCarrier
) -> None:
    session_id = open_session(clock)
    (text,) = deliver(carrier, clock)
    clock.now = NOON + timedelta(minutes=5)

    def reply() -> None:
        clock.now = NOON + timedelta(minutes=5) - MOMENT
        assert answer(text, "sí", clock) is ReplyOutcome.TO_SESSION
        clock.now = NOON + timedelta(minutes=5)

    with just_before("UpdateItem", reply, nth=1):  # the closing
        swept = sweep(clock)

    assert (swept.ended, swept.kept, swept.failed) == (0, 1, 0)
    assert words_of(session_id, clock) == [HELLO, "sí"]
    assert "free_at" not in route_row(ANA, text.sender)
    assert answer(text, "sigo aquí", clock, reply_id="r2") is ReplyOutcome.TO_SESSION


def test_a_reply_after_the_sweepers_closing_reaches_nobody(clock: TestClock, carrier: FakeCarrier) -> None:
    session_id = open_session(clock)
    (text,) = deliver(carrier, clock)
    clock.now = NOON + timedelta(minutes=5)

    def reply() -> None:
        clock.now = NOON + timedelta(minutes=5) - MOMENT
        assert answer(text, "sí", clock) is ReplyOutcome.LATE
        clock.now = NOON + timedelta(minutes=5)

    with just_before("UpdateItem", reply, nth=2):  # the release
        assert sweep(clock).ended == 1

    assert list(rows_of(session_id)) == ["session"]
    assert ratings.find_rating(CARRIER, "r1") is None


@pytest.mark.usefixtures("one_request_at_a_time")
def test_two_workers_on_one_shard_clear_it_once(clock: TestClock, carrier: FakeCarrier) -> None:
    names = [name for name in map(str, range(4000)) if session_table.due_shard(id_of(name)) == 7][:30]
    for place, name in enumerate(names):
        open_session(clock, f"+18095570{place:03}", name=name)
    clock.move(minutes=6)

    def work() -> session_sweep.Swept:
        return session_sweep.work(7, clock, lambda: timedelta(minutes=1))

    with ThreadPoolExecutor(2) as pool:
        found = [one.result() for one in [pool.submit(work), pool.submit(work)]]

    assert sum(one.failed for one in found) == 0
    assert all(list(rows_of(id_of(name))) == ["session"] for name in names)
    (counted,) = session_counts.list_counts(COUNTRY, NOON.date(), NOON.date())
    assert (counted.sessions, counted.handsets) == (30, 30)
    assert session_sweep.work(7, clock, lambda: timedelta(minutes=1)) == session_sweep.Swept(0, 0, 0, is_done=True)


@pytest.mark.usefixtures("one_request_at_a_time")
def test_a_session_of_many_handsets_is_cleared_after_the_others(clock: TestClock) -> None:
    names = [name for name in map(str, range(4000)) if session_table.due_shard(id_of(name)) == 7][:2]
    large = open_session(clock, *(f"+180955800{number:02}" for number in range(20)), name=names[0])
    small = open_session(clock, name=names[1])
    clock.move(minutes=6)
    ended = []

    with just_before("BatchWriteItem", lambda: ended.append(len(rows_of(small)))):
        swept = session_sweep.work(7, clock, lambda: timedelta(minutes=1))

    assert (swept.ended, swept.failed, swept.is_done) == (2, 0, True)
    assert ended[-1] == 1  # when the large one's rows went, the small one had gone
    assert list(rows_of(large)) == ["session"]
    assert all(routes.list_routes(f"+180955800{number:02}")[0].free_at for number in range(20))


def test_a_shard_whose_rows_cannot_be_read_together_is_swept_one_by_one(clock: TestClock) -> None:
    session_id = open_session(clock)
    clock.move(minutes=6)

    with faults("BatchGetItem", "lost", "lost", "lost"):
        assert sweep(clock).ended == 1

    assert list(rows_of(session_id)) == ["session"]


def test_jobs_are_put_four_times_a_minute_for_shards_in_which_something_is_due_before_the_next(
    clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    put: list[tuple[int, list[dict[str, int]]]] = []

    def note(_: str, jobs: list[dict[str, int]], *, group: str, delay_seconds: int) -> None:
        put.append((delay_seconds, jobs))

    monkeypatch.setattr(session_sweep, "put_jobs", note)
    session_id = open_session(clock)
    session_table.end_saying(session_id, 1)
    session_sweep.work(session_table.due_shard(session_id), lambda: clock() + timedelta(minutes=1), lambda: MINUTE)

    clock.now = NOON + timedelta(minutes=5) - session_sweep.AHEAD - MOMENT
    assert session_sweep.run(clock) == 0
    put.clear()
    clock.now += MOMENT
    assert session_sweep.run(clock) == 1

    assert put == [(seconds, [{"shard": session_table.due_shard(session_id)}]) for seconds in (0, 15, 30, 45)]


def test_a_shard_that_cannot_be_asked_keeps_no_other_waiting_and_gets_its_jobs(clock: TestClock) -> None:
    over = open_session(clock)
    clock.move(minutes=6)

    with faults("Query", "lost", "lost", "lost"):  # the first shard's
        session_sweep.run(clock)

    assert {session_sweep.read_job(body) for body in jobs_on("SweepsQueue")} == {0, session_table.due_shard(over)}


def test_a_session_closed_by_whoever_saw_its_end_is_due_all_the_same(clock: TestClock, carrier: FakeCarrier) -> None:
    session_id = open_session(clock)
    deliver(carrier, clock)
    clock.now = NOON + timedelta(minutes=1)
    sweep(clock)
    clock.now = NOON + timedelta(minutes=5)
    with pytest.raises(SessionEnded):
        sessions.read(session_id, 0, clock)

    assert sweep(clock).ended == 1

    assert list(rows_of(session_id)) == ["session"]


def test_codes_held_for_what_is_gone_rest_and_serve_again(clock: TestClock, carrier: FakeCarrier) -> None:
    buried = open_session(clock, LUIS, name="9")
    sessions.end(buried, clock)
    for code, holder in zip(CODES, ("s" + "a" * 25, "s" + "a" * 25, buried), strict=True):
        claim_pair(ANA, code, holder, clock())

    with pytest.raises(NoHandsetReachable):
        open_session(clock, ANA)
    assert {route.free_at for route in routes.list_routes(ANA)} == {clock() + SETTINGS.quarantine}

    clock.move(seconds=SETTINGS.quarantine_seconds)
    open_session(clock, ANA, name="2")
    assert [text.to for text in deliver(carrier, clock)] == [ANA]


def test_codes_of_sessions_that_are_there_are_left_to_them(clock: TestClock) -> None:
    for name in "123":
        open_session(clock, name=name)
    closed = id_of("1")
    assert session_table.close(closed, clock())  # and not cleared yet: its sweeper lets go of it

    with pytest.raises(NoHandsetReachable):
        open_session(clock, name="4")

    assert [route.free_at for route in routes.list_routes(ANA)] == [None, None, None]


def test_routes_claimed_by_whoever_died_before_writing_them_down_are_freed(clock: TestClock) -> None:
    with just_before("UpdateItem", kill, nth=UPDATES_OF_BOOKING + 1), pytest.raises(Killed):
        open_session(clock)
    (held,) = routes.list_routes(ANA)
    assert held.free_at is None
    clock.move(minutes=6)

    assert sweep(clock).ended == 1

    (freed,) = routes.list_routes(ANA)
    assert freed.free_at == clock() + SETTINGS.quarantine
    assert rows_of(id_of("1")) == {}  # nothing was sent, so the key may open it after all


def test_a_text_whose_jobs_were_lost_is_taken_up_within_the_minute(clock: TestClock, carrier: FakeCarrier) -> None:
    # Invariant 8
    session_id = open_session(clock)
    jobs_on("SessionsQueue")
    clock.move(seconds=59)
    assert sweep(clock).kept == 0
    clock.move(seconds=1)

    assert sweep(clock).kept == 1

    assert [text.to for text in deliver(carrier, clock)] == [ANA]
    assert sessions.read(session_id, 0, clock).is_sending is False


def test_a_page_that_somebody_is_speaking_is_left_alone(clock: TestClock, carrier: FakeCarrier) -> None:
    open_session(clock)
    clock.move(seconds=50)

    carrier.before = kill
    with pytest.raises(Killed):
        deliver(carrier, clock)
    carrier.before = lambda: None
    clock.move(seconds=40)

    sweep(clock)
    assert jobs_on("SessionsQueue") == []
    clock.move(seconds=60)
    sweep(clock)

    assert len(jobs_on("SessionsQueue")) == 1


def test_a_text_whose_last_page_closed_and_whose_worker_died_then_makes_room_for_the_next(
    clock: TestClock, carrier: FakeCarrier
) -> None:
    session_id = open_session(clock)
    with just_before("UpdateItem", kill, nth=2), pytest.raises(Killed):  # 1 is the wave's claim
        deliver(carrier, clock)
    assert len(carrier.heard) == 1
    assert sessions.read(session_id, 0, clock).is_sending is True
    clock.move(minutes=1)

    sweep(clock)

    assert sessions.read(session_id, 0, clock).is_sending is False
    session = session_table.find_session(session_id)
    assert session is not None
    assert session.check_at == NOON + timedelta(minutes=5)


def test_a_text_whose_pages_were_never_written_is_given_up_and_may_be_said_again_once(
    clock: TestClock, carrier: FakeCarrier
) -> None:
    session_id = open_session(clock)
    deliver(carrier, clock)
    with just_before("BatchWriteItem", kill), pytest.raises(Killed):
        say(session_id, clock)
    clock.move(minutes=1)

    sweep(clock)

    assert sessions.read(session_id, 0, clock).is_sending is False
    assert say(session_id, clock, is_first=False) == session_id
    assert [text.text for text in deliver(carrier, clock)] == ["¿Y a las 6?"]


def test_a_session_that_is_closed_but_was_not_cleared_is_found_at_once(clock: TestClock) -> None:
    session_id = open_session(clock)
    clock.move(seconds=10)
    assert session_table.close(session_id, clock())

    assert sweep(clock).ended == 1

    assert list(rows_of(session_id)) == ["session"]


def test_pages_written_after_the_end_are_deleted_by_whoever_wrote_them(clock: TestClock, carrier: FakeCarrier) -> None:
    # The user ends the session in another tab while a text's pages are being written.
    session_id = open_session(clock)
    deliver(carrier, clock)

    with just_before("BatchWriteItem", lambda: sessions.end(session_id, clock), nth=1), pytest.raises(SessionEnded):
        say(session_id, clock, ANA)

    assert list(rows_of(session_id)) == ["session"]
    assert jobs_on("SessionsQueue") == []


def test_pages_written_after_the_end_by_whoever_died_then_are_deleted_within_the_minute(
    clock: TestClock, carrier: FakeCarrier
) -> None:
    session_id = open_session(clock)
    deliver(carrier, clock)
    ended = []

    def end() -> None:
        sessions.end(session_id, clock)
        ended.append(session_id)

    ends = just_before("BatchWriteItem", end, nth=1)
    dies = just_before("UpdateItem", lambda: kill() if ended else None)  # when it would note that its pages are there
    with ends, dies, pytest.raises(Killed):
        say(session_id, clock, ANA)
    assert HELLO not in str(rows_of(session_id))
    assert ANA in str(rows_of(session_id))
    clock.move(seconds=61)

    sweep(clock)

    assert list(rows_of(session_id)) == ["session"]
    assert "check_at" not in rows_of(session_id)["session"]


# --- Codes over time


def test_a_code_serves_the_handset_again_only_after_its_quarantine(clock: TestClock, carrier: FakeCarrier) -> None:
    used = []
    for name in "123":
        sessions.end(open_session(clock, name=name), clock)
        used += [route.code for route in routes.list_routes(ANA) if route.code not in used]
        clock.move(minutes=1)
    assert sorted(used) == sorted(CODES)
    with pytest.raises(NoHandsetReachable):
        open_session(clock, name="5")

    clock.now = NOON + SETTINGS.quarantine
    session_id = open_session(clock, name="5", is_first=False)

    (handset,) = sessions.get_opening(session_id, clock()).handsets
    assert handset.code == used[0]


class Held(Exception):
    """By this session."""


class Taken(Exception):
    """By another, or it rests."""


def claim(session_id: str, now: datetime) -> str:
    try:
        with Transaction() as write:
            routes.claim_route(write, ANA, CODES[0], session_id, "source", now, held=Held(), taken=Taken())
    except (Held, Taken) as refused:
        return type(refused).__name__.lower()
    return "claimed"


def test_a_route_is_one_sessions_or_rests(clock: TestClock) -> None:
    assert claim("mine", NOON) == "claimed"
    assert claim("mine", NOON) == "held"
    assert claim("yours", NOON) == "taken"
    assert not routes.release_route(ANA, CODES[0], "yours", free_at=NOON)
    free_at = NOON + timedelta(hours=1)
    assert routes.release_route(ANA, CODES[0], "mine", free_at=free_at)
    assert not routes.release_route(ANA, CODES[0], "mine", free_at=free_at + timedelta(hours=1))
    assert claim("mine", free_at - MOMENT) == "taken"
    assert claim("yours", free_at - MOMENT) == "taken"
    assert claim("yours", free_at) == "claimed"
    assert "free_at" not in route_row(ANA, CODES[0])


def test_a_released_route_forgets_whose_connection_it_was(clock: TestClock) -> None:
    assert claim("mine", NOON) == "claimed"
    assert route_row(ANA, CODES[0])["source"] == "source"

    assert routes.release_route(ANA, CODES[0], "mine", free_at=NOON)

    assert "source" not in route_row(ANA, CODES[0])


def test_a_touch_never_brings_a_deleted_session_back(clock: TestClock) -> None:
    ghost = Session(
        id="s" + "a" * 25,
        state=SessionState.OPEN,
        opened_at=NOON,
        last_activity_at=NOON,
        check_at=NOON,
    )

    assert not session_table.touch(ghost, NOON, opened_after=NOON - timedelta(hours=8))
    assert not session_table.move_check(ghost, NOON)
    assert not session_table.end_saying(ghost.id, 1)
    assert not session_table.close(ghost.id, NOON)
    assert sessions.text_went_out(ghost.id, 1, clock()) is True
    assert rows_of(ghost.id) == {}


def test_a_session_says_nothing_in_the_log_that_is_its_users(
    clock: TestClock, carrier: FakeCarrier, caplog: pytest.LogCaptureFixture
) -> None:
    session_id = open_session(clock, ANA, LUIS)
    (text, _) = deliver(carrier, clock)
    answer(text, "sí, voy", clock)
    clock.move(minutes=6)
    answer(text, "tarde", clock, reply_id="r2")
    sweep(clock)

    written = "".join(str(vars(record)) for record in caplog.records)

    assert session_id in written
    assert not any(secret in written for secret in (ANA, LUIS, HELLO, "sí, voy", "tarde", key_of("1")))
