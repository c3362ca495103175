"""The pages that are looking: each has a queue, and gets every event or is told to look again. Never waits for one."""

import json
import queue
import threading
from collections.abc import Iterator, Mapping
from typing import Any

EVENTS_MAX = 2_000  # a page that is this far behind reads everything anew instead
KEEP_ALIVE_SECONDS = 15.0

type _Queue = queue.Queue[str | None]


class Watchers:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queues: list[_Queue] = []
        self._closed = False

    def tell(self, kind: str, facts: Mapping[str, Any]) -> None:
        event = f"event: {kind}\ndata: {json.dumps(facts, ensure_ascii=False)}\n\n"
        with self._lock:
            for watcher in list(self._queues):
                try:
                    watcher.put_nowait(event)
                except queue.Full:
                    self._queues.remove(watcher)
                    _drop(watcher)

    def watch(self) -> Iterator[str]:
        """Server-sent events until the page leaves, lags too far behind, or the carrier stops."""
        mine: _Queue = queue.Queue(EVENTS_MAX)
        with self._lock:
            if self._closed:
                return
            self._queues.append(mine)
        try:
            yield "retry: 1000\n\n"  # a page that loses us comes back after a second
            while True:
                try:
                    event = mine.get(timeout=KEEP_ALIVE_SECONDS)
                except queue.Empty:
                    event = ": still here\n\n"
                if event is None:
                    return
                yield event
        finally:
            with self._lock:
                if mine in self._queues:
                    self._queues.remove(mine)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            for watcher in self._queues:
                _drop(watcher)
            self._queues.clear()


def _drop(watcher: _Queue) -> None:
    """Ends a page's stream at once; it comes back and reads everything anew."""
    while True:
        try:
            watcher.get_nowait()
        except queue.Empty:
            break
    watcher.put_nowait(None)
