"""The `portal_events` function on its events: within its policies, and a bad job comes back alone."""

import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest

from recado import clock, events, portal_webhooks
from recado.carriers import portal_calls
from recado.carriers.portal_calls import Call, Heard
from recado.events import NewEvent
from recado.rules.credit_bags import Zone
from recado.rules.delivery_states import Letter
from recado.rules.event_types import EventType
from recado.rules.message_states import Category, MessageState
from recado.rules.webhook_deliveries import delivery_id
from recado.tables import events as event_table
from recado.tables import messages as message_table
from recado.tables import pages
from recado.tables.messages import Message
from recado.tables.pages import PageKind, PageRecipient, PageRef, PageState
from tests.apps import Context, load_app, load_event
from tests.conftest import jobs_on, resources
from tests.test_architecture import PACKAGE, ROOT, imports_of
from tests.worlds import ALERT, DIRECTOR, NOON, SCHOOL, mobile

pytestmark = pytest.mark.usefixtures("aws")


# Those that import a module which also has a function that raises events, and never call that one.
NEVER_BY_A_CALL = {"SessionSweeper", "Pool", "Live", "Sessions", "Carriers"}


class LongContext(Context):
    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def test_a_job_of_a_kind_that_nobody_knows_comes_back_by_its_id() -> None:
    event = load_event("portal_events_poison")

    answered = load_app("portal_events").handler(event, Context())

    assert answered == {"batchItemFailures": [{"itemIdentifier": event["Records"][0]["messageId"]}]}


def test_a_school_that_is_owed_something_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Call] = []

    def hear(_: object, __: object, call: Call) -> Heard:
        calls.append(call)
        return Heard(204)

    monkeypatch.setattr(portal_calls, "_ask", hear)
    portal_webhooks.save_webhook(DIRECTOR, "https://portal.escuela.cl/", None, request_key=None, now=clock.now())
    events.raise_event(SCHOOL, NewEvent(EventType.MESSAGE_SENT, "m1", clock.now(), {"message": "m1"}))
    (first, *_) = jobs_on("PortalEventsQueue")
    event = load_event("portal_events_owed")
    assert event["Records"][0]["body"] == first

    assert load_app("portal_events").handler(event, LongContext()) == {"batchItemFailures": []}

    assert [call.delivery_id for call in calls] == [delivery_id(SCHOOL, 1)]


def test_what_became_of_recipients_is_told_to_a_school_that_wants_it() -> None:
    job = json.loads(load_event("portal_events_recipients")["Records"][0]["body"])
    ref = PageRef(PageKind.MESSAGE, job["school"], job["message"], job["plan"], job["page"])
    sent_page(ref)
    portal_webhooks.save_webhook(DIRECTOR, "https://portal.escuela.cl/", None, request_key=None, now=clock.now())

    for _ in range(2):  # the queue may bring it again
        answered = load_app("portal_events").handler(load_event("portal_events_recipients"), Context())
        assert answered == {"batchItemFailures": []}

    (event,) = event_table.list_events(SCHOOL, after=0, limit=10)
    assert event.type is EventType.RECIPIENTS_CHANGED
    assert event.data == {
        "message": job["message"],
        "page": 0,
        "recipients": [{"recipient": "t.0.0", "people": ["g1"], "state": "sent"}],
    }


def sent_page(ref: PageRef) -> None:
    """A message to one, that is on its way and whose page the carrier has taken."""
    message = Message(
        school_id=ref.school_id,
        id=ref.item,
        state=MessageState.SENDING,
        category=Category.MEETING,
        text=ALERT,
        channels=("sms",),
        audience={},
        created_by="directora",
        created_at=NOON,
        accepted_at=clock.now(),
        plan=ref.plan,
        pages=1,
    )
    assert message_table.create_message(message)
    recipient = PageRecipient(mobile(1), ("g1",), Zone.DOMESTIC, 1)
    pages.create_pages([(ref, [recipient])], expires_at=int((clock.now() + timedelta(days=6)).timestamp()))
    planned = PageState(0, Letter.PLANNED.value, is_open=True, job=1)
    assert pages.save_state(ref, replace(planned, letters=Letter.ACCEPTED.value), was=planned)


def test_every_function_that_raises_events_may_ask_for_the_portal_to_be_told() -> None:
    """Those whose stories reach `events.py`; moto asks nobody."""
    allowed = {
        name
        for name, one in resources("AWS::Serverless::Function").items()
        for policy in one.get("Policies", [])
        for statement in policy["Statement"]
        if {"Fn::GetAtt": ["PortalEventsQueue", "Arn"]} in statement["Resource"]
    }
    raising = {name for name in resources("AWS::Serverless::Function") if reaches_events(folder_of(name))}

    assert raising - NEVER_BY_A_CALL <= allowed


def folder_of(function: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", function).lower()


def reaches_events(folder: str) -> bool:
    """Whether a function's code leads to somebody who raises an event, import by import."""
    stories = {path.stem: path for path in PACKAGE.glob("*.py")}
    raisers = {
        name
        for name, path in stories.items()
        if re.search(r"events[.](raise_event|commit|tell_portal)", path.read_text())
    }
    seen: set[str] = set()
    ahead = {one.rpartition(".")[2] for one in imports_of(ROOT / f"functions/{folder}/app.py")}
    while ahead:
        seen |= ahead
        ahead = {
            one.rpartition(".")[2] for name in ahead if name in stories for one in imports_of(stories[name])
        } & stories.keys() - seen
    return bool(seen & raisers)
