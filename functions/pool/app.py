"""/operator/short-codes and /operator/fleets: what sessions write from, and whom they write to. It decides nothing."""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlencode

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, Field

from recado import clock, fleets, idempotency, pool, schools, web
from recado.rules import csv_cells, fleet_rows
from recado.rules.fleet_rows import FleetEntry
from recado.rules.idle_timeout import IDLE_LIMIT, LONGEST_SESSION
from recado.rules.pace import RATE_MAX, RATE_MIN
from recado.rules.short_codes import CodeState
from recado.settings import SETTINGS
from recado.tables.short_codes import Purpose, ShortCode

app = web.resolver()

COUNTRY = "^[A-Z]{2}$"
Country = Annotated[str, Path(pattern=COUNTRY, description="ISO 3166-1 alpha-2")]
Code = Annotated[str, Path(pattern=r"^\+?[0-9]{3,15}$")]
Number = Annotated[str, Path(min_length=1, max_length=64, description="as people type it, with or without its plus")]
CountryFilter = Annotated[str | None, Query(pattern=COUNTRY, description="only this country's")]
CountryQuery = Annotated[str, Query(pattern=COUNTRY, description="ISO 3166-1 alpha-2")]
CarrierFilter = Annotated[str | None, Query(pattern="^[a-z0-9_]{1,40}$", description="only codes of this carrier")]
PurposeFilter = Annotated[Purpose | None, Query(description="only codes of this purpose")]
StateFilter = Annotated[CodeState | None, Query(description="only codes in this state")]
SESSION_SECONDS = int(IDLE_LIMIT.total_seconds())  # somebody sends one text and hears nothing
SESSION_SECONDS_MAX = int(LONGEST_SESSION.total_seconds())
SessionSeconds = Annotated[
    int, Query(ge=1, le=SESSION_SECONDS_MAX, description="how long a session lasts, its five idle minutes included")
]
PerHour = Annotated[float | None, Query(ge=0.01, le=1000, description="wanted for each handset: how many codes?")]
PerDay = Annotated[float | None, Query(ge=0.01, le=24_000, description="the same for a day")]
PartsPerSecond = Annotated[float | None, Field(ge=RATE_MIN, le=RATE_MAX)]
Limit = Annotated[int, Query(ge=1, le=1000, description="entries on a page")]
Cursor = Annotated[str | None, Query(max_length=40, description="`next` of the page before")]
LastOfRange = Annotated[
    str | None, Query(min_length=1, max_length=64, description="the range from the path's number to this one")
]
PACE = "message parts a second that schools' messages leave by it; null: as fast as its carrier takes them"
CODES, FLEETS = ["short codes"], ["fleet lists"]
CSV_ROWS_MAX = fleets.IMPORT_ROWS_MAX  # what one answer has, one request takes
NOT_FOUND: dict[int, OpenAPIResponse] = {404: {"description": "`not_found`"}}
TAKEN: dict[int, OpenAPIResponse] = {409: {"description": "`already_exists`"}}
WRONG_STATE: dict[int, OpenAPIResponse] = {409: {"description": "`wrong_state`; too early, it has `removable_at`"}}
FULL: dict[int, OpenAPIResponse] = {409: {"description": f"`wrong_state`: there are {fleets.RANGES_MAX} ranges"}}
CSV: dict[int, OpenAPIResponse] = {
    200: {
        "description": "UTF-8 with a byte order mark; `Link` with rel=next names where more rows are",
        "content": {"text/csv": {"schema": {"type": "string"}}},
    }
}
FILE: dict[int, OpenAPIResponse] = {
    413: {"description": f"`too_large`: more than {fleets.IMPORT_ROWS_MAX} rows or {web.CSV_BYTES_MAX} bytes"},
    415: {"description": "`unsupported_media_type`: not text/csv"},
}


class ShortCodeRequest(web.RequestModel):
    country: str = Field(description="ISO 3166-1 alpha-2")
    code: str = Field(description="3 to 8 digits, or a number in E.164")
    carrier: str | None = Field(default=None, description="who brings its texts; left out: the stack's carrier")
    purpose: Purpose = Field(description="a code serves sessions or schools, never both")
    school: str | None = Field(default=None, description="whose own it is; left out: shared")
    parts_per_second: PartsPerSecond = Field(default=None, description=PACE)


class PaceRequest(web.RequestModel):
    parts_per_second: PartsPerSecond = Field(description=PACE)


class ShortCodeView(BaseModel):
    country: str
    code: str
    carrier: str
    purpose: Purpose
    school: str | None
    state: CodeState
    drained_at: datetime | None
    removable_at: datetime | None = Field(description="of a draining code: when it can be removed")
    removed_at: datetime | None
    parts_per_second: float | None = Field(description=PACE)


class ShortCodeList(BaseModel):
    codes: list[ShortCodeView]


class WantedView(BaseModel):
    """What was asked for, and the codes it takes."""

    sessions_per_hour: float | None
    sessions_per_day: float | None
    codes_needed: int
    codes_missing: int


class CapacityView(BaseModel):
    """What the free codes give each handset; handsets do not compete with each other."""

    country: str
    carrier: str = Field(description="the first of carriers")
    carriers: list[str] = Field(description="only their codes are counted: another's are given to no session")
    codes_free: int
    codes_draining: int
    quarantine_seconds: int
    session_seconds: int
    sessions_per_hour: float
    sessions_per_day: float
    wanted: WantedView | None


class FleetEntryRequest(web.RequestModel):
    """A number, or a range from … to, as people type them."""

    number: str | None = Field(default=None, max_length=64, examples=["809 555 0101"])
    first: str | None = Field(default=None, alias="from", max_length=64)
    last: str | None = Field(default=None, alias="to", max_length=64)


class FleetEntryView(BaseModel):
    """A number, or a range from … to, in E.164."""

    number: str | None
    first: str | None = Field(serialization_alias="from")
    last: str | None = Field(serialization_alias="to")


class FleetList(BaseModel):
    """Ranges first; `next` is the cursor of the next page."""

    entries: list[FleetEntryView]
    next: str | None


class FleetNumberView(BaseModel):
    """C3: a barred number receives what a session sends and cannot answer it."""

    number: str
    is_barred: bool
    entries: list[FleetEntryView] = Field(description="what bars it: itself, and the ranges it is in")


class FleetBadRowView(BaseModel):
    """`column` is empty when the whole line is wrong."""

    line: int
    column: str
    reason: str


class FleetImportView(BaseModel):
    """Bad rows are left out, the others are on the list; the same file again adds nothing."""

    added: int
    there_already: int
    bad: int
    bad_rows: list[FleetBadRowView] = Field(description=f"the first {fleets.BAD_ROWS_SHOWN}")


# --- short codes --------------------------------------------------------------------------------------------


@app.post(
    "/operator/short-codes",
    summary="Add a short code to the pool, also one that was removed",
    tags=CODES,
    status_code=201,
    responses=NOT_FOUND | TAKEN,
)
def add_code(body: ShortCodeRequest) -> ShortCodeView:
    code = ShortCode(
        body.country,
        body.code,
        body.carrier or SETTINGS.carrier,
        body.purpose,
        body.school,
        parts_per_second=body.parts_per_second,
    )
    caller, key = web.caller(app), web.idempotency_key(app)
    schools.check_caller(caller)  # before anything is written, the key's own row included

    def work(_: bool) -> dict[str, Any]:  # idempotency.Work's shape
        return _code_view(pool.add_code(caller, code)).model_dump(mode="json")

    answer = idempotency.once(caller.school_id, key, web.idempotent_request(app), clock.now(), work)
    return ShortCodeView.model_validate(answer)


@app.get("/operator/short-codes", summary="The pool of short codes", tags=CODES)
def list_codes(
    country: CountryFilter = None,
    carrier: CarrierFilter = None,
    purpose: PurposeFilter = None,
    state: StateFilter = None,
) -> ShortCodeList:
    found = pool.list_codes(web.caller(app), pool.Filter(country, carrier, purpose, state))
    return ShortCodeList(codes=[_code_view(one) for one in found])


@app.get(
    "/operator/short-codes/capacity",
    summary="How many sessions the pool gives each handset, and how many codes a wish needs",
    tags=CODES,
    responses=NOT_FOUND,
)
def get_capacity(
    country: CountryQuery,
    session_seconds: SessionSeconds = SESSION_SECONDS,
    sessions_per_hour: PerHour = None,
    sessions_per_day: PerDay = None,
) -> CapacityView:
    wish = pool.read_wish(sessions_per_hour, sessions_per_day)
    found = pool.get_capacity(web.caller(app), country, timedelta(seconds=session_seconds), wish)
    return _capacity_view(found, sessions_per_hour, sessions_per_day)


@app.post(
    "/operator/short-codes/<country>/<code>/drain",
    summary="Stop new uses of a code; the sessions that hold it go on",
    tags=CODES,
    responses=NOT_FOUND | WRONG_STATE,
)
def drain_code(country: Country, code: Code) -> ShortCodeView:
    return _code_view(pool.drain_code(web.caller(app), country, code, clock.now()))


@app.put(
    "/operator/short-codes/<country>/<code>/pace",
    summary="How fast messages of schools may leave by a code",
    tags=CODES,
    responses=NOT_FOUND | WRONG_STATE,
)
def set_pace(country: Country, code: Code, body: PaceRequest) -> ShortCodeView:
    return _code_view(pool.set_pace(web.caller(app), country, code, body.parts_per_second))


@app.delete(
    "/operator/short-codes/<country>/<code>",
    summary="Remove a code that has drained",
    tags=CODES,
    status_code=204,
    responses=NOT_FOUND | WRONG_STATE,
)
def remove_code(country: Country, code: Code) -> Response[None]:
    pool.remove_code(web.caller(app), country, code, clock.now())
    return Response(status_code=HTTPStatus.NO_CONTENT)


# --- fleet lists (C3) ---------------------------------------------------------------------------------------


@app.get("/operator/fleets/<country>", summary="Who cannot answer sessions (C3)", tags=FLEETS, responses=NOT_FOUND)
def list_fleet(country: Country, limit: Limit = 100, cursor: Cursor = None) -> FleetList:
    found, following = fleets.list_entries(web.caller(app), country, limit=limit, cursor=cursor)
    return FleetList(entries=[_entry_view(one) for one in found], next=following)


@app.post(
    "/operator/fleets/<country>",
    summary="List a number or a range as one that cannot answer",
    tags=FLEETS,
    responses=NOT_FOUND | FULL,
)
def add_to_fleet(country: Country, body: FleetEntryRequest) -> FleetEntryView:
    number, first, last = body.number or "", body.first or "", body.last or ""
    return _entry_view(fleets.add_entry(web.caller(app), country, number, first, last))


@app.post(
    "/operator/fleets/<country>/list.csv",
    summary="Add the numbers and ranges of a CSV; bad rows are left out and named",
    tags=FLEETS,
    responses=NOT_FOUND | FILE,
)
def import_fleet(country: Country) -> FleetImportView:
    found = fleets.import_csv(web.caller(app), country, web.csv_body(app))
    rows = [FleetBadRowView(line=one.line, column=one.column, reason=one.reason) for one in found.bad_rows]
    return FleetImportView(added=found.added, there_already=found.there_already, bad=found.bad, bad_rows=rows)


@app.get(
    "/operator/fleets/<country>/list.csv",
    summary="The list for a spreadsheet, as it can be imported again",
    tags=FLEETS,
    responses=CSV | NOT_FOUND,
)
def export_fleet(country: Country, cursor: Cursor = None) -> Response[str]:
    found, following = fleets.list_entries(web.caller(app), country, limit=CSV_ROWS_MAX, cursor=cursor)
    body = csv_cells.csv_text(fleet_rows.COLUMNS, (_entry_cells(one) for one in found))
    headers: dict[str, str | list[str]] = {"Content-Disposition": f'attachment; filename="fleet-{country}.csv"'}
    if following:
        headers["Link"] = f'<?{urlencode({"cursor": following})}>; rel="next"'
    return Response(status_code=200, content_type="text/csv; charset=utf-8", body=body, headers=headers)


@app.get(
    "/operator/fleets/<country>/<number>",
    summary="Whether a number is barred, and by which entry",
    tags=FLEETS,
    responses=NOT_FOUND,
)
def look_up(country: Country, number: Number) -> FleetNumberView:
    found = fleets.look_up(web.caller(app), country, number)
    entries = [_entry_view(one) for one in found.entries]
    return FleetNumberView(number=found.number, is_barred=bool(entries), entries=entries)


@app.delete(
    "/operator/fleets/<country>/<number>",
    summary="Take a number off the list; with `to`, exactly that range",
    tags=FLEETS,
    status_code=204,
    responses=NOT_FOUND,
)
def remove_from_fleet(country: Country, number: Number, to: LastOfRange = None) -> Response[None]:
    fleets.remove_entry(web.caller(app), country, number, to)
    return Response(status_code=HTTPStatus.NO_CONTENT)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return web.answer(app, event, context)


def _code_view(code: ShortCode) -> ShortCodeView:
    return ShortCodeView(
        country=code.country,
        code=code.code,
        carrier=code.carrier,
        purpose=code.purpose,
        school=code.school,
        state=code.state,
        drained_at=code.drained_at,
        removable_at=pool.removal_of(code),
        removed_at=code.removed_at,
        parts_per_second=code.parts_per_second,
    )


def _capacity_view(found: pool.Capacity, per_hour: float | None, per_day: float | None) -> CapacityView:
    wanted = None
    if found.codes_needed is not None and found.codes_missing is not None:
        wanted = WantedView(
            sessions_per_hour=per_hour,
            sessions_per_day=per_day,
            codes_needed=found.codes_needed,
            codes_missing=found.codes_missing,
        )
    return CapacityView(
        country=found.country,
        carrier=found.carriers[0],
        carriers=list(found.carriers),
        codes_free=found.free,
        codes_draining=found.draining,
        quarantine_seconds=int(found.quarantine.total_seconds()),
        session_seconds=int(found.session.total_seconds()),
        sessions_per_hour=round(found.per_hour, 3),
        sessions_per_day=round(found.per_day, 3),
        wanted=wanted,
    )


def _entry_view(entry: FleetEntry) -> FleetEntryView:
    if entry.last is None:
        return FleetEntryView(number=entry.first, first=None, last=None)
    return FleetEntryView(number=None, first=entry.first, last=entry.last)


def _entry_cells(entry: FleetEntry) -> tuple[str, str, str]:
    return (entry.first, "", "") if entry.last is None else ("", entry.first, entry.last)
