from dataclasses import replace

from recado.rules.oneroster import Roster, RosterPerson
from recado.rules.roster_changes import MadeByHand, is_gone, record_after, record_of_gone

BEFORE = RosterPerson(
    id="g1",
    role="guardian",
    given_name="Rosa",
    family_name="Catrileo",
    number="+56955550101",
    typed_number="955550101",
    number_problem=False,
    groups=frozenset({"7b", "ka"}),
    guardians=frozenset(),
    students=frozenset({"s1", "s2"}),
)
AFTER = replace(BEFORE, given_name="Rosa María", groups=frozenset({"8b"}), students=frozenset({"s1"}))


def roster(unread: frozenset[str] = frozenset(), incomplete: frozenset[str] = frozenset()) -> Roster:
    return Roster({"g1": AFTER}, {}, unread, incomplete, (), 0)


def test_a_person_becomes_what_the_roster_says() -> None:
    assert record_after(BEFORE, roster(), "g1", MadeByHand()) == AFTER
    assert record_after(None, roster(), "g1", MadeByHand()) == AFTER


def test_whom_a_bad_row_hides_something_about_keeps_former_groups_and_family() -> None:
    kept = replace(AFTER, groups=frozenset({"7b", "ka", "8b"}), students=frozenset({"s1", "s2"}))

    assert record_after(BEFORE, roster(incomplete=frozenset({"g1"})), "g1", MadeByHand()) == kept
    assert record_after(BEFORE, roster(unread=frozenset({"s2"})), "g1", MadeByHand()) == kept


def test_somebody_new_has_nothing_to_keep() -> None:
    assert record_after(None, roster(incomplete=frozenset({"g1"})), "g1", MadeByHand()) == AFTER


def test_only_whom_the_roster_does_not_name_is_gone() -> None:
    assert is_gone(roster(), "g2")
    assert not is_gone(roster(), "g1")
    assert not is_gone(roster(unread=frozenset({"g2"})), "g2")


def test_whoever_left_is_in_no_group_and_keeps_the_rest() -> None:
    assert record_of_gone(BEFORE) == replace(BEFORE, groups=frozenset())
