"""What anonymous sessions may use up in an hour: booked before anything goes out, given back when nothing did.

Counting too much is the safe side: who dies between booking and saying has taken what they booked. Neither an address
nor a text is kept, only what stands for it under the master secret.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from recado import log
from recado.access import first_master
from recado.at_once import for_each
from recado.errors import FieldProblem, InvalidRequest, SessionLimitReached
from recado.rules import session_caps as rules
from recado.rules import signatures
from recado.rules.links import count_links
from recado.rules.session_caps import Caps, Limit, Use
from recado.settings import SETTINGS
from recado.tables import caps as table
from recado.tables.sessions import Handset, NotReached, RefusedNumber


@dataclass(frozen=True, slots=True)
class Booking:
    """What one text has taken: `uses` of the caps that count for all of it, and one of each handset's own.

    `refused`: who had no room left; nothing is taken for them.
    """

    booked_at: datetime
    uses: tuple[Use, ...]
    handsets: tuple[Handset, ...]
    refused: tuple[RefusedNumber, ...]


def source_of(address: str) -> str:
    """What stands for the caller's connection. It must be the address that API Gateway saw, never a header's."""
    return signatures.source_token(first_master(), rules.source_of(address))


def book(text: str, handsets: Sequence[Handset], source: str, now: datetime, *, is_opening: bool) -> Booking:
    """Takes what this text to these handsets uses of every cap. Raises SessionLimitReached; then nothing stays taken.

    A handset over its own cap is refused alone; all of them may be.
    """
    # 1. What counts for the whole text: all of it, or nothing.
    booked: list[Use] = []
    for use in _uses(text, len(handsets), source, is_opening=is_opening):
        if not _is_taken(use, now):
            _give_back(booked, now)
            raise _reached(use, now)
        booked.append(use)

    # 2. What counts for each handset.
    answers = for_each(lambda handset: _book_handset(handset, now), handsets)
    refused = tuple(one for one in answers if isinstance(one, RefusedNumber))
    taken = tuple(one for one in answers if isinstance(one, Handset))

    # 3. For whoever was refused nothing is counted elsewhere either.
    booking = Booking(now, tuple(booked), taken, refused)
    if refused:
        log.outcome("session_handsets_over_their_cap", refused=len(refused), of=len(handsets))
        _give_back((_part(use, len(refused)) for use in booked if use.is_per_recipient), now)
        booking = Booking(
            now,
            tuple(_part(use, len(taken)) if use.is_per_recipient else use for use in booked),
            taken,
            refused,
        )
    return booking


def give_back(booking: Booking) -> None:
    """Takes back all that was booked for a text that is not sent."""
    _give_back(booking.uses, booking.booked_at)
    _give_back_handsets(booking.handsets, booking.booked_at)


def give_back_for(booking: Booking, handsets: Sequence[Handset]) -> None:
    """Takes back what was booked for some of its handsets."""
    if not handsets:
        return
    _give_back((_part(use, len(handsets)) for use in booking.uses if use.is_per_recipient), booking.booked_at)
    _give_back_handsets(handsets, booking.booked_at)


def session_is_full(ends_at: datetime, now: datetime) -> SessionLimitReached:
    """The refusal of a session's last text but one too many: after its end another may be opened."""
    return reached(Limit.SESSION_TEXTS, ends_at, now)


def reached(
    limit: Limit, again_at: datetime, now: datetime, *, members: dict[str, object] | None = None
) -> SessionLimitReached:
    """The refusal for a cap: which, in words, and when to try again."""
    seconds = max(1, -int(-(again_at - now).total_seconds() // 1))
    log.outcome("session_limit_reached", limit=limit.value, retry_after_seconds=seconds)
    return SessionLimitReached(
        rules.WORDS[limit], members={"limit": limit.value} | (members or {}), retry_after_seconds=seconds
    )


def _uses(text: str, recipients: int, source: str, *, is_opening: bool) -> list[Use]:
    has_link = count_links(text) > 0
    if has_link and recipients > SETTINGS.source_link_recipients_per_hour_max:
        detail = f"A text with a link goes to at most {SETTINGS.source_link_recipients_per_hour_max} numbers"
        raise InvalidRequest(fields=[FieldProblem("/to", "too_many_for_a_link", detail)])
    said = rules.compared_text(text, has_link=has_link)
    caps = Caps(
        source_sessions=SETTINGS.source_sessions_per_hour_max,
        source_recipients=SETTINGS.source_recipients_per_hour_max,
        source_link_recipients=SETTINGS.source_link_recipients_per_hour_max,
        same_text_recipients=SETTINGS.same_text_recipients_per_hour_max,
        recipients=SETTINGS.recipients_per_hour_max,
    )
    return rules.list_uses(
        recipients,
        caps,
        source=source,
        text=None if said is None else signatures.text_token(first_master(), said),
        has_link=has_link,
        is_opening=is_opening,
    )


def _book_handset(handset: Handset, now: datetime) -> Handset | RefusedNumber:
    use = _use_of(handset)
    if _is_taken(use, now):
        return handset
    return RefusedNumber(handset.typed, NotReached.TOO_MANY_TEXTS, _fits_from(use, now))


def _use_of(handset: Handset) -> Use:
    return Use(Limit.HANDSET_TEXTS, handset.number, 1, SETTINGS.handset_texts_per_hour_max)


def _is_taken(use: Use, now: datetime) -> bool:
    step = rules.step_of(now)
    return table.add_uses(
        use.limit,
        use.subject,
        use.amount,
        maximum=use.maximum,
        windows=rules.windows_of(step),
        past=rules.past_windows_of(step),
        expires_at=int(rules.windows_end_at(step).timestamp()),
    )


def _reached(use: Use, now: datetime) -> SessionLimitReached:
    return reached(use.limit, _fits_from(use, now), now)


def _fits_from(use: Use, now: datetime) -> datetime:
    return rules.fits_from(table.find_uses(use.limit, use.subject), use.amount, use.maximum, now)


def _part(use: Use, amount: int) -> Use:
    return Use(use.limit, use.subject, amount, use.maximum)


def _give_back_handsets(handsets: Sequence[Handset], booked_at: datetime) -> None:
    for_each(lambda handset: _give_back([_use_of(handset)], booked_at), handsets)


def _give_back(uses: Iterable[Use], booked_at: datetime) -> None:
    """As far as it goes: what stays counted is too much, never too little, and over in an hour."""
    windows = rules.windows_of(rules.step_of(booked_at))
    for use in uses:
        try:
            table.take_back_uses(use.limit, use.subject, use.amount, windows=windows)
        except table.NotGivenBack as error:
            log.trouble("session_use_not_given_back", error.__cause__, limit=use.limit.value)
