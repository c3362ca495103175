"""What the conformance script sees of receipts and replies: who keeps the page passes, who does not is told where."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from local.handsets.server import Setup, handsets
from recado.carriers import signed_webhook
from recado.carriers.speech import Account, BadWebhook
from recado.rules import delivery_states
from tests.carriers.dialects import FROM_CARRIER, TO_CARRIER
from tools import carrier_reports
from tools.carrier_conformance import REPORTS, main
from tools.carrier_reports import Listener, listening

ROOT = Path(__file__).parent.parent.parent
OURS = {"conformance.r.1", "conformance.r.2"}
RECEIPTS = "/v1/carriers/signed_webhook/receipts"
REPLIES = "/v1/carriers/signed_webhook/replies"


def now() -> str:
    return datetime.now(UTC).isoformat()


def receipt(reference: Any = "conformance.r.1", **changes: Any) -> dict[str, Any]:
    return {"reference": reference, "status": "delivered", "part": 0} | changes


def reply(**changes: Any) -> dict[str, Any]:
    found = {"id": "r-1", "from": "+56900000001", "to": "20600", "text": "Gracias", "received_at": now()}
    return found | changes


class Sender:
    """A carrier that reports to the listener, well unless told otherwise."""

    def __init__(self) -> None:
        self.listener = Listener(FROM_CARRIER)

    def send(
        self,
        kind: str,
        items: Any,
        *,
        path: str = "",
        secret: str = FROM_CARRIER,
        ago: timedelta = timedelta(),
        webhook_id: str = "w1",
        without: str = "",
    ) -> int:
        body = json.dumps({"type": kind, kind: items})
        at = datetime.now(UTC) - ago
        headers = {
            "webhook-id": webhook_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": Webhook(secret).sign(webhook_id, at, body),
        }
        headers.pop(without, None)
        status, _ = self.listener.answer(path or f"/v1/carriers/signed_webhook/{kind}", headers, body.encode())
        return status

    def send_well(self) -> None:
        items = [receipt(reference) for reference in sorted(OURS)]
        assert self.send("receipts", items) == 503
        assert self.send("receipts", items) == 200

    def failed(self) -> set[str]:
        return {check.name for check in REPORTS if check.asks(self.listener.seen, OURS)}


def test_who_keeps_the_page_passes() -> None:
    sender = Sender()

    sender.send_well()

    assert sender.send("replies", [reply(), reply(id="r-2", group="g", part=1, parts=2)]) == 200
    assert sender.failed() == set()
    assert (sender.listener.seen.references, sender.listener.seen.replies) == (OURS, 2)


SIGNED = "they are signed with your secret"
SHAPE = "they are as the page says"
WRONGS: dict[str, tuple[str, int, Callable[[Sender], int]]] = {
    "without an id": (SIGNED, 401, lambda one: one.send("receipts", [receipt()], without="webhook-id")),
    "without a time": (SIGNED, 401, lambda one: one.send("receipts", [receipt()], without="webhook-timestamp")),
    "not signed": (SIGNED, 401, lambda one: one.send("replies", [reply()], without="webhook-signature")),
    "the other direction's secret": (SIGNED, 401, lambda one: one.send("receipts", [receipt()], secret=TO_CARRIER)),
    "an old time": (SIGNED, 401, lambda one: one.send("receipts", [receipt()], ago=timedelta(minutes=6))),
    "elsewhere": ("they come to their address", 404, lambda one: one.send("receipts", [receipt()], path="/dlr?id=1")),
    "another's reference": (
        "they name the references they were given",
        200,
        lambda one: one.send("receipts", [receipt("conformance.r.1".upper())]),
    ),
    "another time": ("a receipt keeps its time", 200, lambda one: one.send("receipts", [receipt(at=now())])),
    "no list": (SHAPE, 422, lambda one: one.send("receipts", receipt())),
    "too many": (SHAPE, 422, lambda one: one.send("receipts", [receipt()] * 1001)),
    "too large": (SHAPE, 413, lambda one: one.send("replies", [reply(text="x" * 2000)] * 150)),
    "one of two": (SHAPE, 200, lambda one: one.send("receipts", [receipt(), receipt(status="DELIVRD")])),
}


@pytest.mark.parametrize("wrong", WRONGS)
def test_who_breaks_one_line_fails_by_its_name_and_is_answered_as_recado_does(wrong: str) -> None:
    name, status, do = WRONGS[wrong]
    sender = Sender()
    sender.send_well()

    assert do(sender) == status
    assert sender.failed() == {name}


@pytest.mark.parametrize(
    ("item", "place"),
    [
        (7, " is no object"),
        (receipt(reference=7), "/reference"),
        (receipt(reference=""), "/reference"),
        (receipt(reference="x" * 257), "/reference"),
        (receipt(status="DELIVERED"), "/status"),
        (receipt(status=None), "/status"),
        (receipt(part=16), "/part"),
        (receipt(part=-1), "/part"),
        (receipt(part="1"), "/part"),
        (receipt(part=True), "/part"),
        (receipt(at="2026-11-23T12:00:09"), "/at has no offset"),
        (receipt(at="soon"), "/at"),
        (receipt(at=1795435200), "/at"),
    ],
)
def test_a_malformed_receipt_is_named_by_its_place_by_the_script_and_by_recado(item: Any, place: str) -> None:
    sender = Sender()

    assert sender.send("receipts", [item]) == 422

    [said] = sender.listener.seen.malformed
    [read] = signed_webhook.read_receipts(json.dumps({"type": "receipts", "receipts": [item]}).encode())
    assert said.startswith(f"/receipts/0{place}")
    assert isinstance(read, BadWebhook)


@pytest.mark.parametrize(
    "item",
    [
        7,
        reply(id=""),
        reply(id="x" * 129),
        reply(**{"from": "56900000001"}),
        reply(to=20600),
        reply(text="x" * 2001),
        reply(text=None),
        reply(received_at="2026-11-23 12:00"),
        reply(parts=16, group="g"),
        reply(parts=2, part=3, group="g"),
        reply(parts=2, part=1),
    ],
)
def test_a_malformed_reply_is_refused_by_the_script_and_by_recado(item: Any) -> None:
    sender = Sender()

    assert sender.send("replies", [item]) == 422
    assert len(sender.listener.seen.malformed) == 1
    with pytest.raises(BadWebhook):
        signed_webhook.read_replies(json.dumps({"type": "replies", "replies": [item]}).encode())


@pytest.mark.parametrize("ahead", [timedelta(minutes=6), timedelta(days=-8)])
def test_a_time_that_recado_would_not_believe_is_said(ahead: timedelta) -> None:
    sender = Sender()

    sender.send("receipts", [receipt(at=(datetime.now(UTC) + ahead).isoformat())])

    assert sender.listener.seen.malformed == ["/receipts/0/at is not believed: it is not now"]


def test_who_does_not_send_again_what_was_not_taken_fails() -> None:
    sender = Sender()

    assert sender.send("receipts", [receipt()]) == 503

    assert sender.failed() == {"receipts come", "what was not taken comes again as it was"}


def test_who_sends_it_again_under_another_id_fails() -> None:
    sender = Sender()

    for webhook_id in ("w1", "w2"):
        sender.send("receipts", [receipt()], webhook_id=webhook_id)

    assert sender.failed() == {"what was not taken comes again as it was"}


def test_who_sends_none_fails() -> None:
    assert Sender().failed() == {"receipts come", "what was not taken comes again as it was"}


def test_nothing_that_is_said_holds_a_text_or_a_number() -> None:
    sender = Sender()

    for item in (reply(id=""), reply(received_at="x"), reply(**{"from": "56900000001"}), reply(text="Gracias" * 400)):
        sender.send("replies", [item])

    said = repr(sender.listener.seen.malformed)
    assert len(sender.listener.seen.malformed) == 4
    assert "Gracias" not in said
    assert "900000001" not in said


def test_the_script_looks_at_both_directions(capsys: pytest.CaptureFixture[str]) -> None:
    with listening(0, FROM_CARRIER) as free:
        port = free.port  # free again in a moment
    api = f"http://127.0.0.1:{port}/v1"
    with handsets(Setup(api, TO_CARRIER, FROM_CARRIER)) as running:
        arguments = [
            "--url",
            f"{running.url}/send",
            "--secret",
            TO_CARRIER,
            "--to",
            "+56900000001",
            "--listen",
            str(port),
        ]
        code = main([*arguments, "--from-secret", FROM_CARRIER, "--listen-seconds", "30"])

    said = capsys.readouterr().out
    assert (code, "FAIL" in said) == (0, False), said
    assert all(f"  pass {check.name}" in said for check in REPORTS)


def test_without_a_secret_of_the_other_direction_it_does_not_listen(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--url", "http://127.0.0.1:1/", "--secret", TO_CARRIER, "--to", "+56900000001", "--listen", "1"]

    assert main(arguments) == 2


def test_every_sentence_it_rests_on_stands_on_the_page_and_every_limit_is_recados() -> None:
    page = " ".join((ROOT / "docs/carrier_format.md").read_text().split())

    assert [check.name for check in REPORTS if " ".join(check.rule.split()) not in page] == []
    assert set(carrier_reports.STATUSES) == set(signed_webhook.RECEIPTS)
    assert carrier_reports.PARTS_MAX == delivery_states.PARTS_MAX
    assert carrier_reports.ITEMS_MAX == signed_webhook.ITEMS_MAX


def test_what_the_script_takes_for_signed_recado_does_too() -> None:
    at = datetime.now(UTC)
    headers = {
        "webhook-id": "w1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(FROM_CARRIER).sign("w1", at, "{}"),
    }

    assert signed_webhook.verify(headers, b"{}", Account(secrets_from_carrier=(FROM_CARRIER,)), at)
