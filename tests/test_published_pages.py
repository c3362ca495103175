"""What is published of console/: a page for each view, made from one, and never without a policy."""

import re

import pytest

from tools.publish_console import PAGES, PLACEHOLDER, SETTINGS_FILE, ConsoleSettings, read_files
from tools.view_pages import SHELL, modules_of, views

PRELOAD = re.compile(r'^ *<link rel="modulepreload" href="([^"]+)">\n', re.MULTILINE)
SETTINGS = ConsoleSettings(token_url="https://portal.example/token", parents=("https://portal.example",))
PUBLISHED = {file.key: file for file in read_files(SETTINGS)}


def page(name: str) -> str:
    return PUBLISHED[name].content.decode()


@pytest.mark.parametrize("view", views())
def test_the_page_of_a_view_is_the_consoles_at_that_view(view: str) -> None:
    own, shell = (PRELOAD.sub("", page(name)) for name in (f"{view}.html", SHELL))

    assert own == shell.replace("<body>", f'<body data-view="{view}">')
    assert own != shell
    assert f'customElements.define("recado-{view}"' in (PAGES / f"views/{view}.js").read_text()


def test_a_views_page_hides_no_file_of_that_name() -> None:
    assert not {f"{view}.html" for view in views()} & {path.name for path in PAGES.glob("*.html")}


def test_every_file_is_published_once_and_every_page_has_its_policy() -> None:
    files = {path.relative_to(PAGES).as_posix() for path in PAGES.rglob("*") if path.is_file()}

    assert PUBLISHED.keys() == files | {f"{view}.html" for view in views()} | {SETTINGS_FILE}
    for name in PUBLISHED:
        if name.endswith(".html"):
            assert f'content="{PLACEHOLDER}"' not in page(name)
            assert "connect-src 'self' https://portal.example;" in page(name)


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name.endswith(".html")])
def test_a_page_preloads_each_module_once_and_only_what_there_is(name: str) -> None:
    modules = PRELOAD.findall(page(name))

    assert len(modules) == len(set(modules)) > 0
    assert set(modules) <= PUBLISHED.keys()


def test_what_a_module_imports_is_found_however_deep_and_what_it_only_may_import_is_not() -> None:
    found = modules_of("views/messages.js")

    assert {"lib/dom.js", "lib/say.js", "lib/api.js", "views/messages/words.js"} <= set(found)
    assert "views/messages/gate.js" not in found
