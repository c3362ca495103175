"""The next step of whatever was accepted and did not move on. Each step is the code the normal path runs.

It must never be the only one who does something: repeating a step changes nothing.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import islice

from recado import dispatch, log, message_reports, page_jobs, plan_work, recipient_events, records, scheduling, sending
from recado.clock import Clock
from recado.queues import put_jobs
from recado.rules.message_states import MessageState, is_emergency
from recado.tables import messages as table
from recado.tables import pages
from recado.tables.messages import ATTENTION_SHARDS, Message
from recado.tables.pages import PageKind, PageRef, PageState

DUE_MAX = 1000  # messages of one shard a run looks at; the next minute takes the rest
STALLED_AFTER = timedelta(minutes=1)
LOOK_WHETHER_TOLD = timedelta(minutes=5)
TOLD_WITHIN = timedelta(hours=96)  # receipts are waited for 72 hours


def run(clock: Clock, time_left: Callable[[], timedelta], *, stop_before: timedelta = timedelta(seconds=10)) -> int:
    """One minute's run over all shards; returns how many messages were attended to."""
    attended = 0
    for shard in range(ATTENTION_SHARDS):
        for school_id, message_id in table.list_due(shard, clock(), limit=DUE_MAX):
            if time_left() < stop_before:
                log.outcome("attention_out_of_time", attended=attended)
                return attended
            attended += _attend_safely(school_id, message_id, clock())
    log.outcome("attention_run", attended=attended)
    return attended


def attend(school_id: str, message_id: str, now: datetime) -> bool:
    """The next step of one message; False when there was none or somebody else took it."""
    message = table.find_message(school_id, message_id)
    if message is None or message.attend_at is None or message.attend_at > now:
        return False
    if not table.move_attention(message, now + page_jobs.LOOK_AGAIN):
        return False
    # As it is now: a slow run of the minute before may have released or settled it since it was read.
    message = records.get_message(school_id, message_id)
    match message.state:
        case MessageState.PLANNING:
            plan_work.take_up(message, now)
        case MessageState.SCHEDULED:
            scheduling.release_due(message, now)
        case MessageState.SENDING | MessageState.STOPPING:
            _push_on(message, now)
            _, shown = message_reports.note_counts(message, now)
            recipient_events.make_up(message, shown, now)
        case _:
            _look_at_receipts(message, now)
    return True


def _look_at_receipts(message: Message, now: datetime) -> None:
    """Of a message that has ended: counted, told, and looked at again as long as receipts come or are to be told."""
    look_at, shown = message_reports.note_counts(message, now)
    is_behind = recipient_events.make_up(message, shown, now)
    if look_at is None and is_behind and now < (message.finished_at or now) + TOLD_WITHIN:
        look_at = now + LOOK_WHETHER_TOLD
    table.end_attention(message, look_at)


def _attend_safely(school_id: str, message_id: str, now: datetime) -> int:
    # One message that cannot be attended to must not keep the others waiting.
    try:
        return int(attend(school_id, message_id, now))
    except Exception as error:  # noqa: BLE001  # logged by class, looked at again in a minute
        log.trouble("attention_failed", error, school=school_id, message=message_id)
        return 0


def _push_on(message: Message, now: datetime) -> None:
    # 1. Not all jobs enqueued: whoever was at it died.
    if message.pages_enqueued < message.all_pages:
        page_jobs.enqueue(message, now)

    # 2. Pages that stand still get a fresh job; a page nobody could finish in time is given up.
    refs = (
        PageRef(PageKind.MESSAGE, message.school_id, message.id, message.plan or "", page)
        for page in islice(message.page_numbers(), message.pages_enqueued)
    )
    is_overdue = message.give_up_at is not None and now >= message.give_up_at + dispatch.OVERDUE_AFTER
    stalled_after = timedelta() if is_emergency(message.category) else STALLED_AFTER
    for ref, state, _ in pages.list_states(refs):
        if not state.is_open:
            continue
        if is_overdue and dispatch.close_overdue(message, ref, now):
            continue
        if _is_stalled(message, state, now, stalled_after) and pages.raise_job(ref, seen=state.job):
            job = page_jobs.job_of(ref, state.job + 1)
            put_jobs(page_jobs.queue_of(message.category), [job], group=message.school_id)
            log.outcome("page_taken_up", school=message.school_id, message=message.id, page=ref.page, job=state.job + 1)

    # 3. All closed, and nobody lived to settle it.
    sending.settle(message.school_id, message.id, now)


def _is_stalled(message: Message, state: PageState, now: datetime, after: timedelta) -> bool:
    """Whether nothing has moved a page for `after`: neither a wave, nor the pause it was told to make."""
    moments = [moment for moment in (state.wave_until, state.not_before, message.accepted_at) if moment is not None]
    return now >= max(moments) + after
