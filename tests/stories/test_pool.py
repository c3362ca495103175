"""The pool of short codes: added, drained, removed, added again; what claims in between; and how far it reaches."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from recado import pool, schools, sessions
from recado.access import Caller
from recado.errors import AlreadyExists, InvalidRequest, NoHandsetReachable, NotAllowed, NotFound, WrongState
from recado.pool import Filter
from recado.rules.idle_timeout import LONGEST_SESSION
from recado.rules.roles import Role
from recado.rules.short_codes import CodeState
from recado.session_replies import ReplyOutcome
from recado.settings import SETTINGS
from recado.tables import routes, short_codes
from recado.tables.schools import Contract, School
from recado.tables.short_codes import Purpose, ShortCode
from tests.faults import Fault, faults, meanwhile
from tests.session_worlds import ANA, CARRIER, answer_to, create_codes, just_before, open_session, sweep
from tests.worlds import NOON, TestClock

OPERATOR = Caller("platform", Role.OPERATOR, "soporte-1", key_id="op")
DIRECTOR = Caller("liceo-1", Role.DIRECTOR, "u-17")
LICEO = School("liceo-1", "Liceo Uno", "CL", "America/Santiago", "44101", Contract.ACTIVE, 1, NOON)
CODE = ShortCode("DO", "44201", CARRIER, Purpose.SESSIONS)
MOMENT = timedelta(microseconds=1)
# Quarantine 60 min in the tests: 8 h of the longest session, the quarantine, a minute.
REMOVABLE = timedelta(hours=9, minutes=1)

pytestmark = pytest.mark.usefixtures("aws")


def drain(code: ShortCode = CODE, now: datetime = NOON) -> ShortCode:
    return pool.drain_code(OPERATOR, code.country, code.code, now)


def remove(code: ShortCode = CODE, now: datetime = NOON + REMOVABLE) -> None:
    pool.remove_code(OPERATOR, code.country, code.code, now)


def state_of(code: ShortCode = CODE) -> CodeState:
    found = short_codes.find_code(code.country, code.code)
    assert found is not None
    return found.state


# --- added and listed ---


def test_a_code_is_added_once_for_one_purpose() -> None:
    pool.add_code(OPERATOR, CODE)

    assert pool.add_code(OPERATOR, CODE) == CODE
    with pytest.raises(AlreadyExists):
        pool.add_code(OPERATOR, replace(CODE, purpose=Purpose.SCHOOLS))
    with pytest.raises(AlreadyExists):
        pool.add_code(OPERATOR, replace(CODE, carrier="sns"))
    assert pool.list_codes(OPERATOR, Filter()) == [CODE]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"country": "PE"}, "/country"),
        ({"code": "12"}, "/code"),
        ({"carrier": "pigeon"}, "/carrier"),
        ({"school": "liceo-1"}, "/school"),
    ],
)
def test_a_code_with_a_field_that_cannot_be_accepted_is_refused_by_that_field(
    changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        pool.add_code(OPERATOR, replace(CODE, **changes))

    assert [problem.field for problem in refused.value.fields] == [field]


def test_a_code_of_a_school_that_is_not_there_is_not_added() -> None:
    with pytest.raises(NotFound):
        pool.add_code(OPERATOR, ShortCode("CL", "44201", "sns", Purpose.SCHOOLS, "liceo-1"))


@pytest.mark.parametrize(
    ("wanted", "codes"),
    [
        (Filter(), ["20600", "44201", "44202", "44203"]),
        (Filter(country="DO"), ["44201", "44202", "44203"]),
        (Filter(carrier="sns"), ["20600", "44202"]),
        (Filter(purpose=Purpose.SCHOOLS), ["20600"]),
        (Filter(state=CodeState.DRAINING), ["44203"]),
        (Filter(country="DO", carrier=CARRIER, state=CodeState.FREE), ["44201"]),
        (Filter(country="CL", state=CodeState.REMOVED), []),
    ],
)
def test_the_list_is_narrowed_by_country_carrier_purpose_and_state(wanted: Filter, codes: list[str]) -> None:
    for code in (
        ShortCode("CL", "20600", "sns", Purpose.SCHOOLS),
        CODE,
        replace(CODE, code="44202", carrier="sns"),
        replace(CODE, code="44203"),
    ):
        pool.add_code(OPERATOR, code)
    drain(replace(CODE, code="44203"))

    assert [one.code for one in pool.list_codes(OPERATOR, wanted)] == codes


# --- drained ---


def test_a_drained_code_says_since_when_and_from_when_it_can_be_removed() -> None:
    pool.add_code(OPERATOR, CODE)

    drained = drain()

    assert (drained.state, drained.drained_at, drained.removed_at) == (CodeState.DRAINING, NOON, None)
    assert drain(now=NOON + timedelta(days=3)) == drained
    assert pool.removal_of(drained) == NOON + REMOVABLE
    assert pool.removal_of(CODE) is None
    with pytest.raises(NotFound):
        drain(replace(CODE, code="44209"))


def test_a_code_that_drains_is_not_added_again_it_has_to_go_first() -> None:
    pool.add_code(OPERATOR, CODE)
    drained = drain()

    with pytest.raises(AlreadyExists):
        pool.add_code(OPERATOR, CODE)

    assert short_codes.find_code("DO", "44201") == drained


# --- removed ---


def test_a_code_is_removed_at_the_moment_it_says_and_not_before() -> None:
    pool.add_code(OPERATOR, CODE)
    drain()

    with pytest.raises(WrongState) as refused:
        remove(now=NOON + REMOVABLE - MOMENT)

    assert refused.value.members == {"removable_at": (NOON + REMOVABLE).isoformat()}
    assert refused.value.retry_after_seconds == 1
    assert state_of() is CodeState.DRAINING
    remove(now=NOON + REMOVABLE)
    assert state_of() is CodeState.REMOVED


def test_removing_it_again_changes_nothing() -> None:
    pool.add_code(OPERATOR, CODE)
    drain()
    remove()
    removed = short_codes.find_code("DO", "44201")

    remove(now=NOON + timedelta(days=5))

    assert short_codes.find_code("DO", "44201") == removed
    assert removed is not None
    assert (removed.drained_at, removed.removed_at) == (NOON, NOON + REMOVABLE)


def test_a_code_that_does_not_drain_is_not_removed_however_old_it_is() -> None:
    pool.add_code(OPERATOR, CODE)

    with pytest.raises(WrongState):
        remove(now=NOON + timedelta(days=400))

    assert state_of() is CodeState.FREE
    with pytest.raises(NotFound):
        remove(replace(CODE, code="44209"))


def test_a_removed_code_cannot_be_drained() -> None:
    pool.add_code(OPERATOR, CODE)
    drain()
    remove()

    with pytest.raises(WrongState):
        drain()

    assert state_of() is CodeState.REMOVED


@pytest.mark.parametrize("fault", ["lost", "applied"])
def test_a_removal_whose_request_or_answer_is_lost_is_one_removal(fault: Fault) -> None:
    pool.add_code(OPERATOR, CODE)
    drain()

    with faults("TransactWriteItems", fault) as attempts:
        remove()

    assert len(attempts) == 2
    assert state_of() is CodeState.REMOVED


def test_a_code_that_was_removed_added_and_drained_anew_meanwhile_is_not_removed() -> None:
    pool.add_code(OPERATOR, CODE)
    drain()

    def another_is_quicker() -> None:
        remove()
        pool.add_code(OPERATOR, CODE)
        drain(now=NOON + REMOVABLE)

    with meanwhile("TransactWriteItems", another_is_quicker), pytest.raises(WrongState) as refused:
        remove(now=NOON + REMOVABLE)

    assert state_of() is CodeState.DRAINING
    assert refused.value.members == {"removable_at": (NOON + 2 * REMOVABLE).isoformat()}


# --- a school's own code ---


def test_a_code_that_a_school_sends_from_stays() -> None:
    schools.create_school(OPERATOR, LICEO, is_first=True)
    own = replace(CODE, country="CL", code="44101", purpose=Purpose.SCHOOLS, school="liceo-1")
    drain(own)

    with pytest.raises(WrongState):
        remove(own)

    assert state_of(own) is CodeState.DRAINING
    schools.change_school(OPERATOR, "liceo-1", {"code": ""}, NOON)
    remove(own)
    assert state_of(own) is CodeState.REMOVED


def test_a_code_that_is_removed_while_a_school_takes_it_is_not_the_schools() -> None:
    schools.create_school(OPERATOR, replace(LICEO, code="44102"), is_first=True)
    own = ShortCode("CL", "44101", CARRIER, Purpose.SCHOOLS, "liceo-1")
    pool.add_code(OPERATOR, own)
    drain(own)

    with meanwhile("TransactWriteItems", lambda: remove(own)), pytest.raises(AlreadyExists):
        schools.change_school(OPERATOR, "liceo-1", {"code": "44101"}, NOON)

    assert schools.get_school(OPERATOR, "liceo-1").code == "44102"
    assert state_of(own) is CodeState.REMOVED
    # Asked again it is added again, and then it is the school's.
    assert schools.change_school(OPERATOR, "liceo-1", {"code": "44101"}, NOON).code == "44101"
    assert state_of(own) is CodeState.FREE


def test_a_school_is_not_created_with_a_code_that_is_removed_at_that_moment() -> None:
    own = ShortCode("CL", "44101", CARRIER, Purpose.SCHOOLS, "liceo-1")
    assert short_codes.create_code(own)  # reserved for a school that then did not come
    drain(own)

    with meanwhile("TransactWriteItems", lambda: remove(own)), pytest.raises(AlreadyExists) as refused:
        schools.create_school(OPERATOR, LICEO, is_first=True)

    assert [one.field for one in refused.value.fields] == ["/code"]
    assert schools.list_schools(OPERATOR, limit=5, cursor=None) == ([], None)


# --- what sessions do meanwhile ---


def test_a_session_that_read_the_pool_before_the_draining_may_claim_after_it_and_removing_waits_for_it_C9() -> None:
    pool.add_code(OPERATOR, CODE)
    clock = TestClock()

    def drain_a_moment_before_the_claim() -> None:
        clock.move(seconds=1)
        drain(now=clock())

    with just_before("TransactWriteItems", drain_a_moment_before_the_claim, nth=2):
        session_id = open_session(clock)
    drained = short_codes.find_code("DO", "44201")
    assert drained is not None
    assert drained.state is CodeState.DRAINING
    assert [one.code for one in sessions.get_opening(session_id, clock()).handsets] == ["44201"]

    # It is talked in for as long as a session may last.
    removable = pool.removal_of(drained)
    assert removable is not None
    while clock() < NOON + LONGEST_SESSION - timedelta(minutes=4):
        clock.move(minutes=4)
        sessions.extend(session_id, clock)
    clock.move(seconds=200)
    assert answer_to(ANA, "44201", "sigo aquí", clock) is ReplyOutcome.TO_SESSION
    with pytest.raises(WrongState):
        remove(now=clock())

    # The sweeper comes a whole minute late. When the code can go, the pair has rested.
    clock.now = NOON + LONGEST_SESSION + timedelta(seconds=60)
    sweep(clock)
    route = routes.find_route(ANA, "44201")
    assert route is not None
    assert route.free_at is not None
    assert NOON + LONGEST_SESSION + SETTINGS.quarantine < route.free_at <= removable
    remove(now=removable)
    clock.now = removable
    assert answer_to(ANA, "44201", "¿sigues ahí?", clock, reply_id="r2") is ReplyOutcome.LATE


def test_a_removed_code_is_given_to_no_session() -> None:
    pool.add_code(OPERATOR, CODE)
    drain()
    remove()
    clock = TestClock()
    clock.now = NOON + REMOVABLE

    with pytest.raises(NoHandsetReachable):
        open_session(clock)


def test_a_code_that_comes_back_remembers_the_handsets_it_served_C8() -> None:
    create_codes("44201")
    clock = TestClock()
    sessions.end(open_session(clock, ANA), clock)
    drain()
    remove()
    clock.now = NOON + REMOVABLE

    pool.add_code(OPERATOR, CODE)

    assert short_codes.find_code("DO", "44201") == CODE
    with pytest.raises(NoHandsetReachable):  # the code she was written to from last
        open_session(clock, ANA, name="2")
    assert open_session(clock, "829 555 0102", name="3")


def test_a_removed_code_may_come_back_for_something_else() -> None:
    pool.add_code(OPERATOR, CODE)
    drain()
    remove()
    other = replace(CODE, purpose=Purpose.SCHOOLS, carrier="sns")

    pool.add_code(OPERATOR, other)

    assert short_codes.find_code("DO", "44201") == other


def test_only_codes_of_the_carrier_that_takes_the_texts_are_given_to_sessions() -> None:
    pool.add_code(OPERATOR, replace(CODE, code="44200", carrier="sns"))
    clock = TestClock()

    with pytest.raises(NoHandsetReachable) as refused:
        open_session(clock)
    pool.add_code(OPERATOR, CODE)
    session_id = open_session(clock, is_first=False)

    assert refused.value.members["refused"][0]["reason"] == "no_short_code_free"
    assert [one.code for one in sessions.get_opening(session_id, clock()).handsets] == ["44201"]


# --- how far it reaches ---


def test_the_capacity_counts_what_sessions_can_claim_today() -> None:
    for code in (
        *(replace(CODE, code=f"4420{number}") for number in range(1, 5)),
        replace(CODE, code="44300", carrier="sns"),
        replace(CODE, code="44301", purpose=Purpose.SCHOOLS),
    ):
        pool.add_code(OPERATOR, code)
    drain(replace(CODE, code="44204"))

    found = pool.get_capacity(OPERATOR, "DO", timedelta(minutes=5), pool.read_wish(12, None))

    assert (found.carriers[0], found.free, found.draining) == (CARRIER, 3, 1)
    assert [found.per_hour, found.per_day] == pytest.approx([3 * 60 / 65, 3 * 24 * 60 / 65])
    assert (found.codes_needed, found.codes_missing) == (13, 10)


def test_a_wish_is_for_an_hour_or_for_a_day() -> None:
    hourly, daily = pool.read_wish(2, None), pool.read_wish(None, 48)

    needed = [pool.get_capacity(OPERATOR, "DO", timedelta(minutes=5), one).codes_needed for one in (hourly, daily)]

    assert needed == [3, 3]
    assert pool.read_wish(None, None) is None
    with pytest.raises(InvalidRequest):
        pool.read_wish(2, 48)
    with pytest.raises(NotFound):
        pool.get_capacity(OPERATOR, "PE", timedelta(minutes=5), None)


# --- who may ---


def test_the_pool_is_not_open_to_a_school() -> None:
    pool.add_code(OPERATOR, CODE)
    acts: list[Callable[[], object]] = [
        lambda: pool.add_code(DIRECTOR, replace(CODE, code="44202")),
        lambda: pool.list_codes(DIRECTOR, Filter()),
        lambda: pool.drain_code(DIRECTOR, "DO", "44201", NOON),
        lambda: pool.remove_code(DIRECTOR, "DO", "44201", NOON),
        lambda: pool.get_capacity(DIRECTOR, "DO", timedelta(minutes=5), None),
    ]

    for act in acts:
        with pytest.raises(NotAllowed):
            act()

    assert short_codes.list_codes("DO") == [CODE]
