"""What has been told of recipients against what is: each difference once, and nothing that says nothing."""

from hypothesis import given
from hypothesis import strategies as st

from recado.rules.delivery_states import RecipientState
from recado.rules.told_states import LETTERS, NOTHING, after_telling, find_changes, letters_of

states = st.lists(st.sampled_from(list(RecipientState)), min_size=4, max_size=4)


def test_every_state_has_a_letter_and_only_those_that_say_nothing_share_one() -> None:
    assert set(LETTERS) == set(RecipientState)
    said = [letter for letter in LETTERS.values() if letter != NOTHING]
    assert len(said) == len(set(said)) == len(RecipientState) - 2


def test_of_a_page_never_told_of_everything_that_has_come_about_is_told() -> None:
    now = letters_of([RecipientState.SENT, RecipientState.QUEUED, RecipientState.SENDING, RecipientState.BLOCKED])

    assert find_changes("", now) == {0: RecipientState.SENT, 3: RecipientState.BLOCKED}


@given(st.lists(states, max_size=5))
def test_whoever_follows_the_changes_knows_every_state_that_says_something(course: list[list[RecipientState]]) -> None:
    told, known = "", dict[int, RecipientState]()
    for now in course:
        letters = letters_of(now)
        changes = find_changes(told, letters)
        assert all(known.get(index) is not state for index, state in changes.items())
        known |= changes
        told = after_telling(told, letters)

        assert find_changes(told, letters) == {}
        assert all(known[index] is state for index, state in enumerate(now) if LETTERS[state] != NOTHING)
