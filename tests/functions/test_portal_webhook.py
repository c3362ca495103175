"""/portal-webhook as a director's portal uses it, and as a teacher's does not."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from recado import clock, events, portal_events
from recado.carriers.portal_calls import Call, Heard
from recado.events import NewEvent
from recado.rules import signatures
from recado.rules.event_types import EventType
from recado.rules.webhook_deliveries import delivery_id
from tests.apps import call, load_event
from tests.conftest import all_tables, jobs_on
from tests.tokens import MASTER
from tests.worlds import TestClock

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SCHOOL = "liceo-1"
ROUTES = [
    "portal_webhook_seen",
    "portal_webhook_made",
    "portal_webhook_deleted",
    "portal_webhook_secret_rotated",
    "portal_webhook_tested",
    "portal_webhook_enabled",
    "portal_webhook_replayed",
    "portal_webhook_deliveries",
    "portal_webhook_delivery",
    "portal_webhook_delivery_replayed",
]
TEACHERS, WRONG = "portal_webhook_refused_to_a_teacher", "portal_webhook_with_wrong_fields"
WITHOUT_A_WEBHOOK = [name for name in ROUTES if name not in ("portal_webhook_made", "portal_webhook_deliveries")]


@pytest.fixture(autouse=True)
def moment(aws: None, monkeypatch: pytest.MonkeyPatch) -> TestClock:
    found = TestClock(NOW)
    monkeypatch.setattr(clock, "now", found)
    return found


def ask(name: str, **body: Any) -> tuple[int, Any]:
    event = load_event(f"portal_webhook_{name}")
    if body:
        event["body"] = json.dumps(json.loads(event["body"]) | body)
    return call("portal_webhook", event)


def happen(*causes: str) -> None:
    for cause in causes:
        events.raise_event(SCHOOL, NewEvent(EventType.MESSAGE_SENT, cause, NOW, {"message": cause}))


def deliver(status: int = 204) -> list[Call]:
    """What the worker does with the job that waits."""
    calls: list[Call] = []

    def post(one: Call) -> Heard:
        calls.append(one)
        return Heard(status, "" if status == 204 else "status", took_ms=40)

    worker = portal_events.Worker("w1", clock.now, lambda: timedelta(seconds=55), lambda: 0.0, post)
    portal_events.work(SCHOOL, worker)
    return calls


def test_a_webhook_is_made_and_its_secret_shown_this_once() -> None:
    status, made = ask("made")

    secret = signatures.portal_webhook_secret(MASTER, SCHOOL, 1)
    assert status == 201
    assert made == {
        "url": "https://portal.escuela.cl/recado",
        "events": ["message.sent", "balance.low"],
        "state": "enabled",
        "state_since": "2026-11-23T12:00:00Z",
        "because": None,
        "created_at": "2026-11-23T12:00:00Z",
        "changed_at": "2026-11-23T12:00:00Z",
        "changed_by": "u-17",
        "secrets": [{"number": 1, "made_at": "2026-11-23T12:00:00Z", "signs_until": None}],
        "event": 0,
        "failing_since": None,
        "paused_until": None,
        "secret": secret,
    }
    counts = {"pending": 0, "retrying": 0, "delivered": 0, "failed": 0, "not_taken_up": 0}
    seen = {name: value for name, value in made.items() if name != "secret"} | {"deliveries": counts}
    assert ask("seen") == (200, seen)
    assert secret not in str(all_tables())


def test_whoever_lost_the_answer_gets_the_same_secret_by_the_same_key_and_nobody_else() -> None:
    _, first = ask("made")
    status, again = ask("made")
    other = load_event("portal_webhook_made")
    other["headers"].pop("Idempotency-Key")
    other["multiValueHeaders"].pop("Idempotency-Key")

    assert (status, again["secret"]) == (201, first["secret"])
    assert call("portal_webhook", other) == (200, first | {"secret": None})


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://portal.escuela.cl/", "not_https"),
        ("https://169.254.169.254/", "ip_address"),
        ("https://localhost/", "not_public"),
        ("http://127.0.0.1:4590/", "not_https"),
        ("", "length"),
    ],
)
def test_an_address_that_cannot_be_called_is_refused_at_its_field(url: str, code: str) -> None:
    status, problem = ask("made", url=url)

    assert (status, problem["code"]) == (422, "invalid_request")
    assert [(one["field"], one["code"]) for one in problem["errors"]] == [("/url", code)]


def test_an_address_with_wrong_fields_writes_nothing() -> None:
    status, _ = call("portal_webhook", load_event(WRONG))

    assert status == 422
    assert ask("seen")[0] == 404


def test_a_change_keeps_the_secret() -> None:
    _, made = ask("made")
    event = load_event("portal_webhook_made")
    event["body"] = json.dumps({"url": "https://portal.escuela.cl/otro", "events": None})
    event["headers"]["Idempotency-Key"] = "another"

    status, changed = call("portal_webhook", event)

    assert (status, changed["secret"], changed["events"]) == (200, None, None)
    assert (changed["url"], changed["secrets"]) == ("https://portal.escuela.cl/otro", made["secrets"])


def test_a_secret_is_rotated_once_per_request_and_both_sign_for_a_while(moment: TestClock) -> None:
    _, made = ask("made")

    status, rotated = ask("secret_rotated")
    again = ask("secret_rotated")

    assert status == 201
    assert again == (201, rotated)
    assert rotated["secret"] not in (None, made["secret"])
    assert rotated["secrets"] == [
        {"number": 1, "made_at": "2026-11-23T12:00:00Z", "signs_until": "2026-11-23T13:00:00Z"},
        {"number": 2, "made_at": "2026-11-23T12:00:00Z", "signs_until": None},
    ]
    moment.move(hours=1)
    assert [one["number"] for one in ask("seen")[1]["secrets"]] == [2]


def test_a_secret_that_is_known_to_others_ends_at_once() -> None:
    ask("made")

    _, rotated = ask("secret_rotated", overlap_seconds=0)

    assert [one["number"] for one in rotated["secrets"]] == [2]


def test_too_many_secrets_at_once_are_refused() -> None:
    ask("made")
    event = load_event("portal_webhook_secret_rotated")
    answers = []
    for number in range(4):
        event["headers"]["Idempotency-Key"] = f"r-{number}"
        answers.append(call("portal_webhook", event))

    assert [status for status, _ in answers] == [201, 201, 409, 409]
    assert answers[-1][1]["code"] == "wrong_state"


@pytest.mark.parametrize("overlap", [-1, 7 * 86_400 + 1, "60"])
def test_an_overlap_has_bounds(overlap: Any) -> None:
    ask("made")

    assert ask("secret_rotated", overlap_seconds=overlap)[0] == 422


def test_a_test_is_on_its_way_at_once_and_once_per_key() -> None:
    ask("made")
    jobs_on("PortalEventsQueue")

    status, sent = ask("tested")
    assert (status, sent["type"], sent["state"], sent["number"]) == (202, "webhook.test", "pending", 1)
    assert ask("tested") == (202, sent)
    assert json.loads(jobs_on("PortalEventsQueue")[0]) == {"kind": "events", "school": SCHOOL}
    (one,) = deliver()
    assert one.delivery_id == sent["id"]


def test_the_log_says_what_was_tried_and_never_what_was_answered() -> None:
    ask("made")
    happen("m1", "m2")
    deliver()

    status, page = ask("deliveries")
    one = ask("delivery")

    assert status == 200
    assert [(found["number"], found["state"]) for found in page["deliveries"]] == [(2, "delivered"), (1, "delivered")]
    assert page["next"] is None
    attempt = {
        "at": "2026-11-23T12:00:00Z",
        "status": 204,
        "reason": "",
        "meaning": "El portal lo recibió.",
        "took_ms": 40,
        "size": 0,
    }
    assert one == (
        200,
        {
            "id": delivery_id(SCHOOL, 1),
            "number": 1,
            "type": "message.sent",
            "state": "delivered",
            "created_at": "2026-11-23T12:00:00Z",
            "begun_at": "2026-11-23T12:00:00Z",
            "begun": 1,
            "tries": 0,
            "next_at": None,
            "done_at": "2026-11-23T12:00:00Z",
            "last_attempt": attempt,
            "attempts": [attempt],
        },
    )


def test_the_log_is_read_page_by_page_and_by_state() -> None:
    ask("made")
    happen(*(f"m{number}" for number in range(7)))
    deliver()
    event = load_event("portal_webhook_deliveries")

    numbers: list[int] = []
    query = {"limit": "3", "state": "delivered"}
    while True:
        multi = {name: [value] for name, value in query.items()}
        status, page = call(
            "portal_webhook", event | {"queryStringParameters": query, "multiValueQueryStringParameters": multi}
        )
        assert status == 200
        numbers += [one["number"] for one in page["deliveries"]]
        if page["next"] is None:
            break
        query["after"] = page["next"]

    assert numbers == [7, 6, 5, 4, 3, 2, 1]
    query = {"state": "failed"}
    multi = {"state": ["failed"]}
    assert call(
        "portal_webhook", event | {"queryStringParameters": query, "multiValueQueryStringParameters": multi}
    ) == (200, {"deliveries": [], "next": None})


def asked_with(name: str, **query: str) -> tuple[int, Any]:
    event = load_event(f"portal_webhook_{name}")
    multi = {name: [value] for name, value in query.items()}
    return call("portal_webhook", event | {"queryStringParameters": query, "multiValueQueryStringParameters": multi})


def test_the_log_is_read_by_type_and_says_in_plain_words_why_something_was_not_taken() -> None:
    ask("made")
    happen("m1", "m2")
    ask("tested")
    deliver(500)

    _, tests = asked_with("deliveries", type="webhook.test")
    _, others = asked_with("deliveries", type="message.sent", state="pending", lang="en")
    status, _ = asked_with("deliveries", type="message.sen")

    assert [one["type"] for one in tests["deliveries"]] == ["webhook.test"]
    assert [one["number"] for one in others["deliveries"]] == [2, 1]
    assert [one["last_attempt"]["meaning"] for one in tests["deliveries"] + others["deliveries"]] == [
        "El portal contestó 500, y no 2xx: mire sus registros de esa hora.",
        "The portal answered 500, not 2xx: look at its log of that moment.",
        "The portal answered 500, not 2xx: look at its log of that moment.",
    ]
    assert status == 422


def test_the_webhook_says_how_many_wait_and_how_many_were_given_up() -> None:
    ask("made")
    happen("m1", "m2")
    deliver()
    happen("m3")
    deliver(500)

    counts = ask("seen")[1]["deliveries"]

    assert counts == {"pending": 1, "retrying": 1, "delivered": 2, "failed": 0, "not_taken_up": 0}


def test_the_eleventh_test_of_a_minute_is_refused() -> None:
    ask("made")
    event = load_event("portal_webhook_tested")

    answers = []
    for number in range(11):
        headers = event["headers"] | {"Idempotency-Key": f"test-{number}"}
        multi = event["multiValueHeaders"] | {"Idempotency-Key": [f"test-{number}"]}
        answers.append(call("portal_webhook", event | {"headers": headers, "multiValueHeaders": multi}))

    assert [status for status, _ in answers] == [202] * 10 + [429]
    assert answers[-1][1]["code"] == "too_many_requests"


def test_one_is_replayed_unless_it_is_being_delivered() -> None:
    ask("made")
    happen("m1")
    deliver(500)
    assert ask("delivery")[1]["last_attempt"]["reason"] == "status"

    status, one = ask("delivery_replayed")
    assert (status, one["begun"], one["tries"]) == (202, 2, 0), "it waited for its next attempt"
    event = load_event("portal_webhook_delivery_replayed")
    headers = {name: value for name, value in event["headers"].items() if name != "Idempotency-Key"}
    multi = {name: value for name, value in event["multiValueHeaders"].items() if name != "Idempotency-Key"}
    status, refused = call("portal_webhook", event | {"headers": headers, "multiValueHeaders": multi})
    assert (status, refused["code"]) == (409, "wrong_state"), "now it is due"


def test_what_was_delivered_is_replayed() -> None:
    ask("made")
    happen("m1")
    (first,) = deliver()

    status, one = ask("delivery_replayed")
    (second,) = deliver()

    assert (status, one["state"], one["begun"]) == (202, "pending", 2)
    assert (first.delivery_id, first.body) == (second.delivery_id, second.body)


def test_many_are_replayed_and_the_answer_says_how_many() -> None:
    happen("m1", "m2")
    ask("made")

    assert ask("replayed") == (202, {"begun": 2, "pending": 0, "next": None})
    assert ask("replayed") == (202, {"begun": 2, "pending": 0, "next": None}), "the same key, the same answer"
    assert len(deliver()) == 2


@pytest.mark.parametrize("body", [{"from": None}, {"since": "2026-11-23T12:00:00Z"}, {"from": 0}, {"events": []}])
def test_a_replay_says_from_where_in_one_way(body: dict[str, Any]) -> None:
    ask("made")

    assert ask("replayed", **body)[0] == 422


def test_a_webhook_that_is_off_takes_neither_tests_nor_replays_until_it_is_on() -> None:
    ask("made")
    happen("m1")
    deliver(410)

    seen = ask("seen")[1]
    assert (seen["state"], seen["because"]) == ("disabled", "gone")
    assert {ask(name)[1]["code"] for name in ("tested", "replayed", "delivery_replayed")} == {"wrong_state"}

    status, enabled = ask("enabled")
    assert (status, enabled["state"], enabled["because"]) == (200, "enabled", None)
    assert ask("enabled") == (200, enabled)


def test_a_deleted_webhook_is_gone() -> None:
    ask("made")

    assert ask("deleted")[0] == 204
    assert ask("seen")[0] == 404
    assert ask("deleted")[0] == 404


@pytest.mark.parametrize("name", WITHOUT_A_WEBHOOK)
def test_without_a_webhook_there_is_nothing(name: str) -> None:
    assert call("portal_webhook", load_event(name))[0] == 404


@pytest.mark.parametrize("name", ROUTES)
@pytest.mark.parametrize("role", ["teacher", "staff", "guardian", "student"])
def test_only_those_in_charge_see_to_it(name: str, role: str) -> None:
    ask("made")
    event = load_event(name)
    event["requestContext"]["authorizer"] |= {"role": role, "person": "p1"}
    event["headers"]["Idempotency-Key"] = "their-own"

    assert call("portal_webhook", event)[0] == 403


def test_a_teacher_is_told_so() -> None:
    status, problem = call("portal_webhook", load_event(TEACHERS))

    assert (status, problem["code"]) == (403, "not_allowed")


def test_a_sandbox_has_a_webhook_of_its_own() -> None:
    _, made = ask("made")
    event = load_event("portal_webhook_made")
    event["requestContext"]["authorizer"]["school"] = f"{SCHOOL}~test"

    status, own = call("portal_webhook", event)

    assert status == 201
    assert own["secret"] != made["secret"]
    assert ask("deleted")[0] == 204
    event["httpMethod"], event["body"] = "GET", None
    assert call("portal_webhook", event)[0] == 200, "it is not the school's"
