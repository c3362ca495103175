"""Takes out of a built layer what Lambda does not need, and puts bytecode in. `python slim_layer.py <layer>/python`.

Standard library only, CPython 3.13. It must never remove what a function imports: tests/packaging tries all of them.
"""

import compileall
import json
import py_compile
import shutil
import sys
from pathlib import Path

# Each service that our code or PynamoDB makes a client of; botocore brings 430.
SERVICES = frozenset({"apigatewaymanagementapi", "dynamodb", "pinpoint-sms-voice-v2", "s3", "sns", "sqs", "ssm"})
# Glob patterns of what is never imported: names, carriers, places and time zones of numbers, short numbers, programs.
NOT_NEEDED = (
    "bin",
    "boto3/data",
    "boto3/examples",
    "phonenumbers/carrier.py",
    "phonenumbers/carrierdata",
    "phonenumbers/geocoder.py",
    "phonenumbers/geodata",
    "phonenumbers/shortdata/region_*",
    "phonenumbers/timezone.py",
    "phonenumbers/tzdata",
    "**/__pycache__",
    "**/*.pyi",
)
KEPT_OF_DIST_INFO = frozenset({"METADATA", "entry_points.txt", "licenses"})  # importlib.metadata's, and the lawyers'
MOUNTED_AT = "/opt"  # what tracebacks show
MEGABYTE = 1e6


def main(layer: Path) -> None:
    installed = size_of(layer)
    for pattern in NOT_NEEDED:
        for path in list(layer.glob(pattern)):
            remove(path)
    slim_dist_infos(layer)
    slim_botocore(layer / "botocore" / "data")
    kept = size_of(layer)
    compile_all(layer)
    mounted = size_of(layer)
    sizes = [f"{size / MEGABYTE:.1f} MB" for size in (installed, kept, mounted)]
    print(f"Layer: {sizes[0]} installed, {sizes[1]} kept, {sizes[2]} with bytecode.")  # noqa: T201  # make shows it


def slim_dist_infos(layer: Path) -> None:
    for info in layer.glob("*.dist-info"):
        for path in info.iterdir():
            if path.name not in KEPT_OF_DIST_INFO:
                remove(path)


def slim_botocore(data: Path) -> None:
    """Leaves our services only. `endpoints.json` of all 430 would be read at each start: 1.2 MB for a few names."""
    for path in data.iterdir():
        if path.is_dir() and path.name not in SERVICES:
            remove(path)
    missing = SERVICES - {path.name for path in data.iterdir()}
    if missing:
        sys.exit(f"botocore does not know {', '.join(sorted(missing))}")
    endpoints = data / "endpoints.json"
    document = json.loads(endpoints.read_text())
    for partition in document["partitions"]:
        partition["services"] = {name: one for name, one in partition["services"].items() if name in SERVICES}
    endpoints.write_text(json.dumps(document, separators=(",", ":")))


def compile_all(layer: Path) -> None:
    """Without bytecode each start would compile every module, for /opt is read-only.

    By hash and unchecked: zips lose the times of files.
    """
    is_compiled = compileall.compile_dir(
        layer,
        quiet=1,
        stripdir=str(layer.parent),
        prependdir=MOUNTED_AT,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    if not is_compiled:
        sys.exit("a module of the layer does not compile")


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
