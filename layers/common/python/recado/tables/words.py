"""The words that find a school's people: one row a word and person. A person's own row decides."""

from collections.abc import Iterable, Iterator

from pynamodb.attributes import UnicodeAttribute

from recado.rules.name_search import NUMBER_MARK
from recado.tables.base import PeopleMeta, Row, Transaction

PLAIN = "abcdefghijklmnopqrstuvwxyz0123456789"


class _WordRow(Row):
    class Meta(PeopleMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)


def change_words(
    write: Transaction, school_id: str, person_id: str, *, added: Iterable[str], removed: Iterable[str]
) -> None:
    """Adds and takes away words of one person, in the transaction that changes their row.

    Each write expects nothing: a word's row is nothing but its key, and the person's row, written under its version in
    the same transaction, decides.
    """
    anyhow = _WordRow.pk.exists() | _WordRow.pk.does_not_exist()
    for word in sorted(removed):
        write.delete(_WordRow(_pk(school_id, word), f"{word}#{person_id}"), anyhow, _unexpected)
    for word in sorted(added):
        write.put(_WordRow(_pk(school_id, word), f"{word}#{person_id}"), anyhow, _unexpected)


def save_words(school_id: str, added: Iterable[tuple[str, str]]) -> None:
    """Adds (word, person) of people who are about to be written.

    Without conditions: a word's row is nothing but its key, and readers ask the person's own row too.
    """
    with _WordRow.batch_write() as batch:
        for word, person_id in added:
            batch.save(_WordRow(_pk(school_id, word), f"{word}#{person_id}"))


def list_found(
    school_id: str, beginning: str, *, limit: int, after: str | None = None
) -> tuple[list[tuple[str, str]], str | None]:
    """A page of (word, person) whose word begins so, by word, and the cursor of the next page (None: no more).

    A person with two such words is there twice.
    """
    condition = _WordRow.sk.between(after or beginning, beginning + "\U0010ffff")
    found = _WordRow.query(_pk(school_id, beginning), condition, limit=limit + 2, consistent_read=True)
    keys = [row.sk for row in found if row.sk != after]
    pairs: Iterator[tuple[str, str, str]] = (key.partition("#") for key in keys[:limit])
    return [(word, person_id) for word, _, person_id in pairs], keys[limit - 1] if len(keys) > limit else None


def _pk(school_id: str, word: str) -> str:
    """By the first letter; numbers, which are most of all words, by their last digit."""
    if word.startswith(NUMBER_MARK):
        return f"S#{school_id}#W#{word[:2]}"
    return f"S#{school_id}#W#{word[0] if word[0] in PLAIN else '_'}"


def _unexpected(_: object) -> Exception:
    return AssertionError("a condition that always holds was refused")
