"""How a session looks from outside: a line of its transcript, in an answer and in a frame, and frames as JSON.

It translates and decides nothing, and imports no library: the functions that only push start without pydantic.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypedDict

from recado.tables.sessions import Direction, Text


class TranscriptLine(TypedDict):
    """`number` and `code` are a reply's: who wrote it, and to which short code. A page sorts by `at`, then `seq`.

    `seq` is the order in which lines came here, what `after` counts by; `text` is text, never markup; a reply's `at` is
    by the carrier's clock where that can be; `is_partial`: a long reply of which parts are missing, … for each gap.
    """

    seq: int
    direction: Direction
    text: str
    at: datetime
    number: str | None
    code: str | None
    is_partial: bool


def line_of(text: Text) -> TranscriptLine:
    return TranscriptLine(
        seq=text.seq,
        direction=text.direction,
        text=text.text,
        at=text.at,
        number=text.number,
        code=text.code,
        is_partial=text.is_partial,
    )


def as_json(frame: Mapping[str, Any]) -> bytes:
    """A frame as it goes over the wire; times as in every answer, `2026-11-23T12:00:20Z`."""
    return json.dumps(frame, ensure_ascii=False, default=_shown).encode()


def _shown(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
