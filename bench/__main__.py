"""`python -m bench [--json] [NAME …]`: runs each bench in a process of its own; without names those of TABLES.

Progress goes to stderr, figures to stdout. docs/performance.md says what they mean.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.timeline import check_lines, line_of
from local.progress import Progress

ROOT = Path(__file__).parent.parent
LAYER = ROOT / "layers" / "common" / "python"

type Result = dict[str, Any]
type Lines = Iterator[str]


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description="Measures what the functions cost.")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    parser.add_argument(
        "names",
        nargs="*",
        choices=[[], *TABLES],
        metavar="|".join(TABLES),
        help=f"default: all but {' and '.join(sorted(ON_REQUEST))}",
    )
    options = parser.parse_args()
    progress, results, has_held = Progress(sys.stderr), dict[str, Result](), True
    for name in options.names or [name for name in TABLES if name not in ON_REQUEST]:
        with progress.step(name):
            ran = run(name)
        has_held = has_held and ran.returncode == 0
        if ran.returncode != 0 and not (name in CHECKED and ran.stdout):
            words = [line for line in ran.stderr.splitlines() if line.strip()]
            print(f"The bench {name} failed: {words[-1] if words else 'it said nothing'}", file=sys.stderr)
            return 1
        results[name] = json.loads(ran.stdout)
    if options.json:
        print(json.dumps(results, indent=2))
    else:
        print("\n\n".join("\n".join(TABLES[name](result)) for name, result in results.items()))
    return 0 if has_held else 1


def run(name: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(ROOT), str(LAYER)])
    return subprocess.run(
        [sys.executable, "-m", f"bench.{name}", *(["--json"] if name in CHECKED else [])],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )


def cost(result: Result) -> Lines:
    """Columns: how many recipients the message had."""
    found: dict[str, Result] = result["recipients"]
    yield _row("cost, for each recipient of", found)
    for name in next(iter(found.values()))["per_recipient"]:
        yield _row(f"  {_words(name)}", (f"{one['per_recipient'][name]:.3f}" for one in found.values()))
    yield "USD for a million recipients, without the carrier"
    for name in next(iter(found.values()))["usd_per_million_recipients"]:
        yield _row(f"  {_words(name)}", (f"{one['usd_per_million_recipients'][name]:.3f}" for one in found.values()))


def follow(result: Result) -> Lines:
    """Columns: what had just happened to the message."""
    phases: dict[str, Result] = result["phases"]
    yield _row(f"follow, {result['recipients']:,} recipients told of", phases)
    for name in next(iter(phases.values())):
        yield _row(f"  {_words(name)}", (f"{one[name]:,.0f}" for one in phases.values()))


def dispatch(result: Result) -> Lines:
    measured, calls = result["microseconds_per_recipient"], result["calls_per_page"]
    yield _row("dispatch, processor µs for each recipient", ["least", "median"])
    yield _row("  the function", (f"{measured[name]:.0f}" for name in ("min", "median")))
    yield _row("  its calls alone, answers unread", [f"{result['bare_calls_microseconds_per_recipient']:.0f}"])
    yield _row("  times its calls alone", [f"{result['times_the_bare_calls']:.2f}"])
    yield f"  a page of 100: {calls['aws']} calls of AWS, {calls['carrier']} waves to the carrier"


def cold(result: Result) -> Lines:
    yield _row("cold start, processor", ["ms", "× boto3", "and a client: ms", "× boto3"])
    for name, one in result["boto3_and_a_client"].items():
        yield _row(f"  boto3 and a client, {name}", ["", "", *_start(one)])
    for name, one in result["functions"].items():
        yield _row(f"  {name}", [*_start(one["import"]), *_start(one["and_first_client"])])
    layer = result["layer"]
    yield f"  layer: {layer['mounted']:.1f} MB mounted, {layer['zipped']:.1f} MB zipped"
    yield f"    of which boto3 and what it brings: {layer['mounted_sdk']:.1f} MB, {layer['zipped_sdk']:.1f} MB"


def roster(result: Result) -> Lines:
    yield _row(f"roster of {result['people']} people", ["seconds", "processor s", "peak MB", "grew by MB"])
    for name in ("everybody_new", "a_week_later"):
        for step in ("compare", "apply"):
            found = result[name][step]
            cells = [f"{found['seconds']:.1f}", f"{found['processor_seconds']:.1f}"]
            cells += [f"{found['peak_megabytes']:.0f}", f"{found['grew_megabytes']:.0f}"]
            yield _row(f"  {_words(name)}: {step}", cells)
        yield f"    {result[name]['written']} people written, a zip of {result[name]['zip_megabytes']:.1f} MB"


def planning(result: Result) -> Lines:
    """Columns: each case, with the people of its audience."""
    cases: list[Result] = result["cases"]
    yield _row("planning", (f"{one['case']} {one['people']:,}" for one in cases))
    yield _row("  seconds, beside whatever else ran", (f"{one['seconds']:.1f}" for one in cases))
    yield _row("  processor seconds", (f"{one['processor_seconds']:.1f}" for one in cases))
    yield _row("  megabytes more than before", (f"{one['peak_megabytes_more']:.0f}" for one in cases))
    for name in cases[0]["per_recipient"]:
        yield _row(f"  {_words(name)} for each recipient", (f"{one['per_recipient'][name]:.3f}" for one in cases))


def live(result: Result) -> Lines:
    yield _row(f"live, {result['replies']} replies on the emulator, ms", ["p50", "p99"])
    for name, found in result["milliseconds"].items():
        yield _row(f"  {_words(name)}", (f"{found[part]:.0f}" for part in ("p50", "p99")))


def sweep(result: Result) -> Lines:
    """Columns: one shard's share of 100,000 sessions, and one session of 1,000 handsets."""
    columns: list[Result] = [result["shard"], result["large"]]
    yield _row("sweep, one worker and", [f"{one['sessions']:,} sessions" for one in columns])
    yield _row("  seconds, beside whatever else ran", (f"{one['seconds']:.1f}" for one in columns))
    yield _row("  processor seconds", (f"{one['processor_seconds']:.1f}" for one in columns))
    yield _row("  peak megabytes", (f"{one['peak_megabytes']:.0f}" for one in columns))
    for name in columns[0]["per_session"]:
        yield _row(f"  {_words(name)} for each session", (f"{one['per_session'][name]:.2f}" for one in columns))
    minute: Result = result["minute"]
    yield "100,000 sessions that end at once, on Lambda"
    for name in ("seconds_of_one_worker_on_lambda", "seconds_a_worker_may_take", "workers_needed", "workers_given"):
        yield _row(f"  {_words(name)}", [f"{minute[name]:.0f}"])
    yield _row("  latest seconds after the end", [f"{minute['latest_seconds_after_the_end']:.0f}"])
    for name, units in minute["write_units"].items():
        yield _row(f"  write units of {_words(name)}", [f"{units:,.0f}"])
    for name, units in minute["write_units_a_second"].items():
        yield _row(f"    a second, of {_words(name)}", [f"{units:,.0f}"])
    yield _row("  seconds at 40,000 write units a second", [f"{minute['seconds_at_40000_writes_a_second']:.0f}"])
    yield _row("  seconds of a new table, at 4,000", [f"{minute['seconds_of_a_new_table']:.0f}"])


def receipts(result: Result) -> Lines:
    """The burst: what was measured, then what follows from it for Lambda and DynamoDB."""
    workers, absorbed = result["workers"], result["absorbed"]
    yield _row(f"receipts, {result['receipts']:,} of {result['pages']:,} pages", [""])
    yield _row("  posts of 1,000, and events of snss log", [f"{result['posts']:,}", f"{result['log_events']:,}"])
    yield _row("  webhook: processor seconds", [f"{result['webhook']['processor_seconds']:.1f}"])
    yield _row("  messages in the queue, put back", [f"{result['queue'][name]:,}" for name in ("messages", "put_back")])
    yield _row("  requests to put them (64 KB)", [f"{result['queue']['requests_to_put_them']:,}"])
    yield _row("  workers at once, batches", [f"{workers['at_once']:,}", f"{workers['batches']:,}"])
    yield _row("  processor seconds of all workers", [f"{workers['processor_seconds']:.1f}"])
    yield _row("  seconds of the slowest batch", [f"{workers['seconds_of_the_slowest_batch']:.1f}"])
    yield _row("  peak megabytes", [f"{workers['peak_megabytes']:.0f}"])
    for name, found in result["per_receipt"].items():
        yield _row(f"  {_words(name)} for each receipt", [f"{found:.3f}"])
    yield _row("  write units of the busiest page", [f"{result['most_write_units_of_a_page']:,}"])
    yield _row("  largest row, bytes", [f"{result['largest_row_bytes']:,}"])
    yield "by those figures, on AWS"
    per_second = result["webhook"]["receipts_a_second_of_one_on_lambda"]
    yield _row("  receipts a second of one webhook function", [f"{per_second:,.0f}"])
    yield _row("  seconds of one batch", [f"{workers['seconds_of_one_on_lambda']:.1f}"])
    for name, found in absorbed.items():
        yield _row(f"  {_words(name)}", [f"{found:.1f}"])


def page_weight(result: Result) -> Lines:
    """KB are 1,000 bytes. Received: compressed, with headers."""
    yield _row("page_weight, the first view", ["requests", "raw KB", "received KB", "headers, API KB", "late modules"])
    for name, one in result["pages"].items():
        cells = [f"{one['requests']}", *(f"{one[part] / 1000:.1f}" for part in ("raw", "received"))]
        cells += [f"{one['headers'] / 1000:.1f}, {one['api'] / 1000:.1f}", f"{len(one['late'])}"]
        is_over = one["received"] > result["budget_bytes"]
        yield _row(f"  {name}{', over the budget' if is_over else ''}", cells)
    yield f"  budget: {result['budget_bytes'] / 1000:.0f} KB received"


def failover(result: Result) -> Lines:
    """What happened when, then each promise and whether it held."""
    yield f"failover, {result['messages']} messages on the emulator"
    yield from map(line_of, result["timeline"])
    yield from check_lines(result["checks"])


TABLES: dict[str, Callable[[Result], Lines]] = {
    "cost": cost,
    "follow": follow,
    "dispatch": dispatch,
    "cold": cold,
    "roster": roster,
    "planning": planning,
    "live": live,
    "sweep": sweep,
    "receipts": receipts,
    "failover": failover,
    "page_weight": page_weight,
}
ON_REQUEST = {"live", "failover", "page_weight"}  # they bring a whole stack up
CHECKED = {"failover", "page_weight"}  # they also fail when something did not hold, and say all the same what they saw


def _start(described: dict[str, float]) -> list[str]:
    return [f"{described['cpu_milliseconds']:.0f}", f"{described['times_the_baseline']:.2f}"]


def _row(name: str, cells: Any) -> str:
    return f"{name:<48}" + "".join(f"{cell:>19}" for cell in cells)


def _words(name: str) -> str:
    return name.replace("_", " ")


if __name__ == "__main__":
    sys.exit(main())
