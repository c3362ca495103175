"""When receipts were reported: one number each, added in any order, the earliest counts."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.rules.delivery_states import PARTS_MAX
from recado.rules.receipt_times import RECIPIENTS_MAX, first_reported, read_time_member, time_member
from recado.tables.pages import PAGE_SIZE

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30), timezones=st.timezones())  # noqa: DTZ001
INDICES, PARTS = st.integers(0, RECIPIENTS_MAX - 1), st.integers(0, PARTS_MAX)
REPORTS = st.lists(st.tuples(MOMENTS, INDICES, PARTS), max_size=40)


def test_every_recipient_of_a_page_has_a_number() -> None:
    assert RECIPIENTS_MAX == PAGE_SIZE


@given(MOMENTS, INDICES, PARTS)
def test_a_number_says_what_it_was_made_of_to_the_second(at: datetime, index: int, part: int) -> None:
    found_at, found_index, found_part = read_time_member(time_member(at, index, part))

    assert (found_index, found_part) == (index, part)
    assert timedelta(0) <= at - found_at < timedelta(seconds=1)


@given(MOMENTS, INDICES, PARTS)
def test_a_number_is_exact_in_dynamodb_and_never_negative(at: datetime, index: int, part: int) -> None:
    assert 0 <= time_member(at, index, part) < 10**38  # digits of a DynamoDB number


@given(st.tuples(MOMENTS, INDICES, PARTS), st.tuples(MOMENTS, INDICES, PARTS))
def test_two_reports_have_one_number_only_if_they_say_the_same_in_the_same_second(
    one: tuple[datetime, int, int], other: tuple[datetime, int, int]
) -> None:
    is_same = (int(one[0].timestamp() // 1), *one[1:]) == (int(other[0].timestamp() // 1), *other[1:])

    assert (time_member(*one) == time_member(*other)) is is_same


@given(REPORTS, INDICES, st.randoms(use_true_random=False))
def test_the_earliest_report_counts_in_whatever_order_and_however_often_they_came(
    reports: list[tuple[datetime, int, int]], index: int, order: object
) -> None:
    shuffled = [*reports, *reports]
    order.shuffle(shuffled)  # type: ignore[attr-defined]  # Hypothesis gives a Random
    own = [at.astimezone(UTC).replace(microsecond=0) for at, found, _ in reports if found == index]

    assert first_reported({time_member(*report) for report in shuffled}, index) == min(own, default=None)


def test_a_recipient_that_nothing_was_reported_of_has_no_moment() -> None:
    assert first_reported({time_member(NOON, 3, 0)}, 4) is None
    assert first_reported((), 0) is None


def test_any_part_counts_as_a_report() -> None:
    late, early = NOON + timedelta(minutes=5), NOON

    assert first_reported({time_member(late, 7, 0), time_member(early, 7, 2), time_member(NOON, 6, 0)}, 7) == early


def test_the_offset_of_a_moment_makes_no_difference() -> None:
    here = NOON.astimezone(timezone(timedelta(hours=-3)))

    assert time_member(here, 1, 1) == time_member(NOON, 1, 1)


@pytest.mark.parametrize(
    ("at", "index", "part"),
    [
        (NOON.replace(tzinfo=None), 0, 0),
        (datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC), 0, 0),
        (NOON, RECIPIENTS_MAX, 0),
        (NOON, -1, 0),
        (NOON, 0, PARTS_MAX + 1),
        (NOON, 0, -1),
    ],
)
def test_what_has_no_number_is_refused(at: datetime, index: int, part: int) -> None:
    with pytest.raises(ValueError):
        time_member(at, index, part)
