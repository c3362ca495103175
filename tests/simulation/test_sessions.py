"""Sessions when everything goes wrong (C7 to C9, invariants 3, 5, 6 and 8), against a model that knows only what the
web users and the handsets saw.

A crowd by chance: `RECADO_SEED=7` plays a seed again. And one by one: each fault, and each other act, at each request.
"""

import os
import random
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from tests.session_worlds import ANA, LUIS, create_codes
from tests.simulation.session_model import Act, Crowd, Meets, Weather, World, moved_clock
from tests.simulation.wires import Aws, MemoryAws, memory_aws
from tests.worlds import TestClock

SEEDS = int(os.environ.get("RECADO_SEEDS", "60"))
ONLY = os.environ.get("RECADO_SEED")
STEPS = 40
CODES = ("44101", "44102", "44103", "44104")


@pytest.fixture(scope="module")
def memory() -> Iterator[MemoryAws]:
    with memory_aws() as found:
        yield found


@pytest.fixture
def clock() -> Iterator[TestClock]:
    with moved_clock() as found:
        yield found


def play(seed: int, aws: Aws, clock: TestClock) -> None:
    aws.clear()
    aws.gate = weather = Weather()
    codes = CODES[: 2 + seed % 3]
    create_codes(*codes)
    world = World(str(seed), clock, weather, aws)
    crowd = Crowd(world, random.Random(seed), (ANA, LUIS), codes)  # noqa: S311  # the same worlds every time
    for _ in range(STEPS):
        crowd.step()
    world.settle()


@pytest.mark.parametrize("seed", [int(ONLY)] if ONLY else range(SEEDS))
def test_a_crowd_in_bad_weather_breaks_no_promise(seed: int, memory: MemoryAws, clock: TestClock) -> None:
    play(seed, memory, clock)


class Scene:
    """One session, its user and its handset, in the moment when something meets a request."""

    def __init__(self, name: str, clock: TestClock, aws: Aws, weather: Weather) -> None:
        self.world = World(name, clock, weather, aws)
        self.mine, self.other, self.third = self.world.users
        self.handset = ANA

    def act(self, name: str) -> Act:
        acts: dict[str, Act] = {
            "open": lambda: self.world.ask(self.third, [self.handset]),
            "open another": lambda: self.world.ask(self.other, [self.handset]),
            "say": lambda: self.world.ask(self.mine),
            "reply": lambda: self.world.answer(self.handset, self.code()),
            "same reply": lambda: self.world.take_reply(self.handset, self.code(), "la-misma"),
            "extend": lambda: self.world.extend(self.mine),
            "read": lambda: self.world.read(self.mine),
            "end": lambda: self.world.end(self.mine),
            "sweep": self.world.sweep,
            "work": self.world.work,
        }
        return acts[name]

    def code(self) -> str:
        return next((code for handset, code in self.world.threads if handset == self.handset), CODES[0])

    def begin(self, state: str) -> None:
        self.world.ask(self.mine, [self.handset])
        if state == "its jobs are lost":
            self.world.weather.jobs.clear()
            self.world.clock.move(seconds=61)
        if state != "its text waits":
            self.world.work()
        if state == "it is over":
            self.world.answer(self.handset, self.code())
            self.world.clock.move(minutes=5)

    def go_on(self) -> None:
        """Whoever has no answer asks again; the handset answers everybody who wrote to it; all is looked at."""
        self.world.clock.move(seconds=31)
        for user in self.world.users:
            if user.asked is not None:
                self.world.ask(user)
        self.world.work()
        for handset, code in list(self.world.threads):
            self.world.answer(handset, code)
        for user in self.world.users:
            self.world.read(user)
        self.world.check_rows()
        self.world.settle()


FAULTS = ("lost", "applied", "dead")
OTHERS = ("open", "say", "reply", "same reply", "extend", "end", "sweep", "work")
SCENES = (
    ("it is open", "open another"),
    ("it is open", "say"),
    ("it is over", "say"),
    ("it is open", "reply"),
    ("it is open", "same reply"),
    ("it is open", "extend"),
    ("it is open", "read"),
    ("it is open", "end"),
    ("it is over", "sweep"),
    ("it is over", "read"),
    ("its jobs are lost", "sweep"),
    ("its text waits", "work"),
    ("its text waits", "end"),
)


@pytest.mark.parametrize("event", [*FAULTS, *OTHERS], ids=lambda words: words.replace(" ", "-"))
@pytest.mark.parametrize(("state", "does"), SCENES, ids=lambda words: words.replace(" ", "-"))
def test_whatever_a_request_meets_no_promise_breaks(
    memory: MemoryAws, clock: TestClock, state: str, does: str, event: str
) -> None:
    for at in count(1):
        memory.clear()
        memory.gate = weather = Weather()
        create_codes(*CODES)
        scene = Scene(f"{at}", clock, memory, weather)
        scene.begin(state)

        with weather.planned(meeting(at, event if event in FAULTS else scene.act(event))):
            scene.act(does)()
        requests = weather.count
        scene.go_on()

        if requests < at:
            return


def meeting(at: int, event: str | Act) -> Callable[[int], Meets]:
    """The request with this number meets the event."""
    return lambda number: event if number == at else None  # type: ignore[return-value]  # a fault's name or an act
