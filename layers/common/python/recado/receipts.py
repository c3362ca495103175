"""Queued receipts, gathered by page and added to its sets: early, late, twice, in any order.

It must never change what was charged: it writes receipt rows and nothing else.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import Any

from recado import clock, log, recipient_events
from recado.at_once import for_each
from recado.carriers import SIMULATED
from recado.clock import Clock
from recado.inbound import RECEIPTS_PER_JOB
from recado.queues import put_jobs
from recado.rules.delivery_states import Receipt, read_member, receipt_member
from recado.rules.receipt_times import MEMBERS_PER_SECOND, time_member
from recado.rules.school_records import is_sandbox
from recado.settings import SETTINGS
from recado.tables import lookups, pages
from recado.tables.pages import PageKind, PageRef

# Seconds until a receipt with a carrier's id that has no lookup row is looked at again: 15 minutes in all.
AGAIN_AFTER = (15, 45, 120, 240, 480)
TIME_TO_END = timedelta(seconds=4)  # for the writes that are on their way, and what is put back
TIME_TO_ASK = timedelta(seconds=20)  # no school's portal is told at the cost of receipts: one call may take 18 s


@dataclass(frozen=True, slots=True)
class Gathered:
    """What became of a batch. `again`: positions of the jobs that must come again, whole.

    The rest counts receipts. `waiting` went back to the queue for their lookup row; `lost` have waited for it in vain;
    `dropped` are of nothing of ours, or of a recipient that the page has not.
    """

    again: list[int]
    pages: int
    dropped: int
    waiting: int
    lost: int


@dataclass(slots=True)
class _Gathering:
    """What is to be added to one page, and by which jobs."""

    states: dict[Receipt, set[int]] = field(default_factory=lambda: defaultdict(set))
    times: dict[int, int] = field(default_factory=dict)  # the earliest of each recipient's part
    jobs: set[int] = field(default_factory=set)

    def __len__(self) -> int:
        return sum(len(found) for found in self.states.values())


@dataclass(frozen=True, slots=True)
class _Queued:
    """One receipt of a job. `packed` is how the job has it; one of before has no time."""

    job: int
    carrier: str
    tries: int
    reference: str | None
    carrier_id: str | None
    state: Receipt
    part: int
    at: datetime | None
    packed: Sequence[Any]


def add_receipts(
    jobs: Iterable[dict[str, Any]],
    time_left: Callable[[], timedelta] = lambda: timedelta.max,
    clock: Clock = clock.now,
) -> Gathered:
    """Adds a batch of queued receipts to their pages' sets, each page with one write.

    Again, whole: a job that cannot be read, or one of a page that could not be written or had no time left. What it has
    besides is added, now and once more.
    """
    # 1. What the jobs say. One that cannot be read keeps no other from its place.
    again: set[int] = set()
    queued = list(_read_jobs(jobs, again))

    # 2. Which of our texts they are of.
    known = _references(queued)
    gathered: dict[PageRef, _Gathering] = defaultdict(_Gathering)
    unknown, dropped = list[_Queued](), 0
    for one in queued:
        reference = one.reference or known.get((one.carrier, one.carrier_id))
        if reference is None:
            unknown.append(one)
        elif not _gather(gathered, one, reference):
            dropped += 1

    # 3. One write for each page.
    refused, failed = _write(gathered, time_left)
    again |= failed

    # 4. A carrier may be quicker than the lookup row of its text.
    waiting, lost = _put_back(unknown, again)

    # 5. Last, as far as there is time: what is not asked for here, the minute's run makes up for.
    recipient_events.ask(gathered, clock(), lambda: time_left() >= TIME_TO_ASK)
    found = Gathered(sorted(again), len(gathered), dropped + refused, waiting, lost)
    log.outcome(
        "receipts_added",
        receipts=len(queued),
        pages=found.pages,
        dropped=found.dropped,
        waiting=waiting,
        lost=lost,
        again=len(again),
    )
    return found


def _read_jobs(jobs: Iterable[dict[str, Any]], again: set[int]) -> Iterator[_Queued]:
    for position, job in enumerate(jobs):
        try:
            yield from list(_read_job(position, job))
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            log.trouble("receipts_job_not_understood", error)
            again.add(position)


def _read_job(position: int, job: Mapping[str, Any]) -> Iterator[_Queued]:
    carrier, tries = str(job["carrier"]), int(job.get("tries", 0))
    for packed in job["receipts"]:
        reference, carrier_id, state, part, *reported = packed
        if not (reference or carrier_id):
            raise ValueError("a receipt of nothing")
        receipt_member(0, part)
        at = datetime.fromtimestamp(reported[0], UTC) if reported else None
        yield _Queued(position, carrier, tries, reference, carrier_id, Receipt(state), part, at, packed)


def _references(queued: Sequence[_Queued]) -> dict[tuple[str, str | None], str]:
    wanted: dict[str, dict[str, None]] = defaultdict(dict)  # each id once
    for one in queued:
        if not one.reference and one.carrier_id:
            wanted[one.carrier][one.carrier_id] = None
    lots = [
        (carrier, lot)
        for carrier, found in wanted.items()
        for lot in batched(found, lookups.READ_AT_ONCE, strict=False)
    ]
    found = for_each(lambda one: lookups.find_references(*one), lots, few=1)
    return {
        (carrier, carrier_id): reference
        for (carrier, _), references in zip(lots, found, strict=True)
        for carrier_id, reference in references.items()
    }


def _gather(gathered: dict[PageRef, _Gathering], one: _Queued, reference: str) -> bool:
    """False for what is of no page: no reference of ours, or a sandbox's by a carrier, or a school's by a sandbox."""
    found = pages.read_reference(reference)
    if found is None or is_sandbox(found[0].school_id) != (one.carrier == SIMULATED):
        return False
    ref, index = found
    page, member = gathered[ref], receipt_member(index, one.part)
    page.jobs.add(one.job)
    page.states[one.state].add(member)
    if one.at is not None and ref.kind is PageKind.MESSAGE:  # a session's texts have no report
        time = time_member(one.at, index, one.part)
        page.times[member] = min(time, page.times.get(member, time))
    return True


def _write(gathered: Mapping[PageRef, _Gathering], time_left: Callable[[], timedelta]) -> tuple[int, set[int]]:
    """How many receipts were of no recipient, and the jobs of pages that could not be written."""

    def write(one: tuple[PageRef, _Gathering]) -> int | None:
        ref, page = one
        if time_left() < TIME_TO_END:
            return None
        try:
            return _add(ref, page)
        except Exception as error:  # noqa: BLE001  # one page must not keep the others; its jobs come again
            log.trouble("receipts_not_added", error, school=ref.school_id, item=ref.item, page=ref.page)
            return None

    items = list(gathered.items())
    refused = for_each(write, items)
    failed = {job for (_, page), count in zip(items, refused, strict=True) if count is None for job in page.jobs}
    return sum(count or 0 for count in refused), failed


def _add(ref: PageRef, page: _Gathering) -> int:
    """Adds to one page; returns how many receipts were of nobody on it."""
    if pages.add_receipts(ref, page.states, page.times.values()):
        return 0
    # Rare: the page is gone, or somebody is named whom it has not; the others are added without them.
    count = pages.count_recipients(ref)
    states = {state: {one for one in found if read_member(one)[0] < count} for state, found in page.states.items()}
    times = [one for one in page.times.values() if read_member(one % MEMBERS_PER_SECOND)[0] < count]
    kept = sum(len(found) for found in states.values())
    if kept and not pages.add_receipts(ref, states, times):
        kept = 0  # gone meanwhile
    return len(page) - kept


def _put_back(unknown: Sequence[_Queued], again: set[int]) -> tuple[int, int]:
    """Fresh, delayed jobs for receipts without a lookup row, and not for ever: how many wait, how many are lost."""
    waiting: dict[tuple[str, int], list[_Queued]] = defaultdict(list)
    lost = 0
    for one in unknown:
        if one.tries >= len(AGAIN_AFTER):
            lost += 1
        elif one.job not in again:  # else its whole job comes again
            waiting[one.carrier, one.tries].append(one)
    for (carrier, tries), found in waiting.items():
        for lot in batched(found, RECEIPTS_PER_JOB, strict=False):
            job = {"carrier": carrier, "receipts": [list(one.packed) for one in lot], "tries": tries + 1}
            try:
                put_jobs(SETTINGS.receipts_queue_url, [job], group=carrier, delay_seconds=AGAIN_AFTER[tries])
            except Exception as error:  # noqa: BLE001  # their own jobs come again instead
                log.trouble("receipts_not_put_back", error, carrier=carrier)
                again.update(one.job for one in lot)
    return sum(len(found) for found in waiting.values()), lost
