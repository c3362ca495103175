"""/credits: what a school has, what it spent and why, which bags there are. A refund is refused (L6)."""

from typing import Annotated, Any
from urllib.parse import urlencode

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import AwareDatetime, BaseModel, Field

from recado import clock, credit_statement, credit_views, credits, idempotency, web  # noqa: A004  # the school's word
from recado.credit_statement import Question
from recado.credit_views import BagRequestView, BalanceList, StatementView, UseList
from recado.rules import csv_cells, ledger_words
from recado.rules.credit_bags import Bag, Zone
from recado.rules.ledger_words import Kind
from recado.rules.plain_words import Language

app = web.resolver()

ZoneQuery = Annotated[Zone, Query(description="whose numbers its credits pay for")]
From = Annotated[AwareDatetime | None, Query(alias="from", description="from this moment on")]
To = Annotated[AwareDatetime | None, Query(alias="to", description="until before this moment")]
KindQuery = Annotated[Kind | None, Query(description="only movements of this kind")]
MessageId = Annotated[
    str | None, Query(pattern="^[A-Za-z0-9_-]{1,64}$", description="only what this message moved; one page, no balance")
]
Limit = Annotated[int, Query(ge=1, le=100, description="entries on a page")]
RowLimit = Annotated[int, Query(ge=1, le=10_000, description="rows of one answer")]
Cursor = Annotated[str | None, Query(max_length=700, description="`next` of the page before")]
Lang = Annotated[Language | None, Query(description="of the explanations; left out: the school's own")]
Weeks = Annotated[int, Query(ge=1, le=53, description="how many, this week included")]
TAGS = ["credits"]
CSV: dict[int, OpenAPIResponse] = {
    200: {
        "description": "UTF-8 with a byte order mark; `Link` with rel=next names where more rows are",
        "content": {"text/csv": {"schema": {"type": "string"}}},
    }
}


class BagView(BaseModel):
    id: str
    zone: Zone
    credits: int = Field(description="one credit pays one segment of one SMS")
    name: str
    advice: str
    sold_by_support: bool = Field(description="true: only support sells it, as every international bag (L13)")


class BagList(BaseModel):
    bags: list[BagView] = Field(description="the basic bag of each zone first (L7)")
    expires: bool = Field(description="false: credits never expire (L5)")
    refundable: bool = Field(description="false (L6)")
    pays: str = Field(description="what one credit pays, in words")
    international: str = Field(description="how a school gets an international bag, in words (L13)")


class BagRequestBody(web.RequestModel):
    bag: str = Field(max_length=64, description="a bag of the catalogue, by its id")


@app.get("/credits", summary="What the school has, per zone, and whether it is low", tags=TAGS)
def get_balances() -> BalanceList:
    return credit_views.balance_list(credits.list_balances(web.caller(app)))


@app.get("/credits/statement", summary="Each movement of a zone's credits, with its cause in plain words", tags=TAGS)
def get_statement(
    zone: ZoneQuery = Zone.DOMESTIC,
    start: From = None,
    end: To = None,
    kind: KindQuery = None,
    message_id: MessageId = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    lang: Lang = None,
) -> StatementView:
    caller = web.caller(app)
    lines, following = credit_statement.list_statement(
        caller, Question(zone, start, end, kind, message_id), limit=limit, cursor=cursor, now=clock.now()
    )
    language = credit_statement.language_of(caller.school_id, lang)
    return credit_views.statement(zone, lines, following, language)


@app.get("/credits/statement.csv", summary="The same for a spreadsheet", tags=TAGS, responses=CSV)
def get_statement_csv(
    zone: ZoneQuery = Zone.DOMESTIC,
    start: From = None,
    end: To = None,
    kind: KindQuery = None,
    message_id: MessageId = None,
    limit: RowLimit = 10_000,
    cursor: Cursor = None,
    lang: Lang = None,
) -> Response[str]:
    caller = web.caller(app)
    lines, following = credit_statement.list_statement(
        caller, Question(zone, start, end, kind, message_id), limit=limit, cursor=cursor, now=clock.now()
    )
    language = credit_statement.language_of(caller.school_id, lang)
    clocks = credit_statement.clocks_of(caller.school_id)
    rows = (credit_views.csv_row(line, clocks, language) for line in lines)
    body = csv_cells.csv_text(credit_views.csv_header(language), rows)
    headers: dict[str, str | list[str]] = {"Content-Disposition": f'attachment; filename="statement-{zone.value}.csv"'}
    if following:
        asked = dict(app.current_event.query_string_parameters or {}) | {"cursor": following}
        headers["Link"] = f'<?{urlencode(asked)}>; rel="next"'
    return Response(status_code=200, content_type="text/csv; charset=utf-8", body=body, headers=headers)


@app.get("/credits/use", summary="What was spent each week, and for how many days the rest reaches", tags=TAGS)
def get_use(weeks: Weeks = 12) -> UseList:
    return credit_views.use_list(*credit_statement.get_use(web.caller(app), weeks=weeks, now=clock.now()))


@app.get("/credits/bags", summary="The bags a school can ask for", tags=TAGS)
def list_bags(lang: Lang = None) -> BagList:
    caller = web.caller(app)
    bags = [_bag_view(one) for one in credits.list_bags(caller)]
    language = credit_statement.language_of(caller.school_id, lang)
    return BagList(
        bags=bags,
        expires=False,
        refundable=False,
        pays=ledger_words.WHAT_A_CREDIT_PAYS.say(language),
        international=ledger_words.HOW_TO_BUY_ABROAD.say(language),
    )


@app.post(
    "/credits/bags/requests",
    summary="Ask support for a bag of the catalogue: nothing is charged and nothing is added (L7, L13)",
    tags=TAGS,
    status_code=201,
)
def request_bag(body: BagRequestBody) -> BagRequestView:
    caller, key, now = web.caller(app), web.idempotency_key(app), clock.now()
    credits.check_caller(caller)  # before anything is written, the key's own row included

    def work(is_first: bool) -> dict[str, Any]:  # idempotency.Work's shape
        made = credits.request_bag(caller, body.bag, request_key=key, now=now, is_first=is_first)
        return credit_views.request_view(made).model_dump(mode="json")

    asked = web.idempotent_request(app)
    return BagRequestView.model_validate(idempotency.once(caller.school_id, key, asked, now, work))


@app.post(
    "/credits/refunds",
    summary="Ask for a refund: always refused (L6)",
    tags=TAGS,
    responses={409: {"description": "`bags_are_not_refundable`"}},
)
def ask_refund() -> None:
    credits.refuse_refund(web.caller(app))


def _bag_view(bag: Bag) -> BagView:
    return BagView(
        id=bag.id,
        zone=bag.zone,
        credits=bag.credits,
        name=bag.name,
        advice=bag.advice,
        sold_by_support=bag.zone is Zone.INTERNATIONAL,
    )


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return web.answer(app, event, context)
