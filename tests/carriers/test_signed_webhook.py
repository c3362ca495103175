"""The signed webhook carrier's own: its wave, its signatures both ways, its replies and receipts.

What every carrier must do is in `test_every_carrier.py`.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook

from recado.carriers import signed_webhook
from recado.carriers.speech import (
    Accepted,
    Account,
    BadWebhook,
    IncomingReceipt,
    Outgoing,
    Refused,
    RefusedBecause,
    Unknown,
)
from recado.rules.delivery_states import Receipt
from recado.rules.reply_parts import Part
from tests.carriers.dialects import FROM_CARRIER, SIGNED_WEBHOOK, TO_CARRIER, Fate
from tests.carriers.stub_server import Behave, Said, StubServer, say, stub_server

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TEXTS = [Outgoing(f"m.s.id.p.0.{i}", f"+5690000000{i}", "20600", "Hola ñandú", 60) for i in range(3)]


def saying(status: int, body: bytes = b"") -> Behave:
    return lambda request, _: say(request, Said(status, body))


def answer_items(items: list[Any]) -> Behave:
    return saying(200, json.dumps({"messages": items}).encode())


@pytest.fixture
def server() -> Iterator[StubServer]:
    with stub_server() as told:
        told.behave = lambda request, asked: say(request, SIGNED_WEBHOOK.answer(asked, [Fate.ACCEPTED] * len(TEXTS)))
        yield told


def account(url: str) -> Account:
    return Account(url, (TO_CARRIER,), (FROM_CARRIER,))


def send(url: str) -> list[Any]:
    return signed_webhook.send(TEXTS, account(url), lambda: True)


def test_a_wave_is_one_signed_post_and_each_text_has_its_answer(server: StubServer) -> None:
    answers = send(server.url)

    assert answers == [Accepted(f"c-{text.to}") for text in TEXTS]
    [asked] = server.seen
    document = Webhook(TO_CARRIER).verify(asked.body, asked.headers)
    assert document["messages"][0] == {
        "reference": "m.s.id.p.0.0",
        "to": "+56900000000",
        "from": "20600",
        "text": "Hola ñandú",
        "validity_seconds": 60,
    }


def test_during_a_change_of_secret_both_signatures_go_out(server: StubServer) -> None:
    signed_webhook.send(TEXTS, Account(server.url, (FROM_CARRIER, TO_CARRIER), ()), lambda: True)

    [asked] = server.seen
    for secret in (TO_CARRIER, FROM_CARRIER):
        assert Webhook(secret).verify(asked.body, asked.headers)


def test_every_post_has_its_own_webhook_id_for_receivers_drop_ids_they_have_seen(server: StubServer) -> None:
    send(server.url)
    send(server.url)

    first, second = (asked.headers["webhook-id"] for asked in server.seen)
    assert first != second


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (408, Unknown("408")),
        (403, Refused(RefusedBecause.ROUTE, "403")),
        (404, Refused(RefusedBecause.ROUTE, "404")),
        (302, Refused(RefusedBecause.ROUTE, "302")),
        (303, Unknown("303")),
    ],
)
def test_a_status_is_for_the_whole_wave(server: StubServer, status: int, expected: Any) -> None:
    server.behave = saying(status)

    assert send(server.url) == [expected] * 3
    assert len(server.seen) == 1


def test_each_text_is_answered_for_itself(server: StubServer) -> None:
    server.behave = answer_items(
        [
            {"reference": "m.s.id.p.0.2", "status": "refused", "reason": "try_later"},
            {"reference": "m.s.id.p.0.0", "status": "refused", "reason": "wrong_number", "code": "E7"},
            {"reference": "m.s.id.p.0.1", "status": "refused", "reason": "blocked"},
        ]
    )

    assert send(server.url) == [
        Refused(RefusedBecause.WRONG_NUMBER, "E7"),
        Refused(RefusedBecause.BLOCKED, ""),
        Refused(RefusedBecause.FOR_NOW, ""),
    ]


def test_missing_strange_doubled_and_foreign_items_are_told_apart(server: StubServer) -> None:
    server.behave = answer_items(
        [
            {"reference": "m.s.id.p.0.0", "status": "accepted", "id": "first"},
            {"reference": "m.s.id.p.0.0", "status": "accepted", "id": "second"},
            None,
            {"status": "accepted", "id": "whose"},
            {"reference": ["m.s.id.p.0.2"], "status": "accepted", "id": "x"},
            {"reference": "somebody-elses", "status": "accepted", "id": "x"},
            {"reference": "m.s.id.p.0.1", "status": "perhaps"},
        ]
    )

    assert send(server.url) == [Accepted("first"), Unknown("not_understood"), Unknown("not_in_answer")]


ACCEPTED = {"reference": "m.s.id.p.0.0", "status": "accepted", "id": "c"}
NOT_TAKEN = {"reference": "m.s.id.p.0.0", "status": "refused", "reason": "try_later"}


@pytest.mark.parametrize(
    "items", [[ACCEPTED, NOT_TAKEN], [NOT_TAKEN, ACCEPTED], [NOT_TAKEN, {**ACCEPTED, "status": 7}]]
)
def test_a_text_said_to_be_taken_and_not_taken_may_have_been_taken(server: StubServer, items: list[Any]) -> None:
    server.behave = answer_items(items)

    assert send(server.url)[0] == Unknown("contradicted")


def test_an_item_in_which_a_name_stands_twice_is_not_believed(server: StubServer) -> None:
    item = b'{"reference": "m.s.id.p.0.0", "status": "accepted", "status": "refused", "reason": "try_later"}'
    server.behave = lambda request, _: say(request, Said(200, b'{"messages": [%s]}' % item))

    assert send(server.url) == [Unknown("not_in_answer")] * 3


@pytest.mark.parametrize("code", [None, 7, ["x"], {"a": 1}])
def test_a_finer_reason_that_is_no_text_is_none(server: StubServer, code: Any) -> None:
    server.behave = answer_items([{**NOT_TAKEN, "reason": "blocked", "code": code}])

    assert send(server.url)[0] == Refused(RefusedBecause.BLOCKED, "")


def signed(body: str, *, secret: str = FROM_CARRIER, at: datetime = NOON) -> dict[str, str]:
    return {
        "Webhook-Id": "w1",
        "Webhook-Timestamp": str(int(at.timestamp())),
        "Webhook-Signature": Webhook(secret).sign("w1", at, body),
    }


def verify(headers: dict[str, str], body: str) -> bool:
    return signed_webhook.verify(headers, body.encode(), account(""), NOON)


def test_a_signature_of_the_independent_library_holds() -> None:
    assert verify(signed('{"a": "ñ"}'), '{"a": "ñ"}')


@pytest.mark.parametrize(
    "headers",
    [
        signed("{}", secret=TO_CARRIER),
        signed("{} "),
        signed("{}", at=NOON - timedelta(minutes=5, seconds=1)),
        signed("{}", at=NOON + timedelta(minutes=5, seconds=1)),
        signed("{}") | {"Webhook-Id": "w2"},
        signed("{}") | {"Webhook-Timestamp": str(int(NOON.timestamp()) + 1)},
        signed("{}") | {"Webhook-Timestamp": "soon"},
        signed("{}") | {"Webhook-Timestamp": "9" * 400},
        *(signed("{}") | {"Webhook-Timestamp": "9" * digits} for digits in range(11, 21)),
        signed("{}") | {"Webhook-Timestamp": "٣"},
        signed("{}") | {"Webhook-Signature": "v1"},
        signed("{}") | {"Webhook-Signature": "v1,"},
        signed("{}") | {"Webhook-Signature": "v1,%%%"},
        signed("{}") | {"Webhook-Signature": ""},
        signed("{}") | {"Webhook-Signature": signed("{}")["Webhook-Signature"].replace("v1,", "v2,")},
        {},
    ],
)
def test_whatever_does_not_hold_is_refused(headers: dict[str, str]) -> None:
    assert not verify(headers, "{}")


def test_one_good_signature_among_others_is_enough_while_a_secret_changes() -> None:
    headers = signed("{}")
    headers["Webhook-Signature"] = f"v1a,xyz v1,AAAA {headers['Webhook-Signature']}"

    assert verify(headers, "{}")


@pytest.mark.parametrize("secret", [TO_CARRIER, FROM_CARRIER])
def test_during_a_change_of_secret_what_either_signs_holds(secret: str) -> None:
    both = Account("", (), (TO_CARRIER, FROM_CARRIER))

    assert signed_webhook.verify(signed("{}", secret=secret), b"{}", both, NOON)


def test_after_a_change_of_secret_the_old_one_holds_no_more() -> None:
    changed = Account("", (), (TO_CARRIER,))

    assert not signed_webhook.verify(signed("{}", secret=FROM_CARRIER), b"{}", changed, NOON)


def test_a_body_that_is_no_text_is_refused() -> None:
    assert not signed_webhook.verify(signed("{}"), b"\xff\xfe", account(""), NOON)


def reply_item(**changes: Any) -> dict[str, Any]:
    item = {
        "id": "r-1",
        "from": "+56912345678",
        "to": "20600",
        "text": "ok",
        "received_at": "2026-11-23T09:00:00-03:00",
    }
    return item | changes


def test_a_reply_is_read_with_its_time_in_utc() -> None:
    body = json.dumps({"type": "replies", "replies": [reply_item(in_reply_to="m.x")]}).encode()

    [reply] = signed_webhook.read_replies(body)

    assert (reply.id, reply.handset, reply.code, reply.text) == ("r-1", "+56912345678", "20600", "ok")
    assert reply.sent_at == NOON
    assert reply.in_reply_to == "m.x"


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({}, None),
        ({"part": 1, "parts": 1, "group": "g"}, None),
        ({"part": 2, "parts": 3, "group": "g"}, Part(2, 3, "g")),
        ({"part": 15, "parts": 15, "group": "#/|\x00"}, Part(15, 15, "#/|\x00")),
    ],
)
def test_a_part_of_a_long_reply_says_which_of_how_many(changes: dict[str, Any], part: Part | None) -> None:
    [reply] = signed_webhook.read_replies(json.dumps({"type": "replies", "replies": [reply_item(**changes)]}).encode())

    assert reply.part == part


@pytest.mark.parametrize(
    ("item", "place"),
    [
        (reply_item(id=""), "/replies/0/id"),
        (reply_item(id=7), "/replies/0/id"),
        (reply_item(**{"from": "912345678"}), "/replies/0/from"),
        (reply_item(text="x" * 2001), "/replies/0/text"),
        (reply_item(received_at="yesterday"), "/replies/0/received_at"),
        (reply_item(received_at="2026-11-23T09:00:00"), "/replies/0/received_at"),
        (reply_item(received_at="9999-12-31T23:59:59-14:00"), "/replies/0/received_at"),
        (reply_item(parts=0), "/replies/0/parts"),
        (reply_item(parts=16), "/replies/0/parts"),
        (reply_item(parts=True), "/replies/0/parts"),
        (reply_item(parts="2"), "/replies/0/parts"),
        (reply_item(part=0, parts=2, group="g"), "/replies/0/part"),
        (reply_item(part=3, parts=2, group="g"), "/replies/0/part"),
        (reply_item(part=2), "/replies/0/part"),
        (reply_item(part=1, parts=2), "/replies/0/group"),
        (reply_item(part=1, parts=2, group="x" * 129), "/replies/0/group"),
        ("text", "/replies/0"),
    ],
)
def test_a_reply_that_is_not_the_formats_is_refused_by_its_place(item: Any, place: str) -> None:
    with pytest.raises(BadWebhook) as refused:
        signed_webhook.read_replies(json.dumps({"type": "replies", "replies": [item]}).encode())

    assert refused.value.place == place


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"type":"replies"}', b'{"type":"receipts","receipts":{}}', b"[" * 100_000]
)
def test_a_document_that_is_none_is_refused(body: bytes) -> None:
    for read in (signed_webhook.read_replies, signed_webhook.read_receipts):
        with pytest.raises(BadWebhook):
            read(body)


def test_receipts_come_many_per_post_and_more_than_many_are_refused() -> None:
    items = [{"reference": f"m.{index}", "status": "delivered"} for index in range(signed_webhook.ITEMS_MAX + 1)]

    found = signed_webhook.read_receipts(json.dumps({"type": "receipts", "receipts": items[:-1]}).encode())

    assert [one for one in found if isinstance(one, BadWebhook)] == []
    assert [receipt.reference for receipt in found] == [item["reference"] for item in items[:-1]]  # type: ignore[union-attr]
    with pytest.raises(BadWebhook):
        signed_webhook.read_receipts(json.dumps({"type": "receipts", "receipts": items}).encode())


@pytest.mark.parametrize("state", list(Receipt))
def test_every_receipt_state_of_the_format_is_read(state: Receipt) -> None:
    body = {"type": "receipts", "receipts": [{"reference": "m.x", "status": state.value, "part": 2}]}

    [receipt] = signed_webhook.read_receipts(json.dumps(body).encode())

    assert isinstance(receipt, IncomingReceipt)
    assert (receipt.reference, receipt.state, receipt.part, receipt.at) == ("m.x", state, 2, None)


@pytest.mark.parametrize(
    ("at", "found"), [("2026-11-23T09:00:00-03:00", NOON), ("2026-11-23T12:00:00Z", NOON), (None, None)]
)
def test_a_receipt_may_say_when_it_was(at: str | None, found: datetime | None) -> None:
    body = {"type": "receipts", "receipts": [{"reference": "m.x", "status": "delivered", "at": at}]}

    [receipt] = signed_webhook.read_receipts(json.dumps(body).encode())

    assert isinstance(receipt, IncomingReceipt)
    assert receipt.at == found


@pytest.mark.parametrize(
    ("item", "place"),
    [
        ({"reference": "m", "status": "perhaps"}, "/receipts/0/status"),
        ({"status": "delivered"}, "/receipts/0/reference"),
        ({"reference": "m", "status": "delivered", "part": 16}, "/receipts/0/part"),
        ({"reference": "m", "status": "delivered", "part": True}, "/receipts/0/part"),
        ({"reference": "m", "status": "delivered", "at": ""}, "/receipts/0/at"),
        ({"reference": "m", "status": "delivered", "at": 1795435200}, "/receipts/0/at"),
        ({"reference": "m", "status": "delivered", "at": "2026-11-23T12:00:00"}, "/receipts/0/at"),
        ({"reference": "m", "status": "delivered", "at": "0001-01-01T00:00:00+14:00"}, "/receipts/0/at"),
        (None, "/receipts/0"),
    ],
)
def test_a_receipt_that_is_not_the_formats_is_named_by_its_place_and_keeps_no_other_from_being_read(
    item: Any, place: str
) -> None:
    good = {"reference": "m.x", "status": "delivered"}

    found = signed_webhook.read_receipts(json.dumps({"type": "receipts", "receipts": [item, good]}).encode())

    assert [one.place if isinstance(one, BadWebhook) else one.reference for one in found] == [place, "m.x"]
