"""The magic numbers of test keys: the last two digits say what becomes of a text in a sandbox. Any other is delivered.

Must never name a number that could be somebody's. Chile: +56 9 0000 xxxx is in no operator's range (libphonenumber's
metadata). NANP, so the Dominican Republic too: 555-0100 to 555-0199 are kept for fiction in every area code (NANPA).
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

RANGES: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "CL": re.compile(r"\+5690000[0-9]{2}([0-9]{2})"),
        "DO": re.compile(r"\+18[024]955501([0-9]{2})"),
    }
)


class Behaviour(StrEnum):
    """What the simulated line does with a text to a number, from the hand-over to what the handset answers."""

    DELIVERED = "delivered"
    UNREACHABLE = "unreachable"
    WRONG_NUMBER_AT_ONCE = "wrong_number_at_once"
    WRONG_NUMBER_LATER = "wrong_number_later"
    BLOCKED_AT_ONCE = "blocked_at_once"
    BLOCKED_LATER = "blocked_later"
    NO_ANSWER = "no_answer"
    SLOW = "slow"
    BUSY_ONCE = "busy_once"
    NO_RECEIPT = "no_receipt"
    REPLIES_STOP = "replies_stop"
    REPLIES = "replies"


# Last two digits → behaviour. docs/api.md shows this table; a test compares them.
MAGIC: Mapping[str, Behaviour] = MappingProxyType(
    {
        "00": Behaviour.DELIVERED,
        "01": Behaviour.UNREACHABLE,
        "02": Behaviour.WRONG_NUMBER_AT_ONCE,
        "03": Behaviour.WRONG_NUMBER_LATER,
        "04": Behaviour.BLOCKED_AT_ONCE,
        "05": Behaviour.BLOCKED_LATER,
        "06": Behaviour.NO_ANSWER,
        "07": Behaviour.SLOW,
        "08": Behaviour.BUSY_ONCE,
        "09": Behaviour.NO_RECEIPT,
        "10": Behaviour.REPLIES_STOP,
        "11": Behaviour.REPLIES,
    }
)
ANSWERS: Mapping[Behaviour, str] = MappingProxyType(
    {Behaviour.REPLIES_STOP: "STOP", Behaviour.REPLIES: "Recibido, gracias."}
)


def behaviour_of(number: str) -> Behaviour:
    """What becomes of a text to this number (E.164) in a sandbox."""
    for pattern in RANGES.values():
        found = pattern.fullmatch(number)
        if found:
            return MAGIC.get(found[1], Behaviour.DELIVERED)
    return Behaviour.DELIVERED


def answer_of(number: str) -> str | None:
    """What the handset of this number answers to a text; None: nothing."""
    return ANSWERS.get(behaviour_of(number))


def number_for(country: str, digits: str) -> str:
    """The number of the demo directory with these last two digits: the country's own, or Chile's where it has none."""
    return f"+180955501{digits}" if country == "DO" else f"+569000000{digits}"
