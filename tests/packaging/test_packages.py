"""What goes to AWS: the layer as its Makefile builds it, run with nothing else; functions that are their app.py."""

import ast
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from tests.conftest import environment
from tools.build_layer import LayerNotBuilt, build_layer

ROOT = Path(__file__).parent.parent.parent
LAYER = ROOT / "layers" / "common"
FUNCTIONS = sorted(path.name for path in (ROOT / "functions").iterdir() if path.is_dir())
ARM = "manylinux2014_aarch64"
ELF_MACHINE, ELF_AARCH64 = slice(18, 20), (183).to_bytes(2, "little")
PYC_FLAGS, UNCHECKED_HASH = slice(4, 8), (1).to_bytes(4, "little")  # PEP 552
NOT_SHIPPED = {"pytest", "moto", "ministack", "cfnlint", "mypy", "ruff", "hypothesis", "flask", "yaml", "samtranslator"}
NOT_SHIPPED |= {"pip", "setuptools", "wheel", "pkg_resources", "_pytest", "local", "tests", "tools", "bench"}

# Sees the standard library and the layer, as the program of `python -I -S`; says what it loaded from anywhere else.
ALONE = """
import sys
sys.path.append({layer!r})
sys.dont_write_bytecode = True
{code}
standard = next(path for path in sys.path if path.endswith("python3.13"))
mine = ({layer!r}, standard, {function!r})
print(sorted({{
    name for name, module in sys.modules.items()
    if getattr(module, "__file__", None) and not module.__file__.startswith(mine)
}}))
"""
IMPORT_ALL_OF_RECADO = """
import importlib, pkgutil, recado
for found in pkgutil.walk_packages(recado.__path__, "recado."):
    importlib.import_module(found.name)
"""


@pytest.fixture(scope="session")
def layer() -> Path:
    """The layer, built for this machine."""
    return built()


def built(for_platform: str = "") -> Path:
    try:
        return build_layer(for_platform)
    except LayerNotBuilt as error:
        pytest.fail(str(error), pytrace=False)


def run_alone(layer: Path, code: str, function: Path | None = None) -> None:
    program = ALONE.format(layer=str(layer), code=code, function=str(function or layer))
    ran = run(program)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "[]"


def run(program: str) -> subprocess.CompletedProcess[str]:
    variables = environment() | {"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}
    command = [sys.executable, "-I", "-S", "-c", program]
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False)


def pins(path: Path) -> dict[str, str]:
    """Distribution → version; names as PyPI compares them."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", path.read_text(), re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


@cache
def slim_layer() -> Any:
    spec = importlib.util.spec_from_file_location("slim_layer", LAYER / "slim_layer.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def clients_made(folder: Path) -> Iterator[str]:
    """The services named in `client("…")` anywhere under a folder."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in ("client", "create_client", "resource") and isinstance(node.args[0], ast.Constant):
                yield str(node.args[0].value)


def test_every_module_of_recado_imports_with_nothing_but_the_layer(layer: Path) -> None:
    run_alone(layer, IMPORT_ALL_OF_RECADO)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_function_imports_with_nothing_but_the_layer(layer: Path, name: str) -> None:
    function = ROOT / "functions" / name

    run_alone(layer, f"sys.path.insert(0, {str(function)!r})\nimport app\napp.handler", function)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_functions_package_is_its_app_only(name: str) -> None:
    found = {path.name for path in (ROOT / "functions" / name).iterdir() if path.name != "__pycache__"}

    assert found == {"app.py"}


def test_the_layer_ships_no_test_or_build_tool(layer: Path) -> None:
    found = {path.name.split(".")[0] for path in layer.iterdir()}

    assert "recado" in found
    assert found.isdisjoint(NOT_SHIPPED)


def test_the_layer_holds_what_is_pinned_and_nothing_else(layer: Path) -> None:
    installed = {path.name.removesuffix(".dist-info") for path in layer.glob("*.dist-info")}
    found = {re.sub(r"[-_.]+", "-", one.rpartition("-")[0]).lower(): one.rpartition("-")[2] for one in installed}

    assert found == pins(LAYER / "requirements.txt") | pins(LAYER / "constraints.txt")


def test_the_layers_pins_are_those_of_the_whole_project() -> None:
    project = pins(ROOT / "constraints.txt")
    own = pins(LAYER / "requirements.txt") | pins(LAYER / "constraints.txt")

    assert own.items() <= project.items()


def test_every_module_of_the_layer_brings_its_bytecode(layer: Path) -> None:
    sources = {path.relative_to(layer) for path in layer.rglob("*.py")}
    compiled = {
        path.relative_to(layer).parent.parent / f"{path.name.split('.')[0]}.py": path.read_bytes()[PYC_FLAGS]
        for path in layer.rglob("*.cpython-313.pyc")
    }

    assert compiled.keys() == sources
    assert set(compiled.values()) == {UNCHECKED_HASH}


def test_the_layer_for_aws_holds_arm_code_only() -> None:
    libraries = list(built(ARM).rglob("*.so"))

    assert libraries
    assert {path.read_bytes()[ELF_MACHINE] for path in libraries} == {ELF_AARCH64}


def test_botocore_keeps_the_services_our_code_uses_and_no_other(layer: Path) -> None:
    kept = {path.name for path in (layer / "botocore" / "data").iterdir() if path.is_dir()}
    ours = {*clients_made(LAYER / "python"), *clients_made(ROOT / "functions"), "dynamodb"}  # PynamoDB's

    assert kept == ours == slim_layer().SERVICES


@pytest.mark.parametrize("region", ["us-east-1", "sa-east-1", "us-gov-west-1", "cn-north-1"])
def test_the_trimmed_botocore_speaks_to_the_same_endpoints(layer: Path, region: str) -> None:
    options = {"region_name": region, "aws_access_key_id": "a", "aws_secret_access_key": "b"}
    services = sorted(slim_layer().SERVICES)
    program = f"""
import sys
sys.path.append({str(layer)!r})
import boto3, json
clients = [boto3.client(service, **{options!r}) for service in {services!r}]
print(json.dumps([[one.meta.endpoint_url, one._client_config.signature_version] for one in clients]))
"""
    session = botocore.session.get_session()
    session.set_credentials("a", "b")
    whole = [session.create_client(service, region) for service in services]

    ran = run(program)

    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == [[one.meta.endpoint_url, one._client_config.signature_version] for one in whole]
