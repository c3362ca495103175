"""Numbers as they come: typed, pasted, out of a spreadsheet. And who pays for them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.rules.credit_bags import Zone
from recado.rules.phone_numbers import Number, is_e164, read_number, zone_of

CHILEAN = Number("+56912345678", "CL")
DOMINICAN = Number("+18095550142", "DO")
NUMBER_LIKE = st.text(alphabet="0123456789+-() .,;/*#tel:ext９０＋x\u200e\u00a0", max_size=24)


@pytest.mark.parametrize(
    "raw",
    [
        "+56912345678",
        "+56 9 1234 5678",
        "+56-9-1234-5678",
        "(+56) 9 1234-5678",
        "  9 1234 5678\n",
        "912345678",
        "tel:+56-9-1234-5678",
        "TEL:+56912345678;isub=1",
        "0056912345678",
        "00 56 9 1234 5678",
        "56912345678",  # a spreadsheet ate the plus
        "56912345678.0",  # and took it for a number
        "912345678,0",
        "'+56912345678",
        "09 1234 5678",  # how it was dialled until 2016
        "+56 (0)9 1234 5678",
        "＋５６ ９１２３４５６７８",
        "\u202a+56\u00a09\u00a01234\u00a05678\u202c",  # pasted from a contact card
        "+56 9 1234\u20115678",
    ],
)
def test_a_chilean_number_is_read_however_it_is_written(raw: str) -> None:
    assert read_number(raw, "CL") == CHILEAN


@pytest.mark.parametrize(
    "raw", ["809-555-0142", "(809) 555-0142", "1 809 555 0142", "18095550142", "+18095550142", "0018095550142"]
)
def test_a_dominican_number_is_read_however_it_is_written(raw: str) -> None:
    assert read_number(raw, "DO") == DOMINICAN


@pytest.mark.parametrize(
    ("raw", "country", "number"),
    [
        ("+1 809 555 0142", "CL", DOMINICAN),
        ("00 1 809 555 0142", "CL", DOMINICAN),
        ("00 56 9 1200 3400", "CL", Number("+56912003400", "CL")),
        ("011 56 9 1234 5678", "DO", CHILEAN),
        ("0056912345678", "DO", CHILEAN),
        ("+1 212 555 0142", "DO", Number("+12125550142", "US")),
        ("212 555 0142", "DO", Number("+12125550142", "US")),  # one numbering plan: dialled the same
        ("+39 06 698 12345", "CL", Number("+390669812345", "VA")),  # a zero that belongs to the number
    ],
)
def test_a_foreign_number_is_read_with_its_own_country(raw: str, country: str, number: Number) -> None:
    assert read_number(raw, country) == number


def test_a_range_no_operator_was_given_yet_is_still_a_number() -> None:  # L12: well-formed is enough
    assert read_number("+56911111111", "CL") == Number("+56911111111", "CL")


@pytest.mark.parametrize(
    "raw",
    [
        "",
        " ",
        "+",
        "0",
        "133",
        "12345678",  # one digit short
        "9123456789",  # one too many
        "5691234567",
        "no tiene",
        "912345678 (mama)",
        "912345678 / 987654321",
        "912345678, 987654321",
        "912345678;987654321",
        "912345678 ext 5",
        "912345678#5",
        "5.69123E+10",  # the last digits are lost
        "+800 1234 5678",  # freephone: no handset
        "584141234567",  # another country's, without a plus: not guessed
        "8095550142",
        "+999123456789",
        "9" * 300,
        "\ud800",
    ],
)
def test_what_is_not_one_usable_number_is_not_guessed(raw: str) -> None:
    assert read_number(raw, "CL") is None


def test_a_country_nobody_knows_reads_international_numbers_only() -> None:
    assert read_number("+56912345678", "XX") == CHILEAN
    assert read_number("912345678", "XX") is None


@given(st.one_of(st.text(), NUMBER_LIKE), st.sampled_from(["CL", "DO", "US", "IT", "XX", ""]))
def test_reading_never_raises_and_reads_its_own_answer(raw: str, country: str) -> None:
    number = read_number(raw, country)

    if number is not None:
        assert is_e164(number.e164)
        assert read_number(number.e164, country) == number


@pytest.mark.parametrize("text", ["+56912345678", "+18095550142", "+2904123", "+123456789012345"])
def test_e164_is_accepted(text: str) -> None:
    assert is_e164(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "56912345678",
        "+056912345678",
        "+56 912345678",
        "+56912345678\n",
        "+１２３４５６７８",
        "+1234567890123456",
        "+123456",
    ],
)
def test_anything_but_e164_is_refused(text: str) -> None:
    assert not is_e164(text)


@pytest.mark.parametrize(
    ("number", "country", "zone"),
    [
        ("+56912345678", "CL", Zone.DOMESTIC),
        ("+18095550142", "CL", Zone.INTERNATIONAL),
        ("+18095550142", "DO", Zone.DOMESTIC),
        ("+18295550142", "DO", Zone.DOMESTIC),
        ("+18495550142", "DO", Zone.DOMESTIC),
        ("+12125550142", "DO", Zone.INTERNATIONAL),
        ("+17875550142", "DO", Zone.INTERNATIONAL),
        ("+15555550142", "DO", Zone.INTERNATIONAL),  # an area code of nobody
        ("+12125550142", "US", Zone.DOMESTIC),
        ("+15555550142", "US", Zone.DOMESTIC),
        ("+56912345678", "DO", Zone.INTERNATIONAL),
        ("+14165550142", "DO", Zone.INTERNATIONAL),  # Canada
        ("+18765550142", "DO", Zone.INTERNATIONAL),  # Jamaica
        ("+19395550142", "DO", Zone.INTERNATIONAL),  # Puerto Rico's second area code
        ("+18005550142", "DO", Zone.INTERNATIONAL),  # free of charge, and of no country of its own
        ("+18885550142", "DO", Zone.INTERNATIONAL),
        ("+18095550142", "US", Zone.INTERNATIONAL),
        ("+18095550142", "PR", Zone.INTERNATIONAL),
        ("+17875550142", "PR", Zone.DOMESTIC),
        ("+14165550142", "US", Zone.INTERNATIONAL),
        ("+14165550142", "CA", Zone.DOMESTIC),
        ("+56221234567", "CL", Zone.DOMESTIC),  # a landline of Santiago
        ("+5491112345678", "CL", Zone.INTERNATIONAL),
        ("not a number", "CL", Zone.INTERNATIONAL),
    ],
)
def test_the_area_code_decides_the_zone_where_countries_share_a_code(number: str, country: str, zone: Zone) -> None:
    assert zone_of(number, country) is zone  # L13
