"""What counts as asking to stop, to start again, or for help: the whole message, never a word in a sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.rules.opt_out_words import LANGUAGES, WORDS, Word, read_word

# As docs/replies.md publishes them; spelt here once more, so that none gets lost.
PUBLISHED = {
    Word.STOP: "ALTO BAJA PARAR SALIR CANCELAR NO_MAS BLOQUEAR DESUSCRIBIR DESUSCRIBIRME STOP STOPALL STOP_ALL "
    "UNSUBSCRIBE QUIT END CANCEL REVOKE OPTOUT OPT_OUT REMOVE",
    Word.START: "ALTA INICIO START UNSTOP",
    Word.HELP: "AYUDA HELP INFO",
}
ALL = [(text.replace("_", " "), word) for word, texts in PUBLISHED.items() for text in texts.split()]
STOP = [text for text, word in ALL if word is Word.STOP]


@pytest.mark.parametrize(("text", "word"), ALL)
def test_each_published_word_is_understood(text: str, word: Word) -> None:
    assert read_word(text) is word
    assert read_word(text.lower()) is word
    assert read_word(f" ¡{text.title()}!\n") is word


def test_no_other_word_is_understood() -> None:
    assert dict(ALL) == dict(WORDS)
    assert set(LANGUAGES) == set(WORDS) - {"STOP", "INFO"}


# What families really write. A sentence is a reply, which somebody at the school reads.
WRITTEN = {
    # --- to be left alone
    "STOP.": Word.STOP,
    "STOP...": Word.STOP,
    "Stop!!!": Word.STOP,
    "¡ALTO!": Word.STOP,
    "¿Alto?": Word.STOP,
    "sálir": Word.STOP,
    "Parar": Word.STOP,
    "parár": Word.STOP,
    "no mas": Word.STOP,
    "NO MÁS": Word.STOP,
    "no ma\u0301s": Word.STOP,  # the accent as a sign of its own
    "NO   MÁS!!!": Word.STOP,
    "«no\n más»": Word.STOP,
    "no\u00a0más": Word.STOP,  # with a space that does not break
    "no-mas": Word.STOP,
    "No más 🙏": Word.STOP,
    "🛑 STOP 🛑": Word.STOP,
    "stop❤️": Word.STOP,
    "👋 baja": Word.STOP,
    "st\u200bop\ufeff": Word.STOP,  # with what nobody sees
    "\u00a0baja\u00a0": Word.STOP,
    "ＳＴＯＰ": Word.STOP,
    "𝐁𝐀𝐉𝐀": Word.STOP,
    '"Baja".': Word.STOP,
    "“baja”": Word.STOP,
    "'baja'": Word.STOP,
    "(baja)": Word.STOP,
    "*BAJA*": Word.STOP,
    "_baja_": Word.STOP,
    "> BAJA": Word.STOP,
    "--\nSTOP": Word.STOP,  # no signature: nothing stands over it
    "baja\r\n": Word.STOP,
    "stop stop": Word.STOP,
    "STOP! STOP! STOP!": Word.STOP,
    "alto, alto": Word.STOP,
    "no más no más": Word.STOP,
    "STOP-ALL": Word.STOP,
    "opt-out": Word.STOP,
    "cancelar.": Word.STOP,
    "STOP\n\nEnviado desde mi iPhone": Word.STOP,
    "Baja\nSent from my Samsung Galaxy": Word.STOP,
    "BAJA\n--\nJuan Pérez": Word.STOP,
    # --- to be written to again
    "Start": Word.START,
    "INICIO": Word.START,
    "alta.": Word.START,
    "¡Alta, por favor!": None,
    # --- for help
    "AYUDA!!": Word.HELP,
    "¿Ayuda?": Word.HELP,
    "info?": Word.HELP,
    "Help\nEnviado desde mi Huawei": Word.HELP,
    "ayuda ayuda": None,  # perhaps somebody in need: the school reads it
    # --- replies
    "": None,
    "   ": None,
    "!!!": None,
    "🛑": None,
    "0": None,
    "1": None,
    "Gracias": None,
    "no": None,
    "Sí": None,
    "SI": None,
    "YES": None,
    "OK": None,
    "no puedo parar ahora": None,
    "Mi hijo se dio de baja del taller": None,
    "dar de baja a Pedro": None,
    "darme de baja": None,  # from the school, perhaps
    "BAJA por favor": None,
    "baja, gracias": None,
    "baja ya": None,
    "Baja\nJuan Pérez": None,  # who does not come along
    "alta médica de mi hijo": None,
    "le dieron el alta": None,
    "ayuda con la matrícula": None,
    "necesito información": None,
    "informacion": None,
    "cancelar la hora": None,
    "cancelado": None,
    "bloquear a Pedro": None,
    "bloqueado": None,
    "para r": None,
    "s t o p": None,
    "bajar": None,
    "altos": None,
    "nomas": None,  # "nomás": just, only
    "no, más": None,  # "no: more"
    "no. más": None,
    "más no": None,
    "no no": None,
    "ALTO.BAJA": None,
    "STOP ALTA": None,
    "STOP 20600": None,
    "1 STOP": None,
    "stop it": None,
    "the end": None,
    "fin": None,
    "arrêt": None,
    "Re: baja": None,
    "Enviado desde mi iPhone": None,
}


@pytest.mark.parametrize(("text", "word"), WRITTEN.items(), ids=lambda one: ascii(one)[:40])
def test_what_families_really_write(text: str, word: Word | None) -> None:
    assert read_word(text) is word


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    read_word(text)


@given(st.sampled_from(STOP), st.text(alphabet="abcxyzñÑ123", min_size=1))
def test_a_word_with_more_letters_is_another_word(text: str, more: str) -> None:
    assert read_word(f"{text} {more}") is None


@given(st.sampled_from(STOP), st.integers(1, 30), st.sampled_from([" ", "! ", ", ", "\n", " 🙏 "]))
def test_a_stop_is_one_however_often_it_is_said(text: str, times: int, between: str) -> None:
    assert read_word(between.join([text] * times)) is Word.STOP
