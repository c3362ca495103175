"""Routes and circuits of carriers as the platform's staff see and set them. What workers make of them is elsewhere.

It must never send or withhold a text itself: it changes rows that workers read a moment later.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from recado import circuits, log, schools
from recado.access import Caller
from recado.carriers import REGISTRY
from recado.errors import ChangedMeanwhile, FieldProblem, InvalidRequest, NotFound
from recado.rules import carrier_routes as rules
from recado.rules import circuits as circuit_rules
from recado.rules import school_records
from recado.rules.carrier_routes import ANY, Route, Way
from recado.rules.circuits import Circuit, CircuitState
from recado.rules.message_states import Category
from recado.settings import SETTINGS
from recado.tables import carrier_routes as table
from recado.tables import circuits as circuit_table
from recado.tables import short_codes
from recado.tables.circuits import Answered, Transition

CHANGE_LIFE = timedelta(days=400)
CHANGES_SHOWN = 50
TRANSITIONS_SHOWN = 50
MINUTES_SHOWN = 10
ATTEMPTS_MAX = 5


@dataclass(frozen=True, slots=True)
class Place:
    """Where a route names a carrier: 1 is the normal one, those after it stand by."""

    country: str
    category: str
    place: int


@dataclass(frozen=True, slots=True)
class CarrierSeen:
    """`whole` is opened by hand alone; `lines` are by country, with their latest minutes, the newest first."""

    carrier: str
    named_by: tuple[str, ...]
    whole: Circuit
    lines: tuple[tuple[Circuit, tuple[Answered, ...]], ...]
    places: tuple[Place, ...]
    transitions: tuple[Transition, ...]


def list_routes(caller: Caller) -> tuple[list[Route], list[Route]]:
    """The routes, and their latest changes, the newest first; one without ways is a deletion."""
    schools.check_caller(caller)
    return table.list_routes(is_consistent=True), table.list_changes(limit=CHANGES_SHOWN)


def set_route(caller: Caller, country: str, category: str, ways: Sequence[Way], now: datetime) -> Route:
    """Says who takes the texts of a country and category. The same once more changes nothing.

    Raises InvalidRequest, and ChangedMeanwhile when others keep changing it.
    """
    schools.check_caller(caller)
    _check_place(country, category)
    _check_ways(ways)
    for _ in range(ATTEMPTS_MAX):
        was = table.find_route(country, category)
        if was is not None and was.ways == tuple(ways):
            return was
        route = Route(country, category, tuple(ways), caller.subject, _after(was, now))
        if table.save_route(route, was=was, expires_at=_expires_at(now)):
            log.outcome(
                "carrier_route_set", country=country, category=category, carriers=",".join(way.carrier for way in ways)
            )
            return route
    raise ChangedMeanwhile


def delete_route(caller: Caller, country: str, category: str, now: datetime) -> None:
    """Its texts go by the next wider route from now on. One that is not there is deleted already."""
    schools.check_caller(caller)
    _check_place(country, category)
    for _ in range(ATTEMPTS_MAX):
        was = table.find_route(country, category)
        if was is None:
            return
        deleted = Route(country, category, (), caller.subject, _after(was, now))
        if table.delete_route(deleted, was=was, expires_at=_expires_at(now)):
            log.outcome("carrier_route_deleted", country=country, category=category)
            return
    raise ChangedMeanwhile


def list_carriers(caller: Caller) -> list[CarrierSeen]:
    """Each carrier that the stack's setting, a route or a short code names, or that was opened once."""
    schools.check_caller(caller)
    routes = table.list_routes(is_consistent=True)
    with_codes = {code.carrier for country in SETTINGS.country_codes for code in short_codes.list_codes(country)}
    found = [_see(carrier, routes, has_codes=carrier in with_codes) for carrier in REGISTRY]
    return [one for one in found if one.named_by or one.transitions]


def hold_circuit(caller: Caller, carrier: str, country: str, why: str, now: datetime) -> Circuit:
    """Keeps texts away from a carrier, or from its line to one country, until it is let go. Raises NotFound."""
    _check_circuit(caller, carrier, country)
    for _ in range(ATTEMPTS_MAX):
        was = circuit_table.find_circuit(carrier, country)
        if was.is_held:
            return was
        held = circuit_rules.held(was, caller.subject, why, now)
        if circuits.save(held, was=was, now=now):
            return held
    raise ChangedMeanwhile


def let_circuit_go(caller: Caller, carrier: str, country: str, why: str, now: datetime) -> Circuit:
    """Lets go what was held, or hurries what the rule opened: a probe is due at once. A closed one stays closed."""
    _check_circuit(caller, carrier, country)
    for _ in range(ATTEMPTS_MAX):
        was = circuit_table.find_circuit(carrier, country)
        if was.state is not CircuitState.OPEN:
            return was
        let_go = circuit_rules.let_go(was, caller.subject, why, now, is_whole_carrier=country == ANY)
        if circuits.save(let_go, was=was, now=now):
            return let_go
    raise ChangedMeanwhile


def _see(carrier: str, routes: Sequence[Route], *, has_codes: bool) -> CarrierSeen:
    places = tuple(
        Place(route.country, route.category, number)
        for route in routes
        for number, way in enumerate(route.ways, start=1)
        if way.carrier == carrier
    )
    known = {one.country: one for one in circuit_table.list_circuits(carrier, is_consistent=True)}
    names = (("setting", carrier == SETTINGS.carrier), ("route", bool(places)), ("code", has_codes))
    named_by = tuple(name for name, is_so in names if is_so)
    countries = {*known, *(place.country for place in places), *(SETTINGS.country_codes if named_by else ())} - {ANY}
    lines = tuple(
        (
            known.get(country, Circuit(carrier, country)),
            tuple(circuit_table.list_minutes(carrier, country, limit=MINUTES_SHOWN)),
        )
        for country in sorted(countries)
    )
    transitions = tuple(circuit_table.list_transitions(carrier, limit=TRANSITIONS_SHOWN))
    return CarrierSeen(carrier, named_by, known.get(ANY, Circuit(carrier, ANY)), lines, places, transitions)


def _check_circuit(caller: Caller, carrier: str, country: str) -> None:
    schools.check_caller(caller)
    if carrier not in REGISTRY:
        raise NotFound("There is no such carrier")
    if country != ANY and not school_records.is_country(country):
        raise _wrong("/country", "unknown", "There is no such country")


def _check_place(country: str, category: str) -> None:
    if country != ANY and not school_records.is_country(country):
        raise NotFound("There is no such country")
    if category not in (ANY, rules.SESSIONS, *Category):
        raise NotFound("There is no such category")


def _check_ways(ways: Sequence[Way]) -> None:
    problems = []
    for place, way in enumerate(ways):
        if way.carrier not in REGISTRY:
            problems.append(FieldProblem(f"/ways/{place}/carrier", "unknown", "There is no such carrier"))
        if way.sender and not school_records.is_sender(way.sender):
            problems.append(FieldProblem(f"/ways/{place}/sender", "malformed", "3 to 8 digits, or a number in E.164"))
    if rules.has_twice(ways):
        problems.append(FieldProblem("/ways", "twice", "A carrier cannot stand by for itself"))
    if problems:
        raise InvalidRequest(fields=problems)


def _after(was: Route | None, now: datetime) -> datetime:
    """Later than the change it replaces, whose moment is what the next one is checked against."""
    return now if was is None else max(now, was.changed_at + timedelta(milliseconds=1))


def _expires_at(now: datetime) -> int:
    return int((now + CHANGE_LIFE).timestamp())


def _wrong(field: str, code: str, detail: str) -> InvalidRequest:
    return InvalidRequest(fields=[FieldProblem(field, code, detail)])
