"""What a school decides about itself, and that two who decide at once do not undo each other."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest
from pynamodb.exceptions import PutError

from recado import school_settings
from recado.access import Caller
from recado.errors import ChangedMeanwhile, InvalidRequest, NotAllowed, NotFound
from recado.rules.credit_bags import Zone
from recado.rules.plain_words import Language
from recado.rules.quiet_hours import QuietHours
from recado.rules.roles import Role
from recado.rules.school_settings import THRESHOLD_MAX, SchoolSettings, read_quiet_hours, read_thresholds
from recado.school_settings import Wanted
from recado.tables import school_settings as table
from tests import worlds
from tests.faults import Fault, faults
from tests.worlds import DIRECTOR, SCHOOL

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
NIGHT = QuietHours(time(21, 30), time(7, 0))
WANTED = Wanted(NIGHT, {Zone.DOMESTIC: 100}, Language.EN, version=0)
SECRETARY = Caller(SCHOOL, Role.ADMINISTRATOR, "secretaria")


@pytest.fixture(autouse=True)
def school(aws: None) -> None:
    worlds.create_school()


def test_a_school_that_never_decided_anything_has_the_defaults() -> None:
    _, settings = school_settings.get_school(DIRECTOR)

    assert settings == SchoolSettings(None, {}, Language.ES, 0, None, None)


def test_settings_are_kept_with_who_and_when() -> None:
    changed = school_settings.change_settings(DIRECTOR, WANTED, NOW)

    expected = SchoolSettings(NIGHT, {Zone.DOMESTIC: 100}, Language.EN, 1, "directora", NOW)
    assert changed == table.find_settings(SCHOOL) == expected


def test_what_is_set_back_to_none_is_none() -> None:
    school_settings.change_settings(DIRECTOR, WANTED, NOW)

    school_settings.change_settings(SECRETARY, Wanted(None, {}, Language.ES, version=1), NOW)

    found = table.find_settings(SCHOOL)
    assert (found.quiet_hours, found.low_balance, found.version, found.changed_by) == (None, {}, 2, "secretaria")


def test_whoever_saw_an_older_version_is_refused_and_told_which_one_is_there() -> None:
    school_settings.change_settings(DIRECTOR, WANTED, NOW)

    with pytest.raises(ChangedMeanwhile) as refused:
        school_settings.change_settings(SECRETARY, replace(WANTED, quiet_hours=None), NOW)

    assert refused.value.members == {"version": 1}
    assert table.find_settings(SCHOOL).quiet_hours == NIGHT


def test_two_who_decide_at_the_same_moment_do_not_undo_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    save = table.save_settings
    monkeypatch.setattr(
        table,
        "save_settings",
        lambda *_: save(SCHOOL, SchoolSettings(version=1, changed_by="x", changed_at=NOW)) and False,
    )

    with pytest.raises(ChangedMeanwhile):
        school_settings.change_settings(DIRECTOR, WANTED, NOW)

    assert table.find_settings(SCHOOL).changed_by == "x"


@pytest.mark.parametrize("kinds", [("lost",), ("applied",), ("lost", "applied"), ("applied", "applied")])
def test_a_lost_answer_changes_settings_once(kinds: tuple[Fault, ...]) -> None:
    with faults("PutItem", *kinds):
        changed = school_settings.change_settings(DIRECTOR, WANTED, NOW)

    assert changed.version == table.find_settings(SCHOOL).version == 1


def test_asked_again_after_a_death_the_settings_are_answered_as_they_are() -> None:
    with faults("PutItem", "applied", "lost", "lost"), pytest.raises(PutError):
        school_settings.change_settings(DIRECTOR, WANTED, NOW)

    again = school_settings.change_settings(DIRECTOR, WANTED, NOW + timedelta(minutes=1))

    assert (again.version, again.changed_at) == (1, NOW)


@pytest.mark.parametrize("role", [Role.TEACHER, Role.STAFF, Role.GUARDIAN, Role.STUDENT, Role.OPERATOR])
def test_only_those_in_charge_see_and_change_them_L2(role: Role) -> None:
    caller = Caller(SCHOOL, role, "u-1", "p1")

    with pytest.raises(NotAllowed):
        school_settings.get_school(caller)
    with pytest.raises(NotAllowed):
        school_settings.change_settings(caller, WANTED, NOW)
    assert table.find_settings(SCHOOL).version == 0


def test_a_school_that_is_not_there_has_no_settings() -> None:
    with pytest.raises(NotFound):
        school_settings.get_school(Caller("nowhere", Role.DIRECTOR, "u-1"))


@pytest.mark.parametrize(
    ("start", "end", "fields"),
    [
        ("24:00", "07:00", ["/quiet_hours/from"]),
        ("21:30", "7:00", ["/quiet_hours/until"]),
        ("", "noon", ["/quiet_hours/from", "/quiet_hours/until"]),
        ("21:30\n", "07:00", ["/quiet_hours/from"]),
        ("２1:30", "07:00", ["/quiet_hours/from"]),
        ("07:00", "07:00", ["/quiet_hours/until"]),
    ],
)
def test_quiet_hours_that_are_none_are_refused_by_their_field(start: str, end: str, fields: list[str]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_quiet_hours(start, end)

    assert [problem.field for problem in refused.value.fields] == fields


@pytest.mark.parametrize("count", [0, -1, THRESHOLD_MAX + 1])
def test_a_threshold_out_of_range_is_refused(count: int) -> None:
    with pytest.raises(InvalidRequest):
        read_thresholds({Zone.DOMESTIC: count, Zone.INTERNATIONAL: None})

    assert read_thresholds({Zone.DOMESTIC: 1, Zone.INTERNATIONAL: None}) == {Zone.DOMESTIC: 1}
