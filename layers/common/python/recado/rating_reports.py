"""What handset messages came to, for billing (C6): each of them in a file, their totals, and a single one.

It reads only. A file has closed days alone, so the same days are the same bytes whenever they are asked for.
"""

import base64
import json
import zlib
from binascii import Error as NotBase64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import groupby
from typing import Any

from recado import tariffs
from recado.access import Caller
from recado.errors import FieldProblem, InvalidRequest, NotFound
from recado.rules import rating_days, rating_sums
from recado.rules import tariffs as tariff_rules
from recado.rules.country_time import local_day
from recado.rules.rating_sums import RatingSum
from recado.tables import ratings as table
from recado.tables.ratings import RatedReply

ROWS_MAX = 5_000  # of one answer: at most 400 bytes a line, and Lambda answers 6 MB
TOTALS_ROWS_MAX = 20_000  # added up for one answer
SKIP_MAX = 1_000_000  # messages of one moment


@dataclass(frozen=True, slots=True)
class RatingFile:
    """A part of the file; `sums` are those of all lines from the first part to this one, said when it is the last."""

    taxes: tuple[str, ...]
    lines: list[RatedReply]
    sums: tuple[RatingSum, ...]
    following: str | None


@dataclass(frozen=True, slots=True)
class DayTotals:
    """`is_closed`: nothing will be added to this day any more."""

    day: date
    sums: tuple[RatingSum, ...]
    is_closed: bool


@dataclass(frozen=True, slots=True)
class Totals:
    """Days that were added up to their end, and the sums of all days from the first to these."""

    days: list[DayTotals]
    sums: tuple[RatingSum, ...]
    following: str | None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the next page begins: on this day, at this moment, behind so many of that very moment.

    `sums` are of everything before; `of_day` of what of that day was before.
    """

    day: date
    begin: datetime | None = None
    skip: int = 0
    sums: tuple[RatingSum, ...] = ()
    of_day: tuple[RatingSum, ...] = ()


def list_file(
    caller: Caller, country: str, first: str, last: str, *, limit: int, cursor: str | None, now: datetime
) -> RatingFile:
    """A part of the billing file of these days of the country's, by time, then carrier and id.

    Raises NotAllowed, InvalidRequest: also `still_open` for a day that may still grow.
    """
    tariffs.check_caller(caller)
    days = rating_days.read_days(first, last)
    if not rating_days.is_settled(country, days[-1], now):
        detail = "A file has days that are over by the country's clocks, for ten minutes at least"
        raise InvalidRequest(fields=[FieldProblem("/query/to", "still_open", detail)])
    place = _read_cursor(cursor, country, days)
    lines, following = _read_page(country, days, place, limit=limit)
    sums = rating_sums.add_up((one.rating for one in lines), place.sums)
    taxes = tariff_rules.tax_names(tariffs.tariffs_of(country), days[0], days[-1])
    return RatingFile(taxes, lines, sums, _write_cursor(country, days, following, sums))


def get_totals(
    caller: Caller, country: str, first: str, last: str, *, limit: int, cursor: str | None, now: datetime
) -> Totals:
    """What each day and all of them together come to; at most `limit` messages are added up for one answer.

    Raises NotAllowed, InvalidRequest.
    """
    tariffs.check_caller(caller)
    days = rating_days.read_days(first, last)
    place = _read_cursor(cursor, country, days)
    lines, following = _read_page(country, days, place, limit=limit)

    # 1. What was read, by day; the first goes on where the page before stopped.
    by_day = {place.day: place.of_day}
    for day, replies in groupby(lines, key=lambda reply: local_day(country, reply.rated_at)):
        by_day[day] = rating_sums.add_up((one.rating for one in replies), by_day.get(day, ()))

    # 2. Days that were read to their end are told; the one that was not goes into the cursor.
    whole = [day for day in days if place.day <= day and (following is None or day < following.day)]
    told = [DayTotals(day, by_day.get(day, ()), rating_days.is_settled(country, day, now)) for day in whole]
    sums = rating_sums.add_up((one.rating for one in lines), place.sums)
    of_day = by_day.get(following.day, ()) if following else ()
    return Totals(told, sums, _write_cursor(country, days, following, sums, of_day))


def get_rating(caller: Caller, carrier: str, reply_id: str) -> RatedReply:
    """The rating of one message, by its carrier and the carrier's id. Raises NotAllowed, NotFound."""
    tariffs.check_caller(caller)
    found = table.find_rating(carrier, reply_id)
    if found is None:
        raise NotFound("No message of this id was rated")
    return found


def _read_page(
    country: str, days: Sequence[date], place: _Place, *, limit: int
) -> tuple[list[RatedReply], _Place | None]:
    """At most `limit` rated messages from a place on, and the place of the next one (None: there is none)."""
    found: list[RatedReply] = []
    for day in days:
        if day < place.day:
            continue
        begin, skip = (place.begin, place.skip) if day == place.day else (None, 0)
        # One more than is wanted says whether there is more.
        found += table.list_day(country, day, begin=begin, skip=skip, limit=limit + 1 - len(found))
        if len(found) > limit:
            return found[:limit], _place_after(country, found[:limit], found[limit], place)
    return found, None


def _place_after(country: str, page: Sequence[RatedReply], coming: RatedReply, place: _Place) -> _Place:
    moment = coming.rated_at
    skip = sum(one.rated_at == moment for one in page) + (place.skip if place.begin == moment else 0)
    return _Place(local_day(country, moment), moment, skip)


def _write_cursor(
    country: str,
    days: Sequence[date],
    place: _Place | None,
    sums: Sequence[RatingSum],
    of_day: Sequence[RatingSum] = (),
) -> str | None:
    if place is None or place.begin is None:
        return None
    written = [
        _fingerprint(country, days),
        place.begin.isoformat(),
        place.skip,
        rating_sums.write_sums(sums),
        rating_sums.write_sums(of_day),
    ]
    return base64.urlsafe_b64encode(json.dumps(written, separators=(",", ":")).encode()).decode().rstrip("=")


def _read_cursor(cursor: str | None, country: str, days: Sequence[date]) -> _Place:
    if cursor is None:
        return _Place(days[0])
    try:
        written: Any = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        fingerprint, begin, skip, sums, of_day = written
        moment = datetime.fromisoformat(begin).astimezone(UTC)
        place = _Place(
            local_day(country, moment), moment, int(skip), rating_sums.read_sums(sums), rating_sums.read_sums(of_day)
        )
    except (NotBase64, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise _not_ours() from error
    if fingerprint != _fingerprint(country, days) or place.day not in days or not 0 <= place.skip <= SKIP_MAX:
        raise _not_ours()
    return place


def _not_ours() -> InvalidRequest:
    return InvalidRequest(fields=[FieldProblem("/query/cursor", "malformed", "Not a cursor of this list")])


def _fingerprint(country: str, days: Sequence[date]) -> int:
    return zlib.crc32(f"{country} {days[0]} {days[-1]}".encode())
