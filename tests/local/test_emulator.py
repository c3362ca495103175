"""The real emulator on a free port, with a stack of one function: what `make run` and the end-to-end tests lean on."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import emulator
from local.api import Api
from local.aws import Aws
from local.deploy import DeployError, deploy, physical_id
from local.emulator import Emulator, EmulatorError
from local.logs import LogTail

ROOT = Path(__file__).parent.parent.parent
TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Common:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: layer}
  Logs: {Type: AWS::Logs::LogGroup}
  Queue: {Type: AWS::SQS::Queue}
  Api:
    Type: AWS::Serverless::Api
    Properties: {StageName: v1}
  LocalDomain:
    Type: AWS::ApiGateway::DomainName
    Properties: {DomainName: 127.0.0.1}
  LocalPath:
    Type: AWS::ApiGateway::BasePathMapping
    DependsOn: [LocalDomain, Apiv1Stage]
    Properties: {DomainName: 127.0.0.1, BasePath: v1, RestApiId: !Ref Api, Stage: v1}
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: hello
      Handler: app.handler
      Runtime: python3.13
      Layers: [!Ref Common]
      LoggingConfig: {LogFormat: Text, LogGroup: !Ref Logs}
      Events:
        Get: {Type: Api, Properties: {RestApiId: !Ref Api, Path: /hello, Method: get}}
        Job: {Type: SQS, Properties: {Queue: !GetAtt Queue.Arn, BatchSize: 1}}
Outputs:
  Queue: {Value: !Ref Queue}
"""
FUNCTION = """
import os
from words import GREETING
def handler(event, context):
    print("greeted")
    return {"statusCode": 200, "body": GREETING + os.environ.get("AWS_PROFILE", "")}
"""


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repo")
    (folder / "template.yaml").write_text(TEMPLATE)
    (folder / "hello").mkdir()
    (folder / "hello" / "app.py").write_text(FUNCTION)
    (folder / "layer" / "python").mkdir(parents=True)
    (folder / "layer" / "python" / "words.py").write_text('GREETING = "hola"\n')
    return folder


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with pytest.MonkeyPatch.context() as host:
        host.setenv("AWS_PROFILE", "somebody")  # what the caller has must not reach the functions
        host.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        with emulator.emulator(emulator.free_port(), tmp_path_factory.mktemp("state")) as started:
            host.delenv("AWS_ENDPOINT_URL")
            host.delenv("AWS_PROFILE")
            yield started


@pytest.fixture(scope="module")
def aws(running: Emulator) -> Aws:
    return Aws(running.endpoint_url)


@pytest.fixture(scope="module")
def outputs(repo: Path, aws: Aws) -> dict[str, str]:
    return deploy(repo / "template.yaml", "hello", {}, aws)


def test_a_deployed_function_answers_at_the_fixed_address(running: Emulator, outputs: dict[str, str]) -> None:
    assert "Queue" in outputs["Queue"]
    assert Api(running.api_url).need("GET", "/hello") == "hola"


def test_nothing_changed_is_not_deployed_again(repo: Path, aws: Aws, outputs: dict[str, str]) -> None:
    said: list[str] = []

    again = deploy(repo / "template.yaml", "hello", {}, aws, said.append)

    assert said == ["nothing changed"]
    assert again == outputs


def test_what_a_function_logs_is_appended_to_the_file_once(
    running: Emulator, aws: Aws, outputs: dict[str, str], tmp_path: Path
) -> None:
    assert outputs
    file = tmp_path / "functions.log"
    tail = LogTail(aws, physical_id(aws, "hello", "Logs"), file, since_ms=int(time.time() * 1000))
    Api(running.api_url).need("GET", "/hello")

    tail.write_new()
    tail.write_new()

    assert file.read_text() == "greeted\n"


def test_a_stack_that_fails_says_which_resource_and_why(repo: Path, aws: Aws, tmp_path: Path) -> None:
    broken = TEMPLATE.replace(
        "{Type: AWS::SQS::Queue}", "{Type: AWS::SQS::Queue, Properties: {VisibilityTimeout: 99999}}"
    )
    (tmp_path / "hello").symlink_to(repo / "hello")
    (tmp_path / "layer").symlink_to(repo / "layer")
    (tmp_path / "template.yaml").write_text(broken.replace("127.0.0.1", "127.0.0.2"))

    with pytest.raises(DeployError, match=r"^Queue: .*VisibilityTimeout"):
        deploy(tmp_path / "template.yaml", "broken", {}, aws)

    (tmp_path / "template.yaml").write_text(TEMPLATE.replace("127.0.0.1", "127.0.0.2"))
    assert deploy(tmp_path / "template.yaml", "broken", {}, aws), "and once mended it is deployed over what failed"


def test_a_clean_stop_keeps_the_data_and_the_queues_for_the_next_start_on_any_port(repo: Path, tmp_path: Path) -> None:
    with emulator.emulator(emulator.free_port(), tmp_path) as first:
        aws = Aws(first.endpoint_url)
        queue = deploy(repo / "template.yaml", "hello", {}, aws)["Queue"]
        aws.client("ssm").put_parameter(Name="/kept", Value="yes", Type="String")

    with emulator.emulator(emulator.free_port(), tmp_path) as second:
        aws = Aws(second.endpoint_url)
        kept = aws.client("ssm").get_parameter(Name="/kept")
        aws.client("sqs").send_message(QueueUrl=queue, MessageBody="job")
        logs = aws.client("logs")
        deadline = time.monotonic() + 10
        while not logs.filter_log_events(logGroupName=physical_id(aws, "hello", "Logs"), filterPattern="greeted")[
            "events"
        ]:
            assert time.monotonic() < deadline, "nobody takes from the queue"
            time.sleep(0.1)

    assert kept["Parameter"]["Value"] == "yes"


def test_a_busy_port_is_one_line_that_names_the_variable(running: Emulator, tmp_path: Path) -> None:
    with pytest.raises(EmulatorError, match=rf"^Port {running.port} is busy: .*RECADO_PORT={running.port + 1}\.$"):
        emulator.start(running.port, tmp_path)


def test_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda _: "1.5.34")

    with pytest.raises(EmulatorError, match=r"must be ministack 1\.5\.33, but 1\.5\.34"):
        emulator.start(emulator.free_port(), tmp_path)


def test_the_emulator_does_not_outlive_a_killed_parent_and_still_saves(tmp_path: Path) -> None:
    port = emulator.free_port()
    parent = (
        "import os, signal, sys; from pathlib import Path; from local import emulator; from local.aws import Aws\n"
        f"started = emulator.start({port}, Path({str(tmp_path)!r}))\n"
        "Aws(started.endpoint_url).client('ssm').put_parameter(Name='/kept', Value='yes', Type='String')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )

    subprocess.run([sys.executable, "-c", parent], cwd=ROOT, check=False, timeout=30)

    deadline = time.monotonic() + emulator.STOP_SECONDS_MAX
    while not (tmp_path / "ssm.json").exists() or not emulator.is_port_free(port):
        assert time.monotonic() < deadline, "the emulator is still there"
        time.sleep(0.05)
