"""SNS as the carrier, on the whole stack: texts reach handsets, its log brings receipts, its topic replies."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from local.api import Api
from tests.end_to_end.conftest import Stack, bring_up
from tests.end_to_end.test_stack import alert, handsets_showing, wait_for

CODE = "20600"


@pytest.fixture(scope="module")
def sns_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with bring_up(tmp_path_factory.mktemp("sns"), Carrier="sns") as found:
        yield found


def test_an_alert_by_sns_is_delivered_answered_and_paid_once(sns_stack: Stack) -> None:
    stack, text = sns_stack, "Mañana no hay clases."
    made = alert(stack, "sns-1", text)

    def delivered() -> dict[str, Any] | None:
        seen: dict[str, Any] = stack.api.need("GET", f"/messages/{made['id']}", stack.token())
        return seen if seen["counts"] == {"delivered": made["recipients"]} else None

    seen = wait_for(delivered, "every receipt of the delivery log")
    assert seen["state"] == "sent"
    assert seen["credits_captured"] == made["credits_held"]
    shown = handsets_showing(stack, text)
    inboxes = [stack.handsets.carrier.phones.inbox(one)["texts"] for one in shown]
    assert len(shown) == made["recipients"]
    assert {(len(texts), texts[0]["code"], texts[0]["times_asked"]) for texts in inboxes} == {(1, CODE, 1)}
    assert stack.handsets.carrier.phones.find_answer(inboxes[0][0]["reference"]) is not None

    number = shown[0]
    Api(stack.handsets.url).need("POST", f"/handsets/{quote(number)}/replies", body={"to": CODE, "text": "Gracias"})

    replies = wait_for(lambda: stack.api.need("GET", "/replies", stack.token())["replies"], "the reply of the topic")
    assert [(one["text"], one["number"]) for one in replies] == [("Gracias", number)]


def test_who_is_out_of_reach_by_sns_is_unreachable(sns_stack: Stack) -> None:
    handsets = Api(sns_stack.handsets.url)
    handsets.need("PUT", "/faults", body={"unreachable_share": 1.0, "receipts_twice": True})
    made = alert(sns_stack, "sns-2", "Reunión el jueves.")

    def unreachable() -> bool:
        seen: dict[str, Any] = sns_stack.api.need("GET", f"/messages/{made['id']}", sns_stack.token())
        return bool(seen["counts"] == {"unreachable": made["recipients"]})

    wait_for(unreachable, "the failures of the delivery log")
    handsets.need("PUT", "/faults", body={})
    assert handsets_showing(sns_stack, "Reunión el jueves.") == []
