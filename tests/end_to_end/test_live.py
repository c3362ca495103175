"""Real sockets on the whole stack: a handset answers and its words are at the page; the end is, too."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest

from local.api import Api
from local.live import HandshakeRefused, PageSocket
from tests.end_to_end.conftest import Stack
from tests.end_to_end.test_stack import handsets_showing, wait_for

CODES = ("20741", "20742", "20743")
PING = '{"type": "ping"}'


def open_session(stack: Stack, key: str, text: str, number: str) -> dict[str, Any]:
    """A session whose text has arrived."""
    operator = stack.operator.token("operator", "soporte", datetime.now(UTC))
    for code in CODES:
        body = {"country": "DO", "code": code, "purpose": "sessions"}
        stack.api.need("POST", "/operator/short-codes", operator, body, idempotency_key=f"code-{code}")
    asked = {"text": text, "to": [number]}
    opened: dict[str, Any] = stack.api.need("POST", "/sessions", body=asked, idempotency_key=f"page-{key:0>20}")
    wait_for(lambda: handsets_showing(stack, text), "the text on its handset")
    return opened


def page_of(session: dict[str, Any], **changes: str) -> PageSocket:
    asked = session | changes
    return PageSocket(asked["live_url"], asked["id"], asked["token"])


def reply(stack: Stack, session: dict[str, Any], text: str) -> None:
    (handset,) = session["handsets"]
    path = f"/handsets/{quote(handset['number'])}/replies"
    Api(stack.handsets.url).need("POST", path, body={"to": handset["code"], "text": text})


def hear(page: PageSocket, kind: str) -> dict[str, Any]:
    """The next frame of this kind; what came before it is no matter here."""
    while True:
        frame = page.hear(30)
        if frame["type"] == kind:
            return frame


def test_a_reply_arrives_at_the_page_as_the_line_it_is_and_so_does_the_end_C4(stack: Stack) -> None:
    session = open_session(stack, "live-1", "¿Vienes a las 5?", "809 555 0141")
    path = f"/sessions/{session['id']}"

    with page_of(session) as page, page_of(session) as tab:
        page.say(PING)
        assert hear(page, "pong")["seq"] == 1
        reply(stack, session, "sí, <b>voy</b> 😀")
        frame = hear(page, "message")
        read = stack.api.need("GET", f"{path}/messages?after=1", session["token"])
        assert [frame["message"]] == read["messages"]
        assert hear(tab, "message") == frame

        stack.api.need(
            "POST", f"{path}/messages", session["token"], {"text": "¿Y Ana?"}, idempotency_key="page-" + "2" * 22
        )
        assert [hear(one, "message")["message"]["text"] for one in (page, tab)] == ["¿Y Ana?"] * 2
        assert hear(page, "sent")["is_sending"] is False

        assert stack.api.call("DELETE", path, session["token"]).status == 204
        assert [hear(one, "ended") for one in (page, tab)] == [{"type": "ended"}] * 2
        page.say(PING)
        assert page.hear(30) == {"type": "ended"}

    with pytest.raises(HandshakeRefused):
        page_of(session)


def test_two_pages_and_one_handset_on_two_codes_hear_each_its_own(stack: Stack) -> None:
    mine = open_session(stack, "live-2", "¿Quién eres?", "809 555 0142")
    other = open_session(stack, "live-3", "¿Dónde estás?", "809 555 0142")
    assert mine["handsets"][0]["code"] != other["handsets"][0]["code"]

    with page_of(mine) as my_page, page_of(other) as other_page:
        reply(stack, other, "en casa")
        reply(stack, mine, "soy Ana")
        heard = [hear(page, "message")["message"]["text"] for page in (my_page, other_page)]
        for page in (my_page, other_page):
            page.say(PING)
        after = [page.hear(30)["type"] for page in (my_page, other_page)]

    assert heard == ["soy Ana", "en casa"]
    assert after == ["pong", "pong"]


def test_no_token_but_its_own_opens_a_sessions_socket(stack: Stack) -> None:
    session = open_session(stack, "live-4", "¿Hola?", "809 555 0143")
    other = open_session(stack, "live-5", "¿Y tú?", "809 555 0144")

    for wrong in ({"token": other["token"]}, {"id": other["id"]}, {"token": "s1." + session["token"][:2:-1]}):
        with pytest.raises(HandshakeRefused):
            page_of(session, **wrong)
    with pytest.raises(HandshakeRefused) as refused:
        page_of(session, token="")

    assert refused.value.status == 401
