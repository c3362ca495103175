"""What a school is shown per recipient: our letter, and receipts in any order, late, repeated or contradicting."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.rules.delivery_states import (
    CAPTURED,
    FINAL,
    RANKS,
    Letter,
    Receipt,
    RecipientState,
    read_member,
    receipt_member,
    state_of,
    states_of,
)

type Reported = list[tuple[Receipt, int, int]]

letters = st.sampled_from(Letter)
reported = st.lists(st.tuples(st.sampled_from(Receipt), st.integers(0, 2), st.integers(0, 4)), max_size=12)


def receipts_of(*facts: tuple[Receipt, int, int]) -> dict[str, set[int]]:
    sets: dict[str, set[int]] = {}
    for receipt, index, part in facts:
        sets.setdefault(receipt.value, set()).add(receipt_member(index, part))
    return sets


def state_after(letter: str, parts: int, *facts: tuple[Receipt, int]) -> RecipientState:
    return state_of(letter, 7, parts, receipts_of(*((receipt, 7, part) for receipt, part in facts)))


@pytest.mark.parametrize(
    ("letter", "state"),
    [
        ("P", "queued"),
        ("C", "sending"),
        ("S", "sent"),
        ("W", "wrong_number"),
        ("B", "blocked"),
        ("U", "unknown"),
        ("o", "opted_out"),
        ("r", "stopped"),
        ("x", "expired"),
        ("n", "not_sent"),
    ],
)
def test_without_receipts_the_letter_speaks(letter: str, state: str) -> None:
    assert state_of(letter, 0, 1, {}) == state


def test_what_is_final_and_what_is_charged() -> None:
    assert set("SWBUorxni") == FINAL
    assert set("SWU") == CAPTURED  # L12


def test_delivered_needs_every_part() -> None:
    assert state_after("S", 2, (Receipt.DELIVERED, 1)) == "sent"
    assert state_after("S", 2, (Receipt.DELIVERED, 2)) == "sent"
    assert state_after("S", 2, (Receipt.DELIVERED, 1), (Receipt.DELIVERED, 2)) == "delivered"
    assert state_after("S", 1, (Receipt.DELIVERED, 1)) == "delivered"
    assert state_after("S", 15, *((Receipt.DELIVERED, part) for part in range(1, 16))) == "delivered"
    assert state_after("S", 15, *((Receipt.DELIVERED, part) for part in range(1, 15))) == "sent"


def test_a_receipt_for_the_whole_message_counts_for_all_its_parts() -> None:
    assert state_after("S", 3, (Receipt.DELIVERED, 0)) == "delivered"


@pytest.mark.parametrize("receipt", [Receipt.UNREACHABLE, Receipt.WRONG_NUMBER, Receipt.BLOCKED])
def test_a_failure_of_any_part_is_a_failure_until_all_is_delivered(receipt: Receipt) -> None:
    one_part_lost = [(Receipt.DELIVERED, 1), (receipt, 2)]

    assert state_after("S", 2, *one_part_lost) == receipt.value
    assert state_after("S", 2, (receipt, 0)) == receipt.value
    assert state_after("S", 2, *one_part_lost, (Receipt.DELIVERED, 2)) == "delivered"


def test_of_two_failures_the_more_lasting_one_is_shown() -> None:
    assert state_after("S", 1, (Receipt.UNREACHABLE, 1), (Receipt.BLOCKED, 1)) == "blocked"
    assert state_after("S", 1, (Receipt.BLOCKED, 1), (Receipt.WRONG_NUMBER, 1)) == "wrong_number"


@pytest.mark.parametrize("letter", ["U", "C"])
def test_a_receipt_lifts_what_nobody_knew(letter: str) -> None:
    assert state_after(letter, 2, (Receipt.DELIVERED, 1)) == "sent"  # so the carrier has it
    assert state_after(letter, 2, (Receipt.UNREACHABLE, 1)) == "unreachable"
    assert state_after(letter, 2, (Receipt.DELIVERED, 0)) == "delivered"


@pytest.mark.parametrize("letter", list("PWBorxn"))
def test_what_was_not_handed_over_is_changed_by_a_delivery_only(letter: str) -> None:
    failures = [(receipt, 1) for receipt in Receipt if receipt is not Receipt.DELIVERED]

    assert state_after(letter, 2, *failures, (Receipt.DELIVERED, 1)) == state_after(letter, 2)
    assert state_after(letter, 2, *failures, (Receipt.DELIVERED, 0)) == "delivered"


def test_receipts_of_the_neighbours_change_nothing() -> None:
    neighbours = receipts_of(*((receipt, index, part) for receipt in Receipt for index in (6, 8) for part in range(16)))

    assert state_of("S", 7, 15, neighbours) == "sent"


def test_a_set_with_an_unknown_name_changes_nothing() -> None:
    assert state_of("S", 0, 1, {"read": {1}}) == "sent"


@pytest.mark.parametrize(("letter", "parts"), [("S", 0), ("S", 16), ("S", -1), ("Q", 1), ("", 1)])
def test_a_letter_or_a_number_of_parts_that_cannot_be_is_refused(letter: str, parts: int) -> None:
    with pytest.raises(ValueError):
        state_of(letter, 0, parts, {})


@given(st.integers(0, 10_000), st.integers(0, 15))
def test_a_member_stands_for_one_recipient_and_part(index: int, part: int) -> None:
    assert read_member(receipt_member(index, part)) == (index, part)


@pytest.mark.parametrize(("index", "part"), [(0, 16), (0, -1), (-1, 0)])
def test_a_member_for_another_recipient_cannot_be_made(index: int, part: int) -> None:
    with pytest.raises(ValueError):
        receipt_member(index, part)


@given(letters, st.integers(1, 4), reported)
def test_a_state_never_goes_back_as_receipts_come(letter: Letter, parts: int, facts: Reported) -> None:
    ranks = [RANKS.index(state_of(letter, 0, parts, receipts_of(*facts[:seen]))) for seen in range(len(facts) + 1)]

    assert ranks == sorted(ranks)


@given(st.data(), letters, st.integers(1, 4), reported)
def test_order_and_repetition_of_receipts_change_nothing(
    data: st.DataObject, letter: Letter, parts: int, facts: Reported
) -> None:
    shuffled = data.draw(st.permutations(facts + facts))

    assert state_of(letter, 1, parts, receipts_of(*shuffled)) == state_of(letter, 1, parts, receipts_of(*facts))


def test_every_state_has_a_rank() -> None:
    assert sorted(RANKS) == sorted(RecipientState)


@given(st.lists(st.tuples(letters, st.integers(1, 4)), max_size=3), reported)
def test_a_pages_states_are_those_of_each_recipient(page: list[tuple[Letter, int]], facts: Reported) -> None:
    receipts = receipts_of(*facts)
    each = [state_of(letter, index, parts, receipts) for index, (letter, parts) in enumerate(page)]

    states = states_of("".join(letter for letter, _ in page), [parts for _, parts in page], receipts)

    assert states == each


def test_a_page_whose_rows_disagree_has_no_states() -> None:
    with pytest.raises(ValueError):
        states_of("SS", [1], {})
