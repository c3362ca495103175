"""The registry: a new carrier is one new file and one line here."""

from collections.abc import Callable, Sequence
from types import ModuleType

from recado.carriers import end_user_messaging, signed_webhook, simulated, sns, twilio, vonage
from recado.carriers.speech import Account, Answer, Line, Outgoing

REGISTRY: dict[str, ModuleType] = {
    "end_user_messaging": end_user_messaging,
    "signed_webhook": signed_webhook,
    "sns": sns,
    "twilio": twilio,
    "vonage": vonage,
}
# Not in the registry: no stack, no short code and no webhook can name it. A sandbox's texts go there, and no others.
SIMULATED = "simulated"


def may_bring_replies(carrier: str, codes_carrier: str) -> bool:
    """Whether what this carrier brings can have been written to a code of that one: its own, or they share a topic."""
    return carrier == codes_carrier or getattr(REGISTRY.get(codes_carrier), "REPLIES_COME_BY", None) == carrier


def line(name: str, account: Account, dedupe_hours: int) -> Line:
    """A carrier ready to speak; `dedupe_hours` is for one that dedupes. Raises KeyError for one not registered."""
    carrier = REGISTRY[name]
    return Line(
        name,
        lambda texts, may_start: carrier.send(texts, account, may_start),
        dedupe_hours if carrier.DEDUPES else 0,
        carrier.ECHOES_REFERENCE,
    )


def simulated_line(attempt: int, report: Callable[[Sequence[Outgoing], Sequence[Answer]], None]) -> Line:
    """The line of sandboxes. `attempt` counts from 1; `report` is told what was answered, before anybody else is."""

    def speak(texts: Sequence[Outgoing], may_start: Callable[[], bool]) -> list[Answer]:
        answers = simulated.send(texts, Account(), may_start, attempt=attempt)
        report(texts, answers)
        return answers

    return Line(SIMULATED, speak, 0, simulated.ECHOES_REFERENCE)
