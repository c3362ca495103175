"""A few of the same days of the message centre with moto as AWS, behind botocore's own retries."""

import os
from collections.abc import Iterator

import pytest

from tests.simulation.test_inbox import play
from tests.simulation.wires import MotoAws, moto_aws

ONLY = os.environ.get("RECADO_SEED")
SEEDS = 5


@pytest.fixture(scope="module")
def moto() -> Iterator[MotoAws]:
    with moto_aws() as found:
        yield found


@pytest.mark.parametrize("seed", [int(ONLY)] if ONLY else range(SEEDS))
def test_a_day_of_the_message_centre_behind_the_sdks_own_retries_breaks_no_promise(seed: int, moto: MotoAws) -> None:
    play(seed, moto)
