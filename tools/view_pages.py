"""The page of each view: index.html, opened at that view alone (`<body data-view="write">`), and what a page is best told to load at once.

It reads the views from console.js and what a module imports from the module, so that neither is written down twice.
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
MODULES_MAX = 200


def views() -> tuple[str, ...]:
    """Their names as console.js has them, e.g. ("write", "messages", …)."""
    found = VIEW.findall((CONSOLE / "console.js").read_text(encoding="utf-8"))
    assert found, "console.js does not say VIEWS as it did"
    assert all(name == element for name, element in found)
    return tuple(name for name, _ in found)


def pages() -> Iterator[tuple[str, str]]:
    """(file name, text) of each page, with its preloads: those that are files, and one for each view."""
    for path in sorted(CONSOLE.glob("*.html")):
        yield path.name, with_preloads(path.read_text(encoding="utf-8"))
    shell = (CONSOLE / SHELL).read_text(encoding="utf-8")
    for view in views():
        assert BODY in shell
        page = shell.replace(BODY, f'<body data-view="{view}">')
        first = FIRST_PART.search((CONSOLE / f"views/{view}.js").read_text(encoding="utf-8"))
        parts = [f"views/{first[1].removeprefix('./')}"] if first else []
        yield f"{view}.html", with_preloads(page, f"views/{view}.js", *parts)


def with_preloads(page: str, *more: str) -> str:
    """The page, told of every module that its script and `more` import, however deep: none waits for another to be read."""
    (entry,) = ENTRY.findall(page)
    modules = [name for name in modules_of(entry, *more) if name != entry]
    links = "".join(f'  <link rel="modulepreload" href="{name}">\n' for name in modules)
    return ENTRY.sub(lambda found: links + found[0], page)


def modules_of(*entries: str) -> list[str]:
    """These modules and what they import without being asked to (`import()` is asked), as paths under console/; breadth first."""
    found = list(dict.fromkeys(entries))
    for name in found:  # it grows meanwhile
        assert len(found) <= MODULES_MAX
        path = CONSOLE / name
        for relative in STATIC_IMPORT.findall(path.read_text(encoding="utf-8")):
            imported = (path.parent / relative).resolve().relative_to(CONSOLE.resolve()).as_posix()
            if imported not in found:
                found.append(imported)
    return found
