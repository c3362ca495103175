"""Workers that really interleave, and always in the same way: threads of which exactly one runs at a time.

An actor runs until it pauses; whoever holds the baton decides who goes on. Nothing here knows what they do.
"""

import traceback
from collections.abc import Callable
from enum import StrEnum
from threading import Semaphore, Thread
from typing import Any


class Killed(BaseException):
    """The worker dies here: no `except Exception` of it runs, and nothing of it goes on."""


class End(StrEnum):
    DONE = "done"
    FAILED = "failed"
    KILLED = "killed"


class Actor:
    """One request, job or run, on its own thread. `end` is None while it lives; then `result` or `error` is set."""

    def __init__(self, name: str, began: int, work: Callable[[], Any]) -> None:
        self.name = name
        self.began = began  # the world's step
        self.end: End | None = None
        self.result: Any = None
        self.error: BaseException | None = None
        self._work = work
        self._is_doomed = False
        self._go, self._back = Semaphore(0), Semaphore(0)
        self._thread = Thread(target=self._live, name=name, daemon=True)

    def resume(self) -> None:
        """Lets the actor run until it pauses or ends."""
        if self._thread.ident is None:
            self._thread.start()
        else:
            self._go.release()
        self._back.acquire()

    def pause(self) -> None:
        """For the actor's own thread: gives the baton back. Raises Killed when it was doomed meanwhile."""
        if not self._is_doomed:
            self._back.release()
            self._go.acquire()
        if self._is_doomed:
            raise Killed

    def kill(self) -> None:
        """Ends an actor, wherever it is; one that has not begun never will."""
        self._is_doomed = True
        if self._thread.ident is None:
            self.end = End.KILLED
        while self.end is None:
            self.resume()

    def where(self) -> str:
        """Where its error came from, in one line."""
        frames = traceback.extract_tb(self.error.__traceback__) if self.error else []
        ours = [frame for frame in frames if "/recado/" in frame.filename]
        return f"{type(self.error).__name__} at {ours[-1].name}:{ours[-1].lineno}" if ours else repr(self.error)

    def _live(self) -> None:
        try:
            self.result = self._work()
            self.end = End.DONE
        except Killed as error:
            self.error, self.end = error, End.KILLED
        except BaseException as error:  # noqa: BLE001  # whatever it is: whoever holds the baton looks at it
            self.error, self.end = error, End.FAILED
        self._back.release()
