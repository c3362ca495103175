"""Which session holds (handset, code), or until when a released pair rests. At most one session holds a pair.

A route is claimed and released under conditions only. It never says that its session is open: the session's row does.
"""

from datetime import datetime, timedelta
from typing import Any

from pynamodb.attributes import NumberAttribute, UnicodeAttribute, UTCDateTimeAttribute

from recado.rules.short_codes import Route
from recado.tables.base import RoutesMeta, Row, Transaction, read_raw, update_if

# After its last use a route is remembered this long, then DynamoDB tidies it. Far longer than any session and its
# quarantine; it also frees the pair of a worker that died between two steps nobody takes up again.
LIFE = timedelta(days=30)


class _RouteRow(Row):
    class Meta(RoutesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    session_id = UnicodeAttribute()
    source = UnicodeAttribute(null=True)
    claimed_at = UTCDateTimeAttribute()
    free_at = UTCDateTimeAttribute(null=True)
    noticed_at = UTCDateTimeAttribute(null=True)
    free_before_notice = UTCDateTimeAttribute(null=True)
    expires_at = NumberAttribute()


def find_route(number: str, code: str) -> Route | None:
    """One pair, consistently; None when it was never used."""
    try:
        return _route(_RouteRow.get(_pk(number), code, consistent_read=True))
    except _RouteRow.DoesNotExist:
        return None


def list_routes(number: str) -> list[Route]:
    """Every code the handset was ever written to from, consistently: at most the pool."""
    return [_route(row) for row in _RouteRow.query(_pk(number), consistent_read=True)]


def claim_route(
    write: Transaction,
    number: str,
    code: str,
    session_id: str,
    source: str,
    now: datetime,
    *,
    held: Exception,
    taken: Exception,
) -> None:
    """Takes a pair that is free, in a transaction. Raises `held` when this session has it already, else `taken`."""
    row = _RouteRow(
        _pk(number),
        code,
        session_id=session_id,
        source=source,
        claimed_at=now,
        expires_at=int((now + LIFE).timestamp()),
    )

    def refused(raw: dict[str, Any] | None) -> Exception:
        is_mine = read_raw(_RouteRow.session_id, raw) == session_id and read_raw(_RouteRow.free_at, raw) is None
        return held if is_mine else taken

    write.put(row, _RouteRow.pk.does_not_exist() | (_RouteRow.free_at <= now), refused)


def release_route(
    number: str, code: str, session_id: str, *, free_at: datetime, claimed_at: datetime | None = None
) -> bool:
    """Lets go of a pair that this session holds, to rest until `free_at`; False when it does not hold it.

    With `claimed_at` only of that very claim: not of one that was made since it was read.
    """
    changes = [
        _RouteRow.free_at.set(free_at),
        _RouteRow.expires_at.set(int((free_at + LIFE).timestamp())),
        _RouteRow.source.remove(),
    ]
    is_held = (_RouteRow.session_id == session_id) & _RouteRow.free_at.does_not_exist()
    if claimed_at is not None:
        is_held &= _RouteRow.claimed_at == claimed_at
    return update_if(_RouteRow(_pk(number), code), changes, is_held)


def note_notice(
    write: Transaction, number: str, route: Route, now: datetime, *, rests_until: datetime, refused: Exception
) -> None:
    """Notes that the handset is told that this use of the pair has ended, once; a pair that rests does so from now on.

    Part of a transaction that is refused when the route is not as it was seen. A new claim of the pair forgets it.
    """
    is_seen = (_RouteRow.session_id == route.session_id) & _RouteRow.noticed_at.does_not_exist()
    changes = [_RouteRow.noticed_at.set(now)]
    if route.free_at is None:
        is_seen &= _RouteRow.free_at.does_not_exist()
    else:
        is_seen &= (_RouteRow.free_at == route.free_at) & (_RouteRow.free_at > now)
        changes += [_RouteRow.free_before_notice.set(route.free_at), _RouteRow.free_at.set(rests_until)]
        changes += [_RouteRow.expires_at.set(int((rests_until + LIFE).timestamp()))]
    write.update(_RouteRow(_pk(number), route.code), changes, is_seen, lambda _: refused)


def rest_anew(
    write: Transaction, number: str, route: Route, now: datetime, *, rests_until: datetime, refused: Exception
) -> None:
    """A pair that rests does so from now on: it was spoken to again, without being used. Part of a transaction that is
    refused when it is not as it was seen.
    """
    is_seen = (_RouteRow.session_id == route.session_id) & (_RouteRow.free_at == route.free_at)
    changes = [
        _RouteRow.free_before_notice.set(route.free_before_notice or route.free_at or now),
        _RouteRow.free_at.set(rests_until),
        _RouteRow.expires_at.set(int((rests_until + LIFE).timestamp())),
    ]
    write.update(_RouteRow(_pk(number), route.code), changes, is_seen & (_RouteRow.free_at > now), lambda _: refused)


def _pk(number: str) -> str:
    return f"H#{number}"


def _route(row: _RouteRow) -> Route:
    return Route(
        row.sk,
        row.session_id,
        row.free_at,
        row.claimed_at,
        source=row.source,
        noticed_at=row.noticed_at,
        free_before_notice=row.free_before_notice,
    )
