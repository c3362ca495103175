"""The page of each view: index.html, at that view alone (`<body data-view="write">`); and what a page loads at once.

Which views there are it reads in console.js, and what a module imports in the module: neither is written down twice.
"""

import re
from collections.abc import Iterator
from pathlib import Path

CONSOLE = Path(__file__).parent.parent / "console"
SHELL = "index.html"
VIEW = re.compile(r'^  (\w+): \{ element: "recado-(\w+)", roles: ', re.MULTILINE)
FIRST_PART = re.compile(r'await import\("(\./[^"]+)"\)')  # what a view of parts opens with stands first
STATIC_IMPORT = re.compile(r'^(?:import|export) (?:[^;"]* from )?"(\.{1,2}/[^"]+)";', re.MULTILINE)
ENTRY = re.compile(r'^ *<script type="module" src="([^"]+)"></script>$', re.MULTILINE)
BODY = "<body>"


def views() -> tuple[str, ...]:
    """Their names as console.js has them, e.g. ("write", "messages", …)."""
    found = VIEW.findall((CONSOLE / "console.js").read_text(encoding="utf-8"))
    if not found or any(name != element for name, element in found):
        raise ValueError("console.js does not say its views as it did")
    return tuple(name for name, _ in found)


def pages() -> Iterator[tuple[str, str]]:
    """(file name, text) of each page, with its preloads: those that are files, and one for each view."""
    for path in sorted(CONSOLE.glob("*.html")):
        yield path.name, with_preloads(path.read_text(encoding="utf-8"))
    shell = (CONSOLE / SHELL).read_text(encoding="utf-8")
    for view in views():
        page = shell.replace(BODY, f'<body data-view="{view}">')
        first = FIRST_PART.search((CONSOLE / f"views/{view}.js").read_text(encoding="utf-8"))
        parts = [f"views/{first[1].removeprefix('./')}"] if first else []
        yield f"{view}.html", with_preloads(page, f"views/{view}.js", *parts)


def with_preloads(page: str, *more: str) -> str:
    """The page, told of every module that its script and `more` import, however deep: none waits for another."""
    (entry,) = ENTRY.findall(page)
    modules = [name for name in modules_of(entry, *more) if name != entry]
    links = "".join(f'  <link rel="modulepreload" href="{name}">\n' for name in modules)
    return ENTRY.sub(lambda found: links + found[0], page)


def modules_of(*entries: str) -> list[str]:
    """These modules and what they import of themselves (`import()` is when asked): paths in console/, breadth first."""
    found = list(dict.fromkeys(entries))
    for name in found:  # it grows meanwhile
        path = CONSOLE / name
        for relative in STATIC_IMPORT.findall(path.read_text(encoding="utf-8")):
            imported = (path.parent / relative).resolve().relative_to(CONSOLE.resolve()).as_posix()
            if imported not in found:
                found.append(imported)
    return found
