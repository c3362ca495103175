"""Templates when answers are lost, when two people save at once, and as messages read them."""

from datetime import timedelta

import pytest
from pynamodb.exceptions import TransactWriteError, UpdateError

from recado import templates
from recado.access import Caller
from recado.errors import ChangedMeanwhile, IdempotencyKeyReused, NotFound, WrongState
from recado.rules.message_states import Category
from recado.rules.roles import Role
from recado.tables import templates as table
from recado.templates import Content
from tests.faults import Fault, faults
from tests.worlds import DIRECTOR, NOON, SCHOOL

CONTENT = Content("Suspensión", Category.CLASSES_CANCELLED, "Mañana no hay clases, {curso}.", drop_accents=False)
OTHER = Content("Suspensión", Category.CLASSES_CANCELLED, "El lunes no hay clases, {curso}.", drop_accents=True)
LATER = NOON + timedelta(minutes=1)
INSPECTOR = Caller(SCHOOL, Role.ADMINISTRATOR, "inspectora")


def create() -> table.Template:
    return templates.create(DIRECTOR, CONTENT, "key-1", NOON, is_first=True)


def versions_of(template_id: str) -> list[int]:
    found, _ = templates.list_versions(DIRECTOR, template_id, limit=100, before=None)
    return [one.version for one in found]


@pytest.mark.parametrize("fault", ["lost", "applied"])
def test_a_template_whose_answer_is_lost_is_made_once(aws: None, fault: Fault) -> None:
    with faults("TransactWriteItems", fault) as attempts:
        made = create()

    assert attempts == [fault, "arrived"]
    assert templates.get_version(SCHOOL, made.id, None) == made
    assert versions_of(made.id) == [1]


def test_a_request_that_died_is_carried_on_by_the_next_of_its_key(aws: None) -> None:
    with faults("TransactWriteItems", "applied", "applied", "applied"), pytest.raises(TransactWriteError):
        create()

    found = templates.create(DIRECTOR, CONTENT, "key-1", LATER, is_first=False)

    assert (found.version, found.created_at) == (1, NOON)
    assert versions_of(found.id) == [1]


def test_a_key_of_long_ago_makes_nothing_and_says_so(aws: None) -> None:
    create()

    with pytest.raises(IdempotencyKeyReused):
        templates.create(DIRECTOR, OTHER, "key-1", NOON + timedelta(days=2), is_first=True)


@pytest.mark.parametrize("fault", ["lost", "applied"])
def test_a_change_whose_answer_is_lost_is_one_version(aws: None, fault: Fault) -> None:
    made = create()

    with faults("TransactWriteItems", fault) as attempts:
        changed = templates.change(INSPECTOR, made.id, OTHER, 1, LATER)

    assert attempts == [fault, "arrived"]
    assert (changed.version, changed.saved_by, changed.created_by) == (2, "inspectora", "directora")
    assert versions_of(made.id) == [2, 1]


def test_a_change_asked_again_after_its_answer_was_lost_is_one_version(aws: None) -> None:
    made = create()
    with faults("TransactWriteItems", "applied", "applied", "applied"), pytest.raises(TransactWriteError):
        templates.change(DIRECTOR, made.id, OTHER, 1, LATER)

    changed = templates.change(DIRECTOR, made.id, OTHER, 1, LATER + timedelta(minutes=1))

    assert (changed.version, changed.saved_at) == (2, LATER)
    assert versions_of(made.id) == [2, 1]


def test_saving_without_a_change_makes_no_version(aws: None) -> None:
    made = create()

    assert templates.change(INSPECTOR, made.id, CONTENT, 1, LATER) == made
    assert versions_of(made.id) == [1]


def test_of_two_who_save_at_once_one_is_told(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    made = create()
    find_template, others = table.find_template, [Content("Otra", Category.MEETING, "Reunión", drop_accents=False)]

    def find_and_let_the_other_save(school_id: str, template_id: str) -> table.Template | None:
        found = find_template(school_id, template_id)
        if others:
            templates.change(INSPECTOR, made.id, others.pop(), 1, LATER)
        return found

    monkeypatch.setattr(table, "find_template", find_and_let_the_other_save)

    with pytest.raises(ChangedMeanwhile) as refused:
        templates.change(DIRECTOR, made.id, OTHER, 1, LATER)

    assert refused.value.members == {"version": 2}
    assert templates.get_version(SCHOOL, made.id, None).saved_by == "inspectora"
    assert versions_of(made.id) == [2, 1]


def test_a_template_archived_at_the_same_moment_is_not_changed(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    made = create()
    find_template, others = table.find_template, [INSPECTOR]

    def find_and_let_the_other_archive(school_id: str, template_id: str) -> table.Template | None:
        found = find_template(school_id, template_id)
        if others:
            templates.archive(others.pop(), made.id, LATER)
        return found

    monkeypatch.setattr(table, "find_template", find_and_let_the_other_archive)

    with pytest.raises(WrongState) as refused:
        templates.change(DIRECTOR, made.id, OTHER, 1, LATER)

    assert refused.value.code == "wrong_state"
    assert versions_of(made.id) == [1]


@pytest.mark.parametrize("fault", ["lost", "applied"])
def test_archiving_twice_keeps_the_first_moment(aws: None, fault: Fault) -> None:
    made = create()

    with faults("UpdateItem", fault):
        templates.archive(DIRECTOR, made.id, NOON)
    templates.archive(INSPECTOR, made.id, LATER)

    found = templates.get_version(SCHOOL, made.id, None)
    assert (found.archived_by, found.archived_at) == ("directora", NOON)


def test_an_archive_that_never_arrives_is_no_success(aws: None) -> None:
    made = create()

    with faults("UpdateItem", "lost", "lost", "lost"), pytest.raises(UpdateError):
        templates.archive(DIRECTOR, made.id, NOON)


def test_a_version_a_message_was_made_from_reads_the_same_for_good(aws: None) -> None:
    made = create()
    templates.change(DIRECTOR, made.id, OTHER, 1, LATER)
    templates.archive(DIRECTOR, made.id, LATER)

    first = templates.get_version(SCHOOL, made.id, 1)

    assert (first.text, first.drop_accents, first.saved_at) == (CONTENT.text, False, NOON)
    assert (first.newest_version, first.archived_at) == (2, LATER)


@pytest.mark.parametrize(("school", "version"), [(SCHOOL, 2), ("liceo-1", None), ("liceo-1", 1)])
def test_what_is_not_there_or_anothers_is_not_found(aws: None, school: str, version: int | None) -> None:
    made = create()

    with pytest.raises(NotFound):
        templates.get_version(school, made.id, version)


def test_text_and_name_are_kept_composed(aws: None) -> None:
    pasted = Content(" Reunio\u0301n ", Category.MEETING, "Man\u0303ana\r\nhay\u200b reunión", drop_accents=False)

    made = templates.create(DIRECTOR, pasted, "key-2", NOON, is_first=True)

    assert (made.name, made.text) == ("Reunión", "Mañana\nhay reunión")
