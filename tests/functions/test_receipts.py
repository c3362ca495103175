"""The `receipts` function: what comes of a batch of receipts, whatever is wrong with some of them."""

import json
import logging
from datetime import timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook

from bench.units import size_of
from recado import aws, clock, receipts
from recado.queues import put_jobs
from recado.rules.credit_bags import Zone
from recado.rules.delivery_states import Receipt
from recado.rules.signatures import webhook_secret
from recado.settings import SETTINGS
from recado.tables import lookups, pages
from recado.tables.base import Transaction
from recado.tables.pages import PageKind, PageRecipient, PageRef
from tests.apps import Context, call, load_app, load_event
from tests.conftest import client, jobs_on
from tests.tokens import MASTER
from tests.worlds import NOON, SCHOOL, TestClock, create_school, hand_over, mobile

REF = PageRef(PageKind.MESSAGE, SCHOOL, "m" + "a" * 25, "plan1", 0)
OTHER = PageRef(PageKind.MESSAGE, SCHOOL, "m" + "b" * 25, "plan1", 0)
SANDBOX = PageRef(PageKind.MESSAGE, f"{SCHOOL}~test", "m" + "c" * 25, "plan1", 0)
CARRIER_ID = "34d9b400-0000-5444-820d-000000000001"


@pytest.fixture(autouse=True)
def moment(aws: None, monkeypatch: pytest.MonkeyPatch) -> TestClock:
    found = TestClock()
    monkeypatch.setattr(clock, "now", found)
    create_school()
    write_page(REF, 2)
    write_page(OTHER, 2)
    write_page(SANDBOX, 2, carrier="simulated")
    return found


def write_page(ref: PageRef, recipients: int, carrier: str = "signed_webhook") -> None:
    found = [PageRecipient(mobile(position), (f"g{position}",), Zone.DOMESTIC, 1) for position in range(recipients)]
    pages.create_pages([(ref, found)], expires_at=2_000_000_000)
    hand_over(ref, carrier)


def found_on(ref: PageRef) -> dict[Receipt, frozenset[int]]:
    page = pages.find_page(ref)
    assert page is not None
    return dict(page.receipts)


def job(reference: str | None, *, carrier: str = "signed_webhook", state: str = "delivered", part: Any = 0) -> Any:
    return {"carrier": carrier, "receipts": [[reference, None, state, part, int(NOON.timestamp())]]}


def batch(*jobs: Any) -> list[int]:
    """Which of the jobs the function gives back to its queue."""
    event = load_event("receipts_batch")
    body = event["Records"][0]
    event["Records"] = [
        body | {"messageId": str(place), "body": one if isinstance(one, str) else json.dumps(one)}
        for place, one in enumerate(jobs)
    ]
    answered = load_app("receipts").handler(event, Context())
    return [int(one["itemIdentifier"]) for one in answered["batchItemFailures"]]


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, int]]:
    """What is put back into the queue, and for how many seconds it is to wait there."""
    found = list[tuple[Any, int]]()

    def put(queue: str, jobs: list[Any], *, delay_seconds: int, **rest: Any) -> int:
        assert queue == SETTINGS.receipts_queue_url
        found.extend((one, delay_seconds) for one in jobs)
        return put_jobs(queue, jobs, delay_seconds=delay_seconds, **rest)

    monkeypatch.setattr(receipts, "put_jobs", put)
    return found


def counted(caplog: pytest.LogCaptureFixture, name: str) -> list[Any]:
    """One figure of each batch's log line."""
    return [record.facts[name] for record in caplog.records if record.message == "receipts_added"]  # type: ignore[attr-defined]


def rows_of(table: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client("dynamodb").scan(TableName=table)["Items"]
    return found


def rows() -> Any:
    return {table: rows_of(table) for table in ("MessagesTable", "LedgerTable", "PeopleTable", "SessionsTable")}


# --- of nothing that is there


@pytest.mark.parametrize(
    ("reference", "carrier"),
    [
        (PageRef(PageKind.MESSAGE, SCHOOL, "gone", "plan1", 0).reference(0), "signed_webhook"),
        (PageRef(PageKind.MESSAGE, SCHOOL, "m" + "a" * 25, "plan2", 0).reference(0), "signed_webhook"),
        (PageRef(PageKind.MESSAGE, SCHOOL, "m" + "a" * 25, "plan1", 1).reference(0), "signed_webhook"),
        (PageRef(PageKind.MESSAGE, "another", "m" + "a" * 25, "plan1", 0).reference(0), "signed_webhook"),
        (PageRef(PageKind.SESSION, "web", "x1", "1", 0).reference(0), "signed_webhook"),
        (REF.reference(2), "signed_webhook"),  # the page has two
        (REF.reference(99), "signed_webhook"),
        ("of.somebody.else", "signed_webhook"),
        (SANDBOX.reference(0), "signed_webhook"),  # no carrier was ever told of it
        (REF.reference(0), "simulated"),  # nor the simulated line of this
    ],
)
def test_a_receipt_of_nothing_of_ours_changes_no_row_and_is_counted(
    reference: str, carrier: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = rows()

    with caplog.at_level(logging.INFO):
        assert batch(job(reference, carrier=carrier)) == []

    assert rows() == before
    assert counted(caplog, "dropped") == [1]
    assert jobs_on("ReceiptsQueue") == []


def test_a_receipt_of_a_page_that_is_deleted_writes_none(caplog: pytest.LogCaptureFixture) -> None:
    pages.delete_page(REF)

    with caplog.at_level(logging.INFO):
        assert batch(job(REF.reference(0)), job(OTHER.reference(0))) == []

    assert pages.find_page(REF) is None
    assert found_on(OTHER) == {Receipt.DELIVERED: {0}}
    assert counted(caplog, "dropped") == [1]


def test_whoever_is_named_and_not_there_keeps_no_other_of_the_page_from_their_receipt(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        assert batch(job(REF.reference(1)), job(REF.reference(7)), job(REF.reference(8), state="blocked")) == []

    assert found_on(REF) == {Receipt.DELIVERED: {16}}
    assert counted(caplog, "dropped") == [2]


def test_a_page_of_before_it_was_kept_who_was_asked_believes_whoever_reports() -> None:
    key = {"pk": {"S": f"S#{SCHOOL}#M#{REF.item}#plan1#0"}, "sk": {"S": "state"}}
    client("dynamodb").update_item(TableName="MessagesTable", Key=key, UpdateExpression="REMOVE asked")

    assert batch(job(REF.reference(1), carrier="twilio")) == []

    assert found_on(REF) == {Receipt.DELIVERED: {16}}


def test_a_simulated_handset_reports_to_its_sandbox() -> None:
    assert batch(job(SANDBOX.reference(0), carrier="simulated")) == []

    assert found_on(SANDBOX) == {Receipt.DELIVERED: {0}}


def test_a_carrier_that_has_not_got_a_text_changes_nothing_and_is_said_once_with_ids_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = rows()
    wrong = [job(REF.reference(index), carrier="twilio", state=state) for index in (0, 1) for state in Receipt]

    with caplog.at_level(logging.INFO):
        assert batch(*wrong, job(OTHER.reference(0), carrier="twilio")) == []

    assert rows() == before
    assert counted(caplog, "of_others") == [9]
    assert counted(caplog, "pages") == [0]
    [line] = [record for record in caplog.records if record.message == "receipts_of_others"]
    told = {"carrier": "twilio", "receipts": 9, "pages": 2, "school": SCHOOL, "item": REF.item, "page": 0}
    assert line.facts == told  # type: ignore[attr-defined]


def test_what_another_carrier_says_keeps_no_receipt_of_its_page_from_its_place() -> None:
    jobs = [job(REF.reference(0), carrier="twilio", state="blocked"), job(REF.reference(0)), job(REF.reference(1))]

    assert batch(*jobs) == []

    assert found_on(REF) == {Receipt.DELIVERED: {0, 16}}


def test_an_own_text_is_reported_by_the_carrier_of_its_code_once_it_was_asked() -> None:
    ref = PageRef(PageKind.ANSWER, SCHOOL, "answer1", str(int(NOON.timestamp()) + 300), 0)
    with Transaction() as write:
        recipient = PageRecipient(mobile(0), (), Zone.DOMESTIC, 1, "30000")
        pages.create_own_text(
            write,
            ref,
            recipient,
            "hola",
            in_name_of=(SCHOOL,),
            carrier="sns",
            expires_at=2_000_000_000,
            refused=RuntimeError(),
        )

    assert batch(job(ref.reference(0), carrier="sns")) == []
    early = found_on(ref)
    hand_over(ref, "sns")
    assert batch(job(ref.reference(0), carrier="twilio", state="blocked"), job(ref.reference(0), carrier="sns")) == []

    assert not early
    assert found_on(ref) == {Receipt.DELIVERED: {0}}


def test_pages_that_cannot_be_read_come_again_and_keep_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    read = pages.list_handed
    monkeypatch.setattr(pages, "HANDED_AT_ONCE", 1)
    monkeypatch.setattr(pages, "list_handed", lambda refs: 1 / 0 if OTHER in refs else read(refs))

    assert batch(job(REF.reference(0)), job(OTHER.reference(0)), job(OTHER.reference(1))) == [1, 2]

    assert found_on(REF) == {Receipt.DELIVERED: {0}}
    assert not found_on(OTHER)


# --- what comes again, and what does not


@pytest.mark.parametrize(
    "bad",
    [
        "no json",
        [],
        {},
        {"carrier": "sns"},
        {"carrier": "sns", "receipts": 7},
        {"carrier": "sns", "receipts": [["r"]]},
        {"carrier": "sns", "receipts": [[None, None, "delivered", 0]]},
        job(REF.reference(0), state="perhaps"),
        job(REF.reference(0), part=16),
        job(REF.reference(0), part="x"),
        {"carrier": "signed_webhook", "receipts": [[REF.reference(0), None, "delivered", 0, "yesterday"]]},
    ],
)
def test_a_job_that_cannot_be_read_comes_again_alone_and_the_others_are_added(bad: Any) -> None:
    assert batch(job(REF.reference(0)), bad, job(OTHER.reference(1))) == [1]

    assert found_on(REF) == {Receipt.DELIVERED: {0}}
    assert found_on(OTHER) == {Receipt.DELIVERED: {16}}


def test_only_the_jobs_of_a_page_that_could_not_be_written_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    add = pages.add_receipts

    def failing(ref: PageRef, *rest: Any) -> bool:
        return bool(1 / 0) if ref == OTHER else add(ref, *rest)

    monkeypatch.setattr(pages, "add_receipts", failing)
    both = {
        "carrier": "signed_webhook",
        "receipts": [*job(REF.reference(1))["receipts"], *job(OTHER.reference(0))["receipts"]],
    }
    jobs = [job(REF.reference(0)), job(OTHER.reference(1)), both]

    assert batch(*jobs) == [1, 2]
    monkeypatch.setattr(pages, "add_receipts", add)
    assert batch(jobs[1], jobs[2]) == []

    assert found_on(REF) == {Receipt.DELIVERED: {0, 16}}
    assert found_on(OTHER) == {Receipt.DELIVERED: {0, 16}}


def test_what_a_worker_has_no_time_left_for_comes_again() -> None:
    left = iter([timedelta(seconds=10), timedelta(seconds=1), timedelta()])

    gathered = receipts.add_receipts([job(REF.reference(0)), job(OTHER.reference(0))], lambda: next(left))

    assert gathered.again == [1]
    assert found_on(REF) == {Receipt.DELIVERED: {0}}
    assert found_on(OTHER) == {}


class Killed(BaseException):
    pass


@pytest.mark.parametrize("dies_at", [0, 1])
def test_a_worker_killed_in_the_middle_of_a_batch_loses_nothing_and_adds_nothing_twice(
    dies_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, written = pages.add_receipts, list[PageRef]()

    def dying(ref: PageRef, *rest: Any) -> bool:
        if len(written) == dies_at:
            raise Killed
        written.append(ref)
        return add(ref, *rest)

    jobs = [job(REF.reference(0)), job(OTHER.reference(1), state="unreachable")]
    with monkeypatch.context() as patch:
        patch.setattr(pages, "add_receipts", dying)
        with pytest.raises(Killed):
            batch(*jobs)

    assert batch(*jobs) == []  # nothing was answered, so the queue shows all of it again

    assert found_on(REF) == {Receipt.DELIVERED: {0}}
    assert found_on(OTHER) == {Receipt.UNREACHABLE: {16}}


# --- a carrier that is quicker than the lookup row of its text


def of_sns(*carrier_ids: str, tries: int = 0) -> dict[str, Any]:
    found = [[None, one, "delivered", 0, int(NOON.timestamp())] for one in carrier_ids]
    return {"carrier": "sns", "receipts": found} | ({"tries": tries} if tries else {})


def test_a_receipt_before_its_lookup_row_waits_in_the_queue_and_then_is_added(waiting: list[tuple[Any, int]]) -> None:
    hand_over(REF, "sns")
    assert load_app("receipts").handler(load_event("receipts_before_their_lookup"), Context()) == {
        "batchItemFailures": []
    }
    lookups.create_lookups("sns", {CARRIER_ID: REF.reference(0)}, expires_at=2_000_000_000)

    assert batch(*(body for body, _ in waiting)) == []

    assert [delay for _, delay in waiting] == [15]
    assert found_on(REF) == {Receipt.DELIVERED: {0}}


def test_only_what_has_no_lookup_row_waits(waiting: list[tuple[Any, int]]) -> None:
    hand_over(REF, "sns")
    lookups.create_lookups("sns", {CARRIER_ID: REF.reference(0)}, expires_at=2_000_000_000)

    assert batch(of_sns(CARRIER_ID, "another", "a-third")) == []

    [(body, _)] = waiting
    assert [carrier_id for _, carrier_id, *_ in body["receipts"]] == ["another", "a-third"]
    assert found_on(REF) == {Receipt.DELIVERED: {0}}


def test_a_receipt_waits_for_its_lookup_row_for_15_minutes_and_is_then_lost_and_counted(
    caplog: pytest.LogCaptureFixture, waiting: list[tuple[Any, int]]
) -> None:
    body, came = of_sns("of-somebody-else"), 0
    with caplog.at_level(logging.INFO):
        while len(waiting) == came:
            assert batch(body) == []
            came += 1
            body = waiting[-1][0]

    assert sum(delay for _, delay in waiting) == 15 * 60
    assert sum(counted(caplog, "lost")) == 1
    assert counted(caplog, "waiting") == [1, 1, 1, 1, 1, 0]


def test_a_receipt_that_cannot_be_put_back_comes_again_with_its_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipts, "put_jobs", lambda *_, **__: 1 / 0)

    assert batch(job(REF.reference(0)), of_sns("not-there")) == [1]

    assert found_on(REF) == {Receipt.DELIVERED: {0}}


def test_the_lookup_rows_and_the_pages_of_a_batch_are_read_a_hundred_at_a_time() -> None:
    hand_over(REF, "sns")
    many = {f"c{number}": REF.reference(number % 2) for number in range(250)}
    lookups.create_lookups("sns", many, expires_at=2_000_000_000)
    reads = list[str]()
    client("dynamodb").meta.events.register("before-call.dynamodb.*", lambda model, **_: reads.append(model.name))

    assert batch(of_sns(*many), of_sns(*many)) == []

    assert reads.count("BatchGetItem") <= 4
    assert reads.count("GetItem") == 0
    assert found_on(REF) == {Receipt.DELIVERED: {0, 16}}


# --- how large a row may grow


def test_a_page_that_is_full_of_everything_a_carrier_could_say_is_a_small_row() -> None:
    write_page(PageRef(PageKind.MESSAGE, SCHOOL, "full", "p", 0), 100)
    ref = PageRef(PageKind.MESSAGE, SCHOOL, "full", "p", 0)
    everything = [
        [ref.reference(index), None, state.value, part, int((NOON + timedelta(seconds=part)).timestamp())]
        for state in Receipt
        for index in range(100)
        for part in range(16)
    ]

    for place in range(0, len(everything), 100):
        assert batch({"carrier": "signed_webhook", "receipts": everything[place : place + 100]}) == []

    [row] = [
        row for row in rows_of("MessagesTable") if row["pk"]["S"].endswith("full#p#0") and row["sk"]["S"] == "receipts"
    ]
    assert {len(found) for found in found_on(ref).values()} == {1600}
    assert size_of(row) < 40_000  # of DynamoDB's 400 KB


# --- the webhook


def post(*items: Any) -> tuple[int, Any]:
    body = json.dumps({"type": "receipts", "receipts": list(items)}, ensure_ascii=False)
    signature = Webhook(webhook_secret(MASTER, "signed_webhook", "from_carrier")).sign("w", NOON, body)
    headers = {"webhook-id": "w", "webhook-timestamp": str(int(NOON.timestamp())), "webhook-signature": signature}
    return call("inbound", load_event("inbound_receipts") | {"body": body, "headers": headers})


def test_a_malformed_receipt_is_named_and_the_good_ones_of_its_post_are_taken() -> None:
    good = {"reference": REF.reference(0), "status": "delivered"}

    status, body = post(good, {"reference": REF.reference(1), "status": "perhaps"}, good | {"part": 16}, good)

    assert (status, body) == (200, {"taken": 2, "malformed": ["/receipts/1/status", "/receipts/2/part"]})
    assert [len(json.loads(one)["receipts"]) for one in jobs_on("ReceiptsQueue")] == [2]


def test_the_malformed_receipt_of_the_event_is_named() -> None:
    answered = call("inbound", load_event("inbound_receipts_malformed"))

    assert answered == (200, {"taken": 1, "malformed": ["/receipts/1/status"]})


def test_a_post_of_malformed_receipts_only_is_refused_by_their_places() -> None:
    status, body = post({"status": "delivered"}, 7)

    assert status == 422
    assert [one["field"] for one in body["errors"]] == ["/receipts/0/reference", "/receipts/1"]
    assert jobs_on("ReceiptsQueue") == []


@pytest.mark.parametrize("letter", ["m", "ñ", "\U0001f64f"])  # one byte of a job, six, twelve
def test_the_largest_post_is_put_in_batches_that_sqs_takes(letter: str) -> None:
    sizes = list[int]()

    def note(params: Any, **_: Any) -> None:
        sizes.append(sum(len(one["MessageBody"]) for one in params["Entries"]))

    aws.client("sqs").meta.events.register("provide-client-params.sqs.SendMessageBatch", note)
    room = 256 * 1024 // 1000 - len('{"reference": "", "status": "delivered"}, ') - 1
    item = {"reference": letter * (room // len(letter.encode())), "status": "delivered"}

    assert post(*[item] * 1000) == (200, {"taken": 1000, "malformed": []})

    assert max(sizes) <= 256 * 1024
    assert sum(len(json.loads(one)["receipts"]) for one in jobs_on("ReceiptsQueue")) == 1000


def test_a_thousand_receipts_a_post_are_ten_jobs_and_one_more_is_refused_whole() -> None:
    item = {"reference": REF.reference(0), "status": "delivered", "at": NOON.isoformat()}

    assert post(*[item] * 1000)[1] == {"taken": 1000, "malformed": []}
    assert [len(json.loads(one)["receipts"]) for one in jobs_on("ReceiptsQueue")] == [100] * 10

    status, body = post(*[item] * 1001)
    assert (status, body["errors"][0]["field"]) == (422, "/receipts")
    assert jobs_on("ReceiptsQueue") == []
