"""/credits: what a school has, what it spent and why, which bags there are. A refund is refused (L6)."""

from datetime import datetime
from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, Field

from recado import credits, web  # noqa: A004  # the school's word; nobody misses the builtin
from recado.rules.credit_bags import Bag, Zone
from recado.tables.ledger import Account, Entry

app = web.resolver()

ZoneQuery = Annotated[Zone, Query(description="whose numbers its credits pay for")]
Limit = Annotated[int, Query(ge=1, le=100, description="entries on a page")]
Cursor = Annotated[str | None, Query(max_length=600, description="`next` of the page before")]
TAGS = ["credits"]


class AccountView(BaseModel):
    zone: Zone
    contract: str = Field(description="active, or suspended: then nothing can be sent and nothing is lost (L5)")
    available: int = Field(description="credits that can be used")
    held: int = Field(description="credits set aside for messages on their way or scheduled")
    captured: int = Field(description="credits spent")


class BalanceList(BaseModel):
    accounts: list[AccountView] = Field(description="one for each zone the school ever bought a bag for")


class EntryView(BaseModel):
    cause: str = Field(description="what made it happen, once: `purchase#…`, `hold#<message>#<plan>`, `close#…`")
    kind: str = Field(description="the first word of the cause")
    message_id: str | None = Field(description="the message a hold or its closing is of")
    bag: str | None = Field(description="the bag of the catalogue that was bought")
    at: datetime
    by: str = Field(description="the portal's user, or the operator's")
    available: int = Field(description="change of the credits that can be used")
    held: int
    captured: int


class Statement(BaseModel):
    zone: Zone
    entries: list[EntryView] = Field(description="newest first")
    next: str | None = Field(description="cursor of the next page; null: no more")


class BagView(BaseModel):
    id: str
    zone: Zone
    credits: int = Field(description="one credit pays one segment of one SMS")
    name: str
    advice: str


class BagList(BaseModel):
    bags: list[BagView] = Field(description="the basic bag of each zone first")
    expires: bool = Field(description="false: credits never expire (L5)")
    refundable: bool = Field(description="false (L6)")


@app.get("/credits", summary="What the school has, per zone", tags=TAGS)
def get_balances() -> BalanceList:
    return BalanceList(accounts=[_account_view(one) for one in credits.list_balances(web.caller(app))])


@app.get("/credits/statement", summary="Each movement of a zone's credits, with its cause", tags=TAGS)
def get_statement(zone: ZoneQuery = Zone.DOMESTIC, limit: Limit = 50, cursor: Cursor = None) -> Statement:
    entries, following = credits.list_statement(web.caller(app), zone, limit=limit, cursor=cursor)
    return Statement(zone=zone, entries=[_entry_view(one) for one in entries], next=following)


@app.get("/credits/bags", summary="The bags a school can ask for", tags=TAGS)
def list_bags() -> BagList:
    bags = [_bag_view(one) for one in credits.list_bags(web.caller(app))]
    return BagList(bags=bags, expires=False, refundable=False)


@app.post(
    "/credits/refunds",
    summary="Ask for a refund: always refused (L6)",
    tags=TAGS,
    responses={409: {"description": "`bags_are_not_refundable`"}},
)
def ask_refund() -> None:
    credits.refuse_refund(web.caller(app))


def _account_view(account: Account) -> AccountView:
    return AccountView(
        zone=account.zone,
        contract=account.contract,
        available=account.available,
        held=account.held,
        captured=account.captured,
    )


def _entry_view(entry: Entry) -> EntryView:
    kind, _, rest = entry.cause.partition("#")
    return EntryView(
        cause=entry.cause,
        kind=kind,
        message_id=None if kind == "purchase" else rest.partition("#")[0],
        bag=entry.facts.get("bag"),
        at=entry.at,
        by=entry.by,
        available=entry.available,
        held=entry.held,
        captured=entry.captured,
    )


def _bag_view(bag: Bag) -> BagView:
    return BagView(id=bag.id, zone=bag.zone, credits=bag.credits, name=bag.name, advice=bag.advice)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return web.answer(app, event, context)
