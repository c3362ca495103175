"""The console as a whole: who enters, what they are offered."""

from collections.abc import Callable

from tests.end_to_end.conftest import Stack
from tests.end_to_end.pages.conftest import Visitor


def test_the_demo_asks_who_one_is(stack: Stack, visit: Callable[..., Visitor]) -> None:
    visitor = visit()

    visitor.page.goto(f"{stack.pages_url}/index.html")

    visitor.page.get_by_role("link", name="directora").wait_for()
    visitor.take_picture("console-enter")
