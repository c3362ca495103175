"""Start-up of each function from the built layer, in a fresh interpreter that sees nothing else.

`python -m bench.cold` prints JSON: milliseconds of the processor, and how many times those of `import boto3` and one
client from the same layer in the same run. Two more baselines say what the layer's trimming and bytecode are worth.
"""

import io
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import boto3

from tests import conftest
from tools.build_layer import LayerNotBuilt, build_layer

ROOT = Path(__file__).parent.parent
FUNCTIONS = sorted(path.parent for path in (ROOT / "functions").glob("*/app.py"))
ROUNDS = 4
BASELINE = "from the layer"
MEGABYTE = 1e6
SDK = ("boto3", "botocore", "s3transfer", "dateutil", "six.py", "urllib3", "jmespath")  # what Lambda has of its own

# Says the seconds of the clock and of the processor after each part of the code.
TIMED = """
import sys, time
began = time.perf_counter(), time.process_time()
sys.path[:0] = {paths!r}
def said():
    print(time.perf_counter() - began[0], time.process_time() - began[1])
{code}
"""
BOTO3_AND_A_CLIENT = """
import boto3
boto3.client("dynamodb")
said()
"""
# PynamoDB makes its client when first asked: on Lambda in the first request, so it belongs to the start.
FUNCTION = """
import app
said()
tables = sys.modules.get("recado.tables.base")
if tables: tables.shared_connection().client
said()
"""

type Moment = tuple[float, float]


def main() -> None:
    try:
        layer = build_layer()
    except LayerNotBuilt as error:
        sys.exit(str(error))
    with tempfile.TemporaryDirectory() as scratch:
        json.dump(measure(layer, Path(scratch)) | {"layer": weigh(layer)}, sys.stdout)


def measure(layer: Path, scratch: Path) -> dict[str, Any]:
    """Everything in turn, several times over: what disturbs one round disturbs all of it alike."""
    installed = str(Path(boto3.__file__).parent.parent)
    runs: dict[str, tuple[list[str], str, list[str]]] = {
        BASELINE: ([str(layer)], BOTO3_AND_A_CLIENT, ["-B"]),
        # Lambda's own boto3 at its best: all services, bytecode there. At its worst: compiled at each start.
        "as installed": ([installed], BOTO3_AND_A_CLIENT, ["-X", f"pycache_prefix={scratch / 'warm'}"]),
        "as installed, no bytecode": (
            [installed],
            BOTO3_AND_A_CLIENT,
            ["-B", "-X", f"pycache_prefix={scratch / 'no'}"],
        ),
    }
    baselines = list(runs)
    for function in FUNCTIONS:
        runs[function.name] = ([str(function), str(layer)], FUNCTION, ["-B"])
    for run in runs.values():  # files into memory, bytecode into the folder for it
        start(*run)
    moments: dict[str, list[list[Moment]]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            moments[name].append(start(*run))
    reference = _best([found[0] for found in moments[BASELINE]])
    return {
        "boto3_and_a_client": {
            name: _described([found[0] for found in moments[name]], reference) for name in baselines
        },
        "functions": {
            function.name: {
                "import": _described([found[0] for found in moments[function.name]], reference),
                "and_first_client": _described([found[1] for found in moments[function.name]], reference),
            }
            for function in FUNCTIONS
        },
    }


def start(paths: list[str], code: str, options: list[str]) -> list[Moment]:
    """A fresh interpreter: seconds of the clock and of the processor at each moment the code names."""
    variables = conftest.environment() | {
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    program = TIMED.format(paths=paths, code=code)
    command = [sys.executable, "-I", "-S", *options, "-c", program]
    ran = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise RuntimeError(f"{paths[0]} does not start: {ran.stderr.splitlines()[-1]}")
    return [(float(clock), float(cpu)) for clock, cpu in (line.split() for line in ran.stdout.splitlines())]


def weigh(layer: Path) -> dict[str, float]:
    """Megabytes of the layer: mounted, as a zip, and how much of each is boto3 with what it brings."""
    sdk = [path for path in layer.iterdir() if path.name in SDK]
    return {
        "mounted": _size(layer.rglob("*")) / MEGABYTE,
        "zipped": _zipped(layer, layer.rglob("*")) / MEGABYTE,
        "mounted_sdk": sum(_size([path, *path.rglob("*")]) for path in sdk) / MEGABYTE,
        "zipped_sdk": sum(_zipped(layer, [path, *path.rglob("*")]) for path in sdk) / MEGABYTE,
    }


def _best(moments: list[Moment]) -> float:
    """Seconds of the processor: a start waits for nothing else, and others on this machine disturb it least."""
    return min(cpu for _, cpu in moments)


def _described(moments: list[Moment], reference: float) -> dict[str, float]:
    return {
        "cpu_milliseconds": _best(moments) * 1000,
        "clock_milliseconds": min(clock for clock, _ in moments) * 1000,
        "times_the_baseline": _best(moments) / reference,
    }


def _size(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths if path.is_file())


def _zipped(layer: Path, paths: Iterable[Path]) -> int:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in paths:
            if path.is_file():
                archive.write(path, path.relative_to(layer))
    return len(buffer.getvalue())


if __name__ == "__main__":
    main()
