"""Which carriers take a text: a row a country and category, all in one partition, for they are read together."""

from datetime import datetime

from pynamodb.attributes import JSONAttribute, UnicodeAttribute, UTCDateTimeAttribute

from recado.rules.carrier_routes import Route, Way
from recado.tables.base import RoutesMeta, Row, delete_if, put_if


class _RouteRow(Row):
    class Meta(RoutesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    ways = JSONAttribute()
    changed_by = UnicodeAttribute()
    changed_at = UTCDateTimeAttribute()


def list_routes(*, is_consistent: bool) -> list[Route]:
    """Every route: tens of them."""
    return [_route(row) for row in _RouteRow.query(_PK, consistent_read=is_consistent)]


def find_route(country: str, category: str) -> Route | None:
    try:
        return _route(_RouteRow.get(_PK, _sk(country, category), consistent_read=True))
    except _RouteRow.DoesNotExist:
        return None


def save_route(route: Route, *, was: Route | None) -> bool:
    """Writes a route over the one that was read (None: none); False when it is another one now."""
    row = _RouteRow(
        _PK,
        _sk(route.country, route.category),
        ways=[[way.carrier, way.sender] for way in route.ways],
        changed_by=route.changed_by,
        changed_at=route.changed_at,
    )
    if was is None:
        return put_if(row, _RouteRow.pk.does_not_exist())
    return put_if(row, _RouteRow.changed_at == was.changed_at)


def delete_route(country: str, category: str, *, changed_at: datetime) -> bool:
    """Deletes the route that was read; False when it is another one now, or gone."""
    return delete_if(_RouteRow(_PK, _sk(country, category)), _RouteRow.changed_at == changed_at)


_PK = "ROUTING"


def _sk(country: str, category: str) -> str:
    return f"{country}#{category}"


def _route(row: _RouteRow) -> Route:
    country, category = row.sk.split("#")
    ways = tuple(Way(carrier, sender) for carrier, sender in row.ways)
    return Route(country, category, ways, row.changed_by, row.changed_at)
