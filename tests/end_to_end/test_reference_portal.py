"""examples/portal as a school's programmers would run it: a process of its own, against the whole stack."""

import html
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from local import portal as reference
from local.emulator import free_port
from tests.end_to_end.conftest import Stack

START_SECONDS_MAX = 20
TOLD_SECONDS_MAX = 60
POLL_SECONDS = 0.3
FORM = {"group": "course-7b", "category": "meeting", "text": "Reunión hoy a las 19:00 <script>alert(1)</script>"}


@dataclass(frozen=True)
class Portal:
    url: str

    def post(self, path: str, form: dict[str, str]) -> str:
        answer = requests.post(f"{self.url}{path}", data=form, timeout=60)
        assert answer.ok, answer.status_code
        return answer.text

    def told(self) -> str:
        return html.unescape(requests.get(f"{self.url}/told", timeout=10).text)

    def wait_until_told(self, *words: str) -> str:
        deadline = time.monotonic() + TOLD_SECONDS_MAX
        while time.monotonic() < deadline:
            told = self.told()
            if all(word in told for word in words):
                return told
            time.sleep(POLL_SECONDS)
        raise AssertionError(f"not told of {words}: {self.told()}")


@pytest.fixture
def portal(stack: Stack, tmp_path: Path) -> Iterator[Portal]:
    port, secret = free_port(), tmp_path / "webhook.secret"
    environment = reference.environment(stack.api, stack.school, port, secret)
    with subprocess.Popen(
        reference.command(), env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    ) as process:
        try:
            _wait_for(f"http://127.0.0.1:{port}/told", process)
            reference.set_webhook(stack.api, stack.school, f"http://127.0.0.1:{port}/recado", secret)
            yield Portal(f"http://127.0.0.1:{port}")
        finally:
            reference.remove_webhook(stack.api, stack.school)
            process.terminate()


def test_it_shows_what_recado_says_sends_once_and_is_told_what_became_of_it(portal: Portal) -> None:
    assert "7° Básico B" in requests.get(portal.url, timeout=30).text

    shown = portal.post("/estimate", FORM)
    first, again = (portal.post("/send", hidden(shown)) for _ in range(2))

    assert "<script>" not in shown  # what a person wrote is text
    assert "no recibe SMS" in shown  # L9
    assert message_of(first) == message_of(again)  # the form's key: pressed twice, sent once
    told = portal.wait_until_told("message.sent", "message.recipients_changed", "delivered")
    assert message_of(first) in told


def test_a_price_that_is_not_the_one_shown_is_refused_in_words(portal: Portal) -> None:
    form = hidden(portal.post("/estimate", FORM)) | {"text": FORM["text"] + " Cambió el texto."}

    refused = portal.post("/send", form)

    assert "plan_changed" in refused
    assert "No se envió" in refused


def test_a_webhook_that_is_not_recados_changes_nothing(portal: Portal) -> None:
    before = portal.told()

    forged = requests.post(
        f"{portal.url}/recado",
        json={"type": "message.sent", "timestamp": "2026-01-01T00:00:00Z", "data": {}},
        headers={"webhook-id": "x", "webhook-timestamp": str(int(time.time())), "webhook-signature": "v1,AAAA"},
        timeout=10,
    )

    assert forged.status_code == 401
    assert portal.told() == before


def hidden(page: str) -> dict[str, str]:
    found = re.findall(r'<input type="hidden" name="([a-z]+)" value="([^"]*)">', page)
    return {name: html.unescape(value) for name, value in found}


def message_of(page: str) -> str:
    found = re.search(r"<code>([a-z2-7]+)</code>", page)
    assert found is not None, page
    return found.group(1)


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        assert process.poll() is None, "the portal ended by itself"
        try:
            requests.get(url, timeout=2)
        except requests.ConnectionError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the portal did not start")
