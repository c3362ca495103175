"""The `sessions` function on its events: statuses, shapes, tokens, and what it never does."""

import json
import logging
from datetime import timedelta
from typing import Any

import boto3
import pytest

from recado import access, clock
from recado.session_replies import ReplyOutcome
from tests.apps import Context, call, load_app, load_event
from tests.conftest import jobs_on
from tests.session_worlds import (
    ANA,
    CODES,
    HELLO,
    LUIS,
    answer,
    changed_settings,
    create_codes,
    deliver,
    of_talks,
    rows_of,
    sweep,
)
from tests.worlds import NOON, FakeCarrier, TestClock


@pytest.fixture(autouse=True)
def moment(aws: None, monkeypatch: pytest.MonkeyPatch) -> TestClock:
    moment = TestClock()
    monkeypatch.setattr(clock, "now", moment)
    create_codes()
    return moment


@pytest.fixture
def carrier() -> FakeCarrier:
    return FakeCarrier()


def open_one() -> dict[str, Any]:
    status, body = call("sessions", load_event("sessions_opened"))
    assert status == 201
    assert isinstance(body, dict)
    return body


def with_body(event: dict[str, Any], **changes: Any) -> dict[str, Any]:
    event["body"] = json.dumps(json.loads(event["body"]) | changes)
    return event


def opening(name: str, *, address: str = "203.0.113.24", **changes: Any) -> dict[str, Any]:
    """A request to open a session, with a key of its own."""
    event = load_event("sessions_opened") | {"headers": {"Idempotency-Key": f"pagina-{name:0>20}"}}
    event["requestContext"]["identity"]["sourceIp"] = address
    return with_body(event, **changes)


def headers_of(event: dict[str, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = load_app("sessions").handler(event, Context())["multiValueHeaders"]
    return found


def test_opening_answers_whom_it_writes_to_and_a_token_of_this_session_only(carrier: FakeCarrier) -> None:
    body = open_one()

    assert body["id"] == load_event("sessions_read")["pathParameters"]["session_id"]
    assert access.is_session_token(body["id"], body["token"])
    assert not access.is_session_token("s" + "a" * 25, body["token"])
    assert [(one["number"], one["typed"], one["can_answer"]) for one in body["handsets"]] == [
        (ANA, "809 555 0101", True),
        (LUIS, "+1 829 555 0102", True),
    ]
    assert {one["code"] for one in body["handsets"]} <= set(CODES)
    assert body["refused"] == []
    assert body["expires_at"] == "2026-11-23T12:05:00Z"


def test_the_place_of_its_messages_is_in_the_answer() -> None:
    session_id = load_event("sessions_read")["pathParameters"]["session_id"]

    assert headers_of(load_event("sessions_opened"))["Location"] == [f"/v1/sessions/{session_id}/messages"]


def test_the_emulators_lower_case_headers_do_as_well() -> None:
    status, body = call("sessions", load_event("sessions_opened_through_the_emulator"))

    assert (status, len(body["handsets"])) == (201, 2)


def test_the_same_key_and_body_answers_the_same_and_sends_once(carrier: FakeCarrier, moment: TestClock) -> None:
    first = open_one()
    deliver(carrier, moment)

    second = open_one()

    assert second == first
    assert deliver(carrier, moment) == []


def test_the_same_key_with_another_body_is_refused() -> None:
    open_one()

    status, body = call("sessions", with_body(load_event("sessions_opened"), text="otra cosa"))

    assert (status, body["code"]) == (422, "idempotency_key_reused")


def test_nothing_of_a_session_lies_in_the_keys_row() -> None:
    body = open_one()

    rows = boto3.resource("dynamodb").Table("PeopleTable").scan()["Items"]

    assert len(rows) == 1
    assert not any(secret in str(rows) for secret in (body["token"], body["id"], ANA, HELLO))


def test_nobody_reachable_answers_422_with_each_numbers_reason() -> None:
    status, body = call("sessions", load_event("sessions_nobody_reachable"))

    assert (status, body["code"]) == (422, "no_handset_reachable")
    assert body["refused"] == [
        {"number": "+56 9 1234 5678", "reason": "not_a_subscriber", "retry_at": None},
        {"number": "12", "reason": "not_a_number", "retry_at": None},
    ]


def test_without_a_free_code_it_says_when_to_come_back(carrier: FakeCarrier, moment: TestClock) -> None:
    for place, code in enumerate(CODES):
        call("sessions", opening(code, address=f"203.0.113.{place}"))
    event = opening("9")

    answered = load_app("sessions").handler(event, Context())

    assert answered["statusCode"] == 422
    assert {one["reason"] for one in json.loads(answered["body"])["refused"]} == {"no_short_code_free"}
    assert answered["multiValueHeaders"]["Retry-After"] == ["3900"]


def test_a_cap_answers_429_with_which_it_is_in_words_and_when_to_try_again() -> None:
    with changed_settings(source_sessions_per_hour_max=1):
        open_one()
        answered = load_app("sessions").handler(opening("2"), Context())

    body = json.loads(answered["body"])
    assert (answered["statusCode"], body["code"], body["limit"]) == (429, "session_limit_reached", "source_sessions")
    assert body["detail"] == "Too many sessions were opened from this connection in the last hour"
    assert answered["multiValueHeaders"]["Retry-After"] == ["4200"]
    assert answered["multiValueHeaders"]["Content-Type"] == ["application/problem+json"]


def test_a_request_refused_for_a_cap_is_accepted_under_the_same_key_when_there_is_room(moment: TestClock) -> None:
    with changed_settings(source_sessions_per_hour_max=1):
        open_one()
        statuses = [call("sessions", opening("2", to=["849 555 0103"]))[0] for _ in range(2)]
        moment.move(seconds=4200)
        status, body = call("sessions", opening("2", to=["849 555 0103"]))
        again = call("sessions", opening("2", to=["849 555 0103"]))

    assert statuses == [429, 429]
    assert status == 201
    assert again == (201, body)


def test_when_every_number_is_over_its_cap_each_is_named_with_its_moment() -> None:
    with changed_settings(handset_texts_per_hour_max=1):
        open_one()
        status, body = call("sessions", opening("2", address="203.0.113.25"))

    assert (status, body["limit"]) == (429, "handset_texts")
    assert body["refused"] == [
        {"number": typed, "reason": "too_many_texts", "retry_at": "2026-11-23T13:10:00+00:00"}
        for typed in ("809 555 0101", "+1 829 555 0102")
    ]


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "CF-Connecting-IP", "True-Client-IP"])
def test_no_header_makes_anybody_somebody_else(header: str) -> None:
    with changed_settings(source_sessions_per_hour_max=1):
        open_one()
        event = opening("2")
        event["headers"] |= {header: "198.51.100.7"}
        event["multiValueHeaders"] = {name: [value] for name, value in event["headers"].items()}
        status, _ = call("sessions", event)

    assert status == 429


def test_who_hears_nothing_of_a_later_text_is_named_in_its_answer_and_in_its_repetition(
    carrier: FakeCarrier, moment: TestClock
) -> None:
    open_one()
    text = deliver(carrier, moment)[0]
    answer(text, "BLOQUEAR", moment)

    first = call("sessions", load_event("sessions_said"))
    answer(text, "ALTA", moment, reply_id="r2")
    second = call("sessions", load_event("sessions_said"))

    assert first[0] == 201
    assert first[1]["refused"] == [{"number": "809 555 0101", "reason": "opted_out", "retry_at": None}]
    assert second == first
    assert [one.to for one in of_talks(deliver(carrier, moment))] == [LUIS]


def test_nothing_of_whom_a_text_left_out_lies_in_the_keys_row(carrier: FakeCarrier, moment: TestClock) -> None:
    open_one()
    text = deliver(carrier, moment)[0]
    answer(text, "STOP", moment)

    call("sessions", load_event("sessions_said"))

    rows = boto3.resource("dynamodb").Table("PeopleTable").scan()["Items"]
    keys = [row for row in rows if row["pk"].startswith("IDEM#")]
    assert len(keys) == 2
    assert not any(secret in str(keys) for secret in (ANA, LUIS, "809 555", "203.0.113"))


def test_more_links_than_a_text_may_have_are_a_wrong_field() -> None:
    status, body = call("sessions", opening("1", text="bit.ly/a y www.ejemplo.com"))

    assert (status, body["code"]) == (422, "invalid_request")
    assert [(one["field"], one["code"]) for one in body["errors"]] == [("/text", "too_many_links")]


def test_a_key_that_could_be_guessed_is_refused() -> None:
    status, body = call("sessions", load_event("sessions_with_a_short_key"))

    assert (status, body["errors"][0]["field"]) == (422, "Idempotency-Key")


def test_a_request_without_a_key_is_refused() -> None:
    event = load_event("sessions_opened")
    del event["headers"]["Idempotency-Key"]

    status, body = call("sessions", event)

    assert (status, body["code"]) == (400, "idempotency_key_missing")


def test_every_wrong_field_is_named() -> None:
    status, body = call("sessions", load_event("sessions_with_wrong_fields"))

    assert (status, body["code"]) == (422, "invalid_request")
    assert sorted(one["field"] for one in body["errors"]) == ["/from", "/to"]


@pytest.mark.parametrize("part", ["text", "to"])
def test_half_a_character_is_refused_by_its_field(part: str) -> None:
    event = load_event("sessions_opened")
    event["body"] = '{"text": "a\\ud800", "to": ["809 555 0101"]}'
    if part == "to":
        event["body"] = '{"text": "a", "to": ["809 555 0101\\ud800"]}'

    status, body = call("sessions", event)

    assert (status, body["code"]) == (422, "invalid_request")
    assert part in body["errors"][0]["field"]


def test_a_second_text_goes_out_when_the_first_has(carrier: FakeCarrier, moment: TestClock) -> None:
    first = open_one()
    answered = load_app("sessions").handler(load_event("sessions_said"), Context())
    assert (answered["statusCode"], json.loads(answered["body"])["code"]) == (409, "still_sending")
    assert answered["multiValueHeaders"]["Retry-After"] == ["2"]
    deliver(carrier, moment)

    status, body = call("sessions", load_event("sessions_said"))

    assert (status, body) == (201, first)
    assert [text.text for text in deliver(carrier, moment)] == ["¿Y a las 6?"] * 2


def test_a_text_is_said_once_however_late_its_key_comes_again(carrier: FakeCarrier, moment: TestClock) -> None:
    open_one()
    deliver(carrier, moment)
    call("sessions", load_event("sessions_said"))
    later = load_event("sessions_said")
    later["headers"]["Idempotency-Key"] = "pagina-7f3c2a915be04d6894c3"
    deliver(carrier, moment)
    call("sessions", later)
    deliver(carrier, moment)

    status, _ = call("sessions", load_event("sessions_said"))

    assert status == 201
    assert deliver(carrier, moment) == []


def test_what_is_said_and_answered_is_read_in_order(carrier: FakeCarrier, moment: TestClock) -> None:
    open_one()
    to_ana, _ = deliver(carrier, moment)
    moment.move(seconds=20)
    assert answer(to_ana, "sí, voy", moment) is ReplyOutcome.TO_SESSION

    status, body = call("sessions", load_event("sessions_read"))

    assert status == 200
    out = {
        "seq": 1,
        "direction": "out",
        "text": HELLO,
        "at": "2026-11-23T12:00:00Z",
        "number": None,
        "code": None,
        "is_partial": False,
    }
    reply = {
        "seq": 2,
        "direction": "in",
        "text": "sí, voy",
        "at": "2026-11-23T12:00:20Z",
        "number": ANA,
        "code": to_ana.sender,
        "is_partial": False,
    }
    assert body == {
        "messages": [out, reply],
        "next_after": 2,
        "is_sending": False,
        "expires_at": "2026-11-23T12:05:20Z",
    }
    status, body = call("sessions", load_event("sessions_read_after"))
    assert (status, body["messages"]) == (200, [reply])


def test_the_answer_says_how_soon_to_read_again() -> None:
    open_one()

    assert headers_of(load_event("sessions_read"))["Retry-After"] == ["2"]


def test_anothers_token_finds_nothing() -> None:
    open_one()

    status, body = call("sessions", load_event("sessions_read_with_anothers_token"))

    assert (status, body["code"]) == (404, "not_found")


@pytest.mark.parametrize("name", ["sessions_read", "sessions_said", "sessions_extended", "sessions_ended"])
def test_without_the_authorizers_word_there_is_no_session(name: str) -> None:
    open_one()
    event = load_event(name)
    del event["requestContext"]["authorizer"]

    status, _ = call("sessions", event)

    assert status == 404
    assert "handsets" in rows_of(event["pathParameters"]["session_id"])


def test_extending_starts_the_five_minutes_again(moment: TestClock) -> None:
    open_one()
    moment.move(minutes=4)

    status, body = call("sessions", load_event("sessions_extended"))

    assert (status, body) == (200, {"expires_at": "2026-11-23T12:09:00Z"})


def test_ending_answers_204_twice_and_reading_410(carrier: FakeCarrier, moment: TestClock) -> None:
    open_one()
    deliver(carrier, moment)

    statuses = [load_app("sessions").handler(load_event("sessions_ended"), Context())["statusCode"] for _ in "12"]

    assert statuses == [204, 204]
    status, body = call("sessions", load_event("sessions_read"))
    assert (status, body["code"]) == (410, "session_ended")
    assert list(rows_of(load_event("sessions_read")["pathParameters"]["session_id"])) == ["session"]


@pytest.mark.parametrize("name", ["sessions_read", "sessions_said", "sessions_extended", "sessions_opened"])
def test_after_five_idle_minutes_every_route_answers_410(carrier: FakeCarrier, moment: TestClock, name: str) -> None:
    open_one()
    deliver(carrier, moment)
    moment.now = NOON + timedelta(minutes=5)

    status, body = call("sessions", load_event(name))

    assert (status, body["code"]) == (410, "session_ended")


def test_after_the_end_a_text_with_numbers_is_another_session(carrier: FakeCarrier, moment: TestClock) -> None:
    # C7, C8
    first = open_one()
    deliver(carrier, moment)
    moment.move(minutes=6)
    sweep(moment)

    status, body = call("sessions", load_event("sessions_said_with_numbers"))

    assert status == 201
    assert body["id"] != first["id"]
    assert access.is_session_token(body["id"], body["token"])
    before = {one["number"]: one["code"] for one in first["handsets"]}
    assert all(one["code"] != before[one["number"]] for one in body["handsets"])
    again, same = call("sessions", load_event("sessions_said_with_numbers"))
    assert (again, same) == (201, body)
    assert len(deliver(carrier, moment)) == 2


def test_no_log_line_holds_a_text_a_number_or_a_token(
    carrier: FakeCarrier, moment: TestClock, caplog: pytest.LogCaptureFixture, capsys: Any
) -> None:
    with caplog.at_level(logging.INFO):
        body = open_one()
        call("sessions", load_event("sessions_read"))
        call("sessions", load_event("sessions_nobody_reachable"))
        call("sessions", load_event("sessions_with_wrong_fields"))

    logged = caplog.text + capsys.readouterr().out + "".join(str(record.__dict__) for record in caplog.records)
    assert "request_answered" in logged
    assert not any(word in logged for word in (HELLO, ANA, "809 555", "1234 5678", body["token"], "pagina-"))


def test_a_job_names_rows_and_carries_no_text_and_no_number() -> None:
    open_one()

    (job,) = jobs_on("SessionsQueue")

    assert set(json.loads(job)) == {"kind", "school", "item", "plan", "page", "job"}
