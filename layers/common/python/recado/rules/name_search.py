"""Under which words a search finds a person: the words of their names, without accents or case, and their number.

A name is found by how any of its words begins, a number by how it ends: whole, or its last digits.
"""

import unicodedata

from recado.rules.oneroster import RosterPerson

WORD_LENGTH_MAX = 32
WORDS_MAX = 12  # of one person's names; what follows is not searched
DIGITS_MIN = 3
NUMBER_MARK = "+"  # a number's word: its digits backwards, so that last digits are a beginning


def words_of(record: RosterPerson) -> frozenset[str]:
    """The words of one person; also of a number that cannot be used, as it was typed."""
    names = words_in(f"{record.given_name} {record.family_name}")[:WORDS_MAX]
    return frozenset([*names, *_number_words(record.number or record.typed_number)])


def words_in(text: str) -> list[str]:
    """Its words in order, once each: letters and digits only, without accents or case; `ñ` is found as `n`."""
    plain = "".join(
        letter
        for letter in unicodedata.normalize("NFKD", text.casefold())
        if not unicodedata.category(letter).startswith("M")
    )
    parts = "".join(letter if letter.isalnum() else " " for letter in plain).split()
    return list(dict.fromkeys(part[:WORD_LENGTH_MAX] for part in parts))


def read_query(text: str) -> list[str]:
    """What is searched for, as beginnings of words, the longest first; empty when there is nothing to search for.

    Nothing but digits and what people write between them is a number, or how one ends: at least 3 digits.
    """
    if not any(letter.isalpha() for letter in text):
        return _number_words(text)
    return sorted(words_in(text), key=len, reverse=True)


def is_found(record: RosterPerson, beginnings: list[str]) -> bool:
    """Whether each of the beginnings begins some word of the person's."""
    words = words_of(record)
    return all(any(word.startswith(beginning) for word in words) for beginning in beginnings)


def _number_words(text: str) -> list[str]:
    digits = "".join(letter for letter in text if letter in "0123456789").lstrip("0")
    return [NUMBER_MARK + digits[::-1][:WORD_LENGTH_MAX]] if len(digits) >= DIGITS_MIN else []
