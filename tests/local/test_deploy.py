"""Reading and packing the template; no emulator needed."""

import io
import os
import zipfile
from pathlib import Path

import pytest

from local.deploy import DeployError, load_template, packaged, zip_folder
from tools.lint_template import problems_of, translate

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/hello
      Handler: app.handler
      Runtime: python3.13
      Policies:
        - Version: 2012-10-17
          Statement: []
Outputs:
  Arn: {Value: !GetAtt Hello.Arn}
  Name: {Value: !Sub "${Hello}-x"}
  Chosen: {Value: !If [Local, !Ref Hello, b]}
"""


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    hello = tmp_path / "functions" / "hello"
    hello.mkdir(parents=True)
    (hello / "app.py").write_text("def handler(event, context): ...\n")
    return tmp_path


def test_short_forms_are_read_as_long_ones(repo: Path) -> None:
    outputs = load_template(repo / "template.yaml")["Outputs"]

    assert outputs["Arn"]["Value"] == {"Fn::GetAtt": ["Hello", "Arn"]}
    assert outputs["Name"]["Value"] == {"Fn::Sub": "${Hello}-x"}
    assert outputs["Chosen"]["Value"] == {"Fn::If": ["Local", {"Ref": "Hello"}, "b"]}


def test_a_date_of_a_policy_stays_text(repo: Path) -> None:
    policy = load_template(repo / "template.yaml")["Resources"]["Hello"]["Properties"]["Policies"][0]

    assert policy["Version"] == "2012-10-17"


def test_the_same_files_make_the_same_zip_whatever_their_times(repo: Path) -> None:
    folder = repo / "functions" / "hello"
    (folder / "b.txt").write_text("b")
    (folder / "a.txt").write_text("a")
    before = zip_folder(folder)

    os.utime(folder / "app.py", (0, 0))
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "app.cpython-313.pyc").write_bytes(b"compiled")

    assert zip_folder(folder) == before
    assert zipfile.ZipFile(io.BytesIO(before)).namelist() == ["a.txt", "app.py", "b.txt"]


def test_another_byte_makes_another_key(repo: Path) -> None:
    template = load_template(repo / "template.yaml")
    _, before = packaged(template, repo, "bucket")

    (repo / "functions" / "hello" / "app.py").write_text("def handler(event, context): return 1\n")
    changed, after = packaged(template, repo, "bucket")

    assert before.keys() != after.keys()
    assert changed["Resources"]["Hello"]["Properties"]["CodeUri"] == f"s3://bucket/{next(iter(after))}"
    assert template["Resources"]["Hello"]["Properties"]["CodeUri"] == "functions/hello", "the source is left alone"


def test_a_missing_folder_is_named(repo: Path) -> None:
    template = load_template(repo / "template.yaml")

    with pytest.raises(DeployError, match=r"Hello: its CodeUri functions/hello is not a folder"):
        packaged(template, repo / "elsewhere", "bucket")


def test_the_linter_sees_what_the_transform_makes(repo: Path) -> None:
    template = load_template(repo / "template.yaml")
    template["Resources"]["Hello"]["Properties"]["Timeout"] = 5000

    problems = problems_of(translate(template, "eu-west-1"), "eu-west-1")

    assert any("Hello/Properties/Timeout" in problem for problem in problems)
