"""What the simulated carrier can be told to do badly. Reads and checks; must never draw a die itself."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

SECONDS_MAX = {
    "slow_seconds": 60.0,
    "receipts_delay_seconds": 259_200.0,
    "for_seconds": 86_400.0,
}  # receipts may come after 72 h, as real ones do


class FaultsError(ValueError):
    """A field that cannot be accepted."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field} {detail}")
        self.field = field
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Faults:
    slow_seconds: float = 0.0  # before it looks at a wave
    busy_share: float = 0.0  # of waves: answers 429 and takes nothing, as one that is down for maintenance
    barred_share: float = 0.0  # of waves: answers 403 and takes nothing, as one whose contract is over
    fail_share: float = 0.0  # of waves: answers 500 and takes nothing; whoever asked cannot know that
    lose_answers_share: float = 0.0  # of waves: takes all, shows the texts, and the answer is lost
    refuse_share: float = 0.0  # of texts: refused for good, as wrong_number or blocked
    not_now_share: float = 0.0  # of texts: refused for now, as try_later
    unreachable_share: float = 0.0  # of texts: taken, and the receipt says unreachable
    receipts_delay_seconds: float = 0.0
    receipts_twice: bool = False
    no_receipts: bool = False
    for_seconds: float = 0.0  # it recovers by itself; 0: when it is told to

    def as_json(self) -> dict[str, float | bool]:
        return asdict(self)


def read_faults(body: object) -> Faults:
    """The faults a PUT asks for; what it leaves out is at rest. Raises FaultsError with the field's name."""
    if not isinstance(body, Mapping):
        raise FaultsError("body", "must be a JSON object")
    types = {field.name: field.type for field in fields(Faults)}
    for name in body:
        if name not in types:
            raise FaultsError(str(name)[:60], "is not a fault this carrier knows")
    values = {name: _read(name, types[name], value) for name, value in body.items()}
    return Faults(**values)  # type: ignore[arg-type]  # _read gives each its type


def _read(name: str, kind: object, value: object) -> float | bool:
    if kind is bool:
        if not isinstance(value, bool):
            raise FaultsError(name, "must be true or false")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FaultsError(name, "must be a number")
    most = SECONDS_MAX.get(name, 1.0)
    if not 0 <= value <= most:  # also NaN
        raise FaultsError(name, f"must be from 0 to {most:g}")
    return float(value)
