"""CSV that a spreadsheet opens as it was meant: no cell is ever taken for a formula. Pure.

Sources: RFC 4180 (quotes, CRLF); OWASP, "CSV Injection". Must never write a text cell that is not neutralised; only
whole numbers, which are ours, are written as they are.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum

BYTE_ORDER_MARK = "\ufeff"  # without it Excel reads UTF-8 as the code page of the machine
LINE_END = "\r\n"

# What starts a formula, its full-width and small forms too, also behind blanks, which some programs skip;
# and a tab or line end at the start, which some take for the end of the cell before.
FORMULA = re.compile("[\\s\ufeff\u200b\\x00-\\x1f]*[=+\\-@＝＋－＠﹦﹢﹣﹫]|[\t\r\n]")
TO_QUOTE = re.compile('[",;\r\n]')

type Cell = str | int | None


class Separator(StrEnum):
    """`semicolon` is what Excel expects where the comma is the decimal sign, as in Spanish."""

    COMMA = "comma"
    SEMICOLON = "semicolon"


SIGN = {Separator.COMMA: ",", Separator.SEMICOLON: ";"}


def neutralise(cell: str) -> str:
    """The cell, with `'` before it where a spreadsheet would take it for a formula. Twice is the same as once."""
    return f"'{cell}" if FORMULA.match(cell) else cell


def write_csv(
    header: Sequence[str], rows: Iterable[Sequence[Cell]], separator: Separator = Separator.COMMA
) -> Iterator[str]:
    """The file line by line: byte order mark and header, then a line for each row. ValueError for a row of another
    length. None is an empty cell."""
    yield BYTE_ORDER_MARK + _line(header, separator)
    for row in rows:
        if len(row) != len(header):
            raise ValueError("a row has not as many cells as the header")
        yield _line(row, separator)


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Cell]], separator: Separator = Separator.COMMA) -> str:
    """The whole file, to be encoded in UTF-8."""
    return "".join(write_csv(header, rows, separator))


def _line(cells: Sequence[Cell], separator: Separator) -> str:
    written = [_written(cell) for cell in cells]
    if written == [""]:
        written = ['""']  # an empty line would be no row at all
    return SIGN[separator].join(written) + LINE_END


def _written(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, int):
        return str(int(cell))
    safe = neutralise(cell)
    return '"' + safe.replace('"', '""') + '"' if TO_QUOTE.search(safe) else safe
