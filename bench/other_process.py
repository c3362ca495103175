"""The other process of a bench: a server on loopback whose time is not the bench's. It ends with the block."""

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PORT = re.compile(r"(?:port )?(\d+)\n")  # what each says when it listens; a line before it may be somebody else's


@contextlib.contextmanager
def server(module: str, *words: str, given: str = "") -> Iterator[str]:
    """The address of `python -m module words`; `given` is said to it first, as one line."""
    with subprocess.Popen(
        [sys.executable, "-m", module, *words],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError(f"{module} has no pipes")
        if given:
            process.stdin.write(given + "\n")
            process.stdin.flush()
        port = next((found[1] for line in process.stdout if (found := PORT.fullmatch(line))), None)
        if port is None:
            raise RuntimeError(f"{module} did not start")
        yield f"http://127.0.0.1:{port}"
        process.stdin.close()
