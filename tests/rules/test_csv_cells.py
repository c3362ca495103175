"""What is written can be read back, and no cell is a formula."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.rules.csv_cells import Separator, csv_text, neutralise, write_csv

STARTERS = "=+-@\t\r\n＝＋－＠"


@pytest.mark.parametrize(
    "cell",
    [
        "=1+1",
        "+56912345678",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "＝1",
        "＋1",
        "－1",
        "＠x",
        "﹦1",
        '=HYPERLINK("http://x";"y")',
        "  =1+1",
        "\u00a0=1",
        "\ufeff=1",
        "\x00=1",
    ],
)
def test_a_formula_becomes_text(cell: str) -> None:
    assert neutralise(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "Ana", "1+1", "7° A", "'=1", " Ana", "a\t=1", "¡Hola!", "水", "–5"])
def test_text_stays_as_it_is(cell: str) -> None:
    assert neutralise(cell) == cell


def test_the_file_has_a_byte_order_mark_crlf_and_quotes_only_where_needed() -> None:
    found = csv_text(["Nombre", "Nota"], [["Ana", 'dice "hola", y más'], ["Ñandú; S.A.", "dos\nlíneas"], ["=1", None]])

    assert found == ('\ufeffNombre,Nota\r\nAna,"dice ""hola"", y más"\r\n"Ñandú; S.A.","dos\nlíneas"\r\n\'=1,\r\n')


def test_whole_numbers_are_ours_and_stay_numbers() -> None:
    assert csv_text(["Créditos"], [[-240], [0], ["-240"]]) == "\ufeffCréditos\r\n-240\r\n0\r\n'-240\r\n"


def test_a_spanish_excel_gets_semicolons() -> None:
    assert csv_text(["a", "b"], [["1,5", "x"]], Separator.SEMICOLON) == '\ufeffa;b\r\n"1,5";x\r\n'


def test_an_empty_cell_alone_is_still_a_row() -> None:
    assert csv_text(["a"], [[""], [None]]) == '\ufeffa\r\n""\r\n""\r\n'


def test_lines_are_written_one_at_a_time() -> None:
    def endless() -> object:
        while True:
            yield ["x"]

    lines = write_csv(["a"], endless())  # type: ignore[arg-type]

    assert [next(lines), next(lines)] == ["\ufeffa\r\n", "x\r\n"]


def test_a_row_of_another_length_is_a_defect() -> None:
    with pytest.raises(ValueError):
        csv_text(["a", "b"], [["1"]])


cells = st.text() | st.sampled_from(['"', ",", ";", "=1", "\r\n", "'"])


@given(st.lists(st.tuples(cells, cells)), st.sampled_from(Separator))
def test_what_is_written_can_be_read_back(rows: list[tuple[str, str]], separator: Separator) -> None:
    written = csv_text(["a", "b"], rows, separator).removeprefix("\ufeff")

    read = list(csv.reader(io.StringIO(written, newline=""), delimiter={"comma": ",", "semicolon": ";"}[separator]))

    assert read == [["a", "b"], *([neutralise(cell) for cell in row] for row in rows)]


@given(st.text())
def test_no_cell_starts_a_formula_and_neutralising_twice_is_once(cell: str) -> None:
    safe = neutralise(cell)

    assert not safe.startswith(tuple(STARTERS))
    assert safe in (cell, f"'{cell}")
    assert neutralise(safe) == safe
