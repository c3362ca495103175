"""Every event in events/ belongs to a function, and some test feeds it to that function."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
EVENTS = sorted((ROOT / "events").glob("*.json"))
FUNCTIONS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/app.py"))
SOURCES = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))


@pytest.mark.parametrize("event", EVENTS, ids=lambda path: path.stem)
def test_an_event_is_fed_to_its_function_by_a_test(event: Path) -> None:
    assert any(event.stem.startswith(f"{name}_") for name in FUNCTIONS)
    assert f'"{event.stem}"' in SOURCES


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_an_event(name: str) -> None:
    assert any(event.stem.startswith(f"{name}_") for event in EVENTS)
