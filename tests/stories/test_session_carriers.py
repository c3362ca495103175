"""Whose code a session writes from: each is one carrier's, and its texts go by that carrier alone."""

from collections import defaultdict
from dataclasses import replace

import pytest

from recado import carrier_routes, circuits, dispatch, lines, routing, session_pool
from recado.access import Caller
from recado.lines import Lines
from recado.rules import circuits as circuit_rules
from recado.rules.carrier_routes import ANY, Way
from recado.rules.roles import Role
from recado.settings import SETTINGS
from recado.tables import circuits as circuit_table
from recado.tables import sessions as session_table
from recado.tables import short_codes
from recado.tables.pages import PageKind
from recado.tables.short_codes import Purpose, ShortCode
from tests.conftest import jobs_on
from tests.session_worlds import ANA, LUIS, open_session, say
from tests.worlds import FakeCarrier, TestClock, worker

pytestmark = pytest.mark.usefixtures("aws")

STAFF = Caller("platform", Role.OPERATOR, "soporte")


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


def add_code(code: str, carrier: str) -> None:
    assert short_codes.create_code(ShortCode("DO", code, carrier, Purpose.SESSIONS))


def speak_as(page_kind: PageKind, clock: TestClock) -> dict[str, FakeCarrier]:
    """Works every session's job over the lines it really has; what each carrier was given."""
    heard: dict[str, FakeCarrier] = defaultdict(FakeCarrier)
    for body in jobs_on("SessionsQueue"):
        job = dispatch.read_job(body)
        assert job.ref.kind is page_kind
        ways = lines.lines_for(job.ref, job.number, clock).ways
        own = Lines(ways, lambda name: replace(heard[name].line(), name=name))
        dispatch.work_page(job, worker(FakeCarrier(), clock, lines=own))
    return heard


def test_a_session_that_holds_a_code_goes_on_over_its_carrier_when_the_stack_has_another(
    clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_code("44101", "signed_webhook")
    session_id = open_session(clock, ANA)
    assert {name: one.numbers_heard() for name, one in speak_as(PageKind.SESSION, clock).items()} == {
        "signed_webhook": [ANA]
    }

    routing.forget()
    for module in (lines, routing, session_pool):
        monkeypatch.setattr(module, "SETTINGS", replace(SETTINGS, carrier="sns"))
    say(session_id, clock)

    heard = speak_as(PageKind.SESSION, clock)
    assert {name: [(text.to, text.sender) for text in one.heard] for name, one in heard.items()} == {
        "signed_webhook": [(ANA, "44101")]
    }


def test_one_text_of_a_session_goes_to_each_code_by_its_own_carrier(clock: TestClock) -> None:
    carrier_routes.set_route(STAFF, "DO", "sessions", [Way("twilio"), Way("sns")], clock())
    add_code("44101", "twilio")
    add_code("44102", "sns")
    open_session(clock, ANA, name="before")
    jobs_on("SessionsQueue")

    session_id = open_session(clock, ANA, LUIS, name="now")

    heard = speak_as(PageKind.SESSION, clock)
    assert {name: [(text.to, text.sender) for text in one.heard] for name, one in heard.items()} == {
        "sns": [(ANA, "44102")],
        "twilio": [(LUIS, "44101")],
    }
    found = session_table.find_session(session_id)
    assert found is not None
    assert found.sending is None


def claimed_code(clock: TestClock, name: str) -> str:
    open_session(clock, ANA, name=name)
    (code,) = (text.sender for one in speak_as(PageKind.SESSION, clock).values() for text in one.heard)
    return code


@pytest.mark.parametrize(
    ("ways", "code"),
    [
        ((), "44101"),  # no route: the stack's
        (("twilio", "signed_webhook"), "44103"),
        (("sns", "twilio"), "44102"),
        (("vonage",), "44101"),  # has no code here: the stack's
    ],
)
def test_a_session_is_given_a_code_of_the_carrier_that_its_countrys_route_names(
    clock: TestClock, ways: tuple[str, ...], code: str
) -> None:
    for one, carrier in (("44101", "signed_webhook"), ("44102", "sns"), ("44103", "twilio")):
        add_code(one, carrier)
    if ways:
        carrier_routes.set_route(STAFF, "DO", ANY, [Way(one) for one in ways], clock())

    assert claimed_code(clock, "1") == code


def test_a_code_of_a_carrier_that_is_left_alone_is_taken_last_and_not_refused(clock: TestClock) -> None:
    add_code("44101", "twilio")
    add_code("44102", "sns")
    carrier_routes.set_route(STAFF, "DO", ANY, [Way("twilio"), Way("sns")], clock())
    was = circuit_table.find_circuit("twilio", "DO")
    assert circuits.save(circuit_rules.held(was, "soporte", "mantenimiento", clock()), was=was, now=clock())

    assert claimed_code(clock, "1") == "44102"
    second = open_session(clock, ANA, name="2")
    handsets = session_table.find_handsets(second)
    assert handsets is not None
    assert [one.code for one in handsets.handsets] == ["44101"]
