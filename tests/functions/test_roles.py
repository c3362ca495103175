"""Who may use which route (L2): each role at each route of the template, through the authorizer.

Whoever is refused has written nothing: every table and queue is as it was.
"""

import pytest

from recado import clock
from recado.rules.roles import Role
from tests.gateway import ask, routes
from tests.route_table import (
    EVERYBODY,
    NOBODY,
    ONLY_SIGNED,
    PORTAL,
    SESSION_TOKEN,
    TABLE,
    World,
    build_world,
    everything,
    token_of,
)
from tests.worlds import TestClock


@pytest.fixture
def moment(aws: None, monkeypatch: pytest.MonkeyPatch) -> TestClock:
    found = TestClock()
    monkeypatch.setattr(clock, "now", found)
    return found


@pytest.fixture
def world(moment: TestClock) -> World:
    return build_world(moment)


def test_the_table_names_every_route_of_the_template_and_no_other() -> None:
    assert TABLE.keys() == routes().keys(), "a new route needs a row in tests/route_table.py"


def test_every_role_there_is_is_asked() -> None:
    assert {*EVERYBODY} == {role.value for role in Role} | {SESSION_TOKEN, NOBODY}


@pytest.mark.parametrize("route", TABLE)
def test_each_role_gets_as_far_as_the_table_says_and_whoever_is_refused_has_written_nothing_L2(
    route: str, world: World, moment: TestClock
) -> None:
    allowed = TABLE[route].roles
    before = everything()

    refused = {who: ask(world.request(route), token_of(who, moment)).status for who in EVERYBODY if who not in allowed}

    assert refused == {who: refusal_of(route, who) for who in EVERYBODY if who not in allowed}
    assert everything() == before
    served = {who: ask(world.request(route), token_of(who, moment)).status for who in EVERYBODY if who in allowed}
    assert {who: status for who, status in served.items() if status in (401, 403) or status >= 500} == {}


def refusal_of(route: str, who: str) -> int:
    """401 for whoever is nobody here: no token, a session's at a school's routes, a portal's at a session's."""
    is_portals = who in PORTAL or who == Role.OPERATOR
    return 403 if is_portals and " /sessions" not in route and TABLE[route].roles != ONLY_SIGNED else 401


@pytest.mark.parametrize("route", [route for route, row in TABLE.items() if row.body is not None])
def test_whoever_is_refused_is_refused_whatever_the_body_says(route: str, world: World, moment: TestClock) -> None:
    """L2: a wrong body tells a teacher nothing that a right one would not, and writes as little."""
    before = everything()

    for who in sorted({*PORTAL} - TABLE[route].roles):
        status = ask(world.request(route, body={}), token_of(who, moment)).status
        assert status in (401, 403, 422), who

    assert everything() == before
