"""/imports: a school's rosters. Ask for an upload, see what would change and which rows are bad, apply or discard."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, Field, StrictBool

from recado import clock, idempotency, imports, web
from recado.rules import bad_row_words
from recado.rules.csv_cells import csv_text
from recado.rules.import_states import ZIP, ImportState
from recado.rules.oneroster import BAD_ROWS_KEPT, BadRow
from recado.rules.plain_words import Language
from recado.rules.roster_changes import Change
from recado.rules.roster_diff import Difference, Kind, people_counts
from recado.tables.imports import Import

app = web.resolver()

NEXT = "`next` of the page before"
ImportId = Annotated[str, Path(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
ListCursor = Annotated[str | None, Query(pattern=r"^[0-9T:.+-]{19,40}#[A-Za-z0-9._-]{1,64}$", description=NEXT)]
ChangeCursor = Annotated[str | None, Query(pattern=r"^[a-z]{1,20}\.[a-z]{1,20}\.[0-9]{1,8}$", description=NEXT)]
RowCursor = Annotated[str | None, Query(pattern=r"^[0-9]{1,6}$", description=NEXT)]
KindFilter = Annotated[Kind | None, Query(description="only these")]
ChangeFilter = Annotated[Change | None, Query(description="only these; who stays as they are is not listed")]
Lang = Annotated[Language, Query(description="of the header and the reasons")]
TAGS = ["imports"]
FILES_MAX = 20
NOT_FOUND: dict[int, OpenAPIResponse] = {404: {"description": "`not_found`, also when it is kept no longer"}}
WRONG_STATE: dict[int, OpenAPIResponse] = {409: {"description": "`wrong_state`"}}
NOT_NOW: dict[int, OpenAPIResponse] = {409: {"description": "`wrong_state`, `many_would_go`, `import_running`"}}
CSV_FILE: dict[int, OpenAPIResponse] = {
    200: {"description": "CSV in UTF-8 with a BOM", "content": {"text/csv": {"schema": {"type": "string"}}}}
}


class NewImportRequest(web.RequestModel):
    """What will be uploaded: one zip, or the CSV files of a roster one by one."""

    files: list[str] = Field(
        default=[ZIP],
        min_length=1,
        max_length=FILES_MAX,
        description=f"`{ZIP}` alone, or orgs.csv, classes.csv, users.csv, enrollments.csv, in 1.2 also roles.csv, and "
        "manifest.csv if there is one",
    )


class ApplyRequest(web.RequestModel):
    """Needed as `true` when more than 20 people, and more than half of them, would leave."""

    confirm_gone: StrictBool = False


class ImportUpload(BaseModel):
    """Where to PUT a file's bytes, with no header of authorisation."""

    file: str
    url: str


class ImportProgress(BaseModel):
    """How far the worker is."""

    step: str = Field(description="reading (bytes), comparing or writing (people); empty: not begun")
    done: int
    total: int = Field(description="0: not known")


class ImportProblem(BaseModel):
    """Why a roster was refused as a whole: `field` is a file, or a file and its column."""

    field: str
    code: str
    detail: str


class ImportCounts(BaseModel):
    """How many of each change."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    gone: int = 0


class ImportKinds(BaseModel):
    """The same for each kind."""

    students: ImportCounts
    guardians: ImportCounts
    staff: ImportCounts
    groups: ImportCounts


class ImportView(BaseModel):
    """A roster import and where it stands."""

    id: str
    state: ImportState
    started_at: datetime
    started_by: str
    files: list[str]
    upload_until: datetime | None = Field(description="when the addresses for the upload end")
    uploads: list[ImportUpload] = Field(description="where to put what is still to come; only where it was asked for")
    progress: ImportProgress
    counts: ImportCounts = Field(description="people, by change")
    kinds: ImportKinds
    here: int = Field(description="people of the roster who were there when it was compared")
    problems: list[ImportProblem]
    bad_rows_count: int
    applied_by: str | None
    applied_at: datetime | None
    discarded_by: str | None
    finished_at: datetime | None


class ImportList(BaseModel):
    """Newest first; `next` is the cursor of the next page."""

    imports: list[ImportView]
    next: str | None


class DifferenceView(BaseModel):
    """A person or group that the roster changes; the numbers are there when the number changes."""

    kind: Kind
    change: Change
    id: str
    name: str
    fields: list[str] = Field(description="what changes of a changed one; `returned`: had left and is back")
    number_before: str | None
    number_after: str | None


class DifferenceList(BaseModel):
    """Students, guardians, staff, groups; of each the new, the changed, the gone."""

    changes: list[DifferenceView]
    next: str | None


class BadRowView(BaseModel):
    """A row that was not used, or one column of it; never its value."""

    file: str
    line: int
    column: str
    reason: str


class BadRowList(BaseModel):
    """In the order they were found; `next` is the cursor of the next page."""

    bad_rows: list[BadRowView]
    next: str | None


@app.post("/imports", summary="Begin a roster import: where to upload it", tags=TAGS, status_code=201)
def create_import(body: NewImportRequest) -> ImportView:
    now, caller, key = clock.now(), web.caller(app), web.idempotency_key(app)
    imports.check_caller(caller)  # before anything is written, the key's own row included

    def work(is_first: bool) -> dict[str, str]:  # idempotency.Work's shape
        return {"id": imports.create_import(caller, body.files, key, now, is_first=is_first).id}

    # What is kept for a repeat names the import; the addresses are signed anew and stored nowhere.
    made = idempotency.once(caller.school_id, key, web.idempotent_request(app), now, work)
    one = imports.get_import(caller, made["id"])
    addresses = imports.list_addresses(caller, one, now)
    return _view(one, [ImportUpload(file=address.file, url=address.url) for address in addresses])


@app.get("/imports", summary="The school's imports, newest first", tags=TAGS)
def list_imports(cursor: ListCursor = None) -> ImportList:
    found, following = imports.list_imports(web.caller(app), cursor)
    return ImportList(imports=[_view(one) for one in found], next=following)


@app.get("/imports/<import_id>", summary="Where a roster import stands", tags=TAGS, responses=NOT_FOUND)
def get_import(import_id: ImportId) -> ImportView:
    return _view(imports.get_import(web.caller(app), import_id))


@app.get(
    "/imports/<import_id>/changes",
    summary="What a roster changes, person by person and group by group",
    tags=TAGS,
    responses=NOT_FOUND | WRONG_STATE,
)
def list_changes(
    import_id: ImportId, kind: KindFilter = None, change: ChangeFilter = None, cursor: ChangeCursor = None
) -> DifferenceList:
    found, following = imports.list_differences(web.caller(app), import_id, kind, change, cursor)
    return DifferenceList(changes=[_difference_view(one) for one in found], next=following)


@app.get(
    "/imports/<import_id>/bad-rows",
    summary=f"The rows that were not used, and why: the first {BAD_ROWS_KEPT}",
    tags=TAGS,
    responses=NOT_FOUND,
)
def list_bad_rows(import_id: ImportId, cursor: RowCursor = None) -> BadRowList:
    found, following = imports.list_bad_rows(web.caller(app), import_id, int(cursor or 0))
    return BadRowList(bad_rows=[_row_view(row) for row in found], next=None if following is None else str(following))


@app.get(
    "/imports/<import_id>/bad-rows.csv",
    summary="The same as a file, for whoever corrects the roster",
    tags=TAGS,
    responses=CSV_FILE | NOT_FOUND,
)
def download_bad_rows(import_id: ImportId, lang: Lang = Language.ES) -> Response[str]:
    rows = imports.list_all_bad_rows(web.caller(app), import_id)
    body = csv_text(bad_row_words.HEADER[lang], bad_row_words.rows_in_words(rows, lang))
    headers: dict[str, str | list[str]] = {"Content-Disposition": f'attachment; filename="{import_id}-bad-rows.csv"'}
    return Response(status_code=200, content_type="text/csv; charset=utf-8", body=body, headers=headers)


@app.post(
    "/imports/<import_id>/check",
    summary="Say that all files are there; needed only if it does not begin by itself",
    tags=TAGS,
    responses=NOT_FOUND | WRONG_STATE,
)
def check_import(import_id: ImportId) -> ImportView:
    return _view(imports.check_import(web.caller(app), import_id, clock.now()))


@app.post(
    "/imports/<import_id>/apply",
    summary="Apply a roster: it is done in the background",
    tags=TAGS,
    status_code=202,
    responses=NOT_FOUND | NOT_NOW,
)
def apply_import(import_id: ImportId, body: ApplyRequest) -> ImportView:
    return _view(imports.apply_import(web.caller(app), import_id, clock.now(), confirm_gone=body.confirm_gone))


@app.post(
    "/imports/<import_id>/discard",
    summary="Discard a roster: its files and what they said are deleted",
    tags=TAGS,
    responses=NOT_FOUND | WRONG_STATE,
)
def discard_import(import_id: ImportId) -> ImportView:
    return _view(imports.discard_import(web.caller(app), import_id, clock.now()))


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return web.answer(app, event, context)


def _view(one: Import, uploads: Sequence[ImportUpload] = ()) -> ImportView:
    kinds = {kind.value: ImportCounts(**one.counts.get(kind.value, {})) for kind in Kind}
    return ImportView(
        id=one.id,
        state=one.state,
        started_at=one.started_at,
        started_by=one.started_by,
        files=list(one.files),
        upload_until=one.upload_until,
        uploads=list(uploads),
        progress=ImportProgress(step=one.progress.step, done=one.progress.done, total=one.progress.total),
        counts=ImportCounts(**people_counts(one.counts)),
        kinds=ImportKinds(**kinds),
        here=one.here,
        problems=[ImportProblem(field=found.field, code=found.code, detail=found.detail) for found in one.problems],
        bad_rows_count=one.bad_rows_count,
        applied_by=one.applied_by,
        applied_at=one.applied_at,
        discarded_by=one.discarded_by,
        finished_at=one.finished_at,
    )


def _difference_view(one: Difference) -> DifferenceView:
    return DifferenceView(
        kind=one.kind,
        change=one.change,
        id=one.id,
        name=one.name,
        fields=list(one.fields),
        number_before=one.number_before,
        number_after=one.number_after,
    )


def _row_view(row: BadRow) -> BadRowView:
    return BadRowView(file=row.file, line=row.line, column=row.column, reason=row.reason)
