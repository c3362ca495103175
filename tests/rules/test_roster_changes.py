from dataclasses import replace

from recado.rules.oneroster import Roster, RosterPerson
from recado.rules.roster_changes import MadeByHand, is_gone, record_after, record_by_hand_after, record_of_gone

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


# --- what the school made by hand ---------------------------------------------------------------------------

STUDENT = replace(BEFORE, id="s9", role="student", groups=frozenset({"kb", "custom-1"}), students=frozenset())
BY_HAND = MadeByHand(frozenset({"custom-1"}), {"s9": STUDENT})


def test_custom_groups_that_there_still_are_stay() -> None:
    before = replace(BEFORE, groups=BEFORE.groups | {"custom-1", "custom-gone"})

    assert record_after(before, roster(), "g1", BY_HAND).groups == {"8b", "custom-1"}
    assert record_after(before, roster(incomplete=frozenset({"g1"})), "g1", BY_HAND).groups == {
        "7b",
        "ka",
        "8b",
        "custom-1",
    }
    assert record_of_gone(before).groups == {"custom-1", "custom-gone"}


def test_family_made_by_hand_stays_and_brings_its_courses_but_not_its_custom_groups() -> None:
    before = replace(BEFORE, students=BEFORE.students | {"s9"})

    after = record_after(before, roster(), "g1", BY_HAND)

    assert after.students == {"s1", "s9"}
    assert after.groups == {"8b", "kb"}


def test_a_guardian_made_by_hand_follows_their_students() -> None:
    guardian = replace(BEFORE, id="g9", groups=frozenset({"old", "custom-1"}), students=frozenset({"s9", "s1", "gone"}))
    s1 = replace(STUDENT, id="s1", groups=frozenset({"9a", "custom-1"}))
    said = Roster({"s1": s1}, {}, frozenset(), frozenset(), (), 0)

    after = record_by_hand_after(guardian, said, BY_HAND)

    assert after.students == {"s1", "s9"}
    assert after.groups == {"9a", "kb", "custom-1"}


def test_whom_a_bad_row_hides_stays_family_and_so_do_the_courses() -> None:
    guardian = replace(BEFORE, id="g9", groups=frozenset({"7b"}), students=frozenset({"s2"}))

    assert record_by_hand_after(guardian, roster(unread=frozenset({"s2"})), BY_HAND) == guardian
