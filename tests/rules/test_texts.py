"""What a text may hold, what its fields say, and that what is counted is what is sent."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recado.errors import InvalidRequest
from recado.rules import segments, texts
from recado.rules.texts import EMPTY, Field, FieldValues

ANA = FieldValues(("Ana",), ("7° A",), ("Juan Pérez",))

names = st.tuples() | st.lists(st.text(max_size=80) | st.sampled_from(["Ana", "Inés", "{curso}", "\n", "Ñuñoa"])).map(
    tuple
)
values = st.builds(FieldValues, names, names, names)
written = st.lists(
    st.text(max_size=200)
    | st.sampled_from(["{student}", "{Curso}", "{apoderado}", "{", "}", "{{", "{otro}", "{estudiante", "á€[]", "😀"])
).map("".join)


def refusal(text: str, *, drop_accents: bool = False) -> str:
    with pytest.raises(InvalidRequest) as refused:
        texts.check_text(text, drop_accents=drop_accents)
    (problem,) = refused.value.fields
    assert problem.field == "/text"
    return problem.code


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("Sin clases mañana", set()),
        ("Familia de {student}", {Field.STUDENT}),
        ("{estudiante} {alumno} {ALUMNA} {Student}", {Field.STUDENT}),
        ("{curso} {course}", {Field.COURSE}),
        ("{apoderado}, {guardian} de {alumno}", {Field.GUARDIAN, Field.STUDENT}),
        ("{{student}}", {Field.STUDENT}),
        ("a { student } } { {} {1} {a-b} {student", set()),
        ("{" + "x" * 31 + "}", set()),
    ],
)
def test_a_text_uses_these_fields(text: str, fields: set[Field]) -> None:
    assert texts.list_fields(text) == fields


@pytest.mark.parametrize("word", ["students", "nombre", "dirección", "a_b", "_", "x" * 30])
def test_a_word_in_braces_that_is_no_field_is_refused_and_not_repeated(word: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        texts.list_fields(f"Hola {{{word}}}, un secreto")

    (problem,) = refused.value.fields
    assert (problem.field, problem.code) == ("/text", "unknown_field")
    assert "{student}" in problem.detail
    assert "{estudiante}" in problem.detail
    assert "secreto" not in problem.detail


@pytest.mark.parametrize(
    ("students", "said"),
    [
        (("Ana",), "Ana"),
        (("Ana", "Luis"), "Ana y Luis"),
        (("Ana", "Luis", "Eva"), "Ana, Luis y Eva"),
        (("Luis", "Ana", "Luis", "Ana "), "Luis y Ana"),
        (("Ana", "Inés"), "Ana e Inés"),
        (("Ana", "INÉS"), "Ana e INÉS"),
        (("Ana", "Íñigo"), "Ana e Íñigo"),
        (("Ana", "Luis", "Hilda"), "Ana, Luis e Hilda"),
        (("Ana", "Yrma"), "Ana e Yrma"),
        (("Ana", "Hierro"), "Ana y Hierro"),
        (("Ana", "Iago"), "Ana y Iago"),
        (("Ana", "Yolanda"), "Ana y Yolanda"),
        (("Inés", "Ana"), "Inés y Ana"),
        ((), "su estudiante"),
        (("", "  ", "\x00"), "su estudiante"),
    ],
)
def test_names_are_joined_as_spanish_joins_them(students: tuple[str, ...], said: str) -> None:
    assert texts.render("{student}", FieldValues(students)) == said


def test_roman_numbers_are_read_as_ordinals_and_keep_their_y() -> None:
    assert texts.render("{curso}", FieldValues(courses=("I medio A", "II medio B"))) == "I medio A y II medio B"


def test_more_names_than_a_text_may_list_are_counted() -> None:
    many = tuple(f"Niño {number}" for number in range(texts.NAMES_MAX + 3))

    assert texts.render("{student}", FieldValues(many)).endswith("Niño 11 y 3 más")


def test_each_field_without_a_value_says_a_neutral_word_and_is_named_as_missing() -> None:
    text = "{apoderado}: {estudiante}, {curso}"

    assert texts.render(text, EMPTY) == "apoderado/a: su estudiante, su curso"
    assert texts.missing_fields(text, EMPTY) == {Field.GUARDIAN, Field.STUDENT, Field.COURSE}
    assert texts.missing_fields(text, FieldValues(("Ana",), (" ",))) == {Field.GUARDIAN, Field.COURSE}
    assert texts.missing_fields("Sin campos", EMPTY) == frozenset()


def test_a_name_is_never_read_as_a_field() -> None:
    assert texts.render("{student} y {course}", FieldValues(("{course}",), ("{student}",))) == "{course} y {student}"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("  Ana   María ", "Ana María"),
        ("Ana\r\nMaría\x00\x1b", "Ana María"),
        ("Nun\u0303ez", "Nuñez"),
        ("A\u200bna\u202e\ud800", "Ana"),
        ("\u0301Ana", "Ana"),
        ("\u0301 \u0302Ana", "Ana"),
        ("x" * 61, "x" * 60),
        ("x" * 59 + " yz", "x" * 59),
    ],
)
def test_a_name_is_cleaned(name: str, said: str) -> None:
    assert texts.render("{student}", FieldValues((name,))) == said


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty"),
        (" \n\t".replace("\t", ""), "empty"),
        ("\u00a0\u200d\u200b", "empty"),
        ("a\x00b", "control_character"),
        ("a\tb", "control_character"),
        ("a\x1b[0m", "control_character"),
        ("a\x85b", "control_character"),
        ("mitad \ud83d", "control_character"),
        ("a\u202eb", "direction_control"),
        ("a\u2066b\u2069", "direction_control"),
        ("Hola {nombre}", "unknown_field"),
        ("{student}" * 11, "too_many_fields"),
        ("x" * 1531, "too_long"),
        ("á" * 671, "too_long"),
        ("x" * 5001, "too_long"),
        ("x" * 1_000_000, "too_long"),
    ],
)
def test_a_text_that_cannot_be_sent_is_refused(text: str, code: str) -> None:
    assert refusal(text) == code


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "x" * 1530,
        "á" * 670,
        "Línea\notra\r\n",
        "Evacúen 🚨👨‍👩‍👧",
        "מחר אין לימודים",
        "\u200fلا مدرسة غدا",
        "{student} {curso} {apoderado}",
        "100% {} {a b}",
    ],
)
def test_a_text_that_can_be_sent_passes(text: str) -> None:
    texts.check_text(text)


def test_segments_are_counted_without_accents_where_they_are_to_be_dropped() -> None:
    text = "á" * 1000

    assert refusal(text) == "too_long"
    texts.check_text(text, drop_accents=True)


def test_composing_changes_nothing_that_is_seen_and_saves_what_pasting_would_cost() -> None:
    pasted = "\ufeffMan\u0303ana\u00ad no\u200b hay\u2060 clases\r\nSaludos\rLa escuela\u2028fin"

    assert texts.compose(pasted) == "Mañana no hay clases\nSaludos\nLa escuela\nfin"
    assert texts.compose("👨‍👩‍👧") == "👨‍👩‍👧"


def test_the_characters_that_cost_are_named_once_in_their_order() -> None:
    assert texts.costly_characters("Reunión: 7° básico, reunión “hoy” ñ é € 😀") == ("ó", "°", "á", "“", "”", "😀")
    assert texts.costly_characters("Mañana éxito") == ()


def test_dropping_accents_drops_them_in_names_too_and_never_the_enye() -> None:
    text, one = "Reunión de {student}", FieldValues(("Sofía Núñez",))

    assert texts.text_for(text, one, drop_accents=True) == "Reunion de Sofia Nuñez"
    assert texts.text_for(text, one, drop_accents=False) == "Reunión de Sofía Núñez"
    assert texts.price_of(text, one, drop_accents=True).encoding is segments.Encoding.GSM_7


def test_names_that_would_make_a_text_too_long_give_way_to_the_neutral_words() -> None:
    text = "x" * 1500 + " {student}"
    siblings = FieldValues(("Ana María Fernanda", "Luis Alberto"))
    texts.check_text(text)

    assert texts.text_for(text, siblings, drop_accents=False) == "x" * 1500 + " su estudiante"
    assert texts.price_of(text, siblings, drop_accents=False).segments == 10
    assert texts.text_for(text, FieldValues(("Ana",)), drop_accents=False).endswith(" Ana")


@given(written, values, st.booleans())
def test_what_is_counted_is_what_is_sent(text: str, said: FieldValues, drop: bool) -> None:
    assert texts.price_of(text, said, drop) == segments.measure(texts.text_for(text, said, drop))


@given(written, values, st.booleans())
def test_a_text_that_passed_never_takes_more_than_ten_segments_whatever_the_names(
    text: str, said: FieldValues, drop: bool
) -> None:
    try:
        texts.check_text(text, drop_accents=drop)
    except InvalidRequest:
        return

    assert texts.price_of(text, said, drop).segments <= texts.SEGMENTS_MAX


@given(written, values)
def test_rendering_then_dropping_accents_is_what_is_sent_without_them(text: str, said: FieldValues) -> None:
    whole = segments.drop_accents(texts.render(text, said))

    if segments.measure(whole).segments <= texts.SEGMENTS_MAX and "}\u0301" not in text:
        assert texts.text_for(text, said, drop_accents=True) == whole


@given(written, values)
def test_dropping_accents_never_costs_more(text: str, said: FieldValues) -> None:
    as_written, without = (texts.price_of(text, said, drop).segments for drop in (False, True))

    if segments.count_segments(texts.render(text, said)) <= texts.SEGMENTS_MAX:
        assert without <= as_written


@given(st.text(), values)
@example("{student}" * 600, FieldValues(("x" * 60,) * 5))
def test_any_unicode_can_be_rendered_and_measured(text: str, said: FieldValues) -> None:
    texts.compose(text)
    texts.render(text, said)
    texts.missing_fields(text, said)
    texts.costly_characters(text)
    texts.price_of(text, said, drop_accents=True)


@given(st.text())
def test_checking_refuses_or_passes_and_never_fails(text: str) -> None:
    try:
        texts.check_text(text)
    except InvalidRequest as refused:
        assert [problem.field for problem in refused.fields] == ["/text"]  # noqa: PT017


@given(st.text())
def test_composing_twice_is_composing_once(text: str) -> None:
    once = texts.compose(text)

    assert texts.compose(once) == once
    assert unicodedata.is_normalized("NFC", once)


@given(st.text(max_size=100))
def test_a_name_once_clean_stays_as_it_is(name: str) -> None:
    said = texts.render("{student}", FieldValues((name,)))

    assert texts.render("{student}", FieldValues((said,))) == said
    assert len(said) <= texts.NAME_CHARACTERS_MAX
    assert "\n" not in said
    assert unicodedata.is_normalized("NFC", said)
