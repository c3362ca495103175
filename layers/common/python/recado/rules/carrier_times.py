"""Whether a carrier's clock is believed: what it says orders what is shown, and must put nothing at an absurd place.

Must never decide whether a session lives: that is our own clock's.
"""

from datetime import datetime


def believed(said: datetime | None, *, not_before: datetime, not_after: datetime, otherwise: datetime) -> datetime:
    """The moment as the carrier says it, if it can have been then; `otherwise` if not, or if it says nothing."""
    if said is None or not not_before <= said <= not_after:
        return otherwise
    return said
