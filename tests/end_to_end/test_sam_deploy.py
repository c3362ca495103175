"""SAM CLI deploys to the emulator what `make run` deploys: the two ways must not drift apart.

SAM CLI gets a copy of what it reads, so that it builds nothing in this folder, and no AWS account of this machine's.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local import emulator
from local.api import Api
from local.aws import Aws
from local.deploy import deploy
from tools.build_layer import host_platform

ROOT = Path(__file__).parent.parent.parent
SAM = Path(os.environ.get("SAM", ROOT / ".venv-sam" / "bin" / "sam"))
READ_BY_SAM = ("template.yaml", "samconfig.toml", "functions", "layers")
STACK = "recado"
PARAMETERS = {"IsLocal": "true", "Carrier": "signed_webhook", "QuarantineSeconds": "3600"}
COMMAND_SECONDS_MAX = 180
# The translator puts a hash of the content behind these names; SAM CLI's layer has other content: it is built.
HASHED = {"AWS::Lambda::LayerVersion", "AWS::ApiGateway::Deployment"}
SAME_FOR_BOTH = ("Runtime", "Handler", "Timeout", "MemorySize", "Architectures", "TracingConfig", "LoggingConfig")
MAPPING = ("BatchSize", "FunctionResponseTypes", "ScalingConfig", "MaximumBatchingWindowInSeconds", "State")


def run_sam(folder: Path, *arguments: str, endpoint_url: str = "") -> str:
    if not SAM.exists():
        pytest.fail("SAM CLI is not installed: `make test` does that (or say where one is, SAM=/path/to/sam)")
    mine = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    variables = mine | {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": emulator.REGION,
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "SAM_CLI_TELEMETRY": "0",
        "__SAM_CLI_APP_DIR": str(folder / ".sam"),
        "PYTHON": sys.executable,
        "LAYER_PLATFORM": host_platform(),  # the emulator runs functions on this machine
    }
    ran = subprocess.run(
        [SAM, *arguments],
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=COMMAND_SECONDS_MAX,
        check=False,
    )
    if ran.returncode != 0:
        last = "\n".join(ran.stdout.splitlines()[-15:])
        pytest.fail(f"sam {arguments[0]} failed; if packages are missing, is there a network?\n{last}", pytrace=False)
    return ran.stdout


def copy_for_sam(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for name in READ_BY_SAM:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    return folder


def describe(aws: Aws) -> dict[str, Any]:
    """A stack as it came up: resources, functions, event sources, routes; physical names replaced by logical ones."""
    cloudformation = aws.client("cloudformation")
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=STACK)
    summaries = [one for page in pages for one in page["StackResourceSummaries"]]
    names = {one["PhysicalResourceId"]: logical_name(one) for one in summaries}
    functions = {}
    mappings = {}
    for one in summaries:
        if one["ResourceType"] == "AWS::Lambda::Function":
            found = aws.client("lambda").get_function_configuration(FunctionName=one["PhysicalResourceId"])
            functions[one["LogicalResourceId"]] = {name: found.get(name) for name in SAME_FOR_BOTH} | {
                "layers": len(found["Layers"]),
                "environment": {name: logical(text, names) for name, text in found["Environment"]["Variables"].items()},
            }
        if one["ResourceType"] == "AWS::Lambda::EventSourceMapping":
            found = aws.client("lambda").get_event_source_mapping(UUID=one["PhysicalResourceId"])
            mappings[one["LogicalResourceId"]] = {name: found.get(name) for name in MAPPING}
    (api,) = [one["PhysicalResourceId"] for one in summaries if one["ResourceType"] == "AWS::ApiGateway::RestApi"]
    resources = aws.client("apigateway").get_resources(restApiId=api, limit=500, embed=["methods"])["items"]
    return {
        "resources": {logical_name(one): one["ResourceType"] for one in summaries},
        "functions": functions,
        "mappings": mappings,
        "routes": {
            f"{method} {one['path']}": settings["authorizationType"]
            for one in resources
            for method, settings in one.get("resourceMethods", {}).items()
        },
    }


def logical_name(resource: dict[str, str]) -> str:
    name = resource["LogicalResourceId"]
    return re.sub("[0-9a-f]{10}$", "", name) if resource["ResourceType"] in HASHED else name


def logical(text: str, names: dict[str, str]) -> str:
    for physical in sorted(names, key=len, reverse=True):
        text = text.replace(physical, names[physical])
    return text


def test_sam_finds_the_template_valid(tmp_path: Path) -> None:
    said = run_sam(copy_for_sam(tmp_path), "validate")

    assert "is a valid SAM Template" in said


def test_sam_cli_deploys_the_very_stack_that_make_run_deploys(tmp_path: Path) -> None:
    folder = copy_for_sam(tmp_path / "copy")
    with emulator.emulator(emulator.free_port(), tmp_path / "by-make-run") as running:
        aws = Aws(running.endpoint_url)
        deploy(ROOT / "template.yaml", STACK, PARAMETERS, aws)
        by_make_run = describe(aws)

    run_sam(folder, "build")
    overrides = [f"{name}={value}" for name, value in PARAMETERS.items()]
    with emulator.emulator(emulator.free_port(), tmp_path / "by-sam") as running:
        arguments = ("deploy", "--no-confirm-changeset", "--parameter-overrides", *overrides)
        run_sam(folder, *arguments, endpoint_url=running.endpoint_url)
        by_sam = describe(Aws(running.endpoint_url))
        health = Api(running.api_url).call("GET", "/health")
        refused = Api(running.api_url).call("GET", "/messages", token="nobody's")

    built = folder / ".aws-sam" / "build"
    assert by_sam == by_make_run
    assert {len(by_sam[part]) > 1 for part in by_sam} == {True}
    assert health.status == 200
    assert refused.status == 401
    for function in by_sam["functions"]:
        assert [path.name for path in (built / function).iterdir()] == ["app.py"]
