"""Personal fields: each is sent what was priced for them; siblings are joined; a number is one text (L3, L11)."""

from dataclasses import replace

import pytest

from recado import message_reports, messages, receipts, records
from recado.rules.delivery_states import RecipientState
from recado.rules.message_states import MessageState
from recado.rules.texts import SEGMENTS_MAX
from recado.tables.messages import Message
from tests.message_worlds import OTHER_COURSE, add_course, add_person, change_person, estimated
from tests.worlds import (
    COURSE,
    DIRECTOR,
    NOON,
    SCHOOL,
    FakeCarrier,
    TestClock,
    alert,
    create,
    create_school,
    figures,
    mobile,
    work_all,
)

pytestmark = pytest.mark.usefixtures("aws")

TEXT = "{guardian}: {student} ({course}) sale a las 11"


def add_family() -> None:
    """Rosa with Ana in 7B and Íñigo in 8A; the children have no number of their own."""
    add_course()
    add_person("ana", "student", name="Ana", guardians=("rosa",))
    add_person("inigo", "student", name="Íñigo", courses=(OTHER_COURSE,), guardians=("rosa",))
    add_person("rosa", number=mobile(1), courses=(COURSE, OTHER_COURSE), students=("ana", "inigo"))


def heard(text: str = TEXT, audience: dict[str, list[str]] | None = None) -> dict[str, str]:
    """What each number is sent."""
    clock, carrier = TestClock(), FakeCarrier()
    create(alert(text=text, audience=audience or {"who": ["guardians"]}), clock)
    work_all(carrier, clock)
    return {one.to: one.text for one in carrier.heard}


def test_siblings_are_joined_in_the_one_text_of_their_guardian() -> None:
    create_school()
    add_family()

    assert heard() == {mobile(1): "Rosa Muñoz: Ana e Íñigo (7° Básico B y 8° Básico A) sale a las 11"}


def test_a_text_to_one_course_names_only_the_child_who_is_in_it() -> None:
    create_school()
    add_family()

    assert heard(audience={"who": ["guardians"], "groups": [COURSE]}) == {
        mobile(1): "Rosa Muñoz: Ana (7° Básico B) sale a las 11"
    }


def test_a_child_who_is_an_exception_is_not_named() -> None:
    create_school()
    add_family()

    assert heard("{student}", {"who": ["guardians"], "minus_people": ["ana"]}) == {mobile(1): "Íñigo"}


def test_a_child_who_has_left_is_not_named() -> None:
    create_school()
    add_family()
    change_person("ana", left_at=NOON)

    assert heard("{student}") == {mobile(1): "Íñigo"}


def test_a_guardian_added_by_name_hears_of_every_child() -> None:
    create_school()
    add_family()

    assert heard("{student}", {"people": ["rosa"]}) == {mobile(1): "Ana e Íñigo"}


def test_a_student_who_shares_the_guardians_number_makes_no_second_text() -> None:
    create_school()
    add_family()
    change_person("ana", number=mobile(1))

    assert heard("{guardian}, {student}", {"who": ["guardians", "students"], "groups": [COURSE]}) == {
        mobile(1): "Rosa Muñoz, Ana"
    }


def test_staff_are_said_neutral_words_where_they_have_no_student() -> None:
    create_school()
    add_person("profe", "teacher", number=mobile(1))

    assert heard("{student} de {course}", {"who": ["staff"]}) == {mobile(1): "su estudiante de 7° Básico B"}


def test_for_how_many_a_field_says_a_neutral_word_is_in_the_estimate() -> None:
    create_school()
    add_family()
    add_person("luis", number=mobile(2), courses=())

    found = estimated(alert(text=TEXT, audience={"who": ["guardians"]}), TestClock())

    assert found.totals is not None
    assert found.totals.filled == {"student": 1, "course": 1}


def test_a_name_that_looks_like_a_field_is_a_name() -> None:
    create_school()
    add_person("bobby", "student", name="{course}", guardians=("rosa",))
    add_person("rosa", number=mobile(1), students=("bobby",))

    assert heard("{student}") == {mobile(1): "{course}"}


# --- different lengths ------------------------------------------------------------------------------------------

LONG_NAME = "Maximiliano Bartolomé"


def add_two_lengths() -> None:
    """With 150 characters around it, "Eva" is one part and the long name, with its á... é is GSM-7, two."""
    for position, name in enumerate(("Eva", LONG_NAME)):
        add_person(f"s{position}", "student", name=name, guardians=(f"g{position}",))
        add_person(f"g{position}", number=mobile(position), students=(f"s{position}",))


def of_two_lengths(clock: TestClock, carrier: FakeCarrier) -> Message:
    text = "{student}" + "x" * 150
    shown = estimated(alert(text=text), clock)
    message = create(alert(text=text), clock)
    assert shown.totals is not None
    assert shown.totals.credits == message.held
    work_all(carrier, clock)
    return records.get_message(SCHOOL, message.id)


def test_each_text_costs_its_own_length_and_exactly_that_is_captured() -> None:
    create_school()
    add_two_lengths()

    message = of_two_lengths(TestClock(), FakeCarrier())

    assert (message.segments_least, message.segments, message.held) == (1, 2, {"domestic": 3})
    assert (message.state, message.captured, figures()) == (MessageState.SENT, {"domestic": 3}, (997, 0, 3))


def test_a_text_of_two_parts_is_delivered_when_both_parts_are() -> None:
    create_school()
    add_two_lengths()
    clock, carrier = TestClock(), FakeCarrier()
    message = of_two_lengths(clock, carrier)
    references = {text.to: text.reference for text in carrier.heard}

    def report(number: str, part: int) -> None:
        job = {"carrier": "fake", "receipts": [[references[number], None, "delivered", part, int(NOON.timestamp())]]}
        assert receipts.add_receipts([job]).again == []

    report(mobile(0), 1)
    report(mobile(1), 1)
    assert counts(message) == {RecipientState.DELIVERED: 1, RecipientState.SENT: 1}
    report(mobile(1), 2)

    assert counts(message) == {RecipientState.DELIVERED: 2}


def counts(message: Message) -> dict[RecipientState, int]:
    return dict(message_reports.get_delivery(DIRECTOR, message.id, NOON).counts)


def test_what_was_priced_is_sent_though_a_name_changes_after_the_hold() -> None:
    create_school()
    add_two_lengths()
    clock, carrier = TestClock(), FakeCarrier()
    create(alert(text="{student}"), clock)

    change_person("s0", given_name=LONG_NAME * 2)
    work_all(carrier, clock)

    assert {text.text for text in carrier.heard} == {"Eva", LONG_NAME}


def test_names_that_would_make_a_text_too_long_give_way_to_the_neutral_word() -> None:
    create_school()
    add_two_lengths()
    clock, carrier = TestClock(), FakeCarrier()
    text = "{student}" + "x" * (SEGMENTS_MAX * 153 - len("su estudiante"))

    message = create(alert(text=text), clock)
    work_all(carrier, clock)

    assert sorted(one.text[:13] for one in carrier.heard) == ["Evaxxxxxxxxxx", "su estudiante"]
    assert message.held == {"domestic": 2 * SEGMENTS_MAX}


def test_dropping_accents_drops_those_of_names_too_and_is_priced_so() -> None:
    create_school()
    add_person("s", "student", name="Ángel Nuñez", guardians=("g",))
    add_person("g", number=mobile(1), students=("s",))
    clock, carrier = TestClock(), FakeCarrier()
    new = replace(alert(text="{student}" + "x" * 100), drop_accents=True)

    message = create(new, clock)
    work_all(carrier, clock)

    assert [one.text for one in carrier.heard] == ["Angel Nuñez" + "x" * 100]
    assert message.held == {"domestic": 1}


def test_sent_again_a_text_is_about_the_same_child_as_the_first_time() -> None:
    create_school()
    add_family()
    clock, carrier = TestClock(), FakeCarrier()
    first = create(alert(text="{student}", audience={"who": ["guardians"], "groups": [COURSE]}), clock)
    messages.stop(DIRECTOR, first.id, clock())
    work_all(carrier, clock)

    again = messages.create_again(DIRECTOR, first.id, [], "key-2", clock(), key_is_first=True)
    messages.send(DIRECTOR, again.id, None, clock())
    work_all(carrier, clock)

    assert [one.text for one in carrier.heard] == ["Ana"]
