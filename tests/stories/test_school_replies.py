"""Replies on a school's code and on a shared one: to the one school they belong to, or kept; words; deaths."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from recado import answers, dispatch, events, inbound, lines, messages, school_replies, shared_codes
from recado.carriers.speech import IncomingReply, Refused, RefusedBecause
from recado.events import EventsBusy, NewEvent
from recado.heard_texts import Outcome
from recado.rules.credit_bags import Zone
from recado.rules.event_types import EventType
from recado.rules.reply_parts import Part
from recado.rules.segments import measure
from recado.session_replies import ReplyOutcome
from recado.tables import opt_outs, owed_replies, pages, replies, schools, session_counts, short_codes
from recado.tables.base import Transaction
from recado.tables.owed_replies import Owed
from recado.tables.pages import PageKind, PageRecipient, PageRef
from recado.tables.replies import ReplyFilter
from recado.tables.short_codes import Purpose, ShortCode
from tests.conftest import all_tables, jobs_on
from tests.faults import Fault, faults
from tests.message_worlds import change_person
from tests.session_worlds import ANA, Killed, answer, create_codes, just_before, kill, open_session
from tests.session_worlds import deliver as deliver_sessions
from tests.worlds import (
    DIRECTOR,
    NOON,
    FakeCarrier,
    TestClock,
    add_guardian,
    alert,
    create,
    create_school,
    mobile,
    opt_out,
    work_all,
    worker,
)

A, B, C = "colegio-a", "colegio-b", "colegio-c"
SHARED, OWN = "30000", "20600"
CARRIER = "signed_webhook"
ROSA = mobile(1)  # whose children go to A and to B
PEDRO = mobile(2)  # whose child goes to A
HOURS = 72


@pytest.fixture
def clock(aws: None) -> TestClock:
    return TestClock()


@pytest.fixture
def carrier() -> FakeCarrier:
    return FakeCarrier()


@pytest.fixture(autouse=True)
def world(clock: TestClock) -> None:
    """Two schools on a shared code and one with its own; who is known where."""
    for school_id, code in ((A, ""), (B, ""), (C, OWN)):
        create_school(school_id, code=code)
        with Transaction() as write:
            name = f"Colegio {school_id[-1].upper()}"
            schools.change_school(write, school_id, {"name": name}, AssertionError("no school"))
    assert short_codes.create_code(ShortCode("CL", SHARED, CARRIER, Purpose.SCHOOLS))
    assert short_codes.create_code(ShortCode("CL", OWN, CARRIER, Purpose.SCHOOLS, school=C))
    for school_id in (A, B, C):
        add_guardian(1, school_id=school_id)
    add_guardian(2, school_id=A)


_ids = iter(range(10**9))


def write(
    text: str,
    clock: TestClock,
    *,
    handset: str = ROSA,
    code: str = SHARED,
    reply_id: str | None = None,
    answered: str | None = None,
    part: Part | None = None,
) -> Outcome:
    found = reply_id if reply_id is not None else f"r{next(_ids)}"
    reply = IncomingReply(found, handset, code, text, clock(), in_reply_to=answered, part=part)
    return inbound.take_reply(CARRIER, reply, clock)


def deliver(carrier: FakeCarrier, clock: TestClock) -> list[str]:
    """Works the jobs of recado's own texts; what handsets show because of it."""
    return [text.text for text in deliver_sessions(carrier, clock)]


def seen(school_id: str) -> list[str]:
    return [one.text for one in reversed(replies.list_replies(school_id, limit=100)[0])]


def blocked(school_id: str, handset: str = ROSA) -> bool:
    return bool(opt_outs.find_causes(school_id, handset))


def told(school_id: str, event_type: EventType) -> list[dict[str, Any]]:
    return [dict(one.data) for one in reversed(events.list_latest(school_id, event_type, limit=100))]


def owed() -> list[Owed]:
    far = NOON + timedelta(days=999)
    return [one for shard in range(owed_replies.SHARDS) for one in owed_replies.list_owed(shard, far, limit=100)]


def sent_by(school_id: str, clock: TestClock, carrier: FakeCarrier, position: int = 1) -> str:
    """An alert of a school that went to a handset; what the carrier calls it."""
    caller = replace(DIRECTOR, school_id=school_id)
    message = create(
        alert(audience={"people": [f"g{position:05}"]}), clock, key=f"{school_id}-{clock()}", caller=caller
    )
    work_all(carrier, clock)
    return PageRef(PageKind.MESSAGE, school_id, message.id, message.plan or "", 0).reference(0)


ASKED = "Su mensaje espera. Para quien es? Responda 1 Colegio A, 2 Colegio B"
STOPPED = "{}: no le llegaran mas SMS. Para volver a recibirlos, responda ALTA."
STARTED = "{}: le llegaran SMS de nuevo. Para no recibir mas, responda BAJA."
HELP = "Le escribe {}. Para no recibir mas SMS, responda BAJA; para volver a recibirlos, ALTA."


# --- Whose it is


def test_a_text_of_one_schools_family_on_a_shared_code_is_that_schools(clock: TestClock, carrier: FakeCarrier) -> None:
    assert write("Gracias", clock, handset=PEDRO) is Outcome.TO_SCHOOL

    assert (seen(A), seen(B), seen(C)) == (["Gracias"], [], [])
    assert deliver(carrier, clock) == []
    [event] = told(A, EventType.REPLY_RECEIVED)
    [reply], _ = replies.list_replies(A, limit=1)
    assert event == {"reply": reply.id, "message": None, "word": None}
    assert messages.get_reply(replace(DIRECTOR, school_id=A), reply.id) == reply
    assert owed() == []


def test_the_message_that_is_answered_decides_before_any_directory(clock: TestClock, carrier: FakeCarrier) -> None:
    reference = sent_by(B, clock, carrier)

    assert write("Voy", clock, answered=reference) is Outcome.TO_SCHOOL

    assert (seen(A), seen(B)) == ([], ["Voy"])
    [reply], _ = replies.list_replies(B, limit=1)
    assert reply.message == reference.split(".")[2]
    assert told(B, EventType.REPLY_RECEIVED)[0]["message"] == reply.message


def test_never_to_the_last_that_sent(clock: TestClock, carrier: FakeCarrier) -> None:
    sent_by(A, clock, carrier)
    clock.move(seconds=1)
    sent_by(B, clock, carrier)

    assert write("¿A qué hora?", clock) is Outcome.WAITING

    assert seen(A) == seen(B) == []


def test_a_reference_to_a_text_that_went_to_somebody_else_says_nothing(clock: TestClock, carrier: FakeCarrier) -> None:
    reference = sent_by(A, clock, carrier, position=2)

    assert write("¿A qué hora?", clock, answered=reference) is Outcome.WAITING


def test_what_nobody_knows_is_dropped_and_counted(clock: TestClock, carrier: FakeCarrier) -> None:
    stranger = mobile(9)

    for _ in range(2):
        write("hola", clock, handset=stranger, reply_id="once")
    write("STOP", clock, handset=stranger)
    write("AYUDA", clock, handset=stranger)

    assert deliver(carrier, clock) == []
    [counts] = session_counts.list_counts("CL", NOON.date(), NOON.date())
    assert (counts.school_unrouted, counts.school_waiting, counts.school_replies) == (3, 0, 0)
    assert "hola" not in str(all_tables())


def test_an_own_code_is_its_schools_whoever_else_knows_the_number(clock: TestClock) -> None:
    assert write("Gracias", clock, code=OWN) is Outcome.TO_SCHOOL

    assert (seen(A), seen(B), seen(C)) == ([], [], ["Gracias"])


@pytest.mark.parametrize(("days", "counts"), [(29, True), (30, False)])
def test_who_left_a_school_still_counts_for_thirty_days(clock: TestClock, days: int, counts: bool) -> None:
    change_person("g00001", school_id=B, left_at=NOON)
    clock.move(days=days)

    outcome = write("Gracias", clock)

    assert outcome is (Outcome.WAITING if counts else Outcome.TO_SCHOOL)
    assert seen(A) == ([] if counts else ["Gracias"])


@pytest.mark.parametrize(("days", "counts"), [(29, True), (30, False)])
def test_a_school_that_left_the_shared_code_still_counts_for_thirty_days(
    clock: TestClock, days: int, counts: bool
) -> None:
    with Transaction() as writing:
        schools.change_school(writing, B, {"code": "20700", "shared_until": NOON}, AssertionError("no school"))
    clock.move(days=days)

    assert write("Gracias", clock) is (Outcome.WAITING if counts else Outcome.TO_SCHOOL)


def test_a_school_with_its_own_code_is_meant_on_the_shared_code_of_a_standby(clock: TestClock) -> None:
    assert short_codes.create_code(ShortCode("CL", "40000", "twilio", Purpose.SCHOOLS))
    reply = IncomingReply("t1", ROSA, "40000", "Gracias", NOON)

    assert inbound.take_reply("twilio", reply, clock) is Outcome.WAITING

    [row] = [row for row in all_tables()["MessagesTable"] if row["sk"]["S"] == "choice"]
    assert [one for one in (A, B, C) if one in row["schools"]["S"]] == [A, B, C]


def test_more_schools_than_digits_are_not_asked_and_all_are_stopped(clock: TestClock, carrier: FakeCarrier) -> None:
    many = [f"escuela-{place:02}" for place in range(10)]
    for school_id in many:
        create_school(school_id, code="", domestic=None)
        add_guardian(7, school_id=school_id)

    assert write("hola", clock, handset=mobile(7)) is Outcome.UNROUTED
    assert write("STOP", clock, handset=mobile(7)) is Outcome.OBEYED

    assert all(blocked(school_id, mobile(7)) for school_id in many)
    [said] = deliver(carrier, clock)
    assert measure(said).segments == 1


# --- The choice


def test_the_handset_is_asked_once_and_its_digit_sends_all_on_with_the_time_they_were_written(
    clock: TestClock, carrier: FakeCarrier
) -> None:
    assert write("¿A qué hora es?", clock) is Outcome.WAITING
    assert deliver(carrier, clock) == [ASKED]
    clock.move(minutes=5)
    assert write("¿Hola?", clock) is Outcome.WAITING
    assert deliver(carrier, clock) == []
    clock.move(minutes=5)

    assert write("2.", clock) is Outcome.CHOSEN

    assert (seen(A), seen(B)) == ([], ["¿A qué hora es?", "¿Hola?"])
    newest, oldest = replies.list_replies(B, limit=9)[0]
    assert (oldest.received_at, oldest.sent_on_at) == (NOON, clock())
    assert newest.received_at == NOON + timedelta(minutes=5)
    assert [one["reply"] for one in told(B, EventType.REPLY_RECEIVED)] == [oldest.id, newest.id]
    assert told(A, EventType.REPLY_RECEIVED) == []
    assert deliver(carrier, clock) == []
    [counts] = session_counts.list_counts("CL", NOON.date(), NOON.date())
    assert (counts.school_waiting, counts.school_replies) == (2, 2)


def test_the_question_goes_from_the_code_that_was_written_to_and_costs_nobody_anything(
    clock: TestClock, carrier: FakeCarrier
) -> None:
    before = all_tables()["LedgerTable"]
    write("¿A qué hora es?", clock)

    deliver(carrier, clock)

    [text] = carrier.heard
    assert (text.to, text.sender) == (ROSA, SHARED)
    assert measure(text.text).segments == 1
    assert all_tables()["LedgerTable"] == before


@pytest.mark.parametrize("words", ["3", "0", "no sé", "12", "dos"])
def test_a_wrong_digit_is_kept_too_and_not_asked_again(clock: TestClock, carrier: FakeCarrier, words: str) -> None:
    write("¿A qué hora es?", clock)
    deliver(carrier, clock)

    assert write(words, clock) is Outcome.WAITING

    assert deliver(carrier, clock) == []
    write("1", clock)
    assert sorted(seen(A)) == sorted(["¿A qué hora es?", words])


def test_a_digit_when_nothing_waits_is_a_text_like_any_other(clock: TestClock, carrier: FakeCarrier) -> None:
    assert write("1", clock, handset=PEDRO) is Outcome.TO_SCHOOL
    assert write("1", clock) is Outcome.WAITING
    assert deliver(carrier, clock) == [ASKED]

    assert write("1", clock) is Outcome.CHOSEN

    assert seen(A) == ["1", "1"]


def test_the_next_conversation_is_asked_again(clock: TestClock, carrier: FakeCarrier) -> None:
    write("uno", clock)
    write("1", clock)

    assert write("dos", clock) is Outcome.WAITING

    assert deliver(carrier, clock) == [ASKED, ASKED]
    assert seen(A) == ["uno"]


def test_after_three_days_it_is_gone_though_nobody_tidied(clock: TestClock, carrier: FakeCarrier) -> None:
    write("viejo", clock)
    clock.move(hours=HOURS)

    assert write("1", clock) is Outcome.WAITING  # a text, and asked anew
    assert deliver(carrier, clock)[-1] == ASKED
    assert write("1", clock) is Outcome.CHOSEN

    assert seen(A) == ["1"]


def test_a_moment_before_it_is_still_there(clock: TestClock) -> None:
    write("a tiempo", clock)
    clock.now += timedelta(hours=HOURS) - timedelta(microseconds=1)

    assert write("1", clock) is Outcome.CHOSEN

    assert seen(A) == ["a tiempo"]


def test_each_text_waits_its_own_three_days(clock: TestClock) -> None:
    write("primero", clock)
    clock.move(hours=71)
    write("segundo", clock)
    clock.move(hours=2)
    write("tercero", clock)  # begins another conversation

    assert write("2", clock) is Outcome.CHOSEN

    assert seen(B) == ["segundo", "tercero"]


def test_a_conversation_keeps_so_many_texts_and_no_more(clock: TestClock) -> None:
    outcomes = []
    for place in range(shared_codes.WAITING_MAX + 2):
        clock.move(seconds=1)
        outcomes.append(write(f"texto {place}", clock))

    assert outcomes == [Outcome.WAITING] * shared_codes.WAITING_MAX + [Outcome.UNROUTED] * 2
    assert write("1", clock) is Outcome.CHOSEN
    assert len(seen(A)) == shared_codes.WAITING_MAX


def test_a_digit_of_one_handset_moves_nobody_elses_texts(clock: TestClock) -> None:
    other = mobile(5)
    for school_id in (A, B):
        add_guardian(5, school_id=school_id)
    write("de Rosa", clock)
    write("del otro", clock, handset=other)

    write("1", clock, handset=other)

    assert seen(A) == ["del otro"]
    assert write("2", clock) is Outcome.CHOSEN
    assert seen(B) == ["de Rosa"]


def test_a_text_that_comes_just_before_the_digit_is_written_goes_along(clock: TestClock) -> None:
    write("uno", clock)

    with just_before("TransactWriteItems", lambda: write("dos", clock), nth=1):
        assert write("1", clock) is Outcome.CHOSEN

    assert sorted(seen(A)) == ["dos", "uno"]


def test_two_digits_at_once_are_one_choice(clock: TestClock) -> None:
    write("uno", clock)

    with just_before("TransactWriteItems", lambda: write("1", clock), nth=1):
        outcome = write("2", clock)

    assert outcome is Outcome.WAITING  # nothing waited any more
    assert (seen(A), seen(B)) == (["uno"], [])


def test_what_was_seen_before_stays_seen_whatever_the_directories_say_now(clock: TestClock) -> None:
    write("Gracias", clock, handset=PEDRO, reply_id="r1")
    add_guardian(2, school_id=B)

    assert write("Gracias", clock, handset=PEDRO, reply_id="r1") is Outcome.DUPLICATE

    write("¿y ahora?", clock, handset=PEDRO, reply_id="r2")
    write("2", clock, handset=PEDRO)
    assert write("¿y ahora?", clock, handset=PEDRO, reply_id="r2") is Outcome.DUPLICATE
    assert (seen(A), seen(B)) == (["Gracias"], ["¿y ahora?"])


# --- Long texts


def test_a_long_text_is_joined_before_anybody_asks_whose_it_is(clock: TestClock, carrier: FakeCarrier) -> None:
    assert write("dos", clock, part=Part(2, 2, "7f")) is Outcome.PART
    assert deliver(carrier, clock) == []

    assert write("uno ", clock, part=Part(1, 2, "7f")) is Outcome.WAITING

    assert deliver(carrier, clock) == [ASKED]
    write("1", clock)
    assert seen(A) == ["uno dos"]


def test_a_part_that_is_brought_twice_is_there_once(clock: TestClock) -> None:
    for _ in range(2):
        write("uno ", clock, handset=PEDRO, part=Part(1, 2, "7f"), reply_id="p1")
    for _ in range(2):
        write("dos", clock, handset=PEDRO, part=Part(2, 2, "7f"), reply_id="p2")

    assert seen(A) == ["uno dos"]


def test_what_has_come_of_a_long_text_is_taken_as_it_is_after_a_minute(clock: TestClock) -> None:
    write("uno ", clock, handset=PEDRO, part=Part(1, 3, "7f"))
    write("STOP", clock, part=Part(1, 2, "7f"))
    clock.move(seconds=59)
    school_replies.take_up(clock)
    assert seen(A) == []

    clock.move(seconds=61)
    school_replies.take_up(clock)

    assert seen(A) == ["uno …"]
    assert not blocked(A)  # a word of which a part is missing is none
    assert owed() == []
    assert write("tres", clock, handset=PEDRO, part=Part(3, 3, "7f")) is Outcome.TO_SCHOOL
    assert len(seen(A)) == 2


def test_a_word_in_parts_counts_when_it_is_whole(clock: TestClock) -> None:
    write("ST", clock, part=Part(1, 2, "7f"))

    assert write("OP", clock, part=Part(2, 2, "7f")) is Outcome.OBEYED

    assert blocked(A)
    assert blocked(B)


def test_two_parts_at_once_are_joined(clock: TestClock) -> None:
    with just_before("TransactWriteItems", lambda: write("dos", clock, handset=PEDRO, part=Part(2, 2, "g")), nth=1):
        write("uno ", clock, handset=PEDRO, part=Part(1, 2, "g"))

    assert seen(A) == ["uno dos"]


# --- STOP, ALTA, AYUDA


def test_stop_on_an_own_code_binds_there_and_is_confirmed_from_there(clock: TestClock, carrier: FakeCarrier) -> None:
    assert write("¡Baja!", clock, code=OWN) is Outcome.TO_SCHOOL

    assert (blocked(A), blocked(B), blocked(C)) == (False, False, True)
    assert deliver(carrier, clock) == [STOPPED.format("Colegio C")]
    assert carrier.heard[0].sender == OWN
    [reply], _ = replies.list_replies(C, limit=9)
    assert reply.word == "stop"
    [event] = told(C, EventType.OPT_OUT_CHANGED)
    assert event == {"person": None, "reply": reply.id, "opted_out": 1, "by": "handset"}


def test_stop_on_a_shared_code_binds_at_every_school_and_is_confirmed_L10(
    clock: TestClock, carrier: FakeCarrier
) -> None:
    assert write("No más", clock) is Outcome.OBEYED

    assert (blocked(A), blocked(B), blocked(C)) == (True, True, False)
    assert seen(A) == seen(B) == []
    assert deliver(carrier, clock) == [STOPPED.format("Colegio A, Colegio B")]
    for school_id in (A, B):
        assert told(school_id, EventType.OPT_OUT_CHANGED) == [
            {"person": None, "reply": None, "opted_out": 1, "by": "handset"}
        ]


def test_stop_in_answer_to_one_school_binds_at_the_others_too(clock: TestClock, carrier: FakeCarrier) -> None:
    reference = sent_by(A, clock, carrier)

    assert write("STOP", clock, answered=reference) is Outcome.TO_SCHOOL

    assert (seen(A), seen(B)) == (["STOP"], [])
    assert blocked(A)
    assert blocked(B)


def test_a_sentence_with_a_word_in_it_is_no_word(clock: TestClock) -> None:
    assert write("no puedo parar ahora", clock) is Outcome.WAITING
    assert write("no puedo parar ahora", clock, code=OWN) is Outcome.TO_SCHOOL

    assert not any(blocked(school_id) for school_id in (A, B, C))


def test_start_takes_back_what_stop_at_this_code_did_and_nothing_else(clock: TestClock, carrier: FakeCarrier) -> None:
    write("STOP", clock, code=OWN)
    write("STOP", clock)
    opt_out(ROSA, "person#g00001", school_id=A)
    clock.move(minutes=1)
    deliver(carrier, clock)

    assert write("ALTA", clock) is Outcome.OBEYED

    assert opt_outs.find_causes(A, ROSA) == {"person#g00001"}
    assert opt_outs.find_causes(B, ROSA) == frozenset()
    assert opt_outs.find_causes(C, ROSA) == {f"reply#{OWN}"}
    assert deliver(carrier, clock) == [STARTED.format("Colegio A, Colegio B")]
    assert [one["opted_out"] for one in told(B, EventType.OPT_OUT_CHANGED)] == [1, 0]


def test_start_at_one_code_does_not_undo_stop_at_another_of_the_same_school(
    clock: TestClock, carrier: FakeCarrier
) -> None:
    assert short_codes.create_code(ShortCode("CL", "20601", CARRIER, Purpose.SCHOOLS, school=C))
    write("STOP", clock, code=OWN)
    write("STOP", clock, code="20601")
    deliver(carrier, clock)
    clock.move(minutes=1)

    write("ALTA", clock, code="20601")

    assert opt_outs.find_causes(C, ROSA) == {f"reply#{OWN}"}
    assert deliver(carrier, clock) == []  # it would not be true
    assert len(told(C, EventType.OPT_OUT_CHANGED)) == 1


def test_start_takes_back_a_stop_of_before_causes_told_the_code(clock: TestClock) -> None:
    opt_out(ROSA, "reply", school_id=C)
    assert blocked(C)
    clock.move(minutes=1)

    write("ALTA", clock, code=OWN)

    assert not blocked(C)


def test_start_reaches_a_school_that_stop_reached_and_whose_directory_has_the_number_no_more(clock: TestClock) -> None:
    write("STOP", clock)
    change_person("g00001", school_id=B, left_at=NOON)
    clock.move(days=31)

    write("ALTA", clock)

    assert not blocked(B)


def test_help_says_who_writes_from_there_and_changes_nothing(clock: TestClock, carrier: FakeCarrier) -> None:
    assert write("AYUDA", clock) is Outcome.OBEYED
    assert write("ayuda", clock, code=OWN) is Outcome.TO_SCHOOL

    assert deliver(carrier, clock) == [HELP.format("Colegio A, Colegio B"), HELP.format("Colegio C")]
    assert not any(blocked(school_id) for school_id in (A, B, C))
    assert seen(A) == []


def test_an_english_word_is_answered_in_english(clock: TestClock, carrier: FakeCarrier) -> None:
    write("Unsubscribe", clock, code=OWN)

    assert deliver(carrier, clock) == ["Colegio C: you will get no more SMS. To get them again, answer START."]


def test_a_word_sends_nothing_on_and_asks_nothing(clock: TestClock, carrier: FakeCarrier) -> None:
    write("¿A qué hora?", clock)
    deliver(carrier, clock)

    write("AYUDA", clock)
    deliver(carrier, clock)

    assert write("1", clock) is Outcome.CHOSEN
    assert seen(A) == ["¿A qué hora?"]


def test_stop_is_obeyed_however_often_and_answered_so_often_a_day(clock: TestClock, carrier: FakeCarrier) -> None:
    for _ in range(answers.ANSWERS_PER_DAY + 3):
        clock.move(minutes=1)
        assert write("STOP", clock, code=OWN) is Outcome.TO_SCHOOL
        opt_outs_after = blocked(C)
        assert opt_outs_after
    assert len(deliver(carrier, clock)) <= answers.ANSWERS_PER_DAY

    clock.move(minutes=1)
    assert write("ALTA", clock, code=OWN) is Outcome.TO_SCHOOL
    assert not blocked(C)
    clock.move(minutes=1)
    assert write("STOP", clock, code=OWN) is Outcome.TO_SCHOOL
    assert blocked(C)
    assert deliver(carrier, clock) == []
    clock.move(days=1)
    write("STOP", clock, code=OWN)
    assert len(deliver(carrier, clock)) == 1


def test_a_handset_that_had_its_answers_today_is_asked_tomorrow(clock: TestClock, carrier: FakeCarrier) -> None:
    for _ in range(answers.ANSWERS_PER_DAY):
        write("AYUDA", clock, code=OWN)
    assert write("¿A qué hora?", clock) is Outcome.WAITING
    assert ASKED not in deliver(carrier, clock)
    assert write("1", clock) is Outcome.WAITING  # nobody has asked
    clock.move(days=1)

    write("¿Y hoy?", clock)

    assert deliver(carrier, clock) == [ASKED]
    assert write("2", clock) is Outcome.CHOSEN
    assert sorted(seen(B)) == ["1", "¿A qué hora?", "¿Y hoy?"]


def test_two_stops_of_one_moment_are_both_obeyed(clock: TestClock) -> None:
    assert write("STOP", clock, code=OWN) is Outcome.TO_SCHOOL
    assert write("BAJA", clock, code=OWN) is Outcome.TO_SCHOOL

    assert sorted(seen(C)) == ["BAJA", "STOP"]


# --- Only the confirmation passes the block


def test_the_confirmation_passes_the_block_and_a_school_message_of_the_same_second_does_not(
    clock: TestClock, carrier: FakeCarrier
) -> None:
    create(alert(), clock, caller=replace(DIRECTOR, school_id=C))
    write("STOP", clock, code=OWN)

    work_all(carrier, clock)
    assert carrier.heard == []

    assert deliver(carrier, clock) == [STOPPED.format("Colegio C")]


def test_no_other_answer_passes_the_block(clock: TestClock, carrier: FakeCarrier) -> None:
    write("AYUDA", clock, code=OWN)
    write("¿A qué hora?", clock)
    write("STOP", clock, code=OWN)
    write("STOP", clock)

    assert deliver(carrier, clock) == [STOPPED.format("Colegio C"), STOPPED.format("Colegio A, Colegio B")]


def test_the_answer_to_start_is_not_said_when_stop_came_after_it(clock: TestClock, carrier: FakeCarrier) -> None:
    write("STOP", clock, code=OWN)
    assert len(deliver(carrier, clock)) == 1
    clock.move(seconds=1)
    write("ALTA", clock, code=OWN)
    clock.move(seconds=1)
    write("STOP", clock, code=OWN)

    assert deliver(carrier, clock) == [STOPPED.format("Colegio C")]


def test_the_confirmation_is_not_said_when_start_came_after_it(clock: TestClock, carrier: FakeCarrier) -> None:
    write("STOP", clock, code=OWN)
    clock.move(seconds=1)
    write("ALTA", clock, code=OWN)

    assert deliver(carrier, clock) == [STARTED.format("Colegio C")]


def test_a_confirmation_whose_job_comes_twice_is_said_once(clock: TestClock, carrier: FakeCarrier) -> None:
    write("STOP", clock, code=OWN)
    [body] = jobs_on("SessionsQueue")

    for _ in range(3):
        dispatch.work_page(dispatch.read_job(body), worker(carrier, clock))

    assert len(carrier.heard) == 1
    assert ROSA not in str(all_tables()["SessionsTable"]).replace(f"ANSWERS#{ROSA}", "")


@pytest.mark.parametrize(("seconds", "is_said"), [(40, True), (540, False)])
def test_an_answer_whose_worker_dies_before_its_next_job_is_left_to_the_one_it_had_and_leaves_no_number_lying(
    clock: TestClock, carrier: FakeCarrier, monkeypatch: pytest.MonkeyPatch, seconds: int, is_said: bool
) -> None:
    write("STOP", clock, code=OWN)
    [body] = jobs_on("SessionsQueue")
    job = dispatch.read_job(body)
    carrier.answer = lambda _: Refused(RefusedBecause.FOR_NOW, "busy")
    with monkeypatch.context() as patch:
        patch.setattr(dispatch, "put_jobs", lambda *_, **__: kill())
        with pytest.raises(Killed):
            dispatch.work_page(job, worker(carrier, clock))
    carrier.answer = lambda _: None

    clock.move(seconds=seconds)  # the queue shows the same job again
    dispatch.work_page(job, worker(carrier, clock))

    assert len(carrier.heard) == int(is_said)
    assert pages.find_page(job.ref) is None


def test_an_answer_that_the_carrier_does_not_take_in_time_is_not_said_later(
    clock: TestClock, carrier: FakeCarrier
) -> None:
    write("STOP", clock, code=OWN)
    clock.now += answers.LIFE

    assert deliver(carrier, clock) == []
    assert "c#" not in str(all_tables()["SessionsTable"]).lower().replace("answers#", "")


def test_an_answer_goes_over_the_carrier_of_its_code(clock: TestClock) -> None:
    assert short_codes.create_code(ShortCode("CL", "40000", "twilio", Purpose.SCHOOLS, school=C))
    inbound.take_reply("twilio", IncomingReply("t1", ROSA, "40000", "STOP", NOON), clock)
    [body] = jobs_on("SessionsQueue")

    page = pages.find_page(dispatch.read_job(body).ref)

    assert page is not None
    assert (page.state.carrier, page.recipients[0].code) == ("twilio", "40000")


# --- Codes of sessions


def test_a_word_on_a_code_of_sessions_is_obeyed_and_answered_from_it(clock: TestClock, carrier: FakeCarrier) -> None:
    create_codes()
    open_session(clock)
    [text] = deliver_sessions(carrier, clock)

    for place, (word, begins) in enumerate(
        {"AYUDA": "Le escribe una persona", "STOP": "No le llegaran", "ALTA": "Le llegaran de nuevo"}.items()
    ):
        clock.move(seconds=1)
        assert answer(text, word, clock, reply_id=f"w{place}") is ReplyOutcome.TO_SESSION
        [said] = deliver_sessions(carrier, clock)
        assert said.text.startswith(begins)
        assert (said.to, said.sender) == (ANA, text.sender)
    assert opt_outs.find_causes("web", ANA) == frozenset()
    assert owed() == []


def test_a_late_word_is_answered_and_the_pair_rests_anew(clock: TestClock, carrier: FakeCarrier) -> None:
    create_codes()
    open_session(clock)
    [text] = deliver_sessions(carrier, clock)
    clock.move(minutes=6)

    assert answer(text, "STOP", clock) is ReplyOutcome.LATE
    assert answer(text, "STOP", clock) is ReplyOutcome.LATE

    assert len(deliver_sessions(carrier, clock)) == 1
    assert opt_outs.find_causes("web", ANA) == {"reply"}


# --- Lost requests, lost answers, deaths


SCENES: dict[str, Callable[[TestClock], Outcome]] = {
    "a text": lambda clock: write("Gracias", clock, handset=PEDRO, reply_id="x"),
    "a text that waits": lambda clock: write("¿A qué hora?", clock, reply_id="x"),
    "a word on a shared code": lambda clock: write("STOP", clock, reply_id="x"),
    "a word on an own code": lambda clock: write("STOP", clock, code=OWN, reply_id="x"),
}


def outcome_of(scene: str, carrier: FakeCarrier, clock: TestClock) -> dict[str, Any]:
    """Everything that may be seen of a scene when all is quiet."""
    clock.move(minutes=2)
    school_replies.take_up(clock)
    said = deliver(carrier, clock)
    if scene == "a text that waits":
        write("2", clock, reply_id="digit")
    return {
        "said": said,
        "seen": [seen(school_id) for school_id in (A, B, C)],
        "blocked": [blocked(school_id) for school_id in (A, B, C)],
        "told": [
            len(told(school_id, event_type))
            for school_id in (A, B, C)
            for event_type in (EventType.REPLY_RECEIVED, EventType.OPT_OUT_CHANGED)
        ],
        "owed": owed(),
    }


EXPECTED: dict[str, dict[str, Any]] = {
    "a text": {"said": [], "seen": [["Gracias"], [], []], "blocked": [False] * 3, "told": [1, 0, 0, 0, 0, 0]},
    "a text that waits": {
        "said": [ASKED],
        "seen": [[], ["¿A qué hora?"], []],
        "blocked": [False] * 3,
        "told": [0, 0, 1, 0, 0, 0],
    },
    "a word on a shared code": {
        "said": [STOPPED.format("Colegio A, Colegio B")],
        "seen": [[], [], []],
        "blocked": [True, True, False],
        "told": [0, 1, 0, 1, 0, 0],
    },
    "a word on an own code": {
        "said": [STOPPED.format("Colegio C")],
        "seen": [[], [], ["STOP"]],
        "blocked": [False, False, True],
        "told": [0, 0, 0, 0, 1, 1],
    },
}


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("operation", ["TransactWriteItems", "PutItem", "UpdateItem", "DeleteItem"])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_whoever_dies_at_any_write_leaves_nothing_undone_and_nothing_twice(
    clock: TestClock, carrier: FakeCarrier, scene: str, operation: str, nth: int
) -> None:
    try:
        with just_before(operation, kill, nth=nth):
            SCENES[scene](clock)
    except Killed:
        if operation == "TransactWriteItems" and nth == 1:
            SCENES[scene](clock)  # nothing was written, nothing was answered: the carrier brings it again

    assert outcome_of(scene, carrier, clock) == EXPECTED[scene] | {"owed": []}


@pytest.mark.parametrize("scene", SCENES)
def test_a_death_before_the_job_is_put_is_made_up_by_the_minutes_run(
    clock: TestClock, carrier: FakeCarrier, scene: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(answers, "put_jobs", die)
        patch.setattr(events, "raise_event", die)
        with pytest.raises(Killed):
            SCENES[scene](clock)

    assert outcome_of(scene, carrier, clock) == EXPECTED[scene] | {"owed": []}


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("kinds", [("lost",), ("applied",), ("applied", "applied"), (None, "applied")])
def test_a_request_or_an_answer_that_is_lost_changes_nothing(
    clock: TestClock, carrier: FakeCarrier, scene: str, kinds: tuple[Fault | None, ...]
) -> None:
    with faults("TransactWriteItems", *kinds):
        SCENES[scene](clock)

    assert SCENES[scene](clock) is Outcome.DUPLICATE
    assert outcome_of(scene, carrier, clock) == EXPECTED[scene] | {"owed": []}


def test_a_school_whose_events_are_busy_keeps_no_confirmation_and_no_other_schools_event(
    clock: TestClock, carrier: FakeCarrier
) -> None:
    real = events.raise_event

    def busy_at_a(school_id: str, new: NewEvent) -> None:
        if school_id == A:
            raise EventsBusy
        real(school_id, new)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(events, "raise_event", busy_at_a)
        assert write("STOP", clock) is Outcome.OBEYED
        said = deliver(carrier, clock)
        assert len(told(B, EventType.OPT_OUT_CHANGED)) == 1
    clock.move(minutes=2)
    school_replies.take_up(clock)

    assert said + deliver(carrier, clock) == [STOPPED.format("Colegio A, Colegio B")]
    assert said
    assert [len(told(one, EventType.OPT_OUT_CHANGED)) for one in (A, B)] == [1, 1]
    assert owed() == []


def test_a_duplicate_makes_up_what_the_first_delivery_did_not_live_to_do(
    clock: TestClock, carrier: FakeCarrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the queue is away")

    with monkeypatch.context() as patch:
        patch.setattr(answers, "put_jobs", fail)
        assert write("STOP", clock, code=OWN, reply_id="x") is Outcome.TO_SCHOOL
    assert len(owed()) == 1
    assert deliver(carrier, clock) == []

    assert write("STOP", clock, code=OWN, reply_id="x") is Outcome.DUPLICATE

    assert deliver(carrier, clock) == [STOPPED.format("Colegio C")]
    assert owed() == []


def test_what_there_is_no_time_for_is_the_next_minutes(clock: TestClock, carrier: FakeCarrier) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(answers, "put_jobs", lambda *_, **__: 1 / 0)
        write("AYUDA", clock, code=OWN)
        write("AYUDA", clock)
    clock.move(minutes=2)

    assert school_replies.take_up(clock, lambda: timedelta(seconds=4)) == 0
    assert len(owed()) == 2
    assert school_replies.take_up(clock, lambda: timedelta(seconds=50)) == 2

    assert len(deliver(carrier, clock)) == 2


def test_a_sandboxs_handset_is_answered_over_the_simulated_line_only(clock: TestClock) -> None:
    school_id = f"{A}~test"
    create_school(school_id, code="")
    ref = PageRef(PageKind.MESSAGE, school_id, "m1", "p1", 0)
    pages.create_pages([(ref, [PageRecipient("+56900000010", ("g",), Zone.DOMESTIC, 1)])], expires_at=2_000_000_000)
    reply = IncomingReply("s1", "+56900000010", "00000", "STOP", NOON, in_reply_to=ref.reference(0))

    assert school_replies.take_answer("simulated", reply, clock()) is Outcome.TO_SCHOOL

    [body] = jobs_on("SessionsQueue")
    (way,) = lines.lines_for(dispatch.read_job(body).ref, 1, clock).ways("CL", "", "")
    assert way.carrier == "simulated"
    stolen = write("STOP", clock, handset="+56900000010", answered=ref.reference(0))
    assert stolen is Outcome.UNROUTED  # no carrier brings what is a sandbox's


# --- The list


def test_replies_are_listed_by_what_is_asked_for_in_pages(clock: TestClock) -> None:
    for place in range(7):
        clock.move(minutes=1)
        write("BAJA" if place % 3 == 0 else f"texto {place}", clock, handset=PEDRO)
    caller = replace(DIRECTOR, school_id=A)

    def texts(wanted: ReplyFilter, limit: int = 2) -> list[str]:
        found: list[str] = []
        before = None
        for _ in range(9):
            some, before = messages.list_replies(caller, wanted, limit=limit, before=before)
            found += [one.text for one in some]
            if before is None:
                return found
        raise AssertionError("no end")

    assert texts(ReplyFilter(word="stop")) == ["BAJA"] * 3
    assert len(texts(ReplyFilter())) == 7
    assert texts(ReplyFilter(number=ROSA)) == []
    assert len(texts(ReplyFilter(code=SHARED, number=PEDRO))) == 7
    since, until = NOON + timedelta(minutes=2), NOON + timedelta(minutes=4)
    assert texts(ReplyFilter(since=since, until=until)) == ["texto 2", "texto 1"]
