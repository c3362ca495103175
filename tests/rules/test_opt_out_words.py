"""What counts as asking to stop, to start again, or for help: the whole message, never a word in a sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.rules.opt_out_words import Word, read_word

STOP = [
    "ALTO",
    "BAJA",
    "BLOQUEAR",
    "PARAR",
    "SALIR",
    "CANCELAR",
    "STOP",
    "STOPALL",
    "UNSUBSCRIBE",
    "QUIT",
    "END",
    "CANCEL",
]
START = ["ALTA", "INICIO", "START", "UNSTOP"]
HELP = ["AYUDA", "HELP", "INFO"]


@pytest.mark.parametrize(
    ("text", "word"),
    [(text, Word.STOP) for text in [*STOP, "NO MAS"]]
    + [(text, Word.START) for text in START]
    + [(text, Word.HELP) for text in HELP],
)
def test_each_published_word_is_understood(text: str, word: Word) -> None:
    assert read_word(text) is word
    assert read_word(text.lower()) is word
    assert read_word(f" ¡{text.title()}!\n") is word


@pytest.mark.parametrize(
    "text",
    [
        "No más",
        "no ma\u0301s",
        "NO   MÁS!!!",
        "«no\n más»",
        "no más 🙏",
        "sálir",
        "ＳＴＯＰ",
        "st\u200bop\ufeff",
        '"Baja".',
        "¿Alto?",
    ],
)
def test_accents_signs_spaces_and_case_do_not_count(text: str) -> None:
    assert read_word(text) is Word.STOP


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "!!!",
        "Mi hijo se dio de baja del taller",
        "baja ya",
        "stop stop",
        "nomas",
        "no",
        "no, más",
        "bajar",
        "bloquear a Pedro",
        "bloqueado",
        "altos",
        "1",
        "Gracias",
        "ALTO.BAJA",
    ],
)
def test_a_sentence_is_a_reply_and_not_a_word(text: str) -> None:
    assert read_word(text) is None


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    read_word(text)


@given(st.sampled_from(STOP), st.text(alphabet="abcxyzñÑ123", min_size=1))
def test_a_word_with_more_letters_is_another_word(text: str, more: str) -> None:
    assert read_word(f"{text} {more}") is None
