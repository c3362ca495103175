"""People without a usable number as rows of a spreadsheet (L14), in the office's language. Pure."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from recado.rules.audience import SkipReason
from recado.rules.plain_words import Language

HEADERS: Mapping[Language, tuple[str, ...]] = MappingProxyType(
    {
        Language.ES: ("grupo", "nombre", "rol", "motivo", "número escrito", "estudiantes"),
        Language.EN: ("group", "name", "role", "reason", "number as typed", "students"),
    }
)
REASONS: Mapping[SkipReason, Mapping[Language, str]] = MappingProxyType(
    {
        SkipReason.NO_NUMBER: {Language.ES: "sin número", Language.EN: "no number"},
        SkipReason.UNUSABLE_NUMBER: {
            Language.ES: "el número no se puede usar",
            Language.EN: "the number cannot be used",
        },
    }
)
ROLES_ES: Mapping[str, str] = MappingProxyType(
    {
        "student": "estudiante",
        "guardian": "apoderado",
        "teacher": "docente",
        "staff": "asistente",
        "administrator": "administrativo",
        "director": "director",
    }
)


def row_of(
    language: Language,
    *,
    groups: Sequence[str],
    name: str,
    role: str,
    reason: SkipReason,
    typed_number: str,
    students: Sequence[str],
) -> tuple[str, ...]:
    """One person's cells, in the header's order."""
    role_word = ROLES_ES.get(role, role) if language is Language.ES else role
    return ("; ".join(groups), name, role_word, REASONS[reason][language], typed_number, "; ".join(students))
