"""To which school a handset's text on a school's code belongs, and what a digit chooses.

Must never answer "the last that sent": what belongs provably to one school is that school's, what may be several
schools' is nobody's until the handset has said whose.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

KEPT = timedelta(hours=72)  # a text that waits for a choice, and the choice itself
GONE_COUNTS_FOR = timedelta(days=30)  # whoever left the school, and a school that left a shared code
CHOICES_MAX = 9  # one digit


class Kind(StrEnum):
    SCHOOL = "school"
    CHOOSE = "choose"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Destination:
    """`schools`: one for SCHOOL, two to nine for CHOOSE in the order they are offered, none for NOBODY."""

    kind: Kind
    schools: tuple[str, ...] = ()


NOBODY = Destination(Kind.NOBODY)


def destination(own: str | None, answered: str | None, candidates: Iterable[str]) -> Destination:
    """Where a text goes: `own` is whose code it is, `answered` whose text the carrier says is answered, `candidates`
    are the schools that use the code and have the number in their directory.

    More candidates than digits are nobody's: they cannot be offered.
    """
    proven = own or answered
    if proven is not None:
        return Destination(Kind.SCHOOL, (proven,))
    found = tuple(sorted(set(candidates)))
    if len(found) == 1:
        return Destination(Kind.SCHOOL, found)
    return Destination(Kind.CHOOSE, found) if 1 < len(found) <= CHOICES_MAX else NOBODY


def concerned(own: str | None, answered: str | None, candidates: Iterable[str]) -> tuple[str, ...]:
    """Every school that a word is said to: a STOP must not leave one out that may write from there."""
    if own is not None:
        return (own,)
    return tuple(sorted({*candidates, *([answered] if answered else ())}))


def read_choice(text: str, choices: Sequence[str]) -> str | None:
    """The school that a whole message chooses by its digit, from 1; None for any other text."""
    normal = unicodedata.normalize("NFKC", text)
    said = "".join(one for one in normal if unicodedata.category(one)[0] not in "ZCPM")
    if len(said) != 1 or said not in "123456789" or int(said) > len(choices):
        return None
    return choices[int(said) - 1]


def still_counts(since: datetime | None, now: datetime) -> bool:
    """Whether somebody who left then (None: is here), or a school that shared a code until then, is still meant."""
    return since is None or now - since < GONE_COUNTS_FOR
