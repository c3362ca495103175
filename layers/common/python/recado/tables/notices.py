"""How many notices a handset was sent on a day. A notice's text is a page like others (`tables/pages.py`)."""

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


def count_notice(
    write: Transaction, number: str, day: date, *, notices_max: int, expires_at: int, refused: Exception
) -> None:
    """Counts a notice, as part of a transaction that is refused when the handset had enough that day."""
    changes = [_NoticesRow.notices.add(1), _NoticesRow.expires_at.set(expires_at)]
    has_room = _NoticesRow.pk.does_not_exist() | (_NoticesRow.notices < notices_max)
    write.update(_NoticesRow(f"NOTICES#{number}", day.isoformat()), changes, has_room, lambda _: refused)
