"""`python -m local.token teacher`: a token of the demo school, as its portal signs them. For trying things by hand.

Works while `make run` does. It must never be more than a demo: a real portal has its key's secret, not the master's.
"""

import argparse
import os
import sys
from datetime import UTC, datetime

from botocore.exceptions import BotoCoreError, ClientError

from local.api import Key
from local.aws import Aws
from local.demo_school import KEY_ID, SCHOOL_ID, TOKEN_LIFE
from local.emulator import HOST
from local.run import STACK  # this also puts recado where it can be imported
from recado.rules.roles import Role
from recado.rules.signatures import portal_key_secret
from tools import bootstrap

ROLES = [role.value for role in Role if role is not Role.OPERATOR]


def main() -> int:
    parser = argparse.ArgumentParser(prog="local.token", description="Prints a token of the demo school.")
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("--subject", default="demo", help="the portal's user")
    parser.add_argument("--person", help="a guardian's or student's id in the roster, e.g. guardian-007")
    asked = parser.parse_args()
    aws = Aws(f"http://{HOST}:{os.environ.get('RECADO_PORT') or 4566}")
    try:
        master = bootstrap.read_master_secret(aws.client("ssm"), STACK)
    except (BotoCoreError, ClientError):
        print("recado is not running here: `make run` first (and the same RECADO_PORT).", file=sys.stderr)
        return 1
    key = Key(SCHOOL_ID, KEY_ID, portal_key_secret(master, SCHOOL_ID, KEY_ID))
    print(key.token(asked.role, asked.subject, datetime.now(UTC), TOKEN_LIFE, asked.person))
    return 0


if __name__ == "__main__":
    sys.exit(main())
