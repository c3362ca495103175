"""What a movement of credits means, with its figures, in words for the people who pay for them (L5, L6, L12).

Must never say less than the figures: what was spent and what came back are both told.
"""

from enum import StrEnum

from recado.rules.credit_bags import find_bag
from recado.rules.plain_words import Words

WHAT_A_CREDIT_PAYS = Words(
    "Un crédito paga un segmento de un SMS a un número: hasta 160 caracteres, o 70 si el texto lleva á, í, ó, ú o "
    "emoji; los textos más largos usan más segmentos. Un número equivocado también se cobra.",
    "A credit pays one segment of one SMS to one number: up to 160 characters, or 70 if the text has á, í, ó, ú or "
    "emoji; longer texts take more segments. A wrong number is charged too.",
)
HOW_TO_BUY_ABROAD = Words(
    "Los números de otros países se pagan con una bolsa internacional, que vende su ejecutivo de soporte.",
    "Numbers of other countries are paid from an international bag, which support sells.",
)


class Kind(StrEnum):
    """The first word of an entry's cause."""

    PURCHASE = "purchase"
    HOLD = "hold"
    CLOSE = "close"


def kind_of(cause: str) -> Kind:
    """What kind of movement a cause makes. Raises ValueError for what is no cause."""
    return Kind(cause.partition("#")[0])


def message_of(cause: str) -> str | None:
    """The id of the message that a hold or its closing is of; None for a purchase."""
    kind, _, rest = cause.partition("#")
    return None if kind == Kind.PURCHASE else rest.partition("#")[0]


def explain(kind: Kind, available: int, captured: int, bag_id: str | None) -> Words:
    """One sentence: `available` and `captured` are the change of those figures, in credits; `bag_id` of a purchase."""
    if kind is Kind.PURCHASE:
        return _purchase(_credits(available), bag_id)
    if kind is Kind.HOLD:
        held = _credits(-available)
        return Words(f"Reserva de {held.es} para un mensaje.", f"{held.en} set aside for a message.")
    return _closing(available, captured)


def _purchase(bought: Words, bag_id: str | None) -> Words:
    if bag_id is None:
        return Words(f"Compra de {bought.es} acordada con soporte.", f"{bought.en} bought, as agreed with support.")
    bag = find_bag(bag_id)
    name = bag.name if bag is not None else bag_id  # a bag that the catalogue no longer has
    return Words(f"Compra de la bolsa «{name}»: {bought.es}.", f"The bag «{name}» bought: {bought.en}.")


def _closing(released: int, captured: int) -> Words:
    spent, back = _credits(captured), _credits(released)
    if not captured:
        return Words(
            f"Devolución de lo reservado para un mensaje: {back.es}; no se gastó nada.",
            f"What was set aside for a message came back: {back.en}; nothing was spent.",
        )
    if not released:
        return Words(f"Un mensaje gastó todo lo reservado: {spent.es}.", f"A message spent all of its {spent.en}.")
    return Words(
        f"Un mensaje gastó {spent.es}; el resto de lo reservado se devolvió: {back.es}.",
        f"A message spent {spent.en}; the rest of what was set aside came back: {back.en}.",
    )


def _credits(count: int) -> Words:
    return Words(
        f"{count} {'crédito' if count == 1 else 'créditos'}", f"{count} {'credit' if count == 1 else 'credits'}"
    )
