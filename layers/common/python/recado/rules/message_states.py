"""The life of a message, and what its category means for it (L1).

Source: protocols of planning and money: a hold is closed once, so nothing ever leaves a final state.
"""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType


class MessageState(StrEnum):
    DRAFT = "draft"
    PLANNING = "planning"  # accepted, and its audience is too large to be planned while the sender waits
    SCHEDULED = "scheduled"
    SENDING = "sending"
    STOPPING = "stopping"
    SENT = "sent"
    STOPPED = "stopped"
    CANCELLED = "cancelled"


FINAL = frozenset({MessageState.SENT, MessageState.STOPPED, MessageState.CANCELLED})

MOVES: Mapping[MessageState, frozenset[MessageState]] = MappingProxyType(
    {
        # Editing stays where it is: a draft is written again, a scheduled message gets a new plan.
        MessageState.DRAFT: frozenset(
            {MessageState.DRAFT, MessageState.PLANNING, MessageState.SCHEDULED, MessageState.SENDING}
        ),
        # Planned, it goes out or waits; refused (credits, or not what was shown), it is a draft again.
        MessageState.PLANNING: frozenset(
            {MessageState.DRAFT, MessageState.SCHEDULED, MessageState.SENDING, MessageState.CANCELLED}
        ),
        MessageState.SCHEDULED: frozenset({MessageState.SCHEDULED, MessageState.SENDING, MessageState.CANCELLED}),
        # Too late to cancel: some may have been spoken to. Stopping moves no money, settling does.
        MessageState.SENDING: frozenset({MessageState.STOPPING, MessageState.SENT}),
        MessageState.STOPPING: frozenset({MessageState.STOPPED}),
        MessageState.SENT: frozenset(),
        MessageState.STOPPED: frozenset(),
        MessageState.CANCELLED: frozenset(),
    }
)


def may_move(before: MessageState, after: MessageState) -> bool:
    """Whether one write may take a message from `before` to `after`."""
    return after in MOVES[before]


class Channel(StrEnum):
    """How a message reaches people: by SMS, which costs credits, or in the message centre, which is free (L4)."""

    SMS = "sms"
    INBOX = "inbox"


class Category(StrEnum):
    """What the alert is about (L1). `notice` is the everyday kind, whose place is the message centre."""

    EMERGENCY = "emergency"
    ENVIRONMENTAL_EMERGENCY = "environmental_emergency"
    CLASSES_CANCELLED = "classes_cancelled"
    MEETING = "meeting"
    OTHER_ALERT = "other_alert"
    NOTICE = "notice"


EMERGENCIES = frozenset({Category.EMERGENCY, Category.ENVIRONMENTAL_EMERGENCY})


def is_emergency(category: Category) -> bool:
    """Both emergencies follow every rule of `emergency`: its queue, its pace, and twice rather than never."""
    return category in EMERGENCIES


EXPIRES_AFTER_LEAST = timedelta(minutes=5)
EXPIRES_AFTER_MOST = timedelta(hours=72)


def default_expires_after(category: Category) -> timedelta:
    """How long a message is worth handing over: 24 hours, an emergency 1 hour."""
    return timedelta(hours=1) if is_emergency(category) else timedelta(hours=24)


def expires_after(category: Category, minutes: int | None) -> timedelta:
    """How long this message is worth handing over: as its sender says, else as its category does."""
    return default_expires_after(category) if minutes is None else timedelta(minutes=minutes)
