"""The `send` function on its events: statuses, shapes, and what it never does."""

import json
import logging
from datetime import timedelta
from typing import Any

import pytest

from recado import clock, messages, records
from recado.rules.credit_bags import Zone
from recado.rules.message_states import MessageState
from tests.apps import call, load_event
from tests.conftest import jobs_on
from tests.worlds import (
    DIRECTOR,
    NOON,
    SCHOOL,
    FakeCarrier,
    TestClock,
    add_guardian,
    add_guardians,
    alert,
    buy,
    create,
    create_school,
    figures,
    mobile,
    opt_out,
    work_all,
)


@pytest.fixture(autouse=True)
def school(aws: None, monkeypatch: pytest.MonkeyPatch) -> TestClock:
    moment = TestClock()
    monkeypatch.setattr(clock, "now", moment)
    create_school(domestic=100)
    add_guardians(3)
    return moment


def of_message(event: dict[str, Any], message_id: str) -> dict[str, Any]:
    event["path"] = event["path"].replace(event["pathParameters"]["message_id"], message_id)
    event["pathParameters"]["message_id"] = message_id
    return event


def test_sending_now_answers_201_and_holds_the_credits() -> None:
    status, body = call("send", load_event("send_now"))

    assert status == 201
    assert (body["state"], body["recipients"], body["credits_held"]) == ("sending", 3, {"domestic": 3})
    assert figures() == (97, 3, 0)
    assert len(jobs_on("BulkQueue")) == 1


def test_the_same_key_and_body_answers_the_same_and_pays_once() -> None:
    first = call("send", load_event("send_now"))
    second = call("send", load_event("send_now"))

    assert first == second
    assert figures() == (97, 3, 0)


def test_the_same_key_with_another_body_is_refused() -> None:
    call("send", load_event("send_now"))
    event = load_event("send_now")
    event["body"] = event["body"].replace("agua", "luz")

    status, body = call("send", event)

    assert (status, body["code"]) == (422, "idempotency_key_reused")
    assert figures() == (97, 3, 0)


def test_a_refusal_for_credits_may_be_tried_again_with_its_key_once_there_are_some() -> None:
    for position in range(10, 110):
        add_guardian(position)
    refused, problem = call("send", load_event("send_now"))
    buy(SCHOOL, Zone.DOMESTIC, 3)

    status, _ = call("send", load_event("send_now"))

    assert (refused, problem["code"], problem["missing"]) == (402, "not_enough_credits", 3)
    assert status == 201


def test_without_send_it_is_a_draft() -> None:
    status, body = call("send", load_event("send_draft"))

    assert (status, body["state"], body["credits_held"]) == (201, "draft", {})
    assert figures() == (100, 0, 0)


def test_with_a_time_it_waits_and_says_until_when() -> None:
    status, body = call("send", load_event("send_scheduled"))

    assert (status, body["state"], body["send_at"]) == (201, "scheduled", "2026-11-24T10:00:00Z")


def test_a_teacher_gets_403_and_nothing_is_written_L2() -> None:
    status, body = call("send", load_event("send_refused_to_a_teacher"))

    assert (status, body["code"]) == (403, "not_allowed_to_send")
    assert figures() == (100, 0, 0)
    assert messages.list_recent(DIRECTOR, limit=10, before=None) == ([], None)


def test_wrong_fields_are_all_named_and_not_repeated() -> None:
    status, body = call("send", load_event("send_with_wrong_fields"))

    assert (status, body["code"]) == (422, "invalid_request")
    fields = {error["field"] for error in body["errors"]}
    assert fields == {"/text", "/category", "/audience/who/0", "/colour"}
    assert "party" not in json.dumps(body["errors"])


def test_a_text_and_a_template_at_once_are_refused_in_our_words() -> None:
    event = load_event("send_now")
    event["body"] = json.dumps(json.loads(event["body"]) | {"template": {"id": "t1"}})

    status, body = call("send", event)

    assert (status, body["code"]) == (422, "invalid_request")
    assert body["errors"][0]["detail"] == "Say a text or a template, one of them"


def test_a_body_that_is_no_json_is_refused() -> None:
    status, body = call("send", load_event("send_not_json"))

    assert (status, body["code"]) == (422, "invalid_request")


def test_a_write_without_a_key_is_refused() -> None:
    status, body = call("send", load_event("send_without_key"))

    assert (status, body["code"]) == (400, "idempotency_key_missing")
    assert figures() == (100, 0, 0)


def test_an_unconfirmed_notice_is_pointed_to_the_message_centre_L1() -> None:
    status, body = call("send", load_event("send_notice_unconfirmed"))

    assert (status, body["code"], body["message_centre_credits"]) == (422, "notice_by_sms_not_confirmed", 0)


def test_a_text_of_a_megabyte_is_refused_before_it_is_read() -> None:
    event = load_event("send_now")
    event["body"] = json.dumps({"text": "a" * 1_000_000})

    status, body = call("send", event)

    assert (status, body["code"]) == (413, "too_large")


def test_a_message_shows_its_counts_per_state(school: TestClock) -> None:
    message = create(alert(), school)
    work_all(FakeCarrier(), school)

    status, body = call("send", of_message(load_event("send_seen"), message.id))

    assert status == 200
    assert (body["state"], body["counts"], body["credits_captured"]) == ("sent", {"sent": 3}, {"domestic": 3})


def test_a_draft_is_sent(school: TestClock) -> None:
    draft = create(alert(send=False), school)

    status, body = call("send", of_message(load_event("send_draft_sent"), draft.id))

    assert (status, body["state"]) == (200, "sending")


def test_a_scheduled_message_is_cancelled(school: TestClock) -> None:
    message = create(alert(send_at=NOON + timedelta(hours=1)), school)

    status, body = call("send", of_message(load_event("send_cancelled"), message.id))

    assert (status, body["state"]) == (200, "cancelled")
    assert figures() == (100, 0, 0)


def test_a_message_in_flight_is_stopped(school: TestClock) -> None:
    message = create(alert(), school)

    status, body = call("send", of_message(load_event("send_stopped"), message.id))
    work_all(FakeCarrier(), school)

    assert (status, body["state"]) == (200, "stopping")
    assert records.get_message(SCHOOL, message.id).state is MessageState.STOPPED
    assert figures() == (100, 0, 0)


def test_a_message_that_is_not_there_is_404() -> None:
    status, body = call("send", load_event("send_seen"))

    assert (status, body["code"]) == (404, "not_found")


def test_messages_are_listed_newest_first_page_by_page(school: TestClock) -> None:
    made = []
    for position in range(3):
        school.move(seconds=1)
        made.append(create(alert(send=False), school, key=f"k{position}").id)

    _, first = call("send", load_event("send_list"))
    event = load_event("send_list")
    event["queryStringParameters"]["before"] = first["next"]
    event["multiValueQueryStringParameters"]["before"] = [first["next"]]
    _, second = call("send", event)

    assert [message["id"] for message in first["messages"] + second["messages"]] == list(reversed(made))
    assert second["next"] is None


@pytest.mark.parametrize(
    "before", ["zzz", "a#b", "2026-11-23", "2026-11-23T08:00:00#m1", "2026-99-23T08:00:00+00:00#m1"]
)
def test_a_cursor_that_is_none_is_refused(before: str) -> None:
    event = load_event("send_list")
    event["queryStringParameters"]["before"] = before
    event["multiValueQueryStringParameters"]["before"] = [before]

    status, body = call("send", event)

    assert (status, body["errors"][0]["field"]) == (422, "/query/before")


def report_of(message_id: str, **query: str) -> tuple[int, Any]:
    event = of_message(load_event("send_seen"), message_id)
    event["resource"] += "/recipients.csv"
    event["path"] += "/recipients.csv"
    event["queryStringParameters"] = query
    event["multiValueQueryStringParameters"] = {name: [value] for name, value in query.items()}
    return call("send", event)


def test_a_report_is_in_the_language_and_with_the_separator_that_were_asked_for(school: TestClock) -> None:
    message = create(alert(), school)
    work_all(FakeCarrier(), school)

    _, in_spanish = report_of(message.id)
    _, in_english = report_of(message.id, lang="en", separator="semicolon")

    assert in_spanish.startswith("\ufeffnúmero,personas,estado,")
    assert ",Espere: el estado se actualiza solo.,sí,1," in in_spanish
    assert in_english.startswith("\ufeffnumber;people;state;")
    assert ";Wait: the state brings itself up to date.;yes;1;" in in_english


@pytest.mark.parametrize(("name", "value"), [("lang", "fr"), ("separator", "tab"), ("cursor", "x"), ("cursor", " ")])
def test_a_report_that_is_asked_for_wrongly_is_refused(school: TestClock, name: str, value: str) -> None:
    message = create(alert(), school)

    status, body = report_of(message.id, **{name: value})

    assert (status, body["errors"][0]["field"]) == (422, f"/query/{name}")


def test_whoever_the_office_switched_off_is_not_said_to_have_asked_for_it(school: TestClock) -> None:
    """L9, L11: skipped when it was planned, in red, and in words that hold whoever switched it off."""
    opt_out(mobile(0), "person#g00000")
    message = create(alert(), school)
    event = of_message(load_event("send_seen"), message.id)
    event["resource"], event["path"] = event["resource"] + "/recipients", event["path"] + "/recipients"

    _, body = call("send", event)

    (skipped,) = [one for one in body["recipients"] if one["state"] == "opted_out"]
    assert skipped["is_red"]
    assert skipped["meaning"] == "La persona no recibe SMS: lo pidió ella o está desactivado en su ficha."


def test_no_log_line_holds_a_text_or_a_number(school: TestClock, caplog: pytest.LogCaptureFixture, capsys: Any) -> None:
    with caplog.at_level(logging.INFO):
        call("send", load_event("send_now"))
        work_all(FakeCarrier(), school)

    logged = caplog.text + capsys.readouterr().out + "".join(str(record.__dict__) for record in caplog.records)
    assert "message_accepted" in logged
    assert "agua" not in logged
    assert mobile(0) not in logged
