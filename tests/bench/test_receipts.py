"""The bench of receipts still takes them with recado's own code, and every state is its model's."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
LAYER = ROOT / "layers" / "common" / "python"


def test_a_small_burst_is_absorbed_to_the_last_receipt() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "bench.receipts", "3000"],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{LAYER}"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["receipts"] == 3000
    assert found["workers"]["batches"] == found["workers"]["at_once"] == 4  # one share each
    assert found["queue"]["put_back"] > 0
    # A page is written once by each worker, and once more for what was early: never once a receipt.
    assert found["per_receipt"]["updates"] * 3000 <= (4 + 1) * found["pages"]
