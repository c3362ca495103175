"""A sender that takes so many parts a second: pages in turn, emergencies first, nothing promised far ahead."""

import heapq
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count

import pytest
from moto.backends import get_backend
from pynamodb.exceptions import UpdateError

from recado import attention, carrier_routes, circuits, dispatch, messages, page_jobs, records, routing
from recado.access import Caller
from recado.carriers.speech import Line, Outgoing, Refused, RefusedBecause
from recado.lines import Lines
from recado.rules import circuits as circuit_rules
from recado.rules.carrier_routes import ANY, Way
from recado.rules.message_states import Category, MessageState
from recado.rules.roles import Role
from recado.tables import circuits as circuit_table
from recado.tables import paces, short_codes
from recado.tables.messages import Message
from recado.tables.short_codes import Purpose, ShortCode
from tests.conftest import all_tables, jobs_on
from tests.faults import Fault, faults
from tests.worlds import (
    DIRECTOR,
    NOON,
    SCHOOL,
    FakeCarrier,
    TestClock,
    add_guardians,
    alert,
    create,
    create_school,
    figures,
    lines_of,
    mobile,
    worker,
)

CARRIER, CODE = "signed_webhook", "20600"
STAFF = Caller("platform", Role.OPERATOR, "soporte")

pytestmark = pytest.mark.usefixtures("aws")


@dataclass
class Hours:
    """A morning that is lived through second by second: jobs come when their delay is over, attention each minute."""

    clock: TestClock = field(default_factory=TestClock)
    carrier: FakeCarrier = field(default_factory=FakeCarrier)
    heard: list[tuple[datetime, str]] = field(default_factory=list)
    waiting: list[tuple[datetime, int, str]] = field(default_factory=list)
    jobs: int = 0
    _order: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.carrier.answer = self._note

    def _note(self, text: Outgoing) -> None:
        self.heard.append((self.clock(), text.to))

    def live(self, seconds: float) -> None:
        """Until so much later; each job takes a tenth of a second."""
        end = self.clock() + timedelta(seconds=seconds)
        next_look = self.clock().replace(second=0, microsecond=0) + timedelta(minutes=1)
        self._collect()
        while True:
            due = self.waiting[0][0] if self.waiting else end
            moment = min(due, next_look)
            if moment >= end:
                self.clock.now = end
                return
            self.clock.now = max(self.clock.now, moment)
            if moment == next_look:
                attention.run(self.clock, lambda: timedelta(seconds=55))
                next_look += timedelta(minutes=1)
            else:
                self._work(heapq.heappop(self.waiting)[2])
            self._collect()

    def _work(self, body: str) -> None:
        self.jobs += 1
        line = Line(CARRIER, self.carrier.speak, 0, echoes_reference=True)
        lines = replace(lines_of(line), parts_per_second=lambda way: routing.parts_per_second(way, self.clock()))
        dispatch.work_page(dispatch.read_job(body), worker(self.carrier, self.clock, lines=lines))
        self.clock.move(seconds=0.1)

    def _collect(self) -> None:
        for name in ("UrgentQueue", "BulkQueue"):
            queue = get_backend("sqs")["123456789012"]["us-east-1"].queues[name]
            for one in list(queue._messages):
                delay = round((one.delayed_until - float(one.sent_timestamp or 0)) / 1000) if one.delayed else 0
                heapq.heappush(self.waiting, (self.clock() + timedelta(seconds=delay), next(self._order), one.body))
            queue._messages.clear()

    def most_in(self, seconds: float) -> int:
        """The most texts in any stretch of so many seconds."""
        moments = sorted(moment for moment, _ in self.heard)
        return max(sum(first <= one < first + timedelta(seconds=seconds) for one in moments) for first in moments)


class Killed(BaseException):
    """The worker dies here: nothing of it runs on."""


def kill(*_: object, **__: object) -> None:
    raise Killed


def pace(parts_per_second: float | None, *, carrier: str = CARRIER) -> None:
    code = ShortCode("CL", CODE, carrier, Purpose.SCHOOLS, SCHOOL, parts_per_second=parts_per_second)
    assert short_codes.create_code(code)


def state_of(message: Message) -> MessageState:
    return records.get_message(SCHOOL, message.id).state


def enqueued(message: Message) -> int:
    return records.get_message(SCHOOL, message.id).pages_enqueued


def test_a_message_leaves_as_fast_as_its_sender_goes_and_nobody_is_told_twice() -> None:
    create_school()
    add_guardians(350)
    pace(10)
    hours = Hours()
    message = create(alert(), hours.clock)

    hours.live(30)
    halfway = len(hours.heard)
    hours.live(60)

    assert 250 <= halfway <= 320
    assert Counter(number for _, number in hours.heard) == Counter(mobile(position) for position in range(350))
    assert hours.most_in(1) <= 20
    assert hours.most_in(10) <= 120
    assert state_of(message) is MessageState.SENT
    assert figures() == (650, 0, 350)


def test_without_a_pace_everything_is_put_at_once() -> None:
    create_school()
    add_guardians(350)
    pace(None)
    hours = Hours()

    message = create(alert(), hours.clock)

    assert enqueued(message) == 4
    assert paces.read_booked(CARRIER, CODE)[1] == 0


def test_a_pace_of_another_carriers_code_is_nobodys() -> None:
    create_school()
    add_guardians(350)
    pace(1, carrier="twilio")
    hours = Hours()

    message = create(alert(), hours.clock)

    assert enqueued(message) == 4


def test_no_more_than_a_minutes_worth_is_promised_and_attention_goes_on_from_there() -> None:
    create_school(domestic=3000)
    add_guardians(300)
    pace(2)
    hours = Hours()

    message = create(alert(), hours.clock)
    assert enqueued(message) == 2
    hours.live(61)
    assert enqueued(message) == 3
    hours.live(130)

    assert len(hours.heard) == 300
    assert hours.most_in(10) <= 24
    assert state_of(message) is MessageState.SENT


def test_pages_that_wait_for_their_turn_are_not_taken_for_such_as_stand_still() -> None:
    create_school(domestic=3000)
    add_guardians(400)
    pace(4)
    hours = Hours()
    create(alert(), hours.clock)

    hours.live(180)

    # A job a wave, and one each that finds its page closed: no page is brought because somebody thought it forgotten.
    assert len(hours.heard) == 400
    assert hours.jobs <= 110


def test_an_emergency_goes_before_what_waits_and_that_waits_for_it() -> None:
    create_school(domestic=3000)
    add_guardians(600)
    pace(5)
    hours = Hours()
    create(alert(), hours.clock)
    hours.live(20)
    before = len(hours.heard)

    emergency = create(
        alert(category=Category.EMERGENCY, text="Evacuamos.", audience={"people": [f"g{n:05}" for n in range(50)]}),
        hours.clock,
        key="key-2",
    )
    hours.live(20)

    assert state_of(emergency) is MessageState.SENT
    assert len(hours.heard) - before >= 50
    hours.live(200)
    assert len(hours.heard) == 650


def test_a_stop_does_not_wait_for_the_pace() -> None:
    create_school(domestic=3000)
    add_guardians(300)
    pace(1)
    hours = Hours()
    message = create(alert(), hours.clock)
    hours.live(30)
    spoken = len(hours.heard)

    messages.stop(DIRECTOR, message.id, hours.clock())
    hours.live(70)

    assert len(hours.heard) <= spoken + 1
    assert state_of(message) is MessageState.STOPPED
    assert figures() == (3000 - len(hours.heard), 0, len(hours.heard))


def test_what_could_not_leave_in_its_time_expires_and_is_given_back() -> None:
    create_school(domestic=3000)
    add_guardians(300)
    pace(0.5)
    hours = Hours()
    message = messages.create(
        DIRECTOR, replace(alert(), expires_after_minutes=5), "key-1", hours.clock(), key_is_first=True
    )

    hours.live(1200)

    assert 120 <= len(hours.heard) <= 160
    assert state_of(message) is MessageState.SENT
    assert figures() == (3000 - len(hours.heard), 0, len(hours.heard))


def test_texts_of_several_parts_take_as_long_as_their_parts() -> None:
    create_school(domestic=3000)
    add_guardians(60)
    pace(10)
    hours = Hours()
    create(alert(text="a" * 300), hours.clock)

    hours.live(8)

    assert 30 <= len(hours.heard) <= 50  # two parts each


def test_who_is_told_to_come_later_does_not_wait_longer_for_each_turn_before() -> None:
    create_school()
    add_guardians(100)
    pace(10)
    hours = Hours()
    refused = {mobile(95)}

    def answer(text: Outgoing) -> Refused | None:
        if text.to in refused:
            refused.clear()
            return Refused(RefusedBecause.FOR_NOW, "busy")
        hours.heard.append((hours.clock(), text.to))
        return None

    hours.carrier.answer = answer
    message = create(alert(), hours.clock)

    hours.live(40)

    assert len(hours.heard) == 100
    assert state_of(message) is MessageState.SENT


def test_while_the_paced_carrier_is_left_alone_the_pace_is_that_of_who_stands_by() -> None:
    create_school()
    add_guardians(350)
    pace(1)
    clock = TestClock()
    carrier_routes.set_route(STAFF, ANY, ANY, [Way(CARRIER, CODE), Way("sns", "20999")], NOON)
    was = circuit_table.find_circuit(CARRIER, ANY)
    assert circuits.save(circuit_rules.held(was, "soporte", "mantenimiento", NOON), was=was, now=NOON)

    message = create(alert(), clock)

    assert enqueued(message) == 4


@pytest.mark.parametrize("refused", [range(30), range(1)])
def test_an_emergency_that_a_paced_carrier_does_not_take_goes_over_the_next_at_once(refused: range) -> None:
    create_school()
    add_guardians(30)
    pace(10)
    clock = TestClock()
    carrier_routes.set_route(STAFF, ANY, ANY, [Way(CARRIER, CODE), Way("sns")], NOON)
    numbers = [mobile(position) for position in refused]
    busy = FakeCarrier(answer=lambda text: Refused(RefusedBecause.FOR_NOW, "busy") if text.to in numbers else None)
    standby = FakeCarrier()
    lines = Lines(
        lambda *_: (Way(CARRIER, CODE), Way("sns")),
        {CARRIER: Line(CARRIER, busy.speak, 0, True), "sns": Line("sns", standby.speak, 0, True)}.get,
        parts_per_second=lambda way: routing.parts_per_second(way, clock()),
    )
    create(alert(category=Category.EMERGENCY), clock)

    [job] = jobs_on("UrgentQueue")
    dispatch.work_page(dispatch.read_job(job), worker(busy, clock, lines=lines))

    assert standby.numbers_heard() == numbers


def test_two_messages_from_one_sender_share_its_time() -> None:
    create_school(domestic=3000)
    add_guardians(300)
    pace(10)
    hours = Hours()
    create(alert(), hours.clock)
    create(alert(text="Otra cosa."), hours.clock, key="key-2")

    hours.live(120)

    assert len(hours.heard) == 600
    assert hours.most_in(10) <= 130


def test_whoever_books_second_reads_again() -> None:
    create_school(domestic=3000)
    add_guardians(300)
    pace(10)
    hours = Hours()

    booked, version = paces.read_booked(CARRIER, CODE)
    assert paces.save_booked(CARRIER, CODE, replace(booked, until=NOON + timedelta(seconds=30)), was=version)
    assert not paces.save_booked(CARRIER, CODE, replace(booked, until=NOON), was=version)
    message = create(alert(), hours.clock)

    assert enqueued(message) == 3
    hours.live(29)
    assert hours.heard == []


@pytest.mark.parametrize("kind", ["lost", "applied"])
@pytest.mark.parametrize("attempt", [1, 2, 3])
def test_whichever_write_is_lost_everybody_is_told_once_in_the_end(kind: Fault, attempt: int) -> None:
    create_school()
    add_guardians(120)
    pace(10)
    hours = Hours()
    before: list[Fault | None] = [None] * (attempt - 1)
    # The SDK's three tries, all in vain.
    with faults("UpdateItem", *before, kind, kind, kind) as tries, suppress(UpdateError):
        create(alert(), hours.clock)
    assert kind in tries
    hours._collect()
    messages.create(DIRECTOR, alert(), "key-1", hours.clock(), key_is_first=False)  # the portal asks again

    hours.live(150)

    assert Counter(number for _, number in hours.heard) == Counter(mobile(position) for position in range(120))
    assert figures() == (880, 0, 120)


def test_a_worker_that_dies_before_its_jobs_are_put_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    create_school()
    add_guardians(250)
    pace(10)
    hours = Hours()

    monkeypatch.setattr(page_jobs, "put_jobs", kill)
    with pytest.raises(Killed):
        create(alert(), hours.clock)
    monkeypatch.undo()
    hours.live(180)

    assert Counter(number for _, number in hours.heard) == Counter(mobile(position) for position in range(250))


def test_a_pace_that_cannot_be_read_keeps_no_alert_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create_school()
    add_guardians(350)
    pace(1)

    def fail(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(short_codes, "find_code", fail)
    message = create(alert(), TestClock())

    assert enqueued(message) == 4


def test_copies_for_the_message_centre_wait_for_no_sender() -> None:
    create_school(domestic=3000)
    add_guardians(300)
    pace(0.2)
    hours = Hours()
    new = replace(alert(), channels=("sms", "inbox"))
    create(new, hours.clock)

    hours.live(15)

    assert copies() == 300


def copies() -> int:
    return sum("#I#" in row["pk"]["S"] for row in all_tables()["PeopleTable"])
