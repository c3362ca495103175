"""One page of at most 100 recipients, in leased waves, to a carrier.

Nobody is handed over as two texts (invariant 3), nobody who opted out before their wave's claim is spoken to (4),
and whoever dies here loses at most one open wave, which the next one resolves by the message's category.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import batched

from recado import circuits, hand_over, inbox, log, page_jobs, recipient_events, sending, sessions, waves
from recado.clock import Clock
from recado.errands import Errand, May, find_errand
from recado.hand_over import COME_BACK_AFTER, ROUTE_PAUSE, Spoken, Wave
from recado.lines import Lines
from recado.queues import put_jobs
from recado.rules import asked_carriers, pace, texts
from recado.rules.asked_carriers import Asked
from recado.rules.circuits import Evidence
from recado.rules.credit_bags import Zone
from recado.rules.delivery_states import CAPTURED, Letter, read_member
from recado.rules.texts import EMPTY
from recado.settings import SETTINGS
from recado.tables import messages as message_table
from recado.tables import pages
from recado.tables.base import CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS, RETRIES_MAX, Transaction
from recado.tables.inbox import InboxCopy
from recado.tables.messages import Message
from recado.tables.pages import OWN_TEXTS, Page, PageKind, PageReader, PageRef, PageState
from recado.waves import Again, Asker, Passed, Wait

LEASE = timedelta(seconds=30)
LEASE_MARGIN = timedelta(seconds=1)  # clocks of two workers differ by less
TIME_NEEDED = LEASE + timedelta(seconds=5)  # what a wave may take, and writing its outcomes
COPIES_AT_ONCE = 25  # one BatchWriteItem
# What that takes at most, by the SDK's own attempts.
PUTTING_MAX = timedelta(seconds=(1 + RETRIES_MAX) * (CONNECT_TIMEOUT_SECONDS + READ_TIMEOUT_SECONDS) + 1)
OVERDUE_AFTER = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Job:
    ref: PageRef
    number: int


@dataclass(frozen=True, slots=True)
class Worker:
    """Who works a page: its own id, its clock, the time it has left, chance, and the lines it may speak over."""

    owner: str
    clock: Clock
    time_left: Callable[[], timedelta]
    jitter: Callable[[], float]
    lines: Lines


@dataclass(slots=True)
class _Said:
    """How much one worker said from one sender, since when. Other workers' pages have their own time booked."""

    way: tuple[str, str] = ("", "")
    since: datetime | None = None
    parts: int = 0

    def pause_after(self, page: Page, wave: Wave, spoken: Spoken, began: datetime, now: datetime) -> timedelta | None:
        """Counts what was taken of a wave; how long to wait before the next one. None: go on."""
        if wave.parts_per_second is None:
            return None
        way = (wave.line.name, wave.sender)
        if self.since is None or way != self.way:
            self.way, self.since, self.parts = way, began, 0
        taken = set(wave.indices).difference(spoken.not_taken)
        self.parts += sum(page.recipients[index].segments for index in taken)
        return pace.pause_after(self.parts, now - self.since, wave.parts_per_second)


class _Moved(Exception):  # a signal between two steps here
    """The page is no longer as it was read."""


def read_job(body: str) -> Job:
    """A job from its queue. Raises ValueError or KeyError for one that is none."""
    found = json.loads(body)
    ref = PageRef(PageKind(found["kind"]), found["school"], found["item"], found["plan"], int(found["page"]))
    return Job(ref, int(found["job"]))


def work_page(job: Job, worker: Worker) -> None:
    """Works a page until it is closed, or until somebody else, time or the carrier says to stop."""
    # 1. What is there, and is this job still the page's?
    page, errand = pages.find_page(job.ref), find_errand(job.ref, None, worker.clock())
    if page is None or errand is None:
        log.outcome("page_job_dropped", reason="no_such_page", page=job.ref.page, item=job.ref.item)
        return
    if not _is_to_be_worked(job, page.state, errand, worker):
        return

    # 2. Copies for the message centre need no carrier and ask for no opt-out.
    if page.readers:
        _put_copies(page, errand, worker)
        return

    # 3. An open wave whose owner is dead by contract (one that lives was left alone above).
    state, again = page.state, Again()
    if state.indices(Letter.CLAIMED):
        state, again = _resolve_dead_wave(page, errand, worker)

    # 4. Wave after wave; then what the carriers answered, where it was not bad enough to be written at once.
    tally = circuits.Tally(worker.lines.is_watched)
    _work_waves(page, state, again, errand, worker, tally)
    tally.write(worker.clock())


def _is_to_be_worked(job: Job, state: PageState, errand: Errand, worker: Worker) -> bool:
    """False for a page that is closed, whose job is another one, or that is not to be touched yet."""
    now = worker.clock()
    if not state.is_open:
        _finish(job.ref, now)
        return False
    # Nobody looks after recado's own texts: whichever job is left is theirs, and the page's version keeps them one.
    if job.number < state.job and job.ref.kind not in OWN_TEXTS:
        log.outcome("page_job_dropped", reason="older_job", page=job.ref.page, item=job.ref.item)
        return False
    if state.indices(Letter.CLAIMED) and now < (state.wave_until or now) + LEASE_MARGIN:
        _put_back(job.ref, job.number, errand, (state.wave_until or now) + COME_BACK_AFTER - now)
        return False
    if state.not_before is not None and now < state.not_before:
        _put_back(job.ref, job.number, errand, state.not_before - now)
        return False
    return True


def _work_waves(  # noqa: C901  # a story of five steps, each with its way out
    page: Page, state: PageState, again: Again, errand: Errand, worker: Worker, tally: circuits.Tally
) -> None:
    """`state` has the outcomes not yet written; they go with the next claim, or with the closing."""
    stored, said, passed = page.state, _Said(), Passed()
    while True:
        # 1. Is there anybody left, and time for them?
        if errand.may is not May.SPEAK:
            state, again = _give_up(state, errand.may, again), Again()
        if not again.indices and not state.indices(Letter.PLANNED):
            _close(page, state, stored, errand, worker)
            return
        if worker.time_left() < TIME_NEEDED:
            _hand_on(page, state, stored, errand, worker, timedelta())
            return

        # 2. Who, and over which line? When none is open the page waits, in a fresh job.
        asker = Asker(worker.owner, worker.clock(), worker.jitter, SETTINGS.wave_size)
        try:
            found = waves.next_wave(page, state, again, passed, errand, worker.lines, asker)
            is_resigned = isinstance(found, Wait) and waves.may_resign(
                page, state, again, errand, worker.lines, asker.now
            )
        except Exception:
            # A route or an account that cannot be read: the job comes again, and finds what was answered before.
            if state != stored:
                _save(page.ref, state, stored, worker)
            raise
        if is_resigned:
            state, again = state.with_letters(dict.fromkeys(again.indices, Letter.UNKNOWN)), Again()
            continue
        if isinstance(found, Wait):
            _hand_on(page, state, stored, errand, worker, found.until - asker.now)
            return

        # 3. Claim and speak. A probe of nobody's leaves its circuit to the next one.
        wave, probe = found.wave, found.probe
        claimed = _claim(page, state, stored, wave, worker)
        if claimed is None:
            circuits.conclude(probe, Evidence(), worker.clock())
            log.outcome("page_left_to_another", page=page.ref.page, item=page.ref.item)
            return
        spoken = hand_over.speak(page, claimed, wave, errand, worker.clock, worker.jitter)
        asked, again = again, again.without(wave.indices)
        state, stored, errand = spoken.state, claimed, spoken.errand
        tally.add(
            wave.line.name,
            wave.country,
            wave.era,
            spoken.evidence,
            worker.clock(),
            stands_alone=wave.stands_alone,
        )

        # 4. What tells of the carrier is told once the outcomes are safe. Another line may take over at once.
        is_told = worker.lines.is_watched and (probe is not None or spoken.evidence.bad > 0)
        if is_told or tally.is_due(worker.clock()):
            saved = _save(page.ref, state, stored, worker)
            tally.write(worker.clock())
            circuits.conclude(probe, spoken.evidence, worker.clock())
            if saved is None:
                log.outcome("page_left_to_another", page=page.ref.page, item=page.ref.item)
                return
            state = stored = saved
        breath = said.pause_after(page, wave, spoken, asker.now, worker.clock())
        pause = spoken.come_back_after
        if pause is not None and not (is_told and _may_go_on(state, wave, worker)):
            after = waves.pass_by(page, spoken, wave, again, passed, errand, worker.lines, worker.clock())
            if after is None:
                _hand_on(page, state, stored, errand, worker, pause)
                return
            passed, again = after, asked.only(state.indices(Letter.CLAIMED))
            continue

        # 5. No faster than the sender goes. Nobody sleeps: the same job comes again.
        if breath is not None and state.indices(Letter.PLANNED) and not state.indices(Letter.CLAIMED):
            _hand_on(page, state, stored, errand, worker, breath, is_next_try=False)
            return


def _may_go_on(state: PageState, wave: Wave, worker: Worker) -> bool:
    """Whether nobody need wait for the line that did not take all: its circuit is open, and nobody is asked again."""
    return not state.indices(Letter.CLAIMED) and circuits.is_open(wave.line.name, wave.country, worker.clock())


def _put_copies(page: Page, errand: Errand, worker: Worker) -> None:
    """A page of copies: one wave, claimed like any other, so that none is put after a stop has answered.

    Put again by whoever comes after a worker that died, they change nothing.
    """
    # 1. Claimed before it is asked once more whether they may be put. A claim whose owner died may have put some.
    message, perhaps_put = errand.message, page.state.indices(Letter.CLAIMED)
    waiting = sorted(perhaps_put + page.state.indices(Letter.PLANNED))
    state, stored = page.state, page.state
    if errand.may is May.SPEAK and worker.time_left() < TIME_NEEDED:
        _hand_on(page, state, stored, errand, worker, timedelta())
        return
    if message is not None and waiting and errand.may is May.SPEAK:
        claimed = _claim_for(page, state, stored, waiting, worker)
        if claimed is None:
            log.outcome("page_left_to_another", page=page.ref.page, item=page.ref.item)
            return
        state = stored = claimed
        errand = find_errand(page.ref, page, worker.clock()) or replace(errand, may=May.EXPIRE)

    # 2. Some at a time, and none so late that it could outlive the lease.
    put_until = (state.wave_until or worker.clock()) - PUTTING_MAX
    for some in batched(waiting if errand.may is May.SPEAK else (), COPIES_AT_ONCE, strict=False):
        if message is None or worker.clock() >= put_until:
            break
        at = message.accepted_at or message.created_at
        inbox.deliver_copies(message.school_id, [_copy(message, page.readers[index], at) for index in some])
        state = state.with_letters(dict.fromkeys(some, Letter.IN_INBOX))

    # 3. Closed, or left to a fresh job.
    left = [index for index in waiting if state.letters[index] != Letter.IN_INBOX.value]
    if left and errand.may is May.SPEAK:
        planned = [index for index in left if index not in perhaps_put]
        _hand_on(page, state.with_letters(dict.fromkeys(planned, Letter.PLANNED)), stored, errand, worker, ROUTE_PAUSE)
        return
    unput = Letter.STOPPED if errand.may is May.STOP else Letter.EXPIRED
    letters = {index: Letter.UNKNOWN if index in perhaps_put else unput for index in left}
    _close(page, state.with_letters(letters), stored, errand, worker)


def _copy(message: Message, reader: PageReader, at: datetime) -> InboxCopy:
    """As it was written: a screen shows every accent for nothing."""
    text = texts.render(message.text, reader.values or EMPTY)
    return InboxCopy(reader.person_id, message.id, message.category, text, at)


def close_overdue(message: Message, ref: PageRef, now: datetime) -> bool:
    """Closes a page that no worker could bring to its end in time: a job that kills whoever takes it. True: closed."""
    page = pages.find_page(ref)
    if page is None or not page.state.is_open:
        return False
    if page.state.wave_until is not None and now < page.state.wave_until + LEASE_MARGIN:
        return False
    state = page.state.with_letters(dict.fromkeys(page.state.indices(Letter.PLANNED), Letter.NOT_SENT))
    state = state.with_letters({index: _after_death(page, index) for index in state.indices(Letter.CLAIMED)})
    try:
        _write_close(page, state, page.state, message)
    except _Moved:
        return False
    log.trouble("page_given_up", school=ref.school_id, item=ref.item, page=ref.page)
    _finish(ref, now)
    return True


def _resolve_dead_wave(page: Page, errand: Errand, worker: Worker) -> tuple[PageState, Again]:
    """What becomes of a wave whose owner died: the new letters, and who is asked again with the same reference."""
    state, asked = page.state, []
    line = worker.lines.named(state.carrier or "")
    dedupes_until = (state.spoken_at or worker.clock()) + timedelta(hours=line.dedupe_hours if line else 0)
    is_deduped = line is not None and worker.clock() < dedupes_until
    letters: dict[int, Letter] = {}
    for index in state.indices(Letter.CLAIMED):
        letter = _after_death(page, index)
        if letter is Letter.UNKNOWN and (is_deduped or errand.is_emergency):
            asked.append(index)  # to an emergency without deduping, too: twice is better than never
        else:
            letters[index] = letter
    log.outcome("dead_wave_resolved", item=page.ref.item, page=page.ref.page, asked_again=len(asked), size=len(letters))
    return state.with_letters(letters), Again(tuple(asked), line if is_deduped else None)


def _after_death(page: Page, index: int) -> Letter:
    """A receipt proves that the carrier took it; without one nobody knows."""
    has_receipt = any(read_member(member)[0] == index for members in page.receipts.values() for member in members)
    return Letter.ACCEPTED if has_receipt else Letter.UNKNOWN


def _give_up(state: PageState, may: May, again: Again) -> PageState:
    """Nobody else is spoken to: who waits is released; who may have been spoken to stays unknown."""
    waiting = Letter.STOPPED if may is May.STOP else Letter.EXPIRED
    state = state.with_letters(dict.fromkeys(again.indices, Letter.UNKNOWN))
    return state.with_letters(dict.fromkeys(state.indices(Letter.PLANNED), waiting))


def _claim(page: Page, state: PageState, stored: PageState, wave: Wave, worker: Worker) -> PageState | None:
    """Writes the outcomes so far together with the claim of the next wave. None: the page is somebody else's now."""
    return _claim_for(page, state, stored, wave.indices, worker, carrier=wave.line.name, is_again=wave.is_again)


def _claim_for(
    page: Page,
    state: PageState,
    stored: PageState,
    indices: Sequence[int],
    worker: Worker,
    *,
    carrier: str | None = None,
    is_again: bool = False,
) -> PageState | None:
    now = worker.clock()
    claimed = replace(
        state.with_letters(dict.fromkeys(indices, Letter.CLAIMED)),
        owner=worker.owner,
        wave_until=now + LEASE,
        spoken_at=state.spoken_at if is_again else now,
        not_before=None,
        carrier=carrier or state.carrier,
        asked=_asked(state, carrier, indices),
    )
    return _save(page.ref, claimed, stored, worker)


def _asked(state: PageState, carrier: str | None, indices: Sequence[int]) -> Asked | None:
    """Who may report of these texts from now on. A page of before, that knows of one carrier only, goes on so."""
    if carrier is None or (state.asked is None and state.carrier is not None):
        return state.asked
    return asked_carriers.ask(state.asked or asked_carriers.NOBODY, carrier, indices)


def _save(ref: PageRef, state: PageState, stored: PageState, worker: Worker) -> PageState | None:
    """Writes a state over the one that is stored; None when another worker has been there.

    Refused, but the row shows our own id one version on: it was ours, and the answer was lost.
    """
    written = replace(state, owner=worker.owner, version=stored.version + 1)
    if pages.save_state(ref, written, was=stored):
        return written
    found = pages.find_page(ref)
    if found is None or found.state.owner != worker.owner or found.state.version != written.version:
        return None
    return written


def _hand_on(
    page: Page,
    state: PageState,
    stored: PageState,
    errand: Errand,
    worker: Worker,
    pause: timedelta,
    *,
    is_next_try: bool = True,
) -> None:
    """Writes the outcomes so far and leaves the rest to a fresh job; an older one is dropped from now on.

    `is_next_try` False: to the same job again, for a page that was refused nothing is not to wait ever longer.
    """
    not_before = worker.clock() + pause if pause else None
    left = replace(state, job=stored.job + is_next_try, not_before=not_before)
    if _save(page.ref, left, stored, worker) is None:
        log.outcome("page_left_to_another", page=page.ref.page, item=page.ref.item)
        return
    _put_back(page.ref, left.job, errand, pause)
    log.outcome(
        "page_handed_on", item=page.ref.item, page=page.ref.page, job=left.job, pause=int(pause.total_seconds())
    )


def _put_back(ref: PageRef, number: int, errand: Errand, pause: timedelta) -> None:
    # Rounded up: a job that comes a moment too early would only be put back again.
    delay = -int(-pause.total_seconds() // 1)
    put_jobs(errand.queue_url, [page_jobs.job_of(ref, number)], group=ref.school_id, delay_seconds=delay)


def _close(page: Page, state: PageState, stored: PageState, errand: Errand, worker: Worker) -> None:
    try:
        _write_close(page, state, stored, errand.message)
    except _Moved:
        found = pages.find_page(page.ref)
        if found is not None and found.state.is_open:
            log.outcome("page_left_to_another", page=page.ref.page, item=page.ref.item)
            return
    log.outcome("page_closed", item=page.ref.item, page=page.ref.page, recipients=len(state.letters))
    _finish(page.ref, worker.clock())


def _write_close(page: Page, state: PageState, stored: PageState, message: Message | None) -> None:
    """The last outcomes, the closing and the counter, in one transaction. Raises _Moved."""
    captured = dict.fromkeys(Zone, 0)
    for recipient, letter in zip(page.recipients, () if page.readers else state.letters, strict=True):
        if Letter(letter) in CAPTURED:
            captured[recipient.zone] += recipient.segments
    with Transaction() as write:
        pages.close_page(write, page.ref, state, was=stored, refused=_Moved())
        if message is not None:
            message_table.count_page(
                write,
                page.ref.school_id,
                page.ref.item,
                pages=message.all_pages,
                page=page.ref.page,
                captured=captured,
            )


def _finish(ref: PageRef, now: datetime) -> None:
    """On every delivery, also of a page found closed: perhaps whoever closed it died before this."""
    if ref.kind is PageKind.SESSION:
        sessions.text_went_out(ref.item, int(ref.plan), now)
        return
    if ref.kind in OWN_TEXTS:
        pages.delete_page(ref)
        return
    sending.settle(ref.school_id, ref.item, now)
    recipient_events.ask([ref], now)
