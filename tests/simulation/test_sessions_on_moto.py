"""The same crowds with botocore's own retries in between and moto as AWS: few, for they take so much longer."""

import os

import pytest

from tests.simulation.session_model import moved_clock
from tests.simulation.test_sessions import play
from tests.simulation.wires import moto_aws

ONLY = os.environ.get("RECADO_SEED")
SEEDS = 4


@pytest.mark.parametrize("seed", [int(ONLY)] if ONLY else range(SEEDS))
def test_a_crowd_behind_the_sdks_own_retries_breaks_no_promise(seed: int) -> None:
    with moto_aws() as moto, moved_clock() as clock:
        play(seed, moto, clock)
