"""The `session_sweeper` function on its minute, and on the jobs that the minute puts."""

import json
from typing import Any

import pytest

from recado import clock
from recado.tables import sessions as table
from recado.tables.sessions import due_shard
from tests.apps import Context, load_app, load_event
from tests.conftest import jobs_on
from tests.session_worlds import ANA, create_codes, id_of, open_session, rows_of
from tests.worlds import TestClock

SHARD = 7  # of the event


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


def job(shard: int) -> dict[str, Any]:
    event = load_event("session_sweeper_shard")
    event["Records"][0]["body"] = json.dumps({"shard": shard})
    return event


def test_each_minute_a_job_is_put_for_what_is_over_and_for_nothing_else(moment: TestClock) -> None:
    over = open_session(moment, name="1")
    moment.move(minutes=3)
    table.end_saying(open_session(moment, name="2"), 1)
    moment.move(minutes=2)
    sweeper = load_app("session_sweeper")
    sweeper.handler(job(due_shard(id_of("2"))), Context())  # looked at, and moved to its end in three minutes

    answered = sweeper.handler(load_event("session_sweeper_minute"), Context())

    assert answered is None
    assert {json.loads(body)["shard"] for body in jobs_on("SweepsQueue")} == {due_shard(over)}


def test_a_job_clears_what_is_over_in_its_shard_and_what_is_not_stays(moment: TestClock) -> None:
    names = [str(number) for number in range(1000) if due_shard(id_of(str(number))) == SHARD]
    over = open_session(moment, name=names[0])
    moment.move(minutes=3)
    alive = open_session(moment, name=names[1])
    moment.move(minutes=2)

    answered = load_app("session_sweeper").handler(load_event("session_sweeper_shard"), Context())

    assert answered == {"batchItemFailures": []}
    assert list(rows_of(over)) == ["session"]
    assert ANA in str(rows_of(alive))


def test_without_time_nothing_is_begun(moment: TestClock) -> None:
    over = open_session(moment)
    moment.move(minutes=6)

    load_app("session_sweeper").handler(job(due_shard(over)), LittleTime())

    assert "handsets" in rows_of(over)


def test_a_job_that_cannot_be_read_is_reported_to_the_queue(moment: TestClock) -> None:
    event = load_event("session_sweeper_poison")

    answered = load_app("session_sweeper").handler(event, Context())

    assert answered == {"batchItemFailures": [{"itemIdentifier": event["Records"][0]["messageId"]}]}
