"""Prices over time: announced ahead, in force from the country's midnight, never changed after (C6)."""

import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import boto3
import pytest

from recado import tariffs
from recado.access import Caller
from recado.errors import AlreadyExists, InvalidRequest, NotAllowed, NotFound, WrongState
from recado.rules.rating_days import LEAD
from recado.rules.roles import Role
from recado.tables import ratings
from recado.tables import tariffs as tariff_table
from recado.tariffs import KnownTariff
from tests.faults import Fault, faults
from tests.permissions import as_function
from tests.session_worlds import CARRIER, answer, create_codes, deliver, open_session
from tests.worlds import DIRECTOR, NOON, FakeCarrier, TestClock

OPERATOR = Caller("platform", Role.OPERATOR, "ana")
TAXES = [("ITBIS", "0.18"), ("ISC", "0.10")]
MIDNIGHT = datetime(2026, 11, 24, 4, tzinfo=UTC)  # the 24th begins in Santo Domingo
TOMORROW = "2026-11-24"


@pytest.fixture(autouse=True)
def pool(aws: None) -> None:
    create_codes()


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The process's own seconds, which tests move."""
    passed = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: passed[0])
    return passed


def announce(valid_from: str = TOMORROW, price: str = "1.25", now: datetime = NOON, country: str = "DO") -> KnownTariff:
    return tariffs.announce(OPERATOR, country, valid_from, "DOP", price, TAXES, now)


def price_at(moment: datetime, country: str = "DO") -> str | None:
    found = tariffs.rate(country, moment)
    return str(found.price) if found else None


def rows() -> list[object]:
    return list(boto3.resource("dynamodb").Table("LedgerTable").scan()["Items"])


def test_a_price_is_in_force_from_the_countrys_midnight_on_and_not_a_moment_before_C6() -> None:
    announce()

    assert price_at(MIDNIGHT - timedelta(microseconds=1)) == "1.00"
    assert price_at(MIDNIGHT) == "1.25"


def test_replies_around_midnight_are_rated_by_their_own_day_by_a_process_that_knew_before(
    seconds: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    # C6
    announce()
    clock, carrier = TestClock(MIDNIGHT - timedelta(seconds=40)), FakeCarrier()
    open_session(clock)
    (text,) = deliver(carrier, clock)
    with as_function("inbound"):  # within its policies: it also reads the tariffs
        answer(text, "antes", clock, reply_id="before")
    clock.move(seconds=70)
    seconds[0] += 50
    # The list of the minute before has tomorrow's price on it: nobody reads it again.
    monkeypatch.setattr(tariff_table, "list_tariffs", lambda _: pytest.fail("the tariffs were read again"))
    answer(text, "después", clock, reply_id="after")

    found = [ratings.find_rating(CARRIER, one) for one in ("before", "after")]
    assert [str(one.rating.price) for one in found if one and one.rating] == ["1.00", "1.25"]
    days = {row["pk"]: row["day_shard"] for row in rows() if "day_shard" in row}  # type: ignore[operator,index]
    assert [days[f"RATE#{CARRIER}#{one}"][:13] for one in ("before", "after")] == ["DO#2026-11-23", "DO#2026-11-24"]


def test_a_list_read_right_before_the_last_moment_to_announce_is_read_anew_before_the_day_begins(
    seconds: list[float],
) -> None:
    last_moment = MIDNIGHT - LEAD
    price_at(last_moment)
    announce(now=last_moment)
    seconds[0] += (MIDNIGHT - last_moment).total_seconds()

    assert price_at(MIDNIGHT) == "1.25"


def test_a_price_cannot_begin_today_or_within_minutes_or_have_begun() -> None:
    for valid_from, now in (("2026-11-23", NOON), ("2026-11-01", NOON), (TOMORROW, MIDNIGHT - timedelta(minutes=9))):
        with pytest.raises(InvalidRequest) as refused:
            announce(valid_from, now=now)
        assert [(one.field, one.code) for one in refused.value.fields] == [("/valid_from", "too_soon")]

    assert rows() == []


def test_the_same_announcement_again_is_the_same_and_another_for_that_day_is_refused() -> None:
    first = announce()

    again = announce(now=NOON + timedelta(hours=1))
    with pytest.raises(AlreadyExists):
        announce(price="2.00")

    assert again.announced == first.announced
    assert len(rows()) == 1


@pytest.mark.parametrize("kind", ["lost", "applied"])
def test_an_announcement_whose_request_or_answer_is_lost_is_made_once(kind: Fault) -> None:
    with faults("PutItem", kind) as attempts:
        made = announce()

    assert attempts == [kind, "arrived"]
    assert made.announced is not None
    assert (made.announced.at, made.announced.by, len(rows())) == (NOON, "ana", 1)


def test_a_mistake_is_withdrawn_before_its_day_and_announced_anew() -> None:
    announce(price="12.50")

    tariffs.withdraw(OPERATOR, "DO", TOMORROW, NOON)
    announce()

    assert price_at(MIDNIGHT) == "1.25"


def test_a_price_that_has_begun_or_is_about_to_or_is_published_cannot_be_withdrawn() -> None:
    announce()

    for now in (MIDNIGHT - LEAD + timedelta(seconds=1), MIDNIGHT, MIDNIGHT + timedelta(days=40)):
        with pytest.raises(WrongState):
            tariffs.withdraw(OPERATOR, "DO", TOMORROW, now)
    with pytest.raises(WrongState):
        tariffs.withdraw(OPERATOR, "DO", "2020-01-01", NOON)
    with pytest.raises(NotFound):
        tariffs.withdraw(OPERATOR, "DO", "2026-11-25", NOON)

    assert price_at(MIDNIGHT) == "1.25"


def test_prices_are_listed_by_their_day_with_who_announced_them() -> None:
    announce("2027-01-01", "2.00")
    announce()

    found = tariffs.list_tariffs(OPERATOR, "DO", MIDNIGHT)

    assert [(one.tariff.valid_from, one.tariff.price, one.may_be_withdrawn) for one in found] == [
        (date(2020, 1, 1), Decimal("1.00"), False),
        (date(2026, 11, 24), Decimal("1.25"), False),
        (date(2027, 1, 1), Decimal("2.00"), True),
    ]
    assert [one.announced.by for one in found if one.announced] == ["ana", "ana"]


def test_a_country_has_its_own_prices_and_only_one_with_short_codes_has_any() -> None:
    tariffs.announce(OPERATOR, "CL", TOMORROW, "CLP", "50", [("IVA", "0.19")], NOON)

    assert price_at(MIDNIGHT) == "1.00"
    assert price_at(NOON, "CL") is None
    assert str(tariffs.rate("CL", datetime(2026, 11, 24, 3, tzinfo=UTC)).total) == "60"  # type: ignore[union-attr]
    with pytest.raises(InvalidRequest) as refused:
        announce(country="PE")
    assert refused.value.fields[0].field == "/country"


def test_prices_are_the_platforms_staffs_alone() -> None:
    for act in (
        lambda: tariffs.list_tariffs(DIRECTOR, "DO", NOON),
        lambda: tariffs.announce(DIRECTOR, "DO", TOMORROW, "DOP", "1.25", TAXES, NOON),
        lambda: tariffs.withdraw(DIRECTOR, "DO", TOMORROW, NOON),
    ):
        with pytest.raises(NotAllowed):
            act()

    assert rows() == []
