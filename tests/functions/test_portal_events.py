"""The `portal_events` function on its events: within its policies, and a bad job comes back alone."""

import pytest

from tests.apps import Context, load_app, load_event

pytestmark = pytest.mark.usefixtures("aws")


def test_a_job_of_a_kind_that_nobody_knows_comes_back_by_its_id() -> None:
    event = load_event("portal_events_poison")

    answered = load_app("portal_events").handler(event, Context())

    assert answered == {"batchItemFailures": [{"itemIdentifier": event["Records"][0]["messageId"]}]}
