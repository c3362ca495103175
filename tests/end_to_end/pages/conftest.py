"""A real Chromium for the tests of the pages: one browser a process, a context of their own for each visitor."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Route, sync_playwright

from tools.find_chromium import find_chromium

ROOT = Path(__file__).parent.parent.parent.parent
# The docs' own pictures: RECADO_SCREENSHOTS=docs/screenshots. Else a run leaves the tree as it was.
SCREENSHOTS = ROOT / os.environ.get("RECADO_SCREENSHOTS", ".build/screenshots")
WIDE = {"width": 1280, "height": 800}
NARROW = {"width": 320, "height": 720}
PATIENCE_MS = 15_000  # two cores, and others on them


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # As root (in a container) Chromium has no sandbox of its own; pages of ours only are opened.
        opened = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        yield opened
        opened.close()


class Visitor:
    """Somebody at a browser of their own. An error in the page's console fails the test at its end."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.context.set_default_timeout(PATIENCE_MS)
        self.page: Page = context.new_page()
        self.troubles: list[str] = []
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("console", lambda said: self.troubles.append(said.text) if said.type == "error" else None)

    def lose_first_request(self, pattern: str) -> list[str | None]:
        """The first such request never gets through; answers the Idempotency-Keys of all of them, as they come."""
        keys: list[str | None] = []

        def lose(route: Route) -> None:
            keys.append(route.request.headers.get("idempotency-key"))
            if len(keys) == 1:
                route.abort()
            else:
                route.continue_()

        self.page.route(pattern, lose)
        return keys

    def lose_first_answer(self, pattern: str, method: str | None = None) -> list[str]:
        """The first such request is done, and nobody hears so; answers the Idempotency-Keys of all, as they come."""
        keys: list[str] = []

        def lose(route: Route) -> None:
            if method is not None and route.request.method != method:
                route.fallback()
                return
            keys.append(route.request.headers["idempotency-key"])
            if len(keys) == 1:
                route.fetch()
                route.abort()
            else:
                route.continue_()

        self.page.route(pattern, lose)
        return keys

    def words_of(self, module: str) -> tuple[list[str], list[str], int]:
        """Of a module's `WORDS`: names and kinds of the Spanish ones, of the English ones, and how many are empty."""
        spanish, english, empty = self.page.evaluate(
            """async (module) => {
              const { WORDS } = await import(module);
              const names = (said) => Object.entries(said).map(([name, word]) => `${name} ${typeof word}`).sort();
              const all = Object.values(WORDS).flatMap(Object.values);
              return [names(WORDS.es), names(WORDS.en), all.filter((one) => one === "").length];
            }""",
            module,
        )
        return spanish, english, empty

    def expect_trouble(self, *expected: str) -> None:
        """The browser itself reports a request that failed or was refused; it was meant to be, and must have been."""
        refused = "Failed to load resource"
        found = [one for one in self.troubles if refused in one and any(word in one for word in expected)]
        assert found, self.troubles
        self.troubles[:] = [one for one in self.troubles if one not in found]

    def forgive_failed_loads(self) -> None:
        """What the browser itself says of requests that a test refused or lost."""
        self.troubles[:] = [one for one in self.troubles if "Failed to load resource" not in one]

    def check_accessible(self) -> None:
        """axe finds nothing, as the page is now; and nothing is wider than the window."""
        found = Axe().run(self.page)
        assert found.violations_count == 0, found.generate_report()
        assert self.page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")

    def take_picture(self, name: str, *, full_page: bool = True) -> None:
        """For the docs: the same view at 1280 and 320 px, each looked at by axe. A long one only as far as one sees."""
        for suffix, size in (("", WIDE), ("-320", NARROW)):
            self.page.set_viewport_size(size)  # type: ignore[arg-type]  # a TypedDict of the two
            self.check_accessible()
            SCREENSHOTS.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=SCREENSHOTS / f"{name}{suffix}.png", full_page=full_page)
        self.page.set_viewport_size(WIDE)  # type: ignore[arg-type]


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., "Visitor"]]:
    """`visit()` opens a browser of somebody's own; at the end none of them may have had trouble."""
    visitors: list[Visitor] = []

    def open_one(**options: object) -> Visitor:
        settings: dict[str, object] = {"viewport": WIDE, "locale": "es-CL", "timezone_id": "America/Santiago"}
        visitors.append(Visitor(browser.new_context(**(settings | options))))  # type: ignore[arg-type]
        return visitors[-1]

    yield open_one
    troubles = [trouble for visitor in visitors for trouble in visitor.troubles]
    for visitor in visitors:
        visitor.context.close()
    assert not troubles, troubles
