"""`python -m local.portal`: runs examples/portal against `make run`, as the demo school's own, and sets its webhook.

It must never be more than a demo: a real portal was given its key once, and keeps it.
"""

import argparse
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from local.api import Api, Key
from local.aws import Aws
from local.demo_school import KEY_ID, SCHOOL_ID
from local.emulator import HOST
from local.run import FOLDER, ROOT, STACK  # this also puts recado where it can be imported
from recado.rules.signatures import portal_key_secret
from tools import bootstrap

APP = ROOT / "examples" / "portal" / "app.py"
EVENTS = (
    "message.sent",
    "message.recipients_changed",
    "reply.received",
    "opt_out.changed",
    "balance.low",
    "import.ready",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="local.portal", description="Runs the reference portal for the demo school.")
    parser.add_argument("--port", type=int, default=5000)
    port = parser.parse_args().port
    emulator = f"http://{HOST}:{os.environ.get('RECADO_PORT') or 4566}"
    try:
        master = bootstrap.read_master_secret(Aws(emulator).client("ssm"), STACK)
    except (BotoCoreError, ClientError):
        print("recado is not running here: `make run` first (and the same RECADO_PORT).", file=sys.stderr)
        return 1
    key = Key(SCHOOL_ID, KEY_ID, portal_key_secret(master, SCHOOL_ID, KEY_ID))
    api, secret_file = Api(f"{emulator}/v1"), FOLDER / "portal-webhook.secret"
    set_webhook(api, key, f"http://{HOST}:{port}/recado", secret_file)
    print(f"The portal is at http://{HOST}:{port}/ and is told at /recado. Ctrl-C stops it.", flush=True)
    try:
        return subprocess.run(command(), env=environment(api, key, port, secret_file), check=False).returncode
    except KeyboardInterrupt:
        return 0


def command() -> list[str]:
    return [sys.executable, str(APP)]


def environment(api: Api, key: Key, port: int, secret_file: Path) -> dict[str, str]:
    """What examples/portal/app.py reads."""
    return {
        "PATH": os.environ["PATH"],
        "PORT": str(port),
        "RECADO_API": api.base_url,
        "RECADO_SCHOOL": key.school_id,
        "RECADO_KEY_ID": key.key_id,
        "RECADO_KEY": key.secret,
        "RECADO_WEBHOOK_SECRET_FILE": str(secret_file),
    }


def set_webhook(api: Api, key: Key, url: str, secret_file: Path) -> None:
    """The school's webhook, anew, so that its secret is shown; kept in a file nobody else reads."""
    token = key.token("director", "directora", datetime.now(UTC))
    remove_webhook(api, key)
    shown = api.need("PUT", "/portal-webhook", token, {"url": url, "events": list(EVENTS)})
    secret_file.touch(mode=0o600)
    secret_file.write_text(shown["secret"])


def remove_webhook(api: Api, key: Key) -> None:
    """Whether or not there is one."""
    api.call("DELETE", "/portal-webhook", key.token("director", "directora", datetime.now(UTC)))


if __name__ == "__main__":
    sys.exit(main())
