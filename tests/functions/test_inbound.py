"""The `inbound` and `receipts` functions on their events: signatures, replies to a school, opt-out words, receipts."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from standardwebhooks import Webhook

from recado import answers, clock, inbound, lines, message_reports, receipts, session_notices
from recado.carriers.speech import BadWebhook, IncomingReceipt, IncomingReply, Outgoing
from recado.errors import StillRunning
from recado.heard_texts import Outcome
from recado.rules.credit_bags import Zone
from recado.rules.delivery_states import Receipt, RecipientState
from recado.rules.receipt_times import first_reported, time_member
from recado.rules.reply_parts import Part
from recado.rules.signatures import webhook_secret
from recado.settings import SETTINGS
from recado.tables import opt_outs, pages, ratings, replies, routes, schools, session_counts, short_codes
from recado.tables.base import Transaction
from recado.tables.pages import PageKind, PageRecipient, PageRef
from recado.tables.sessions import due_shard
from recado.tables.short_codes import Purpose, ShortCode
from tests.apps import Context, call, load_app, load_event
from tests.conftest import all_tables, jobs_on
from tests.session_worlds import ANA, LUIS, create_codes, deliver, just_before, rows_of
from tests.tokens import MASTER
from tests.worlds import (
    DIRECTOR,
    NOON,
    SCHOOL,
    FakeCarrier,
    TestClock,
    add_guardians,
    alert,
    create,
    create_school,
    hand_over,
    mobile,
    work_all,
)

MESSAGE_ID = "m" + "a" * 25
REF = PageRef(PageKind.MESSAGE, SCHOOL, MESSAGE_ID, "plan1", 0)


@pytest.fixture(autouse=True)
def moment(aws: None, monkeypatch: pytest.MonkeyPatch) -> TestClock:
    found = TestClock()
    monkeypatch.setattr(clock, "now", found)
    create_school()
    assert short_codes.create_code(ShortCode("CL", "20600", "signed_webhook", Purpose.SCHOOLS, school=SCHOOL))
    return found


def seen_replies() -> list[str]:
    return [reply.text for reply in replies.list_replies(SCHOOL, limit=10)[0]]


def test_a_reply_on_a_schools_own_code_is_seen_by_that_school() -> None:
    status, body = call("inbound", load_event("inbound_reply"))

    assert (status, body) == (200, {"taken": 1})
    _, shown = call("send", load_event("send_replies"))
    [reply] = shown["replies"]
    assert (reply["text"], reply["number"], reply["code"]) == ("Gracias, enterada.", mobile(0), "20600")


def test_the_same_reply_twice_is_one_reply() -> None:
    call("inbound", load_event("inbound_reply"))
    status, _ = call("inbound", load_event("inbound_reply"))

    assert status == 200
    assert seen_replies() == ["Gracias, enterada."]


def test_a_wrong_signature_is_401_and_changes_nothing() -> None:
    status, body = call("inbound", load_event("inbound_reply_wrong_signature"))

    assert (status, body["code"]) == (401, "bad_signature")
    assert seen_replies() == []


@pytest.mark.parametrize("minutes", [5.02, -5.02])
def test_an_old_or_a_future_timestamp_is_401_and_changes_nothing(moment: TestClock, minutes: float) -> None:
    moment.move(minutes=minutes)

    status, body = call("inbound", load_event("inbound_reply"))

    assert (status, body["code"]) == (401, "bad_signature")
    assert seen_replies() == []


def test_one_changed_letter_of_the_body_is_401() -> None:
    event = load_event("inbound_reply")
    event["body"] = event["body"].replace("Gracias", "gracias")

    assert call("inbound", event)[0] == 401


def test_headers_are_read_whatever_their_case() -> None:
    event = load_event("inbound_reply")
    event["headers"] = {name.upper(): value for name, value in event["headers"].items()}

    assert call("inbound", event)[0] == 200


def test_a_malformed_reply_is_named_by_its_place_and_the_others_are_not_half_taken() -> None:
    status, body = call("inbound", load_event("inbound_reply_malformed"))

    assert (status, body["code"]) == (422, "invalid_request")
    assert [error["field"] for error in body["errors"]] == ["/replies/0/from"]
    assert seen_replies() == []


def test_a_carrier_that_is_none_is_404() -> None:
    event = load_event("inbound_reply")
    event["path"] = "/carriers/nobody/replies"
    event["pathParameters"]["carrier"] = "nobody"

    status, body = call("inbound", event)

    assert (status, body["code"]) == (404, "not_found")


def test_a_stop_word_suppresses_the_number_and_a_start_word_takes_it_back_L10(moment: TestClock) -> None:
    call("inbound", load_event("inbound_reply_stop"))
    assert opt_outs.find_causes(SCHOOL, mobile(0)) == {"reply#20600"}

    add_guardians(2)
    carrier = FakeCarrier()
    create(alert(), moment)
    work_all(carrier, moment)

    assert carrier.numbers_heard() == [mobile(1)]


def test_a_sentence_that_holds_a_stop_word_is_a_reply() -> None:
    reply = IncomingReply("r-9", mobile(0), "20600", "no puedo parar ahora", NOON)

    outcome = inbound.take_reply("signed_webhook", reply, TestClock())

    assert outcome is Outcome.TO_SCHOOL
    assert opt_outs.find_causes(SCHOOL, mobile(0)) == frozenset()


def test_a_reply_on_a_code_nobody_has_reaches_nobody() -> None:
    reply = IncomingReply("r-9", mobile(0), "99999", "hola", NOON)

    assert inbound.take_reply("signed_webhook", reply, TestClock()) is Outcome.UNROUTED
    assert seen_replies() == []


def test_a_reply_on_a_shared_code_goes_to_the_school_of_the_message_it_answers_and_to_no_other(
    moment: TestClock,
) -> None:
    assert short_codes.create_code(ShortCode("CL", "30000", "signed_webhook", Purpose.SCHOOLS))
    add_guardians(1)
    message = create(alert(), moment)
    ref = PageRef(PageKind.MESSAGE, SCHOOL, message.id, message.plan or "", 0)
    outcomes = [
        inbound.take_reply("signed_webhook", IncomingReply(f"r{i}", handset, "30000", "ok", NOON, answered), moment)
        for i, (handset, answered) in enumerate(
            [
                (mobile(0), ref.reference(0)),
                (mobile(1), ref.reference(0)),
                (mobile(0), None),
                (mobile(0), "m.x.y.z.0.0"),
            ]
        )
    ]

    nobody = Outcome.UNROUTED
    assert outcomes == [Outcome.TO_SCHOOL, nobody, nobody, nobody]
    assert seen_replies() == ["ok"]


@pytest.fixture
def shared(moment: TestClock) -> str:
    """A second school, which knows the same number, and both write from a code that schools share."""
    create_school("liceo-2", code="")
    with Transaction() as write:
        schools.change_school(write, SCHOOL, {"code": ""}, AssertionError("no school"))
    assert short_codes.create_code(ShortCode("CL", "30000", "signed_webhook", Purpose.SCHOOLS))
    for school_id in (SCHOOL, "liceo-2"):
        add_guardians(1, school_id)
    return "liceo-2"


def test_a_reply_to_a_shared_code_waits_until_the_handset_has_chosen(shared: str, moment: TestClock) -> None:
    assert call("inbound", load_event("inbound_reply_to_a_shared_code")) == (200, {"taken": 1})
    assert replies.list_replies(SCHOOL, limit=9)[0] == replies.list_replies(shared, limit=9)[0] == []
    [question] = deliver(FakeCarrier(), moment)
    assert (question.to, question.sender) == (mobile(0), "30000")

    assert call("inbound", load_event("inbound_reply_choice")) == (200, {"taken": 1})

    # By their ids: liceo-2, los-aromos.
    [reply], _ = replies.list_replies(SCHOOL, limit=9)
    assert (reply.text, reply.sent_on_at) == ("¿A qué hora salen?", NOON)
    _, listed = call("send", load_event("send_replies"))
    assert [one["sent_on_at"] for one in listed["replies"]] == ["2026-11-23T12:00:00Z"]


def test_stop_to_a_shared_code_is_obeyed_and_confirmed_through_the_functions(shared: str, moment: TestClock) -> None:
    assert call("inbound", load_event("inbound_reply_stop_to_a_shared_code")) == (200, {"taken": 1})

    assert all(opt_outs.find_causes(school_id, mobile(0)) == {"reply#30000"} for school_id in (SCHOOL, shared))
    event = load_event("dispatch_page")
    (event["Records"][0]["body"],) = jobs_on("SessionsQueue")
    carrier = FakeCarrier()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "_carriers_line", lambda _name: carrier.line())
        patch.setattr(Context, "get_remaining_time_in_millis", lambda _: 90_000)  # as the dispatcher has
        assert load_app("dispatch").handler(event, Context()) == {"batchItemFailures": []}
    assert [(text.to, text.sender) for text in carrier.heard] == [(mobile(0), "30000")]


def test_help_to_an_own_code_is_answered(moment: TestClock) -> None:
    assert call("inbound", load_event("inbound_reply_help")) == (200, {"taken": 1})

    [text] = deliver(FakeCarrier(), moment)
    assert "Escuela Los Aromos" in text.text


def test_what_a_reply_owes_and_nobody_lived_to_do_is_done_by_the_minutes_run(moment: TestClock) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(answers, "put_jobs", lambda *_, **__: 1 / 0)
        call("inbound", load_event("inbound_reply_help"))
    assert deliver(FakeCarrier(), moment) == []
    moment.move(minutes=2)

    load_app("attention").handler(load_event("attention_minute"), Context())

    assert len(deliver(FakeCarrier(), moment)) == 1


def test_parts_that_wait_on_a_shared_code_are_shown_by_the_minutes_run(shared: str, moment: TestClock) -> None:
    part = Part(1, 2, "7f")
    reply = IncomingReply("p1", mobile(0), "30000", "Llego ", NOON, part=part)
    assert inbound.take_reply("signed_webhook", reply, moment) is Outcome.PART
    moment.move(minutes=2)

    load_app("attention").handler(load_event("attention_minute"), Context())

    [question] = deliver(FakeCarrier(), moment)
    assert question.sender == "30000"


def test_one_reply_is_found_by_its_id_and_not_by_another_school(moment: TestClock) -> None:
    call("inbound", load_event("inbound_reply"))
    event = load_event("send_reply")

    status, found = call("send", event)

    assert (status, found["text"]) == (200, "Gracias, enterada.")
    _, listed = call("send", load_event("send_replies"))
    assert listed["replies"] == [found]
    event["requestContext"]["authorizer"]["school"] = "liceo-2"
    assert call("send", event)[0] == 404


def test_a_two_way_reply_from_the_topic_reaches_the_school() -> None:
    give_codes_to("sns")

    load_app("inbound").handler(load_event("inbound_two_way_topic"), Context())
    load_app("inbound").handler(load_event("inbound_two_way_topic"), Context())

    assert seen_replies() == ["Llego en 10 min"]


def test_one_topic_brings_the_replies_of_both_ways_to_send_by_aws() -> None:
    give_codes_to("end_user_messaging")

    load_app("inbound").handler(load_event("inbound_two_way_topic"), Context())

    assert seen_replies() == ["Llego en 10 min"]


@pytest.mark.parametrize("carrier", ["twilio", "sns", "vonage", "end_user_messaging"])
def test_a_carrier_is_not_believed_of_a_code_that_is_anothers(carrier: str, moment: TestClock) -> None:
    for code, text in (("20600", "hola"), ("+20600", "hola"), ("20600", "STOP")):
        reply = IncomingReply(f"{carrier}{code}{text}", mobile(0), code, text, NOON)
        assert inbound.take_reply(carrier, reply, moment) is Outcome.UNROUTED

    assert seen_replies() == []
    assert opt_outs.find_causes(SCHOOL, mobile(0)) == frozenset()
    [counts] = session_counts.list_counts("CL", NOON.date(), NOON.date())
    assert counts.school_unrouted == 3


def test_a_long_reply_in_parts_is_one_reply_of_the_school() -> None:
    for _ in range(2):
        assert call("inbound", load_event("inbound_reply_parts")) == (200, {"taken": 2})

    assert seen_replies() == ["Gracias, voy por ella una hora más tarde."]


def test_what_has_come_of_a_long_reply_shows_at_once_and_grows_with_every_part() -> None:
    for number, shown in ((2, "…b…"), (1, "ab…"), (3, "abc")):
        assert take_part(number, "abc"[number - 1], of=3) is Outcome.TO_SCHOOL
        assert take_part(number, "abc"[number - 1], of=3) is Outcome.DUPLICATE
        assert seen_replies() == [shown]


def test_a_schools_group_used_again_is_another_reply_and_no_text_is_lost() -> None:
    for reply_id, number, words in (("1", 1, "a"), ("2", 1, "c"), ("3", 2, "d")):
        take_part(number, words, of=2, reply_id=reply_id)

    assert sorted(seen_replies()) == ["a…", "cd"]


def test_a_schools_opt_out_word_counts_only_as_the_whole_message() -> None:
    take_part(1, "ST", of=2)
    assert opt_outs.find_causes(SCHOOL, mobile(0)) == frozenset()

    take_part(2, "OP", of=2)

    assert opt_outs.find_causes(SCHOOL, mobile(0)) == {"reply#20600"}
    [reply], _ = replies.list_replies(SCHOOL, limit=10)
    assert (reply.text, reply.word) == ("STOP", "stop")


def test_two_parts_for_a_school_at_once_are_both_in_its_reply() -> None:
    with just_before("TransactWriteItems", lambda: take_part(2, "dos", of=2), nth=1):
        assert take_part(1, "uno ", of=2) is Outcome.TO_SCHOOL

    assert seen_replies() == ["uno dos"]


def test_a_part_that_others_keep_overtaking_is_refused_and_may_come_again() -> None:
    numbers = iter(range(2, 15))

    with (
        just_before("TransactWriteItems", lambda: take_part(next(numbers), "x", of=15)),
        pytest.raises(StillRunning),
    ):
        take_part(1, "x", of=15)

    assert take_part(1, "x", of=15) is Outcome.TO_SCHOOL


@pytest.mark.parametrize("said", [NOON + timedelta(days=4000), NOON - timedelta(days=8), NOON + timedelta(seconds=1)])
def test_a_schools_reply_of_a_time_that_cannot_be_is_shown_at_the_time_it_came(said: datetime) -> None:
    reply = IncomingReply("r-9", mobile(0), "20600", "hola", said)

    inbound.take_reply("signed_webhook", reply, TestClock())

    [kept], _ = replies.list_replies(SCHOOL, limit=10)
    assert kept.received_at == NOON


# --- The topic of two-way replies


def give_codes_to(carrier: str) -> None:
    """The codes of the pool are this carrier's numbers, as on a stack of its own."""
    table = boto3.resource("dynamodb").Table("RoutesTable")
    for row in table.scan(ConsistentRead=True)["Items"]:
        if row["pk"].startswith("CODES#"):
            table.put_item(Item=row | {"carrier": carrier})


def topic(*messages: dict[str, Any], at: str = "2026-11-23T12:00:20.123Z") -> dict[str, Any]:
    """What SNS brings, of numbers that are AWS's: one record for each of the messages."""
    give_codes_to("sns")
    event = load_event("inbound_two_way_topic")
    (record,) = event["Records"]
    payload = json.loads(record["Sns"]["Message"])
    event["Records"] = [
        record | {"Sns": record["Sns"] | {"Message": json.dumps(payload | message), "Timestamp": at}}
        for message in messages
    ]
    return event


@pytest.fixture
def session(moment: TestClock) -> tuple[str, Outgoing]:
    """A session opened over the API, and its first text as a handset shows it."""
    create_codes("+18295550100", "44101")
    status, body = call("sessions", load_event("sessions_opened"))
    assert status == 201
    texts = deliver(FakeCarrier(), moment)
    assert {text.sender for text in texts} <= {"+18295550100", "44101"}
    return body["id"], texts[0]


def shown() -> list[dict[str, Any]]:
    status, body = call("sessions", load_event("sessions_read"))
    assert status == 200
    return [line for line in body["messages"] if line["direction"] == "in"]


def test_a_session_end_to_end_with_replies_of_the_topic(session: tuple[str, Outgoing], moment: TestClock) -> None:
    _, text = session
    moment.move(seconds=30)
    message = {"originationNumber": ANA, "destinationNumber": text.sender, "messageBody": "sí, voy"}

    for _ in range(2):  # AWS may bring it again: the id is the same
        load_app("inbound").handler(topic(message), Context())

    (line,) = shown()
    assert (line["text"], line["number"], line["code"]) == ("sí, voy", ANA, text.sender)
    assert line["at"] == "2026-11-23T12:00:20.123000Z"  # the record's time, not ours
    assert ratings.find_rating("sns", "0d1f6a1e-6f0e-5a4b-9f0c-3e0b3c7e9a11") is not None


@pytest.mark.parametrize(
    ("pool", "said"),
    [
        ("+18295550100", "+18295550100"),
        ("+18295550100", "18295550100"),
        ("18295550100", "+18295550100"),
        ("44101", "44101"),
        ("44101", "+44101"),
    ],
)
def test_a_code_is_found_however_the_pool_and_the_carrier_spell_it(moment: TestClock, pool: str, said: str) -> None:
    create_codes(pool)
    call("sessions", load_event("sessions_opened"))
    deliver(FakeCarrier(), moment)
    handset = next(one for one in (ANA, LUIS) if routes.find_route(one, pool))

    load_app("inbound").handler(topic({"originationNumber": handset, "destinationNumber": said}), Context())

    assert [line["code"] for line in shown()] == [pool]


def test_a_record_that_fails_keeps_no_other_from_its_place_and_fails_the_event_for_aws_to_bring_it_again(
    session: tuple[str, Outgoing], moment: TestClock
) -> None:
    _, text = session
    moment.move(seconds=30)
    good = {"originationNumber": ANA, "destinationNumber": text.sender, "messageBody": "a", "inboundMessageId": "1"}
    bad = good | {"originationNumber": "809", "inboundMessageId": "2"}
    event = topic(good, bad, good | {"messageBody": "b", "inboundMessageId": "3"})
    del event["Records"][1]["Sns"]["Timestamp"]

    for _ in range(3):  # AWS's three tries; then the event lies in EventsDead, by the template's DeadLetterQueue
        with pytest.raises(BadWebhook):
            load_app("inbound").handler(event, Context())

    assert [line["text"] for line in shown()] == ["a", "b"]


@pytest.mark.parametrize("reader", ["sessions", "session_sweeper"])
def test_what_waits_too_long_for_its_parts_is_shown_by_the_function_that_finds_it(
    session: tuple[str, Outgoing], moment: TestClock, reader: str
) -> None:
    part = Part(1, 2, "7f")
    reply = IncomingReply("p1", ANA, session[1].sender, "Llego ", NOON, part=part)
    assert inbound.take_reply("signed_webhook", reply, moment) is Outcome.TO_SESSION
    moment.move(seconds=61)

    if reader == "session_sweeper":
        event = load_event("session_sweeper_shard")
        event["Records"][0]["body"] = json.dumps({"shard": due_shard(session[0])})
        assert load_app("session_sweeper").handler(event, Context()) == {"batchItemFailures": []}
        assert "Llego …" in str(rows_of(session[0]))
    (line,) = shown()

    assert (line["text"], line["is_partial"]) == ("Llego …", True)


def test_a_late_reply_is_answered_through_the_functions_and_nothing_of_the_notice_stays(
    session: tuple[str, Outgoing], moment: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_notices, "SETTINGS", replace(SETTINGS, late_reply_notice="en", carrier="sns"))
    moment.move(minutes=6)
    message = {"originationNumber": ANA, "destinationNumber": session[1].sender, "messageBody": "too late"}

    load_app("inbound").handler(topic(message), Context())
    (body,) = jobs_on("SessionsQueue")
    assert "N#" in str(all_tables()["SessionsTable"])
    moment.move(minutes=5)  # too late to speak it, and it goes all the same
    event = load_event("dispatch_page")
    event["Records"][0]["body"] = body

    assert load_app("dispatch").handler(event, Context()) == {"batchItemFailures": []}
    assert "N#" not in str(all_tables()["SessionsTable"])


# --- Text is text


TEXTS = {
    "markup": "<script>alert(1)</script> &amp; <b onmouseover=x>{{7*7}} ${a}",
    "quotes and backslashes": "\"'\\ \\n \\u0041",
    "control characters": "a\x01b\x07\x08c\x1b[31md\x7f\x9b\ttab\r\nend",
    "NUL": "a\x00b",
    "direction overrides": "\u202egnirts\u202c \u2066x\u2069 \u200fעברית",
    "emoji": "👍🏽👩‍👩‍👧🇩🇴",
    "the longest": "ñ" * 2000,
    "the longest of the rarest": "😀" * 2000,
    "a formula": "=cmd|' /C calc'!A0",
    "only blanks": "   ",
    "nothing at all": "",
    "private and unassigned": "\ue000\U000e0041\uffff",
    "line separators": "a\u2028b\u2029c\x85d",
    "decomposed": "n\u0303 ñ",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_a_handsets_text_is_shown_as_the_text_it_is(session: tuple[str, Outgoing], text: str) -> None:
    answered = take_from(ANA, session[1].sender, text)

    assert answered == (200, {"taken": 1})
    assert [line["text"] for line in shown()] == [text]
    reading = load_app("sessions").handler(load_event("sessions_read"), Context())
    headers = reading["multiValueHeaders"]
    assert headers["Content-Type"] == ["application/json"]
    assert headers["X-Content-Type-Options"] == ["nosniff"]


@pytest.mark.parametrize("text", ["a\ud800b", "\udc00", "a\ud83d"])
def test_half_a_character_becomes_the_sign_for_it(session: tuple[str, Outgoing], text: str) -> None:
    assert take_from(ANA, session[1].sender, text) == (200, {"taken": 1})
    load_app("inbound").handler(
        topic({"originationNumber": ANA, "destinationNumber": session[1].sender, "messageBody": text}), Context()
    )

    expected = "".join("\ufffd" if "\ud800" <= letter <= "\udfff" else letter for letter in text)
    assert [line["text"] for line in shown()] == [expected, expected]


def take_from(handset: str, code: str, text: str) -> tuple[int, Any]:
    """A carrier's signed webhook with one reply."""
    item = {"id": "r-77", "from": handset, "to": code, "text": text, "received_at": NOON.isoformat()}
    body = json.dumps({"type": "replies", "replies": [item]})
    event = load_event("inbound_reply")
    signature = Webhook(webhook_secret(MASTER, "signed_webhook", "from_carrier")).sign("w", NOON, body)
    headers = {"webhook-id": "w", "webhook-timestamp": str(int(NOON.timestamp())), "webhook-signature": signature}
    return call("inbound", event | {"body": body, "headers": headers})


def take_part(number: int, words: str, *, of: int, reply_id: str = "") -> Outcome:
    """A part of a long reply to the school."""
    part = Part(number, of, "7f")
    reply = IncomingReply(reply_id or f"p{number}", mobile(0), "20600", words, NOON, part=part)
    return inbound.take_reply("signed_webhook", reply, TestClock())


# --- Receipts


def test_receipts_go_to_their_queue_and_from_there_to_their_page() -> None:
    write_page(2)
    status, body = call("inbound", load_event("inbound_receipts"))
    assert (status, body) == (200, {"taken": 1, "malformed": []})

    bodies = jobs_on("ReceiptsQueue")
    event = load_event("receipts_batch")
    event["Records"] = [event["Records"][0] | {"body": bodies[0]}]

    assert load_app("receipts").handler(event, Context()) == {"batchItemFailures": []}
    assert receipts_of_page() == {Receipt.DELIVERED: {0}}


def test_a_line_of_the_delivery_log_becomes_a_receipt_by_the_carriers_id() -> None:
    load_app("inbound").handler(load_event("inbound_delivery_log"), Context())

    [job] = jobs_on("ReceiptsQueue")
    acknowledged = datetime(2026, 11, 23, 12, 0, 1, tzinfo=UTC)  # 00.558, and 1.344 s until the handset had it
    receipt = [None, "34d9b400-0000-5444-820d-000000000001", "delivered", 0, int(acknowledged.timestamp())]
    assert json.loads(job) == {"carrier": "sns", "receipts": [receipt]}


def test_many_receipts_of_one_webhook_are_few_jobs() -> None:
    found = [IncomingReceipt(Receipt.DELIVERED, 0, reference=REF.reference(index)) for index in range(100)]

    assert inbound.queue_receipts("signed_webhook", found * 2 + found[:1], NOON) == 201

    assert [len(json.loads(job)["receipts"]) for job in jobs_on("ReceiptsQueue")] == [100, 100, 1]


def test_receipts_are_gathered_and_doubles_change_nothing() -> None:
    write_page(2)

    for _ in range(2):
        assert load_app("receipts").handler(load_event("receipts_batch"), Context()) == {"batchItemFailures": []}

    assert receipts_of_page() == {Receipt.DELIVERED: {0}, Receipt.UNREACHABLE: {16}}


def test_when_a_receipt_was_reported_is_kept_as_the_carrier_says() -> None:
    write_page(2)
    call("inbound", load_event("inbound_receipts"))

    receipts.add_receipts([json.loads(job) for job in jobs_on("ReceiptsQueue")])

    assert first_reported(times_of_page(), 0) == NOON - timedelta(seconds=1)
    assert first_reported(times_of_page(), 1) is None


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (None, NOON),
        (NOON - timedelta(hours=71), NOON - timedelta(hours=71)),
        (NOON + timedelta(minutes=5), NOON + timedelta(minutes=5)),
        (NOON + timedelta(minutes=5, seconds=1), NOON),
        (NOON - timedelta(days=8), NOON),
        (datetime.min.replace(tzinfo=UTC), NOON),
        (datetime.max.replace(tzinfo=UTC), NOON),
    ],
)
def test_a_time_that_cannot_be_is_the_time_it_came(said: datetime | None, kept: datetime) -> None:
    found = IncomingReceipt(Receipt.DELIVERED, 0, reference=REF.reference(0), at=said)

    inbound.queue_receipts("signed_webhook", [found], NOON)

    [job] = jobs_on("ReceiptsQueue")
    assert json.loads(job)["receipts"] == [[REF.reference(0), None, "delivered", 0, int(kept.timestamp())]]


def test_a_job_of_before_with_no_time_is_still_added() -> None:
    write_page(2)

    receipts.add_receipts([receipt(REF.reference(0), "delivered"), receipt(REF.reference(1), "delivered", NOON)])

    assert receipts_of_page() == {Receipt.DELIVERED: {0, 16}}
    assert {first_reported(times_of_page(), index) for index in (0, 1)} == {None, NOON}


def test_the_earliest_report_is_kept_however_often_and_late_it_comes_again() -> None:
    write_page(1)
    moments = [NOON + timedelta(minutes=minutes) for minutes in (5, 1, 3)]

    for moment in (*moments, *moments):
        receipts.add_receipts([receipt(REF.reference(0), "delivered", moment)])

    assert first_reported(times_of_page(), 0) == NOON + timedelta(minutes=1)
    assert receipts_of_page() == {Receipt.DELIVERED: {0}}


def test_a_carrier_that_repeats_itself_without_end_fills_no_row_and_loses_no_receipt() -> None:
    write_page(2)
    for hour in range(20):
        repeated = [time_member(NOON + timedelta(hours=hour, seconds=second), 0, 0) for second in range(100)]
        assert pages.add_receipts(REF, {Receipt.DELIVERED: [0]}, repeated)

    receipts.add_receipts([receipt(REF.reference(1), "unreachable", NOON)])

    assert len(times_of_page()) == pages.REPORTED_MAX
    assert receipts_of_page() == {Receipt.DELIVERED: {0}, Receipt.UNREACHABLE: {16}}


def test_a_sessions_page_keeps_no_times() -> None:
    ref = PageRef(PageKind.SESSION, "web", "s1", "1", 0)
    recipient = PageRecipient(mobile(0), (), Zone.DOMESTIC, 1)
    pages.create_pages([(ref, [recipient])], expires_at=2_000_000_000, text="hola")
    hand_over(ref, "signed_webhook")

    receipts.add_receipts([receipt(ref.reference(0), "delivered", NOON)])

    page = pages.find_page(ref)
    assert page is not None
    assert page.receipts == {Receipt.DELIVERED: {0}}
    assert not page.reported


def test_receipts_of_nothing_of_ours_make_no_rows() -> None:
    answered = load_app("receipts").handler(load_event("receipts_of_nothing_of_ours"), Context())

    assert answered == {"batchItemFailures": []}
    assert pages.find_page(PageRef(PageKind.MESSAGE, SCHOOL, "gone", "plan1", 0)) is None


def test_a_simulated_handset_of_a_sandbox_answers_there_and_nowhere_else() -> None:
    ref = PageRef(PageKind.MESSAGE, f"{SCHOOL}~test", "m2b3c4d5e6f7g2h3i4j5k6l7m2n", "p2", 0)
    pages.create_pages([(ref, [PageRecipient("+56900000011", ("g1",), Zone.DOMESTIC, 1)])], expires_at=2_000_000_000)

    for _ in range(2):
        answered = load_app("receipts").handler(load_event("receipts_sandbox_replies"), Context())
        assert answered == {"batchItemFailures": []}

    found, _ = replies.list_replies(f"{SCHOOL}~test", limit=10)
    assert [(one.text, one.number) for one in found] == [("Recibido, gracias.", "+56900000011")]
    assert replies.list_replies(SCHOOL, limit=10) == ([], None)


def test_a_simulated_handset_that_answers_stop_is_confirmed_by_the_simulated_line_alone(moment: TestClock) -> None:
    school_id = f"{SCHOOL}~test"
    create_school(school_id, code="")
    ref = PageRef(PageKind.MESSAGE, school_id, "m2b3c4d5e6f7g2h3i4j5k6l7m2n", "p2", 0)
    pages.create_pages([(ref, [PageRecipient("+56900000010", ("g1",), Zone.DOMESTIC, 1)])], expires_at=2_000_000_000)

    answered = load_app("receipts").handler(load_event("receipts_sandbox_replies"), Context())

    assert answered == {"batchItemFailures": []}
    assert opt_outs.find_causes(school_id, "+56900000010") == {"reply#00000"}
    event = load_event("dispatch_page")
    (event["Records"][0]["body"],) = jobs_on("SessionsQueue")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "_carriers_line", lambda _name: 1 / 0)
        patch.setattr(Context, "get_remaining_time_in_millis", lambda _: 90_000)
        assert load_app("dispatch").handler(event, Context()) == {"batchItemFailures": []}
    for body in jobs_on("ReceiptsQueue"):  # what the simulated handset answers to that is nobody's
        event = load_event("receipts_batch")
        event["Records"] = [event["Records"][0] | {"body": body}]
        assert load_app("receipts").handler(event, Context()) == {"batchItemFailures": []}
    assert jobs_on("SessionsQueue") == []


def test_a_job_of_a_sandbox_that_breaks_comes_again_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "take_replies", lambda job, _: 1 / 0 if "answered" in job else 0)
    event = load_event("receipts_batch")
    event["Records"] += load_event("receipts_sandbox_replies")["Records"]
    event["Records"][-1]["messageId"] = "sandbox"

    answered = load_app("receipts").handler(event, Context())

    assert answered == {"batchItemFailures": [{"itemIdentifier": "sandbox"}]}


def test_a_receipt_raises_the_state_that_is_shown_and_moves_no_money(moment: TestClock) -> None:
    add_guardians(2)
    message = create(alert(), moment)
    work_all(FakeCarrier(), moment)
    ref = PageRef(PageKind.MESSAGE, SCHOOL, message.id, message.plan or "", 0)

    reports = [receipt(ref.reference(0), "delivered"), receipt(ref.reference(1), "unreachable")]
    receipts.add_receipts([one | {"carrier": "fake"} for one in reports])

    delivery = message_reports.get_delivery(DIRECTOR, message.id, NOON)
    assert delivery.counts == {RecipientState.DELIVERED: 1, RecipientState.UNREACHABLE: 1}
    assert delivery.message.captured == {"domestic": 2}


def receipt(reference: str, state: str, at: datetime | None = None) -> dict[str, Any]:
    """A queued job; without a time it is one of before times were kept."""
    reported = [int(at.timestamp())] if at else []
    return {"carrier": "signed_webhook", "receipts": [[reference, None, state, 0, *reported]]}


def write_page(recipients: int) -> None:
    found = [PageRecipient(mobile(position), (f"g{position}",), Zone.DOMESTIC, 1) for position in range(recipients)]
    pages.create_pages([(REF, found)], expires_at=2_000_000_000)
    hand_over(REF, "signed_webhook")


def receipts_of_page() -> dict[Receipt, frozenset[int]]:
    page = pages.find_page(REF)
    assert page is not None
    return dict(page.receipts)


def times_of_page() -> frozenset[int]:
    page = pages.find_page(REF)
    assert page is not None
    return page.reported
