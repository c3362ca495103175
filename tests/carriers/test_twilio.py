"""Twilio's own: its form, its error codes, its callbacks; signatures by the helper library that Twilio publishes.

What every carrier must do is in `test_every_carrier.py`.
"""

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from recado import clock
from recado.carriers import twilio
from recado.carriers.speech import (
    PATH,
    Accepted,
    Account,
    Answer,
    BadWebhook,
    Outgoing,
    Refused,
    RefusedBecause,
    Unknown,
)
from recado.rules.delivery_states import Receipt
from recado.rules.opt_out_words import Word, read_word
from tests.carriers.stub_server import Said, StubServer, say, stub_server

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
PUBLIC = "https://api.recado.example/v1"
TOKEN = "auth-token-of-tests"
ACCOUNT = Account(user="AC0123456789abcdef", password=TOKEN, public_url=PUBLIC)
TEXT = Outgoing("m.los-aromos.mabc.qj2xk.0.17", "+56900000001", "+56200000001", "Mañana no hay clases €", 600)


@pytest.fixture
def server() -> Iterator[StubServer]:
    with stub_server() as told:
        told.behave = lambda request, _: say(
            request, Said(201, json.dumps({"sid": "SM1", "status": "queued"}).encode())
        )
        yield told


def send(server: StubServer, text: Outgoing = TEXT, **changes: Any) -> Answer:
    account = replace(ACCOUNT, url=server.url, **changes)
    [answer] = twilio.send([text], account, lambda: True)
    return answer


def form_of(server: StubServer) -> dict[str, str]:
    [asked] = server.seen
    return dict(parse_qsl(asked.body.decode(), keep_blank_values=True))


# --- out --------------------------------------------------------------------------------------------------------------


def test_a_text_is_a_form_with_basic_authorization_and_its_reference_in_the_callbacks_query(server: StubServer) -> None:
    assert send(server) == Accepted("SM1")

    [asked] = server.seen
    assert asked.path == "/2010-04-01/Accounts/AC0123456789abcdef/Messages.json"
    assert asked.headers["Authorization"] == "Basic " + base64.b64encode(f"{ACCOUNT.user}:{TOKEN}".encode()).decode()
    assert form_of(server) == {
        "To": "+56900000001",
        "From": "+56200000001",
        "Body": "Mañana no hay clases €",
        "ValidityPeriod": "600",
        "StatusCallback": f"{PUBLIC}/carriers/twilio/receipts?reference=m.los-aromos.mabc.qj2xk.0.17",
    }


def test_a_text_is_not_worth_more_than_twilio_keeps_one(server: StubServer) -> None:
    send(server, replace(TEXT, validity_seconds=100_000))

    assert form_of(server)["ValidityPeriod"] == "14400"


def test_a_text_costs_no_more_than_its_parts_may(server: StubServer) -> None:
    send(server, replace(TEXT, text="x" * 161), part_price_max=Decimal("0.05"))

    assert form_of(server)["MaxPrice"] == "0.1000"


@pytest.mark.parametrize(("sender", "field"), [("+56200000002", "From"), ("MG0123", "MessagingServiceSid")])
def test_a_text_without_a_sender_comes_from_the_accounts_own(server: StubServer, sender: str, field: str) -> None:
    send(server, replace(TEXT, sender=""), sender=sender)

    assert form_of(server)[field] == sender
    assert len({"From", "MessagingServiceSid"} & form_of(server).keys()) == 1


def test_without_a_public_url_no_callback_is_asked_for(server: StubServer) -> None:
    send(server, public_url="")

    assert "StatusCallback" not in form_of(server)


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"user": ""}, "no_credentials"), ({"password": ""}, "no_credentials"), ({"sender": ""}, "no_sender")],
)
def test_what_is_missing_of_ours_refuses_the_route_and_says_nothing_to_twilio(
    server: StubServer, changes: dict[str, str], code: str
) -> None:
    assert send(server, replace(TEXT, sender=""), **changes) == Refused(RefusedBecause.ROUTE, code)
    assert server.seen == []


def test_an_account_is_a_part_of_the_path_whatever_it_is(server: StubServer) -> None:
    send(server, user="../x?y#z")

    assert server.seen[0].path == "/2010-04-01/Accounts/..%2Fx%3Fy%23z/Messages.json"


@pytest.mark.parametrize("code", twilio.ERRORS)
def test_an_error_means_what_its_table_says(server: StubServer, code: int) -> None:
    server.behave = lambda request, _: say(request, Said(400, json.dumps({"code": code, "status": 400}).encode()))

    assert send(server) == Refused(twilio.ERRORS[code], str(code))


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, {"code": 99999}, Refused(RefusedBecause.ROUTE, "99999")),
        (400, {"code": "21211"}, Refused(RefusedBecause.ROUTE, "400")),
        (400, None, Refused(RefusedBecause.ROUTE, "400")),
        (404, {"code": 20404}, Refused(RefusedBecause.ROUTE, "20404")),
        (429, {"code": 63038}, Refused(RefusedBecause.FOR_NOW, "63038")),
        (302, {}, Refused(RefusedBecause.ROUTE, "302")),
        (408, {}, Unknown("408")),
        (500, {"code": 20500}, Unknown("500")),
        (503, {"code": 21211}, Unknown("503")),
        (201, {"sid": ""}, Unknown("not_understood")),
        (201, {"sid": 7}, Unknown("not_understood")),
        (200, {"sid": "SM7"}, Accepted("SM7")),
    ],
)
def test_an_answer_that_has_no_row_goes_by_its_status(
    server: StubServer, status: int, body: Any, expected: Answer
) -> None:
    server.behave = lambda request, _: say(request, Said(status, json.dumps(body).encode()))

    assert send(server) == expected


def test_one_text_that_breaks_us_loses_nobody_elses_answer(server: StubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    third = replace(TEXT, to="+56900000003")
    broken = "recado.carriers.twilio.price_max"
    monkeypatch.setattr(broken, lambda text, _: 1 / 0 if text == "broken" else None)
    texts = [TEXT, replace(TEXT, text="broken"), third]

    answers = twilio.send(texts, replace(ACCOUNT, url=server.url), lambda: True)

    assert answers == [Accepted("SM1"), Unknown("ZeroDivisionError"), Accepted("SM1")]
    assert threading.current_thread() is threading.main_thread()


# --- signatures -------------------------------------------------------------------------------------------------------


def verify(path: str, body: str, signature: str, account: Account = ACCOUNT, **headers: str) -> bool:
    found = {"X-Twilio-Signature": signature, PATH: path, **headers}
    return twilio.verify(found, body.encode(), account, NOON)


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
FIELDS = st.lists(st.tuples(WORDS, WORDS), max_size=8)
QUERIES = st.lists(st.tuples(WORDS.filter(bool), WORDS), max_size=3)


class Many(dict[str, list[str]]):
    """A form with repeated fields as web frameworks hand it to Twilio's library."""

    def getlist(self, name: str) -> list[str]:
        return self[name]


def as_many(fields: list[tuple[str, str]]) -> Many:
    found = Many()
    for name, value in fields:
        found.setdefault(name, []).append(value)
    return found


@given(fields=FIELDS, query=QUERIES, port=st.sampled_from(["", ":443", ":8443"]))
def test_what_twilios_library_signs_holds_here(
    fields: list[tuple[str, str]], query: list[tuple[str, str]], port: str
) -> None:
    path = "/carriers/twilio/receipts" + (f"?{urlencode(query)}" if query else "")
    public = f"https://api.recado.example{port}/v1"
    signature = RequestValidator(TOKEN).compute_signature(public + path, as_many(fields))

    assert verify(path, urlencode(fields), signature, replace(ACCOUNT, public_url=public))


@given(
    fields=FIELDS, query=QUERIES, changed=st.sampled_from(["field", "query", "token", "path", "signature"]), word=WORDS
)
def test_what_holds_here_holds_for_twilios_library_and_nothing_else_does(
    fields: list[tuple[str, str]], query: list[tuple[str, str]], changed: str, word: str
) -> None:
    path = "/carriers/twilio/receipts" + (f"?{urlencode(query)}" if query else "")
    signature = RequestValidator(TOKEN).compute_signature(PUBLIC + path, as_many(fields))
    account = ACCOUNT
    if changed == "field":
        fields = [*fields, ("Body", word)]
    elif changed == "query":
        path += ("&" if "?" in path else "?") + urlencode({"more": word})
    elif changed == "token":
        account = replace(ACCOUNT, password=TOKEN + "x" + word)
    elif changed == "path":
        path = path.replace("receipts", "replies")
    else:
        signature = signature[:-2]

    holds = verify(path, urlencode(fields), signature, account)

    theirs = RequestValidator(account.password)
    parsed = as_many(parse_qsl(urlencode(fields), keep_blank_values=True))
    assert holds == theirs.validate(account.public_url + path, parsed, signature)
    if changed != "field" or ("Body", word) not in fields[:-1]:  # a field said twice is signed once
        assert not holds


def test_during_a_change_of_token_what_either_signs_holds() -> None:
    for token in (TOKEN, "the-next-token"):
        signature = RequestValidator(token).compute_signature(f"{PUBLIC}/carriers/twilio/replies", {"Body": "ok"})

        assert verify(
            "/carriers/twilio/replies", "Body=ok", signature, replace(ACCOUNT, secrets_from_carrier=("the-next-token",))
        )


def test_what_a_shared_key_signs_with_sha_256_holds_and_no_other_algorithm_does() -> None:
    signature = RequestValidator("shared").compute_signature(f"{PUBLIC}/carriers/twilio/replies", {}, "HMAC_SHA256")
    account = replace(ACCOUNT, secrets_from_carrier=("shared",))

    def held(settings: str) -> bool:
        headers = {"X-Twilio-Webhooks-Signature-Settings": settings}
        return verify("/carriers/twilio/replies", "", signature, account, **headers)

    assert held("key=webhooks_sharedkey_1,algorithm=HMAC_SHA256")
    assert not held("key=webhooks_sharedkey_1,algorithm=HMAC_MD5")
    assert not held("")


@pytest.mark.parametrize(
    ("path", "account"),
    [
        ("", ACCOUNT),
        ("/carriers/twilio/replies", replace(ACCOUNT, public_url="")),
        ("/carriers/twilio/replies", replace(ACCOUNT, password="")),
        ("/carriers/twilio/replies", replace(ACCOUNT, public_url="https://abc.execute-api.us-east-1.amazonaws.com/v1")),
    ],
)
def test_what_cannot_be_known_is_not_believed(path: str, account: Account) -> None:
    signature = RequestValidator(TOKEN).compute_signature(f"{PUBLIC}/carriers/twilio/replies", {})

    assert not verify(path, "", signature, account)


def test_the_address_we_give_is_the_address_that_is_checked(server: StubServer) -> None:
    """What API Gateway makes of the query, and the function of that, must be what Twilio signed."""
    send(server, replace(TEXT, reference="m.los-aromos~test.m a/b+c.ñ.0.1"))
    callback = form_of(server)["StatusCallback"]
    signature = RequestValidator(TOKEN).compute_signature(callback, {"MessageStatus": "delivered"})
    decoded = parse_qs(urlsplit(callback).query)

    path = f"/carriers/twilio/receipts?{urlencode(decoded, doseq=True)}"

    assert verify(path, "MessageStatus=delivered", signature)


# --- replies ----------------------------------------------------------------------------------------------------------


def reply_form(**changes: str) -> bytes:
    form = {
        "MessageSid": "SM0123",
        "AccountSid": ACCOUNT.user,
        "From": "+56955550102",
        "To": "+56200000001",
        "Body": "Gracias, ñandú ☂",
        "NumMedia": "0",
        "NumSegments": "1",
    } | changes
    return urlencode({name: value for name, value in form.items() if value != "-"}).encode()


def test_a_reply_is_read_with_the_time_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOON)

    [reply] = twilio.read_replies(reply_form())

    assert (reply.id, reply.handset, reply.code, reply.text) == (
        "SM0123",
        "+56955550102",
        "+56200000001",
        "Gracias, ñandú ☂",
    )
    assert reply.sent_at == NOON
    assert reply.in_reply_to is None


def test_a_picture_with_words_is_its_words_and_one_without_is_nothing() -> None:
    [reply] = twilio.read_replies(reply_form(NumMedia="2", MediaUrl0="https://x", Body="mira"))

    assert reply.text == "mira"
    assert twilio.read_replies(reply_form(NumMedia="1", Body="")) == []


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        ("STOP", "STOP", "STOP"),
        ("STOP", "baja", "baja"),
        ("STOP", "BASTA", "STOP"),
        ("START", "VUELVO", "START"),
        ("HELP", "QUE ES", "HELP"),
        ("STOP", "", "STOP"),
        ("LATER", "BASTA", "BASTA"),
    ],
)
def test_what_twilio_took_for_an_opt_out_is_one_here_too(kind: str, body: str, text: str) -> None:
    [reply] = twilio.read_replies(reply_form(OptOutType=kind, Body=body))

    assert reply.text == text
    if kind in twilio.OPT_OUT_TYPES:
        assert read_word(reply.text) is {"STOP": Word.STOP, "START": Word.START, "HELP": Word.HELP}[kind]


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"MessageSid": "-"}, "/MessageSid"),
        ({"From": "-"}, "/From"),
        ({"From": "whatsapp:+56955550102"}, "/From"),
        ({"From": "955550102"}, "/From"),
        ({"To": ""}, "/To"),
        ({"Body": "x" * 2001}, "/Body"),
    ],
)
def test_a_reply_that_is_none_is_refused_by_its_place(changes: dict[str, str], place: str) -> None:
    with pytest.raises(BadWebhook) as refused:
        twilio.read_replies(reply_form(**changes))

    assert refused.value.place == place


# --- receipts ---------------------------------------------------------------------------------------------------------

QUERY = urlencode({"reference": TEXT.reference})


def callback_form(status: str, code: str = "") -> bytes:
    form = {"MessageSid": "SM1", "MessageStatus": status, "SmsStatus": status, "To": "+56900000001"}
    return urlencode(form | ({"ErrorCode": code} if code else {})).encode()


@pytest.mark.parametrize(
    ("status", "code", "state"),
    [
        ("delivered", "", Receipt.DELIVERED),
        ("delivered", "30003", Receipt.DELIVERED),
        ("read", "", Receipt.DELIVERED),
        ("canceled", "", Receipt.UNREACHABLE),
        ("undelivered", "", Receipt.UNREACHABLE),
        ("undelivered", "99999", Receipt.UNREACHABLE),
        ("undelivered", "soon", Receipt.UNREACHABLE),
        *(("undelivered", code, state) for code, state in twilio.FAILED.items()),
        ("failed", "30010", Receipt.BLOCKED),
    ],
)
def test_a_status_callback_is_a_receipt_by_our_reference(status: str, code: str, state: Receipt) -> None:
    [receipt] = twilio.read_receipts(callback_form(status, code), QUERY)

    assert (receipt.reference, receipt.carrier_id, receipt.state, receipt.part) == (TEXT.reference, None, state, 0)


@pytest.mark.parametrize("status", ["accepted", "scheduled", "queued", "sending", "sent"])
def test_what_is_on_its_way_is_no_news(status: str) -> None:
    assert twilio.read_receipts(callback_form(status), QUERY) == []


@pytest.mark.parametrize(
    ("body", "query", "place"),
    [
        (callback_form("perhaps"), QUERY, "/MessageStatus"),
        (b"", QUERY, "/MessageStatus"),
        (callback_form("delivered"), "", "/reference"),
        (callback_form("delivered"), f"{QUERY}&{QUERY}", "/reference"),
        (callback_form("delivered"), f"reference={'x' * 257}", "/reference"),
        (b"\xff", QUERY, "/"),
        (b"&".join([b"a=1"] * 300), QUERY, "/"),
    ],
)
def test_a_callback_that_is_none_is_refused_by_its_place(body: bytes, query: str, place: str) -> None:
    with pytest.raises(BadWebhook) as refused:
        twilio.read_receipts(body, query)

    assert refused.value.place == place
