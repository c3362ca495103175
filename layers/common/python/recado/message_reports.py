"""What became of a message: counts and their curve, each recipient and why, and what it cost (L11).

A receipt changes what is shown here and nothing else: credits are the letters' alone.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from recado import credits, messages, records  # noqa: A004  # the school's word
from recado.access import Caller
from recado.errors import FieldProblem, InvalidRequest
from recado.rules import delivery_states, told_states
from recado.rules.asked_carriers import is_within
from recado.rules.audience import SkipReason
from recado.rules.credit_bags import Zone
from recado.rules.delivery_states import Letter, Receipt, RecipientState
from recado.rules.message_states import MessageState
from recado.rules.receipt_times import first_reported
from recado.tables import pages, people, progress, skipped
from recado.tables.ledger import Entry
from recado.tables.messages import COPY_PAGES, Message
from recado.tables.pages import Page, PageKind, PageReader, PageRecipient, PageRef, PageState
from recado.tables.people import Person
from recado.tables.progress import Progress

COUNTED_AT_ONCE_MAX = 50  # pages counted while somebody waits; of more the attention run keeps the counts
PAGES_LOOKED_AT_MAX = 60  # for one page of a list: a rare state must not make one request read a million rows
CSV_LINES_MAX = 10_000
# How often the counts are kept, by how long the message has been on its way: at most 120 points.
LOOKS = (
    (timedelta(minutes=40), timedelta(minutes=1)),
    (timedelta(hours=2), timedelta(minutes=5)),
    (timedelta(hours=73), timedelta(hours=2)),
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message and what became of it. `counts` are texts per state, `copies_put` those in the message centre."""

    message: Message
    counts: Mapping[RecipientState, int]
    copies_put: int
    counted_at: datetime
    progress: Progress | None


@dataclass(frozen=True, slots=True)
class Named:
    person_id: str
    name: str
    role: str


@dataclass(frozen=True, slots=True)
class Line:
    """One recipient, or one person who was skipped: `state` is a RecipientState or a SkipReason. `id`: its place.

    `code` is the carrier's own word for a refusal; `handed_over_at` when the carrier was told, `reported_at` when it
    first reported back; `is_closed`: no receipt is expected any more.
    """

    people: Sequence[Named]
    number: str | None
    state: str
    code: str | None
    zone: Zone | None
    segments: int
    handed_over_at: datetime | None
    reported_at: datetime | None
    id: str = ""
    is_closed: bool = False


@dataclass(frozen=True, slots=True)
class Statement:
    """What a message cost: each entry of the ledger, and their sums per zone."""

    message: Message
    entries: Sequence[Entry]


def get_delivery(caller: Caller, message_id: str, now: datetime) -> Delivery:
    """A message with its recipients counted per state, as its pages say now; of a large one as they said lately."""
    messages.require_reader(caller)
    message = records.get_message(caller.school_id, message_id)
    kept = progress.find_progress(message.school_id, message.id) if message.plan is not None else None
    if message.all_pages <= COUNTED_AT_ONCE_MAX or kept is None or kept.plan != message.plan:
        counts, copies, _ = _count(message, now)
        return Delivery(message, counts, copies, now, kept)
    counts = {RecipientState(name): count for name, count in kept.counts.items()}
    return Delivery(message, counts, kept.copies_put, kept.counted_at, kept)


def note_counts(message: Message, now: datetime) -> tuple[datetime | None, Mapping[int, str]]:
    """Keeps the counts of now and a point of their curve; returns when to look again (None: no receipt comes), and the
    states it found by page, as a portal is told of them.
    """
    counts, copies, shown = _count(message, now)
    progress.note_point(
        message.school_id,
        message.id,
        message.plan or "",
        {state.value: count for state, count in counts.items()},
        copies,
        now,
    )
    age = now - (message.send_at or message.accepted_at or message.created_at)
    pause = next((pause for until, pause in LOOKS if age < until), None)
    return now + pause if pause is not None else None, shown


def list_lines(
    caller: Caller, message_id: str, now: datetime, *, state: str | None, limit: int, cursor: str | None
) -> tuple[list[Line], str | None]:
    """A page of a message's recipients and of whom it skipped, and where the next begins (None: the end).

    A page may be short although there are more: at most PAGES_LOOKED_AT_MAX pages are looked at.
    """
    messages.require_reader(caller)
    message = records.get_message(caller.school_id, message_id)
    lines: list[Line] = []
    if message.plan is None:
        return lines, None
    place = _read_cursor(cursor)
    looked_at = 0
    for where, found in _list_places(message, place, now):
        if where[2] == 0:
            looked_at += 1
        if looked_at > PAGES_LOOKED_AT_MAX or len(lines) == limit:
            return _named(message.school_id, lines), _write_cursor(where)
        if state is None or found.state == state:
            lines.append(replace(found, id=_write_cursor(where)))
    return _named(message.school_id, lines), None


def list_csv_lines(
    caller: Caller, message_id: str, now: datetime, *, cursor: str | None
) -> tuple[list[Line], str | None]:
    """CSV_LINES_MAX lines of a report, and where the next file begins (None: that was all)."""
    messages.require_reader(caller)
    message = records.get_message(caller.school_id, message_id)
    lines: list[Line] = []
    if message.plan is None:
        return lines, None
    for where, found in _list_places(message, _read_cursor(cursor), now):
        if len(lines) == CSV_LINES_MAX:
            return _named(message.school_id, lines), _write_cursor(where)
        lines.append(found)
    return _named(message.school_id, lines), None


def get_statement(caller: Caller, message_id: str) -> Statement:
    """Each movement of credits a message made."""
    messages.require_reader(caller)
    message = records.get_message(caller.school_id, message_id)
    return Statement(message, credits.statement_of_message(message.school_id, message.id))


# --- counting ------------------------------------------------------------------------------------------------------


def _count(message: Message, now: datetime) -> tuple[dict[RecipientState, int], int, dict[int, str]]:
    """Texts per state, how many copies are in the message centre, and the states by page (rules/told_states.py)."""
    if message.plan is None:
        return {}, 0, {}
    if message.state is MessageState.SCHEDULED:
        return _filled({RecipientState.QUEUED: message.recipients}), 0, {}
    if message.state is MessageState.CANCELLED:
        return _filled({RecipientState.NOT_SENT: message.recipients}), 0, {}
    is_over = delivery_states.is_patience_over(message.send_at or message.accepted_at, now)
    counts: Counter[RecipientState] = Counter()
    shown: dict[int, str] = {}
    for number, letters, segments, receipts in _list_states(message):
        found = [
            delivery_states.shown_state(one, is_patience_over=is_over)
            for one in delivery_states.states_of(letters, segments, {name.value: one for name, one in receipts.items()})
        ]
        counts.update(found)
        shown[number] = told_states.letters_of(found)
    copies = sum(len(state.indices(Letter.IN_INBOX)) for _, state, _ in pages.list_states(_refs(message, copies=True)))
    return _filled(counts), copies, shown


def _list_states(message: Message) -> Iterator[tuple[int, str, list[int], Mapping[Receipt, frozenset[int]]]]:
    """Each page's number, letters, parts and receipts. Only texts of different lengths need to be read themselves."""
    if message.segments == message.segments_least:
        for ref, state, receipts in pages.list_states(_refs(message)):
            yield ref.page, state.letters, [message.segments] * len(state.letters), receipts
        return
    for page in pages.list_pages(_refs(message)):
        yield page.ref.page, page.state.letters, [one.segments for one in page.recipients], page.receipts


def _filled(counts: Mapping[RecipientState, int]) -> dict[RecipientState, int]:
    return {state: count for state, count in counts.items() if count}


def _refs(message: Message, *, copies: bool = False, first: int = 0) -> Iterator[PageRef]:
    start, count = (COPY_PAGES, message.copy_pages) if copies else (0, message.pages)
    for page in range(start + first, start + count):
        yield PageRef(PageKind.MESSAGE, message.school_id, message.id, message.plan or "", page)


# --- one by one ----------------------------------------------------------------------------------------------------

type Place = tuple[str, int, int]  # t (texts), c (copies) or s (skipped); which page or lot; which of it


def _list_places(message: Message, start: Place, now: datetime) -> Iterator[tuple[Place, Line]]:
    """Every line from a place on: texts in the order of numbers, then the skipped.

    Of a message for the message centre alone its readers stand in the place of the texts.
    """
    kind, *rest = start
    first, index = rest
    if kind == "t":
        yield from _list_texts(message, first, index, now)
    if kind != "s" and not message.pages:
        yield from _list_copies(message, *((first, index) if kind == "c" else (0, 0)))
    yield from _list_skipped(message, *((first, index) if kind == "s" else (0, 0)))


def _list_texts(message: Message, first: int, index: int, now: datetime) -> Iterator[tuple[Place, Line]]:
    is_over = delivery_states.is_patience_over(message.send_at or message.accepted_at, now)
    for page in pages.list_pages(_refs(message, first=first)):
        for at, recipient in enumerate(page.recipients):
            if page.ref.page > first or at >= index:
                yield ("t", page.ref.page, at), _line(message, page, at, recipient, is_over=is_over)


def _list_copies(message: Message, first: int, index: int) -> Iterator[tuple[Place, Line]]:
    for page in pages.list_pages(_refs(message, copies=True, first=first)):
        number = page.ref.page - COPY_PAGES
        for at, reader in enumerate(page.readers):
            if number > first or at >= index:
                yield ("c", number, at), _copy_line(message, page, at, reader)


def _list_skipped(message: Message, first: int, index: int) -> Iterator[tuple[Place, Line]]:
    plan = message.plan or ""
    for number, lot in skipped.list_lots(message.school_id, message.id, plan, first=first, lots=message.lots):
        for at, one in enumerate(lot):
            if number > first or at >= index:
                person = (Named(one.person_id, "", ""),)
                yield ("s", number, at), Line(person, None, one.reason.value, None, None, 0, None, None)


def _line(message: Message, page: Page, index: int, recipient: PageRecipient, *, is_over: bool) -> Line:
    sets = {name.value: found for name, found in page.receipts.items()}
    state = delivery_states.state_of(page.state.letters[index], index, recipient.segments, sets)
    if message.state is MessageState.CANCELLED:
        state = RecipientState.NOT_SENT
    return Line(
        people=tuple(Named(person_id, "", "") for person_id in recipient.person_ids),
        number=recipient.number,
        state=delivery_states.shown_state(state, is_patience_over=is_over).value,
        code=(page.state.refusals or {}).get(str(index)),
        zone=recipient.zone,
        segments=recipient.segments,
        handed_over_at=_handed_over_at(page.state, index),
        reported_at=first_reported(page.reported, index),
        is_closed=is_over,
    )


def _copy_line(message: Message, page: Page, index: int, reader: PageReader) -> Line:
    """A copy in the message centre: it has no number, costs nothing, and no carrier reports on it."""
    state = delivery_states.SHOWN[Letter(page.state.letters[index])]
    if message.state is MessageState.CANCELLED:
        state = RecipientState.NOT_SENT
    return Line((Named(reader.person_id, "", ""),), None, state.value, None, None, 0, None, None)


def _handed_over_at(state: PageState, index: int) -> datetime | None:
    """The first wave that handed it over."""
    moments = (moment for moment, ranges in state.hand_overs if is_within(ranges, index))
    first = next(moments, None)
    return datetime.fromisoformat(first) if first is not None else None


def _named(school_id: str, lines: Sequence[Line]) -> list[Line]:
    """The lines with everybody's name as it is now; whoever is not there any more keeps their id."""
    ids = {one.person_id for line in lines for one in line.people}
    known = {one.id: one for one in people.list_people_by_id(school_id, ids)}
    return [_with_names(line, known) for line in lines]


def _with_names(line: Line, known: Mapping[str, Person]) -> Line:
    named = tuple(
        Named(
            one.person_id,
            f"{known[one.person_id].record.given_name} {known[one.person_id].record.family_name}",
            known[one.person_id].record.role,
        )
        if one.person_id in known
        else one
        for one in line.people
    )
    # Of whoever was skipped the number is shown as it is now: red where they opted out (L9).
    is_skipped = line.number is None and line.state in SkipReason
    only = known.get(line.people[0].person_id) if is_skipped else None
    number = only.record.number if only is not None else line.number
    return replace(line, people=named, number=number)


def _read_cursor(text: str | None) -> Place:
    if text is None:
        return "t", 0, 0
    kind, _, rest = text.partition(".")
    page, _, index = rest.partition(".")
    if kind not in ("t", "c", "s") or not (page.isascii() and page.isdigit() and index.isascii() and index.isdigit()):
        raise InvalidRequest(fields=[FieldProblem("/query/cursor", "malformed", "`next` of the page before")])
    return kind, int(page), int(index)


def _write_cursor(place: Place) -> str:
    return ".".join(str(part) for part in place)
