"""Sessions that are over are closed and cleared (C7), a text that did not go out is taken up again.

Each minute a run puts jobs for the shards of the index in which something is due; a worker clears one shard. It must
never be the only one that ends a session: every read and write sees the end by itself.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import batched, islice

from recado import log, session_parts, sessions
from recado.at_once import FEW, for_each
from recado.clock import Clock
from recado.queues import put_jobs
from recado.rules import idle_timeout
from recado.settings import SETTINGS
from recado.tables import pages
from recado.tables import sessions as table
from recado.tables.pages import PageState
from recado.tables.sessions import Handsets, Session

LOOKS = (0, 15, 30, 45)  # seconds after the run at which a shard is cleared of what is due by then
AHEAD = timedelta(seconds=90)  # what is due by then is this run's: the next may be half a minute late
STOP_BEFORE = timedelta(seconds=10)
LOOK_AGAIN = timedelta(seconds=30)  # at a text that is going out: well before the next minute, or it would be missed
DUE_MAX = 20_000  # sessions one job looks at; the rest are the next look's
LOT = 25  # sessions that one thread reads together and sweeps one after another


class _Found(StrEnum):
    ENDED = "ended"
    GONE = "gone"  # somebody else has cleared it
    KEPT = "kept"
    FAILED = "failed"
    LARGE = "large"  # to be cleared after the others, by many threads
    LEFT = "left"  # for want of time


@dataclass(frozen=True, slots=True)
class Swept:
    """What became of one shard. `is_done` is False when time ran out: the next look goes on."""

    ended: int
    kept: int
    failed: int
    is_done: bool


@dataclass(frozen=True, slots=True)
class _Sweep:
    clock: Clock
    time_left: Callable[[], timedelta]


def run(clock: Clock) -> int:
    """One minute's run: puts the jobs of all shards in which something is due, and returns of how many.

    Nothing is remembered: a job that is lost, or a worker that dies, leaves the rest to the next look.
    """
    until = clock() + AHEAD
    shards = [shard for shard in range(table.DUE_SHARDS) if _is_due(shard, until)]
    for seconds in LOOKS:
        put_jobs(
            SETTINGS.sweeps_queue_url, [{"shard": shard} for shard in shards], group="sweeps", delay_seconds=seconds
        )
    log.outcome("sweeps_put", shards=len(shards))
    return len(shards)


def read_job(body: str) -> int:
    """The shard of a job as `run` put it."""
    return int(json.loads(body)["shard"])


def work(shard: int, clock: Clock, time_left: Callable[[], timedelta]) -> Swept:
    """Sweeps what is due in one shard, the longest overdue first. Others may be at the same at the same time."""
    sweep, now = _Sweep(clock, time_left), clock()
    due = list(islice(table.list_due(shard, now), DUE_MAX))
    lots = list(batched(due, LOT, strict=False))

    # 1. Lots of sessions, each by one thread.
    found = [one for lot in for_each(lambda lot: _sweep_lot(lot, sweep), lots, few=1) for one in lot]

    # 2. Those of many handsets one after another, for each has threads of its own.
    found += [
        _sweep_large(session_id, sweep) for session_id, one in zip(due, found, strict=True) if one is _Found.LARGE
    ]
    return _swept(shard, found)


def _sweep_lot(session_ids: Sequence[str], sweep: _Sweep) -> list[_Found]:
    # 1. Their rows, together: of those that are over at this moment the handsets too.
    if sweep.time_left() < STOP_BEFORE:
        return [_Found.LEFT] * len(session_ids)
    now = sweep.clock()
    try:
        known = table.list_sessions(session_ids)
        over = [one.id for one in known.values() if not one.is_open or _is_over(one, now)]
        handsets = table.list_handsets(over) if over else {}
    except Exception as error:  # noqa: BLE001  # logged by class; one row that cannot be read must not stop the others
        log.trouble("session_lot_not_read", error)
        return [_safely(session_id, sweep, lambda one: _sweep_alone(one, sweep)) for session_id in session_ids]

    # 2. One after another.
    return [
        _safely(session_id, sweep, lambda one: _sweep(known.get(one), handsets.get(one), now, sweep.clock))
        for session_id in session_ids
    ]


def _sweep_alone(session_id: str, sweep: _Sweep) -> _Found:
    now = sweep.clock()
    return _sweep(table.find_session(session_id), table.find_handsets(session_id), now, sweep.clock)


def _sweep_large(session_id: str, sweep: _Sweep) -> _Found:
    def clear(session_id: str) -> _Found:
        sessions.clear(session_id, sweep.clock())
        return _Found.ENDED

    return _safely(session_id, sweep, clear)


def _sweep(session: Session | None, handsets: Handsets | None, now: datetime, clock: Clock) -> _Found:
    """What one session is due for, by the moment before it was read: each write asks the row itself.

    `handsets` are those of a session that is closed, or over by then; None when they have been deleted.
    """
    if session is None or session.check_at is None:
        return _Found.GONE
    if sessions.close_if_over(session, now):
        if handsets is not None and len(handsets.handsets) > FEW:
            return _Found.LARGE
        sessions.clear_closed(session, handsets, clock())
        return _Found.ENDED
    # One that was active since it was read is due still: the next look sees it as it is.
    if not _is_over(session, now):
        _keep(session, now)
    return _Found.KEPT


def _is_over(session: Session, now: datetime) -> bool:
    return idle_timeout.is_over(session.opened_at, session.last_activity_at, now)


def _keep(session: Session, now: datetime) -> None:
    """A session that goes on: its text is pushed, and the next look is never later than its end."""
    # What waits for its other parts is shown without them, should nobody be reading.
    if session_parts.is_overdue(session, now):
        session_parts.show_overdue(session, now, expires_at=sessions.expires_at(session))
        session = table.find_session(session.id) or session
    ends_at = idle_timeout.ends_at(session.opened_at, session.last_activity_at)
    look_again = min(now + LOOK_AGAIN, ends_at)
    if session.sending is None or sessions.text_went_out(session.id, session.sending, now):
        table.move_check(session, ends_at if session.joining_since is None else look_again)
        return
    # First the next look, for what is done now is done again if it fails.
    if table.move_check(session, look_again):
        _take_up(session, session.sending, now)


def _take_up(session: Session, say_number: int, now: datetime) -> None:
    # 1. Whoever said it died before all its pages were there: it was never accepted, and another may be said.
    if session.paged is None:
        if table.give_up_saying(session.id, say_number):
            log.outcome("session_text_given_up", session=session.id, say=say_number)
        return

    # 2. Pages that stand still get a fresh job; an older one is dropped from now on.
    stalled = [
        (ref, state.job + 1)
        for ref, state, _ in pages.list_states(sessions.page_refs(session))
        if state.is_open and _is_stalled(state, now) and pages.raise_job(ref, seen=state.job)
    ]
    if stalled:
        sessions.put_page_jobs(session, stalled)
        log.outcome("session_text_taken_up", session=session.id, say=say_number, pages=len(stalled))


def _is_stalled(state: PageState, now: datetime) -> bool:
    moments = [moment for moment in (state.wave_until, state.not_before) if moment is not None]
    return all(now >= moment + sessions.TAKE_UP_AFTER for moment in moments)


def _is_due(shard: int, until: datetime) -> bool:
    # One shard that cannot be asked must not keep the others waiting.
    try:
        return table.has_due(shard, until)
    except Exception as error:  # noqa: BLE001  # logged by class; its jobs find nothing, or what there is
        log.trouble("shard_not_asked", error, shard=shard)
        return True


def _safely(session_id: str, sweep: _Sweep, act: Callable[[str], _Found]) -> _Found:
    # One session that cannot be swept must not keep the others waiting.
    if sweep.time_left() < STOP_BEFORE:
        return _Found.LEFT
    try:
        return act(session_id)
    except Exception as error:  # noqa: BLE001  # logged by class, due again at the next look
        log.trouble("session_sweep_failed", error, session=session_id)
        return _Found.FAILED


def _swept(shard: int, found: Sequence[_Found]) -> Swept:
    swept = Swept(
        ended=found.count(_Found.ENDED),
        kept=found.count(_Found.KEPT),
        failed=found.count(_Found.FAILED),
        is_done=_Found.LEFT not in found,
    )
    log.outcome(
        "sessions_swept",
        shard=shard,
        ended=swept.ended,
        kept=swept.kept,
        failed=swept.failed,
        is_done=swept.is_done,
    )
    return swept
