"""One page of at most 100 recipients, in leased waves, to a carrier.

Nobody is handed over as two texts (invariant 3), nobody who opted out before their wave's claim is spoken to (4),
and whoever dies here loses at most one open wave, which the next one resolves by the message's category.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import batched

from recado import inbox, log, recipient_events, sending, session_notices, sessions
from recado.carriers.speech import (
    CONNECT_SECONDS_MAX,
    READ_SECONDS_MAX,
    Accepted,
    Answer,
    Line,
    Outgoing,
    Refused,
    RefusedBecause,
    Unknown,
)
from recado.clock import Clock
from recado.queues import put_jobs
from recado.rules import idle_timeout, retry_delay, texts
from recado.rules.audience import is_blocked
from recado.rules.credit_bags import Zone
from recado.rules.delivery_states import CAPTURED, Letter, read_member
from recado.rules.message_states import MessageState, is_emergency
from recado.rules.texts import EMPTY
from recado.settings import SETTINGS
from recado.tables import lookups, opt_outs, pages
from recado.tables import messages as message_table
from recado.tables import sessions as session_table
from recado.tables.base import CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS, RETRIES_MAX, Transaction
from recado.tables.inbox import InboxCopy
from recado.tables.messages import Message
from recado.tables.pages import Page, PageKind, PageReader, PageRef, PageState

LEASE = timedelta(seconds=30)
LEASE_MARGIN = timedelta(seconds=1)  # clocks of two workers differ by less
COME_BACK_AFTER = timedelta(seconds=2)
SPEAKING_MAX = timedelta(seconds=CONNECT_SECONDS_MAX + READ_SECONDS_MAX + 1)
TIME_NEEDED = LEASE + timedelta(seconds=5)  # what a wave may take, and writing its outcomes
LOOKUP_LIFE = timedelta(days=4)  # receipts come for three
COPIES_AT_ONCE = 25  # one BatchWriteItem
# What that takes at most, by the SDK's own attempts.
PUTTING_MAX = timedelta(seconds=(1 + RETRIES_MAX) * (CONNECT_TIMEOUT_SECONDS + READ_TIMEOUT_SECONDS) + 1)
ROUTE_PAUSE = timedelta(seconds=60)
OVERDUE_AFTER = timedelta(minutes=10)

# How a refusal of one recipient is written down. The other reasons are no outcome: the text is tried again.
REFUSED_LETTERS = {RefusedBecause.WRONG_NUMBER: Letter.WRONG_NUMBER, RefusedBecause.BLOCKED: Letter.BLOCKED}


class May(StrEnum):
    """What is allowed to a page's texts now."""

    SPEAK = "speak"
    STOP = "stop"  # what was not handed over is released
    EXPIRE = "expire"  # what was not handed over is not worth it any more


@dataclass(frozen=True, slots=True)
class Job:
    ref: PageRef
    number: int


@dataclass(frozen=True, slots=True)
class Worker:
    """Who works a page: its own id, its clock, the time it has left, chance, and the carrier it speaks to."""

    owner: str
    clock: Clock
    time_left: Callable[[], timedelta]
    jitter: Callable[[], float]
    line: Line


@dataclass(frozen=True, slots=True)
class _Errand:
    """What a page's texts have in common, and what is allowed to them now."""

    text: str
    sender: str
    queue_url: str
    is_emergency: bool
    give_up_at: datetime
    may: May
    message: Message | None
    drop_accents: bool = False


@dataclass(frozen=True, slots=True)
class _Spoken:
    """A wave's outcomes as a state not yet written, what was allowed then, and whether somebody must come back."""

    state: PageState
    errand: _Errand
    come_back_after: timedelta | None


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
    page, errand = pages.find_page(job.ref), _find_errand(job.ref, None, worker.clock())
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
    state, asked_again = page.state, list[int]()
    if state.indices(Letter.CLAIMED):
        state, asked_again = _resolve_dead_wave(page, errand, worker)

    # 4. Wave after wave.
    _work_waves(page, state, asked_again, errand, worker)


def _is_to_be_worked(job: Job, state: PageState, errand: _Errand, worker: Worker) -> bool:
    """False for a page that is closed, whose job is another one, or that is not to be touched yet."""
    now = worker.clock()
    if not state.is_open:
        _finish(job.ref, now)
        return False
    if job.number < state.job:
        log.outcome("page_job_dropped", reason="older_job", page=job.ref.page, item=job.ref.item)
        return False
    if state.indices(Letter.CLAIMED) and now < (state.wave_until or now) + LEASE_MARGIN:
        _put_back(job.ref, job.number, errand, (state.wave_until or now) + COME_BACK_AFTER - now)
        return False
    if state.not_before is not None and now < state.not_before:
        _put_back(job.ref, job.number, errand, state.not_before - now)
        return False
    return True


def _work_waves(page: Page, state: PageState, asked_again: list[int], errand: _Errand, worker: Worker) -> None:
    """`state` has the outcomes not yet written; they go with the next claim, or with the closing."""
    stored = page.state
    while True:
        if errand.may is not May.SPEAK:
            state, asked_again = _give_up(state, errand.may, asked_again), []
        wave = asked_again or state.indices(Letter.PLANNED)[: SETTINGS.wave_size]
        if not wave:
            _close(page, state, stored, errand, worker)
            return
        if worker.time_left() < TIME_NEEDED:
            _hand_on(page, state, stored, errand, worker, timedelta())
            return
        claimed = _claim(page, state, stored, wave, worker, is_again=bool(asked_again))
        if claimed is None:
            log.outcome("page_left_to_another", page=page.ref.page, item=page.ref.item)
            return
        spoken = _speak(page, claimed, wave, errand, worker, is_again=bool(asked_again))
        state, stored, errand, asked_again = spoken.state, claimed, spoken.errand, []
        if spoken.come_back_after is not None:
            _hand_on(page, state, stored, errand, worker, spoken.come_back_after)
            return


def _put_copies(page: Page, errand: _Errand, worker: Worker) -> None:
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
        claimed = _claim(page, state, stored, waiting, worker, is_again=False)
        if claimed is None:
            log.outcome("page_left_to_another", page=page.ref.page, item=page.ref.item)
            return
        state = stored = claimed
        errand = _find_errand(page.ref, page, worker.clock()) or replace(errand, may=May.EXPIRE)

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


def _find_errand(ref: PageRef, page: Page | None, now: datetime) -> _Errand | None:
    """Read consistently, so that no wave claimed after a stop has answered, or a session ended, is spoken."""
    if ref.kind is PageKind.SESSION:
        return _session_errand(ref, page, now)
    if ref.kind is PageKind.NOTICE:
        return _notice_errand(ref, page, now)
    message = message_table.find_message(ref.school_id, ref.item)
    # A plan that is not the message's (any more) speaks to nobody.
    if message is None or message.plan != ref.plan or message.give_up_at is None:
        return None
    if message.state not in (MessageState.SENDING, MessageState.STOPPING, MessageState.SENT, MessageState.STOPPED):
        return None
    may = May.EXPIRE if now >= message.give_up_at else May.SPEAK
    return _Errand(
        text=message.text,
        sender=message.sender,
        queue_url=sending.queue_of(message.category),
        is_emergency=is_emergency(message.category),
        give_up_at=message.give_up_at,
        may=May.STOP if message.state is MessageState.STOPPING else may,
        message=message,
        drop_accents=message.drop_accents,
    )


def _session_errand(ref: PageRef, page: Page | None, now: datetime) -> _Errand | None:
    session = session_table.find_session(ref.item)
    is_over = (
        session is None or not session.is_open or idle_timeout.is_over(session.opened_at, session.last_activity_at, now)
    )
    ends_at = None if session is None or is_over else idle_timeout.ends_at(session.opened_at, session.last_activity_at)
    return _Errand(
        text=(page.text if page else None) or "",
        sender="",
        queue_url=SETTINGS.sessions_queue_url,
        is_emergency=False,
        give_up_at=ends_at or now,
        may=May.SPEAK if ends_at is not None else May.EXPIRE,
        message=None,
    )


def _notice_errand(ref: PageRef, page: Page | None, now: datetime) -> _Errand:
    give_up_at = session_notices.give_up_at(ref)
    return _Errand(
        text=(page.text if page else None) or "",
        sender="",
        queue_url=SETTINGS.sessions_queue_url,
        is_emergency=False,
        give_up_at=give_up_at,
        may=May.SPEAK if now < give_up_at else May.EXPIRE,
        message=None,
    )


def _resolve_dead_wave(page: Page, errand: _Errand, worker: Worker) -> tuple[PageState, list[int]]:
    """What becomes of a wave whose owner died: the new letters, and who is asked again with the same reference."""
    state, again = page.state, []
    dedupes_until = (state.spoken_at or worker.clock()) + timedelta(hours=worker.line.dedupe_hours)
    is_deduped = state.carrier == worker.line.name and worker.clock() < dedupes_until
    letters: dict[int, Letter] = {}
    for index in state.indices(Letter.CLAIMED):
        letter = _after_death(page, index)
        if letter is Letter.UNKNOWN and (is_deduped or errand.is_emergency):
            again.append(index)  # to an emergency without deduping, too: twice is better than never
        else:
            letters[index] = letter
    log.outcome("dead_wave_resolved", item=page.ref.item, page=page.ref.page, asked_again=len(again), size=len(letters))
    return state.with_letters(letters), again


def _after_death(page: Page, index: int) -> Letter:
    """A receipt proves that the carrier took it; without one nobody knows."""
    has_receipt = any(read_member(member)[0] == index for members in page.receipts.values() for member in members)
    return Letter.ACCEPTED if has_receipt else Letter.UNKNOWN


def _give_up(state: PageState, may: May, asked_again: Sequence[int]) -> PageState:
    """Nobody else is spoken to: who waits is released; who may have been spoken to stays unknown."""
    waiting = Letter.STOPPED if may is May.STOP else Letter.EXPIRED
    state = state.with_letters(dict.fromkeys(asked_again, Letter.UNKNOWN))
    return state.with_letters(dict.fromkeys(state.indices(Letter.PLANNED), waiting))


def _claim(
    page: Page, state: PageState, stored: PageState, wave: Sequence[int], worker: Worker, *, is_again: bool
) -> PageState | None:
    """Writes the outcomes so far together with the claim of the next wave. None: the page is somebody else's now."""
    now = worker.clock()
    claimed = replace(
        state.with_letters(dict.fromkeys(wave, Letter.CLAIMED)),
        owner=worker.owner,
        wave_until=now + LEASE,
        spoken_at=state.spoken_at if is_again else now,
        not_before=None,
        carrier=worker.line.name,
    )
    return _save(page.ref, claimed, stored, worker)


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


def _speak(
    page: Page, claimed: PageState, wave: Sequence[int], before: _Errand, worker: Worker, *, is_again: bool
) -> _Spoken:
    """Asks once more who may be spoken to, speaks, and turns the answers into letters."""
    # 1. After the claim, consistently: stopped meanwhile, over, or opted out (invariant 4)?
    errand = _find_errand(page.ref, page, worker.clock()) or replace(before, may=May.EXPIRE)
    if errand.may is not May.SPEAK:
        unspoken = Letter.STOPPED if errand.may is May.STOP else Letter.EXPIRED
        letter = Letter.UNKNOWN if is_again else unspoken
        return _Spoken(claimed.with_letters(dict.fromkeys(wave, letter)), errand, None)
    causes = opt_outs.list_causes(page.ref.school_id, [page.recipients[index].number for index in wave])
    out = [i for i in wave if is_blocked(causes[page.recipients[i].number], page.recipients[i].person_ids or ("",))]
    state = claimed.with_letters(dict.fromkeys(out, Letter.UNKNOWN if is_again else Letter.OPTED_OUT))

    # 2. Speak, and start nothing that could outlive the lease.
    speaking = [index for index in wave if index not in out]
    start_until = (claimed.wave_until or worker.clock()) - SPEAKING_MAX
    texts = [_outgoing(page, index, errand, worker.clock()) for index in speaking]
    answers = worker.line.speak(texts, lambda: worker.clock() < start_until) if texts else []
    if len(answers) != len(speaking):
        raise RuntimeError("the carrier did not answer one for one")

    # 3. Who can be found again only by the carrier's id gets a row first: a receipt may be on its way.
    if not worker.line.echoes_reference:
        _keep_lookups(page.ref, speaking, answers, worker)
    after, pause = _outcomes(state, speaking, answers, worker, is_again=is_again)
    return _Spoken(after, errand, pause)


def _outgoing(page: Page, index: int, errand: _Errand, now: datetime) -> Outgoing:
    recipient = page.recipients[index]
    validity = max(1, int((errand.give_up_at - now).total_seconds()))
    # What somebody wrote on the web is nobody's message with fields: it goes out as it is.
    is_composed = errand.message is not None
    text = texts.text_for(errand.text, recipient.values or EMPTY, errand.drop_accents) if is_composed else errand.text
    return Outgoing(page.ref.reference(index), recipient.number, recipient.code or errand.sender, text, validity)


def _keep_lookups(ref: PageRef, speaking: Sequence[int], answers: Sequence[Answer], worker: Worker) -> None:
    references = {
        answer.carrier_id: ref.reference(index)
        for index, answer in zip(speaking, answers, strict=True)
        if isinstance(answer, Accepted)
    }
    expires_at = int((worker.clock() + LOOKUP_LIFE).timestamp())
    lookups.create_lookups(worker.line.name, references, expires_at=expires_at)


def _outcomes(
    state: PageState, speaking: Sequence[int], answers: Sequence[Answer], worker: Worker, *, is_again: bool
) -> tuple[PageState, timedelta | None]:
    """The answers as letters, and after which pause somebody must come back for who was not taken."""
    letters: dict[int, Letter] = {}
    refusals = dict(state.refusals or {})
    pauses: list[timedelta] = []
    lease_over = (state.wave_until or worker.clock()) - worker.clock() + COME_BACK_AFTER
    for index, answer in zip(speaking, answers, strict=True):
        match answer:
            case Accepted():
                letters[index] = Letter.ACCEPTED
            case Unknown() if worker.line.dedupe_hours:
                pauses.append(lease_over)  # stays claimed: after the lease it is asked again, with the same reference
            case Unknown():
                letters[index] = Letter.UNKNOWN
            case Refused(because, code) if because in REFUSED_LETTERS:
                letters[index] = REFUSED_LETTERS[because]
                refusals[str(index)] = code
            case Refused(because, _):
                pause = timedelta(seconds=retry_delay.delay_seconds(max(1, state.job), worker.jitter()))
                pause = max(pause, ROUTE_PAUSE) if because is RefusedBecause.ROUTE else pause
                if is_again:
                    pause = max(pause, lease_over)  # stays claimed: not taken now, but perhaps the time before
                else:
                    letters[index] = Letter.PLANNED
                pauses.append(pause)
    handed = [index for index in speaking if letters.get(index) in (Letter.ACCEPTED, Letter.UNKNOWN)]
    hand_overs = (*state.hand_overs, (worker.clock().isoformat(), _ranges(handed))) if handed else state.hand_overs
    after = replace(state.with_letters(letters), refusals=refusals or None, hand_overs=hand_overs)
    return after, max(pauses) if pauses else None


def _ranges(indices: Sequence[int]) -> str:
    """Indices in a few characters: "0-19,24"."""
    spans: list[list[int]] = []
    for index in sorted(indices):
        if spans and index == spans[-1][1] + 1:
            spans[-1][1] = index
        else:
            spans.append([index, index])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


def _hand_on(
    page: Page, state: PageState, stored: PageState, errand: _Errand, worker: Worker, pause: timedelta
) -> None:
    """Writes the outcomes so far and leaves the rest to a fresh job; an older one is dropped from now on."""
    not_before = worker.clock() + pause if pause else None
    left = replace(state, job=stored.job + 1, not_before=not_before)
    if _save(page.ref, left, stored, worker) is None:
        log.outcome("page_left_to_another", page=page.ref.page, item=page.ref.item)
        return
    _put_back(page.ref, left.job, errand, pause)
    log.outcome(
        "page_handed_on", item=page.ref.item, page=page.ref.page, job=left.job, pause=int(pause.total_seconds())
    )


def _put_back(ref: PageRef, number: int, errand: _Errand, pause: timedelta) -> None:
    # Rounded up: a job that comes a moment too early would only be put back again.
    delay = -int(-pause.total_seconds() // 1)
    put_jobs(errand.queue_url, [sending.job_of(ref, number)], group=ref.school_id, delay_seconds=delay)


def _close(page: Page, state: PageState, stored: PageState, errand: _Errand, worker: Worker) -> None:
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
    if ref.kind is PageKind.NOTICE:
        pages.delete_page(ref)
        return
    sending.settle(ref.school_id, ref.item, now)
    recipient_events.ask([ref], now)
