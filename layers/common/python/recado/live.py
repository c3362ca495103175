"""What happens in a session is told to the sockets of its pages, at once, and only to them.

It must never undo, fail or hold up what it tells of: nothing here raises, each frame has one short attempt, and what a
page was not told it finds by `after=`. The frames are described in docs/sessions.md.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from recado import log, sockets
from recado.rules import idle_timeout
from recado.session_views import as_json, line_of
from recado.settings import SETTINGS
from recado.sockets import Posted
from recado.tables import sessions as table
from recado.tables.sessions import Session, Text

SILENCE_SECONDS = 10.0  # how long nothing is posted after nobody answered: many sessions must not wait for it in turn

type Frame = Mapping[str, Any]


def tell_message(session_id: str, line: Text, now: datetime) -> None:
    """A line was added to the transcript: a handset's reply, or a text that some page said."""
    _tell(session_id, now, lambda session: _state("message", session, line.seq) | {"message": line_of(line)})


def tell_sent(session_id: str, now: datetime) -> None:
    """The text went out, so the next may be said; unless another page has said one already."""
    _tell(session_id, now, lambda session: _state("sent", session, session.seq) if session.sending is None else None)


def tell_extended(session_id: str, seq: int, now: datetime) -> None:
    """Five more minutes were asked for, as the session's activity number `seq`."""
    _tell(session_id, now, lambda session: _state("extended", session, seq))


def tell_ended(session: Session) -> None:
    """The session has ended, as its row as it was read; it may be told more than once."""
    try:
        push(session, session.sockets, {"type": "ended"})
    except Exception as error:  # noqa: BLE001  # the end is written; whoever was not told finds it by the clock
        log.trouble("session_not_told", error, session=session.id)


def pong(session: Session) -> Frame:
    """Where the session stands: by its `seq` a page sees that it missed something."""
    return _state("pong", session, session.seq)


def push(session: Session, connections: Sequence[str], frame: Frame) -> None:
    """Posts one frame to these of the session's connections; who is gone is taken off its row."""
    if not connections or is_silent():
        return
    posted = _post_all(connections, as_json(frame))
    if Posted.SILENT in posted:
        _silence["until"] = time.monotonic() + SILENCE_SECONDS
    gone = [one for one, found in zip(connections, posted, strict=True) if found is Posted.GONE]
    if gone:
        table.leave(session, gone)  # refused: somebody came or went; the next frame finds them gone again
    facts = {found.value: posted.count(found) for found in Posted}
    log.outcome("session_told", session=session.id, frame=str(frame["type"]), **facts)


def is_silent() -> bool:
    """Whether sockets are left alone for now: there are none, or nobody answered a moment ago."""
    return not SETTINGS.live_url or time.monotonic() < _silence["until"]


def forget() -> None:
    """Forgets that nobody answered."""
    _silence["until"] = float("-inf")


_silence = {"until": float("-inf")}


def _tell(session_id: str, now: datetime, frame_of: Callable[[Session], Frame | None]) -> None:
    if is_silent():
        return
    try:
        # Read after what it tells of was written: a page that came in between reads it by itself, or is told.
        session = table.find_session(session_id)
        if session is None or not session.sockets or not _is_there(session, now):
            return
        frame = frame_of(session)
        if frame is not None:
            push(session, session.sockets, frame)
    except Exception as error:  # noqa: BLE001  # what it tells of is written, and is read without it
        log.trouble("session_not_told", error, session=session_id)


def _is_there(session: Session, now: datetime) -> bool:
    """Also by the clock: that nobody has written the end yet makes no difference to a page."""
    return session.is_open and not idle_timeout.is_over(session.opened_at, session.last_activity_at, now)


def _state(kind: str, session: Session, seq: int) -> dict[str, Any]:
    return {
        "type": kind,
        "seq": seq,
        "is_sending": session.sending is not None,
        "expires_at": idle_timeout.ends_at(session.opened_at, session.last_activity_at),
    }


def _post_all(connections: Sequence[str], frame: bytes) -> list[Posted]:
    """All at the same time: however many, and however slow, it takes as long as the slowest attempt."""
    if len(connections) == 1:
        return [sockets.post(connections[0], frame)]
    with ThreadPoolExecutor(len(connections)) as pool:
        return list(pool.map(lambda connection: sockets.post(connection, frame), connections))
