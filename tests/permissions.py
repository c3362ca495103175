"""Holds each function to its own policies of template.yaml while tests run it: moto and the emulator check none.

A call that the template does not allow fails the test that made it, with the function, the action and the resource.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

from botocore.client import BaseClient

from tests.conftest import resources, value_of

# What one call of the API needs; a transaction needs what each of its parts does.
TRANSACTION_PARTS = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}
SERVICES = {
    "DynamoDB": "dynamodb",
    "SQS": "sqs",
    "SSM": "ssm",
    "SNS": "sns",
    "S3": "s3",
    "ApiGatewayManagementApi": "execute-api",
}


class NotPermitted(BaseException):
    """Passes every `except Exception` on its way out: a function must not turn it into an answer."""


type Need = tuple[str, str]


def logical_id(folder: str) -> str:
    """`session_sweeper` → `SessionSweeper`, as the template names functions."""
    return "".join(word.capitalize() for word in folder.split("_"))


@contextmanager
def as_function(folder: str) -> Iterator[None]:
    """Within it every call of AWS must be allowed to the function of this folder."""
    allowed = list(_allowed(logical_id(folder)))
    real: Callable[..., Any] = BaseClient._make_api_call

    def checked(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        for action, resource in _needs(client, operation, parameters):
            if not any(action == one and fnmatchcase(resource, where) for one, where in allowed):
                raise NotPermitted(f"template.yaml does not allow {logical_id(folder)} to {action} on {resource}")
        return real(client, operation, parameters)

    BaseClient._make_api_call = checked
    try:
        yield
    finally:
        BaseClient._make_api_call = real


def _allowed(function: str) -> Iterator[Need]:
    properties = resources("AWS::Serverless::Function")[function]
    for policy in properties.get("Policies", []):
        for statement in policy["Statement"]:
            if statement["Effect"] == "Allow":
                yield from ((action, _resource(one)) for action in statement["Action"] for one in statement["Resource"])


def _resource(node: Any) -> str:
    """`Table`, `Table/index/Name`, `Queue`, or what follows the last colon of an ARN that is spelt out."""
    if isinstance(node, dict) and "Fn::GetAtt" in node:
        return str(node["Fn::GetAtt"][0])
    text = value_of(node)
    if text.startswith("${") and ".Arn}" in text:
        return text.removeprefix("${").replace(".Arn}", "")
    return text.rsplit(":", 1)[-1]


def _needs(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Iterator[Need]:
    service = SERVICES[str(client.meta.service_model.service_id)]
    if service == "dynamodb":
        yield from ((f"dynamodb:{action}", table) for action, table in _rows(operation, parameters))
    elif service == "sqs":
        # SendMessageBatch and the like need the permission of the single call.
        yield f"sqs:{operation.removesuffix('Batch')}", str(parameters["QueueUrl"]).rsplit("/", 1)[-1]
    elif service == "ssm":
        yield from ((f"ssm:{operation}", f"parameter{name}") for name in parameters["Names"])
    elif service == "execute-api":
        yield "execute-api:ManageConnections", f"sockets/live/POST/@connections/{parameters['ConnectionId']}"
    elif service == "s3":
        if operation == "ListObjectsV2":
            yield "s3:ListBucket", str(parameters["Bucket"])
            return
        action = "GetObject" if operation == "HeadObject" else operation
        yield f"s3:{action}", f"{parameters['Bucket']}/{parameters['Key']}"
    else:
        yield f"{service}:{operation}", "*"


def _rows(operation: str, parameters: dict[str, Any]) -> Iterator[Need]:
    if operation == "TransactWriteItems":
        for item in parameters["TransactItems"]:
            for part, where in item.items():
                yield TRANSACTION_PARTS[part], where["TableName"]
    elif operation in ("BatchGetItem", "BatchWriteItem"):
        yield from ((operation, table) for table in parameters["RequestItems"])
    else:
        index = parameters.get("IndexName")
        yield operation, parameters["TableName"] + (f"/index/{index}" if index else "")
