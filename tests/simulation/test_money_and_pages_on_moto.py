"""The same days with moto as AWS behind botocore's own retries: few, for they take ten times as long.

The DynamoDB in memory is believed because of this: call by call, the day comes out the same.
"""

import os
from collections.abc import Iterator

import pytest

from tests.simulation.test_money_and_pages import play
from tests.simulation.wires import MotoAws, memory_aws, moto_aws

ONLY = os.environ.get("RECADO_SEED")
SEEDS = 12


@pytest.fixture(scope="module")
def moto() -> Iterator[MotoAws]:
    with moto_aws() as found:
        yield found


@pytest.mark.parametrize("seed", [int(ONLY)] if ONLY else range(SEEDS))
def test_a_day_behind_the_sdks_own_retries_comes_out_the_same_call_by_call(seed: int, moto: MotoAws) -> None:
    with memory_aws() as memory:
        in_memory = play(seed, memory).trace

    on_moto = play(seed, moto).trace

    assert on_moto == in_memory
