"""/templates: saved texts in versions, and what a text comes to while it is written. It decides nothing."""

from datetime import datetime
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, Field, StrictBool, StrictInt

from recado import clock, idempotency, templates, web
from recado.rules import texts
from recado.rules.message_states import Category
from recado.rules.segments import Encoding, Size
from recado.rules.texts import FieldValues
from recado.tables.templates import Template
from recado.templates import Content, Preview

app = web.resolver()

VERSION_MAX = 99_999_999
TemplateId = Annotated[str, Path(pattern=r"^[a-z0-9]{1,64}$")]
VersionFilter = Annotated[int | None, Query(ge=1, le=VERSION_MAX, description="left out: the newest")]
Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[str | None, Query(pattern=r"^[a-z0-9]{1,64}$", description="`next` of the page before")]
VersionCursor = Annotated[int | None, Query(ge=1, le=VERSION_MAX, description="`next` of the page before")]
Names = Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=20)]
Text = Annotated[str, Field(max_length=texts.CHARACTERS_MAX)]
TAGS = ["templates"]
NOT_FOUND: dict[int, OpenAPIResponse] = {404: {"description": "`not_found`"}}
CONFLICT: dict[int, OpenAPIResponse] = {409: {"description": "`changed_meanwhile`, or `wrong_state` when archived"}}


class TemplateRequest(web.RequestModel):
    """What a template says. `{student}`, `{course}` and `{guardian}` are filled in for each recipient."""

    name: str = Field(max_length=templates.NAME_CHARACTERS_MAX, examples=["Suspensión de clases"])
    text: Text = Field(examples=["Estimada familia de {estudiante}: mañana no hay clases."])
    category: Category
    drop_accents: StrictBool = Field(default=False, description="send it without á í ó ú, which cost; never without ñ")


class TemplateChange(TemplateRequest):
    """The whole of the next version, and the version it was made from."""

    version: StrictInt = Field(ge=1, le=VERSION_MAX, description="the newest that was read; another one is refused")


class TemplateView(BaseModel):
    """One version of a template. `segments` is what it costs with a neutral word in each field."""

    id: str
    version: int
    newest_version: int
    name: str
    text: str
    category: Category
    drop_accents: bool
    fields: list[texts.Field]
    segments: int
    saved_by: str
    saved_at: datetime
    created_by: str
    created_at: datetime
    archived_by: str | None
    archived_at: datetime | None


class TemplateList(BaseModel):
    """The templates that are not archived, by id; `next` is the cursor of the next page."""

    templates: list[TemplateView]
    next: str | None


class VersionList(BaseModel):
    """A template's versions, newest first; `next` is the cursor of the next page."""

    versions: list[TemplateView]
    next: int | None


class PreviewValues(web.RequestModel):
    """Names as they would be filled in; several are joined as in a family of several children."""

    student: Names = Field(default_factory=list, examples=[["Ana", "Inés"]])
    course: Names = Field(default_factory=list)
    guardian: Names = Field(default_factory=list)


class PreviewRequest(web.RequestModel):
    text: Text
    drop_accents: StrictBool = False
    values: PreviewValues = Field(default_factory=PreviewValues)


class SizeView(BaseModel):
    """`units` are septets of GSM-7 or code units of UCS-2; a segment costs one credit per recipient."""

    encoding: Encoding
    units: int
    segments: int


class TextProblem(BaseModel):
    field: str
    code: str
    detail: str


class PreviewView(SizeView):
    """The text as it would be sent, and its price. `problems` says why it could not be sent as it stands."""

    text: str
    without_accents: SizeView = Field(description="the price without á í ó ú")
    costly_characters: list[str] = Field(description="what forces UCS-2, each once")
    fields: list[texts.Field]
    missing: list[texts.Field] = Field(description="fields without a value: a neutral word stands there")
    problems: list[TextProblem]


@app.post("/templates", summary="Save a text as a template", tags=TAGS, status_code=201)
def create_template(body: TemplateRequest) -> TemplateView:
    caller, now, key = web.caller(app), clock.now(), web.idempotency_key(app)
    templates.check_caller(caller)  # before anything is written, the key's own row included

    def work(is_first: bool) -> dict[str, Any]:  # idempotency.Work's shape
        return _view(templates.create(caller, _content(body), key, now, is_first=is_first)).model_dump(mode="json")

    return TemplateView.model_validate(idempotency.once(caller.school_id, key, web.idempotent_request(app), now, work))


@app.get("/templates", summary="The school's templates", tags=TAGS)
def list_templates(limit: Limit = 50, cursor: Cursor = None) -> TemplateList:
    found, following = templates.list_offered(web.caller(app), limit=limit, after=cursor)
    return TemplateList(templates=[_view(one) for one in found], next=following)


@app.post("/templates/preview", summary="What a text comes to, while it is written; nothing is saved", tags=TAGS)
def preview_text(body: PreviewRequest) -> PreviewView:
    values = FieldValues(tuple(body.values.student), tuple(body.values.course), tuple(body.values.guardian))
    return _preview_view(templates.preview(web.caller(app), body.text, values, drop_accents=body.drop_accents))


@app.get("/templates/<template_id>", summary="A template, or one of its versions", tags=TAGS, responses=NOT_FOUND)
def get_template(template_id: TemplateId, version: VersionFilter = None) -> TemplateView:
    return _view(templates.get(web.caller(app), template_id, version))


@app.get(
    "/templates/<template_id>/versions",
    summary="A template's versions, newest first",
    tags=TAGS,
    responses=NOT_FOUND,
)
def list_versions(template_id: TemplateId, limit: Limit = 50, cursor: VersionCursor = None) -> VersionList:
    found, following = templates.list_versions(web.caller(app), template_id, limit=limit, before=cursor)
    return VersionList(versions=[_view(one) for one in found], next=following)


@app.put(
    "/templates/<template_id>",
    summary="Save a template's next version; the ones before stay readable",
    tags=TAGS,
    responses=NOT_FOUND | CONFLICT,
)
def change_template(template_id: TemplateId, body: TemplateChange) -> TemplateView:
    return _view(templates.change(web.caller(app), template_id, _content(body), body.version, clock.now()))


@app.delete(
    "/templates/<template_id>",
    summary="Archive a template: it is not offered any more, and what was made from it keeps it",
    tags=TAGS,
    status_code=204,
    responses=NOT_FOUND,
)
def archive_template(template_id: TemplateId) -> Response[None]:
    templates.archive(web.caller(app), template_id, clock.now())
    return Response(status_code=204)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return web.answer(app, event, context)


def _content(body: TemplateRequest) -> Content:
    return Content(body.name, body.category, body.text, body.drop_accents)


def _view(template: Template) -> TemplateView:
    return TemplateView(
        id=template.id,
        version=template.version,
        newest_version=template.newest_version,
        name=template.name,
        text=template.text,
        category=template.category,
        drop_accents=template.drop_accents,
        fields=sorted(texts.fields_in(template.text)),
        segments=texts.price_of(template.text, texts.EMPTY, template.drop_accents).segments,
        saved_by=template.saved_by,
        saved_at=template.saved_at,
        created_by=template.created_by,
        created_at=template.created_at,
        archived_by=template.archived_by,
        archived_at=template.archived_at,
    )


def _size_view(size: Size) -> SizeView:
    return SizeView(encoding=size.encoding, units=size.units, segments=size.segments)


def _preview_view(found: Preview) -> PreviewView:
    return PreviewView(
        text=found.text,
        encoding=found.size.encoding,
        units=found.size.units,
        segments=found.size.segments,
        without_accents=_size_view(found.without_accents),
        costly_characters=list(found.costly),
        fields=sorted(found.fields),
        missing=sorted(found.missing),
        problems=[TextProblem(field=one.field, code=one.code, detail=one.detail) for one in found.problems],
    )
