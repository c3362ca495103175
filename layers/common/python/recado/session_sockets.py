"""The sockets of a session's pages: one is opened, it asks whether it is there, it is closed.

None of it is activity: a page that only listens keeps no session alive (C7).
"""

from recado import live, log, sessions, sockets
from recado.clock import Clock
from recado.errors import InvalidRequest, SessionBusy, SessionEnded
from recado.rules.json_bodies import read_json
from recado.session_views import as_json
from recado.sockets import Posted
from recado.tables import sessions as table

SOCKETS_MAX = 8  # of one session; the next takes the place of the oldest
FRAME_BYTES_MAX = 1024  # of what a page sends


def join(session_id: str, connection: str, clock: Clock) -> None:
    """Adds a page's connection to its session. Raises SessionEnded, or SessionBusy when others kept coming."""
    for _ in range(sessions.TOUCHES_MAX):
        session = sessions.get_open_session(session_id, clock())
        oldest = session.sockets[: max(0, len(session.sockets) + 1 - SOCKETS_MAX)]
        if table.join(session, connection, instead_of=oldest):
            live.push(session, oldest, {"type": "replaced"})
            log.outcome("socket_opened", session=session_id, sockets=len(session.sockets) + 1 - len(oldest))
            return
    raise SessionBusy(retry_after_seconds=1)


def answer(session_id: str, connection: str, text: str, clock: Clock) -> None:
    """Answers a page's frame: a ping with where the session stands, anything else with what is wrong with it."""
    problem = _problem_of(text)
    frame = {"type": "error", "code": problem} if problem else _answer_to_ping(session_id, connection, clock)
    posted = sockets.post(connection, as_json(frame))
    if posted is Posted.GONE:
        leave(session_id, connection)
    log.outcome("socket_answered", session=session_id, frame=str(frame["type"]), posted=posted.value)


def leave(session_id: str, connection: str) -> None:
    """Takes a connection that was closed off its session's row; one that is not there is left alone."""
    for _ in range(sessions.TOUCHES_MAX):
        session = table.find_session(session_id)
        if session is None or connection not in session.sockets or table.leave(session, [connection]):
            log.outcome("socket_closed", session=session_id)
            return
    raise SessionBusy(retry_after_seconds=1)


def _answer_to_ping(session_id: str, connection: str, clock: Clock) -> live.Frame:
    """Who was taken for gone is there again, if there is room: before a socket is open its frames find nobody."""
    for _ in range(sessions.TOUCHES_MAX):
        try:
            session = sessions.get_open_session(session_id, clock())
        except SessionEnded:
            return {"type": "ended"}
        if connection in session.sockets:
            return live.pong(session)
        if len(session.sockets) >= SOCKETS_MAX:
            return {"type": "replaced"}
        table.join(session, connection)  # then read again, refused or not: what the pong says is no older than this
    raise SessionBusy(retry_after_seconds=1)


def _problem_of(text: str) -> str | None:
    """A stable code of what is wrong with a page's frame, or None: `{"type": "ping"}` is all there is to say."""
    if len(text.encode("utf-8", "replace")) > FRAME_BYTES_MAX:
        return "too_large"
    try:
        asked = read_json(text)
    except InvalidRequest:
        return "json_invalid"
    return None if asked == {"type": "ping"} else "unknown_frame"
