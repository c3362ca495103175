"""What happened in sessions, counted by the country's days. A count that fails must never fail what it counts."""

from datetime import datetime

from recado import log
from recado.rules.country_time import local_day
from recado.tables import session_counts as table
from recado.tables.session_counts import NotCounted


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
