"""The words a handset answers to be left alone, to be written to again, or to ask for help.

Must never look inside a sentence: "mi hijo se dio de baja del taller" is a reply to the school, not an opt-out.
"""

import re
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
        "DESUSCRIBIR": Word.STOP,
        "DESUSCRIBIRME": Word.STOP,
        # What carriers and handsets everywhere understand: CTIA, Messaging Principles; 47 CFR 64.1200(a)(10) (REVOKE,
        # OPT OUT); AWS's required keywords (REMOVE). Not YES, nor SI: families answer questions with it.
        "STOP": Word.STOP,
        "STOPALL": Word.STOP,
        "STOP ALL": Word.STOP,
        "UNSUBSCRIBE": Word.STOP,
        "QUIT": Word.STOP,
        "END": Word.STOP,
        "CANCEL": Word.STOP,
        "REVOKE": Word.STOP,
        "OPTOUT": Word.STOP,
        "OPT OUT": Word.STOP,
        "REMOVE": Word.STOP,
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
    dict.fromkeys(("STOPALL", "STOP ALL", "UNSUBSCRIBE", "QUIT", "END", "CANCEL", "REVOKE"), "en")
    | dict.fromkeys(("OPTOUT", "OPT OUT", "REMOVE", "START", "UNSTOP", "HELP"), "en")
    | dict.fromkeys(("ALTO", "BAJA", "PARAR", "SALIR", "CANCELAR", "NO MAS", "BLOQUEAR"), "es")
    | dict.fromkeys(("DESUSCRIBIR", "DESUSCRIBIRME", "ALTA", "INICIO", "AYUDA"), "es")
)
# What a phone, and not its owner, writes under a text.
_SIGNATURE = re.compile(r"\s*(--|enviado (desde|con|por)\b|sent (from|with|via)\b)", re.IGNORECASE)
_KEYWORD_WORDS_MAX = 2


def read_word(text: str) -> Word | None:
    """What the whole message asks for, if it is nothing but one of the words.

    Accents, case, repeated spaces, signs around it and a phone's signature under it do not count, nor how often a STOP
    is said.
    """
    keyword = find_keyword(text)
    return WORDS[keyword] if keyword is not None else None


def find_keyword(text: str) -> str | None:
    """The word that the whole message is, as WORDS spells it."""
    said = _bare(_without_signature(text))
    if said in WORDS:
        return said
    spoken = "".join(letter if letter.isalnum() else " " for letter in said).split()
    for size in range(1, _KEYWORD_WORDS_MAX + 1):
        once, times = spoken[:size], len(spoken) // size
        if times > 1 and spoken == once * times and WORDS.get(" ".join(once)) is Word.STOP:
            return " ".join(once)  # "STOP! STOP!"
    return None


def _without_signature(text: str) -> str:
    lines = text.strip().splitlines()
    ends_at = next((place for place, line in enumerate(lines) if place and _SIGNATURE.match(line)), len(lines))
    return "\n".join(lines[:ends_at])


def _bare(text: str) -> str:
    """The text without what does not count: accents, case, repeated spaces, signs around it; a hyphen is a space.

    A comma is none: "no, más" asks for more.
    """
    decomposed = unicodedata.normalize("NFKD", text)
    kinds = [(letter, unicodedata.category(letter)) for letter in decomposed]
    letters = [" " if kind in ("Pd", "Pc") else letter for letter, kind in kinds if kind not in ("Mn", "Cf")]
    inside = [place for place, letter in enumerate(letters) if letter.isalnum()]
    found = "".join(letters[inside[0] : inside[-1] + 1]).upper() if inside else ""
    return " ".join(found.split())
