"""What a movement of credits means, in words for the people who pay for them (L5, L6, L12).

Must never say less than the figures: what was spent and what came back are both told.
"""

from enum import StrEnum

from recado.rules.credit_bags import find_bag
from recado.rules.school_settings import Language


class Kind(StrEnum):
    """The first word of an entry's cause."""

    PURCHASE = "purchase"
    HOLD = "hold"
    CLOSE = "close"


def kind_of(cause: str) -> Kind:
    """What kind of movement a cause makes. Raises ValueError for what is no cause."""
    return Kind(cause.partition("#")[0])


def explain(kind: Kind, available: int, held: int, captured: int, bag_id: str | None, language: Language) -> str:
    """One sentence: the change of each figure of the account in credits, and the bag of a purchase when it had one."""
    is_spanish = language is Language.SPANISH
    if kind is Kind.PURCHASE:
        return _purchase(available, bag_id, is_spanish=is_spanish)
    if kind is Kind.HOLD:
        if is_spanish:
            return f"Reserva de {_credits(held, is_spanish=True)} para un mensaje."
        return f"{_credits(held, is_spanish=False)} set aside for a message."
    return _closing(available, captured, is_spanish=is_spanish)


def _purchase(bought: int, bag_id: str | None, *, is_spanish: bool) -> str:
    many = _credits(bought, is_spanish=is_spanish)
    if bag_id is None:
        return f"Compra de {many} acordada con soporte." if is_spanish else f"{many} bought, as agreed with support."
    bag = find_bag(bag_id)
    name = bag.name if bag is not None else bag_id  # a bag that the catalogue no longer has
    return f"Compra de la bolsa «{name}»: {many}." if is_spanish else f"The bag “{name}” bought: {many}."


def _closing(released: int, captured: int, *, is_spanish: bool) -> str:
    spent, back = _credits(captured, is_spanish=is_spanish), _credits(released, is_spanish=is_spanish)
    if not captured:
        if is_spanish:
            return f"Devolución de lo reservado para un mensaje: {back}; no se gastó ninguno."
        return f"What was set aside for a message came back: {back}; none was spent."
    if not released:
        return f"Un mensaje gastó todo lo reservado: {spent}." if is_spanish else f"A message spent all of its {spent}."
    if is_spanish:
        return f"Un mensaje gastó {spent}; de lo reservado se devolvió el resto: {back}."
    return f"A message spent {spent}; the rest of what was set aside came back: {back}."


def _credits(count: int, *, is_spanish: bool) -> str:
    if is_spanish:
        return f"{count} {'crédito' if count == 1 else 'créditos'}"
    return f"{count} {'credit' if count == 1 else 'credits'}"
