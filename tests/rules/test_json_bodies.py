"""What a body may not be: each refusal names a place and a code, and repeats no value."""

import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.errors import InvalidRequest
from recado.rules.json_bodies import DEPTH_MAX, ITEMS_MAX, read_json, shown


def refusal(text: str) -> tuple[str, str]:
    with pytest.raises(InvalidRequest) as refused:
        read_json(text)
    (problem,) = refused.value.fields
    return problem.field, problem.code


@pytest.mark.parametrize(
    ("text", "place", "code"),
    [
        ("", "/", "json_invalid"),
        ("{", "/", "json_invalid"),
        ("[" * 100_000, "/", "too_deep"),
        ('{"a":' * 100_000, "/", "too_deep"),
        ('{"a": NaN}', "/", "json_invalid"),
        ('{"a": -Infinity}', "/", "json_invalid"),
        ('{"a": 1e999}', "/", "number_too_large"),
        ('{"a": ' + "9" * 5000 + "}", "/", "number_too_large"),
        ('{"a": 1, "a": 2}', "/a", "duplicate_name"),
        ('{"b": {"a": 1, "a": 1}}', "/a", "duplicate_name"),
        ('{"text": "a\\u0000b"}', "/text", "control_character"),
        ('{"text": ["ok", "\\u009f"]}', "/text/1", "control_character"),
        ('{"te\\u0000xt": 1}', "/te?xt", "control_character"),
        ('{"text": "\\ud800"}', "/text", "not_unicode"),
        ('{"\\udfff": 1}', "/?", "not_unicode"),
        (json.dumps({"people": ["a"] * (ITEMS_MAX + 1)}), "/people", "too_long"),
        (json.dumps("\x00"), "/", "control_character"),
    ],
)
def test_what_cannot_be_accepted_is_named_by_its_place(text: str, place: str, code: str) -> None:
    assert refusal(text) == (place, code)


def test_depth_is_bounded_exactly() -> None:
    assert read_json("[" * DEPTH_MAX + "]" * DEPTH_MAX)
    assert refusal("[" * (DEPTH_MAX + 1) + "]" * (DEPTH_MAX + 1))[1] == "too_deep"


@pytest.mark.parametrize(
    "text",
    ["Mañana no hay clases 👨‍👩‍👧‍👦", "غدًا لا توجد دروس \u202e", "O'Higgins", "uno\ndos\ttres\r\n", "=1+1", "\u2028"],
)
def test_words_of_every_script_are_let_through_as_they_are(text: str) -> None:
    assert read_json(json.dumps({"text": text})) == {"text": text}
    assert read_json(json.dumps({"text": text}, ensure_ascii=False)) == {"text": text}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cc", "Cs"))),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=("Cc", "Cs"))), inner),
    max_leaves=20,
)  # fmt: skip


@given(json_values)
def test_whatever_is_within_bounds_is_read_as_it_was_written(value: Any) -> None:
    assert read_json(json.dumps(value)) == value


@given(st.text())
def test_no_text_at_all_breaks_it(text: str) -> None:
    with contextlib.suppress(InvalidRequest):
        read_json(text)


def test_the_largest_body_is_refused_quickly() -> None:
    began = time.perf_counter()

    refusal(json.dumps({"people": [f"{n:x}" for n in range(200_000)]}))

    assert time.perf_counter() - began < 2


def test_a_name_is_shown_short_and_printable() -> None:
    assert shown("numbers") == "numbers"
    assert shown("\ud800\x00") == "??"
    assert len(shown("n" * 100_000)) == 64
