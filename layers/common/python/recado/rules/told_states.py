"""What a portal has been told of each recipient of a page: one letter each, to be compared with what is so now.

That a text waits or is being handed over says nothing yet: only what comes of it is told.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from recado.rules.delivery_states import RecipientState

NOTHING = "-"  # nothing has been told, or there is nothing to tell

# A letter once used for a state is never used for another: rows of yesterday are compared with code of today.
LETTERS: Mapping[RecipientState, str] = MappingProxyType(
    {
        RecipientState.QUEUED: NOTHING,
        RecipientState.SENDING: NOTHING,
        RecipientState.SENT: "S",
        RecipientState.DELIVERED: "D",
        RecipientState.UNREACHABLE: "N",
        RecipientState.WRONG_NUMBER: "W",
        RecipientState.BLOCKED: "B",
        RecipientState.UNKNOWN: "U",
        RecipientState.OPTED_OUT: "o",
        RecipientState.STOPPED: "r",
        RecipientState.EXPIRED: "x",
        RecipientState.NOT_SENT: "n",
        RecipientState.IN_INBOX: "i",
    }
)
STATES: Mapping[str, RecipientState] = MappingProxyType(
    {letter: state for state, letter in LETTERS.items() if letter != NOTHING}
)


def letters_of(states: Sequence[RecipientState]) -> str:
    """The states of a page's recipients, a letter each."""
    return "".join(LETTERS[state] for state in states)


def find_changes(told: str, now: str) -> dict[int, RecipientState]:
    """Who is in another state than was told, by index. `told` is empty for a page of which nothing has been told."""
    before = told.ljust(len(now), NOTHING)
    return {
        index: STATES[letter]
        for index, (was, letter) in enumerate(zip(before, now, strict=True))
        if letter not in (was, NOTHING)
    }


def after_telling(told: str, now: str) -> str:
    """What has been told once the changes are."""
    before = told.ljust(len(now), NOTHING)
    return "".join(was if letter == NOTHING else letter for was, letter in zip(before, now, strict=True))
