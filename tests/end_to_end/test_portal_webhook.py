"""A portal of a few lines on loopback, told by the whole stack: it verifies with the standard's own library."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tests.carriers.stub_server import Asked, Said, StubServer, say, stub_server
from tests.end_to_end.conftest import Stack
from tests.end_to_end.test_stack import wait_for


@pytest.fixture
def portal() -> Iterator[StubServer]:
    with stub_server() as told:
        yield told


def test_a_portal_is_told_what_happens_signed_and_once_more_when_it_asks(stack: Stack, portal: StubServer) -> None:
    status = [204]
    portal.behave = lambda request, _: say(request, Said(status[0]))
    token = stack.token()

    def need(method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        return stack.api.need(method, path, token, body, idempotency_key=key)

    # 1. A webhook, and its secret.
    assert stack.api.call("PUT", "/portal-webhook", token, {"url": "https://169.254.169.254/"}).status == 422
    made = need("PUT", "/portal-webhook", {"url": f"{portal.url}/recado", "events": ["bag.requested"]})
    verifier = Webhook(made["secret"])

    # 2. A test of it, at once.
    tested = need("POST", "/portal-webhook/test")
    (call,) = wait_for(lambda: list(portal.seen), "the test")
    assert verified(verifier, call)["type"] == "webhook.test"
    assert call.headers["webhook-id"] == tested["id"]
    with pytest.raises(WebhookVerificationError):
        verifier.verify(call.body.replace(b"test", b"rest"), call.headers)

    # 3. What happens, as GET /events says it.
    need("POST", "/credits/bags/requests", {"bag": "domestic-500"}, "bag-for-the-webhook")
    call = wait_for(lambda: portal.seen[1:], "the event")[0]
    told = verified(verifier, call)
    event = need("GET", "/events?type=bag.requested")["events"][-1]
    assert (told["type"], told["number"], told["data"]) == (event["type"], event["number"], event["data"])

    # 4. A new secret: both sign for a while.
    rotated = need("POST", "/portal-webhook/secret", {"overlap_seconds": 600}, "rotation-1")
    need("POST", f"/portal-webhook/deliveries/{call.headers['webhook-id']}/replay", None, "replay-1")
    again = wait_for(lambda: portal.seen[2:], "the replay")[0]
    assert verified(verifier, again) == verified(Webhook(rotated["secret"]), again) == told
    assert again.headers["webhook-id"] == call.headers["webhook-id"]

    # 5. Gone: switched off, until somebody switches it on; nothing is lost.
    status[0] = 410
    need("POST", "/credits/bags/requests", {"bag": "domestic-500"}, "bag-2-for-the-webhook")
    wait_for(lambda: need("GET", "/portal-webhook")["state"] == "disabled" or None, "the end of it")
    calls = len(portal.seen)
    status[0] = 204
    need("POST", "/credits/bags/requests", {"bag": "domestic-500"}, "bag-3-for-the-webhook")
    assert stack.api.call("POST", "/portal-webhook/test", token).status == 409
    assert len(portal.seen) == calls
    need("POST", "/portal-webhook/enable")
    wait_for(lambda: len(portal.seen) >= calls + 2 or None, "what was owed")
    numbers = [verified(Webhook(rotated["secret"]), one)["number"] for one in portal.seen[calls:]]
    off = need("GET", "/events?type=webhook.disabled")["events"][-1]
    assert (off["number"], off["data"]) == (event["number"] + 2, {"because": "gone"})
    assert sorted(numbers) == [event["number"] + 1, event["number"] + 3]

    log = need("GET", "/portal-webhook/deliveries")["deliveries"]
    assert {one["state"] for one in log} == {"delivered"}
    need("DELETE", "/portal-webhook")
    assert stack.api.call("GET", "/portal-webhook", token).status == 404


def test_a_redirect_leads_nowhere(stack: Stack, portal: StubServer) -> None:
    def behave(request: BaseHTTPRequestHandler, _: Asked) -> None:
        request.send_response(307)
        request.send_header("Location", f"{portal.url}/inside")
        request.send_header("Content-Length", "0")
        request.end_headers()

    portal.behave = behave
    token = stack.token()
    stack.api.need("PUT", "/portal-webhook", token, {"url": f"{portal.url}/recado"})

    tested = stack.api.need("POST", "/portal-webhook/test", token)

    def reason() -> Any:
        one = stack.api.need("GET", f"/portal-webhook/deliveries/{tested['id']}", token)
        return one["last_attempt"] and one["last_attempt"]["reason"]

    assert wait_for(reason, "an attempt") == "redirect"
    assert {asked.path for asked in portal.seen} == {"/recado"}
    assert stack.api.call("DELETE", "/portal-webhook", token).status == 204


def verified(verifier: Webhook, call: Asked) -> Any:
    found = verifier.verify(call.body, call.headers)
    assert found == json.loads(call.body)
    return found
