"""The bench of costs still runs the real functions from end to end and finds something to bill at each step."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
LAYER = ROOT / "layers" / "common" / "python"


def test_a_message_to_a_few_is_billed_from_its_request_to_its_last_receipt() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "bench.cost", "25"],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{LAYER}"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)["recipients"]["25"]
    assert found["steps"]["accept"]["invocations"] == {"authorizer": 1, "send": 1}
    assert found["steps"]["dispatch"]["carrier_posts"] == 2  # waves of 20
    assert found["steps"]["receipts"]["sqs_requests"] > 0
    assert all(step["write_units"] > 0 for step in found["steps"].values())
    assert all(amount > 0 for amount in found["usd_per_million_recipients"].values())
