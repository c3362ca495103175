"""The AWS emulator of this machine (MiniStack), as a child process on loopback.

Starts it with a clean environment, waits until it answers, and stops it so that it writes its state.
Never runs another version than the pinned one: each has other gaps, and ours are written down.
"""

import contextlib
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from importlib import metadata
from pathlib import Path

PINNED_VERSION = "1.5.33"
REGION = "us-east-1"
HOST = "127.0.0.1"
START_SECONDS_MAX = 30
STOP_SECONDS_MAX = 15  # it writes its state only on a clean stop, and needs this long for a large one
POLL_SECONDS = 0.03
CHILD = Path(__file__).with_name("emulator_child.py")


class EmulatorError(Exception):
    """The emulator cannot be used; the text is one line for the person at the terminal."""


@dataclass(frozen=True)
class Emulator:
    port: int
    state_dir: Path
    process: subprocess.Popen[bytes]

    @property
    def endpoint_url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def api_url(self) -> str:
        """The literal address, never `localhost`: the custom domain of the API is the address."""
        return f"{self.endpoint_url}/v1"


def check_version() -> None:
    try:
        installed = metadata.version("ministack")
    except metadata.PackageNotFoundError:
        raise EmulatorError("The emulator (ministack) is not installed: run `make run`, which installs it.") from None
    if installed != PINNED_VERSION:
        raise EmulatorError(f"The emulator must be ministack {PINNED_VERSION}, but {installed} is installed.")


def is_port_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As a server would: a connection that is only closing does not count as busy.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def check_port(port: int, variable: str) -> None:
    """Raises the one line that says which port is busy and which variable moves it."""
    if not is_port_free(port):
        raise EmulatorError(f"Port {port} is busy: stop what uses it, or choose another with {variable}={port + 1}.")


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def start(port: int, state_dir: Path, log_file: Path | None = None) -> Emulator:
    """Starts it and returns when it answers. It finds what `state_dir` holds from the last clean stop."""
    check_version()
    check_port(port, "RECADO_PORT")
    state_dir = state_dir.resolve()
    shutil.rmtree(state_dir / "tmp", ignore_errors=True)  # unpacked functions of a run that was killed
    (state_dir / "tmp").mkdir(parents=True)
    _move_to_port(state_dir, port)
    log_file = log_file or state_dir / "emulator.log"
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", str(CHILD)],
            cwd=state_dir,
            env=_clean_environment(port, state_dir),
            stdin=subprocess.PIPE,  # it stops when this end of the pipe is gone, however we ended
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C at the terminal reaches us only, and we stop it in order
        )
    emulator = Emulator(port, state_dir, process)
    try:
        _wait_until_it_answers(emulator, log_file)
    except BaseException:  # whatever interrupts the wait, also Ctrl-C: no process is left behind
        stop(emulator)
        raise
    return emulator


def stop(emulator: Emulator) -> bool:
    """Ends it and everything it started. Says whether it stopped by itself, and so wrote its state."""
    stopped_cleanly = True
    if emulator.process.poll() is None:
        emulator.process.send_signal(signal.SIGTERM)
        try:
            emulator.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            stopped_cleanly = False
    with contextlib.suppress(ProcessLookupError):
        os.killpg(emulator.process.pid, signal.SIGKILL)  # warm functions that outlived it
    emulator.process.wait()
    if emulator.process.stdin is not None:
        emulator.process.stdin.close()
    shutil.rmtree(emulator.state_dir / "tmp", ignore_errors=True)
    return stopped_cleanly


@contextlib.contextmanager
def emulator(port: int, state_dir: Path) -> Iterator[Emulator]:
    """For tests: an emulator that lives as long as the block."""
    started = start(port, state_dir)
    try:
        yield started
    finally:
        stop(started)


def _clean_environment(port: int, state_dir: Path) -> dict[str, str]:
    """Nothing of the caller's but PATH and HOME: what the emulator has, the functions see.

    A host's AWS_ENDPOINT_URL would beat the injected one, and a profile in ~/.aws may name another region or endpoint.
    """
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.environ.get("HOME", str(state_dir)),
        "TMPDIR": str(state_dir / "tmp"),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": HOST,
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LAMBDA_WARM_TTL_SECONDS": "30",
        "PERSIST_STATE": "1",
        "STATE_DIR": str(state_dir),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(state_dir / "s3"),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


def _move_to_port(state_dir: Path, port: int) -> None:
    """Saved queues are named by addresses with the port they were made on; on another one nobody would poll them."""
    memory = state_dir / "port"
    before = memory.read_text() if memory.exists() else str(port)
    if before != str(port):
        address = re.compile(rf"(localhost|127\.0\.0\.1):{before}\b")
        for file in state_dir.glob("*.json"):
            saved = file.read_text(encoding="utf-8")
            moved = address.sub(rf"\g<1>:{port}", saved)
            if moved != saved:
                file.write_text(moved, encoding="utf-8")
    memory.write_text(str(port))


def _wait_until_it_answers(emulator: Emulator, log_file: Path) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        if emulator.process.poll() is not None:
            raise EmulatorError(f"The emulator ended while starting; its last words are in {log_file}.")
        if _answers(emulator.port):
            return
        time.sleep(POLL_SECONDS)
    raise EmulatorError(f"The emulator did not answer within {START_SECONDS_MAX} s; see {log_file}.")


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", "/_ministack/health")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
