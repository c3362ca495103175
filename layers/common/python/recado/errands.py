"""What a page's texts have in common, and what is allowed to them at this moment: read consistently, each time anew.

So no wave that is claimed after a stop has answered, or after a session has ended, is spoken.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from recado import answers, page_jobs, session_notices
from recado.rules import idle_timeout
from recado.rules.message_states import MessageState, is_emergency
from recado.settings import SETTINGS
from recado.tables import messages as message_table
from recado.tables import sessions as session_table
from recado.tables.messages import Message
from recado.tables.pages import OWN_TEXTS, Page, PageKind, PageRef


class May(StrEnum):
    """What is allowed to a page's texts now."""

    SPEAK = "speak"
    STOP = "stop"  # what was not handed over is released
    EXPIRE = "expire"  # what was not handed over is not worth it any more


@dataclass(frozen=True, slots=True)
class Errand:
    """What a page's texts have in common. `sender` is what the message itself names; empty: whatever its way has."""

    text: str
    sender: str
    queue_url: str
    is_emergency: bool
    give_up_at: datetime
    may: May
    message: Message | None
    drop_accents: bool = False

    @property
    def category(self) -> str:
        return self.message.category.value if self.message is not None else ""


def find_errand(ref: PageRef, page: Page | None, now: datetime) -> Errand | None:
    """None for a page whose plan is not its message's (any more): it speaks to nobody."""
    if ref.kind is PageKind.SESSION:
        return _session_errand(ref, page, now)
    if ref.kind in OWN_TEXTS:
        return _notice_errand(ref, page, now)
    message = message_table.find_message(ref.school_id, ref.item)
    if message is None or message.plan != ref.plan or message.give_up_at is None:
        return None
    if message.state not in (MessageState.SENDING, MessageState.STOPPING, MessageState.SENT, MessageState.STOPPED):
        return None
    may = May.EXPIRE if now >= message.give_up_at else May.SPEAK
    return Errand(
        text=message.text,
        sender=message.sender,
        queue_url=page_jobs.queue_of(message.category),
        is_emergency=is_emergency(message.category),
        give_up_at=message.give_up_at,
        may=May.STOP if message.state is MessageState.STOPPING else may,
        message=message,
        drop_accents=message.drop_accents,
    )


def _session_errand(ref: PageRef, page: Page | None, now: datetime) -> Errand:
    session = session_table.find_session(ref.item)
    is_over = (
        session is None or not session.is_open or idle_timeout.is_over(session.opened_at, session.last_activity_at, now)
    )
    ends_at = None if session is None or is_over else idle_timeout.ends_at(session.opened_at, session.last_activity_at)
    return Errand(
        text=(page.text if page else None) or "",
        sender="",
        queue_url=SETTINGS.sessions_queue_url,
        is_emergency=False,
        give_up_at=ends_at or now,
        may=May.SPEAK if ends_at is not None else May.EXPIRE,
        message=None,
    )


def _notice_errand(ref: PageRef, page: Page | None, now: datetime) -> Errand:
    give_up_at = session_notices.give_up_at(ref) if ref.kind is PageKind.NOTICE else answers.give_up_at(ref)
    return Errand(
        text=(page.text if page else None) or "",
        sender="",
        queue_url=SETTINGS.sessions_queue_url,
        is_emergency=False,
        give_up_at=give_up_at,
        may=May.SPEAK if now < give_up_at else May.EXPIRE,
        message=None,
    )
