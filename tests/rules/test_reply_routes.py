"""To which school a text on a school's code belongs: never a guess."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.rules.reply_routes import (
    CHOICES_MAX,
    GONE_COUNTS_FOR,
    Destination,
    Kind,
    concerned,
    destination,
    read_choice,
    still_counts,
)

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SCHOOL = st.sampled_from([f"s{place}" for place in range(14)])
MAYBE = st.none() | SCHOOL
CANDIDATES = st.lists(SCHOOL, max_size=14)


@given(MAYBE, MAYBE, CANDIDATES)
def test_a_text_goes_to_the_one_school_it_provably_belongs_to_or_to_none(
    own: str | None, answered: str | None, candidates: list[str]
) -> None:
    found = destination(own, answered, candidates)

    if own is not None:
        assert found == Destination(Kind.SCHOOL, (own,))
    elif answered is not None:
        assert found == Destination(Kind.SCHOOL, (answered,))
    elif len(set(candidates)) == 1:
        assert found == Destination(Kind.SCHOOL, (candidates[0],))
    else:
        assert found.kind is not Kind.SCHOOL


@given(CANDIDATES)
def test_several_schools_are_offered_each_once_and_no_more_than_a_digit_can_choose(candidates: list[str]) -> None:
    found = destination(None, None, candidates)

    several = 1 < len(set(candidates)) <= CHOICES_MAX
    assert (found.kind is Kind.CHOOSE) is several
    if several:
        assert found.schools == tuple(sorted(set(candidates)))
    if not candidates or len(set(candidates)) > CHOICES_MAX:
        assert found == Destination(Kind.NOBODY)


@given(CANDIDATES, st.randoms())
def test_the_order_and_number_in_which_schools_are_found_change_nothing(candidates: list[str], random: object) -> None:
    shuffled = [*candidates, *candidates]
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    assert destination(None, None, shuffled) == destination(None, None, candidates)


@given(MAYBE, MAYBE, CANDIDATES)
def test_a_word_concerns_every_school_that_may_have_written(
    own: str | None, answered: str | None, candidates: list[str]
) -> None:
    found = concerned(own, answered, candidates)

    assert set(found) == ({own} if own else {*candidates, *filter(None, [answered])})
    assert set(destination(own, answered, candidates).schools) <= set(found)


@pytest.mark.parametrize("text", ["2", " 2 ", "2.", "(2)", "«2»", "２", "2\n", "2!", "2️⃣"])
def test_a_digit_as_the_whole_message_chooses(text: str) -> None:
    assert read_choice(text, ("a", "b")) == "b"


@pytest.mark.parametrize("text", ["", "0", "3", "12", "1 2", "1 por favor", "uno", "B", "½", "²2", "-", "🙂"])
def test_anything_else_chooses_nothing(text: str) -> None:
    assert read_choice(text, ("a", "b")) is None


@given(st.text(), st.lists(st.text(min_size=1), max_size=9))
def test_any_text_can_be_read_and_chooses_only_what_was_offered(text: str, choices: list[str]) -> None:
    assert read_choice(text, choices) in {None, *choices}


def test_who_left_counts_for_thirty_days() -> None:
    assert still_counts(None, NOW)
    assert still_counts(NOW - GONE_COUNTS_FOR + timedelta(microseconds=1), NOW)
    assert not still_counts(NOW - GONE_COUNTS_FOR, NOW)
