"""Which way a message may go, and what its category means."""

from datetime import timedelta
from itertools import product

import pytest

from recado.rules.message_states import (
    FINAL,
    Category,
    MessageState,
    default_expires_after,
    is_emergency,
    may_move,
)

ALLOWED = {
    ("draft", "draft"),
    ("draft", "planning"),
    ("draft", "scheduled"),
    ("draft", "sending"),
    ("planning", "draft"),
    ("planning", "scheduled"),
    ("planning", "sending"),
    ("planning", "cancelled"),
    ("scheduled", "scheduled"),
    ("scheduled", "sending"),
    ("scheduled", "cancelled"),
    ("sending", "stopping"),
    ("sending", "sent"),
    ("stopping", "stopped"),
}


def test_these_moves_are_allowed_and_no_other() -> None:
    moves = {
        (before.value, after.value) for before, after in product(MessageState, repeat=2) if may_move(before, after)
    }

    assert moves == ALLOWED


def test_nothing_leaves_a_final_state() -> None:
    assert {"sent", "stopped", "cancelled"} == FINAL
    assert not any(may_move(before, after) for before, after in product(FINAL, MessageState))


@pytest.mark.parametrize("category", Category)
def test_an_environmental_emergency_follows_every_rule_of_an_emergency(category: Category) -> None:
    urgent = category.value in {"emergency", "environmental_emergency"}

    assert is_emergency(category) is urgent
    assert default_expires_after(category) == timedelta(hours=1 if urgent else 24)
