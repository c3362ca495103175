"""The pool of short codes, as the platform's staff keep it: added, drained, removed, and how far it reaches.

It must never remove a code that a session may still hold or a school still sends from. A code is one carrier's; the
same digits cannot be another's in the same country.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from recado import log, schools
from recado.access import Caller
from recado.carriers import REGISTRY
from recado.errors import AlreadyExists, FieldProblem, InvalidRequest, NotFound, WrongState
from recado.rules import school_records
from recado.rules.short_codes import CodeState, codes_needed, removable_at, sessions_per_handset
from recado.session_pool import find_pool
from recado.settings import SETTINGS
from recado.tables import schools as school_table
from recado.tables import short_codes as table
from recado.tables.base import Transaction
from recado.tables.short_codes import Purpose, ShortCode

HOUR, DAY = timedelta(hours=1), timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which codes are listed; None: all."""

    country: str | None = None
    carrier: str | None = None
    purpose: Purpose | None = None
    state: CodeState | None = None

    def takes(self, code: ShortCode) -> bool:
        return (
            self.carrier in (None, code.carrier)
            and self.purpose in (None, code.purpose)
            and self.state in (None, code.state)
        )


@dataclass(frozen=True, slots=True)
class Wish:
    """What one handset is to be given: so many sessions an hour, or a day."""

    sessions: float
    period: timedelta


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many sessions of one length the codes of a country give each handset, and how many codes a wish needs."""

    country: str
    carriers: tuple[str, ...]
    free: int
    draining: int
    quarantine: timedelta
    session: timedelta
    per_hour: float
    per_day: float
    codes_needed: int | None
    codes_missing: int | None


class _Moved(Exception):  # a signal between two steps here
    """The code is no longer as it was read."""


def add_code(caller: Caller, added: ShortCode) -> ShortCode:
    """Adds a code to its country's pool: for sessions, for one school, or for the schools that have none of their own.

    One that was removed comes back so, whatever it served before; handsets' use of it is remembered. Asked again it is
    the same code. Raises InvalidRequest, NotFound, AlreadyExists for a code that drains or serves otherwise.
    """
    schools.check_caller(caller)
    if added.country not in SETTINGS.country_codes:
        raise _wrong("/country", "no_codes", "There are no short codes in this country")
    if not school_records.is_sender(added.code):
        raise _wrong("/code", "malformed", "3 to 8 digits, or a number in E.164")
    if added.carrier not in REGISTRY:
        raise _wrong("/carrier", "unknown", "There is no such carrier")
    if added.school is not None:
        if added.purpose is Purpose.SESSIONS:
            raise _wrong("/school", "not_for_sessions", "A code of sessions is nobody's own")
        schools.get_school(caller, added.school)
    if added.parts_per_second is not None:
        _check_is_paced(added)
    if not table.create_code(added) and table.find_code(added.country, added.code) != added:
        raise AlreadyExists("The code is in the pool already")
    return added


def list_codes(caller: Caller, wanted: Filter) -> list[ShortCode]:
    """The pool of one country, or of all that have one; removed codes too."""
    schools.check_caller(caller)
    countries = SETTINGS.country_codes if wanted.country is None else (wanted.country,)
    return [code for country in countries for code in table.list_codes(country) if wanted.takes(code)]


def drain_code(caller: Caller, country: str, code: str, now: datetime) -> ShortCode:
    """Stops new uses of a code; the sessions that hold it go on. It cannot be taken back.

    Raises NotFound, WrongState for a code that was removed.
    """
    schools.check_caller(caller)
    table.drain_code(country, code, now)
    found = _code(country, code)
    if found.state is CodeState.REMOVED:
        raise WrongState("The code was removed")
    return found


def set_pace(caller: Caller, country: str, code: str, parts_per_second: float | None) -> ShortCode:
    """How fast messages of schools may leave by a code from now on; None: as fast as its carrier takes them.

    Raises NotFound, InvalidRequest for a code of sessions, WrongState for one that was removed.
    """
    schools.check_caller(caller)
    _check_is_paced(_code(country, code))
    is_there = table.set_pace(country, code, parts_per_second)
    found = _code(country, code)
    if not is_there:
        raise WrongState("The code was removed")
    log.outcome("short_code_paced", country=country, code=code, carrier=found.carrier)
    return found


def remove_code(caller: Caller, country: str, code: str, now: datetime) -> None:
    """Takes a code out of the pool once nobody can hold it any more; one that was removed stays so.

    Raises NotFound, and WrongState before `removable_at`, for a code that does not drain, or that a school sends from.
    """
    schools.check_caller(caller)
    found = _code(country, code)
    if found.state is CodeState.REMOVED:
        return
    _check_removable(found, now)

    # The row says again since when it drains: read before another drained it anew, this removes nothing.
    in_use = WrongState("A school sends from this code; give the school another first")
    drained_until = now - (removable_at(now, SETTINGS.quarantine) - now)
    try:
        with Transaction() as write:
            table.remove_code(write, country, code, now, drained_until=drained_until, refused=_Moved())
            if found.school is not None:
                school_table.check_code_is_another(write, found.school, code, refused=in_use)
    except _Moved:
        found = _code(country, code)
        if found.state is not CodeState.REMOVED:  # else it is our own removal, or another's
            _check_removable(found, now)
            raise WrongState("The code changed meanwhile") from None
    log.outcome("short_code_removed", country=country, code=code, carrier=found.carrier)


def removal_of(code: ShortCode) -> datetime | None:
    """When a draining code can be removed; None for any other."""
    if code.state is not CodeState.DRAINING or code.drained_at is None:
        return None
    return removable_at(code.drained_at, SETTINGS.quarantine)


def get_capacity(caller: Caller, country: str, session: timedelta, wish: Wish | None) -> Capacity:
    """What the codes that sessions can claim today give each handset. Raises NotFound for a country without codes."""
    schools.check_caller(caller)
    if country not in SETTINGS.country_codes:
        raise NotFound("There are no short codes in this country")
    pool = find_pool(country)
    codes = pool.codes
    free = sum(code.state is CodeState.FREE for code in codes)
    draining = sum(code.state is CodeState.DRAINING for code in codes)
    needed = codes_needed(wish.sessions, wish.period, SETTINGS.quarantine, session) if wish else None
    return Capacity(
        country=country,
        carriers=pool.carriers,
        free=free,
        draining=draining,
        quarantine=SETTINGS.quarantine,
        session=session,
        per_hour=sessions_per_handset(free, HOUR, SETTINGS.quarantine, session),
        per_day=sessions_per_handset(free, DAY, SETTINGS.quarantine, session),
        codes_needed=needed,
        codes_missing=max(0, needed - free) if needed is not None else None,
    )


def read_wish(sessions_per_hour: float | None, sessions_per_day: float | None) -> Wish | None:
    """What is wished for, if anything. Raises InvalidRequest for both."""
    if sessions_per_hour is not None and sessions_per_day is not None:
        raise _wrong("/query/sessions_per_day", "ambiguous", "Sessions an hour or a day; not both")
    if sessions_per_hour is not None:
        return Wish(sessions_per_hour, HOUR)
    return Wish(sessions_per_day, DAY) if sessions_per_day is not None else None


def _code(country: str, code: str) -> ShortCode:
    found = table.find_code(country, code)
    if found is None:
        raise NotFound("There is no such code")
    return found


def _check_is_paced(code: ShortCode) -> None:
    if code.purpose is Purpose.SESSIONS:
        raise _wrong("/parts_per_second", "not_for_sessions", "Texts of sessions leave one by one; they have no pace")


def _check_removable(code: ShortCode, now: datetime) -> None:
    moment = removal_of(code)
    if moment is None:
        raise WrongState("Drain the code first")
    if now < moment:
        raise WrongState(
            "A session may still hold the code, or an answer to one be on its way",
            members={"removable_at": moment.isoformat()},
            retry_after_seconds=ceil((moment - now).total_seconds()),
        )


def _wrong(field: str, code: str, detail: str) -> InvalidRequest:
    return InvalidRequest(fields=[FieldProblem(field, code, detail)])
