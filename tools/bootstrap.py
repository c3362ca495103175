"""`python -m tools.bootstrap --stack recado`: what CloudFormation cannot make, once, with AWS credentials.

The master secret (an SSM SecureString), the first operator key, and that SNS reports what became of texts. Run it after
the first deployment; again, it changes nothing.
It must never overwrite the master secret: every key, id and token hangs from it.
"""

import argparse
import base64
import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

LAYER = Path(__file__).parent.parent / "layers" / "common" / "python"
MASTER_BYTES = 32
MASTER_VERSION = 1
OPERATOR = "platform"  # the `iss` of the platform's own staff
OPERATOR_KEY = "operator-1"
ANY_FUNCTION = "Operator"  # whose environment names every table
SNS_ROLE = "SnsDeliveryRole"  # there where template.yaml makes SNS's log groups
ALL_DELIVERIES = "100"  # per cent of the deliveries that SNS writes; failures it writes always


class BootstrapError(Exception):
    """It could not be done; the text is one line."""


@dataclass(frozen=True)
class OperatorKey:
    key_id: str
    secret: str
    is_new: bool


def main() -> int:
    parser = argparse.ArgumentParser(description="Creates the master secret and the first operator key of a stack.")
    parser.add_argument("--stack", default="recado", help="the CloudFormation stack (default: recado)")
    parser.add_argument("--endpoint-url", help="the emulator's address; empty for AWS")
    options = parser.parse_args()
    session = boto3.Session()
    try:
        is_new = create_master_secret(session.client("ssm", endpoint_url=options.endpoint_url), options.stack)
        key = create_operator_key(session, options.stack, options.endpoint_url)
        sns_logs = (
            "" if options.endpoint_url else ask_for_delivery_logs(session, options.stack)
        )  # the emulator has none
    except (BootstrapError, BotoCoreError, ClientError) as error:
        print(f"Not done: {error}", file=sys.stderr)
        return 1
    print("Master secret: created." if is_new else "Master secret: there already, left as it is.")
    if sns_logs:
        print(f"SNS's delivery log: {sns_logs}")
    if not key.is_new:
        print(f"Operator key {key.key_id}: there already; its secret was shown when it was made.")
        return 0
    print(f"Operator key: {key.key_id}")
    print(f"Its secret, shown this once: {key.secret}")
    return 0


def create_master_secret(ssm: Any, stack: str) -> bool:
    """32 random bytes as version 1; False when it was there, which leaves it untouched."""
    value = base64.b64encode(secrets.token_bytes(MASTER_BYTES)).decode()
    try:
        ssm.put_parameter(Name=_master_name(stack), Value=value, Type="SecureString", Overwrite=False)
    except ssm.exceptions.ParameterAlreadyExists:
        return False
    return True


def read_master_secret(ssm: Any, stack: str) -> bytes:
    answer = ssm.get_parameter(Name=_master_name(stack), WithDecryption=True)
    return base64.b64decode(answer["Parameter"]["Value"])


def create_operator_key(session: Any, stack: str, endpoint_url: str | None) -> OperatorKey:
    """The first operator key, the same each time: its secret follows from the master secret and its id."""
    become(session, stack, endpoint_url)
    from recado.rules import signatures  # only now does the environment say which tables these are
    from recado.tables import portal_keys
    from recado.tables.portal_keys import KeyKind, PortalKey

    master = read_master_secret(session.client("ssm", endpoint_url=endpoint_url), stack)
    key = PortalKey(OPERATOR, OPERATOR_KEY, KeyKind.OPERATOR, MASTER_VERSION, not_after=None, revoked_at=None)
    is_new = portal_keys.create_key(key)
    return OperatorKey(OPERATOR_KEY, signatures.portal_key_secret(master, OPERATOR, OPERATOR_KEY), is_new)


def ask_for_delivery_logs(session: Any, stack: str) -> str:
    """Tells SNS to write every delivery of a text, as the stack's role: settings of the account, which CloudFormation
    cannot make. Says what it did; "" for a stack that makes no log groups. Another role of before is left in force.
    """
    cloudformation = session.client("cloudformation")
    names = [
        one["PhysicalResourceId"]
        for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
        for one in page["StackResourceSummaries"]
        if one["LogicalResourceId"] == SNS_ROLE
    ]
    if not names:
        return ""
    role = session.client("iam").get_role(RoleName=names[0])["Role"]["Arn"]
    sns = session.client("sns")
    wanted = {"DeliveryStatusIAMRole": role, "DeliveryStatusSuccessSamplingRate": ALL_DELIVERIES}
    found = sns.get_sms_attributes().get("attributes", {})
    if found.get("DeliveryStatusIAMRole", role) not in ("", role):
        wanted["DeliveryStatusIAMRole"] = found["DeliveryStatusIAMRole"]
    if all(found.get(name) == value for name, value in wanted.items()):
        return "switched on already, left as it is."
    sns.set_sms_attributes(attributes=wanted)
    return "switched on, every delivery." + (
        "" if wanted["DeliveryStatusIAMRole"] == role else " The role of before stays."
    )


def become(session: Any, stack: str, endpoint_url: str | None) -> None:
    """Gives this process the settings of the stack's functions, so that it can use their code on their tables."""
    cloudformation = session.client("cloudformation", endpoint_url=endpoint_url)
    try:
        detail = cloudformation.describe_stack_resource(StackName=stack, LogicalResourceId=ANY_FUNCTION)
    except ClientError as error:
        raise BootstrapError(f"stack {stack} is not there; deploy it first ({error})") from error
    function = detail["StackResourceDetail"]["PhysicalResourceId"]
    configuration = session.client("lambda", endpoint_url=endpoint_url).get_function_configuration(
        FunctionName=function
    )
    os.environ.update(configuration["Environment"]["Variables"])
    credentials = session.get_credentials()
    if credentials is None:
        raise BootstrapError("there are no AWS credentials")
    frozen = credentials.get_frozen_credentials()
    os.environ.update(
        AWS_ACCESS_KEY_ID=frozen.access_key,
        AWS_SECRET_ACCESS_KEY=frozen.secret_key,
        AWS_SESSION_TOKEN=frozen.token or "",
        AWS_REGION=session.region_name,
        AWS_DEFAULT_REGION=session.region_name,
        AWS_ENDPOINT_URL=endpoint_url or "",
    )
    if str(LAYER) not in sys.path:
        sys.path.insert(0, str(LAYER))


def _master_name(stack: str) -> str:
    return f"/{stack}/master-secret/{MASTER_VERSION}"


if __name__ == "__main__":
    sys.exit(main())
