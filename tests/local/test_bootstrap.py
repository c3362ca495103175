"""What bootstrap asks of SNS, which CloudFormation cannot: that it writes what became of each text."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tools.bootstrap import ask_for_delivery_logs

STACK = "recado"


@pytest.fixture
def session() -> Iterator[Any]:
    with mock_aws():
        yield boto3.Session(region_name="us-east-1")


def create_stack(session: Any, logical_id: str) -> str:
    """A stack with one role; returns its ARN."""
    trust = {"Version": "2012-10-17", "Statement": []}
    role = {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "of-stack", "AssumeRolePolicyDocument": trust}}
    session.client("cloudformation").create_stack(
        StackName=STACK, TemplateBody=json.dumps({"Resources": {logical_id: role}})
    )
    arn: str = session.client("iam").get_role(RoleName="of-stack")["Role"]["Arn"]
    return arn


def asked(session: Any) -> dict[str, str]:
    found: dict[str, str] = session.client("sns").get_sms_attributes().get("attributes", {})
    return found


def test_sns_is_asked_to_write_every_delivery_as_the_stacks_role_once(session: Any) -> None:
    role = create_stack(session, "SnsDeliveryRole")

    first, second = ask_for_delivery_logs(session, STACK), ask_for_delivery_logs(session, STACK)

    assert asked(session) == {"DeliveryStatusIAMRole": role, "DeliveryStatusSuccessSamplingRate": "100"}
    assert (first, second) == ("switched on, every delivery.", "switched on already, left as it is.")


def test_the_role_that_an_account_writes_with_already_stays(session: Any) -> None:
    create_stack(session, "SnsDeliveryRole")
    before = {"DeliveryStatusIAMRole": "arn:aws:iam::123456789012:role/of-before", "DefaultSMSType": "Promotional"}
    session.client("sns").set_sms_attributes(attributes=before)

    said = ask_for_delivery_logs(session, STACK)

    assert asked(session) == before | {"DeliveryStatusSuccessSamplingRate": "100"}
    assert said == "switched on, every delivery. The role of before stays."


def test_a_stack_that_reads_no_delivery_log_asks_for_none(session: Any) -> None:
    create_stack(session, "Another")

    assert ask_for_delivery_logs(session, STACK) == ""
    assert asked(session) == {}
