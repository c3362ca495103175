"""Queued receipts, gathered by page and added to its sets: early, late, twice, in any order.

It must never change what was charged: it writes receipt rows and nothing else. Nor believe a carrier of a text that
another one took.
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
from recado.rules.delivery_states import Receipt, receipt_member
from recado.rules.receipt_times import time_member
from recado.rules.school_records import is_sandbox
from recado.settings import SETTINGS
from recado.tables import lookups, pages
from recado.tables.pages import Handed, PageKind, PageRef

# Seconds until a receipt with a carrier's id that has no lookup row is looked at again: 15 minutes in all.
AGAIN_AFTER = (15, 45, 120, 240, 480)
TIME_TO_END = timedelta(seconds=4)  # for the writes that are on their way, and what is put back
TIME_TO_ASK = timedelta(seconds=20)  # no school's portal is told at the cost of receipts: one call may take 18 s


@dataclass(frozen=True, slots=True)
class Gathered:
    """What became of a batch. `again`: positions of the jobs that must come again, whole.

    The rest counts receipts. `waiting` went back to the queue for their lookup row; `lost` have waited for it in vain;
    `dropped` are of nothing of ours, or of a recipient that the page has not; `of_others` were brought by a carrier
    that has not got their text.
    """

    again: list[int]
    pages: int
    dropped: int
    of_others: int
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


@dataclass(slots=True)
class _Believed:
    """What is to be added, and what is not: `of_others`, pages by carrier; of `unread` pages the jobs come again."""

    gathered: dict[PageRef, _Gathering] = field(default_factory=lambda: defaultdict(_Gathering))
    of_others: dict[str, list[PageRef]] = field(default_factory=lambda: defaultdict(list))
    dropped: int = 0
    unread: set[int] = field(default_factory=set)


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
    by_page: dict[PageRef, list[tuple[int, _Queued]]] = defaultdict(list)
    unknown, dropped = list[_Queued](), 0
    for one in queued:
        reference = one.reference or known.get((one.carrier, one.carrier_id))
        found = _find_text(one, reference)
        if reference is None:
            unknown.append(one)
        elif found is None:
            dropped += 1
        else:
            by_page[found[0]].append((found[1], one))

    # 3. Which of them whoever brings them may report of.
    believed = _believe(by_page)

    # 4. One write for each page.
    refused, failed = _write(believed.gathered, time_left)
    again |= failed | believed.unread

    # 5. A carrier may be quicker than the lookup row of its text.
    waiting, lost = _put_back(unknown, again)

    # 6. Last, as far as there is time: what is not asked for here, the minute's run makes up for.
    gathered = believed.gathered
    recipient_events.ask(gathered, clock(), lambda: time_left() >= TIME_TO_ASK)
    dropped += believed.dropped + refused
    _tell_of_others(believed.of_others)
    of_others = sum(len(one) for one in believed.of_others.values())
    log.outcome(
        "receipts_added",
        receipts=len(queued),
        pages=len(gathered),
        dropped=dropped,
        of_others=of_others,
        waiting=waiting,
        lost=lost,
        again=len(again),
    )
    return Gathered(sorted(again), len(gathered), dropped, of_others, waiting, lost)


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


def _find_text(one: _Queued, reference: str | None) -> tuple[PageRef, int] | None:
    """None for what is of no page: no reference of ours, or a sandbox's by a carrier, or a school's by a sandbox."""
    found = pages.read_reference(reference) if reference is not None else None
    if found is None or is_sandbox(found[0].school_id) != (one.carrier == SIMULATED):
        return None
    return found


def _believe(by_page: Mapping[PageRef, Sequence[tuple[int, _Queued]]]) -> _Believed:
    """What is to be added to each page: of each text what a carrier says that was asked to take it.

    It was asked before it could report, and that was written before it was asked; so it is there to be read.
    """
    found = _Believed()
    lots = list(batched(by_page, pages.HANDED_AT_ONCE, strict=False))
    for lot, handed in zip(lots, for_each(_read_handed, lots, few=1), strict=True):
        for ref in lot:
            told = by_page[ref]
            if handed is None:
                found.unread.update(one.job for _, one in told)
            elif ref not in handed:
                found.dropped += len(told)
            else:
                _sort_out(found, ref, handed[ref], told)
    return found


def _read_handed(lot: Sequence[PageRef]) -> dict[PageRef, Handed] | None:
    try:
        return pages.list_handed(lot)
    except Exception as error:  # noqa: BLE001  # these pages must not keep the others; their jobs come again
        log.trouble("receipts_pages_unread", error, pages=len(lot))
        return None


def _sort_out(found: _Believed, ref: PageRef, handed: Handed, told: Sequence[tuple[int, _Queued]]) -> None:
    may_report = {carrier: handed.may_report(carrier) for carrier in {one.carrier for _, one in told}}
    for index, one in told:
        if index >= handed.recipients:
            found.dropped += 1
        elif index not in may_report[one.carrier]:
            found.of_others[one.carrier].append(ref)
        else:
            _gather(found.gathered[ref], ref, index, one)


def _gather(page: _Gathering, ref: PageRef, index: int, one: _Queued) -> None:
    member = receipt_member(index, one.part)
    page.jobs.add(one.job)
    page.states[one.state].add(member)
    if one.at is not None and ref.kind is PageKind.MESSAGE:  # a session's texts have no report
        time = time_member(one.at, index, one.part)
        page.times[member] = min(time, page.times.get(member, time))


def _tell_of_others(of_others: Mapping[str, Sequence[PageRef]]) -> None:
    """One line for each carrier that reports of what it has not got: it may be mistaken, or its secret be known."""
    for carrier, refs in of_others.items():
        log.outcome(
            "receipts_of_others",
            carrier=carrier,
            receipts=len(refs),
            pages=len(set(refs)),
            school=refs[0].school_id,
            item=refs[0].item,
            page=refs[0].page,
        )


def _write(gathered: Mapping[PageRef, _Gathering], time_left: Callable[[], timedelta]) -> tuple[int, set[int]]:
    """How many receipts were of a page that has gone meanwhile, and the jobs of pages that could not be written."""

    def write(one: tuple[PageRef, _Gathering]) -> int | None:
        ref, page = one
        if time_left() < TIME_TO_END:
            return None
        try:
            return 0 if pages.add_receipts(ref, page.states, page.times.values()) else len(page)
        except Exception as error:  # noqa: BLE001  # one page must not keep the others; its jobs come again
            log.trouble("receipts_not_added", error, school=ref.school_id, item=ref.item, page=ref.page)
            return None

    items = list(gathered.items())
    refused = for_each(write, items)
    failed = {job for (_, page), count in zip(items, refused, strict=True) if count is None for job in page.jobs}
    return sum(count or 0 for count in refused), failed


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
