"""The fleet list (C3): whose plan bars short codes. They receive what a session sends and cannot answer it.

The platform's staff keep it, a country at a time; sessions ask it. No number of it is ever logged.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO

from recado import log
from recado.access import Caller
from recado.errors import FieldProblem, InvalidRequest, NotAllowed, NotFound, TooLarge, WrongState
from recado.rules import csv_rows, fleet_rows
from recado.rules.csv_rows import UnreadableRow
from recado.rules.fleet_rows import FleetEntry, RowProblem
from recado.rules.phone_numbers import country_of
from recado.rules.roles import Role
from recado.settings import SETTINGS
from recado.tables import fleets as table

RANGES_MAX = 500  # of a country: each reply and each opening reads them all
IMPORT_ROWS_MAX = 20_000
BAD_ROWS_SHOWN = 1000
WORDS = {  # of what a row can have wrong
    "ambiguous": "A number, or a range from … to; not both",
    "missing": "A number, or a range with both its ends",
    "not_a_number": "No phone number",
    "other_country": "A number of another country",
    "other_length": "Not as long as `from`",
    "before_from": "Before `from`",
    "too_many_numbers": f"A range may have {fleet_rows.RANGE_NUMBERS_MAX:,} numbers",
    "too_many_ranges": f"A country may have {RANGES_MAX} ranges",
}


@dataclass(frozen=True, slots=True)
class Looked:
    """A number, in E.164, and the entries that bar it: itself, ranges, or none."""

    number: str
    entries: tuple[FleetEntry, ...]


@dataclass(frozen=True, slots=True)
class BadRow:
    """A line that was left out; `column` is '' for the whole line."""

    line: int
    column: str
    reason: str


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file's rows; `bad_rows` are the first of `bad`."""

    added: int
    there_already: int
    bad: int
    bad_rows: tuple[BadRow, ...]


def find_barred(numbers: Iterable[str]) -> frozenset[str]:
    """Those of the E.164 numbers that cannot answer, each by its own country's list as it is now."""
    by_country: dict[str, list[str]] = defaultdict(list)
    for number in numbers:
        country = country_of(number)
        if country is not None:
            by_country[country].append(number)
    barred: set[str] = set()
    for country, own in by_country.items():
        ranges = fleet_rows.merge(table.list_ranges(country))
        barred |= table.list_members(country, own)
        barred |= {number for number in own if fleet_rows.is_within(ranges, number)}
    return frozenset(barred)


# --- the platform's staff -----------------------------------------------------------------------------------


def list_entries(
    caller: Caller, country: str, *, limit: int, cursor: str | None
) -> tuple[list[FleetEntry], str | None]:
    """A page of the list, ranges first, and the cursor of the next one (None: no more)."""
    _check(caller, country)
    found, has_more = table.list_entries(country, limit=limit, after=_read_cursor(cursor))
    return found, _cursor(found[-1]) if has_more else None


def look_up(caller: Caller, country: str, number: str) -> Looked:
    """Whether a number is barred, and by what. Raises InvalidRequest for what is no number of this country."""
    _check(caller, country)
    found = _entry(number, "", "", country, {"number": "/path/number"})
    ranges = sorted(one for one in table.list_ranges(country) if one.covers(found.first))
    own = [found] if table.list_members(country, [found.first]) else []
    return Looked(found.first, (*own, *ranges))


def add_entry(caller: Caller, country: str, number: str, first: str, last: str) -> FleetEntry:
    """Lists a number, or a range; what is listed already stays so. Raises InvalidRequest, WrongState when full."""
    _check(caller, country)
    entry = _entry(number, first, last, country, {name: f"/{name}" for name in fleet_rows.COLUMNS})
    if entry.last is not None:
        ranges = table.list_ranges(country)
        if entry not in ranges and len(ranges) >= RANGES_MAX:
            raise WrongState(WORDS["too_many_ranges"])
    is_new = table.create_entry(country, entry)
    log.outcome("fleet_entry_added", country=country, is_range=entry.last is not None, is_new=is_new)
    return entry


def remove_entry(caller: Caller, country: str, first: str, last: str | None) -> None:
    """Takes a number, or exactly this range, off the list; what is not there is off it. Raises InvalidRequest."""
    _check(caller, country)
    if last is None:
        entry = _entry(first, "", "", country, {"number": "/path/number"})
    else:
        entry = _entry("", first, last, country, {"from": "/path/number", "to": "/query/to"})
    was_there = table.delete_entry(country, entry)
    log.outcome("fleet_entry_removed", country=country, is_range=entry.last is not None, was_there=was_there)


def import_csv(caller: Caller, country: str, content: bytes) -> Imported:
    """Adds the rows of a CSV with the columns `number`, or `from` and `to`; a bad row is left out and named.

    The same file again changes nothing; cut off in the middle, it is completed by sending it again.
    Raises InvalidRequest for a file without these columns, TooLarge for one with too many rows.
    """
    # 1. What the file says. Nothing is written before all of it has been read.
    _check(caller, country)
    opened = csv_rows.open_table(BytesIO(content), "/")
    columns = set(opened.columns)
    if len(columns) < len(opened.columns):
        raise InvalidRequest(fields=[FieldProblem("/", "columns", "The first line names a column twice")])
    if "number" not in columns and not {"from", "to"} <= columns:
        raise InvalidRequest(fields=[FieldProblem("/", "columns", "The first line names `number`, or `from` and `to`")])
    wanted: dict[FleetEntry, int] = {}  # the line it stands in first
    bad: list[BadRow] = []
    repeated = 0
    for count, row in enumerate(csv_rows.list_rows(opened), start=1):
        if count > IMPORT_ROWS_MAX:
            raise TooLarge(f"A file may have {IMPORT_ROWS_MAX:,} rows; send it in parts")
        if isinstance(row, UnreadableRow):
            bad.append(BadRow(row.line, row.column, row.reason))
            continue
        entry = fleet_rows.read_entry(row["number"], row["from"], row["to"], country)
        if isinstance(entry, RowProblem):
            bad.append(BadRow(row.line, entry.column, entry.reason))
            continue
        repeated += entry in wanted
        wanted.setdefault(entry, row.line)

    # 2. What is there already, and for how many ranges there is room.
    ranges = table.list_ranges(country)
    there = {
        FleetEntry(number) for number in table.list_members(country, [one.first for one in wanted if not one.last])
    }
    there |= set(ranges) & wanted.keys()
    missing = [entry for entry in wanted if entry not in there]
    too_many = [entry for entry in missing if entry.last is not None][max(0, RANGES_MAX - len(ranges)) :]
    bad += [BadRow(wanted[entry], "from", "too_many_ranges") for entry in too_many]

    # 3. The rest.
    left_out = set(too_many)
    added = [entry for entry in missing if entry not in left_out]
    table.save_entries(country, added)
    bad.sort(key=lambda one: one.line)
    log.outcome("fleet_list_imported", country=country, added=len(added), there=len(there) + repeated, bad=len(bad))
    return Imported(len(added), len(there) + repeated, len(bad), tuple(bad[:BAD_ROWS_SHOWN]))


def _check(caller: Caller, country: str) -> None:
    if caller.role is not Role.OPERATOR:
        raise NotAllowed
    if country not in SETTINGS.country_codes:
        raise NotFound("There are no short codes in this country")


def _entry(number: str, first: str, last: str, country: str, places: dict[str, str]) -> FleetEntry:
    found = fleet_rows.read_entry(number, first, last, country)
    if isinstance(found, RowProblem):
        place = places.get(found.column, "/")
        raise InvalidRequest(fields=[FieldProblem(place, found.reason, WORDS[found.reason])])
    return found


def _cursor(entry: FleetEntry) -> str:
    return f"{entry.first}.{entry.last or ''}".replace("+", "")  # a plus in a query is read as a blank


def _read_cursor(cursor: str | None) -> FleetEntry | None:
    if cursor is None:
        return None
    first, point, last = cursor.partition(".")
    if not point or not first.isdecimal() or not (last.isdecimal() or not last):
        raise InvalidRequest(fields=[FieldProblem("/query/cursor", "malformed", "Not a cursor of this list")])
    return FleetEntry(f"+{first}", f"+{last}" if last else None)
