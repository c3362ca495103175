"""Whose subscribers sessions write to (C2): several countries, each with its own pool, fleet list and tariff."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from recado import fleets, inbound, session_handsets, sessions
from recado.carriers.speech import IncomingReply
from recado.errors import NoHandsetReachable
from recado.heard_texts import Outcome
from recado.rules.fleet_rows import FleetEntry
from recado.rules.subscribers import Subscribers
from recado.tables import fleets as fleet_table
from recado.tables import ratings, short_codes
from recado.tables.sessions import NotReached
from recado.tables.short_codes import Purpose, ShortCode
from tests.session_worlds import ANA, CARRIER, LUIS, create_codes, deliver, open_session
from tests.worlds import FakeCarrier, TestClock

HUGO = "+56912345678"

pytestmark = pytest.mark.usefixtures("aws")


@pytest.fixture
def clock() -> TestClock:
    create_codes("44101", "44102")
    for code in ("44101", "77201"):  # the first is another code than the Dominican one of these digits
        assert short_codes.create_code(ShortCode("CL", code, CARRIER, Purpose.SESSIONS))
    return TestClock()


@pytest.fixture
def carrier() -> FakeCarrier:
    return FakeCarrier()


def set_subscribers(monkeypatch: pytest.MonkeyPatch, *countries: str, prefixes: tuple[str, ...] = ()) -> None:
    monkeypatch.setattr(session_handsets, "SUBSCRIBERS", Subscribers(countries, prefixes))


def refusals_of(session_id: str, clock: TestClock) -> list[tuple[str, NotReached]]:
    return [(one.typed, one.reason) for one in sessions.get_opening(session_id, clock()).refused]


def test_numbers_of_each_listed_country_are_written_to_from_its_own_codes_C2(
    clock: TestClock, carrier: FakeCarrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_subscribers(monkeypatch, "DO", "CL")
    assert short_codes.drain_code("CL", "44101", clock())

    session_id = open_session(clock, "809 555 0101", HUGO, "+1 212 555 0100")

    assert [(text.to, text.sender) for text in deliver(carrier, clock)] == [(ANA, "44101"), (HUGO, "77201")]
    assert refusals_of(session_id, clock) == [("+1 212 555 0100", NotReached.NOT_A_SUBSCRIBER)]


def test_a_country_without_a_free_code_refuses_its_own_numbers_only(
    clock: TestClock, carrier: FakeCarrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_subscribers(monkeypatch, "DO", "CL")
    for code in ("44101", "77201"):
        assert short_codes.drain_code("CL", code, clock())

    session_id = open_session(clock, ANA, HUGO)

    assert [text.to for text in deliver(carrier, clock)] == [ANA]
    assert refusals_of(session_id, clock) == [(HUGO, NotReached.NO_SHORT_CODE_FREE)]


def test_local_numbers_are_read_in_the_first_country_C2(
    clock: TestClock, carrier: FakeCarrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_subscribers(monkeypatch, "CL", "DO")

    open_session(clock, "9 1234 5678", "+1 809 555 0101", "+56 9 1234 5678")

    assert [text.to for text in deliver(carrier, clock)] == [HUGO, ANA]


def test_with_prefixes_every_other_number_of_the_country_comes_back_refused_C2(
    clock: TestClock, carrier: FakeCarrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_subscribers(monkeypatch, "DO", prefixes=("+1809",))

    session_id = open_session(clock, ANA, LUIS)

    assert [text.to for text in deliver(carrier, clock)] == [ANA]
    assert refusals_of(session_id, clock) == [(LUIS, NotReached.NOT_A_SUBSCRIBER)]
    with pytest.raises(NoHandsetReachable):
        open_session(clock, LUIS, name="2")


def test_a_reply_is_rated_by_its_own_countrys_tariff_and_asked_of_its_own_fleet_list_C3_C6(
    clock: TestClock, carrier: FakeCarrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_subscribers(monkeypatch, "CL", "DO")
    open_session(clock, ANA, HUGO)
    texts = {text.to: text.sender for text in deliver(carrier, clock)}
    assert fleet_table.create_entry("CL", FleetEntry(ANA))  # of another country: it says nothing of her

    outcomes = [
        inbound.take_reply(CARRIER, IncomingReply(f"r-{number}", number, code, "voy", clock()), clock)
        for number, code in texts.items()
    ]

    assert outcomes == [Outcome.TO_SESSION, Outcome.TO_SESSION]
    of_ana, of_hugo = (ratings.find_rating(CARRIER, f"r-{number}") for number in (ANA, HUGO))
    assert of_ana is not None
    assert of_hugo is not None
    assert (of_ana.country, of_ana.rating is not None) == ("DO", True)
    assert (of_hugo.country, of_hugo.rating) == ("CL", None)  # no published tariff: nothing is invented
    assert fleets.find_barred([ANA]) == frozenset()


@pytest.mark.parametrize(
    ("setting", "value"),
    [("SESSION_COUNTRIES", "XX"), ("SESSION_COUNTRIES", "DO,PE"), ("SUBSCRIBER_PREFIXES", "1809")],
)
def test_whoever_serves_sessions_does_not_start_with_a_setting_that_cannot_be_meant(setting: str, value: str) -> None:
    """In a process of its own: settings are read once, at import."""
    layer = Path(session_handsets.__file__).parent.parent
    for module in ("recado.sessions", "recado.inbound", "recado.session_sweep"):
        ended = subprocess.run(
            [sys.executable, "-c", f"import {module}"],
            env=os.environ | {setting: value, "PYTHONPATH": str(layer)},
            capture_output=True,
            text=True,
            check=False,
        )

        assert ended.returncode != 0
        assert f"ValueError: {setting}: " in ended.stderr
