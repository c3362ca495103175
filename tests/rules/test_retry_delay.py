"""Waiting longer each time, within what a queue can delay."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.rules.retry_delay import delay_seconds

jitters = st.floats(0, 1, exclude_max=True)


def test_the_wait_doubles_from_five_seconds_and_stops_growing() -> None:
    assert [delay_seconds(attempt, 0) for attempt in (1, 2, 3, 7, 8, 9)] == [5, 10, 20, 320, 450, 450]


def test_jitter_spreads_it_up_to_twice_as_long() -> None:
    assert delay_seconds(3, 0.5) == 30
    assert delay_seconds(3, 0.999) == 39


@given(st.integers(1, 10**6), jitters)
def test_a_queue_can_always_delay_it(attempt: int, jitter: float) -> None:
    assert 5 <= delay_seconds(attempt, jitter) <= 900


@given(st.integers(1, 50), jitters)
def test_the_next_wait_is_never_shorter(attempt: int, jitter: float) -> None:
    assert delay_seconds(attempt + 1, jitter) >= delay_seconds(attempt, jitter)


@pytest.mark.parametrize(("attempt", "jitter"), [(0, 0.0), (-1, 0.5), (1, 1.0), (1, -0.1)])
def test_what_is_no_attempt_or_no_jitter_is_refused(attempt: int, jitter: float) -> None:
    with pytest.raises(ValueError):
        delay_seconds(attempt, jitter)
