"""A small school on moto, a carrier that does as it is told, and a clock that tests move."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from recado import attention, dispatch, messages
from recado.access import Caller
from recado.carriers.speech import Accepted, Answer, Line, Outgoing, Refused, RefusedBecause
from recado.drafts import NewMessage
from recado.lines import Lines
from recado.rules.asked_carriers import ask
from recado.rules.carrier_routes import Way
from recado.rules.credit_bags import Zone
from recado.rules.delivery_states import Letter
from recado.rules.message_states import Category
from recado.rules.oneroster import RosterGroup, RosterPerson
from recado.rules.roles import Role
from recado.tables import groups, ledger, opt_outs, pages, people, schools
from recado.tables.base import Transaction
from recado.tables.groups import Group
from recado.tables.ledger import Entry
from recado.tables.messages import Message
from recado.tables.opt_outs import Note
from recado.tables.pages import PageRef
from recado.tables.schools import Contract, School
from tests.conftest import jobs_on

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SCHOOL = "los-aromos"
COURSE = "course-7b"
DIRECTOR = Caller(SCHOOL, Role.DIRECTOR, "directora")
TEACHER = Caller(SCHOOL, Role.TEACHER, "profesora")
ALERT = "Mañana no hay clases."


class TestClock:
    """A clock that only tests move."""

    __test__ = False

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def move(self, **step: float) -> None:
        self.now += timedelta(**step)


@dataclass
class FakeCarrier:
    """Takes every text and remembers it, unless `answer` says otherwise. `heard` is what handsets would show."""

    answer: Callable[[Outgoing], Answer | None] = lambda _: None
    before: Callable[[], object] = lambda: None
    heard: list[Outgoing] = field(default_factory=list)
    ids: Any = field(default_factory=lambda: count(1))

    def speak(self, texts: Sequence[Outgoing], may_start: Callable[[], bool]) -> list[Answer]:
        self.before()
        if not may_start():
            return [Refused(RefusedBecause.FOR_NOW, "not_started")] * len(texts)
        return [self._answer_one(text) for text in texts]

    def _answer_one(self, text: Outgoing) -> Answer:
        told = self.answer(text)
        if not isinstance(told, Refused):
            self.heard.append(text)
        return told or Accepted(f"c-{next(self.ids)}")

    def numbers_heard(self) -> list[str]:
        return [text.to for text in self.heard]

    def line(self, *, dedupe_hours: int = 0, echoes_reference: bool = True) -> Line:
        return Line("fake", self.speak, dedupe_hours, echoes_reference)


def mobile(position: int) -> str:
    """The n-th handset of the tests; no such number is in use."""
    return f"+5690000{position:04}"


def create_school(
    school_id: str = SCHOOL, *, domestic: int | None = 1000, international: int | None = None, code: str = "20600"
) -> School:
    """A school with credits (None: without an account of that zone)."""
    school = School(
        id=school_id,
        name="Escuela Los Aromos",
        country="CL",
        time_zone="America/Santiago",
        code=code,
        contract=Contract.ACTIVE,
        shards=1,
        created_at=NOON,
    )
    with Transaction() as write:
        schools.create_school(write, school, AssertionError("exists"))
    assert groups.save_group(school_id, Group(RosterGroup(COURSE, "course", "7° Básico B", None), {}), None)
    for zone, credits_bought in ((Zone.DOMESTIC, domestic), (Zone.INTERNATIONAL, international)):
        if credits_bought is not None:
            buy(school_id, zone, credits_bought)
    return school


def buy(school_id: str, zone: Zone, credits_bought: int) -> None:
    if ledger.find_account(school_id, zone) is None:
        with Transaction() as write:
            ledger.create_account(write, school_id, zone)
    if credits_bought:
        cause = f"purchase#{zone.value}#{len(ledger.list_entries(school_id, zone, limit=100)[0])}"
        with Transaction() as write:
            ledger.purchase(write, school_id, Entry(zone, cause, NOON, "test", credits_bought, 0, 0, {}))


def suspend(school_id: str = SCHOOL) -> None:
    with Transaction() as write:
        schools.set_contract(write, school_id, Contract.SUSPENDED, NOON, AssertionError("no school"))
        for account in ledger.list_accounts(school_id):
            ledger.set_contract(write, school_id, account.zone, "suspended")


def add_guardian(position: int, *, number: str | None = "", school_id: str = SCHOOL, problem: bool = False) -> str:
    """A guardian of the course; number "" is their own handset, None none. Returns the person's id."""
    found = mobile(position) if number == "" else number
    person = RosterPerson(
        id=f"g{position:05}",
        role="guardian",
        given_name="Rosa",
        family_name=f"Muñoz {position}",
        number=found,
        typed_number=found or ("12345" if problem else ""),
        number_problem=problem,
        groups=frozenset({COURSE}),
        students=frozenset(),
        guardians=frozenset(),
    )
    assert people.create_person(school_id, 1, person)
    return person.id


def add_guardians(how_many: int, school_id: str = SCHOOL) -> list[str]:
    return [add_guardian(position, school_id=school_id) for position in range(how_many)]


def opt_out(number: str, cause: str, at: datetime = NOON, school_id: str = SCHOOL) -> None:
    with Transaction() as write:
        opt_outs.change_cause(write, school_id, number, Note(cause, True, "test", at, "test"))


def alert(
    *,
    text: str = ALERT,
    category: Category = Category.CLASSES_CANCELLED,
    send: bool = True,
    send_at: datetime | None = None,
    audience: dict[str, list[str]] | None = None,
    notice_confirmed: bool = False,
) -> NewMessage:
    return NewMessage(
        text=text,
        category=category,
        audience=audience or {"who": ["guardians"], "groups": [COURSE]},
        channels=("sms",),
        notice_confirmed=notice_confirmed,
        send=send,
        send_at=send_at,
    )


def create(new: NewMessage, clock: TestClock, *, key: str = "key-1", caller: Caller = DIRECTOR) -> Message:
    return messages.create(caller, new, key, clock(), key_is_first=True)


def work_all(
    carrier: FakeCarrier,
    clock: TestClock,
    *,
    line: Line | None = None,
    seconds_left: float = 90.0,
    bodies: list[str] | None = None,
) -> int:
    """Works every job on the message queues (or those given), in order; returns how many."""
    worked = 0
    for body in bodies if bodies is not None else jobs_on("UrgentQueue") + jobs_on("BulkQueue"):
        dispatch.work_page(dispatch.read_job(body), worker(carrier, clock, line=line, seconds_left=seconds_left))
        worked += 1
    return worked


_owners = count(1)


def worker(
    carrier: FakeCarrier,
    clock: TestClock,
    *,
    line: Line | None = None,
    lines: Lines | None = None,
    seconds_left: float = 90.0,
) -> dispatch.Worker:
    return dispatch.Worker(
        owner=f"w{next(_owners)}",
        clock=clock,
        time_left=lambda: timedelta(seconds=seconds_left),
        jitter=lambda: 0.0,
        lines=lines or lines_of(line or carrier.line()),
    )


def lines_of(*found: Line, sender: str | None = None) -> Lines:
    """These lines, in this order, whatever the country; with the message's own sender, or this one."""
    by_name = {line.name: line for line in found}
    return Lines(
        lambda _country, _category, own: tuple(Way(name, own if sender is None else sender) for name in by_name),
        by_name.get,
    )


def hand_over(ref: PageRef, carrier: str) -> None:
    """A page as it is when this carrier has taken all of its texts."""
    page = pages.find_page(ref)
    assert page is not None
    everybody = range(len(page.recipients))
    taken = replace(page.state, carrier=carrier, asked=ask({}, carrier, everybody))
    assert pages.save_state(ref, taken.with_letters(dict.fromkeys(everybody, Letter.ACCEPTED)), was=page.state)


def attend(clock: TestClock) -> int:
    return attention.run(clock, lambda: timedelta(seconds=55))


def figures(school_id: str = SCHOOL, zone: Zone = Zone.DOMESTIC) -> tuple[int, int, int]:
    """available, held, captured."""
    account = ledger.find_account(school_id, zone)
    assert account is not None
    return account.available, account.held, account.captured


def page_of_job(body: str) -> int:
    return int(json.loads(body)["page"])
