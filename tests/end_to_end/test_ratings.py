"""What a handset's answer costs, from the handset to the billing, on the emulator as deployed (C6)."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from local.api import Api
from tests.end_to_end.conftest import Stack
from tests.end_to_end.test_stack import wait_for

HANDSET = "+18095550161"
TODAY = datetime.now(ZoneInfo("America/Santo_Domingo")).date()


def operators(stack: Stack) -> str:
    return stack.operator.token("operator", "ana", datetime.now(UTC))


def text_on(stack: Stack, words: str) -> dict[str, Any] | None:
    inbox = stack.handsets.carrier.phones.inbox(HANDSET) or {"texts": []}
    found: list[dict[str, Any]] = [one for one in inbox["texts"] if one["text"] == words]
    return found[0] if found else None


def test_an_answer_from_a_handset_is_on_the_bill_with_its_taxes(stack: Stack) -> None:
    before = billed(stack)  # others answer on this stack, too
    words = "¿Cuánto cuesta contestar?"
    asked = {"text": words, "to": [HANDSET]}
    opened = stack.api.need("POST", "/sessions", body=asked, idempotency_key="a-page-that-asks-for-the-price")
    text = wait_for(lambda: text_on(stack, words), "the text")

    for _ in range(2):
        body = {"to": opened["handsets"][0]["code"], "text": "Un peso y los impuestos"}
        Api(stack.handsets.url).need("POST", f"/handsets/{quote(HANDSET)}/replies", body=body)

    assert text is not None
    after = wait_for(
        lambda: found if (found := billed(stack))["messages"] == before["messages"] + 2 else None, "the bill"
    )
    added = {name: after[name] - before[name] for name in after}
    assert added == {
        "messages": Decimal(2),
        "price": Decimal("2.00"),
        "total": Decimal("2.60"),
        "ITBIS": Decimal("0.36"),
        "ISC": Decimal("0.20"),
        "CDT": Decimal("0.04"),
    }


def billed(stack: Stack) -> dict[str, Decimal]:
    """What these days come to, in DOP."""
    path = f"/operator/ratings/totals?country=DO&from={TODAY - timedelta(days=1)}&to={TODAY + timedelta(days=1)}"
    sums = defaultdict[str, Decimal](Decimal)
    for one in stack.api.need("GET", path, operators(stack))["sums"]:
        assert one["currency"] == "DOP"
        amounts = {"messages": one["count"], "price": one["price"], "total": one["total"]}
        for name, amount in (amounts | {tax["name"]: tax["amount"] for tax in one["taxes"]}).items():
            sums[name] += Decimal(amount)
    return sums


def test_the_file_of_closed_days_is_a_spreadsheet_with_its_totals(stack: Stack) -> None:
    path = f"/operator/ratings.csv?country=DO&from={TODAY - timedelta(days=9)}&to={TODAY - timedelta(days=2)}"

    answer = stack.api.call("GET", path, operators(stack))

    assert answer.status == 200
    assert answer.body.startswith("\ufeffrated_at,carrier,")
    assert answer.body.endswith("\r\nTOTAL,,,,,0,,,,,,\r\n")


def test_a_price_is_announced_and_withdrawn(stack: Stack) -> None:
    day = TODAY + timedelta(days=5)
    body = {"country": "DO", "valid_from": f"{day}", "currency": "DOP", "price": "1.25", "taxes": []}

    made = stack.api.need("POST", "/operator/tariffs", operators(stack), body, idempotency_key=f"tariff-{day}")
    withdrawn = stack.api.call("DELETE", f"/operator/tariffs/DO/{day}", operators(stack))
    left = stack.api.need("GET", "/operator/tariffs?country=DO", operators(stack))

    assert made["total"] == "1.25"
    assert withdrawn.status == 204
    assert [one["valid_from"] for one in left["tariffs"]] == ["2020-01-01"]


def test_a_page_reads_what_it_must_know_without_a_token_C1(stack: Stack) -> None:
    found = stack.api.need("GET", "/sessions/settings")

    assert (found["idle_seconds"], found["countries"], found["captcha_site_key"]) == (300, ["DO"], None)
