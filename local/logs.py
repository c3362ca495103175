"""Writes what the functions log on the emulator to a file, as it comes, and lets go of what is written.

The emulator keeps one stream per invocation and saves them all with its state: left alone they would only grow.
"""

import threading
from collections import Counter
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.aws import Aws

POLL_SECONDS = 1.0
LATE_MS = 5_000  # a line may be stamped a little before it can be read
KEPT_MS = 60_000
DELETED_PER_POLL = 100
NOISE = ("START RequestId:", "END RequestId:", "REPORT RequestId:", "INIT_START")


class LogTail:
    def __init__(self, aws: Aws, group: str, file: Path, since_ms: int) -> None:
        self._logs = aws.client("logs")
        self._group = group
        self._file = file
        self._since_ms = since_ms
        self._written: Counter[tuple[str, int, str]] = Counter()
        self._streams: dict[str, int] = {}  # stream -> its latest line
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="logs", daemon=True)

    def start(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._thread.start()

    def stop(self) -> None:
        """Writes what is left; call it while the emulator still answers."""
        self._stopping.set()
        self._thread.join()
        self.write_new()

    def write_new(self) -> int:
        """Appends the lines that are new; says how many."""
        try:
            events = self._events()
            lines = self._new_lines(events)
            with self._file.open("a", encoding="utf-8") as out:
                out.writelines(f"{line}\n" for line in lines)
            self._let_go()
        except (BotoCoreError, ClientError):  # the emulator is stopping, or busy: what is missed comes with the next
            return 0
        return len(lines)

    def _run(self) -> None:
        while not self._stopping.wait(POLL_SECONDS):
            self.write_new()

    def _events(self) -> list[dict[str, Any]]:
        answer = self._logs.filter_log_events(logGroupName=self._group, startTime=self._since_ms)
        events: list[dict[str, Any]] = answer["events"]
        return events

    def _new_lines(self, events: list[dict[str, Any]]) -> list[str]:
        seen: Counter[tuple[str, int, str]] = Counter()
        lines: list[str] = []
        for event in events:
            key = (event["logStreamName"], event["timestamp"], event["message"])
            seen[key] += 1
            self._streams[event["logStreamName"]] = event["timestamp"]
            if seen[key] > self._written[key] and not event["message"].startswith(NOISE):
                lines.append(event["message"].rstrip("\n"))
        self._written = seen
        if events:
            self._since_ms = max(self._since_ms, events[-1]["timestamp"] - LATE_MS)
        return lines

    def _let_go(self) -> None:
        old = [name for name, latest in self._streams.items() if latest < self._since_ms - KEPT_MS]
        for name in old[:DELETED_PER_POLL]:
            del self._streams[name]
            self._logs.delete_log_stream(logGroupName=self._group, logStreamName=name)
