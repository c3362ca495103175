"""What families answered to a school, in the order it came. Written once per carrier reply id."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pynamodb.attributes import JSONAttribute, NumberAttribute, UnicodeAttribute, UTCDateTimeAttribute

from recado.rules.reply_parts import Part
from recado.tables.base import MessagesMeta, Row, Transaction


@dataclass(frozen=True, slots=True)
class Reply:
    """`cause` is `<carrier>#<the carrier's id>`, so that the same reply twice is one; `id` is what portals call it.

    `message`: the one it answers, where that is known. `sent_on_at`: when the handset said that it is for this school.
    """

    school_id: str
    cause: str
    number: str
    code: str
    text: str
    received_at: datetime
    word: str | None = None
    message: str | None = None
    sent_on_at: datetime | None = None

    @property
    def id(self) -> str:
        return id_of(self.school_id, self.cause)


@dataclass(frozen=True, slots=True)
class ReplyFilter:
    """Which replies are wanted; None: whatever it is. `since` is in, `until` is not."""

    number: str | None = None
    code: str | None = None
    word: str | None = None
    message: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def takes(self, reply: Reply) -> bool:
        wanted = (
            (self.number, reply.number),
            (self.code, reply.code),
            (self.word, reply.word),
            (self.message, reply.message),
        )
        return all(one is None or one == found for one, found in wanted)


ANY = ReplyFilter()


@dataclass(frozen=True, slots=True)
class Growing:
    """A long message that comes in parts: what is there of it, and which reply shows it. `revision` counts writings."""

    parts: Mapping[int, str]
    reply_id: str
    received_at: datetime
    revision: int = 0


class _ReplyRow(Row):
    class Meta(MessagesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    reply_id = UnicodeAttribute()
    number = UnicodeAttribute()
    code = UnicodeAttribute()
    text = UnicodeAttribute()
    received_at = UTCDateTimeAttribute()
    word = UnicodeAttribute(null=True)
    message = UnicodeAttribute(null=True)
    sent_on_at = UTCDateTimeAttribute(null=True)
    expires_at = NumberAttribute()


class _ReplyPlaceRow(Row):
    class Meta(MessagesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    place = UnicodeAttribute()
    expires_at = NumberAttribute()


class _SeenRow(Row):
    class Meta(MessagesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    expires_at = NumberAttribute()


class _GrowingRow(Row):
    class Meta(MessagesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    parts = JSONAttribute()
    reply_id = UnicodeAttribute()
    received_at = UTCDateTimeAttribute()
    revision = NumberAttribute()
    expires_at = NumberAttribute()


def create_reply(write: Transaction, reply: Reply, *, expires_at: int, seen_before: Exception) -> None:
    """Keeps a reply, as part of a transaction that is refused as `seen_before` when this id came already.

    Its row by id comes first: the row by time alone could not tell a second delivery with another clock.
    """
    write.put(_seen(reply.school_id, reply.cause, expires_at), _SeenRow.pk.does_not_exist(), lambda _: seen_before)
    write.put(_row(reply, expires_at), _ReplyRow.pk.does_not_exist(), lambda _: seen_before)
    write.put(_place_row(reply, expires_at), _ReplyPlaceRow.pk.does_not_exist(), lambda _: seen_before)


def note_part(
    write: Transaction, school_id: str, reply_id: str, part: Part, *, expires_at: int, seen_before: Exception
) -> None:
    """Notes that a part came, as part of a transaction that is refused as `seen_before` when it came already."""
    row = _seen(school_id, f"{reply_id}#{part.number}/{part.of}", expires_at)
    write.put(row, _SeenRow.pk.does_not_exist(), lambda _: seen_before)


def find_growing(school_id: str, carrier: str, number: str, code: str, part: Part) -> Growing | None:
    """The message that a part belongs to, as far as it has come, consistently."""
    try:
        row = _GrowingRow.get(*_growing_key(school_id, carrier, number, code, part), consistent_read=True)
    except _GrowingRow.DoesNotExist:
        return None
    parts = {int(key): text for key, text in row.parts.items()}
    return Growing(parts, row.reply_id, row.received_at, int(row.revision))


def save_growing(
    write: Transaction,
    reply: Reply,
    carrier: str,
    part: Part,
    growing: Growing,
    *,
    seen: Growing | None,
    expires_at: int,
    refused: Exception,
) -> None:
    """Writes a message over what was seen of it, and the reply that shows it, as part of a transaction."""
    row = _GrowingRow(
        *_growing_key(reply.school_id, carrier, reply.number, reply.code, part),
        parts={str(number): text for number, text in growing.parts.items()},
        reply_id=reply.cause,
        received_at=reply.received_at,
        revision=seen.revision + 1 if seen else 1,
        expires_at=expires_at,
    )
    is_seen = _GrowingRow.revision == seen.revision if seen else _GrowingRow.pk.does_not_exist()
    write.put(row, is_seen, lambda _: refused)
    is_shown = seen is not None and seen.reply_id == reply.cause
    condition = _ReplyRow.pk.exists() if is_shown else _ReplyRow.pk.does_not_exist()
    write.put(_row(reply, expires_at), condition, lambda _: refused)
    if not is_shown:
        write.put(_place_row(reply, expires_at), _ReplyPlaceRow.pk.does_not_exist(), lambda _: refused)


def id_of(school_id: str, cause: str) -> str:
    """What portals call a reply: it follows from its cause, and says nothing of it."""
    digest = hashlib.sha256(f"{school_id}|{cause}".encode()).digest()
    return "r" + base64.b32encode(digest).decode()[:26].lower()


def find_reply(school_id: str, reply_id: str) -> Reply | None:
    """One reply by its id, consistently; None also for one of before replies were kept by id."""
    try:
        place = _ReplyPlaceRow.get(f"S#{school_id}#R#ID", reply_id, consistent_read=True).place
        return _reply(school_id, _ReplyRow.get(f"S#{school_id}#R", place, consistent_read=True))
    except (_ReplyPlaceRow.DoesNotExist, _ReplyRow.DoesNotExist):
        return None


def list_replies(
    school_id: str,
    *,
    limit: int,
    before: str | None = None,
    wanted: ReplyFilter = ANY,
    read_max: int = 1000,
) -> tuple[list[Reply], str | None]:
    """A page of a school's replies, newest first, and the cursor of the next (None: no more).

    With a filter it may be short, or empty, and there may be more all the same: `read_max` rows are looked at.
    """
    first = _moment(wanted.since) if wanted.since else "0"
    last = min(one for one in (_moment(wanted.until) if wanted.until else "9", before or "9"))
    condition = _ReplyRow.sk.between(first, last)
    found: list[Reply] = []
    rows = _ReplyRow.query(
        f"S#{school_id}#R", condition, scan_index_forward=False, limit=read_max + 1, page_size=min(limit, 100) + 2
    )
    place = None
    for read, row in enumerate(row for row in rows if row.sk != last):
        if len(found) == limit or read == read_max:
            return found, place
        reply, place = _reply(school_id, row), row.sk
        if wanted.takes(reply):
            found.append(reply)
    return found, None


def _reply(school_id: str, row: _ReplyRow) -> Reply:
    return Reply(
        school_id,
        row.reply_id,
        row.number,
        row.code,
        row.text,
        row.received_at,
        row.word,
        row.message,
        row.sent_on_at,
    )


def _place_row(reply: Reply, expires_at: int) -> _ReplyPlaceRow:
    return _ReplyPlaceRow(f"S#{reply.school_id}#R#ID", reply.id, place=_place(reply), expires_at=expires_at)


def _place(reply: Reply) -> str:
    return f"{_moment(reply.received_at)}#{reply.cause}"


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def _seen(school_id: str, reply_id: str, expires_at: int) -> _SeenRow:
    return _SeenRow(f"S#{school_id}#R#SEEN", reply_id, expires_at=expires_at)


def _growing_key(school_id: str, carrier: str, number: str, code: str, part: Part) -> tuple[str, str]:
    return f"S#{school_id}#R#PARTS", f"{carrier}#{number}#{code}#{part.of}#{part.group}"


def _row(reply: Reply, expires_at: int) -> _ReplyRow:
    return _ReplyRow(
        f"S#{reply.school_id}#R",
        _place(reply),
        reply_id=reply.cause,
        number=reply.number,
        code=reply.code,
        text=reply.text,
        received_at=reply.received_at,
        word=reply.word,
        message=reply.message,
        sent_on_at=reply.sent_on_at,
        expires_at=expires_at,
    )
