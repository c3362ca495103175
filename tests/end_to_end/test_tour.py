"""The commands of the README and the guides, in order, in one shell, against a whole stack.

What stands behind `# →` must be in the answer, piece by piece in that order; after `after a moment:` it is asked again.
"""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.emulator import REGION
from tests.end_to_end.conftest import Stack

ROOT = Path(__file__).parent.parent.parent
FENCE = re.compile(r"^```sh (?P<kind>[a-z]+)\n(?P<body>.*?)^```", re.MULTILINE | re.DOTALL)
EXPECTED = "# → "
LATER = "after a moment: "
MOMENT_SECONDS = 40.0
ASK_AGAIN_SECONDS = 0.5
SHELL_SECONDS_MAX = 180.0
END = "--- end of the answer ---"


@dataclass(frozen=True)
class Command:
    text: str
    expected: tuple[str, ...]
    may_take_a_moment: bool


def commands(document: str, kind: str) -> list[Command]:
    """A document's commands of one kind of fence: parts between blank lines, with what is said to come of them."""
    bodies = [found["body"] for found in FENCE.finditer((ROOT / document).read_text()) if found["kind"] == kind]
    return [_command(part) for body in bodies for part in body.strip().split("\n\n")]


def _command(part: str) -> Command:
    lines = part.splitlines()
    said = [line.removeprefix(EXPECTED) for line in lines if line.startswith(EXPECTED)]
    text = "\n".join(line for line in lines if not line.startswith(EXPECTED))
    pieces = [piece.strip() for one in said for piece in one.removeprefix(LATER).split("…")]
    return Command(text, tuple(pieces), any(one.startswith(LATER) for one in said))


class Shell:
    """One shell for the whole tour, so that a variable set by one command is there in the next."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, text: str) -> str:
        """What a command prints. Raises EOFError when the shell has ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{text}\nprintf '\\n%s\\n' '{END}'\n")
        self._process.stdin.flush()
        printed: list[str] = []
        for line in self._process.stdout:
            if line.strip() == END:
                return "".join(printed)
            printed.append(line)
        raise EOFError("the shell ended, or was too slow")


@contextmanager
def shell(environment: dict[str, str]) -> Iterator[Shell]:
    process = subprocess.Popen(
        ["bash", "--noprofile", "--norc"],  # noqa: S607  # the reader's own, wherever it is
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    watchdog = threading.Timer(SHELL_SECONDS_MAX, process.kill)
    watchdog.start()
    try:
        yield Shell(process)
    finally:
        watchdog.cancel()
        process.kill()
        process.communicate()


def answer_of(command: Command, here: Shell) -> str:
    """What the command prints, asked again for a moment where the README says that it may take one."""
    deadline = time.monotonic() + (MOMENT_SECONDS if command.may_take_a_moment else 0)
    while True:
        printed = as_written(here.run(command.text))
        if missing_piece(command, printed) is None or time.monotonic() >= deadline:
            return printed
        time.sleep(ASK_AGAIN_SECONDS)


def as_written(printed: str) -> str:
    """JSON may write a letter as \\u00b0: the README shows what is meant."""
    return re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), printed)


def missing_piece(command: Command, printed: str) -> str | None:
    """The first piece that is not in the answer, after those before it."""
    at = 0
    for piece in command.expected:
        found = printed.find(piece, at)
        if found < 0:
            return piece
        at = found + len(piece)
    return None


def on_this_stack(text: str, stack: Stack, token_file: Path) -> str:
    """The README's addresses and files as they are here."""
    changes = {
        "http://127.0.0.1:4566/v1": stack.api.base_url,
        "http://127.0.0.1:4566": stack.emulator.endpoint_url,
        "http://127.0.0.1:4580": stack.handsets.url,
        ".local/director.token": str(token_file),
        ".venv/bin/python": sys.executable,
    }
    for written, here in changes.items():
        text = text.replace(written, here)
    return text


def what_goes_wrong(tour: list[Command], here: Shell, stack: Stack, token_file: Path) -> list[tuple[str, str, str]]:
    """Each command whose answer lacks a piece: the command, the piece, the answer."""
    wrong = []
    for command in tour:
        text = on_this_stack(command.text, stack, token_file)
        printed = answer_of(Command(text, command.expected, command.may_take_a_moment), here)
        missing = missing_piece(command, printed)
        if missing is not None:
            wrong.append((command.text, missing, printed[-2000:]))
    return wrong


def test_the_readmes_tour_does_what_it_says(stack: Stack, tmp_path: Path) -> None:
    token_file = tmp_path / "director.token"
    token_file.write_text(stack.token())
    tour = commands("README.md", "tour")

    with shell({"RECADO_PORT": str(stack.emulator.port)}) as here:
        wrong = what_goes_wrong(tour, here, stack, token_file)

    assert wrong == []
    assert sum(len(command.expected) for command in tour) > 20, "the tour says what comes of its commands"


def test_the_guide_for_portals_does_what_it_says(stack: Stack, tmp_path: Path) -> None:
    guide = commands("docs/portals.md", "portal")

    with shell({"RECADO_PORT": str(stack.emulator.port)}) as here:
        wrong = what_goes_wrong(guide, here, stack, tmp_path)

    assert wrong == []
    assert sum(len(command.expected) for command in guide) > 5


def test_the_first_school_is_made_as_the_guide_says(stack: Stack, tmp_path: Path) -> None:
    guide = commands("docs/deploying.md", "school")

    with shell({"API": stack.api.base_url, "OPERATOR_SECRET": stack.operator.secret}) as here:
        wrong = what_goes_wrong(guide, here, stack, tmp_path)

    assert wrong == []
    assert len(guide) == 5


def test_a_carriers_secrets_are_read_out_as_the_guide_says(stack: Stack, tmp_path: Path) -> None:
    (command,) = commands("docs/deploying.md", "secrets")
    endpoint = {"AWS_ENDPOINT_URL": stack.emulator.endpoint_url, "AWS_DEFAULT_REGION": REGION}
    credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}

    with shell(endpoint | credentials) as here:
        printed = here.run(on_this_stack(command.text, stack, tmp_path))

    assert re.fullmatch(r"to_carrier whsec_\S{44}\nfrom_carrier whsec_\S{44}", printed.strip())


def test_sam_local_gets_the_variables_of_the_deployed_function(stack: Stack, tmp_path: Path) -> None:
    (command,) = commands("README.md", "env")
    file = tmp_path / "env.json"

    with shell({}) as here:
        printed = here.run(on_this_stack(command.text, stack, tmp_path).replace(".local/env.json", str(file)))

    assert printed.strip() == ""
    variables = json.loads(file.read_text())["Parameters"]
    assert variables["AWS_ENDPOINT_URL"] == stack.emulator.endpoint_url
    assert stack.aws.client("dynamodb").describe_table(TableName=variables["MESSAGES_TABLE"])
