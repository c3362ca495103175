"""/operator/carriers and /operator/routes: who takes which texts, and how each carrier stands. It decides nothing."""

from datetime import datetime
from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path
from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, Field

from recado import carrier_routes, clock, web
from recado.carrier_routes import CarrierSeen
from recado.rules.carrier_routes import ANY, SESSIONS, WAYS_MAX, Route, Way
from recado.rules.circuits import Circuit, CircuitState
from recado.rules.message_states import Category
from recado.tables.circuits import Answered, Transition

app = web.resolver()

COUNTRY = "^([A-Z]{2}|any)$"
CATEGORY = f"^({'|'.join(Category)}|{SESSIONS}|any)$"
Country = Annotated[str, Path(pattern=COUNTRY, description="ISO 3166-1 alpha-2, or any: the rest of the world")]
CategoryPath = Annotated[
    str,
    Path(pattern=CATEGORY, description="of the message; sessions; any: those without a route"),
]
Carrier = Annotated[str, Path(pattern="^[a-z0-9_]{1,40}$")]
TAGS = ["carriers"]
NOT_FOUND: dict[int, OpenAPIResponse] = {404: {"description": "`not_found`"}}
CHANGED: dict[int, OpenAPIResponse] = {409: {"description": "`changed_meanwhile`: others keep changing it"}}


class WayRequest(web.RequestModel):
    carrier: str = Field(pattern="^[a-z0-9_]{1,40}$", description="a registered carrier")
    sender: str = Field(
        default="",
        max_length=16,
        description="of texts whose school has no code of its own at this carrier; empty: the account's own",
    )


class RouteRequest(web.RequestModel):
    ways: list[WayRequest] = Field(
        min_length=1, max_length=WAYS_MAX, description="the first is the normal one, each other stands by"
    )


class WayView(BaseModel):
    carrier: str
    sender: str


class RouteView(BaseModel):
    country: str
    category: str
    ways: list[WayView]
    changed_by: str
    changed_at: datetime


class RouteList(BaseModel):
    """Without a route a text goes over the stack's own carrier. `changes`: the latest 50; no ways: deleted."""

    routes: list[RouteView]
    changes: list[RouteView]


class EvidenceView(BaseModel):
    """How answers came, each counted in one place."""

    accepted: int
    refused: int = Field(description="for good: a wrong or blocked number")
    for_now: int
    route: int = Field(description="refused because the carrier does not take such texts from us")
    unknown: int
    slow: int = Field(description="came well, but 5 s or more after they were asked")
    waves: int


class MinuteView(BaseModel):
    at: datetime
    answers: EvidenceView


class CircuitView(BaseModel):
    country: str = Field(description="any: the whole carrier, opened by hand alone")
    state: CircuitState
    held: bool = Field(description="open by hand: nobody tries the carrier until it is let go")
    since: datetime | None = Field(description="null: it was never open")
    next_probe_at: datetime | None
    good_probes: int
    openings: int = Field(description="how often it opened, one shortly after the other: each pause is longer")
    by: str
    why: str
    decided_on: EvidenceView | None


class LineView(CircuitView):
    minutes: list[MinuteView] = Field(description="the latest ten with any answer, newest first")


class PlaceView(BaseModel):
    country: str
    category: str
    place: int = Field(description="1: the normal carrier; later ones stand by")


class TransitionView(BaseModel):
    at: datetime
    before: CircuitState
    circuit: CircuitView


class CarrierView(BaseModel):
    carrier: str
    named_by: list[Literal["setting", "route", "code"]]
    whole: CircuitView
    lines: list[LineView]
    routes: list[PlaceView]
    transitions: list[TransitionView] = Field(description="the latest 50, newest first")


class CarrierList(BaseModel):
    carriers: list[CarrierView]


class CircuitRequest(web.RequestModel):
    action: Literal["hold", "let_go"] = Field(
        description="hold: no text goes there; let_go: it is tried again at once, also where the rule opened it"
    )
    country: str = Field(default=ANY, pattern=COUNTRY, description="only its line to this country; any: all of it")
    reason: str = Field(min_length=1, max_length=200, description="for those who look later; no numbers, no names")


@app.get("/operator/routes", summary="Which carrier takes which texts, and who stands by", tags=TAGS)
def list_routes() -> RouteList:
    routes, changes = carrier_routes.list_routes(web.caller(app))
    return RouteList(routes=[_route_view(one) for one in routes], changes=[_route_view(one) for one in changes])


@app.put(
    "/operator/routes/<country>/<category>",
    summary="Say which carrier takes the texts of a country and category, and who stands by",
    tags=TAGS,
    responses=NOT_FOUND | CHANGED,
)
def set_route(country: Country, category: CategoryPath, body: RouteRequest) -> RouteView:
    ways = [Way(one.carrier, one.sender) for one in body.ways]
    return _route_view(carrier_routes.set_route(web.caller(app), country, category, ways, clock.now()))


@app.delete(
    "/operator/routes/<country>/<category>",
    summary="Delete a route: its texts go by the next wider one, or over the stack's carrier",
    tags=TAGS,
    status_code=204,
    responses=NOT_FOUND | CHANGED,
)
def delete_route(country: Country, category: CategoryPath) -> Response[None]:
    carrier_routes.delete_route(web.caller(app), country, category, clock.now())
    return Response(status_code=204)


@app.get("/operator/carriers", summary="How each carrier stands, on which evidence, and how it came there", tags=TAGS)
def list_carriers() -> CarrierList:
    return CarrierList(carriers=[_carrier_view(one) for one in carrier_routes.list_carriers(web.caller(app))])


@app.post(
    "/operator/carriers/<carrier>/circuit",
    summary="Keep texts away from a carrier by hand, or let it go",
    tags=TAGS,
    responses=NOT_FOUND | CHANGED,
)
def change_circuit(carrier: Carrier, body: CircuitRequest) -> CircuitView:
    act = carrier_routes.hold_circuit if body.action == "hold" else carrier_routes.let_circuit_go
    return _circuit_view(act(web.caller(app), carrier, body.country, body.reason, clock.now()))


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return web.answer(app, event, context)


def _route_view(route: Route) -> RouteView:
    return RouteView(
        country=route.country,
        category=route.category,
        ways=[WayView(carrier=way.carrier, sender=way.sender) for way in route.ways],
        changed_by=route.changed_by,
        changed_at=route.changed_at,
    )


def _carrier_view(seen: CarrierSeen) -> CarrierView:
    return CarrierView(
        carrier=seen.carrier,
        named_by=list(seen.named_by),  # type: ignore[arg-type]  # the story's three words
        whole=_circuit_view(seen.whole),
        lines=[
            LineView(**_circuit_view(circuit).model_dump(), minutes=[_minute_view(one) for one in minutes])
            for circuit, minutes in seen.lines
        ],
        routes=[PlaceView(country=one.country, category=one.category, place=one.place) for one in seen.places],
        transitions=[_transition_view(one) for one in seen.transitions],
    )


def _circuit_view(circuit: Circuit) -> CircuitView:
    return CircuitView(
        country=circuit.country,
        state=circuit.state,
        held=circuit.is_held,
        since=circuit.since,
        next_probe_at=circuit.next_probe_at,
        good_probes=circuit.good_probes,
        openings=circuit.openings,
        by=circuit.by,
        why=circuit.why,
        decided_on=EvidenceView(**circuit.decided_on) if circuit.decided_on else None,
    )


def _minute_view(minute: Answered) -> MinuteView:
    return MinuteView(at=minute.at, answers=EvidenceView(**minute.evidence.as_counts()))


def _transition_view(transition: Transition) -> TransitionView:
    return TransitionView(at=transition.at, before=transition.before, circuit=_circuit_view(transition.circuit))
