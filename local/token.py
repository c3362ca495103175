"""`python -m local.token teacher`: a token of the demo school, as its portal signs them; `operator`: of the platform.

For trying things by hand, while `make run` runs. It must never be more than a demo: a real portal has its key's
secret, not the master's.
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
from tools.bootstrap import OPERATOR, OPERATOR_KEY

ROLES = [role.value for role in Role]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="local.token", description="Prints a token of the demo school, or of the platform's staff."
    )
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
    school_id, key_id = (OPERATOR, OPERATOR_KEY) if asked.role == Role.OPERATOR.value else (SCHOOL_ID, KEY_ID)
    key = Key(school_id, key_id, portal_key_secret(master, school_id, key_id))
    print(key.token(asked.role, asked.subject, datetime.now(UTC), TOKEN_LIFE, asked.person))
    return 0


if __name__ == "__main__":
    sys.exit(main())
