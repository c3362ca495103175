"""Reads rows from a CSV as schools really send them: Excel's BOM, `;`, Latin-1 and cut-off lines included. Pure.

One line is one row: a quote that is never closed costs its own line and no other. Memory is one line at most.
It must never guess a value: a line it cannot read whole is handed back as unreadable.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from recado.errors import FieldProblem, InvalidRequest

LINE_BYTES_MAX = 64 * 1024
FIELD_CHARACTERS_MAX = 1000
ROWS_MAX = 1_000_000
DELIMITERS = (",", ";", "\t")
UTF_8_BOM = b"\xef\xbb\xbf"
UTF_16_BOMS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class CsvRow:
    """One good row: values by column, stripped; a column that the file has not reads as ''."""

    line: int
    values: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.values.get(column, "")


@dataclass(frozen=True, slots=True)
class UnreadableRow:
    """One line that is no row. `values` is what could be read of it: good for saying whose it was, and nothing else."""

    line: int
    column: str
    reason: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CsvTable:
    """A file whose header has been read; `lines` are the rest, numbered as an editor does."""

    file: str
    columns: tuple[str, ...]
    delimiter: str
    lines: Iterator[tuple[int, bytes]]


def open_table(stream: IO[bytes], file: str) -> CsvTable:
    """Reads the header. Raises InvalidRequest (`empty`, `not_utf_8`) when there is none to read."""
    lines = _lines(stream)
    number, first = next(lines, (0, b""))
    if first.startswith(UTF_16_BOMS):
        raise _problem(file, "not_utf_8", "The file is UTF-16; save it as CSV UTF-8")
    header = _decode(first.removeprefix(UTF_8_BOM))
    if header.lower().startswith("sep="):  # Excel's own note to itself
        number, second = next(lines, (number, b""))
        header = _decode(second)
    if not header.strip():
        raise _problem(file, "empty", "The file has no header")
    delimiter = max(DELIMITERS, key=header.count)
    columns = tuple(name.strip() for name in header.replace('"', "").split(delimiter))
    return CsvTable(file, columns, delimiter, lines)


def list_rows(table: CsvTable) -> Iterator[CsvRow | UnreadableRow]:
    """Every line after the header, in order; blank ones are skipped. Raises InvalidRequest after ROWS_MAX lines."""
    for number, raw in table.lines:
        if number > ROWS_MAX:
            raise _problem(table.file, "too_many_rows", f"A file may have {ROWS_MAX} rows")
        text = _decode(raw)
        if text.strip(f"{table.delimiter} \t"):
            yield _read_row(table, number, raw, text)


def _read_row(table: CsvTable, number: int, raw: bytes, text: str) -> CsvRow | UnreadableRow:
    if len(raw) > LINE_BYTES_MAX:
        return UnreadableRow(
            number, "", "line_too_long", _values(table, text[:FIELD_CHARACTERS_MAX].split(table.delimiter))
        )
    try:
        fields = next(csv.reader([text], delimiter=table.delimiter, strict=True))
    except csv.Error:
        return UnreadableRow(number, "", "malformed", _guess(table, text))
    values = _values(table, fields)
    column, reason = _trouble(table.columns, fields)
    return UnreadableRow(number, column, reason, values) if reason else CsvRow(number, values)


def _trouble(columns: Sequence[str], fields: Sequence[str]) -> tuple[str, str]:
    """The first thing wrong with a row that parsed, as (column, reason); two '' when nothing is."""
    # A short row was cut off, a long one is shifted by a stray delimiter: its values would go into wrong columns.
    if len(fields) < len(columns):
        return columns[len(fields)], "missing_columns"
    if any(field.strip() for field in fields[len(columns) :]):
        return "", "too_many_columns"
    for column, field in zip(columns, fields, strict=False):
        if "\0" in field:
            return column, "nul_byte"
        if len(field) > FIELD_CHARACTERS_MAX:
            return column, "field_too_long"
    return "", ""


def _values(table: CsvTable, fields: Sequence[str]) -> dict[str, str]:
    return dict(zip(table.columns, (field.strip() for field in fields), strict=False))


def _guess(table: CsvTable, text: str) -> dict[str, str]:
    return _values(table, text.replace('"', "").split(table.delimiter))


def _lines(stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Numbered lines without their ends; of an over-long one only LINE_BYTES_MAX + 1 bytes are kept."""
    reads = iter(lambda: stream.readline(LINE_BYTES_MAX + 1), b"")
    for number, piece in enumerate(reads, start=1):
        if not piece.endswith(b"\n"):
            # Drops the rest of the line; at the end of the file there is none.
            for rest in reads:
                if rest.endswith(b"\n"):
                    break
        yield number, piece.rstrip(b"\r\n")


def _decode(raw: bytes) -> str:
    # Line by line, because a file may be put together from two exports. Latin-1 for the five bytes cp1252 leaves out.
    for encoding in ("utf-8", "cp1252"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1")


def _problem(file: str, code: str, detail: str) -> InvalidRequest:
    return InvalidRequest("The file cannot be read", fields=[FieldProblem(file, code, detail)])
