"""Who was asked to take which texts of a page: never one less than may have taken it."""

from hypothesis import given
from hypothesis import strategies as st

from recado.rules.asked_carriers import NOBODY, ask, is_within, read_ranges, take_back, write_ranges

INDICES = st.sets(st.integers(0, 99))
STEPS = st.lists(st.tuples(st.booleans(), st.sampled_from(["sns", "twilio", "vonage"]), INDICES), max_size=12)


@given(INDICES)
def test_indices_come_back_as_they_were(indices: set[int]) -> None:
    written = write_ranges(indices)

    assert read_ranges(written) == indices
    assert {index for index in range(100) if is_within(written, index)} == indices


def test_a_whole_page_is_a_few_characters() -> None:
    assert write_ranges(range(100)) == "0-99"
    assert write_ranges([24, 0, 2, 1]) == "0-2,24"
    assert write_ranges([]) == ""


@given(STEPS)
def test_a_carrier_has_what_it_was_asked_to_take_without_what_it_gave_back(
    steps: list[tuple[bool, str, set[int]]],
) -> None:
    asked, model = NOBODY, dict[str, set[int]]()
    for is_asked, carrier, indices in steps:
        if is_asked:
            asked = ask(asked, carrier, indices)
            model[carrier] = model.get(carrier, set()) | indices
        else:
            asked = take_back(asked, carrier, indices)
            model[carrier] = model.get(carrier, set()) - indices

    assert {name: read_ranges(ranges) for name, ranges in asked.items() if ranges} == {
        name: indices for name, indices in model.items() if indices
    }
    assert NOBODY == {}
