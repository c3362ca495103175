"""Which lines a page's texts may go over: the carriers of their route, or for a sandbox the simulated line. Here alone.

A sandbox's text must never reach a carrier, nor a school's own the simulated line. Which of the lines is open is for
`circuits` to say.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any

from recado import carriers, inbound, log, routing, school_replies
from recado.carriers import simulated
from recado.carriers.speech import Answer, IncomingReceipt, Line, Outgoing
from recado.clock import Clock
from recado.queues import put_jobs
from recado.rules.carrier_routes import Way
from recado.rules.school_records import is_sandbox
from recado.settings import SETTINGS
from recado.tables import pages
from recado.tables.pages import PageKind, PageRef


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of one page. `ways(country, category, own)` are its carriers in order, each with its sender.

    `own` is the sender that the message names, or the code that a session writes to this handset from. `named` is a
    carrier's line; None when there is no such carrier.
    """

    ways: Callable[[str, str, str], tuple[Way, ...]]
    named: Callable[[str], Line | None]
    is_watched: bool = True  # what they answer is evidence, and their circuits are obeyed
    parts_per_second: Callable[[Way], float | None] = lambda _: None  # how fast a way's sender may go


def lines_for(ref: PageRef, attempt: int, clock: Clock) -> Lines:
    """The lines for this page. `attempt` is its job's number, from 1: whoever was busy for the first takes the next.

    A session's text comes from a code, which is one carrier's: the code's own, and there is none to stand by.
    """
    if is_sandbox(ref.school_id):
        line = carriers.simulated_line(attempt, partial(_queue_reports, clock))
        return Lines(lambda *_: (Way(line.name),), lambda name: line if name == line.name else None, is_watched=False)
    if ref.kind in (PageKind.ANSWER, PageKind.CONFIRMATION):
        carrier = _carrier_answering(ref)
        return Lines(lambda *_: (Way(carrier),), cache(_carriers_line))
    if ref.kind is not PageKind.MESSAGE:
        return Lines(lambda country, _category, own: routing.ways_of_code(country, own, clock()), cache(_carriers_line))
    return Lines(
        lambda country, category, own: routing.ways_of(country, category, own, clock()),
        cache(_carriers_line),
        parts_per_second=lambda way: routing.parts_per_second(way, clock()),
    )


def take_replies(job: Mapping[str, Any], now: datetime) -> int:
    """What simulated handsets answer, brought to their sandbox like any reply: once, and STOP is obeyed.

    A job names the text that is answered, not the words: they follow from the number. Returns how many were taken.
    """
    count = 0
    for reference in job.get("answered", ()):
        found = pages.read_reference(reference)
        page = pages.find_page(found[0]) if found and _is_answerable(found[0]) else None
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
        elif (of := pages.read_reference(report.reference)) and _is_answerable(of[0]):
            answered[report.delay_seconds].append(report.reference)
    for delay, found in receipts.items():
        reported_at = clock() + timedelta(seconds=delay)
        inbound.queue_receipts(carriers.SIMULATED, found, reported_at, delay_seconds=delay)
    for delay, references in answered.items():
        jobs = [{"carrier": carriers.SIMULATED, "receipts": [], "answered": [one]} for one in references]
        put_jobs(SETTINGS.receipts_queue_url, jobs, group=carriers.SIMULATED, delay_seconds=delay)
    log.outcome("sandbox_texts_answered", texts=len(texts))


def _is_answerable(ref: PageRef) -> bool:
    """A sandbox's message is; what recado itself answers a handset is not, so that two machines never talk."""
    return ref.kind is PageKind.MESSAGE and is_sandbox(ref.school_id)


def _carrier_answering(ref: PageRef) -> str:
    """What a handset's word is answered with goes over the carrier of the code that was written to: its page says."""
    page = pages.find_page(ref)
    carrier = page.state.carrier if page is not None else None
    return carrier or SETTINGS.carrier


def _carriers_line(name: str) -> Line | None:
    """Built anew for each page, once: an account whose credentials came later, or changed, is seen within a minute."""
    if name not in carriers.REGISTRY:
        return None
    return carriers.line(name, inbound.account_of(name), SETTINGS.carrier_dedupe_hours)
