"""How many segments a text is: what it costs, before it is sent.

Sources: 3GPP TS 23.038 §6.2.1 (alphabet), §6.2.1.1 (extension, two septets each), §6.2.3 (UCS-2);
3GPP TS 23.040 §9.2.3.24.1 (a part of several has 6 octets less). Must never just divide and round up: neither an
escape pair nor a surrogate pair may straddle two parts, so a part may end one unit early.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

GSM_7_ALPHABET = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_7_EXTENSION = frozenset("\f^{}\\[~]|€")

COSTLY_ACCENTS = tuple(zip("áíóúÁÍÓÚ", "aiouAIOU", strict=True))  # é is in GSM-7, and so are ñ Ñ ü Ü É ¿ ¡
COSTLY_ACCENT = re.compile("[áíóúÁÍÓÚ\u0301]")
COSTLY_ACCENTS_DECOMPOSED = re.compile("([aiouAIOU])\u0301+")

# Searching is many times faster than looking at each letter, and a large audience's texts are each measured.
NOT_GSM_7 = re.compile(f"[^{re.escape(''.join(sorted(GSM_7_ALPHABET | GSM_7_EXTENSION)))}]")
ESCAPED = re.compile(f"[{re.escape(''.join(sorted(GSM_7_EXTENSION)))}]")
BEYOND_ONE_UNIT = re.compile("[\U00010000-\U0010ffff]")


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
    if NOT_GSM_7.search(text) is None:
        return _size(Encoding.GSM_7, text, ESCAPED, alone=160, part=153)
    return _size(Encoding.UCS_2, text, BEYOND_ONE_UNIT, alone=70, part=67)


def count_segments(text: str) -> int:
    """How many credits the text costs per recipient."""
    return measure(text).segments


def drop_accents(text: str) -> str:
    """The text with plain vowels for á í ó ú Á Í Ó Ú, the Spanish letters that GSM-7 lacks; nothing else changes."""
    if COSTLY_ACCENT.search(text) is None:
        return text
    for accented, plain in COSTLY_ACCENTS:
        text = text.replace(accented, plain)
    return COSTLY_ACCENTS_DECOMPOSED.sub(r"\1", text)


def _size(encoding: Encoding, text: str, pairs: re.Pattern[str], alone: int, part: int) -> Size:
    at = [found.start() for found in pairs.finditer(text)]
    units = len(text) + len(at)
    if units <= alone:
        return Size(encoding, units, 1)
    left_empty = 0  # the last unit of a part, where a pair would have straddled
    for pairs_before, index in enumerate(at):
        if (index + pairs_before + left_empty) % part == part - 1:
            left_empty += 1
    return Size(encoding, units, -(-(units + left_empty) // part))
