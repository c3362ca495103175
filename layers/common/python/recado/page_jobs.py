"""The jobs of a message's pages: which queue, what they say, and that each gets there."""

from datetime import datetime, timedelta
from itertools import batched, islice

from recado.clock import Clock
from recado.queues import put_jobs
from recado.rules import message_states
from recado.rules.message_states import Category
from recado.settings import SETTINGS
from recado.tables import messages as table
from recado.tables.messages import Message
from recado.tables.pages import PageKind, PageRef

LOOK_AGAIN = timedelta(seconds=30)  # well before the attention run's next minute, or it would miss every other one
JOBS_AT_ONCE_MAX = 500  # page jobs put while somebody waits; more are put in the background
NOTE_EVERY = 1000  # page jobs after which it is noted how far they are


def enqueue(message: Message, now: datetime, *, clock: Clock | None = None) -> None:
    """Puts the jobs that are not on the queue yet; a page enqueued twice is worked once.

    Many are put by a worker, who brings a clock: it takes a while, and nobody is to take it up meanwhile.
    """
    if message.all_pages - message.pages_enqueued > JOBS_AT_ONCE_MAX and clock is None:
        job = {"kind": "enqueue", "school": message.school_id, "item": message.id, "plan": message.plan or ""}
        put_jobs(SETTINGS.plans_queue_url, [job], group=message.school_id)
        return
    put = message.pages_enqueued
    for numbers in batched(islice(message.page_numbers(), put, None), NOTE_EVERY, strict=False):
        refs = (PageRef(PageKind.MESSAGE, message.school_id, message.id, message.plan or "", page) for page in numbers)
        put_jobs(queue_of(message.category), (job_of(ref, 1) for ref in refs), group=message.school_id)
        put += len(numbers)
        if not table.note_enqueued(message, put, (clock() if clock else now) + LOOK_AGAIN):
            return  # stopped meanwhile, or somebody else is at it: the attention run goes on from what is there


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
