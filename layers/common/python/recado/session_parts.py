"""A handset's long message in parts: what waits for the rest is shown without it after a minute (C4).

By whoever reads, or the sweeper. Showing is no activity: the parts were, when they came.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from recado import live, log
from recado.rules import idle_timeout, reply_parts
from recado.tables import reply_parts as table
from recado.tables import sessions as session_table
from recado.tables.base import Transaction
from recado.tables.reply_parts import JoiningKey, Kept
from recado.tables.sessions import Direction, Session, Text


class _Moved(Exception):  # a signal between two steps here
    """Somebody else was active in the session, or it has ended."""


def is_overdue(session: Session, now: datetime) -> bool:
    """Whether something may have waited long enough."""
    return session.joining_since is not None and reply_parts.is_overdue(session.joining_since, now)


def show_overdue(session: Session, now: datetime, *, expires_at: int) -> None:
    """Shows what an open session, as it was just read, has waited for long enough; it has to be read again then.

    Whoever is overtaken leaves it to the next: somebody reads every few seconds, and the sweeper each minute.
    """
    # 1. The session knows since when something waits at the earliest; the messages themselves know what.
    waiting = [(key, kept) for key, kept in table.list_joining(session.id) if kept.joining.waiting]
    overdue = [one for one in waiting if reply_parts.is_overdue(one[1].joining.since, now)]
    later = [one for one in waiting if one not in overdue]
    if not overdue:
        session_table.note_joining(session, _earliest(later))
        return

    # 2. One line for each.
    for place, (key, kept) in enumerate(overdue):
        since = _earliest([*overdue[place + 1 :], *later])
        try:
            _show(session, key, kept, since, now, expires_at)
        except _Moved:
            return
        session = replace(session, seq=session.seq + 1)


def _show(
    session: Session, key: JoiningKey, kept: Kept, joining_since: datetime | None, now: datetime, expires_at: int
) -> None:
    shown = reply_parts.give_up(kept.joining)
    if shown.line is None:
        raise ValueError("there is nothing to show")
    line = Text(
        session.seq + 1,
        Direction.IN,
        shown.line.text,
        shown.line.at,
        key.number,
        key.code,
        is_partial=shown.line.is_partial,
    )
    with Transaction() as write:
        session_table.show(
            write,
            session,
            joining_since,
            opened_after=now - idle_timeout.LONGEST_SESSION,
            refused=_Moved(),
        )
        session_table.create_text(write, session.id, line, expires_at=expires_at, refused=_Moved())
        table.save_joining(write, session.id, key, shown.joining, seen=kept, expires_at=expires_at, refused=_Moved())
    live.tell_message(session.id, line, now)
    log.outcome("session_parts_not_waited_for", session=session.id, missing=key.of - len(kept.joining.waiting))


def _earliest(waiting: Iterable[tuple[JoiningKey, Kept]]) -> datetime | None:
    return min((kept.joining.since for _, kept in waiting), default=None)
