"""`python -m tools.find_chromium` prints a Chromium that tests can drive.

RECADO_CHROMIUM, else the machine's, else Playwright's own; Playwright fetches its own
if there is none. Without a network it says in one line what to install.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
FETCH_SECONDS_MAX = 300


class NoChromium(Exception):
    """The text is one line for the person at the terminal."""


def main() -> int:
    try:
        print(find_chromium())
    except NoChromium as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def find_chromium() -> str:
    """The path of a Chromium. Raises NoChromium."""
    chosen = os.environ.get("RECADO_CHROMIUM")
    if chosen:
        if not Path(chosen).is_file():
            raise NoChromium(f"RECADO_CHROMIUM names {chosen}, which is no file.")
        return chosen
    for name in NAMES:
        found = shutil.which(name)
        if found:
            return found
    return _playwrights() or _fetched()


def _playwrights() -> str | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).is_file() else None


def _fetched() -> str:
    try:
        fetch = subprocess.run(
            [sys.executable, "-m", "playwright", "install", "chromium"],
            capture_output=True,
            check=False,
            timeout=FETCH_SECONDS_MAX,
        )
    except subprocess.TimeoutExpired:
        fetch = None
    found = _playwrights() if fetch is not None and fetch.returncode == 0 else None
    if found is None:
        raise NoChromium("The tests of the pages need Chromium: install it (Debian: apt-get install chromium).")
    return found


if __name__ == "__main__":
    sys.exit(main())
