"""Which carriers take a text: a row a country and category, all in one partition, for they are read together.

Beside them who changed which, and when: written with the change, in one transaction.
"""

from dataclasses import replace

from pynamodb.attributes import JSONAttribute, NumberAttribute, UnicodeAttribute, UTCDateTimeAttribute
from pynamodb.expressions.condition import Condition

from recado.rules.carrier_routes import Route, Way
from recado.tables.base import RoutesMeta, Row, Transaction

_PK, _LOG_PK = "ROUTING", "ROUTING#changes"


class _RouteRow(Row):
    class Meta(RoutesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    ways = JSONAttribute()
    changed_by = UnicodeAttribute()
    changed_at = UTCDateTimeAttribute()
    expires_at = NumberAttribute(null=True)


def list_routes(*, is_consistent: bool) -> list[Route]:
    """Every route: tens of them."""
    return [_route(row) for row in _RouteRow.query(_PK, consistent_read=is_consistent)]


def find_route(country: str, category: str) -> Route | None:
    try:
        return _route(_RouteRow.get(_PK, _sk(country, category), consistent_read=True))
    except _RouteRow.DoesNotExist:
        return None


def save_route(route: Route, *, was: Route | None, expires_at: int) -> bool:
    """Writes a route over the one that was read (None: none); False when it is another one now."""
    row = _RouteRow(
        _PK,
        _sk(route.country, route.category),
        ways=_packed(route),
        changed_by=route.changed_by,
        changed_at=route.changed_at,
    )
    try:
        with Transaction() as write:
            write.put(row, _as_read(was), lambda _: _Moved())
            _note(write, route, expires_at)
    except _Moved:
        return False
    return True


def delete_route(route: Route, *, was: Route, expires_at: int) -> bool:
    """Deletes the route that was read; `route` says who does, and when. False when it is another one now, or gone."""
    try:
        with Transaction() as write:
            write.delete(_RouteRow(_PK, _sk(was.country, was.category)), _as_read(was), lambda _: _Moved())
            _note(write, replace(route, ways=()), expires_at)
    except _Moved:
        return False
    return True


def list_changes(*, limit: int) -> list[Route]:
    """The latest changes, newest first; one without ways is a deletion."""
    rows = _RouteRow.query(_LOG_PK, scan_index_forward=False, limit=limit, consistent_read=True)
    return [_read(row, *row.sk.split("#")[1:3]) for row in rows]


class _Moved(Exception):  # a signal between two steps here
    """The route is no longer as it was read."""


def _as_read(was: Route | None) -> Condition:
    found: Condition = _RouteRow.pk.does_not_exist() if was is None else _RouteRow.changed_at == was.changed_at
    return found


def _note(write: Transaction, route: Route, expires_at: int) -> None:
    at = route.changed_at.isoformat(timespec="microseconds")
    row = _RouteRow(
        _LOG_PK,
        f"{at}#{_sk(route.country, route.category)}",
        ways=_packed(route),
        changed_by=route.changed_by,
        changed_at=route.changed_at,
        expires_at=expires_at,
    )
    write.put(row, _RouteRow.pk.does_not_exist(), lambda _: _Moved())


def _packed(route: Route) -> list[list[str]]:
    return [[way.carrier, way.sender] for way in route.ways]


def _sk(country: str, category: str) -> str:
    return f"{country}#{category}"


def _route(row: _RouteRow) -> Route:
    return _read(row, *row.sk.split("#"))


def _read(row: _RouteRow, country: str, category: str) -> Route:
    ways = tuple(Way(carrier, sender) for carrier, sender in row.ways)
    return Route(country, category, ways, row.changed_by, row.changed_at)
