"""What a school's portal is told of, and what an event may carry: ids and figures, never a text, a number or a name."""

from collections.abc import Mapping
from enum import StrEnum

DATA_FIELDS_MAX = 20
DATA_LENGTH_MAX = 200  # of one value: an id


class EventType(StrEnum):
    BALANCE_LOW = "balance.low"
    BALANCE_RESTORED = "balance.restored"
    BAG_PURCHASED = "bag.purchased"
    BAG_REQUESTED = "bag.requested"
    CONTRACT_SUSPENDED = "contract.suspended"
    CONTRACT_ACTIVE = "contract.active"
    MESSAGE_SENT = "message.sent"
    IMPORT_READY = "import.ready"
    WEBHOOK_TEST = "webhook.test"  # a portal asked for it, to see that it arrives


type Data = Mapping[str, str | int | None]


def is_lean(data: Data) -> bool:
    """Whether there are few values, and each is short: a figure or an id."""
    return len(data) <= DATA_FIELDS_MAX and all(len(str(value)) <= DATA_LENGTH_MAX for value in data.values())
