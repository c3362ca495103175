"""What a message would cost and whom it would reach, before it is sent (L3, L9, L11, L13). Nothing is held or sent.

An estimate is the very plan that sending makes, and its digest binds them. One of a large audience is planned in the
background, as the plan of a draft: that draft's sending takes it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from recado import background_plans, drafts, ids, messages, planning, records
from recado.access import Caller
from recado.drafts import NewMessage
from recado.errors import WrongState
from recado.planning import LargeAudience, Plan, Totals
from recado.rules import texts
from recado.rules.audience import DUPLICATE, INBOX_ONLY, SENDABLE, SkipReason
from recado.rules.credit_bags import Zone
from recado.rules.message_states import Channel, MessageState
from recado.rules.phone_numbers import zone_of
from recado.rules.segments import Size, measure
from recado.rules.texts import EMPTY
from recado.tables import estimates as table
from recado.tables import groups, ledger, pages, people, plannings, skipped
from recado.tables import messages as message_table
from recado.tables.estimates import ShownEstimate
from recado.tables.ledger import Account
from recado.tables.messages import COPY_PAGES, Message
from recado.tables.pages import PAGE_SIZE, PageKind, PageRecipient, PageRef
from recado.tables.people import Person
from recado.tables.plannings import Planning, Purpose
from recado.tables.schools import School
from recado.tables.skipped import LOT

PREVIEW_MAX = 100
PAGES_LOOKED_AT_MAX = 60  # of a large plan, for one page of a preview


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """One person of the audience and what becomes of them. `number` is shown in red when `opted_out` (L9)."""

    person_id: str
    name: str
    role: str
    number: str | None
    typed_number: str
    state: str
    duplicate_of: str | None
    zone: Zone | None
    segments: int
    has_copy: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a large audience is planned. `expected` is a guess from the groups' own counts."""

    people: int
    expected: int
    started_at: datetime
    refusal: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """`totals` None: still being planned, see `progress`. `message` is a draft when a large audience made one.

    `sample` is the text as composed, with neutral words in its fields: its size, its size without á í ó ú, and the
    characters that cost.
    """

    message: Message
    is_kept: bool
    totals: Totals | None
    valid_until: datetime | None
    accounts: Sequence[Account]
    sample: Size
    sample_plain: Size
    costly_characters: Sequence[str]
    rows: Sequence[PreviewRow] = ()
    next: str | None = None
    progress: Progress | None = None


def estimate(caller: Caller, new: NewMessage, now: datetime, *, state: str | None, limit: int, cursor: int) -> Estimate:
    """The estimate of a message that is not there yet; a large audience makes it a draft, planned in the background."""
    messages.require_sender(caller)
    school = records.get_school(caller.school_id)
    draft = drafts.compose(school, f"e{ids.new_id(25)}", new, caller.subject, now)
    return _estimate(school, draft, now, is_kept=False, state=state, limit=limit, cursor=cursor)


def estimate_of(
    caller: Caller, message_id: str, now: datetime, *, state: str | None, limit: int, cursor: int
) -> Estimate:
    """The estimate of a draft as it is now; begins it, or says how far it is, when the audience is large."""
    messages.require_sender(caller)
    message = records.get_message(caller.school_id, message_id)
    if message.state not in (MessageState.DRAFT, MessageState.PLANNING):
        raise WrongState(f"A message that is {message.state.value} has no estimate: look at the message")
    school = records.get_school(caller.school_id)
    return _estimate(school, message, now, is_kept=True, state=state, limit=limit, cursor=cursor)


def _estimate(
    school: School, draft: Message, now: datetime, *, is_kept: bool, state: str | None, limit: int, cursor: int
) -> Estimate:
    # 1. A large one that is under way or just made; else planned now, in memory.
    begun = plannings.find_planning(school.id, draft.id) if is_kept else None
    if begun is not None and background_plans.is_fresh(begun, draft, now):
        return _large(school, draft, background_plans.begin_planning(draft, begun.purpose, now), state, limit, cursor)
    try:
        plan = planning.make_plan(school, draft, ids.new_id(), now)
    except LargeAudience:
        if not is_kept:
            message_table.create_message(draft)
        return _large(
            school, draft, background_plans.begin_planning(draft, Purpose.ESTIMATE, now), state, limit, cursor
        )

    # 2. Kept for a day by its digest, to say what has changed when it no longer fits.
    said = planning.first_totals(draft).seal
    shown = ShownEstimate(said, plan.totals.by_state(), plan.totals.credits, plan.states())
    table.create_estimate(school.id, plan.digest, shown, now)

    # 3. A page of its people, with names.
    rows, following = _preview(school, draft, plan, state, limit, cursor)
    return replace(
        _said(school, draft, is_kept=is_kept), totals=plan.totals, rows=rows, next=str(following) if following else None
    )


def _large(school: School, draft: Message, begun: Planning, state: str | None, limit: int, cursor: int) -> Estimate:
    said = _said(school, draft, is_kept=True)
    totals = Totals.of_row(begun.totals) if begun.totals else None
    if begun.done_at is None or begun.refusal is not None or totals is None:
        progress = Progress(totals.people if totals else 0, _expected(school, draft), begun.started_at, begun.refusal)
        return replace(said, progress=progress)
    places, following = _written_places(draft, begun.plan, totals, state, limit, cursor)
    return replace(
        said,
        totals=totals,
        valid_until=begun.done_at + background_plans.ADOPTED_WITHIN,
        rows=_rows(school, draft, places),
        next=str(following) if following is not None else None,
    )


def _said(school: School, draft: Message, *, is_kept: bool) -> Estimate:
    text = texts.render(draft.text, EMPTY)
    plain = texts.plain(text, drop_accents=True)
    return Estimate(
        message=draft,
        is_kept=is_kept,
        totals=None,
        valid_until=None,
        accounts=ledger.list_accounts(school.id),
        sample=measure(plain if draft.drop_accents else text),
        sample_plain=measure(plain),
        costly_characters=texts.costly_characters(plain if draft.drop_accents else text),
    )


def _expected(school: School, draft: Message) -> int:
    """About how many the audience has, by what its groups say of themselves."""
    wanted = planning.audience_of(draft.audience)
    listed = groups.list_groups(school.id)
    chosen = [one for one in listed if one.record.id in wanted.groups]
    if not wanted.groups:
        chosen = [one for one in listed if one.record.kind == "school"] or [
            one for one in listed if one.record.kind == "course"
        ]
    return sum(one.members.get(who, 0) for one in chosen for who in wanted.who) + len(wanted.people)


type Place = tuple[str, str, str | None, int]  # person, state, duplicate of whom, segments


def _preview(
    school: School, draft: Message, plan: Plan, state: str | None, limit: int, cursor: int
) -> tuple[list[PreviewRow], int | None]:
    """A page of the audience in the order of numbers: each recipient, who shares the number, and the skipped."""
    places: list[Place] = []
    for chunk in plan.chunks or ():
        places += [place for recipient in chunk.recipients for place in _places_of(recipient)]
        places += [(one.person_id, one.reason.value, None, 0) for one in chunk.skipped]
        if Channel.SMS not in draft.channels:
            places += [(one.person_id, INBOX_ONLY, None, 0) for one in chunk.copies]
    if state is not None:
        places = [one for one in places if one[1] == state]
    following = cursor + limit if len(places) > cursor + limit else None
    return _rows(school, draft, places[cursor : cursor + limit]), following


def _written_places(
    draft: Message, plan: str, totals: Totals, state: str | None, limit: int, cursor: int
) -> tuple[list[Place], int | None]:
    """The same of a plan that is written: its texts first, then its copies alone, then the skipped.

    The cursor counts places of a hundred a page, then a hundred a lot. A page of answers may be short although there is
    more: at most PAGES_LOOKED_AT_MAX pages are looked at.
    """
    found: list[Place] = []
    for looked_at, (position, places) in enumerate(_list_written(draft, plan, totals, cursor)):
        if len(found) >= limit or looked_at >= PAGES_LOOKED_AT_MAX * PAGE_SIZE:
            return found, position
        found += [one for one in places if state is None or one[1] == state]
    return found, None


def _list_written(draft: Message, plan: str, totals: Totals, start: int) -> Iterator[tuple[int, list[Place]]]:
    """Where it stands, and who: each recipient with whoever shares the number, or one reader, or one who is skipped."""
    is_inbox_only = Channel.SMS not in draft.channels
    first_page, page_count = (COPY_PAGES, totals.copy_pages) if is_inbox_only else (0, totals.pages)
    begin = min(start // PAGE_SIZE, page_count)
    refs = (
        PageRef(PageKind.MESSAGE, draft.school_id, draft.id, plan, first_page + page)
        for page in range(begin, page_count)
    )
    for page in pages.list_pages(refs):
        base = (page.ref.page - first_page) * PAGE_SIZE
        everybody: list[list[Place]] = [[(one.person_id, INBOX_ONLY, None, 0)] for one in page.readers]
        everybody += [_places_of(recipient) for recipient in page.recipients]
        yield from ((base + at, places) for at, places in enumerate(everybody) if base + at >= start)
    base = page_count * PAGE_SIZE
    first_lot = max(start - base, 0) // LOT
    for number, lot in skipped.list_lots(draft.school_id, draft.id, plan, first=first_lot, lots=totals.lots):
        for at, one in enumerate(lot):
            position = base + number * LOT + at
            if position >= start:
                yield position, [(one.person_id, one.reason.value, None, 0)]


def _places_of(recipient: PageRecipient) -> list[Place]:
    first, *others = recipient.person_ids
    return [(first, SENDABLE, None, recipient.segments), *((other, DUPLICATE, first, 0) for other in others)]


def _rows(school: School, draft: Message, places: Sequence[Place]) -> list[PreviewRow]:
    """The people with their names; whoever has gone since is left out."""
    known = {one.id: one for one in people.list_people_by_id(school.id, [person_id for person_id, *_ in places])}
    return [
        _row(school, known[person_id], state, duplicate_of, segments, has_copy=_has_copy(draft, state))
        for person_id, state, duplicate_of, segments in places
        if person_id in known
    ]


def _has_copy(draft: Message, state: str) -> bool:
    return Channel.INBOX in draft.channels or (draft.inbox_for_unreachable and state in SkipReason)


def _row(
    school: School, person: Person, state: str, duplicate_of: str | None, segments: int, *, has_copy: bool
) -> PreviewRow:
    record = person.record
    return PreviewRow(
        person_id=person.id,
        name=f"{record.given_name} {record.family_name}",
        role=record.role,
        number=record.number,
        typed_number=record.typed_number,
        state=state,
        duplicate_of=duplicate_of,
        zone=zone_of(record.number, school.country) if record.number else None,
        segments=segments,
        has_copy=has_copy,
    )
