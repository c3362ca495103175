"""Each movement of a school's credits with its cause, the balance after it, and what is spent a week.

It reads only. A balance is told where it can be told truthfully, and is otherwise left out.
"""

import base64
import re
from binascii import Error as NotBase64
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from recado import credits  # noqa: A004  # the school's word
from recado.access import Caller
from recado.errors import FieldProblem, InvalidRequest, NotFound
from recado.rules import credit_use
from recado.rules.credit_bags import Zone
from recado.rules.credit_use import Week
from recado.rules.ledger_words import Kind, kind_of
from recado.rules.plain_words import Language
from recado.tables import ledger, school_settings, schools
from recado.tables.ledger import Account, Entry

# The ledger's own key of the last entry shown, and the balance before it.
CURSOR = re.compile(r"(?P<key>T#[!-{}~]{1,400})(\|(?P<figures>-?[0-9]{1,12},-?[0-9]{1,12},-?[0-9]{1,12}))?")
READ_MAX = 1_000  # entries looked at for one page of a single kind
NEWER_MAX = 5_000  # entries added up to tell the balance of an earlier day
USE_ENTRIES_MAX = 10_000  # entries read for the weeks; older weeks stay unknown
READINGS_MAX = 3
SETTLED = timedelta(minutes=2)  # no request of ours takes longer between reading its clock and its commit


@dataclass(frozen=True, slots=True)
class Question:
    """Which movements: of one zone, from a moment until before another, of one kind, of one message."""

    zone: Zone
    start: datetime | None = None
    end: datetime | None = None
    kind: Kind | None = None
    message_id: str | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """What an account comes to."""

    available: int
    held: int
    captured: int


@dataclass(frozen=True, slots=True)
class Line:
    """A movement, and the balance after it (None: it cannot be told)."""

    entry: Entry
    balance: Figures | None


@dataclass(frozen=True, slots=True)
class Use:
    """What a zone's account spent in each week (None: too many movements to read), and for how long it reaches."""

    zone: Zone
    weeks: list[tuple[Week, bool]]
    days_left: int | None


def list_statement(
    caller: Caller, question: Question, *, limit: int, cursor: str | None, now: datetime
) -> tuple[list[Line], str | None]:
    """A page of movements, newest first, and the cursor of the next one (None: no more)."""
    credits.check_caller(caller)
    return page_of(caller.school_id, question, limit=limit, cursor=cursor, now=now)


def page_of(
    school_id: str, question: Question, *, limit: int, cursor: str | None, now: datetime
) -> tuple[list[Line], str | None]:
    """The same, for whoever has asked already who is calling.

    Of a single kind a page may be short, and there may be more all the same.
    """
    _check(question)
    before, balance = _read_cursor(cursor) if cursor else (None, None)

    # 1. One message has few movements, found by their causes; what lies between them is not read, so no balance.
    if question.message_id is not None:
        found = credits.statement_of_message(school_id, question.message_id)
        chosen = [entry for entry in reversed(found) if _is_asked(entry, question)]
        return [Line(entry, None) for entry in chosen], None

    # 2. The newest page begins at the balance of now, or of the question's end; a later one where the last stopped.
    span = max(limit, READ_MAX) if question.kind else limit
    if before is None:
        balance, entries, following = _read_newest(school_id, question, span)
    else:
        entries, following = _read(school_id, question, span, before)

    # 3. Back in time, undoing each movement.
    lines: list[Line] = []
    last = None
    for entry in entries:
        if len(lines) == limit:
            break
        if question.kind is None or kind_of(entry.cause) is question.kind:
            lines.append(Line(entry, balance))
        balance, last = _before(entry, balance), entry
    if last is None or (last is entries[-1] and not following):
        return lines, None
    # An entry that is still being committed may yet take its place below a young one: its balance is not carried on.
    is_settled = now - last.at >= SETTLED
    return lines, _write_cursor(ledger.time_key(last), balance if is_settled else None)


def get_use(caller: Caller, *, weeks: int, now: datetime) -> tuple[str, list[Use]]:
    """The school's time zone, and what each of its accounts spent in the last weeks (ISO 8601, by its clocks)."""
    credits.check_caller(caller)
    return use_of(caller.school_id, weeks=weeks, now=now)


def use_of(school_id: str, *, weeks: int, now: datetime) -> tuple[str, list[Use]]:
    """The same, for whoever has asked already who is calling."""
    clocks = clocks_of(school_id)
    return clocks.key, [_use(school_id, account, clocks, weeks, now) for account in ledger.list_accounts(school_id)]


def clocks_of(school_id: str) -> ZoneInfo:
    """The clocks where the school is. Raises NotFound."""
    school = schools.find_school(school_id)
    if school is None:
        raise NotFound("There is no such school")
    return ZoneInfo(school.time_zone)


def language_of(school_id: str, asked: Language | None) -> Language:
    """The language that is asked for, else the school's."""
    return asked or school_settings.find_settings(school_id).language


def _use(school_id: str, account: Account, clocks: ZoneInfo, weeks: int, now: datetime) -> Use:
    first_week = credit_use.start_of(now, clocks, weeks)
    start = min(first_week, now - credit_use.PACE_SPAN)
    entries, following = ledger.list_entries(school_id, account.zone, limit=USE_ENTRIES_MAX, start=start)
    spent = [(entry.at, entry.captured) for entry in entries if entry.captured]
    counted = credit_use.count_weeks(spent, clocks, now, weeks)
    # Read from the newest back: what was not read any more are the oldest weeks, the one where it stopped included.
    read_from = entries[-1].at.astimezone(clocks).date() if following else None
    is_pace_read = not following or entries[-1].at <= now - credit_use.PACE_SPAN
    first = ledger.find_first_entry(school_id, account.zone) if is_pace_read else None
    return Use(
        zone=account.zone,
        weeks=[(week, read_from is None or week.starts_on > read_from) for week in counted],
        days_left=credit_use.days_left(account.available, spent, first.at if first else None, now),
    )


def _read_newest(school_id: str, question: Question, span: int) -> tuple[Figures | None, list[Entry], str | None]:
    """The newest entries, and the balance after the first of them."""
    entries: list[Entry] = []
    following = None
    for _ in range(READINGS_MAX):
        was = ledger.find_account(school_id, question.zone)
        newer: list[Entry] = []
        if question.end is not None:
            newer, more = ledger.list_entries(school_id, question.zone, limit=NEWER_MAX, start=question.end)
            if more:
                break  # too long ago
        entries, following = _read(school_id, question, span, None)
        # The account between two readings that agree is the account those entries led to.
        if was is not None and ledger.find_account(school_id, question.zone) == was:
            balance: Figures | None = Figures(was.available, was.held, was.captured)
            for entry in newer:
                balance = _before(entry, balance)
            return balance, entries, following
    if not entries:
        entries, following = _read(school_id, question, span, None)
    return None, entries, following


def _read(school_id: str, question: Question, span: int, before: str | None) -> tuple[list[Entry], str | None]:
    return ledger.list_entries(
        school_id, question.zone, limit=span, before=before, start=question.start, end=question.end
    )


def _before(entry: Entry, balance: Figures | None) -> Figures | None:
    if balance is None:
        return None
    return replace(
        balance,
        available=balance.available - entry.available,
        held=balance.held - entry.held,
        captured=balance.captured - entry.captured,
    )


def _is_asked(entry: Entry, question: Question) -> bool:
    return (
        entry.zone is question.zone
        and (question.start is None or entry.at >= question.start)
        and (question.end is None or entry.at < question.end)
        and (question.kind is None or kind_of(entry.cause) is question.kind)
    )


def _check(question: Question) -> None:
    if question.start is not None and question.end is not None and question.start >= question.end:
        raise InvalidRequest(fields=[FieldProblem("/query/to", "range", "Later than `from`")])


def _write_cursor(key: str, balance: Figures | None) -> str:
    text = f"{key}|{balance.available},{balance.held},{balance.captured}" if balance is not None else key
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _read_cursor(text: str) -> tuple[str, Figures | None]:
    try:
        plain = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (NotBase64, ValueError):
        plain = ""
    found = CURSOR.fullmatch(plain)
    if found is None:
        raise InvalidRequest(fields=[FieldProblem("/query/cursor", "malformed", "`next` of the page before")])
    figures = found["figures"]
    return found["key"], Figures(*(int(one) for one in figures.split(","))) if figures else None
