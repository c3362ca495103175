"""Tells a school's portal what became of its messages' recipients: gathered, each change once, ids and states only.

It must never slow down or fail what it tells of: whatever is lost here, the minute's run makes up for.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import batched
from typing import Any

from recado import events, log
from recado.events import NewEvent
from recado.queues import BATCH_MAX, put_jobs
from recado.rules import delivery_states, event_types, told_states
from recado.rules.event_types import Data, EventType
from recado.rules.message_states import MessageState
from recado.rules.webhook_deliveries import WebhookState
from recado.settings import SETTINGS
from recado.tables import messages as message_table
from recado.tables import pages, portal_webhooks
from recado.tables import told_recipients as table
from recado.tables.base import Transaction
from recado.tables.messages import COPY_PAGES, Message
from recado.tables.pages import Page, PageKind, PageRef
from recado.tables.told_recipients import Lot, Told

GATHERED = timedelta(seconds=10)  # how long the changes of a lot gather before they are told
CLOCKS_APART = timedelta(seconds=2)  # a job comes that much later: who saw it asked for has written before it reads
ATTEMPTS_MAX = 5
GONE_OUT = (MessageState.SENDING, MessageState.STOPPING, MessageState.SENT, MessageState.STOPPED)


class _Moved(Exception):  # a signal between two steps here
    """Somebody else told something of these recipients."""


@dataclass(frozen=True, slots=True)
class _News:
    """What is to be told of a lot, and what has been once it is."""

    events: list[NewEvent]
    letters: Mapping[int, str]


def read_job(job: Mapping[str, Any]) -> Lot:
    """Raises KeyError, ValueError for what is no job."""
    return table.lot_of(job["school"], job["message"], job["plan"], int(job["page"]))


def ask(refs: Iterable[PageRef], now: datetime, has_time: Callable[[], bool] = lambda: True) -> None:
    """Something may have changed on these pages: in a moment somebody is to look, if the school wants to hear of it.

    Asked as long as there is time; the rest is left to the minute's run.
    """
    by_school: dict[str, list[PageRef]] = {}
    for ref in refs:
        if ref.kind is PageKind.MESSAGE and ref.page < COPY_PAGES:
            by_school.setdefault(ref.school_id, []).append(ref)
    for school_id, found in by_school.items():
        if not has_time():
            log.outcome("recipients_not_asked_in_time", schools=len(by_school))
            return
        try:
            if is_wanted(school_id):
                lots = table.lots_of((school_id, ref.item, ref.plan, ref.page) for ref in found)
                for some in batched(lots, BATCH_MAX, strict=False):
                    if has_time():
                        _ask(some, now)
        except Exception as error:  # noqa: BLE001  # what is told of has happened and must not fail
            log.trouble("recipients_not_asked", error, school=school_id)


def is_wanted(school_id: str) -> bool:
    """Whether the school has a webhook that wants these events. Without one nobody hears of them."""
    found = portal_webhooks.find_webhook(school_id)
    return found is not None and found.state is WebhookState.ENABLED and found.wants(EventType.RECIPIENTS_CHANGED)


def tell(lot: Lot, now: datetime) -> int:
    """Tells what changed of a lot since it was told last; returns how many recipients that were.

    Raises EventsBusy when others' events keep taking the number: the job comes again.
    """
    message = message_table.find_message(lot.school_id, lot.message_id)
    if message is None or message.plan != lot.plan or message.state not in GONE_OUT or not is_wanted(lot.school_id):
        log.outcome("recipients_job_dropped", school=lot.school_id, message=lot.message_id)
        return 0
    for _ in range(ATTEMPTS_MAX):
        # 1. What was told, and after it what is: so nothing older than what was told is ever told.
        told = table.list_told([lot])[lot]
        news = _news(message, lot, told, now)
        if not news.events:
            return 0

        # 2. The events and what has been told by them: both or neither.
        note = partial(_note, lot, news.letters, now, told)
        try:
            events.commit_all(lot.school_id, news.events, note)
        except _Moved:
            continue
        changed = sum(len(_entries(one)) for one in news.events)
        log.outcome("recipients_told", school=lot.school_id, message=lot.message_id, page=lot.first, changed=changed)
        return changed
    raise events.EventsBusy


def make_up(message: Message, shown: Mapping[int, str], now: datetime) -> bool:
    """Has told what should have been told by now; whether there was any. `shown`: the letters of each page as it is."""
    if not shown or not is_wanted(message.school_id):
        return False
    lots = table.lots_of((message.school_id, message.id, message.plan or "", page) for page in shown)
    behind = [
        lot
        for lot, told in table.list_told(lots).items()
        if any(told_states.find_changes(told.letters.get(page, ""), shown.get(page, "")) for page in lot.pages)
    ]
    _ask(behind, now)
    return bool(behind)


def _ask(lots: Iterable[Lot], now: datetime) -> None:
    asked = [lot for lot in lots if table.ask(lot, now, until=now + GATHERED)]
    jobs = [
        {
            "kind": "recipients",
            "school": lot.school_id,
            "message": lot.message_id,
            "plan": lot.plan,
            "page": lot.first,
        }
        for lot in asked
    ]
    if jobs:
        delay = int((GATHERED + CLOCKS_APART).total_seconds())
        put_jobs(SETTINGS.portal_events_queue_url, jobs, group=asked[0].school_id, delay_seconds=delay)


def _news(message: Message, lot: Lot, told: Told, now: datetime) -> _News:
    is_over = delivery_states.is_patience_over(message.send_at or message.accepted_at, now)
    numbers = [page for page in lot.pages if page < message.pages]
    refs = [PageRef(PageKind.MESSAGE, lot.school_id, lot.message_id, lot.plan, page) for page in numbers]
    found: list[NewEvent] = []
    letters = dict(told.letters)
    for page in pages.list_pages(refs):
        shown = _shown(page, is_over=is_over)
        before = told.letters.get(page.ref.page, "")
        changes = told_states.find_changes(before, shown)
        entries = [
            event_types.recipient_entry(recipient_id(page.ref.page, index), page.recipients[index].person_ids, state)
            for index, state in changes.items()
        ]
        for some in event_types.split(entries):
            data: Data = {"message": message.id, "page": page.ref.page, "recipients": some}
            found.append(NewEvent(EventType.RECIPIENTS_CHANGED, None, now, data))
        if changes:
            letters[page.ref.page] = told_states.after_telling(before, shown)
    return _News(found, letters)


def recipient_id(page: int, index: int) -> str:
    """What a recipient of a message is called at `GET /messages/{id}/recipients`, where it is also a cursor."""
    return f"t.{page}.{index}"


def _shown(page: Page, *, is_over: bool) -> str:
    receipts = {name.value: found for name, found in page.receipts.items()}
    states = delivery_states.states_of(page.state.letters, [one.segments for one in page.recipients], receipts)
    return told_states.letters_of([delivery_states.shown_state(one, is_patience_over=is_over) for one in states])


def _note(lot: Lot, letters: Mapping[int, str], now: datetime, was: Told, write: Transaction) -> None:
    table.save_told(write, lot, letters, now, was=was, moved=_Moved())


def _entries(event: NewEvent) -> list[Any]:
    found = event.data["recipients"]
    return found if isinstance(found, list) else []
