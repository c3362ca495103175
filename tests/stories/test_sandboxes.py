"""Test keys: same API, same answers; nothing reaches a carrier, nothing is charged; no school is ever simulated."""

import json
import socket
from collections import Counter
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.client import BaseClient

from recado import access, carriers, clock, lines, message_reports, messages, sandboxes, school_keys, schools
from recado.access import Caller
from recado.carriers import simulated
from recado.carriers.speech import Account, Line, Outgoing, Refused, RefusedBecause
from recado.drafts import NewMessage
from recado.errors import NotAuthenticated, NotFound
from recado.rules.credit_bags import Zone
from recado.rules.delivery_states import RecipientState
from recado.rules.message_states import MessageState
from recado.rules.roles import Role
from recado.rules.school_records import sandbox_of
from recado.rules.test_numbers import MAGIC, number_for
from recado.tables import ledger, people, replies
from recado.tables.messages import Message
from recado.tables.pages import PageKind, PageRef
from recado.tables.portal_keys import KeyKind
from recado.tables.schools import Contract, find_school
from tests import worlds
from tests.apps import Context, load_app
from tests.conftest import PARAMETERS, jobs_on
from tests.tokens import mint
from tests.worlds import NOON, SCHOOL, FakeCarrier, TestClock, figures

OPERATOR = Caller("platform", Role.OPERATOR, "soporte-1", key_id="op")
SANDBOX = sandbox_of(SCHOOL)
EVERYBODY = {"who": ["guardians"], "groups": [sandboxes.COURSE]}


class LongContext(Context):
    def get_remaining_time_in_millis(self) -> int:
        return 90_000


@pytest.fixture
def moment(aws: None, monkeypatch: pytest.MonkeyPatch) -> TestClock:
    found = TestClock()
    monkeypatch.setattr(clock, "now", found)
    worlds.create_school(domestic=10)
    return found


@pytest.fixture
def director(moment: TestClock) -> Caller:
    """A director of the sandbox, by a test key's token."""
    key = school_keys.create_key(OPERATOR, SCHOOL, kind=KeyKind.TEST, request_key="r-1", now=NOON)
    return access.read_portal_token(mint(SCHOOL, NOON, key.key_id), NOON)


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every service of AWS that is called, and any connection that is opened, which fails.

    The end-to-end tests' stack may be up in this same process, with threads of its own: it is on this machine, at no
    port that these settings know.
    """
    called: list[str] = []
    real: Any = BaseClient._make_api_call
    really_connect = socket.socket.connect
    carrier_port = urlsplit(PARAMETERS["CarrierUrl"]).port

    def noted(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        if urlsplit(client.meta.endpoint_url).hostname != "127.0.0.1":
            called.append(str(client.meta.service_model.service_id))
        return real(client, operation, parameters)

    def connect(opened: socket.socket, address: Any) -> None:
        if address[0] == "127.0.0.1" and address[1] != carrier_port:
            return really_connect(opened, address)
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(BaseClient, "_make_api_call", noted)
    monkeypatch.setattr(socket.socket, "connect", connect)
    return called


def send(director: Caller, moment: TestClock, key: str = "key-1", **more: Any) -> Message:
    new: NewMessage = worlds.alert(audience=EVERYBODY, **more)
    return worlds.create(new, moment, caller=director, key=key)


def work_pages() -> list[str]:
    """Every page job, as Lambda gets it; returns their bodies."""
    bodies = jobs_on("BulkQueue")
    for body in bodies:
        answered = load_app("dispatch").handler({"Records": [{"messageId": "1", "body": body}]}, LongContext())
        assert answered == {"batchItemFailures": []}
    return bodies


def work_reports() -> list[dict[str, Any]]:
    bodies = jobs_on("ReceiptsQueue")
    records = [{"messageId": str(position), "body": body} for position, body in enumerate(bodies)]
    assert load_app("receipts").handler({"Records": records}, Context()) == {"batchItemFailures": []}
    return [json.loads(body) for body in bodies]


@pytest.fixture
def no_delays(monkeypatch: pytest.MonkeyPatch) -> dict[int, int]:
    """How many jobs were put with each delay; moto would keep them back by the machine's own clock."""
    delays: Counter[int] = Counter()
    real: Any = BaseClient._make_api_call

    def at_once(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        for entry in parameters.get("Entries", []) if operation == "SendMessageBatch" else []:
            delays[entry["DelaySeconds"]] += 1
            entry["DelaySeconds"] = 0
        return real(client, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", at_once)
    return delays


# --- who gets in ---


def test_a_test_keys_token_opens_the_sandbox_and_says_the_school_as_iss(director: Caller) -> None:
    assert (director.school_id, director.is_test) == (SANDBOX, True)
    assert director.role is Role.DIRECTOR


def test_a_portal_keys_token_opens_the_school_though_there_is_a_sandbox(director: Caller) -> None:
    key = school_keys.create_key(OPERATOR, SCHOOL, request_key="r-2", now=NOON)

    caller = access.read_portal_token(mint(SCHOOL, NOON, key.key_id), NOON)

    assert (caller.school_id, caller.is_test) == (SCHOOL, False)


def test_no_token_names_a_sandbox_itself(director: Caller) -> None:
    with pytest.raises(NotAuthenticated):
        access.read_portal_token(mint(SANDBOX, NOON, director.key_id), NOON)


def test_a_test_key_never_speaks_for_the_operator(director: Caller) -> None:
    with pytest.raises(NotAuthenticated):
        access.read_portal_token(mint(SCHOOL, NOON, director.key_id, role="operator"), NOON)


def test_the_operator_cannot_address_a_sandbox_and_does_not_see_it_listed(director: Caller) -> None:
    with pytest.raises(NotFound):
        schools.get_school(OPERATOR, SANDBOX)
    with pytest.raises(NotFound):
        schools.set_contract(OPERATOR, SANDBOX, Contract.SUSPENDED, NOON)

    assert [school.id for school in schools.list_schools(OPERATOR, limit=10, cursor=None)[0]] == [SCHOOL]


# --- what is in it ---


def test_the_first_test_key_makes_a_sandbox_with_credits_and_people_to_try_on(director: Caller) -> None:
    sandbox = find_school(SANDBOX)

    assert sandbox is not None
    assert (sandbox.name, sandbox.code, sandbox.country) == ("Escuela Los Aromos (prueba)", "", "CL")
    assert {account.zone: account.available for account in ledger.list_accounts(SANDBOX)} == dict.fromkeys(
        Zone, 100_000
    )
    found, _ = people.list_people(SANDBOX, limit=100)
    assert {one.record.number for one in found if one.record.role == "guardian"} == {
        number_for("CL", digits) for digits in MAGIC
    }


def test_a_second_test_key_leaves_the_sandbox_as_it_is(director: Caller, moment: TestClock) -> None:
    send(director, moment)
    before = ledger.list_accounts(SANDBOX)

    school_keys.create_key(OPERATOR, SCHOOL, kind=KeyKind.TEST, request_key="r-2", now=NOON + timedelta(hours=1))

    assert ledger.list_accounts(SANDBOX) == before


def test_a_sandbox_whose_making_was_cut_off_is_made_to_its_end(
    moment: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    school = find_school(SCHOOL)
    assert school is not None
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "open_account", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            sandboxes.create_sandbox(school, "soporte-1", NOON)
    assert find_school(SANDBOX) is None

    sandboxes.create_sandbox(school, "soporte-1", NOON)

    assert find_school(SANDBOX) is not None
    assert len(people.list_people(SANDBOX, limit=100)[0]) == 2 * len(MAGIC) + 1


def test_a_sandbox_follows_its_schools_contract_name_and_time_zone(director: Caller, moment: TestClock) -> None:  # L5
    schools.set_contract(OPERATOR, SCHOOL, Contract.SUSPENDED, NOON)
    schools.change_school(
        OPERATOR, SCHOOL, {"name": "Nueva", "time_zone": "America/Punta_Arenas", "code": "20601"}, NOON
    )

    sandbox = find_school(SANDBOX)

    assert sandbox is not None
    assert (sandbox.contract, sandbox.name, sandbox.code) == (Contract.SUSPENDED, "Nueva (prueba)", "")
    assert sandbox.time_zone == "America/Punta_Arenas"
    assert {account.contract for account in ledger.list_accounts(SANDBOX)} == {"suspended"}


def test_a_sandbox_of_a_suspended_school_is_suspended_from_the_start(moment: TestClock) -> None:
    worlds.suspend()

    school_keys.create_key(OPERATOR, SCHOOL, kind=KeyKind.TEST, request_key="r-1", now=NOON)

    assert {account.contract for account in ledger.list_accounts(SANDBOX)} == {"suspended"}


def test_a_sandboxs_people_own_no_handset(director: Caller) -> None:
    assert people.list_owners(number_for("CL", "00"), limit=10) == []


# --- what its messages do ---


def test_a_message_to_the_magic_numbers_does_what_each_of_them_says(
    director: Caller, moment: TestClock, outside: list[str], no_delays: dict[int, int]
) -> None:
    message = send(director, moment)

    work_pages()
    moment.move(minutes=3)
    work_pages()  # whoever was busy once
    work_reports()

    delivery = message_reports.get_delivery(director, message.id, moment())
    assert delivery.message.state is MessageState.SENT
    assert dict(delivery.counts) == {
        RecipientState.DELIVERED: 5,  # delivered, slow, busy once, and the two that reply
        RecipientState.UNREACHABLE: 1,
        RecipientState.WRONG_NUMBER: 2,
        RecipientState.BLOCKED: 2,
        RecipientState.UNKNOWN: 1,
        RecipientState.SENT: 1,  # no receipt ever
    }
    assert "SNS" not in outside


def test_nothing_of_a_sandbox_is_charged_to_the_school(
    director: Caller, moment: TestClock, no_delays: dict[int, int]
) -> None:
    before = figures()

    send(director, moment)
    work_pages()
    moment.move(minutes=3)
    work_pages()

    assert figures() == before
    available, held, captured = figures(SANDBOX)
    assert (held, captured) == (0, 11)  # all but the one that was blocked at the hand-over
    assert available + captured == 100_000


def test_what_comes_back_comes_after_a_while(director: Caller, moment: TestClock, no_delays: dict[int, int]) -> None:
    send(director, moment)
    work_pages()

    assert set(no_delays) >= {1, 2, 3, 5, 60}


def test_a_handset_that_replies_is_heard_once_and_one_that_says_stop_is_left_alone_L8(
    director: Caller, moment: TestClock, no_delays: dict[int, int]
) -> None:
    send(director, moment)
    work_pages()
    moment.move(minutes=3)
    work_pages()
    jobs = work_reports()
    for job in jobs:  # a queue may bring each twice
        lines.take_replies(job, moment())

    found, _ = messages.list_replies(director, limit=10, before=None)
    assert sorted((one.text, one.word) for one in found) == [("Recibido, gracias.", None), ("STOP", "stop")]
    assert replies.list_replies(SCHOOL, limit=10, before=None) == ([], None)
    again = send(director, moment, key="key-2")
    assert again.skipped == {"opted_out": 1}


def test_what_recado_answers_a_simulated_handset_is_answered_by_nothing(
    director: Caller, moment: TestClock, no_delays: dict[int, int]
) -> None:
    send(director, moment)
    work_pages()
    moment.move(minutes=3)
    work_pages()
    work_reports()
    [confirmation] = jobs_on("SessionsQueue")
    record = {"messageId": "1", "body": confirmation}
    assert load_app("dispatch").handler({"Records": [record]}, LongContext()) == {"batchItemFailures": []}

    jobs = work_reports()  # also: all that the function reads for it is among its permissions

    assert [job for job in jobs if job.get("answered")] == []
    found, _ = messages.list_replies(director, limit=10, before=None)
    assert sorted(one.text for one in found) == ["Recibido, gracias.", "STOP"]
    assert jobs_on("SessionsQueue") == []


def test_a_jobs_words_follow_from_the_number_and_are_not_in_it(
    director: Caller, moment: TestClock, no_delays: dict[int, int]
) -> None:
    send(director, moment)
    work_pages()
    moment.move(minutes=3)

    bodies = "".join(jobs_on("ReceiptsQueue"))

    assert "answered" in bodies
    assert "STOP" not in bodies
    assert "+569" not in bodies


def test_a_reply_job_that_names_no_sandbox_writes_nothing(moment: TestClock) -> None:
    worlds.add_guardian(11)
    message = worlds.create(worlds.alert(), moment)
    ref = PageRef(PageKind.MESSAGE, SCHOOL, message.id, message.plan or "", 0)
    wrong = [ref.reference(0), "nothing", f"m.{SANDBOX}.m1.p1.0.0", ref.reference(99)]

    assert lines.take_replies({"answered": wrong}, moment()) == 0
    assert replies.list_replies(SCHOOL, limit=10, before=None) == ([], None)


# --- which line ---


def line_of(school_id: str, kind: PageKind = PageKind.MESSAGE) -> Line:
    found = lines.lines_for(PageRef(kind, school_id, "m1", "p1", 0), 1, clock.now)
    [way] = found.ways("CL", "meeting", "")
    line = found.named(way.carrier)
    assert line is not None
    return line


def test_a_sandboxs_page_goes_over_the_simulated_line_and_no_other_page_does(moment: TestClock) -> None:
    assert line_of(SANDBOX).name == carriers.SIMULATED
    assert {line_of(school_id).name for school_id in (SCHOOL, "test", "x-test")} == {"signed_webhook"}
    assert line_of("web", PageKind.SESSION).name == "signed_webhook"


def test_a_schools_own_page_goes_to_its_carrier_though_it_has_a_sandbox(
    director: Caller, moment: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    carrier = FakeCarrier()
    monkeypatch.setattr(lines, "_carriers_line", lambda _name: carrier.line())
    worlds.add_guardian(3)

    worlds.create(worlds.alert(), moment, key="key-9")
    work_pages()

    assert carrier.numbers_heard() == [worlds.mobile(3)]
    assert jobs_on("ReceiptsQueue") == []


def test_a_sandboxs_page_never_reaches_the_carrier(
    director: Caller, moment: TestClock, monkeypatch: pytest.MonkeyPatch, no_delays: dict[int, int]
) -> None:
    carrier = FakeCarrier()
    monkeypatch.setattr(lines, "_carriers_line", lambda _name: carrier.line())

    send(director, moment)
    work_pages()

    assert carrier.heard == []


def test_no_code_and_no_webhook_can_name_the_simulated_line() -> None:
    assert carriers.SIMULATED not in carriers.REGISTRY
    assert not simulated.verify({}, b"{}", Account(), NOON)
    assert (simulated.read_replies(b"{}"), simulated.read_receipts(b"{}")) == ([], [])


def test_a_line_that_may_not_start_takes_nothing(director: Caller, moment: TestClock) -> None:
    page = Outgoing("m.a~test.m1.p1.0.0", number_for("CL", "00"), "", "hola", 60)

    (answer,) = line_of(SANDBOX).speak([page], lambda: False)

    assert answer == Refused(RefusedBecause.FOR_NOW, "not_started")
    assert jobs_on("ReceiptsQueue") == []
