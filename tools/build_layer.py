"""Builds the layer as `sam build` does, for this machine or another, into .build/layer, unless it is there already.

For tests and benches, which run it. Deploying to AWS needs nothing of this: there SAM CLI calls the same Makefile.
"""

import argparse
import fcntl
import hashlib
import platform
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "layers" / "common"
BUILT = ROOT / ".build" / "layer"
KEPT_BUILDS = 2  # the last one, and one that a process of before may still read
FINGERPRINT_LENGTH = 20


class LayerNotBuilt(Exception):
    """The text is one line for the person at the terminal."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Builds the layer and prints where it is.")
    parser.add_argument("--platform", default=host_platform(), help="pip's name of it (default: this machine)")
    try:
        print(build_layer(parser.parse_args().platform))
    except LayerNotBuilt as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def host_platform() -> str:
    """This machine as pip names it, for wheels that it can load."""
    if sys.platform == "linux":
        return f"manylinux2014_{platform.machine()}"
    return sysconfig.get_platform().replace("-", "_").replace(".", "_")


def build_layer(for_platform: str = "") -> Path:
    """The folder that Lambda mounts as /opt/python, built for a platform. Raises LayerNotBuilt."""
    wanted = for_platform or host_platform()
    home = BUILT / wanted
    home.mkdir(parents=True, exist_ok=True)
    folder = home / _fingerprint()
    with (home / "lock").open("w") as lock:  # of several test processes one builds, the others wait
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _make(wanted, folder)
            _forget_old(home)
    return folder / "python"


def _make(wanted: str, folder: Path) -> None:
    unfinished = folder.with_name("unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    settings = [f"ARTIFACTS_DIR={unfinished}", f"LAYER_PLATFORM={wanted}", f"PYTHON={sys.executable}"]
    made = subprocess.run(
        ["make", "--no-print-directory", "-C", str(SOURCE), "build-Common", *settings],  # noqa: S607  # make is on the PATH
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        said = [line for line in made.stderr.splitlines() if line.strip() and not line.startswith("make")]
        last = said[-1].strip() if said else "make said nothing"
        raise LayerNotBuilt(f"The layer could not be built; if packages are missing, is there a network? ({last})")
    unfinished.rename(folder)


def _fingerprint() -> str:
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted(SOURCE.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(str(path.relative_to(SOURCE)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:FINGERPRINT_LENGTH]


def _forget_old(home: Path) -> None:
    builds = sorted((path for path in home.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    for old in builds[:-KEPT_BUILDS]:
        shutil.rmtree(old)


if __name__ == "__main__":
    sys.exit(main())
