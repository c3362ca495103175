"""Deploys template.yaml to the emulator: code uploaded under its hash, then one CloudFormation change set.

AWS itself is deployed to with SAM CLI (docs/deploying.md); a test deploys here with both and compares. Prints nothing.
"""

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from botocore.exceptions import ClientError

from local.aws import Aws

CODE_PROPERTIES = {"AWS::Serverless::Function": "CodeUri", "AWS::Serverless::LayerVersion": "ContentUri"}
NOT_CODE = frozenset({"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".DS_Store"})
CONTENT_TAG = "recado:content"  # what was deployed last; equal content is not deployed again
DEPLOY_SECONDS_MAX = 120
POLL_SECONDS = 0.05
INLINE_BYTES_MAX = 51_200  # CloudFormation's limit for a TemplateBody
DELETED_FIRST = frozenset({"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"})

type Template = dict[str, Any]
type Report = Callable[[str], None]


class DeployError(Exception):
    """The stack did not come up; the text names the resource that failed and why."""


# --- the template -------------------------------------------------------------------------------------------


class _TemplateLoader(yaml.CSafeLoader):
    """YAML with CloudFormation's short forms, e.g. `!Ref Name`."""


def _long_form(loader: _TemplateLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    else:
        raise DeployError(f"The template has a !{suffix} that is neither text, list nor mapping.")
    if name == "Fn::GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {name: value}


def _date_as_text(loader: _TemplateLoader, node: yaml.ScalarNode) -> str:
    """A policy's 2012-10-17 stays the text it is."""
    return str(loader.construct_scalar(node))


_TemplateLoader.add_multi_constructor("!", _long_form)
_TemplateLoader.add_constructor("tag:yaml.org,2002:timestamp", _date_as_text)


def load_template(path: Path) -> Template:
    """The template in long form: `!Ref X` is {"Ref": "X"}, `!GetAtt A.B` is {"Fn::GetAtt": ["A", "B"]}."""
    loaded: Template = yaml.load(path.read_text(), Loader=_TemplateLoader)  # noqa: S506  # a safe loader, with our tags
    return loaded


# --- the code -----------------------------------------------------------------------------------------------


def zip_folder(folder: Path) -> bytes:
    """The folder's files as a zip: same files, same bytes, whatever the clock and the order on disk say."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in sorted(folder.rglob("*")):
            relative = path.relative_to(folder)
            if not path.is_file() or path.suffix == ".pyc" or not NOT_CODE.isdisjoint(relative.parts):
                continue
            entry = zipfile.ZipInfo(relative.as_posix(), date_time=(1980, 1, 1, 0, 0, 0))
            entry.external_attr = (0o755 if path.stat().st_mode & 0o100 else 0o644) << 16
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED, compresslevel=1)
    return buffer.getvalue()


def packaged(template: Template, root: Path, bucket: str) -> tuple[Template, dict[str, bytes]]:
    """The template with every local folder replaced by its place in the bucket, and the zips by their keys."""
    zips: dict[str, bytes] = {}
    resources: dict[str, Any] = {}
    for name, resource in template["Resources"].items():
        code = CODE_PROPERTIES.get(resource["Type"])
        if code is None or not isinstance(resource["Properties"].get(code), str):
            resources[name] = resource
            continue
        folder = root / resource["Properties"][code]
        if not folder.is_dir():
            raise DeployError(f"{name}: its {code} {resource['Properties'][code]} is not a folder of {root}.")
        content = zip_folder(folder)
        key = f"{hashlib.sha256(content).hexdigest()}.zip"
        zips[key] = content
        resources[name] = {**resource, "Properties": {**resource["Properties"], code: f"s3://{bucket}/{key}"}}
    return {**template, "Resources": resources}, zips


# --- the stack ----------------------------------------------------------------------------------------------


def deploy(
    template_path: Path,
    stack: str,
    parameters: Mapping[str, str],
    aws: Aws,
    report: Report = lambda _: None,
) -> dict[str, str]:
    """Brings the stack to what the template says and returns its outputs. Raises DeployError."""
    bucket = f"{stack}-code"
    template, zips = packaged(load_template(template_path), template_path.parent, bucket)
    body = json.dumps(template, sort_keys=True)
    content = hashlib.sha256(json.dumps([body, dict(parameters)], sort_keys=True).encode()).hexdigest()

    current = _find_stack(aws, stack)
    if current is not None and current["StackStatus"] in DELETED_FIRST:
        report("removing what a failed deployment left")
        _delete(aws, stack)
        current = None
    if current is not None and _is_settled(current) and _tag(current) == content:
        report("nothing changed")
        return _outputs(current)

    report(f"uploading {len(zips)} packages")
    _upload(aws, bucket, zips)
    creating = current is None or current["StackStatus"] == "REVIEW_IN_PROGRESS"
    report("creating the stack" if creating else "updating the stack")
    started = _execute_change_set(aws, stack, body, parameters, content, bucket, creating=creating)
    if not started:
        report("nothing changed")
        return _outputs(_get_stack(aws, stack))
    return _outputs(_wait(aws, stack))


def physical_id(aws: Aws, stack: str, logical_id: str) -> str:
    """What a resource of the stack is really called."""
    detail = aws.client("cloudformation").describe_stack_resource(StackName=stack, LogicalResourceId=logical_id)
    return str(detail["StackResourceDetail"]["PhysicalResourceId"])


def _upload(aws: Aws, bucket: str, zips: Mapping[str, bytes]) -> None:
    s3 = aws.client("s3")
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError:
        s3.create_bucket(Bucket=bucket)
    there = {
        entry["Key"]
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        for entry in page.get("Contents", [])
    }
    for key in sorted(zips.keys() - there):
        s3.put_object(Bucket=bucket, Key=key, Body=zips[key])


def _execute_change_set(
    aws: Aws, stack: str, body: str, parameters: Mapping[str, str], content: str, bucket: str, *, creating: bool
) -> bool:
    """Says whether there was anything to change."""
    cloudformation = aws.client("cloudformation")
    name = f"content-{content[:40]}"
    if len(body.encode()) > INLINE_BYTES_MAX:
        aws.client("s3").put_object(Bucket=bucket, Key=f"{content}.template", Body=body.encode())
        template = {"TemplateURL": f"{aws.endpoint_url}/{bucket}/{content}.template"}
    else:
        template = {"TemplateBody": body}
    try:
        cloudformation.create_change_set(
            StackName=stack,
            ChangeSetName=name,
            ChangeSetType="CREATE" if creating else "UPDATE",
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            Tags=[{"Key": CONTENT_TAG, "Value": content}],
            **template,
        )
    except ClientError as refused:
        raise DeployError(f"The template was refused: {refused.response['Error']['Message']}") from refused
    change_set = _wait_for_change_set(aws, stack, name)
    if change_set["Status"] == "FAILED":
        cloudformation.delete_change_set(StackName=stack, ChangeSetName=name)
        if "didn't contain changes" in change_set.get("StatusReason", ""):
            return False
        raise DeployError(f"The change set failed: {change_set.get('StatusReason', 'no reason was given')}")
    cloudformation.execute_change_set(StackName=stack, ChangeSetName=name)
    return True


def _wait_for_change_set(aws: Aws, stack: str, name: str) -> dict[str, Any]:
    deadline = time.monotonic() + DEPLOY_SECONDS_MAX
    while time.monotonic() < deadline:
        change_set: dict[str, Any] = aws.client("cloudformation").describe_change_set(
            StackName=stack, ChangeSetName=name
        )
        if change_set["Status"] in {"CREATE_COMPLETE", "FAILED"}:
            return change_set
        time.sleep(POLL_SECONDS)
    raise DeployError(f"The change set was not ready within {DEPLOY_SECONDS_MAX} s.")


def _wait(aws: Aws, stack: str) -> dict[str, Any]:
    deadline = time.monotonic() + DEPLOY_SECONDS_MAX
    while time.monotonic() < deadline:
        current = _get_stack(aws, stack)
        if current["StackStatus"] in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
            return current
        if _is_settled(current):
            raise DeployError(_first_failure(aws, stack) or f"The stack ended as {current['StackStatus']}.")
        time.sleep(POLL_SECONDS)
    raise DeployError(f"The stack was not up within {DEPLOY_SECONDS_MAX} s.")


def _first_failure(aws: Aws, stack: str) -> str | None:
    """The first resource that failed in the latest operation; those after it were only cancelled."""
    events = aws.client("cloudformation").describe_stack_events(StackName=stack)["StackEvents"]
    failed = None
    for event in events:  # newest first
        if event["ResourceType"] == "AWS::CloudFormation::Stack":
            if event["ResourceStatus"] in {"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"}:
                break
            continue
        reason = event.get("ResourceStatusReason", "")
        if event["ResourceStatus"].endswith("_FAILED") and "cancelled" not in reason:
            failed = f"{event['LogicalResourceId']}: {reason or event['ResourceStatus']}"
    return failed


def _delete(aws: Aws, stack: str) -> None:
    aws.client("cloudformation").delete_stack(StackName=stack)
    deadline = time.monotonic() + DEPLOY_SECONDS_MAX
    while time.monotonic() < deadline:
        current = _find_stack(aws, stack)
        if current is None or current["StackStatus"] == "DELETE_COMPLETE":
            return
        time.sleep(POLL_SECONDS)
    raise DeployError(f"What the last deployment left was not removed within {DEPLOY_SECONDS_MAX} s.")


def _find_stack(aws: Aws, stack: str) -> dict[str, Any] | None:
    try:
        return _get_stack(aws, stack)
    except ClientError as error:
        if "does not exist" in error.response["Error"]["Message"]:
            return None
        raise


def _get_stack(aws: Aws, stack: str) -> dict[str, Any]:
    found: dict[str, Any] = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    return found


def _is_settled(stack: Mapping[str, Any]) -> bool:
    return not str(stack["StackStatus"]).endswith("_IN_PROGRESS")


def _tag(stack: Mapping[str, Any]) -> str | None:
    if not str(stack["StackStatus"]).startswith(("CREATE_COMPLETE", "UPDATE_COMPLETE")):
        return None
    return next((tag["Value"] for tag in stack.get("Tags", []) if tag["Key"] == CONTENT_TAG), None)


def _outputs(stack: Mapping[str, Any]) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
