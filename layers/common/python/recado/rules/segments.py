"""How many segments a text is: what it costs, before it is sent.

Sources: 3GPP TS 23.038 §6.2.1 (alphabet), §6.2.1.1 (extension, two septets each), §6.2.3 (UCS-2);
3GPP TS 23.040 §9.2.3.24.1 (a part of several has 6 octets less). Must never divide and round up: neither
an escape pair nor a surrogate pair may straddle two parts, so parts are filled one after the other.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

GSM_7_ALPHABET = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_7_EXTENSION = frozenset("\f^{}\\[~]|€")

COSTLY_ACCENTS = str.maketrans("áíóúÁÍÓÚ", "aiouAIOU")  # é is in GSM-7, and so are ñ Ñ ü Ü É ¿ ¡
COSTLY_ACCENTS_DECOMPOSED = re.compile("([aiouAIOU])\u0301+")


class Encoding(StrEnum):
    GSM_7 = "GSM-7"
    UCS_2 = "UCS-2"


@dataclass(frozen=True, slots=True)
class Size:
    encoding: Encoding
    units: int  # septets, or UTF-16 code units
    segments: int


def measure(text: str) -> Size:
    """The encoding a text needs, its length in it, and its segments. An empty text is one: one part would be sent."""
    if GSM_7_ALPHABET.union(GSM_7_EXTENSION).issuperset(text):
        return _fill(Encoding.GSM_7, [2 if letter in GSM_7_EXTENSION else 1 for letter in text], alone=160, part=153)
    return _fill(Encoding.UCS_2, [2 if ord(letter) > 0xFFFF else 1 for letter in text], alone=70, part=67)


def count_segments(text: str) -> int:
    """How many credits the text costs per recipient."""
    return measure(text).segments


def drop_accents(text: str) -> str:
    """The text with plain vowels for á í ó ú Á Í Ó Ú, the Spanish letters that GSM-7 lacks; nothing else changes."""
    return COSTLY_ACCENTS_DECOMPOSED.sub(r"\1", text.translate(COSTLY_ACCENTS))


def _fill(encoding: Encoding, widths: Iterable[int], alone: int, part: int) -> Size:
    units, segments, used = 0, 1, 0
    for width in widths:
        units += width
        if used + width > part:
            segments, used = segments + 1, 0
        used += width
    return Size(encoding, units, 1 if units <= alone else segments)
