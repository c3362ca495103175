"""Why a roster's row was not used, in words for whoever corrects it. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from recado.rules.oneroster import BadRow
from recado.rules.plain_words import Language

HEADER: Mapping[Language, tuple[str, ...]] = MappingProxyType(
    {
        Language.ES: ("archivo", "línea", "columna", "código", "motivo"),
        Language.EN: ("file", "line", "column", "code", "reason"),
    }
)
REASONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "duplicate_id": ("El identificador ya está en una línea anterior", "An earlier line has this id already"),
        "field_too_long": ("El valor es demasiado largo", "The value is too long"),
        "invalid_id": (
            "El identificador tiene signos que no se aceptan, o más de 64",
            "The id has signs that are not accepted, or more than 64",
        ),
        "line_too_long": ("La línea es demasiado larga", "The line is too long"),
        "malformed": ("La línea no se puede leer: comillas sin cerrar", "The line cannot be read: unclosed quotes"),
        "missing_columns": ("La línea está cortada", "The line is cut off"),
        "missing_value": ("Falta el valor", "The value is missing"),
        "nul_byte": ("El valor tiene un carácter nulo", "The value has a null character"),
        "reserved_id": (
            "El identificador está reservado para otra clase de grupo",
            "The id is reserved for another kind of group",
        ),
        "too_many_columns": (
            "La línea tiene más columnas que el encabezado",
            "The line has more columns than the header",
        ),
        "unknown_class": ("El curso no está en classes.csv", "The class is not in classes.csv"),
        "unknown_grade": ("El grado no se conoce", "The grade is not known"),
        "unknown_person": ("La persona no está en users.csv", "The person is not in users.csv"),
        "unknown_role": ("El rol no se conoce", "The role is not known"),
        "wrong_role": ("El rol no puede tener esa relación", "A person of this role cannot be related so"),
    }
)


def rows_in_words(bad_rows: Iterable[BadRow], language: Language) -> Iterator[tuple[str | int, ...]]:
    """The cells of each row: file, line, column, the stable code, and the reason in words."""
    for row in bad_rows:
        words = REASONS.get(row.reason, (row.reason, row.reason))
        said = words[0] if language is Language.ES else words[1]
        yield row.file, row.line, row.column, row.reason, said
