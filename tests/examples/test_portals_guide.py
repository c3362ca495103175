"""docs/portals.md shows the reference portal's own code: what a reader copies is what a test runs."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SNIPPETS = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "portals.md").read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_each_snippet_of_the_guide_is_in_the_reference_portal(snippet: str) -> None:
    assert snippet in (ROOT / "examples" / "portal" / "app.py").read_text()


def test_the_guide_shows_snippets() -> None:
    assert len(SNIPPETS) >= 3
