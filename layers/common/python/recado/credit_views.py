"""How credits look in an answer: one shape for a school's own portal and for the platform's staff.

It translates and decides nothing.
"""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field

from recado.credit_statement import Figures, Line, Use
from recado.credits import BagRequest, Balance
from recado.rules.credit_bags import Zone
from recado.rules.csv_cells import Cell
from recado.rules.ledger_words import Kind, explain, kind_of, message_of
from recado.rules.plain_words import Language, Words
from recado.rules.school_time import show_local
from recado.tables.ledger import Entry


class AccountView(BaseModel):
    zone: Zone
    contract: str = Field(description="active, or suspended: then nothing can be sent and nothing is lost (L5)")
    bought: int = Field(description="credits ever bought: available + held + captured, always")
    available: int = Field(description="credits that can be used")
    held: int = Field(description="credits set aside for messages on their way or scheduled")
    captured: int = Field(description="credits spent")
    threshold: int | None = Field(description="below this the balance is low; null: the school set none")
    low: bool = Field(description="whether fewer credits are available than that")
    low_since: datetime | None = Field(description="when that was told to the portal (`balance.low`)")


class Summary(BaseModel):
    bought: int
    available: int
    held: int
    captured: int


class BalanceList(BaseModel):
    accounts: list[AccountView] = Field(description="one for each zone the school ever bought a bag for")
    summary: Summary = Field(description="all zones together; one zone's credits never pay for the other's numbers")


class FiguresView(BaseModel):
    available: int
    held: int
    captured: int


class EntryView(BaseModel):
    cause: str = Field(description="what made it happen, once: `purchase#…`, `hold#<message>#<plan>`, `close#…`")
    kind: Kind = Field(description="the first word of the cause")
    explanation: str = Field(description="the movement in plain words, in the language asked for or the school's")
    message_id: str | None = Field(description="the message a hold or its closing is of")
    bag: str | None = Field(description="the bag of the catalogue that was bought")
    at: datetime
    by: str = Field(description="the portal's user, or the operator's; empty when recado itself closed a message")
    available: int = Field(description="change of the credits that can be used")
    held: int
    captured: int
    balance: FiguresView | None = Field(description="the account after it; null where it cannot be told truthfully")


class StatementView(BaseModel):
    zone: Zone
    entries: list[EntryView] = Field(description="newest first")
    next: str | None = Field(description="cursor of the next page; null: no more")


class BagRequestView(BaseModel):
    bag: str
    zone: Zone
    credits: int = Field(description="what the bag would add; nothing has been added")
    charged: int = Field(description="0: asking costs nothing; support sells the bag and adds its credits")
    requested_at: datetime
    requested_by: str


class WeekView(BaseModel):
    week: str = Field(description="ISO 8601, e.g. 2026-W48")
    starts_on: date = Field(description="its Monday, by the school's clocks")
    captured: int | None = Field(description="credits spent; null: more movements than are read at once")


class UseView(BaseModel):
    zone: Zone
    weeks: list[WeekView] = Field(description="oldest first; the last one is this week")
    days_left: int | None = Field(description="at the pace of the last four weeks; null: no pace can be told")


class UseList(BaseModel):
    time_zone: str
    accounts: list[UseView]


CSV_HEADER = (
    Words("Fecha (UTC)", "Date (UTC)"),
    Words("Fecha local", "Local date"),
    Words("Zona", "Zone"),
    Words("Movimiento", "Movement"),
    Words("Explicación", "Explanation"),
    Words("Mensaje", "Message"),
    Words("Bolsa", "Bag"),
    Words("Hecho por", "Made by"),
    Words("Cambio disponibles", "Change available"),
    Words("Cambio reservados", "Change held"),
    Words("Cambio gastados", "Change spent"),
    Words("Saldo disponibles", "Balance available"),
    Words("Saldo reservados", "Balance held"),
    Words("Saldo gastados", "Balance spent"),
    Words("Causa", "Cause"),
)
ZONES = {
    Zone.DOMESTIC: Words("nacional", "domestic"),
    Zone.INTERNATIONAL: Words("internacional", "international"),
}
KINDS = {
    Kind.PURCHASE: Words("compra", "purchase"),
    Kind.HOLD: Words("reserva", "hold"),
    Kind.CLOSE: Words("cierre", "closing"),
}


def balance_list(balances: list[Balance]) -> BalanceList:
    accounts = [one.account for one in balances]
    return BalanceList(
        accounts=[_account_view(one) for one in balances],
        summary=Summary(
            bought=sum(one.bought for one in accounts),
            available=sum(one.available for one in accounts),
            held=sum(one.held for one in accounts),
            captured=sum(one.captured for one in accounts),
        ),
    )


def statement(zone: Zone, lines: list[Line], following: str | None, language: Language) -> StatementView:
    entries = [entry_view(one.entry, one.balance, language) for one in lines]
    return StatementView(zone=zone, entries=entries, next=following)


def entry_view(entry: Entry, balance: Figures | None, language: Language) -> EntryView:
    kind = kind_of(entry.cause)
    bag = entry.facts.get("bag")
    return EntryView(
        cause=entry.cause,
        kind=kind,
        explanation=explain(kind, entry.available, entry.captured, bag).say(language),
        message_id=message_of(entry.cause),
        bag=bag,
        at=entry.at,
        by=entry.by,
        available=entry.available,
        held=entry.held,
        captured=entry.captured,
        balance=FiguresView(available=balance.available, held=balance.held, captured=balance.captured)
        if balance
        else None,
    )


def csv_header(language: Language) -> list[str]:
    return [one.say(language) for one in CSV_HEADER]


def csv_row(line: Line, clocks: ZoneInfo, language: Language) -> list[Cell]:
    entry, balance = line.entry, line.balance
    view = entry_view(entry, balance, language)
    return [
        f"{entry.at:%Y-%m-%dT%H:%M:%SZ}",
        show_local(entry.at, clocks),
        ZONES[entry.zone].say(language),
        KINDS[view.kind].say(language),
        view.explanation,
        view.message_id,
        view.bag,
        entry.by,
        entry.available,
        entry.held,
        entry.captured,
        balance.available if balance else None,
        balance.held if balance else None,
        balance.captured if balance else None,
        entry.cause,
    ]


def use_list(time_zone: str, uses: list[Use]) -> UseList:
    return UseList(time_zone=time_zone, accounts=[_use_view(one) for one in uses])


def request_view(request: BagRequest) -> BagRequestView:
    return BagRequestView(
        bag=request.bag.id,
        zone=request.bag.zone,
        credits=request.bag.credits,
        charged=0,
        requested_at=request.at,
        requested_by=request.by,
    )


def _account_view(balance: Balance) -> AccountView:
    account, threshold = balance.account, balance.threshold
    return AccountView(
        zone=account.zone,
        contract=account.contract,
        bought=account.bought,
        available=account.available,
        held=account.held,
        captured=account.captured,
        threshold=threshold,
        low=threshold is not None and account.available < threshold,
        low_since=account.low_since,
    )


def _use_view(use: Use) -> UseView:
    weeks = [
        WeekView(week=week.name, starts_on=week.starts_on, captured=week.captured if is_known else None)
        for week, is_known in use.weeks
    ]
    return UseView(zone=use.zone, weeks=weeks, days_left=use.days_left)
