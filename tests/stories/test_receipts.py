"""Receipts, however they come: what is shown only ever rises, 72 hours close it, and no credit moves."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recado import access, dispatch, ids, message_reports, receipts, records
from recado.carriers.speech import Answer, Refused, RefusedBecause, Unknown
from recado.message_views import CSV_HEADERS, csv_row, recipient_view
from recado.rules.delivery_states import RANKS, Receipt, RecipientState
from recado.rules.message_states import Category, MessageState
from recado.rules.plain_words import Language
from recado.settings import SETTINGS
from recado.tables import pages, progress
from recado.tables.messages import COPY_PAGES, Message
from recado.tables.pages import PageKind, PageRef
from tests.conftest import jobs_on
from tests.message_worlds import to
from tests.simulation.wires import MemoryAws, memory_aws
from tests.worlds import (
    DIRECTOR,
    NOON,
    SCHOOL,
    FakeCarrier,
    TestClock,
    add_guardian,
    add_guardians,
    alert,
    attend,
    create,
    create_school,
    figures,
    lines_of,
    mobile,
    opt_out,
    work_all,
    worker,
)

LONG = "Estimadas familias: " + "mañana no hay clases por corte de agua. " * 5  # more than one part
PATIENCE = timedelta(hours=72)


def sent(people: int = 1, text: str = "Mañana no hay clases.") -> tuple[Message, TestClock]:
    create_school()
    add_guardians(people)
    clock = TestClock()
    message = create(alert(text=text), clock)
    work_all(FakeCarrier(), clock)
    return records.get_message(SCHOOL, message.id), clock


def page_of(message: Message) -> PageRef:
    return PageRef(PageKind.MESSAGE, SCHOOL, message.id, message.plan or "", 0)


def bring(
    message: Message, state: str, *, index: int = 0, part: int = 0, at: datetime = NOON, carrier: str = "fake"
) -> receipts.Gathered:
    reported = [page_of(message).reference(index), None, state, part, int(at.timestamp())]
    return receipts.add_receipts([{"carrier": carrier, "receipts": [reported]}])


def state_of(message: Message, at: datetime = NOON, index: int = 0) -> str:
    found, _ = message_reports.list_lines(DIRECTOR, message.id, at, state=None, limit=100, cursor=None)
    return found[index].state


# --- late, doubled, out of order, early


@pytest.mark.usefixtures("aws")
def test_a_receipt_that_comes_late_raises_the_state() -> None:
    message, _ = sent()

    before = state_of(message, NOON + timedelta(hours=71))
    bring(message, "delivered", at=NOON + timedelta(hours=71))

    assert (before, state_of(message, NOON + timedelta(hours=71))) == ("sent", "delivered")


@pytest.mark.usefixtures("aws")
def test_a_receipt_that_comes_twice_is_one() -> None:
    message, _ = sent(2)

    for _ in range(2):
        bring(message, "delivered")

    assert message_reports.get_delivery(DIRECTOR, message.id, NOON).counts == {"delivered": 1, "sent": 1}


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("order", [("delivered", "unreachable"), ("unreachable", "delivered")])
def test_receipts_out_of_order_come_to_the_same(order: tuple[str, str]) -> None:
    message, _ = sent()

    for state in order:
        bring(message, state)

    assert state_of(message) == "delivered"


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("state", ["delivered", "unreachable"])
def test_a_receipt_before_the_outcome_of_its_text_is_written_is_kept(state: str) -> None:
    create_school()
    add_guardians(1)
    clock = TestClock()
    message = create(alert(), clock)
    reported = list[int]()

    def speak_and_be_reported() -> None:
        reported.append(bring(message, state).dropped)  # the wave is claimed, and its outcome not written

    work_all(FakeCarrier(before=speak_and_be_reported), clock)

    assert reported == [0]
    assert state_of(message) == state


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("letter", ["unknown", "unreachable"])
def test_delivered_raises_what_was_unknown_or_unreachable(letter: str) -> None:
    create_school()
    add_guardians(1)
    clock = TestClock()
    message = create(alert(), clock)
    work_all(FakeCarrier(answer=lambda _: Unknown("timeout") if letter == "unknown" else None), clock)
    if letter == "unreachable":
        bring(message, "unreachable")
    before = state_of(message)

    bring(message, "delivered")

    assert (before, state_of(message)) == (letter, "delivered")


@pytest.mark.usefixtures("aws")
def test_nothing_that_comes_after_delivered_lowers_it() -> None:
    message, _ = sent()
    bring(message, "delivered")

    for state in ("unreachable", "blocked", "wrong_number"):
        bring(message, state)

    assert state_of(message) == "delivered"
    assert state_of(message, NOON + timedelta(days=30)) == "delivered"


# --- who brings it


class Killed(BaseException):
    """The worker dies with its wave open."""


def die(_: Any) -> Answer:
    raise Killed


class TwoCarriers:
    """`fake` is asked first; what it does not take, `standby` takes."""

    def __init__(self, clock: TestClock) -> None:
        self.clock, self.fake, self.standby = clock, FakeCarrier(), FakeCarrier()

    def work(self, *first: str) -> None:
        """Over these lines, in this order; and again until nothing waits."""
        by_name = {"fake": self.fake.line(), "standby": replace(self.fake.line(), name="standby")}
        by_name["standby"] = replace(by_name["standby"], speak=self.standby.speak)
        found = lines_of(*(by_name[name] for name in first))
        for body in jobs_on("BulkQueue") + jobs_on("UrgentQueue"):
            dispatch.work_page(dispatch.read_job(body), worker(self.fake, self.clock, lines=found))


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("state", list(Receipt))
def test_a_receipt_of_a_carrier_that_has_not_got_the_text_changes_nothing(state: Receipt) -> None:
    message, _ = sent()

    found = bring(message, state.value, carrier="twilio")

    assert (found.of_others, found.pages) == (1, 0)
    assert state_of(message) == "sent"
    [line], _ = message_reports.list_lines(DIRECTOR, message.id, NOON, state=None, limit=1, cursor=None)
    assert line.reported_at is None


@pytest.mark.usefixtures("aws")
def test_after_a_failover_the_carrier_that_took_a_text_is_believed_and_the_one_that_refused_it_is_not() -> None:
    create_school()
    add_guardians(1)
    clock = TestClock()
    message = create(alert(), clock)
    two = TwoCarriers(clock)
    two.fake.answer = lambda _: Refused(RefusedBecause.FOR_NOW, "busy")
    two.work("fake", "standby")
    clock.move(minutes=2)
    attend(clock)
    two.work("standby", "fake")
    assert len(two.standby.heard) == 1

    bring(message, "blocked", carrier="fake")
    before = state_of(message)
    bring(message, "delivered", carrier="standby")

    assert (before, state_of(message)) == ("sent", "delivered")


@pytest.mark.usefixtures("aws")
def test_each_carrier_of_a_page_is_believed_of_its_own_waves() -> None:
    create_school()
    add_guardians(60)
    clock = TestClock()
    message = create(alert(), clock)
    two = TwoCarriers(clock)
    answers = count()
    two.fake.answer = lambda _: None if next(answers) < 20 else Refused(RefusedBecause.FOR_NOW, "busy")
    two.work("fake", "standby")
    clock.move(minutes=2)
    attend(clock)
    two.work("standby", "fake")
    heard = [len(two.fake.heard), len(two.standby.heard)]

    found = [
        bring(message, "delivered", index=index, carrier=carrier).of_others
        for carrier in ("fake", "standby")
        for index in range(60)
    ]

    assert heard == [20, 40]
    assert found == [0] * 20 + [1] * 40 + [1] * 20 + [0] * 40


@pytest.mark.usefixtures("aws")
def test_an_emergency_that_two_carriers_may_have_taken_is_reported_by_either() -> None:
    create_school()
    add_guardians(1)
    clock = TestClock()
    message = create(alert(category=Category.EMERGENCY), clock)
    two = TwoCarriers(clock)

    two.fake.answer = die
    with pytest.raises(Killed):
        two.work("fake")
    clock.move(minutes=2)
    attend(clock)
    two.work("standby")
    assert len(two.standby.heard) == 1

    assert bring(message, "unreachable", carrier="fake").of_others == 0
    assert bring(message, "delivered", carrier="standby").of_others == 0
    assert bring(message, "delivered", carrier="another").of_others == 1
    assert state_of(message) == "delivered"


@pytest.mark.usefixtures("aws")
def test_who_may_have_been_spoken_to_before_they_opted_out_is_still_reported_of() -> None:
    create_school()
    add_guardians(1)
    clock = TestClock()
    message = create(alert(category=Category.EMERGENCY), clock)
    two = TwoCarriers(clock)
    two.fake.before = lambda: die(None)
    with pytest.raises(Killed):
        two.work("fake")
    clock.move(minutes=2)
    attend(clock)
    opt_out(mobile(0), "reply#20600")
    two.work("fake")
    page = pages.find_page(page_of(message))
    assert page is not None
    assert (page.state.letters, two.fake.heard) == ("U", [])

    assert bring(message, "delivered", carrier="fake").of_others == 0
    assert state_of(message) == "delivered"


@pytest.mark.usefixtures("aws")
def test_nobody_may_report_of_a_text_that_was_claimed_and_never_spoken() -> None:
    create_school()
    add_guardians(2)
    clock = TestClock()
    message = create(alert(), clock)
    opt_out(mobile(0), "reply#20600")
    carrier = FakeCarrier()
    work_all(carrier, clock)
    page = pages.find_page(page_of(message))
    assert page is not None
    out = page.state.letters.index("o")

    found = [bring(message, "delivered", index=index).of_others for index in (out, 1 - out)]

    assert found == [1, 0]
    assert {state_of(message, index=out), state_of(message, index=1 - out)} == {"opted_out", "delivered"}


@pytest.mark.usefixtures("aws")
def test_a_page_that_was_spoken_to_before_this_was_kept_goes_on_believing_whoever_reports() -> None:
    create_school()
    add_guardians(30)
    clock = TestClock()
    message = create(alert(), clock)
    was = next(pages.list_states([page_of(message)]))[1]
    assert pages.save_state(page_of(message), replace(was, carrier="gone_by_now"), was=was)
    work_all(FakeCarrier(), clock)

    found = [bring(message, "delivered", index=index, carrier="gone_by_now").of_others for index in range(30)]

    assert found == [0] * 30


@pytest.mark.usefixtures("aws")
def test_nobody_reports_of_copies_in_the_message_centre() -> None:
    create_school()
    add_guardians(1)
    clock = TestClock()
    message = create(to("inbox"), clock)
    work_all(FakeCarrier(), clock)
    copies = replace(page_of(message), page=COPY_PAGES)
    assert pages.find_page(copies) is not None

    job = {"carrier": "fake", "receipts": [[copies.reference(0), None, "delivered", 0]]}
    found = receipts.add_receipts([job])

    assert found.of_others == 1
    assert state_of(message) == "in_inbox"


# --- parts of a long text


@pytest.mark.usefixtures("aws")
def test_a_long_text_is_delivered_when_all_its_parts_are() -> None:
    message, _ = sent(text=LONG)
    parts = message.segments
    seen = []
    for part in range(parts, 0, -1):
        bring(message, "delivered", part=part)
        seen.append(state_of(message))

    assert parts > 1
    assert seen == ["sent"] * (parts - 1) + ["delivered"]


@pytest.mark.usefixtures("aws")
def test_a_long_text_with_a_part_that_failed_has_failed_until_that_part_is_delivered() -> None:
    message, _ = sent(text=LONG)
    for part in range(1, message.segments):
        bring(message, "delivered", part=part)

    bring(message, "unreachable", part=message.segments)
    failed = state_of(message)
    bring(message, "delivered", part=message.segments)

    assert (failed, state_of(message)) == ("unreachable", "delivered")


# --- 72 hours


@pytest.mark.usefixtures("aws")
def test_without_a_receipt_a_text_is_sent_until_71_59_59_and_unknown_from_72_00_00_for_good() -> None:
    message, _ = sent()

    def seen(at: datetime) -> tuple[str, bool, Any, Any, Any]:
        [line], _ = message_reports.list_lines(DIRECTOR, message.id, at, state=None, limit=10, cursor=None)
        counts = message_reports.get_delivery(DIRECTOR, message.id, at).counts
        row = dict(zip(CSV_HEADERS[Language.EN], csv_row(line, Language.EN), strict=True))
        return line.state, recipient_view(line, Language.EN).is_final, row["state"], row["final"], dict(counts)

    assert seen(NOON + PATIENCE - timedelta(seconds=1)) == ("sent", False, "sent", "no", {"sent": 1})
    assert seen(NOON + PATIENCE) == ("unknown", True, "unknown", "yes", {"unknown": 1})


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("at", [NOON, NOON + PATIENCE])
def test_the_file_says_of_everybody_whether_their_state_is_final_as_the_list_does(at: datetime) -> None:
    create_school()
    add_guardians(6)
    add_guardian(7, number=None)
    clock = TestClock()
    message = create(alert(), clock)
    verdicts: Mapping[str, Answer] = {
        mobile(1): Unknown("timeout"),
        mobile(2): Refused(RefusedBecause.WRONG_NUMBER, "w"),
        mobile(3): Refused(RefusedBecause.BLOCKED, "b"),
    }
    work_all(FakeCarrier(answer=lambda text: verdicts.get(text.to)), clock)
    bring(message, "delivered", index=4)
    bring(message, "unreachable", index=5)

    found, _ = message_reports.list_lines(DIRECTOR, message.id, at, state=None, limit=100, cursor=None)

    said = {True: "sí", False: "no"}
    finals = {line.state: recipient_view(line, Language.ES).is_final for line in found}
    assert [csv_row(line, Language.ES)[-1] for line in found] == [
        said[recipient_view(line, Language.ES).is_final] for line in found
    ]
    closed = {"unknown": True} if at > NOON else {"sent": False, "unknown": False}
    sure = ("wrong_number", "blocked", "delivered", "unreachable", "no_number")
    assert finals == closed | dict.fromkeys(sure, True)


@pytest.mark.usefixtures("aws")
def test_what_nobody_knows_is_final_only_after_72_hours() -> None:
    create_school()
    add_guardians(1)
    clock = TestClock()
    message = create(alert(), clock)
    work_all(FakeCarrier(answer=lambda _: Unknown("timeout")), clock)

    def is_final(at: datetime) -> bool:
        [line], _ = message_reports.list_lines(DIRECTOR, message.id, at, state="unknown", limit=10, cursor=None)
        return recipient_view(line, Language.ES).is_final

    assert not is_final(NOON + PATIENCE - timedelta(seconds=1))
    assert is_final(NOON + PATIENCE)


@pytest.mark.usefixtures("aws")
def test_after_72_hours_without_a_receipt_nobody_looks_any_more_and_the_curve_ends_unknown() -> None:
    message, clock = sent()

    looks = 0
    while (look_at := records.get_message(SCHOOL, message.id).attend_at) is not None and looks < 200:
        clock.now = look_at
        looks += attend(clock)

    kept = progress.find_progress(SCHOOL, message.id)
    assert kept is not None
    assert timedelta(hours=72) <= clock() - NOON <= timedelta(hours=76)
    assert dict(kept.points[-1][1]) == {"unknown": 1}
    clock.move(hours=24)
    assert attend(clock) == 0


@pytest.mark.usefixtures("aws")
def test_a_receipt_after_72_hours_still_raises_what_was_closed_as_unknown() -> None:
    message, _ = sent()
    late = NOON + PATIENCE + timedelta(hours=5)
    assert state_of(message, late) == "unknown"

    bring(message, "delivered", at=late)

    assert state_of(message, late) == "delivered"
    assert message_reports.get_delivery(DIRECTOR, message.id, late).counts == {"delivered": 1}


# --- money

FATES: Sequence[Answer | None] = (
    None,  # accepted
    Unknown("timeout"),
    Refused(RefusedBecause.WRONG_NUMBER, "w"),
    Refused(RefusedBecause.BLOCKED, "b"),
)
type Fact = tuple[int, int, Receipt, int]

reports = st.lists(
    st.tuples(
        st.integers(0, 4),  # how far the message is when it comes
        st.integers(0, 5),  # of whom; two of them are not there
        st.sampled_from(Receipt),
        st.integers(0, 3),
    ),
    max_size=14,
)


@pytest.fixture
def in_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryAws]:
    monkeypatch.setattr(access, "_masters", {"read": (float("inf"), {1: b"master-secret-of-tests"})})
    with memory_aws() as found:
        yield found


class Jobs:
    """The gate of an in-memory AWS: what is put into a queue."""

    def __init__(self) -> None:
        self.bodies: list[str] = []

    def before(self, operation: str, asked: Mapping[str, Any]) -> None:
        """Nothing fails here."""

    def after(self, operation: str, asked: Mapping[str, Any]) -> None:
        if operation == "SendMessageBatch":
            self.bodies += [one["MessageBody"] for one in asked["Entries"]]


def ledger_after(
    memory: MemoryAws,
    patch: pytest.MonkeyPatch,
    fates: Sequence[Answer | None],
    facts: Sequence[tuple[int, int, Receipt, int]],
) -> tuple[Any, list[list[int]]]:
    """Every row of the ledger when a message has been sent, settled and closed, with receipts coming in between.

    And the ranks of what was shown of each recipient after each step.
    """
    memory.clear()
    numbers = count(1)
    patch.setattr(ids, "new_id", lambda _=16: f"i{next(numbers)}")  # the same plan each time
    memory.gate = gate = Jobs()
    clock, ranks = TestClock(), list[list[int]]()
    create_school()
    for position in range(len(fates)):
        add_guardian(position)
    by_number = {mobile(position): fate for position, fate in enumerate(fates)}
    carrier = FakeCarrier(answer=lambda text: by_number[text.to])
    message = create(alert(text=LONG), clock)

    def come(step: int) -> None:
        for when, index, state, part in facts:
            if when == step:
                bring(message, state.value, index=index, part=part, at=clock())
        page = pages.find_page(page_of(message))
        assert page is not None
        shown, _ = message_reports.list_lines(DIRECTOR, message.id, clock(), state=None, limit=100, cursor=None)
        ranks.append([RANKS.index(RecipientState(line.state)) for line in shown])

    come(0)  # before anything was said
    carrier.before = lambda: come(1)  # while it is said
    dispatch.work_page(dispatch.read_job(gate.bodies.pop()), worker(carrier, clock))
    come(2)
    clock.move(minutes=1)
    attend(clock)
    come(3)
    clock.move(hours=71)
    come(4)
    assert records.get_message(SCHOOL, message.id).state is MessageState.SENT
    memory.gate = None
    return {key: dict(row) for key, row in memory.rows(SETTINGS.ledger_table).items()}, ranks


def test_no_order_of_receipts_changes_an_account_an_entry_or_what_was_captured(
    in_memory: MemoryAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    without, _ = ledger_after(in_memory, monkeypatch, FATES, [])

    @settings(max_examples=40, deadline=None)
    @given(reports)
    def check(facts: list[Fact]) -> None:
        with_them, ranks = ledger_after(in_memory, monkeypatch, FATES, facts)

        assert with_them == without
        for one, following in pairwise(ranks[2:]):
            assert all(before <= after for before, after in zip(one, following, strict=True)), "a state went back"

    check()


@pytest.mark.usefixtures("aws")
def test_a_message_all_of_whose_receipts_say_that_it_failed_costs_what_was_handed_over() -> None:
    message, _ = sent(3)
    before = figures()

    for index in range(3):
        bring(message, "wrong_number", index=index)

    assert figures() == before == (997, 0, 3)
    assert records.get_message(SCHOOL, message.id).captured == {"domestic": 3}
    assert jobs_on("BulkQueue") == []
