"""Caps of anonymous sessions: any hour, the moment to try again, whose connection it is, which texts are the same."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.rules.session_caps import (
    LETTERS_MIN,
    NO_ADDRESS,
    STEP,
    WORDS,
    Caps,
    Limit,
    compared_text,
    fits_from,
    list_uses,
    past_windows_of,
    source_of,
    step_of,
    windows_end_at,
    windows_of,
)

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
CAPS = Caps(source_sessions=1, source_recipients=2, source_link_recipients=3, same_text_recipients=4, recipients=5)


class Counter:
    """A cap's row as the table keeps it: a use is counted if no window that holds it would pass the cap."""

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self.used: dict[int, int] = {}
        self.moments: list[datetime] = []

    def take(self, now: datetime, amount: int = 1) -> bool:
        windows = windows_of(step_of(now))
        if any(self.used.get(window, 0) + amount > self.maximum for window in windows):
            return False
        self.used |= {window: self.used.get(window, 0) + amount for window in windows}
        self.moments += [now] * amount
        return True


def most_within_an_hour(moments: Sequence[datetime]) -> int:
    return max((sum(first <= other < first + HOUR for other in moments) for first in moments), default=0)


pauses = st.lists(st.integers(0, 3600), max_size=40)


@given(maximum=st.integers(1, 5), pauses=pauses)
def test_no_hour_wherever_it_begins_holds_more_than_the_cap(maximum: int, pauses: list[int]) -> None:
    counter, now = Counter(maximum), NOON
    for seconds in pauses:
        now += timedelta(seconds=seconds)
        counter.take(now)

    assert most_within_an_hour(counter.moments) <= maximum


@given(maximum=st.integers(1, 5), amount=st.integers(1, 5), pauses=pauses)
def test_the_moment_to_try_again_is_the_first_at_which_it_fits(maximum: int, amount: int, pauses: list[int]) -> None:
    counter, now = Counter(max(maximum, amount)), NOON
    for seconds in pauses:
        now += timedelta(seconds=seconds)
        if counter.take(now, amount):
            continue
        again_at = fits_from(counter.used, amount, counter.maximum, now)
        assert now < again_at <= now + 7 * STEP
        just_before, then = Counter(counter.maximum), Counter(counter.maximum)
        just_before.used, then.used = dict(counter.used), dict(counter.used)
        assert not just_before.take(again_at - timedelta(microseconds=1), amount)
        assert then.take(again_at, amount)


def test_what_was_used_long_ago_makes_room_step_by_step_not_at_the_clocks_hour() -> None:
    counter = Counter(2)
    assert counter.take(NOON - timedelta(minutes=25))
    assert counter.take(NOON - timedelta(minutes=1))

    assert not counter.take(NOON)
    again_at = fits_from(counter.used, 1, 2, NOON)
    assert again_at == NOON + timedelta(minutes=40)  # 70 minutes after 11:30, the step of 11:35
    assert fits_from(counter.used, 2, 2, NOON) == NOON + timedelta(hours=1)  # 70 after 11:50


def test_what_somebody_whose_clock_is_ahead_has_taken_is_waited_for_too() -> None:
    used = dict.fromkeys(windows_of(step_of(NOON) + 1), 100)

    assert fits_from(used, 100, 100, NOON) == NOON + timedelta(minutes=80)


def test_more_than_the_cap_never_fits() -> None:
    with pytest.raises(ValueError, match="never"):
        fits_from({}, 3, 2, NOON)


def test_windows_that_are_forgotten_hold_nothing_that_still_counts() -> None:
    step = step_of(NOON)

    assert list(windows_of(step)) == list(range(step - 6, step + 1))
    assert not set(past_windows_of(step)) & set(windows_of(step))
    assert windows_end_at(step) == NOON + timedelta(minutes=70)
    assert min(windows_of(step_of(windows_end_at(step)))) > step


def test_a_flood_meets_its_own_caps_before_everybodys() -> None:
    uses = list_uses(2, CAPS, source="s", text="t", has_link=True, is_opening=True)

    assert [(use.limit, use.subject, use.amount, use.maximum) for use in uses] == [
        (Limit.SOURCE_SESSIONS, "s", 1, 1),
        (Limit.SOURCE_RECIPIENTS, "s", 2, 2),
        (Limit.SOURCE_LINK_RECIPIENTS, "s", 2, 3),
        (Limit.SAME_TEXT_RECIPIENTS, "t", 2, 4),
        (Limit.RECIPIENTS, "all", 2, 5),
    ]


def test_a_short_text_without_a_link_in_an_open_session_takes_of_two_caps_only() -> None:
    uses = list_uses(2, CAPS, source="s", text=None, has_link=False, is_opening=False)

    assert [use.limit for use in uses] == [Limit.SOURCE_RECIPIENTS, Limit.RECIPIENTS]


def test_every_limit_has_words_for_people() -> None:
    assert set(WORDS) == set(Limit)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("203.0.113.24", " 203.0.113.24 "),
        ("203.0.113.24", "::ffff:203.0.113.24"),
        ("2001:db8:1:2::1", "2001:0db8:0001:0002:ffff:ffff:ffff:ffff"),
        ("", "test-invoke-source-ip"),
    ],
)
def test_addresses_of_one_connection_are_one_source(one: str, other: str) -> None:
    assert source_of(one) == source_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("203.0.113.24", "203.0.113.25"),
        ("2001:db8:1:2::1", "2001:db8:1:3::1"),
        ("203.0.113.24", "::203.0.113.24"),
        ("", "203.0.113.24"),
    ],
)
def test_addresses_of_two_connections_are_two_sources(one: str, other: str) -> None:
    assert source_of(one) != source_of(other)


@given(st.text())
def test_whatever_comes_as_an_address_is_some_source(address: str) -> None:
    assert source_of(address) == NO_ADDRESS or "." in source_of(address) or ":" in source_of(address)


@pytest.mark.parametrize(
    "other",
    [
        "GANASTE UN PREMIO, LLAMA YA AL 809 555 9999",
        "ganaste  un premio - llama ya al 829.555.0000!!",
        "Ganasté\nun premio: llamá ya al…",
        "Ｇａｎａｓｔｅ un premio, llama ya al",
        "Ga\u200bnaste un premio. Llama ya al 1",
    ],
)
def test_case_accents_signs_digits_and_hidden_characters_make_no_other_text(other: str) -> None:
    said = compared_text("Ganaste un premio, llama ya al 809 555 0000", has_link=False)

    assert said is not None
    assert compared_text(other, has_link=False) == said


def test_a_short_text_is_not_counted_unless_it_has_a_link() -> None:
    assert compared_text("a" * LETTERS_MIN, has_link=False) is not None
    assert compared_text("a" * (LETTERS_MIN - 1) + " 123 !", has_link=False) is None
    assert compared_text("bit.ly/x1", has_link=True) == "bitlyx"
