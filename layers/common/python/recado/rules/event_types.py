"""What a school's portal is told of, and what an event may carry: ids and figures, never a text, a number or a name."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

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
    WEBHOOK_DISABLED = "webhook.disabled"
    WEBHOOK_TEST = "webhook.test"  # a portal asked for it, to see that it arrives


@dataclass(frozen=True, slots=True)
class Told:
    """When an event of a type is raised, and what it carries. docs/api.md says the same."""

    when: str
    fields: tuple[str, ...]


EVENTS: Mapping[EventType, Told] = MappingProxyType(
    {
        EventType.BALANCE_LOW: Told(
            "a zone's available credits fall below what the school set (`PUT /school/settings`); once a crossing",
            ("zone", "available", "threshold"),
        ),
        EventType.BALANCE_RESTORED: Told(
            "they are back, or the school wants to hear of it no more", ("zone", "available", "threshold")
        ),
        EventType.BAG_PURCHASED: Told("support sold a bag", ("zone", "credits", "bag", "cause")),
        EventType.BAG_REQUESTED: Told(
            "the school asked for a bag (`POST /credits/bags/requests`): nothing is charged",
            ("bag", "zone", "credits", "by"),
        ),
        EventType.CONTRACT_SUSPENDED: Told("the school's contract was suspended: its credits are frozen", ()),
        EventType.CONTRACT_ACTIVE: Told("it is active again: they are thawed", ()),
        EventType.MESSAGE_SENT: Told(
            "a message has gone out to its end (`state`: `sent`), or was stopped (`stopped`); its credits are settled",
            ("message", "state", "captured_domestic", "captured_international"),
        ),
        EventType.MESSAGE_CANCELLED: Told(
            "a message that waited will not go out: somebody cancelled it (`because`: `asked`), or it waited for too "
            "long (`expired`); its credits are given back",
            ("message", "because"),
        ),
        EventType.MESSAGE_REFUSED: Told(
            "a message to a large audience, taken a moment ago, could not go out after all, and is a draft again; "
            "`code` as an answer of the API would have had it",
            ("message", "code"),
        ),
        EventType.RECIPIENTS_CHANGED: Told(
            "texts of a message came to another state: gathered, at most 100 of one page of it; only where a webhook "
            "wants it",
            ("message", "page", "recipients"),
        ),
        EventType.REPLY_RECEIVED: Told(
            "a family answered a message; `word` is the opt-out word it was, if it was one",
            ("reply", "message", "word"),
        ),
        EventType.OPT_OUT_CHANGED: Told(
            "SMS are switched off (`opted_out`: 1) or on again (0) on a record (`by`: `school`), by the person "
            "(`person`) or by a handset's reply (`handset`); or a changed number took a person's opt-out along",
            ("person", "reply", "opted_out", "by"),
        ),
        EventType.IMPORT_READY: Told(
            "a roster has been compared: to be looked at, then applied or discarded",
            ("import", "people_new", "people_changed", "people_gone", "bad_rows"),
        ),
        EventType.IMPORT_APPLIED: Told(
            "it has been applied", ("import", "people_new", "people_changed", "people_gone", "bad_rows")
        ),
        EventType.IMPORT_FAILED: Told(
            "a roster could not be used as a whole, and changed nothing; `code` of the first of its `problems`",
            ("import", "code", "problems"),
        ),
        EventType.WEBHOOK_DISABLED: Told(
            "the webhook was switched off: the portal answered 410 (`because`: `gone`), took nothing for days "
            "(`failing`), or its secret is no more (`secret_gone`). Brought once it is on again",
            ("because",),
        ),
        EventType.WEBHOOK_TEST: Told("somebody asked for it (`POST /portal-webhook/test`)", ("by",)),
    }
)


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
