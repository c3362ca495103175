"""A school's webhook as those in charge set it, meeting somebody else who does so at the same moment."""

import base64
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from pynamodb.exceptions import TransactWriteError

from recado import access, events, portal_deliveries, portal_events, portal_webhooks
from recado.carriers.portal_calls import Call, Heard
from recado.errors import NotFound
from recado.events import NewEvent
from recado.rules import signatures
from recado.rules.event_types import EventType
from recado.rules.webhook_deliveries import DisabledBecause, WebhookState, delivery_id
from recado.settings import SETTINGS
from recado.tables import events as event_table
from recado.tables import portal_webhooks as table
from tests.conftest import all_tables, client
from tests.faults import Fault, faults, meanwhile
from tests.tokens import MASTER
from tests.worlds import DIRECTOR, NOON, SCHOOL

URL = "https://portal.escuela.cl/recado"
SECOND_MASTER = b"another-master-secret-of-32-byte"
WRITE = "TransactWriteItems"

pytestmark = pytest.mark.usefixtures("aws")


def save(url: str = URL, key: str | None = "k1") -> portal_webhooks.Saved:
    return portal_webhooks.save_webhook(DIRECTOR, url, None, request_key=key, now=NOON)


def rotate(key: str | None = "r1", overlap: timedelta = timedelta(hours=1)) -> portal_webhooks.Saved:
    return portal_webhooks.rotate_secret(DIRECTOR, overlap, request_key=key, now=NOON)


def happen(cause: str) -> None:
    events.raise_event(SCHOOL, NewEvent(EventType.MESSAGE_SENT, cause, NOON, {"message": cause}))


def work(post: Callable[[Call], Heard] = lambda _: Heard(204), owner: str = "w1") -> int:
    worker = portal_events.Worker(owner, lambda: NOON, lambda: timedelta(seconds=55), lambda: 0.0, post)
    return portal_events.work(SCHOOL, worker)


def webhook() -> table.Webhook:
    return portal_webhooks.get_webhook(DIRECTOR)


@pytest.mark.parametrize("kinds", [("lost",), ("applied",), ("lost", "applied"), ("applied", "lost")])
@pytest.mark.parametrize("act", [save, rotate], ids=["made", "rotated"])
def test_a_lost_answer_makes_no_second_secret(
    act: Callable[[], portal_webhooks.Saved], kinds: tuple[Fault, ...]
) -> None:
    if act is rotate:
        save()

    with faults(WRITE, *kinds):
        saved = act()

    number = 2 if act is rotate else 1
    assert saved.secret == signatures.portal_webhook_secret(MASTER, SCHOOL, number)
    assert [one.number for one in webhook().secrets] == list(range(1, number + 1))


def test_a_secret_is_shown_again_to_its_own_request_for_a_day_and_never_after() -> None:
    save()
    day = timedelta(hours=24)

    def save_again(now: datetime) -> str | None:
        return portal_webhooks.save_webhook(DIRECTOR, URL, None, request_key="k1", now=now).secret

    def rotate_again(now: datetime) -> str | None:
        return portal_webhooks.rotate_secret(DIRECTOR, timedelta(), request_key="r1", now=now).secret

    assert save_again(NOON + day - timedelta(seconds=1)) is not None
    assert save_again(NOON + day) is None
    first = rotate_again(NOON + day)
    assert rotate_again(NOON + 2 * day - timedelta(seconds=1)) == first
    assert rotate_again(NOON + 2 * day) != first, "a key of the day before is another request"
    assert save_again(NOON + 2 * day) is None


def test_what_never_arrived_is_made_by_whoever_asks_again() -> None:
    with faults(WRITE, "lost", "lost", "lost"), pytest.raises(TransactWriteError):
        save()
    with pytest.raises(NotFound):
        webhook()

    assert save().secret is not None


def test_two_who_make_it_at_once_make_one() -> None:
    with meanwhile(WRITE, lambda: save(f"{URL}/theirs", "k2")):
        ours = save()

    assert ours.secret is None, "theirs was made, ours changed it"
    assert (webhook().url, webhook().epoch) == (URL, 1)


def test_an_event_while_it_is_made_is_before_it_or_told() -> None:
    with meanwhile(WRITE, lambda: happen("m1")):
        save()

    assert webhook().cursor == 1
    assert work() == 0
    happen("m2")
    assert work() == 1


def test_a_webhook_that_is_made_while_an_event_is_written_hears_of_it_or_was_made_after() -> None:
    with meanwhile(WRITE, save):
        happen("m1")

    assert webhook().cursor == 0
    assert event_table.get_counter(SCHOOL).is_marked
    assert work() == 1


def test_a_change_while_another_rotates_loses_neither() -> None:
    save()

    with meanwhile(WRITE, rotate):
        save(f"{URL}/2", None)

    assert webhook().url == f"{URL}/2"
    assert [one.number for one in webhook().secrets] == [1, 2]


def test_a_deletion_while_the_worker_calls_leaves_nothing_to_call() -> None:
    save()
    happen("m1")
    happen("m2")
    calls: list[Call] = []

    def post(call: Call) -> Heard:
        calls.append(call)
        if len(calls) == 1:
            portal_webhooks.delete_webhook(DIRECTOR, NOON)
        return Heard(500, "status")

    work(post)
    work(post, "w2")

    assert len(calls) <= 2, "those of the round that was under way"
    with pytest.raises(NotFound):
        webhook()
    found = table.find_webhook(SCHOOL)
    assert found is not None
    assert (found.state, found.owner) == (WebhookState.DELETED, None)


def test_a_replay_while_the_worker_lets_go_is_not_forgotten() -> None:
    save()
    happen("m1")
    work()
    happen("m2")

    def replay() -> None:
        portal_deliveries.replay_delivery(DIRECTOR, delivery_id(SCHOOL, 1), request_key=None, now=NOON)

    real = event_table.end_attention
    left = [replay]

    def end_then_lose(school_id: str, taken_up: int) -> bool:
        found = real(school_id, taken_up)
        if left:  # after the order was read, before the lease is given back
            left.pop()()
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_table, "end_attention", end_then_lose)
        work()

    assert portal_events.take_up_due(NOON) == 1
    assert work(owner="w2") == 1


def test_a_secret_holds_under_the_master_it_was_made_under_while_there_are_two() -> None:
    first = save().secret
    path = f"{SETTINGS.master_secret_path}/2"
    client("ssm").put_parameter(Name=path, Value=base64.b64encode(SECOND_MASTER).decode(), Type="SecureString")
    access.forget()

    second = rotate().secret

    assert second == signatures.portal_webhook_secret(SECOND_MASTER, SCHOOL, 2)
    calls: list[Call] = []

    def post(call: Call) -> Heard:
        calls.append(call)
        return Heard(204)

    happen("m1")
    work(post)
    assert list(calls[0].secrets) == [second, first]


def test_a_webhook_whose_master_secret_is_gone_is_switched_off_until_it_has_a_new_one() -> None:
    save()
    path = SETTINGS.master_secret_path
    client("ssm").put_parameter(Name=f"{path}/2", Value=base64.b64encode(SECOND_MASTER).decode(), Type="SecureString")
    client("ssm").delete_parameter(Name=f"{path}/1")
    access.forget()
    happen("m1")

    assert work() == 0
    assert webhook().because is DisabledBecause.SECRET_GONE

    rotate()
    portal_webhooks.enable_webhook(DIRECTOR, NOON)
    assert work() == 2  # what happened, and that it was off


def test_no_secret_is_in_any_row() -> None:
    secrets = [save().secret, rotate().secret]
    rows = str(all_tables())

    for secret in secrets:
        assert secret is not None
        assert secret.removeprefix("whsec_") not in rows


def test_changing_nothing_writes_nothing() -> None:
    save()
    before = all_tables()

    save(key=None)

    assert all_tables() == before
