"""What a school's portal is told of, and what an event may carry: ids and figures, never a text, a number or a name."""

import json
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum

DATA_FIELDS_MAX = 20
DATA_LENGTH_MAX = 200  # of one value: an id
RECIPIENTS_MAX = 100  # of one event
RECIPIENTS_BYTES_MAX = 16_000  # of them as JSON: with what is around it under the 20 kB of Standard Webhooks
PEOPLE_SHOWN_MAX = 20  # of one recipient: of those who share a number


class EventType(StrEnum):
    BALANCE_LOW = "balance.low"
    BALANCE_RESTORED = "balance.restored"
    BAG_PURCHASED = "bag.purchased"
    BAG_REQUESTED = "bag.requested"
    CONTRACT_SUSPENDED = "contract.suspended"
    CONTRACT_ACTIVE = "contract.active"
    MESSAGE_SENT = "message.sent"
    MESSAGE_CANCELLED = "message.cancelled"
    MESSAGE_REFUSED = "message.refused"
    RECIPIENTS_CHANGED = "message.recipients_changed"
    REPLY_RECEIVED = "reply.received"
    OPT_OUT_CHANGED = "opt_out.changed"
    IMPORT_READY = "import.ready"
    IMPORT_APPLIED = "import.applied"
    IMPORT_FAILED = "import.failed"
    WEBHOOK_TEST = "webhook.test"  # a portal asked for it, to see that it arrives


type Recipient = Mapping[str, str | Sequence[str]]
type Data = Mapping[str, str | int | Sequence[Recipient] | None]


def recipient_entry(recipient: str, people: Sequence[str], state: str) -> Recipient:
    """One recipient of a message and what became of the text; of many who share a number the first few."""
    return {"recipient": recipient, "people": list(people[:PEOPLE_SHOWN_MAX]), "state": state}


def is_lean(data: Data) -> bool:
    """Whether there are few values, and each is short: a figure, an id, or entries of recipients that fit together."""
    lists = [value for value in data.values() if isinstance(value, list)]
    values = [value for value in data.values() if not isinstance(value, list)]
    if len(data) > DATA_FIELDS_MAX or len(lists) > 1 or any(len(str(value)) > DATA_LENGTH_MAX for value in values):
        return False
    return all(
        len(entries) <= RECIPIENTS_MAX and size_of(entries) <= RECIPIENTS_BYTES_MAX and all(map(_is_entry, entries))
        for entries in lists
    )


def size_of(entries: Sequence[Recipient]) -> int:
    """How long these entries are as JSON, in bytes."""
    return len(json.dumps(entries).encode())


def split(entries: Sequence[Recipient]) -> Iterator[list[Recipient]]:
    """The entries as so many events as their sizes need, in order."""
    some: list[Recipient] = []
    size = 0
    for entry in entries:
        length = size_of([entry])
        if some and (len(some) == RECIPIENTS_MAX or size + length > RECIPIENTS_BYTES_MAX):
            yield some
            some, size = [], 0
        some.append(entry)
        size += length
    if some:
        yield some


def _is_entry(entry: object) -> bool:
    if not isinstance(entry, Mapping) or entry.keys() != {"recipient", "people", "state"}:
        return False
    people = entry["people"]
    return len(people) <= PEOPLE_SHOWN_MAX and all(
        isinstance(one, str) and len(one) <= DATA_LENGTH_MAX for one in (entry["recipient"], entry["state"], *people)
    )
