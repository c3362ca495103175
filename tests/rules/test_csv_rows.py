import io

import pytest

from recado.errors import InvalidRequest
from recado.rules.csv_rows import FIELD_CHARACTERS_MAX, LINE_BYTES_MAX, CsvRow, UnreadableRow, list_rows, open_table


def rows_of(content: bytes) -> list[CsvRow | UnreadableRow]:
    return list(list_rows(open_table(io.BytesIO(content), "users.csv")))


def values_of(content: bytes) -> list[dict[str, str]]:
    return [dict(row.values) for row in rows_of(content) if isinstance(row, CsvRow)]


def bad_of(content: bytes) -> list[tuple[int, str, str]]:
    return [(row.line, row.column, row.reason) for row in rows_of(content) if isinstance(row, UnreadableRow)]


PLAIN = [{"id": "1", "name": "Begoña Ibáñez"}, {"id": "2", "name": "José"}]


@pytest.mark.parametrize(
    "content",
    [
        "id,name\n1,Begoña Ibáñez\n2,José\n".encode(),
        "id,name\r\n1,Begoña Ibáñez\r\n2,José".encode(),
        "id;name\r\n1;Begoña Ibáñez\r\n2;José\r\n".encode("cp1252"),
        "\ufeffid;name\r\n1;Begoña Ibáñez\r\n2;José\r\n".encode(),
        "sep=;\r\nid;name\r\n1;Begoña Ibáñez\r\n2;José\r\n".encode(),
        "id\tname\n1\tBegoña Ibáñez\n2\tJosé\n".encode(),
        '"id","name"\n"1","Begoña Ibáñez"\n"2","José"\n'.encode(),
        "id , name\n 1 , Begoña Ibáñez\n\n,\n2,José,,\n".encode(),
        "id,name\n1,Begoña Ibáñez\n".encode() + "2,José\n".encode("latin-1"),
    ],
    ids=["utf8", "crlf", "excel-latin1", "bom", "sep", "tabs", "quoted", "spaces-and-blank-lines", "two-encodings"],
)
def test_what_excel_makes_of_a_file_reads_the_same(content: bytes) -> None:
    assert values_of(content) == PLAIN


def test_a_quoted_field_keeps_its_delimiters_and_quotes() -> None:
    assert values_of(b'id,list\n1,"a,b"\n2,"the ""x"" one"\n') == [
        {"id": "1", "list": "a,b"},
        {"id": "2", "list": 'the "x" one'},
    ]


def test_a_column_that_the_file_has_not_reads_as_empty() -> None:
    (row,) = rows_of(b"id,name\n1,Ana\n")

    assert isinstance(row, CsvRow)
    assert row["sms"] == ""


@pytest.mark.parametrize(
    ("line", "column", "reason"),
    [
        (b'2,"never closed', "", "malformed"),
        (b'2,"half"quoted', "", "malformed"),
        (b"2", "name", "missing_columns"),
        (b"2,Ana,+56955550101", "", "too_many_columns"),
        (b"2,A\0na", "name", "nul_byte"),
        (b"2," + b"x" * (FIELD_CHARACTERS_MAX + 1), "name", "field_too_long"),
        (b"2," + b"x" * LINE_BYTES_MAX, "", "line_too_long"),
        (b"2," + b"x" * (LINE_BYTES_MAX * 3), "", "line_too_long"),
    ],
    ids=["unclosed", "half-quoted", "cut-off", "shifted", "nul", "long-field", "long-line", "very-long-line"],
)
def test_a_bad_line_costs_only_itself_and_says_whose_it_was(line: bytes, column: str, reason: str) -> None:
    found = rows_of(b"id,name\n1,Eva\n" + line + b"\n3,Luz\n")

    assert [row.line for row in found] == [2, 3, 4]
    assert [row.values.get("id") for row in found] == ["1", "2", "3"]
    bad = found[1]
    assert isinstance(bad, UnreadableRow)
    assert (bad.column, bad.reason) == (column, reason)


def test_a_field_of_the_longest_length_is_read() -> None:
    assert bad_of(b"id,name\n1," + b"x" * FIELD_CHARACTERS_MAX + b"\n") == []


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "empty"), (b"\n1,Ana\n", "empty"), ("id,name\n1,Ana\n".encode("utf-16"), "not_utf_8")],
    ids=["nothing", "no-header", "utf-16"],
)
def test_a_file_without_a_readable_header_is_refused_by_name(content: bytes, code: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        rows_of(content)

    assert [(one.field, one.code) for one in refused.value.fields] == [("users.csv", code)]


def test_a_file_of_too_many_rows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recado.rules.csv_rows.ROWS_MAX", 3)

    assert len(rows_of(b"id\n1\n2\n")) == 2
    with pytest.raises(InvalidRequest) as refused:
        rows_of(b"id\n1\n2\n3\n")
    assert refused.value.fields[0].code == "too_many_rows"
