"""The message centre (L4): copies that cost nothing, each once, as their reader is to read them; and asking people to
check their data (L14)."""

from dataclasses import replace

import pytest

from recado import dispatch, inbox, message_reports, messages, records
from recado.access import Caller
from recado.errors import ContractSuspended, NobodyToReach, NotAllowedToSend, NotFound
from recado.rules.delivery_states import RecipientState
from recado.rules.message_states import Category, MessageState
from recado.rules.plain_words import Language
from recado.rules.roles import Role
from recado.rules.school_settings import SchoolSettings
from recado.tables import ledger, school_settings
from recado.tables.messages import Message
from tests.conftest import jobs_on
from tests.faults import faults
from tests.message_worlds import FOREIGN, add_person, copies_of, to
from tests.worlds import (
    COURSE,
    DIRECTOR,
    NOON,
    SCHOOL,
    TEACHER,
    FakeCarrier,
    TestClock,
    add_guardian,
    add_guardians,
    alert,
    attend,
    create,
    create_school,
    figures,
    mobile,
    opt_out,
    suspend,
    work_all,
)

pytestmark = pytest.mark.usefixtures("aws")


def guardian(person_id: str) -> Caller:
    return Caller(SCHOOL, Role.GUARDIAN, person_id, person_id)


def put(message: Message) -> int:
    return message_reports.get_delivery(DIRECTOR, message.id, NOON).copies_put


# --- free, whatever the school has paid for ---------------------------------------------------------------------


def test_a_school_that_never_bought_a_bag_reaches_everybody_in_the_message_centre_L4() -> None:
    create_school(domestic=None)
    add_guardian(0, number=None)
    add_guardian(1, number=FOREIGN)
    add_guardian(2)
    opt_out(mobile(2), "reply")
    clock, carrier = TestClock(), FakeCarrier()

    message = create(to("inbox"), clock)
    work_all(carrier, clock)

    assert [copies_of(f"g0000{position}") for position in range(3)] == [[alert().text]] * 3
    assert (carrier.heard, message.held, message.recipients) == ([], {}, 0)
    assert records.get_message(SCHOOL, message.id).state is MessageState.SENT
    assert ledger.list_accounts(SCHOOL) == []


def test_who_has_a_copy_of_a_message_for_the_message_centre_alone_is_listed_L4() -> None:
    create_school(domestic=None)
    add_guardians(3)
    clock, carrier = TestClock(), FakeCarrier()
    message = create(to("inbox"), clock)

    def lines(
        limit: int = 50, cursor: str | None = None, state: str | None = None
    ) -> tuple[list[tuple[str, str]], str | None]:
        found, following = message_reports.list_lines(
            DIRECTOR, message.id, clock(), state=state, limit=limit, cursor=cursor
        )
        return [(line.people[0].person_id, line.state) for line in found], following

    before = lines()
    work_all(carrier, clock)

    everybody = [(f"g0000{position}", "in_inbox") for position in range(3)]
    assert before == ([(person_id, "queued") for person_id, _ in everybody], None)
    assert lines() == (everybody, None)
    first, following = lines(limit=2)
    assert (first, lines(limit=2, cursor=following)) == (everybody[:2], (everybody[2:], None))
    assert lines(state="queued") == ([], None)


def test_with_a_suspended_contract_the_message_centre_stays_open_and_sms_does_not_L4_L5() -> None:
    create_school()
    add_guardians(1)
    suspend()
    clock = TestClock()

    create(to("inbox"), clock)
    with pytest.raises(ContractSuspended):
        create(to("sms", "inbox"), clock, key="key-2")
    work_all(FakeCarrier(), clock)

    assert (copies_of("g00000"), figures()) == ([alert().text], (1000, 0, 0))


def test_both_ways_everybody_has_a_copy_and_whoever_can_be_reached_a_text_L4() -> None:
    create_school()
    add_guardians(2)
    add_guardian(2, number=None)
    clock, carrier = TestClock(), FakeCarrier()

    message = create(to("sms", "inbox"), clock)
    work_all(carrier, clock)

    assert (len(carrier.heard), put(message), figures()) == (2, 3, (998, 0, 2))
    assert message_reports.get_delivery(DIRECTOR, message.id, NOON).counts == {RecipientState.SENT: 2}


def test_whom_sms_cannot_reach_and_nobody_else_gets_a_copy_when_asked_L4_L11() -> None:
    create_school()
    add_guardians(2)
    add_guardian(2, number=None)
    add_guardian(3, number=None, problem=True)
    add_guardian(4, number=FOREIGN)
    add_guardian(5)
    opt_out(mobile(5), "person#g00005")
    clock, carrier = TestClock(), FakeCarrier()

    create(replace(alert(), inbox_for_unreachable=True), clock)
    work_all(carrier, clock)

    assert [len(copies_of(f"g0000{position}")) for position in range(6)] == [0, 0, 1, 1, 1, 1]
    assert sorted(carrier.numbers_heard()) == [mobile(0), mobile(1)]


def test_when_nobody_can_be_reached_by_sms_the_copies_go_out_and_cost_nothing_L4() -> None:
    create_school(domestic=0)
    add_guardian(0, number=None)
    clock = TestClock()

    message = create(replace(alert(), inbox_for_unreachable=True), clock)
    work_all(FakeCarrier(), clock)

    assert (copies_of("g00000"), message.held, figures()) == ([alert().text], {}, (0, 0, 0))
    assert records.get_message(SCHOOL, message.id).state is MessageState.SENT


def test_without_anybody_the_message_centre_reaches_nobody_either() -> None:
    create_school()

    with pytest.raises(NobodyToReach):
        create(to("inbox"), TestClock())


# --- as each is to read it --------------------------------------------------------------------------------------


def test_each_reader_is_spoken_to_as_themselves_with_every_accent() -> None:
    create_school()
    add_person("ana", "student", name="Ána", guardians=("rosa",))
    add_person("rosa", name="Rosa", students=("ana",))
    clock = TestClock()

    text = "{guardian}: {student} de {course} sale más temprano"
    create(to("inbox", new=alert(text=text, audience={"who": ["guardians", "students"]}), drop_accents=True), clock)
    work_all(FakeCarrier(), clock)

    assert copies_of("rosa") == ["Rosa Muñoz: Ána de 7° Básico B sale más temprano"]
    assert copies_of("ana") == ["Rosa Muñoz: Ána de 7° Básico B sale más temprano"]


def test_two_guardians_of_one_number_read_their_own_names_though_the_text_is_one() -> None:
    create_school()
    add_person("ana", "student", name="Ana", guardians=("luis", "rosa"))
    for name in ("luis", "rosa"):
        add_person(name, name=name.title(), number=mobile(1), students=("ana",))
    clock, carrier = TestClock(), FakeCarrier()

    create(to("sms", "inbox", new=alert(text="{guardian}: hola")), clock)
    work_all(carrier, clock)

    assert [text.text for text in carrier.heard] == ["Luis Muñoz y Rosa Muñoz: hola"]
    assert (copies_of("luis"), copies_of("rosa")) == (["Luis Muñoz: hola"], ["Rosa Muñoz: hola"])


def test_a_person_reads_only_their_own_inbox_and_has_it_unread_L4() -> None:
    create_school()
    add_guardians(2)
    clock = TestClock()
    message = create(to("inbox", new=alert(audience={"people": ["g00000"]})), clock)
    work_all(FakeCarrier(), clock)

    assert inbox.count_unread(guardian("g00000"), NOON).count == 1
    assert inbox.count_unread(guardian("g00001"), NOON).count == 0
    assert inbox.get_item(guardian("g00000"), message.id, NOON).read_at is None
    with pytest.raises(NotFound):
        inbox.get_item(guardian("g00001"), message.id, NOON)


# --- once -------------------------------------------------------------------------------------------------------


def test_a_job_that_comes_twice_delivers_once_and_what_was_read_stays_read() -> None:
    create_school()
    add_guardians(3)
    clock = TestClock()
    message = create(to("inbox"), clock)
    jobs = jobs_on("BulkQueue")
    work_all(FakeCarrier(), clock, bodies=jobs)
    inbox.mark_read(guardian("g00000"), message.id, NOON)

    work_all(FakeCarrier(), clock, bodies=jobs)

    assert [len(copies_of(f"g0000{position}")) for position in range(3)] == [1, 1, 1]
    assert inbox.count_unread(guardian("g00000"), NOON).count == 0
    assert put(message) == 3


def test_a_worker_that_dies_between_the_copies_and_their_page_leaves_nobody_two() -> None:
    create_school()
    add_guardians(3)
    clock = TestClock()
    message = create(to("inbox"), clock)
    [job] = jobs_on("BulkQueue")

    with faults("TransactWriteItems", "lost", "lost", "lost"), pytest.raises(Exception, match="transact"):
        work_all(FakeCarrier(), clock, bodies=[job])
    assert (len(copies_of("g00000")), put(message)) == (1, 0)
    clock.move(minutes=2)
    attend(clock)
    work_all(FakeCarrier(), clock)

    assert ([len(copies_of(f"g0000{position}")) for position in range(3)], put(message)) == ([1, 1, 1], 3)
    assert records.get_message(SCHOOL, message.id).state is MessageState.SENT


def test_a_page_of_copies_whose_closing_lost_its_answer_is_counted_once() -> None:
    create_school()
    add_guardians(3)
    clock = TestClock()
    message = create(to("sms", "inbox"), clock)

    with faults("TransactWriteItems", "applied"):
        work_all(FakeCarrier(), clock)

    assert (put(message), figures()) == (3, (997, 0, 3))
    assert records.get_message(SCHOOL, message.id).state is MessageState.SENT


def test_a_message_stopped_before_its_copies_were_put_leaves_none() -> None:
    create_school()
    add_guardians(3)
    clock, carrier = TestClock(), FakeCarrier()
    message = create(to("sms", "inbox"), clock)

    messages.stop(DIRECTOR, message.id, clock())
    work_all(carrier, clock)

    assert ([copies_of(f"g0000{position}") for position in range(3)], carrier.heard) == ([[], [], []], [])
    assert (put(message), figures()) == (0, (1000, 0, 0))
    assert records.get_message(SCHOOL, message.id).state is MessageState.STOPPED


def test_copies_that_no_worker_put_in_time_are_not_put_later() -> None:
    create_school()
    add_guardians(1)
    clock = TestClock()
    message = create(to("inbox"), clock)
    jobs = jobs_on("BulkQueue")
    clock.move(hours=24)

    work_all(FakeCarrier(), clock, bodies=jobs)

    assert (copies_of("g00000"), put(message)) == ([], 0)


def test_a_hundred_and_fifty_copies_are_two_pages_and_settle_with_their_texts() -> None:
    create_school()
    add_guardians(150)
    clock, carrier = TestClock(), FakeCarrier()

    message = create(to("sms", "inbox"), clock)
    work_all(carrier, clock)

    assert (message.pages, message.copy_pages, put(message)) == (2, 2, 150)
    assert (len(carrier.heard), figures()) == (150, (850, 0, 150))
    assert records.get_message(SCHOOL, message.id).state is MessageState.SENT


def test_texts_and_copies_share_no_page() -> None:
    create_school()
    add_guardians(1)
    clock = TestClock()
    create(to("sms", "inbox"), clock)

    pages = sorted(dispatch.read_job(body).ref.page for body in jobs_on("BulkQueue"))

    assert pages == [0, 1_000_000]


# --- asking people to check their data --------------------------------------------------------------------------


def ask(group_id: str = COURSE, caller: Caller = DIRECTOR) -> Message:
    return messages.create_data_check(caller, group_id, "key-check", NOON, key_is_first=True)


def test_one_act_asks_a_groups_guardians_and_students_in_their_inbox_to_check_their_data_L14() -> None:
    create_school(domestic=None)
    add_guardian(0, number=None)
    add_person("ana", "student")
    add_person("profe", "teacher")
    add_person("elsewhere", courses=())
    clock = TestClock()

    message = ask()
    work_all(FakeCarrier(), clock)

    said = messages.DATA_CHECK_TEXTS["es"]
    assert (copies_of("g00000"), copies_of("ana")) == ([said], [said])
    assert (copies_of("profe"), copies_of("elsewhere")) == ([], [])
    assert (message.category, message.held, message.channels) == (Category.NOTICE, {}, ("inbox",))


def test_a_school_that_is_spoken_to_in_english_asks_in_english_L14() -> None:
    create_school()
    add_guardians(1)
    settings = SchoolSettings(language=Language.EN, version=1, changed_by="directora", changed_at=NOON)
    assert school_settings.save_settings(SCHOOL, settings)

    ask()
    work_all(FakeCarrier(), TestClock())

    assert copies_of("g00000") == [messages.DATA_CHECK_TEXTS["en"]]


def test_asking_twice_with_one_key_asks_once_L14() -> None:
    create_school()
    add_guardians(1)

    first = ask()
    second = messages.create_data_check(DIRECTOR, COURSE, "key-check", NOON, key_is_first=False)
    work_all(FakeCarrier(), TestClock())

    assert first.id == second.id
    assert len(copies_of("g00000")) == 1


def test_a_group_that_is_not_there_and_a_teacher_are_refused_L14_L2() -> None:
    create_school()

    with pytest.raises(NotFound):
        ask("nope")
    with pytest.raises(NotAllowedToSend):
        ask(caller=TEACHER)
