"""How a sender's time is given away: one page after the other, not far ahead, emergencies first."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.rules.pace import HORIZON, LATENESS, Booked, book, page_takes, pause_after, texts_at_once

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TEN_SECONDS = timedelta(seconds=10)

takes = st.floats(0.01, 300).map(lambda seconds: timedelta(seconds=seconds))
acts = st.lists(st.tuples(takes, st.integers(1, 40), st.booleans(), st.floats(0, 200)), min_size=1, max_size=12)


def test_a_sender_that_nobody_used_starts_at_once_and_one_page_follows_the_other() -> None:
    booked, starts = book(Booked(), NOON, TEN_SECONDS, 3, is_urgent=False)

    assert starts == [NOON, NOON + TEN_SECONDS, NOON + 2 * TEN_SECONDS]
    assert booked == Booked(NOON + 3 * TEN_SECONDS)


def test_no_more_is_booked_than_starts_within_the_horizon() -> None:
    booked, starts = book(Booked(), NOON, TEN_SECONDS, 1000, is_urgent=False)

    assert len(starts) == 8
    assert book(booked, NOON, TEN_SECONDS, 992, is_urgent=False) == (booked, [])


def test_a_page_longer_than_the_horizon_is_booked_all_the_same() -> None:
    _, starts = book(Booked(), NOON, timedelta(minutes=10), 5, is_urgent=False)

    assert starts == [NOON]


def test_an_emergency_waits_for_no_ordinary_message_and_that_waits_for_it() -> None:
    busy = Booked(NOON + timedelta(seconds=40))

    booked, starts = book(busy, NOON, TEN_SECONDS, 2, is_urgent=True)

    assert starts == [NOON, NOON + TEN_SECONDS]
    assert booked == Booked(NOON + timedelta(seconds=60), urgent_until=NOON + timedelta(seconds=20))


def test_two_emergencies_go_one_after_the_other() -> None:
    booked, _ = book(Booked(), NOON, TEN_SECONDS, 2, is_urgent=True)

    _, starts = book(booked, NOON, TEN_SECONDS, 1, is_urgent=True)

    assert starts == [NOON + timedelta(seconds=20)]


@given(acts)
def test_whoever_books_and_when_pages_of_one_kind_never_overlap_and_all_of_them_fit(
    asked: list[tuple[timedelta, int, bool, float]],
) -> None:
    """Over all time no more is said than the sender takes but for one horizon's worth, which an emergency overtakes."""
    booked, now = Booked(), NOON
    ends = {True: NOON, False: NOON}
    busy = timedelta()
    for page, pages, is_urgent, later in asked:
        now += timedelta(seconds=later)
        booked, starts = book(booked, now, page, pages, is_urgent=is_urgent)
        busy += len(starts) * page
        for start in starts:
            assert now <= start <= now + HORIZON
            assert start >= ends[is_urgent]
            ends[is_urgent] = start + page
        if not is_urgent and starts:
            assert booked.until == ends[False]
        assert (booked.until or NOON) >= ends[True] or not ends[True] > NOON

    longest = max(page for page, *_ in asked)
    assert busy <= now - NOON + HORIZON * 2 + longest * 2


def test_a_page_takes_a_tenth_longer_than_its_parts() -> None:
    assert page_takes(100, 10) == timedelta(seconds=10 * LATENESS)


@pytest.mark.parametrize(
    ("parts", "rate", "texts"),
    [
        ([1] * 20, 10, 10),
        ([1] * 20, 100, 20),
        ([3] * 20, 10, 3),
        ([1] * 20, 0.5, 1),
        ([7, 1], 2, 1),  # one text, however long
        ([1, 2, 3], 3, 2),
    ],
)
def test_a_wave_is_what_a_second_takes_and_one_text_in_any_case(parts: list[int], rate: float, texts: int) -> None:
    assert texts_at_once(parts, rate) == texts


def test_who_was_slower_than_the_sender_needs_no_pause() -> None:
    assert pause_after(10, timedelta(seconds=1), 10) is None
    assert pause_after(10, timedelta(seconds=0.6), 10) is None
    assert pause_after(20, timedelta(seconds=0.5), 10) == timedelta(seconds=1.5)
    assert pause_after(1, timedelta(), 0.1) == timedelta(seconds=10)
