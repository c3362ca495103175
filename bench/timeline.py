"""How the failover run says what happened, and what held."""

from collections.abc import Iterator, Mapping
from typing import Any


def line_of(entry: Mapping[str, Any]) -> str:
    """When, what, texts that each carrier has taken so far, pages that are open."""
    by_carrier = ", ".join(f"{count:>5} by {name}" for name, count in entry["handed_over"].items())
    return f"{entry['seconds']:7.1f} s  {entry['what']:<58} {by_carrier}, {entry['open_pages']:>2} pages open"


def check_lines(checks: Mapping[str, str]) -> Iterator[str]:
    """Each promise, and what is wrong with it; empty: it held."""
    for name, problem in checks.items():
        yield f"{'failed' if problem else 'ok':<7} {name}{f': {problem}' if problem else ''}"
