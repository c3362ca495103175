"""`python -m local.portal`: makes the demo school's webhook, and writes what its portal needs to .local/portal.env.

For trying examples/portal while `make run` runs. A real school gets its key from support, and makes its webhook itself.
"""

import argparse
import os
import shlex
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from local.api import Api, ApiError, Key
from local.aws import Aws
from local.demo_school import KEY_ID, SCHOOL_ID
from local.emulator import HOST
from local.run import FOLDER, PORTAL_PORT, STACK  # this also puts recado where it can be imported
from recado.rules.signatures import portal_key_secret
from tools import bootstrap


def main() -> int:
    parser = argparse.ArgumentParser(prog="local.portal", description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, default=PORTAL_PORT, help=f"where the portal listens ({PORTAL_PORT})")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where portal.env is written")
    asked = parser.parse_args()
    api_url = f"http://{HOST}:{os.environ.get('RECADO_PORT') or 4566}"
    try:
        master = bootstrap.read_master_secret(Aws(api_url).client("ssm"), STACK)
    except (BotoCoreError, ClientError):
        print("recado is not running here: `make run` first (and the same RECADO_PORT).", file=sys.stderr)
        return 1
    key = Key(SCHOOL_ID, KEY_ID, portal_key_secret(master, SCHOOL_ID, KEY_ID))
    try:
        webhook_secret = make_webhook(Api(f"{api_url}/v1"), key, f"http://{HOST}:{asked.port}/recado")
    except ApiError as error:
        print(error, file=sys.stderr)
        return 1
    file: Path = asked.folder / "portal.env"
    file.touch(mode=0o600)
    settings = {
        "RECADO_API": f"{api_url}/v1",
        "RECADO_PAGES": f"{api_url}/console",
        "RECADO_SCHOOL": SCHOOL_ID,
        "RECADO_KEY_ID": KEY_ID,
        "RECADO_KEY_SECRET": key.secret,
        "RECADO_WEBHOOK_SECRET": webhook_secret,
        "PORTAL_PORT": str(asked.port),
        "PORTAL_DATABASE": str(asked.folder / "portal.sqlite"),
    }
    file.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in settings.items()))
    print(f"Written to {file}; the portal is told at http://{HOST}:{asked.port}/recado.")
    return 0


def make_webhook(api: Api, key: Key, url: str) -> str:
    """The secret of the school's webhook. Where there was one already its secret is not told again: a new one is."""
    token = key.token("director", "local.portal", datetime.now(UTC))
    made = api.need("PUT", "/portal-webhook", token, {"url": url}, idempotency_key=f"portal-{uuid.uuid4()}")
    if made["secret"] is None:
        api.need("POST", "/portal-webhook/enable", token)
        overlap = {"overlap_seconds": 0}
        made = api.need("POST", "/portal-webhook/secret", token, overlap, idempotency_key=f"portal-{uuid.uuid4()}")
    secret: str = made["secret"]
    return secret


if __name__ == "__main__":
    sys.exit(main())
