"""What a school's portal is told of: raised once per cause, read in order after a number.

It must never carry a text, a phone number or a name: ids and figures only.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from recado import log
from recado.access import Caller
from recado.errors import NotAllowed, StillRunning
from recado.queues import put_jobs
from recado.rules.event_types import Data, EventType, is_lean
from recado.rules.roles import IN_CHARGE
from recado.settings import SETTINGS
from recado.tables import events as table
from recado.tables.base import Contended, Transaction
from recado.tables.events import Event

ATTEMPTS_MAX = 20  # each one lost means that another event of the school was written
READ_MAX = 1_000  # rows looked at for one page of a single type


class AlreadyRaised(Exception):  # not an error: the cause had its event
    """This cause had its event before, and whatever else was to be written with it."""


class _Moved(Exception):  # a signal between two steps here
    """Somebody else's event took the number."""


class EventsBusy(StillRunning):
    """The school has more events at this moment than can be numbered one after the other."""

    def __init__(self) -> None:
        super().__init__("Too much happens at the school at this moment", retry_after_seconds=1)


@dataclass(frozen=True, slots=True)
class NewEvent:
    """`cause` makes it happen once: the same cause never has a second event.

    None: what is written together with it can be written only once, and is cause enough.
    """

    type: EventType
    cause: str | None
    at: datetime
    data: Data


def raise_event(school_id: str, new: NewEvent) -> None:
    """Tells the school's portal of something; told before, it is not told again."""
    try:
        commit(school_id, new, lambda _: None)
    except AlreadyRaised:
        return


def commit(school_id: str, new: NewEvent, add: Callable[[Transaction], None]) -> None:
    """The writes that `add` puts into a transaction, and the event of them: all or none.

    `add` may be called several times, each time for a transaction of its own. Raises what its writes are refused with;
    AlreadyRaised when only the event is refused; EventsBusy when others' events keep taking the number, or its row.
    """
    commit_all(school_id, [new], add)


def commit_all(
    school_id: str, new: Sequence[NewEvent], add: Callable[[Transaction], None], *, told_no_more: bool = False
) -> None:
    """The same for several events, numbered in this order: the school's counter moves once for all of them.

    A transaction has room for a hundred writes: these (`writes_of`), and those of `add`. `told_no_more`: the portal is
    told neither of these nor of what follows, until its webhook is on again.
    """
    if not all(is_lean(one.data) for one in new):
        raise RuntimeError("an event carries ids and figures")
    for _ in range(ATTEMPTS_MAX):
        counter = table.get_counter(school_id)
        numbered = [
            (Event(number, one.type, one.at, one.data), one.cause)
            for number, one in enumerate(new, start=counter.latest + 1)
        ]
        try:
            with Transaction() as write:
                add(write)  # first, so that its refusals speak first
                table.create_events(
                    write,
                    school_id,
                    numbered,
                    counter=counter,
                    raised=AlreadyRaised,
                    moved=_Moved(),
                    told_no_more=told_no_more,
                )
        except _Moved:
            continue
        except Contended as error:
            raise EventsBusy from error
        if counter.is_told and not counter.is_marked and not told_no_more:
            tell_portal(school_id)
        return
    raise EventsBusy


def tell_portal(school_id: str, delay_seconds: int = 0) -> None:
    """Asks for somebody to bring the school's portal what it is owed. A job that is not taken is made up for: what is
    owed is marked, and looked after each minute.
    """
    job = {"kind": "events", "school": school_id}
    try:
        put_jobs(SETTINGS.portal_events_queue_url, [job], group=school_id, delay_seconds=delay_seconds)
    except Exception as error:  # noqa: BLE001  # the event is written: whoever raised it has not failed
        log.trouble("portal_job_not_put", error, school=school_id)


def writes_of(new: Sequence[NewEvent]) -> int:
    """How many of a transaction's writes these events take."""
    return sum(1 if one.cause is None else 2 for one in new) + 1 if new else 0


def find_event(school_id: str, cause: str) -> Event | None:
    """The event that this cause had, if any."""
    return table.find_event(school_id, cause)


def list_latest(school_id: str, event_type: EventType, *, limit: int) -> list[Event]:
    """The latest events of one type, newest first, of the last thousand of any."""
    return [event for event in table.list_latest(school_id, limit=READ_MAX) if event.type is event_type][:limit]


def list_events(
    caller: Caller, *, after: int, limit: int, event_type: EventType | None = None
) -> tuple[list[Event], int, bool]:
    """A page of events after a number, oldest first; the number to go on after; whether there is more by now.

    Of a single type: the page may be short, or empty, and there may be more all the same.
    """
    if caller.role not in IN_CHARGE:
        raise NotAllowed("Only directors and administrative staff see the school's events")
    read = table.list_events(caller.school_id, after=after, limit=(READ_MAX if event_type else limit) + 1)
    seen = read[:READ_MAX] if event_type else read[:limit]
    found = [event for event in seen if event_type in (None, event.type)][:limit]
    if len(found) == limit:
        seen = [event for event in seen if event.number <= found[-1].number]
    following = seen[-1].number if seen else after
    return found, following, bool(read) and read[-1].number > following
