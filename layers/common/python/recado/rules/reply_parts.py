"""A handset's long message that a carrier brings in parts, joined into one line.

Must never show a text twice nor lose one, in whatever order, number and company parts come: a duplicate is told by the
carrier's id before it comes here. What is missing is not waited for longer than PATIENCE.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType

PATIENCE = timedelta(seconds=60)  # carriers bring the parts of one message within seconds
GAP = "…"  # where a part is missing


@dataclass(frozen=True, slots=True)
class Part:
    """Which part a text is: `number` of `of` (from 1; at least two) of the message that the carrier calls `group`."""

    number: int
    of: int
    group: str


@dataclass(frozen=True, slots=True)
class Joining:
    """One message: `waiting` are parts not shown yet, `since` when the first came, `at` the earliest carrier's time."""

    of: int
    waiting: Mapping[int, str]
    since: datetime
    at: datetime
    shown: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Line:
    """What is shown; `is_partial` when it is not the whole message."""

    text: str
    at: datetime
    is_partial: bool


@dataclass(frozen=True, slots=True)
class Taken:
    """`line` is what to show now, if anything; `is_new`: with this part another message began, to be rated."""

    joining: Joining
    line: Line | None
    is_new: bool


def take(found: Joining | None, part: Part, text: str, at: datetime, now: datetime) -> Taken:
    """What a part makes of the message it belongs to, as far as it is known (None: nothing yet).

    A part that is there already belongs to another message: the carrier uses the group again. What waited is shown.
    """
    if found is None or part.number in found.waiting or part.number in found.shown:
        left = give_up(found).line if found and found.waiting else None
        return Taken(Joining(part.of, MappingProxyType({part.number: text}), now, at), left, is_new=True)
    joining = replace(
        found,
        waiting=MappingProxyType({**found.waiting, part.number: text}),
        at=min(found.at, at) if found.waiting else at,
    )
    if found.shown or len(joining.waiting) == joining.of:
        return give_up(joining)
    return Taken(joining, None, is_new=False)


def give_up(joining: Joining) -> Taken:
    """Shows what waits, whole or not; what still comes of this message is shown by itself, at once."""
    line = Line(text_of(joining.waiting, joining.of), joining.at, len(joining.waiting) < joining.of)
    shown = joining.shown | joining.waiting.keys()
    return Taken(replace(joining, waiting=MappingProxyType({}), shown=shown), line, is_new=False)


def is_overdue(since: datetime, now: datetime) -> bool:
    """Whether what waits since then has waited long enough."""
    return now - since >= PATIENCE


def text_of(parts: Mapping[int, str], of: int) -> str:
    """The parts in their order, with a sign for each gap."""
    said, expected = "", 1
    for number in sorted(parts):
        said += (GAP if number > expected else "") + parts[number]
        expected = number + 1
    return said + (GAP if expected <= of else "")
