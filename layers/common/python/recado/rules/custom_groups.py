"""Groups that the school makes itself, besides those of its roster. Their ids tell them apart for ever.

A custom group holds exactly whom the school put into it: guardians do not come with the students, as in a course.
"""

from collections.abc import Iterable

CUSTOM_PREFIX = "custom-"  # reserved: no roster's id may begin with it
CUSTOM_KIND = "custom"


def is_custom_group(group_id: str) -> bool:
    """Whether a group is the school's own, which no import touches."""
    return group_id.startswith(CUSTOM_PREFIX)


def custom_among(group_ids: Iterable[str]) -> frozenset[str]:
    """Those of the groups that are the school's own."""
    return frozenset(group_id for group_id in group_ids if is_custom_group(group_id))
