"""Each minute: sessions that are over are closed and cleared (C7), a text that did not go out is taken up again.

It must never be the only one that ends a session: every read and write sees the end by itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from recado import log, session_parts, sessions
from recado.clock import Clock
from recado.rules import idle_timeout
from recado.tables import pages
from recado.tables import sessions as table
from recado.tables.pages import PageState
from recado.tables.sessions import DUE_SHARDS, Session

STOP_BEFORE = timedelta(seconds=10)
LOOK_AGAIN = timedelta(seconds=30)  # at a text that is going out: well before the next minute, or it would be missed


@dataclass(frozen=True, slots=True)
class Swept:
    """One run's count. `is_done` is False when time ran out: the next minute goes on."""

    ended: int
    kept: int
    failed: int
    is_done: bool


def run(clock: Clock, time_left: Callable[[], timedelta]) -> Swept:
    """One minute's run over all shards, all that is due: a missed minute is caught up."""
    counts = {"ended": 0, "kept": 0, "failed": 0}
    # Another shard first each minute: when time runs out it is not always the same sessions that wait.
    first = clock().minute
    for shard in range(first, first + DUE_SHARDS):
        for session_id in table.list_due(shard % DUE_SHARDS, clock()):
            if time_left() < STOP_BEFORE:
                return _swept(counts, is_done=False)
            counts[_sweep_safely(session_id, clock)] += 1
    return _swept(counts, is_done=True)


def sweep(session_id: str, clock: Clock) -> bool:
    """What one session is due for; True when it has ended."""
    session = table.find_session(session_id)
    if session is None:
        return True
    now = clock()
    if sessions.close_if_over(session, now):
        sessions.clear(session_id, clock())
        return True
    _keep(session, now)
    return False


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


def _sweep_safely(session_id: str, clock: Clock) -> str:
    # One session that cannot be swept must not keep the others waiting.
    try:
        return "ended" if sweep(session_id, clock) else "kept"
    except Exception as error:  # noqa: BLE001  # logged by class, due again in a minute
        log.trouble("session_sweep_failed", error, session=session_id)
        return "failed"


def _swept(counts: dict[str, int], *, is_done: bool) -> Swept:
    swept = Swept(ended=counts["ended"], kept=counts["kept"], failed=counts["failed"], is_done=is_done)
    log.outcome("sessions_swept", ended=swept.ended, kept=swept.kept, failed=swept.failed, is_done=is_done)
    return swept
