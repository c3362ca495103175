"""Movements of credits in plain words, with their figures (L5, L6, L7, L12)."""

import pytest

from recado.rules.ledger_words import HOW_TO_BUY_ABROAD, WHAT_A_CREDIT_PAYS, Kind, explain, kind_of, message_of


@pytest.mark.parametrize(
    ("kind", "available", "captured", "bag", "spanish", "english"),
    [
        (
            Kind.PURCHASE,
            500,
            0,
            "domestic-500",
            "Compra de la bolsa «Bolsa básica»: 500 créditos.",
            "The bag «Bolsa básica» bought: 500 credits.",
        ),
        (
            Kind.PURCHASE,
            40,
            0,
            None,
            "Compra de 40 créditos acordada con soporte.",
            "40 credits bought, as agreed with support.",
        ),
        (
            Kind.PURCHASE,
            7,
            0,
            "a-bag-of-long-ago",
            "Compra de la bolsa «a-bag-of-long-ago»: 7 créditos.",
            "The bag «a-bag-of-long-ago» bought: 7 credits.",
        ),
        (Kind.HOLD, -1, 0, None, "Reserva de 1 crédito para un mensaje.", "1 credit set aside for a message."),
        (
            Kind.CLOSE,
            0,
            7,
            None,
            "Un mensaje gastó todo lo reservado: 7 créditos.",
            "A message spent all of its 7 credits.",
        ),
        (
            Kind.CLOSE,
            2,
            5,
            None,
            "Un mensaje gastó 5 créditos; el resto de lo reservado se devolvió: 2 créditos.",
            "A message spent 5 credits; the rest of what was set aside came back: 2 credits.",
        ),
        (
            Kind.CLOSE,
            7,
            0,
            None,
            "Devolución de lo reservado para un mensaje: 7 créditos; no se gastó nada.",
            "What was set aside for a message came back: 7 credits; nothing was spent.",
        ),
    ],
)
def test_a_movement_says_what_it_came_to(
    kind: Kind, available: int, captured: int, bag: str | None, spanish: str, english: str
) -> None:
    words = explain(kind, available, captured, bag)

    assert (words.es, words.en) == (spanish, english)


def test_a_cause_says_its_kind_and_its_message() -> None:
    assert [kind_of(cause) for cause in ("purchase#x", "hold#m#p", "close#m#p")] == list(Kind)
    assert [message_of(cause) for cause in ("purchase#x", "hold#m#p", "close#m#p")] == [None, "m", "m"]
    with pytest.raises(ValueError, match="refund"):
        kind_of("refund#x")  # L6: there is no such movement


def test_the_catalogues_words_say_that_a_wrong_number_costs_and_who_sells_abroad() -> None:  # L12, L13
    assert "número equivocado también se cobra" in WHAT_A_CREDIT_PAYS.es
    assert "soporte" in HOW_TO_BUY_ABROAD.es
