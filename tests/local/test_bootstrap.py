"""What bootstrap asks of SNS, which CloudFormation cannot: that it writes what became of each text."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from tools.bootstrap import ask_for_delivery_logs

STACK = "recado"


class Session:
    """moto's AWS; only CloudFormation, which moto has not without more libraries, is said here: a stack of one role."""

    def __init__(self) -> None:
        self._aws = boto3.Session(region_name="us-east-1")
        self._cloudformation = self._aws.client("cloudformation")

    def client(self, service: str) -> Any:
        return self._cloudformation if service == "cloudformation" else self._aws.client(service)

    def create_stack(self, logical_id: str) -> str:
        """Returns the role's ARN."""
        trust = {"Version": "2012-10-17", "Statement": []}
        role = self.client("iam").create_role(RoleName="of-stack", AssumeRolePolicyDocument=json.dumps(trust))["Role"]
        summary = {
            "LogicalResourceId": logical_id,
            "PhysicalResourceId": "of-stack",
            "ResourceType": "AWS::IAM::Role",
            "LastUpdatedTimestamp": datetime.now(UTC),
            "ResourceStatus": "CREATE_COMPLETE",
        }
        stubber = Stubber(self._cloudformation)
        for _ in range(2):
            stubber.add_response("list_stack_resources", {"StackResourceSummaries": [summary]}, {"StackName": STACK})
        stubber.activate()
        arn: str = role["Arn"]
        return arn


@pytest.fixture
def session() -> Iterator[Session]:
    with mock_aws():
        yield Session()


def asked(session: Session) -> dict[str, str]:
    found: dict[str, str] = session.client("sns").get_sms_attributes().get("attributes", {})
    return found


def test_sns_is_asked_to_write_every_delivery_as_the_stacks_role_once(session: Session) -> None:
    role = session.create_stack("SnsDeliveryRole")

    first, second = ask_for_delivery_logs(session, STACK), ask_for_delivery_logs(session, STACK)

    assert asked(session) == {"DeliveryStatusIAMRole": role, "DeliveryStatusSuccessSamplingRate": "100"}
    assert (first, second) == ("switched on, every delivery.", "switched on already, left as it is.")


def test_the_role_that_an_account_writes_with_already_stays(session: Session) -> None:
    session.create_stack("SnsDeliveryRole")
    before = {"DeliveryStatusIAMRole": "arn:aws:iam::123456789012:role/of-before", "DefaultSMSType": "Promotional"}
    session.client("sns").set_sms_attributes(attributes=before)

    said = ask_for_delivery_logs(session, STACK)

    assert asked(session) == before | {"DeliveryStatusSuccessSamplingRate": "100"}
    assert said == "switched on, every delivery. The role of before stays."


def test_a_stack_that_reads_no_delivery_log_asks_for_none(session: Session) -> None:
    session.create_stack("Another")

    assert ask_for_delivery_logs(session, STACK) == ""
    assert asked(session) == {}
