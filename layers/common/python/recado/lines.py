"""Which line a page's texts go over: the stack's carrier, or for a sandbox the simulated line. Decided here alone.

A sandbox's text must never reach a carrier, nor a school's own the simulated line.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any

from recado import carriers, inbound, log, school_replies
from recado.carriers import simulated
from recado.carriers.speech import Answer, IncomingReceipt, Line, Outgoing
from recado.clock import Clock
from recado.queues import put_jobs
from recado.rules.school_records import is_sandbox
from recado.settings import SETTINGS
from recado.tables import pages
from recado.tables.pages import PageKind, PageRef


def line_for(ref: PageRef, attempt: int, clock: Clock) -> Line:
    """The line for this page. `attempt` is its job's number, from 1: whoever was busy for the first takes the next."""
    if is_sandbox(ref.school_id):
        return carriers.simulated_line(attempt, partial(_queue_reports, clock))
    if ref.kind in (PageKind.ANSWER, PageKind.CONFIRMATION):
        # From the code that was written to, over its carrier: its page says which.
        page = pages.find_page(ref)
        carrier = page.state.carrier if page else None
        if carrier in carriers.REGISTRY and carrier != SETTINGS.carrier:
            return _another_line(carrier)
    return _carriers_line()


def take_replies(job: Mapping[str, Any], now: datetime) -> int:
    """What simulated handsets answer, brought to their sandbox like any reply: once, and STOP is obeyed.

    A job names the text that is answered, not the words: they follow from the number. Returns how many were taken.
    """
    count = 0
    for reference in job.get("answered", ()):
        found = pages.read_reference(reference)
        page = pages.find_page(found[0]) if found and is_sandbox(found[0].school_id) else None
        if found is None or page is None or found[1] >= len(page.recipients):
            continue
        reply = simulated.reply_to(reference, page.recipients[found[1]].number, now)
        if reply is not None:
            school_replies.take_answer(carriers.SIMULATED, reply, now)
            count += 1
    return count


def _queue_reports(clock: Clock, texts: Sequence[Outgoing], answers: Sequence[Answer]) -> None:
    receipts: dict[int, list[IncomingReceipt]] = defaultdict(list)
    answered: dict[int, list[str]] = defaultdict(list)
    for report in simulated.read_reports(texts, answers):
        if report.receipt is not None:
            receipts[report.delay_seconds].append(report.receipt)
        else:
            answered[report.delay_seconds].append(report.reference)
    for delay, found in receipts.items():
        reported_at = clock() + timedelta(seconds=delay)
        inbound.queue_receipts(carriers.SIMULATED, found, reported_at, delay_seconds=delay)
    for delay, references in answered.items():
        jobs = [{"carrier": carriers.SIMULATED, "receipts": [], "answered": [one]} for one in references]
        put_jobs(SETTINGS.receipts_queue_url, jobs, group=carriers.SIMULATED, delay_seconds=delay)
    log.outcome("sandbox_texts_answered", texts=len(texts))


@cache
def _carriers_line() -> Line:
    return carriers.line(SETTINGS.carrier, inbound.account_of(SETTINGS.carrier), SETTINGS.carrier_dedupe_hours)


@cache
def _another_line(carrier: str) -> Line:
    return carriers.line(carrier, inbound.account_of(carrier), 0)
