"""A test key on the whole stack: magic numbers do what they say, no handset hears of it; and the headers of answers."""

import http.client
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from local.api import Api, Key
from tests.end_to_end.conftest import Stack
from tests.end_to_end.test_stack import wait_for

SCHOOL = "los-aromos"


def test_a_message_by_a_test_key_reaches_no_handset_and_its_receipts_and_replies_come(stack: Stack) -> None:
    operator = stack.operator.token("operator", "soporte", datetime.now(UTC))
    made = stack.api.need(
        "POST", f"/operator/schools/{SCHOOL}/keys", operator, {"kind": "test"}, idempotency_key="test-key-1"
    )
    token = Key(SCHOOL, made["key_id"], made["secret"]).token("director", "integradora", datetime.now(UTC))
    text = "Prueba de la integración."
    body = {"text": text, "category": "meeting", "audience": {"who": ["guardians"]}, "send": "now"}

    message = stack.api.need("POST", "/messages", token, body, idempotency_key="sandbox-1")

    def counts(state: str) -> dict[str, int]:
        seen: dict[str, Any] = stack.api.need("GET", f"/messages/{message['id']}", token)
        found: dict[str, int] = seen["counts"]
        return found if seen["state"] == state else {}

    wait_for(lambda: counts("sent"), "the message to be sent")  # with whoever was busy once
    told = wait_for(lambda: found if (found := counts("sent")).get("unreachable") else None, "the simulated receipts")
    assert (told["unreachable"], told["wrong_number"], told["blocked"], told["unknown"]) == (1, 2, 2, 1)
    assert told["delivered"] + told["sent"] == 6  # the slow one takes a minute, one is never heard of
    replies = wait_for(lambda: stack.api.need("GET", "/replies", token)["replies"], "the simulated replies")
    assert {reply["word"] for reply in replies} <= {"stop", None}
    shown = Api(stack.handsets.url).need("GET", "/handsets")
    assert text not in [one["last"]["text"] for one in shown]
    assert stack.api.call("GET", f"/messages/{message['id']}", stack.token()).status == 404, "it is not the school's"


def test_every_answer_says_its_requests_id_and_what_is_left_of_the_minute(stack: Stack) -> None:
    sent = {"Authorization": f"Bearer {stack.token()}", "X-Request-Id": "portal-1"}
    answered = {path: raw(stack.api, path, sent) for path in ("/credits", "/people/nobody")}

    assert {path: status for path, (status, _, _) in answered.items()} == {"/credits": 200, "/people/nobody": 404}
    for status, headers, body in answered.values():
        assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")
        assert headers["ratelimit-policy"] == '"school";q=3000;w=60'
        assert headers["ratelimit"].startswith('"school";r=')
        assert headers["x-correlation-id"] == "portal-1"
        assert status == 200 or body["instance"] == f"urn:request:{headers['x-request-id']}"


def raw(api: Api, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], Any]:
    base = urlsplit(api.base_url)
    connection = http.client.HTTPConnection(base.hostname or "", base.port, timeout=30)
    try:
        connection.request("GET", base.path + path, headers=headers)
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.headers.items()}, json.load(response)
    finally:
        connection.close()
