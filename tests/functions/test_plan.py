"""The `plan` function on its events: within its policies, and a bad job comes back alone."""

from dataclasses import replace

import pytest

from recado import background_plans, clock, estimates, ids, page_jobs, planning, records, scheduling
from recado.rules.message_states import MessageState
from recado.settings import SETTINGS
from recado.tables import pages, plannings
from tests.apps import Context, load_app, load_event
from tests.conftest import jobs_on
from tests.worlds import (
    DIRECTOR,
    SCHOOL,
    FakeCarrier,
    TestClock,
    add_guardians,
    alert,
    create,
    create_school,
    figures,
    work_all,
)

PLAN = "plan1"  # of the events


class LongContext(Context):
    def get_remaining_time_in_millis(self) -> int:
        return 300_000


@pytest.fixture(autouse=True)
def moment(aws: None, monkeypatch: pytest.MonkeyPatch) -> TestClock:
    found = TestClock()
    monkeypatch.setattr(clock, "now", found)
    small = replace(SETTINGS, audience_max=3)
    monkeypatch.setattr(planning, "SETTINGS", small)
    for module in (background_plans, scheduling):
        monkeypatch.setattr(module, "SETTINGS", small)
    monkeypatch.setattr(pages, "PAGE_SIZE", 2)
    create_school(domestic=10)
    add_guardians(5)
    return found


def plan(body: str, context: Context | None = None) -> dict[str, object]:
    event = load_event("plan_audience")
    event["Records"][0]["body"] = body
    answered: dict[str, object] = load_app("plan").handler(event, context or LongContext())
    return answered


def test_a_large_audience_is_planned_and_goes_out(moment: TestClock) -> None:
    message = create(alert(), moment)
    (body,) = jobs_on("PlansQueue")

    answered = plan(body)

    assert answered == {"batchItemFailures": []}
    assert records.get_message(SCHOOL, message.id).state is MessageState.SENDING
    assert figures() == (5, 5, 0)
    assert len(jobs_on("BulkQueue")) == 3


def test_a_personal_text_is_planned_with_everybodys_own_values(moment: TestClock) -> None:
    message = create(alert(text="{apoderado}: mañana no hay clases, {alumno} de {curso}."), moment)
    (body,) = jobs_on("PlansQueue")

    assert plan(body) == {"batchItemFailures": []}
    carrier = FakeCarrier()
    work_all(carrier, moment)

    assert records.get_message(SCHOOL, message.id).state is MessageState.SENT
    assert carrier.heard[0].text.startswith("Rosa Muñoz 0: mañana")


def test_a_worker_with_little_time_leaves_the_rest_to_a_fresh_job(
    moment: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "CHUNK", 2)
    message = create(alert(), moment)
    (body,) = jobs_on("PlansQueue")

    class Hurried(LongContext):
        def get_remaining_time_in_millis(self) -> int:
            return 19_000

    rounds = 0
    while records.get_message(SCHOOL, message.id).state is MessageState.PLANNING:
        assert plan(body, Hurried()) == {"batchItemFailures": []}
        (body,) = jobs_on("PlansQueue") or [""]
        rounds += 1

    assert rounds == 4  # two, two, one; and nobody is left
    assert figures() == (5, 5, 0)


def test_a_refusal_is_kept_with_the_draft(moment: TestClock) -> None:
    message = create(alert(text="x" * 400), moment)
    (body,) = jobs_on("PlansQueue")

    assert plan(body) == {"batchItemFailures": []}
    refused = records.get_message(SCHOOL, message.id)
    assert refused.state is MessageState.DRAFT
    assert refused.refusal is not None
    assert refused.refusal["code"] == "not_enough_credits"


def test_a_worker_that_finds_another_at_it_comes_back_later(moment: TestClock) -> None:
    message = create(alert(), moment)
    (body,) = jobs_on("PlansQueue")
    found = plannings.find_planning(SCHOOL, message.id)
    assert found is not None
    plannings.take_planning(found, "other", moment().replace(minute=1))

    assert plan(body) == {"batchItemFailures": []}
    assert records.get_message(SCHOOL, message.id).state is MessageState.PLANNING


def test_an_estimate_is_made(moment: TestClock) -> None:
    begun = estimates.estimate(DIRECTOR, alert(send=False), moment(), state=None, limit=10, cursor=0)
    (body,) = jobs_on("PlansQueue")

    assert plan(body) == {"batchItemFailures": []}
    made = estimates.estimate_of(DIRECTOR, begun.message.id, moment(), state=None, limit=10, cursor=0)
    assert made.totals is not None
    assert made.totals.people == 5


def test_many_jobs_are_put(moment: TestClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_jobs, "JOBS_AT_ONCE_MAX", 2)
    message = create(alert(), moment)
    (body,) = jobs_on("PlansQueue")
    plan(body)
    (enqueue,) = jobs_on("PlansQueue")
    event = load_event("plan_jobs")
    event["Records"][0]["body"] = enqueue

    answered = load_app("plan").handler(event, LongContext())

    assert answered == {"batchItemFailures": []}
    assert len(jobs_on("BulkQueue")) == records.get_message(SCHOOL, message.id).pages == 3


@pytest.mark.parametrize("name", ["plan_audience", "plan_jobs"])
def test_a_job_of_a_message_that_is_not_there_is_dropped(name: str) -> None:
    assert load_app("plan").handler(load_event(name), LongContext()) == {"batchItemFailures": []}
    assert jobs_on("BulkQueue") == []


def test_a_poisonous_job_comes_back_alone(moment: TestClock, monkeypatch: pytest.MonkeyPatch) -> None:
    message = create(alert(), moment)
    event = load_event("plan_audience")
    (event["Records"][0]["body"],) = jobs_on("PlansQueue")
    event["Records"].insert(0, load_event("plan_poison")["Records"][0] | {"messageId": "poison"})
    monkeypatch.setattr(ids, "new_id", lambda _=16: PLAN)

    answered = load_app("plan").handler(event, LongContext())

    assert answered == {"batchItemFailures": [{"itemIdentifier": "poison"}]}
    assert records.get_message(SCHOOL, message.id).state is MessageState.SENDING


@pytest.mark.parametrize("body", ["", "[]", "null", "{}", '{"kind": "plan"}', '{"kind": "plan", "school": "x"}'])
def test_a_job_that_is_none_comes_back_and_writes_nothing(body: str) -> None:
    failed = load_event("plan_audience")["Records"][0]["messageId"]

    assert plan(body) == {"batchItemFailures": [{"itemIdentifier": failed}]}
