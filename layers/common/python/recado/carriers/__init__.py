"""The registry: a new carrier is one new file and one line here."""

from types import ModuleType

from recado.carriers import signed_webhook, sns
from recado.carriers.speech import Account, Line

REGISTRY: dict[str, ModuleType] = {
    "signed_webhook": signed_webhook,
    "sns": sns,
}


def line(name: str, account: Account, dedupe_hours: int) -> Line:
    """A carrier ready to speak. Raises KeyError for one that is not registered."""
    carrier = REGISTRY[name]
    return Line(
        name,
        lambda texts, may_start: carrier.send(texts, account, may_start),
        dedupe_hours,
        carrier.ECHOES_REFERENCE,
    )
