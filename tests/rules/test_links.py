"""Which parts of a text a handset would open as links."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.rules.links import count_links


@pytest.mark.parametrize(
    "text",
    [
        "http://claro.com.do",
        "HTTPS://EXAMPLE.TEST/a?b=c",
        "mira https://1.2.3.4 ya",
        "www.claro.com.do",
        "WWW.ejemplo.es",
        "bit.ly/x",
        "bit.ly",
        "(bit.ly/3xYz)",
        "t.me/grupo",
        "dale.me/abc",
        "entra a claro.com.do.",
        "¡premio.xyz!",
        "ñandú.cl/oferta",
        "a.b.c.info",
        "xn--ls8h.xn--vermgensberater-ctb/a",
        "192.0.2.7/entrar",
        "192.0.2.7:8080/entrar",
        "ejemplo.com:8080/a",
        "bit。ly/x",
        "ｂｉｔ．ｌｙ/x",
        "bit\u200b.ly/x",
        "http://ana@correo.com",
        "ana@correo.com/entrar",
        "hola,bit.ly/x",
    ],
)
def test_a_link_is_found(text: str) -> None:
    assert count_links(text) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Nos vemos a las 12.30",
        "del 12.30 al 14.45, 1.500.000 pesos",
        "1.2.3.4",
        "Sr.Pérez",
        "Sra.García y Dr.Luna",
        "Ven.es tarde",
        "dale.me llamas luego",
        "dime.si puedes",
        "No.La verdad no",
        "a.m./p.m.",
        "y/o",
        "etc...",
        "Hola.Como estas",
        "S.A. de C.V.",
        "ana@correo.com",
        "ana.perez@correo.com.do, luis@x.org",
        "http:// nada",
        "www.",
        "24/7",
        "3.5km/h",
        "Av.27 de Febrero/Lope",
    ],
)
def test_what_is_no_link_is_not_found(text: str) -> None:
    assert count_links(text) == 0


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("bit.ly/x y bit.ly/y", 2),
        ("https://a.test https://b.test www.c.do", 3),
        ("https://a.test/?u=https://b.test", 1),
        ("bit.ly/x\nbit.ly/x", 2),
        ("https://a.test,https://b.test;www.c.do", 3),
    ],
)
def test_each_place_is_counted(text: str, links: int) -> None:
    assert count_links(text) == links


words = st.text(st.characters(whitelist_categories=("Lu", "Ll")), min_size=1, max_size=12)


@given(st.lists(words, max_size=20))
def test_words_with_spaces_between_them_are_never_a_link(some: list[str]) -> None:
    assert count_links(" ".join(some)) == 0
    assert count_links(". ".join(some)) == 0


@given(
    before=st.lists(words, max_size=5),
    after=st.lists(words, max_size=5),
    name=st.from_regex(r"[a-z0-9]{2,10}", fullmatch=True),
)
def test_a_link_is_found_whatever_stands_around_it(before: list[str], after: list[str], name: str) -> None:
    assert count_links(" ".join([*before, f"{name}.com/{name}", *after])) == 1


@given(st.text(max_size=300))
def test_any_text_has_some_number_of_links(text: str) -> None:
    assert 0 <= count_links(text) <= len(text)
