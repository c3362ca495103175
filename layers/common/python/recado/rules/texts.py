"""A message's text: what it may hold, its personal fields, and what each person is sent in the end.

Estimate, hold and dispatch must all ask `text_for` or `price_of`, or what is shown would not be what is charged.
A name must never be read as a field, and an error must never repeat the text.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType

from recado.errors import FieldProblem, InvalidRequest
from recado.rules import segments
from recado.rules.segments import NOT_GSM_7, Size, measure

SEGMENTS_MAX = 10  # a text of more parts arrives torn on many handsets; carriers refuse it
CHARACTERS_MAX = 5000
FIELDS_MAX = 10  # places in one text, each of which may become many names
NAMES_MAX = 12  # on one number; whoever shares a boarding house's telephone reads how many more there are
NAME_CHARACTERS_MAX = 60
LINE_END = "\n"
TEXTS_KEPT = 64  # texts whose parts a process remembers; a plan measures the same one a million times


class Field(StrEnum):
    """What a text may say differently to each person."""

    STUDENT = "student"
    COURSE = "course"
    GUARDIAN = "guardian"


FIELD_OF_WORD: Mapping[str, Field] = MappingProxyType(
    {
        **{field.value: field for field in Field},
        "estudiante": Field.STUDENT,
        "alumno": Field.STUDENT,
        "alumna": Field.STUDENT,
        "curso": Field.COURSE,
        "apoderado": Field.GUARDIAN,
        "apoderada": Field.GUARDIAN,
    }
)
NEUTRAL: Mapping[Field, str] = MappingProxyType(
    {Field.STUDENT: "su estudiante", Field.COURSE: "su curso", Field.GUARDIAN: "apoderado/a"}
)

# Letters of Spanish, so that `{dirección}` is told to be no field instead of reaching families as it stands.
FIELD = re.compile(r"\{([a-z_áéíóúüñ]{1,30})\}", re.IGNORECASE)

# Most names: words of Latin-1's visible characters, one space between them. There is nothing to clean in those.
CLEAN_NAME = re.compile("[!-~¡-¬®-ÿ]+(?: [!-~¡-¬®-ÿ]+)*")

# `y` is `e` before what sounds like an i (Inés, Hilda, Íñigo, Yrma), and stays before Hierro, Iago, Yolanda (RAE, DPD,
# y², 1). A Roman number is read as another word: "I medio y II medio" is primero y segundo.
SOUNDS_LIKE_I = re.compile(r"(?:h?i(?![aeouáéóú])|h?í|y(?=[b-df-hj-np-tv-xzñ]))", re.IGNORECASE)
ROMAN = re.compile(r"[IVX]+(?![\w.])")

# Bidirectional embeddings, overrides and isolates: they make a text read otherwise than it is written.
BIDI_CONTROLS = re.compile("[\u202a-\u202e\u2066-\u2069]")

# What comes along when a text is pasted: invisible, meaningless to a handset, and enough to double the price.
# Joiners (U+200C, U+200D) stay: emoji and some scripts are written with them.
INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff]")
LINE_ENDS = re.compile("\r\n|[\r\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class FieldValues:
    """What the fields say to one recipient, in the order in which it should be said."""

    students: tuple[str, ...] = ()
    courses: tuple[str, ...] = ()
    guardians: tuple[str, ...] = ()

    def of(self, field: Field) -> tuple[str, ...]:
        """The values of one field."""
        if field is Field.STUDENT:
            return self.students
        return self.courses if field is Field.COURSE else self.guardians


EMPTY = FieldValues()


def compose(raw: str) -> str:
    """The text as it is kept: NFC, for a decomposed ñ looks the same and costs double; one kind of line end; without
    the invisible characters that pasting brings along. Nothing that can be seen changes."""
    return unicodedata.normalize("NFC", INVISIBLE.sub("", LINE_ENDS.sub(LINE_END, raw)))


def check_text(text: str, *, drop_accents: bool = False) -> None:
    """Raises InvalidRequest for `/text`: nothing to send, longer than a message may be, characters that cannot be sent
    or that hide what it says, fields that do not exist. Emoji and right-to-left letters are fine: they cost UCS-2.

    Segments are counted with the neutral words in place of the fields, and without accents if they are to be dropped.
    """
    check_words(text)
    size = measure(_fill(text, EMPTY, drop_accents))
    if size.segments > SEGMENTS_MAX:
        raise _refused("too_long", f"It takes {size.segments} segments; {SEGMENTS_MAX} are the most")


def check_words(text: str) -> None:
    """As `check_text`, but for the segments: what is read on a screen has none."""
    if len(text) > CHARACTERS_MAX:
        raise _refused("too_long", f"At most {CHARACTERS_MAX} characters")
    # Cc: control characters; Cs: half a surrogate pair, which no encoding can carry.
    if any(unicodedata.category(letter) in ("Cc", "Cs") and letter not in "\n\r" for letter in text):
        raise _refused("control_character", "Control characters cannot be sent")
    if BIDI_CONTROLS.search(text):
        raise _refused("direction_control", "Characters that turn the direction of the text cannot be sent")
    if not any(_is_seen(letter) for letter in text):
        raise _refused("empty", "A message needs a text")
    list_fields(text)
    if len(_split(text, drop_accents=False)[1]) > FIELDS_MAX:
        raise _refused("too_many_fields", f"At most {FIELDS_MAX} fields")


def check_label(text: str, field: str, characters_max: int) -> None:
    """Raises InvalidRequest for `field`: a name to be shown, one line of 1 to `characters_max` visible characters."""
    if not any(_is_seen(letter) for letter in text):
        raise _refused("empty", "It cannot be empty", field)
    if len(text) > characters_max:
        raise _refused("too_long", f"At most {characters_max} characters", field)
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text) or BIDI_CONTROLS.search(text):
        raise _refused("control_character", "One line, without control characters", field)


def list_fields(text: str) -> frozenset[Field]:
    """The fields a text uses. Raises InvalidRequest `/text` `unknown_field` for `{word}` that is none; any other brace
    is a character like the rest."""
    words = {word.lower() for word in FIELD.findall(text)}
    if not words <= FIELD_OF_WORD.keys():
        known = ", ".join(f"{{{word}}}" for word in FIELD_OF_WORD)
        raise _refused("unknown_field", f"The fields are {known}")
    return frozenset(FIELD_OF_WORD[word] for word in words)


def fields_in(text: str) -> frozenset[Field]:
    """The fields a text uses, whatever else stands in braces. Never raises."""
    return frozenset(_split(text, False)[1])


def missing_fields(text: str, values: FieldValues) -> frozenset[Field]:
    """The fields of a text that have no value here and are said with a neutral word."""
    return frozenset(field for field in _split(text, False)[1] if not _clean_names(values.of(field)))


def render(text: str, values: FieldValues) -> str:
    """The text with its fields filled in; words in braces that are no fields stay as they are. Never raises."""
    return _fill(text, values, drop_accents=False)


def text_for(text: str, values: FieldValues, drop_accents: bool) -> str:
    """Exactly what one recipient is sent. Where names would make it longer than a message may be (SEGMENTS_MAX), it
    says the neutral words: those were counted when the text was accepted."""
    return _finish(text, values, drop_accents)[0]


def price_of(text: str, values: FieldValues, drop_accents: bool) -> Size:
    """The size of `text_for`. Microseconds: asked once for each recipient."""
    if not _split(text, drop_accents)[1]:
        return _price_without_fields(text, drop_accents)
    return _finish(text, values, drop_accents)[1]


def plain(text: str, drop_accents: bool) -> str:
    """The text as it is, or without the accents that cost (á í ó ú; never ñ) where the sender chose so."""
    return segments.drop_accents(text) if drop_accents else text


def costly_characters(text: str) -> tuple[str, ...]:
    """The characters that are not in GSM-7 and so force UCS-2, each once, in the order they come."""
    return tuple(dict.fromkeys(NOT_GSM_7.findall(text)))


def join_names(names: Sequence[str]) -> str:
    """Names as Spanish lists them: "Ana", "Ana e Inés", "Ana, Luis y Eva"; after NAMES_MAX only how many more."""
    if len(names) > NAMES_MAX:
        return f"{', '.join(names[:NAMES_MAX])} y {len(names) - NAMES_MAX} más"
    if len(names) < 2:
        return "".join(names)
    last = names[-1]
    return f"{', '.join(names[:-1])} {_and_before(last)} {last}"


def _finish(text: str, values: FieldValues, drop_accents: bool) -> tuple[str, Size]:
    full = _fill(text, values, drop_accents)
    size = measure(full)
    if size.segments <= SEGMENTS_MAX:
        return full, size
    neutral = _fill(text, EMPTY, drop_accents)
    return neutral, measure(neutral)


def _fill(text: str, values: FieldValues, drop_accents: bool) -> str:
    literals, fields = _split(text, drop_accents)
    if not fields:
        return literals[0]
    said = {field: plain(_say(field, values), drop_accents) for field in fields}
    parts = [literals[0]]
    for field, literal in zip(fields, literals[1:], strict=True):
        parts += (said[field], literal)
    return "".join(parts)


@lru_cache(maxsize=TEXTS_KEPT)
def _split(text: str, drop_accents: bool) -> tuple[tuple[str, ...], tuple[Field, ...]]:
    """What stands between the fields (one more than there are fields), and the fields."""
    literals, fields, start = [], [], 0
    for found in FIELD.finditer(text):
        field = FIELD_OF_WORD.get(found[1].lower())
        if field is not None:
            literals.append(plain(text[start : found.start()], drop_accents))
            fields.append(field)
            start = found.end()
    return (*literals, plain(text[start:], drop_accents)), tuple(fields)


@lru_cache(maxsize=TEXTS_KEPT)
def _price_without_fields(text: str, drop_accents: bool) -> Size:
    return measure(plain(text, drop_accents))


def _say(field: Field, values: FieldValues) -> str:
    return join_names(_clean_names(values.of(field))) or NEUTRAL[field]


def _clean_names(names: tuple[str, ...]) -> list[str]:
    return [name for name in dict.fromkeys(map(_clean_name, names)) if name]


def _clean_name(name: str) -> str:
    """NFC, one space between words, nothing invisible, at most NAME_CHARACTERS_MAX; a mark with no letter goes too."""
    if len(name) <= NAME_CHARACTERS_MAX and CLEAN_NAME.fullmatch(name):
        return name
    seen = "".join(letter for letter in " ".join(name.split()) if unicodedata.category(letter)[0] != "C")
    words = " ".join(unicodedata.normalize("NFC", seen).split())
    start = next((at for at, letter in enumerate(words) if unicodedata.category(letter)[0] not in "MZ"), len(words))
    return words[start : start + NAME_CHARACTERS_MAX].rstrip()


def _and_before(word: str) -> str:
    return "e" if SOUNDS_LIKE_I.match(word) and not ROMAN.match(word) else "y"


def _is_seen(letter: str) -> bool:
    return unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Zl", "Zp", "Zs")


def _refused(code: str, detail: str, field: str = "/text") -> InvalidRequest:
    return InvalidRequest(fields=[FieldProblem(field, code, detail)])
