"""What recado answers to a word, or asks, on a code: one GSM-7 segment each, so without á, í, ó and ú.

Names of schools are cut so that all of it fits, and cannot make it longer or another encoding. It must never repeat
what the handset wrote.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType

from recado.rules.opt_out_words import LANGUAGES, find_keyword
from recado.rules.segments import GSM_7_ALPHABET, drop_accents

ONE_SEGMENT = 160  # septets: 3GPP TS 23.038 §6.2.1
NAME_LENGTH_MAX = 40
NAME_LENGTH_LEAST = 6
NAMES_MAX = 6  # after them: how many more
ENGLISH_SPEAKING = frozenset({"US", "GB", "IE", "CA", "AU", "NZ", "JM", "BS", "BB", "TT", "BZ", "GY"})


class Said(StrEnum):
    """What is answered. Only STOPPED passes the block: it is the proof that there is one."""

    STOPPED = "stopped"
    STARTED = "started"
    HELP = "help"
    CHOOSE = "choose"


SCHOOLS: Mapping[Said, Mapping[str, str]] = MappingProxyType(
    {
        Said.STOPPED: {
            "es": "{names}: no le llegaran mas SMS. Para volver a recibirlos, responda ALTA.",
            "en": "{names}: you will get no more SMS. To get them again, answer START.",
        },
        Said.STARTED: {
            "es": "{names}: le llegaran SMS de nuevo. Para no recibir mas, responda BAJA.",
            "en": "{names}: you will get SMS again. To get no more, answer STOP.",
        },
        Said.HELP: {
            "es": "Le escribe {names}. Para no recibir mas SMS, responda BAJA; para volver a recibirlos, ALTA.",
            "en": "This is {names}. To get no more SMS, answer STOP; to get them again, START.",
        },
        Said.CHOOSE: {
            "es": "Su mensaje espera. Para quien es? Responda {names}",
            "en": "Your message is waiting. Who is it for? Answer {names}",
        },
    }
)
# On a code of sessions: nobody's school, whoever writes there from the web.
SESSIONS: Mapping[Said, Mapping[str, str]] = MappingProxyType(
    {
        Said.STOPPED: {
            "es": "No le llegaran mas mensajes escritos desde la web. Para volver a recibirlos, responda ALTA.",
            "en": "You will get no more messages written on the web. To get them again, answer START.",
        },
        Said.STARTED: {
            "es": "Le llegaran de nuevo mensajes escritos desde la web. Para no recibir mas, responda BAJA.",
            "en": "You will get messages written on the web again. To get no more, answer STOP.",
        },
        Said.HELP: {
            "es": "Le escribe una persona desde la web. Para no recibir mas, responda BAJA; para volver, ALTA.",
            "en": "A person writes to you from the web. To get no more, answer STOP; to get them again, START.",
        },
    }
)


def language_of(text: str, country: str | None) -> str:
    """`es` or `en`: that of the word where only one has it, else what is spoken where the handset is at home."""
    word = find_keyword(text)
    if word is not None and word in LANGUAGES:
        return LANGUAGES[word]
    return "en" if country in ENGLISH_SPEAKING else "es"


def answer(said: Said, language: str, names: Sequence[str]) -> str:
    """What is said in the name of these schools; without any, of the sessions'."""
    if not names:
        return SESSIONS[said][language]
    pattern = SCHOOLS[said][language]
    if said is Said.CHOOSE:
        return _fitted(pattern, [plain_name(name) for name in names], numbered=True)
    shown = [plain_name(name) for name in names[:NAMES_MAX]]
    more = len(names) - len(shown)
    if more:
        shown.append(f"+{more}")
    return _fitted(pattern, shown, numbered=False)


def plain_name(name: str) -> str:
    """A name in GSM-7's basic alphabet, one septet a character, on one line; "?" when nothing is left of it."""
    plain = []
    for letter in drop_accents(unicodedata.normalize("NFC", name)):
        if letter in GSM_7_ALPHABET and letter not in "\r\n":
            plain.append(letter)
            continue
        # Another accent gives its letter; what is no letter, nor looks like one, gives a blank.
        first = unicodedata.normalize("NFKD", letter)[:1]
        plain.append(first if first in GSM_7_ALPHABET and first not in "\r\n" else " ")
    return " ".join("".join(plain).split()) or "?"


def _fitted(pattern: str, names: Sequence[str], *, numbered: bool) -> str:
    for length in range(NAME_LENGTH_MAX, NAME_LENGTH_LEAST - 1, -1):
        shown = [name if len(name) <= length else name[:length].rstrip() for name in names]
        if numbered:
            shown = [f"{place} {name}" for place, name in enumerate(shown, start=1)]
        text = pattern.format(names=", ".join(shown))
        if len(text) <= ONE_SEGMENT:
            return text
    raise ValueError("so many names do not fit")
