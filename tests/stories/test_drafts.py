"""Drafts: what a message may say, by which ways (L1), to whom (L3); edits, by one or by two at a time."""

from dataclasses import replace
from typing import Any

import pytest

from recado import drafts, messages, templates
from recado.drafts import NewMessage
from recado.errors import ChangedMeanwhile, InvalidRequest, NotAllowedToSend, NoticeNeedsConfirming, WrongState
from recado.rules.message_states import Category, MessageState
from recado.tables import messages as message_table
from recado.tables.messages import HISTORY_MAX, Message
from recado.tables.templates import Template
from tests.faults import faults, meanwhile
from tests.message_worlds import change_person, to
from tests.worlds import (
    COURSE,
    DIRECTOR,
    NOON,
    SCHOOL,
    TEACHER,
    TestClock,
    add_guardians,
    alert,
    create,
    create_school,
    figures,
)

pytestmark = pytest.mark.usefixtures("aws")


def draft(text: str = "Reunión el jueves", **changes: Any) -> NewMessage:
    return replace(alert(text=text, send=False), **changes)


def saved(message: Message) -> Message:
    found = message_table.find_message(SCHOOL, message.id)
    assert found is not None
    return found


def problems(new: NewMessage) -> list[tuple[str, str]]:
    with pytest.raises(InvalidRequest) as refused:
        create(new, TestClock())
    assert messages.list_recent(DIRECTOR, limit=1, before=None) == ([], None)
    return [(problem.field, problem.code) for problem in refused.value.fields]


# --- the text ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty"),
        (" \n ", "empty"),
        ("Hola {apellido}", "unknown_field"),
        ("{student}" * 11, "too_many_fields"),
        ("hola\x00", "control_character"),
        ("hola \u202egnp.exe", "direction_control"),
        ("😀" * 336, "too_long"),
    ],
)
def test_a_text_that_cannot_be_sent_makes_no_draft(text: str, code: str) -> None:
    create_school()
    add_guardians(1)

    assert problems(draft(text)) == [("/text", code)]


@pytest.mark.parametrize("text", ["😀", "مرحبا", "It's {that", "=1+1", "{student} y {alumna}"])
def test_any_other_text_is_kept_as_it_was_written(text: str) -> None:
    create_school()
    add_guardians(1)

    assert saved(create(draft(text), TestClock())).text == text


def test_a_text_for_the_message_centre_alone_may_be_longer_than_an_sms_L4() -> None:
    create_school()
    add_guardians(1)

    assert create(to("inbox", new=draft("a" * 5000)), TestClock()).state is MessageState.DRAFT
    assert problems_after_the_first(to("inbox", new=draft("a" * 5001))) == [("/text", "too_long")]


def problems_after_the_first(new: NewMessage) -> list[tuple[str, str]]:
    with pytest.raises(InvalidRequest) as refused:
        create(new, TestClock(), key="key-2")
    return [(problem.field, problem.code) for problem in refused.value.fields]


# --- notices ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [("sms",), ("sms", "inbox")])
def test_a_notice_by_sms_is_not_even_drafted_without_its_confirmation_L1(channels: tuple[str, ...]) -> None:
    create_school()
    add_guardians(1)

    with pytest.raises(NoticeNeedsConfirming) as refused:
        create(to(*channels, new=draft(category=Category.NOTICE)), TestClock())

    assert refused.value.members == {"message_centre_credits": 0}
    assert messages.list_recent(DIRECTOR, limit=1, before=None) == ([], None)


def test_a_notice_in_the_message_centre_needs_no_confirmation_L1() -> None:
    create_school()
    add_guardians(1)

    assert create(to("inbox", new=draft(category=Category.NOTICE)), TestClock()).state is MessageState.DRAFT


def test_an_alert_edited_into_a_notice_needs_the_confirmation_too_L1() -> None:
    create_school()
    add_guardians(1)
    clock = TestClock()
    made = create(draft(), clock)

    with pytest.raises(NoticeNeedsConfirming):
        messages.edit(DIRECTOR, made.id, draft(category=Category.NOTICE), clock())

    assert saved(made) == made


# --- the audience -----------------------------------------------------------------------------------------------


def test_every_mistake_in_an_audience_is_told_at_once_with_its_place_L3() -> None:
    create_school()
    add_guardians(2)
    change_person("g00001", left_at=NOON)
    audience = {
        "who": ["guardians"],
        "groups": [COURSE, "nope"],
        "minus_groups": ["neither"],
        "people": ["g00000", "ghost", "g00001"],
    }

    assert problems(draft(audience=audience)) == [
        ("/audience/groups/1", "no_such_group"),
        ("/audience/minus_groups/0", "no_such_group"),
        ("/audience/people/1", "no_such_person"),
        ("/audience/people/2", "no_such_person"),
    ]


@pytest.mark.parametrize("audience", [{}, {"groups": [COURSE]}, {"minus_people": ["g00000"]}])
def test_an_audience_that_names_nobody_is_refused(audience: dict[str, list[str]]) -> None:
    create_school()
    add_guardians(1)

    assert problems(replace(draft(), audience=audience)) == [("/audience", "nobody")]


def test_another_schools_groups_and_people_do_not_exist() -> None:
    create_school()
    create_school("otra-escuela")
    add_guardians(1, "otra-escuela")

    assert problems(draft(audience={"people": ["g00000"]})) == [("/audience/people/0", "no_such_person")]


# --- templates --------------------------------------------------------------------------------------------------


def template(text: str = "Hola {student}") -> Template:
    said = templates.Content("Reunión", Category.MEETING, text, drop_accents=True)
    return templates.create(DIRECTOR, said, "key-t", NOON, is_first=True)


def content(named: tuple[str, int | None] | None, text: str | None = None, category: Category | None = None) -> Any:
    return messages.content_of(DIRECTOR, text, category, named, drop_accents=False)


def test_a_message_says_what_its_template_says_and_remembers_which_version() -> None:
    create_school()
    made = template()

    assert content((made.id, None)) == ("Hola {student}", Category.MEETING, {"id": made.id, "version": 1}, True)


def test_a_messages_own_category_outweighs_its_templates() -> None:
    create_school()

    assert content((template().id, 1), category=Category.OTHER_ALERT)[1] is Category.OTHER_ALERT


@pytest.mark.parametrize("named", [("ghost", None), ("ghost", 1)])
def test_a_template_that_is_not_there_is_a_wrong_field(named: tuple[str, int | None]) -> None:
    create_school()

    with pytest.raises(InvalidRequest) as refused:
        content(named)

    assert [(one.field, one.code) for one in refused.value.fields] == [("/template", "no_such_template")]


def test_a_version_that_is_not_there_is_a_wrong_field() -> None:
    create_school()
    made = template()

    with pytest.raises(InvalidRequest) as refused:
        content((made.id, 2))

    assert [one.code for one in refused.value.fields] == ["no_such_template"]


def test_an_archived_template_is_not_sent_from() -> None:
    create_school()
    made = template()
    templates.archive(DIRECTOR, made.id, NOON)

    with pytest.raises(InvalidRequest) as refused:
        content((made.id, 1))

    assert [(one.field, one.code) for one in refused.value.fields] == [("/template", "archived")]


def test_a_teacher_uses_no_template_L2() -> None:
    create_school()
    made = template()

    with pytest.raises(NotAllowedToSend):
        messages.content_of(TEACHER, None, None, (made.id, 1), drop_accents=False)


# --- edits ------------------------------------------------------------------------------------------------------


def test_an_edit_keeps_who_made_it_and_says_who_changed_it() -> None:
    create_school()
    add_guardians(1)
    clock = TestClock()
    made = create(draft(), clock)
    clock.move(minutes=1)
    other = replace(DIRECTOR, subject="administrativo")

    edited = messages.edit(other, made.id, draft("Reunión el viernes"), clock())

    assert saved(made) == edited
    assert (edited.text, edited.revision, edited.created_by) == ("Reunión el viernes", 1, "directora")
    assert [(one["act"], one["by"]) for one in edited.history] == [
        ("created", "directora"),
        ("edited", "administrativo"),
    ]


def test_of_two_editors_who_looked_at_the_same_draft_the_second_is_told() -> None:
    create_school()
    add_guardians(1)
    clock = TestClock()
    made = create(draft(), clock)
    messages.edit(DIRECTOR, made.id, draft("Primera"), clock(), revision=0)

    with pytest.raises(ChangedMeanwhile):
        messages.edit(DIRECTOR, made.id, draft("Segunda"), clock(), revision=0)

    assert saved(made).text == "Primera"


def test_of_two_edits_at_the_same_moment_one_is_told() -> None:
    create_school()
    add_guardians(1)
    clock = TestClock()
    made = create(draft(), clock)

    def other_edit() -> Message:
        return messages.edit(DIRECTOR, made.id, draft("Primera"), clock())

    with meanwhile("UpdateItem", other_edit), pytest.raises(ChangedMeanwhile):
        messages.edit(DIRECTOR, made.id, draft("Segunda"), clock())

    assert saved(made).text == "Primera"


def test_an_edit_whose_answer_was_lost_was_made_once() -> None:
    create_school()
    add_guardians(1)
    clock = TestClock()
    made = create(draft(), clock)

    with faults("UpdateItem", "applied"):
        edited = messages.edit(DIRECTOR, made.id, draft("Reunión el viernes"), clock(), revision=0)

    assert saved(made) == edited
    assert (edited.text, edited.revision) == ("Reunión el viernes", 1)


def test_a_draft_whose_answer_was_lost_is_one_draft() -> None:
    create_school()
    add_guardians(1)
    clock = TestClock()

    with faults("UpdateItem", "applied"):
        made = create(draft(), clock)

    assert saved(made) == made


def test_a_draft_edited_while_it_is_sent_is_not_sent_as_it_was() -> None:
    create_school()
    add_guardians(1)
    clock = TestClock()
    made = create(draft(), clock)

    def edit() -> Message:
        return messages.edit(DIRECTOR, made.id, draft("Otra cosa"), clock())

    with meanwhile("TransactWriteItems", edit), pytest.raises(ChangedMeanwhile):
        messages.send(DIRECTOR, made.id, None, clock())

    assert (saved(made).state, saved(made).text, figures()) == (MessageState.DRAFT, "Otra cosa", (1000, 0, 0))


def test_a_draft_sent_while_it_is_edited_goes_out_as_it_was() -> None:
    create_school()
    add_guardians(1)
    clock = TestClock()
    made = create(draft(), clock)

    def send() -> Message:
        return messages.send(DIRECTOR, made.id, None, clock())

    with meanwhile("UpdateItem", send), pytest.raises(ChangedMeanwhile):
        messages.edit(DIRECTOR, made.id, draft("Otra cosa"), clock())

    assert (saved(made).state, saved(made).text) == (MessageState.SENDING, "Reunión el jueves")


def test_two_sends_of_one_draft_at_the_same_moment_pay_once() -> None:
    create_school()
    add_guardians(2)
    clock = TestClock()
    made = create(draft(), clock)

    def send() -> Message:
        return messages.send(DIRECTOR, made.id, None, clock())

    with meanwhile("TransactWriteItems", send):
        second = send()

    assert (second.state, figures()) == (MessageState.SENDING, (998, 2, 0))


def test_a_draft_scheduled_while_it_is_sent_is_told_that_it_has_gone_out() -> None:
    create_school()
    add_guardians(2)
    clock = TestClock()
    made = create(draft(), clock)

    def send() -> Message:
        return messages.send(DIRECTOR, made.id, None, clock())

    with meanwhile("TransactWriteItems", send), pytest.raises(WrongState):
        messages.send(DIRECTOR, made.id, NOON.replace(hour=18), clock())

    assert (saved(made).state, figures()) == (MessageState.SENDING, (998, 2, 0))


def test_a_teacher_neither_makes_nor_changes_a_draft_L2() -> None:
    create_school()
    add_guardians(1)
    clock = TestClock()
    made = create(draft(), clock)

    with pytest.raises(NotAllowedToSend):
        messages.edit(TEACHER, made.id, draft("Otra"), clock())
    with pytest.raises(NotAllowedToSend):
        create(draft(), clock, key="key-2", caller=TEACHER)

    assert saved(made) == made


def test_a_message_on_its_way_cannot_be_changed() -> None:
    create_school()
    add_guardians(1)
    clock = TestClock()
    made = create(alert(), clock)

    with pytest.raises(WrongState):
        messages.edit(DIRECTOR, made.id, draft("Otra"), clock())


def test_of_very_many_acts_the_creation_and_the_latest_are_remembered() -> None:
    create_school()
    add_guardians(1)
    made = create(draft(), TestClock())

    for position in range(HISTORY_MAX + 5):
        made = replace(made, history=drafts.history_with(made, f"edited-{position}", "x", NOON))

    acts = [one["act"] for one in made.history]
    assert (len(acts), acts[0], acts[-1]) == (HISTORY_MAX, "created", f"edited-{HISTORY_MAX + 4}")
