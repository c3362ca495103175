"""When the pages of a message may start, so that its sender is not asked for more than it takes.

What cannot be known is no reason to wait: then texts leave as fast as the carrier takes them, and it says when it is
too fast.
"""

from datetime import datetime, timedelta

from recado import circuits, log, records, routing
from recado.rules import message_states
from recado.rules import pace as rules
from recado.rules.carrier_routes import Way
from recado.rules.message_states import MessageState
from recado.rules.school_records import is_sandbox
from recado.tables import paces
from recado.tables.messages import Message

BOOKING_ATTEMPTS_MAX = 5


def book_pages(message: Message, now: datetime) -> list[datetime] | None:
    """Books the next pages of texts: when each may start, the first ones first; the others later, perhaps none now.

    None: all of them at once. So it is where the sender has no pace, and for what is not spoken any more.
    """
    left = message.pages - message.pages_enqueued
    is_over = message.state is not MessageState.SENDING or message.give_up_at is None or now >= message.give_up_at
    if left <= 0 or is_over or is_sandbox(message.school_id):
        return None
    try:
        found = _paced_way(message, now)
    except Exception as error:  # noqa: BLE001  # a pace that cannot be read keeps no alert back
        log.trouble("pace_unknown", error, school=message.school_id, message=message.id)
        return None
    if found is None:
        return None
    way, rate = found
    takes = rules.page_takes(sum(message.held.values()) / message.pages, rate)
    is_urgent = message_states.is_emergency(message.category)
    starts = _book(way, takes, left, now, is_urgent=is_urgent)
    if starts is None:
        log.outcome("pace_not_booked", school=message.school_id, message=message.id)
    return [] if starts is None and not is_urgent else starts  # an emergency does not wait for its turn to ask


def _paced_way(message: Message, now: datetime) -> tuple[Way, float] | None:
    """The way its texts take as things are, and how fast that one's sender may go. None: it has no pace."""
    country = records.get_school(message.school_id).country
    ways = routing.ways_of(country, message.category.value, message.sender, now)
    if not any(routing.parts_per_second(way, now) for way in ways):
        return None  # whichever is open: circuits need not be read
    way = next((one for one in ways if not circuits.is_open(one.carrier, country, now)), ways[0])
    rate = routing.parts_per_second(way, now)
    return (way, rate) if rate is not None else None


def _book(way: Way, takes: timedelta, left: int, now: datetime, *, is_urgent: bool) -> list[datetime] | None:
    """The next of a sender's time that nobody has. Others book, too: who comes second reads again. None: not now."""
    try:
        for _ in range(BOOKING_ATTEMPTS_MAX):
            before, version = paces.read_booked(way.carrier, way.sender)
            after, starts = rules.book(before, now, takes, left, is_urgent=is_urgent)
            if not starts or paces.save_booked(way.carrier, way.sender, after, was=version):
                return starts
    except Exception as error:  # noqa: BLE001  # the message is accepted, and asks again in a minute
        log.trouble("pace_unknown", error, carrier=way.carrier)
    return None
