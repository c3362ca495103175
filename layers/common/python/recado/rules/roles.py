"""Who may do what in a school (L2): SMS costs money, so directors and administrative staff alone send."""

from enum import StrEnum


class Role(StrEnum):
    DIRECTOR = "director"
    ADMINISTRATOR = "administrator"
    TEACHER = "teacher"
    STAFF = "staff"
    GUARDIAN = "guardian"
    STUDENT = "student"
    OPERATOR = "operator"  # the platform's own staff: has its own routes, and none of a school's rights


IN_CHARGE = frozenset({Role.DIRECTOR, Role.ADMINISTRATOR})
FAMILIES = frozenset({Role.GUARDIAN, Role.STUDENT})


def may_send(role: str) -> bool:
    """Create, schedule, send, cancel and stop messages (L2)."""
    return role in IN_CHARGE


def may_read_messages(role: str) -> bool:
    """See the school's messages, their recipients and the replies: they hold everybody's numbers."""
    return role in IN_CHARGE


def may_use_templates(role: str) -> bool:
    """Read and write the school's saved texts, and try a text out: those who send (L2)."""
    return role in IN_CHARGE


def may_edit_people(role: str) -> bool:
    """Change other people's records and preferences (L8). Changing one's own (L10) is not asked here."""
    return role in IN_CHARGE


def has_inbox(role: str) -> bool:
    """Read the copies addressed to oneself (L4): whoever belongs to a school, and nobody anybody else's."""
    return role in Role and role != Role.OPERATOR


def may_correct_own_number(role: str) -> bool:
    """Change the number on one's own record (L14): families. Staff's are the office's to change."""
    return role in FAMILIES
