"""What a command says while it works: one line a step, with seconds; a moving sign only where somebody watches.

Standard library only: it speaks before anything is installed.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TextIO

STARTED_VARIABLE = "RECADO_STARTED"  # when the command began, in seconds of the clock; the Makefile sets it
FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
FRAME_SECONDS = 0.1


def seconds_since_start() -> float:
    """Since the command began, with what happened in other processes before this one."""
    started = os.environ.get(STARTED_VARIABLE, "")
    return max(0.0, time.time() - float(started)) if started.replace(".", "", 1).isdigit() else 0.0


@dataclass
class Progress:
    """Steps may run at the same time, from several threads; each has its line when it ends."""

    out: TextIO = sys.stdout
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _running: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[list[str]]:
        """Runs a step; what is put into the list is said beside it when it ends. A step that fails says nothing."""
        notes: list[str] = []
        began = time.monotonic()
        self._begin(name)
        done = False
        try:
            yield notes
            done = True
        finally:
            self._end(name, f"  {time.monotonic() - began:5.1f} s  {' · '.join([name, *notes])}" if done else None)

    def say(self, line: str = "") -> None:
        with self._lock:
            self._clear()
            print(line, file=self.out, flush=True)

    def _begin(self, name: str) -> None:
        with self._lock:
            self._running.append(name)
            if not self.out.isatty():
                return
            if self._thread is None or not self._thread.is_alive():
                self._stop.clear()
                self._thread = threading.Thread(target=self._spin, name="spinner", daemon=True)
                self._thread.start()

    def _end(self, name: str, line: str | None) -> None:
        with self._lock:
            self._running.remove(name)
            if not self._running:
                self._stop.set()
            self._clear()
            if line is not None:
                print(line, file=self.out, flush=True)

    def _spin(self) -> None:
        frame = 0
        while not self._stop.wait(FRAME_SECONDS):
            with self._lock:
                if self._running:
                    frame += 1
                    sign = FRAMES[frame % len(FRAMES)]
                    print(f"\r\033[K  {sign} {', '.join(self._running)} …", end="", file=self.out, flush=True)

    def _clear(self) -> None:
        if self.out.isatty():
            print("\r\033[K", end="", file=self.out)
