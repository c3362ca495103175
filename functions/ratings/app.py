"""/operator/tariffs, /operator/ratings: what handset messages cost (C6). It translates; it decides nothing."""

from datetime import date, datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, Field

from recado import clock, idempotency, rating_reports, tariffs, web
from recado.rating_reports import ROWS_MAX, TOTALS_ROWS_MAX
from recado.rules import csv_cells, rating_rows
from recado.rules.country_time import zone_of
from recado.rules.rating_sums import RatingSum
from recado.rules.tariffs import Rating, rate_by
from recado.tables.ratings import RatedReply
from recado.tariffs import KnownTariff

app = web.resolver()

COUNTRY, DAY = "^[A-Z]{2}$", "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
CountryQuery = Annotated[str, Query(pattern=COUNTRY, description="ISO 3166-1 alpha-2")]
From = Annotated[str, Query(alias="from", pattern=DAY, description="the first day, by the country's clocks")]
To = Annotated[str, Query(pattern=DAY, description="the last day, included; at most 31 days")]
Cursor = Annotated[str | None, Query(max_length=1900, description="of the page before")]
RowLimit = Annotated[int, Query(ge=1, le=ROWS_MAX, description="messages of one answer")]
TotalsLimit = Annotated[int, Query(ge=1, le=TOTALS_ROWS_MAX, description="messages added up for one answer")]
CountryPath = Annotated[str, Path(pattern=COUNTRY, description="ISO 3166-1 alpha-2")]
DayPath = Annotated[str, Path(pattern=DAY)]
Carrier = Annotated[str, Path(pattern="^[a-z0-9_]{1,40}$")]
ReplyId = Annotated[str, Path(max_length=128, description="the carrier's id of the message")]
TAGS = ["operator"]
NOT_FOUND: dict[int, OpenAPIResponse] = {404: {"description": "`not_found`"}}
TAKEN: dict[int, OpenAPIResponse] = {409: {"description": "`already_exists`: that day has another tariff"}}
OVER: dict[int, OpenAPIResponse] = {409: {"description": "`wrong_state`: it has begun, or begins within ten minutes"}}
CSV: dict[int, OpenAPIResponse] = {
    200: {
        "description": "UTF-8 with a byte order mark; a `Link` with rel=next leads on, the last part has the totals",
        "content": {"text/csv": {"schema": {"type": "string"}}},
    }
}


class TaxShare(web.RequestModel):
    name: str = Field(max_length=16, description="in capitals, as it heads a column", examples=["ITBIS"])
    share: str = Field(max_length=6, description="of the price, 0 to 1, four decimals", examples=["0.18"])


class TariffRequest(web.RequestModel):
    country: str = Field(pattern=COUNTRY, description="ISO 3166-1 alpha-2")
    valid_from: str = Field(pattern=DAY, description="a day after today, by the country's clocks")
    currency: str = Field(pattern="^[A-Z]{3}$", description="ISO 4217")
    price: str = Field(max_length=9, description="of one message, before taxes", examples=["1.00"])
    taxes: list[TaxShare] = Field(max_length=10, description="each on the price alone")


class TaxView(BaseModel):
    name: str
    share: str
    amount: str = Field(description="of one message")


class TariffView(BaseModel):
    country: str
    valid_from: date
    currency: str
    price: str
    taxes: list[TaxView]
    total: str = Field(description="what one message costs")
    announced_at: datetime | None = Field(description="null: published with the software")
    announced_by: str | None
    may_be_withdrawn: bool


class TariffList(BaseModel):
    tariffs: list[TariffView] = Field(description="by the day they begin, those to come included")


class AmountView(BaseModel):
    name: str
    amount: str


class SumView(BaseModel):
    """Without currency: messages that no tariff was in force for, with nothing owed for them."""

    currency: str | None
    count: int
    price: str
    taxes: list[AmountView]
    total: str


class DayView(BaseModel):
    day: date
    is_closed: bool = Field(description="false: it may still grow")
    sums: list[SumView]


class TotalsView(BaseModel):
    country: str
    days: list[DayView] = Field(description="those added up to their end in this answer")
    sums: list[SumView] = Field(description="from the first day to here; of all days where `next` is null")
    next: str | None


class RatingView(BaseModel):
    """A message that a session took; without a tariff it has no currency and no amounts."""

    carrier: str
    reply_id: str
    country: str
    number: str
    code: str
    rated_at: datetime
    currency: str | None
    price: str | None
    taxes: list[AmountView]
    total: str | None


@app.get("/operator/tariffs", summary="What a handset message costs in a country, and from when (C6)", tags=TAGS)
def list_tariffs(country: CountryQuery) -> TariffList:
    found = tariffs.list_tariffs(web.caller(app), country, clock.now())
    return TariffList(tariffs=[_tariff_view(country, one) for one in found])


@app.post(
    "/operator/tariffs",
    summary="Announce a price from a day to come; what was rated stays as it was",
    tags=TAGS,
    status_code=201,
    responses=TAKEN,
)
def announce(body: TariffRequest) -> TariffView:
    caller, key, now = web.caller(app), web.idempotency_key(app), clock.now()
    tariffs.check_caller(caller)  # before anything is written, the key's own row included

    def work(_: bool) -> dict[str, Any]:  # idempotency.Work's shape
        taxes = [(tax.name, tax.share) for tax in body.taxes]
        made = tariffs.announce(caller, body.country, body.valid_from, body.currency, body.price, taxes, now)
        return _tariff_view(body.country, made).model_dump(mode="json")

    answer = idempotency.once(caller.school_id, key, web.idempotent_request(app), now, work)
    return TariffView.model_validate(answer)


@app.delete(
    "/operator/tariffs/<country>/<valid_from>",
    summary="Withdraw a price before its day",
    tags=TAGS,
    status_code=204,
    responses=NOT_FOUND | OVER,
)
def withdraw(country: CountryPath, valid_from: DayPath) -> Response[None]:
    tariffs.withdraw(web.caller(app), country, valid_from, clock.now())
    return Response(status_code=204)


@app.get(
    "/operator/ratings.csv",
    summary="Each handset message of some closed days, with its price and taxes, for billing (C6)",
    tags=TAGS,
    responses=CSV,
)
def get_file(
    country: CountryQuery, first: From, to: To, limit: RowLimit = ROWS_MAX, cursor: Cursor = None
) -> Response[str]:
    found = rating_reports.list_file(web.caller(app), country, first, to, limit=limit, cursor=cursor, now=clock.now())
    lines = [_line(found.taxes, one) for one in found.lines]
    totals = rating_rows.total_lines(found.taxes, found.sums) if found.following is None else ()
    body = csv_cells.csv_text(rating_rows.header(found.taxes), [*lines, *totals])
    headers: dict[str, str | list[str]] = {
        "Content-Disposition": f'attachment; filename="ratings-{country}-{first}-{to}.csv"'
    }
    if found.following:
        query = urlencode({"country": country, "from": first, "to": to, "limit": limit, "cursor": found.following})
        headers["Link"] = f'</v1/operator/ratings.csv?{query}>; rel="next"'
    return Response(status_code=200, content_type="text/csv; charset=utf-8", body=body, headers=headers)


@app.get("/operator/ratings/totals", summary="What handset messages came to, by day and in sum (C6)", tags=TAGS)
def get_totals(
    country: CountryQuery, first: From, to: To, limit: TotalsLimit = TOTALS_ROWS_MAX, cursor: Cursor = None
) -> TotalsView:
    found = rating_reports.get_totals(web.caller(app), country, first, to, limit=limit, cursor=cursor, now=clock.now())
    days = [DayView(day=one.day, is_closed=one.is_closed, sums=_sums(one.sums)) for one in found.days]
    return TotalsView(country=country, days=days, sums=_sums(found.sums), next=found.following)


@app.get(
    "/operator/ratings/<carrier>/<reply_id>",
    summary="What one handset message cost, by the carrier's id of it",
    tags=TAGS,
    responses=NOT_FOUND,
)
def get_rating(carrier: Carrier, reply_id: ReplyId) -> RatingView:
    found = rating_reports.get_rating(web.caller(app), carrier, reply_id)
    rating = found.rating
    return RatingView(
        carrier=found.carrier,
        reply_id=found.reply_id,
        country=found.country,
        number=found.number,
        code=found.code,
        rated_at=found.rated_at,
        currency=rating.currency if rating else None,
        price=str(rating.price) if rating else None,
        taxes=_amounts(rating),
        total=str(rating.total) if rating else None,
    )


def _line(taxes: tuple[str, ...], one: RatedReply) -> list[csv_cells.Cell]:
    names = (one.carrier, one.reply_id, one.number, one.code)
    return rating_rows.line(taxes, zone_of(one.country), one.rated_at, names, one.rating)


def _tariff_view(country: str, known: KnownTariff) -> TariffView:
    rating, announced = rate_by(known.tariff), known.announced
    amounts = dict(rating.taxes)
    return TariffView(
        country=country,
        valid_from=known.tariff.valid_from,
        currency=rating.currency,
        price=str(rating.price),
        taxes=[TaxView(name=name, share=str(share), amount=str(amounts[name])) for name, share in known.tariff.taxes],
        total=str(rating.total),
        announced_at=announced.at if announced else None,
        announced_by=announced.by if announced else None,
        may_be_withdrawn=known.may_be_withdrawn,
    )


def _sums(sums: tuple[RatingSum, ...]) -> list[SumView]:
    return [
        SumView(
            currency=one.currency,
            count=one.count,
            price=str(one.price),
            taxes=[AmountView(name=name, amount=str(amount)) for name, amount in one.taxes],
            total=str(one.total),
        )
        for one in sums
    ]


def _amounts(rating: Rating | None) -> list[AmountView]:
    return [AmountView(name=name, amount=str(amount)) for name, amount in rating.taxes] if rating else []


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return web.answer(app, event, context)
