"""Whom a session writes to, and from which short code: numbers in, a code for each handset, and its release.

Only the conditional write of a route gives a code; a code once used for a handset rests before it serves it again.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from recado.at_once import for_each
from recado.clock import Clock
from recado.errors import FieldProblem, InvalidRequest, NoHandsetReachable, SessionEnded
from recado.rules import idle_timeout, short_codes
from recado.rules.audience import is_blocked
from recado.rules.phone_numbers import read_number
from recado.rules.short_codes import Code, Route
from recado.settings import SETTINGS
from recado.tables import fleets, opt_outs, routes
from recado.tables import sessions as table
from recado.tables import short_codes as code_table
from recado.tables.sessions import Handset, Handsets, NotReached, RefusedNumber, Session
from recado.tables.short_codes import Purpose

SCHOOL = "web"  # what a session's pages and opt-outs have where others have a school


def read_numbers(numbers: Sequence[str]) -> Handsets:
    """The handsets that the typed numbers name, each once (C2: subscribers of one country), and who is refused."""
    if len(numbers) > SETTINGS.session_handsets_max:
        detail = f"At most {SETTINGS.session_handsets_max} numbers"
        raise InvalidRequest(fields=[FieldProblem("/to", "too_many", detail)])
    typed: dict[str, str] = {}
    refused: dict[str, RefusedNumber] = {}
    for raw in numbers:
        number = read_number(raw, SETTINGS.session_country)
        if number is None:
            refused[raw] = RefusedNumber(raw, NotReached.NOT_A_NUMBER)
        elif number.region != SETTINGS.session_country:
            refused[raw] = RefusedNumber(raw, NotReached.NOT_A_SUBSCRIBER)
        else:
            typed.setdefault(number.e164, raw)
    for e164, causes in opt_outs.list_causes(SCHOOL, typed).items():
        if is_blocked(causes, ()):
            raw = typed.pop(e164)
            refused[raw] = RefusedNumber(raw, NotReached.OPTED_OUT)
    cannot_answer = fleets.list_members(SETTINGS.session_country, typed)  # C3: they receive all the same
    handsets = tuple(Handset(e164, raw, can_answer=e164 not in cannot_answer) for e164, raw in typed.items())
    return Handsets(handsets, tuple(refused.values()), is_claimed=False)


def choose(session_id: str, numbers: Sequence[str] | None) -> tuple[Handset, ...]:
    """The session's handsets that are named, or all. Who was refused at its opening stays refused, silently."""
    found = table.find_handsets(session_id)
    if found is None or not found.is_claimed:
        raise SessionEnded
    if numbers is None:
        return found.handsets
    own = {handset.number: handset for handset in found.handsets}
    refused = {one.typed for one in found.refused}
    chosen: dict[str, Handset] = {}
    problems = []
    for position, raw in enumerate(numbers):
        number = read_number(raw, SETTINGS.session_country)
        if number is not None and number.e164 in own:
            chosen[number.e164] = own[number.e164]
        elif raw not in refused:
            detail = "This session does not write to it; a new session may"
            problems.append(FieldProblem(f"/to/{position}", "not_in_this_session", detail))
    if problems:
        raise InvalidRequest(fields=problems)
    if not chosen:
        raise NoHandsetReachable
    return tuple(chosen.values())


def claim_codes(session_id: str, wanted: Handsets, clock: Clock) -> Handsets:
    """A code for each handset: the one never used for it, or the one that has rested longest (C8).

    Who gets none is refused. Repeated after a death it finds the codes that the session holds already.
    """
    pool = [
        Code(one.code, one.country, one.carrier, one.state)
        for one in code_table.list_codes(SETTINGS.session_country)
        if one.purpose is Purpose.SESSIONS
    ]
    answers = for_each(lambda handset: _claim_code(session_id, handset, pool, clock), wanted.handsets)
    claimed = tuple(one for one in answers if isinstance(one, Handset))
    without = tuple(one for one in answers if isinstance(one, RefusedNumber))
    return Handsets(claimed, (*wanted.refused, *without), is_claimed=True)


def release(session: Session, handsets: Handsets | None, now: datetime) -> int:
    """Lets go of every (handset, code) of a closed session, to rest for the quarantine. Returns how many."""

    def release_handset(handset: Handset) -> int:
        # Asked of the routes, not of what the session wrote down: whoever claimed may have died before writing.
        held = [one for one in routes.list_routes(handset.number) if _is_held(session.id, one)]
        if session.is_unsaid and held and not table.is_still_unsaid(session):
            return 0  # its key has opened it again since: these are the next one's
        return sum(_let_go(handset.number, one, now, is_as_read=session.is_unsaid) for one in held)

    return sum(for_each(release_handset, handsets.handsets)) if handsets else 0


def release_left(handsets: Handsets, now: datetime) -> int:
    """Lets go of what is held of these handsets by sessions that are gone or buried. Returns how many."""
    return sum(for_each(lambda one: _release_left(one.number, routes.list_routes(one.number), now), handsets.handsets))


def nobody(refused: Sequence[RefusedNumber], now: datetime) -> NoHandsetReachable:
    """The refusal of a session that could write to nobody: each number's reason, and when to try again."""
    waiting = [one for one in refused if one.reason is NotReached.NO_SHORT_CODE_FREE]
    known = [one.retry_at for one in waiting if one.retry_at is not None]
    # Without a known moment every code is held: the first is free when its session has ended and it has rested.
    until = min(known, default=now + idle_timeout.IDLE_LIMIT + SETTINGS.quarantine)
    seconds = max(1, -int(-(until - now).total_seconds() // 1)) if waiting else None
    members = {
        "refused": [
            {
                "number": one.typed,
                "reason": one.reason.value,
                "retry_at": one.retry_at.isoformat() if one.retry_at else None,
            }
            for one in refused
        ]
    }
    return NoHandsetReachable(members=members, retry_after_seconds=seconds)


def _claim_code(session_id: str, handset: Handset, pool: Sequence[Code], clock: Clock) -> Handset | RefusedNumber:
    found = routes.list_routes(handset.number)
    own = [one.code for one in found if _is_held(session_id, one)]
    now = clock()
    for code in (*own, *short_codes.order_of_claim(pool, found, now)):
        if routes.claim_route(handset.number, code, session_id, now):
            return replace(handset, code=code)
    if _release_left(handset.number, found, now):
        found = routes.list_routes(handset.number)
    return RefusedNumber(handset.typed, NotReached.NO_SHORT_CODE_FREE, short_codes.free_from(pool, found, now))


def _release_left(number: str, found: Sequence[Route], now: datetime) -> int:
    """Whoever claimed for a session that was being cleared came too late for those who cleared it, and died."""
    held = [one for one in found if one.free_at is None]
    # Asked after the routes were read, and let go of as they were read: a session is there before it claims.
    there = table.list_sessions({one.session_id for one in held if one.session_id}) if held else {}
    left = [one for one in held if one.session_id not in there or there[one.session_id].check_at is None]
    return sum(_let_go(number, one, now, is_as_read=True) for one in left)


def _let_go(number: str, route: Route, now: datetime, *, is_as_read: bool) -> bool:
    free_at = short_codes.quarantine_ends_at(now, SETTINGS.quarantine)
    claimed_at = route.claimed_at if is_as_read else None
    return routes.release_route(number, route.code, route.session_id or "", free_at=free_at, claimed_at=claimed_at)


def _is_held(session_id: str, route: Route) -> bool:
    return route.session_id == session_id and route.free_at is None
