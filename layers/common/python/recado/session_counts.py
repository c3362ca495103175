"""What happened in sessions, counted by the country's days. A count that fails must never fail what it counts."""

from datetime import date, datetime, timedelta

from recado import log
from recado.access import Caller
from recado.errors import FieldProblem, InvalidRequest, NotAllowed
from recado.rules.country_time import local_day
from recado.rules.roles import Role
from recado.tables import session_counts as table
from recado.tables.session_counts import DayCounts, NotCounted

DAYS_MAX = timedelta(days=366)


def count(country: str, key: str, at: datetime, **counts: int) -> bool:
    """Adds to the day that `at` falls on by the country's clocks. False: not counted, or perhaps, and logged.

    `counts` are the table's counters. `key` only spreads additions (a session's id, a reply's): it is not kept.
    """
    try:
        table.add_counts(country, local_day(country, at), table.shard_of(key), **counts)
    except NotCounted as error:
        log.trouble("session_not_counted", error.__cause__, country=country)
        return False
    return True


def list_days(caller: Caller, country: str, first_day: date, last_day: date) -> list[DayCounts]:
    """What was counted on each day from the first to the last. Raises NotAllowed, InvalidRequest."""
    if caller.role is not Role.OPERATOR:
        raise NotAllowed
    if last_day < first_day:
        raise InvalidRequest(fields=[FieldProblem("/query/to", "range", "Not before `from`")])
    if last_day - first_day >= DAYS_MAX:
        raise InvalidRequest(fields=[FieldProblem("/query/to", "range", f"At most {DAYS_MAX.days} days")])
    return table.list_counts(country, first_day, last_day)
