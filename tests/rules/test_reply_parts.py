"""A long message in parts: by example, and then any parts in any order (nothing lost, nothing twice)."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.rules.reply_parts import Joining, Line, Part, Taken, give_up, is_overdue, take, text_of

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def take_all(*parts: tuple[int, str], of: int, found: Joining | None = None) -> list[Taken]:
    """Parts as they come, a second apart."""
    steps: list[Taken] = []
    for place, (number, text) in enumerate(parts):
        at = NOON + place * SECOND
        steps.append(take(steps[-1].joining if steps else found, Part(number, of, "g"), text, at, at))
    return steps


def lines_of(steps: list[Taken]) -> list[str]:
    return [step.line.text for step in steps if step.line is not None]


def test_the_last_part_to_come_shows_the_whole_once_with_the_earliest_time() -> None:
    steps = take_all((3, "c"), (1, "a"), (2, "b"), of=3)

    assert [step.line for step in steps] == [None, None, Line("abc", NOON, is_partial=False)]
    assert [step.is_new for step in steps] == [True, False, False]


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({1: "a", 2: "b"}, "ab…"),
        ({2: "b", 3: "c"}, "…bc"),
        ({1: "a", 3: "c"}, "a…c"),
        ({2: "b"}, "…b…"),
        ({1: "a", 2: "b", 3: "c"}, "abc"),
    ],
)
def test_a_gap_shows_as_a_sign(parts: dict[int, str], text: str) -> None:
    assert text_of(parts, 3) == text


def test_what_waits_is_shown_without_what_is_missing_and_what_still_comes_by_itself() -> None:
    (first,) = take_all((1, "a"), of=3)

    shown = give_up(first.joining)
    later = take_all((3, "c"), (2, "b"), of=3, found=shown.joining)

    assert shown.line == Line("a…", NOON, is_partial=True)
    assert lines_of(later) == ["…c", "…b…"]
    assert not any(step.is_new for step in later)


def test_a_group_used_again_is_another_message_and_what_waited_of_the_first_is_shown() -> None:
    steps = take_all((1, "uno "), (1, "dos "), (2, "otra vez"), of=2)

    assert lines_of(steps) == ["uno …", "dos otra vez"]
    assert [step.is_new for step in steps] == [True, True, False]


def test_a_group_used_again_after_the_whole_is_another_message() -> None:
    steps = take_all((1, "a"), (2, "b"), (2, "d"), (1, "c"), of=2)

    assert lines_of(steps) == ["ab", "cd"]
    assert [step.is_new for step in steps] == [True, False, True, False]


def test_a_part_is_waited_for_a_minute_and_not_a_moment_longer() -> None:
    assert not is_overdue(NOON, NOON + timedelta(seconds=59, microseconds=999_999))
    assert is_overdue(NOON, NOON + timedelta(seconds=60))


@given(
    of=st.integers(2, 6),
    arrivals=st.lists(st.tuples(st.integers(1, 6), st.booleans()), max_size=40),
)
def test_whatever_parts_come_in_whatever_order_every_text_is_shown_once_or_waits(
    of: int, arrivals: list[tuple[int, bool]]
) -> None:
    # Each arrival has a text of its own: none is a duplicate, for those do not come as far as here.
    joining, shown, came, messages = None, list[str](), list[str](), 0
    for place, (number, gives_up) in enumerate(arrivals):
        at, text = NOON + place * SECOND, f"<{place}>"
        taken = take(joining, Part(1 + (number - 1) % of, of, "g"), text, at, at)
        joining, messages = taken.joining, messages + taken.is_new
        came.append(text)
        shown += [taken.line.text] if taken.line else []
        if gives_up and joining.waiting:
            given_up = give_up(joining)
            assert given_up.line is not None
            shown.append(given_up.line.text)
            joining = given_up.joining
    waiting = list(joining.waiting.values()) if joining else []

    said = "".join(shown + waiting).replace("…", "").replace(">", "> ").split()
    assert Counter(said) == Counter(came)
    assert messages <= len(came)


@given(order=st.permutations(range(1, 8)))
def test_the_parts_of_one_message_are_one_line_in_any_order(order: list[int]) -> None:
    steps = take_all(*((number, f"{number}") for number in order), of=7)

    assert lines_of(steps) == ["1234567"]
    assert [step.is_new for step in steps].count(True) == 1
