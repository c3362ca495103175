"""The same days with botocore's own retries in between and moto as AWS: few, for they take a hundred times as long."""

import os
import time

import pytest

from tests.simulation.test_money_and_pages import play
from tests.simulation.wires import moto_aws

ONLY = os.environ.get("RECADO_SEED")
SEEDS = 4


@pytest.mark.parametrize("seed", [int(ONLY)] if ONLY else range(SEEDS))
def test_a_day_behind_the_sdks_own_retries_breaks_no_promise(seed: int) -> None:
    with moto_aws() as moto, pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "sleep", lambda _: None)  # the SDK's pauses between attempts
        play(seed, moto)
