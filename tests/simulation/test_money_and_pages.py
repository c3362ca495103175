"""Random days of a school, with everything that can go wrong: invariants 1 to 4 and 8 of money and pages."""

import os
from collections.abc import Iterator

import pytest

from tests.simulation.school_day import SchoolDay
from tests.simulation.wires import Aws, MemoryAws, memory_aws

SEEDS = int(os.environ.get("RECADO_SEEDS", "300"))
ONLY = os.environ.get("RECADO_SEED")


@pytest.fixture(scope="module")
def memory() -> Iterator[MemoryAws]:
    with memory_aws() as found:
        yield found


def play(seed: int, aws: Aws) -> SchoolDay:
    aws.clear()
    day = SchoolDay(seed, aws)
    try:
        day.play()
    except BaseException:
        print("\n".join(day.trace))  # noqa: T201
        print(f"again: RECADO_SEED={seed} .venv/bin/python -m pytest tests/simulation/test_money_and_pages.py")  # noqa: T201
        raise
    return day


@pytest.mark.parametrize("seed", [int(ONLY)] if ONLY else range(SEEDS))
def test_a_day_with_everything_going_wrong_breaks_no_promise(seed: int, memory: MemoryAws) -> None:
    play(seed, memory)
