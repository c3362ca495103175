"""What pages are told by their sockets: at once, of their own session only, and never at the price of what they are
told of."""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta

import pytest

from recado import live, session_sockets, sessions
from recado.aws import sockets_client
from recado.errors import SessionEnded
from recado.session_replies import ReplyOutcome
from recado.session_sockets import FRAME_BYTES_MAX, SOCKETS_MAX
from recado.settings import SETTINGS
from tests.faults import faults
from tests.pages import Dead, Meets, Pages, open_pages
from tests.session_worlds import (
    ANA,
    HELLO,
    LUIS,
    answer,
    answer_to,
    create_codes,
    deliver,
    just_before,
    open_session,
    rows_of,
    say,
    sweep,
    words_of,
)
from tests.worlds import NOON, FakeCarrier, TestClock

pytestmark = pytest.mark.usefixtures("aws")

PING = '{"type": "ping"}'
PAGE, TAB = "L0SM9cOFvHcCIhw=", "M1TN8dPGwIdDJix="


@pytest.fixture
def clock() -> TestClock:
    create_codes()
    return TestClock()


@pytest.fixture
def carrier() -> FakeCarrier:
    return FakeCarrier()


@pytest.fixture
def pages() -> Iterator[Pages]:
    with open_pages() as found:
        yield found


@pytest.fixture
def session_id(clock: TestClock, carrier: FakeCarrier, pages: Pages) -> str:
    """A session with Ana, whose text has gone out, and one page that listens."""
    opened = open_session(clock)
    deliver(carrier, clock)
    session_sockets.join(opened, PAGE, clock)
    return opened


def last_activity(session_id: str) -> str:
    return str(rows_of(session_id)["session"]["last_activity_at"])


def sockets_of(session_id: str) -> list[str]:
    return list(rows_of(session_id)["session"].get("sockets", []))


# --- What is told


def test_a_reply_is_told_with_its_line_and_when_the_session_ends_C4(
    session_id: str, clock: TestClock, carrier: FakeCarrier, pages: Pages
) -> None:
    clock.move(seconds=20)

    answer(carrier.heard[0], "sí, <b>voy</b> 😀", clock)

    line = {
        "seq": 2,
        "direction": "in",
        "text": "sí, <b>voy</b> 😀",
        "at": "2026-11-23T12:00:20Z",
        "number": ANA,
        "code": carrier.heard[0].sender,
        "is_partial": False,
    }
    assert pages.told[PAGE] == [
        {"type": "message", "seq": 2, "is_sending": False, "expires_at": "2026-11-23T12:05:20Z", "message": line}
    ]


def test_the_same_reply_again_is_told_once(
    session_id: str, clock: TestClock, carrier: FakeCarrier, pages: Pages
) -> None:
    outcomes = [answer(carrier.heard[0], "voy", clock) for _ in "12"]

    assert outcomes == [ReplyOutcome.TO_SESSION, ReplyOutcome.DUPLICATE]
    assert pages.kinds(PAGE) == ["message"]


def test_a_text_is_told_to_every_page_of_its_session_and_that_it_went_out(
    session_id: str, clock: TestClock, carrier: FakeCarrier, pages: Pages
) -> None:
    session_sockets.join(session_id, TAB, clock)

    say(session_id, clock, text="¿Y a las 6?")
    deliver(carrier, clock)

    assert pages.told[PAGE] == pages.told[TAB]
    message, sent = pages.told[PAGE]
    assert (message["type"], message["is_sending"], message["message"]["text"]) == ("message", True, "¿Y a las 6?")
    assert (sent["type"], sent["seq"], sent["is_sending"]) == ("sent", message["seq"], False)


def test_an_extension_is_told_with_the_new_end(session_id: str, clock: TestClock, pages: Pages) -> None:
    clock.move(minutes=3)

    sessions.extend(session_id, clock)

    assert pages.told[PAGE] == [
        {"type": "extended", "seq": 2, "is_sending": False, "expires_at": "2026-11-23T12:08:00Z"}
    ]


def test_what_is_told_is_numbered_as_the_session_counts_so_that_a_gap_shows(
    session_id: str, clock: TestClock, carrier: FakeCarrier, pages: Pages
) -> None:
    answer(carrier.heard[0], "voy", clock, reply_id="r1")
    sessions.extend(session_id, clock)
    say(session_id, clock)
    answer(carrier.heard[0], "ya", clock, reply_id="r2")
    session_sockets.answer(session_id, PAGE, PING, clock)

    assert [frame["seq"] for frame in pages.told[PAGE]] == [2, 3, 4, 5, 5]


@pytest.mark.parametrize("by", ["its user", "the sweeper", "who reads", "who listens"])
def test_the_end_is_told_by_whoever_ends_the_session_C7(
    session_id: str, clock: TestClock, pages: Pages, by: str
) -> None:
    if by != "its user":
        clock.move(minutes=5)

    match by:
        case "its user":
            sessions.end(session_id, clock)
        case "the sweeper":
            sweep(clock)
        case "who reads":
            with pytest.raises(SessionEnded):
                sessions.read(session_id, 0, clock)
        case "who listens":
            with pytest.raises(SessionEnded):
                session_sockets.join(session_id, TAB, clock)

    assert pages.told[PAGE] == [{"type": "ended"}]
    assert pages.told[TAB] == []


def test_after_the_end_nothing_is_told_and_nothing_is_kept_of_who_listened_C7(
    session_id: str, clock: TestClock, carrier: FakeCarrier, pages: Pages
) -> None:
    say(session_id, clock)
    sessions.end(session_id, clock)
    told = len(pages.told[PAGE])

    assert answer(carrier.heard[0], "tarde", clock) is ReplyOutcome.LATE
    deliver(carrier, clock)
    sweep(clock)

    assert pages.kinds(PAGE)[-1] == "ended"
    assert len(pages.told[PAGE]) == told
    assert "sockets" not in rows_of(session_id)["session"]


def test_a_session_that_ended_between_a_reply_and_its_telling_is_told_of_the_end_only(
    session_id: str, clock: TestClock, carrier: FakeCarrier, pages: Pages
) -> None:
    """The row is read once more before anything is told: the reply's own reading is too old to go by."""
    with ExitStack() as after:
        ends = just_before("GetItem", lambda: sessions.end(session_id, clock), nth=1)
        with just_before("TransactWriteItems", lambda: after.enter_context(ends), nth=1):
            answer(carrier.heard[0], "voy", clock)

    assert pages.kinds(PAGE) == ["ended"]


def test_no_page_is_told_of_another_session(
    session_id: str, clock: TestClock, carrier: FakeCarrier, pages: Pages
) -> None:
    other = open_session(clock, ANA, LUIS, name="other", text="¿Quién eres?")
    deliver(carrier, clock)
    session_sockets.join(other, TAB, clock)

    to_me, to_other = carrier.heard[0], carrier.heard[1]
    answer(to_me, "para ti", clock, reply_id="r1")
    answer(to_other, "para el otro", clock, reply_id="r2")
    sessions.end(other, clock)

    assert [frame.get("message", {}).get("text") for frame in pages.told[PAGE]] == ["para ti"]
    assert [frame.get("message", {}).get("text") for frame in pages.told[TAB]] == ["para el otro", None]


def test_a_page_that_opens_its_socket_while_a_reply_is_stored_is_told_of_it(
    clock: TestClock, carrier: FakeCarrier, pages: Pages
) -> None:
    session_id = open_session(clock)
    deliver(carrier, clock)

    with just_before("TransactWriteItems", lambda: session_sockets.join(session_id, PAGE, clock), nth=1):
        answer(carrier.heard[0], "voy", clock)

    assert pages.kinds(PAGE) == ["message"]


# --- What it may not cost


@pytest.mark.parametrize("meets", ["gone", "refused", "unreachable", "slow"])
def test_a_frame_that_does_not_arrive_changes_nothing_of_what_it_tells(
    session_id: str, clock: TestClock, carrier: FakeCarrier, pages: Pages, meets: Meets
) -> None:
    pages.meets[PAGE] = meets

    outcome = answer(carrier.heard[0], "voy", clock)
    live.forget()
    say(session_id, clock)
    live.forget()
    ends_at = sessions.extend(session_id, clock)

    assert outcome is ReplyOutcome.TO_SESSION
    assert words_of(session_id, clock) == [HELLO, "voy", "¿Y a las 6?"]
    assert ends_at == NOON + timedelta(minutes=5)
    assert pages.told[PAGE] == []
    live.forget()
    sessions.end(session_id, clock)
    assert list(rows_of(session_id)) == ["session"]


def test_who_dies_while_telling_has_done_what_it_tells(
    session_id: str, clock: TestClock, carrier: FakeCarrier, pages: Pages
) -> None:
    pages.meets[PAGE] = "dead"

    with pytest.raises(Dead):
        answer(carrier.heard[0], "voy", clock)

    assert words_of(session_id, clock) == [HELLO, "voy"]
    assert answer(carrier.heard[0], "voy", clock) is ReplyOutcome.DUPLICATE


@pytest.mark.parametrize("operation", ["GetItem", "UpdateItem"])
def test_rows_that_cannot_be_read_or_written_while_telling_change_nothing(
    session_id: str, clock: TestClock, carrier: FakeCarrier, pages: Pages, operation: str
) -> None:
    """The session's row that is read to tell, and the one written because a page has gone."""
    pages.meets[PAGE] = "gone"
    attempts: list[list[str]] = []

    with ExitStack() as after:
        fails = faults(operation, "lost", "lost", "lost")
        with just_before("TransactWriteItems", lambda: attempts.append(after.enter_context(fails)), nth=1):
            outcome = answer(carrier.heard[0], "voy", clock)

    assert outcome is ReplyOutcome.TO_SESSION
    assert attempts == [["lost"] * 3]
    assert words_of(session_id, clock) == [HELLO, "voy"]


def test_the_end_is_carried_out_although_telling_it_fails_C7(session_id: str, clock: TestClock, pages: Pages) -> None:
    pages.meets[PAGE] = "gone"

    with faults("UpdateItem", None, "lost", "lost", "lost") as attempts:  # closing, then taking the page off the row
        sessions.end(session_id, clock)

    assert attempts[1:4] == ["lost"] * 3
    assert list(rows_of(session_id)) == ["session"]
    assert "sockets" not in rows_of(session_id)["session"]


def test_who_has_gone_is_not_told_again(session_id: str, clock: TestClock, carrier: FakeCarrier, pages: Pages) -> None:
    session_sockets.join(session_id, TAB, clock)
    pages.meets[PAGE] = "gone"

    answer(carrier.heard[0], "voy", clock, reply_id="r1")
    answer(carrier.heard[0], "ya", clock, reply_id="r2")

    assert sockets_of(session_id) == [TAB]
    assert sorted(pages.attempts) == sorted([PAGE, TAB, TAB])
    assert pages.kinds(TAB) == ["message", "message"]


def test_a_frame_has_one_attempt_of_a_second_at_most(
    session_id: str, clock: TestClock, carrier: FakeCarrier, pages: Pages
) -> None:
    pages.meets[PAGE] = "slow"

    answer(carrier.heard[0], "voy", clock)

    config = sockets_client().meta.config
    assert pages.attempts == [PAGE]
    assert config.connect_timeout + config.read_timeout <= 1


def test_when_nobody_answers_other_sessions_do_not_wait_for_it_in_turn(
    session_id: str, clock: TestClock, carrier: FakeCarrier, pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = open_session(clock, LUIS, name="other")
    session_sockets.join(other, TAB, clock)
    pages.meets[PAGE] = "unreachable"
    answer(carrier.heard[0], "voy", clock)

    sessions.extend(other, clock)
    assert pages.attempts == [PAGE]

    later = time.monotonic() + live.SILENCE_SECONDS
    monkeypatch.setattr(time, "monotonic", lambda: later)
    sessions.extend(other, clock)
    assert pages.kinds(TAB) == ["extended"]


def test_without_an_address_nothing_is_told_nor_read_for_it(
    clock: TestClock, carrier: FakeCarrier, pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []

    def requests_of_one(name: str) -> int:
        reads.clear()
        with just_before("GetItem", lambda: reads.append("read")):
            sessions.extend(opened[name], clock)
        return len(reads)

    opened = {name: open_session(clock, number, name=name) for name, number in (("a", ANA), ("b", LUIS))}

    with_sockets = requests_of_one("a")
    monkeypatch.setattr(live, "SETTINGS", replace(SETTINGS, live_url=""))

    assert (with_sockets, requests_of_one("b")) == (2, 1)


def test_the_end_of_a_session_without_a_socket_costs_no_request_more(
    clock: TestClock, carrier: FakeCarrier, pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    def requests_of_a_sweep(number: str, name: str) -> int:
        open_session(clock, number, name=name)
        deliver(carrier, clock)
        clock.move(minutes=5)
        seen: list[str] = []
        with just_before("GetItem", lambda: seen.append("get")), just_before("UpdateItem", lambda: seen.append("put")):
            sweep(clock)
        return len(seen)

    with_address = requests_of_a_sweep(ANA, "a")
    monkeypatch.setattr(live, "SETTINGS", replace(SETTINGS, live_url=""))

    assert requests_of_a_sweep(LUIS, "b") == with_address


def test_no_log_line_of_a_frame_holds_a_text_or_a_number(
    session_id: str,
    clock: TestClock,
    carrier: FakeCarrier,
    pages: Pages,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with caplog.at_level(logging.INFO):
        answer(carrier.heard[0], "secreto", clock, reply_id="r1")
        pages.meets[PAGE] = "refused"
        answer(carrier.heard[0], "secreto", clock, reply_id="r2")
        pages.meets[PAGE] = "slow"
        answer(carrier.heard[0], "secreto", clock, reply_id="r3")
        session_sockets.answer(session_id, PAGE, '{"type": "secreto"}', clock)

    logged = caplog.text + capsys.readouterr().out + "".join(str(vars(record)) for record in caplog.records)
    assert "session_told" in logged
    assert "frame_not_posted" in logged
    assert [word for word in ("secreto", ANA, "8095550101") if word in logged] == []


# --- The socket itself


def test_listening_and_asking_for_long_keeps_no_session_alive_C7(
    session_id: str, clock: TestClock, pages: Pages
) -> None:
    before = last_activity(session_id)
    for _ in range(299):
        clock.move(seconds=1)
        session_sockets.answer(session_id, PAGE, PING, clock)
    session_sockets.join(session_id, TAB, clock)
    session_sockets.leave(session_id, TAB)
    assert set(pages.kinds(PAGE)) == {"pong"}
    assert {frame["expires_at"] for frame in pages.told[PAGE]} == {"2026-11-23T12:05:00Z"}
    assert last_activity(session_id) == before

    clock.move(seconds=1)
    session_sockets.answer(session_id, PAGE, PING, clock)

    assert pages.kinds(PAGE)[299:] == ["ended", "ended"]  # to all who listen, and to who asked
    with pytest.raises(SessionEnded):
        sessions.read(session_id, 0, clock)


def test_a_session_that_has_ended_takes_no_socket(session_id: str, clock: TestClock, pages: Pages) -> None:
    sessions.end(session_id, clock)

    with pytest.raises(SessionEnded):
        session_sockets.join(session_id, TAB, clock)

    assert "sockets" not in rows_of(session_id)["session"]


def test_the_end_in_the_very_moment_of_opening_a_socket_wins(session_id: str, clock: TestClock, pages: Pages) -> None:
    with (
        just_before("UpdateItem", lambda: sessions.end(session_id, clock), nth=1),
        pytest.raises(SessionEnded),
    ):
        session_sockets.join(session_id, TAB, clock)

    assert pages.told[TAB] == []
    assert "sockets" not in rows_of(session_id)["session"]


def test_so_many_sockets_are_told_at_once_and_one_more_takes_the_oldest_ones_place(
    session_id: str, clock: TestClock, carrier: FakeCarrier, pages: Pages
) -> None:
    tabs = [f"tab-{number}" for number in range(SOCKETS_MAX)]
    for tab in tabs:
        session_sockets.join(session_id, tab, clock)
    assert sockets_of(session_id) == tabs
    assert pages.told[PAGE] == [{"type": "replaced"}]

    answer(carrier.heard[0], "voy", clock)
    session_sockets.answer(session_id, PAGE, PING, clock)

    assert {tuple(pages.kinds(tab)) for tab in tabs} == {("message",)}
    assert pages.kinds(PAGE) == ["replaced", "replaced"]


def test_a_page_that_was_told_too_early_and_taken_for_gone_is_there_again_at_its_first_ping(
    session_id: str, clock: TestClock, carrier: FakeCarrier, pages: Pages
) -> None:
    """Before the socket is open API Gateway answers 410: a reply in that moment takes the page off the row."""
    pages.meets[PAGE] = "gone"
    answer(carrier.heard[0], "voy", clock, reply_id="r1")
    assert sockets_of(session_id) == []
    del pages.meets[PAGE]

    session_sockets.answer(session_id, PAGE, PING, clock)
    answer(carrier.heard[0], "ya", clock, reply_id="r2")

    assert [(frame["type"], frame["seq"]) for frame in pages.told[PAGE]] == [("pong", 2), ("message", 3)]


def test_a_ping_of_a_page_that_has_gone_leaves_nothing(session_id: str, clock: TestClock, pages: Pages) -> None:
    session_sockets.leave(session_id, PAGE)
    pages.meets[PAGE] = "gone"

    session_sockets.answer(session_id, PAGE, PING, clock)

    assert sockets_of(session_id) == []


def test_two_pages_that_come_in_the_same_moment_are_both_there(session_id: str, clock: TestClock, pages: Pages) -> None:
    with just_before("UpdateItem", lambda: session_sockets.join(session_id, "quicker", clock), nth=1):
        session_sockets.join(session_id, TAB, clock)

    assert sockets_of(session_id) == [PAGE, "quicker", TAB]


def test_a_socket_that_is_closed_is_forgotten_and_the_last_ones_leaving_leaves_nothing(
    session_id: str, clock: TestClock, pages: Pages
) -> None:
    session_sockets.join(session_id, TAB, clock)

    session_sockets.leave(session_id, PAGE)
    assert sockets_of(session_id) == [TAB]
    session_sockets.leave(session_id, PAGE)
    session_sockets.leave(session_id, TAB)

    assert "sockets" not in rows_of(session_id)["session"]


def test_a_socket_that_is_closed_after_everything_is_gone_writes_nothing(
    session_id: str, clock: TestClock, pages: Pages
) -> None:
    sessions.end(session_id, clock)
    before = rows_of(session_id)

    session_sockets.leave(session_id, PAGE)
    session_sockets.leave("s" + "a" * 25, PAGE)

    assert rows_of(session_id) == before
    assert rows_of("s" + "a" * 25) == {}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("hola", "json_invalid"),
        ("", "json_invalid"),
        ('{"type": "ping", "type": "ping"}', "json_invalid"),
        ('{"type": "say", "text": "hola"}', "unknown_frame"),
        ('["ping"]', "unknown_frame"),
        (json.dumps({"type": "ping", "more": "x"}), "unknown_frame"),
        (json.dumps("é" * FRAME_BYTES_MAX, ensure_ascii=False), "too_large"),
    ],
)
def test_a_frame_that_is_no_ping_is_told_what_is_wrong_with_it(
    session_id: str, clock: TestClock, pages: Pages, text: str, code: str
) -> None:
    before = rows_of(session_id)

    session_sockets.answer(session_id, PAGE, text, clock)

    assert pages.told[PAGE] == [{"type": "error", "code": code}]
    assert rows_of(session_id) == before


def test_stop_from_a_handset_is_told_as_any_reply(
    session_id: str, clock: TestClock, carrier: FakeCarrier, pages: Pages
) -> None:
    answer_to(ANA, carrier.heard[0].sender, "STOP", clock)

    assert [frame["message"]["text"] for frame in pages.told[PAGE]] == ["STOP"]


def test_at_the_end_nothing_is_told_although_nobody_has_written_it_yet_C7(
    session_id: str, clock: TestClock, carrier: FakeCarrier, pages: Pages
) -> None:
    say(session_id, clock)
    clock.move(minutes=5)

    deliver(carrier, clock)

    assert rows_of(session_id)["session"]["state"] == "open"
    assert pages.kinds(PAGE) == ["message"]
