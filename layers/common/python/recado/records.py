"""A message or a school that has to be there."""

from recado.errors import NotFound
from recado.tables import messages as table
from recado.tables import schools
from recado.tables.messages import Message
from recado.tables.schools import School


def get_message(school_id: str, message_id: str) -> Message:
    """Raises NotFound, also for what belongs to another school (invariant 7)."""
    message = table.find_message(school_id, message_id)
    if message is None:
        raise NotFound
    return message


def get_school(school_id: str) -> School:
    school = schools.find_school(school_id)
    if school is None:
        raise NotFound("There is no such school")
    return school
