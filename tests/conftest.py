"""Fixtures for all tests: the environment and the tables come from template.yaml, AWS from moto."""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from local.deploy import load_template

ROOT = Path(__file__).parent.parent
TEMPLATE = load_template(ROOT / "template.yaml")
PARAMETERS = {name: str(parameter.get("Default", "")) for name, parameter in TEMPLATE["Parameters"].items()}
PARAMETERS |= {"Carrier": "signed_webhook", "CarrierUrl": "http://127.0.0.1:9/send", "QuarantineSeconds": "3600"}
SUBSTITUTES = {
    "${AWS::StackName}": "recado",
    "${AWS::AccountId}": "123456789012",
    "${AWS::Region}": "us-east-1",
    "${AWS::URLSuffix}": "amazonaws.com",
    "${Sockets}": "sockets",
}
TABLE_PROPERTIES = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")


def value_of(node: Any) -> str:
    """What a variable of the template comes to here: a parameter's value, a resource's logical id, a text."""
    if isinstance(node, dict) and "Ref" in node:
        return PARAMETERS.get(str(node["Ref"]), str(node["Ref"]))
    if isinstance(node, dict) and "Fn::If" in node:
        return value_of(node["Fn::If"][1 if node["Fn::If"][0] == "OwnLiveUrl" else 2])  # as on AWS
    if isinstance(node, dict) and "Fn::Sub" in node:
        text = str(node["Fn::Sub"])
        for name, value in SUBSTITUTES.items():
            text = text.replace(name, value)
        return text
    return str(node)


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """The template's resources of one type, by logical id."""
    return {name: one["Properties"] for name, one in TEMPLATE["Resources"].items() if one["Type"] == kind}


def queue_url(name: str) -> str:
    return f"https://sqs.us-east-1.amazonaws.com/123456789012/{name}"


def environment() -> dict[str, str]:
    """Every variable that the template gives to each function."""
    variables = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    found = {name: value_of(node) for name, node in variables.items()}
    for name in resources("AWS::SQS::Queue"):
        found = {key: queue_url(name) if value == name else value for key, value in found.items()}
    return {name: value for name, value in found.items() if not name.startswith("AWS_")}


# Read at import by recado.settings and PynamoDB: set before any test module is imported.
os.environ.update(environment())
os.environ.update(
    AWS_DEFAULT_REGION="us-east-1",
    AWS_REGION="us-east-1",
    AWS_ACCESS_KEY_ID="testing",
    AWS_SECRET_ACCESS_KEY="testing",
    POWERTOOLS_TRACE_DISABLED="true",
    POWERTOOLS_DEV="false",
)
os.environ.pop("AWS_ENDPOINT_URL", None)
os.environ.pop("AWS_PROFILE", None)

MASTER_SECRET = "bWFzdGVyLXNlY3JldC1mb3ItdGVzdHMtMzItYnl0ZXMhIQ=="


@pytest.fixture
def aws() -> Iterator[None]:
    """The template's tables, queues and bucket on moto, and the master secret; nothing else of AWS.

    Each test has a world of its own. The clients outlive it: moto answers every client, and making them anew for each
    test would take longer than most tests do.
    """
    from recado import access, captcha, circuits, request_limit, routing, tariffs

    with mock_aws():
        for one in (access, captcha, circuits, request_limit, routing, tariffs):
            one.forget()
        create_resources()
        yield
    access.forget()


@cache
def client(service: str) -> Any:
    """A client for tests' own use."""
    return boto3.client(service)


def create_resources() -> None:
    dynamodb = client("dynamodb")
    for name, properties in resources("AWS::DynamoDB::Table").items():
        dynamodb.create_table(TableName=name, **{key: properties[key] for key in TABLE_PROPERTIES if key in properties})
    sqs = client("sqs")
    for name in resources("AWS::SQS::Queue"):
        sqs.create_queue(QueueName=name)
    client("s3").create_bucket(Bucket=os.environ["IMPORT_BUCKET"])
    client("ssm").put_parameter(Name=f"{os.environ['MASTER_SECRET_PATH']}/1", Value=MASTER_SECRET, Type="SecureString")


def all_tables() -> dict[str, list[dict[str, Any]]]:
    """Every row of every table, raw, in the order of its key."""
    found = {}
    for name in resources("AWS::DynamoDB::Table"):
        rows = [
            row for page in client("dynamodb").get_paginator("scan").paginate(TableName=name) for row in page["Items"]
        ]
        found[name] = sorted(rows, key=lambda row: (row["pk"]["S"], row["sk"]["S"]))
    return found


def all_rows(kind: type[Any]) -> list[type[Any]]:
    """Every model below a kind of row."""
    return [found for child in kind.__subclasses__() for found in (child, *all_rows(child))]


def jobs_on(queue: str) -> list[str]:
    """Takes every waiting job off a queue; bodies in order of arrival."""
    sqs = client("sqs")
    bodies: list[str] = []
    while True:
        batch = sqs.receive_message(QueueUrl=queue_url(queue), MaxNumberOfMessages=10).get("Messages", [])
        if not batch:
            return bodies
        for message in batch:
            bodies.append(message["Body"])
            sqs.delete_message(QueueUrl=queue_url(queue), ReceiptHandle=message["ReceiptHandle"])
