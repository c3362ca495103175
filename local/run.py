"""`make run`: brings the whole stack up on this machine, says what to try, and takes everything down again.

Steps that do not wait for each other run at the same time. A second start finds the data of the first in .local.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from local import emulator
from local.emulator import HOST, Emulator, EmulatorError
from local.progress import Progress, seconds_since_start

if TYPE_CHECKING:  # they read boto3, which takes as long as the emulator takes to start: see _bring_up
    from local.aws import Aws
    from tools.bootstrap import OperatorKey
    from tools.publish_console import ConsoleSettings

ROOT = Path(__file__).parent.parent
LAYER = ROOT / "layers" / "common" / "python"
sys.path.insert(0, str(LAYER))  # the rules that derive secrets and read rosters
FOLDER = Path(os.environ.get("RECADO_FOLDER") or ROOT / ".local").resolve()  # everything that `make clean` forgets
LOGS = FOLDER / "log"
STACK = "recado"
CARRIER = "signed_webhook"
HEAVY = (
    "local.aws",
    "local.deploy",
    "local.api",
    "local.demo_school",
    "local.logs",
    "tools.bootstrap",
    "tools.publish_console",
)
PORT = 4566  # the emulator's own default
PORTAL_PORT = 4590  # examples/portal, which may embed the pages
PORTS_ALLOWED = range(1024, 65536)
HANDSETS_START_SECONDS_MAX = 15
HANDSETS_STOP_SECONDS_MAX = 5
LOOK_SECONDS = 0.5


class RunError(Exception):
    """It cannot come up, or did not stay up; the text is one line."""


class Stopped(BaseException):
    """Ctrl-C, SIGTERM or a closed terminal. Not an error: it passes every `except Exception`."""


@dataclass(frozen=True)
class Ports:
    api: int
    handsets: int


@dataclass(frozen=True)
class Up:
    """What runs, and what there is to say about it."""

    emulator: Emulator
    handsets: subprocess.Popen[bytes]
    handsets_url: str
    director_token: str


def main() -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop_once)
    progress = Progress()
    try:
        with ExitStack() as taken_down:  # in reverse order, however it ends
            up = _bring_up(_read_ports(), progress, taken_down)
            progress.say(_screen(up))
            _watch(up)
    except Stopped:
        return 0
    except (EmulatorError, RunError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _bring_up(ports: Ports, progress: Progress, taken_down: ExitStack) -> Up:
    threads = ThreadPoolExecutor(8, thread_name_prefix="run")
    taken_down.callback(threads.shutdown, wait=False, cancel_futures=True)
    emulator.check_version()
    emulator.check_port(ports.api, "RECADO_PORT")
    emulator.check_port(ports.handsets, "RECADO_HANDSETS_PORT")

    # 1. The emulator; what reads boto3 is imported meanwhile.
    imports = threads.submit(lambda: [import_module(name) for name in HEAVY])
    with progress.step(f"emulator on port {ports.api}"):
        running = emulator.start(ports.api, FOLDER / "state", LOGS / "emulator.log")
        taken_down.callback(_stop_emulator, running, progress)
        imports.result()
    from botocore.exceptions import BotoCoreError, ClientError

    from local.api import ApiError
    from local.deploy import DeployError
    from tools.bootstrap import BootstrapError

    try:
        return _fill(running, ports, progress, taken_down, threads)
    except (ApiError, BootstrapError, DeployError, BotoCoreError, ClientError) as error:
        raise RunError(f"recado did not come up: {error}") from error


def _fill(
    running: Emulator, ports: Ports, progress: Progress, taken_down: ExitStack, threads: ThreadPoolExecutor
) -> Up:
    from local.aws import Aws
    from local.deploy import deploy, physical_id
    from local.logs import LogTail
    from tools import bootstrap
    from tools.publish_console import publish

    # 2. The master secret: the handsets' signatures hang from it, so they start while the stack is deployed.
    aws = Aws(running.endpoint_url)
    began_ms = int(time.time() * 1000)
    bootstrap.create_master_secret(aws.client("ssm"), STACK)
    master = bootstrap.read_master_secret(aws.client("ssm"), STACK)
    handsets_url = f"http://{HOST}:{ports.handsets}"
    handsets = _start_handsets(running, ports, master)
    taken_down.callback(_stop_handsets, handsets)
    waiting = threads.submit(_wait_for_handsets, handsets, ports, progress)

    # 3. The stack, and the key that the platform's staff sign with.
    with progress.step("deploy") as notes:
        outputs = deploy(ROOT / "template.yaml", STACK, stack_parameters(running, handsets_url), aws, notes.append)
    logs = LogTail(aws, physical_id(aws, STACK, "FunctionLogs"), LOGS / "functions.log", began_ms)
    logs.start()
    taken_down.callback(logs.stop)
    operator = bootstrap.create_operator_key(aws.session, STACK, running.endpoint_url)

    with progress.step("pages"):
        publish(aws.client("s3"), outputs["ConsoleBucket"], console_settings(handsets_url, outputs["LiveUrl"]))

    # 4. The demo school, through the same doors as a real one.
    with progress.step("demo school") as notes:
        token = _load_school(running, aws, outputs["ImportBucket"], operator, master, notes)
    waiting.result()
    return Up(running, handsets, handsets_url, token)


def console_settings(handsets_url: str, live_url: str = "") -> ConsoleSettings:
    """What the pages are told on this machine: the demo school's portal is at the handsets."""
    settings = import_module("tools.publish_console").ConsoleSettings
    parents = (f"http://{HOST}:{PORTAL_PORT}",)
    return settings(f"{handsets_url}/token", parents, demo=True, live_url=live_url)  # type: ignore[no-any-return]


def stack_parameters(running: Emulator, handsets_url: str) -> dict[str, str]:
    """What template.yaml is told on this machine: the real code with shorter waits, and our carrier."""
    return {
        "IsLocal": "true",
        "AwsEndpointUrl": running.endpoint_url,
        "Carrier": CARRIER,
        "CarrierUrl": f"{handsets_url}/send",
        "CarrierDedupeHours": "0",
        "SnsDeliveryLogs": "made",  # the handsets are SNS's, too
        "TokenLifeSecondsMax": str(12 * 3600),
        "QuarantineSeconds": "3600",
        # Everybody is loopback here, one source: its caps are everybody's.
        "HandsetTextsPerHourMax": "600",
        "SourceSessionsPerHourMax": "10000",
        "SourceRecipientsPerHourMax": "100000",
        "SourceLinkRecipientsPerHourMax": "10000",
        "SameTextRecipientsPerHourMax": "100000",
        "RecipientsPerHourMax": "1000000",
        "SessionTextsMax": "1000",
        "SessionsPerSourceAndHandset": "4",
        "LiveUrl": f"{running.endpoint_url.replace('http', 'ws', 1)}/_aws/execute-api/sockets/live",
    }


# --- the handsets ---------------------------------------------------------------------------------------------


def _start_handsets(running: Emulator, ports: Ports, master: bytes) -> subprocess.Popen[bytes]:
    signatures, demo = import_module("recado.rules.signatures"), import_module("local.demo_school")
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": str(LAYER),
        "RECADO_API_URL": running.api_url,
        "RECADO_AWS_ENDPOINT_URL": running.endpoint_url,
        "RECADO_STACK": STACK,
        "RECADO_HANDSETS_PORT": str(ports.handsets),
        "RECADO_HANDSETS_STATE": str(FOLDER / "handsets"),
        "RECADO_HANDSETS_NAMES": str(FOLDER / "handsets" / "names.json"),
        "RECADO_TO_CARRIER_SECRET": signatures.webhook_secret(master, CARRIER, "to_carrier"),
        "RECADO_FROM_CARRIER_SECRET": signatures.webhook_secret(master, CARRIER, "from_carrier"),
        "RECADO_PORTAL_KEY": f"{demo.SCHOOL_ID}:{demo.KEY_ID}:"
        + signatures.portal_key_secret(master, demo.SCHOOL_ID, demo.KEY_ID),
        "RECADO_PAGE_ORIGIN": running.endpoint_url,
    }
    _write_names(FOLDER / "handsets" / "names.json")
    with (LOGS / "handsets.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "local.handsets", "--with-parent"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _write_names(file: Path) -> None:
    if file.exists():
        return
    names = import_module("local.demo_school").names_by_number(datetime.now(UTC).date())
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(names, ensure_ascii=False), encoding="utf-8")


def _wait_for_handsets(handsets: subprocess.Popen[bytes], ports: Ports, progress: Progress) -> None:
    with progress.step(f"handsets on port {ports.handsets}"):
        deadline = time.monotonic() + HANDSETS_START_SECONDS_MAX
        while not _answers(ports.handsets):
            if handsets.poll() is not None or time.monotonic() > deadline:
                raise RunError(f"The handsets did not start; see {LOGS}/handsets.log.")
            time.sleep(0.05)


def _answers(port: int) -> bool:
    connection = HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _stop_handsets(handsets: subprocess.Popen[bytes]) -> None:
    handsets.terminate()
    try:
        handsets.wait(HANDSETS_STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        handsets.kill()
        handsets.wait()


# --- the data -------------------------------------------------------------------------------------------------


def _load_school(
    running: Emulator, aws: Aws, import_bucket: str, operator: OperatorKey, master: bytes, notes: list[str]
) -> str:
    from local.api import Api, Key
    from local.demo_school import DemoSchool

    signatures = import_module("recado.rules.signatures")
    school = DemoSchool(
        api=Api(running.api_url),
        aws=aws,
        operator=Key("platform", operator.key_id, operator.secret),
        import_bucket=import_bucket,
        marker=FOLDER / "demo.loaded",
        secret_of=lambda school_id, key_id: signatures.portal_key_secret(master, school_id, key_id),
        clock=lambda: datetime.now(UTC),
    )
    key, people = school.load()
    notes.append(f"{people} people")
    token = school.director_token(key)
    file = FOLDER / "director.token"
    file.touch(mode=0o600)
    file.write_text(token)
    return token


# --- the person at the terminal -------------------------------------------------------------------------------


def _screen(up: Up) -> str:
    api = up.emulator.api_url
    pages = f"{up.emulator.endpoint_url}/console"
    port = "" if up.emulator.port == PORT else f"RECADO_PORT={up.emulator.port} "
    return f"""
recado is up after {seconds_since_start():.0f} s.

  Console    {pages}/index.html   (enter as a director, a teacher, a guardian)
  On the web {pages}/interactive.html   (write to handsets, without an account)
  API        {api}
  Docs       {api}/docs   ({api}/openapi.json)
  Handsets   {up.handsets_url}/   (watch texts arrive, answer them)
  Logs       {LOGS}/functions.log   (emulator.log says why a function does not start)

A director's token of Escuela Los Aromos, good for 12 hours (also in {FOLDER}/director.token):

export TOKEN={up.director_token}

Anybody else's: a teacher and a guardian have their own record (/me) and inbox, and nothing else. Hugo
Ibáñez (guardian-003) has a number that cannot be used, Rosa Catrileo (guardian-001) gets no SMS, Paola Sepúlveda
(guardian-007) has two children.

{port}.venv/bin/python -m local.token teacher
{port}.venv/bin/python -m local.token guardian --person guardian-003

Try, in another terminal:

curl -s {api}/groups -H "Authorization: Bearer $TOKEN"

curl -s {api}/messages/estimate -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\
  -d '{{"text": "Reunión de apoderados mañana a las 19:00.", "category": "meeting",
       "audience": {{"who": ["guardians"], "groups": ["course-7b"]}}}}'

curl -s {api}/messages -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\
  -H "Idempotency-Key: $(date +%s)" \\
  -d '{{"text": "Reunión de apoderados mañana a las 19:00.", "category": "meeting",
       "audience": {{"who": ["guardians"], "groups": ["course-7b"]}}, "send": "now"}}'

curl -s {api}/replies -H "Authorization: Bearer $TOKEN"

Ctrl-C stops everything; the data stays for the next `make run`, and `make clean` forgets it."""


def _watch(up: Up) -> None:
    """Until Ctrl-C, or until something that must run does not."""
    while True:
        if up.emulator.process.poll() is not None:
            raise RunError(f"The emulator ended by itself; see {LOGS}/emulator.log.")
        if up.handsets.poll() is not None:
            raise RunError(f"The handsets ended by themselves; see {LOGS}/handsets.log.")
        time.sleep(LOOK_SECONDS)


def _stop_emulator(running: Emulator, progress: Progress) -> None:
    progress.say()
    with progress.step("stopped, data saved" if running.process.poll() is None else "stopped"):
        is_clean = emulator.stop(running)
    if not is_clean:
        progress.say("The emulator did not stop in time: what was done since its last clean stop is lost.")


def _stop_once(_number: int, _frame: FrameType | None) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not interrupt the saving
    raise Stopped


def _read_ports() -> Ports:
    ports = Ports(_read_port("RECADO_PORT", PORT), _read_port("RECADO_HANDSETS_PORT", 4580))
    if ports.api == ports.handsets:
        raise RunError("RECADO_PORT and RECADO_HANDSETS_PORT must differ.")
    return ports


def _read_port(variable: str, default: int) -> int:
    said = os.environ.get(variable) or str(default)
    if not said.isdecimal() or int(said) not in PORTS_ALLOWED:
        raise RunError(f"{variable} must be a port from {PORTS_ALLOWED[0]} to {PORTS_ALLOWED[-1]}, not {said!r}.")
    return int(said)


if __name__ == "__main__":
    sys.exit(main())
