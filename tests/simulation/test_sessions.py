"""Sessions when everything goes wrong (C7 to C9, invariants 3, 5, 6 and 8), against a model that knows only what the
web users and the handsets saw.

A crowd by chance: `RECADO_SEED=7` plays a seed again. And one by one: each fault, and each other act, at each request.
"""

import os
import random
from collections.abc import Iterator
from itertools import count

import pytest

from recado.settings import SETTINGS
from tests.session_worlds import ANA, LUIS, create_codes
from tests.simulation.session_model import (
    Act,
    Caps,
    Crowd,
    Meets,
    Plan,
    Weather,
    WebUser,
    World,
    capped,
    moved_clock,
    require,
)
from tests.simulation.wires import SQS, Aws, MemoryAws, memory_aws
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


def play_capped(seed: int, aws: Aws, clock: TestClock) -> World:
    """Two of the three sit behind one address, and everybody writes more than they may."""
    chance = random.Random(seed)  # noqa: S311  # the same worlds every time
    caps = Caps(
        handset_texts=chance.choice((1, 2, 4)),
        source_recipients=chance.choice((2, 3, 5)),
        source_sessions=chance.choice((1, 2, 4)),
        at_once=1,
    )
    aws.clear()
    aws.gate = weather = Weather()
    create_codes(*CODES)
    users = [WebUser("192.0.2.1"), WebUser("192.0.2.2"), WebUser("192.0.2.1")]
    world = World(f"capped-{seed}", clock, weather, aws, users=users, caps=caps)
    crowd = Crowd(world, chance, (ANA, LUIS), CODES)
    with capped(caps):
        for _ in range(STEPS):
            crowd.step()
        world.settle()
    return world


@pytest.mark.parametrize("seed", [int(ONLY)] if ONLY else range(SEEDS))
def test_a_crowd_that_writes_too_much_in_bad_weather_passes_no_cap(
    seed: int, memory: MemoryAws, clock: TestClock
) -> None:
    play_capped(seed, memory, clock)


def test_the_crowds_reach_the_caps_that_they_must_not_pass(memory: MemoryAws, clock: TestClock) -> None:
    reached = set[str]()
    for seed in range(12):
        reached |= play_capped(seed, memory, clock).limited

    assert reached >= {"source_sessions", "source_recipients", "handset_texts", "handset_sessions"}


class Scene:
    """One handset, and sessions with it, in the moment when something meets a request."""

    def __init__(self, clock: TestClock, aws: Aws, weather: Weather) -> None:
        self.world = World("scene", clock, weather, aws)
        self.mine, self.other, self.third = self.world.users
        self.is_away = False  # whoever got no answer comes back only after the end

    def act(self, name: str) -> Act:
        world = self.world
        acts: dict[str, Act] = {
            "open": lambda: world.ask(self.other, [ANA]),
            "say": lambda: world.ask(self.mine),
            "reply": lambda: world.answer(ANA, self._code()),
            "same reply": lambda: world.take_reply(ANA, self._code(), "la-misma"),
            "reply by a clock behind": lambda: self._by_a_clock_behind(self.act("reply")),
            "first part": lambda: self._part(1),
            "last part": lambda: self._part(2),
            "extend": lambda: world.extend(self.mine),
            "read": lambda: world.read(self.mine),
            "end": lambda: world.end(self.mine),
            "sweep": world.sweep,
            "work": world.work,
            "listen": lambda: world.listen(self.mine),
            "ping": lambda: world.ping("page-0"),
            "hang up": lambda: world.hang_up("page-0"),
            "another opens": lambda: world.ask(self.third, [ANA]),
            "another comes and goes": lambda: self._comes_and_goes(self.third),
            "it is swept and asked for again": self._swept_and_asked_for_again,
            "six minutes pass and it is swept": self._passes,
        }
        return acts[name]

    def begin(self, state: str) -> None:
        if state == "nobody is there":
            return
        if state.startswith("its codes"):
            for user in (self.mine, self.other, self.third):
                self._comes_and_goes(user)
            rest = SETTINGS.quarantine_seconds
            self.world.clock.move(seconds=rest if state == "its codes have rested" else rest / 2)
            return
        dies_at = {"its user has no answer": SQS, "it is over and said nothing": "UpdateItem"}.get(state)
        with self.world.weather.planned(lambda _, operation: "dead" if operation == dies_at else None):
            self.world.ask(self.mine, [ANA])
        self.world.listen(self.mine)
        if state == "its jobs are lost":
            self.world.weather.jobs.clear()
            self.world.clock.move(seconds=61)
        if state in ("it is open", "it is over", "a part waits", "a part has waited"):
            self.world.work()
        if state.startswith("a part"):
            self._part(1)
            self.world.clock.move(seconds=60 if state == "a part has waited" else 1)
        if state == "it is over and said nothing":
            self.world.clock.move(minutes=5)
        if state == "it is over":
            self.world.answer(ANA, self._code())
            self.world.clock.move(minutes=5)

    def go_on(self) -> None:
        """Whoever has no answer asks again; the handset answers everybody who wrote to it; all is looked at."""
        self.world.clock.move(seconds=31)
        if self.is_away:
            self.world.work()
            self.world.clock.move(minutes=6)
            self.world.sweep()
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

    def use_up_the_codes(self) -> None:
        for _ in range(len(CODES) + 1):
            self._comes_and_goes(self.third)

    def _code(self) -> str:
        return next((code for _, code in self.world.threads), CODES[0])

    def _part(self, number: int) -> None:
        """The one long message of the scene; what it says of itself is the same however often it comes."""
        if not self.world.long_replies:
            self.world.answer_in_parts(ANA, self._code(), 2, "g")
        self.world.take_part(self.world.long_replies[0], number)

    def _comes_and_goes(self, user: WebUser) -> None:
        self.world.ask(user, [ANA])
        self.world.work()
        self.world.end(user)

    def _swept_and_asked_for_again(self) -> None:
        """Another worker of the same shard is through with it, and whoever had no answer is back."""
        self.world.sweep()
        if self.mine.asked is not None:
            self.world.ask(self.mine)

    def _passes(self) -> None:
        self.world.clock.move(minutes=6)
        self.world.sweep()

    def _by_a_clock_behind(self, act: Act) -> None:
        self.world.clock.move(seconds=-0.9)
        act()
        self.world.clock.move(seconds=0.9)


FAULTS: dict[str, Meets] = {"lost": "lost", "applied": "applied", "dead": "dead", "dead for long": "dead"}
OTHERS = (
    "say",
    "reply",
    "same reply",
    "last part",
    "reply by a clock behind",
    "extend",
    "end",
    "sweep",
    "work",
    "another opens",
    "another comes and goes",
    "listen",
    "it is swept and asked for again",
)
SCENES = (
    ("it is open", "open"),
    ("it is open", "say"),
    ("it is over", "say"),
    ("it is open", "reply"),
    ("it is open", "same reply"),
    ("it is open", "first part"),
    ("a part waits", "last part"),
    ("a part has waited", "last part"),
    ("a part has waited", "read"),
    ("a part has waited", "sweep"),
    ("it is over", "last part"),
    ("it is open", "extend"),
    ("it is open", "read"),
    ("it is open", "end"),
    ("it is open", "listen"),
    ("it is open", "ping"),
    ("it is open", "hang up"),
    ("it is over", "sweep"),
    ("it is over and said nothing", "sweep"),
    ("it is over", "read"),
    ("its jobs are lost", "sweep"),
    ("its text waits", "work"),
    ("its text waits", "end"),
    ("its user has no answer", "work"),
    ("its codes have rested", "open"),
    ("its codes have half rested", "open"),
)


@pytest.mark.parametrize("event", [*FAULTS, *OTHERS], ids=lambda words: words.replace(" ", "-"))
@pytest.mark.parametrize(("state", "does"), SCENES, ids=lambda words: words.replace(" ", "-"))
def test_whatever_a_request_meets_no_promise_breaks(
    memory: MemoryAws, clock: TestClock, state: str, does: str, event: str
) -> None:
    for at in count(1):
        memory.clear()
        memory.gate = weather = Weather()
        create_codes(*CODES[: 3 if state.startswith("its codes") else 4])
        scene = Scene(clock, memory, weather)
        scene.begin(state)
        scene.is_away = event == "dead for long"

        with weather.planned(meeting(at, event if event in FAULTS else scene.act(event))):
            scene.act(does)()
        requests = weather.count
        scene.go_on()

        if requests < at:
            return


# The handset's last place, the source's last place, and the source's one session with the handset.
SMALL = (
    Caps(handset_texts=2, source_recipients=9, source_sessions=9, at_once=1),
    Caps(handset_texts=9, source_recipients=1, source_sessions=9, at_once=1),
    Caps(handset_texts=9, source_recipients=9, source_sessions=9, at_once=1),
)


@pytest.mark.parametrize("caps", SMALL, ids=("handset", "source", "sessions"))
@pytest.mark.parametrize("event", [*FAULTS, "say", "end", "another opens"], ids=lambda words: words.replace(" ", "-"))
@pytest.mark.parametrize("does", ["open", "say"])
def test_whatever_a_request_for_the_last_place_meets_no_cap_is_passed(
    memory: MemoryAws, clock: TestClock, does: str, event: str, caps: Caps
) -> None:
    for at in count(1):
        memory.clear()
        memory.gate = weather = Weather()
        create_codes(*CODES)
        scene = Scene(clock, memory, weather)
        scene.world.caps = caps
        # Whoever opens while the other does sits behind the same address.
        scene.mine.address, scene.other.address, scene.third.address = "192.0.2.1", "192.0.2.2", "192.0.2.2"
        with capped(caps):
            scene.begin("it is open")
            with weather.planned(meeting(at, event if event in FAULTS else scene.act(event))):
                scene.act(does)()
            requests = weather.count
            scene.go_on()

        if requests < at:
            return


@pytest.mark.parametrize(
    ("state", "does"),
    [
        ("nobody is there", "open"),
        ("it is open", "end"),
        ("it is over", "sweep"),
        ("it is over and said nothing", "sweep"),
    ],
    ids=lambda words: words.replace(" ", "-"),
)
def test_who_stands_still_for_minutes_while_its_session_is_swept_breaks_no_promise(
    memory: MemoryAws, clock: TestClock, state: str, does: str
) -> None:
    for at in count(1):
        scene, weather = _begin(memory, clock, state)
        with weather.planned(meeting(at, scene.act("six minutes pass and it is swept"))):
            scene.act(does)()
        requests = weather.count
        scene.go_on()

        if requests < at:
            return


def test_a_code_claimed_for_a_session_that_was_swept_meanwhile_is_found_by_whoever_needs_one(
    memory: MemoryAws, clock: TestClock
) -> None:
    left = 0
    for stands_still_at in count(1):
        for dies_at in count(stands_still_at + 1):
            scene, weather = _begin(memory, clock, "nobody is there")

            def plan(number: int, _: str) -> Meets:
                if number == stands_still_at:  # noqa: B023  # used within the turn
                    return scene.act("six minutes pass and it is swept")  # noqa: B023
                return "dead" if number == dies_at else None  # noqa: B023

            with weather.planned(plan):
                scene.act("open")()
            requests = weather.count
            scene.world.clock.move(minutes=6)
            scene.world.sweep()
            left += len(scene.world.held())
            scene.use_up_the_codes()

            require(not scene.world.held(), "no code is held for what is gone")
            if requests < dies_at:
                break
        if requests < stands_still_at:
            break

    assert left  # it did happen


def _begin(memory: MemoryAws, clock: TestClock, state: str) -> tuple[Scene, Weather]:
    memory.clear()
    memory.gate = weather = Weather()
    create_codes(*CODES)
    scene = Scene(clock, memory, weather)
    scene.begin(state)
    return scene, weather


def meeting(at: int, event: str | Act) -> Plan:
    """The request with this number meets the event."""
    happens = event if callable(event) else FAULTS[event]
    return lambda number, _: happens if number == at else None
