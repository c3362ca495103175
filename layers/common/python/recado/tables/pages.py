"""Pages of at most 100: `manifest` (immutable), `state` (one letter each), `receipts` (sets of indices).

A page is of texts (recipients) or of copies for the message centre (readers).

A message's pages lie in Messages, one partition each; a session's lie with the session, and are deleted with it; a
notice's lie beside them, and are deleted once it was spoken.
Every write of a state row names the version it changes.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from itertools import batched
from typing import Any

from pynamodb.attributes import (
    BooleanAttribute,
    JSONAttribute,
    NumberAttribute,
    NumberSetAttribute,
    UnicodeAttribute,
    UTCDateTimeAttribute,
)
from pynamodb.expressions.condition import Condition, size
from pynamodb.expressions.update import Action

from recado.rules.asked_carriers import NOBODY, Asked, read_ranges
from recado.rules.credit_bags import Zone
from recado.rules.delivery_states import Letter, Receipt
from recado.rules.texts import FieldValues
from recado.tables.base import MessagesMeta, Row, SessionsMeta, Transaction, delete_if, update_if

PAGE_SIZE = 100
PAGES_READ_AT_ONCE = 30  # three rows each: under the hundred of one BatchGetItem
HANDED_AT_ONCE = 100  # one row each
REPORTED_MAX = 1600  # one for each part of each recipient; whoever repeats receipts without end fills no row


class PageKind(StrEnum):
    MESSAGE = "m"
    SESSION = "x"
    NOTICE = "n"  # one text of recado's own to one handset
    ANSWER = "a"  # one too: what a handset's word or text is answered with
    CONFIRMATION = "c"  # one too: that STOP was obeyed, which alone passes the block


OWN_TEXTS = (PageKind.NOTICE, PageKind.ANSWER, PageKind.CONFIRMATION)


@dataclass(frozen=True, slots=True)
class PageRef:
    """Which page: `item` is the message's or session's id, `plan` the attempt at planning (a session's: which text;
    of recado's own texts: until when it may be spoken, in seconds since 1970)."""

    kind: PageKind
    school_id: str
    item: str
    plan: str
    page: int

    def reference(self, index: int) -> str:
        """What the carrier gets as our reference of one recipient, and echoes in receipts."""
        return f"{self.kind.value}.{self.school_id}.{self.item}.{self.plan}.{self.page}.{index}"


def read_reference(text: str) -> tuple[PageRef, int] | None:
    """The page and index of a reference; None when it is not one of ours."""
    parts = text.split(".")
    if len(parts) != 6 or parts[0] not in list(PageKind) or not all(parts[1:4]):
        return None
    page, index = parts[4:]
    if not (page.isascii() and page.isdecimal() and index.isascii() and index.isdecimal()):
        return None
    if int(index) >= PAGE_SIZE:
        return None
    return PageRef(PageKind(parts[0]), parts[1], parts[2], parts[3], int(page)), int(index)


@dataclass(frozen=True, slots=True)
class PageRecipient:
    """One text to one number: whose it is, what it costs, and the code it comes from when the handset has its own.

    `values` is what the text's personal fields say here; None where it has none.
    """

    number: str
    person_ids: tuple[str, ...]
    zone: Zone
    segments: int
    code: str | None = None
    values: FieldValues | None = None


@dataclass(frozen=True, slots=True)
class PageReader:
    """One copy in the message centre."""

    person_id: str
    values: FieldValues | None = None


@dataclass(frozen=True, slots=True)
class PageState:
    """`letters[i]` is recipient i's. `wave_until` and `owner` are of the wave that is open, if any letter is C.

    `carrier` is the latest wave's; `asked` are those of all, each with its texts: None on a page that nobody was asked
    about yet, or with a `carrier` on one of before it was kept. `hand_overs` are (moment, indices as "0-19,24").
    """

    version: int
    letters: str
    is_open: bool
    job: int
    owner: str | None = None
    spoken_at: datetime | None = None
    wave_until: datetime | None = None
    not_before: datetime | None = None
    carrier: str | None = None
    asked: Asked | None = None
    refusals: Mapping[str, str] | None = None
    hand_overs: tuple[tuple[str, str], ...] = ()

    def with_letters(self, changes: Mapping[int, Letter]) -> "PageState":
        letters = list(self.letters)
        for index, letter in changes.items():
            letters[index] = letter.value
        return replace(self, letters="".join(letters))

    def indices(self, letter: Letter) -> list[int]:
        return [index for index, found in enumerate(self.letters) if found == letter.value]


@dataclass(frozen=True, slots=True)
class Page:
    """Of texts, or of copies. `text` is set on a session's and a notice's page; a message's text is on the message.

    `in_name_of`: the schools that an answer to a handset speaks for.
    `reported` are the numbers of rules/receipt_times.py; a session's page keeps none.
    """

    ref: PageRef
    recipients: tuple[PageRecipient, ...]
    state: PageState
    receipts: Mapping[Receipt, frozenset[int]]
    text: str | None = None
    reported: frozenset[int] = frozenset()
    readers: tuple[PageReader, ...] = ()
    in_name_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Handed:
    """Whom the texts of a page were given to; `asked` and `carrier` as in its state."""

    recipients: int
    asked: Asked | None
    carrier: str | None

    def may_report(self, carrier: str) -> Collection[int]:
        """The recipients that this carrier may report of: those it was asked to take, and has not refused.

        Of a page of before that was kept anybody may, as before.
        """
        if self.asked is None:
            return range(self.recipients if self.carrier is not None else 0)
        return read_ranges(self.asked.get(carrier, ""))


class _PageRow(Row):
    class Meta(MessagesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    expires_at = NumberAttribute(null=True)
    # manifest
    recipients = JSONAttribute(null=True)
    readers = JSONAttribute(null=True)
    text = UnicodeAttribute(null=True)
    in_name_of = JSONAttribute(null=True)
    # state
    version = NumberAttribute(null=True)
    letters = UnicodeAttribute(null=True)
    is_open = BooleanAttribute(null=True)
    job = NumberAttribute(null=True)
    owner = UnicodeAttribute(null=True)
    spoken_at = UTCDateTimeAttribute(null=True)
    wave_until = UTCDateTimeAttribute(null=True)
    not_before = UTCDateTimeAttribute(null=True)
    carrier = UnicodeAttribute(null=True)
    asked = JSONAttribute(null=True)
    refusals = JSONAttribute(null=True)
    hand_overs = JSONAttribute(null=True)
    # receipts: number sets of index × 16 + part, one for each state
    delivered = NumberSetAttribute(null=True)
    unreachable = NumberSetAttribute(null=True)
    wrong_number = NumberSetAttribute(null=True)
    blocked = NumberSetAttribute(null=True)
    reported = NumberSetAttribute(null=True)  # rules/receipt_times.py


class _SessionPageRow(_PageRow):
    class Meta(SessionsMeta):
        pass


_RECEIPT_SETS = {
    Receipt.DELIVERED: _PageRow.delivered,
    Receipt.UNREACHABLE: _PageRow.unreachable,
    Receipt.WRONG_NUMBER: _PageRow.wrong_number,
    Receipt.BLOCKED: _PageRow.blocked,
}
_ZONE_LETTERS = {Zone.DOMESTIC: "d", Zone.INTERNATIONAL: "i"}
_HANDED = ["pk", "sk", "letters", "asked", "carrier"]
_ZONES = {letter: zone for zone, letter in _ZONE_LETTERS.items()}


def _model(ref: PageRef) -> type[_PageRow]:
    return _PageRow if ref.kind is PageKind.MESSAGE else _SessionPageRow


def _key(ref: PageRef, row: str) -> tuple[str, str]:
    if ref.kind is PageKind.SESSION:
        return f"X#{ref.item}", f"p#{ref.plan}#{ref.page}#{row}"
    if ref.kind in OWN_TEXTS:
        return f"{ref.kind.value.upper()}#{ref.item}", row
    return f"S#{ref.school_id}#M#{ref.item}#{ref.plan}#{ref.page}", row


def create_pages(
    pages: Iterable[tuple[PageRef, Sequence[PageRecipient]]], *, expires_at: int, text: str | None = None
) -> int:
    """Writes the three rows of each new page of texts; returns how many pages.

    Unconditional on purpose: a plan's number is new for each attempt, so only this attempt, or its own retry with
    the same content, writes here.
    """
    return _create(
        ((ref, {"text": text, "recipients": _packed(recipients)}, len(recipients)) for ref, recipients in pages),
        expires_at,
    )


def create_copy_pages(pages: Iterable[tuple[PageRef, Sequence[PageReader]]], *, expires_at: int) -> int:
    """Writes the rows of each new page of copies; unconditional for the same reason."""
    return _create(((ref, {"readers": _packed_readers(readers)}, len(readers)) for ref, readers in pages), expires_at)


def _create(pages: Iterable[tuple[PageRef, Mapping[str, Any], int]], expires_at: int) -> int:
    count = 0
    by_model: dict[type[_PageRow], list[_PageRow]] = {}
    for ref, manifest, length in pages:
        model = _model(ref)
        by_model.setdefault(model, []).extend(
            (
                model(*_key(ref, "manifest"), expires_at=expires_at, **manifest),
                model(
                    *_key(ref, "state"),
                    expires_at=expires_at,
                    version=0,
                    letters=Letter.PLANNED.value * length,
                    is_open=True,
                    job=1,
                ),
                model(*_key(ref, "receipts"), expires_at=expires_at),
            )
        )
        count += 1
    for model, rows in by_model.items():
        with model.batch_write() as batch:
            for row in rows:
                batch.save(row)
    return count


def create_own_text(
    write: Transaction,
    ref: PageRef,
    recipient: PageRecipient,
    text: str,
    *,
    in_name_of: Sequence[str],
    carrier: str,
    expires_at: int,
    refused: Exception,
) -> None:
    """A page of one text of recado's own as part of a transaction, over this carrier; refused when it is there."""
    model, key = _model(ref), _key(ref, "")[0]
    manifest: dict[str, Any] = {"text": text, "recipients": _packed([recipient]), "in_name_of": list(in_name_of)}
    state: dict[str, Any] = {
        "version": 0,
        "letters": Letter.PLANNED.value,
        "is_open": True,
        "job": 1,
        "carrier": carrier,
        "asked": NOBODY,
    }
    for row in (
        model(key, "manifest", expires_at=expires_at, **manifest),
        model(key, "state", expires_at=expires_at, **state),
        model(key, "receipts", expires_at=expires_at),
    ):
        write.put(row, _PageRow.pk.does_not_exist(), lambda _: refused)


def find_page(ref: PageRef) -> Page | None:
    """A page's three rows, consistently; None when it was never written or is gone."""
    rows = {row.sk.rsplit("#", 1)[-1]: row for row in _read(ref, ("manifest", "state", "receipts"))}
    if "manifest" not in rows or "state" not in rows:
        return None
    return _page(ref, rows["manifest"], rows["state"], rows.get("receipts"))


def find_end(ref: PageRef) -> datetime | None:
    """When a page's rows will be gone; None when they are."""
    manifest = next(iter(_read(ref, ("manifest",))), None)
    if manifest is None or manifest.expires_at is None:
        return None
    return datetime.fromtimestamp(int(manifest.expires_at), UTC)


def list_pages(refs: Iterable[PageRef]) -> Iterator[Page]:
    """Whole pages of one item, in the order asked, some at a time; pages that are gone are left out."""
    for batch in batched(refs, PAGES_READ_AT_ONCE, strict=False):
        rows = _rows_of(batch, ("manifest", "state", "receipts"))
        for ref in batch:
            manifest, state = rows.get(_key(ref, "manifest")), rows.get(_key(ref, "state"))
            if manifest is not None and state is not None:
                yield _page(ref, manifest, state, rows.get(_key(ref, "receipts")))


def list_states(refs: Iterable[PageRef]) -> Iterator[tuple[PageRef, PageState, Mapping[Receipt, frozenset[int]]]]:
    """State and receipts of many pages of one item, in the order asked; pages that are gone are left out."""
    for batch in batched(refs, PAGES_READ_AT_ONCE, strict=False):
        rows = _rows_of(batch, ("state", "receipts"))
        for ref in batch:
            if _key(ref, "state") in rows:
                yield ref, _state(rows[_key(ref, "state")]), _receipts(rows.get(_key(ref, "receipts")))


def save_state(ref: PageRef, state: PageState, *, was: PageState) -> bool:
    """Writes `state` as version + 1 of an open page; False when the version is no longer `was.version`.

    A lost answer looks like a refusal: whoever is refused reads again and looks for its own `owner` (`is_ours`).
    """
    return update_if(_model(ref)(*_key(ref, "state")), _changes(state, was), _still(was))


def close_page(write: Transaction, ref: PageRef, state: PageState, *, was: PageState, refused: Exception) -> None:
    """Writes the last outcomes and closes the page, as part of a transaction."""
    closed = replace(state, is_open=False)
    write.update(_model(ref)(*_key(ref, "state")), _changes(closed, was), _still(was), lambda _: refused)


def delete_page(ref: PageRef) -> None:
    """Deletes a page's rows, there or not: its text and its number with them."""
    for row in ("manifest", "state", "receipts"):
        delete_if(_model(ref)(*_key(ref, row)), None)


def raise_job(ref: PageRef, *, seen: int) -> bool:
    """Makes `seen + 1` the page's job, so that an older one is dropped; False when another did so, or it is closed."""
    condition = (_PageRow.job == seen) & (_PageRow.is_open == True)  # noqa: E712  # PynamoDB's comparison
    return update_if(_model(ref)(*_key(ref, "state")), [_PageRow.job.set(seen + 1)], condition)


def hold_back(ref: PageRef, until: datetime) -> None:
    """Of a page that nobody has touched: when its turn is. Whoever has touched it meanwhile is left alone."""
    condition = (_PageRow.version == 0) & (_PageRow.is_open == True)  # noqa: E712  # PynamoDB's comparison
    update_if(_model(ref)(*_key(ref, "state")), [_PageRow.not_before.set(until)], condition)


def add_receipts(ref: PageRef, members: Mapping[Receipt, Iterable[int]], times: Iterable[int] = ()) -> bool:
    """Adds receipts to their sets, and when they were reported: any order, any number of times.

    False, and nothing is added, when there is no such page. Once REPORTED_MAX times are there, receipts are added
    without theirs.
    """
    found = {state: set(some) for state, some in members.items() if some}
    if not found:
        return True
    actions: list[Action] = [_RECEIPT_SETS[state].add(some) for state, some in found.items()]
    is_there = _PageRow.pk.exists()
    row = _model(ref)(*_key(ref, "receipts"))
    if reported := set(times):
        has_room = _PageRow.reported.does_not_exist() | (size(_PageRow.reported) < REPORTED_MAX)
        if update_if(row, [*actions, _PageRow.reported.add(reported)], is_there & has_room):
            return True
    return update_if(row, actions, is_there)


def list_handed(refs: Sequence[PageRef]) -> dict[PageRef, Handed]:
    """Who was asked to take what of at most HANDED_AT_ONCE pages, consistently; pages that are gone are left out.

    Whoever reports of a text was asked before, and that was written before it was asked.
    """
    found: dict[PageRef, Handed] = {}
    by_model: dict[type[_PageRow], dict[tuple[str, str], PageRef]] = {}
    for ref in refs:
        by_model.setdefault(_model(ref), {})[_key(ref, "state")] = ref
    for model, keys in by_model.items():
        for row in model.batch_get(list(keys), consistent_read=True, attributes_to_get=_HANDED):
            found[keys[row.pk, row.sk]] = Handed(len(row.letters), row.asked, row.carrier)
    return found


def _rows_of(refs: Sequence[PageRef], names: Sequence[str]) -> dict[tuple[str, str], _PageRow]:
    keys = [_key(ref, row) for ref in refs for row in names]
    return {(row.pk, row.sk): row for row in _model(refs[0]).batch_get(keys, consistent_read=True)}


def _page(ref: PageRef, manifest: _PageRow, state: _PageRow, receipts: _PageRow | None) -> Page:
    return Page(
        ref,
        _unpacked(manifest.recipients or ()),
        _state(state),
        _receipts(receipts),
        manifest.text,
        frozenset(int(member) for member in (receipts.reported if receipts else None) or ()),
        _unpacked_readers(manifest.readers or ()),
        tuple(manifest.in_name_of or ()),
    )


def _read(ref: PageRef, rows: Sequence[str]) -> Iterable[_PageRow]:
    return _model(ref).batch_get([_key(ref, row) for row in rows], consistent_read=True)


def _still(was: PageState) -> Condition:
    still: Condition = (_PageRow.version == was.version) & (_PageRow.is_open == True)  # noqa: E712  # PynamoDB's comparison
    return still


def _changes(state: PageState, was: PageState) -> list[Action]:
    """Only what changed: `job` is left alone unless it moved, for the attention run may raise it meanwhile."""
    actions: list[Action] = [_PageRow.version.set(was.version + 1), _PageRow.letters.set(state.letters)]
    if state.is_open != was.is_open:
        actions.append(_PageRow.is_open.set(state.is_open))
    if state.job != was.job:
        actions.append(_PageRow.job.set(state.job))
    for name in ("owner", "spoken_at", "wave_until", "not_before", "carrier", "asked", "refusals"):
        value = getattr(state, name)
        if value != getattr(was, name):
            attribute = getattr(_PageRow, name)
            actions.append(attribute.remove() if value is None else attribute.set(value))
    if state.hand_overs != was.hand_overs:
        actions.append(_PageRow.hand_overs.set([list(one) for one in state.hand_overs]))
    return actions


def _state(row: _PageRow) -> PageState:
    return PageState(
        version=int(row.version),
        letters=row.letters,
        is_open=bool(row.is_open),
        job=int(row.job),
        owner=row.owner,
        spoken_at=row.spoken_at,
        wave_until=row.wave_until,
        not_before=row.not_before,
        carrier=row.carrier,
        asked=row.asked,
        refusals=row.refusals,
        hand_overs=tuple((at, indices) for at, indices in row.hand_overs or ()),
    )


def _receipts(row: _PageRow | None) -> dict[Receipt, frozenset[int]]:
    if row is None:
        return {}
    sets = {state: getattr(row, attribute.attr_name) for state, attribute in _RECEIPT_SETS.items()}
    return {state: frozenset(int(member) for member in found) for state, found in sets.items() if found}


def _packed(recipients: Sequence[PageRecipient]) -> list[list[Any]]:
    """Lists that end where nothing more is to be said: most recipients have neither a code nor values."""
    return [
        _without_end([one.number, list(one.person_ids), _ZONE_LETTERS[one.zone], one.segments, one.code, *_said(one)])
        for one in recipients
    ]


def _unpacked(packed: Sequence[Sequence[Any]]) -> tuple[PageRecipient, ...]:
    return tuple(
        PageRecipient(
            one[0], tuple(one[1]), _ZONES[one[2]], int(one[3]), one[4] if len(one) > 4 else None, _read_said(one, 5)
        )
        for one in packed
    )


def _packed_readers(readers: Sequence[PageReader]) -> list[list[Any]]:
    return [_without_end([one.person_id, *_said(one)]) for one in readers]


def _unpacked_readers(packed: Sequence[Sequence[Any]]) -> tuple[PageReader, ...]:
    return tuple(PageReader(one[0], _read_said(one, 1)) for one in packed)


def _said(one: PageRecipient | PageReader) -> list[Any]:
    values = one.values
    return [None] if values is None else [[list(values.students), list(values.courses), list(values.guardians)]]


def _read_said(packed: Sequence[Any], place: int) -> FieldValues | None:
    if len(packed) <= place or packed[place] is None:
        return None
    students, courses, guardians = packed[place]
    return FieldValues(tuple(students), tuple(courses), tuple(guardians))


def _without_end(packed: list[Any]) -> list[Any]:
    while packed[-1] is None:
        packed.pop()
    return packed
