"""The `dispatch` and `attention` functions on their events."""

from collections.abc import Callable

import pytest

from recado import clock, lines, records
from recado.carriers.speech import Line
from recado.rules.message_states import MessageState
from tests.apps import Context, load_app, load_event
from tests.conftest import jobs_on
from tests.worlds import SCHOOL, FakeCarrier, TestClock, add_guardians, alert, create, create_school, figures


class LongContext(Context):
    def get_remaining_time_in_millis(self) -> int:
        return 90_000


@pytest.fixture(autouse=True)
def moment(aws: None, monkeypatch: pytest.MonkeyPatch) -> TestClock:
    found = TestClock()
    monkeypatch.setattr(clock, "now", found)
    create_school(domestic=10)
    add_guardians(2)
    return found


@pytest.fixture
def carrier(monkeypatch: pytest.MonkeyPatch) -> FakeCarrier:
    found = FakeCarrier()

    def line(_name: str) -> Line:
        return found.line()

    monkeypatch.setattr(lines, "_carriers_line", line)
    return found


def test_a_page_job_is_worked(moment: TestClock, carrier: FakeCarrier) -> None:
    message = create(alert(), moment)
    event = load_event("dispatch_page")
    event["Records"][0]["body"] = jobs_on("BulkQueue")[0]

    answered = load_app("dispatch").handler(event, LongContext())

    assert answered == {"batchItemFailures": []}
    assert len(carrier.heard) == 2
    assert records.get_message(SCHOOL, message.id).state is MessageState.SENT


def test_a_job_for_a_page_that_is_not_there_is_dropped(carrier: FakeCarrier) -> None:
    assert load_app("dispatch").handler(load_event("dispatch_page"), LongContext()) == {"batchItemFailures": []}
    assert carrier.heard == []


def test_a_session_page_whose_session_is_gone_is_dropped(carrier: FakeCarrier) -> None:
    answered = load_app("dispatch").handler(load_event("dispatch_session_page"), LongContext())

    assert answered == {"batchItemFailures": []}
    assert carrier.heard == []


def test_a_poisonous_job_comes_back_alone(moment: TestClock, carrier: FakeCarrier) -> None:
    create(alert(), moment)
    event = load_event("dispatch_page")
    event["Records"][0]["body"] = jobs_on("BulkQueue")[0]
    poison = load_event("dispatch_poison")["Records"][0] | {"messageId": "poison"}
    event["Records"].insert(0, poison)

    answered = load_app("dispatch").handler(event, LongContext())

    assert answered == {"batchItemFailures": [{"itemIdentifier": "poison"}]}
    assert len(carrier.heard) == 2


def test_the_configured_carrier_is_built_from_settings_and_the_master_secret() -> None:
    line = lines._carriers_line("signed_webhook")

    assert line is not None
    assert (line.name, line.echoes_reference, line.dedupe_hours) == ("signed_webhook", True, 0)


def test_each_minute_what_is_owed_moves_on(moment: TestClock, carrier: FakeCarrier) -> None:
    create(alert(), moment)
    jobs_on("BulkQueue")  # lost with their worker

    moment.move(minutes=2)
    load_app("attention").handler(load_event("attention_minute"), Context())
    event = load_event("dispatch_page")
    event["Records"][0]["body"] = jobs_on("BulkQueue")[0]
    load_app("dispatch").handler(event, LongContext())

    assert figures() == (8, 0, 2)


@pytest.mark.parametrize("failing", ["attention.run", "imports.take_up", "portal_events.take_up_due"])
def test_what_fails_each_minute_keeps_nobody_elses_step_waiting(
    moment: TestClock, carrier: FakeCarrier, failing: str
) -> None:
    done = list[str]()
    app = load_app("attention")
    steps = ["attention.run", "imports.take_up", "portal_events.take_up_due", "school_replies.take_up"]

    def step(name: str) -> Callable[..., int]:
        def act(*_: object) -> int:
            if name == failing:
                raise ConnectionError(name)
            done.append(name)
            return 0

        return act

    with pytest.MonkeyPatch.context() as patch:
        for name in steps:
            module, _, function = name.partition(".")
            patch.setattr(getattr(app, module), function, step(name))
        with pytest.raises(ConnectionError):  # the run has failed, and says so
            app.handler(load_event("attention_minute"), Context())

    assert done == [name for name in steps if name != failing]
