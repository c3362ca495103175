"""The price of a text in segments: the published table, the straddling cases, and a second count made another way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.rules.segments import (
    GSM_7_ALPHABET,
    GSM_7_EXTENSION,
    Encoding,
    Size,
    count_segments,
    drop_accents,
    measure,
)

# Runs of one character, so that texts of several parts come up and their borders are hit.
texts = st.lists(st.tuples(st.sampled_from("aéñ[€\fá😀水\n"), st.integers(1, 170)), max_size=5).map(
    lambda runs: "".join(letter * count for letter, count in runs)
)


def count_by_cutting(text: str) -> int:
    """The same count by encoding first and then cutting the longest piece that may be cut."""
    if all(letter in GSM_7_ALPHABET or letter in GSM_7_EXTENSION for letter in text):
        units = [unit for letter in text for unit in (["esc", letter] if letter in GSM_7_EXTENSION else [letter])]
        alone, longest = 160, 153
        inseparable = [unit == "esc" for unit in units]
    else:
        encoded = text.encode("utf-16-be", "surrogatepass")
        alone, longest = 70, 67
        inseparable = [0xD8 <= high <= 0xDB for high in encoded[::2]]
    if len(inseparable) <= alone:
        return 1
    cut, pieces = 0, 0
    while cut < len(inseparable):
        cut = min(cut + longest, len(inseparable))
        cut -= inseparable[cut - 1]
        pieces += 1
    return pieces


@pytest.mark.parametrize(
    ("length", "accents", "as_written", "without_accents"),
    [(74, 3, 2, 1), (126, 3, 2, 1), (167, 3, 3, 2), (160, 1, 3, 1), (70, 1, 1, 1), (71, 1, 2, 1)],
)
def test_accents_cost_what_the_table_says(length: int, accents: int, as_written: int, without_accents: int) -> None:
    text = "á" * accents + "x" * (length - accents)

    assert (count_segments(text), count_segments(drop_accents(text))) == (as_written, without_accents)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("", Size(Encoding.GSM_7, 0, 1)),
        ("x" * 160, Size(Encoding.GSM_7, 160, 1)),
        ("x" * 161, Size(Encoding.GSM_7, 161, 2)),
        ("x" * 306, Size(Encoding.GSM_7, 306, 2)),
        ("x" * 307, Size(Encoding.GSM_7, 307, 3)),
        ("€" * 80, Size(Encoding.GSM_7, 160, 1)),
        ("x" * 159 + "€", Size(Encoding.GSM_7, 161, 2)),
        ("x" * 152 + "€" + "x" * 152, Size(Encoding.GSM_7, 306, 3)),  # 306 / 153 is 2, but the pair may not straddle
        ("á" * 70, Size(Encoding.UCS_2, 70, 1)),
        ("á" * 71, Size(Encoding.UCS_2, 71, 2)),
        ("á" * 134, Size(Encoding.UCS_2, 134, 2)),
        ("á" * 135, Size(Encoding.UCS_2, 135, 3)),
        ("😀" * 35, Size(Encoding.UCS_2, 70, 1)),
        ("\uffff" * 70, Size(Encoding.UCS_2, 70, 1)),
        ("\U00010000" * 35, Size(Encoding.UCS_2, 70, 1)),
        ("\U00010000" * 36, Size(Encoding.UCS_2, 72, 2)),
        ("á" * 66 + "😀" + "á" * 66, Size(Encoding.UCS_2, 134, 3)),  # the same for a surrogate pair
        ("n\u0303", Size(Encoding.UCS_2, 2, 1)),  # ñ in two code points is not the ñ of GSM-7
    ],
)
def test_a_text_has_this_size(text: str, size: Size) -> None:
    assert measure(text) == size


def fill_part_by_part(text: str) -> Size:
    """The same size by filling parts one character after the other: slow, and nothing in it to get wrong."""
    is_gsm = all(letter in GSM_7_ALPHABET or letter in GSM_7_EXTENSION for letter in text)
    wide = GSM_7_EXTENSION if is_gsm else {letter for letter in text if ord(letter) > 0xFFFF}
    alone, part = (160, 153) if is_gsm else (70, 67)
    units, parts, used = 0, 1, 0
    for letter in text:
        width = 2 if letter in wide else 1
        units += width
        parts, used = (parts + 1, width) if used + width > part else (parts, used + width)
    return Size(Encoding.GSM_7 if is_gsm else Encoding.UCS_2, units, 1 if units <= alone else parts)


@pytest.mark.parametrize(("narrow", "pair", "alone", "part"), [("x", "€", 160, 153), ("á", "😀", 70, 67)])
def test_borders_of_parts_with_and_without_a_pair_on_them(narrow: str, pair: str, alone: int, part: int) -> None:
    assert [count_segments(narrow * length) for length in (alone - 1, alone, alone + 1)] == [1, 1, 2]
    for parts in range(2, 11):
        border = part * parts
        assert [count_segments(narrow * length) for length in (border - 1, border, border + 1)] == [
            parts,
            parts,
            parts + 1,
        ]
        # The pair's two units on either side of the border: it moves over, and the part before ends one unit early.
        straddling = narrow * (border - 1) + pair
        assert count_segments(straddling) == parts + 1
        assert count_segments(narrow * (border - 2) + pair) == parts
        # Behind it there is one unit less until the next border.
        assert count_segments(straddling + narrow * (part - 2)) == parts + 1
        assert count_segments(straddling + narrow * (part - 1)) == parts + 2


@pytest.mark.parametrize(("pair", "part"), [("€", 153), ("😀", 67)])
def test_pairs_alone_waste_one_unit_of_every_part(pair: str, part: int) -> None:
    in_one_part = part // 2  # both sizes of a part are odd

    assert [count_segments(pair * count) for count in (in_one_part * 3, in_one_part * 3 + 1)] == [3, 4]


def test_the_alphabet_is_the_default_one() -> None:
    spanish = set("ñÑéÉüÜ¿¡àùò")

    assert len(GSM_7_ALPHABET) == 127  # 128 codes, one of them the escape
    assert len(GSM_7_EXTENSION) == 10
    assert spanish <= GSM_7_ALPHABET
    assert not set("áíóúÁÍÓÚç`\tÀ«»–’“”…") & (GSM_7_ALPHABET | GSM_7_EXTENSION)


def test_only_the_eight_accents_that_cost_are_dropped() -> None:
    assert drop_accents("Mañana éxito ¿pingüino? ¡ÉÑÜ! áíóú ÁÍÓÚ à") == "Mañana éxito ¿pingüino? ¡ÉÑÜ! aiou AIOU à"


def test_decomposed_accents_are_dropped_and_the_other_letters_stay_decomposed() -> None:
    assert drop_accents("reunio\u0301n E\u0301xito man\u0303ana u\u0308") == "reunion E\u0301xito man\u0303ana u\u0308"


@given(texts)
def test_counting_another_way_gives_the_same(text: str) -> None:
    assert count_segments(text) == count_by_cutting(text)


@given(st.text() | texts)
def test_any_text_can_be_measured_and_filling_part_by_part_gives_the_same(text: str) -> None:
    assert measure(text) == fill_part_by_part(text)
    assert count_segments(text) == count_by_cutting(text)


@given(st.text(alphabet="x€", min_size=140, max_size=400) | st.text(alphabet="á😀", min_size=60, max_size=200))
def test_pairs_anywhere_around_the_borders_are_counted_alike(text: str) -> None:
    assert measure(text) == fill_part_by_part(text)


@given(st.text())
def test_dropping_accents_never_touches_the_enye(text: str) -> None:
    assert [drop_accents(text).count(letter) for letter in "ñÑüÜéÉ"] == [text.count(letter) for letter in "ñÑüÜéÉ"]


@given(texts, texts)
def test_a_longer_text_never_costs_less(text: str, more: str) -> None:
    assert count_segments(text + more) >= max(count_segments(text), count_segments(more))


@given(texts)
def test_dropping_accents_never_costs_more_and_repeating_it_changes_nothing(text: str) -> None:
    plain = drop_accents(text)

    assert count_segments(plain) <= count_segments(text)
    assert drop_accents(plain) == plain
