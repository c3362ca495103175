"""How long one worker of the sweeper takes for its shard, when 100,000 sessions end in the same minute.

`python -m bench.sweep` prints JSON. The real code with its threads and its HTTP; DynamoDB is another process that keeps
everything in memory and answers as late as AWS would (bench/sweep_server.py). `python -m bench.sweep all` does every
shard, two at a time: by hand.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench.dispatch import become
from bench.other_process import server
from bench.roster import Peak
from tests import conftest  # sets the environment: before anything of recado

ROOT = Path(__file__).parent.parent
SESSIONS = 100_000
HANDSETS = (1, 2, 3)
LARGE = 1_000
PROCESSES = 2  # of `all`
PROCESSOR_MEGABYTES = 1769  # AWS gives a whole processor to so much memory
MINUTE = 60.0
RAMP_SECONDS = 12.0  # assumed: Lambda begins with 5 jobs of a queue at once and adds 300 a minute
START_SECONDS = 2.0  # assumed: a job's way through the queue, and a cold start
WRITES_A_SECOND_AT_FIRST = 4_000  # of a new on-demand table, and until it is warmed
WRITES_A_SECOND_AT_MOST = 40_000  # of a table, by AWS's default quota

type Result = dict[str, Any]


def main() -> None:
    from recado.tables.sessions import DUE_SHARDS

    match sys.argv[1:]:
        case ["one", *words]:
            sessions, shard, *_ = (int(word) for word in words)
            with server("bench.sweep_server", *words) as url, _silence():
                become({name: os.environ[name] for name in conftest.environment()}, url)
                found = measure(sessions, shard, url)
            json.dump(found, sys.stdout)
        case ["all"]:
            json.dump(_all(DUE_SHARDS), sys.stdout)
        case _:
            of_shard, of_large = _one(-(-SESSIONS // DUE_SHARDS), 0, HANDSETS), _one(1, 0, (LARGE,))
            json.dump({"shard": of_shard, "large": of_large, "minute": _minute(of_shard, DUE_SHARDS)}, sys.stdout)


def measure(sessions: int, shard: int, url: str) -> Result:
    """One worker, once. Raises RuntimeError when anything is left."""
    from recado import session_sweep
    from tests.worlds import NOON

    at = NOON + timedelta(minutes=6)
    session_sweep.work(shard + 1, lambda: at, lambda: timedelta(minutes=9))  # what is imported late, the connection
    calls_before = Counter[str](_asked(url)["calls"])
    with Peak() as peak:
        began, cpu = time.perf_counter(), time.process_time()
        swept = session_sweep.work(shard, lambda: at, lambda: timedelta(minutes=9))
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    found = _asked(url)
    if swept.ended != sessions or any(found["left"].values()):
        raise RuntimeError(f"of {sessions} sessions {swept.ended} were ended, and {found['left']} is left")
    calls: Counter[str] = Counter[str](found["calls"]) - calls_before
    units = found["units"]
    return {
        "sessions": sessions,
        "seconds": seconds,
        "processor_seconds": cpu,
        "peak_megabytes": peak.megabytes,
        "grew_megabytes": peak.grew,
        "calls": dict(sorted(calls.items())),
        "per_session": {
            "aws_calls": calls.total() / sessions,
            "write_units_of_sessions": units["SessionsTable write"] / sessions,
            "write_units_of_the_index": units["Due write"] / sessions,
            "write_units_of_routes": units["RoutesTable write"] / sessions,
            "read_units": sum(value for name, value in units.items() if name.endswith("halves")) / 2 / sessions,
        },
    }


def _minute(shard: Result, shards: int) -> Result:
    """What the minute of 100,000 needs, by the figures of one shard, and what template.yaml gives."""
    from recado.session_sweep import LOOKS

    sweeper = conftest.resources("AWS::Serverless::Function")["SessionSweeper"]
    processor = min(1.0, sweeper["MemorySize"] / PROCESSOR_MEGABYTES)
    workers = min(shards, sweeper["Events"]["Sweeps"]["Properties"]["ScalingConfig"]["MaximumConcurrency"])
    of_one = max(shard["seconds"], shard["processor_seconds"] / processor)
    waits = max(after - before for before, after in zip(LOOKS, (*LOOKS[1:], MINUTE), strict=True))
    left = MINUTE - waits - START_SECONDS - RAMP_SECONDS
    writes = {
        "sessions_table": shard["per_session"]["write_units_of_sessions"] * SESSIONS,
        "its_index": shard["per_session"]["write_units_of_the_index"] * SESSIONS,
        "routes_table": shard["per_session"]["write_units_of_routes"] * SESSIONS,
    }
    return {
        "seconds_of_one_worker_on_lambda": of_one,
        "seconds_a_worker_may_take": left,
        "workers_needed": -int(-of_one * shards // left),
        "workers_given": workers,
        "latest_seconds_after_the_end": waits + START_SECONDS + RAMP_SECONDS + of_one * -(-shards // workers),
        "write_units": writes,
        "write_units_a_second": {name: units / (of_one + RAMP_SECONDS) for name, units in writes.items()},
        "seconds_at_40000_writes_a_second": max(writes.values()) / WRITES_A_SECOND_AT_MOST,
        "seconds_of_a_new_table": max(writes.values()) / WRITES_A_SECOND_AT_FIRST,
    }


def _all(shards: int) -> Result:
    share, more = divmod(SESSIONS, shards)
    counts = [share + (shard < more) for shard in range(shards)]
    began = time.perf_counter()
    with ThreadPoolExecutor(PROCESSES) as pool:
        found = list(pool.map(lambda one: _one(one[1], one[0], HANDSETS), enumerate(counts)))
    slowest = max(found, key=lambda one: float(one["seconds"]))
    return {
        "sessions": sum(one["sessions"] for one in found),
        "shards": shards,
        "seconds_in_all": time.perf_counter() - began,
        "processor_seconds": sum(one["processor_seconds"] for one in found),
        "slowest_shard_seconds": slowest["seconds"],
        "median_shard_seconds": sorted(one["seconds"] for one in found)[shards // 2],
        "most_peak_megabytes": max(one["peak_megabytes"] for one in found),
    }


def _one(sessions: int, shard: int, handsets: tuple[int, ...]) -> Result:
    """In a process of its own, with a DynamoDB of its own."""
    words = [str(number) for number in (sessions, shard, *handsets)]
    ran = subprocess.run([sys.executable, "-m", "bench.sweep", "one", *words], stdout=subprocess.PIPE, check=True)
    found: Result = json.loads(ran.stdout)
    return found


def _asked(url: str) -> Result:
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310  # loopback
        found: Result = json.load(answer)
    return found


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # the log lines
        yield


if __name__ == "__main__":
    main()
