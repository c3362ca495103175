"""The bench of planning still plans with recado's own code, and finds something to count."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
LAYER = ROOT / "layers" / "common" / "python"


@pytest.mark.parametrize(("case", "people", "runs"), [("estimate", 1_000, 0), ("background", 10_500, 1)])
def test_made_up_people_are_planned_to_the_last(case: str, people: int, runs: int) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "bench.planning", case, str(people)],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{LAYER}"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["worker_runs"] == runs
    assert 0.85 * people < found["recipients"] < 0.9 * people  # some share a number, some have none, some opted out
    assert found["per_recipient"]["read_units"] > 1
    assert found["peak_megabytes_more"] < 100
