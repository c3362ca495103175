"""A small day in bad weather: who acts does it at the wire, one at a time; requests and answers get lost, workers die.

What happens on it, and what must hold, is the day's own: `act`, `look` and `play`.
"""

import random
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

from tests.simulation.baton import Actor, Killed
from tests.simulation.wires import Aws

PAUSES = 0.6  # how often somebody else may go on after a request


class SmallDay:
    """`lost`: of requests, and of answers; `dies`: of requests; `request_takes` moves the clock."""

    lost: float
    dies: float
    request_takes: timedelta

    def __init__(self, seed: int, aws: Aws, now: datetime) -> None:
        self.random = random.Random(seed)  # noqa: S311  # the same day every time
        self.aws = aws
        self.now = now
        self.step = 0
        self.is_calm = False
        self.current: Actor | None = None
        self.violation: str | None = None
        self.trace: list[str] = []

    def play(self) -> None:
        """The whole day. Raises what did not hold."""
        raise NotImplementedError

    def look(self) -> None:
        """What must hold after every request: sets `violation`."""
        raise NotImplementedError

    def before(self, operation: str, _asked: Mapping[str, Any]) -> None:
        self.breathe(operation)
        self.lose_request()

    def after(self, operation: str, _asked: Mapping[str, Any]) -> None:
        self.look()
        self.breathe(operation)
        if self.is_on(self.lost):
            raise ReadTimeoutError(endpoint_url="simulated")

    def lose_request(self) -> None:
        if self.is_on(self.lost):
            raise ConnectTimeoutError(endpoint_url="simulated")

    def breathe(self, operation: str) -> None:
        self.step += 1
        self.now += self.request_takes
        if self.current is None:
            return
        if self.is_on(self.dies):
            self.note(f"{self.current.name} dies at {operation}")
            raise Killed
        if not self.is_calm and self.is_on(PAUSES):
            self.current.pause()

    def is_on(self, chance: float) -> bool:
        """By chance, but never in the calm in which a day is checked."""
        return self.current is not None and not self.is_calm and self.chance(chance)

    def chance(self, chance: float) -> bool:
        return self.random.random() < chance

    def actor(self, name: str, work: Callable[[], None]) -> Actor:
        self.note(f"{name} begins")
        return Actor(name, self.step, work)

    def let(self, actor: Actor) -> None:
        """It goes on until it pauses or ends. Raises what did not hold meanwhile."""
        self.current = actor
        actor.resume()
        self.current = None
        if self.violation:
            raise AssertionError(self.violation)

    def note(self, what: str) -> None:
        self.trace.append(f"{self.step:5} {self.now:%d %H:%M:%S} {what}")


def play(day: SmallDay, seed: int, test_file: str) -> None:
    """Plays a day at its wire; one that fails says every step, and how to play it again."""
    day.aws.gate = day
    try:
        day.play()
    except BaseException:
        print("\n".join(day.trace))  # noqa: T201
        print(f"again: RECADO_SEED={seed} .venv/bin/python -m pytest {test_file}")  # noqa: T201
        raise
    finally:
        day.aws.gate = None
