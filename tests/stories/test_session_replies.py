"""What comes back from handsets: whom a reply reaches, by its moments (invariant 5, C9); parts; notices."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import permutations

import boto3
import pytest

from recado import dispatch, session_notices, session_replies, sessions
from recado.carriers.speech import Outgoing, Refused, RefusedBecause
from recado.errors import SessionEnded
from recado.rules import answer_words, notice_words
from recado.rules.answer_words import Said
from recado.rules.country_time import local_day
from recado.rules.fleet_rows import FleetEntry
from recado.rules.reply_parts import Part
from recado.session_replies import HandsetReply, ReplyOutcome
from recado.settings import SETTINGS
from recado.tables import fleets, opt_outs, ratings, routes, session_counts, short_codes
from recado.tables import sessions as session_table
from tests.conftest import jobs_on
from tests.faults import faults
from tests.session_worlds import (
    ANA,
    CARRIER,
    CODES,
    COUNTRY,
    HELLO,
    LUIS,
    Killed,
    answer,
    answer_to,
    claim_pair,
    create_codes,
    deliver,
    just_before,
    kill,
    open_session,
    route_row,
    rows_of,
    say,
    sweep,
    words_of,
)
from tests.worlds import NOON, FakeCarrier, TestClock, worker

pytestmark = pytest.mark.usefixtures("aws")

STOPPED = answer_words.answer(Said.STOPPED, "es", ())
MOMENT = timedelta(microseconds=1)
THREE = ("Llego ", "como a las ", "ocho")


@pytest.fixture
def clock() -> TestClock:
    create_codes()
    return TestClock()


@pytest.fixture
def carrier() -> FakeCarrier:
    return FakeCarrier()


@pytest.fixture
def talk(clock: TestClock, carrier: FakeCarrier) -> tuple[str, Outgoing]:
    """An open session, and its text as it arrived."""
    session_id = open_session(clock)
    (text,) = deliver(carrier, clock)
    return session_id, text


# --- Moments


def test_a_reply_at_four_fifty_nine_reaches_its_session_and_at_five_minutes_nobody_C9(
    clock: TestClock, talk: tuple[str, Outgoing]
) -> None:
    session_id, text = talk

    clock.now = NOON + timedelta(minutes=4, seconds=59)
    assert answer(text, "a tiempo", clock, reply_id="r1") is ReplyOutcome.TO_SESSION
    clock.now += timedelta(minutes=5) - MOMENT
    assert answer(text, "en el último momento", clock, reply_id="r2") is ReplyOutcome.TO_SESSION
    assert words_of(session_id, clock) == [HELLO, "a tiempo", "en el último momento"]
    clock.now += timedelta(minutes=5)

    assert answer(text, "tarde", clock, reply_id="r3") is ReplyOutcome.LATE

    assert ratings.find_rating(CARRIER, "r3") is None
    assert "tarde" not in str(rows_of(session_id))


def test_a_reply_just_before_the_sweeper_closes_keeps_the_session(clock: TestClock, talk: tuple[str, Outgoing]) -> None:
    session_id, text = talk
    clock.now = NOON + timedelta(minutes=5)
    behind = TestClock(clock.now - MOMENT)

    with just_before("UpdateItem", lambda: answer(text, "justo", behind), nth=1):
        swept = sweep(clock)

    assert (swept.ended, swept.kept) == (0, 1)
    assert words_of(session_id, clock) == [HELLO, "justo"]


def test_a_reply_that_the_sweeper_overtakes_reaches_nobody(clock: TestClock, talk: tuple[str, Outgoing]) -> None:
    session_id, text = talk
    behind = TestClock(NOON + timedelta(minutes=5) - MOMENT)
    clock.now = NOON + timedelta(minutes=5)

    with just_before("TransactWriteItems", lambda: sweep(clock), nth=1):
        outcome = answer(text, "justo", behind)

    assert outcome is ReplyOutcome.LATE
    assert list(rows_of(session_id)) == ["session"]
    assert ratings.find_rating(CARRIER, "r1") is None


def test_a_late_reply_is_counted_and_kept_nowhere_C9(clock: TestClock, talk: tuple[str, Outgoing]) -> None:
    _, text = talk
    clock.move(minutes=6)

    assert answer(text, "tarde", clock) is ReplyOutcome.LATE

    day = local_day(COUNTRY, clock())
    (counts,) = session_counts.list_counts(COUNTRY, day, day)
    assert (counts.late, counts.unrouted) == (1, 0)
    assert "tarde" not in everything()


def test_a_late_message_in_parts_is_counted_as_one(clock: TestClock, talk: tuple[str, Outgoing]) -> None:
    _, text = talk
    clock.move(minutes=6)

    for number in (1, 2, 3):
        assert answer_part(text, number, 3, "tarde ", clock) is ReplyOutcome.LATE

    day = local_day(COUNTRY, clock())
    assert [one.late for one in session_counts.list_counts(COUNTRY, day, day)] == [1]


def test_half_a_reply_is_shown_after_a_minute_however_much_its_reader_writes(
    clock: TestClock, carrier: FakeCarrier, talk: tuple[str, Outgoing]
) -> None:
    session_id, text = talk
    answer_part(text, 1, 2, "uno ", clock)
    clock.move(seconds=50)
    say(session_id, clock)
    deliver(carrier, clock)
    clock.move(seconds=10)

    sweep(clock)

    assert [one.text for one in session_table.list_texts(session_id, after=0, limit=9)][-1] == "uno …"


def test_a_reply_to_a_code_that_drains_reaches_the_session_that_holds_it(
    clock: TestClock, talk: tuple[str, Outgoing]
) -> None:
    session_id, text = talk
    assert short_codes.drain_code(COUNTRY, text.sender, clock())

    assert answer(text, "sí", clock) is ReplyOutcome.TO_SESSION

    assert words_of(session_id, clock) == [HELLO, "sí"]


def test_a_vpn_handsets_reply_is_counted_and_neither_shown_nor_rated_C3(
    clock: TestClock, talk: tuple[str, Outgoing]
) -> None:
    session_id, text = talk
    assert fleets.create_entry(COUNTRY, FleetEntry(ANA))

    assert answer(text, "no puedo", clock) is ReplyOutcome.UNROUTED
    assert answer_part(text, 1, 2, "no ", clock) is ReplyOutcome.UNROUTED

    assert words_of(session_id, clock) == [HELLO]
    day = local_day(COUNTRY, clock())
    assert session_counts.list_counts(COUNTRY, day, day)[0].unrouted == 2
    assert "no puedo" not in everything()


def test_a_reply_delivered_to_two_workers_at_once_shows_once_and_is_rated_once(
    clock: TestClock, talk: tuple[str, Outgoing]
) -> None:
    session_id, text = talk
    others = []

    with just_before("TransactWriteItems", lambda: others.append(answer(text, "sí", clock)), nth=1):
        mine = answer(text, "sí", clock)

    assert [*others, mine] == [ReplyOutcome.TO_SESSION, ReplyOutcome.DUPLICATE]
    assert words_of(session_id, clock) == [HELLO, "sí"]


def test_two_web_users_and_one_handset_on_two_codes_read_each_their_own(clock: TestClock, carrier: FakeCarrier) -> None:
    one, two = open_session(clock, name="1"), open_session(clock, name="2")
    first, second = deliver(carrier, clock)
    assert first.sender != second.sender

    answer(second, "para el segundo", clock, reply_id="r1")
    answer(first, "para el primero", clock, reply_id="r2")

    assert words_of(one, clock) == [HELLO, "para el primero"]
    assert words_of(two, clock) == [HELLO, "para el segundo"]


# --- Times


def test_a_reply_that_comes_late_has_a_higher_seq_and_its_own_earlier_time(
    clock: TestClock, talk: tuple[str, Outgoing]
) -> None:
    session_id, text = talk
    clock.move(minutes=2)
    say_at(text, "segunda", NOON + timedelta(seconds=90), clock, reply_id="r2")
    first = sessions.read(session_id, 0, clock)
    clock.move(seconds=5)
    say_at(text, "primera", NOON + timedelta(seconds=60), clock, reply_id="r1")

    new = sessions.read(session_id, first.next_after, clock)

    assert [(line.seq, line.text) for line in new.texts] == [(3, "primera")]
    lines = [*first.texts, *new.texts]
    assert [line.text for line in sorted(lines, key=lambda line: (line.at, line.seq))] == [HELLO, "primera", "segunda"]


@pytest.mark.parametrize(
    "said",
    [
        NOON - MOMENT,  # before there was anything to answer
        NOON + timedelta(minutes=1, microseconds=1),  # not yet
        NOON + timedelta(days=3650),
        datetime.min.replace(tzinfo=NOON.tzinfo),
        datetime.max.replace(tzinfo=NOON.tzinfo),
    ],
)
def test_a_carriers_clock_that_cannot_be_right_puts_a_line_where_it_came_and_keeps_no_session_alive(
    clock: TestClock, talk: tuple[str, Outgoing], said: datetime
) -> None:
    session_id, text = talk
    clock.move(minutes=1)

    say_at(text, "sí", said, clock)

    assert sessions.read(session_id, 0, clock).texts[-1].at == clock()
    assert sessions.read(session_id, 0, clock).ends_at == clock() + timedelta(minutes=5)


def test_two_opt_out_words_of_one_moment_by_the_carriers_clock_are_two_replies(
    clock: TestClock, talk: tuple[str, Outgoing]
) -> None:
    # Carriers count whole seconds.
    session_id, text = talk
    clock.move(seconds=1)
    for reply_id in ("r1", "r2"):
        clock.move(seconds=1)
        assert say_at(text, "STOP", NOON + timedelta(seconds=1), clock, reply_id=reply_id) is ReplyOutcome.TO_SESSION

    assert words_of(session_id, clock) == [HELLO, "STOP", "STOP"]


# --- Long messages in parts


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))))
def test_parts_in_any_order_and_doubled_are_one_line_rated_once_C6(
    clock: TestClock, talk: tuple[str, Outgoing], order: Sequence[int]
) -> None:
    session_id, text = talk
    for number in order:
        clock.move(seconds=7)
        assert answer_part(text, number, 3, THREE[number - 1], clock) is ReplyOutcome.TO_SESSION
        assert answer_part(text, number, 3, THREE[number - 1], clock) is ReplyOutcome.DUPLICATE

    for number in order:
        assert answer_part(text, number, 3, THREE[number - 1], clock) is ReplyOutcome.DUPLICATE

    line = sessions.read(session_id, 0, clock).texts[-1]
    assert (line.text, line.number, line.code, line.is_partial) == ("".join(THREE), ANA, text.sender, False)
    assert line.at == NOON + timedelta(seconds=7)
    assert words_of(session_id, clock) == [HELLO, "".join(THREE)]
    (rated,) = rating_rows()
    assert (rated["pk"], rated["parts"]) == (f"RATE#{CARRIER}#p{order[0]}", 3)
    assert not any("Llego" in str(row) for key, row in rows_of(session_id).items() if key.startswith("r#"))


def test_a_part_is_activity_like_a_whole_message(clock: TestClock, talk: tuple[str, Outgoing]) -> None:
    session_id, text = talk
    clock.move(minutes=4)
    answer_part(text, 1, 2, "uno", clock)

    assert sessions.read(session_id, 0, clock).ends_at == NOON + timedelta(minutes=9)


@pytest.mark.parametrize("shows", ["a reader", "the sweeper"])
def test_what_waits_a_minute_is_shown_without_the_rest_and_that_is_no_activity(
    clock: TestClock, talk: tuple[str, Outgoing], shows: str
) -> None:
    session_id, text = talk
    clock.move(seconds=10)
    answer_part(text, 1, 3, THREE[0], clock)
    answer_part(text, 3, 3, THREE[2], clock)
    ends_at = clock() + timedelta(minutes=5)
    clock.move(seconds=60, microseconds=-1)
    assert words_of(session_id, clock) == [HELLO]
    sweep(clock)
    assert words_of(session_id, clock) == [HELLO]
    clock.move(seconds=30 if shows == "the sweeper" else 0, microseconds=1)

    if shows == "the sweeper":
        assert sweep(clock).failed == 0
        assert "Llego …ocho" in str(rows_of(session_id))
    reading = sessions.read(session_id, 1, clock)

    (line,) = reading.texts
    assert (line.text, line.is_partial, line.at) == ("Llego …ocho", True, NOON + timedelta(seconds=10))
    assert reading.ends_at == ends_at
    assert [row["parts"] for row in rating_rows()] == [3]
    # Nothing waits any more: it is looked at again when it would end.
    for _ in range(2):
        clock.move(seconds=31)
        sweep(clock)
    session = session_table.find_session(session_id)
    assert session is not None
    assert (session.joining_since, session.check_at) == (None, ends_at)


def test_a_part_that_comes_while_the_sweeper_looks_is_looked_at_in_its_own_minute(
    clock: TestClock, talk: tuple[str, Outgoing]
) -> None:
    session_id, text = talk
    clock.move(seconds=60)

    with just_before("UpdateItem", lambda: answer_part(text, 1, 2, "uno ", clock), nth=1):
        assert sweep(clock).kept == 1

    session = session_table.find_session(session_id)
    assert session is not None
    assert session.check_at is not None
    assert session.check_at <= clock() + timedelta(seconds=60)


def test_a_part_that_comes_after_all_is_shown_at_once_by_itself_and_nothing_twice(
    clock: TestClock, talk: tuple[str, Outgoing]
) -> None:
    session_id, text = talk
    answer_part(text, 1, 3, THREE[0], clock)
    clock.move(minutes=1)
    words_of(session_id, clock)

    assert answer_part(text, 2, 3, THREE[1], clock) is ReplyOutcome.TO_SESSION
    assert answer_part(text, 1, 3, THREE[0], clock) is ReplyOutcome.DUPLICATE

    assert words_of(session_id, clock) == [HELLO, "Llego …", "…como a las …"]
    assert len(rating_rows()) == 1


def test_two_messages_whose_parts_come_mixed_are_two_lines(clock: TestClock, talk: tuple[str, Outgoing]) -> None:
    session_id, text = talk
    for number, group, words in ((2, "b", "dos-b"), (1, "a", "uno-a"), (1, "b", "uno-b "), (2, "a", " dos-a")):
        answer_part(text, number, 2, words, clock, group=group, reply_id=f"{group}{number}")

    assert words_of(session_id, clock) == [HELLO, "uno-b dos-b", "uno-a dos-a"]
    assert len(rating_rows()) == 2


def test_a_carrier_that_uses_a_group_again_loses_no_text(clock: TestClock, talk: tuple[str, Outgoing]) -> None:
    session_id, text = talk
    for reply_id, number, words in (("1", 1, "a"), ("2", 2, "b"), ("3", 2, "d"), ("4", 1, "c"), ("5", 1, "e")):
        assert answer_part(text, number, 2, words, clock, reply_id=reply_id) is ReplyOutcome.TO_SESSION
    clock.move(minutes=1)

    assert words_of(session_id, clock) == [HELLO, "ab", "cd", "e…"]
    assert len(rating_rows()) == 3


def test_one_id_for_all_parts_of_a_message_will_do(clock: TestClock, talk: tuple[str, Outgoing]) -> None:
    session_id, text = talk
    for _ in range(2):
        for number in (1, 2):
            answer_part(text, number, 2, f"{number}", clock, reply_id="the-same")

    assert words_of(session_id, clock) == [HELLO, "12"]


def test_parts_of_two_handsets_with_one_group_are_two_messages(clock: TestClock, carrier: FakeCarrier) -> None:
    session_id = open_session(clock, ANA, LUIS)
    to_ana, to_luis = deliver(carrier, clock)
    answer_part(to_ana, 1, 2, "ana 1 ", clock, reply_id="a1")
    answer_part(to_luis, 2, 2, "luis 2", clock, reply_id="l2")
    answer_part(to_luis, 1, 2, "luis 1 ", clock, reply_id="l1")
    answer_part(to_ana, 2, 2, "ana 2", clock, reply_id="a2")

    lines = sessions.read(session_id, 1, clock).texts

    assert [(line.number, line.text) for line in lines] == [(LUIS, "luis 1 luis 2"), (ANA, "ana 1 ana 2")]


def test_parts_after_the_end_reach_nobody_and_those_before_it_vanish_with_it_C7_C9(
    clock: TestClock, talk: tuple[str, Outgoing]
) -> None:
    session_id, text = talk
    assert answer_part(text, 1, 2, "antes ", clock) is ReplyOutcome.TO_SESSION
    sessions.end(session_id, clock)

    assert answer_part(text, 2, 2, "después", clock) is ReplyOutcome.LATE

    assert list(rows_of(session_id)) == ["session"]
    assert not any(word in everything() for word in ("antes", "después"))


def test_a_part_reaches_the_session_that_holds_the_pair_when_it_comes_and_a_duplicate_no_other(
    clock: TestClock, talk: tuple[str, Outgoing]
) -> None:
    # Invariant 5: whatever came to the first talk stays there, though the pair is another's now.
    first, text = talk
    answer_part(text, 1, 2, "antes ", clock)
    sessions.end(first, clock)
    clock.move(seconds=SETTINGS.quarantine_seconds)
    second = open_session(clock, name="again")
    claim_pair(ANA, text.sender, second, clock())

    assert answer_part(text, 1, 2, "antes ", clock) is ReplyOutcome.DUPLICATE

    assert "antes" not in everything()
    assert words_of(second, clock) == [HELLO]


@pytest.mark.parametrize("nth", [1, 2])
def test_an_opt_out_word_counts_only_as_the_whole_message(
    clock: TestClock, talk: tuple[str, Outgoing], nth: int
) -> None:
    _, text = talk
    whole = {1: ("ST", "OP"), 2: ("STOP", " pero mañana")}[nth]
    answer_part(text, 1, 2, whole[0], clock)
    assert opt_outs.find_causes("web", ANA) == frozenset()

    answer_part(text, 2, 2, whole[1], clock)

    assert opt_outs.find_causes("web", ANA) == ({"reply"} if nth == 1 else frozenset())


def test_a_word_of_which_a_part_is_missing_is_not_obeyed(clock: TestClock, talk: tuple[str, Outgoing]) -> None:
    session_id, text = talk
    answer_part(text, 1, 2, "STOP", clock)
    clock.move(minutes=1)
    assert words_of(session_id, clock) == [HELLO, "STOP…"]
    clock.move(minutes=6)
    answer_part(text, 1, 2, "STOP", clock, reply_id="late")

    assert opt_outs.find_causes("web", ANA) == frozenset()


def test_parts_that_two_workers_bring_at_once_are_one_line(clock: TestClock, talk: tuple[str, Outgoing]) -> None:
    session_id, text = talk

    with just_before("TransactWriteItems", lambda: answer_part(text, 2, 2, "dos", clock), nth=1):
        assert answer_part(text, 1, 2, "uno ", clock) is ReplyOutcome.TO_SESSION

    assert words_of(session_id, clock) == [HELLO, "uno dos"]
    assert len(rating_rows()) == 1


def test_the_last_part_in_the_moment_when_it_is_not_waited_for_any_more_shows_every_text_once(
    clock: TestClock, talk: tuple[str, Outgoing]
) -> None:
    session_id, text = talk
    answer_part(text, 1, 2, "uno ", clock)
    clock.move(minutes=1)

    with just_before("TransactWriteItems", lambda: answer_part(text, 2, 2, "dos", clock), nth=1):
        assert words_of(session_id, clock) == [HELLO, "uno dos"]

    with just_before("TransactWriteItems", lambda: words_of(session_id, clock), nth=1):
        answer_part(text, 1, 2, "tres ", clock, reply_id="other")
    assert words_of(session_id, clock) == [HELLO, "uno dos"]


@pytest.mark.parametrize("fault", ["lost", "applied"])
def test_a_part_whose_request_or_answer_is_lost_is_there_once(
    clock: TestClock, talk: tuple[str, Outgoing], fault: str
) -> None:
    session_id, text = talk
    with faults("TransactWriteItems", fault):  # type: ignore[arg-type]
        answer_part(text, 1, 2, "uno ", clock)
        answer_part(text, 2, 2, "dos", clock)

    assert words_of(session_id, clock) == [HELLO, "uno dos"]


# --- The notice to whoever answers a talk that has ended


@pytest.fixture
def notices_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_notices, "SETTINGS", replace(SETTINGS, late_reply_notice="es"))


@pytest.fixture
def ended(clock: TestClock, carrier: FakeCarrier) -> tuple[str, Outgoing]:
    session_id = open_session(clock)
    (text,) = deliver(carrier, clock)
    clock.move(minutes=6)
    sweep(clock)
    return session_id, text


NOTICE = notice_words.LATE_REPLY["es"]


def test_without_the_setting_a_late_reply_is_not_answered(
    clock: TestClock, carrier: FakeCarrier, ended: tuple[str, Outgoing]
) -> None:
    answer(ended[1], "tarde", clock)

    assert jobs_on("SessionsQueue") == []


@pytest.mark.usefixtures("notices_on")
def test_a_late_reply_is_answered_once_from_the_same_code_and_nothing_of_it_stays_C9(
    clock: TestClock, carrier: FakeCarrier, ended: tuple[str, Outgoing]
) -> None:
    session_id, text = ended
    for reply_id in ("r1", "r1", "r2"):
        assert answer(text, "tarde", clock, reply_id=reply_id) is ReplyOutcome.LATE

    (notice,) = deliver(carrier, clock)

    assert (notice.to, notice.sender, notice.text) == (ANA, text.sender, NOTICE)
    assert 0 < notice.validity_seconds <= 300
    # The answer to the notice is not answered (no loop), reaches nobody, and its page is gone.
    assert answer(notice, "¿quién es?", clock, reply_id="r3") is ReplyOutcome.LATE
    assert deliver(carrier, clock) == []
    assert NOTICE not in everything()
    assert list(rows_of(session_id)) == ["session"]


@pytest.mark.usefixtures("notices_on")
def test_a_reply_that_was_taken_and_is_delivered_again_after_the_end_is_no_late_one(
    clock: TestClock, carrier: FakeCarrier, talk: tuple[str, Outgoing]
) -> None:
    session_id, text = talk
    answer(text, "sí", clock)
    answer_part(text, 1, 2, "uno", clock)
    sessions.end(session_id, clock)

    assert answer(text, "sí", clock) is ReplyOutcome.DUPLICATE
    assert answer_part(text, 1, 2, "uno", clock) is ReplyOutcome.DUPLICATE

    assert deliver(carrier, clock) == []
    day = local_day(COUNTRY, clock())
    assert [one.late for one in session_counts.list_counts(COUNTRY, day, day)] == [0]


@pytest.mark.usefixtures("notices_on")
def test_the_pair_rests_anew_from_the_notice_on_so_that_its_answer_too_reaches_nobody(
    clock: TestClock, carrier: FakeCarrier, ended: tuple[str, Outgoing]
) -> None:
    _, text = ended
    clock.move(seconds=SETTINGS.quarantine_seconds - 1)

    answer(text, "tarde", clock)

    route = routes.find_route(ANA, text.sender)
    assert route is not None
    assert route.free_at == clock() + SETTINGS.quarantine
    assert route.free_before_notice == NOON + timedelta(minutes=6) + SETTINGS.quarantine
    (notice,) = deliver(carrier, clock)
    clock.move(minutes=4)
    open_session(clock, name="next")
    assert answer(notice, "¿quién es?", clock, reply_id="r2") is ReplyOutcome.LATE


@pytest.mark.usefixtures("notices_on")
def test_a_reply_before_the_sweeper_came_is_answered_and_the_release_still_covers_it(
    clock: TestClock, carrier: FakeCarrier
) -> None:
    open_session(clock)
    (text,) = deliver(carrier, clock)
    clock.move(minutes=5)

    assert answer(text, "tarde", clock) is ReplyOutcome.LATE

    assert [one.text for one in deliver(carrier, clock)] == [NOTICE]
    sweep(clock)
    route = routes.find_route(ANA, text.sender)
    assert route is not None
    assert route.free_at == clock() + SETTINGS.quarantine
    answer(text, "sigo aquí", clock, reply_id="r2")
    assert deliver(carrier, clock) == []


@pytest.mark.usefixtures("notices_on")
@pytest.mark.parametrize(
    "why",
    [
        "an opt-out word",
        "opted out",
        "a fleet handset",
        "never written to",
        "rested",
        "a code that drains",
        "a removed code",
        "a code of schools by now",
    ],
)
def test_who_must_not_be_told_is_not(
    clock: TestClock, carrier: FakeCarrier, ended: tuple[str, Outgoing], why: str
) -> None:
    _, text = ended
    words, code = "tarde", text.sender
    if why == "an opt-out word":
        words = "baja"
    elif why == "opted out":
        answer(text, "STOP", clock, reply_id="stop")
        assert [one.text for one in deliver(carrier, clock)] == [STOPPED]
    elif why == "a fleet handset":
        fleets.create_entry(COUNTRY, FleetEntry(ANA))
    elif why == "never written to":
        code = next(one for one in CODES if one != text.sender)
    elif why == "a code that drains":
        short_codes.drain_code(COUNTRY, code, clock())
    elif why in ("a removed code", "a code of schools by now"):
        name, value = ("state", "removed") if why == "a removed code" else ("purpose", "schools")
        boto3.resource("dynamodb").Table("RoutesTable").update_item(
            Key={"pk": f"CODES#{COUNTRY}", "sk": code},
            UpdateExpression="SET #name = :value",
            ExpressionAttributeNames={"#name": name},
            ExpressionAttributeValues={":value": value},
        )
    else:
        clock.move(seconds=SETTINGS.quarantine_seconds)

    assert answer_to(ANA, code, words, clock) is ReplyOutcome.LATE

    said = [one.text for one in deliver(carrier, clock)]
    assert said == ([STOPPED] if why == "an opt-out word" else [])


@pytest.mark.usefixtures("notices_on")
def test_who_opts_out_before_the_notice_is_spoken_does_not_hear_it(
    clock: TestClock, carrier: FakeCarrier, ended: tuple[str, Outgoing]
) -> None:
    _, text = ended
    answer(text, "tarde", clock)
    answer(text, "STOP", clock, reply_id="stop")

    assert [one.text for one in deliver(carrier, clock)] == [STOPPED]
    assert NOTICE not in everything()


@pytest.mark.usefixtures("notices_on")
def test_a_handset_gets_so_many_notices_a_day_from_all_codes(aws: None, carrier: FakeCarrier) -> None:
    codes = [f"441{number:02}" for number in range(session_notices.NOTICES_PER_DAY + 1)]
    create_codes(*codes)
    clock = TestClock()
    for name in range(len(codes)):
        sessions.end(open_session(clock, name=f"n{name}"), clock)
    jobs_on("SessionsQueue")

    for position, code in enumerate(codes):
        answer_to(ANA, code, "tarde", clock, reply_id=f"r{position}")
    assert len(deliver(carrier, clock)) == session_notices.NOTICES_PER_DAY

    clock.move(hours=24)
    answer_to(ANA, codes[-1], "tarde", clock, reply_id="tomorrow")
    assert deliver(carrier, clock) == []  # its pair has rested meanwhile: who holds it next cannot be told


@pytest.mark.usefixtures("notices_on")
@pytest.mark.parametrize("nth", [1, 2])
def test_a_death_may_lose_a_notice_and_never_doubles_it(
    clock: TestClock, carrier: FakeCarrier, ended: tuple[str, Outgoing], nth: int
) -> None:
    _, text = ended
    operation = "TransactWriteItems" if nth == 1 else "BatchWriteItem"
    with just_before(operation, kill), pytest.raises(Killed):
        answer(text, "tarde", clock)

    answer(text, "tarde", clock)
    answer(text, "tarde", clock)

    assert len(deliver(carrier, clock)) == (1 if nth == 1 else 0)


@pytest.mark.usefixtures("notices_on")
def test_two_workers_with_late_replies_at_once_put_one_notice(
    clock: TestClock, carrier: FakeCarrier, ended: tuple[str, Outgoing]
) -> None:
    _, text = ended
    with just_before("TransactWriteItems", lambda: answer(text, "tarde", clock, reply_id="r2"), nth=1):
        answer(text, "tarde", clock)

    assert len(deliver(carrier, clock)) == 1


@pytest.mark.usefixtures("notices_on")
def test_a_pair_claimed_anew_in_that_moment_gets_no_notice(
    clock: TestClock, carrier: FakeCarrier, ended: tuple[str, Outgoing]
) -> None:
    _, text = ended
    clock.move(seconds=SETTINGS.quarantine_seconds - 1)
    ahead = clock() + timedelta(seconds=1)

    with just_before("TransactWriteItems", lambda: claim_pair(ANA, text.sender, "another", ahead), nth=1):
        answer(text, "tarde", clock)

    assert jobs_on("SessionsQueue") == []
    assert "noticed_at" not in route_row(ANA, text.sender)


@pytest.mark.usefixtures("notices_on")
def test_a_notice_whose_job_comes_twice_or_whose_worker_dies_is_spoken_at_most_once(
    clock: TestClock, carrier: FakeCarrier, ended: tuple[str, Outgoing]
) -> None:
    answer(ended[1], "tarde", clock)
    (job,) = jobs_on("SessionsQueue")
    with just_before("TransactWriteItems", kill, nth=1), pytest.raises(Killed):  # after speaking, before closing
        dispatch.work_page(dispatch.read_job(job), worker(carrier, clock))
    clock.move(seconds=32)

    for _ in range(2):
        dispatch.work_page(dispatch.read_job(job), worker(carrier, clock))

    assert [text.text for text in carrier.heard].count(NOTICE) == 1
    assert NOTICE not in everything()


@pytest.mark.usefixtures("notices_on")
def test_a_notice_that_the_carrier_does_not_take_in_time_is_not_sent_later(
    clock: TestClock, carrier: FakeCarrier, ended: tuple[str, Outgoing]
) -> None:
    answer(ended[1], "tarde", clock)
    (body,) = jobs_on("SessionsQueue")
    carrier.answer = lambda _: Refused(RefusedBecause.FOR_NOW, "busy")
    job = dispatch.read_job(body)
    dispatch.work_page(job, worker(carrier, clock))
    assert NOTICE in everything()  # it waits for a fresh job
    carrier.answer = lambda _: None
    clock.move(minutes=5)

    dispatch.work_page(replace(job, number=2), worker(carrier, clock))

    assert [text.text for text in carrier.heard].count(NOTICE) == 0
    assert NOTICE not in everything()


def test_an_ended_session_shows_no_part_that_waits(clock: TestClock, talk: tuple[str, Outgoing]) -> None:
    session_id, text = talk
    answer_part(text, 1, 2, "uno ", clock)
    clock.move(minutes=5)

    with pytest.raises(SessionEnded):
        sessions.read(session_id, 0, clock)
    assert "uno …" not in str(rows_of(session_id))


@pytest.mark.usefixtures("notices_on")
def test_nothing_of_a_reply_is_in_the_log(
    clock: TestClock, talk: tuple[str, Outgoing], carrier: FakeCarrier, caplog: pytest.LogCaptureFixture
) -> None:
    session_id, text = talk
    answer_part(text, 1, 2, "palabra-uno", clock, group="grupo-secreto")
    clock.move(minutes=1)
    words_of(session_id, clock)
    answer(text, "palabra-dos", clock)
    clock.move(minutes=6)
    answer(text, "palabra-tres", clock, reply_id="r3")
    deliver(carrier, clock)
    answer(text, "STOP", clock, reply_id="r4")

    written = "".join(str(vars(record)) for record in caplog.records)

    assert "late_reply_notice_put" in written
    assert "session_parts_not_waited_for" in written
    assert "late_opt_out_word_obeyed" in written
    assert not any(secret in written for secret in ("palabra", ANA, "grupo-secreto", NOTICE))


def answer_part(
    text: Outgoing,
    number: int,
    of: int,
    words: str,
    clock: TestClock,
    *,
    group: str = "7f",
    reply_id: str | None = None,
) -> ReplyOutcome:
    """One part of what the handset wrote; unless told otherwise its id says which."""
    part = Part(number, of, group)
    return answer_to(text.to, text.sender, words, clock, reply_id=reply_id or f"p{number}", part=part)


def say_at(text: Outgoing, words: str, at: datetime, clock: TestClock, *, reply_id: str = "r1") -> ReplyOutcome:
    """A reply with the carrier's own idea of when it was."""
    return session_replies.take_reply(HandsetReply(text.to, text.sender, words, CARRIER, reply_id, at), clock)


def rating_rows() -> list[dict[str, object]]:
    found: list[dict[str, object]] = boto3.resource("dynamodb").Table("LedgerTable").scan(IndexName="ByDay")["Items"]
    return found


def everything() -> str:
    """Every row of the tables in which a reply might be kept."""
    tables = ("SessionsTable", "RoutesTable", "LedgerTable", "MessagesTable", "PeopleTable")
    return "".join(str(boto3.resource("dynamodb").Table(name).scan()["Items"]) for name in tables)
