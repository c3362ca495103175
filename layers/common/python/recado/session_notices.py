"""Whoever answers a talk that has ended may be told so, once, free of charge, from the same code (C9; off by default).

At most once: it is noted before it is said, and a death between the two loses it. Never a notice for the answer to one.
"""

from datetime import UTC, datetime, timedelta

from recado import fleets, log
from recado.clock import Clock
from recado.ids import new_id
from recado.page_jobs import job_of
from recado.queues import put_jobs
from recado.rules import notice_words, segments, short_codes
from recado.rules.audience import is_blocked
from recado.rules.country_time import local_day
from recado.rules.credit_bags import Zone
from recado.rules.phone_numbers import country_of
from recado.rules.short_codes import CodeState, Route
from recado.session_handsets import SCHOOL, SUBSCRIBERS
from recado.settings import SETTINGS
from recado.tables import notices, opt_outs, pages, routes
from recado.tables import sessions as session_table
from recado.tables import short_codes as code_table
from recado.tables.base import Transaction
from recado.tables.pages import PageKind, PageRecipient, PageRef
from recado.tables.short_codes import Purpose

LIFE = timedelta(minutes=5)  # a notice that has not gone out by then goes out no more
NOTICES_PER_DAY = 3  # to one handset, from all codes
ROWS_LIFE = timedelta(days=2)  # then DynamoDB tidies what a death left


class _NotNow(Exception):  # a signal between two steps here
    """There is nothing to say, or it has been said: refused by a condition."""


def answer_late(handset: str, code: str, clock: Clock) -> bool:
    """Puts the notice on its way; False: not wanted, said before, enough for today, or who would get it must not."""
    text = notice_words.LATE_REPLY.get(SETTINGS.late_reply_notice)
    if text is None:
        return False
    # 1. Whose talk was it, and may this handset be spoken to?
    now = clock()
    route = routes.find_route(handset, code)
    if route is None or not _has_ended(route, now) or not _may_be_told(handset) or not _is_ours(handset, code):
        return False

    # 2. Noted first. The pair rests from now on as if released now, so that the answer to the notice, too, is nobody's.
    try:
        with Transaction() as write:
            rests_until = short_codes.quarantine_ends_at(now, SETTINGS.quarantine)
            routes.note_notice(write, handset, route, now, rests_until=rests_until, refused=_NotNow())
            notices.count_notice(
                write,
                handset,
                local_day(country_of(handset) or SUBSCRIBERS.home, now),
                notices_max=NOTICES_PER_DAY,
                expires_at=int((now + ROWS_LIFE).timestamp()),
                refused=_NotNow(),
            )
    except _NotNow:
        return False

    # 3. A page of one text, spoken like any other.
    ref = PageRef(PageKind.NOTICE, SCHOOL, new_id(), str(int((now + LIFE).timestamp())), 0)
    recipient = PageRecipient(handset, (), Zone.DOMESTIC, segments.count_segments(text), code)
    pages.create_pages([(ref, [recipient])], expires_at=int((now + ROWS_LIFE).timestamp()), text=text)
    put_jobs(SETTINGS.sessions_queue_url, [job_of(ref, 1)], group=ref.item)
    log.outcome("late_reply_notice_put", notice=ref.item)
    return True


def find_ended(handset: str, code: str, now: datetime) -> Route | None:
    """The pair's route, if its session is over, nobody may hold the pair, and the handset may be told something."""
    route = routes.find_route(handset, code)
    if route is None or route.session_id is None or fleets.find_barred([handset]) or not _is_ours(handset, code):
        return None
    return route if _is_over(route, now) else None


def give_up_at(ref: PageRef) -> datetime:
    """Until when a notice may be spoken: its page's plan says so."""
    return datetime.fromtimestamp(int(ref.plan), UTC)


def _has_ended(route: Route, now: datetime) -> bool:
    """Whether the pair's last session is over, nobody may hold the pair, and it has no notice yet."""
    return route.session_id is not None and route.noticed_at is None and _is_over(route, now)


def _is_over(route: Route, now: datetime) -> bool:
    if route.free_at is not None:
        return now < route.free_at
    session = session_table.find_session(route.session_id or "")
    return session is None or not session.is_open


def _is_ours(handset: str, code: str) -> bool:
    """Whether the code stays in the pool: its own carrier says it.

    Of one that drains the pair would rest longer than the code waits to be removed and, perhaps, a school's.
    """
    found = code_table.find_code(country_of(handset) or "", code)
    return found is not None and found.state is CodeState.FREE and found.purpose is Purpose.SESSIONS


def _may_be_told(handset: str) -> bool:
    # Asked again, after the wave's claim, where it is spoken: here it only saves the page.
    if is_blocked(opt_outs.find_causes(SCHOOL, handset), ()):
        return False
    return not fleets.find_barred([handset])
