"""What a newcomer sees when something is missing: one line each. Runs the scripts as `make` does, on copies."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The part of a fresh clone that set-up reads."""
    for name in ("Makefile", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("tools", "local", "requirements"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "demo"))
    (tmp_path / "layers" / "common").mkdir(parents=True)
    shutil.copy(ROOT / "layers" / "common" / "requirements.txt", tmp_path / "layers" / "common" / "requirements.txt")
    return tmp_path


def make(clone: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "PIP_"))}
    return run(["make", "--no-print-directory", *arguments], clone, inherited | environment)


def run(command: list[str], folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env=dict(environment), capture_output=True, text=True, check=False, timeout=60
    )


def words(ended: subprocess.CompletedProcess[str]) -> list[str]:
    """What was said on the error output, without make's own line."""
    return [line for line in ended.stderr.splitlines() if not line.startswith("make:")]


def test_make_alone_lists_every_target_that_people_call(clone: Path) -> None:
    listed = make(clone).stdout

    for target in ("run", "test", "check", "bench", "clean", "format"):
        assert f"  {target} " in listed


def test_a_missing_python_is_one_line(clone: Path) -> None:
    nothing = clone / "empty"
    nothing.mkdir()
    (nothing / "sh").symlink_to("/bin/sh")

    ended = run(
        ["/bin/sh", "tools/find_python.sh"], clone, {"PATH": str(nothing), "HOME": str(nothing), "PYENV_ROOT": "/none"}
    )

    assert ended.returncode == 1
    assert len(words(ended)) == 1
    assert words(ended)[0].startswith("Python 3.13 was not found.")


def test_another_python_is_not_taken_for_3_13(clone: Path) -> None:
    fake = clone / "bin"
    fake.mkdir()
    for name in ("python3.13", "python3", "python"):
        (fake / name).write_text("#!/bin/sh\nexit 1\n")
        (fake / name).chmod(0o755)
    environment = {"PATH": f"{fake}:/usr/bin:/bin", "HOME": str(fake), "PYENV_ROOT": "/none", "PYTHON": sys.executable}

    ended = run(["/bin/sh", "tools/find_python.sh"], clone, environment)

    assert Path(ended.stdout.strip()).resolve() == Path(sys.executable).resolve()


def test_no_network_is_one_line(clone: Path) -> None:
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}

    ended = make(
        clone,
        "set-up-local",
        PYTHON=sys.executable,
        PIP_CONFIG_FILE=os.devnull,
        PIP_NO_CACHE_DIR="1",
        PIP_RETRIES="0",
        **nowhere,
    )

    assert ended.returncode != 0
    assert len(words(ended)) == 1
    assert words(ended)[0].startswith("The packages could not be fetched: is there a network?")


def test_a_ready_environment_is_left_alone_and_a_changed_requirement_is_not(clone: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tools import set_up\n"
        "made = set_up.ENVIRONMENTS['local'].folder; (made / 'bin').mkdir(parents=True)\n"
        "(made / 'bin' / 'python').symlink_to(sys.executable); (made / 'pyvenv.cfg').write_text('version = 3.13.0')\n"
        "set_up._stamp('test').touch(); print(set_up._is_ready('local'), set_up._is_ready('test'))\n"
        "file = Path('layers/common/requirements.txt'); file.write_text(file.read_text() + 'x==1')\n"
        "print(set_up._is_ready('local'), set_up._is_ready('test'))\n"
    )

    ended = run([sys.executable, "-c", code], clone, os.environ)

    assert ended.stdout.split() == ["True", "True", "False", "False"], ended.stderr


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("RECADO_PORT", "eighty", "RECADO_PORT must be a port from 1024 to 65535, not 'eighty'."),
        ("RECADO_PORT", "80", "RECADO_PORT must be a port from 1024 to 65535, not '80'."),
        ("RECADO_PORT", "4580", "RECADO_PORT and RECADO_HANDSETS_PORT must differ."),
    ],
)
def test_a_port_that_cannot_be_is_one_line(variable: str, value: str, said: str) -> None:
    environment = {name: one for name, one in os.environ.items() if not name.startswith("RECADO_")}

    ended = run([sys.executable, "-m", "local.run"], ROOT, environment | {variable: value})

    assert (ended.returncode, words(ended)) == (1, [said])
