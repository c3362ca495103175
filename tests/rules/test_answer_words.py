"""What recado answers: one GSM-7 segment whatever schools are called, in the language of who wrote."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.rules.answer_words import SCHOOLS, SESSIONS, Said, answer, language_of, plain_name
from recado.rules.segments import Encoding, measure

NAMES = st.lists(st.text(min_size=1, max_size=200), min_size=1, max_size=9)


@given(st.sampled_from(list(SCHOOLS)), st.sampled_from(["es", "en"]), NAMES)
def test_an_answer_is_one_segment_whatever_the_schools_are_called(said: Said, language: str, names: list[str]) -> None:
    size = measure(answer(said, language, names))

    assert (size.encoding, size.segments) == (Encoding.GSM_7, 1)


@pytest.mark.parametrize("said", SESSIONS)
@pytest.mark.parametrize("language", ["es", "en"])
def test_what_is_said_for_sessions_is_one_segment(said: Said, language: str) -> None:
    size = measure(answer(said, language, []))

    assert (size.encoding, size.segments) == (Encoding.GSM_7, 1)


@pytest.mark.parametrize("language", ["es", "en"])
def test_twenty_schools_are_some_by_name_and_how_many_more(language: str) -> None:
    said = answer(Said.STOPPED, language, [f"Colegio {place:02}" for place in range(20)])

    assert "Colegio 05, +14:" in said
    assert measure(said).segments == 1


def test_a_question_numbers_its_schools_from_one() -> None:
    asked = answer(Said.CHOOSE, "es", ["Colegio San José", "Liceo Ñuñoa"])

    assert asked.endswith("Responda 1 Colegio San José, 2 Liceo Ñuñoa")


@given(st.lists(st.text(min_size=1, max_size=60), min_size=2, max_size=9))
def test_every_school_that_can_be_chosen_has_its_digit(names: list[str]) -> None:
    asked = answer(Said.CHOOSE, "es", names)

    for place in range(1, len(names) + 1):
        assert f"{place} " in asked


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("Colegio San José y Ángel", "Colegio San José y Angel"),
        ("Escuela Ñandú", "Escuela Ñandu"),
        ("Jardín  «El\nSol»", "Jardin El Sol"),
        ("Collège Bézier", "Collège Bézier"),
        ("Colégio São João", "Colégio Sao Joao"),
        ("[Liceo] {names} €", "Liceo names"),
        ("🏫", "?"),
        ("Escuela\u202eatleuqsE", "Escuela atleuqsE"),
    ],
)
def test_a_name_is_said_in_the_letters_that_cost_one_septet(name: str, plain: str) -> None:
    assert plain_name(name) == plain


@pytest.mark.parametrize(
    ("text", "country", "language"),
    [
        ("BAJA", "US", "es"),
        ("Unsubscribe!", "CL", "en"),
        ("STOP", "CL", "es"),
        ("stop", "US", "en"),
        ("Ayuda", None, "es"),
        ("hola", "DO", "es"),
        ("hello", "JM", "en"),
    ],
)
def test_the_language_is_the_words_or_the_handsets_countrys(text: str, country: str | None, language: str) -> None:
    assert language_of(text, country) == language
