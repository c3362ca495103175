"""The words a handset answers to be left alone, to be written to again, or to ask for help.

Must never look inside a sentence: "mi hijo se dio de baja del taller" is a reply to the school, not an opt-out.
"""

import unicodedata
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Word(StrEnum):
    STOP = "stop"
    START = "start"
    HELP = "help"


WORDS: Mapping[str, Word] = MappingProxyType(
    {
        "ALTO": Word.STOP,
        "BAJA": Word.STOP,
        "PARAR": Word.STOP,
        "SALIR": Word.STOP,
        "CANCELAR": Word.STOP,
        "NO MAS": Word.STOP,
        "BLOQUEAR": Word.STOP,
        # What carriers and handsets everywhere understand (CTIA, Messaging Principles, opt-out keywords).
        "STOP": Word.STOP,
        "STOPALL": Word.STOP,
        "UNSUBSCRIBE": Word.STOP,
        "QUIT": Word.STOP,
        "END": Word.STOP,
        "CANCEL": Word.STOP,
        "ALTA": Word.START,
        "INICIO": Word.START,
        "START": Word.START,
        "UNSTOP": Word.START,
        "AYUDA": Word.HELP,
        "HELP": Word.HELP,
        "INFO": Word.HELP,
    }
)


# Words that only one of the two languages has; the others (STOP, INFO) are said in both.
LANGUAGES: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(("STOPALL", "UNSUBSCRIBE", "QUIT", "END", "CANCEL", "START", "UNSTOP", "HELP"), "en")
    | dict.fromkeys(
        ("ALTO", "BAJA", "PARAR", "SALIR", "CANCELAR", "NO MAS", "BLOQUEAR", "ALTA", "INICIO", "AYUDA"), "es"
    )
)


def read_word(text: str) -> Word | None:
    """What the whole message asks for; accents, case, repeated spaces and signs around the words do not count."""
    return WORDS.get(bare(text))


def bare(text: str) -> str:
    """The text without what does not count: accents, case, repeated spaces, signs around it."""
    decomposed = unicodedata.normalize("NFKD", text)
    letters = [letter for letter in decomposed if unicodedata.category(letter) not in ("Mn", "Cf")]
    inside = [place for place, letter in enumerate(letters) if letter.isalnum()]
    found = "".join(letters[inside[0] : inside[-1] + 1]).upper() if inside else ""
    return " ".join(found.split())
