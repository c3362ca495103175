"""Vonage's own: its JSON, its error codes, its webhooks and the JWT that signs them.

What every carrier must do is in `test_every_carrier.py`.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from recado.carriers import vonage
from recado.carriers.speech import Accepted, Account, Answer, BadWebhook, Outgoing, Refused, RefusedBecause, Unknown
from recado.rules.delivery_states import Receipt
from tests.carriers.stub_server import Said, StubServer, say, stub_server

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SECRET = "signature-secret-of-32-bytes-or-more"
ACCOUNT = Account(user="abcd1234", password="api-secret", secrets_from_carrier=(SECRET,))
TEXT = Outgoing("m.los-aromos.mabc.qj2xk.0.17", "+56900000001", "+56200000001", "Mañana no hay clases", 600)


@pytest.fixture
def server() -> Iterator[StubServer]:
    with stub_server() as told:
        told.behave = lambda request, _: say(request, Said(202, b'{"message_uuid": "u-1"}'))
        yield told


def send(server: StubServer, text: Outgoing = TEXT, **changes: Any) -> Answer:
    [answer] = vonage.send([text], replace(ACCOUNT, url=server.url, **changes), lambda: True)
    return answer


def test_a_text_is_json_with_our_reference_and_numbers_without_their_plus(server: StubServer) -> None:
    assert send(server) == Accepted("u-1")

    [asked] = server.seen
    assert asked.path == "/v1/messages"
    assert asked.headers["Authorization"] == "Basic YWJjZDEyMzQ6YXBpLXNlY3JldA=="
    assert json.loads(asked.body) == {
        "message_type": "text",
        "channel": "sms",
        "to": "56900000001",
        "from": "56200000001",
        "text": "Mañana no hay clases",
        "ttl": 600,
        "client_ref": "m.los-aromos.mabc.qj2xk.0.17",
    }


def test_a_reference_too_long_for_it_stays_at_home(server: StubServer) -> None:
    for length, is_told in ((100, True), (101, False)):
        send(server, replace(TEXT, reference="r" * length))

        assert ("client_ref" in json.loads(server.seen[-1].body)) is is_told


def test_a_text_longer_than_it_takes_is_not_sent_and_is_nobodys_number(server: StubServer) -> None:
    server.behave = lambda request, _: say(request, Said(202, b'{"message_uuid": "u"}'))

    assert send(server, replace(TEXT, text="x" * 1000)) == Accepted("u")
    assert send(server, replace(TEXT, text="x" * 1001)) == Refused(RefusedBecause.BLOCKED, "text_too_long")
    assert len(server.seen) == 1


@pytest.mark.parametrize(("validity", "ttl"), [(1, 20), (600, 600), (1_000_000, 604_800)])
def test_the_time_to_live_is_within_what_it_takes(server: StubServer, validity: int, ttl: int) -> None:
    send(server, replace(TEXT, validity_seconds=validity))

    assert json.loads(server.seen[0].body)["ttl"] == ttl


@pytest.mark.parametrize(
    ("changes", "code"), [({"user": ""}, "no_credentials"), ({"password": ""}, "no_credentials"), ({}, "no_sender")]
)
def test_what_is_missing_of_ours_refuses_the_route_and_says_nothing(
    server: StubServer, changes: dict[str, str], code: str
) -> None:
    assert send(server, replace(TEXT, sender=""), **changes) == Refused(RefusedBecause.ROUTE, code)
    assert server.seen == []


@pytest.mark.parametrize("code", vonage.ERRORS)
@pytest.mark.parametrize("where", ["type", "title"])
def test_an_error_means_what_its_table_says(server: StubServer, code: str, where: str) -> None:
    value = f"https://developer.vonage.com/api-errors/messages#{code}" if where == "type" else code
    server.behave = lambda request, _: say(request, Said(422, json.dumps({where: value}).encode()))

    assert send(server) == Refused(vonage.ERRORS[code], code)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (422, {"type": "https://developer.vonage.com/api-errors/messages#1130"}, Refused(RefusedBecause.ROUTE, "1130")),
        (402, {"type": "https://developer.vonage.com/api-errors/#low-balance"}, Refused(RefusedBecause.ROUTE, "402")),
        (401, [], Refused(RefusedBecause.ROUTE, "401")),
        (429, {}, Refused(RefusedBecause.FOR_NOW, "429")),
        (500, {"title": "1170"}, Unknown("500")),
        (422, {"title": "1030"}, Unknown("1030")),
        (422, {"invalid_parameters": [{"name": "to"}]}, Refused(RefusedBecause.WRONG_NUMBER, "422")),
        (422, {"title": "1020", "invalid_parameters": [{"name": "to"}]}, Refused(RefusedBecause.WRONG_NUMBER, "1020")),
        (422, {"title": "1020", "invalid_parameters": [{"name": "text"}]}, Refused(RefusedBecause.BLOCKED, "1020")),
        (422, {"title": "1020", "invalid_parameters": [{"name": "ttl"}]}, Refused(RefusedBecause.ROUTE, "1020")),
        (422, {"invalid_parameters": [{"name": "to"}, {"name": "from"}]}, Refused(RefusedBecause.ROUTE, "422")),
        (422, {"invalid_parameters": "to"}, Refused(RefusedBecause.ROUTE, "422")),
        (202, {"message_uuid": 7}, Unknown("not_understood")),
        (202, {"message_uuid": "x" * 129}, Unknown("not_understood")),
    ],
)
def test_an_answer_that_has_no_row_goes_by_its_status(
    server: StubServer, status: int, body: Any, expected: Answer
) -> None:
    server.behave = lambda request, _: say(request, Said(status, json.dumps(body).encode()))

    assert send(server) == expected


# --- signatures -------------------------------------------------------------------------------------------------------


def signed(body: bytes, secret: str = SECRET, algorithm: str = "HS256", **changes: Any) -> dict[str, str]:
    claims = {
        "iss": "Vonage",
        "api_key": ACCOUNT.user,
        "iat": int(NOON.timestamp()),
        "payload_hash": hashlib.sha256(body).hexdigest(),
    } | changes
    return {"Authorization": "Bearer " + jwt.encode(claims, secret, algorithm=algorithm)}


def verify(headers: dict[str, str], body: bytes = b"{}", account: Account = ACCOUNT) -> bool:
    return vonage.verify(headers, body, account, NOON)


def test_what_vonage_signs_holds() -> None:
    assert verify(signed(b"{}"))
    assert verify({"authorization": signed(b"{}")["Authorization"]})


def test_during_a_change_of_secret_what_either_signs_holds() -> None:
    for secret in (SECRET, "the-next-secret-of-32-bytes-or-more"):
        both = replace(ACCOUNT, secrets_from_carrier=("the-next-secret-of-32-bytes-or-more", SECRET))

        assert verify(signed(b"{}", secret), account=both)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer x.y.z"},
        {"Authorization": signed(b"{}")["Authorization"].replace("Bearer", "Basic")},
        signed(b"{} "),
        signed(b"{}", "another-secret-of-32-bytes-or-more!!"),
        signed(b"{}", "", "none"),
        signed(b"{}", SECRET * 2, "HS512"),
        signed(b"{}", api_key="somebody-elses"),
        signed(b"{}", payload_hash=None),
        signed(b"{}", payload_hash="\ud800"),
        signed(b"{}", iat=int((NOON - timedelta(hours=24, seconds=1)).timestamp())),
        signed(b"{}", iat=int((NOON + timedelta(minutes=5, seconds=1)).timestamp())),
        signed(b"{}", iat=10**300),
    ],
)
def test_whatever_does_not_hold_is_refused(headers: dict[str, str]) -> None:
    assert not verify(headers)


def test_without_a_signature_secret_nothing_holds() -> None:
    assert not verify(signed(b"{}"), account=replace(ACCOUNT, secrets_from_carrier=()))


# --- replies and receipts ---------------------------------------------------------------------------------------------


def inbound(**changes: Any) -> bytes:
    found = {
        "channel": "sms",
        "message_uuid": "aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab",
        "to": "56200000001",
        "from": "56955550102",
        "timestamp": "2026-11-23T12:00:00Z",
        "text": "Gracias, ñandú",
        "sms": {"num_messages": "1", "keyword": "GRACIAS"},
    }
    return json.dumps(found | changes).encode()


@pytest.mark.parametrize(
    ("to", "code"), [("56200000001", "+56200000001"), ("20600", "20600"), ("+56200000001", "+56200000001")]
)
def test_a_reply_is_read_with_its_numbers_in_e164(to: str, code: str) -> None:
    [reply] = vonage.read_replies(inbound(to=to))

    assert (reply.handset, reply.code, reply.text, reply.sent_at) == ("+56955550102", code, "Gracias, ñandú", NOON)


def test_what_has_no_words_is_no_reply() -> None:
    assert vonage.read_replies(inbound(text=None, message_type="image")) == []


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"channel": "whatsapp"}, "/channel"),
        ({"from": "soon"}, "/from"),
        ({"from": None}, "/from"),
        ({"to": 7}, "/to"),
        ({"message_uuid": ""}, "/message_uuid"),
        ({"text": "x" * 2001}, "/text"),
        ({"timestamp": "2026-11-23T12:00:00"}, "/timestamp"),
        ({"timestamp": 7}, "/timestamp"),
    ],
)
def test_a_reply_that_is_none_is_refused_by_its_place(changes: dict[str, Any], place: str) -> None:
    with pytest.raises(BadWebhook) as refused:
        vonage.read_replies(inbound(**changes))

    assert refused.value.place == place


def status(word: Any, code: str = "", **changes: Any) -> bytes:
    found = {
        "message_uuid": "u-1",
        "to": "56900000001",
        "timestamp": "2026-11-23T12:00:00Z",
        "status": word,
        "client_ref": TEXT.reference,
        "channel": "sms",
    }
    if code:
        found["error"] = {"type": f"https://developer.vonage.com/api-errors/messages#{code}", "title": code}
    return json.dumps(found | changes).encode()


@pytest.mark.parametrize(
    ("word", "code", "state"),
    [
        ("delivered", "", Receipt.DELIVERED),
        ("read", "", Receipt.DELIVERED),
        ("rejected", "", Receipt.UNREACHABLE),
        ("undeliverable", "9999", Receipt.UNREACHABLE),
        *(("undeliverable", code, state) for code, state in vonage.FAILED.items()),
    ],
)
def test_a_status_is_a_receipt_by_our_reference_with_its_time(word: str, code: str, state: Receipt) -> None:
    [receipt] = vonage.read_receipts(status(word, code))

    assert (receipt.reference, receipt.carrier_id, receipt.state, receipt.at) == (TEXT.reference, None, state, NOON)


def test_a_status_without_our_reference_is_found_by_vonages_id() -> None:
    [receipt] = vonage.read_receipts(status("delivered", client_ref=None))

    assert (receipt.reference, receipt.carrier_id) == (None, "u-1")


def test_what_is_on_its_way_is_no_news() -> None:
    assert vonage.read_receipts(status("submitted")) == []


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (status("perhaps"), "/status"),
        (status([]), "/status"),
        (status("delivered", timestamp=None), "/timestamp"),
        (status("delivered", client_ref="", message_uuid=None), "/message_uuid"),
    ],
)
def test_a_status_that_is_none_is_refused_by_its_place(body: bytes, place: str) -> None:
    with pytest.raises(BadWebhook) as refused:
        vonage.read_receipts(body)

    assert refused.value.place == place
