"""How much may be sent without an account, in any hour, and when to try again.

Time is counted in steps of ten minutes. Any 60 minutes lie within seven of them, so a use counts in the seven windows
of seven steps that hold it, and none may pass the cap: no edge of a clock hour at which twice as much would pass.
"""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from ipaddress import IPv6Address, ip_address, ip_network
from types import MappingProxyType

STEP = timedelta(minutes=10)
WINDOW_STEPS = 7
IPV6_PREFIX = 64  # what one customer has at least: every address in it is theirs to choose
NO_ADDRESS = "none"  # of whoever came without one: all of them are one source
LETTERS_MIN = 20  # a shorter text is many people's: "feliz cumpleaños" is no campaign


class Limit(StrEnum):
    """Which cap was reached; in an answer's `limit`."""

    SOURCE_SESSIONS = "source_sessions"
    SOURCE_RECIPIENTS = "source_recipients"
    SOURCE_LINK_RECIPIENTS = "source_link_recipients"
    SAME_TEXT_RECIPIENTS = "same_text_recipients"
    RECIPIENTS = "recipients"
    SESSION_TEXTS = "session_texts"
    HANDSET_TEXTS = "handset_texts"
    HANDSET_SESSIONS = "handset_sessions"


WORDS: Mapping[Limit, str] = MappingProxyType(
    {
        Limit.SOURCE_SESSIONS: "Too many sessions were opened from this connection in the last hour",
        Limit.SOURCE_RECIPIENTS: "Too many texts were sent from this connection in the last hour",
        Limit.SOURCE_LINK_RECIPIENTS: "Too many texts with links were sent from this connection in the last hour",
        Limit.SAME_TEXT_RECIPIENTS: "This text was sent too often in the last hour",
        Limit.RECIPIENTS: "Everybody together has sent as much as may be sent in an hour",
        Limit.SESSION_TEXTS: "This session has said all it may; when it has ended, another may be opened",
        Limit.HANDSET_TEXTS: "These numbers were written to too often in the last hour",
        Limit.HANDSET_SESSIONS: "Sessions from this connection are writing to these numbers already",
    }
)


@dataclass(frozen=True, slots=True)
class Caps:
    """Recipients, or sessions opened, in any hour."""

    source_sessions: int
    source_recipients: int
    source_link_recipients: int
    same_text_recipients: int
    recipients: int


@dataclass(frozen=True, slots=True)
class Use:
    """What one text takes of one cap: `amount` of `maximum`, counted for `subject`."""

    limit: Limit
    subject: str
    amount: int
    maximum: int

    @property
    def is_per_recipient(self) -> bool:
        return self.limit is not Limit.SOURCE_SESSIONS


def list_uses(
    recipients: int, caps: Caps, *, source: str, text: str | None, has_link: bool, is_opening: bool
) -> list[Use]:
    """Which caps a text to so many recipients takes from. `text` is its key, None when repeating it is free.

    The source's own come first, everybody's last: a flood is refused before it reaches the one row that all share.
    """
    uses = [Use(Limit.SOURCE_SESSIONS, source, 1, caps.source_sessions)] if is_opening else []
    uses.append(Use(Limit.SOURCE_RECIPIENTS, source, recipients, caps.source_recipients))
    if has_link:
        uses.append(Use(Limit.SOURCE_LINK_RECIPIENTS, source, recipients, caps.source_link_recipients))
    if text is not None:
        uses.append(Use(Limit.SAME_TEXT_RECIPIENTS, text, recipients, caps.same_text_recipients))
    uses.append(Use(Limit.RECIPIENTS, "all", recipients, caps.recipients))
    return uses


def step_of(moment: datetime) -> int:
    """The ten minutes that this moment is in, counted from 1970."""
    return int(moment.timestamp() // STEP.total_seconds())


def windows_of(step: int) -> range:
    """The windows that hold a step, each by the number of its first step."""
    return range(step - WINDOW_STEPS + 1, step + 1)


def past_windows_of(step: int) -> range:
    """The windows before those: over, and to be forgotten."""
    return range(step - 2 * WINDOW_STEPS + 1, step - WINDOW_STEPS + 1)


def windows_end_at(step: int) -> datetime:
    """When no window holds this step any more."""
    return datetime.fromtimestamp((step + WINDOW_STEPS) * STEP.total_seconds(), UTC)


def fits_from(used: Mapping[int, int], amount: int, maximum: int, now: datetime) -> datetime:
    """When so much fits again, if nobody takes anything meanwhile; `used` by window. ValueError: it never fits."""
    if amount > maximum:
        raise ValueError(f"{amount} never fit into {maximum}")
    first = step_of(now) + 1
    # One step more than a window has: somebody whose clock is a moment ahead may be in the next one already.
    later = next(
        step
        for step in range(first, first + WINDOW_STEPS + 1)
        if all(used.get(window, 0) + amount <= maximum for window in windows_of(step))
    )
    return datetime.fromtimestamp(later * STEP.total_seconds(), UTC)


def source_of(address: str) -> str:
    """Whose connection an address is, to be made unreadable before it is kept: an IPv4 address, or an IPv6 /64.

    An IPv4 address in IPv6's clothes (RFC 4291 §2.5.5.2) is itself.
    """
    try:
        found = ip_address(address.strip())
    except ValueError:
        return NO_ADDRESS
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ip_network((int(found), IPV6_PREFIX), strict=False))


def compared_text(text: str, *, has_link: bool) -> str | None:
    """What a text says, to be compared with others: its letters, whatever their case, accents, signs and digits.

    None for a text of few letters that has no link: it may be repeated freely.
    """
    letters = _letters(unicodedata.normalize("NFKD", text))
    said = "".join(letters).casefold()
    return said if has_link or len(said) >= LETTERS_MIN else None


def _letters(text: str) -> Iterable[str]:
    return (sign for sign in text if unicodedata.category(sign).startswith("L"))
