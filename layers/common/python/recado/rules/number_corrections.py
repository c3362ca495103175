"""Whose word on a number counts (L14): what was corrected here stays until the roster's own entry changes."""

from dataclasses import dataclass, replace
from datetime import datetime

from recado.rules.oneroster import RosterPerson
from recado.rules.phone_numbers import read_number


@dataclass(frozen=True, slots=True)
class Correction:
    """A number corrected here, by the person or the office; `number` None: taken away, or typed and not usable.

    `roster_number` and `roster_typed_number`: what the roster said when it was corrected.
    """

    number: str | None  # E.164
    typed_number: str
    by: str
    at: datetime
    roster_number: str | None  # E.164
    roster_typed_number: str


def record_after_correction(
    roster_record: RosterPerson, correction: Correction | None
) -> tuple[RosterPerson, Correction | None]:
    """The record with the number in force, and the correction if it still counts, after the roster said its own.

    The same number written otherwise ("9 5555 0101", "+56955550101") is no change of the roster's.
    """
    if correction is None or _has_changed(roster_record, correction):
        return roster_record, None
    corrected = replace(
        roster_record,
        number=correction.number,
        typed_number=correction.typed_number,
        number_problem=bool(correction.typed_number) and correction.number is None,
    )
    return corrected, correction


def record_with_number(record: RosterPerson, typed: str, country: str) -> RosterPerson:
    """The record with a number as somebody typed it; those without a country code are of `country` (ISO 3166-1)."""
    number = read_number(typed, country) if typed else None
    return replace(
        record,
        number=number.e164 if number else None,
        typed_number=typed,
        number_problem=bool(typed) and number is None,
    )


def correct(
    before: RosterPerson, after: RosterPerson, correction: Correction | None, by: str, at: datetime
) -> Correction | None:
    """The correction that keeps `after`'s number over the roster's; None when it is what the roster says anyway.

    `before` and `correction` are as they were: what the roster said last is known from them.
    """
    roster_number = correction.roster_number if correction else before.number
    roster_typed = correction.roster_typed_number if correction else before.typed_number
    if (after.number, after.typed_number) == (roster_number, roster_typed):
        return None
    return Correction(after.number, after.typed_number, by, at, roster_number, roster_typed)


def _has_changed(roster_record: RosterPerson, correction: Correction) -> bool:
    if roster_record.number is not None:
        return roster_record.number != correction.roster_number
    return correction.roster_number is not None or roster_record.typed_number != correction.roster_typed_number
