"""How many notices, and how many answers, a handset was sent on a day. Their texts are pages (`tables/pages.py`)."""

from datetime import date

from pynamodb.attributes import NumberAttribute, UnicodeAttribute

from recado.tables.base import Row, SessionsMeta, Transaction


class _NoticesRow(Row):
    class Meta(SessionsMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    notices = NumberAttribute()
    expires_at = NumberAttribute()


def count_answer(
    write: Transaction, handset: str, day: date, *, answers_max: int, expires_at: int, refused: Exception
) -> None:
    """The same of what a handset's words are answered with; `handset` tells a sandbox's from a real one."""
    _count(write, f"ANSWERS#{handset}", day, answers_max, expires_at, refused)


def count_notice(
    write: Transaction, number: str, day: date, *, notices_max: int, expires_at: int, refused: Exception
) -> None:
    """Counts a notice, as part of a transaction that is refused when the handset had enough that day."""
    _count(write, f"NOTICES#{number}", day, notices_max, expires_at, refused)


def _count(write: Transaction, pk: str, day: date, most: int, expires_at: int, refused: Exception) -> None:
    changes = [_NoticesRow.notices.add(1), _NoticesRow.expires_at.set(expires_at)]
    has_room = _NoticesRow.pk.does_not_exist() | (_NoticesRow.notices < most)
    write.update(_NoticesRow(pk, day.isoformat()), changes, has_room, lambda _: refused)
