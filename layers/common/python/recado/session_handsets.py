"""Whom a session writes to, and from which short code: numbers in, a code for each handset, and its release.

Only the conditional write of a route gives a code; a code once used for a handset rests before it serves it again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from recado import fleets
from recado.access import first_master
from recado.at_once import for_each
from recado.clock import Clock
from recado.errors import (
    FieldProblem,
    InvalidRequest,
    NoHandsetReachable,
    SessionBusy,
    SessionEnded,
    SessionLimitReached,
)
from recado.rules import idle_timeout, session_caps, short_codes, signatures, subscribers
from recado.rules.audience import is_blocked
from recado.rules.phone_numbers import country_of, read_number
from recado.rules.session_caps import Limit
from recado.rules.short_codes import Code, Route
from recado.session_pool import find_pool, whose_first
from recado.settings import SETTINGS
from recado.tables import caps, opt_outs, routes
from recado.tables import sessions as table
from recado.tables.base import Transaction
from recado.tables.sessions import Handset, Handsets, NotReached, RefusedNumber, Session

TYPED_BYTES_MAX = 32  # of a number as people type it; a byte may be six in a row's JSON
SCHOOL = "web"  # what a session's pages and opt-outs have where others have a school
CLAIMS_MAX = 5  # tries at a handset that other sessions of the same source claim just now
CLAIMS_LIFE = timedelta(hours=1)  # far longer than a claim takes

CAPS = {NotReached.TOO_MANY_TEXTS: Limit.HANDSET_TEXTS, NotReached.TOO_MANY_SESSIONS: Limit.HANDSET_SESSIONS}

type IsOpen = Callable[[str], bool]


class _Held(Exception):  # a signal between two steps here
    """This session has the route already."""


class _Taken(Exception):  # a signal between two steps here
    """Another session has the route, or it rests."""


SUBSCRIBERS = subscribers.read_subscribers(
    SETTINGS.session_countries, SETTINGS.subscriber_prefixes, SETTINGS.country_codes
)


def read_numbers(numbers: Sequence[str]) -> Handsets:
    """The handsets that the typed numbers name, each once (C2: subscribers only), and who is refused."""
    _check_sizes(numbers)
    typed: dict[str, str] = {}
    refused: dict[str, RefusedNumber] = {}
    for raw in numbers:
        number = read_number(raw, SUBSCRIBERS.home)
        if number is None:
            refused[raw] = RefusedNumber(raw, NotReached.NOT_A_NUMBER)
        elif not SUBSCRIBERS.includes(number):
            refused[raw] = RefusedNumber(raw, NotReached.NOT_A_SUBSCRIBER)
        else:
            typed.setdefault(number.e164, raw)
    for e164, causes in opt_outs.list_causes(SCHOOL, typed).items():
        if is_blocked(causes, ()):
            raw = typed.pop(e164)
            refused[raw] = RefusedNumber(raw, NotReached.OPTED_OUT)
    cannot_answer = fleets.find_barred(typed)  # C3: they receive all the same
    handsets = tuple(Handset(e164, raw, can_answer=e164 not in cannot_answer) for e164, raw in typed.items())
    return Handsets(handsets, tuple(refused.values()), is_claimed=False)


def choose(session_id: str, numbers: Sequence[str] | None) -> tuple[Handset, ...]:
    """The session's handsets that are named, or all. Who was refused at its opening stays refused, silently."""
    found = table.find_handsets(session_id)
    if found is None or not found.is_claimed:
        raise SessionEnded
    if numbers is None:
        return found.handsets
    _check_sizes(numbers)
    own = {handset.number: handset for handset in found.handsets}
    refused = {one.typed for one in found.refused}
    chosen: dict[str, Handset] = {}
    problems = []
    for position, raw in enumerate(numbers):
        number = read_number(raw, SUBSCRIBERS.home)
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


def _check_sizes(numbers: Sequence[str]) -> None:
    """They are kept in one row as they were typed, refused ones too: at most some 230 KB of DynamoDB's 400."""
    if len(numbers) > SETTINGS.session_handsets_max:
        detail = f"At most {SETTINGS.session_handsets_max} numbers"
        raise InvalidRequest(fields=[FieldProblem("/to", "too_many", detail)])
    long = [position for position, raw in enumerate(numbers) if len(raw.encode(errors="replace")) > TYPED_BYTES_MAX]
    if long:
        detail = f"At most {TYPED_BYTES_MAX} bytes of UTF-8"
        raise InvalidRequest(fields=[FieldProblem(f"/to/{position}", "too_long", detail) for position in long])


def without_opted_out(handsets: Sequence[Handset]) -> tuple[tuple[Handset, ...], tuple[RefusedNumber, ...]]:
    """Those who still want texts of the web, and those who said STOP since the session was opened."""
    causes = opt_outs.list_causes(SCHOOL, [one.number for one in handsets])
    blocked = {number for number, found in causes.items() if is_blocked(found, ())}
    return (
        tuple(one for one in handsets if one.number not in blocked),
        tuple(RefusedNumber(one.typed, NotReached.OPTED_OUT) for one in handsets if one.number in blocked),
    )


def claim_codes(session_id: str, wanted: Handsets, source: str, is_open: IsOpen, clock: Clock) -> Handsets:
    """A code for each handset, of its own country's pool: never used for it, or rested longest (C8).

    Who gets none is refused, and who is held by as many open sessions of the same source as may be. Repeated after a
    death it finds the codes that the session holds already.
    """
    countries = {handset.number: country_of(handset.number) for handset in wanted.handsets}
    pools = {country: find_pool(country) for country in sorted({one for one in countries.values() if one})}
    orders = {country: whose_first(pool, clock()) for country, pool in pools.items()}
    holders = {one.number: signatures.holder_token(first_master(), source, one.number) for one in wanted.handsets}
    # Before the routes are read: a claim of this source in between is then noticed.
    latest = caps.list_latest_claims(holders.values())
    claiming = _Claiming(session_id, source, is_open, clock)

    def claim(handset: Handset) -> Handset | RefusedNumber:
        holder, country = holders[handset.number], countries[handset.number] or ""
        found = pools[country].codes if country in pools else ()
        pool = [Code(code.code, code.country, code.carrier, code.state) for code in found]
        return _claim_code(claiming, handset, pool, orders.get(country, ()), holder, latest[holder])

    answers = for_each(claim, wanted.handsets)
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


def nobody(refused: Sequence[RefusedNumber], now: datetime) -> NoHandsetReachable | SessionLimitReached:
    """The refusal of a text that could go to nobody: each number's reason, and when to try again if that may help."""
    moments = [moment for one in refused if (moment := _again_at(one, now)) is not None]
    seconds = max(1, -int(-(min(moments) - now).total_seconds() // 1)) if moments else None
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
    reasons = {one.reason for one in refused}
    limit = next((CAPS[reason] for reason in CAPS if reason in reasons), None)
    if limit is None:
        return NoHandsetReachable(members=members, retry_after_seconds=seconds)
    return SessionLimitReached(
        session_caps.WORDS[limit], members={"limit": limit.value} | members, retry_after_seconds=seconds
    )


def _again_at(refused: RefusedNumber, now: datetime) -> datetime | None:
    """When it may go better; without a known moment the earliest at which the sessions that hold it can have ended."""
    if refused.retry_at is not None:
        return refused.retry_at
    if refused.reason is NotReached.TOO_MANY_SESSIONS:
        return now + idle_timeout.IDLE_LIMIT
    if refused.reason is NotReached.NO_SHORT_CODE_FREE:
        return now + idle_timeout.IDLE_LIMIT + SETTINGS.quarantine
    return None


@dataclass(frozen=True, slots=True)
class _Claiming:
    session_id: str
    source: str
    is_open: IsOpen
    clock: Clock


def _claim_code(
    one: _Claiming, handset: Handset, pool: Sequence[Code], carriers: Sequence[str], holder: str, latest: str | None
) -> Handset | RefusedNumber:
    at_once = short_codes.sessions_of_one_source(pool, SETTINGS.sessions_per_source_and_handset)
    for _ in range(CLAIMS_MAX):
        # 1. What the session has, and how many others of its source are there. Their routes outlive them for a while.
        found = routes.list_routes(handset.number)
        own = [route.code for route in found if _is_held(one.session_id, route)]
        if own:
            return replace(handset, code=own[0])
        others = [route.session_id for route in found if route.source == one.source and route.free_at is None]
        if sum(1 for other in others if other is not None and one.is_open(other)) >= at_once:
            return RefusedNumber(handset.typed, NotReached.TOO_MANY_SESSIONS)

        # 2. The best code that is still free, unless another claim of the source came between: then all over again.
        now = one.clock()
        order = short_codes.order_of_claim(pool, found, now, carriers)
        try:
            code = _take_first_free(one, handset, order, holder, latest, now)
        except caps.Overtaken as overtaken:
            latest = overtaken.latest
            continue
        if code is None:
            if _release_left(handset.number, found, now):
                found = routes.list_routes(handset.number)
            at = short_codes.free_from(pool, found, now)
            return RefusedNumber(handset.typed, NotReached.NO_SHORT_CODE_FREE, at)
        return replace(handset, code=code)
    raise SessionBusy(retry_after_seconds=1)


def _take_first_free(
    one: _Claiming, handset: Handset, codes: Sequence[str], holder: str, latest: str | None, now: datetime
) -> str | None:
    expires_at = int((now + CLAIMS_LIFE).timestamp())
    for code in codes:
        try:
            with Transaction() as write:
                # Its refusal is asked first: our own claim whose answer was lost is a claim.
                routes.claim_route(
                    write, handset.number, code, one.session_id, one.source, now, held=_Held(), taken=_Taken()
                )
                caps.note_claim(write, holder, one.session_id, seen=latest, expires_at=expires_at)
        except _Taken:
            continue
        except _Held:
            pass
        return code
    return None


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
