"""Every route with an id in its path, asked with another school's (invariant 7): 404, and nothing has changed.

The id exists, and so does what it names; only not for whoever asks.
"""

import re

import pytest

from recado import clock
from tests.gateway import ask
from tests.route_table import OTHER, TABLE, World, build_world, everything, token_of, without_key_uses
from tests.worlds import SCHOOL, TestClock

WITH_AN_ID = [route for route in TABLE if "{" in route]
ASKED = [route for route in WITH_AN_ID if not TABLE[route].no_other_school]


@pytest.fixture
def moment(aws: None, monkeypatch: pytest.MonkeyPatch) -> TestClock:
    found = TestClock()
    monkeypatch.setattr(clock, "now", found)
    return found


@pytest.fixture
def world(moment: TestClock) -> World:
    return build_world(moment)


def test_a_route_without_an_id_has_nothing_of_another_schools_to_name() -> None:
    assert [route for route, row in TABLE.items() if row.no_other_school and "{" not in route] == []


@pytest.mark.parametrize("route", ASKED)
def test_what_belongs_to_another_school_is_not_found_and_stays_as_it_is(
    route: str, world: World, moment: TestClock
) -> None:
    before = without_key_uses(everything())
    ids = dict(world.request(route).parameters)
    if "operator" in TABLE[route].roles:  # the operator names the school too: its key at the other school
        ids["school_id"] = OTHER

    for who in sorted(TABLE[route].roles):
        answer = ask(world.request(route, parameters=ids), token_of(who, moment, OTHER))

        assert (answer.status, answer.code) == (404, "not_found"), who
        assert not re.search(rf"{SCHOOL}|Aromos|Rosa", str(answer.body))
    assert without_key_uses(everything()) == before


@pytest.mark.parametrize("route", ASKED)
def test_what_was_not_found_is_there_for_its_own_school(route: str, world: World, moment: TestClock) -> None:
    """Or the test above would be right by asking for nothing."""
    who = min(TABLE[route].roles)

    assert ask(world.request(route), token_of(who, moment)).status != 404
