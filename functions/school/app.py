"""/school and /events: what a school is, what it decided about itself, and what its portal is told of."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, Field

from recado import clock, events, school_settings, web
from recado.rules.credit_bags import Zone
from recado.rules.delivery_states import RecipientState
from recado.rules.event_types import EventType
from recado.rules.plain_words import Language
from recado.rules.quiet_hours import QuietHours
from recado.rules.school_records import is_sandbox
from recado.rules.school_settings import SchoolSettings, read_quiet_hours, read_thresholds
from recado.school_settings import Wanted
from recado.tables.events import Event
from recado.tables.schools import Contract, School

app = web.resolver()

After = Annotated[int, Query(ge=0, le=10**11, description="`next` of the page before; 0: from the oldest kept")]
Limit = Annotated[int, Query(ge=1, le=100, description="events on a page")]
TypeFilter = Annotated[EventType | None, Query(alias="type", description="only events of this type")]
ClockTime = Annotated[str, Field(max_length=5, description="HH:MM by the school's clocks")]
Threshold = Annotated[int | None, Field(strict=True, description="credits; null: never low")]


class QuietHoursRequest(web.RequestModel):
    start: ClockTime = Field(alias="from")
    until: ClockTime


class LowBalanceRequest(web.RequestModel):
    domestic: Threshold
    international: Threshold


class SettingsRequest(web.RequestModel):
    quiet_hours: QuietHoursRequest | None = Field(description="null: none")
    low_balance: LowBalanceRequest
    language: Language
    version: Annotated[int, Field(strict=True, ge=0, le=10**9, description="`version` as it was read")]


class QuietHoursView(BaseModel):
    start: str = Field(alias="from", description="HH:MM by the school's clocks")
    until: str = Field(description="over midnight when it is the earlier of the two")


class LowBalanceView(BaseModel):
    domestic: int | None = Field(description="below so many credits the balance is low; null: never")
    international: int | None


class SettingsView(BaseModel):
    quiet_hours: QuietHoursView | None = Field(description="when what is no emergency does not go out; null: none")
    low_balance: LowBalanceView
    language: Language = Field(description="of what recado says to the school")
    version: int = Field(description="0: nobody has changed anything; to be sent back with a change")
    changed_by: str | None
    changed_at: datetime | None


class OwnSchoolView(BaseModel):
    id: str
    name: str
    country: str = Field(description="ISO 3166-1 alpha-2: whose numbers are domestic")
    time_zone: str = Field(description="IANA")
    code: str | None = Field(description="the code its texts come from; null: one that schools share")
    contract: Contract = Field(description="suspended: nothing can be sent, and no credit is lost (L5)")
    contract_since: datetime
    is_sandbox: bool = Field(description="true: opened by a test key; nothing reaches a handset, nothing is charged")
    settings: SettingsView


class RecipientChange(BaseModel):
    """Of `message.recipients_changed`."""

    recipient: str = Field(description="its `id` at `GET /messages/{message_id}/recipients`")
    people: list[str] = Field(description="whose number it is, the first twenty")
    state: RecipientState


class EventView(BaseModel):
    number: int = Field(description="its place among the school's events, without gaps")
    type: EventType
    at: datetime
    data: dict[str, str | int | list[RecipientChange] | None] = Field(description="ids and figures")


class EventList(BaseModel):
    events: list[EventView] = Field(description="oldest first")
    next: int = Field(description="to be sent as `after`, now or later: no event is left out and none comes twice")
    more: bool = Field(description="whether there are more by now")


@app.get("/school", summary="The school and its settings", tags=["school"])
def get_school() -> OwnSchoolView:
    return _school_view(*school_settings.get_school(web.caller(app)))


@app.put(
    "/school/settings",
    summary="Replace the school's settings: quiet hours, low balance, language",
    tags=["school"],
    responses={409: {"description": "`changed_meanwhile`"}},
)
def change_settings(body: SettingsRequest) -> SettingsView:
    quiet = body.quiet_hours
    wanted = Wanted(
        quiet_hours=read_quiet_hours(quiet.start, quiet.until) if quiet else None,
        low_balance=read_thresholds(
            {Zone.DOMESTIC: body.low_balance.domestic, Zone.INTERNATIONAL: body.low_balance.international}
        ),
        language=body.language,
        version=body.version,
    )
    return _settings_view(school_settings.change_settings(web.caller(app), wanted, clock.now()))


@app.get("/events", summary="What happened, in order, for a portal that asks from time to time", tags=["school"])
def list_events(after: After = 0, limit: Limit = 50, event_type: TypeFilter = None) -> EventList:
    found, following, more = events.list_events(web.caller(app), after=after, limit=limit, event_type=event_type)
    return EventList(events=[_event_view(one) for one in found], next=following, more=more)


def _school_view(school: School, settings: SchoolSettings) -> OwnSchoolView:
    return OwnSchoolView(
        id=school.id,
        name=school.name,
        country=school.country,
        time_zone=school.time_zone,
        code=school.code or None,
        contract=school.contract,
        contract_since=school.contract_since or school.created_at,
        is_sandbox=is_sandbox(school.id),
        settings=_settings_view(settings),
    )


def _settings_view(settings: SchoolSettings) -> SettingsView:
    return SettingsView(
        quiet_hours=_quiet_view(settings.quiet_hours),
        low_balance=LowBalanceView(
            domestic=settings.low_balance.get(Zone.DOMESTIC), international=settings.low_balance.get(Zone.INTERNATIONAL)
        ),
        language=settings.language,
        version=settings.version,
        changed_by=settings.changed_by,
        changed_at=settings.changed_at,
    )


def _quiet_view(quiet: QuietHours | None) -> QuietHoursView | None:
    if quiet is None:
        return None
    return QuietHoursView.model_validate({"from": f"{quiet.start:%H:%M}", "until": f"{quiet.end:%H:%M}"})


def _event_view(event: Event) -> EventView:
    return EventView.model_validate(asdict(event))


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return web.answer(app, event, context)
