from hypothesis import given
from hypothesis import strategies as st

from recado.rules.name_search import WORD_LENGTH_MAX, WORDS_MAX, is_found, read_query, words_in, words_of
from recado.rules.oneroster import RosterPerson

NOBODY: frozenset[str] = frozenset()


def record(given_name: str, family_name: str, number: str | None = None, typed: str = "") -> RosterPerson:
    return RosterPerson("g1", "guardian", given_name, family_name, number, typed, False, NOBODY, NOBODY, NOBODY)


def test_words_are_without_accents_and_case_and_once_each() -> None:
    assert words_in("  María-José  MUÑOZ d'Alençon muñoz ") == ["maria", "jose", "munoz", "d", "alencon"]
    assert words_in("١٢ Жанна 李") == ["١٢", "жанна", "李"]
    assert words_in("--- ¿? \x00") == []


def test_a_number_is_one_word_backwards() -> None:
    assert words_of(record("Ana", "Soto", "+56955550101")) == {"ana", "soto", "+10105555965"}
    assert words_of(record("Ana", "Soto", None, "tel 12345")) == {"ana", "soto", "+54321"}
    assert words_of(record("Ana", "Soto", None, "no tengo")) == {"ana", "soto"}


def test_a_query_is_a_number_when_it_has_no_letters() -> None:
    assert read_query("0101") == ["+101"]
    assert read_query("00 56 9 5555-0101") == ["+10105555965"]
    assert read_query("12") == []
    assert read_query("Ana 2") == ["ana", "2"]


def test_a_long_name_has_a_bounded_number_of_bounded_words() -> None:
    words = words_of(record(" ".join(f"n{position}" for position in range(50)), "x" * 100))

    assert len(words) == WORDS_MAX
    assert all(len(word) <= WORD_LENGTH_MAX for word in words)


@given(st.text(max_size=60), st.text(max_size=60))
def test_whoever_is_searched_by_their_own_name_is_found(given_name: str, family_name: str) -> None:
    beginnings = words_in(f"{given_name} {family_name}")[:WORDS_MAX]

    assert is_found(record(given_name, family_name), beginnings)


@given(st.text(max_size=100))
def test_no_query_fails(query: str) -> None:
    assert all(beginning and "#" not in beginning for beginning in read_query(query))
