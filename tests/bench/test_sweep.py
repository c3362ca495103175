"""The bench of the sweeper still sweeps with recado's own code, to the last row."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
LAYER = ROOT / "layers" / "common" / "python"


@pytest.mark.parametrize(
    ("sessions", "handsets", "calls"),
    [(30, (1, 2, 3), 30 * 5 + 60 * 2), (1, (12,), 1 + 2 + 12 * 2 + 5)],  # of each session, of each handset, of all
)
def test_made_up_sessions_are_swept_to_the_last(sessions: int, handsets: tuple[int, ...], calls: int) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "bench.sweep", "one", str(sessions), "5", *map(str, handsets)],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{LAYER}"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["sessions"] == sessions
    assert calls <= sum(found["calls"].values()) <= calls + 6  # the index, and rows read together
    assert found["per_session"]["write_units_of_the_index"] == 1  # closing leaves it alone, burying takes the row out
