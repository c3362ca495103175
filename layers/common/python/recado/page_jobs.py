"""The jobs of a message's pages: which queue, what they say, and that each gets there."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import batched, groupby, islice
from math import ceil

from recado import pace
from recado.clock import Clock
from recado.queues import put_jobs
from recado.rules import message_states
from recado.rules.message_states import Category
from recado.settings import SETTINGS
from recado.tables import messages as table
from recado.tables import pages
from recado.tables.messages import Message
from recado.tables.pages import PageKind, PageRef

LOOK_AGAIN = timedelta(seconds=30)  # well before the attention run's next minute, or it would miss every other one
JOBS_AT_ONCE_MAX = 500  # page jobs put while somebody waits; more are put in the background
NOTE_EVERY = 1000  # page jobs after which it is noted how far they are


def enqueue(message: Message, now: datetime, *, clock: Clock | None = None) -> None:
    """Puts the jobs that are not on the queue yet; a page enqueued twice is worked once.

    Many are put by a worker, who brings a clock: it takes a while, and nobody is to take it up meanwhile. Where the
    sender has a pace, those of the next minute are put, and the attention run goes on from there.
    """
    if message.all_pages - message.pages_enqueued > JOBS_AT_ONCE_MAX and clock is None:
        job = {"kind": "enqueue", "school": message.school_id, "item": message.id, "plan": message.plan or ""}
        put_jobs(SETTINGS.plans_queue_url, [job], group=message.school_id)
        return
    starts = pace.book_pages(message, now)
    if starts is not None:
        _enqueue_in_turn(message, starts, now)
        return
    put = message.pages_enqueued
    for numbers in batched(islice(message.page_numbers(), put, None), NOTE_EVERY, strict=False):
        jobs = (job_of(_ref(message, page), 1) for page in numbers)
        put_jobs(queue_of(message.category), jobs, group=message.school_id)
        put += len(numbers)
        if not table.note_enqueued(message, put, (clock() if clock else now) + LOOK_AGAIN):
            return  # stopped meanwhile, or somebody else is at it: the attention run goes on from what is there


def _enqueue_in_turn(message: Message, starts: Sequence[datetime], now: datetime) -> None:
    """Puts the jobs of the next pages of texts, each delayed to its start. Put once more, they only come twice."""
    # 1. Copies need no sender: they do not wait for the texts. With the last texts they are put once more, for nothing.
    queue_url, put = queue_of(message.category), message.pages_enqueued
    if not put:
        copies = (_ref(message, page) for page in message.page_numbers() if page >= message.pages)
        put_jobs(queue_url, (job_of(ref, 1) for ref in copies), group=message.school_id)

    # 2. Held back first: whoever looks for pages that stand still must see that these do not.
    turns = [(ceil((start - now).total_seconds()), _ref(message, put + place)) for place, start in enumerate(starts)]
    for delay, ref in turns:
        if delay:
            pages.hold_back(ref, now + timedelta(seconds=delay))
    for delay, some in groupby(turns, key=lambda turn: turn[0]):
        jobs = [job_of(ref, 1) for _, ref in some]
        put_jobs(queue_url, jobs, group=message.school_id, delay_seconds=delay)
    table.note_enqueued(message, put + len(starts), now + LOOK_AGAIN)


def _ref(message: Message, page: int) -> PageRef:
    return PageRef(PageKind.MESSAGE, message.school_id, message.id, message.plan or "", page)


def queue_of(category: Category) -> str:
    """Emergencies never wait behind a meeting's invitation."""
    return SETTINGS.urgent_queue_url if message_states.is_emergency(category) else SETTINGS.bulk_queue_url


def job_of(ref: PageRef, number: int) -> dict[str, str | int]:
    """A page's job: names rows, carries no text and no number."""
    return {
        "kind": ref.kind.value,
        "school": ref.school_id,
        "item": ref.item,
        "plan": ref.plan,
        "page": ref.page,
        "job": number,
    }
