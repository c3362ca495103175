"""What it costs that a school's portal is told what became of each recipient of one message: the real code over moto.

`python -m bench.follow [recipients]` prints JSON. The message has gone out already; its pages are as `dispatch` leaves
them. Person ids are UUIDs, as those of a roster often are. Bringing the events to the portal is not in it.
"""

import contextlib
import io
import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from moto import mock_aws

from bench.cost import _indexes, _keys
from bench.meter import Bill, Meter
from tests import conftest

RECIPIENTS = 10_000
START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def main() -> None:
    meter = Meter(_indexes(), _keys())
    meter.install()
    recipients = int(sys.argv[1]) if sys.argv[1:] else RECIPIENTS
    # recado's logger keeps the stream that it finds first: its lines are not the bench's.
    with contextlib.redirect_stdout(io.StringIO()), mock_aws():
        conftest.create_resources()
        phases = measure(meter, recipients)
    json.dump({"recipients": recipients, "phases": phases}, sys.stdout)


def measure(meter: Meter, recipients: int) -> dict[str, Any]:
    """Each page closes, then half of the receipts come, then the others; after each of them what changed is told."""
    from dataclasses import replace

    from recado import recipient_events
    from recado.rules.credit_bags import Zone
    from recado.rules.delivery_states import Letter, Receipt, receipt_member
    from recado.rules.message_states import Category, MessageState
    from recado.tables import messages, pages, portal_webhooks
    from recado.tables.base import Transaction
    from recado.tables.messages import Message
    from recado.tables.pages import PAGE_SIZE, PageKind, PageRecipient, PageRef, PageState
    from tests import worlds
    from tests.worlds import SCHOOL

    # 1. A school that follows its messages, and a message that has just gone out.
    worlds.create_school()
    with Transaction() as write:
        webhook = _webhook()
        portal_webhooks.save_webhook(write, SCHOOL, webhook, None, attend_at=None, moved=AssertionError())
    count = -(-recipients // PAGE_SIZE)
    message = Message(
        SCHOOL,
        "m" + "x" * 25,
        MessageState.SENDING,
        Category.MEETING,
        worlds.ALERT,
        ("sms",),
        {},
        "directora",
        START,
        accepted_at=START,
        plan="p" * 16,
        pages=count,
    )
    draft = replace(message, state=MessageState.DRAFT)
    _check(messages.create_message(draft) and messages.change_message(message, was=draft))
    refs = [PageRef(PageKind.MESSAGE, SCHOOL, message.id, message.plan or "", page) for page in range(count)]
    sizes = [min(PAGE_SIZE, recipients - page * PAGE_SIZE) for page in range(count)]
    expires_at = int((START + timedelta(days=6)).timestamp())
    for ref, size in zip(refs, sizes, strict=True):
        first = ref.page * PAGE_SIZE
        people = [
            PageRecipient(f"+569{first + index:08}", (str(UUID(int=first + index)),), Zone.DOMESTIC, 1)
            for index in range(size)
        ]
        pages.create_pages([(ref, people)], expires_at=expires_at)
        before = PageState(0, Letter.PLANNED.value * size, is_open=True, job=1)
        _check(pages.save_state(ref, replace(before, letters=Letter.ACCEPTED.value * size), was=before))

    # 2. What changes, and what is told of it a moment later.
    found: dict[str, Any] = {}
    now = START
    for phase, half in (("sent", None), ("delivered, half", 0), ("the other half", 1)):
        for ref, size in zip(refs, sizes, strict=True):
            if half is not None:
                members = [receipt_member(index, 0) for index in range(half, size, 2)]
                pages.add_receipts(ref, {Receipt.DELIVERED: members})
        bill, events = Bill(), _count(SCHOOL)
        with meter.step(bill):
            for ref in refs:
                recipient_events.ask([ref], now)
        now += timedelta(minutes=1)
        changed = 0
        lots = sorted({ref.page - ref.page % 8 for ref in refs})
        with meter.step(bill):
            for page in lots:
                job = {"school": SCHOOL, "message": message.id, "plan": message.plan, "page": page}
                changed += recipient_events.tell(recipient_events.read_job(job), now)
        _check(changed == (recipients if half is None else sum((size + 1 - half) // 2 for size in sizes)))
        found[phase] = {
            "changed": changed,
            "jobs_and_transactions": len(lots),
            "events": _count(SCHOOL) - events,
            "write_units": bill.write_units,
            "read_units": bill.read_units,
            "aws_calls": bill.aws_calls,
        }
    return found


def _check(is_so: bool) -> None:  # a bench of something that did not happen would be cheap
    if not is_so:
        raise RuntimeError("the message is not as the bench wants it")


def _count(school_id: str) -> int:
    from recado.tables import events

    return events.get_counter(school_id).latest


def _webhook() -> Any:
    from recado.rules.event_types import EventType
    from recado.rules.webhook_deliveries import WebhookState
    from recado.tables.portal_webhooks import Webhook

    return Webhook(
        url="https://portal.example/events",
        events=(EventType.RECIPIENTS_CHANGED,),
        state=WebhookState.ENABLED,
        state_since=START,
        because=None,
        created_at=START,
        changed_at=START,
        changed_by="bench",
        epoch=1,
        version=1,
        secrets=(),
        cursor=0,
    )


if __name__ == "__main__":
    main()
