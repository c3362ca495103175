"""The whole stack as `make run` brings it up: what reaches a handset, what comes back, what bootstrap leaves alone."""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from local.api import Api
from tests.end_to_end.conftest import Stack, bootstrap_by_command

WAIT_SECONDS = 30


def wait_for[T](
    look: Callable[[], T | None], what: str, seconds: float = WAIT_SECONDS, so_far: Callable[[], str] = str
) -> T:
    """What `look` finds, as soon as it finds something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    pytest.fail(f"waited {seconds:g} s for {what} {so_far()}")


def alert(stack: Stack, key: str, text: str) -> dict[str, Any]:
    body = {
        "text": text,
        "category": "meeting",
        "audience": {"who": ["guardians"], "groups": ["course-7b"]},
        "send": "now",
    }
    made: dict[str, Any] = stack.api.need("POST", "/messages", stack.token(), body, idempotency_key=key)
    return made


def handsets_showing(stack: Stack, text: str) -> list[str]:
    shown = Api(stack.handsets.url).need("GET", "/handsets")
    return [one["number"] for one in shown if one["last"]["text"] == text]


def test_an_alert_reaches_every_handset_once_and_its_receipts_come_back(stack: Stack) -> None:
    made = alert(stack, "alert-1", "Reunión mañana a las 19:00.")

    def delivered() -> dict[str, Any] | None:
        seen: dict[str, Any] = stack.api.need("GET", f"/messages/{made['id']}", stack.token())
        return seen if seen["counts"] == {"delivered": made["recipients"]} else None

    seen = wait_for(delivered, "every receipt")
    assert seen["state"] == "sent"
    assert seen["credits_captured"] == made["credits_held"]
    assert len(handsets_showing(stack, "Reunión mañana a las 19:00.")) == made["recipients"]
    inboxes = [stack.handsets.carrier.phones.inbox(one) for one in handsets_showing(stack, made["text"])]
    assert {len([text for text in inbox["texts"] if text["text"] == made["text"]]) for inbox in inboxes} == {1}


def test_an_answer_on_a_handset_is_among_the_schools_replies(stack: Stack) -> None:
    alert(stack, "alert-2", "¿Vienen a la reunión?")
    number = wait_for(lambda: handsets_showing(stack, "¿Vienen a la reunión?"), "a text on a handset")[0]

    Api(stack.handsets.url).need(
        "POST", f"/handsets/{quote(number)}/replies", body={"to": "20600", "text": "Sí, voy yo"}
    )

    replies = wait_for(lambda: stack.api.need("GET", "/replies", stack.token())["replies"], "the reply")
    assert ("Sí, voy yo", number) in {(reply["text"], reply["number"]) for reply in replies}


def test_a_teacher_may_not_send(stack: Stack) -> None:
    body = {"text": "Hola", "category": "meeting", "audience": {"who": ["guardians"]}, "send": "now"}

    answer = stack.api.call("POST", "/messages", stack.token("teacher", "profesor"), body, idempotency_key="teacher-1")

    assert answer.status == 403


def test_bootstrap_again_changes_nothing_and_shows_no_secret(stack: Stack) -> None:
    said = bootstrap_by_command(stack.emulator)

    assert "there already" in said
    assert stack.operator.secret not in said
    assert stack.api.call("GET", "/groups", stack.token()).is_success, "keys of before still hold"
