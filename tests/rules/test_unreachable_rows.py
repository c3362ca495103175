from recado.rules.audience import WHO_OF_ROLE, SkipReason
from recado.rules.plain_words import Language
from recado.rules.unreachable_rows import HEADERS, REASONS, ROLES_ES, row_of


def test_a_row_is_in_the_offices_language() -> None:
    def row(language: Language) -> tuple[str, ...]:
        return row_of(
            language,
            groups=["7° B", "Coro"],
            name="Rosa Catrileo",
            role="guardian",
            reason=SkipReason.UNUSABLE_NUMBER,
            typed_number="12345",
            students=["Ana Soto"],
        )

    assert row(Language.ES) == (
        "7° B; Coro",
        "Rosa Catrileo",
        "apoderado",
        "el número no se puede usar",
        "12345",
        "Ana Soto",
    )
    assert row(Language.EN)[2:4] == ("guardian", "the number cannot be used")
    assert all(len(row(language)) == len(HEADERS[language]) for language in Language)


def test_every_role_and_both_reasons_have_words() -> None:
    assert ROLES_ES.keys() == WHO_OF_ROLE.keys()
    assert REASONS.keys() == {SkipReason.NO_NUMBER, SkipReason.UNUSABLE_NUMBER}
