"""Makes the virtual environments: `python -m tools.set_up local|test|sam`. Installs only what has changed.

Runs on the bare CPython 3.13: standard library only. Says each failure in one line.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from local.progress import Progress

ROOT = Path(__file__).parent.parent
LOGS = ROOT / ".local" / "log"
NO_NETWORK = (
    "Failed to establish a new connection",
    "Temporary failure in name resolution",
    "Name or service not known",
    "Network is unreachable",
    "Could not find a version",
    "No matching distribution",
    "Connection refused",
    "Read timed out",
    "ConnectTimeoutError",
    "ProxyError",
)
PIP = ("-qq", "--disable-pip-version-check", "--no-input", "--retries", "2", "--timeout", "20")


@dataclass(frozen=True)
class Environment:
    folder: Path
    requirements: Path
    constraints: Path
    reads: tuple[Path, ...]  # what the requirements include: a change of these installs again
    needs_pip: bool  # inside; installing itself can use the pip of the Python that makes it


LAYER = ROOT / "layers" / "common" / "requirements.txt"
CONSTRAINTS = ROOT / "constraints.txt"
LOCAL = ROOT / "requirements" / "local.txt"
TEST = ROOT / "requirements" / "test.txt"
SAM = ROOT / "requirements" / "sam.txt"
SAM_CONSTRAINTS = ROOT / "requirements" / "sam-constraints.txt"

ENVIRONMENTS = {
    "local": Environment(ROOT / ".venv", LOCAL, CONSTRAINTS, (LOCAL, LAYER, CONSTRAINTS), needs_pip=False),
    "test": Environment(ROOT / ".venv", TEST, CONSTRAINTS, (TEST, LOCAL, LAYER, CONSTRAINTS), needs_pip=True),
    "sam": Environment(ROOT / ".venv-sam", SAM, SAM_CONSTRAINTS, (SAM, SAM_CONSTRAINTS), needs_pip=True),
}
INCLUDED = {"local": ("test",)}  # what is installed for the key is also there when its values are


class SetUpError(Exception):
    """The environment could not be made; the text is one line."""


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in ENVIRONMENTS]
    if unknown or not names:
        print(f"usage: python -m tools.set_up {'|'.join(ENVIRONMENTS)}", file=sys.stderr)
        return 2
    try:
        for name in names:
            set_up(name, Progress())
    except SetUpError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def set_up(name: str, progress: Progress) -> None:
    """Makes the environment what its requirements say. Raises SetUpError."""
    if _is_ready(name):
        return
    with _alone():  # two commands at once: the second waits, and finds it done
        if _is_ready(name):
            return
        _install(name, progress)


def _install(name: str, progress: Progress) -> None:
    environment = ENVIRONMENTS[name]
    shown = environment.folder.name
    progress.say(f"Installing what `{environment.requirements.relative_to(ROOT)}` lists into {shown} …")
    if not _is_python_3_13(environment.folder):
        with progress.step(f"virtual environment {shown}"):
            shutil.rmtree(environment.folder, ignore_errors=True)
            venv.create(environment.folder, symlinks=True, with_pip=False)
    if environment.needs_pip and not _has_pip(environment.folder):
        with progress.step(f"pip in {shown}"):
            _run([str(_python(environment.folder)), "-m", "ensurepip", "--default-pip"], "ensurepip")
    with progress.step("packages"):
        _run(_pip_command(environment), "pip")
    for stamp in environment.folder.glob(".requirements-*"):
        stamp.unlink()  # other packages than those a stamp of before speaks of
    _stamp(name).touch()


def _is_ready(name: str) -> bool:
    names = (name, *INCLUDED.get(name, ()))
    return any(_stamp(other).exists() for other in names) and _is_python_3_13(ENVIRONMENTS[name].folder)


def _stamp(name: str) -> Path:
    environment = ENVIRONMENTS[name]
    content = hashlib.sha256(b"".join(file.read_bytes() for file in environment.reads)).hexdigest()
    return environment.folder / f".requirements-{name}-{content[:20]}"


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


def _is_python_3_13(folder: Path) -> bool:
    """Also false when the Python that made it is gone."""
    settings = folder / "pyvenv.cfg"
    if not settings.is_file() or not _python(folder).exists():
        return False
    return any(line.replace(" ", "").startswith("version=3.13.") for line in settings.read_text().splitlines())


def _has_pip(folder: Path) -> bool:
    return any(folder.glob("lib/python3.13/site-packages/pip"))


def _pip_command(environment: Environment) -> list[str]:
    python = str(_python(environment.folder))
    if _has_pip(environment.folder):
        pip = [python, "-m", "pip"]
    elif importlib.util.find_spec("pip") is not None:
        pip = [sys.executable, "-m", "pip", "--python", python]  # saves the seconds that putting pip inside costs
    else:
        _run([python, "-m", "ensurepip", "--default-pip"], "ensurepip")
        pip = [python, "-m", "pip"]
    wanted = ["-r", str(environment.requirements), "-c", str(environment.constraints)]
    # Not compiled: most of it is never imported, and what is, compiles itself at the first start.
    return [*pip, "install", *PIP, "--no-compile", *wanted]


def _run(command: list[str], name: str) -> None:
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{name}.log"
    with log.open("wb") as out:
        ended = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False)
    if ended.returncode == 0:
        return
    said = log.read_text(errors="replace")
    if name == "ensurepip":
        raise SetUpError(
            "This Python 3.13 comes without pip: install its venv package (Debian: apt install python3.13-venv)."
        )
    if any(sign in said for sign in NO_NETWORK):
        raise SetUpError(
            f"The packages could not be fetched: is there a network? (pip's own words: {log.relative_to(ROOT)})"
        )
    last = next((line for line in reversed(said.splitlines()) if line.strip()), "it said nothing")
    raise SetUpError(f"pip failed: {last.strip()} (all of it: {log.relative_to(ROOT)})")


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    LOGS.mkdir(parents=True, exist_ok=True)
    with (LOGS / "set_up.lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.2)
            else:
                break
        yield


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
