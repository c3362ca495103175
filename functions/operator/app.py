"""/operator: the platform's staff make schools and keys, sell bags, suspend contracts."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import AwareDatetime, BaseModel, Field

from recado import clock, credit_views, idempotency, school_keys, schools, session_counts, web
from recado.access import Caller
from recado.credit_statement import Question
from recado.credit_views import BagRequestView, BalanceList, StatementView
from recado.rules.credit_bags import Zone
from recado.rules.ledger_words import Kind
from recado.rules.plain_words import Language
from recado.rules.school_records import KEY_ID, SCHOOL_ID
from recado.tables.ledger import Entry
from recado.tables.portal_keys import KeyKind, PortalKey
from recado.tables.schools import Contract, School

app = web.resolver()

SchoolId = Annotated[str, Path(pattern=f"^{SCHOOL_ID.pattern}$")]
KeyId = Annotated[str, Path(pattern=f"^{KEY_ID.pattern}$")]
CountryQuery = Annotated[str, Query(alias="country", pattern="^[A-Z]{2}$", description="ISO 3166-1 alpha-2")]
FirstDay = Annotated[date, Query(alias="from", description="the first day, by the country's clocks")]
LastDay = Annotated[date, Query(alias="to", description="the last day; at most 366 in all")]
ZoneQuery = Annotated[Zone, Query(description="whose numbers its credits pay for")]
From = Annotated[AwareDatetime | None, Query(alias="from", description="from this moment on")]
To = Annotated[AwareDatetime | None, Query(alias="to", description="until before this moment")]
KindQuery = Annotated[Kind | None, Query(description="only movements of this kind")]
MessageId = Annotated[str | None, Query(pattern="^[A-Za-z0-9_-]{1,64}$", description="only what this message moved")]
Limit = Annotated[int, Query(ge=1, le=100, description="entries on a page")]
Cursor = Annotated[str | None, Query(max_length=700, description="`next` of the page before")]
Lang = Annotated[Language, Query(description="of the explanations")]
SchoolCursor = Annotated[
    str | None, Query(alias="cursor", pattern=f"^{SCHOOL_ID.pattern}$", description="`next` of the page before")
]
KeyCursor = Annotated[
    str | None, Query(alias="cursor", pattern=f"^{KEY_ID.pattern}$", description="`next` of the page before")
]
TAGS = ["operator"]
NOT_FOUND: dict[int, OpenAPIResponse] = {404: {"description": "`not_found`"}}
TAKEN: dict[int, OpenAPIResponse] = {409: {"description": "`already_exists`"}}
OVER: dict[int, OpenAPIResponse] = {409: {"description": "`wrong_state`: revoked, over or rotated already"}}
OVERLAP_SECONDS_MAX = int(school_keys.OVERLAP_MAX.total_seconds())


class SchoolRequest(web.RequestModel):
    id: str = Field(description="2 to 40 of a-z, 0-9 and '-'; `iss` of its portal's tokens")
    name: str
    country: str = Field(description="ISO 3166-1 alpha-2: whose numbers are domestic")
    time_zone: str = Field(description="IANA, e.g. America/Santiago")
    code: str = Field(default="", description="the school's own code or number; empty: one that schools share")
    shards: int = Field(default=1, description="over how many partitions its people are spread")


class SchoolView(BaseModel):
    id: str
    name: str
    country: str
    time_zone: str
    code: str
    contract: Contract
    shards: int
    created_at: datetime


class SchoolList(BaseModel):
    """By id; `next` is the cursor of the next page."""

    schools: list[SchoolView]
    next: str | None


class SchoolChanges(web.RequestModel):
    """What is left out stays as it is. A code the school had stays reserved for it."""

    name: str = Field(default="", description="its sandbox follows")
    time_zone: str = Field(default="", description="IANA, e.g. America/Santiago; its sandbox follows")
    code: str = Field(default="", description="the school's own code or number; empty: one that schools share")


class ContractRequest(web.RequestModel):
    contract: Contract


class KeyRequest(web.RequestModel):
    kind: Literal["portal", "test"] = Field(
        default="portal", description="a test key opens the school's sandbox: nothing reaches a carrier"
    )
    key_id: str | None = Field(default=None, pattern=f"^{KEY_ID.pattern}$", description="left out: one is made up")
    not_after: AwareDatetime | None = Field(default=None, description="when the key ends by itself")


class RotateRequest(web.RequestModel):
    overlap_seconds: int = Field(
        default=int(school_keys.OVERLAP_DEFAULT.total_seconds()),
        ge=0,
        le=OVERLAP_SECONDS_MAX,
        description="how long the old key still holds: a day, and at most 30",
    )
    not_after: AwareDatetime | None = Field(default=None, description="when the new key ends by itself")


class NewKeyView(BaseModel):
    school_id: str = Field(description="`iss` of the tokens")
    key_id: str = Field(description="`kid` of the tokens")
    kind: KeyKind
    algorithm: str
    secret: str = Field(description="shown now and never again")


class KeyKept(BaseModel):
    key_id: str
    kind: KeyKind
    master_version: int


class KeyView(BaseModel):
    """A key without its secret, which is stored nowhere."""

    id: str
    kind: KeyKind
    created_at: datetime | None
    created_by: str | None
    not_after: datetime | None
    revoked_at: datetime | None
    replaced_by: str | None = Field(description="the key it was rotated to")
    master_version: int = Field(description="which master secret it hangs from")


class KeyList(BaseModel):
    """By id; `next` is the cursor of the next page."""

    keys: list[KeyView]
    next: str | None


class BagRequest(web.RequestModel):
    bag: str | None = Field(default=None, description="a bag of the catalogue, by its id")
    zone: Zone | None = None
    credits: int | None = Field(default=None, description="with `zone`: as many as support agreed on")


class PurchaseView(BaseModel):
    cause: str = Field(description="the entry of the school's statement")
    zone: Zone
    credits: int
    bag: str | None
    at: datetime
    by: str


class BagRequestList(BaseModel):
    requests: list[BagRequestView] = Field(description="newest first; the school's own wishes, none of them charged")


class DayCountsView(BaseModel):
    """About so many: an addition whose answer was lost may be in it twice, or one not at all if somebody died."""

    day: date
    sessions: int = Field(description="that were opened on this day, and have ended")
    texts: int = Field(description="said in them")
    handsets: int = Field(description="they wrote to")
    replies: int = Field(description="that reached them")
    late: int = Field(description="what handsets wrote that reached nobody (C9)")
    unrouted: int = Field(description="what handsets wrote that cannot answer (C3)")
    refused: int = Field(description="numbers that a session did not write to")
    school_replies: int = Field(description="to schools' codes: what reached a school, also by the handset's choice")
    school_waiting: int = Field(description="to codes that schools share: what waited for the handset to say whose")
    school_unrouted: int = Field(description="to schools' codes, or to none of ours: what reached nobody")


class DayCountsList(BaseModel):
    country: str
    days: list[DayCountsView] = Field(description="those on which anything was counted, the oldest first")


@app.post("/operator/schools", summary="Create a school", tags=TAGS, status_code=201, responses=TAKEN)
def create_school(body: SchoolRequest) -> SchoolView:
    now = clock.now()
    asked = School(**body.model_dump(), contract=Contract.ACTIVE, created_at=now)

    def work(caller: Caller, is_first: bool) -> SchoolView:  # idempotency.Work's shape
        return _school_view(schools.create_school(caller, asked, is_first=is_first))

    return SchoolView.model_validate(_once(now, work))


@app.get("/operator/schools", summary="The schools, by id", tags=TAGS)
def list_schools(limit: Limit = 50, cursor: SchoolCursor = None) -> SchoolList:
    found, following = schools.list_schools(web.caller(app), limit=limit, cursor=cursor)
    return SchoolList(schools=[_school_view(one) for one in found], next=following)


@app.patch(
    "/operator/schools/<school_id>",
    summary="Change a school's name, time zone or code",
    tags=TAGS,
    responses=NOT_FOUND | TAKEN,
)
def change_school(school_id: SchoolId, body: SchoolChanges) -> SchoolView:
    changes = body.model_dump(exclude_unset=True)
    return _school_view(schools.change_school(web.caller(app), school_id, changes, clock.now()))


@app.get("/operator/schools/<school_id>", summary="A school", tags=TAGS, responses=NOT_FOUND)
def get_school(school_id: SchoolId) -> SchoolView:
    return _school_view(schools.get_school(web.caller(app), school_id))


@app.put(
    "/operator/schools/<school_id>/contract",
    summary="Suspend a school or make it active: its credits freeze and thaw (L5)",
    tags=TAGS,
    responses=NOT_FOUND,
)
def set_contract(school_id: SchoolId, body: ContractRequest) -> SchoolView:
    return _school_view(schools.set_contract(web.caller(app), school_id, body.contract, clock.now()))


@app.post(
    "/operator/schools/<school_id>/keys",
    summary="Create a key for a school's portal; its secret is shown once",
    tags=TAGS,
    status_code=201,
    responses=NOT_FOUND | TAKEN,
)
def create_key(school_id: SchoolId, body: KeyRequest) -> NewKeyView:
    now, request_key = clock.now(), web.idempotency_key(app)

    def work(caller: Caller, is_first: bool) -> KeyKept:  # idempotency.Work's shape
        made = school_keys.create_key(
            caller,
            school_id,
            kind=KeyKind(body.kind),
            key_id=body.key_id,
            not_after=body.not_after,
            request_key=request_key,
            now=now,
            is_first=is_first,
        )
        return _kept(made)

    return _shown_once(school_id, KeyKept.model_validate(_once(now, work)))


@app.get(
    "/operator/schools/<school_id>/keys",
    summary="A school's keys, by id; never a secret",
    tags=TAGS,
    responses=NOT_FOUND,
)
def list_keys(school_id: SchoolId, limit: Limit = 50, cursor: KeyCursor = None) -> KeyList:
    found, following = school_keys.list_keys(web.caller(app), school_id, limit=limit, cursor=cursor)
    return KeyList(keys=[_key_view(one) for one in found], next=following)


@app.post(
    "/operator/schools/<school_id>/keys/<key_id>/rotate",
    summary="Make a key's successor; its secret is shown once, and the old key holds a while longer",
    tags=TAGS,
    status_code=201,
    responses=NOT_FOUND | OVER,
)
def rotate_key(school_id: SchoolId, key_id: KeyId, body: RotateRequest) -> NewKeyView:
    now, request_key = clock.now(), web.idempotency_key(app)

    def work(caller: Caller, is_first: bool) -> KeyKept:  # idempotency.Work's shape
        made = school_keys.rotate_key(
            caller,
            school_id,
            key_id,
            overlap=timedelta(seconds=body.overlap_seconds),
            not_after=body.not_after,
            request_key=request_key,
            now=now,
            is_first=is_first,
        )
        return _kept(made)

    return _shown_once(school_id, KeyKept.model_validate(_once(now, work)))


@app.delete(
    "/operator/schools/<school_id>/keys/<key_id>",
    summary="Revoke a key: within half a minute no token of it holds",
    tags=TAGS,
    status_code=204,
    responses=NOT_FOUND,
)
def revoke_key(school_id: SchoolId, key_id: KeyId) -> Response[None]:
    school_keys.revoke_key(web.caller(app), school_id, key_id, clock.now())
    return Response(status_code=204)


@app.post(
    "/operator/schools/<school_id>/bags",
    summary="Sell a school a bag of credits: they never expire and are not refundable (L5, L6)",
    tags=TAGS,
    status_code=201,
    responses=NOT_FOUND,
)
def sell_bag(school_id: SchoolId, body: BagRequest) -> PurchaseView:
    now, request_key = clock.now(), web.idempotency_key(app)
    order = schools.read_order(body.bag, body.zone, body.credits)

    def work(caller: Caller, is_first: bool) -> PurchaseView:  # idempotency.Work's shape
        return _purchase_view(
            schools.sell_bag(caller, school_id, order, request_key=request_key, now=now, is_first=is_first)
        )

    return PurchaseView.model_validate(_once(now, work))


@app.get("/operator/schools/<school_id>/credits", summary="A school's balances", tags=TAGS, responses=NOT_FOUND)
def get_balances(school_id: SchoolId) -> BalanceList:
    return credit_views.balance_list(schools.list_balances(web.caller(app), school_id))


@app.get(
    "/operator/schools/<school_id>/statement",
    summary="A school's movements of one zone, with their causes",
    tags=TAGS,
    responses=NOT_FOUND,
)
def get_statement(  # the same questions as the school's own statement answers
    school_id: SchoolId,
    zone: ZoneQuery = Zone.DOMESTIC,
    start: From = None,
    end: To = None,
    kind: KindQuery = None,
    message_id: MessageId = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    lang: Lang = Language.ES,
) -> StatementView:
    question = Question(zone, start, end, kind, message_id)
    lines, following = schools.list_statement(
        web.caller(app), school_id, question, limit=limit, cursor=cursor, now=clock.now()
    )
    return credit_views.statement(zone, lines, following, lang)


@app.get(
    "/operator/schools/<school_id>/bags/requests",
    summary="The bags a school asked for in the last 90 days",
    tags=TAGS,
    responses=NOT_FOUND,
)
def list_requests(school_id: SchoolId) -> BagRequestList:
    found = schools.list_requests(web.caller(app), school_id)
    return BagRequestList(requests=[credit_views.request_view(one) for one in found])


@app.get("/operator/sessions/counts", summary="How much sessions were used, by the day (C7)", tags=TAGS)
def list_session_counts(country: CountryQuery, first_day: FirstDay, last_day: LastDay) -> DayCountsList:
    days = session_counts.list_days(web.caller(app), country, first_day, last_day)
    return DayCountsList(country=country, days=[DayCountsView(**asdict(one)) for one in days])


def _once(now: datetime, work: Callable[[Caller, bool], BaseModel]) -> dict[str, Any]:
    caller, key = web.caller(app), web.idempotency_key(app)
    schools.check_caller(caller)  # before anything is written, the key's own row included
    return idempotency.once(
        caller.school_id,
        key,
        web.idempotent_request(app),
        now,
        lambda is_first: work(caller, is_first).model_dump(mode="json"),
    )


def _kept(key: PortalKey) -> KeyKept:
    """What is kept for a repeat names the key; the secret is derived anew and stored nowhere."""
    return KeyKept(key_id=key.key_id, kind=key.kind, master_version=key.master_version)


def _shown_once(school_id: str, kept: KeyKept) -> NewKeyView:
    secret = school_keys.read_secret(web.caller(app), school_id, kept.key_id, kept.master_version)
    return NewKeyView(school_id=school_id, key_id=kept.key_id, kind=kept.kind, algorithm="HS256", secret=secret)


def _key_view(key: PortalKey) -> KeyView:
    return KeyView(
        id=key.key_id,
        kind=key.kind,
        created_at=key.created_at,
        created_by=key.created_by,
        not_after=key.not_after,
        revoked_at=key.revoked_at,
        replaced_by=key.replaced_by,
        master_version=key.master_version,
    )


def _school_view(school: School) -> SchoolView:
    return SchoolView(
        id=school.id,
        name=school.name,
        country=school.country,
        time_zone=school.time_zone,
        code=school.code,
        contract=school.contract,
        shards=school.shards,
        created_at=school.created_at,
    )


def _purchase_view(entry: Entry) -> PurchaseView:
    return PurchaseView(
        cause=entry.cause,
        zone=entry.zone,
        credits=entry.available,
        bag=entry.facts.get("bag"),
        at=entry.at,
        by=entry.by,
    )


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return web.answer(app, event, context)
