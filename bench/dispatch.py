"""Processor time of the real `dispatch` for each recipient: carrier and AWS are another process that answers at once.

`python -m bench.dispatch` prints JSON. Beside it, what the same calls cost when nobody does anything with the answers.
"""

import contextlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.request import urlopen

from bench.other_process import server

ROOT = Path(__file__).parent.parent
LAYER = ROOT / "layers" / "common" / "python"
ROUNDS = 9
PAGES_IN_A_ROUND = 8
RECIPIENTS_IN_A_PAGE = 100
BARE_CALLS_IN_A_ROUND = 200
MICROSECONDS = 1e6


class Context:
    """What Lambda tells the function about its own run."""

    function_name = "dispatch"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:dispatch"
    aws_request_id = "52fdfc07-2182-454f-963f-5f0f9a621d72"

    def get_remaining_time_in_millis(self) -> int:
        return 90_000


def main() -> None:
    given = subprocess.run(
        [sys.executable, "-m", "bench.rows"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    with server("bench.null_server", given=given) as url:
        become(json.loads(given)["environment"], url)
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # the function's log lines
            measured = measure(json.loads(given)["event"], url)
    json.dump(measured, sys.stdout)


def measure(event: dict[str, Any], url: str) -> dict[str, Any]:
    app = load("dispatch")
    _work(app, event)  # connections, clients and what is imported late
    before = counts(url)
    _work(app, event)
    after = counts(url)
    page_calls = {name: after[name] - before[name] for name in after}
    if not page_calls["carrier"]:
        raise RuntimeError("dispatch spoke to nobody: there is nothing to measure")
    whole, bare = [], []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(PAGES_IN_A_ROUND):
            _work(app, event)
        whole.append((time.process_time() - began) / (PAGES_IN_A_ROUND * RECIPIENTS_IN_A_PAGE))
        bare.append(_bare_call())
    bare_page = min(bare) * (page_calls["aws"] + page_calls["carrier"])
    return {
        "microseconds_per_recipient": {
            "min": min(whole) * MICROSECONDS,
            "median": statistics.median(whole) * MICROSECONDS,
        },
        "bare_calls_microseconds_per_recipient": bare_page / RECIPIENTS_IN_A_PAGE * MICROSECONDS,
        "times_the_bare_calls": min(whole) * RECIPIENTS_IN_A_PAGE / bare_page,
        "calls_per_page": page_calls,
    }


def _work(app: ModuleType, event: dict[str, Any]) -> None:
    if app.handler(event, Context())["batchItemFailures"]:
        raise RuntimeError("dispatch did not do its work")


def _bare_call() -> float:
    """Seconds of processor time of one small read through botocore."""
    from recado.tables.base import shared_connection

    client = shared_connection().client
    key = {"pk": {"S": "nobody"}, "sk": {"S": "nobody"}}
    began = time.process_time()
    for _ in range(BARE_CALLS_IN_A_ROUND):
        client.get_item(TableName=os.environ["MESSAGES_TABLE"], Key=key)
    return (time.process_time() - began) / BARE_CALLS_IN_A_ROUND


def become(environment: dict[str, str], url: str) -> None:
    """Settings and credentials of the function, before anything of recado is imported."""
    os.environ.update(environment)
    os.environ.update(
        AWS_ENDPOINT_URL=url,
        CARRIER_URL=f"{url}/send",
        AWS_ACCESS_KEY_ID="test",
        AWS_SECRET_ACCESS_KEY="test",  # noqa: S106  # nobody checks it
        AWS_DEFAULT_REGION="us-east-1",
        AWS_REGION="us-east-1",
    )
    sys.path.insert(0, str(LAYER))


def load(function: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("app", ROOT / "functions" / function / "app.py")
    if spec is None or spec.loader is None:
        raise RuntimeError(f"there is no function {function}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def counts(url: str) -> dict[str, int]:
    with urlopen(f"{url}/counts") as answer:  # noqa: S310  # our own server
        found: dict[str, int] = json.load(answer)
    return found


if __name__ == "__main__":
    main()
