"""From a handset's answer to the page, on the emulator: milliseconds, and how much of it is ours.

`python -m bench.live` brings a stack up on free ports, answers one session REPLIES times by the signed webhook
while a page listens, and prints JSON. It ends by itself: every wait has its limit.
"""

import importlib.util
import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from types import ModuleType
from typing import Any

from local import emulator
from local.api import Api, Key
from local.aws import Aws
from local.deploy import deploy, physical_id
from local.handsets.server import Setup, handsets
from local.handsets.webhooks import Recado
from local.live import PageSocket, SocketClosed
from local.run import CARRIER, STACK, stack_parameters
from recado.rules import signatures
from tools import bootstrap

ROOT = Path(__file__).parent.parent
REPLIES = 100
WARM_UP = 10
WAIT_SECONDS = 30
HANDSET = "+18095550101"
CODES = ("20751", "20752")

type Milliseconds = dict[str, float]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, emulator.emulator(emulator.free_port(), Path(folder)) as running:
        aws = Aws(running.endpoint_url)
        bootstrap.create_master_secret(aws.client("ssm"), STACK)
        master = bootstrap.read_master_secret(aws.client("ssm"), STACK)
        setup = Setup(
            api_url=running.api_url,
            to_carrier_secret=signatures.webhook_secret(master, CARRIER, "to_carrier"),
            from_carrier_secret=signatures.webhook_secret(master, CARRIER, "from_carrier"),
        )
        with handsets(setup, dice=random.Random(1)) as phones:  # noqa: S311  # dice, not secrets
            deploy(ROOT / "template.yaml", STACK, stack_parameters(running, phones.url), aws)
            key = bootstrap.create_operator_key(aws.session, STACK, running.endpoint_url)
            session = _open_session(Api(running.api_url), Key("platform", key.key_id, key.secret))
            recado = Recado(running.api_url, setup.from_carrier_secret, lambda: datetime.now(UTC))
            with Page(session) as page:
                json.dump(_measure(running.api_url, aws, recado, page, session), sys.stdout)


class Page:
    """A page that notes when each reply came: a thread reads, for the webhook's answer comes later than the frame."""

    def __init__(self, session: dict[str, Any]) -> None:
        self._socket = PageSocket(session["live_url"], session["id"], session["token"])
        self._came: dict[str, float] = {}
        self._pongs = 0
        self._news = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()

    def wait_for(self, text: str) -> float:
        """The moment at which this text came. Raises TimeoutError."""
        with self._news:
            if not self._news.wait_for(lambda: text in self._came, WAIT_SECONDS):
                raise TimeoutError("a reply did not come")
            return self._came[text]

    def ping(self) -> None:
        with self._news:
            before = self._pongs
            self._socket.say('{"type": "ping"}')
            if not self._news.wait_for(lambda: self._pongs > before, WAIT_SECONDS):
                raise TimeoutError("a ping was not answered")

    def _listen(self) -> None:
        while True:
            try:
                frame = self._socket.hear(WAIT_SECONDS)
            except (OSError, SocketClosed):
                return
            moment = time.perf_counter()
            with self._news:
                if frame["type"] == "message":
                    self._came[frame["message"]["text"]] = moment
                self._pongs += frame["type"] == "pong"
                self._news.notify_all()

    def __enter__(self) -> "Page":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def _measure(api_url: str, aws: Aws, recado: Recado, page: Page, session: dict[str, Any]) -> dict[str, Any]:
    api, token, place = Api(api_url), session["token"], f"/sessions/{session['id']}/messages"
    code, count = session["handsets"][0]["code"], iter(range(10_000_000))
    to_page, to_answer = list[float](), list[float]()

    def answer() -> None:
        text = f"respuesta {next(count)}"
        began = time.perf_counter()
        told = recado.post_reply(f"wh_{text.replace(' ', '-')}", _reply(text, code))
        ended = time.perf_counter()
        if not told.is_taken:
            raise RuntimeError(f"a reply was answered {told.status}")
        to_page.append(page.wait_for(text) - began)
        to_answer.append(ended - began)

    def poll() -> None:
        api.need("GET", f"{place}?after={len(to_page)}", token)

    for _ in range(WARM_UP):
        answer()
    to_page.clear()
    to_answer.clear()
    for _ in range(REPLIES):
        answer()
    floor = _times(lambda: api.need("GET", "/health"))
    inside = _inside(aws, page, code)
    return {
        "replies": REPLIES,
        "milliseconds": {
            "reply_to_page": _described(to_page),
            "reply_to_the_carriers_answer": _described(to_answer),
            "get_health": _described(floor),
            "get_messages_after": _described(_times(poll)),
            "ping_to_pong": _described(_times(page.ping)),
            **inside,
        },
    }


def _inside(aws: Aws, page: Page, code: str) -> dict[str, Milliseconds]:
    """The same function in this process, with the deployed one's variables: from its event to the push's return."""
    name = physical_id(aws, STACK, "Inbound")
    found = aws.client("lambda").get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    os.environ.update(found)
    os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test")  # noqa: S106  # the emulator takes any
    os.environ.update(AWS_REGION=emulator.REGION, AWS_DEFAULT_REGION=emulator.REGION, POWERTOOLS_TRACE_DISABLED="true")
    whole, waiting = list[float](), list[float]()
    # Its log lines would stand among the figures.
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), _calls_timed() as calls:
        app = _load_inbound()
        for number in range(WARM_UP + REPLIES):
            text = f"desde dentro {number}"
            event = _event(text, code)
            calls.clear()
            began = time.perf_counter()
            answered = app.handler(event, _Context())
            if answered["statusCode"] != HTTPStatus.OK or not calls or calls[-1][0] != "PostToConnection":
                raise RuntimeError("a reply was not told")
            page.wait_for(text)
            whole.append(calls[-1][2] - began)
            waiting.append(sum(end - start for _, start, end in calls))
    ours = [all_of_it - part for all_of_it, part in zip(whole, waiting, strict=True)]
    return {
        "inside_event_to_push": _described(whole[WARM_UP:]),
        "inside_of_which_waiting_for_aws": _described(waiting[WARM_UP:]),
        "inside_of_which_ours": _described(ours[WARM_UP:]),
    }


def _load_inbound() -> ModuleType:
    spec = importlib.util.spec_from_file_location("inbound_app", ROOT / "functions" / "inbound" / "app.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError("functions/inbound/app.py")
    app = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(app)
    return app


@contextmanager
def _calls_timed() -> Iterator[list[tuple[str, float, float]]]:
    """(operation, began, ended) of each call of AWS, on the wire alone: from the signed request to its answer."""
    from botocore.httpsession import URLLib3Session

    calls: list[tuple[str, float, float]] = []
    real: Callable[..., Any] = URLLib3Session.send

    def send(self: Any, request: Any) -> Any:
        began = time.perf_counter()
        answered = real(self, request)
        target = request.headers.get("X-Amz-Target", b"")
        target = target.decode() if isinstance(target, bytes) else target
        name = "PostToConnection" if "connections/" in request.url else target.rpartition(".")[2]
        calls.append((name, began, time.perf_counter()))
        return answered

    URLLib3Session.send = send
    try:
        yield calls
    finally:
        URLLib3Session.send = real


class _Context:
    function_name = "inbound"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:inbound"
    aws_request_id = "00000000-0000-0000-0000-000000000000"


def _event(text: str, code: str) -> dict[str, Any]:
    from standardwebhooks import Webhook

    from recado.inbound import account_of

    body = json.dumps({"type": "replies", "replies": [_reply(text, code)]}, ensure_ascii=False)
    now, webhook_id = datetime.now(UTC), f"wh_{text.replace(' ', '-')}"
    signature = Webhook(account_of(CARRIER).secrets_from_carrier[0]).sign(webhook_id, now, body)
    headers = {
        "content-type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }
    return {
        "resource": "/carriers/{carrier}/replies",
        "path": f"/carriers/{CARRIER}/replies",
        "httpMethod": "POST",
        "headers": headers,
        "pathParameters": {"carrier": CARRIER},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "requestContext": {"requestId": "bench", "stage": "v1"},
        "body": body,
        "isBase64Encoded": False,
    }


def _reply(text: str, code: str) -> dict[str, str]:
    at = datetime.now(UTC).isoformat()
    return {"id": f"r-{text.replace(' ', '-')}", "from": HANDSET, "to": code, "text": text, "received_at": at}


def _open_session(api: Api, operator: Key) -> dict[str, Any]:
    token = operator.token("operator", "bench", datetime.now(UTC))
    for code in CODES:
        body = {"country": "DO", "code": code, "purpose": "sessions"}
        api.need("POST", "/operator/short-codes", token, body, idempotency_key=f"code-{code}")
    asked = {"text": "¿Vienes a las 5?", "to": [HANDSET]}
    opened: dict[str, Any] = api.need("POST", "/sessions", body=asked, idempotency_key="bench-of-live-0123456789")
    return opened


def _times(act: Callable[[], object]) -> list[float]:
    found = []
    for _ in range(WARM_UP + REPLIES):
        began = time.perf_counter()
        act()
        found.append(time.perf_counter() - began)
    return found[WARM_UP:]


def _described(seconds: list[float]) -> Milliseconds:
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {"p50": cuts[49] * 1000, "p99": cuts[98] * 1000}


if __name__ == "__main__":
    main()
