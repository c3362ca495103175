"""What a handset message costs on a day (C6): the published tariffs and those the operator announced.

A price that has begun is never changed, so what was rated and what is exported of a closed day stay as they are.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from recado import log
from recado.access import Caller
from recado.errors import AlreadyExists, FieldProblem, InvalidRequest, NotAllowed, NotFound, WrongState
from recado.rules import rating_days
from recado.rules import tariffs as rules
from recado.rules.country_time import local_day
from recado.rules.roles import Role
from recado.rules.tariffs import TARIFFS, Rating, Tariff
from recado.settings import SETTINGS
from recado.tables import tariffs as table
from recado.tables.tariffs import Announced

TARIFFS_SECONDS = 60.0  # a list that was read is believed so long: a price begins later than that (rating_days.LEAD)


@dataclass(frozen=True, slots=True)
class KnownTariff:
    """A tariff of a country; `announced` is None for one that is published with the code."""

    tariff: Tariff
    announced: Announced | None
    may_be_withdrawn: bool


def check_caller(caller: Caller) -> None:
    """Raises NotAllowed for everybody but the platform's staff."""
    if caller.role is not Role.OPERATOR:
        raise NotAllowed


def rate(country: str, moment: datetime) -> Rating | None:
    """The rating of a handset message of this moment, by the country's own day; None without a tariff.

    The list is read once a minute: those to come are on it before they begin.
    """
    read_at, found = _lists.get(country, (float("-inf"), ()))
    if time.monotonic() - read_at > TARIFFS_SECONDS:
        found = tariffs_of(country)
        _lists[country] = (time.monotonic(), found)
    return rules.rate(found, local_day(country, moment))


def forget() -> None:
    """Forgets the lists that the process has read."""
    _lists.clear()


def tariffs_of(country: str) -> tuple[Tariff, ...]:
    """Every tariff of a country: published and announced."""
    return (*TARIFFS.get(country, ()), *(one.tariff for one in table.list_tariffs(country)))


def list_tariffs(caller: Caller, country: str, now: datetime) -> list[KnownTariff]:
    """The country's tariffs by the day they begin. Raises NotAllowed."""
    check_caller(caller)
    published = [KnownTariff(one, None, may_be_withdrawn=False) for one in TARIFFS.get(country, ())]
    announced = [_known(one, now) for one in table.list_tariffs(country)]
    return sorted([*published, *announced], key=lambda known: known.tariff.valid_from)


def announce(
    caller: Caller,
    country: str,
    valid_from: str,
    currency: str,
    price: str,
    taxes: Sequence[tuple[str, str]],
    now: datetime,
) -> KnownTariff:
    """Announces a price from a day to come. The same again is the same announcement.

    Raises NotAllowed, InvalidRequest, AlreadyExists when that day has another tariff.
    """
    # 1. A price of a country with short codes, from a day that every process will have heard of.
    check_caller(caller)
    if country not in SETTINGS.country_codes:
        known = ", ".join(SETTINGS.country_codes)
        raise InvalidRequest(fields=[FieldProblem("/country", "unknown", f"A country with short codes: {known}")])
    day = rating_days.read_valid_from(valid_from, country, now)
    tariff = rules.read_tariff(day, currency, price, taxes)
    if any(published.valid_from == day for published in TARIFFS.get(country, ())):
        raise AlreadyExists("That day has a tariff")

    # 2. Once. A row that says the same was written by this announcement, or by one like it.
    announced = Announced(country, tariff, now, caller.subject)
    if table.create_tariff(announced):
        log.outcome("tariff_announced", country=country, valid_from=day.isoformat())
        return _known(announced, now)
    found = table.find_tariff(country, day)
    if found is None or found.tariff != tariff:
        raise AlreadyExists("That day has another tariff; withdraw it first")
    return _known(found, now)


def withdraw(caller: Caller, country: str, valid_from: str, now: datetime) -> None:
    """Takes back an announced price before its day. Raises NotAllowed, NotFound, WrongState."""
    check_caller(caller)
    day = rating_days.read_day(valid_from, "/path/valid_from")
    is_published = any(one.valid_from == day for one in TARIFFS.get(country, ()))
    if not is_published and table.find_tariff(country, day) is None:
        raise NotFound("There is no such tariff")
    if is_published or not rating_days.may_change(country, day, now):
        raise WrongState("A price that has begun, or begins within minutes, stays")
    if table.delete_tariff(country, day):
        log.outcome("tariff_withdrawn", country=country, valid_from=day.isoformat())


_lists: dict[str, tuple[float, tuple[Tariff, ...]]] = {}


def _known(announced: Announced, now: datetime) -> KnownTariff:
    valid_from = announced.tariff.valid_from
    return KnownTariff(announced.tariff, announced, rating_days.may_change(announced.country, valid_from, now))
