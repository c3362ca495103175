"""A carrier bars us, on the whole stack: the standby takes its texts, the operator sees it, answers come back."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest

from local.api import Api
from tests.end_to_end.conftest import Stack, bring_up
from tests.end_to_end.test_stack import alert, handsets_showing, wait_for

FIRST, STANDBY, STANDBY_CODE = "signed_webhook", "sns", "20690"
TEXT = "Mañana no hay clases."


@pytest.fixture(scope="module")
def routed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of its own: its first carrier's circuit stays open."""
    with bring_up(tmp_path_factory.mktemp("failover")) as stack:
        code = {"country": "CL", "code": STANDBY_CODE, "purpose": "schools", "carrier": STANDBY}
        ways = [{"carrier": FIRST}, {"carrier": STANDBY, "sender": STANDBY_CODE}]
        stack.api.need("POST", "/operator/short-codes", operator(stack), code, "standby-code")
        stack.api.need("PUT", "/operator/routes/CL/any", operator(stack), {"ways": ways}, "standby-route")
        yield stack


def operator(stack: Stack) -> str:
    return stack.operator.token("operator", "operadora", datetime.now(UTC))


def write(stack: Stack, number: str, text: str) -> None:
    place, body = f"/handsets/{quote(number)}/replies", {"to": STANDBY_CODE, "text": text}
    assert Api(stack.handsets.url).need("POST", place, body=body)["taken"]


def texts_on(stack: Stack, number: str) -> list[dict[str, Any]]:
    """What a handset received, the oldest first."""
    shown = Api(stack.handsets.url).need("GET", f"/handsets/{quote(number)}")
    return [one for one in shown["texts"] if one["direction"] == "received"]


def test_who_is_barred_by_one_carrier_is_reached_by_the_other_and_can_answer(routed: Stack) -> None:
    stack, api = routed, routed.api

    # 1. The first takes nothing and says so: the circuit opens, the standby takes everything, once.
    Api(stack.handsets.url).need("PUT", "/faults", body={"barred_share": 1.0})
    made = alert(stack, "failover-1", TEXT)

    def delivered() -> dict[str, Any] | None:
        seen: dict[str, Any] = api.need("GET", f"/messages/{made['id']}", stack.token())
        return seen if seen["counts"] == {"delivered": made["recipients"]} else None

    seen = wait_for(delivered, "the receipts of the standby's log")
    assert (seen["state"], seen["credits_captured"]) == ("sent", made["credits_held"])
    numbers = handsets_showing(stack, TEXT)
    inboxes = [texts_on(stack, number) for number in numbers]
    assert len(numbers) == made["recipients"]
    assert {(len(texts), texts[0]["code"], texts[0]["times_asked"]) for texts in inboxes} == {(1, STANDBY_CODE, 1)}

    # 2. The platform's staff see why.
    carriers = {one["carrier"]: one for one in api.need("GET", "/operator/carriers", operator(stack))["carriers"]}
    (line,) = [one for one in carriers[FIRST]["lines"] if one["country"] == "CL"]
    assert (line["state"], line["openings"], line["held"]) == ("open", 1, False)
    assert line["decided_on"]["route"] >= 10
    assert [one["state"] for one in carriers[STANDBY]["lines"] if one["country"] == "CL"] == ["closed"]

    # 3. An answer to the standby's code reaches the school, and its portal is told.
    number = numbers[0]
    write(stack, number, "Gracias")
    (reply,) = wait_for(lambda: api.need("GET", "/replies", stack.token())["replies"], "the reply of the topic")
    assert (reply["text"], reply["number"], reply["code"]) == ("Gracias", number, STANDBY_CODE)
    told = wait_for(lambda: api.need("GET", "/events?type=reply.received", stack.token())["events"], "its event")
    assert [one["data"]["reply"] for one in told] == [reply["id"]]

    # 4. STOP binds, and is confirmed over the standby, from the code that was written to.
    write(stack, number, "STOP")
    confirmed = wait_for(lambda: texts_on(stack, number)[1:], "the confirmation")
    assert [(one["code"], "no le llegaran mas SMS" in one["text"]) for one in confirmed] == [(STANDBY_CODE, True)]
    again = alert(stack, "failover-2", "Y el jueves tampoco.")
    assert again["skipped"].get("opted_out", 0) == made["skipped"].get("opted_out", 0) + 1
