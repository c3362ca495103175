"""Parts of handsets' long messages, under the key of the session that took them: deleted with it (C7).

Written only together with the session's own row, in one transaction; `revision` says that it is as it was read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pynamodb.attributes import JSONAttribute, NumberAttribute, UnicodeAttribute, UTCDateTimeAttribute

from recado.rules.reply_parts import Joining, Part
from recado.tables.base import Row, SessionsMeta, Transaction
from recado.tables.sessions import session_key


@dataclass(frozen=True, slots=True)
class JoiningKey:
    """Whose message it is. The number of parts belongs to it: parts that do not agree on it are of two messages."""

    number: str
    code: str
    of: int
    group: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A message as it lies there, and which writing of it this is."""

    joining: Joining
    revision: int


class _JoiningRow(Row):
    class Meta(SessionsMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    revision = NumberAttribute()
    waiting = JSONAttribute()
    shown = JSONAttribute()
    since = UTCDateTimeAttribute()
    at = UTCDateTimeAttribute()
    expires_at = NumberAttribute()


def key_of(number: str, code: str, part: Part) -> JoiningKey:
    """The message that a handset's part to a code belongs to."""
    return JoiningKey(number, code, part.of, part.group)


def find_joining(session_id: str, key: JoiningKey) -> Kept | None:
    """What a session has of a message, consistently."""
    try:
        return _kept(_JoiningRow.get(session_key(session_id), _sort_key(key), consistent_read=True))
    except _JoiningRow.DoesNotExist:
        return None


def list_joining(session_id: str) -> list[tuple[JoiningKey, Kept]]:
    """Every message that came to a session in parts, consistently."""
    found = _JoiningRow.query(session_key(session_id), _JoiningRow.sk.startswith("r#"), consistent_read=True)
    return [(_read_sort_key(row.sk), _kept(row)) for row in found]


def save_joining(
    write: Transaction,
    session_id: str,
    key: JoiningKey,
    joining: Joining,
    *,
    seen: Kept | None,
    expires_at: int,
    refused: Exception,
) -> None:
    """Writes a message over what was seen of it, as part of the session's transaction."""
    row = _JoiningRow(
        session_key(session_id),
        _sort_key(key),
        revision=seen.revision + 1 if seen else 1,
        waiting={str(number): text for number, text in joining.waiting.items()},
        shown=sorted(joining.shown),
        since=joining.since,
        at=joining.at,
        expires_at=expires_at,
    )
    condition = _JoiningRow.revision == seen.revision if seen else _JoiningRow.pk.does_not_exist()
    write.put(row, condition, lambda _: refused)


def _kept(row: _JoiningRow) -> Kept:
    waiting: Mapping[str, str] = row.waiting
    joining = Joining(
        of=_read_sort_key(row.sk).of,
        waiting=MappingProxyType({int(number): text for number, text in waiting.items()}),
        since=row.since,
        at=row.at,
        shown=frozenset(int(number) for number in row.shown),
    )
    return Kept(joining, int(row.revision))


def _sort_key(key: JoiningKey) -> str:
    # The group last: it is the carrier's own, and may hold anything.
    return f"r#{key.number}#{key.code}#{key.of}#{key.group}"


def _read_sort_key(sk: str) -> JoiningKey:
    _, number, code, of, group = sk.split("#", 4)
    return JoiningKey(number, code, int(of), group)
