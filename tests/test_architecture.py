"""The direction of the arrows: functions → stories → rules, tables, carriers; rules know nobody."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "layers/common/python/recado"

# What every layer may use: no decisions, no rows, no outside world.
FOUNDATION = {"recado.errors", "recado.clock", "recado.ids", "recado.settings"}
PLUMBING = {"recado.log", "recado.aws", "recado.queues", "recado.bucket", "recado.captcha", "recado.sockets"}

MAY_IMPORT = {
    "rules": ({"recado.rules", "recado.errors"}, {"phonenumbers"}),
    "tables": ({"recado.tables", "recado.rules", *FOUNDATION}, {"pynamodb"}),
    "carriers": (
        {"recado.carriers", "recado.rules", *FOUNDATION},
        {"boto3", "botocore", "urllib3", "standardwebhooks", "jwt"},
    ),
    "edge": ({"recado"}, {"aws_lambda_powertools", "pydantic"}),
    "stories": ({"recado"}, {"jwt"}),
    "foundation": ({*FOUNDATION, *PLUMBING}, {"aws_lambda_powertools", "boto3", "botocore", "urllib3"}),
}
EDGES = {"web.py", "credit_views.py", "message_views.py"}


def layer_of(path: Path) -> str:
    inside = path.relative_to(PACKAGE)
    if len(inside.parts) > 1:
        return inside.parts[0]
    if inside.name in EDGES:
        return "edge"
    name = f"recado.{inside.stem}"
    return "foundation" if name in FOUNDATION | PLUMBING or inside.name == "__init__.py" else "stories"


def imports_of(path: Path) -> Iterator[str]:
    """Every module a file imports, as `package.module`; a name taken from a package counts as its module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module:
            is_package = node.module in ("recado", "recado.rules", "recado.tables", "recado.carriers")
            yield from (f"{node.module}.{alias.name}" if is_package else node.module for alias in node.names)


def is_within(module: str, allowed: set[str]) -> bool:
    return any(module == one or module.startswith(f"{one}.") for one in allowed)


def standard(module: str) -> bool:
    return module.split(".")[0] in sys.stdlib_module_names


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_imports_only_what_its_layer_may(path: Path) -> None:
    ours, theirs = MAY_IMPORT[layer_of(path)]

    wrong = [
        module
        for module in imports_of(path)
        if not standard(module) and not is_within(module, ours) and not is_within(module, theirs)
    ]

    assert wrong == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nobody_imports_the_web_layer_but_functions(path: Path) -> None:
    assert "recado.web" not in set(imports_of(path))


def test_only_settings_reads_the_environment() -> None:
    readers = [path.name for path in FILES if "os" in set(imports_of(path))]

    assert readers == ["settings.py"]


def test_a_function_is_one_file_that_talks_to_stories_and_the_web_layer() -> None:
    for folder in sorted((ROOT / "functions").iterdir()):
        if folder.name.startswith(("__", ".")):
            continue
        assert [path.name for path in folder.iterdir() if path.suffix == ".py"] == ["app.py"], folder.name


def test_stories_call_each_other_only_downwards() -> None:
    stories = {f"recado.{path.stem}": path for path in FILES if layer_of(path) == "stories"}
    arrows = {name: set(imports_of(path)) & set(stories) for name, path in stories.items()}

    def is_circular(name: str, seen: tuple[str, ...]) -> bool:
        return name in seen or any(is_circular(other, (*seen, name)) for other in arrows[name])

    assert [name for name in stories if is_circular(name, ())] == []


def test_a_carriers_name_stands_only_in_its_own_file_and_the_registry() -> None:
    names = {path.stem for path in (PACKAGE / "carriers").glob("*.py")} - {"__init__", "speech"}

    found = {
        (path.name, name)
        for path in FILES
        for name in names
        if path.parent.name != "carriers" and f'"{name}"' in path.read_text()
    }

    assert found == set()


def test_key_strings_of_rows_stand_only_in_tables() -> None:
    found = [
        path.name
        for path in FILES
        if path.parent.name != "tables" and any(key in path.read_text() for key in ('"S#', '"X#', '"H#'))
    ]

    assert found == []
