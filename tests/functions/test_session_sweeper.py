"""The `session_sweeper` function on its minute."""

import pytest

from recado import clock
from tests.apps import Context, load_app, load_event
from tests.session_worlds import ANA, create_codes, open_session, rows_of
from tests.worlds import TestClock


class LittleTime(Context):
    """A run that has almost used its time."""

    def get_remaining_time_in_millis(self) -> int:
        return 9_000


@pytest.fixture
def moment(aws: None, monkeypatch: pytest.MonkeyPatch) -> TestClock:
    moment = TestClock()
    monkeypatch.setattr(clock, "now", moment)
    create_codes()
    return moment


def test_each_minute_what_is_over_is_cleared_and_what_is_not_stays(moment: TestClock) -> None:
    over = open_session(moment, name="1")
    moment.move(minutes=3)
    alive = open_session(moment, name="2")
    moment.move(minutes=2)

    answered = load_app("session_sweeper").handler(load_event("session_sweeper_minute"), Context())

    assert answered is None
    assert list(rows_of(over)) == ["session"]
    assert ANA in str(rows_of(alive))


def test_without_time_nothing_is_begun(moment: TestClock) -> None:
    over = open_session(moment)
    moment.move(minutes=6)

    load_app("session_sweeper").handler(load_event("session_sweeper_minute"), LittleTime())

    assert "handsets" in rows_of(over)
