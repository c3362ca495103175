"""`make run` as a newcomer meets it: it comes up, says what to try, Ctrl-C takes it down, its data is there again."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local import emulator
from local.api import Api

ROOT = Path(__file__).parent.parent.parent
UP_SECONDS_MAX = 120  # then it hangs
DOWN_SECONDS_MAX = 20


@contextmanager
def make_run(folder: Path, stopped_by: signal.Signals) -> Iterator[tuple[str, list[str]]]:
    """Runs it until the block ends. Gives what it said when it was up; what it says later is added to the list."""
    ports = {"RECADO_PORT": str(emulator.free_port()), "RECADO_HANDSETS_PORT": str(emulator.free_port())}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "local.run"],
        cwd=ROOT,
        env=environment | ports | {"RECADO_FOLDER": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    said: list[str] = []
    later: list[str] = []
    too_long = threading.Timer(UP_SECONDS_MAX, process.kill)
    too_long.start()
    try:
        for line in process.stdout:
            said.append(line)
            if line.startswith("Ctrl-C stops"):
                break
        yield "".join(said), later
        process.send_signal(stopped_by)
        later.extend(process.stdout)
        assert process.wait(DOWN_SECONDS_MAX) == 0
        assert all(emulator.is_port_free(int(port)) for port in ports.values())
    finally:
        too_long.cancel()
        process.kill()
        process.wait()


def found(said: str, pattern: str) -> str:
    match = re.search(pattern, said)
    assert match is not None, said
    return match[1]


def test_it_comes_up_stops_with_its_data_and_finds_it_again(tmp_path: Path) -> None:
    with make_run(tmp_path, signal.SIGINT) as (said, later):
        api = Api(found(said, r"API\s+(http://127\.0\.0\.1:\d+/v1)"))
        token = found(said, r"export TOKEN=(\S+)")
        body = {"text": "Hola", "category": "meeting", "audience": {"who": ["guardians"], "groups": ["course-7b"]}}
        draft = api.need("POST", "/messages", token, body, idempotency_key="draft-1")
        handsets = Api(found(said, r"Handsets\s+(http://127\.0\.0\.1:\d+)/"))
        assert handsets.need("GET", "/health")["status"] == "ok"
    assert "stopped, data saved" in "".join(later)

    with make_run(tmp_path, signal.SIGTERM) as (said, later):
        api = Api(found(said, r"API\s+(http://127\.0\.0\.1:\d+/v1)"))
        again = api.need("GET", f"/messages/{draft['id']}", found(said, r"export TOKEN=(\S+)"))

        assert (again["text"], again["state"]) == ("Hola", "draft")
        assert "people" in said
    assert "stopped, data saved" in "".join(later)
    assert (tmp_path / "log" / "functions.log").stat().st_size > 0
