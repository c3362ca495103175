"""What became of each recipient of a page: one letter from us, and the carrier's receipts on top.

Receipts are added to sets and ranked only when read, so late, early and repeated ones need no rule of their own.
Must never decide what is charged: the letters alone do (CAPTURED); a receipt moves no money.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

RECEIPTS_PATIENCE = timedelta(hours=72)  # carriers report for three days
PARTS_MAX = 15  # what fits beside the index in one number of a receipt set; a longer text is refused elsewhere
WHOLE_MESSAGE = 0  # the part a writer stores when the carrier reports the message and not its parts


class Letter(StrEnum):
    """The state of one recipient in a page's row."""

    PLANNED = "P"
    CLAIMED = "C"
    ACCEPTED = "S"
    WRONG_NUMBER = "W"
    BLOCKED = "B"
    UNKNOWN = "U"
    OPTED_OUT = "o"
    STOPPED = "r"
    EXPIRED = "x"
    NOT_SENT = "n"
    IN_INBOX = "i"  # a copy, in the message centre


FINAL = frozenset(Letter) - {Letter.PLANNED, Letter.CLAIMED}
CAPTURED = frozenset({Letter.ACCEPTED, Letter.WRONG_NUMBER, Letter.UNKNOWN})  # L12: a wrong number still costs


class Receipt(StrEnum):
    """What a carrier reports later. The value is also the name of its set in the page's receipts row."""

    DELIVERED = "delivered"
    UNREACHABLE = "unreachable"
    WRONG_NUMBER = "wrong_number"
    BLOCKED = "blocked"


class RecipientState(StrEnum):
    """What a school is shown per recipient."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    UNREACHABLE = "unreachable"
    WRONG_NUMBER = "wrong_number"
    BLOCKED = "blocked"
    UNKNOWN = "unknown"
    OPTED_OUT = "opted_out"
    STOPPED = "stopped"
    EXPIRED = "expired"
    NOT_SENT = "not_sent"
    IN_INBOX = "in_inbox"


SHOWN: Mapping[Letter, RecipientState] = MappingProxyType(
    {
        Letter.PLANNED: RecipientState.QUEUED,
        Letter.CLAIMED: RecipientState.SENDING,
        Letter.ACCEPTED: RecipientState.SENT,
        Letter.WRONG_NUMBER: RecipientState.WRONG_NUMBER,
        Letter.BLOCKED: RecipientState.BLOCKED,
        Letter.UNKNOWN: RecipientState.UNKNOWN,
        Letter.OPTED_OUT: RecipientState.OPTED_OUT,
        Letter.STOPPED: RecipientState.STOPPED,
        Letter.EXPIRED: RecipientState.EXPIRED,
        Letter.NOT_SENT: RecipientState.NOT_SENT,
        Letter.IN_INBOX: RecipientState.IN_INBOX,
    }
)

# The letters of a text that was, or may have been, handed over: every receipt about it is news. For the others
# the outcome is ours or the carrier's own refusal, and only `delivered`, being true, says otherwise.
HANDED_OVER = frozenset({Letter.CLAIMED, Letter.ACCEPTED, Letter.UNKNOWN})

# Worst news that may still be corrected first: a state is only ever replaced by one further down.
# `unreachable` may change by itself, `blocked` is somebody's rule, `wrong_number` is final for the number.
RANKS: tuple[RecipientState, ...] = (
    RecipientState.QUEUED,
    RecipientState.SENDING,
    RecipientState.UNKNOWN,
    RecipientState.SENT,
    RecipientState.NOT_SENT,
    RecipientState.EXPIRED,
    RecipientState.STOPPED,
    RecipientState.OPTED_OUT,
    RecipientState.IN_INBOX,
    RecipientState.UNREACHABLE,
    RecipientState.BLOCKED,
    RecipientState.WRONG_NUMBER,
    RecipientState.DELIVERED,
)

# Failures by rank, the one that outranks the others first.
FAILURES: tuple[tuple[Receipt, RecipientState], ...] = (
    (Receipt.WRONG_NUMBER, RecipientState.WRONG_NUMBER),
    (Receipt.BLOCKED, RecipientState.BLOCKED),
    (Receipt.UNREACHABLE, RecipientState.UNREACHABLE),
)


def receipt_member(index: int, part: int) -> int:
    """The number that stands for one part of one recipient in a receipt set. Part 0 is the whole message."""
    if index < 0 or not WHOLE_MESSAGE <= part <= PARTS_MAX:
        raise ValueError("no such recipient or part")
    return index * 16 + part


def read_member(member: int) -> tuple[int, int]:
    """(index, part) of a receipt set's number."""
    return divmod(member, 16)


def state_of(letter: str, index: int, parts: int, receipts: Mapping[str, Collection[int]]) -> RecipientState:
    """What is shown for the recipient `index` of a page, whose text has `parts` parts (1 to 15, else ValueError).

    Delivered needs every part, or one receipt for the whole message, and outranks everything. Short of that a
    failure of any part is a failure, and part of a delivery proves at least that the carrier took it: `sent`.
    """
    if not 1 <= parts <= PARTS_MAX:
        raise ValueError("no such number of parts")
    own = Letter(letter)
    delivered = _parts_in(receipts.get(Receipt.DELIVERED, ()), index)
    if WHOLE_MESSAGE in delivered or delivered.issuperset(range(1, parts + 1)):
        return RecipientState.DELIVERED
    if own not in HANDED_OVER:
        return SHOWN[own]
    for receipt, state in FAILURES:
        if _parts_in(receipts.get(receipt, ()), index):
            return state
    return RecipientState.SENT if delivered else SHOWN[own]


def is_patience_over(started_at: datetime | None, now: datetime) -> bool:
    """Whether no receipt is expected any more of a message that went out then."""
    return started_at is not None and now - started_at >= RECEIPTS_PATIENCE


def shown_state(state: RecipientState, *, is_patience_over: bool) -> RecipientState:
    """The state as it is shown: what is still only `sent` when patience is over is `unknown`, for good."""
    return RecipientState.UNKNOWN if is_patience_over and state is RecipientState.SENT else state


def states_of(letters: str, parts: Sequence[int], receipts: Mapping[str, Collection[int]]) -> list[RecipientState]:
    """The state of each recipient of a page. ValueError if lengths differ."""
    sets = {name: frozenset(members) for name, members in receipts.items()}
    return [
        state_of(letter, index, count, sets) for index, (letter, count) in enumerate(zip(letters, parts, strict=True))
    ]


def _parts_in(members: Collection[int], index: int) -> set[int]:
    if not members:
        return set()
    return {part for part in range(PARTS_MAX + 1) if receipt_member(index, part) in members}
