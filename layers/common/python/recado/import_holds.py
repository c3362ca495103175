"""One worker's hold on an import: a lease that it renews, the clock it looks at, its writes of the import's row."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from recado import events
from recado.clock import Clock
from recado.events import NewEvent
from recado.tables import imports as table
from recado.tables.base import Transaction
from recado.tables.imports import Import, Progress
from recado.tables.schools import School

LEASE = timedelta(seconds=60)
RENEW_AFTER = timedelta(seconds=15)
LEASE_MARGIN = timedelta(seconds=20)  # a write that starts before it is over by the end of the lease
STOP_BEFORE = timedelta(seconds=60)  # of the function's time: the rest is for a fresh run

type TimeLeft = Callable[[], timedelta]


class LostHold(Exception):  # not an error: whoever has it goes on
    """The import is no longer this worker's."""


class OutOfTime(Exception):  # not an error: a fresh run goes on
    """The function's time is nearly over."""


class Hold:
    """One worker's hold on an import: it renews its lease as it goes, and stops when it has lost it."""

    def __init__(self, school: School, one: Import, clock: Clock, time_left: TimeLeft) -> None:
        self.school, self.one, self.clock, self.time_left = school, one, clock, time_left
        self._renewed_at = clock()

    def save(self, **changes: Any) -> None:
        now = self.clock()
        after = replace(self.one, **{"lease_until": now + LEASE} | changes)
        saved = table.save_import(self.school.id, after, self.one)
        if saved is None:
            raise LostHold
        self.one, self._renewed_at = saved, now

    def save_in(self, write: Transaction, **changes: Any) -> Import:
        return table.save_import_in(write, self.school.id, replace(self.one, **changes), self.one, LostHold())

    def put(self, write: Transaction, after: Import) -> None:
        table.save_import_in(write, self.school.id, after, self.one, LostHold())

    def commit(self, after: Import, told: NewEvent, add: Callable[[Transaction], None]) -> None:
        """A step that the portal hears of, with its event. `add` puts it; its writes may be put several times."""
        events.commit(self.school.id, told, add)
        self.one = replace(after, version=self.one.version + 1)

    def keep(self, progress: Progress, **changes: Any) -> None:
        """Says how far it is, every now and then."""
        if self.clock() - self._renewed_at >= RENEW_AFTER:
            self.save(progress=progress, **changes)

    def check(self) -> None:
        """Before each write: whoever was out for so long that another may be at it writes nothing more."""
        if self.one.lease_until is None or self.clock() > self.one.lease_until - LEASE_MARGIN:
            raise LostHold

    def check_time(self) -> None:
        if self.time_left() < STOP_BEFORE:
            raise OutOfTime
