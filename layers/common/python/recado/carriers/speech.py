"""The words every carrier shares: what goes out, what it answers, what it reports later. Knows no table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from recado.rules.delivery_states import Receipt
from recado.rules.reply_parts import Part

CONNECT_SECONDS_MAX = 2.0
READ_SECONDS_MAX = 10.0
NOT_STARTED_CODE = "not_started"  # of a text that waits for the next wave: nobody asked the carrier


@dataclass(frozen=True, slots=True)
class Account:
    """Where a carrier is spoken to and with which secrets, newest first; built from settings, never logged.

    `sender` is for texts that name none. `public_url` is this API as the world calls it, without a last slash.
    """

    url: str = ""
    secrets_to_carrier: tuple[str, ...] = field(default=(), repr=False)
    secrets_from_carrier: tuple[str, ...] = field(default=(), repr=False)
    user: str = ""
    password: str = field(default="", repr=False)
    sender: str = ""
    public_url: str = ""
    configuration_set: str = ""
    part_price_max: Decimal | None = None  # USD


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One text to one handset. `reference` is ours and unique to (recipient, message): the carrier may dedupe by it."""

    reference: str
    to: str
    sender: str
    text: str
    validity_seconds: int


class RefusedBecause(StrEnum):
    """`for_now` and `route` are no outcome of the recipient's: the text was not taken and is tried again."""

    WRONG_NUMBER = "wrong_number"
    BLOCKED = "blocked"
    FOR_NOW = "for_now"
    ROUTE = "route"


@dataclass(frozen=True, slots=True)
class Accepted:
    carrier_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """`code` is the carrier's own finer reason, for support; never a text or a number."""

    because: RefusedBecause
    code: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may have been taken or not: a timeout is not a refusal. `code` says what was seen."""

    code: str


type Answer = Accepted | Refused | Unknown
type Send = Callable[[Sequence[Outgoing], Account, Callable[[], bool]], list[Answer]]


@dataclass(frozen=True, slots=True)
class Line:
    """A carrier as dispatch sees it. `speak(texts, may_start)` answers one for one, in order."""

    name: str
    speak: Callable[[Sequence[Outgoing], Callable[[], bool]], list[Answer]]
    dedupe_hours: int
    echoes_reference: bool


@dataclass(frozen=True, slots=True)
class IncomingReply:
    """What a handset answered. `id` is the carrier's; `in_reply_to` our reference, where the carrier tells it.

    `part` is set when `text` is only a part of what was written.
    """

    id: str
    handset: str
    code: str
    text: str
    sent_at: datetime
    in_reply_to: str | None = None
    part: Part | None = None


@dataclass(frozen=True, slots=True)
class IncomingReceipt:
    """Part 0 is the whole message. One of `reference` (ours) and `carrier_id` is set. `at` is as the carrier says."""

    state: Receipt
    part: int
    reference: str | None = None
    carrier_id: str | None = None
    at: datetime | None = None


class BadWebhook(Exception):  # named for what it is
    """A webhook whose signature holds but whose content is not the format's. `place` says where, never what."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self.place = place


def storable(text: str) -> str:
    """A handset's text as it can be kept: exactly as it came, but for half a surrogate pair, which becomes U+FFFD."""
    return "".join("\ufffd" if "\ud800" <= letter <= "\udfff" else letter for letter in text)


# As they came, and under HTTP/2's own name (RFC 9113 §8.3.1) the path below `public_url` with its query: some sign it.
type Headers = Mapping[str, str]
PATH = ":path"
