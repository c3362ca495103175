"""examples/portal as its README says, beside a whole stack: a process of its own, pressed over HTTP, really told."""

import html
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import pytest
import requests

from local import emulator
from local.demo_school import SCHOOL_ID
from tests.end_to_end.conftest import Stack
from tests.end_to_end.test_stack import handsets_showing, wait_for
from tests.end_to_end.test_tour import ROOT, Command, commands, missing_piece, shell, what_goes_wrong

README = "examples/portal/README.md"
HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')
TEXT = "Mañana las clases empiezan a las 10."
SECONDS = 10


@dataclass(frozen=True)
class Portal:
    """It listens, and what it prints goes into `log`."""

    url: str
    env: Path
    log: Path

    def page(self, path: str = "/") -> str:
        return requests.get(self.url + path, timeout=SECONDS).text

    def press(self, path: str, form: dict[str, str]) -> requests.Response:
        return requests.post(
            self.url + path, form, headers={"Origin": self.url}, timeout=SECONDS, allow_redirects=False
        )

    def secrets(self) -> list[str]:
        return re.findall(r"SECRET=(\S+)", self.env.read_text())


@pytest.fixture
def portal(stack: Stack, tmp_path: Path) -> Iterator[Portal]:
    """Both commands of the README, on this stack."""
    with serving(stack, tmp_path, "serve") as found:
        yield found


@pytest.fixture
def whole_portal(stack: Stack, tmp_path: Path) -> Iterator[Portal]:
    """The same with all that recado has for a portal."""
    with serving(stack, tmp_path, "whole") as found:
        yield found


@contextmanager
def serving(stack: Stack, tmp_path: Path, kind: str) -> Iterator[Portal]:
    port = emulator.free_port()
    (make,), (serve,) = commands(README, "portal"), commands(README, kind)
    told = run(make, f" --port {port} --folder {tmp_path}", stack)
    assert missing_piece(Command(make.text, (make.expected[0],), may_take_a_moment=False), told) is None, told
    here = serve.text.replace(".local/portal.env", str(tmp_path / "portal.env")).replace(
        ".venv/bin/python", sys.executable
    )
    log = tmp_path / "portal.log"
    with log.open("wb") as out, process(here, out):
        found = Portal(f"http://127.0.0.1:{port}", tmp_path / "portal.env", log)
        wait_for(lambda: answers(found), "the portal", 20, log.read_text)
        yield found
    stack.api.need("DELETE", "/portal-webhook", stack.token())


def run(command: Command, more: str, stack: Stack) -> str:
    ended = subprocess.run(
        ["/bin/sh", "-c", command.text.replace(".venv/bin/python", sys.executable) + more],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "RECADO_PORT": str(stack.emulator.port)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@contextmanager
def process(command: str, out: BinaryIO) -> Iterator[None]:
    running = subprocess.Popen(
        ["/bin/sh", "-c", command.replace("&& ", "&& exec ")],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.STDOUT,
    )
    try:
        yield
    finally:
        running.terminate()
        running.wait(SECONDS)


def answers(portal: Portal) -> bool:
    try:
        return "Avisos del colegio" in portal.page()
    except requests.ConnectionError:
        return False


def form_of(page: str) -> dict[str, str]:
    return {name: html.unescape(value) for name, value in HIDDEN.findall(page)}


def test_the_portal_sends_what_it_showed_once_and_is_told_how_it_ended(stack: Stack, portal: Portal) -> None:
    written = form_of(portal.page()) | {"group": "course-7b", "category": "classes_cancelled", "text": TEXT}
    shown = portal.press("/estimate", written).text

    sent = [portal.press("/send", form_of(shown)) for _ in range(2)]
    place = sent[0].headers["Location"]
    page = wait_for(
        lambda: found if "El mensaje llegó a su fin" in (found := portal.page(place)) else None,
        "the webhook",
        60,
        lambda: portal.log.read_text()[-1000:],
    )

    assert "reciben el SMS" in shown
    assert 'class="red">⛔ ' in shown
    assert [one.status_code for one in sent] == [303, 303]
    assert sent[1].headers["Location"] == place
    message = stack.api.need("GET", f"/messages/{place.rpartition('/')[2]}", stack.token())
    assert (message["state"], message["created_by"]) == ("sent", "directora")
    assert len(handsets_showing(stack, TEXT)) == message["recipients"]
    texts = [stack.handsets.carrier.phones.inbox(one)["texts"] for one in handsets_showing(stack, TEXT)]
    assert {len([one for one in inbox if one["text"] == TEXT]) for inbox in texts} == {1}
    assert TEXT in page

    # What it printed, and who may read its secrets.
    printed = portal.log.read_text()
    assert "/recado" in printed
    for secret in [*portal.secrets(), TEXT, "+56", "eyJ"]:
        assert secret not in printed
    assert portal.env.stat().st_mode & 0o077 == 0


def test_webhooks_are_tried_as_their_page_says(stack: Stack, portal: Portal, tmp_path: Path) -> None:
    tour = [
        replace(
            one,
            text=one.text.replace("http://127.0.0.1:4590", portal.url),
            expected=tuple(piece.replace("http://127.0.0.1:4590", portal.url) for piece in one.expected),
        )
        for one in commands("docs/webhooks.md", "webhook")
    ]

    with shell({"RECADO_PORT": str(stack.emulator.port)}) as here:
        wrong = what_goes_wrong(tour, here, stack, tmp_path)

    assert wrong == []
    assert sum(len(command.expected) for command in tour) > 20


def test_the_portals_webhook_can_be_made_again_and_is_believed_with_its_new_secret(
    stack: Stack, portal: Portal
) -> None:
    before = portal.secrets()

    run(commands(README, "portal")[0], f" --port {portal.url.rpartition(':')[2]} --folder {portal.env.parent}", stack)

    key, webhook = portal.secrets()
    assert key == before[0]
    assert webhook != before[1]
    assert stack.api.need("GET", "/portal-webhook", stack.token())["url"] == f"{portal.url}/recado"
    assert SCHOOL_ID in portal.env.read_text()
