"""The `live` function on its events: who gets a socket, what it answers, and what the page is told in which shape."""

import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from recado import clock, session_sockets
from recado.settings import SETTINGS
from tests.apps import Context, call, load_app, load_event
from tests.pages import Pages, open_pages
from tests.session_worlds import ANA, answer, create_codes, deliver, rows_of, sweep
from tests.worlds import FakeCarrier, TestClock

PAGE = load_event("live_opened")["requestContext"]["connectionId"]
SESSION = load_event("live_opened")["requestContext"]["authorizer"]["session"]


@pytest.fixture(autouse=True)
def moment(aws: None, monkeypatch: pytest.MonkeyPatch) -> TestClock:
    moment = TestClock()
    monkeypatch.setattr(clock, "now", moment)
    create_codes()
    return moment


@pytest.fixture(autouse=True)
def pages() -> Iterator[Pages]:
    with open_pages() as found:
        yield found


@pytest.fixture
def carrier(moment: TestClock) -> FakeCarrier:
    """A session is open, and its text has arrived."""
    found = FakeCarrier()
    status, body = call("sessions", load_event("sessions_opened"))
    assert (status, body["id"], body["live_url"]) == (201, SESSION, SETTINGS.live_url)
    deliver(found, moment)
    return found


def ask(name: str, **about: Any) -> int:
    event = load_event(name)
    event["requestContext"] |= about
    answered: dict[str, int] = load_app("live").handler(event, Context())
    assert list(answered) == ["statusCode"], "a body would be a frame on the emulator and nothing on AWS"
    return answered["statusCode"]


def sockets() -> list[str]:
    return list(rows_of(SESSION)["session"].get("sockets", []))


def test_a_socket_is_opened_answers_a_ping_and_is_closed(carrier: FakeCarrier, pages: Pages) -> None:
    assert (ask("live_opened"), sockets()) == (200, [PAGE])
    assert ask("live_pinged") == 200
    assert (ask("live_closed"), sockets()) == (200, [])

    state = {"seq": 1, "is_sending": False, "expires_at": "2026-11-23T12:05:00Z"}
    assert pages.told[PAGE] == [{"type": "pong"} | state]


def test_a_line_is_told_exactly_as_it_is_read_C4(carrier: FakeCarrier, moment: TestClock, pages: Pages) -> None:
    ask("live_opened")
    moment.move(seconds=20, microseconds=1500)
    answer(carrier.heard[0], 'sí, "voy" <b>\n😀', moment)
    answered = load_app("sessions").handler(load_event("sessions_read_after"), Context())

    read = json.loads(answered["body"])

    (told,) = pages.told[PAGE]
    assert [told["message"]] == read["messages"]
    names = {"seq", "direction", "text", "at", "number", "code", "is_partial"}
    assert told["message"].keys() == read["messages"][0].keys() == names
    assert told["expires_at"] == read["expires_at"]


def test_a_frame_that_is_not_understood_gets_a_code_and_closes_nothing(carrier: FakeCarrier, pages: Pages) -> None:
    ask("live_opened")

    assert ask("live_unknown_frame") == 200

    assert pages.told[PAGE] == [{"type": "error", "code": "unknown_frame"}]
    assert sockets() == [PAGE]


def test_a_session_that_has_ended_refuses_a_socket_with_410_C7(carrier: FakeCarrier, moment: TestClock) -> None:
    moment.move(minutes=5)

    assert ask("live_opened") == 410
    sweep(moment)
    assert ask("live_opened") == 410


def test_without_the_authorizers_word_there_is_no_socket(carrier: FakeCarrier) -> None:
    assert ask("live_opened", authorizer=None) == 401
    assert ask("live_pinged", authorizer={"principalId": "x"}) == 401
    assert sockets() == []


def test_a_page_that_names_a_route_of_ours_in_its_frame_opens_and_closes_nothing(
    carrier: FakeCarrier, pages: Pages
) -> None:
    """`routeKey` is chosen by what a page writes; what happened is the type of the event."""
    ask("live_opened")

    assert ask("live_pinged", routeKey="$disconnect") == 200
    assert ask("live_unknown_frame", routeKey="$connect", connectionId="another") == 200

    assert sockets() == [PAGE]
    assert (pages.kinds(PAGE), pages.kinds("another")) == (["pong"], ["error"])


def test_a_ping_at_the_end_is_answered_with_the_end_C7(carrier: FakeCarrier, moment: TestClock, pages: Pages) -> None:
    ask("live_opened")
    moment.now += timedelta(minutes=5)

    ask("live_pinged")

    assert set(pages.kinds(PAGE)) == {"ended"}


def test_a_defect_refuses_the_socket_and_says_nothing_of_itself(
    carrier: FakeCarrier, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("secreto")

    monkeypatch.setattr(session_sockets, "join", fail)

    with caplog.at_level(logging.INFO):
        assert ask("live_opened") == 500

    logged = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    assert "socket_failed" in logged
    assert "secreto" not in logged


def test_no_log_line_of_a_socket_holds_its_token_its_query_or_a_number(
    carrier: FakeCarrier, moment: TestClock, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    socket = load_event("authorizer_socket")
    token = socket["queryStringParameters"]["token"]
    wrong = socket | {"queryStringParameters": {"session": SESSION, "token": token[::-1]}}
    with caplog.at_level(logging.INFO):
        load_app("authorizer").handler(socket, Context())
        with pytest.raises(Exception, match=r"^Unauthorized$"):
            load_app("authorizer").handler(wrong, Context())
        opened = load_event("live_opened")
        opened["queryStringParameters"]["token"] = token
        load_app("live").handler(opened, Context())
        answer(carrier.heard[0], "secreto", moment)
        ask("live_closed")

    logged = caplog.text + capsys.readouterr().out + "".join(str(vars(record)) for record in caplog.records)
    assert "socket_opened" in logged
    assert "token_refused" in logged
    secrets = (token, token[::-1], token[3:], "secreto", ANA, "203.0.113", PAGE)
    assert [word for word in secrets if word in logged] == []
